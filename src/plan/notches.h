/* Filling notches: a plan built from the bottom up, at the place where it is lowest. */
#ifndef PLAN_NOTCHES_H
#define PLAN_NOTCHES_H

#include "plan/candidates.h"
#include "plan/problem.h"
#include "plan/tide.h"
#include "plan/watch.h"

/* A stretch of slots [lower, upper) in which the skyline has one height; in a list by time. */
typedef struct plan_stretch {
    uint32_t lower, upper; /* equal once it is gone */
    uint32_t previous, next;
    uint64_t height;
} plan_stretch;

/* A stretch in the heap, and the height it had when it was put there: if that has changed, it stands there again. If it has gone, and
 * another one in its place has the same height, that one stands there twice, which changes nothing. */
typedef struct plan_waiting {
    uint64_t height;
    uint32_t stretch;
} plan_waiting;

/* What filling needs; of one thread, and used again for each plan of the section. */
typedef struct plan_notches {
    const plan_section *section;
    uint64_t *floor, *load; /* of each slot: the end of what is fixed there, and the bytes that have to go above it */
    uint32_t floor_count;   /* stretches that the floor has */
    plan_candidates candidates;
    plan_tide rest; /* bytes of each slot that have no place yet */
    plan_stretch *stretches;
    plan_waiting *heap; /* the lowest first */
    uint32_t stretch_count, heap_count;
    uint32_t gone; /* the first of the stretches that are gone and can be used again, by `next` */
} plan_notches;

/* OUT_OF_MEMORY; there is nothing to end then. `keyed` and `scratch` have room for the section's buffers. */
tarn_status plan_notches_begin(plan_notches *skyline, const plan_section *section, plan_keyed *keyed,
                               plan_keyed *scratch);
void plan_notches_end(plan_notches *skyline);

/* Places all buffers and writes their offsets and the height; buffers with gaps are placed as if they had none. Which buffer goes into a notch
 * depends on what the slots weigh that it fills: slot s weighs weights[s + 1] - weights[s], at least 1; all weigh the same where `weights` is
 * NULL. With `by_size`, larger buffers weigh more. Stops, and returns false, as soon as it is clear that the height will be above `limit`, or when
 * the watch (optional) is over. */
bool plan_notches_fill(plan_notches *skyline, const uint64_t *weights, bool by_size, uint64_t limit, plan_watch *watch,
                       uint64_t *offsets, uint64_t *out_height);

#endif
