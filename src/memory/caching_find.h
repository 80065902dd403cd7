/* Finding memory for a request, the cheapest way first: free memory, memory that sleeps, free memory from elsewhere, new memory; and when the
 * device has no more, what waiting, giving back and reclaiming bring. Called with the allocator's lock held, which may be open for a while. */
#ifndef MEMORY_CACHING_FIND_H
#define MEMORY_CACHING_FIND_H

#include "memory/caching_types.h"

/* A heap has come to rest, by default, after so many requests with hardly a driver call among them. */
#define CACHING_SETTLE_AFTER ((uint64_t)1 << 16)

/* A spot for `size` bytes that is FREE when this returns OK, for a request that the thread's cache could not serve. OUT_OF_MEMORY. */
tarn_status caching_find_spot(caching_heap *heap, const memory_request *request, size_t size, caching_spot *out_spot);

/* The device is about to be asked: the heaps have not come to rest. The caches of threads may be emptied. */
void caching_note_driver(caching *owner);

#endif
