/* Physical granules and the places where they are mapped: which of a granule's places is its home. All of it is called with the
 * allocator's lock held. */
#ifndef MEMORY_CACHING_PHYSICAL_H
#define MEMORY_CACHING_PHYSICAL_H

#include "memory/caching_types.h"

/* Whether what a place of that heap was used for, up to that sequence, has finished. Asks the heap's marks, and sets a new one
 * when none covers it yet, so that a later question can be answered. */
bool caching_heap_is_idle(caching_heap *heap, uint64_t freed_at);
/* Sees to it that everything freed so far is covered by a mark. A driver that cannot record leaves it uncovered. */
void caching_heap_set_mark(caching_heap *heap);
/* Takes a mark that answers for what was freed up to that sequence out of the heap's marks, for a caller that waits for it: the earliest one
 * under way, else a new one. False: the driver cannot record. The event is the caller's. */
bool caching_heap_take_mark(caching_heap *heap, uint64_t freed_at, caching_mark *out_mark);
/* Asks the heap's marks for what other heaps' blocks wait for. Sets a new one when none covers the latest of those, and none is under way
 * or they are `is_wanted`. */
void caching_heap_ask(caching_heap *heap, bool is_wanted);
/* Drops the marks up to that one: everything freed up to `sequence` is idle. */
void caching_heap_settle(caching_heap *heap, uint64_t sequence);

/* Events, pooled. */
tarn_status caching_event_get(caching *owner, hal_event **out_event);
void caching_event_put(caching *owner, hal_event *event);

/* Whether the place is home to its physical granule. */
static inline bool caching_is_home(const caching_place *place) {
    return place->physical != NULL && place->physical->home == place;
}

static inline size_t caching_place_index(const caching_place *place) {
    return (size_t)(place - place->segment->places);
}
/* Where a segment's granule of that number lies. */
static inline void *caching_place_address(const caching *owner, const caching_segment *segment, size_t index) {
    return (void *)(segment->address + (index << owner->granule_shift)); /* NOLINT(performance-no-int-to-ptr) */
}

/* Nothing at the place is used any more by the host; by the stream, what came before. */
static inline void caching_place_note_free(caching_place *place) {
    caching_heap *heap = place->segment->heap;
    place->freed_at = heap->freed_at = heap->sequence;
}

/* The sequence at which a FREE block's whole granules were used last; 0 where it has none. */
uint64_t caching_whole_freed_at(const caching *owner, const memory_block *block);

/* Whether a sleeping place may become the home of its granule now. */
bool caching_may_wake(const caching_place *place);
/* Whether what is mapped at the place is at home there, or may be at once. */
bool caching_may_use(const caching_place *place);
/* Makes a sleeping place the home; the old home sleeps. Four spares are at hand. */
void caching_wake(caching *owner, caching_place *place);

/* Makes a place of a segment one of a granule's places, which changes nothing about its home; or none of them any more. */
void caching_place_attach(caching_segment *segment, size_t index, caching_physical *physical);
void caching_place_detach(caching_place *place);

/* The structure of a granule, without memory. NULL when there is no host memory. */
caching_physical *caching_physical_create(caching *owner);
void caching_physical_destroy(caching *owner, caching_physical *physical);

/* Makes a USED block FREE, and lets the granules that it leaves unused go back to the places where they were mapped first, as far as
 * those are in the same heap. So a heap that is empty again looks as it did before, and a program that repeats itself
 * meets the same state in each round. */
void caching_give_home(caching *owner, memory_block *block);

/* What it takes to make [offset, offset + size) of a segment, which no USED block overlaps, FREE. */
typedef struct caching_cost {
    size_t occupied; /* granules that become used and were not */
    size_t maps;     /* granules that the driver has to map */
} caching_cost;
/* False when a place in it sleeps and cannot wake, or when `occupied` passes `limit`. Such a place is never mapped over: its granule
 * may need it again, and unmapping would have to wait for the device. */
bool caching_cost_of(caching_segment *segment, size_t offset, size_t size, size_t limit, caching_cost *out_cost);

#endif
