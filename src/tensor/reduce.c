/* Reductions: a program that copies, with a reduction at its end. In the result each reduced dimension has the stride 0. */
#include <string.h>

#include "tensor/call.h"

/* The result as the program's space sees it. */
static void spread_target(const tarn_tensor *x, const tarn_tensor *target, const tensor_reduce_attributes *attributes,
                          tarn_operand *out_operand) {
    size_t rank = x->shape.rank, next = 0;
    out_operand->data = target->data;
    out_operand->type = target->type;
    out_operand->rank = (uint32_t)rank;
    memcpy(out_operand->dims, x->shape.dims, sizeof out_operand->dims);
    for (size_t i = 0; i < rank; i++) {
        bool is_reduced = (attributes->dims >> i & 1) != 0;
        out_operand->strides[i] = is_reduced ? 0 : target->strides[next];
        if (!is_reduced || attributes->keeps_dims) next++;
    }
}

static tarn_status run(const tensor_call *call, const tensor_reduce_attributes *attributes) {
    const tarn_tensor *x = call->tensors[0];
    tarn_operand operands[2];
    uint32_t reduced_dims = attributes->dims;
    spread_target(x, call->target, attributes, &operands[0]);
    tensor_operand(x, NULL, &operands[1]);
    tensor_merge_operands(operands, 2, true, &reduced_dims);
    const tarn_step step = {.operation = TARN_OPERATION_COPY, .type = call->target->type, .values = {{.number = 0}}};
    const uint16_t result = 0;
    const tarn_program program = {.step_count = 1,
                                  .steps = &step,
                                  .results = &result,
                                  /* What is reduced along dimensions of 1 alone is copied. */
                                  .reduction = reduced_dims != 0 ? call->operation : TARN_OPERATION_COPY,
                                  .reduced_dims = reduced_dims};
    const tarn_backend_operation operation = {.struct_size = sizeof operation,
                                              .operation = TARN_OPERATION_PROGRAM,
                                              .output_count = 1,
                                              .input_count = 1,
                                              .operands = operands,
                                              .program = &program};
    return tensor_call_run(call, &operation);
}

/* What remains of no elements: the sum, the product, or that there is no mean. */
static tarn_scalar reduction_of_nothing(tarn_operation operation) {
    if (operation == TARN_OPERATION_SUM) return tarn_scalar_integer(0);
    return operation == TARN_OPERATION_PROD ? tarn_scalar_integer(1) : tarn_scalar_float(__builtin_nan(""));
}

tarn_status tarn_reduce(tarn_operation operation, tarn_tensor *x, const int *dims, size_t dim_count, int keeps_dims,
                        const tarn_operation_options *options, tarn_tensor **inout_result) {
    tensor_call call;
    tarn_status status = tensor_call_begin(&call, operation, &x, 1, options, inout_result);
    if (status != TARN_OK) return status;
    const tensor_argument argument = tensor_argument_of(x);
    tensor_reduce_attributes attributes = {.keeps_dims = keeps_dims != 0};
    tensor_inferred inferred;
    status = tensor_infer_dims(operation, &x->shape, dims, dim_count, &attributes.dims);
    if (status == TARN_OK) status = tensor_infer_reduce(operation, &argument, &attributes, &inferred);
    if (status != TARN_OK) return tensor_call_refuse(&call, status);
    status = tensor_call_support(&call, operation, inferred.computed);
    if (status == TARN_OK && x->type != inferred.computed)
        status = tensor_call_support(&call, TARN_OPERATION_COPY, x->type);
    if (status == TARN_OK) status = tensor_call_result(&call, &inferred, false, false);
    if (status != TARN_OK || inferred.elements == 0) return tensor_call_end(&call, status);
    if (x->elements == 0) status = tarn_tensor_fill(call.target, reduction_of_nothing(operation), call.stream);
    else status = run(&call, &attributes);
    return tensor_call_end(&call, status);
}
