/* Shared magazines; see caching_shared.h. Each kind of block has a stack of them, chained by what the first block of each says
 * was requested of it, which means nothing while it is cached. */
#include "memory/caching_shared.h"

#include "base/memory.h"
#include "memory/caching_figures.h"
#include "memory/caching_physical.h"

/* More than that of one kind go back to the heap. */
enum { MOST_MAGAZINES = 32 };

struct caching_magazines {
    caching_level unit;
    uint32_t stream;
    uint32_t count;
    tarn_buffer *first;
};

static size_t *link_of(tarn_buffer *magazine) { return &block_behind(magazine)->live.requested; }

static tarn_buffer *next_of(tarn_buffer *magazine) {
    return (tarn_buffer *)(uintptr_t)*link_of(magazine); /* NOLINT(performance-no-int-to-ptr) */
}

static caching_magazines *find(caching *owner, const caching_slot *slot, size_t number) {
    caching_magazines *magazines = &owner->shared[number];
    if (magazines->count == 0) {
        magazines->unit = slot->unit;
        magazines->stream = slot->stream;
    }
    return magazines->unit == slot->unit && magazines->stream == slot->stream ? magazines : NULL;
}

bool caching_shared_spill(caching *owner, size_t capacity, uint32_t stream) {
    caching_cache *cache = caching_recent;
    if (cache->owner != owner) return false;
    caching_slot *slot = caching_slot_find(cache, capacity, stream);
    if (slot == NULL || cache->spares[slot - cache->slots] == NULL) return false;
    if (owner->shared == NULL) owner->shared = base_allocate(CACHING_SLOTS, sizeof *owner->shared);
    if (owner->shared == NULL) return false;
    size_t bytes = slot->magazine * capacity;
    caching_magazines *magazines = find(owner, slot, caching_slot_number(capacity, stream));
    if (magazines == NULL || magazines->count == MOST_MAGAZINES) return false;
    if (bytes > owner->cache_limit - owner->shared_bytes) return false;
    tarn_buffer **spare = &cache->spares[slot - cache->slots];
    *link_of(*spare) = (uintptr_t)magazines->first;
    magazines->first = *spare;
    magazines->count++;
    *spare = NULL;
    owner->shared_bytes += bytes;
    caching_count_moved(owner, cache, -caching_level_of(bytes, slot->magazine));
    return true;
}

bool caching_shared_refill(caching *owner, size_t capacity, uint32_t stream) {
    caching_cache *cache = caching_recent;
    if (owner->shared_bytes == 0 || cache->owner != owner) return false;
    const caching_magazines *known = &owner->shared[caching_slot_number(capacity, stream)];
    if (known->count == 0 || known->unit != caching_level_of(capacity, 1) || known->stream != stream) return false;
    caching_slot *slot = caching_slot_make(cache, capacity, stream);
    if (slot == NULL || slot->head != NULL) return false;
    size_t bytes = slot->magazine * capacity;
    if (caching_level_bytes(cache->cached) + bytes > cache->limit) return false;
    caching_magazines *magazines = &owner->shared[caching_slot_number(capacity, stream)];
    tarn_buffer *magazine = magazines->first;
    magazines->first = next_of(magazine);
    magazines->count--;
    caching_slot_put_magazine(slot, magazine);
    owner->shared_bytes -= bytes;
    caching_count_moved(owner, cache, caching_level_of(bytes, slot->magazine));
    return true;
}

size_t caching_shared_empty(caching *owner) {
    size_t bytes = owner->shared_bytes;
    for (size_t i = 0; i < CACHING_SLOTS && owner->shared_bytes != 0; i++) {
        caching_magazines *magazines = &owner->shared[i];
        while (magazines->first != NULL) {
            tarn_buffer *magazine = magazines->first;
            magazines->first = next_of(magazine);
            owner->shared_bytes -= caching_give_chain(owner, magazine);
        }
        magazines->count = 0;
    }
    return bytes;
}
