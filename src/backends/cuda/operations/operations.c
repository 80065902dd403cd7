/* Which operations there are, and the way of each to the stream. */
#include "backends/cuda/operations/operations.h"

#include "backends/cuda/operations/blas.h"
#include "backends/cuda/operations/dnn.h"
#include "base/operation.h"

static int supports(tarn_backend_device *device, tarn_operation operation, tarn_element_type type) {
    (void)device;
    return base_operation_takes(operation, type);
}

static tarn_status enqueue_task(const cuda_task *task) {
    switch (task->operation->operation) {
    case TARN_OPERATION_PROGRAM: return cuda_program_enqueue(task);
    case TARN_OPERATION_MATMUL: return cuda_matmul_enqueue(task);
    case TARN_OPERATION_CONV2D: return cuda_conv2d_enqueue(task);
    case TARN_OPERATION_MAX_POOL2D: return cuda_max_pool2d_enqueue(task);
    case TARN_OPERATION_SOFTMAX: return cuda_softmax_enqueue(task);
    case TARN_OPERATION_LAYER_NORM: return cuda_layer_norm_enqueue(task);
    case TARN_OPERATION_GATHER: return cuda_gather_enqueue(task);
    default:
        return cuda_fail(TARN_NOT_SUPPORTED, "cuda devices do not compute %s",
                         tarn_operation_name(task->operation->operation));
    }
}

tarn_status cuda_operations_prepare(tarn_backend_device *device, const tarn_backend_operation *operation) {
    const cuda_task task = {.device = device, .operation = operation};
    if (operation->operation == TARN_OPERATION_MATMUL) cuda_blas_prepare(device);
    return operation->operation == TARN_OPERATION_CONV2D ? cuda_dnn_prepare(&task) : TARN_OK;
}

static tarn_status enqueue(tarn_backend_device *device, tarn_backend_stream *stream,
                           const tarn_backend_operation *operation) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    cuda_task task = {.device = device, .stream = stream, .operation = operation};
    status = cuda_workspace_find(device, stream, &task.workspace);
    if (status == TARN_OK) {
        pthread_mutex_lock(&task.workspace->lock);
        status = enqueue_task(&task);
        pthread_mutex_unlock(&task.workspace->lock);
    }
    cuda_leave(scope);
    return status;
}

const tarn_backend_operations cuda_operations = {
    .struct_size = sizeof(tarn_backend_operations),
    .supports = supports,
    .enqueue = enqueue,
};
