/* Plans of captures: what one capture asked for is noted, and the next capture of the same work has its buffers where the planner wants
 * them.
 *
 * Addresses are baked into captured work, so a layout has to be known before the first address is handed out: it takes two
 * captures. Time is counted in events, each request and each free being one. On one stream a buffer lives from its request to its
 * free. With forks it lives on until the last request that does not come after the free: the planner knows intervals and no
 * branches, and these are the shortest that are safe. Where branches are long, giving each stream a part of its own may be better, or
 * where the buffers were found to lie the first time: the lowest of the three layouts is taken.
 *
 * A plan only says where a buffer should lie. Whether the memory there is free is for the heap to say (graph_heap_take_at), by the same rules as
 * for any other memory of the pool. Nothing here locks. */
#ifndef MEMORY_GRAPH_PLAN_H
#define MEMORY_GRAPH_PLAN_H

#include "base/range_map.h"
#include "hal/graph.h"

#define GRAPH_ALIVE UINT32_MAX
#define GRAPH_NO_NOTE UINT32_MAX
/* Longer captures are not planned. */
#define GRAPH_MOST_NOTES ((size_t)1 << 20)

typedef struct graph_note {
    size_t size, alignment;             /* bytes; the size as pieces have it */
    uintptr_t address;                  /* that the request got */
    uint32_t stream;                    /* its place in the capture */
    uint32_t born, died;                /* events; GRAPH_ALIVE: not freed in the capture */
    uint32_t freed_stream, freed_clock; /* the point of the capture where it was freed */
    uint32_t width;                     /* entries of the stream's clock when it was asked for; the others are 0 */
    size_t clock;                       /* where they begin */
} graph_note;

typedef struct graph_notes {
    graph_note *items;
    size_t count, room;
    uint32_t *clocks;
    size_t clock_count, clock_room;
    uint32_t events;
    uint32_t streams;    /* that asked for something: one more than the highest place */
    bool has_forks;      /* something was asked for while the capture had more than one stream */
    uint64_t live, peak; /* bytes: no layout can do with less than the peak */
    bool is_broken;      /* one is missing, for want of host memory or because there are too many */
} graph_notes;

/* Notes a request and returns its number, or GRAPH_NO_NOTE. */
uint32_t graph_notes_add(graph_notes *notes, const base_range *range, size_t alignment, uint32_t stream,
                         const hal_clock *clock, unsigned width);
/* Notes that the buffer of a request was freed in the capture. */
void graph_notes_remove(graph_notes *notes, uint32_t number, const hal_capture_point *point);
/* Whether both captures asked for the same, and freed it at the same events. */
bool graph_notes_are_alike(const graph_notes *a, const graph_notes *b);
void graph_notes_end(graph_notes *notes);

typedef struct graph_place {
    size_t size, alignment, offset; /* bytes */
    uint32_t stream;
    bool is_served;
} graph_place;

typedef struct graph_plan {
    size_t count;
    size_t size, alignment; /* of the block, bytes */
    bool has_forks;
    /* How far a capture has come: the place that is expected next, and the first that may still be asked for. */
    size_t next, first;
    graph_place places[]; /* one for each request */
} graph_plan;

/* OUT_OF_MEMORY of the host; LIMIT_EXCEEDED. */
tarn_status graph_plan_create(const graph_notes *notes, graph_plan **out_plan);
/* NULL is allowed. */
void graph_plan_destroy(graph_plan *plan);
/* Begins from the first place again. */
void graph_plan_restart(graph_plan *plan);
/* The place of a request, which is served by it; NULL where it is not expected about now. */
const graph_place *graph_plan_find(graph_plan *plan, size_t size, size_t alignment, uint32_t stream);

#endif
