/* Convolutions as products: the filters of a group by what the window sees at each place of each image. That matrix is packed from the image, a slab at a
 * time, and is nowhere as a whole. Groups are the matrices of a batch. */
#include "backends/opencl/opencl_product.h"

/* The stride that leads through the channels, rows and columns of the weights, if there is one. */
static bool find_stride(const tarn_operand *weights, cl_long *out_stride) {
    int64_t count = 1;
    *out_stride = 1;
    for (int i = 3; i > 0; i--) {
        if (weights->dims[i] == 1) continue;
        if (count == 1) *out_stride = weights->strides[i];
        else if (weights->strides[i] != count * *out_stride) return false;
        count *= weights->dims[i];
    }
    return true;
}

static opencl_image describe(const tarn_conv2d_attributes *attributes, const tarn_operand *operands) {
    const tarn_operand *out = &operands[0], *weights = &operands[1], *in = &operands[2];
    opencl_image image = {
        .seen = {.height = in->dims[2], .width = in->dims[3]}, .height = out->dims[2], .width = out->dims[3]};
    for (int i = 0; i < 2; i++) {
        image.seen.kernel[i] = weights->dims[2 + i];
        image.seen.stride[i] = attributes->stride[i];
        image.seen.padding[i] = attributes->padding[i];
        image.seen.dilation[i] = attributes->dilation[i];
    }
    for (int i = 0; i < 3; i++)
        for (int d = 0; d < 4; d++) image.strides[i][d] = operands[i].strides[d];
    return image;
}

tarn_status opencl_conv2d_run(const opencl_neural_call *given_call) {
    const tarn_conv2d_attributes *attributes = &given_call->operation->attributes.conv2d;
    const bool has_bias = attributes->has_bias != 0;
    const tarn_operand *given = given_call->operation->operands;
    tarn_operand operands[4] = {given[0], given[2], given[1]};
    if (has_bias) operands[3] = given[3];
    tarn_backend_operation operation = *given_call->operation;
    operation.operands = operands;
    opencl_neural_call call = *given_call;
    call.operation = &operation;
    const tarn_operand *out = &operands[0], *weights = &operands[1], *in = &operands[2];
    opencl_image image = describe(attributes, operands);
    opencl_product product = {.call = &call,
                              .matrices = attributes->groups,
                              .m = weights->dims[0] / attributes->groups,
                              .n = out->dims[0] * out->dims[2] * out->dims[3],
                              .k = weights->dims[1] * weights->dims[2] * weights->dims[3],
                              .batch = opencl_walk_none(),
                              .image = &image,
                              .has_bias = has_bias,
                              .activation = attributes->activation};
    const int64_t steps[4] = {product.m * out->strides[1], product.m * weights->strides[0],
                              weights->dims[1] * in->strides[1], has_bias ? product.m * operands[3].strides[0] : 0};
    product.batch.dims[TARN_MAXIMUM_RANK - 1] = product.matrices;
    for (int i = 0; i < 4; i++) product.batch.strides[i][TARN_MAXIMUM_RANK - 1] = steps[i];
    product.strides[0][0] = out->strides[1];
    product.strides[1][0] = weights->strides[0];
    image.is_flat = find_stride(weights, &product.strides[1][1]);
    if (has_bias) product.strides[3][0] = operands[3].strides[0];
    return opencl_product_run(&product);
}
