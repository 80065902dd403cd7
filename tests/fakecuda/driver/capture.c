/* Captures: work on a stream becomes nodes of a graph. A capture is active or invalidated; the first call that breaks a rule
 * invalidates it, and from then on everything that touches it says so until it is ended. */
#include "state.h"

#include "capture.h"
#include "graph.h"

#include <stdlib.h>
#include <string.h>

struct fake_capture {
    unsigned long long id;
    CUstreamCaptureMode mode;
    pthread_t thread;
    fake_stream *origin;
    fake_graph *graph;
    bool is_invalidated;
    fake_capture *next;
};

static fake_capture *captures;
static _Thread_local struct {
    unsigned long long generation;
    CUstreamCaptureMode mode;
} mine;

static CUstreamCaptureMode *my_mode(void) {
    if (mine.generation != the_driver.generation) mine.mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
    mine.generation = the_driver.generation;
    return &mine.mode;
}

static void each_stream(void (*visit)(fake_stream *, fake_capture *), fake_capture *capture) {
    for (int i = 0; i < MOST_DEVICES; i++)
        for (fake_stream *at = the_driver.devices[i] != NULL ? the_driver.devices[i]->primary.streams : NULL;
             at != NULL; at = at->next)
            if (at->capture == capture) visit(at, capture);
}

static void leave(fake_stream *stream, fake_capture *capture) {
    (void)capture;
    stream->capture = NULL;
    free(stream->joints);
    stream->joints = NULL;
    stream->joint_count = 0;
}

static void end(fake_capture *capture) {
    each_stream(leave, capture);
    fake_capture **at = &captures;
    while (*at != capture) at = &(*at)->next;
    *at = capture->next;
    free(capture);
}

void captures_reset(void) {
    while (captures != NULL) {
        captures->graph->handle = NULL;
        graph_drop(captures->graph);
        end(captures);
    }
}

void capture_leave(fake_stream *stream) {
    fake_capture *capture = stream->capture;
    if (capture == NULL) return;
    capture->is_invalidated = true;
    leave(stream, capture);
    if (capture->origin != stream) return;
    graph_drop(capture->graph);
    end(capture);
}

static CUresult invalidate(fake_capture *capture, CUresult error) {
    if (capture != NULL) capture->is_invalidated = true;
    return error;
}

CUresult capture_forbids(const char *name) {
    (void)name;
    CUstreamCaptureMode mode = *my_mode();
    CUresult result = CUDA_SUCCESS;
    for (fake_capture *at = captures; at != NULL && mode != CU_STREAM_CAPTURE_MODE_RELAXED; at = at->next) {
        bool is_own = pthread_equal(at->thread, pthread_self());
        bool forbids = is_own ? at->mode != CU_STREAM_CAPTURE_MODE_RELAXED
                              : mode == CU_STREAM_CAPTURE_MODE_GLOBAL && at->mode == CU_STREAM_CAPTURE_MODE_GLOBAL;
        if (forbids) result = invalidate(at, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    }
    return result;
}

bool capture_of_context(const fake_context *context) {
    bool found = false;
    for (fake_stream *at = context->streams; at != NULL; at = at->next) {
        found = found || at->capture != NULL;
        invalidate(at->capture, CUDA_SUCCESS);
    }
    return found;
}

/* The legacy stream would wait for the blocking streams, captured ones too. */
static CUresult check_implicit(const fake_stream *stream) {
    CUresult result = CUDA_SUCCESS;
    for (fake_stream *at = stream->is_legacy ? stream->in->streams : NULL; at != NULL; at = at->next)
        if (at->capture != NULL && (at->flags & CU_STREAM_NON_BLOCKING) == 0)
            result = invalidate(at->capture, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    return result;
}

CUresult capture_check_stream(fake_stream *stream) {
    if (stream->capture != NULL && stream->capture->is_invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    return check_implicit(stream);
}

CUresult capture_check_wait(fake_stream *stream) {
    if (stream->capture != NULL) return invalidate(stream->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    return check_implicit(stream);
}

static fake_capture *capture_with(unsigned long long id) {
    fake_capture *at = captures;
    while (at != NULL && at->id != id) at = at->next;
    return at;
}

CUresult capture_check_event(fake_event *event) {
    if (event->capture_id == 0) return CUDA_SUCCESS;
    return invalidate(capture_with(event->capture_id), CUDA_ERROR_CAPTURED_EVENT);
}

static void set_joints(fake_node ***joints, size_t *count, fake_node *const *nodes, size_t wanted) {
    fake_node **copied = obtain(wanted * sizeof(fake_node *));
    if (wanted > 0) memcpy(copied, nodes, wanted * sizeof(fake_node *));
    free(*joints);
    *joints = copied;
    *count = wanted;
}

static void join(fake_stream *stream, fake_node *node) {
    for (size_t i = 0; i < stream->joint_count; i++)
        if (stream->joints[i] == node) return;
    fake_node **joints = obtain((stream->joint_count + 1) * sizeof(fake_node *));
    if (stream->joint_count > 0) memcpy(joints, stream->joints, stream->joint_count * sizeof(fake_node *));
    joints[stream->joint_count++] = node;
    free(stream->joints);
    stream->joints = joints;
}

/* Adds a node behind what the stream has captured. */
static fake_node *append(fake_stream *stream, CUgraphNodeType type, const fake_operation *operation) {
    fake_node *made = node_add(stream->capture->graph, type, operation, stream->joints, stream->joint_count);
    set_joints(&stream->joints, &stream->joint_count, &made, 1);
    return made;
}

CUresult capture_operation(fake_stream *stream, fake_operation *operation) {
    if (operation->kind == OPERATION_CALLBACK)
        return invalidate(stream->capture, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    if (operation->kind != OPERATION_MARK) append(stream, node_type_of(operation), operation);
    return CUDA_SUCCESS;
}

CUresult capture_record(fake_stream *stream, fake_event *event, unsigned flags) {
    if (flags == CU_EVENT_RECORD_EXTERNAL) {
        const fake_operation mark = {.kind = OPERATION_MARK, .in = stream->in};
        append(stream, CU_GRAPH_NODE_TYPE_EVENT_RECORD, &mark)->event = event;
        event->references++;
        return CUDA_SUCCESS;
    }
    event->capture_id = stream->capture->id;
    event->is_recorded = true;
    set_joints(&event->joints, &event->joint_count, stream->joints, stream->joint_count);
    return CUDA_SUCCESS;
}

CUresult capture_wait(fake_stream *stream, fake_event *event, unsigned flags) {
    fake_capture *other = event->capture_id != 0 ? capture_with(event->capture_id) : NULL;
    if (flags == CU_EVENT_WAIT_EXTERNAL && stream->capture != NULL) {
        const fake_operation mark = {.kind = OPERATION_MARK, .in = stream->in};
        append(stream, CU_GRAPH_NODE_TYPE_WAIT_EVENT, &mark)->event = event;
        event->references++;
        return CUDA_SUCCESS;
    }
    if (event->capture_id == 0) {
        if (!event->is_recorded) return CUDA_SUCCESS;
        return invalidate(stream->capture, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    }
    if (other == NULL) return invalidate(stream->capture, CUDA_ERROR_CAPTURED_EVENT);
    if (other->is_invalidated) return invalidate(stream->capture, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    if (stream->is_legacy) return invalidate(other, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    if (stream->capture != NULL && stream->capture != other) {
        invalidate(other, CUDA_SUCCESS);
        return invalidate(stream->capture, CUDA_ERROR_STREAM_CAPTURE_MERGE);
    }
    stream->capture = other; /* the stream joins the capture, unless it is in it */
    for (size_t i = 0; i < event->joint_count; i++) join(stream, event->joints[i]);
    return CUDA_SUCCESS;
}

CUresult capture_allocate(fake_stream *stream, CUdeviceptr *pointer, size_t size, fake_pool *pool) {
    fake_range *memory = graph_memory_make(&pool->on->primary, size);
    if (memory == NULL) return CUDA_ERROR_OUT_OF_MEMORY;
    const fake_operation allocate = {.kind = OPERATION_ALLOCATE, .in = stream->in, .memory = {memory->start, size}};
    append(stream, CU_GRAPH_NODE_TYPE_MEM_ALLOC, &allocate)->address = memory->start;
    stream->capture->graph->has_memory = true;
    *pointer = memory->start;
    return CUDA_SUCCESS;
}

CUresult capture_free(fake_stream *stream, fake_range *range) {
    if (range->kind != RANGE_GRAPH || free_node_of(stream->capture->graph, range->start) != NULL)
        return invalidate(
            stream->capture,
            VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx is not a graph's, or is freed in it already", range->start));
    const fake_operation freed = {.kind = OPERATION_FREE, .in = stream->in, .memory = {range->start, range->size}};
    append(stream, CU_GRAPH_NODE_TYPE_MEM_FREE, &freed)->address = range->start;
    stream->capture->graph->has_memory = true;
    return CUDA_SUCCESS;
}

static CUresult begin(CUstream handle, CUstreamCaptureMode mode) {
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) return error;
    if ((unsigned)mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
    if (stream->is_legacy) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    if (stream->capture != NULL) return CUDA_ERROR_ILLEGAL_STATE;
    fake_capture *made = obtain(sizeof *made);
    *made = (fake_capture){.id = ++the_driver.next_id,
                           .mode = mode,
                           .thread = pthread_self(),
                           .origin = stream,
                           .graph = graph_make(),
                           .next = captures};
    captures = made;
    stream->capture = made;
    return CUDA_SUCCESS;
}

CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
    ENTER(cuStreamBeginCapture_v2);
    LEAVE(begin(handle, mode));
}

/* Marks a node and all before it. */
static void reach(const fake_node *node, bool *reached) {
    if (reached[node->index]) return;
    reached[node->index] = true;
    for (size_t i = 0; i < node->after_count; i++) reach(node->after[i], reached);
}

static bool is_joined(const fake_stream *origin, const fake_graph *graph) {
    bool *reached = obtain(graph->count * sizeof(bool)), all = true;
    for (size_t i = 0; i < origin->joint_count; i++) reach(origin->joints[i], reached);
    for (size_t i = 0; i < graph->count; i++) all = all && reached[i];
    free(reached);
    return all;
}

static CUresult end_capture(CUstream handle, CUgraph *out) {
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) return error;
    if (out == NULL) return CUDA_ERROR_INVALID_VALUE;
    *out = NULL;
    fake_capture *capture = stream->capture;
    if (capture == NULL) return CUDA_ERROR_ILLEGAL_STATE;
    if (capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && !pthread_equal(capture->thread, pthread_self()))
        return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
    if (capture->origin != stream) return invalidate(capture, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    fake_graph *graph = capture->graph;
    CUresult result = capture->is_invalidated    ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                      : is_joined(stream, graph) ? CUDA_SUCCESS
                                                 : CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    if (graph->handle != NULL && result != CUDA_SUCCESS) {
        handle_end(graph->handle);
        graph->handle = NULL;
    }
    end(capture);
    if (result != CUDA_SUCCESS) {
        graph_drop(graph);
        return result;
    }
    if (graph->handle == NULL) graph->handle = handle_make(HANDLE_GRAPH, graph);
    *out = graph->handle;
    return CUDA_SUCCESS;
}

CUresult cuStreamEndCapture(CUstream handle, CUgraph *out) {
    ENTER(cuStreamEndCapture);
    LEAVE(end_capture(handle, out));
}

static CUstreamCaptureStatus status_of(const fake_stream *stream) {
    return stream->capture == NULL           ? CU_STREAM_CAPTURE_STATUS_NONE
           : stream->capture->is_invalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                             : CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
    ENTER(cuStreamIsCapturing);
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) LEAVE(error);
    if (status == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if ((error = check_implicit(stream)) != CUDA_SUCCESS) LEAVE(error);
    *status = status_of(stream);
    LEAVE(CUDA_SUCCESS);
}

/* The list of nodes belongs to the driver and is valid until the next call for the stream. */
static CUresult capture_info(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                             const CUgraphNode **nodes, size_t *count) {
    static CUgraphNode *listed;
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) return error;
    if (status == NULL) return CUDA_ERROR_INVALID_VALUE;
    if ((error = check_implicit(stream)) != CUDA_SUCCESS) return error;
    *status = status_of(stream);
    if (*status != CU_STREAM_CAPTURE_STATUS_ACTIVE) return CUDA_SUCCESS;
    fake_graph *captured = stream->capture->graph;
    if (graph != NULL && captured->handle == NULL) captured->handle = handle_make(HANDLE_GRAPH, captured);
    if (id != NULL) *id = stream->capture->id;
    if (graph != NULL) *graph = captured->handle;
    free(listed);
    listed = obtain(stream->joint_count * sizeof(CUgraphNode));
    for (size_t i = 0; i < stream->joint_count; i++) listed[i] = stream->joints[i]->handle;
    if (nodes != NULL) *nodes = listed;
    if (count != NULL) *count = stream->joint_count;
    return CUDA_SUCCESS;
}

CUresult cuStreamGetCaptureInfo_v2(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                   const CUgraphNode **nodes, size_t *count) {
    ENTER(cuStreamGetCaptureInfo_v2);
    LEAVE(capture_info(handle, status, id, graph, nodes, count));
}

CUresult cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                   const CUgraphNode **nodes, const CUgraphEdgeData **edges, size_t *count) {
    ENTER(cuStreamGetCaptureInfo_v3);
    if (edges != NULL) *edges = NULL; /* plain edges have no data */
    LEAVE(capture_info(handle, status, id, graph, nodes, count));
}

static CUresult update(CUstream handle, const CUgraphNode *nodes, size_t count, unsigned flags) {
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) return error;
    if (stream->capture == NULL || flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES) return CUDA_ERROR_ILLEGAL_STATE;
    if (stream->capture->is_invalidated) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    fake_node **wanted = nodes_of(stream->capture->graph, nodes, count);
    if (wanted == NULL) return CUDA_ERROR_INVALID_VALUE;
    if (flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES) set_joints(&stream->joints, &stream->joint_count, wanted, count);
    else
        for (size_t i = 0; i < count; i++) join(stream, wanted[i]);
    free(wanted);
    return CUDA_SUCCESS;
}

CUresult cuStreamUpdateCaptureDependencies(CUstream handle, CUgraphNode *nodes, size_t count, unsigned int flags) {
    ENTER(cuStreamUpdateCaptureDependencies);
    LEAVE(update(handle, nodes, count, flags));
}

CUresult cuStreamUpdateCaptureDependencies_v2(CUstream handle, CUgraphNode *nodes, const CUgraphEdgeData *edges,
                                              size_t count, unsigned int flags) {
    ENTER(cuStreamUpdateCaptureDependencies_v2);
    (void)edges;
    LEAVE(update(handle, nodes, count, flags));
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
    ENTER(cuThreadExchangeStreamCaptureMode);
    if (mode == NULL || (unsigned)*mode > CU_STREAM_CAPTURE_MODE_RELAXED) LEAVE(CUDA_ERROR_INVALID_VALUE);
    CUstreamCaptureMode before = *my_mode();
    *my_mode() = *mode;
    *mode = before;
    LEAVE(CUDA_SUCCESS);
}
