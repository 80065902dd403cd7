/* Captures whose buffers lie where the planner wants them; see graph_plan.h, and tarn/graph_pool.h for what it means to a program.
 *
 * A capture that is planned takes one block for its plan with its first request. The block is cut into pieces like any memory of
 * the pool, but for that nobody else gets them; a request that the plan does not expect, or whose place is not free, is served as if there were
 * no plan. So following a plan can cost memory when a program does something else, and never a wrong address. */
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/graph_pool.h"

enum {
    MOST_SEQUENCES = 64, /* names that are remembered; the one that was captured longest ago is forgotten */
    ASTRAY = 8           /* deviations in a row that show that it is another work that is captured */
};

/* Sequences. */

static void destroy_sequence(graph_sequence *sequence) {
    graph_notes_end(&sequence->notes);
    graph_plan_destroy(sequence->plan);
    base_free(sequence);
}

/* Takes the sequence of that name out of the list; NULL when there is none. Under the lock. */
static graph_sequence *take_sequence(graph_pool *pool, uint64_t name) {
    graph_sequence **link = &pool->sequences;
    while (*link != NULL && (*link)->name != name) link = &(*link)->next;
    graph_sequence *sequence = *link;
    if (sequence != NULL) *link = sequence->next;
    return sequence;
}

/* Puts it in as the latest one. Under the lock. */
static void put_sequence(graph_pool *pool, graph_sequence *sequence) {
    sequence->next = pool->sequences;
    pool->sequences = sequence;
    graph_sequence **link = &pool->sequences;
    for (int i = 0; i < MOST_SEQUENCES && *link != NULL; i++) link = &(*link)->next;
    if (*link == NULL) return;
    destroy_sequence(*link);
    *link = NULL;
}

/* Makes the plan of a sequence that has none. Without the lock; the sequence is the caller's alone. */
static void make_plan(graph_pool *pool, graph_sequence *sequence) {
    if (sequence->plan != NULL || sequence->notes.count == 0) return;
    if (graph_plan_create(&sequence->notes, &sequence->plan) == TARN_OK) return;
    base_log(TARN_LOG_INFO, "%s on %s: a capture is not planned: %s", pool->base.spec,
             tarn_device_name(pool->base.device), tarn_last_error());
    pthread_mutex_lock(&pool->lock);
    pool->counts.failed++;
    pthread_mutex_unlock(&pool->lock);
}

static graph_sequence *take_planned(graph_pool *pool, uint64_t name) {
    pthread_mutex_lock(&pool->lock);
    graph_sequence *sequence = take_sequence(pool, name);
    pthread_mutex_unlock(&pool->lock);
    if (sequence != NULL) make_plan(pool, sequence);
    return sequence;
}

void graph_pool_plan_prepare(graph_pool *pool, uint64_t name) {
    if (!pool->is_planning) return;
    graph_sequence *sequence = take_planned(pool, name);
    if (sequence == NULL) return;
    size_t bytes = 0;
    pthread_mutex_lock(&pool->lock);
    /* What no graph uses and is too small for the plan would only be there beside it. */
    bool is_short =
        sequence->plan != NULL && pool->kept == 0 && !graph_heap_has_for_capture(&pool->heap, sequence->plan->size);
    put_sequence(pool, sequence);
    pthread_mutex_unlock(&pool->lock);
    if (is_short) (void)graph_pool_shrink(pool, &bytes);
}

void graph_pool_plan_begin(graph_pool *pool, uint64_t capture, uint64_t name) {
    graph_sequence *sequence = pool->is_planning ? take_planned(pool, name) : NULL;
    if (sequence == NULL) sequence = base_allocate(1, sizeof *sequence);
    if (sequence == NULL) return; /* nothing is noted */
    sequence->name = name;
    pthread_mutex_lock(&pool->lock);
    if (pool->capture == capture) {
        pool->following = (graph_following){.sequence = sequence, .wants_block = sequence->plan != NULL};
        if (sequence->plan != NULL) graph_plan_restart(sequence->plan);
    } else {
        put_sequence(pool, sequence); /* it was aborted meanwhile */
    }
    pthread_mutex_unlock(&pool->lock);
}

/* Following the plan. */

/* Takes the block. With the lock held, which is dropped meanwhile. */
static void take_block(graph_pool *pool, const tarn_stream *stream, uint64_t capture, const graph_plan *plan) {
    /* Where other graphs live, the capture shares their memory, piece by piece if need be, and takes no more. */
    graph_asker asker = {.stream = stream, .capture = capture, .is_sharing = pool->kept > 1};
    graph_piece *piece = NULL;
    size_t size = plan->size, alignment = plan->alignment;
    tarn_status status = graph_heap_take(&pool->heap, &asker, size, alignment, &piece);
    if (status == TARN_OK && piece == NULL && !asker.is_sharing) {
        pthread_mutex_unlock(&pool->lock);
        status = graph_pool_grow(pool, size, alignment, false);
        pthread_mutex_lock(&pool->lock);
        if (status == TARN_OK && pool->capture == capture)
            (void)graph_heap_take(&pool->heap, &asker, size, alignment, &piece);
    }
    if (piece == NULL) {
        pool->counts.failed++;
        return;
    }
    pool->following.block = piece->range.start;
    pool->counts.captures++;
    pool->heap.keeps_points = pool->following.sequence->plan->has_forks;
    piece->is_in_plan = true;
    graph_heap_put(&pool->heap, piece);
}

/* Counts a deviation. Under the lock. */
static void deviate(graph_pool *pool) {
    pool->counts.deviations++;
    pool->following.deviations++;
    if (++pool->following.astray == ASTRAY) (void)graph_pool_plan_give_up(pool);
}

/* Looks for the request's place, with the lock held. */
static graph_piece *find_piece(graph_pool *pool, const graph_asker *asker, const memory_request *request, size_t size) {
    graph_following *following = &pool->following;
    hal_clock clock;
    uint32_t stream;
    graph_piece *piece = NULL;
    if (following->block == 0 || hal_capture_clock(request->stream, asker->capture, &clock, &stream) == 0) return NULL;
    const graph_place *place = graph_plan_find(following->sequence->plan, size, request->alignment, stream);
    if (place != NULL) {
        tarn_status status = graph_heap_take_at(&pool->heap, asker, following->block + place->offset, size, &piece);
        if (status != TARN_OK) piece = NULL; /* the host's memory may do for another place */
    }
    if (piece == NULL) {
        deviate(pool);
        return NULL;
    }
    following->astray = 0;
    pool->counts.requests++;
    return piece;
}

graph_piece *graph_pool_plan_serve(graph_pool *pool, const memory_request *request, uint64_t capture, size_t size) {
    graph_asker asker = {.stream = request->stream, .capture = capture};
    graph_piece *piece = NULL;
    pthread_mutex_lock(&pool->lock);
    if (pool->following.wants_block && pool->capture == capture) {
        pool->following.wants_block = false;
        take_block(pool, request->stream, capture, pool->following.sequence->plan);
    }
    if (pool->capture == capture) piece = find_piece(pool, &asker, request, size);
    if (piece == NULL) {
        pthread_mutex_unlock(&pool->lock);
        return NULL;
    }
    piece->slot = graph_streams_slot(&pool->streams, request->stream);
    return piece;
}

bool graph_pool_plan_give_up(graph_pool *pool) {
    bool is_followed = pool->following.block != 0;
    pool->following.block = 0;
    if (is_followed) graph_heap_end_plan(&pool->heap);
    return is_followed;
}

/* Noting. */

void graph_pool_plan_note(graph_pool *pool, const memory_request *request, uint64_t capture, graph_piece *piece) {
    hal_clock clock;
    uint32_t stream;
    if (pool->following.sequence == NULL || pool->capture != capture) return;
    unsigned streams = hal_capture_clock(request->stream, capture, &clock, &stream);
    if (streams == 0) return;
    piece->note = graph_notes_add(&pool->following.notes, &piece->range, request->alignment, stream, &clock, streams);
}

void graph_pool_plan_note_free(graph_pool *pool, const graph_piece *piece) {
    if (piece->note != GRAPH_NO_NOTE) graph_notes_remove(&pool->following.notes, piece->note, &piece->freed_in);
}

/* Keeps what the capture asked for in the place of what is known under its name. */
static void learn(graph_sequence *sequence, graph_notes *notes) {
    graph_notes_end(&sequence->notes);
    graph_plan_destroy(sequence->plan);
    sequence->plan = NULL;
    if (notes->is_broken) return;
    sequence->notes = *notes;
    *notes = (graph_notes){.items = NULL};
}

void graph_pool_plan_finish(graph_pool *pool, uint64_t bytes, bool is_aborted) {
    graph_following *following = &pool->following;
    graph_sequence *sequence = following->sequence;
    if (sequence != NULL) {
        /* An aborted capture that kept to the plan so far says nothing about the rest. */
        bool is_prefix =
            is_aborted && following->deviations == 0 && (following->block != 0 || following->notes.count == 0);
        pool->counts.capture_bytes = bytes;
        pool->counts.lower_bound = following->notes.peak;
        if (!is_prefix && !graph_notes_are_alike(&sequence->notes, &following->notes))
            learn(sequence, &following->notes);
        graph_notes_end(&following->notes);
        if (pool->is_planning) put_sequence(pool, sequence);
        else destroy_sequence(sequence);
    }
    pool->heap.keeps_points = false;
    *following = (graph_following){.sequence = NULL};
}

void graph_pool_plan_end(graph_pool *pool) {
    while (pool->sequences != NULL) {
        graph_sequence *sequence = pool->sequences;
        pool->sequences = sequence->next;
        destroy_sequence(sequence);
    }
}
