/* Which function computes which operation. */
#include "backends/cpu/compute/compute.h"

#include "backends/cpu/compute/onednn.h"
#include "backends/cpu/compute/scratch.h"
#include "backends/cpu/cpu_internal.h"

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
