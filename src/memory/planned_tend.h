/* The slow work of a planned allocator, which one thread at a time does without the lock: making a plan, taking memory for it, and giving
 * memory back. */
#ifndef MEMORY_PLANNED_TEND_H
#define MEMORY_PLANNED_TEND_H

#include "memory/planned_types.h"

/* Ends the round. With the lock held; it is not held when this returns, and the lock is left in the `way` it was taken. */
tarn_status planned_tend_end_round(planned *self, biased_way way);
/* After a request: looks for a period, takes memory that the plan lacks, and gives back what a plan that has proven itself needs no
 * more. As above. */
void planned_tend(planned *self, biased_way way);
/* Gives memory of plans back that nothing live lies in; adds to `inout_bytes`. Without the lock. The first failure. */
tarn_status planned_tend_give(planned *self, size_t *inout_bytes);
/* Gives everything back; nothing is live. */
void planned_tend_end(planned *self);

#endif
