/* What can be asked of a graph pool: figures, blocks, where an address lies, numbers of blocks, and whether it is whole. */

#include "base/status.h"
#include "base/structure.h"
#include "memory/graph_pool.h"
#include "memory/stats.h"

tarn_status graph_pool_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    graph_pool *pool = graph_pool_of(allocator);
    pthread_mutex_lock(&pool->lock);
    memory_tally_fill(&pool->tally, out_stats);
    out_stats->cached_bytes = pool->cached;
    out_stats->reserved_bytes = pool->reserved;
    out_stats->device_waits = pool->streams.waits;
    out_stats->largest_free_block = graph_heap_largest(&pool->heap);
    pthread_mutex_unlock(&pool->lock);
    return TARN_OK;
}

tarn_status graph_pool_reset_peaks(tarn_allocator *allocator) {
    graph_pool *pool = graph_pool_of(allocator);
    pthread_mutex_lock(&pool->lock);
    memory_tally_reset_peaks(&pool->tally);
    memory_figure_reset_peak(&pool->cached);
    memory_figure_reset_peak(&pool->reserved);
    pthread_mutex_unlock(&pool->lock);
    return TARN_OK;
}

typedef struct visiting {
    const graph_pool *pool;
    const tarn_allocator *through; /* only what was allocated through it; NULL: everything */
    int (*visit)(void *context, const tarn_block_info *block);
    void *context;
} visiting;

static bool came_through(const memory_block *block, const tarn_allocator *element) {
    const tarn_allocator *outer = block != NULL ? block->live.outer : NULL;
    while (outer != NULL && outer != element) outer = outer->upstream;
    return outer != NULL;
}

static bool show(void *context, graph_piece *piece) {
    const visiting *self = context;
    const memory_block *block = piece->block;
    if (self->through != NULL && !came_through(block, self->through)) return false;
    tarn_block_info info = {
        .struct_size = sizeof info,
        .address = piece->range.start,
        .segment = piece->segment->range.start,
        .size = piece->range.size,
    };
    if (block != NULL) {
        info.state = TARN_BLOCK_IN_USE;
        info.requested = block->live.requested;
        info.stream = block->stream;
        info.tag = block->live.tag;
    } else {
        info.state = graph_piece_is_idle(&self->pool->heap, piece) ? TARN_BLOCK_CACHED : TARN_BLOCK_PENDING;
    }
    return self->visit(self->context, &info) != 0;
}

tarn_status graph_pool_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                  void *context) {
    graph_pool *pool = graph_pool_of(allocator);
    visiting self = {.pool = pool, .visit = visit, .context = context};
    pthread_mutex_lock(&pool->lock);
    bool is_stopped = graph_heap_each(&pool->heap, show, &self);
    for (const graph_segment *segment = pool->refused; segment != NULL && !is_stopped; segment = segment->next) {
        is_stopped = show(&self, segment->first);
    }
    pthread_mutex_unlock(&pool->lock);
    return TARN_OK;
}

void graph_pool_each_through(graph_pool *pool, const tarn_allocator *through,
                             int (*visit)(void *, const tarn_block_info *), void *context) {
    visiting self = {.pool = pool, .through = through, .visit = visit, .context = context};
    pthread_mutex_lock(&pool->lock);
    (void)graph_heap_each(&pool->heap, show, &self);
    pthread_mutex_unlock(&pool->lock);
}

/* The live block of a piece, NULL while its life begins or ends. Under the lock. */
static memory_block *live_block(const graph_piece *piece) {
    if (piece == NULL || (atomic_load_explicit(&piece->block->life, memory_order_acquire) & 1u) == 0) return NULL;
    return piece->block;
}

tarn_status graph_pool_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    graph_pool *pool = graph_pool_of(allocator);
    pthread_mutex_lock(&pool->lock);
    base_range *range = base_range_find(pool->heap.live, (uintptr_t)pointer);
    memory_block *block = range != NULL ? live_block(graph_piece_of(range)) : NULL;
    pthread_mutex_unlock(&pool->lock);
    if (block == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: no live buffer begins at %p", allocator->spec,
                         tarn_device_name(allocator->device), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

tarn_status graph_pool_containing(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    graph_pool *pool = graph_pool_of(allocator);
    pthread_mutex_lock(&pool->lock);
    base_range *range = base_range_containing(pool->heap.live, (uintptr_t)pointer);
    memory_block *block = range != NULL ? live_block(graph_piece_of(range)) : NULL;
    pthread_mutex_unlock(&pool->lock);
    if (block == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: %p lies in no live buffer", allocator->spec,
                         tarn_device_name(allocator->device), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

tarn_status graph_pool_check(tarn_allocator *allocator) {
    graph_pool *pool = graph_pool_of(allocator);
    graph_count count;
    pthread_mutex_lock(&pool->lock);
    tarn_status status = graph_heap_check(&pool->heap, allocator->spec, &count);
    uint64_t in_use = pool->tally.in_use.current, blocks = pool->tally.blocks.current,
             reserved = pool->reserved.current;
    bool is_even = pool->kept >= pool->holders && (pool->capture == 0 || pool->holders > 0);
    pthread_mutex_unlock(&pool->lock);
    if (status != TARN_OK) return status;
    if (!is_even) return base_fail(TARN_INTERNAL, "%s: its graphs are not counted rightly", allocator->spec);
    /* Segments that are being given back are in the figure alone. */
    if (count.live_bytes != in_use || count.live_pieces != blocks || count.segments_bytes > reserved) {
        return base_fail(TARN_INTERNAL,
                         "%s: %llu buffers of %llu bytes in %llu bytes are there, %llu, %llu and %llu are counted",
                         allocator->spec, (unsigned long long)count.live_pieces, (unsigned long long)count.live_bytes,
                         (unsigned long long)count.segments_bytes, (unsigned long long)blocks,
                         (unsigned long long)in_use, (unsigned long long)reserved);
    }
    return TARN_OK;
}

/* Blocks by number, and the pool's own questions. */

graph_pool *graph_pool_below(tarn_allocator *stack) {
    tarn_allocator *bottom = stack;
    if (stack == NULL) {
        base_fail(TARN_INVALID_ARGUMENT, "the graph pool is NULL");
        return NULL;
    }
    while (bottom->upstream != NULL) bottom = bottom->upstream;
    if (bottom->strategy == &graph_strategy) return graph_pool_of(bottom);
    base_fail(TARN_INVALID_ARGUMENT, "%s on %s has no graph pool at its lower end", stack->spec,
              tarn_device_name(stack->device));
    return NULL;
}

tarn_status tarn_graph_pool_block_id(tarn_allocator *pool, tarn_buffer *buffer, uint64_t *out_id) {
    graph_pool *self = graph_pool_below(pool);
    if (self == NULL) return TARN_INVALID_ARGUMENT;
    if (out_id == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the number is NULL", pool->spec);
    uint64_t id = 0;
    pthread_mutex_lock(&self->lock);
    const memory_block *block = block_of(buffer);
    /* A block of this pool cannot leave it while the lock is held. */
    if (block != NULL && block->owner == &self->base) id = ((const graph_piece *)block->home)->name.start;
    pthread_mutex_unlock(&self->lock);
    if (id == 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: %p is no live buffer of the pool", pool->spec,
                         tarn_device_name(pool->device), (void *)buffer);
    }
    *out_id = id;
    return TARN_OK;
}

/* NULL when no live buffer has that number. */
static tarn_buffer *find_number(graph_pool *pool, uint64_t id) {
    pthread_mutex_lock(&pool->lock);
    base_range *name = base_range_find(pool->heap.names, (uintptr_t)id);
    const memory_block *block = name != NULL ? live_block(graph_piece_of_name(name)) : NULL;
    tarn_buffer *buffer = block != NULL ? block_handle(block) : NULL;
    pthread_mutex_unlock(&pool->lock);
    return buffer;
}

tarn_status tarn_graph_pool_block(tarn_allocator *pool, uint64_t id, tarn_buffer **out_buffer) {
    graph_pool *self = graph_pool_below(pool);
    if (self == NULL) return TARN_INVALID_ARGUMENT;
    if (out_buffer == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the buffer is NULL", pool->spec);
    tarn_buffer *buffer = find_number(self, id);
    if (buffer == NULL) {
        return base_fail(TARN_NOT_FOUND, "%s on %s: no live buffer has the number %llu", pool->spec,
                         tarn_device_name(pool->device), (unsigned long long)id);
    }
    *out_buffer = buffer;
    return TARN_OK;
}

tarn_status tarn_graph_pool_return_block(tarn_allocator *pool, uint64_t id, tarn_stream *stream) {
    tarn_buffer *buffer;
    tarn_status status = tarn_graph_pool_block(pool, id, &buffer);
    return status == TARN_OK ? tarn_buffer_free(buffer, stream) : status;
}

tarn_status tarn_graph_pool_info_get(tarn_allocator *pool, tarn_graph_pool_info *out_info) {
    graph_pool *self = graph_pool_below(pool);
    if (self == NULL) return TARN_INVALID_ARGUMENT;
    if (out_info == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the answer is NULL", pool->spec);
    pthread_mutex_lock(&self->lock);
    tarn_graph_pool_info info = {
        .struct_size = sizeof info,
        .initial_capacity = self->initial,
        .maximum_capacity = self->maximum,
        .capacity = self->reserved.current,
        .blocks = self->tally.blocks.current,
        .graphs = self->kept,
        .is_sequential = self->is_sequential,
        .is_capturing = self->capture != 0,
        .planned_captures = self->counts.captures,
        .planned_requests = self->counts.requests,
        .deviations = self->counts.deviations,
        .failed_plans = self->counts.failed,
        .capture_bytes = self->counts.capture_bytes,
        .capture_lower_bound = self->counts.lower_bound,
    };
    pthread_mutex_unlock(&self->lock);
    return base_fill_structure(out_info, &info, sizeof info, "tarn_graph_pool_info");
}
