/* The invariants of caching_types.h, checked one by one. */
#include "memory/caching_check.h"

#include "base/memory.h"
#include "base/status.h"
#include "memory/caching_heap.h"
#include "memory/caching_index.h"

static tarn_status broken(const caching_segment *segment, const memory_block *block, const char *what) {
    return base_fail(TARN_INTERNAL, "caching: segment %#zx, block %p of %zu bytes: %s", (size_t)segment->address,
                     block == NULL ? NULL : block->address, block == NULL ? 0 : block->capacity, what);
}

static bool is_in_bin(const caching_index *index, const memory_block *block, uint64_t value) {
    const memory_block *found = index->bins[caching_index_bin(value)];
    while (found != NULL && found != block) found = found->idle.lists[index->list].next;
    return found == block;
}

static tarn_status check_free(const caching *owner, const caching_segment *segment, const memory_block *block) {
    caching_parts parts = caching_parts_of(owner, block);
    const caching_heap *heap = segment->heap;
    if (parts.left + parts.right != 0 && !is_in_bin(&heap->pieces, block, block->capacity >> CACHING_PIECE_SHIFT)) {
        return broken(segment, block, "its pieces are not indexed");
    }
    if (parts.whole != 0 && !is_in_bin(&heap->wholes, block, parts.whole))
        return broken(segment, block, "its whole granules are not indexed");
    return TARN_OK;
}

/* Counts a block at the places that it touches. */
static tarn_status check_places(const caching *owner, const caching_segment *segment, const memory_block *block,
                                uint32_t *users) {
    size_t offset = caching_offset(segment, block);
    size_t last = caching_granule_floor(owner, offset + block->capacity - 1);
    for (size_t i = caching_granule_floor(owner, offset); i <= last; i++) {
        const caching_place *place = &segment->places[i];
        bool is_home = segment->is_plain || (place->physical != NULL && place->physical->home == place);
        if (block->kind == CACHING_USED) users[i]++;
        if (block->kind == CACHING_HOLLOW && is_home)
            return broken(segment, block, "it is hollow and has a home granule");
        if (block->kind != CACHING_HOLLOW && !is_home)
            return broken(segment, block, "it has a granule that is not at home");
    }
    return TARN_OK;
}

static tarn_status check_segment(const caching *owner, const caching_segment *segment, size_t *inout_used) {
    uint32_t *users = base_allocate(segment->place_count, sizeof *users);
    if (users == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory to check a segment");
    uintptr_t expected = segment->address;
    size_t used_blocks = 0;
    const memory_block *previous = NULL;
    tarn_status status = TARN_OK;
    for (const memory_block *block = segment->first_block; block != NULL && status == TARN_OK;
         previous = block, block = block->neighbours.next) {
        bool is_used = block->kind == CACHING_USED;
        if ((uintptr_t)block->address != expected || block->capacity == 0)
            status = broken(segment, block, "blocks do not tile the segment");
        if (status == TARN_OK && block->neighbours.previous != previous)
            status = broken(segment, block, "its link back is wrong");
        if (status == TARN_OK && block->home != segment)
            status = broken(segment, block, "it belongs to another segment");
        if (status == TARN_OK && !is_used && previous != NULL && previous->kind == block->kind)
            status = broken(segment, block, "it should be merged with the one before");
        if (status == TARN_OK && !is_used && (atomic_load(&block->life) & 1) != 0)
            status = broken(segment, block, "it is live and not in use");
        if (status == TARN_OK && block->kind == CACHING_FREE) status = check_free(owner, segment, block);
        if (status == TARN_OK) status = check_places(owner, segment, block, users);
        if (is_used) {
            used_blocks++;
            if ((atomic_load(&block->life) & 1) != 0) *inout_used += block->capacity;
        }
        expected += block->capacity;
    }
    if (status == TARN_OK && expected != segment->address + segment->size)
        status = broken(segment, previous, "it is not the last one");
    if (status == TARN_OK && previous != segment->last_block)
        status = broken(segment, previous, "the last block is another");
    if (status == TARN_OK && used_blocks != segment->used_blocks)
        status = broken(segment, NULL, "the count of used blocks is wrong");
    for (size_t i = 0; i < segment->place_count && status == TARN_OK; i++) {
        const caching_place *place = &segment->places[i];
        if (users[i] != place->users) status = broken(segment, place->first, "a granule's count of users is wrong");
        if (status == TARN_OK && place->physical != NULL) {
            const caching_place *found = place->physical->places;
            while (found != NULL && found != place) found = found->next;
            if (found != place) status = broken(segment, place->first, "a place is not among its granule's places");
        }
    }
    base_free(users);
    return status;
}

static tarn_status check_free_granules(const caching *owner, const caching_heap *heap) {
    size_t free_granules = 0;
    for (const caching_segment *segment = heap->segments; segment != NULL; segment = segment->next) {
        for (const memory_block *block = segment->first_block; block != NULL; block = block->neighbours.next)
            if (block->kind == CACHING_FREE) free_granules += caching_parts_of(owner, block).whole;
    }
    if (free_granules == heap->free_granules) return TARN_OK;
    return base_fail(TARN_INTERNAL, "caching: a heap has %zu free granules, the count says %zu", free_granules,
                     heap->free_granules);
}

tarn_status caching_check_all(caching *owner) {
    tarn_status status = TARN_OK;
    size_t used = 0, reserved = 0;
    for (const caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        status = check_free_granules(owner, heap);
        if (status != TARN_OK) return status;
        for (const caching_segment *segment = heap->segments; segment != NULL; segment = segment->next) {
            status = check_segment(owner, segment, &used);
            if (status != TARN_OK) return status;
            if (segment->is_plain) reserved += segment->size;
            for (size_t i = 0; i < segment->place_count; i++) {
                const caching_place *place = &segment->places[i];
                if (place->physical != NULL && place->physical->home == place) reserved += owner->granule;
            }
        }
    }
    for (const caching_physical *physical = owner->homeless; physical != NULL; physical = physical->next_unused) {
        reserved += owner->granule;
    }
    if (reserved != owner->reserved.current) {
        return base_fail(TARN_INTERNAL, "caching: %zu bytes are reserved, the figure says %zu", reserved,
                         (size_t)owner->reserved.current);
    }
    if (used > owner->in_use.current) {
        return base_fail(TARN_INTERNAL, "caching: %zu bytes are in use, the figure says %zu", used,
                         (size_t)owner->in_use.current);
    }
    return TARN_OK;
}
