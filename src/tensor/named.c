/* Elementwise operations and reductions by their names. */
#include <tarn/operation.h>

tarn_status tarn_neg(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_unary(TARN_OPERATION_NEG, x, options, inout_result);
}

tarn_status tarn_exp(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_unary(TARN_OPERATION_EXP, x, options, inout_result);
}

tarn_status tarn_log(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_unary(TARN_OPERATION_LOG, x, options, inout_result);
}

tarn_status tarn_sqrt(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_unary(TARN_OPERATION_SQRT, x, options, inout_result);
}

tarn_status tarn_sin(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_unary(TARN_OPERATION_SIN, x, options, inout_result);
}

tarn_status tarn_cos(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_unary(TARN_OPERATION_COS, x, options, inout_result);
}

tarn_status tarn_relu(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_unary(TARN_OPERATION_RELU, x, options, inout_result);
}

tarn_status tarn_sigmoid(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_unary(TARN_OPERATION_SIGMOID, x, options, inout_result);
}

tarn_status tarn_tanh(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_unary(TARN_OPERATION_TANH, x, options, inout_result);
}

tarn_status tarn_add(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                     tarn_tensor **inout_result) {
    return tarn_binary(TARN_OPERATION_ADD, a, b, options, inout_result);
}

tarn_status tarn_subtract(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                          tarn_tensor **inout_result) {
    return tarn_binary(TARN_OPERATION_SUBTRACT, a, b, options, inout_result);
}

tarn_status tarn_multiply(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                          tarn_tensor **inout_result) {
    return tarn_binary(TARN_OPERATION_MULTIPLY, a, b, options, inout_result);
}

tarn_status tarn_divide(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                        tarn_tensor **inout_result) {
    return tarn_binary(TARN_OPERATION_DIVIDE, a, b, options, inout_result);
}

tarn_status tarn_pow(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                     tarn_tensor **inout_result) {
    return tarn_binary(TARN_OPERATION_POW, a, b, options, inout_result);
}

tarn_status tarn_maximum(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                         tarn_tensor **inout_result) {
    return tarn_binary(TARN_OPERATION_MAXIMUM, a, b, options, inout_result);
}

tarn_status tarn_minimum(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                         tarn_tensor **inout_result) {
    return tarn_binary(TARN_OPERATION_MINIMUM, a, b, options, inout_result);
}

tarn_status tarn_sum(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                     const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_reduce(TARN_OPERATION_SUM, x, dims, dim_count, keeps_dims, options, inout_result);
}

tarn_status tarn_mean(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                      const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_reduce(TARN_OPERATION_MEAN, x, dims, dim_count, keeps_dims, options, inout_result);
}

tarn_status tarn_prod(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                      const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_reduce(TARN_OPERATION_PROD, x, dims, dim_count, keeps_dims, options, inout_result);
}

tarn_status tarn_max(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                     const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_reduce(TARN_OPERATION_MAX, x, dims, dim_count, keeps_dims, options, inout_result);
}

tarn_status tarn_min(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                     const tarn_operation_options *options, tarn_tensor **inout_result) {
    return tarn_reduce(TARN_OPERATION_MIN, x, dims, dim_count, keeps_dims, options, inout_result);
}
