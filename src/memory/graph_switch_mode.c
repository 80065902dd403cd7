/* The pool and the mode of a graph switch.
 *
 * with_graph_mode keeps what was before it on its own stack, in a list of those that are running. One that ends while a later
 * one still runs hands what it would restore over to that. */
#include <stdio.h>

#include "base/memory.h"
#include "base/status.h"
#include "memory/adaptors.h"
#include "memory/graph_switch.h"
#include "memory/stack.h"

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
    switch_pool *entry = graph_switch_find(self, pool);
    if (entry == NULL) {
        entry = added;
        entry->next = self->pools;
        self->pools = entry;
        added = NULL;
    }
    entry->uses++;
    switch_pool *last = self->current != NULL ? graph_switch_drop_use(self, self->current) : NULL;
    self->current = entry;
    self->is_on = self->is_on || turns_on;
    pthread_mutex_unlock(&self->lock);
    graph_switch_give_up(added);
    graph_switch_give_up(last);
    return TARN_OK;
}

static tarn_status take_pool_away(graph_switch *self) {
    pthread_mutex_lock(&self->lock);
    bool is_on = self->is_on;
    switch_pool *last = NULL;
    if (!is_on && self->current != NULL) last = graph_switch_drop_use(self, self->current);
    if (!is_on) self->current = NULL;
    pthread_mutex_unlock(&self->lock);
    graph_switch_give_up(last);
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
