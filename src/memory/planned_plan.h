/* Making a plan: the timeline of a round, and an offset for each of its requests. */
#ifndef MEMORY_PLANNED_PLAN_H
#define MEMORY_PLANNED_PLAN_H

#include "memory/planned_types.h"

/* Plans a round; the plan has no memory yet. OUT_OF_MEMORY, of the host. Without locks. */
tarn_status planned_plan_create(planned *self, const planned_round *round, planned_plan **out_plan);
/* Frees a plan without memory. NULL is allowed. */
void planned_plan_destroy(planned_plan *plan);

/* The kind of a request, or NULL. */
planned_kind *planned_plan_kind(const planned_plan *plan, size_t size, size_t alignment, uint32_t stream);

#endif
