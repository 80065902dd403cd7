/* Graphs: nodes with what comes before each; and executable graphs, which are copies of them. */
#ifndef FAKECUDA_GRAPH_H
#define FAKECUDA_GRAPH_H

struct fake_node {
    CUgraphNode handle;
    fake_graph *graph;
    CUgraphNodeType type;
    fake_operation operation; /* of what runs something */
    fake_graph *child;        /* of a child graph, the node's own */
    fake_event *event;        /* of event nodes, held */
    CUdeviceptr address;      /* of memory nodes */
    fake_node **after;
    size_t after_count;
    size_t index; /* in its graph */
};

struct fake_graph {
    CUgraph handle; /* NULL for a child's and for one whose handle has ended */
    fake_node **nodes;
    size_t count;
    unsigned references;
    bool has_memory;
    unsigned instances; /* executable graphs of it that live; counted where it has memory */
};

fake_graph *graph_make(void);
void graph_drop(fake_graph *graph);
/* Takes over the operation, which may be NULL. */
fake_node *node_add(fake_graph *graph, CUgraphNodeType type, const fake_operation *operation, fake_node *const *after,
                    size_t count);
void node_remove(fake_node *node);
/* What an operation is as a node. */
CUgraphNodeType node_type_of(const fake_operation *operation);
/* The nodes of these handles, NULL when one is none of the graph's or is named twice. */
fake_node **nodes_of(const fake_graph *graph, const CUgraphNode *handles, size_t count);
/* A copy with an own copy of what the operation owns. */
fake_operation operation_copy(const fake_operation *operation);
/* The memory that a node allocates at each launch, at a fixed address; NULL when there are no addresses. */
fake_range *graph_memory_make(fake_context *in, size_t size);
void graph_memory_drop(CUdeviceptr address);
fake_node *free_node_of(const fake_graph *graph, CUdeviceptr address);
/* The copy and the fill that parameters mean; CUDA_ERROR_INVALID_VALUE when they mean none. */
/* Without a context; what is to be copied may be nothing, which is for the caller to say. */
CUresult copy_read(const CUDA_MEMCPY3D *copy, fake_operation *out);
CUresult copy_of(const CUDA_MEMCPY3D *parameters, CUcontext in, fake_operation *out);
CUresult fill_of(const CUDA_MEMSET_NODE_PARAMS *parameters, CUcontext in, fake_operation *out);
CUresult host_of(const CUDA_HOST_NODE_PARAMS *parameters, fake_operation *out);
/* The last piece of work of a graph's launch has ended. */
void launch_end(void *launch);
void graphs_reset(void);
void executables_reset(void);

#endif
