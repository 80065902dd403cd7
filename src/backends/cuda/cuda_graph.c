/* Graphs: what was captured, made into a graph of the driver's once, and launched by one call.
 *
 * The hardware layer captures by itself and hands over pieces of work with their order, so the driver is asked to capture nothing but
 * operations: how many kernels one takes only its library knows, and it is captured alone, on a stream of its own, and becomes a graph
 * within the graph. A piece is thus one node of the driver's or a short chain of them.
 *
 * A piece that is one node is changed in place where the driver allows that, which depends on the memory that is meant. Otherwise the whole graph
 * is made anew with the changed piece, and takes the place of the old one, whose launches go on. */
#include <string.h>

#include "backends/cuda/cuda.h"
#include "backends/cuda/cuda_internal.h"
#include "backends/cuda/operations/operations.h"
#include "base/memory.h"

typedef struct graph_piece {
    tarn_graph_node_info work;
    const size_t *after; /* in the graph's array */
    size_t after_count;
} graph_piece;

/* What the driver has of a graph. */
typedef struct graph_build {
    driver_graph graph; /* stays, since its nodes name those of the executable */
    driver_executable executable;
    driver_graph_node *ends; /* of each piece the node after which it is done; NULL: none yet */
} graph_build;

struct tarn_backend_graph {
    graph_build build;
    struct tarn_backend_stream
        captured; /* has the workspace of the operations; its handle is that of the capture that is going on */
    size_t count;
    graph_piece *pieces;
    size_t *numbers; /* what the pieces come after */
};

/* Where the next node goes: after these. */
typedef struct node_place {
    driver_graph graph;
    const driver_graph_node *after;
    size_t after_count;
    driver_context context;
    struct tarn_backend_stream *captured; /* the graph's */
} node_place;

/* Writes the fills that a pattern takes, one or two: words of up to four bytes in a row, or the halves of eight as columns. */
static size_t fills_of(const tarn_graph_node_info *work, driver_fill out_fills[2]) {
    uint32_t words[2] = {0};
    memcpy(words, work->pattern, work->pattern_size);
    bool is_split = work->pattern_size == 8 && words[0] != words[1];
    size_t element = work->pattern_size == 8 ? 4 : work->pattern_size;
    uint16_t half = 0;
    if (element == 1) words[0] = work->pattern[0];
    if (element == 2) {
        memcpy(&half, work->pattern, sizeof half);
        words[0] = half;
    }
    for (size_t i = 0; i < 2; i++) {
        out_fills[i] = (driver_fill){.destination = (uintptr_t)work->destination + 4 * i,
                                     .pitch = is_split ? 8 : 0,
                                     .value = words[i],
                                     .element_size = (unsigned)element,
                                     .width = is_split ? 1 : work->size / element,
                                     .height = is_split ? work->size / 8 : 1};
    }
    return is_split ? 2 : 1;
}

static tarn_status add_fill(const node_place *place, const tarn_graph_node_info *work, driver_graph_node *out_end) {
    driver_fill fills[2];
    size_t count = fills_of(work, fills);
    driver_graph_node first = NULL;
    tarn_status status = CUDA_CALL(cuGraphAddMemsetNode, &first, place->graph, place->after, place->after_count,
                                   &fills[0], place->context);
    *out_end = first;
    if (status != TARN_OK || count == 1) return status;
    return CUDA_CALL(cuGraphAddMemsetNode, out_end, place->graph, &first, 1, &fills[1], place->context);
}

/* Captures an operation alone. The driver's stream is of this call, so that nobody else's work gets into it. */
static tarn_status capture_operation(tarn_backend_device *device, struct tarn_backend_stream *stream,
                                     const tarn_backend_operation *operation, driver_graph *out_graph) {
    tarn_status status = cuda_operations_prepare(device, operation);
    if (status == TARN_OK) status = cuda_stream_open(device, stream);
    if (status != TARN_OK) return status;
    driver_graph graph = NULL;
    status = CUDA_CALL(cuStreamBeginCapture, stream->handle, DRIVER_CAPTURE_RELAXED);
    if (status == TARN_OK) {
        status = cuda_backend.operations->enqueue(device, stream, operation);
        /* A capture is ended also where its work was refused; then the reason stands already. */
        driver_result result = cuda_driver.cuStreamEndCapture(stream->handle, &graph);
        if (status == TARN_OK) status = cuda_answer(result, "cuStreamEndCapture");
    }
    CUDA_DISCARD(cuStreamDestroy, stream->handle);
    if (status == TARN_OK) *out_graph = graph;
    else if (graph != NULL) CUDA_DISCARD(cuGraphDestroy, graph);
    return status;
}

static tarn_status add_operation(tarn_backend_device *device, const node_place *place, const tarn_graph_node_info *work,
                                 driver_graph_node *out_end) {
    driver_graph child = NULL;
    tarn_status status = capture_operation(device, place->captured, work->operation, &child);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuGraphAddChildGraphNode, out_end, place->graph, place->after, place->after_count, child);
    CUDA_DISCARD(cuGraphDestroy, child);
    return status;
}

/* Nodes one after the other. */
typedef struct copy_chain {
    const node_place *place;
    driver_graph_node last; /* NULL: none yet */
} copy_chain;

static driver_result add_copy(void *context, const driver_copy *copy) {
    copy_chain *chain = context;
    const node_place *place = chain->place;
    const driver_graph_node *after = chain->last != NULL ? &chain->last : place->after;
    size_t after_count = chain->last != NULL ? 1 : place->after_count;
    driver_graph_node node = NULL;
    driver_result result =
        cuda_driver.cuGraphAddMemcpyNode(&node, place->graph, after, after_count, copy, place->context);
    if (result == DRIVER_SUCCESS) chain->last = node;
    return result;
}

static tarn_status add_rows(copy_chain *chain, const tarn_graph_node_info *work) {
    const tarn_box *box = &work->box;
    for (size_t row = 0; row < box->height * box->depth; row++) {
        size_t z = row / box->height, y = row % box->height;
        char *to = (char *)work->destination + z * box->destination_slice_pitch + y * box->destination_row_pitch;
        const char *from = (const char *)work->source + z * box->source_slice_pitch + y * box->source_row_pitch;
        driver_copy copy = cuda_copy_of_row(to, from, box->width);
        tarn_status status = cuda_answer(add_copy(chain, &copy), "cuGraphAddMemcpyNode");
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

static tarn_status add_box(const tarn_backend_device *device, const node_place *place, const tarn_graph_node_info *work,
                           driver_graph_node *out_end) {
    copy_chain chain = {.place = place};
    tarn_status status =
        cuda_box_copy(device, work->destination, work->source, &work->box, add_copy, &chain, "cuGraphAddMemcpyNode");
    if (status == TARN_NOT_SUPPORTED) status = add_rows(&chain, work);
    *out_end = chain.last;
    return status;
}

/* A copy of bytes that lie side by side is one row for the driver, which takes rows of no more bytes than its largest pitch; more are rows of
 * about half as many, and what is left. */
static bool is_long(const tarn_backend_device *device, const tarn_graph_node_info *work) {
    return work->size > (size_t)device->maximum_pitch;
}

static tarn_status add_long_copy(const tarn_backend_device *device, const node_place *place,
                                 const tarn_graph_node_info *work, driver_graph_node *out_end) {
    const size_t row = (size_t)device->maximum_pitch / 2 + 1, rows = work->size / row, whole = rows * row;
    const tarn_box box = {.width = row,
                          .height = rows,
                          .depth = 1,
                          .destination_row_pitch = row,
                          .destination_slice_pitch = whole,
                          .source_row_pitch = row,
                          .source_slice_pitch = whole};
    copy_chain chain = {.place = place};
    tarn_status status =
        cuda_box_copy(device, work->destination, work->source, &box, add_copy, &chain, "cuGraphAddMemcpyNode");
    if (status == TARN_OK && whole < work->size) {
        driver_copy rest =
            cuda_copy_of_row((char *)work->destination + whole, (const char *)work->source + whole, work->size - whole);
        status = cuda_answer(add_copy(&chain, &rest), "cuGraphAddMemcpyNode");
    }
    *out_end = chain.last;
    return status;
}

static bool is_empty(const tarn_graph_node_info *work) {
    bool moves_bytes = work->kind == TARN_GRAPH_NODE_COPY || work->kind == TARN_GRAPH_NODE_FILL ||
                       work->kind == TARN_GRAPH_NODE_COPY_BOX;
    return moves_bytes && work->size == 0;
}

static tarn_status add_piece(tarn_backend_device *device, const node_place *place, const tarn_graph_node_info *work,
                             driver_graph_node *out_end) {
    if (is_empty(work)) {
        return CUDA_CALL(cuGraphAddEmptyNode, out_end, place->graph, place->after, place->after_count);
    }
    switch (work->kind) {
    case TARN_GRAPH_NODE_FILL: return add_fill(place, work, out_end);
    case TARN_GRAPH_NODE_OPERATION: return add_operation(device, place, work, out_end);
    case TARN_GRAPH_NODE_COPY_BOX: return add_box(device, place, work, out_end);
    case TARN_GRAPH_NODE_HOST_FUNCTION: {
        driver_host_node host = {.function = work->function, .context = work->context};
        return CUDA_CALL(cuGraphAddHostNode, out_end, place->graph, place->after, place->after_count, &host);
    }
    default: {
        if (is_long(device, work)) return add_long_copy(device, place, work, out_end);
        driver_copy copy = cuda_copy_of_row(work->destination, work->source, work->size);
        return CUDA_CALL(cuGraphAddMemcpyNode, out_end, place->graph, place->after, place->after_count, &copy,
                         place->context);
    }
    }
}

static void destroy_build(graph_build *build) {
    if (build->executable != NULL) CUDA_DISCARD(cuGraphExecDestroy, build->executable);
    if (build->graph != NULL) CUDA_DISCARD(cuGraphDestroy, build->graph);
    base_free(build->ends);
    *build = (graph_build){.graph = NULL};
}

static tarn_status add_pieces(tarn_backend_device *device, tarn_backend_graph *graph, graph_build *build,
                              driver_graph_node *after) {
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < graph->count && status == TARN_OK; i++) {
        const graph_piece *piece = &graph->pieces[i];
        for (size_t k = 0; k < piece->after_count; k++) after[k] = build->ends[piece->after[k]];
        const node_place place = {build->graph, after, piece->after_count, device->context, &graph->captured};
        status = add_piece(device, &place, &piece->work, &build->ends[i]);
    }
    return status;
}

/* Makes the driver's graph of all pieces. Must be called in the context's scope. */
static tarn_status build_graph(tarn_backend_device *device, tarn_backend_graph *graph, graph_build *out_build) {
    graph_build build = {.ends = base_allocate(graph->count + 1, sizeof(driver_graph_node))};
    driver_graph_node *after = base_allocate(graph->count + 1, sizeof *after);
    tarn_status status = TARN_OK;
    if (build.ends == NULL || after == NULL) {
        status = cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for a graph of %zu pieces", graph->count);
    }
    if (status == TARN_OK) status = cuda_workspace_capture(device, &graph->captured);
    if (status == TARN_OK) status = CUDA_CALL(cuGraphCreate, &build.graph, 0);
    if (status == TARN_OK) status = add_pieces(device, graph, &build, after);
    if (status == TARN_OK) status = CUDA_CALL(cuGraphInstantiateWithFlags, &build.executable, build.graph, 0);
    base_free(after);
    if (status == TARN_OK) *out_build = build;
    else destroy_build(&build);
    return status;
}

static void free_graph(tarn_backend_graph *graph) {
    base_free(graph->numbers);
    base_free(graph->pieces);
    base_free(graph);
}

/* A copy of the pieces, without anything of the driver's. NULL when there is no host memory. */
static tarn_backend_graph *copy_pieces(const tarn_backend_graph_node *nodes, size_t count) {
    tarn_backend_graph *graph = base_allocate(1, sizeof *graph);
    if (graph == NULL) return NULL;
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += nodes[i].after_count;
    graph->count = count;
    graph->pieces = base_allocate(count + 1, sizeof *graph->pieces);
    graph->numbers = base_allocate(total + 1, sizeof *graph->numbers);
    if (graph->pieces == NULL || graph->numbers == NULL) {
        free_graph(graph);
        return NULL;
    }
    size_t *next = graph->numbers;
    for (size_t i = 0; i < count; i++) {
        graph->pieces[i] = (graph_piece){nodes[i].work, next, nodes[i].after_count};
        for (size_t k = 0; k < nodes[i].after_count; k++) *next++ = nodes[i].after[k];
    }
    return graph;
}

static tarn_status graph_create(tarn_backend_device *device, const tarn_backend_graph_node *nodes, size_t count,
                                tarn_backend_graph **out_graph) {
    tarn_backend_graph *graph = copy_pieces(nodes, count);
    if (graph == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for a graph of %zu pieces", count);
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status == TARN_OK) {
        status = build_graph(device, graph, &graph->build);
        if (status != TARN_OK) cuda_workspace_end(device, &graph->captured);
        cuda_leave(scope);
    }
    if (status == TARN_OK) *out_graph = graph;
    else free_graph(graph);
    return status;
}

static void graph_destroy(tarn_backend_device *device, tarn_backend_graph *graph) {
    cuda_scope scope = cuda_enter_to_end(device);
    destroy_build(&graph->build);
    cuda_workspace_end(device, &graph->captured);
    cuda_leave(scope);
    free_graph(graph);
}

/* Changes one node in place. False where the driver does not do that; then nothing has changed. */
static bool change_node(tarn_backend_device *device, tarn_backend_graph *graph, size_t number,
                        const tarn_graph_node_info *work) {
    const tarn_graph_node_info *old = &graph->pieces[number].work;
    driver_executable executable = graph->build.executable;
    driver_graph_node node = graph->build.ends[number];
    driver_fill fills[2], old_fills[2];
    if (is_empty(old) || is_empty(work)) return false;
    if (work->kind == TARN_GRAPH_NODE_COPY) {
        if (is_long(device, work) || is_long(device, old)) return false;
        driver_copy copy = cuda_copy_of_row(work->destination, work->source, work->size);
        return cuda_driver.cuGraphExecMemcpyNodeSetParams(executable, node, &copy, device->context) == DRIVER_SUCCESS;
    }
    if (work->kind == TARN_GRAPH_NODE_HOST_FUNCTION) {
        driver_host_node host = {.function = work->function, .context = work->context};
        return cuda_driver.cuGraphExecHostNodeSetParams(executable, node, &host) == DRIVER_SUCCESS;
    }
    if (work->kind != TARN_GRAPH_NODE_FILL || fills_of(work, fills) != 1 || fills_of(old, old_fills) != 1) return false;
    return cuda_driver.cuGraphExecMemsetNodeSetParams(executable, node, &fills[0], device->context) == DRIVER_SUCCESS;
}

/* Must be called in the context's scope. */
static tarn_status change_graph(tarn_backend_device *device, tarn_backend_graph *graph, size_t number,
                                const tarn_graph_node_info *work) {
    tarn_graph_node_info old = graph->pieces[number].work;
    bool is_changed = change_node(device, graph, number, work);
    graph->pieces[number].work = *work;
    if (is_changed) return TARN_OK;
    graph_build build;
    tarn_status status = build_graph(device, graph, &build);
    if (status != TARN_OK) {
        graph->pieces[number].work = old;
        return status;
    }
    /* Launches of it that still run go on: the driver keeps it until they have ended. */
    destroy_build(&graph->build);
    graph->build = build;
    return TARN_OK;
}

static tarn_status graph_update(tarn_backend_device *device, tarn_backend_graph *graph, size_t node,
                                const tarn_graph_node_info *work) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = change_graph(device, graph, node, work);
    cuda_leave(scope);
    return status;
}

static tarn_status graph_launch(tarn_backend_device *device, tarn_backend_graph *graph, tarn_backend_stream *stream) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuGraphLaunch, graph->build.executable, stream->handle);
    if (status == TARN_OK) status = cuda_workspace_forward(device, &graph->captured, stream);
    cuda_leave(scope);
    return status;
}

const tarn_backend_capture cuda_capture = {
    .struct_size = sizeof(tarn_backend_capture),
    .graph_create = graph_create,
    .graph_destroy = graph_destroy,
    .graph_update = graph_update,
    .graph_launch = graph_launch,
};
