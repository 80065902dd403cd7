/* graph: fixed addresses for captured work; see tarn/graph_pool.h and graph_pool.h. This file has the allocator's functions. */
#include "memory/graph_pool.h"

#include <stdio.h>

#include <tarn/size.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "hal/memory.h"
#include "memory/fork.h"
#include "memory/stack.h"
#include "memory/stats.h"

static uint64_t bit_of(uint32_t slot) { return UINT64_C(1) << slot; }

/* Allocating. */

static tarn_status explain(graph_pool *pool, tarn_status status, const memory_request *request) {
    char asked[TARN_SIZE_TEXT], used[TARN_SIZE_TEXT], cached[TARN_SIZE_TEXT], largest[TARN_SIZE_TEXT];
    char total[TARN_SIZE_TEXT];
    pthread_mutex_lock(&pool->lock);
    pool->tally.failed++;
    uint64_t in_use = pool->tally.in_use.current, free_bytes = pool->cached.current;
    size_t largest_free = graph_heap_largest(&pool->heap);
    pthread_mutex_unlock(&pool->lock);
    if (status != TARN_OUT_OF_MEMORY && status != TARN_LIMIT_EXCEEDED) return status;
    return base_fail_within(
        status, "%s: %s asked, %s in use and %s cached by graph, largest free block %s, the device has %s in all",
        tarn_device_name(pool->base.device), tarn_size_format(request->size, asked), tarn_size_format(in_use, used),
        tarn_size_format(free_bytes, cached), tarn_size_format(largest_free, largest),
        tarn_size_format(hal_device_properties(pool->base.device)->memory_total, total));
}

/* Under the lock. */
static void count_allocation(graph_pool *pool, size_t size, size_t capacity) {
    memory_tally_allocate(&pool->tally, size, capacity);
    graph_pool_count_cached(pool);
}

/* Makes the piece the block's. Under the lock. */
static void begin_use(graph_pool *pool, graph_piece *piece, memory_block *block, uint64_t capture) {
    piece->block = block;
    piece->is_of_graph = piece->is_in_graph;
    piece->is_in_graph = capture != 0;
    piece->is_in_ended_capture = piece->is_left = false;
    piece->freed_in = (hal_capture_point){.capture = 0};
    piece->note = GRAPH_NO_NOTE;
    piece->uses = capture != 0 ? 0 : bit_of(piece->slot);
    piece->name = (base_range){.start = (uintptr_t)++pool->last_id, .size = 1};
    base_range_insert(&pool->heap.live, &piece->range);
    base_range_insert(&pool->heap.names, &piece->name);
}

/* Finds memory for the request, and the capture that it is of, or 0. Another thread may end a capture meanwhile: then the request is one of
 * what there is by then. Returns with the lock held on success only. */
static tarn_status find_memory(graph_pool *pool, const memory_request *request, size_t size, uint64_t *out_capture,
                               graph_piece **out_piece) {
    for (;;) {
        uint64_t capture = hal_capture_number(request->stream);
        tarn_status status = capture != 0 ? graph_pool_join(pool, request->stream, capture, 0) : TARN_OK;
        graph_piece *piece = NULL;
        if (status == TARN_OK && capture != 0) piece = graph_pool_plan_serve(pool, request, capture, size);
        if (status == TARN_OK && piece == NULL) status = graph_pool_obtain(pool, request, capture, size, &piece);
        if (status == TARN_INVALID_STATE && hal_capture_number(request->stream) != capture) continue;
        *out_capture = capture;
        *out_piece = piece;
        return status;
    }
}

static tarn_status graph_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    graph_pool *pool = graph_pool_of(allocator);
    size_t size;
    if (!checked_round_up(request->size, pool->heap.unit, &size)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu bytes cannot be rounded up to the alignment", request->size);
    }
    graph_piece *piece;
    uint64_t capture;
    memory_block *block = block_create();
    tarn_status status = block != NULL ? find_memory(pool, request, size, &capture, &piece)
                                       : base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe a buffer",
                                                   tarn_device_name(allocator->device));
    if (status != TARN_OK) {
        if (block != NULL) block_destroy(block);
        return explain(pool, status, request);
    }
    memory_block_fill(block, request, allocator);
    block->address = (void *)piece->range.start; /* NOLINT(performance-no-int-to-ptr) */
    block->capacity = size;
    block->stream = hal_stream_number(request->stream);
    block->home = piece;
    begin_use(pool, piece, block, capture);
    if (capture != 0) graph_pool_plan_note(pool, request, capture, piece);
    count_allocation(pool, request->size, size);
    pthread_mutex_unlock(&pool->lock);
    *out_block = block;
    return TARN_OK;
}

/* Freeing. */

/* The stream that a free of the piece names; NULL when that has ended. Under the lock. */
static tarn_stream *stream_of_free(const graph_pool *pool, const graph_piece *piece, tarn_stream *stream) {
    return stream != NULL ? stream : graph_streams_stream(&pool->streams, piece->slot);
}

/* Whether work of the stream goes into the capture that uses the pool. Under the lock. */
static bool is_captured(const graph_pool *pool, const tarn_stream *stream) {
    return pool->capture != 0 && stream != NULL && hal_capture_number(stream) == pool->capture;
}

static tarn_status graph_check_free(tarn_allocator *allocator, const memory_block *block, tarn_stream *stream) {
    graph_pool *pool = graph_pool_of(allocator);
    bool is_refused = false;
    pthread_mutex_lock(&pool->lock);
    const base_range *range = base_range_find(pool->heap.live, (uintptr_t)block->address);
    const graph_piece *piece = (const graph_piece *)(const void *)range;
    if (piece != NULL && piece->block == block && piece->is_in_graph && pool->holders > 0) {
        is_refused = piece->is_in_ended_capture || !is_captured(pool, stream_of_free(pool, piece, stream));
    }
    pthread_mutex_unlock(&pool->lock);
    if (!is_refused) return TARN_OK;
    return base_fail(
        TARN_INVALID_STATE,
        "%s on %s: the buffer is used by captured work that can still be launched, and stays until the graph is released",
        allocator->spec, tarn_device_name(allocator->device));
}

/* Takes the piece from its buffer, which has ended. Under the lock. */
static void end_use(graph_pool *pool, graph_piece *piece) {
    const memory_block *block = piece->block;
    base_range_remove(&pool->heap.live, piece->range.start);
    base_range_remove(&pool->heap.names, piece->name.start);
    memory_tally_free(&pool->tally, block->live.requested, block->capacity);
    graph_pool_count_cached(pool);
}

/* Makes the piece free memory, used last on `stream` (NULL: it has ended). Under the lock. */
static void give_back(graph_pool *pool, graph_piece *piece, tarn_stream *stream) {
    piece->block = NULL;
    /* The buffer of a capture that was aborted may have lain where a graph has its own. */
    piece->is_in_graph = piece->is_in_graph || piece->is_of_graph;
    if (is_captured(pool, stream) && hal_capture_mark(stream, &piece->freed_in)) {
        piece->is_in_graph = true;
        graph_pool_plan_note_free(pool, piece);
    } else if (stream != NULL) {
        piece->uses |= bit_of(graph_streams_slot(&pool->streams, stream));
    }
    piece->freed_at = graph_streams_freed(&pool->streams, piece->uses);
    graph_heap_put(&pool->heap, piece);
}

static tarn_status graph_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    graph_pool *pool = graph_pool_of(allocator);
    graph_piece *piece = block->home;
    pthread_mutex_lock(&pool->lock);
    end_use(pool, piece);
    give_back(pool, piece, stream_of_free(pool, piece, stream));
    pthread_mutex_unlock(&pool->lock);
    block_destroy(block);
    return TARN_OK;
}

static tarn_memory_kind graph_kind(const tarn_allocator *allocator) {
    return ((const graph_pool *)(const void *)allocator)->kind;
}

static tarn_status graph_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    graph_pool *pool = graph_pool_of(allocator);
    uint64_t capture = hal_capture_number(stream);
    if (capture != 0) {
        tarn_status status = graph_pool_join(pool, stream, capture, 0);
        if (status != TARN_OK) return status;
    }
    pthread_mutex_lock(&pool->lock);
    graph_piece *piece = block->home;
    /* Another thread may have ended the capture meanwhile: then the stream is like any other. */
    if (capture != 0 && pool->capture == capture) piece->is_in_graph = true;
    else piece->uses |= bit_of(graph_streams_slot(&pool->streams, stream));
    pthread_mutex_unlock(&pool->lock);
    return TARN_OK;
}

/* Taking back what the program has not freed. */

typedef struct taking {
    graph_piece *first; /* chained by next */
    bool is_of_left;    /* not all, but what was left */
} taking;

static bool claim(void *context, graph_piece *piece) {
    taking *self = context;
    memory_block *block = piece->block;
    if (self->is_of_left && !piece->is_left) return false;
    /* Who frees it at this moment finishes that. */
    if (block == NULL || !block_claim(block, block_handle(block))) return false;
    piece->next = self->first;
    self->first = piece;
    return false;
}

/* Frees what was claimed. */
static void take_back(graph_pool *pool, taking *taken) {
    while (taken->first != NULL) {
        graph_piece *piece = taken->first;
        memory_block *block = piece->block;
        taken->first = piece->next;
        memory_take_back(block, true);
        pthread_mutex_lock(&pool->lock);
        end_use(pool, piece);
        give_back(pool, piece, stream_of_free(pool, piece, NULL));
        pthread_mutex_unlock(&pool->lock);
        block_destroy(block);
    }
}

bool graph_pool_leave(tarn_buffer *buffer) {
    const memory_block *block = block_of(buffer);
    if (block == NULL || block->owner->strategy != &graph_strategy) return false;
    if (memory_check_callback(block->owner, "leave a buffer") != TARN_OK) return false;
    graph_pool *pool = graph_pool_of(block->owner);
    pthread_mutex_lock(&pool->lock);
    graph_piece *piece = block->home;
    piece->is_left = piece->is_in_graph && pool->kept > 0;
    bool is_left = piece->is_left;
    pthread_mutex_unlock(&pool->lock);
    return is_left;
}

void graph_pool_take_left(graph_pool *pool) {
    taking taken = {.is_of_left = true};
    pthread_mutex_lock(&pool->lock);
    if (pool->kept == 0) (void)graph_heap_each(&pool->heap, claim, &taken);
    pthread_mutex_unlock(&pool->lock);
    take_back(pool, &taken);
}

tarn_status tarn_graph_pool_reset(tarn_allocator *pool) {
    graph_pool *self = graph_pool_below(pool);
    if (self == NULL) return TARN_INVALID_ARGUMENT;
    tarn_status status = memory_check_callback(pool, "reset it");
    if (status != TARN_OK) return status;
    taking taken = {0};
    pthread_mutex_lock(&self->lock);
    bool is_capturing = self->capture != 0;
    if (!is_capturing) (void)graph_heap_each(&self->heap, claim, &taken);
    pthread_mutex_unlock(&self->lock);
    if (is_capturing) {
        return base_fail(TARN_INVALID_STATE, "%s on %s: a capture uses the pool, which cannot be reset before it ends",
                         pool->spec, tarn_device_name(pool->device));
    }
    take_back(self, &taken);
    return TARN_OK;
}

static tarn_status graph_empty_cache(tarn_allocator *allocator) {
    graph_pool *pool = graph_pool_of(allocator);
    size_t bytes;
    bool is_known;
    tarn_status waited = TARN_OK;
    pthread_mutex_lock(&pool->lock);
    if (pool->capture == 0) waited = graph_streams_wait(&pool->streams, &is_known);
    pthread_mutex_unlock(&pool->lock);
    tarn_status status = graph_pool_shrink(pool, &bytes);
    return status == TARN_OK ? waited : status;
}

/* The allocator itself. */

static void stream_ended(void *context, tarn_stream *stream) {
    graph_pool *pool = context;
    uint32_t slot;
    pthread_mutex_lock(&pool->lock);
    if (graph_streams_forget(&pool->streams, stream, &slot)) graph_heap_forget_slot(&pool->heap, slot);
    pthread_mutex_unlock(&pool->lock);
}

/* Gives up what begin_structure and memory_allocator_begin did not. */
static void end_structure(graph_pool *pool, tarn_device *device) {
    graph_pool_plan_end(pool);
    hal_device_remove_stream_callback(device, stream_ended, pool);
    memory_fork_forget(&pool->lock);
    hal_graph_order_destroy(pool->client.order);
    graph_streams_end(&pool->streams);
    pthread_mutex_destroy(&pool->lock);
}

static void graph_destroy(tarn_allocator *allocator) {
    graph_pool *pool = graph_pool_of(allocator);
    if (graph_empty_cache(allocator) != TARN_OK || pool->reserved.current != 0) {
        base_log(TARN_LOG_WARNING, "%s: %llu bytes of a graph pool could not be given back: %s",
                 tarn_device_name(allocator->device), (unsigned long long)pool->reserved.current, tarn_last_error());
    }
    for (base_range *range; (range = base_range_after(pool->heap.segments, 0)) != NULL;) {
        graph_segment *segment = graph_segment_of(range);
        graph_heap_remove(&pool->heap, segment);
        graph_segment_destroy(segment);
    }
    while (pool->refused != NULL) {
        graph_segment *segment = pool->refused;
        pool->refused = segment->next;
        graph_segment_destroy(segment);
    }
    end_structure(pool, allocator->device);
    memory_allocator_end(allocator);
}

static tarn_status begin_structure(graph_pool *pool, tarn_device *device) {
    hal_graph_order *order = NULL;
    if (pool->is_sequential) {
        tarn_status status = hal_graph_order_create(device, &order);
        if (status != TARN_OK) return status;
    }
    graph_pool_client_begin(pool, order);
    pthread_mutex_init(&pool->lock, NULL);
    graph_streams_begin(&pool->streams, device, &pool->lock);
    pool->heap.device = device;
    pool->heap.unit = hal_device_properties(device)->alignment;
    pool->heap.streams = &pool->streams;
    tarn_status status = hal_device_on_stream_destroy(device, stream_ended, pool);
    if (status == TARN_OK && memory_fork_watch(&pool->lock, false)) return TARN_OK;
    end_structure(pool, device);
    return base_fail(TARN_OUT_OF_MEMORY, "graph: no host memory for an allocator");
}

static tarn_status read_arguments(graph_pool *pool, tarn_device *device, memory_arguments *arguments) {
    tarn_status status = memory_argument_size(arguments, "initial", &pool->initial);
    if (status == TARN_OK) status = memory_argument_size(arguments, "maximum", &pool->maximum);
    if (status == TARN_OK) status = memory_argument_kind(arguments, "kind", &pool->kind);
    if (status == TARN_OK) status = memory_argument_switch(arguments, "sequential", &pool->is_sequential);
    pool->is_planning = true;
    if (status == TARN_OK) status = memory_argument_switch(arguments, "planned", &pool->is_planning);
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    if (pool->maximum != 0 && pool->initial > pool->maximum) {
        return memory_argument_refuse(arguments, "initial", "at most the maximum capacity");
    }
    if ((hal_device_properties(device)->memory_kinds & TARN_MEMORY_KIND_BIT(pool->kind)) == 0) {
        return base_fail(TARN_NOT_SUPPORTED, "%s has no memory of the kind that \"graph\" is asked for",
                         tarn_device_name(device));
    }
    return TARN_OK;
}

/* The memory that the pool begins with. */
static tarn_status take_initial(graph_pool *pool) {
    size_t size;
    if (pool->initial == 0) return TARN_OK;
    if (!checked_round_up(pool->initial, pool->heap.unit, &size)) size = round_down(pool->initial, pool->heap.unit);
    if (pool->maximum != 0 && size > pool->maximum) size = round_down(pool->initial, pool->heap.unit);
    return size > 0 ? graph_pool_grow(pool, size, pool->heap.unit, true) : TARN_OK;
}

static tarn_status graph_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                tarn_allocator **out_allocator) {
    graph_pool *pool = base_allocate(1, sizeof *pool);
    if (pool == NULL) return base_fail(TARN_OUT_OF_MEMORY, "graph: no host memory for an allocator");
    tarn_status status = read_arguments(pool, device, arguments);
    if (status == TARN_OK) status = begin_structure(pool, device);
    if (status != TARN_OK) {
        base_free(pool);
        return status;
    }
    memory_allocator_begin(&pool->base, &graph_strategy, device, upstream);
    status = take_initial(pool);
    if (status != TARN_OK) {
        end_structure(pool, device);
        memory_allocator_end(&pool->base);
        return status;
    }
    *out_allocator = &pool->base;
    return TARN_OK;
}

tarn_status tarn_graph_pool_create(tarn_device *device, const tarn_graph_pool_options *options,
                                   tarn_allocator **out_pool) {
    tarn_graph_pool_options read;
    tarn_status status = base_read_structure("graph", options, &read, sizeof read);
    if (status != TARN_OK) return status;
    if ((unsigned)read.kind >= TARN_MEMORY_KIND_COUNT) {
        return base_fail(TARN_INVALID_ARGUMENT, "%d is no kind of memory", (int)read.kind);
    }
    char spec[176], maximum[48] = "";
    if (read.maximum_capacity != 0) snprintf(maximum, sizeof maximum, ",maximum=%zu", read.maximum_capacity);
    snprintf(spec, sizeof spec, "graph:initial=%zu%s,kind=%s,sequential=%s%s", read.initial_capacity, maximum,
             hal_memory_kind_name(read.kind), read.is_sequential != 0 ? "on" : "off",
             read.is_unplanned != 0 ? ",planned=off" : "");
    return tarn_allocator_create(device, spec, out_pool);
}

const memory_strategy graph_strategy = {
    .name = "graph",
    .create = graph_create,
    .destroy = graph_destroy,
    .allocate = graph_allocate,
    .check_free = graph_check_free,
    .free = graph_free,
    .empty_cache = graph_empty_cache,
    .stats = graph_pool_stats,
    .reset_peaks = graph_pool_reset_peaks,
    .each_block = graph_pool_each_block,
    .find = graph_pool_find,
    .check = graph_pool_check,
    .record_stream = graph_record_stream,
    .kind = graph_kind,
    .containing = graph_pool_containing,
};
