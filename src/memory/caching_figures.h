/* What threads' caches count, and adding it to the allocator's figures.
 *
 * The highest and lowest levels since the last publishing are kept, so that peaks are exact while one thread allocates, and at
 * most the sum of the threads' peaks otherwise. */
#ifndef MEMORY_CACHING_FIGURES_H
#define MEMORY_CACHING_FIGURES_H

#include "memory/caching_cache.h"

/* The lowest bit changes no other bucket than that of size 0, which is never asked for. */
static inline unsigned caching_bucket_of(size_t size) { return 63u ^ (unsigned)__builtin_clzll(size | 1); }

/* A block was handed out for less than it holds. */
static inline void caching_count_rounding(caching_cache *cache, size_t size, size_t capacity) {
    cache->rounding_taken += capacity - size;
    cache->histogram[caching_bucket_of(size)]++;
    cache->histogram[caching_bucket_of(capacity)]--;
}

/* Whether a peak is passed where so little is cached that one may be: `watched` supposes that whatever rounding has cost was paid back, and where
 * sizes are rounded up the exact answer is no each time. */
static inline bool caching_is_at_peak(const caching_cache *cache) {
    size_t bytes = caching_level_bytes(cache->cached);
    return bytes < cache->lowest_bytes ||
           (int64_t)(bytes + cache->rounding_taken - cache->rounding_put) < cache->requested_floor;
}

/* Keeps what may be a peak, and says when the next one may come. The calling thread is in the cache. */
void caching_note_peak(caching_cache *cache);

/* The same for the most that is cached. */
static inline void caching_raise_roof(caching_cache *cache, caching_level cached) {
    cache->highest_bytes = caching_level_bytes(cached);
    cache->roof = cached | CACHING_LEVEL_BLOCKS;
}

/* Counts, for a cache that the caller is in, with the allocator's lock held: blocks that came from elsewhere, or went, by the
 * level that changes so; blocks of all slots that went. */
void caching_count_moved(caching *owner, caching_cache *cache, caching_level change);

/* Publishes what the calling thread's cache has in use, so that peaks of the long way are right; or all figures of a cache that
 * the caller is in. The allocator's lock is held. */
void caching_cache_publish_own(caching *owner);
void caching_cache_publish(caching *owner, caching_cache *cache);

/* Counts what the long way did, with the allocator's lock held. */
void caching_count_allocation(caching *owner, size_t requested, size_t capacity);
void caching_count_free(caching *owner, size_t requested, size_t capacity);

#endif
