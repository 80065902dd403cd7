/* Segments, the stretches of addresses that heaps are made of, and heaps themselves: making them, ending them, handing them on. Called
 * with the allocator's lock held.
 *
 * Addresses cost no memory, but they are not free: page tables, the kernel's and the driver's lists, and other libraries that
 * want some too. So a heap begins with few and doubles them, gives back what nothing is mapped in any more, and serves the
 * next new stream when its own has ended. */
#ifndef MEMORY_CACHING_SEGMENT_H
#define MEMORY_CACHING_SEGMENT_H

#include "memory/caching_types.h"

/* The heap of a stream. When it is first asked for, it is one whose stream has ended, or a new one; before a new one is made, the
 * lock may be released for a while. OUT_OF_MEMORY. */
tarn_status caching_heap_get(caching *owner, tarn_stream *stream, caching_heap **out_heap);

/* Makes a segment with room for `size` bytes: addresses, all HOLLOW, more than asked for unless the system has no more; or one
 * driver allocation of just that size, all FREE. The caller grows the heap (caching_growth.h); the lock is open while the driver works. */
tarn_status caching_segment_reserve(caching_heap *heap, size_t size);
tarn_status caching_segment_allocate(caching_heap *heap, size_t size);
/* Whether nothing of a segment is used, and nothing was that the device may not have finished: no granule is at home in it, unless it is plain. */
bool caching_segment_may_end(const caching_segment *segment);
/* Ends such a segment: what sleeps there only loses a place. When the driver fails, the rest stays as it was. Growth is stopped, and the lock
 * is open while the driver works. */
tarn_status caching_segment_end(caching_segment *segment);
/* The sequence at which a segment without used blocks was last used. */
uint64_t caching_segment_freed_at(const caching_segment *segment);
/* All segments of all heaps in address order: begins, and gives one after the other, NULL at the end. */
void caching_segments_begin(caching *owner);
caching_segment *caching_segments_next(caching *owner);
/* Moves a plain segment without used blocks to another heap of the allocator. */
void caching_segment_migrate(caching_segment *segment, caching_heap *heap);

#endif
