/* Buffers: blocks of memory that an allocator handed out.
 *
 * A tarn_buffer pointer is a handle, never to be dereferenced: it carries a generation, so that a handle kept after the free
 * is recognised even when its descriptor serves another block by then. A buffer has one owner and is freed once. */
#ifndef TARN_BUFFER_H
#define TARN_BUFFER_H

#include <tarn/stream.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_buffer tarn_buffer;
typedef struct tarn_allocator tarn_allocator;

/* Each answers for a live buffer; for NULL or a stale handle: NULL, 0, NULL, NULL. Any thread. */
TARN_API void *tarn_buffer_data(const tarn_buffer *buffer);
/* Bytes that were asked for. */
TARN_API size_t tarn_buffer_size(const tarn_buffer *buffer);
/* Bytes that may be used: at least the size. */
TARN_API size_t tarn_buffer_capacity(const tarn_buffer *buffer);
/* Borrowed. */
TARN_API tarn_device *tarn_buffer_device(const tarn_buffer *buffer);
/* The allocator that owns the block: the strategy below the adaptors of a stack. Borrowed. */
TARN_API tarn_allocator *tarn_buffer_allocator(const tarn_buffer *buffer);
/* 1 between allocate and free, else 0; never faults, whatever the value of the pointer. */
TARN_API int tarn_buffer_is_valid(const tarn_buffer *buffer);
/* Says that `stream` uses the buffer too: after the free, the memory is not used again before the stream's work up to the
 * free has finished. INVALID_ARGUMENT for a stale handle or another device's stream. */
TARN_API tarn_status tarn_buffer_record_stream(tarn_buffer *buffer, tarn_stream *stream);

TARN_END_DECLARATIONS

#endif
