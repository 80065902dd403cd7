/* A step of a workload: operations one after the other, with one status for all of them.
 *
 * Each function gives a tensor that the step holds until it ends, or NULL once something has failed; NULL goes in and comes out, so that what is
 * written down is the computation. A step may be long: it holds as many tensors as there are operations. */
#ifndef WORKLOAD_STEP_H
#define WORKLOAD_STEP_H

#include <tarn/tarn.h>

#define STEP_TENSORS 96

typedef struct work_step {
    tarn_operation_options options;
    tarn_status status; /* of the first failure */
    tarn_tensor *held[STEP_TENSORS];
    size_t count;
} work_step;

void step_begin(work_step *step, tarn_allocator *allocator, tarn_stream *stream);
/* Releases what the step holds; the status of the first failure. */
tarn_status step_end(work_step *step);
/* Notes a status that came from elsewhere. */
void step_note(work_step *step, tarn_status status);
/* Has the step hold a tensor that was made with that status. */
tarn_tensor *step_hold(work_step *step, tarn_status status, tarn_tensor *tensor);

tarn_tensor *step_unary(work_step *step, tarn_operation operation, tarn_tensor *x);
tarn_tensor *step_binary(work_step *step, tarn_operation operation, tarn_tensor *a, tarn_tensor *b);
tarn_tensor *step_scalar(work_step *step, tarn_operation operation, tarn_tensor *a, double b);
/* The same with the result written over `a`. */
void step_binary_into(work_step *step, tarn_operation operation, tarn_tensor *a, tarn_tensor *b);
tarn_tensor *step_reduce(work_step *step, tarn_operation operation, tarn_tensor *x, int dim, int keeps_dims);
/* Over all dimensions. */
tarn_tensor *step_reduce_all(work_step *step, tarn_operation operation, tarn_tensor *x);
tarn_tensor *step_linear(work_step *step, tarn_tensor *a, tarn_tensor *b, tarn_tensor *bias, tarn_operation activation);
tarn_tensor *step_softmax(work_step *step, tarn_tensor *x, int dim);
tarn_tensor *step_layer_norm(work_step *step, tarn_tensor *x, tarn_tensor *weight, tarn_tensor *bias);
tarn_tensor *step_gather(work_step *step, tarn_tensor *x, tarn_tensor *indices);
/* A 3 × 3 convolution that keeps height and width, with RELU, and a maximum over windows of 2 × 2. */
tarn_tensor *step_conv2d(work_step *step, tarn_tensor *x, tarn_tensor *weight, tarn_tensor *bias);
tarn_tensor *step_max_pool2d(work_step *step, tarn_tensor *x);
tarn_tensor *step_transpose(work_step *step, tarn_tensor *x, const int *order);
/* One of the first dimension, which is taken away. */
tarn_tensor *step_part(work_step *step, tarn_tensor *x, int64_t place);
tarn_tensor *step_reshape(work_step *step, tarn_tensor *x, const int64_t *dims, size_t rank);
tarn_tensor *step_cast(work_step *step, tarn_tensor *x, tarn_element_type type);

/* Normal random numbers, each time others: `number` goes on by one. */
tarn_tensor *step_random(work_step *step, const tarn_shape *shape, uint64_t seed, uint64_t *number, double deviation);
tarn_tensor *step_zeros(work_step *step, const tarn_shape *shape);
/* The sum of squares of all elements, as a number. Waits for the stream. */
double step_checksum(work_step *step, tarn_tensor *x);

#endif
