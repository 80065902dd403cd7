/* Improvement of sections that are too large for the search: notches filled again and again, with other weights. */
#ifndef PLAN_IMPROVE_H
#define PLAN_IMPROVE_H

#include "plan/problem.h"
#include "plan/watch.h"

typedef struct plan_improve_options {
    uint64_t enough;      /* a height that need not be lowered */
    uint64_t first_round; /* each has other weights (weights.h) */
    uint64_t rounds;      /* at the most */
    unsigned threads;     /* the caller's among them; at least 1 */
    plan_watch *watch;    /* ends it, too */
} plan_improve_options;

/* Seeks a plan of the section that is lower than the one in `offsets`, of the height `*height`, and replaces it. With one thread, the same
 * rounds give the same plan. Where a thread cannot be started, fewer work. OUT_OF_MEMORY: the plan is the best that was found before. */
tarn_status plan_improve(const plan_section *section, const plan_improve_options *options, uint64_t *offsets,
                         uint64_t *height);

#endif
