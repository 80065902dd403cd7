/* The graph pool's structure, for the files that it is made of; see tarn/graph_pool.h for what it promises.
 *
 * All memory that captured work uses is one lot, whichever graph it belongs to: a pool has one graph at a time, or several
 * that run one after the other. So it is enough to count the graphs; with the last of them the lot is dissolved.
 *
 * What the last capture under each name asked for is kept as a *sequence*, and the next one of that name is planned by it. The
 * sequence of the capture that is under way is out of the list, and the capture's alone. */
#ifndef MEMORY_GRAPH_POOL_H
#define MEMORY_GRAPH_POOL_H

#include <pthread.h>

#include <tarn/graph_pool.h>

#include "memory/graph_heap.h"
#include "memory/stats.h"
#include "memory/strategy.h"

typedef struct graph_sequence {
    uint64_t name;
    graph_notes notes;           /* none at first */
    graph_plan *plan;            /* NULL: none was made yet */
    struct graph_sequence *next; /* in the list: the later ones first */
} graph_sequence;

/* Of the capture that uses the pool now. */
typedef struct graph_following {
    graph_sequence *sequence; /* NULL: nothing is noted */
    graph_notes notes;
    bool wants_block; /* nothing was asked for yet, and there is a plan */
    uintptr_t block;  /* where the plan lies; 0: it is not followed */
    uint64_t deviations;
    unsigned astray; /* deviations in a row */
} graph_following;

/* As in tarn_graph_pool_info. */
typedef struct graph_planning_counts {
    uint64_t captures, requests, deviations, failed;
    uint64_t capture_bytes, lower_bound;
} graph_planning_counts;

typedef struct graph_pool {
    tarn_allocator base;
    tarn_memory_kind kind;
    size_t initial, maximum; /* bytes; no maximum: 0 */
    bool is_sequential, is_planning;
    hal_graph_client client; /* as captures see this pool */

    pthread_mutex_t lock; /* protects what follows; not held while memory is asked of the driver or given back */
    graph_streams streams;
    graph_heap heap;
    graph_segment *refused; /* that the driver did not take back: tried again before anything else is done with them */
    uint64_t capture;       /* number of the capture that uses the pool now, or 0 */
    uint64_t holders, kept; /* graphs that can be launched, and those that have not ended; captures too */
    uint64_t growing;       /* bytes that are just being asked for */
    uint64_t last_id;
    memory_tally tally;
    tarn_figure cached, reserved;
    graph_sequence *sequences;
    graph_following following;
    graph_planning_counts counts;
} graph_pool;

extern const memory_strategy graph_strategy;

static inline graph_pool *graph_pool_of(tarn_allocator *allocator) { return (graph_pool *)(void *)allocator; }

/* The pool at the lower end of the stack, else NULL and INVALID_ARGUMENT's sentence. */
graph_pool *graph_pool_below(tarn_allocator *stack);

/* Has a live buffer, the free of which is refused since graphs use it, freed when the last of them has ended. False where nothing
 * refuses that, and for buffers of other allocators. The caller does not use the buffer again. */
bool graph_pool_leave(tarn_buffer *buffer);
/* Frees what was left, when no graph uses the pool any more. Without the lock; the caller keeps the pool. */
void graph_pool_take_left(graph_pool *pool);

/* graph_pool_query.c: the allocator's questions, as in the strategy's table. */
tarn_status graph_pool_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats);
tarn_status graph_pool_reset_peaks(tarn_allocator *allocator);
tarn_status graph_pool_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                  void *context);
tarn_status graph_pool_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
tarn_status graph_pool_containing(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
tarn_status graph_pool_check(tarn_allocator *allocator);
/* Visits the live buffers that were allocated through `through`, under the lock. */
void graph_pool_each_through(graph_pool *pool, const tarn_allocator *through,
                             int (*visit)(void *, const tarn_block_info *), void *context);

/* graph_pool_graphs.c: how captures and graphs use a pool. */
void graph_pool_client_begin(graph_pool *pool, hal_graph_order *order);
/* Has the capture of the stream use the pool under that name, which it may do already under any. Without the lock. BUSY,
 * INVALID_STATE. */
tarn_status graph_pool_join(graph_pool *pool, tarn_stream *stream, uint64_t capture, uint64_t name);

/* graph_pool_plan.c: captures that are planned. */
/* Makes the plan for a capture of that name, which has not begun, and room for it. Without the lock. */
void graph_pool_plan_prepare(graph_pool *pool, uint64_t name);
/* Begins to note what the capture asks for, and to follow its plan. Without the lock. */
void graph_pool_plan_begin(graph_pool *pool, uint64_t capture, uint64_t name);
/* Takes the piece where the plan wants the request of a capture to lie; NULL where it is to lie elsewhere. Returns with the
 * lock held where there is a piece. */
graph_piece *graph_pool_plan_serve(graph_pool *pool, const memory_request *request, uint64_t capture, size_t size);
/* Notes a request and the piece that it got; that the piece was freed in the capture, at `freed_in`. Under the lock. */
void graph_pool_plan_note(graph_pool *pool, const memory_request *request, uint64_t capture, graph_piece *piece);
void graph_pool_plan_note_free(graph_pool *pool, const graph_piece *piece);
/* Has the capture follow its plan no further, so that the rest of its block serves any request; false when it follows none. Under the
 * lock. */
bool graph_pool_plan_give_up(graph_pool *pool);
/* The capture has ended, which kept so many bytes. Its pieces are in no plan any more. Under the lock. */
void graph_pool_plan_finish(graph_pool *pool, uint64_t bytes, bool is_aborted);
void graph_pool_plan_end(graph_pool *pool);

/* graph_pool_memory.c: the pool's memory and the driver. */
/* Finds memory of `size` bytes for the asker, by asking the driver if need be. LIMIT_EXCEEDED, OUT_OF_MEMORY; INVALID_STATE: the
 * capture does not use the pool any more. Returns with the lock held on success only. */
tarn_status graph_pool_obtain(graph_pool *pool, const memory_request *request, uint64_t capture, size_t size,
                              graph_piece **out_piece);
/* Takes a segment of at least `size` bytes from the driver, or of just that many. Without the lock. */
tarn_status graph_pool_grow(graph_pool *pool, size_t size, size_t alignment, bool is_exact);
/* Gives idle segments back, and those that the driver refused before. Without the lock. The first failure; `out_bytes` is what
 * went back. */
tarn_status graph_pool_shrink(graph_pool *pool, size_t *out_bytes);
/* Keeps `cached` the difference that it is. Under the lock. */
void graph_pool_count_cached(graph_pool *pool);

#endif
