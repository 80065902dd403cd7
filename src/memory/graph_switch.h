/* What a graph switch is made of.
 *
 * The switch keeps a list of the pools it has used, each as long as it is the one that is set or has live buffers of this
 * switch. Where a buffer came from is read from its descriptor: the owner is a pool of the list, or else it came from below. */
#ifndef MEMORY_GRAPH_SWITCH_H
#define MEMORY_GRAPH_SWITCH_H

#include <pthread.h>

#include "memory/graph_pool.h"

/* A pool and the reasons to keep it. */
typedef struct switch_pool {
    graph_pool *pool; /* one reference */
    uint64_t uses;    /* live buffers, and calls that are under way; one more while it is the pool that is set */
    struct switch_pool *next;
} switch_pool;

/* A with_graph_mode that is running. */
typedef struct switch_scope {
    bool was_on;
    struct switch_scope *newer, *older;
} switch_scope;

typedef struct graph_switch {
    tarn_allocator base;
    pthread_mutex_t lock; /* protects what follows; nothing is called with it held */
    switch_pool *pools;
    switch_pool *current; /* the pool that is set, or NULL */
    bool is_on;           /* only with a pool */
    switch_scope *newest;
} graph_switch;

static inline graph_switch *switch_of(tarn_allocator *allocator) { return (graph_switch *)(void *)allocator; }

/* The entry of the pool that is the owner of a block, or NULL. Under the lock. */
switch_pool *graph_switch_find(const graph_switch *self, const tarn_allocator *owner);
/* Drops a use; with the last one the entry leaves the list and is the caller's to give up. Under the lock. */
switch_pool *graph_switch_drop_use(graph_switch *self, switch_pool *entry);
/* Releases the pool of an entry that is in no list; NULL is allowed. Without the lock. */
void graph_switch_give_up(switch_pool *entry);

#endif
