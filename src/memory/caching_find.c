/* Finding memory for a request; see caching_find.h. */
#include "memory/caching_find.h"

#include <tarn/size.h>

#include "base/checked.h"
#include "base/status.h"
#include "memory/caching_ahead.h"
#include "memory/caching_back.h"
#include "memory/caching_cache.h"
#include "memory/caching_growth.h"
#include "memory/caching_memory.h"
#include "memory/caching_pending.h"
#include "memory/caching_physical.h"
#include "memory/caching_release.h"
#include "memory/caching_search.h"
#include "memory/caching_segment.h"

/* Plain segments, for devices without virtual memory: small requests share small segments, middle ones larger ones. */
enum { SMALL_REQUEST = 1 << 20, SMALL_SEGMENT = 2 << 20, MIDDLE_REQUEST = 10 << 20, MIDDLE_SEGMENT = 20 << 20 };

/* A block in a thread's cache cannot be merged, so threads cache only once the heaps have come to rest: while memory still grows,
 * merging is what keeps it small. They are at rest after so many requests with hardly a driver call among them: each
 * call takes back what a part of them has earned. */
enum { SETTLE_PARTS = 16 };

/* One call now and then does not disturb; so many that nothing earned is left end the rest, which
 * then has to be earned anew, and for longer. */
void caching_note_driver(caching *owner) {
    uint64_t part = owner->settle_after / SETTLE_PARTS;
    owner->quiet -= owner->quiet < part ? owner->quiet : part;
    if (owner->settle_after == 0 || !atomic_load_explicit(&owner->is_settled, memory_order_relaxed)) return;
    if (owner->quiet != 0) return;
    caching_caches_settle(owner, false);
    if (owner->settle_after < UINT64_MAX / 2) owner->settle_after *= 2;
}

/* The heaps serve a request. */
static void note_request(caching *owner) {
    if (owner->quiet >= owner->settle_after) return;
    if (++owner->quiet == owner->settle_after && !atomic_load_explicit(&owner->is_settled, memory_order_relaxed))
        caching_caches_settle(owner, true);
}

/* Puts memory behind a spot, and remembers it. */
static tarn_status back(caching_heap *heap, size_t size, caching_spot spot, caching_spot *out_spot) {
    tarn_status status = caching_back(spot.segment, spot.offset, size);
    if (status != TARN_OK) return status;
    caching_remember(heap, size, spot);
    *out_spot = spot;
    return TARN_OK;
}

/* A spot where what sleeps can be woken. */
static bool find_sleeping(caching_heap *heap, size_t size, caching_spot *out_spot) {
    if (!heap->owner->is_virtual) return false;
    return caching_recall(heap, size, out_spot) || caching_search_sleeping(heap, size, out_spot);
}

/* Unmapped addresses, and memory for them. The caller grows the heap. */
static tarn_status grow_virtual(caching_heap *heap, size_t size, caching_spot *out_spot) {
    caching_spot spot;
    caching_note_driver(heap->owner);
    if (!caching_search_gaps(heap, size, &spot)) {
        tarn_status status = caching_segment_reserve(heap, size);
        if (status != TARN_OK) return status;
        if (!caching_search_gaps(heap, size, &spot)) return base_fail(TARN_INTERNAL, "a new segment has no room");
    }
    return back(heap, size, spot, out_spot);
}

/* Takes over the smallest idle segment of another stream that is large enough, and not much larger than a new one would be: a small
 * block in a large segment keeps all of it from the device. */
static bool migrate_segment(caching_heap *heap, size_t size, size_t new_size) {
    caching_segment *best = NULL;
    for (caching_heap *other = heap->owner->heaps; other != NULL; other = other->next) {
        if (other == heap) continue;
        for (caching_segment *segment = other->segments; segment != NULL; segment = segment->next) {
            if (segment->used_blocks != 0 || segment->size < size || segment->size / 2 > new_size) continue;
            if (best != NULL && best->size <= segment->size) continue;
            if (caching_heap_is_idle(other, caching_segment_freed_at(segment))) best = segment;
        }
    }
    if (best != NULL) caching_segment_migrate(best, heap);
    return best != NULL;
}

/* What a plain segment for a request has, at the least and as it is first asked for. */
static size_t exact_size(const caching *owner, size_t size) { return round_up(size, owner->granule); }
static size_t wanted_size(const caching *owner, size_t size) {
    if (size <= SMALL_REQUEST) return SMALL_SEGMENT;
    return size < MIDDLE_REQUEST ? MIDDLE_SEGMENT : exact_size(owner, size);
}

/* Whether a new segment for the request would pass what may be reserved while idle memory is cached. */
static bool is_above_gc(const caching *owner, size_t size) {
    if (owner->is_virtual || owner->gc <= 0) return false;
    double memory = (double)hal_device_properties(owner->base.device)->memory_total;
    /* As numbers that do not wrap: two requests at once may each ask for half of all addresses. */
    double above = (double)owner->reserved.current + (double)owner->asked + (double)wanted_size(owner, size);
    return above > owner->gc * memory;
}

/* A plain segment. The caller grows the heap, and has stopped all other growth where the request is above the gc rule. */
static tarn_status grow_plain(caching_heap *heap, size_t size, caching_spot *out_spot) {
    caching *owner = heap->owner;
    size_t exact = exact_size(owner, size), wanted = wanted_size(owner, size);
    if (!migrate_segment(heap, size, wanted)) {
        caching_note_driver(owner);
        if (is_above_gc(owner, size)) {
            size_t released = 0;
            tarn_status status = caching_release_idle(owner, &released);
            if (status != TARN_OK) return status;
        }
        tarn_status status = caching_segment_allocate(heap, wanted);
        if (status == TARN_OUT_OF_MEMORY && wanted > exact) status = caching_segment_allocate(heap, exact);
        if (status != TARN_OK) return status;
    }
    if (!caching_search_free(heap, size, out_spot)) return base_fail(TARN_INTERNAL, "a new segment has no room");
    return TARN_OK;
}

static tarn_status grow(caching_heap *heap, size_t size, caching_spot *out_spot) {
    return heap->owner->is_virtual ? grow_virtual(heap, size, out_spot) : grow_plain(heap, size, out_spot);
}

/* Refuses what no driver need be asked for. */
static tarn_status check_size(const caching *owner, size_t size) {
    uint64_t memory = hal_device_properties(owner->base.device)->memory_total;
    size_t exact;
    if (owner->is_virtual && size > memory) {
        char total[TARN_SIZE_TEXT];
        return base_fail(TARN_OUT_OF_MEMORY, "the device has %s in all", tarn_size_format(memory, total));
    }
    if (checked_round_up(size, owner->granule, &exact)) return TARN_OK;
    return base_fail(TARN_OUT_OF_MEMORY, "the size is too large");
}

/* A spot that is FREE when this returns OK, found while no other thread grows: what the driver refuses then, it does not have. */
static tarn_status find_alone(caching_heap *heap, size_t size, bool gives_back, caching_spot *out_spot) {
    caching *owner = heap->owner;
    size_t released = 0;
    tarn_status status = check_size(owner, size);
    if (status != TARN_OK) return status;
    /* It drops references to streams, and so may wait for one. */
    (void)caching_pending_poll(owner, true);
    caching_growth_stop(owner);
    if (gives_back) status = caching_release_idle(owner, &released);
    if (status == TARN_OK && !caching_search_free(heap, size, out_spot)) {
        caching_spot spot;
        status = find_sleeping(heap, size, &spot) ? back(heap, size, spot, out_spot) : grow(heap, size, out_spot);
    }
    caching_growth_resume(owner);
    return status;
}

/* A spot for `size` bytes that is FREE when this returns OK. */
static tarn_status find_spot(caching_heap *heap, size_t size, caching_spot *out_spot) {
    caching *owner = heap->owner;
    do {
        (void)caching_pending_poll(owner, false);
        if (caching_search_free(heap, size, out_spot)) return TARN_OK;
        if (caching_pending_poll(owner, true) && caching_search_free(heap, size, out_spot)) return TARN_OK;
        /* Nothing new is asked for while what the thread's own cache holds would do. */
        if (caching_cache_flush_own(owner) != 0 && caching_search_free(heap, size, out_spot)) return TARN_OK;
        tarn_status status = check_size(owner, size);
        if (status != TARN_OK) return status;
        caching_spot spot;
        if (find_sleeping(heap, size, &spot)) return back(heap, size, spot, out_spot);
        if (is_above_gc(owner, size)) return find_alone(heap, size, false, out_spot);
    } while (!caching_growth_begin(heap));
    tarn_status status = grow(heap, size, out_spot);
    caching_growth_end(heap);
    return status;
}

/* The device has no more: everything that can be had without it is tried, the cheapest first. */
static tarn_status find_at_any_cost(caching_heap *heap, const memory_request *request, size_t size,
                                    caching_spot *out_spot) {
    caching *owner = heap->owner;
    owner->retries++;
    caching_ahead_rest(owner);
    caching_caches_flush(owner);
    tarn_status status = find_alone(heap, size, false, out_spot);
    if (status != TARN_OUT_OF_MEMORY) return status;
    /* Where granules may be at two places, what is free on the stream itself has served already, busy or not. */
    (void)caching_settle_useful(owner, owner->is_virtual && owner->has_aliasing ? heap : NULL);
    status = find_alone(heap, size, false, out_spot);
    if (status != TARN_OUT_OF_MEMORY) return status;
    (void)caching_settle_useful(owner, NULL);
    status = find_alone(heap, size, true, out_spot);
    while (status == TARN_OUT_OF_MEMORY) {
        pthread_mutex_unlock(&owner->lock);
        size_t reclaimed = memory_reclaim(request->outer, size);
        pthread_mutex_lock(&owner->lock);
        if (reclaimed == 0) return base_fail(TARN_OUT_OF_MEMORY, "no more memory, and nothing to reclaim");
        caching_caches_flush(owner);
        (void)caching_settle_useful(owner, NULL);
        status = find_alone(heap, size, true, out_spot);
    }
    return status;
}

tarn_status caching_find_spot(caching_heap *heap, const memory_request *request, size_t size, caching_spot *out_spot) {
    note_request(heap->owner);
    tarn_status status = find_spot(heap, size, out_spot);
    return status == TARN_OUT_OF_MEMORY ? find_at_any_cost(heap, request, size, out_spot) : status;
}
