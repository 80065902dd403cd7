/* The memory of a plan: one block from the element below for each stream, and the places in it that wait for other streams. */
#ifndef MEMORY_PLANNED_MEMORY_H
#define MEMORY_PLANNED_MEMORY_H

#include "memory/planned_types.h"

/* Takes memory for all regions of a plan that has none. On failure it has none. Without the lock; nobody else gives or takes memory
 * of the plan meanwhile. OUT_OF_MEMORY; INVALID_STATE: a stream of the plan has ended. */
tarn_status planned_memory_take(planned *self, planned_plan *plan);
/* Begins the use of the memory that was taken. The lock is held, or the plan is the caller's alone. */
void planned_memory_attach(planned_plan *plan);
/* Ends the use of the plan's memory, nothing of which is live. The lock is held. */
void planned_memory_detach(planned *self, planned_plan *plan);
/* Gives detached memory to the element below, which waits for the streams that still use it; adds to `inout_bytes`. What cannot be
 * waited for stays with the plan, unless `in_any_case`. The first failure. Without the lock; as for taking. */
tarn_status planned_memory_give(planned *self, planned_plan *plan, bool in_any_case, size_t *inout_bytes);

/* Takes back the block of an entry, whose uses by other streams are in the block. The lock is held. */
void planned_memory_free(planned *self, planned_entry *entry, bool is_lost);
/* Takes places back whose other streams have finished. The lock is held. */
void planned_memory_poll(planned *self, planned_plan *plan);
/* Remembers that the place is there though it is not due. The lock is held. */
void planned_memory_set_busy(planned_entry *entry);

#endif
