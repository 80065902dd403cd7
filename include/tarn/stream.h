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
/* Borrowed. */
TARN_API tarn_device *tarn_stream_device(const tarn_stream *stream);

/* Runs `function(context)` in the stream's order, on a host thread. It may enqueue more; waiting for its own stream, for a
 * later point of it or for its device is INVALID_STATE there, and releasing the last reference to either is BUSY. */
TARN_API tarn_status tarn_stream_enqueue(tarn_stream *stream, tarn_host_function function, void *context);
/* Marks this point of the stream. With `*inout_event` NULL a new event is created and the caller owns one reference;
 * otherwise that event is recorded anew. */
TARN_API tarn_status tarn_stream_record(tarn_stream *stream, tarn_event **inout_event);
/* Later work of the stream waits for the event, which may belong to another device or backend. */
TARN_API tarn_status tarn_stream_wait(tarn_stream *stream, tarn_event *event);
/* Blocks until the work that was enqueued before the call has finished, and reports what failed in it. */
TARN_API tarn_status tarn_stream_synchronize(tarn_stream *stream);

/* Copies `size` bytes in stream order between addresses that the stream's device can reach. Ranges must not overlap. */
TARN_API tarn_status tarn_stream_copy(tarn_stream *stream, void *destination, const void *source, size_t size);
/* Fills `size` bytes with a pattern of 1, 2, 4 or 8 bytes; `size` and the destination are multiples of `pattern_size`. The
 * pattern is copied before the call returns. */
TARN_API tarn_status tarn_stream_fill(tarn_stream *stream, void *destination, const void *pattern, size_t pattern_size,
                                      size_t size);

TARN_END_DECLARATIONS

#endif
