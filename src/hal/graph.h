/* Captures and graphs, inside the hardware layer and for graph pools.
 *
 * A capture is a list of nodes with a clock for each of its streams: entry i of a stream's clock says how much of stream
 * i's work comes before its next piece of work. Recording an event copies the clock, waiting for one takes the greater of each
 * entry. So it is known at any time whether one point of the capture comes after another, without a graph being built: a
 * forked stream is joined when the first stream's clock has reached all of its work, and memory that one stream freed may be
 * used by another whose clock has passed the free.
 *
 * All state of a device's captures is protected by the device's lock, except for the question whether a stream captures at
 * all, which each stream function asks by one atomic load. */
#ifndef HAL_GRAPH_H
#define HAL_GRAPH_H

#include <tarn/graph.h>

#include "hal/device.h"
#include "hal/event.h"

/* Streams that one capture can have. */
#define HAL_CAPTURE_STREAMS 32

typedef struct hal_clock {
    uint32_t at[HAL_CAPTURE_STREAMS];
} hal_clock;

/* What an event holds that was recorded in a capture. */
typedef struct hal_captured_event {
    uint64_t capture; /* its number */
    hal_clock clock;
} hal_captured_event;

/* A point of one stream of a capture. */
typedef struct hal_capture_point {
    uint64_t capture; /* its number, above 0 and never used again in the process */
    uint32_t stream;  /* which of its streams */
    uint32_t clock;
} hal_capture_point;

/* Turns of launching: graphs that share one run one after the other. */
typedef struct hal_graph_order hal_graph_order;
tarn_status hal_graph_order_create(tarn_device *device, hal_graph_order **out_order);
/* No launch is under way. NULL is allowed. */
void hal_graph_order_destroy(hal_graph_order *order);

/* Who lends memory to a capture and to the graph that it becomes. Called without locks; in this order: `use` any number of
 * times, `finish`, `release` unless the capture was aborted, `end`. */
typedef struct hal_graph_client {
    /* Captured work reads or writes these bytes: that of a capture which lasts, or of a graph that is changed later. */
    void (*use)(void *context, const void *address, size_t size, bool is_captured);
    /* The capture has ended, with a graph or without. */
    void (*finish)(void *context, bool is_aborted);
    /* Nobody can launch the graph any more; it may still run. */
    void (*release)(void *context);
    /* It has finished. */
    void (*end)(void *context);
    hal_graph_order *order; /* NULL: the client does not care which graphs run at once */
} hal_graph_client;

/* Whether work of the stream is captured now. */
static inline bool hal_stream_is_capturing(const tarn_stream *stream) {
    return atomic_load_explicit(&stream->is_capturing, memory_order_acquire);
}

/* Enters a client into the capture of that number, which the stream takes part in, and which is told all its memory is used from now on.
 * `client` lives until its `end`. INVALID_STATE when the stream is not in that capture any more, OUT_OF_MEMORY. */
tarn_status hal_capture_attach(tarn_stream *stream, uint64_t capture, const hal_graph_client *client, void *context);
/* The number of the stream's capture; 0 when it is not being captured. */
uint64_t hal_capture_number(const tarn_stream *stream);
/* Writes how much of each stream's work comes before what is captured on the stream next, and the stream's place in its capture. Returns
 * how many streams the capture has so far; 0, nothing written, when the stream is not in that capture. */
unsigned hal_capture_clock(const tarn_stream *stream, uint64_t capture, hal_clock *out_clock, uint32_t *out_place);
/* Makes a point after all work of the stream so far. False when the stream is not being captured. */
bool hal_capture_mark(tarn_stream *stream, hal_capture_point *out_point);
/* Whether what is captured on the stream next comes after the point. False for a point of another capture. */
bool hal_capture_has_passed(const tarn_stream *stream, const hal_capture_point *point);

/* For stream.c and event.c. */

/* Each does its part when the stream is being captured, writes what became of it and returns true; false when the stream is not
 * being captured, and the work is to be done. */
bool hal_capture_work(tarn_stream *stream, const tarn_graph_node_info *node, tarn_status *out_status);
/* The same for an operation, which is copied. */
bool hal_capture_operation(tarn_stream *stream, const tarn_backend_operation *operation, tarn_status *out_status);
bool hal_capture_record(tarn_stream *stream, tarn_event *event, tarn_status *out_status);
/* Also true where the stream joins the capture by this, and where the event bars the wait. */
bool hal_capture_wait(tarn_stream *stream, tarn_event *event, tarn_status *out_status);
/* INVALID_STATE while the stream is being captured. */
tarn_status hal_capture_check_stream(const tarn_stream *stream, const char *what);
/* INVALID_STATE while any stream of the device is being captured. */
tarn_status hal_capture_check_device(tarn_device *device);
/* INVALID_STATE while a capture in a strict mode forbids this thread to ask for events of the device. */
tarn_status hal_capture_check_host_wait(tarn_device *device);
/* Aborts the capture of a stream that ends, if there is one. */
void hal_capture_stream_ends(tarn_stream *stream);

/* Notes in the event that it was last recorded in a capture. OUT_OF_MEMORY, nothing changed. event.c */
tarn_status hal_event_set_captured(tarn_event *event, const hal_captured_event *captured);
/* Whether it was, and where. */
bool hal_event_get_captured(tarn_event *event, hal_captured_event *out_captured);

/* Takes down what was released while it ran and has finished since. Without locks. */
void hal_graphs_reap_slowly(tarn_device *device);
static inline void hal_graphs_reap(tarn_device *device) {
    if (atomic_load_explicit(&device->deferred, memory_order_relaxed) != NULL) hal_graphs_reap_slowly(device);
}

/* The clients of a capture and its graph: one list, counted. */
typedef struct hal_graph_clients hal_graph_clients;
hal_graph_clients *hal_graph_clients_create(void);
hal_graph_clients *hal_graph_clients_retain(hal_graph_clients *clients);
/* The last reference calls each client's `end`. */
void hal_graph_clients_release(hal_graph_clients *clients);
/* False when there is no host memory. Must be called with the device's lock held, until a graph has the list. */
bool hal_graph_clients_add(hal_graph_clients *clients, const hal_graph_client *client, void *context);
/* Tells each client of the memory of a node. Additions may go on meanwhile. */
void hal_graph_clients_use(hal_graph_clients *clients, const tarn_graph_node_info *node, bool is_captured);
void hal_graph_clients_finish(hal_graph_clients *clients, bool is_aborted);
void hal_graph_clients_release_graph(hal_graph_clients *clients);
/* Writes the orders of the clients, without NULL, and returns how many there are; no list is longer than this. */
#define HAL_GRAPH_CLIENTS 16
size_t hal_graph_clients_orders(const hal_graph_clients *clients, hal_graph_order **out_orders);

/* A piece of captured work, with its stream, its number on that stream's clock, and what of each stream comes before it. */
typedef struct hal_node {
    tarn_graph_node_info work;
    uint32_t stream, clock;
    hal_clock before;
} hal_node;

/* Nodes: one array, counted, that is not changed while anybody else holds it. */
typedef struct hal_nodes {
    atomic_uint references;
    size_t count, capacity;
    hal_node *items;
    /* A copy's: the list that it was copied from, which owns the operations of both. NULL: this list does. */
    struct hal_nodes *origin;
    bool has_operations;
} hal_nodes;
hal_nodes *hal_nodes_create(void);
hal_nodes *hal_nodes_retain(hal_nodes *nodes);
void hal_nodes_release(hal_nodes *nodes);
/* False when there is no host memory. */
bool hal_nodes_add(hal_nodes *nodes, const hal_node *node);
/* Has `count` more be added without fail. False when there is no host memory. */
bool hal_nodes_reserve(hal_nodes *nodes, size_t count);
/* A copy that nobody else holds, or NULL. */
hal_nodes *hal_nodes_copy(hal_nodes *nodes);

/* A graph of the driver's own, made of nodes. */
typedef struct hal_native hal_native;
/* Whether the device's backend has them. */
bool hal_native_is_offered(const tarn_device *device);
tarn_status hal_native_create(tarn_device *device, const hal_nodes *nodes, hal_native **out_native);
/* NULL is allowed. */
void hal_native_destroy(hal_native *native);
/* Both with the turn of launching taken. */
tarn_status hal_native_update(hal_native *native, size_t place, const tarn_graph_node_info *work);
tarn_status hal_native_launch(hal_native *native, tarn_stream *stream);

/* A graph of what a capture noted, with a reference of both lists of its own. May be called with the device's lock held. */
tarn_status hal_graph_create(tarn_device *device, hal_nodes *nodes, hal_graph_clients *clients, tarn_graph **out_graph);

/* What is to be taken down when its work has finished. */
struct hal_deferred {
    hal_graph_order *order; /* of the work; NULL: there is none */
    void (*destroy)(hal_deferred *deferred);
    tarn_device *device; /* kept alive by what the structure is a part of */
    hal_deferred *next;
};
/* Destroys it now, or, when its work may still run or the calling thread runs work of the device itself, later. */
void hal_graph_destroy_or_defer(hal_deferred *deferred);

/* Taking turns. Waits while another thread launches; BUSY when this thread does, further up. */
tarn_status hal_graph_order_take(hal_graph_order *order, tarn_device *device);
void hal_graph_order_give(hal_graph_order *order);
/* With the turn taken: has the stream wait for the last launch, and says that the stream's work so far is one. The second
 * succeeds whatever the driver answers, by waiting if need be. */
tarn_status hal_graph_order_follow(hal_graph_order *order, tarn_stream *stream);
void hal_graph_order_mark(hal_graph_order *order, tarn_stream *stream);
/* Whether the last launch has finished. Nobody launches any more. */
bool hal_graph_order_is_over(hal_graph_order *order);

#endif
