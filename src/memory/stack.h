/* What the public functions of a stack of allocators share. */
#ifndef MEMORY_STACK_H
#define MEMORY_STACK_H

#include "hal/device.h"
#include "memory/strategy.h"

/* A callback that the calling thread is running for an allocator; they nest. */
typedef struct memory_callback {
    tarn_allocator *allocator;
    bool holds_lock; /* the strategy's: no function of the stack can be called back */
    struct memory_callback *outside;
} memory_callback;

void memory_callback_begin(memory_callback *callback, tarn_allocator *allocator, bool holds_lock);
void memory_callback_end(memory_callback *callback);
/* The innermost callback of the calling thread that belongs to the same stack, or NULL. */
const memory_callback *memory_callback_running(const tarn_allocator *allocator);
/* INVALID_STATE when the calling thread runs a callback under the lock of the stack, from where `what` cannot be done. */
tarn_status memory_check_callback(const tarn_allocator *allocator, const char *what);

/* The lowest element. */
static inline const tarn_allocator *memory_bottom(const tarn_allocator *allocator) {
    while (allocator->upstream != NULL) allocator = allocator->upstream;
    return allocator;
}

static inline const char *memory_device_name(const tarn_allocator *allocator) {
    return tarn_device_name(allocator->device);
}

/* tarn_allocator_allocate_with, for a request of which more is known than its size; `shape` may be NULL. `site` is where the
 * caller's call returns to. */
tarn_status memory_allocate_shaped(tarn_allocator *allocator, size_t size, const memory_shape *shape,
                                   const tarn_allocate_options *options, const void *site, tarn_buffer **out_buffer);

/* Frees through whatever allocator handed the buffer out; with `allocator` not NULL, only if that was the one. `site` is
 * where the caller's call returns to. */
tarn_status memory_free_handle(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream, const void *site);
/* Says more in the sentence of a free that was refused with `status`, and returns that. `allocator` NULL: any; `block` NULL: the
 * handle names no live buffer. */
typedef tarn_status (*memory_refusal)(tarn_status status, tarn_allocator *allocator, const tarn_buffer *buffer,
                                      const memory_block *block, const void *site);
/* NULL until there is a guard. */
extern BLOCK_INTERNAL _Atomic(memory_refusal) memory_explain_refusal;
/* Where the public function that this stands in was called from. */
#define MEMORY_CALL_SITE() __builtin_extract_return_addr(__builtin_return_address(0))

/* Forgets the reclaimers of an allocator that ends. */
void memory_reclaimers_end(tarn_allocator *allocator);

/* The kind of memory that the stack takes from the device. */
tarn_memory_kind memory_kind_of(tarn_allocator *allocator);
/* OK when the host can read and write the allocator's memory, else NOT_SUPPORTED; `what` needs that. */
tarn_status memory_check_host_access(tarn_allocator *allocator, const char *what);

/* Tells the log which buffers still live, by tag. No lock is held. */
void memory_report_live(tarn_allocator *allocator);

#endif
