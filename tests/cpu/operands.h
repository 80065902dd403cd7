/* Operands for tests of what the cpu device computes: memory in any type and layout, and its elements as doubles. */
#ifndef OPERANDS_H
#define OPERANDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include <tarn/backend_operations.h>

typedef enum layout {
    LAYOUT_ROWS = 0,   /* row-major, without gaps */
    LAYOUT_TRANSPOSED, /* the last two dimensions change places; of rank 1: as above */
    LAYOUT_REVERSED,   /* column-major */
    LAYOUT_SPREAD,     /* gaps after each element and each row */
    LAYOUT_BACKWARDS   /* the last dimension runs back, with gaps after each row */
} layout;

#define LAYOUT_COUNT 5

/* Whole numbers of -4 … 4 in integers, else numbers between -1 and 1. The memory is freed by operands_free. */
tarn_operand operand_make(tarn_element_type type, uint32_t rank, const int64_t *dims, layout form);
void operands_free(void);

/* All elements in row-major order. */
double *operand_values(const tarn_operand *operand);
double operand_get(const tarn_operand *operand, const int64_t *index);
void operand_set(const tarn_operand *operand, const int64_t *index, double value);
void operand_fill(const tarn_operand *operand, double value);
static inline bool is_nan(double value) { return value != value; }
/* Goes on to the next index in row-major order; 0 when there is none. */
int next_index(uint32_t rank, const int64_t *dims, int64_t *index);

/* What rounding a number of about 1 to the type may change. */
double type_precision(tarn_element_type type);
/* `got` is within `errors` roundings of the type, for values of about `size`, of `expected`; NaN and infinities are the same. */
void assert_near(double got, double expected, double size, double errors, tarn_element_type type);

/* Runs `body` at each level of instruction sets that the processor has. */
void at_each_level(void (*body)(void));
/* Runs it so without oneDNN, and once more with it for all that it takes. */
void with_each_engine(void (*body)(void));
/* Opens the cpu device for the group, and closes it; for cmocka. */
int operands_setup(void **state);
int operands_teardown(void **state);

#endif
