/* Magazines on their way from thread to thread: what one thread frees and another asks for. They change hands whole, so that
 * the lock is held for a moment, and no block is touched. */
#ifndef MEMORY_CACHING_SHARED_H
#define MEMORY_CACHING_SHARED_H

#include "memory/caching_cache.h"

/* Gives the spare magazine of the calling thread's slot of that kind away; or fetches one for its empty slot. Each says whether it
 * has. The allocator's lock is held. */
bool caching_shared_spill(caching *owner, size_t capacity, uint32_t stream);
bool caching_shared_refill(caching *owner, size_t capacity, uint32_t stream);
/* Gives all their blocks back to their heaps. The allocator's lock is held. Returns the bytes. */
size_t caching_shared_empty(caching *owner);

#endif
