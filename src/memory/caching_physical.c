/* Physical granules and the places where they are mapped; see caching_physical.h. */
#include "memory/caching_physical.h"

#include "base/memory.h"
#include "base/status.h"
#include "memory/caching_heap.h"
#include "memory/caching_index.h"

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

/* The n-th mark, the oldest being 0. */
static caching_mark *mark_at(caching_heap *heap, unsigned n) {
    return &heap->marks[(heap->first_mark + n) % CACHING_MARKS];
}

void caching_heap_set_mark(caching_heap *heap) {
    if (heap->stream == NULL || heap->mark_count == CACHING_MARKS) return;
    const caching_mark *last = heap->mark_count == 0 ? NULL : mark_at(heap, heap->mark_count - 1);
    if (last != NULL && last->sequence >= heap->sequence) return;
    hal_event *event;
    if (caching_event_get(heap->owner, &event) != TARN_OK) return;
    if (hal_event_record(event, heap->stream) != TARN_OK) {
        caching_event_put(heap->owner, event);
        return;
    }
    caching_mark *mark = mark_at(heap, heap->mark_count);
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

/* Whether a mark is under way that answers for what was freed up to then. */
static bool is_covered(caching_heap *heap, uint64_t freed_at) {
    return heap->mark_count != 0 && mark_at(heap, heap->mark_count - 1)->sequence >= freed_at;
}

void caching_heap_ask(caching_heap *heap, bool is_wanted) {
    poll_marks(heap);
    if (heap->pending_at <= heap->idle || is_covered(heap, heap->pending_at)) return;
    if (heap->mark_count != 0 && !is_wanted) return;
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
    if (!is_covered(heap, freed_at)) {
        caching_heap_set_mark(heap);
        poll_marks(heap);
    }
    return freed_at <= heap->idle;
}

bool caching_heap_take_mark(caching_heap *heap, uint64_t freed_at, caching_mark *out_mark) {
    unsigned i = 0;
    while (i < heap->mark_count && mark_at(heap, i)->sequence < freed_at) i++;
    if (i < heap->mark_count) {
        *out_mark = *mark_at(heap, i);
        for (; i + 1 < heap->mark_count; i++) *mark_at(heap, i) = *mark_at(heap, i + 1);
        heap->mark_count--;
        return true;
    }
    caching_mark mark = {.sequence = heap->sequence};
    if (caching_event_get(heap->owner, &mark.event) != TARN_OK) return false;
    if (hal_event_record(mark.event, heap->stream) != TARN_OK) {
        caching_event_put(heap->owner, mark.event);
        return false;
    }
    heap->sequence++;
    *out_mark = mark;
    return true;
}

uint64_t caching_whole_freed_at(const caching *owner, const memory_block *block) {
    const caching_segment *segment = caching_segment_of(block);
    caching_parts parts = caching_parts_of(owner, block);
    size_t first = caching_granule_floor(owner, caching_offset(segment, block) + parts.left);
    uint64_t latest = 0;
    for (size_t i = first; i < first + parts.whole; i++) {
        if (segment->places[i].freed_at > latest) latest = segment->places[i].freed_at;
    }
    return latest;
}

bool caching_may_wake(const caching_place *place) {
    const caching_place *home = place->physical->home;
    if (home->users != 0) return false;
    caching_heap *heap = home->segment->heap;
    return heap == place->segment->heap || caching_heap_is_idle(heap, home->freed_at);
}

bool caching_may_use(const caching_place *place) {
    return place->physical != NULL && (caching_is_home(place) || caching_may_wake(place));
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
        } else if (place->physical->mark != mark && caching_may_wake(place)) {
            place->physical->mark = mark;
        } else {
            return false;
        }
    }
    *out_cost = cost;
    return cost.occupied <= limit;
}

void caching_place_detach(caching_place *place) {
    caching_physical *physical = place->physical;
    caching_place **link = &physical->places;
    while (*link != NULL && *link != place) link = &(*link)->next;
    if (*link != NULL) *link = place->next;
    place->physical = NULL;
    place->next = NULL;
}

void caching_place_attach(caching_segment *segment, size_t index, caching_physical *physical) {
    caching_place *place = &segment->places[index];
    place->segment = segment;
    place->physical = physical;
    place->next = physical->places;
    physical->places = place;
}

void caching_wake(caching *owner, caching_place *place) {
    caching_place *home = place->physical->home;
    caching_make_hollow(owner, home->segment, caching_place_index(home), 1);
    place->physical->home = place;
    caching_place_note_free(place);
    caching_make_free(owner, place->segment, caching_place_index(place), 1);
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
        if (native == place || native->segment->heap != segment->heap || native->segment->is_ending) continue;
        /* Without host memory it stays where it is. */
        if (caching_spares_reserve(owner, 4) != TARN_OK) return;
        caching_wake(owner, native);
    }
}

caching_physical *caching_physical_create(caching *owner) {
    caching_physical *physical = owner->unused_physicals;
    if (physical == NULL) return base_allocate(1, sizeof *physical);
    owner->unused_physicals = physical->next_unused;
    *physical = (caching_physical){0};
    return physical;
}

void caching_physical_destroy(caching *owner, caching_physical *physical) {
    physical->next_unused = owner->unused_physicals;
    owner->unused_physicals = physical;
}
