/* Graphs as a program builds them: nodes, and which comes after which. */
#include "state.h"

#include "graph.h"
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

fake_graph *graph_make(void) {
    fake_graph *made = obtain(sizeof *made);
    made->references = 1;
    return made;
}

static void node_free(fake_node *node) {
    handle_end(node->handle);
    operation_end(&node->operation);
    if (node->child != NULL) graph_drop(node->child);
    if (node->event != NULL) event_drop(node->event);
    if (node->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) graph_memory_drop(node->address);
    free(node->after);
    free(node);
}

void graph_drop(fake_graph *graph) {
    if (--graph->references > 0) return;
    for (size_t i = 0; i < graph->count; i++) node_free(graph->nodes[i]);
    free(graph->nodes);
    free(graph);
}

static void drop_graph(void *graph) { graph_drop(graph); }
void graphs_reset(void) { handles_each(HANDLE_GRAPH, drop_graph); }

fake_node *node_add(fake_graph *graph, CUgraphNodeType type, const fake_operation *operation, fake_node *const *after,
                    size_t count) {
    fake_node *made = obtain(sizeof *made);
    made->graph = graph;
    made->type = type;
    if (operation != NULL) made->operation = *operation;
    made->after = obtain(count * sizeof(fake_node *));
    if (count > 0) memcpy(made->after, after, count * sizeof(fake_node *));
    made->after_count = count;
    made->index = graph->count;
    made->handle = handle_make(HANDLE_NODE, made);
    graph->nodes = grow(graph->nodes, graph->count, sizeof made);
    graph->nodes[graph->count++] = made;
    return made;
}

void node_remove(fake_node *node) {
    fake_graph *graph = node->graph;
    graph->count--;
    for (size_t i = node->index; i < graph->count; i++) {
        graph->nodes[i] = graph->nodes[i + 1];
        graph->nodes[i]->index = i;
    }
    for (size_t i = 0; i < graph->count; i++) {
        fake_node *other = graph->nodes[i];
        for (size_t k = 0; k < other->after_count; k++)
            if (other->after[k] == node) other->after[k--] = other->after[--other->after_count];
    }
    node_free(node);
}

CUgraphNodeType node_type_of(const fake_operation *operation) {
    switch (operation->kind) {
    case OPERATION_COPY: return CU_GRAPH_NODE_TYPE_MEMCPY;
    case OPERATION_FILL: return CU_GRAPH_NODE_TYPE_MEMSET;
    case OPERATION_HOST: return CU_GRAPH_NODE_TYPE_HOST;
    case OPERATION_KERNEL: return CU_GRAPH_NODE_TYPE_KERNEL;
    default: return CU_GRAPH_NODE_TYPE_EMPTY;
    }
}

fake_node **nodes_of(const fake_graph *graph, const CUgraphNode *handles, size_t count) {
    if (count > 0 && handles == NULL) return NULL;
    fake_node **nodes = obtain(count * sizeof(fake_node *));
    for (size_t i = 0; i < count; i++) {
        nodes[i] = handle_object(HANDLE_NODE, handles[i]);
        bool is_fine = nodes[i] != NULL && nodes[i]->graph == graph;
        for (size_t k = 0; k < i && is_fine; k++) is_fine = nodes[k] != nodes[i];
        if (is_fine) continue;
        free(nodes);
        return NULL;
    }
    return nodes;
}

CUresult cuGraphCreate(CUgraph *out, unsigned int flags) {
    ENTER(cuGraphCreate);
    if (out == NULL || flags != 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_graph *made = graph_make();
    made->handle = handle_make(HANDLE_GRAPH, made);
    *out = made->handle;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuGraphDestroy(CUgraph handle) {
    ENTER(cuGraphDestroy);
    fake_graph *graph = handle_object(HANDLE_GRAPH, handle);
    if (graph == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    handle_end(handle);
    graph->handle = NULL;
    graph_drop(graph);
    LEAVE(CUDA_SUCCESS);
}

/* Nodes keep their places, so that what comes after what is told by numbers. */
static fake_graph *clone_graph(const fake_graph *graph) {
    fake_graph *made = graph_make();
    for (size_t i = 0; i < graph->count; i++) {
        const fake_node *node = graph->nodes[i];
        fake_operation copied = operation_copy(&node->operation);
        fake_node *added = node_add(made, node->type, &copied, NULL, 0);
        added->event = node->event;
        if (node->event != NULL) node->event->references++;
        if (node->child != NULL) added->child = clone_graph(node->child);
    }
    for (size_t i = 0; i < graph->count; i++) {
        const fake_node *node = graph->nodes[i];
        free(made->nodes[i]->after);
        made->nodes[i]->after = obtain(node->after_count * sizeof(fake_node *));
        made->nodes[i]->after_count = node->after_count;
        for (size_t k = 0; k < node->after_count; k++) made->nodes[i]->after[k] = made->nodes[node->after[k]->index];
    }
    return made;
}

CUresult cuGraphClone(CUgraph *out, CUgraph handle) {
    ENTER(cuGraphClone);
    const fake_graph *graph = handle_object(HANDLE_GRAPH, handle);
    if (out == NULL || graph == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (graph->has_memory) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    fake_graph *made = clone_graph(graph);
    made->handle = handle_make(HANDLE_GRAPH, made);
    *out = made->handle;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuGraphAddChildGraphNode(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                                  CUgraph child) {
    ENTER(cuGraphAddChildGraphNode);
    fake_graph *graph = handle_object(HANDLE_GRAPH, handle);
    const fake_graph *inner = handle_object(HANDLE_GRAPH, child);
    if (out == NULL || graph == NULL || inner == NULL || inner == graph) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (inner->has_memory) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    fake_node **nodes = nodes_of(graph, after, count);
    if (nodes == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_node *made = node_add(graph, CU_GRAPH_NODE_TYPE_GRAPH, NULL, nodes, count);
    made->child = clone_graph(inner);
    free(nodes);
    *out = made->handle;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuGraphDestroyNode(CUgraphNode handle) {
    ENTER(cuGraphDestroyNode);
    fake_node *node = handle_object(HANDLE_NODE, handle);
    if (node == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (node->graph->has_memory) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    node_remove(node);
    LEAVE(CUDA_SUCCESS);
}

/* Gives at most *count handles and says in *count how many there are. */
static CUresult give_nodes(fake_node *const *nodes, size_t have, CUgraphNode *out, size_t *count) {
    if (count == NULL) return CUDA_ERROR_INVALID_VALUE;
    if (out != NULL) {
        for (size_t i = 0; i < *count; i++) out[i] = i < have ? nodes[i]->handle : NULL;
        if (*count > have) *count = have;
    } else {
        *count = have;
    }
    return CUDA_SUCCESS;
}

CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
    ENTER(cuGraphGetNodes);
    const fake_graph *graph = handle_object(HANDLE_GRAPH, handle);
    LEAVE(graph == NULL ? CUDA_ERROR_INVALID_VALUE : give_nodes(graph->nodes, graph->count, nodes, count));
}

CUresult cuGraphGetRootNodes(CUgraph handle, CUgraphNode *nodes, size_t *count) {
    ENTER(cuGraphGetRootNodes);
    const fake_graph *graph = handle_object(HANDLE_GRAPH, handle);
    if (graph == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_node **roots = obtain(graph->count * sizeof(fake_node *));
    size_t have = 0;
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i]->after_count == 0) roots[have++] = graph->nodes[i];
    CUresult result = give_nodes(roots, have, nodes, count);
    free(roots);
    LEAVE(result);
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type) {
    ENTER(cuGraphNodeGetType);
    const fake_node *node = handle_object(HANDLE_NODE, handle);
    if (node == NULL || type == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *type = node->type;
    LEAVE(CUDA_SUCCESS);
}

static CUresult dependencies(CUgraphNode handle, CUgraphNode *nodes, size_t *count) {
    const fake_node *node = handle_object(HANDLE_NODE, handle);
    return node == NULL ? CUDA_ERROR_INVALID_VALUE : give_nodes(node->after, node->after_count, nodes, count);
}

CUresult cuGraphNodeGetDependencies(CUgraphNode handle, CUgraphNode *nodes, size_t *count) {
    ENTER(cuGraphNodeGetDependencies);
    LEAVE(dependencies(handle, nodes, count));
}

CUresult cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *edges, size_t *count) {
    ENTER(cuGraphNodeGetDependencies_v2);
    CUresult result = dependencies(handle, nodes, count);
    if (result == CUDA_SUCCESS && nodes != NULL && edges != NULL) memset(edges, 0, *count * sizeof *edges);
    LEAVE(result);
}

/* Whether `later` comes after `earlier`, by however many steps. */
static bool comes_after(const fake_node *later, const fake_node *earlier) {
    if (later == earlier) return true;
    for (size_t i = 0; i < later->after_count; i++)
        if (comes_after(later->after[i], earlier)) return true;
    return false;
}

static CUresult add_dependencies(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to, size_t count) {
    const fake_graph *graph = handle_object(HANDLE_GRAPH, handle);
    if (graph == NULL || (count > 0 && (from == NULL || to == NULL))) return CUDA_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < count; i++) {
        fake_node *earlier = handle_object(HANDLE_NODE, from[i]), *later = handle_object(HANDLE_NODE, to[i]);
        if (earlier == NULL || later == NULL || earlier->graph != graph || later->graph != graph)
            return CUDA_ERROR_INVALID_VALUE;
        if (comes_after(earlier, later)) return VIOLATION(CUDA_ERROR_INVALID_VALUE, "a node would come after itself");
        for (size_t k = 0; k < later->after_count; k++)
            if (later->after[k] == earlier) return CUDA_ERROR_INVALID_VALUE;
        fake_node **after = obtain((later->after_count + 1) * sizeof(fake_node *));
        if (later->after_count > 0) memcpy(after, later->after, later->after_count * sizeof(fake_node *));
        free(later->after);
        later->after = after;
        later->after[later->after_count++] = earlier;
    }
    return CUDA_SUCCESS;
}

CUresult cuGraphAddDependencies(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to, size_t count) {
    ENTER(cuGraphAddDependencies);
    LEAVE(add_dependencies(handle, from, to, count));
}

CUresult cuGraphAddDependencies_v2(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                                   const CUgraphEdgeData *edges, size_t count) {
    ENTER(cuGraphAddDependencies_v2);
    (void)edges; /* edges of other kinds than plain ones are between kernels of one device, and only stricter without */
    LEAVE(add_dependencies(handle, from, to, count));
}
