/* Executable graphs: a copy of a graph, flat and in an order that it can run in. A launch gives each node to the scheduler as a
 * piece of work of its own; launches of one executable graph come one after the other, whatever their streams. */
#include "state.h"

#include "capture.h"
#include "graph.h"
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

typedef struct fake_step {
    CUgraphNode node; /* of the graph that it came from */
    CUgraphNodeType type;
    fake_operation operation;
    fake_event *event;
    size_t *after;
    size_t after_count;
    fake_task *task; /* of the launch that is being given */
} fake_step;

typedef struct fake_executable {
    fake_step *steps;
    size_t count;
    unsigned long long flags;
    fake_graph *graph; /* held where it has memory */
    unsigned references;
    fake_task *last; /* of its last launch */
} fake_executable;

static void executable_drop(fake_executable *executable) {
    if (--executable->references > 0) return;
    for (size_t i = 0; i < executable->count; i++) {
        operation_end(&executable->steps[i].operation);
        if (executable->steps[i].event != NULL) event_drop(executable->steps[i].event);
        free(executable->steps[i].after);
    }
    free(executable->steps);
    task_drop(executable->last);
    if (executable->graph != NULL) {
        executable->graph->instances--;
        graph_drop(executable->graph);
    }
    free(executable);
}

void launch_end(void *launch) { executable_drop(launch); }

static void drop_executable(void *executable) { executable_drop(executable); }
void executables_reset(void) { handles_each(HANDLE_EXECUTABLE, drop_executable); }

static size_t add_step(fake_executable *executable, const fake_node *node, const fake_operation *operation,
                       const size_t *after, size_t after_count) {
    executable->steps = grow(executable->steps, executable->count, sizeof(fake_step));
    fake_step *step = &executable->steps[executable->count];
    *step = (fake_step){.node = node != NULL ? node->handle : NULL,
                        .type = node != NULL ? node->type : CU_GRAPH_NODE_TYPE_EMPTY,
                        .operation = operation_copy(operation),
                        .event = node != NULL ? node->event : NULL,
                        .after = obtain(after_count * sizeof(size_t)),
                        .after_count = after_count};
    if (after_count > 0) memcpy(step->after, after, after_count * sizeof(size_t));
    if (step->event != NULL) step->event->references++;
    return executable->count++;
}

/* Adds a graph's nodes, each behind those that it comes after; what comes after nothing comes after `root`. Returns the step that
 * ends it. */
static size_t flatten(fake_executable *executable, const fake_graph *graph, size_t root) {
    const fake_operation mark = {.kind = OPERATION_MARK};
    size_t *place = obtain((graph->count + 1) * sizeof(size_t)), done = 0;
    size_t *after = obtain((graph->count + 1) * sizeof(size_t));
    memset(place, 0xff, (graph->count + 1) * sizeof(size_t));
    while (done < graph->count) {
        for (size_t i = 0; i < graph->count; i++) {
            const fake_node *node = graph->nodes[i];
            bool is_next = place[i] == SIZE_MAX;
            for (size_t k = 0; k < node->after_count && is_next; k++)
                is_next = (after[k] = place[node->after[k]->index]) != SIZE_MAX;
            if (!is_next) continue;
            size_t count = node->after_count;
            if (count == 0) after[count++] = root;
            place[i] = add_step(executable, node, node->child != NULL ? &mark : &node->operation, after, count);
            if (node->child != NULL) place[i] = flatten(executable, node->child, place[i]);
            done++;
        }
    }
    if (graph->count == 0) place[done++] = root;
    size_t last = add_step(executable, NULL, &mark, place, done);
    free(place);
    free(after);
    return last;
}

static CUresult instantiate(CUgraphExec *out, CUgraph handle, unsigned long long flags) {
    fake_graph *graph = handle_object(HANDLE_GRAPH, handle);
    if (out == NULL || graph == NULL || flags > 15 || (flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH) != 0)
        return CUDA_ERROR_INVALID_VALUE;
    if (graph->has_memory && graph->instances > 0)
        return VIOLATION(CUDA_ERROR_INVALID_VALUE, "a graph that allocates memory is instantiated twice");
    fake_executable *made = obtain(sizeof *made);
    made->flags = flags;
    made->references = 1;
    const fake_operation mark = {.kind = OPERATION_MARK};
    flatten(made, graph, add_step(made, NULL, &mark, NULL, 0));
    if (graph->has_memory) {
        made->graph = graph;
        graph->references++;
        graph->instances++;
    }
    *out = handle_make(HANDLE_EXECUTABLE, made);
    return CUDA_SUCCESS;
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec *out, CUgraph handle, unsigned long long flags) {
    ENTER(cuGraphInstantiateWithFlags);
    LEAVE(instantiate(out, handle, flags));
}

CUresult cuGraphInstantiateWithParams(CUgraphExec *out, CUgraph handle, CUDA_GRAPH_INSTANTIATE_PARAMS *parameters) {
    ENTER(cuGraphInstantiateWithParams);
    if (parameters == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    CUresult result = instantiate(out, handle, parameters->flags);
    parameters->hErrNode_out = NULL;
    parameters->result_out = result == CUDA_SUCCESS ? CUDA_GRAPH_INSTANTIATE_SUCCESS : CUDA_GRAPH_INSTANTIATE_ERROR;
    LEAVE(result);
}

CUresult cuGraphExecDestroy(CUgraphExec handle) {
    ENTER(cuGraphExecDestroy);
    fake_executable *executable = handle_object(HANDLE_EXECUTABLE, handle);
    if (executable == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    handle_end(handle);
    executable_drop(executable); /* a launch that runs keeps it */
    LEAVE(CUDA_SUCCESS);
}

/* Memory for what the launch allocates, which must not be allocated already. */
static CUresult take_memory(const fake_executable *executable) {
    bool frees_itself = (executable->flags & CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH) != 0;
    for (size_t i = 0; i < executable->count; i++) {
        if (executable->steps[i].type != CU_GRAPH_NODE_TYPE_MEM_ALLOC) continue;
        fake_range *memory = range_find(executable->steps[i].operation.memory.address);
        if (memory->is_outstanding && !frees_itself)
            return VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx is still allocated by the last launch", memory->start);
        size_t bytes = (memory->size + GRANULE - 1) / GRANULE * GRANULE;
        if (memory->counted == 0 && !device_take(memory->on, bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
        memory->counted = bytes;
    }
    for (size_t i = 0; i < executable->count; i++) {
        bool allocates = executable->steps[i].type == CU_GRAPH_NODE_TYPE_MEM_ALLOC;
        if (!allocates && executable->steps[i].type != CU_GRAPH_NODE_TYPE_MEM_FREE) continue;
        fake_range *memory = range_find(executable->steps[i].operation.memory.address);
        if (memory == NULL) return VIOLATION(CUDA_ERROR_INVALID_VALUE, "a graph frees memory that is gone");
        memory->is_outstanding = allocates;
        memory->is_freed = false;
    }
    return CUDA_SUCCESS;
}

static fake_task *give_step(const fake_executable *executable, fake_step *step, const fake_stream *stream) {
    fake_operation operation = operation_copy(&step->operation);
    if (operation.in == NULL) operation.in = stream->in;
    fake_task *made = task_make(&operation);
    for (size_t i = 0; i < step->after_count; i++) task_after(made, executable->steps[step->after[i]].task);
    if (step->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT) task_after(made, step->event->recorded);
    if (step->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD) {
        task_drop(step->event->recorded);
        step->event->recorded = task_hold(made);
        step->event->is_recorded = true;
        step->event->capture_id = 0;
    }
    return made;
}

static CUresult launch(CUgraphExec handle, CUstream stream_handle) {
    CUresult error;
    fake_executable *executable = handle_object(HANDLE_EXECUTABLE, handle);
    if (executable == NULL) return CUDA_ERROR_INVALID_VALUE;
    fake_stream *stream = stream_of(stream_handle, &error);
    if (stream == NULL) return error;
    if ((error = capture_check_stream(stream)) != CUDA_SUCCESS) return error;
    if (stream->capture != NULL) return capture_check_wait(stream); /* not in this driver */
    if ((error = take_memory(executable)) != CUDA_SUCCESS) return error;
    executable->references += 2; /* the launch's, and this function's */
    for (size_t i = 0; i < executable->count; i++) {
        fake_operation mark = {.kind = OPERATION_MARK}, last = {.kind = OPERATION_LAST, .launched = executable};
        fake_step *step = &executable->steps[i];
        if (i == 0) {
            step->task = stream_prepare(stream, &mark);
            task_after(step->task, executable->last);
        } else if (i + 1 < executable->count) {
            step->task = give_step(executable, step, stream);
        } else {
            step->task = stream_prepare(stream, &last);
            for (size_t k = 0; k < step->after_count; k++)
                task_after(step->task, executable->steps[step->after[k]].task);
            task_drop(executable->last);
            executable->last = task_hold(step->task);
        }
        task_submit(step->task);
    }
    for (size_t i = 0; i < executable->count; i++) task_drop(executable->steps[i].task);
    executable_drop(executable);
    return CUDA_SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream) {
    ENTER(cuGraphLaunch);
    LEAVE(launch(handle, stream));
}

CUresult cuGraphUpload(CUgraphExec handle, CUstream stream) {
    ENTER(cuGraphUpload);
    CUresult error;
    if (handle_object(HANDLE_EXECUTABLE, handle) == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    LEAVE(stream_of(stream, &error) != NULL ? CUDA_SUCCESS : error);
}

static fake_step *step_of(const fake_executable *executable, CUgraphNode node, CUgraphNodeType type) {
    for (size_t i = 0; executable != NULL && node != NULL && i < executable->count; i++)
        if (executable->steps[i].node == node && executable->steps[i].type == type) return &executable->steps[i];
    return NULL;
}

/* Where an address lies, for comparing: a device's ordinal, or -1 for the host. */
static int home_of(CUdeviceptr address) {
    const fake_range *range = range_find(address);
    return range == NULL || range->kind == RANGE_HOST || range->kind == RANGE_REGISTERED ? -1 : range->on->ordinal;
}

/* Whether an executable's operation may become another of its kind. */
static bool may_become(const fake_operation *old, const fake_operation *new) {
    switch (old->kind) {
    case OPERATION_COPY:
        return old->copy.rows * old->copy.planes == 1 && new->copy.rows *new->copy.planes == 1 &&
               home_of(old->copy.to.address) == home_of(new->copy.to.address) &&
               home_of(old->copy.from.address) == home_of(new->copy.from.address);
    case OPERATION_FILL:
        return home_of(old->fill.to.address) == home_of(new->fill.to.address) &&
               old->fill.element == new->fill.element &&
               (old->fill.rows == 1 ? new->fill.rows == 1
                                    : old->fill.rows == new->fill.rows && old->fill.width == new->fill.width);
    default: return true;
    }
}

/* Takes over the new operation. */
static CUresult set_parameters(CUgraphExec handle, CUgraphNode node, CUgraphNodeType type, CUresult parsed,
                               fake_operation *new) {
    if (parsed != CUDA_SUCCESS) return parsed;
    fake_executable *executable = handle_object(HANDLE_EXECUTABLE, handle);
    fake_step *step = step_of(executable, node, type);
    if (step == NULL || !may_become(&step->operation, new)) {
        operation_end(new);
        return CUDA_ERROR_INVALID_VALUE;
    }
    operation_end(&step->operation);
    step->operation = *new;
    return CUDA_SUCCESS;
}

CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec handle, CUgraphNode node, const CUDA_MEMCPY3D *parameters,
                                        CUcontext in) {
    ENTER(cuGraphExecMemcpyNodeSetParams);
    fake_operation copy;
    CUresult parsed = copy_of(parameters, in, &copy);
    LEAVE(set_parameters(handle, node, CU_GRAPH_NODE_TYPE_MEMCPY, parsed, &copy));
}

CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec handle, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *parameters,
                                        CUcontext in) {
    ENTER(cuGraphExecMemsetNodeSetParams);
    fake_operation fill;
    CUresult parsed = fill_of(parameters, in, &fill);
    LEAVE(set_parameters(handle, node, CU_GRAPH_NODE_TYPE_MEMSET, parsed, &fill));
}

CUresult cuGraphExecHostNodeSetParams(CUgraphExec handle, CUgraphNode node, const CUDA_HOST_NODE_PARAMS *parameters) {
    ENTER(cuGraphExecHostNodeSetParams);
    fake_operation host;
    CUresult parsed = host_of(parameters, &host);
    LEAVE(set_parameters(handle, node, CU_GRAPH_NODE_TYPE_HOST, parsed, &host));
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec handle, CUgraphNode node,
                                           const CUDA_KERNEL_NODE_PARAMS *parameters) {
    ENTER(cuGraphExecKernelNodeSetParams_v2);
    fake_operation kernel;
    CUresult parsed = kernel_of(parameters, &kernel);
    LEAVE(set_parameters(handle, node, CU_GRAPH_NODE_TYPE_KERNEL, parsed, &kernel));
}

/* How a graph differs from an executable one in what an update cannot change. */
static CUgraphExecUpdateResult compare(const fake_executable *old, const fake_executable *new, CUgraphNode *at) {
    *at = NULL;
    if (old->count != new->count) return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
    for (size_t i = 0; i < old->count; i++) {
        const fake_step *before = &old->steps[i], *after = &new->steps[i];
        *at = after->node;
        if (before->after_count != after->after_count ||
            (before->after_count > 0 && memcmp(before->after, after->after, before->after_count * sizeof(size_t)) != 0))
            return CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        if (before->type != after->type) return CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED;
        if (before->type == CU_GRAPH_NODE_TYPE_MEM_ALLOC || before->type == CU_GRAPH_NODE_TYPE_MEM_FREE)
            return CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED;
        if (!may_become(&before->operation, &after->operation)) return CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED;
    }
    *at = NULL;
    return CU_GRAPH_EXEC_UPDATE_SUCCESS;
}

CUresult cuGraphExecUpdate_v2(CUgraphExec handle, CUgraph graph_handle, CUgraphExecUpdateResultInfo *info) {
    ENTER(cuGraphExecUpdate_v2);
    fake_executable *executable = handle_object(HANDLE_EXECUTABLE, handle);
    const fake_graph *graph = handle_object(HANDLE_GRAPH, graph_handle);
    if (executable == NULL || graph == NULL || info == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_executable *new = obtain(sizeof *new);
    new->references = 1;
    const fake_operation mark = {.kind = OPERATION_MARK};
    flatten(new, graph, add_step(new, NULL, &mark, NULL, 0));
    *info = (CUgraphExecUpdateResultInfo){0};
    info->result = compare(executable, new, &info->errorNode);
    if (info->result == CU_GRAPH_EXEC_UPDATE_SUCCESS) {
        fake_step *steps = executable->steps;
        executable->steps = new->steps;
        new->steps = steps;
    }
    CUresult result =
        info->result == CU_GRAPH_EXEC_UPDATE_SUCCESS ? CUDA_SUCCESS : CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    executable_drop(new);
    LEAVE(result);
}
