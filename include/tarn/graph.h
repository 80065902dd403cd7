/* Graphs: stream work that is captured once and launched many times.
 *
 * Between tarn_stream_begin_capture and tarn_stream_end_capture what is enqueued on the stream (copies, fills, host functions, operations on tensors)
 * is noted and not run. The result is a graph; an instance of it can be launched on any stream of its device, any number
 * of times, with the same addresses each time. An event that was recorded in the capture brings other streams into it: a
 * stream that waits for it is captured too from then on (a fork), until the first stream waits for an event of the other
 * (the join).
 *
 * The rules are those of CUDA's stream capture, on every device. What may not happen in a capture is refused with
 * INVALID_STATE before a driver hears of it, and the capture goes on as if it had not been asked for:
 *
 *   - capturing the default stream, or a stream that is being captured already;
 *   - waiting on the host for a captured stream, for its device, or for an event recorded in a capture; asking whether such an
 *     event is complete; launching a graph on a captured stream;
 *   - waiting in a captured stream for an event that was not recorded in this capture, and waiting elsewhere for an event
 *     of a capture that has ended;
 *   - while a capture is in a strict mode (below): host queries of, and waits for, any event of the device;
 *   - ending a capture on another stream than it began on, before all forked streams are joined, or, in a strict mode, on
 *     another thread.
 *
 * Memory that captured work uses must stay where it is as long as the graph can be launched. A graph pool (tarn/graph_pool.h)
 * sees to that for its own buffers; buffers of other allocators are the caller's to keep.
 *
 * A backend that has graphs of its own (tarn_backend_capture) is given the graph when it is instantiated. For others each launch
 * enqueues what was captured, in the order of the capture. All functions may be called from any thread. */
#ifndef TARN_GRAPH_H
#define TARN_GRAPH_H

#include <tarn/stream.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_graph tarn_graph;
typedef struct tarn_graph_instance tarn_graph_instance;

/* Begins a capture on the stream. INVALID_STATE: the default stream, or one that is being captured. The stream is not kept
 * alive: releasing its last reference aborts the capture. */
TARN_API tarn_status tarn_stream_begin_capture(tarn_stream *stream, tarn_capture_mode mode);
/* Ends it, on the stream on which it began. Caller owns one reference of the graph, which keeps its device alive. On failure
 * the capture goes on: INVALID_STATE as listed above, OUT_OF_MEMORY. */
TARN_API tarn_status tarn_stream_end_capture(tarn_stream *stream, tarn_graph **out_graph);
/* Ends it without a graph, on any of its streams and any thread. What was captured never runs, and the streams can be used
 * as before. INVALID_STATE when the stream is not being captured. */
TARN_API tarn_status tarn_stream_abort_capture(tarn_stream *stream);
/* 1 while what is enqueued on the stream is captured, else 0; 0 for NULL. */
TARN_API int tarn_stream_is_capturing(const tarn_stream *stream);

TARN_API tarn_graph *tarn_graph_retain(tarn_graph *graph);
/* Instances keep what they need of the graph. NULL is allowed. */
TARN_API tarn_status tarn_graph_release(tarn_graph *graph);
/* Borrowed. */
TARN_API tarn_device *tarn_graph_device(const tarn_graph *graph);
/* Pieces of work that were captured, numbered from 0 in the order of the capture. 0 for NULL. A box is one piece, but on a backend with graphs
 * of its own and without copies of boxes, where each row is one. */
TARN_API size_t tarn_graph_node_count(const tarn_graph *graph);
/* Tells what was captured as number `node`; the caller sets struct_size. INVALID_ARGUMENT. */
TARN_API tarn_status tarn_graph_node(const tarn_graph *graph, size_t node, tarn_graph_node_info *out_info);

/* Makes a graph ready to be launched. Caller owns one reference. Several instances of one graph may run at the same time. */
TARN_API tarn_status tarn_graph_instantiate(tarn_graph *graph, tarn_graph_instance **out_instance);
TARN_API tarn_graph_instance *tarn_graph_instance_retain(tarn_graph_instance *instance);
/* The last reference ends the instance; while it still runs, that is put off until it has finished, and nobody waits. It is
 * then taken down by a later call that waits for a stream or the device, or that releases one, or by a call for another
 * graph of the device. NULL is allowed. */
TARN_API tarn_status tarn_graph_instance_release(tarn_graph_instance *instance);

/* Enqueues the captured work on `stream` (NULL: the default one). Launches of one instance run one after the other,
 * whatever their streams, as do launches of graphs that share a sequential graph pool. INVALID_STATE: the stream is being
 * captured; BUSY: from work that this very launch runs on the calling thread. When a driver refuses a part of the work, what
 * stands before it has been enqueued, and the graph can be launched again; on devices with TARN_FEATURE_HOST_ACCESS all of it
 * is enqueued or nothing. */
TARN_API tarn_status tarn_graph_instance_launch(tarn_graph_instance *instance, tarn_stream *stream);

/* Changes what later launches of the instance do; launches so far are not touched, nor is the graph. INVALID_ARGUMENT, nothing
 * changed: the node is of another kind or not there, or the parameters are such as the stream function would refuse. A
 * size of 0 makes the node do nothing. */
TARN_API tarn_status tarn_graph_instance_set_copy(tarn_graph_instance *instance, size_t node, void *destination,
                                                  const void *source, size_t size);
/* Any box may take the place of any other. */
TARN_API tarn_status tarn_graph_instance_set_copy_box(tarn_graph_instance *instance, size_t node, void *destination,
                                                      const void *source, const tarn_box *box);
TARN_API tarn_status tarn_graph_instance_set_fill(tarn_graph_instance *instance, size_t node, void *destination,
                                                  const void *pattern, size_t pattern_size, size_t size);
TARN_API tarn_status tarn_graph_instance_set_host_function(tarn_graph_instance *instance, size_t node,
                                                           tarn_host_function function, void *context);

TARN_END_DECLARATIONS

#endif
