/* The search: for sections where the heuristics leave something to gain, the lowest plan, or a proof that there is no lower one. */
#ifndef PLAN_SEARCH_H
#define PLAN_SEARCH_H

#include "plan/problem.h"
#include "plan/watch.h"

typedef struct plan_search_options {
    uint64_t enough; /* a height that need not be lowered: the search ends there */
    uint64_t aim;    /* (optional) a height to be reached first, before a lower one is sought: the capacity; 0: none */
    uint64_t seed;   /* another one leads to other attempts */
    uint64_t first_attempt, attempt_count; /* of each thread: so that a search can be taken up again */
    unsigned threads;                      /* that search, the caller's among them; 0 is 1 */
    plan_watch *watch;
} plan_search_options;

/* Seeks a plan of the section that is lower than the one in `offsets`, of the height `*height`, until its height is enough, or
 * the bound, or all attempts have been made, or the watch is over. `*bound`, which no plan can be below, rises where there is proof.
 * `*out_is_over`: more attempts would find nothing. With one thread the same section gives the same plans one after the other.
 * Where a thread cannot be started, fewer search. OUT_OF_MEMORY: the plan is the best that was found before. */
tarn_status plan_search(const plan_section *section, const plan_search_options *options, uint64_t *offsets,
                        uint64_t *height, uint64_t *bound, bool *out_is_over);

#define PLAN_SEARCH_CLOSED UINT32_MAX

/* What the search of a whole problem is for. */
typedef struct plan_search_goal {
    const uint64_t *capacities; /* of each region of the problem */
    bool stops_at_capacity;
    unsigned threads;
} plan_search_goal;

/* Searches all sections that make their region higher than it need be, for one turn each. `offsets` are in the order of the sections;
 * `heights`, `bounds` and `turns` are one for each: how many turns it had, PLAN_SEARCH_CLOSED when more would find nothing. Sets `*out_is_open` when
 * more turns may help. Calls `news` (optional) when a section's plan has become lower. OUT_OF_MEMORY. */
tarn_status plan_search_problem(const plan_problem *problem, const plan_search_goal *goal, plan_watch *watch,
                                uint64_t *offsets, uint64_t *heights, uint64_t *bounds, uint32_t *turns,
                                bool *out_is_open, void (*news)(void *context), void *context);

#endif
