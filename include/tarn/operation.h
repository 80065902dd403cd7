/* Operations on tensors: each infers the shape and the type of its result, takes memory for it, and has the device of its operands
 * compute it in the order of a stream.
 *
 * **Results.** With `*inout_result` NULL a new tensor is made, and the caller owns one reference; otherwise the result is written into that
 * tensor, which has the result's shape and any type that the result's may be cast to as in PyTorch (not from floats to integers, nor from
 * anything else to bool). That is the `out` form, and with an operand for the result the in-place one. An elementwise operation may write over
 * an operand that has the same elements; any other overlap of the result with an operand, and a result that has one element at two places, is
 * INVALID_ARGUMENT.
 *
 * **Types** are promoted as in PyTorch: bool < integers < floats, by size within them, F16 with BF16 gives F32, U8 with I8 gives I16. A
 * tensor of rank 0 and a scalar only change the sort (bool, integer, float) of the result, not its size; a scalar has less to say than a tensor
 * of rank 0. DIVIDE and the functions of real numbers make F32 of integers; SUM and PROD make I64 of integers and bools; comparisons give BOOL.
 *
 * **Shapes** are broadcast by NumPy's rules.
 *
 * Errors: INVALID_ARGUMENT, naming the operation, shapes, types and devices: what does not fit, NULL, a released tensor (as far as
 * tarn_tensor_retain recognises it), a result that is read-only; NOT_SUPPORTED, naming operation, type and device: the type has no
 * meaning there, or the backend lacks it; what allocating answers; and from work that failed earlier. Nothing is changed then. Any thread; see tarn/tensor.h. */
#ifndef TARN_OPERATION_H
#define TARN_OPERATION_H

#include <tarn/backend_operations.h>
#include <tarn/tensor.h>

TARN_BEGIN_DECLARATIONS

/* All zero, or NULL in its place: the default. */
typedef struct tarn_operation_options {
    size_t struct_size;
    tarn_allocator *allocator; /* of new results; NULL: that of the first operand that has one */
    tarn_stream *stream;       /* NULL: the default stream of the operands' device */
} tarn_operation_options;

/* 1 when the device executes the operation on operands of the type, else 0: DIVIDE of I32 where it divides F32 and casts to it. */
TARN_API int tarn_device_supports(tarn_device *device, tarn_operation operation, tarn_element_type type);
/* The type that operands of two types are promoted to; F32 where one is no type. */
TARN_API tarn_element_type tarn_element_promote(tarn_element_type a, tarn_element_type b);

/* Elementwise. */

/* An operation of one operand: COPY … TANH. RELU of a bool is NOT_SUPPORTED, as is NEG. */
TARN_API tarn_status tarn_unary(tarn_operation operation, tarn_tensor *x, const tarn_operation_options *options,
                                tarn_tensor **inout_result);
/* Of two: ADD … LESS_EQUAL. Of bools ADD is or, MULTIPLY is and; SUBTRACT and POW are NOT_SUPPORTED. */
TARN_API tarn_status tarn_binary(tarn_operation operation, tarn_tensor *a, tarn_tensor *b,
                                 const tarn_operation_options *options, tarn_tensor **inout_result);
/* Of a tensor and a number, in either order. */
TARN_API tarn_status tarn_binary_scalar(tarn_operation operation, tarn_tensor *a, tarn_scalar b,
                                        const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_scalar_binary(tarn_operation operation, tarn_scalar a, tarn_tensor *b,
                                        const tarn_operation_options *options, tarn_tensor **inout_result);
/* `a` where `condition`, a BOOL, is true, else `b`. */
TARN_API tarn_status tarn_select(tarn_tensor *condition, tarn_tensor *a, tarn_tensor *b,
                                 const tarn_operation_options *options, tarn_tensor **inout_result);

/* The same by name. */
TARN_API tarn_status tarn_neg(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_exp(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_log(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_sqrt(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_sin(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_cos(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_relu(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_sigmoid(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_tanh(tarn_tensor *x, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_add(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                              tarn_tensor **inout_result);
TARN_API tarn_status tarn_subtract(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                                   tarn_tensor **inout_result);
TARN_API tarn_status tarn_multiply(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                                   tarn_tensor **inout_result);
TARN_API tarn_status tarn_divide(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                                 tarn_tensor **inout_result);
TARN_API tarn_status tarn_pow(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                              tarn_tensor **inout_result);
TARN_API tarn_status tarn_maximum(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                                  tarn_tensor **inout_result);
TARN_API tarn_status tarn_minimum(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                                  tarn_tensor **inout_result);

/* Reductions: SUM, MEAN, PROD, MAX or MIN over the dimensions in `dims`, each once, -1 being the last; `dim_count` 0: over all. With
 * `keeps_dims` they stay, with one element. Over no elements SUM is 0 and PROD 1; MEAN is NaN; MAX and MIN are INVALID_ARGUMENT. MEAN takes
 * floating types alone. */
TARN_API tarn_status tarn_reduce(tarn_operation operation, tarn_tensor *x, const int *dims, size_t dim_count,
                                 int keeps_dims, const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_sum(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                              const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_mean(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                               const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_prod(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                               const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_max(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                              const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_min(tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                              const tarn_operation_options *options, tarn_tensor **inout_result);

/* Linear algebra and neural networks. Types F16, BF16, F32 and F64; sums of F16 and BF16 are in F32. */

/* The matrix product of the last two dimensions, the others broadcast, as NumPy's matmul: a rank of 1 is a row on the left and a column
 * on the right, and that dimension is taken away again. `bias` (optional) is broadcast to the result and added; `activation`, COPY for
 * none, RELU, SIGMOID or TANH, follows. */
TARN_API tarn_status tarn_matmul(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                                 tarn_tensor **inout_result);
TARN_API tarn_status tarn_linear(tarn_tensor *a, tarn_tensor *b, tarn_tensor *bias, tarn_operation activation,
                                 const tarn_operation_options *options, tarn_tensor **inout_result);

typedef struct tarn_conv2d_options {
    size_t struct_size;
    /* Of height and width, each below 2^31; 0: the default in brackets. */
    int64_t stride[2];         /* 1 */
    int64_t padding[2];        /* 0 */
    int64_t dilation[2];       /* 1 */
    int64_t groups;            /* 1 */
    tarn_operation activation; /* COPY: none */
} tarn_conv2d_options;
/* `x` is [batch, channels, height, width], `weight` [filters, channels / groups, kernel height, kernel width], `bias` (optional)
 * [filters]. `conv2d` may be NULL. */
TARN_API tarn_status tarn_conv2d(tarn_tensor *x, tarn_tensor *weight, tarn_tensor *bias,
                                 const tarn_conv2d_options *conv2d, const tarn_operation_options *options,
                                 tarn_tensor **inout_result);

typedef struct tarn_max_pool2d_options {
    size_t struct_size;
    /* Of height and width, each below 2^31. */
    int64_t kernel[2];
    int64_t stride[2];   /* 0: the kernel's */
    int64_t padding[2];  /* at most half of the kernel */
    int64_t dilation[2]; /* 0: 1 */
} tarn_max_pool2d_options;
/* The greatest of each window of `x`, [batch, channels, height, width]. Also of integers. */
TARN_API tarn_status tarn_max_pool2d(tarn_tensor *x, const tarn_max_pool2d_options *pool,
                                     const tarn_operation_options *options, tarn_tensor **inout_result);
TARN_API tarn_status tarn_softmax(tarn_tensor *x, int dim, const tarn_operation_options *options,
                                  tarn_tensor **inout_result);
/* Over the last `normalized_dims` dimensions; `weight` and `bias` (each optional) have those. */
TARN_API tarn_status tarn_layer_norm(tarn_tensor *x, size_t normalized_dims, tarn_tensor *weight, tarn_tensor *bias,
                                     double epsilon, const tarn_operation_options *options, tarn_tensor **inout_result);
/* Slices of `x` along a dimension, by their numbers in `indices`, I32 or I64: NumPy's take, and the Gather of ONNX. Negative numbers count
 * from the end. One that is out of range is INVALID_ARGUMENT when the stream is next waited for, and its slice is 0; on the default stream
 * of a cpu device, at once. Any element type. */
TARN_API tarn_status tarn_gather(tarn_tensor *x, tarn_tensor *indices, int dim, const tarn_operation_options *options,
                                 tarn_tensor **inout_result);

TARN_END_DECLARATIONS

#endif
