/* Giving back what nobody uses; see caching_release.h. */
#include "memory/caching_release.h"

#include "base/memory.h"
#include "memory/caching_heap.h"
#include "memory/caching_memory.h"
#include "memory/caching_physical.h"
#include "memory/caching_segment.h"

/* Unmaps every place of a granule. Places that sleep in other heaps must be idle too. */
static tarn_status unmap_all(caching_physical *physical) {
    for (caching_place *place = physical->places; place != NULL; place = place->next) {
        if (!caching_heap_is_idle(place->segment->heap, place->freed_at)) return TARN_BUSY;
    }
    /* The home is the last to go: while it is there, nothing is lost. */
    while (physical->places != NULL) {
        caching_place *place = physical->places;
        if (place == physical->home && place->next != NULL) place = place->next;
        tarn_status status = caching_place_unmap(place);
        if (status != TARN_OK) return status;
    }
    physical->home = NULL;
    return TARN_OK;
}

/* Gives back the granules of a FREE block's whole part, as far as they are idle. */
static tarn_status release_block(caching *owner, memory_block *block, size_t *inout_bytes) {
    caching_segment *segment = caching_segment_of(block);
    caching_parts parts = caching_parts_of(owner, block);
    size_t first = caching_granule_floor(owner, caching_offset(segment, block) + parts.left);
    for (size_t i = first; i < first + parts.whole; i++) {
        caching_physical *physical = segment->places[i].physical;
        tarn_status status = caching_spares_reserve(owner, 4);
        if (status != TARN_OK) return status;
        caching_make_hollow(owner, segment, i, 1);
        status = unmap_all(physical);
        if (status != TARN_OK) {
            caching_make_free(owner, segment, i, 1);
            if (status == TARN_BUSY) continue;
            return status;
        }
        status = caching_release_homeless(owner, physical);
        if (status != TARN_OK) return status;
        *inout_bytes += owner->granule;
    }
    return TARN_OK;
}

/* What failures left without a place. One that is refused again does not keep the others. */
static tarn_status release_all_homeless(caching *owner, size_t *inout_bytes) {
    tarn_status status = TARN_OK;
    caching_physical *kept = owner->homeless;
    owner->homeless = NULL;
    while (kept != NULL) {
        caching_physical *physical = kept;
        kept = physical->next_unused;
        tarn_status result = caching_release_homeless(owner, physical);
        if (result == TARN_OK) *inout_bytes += owner->granule;
        else status = result;
    }
    return status;
}

static tarn_status release_plain(caching_segment *segment, size_t *inout_bytes) {
    size_t size = segment->size;
    if (segment->used_blocks != 0 || !caching_heap_is_idle(segment->heap, caching_segment_freed_at(segment)))
        return TARN_OK;
    tarn_status status = caching_segment_end(segment);
    if (status == TARN_OK) *inout_bytes += size;
    return status;
}

static tarn_status release_memory(caching *owner, caching_segment *segment, size_t *inout_bytes) {
    tarn_status status = TARN_OK;
    for (memory_block *block = segment->first_block; block != NULL && status == TARN_OK;) {
        size_t end = caching_offset(segment, block) + block->capacity;
        if (block->kind == CACHING_FREE && caching_parts_of(owner, block).whole != 0) {
            status = release_block(owner, block, inout_bytes);
        }
        block = end < segment->size ? caching_block_at(segment, end) : NULL;
    }
    return status;
}

/* Ends a segment where no granule is at home. What sleeps there, idle, has its home elsewhere and only loses a second place. */
static tarn_status release_addresses(caching_segment *segment) {
    if (segment->first_block != segment->last_block || segment->first_block->kind != CACHING_HOLLOW) return TARN_OK;
    for (size_t i = 0; i < segment->mapped_count; i++) {
        const caching_place *place = &segment->places[i];
        if (place->physical != NULL && !caching_heap_is_idle(segment->heap, place->freed_at)) return TARN_OK;
    }
    for (size_t i = 0; i < segment->mapped_count; i++) {
        caching_place *place = &segment->places[i];
        tarn_status status = place->physical != NULL ? caching_place_unmap(place) : TARN_OK;
        if (status != TARN_OK) return status;
    }
    return caching_segment_end(segment);
}

/* Frees heaps that have nothing left and whose stream will ask for nothing any more. */
static void release_heaps(caching *owner) {
    for (caching_heap **link = &owner->heaps; *link != NULL;) {
        caching_heap *heap = *link;
        if (heap->stream != NULL || heap->segments != NULL) {
            link = &heap->next;
            continue;
        }
        *link = heap->next;
        caching_forget(heap);
        base_free(heap);
    }
}

tarn_status caching_release_idle(caching *owner, size_t *inout_bytes) {
    tarn_status status = release_all_homeless(owner, inout_bytes);
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        caching_segment *next;
        for (caching_segment *segment = heap->segments; segment != NULL && status == TARN_OK; segment = next) {
            next = segment->next;
            status =
                segment->is_plain ? release_plain(segment, inout_bytes) : release_memory(owner, segment, inout_bytes);
        }
    }
    /* Only now: granules of one heap may have slept in another. */
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        caching_segment *next;
        for (caching_segment *segment = heap->segments; segment != NULL && status == TARN_OK; segment = next) {
            next = segment->next;
            if (!segment->is_plain) status = release_addresses(segment);
        }
    }
    release_heaps(owner);
    caching_spares_trim(owner);
    return status;
}
