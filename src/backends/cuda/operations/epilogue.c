/* What follows a product or a convolution that a library computed, where the library does not do it: a program on the result, in place. */
#include "backends/cuda/operations/operations.h"

tarn_status cuda_epilogue_enqueue(const cuda_task *task, const tarn_operand *bias, tarn_operation activation) {
    const tarn_operand out = task->operation->operands[0];
    const tarn_operand operands[3] = {out, out, bias != NULL ? *bias : out};
    tarn_step steps[2];
    uint32_t count = 0;
    tarn_value last = {TARN_SOURCE_INPUT, 0};
    if (bias != NULL) {
        steps[count++] =
            (tarn_step){.operation = TARN_OPERATION_ADD, .type = out.type, .values = {last, {TARN_SOURCE_INPUT, 1}}};
        last = (tarn_value){TARN_SOURCE_STEP, 0};
    }
    if (activation != TARN_OPERATION_COPY)
        steps[count++] = (tarn_step){.operation = activation, .type = out.type, .values = {last}};
    if (count == 0) return TARN_OK;
    const uint16_t result = (uint16_t)(count - 1);
    const tarn_program program = {.step_count = count, .steps = steps, .results = &result};
    const tarn_backend_operation operation = {.struct_size = sizeof operation,
                                              .operation = TARN_OPERATION_PROGRAM,
                                              .output_count = 1,
                                              .input_count = bias != NULL ? 2 : 1,
                                              .operands = operands,
                                              .program = &program};
    cuda_task next = *task;
    next.operation = &operation;
    return cuda_program_enqueue(&next);
}
