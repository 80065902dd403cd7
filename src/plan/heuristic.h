/* The fast heuristics: a good plan of one section, whatever its size. */
#ifndef PLAN_HEURISTIC_H
#define PLAN_HEURISTIC_H

#include "plan/problem.h"
#include "plan/watch.h"

/* Writes the best plan that the heuristics find to `offsets`, and its height. Ends early where the height comes down to `target`, or
 * when `progress` cancels and there is a plan; not with the time. Equal sections get equal plans.
 * OUT_OF_MEMORY. */
tarn_status plan_heuristic(const plan_section *section, uint64_t target, plan_watch *watch, uint64_t *offsets,
                           uint64_t *out_height);

#endif
