/* Physical granules and the places where they are mapped; see caching_physical.h. */
#include "memory/caching_physical.h"

#include "base/memory.h"
#include "base/status.h"
#include "memory/caching_heap.h"
#include "memory/caching_index.h"

/* Donors looked at in one search for granules to take. */
enum { DONORS_TRIED = 64 };

tarn_status caching_event_get(caching *owner, hal_event **out_event) {
    if (owner->event_count != 0) {
        *out_event = owner->events[--owner->event_count];
        return TARN_OK;
    }
    return hal_event_create(owner->base.device, out_event);
}

void caching_event_put(caching *owner, hal_event *event) {
    if (owner->event_count == owner->event_capacity) {
        size_t capacity = owner->event_capacity == 0 ? 16 : owner->event_capacity * 2;
        hal_event **events = base_reallocate(owner->events, capacity, sizeof(hal_event *));
        if (events == NULL) {
            hal_event_destroy(event);
            return;
        }
        owner->events = events;
        owner->event_capacity = capacity;
    }
    owner->events[owner->event_count++] = event;
}

void caching_heap_set_mark(caching_heap *heap) {
    if (heap->stream == NULL || heap->mark_count == CACHING_MARKS) return;
    caching_mark *last =
        heap->mark_count == 0 ? NULL : &heap->marks[(heap->first_mark + heap->mark_count - 1) % CACHING_MARKS];
    if (last != NULL && last->sequence >= heap->sequence) return;
    hal_event *event;
    if (caching_event_get(heap->owner, &event) != TARN_OK) return;
    if (hal_event_record(event, heap->stream) != TARN_OK) {
        caching_event_put(heap->owner, event);
        return;
    }
    caching_mark *mark = &heap->marks[(heap->first_mark + heap->mark_count) % CACHING_MARKS];
    mark->event = event;
    mark->sequence = heap->sequence++;
    heap->mark_count++;
}

static void poll_marks(caching_heap *heap) {
    while (heap->mark_count != 0) {
        caching_mark *mark = &heap->marks[heap->first_mark];
        bool complete = false;
        if (hal_event_query(mark->event, &complete) != TARN_OK || !complete) return;
        heap->idle = mark->sequence;
        caching_event_put(heap->owner, mark->event);
        heap->first_mark = (heap->first_mark + 1) % CACHING_MARKS;
        heap->mark_count--;
    }
}

void caching_heap_ask(caching_heap *heap, bool is_wanted) {
    poll_marks(heap);
    if (heap->pending_at != heap->sequence || (heap->mark_count != 0 && !is_wanted)) return;
    caching_heap_set_mark(heap);
    if (heap->mark_count == 1) poll_marks(heap);
}

void caching_heap_settle(caching_heap *heap, uint64_t sequence) {
    if (sequence > heap->idle) heap->idle = sequence;
    while (heap->mark_count != 0 && heap->marks[heap->first_mark].sequence <= heap->idle) {
        caching_event_put(heap->owner, heap->marks[heap->first_mark].event);
        heap->first_mark = (heap->first_mark + 1) % CACHING_MARKS;
        heap->mark_count--;
    }
    if (heap->sequence <= heap->idle) heap->sequence = heap->idle + 1;
}

bool caching_heap_is_idle(caching_heap *heap, uint64_t freed_at) {
    if (heap->stream == NULL || freed_at <= heap->idle) return true;
    poll_marks(heap);
    if (freed_at <= heap->idle) return true;
    if (freed_at == heap->sequence) {
        caching_heap_set_mark(heap);
        poll_marks(heap);
    }
    return freed_at <= heap->idle;
}

static caching_place *place_at(caching_segment *segment, size_t index) {
    caching_place *place = &segment->places[index];
    place->segment = segment;
    return place;
}

static size_t index_of(const caching_place *place) { return (size_t)(place - place->segment->places); }

static void *address_of(const caching_place *place) {
    return (void *)(place->segment->address + /* NOLINT(performance-no-int-to-ptr) */
                    (index_of(place) << place->segment->heap->owner->granule_shift));
}

/* Whether a sleeping place may become the home of its granule now. */
static bool may_wake(const caching_place *place) {
    const caching_place *home = place->physical->home;
    if (home->users != 0) return false;
    caching_heap *heap = home->segment->heap;
    return heap == place->segment->heap || caching_heap_is_idle(heap, home->freed_at);
}

bool caching_may_use(const caching_place *place) {
    return place->physical != NULL && (caching_is_home(place) || may_wake(place));
}

bool caching_cost_of(caching_segment *segment, size_t offset, size_t size, size_t limit, caching_cost *out_cost) {
    caching *owner = segment->heap->owner;
    size_t first = caching_granule_floor(owner, offset), last = caching_granule_floor(owner, offset + size - 1);
    uint32_t mark = ++owner->mark;
    caching_cost cost = {0};
    /* What is at home here stays, so a sleeping place of the same granule in this range cannot wake. */
    for (size_t i = first; i <= last; i++) {
        caching_place *place = &segment->places[i];
        if (!caching_is_home(place)) continue;
        place->physical->mark = mark;
        if (place->users == 0) cost.occupied++;
    }
    for (size_t i = first; i <= last && cost.occupied <= limit; i++) {
        caching_place *place = &segment->places[i];
        if (caching_is_home(place)) continue;
        cost.occupied++;
        if (place->physical == NULL) {
            cost.maps++;
        } else if (place->physical->mark != mark && may_wake(place)) {
            place->physical->mark = mark;
        } else {
            return false;
        }
    }
    *out_cost = cost;
    return cost.occupied <= limit;
}

static void place_detach(caching_physical *physical, caching_place *place) {
    caching_place **link = &physical->places;
    while (*link != NULL && *link != place) link = &(*link)->next;
    if (*link != NULL) *link = place->next;
    place->physical = NULL;
    place->next = NULL;
}

tarn_status caching_place_unmap(caching_place *place) {
    caching *owner = place->segment->heap->owner;
    tarn_status status = hal_virtual_unmap(owner->base.device, address_of(place), 1);
    if (status == TARN_OK) place_detach(place->physical, place);
    return status;
}

static void place_attach(caching_place *place, caching_physical *physical) {
    place->physical = physical;
    place->next = physical->places;
    physical->places = place;
}

/* Makes a sleeping place the home; the old home sleeps. Four spares are at hand. */
static void wake(caching *owner, caching_place *place) {
    caching_place *home = place->physical->home;
    caching_make_hollow(owner, home->segment, index_of(home), 1);
    place->physical->home = place;
    place->freed_at = place->segment->heap->sequence;
    caching_make_free(owner, place->segment, index_of(place), 1);
}

/* Where the granule was mapped first. */
static caching_place *native_of(const caching_physical *physical) {
    caching_place *place = physical->places;
    while (place->next != NULL) place = place->next;
    return place;
}

void caching_give_home(caching *owner, memory_block *block) {
    caching_segment *segment = caching_segment_of(block);
    size_t offset = caching_offset(segment, block);
    size_t first = caching_granule_floor(owner, offset);
    size_t last = caching_granule_floor(owner, offset + block->capacity - 1);
    caching_give(owner, block);
    if (!owner->is_virtual) return;
    for (size_t i = first; i <= last; i++) {
        caching_place *place = &segment->places[i];
        if (place->users != 0 || place->physical->places->next == NULL) continue;
        caching_place *native = native_of(place->physical);
        if (native == place || native->segment->heap != segment->heap) continue;
        /* Without host memory it stays where it is. */
        if (caching_spares_reserve(owner, 4) != TARN_OK) return;
        wake(owner, native);
    }
}

static caching_physical *physical_create(caching *owner) {
    caching_physical *physical = owner->unused_physicals;
    if (physical == NULL) return base_allocate(1, sizeof *physical);
    owner->unused_physicals = physical->next_unused;
    *physical = (caching_physical){0};
    return physical;
}

static void physical_destroy(caching *owner, caching_physical *physical) {
    physical->next_unused = owner->unused_physicals;
    owner->unused_physicals = physical;
}

/* Granules that are on their way to new places. */
typedef struct gathering {
    caching_physical **items;
    size_t count, wanted;
} gathering;

/* Takes granules off the end of a FREE block's whole part. */
static tarn_status take_from(caching *owner, memory_block *block, gathering *gathered) {
    caching_segment *segment = caching_segment_of(block);
    caching_parts parts = caching_parts_of(owner, block);
    size_t end = caching_granule_floor(owner, caching_offset(segment, block) + parts.left +
                                                  (parts.whole << owner->granule_shift));
    size_t take = gathered->wanted - gathered->count;
    if (take > parts.whole) take = parts.whole;
    size_t first = end - take;
    tarn_status status = caching_spares_reserve(owner, 4);
    if (status != TARN_OK) return status;
    if (!owner->has_aliasing) {
        status = hal_virtual_unmap(owner->base.device, address_of(place_at(segment, first)), take);
        if (status != TARN_OK) return status;
    }
    caching_make_hollow(owner, segment, first, take);
    for (size_t i = first; i < end; i++) {
        caching_place *place = &segment->places[i];
        caching_physical *physical = place->physical;
        /* Its home stays known until it has another: only there may it be used again at once. */
        if (!owner->has_aliasing) {
            place_detach(physical, place);
            physical->home = NULL;
        }
        gathered->items[gathered->count++] = physical;
    }
    return TARN_OK;
}

/* Whether the whole part of a FREE block may go elsewhere: to the same heap at once where places can sleep, else when idle. */
static bool may_give(const caching *owner, const memory_block *block, const caching_heap *taker) {
    caching_segment *segment = caching_segment_of(block);
    if (segment->is_plain) return false;
    if (segment->heap == taker && owner->has_aliasing) return true;
    caching_parts parts = caching_parts_of(owner, block);
    size_t first = caching_granule_floor(owner, caching_offset(segment, block) + parts.left);
    uint64_t latest = 0;
    for (size_t i = first; i < first + parts.whole; i++) {
        if (segment->places[i].freed_at > latest) latest = segment->places[i].freed_at;
    }
    return caching_heap_is_idle(segment->heap, latest);
}

/* Takes free granules from a heap, the longest runs first. */
static tarn_status take_from_heap(caching_heap *heap, const caching_heap *taker, gathering *gathered) {
    caching *owner = heap->owner;
    unsigned tried = 0;
    for (unsigned bin = caching_index_last(&heap->wholes); bin < CACHING_INDEX_BINS && bin != 0; bin--) {
        memory_block *next;
        for (memory_block *block = heap->wholes.bins[bin]; block != NULL; block = next) {
            if (gathered->count == gathered->wanted || ++tried > DONORS_TRIED) return TARN_OK;
            next = block->idle.lists[CACHING_LINK_WHOLE].next;
            if (!may_give(owner, block, taker)) continue;
            tarn_status status = take_from(owner, block, gathered);
            if (status != TARN_OK) return status;
        }
    }
    return TARN_OK;
}

static tarn_status create_missing(caching *owner, gathering *gathered) {
    size_t missing = gathered->wanted - gathered->count;
    if (missing == 0) return TARN_OK;
    tarn_backend_granule *handles = base_allocate(missing, sizeof *handles);
    if (handles == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for %zu granules", missing);
    size_t made = 0;
    tarn_status status = TARN_OK;
    while (made < missing && status == TARN_OK) {
        caching_physical *physical = physical_create(owner);
        if (physical == NULL) {
            status = base_fail(TARN_OUT_OF_MEMORY, "no host memory for %zu granules", missing);
        } else {
            gathered->items[gathered->count + made++] = physical;
        }
    }
    if (status == TARN_OK) status = hal_granules_create(owner->base.device, missing, handles);
    for (size_t i = 0; i < made; i++) {
        caching_physical *physical = gathered->items[gathered->count + i];
        if (status == TARN_OK) {
            physical->handle = handles[i];
        } else {
            physical_destroy(owner, physical);
        }
    }
    base_free(handles);
    if (status != TARN_OK) return status;
    gathered->count += missing;
    memory_figure_add(&owner->reserved, missing << owner->granule_shift);
    return TARN_OK;
}

tarn_status caching_release_homeless(caching *owner, caching_physical *physical) {
    tarn_status status = hal_granules_release(owner->base.device, 1, &physical->handle);
    if (status == TARN_OK) {
        memory_figure_subtract(&owner->reserved, owner->granule);
        physical_destroy(owner, physical);
    } else {
        physical->next_unused = owner->homeless;
        owner->homeless = physical;
    }
    return status;
}

/* Gives gathered granules a home again, or back to the device, after something failed. */
static void ungather(caching *owner, gathering *gathered) {
    for (size_t i = 0; i < gathered->count; i++) {
        caching_physical *physical = gathered->items[i];
        caching_place *place = physical->home;
        if (place != NULL) {
            caching_make_free(owner, place->segment, index_of(place), 1);
        } else {
            (void)caching_release_homeless(owner, physical);
        }
    }
}

/* Takes what an earlier failure left without a place. */
static void take_homeless(caching *owner, gathering *gathered) {
    while (owner->homeless != NULL && gathered->count < gathered->wanted) {
        gathered->items[gathered->count++] = owner->homeless;
        owner->homeless = owner->homeless->next_unused;
    }
}

static tarn_status gather(caching_heap *heap, gathering *gathered) {
    caching *owner = heap->owner;
    take_homeless(owner, gathered);
    tarn_status status = take_from_heap(heap, heap, gathered);
    for (caching_heap *other = owner->heaps; other != NULL && status == TARN_OK; other = other->next) {
        if (other != heap && gathered->count < gathered->wanted) status = take_from_heap(other, heap, gathered);
    }
    if (status == TARN_OK) status = create_missing(owner, gathered);
    return status;
}

/* Maps gathered granules at the places of [first, last] that are not home yet. */
static tarn_status map_places(caching_segment *segment, size_t first, size_t last, gathering *gathered) {
    caching *owner = segment->heap->owner;
    tarn_backend_granule *handles = base_allocate(gathered->count, sizeof *handles);
    if (handles == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory to map %zu granules", gathered->count);
    tarn_status status = TARN_OK;
    for (size_t i = first; i <= last && status == TARN_OK;) {
        if (caching_is_home(&segment->places[i])) {
            i++;
            continue;
        }
        size_t count = 0;
        for (; i + count <= last && !caching_is_home(&segment->places[i + count]); count++) {
            handles[count] = gathered->items[gathered->count - 1 - count]->handle;
        }
        status = hal_virtual_map(owner->base.device, address_of(place_at(segment, i)), count, handles);
        if (status != TARN_OK) break;
        for (size_t k = 0; k < count; k++) {
            caching_physical *physical = gathered->items[--gathered->count];
            caching_place *place = place_at(segment, i + k);
            place_attach(place, physical);
            physical->home = place;
            if (i + k >= segment->mapped_count) segment->mapped_count = i + k + 1;
            place->freed_at = segment->heap->sequence;
        }
        caching_make_free(owner, segment, i, count);
        i += count;
    }
    base_free(handles);
    return status;
}

static void hide_range(caching *owner, caching_segment *segment, size_t offset, size_t size, bool hide) {
    for (memory_block *block = caching_block_at(segment, offset);
         block != NULL && caching_offset(segment, block) < offset + size; block = block->neighbours.next) {
        if (block->kind != CACHING_FREE) continue;
        caching_hide(owner, block);
        if (!hide) caching_show(owner, block);
    }
}

tarn_status caching_back(caching_segment *segment, size_t offset, size_t size) {
    caching *owner = segment->heap->owner;
    size_t first = caching_granule_floor(owner, offset), last = caching_granule_floor(owner, offset + size - 1);
    tarn_status status = caching_spares_reserve(owner, 8 + 2 * (last - first + 1));
    if (status != TARN_OK) return status;

    uint32_t mark = ++owner->mark;
    for (size_t i = first; i <= last; i++) {
        caching_place *place = &segment->places[i];
        if (caching_is_home(place)) place->physical->mark = mark;
    }
    gathering gathered = {0};
    for (size_t i = first; i <= last; i++) {
        caching_place *place = &segment->places[i];
        if (caching_is_home(place)) continue;
        if (place->physical != NULL && place->physical->mark != mark && may_wake(place)) {
            place->physical->mark = mark;
            wake(owner, place);
        } else {
            gathered.wanted++;
        }
    }
    if (gathered.wanted == 0) return TARN_OK;
    gathered.items = base_allocate(gathered.wanted, sizeof(caching_physical *));
    if (gathered.items == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory for %zu granules", gathered.wanted);

    /* What is FREE in the range must not be taken for it. */
    hide_range(owner, segment, offset, size, true);
    status = gather(segment->heap, &gathered);
    if (status == TARN_OK) status = caching_spares_reserve(owner, 8 + 2 * (last - first + 1));
    if (status == TARN_OK) status = map_places(segment, first, last, &gathered);
    if (status != TARN_OK) ungather(owner, &gathered);
    hide_range(owner, segment, offset, size, false);
    base_free(gathered.items);
    caching_spares_trim(owner);
    return status;
}
