/* First fit: buffers put one after the other, in a given order, at the lowest offset where nothing is in the way. */
#ifndef PLAN_PLACE_H
#define PLAN_PLACE_H

#include "plan/problem.h"

/* An offset interval that is forbidden to a buffer. */
typedef struct plan_forbidden {
    uint64_t lower, upper; /* offsets in [lower, upper) */
} plan_forbidden;

/* What placing needs; of one thread. */
typedef struct plan_placer {
    const plan_section *section;
    uint32_t *placed; /* buffers by ascending offset */
    uint32_t placed_count;
    plan_forbidden *forbidden; /* where buffers have gaps */
    uint32_t forbidden_capacity;
} plan_placer;

/* OUT_OF_MEMORY; there is nothing to end then. */
tarn_status plan_placer_begin(plan_placer *placer, const plan_section *section);
void plan_placer_end(plan_placer *placer);

/* Places all buffers: those that are fixed where they are fixed, then the others of `order`, which lists each buffer once. Writes their
 * offsets and the height. Stops, and returns false, when a buffer ends above `limit`. */
bool plan_place(plan_placer *placer, const uint32_t *order, uint64_t limit, uint64_t *offsets, uint64_t *out_height);

#endif
