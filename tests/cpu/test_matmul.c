/* Matrix products against sums in double precision: shapes, types, layouts, batches, bias and activation. */
#include "operands.h"

#include <math.h>

#include "backends/cpu/compute/compute.h"

static tarn_backend_operation operation_of(const tarn_operand *operands, int has_bias, tarn_operation activation) {
    return (tarn_backend_operation){.struct_size = sizeof(tarn_backend_operation),
                                    .operation = TARN_OPERATION_MATMUL,
                                    .output_count = 1,
                                    .input_count = has_bias ? 3 : 2,
                                    .operands = operands,
                                    .attributes.matmul = {.has_bias = has_bias, .activation = activation}};
}

static double activate(tarn_operation activation, double value) {
    switch (activation) {
    case TARN_OPERATION_RELU: return value < 0 ? 0 : value;
    case TARN_OPERATION_SIGMOID: return 1 / (1 + exp(-value));
    case TARN_OPERATION_TANH: return tanh(value);
    default: return value;
    }
}

/* Every element is what it should be. */
static void check(const tarn_operand *operands, int has_bias, tarn_operation activation) {
    const tarn_operand *out = &operands[0], *left = &operands[1], *right = &operands[2];
    uint32_t rank = out->rank;
    int64_t index[TARN_MAXIMUM_RANK] = {0}, inners = left->dims[rank - 1], rows = out->dims[rank - 2];
    int64_t columns = out->dims[rank - 1], place = 0;
    const double *lefts = operand_values(left), *rights = operand_values(right);
    do {
        int64_t matrix = place / (rows * columns), row = place / columns % rows, column = place % columns;
        const double *from_left = lefts + (matrix * rows + row) * inners;
        const double *from_right = rights + matrix * inners * columns + column;
        double sum = has_bias ? operand_get(&operands[3], index) : 0, size = 1;
        for (int64_t inner = 0; inner < inners; inner++) {
            double product = from_left[inner] * from_right[inner * columns];
            sum += product;
            size += fabs(product);
        }
        /* Products of halves are summed in floats, and rounded when they are stored. */
        assert_near(operand_get(out, index), activate(activation, sum), size, 8, out->type);
        place++;
    } while (next_index(rank, out->dims, index));
}

/* A product of 2-dimensional matrices. */
static void multiply(tarn_element_type type, int64_t rows, int64_t columns, int64_t inners, layout of_left,
                     layout of_right, layout of_out) {
    tarn_operand operands[3] = {operand_make(type, 2, (int64_t[]){rows, columns}, of_out),
                                operand_make(type, 2, (int64_t[]){rows, inners}, of_left),
                                operand_make(type, 2, (int64_t[]){inners, columns}, of_right)};
    tarn_backend_operation operation = operation_of(operands, 0, TARN_OPERATION_COPY);
    assert_int_equal(cpu_matmul_run(&operation), TARN_OK);
    check(operands, 0, TARN_OPERATION_COPY);
    operands_free();
}

static void multiply_shapes(void) {
    static const int64_t sizes[] = {1, 2, 7, 16, 33};
    const size_t count = sizeof sizes / sizeof sizes[0];
    for (size_t i = 0; i < count * count * count; i++)
        multiply(TARN_ELEMENT_F32, sizes[i % count], sizes[i / count % count], sizes[i / count / count], LAYOUT_ROWS,
                 LAYOUT_ROWS, LAYOUT_ROWS);
}
static void all_shapes_are_multiplied(void **state) {
    (void)state;
    with_each_engine(multiply_shapes);
}

static void multiply_large(void) {
    /* More than one tile, and piece, each way. */
    multiply(TARN_ELEMENT_F32, 251, 40, 300, LAYOUT_ROWS, LAYOUT_ROWS, LAYOUT_ROWS);
    multiply(TARN_ELEMENT_F32, 20, 530, 270, LAYOUT_ROWS, LAYOUT_TRANSPOSED, LAYOUT_ROWS);
    multiply(TARN_ELEMENT_F64, 130, 70, 290, LAYOUT_ROWS, LAYOUT_ROWS, LAYOUT_ROWS);
}
static void large_matrices_are_multiplied(void **state) {
    (void)state;
    with_each_engine(multiply_large);
}

static void multiply_layouts(void) {
    for (int type = TARN_ELEMENT_F32; type <= (int)TARN_ELEMENT_F64; type++)
        for (int i = 0; i < LAYOUT_COUNT * LAYOUT_COUNT; i++)
            multiply((tarn_element_type)type, 7, 34, 11, (layout)(i % LAYOUT_COUNT), (layout)(i / LAYOUT_COUNT),
                     (layout)((i + i / LAYOUT_COUNT) % LAYOUT_COUNT));
}
static void all_layouts_and_types_are_multiplied(void **state) {
    (void)state;
    with_each_engine(multiply_layouts);
}

/* Batches, of which an operand may have one for all, with a bias that is broadcast along `shared` dimensions (bits). */
static void multiply_batches(void) {
    static const tarn_operation activations[] = {TARN_OPERATION_COPY, TARN_OPERATION_RELU, TARN_OPERATION_SIGMOID,
                                                 TARN_OPERATION_TANH};
    for (int type = TARN_ELEMENT_F32; type <= (int)TARN_ELEMENT_F64; type++) {
        for (unsigned shared = 0; shared < 16; shared++) {
            const int64_t out_dims[] = {2, 3, 9, 18}, left_dims[] = {2, 3, 9, 5}, right_dims[] = {2, 3, 5, 18};
            tarn_operand operands[4] = {operand_make((tarn_element_type)type, 4, out_dims, LAYOUT_ROWS),
                                        operand_make((tarn_element_type)type, 4, left_dims, LAYOUT_ROWS),
                                        operand_make((tarn_element_type)type, 4, right_dims, LAYOUT_ROWS),
                                        operand_make((tarn_element_type)type, 4, out_dims, LAYOUT_ROWS)};
            for (unsigned i = 0; i < 4; i++)
                if ((shared >> i & 1) != 0) operands[3].strides[i] = 0;
            if ((shared & 1) != 0) operands[1].strides[0] = 0;
            if ((shared & 2) != 0) operands[2].strides[0] = operands[2].strides[1] = 0;
            tarn_operation activation = activations[shared % 4];
            tarn_backend_operation operation = operation_of(operands, 1, activation);
            assert_int_equal(cpu_matmul_run(&operation), TARN_OK);
            check(operands, 1, activation);
            operands_free();
        }
    }
}
static void batches_with_bias_and_activation_are_multiplied(void **state) {
    (void)state;
    with_each_engine(multiply_batches);
}

static void multiply_special(void) {
    tarn_operand operands[3] = {operand_make(TARN_ELEMENT_F32, 2, (int64_t[]){3, 3}, LAYOUT_ROWS),
                                operand_make(TARN_ELEMENT_F32, 2, (int64_t[]){3, 3}, LAYOUT_ROWS),
                                operand_make(TARN_ELEMENT_F32, 2, (int64_t[]){3, 3}, LAYOUT_ROWS)};
    operand_set(&operands[1], (int64_t[]){0, 1}, NAN);
    operand_set(&operands[1], (int64_t[]){1, 1}, INFINITY);
    operand_set(&operands[2], (int64_t[]){1, 2}, 0);
    tarn_backend_operation operation = operation_of(operands, 0, TARN_OPERATION_RELU);
    assert_int_equal(cpu_matmul_run(&operation), TARN_OK);
    for (int64_t i = 0; i < 3; i++) assert_true(is_nan(operand_get(&operands[0], (int64_t[]){0, i})));
    assert_true(is_nan(operand_get(&operands[0], (int64_t[]){1, 2})));
    assert_false(is_nan(operand_get(&operands[0], (int64_t[]){2, 2})));
    operands_free();
}
static void nan_and_infinity_come_through(void **state) {
    (void)state;
    with_each_engine(multiply_special);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_shapes_are_multiplied),
        cmocka_unit_test(large_matrices_are_multiplied),
        cmocka_unit_test(all_layouts_and_types_are_multiplied),
        cmocka_unit_test(batches_with_bias_and_activation_are_multiplied),
        cmocka_unit_test(nan_and_infinity_come_through),
    };
    return cmocka_run_group_tests(tests, operands_setup, operands_teardown);
}
