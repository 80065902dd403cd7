/* Streams: ordered queues of work on a device.
 *
 * Work enqueued on one stream runs in order; work on two streams runs in any order, unless an event ties them. On the
 * cpu device each stream is a queue with a worker thread, and the default stream runs its work at once, on the calling
 * thread. Any thread may enqueue. A NULL stream means the default stream only where a device is named beside it. */
#ifndef TARN_STREAM_H
#define TARN_STREAM_H

#include <tarn/device.h>
#include <tarn/event.h>

TARN_BEGIN_DECLARATIONS

/* Caller owns one reference; the stream keeps its device alive. */
TARN_API tarn_status tarn_stream_create(tarn_device *device, tarn_stream **out_stream);
TARN_API tarn_stream *tarn_stream_retain(tarn_stream *stream);
/* The last reference waits for the stream's work and destroys it. NULL is allowed; the default stream is not counted. */
TARN_API tarn_status tarn_stream_release(tarn_stream *stream);
/* Makes a stream of one that another library made with the same driver on the same device, so that memory can follow its
 * order: `native` is a CUstream (cudaStream_t) for CUDA, where NULL is the context's default stream, or a cl_command_queue. Caller owns one
 * reference. The native stream stays the other library's, which keeps it until after the last tarn_stream_release. What that library enqueues is seen
 * wherever the stream is waited for. Adopting the same one again gives another stream, and memory does not pass between the two
 * without an event. NOT_SUPPORTED for a device whose backend has no such streams, such as cpu; INVALID_ARGUMENT where the driver tells
 * that it is not one of this device. */
TARN_API tarn_status tarn_stream_adopt(tarn_device *device, void *native, tarn_stream **out_stream);
/* The driver's own stream, for other libraries: as above. Borrowed: of a stream that was created here it lives as long as that. NOT_SUPPORTED. */
TARN_API tarn_status tarn_stream_native(tarn_stream *stream, void **out_native);
/* Borrowed. */
TARN_API tarn_device *tarn_stream_device(const tarn_stream *stream);
/* The number by which blocks (tarn_block_info) and traces name the stream: 0 is the default one, and what NULL answers. Any thread. */
TARN_API uint32_t tarn_stream_number(const tarn_stream *stream);

/* Runs `function(context)` in the stream's order, on a host thread. It may enqueue more; waiting for its own stream, for a
 * later point of it or for its device is INVALID_STATE there, and releasing the last reference to either is BUSY. On devices with
 * TARN_FEATURE_HOST_FUNCTIONS_APART, such as cuda's, the driver must not be called from there: what would do so, on any device of the backend, is
 * INVALID_STATE too, or BUSY for releasing a last reference. What can be served without it works, such as memory that an allocator has cached. */
TARN_API tarn_status tarn_stream_enqueue(tarn_stream *stream, tarn_host_function function, void *context);
/* Marks this point of the stream. With `*inout_event` NULL a new event is created and the caller owns one reference;
 * otherwise that event is recorded anew. */
TARN_API tarn_status tarn_stream_record(tarn_stream *stream, tarn_event **inout_event);
/* Later work of the stream waits for the event, which may belong to another device or backend. */
TARN_API tarn_status tarn_stream_wait(tarn_stream *stream, tarn_event *event);
/* Blocks until the work that was enqueued before the call has finished, and reports what failed in it. */
TARN_API tarn_status tarn_stream_synchronize(tarn_stream *stream);

/* Copies `size` bytes in stream order between addresses that the stream's device can reach: its own memory, pinned memory, and that of
 * devices to which it has access (tarn_device_enable_peer). Ranges must not overlap. */
TARN_API tarn_status tarn_stream_copy(tarn_stream *stream, void *destination, const void *source, size_t size);
/* Copies a box of bytes (tarn/backend.h), the same way: one command where the device has such copies, else one for each row. A pitch of 0
 * means that rows, or slices, lie side by side. INVALID_ARGUMENT: a row pitch is smaller than a row or a slice pitch smaller than a slice, a side is
 * no range of memory or goes beyond the end of the allocation that it begins in, or the two sides have bytes in common; rows that take
 * turns in one piece of memory are fine. Where a driver refuses a row, those before it have been enqueued. */
TARN_API tarn_status tarn_stream_copy_box(tarn_stream *stream, void *destination, const void *source,
                                          const tarn_box *box);
/* Copies `size` bytes between memory of any two devices, in the order of `stream`, which belongs to one of them (NULL: the
 * destination's default stream). What is under way on another stream is tied to it by an event, as always. It is done by the first of
 * these that can be:
 *
 *   - one device: tarn_stream_copy;
 *   - devices of one backend that copies between them: one command, nobody waits;
 *   - the host reaches the memory of both: a host function in the stream's order, nobody waits;
 *   - else through host memory that is pinned, in parts: the host waits, and when the call returns the copy is done. On the other
 *     device it follows its default stream.
 *
 * Of two devices whose memory overlaps in numbers alone, nothing is assumed; within one device ranges must not overlap.
 * INVALID_ARGUMENT: something is NULL, a range wraps, or the stream is one of a third device. INVALID_STATE: the stream is being
 * captured and the devices are two. NOT_SUPPORTED: a device stores nothing, or has no pinned memory where that is needed. */
TARN_API tarn_status tarn_copy(tarn_stream *stream, tarn_device *destination_device, void *destination,
                               tarn_device *source_device, const void *source, size_t size);
/* The same for a box of bytes. Through pinned memory its rows go packed, many in one part. */
TARN_API tarn_status tarn_copy_box(tarn_stream *stream, tarn_device *destination_device, void *destination,
                                   tarn_device *source_device, const void *source, const tarn_box *box);
/* Fills `size` bytes with a pattern of 1, 2, 4 or 8 bytes; `size` and the destination are multiples of `pattern_size`. The
 * pattern is copied before the call returns. */
TARN_API tarn_status tarn_stream_fill(tarn_stream *stream, void *destination, const void *pattern, size_t pattern_size,
                                      size_t size);

TARN_END_DECLARATIONS

#endif
