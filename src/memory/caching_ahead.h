/* Memory made ahead of need: a thread of the allocator's own asks the driver, so that requests find memory mapped where they would have
 * had to wait until the driver has made it.
 *
 * A heap for which memory had to be made is followed from then on: when fewer than half of `ahead` granules are free in it, the thread makes
 * new ones, behind everything that is used in a segment, until so many are free. It makes them one by one, growing the heap like anybody
 * (caching_growth.h), and lets all go first who wait for the heap: so nobody waits longer for it than the driver takes for one granule.
 *
 * What it makes is free memory like any other: found by requests, taken by other streams' heaps (at once, since no stream has used it), given
 * back with the rest. Granules that are free already count, wherever in the heap they are, so that no heap has more than `ahead` of them
 * because of the thread. It stops, silently, until the heap grows again by itself, when the driver refuses, when the device would be left
 * with less than `ahead` granules, when memory is short, and when memory is given back.
 *
 * Called with the allocator's lock held, except for starting and ending. */
#ifndef MEMORY_CACHING_AHEAD_H
#define MEMORY_CACHING_AHEAD_H

#include "memory/caching_types.h"

/* Starts the thread, which keeps so many bytes ready, rounded up to granules. UNAVAILABLE. */
tarn_status caching_ahead_start(caching *owner, size_t bytes);
/* Ends it, with the driver call that it is in. Nothing where there is none. */
void caching_ahead_end(caching *owner);
/* In the child of a fork, which has no such thread. */
void caching_ahead_renew(caching *owner);

/* Memory had to be made for the heap. */
void caching_ahead_follow(caching_heap *heap);
/* No heap is followed any more. */
void caching_ahead_rest(caching *owner);
/* Waits until the thread has nothing to do. */
void caching_ahead_wait(caching *owner);

/* Has the thread make more memory for the heap. */
void caching_ahead_begin(caching_heap *heap);
/* A request of the heap was served: more is made when little is left. */
static inline void caching_ahead_tell(caching_heap *heap) {
    if (heap->goes_ahead && !heap->is_behind && 2 * heap->free_granules < heap->owner->ahead) caching_ahead_begin(heap);
}

#endif
