/* Programs that together have every step on every type, every cast and every reduction, on memory of several layouts: what sources are written
 * for in tests. */
#ifndef FORMS_H
#define FORMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include <tarn/backend_operations.h>

/* A program with everything that it points to. Its operands have no memory yet. */
typedef struct form_program {
    char name[64];
    tarn_backend_operation operation;
    tarn_program program;
    tarn_operand operands[TARN_PROGRAM_MAXIMUM_OPERANDS];
    tarn_step steps[TARN_PROGRAM_MAXIMUM_STEPS];
    tarn_constant constants[TARN_PROGRAM_MAXIMUM_CONSTANTS];
    uint16_t results[TARN_PROGRAM_MAXIMUM_OPERANDS];
} form_program;

size_t form_count(void);
void form_make(size_t number, form_program *out_program);

#endif
