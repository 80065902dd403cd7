/* Segments and the heaps that have them; see caching_segment.h. */
#include "memory/caching_segment.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/caching_growth.h"
#include "memory/caching_heap.h"
#include "memory/caching_memory.h"
#include "memory/caching_pending.h"
#include "memory/caching_physical.h"

/* A heap's first segment has room for this part of the device's memory, and for so many granules at least. Each further
 * one doubles what the heap has, until it has room for the memory so many times. */
enum { FIRST_PART = 16, FIRST_GRANULES = 32, ADDRESSES_PER_MEMORY = 4 };

/* A heap whose stream has ended serves the new stream: its addresses, with all that is mapped there, and what it remembers
 * of where requests went. Blocks of the old stream that are in use still stay of that stream until they come back. */
static void heap_renew(caching_heap *heap, tarn_stream *stream) {
    heap->stream_number = hal_stream_number(stream);
    heap->stream = stream;
    for (caching_segment *segment = heap->segments; segment != NULL; segment = segment->next) {
        for (memory_block *block = segment->first_block; block != NULL; block = block->neighbours.next) {
            if (block->kind != CACHING_USED) block->stream = heap->stream_number;
        }
    }
}

/* The heap of that stream, NULL for none; and one whose stream has ended, if there is any. */
static caching_heap *find_heap(caching *owner, uint32_t number, caching_heap **out_ended) {
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        if (heap->stream_number == number) return heap;
        if (heap->stream == NULL) *out_ended = heap;
    }
    return NULL;
}

tarn_status caching_heap_get(caching *owner, tarn_stream *stream, caching_heap **out_heap) {
    uint32_t number = hal_stream_number(stream);
    caching_heap *ended = NULL, *known = find_heap(owner, number, &ended);
    /* Blocks that wait for a stream keep it from ending. */
    if (known == NULL && caching_pending_poll(owner, true)) {
        ended = NULL;
        known = find_heap(owner, number, &ended);
    }
    if (known == NULL && ended != NULL) {
        heap_renew(ended, stream);
        known = ended;
    }
    if (known != NULL) {
        *out_heap = known;
        return TARN_OK;
    }
    caching_heap *heap = base_allocate(1, sizeof *heap);
    if (heap == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a stream's heap");
    heap->owner = owner;
    heap->stream_number = number;
    heap->stream = stream;
    heap->pieces.list = CACHING_LINK_PIECES;
    heap->wholes.list = CACHING_LINK_WHOLE;
    heap->sequence = 1;
    heap->next = owner->heaps;
    owner->heaps = heap;
    *out_heap = heap;
    return TARN_OK;
}

/* Its address is known: a heap's segments are in address order. */
static void segment_link(caching_segment *segment, caching_heap *heap) {
    caching_segment **link = &heap->segments;
    while (*link != NULL && (*link)->address < segment->address) link = &(*link)->next;
    segment->heap = heap;
    segment->next = *link;
    *link = segment;
}

void caching_segments_begin(caching *owner) {
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) heap->shown = heap->segments;
}

caching_segment *caching_segments_next(caching *owner) {
    caching_heap *lowest = NULL;
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        if (heap->shown != NULL && (lowest == NULL || heap->shown->address < lowest->shown->address)) lowest = heap;
    }
    if (lowest == NULL) return NULL;
    caching_segment *segment = lowest->shown;
    lowest->shown = segment->next;
    return segment;
}

/* The structure of a segment, which has no address yet, and a descriptor at hand for it. */
static tarn_status segment_create(caching_heap *heap, size_t size, caching_segment **out_segment) {
    caching *owner = heap->owner;
    tarn_status status = caching_spares_reserve(owner, 1);
    if (status != TARN_OK) return status;
    caching_segment *segment = base_allocate(1, sizeof *segment);
    if (segment == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a segment");
    segment->heap = heap;
    segment->size = size;
    /* A plain segment's size need not be a multiple of the granule. */
    segment->place_count = caching_granule_floor(owner, size + owner->granule - 1);
    segment->places = base_allocate(segment->place_count, sizeof *segment->places);
    if (segment->places == NULL) {
        size_t count = segment->place_count;
        base_free(segment);
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory for the %zu granules of a segment", count);
    }
    *out_segment = segment;
    return TARN_OK;
}

static void segment_destroy(caching_segment *segment) {
    base_free(segment->places);
    base_free(segment);
}

static tarn_status segment_reserve(caching_heap *heap, size_t size) {
    caching_segment *segment;
    tarn_status status = segment_create(heap, size, &segment);
    if (status != TARN_OK) return status;
    caching *owner = heap->owner;
    memory_block *spare = caching_spares_lay_aside(owner, 1);
    void *address;
    caching_growth_open(owner);
    status = hal_virtual_reserve(owner->base.device, size, &address);
    caching_growth_close(owner);
    caching_spares_put_back(owner, spare);
    if (status != TARN_OK) {
        segment_destroy(segment);
        return status;
    }
    caching_tile(segment, address, CACHING_HOLLOW);
    segment_link(segment, heap);
    return TARN_OK;
}

/* How large the next segment should be: whole granules. */
static size_t next_size(const caching_heap *heap) {
    const caching *owner = heap->owner;
    uint64_t memory = hal_device_properties(owner->base.device)->memory_total, has = 0;
    if (memory > SIZE_MAX / 2 / ADDRESSES_PER_MEMORY) memory = SIZE_MAX / 2 / ADDRESSES_PER_MEMORY;
    for (const caching_segment *segment = heap->segments; segment != NULL; segment = segment->next)
        has += segment->size;
    uint64_t limit = memory * ADDRESSES_PER_MEMORY, size = has;
    if (has == 0) size = memory / FIRST_PART;
    if (size < (uint64_t)FIRST_GRANULES << owner->granule_shift)
        size = (uint64_t)FIRST_GRANULES << owner->granule_shift;
    if (size > limit - (has < limit ? has : limit)) size = limit - (has < limit ? has : limit);
    return round_down((size_t)size, owner->granule);
}

tarn_status caching_segment_reserve(caching_heap *heap, size_t size) {
    size_t wanted = next_size(heap);
    if (!checked_round_up(size, heap->owner->granule, &size)) return TARN_OUT_OF_MEMORY;
    for (;;) {
        if (wanted < size) wanted = size;
        tarn_status status = segment_reserve(heap, wanted);
        if (status == TARN_OK || wanted == size) return status;
        wanted = round_up(wanted / 2, heap->owner->granule);
    }
}

tarn_status caching_segment_allocate(caching_heap *heap, size_t size) {
    caching *owner = heap->owner;
    caching_segment *segment;
    tarn_status status = segment_create(heap, size, &segment);
    if (status != TARN_OK) return status;
    memory_block *spare = caching_spares_lay_aside(owner, 1);
    void *address;
    owner->asked += size;
    caching_growth_open(owner);
    status = hal_memory_allocate(owner->base.device, owner->kind, size, owner->alignment, &address);
    caching_growth_close(owner);
    owner->asked -= size;
    caching_spares_put_back(owner, spare);
    if (status != TARN_OK) {
        segment_destroy(segment);
        return status;
    }
    segment->is_plain = true;
    caching_tile(segment, address, CACHING_FREE);
    segment_link(segment, heap);
    memory_figure_add(&owner->reserved, size);
    return TARN_OK;
}

static void segment_unlink(caching_segment *segment) {
    caching_forget(segment->heap);
    caching_segment **link = &segment->heap->segments;
    while (*link != segment) link = &(*link)->next;
    *link = segment->next;
}

bool caching_segment_may_end(const caching_segment *segment) {
    if (segment->first_block != segment->last_block) return false;
    if (segment->first_block->kind != (segment->is_plain ? CACHING_FREE : CACHING_HOLLOW)) return false;
    if (segment->is_plain) return caching_heap_is_idle(segment->heap, caching_segment_freed_at(segment));
    for (size_t i = 0; i < segment->mapped_count; i++) {
        const caching_place *place = &segment->places[i];
        if (place->physical != NULL && !caching_heap_is_idle(segment->heap, place->freed_at)) return false;
    }
    return true;
}

/* Unmaps what sleeps in a segment, and ends its addresses. Writes how many places were looked at until the driver refused. Without the
 * lock: nobody attaches places while growth is stopped. */
static tarn_status release_addresses(const caching *owner, caching_segment *segment, size_t *out_done) {
    for (*out_done = 0; *out_done < segment->mapped_count; ++*out_done) {
        if (segment->places[*out_done].physical == NULL) continue;
        void *address = caching_place_address(owner, segment, *out_done);
        tarn_status status = hal_virtual_unmap(owner->base.device, address, 1);
        if (status != TARN_OK) return status;
    }
    return hal_virtual_release(owner->base.device, (void *)segment->address, segment->size); /* NOLINT */
}

tarn_status caching_segment_end(caching_segment *segment) {
    caching *owner = segment->heap->owner;
    size_t done = 0;
    /* The blocks of it are one block, so that this needs no spares. */
    memory_block *booked = caching_book(owner, segment, 0, segment->size);
    segment->is_ending = true;
    caching_growth_open(owner);
    tarn_status status = segment->is_plain ? hal_memory_free(owner->base.device, owner->kind, (void *)segment->address,
                                                             segment->size) /* NOLINT */
                                           : release_addresses(owner, segment, &done);
    caching_growth_close(owner);
    segment->is_ending = false;
    for (size_t i = 0; i < done; i++)
        if (segment->places[i].physical != NULL) caching_place_detach(&segment->places[i]);
    if (status != TARN_OK) {
        caching_unbook(owner, booked);
        if (!segment->is_plain) caching_make_hollow(owner, segment, 0, segment->place_count);
        return status;
    }
    if (segment->is_plain) memory_figure_subtract(&owner->reserved, segment->size);
    segment_unlink(segment);
    caching_untile(segment);
    segment_destroy(segment);
    return TARN_OK;
}

uint64_t caching_segment_freed_at(const caching_segment *segment) {
    uint64_t latest = 0;
    for (size_t i = 0; i < segment->place_count; i++) {
        if (segment->places[i].freed_at > latest) latest = segment->places[i].freed_at;
    }
    return latest;
}

void caching_segment_migrate(caching_segment *segment, caching_heap *heap) {
    caching *owner = heap->owner;
    memory_block *block = segment->first_block;
    caching_hide(owner, block);
    segment_unlink(segment);
    segment_link(segment, heap);
    block->stream = heap->stream_number;
    for (size_t i = 0; i < segment->place_count; i++) segment->places[i].freed_at = 0;
    caching_show(owner, block);
}
