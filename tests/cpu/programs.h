/* Small programs for the tests of the cpu backend's computing: one or two operands, one step, run on the calling thread's level. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tarn/tarn.h>

/* An operation of one step on contiguous elements of one type, with everything that it points to. */
typedef struct test_program {
    tarn_operand operands[3];
    tarn_step step;
    uint16_t result;
    tarn_program program;
    tarn_backend_operation operation;
} test_program;

/* `count` elements; `b` NULL: one operand. */
void program_make(test_program *program, tarn_operation operation, tarn_element_type type, size_t count, void *out,
                  void *a, void *b);
/* The sum, or another reduction, of all `count` elements of `a` into the one of `out`. */
void program_reduce(test_program *program, tarn_operation reduction, tarn_element_type type, size_t count, void *out,
                    void *a);
/* Runs it through the backend's table. */
tarn_status program_run(const test_program *program);

/* How many floats `actual` is away from `wanted`, which has been computed in double; half units count. */
double float_distance(float actual, double wanted);

/* The device that tests compute on; programs_open and programs_close are set-up and teardown of a group. */
extern tarn_device *programs_device;
int programs_open(void **state);
int programs_close(void **state);

#endif
