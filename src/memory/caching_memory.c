/* Where requests went; see caching_memory.h. A chained hash table from sizes to lists of spots in order of first use. */
#include "memory/caching_memory.h"

#include "base/memory.h"
#include "memory/caching_heap.h"
#include "memory/caching_physical.h"

enum { BUCKETS = 256, SPOTS_PER_SIZE = 1024 };

typedef struct memory {
    struct memory *next;
    size_t size;
    size_t count, capacity;
    caching_spot *spots;
} memory;

struct caching_memories {
    memory *buckets[BUCKETS];
};

static memory **find(const caching_heap *heap, size_t size) {
    memory **link = &heap->memories->buckets[(size * UINT64_C(0x9E3779B97F4A7C15)) >> 56];
    while (*link != NULL && (*link)->size != size) link = &(*link)->next;
    return link;
}

/* Whether no USED block is in the way. */
static bool is_unused(caching_spot spot, size_t size) {
    const memory_block *block = caching_block_at(spot.segment, spot.offset);
    while (block != NULL && block->kind != CACHING_USED) {
        if (caching_offset(spot.segment, block) + block->capacity >= spot.offset + size) return true;
        block = block->neighbours.next;
    }
    return false;
}

bool caching_recall(caching_heap *heap, size_t size, caching_spot *out_spot) {
    if (heap->memories == NULL) return false;
    const memory *known = *find(heap, size);
    if (known == NULL) return false;
    for (size_t i = 0; i < known->count; i++) {
        caching_cost cost;
        caching_spot spot = known->spots[i];
        if (!is_unused(spot, size) || !caching_cost_of(spot.segment, spot.offset, size, SIZE_MAX, &cost)) continue;
        if (cost.maps != 0) continue;
        *out_spot = spot;
        return true;
    }
    return false;
}

/* Whether granules have other places too. Where none has, the addresses are FREE whenever they are not used, and need no memory. */
static bool is_shared(const caching *owner, caching_spot spot, size_t size) {
    size_t last = caching_granule_floor(owner, spot.offset + size - 1);
    for (size_t i = caching_granule_floor(owner, spot.offset); i <= last; i++) {
        if (spot.segment->places[i].physical->places->next != NULL) return true;
    }
    return false;
}

void caching_remember(caching_heap *heap, size_t size, caching_spot spot) {
    if (!is_shared(heap->owner, spot, size)) return;
    if (heap->memories == NULL) heap->memories = base_allocate(1, sizeof *heap->memories);
    if (heap->memories == NULL) return;
    memory **link = find(heap, size);
    memory *known = *link;
    if (known == NULL) {
        known = base_allocate(1, sizeof *known);
        if (known == NULL) return;
        known->size = size;
        *link = known;
    }
    for (size_t i = 0; i < known->count; i++) {
        if (known->spots[i].segment == spot.segment && known->spots[i].offset == spot.offset) return;
    }
    if (known->count == SPOTS_PER_SIZE) return;
    if (known->count == known->capacity) {
        size_t capacity = known->capacity == 0 ? 4 : known->capacity * 2;
        caching_spot *spots = base_reallocate(known->spots, capacity, sizeof *spots);
        if (spots == NULL) return;
        known->spots = spots;
        known->capacity = capacity;
    }
    known->spots[known->count++] = spot;
}

void caching_forget(caching_heap *heap) {
    if (heap->memories == NULL) return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (heap->memories->buckets[i] != NULL) {
            memory *known = heap->memories->buckets[i];
            heap->memories->buckets[i] = known->next;
            base_free(known->spots);
            base_free(known);
        }
    }
    base_free(heap->memories);
    heap->memories = NULL;
}
