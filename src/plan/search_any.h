/* The search for sections that the skyline does not suit: with alignments, fixed offsets or gaps.
 *
 * Buffers are placed in ascending order of offset, each as low as those that lie below it allow. In the plan with the least sum of
 * offsets all lie like that, so that trying all such orders tries enough. It knows less than the skyline does
 * and is slower, but asks nothing of the section. */
#ifndef PLAN_SEARCH_ANY_H
#define PLAN_SEARCH_ANY_H

#include "plan/search_tree.h"

/* A value before a change: of `least` where it is a buffer's, of `floor` where it is a slot's. */
typedef struct plan_search_change {
    uint64_t was;
    uint32_t index;
    bool is_slot;
} plan_search_change;

typedef struct plan_search_any {
    const plan_section *section;
    uint64_t target;
    bool is_complete; /* no plan is left out: no buffer has a gap in which a part of it is needed */
    uint32_t *rank;
    bool *is_placed;
    uint64_t *offset;
    uint64_t *least; /* the lowest offset of each buffer that those that are placed allow, aligned */
    uint64_t *load;  /* bytes that live in each slot */
    uint64_t *floor; /* of each slot: the highest top of what is placed there */
    uint64_t *rest;  /* of each slot: the bytes that are still to be placed there */
    uint32_t *path;  /* the placed buffers, in order */
    size_t *marks;   /* the number of changes before each of them */
    plan_search_change *changes;
    size_t change_count, change_capacity;
} plan_search_any;

/* OUT_OF_MEMORY; there is nothing to end then. */
tarn_status plan_search_any_begin(plan_search_any *any, const plan_section *section);
void plan_search_any_end(plan_search_any *any);

/* As plan_search_tree_run; `any->offset` is the plan. PLAN_SEARCH_EXHAUSTED in place of IMPOSSIBLE where it is not complete. */
plan_search_end plan_search_any_run(plan_search_any *any, const uint32_t *order, uint64_t target,
                                    const plan_search_limit *limit);

#endif
