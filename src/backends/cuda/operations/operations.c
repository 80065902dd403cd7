/* Which operations there are, on which types, and the way of each to the stream. */
#include "backends/cuda/operations/operations.h"

static int is_float(tarn_element_type type) { return type <= TARN_ELEMENT_F64; }

_Static_assert(TARN_ELEMENT_F32 == 0 && TARN_ELEMENT_F64 == 3, "floating types come first");

/* A step or a reduction. */
static int supports_in_programs(tarn_operation operation, tarn_element_type type) {
    switch (operation) {
    case TARN_OPERATION_EXP:
    case TARN_OPERATION_LOG:
    case TARN_OPERATION_SQRT:
    case TARN_OPERATION_SIN:
    case TARN_OPERATION_COS:
    case TARN_OPERATION_SIGMOID:
    case TARN_OPERATION_TANH:
    case TARN_OPERATION_MEAN: return is_float(type);
    case TARN_OPERATION_NEG:
    case TARN_OPERATION_RELU:
    case TARN_OPERATION_SUBTRACT:
    case TARN_OPERATION_DIVIDE:
    case TARN_OPERATION_POW:
    case TARN_OPERATION_SUM:
    case TARN_OPERATION_PROD: return type != TARN_ELEMENT_BOOL;
    case TARN_OPERATION_RANDOM: return type == TARN_ELEMENT_F32 || type == TARN_ELEMENT_F64;
    default: return 1;
    }
}

static int supports(tarn_backend_device *device, tarn_operation operation, tarn_element_type type) {
    (void)device;
    if ((unsigned)type >= TARN_ELEMENT_TYPE_COUNT) return 0;
    if ((unsigned)operation <= TARN_OPERATION_MIN) return supports_in_programs(operation, type);
    switch (operation) {
    case TARN_OPERATION_MATMUL:
    case TARN_OPERATION_CONV2D:
    case TARN_OPERATION_SOFTMAX:
    case TARN_OPERATION_LAYER_NORM: return is_float(type);
    case TARN_OPERATION_MAX_POOL2D: return type != TARN_ELEMENT_BOOL;
    case TARN_OPERATION_GATHER:
    case TARN_OPERATION_PROGRAM: return 1;
    default: return 0;
    }
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
