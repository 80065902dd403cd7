/* Softmax and layer norm on rows of lengths about those that a warp's and a block's registers hold, and longer; whose elements lie side by side, aligned or
 * not, apart, or next to those of other rows. Compared with the definitions, computed in doubles. */
#include "elements.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "bench.h"
#include "kernel_device.h"

#define ROOM ((size_t)1 << 19) /* bytes of an operand */

static kernel_device cuda; /* memory: result, input, weight, bias */

static int open_device(void **state) {
    (void)state;
    kernel_device_open(&cuda, ROOM);
    return 0;
}

static int close_device(void **state) {
    (void)state;
    kernel_device_close(&cuda);
    return 0;
}

static void put(tarn_element_type type, void *data, int64_t at, double value) {
    if (type == TARN_ELEMENT_F64) ((double *)data)[at] = value;
    else ((float *)data)[at] = (float)value;
}

static double get(tarn_element_type type, const void *data, int64_t at) {
    return type == TARN_ELEMENT_F64 ? ((const double *)data)[at] : (double)((const float *)data)[at];
}

/* Numbers that grow along the row, so that its largest elements come last, with some that stand out. */
static double number(int64_t row, int64_t place, int64_t length) {
    double noise = (double)((place * 7919 + row * 104729) % 1000) / 500 - 1;
    return noise + 6.0 * (double)place / (double)length + (place % 257 == 100 ? 3 : 0) + 100 * (double)(row % 3);
}

typedef struct rows {
    int64_t count, length, begins;
    int64_t row_stride, stride; /* of the input; those of the result are the same */
} rows;

static tarn_operand lay_out(const rows *shape, tarn_element_type type, void *data) {
    char *first = (char *)data + (size_t)shape->begins * tarn_element_size(type);
    return (tarn_operand){.type = type,
                          .rank = 2,
                          .data = first,
                          .dims = {shape->count, shape->length},
                          .strides = {shape->row_stride, shape->stride}};
}

static void fill(const rows *shape, tarn_element_type type) {
    for (int64_t r = 0; r < shape->count; r++) {
        for (int64_t i = 0; i < shape->length; i++)
            put(type, cuda.memory[1], shape->begins + r * shape->row_stride + i * shape->stride,
                number(r, i, shape->length));
    }
    for (int64_t i = 0; i < shape->length; i++) {
        put(type, cuda.memory[2], i, 0.5 + (double)(i % 13) / 13);
        put(type, cuda.memory[3], i, (double)(i % 11) - 5);
    }
    memset(cuda.memory[0], 0x11, ROOM);
}

/* The definition for one row, of what the input holds. */
static void expect(const rows *shape, tarn_element_type type, int64_t row, bool is_softmax, double tolerance) {
    const int64_t first = shape->begins + row * shape->row_stride, n = shape->length;
    double most = -INFINITY, sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, get(type, cuda.memory[1], first + i * shape->stride));
    for (int64_t i = 0; i < n; i++) {
        double value = get(type, cuda.memory[1], first + i * shape->stride);
        sum += is_softmax ? exp(value - most) : value;
    }
    double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) squares += pow(get(type, cuda.memory[1], first + i * shape->stride) - mean, 2);
    double root = sqrt(squares / (double)n + 1e-5);
    for (int64_t i = 0; i < n; i++) {
        double value = get(type, cuda.memory[1], first + i * shape->stride), want, scale = 1;
        if (is_softmax) want = exp(value - most) / sum, scale = want;
        else
            want = (value - mean) / root * get(type, cuda.memory[2], i) + get(type, cuda.memory[3], i),
            scale = fabs(want) + 8;
        double have = get(type, cuda.memory[0], first + i * shape->stride);
        if (fabs(have - want) > tolerance * scale) {
            fail_msg("%s of rows of %d, begins %d, strides %d and %d: %d of row %d is %.17g, not %.17g",
                     is_softmax ? "softmax" : "layer norm", (int)n, (int)shape->begins, (int)shape->row_stride,
                     (int)shape->stride, (int)i, (int)row, have, want);
        }
    }
}

static void try(const rows *shape, tarn_element_type type) {
    fill(shape, type);
    tarn_operand operands[4] = {lay_out(shape, type, cuda.memory[0]), lay_out(shape, type, cuda.memory[1])};
    for (int i = 2; i < 4; i++)
        operands[i] =
            (tarn_operand){.type = type, .rank = 1, .data = cuda.memory[i], .dims = {shape->length}, .strides = {1}};
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_SOFTMAX,
                                        .operands = operands,
                                        .output_count = 1,
                                        .input_count = 1};
    operation.attributes.softmax.axis = 1;
    kernel_device_run(&cuda, &operation);
    for (int64_t r = 0; r < shape->count; r++) expect(shape, type, r, true, type == TARN_ELEMENT_F64 ? 1e-14 : 1e-6);
    operation.operation = TARN_OPERATION_LAYER_NORM;
    operation.input_count = 3;
    memset(&operation.attributes, 0, sizeof operation.attributes);
    operation.attributes.layer_norm.normalized_dims = 1;
    operation.attributes.layer_norm.epsilon = 1e-5;
    operation.attributes.layer_norm.has_weight = true;
    operation.attributes.layer_norm.has_bias = true;
    kernel_device_run(&cuda, &operation);
    /* The mean is 200 at most, which a float holds to 2^-17. */
    for (int64_t r = 0; r < shape->count; r++) expect(shape, type, r, false, type == TARN_ELEMENT_F64 ? 1e-12 : 6e-6);
}

static const int64_t lengths[] = {1, 2, 3, 16, 31, 32, 33, 64, 127, 512, 513, 1000, 4096, 4097, 4100, 9003};

static void try_lengths(tarn_element_type type) {
    size_t step = getenv("TARN_TEST_SLOWNESS") != NULL ? 5 : 1;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i += step) {
        const int64_t n = lengths[i];
        const int64_t count = n < 600 ? 5 : 2;
        try(&(rows){count, n, 0, (n + 7) / 8 * 8, 1}, type);               /* each row is aligned */
        try(&(rows){count, n, 1, n, 1}, type);                             /* none is, or some are */
        try(&(rows){count, n, 0, 2 * n + 3, 2}, type);                     /* each second element */
        try(&(rows){n < 2000 ? 33 : 5, n, 0, 1, n < 2000 ? 33 : 5}, type); /* across */
    }
}

static void rows_of_floats_are_normalized(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    try_lengths(TARN_ELEMENT_F32);
}

static void rows_of_doubles_are_normalized(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    try_lengths(TARN_ELEMENT_F64);
}

/* A row whose beginning holds nothing but the least number, piece by piece, and one that is all of it. */
static void infinities_in_long_rows_count_as_nothing(void **state) {
    (void)state;
    kernel_device_need(&cuda);
    const rows shape = {1, 9000, 0, 9000, 1};
    fill(&shape, TARN_ELEMENT_F32);
    for (int64_t i = 0; i < 7000; i++) put(TARN_ELEMENT_F32, cuda.memory[1], i, -INFINITY);
    tarn_operand operands[2] = {lay_out(&shape, TARN_ELEMENT_F32, cuda.memory[0]),
                                lay_out(&shape, TARN_ELEMENT_F32, cuda.memory[1])};
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_SOFTMAX,
                                        .operands = operands,
                                        .output_count = 1,
                                        .input_count = 1};
    operation.attributes.softmax.axis = 1;
    kernel_device_run(&cuda, &operation);
    expect(&shape, TARN_ELEMENT_F32, 0, true, 1e-6);
    assert_true(get(TARN_ELEMENT_F32, cuda.memory[0], 0) == 0);
    for (int64_t i = 7000; i < 9000; i++) put(TARN_ELEMENT_F32, cuda.memory[1], i, -INFINITY);
    kernel_device_run(&cuda, &operation);
    assert_true(isnan(get(TARN_ELEMENT_F32, cuda.memory[0], 8999)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_floats_are_normalized),
        cmocka_unit_test(rows_of_doubles_are_normalized),
        cmocka_unit_test(infinities_in_long_rows_count_as_nothing),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
