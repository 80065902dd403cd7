/* What follows a matrix product or a convolution in one pass. */
#ifndef CPU_COMPUTE_ACTIVATE_H
#define CPU_COMPUTE_ACTIVATE_H

#include "backends/cpu/compute/kernels.h"

/* RELU, SIGMOID or TANH of each lane, in place; COPY leaves them. */
static inline void cpu_activate(tarn_operation activation, cpu_lane lane, size_t count, void *lanes) {
    if (activation != TARN_OPERATION_COPY)
        cpu_step_kernel(cpu_kernels_get(), activation, lane)(lanes, lanes, NULL, NULL, count);
}

#endif
