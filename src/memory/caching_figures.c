/* Figures of threads' caches; see caching_figures.h. */
#include "memory/caching_figures.h"

#include <assert.h>

#include "base/checked.h"
#include "memory/caching_gate.h"

/* By how much more is requested than when the cache was last published. */
static int64_t requested_since(const caching_cache *cache) {
    return (int64_t)(caching_level_bytes(cache->published) - caching_level_bytes(cache->cached) -
                     cache->rounding_taken + cache->rounding_put);
}

/* Keeps what may be a peak, and says when the next one may come. */
void caching_note_peak(caching_cache *cache) {
    int64_t requested = requested_since(cache);
    size_t bytes = caching_level_bytes(cache->cached);
    if (requested > cache->most_requested) cache->most_requested = requested;
    if (bytes < cache->lowest_bytes) cache->lowest_bytes = bytes;
    cache->requested_floor = (int64_t)caching_level_bytes(cache->published) - cache->most_requested;
    uint64_t level = caching_level_bytes(cache->published) + cache->rounding;
    uint64_t known = (uint64_t)cache->most_requested;
    /* Rounded up to what a level tells apart: rather too early than too late. */
    size_t next = level > known ? round_up(level - known, (size_t)64) : 0;
    cache->watched = caching_level_of(next > cache->lowest_bytes ? next : cache->lowest_bytes, 0);
}

/* What the allocator's figures say is below zero while a thread has taken blocks out of its cache that another has given back the long
 * way, until the first publishes. They wrap around then, and sums that are right in the end must not be cut off on the way. */
static bool is_below_zero(uint64_t current) { return (int64_t)current < 0; }

static uint64_t idle_of(const caching *owner, uint64_t in_use) {
    if (is_below_zero(in_use)) return owner->reserved.current;
    return owner->reserved.current > in_use ? owner->reserved.current - in_use : 0;
}

/* From here on is counted what changes. */
static void begin_counting(const caching *owner, caching_cache *cache) {
    size_t bytes = caching_level_bytes(cache->cached), idle = idle_of(owner, owner->in_use.current);
    /* Not above the limit, which the long way sees to. */
    size_t room = owner->cached.peak > idle ? owner->cached.peak - idle : 0;
    size_t roof = bytes + room < cache->limit ? bytes + room : cache->limit;
    cache->published = cache->cached;
    cache->roof = caching_level_of(roof & ~(size_t)63, 0) | CACHING_LEVEL_BLOCKS;
    cache->fewest_blocks = caching_level_blocks(cache->cached);
    cache->lowest_bytes = cache->highest_bytes = bytes;
    cache->rounding_taken = cache->rounding_put = 0;
    cache->most_requested = 0;
    cache->rounding = owner->in_use.current - owner->requested.current;
    caching_note_peak(cache);
}

static void note_highest(tarn_figure *figure, uint64_t current) {
    if (!is_below_zero(current) && current > figure->peak) figure->peak = current;
}

/* What was cached is in use now, or the other way round. */
static void publish_change(tarn_figure *figure, uint64_t change, uint64_t most) {
    note_highest(figure, figure->current + most);
    figure->current += change;
}

static void count_one_more(tarn_figure *figure, uint64_t amount) {
    figure->current += amount;
    figure->total = saturating_add(figure->total, amount);
    note_highest(figure, figure->current);
}

/* A remote thread is in the cache, or it is the caller's own. */
static void publish_changes(caching *owner, caching_cache *cache) {
    size_t bytes = caching_level_bytes(cache->published), blocks = caching_level_blocks(cache->published);
    uint64_t idle = idle_of(owner, owner->in_use.current - (cache->highest_bytes - bytes));
    if (idle > owner->cached.peak) owner->cached.peak = idle;
    publish_change(&owner->requested, (uint64_t)requested_since(cache), (uint64_t)cache->most_requested);
    publish_change(&owner->in_use, bytes - caching_level_bytes(cache->cached), bytes - cache->lowest_bytes);
    publish_change(&owner->blocks, blocks - caching_level_blocks(cache->cached), blocks - cache->fewest_blocks);
    cache->rounding_total += cache->rounding_taken;
    begin_counting(owner, cache);
}

/* Counts what the slots have handed out since they were last asked. Returns the bytes of it. */
static uint64_t drain_taken(caching *owner, caching_slot *slots) {
    uint64_t bytes = 0;
    for (caching_slot *slot = slots; slot < slots + CACHING_SLOTS; slot++) {
        if (slot->taken == 0) continue;
        size_t capacity = caching_level_bytes(slot->unit);
        bytes += slot->taken * capacity;
        owner->histogram[memory_histogram_bucket(capacity)] += slot->taken;
        slot->put = caching_slot_count(slot);
        slot->taken = 0;
    }
    return bytes;
}

void caching_cache_publish(caching *owner, caching_cache *cache) {
    publish_changes(owner, cache);
    uint64_t handed_out = cache->handed_out + drain_taken(owner, cache->slots);
    owner->in_use.total = saturating_add(owner->in_use.total, handed_out);
    owner->requested.total = saturating_add(owner->requested.total, handed_out - cache->rounding_total);
    cache->handed_out = cache->rounding_total = 0;
    for (unsigned i = 0; i < sizeof cache->histogram / sizeof cache->histogram[0]; i++) {
        owner->histogram[memory_histogram_bucket((size_t)1 << i)] += cache->histogram[i];
        cache->histogram[i] = 0;
    }
}

void caching_count_moved(caching *owner, caching_cache *cache, caching_level change) {
    publish_changes(owner, cache);
    cache->cached += change;
    begin_counting(owner, cache);
}

void caching_cache_publish_own(caching *owner) {
    caching_cache *cache = caching_recent;
    if (cache->owner == owner) publish_changes(owner, cache);
}

/* Tells the calling thread's cache what the long way did. Each long way has published the cache when it took the allocator's lock, and
 * holds the lock since: who else reaches into the cache, with its gate closed, publishes it, and the thread itself is here. */
static void begin_own(const caching *owner) {
    caching_cache *cache = caching_recent;
    if (cache->owner != owner) return;
    /* Beginning anew loses nothing. */
    assert(cache->cached == cache->published && cache->rounding_taken == 0 && cache->rounding_put == 0);
    assert(cache->most_requested == 0);
    begin_counting(owner, cache);
}

void caching_count_allocation(caching *owner, size_t requested, size_t capacity) {
    count_one_more(&owner->requested, requested);
    count_one_more(&owner->in_use, capacity);
    count_one_more(&owner->blocks, 1);
    owner->histogram[memory_histogram_bucket(requested)]++;
    begin_own(owner);
}

void caching_count_free(caching *owner, size_t requested, size_t capacity) {
    owner->requested.current -= requested;
    owner->in_use.current -= capacity;
    owner->blocks.current--;
    uint64_t idle = idle_of(owner, owner->in_use.current);
    if (idle > owner->cached.peak) owner->cached.peak = idle;
    begin_own(owner);
}
