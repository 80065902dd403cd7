/* Squeezing: what lies above a lower height is taken out of a plan and put where it is least in the way. */
#ifndef PLAN_SQUEEZE_H
#define PLAN_SQUEEZE_H

#include "plan/problem.h"
#include "plan/watch.h"

typedef struct plan_squeeze_options {
    uint64_t enough; /* a height that need not be lowered */
    uint64_t
        looks; /* at other buffers that each thread takes, about: some hundreds to find one a place, some 20 ns each */
    uint64_t seed;     /* another one leads to other plans */
    unsigned threads;  /* the caller's among them; at least 1 */
    plan_watch *watch; /* ends it, too */
} plan_squeeze_options;

/* Whether a section has no gaps, fixed offsets or alignments of its own, which squeezing does not know. */
bool plan_squeeze_suits(const plan_section *section);

/* Lowers the plan in `offsets`, of the height `*height`, as far as it can. With one thread the same plan leads to the same ones one after the
 * other. Where a thread cannot be started, fewer work. OUT_OF_MEMORY: the plan is the best that was found before. */
tarn_status plan_squeeze(const plan_section *section, const plan_squeeze_options *options, uint64_t *offsets,
                         uint64_t *height);

#endif
