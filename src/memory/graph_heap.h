/* The memory of a graph pool: segments from the driver, each cut into pieces, in use or free, that follow one another.
 *
 * A free piece says who must be done with it before it is used again. Streams are numbered by slots (graph_streams.h), and `uses`
 * is a set of them: a stream that is alone in it may have the piece at once, others when the slot's work has passed
 * `freed_at`. A piece that belongs to graphs (`is_in_graph`) is given to captures only, at once to one whose clock has
 * passed the point where it was freed. What is free in the block of a plan (`is_in_plan`) is given only to who asks for that
 * address. Pieces are merged when the same is known of both.
 *
 * Nothing here locks: the pool's lock is held around each call. */
#ifndef MEMORY_GRAPH_HEAP_H
#define MEMORY_GRAPH_HEAP_H

#include "base/range_map.h"
#include "hal/graph.h"
#include "memory/block.h"
#include "memory/graph_plan.h"
#include "memory/graph_streams.h"

typedef struct graph_segment graph_segment;

typedef struct graph_piece {
    base_range range; /* the first member: it is cast back; in `live` while the piece is in use */
    base_range name;  /* by number, likewise */
    graph_segment *segment;
    struct graph_piece *before, *after;  /* in the segment, by address */
    struct graph_piece *previous, *next; /* free: in a list of its size; taken back: the next of those */
    memory_block *block;                 /* in use: the descriptor; else NULL */
    uint64_t uses;                       /* slots of ordinary streams that may use it */
    uint64_t freed_at;                   /* the pool's clock when it was freed */
    hal_capture_point freed_in;          /* where in a capture it was freed; capture 0: before all that come */
    uint32_t slot;                       /* of the stream it was allocated for, GRAPH_NO_SLOT when that has ended */
    bool is_in_graph;                    /* captured work uses it, or did */
    bool is_of_graph;         /* in use: its memory was in a graph before its buffer was, and is so after it */
    bool is_left;             /* its buffer is nobody's any more, and ends with the graphs */
    bool is_in_ended_capture; /* work of a capture that has ended */
    bool is_in_plan;          /* of the block that the capture's plan lies in */
    uint32_t note;            /* in use: of the request that the capture noted, else GRAPH_NO_NOTE */
} graph_piece;

struct graph_segment {
    base_range range; /* the first member: it is cast back; in `segments` */
    graph_piece *first;
    graph_segment *next; /* while it is being given back */
};

/* One list for each power of two of bytes. */
#define GRAPH_BINS 64

/* Whose free pieces a list has. */
typedef enum graph_list {
    GRAPH_ORDINARY, /* everybody's */
    GRAPH_CAPTURED, /* of captures and graphs */
    GRAPH_PLANNED,  /* of the block that the capture's plan lies in */
    GRAPH_KINDS
} graph_list;

typedef struct graph_heap {
    tarn_device *device;
    size_t unit; /* bytes that sizes and addresses of pieces are multiples of */
    graph_streams *streams;
    base_range *segments, *live, *names;
    graph_piece *bins[GRAPH_KINDS][GRAPH_BINS];
    bool
        keeps_points; /* in the block of a plan, pieces that were freed at different points of the capture stay apart */
} graph_heap;

/* Who asks for memory. */
typedef struct graph_asker {
    const tarn_stream *stream;
    uint32_t slot;
    uint64_t capture; /* number of the capture; 0: an ordinary request */
    bool is_sharing;  /* it wants nothing but memory that graphs have already */
} graph_asker;

static inline graph_piece *graph_piece_of(base_range *range) { return (graph_piece *)(void *)range; }
static inline graph_segment *graph_segment_of(base_range *range) { return (graph_segment *)(void *)range; }
graph_piece *graph_piece_of_name(base_range *name);

/* A segment that is not in the heap, with one free piece; NULL when there is no host memory. */
graph_segment *graph_segment_create(void);
void graph_segment_destroy(graph_segment *segment);
/* Puts a segment and its piece in. */
void graph_heap_add(graph_heap *heap, graph_segment *segment, uintptr_t address, size_t size);
/* Takes a segment out, which consists of one free piece. */
void graph_heap_remove(graph_heap *heap, graph_segment *segment);

/* Finds a free piece for the asker and cuts it to size: NULL in `*out_piece` when none fits. OUT_OF_MEMORY when there is no host
 * memory for what is cut off, nothing changed. The piece is in no list. */
tarn_status graph_heap_take(graph_heap *heap, const graph_asker *asker, size_t size, size_t alignment,
                            graph_piece **out_piece);
/* The same for a piece at that address, whatever its kind: NULL where not all of it is free for the asker. */
tarn_status graph_heap_take_at(graph_heap *heap, const graph_asker *asker, uintptr_t address, size_t size,
                               graph_piece **out_piece);
/* Whether there is a free piece of so many bytes, at any alignment of the device's, that a capture could have. */
bool graph_heap_has_for_capture(const graph_heap *heap, size_t size);
/* Puts a piece that is not in use among the free ones and merges it with its neighbours. */
void graph_heap_put(graph_heap *heap, graph_piece *piece);
/* Forgets uses that are over, and merges what can be merged then. With `ends_graphs`, nothing is in a graph any more. */
void graph_heap_settle(graph_heap *heap, bool ends_graphs);
/* Ends the plan: its block is memory like any other. */
void graph_heap_end_plan(graph_heap *heap);
/* Whether ordinary requests of every stream may have the piece. */
bool graph_piece_is_idle(const graph_heap *heap, const graph_piece *piece);
/* Bytes of the largest free piece that is in no graph. */
size_t graph_heap_largest(const graph_heap *heap);
/* Whether the segment is one idle piece. */
bool graph_segment_is_idle(const graph_heap *heap, const graph_segment *segment);

/* Has no piece use the slot any more: its stream has ended. */
void graph_heap_forget_slot(graph_heap *heap, uint32_t slot);

/* Calls the function for each piece, by address, until one returns true. */
bool graph_heap_each(const graph_heap *heap, bool (*visit)(void *context, graph_piece *piece), void *context);

/* INTERNAL with the first thing that is wrong. Writes what is there. */
typedef struct graph_count {
    uint64_t segments_bytes, live_bytes, live_pieces;
} graph_count;
tarn_status graph_heap_check(const graph_heap *heap, const char *name, graph_count *out_count);

#endif
