/* How captures and graphs use a graph pool: who may enter, what they use, and when it is over.
 *
 * Each capture that enters keeps one reference of the pool until its graph has ended. */
#include <stdio.h>

#include "base/log.h"
#include "base/status.h"
#include "memory/graph_pool.h"

/* Under the lock: one graph less; with the last, all its memory is ordinary again. */
static void drop_graph(graph_pool *pool) {
    if (--pool->kept == 0) graph_heap_settle(&pool->heap, true);
}

/* Captured work reads or writes these bytes: the live buffers they lie in are in a graph now. */
static void use(void *context, const void *address, size_t size, bool is_captured) {
    graph_pool *pool = context;
    uintptr_t start = (uintptr_t)address;
    pthread_mutex_lock(&pool->lock);
    base_range *range = base_range_containing(pool->heap.live, start);
    if (range == NULL) range = base_range_after(pool->heap.live, start);
    while (range != NULL && range->start < start + size) {
        graph_piece *piece = graph_piece_of(range);
        piece->is_in_graph = true;
        piece->is_in_ended_capture = piece->is_in_ended_capture || !is_captured;
        range = base_range_after(pool->heap.live, range->start);
    }
    pthread_mutex_unlock(&pool->lock);
}

typedef struct ending {
    bool is_aborted;
    uint64_t capture;
    uint64_t bytes; /* that the capture allocated, or freed */
} ending;

/* What a capture used, the graph uses. An aborted capture's buffers are ordinary again, unless other graphs use them. */
static bool end_capture_of(void *context, graph_piece *piece) {
    ending *self = context;
    bool is_of_capture = piece->block != NULL ? piece->note != GRAPH_NO_NOTE : piece->freed_in.capture == self->capture;
    /* The block of a plan stays whole, for the captures that share it. */
    if (piece->is_in_plan && !self->is_aborted) piece->is_in_graph = true;
    if (is_of_capture || piece->is_in_plan) self->bytes += piece->range.size;
    piece->freed_in = (hal_capture_point){.capture = 0};
    piece->note = GRAPH_NO_NOTE;
    piece->is_in_plan = false;
    if (!self->is_aborted) piece->is_in_ended_capture = piece->is_in_graph;
    else if (piece->block != NULL) piece->is_in_graph = piece->is_in_ended_capture;
    return false;
}

static void finish(void *context, bool is_aborted) {
    graph_pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    ending self = {.is_aborted = is_aborted, .capture = pool->capture};
    pool->capture = 0;
    if (is_aborted) pool->holders--;
    (void)graph_heap_each(&pool->heap, end_capture_of, &self);
    /* One piece again, where the next capture may need one. */
    graph_heap_settle(&pool->heap, false);
    graph_pool_plan_finish(pool, self.bytes, is_aborted);
    pthread_mutex_unlock(&pool->lock);
}

static void release(void *context) {
    graph_pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    pool->holders--;
    pthread_mutex_unlock(&pool->lock);
}

static void end(void *context) {
    graph_pool *pool = context;
    pthread_mutex_lock(&pool->lock);
    drop_graph(pool);
    pthread_mutex_unlock(&pool->lock);
    graph_pool_take_left(pool);
    if (tarn_allocator_release(&pool->base) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "a graph ended, and %s", tarn_last_error());
    }
}

void graph_pool_client_begin(graph_pool *pool, hal_graph_order *order) {
    pool->client = (hal_graph_client){.use = use, .finish = finish, .release = release, .end = end, .order = order};
}

/* Whether the capture may use the pool. Under the lock. */
static tarn_status check_entry(const graph_pool *pool, const tarn_stream *stream) {
    const char *name = tarn_device_name(pool->base.device);
    if (pool->capture != 0) {
        return base_fail(TARN_BUSY, "%s on %s: another capture than that of stream %u uses the pool now",
                         pool->base.spec, name, hal_stream_number(stream));
    }
    if (pool->kept > 0 && !pool->is_sequential) {
        return base_fail(
            TARN_BUSY,
            "%s on %s: a graph uses the pool, which is not declared sequential (sequential=on), so no other can",
            pool->base.spec, name);
    }
    return TARN_OK;
}

tarn_status graph_pool_join(graph_pool *pool, tarn_stream *stream, uint64_t capture, uint64_t name) {
    tarn_status status = TARN_OK;
    pthread_mutex_lock(&pool->lock);
    bool is_in = pool->capture == capture;
    if (!is_in) status = check_entry(pool, stream);
    if (!is_in && status == TARN_OK) {
        pool->capture = capture;
        pool->holders++;
        pool->kept++;
    }
    pthread_mutex_unlock(&pool->lock);
    if (is_in || status != TARN_OK) return status;
    tarn_allocator_retain(&pool->base);
    status = hal_capture_attach(stream, capture, &pool->client, pool);
    if (status == TARN_OK) {
        graph_pool_plan_begin(pool, capture, name);
        return TARN_OK;
    }
    pthread_mutex_lock(&pool->lock);
    pool->capture = 0;
    pool->holders--;
    drop_graph(pool);
    pthread_mutex_unlock(&pool->lock);
    graph_pool_take_left(pool);
    tarn_allocator_release(&pool->base);
    return status;
}

tarn_status tarn_graph_pool_begin_named_capture(tarn_allocator *pool, tarn_stream *stream, tarn_capture_mode mode,
                                                uint64_t name) {
    graph_pool *self = graph_pool_below(pool);
    if (self == NULL) return TARN_INVALID_ARGUMENT;
    if (stream == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%s: the stream to capture is NULL", pool->spec);
    if (tarn_stream_device(stream) != self->base.device) {
        hal_stream_refuse(self->base.device, stream);
        return TARN_INVALID_ARGUMENT;
    }
    /* Streams are asked now, since the capture itself asks none. */
    pthread_mutex_lock(&self->lock);
    if (self->capture == 0 && graph_streams_poll(&self->streams)) graph_heap_settle(&self->heap, false);
    pthread_mutex_unlock(&self->lock);
    graph_pool_plan_prepare(self, name);
    tarn_status status = tarn_stream_begin_capture(stream, mode);
    if (status != TARN_OK) return status;
    status = graph_pool_join(self, stream, hal_capture_number(stream), name);
    if (status == TARN_OK) return TARN_OK;
    /* The stream is as before, and the sentence is that of the failure. */
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
    (void)tarn_stream_abort_capture(stream);
    return base_fail(status, "%s", sentence);
}

tarn_status tarn_graph_pool_begin_capture(tarn_allocator *pool, tarn_stream *stream, tarn_capture_mode mode) {
    return tarn_graph_pool_begin_named_capture(pool, stream, mode, 0);
}
