/* Buffers: what a handle tells, and freeing through whatever allocator handed the buffer out. */
#include <tarn/buffer.h>

#include "base/status.h"
#include "memory/stack.h"

void *tarn_buffer_data(const tarn_buffer *buffer) {
    const memory_block *block = block_of(buffer);
    return block != NULL ? block->address : NULL;
}

size_t tarn_buffer_size(const tarn_buffer *buffer) {
    const memory_block *block = block_of(buffer);
    return block != NULL ? block->live.requested : 0;
}

size_t tarn_buffer_capacity(const tarn_buffer *buffer) {
    const memory_block *block = block_of(buffer);
    return block != NULL ? block->capacity : 0;
}

tarn_device *tarn_buffer_device(const tarn_buffer *buffer) {
    const memory_block *block = block_of(buffer);
    return block != NULL ? block->owner->device : NULL;
}

tarn_allocator *tarn_buffer_allocator(const tarn_buffer *buffer) {
    const memory_block *block = block_of(buffer);
    return block != NULL ? block->owner : NULL;
}

int tarn_buffer_is_valid(const tarn_buffer *buffer) { return block_of(buffer) != NULL; }

tarn_status tarn_buffer_record_stream(tarn_buffer *buffer, tarn_stream *stream) {
    memory_block *block = block_of(buffer);
    if (block == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%p is no live buffer", (void *)buffer);
    tarn_allocator *owner = block->owner;
    stream = hal_stream_or_default(owner->device, stream);
    if (stream == NULL) return TARN_INVALID_ARGUMENT;
    tarn_status status = memory_check_callback(owner, "record a stream");
    if (status != TARN_OK || owner->strategy->record_stream == NULL) return status;
    return owner->strategy->record_stream(owner, block, stream);
}

tarn_status tarn_buffer_free(tarn_buffer *buffer, tarn_stream *stream) {
    if (buffer == NULL) return TARN_OK;
    return memory_free_handle(NULL, buffer, stream, MEMORY_CALL_SITE());
}
