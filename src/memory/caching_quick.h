/* Allocating from and freeing into the calling thread's cache. */
#ifndef MEMORY_CACHING_QUICK_H
#define MEMORY_CACHING_QUICK_H

#include "memory/caching_cache.h"

/* The short ways of the strategy. */
tarn_status caching_allocate_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                     tarn_buffer **out_buffer);
tarn_status caching_free_quickly(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream);
memory_block *caching_take_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream, tarn_allocator *outer);

/* The same for callers that come the long way: a block that is not live yet, its members set; and one whose life has ended,
 * which no other stream uses. NULL and false send them to the heap. Without the allocator's lock. */
memory_block *caching_cache_take(caching *owner, const memory_request *request);
bool caching_cache_put(caching *owner, memory_block *block);

#endif
