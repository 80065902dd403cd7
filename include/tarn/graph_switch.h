/* Graph switches: allocators that take their memory from a graph pool while graph mode is on, and from the stack below
 * otherwise.
 *
 * `graph_switch` is an adaptor: `graph_switch | caching`. It has no pool at first and is off. The mode counts for allocations
 * alone: a buffer goes back to where it came from, whatever the mode and the pool are by then. Pools that were exchanged are
 * kept until their last buffer of this switch is freed.
 *
 * While graph mode is on, tarn_allocator_stats on the switch gives the pool's figures, with is_graph_mode set, else those of
 * the stack below. In what follows, `allocator` is a stack with a graph switch in it; INVALID_ARGUMENT for any other. All
 * functions may be called from any thread. */
#ifndef TARN_GRAPH_SWITCH_H
#define TARN_GRAPH_SWITCH_H

#include <tarn/graph_pool.h>

TARN_BEGIN_DECLARATIONS

/* Creates `graph_switch` on top of the stack that `below` names (NULL: as tarn_allocator_create). Caller owns one reference. */
TARN_API tarn_status tarn_graph_switch_create(tarn_device *device, const char *below, tarn_allocator **out_allocator);

/* The pool, with one reference for the caller; NULL when there is none. */
TARN_API tarn_status tarn_graph_switch_pool(tarn_allocator *allocator, tarn_allocator **out_pool);
/* Sets the pool, of which the switch keeps a reference; NULL takes it away. INVALID_ARGUMENT: not a graph pool on its own, one of
 * another device, or the one that the switch stands on; INVALID_STATE: NULL while graph mode is on. */
TARN_API tarn_status tarn_graph_switch_set_pool(tarn_allocator *allocator, tarn_allocator *pool);
/* 1 while graph mode is on, else 0; 0 also for what has no switch. */
TARN_API int tarn_graph_switch_is_graph_mode(tarn_allocator *allocator);
/* Turns graph mode on (any value but 0) or off. INVALID_STATE: on, with no pool. */
TARN_API tarn_status tarn_graph_switch_set_graph_mode(tarn_allocator *allocator, int is_on);
/* Sets the pool and turns graph mode on, both or neither. */
TARN_API tarn_status tarn_graph_switch_configure_for_graph(tarn_allocator *allocator, tarn_allocator *pool);
TARN_API tarn_status tarn_graph_switch_enable_graph_mode(tarn_allocator *allocator);
TARN_API tarn_status tarn_graph_switch_disable_graph_mode(tarn_allocator *allocator);
/* Calls `action(context)` with graph mode on and returns its answer. The mode from before is restored whatever the action
 * answers and whatever it did with the mode; of several that run at the same time, the last to end restores what was before the
 * first. INVALID_STATE, the action not called: no pool. */
TARN_API tarn_status tarn_graph_switch_with_graph_mode(tarn_allocator *allocator, tarn_status (*action)(void *context),
                                                       void *context);
/* tarn_graph_pool_reset on the pool; nothing where there is none. */
TARN_API tarn_status tarn_graph_switch_reset_pool(tarn_allocator *allocator);

TARN_END_DECLARATIONS

#endif
