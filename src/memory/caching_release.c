/* Giving back what nobody uses; see caching_release.h. */
#include "memory/caching_release.h"

#include "base/memory.h"
#include "memory/caching_ahead.h"
#include "memory/caching_growth.h"
#include "memory/caching_heap.h"
#include "memory/caching_memory.h"
#include "memory/caching_physical.h"
#include "memory/caching_segment.h"

static bool is_idle(const caching_physical *physical) {
    for (const caching_place *place = physical->places; place != NULL; place = place->next) {
        if (!caching_heap_is_idle(place->segment->heap, place->freed_at)) return false;
    }
    return true;
}

/* The place of a granule to unmap after `last`, NULL for the first one. The home is the last to go: while it is there, nothing is lost. */
static caching_place *next_to_unmap(const caching_physical *physical, const caching_place *last) {
    if (last == physical->home) return NULL;
    caching_place *place = last == NULL ? physical->places : last->next;
    if (place == physical->home) place = place->next;
    return place == NULL ? physical->home : place;
}

/* Unmaps the places of a granule, and then gives it back. Writes how many were unmapped, and whether it was given back. Without the lock:
 * nobody attaches places while growth is stopped. */
static tarn_status take_apart(const caching *owner, const caching_physical *physical, size_t *out_unmapped,
                              bool *out_is_given_back) {
    tarn_device *device = owner->base.device;
    *out_unmapped = 0;
    *out_is_given_back = false;
    for (caching_place *place = next_to_unmap(physical, NULL); place != NULL; place = next_to_unmap(physical, place)) {
        void *address = caching_place_address(owner, place->segment, caching_place_index(place));
        tarn_status status = hal_virtual_unmap(device, address, 1);
        if (status != TARN_OK) return status;
        ++*out_unmapped;
    }
    tarn_status status = hal_granules_release(device, 1, &physical->handle);
    *out_is_given_back = status == TARN_OK;
    return status;
}

/* A granule without places is given back, or was refused and is kept aside for a later try. */
static void end_homeless(caching *owner, caching_physical *physical, bool is_given_back) {
    if (is_given_back) {
        memory_figure_subtract(&owner->reserved, owner->granule);
        caching_physical_destroy(owner, physical);
    } else {
        physical->next_unused = owner->homeless;
        owner->homeless = physical;
    }
}

/* Gives back one granule of a FREE block's whole part, if it is idle wherever it sleeps. */
static tarn_status release_granule(caching *owner, caching_segment *segment, size_t index, size_t *inout_bytes) {
    caching_physical *physical = segment->places[index].physical;
    if (!is_idle(physical)) return TARN_OK;
    tarn_status status = caching_spares_reserve(owner, 4);
    if (status != TARN_OK) return status;
    size_t begin = index << owner->granule_shift, unmapped;
    memory_block *booked = caching_book(owner, segment, begin, begin + owner->granule);
    memory_block *spares = caching_spares_lay_aside(owner, 2);
    bool is_given_back;
    caching_growth_open(owner);
    status = take_apart(owner, physical, &unmapped, &is_given_back);
    caching_growth_close(owner);
    caching_spares_put_back(owner, spares);
    for (; unmapped != 0; unmapped--) caching_place_detach(next_to_unmap(physical, NULL));
    caching_unbook(owner, booked);
    if (physical->places != NULL) return status;
    caching_make_hollow(owner, segment, index, 1);
    physical->home = NULL;
    end_homeless(owner, physical, is_given_back);
    if (is_given_back) *inout_bytes += owner->granule;
    return status;
}

/* What failures left without a place. One that is refused again does not keep the others. */
static tarn_status release_all_homeless(caching *owner, size_t *inout_bytes) {
    tarn_status status = TARN_OK;
    caching_physical *kept = owner->homeless;
    owner->homeless = NULL;
    while (kept != NULL) {
        caching_physical *physical = kept;
        kept = physical->next_unused;
        caching_growth_open(owner);
        tarn_status result = hal_granules_release(owner->base.device, 1, &physical->handle);
        caching_growth_close(owner);
        end_homeless(owner, physical, result == TARN_OK);
        if (result == TARN_OK) *inout_bytes += owner->granule;
        else status = result;
    }
    return status;
}

static tarn_status release_plain(caching_segment *segment, size_t *inout_bytes) {
    size_t size = segment->size;
    if (!caching_segment_may_end(segment)) return TARN_OK;
    tarn_status status = caching_segment_end(segment);
    if (status == TARN_OK) *inout_bytes += size;
    return status;
}

/* Other threads use the heap meanwhile, so that each granule is looked at when its turn comes. */
static tarn_status release_memory(caching *owner, caching_segment *segment, size_t *inout_bytes) {
    for (size_t i = 0; i < segment->mapped_count;) {
        const memory_block *block = caching_block_at(segment, i << owner->granule_shift);
        size_t end = caching_offset(segment, block) + block->capacity;
        if (block->kind != CACHING_FREE || end < (i + 1) << owner->granule_shift) {
            i = caching_granule_floor(owner, end + owner->granule - 1);
            continue;
        }
        tarn_status status = release_granule(owner, segment, i++, inout_bytes);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

/* Frees heaps that have nothing left and whose stream will ask for nothing any more. */
static void release_heaps(caching *owner) {
    for (caching_heap **link = &owner->heaps; *link != NULL;) {
        caching_heap *heap = *link;
        if (heap->stream != NULL || heap->segments != NULL || heap->holds != 0) {
            link = &heap->next;
            continue;
        }
        *link = heap->next;
        caching_forget(heap);
        base_free(heap);
    }
}

tarn_status caching_release_idle(caching *owner, size_t *inout_bytes) {
    caching_ahead_rest(owner);
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
            if (!segment->is_plain && caching_segment_may_end(segment)) status = caching_segment_end(segment);
        }
    }
    release_heaps(owner);
    caching_spares_trim(owner);
    return status;
}
