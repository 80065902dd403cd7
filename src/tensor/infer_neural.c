/* Inference for matrix products and the operations of neural networks. Their operands have one type, a floating one but for pooling and
 * gathering. */
#include "tensor/infer.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "base/structure.h"
#include "tensor/tensor.h"

static tarn_status refuse_shapes(tarn_operation operation, const char *what, const tarn_shape *a, const tarn_shape *b) {
    char texts[2][TENSOR_SHAPE_TEXT];
    tarn_shape_to_string(a, texts[0], sizeof texts[0]);
    tarn_shape_to_string(b, texts[1], sizeof texts[1]);
    return base_fail(TARN_INVALID_ARGUMENT, "%s: %s, %s and %s", tarn_operation_name(operation), what, texts[0],
                     texts[1]);
}

static tarn_status refuse_shape(tarn_operation operation, const char *what, const tarn_shape *shape) {
    char text[TENSOR_SHAPE_TEXT];
    tarn_shape_to_string(shape, text, sizeof text);
    return base_fail(TARN_INVALID_ARGUMENT, "%s: %s, and not %s", tarn_operation_name(operation), what, text);
}

/* One floating type for all; the last two may be NULL. */
static tarn_status check_types(tarn_operation operation, const tensor_argument *x, const tensor_argument *weight,
                               const tensor_argument *bias) {
    tarn_element_type computed;
    tarn_status status = tensor_infer_type(operation, x->type, &computed);
    if (status == TARN_OK && weight != NULL) status = tensor_infer_same_type(operation, x, weight);
    if (status == TARN_OK && bias != NULL) status = tensor_infer_same_type(operation, x, bias);
    return status;
}

static tarn_status check_activation(tarn_operation operation, tarn_operation activation) {
    if (activation == TARN_OPERATION_COPY || activation == TARN_OPERATION_RELU ||
        activation == TARN_OPERATION_SIGMOID || activation == TARN_OPERATION_TANH)
        return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: %s (%d) cannot be its activation; copy, relu, sigmoid and tanh can",
                     tarn_operation_name(operation), tarn_operation_name(activation), (int)activation);
}

static tarn_status finish(tarn_operation operation, tensor_inferred *inferred, tensor_inferred *out_inferred) {
    tarn_status status = tensor_infer_finish(operation, inferred);
    if (status == TARN_OK) *out_inferred = *inferred;
    return status;
}

/* The shape without its last dimensions. */
static tarn_shape leading_dims(const tarn_shape *shape, size_t last) {
    tarn_shape leading = *shape;
    leading.rank = shape->rank > last ? shape->rank - last : 0;
    return leading;
}

tarn_status tensor_infer_matmul(const tensor_argument *a, const tensor_argument *b, const tensor_argument *bias,
                                const tarn_matmul_attributes *attributes, tensor_inferred *out_inferred) {
    const tarn_operation operation = TARN_OPERATION_MATMUL;
    tarn_status status = check_types(operation, a, b, bias);
    if (status == TARN_OK) status = check_activation(operation, attributes->activation);
    if (status != TARN_OK) return status;
    size_t a_rank = a->shape->rank, b_rank = b->shape->rank;
    if (a_rank == 0 || b_rank == 0)
        return refuse_shapes(operation, "each operand has at least one dimension", a->shape, b->shape);
    if (a->shape->dims[a_rank - 1] != b->shape->dims[b_rank == 1 ? 0 : b_rank - 2])
        return refuse_shapes(operation, "the inner dimensions differ", a->shape, b->shape);
    tensor_inferred inferred = {.type = a->type, .computed = a->type};
    const tarn_shape a_batch = leading_dims(a->shape, 2), b_batch = leading_dims(b->shape, 2);
    status = tensor_infer_broadcast(operation, &a_batch, &b_batch, &inferred.shape);
    if (status != TARN_OK)
        return refuse_shapes(operation, "the leading dimensions do not broadcast", a->shape, b->shape);
    tarn_shape *shape = &inferred.shape;
    if (a_rank > 1) shape->dims[shape->rank++] = a->shape->dims[a_rank - 2];
    if (b_rank > 1) shape->dims[shape->rank++] = b->shape->dims[b_rank - 1];
    if (bias != NULL) {
        tarn_shape both;
        status = tensor_infer_broadcast(operation, bias->shape, shape, &both);
        if (status != TARN_OK || !tarn_shape_equals(&both, shape))
            return refuse_shapes(operation, "the bias does not broadcast to the product", bias->shape, shape);
    }
    return finish(operation, &inferred, out_inferred);
}

static const char *const sides[2] = {"height", "width"};

static tarn_status check_pair(tarn_operation operation, const char *what, const int64_t *pair, int64_t minimum) {
    for (int i = 0; i < 2; i++) {
        if (pair[i] >= minimum) continue;
        return base_fail(TARN_INVALID_ARGUMENT, "%s: a %s of %" PRId64 " along the %s; at least %" PRId64,
                         tarn_operation_name(operation), what, pair[i], sides[i], minimum);
    }
    return TARN_OK;
}

/* Of strides, paddings, dilations and kernels: no place of a window is beyond 64 bits then. */
static const int64_t greatest_number = INT32_MAX;

/* How many windows fit: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1. */
static tarn_status count_windows(tarn_operation operation, int side, int64_t size, int64_t kernel, int64_t stride,
                                 int64_t padding, int64_t dilation, int64_t *out_count) {
    int64_t padded, reach;
    bool fits = !__builtin_mul_overflow(padding, 2, &padded) && !__builtin_add_overflow(padded, size, &padded) &&
                !__builtin_mul_overflow(kernel - 1, dilation, &reach) && !__builtin_add_overflow(reach, 1, &reach);
    if (!fits || reach > padded) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "%s: a kernel of %" PRId64 " with dilation %" PRId64 " does not fit into a %s of %" PRId64
                         " with padding %" PRId64,
                         tarn_operation_name(operation), kernel, dilation, sides[side], size, padding);
    }
    if (kernel > greatest_number || stride > greatest_number || padding > greatest_number ||
        dilation > greatest_number) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "%s: a kernel of %" PRId64 ", stride %" PRId64 ", padding %" PRId64 " and dilation %" PRId64
                         " along the %s; each is below 2^31",
                         tarn_operation_name(operation), kernel, stride, padding, dilation, sides[side]);
    }
    *out_count = (padded - reach) / stride + 1;
    return TARN_OK;
}

/* Images have four dimensions, of which only the number of them may be 0. */
static tarn_status check_images(tarn_operation operation, const tarn_shape *shape) {
    if (shape->rank == 4 && shape->dims[1] > 0 && shape->dims[2] > 0 && shape->dims[3] > 0) return TARN_OK;
    return refuse_shape(operation, "the input has [batch, channels, height, width], of which only the batch may be 0",
                        shape);
}

static tarn_status check_filters(const tarn_shape *x, const tarn_shape *weight, const tarn_shape *bias,
                                 int64_t groups) {
    const tarn_operation operation = TARN_OPERATION_CONV2D;
    if (weight->rank != 4 || weight->dims[2] < 1 || weight->dims[3] < 1)
        return refuse_shape(operation, "the weights have [filters, channels / groups, height, width]", weight);
    if (x->dims[1] % groups != 0 || weight->dims[0] % groups != 0 || weight->dims[1] != x->dims[1] / groups) {
        char texts[2][TENSOR_SHAPE_TEXT];
        tarn_shape_to_string(x, texts[0], sizeof texts[0]);
        tarn_shape_to_string(weight, texts[1], sizeof texts[1]);
        return base_fail(TARN_INVALID_ARGUMENT,
                         "conv2d: the channels of an input of %s and weights of %s do not fit in %" PRId64 " groups",
                         texts[0], texts[1], groups);
    }
    if (bias != NULL && (bias->rank != 1 || bias->dims[0] != weight->dims[0]))
        return refuse_shapes(operation, "the bias has one element for each filter", bias, weight);
    return TARN_OK;
}

tarn_status tensor_infer_conv2d(const tensor_argument *x, const tensor_argument *weight, const tensor_argument *bias,
                                const tarn_conv2d_attributes *attributes, tensor_inferred *out_inferred) {
    const tarn_operation operation = TARN_OPERATION_CONV2D;
    tarn_status status = check_types(operation, x, weight, bias);
    if (status == TARN_OK) status = check_activation(operation, attributes->activation);
    if (status == TARN_OK) status = check_pair(operation, "stride", attributes->stride, 1);
    if (status == TARN_OK) status = check_pair(operation, "padding", attributes->padding, 0);
    if (status == TARN_OK) status = check_pair(operation, "dilation", attributes->dilation, 1);
    if (status == TARN_OK && attributes->groups < 1)
        status = base_fail(TARN_INVALID_ARGUMENT, "conv2d: %" PRId64 " groups; at least 1", attributes->groups);
    if (status == TARN_OK) status = check_images(operation, x->shape);
    if (status == TARN_OK)
        status = check_filters(x->shape, weight->shape, bias != NULL ? bias->shape : NULL, attributes->groups);
    tensor_inferred inferred = {.type = x->type, .computed = x->type, .shape = {.rank = 4}};
    for (int i = 0; i < 2 && status == TARN_OK; i++) {
        status = count_windows(operation, i, x->shape->dims[2 + i], weight->shape->dims[2 + i], attributes->stride[i],
                               attributes->padding[i], attributes->dilation[i], &inferred.shape.dims[2 + i]);
    }
    if (status != TARN_OK) return status;
    inferred.shape.dims[0] = x->shape->dims[0];
    inferred.shape.dims[1] = weight->shape->dims[0];
    return finish(operation, &inferred, out_inferred);
}

tarn_status tensor_infer_max_pool2d(const tensor_argument *x, const tarn_pool2d_attributes *attributes,
                                    tensor_inferred *out_inferred) {
    const tarn_operation operation = TARN_OPERATION_MAX_POOL2D;
    tarn_element_type computed;
    tarn_status status = tensor_infer_type(operation, x->type, &computed);
    if (status == TARN_OK) status = check_pair(operation, "kernel", attributes->kernel, 1);
    if (status == TARN_OK) status = check_pair(operation, "stride", attributes->stride, 1);
    if (status == TARN_OK) status = check_pair(operation, "padding", attributes->padding, 0);
    if (status == TARN_OK) status = check_pair(operation, "dilation", attributes->dilation, 1);
    if (status == TARN_OK) status = check_images(operation, x->shape);
    tensor_inferred inferred = {.type = x->type, .computed = x->type, .shape = {.rank = 4}};
    for (int i = 0; i < 2 && status == TARN_OK; i++) {
        if (attributes->padding[i] > attributes->kernel[i] / 2) {
            return base_fail(TARN_INVALID_ARGUMENT,
                             "max_pool2d: a padding of %" PRId64
                             " along the %s is more than half of the kernel's %" PRId64,
                             attributes->padding[i], sides[i], attributes->kernel[i]);
        }
        status = count_windows(operation, i, x->shape->dims[2 + i], attributes->kernel[i], attributes->stride[i],
                               attributes->padding[i], attributes->dilation[i], &inferred.shape.dims[2 + i]);
    }
    if (status != TARN_OK) return status;
    inferred.shape.dims[0] = x->shape->dims[0];
    inferred.shape.dims[1] = x->shape->dims[1];
    return finish(operation, &inferred, out_inferred);
}

tarn_status tensor_infer_softmax(const tensor_argument *x, const tarn_softmax_attributes *attributes,
                                 tensor_inferred *out_inferred) {
    const tarn_operation operation = TARN_OPERATION_SOFTMAX;
    tarn_status status = check_types(operation, x, NULL, NULL);
    if (status != TARN_OK) return status;
    if (attributes->axis >= x->shape->rank) return refuse_shape(operation, "the input has the dimension", x->shape);
    tensor_inferred inferred = {.type = x->type, .computed = x->type, .shape = *x->shape};
    return finish(operation, &inferred, out_inferred);
}

tarn_status tensor_infer_layer_norm(const tensor_argument *x, const tensor_argument *weight,
                                    const tensor_argument *bias, const tarn_layer_norm_attributes *attributes,
                                    tensor_inferred *out_inferred) {
    const tarn_operation operation = TARN_OPERATION_LAYER_NORM;
    tarn_status status = check_types(operation, x, weight, bias);
    if (status != TARN_OK) return status;
    size_t count = attributes->normalized_dims, rank = x->shape->rank;
    if (count < 1 || count > rank) {
        char text[TENSOR_SHAPE_TEXT];
        tarn_shape_to_string(x->shape, text, sizeof text);
        return base_fail(TARN_INVALID_ARGUMENT, "layer_norm: over the last %zu dimensions of %s", count, text);
    }
    if (!(attributes->epsilon >= 0))
        return base_fail(TARN_INVALID_ARGUMENT, "layer_norm: an epsilon of %g is not 0 or more", attributes->epsilon);
    tarn_shape normalized = {.rank = count};
    memcpy(normalized.dims, x->shape->dims + (rank - count), count * sizeof normalized.dims[0]);
    const tensor_argument *const parameters[2] = {weight, bias};
    for (int i = 0; i < 2; i++) {
        if (parameters[i] == NULL || tarn_shape_equals(parameters[i]->shape, &normalized)) continue;
        return refuse_shapes(
            operation, i == 0 ? "the weight has the normalized dimensions" : "the bias has the normalized dimensions",
            parameters[i]->shape, &normalized);
    }
    tensor_inferred inferred = {.type = x->type, .computed = x->type, .shape = *x->shape};
    return finish(operation, &inferred, out_inferred);
}

tarn_status tensor_infer_gather(const tensor_argument *x, const tensor_argument *indices,
                                const tarn_gather_attributes *attributes, tensor_inferred *out_inferred) {
    const tarn_operation operation = TARN_OPERATION_GATHER;
    const tarn_shape *from = x->shape, *places = indices->shape;
    if (indices->type != TARN_ELEMENT_I32 && indices->type != TARN_ELEMENT_I64)
        return base_fail(TARN_INVALID_ARGUMENT, "gather: indices of type %s; i32 and i64 serve",
                         tarn_element_name(indices->type));
    if (attributes->axis >= from->rank) return refuse_shape(operation, "the input has the dimension", from);
    if (from->rank - 1 + places->rank > TARN_MAXIMUM_RANK)
        return refuse_shapes(operation, "the result would have too many dimensions", from, places);
    size_t axis = attributes->axis;
    tensor_inferred inferred = {.type = x->type, .computed = x->type, .shape = {.rank = from->rank - 1 + places->rank}};
    int64_t *dims = inferred.shape.dims;
    memcpy(dims, from->dims, axis * sizeof *dims);
    memcpy(dims + axis, places->dims, places->rank * sizeof *dims);
    memcpy(dims + axis + places->rank, from->dims + axis + 1, (from->rank - axis - 1) * sizeof *dims);
    tarn_status status = tensor_infer_finish(operation, &inferred);
    if (status != TARN_OK) return status;
    if (inferred.elements != 0 && from->dims[axis] == 0)
        return refuse_shapes(operation, "there is nothing to take", from, places);
    *out_inferred = inferred;
    return TARN_OK;
}

/* 0 stands for the default. */
static void fill_in(int64_t *pair, int64_t height, int64_t width) {
    if (pair[0] == 0) pair[0] = height;
    if (pair[1] == 0) pair[1] = width;
}

tarn_status tensor_infer_conv2d_attributes(const tarn_conv2d_options *options, bool has_bias,
                                           tarn_conv2d_attributes *out_attributes) {
    tarn_conv2d_options read;
    tarn_status status = base_read_structure("conv2d", options, &read, sizeof read);
    if (status != TARN_OK) return status;
    fill_in(read.stride, 1, 1);
    fill_in(read.dilation, 1, 1);
    *out_attributes = (tarn_conv2d_attributes){.stride = {read.stride[0], read.stride[1]},
                                               .padding = {read.padding[0], read.padding[1]},
                                               .dilation = {read.dilation[0], read.dilation[1]},
                                               .groups = read.groups != 0 ? read.groups : 1,
                                               .has_bias = has_bias,
                                               .activation = read.activation};
    return TARN_OK;
}

tarn_status tensor_infer_pool2d_attributes(const tarn_max_pool2d_options *options,
                                           tarn_pool2d_attributes *out_attributes) {
    if (options == NULL) return base_fail(TARN_INVALID_ARGUMENT, "max_pool2d: the options are NULL");
    tarn_max_pool2d_options read;
    tarn_status status = base_read_structure("max_pool2d", options, &read, sizeof read);
    if (status != TARN_OK) return status;
    fill_in(read.stride, read.kernel[0], read.kernel[1]);
    fill_in(read.dilation, 1, 1);
    *out_attributes = (tarn_pool2d_attributes){.kernel = {read.kernel[0], read.kernel[1]},
                                               .stride = {read.stride[0], read.stride[1]},
                                               .padding = {read.padding[0], read.padding[1]},
                                               .dilation = {read.dilation[0], read.dilation[1]}};
    return TARN_OK;
}
