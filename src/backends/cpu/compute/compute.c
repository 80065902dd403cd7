/* Which function computes which operation, and on which types. */
#include "backends/cpu/compute/compute.h"

#include "backends/cpu/compute/onednn.h"
#include "backends/cpu/compute/scratch.h"
#include "backends/cpu/cpu_internal.h"

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

int cpu_compute_supports(tarn_operation operation, tarn_element_type type) {
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

tarn_status cpu_compute_run(const tarn_backend_operation *operation) {
    switch (operation->operation) {
    case TARN_OPERATION_PROGRAM: return cpu_program_run(operation);
    case TARN_OPERATION_MATMUL: return cpu_matmul_run(operation);
    case TARN_OPERATION_CONV2D: return cpu_conv2d_run(operation);
    case TARN_OPERATION_MAX_POOL2D: return cpu_max_pool2d_run(operation);
    case TARN_OPERATION_SOFTMAX: return cpu_softmax_run(operation);
    case TARN_OPERATION_LAYER_NORM: return cpu_layer_norm_run(operation);
    case TARN_OPERATION_GATHER: return cpu_gather_run(operation);
    default:
        return cpu_fail(TARN_NOT_SUPPORTED, "the cpu device does not compute %s",
                        tarn_operation_name(operation->operation));
    }
}

void cpu_compute_trim(void) {
    cpu_onednn_trim();
    cpu_scratch_trim();
}
