/* The memory of a graph pool and the driver: growing, giving back, and what is tried before a request fails.
 *
 * A capture must not ask the device anything, so for it there is only what is known to be free, and new segments. */
#include <stdio.h>

#include <tarn/size.h>

#include "base/checked.h"
#include "base/status.h"
#include "hal/memory.h"
#include "memory/graph_pool.h"
#include "memory/stats.h"

/* Segments of small requests, of middle ones, and the unit of large ones, as frameworks have them. */
#define SMALL_REQUEST ((size_t)1 << 20)
#define SMALL_SEGMENT ((size_t)2 << 20)
#define MIDDLE_REQUEST ((size_t)10 << 20)
#define MIDDLE_SEGMENT ((size_t)20 << 20)
#define LARGE_UNIT ((size_t)2 << 20)

void graph_pool_count_cached(graph_pool *pool) {
    memory_figure_set(&pool->cached, pool->reserved.current - pool->tally.in_use.current);
}

static size_t segment_size(size_t size) {
    size_t rounded;
    if (size <= SMALL_REQUEST) return SMALL_SEGMENT;
    if (size < MIDDLE_REQUEST) return MIDDLE_SEGMENT;
    return checked_round_up(size, LARGE_UNIT, &rounded) ? rounded : size;
}

/* Counts a segment of at least `size` bytes against the maximum capacity. Under the lock. */
static tarn_status reserve(graph_pool *pool, size_t size, size_t *inout_segment) {
    uint64_t taken = pool->reserved.current + pool->growing;
    uint64_t left = pool->maximum == 0 ? UINT64_MAX : pool->maximum > taken ? pool->maximum - taken : 0;
    if (size > left) {
        char most[TARN_SIZE_TEXT], taken_text[TARN_SIZE_TEXT];
        return base_fail(TARN_LIMIT_EXCEEDED, "maximum capacity %s, of which %s are taken",
                         tarn_size_format(pool->maximum, most), tarn_size_format(taken, taken_text));
    }
    if (*inout_segment > left) *inout_segment = round_down((size_t)left, pool->heap.unit);
    if (*inout_segment < size) *inout_segment = size;
    pool->growing += *inout_segment;
    return TARN_OK;
}

tarn_status graph_pool_grow(graph_pool *pool, size_t size, size_t alignment, bool is_exact) {
    size_t wanted = is_exact ? size : segment_size(size);
    void *address;
    graph_segment *segment = graph_segment_create();
    if (segment == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe memory of a pool",
                         tarn_device_name(pool->base.device));
    }
    pthread_mutex_lock(&pool->lock);
    tarn_status status = reserve(pool, size, &wanted);
    pthread_mutex_unlock(&pool->lock);
    if (status != TARN_OK) {
        graph_segment_destroy(segment);
        return status;
    }
    size_t taken = wanted;
    status = hal_memory_allocate(pool->base.device, pool->kind, taken, alignment, &address);
    if (status == TARN_OUT_OF_MEMORY && taken > size) {
        taken = size;
        status = hal_memory_allocate(pool->base.device, pool->kind, taken, alignment, &address);
    }
    pthread_mutex_lock(&pool->lock);
    pool->growing -= wanted;
    if (status == TARN_OK) {
        graph_heap_add(&pool->heap, segment, (uintptr_t)address, taken);
        memory_figure_add(&pool->reserved, taken);
        graph_pool_count_cached(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    if (status != TARN_OK) graph_segment_destroy(segment);
    return status;
}

/* Takes the idle segments out of the heap, and adds those that were refused. Under the lock. */
static graph_segment *take_idle(graph_pool *pool) {
    uintptr_t address = 0;
    if (pool->capture != 0) return NULL;
    graph_segment *idle = pool->refused;
    pool->refused = NULL;
    graph_heap_settle(&pool->heap, false);
    for (base_range *range; (range = base_range_after(pool->heap.segments, address)) != NULL;) {
        graph_segment *segment = graph_segment_of(range);
        address = range->start;
        if (!graph_segment_is_idle(&pool->heap, segment)) continue;
        graph_heap_remove(&pool->heap, segment);
        segment->next = idle;
        idle = segment;
    }
    return idle;
}

tarn_status graph_pool_shrink(graph_pool *pool, size_t *out_bytes) {
    tarn_status first = TARN_OK;
    *out_bytes = 0;
    pthread_mutex_lock(&pool->lock);
    graph_segment *segment = take_idle(pool);
    while (segment != NULL) {
        graph_segment *next = segment->next;
        uintptr_t address = segment->range.start;
        size_t size = segment->range.size;
        pthread_mutex_unlock(&pool->lock);
        tarn_status status = hal_memory_free(pool->base.device, pool->kind, (void *)address,
                                             size); /* NOLINT(performance-no-int-to-ptr) */
        pthread_mutex_lock(&pool->lock);
        if (status == TARN_OK) {
            graph_segment_destroy(segment);
            *out_bytes += size;
            memory_figure_subtract(&pool->reserved, size);
            graph_pool_count_cached(pool);
        } else {
            segment->next = pool->refused;
            pool->refused = segment;
            if (first == TARN_OK) first = status;
        }
        segment = next;
    }
    pthread_mutex_unlock(&pool->lock);
    return first;
}

/* Looks for memory that is there. Under the lock. */
static tarn_status look(graph_pool *pool, const graph_asker *asker, const memory_request *request, size_t size,
                        graph_piece **out_piece) {
    tarn_status status = graph_heap_take(&pool->heap, asker, size, request->alignment, out_piece);
    if (status != TARN_OK || *out_piece != NULL || asker->capture != 0) return status;
    if (!graph_streams_poll(&pool->streams)) return TARN_OK;
    graph_heap_settle(&pool->heap, false);
    return graph_heap_take(&pool->heap, asker, size, request->alignment, out_piece);
}

/* Memory that the driver does not take back can be used all the same. False when there is none. */
static bool use_refused(graph_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    bool is_any = pool->refused != NULL;
    while (pool->refused != NULL) {
        graph_segment *segment = pool->refused;
        pool->refused = segment->next;
        graph_heap_add(&pool->heap, segment, segment->range.start, segment->range.size);
    }
    pthread_mutex_unlock(&pool->lock);
    return is_any;
}

/* What can be done when the driver or the maximum gives no more: waiting for streams, giving idle segments back, asking
 * reclaimers. False when nothing came of it. Without the lock. */
static bool make_room(graph_pool *pool, const graph_asker *asker, const memory_request *request, size_t size,
                      bool *inout_uses_refused) {
    size_t given = 0;
    bool is_known = false;
    if (asker->capture != 0) {
        pthread_mutex_lock(&pool->lock);
        bool is_given_up = graph_pool_plan_give_up(pool);
        pthread_mutex_unlock(&pool->lock);
        if (is_given_up) return true;
    } else {
        pthread_mutex_lock(&pool->lock);
        (void)graph_streams_wait(&pool->streams, &is_known);
        if (is_known) graph_heap_settle(&pool->heap, false);
        pool->tally.retries++;
        pthread_mutex_unlock(&pool->lock);
    }
    if (is_known) return true;
    (void)graph_pool_shrink(pool, &given);
    if (given == 0 && !*inout_uses_refused) {
        *inout_uses_refused = true;
        if (use_refused(pool)) return true;
    }
    if (given == 0) given = memory_reclaim(request->outer, size);
    return given > 0;
}

tarn_status graph_pool_obtain(graph_pool *pool, const memory_request *request, uint64_t capture, size_t size,
                              graph_piece **out_piece) {
    graph_asker asker = {.stream = request->stream, .capture = capture};
    bool uses_refused = false; /* once only: they may be refused again and again */
    for (;;) {
        graph_piece *piece;
        pthread_mutex_lock(&pool->lock);
        if (capture != 0 && pool->capture != capture) {
            pthread_mutex_unlock(&pool->lock);
            return base_fail(TARN_INVALID_STATE, "%s: the capture of stream %u has ended meanwhile",
                             tarn_device_name(pool->base.device), hal_stream_number(request->stream));
        }
        asker.slot = graph_streams_slot(&pool->streams, request->stream);
        tarn_status status = look(pool, &asker, request, size, &piece);
        if (status == TARN_OK && piece != NULL) {
            piece->slot = asker.slot;
            *out_piece = piece;
            return TARN_OK;
        }
        pthread_mutex_unlock(&pool->lock);
        if (status != TARN_OK) return status;
        status = graph_pool_grow(pool, size, request->alignment, false);
        if (status == TARN_OK) continue;
        if (status != TARN_OUT_OF_MEMORY && status != TARN_LIMIT_EXCEEDED) return status;
        /* What is tried meanwhile may fail too; the first sentence is the one that counts. */
        char sentence[512];
        snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
        if (!make_room(pool, &asker, request, size, &uses_refused)) return base_fail(status, "%s", sentence);
    }
}
