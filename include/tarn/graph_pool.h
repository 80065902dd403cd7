/* Graph pools: memory for captured work, at addresses that stay as long as a graph uses them.
 *
 * A graph pool is an allocator, named `graph[:initial=SIZE,maximum=SIZE,kind=…,sequential=on|off,planned=on|off]` in a spec, alone
 * or with adaptors before it. Outside captures it is a pool like others, in stream order. A buffer that is allocated on a captured stream
 * (tarn/graph.h) is that capture's, and the graph's that it becomes, as is a buffer that captured copies and fills read or
 * write, or that tarn_buffer_record_stream names a captured stream for:
 *
 *   - its memory is given to nobody else until the graph and its instances are released and have finished; then what was freed
 *     meanwhile is ordinary free memory again, and what is live an ordinary buffer;
 *   - freed on a captured stream, it is used again in the same capture by work that comes after the free;
 *   - freed elsewhere while such a graph lives it is refused: INVALID_STATE, and the buffer stays.
 *
 * The graphs keep the pool: releasing it while one lives is put off. A capture that is aborted leaves its buffers to be freed
 * like others; where they lay in memory that another graph shares, it stays with that, which may write to them until then. One capture at a time uses a pool, and one graph, unless the pool is declared sequential: then several
 * graphs share its memory, their launches are put one after the other, and what one freed in its capture is used again
 * by the next. Otherwise: BUSY.
 *
 * Requests beyond the maximum capacity are LIMIT_EXCEEDED. During its capture a pool asks no event and gives nothing back to the
 * driver. tarn_allocator_empty_cache gives back all that is free, the initial capacity too. All functions may be called from
 * any thread.
 *
 * Plans. A capture finds memory for each request as it comes, and what it keeps for good is that first layout. The pool notes what
 * was asked for and when it was freed; the next capture of the same work has its buffers laid out by the planner (tarn/plan.h) in
 * one block, which is never larger. So a program that captures again, as those with changing shapes do, needs less from the second
 * time on; one that captures once has the same by a trial that it throws away:
 *
 *     tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_GLOBAL);
 *     step(stream);
 *     tarn_stream_abort_capture(stream);  // a trial: nothing ran, and what the step asked for is known
 *     tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_GLOBAL);
 *     step(stream);
 *     tarn_stream_end_capture(stream, &graph);
 *
 * Works that differ are told apart by names (tarn_graph_pool_begin_named_capture), of which a pool remembers 64. A *deviation* is a request
 * that the plan does not expect, or whose place is not free for it: it is served as without a plan, and after eight in a row the plan is
 * given up. What the capture asked for is the plan of the next one. Buffers used on forked streams share memory only where the
 * capture's order lets them. While another graph lives in a sequential pool, a plan lies in memory that the graphs share alone: where none of
 * it is large enough in one piece, the capture goes on without. Capture the largest work first. */
#ifndef TARN_GRAPH_POOL_H
#define TARN_GRAPH_POOL_H

#include <tarn/allocator.h>
#include <tarn/graph.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_graph_pool_options {
    size_t struct_size;
    size_t initial_capacity; /* bytes taken from the device at once; 0: none */
    size_t maximum_capacity; /* bytes; 0: as much as the device has */
    tarn_memory_kind kind;
    int is_sequential; /* graphs that share the pool never run at the same time */
    int is_unplanned;  /* 0 or 1: captures are not planned (planned=off) */
} tarn_graph_pool_options;

/* Creates a pool, as the text would. NULL options are all defaults. Caller owns one reference. INVALID_ARGUMENT: an initial
 * capacity above the maximum; NOT_SUPPORTED: a kind that the device lacks; OUT_OF_MEMORY. */
TARN_API tarn_status tarn_graph_pool_create(tarn_device *device, const tarn_graph_pool_options *options,
                                            tarn_allocator **out_pool);

/* In what follows, `pool` is a stack with a graph pool at its lower end; INVALID_ARGUMENT for any other. */

/* Begins a capture whose memory is the pool's. INVALID_STATE as tarn_stream_begin_capture; BUSY: another capture or graph uses
 * the pool. A capture that was begun without a pool takes one with the first buffer allocated on its streams. */
TARN_API tarn_status tarn_graph_pool_begin_capture(tarn_allocator *pool, tarn_stream *stream, tarn_capture_mode mode);

/* The same for one of several works that are captured: `name` is any number, the same one for the same work. What was last captured
 * under it is what its plan is made of. Captures that are begun in other ways have the name 0. */
TARN_API tarn_status tarn_graph_pool_begin_named_capture(tarn_allocator *pool, tarn_stream *stream,
                                                         tarn_capture_mode mode, uint64_t name);

/* The number of a live buffer, above 0 and never used again in this pool. */
TARN_API tarn_status tarn_graph_pool_block_id(tarn_allocator *pool, tarn_buffer *buffer, uint64_t *out_id);
/* The live buffer of that number. NOT_FOUND. */
TARN_API tarn_status tarn_graph_pool_block(tarn_allocator *pool, uint64_t id, tarn_buffer **out_buffer);
/* Frees the buffer of that number, as tarn_buffer_free does. NOT_FOUND: it was returned before, or never was one. */
TARN_API tarn_status tarn_graph_pool_return_block(tarn_allocator *pool, uint64_t id, tarn_stream *stream);
/* Takes all live buffers back; their handles are stale. The memory stays, and that of buffers which a live graph uses stays
 * with the graph, which can still be launched. INVALID_STATE during a capture. */
TARN_API tarn_status tarn_graph_pool_reset(tarn_allocator *pool);

typedef struct tarn_graph_pool_info {
    size_t struct_size;
    uint64_t initial_capacity, maximum_capacity; /* bytes; 0: none, no maximum */
    uint64_t capacity;                           /* bytes taken from the device now */
    uint64_t blocks;                             /* live buffers */
    uint64_t graphs;                             /* captures and graphs that use the pool now */
    int is_sequential, is_capturing;
    uint64_t planned_captures; /* that had a plan, and memory for it */
    uint64_t planned_requests; /* served from their places */
    uint64_t deviations;       /* requests of such captures that were not */
    uint64_t failed_plans;     /* for want of memory: of the host, or for the block */
    uint64_t capture_bytes;    /* of memory that the latest capture allocated or freed, and keeps; aborted ones too */
    uint64_t capture_lower_bound; /* the most of it that was in buffers at one time: no layout needs less */
} tarn_graph_pool_info;

/* The caller sets struct_size. */
TARN_API tarn_status tarn_graph_pool_info_get(tarn_allocator *pool, tarn_graph_pool_info *out_info);

TARN_END_DECLARATIONS

#endif
