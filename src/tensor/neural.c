/* Convolution, pooling, softmax, normalization and gathering: a backend takes their operands as they are. */
#include "tensor/call.h"

static tarn_status run(const tensor_call *call, const tensor_node *node) {
    tarn_operand operands[1 + TENSOR_CALL_OPERANDS];
    for (size_t i = 0; i <= call->count; i++)
        tensor_operand(i == 0 ? call->target : call->tensors[i - 1], NULL, &operands[i]);
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = node->operation,
                                        .output_count = 1,
                                        .input_count = (uint32_t)call->count,
                                        .operands = operands};
    switch (node->operation) {
    case TARN_OPERATION_CONV2D: operation.attributes.conv2d = node->attributes.conv2d; break;
    case TARN_OPERATION_MAX_POOL2D: operation.attributes.pool2d = node->attributes.pool2d; break;
    case TARN_OPERATION_SOFTMAX: operation.attributes.softmax = node->attributes.softmax; break;
    case TARN_OPERATION_LAYER_NORM: operation.attributes.layer_norm = node->attributes.layer_norm; break;
    default: operation.attributes.gather = node->attributes.gather; break;
    }
    return tensor_call_run(call, &operation);
}

/* Everything after tensor_call_begin and the reading of attributes, `status` being what these answered. */
static tarn_status compute(tensor_call *call, tarn_status status, const tensor_node *node) {
    tensor_argument arguments[TENSOR_CALL_OPERANDS];
    tensor_inferred inferred;
    for (size_t i = 0; i < call->count; i++) arguments[i] = tensor_argument_of(call->tensors[i]);
    if (status == TARN_OK) status = tensor_infer(node, arguments, &inferred);
    if (status != TARN_OK) return tensor_call_refuse(call, status);
    status = tensor_call_support(call, node->operation, inferred.computed);
    if (status == TARN_OK) status = tensor_call_result(call, &inferred, false, false);
    if (status == TARN_OK && inferred.elements != 0) status = run(call, node);
    return tensor_call_end(call, status);
}

tarn_status tarn_conv2d(tarn_tensor *x, tarn_tensor *weight, tarn_tensor *bias, const tarn_conv2d_options *conv2d,
                        const tarn_operation_options *options, tarn_tensor **inout_result) {
    tensor_call call;
    tarn_tensor *const tensors[3] = {x, weight, bias};
    tensor_node node = {.operation = TARN_OPERATION_CONV2D};
    tarn_status status = tensor_call_begin(&call, node.operation, tensors, bias != NULL ? 3 : 2, options, inout_result);
    if (status != TARN_OK) return status;
    status = tensor_infer_conv2d_attributes(conv2d, bias != NULL, &node.attributes.conv2d);
    return compute(&call, status, &node);
}

tarn_status tarn_max_pool2d(tarn_tensor *x, const tarn_max_pool2d_options *pool, const tarn_operation_options *options,
                            tarn_tensor **inout_result) {
    tensor_call call;
    tensor_node node = {.operation = TARN_OPERATION_MAX_POOL2D};
    tarn_status status = tensor_call_begin(&call, node.operation, &x, 1, options, inout_result);
    if (status != TARN_OK) return status;
    status = tensor_infer_pool2d_attributes(pool, &node.attributes.pool2d);
    return compute(&call, status, &node);
}

tarn_status tarn_softmax(tarn_tensor *x, int dim, const tarn_operation_options *options, tarn_tensor **inout_result) {
    tensor_call call;
    tensor_node node = {.operation = TARN_OPERATION_SOFTMAX};
    tarn_status status = tensor_call_begin(&call, node.operation, &x, 1, options, inout_result);
    if (status != TARN_OK) return status;
    status = tensor_infer_dim(node.operation, &x->shape, dim, &node.attributes.softmax.axis);
    return compute(&call, status, &node);
}

tarn_status tarn_layer_norm(tarn_tensor *x, size_t normalized_dims, tarn_tensor *weight, tarn_tensor *bias,
                            double epsilon, const tarn_operation_options *options, tarn_tensor **inout_result) {
    tensor_call call;
    tarn_tensor *tensors[3] = {x, weight != NULL ? weight : bias, bias};
    const size_t count = (size_t)1 + (weight != NULL) + (bias != NULL);
    /* More than there are is refused by inference, whatever it is. */
    const uint32_t dims = normalized_dims <= TARN_MAXIMUM_RANK ? (uint32_t)normalized_dims : TARN_MAXIMUM_RANK + 1;
    const tensor_node node = {
        .operation = TARN_OPERATION_LAYER_NORM,
        .attributes.layer_norm = {
            .normalized_dims = dims, .has_weight = weight != NULL, .has_bias = bias != NULL, .epsilon = epsilon}};
    tarn_status status = tensor_call_begin(&call, node.operation, tensors, count, options, inout_result);
    return status == TARN_OK ? compute(&call, status, &node) : status;
}

tarn_status tarn_gather(tarn_tensor *x, tarn_tensor *indices, int dim, const tarn_operation_options *options,
                        tarn_tensor **inout_result) {
    tensor_call call;
    tarn_tensor *const tensors[2] = {x, indices};
    tensor_node node = {.operation = TARN_OPERATION_GATHER};
    tarn_status status = tensor_call_begin(&call, node.operation, tensors, 2, options, inout_result);
    if (status != TARN_OK) return status;
    status = tensor_infer_dim(node.operation, &x->shape, dim, &node.attributes.gather.axis);
    return compute(&call, status, &node);
}
