/* Matrix products by cuBLASLt. */
#ifndef CUDA_OPERATIONS_BLAS_H
#define CUDA_OPERATIONS_BLAS_H

#include "backends/cuda/operations/operations.h"

/* Enqueues the product of a task where the library is there and takes operands of this form: *out_is_done. What it does not take is not
 * a failure. */
tarn_status cuda_blas_matmul(const cuda_task *task, bool *out_is_done);
/* Starts the library, where it is there and does; what does not start is told. In the device's scope. */
void cuda_blas_prepare(tarn_backend_device *device);
void cuda_blas_end(cuda_operations_state *state);

#endif
