/* graph_switch: the pool's memory or that of the stack below, as the mode says; see tarn/graph_switch.h.
 *
 * The switch keeps a list of the pools it has used, each as long as it is the one that is set or has live buffers of this
 * switch. Where a buffer came from is read from its descriptor: the owner is a pool of the list, or else it came from below.
 *
 * with_graph_mode keeps what was before it on its own stack, in a list of those that are running. One that ends while a later
 * one still runs hands what it would restore over to that. */
#include <pthread.h>
#include <stdio.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/adaptors.h"
#include "memory/fork.h"
#include "memory/graph_pool.h"
#include "memory/stack.h"

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

static graph_switch *switch_of(tarn_allocator *allocator) { return (graph_switch *)(void *)allocator; }

static graph_switch *switch_in(tarn_allocator *allocator) {
    tarn_allocator *element = allocator;
    while (element != NULL && element->strategy != &graph_switch_adaptor) element = element->upstream;
    if (element != NULL) return switch_of(element);
    if (allocator == NULL) base_fail(TARN_INVALID_ARGUMENT, "the graph switch is NULL");
    else
        base_fail(TARN_INVALID_ARGUMENT, "%s on %s has no graph_switch", allocator->spec,
                  memory_device_name(allocator));
    return NULL;
}

/* Pools. */

/* The entry of the pool that owns the block, or NULL. Under the lock. */
static switch_pool *find_owner(const graph_switch *self, const tarn_allocator *owner) {
    switch_pool *entry = self->pools;
    while (entry != NULL && &entry->pool->base != owner) entry = entry->next;
    return entry;
}

/* Without the lock. */
static void give_up(switch_pool *entry) {
    if (entry == NULL) return;
    if (tarn_allocator_release(&entry->pool->base) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "a graph switch let go of its pool, and %s", tarn_last_error());
    }
    base_free(entry);
}

/* Drops a use; with the last one the entry leaves the list and is the caller's to give up. Under the lock. */
static switch_pool *drop_use(graph_switch *self, switch_pool *entry) {
    if (--entry->uses > 0) return NULL;
    switch_pool **link = &self->pools;
    while (*link != entry) link = &(*link)->next;
    *link = entry->next;
    return entry;
}

/* The pool that serves requests now, with a use; NULL while the mode is off. */
static switch_pool *take_current(graph_switch *self) {
    pthread_mutex_lock(&self->lock);
    switch_pool *entry = self->is_on ? self->current : NULL;
    if (entry != NULL) entry->uses++;
    pthread_mutex_unlock(&self->lock);
    return entry;
}

static void put_back(graph_switch *self, switch_pool *entry) {
    pthread_mutex_lock(&self->lock);
    switch_pool *last = drop_use(self, entry);
    pthread_mutex_unlock(&self->lock);
    give_up(last);
}

/* The entry after `entry` in the list (the first, for NULL), with a use; the use of `entry` is dropped. */
static switch_pool *step(graph_switch *self, switch_pool *entry) {
    pthread_mutex_lock(&self->lock);
    switch_pool *next = entry != NULL ? entry->next : self->pools;
    if (next != NULL) next->uses++;
    switch_pool *last = entry != NULL ? drop_use(self, entry) : NULL;
    pthread_mutex_unlock(&self->lock);
    give_up(last);
    return next;
}

/* Allocating and freeing. */

static tarn_status switch_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    graph_switch *self = switch_of(allocator);
    switch_pool *entry = take_current(self);
    if (entry == NULL) return memory_allocate(allocator->upstream, request, out_block);
    tarn_allocator *pool = &entry->pool->base;
    tarn_status status = TARN_OK;
    if (atomic_load_explicit(&pool->is_shut_down, memory_order_relaxed)) {
        status = base_fail(TARN_SHUT_DOWN, "%s on %s: its graph pool is shut down", allocator->spec,
                           memory_device_name(allocator));
    }
    if (status == TARN_OK) status = memory_allocate(pool, request, out_block);
    /* The use is the buffer's from now on. */
    if (status != TARN_OK) put_back(self, entry);
    return status;
}

static switch_pool *entry_of(graph_switch *self, const memory_block *block) {
    pthread_mutex_lock(&self->lock);
    switch_pool *entry = find_owner(self, block->owner);
    pthread_mutex_unlock(&self->lock);
    return entry;
}

static tarn_status switch_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    graph_switch *self = switch_of(allocator);
    /* The buffer's own use keeps the entry. */
    switch_pool *entry = entry_of(self, block);
    if (entry == NULL) return memory_free(allocator->upstream, block, stream);
    tarn_status status = memory_free(&entry->pool->base, block, stream);
    put_back(self, entry);
    return status;
}

static void switch_forget(tarn_allocator *allocator, memory_block *block) {
    graph_switch *self = switch_of(allocator);
    switch_pool *entry = entry_of(self, block);
    if (entry != NULL) put_back(self, entry);
}

static tarn_allocator *switch_below(tarn_allocator *allocator, const memory_block *block) {
    switch_pool *entry = entry_of(switch_of(allocator), block);
    return entry != NULL ? &entry->pool->base : allocator->upstream;
}

/* Asking. */

static tarn_status switch_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    graph_switch *self = switch_of(allocator);
    switch_pool *entry = take_current(self);
    if (entry == NULL) return memory_stats_below(allocator, out_stats);
    tarn_status status = graph_strategy.stats(&entry->pool->base, out_stats);
    out_stats->is_graph_mode = 1;
    put_back(self, entry);
    return status;
}

static tarn_status switch_empty_cache(tarn_allocator *allocator) {
    graph_switch *self = switch_of(allocator);
    tarn_status first = tarn_allocator_empty_cache(allocator->upstream);
    for (switch_pool *entry = step(self, NULL); entry != NULL; entry = step(self, entry)) {
        tarn_status status = graph_strategy.empty_cache(&entry->pool->base);
        if (first == TARN_OK) first = status;
    }
    return first;
}

static tarn_status switch_reset_peaks(tarn_allocator *allocator) {
    graph_switch *self = switch_of(allocator);
    tarn_status status = tarn_allocator_reset_peaks(allocator->upstream);
    for (switch_pool *entry = step(self, NULL); entry != NULL; entry = step(self, entry)) {
        (void)graph_strategy.reset_peaks(&entry->pool->base);
    }
    return status;
}

/* Notices that a visit was stopped. */
typedef struct switch_visit {
    int (*visit)(void *context, const tarn_block_info *block);
    void *context;
    bool is_stopped;
} switch_visit;

static int pass_on(void *context, const tarn_block_info *block) {
    switch_visit *visit = context;
    int answer = visit->visit(visit->context, block);
    visit->is_stopped = answer != 0;
    return answer;
}

/* What is below, and what the switch's buffers have of the pools, which others may use too. */
static tarn_status switch_each_block(tarn_allocator *allocator,
                                     int (*visit)(void *context, const tarn_block_info *block), void *context) {
    graph_switch *self = switch_of(allocator);
    switch_visit inner = {.visit = visit, .context = context};
    tarn_status status = memory_each_block_from(allocator->upstream, pass_on, &inner);
    for (switch_pool *entry = step(self, NULL); entry != NULL; entry = step(self, entry)) {
        if (status != TARN_OK || inner.is_stopped) continue;
        /* The callback that is running is known as one of the stack; here the lock is the pool's. */
        memory_callback callback;
        memory_callback_begin(&callback, &entry->pool->base, true);
        graph_pool_each_through(entry->pool, allocator, pass_on, &inner);
        memory_callback_end(&callback);
    }
    return status;
}

typedef tarn_status (*switch_search)(tarn_allocator *allocator, const void *pointer, memory_block **out_block);

/* Looks in the pools, then below. */
static tarn_status search(tarn_allocator *allocator, switch_search in_pool, switch_search below, const void *pointer,
                          memory_block **out_block) {
    graph_switch *self = switch_of(allocator);
    bool is_found = false;
    for (switch_pool *entry = step(self, NULL); entry != NULL; entry = step(self, entry)) {
        if (!is_found) is_found = in_pool(&entry->pool->base, pointer, out_block) == TARN_OK;
    }
    return is_found ? TARN_OK : below(allocator->upstream, pointer, out_block);
}

static tarn_status switch_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    return search(allocator, graph_strategy.find, memory_find_from, pointer, out_block);
}

static tarn_status switch_containing(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    return search(allocator, graph_strategy.containing, memory_containing_from, pointer, out_block);
}

static tarn_status switch_check(tarn_allocator *allocator) {
    graph_switch *self = switch_of(allocator);
    tarn_status first = TARN_OK;
    for (switch_pool *entry = step(self, NULL); entry != NULL; entry = step(self, entry)) {
        tarn_status status = graph_strategy.check(&entry->pool->base);
        if (first == TARN_OK) first = status;
    }
    return first;
}

/* The mode and the pool. */

static tarn_status check_pool(const graph_switch *self, const tarn_allocator *pool) {
    const tarn_allocator *base = &self->base;
    const char *name = memory_device_name(base);
    if (pool->strategy != &graph_strategy) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "%s on %s: %s is no graph pool on its own; adaptors stand before the switch", base->spec, name,
                         pool->spec);
    }
    if (pool->device != base->device) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the graph pool is one of %s", base->spec, name,
                         memory_device_name(pool));
    }
    if (pool == memory_bottom(base)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the graph pool is the one that the switch stands on",
                         base->spec, name);
    }
    return TARN_OK;
}

/* Sets the pool, and the mode as it is or on. */
static tarn_status set_pool(graph_switch *self, tarn_allocator *pool, bool turns_on) {
    tarn_status status = check_pool(self, pool);
    if (status != TARN_OK) return status;
    switch_pool *added = base_allocate(1, sizeof *added);
    if (added == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s on %s: no host memory for its graph pool", self->base.spec,
                         memory_device_name(&self->base));
    }
    added->pool = graph_pool_of(tarn_allocator_retain(pool));
    pthread_mutex_lock(&self->lock);
    switch_pool *entry = find_owner(self, pool);
    if (entry == NULL) {
        entry = added;
        entry->next = self->pools;
        self->pools = entry;
        added = NULL;
    }
    entry->uses++;
    switch_pool *last = self->current != NULL ? drop_use(self, self->current) : NULL;
    self->current = entry;
    self->is_on = self->is_on || turns_on;
    pthread_mutex_unlock(&self->lock);
    give_up(added);
    give_up(last);
    return TARN_OK;
}

static tarn_status take_pool_away(graph_switch *self) {
    pthread_mutex_lock(&self->lock);
    bool is_on = self->is_on;
    switch_pool *last = NULL;
    if (!is_on && self->current != NULL) last = drop_use(self, self->current);
    if (!is_on) self->current = NULL;
    pthread_mutex_unlock(&self->lock);
    give_up(last);
    if (!is_on) return TARN_OK;
    return base_fail(TARN_INVALID_STATE, "%s on %s: graph mode is on and needs its pool", self->base.spec,
                     memory_device_name(&self->base));
}

static tarn_status refuse_mode(const graph_switch *self) {
    return base_fail(TARN_INVALID_STATE, "%s on %s: graph mode needs a graph pool, and none is set", self->base.spec,
                     memory_device_name(&self->base));
}

static tarn_status set_mode(graph_switch *self, bool is_on) {
    pthread_mutex_lock(&self->lock);
    bool is_possible = !is_on || self->current != NULL;
    if (is_possible) self->is_on = is_on;
    pthread_mutex_unlock(&self->lock);
    return is_possible ? TARN_OK : refuse_mode(self);
}

tarn_status tarn_graph_switch_create(tarn_device *device, const char *below, tarn_allocator **out_allocator) {
    if (device == NULL || out_allocator == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device or the place for the allocator is NULL");
    }
    tarn_allocator *upstream, *allocator;
    tarn_status status = tarn_allocator_create(device, below, &upstream);
    if (status != TARN_OK) return status;
    const char *rest = tarn_allocator_spec(upstream);
    size_t length = (size_t)snprintf(NULL, 0, "graph_switch | %s", rest) + 1;
    char *spec = base_allocate(length, 1);
    if (spec == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "no host memory for the name of an allocator");
    } else {
        snprintf(spec, length, "graph_switch | %s", rest);
        status = tarn_allocator_create(device, spec, &allocator);
    }
    base_free(spec);
    tarn_allocator_release(upstream);
    if (status == TARN_OK) *out_allocator = allocator;
    return status;
}

tarn_status tarn_graph_switch_pool(tarn_allocator *allocator, tarn_allocator **out_pool) {
    graph_switch *self = switch_in(allocator);
    if (self == NULL) return TARN_INVALID_ARGUMENT;
    if (out_pool == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the pool is NULL", allocator->spec);
    pthread_mutex_lock(&self->lock);
    *out_pool = self->current != NULL ? tarn_allocator_retain(&self->current->pool->base) : NULL;
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

tarn_status tarn_graph_switch_set_pool(tarn_allocator *allocator, tarn_allocator *pool) {
    graph_switch *self = switch_in(allocator);
    if (self == NULL) return TARN_INVALID_ARGUMENT;
    return pool != NULL ? set_pool(self, pool, false) : take_pool_away(self);
}

int tarn_graph_switch_is_graph_mode(tarn_allocator *allocator) {
    graph_switch *self = switch_in(allocator);
    if (self == NULL) return 0;
    pthread_mutex_lock(&self->lock);
    bool is_on = self->is_on;
    pthread_mutex_unlock(&self->lock);
    return is_on;
}

tarn_status tarn_graph_switch_set_graph_mode(tarn_allocator *allocator, int is_on) {
    graph_switch *self = switch_in(allocator);
    return self != NULL ? set_mode(self, is_on != 0) : TARN_INVALID_ARGUMENT;
}

tarn_status tarn_graph_switch_configure_for_graph(tarn_allocator *allocator, tarn_allocator *pool) {
    graph_switch *self = switch_in(allocator);
    if (self == NULL) return TARN_INVALID_ARGUMENT;
    return pool != NULL ? set_pool(self, pool, true) : refuse_mode(self);
}

tarn_status tarn_graph_switch_enable_graph_mode(tarn_allocator *allocator) {
    return tarn_graph_switch_set_graph_mode(allocator, 1);
}

tarn_status tarn_graph_switch_disable_graph_mode(tarn_allocator *allocator) {
    return tarn_graph_switch_set_graph_mode(allocator, 0);
}

/* Turns the mode on and enters the scope; false with no pool. */
static bool begin_scope(graph_switch *self, switch_scope *scope) {
    pthread_mutex_lock(&self->lock);
    bool is_possible = self->current != NULL;
    if (is_possible) {
        *scope = (switch_scope){.was_on = self->is_on, .older = self->newest};
        if (self->newest != NULL) self->newest->newer = scope;
        self->newest = scope;
        self->is_on = true;
    }
    pthread_mutex_unlock(&self->lock);
    return is_possible;
}

/* False when the mode was on before, and the action has taken the pool away. */
static bool end_scope(graph_switch *self, switch_scope *scope) {
    bool is_restored = true;
    pthread_mutex_lock(&self->lock);
    if (scope->newer != NULL) {
        /* It restores what was before both. */
        scope->newer->was_on = scope->was_on;
        scope->newer->older = scope->older;
    } else {
        self->newest = scope->older;
        is_restored = !scope->was_on || self->current != NULL;
        self->is_on = scope->was_on && is_restored;
    }
    if (scope->older != NULL) scope->older->newer = scope->newer;
    pthread_mutex_unlock(&self->lock);
    return is_restored;
}

tarn_status tarn_graph_switch_with_graph_mode(tarn_allocator *allocator, tarn_status (*action)(void *context),
                                              void *context) {
    graph_switch *self = switch_in(allocator);
    switch_scope scope;
    if (self == NULL) return TARN_INVALID_ARGUMENT;
    if (action == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the action to call in graph mode is NULL", allocator->spec);
    }
    if (!begin_scope(self, &scope)) return refuse_mode(self);
    tarn_status status = action(context);
    bool is_restored = end_scope(self, &scope);
    return status == TARN_OK && !is_restored ? refuse_mode(self) : status;
}

tarn_status tarn_graph_switch_reset_pool(tarn_allocator *allocator) {
    tarn_allocator *pool;
    tarn_status status = tarn_graph_switch_pool(allocator, &pool);
    if (status != TARN_OK || pool == NULL) return status;
    status = tarn_graph_pool_reset(pool);
    tarn_status released = tarn_allocator_release(pool);
    return status != TARN_OK ? status : released;
}

/* The adaptor itself. */

static void switch_destroy(tarn_allocator *allocator) {
    graph_switch *self = switch_of(allocator);
    /* No buffers are left, so at most the pool that is set. */
    give_up(self->current != NULL ? drop_use(self, self->current) : NULL);
    memory_fork_forget(&self->lock);
    pthread_mutex_destroy(&self->lock);
    memory_allocator_end(allocator);
}

static tarn_status switch_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                 tarn_allocator **out_allocator) {
    tarn_status status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    graph_switch *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "graph_switch: no host memory for an allocator");
    pthread_mutex_init(&self->lock, NULL);
    if (!memory_fork_watch(&self->lock, false)) {
        pthread_mutex_destroy(&self->lock);
        base_free(self);
        return base_fail(TARN_OUT_OF_MEMORY, "graph_switch: no host memory for an allocator");
    }
    memory_allocator_begin(&self->base, &graph_switch_adaptor, device, upstream);
    *out_allocator = &self->base;
    return TARN_OK;
}

const memory_strategy graph_switch_adaptor = {
    .name = "graph_switch",
    .is_adaptor = true,
    .create = switch_create,
    .destroy = switch_destroy,
    .allocate = switch_allocate,
    .free = switch_free,
    .empty_cache = switch_empty_cache,
    .stats = switch_stats,
    .reset_peaks = switch_reset_peaks,
    .each_block = switch_each_block,
    .find = switch_find,
    .check = switch_check,
    .forget = switch_forget,
    .containing = switch_containing,
    .below = switch_below,
};
