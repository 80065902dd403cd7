/* Elementwise operations: programs of one step, and a step more for each type that has to be changed.
 *
 * Operands that are all contiguous and of the result's shape, the usual ones, are one dimension from the beginning; others are
 * broadcast by strides of 0 and merged. A scalar is a constant of the program. */
#include "tensor/call.h"

/* What an operation takes: tensors, and at most one scalar among them. */
typedef struct elementwise {
    tarn_operation operation;
    size_t count;
    tarn_tensor *const *tensors; /* the tensors alone */
    size_t tensor_count;
    const tarn_scalar *scalar; /* NULL: none */
    size_t scalar_place;
} elementwise;

/* Casts to the operands' type and from that of the result, and the operation itself. */
#define MAXIMUM_STEPS (TENSOR_CALL_OPERANDS + 2)

static tarn_status infer(const elementwise *given, tensor_argument *arguments, tensor_inferred *out_inferred) {
    size_t next = 0;
    for (size_t i = 0; i < given->count; i++) {
        if (given->scalar != NULL && i == given->scalar_place)
            arguments[i] = tensor_argument_of_scalar(given->scalar->kind);
        else arguments[i] = tensor_argument_of(given->tensors[next++]);
    }
    switch (given->count) {
    case 1: return tensor_infer_unary(given->operation, &arguments[0], out_inferred);
    case 2: return tensor_infer_binary(given->operation, &arguments[0], &arguments[1], out_inferred);
    default: return tensor_infer_select(&arguments[0], &arguments[1], &arguments[2], out_inferred);
    }
}

/* The number as an element of the type has it: integers wrap around. */
static tarn_constant constant_of(const tarn_scalar *scalar, tarn_element_type type) {
    tarn_constant constant = {.type = type, .integer = scalar->integer};
    if (tensor_type_is_floating(type)) {
        constant.floating = scalar->kind == TARN_SCALAR_FLOAT ? scalar->floating : (double)scalar->integer;
        constant.integer = 0;
        return constant;
    }
    if (type == TARN_ELEMENT_BOOL) {
        constant.integer = scalar->integer != 0;
    } else if (type == TARN_ELEMENT_U8) {
        constant.integer = scalar->integer & UINT8_MAX;
    } else { /* the sign is the highest bit that the type has */
        unsigned unused = 64 - 8 * (unsigned)tarn_element_size(type);
        constant.integer = (int64_t)((uint64_t)scalar->integer << unused) >> unused;
    }
    return constant;
}

/* Writes the steps; the value of the last one is the result. */
static uint32_t build_steps(const elementwise *given, const tensor_argument *arguments, const tensor_inferred *inferred,
                            tarn_element_type result_type, tarn_step *steps) {
    uint16_t count = 0, input = 0;
    tarn_step main_step = {.operation = given->operation, .type = inferred->type};
    for (size_t i = 0; i < given->count; i++) {
        if (given->scalar != NULL && i == given->scalar_place) {
            main_step.values[i] = (tarn_value){.source = TARN_SOURCE_CONSTANT};
            continue;
        }
        tarn_value value = {.source = TARN_SOURCE_INPUT, .number = input++};
        bool is_condition = given->operation == TARN_OPERATION_SELECT && i == 0;
        if (!is_condition && arguments[i].type != inferred->computed) {
            steps[count] = (tarn_step){.operation = TARN_OPERATION_COPY, .type = inferred->computed, .values = {value}};
            value = (tarn_value){.source = TARN_SOURCE_STEP, .number = count++};
        }
        main_step.values[i] = value;
    }
    steps[count++] = main_step;
    if (result_type != inferred->type) {
        tarn_value value = {.source = TARN_SOURCE_STEP, .number = (uint16_t)(count - 1)};
        steps[count++] = (tarn_step){.operation = TARN_OPERATION_COPY, .type = result_type, .values = {value}};
    }
    return count;
}

/* Result first, then inputs. */
static void describe_operands(const tensor_call *call, tarn_operand *operands) {
    const tarn_tensor *target = call->target;
    bool is_flat = target->is_contiguous;
    for (size_t i = 0; i < call->count && is_flat; i++)
        is_flat = call->tensors[i]->is_contiguous && tarn_shape_equals(&call->tensors[i]->shape, &target->shape);
    for (size_t i = 0; i <= call->count; i++) {
        const tarn_tensor *tensor = i == 0 ? target : call->tensors[i - 1];
        if (!is_flat) {
            tensor_operand(tensor, &target->shape, &operands[i]);
            continue;
        }
        operands[i].data = tensor->data;
        operands[i].type = tensor->type;
        operands[i].rank = 1;
        operands[i].dims[0] = (int64_t)tensor->elements;
        operands[i].strides[0] = 1;
    }
    if (!is_flat) tensor_merge_operands(operands, call->count + 1, true, NULL);
}

static tarn_status check_support(const tensor_call *call, const tensor_argument *arguments, size_t count,
                                 const tensor_inferred *inferred) {
    tarn_status status = tensor_call_support(call, call->operation, inferred->computed);
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        if (arguments[i].type != inferred->computed && !arguments[i].is_scalar)
            status = tensor_call_support(call, TARN_OPERATION_COPY, arguments[i].type);
    }
    tarn_element_type result_type = *call->inout_result != NULL ? (*call->inout_result)->type : inferred->type;
    if (status == TARN_OK && result_type != inferred->type)
        status = tensor_call_support(call, TARN_OPERATION_COPY, result_type);
    return status;
}

static tarn_status run(const tensor_call *call, const elementwise *given, const tensor_argument *arguments,
                       const tensor_inferred *inferred) {
    tarn_operand operands[1 + TENSOR_CALL_OPERANDS];
    tarn_step steps[MAXIMUM_STEPS];
    tarn_program program = {.steps = steps, .reduction = TARN_OPERATION_COPY};
    program.step_count = build_steps(given, arguments, inferred, call->target->type, steps);
    const uint16_t result = (uint16_t)(program.step_count - 1);
    program.results = &result;
    tarn_constant constant;
    if (given->scalar != NULL) {
        constant = constant_of(given->scalar, inferred->computed);
        program.constants = &constant;
        program.constant_count = 1;
    }
    describe_operands(call, operands);
    const tarn_backend_operation operation = {.struct_size = sizeof operation,
                                              .operation = TARN_OPERATION_PROGRAM,
                                              .output_count = 1,
                                              .input_count = (uint32_t)call->count,
                                              .operands = operands,
                                              .program = &program};
    return tensor_call_run(call, &operation);
}

static tarn_status compute(const elementwise *given, const tarn_operation_options *options,
                           tarn_tensor **inout_result) {
    tensor_call call;
    tensor_argument arguments[TENSOR_CALL_OPERANDS];
    tensor_inferred inferred;
    tarn_status status =
        tensor_call_begin(&call, given->operation, given->tensors, given->tensor_count, options, inout_result);
    if (status != TARN_OK) return status;
    status = infer(given, arguments, &inferred);
    if (status != TARN_OK) return tensor_call_refuse(&call, status);
    /* Copying is everybody's: devices that compute nothing can move elements of one type. */
    bool is_copy = given->operation == TARN_OPERATION_COPY;
    if (!is_copy) status = check_support(&call, arguments, given->count, &inferred);
    if (status == TARN_OK) status = tensor_call_result(&call, &inferred, true, true);
    if (status != TARN_OK || inferred.elements == 0) return tensor_call_end(&call, status);
    if (is_copy) status = tarn_tensor_copy(call.target, call.tensors[0], call.stream);
    else status = run(&call, given, arguments, &inferred);
    return tensor_call_end(&call, status);
}

tarn_status tarn_unary(tarn_operation operation, tarn_tensor *x, const tarn_operation_options *options,
                       tarn_tensor **inout_result) {
    tarn_tensor *const tensors[1] = {x};
    return compute(&(elementwise){.operation = operation, .count = 1, .tensors = tensors, .tensor_count = 1}, options,
                   inout_result);
}

tarn_status tarn_binary(tarn_operation operation, tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                        tarn_tensor **inout_result) {
    tarn_tensor *const tensors[2] = {a, b};
    return compute(&(elementwise){.operation = operation, .count = 2, .tensors = tensors, .tensor_count = 2}, options,
                   inout_result);
}

static tarn_status compute_with_scalar(tarn_operation operation, tarn_tensor *tensor, const tarn_scalar *scalar,
                                       size_t scalar_place, const tarn_operation_options *options,
                                       tarn_tensor **inout_result) {
    tarn_tensor *const tensors[1] = {tensor};
    return compute(&(elementwise){.operation = operation,
                                  .count = 2,
                                  .tensors = tensors,
                                  .tensor_count = 1,
                                  .scalar = scalar,
                                  .scalar_place = scalar_place},
                   options, inout_result);
}

tarn_status tarn_binary_scalar(tarn_operation operation, tarn_tensor *a, tarn_scalar b,
                               const tarn_operation_options *options, tarn_tensor **inout_result) {
    return compute_with_scalar(operation, a, &b, 1, options, inout_result);
}

tarn_status tarn_scalar_binary(tarn_operation operation, tarn_scalar a, tarn_tensor *b,
                               const tarn_operation_options *options, tarn_tensor **inout_result) {
    return compute_with_scalar(operation, b, &a, 0, options, inout_result);
}

tarn_status tarn_select(tarn_tensor *condition, tarn_tensor *a, tarn_tensor *b, const tarn_operation_options *options,
                        tarn_tensor **inout_result) {
    tarn_tensor *const tensors[3] = {condition, a, b};
    return compute(
        &(elementwise){.operation = TARN_OPERATION_SELECT, .count = 3, .tensors = tensors, .tensor_count = 3}, options,
        inout_result);
}
