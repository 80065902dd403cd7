/* Nodes that a program adds by hand: what their parameters mean. */
#include "state.h"

#include "graph.h"
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

fake_operation operation_copy(const fake_operation *operation) {
    fake_operation copied = *operation;
    if (operation->kind == OPERATION_KERNEL) kernel_copy_parameters(&copied);
    return copied;
}

/* One side of a copy: its first byte and the steps of rows and planes. */
static bool side_of(CUmemorytype type, const void *host, CUdeviceptr device, const size_t at[3], size_t pitch,
                    size_t height, const CUDA_MEMCPY3D *copy, fake_place *out) {
    if (type == CU_MEMORYTYPE_ARRAY) return false;
    if (pitch == 0) pitch = copy->WidthInBytes + at[0];
    if (height == 0) height = copy->Height + at[1];
    if (pitch < copy->WidthInBytes + at[0] || height < copy->Height + at[1]) return false;
    if (pitch > MAXIMUM_PITCH) return false;
    out->address = (type == CU_MEMORYTYPE_HOST ? (CUdeviceptr)(uintptr_t)host : device) + at[0] + at[1] * pitch +
                   at[2] * pitch * height;
    out->pitch = pitch;
    out->plane = pitch * height;
    return out->address != 0;
}

/* Every row of a side is memory. */
static CUresult check_side(const fake_place *place, const CUDA_MEMCPY3D *copy, CUmemorytype type) {
    size_t span = (copy->Depth - 1) * place->plane + (copy->Height - 1) * place->pitch + copy->WidthInBytes;
    return range_check(place->address, span, type == CU_MEMORYTYPE_DEVICE);
}

CUresult copy_read(const CUDA_MEMCPY3D *copy, fake_operation *out) {
    *out = (fake_operation){.kind = OPERATION_COPY};
    const size_t to[3] = {copy->dstXInBytes, copy->dstY, copy->dstZ},
                 from[3] = {copy->srcXInBytes, copy->srcY, copy->srcZ};
    if (!side_of(copy->dstMemoryType, copy->dstHost, copy->dstDevice, to, copy->dstPitch, copy->dstHeight, copy,
                 &out->copy.to) ||
        !side_of(copy->srcMemoryType, copy->srcHost, copy->srcDevice, from, copy->srcPitch, copy->srcHeight, copy,
                 &out->copy.from))
        return CUDA_ERROR_INVALID_VALUE;
    out->copy.width = copy->WidthInBytes;
    out->copy.rows = copy->Height;
    out->copy.planes = copy->Depth;
    if (copy->WidthInBytes == 0 || copy->Height == 0 || copy->Depth == 0) return CUDA_SUCCESS;
    CUresult result = check_side(&out->copy.to, copy, copy->dstMemoryType);
    return result == CUDA_SUCCESS ? check_side(&out->copy.from, copy, copy->srcMemoryType) : result;
}

CUresult copy_of(const CUDA_MEMCPY3D *parameters, CUcontext in, fake_operation *out) {
    fake_context *context = context_of(in);
    if (parameters == NULL || context == NULL) return CUDA_ERROR_INVALID_VALUE;
    if (parameters->WidthInBytes == 0 || parameters->Height == 0 || parameters->Depth == 0)
        return CUDA_ERROR_INVALID_VALUE;
    CUresult result = copy_read(parameters, out);
    out->in = context;
    return result;
}

CUresult fill_of(const CUDA_MEMSET_NODE_PARAMS *parameters, CUcontext in, fake_operation *out) {
    fake_context *context = context_of(in);
    if (parameters == NULL || context == NULL) return CUDA_ERROR_INVALID_VALUE;
    unsigned element = parameters->elementSize;
    size_t bytes = parameters->width * element;
    if ((element != 1 && element != 2 && element != 4) || parameters->width == 0 || parameters->height == 0 ||
        parameters->dst % element != 0 || (parameters->height > 1 && parameters->pitch < bytes))
        return CUDA_ERROR_INVALID_VALUE;
    *out = (fake_operation){.kind = OPERATION_FILL,
                            .in = context,
                            .fill = {.to = {parameters->dst, parameters->pitch, 0},
                                     .value = parameters->value,
                                     .element = element,
                                     .width = parameters->width,
                                     .rows = parameters->height}};
    return range_check(parameters->dst, (parameters->height - 1) * parameters->pitch + bytes, true);
}

CUresult host_of(const CUDA_HOST_NODE_PARAMS *parameters, fake_operation *out) {
    if (parameters == NULL || parameters->fn == NULL) return CUDA_ERROR_INVALID_VALUE;
    *out = (fake_operation){.kind = OPERATION_HOST, .host = {.function = parameters->fn, .data = parameters->userData}};
    return CUDA_SUCCESS;
}

/* Adds a node; takes over the operation. *made (which may be NULL) becomes it. */
static CUresult add(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count, CUgraphNodeType type,
                    fake_operation *operation, fake_node **made) {
    fake_graph *graph = handle_object(HANDLE_GRAPH, handle);
    fake_node **nodes = out != NULL && graph != NULL ? nodes_of(graph, after, count) : NULL;
    if (nodes == NULL) {
        operation_end(operation);
        return CUDA_ERROR_INVALID_VALUE;
    }
    fake_node *added = node_add(graph, type, operation, nodes, count);
    free(nodes);
    *out = added->handle;
    if (made != NULL) *made = added;
    return CUDA_SUCCESS;
}

CUresult cuGraphAddEmptyNode(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count) {
    ENTER(cuGraphAddEmptyNode);
    fake_operation mark = {.kind = OPERATION_MARK};
    LEAVE(add(out, handle, after, count, CU_GRAPH_NODE_TYPE_EMPTY, &mark, NULL));
}

CUresult cuGraphAddHostNode(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                            const CUDA_HOST_NODE_PARAMS *parameters) {
    ENTER(cuGraphAddHostNode);
    fake_operation host;
    CUresult result = host_of(parameters, &host);
    LEAVE(result != CUDA_SUCCESS ? result : add(out, handle, after, count, CU_GRAPH_NODE_TYPE_HOST, &host, NULL));
}

CUresult cuGraphAddMemcpyNode(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                              const CUDA_MEMCPY3D *parameters, CUcontext in) {
    ENTER(cuGraphAddMemcpyNode);
    fake_operation copy;
    CUresult result = copy_of(parameters, in, &copy);
    LEAVE(result != CUDA_SUCCESS ? result : add(out, handle, after, count, CU_GRAPH_NODE_TYPE_MEMCPY, &copy, NULL));
}

CUresult cuGraphAddMemsetNode(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                              const CUDA_MEMSET_NODE_PARAMS *parameters, CUcontext in) {
    ENTER(cuGraphAddMemsetNode);
    fake_operation fill;
    CUresult result = fill_of(parameters, in, &fill);
    LEAVE(result != CUDA_SUCCESS ? result : add(out, handle, after, count, CU_GRAPH_NODE_TYPE_MEMSET, &fill, NULL));
}

CUresult cuGraphAddKernelNode_v2(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                                 const CUDA_KERNEL_NODE_PARAMS *parameters) {
    ENTER(cuGraphAddKernelNode_v2);
    fake_operation kernel;
    CUresult result = kernel_of(parameters, &kernel);
    LEAVE(result != CUDA_SUCCESS ? result : add(out, handle, after, count, CU_GRAPH_NODE_TYPE_KERNEL, &kernel, NULL));
}

static CUresult add_event(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                          CUevent event_handle, CUgraphNodeType type) {
    fake_event *event = handle_object(HANDLE_EVENT, event_handle);
    if (event == NULL) return CUDA_ERROR_INVALID_VALUE;
    fake_operation mark = {.kind = OPERATION_MARK, .in = event->in};
    fake_node *made;
    CUresult result = add(out, handle, after, count, type, &mark, &made);
    if (result != CUDA_SUCCESS) return result;
    made->event = event;
    event->references++;
    return CUDA_SUCCESS;
}

CUresult cuGraphAddEventRecordNode(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                                   CUevent event) {
    ENTER(cuGraphAddEventRecordNode);
    LEAVE(add_event(out, handle, after, count, event, CU_GRAPH_NODE_TYPE_EVENT_RECORD));
}

CUresult cuGraphAddEventWaitNode(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                                 CUevent event) {
    ENTER(cuGraphAddEventWaitNode);
    LEAVE(add_event(out, handle, after, count, event, CU_GRAPH_NODE_TYPE_WAIT_EVENT));
}

CUresult cuGraphAddMemAllocNode(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                                CUDA_MEM_ALLOC_NODE_PARAMS *parameters) {
    ENTER(cuGraphAddMemAllocNode);
    if (parameters == NULL || parameters->bytesize == 0 ||
        parameters->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_device *device = device_at(parameters->poolProps.location.id);
    if (device == NULL || device->primary.handle == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    fake_range *memory = graph_memory_make(&device->primary, parameters->bytesize);
    if (memory == NULL) LEAVE(CUDA_ERROR_OUT_OF_MEMORY);
    fake_operation allocate = {
        .kind = OPERATION_ALLOCATE, .in = &device->primary, .memory = {memory->start, parameters->bytesize}};
    fake_node *made;
    CUresult result = add(out, handle, after, count, CU_GRAPH_NODE_TYPE_MEM_ALLOC, &allocate, &made);
    if (result != CUDA_SUCCESS) {
        graph_memory_drop(memory->start);
        LEAVE(result);
    }
    made->address = memory->start;
    made->graph->has_memory = true;
    parameters->dptr = memory->start;
    LEAVE(CUDA_SUCCESS);
}

fake_node *free_node_of(const fake_graph *graph, CUdeviceptr address) {
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i]->type == CU_GRAPH_NODE_TYPE_MEM_FREE && graph->nodes[i]->address == address)
            return graph->nodes[i];
    return NULL;
}

CUresult cuGraphAddMemFreeNode(CUgraphNode *out, CUgraph handle, const CUgraphNode *after, size_t count,
                               CUdeviceptr pointer) {
    ENTER(cuGraphAddMemFreeNode);
    const fake_graph *graph = handle_object(HANDLE_GRAPH, handle);
    const fake_range *memory = range_find(pointer);
    if (graph == NULL || memory == NULL || memory->kind != RANGE_GRAPH || memory->start != pointer ||
        free_node_of(graph, pointer) != NULL)
        LEAVE(VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx is not what a node allocates, or is freed already", pointer));
    fake_operation end = {.kind = OPERATION_FREE, .in = memory->owner, .memory = {pointer, memory->size}};
    fake_node *made;
    CUresult result = add(out, handle, after, count, CU_GRAPH_NODE_TYPE_MEM_FREE, &end, &made);
    if (result != CUDA_SUCCESS) LEAVE(result);
    made->address = pointer;
    made->graph->has_memory = true;
    LEAVE(CUDA_SUCCESS);
}
