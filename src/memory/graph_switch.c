/* graph_switch: the pool's memory or that of the stack below, as the mode says; see graph_switch.h. Here it allocates, frees and
 * answers; graph_switch_mode.c sets its pool and its mode. */
#include "memory/graph_switch.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/adaptors.h"
#include "memory/fork.h"
#include "memory/stack.h"

/* Pools. */

switch_pool *graph_switch_find(const graph_switch *self, const tarn_allocator *owner) {
    switch_pool *entry = self->pools;
    while (entry != NULL && &entry->pool->base != owner) entry = entry->next;
    return entry;
}

void graph_switch_give_up(switch_pool *entry) {
    if (entry == NULL) return;
    if (tarn_allocator_release(&entry->pool->base) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "a graph switch let go of its pool, and %s", tarn_last_error());
    }
    base_free(entry);
}

switch_pool *graph_switch_drop_use(graph_switch *self, switch_pool *entry) {
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
    switch_pool *last = graph_switch_drop_use(self, entry);
    pthread_mutex_unlock(&self->lock);
    graph_switch_give_up(last);
}

/* The entry after `entry` in the list (the first, for NULL), with a use; the use of `entry` is dropped. */
static switch_pool *step(graph_switch *self, switch_pool *entry) {
    pthread_mutex_lock(&self->lock);
    switch_pool *next = entry != NULL ? entry->next : self->pools;
    if (next != NULL) next->uses++;
    switch_pool *last = entry != NULL ? graph_switch_drop_use(self, entry) : NULL;
    pthread_mutex_unlock(&self->lock);
    graph_switch_give_up(last);
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
    switch_pool *entry = graph_switch_find(self, block->owner);
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

/* The adaptor itself. */

static void switch_destroy(tarn_allocator *allocator) {
    graph_switch *self = switch_of(allocator);
    /* No buffers are left, so at most the pool that is set. */
    graph_switch_give_up(self->current != NULL ? graph_switch_drop_use(self, self->current) : NULL);
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
