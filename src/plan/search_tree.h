/* The tree of all answers to the skyline's questions, searched in depth.
 *
 * What a dead end shows is kept as a span of slots: as long as they are as they are, and the same buffers that touch them are left, there is no
 * plan. When the search comes back to an answer that changed none of these slots, its other answers cannot help, and the search goes on
 * where one can (conflict-directed backjumping). */
#ifndef PLAN_SEARCH_TREE_H
#define PLAN_SEARCH_TREE_H

#include "plan/search_skyline.h"
#include "plan/watch.h"

typedef enum plan_search_end {
    PLAN_SEARCH_FOUND = 0,
    PLAN_SEARCH_IMPOSSIBLE, /* proved: there is no such plan */
    PLAN_SEARCH_EXHAUSTED,  /* everything has been tried that the search tries, which is not all plans */
    PLAN_SEARCH_TIRED,      /* more dead ends than it may meet */
    PLAN_SEARCH_STOPPED,    /* the watch is over, or the goal has been moved */
    PLAN_SEARCH_NO_MEMORY
} plan_search_end;

/* How one attempt searches, and when it is to stop beside the watch's end. */
typedef struct plan_search_limit {
    bool fits_first;    /* of a question's answers, buffers that fit the notch are tried before the preferred ones */
    uint64_t dead_ends; /* that it may meet */
    plan_watch *watch;
    const _Atomic uint64_t *height,
        *bound; /* of the section, as all threads know them: a target outside [bound, height) is none */
} plan_search_limit;

typedef struct plan_search_node plan_search_node;

typedef struct plan_search_tree {
    plan_skyline skyline;
    plan_search_node *nodes; /* the path from the root */
    uint32_t node_count, node_capacity;
    uint32_t *answers; /* of all nodes on the path */
    uint32_t answer_count, answer_capacity;
} plan_search_tree;

/* OUT_OF_MEMORY; there is nothing to end then. */
tarn_status plan_search_tree_begin(plan_search_tree *tree, const plan_section *section);
void plan_search_tree_end(plan_search_tree *tree);

/* Seeks a plan not higher than the target; `tree->skyline.offset` is the plan where one is found. `order` lists all buffers, those to be
 * tried first before the others. */
plan_search_end plan_search_tree_run(plan_search_tree *tree, const uint32_t *order, uint64_t target,
                                     const plan_search_limit *limit);

/* Whether the search is to stop. */
bool plan_search_is_over(const plan_search_limit *limit, uint64_t target);

#endif
