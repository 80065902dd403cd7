/* Following a plan: which entry a request is, and whether its place is free; see the picture in planned_types.h. */
#ifndef MEMORY_PLANNED_SERVE_H
#define MEMORY_PLANNED_SERVE_H

#include "memory/planned_types.h"

typedef enum planned_answer {
    PLANNED_SERVED,   /* the entry's place is the request's */
    PLANNED_KEPT,     /* it is expected, and stays with the element below */
    PLANNED_DEVIATION /* it is not expected, or its place is not free */
} planned_answer;

/* Finds the entry of a request and moves on in the plan. Where it is served, the entry is live. The lock is held. */
planned_answer planned_serve(planned *self, size_t size, size_t alignment, uint32_t stream, planned_entry **out_entry);
/* Begins to learn anew; the plan that there is serves on. The lock is held. */
void planned_serve_learn(planned *self);
/* The round has ended: it is judged, which may begin learning again, and the plan begins anew. The lock is held. */
void planned_serve_end_round(planned *self);

/* Whether no block lies in the entry's place, at a moment when it is due. */
static inline bool planned_is_free(const planned_plan *plan, const planned_entry *entry) {
    return entry->state == PLANNED_IDLE &&
           (plan->busy == NULL || !base_range_overlaps(plan->busy, (uintptr_t)entry->block->address, entry->size));
}

static inline void planned_take_place(planned_plan *plan, planned_entry *entry) {
    entry->state = PLANNED_LIVE;
    plan->live++;
}

/* The entry of a request that comes just where the plan expects it, and whose place is free; NULL: planned_serve has to look. */
static inline planned_entry *planned_serve_next(planned_plan *plan, size_t size, size_t alignment, uint32_t stream) {
    uint32_t next = plan->next, slot;
    /* Frees that took place in time. */
    while (((slot = plan->slots[next]) & PLANNED_FREES) != 0) {
        if (plan->entries[slot >> 1].state != PLANNED_IDLE) return NULL;
        next++;
    }
    planned_entry *entry = &plan->entries[slot >> 1];
    if (entry->size != size || entry->stream != stream || entry->alignment != alignment || entry->block == NULL ||
        !plan->has_memory || !planned_is_free(plan, entry)) {
        return NULL;
    }
    plan->next = next + 1;
    plan->in_a_row = 0;
    plan->asked++;
    plan->served++;
    entry->served = plan->round;
    planned_take_place(plan, entry);
    return entry;
}

/* The entry of the first request of a round that nobody marks, after one that came wholly as planned: ends that one. NULL, nothing
 * done: planned_serve has to look. The lock is held. */
planned_entry *planned_serve_again(planned *self, size_t size, size_t alignment, uint32_t stream);

#endif
