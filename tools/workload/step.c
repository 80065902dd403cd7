/* Steps: bookkeeping around the operations of the library. */
#include "workload/step.h"

#include "base/status.h"

void step_begin(work_step *step, tarn_allocator *allocator, tarn_stream *stream) {
    step->options =
        (tarn_operation_options){.struct_size = sizeof step->options, .allocator = allocator, .stream = stream};
    step->status = TARN_OK;
    step->count = 0;
}

void step_note(work_step *step, tarn_status status) {
    if (step->status == TARN_OK) step->status = status;
}

tarn_status step_end(work_step *step) {
    while (step->count > 0) step_note(step, tarn_tensor_release(step->held[--step->count]));
    return step->status;
}

tarn_tensor *step_hold(work_step *step, tarn_status status, tarn_tensor *tensor) {
    step_note(step, status);
    if (status != TARN_OK) return NULL;
    if (step->count == STEP_TENSORS) {
        tarn_tensor_release(tensor);
        step_note(step, base_fail(TARN_INTERNAL, "a step of a workload has more than %d tensors", STEP_TENSORS));
        return NULL;
    }
    step->held[step->count++] = tensor;
    return tensor;
}

tarn_tensor *step_unary(work_step *step, tarn_operation operation, tarn_tensor *x) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_unary(operation, x, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_binary(work_step *step, tarn_operation operation, tarn_tensor *a, tarn_tensor *b) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_binary(operation, a, b, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_scalar(work_step *step, tarn_operation operation, tarn_tensor *a, double b) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_binary_scalar(operation, a, tarn_scalar_float(b), &step->options, &result);
    return step_hold(step, status, result);
}

void step_binary_into(work_step *step, tarn_operation operation, tarn_tensor *a, tarn_tensor *b) {
    if (step->status == TARN_OK) step_note(step, tarn_binary(operation, a, b, &step->options, &a));
}

tarn_tensor *step_reduce(work_step *step, tarn_operation operation, tarn_tensor *x, int dim, int keeps_dims) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_reduce(operation, x, &dim, 1, keeps_dims, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_reduce_all(work_step *step, tarn_operation operation, tarn_tensor *x) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_reduce(operation, x, NULL, 0, 0, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_linear(work_step *step, tarn_tensor *a, tarn_tensor *b, tarn_tensor *bias,
                         tarn_operation activation) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_linear(a, b, bias, activation, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_softmax(work_step *step, tarn_tensor *x, int dim) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_softmax(x, dim, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_layer_norm(work_step *step, tarn_tensor *x, tarn_tensor *weight, tarn_tensor *bias) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_layer_norm(x, 1, weight, bias, 1e-5, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_gather(work_step *step, tarn_tensor *x, tarn_tensor *indices) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_gather(x, indices, 0, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_conv2d(work_step *step, tarn_tensor *x, tarn_tensor *weight, tarn_tensor *bias) {
    const tarn_conv2d_options conv2d = {
        .struct_size = sizeof conv2d, .padding = {1, 1}, .activation = TARN_OPERATION_RELU};
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_conv2d(x, weight, bias, &conv2d, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_max_pool2d(work_step *step, tarn_tensor *x) {
    const tarn_max_pool2d_options pool = {.struct_size = sizeof pool, .kernel = {2, 2}};
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_max_pool2d(x, &pool, &step->options, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_transpose(work_step *step, tarn_tensor *x, const int *order) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_tensor_transpose(x, order, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_part(work_step *step, tarn_tensor *x, int64_t place) {
    tarn_tensor *slice = NULL, *part = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_tensor_slice(x, 0, place, place + 1, 1, &slice);
    slice = step_hold(step, status, slice);
    if (slice == NULL) return NULL;
    const tarn_shape *shape = tarn_tensor_shape(slice);
    status = tarn_tensor_view(slice, shape->dims + 1, shape->rank - 1, &part);
    return step_hold(step, status, part);
}

tarn_tensor *step_reshape(work_step *step, tarn_tensor *x, const int64_t *dims, size_t rank) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_tensor_reshape(x, dims, rank, step->options.stream, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_cast(work_step *step, tarn_tensor *x, tarn_element_type type) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status = tarn_tensor_cast(x, type, step->options.stream, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_random(work_step *step, const tarn_shape *shape, uint64_t seed, uint64_t *number, double deviation) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    /* Far apart, so that the seeds of two runs have no numbers in common. */
    uint64_t own = seed * UINT64_C(0x9e3779b97f4a7c15) + (*number)++;
    tarn_status status = tarn_tensor_random_normal(step->options.allocator, shape, TARN_ELEMENT_F32, own, 0, deviation,
                                                   step->options.stream, &result);
    return step_hold(step, status, result);
}

tarn_tensor *step_zeros(work_step *step, const tarn_shape *shape) {
    tarn_tensor *result = NULL;
    if (step->status != TARN_OK) return NULL;
    tarn_status status =
        tarn_tensor_zeros(step->options.allocator, shape, TARN_ELEMENT_F32, step->options.stream, &result);
    return step_hold(step, status, result);
}

double step_checksum(work_step *step, tarn_tensor *x) {
    tarn_scalar sum = {.kind = TARN_SCALAR_FLOAT};
    tarn_tensor *total = step_reduce_all(step, TARN_OPERATION_SUM, step_binary(step, TARN_OPERATION_MULTIPLY, x, x));
    if (step->status == TARN_OK) step_note(step, tarn_tensor_item(total, step->options.stream, &sum));
    return sum.floating;
}
