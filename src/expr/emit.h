/* A pass that is a program, written down as a backend reads it. */
#ifndef EXPR_EMIT_H
#define EXPR_EMIT_H

#include "expr/fuse.h"

typedef struct expr_program {
    uint32_t step_count, constant_count, input_count, output_count;
    tarn_step steps[TARN_PROGRAM_MAXIMUM_STEPS];
    tarn_constant constants[TARN_PROGRAM_MAXIMUM_CONSTANTS];
    uint32_t inputs[TARN_PROGRAM_MAXIMUM_OPERANDS];  /* values */
    uint32_t outputs[TARN_PROGRAM_MAXIMUM_OPERANDS]; /* values */
    uint16_t results[TARN_PROGRAM_MAXIMUM_OPERANDS]; /* steps, one for each output */
} expr_program;

/* The shape whose elements the pass goes over. */
const tarn_shape *expr_pass_space(const expr_values *values, const expr_pass *pass);

/* Writes the program of a pass. False when it has more steps, operands or constants than a program may have. */
bool expr_emit(const expr_values *values, const expr_passes *passes, uint32_t pass, expr_program *out_program);

#endif
