/* The buffers that have no place yet, by when they live: the longest that fits a stretch of slots and lives in a certain one. */
#ifndef PLAN_CANDIDATES_H
#define PLAN_CANDIDATES_H

#include "plan/problem.h"
#include "plan/sort.h"

#define PLAN_NOBODY UINT32_MAX
#define PLAN_LARGEST 100u

/* When a candidate lives: [lower, upper); nowhere once it is taken. And how large it is, on a scale to PLAN_LARGEST: the root of its size. */
typedef struct plan_candidate {
    uint32_t lower, upper, largeness;
} plan_candidate;

/* Between when some candidates begin, between when they end, and how large the largest is. */
typedef struct plan_candidate_box {
    uint32_t lower_minimum, lower_maximum, upper_minimum, upper_maximum, largest;
} plan_candidate_box;

typedef struct plan_candidates {
    uint32_t leaf_count;     /* a power of two; node i has the children 2i and 2i + 1 */
    uint32_t place_count;    /* of all leaves */
    uint32_t *buffers;       /* at each place */
    uint32_t *place_of;      /* of each buffer */
    uint8_t *largeness;      /* at each place */
    plan_candidate *current; /* those that are left */
    plan_candidate_box *boxes;
    const plan_section *section;
    uint32_t count; /* places that are a buffer's in the beginning */
} plan_candidates;

/* All buffers of the section but the fixed ones; after plan_candidates_reset. False without host memory. */
bool plan_candidates_begin(plan_candidates *candidates, const plan_section *section, plan_keyed *keyed,
                           plan_keyed *scratch);
void plan_candidates_end(plan_candidates *candidates);
void plan_candidates_reset(plan_candidates *candidates);

/* The heaviest candidate that lives in `slot` and within [lower, upper), or PLAN_NOBODY. What it weighs is
 * weights[its upper] - weights[its lower], where weights rise with the slot; the length of its life where `weights` is NULL. With `by_size`,
 * the larger it is, the heavier. */
uint32_t plan_candidates_find(const plan_candidates *candidates, uint32_t lower, uint32_t upper, uint32_t slot,
                              const uint64_t *weights, bool by_size);
/* Takes a buffer out. */
void plan_candidates_take(plan_candidates *candidates, uint32_t buffer);

#endif
