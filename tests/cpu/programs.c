/* Programs of one step. */
#include "programs.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "backends/cpu/cpu_internal.h"

tarn_device *programs_device;

int programs_open(void **state) {
    (void)state;
    return tarn_device_open("cpu", &programs_device) == TARN_OK ? 0 : -1;
}

int programs_close(void **state) {
    (void)state;
    return tarn_device_release(programs_device) == TARN_OK ? 0 : -1;
}

static tarn_operand line_of(tarn_element_type type, size_t count, void *data) {
    return (tarn_operand){.data = data, .type = type, .rank = 1, .dims = {(int64_t)count}, .strides = {1}};
}

void program_make(test_program *program, tarn_operation operation, tarn_element_type type, size_t count, void *out,
                  void *a, void *b) {
    memset(program, 0, sizeof *program);
    program->operands[0] = line_of(type, count, out);
    program->operands[1] = line_of(type, count, a);
    program->operands[2] = line_of(type, count, b);
    program->step =
        (tarn_step){.operation = operation, .type = type, .values = {{TARN_SOURCE_INPUT, 0}, {TARN_SOURCE_INPUT, 1}}};
    program->program = (tarn_program){.step_count = 1, .steps = &program->step, .results = &program->result};
    program->operation = (tarn_backend_operation){.struct_size = sizeof program->operation,
                                                  .operation = TARN_OPERATION_PROGRAM,
                                                  .output_count = 1,
                                                  .input_count = b != NULL ? 2 : 1,
                                                  .operands = program->operands,
                                                  .program = &program->program};
}

void program_reduce(test_program *program, tarn_operation reduction, tarn_element_type type, size_t count, void *out,
                    void *a) {
    program_make(program, TARN_OPERATION_COPY, type, count, out, a, NULL);
    program->operands[0].strides[0] = 0;
    program->program.reduction = reduction;
    program->program.reduced_dims = 1;
}

tarn_status program_run(const test_program *program) { return cpu_operations.run(NULL, &program->operation); }

double float_distance(float actual, double wanted) {
    if (isnan(wanted)) return isnan(actual) ? 0 : INFINITY;
    float rounded = (float)wanted;
    if (isinf(rounded) || isinf(actual)) return rounded == actual ? 0 : INFINITY;
    int exponent;
    frexp(wanted, &exponent);
    double unit = ldexp(1, exponent - FLT_MANT_DIG);
    double least = ldexp(1, FLT_MIN_EXP - FLT_MANT_DIG);
    return fabs((double)actual - wanted) / (unit > least ? unit : least);
}
