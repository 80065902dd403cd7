/* Matrix products: operands of rank 1 become matrices of one row or column, and the leading dimensions are broadcast. */
#include "base/status.h"
#include "tensor/call.h"

/* Puts a dimension of 1 before that at `place`, as memory without gaps would have it. */
static void insert_one(tarn_operand *operand, uint32_t place) {
    for (uint32_t i = operand->rank++; i > place; i--) {
        operand->dims[i] = operand->dims[i - 1];
        operand->strides[i] = operand->strides[i - 1];
    }
    bool is_last = place + 1 == operand->rank;
    operand->dims[place] = 1;
    operand->strides[place] = is_last ? 1 : operand->dims[place + 1] * operand->strides[place + 1];
}

/* Broadcasts the leading dimensions of a matrix operand to those of the result. */
static void spread_matrices(tarn_operand *operand, const tarn_operand *result) {
    uint32_t added = result->rank - operand->rank;
    for (uint32_t i = result->rank; i-- > 0;) {
        bool is_there = i >= added;
        int64_t dim = is_there ? operand->dims[i - added] : 1, stride = is_there ? operand->strides[i - added] : 0;
        bool is_matrix = i + 2 >= result->rank;
        operand->dims[i] = is_matrix ? dim : result->dims[i];
        operand->strides[i] = is_matrix || dim == result->dims[i] ? stride : 0;
    }
    operand->rank = result->rank;
}

/* Result, a, b and bias, all of the rank that a backend sees. */
static void describe_operands(const tensor_call *call, tarn_operand *operands) {
    const tarn_tensor *a = call->tensors[0], *b = call->tensors[1];
    for (size_t i = 0; i < 3; i++) tensor_operand(i == 0 ? call->target : call->tensors[i - 1], NULL, &operands[i]);
    if (call->count == 3) tensor_operand(call->tensors[2], &call->target->shape, &operands[3]);
    for (size_t i = 0; i <= call->count; i++) {
        tarn_operand *operand = &operands[i];
        bool is_product = i == 0 || i == 3;
        if (b->shape.rank == 1 && (is_product || i == 2)) insert_one(operand, operand->rank);
        if (a->shape.rank == 1 && (is_product || i == 1)) insert_one(operand, operand->rank - 1);
    }
    spread_matrices(&operands[1], &operands[0]);
    spread_matrices(&operands[2], &operands[0]);
}

/* A product of nothing is 0: what remains are bias and activation, a program. */
static tarn_status run_without_product(const tensor_call *call, const tarn_matmul_attributes *attributes) {
    const tarn_element_type type = call->target->type;
    tarn_status status = tensor_call_support(call, TARN_OPERATION_ADD, type);
    if (status == TARN_OK) status = tensor_call_support(call, attributes->activation, type);
    if (status != TARN_OK) return status;
    const tarn_constant zero = {.type = type};
    const tarn_value nothing = {.source = TARN_SOURCE_CONSTANT}, bias = {.source = TARN_SOURCE_INPUT};
    const tarn_step steps[2] = {
        {.operation = TARN_OPERATION_ADD, .type = type, .values = {nothing, attributes->has_bias ? bias : nothing}},
        {.operation = attributes->activation, .type = type, .values = {{.source = TARN_SOURCE_STEP}}}};
    const uint16_t result = 1;
    const tarn_program program = {
        .step_count = 2, .constant_count = 1, .steps = steps, .constants = &zero, .results = &result};
    tarn_operand operands[2];
    tensor_operand(call->target, NULL, &operands[0]);
    if (attributes->has_bias) tensor_operand(call->tensors[2], &call->target->shape, &operands[1]);
    tensor_merge_operands(operands, attributes->has_bias ? 2 : 1, true, NULL);
    const tarn_backend_operation operation = {.struct_size = sizeof operation,
                                              .operation = TARN_OPERATION_PROGRAM,
                                              .output_count = 1,
                                              .input_count = attributes->has_bias ? 1 : 0,
                                              .operands = operands,
                                              .program = &program};
    return tensor_call_run(call, &operation);
}

static tarn_status run(const tensor_call *call, const tarn_matmul_attributes *attributes) {
    if (call->tensors[0]->elements == 0) return run_without_product(call, attributes);
    tarn_operand operands[1 + TENSOR_CALL_OPERANDS];
    describe_operands(call, operands);
    const tarn_backend_operation operation = {.struct_size = sizeof operation,
                                              .operation = TARN_OPERATION_MATMUL,
                                              .output_count = 1,
                                              .input_count = (uint32_t)call->count,
                                              .operands = operands,
                                              .attributes.matmul = *attributes};
    return tensor_call_run(call, &operation);
}

tarn_status tarn_linear(tarn_tensor *a, tarn_tensor *b, tarn_tensor *bias, tarn_operation activation,
                        const tarn_operation_options *options, tarn_tensor **inout_result) {
    tensor_call call;
    tarn_tensor *const tensors[3] = {a, b, bias};
    const tarn_matmul_attributes attributes = {.has_bias = bias != NULL, .activation = activation};
    tarn_status status =
        tensor_call_begin(&call, TARN_OPERATION_MATMUL, tensors, bias != NULL ? 3 : 2, options, inout_result);
    if (status != TARN_OK) return status;
    const tensor_argument left = tensor_argument_of(a), right = tensor_argument_of(b);
    const tensor_argument added = tensor_argument_of(bias != NULL ? bias : a);
    tensor_inferred inferred;
    status = tensor_infer_matmul(&left, &right, bias != NULL ? &added : NULL, &attributes, &inferred);
    if (status != TARN_OK) return tensor_call_refuse(&call, status);
    status = tensor_call_support(&call, TARN_OPERATION_MATMUL, inferred.computed);
    if (status == TARN_OK) status = tensor_call_result(&call, &inferred, false, false);
    if (status == TARN_OK && inferred.elements != 0) status = run(&call, &attributes);
    return tensor_call_end(&call, status);
}

tarn_status tarn_matmul(tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                        tarn_tensor **inout_result) {
    return tarn_linear(a, b, NULL, TARN_OPERATION_COPY, options, inout_result);
}
