/* Convolutions by cuDNN. */
#ifndef CUDA_OPERATIONS_DNN_H
#define CUDA_OPERATIONS_DNN_H

#include "backends/cuda/operations/operations.h"

/* Enqueues the convolution of a task where the library is there and takes operands of this form: *out_is_done. What it does not take is
 * not a failure. OUT_OF_MEMORY; INTERNAL with cuDNN's name and number of the error. */
tarn_status cuda_dnn_conv2d(const cuda_task *task, bool *out_is_done);
/* Starts the library for the convolution of a task, where it is there and takes that; what does not start is told. OUT_OF_MEMORY. In the
 * device's scope. */
tarn_status cuda_dnn_prepare(const cuda_task *task);
/* In the device's scope. */
void cuda_dnn_end(cuda_operations_state *state);

#endif
