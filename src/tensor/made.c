/* Tensors that a program without inputs makes from the places of their elements. */
#include "tensor/made.h"

#include "base/status.h"
#include "hal/operation.h"

tarn_value tensor_index(void) { return (tarn_value){.source = TARN_SOURCE_INDEX}; }

static tarn_value add_constant(tensor_program *program, tarn_constant constant) {
    program->constants[program->constant_count] = constant;
    return (tarn_value){.source = TARN_SOURCE_CONSTANT, .number = (uint16_t)program->constant_count++};
}

tarn_value tensor_integer(tensor_program *program, int64_t value) {
    return add_constant(program, (tarn_constant){.type = TARN_ELEMENT_I64, .integer = value});
}

tarn_value tensor_float(tensor_program *program, tarn_element_type type, double value) {
    return add_constant(program, (tarn_constant){.type = type, .floating = value});
}

tarn_value tensor_step(tensor_program *program, tarn_operation operation, tarn_element_type type, tarn_value a,
                       tarn_value b) {
    program->steps[program->step_count] = (tarn_step){.operation = operation, .type = type, .values = {a, b}};
    return (tarn_value){.source = TARN_SOURCE_STEP, .number = (uint16_t)program->step_count++};
}

tarn_value tensor_step_of_one(tensor_program *program, tarn_operation operation, tarn_element_type type, tarn_value a) {
    return tensor_step(program, operation, type, a, (tarn_value){0});
}

static tarn_status check_support(tarn_device *device, const tensor_program *program, const char *what) {
    for (uint32_t i = 0; i < program->step_count; i++) {
        const tarn_step *step = &program->steps[i];
        if (hal_operation_is_supported(device, step->operation, step->type)) continue;
        return base_fail(TARN_NOT_SUPPORTED, "%s: the device %s does not compute %s of %s", what,
                         tarn_device_name(device), tarn_operation_name(step->operation), tarn_element_name(step->type));
    }
    return TARN_OK;
}

static tarn_status run(const tensor_program *program, const tarn_tensor *tensor, tarn_stream *stream) {
    const uint16_t result = (uint16_t)(program->step_count - 1);
    tarn_program whole = {.step_count = program->step_count,
                          .constant_count = program->constant_count,
                          .steps = program->steps,
                          .constants = program->constants,
                          .results = &result,
                          .reduction = TARN_OPERATION_COPY};
    tarn_operand operand;
    tensor_operand(tensor, NULL, &operand);
    tensor_merge_operands(&operand, 1, false, NULL);
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_PROGRAM,
                                        .output_count = 1,
                                        .operands = &operand,
                                        .program = &whole};
    return hal_operation_enqueue(stream, &operation);
}

tarn_status tensor_make(const tensor_program *program, const char *what, tarn_allocator *allocator,
                        const tarn_shape *shape, tarn_element_type type, tarn_stream *stream,
                        tarn_tensor **out_tensor) {
    tarn_tensor *tensor;
    tarn_status status = tarn_tensor_empty(allocator, shape, type, stream, &tensor);
    if (status != TARN_OK) return status;
    tarn_device *device = tensor->storage->device;
    status = check_support(device, program, what);
    if (status == TARN_OK) status = tensor_stream(device, stream, &stream);
    if (status == TARN_OK && tensor->elements > 0) status = run(program, tensor, stream);
    if (status == TARN_OK) *out_tensor = tensor;
    else tarn_tensor_release(tensor);
    return status;
}
