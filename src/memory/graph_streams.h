/* The streams that use the memory of a graph pool, each with a number from 0 to 63, so that a set of them is one word.
 *
 * The pool has a clock that each free counts up. A slot knows up to which reading its stream's work is done: `done`. It
 * learns so by an event that is recorded when somebody would like to have its memory, and asked about later. Streams beyond
 * the 63rd share the last slot, of which nothing is ever known but by waiting for the whole device.
 *
 * Under the pool's lock, except where it says so. */
#ifndef MEMORY_GRAPH_STREAMS_H
#define MEMORY_GRAPH_STREAMS_H

#include <pthread.h>

#include "hal/device.h"
#include "hal/event.h"

#define GRAPH_SLOTS 64u
#define GRAPH_SHARED_SLOT (GRAPH_SLOTS - 1u)
#define GRAPH_NO_SLOT UINT32_MAX

typedef struct graph_slot {
    tarn_stream *stream; /* borrowed: the slot is given up when it ends. NULL: the slot is free */
    uint64_t done;       /* work up to this reading of the clock has finished */
    uint64_t freed;      /* the latest reading at which something was freed that the stream uses */
    uint64_t marked;     /* reading when `event` was recorded, while has_mark */
    hal_event *event;    /* NULL: none was needed yet */
    bool has_mark;
    unsigned waiting; /* threads that wait for the stream: its end waits for them */
} graph_slot;

typedef struct graph_streams {
    tarn_device *device;
    pthread_mutex_t *lock; /* the pool's */
    pthread_cond_t waited;
    uint64_t clock;
    uint64_t waits; /* times the device was waited for */
    graph_slot slots[GRAPH_SLOTS];
} graph_streams;

void graph_streams_begin(graph_streams *streams, tarn_device *device, pthread_mutex_t *lock);
/* Without the lock. */
void graph_streams_end(graph_streams *streams);

/* The slot of a stream, which gets one if need be. */
uint32_t graph_streams_slot(graph_streams *streams, tarn_stream *stream);
/* The slot of a stream that has one, else GRAPH_NO_SLOT. */
uint32_t graph_streams_find(const graph_streams *streams, const tarn_stream *stream);
/* NULL when the stream has ended, or shares the last slot. */
tarn_stream *graph_streams_stream(const graph_streams *streams, uint32_t slot);
/* Counts the clock up for a free of memory that the slots of `uses` may still use. */
uint64_t graph_streams_freed(graph_streams *streams, uint64_t uses);
/* Which of `uses` are not known to be done with what was freed at `freed_at`. */
uint64_t graph_streams_left(const graph_streams *streams, uint64_t uses, uint64_t freed_at);
/* Asks, without waiting, which streams have gone on, and has others tell next time. True when something is known now that was
 * not before. */
bool graph_streams_poll(graph_streams *streams);
/* Waits for all streams that memory was freed on; the lock is dropped meanwhile. The first failure. Writes whether something is
 * known now that was not before. */
tarn_status graph_streams_wait(graph_streams *streams, bool *out_is_known);
/* Gives up the slot of a stream that ends, after whoever waits for it has returned, and writes its number; false when it has
 * none of its own. */
bool graph_streams_forget(graph_streams *streams, const tarn_stream *stream, uint32_t *out_slot);

#endif
