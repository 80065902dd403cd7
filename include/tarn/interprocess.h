/* Memory between processes: one process exports a buffer, another one imports it, and both use the same memory.
 *
 * Such buffers come from memory of the kind SHARED: from any strategy that takes a kind and is told kind=shared, such as `direct:kind=shared` or
 * `caching:kind=shared`, and from what stands in front of one. A descriptor stands for a whole segment, so such a strategy takes plain segments, and
 * none that grow granule by granule. All other memory stays as it is, and pays nothing. `cpu` has it, and every
 * device whose backend offers `interprocess` in tarn/backend.h; others answer NOT_SUPPORTED.
 *
 * A tarn_exported_buffer is plain data and one file descriptor. It goes to the other process over a Unix socket, by
 * tarn_interprocess_send and tarn_interprocess_receive or in a program's own way with SCM_RIGHTS.
 *
 *     tarn_buffer_export(buffer, &exported);                     tarn_interprocess_receive(socket, &exported);
 *     tarn_interprocess_send(socket, &exported);                 tarn_buffer_import(device, &exported, NULL, &buffer);
 *     tarn_exported_buffer_close(&exported);                     tarn_exported_buffer_close(&exported);
 *
 * Lifetimes. The memory lives until the process that allocated it and all that imported it have given it back or ended, and
 * every descriptor is closed: whoever ends first takes nothing away. But what the exporter's allocator does with memory that was freed there cannot be seen
 * elsewhere: the exporter frees its buffer when the others are done with it, or they read what comes next. Order between the
 * processes' streams is the program's own, too: synchronize before telling the other. */
#ifndef TARN_INTERPROCESS_H
#define TARN_INTERPROCESS_H

#include <tarn/buffer.h>

TARN_BEGIN_DECLARATIONS

/* A buffer on its way to another process. All but `descriptor` is the same in every process. */
typedef struct tarn_exported_buffer {
    size_t struct_size;
    char backend[32];      /* the name of the backend; only a device of the same one imports it */
    uint64_t segment_size; /* bytes of the memory behind the descriptor: one allocation of the driver's */
    uint64_t offset;       /* bytes from its beginning to the buffer */
    uint64_t size;         /* bytes of the buffer */
    uint64_t check;        /* of the members above: what was changed on the way is refused */
    int descriptor;        /* open in this process, closed on exec; -1: closed */
} tarn_exported_buffer;

/* Exports a live buffer. The caller sets `out_exported->struct_size` to sizeof(tarn_exported_buffer) and owns the descriptor. The buffer
 * stays what it is. INVALID_ARGUMENT: a stale handle. NOT_SUPPORTED: its memory is not of the kind SHARED, or the
 * device has none; the sentence names device and allocator. Any thread. */
TARN_API tarn_status tarn_buffer_export(const tarn_buffer *buffer, tarn_exported_buffer *out_exported);
/* Closes the descriptor and sets it to -1. Buffers that were imported stay. Again, and for NULL: nothing happens. */
TARN_API void tarn_exported_buffer_close(tarn_exported_buffer *exported);

/* Maps an exported buffer on `device`, for use on `stream` (NULL: the default stream). The caller owns the buffer, frees it with
 * tarn_buffer_free, and still owns the descriptor. Its allocator is one of its own, which hands out nothing else. Contents are what the
 * processes wrote. It works in the exporting process too.
 * INVALID_ARGUMENT: an export that is closed, was changed, names a range beyond its segment or another backend, or whose descriptor
 * stands for something else; INVALID_STATE: the exporter has given the memory back to its device, where the driver tells (cpu does);
 * NOT_SUPPORTED: the device has no shared memory; OUT_OF_MEMORY. Any thread. */
TARN_API tarn_status tarn_buffer_import(tarn_device *device, const tarn_exported_buffer *exported, tarn_stream *stream,
                                        tarn_buffer **out_buffer);

/* Sends an export over a connected Unix socket, descriptor and all, as one message; blocks as the socket does. The caller keeps his descriptor.
 * IO_ERROR with the system's reason, INVALID_ARGUMENT for a closed export. One message at a time on a socket. */
TARN_API tarn_status tarn_interprocess_send(int socket, const tarn_exported_buffer *exported);
/* Receives one: the caller sets struct_size, and owns the descriptor. IO_ERROR: the socket failed, or the other side has closed it or ended,
 * in the middle of an export too; CORRUPT_DATA: something else came. */
TARN_API tarn_status tarn_interprocess_receive(int socket, tarn_exported_buffer *out_exported);

TARN_END_DECLARATIONS

#endif
