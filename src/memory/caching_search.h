/* Where a request goes. Called with the allocator's lock held. */
#ifndef MEMORY_CACHING_SEARCH_H
#define MEMORY_CACHING_SEARCH_H

#include "memory/caching_types.h"

/* A spot in FREE memory for `size` bytes, chosen so that as few unused granules as possible become used: what remains beyond whole
 * granules goes into granules that are in use anyway. False when no FREE block is large enough. */
bool caching_search_free(caching_heap *heap, size_t size, caching_spot *out_spot);

/* A spot where every granule is at home or sleeps and may wake: caching_back makes it FREE without a driver call. This is how a
 * program that repeats itself comes to rest: what was mapped for it once serves it again. */
bool caching_search_sleeping(caching_heap *heap, size_t size, caching_spot *out_spot);

/* A spot among FREE and HOLLOW blocks that caching_back can make FREE; the fewest newly used granules and the fewest
 * driver calls win. False when no gap is large enough. */
bool caching_search_gaps(caching_heap *heap, size_t size, caching_spot *out_spot);

/* Where in a FREE block a request begins that was given the spot at `offset`. What is done once for each page or row of several
 * blocks meets few sets of a processor's cache when all of them begin in the same part of a page. So a request of a granule
 * or more is moved on by less than a page, to another part in each granule, where that touches no further granule and takes
 * no room that requests of its size would use. */
size_t caching_search_colour(const caching *owner, const memory_block *block, size_t offset, size_t size);

/* The bytes of the largest request that needs nothing from the device. */
size_t caching_largest_free(const caching *owner);

#endif
