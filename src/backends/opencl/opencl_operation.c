/* Which operations there are, and which way each goes. */
#include "backends/opencl/opencl_program.h"

static bool is_float(tarn_element_type type) { return type <= TARN_ELEMENT_F64; }

static int supports_step(tarn_operation operation, tarn_element_type type) {
    switch (operation) {
    case TARN_OPERATION_EXP:
    case TARN_OPERATION_LOG:
    case TARN_OPERATION_SQRT:
    case TARN_OPERATION_SIN:
    case TARN_OPERATION_COS:
    case TARN_OPERATION_SIGMOID:
    case TARN_OPERATION_TANH:
    case TARN_OPERATION_MEAN: return is_float(type);
    case TARN_OPERATION_RANDOM: return type == TARN_ELEMENT_F32 || type == TARN_ELEMENT_F64;
    case TARN_OPERATION_NEG:
    case TARN_OPERATION_RELU:
    case TARN_OPERATION_SUBTRACT:
    case TARN_OPERATION_DIVIDE:
    case TARN_OPERATION_POW:
    case TARN_OPERATION_SUM:
    case TARN_OPERATION_PROD: return type != TARN_ELEMENT_BOOL;
    default: return 1;
    }
}

static int supports(tarn_backend_device *device, tarn_operation operation, tarn_element_type type) {
    if ((unsigned)type >= TARN_ELEMENT_TYPE_COUNT || (type == TARN_ELEMENT_F64 && !device->has_f64)) return 0;
    if ((unsigned)operation <= TARN_OPERATION_MIN) return supports_step(operation, type);
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

static tarn_status enqueue(tarn_backend_device *device, tarn_backend_stream *stream,
                           const tarn_backend_operation *operation) {
    if (operation->operation == TARN_OPERATION_PROGRAM) return opencl_program_run(device, stream, operation);
    return opencl_neural_run(device, stream, operation);
}

const tarn_backend_operations opencl_operations = {
    .struct_size = sizeof(tarn_backend_operations),
    .supports = supports,
    .enqueue = enqueue,
};
