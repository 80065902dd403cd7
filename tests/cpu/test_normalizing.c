/* Softmax and layer norm against sums in double precision: axes, types, layouts, long rows, numbers that are none. */
#include "operands.h"

#include <math.h>

#include "backends/cpu/compute/compute.h"

static void run_softmax(tarn_operand *operands, uint32_t axis) {
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_SOFTMAX,
                                        .output_count = 1,
                                        .input_count = 1,
                                        .operands = operands,
                                        .attributes.softmax = {.axis = axis}};
    assert_int_equal(cpu_softmax_run(&operation), TARN_OK);
}

static void check_softmax(const tarn_operand *operands, uint32_t axis) {
    const tarn_operand *out = &operands[0], *in = &operands[1];
    int64_t at[TARN_MAXIMUM_RANK] = {0};
    do {
        if (at[axis] != 0) continue;
        int64_t place[TARN_MAXIMUM_RANK];
        for (uint32_t i = 0; i < in->rank; i++) place[i] = at[i];
        /* What the additions lose is added in the end, so that it does not count. */
        double greatest = -INFINITY, sum = 0, lost = 0;
        for (place[axis] = 0; place[axis] < in->dims[axis]; place[axis]++)
            greatest = fmax(greatest, operand_get(in, place));
        for (place[axis] = 0; place[axis] < in->dims[axis]; place[axis]++) {
            double term = exp(operand_get(in, place) - greatest), before = sum;
            sum += term;
            lost += term < before ? term - (sum - before) : before - (sum - term);
        }
        sum += lost;
        for (place[axis] = 0; place[axis] < in->dims[axis]; place[axis]++) {
            double expected = exp(operand_get(in, place) - greatest) / sum;
            assert_near(operand_get(out, place), expected, expected, 16, in->type);
        }
    } while (next_index(in->rank, in->dims, at));
}

static void softmax(tarn_element_type type, uint32_t rank, const int64_t *dims, uint32_t axis, layout of_in,
                    layout of_out) {
    tarn_operand operands[2] = {operand_make(type, rank, dims, of_out), operand_make(type, rank, dims, of_in)};
    run_softmax(operands, axis);
    check_softmax(operands, axis);
    operands_free();
}

static void softmax_all(void) {
    static const int64_t dims[] = {3, 5, 67}, long_row[] = {2, 5000}, long_column[] = {5000, 3}, one[] = {1};
    for (int type = TARN_ELEMENT_F32; type <= (int)TARN_ELEMENT_F64; type++) {
        for (int form = 0; form < LAYOUT_COUNT; form++)
            for (uint32_t axis = 0; axis < 3; axis++)
                softmax((tarn_element_type)type, 3, dims, axis, (layout)form, (layout)((form + type) % LAYOUT_COUNT));
        softmax((tarn_element_type)type, 2, long_row, 1, LAYOUT_ROWS, LAYOUT_ROWS);
        softmax((tarn_element_type)type, 2, long_column, 0, LAYOUT_ROWS, LAYOUT_ROWS);
        softmax((tarn_element_type)type, 1, one, 0, LAYOUT_ROWS, LAYOUT_ROWS);
    }
}
static void softmax_is_right_along_every_axis(void **state) {
    (void)state;
    at_each_level(softmax_all);
}

static void softmax_special(void) {
    for (int type = TARN_ELEMENT_F32; type <= (int)TARN_ELEMENT_F64; type++) {
        for (uint32_t axis = 0; axis < 2; axis++) {
            const int64_t dims[] = {4, 4};
            tarn_operand operands[2] = {operand_make((tarn_element_type)type, 2, dims, LAYOUT_ROWS),
                                        operand_make((tarn_element_type)type, 2, dims, LAYOUT_ROWS)};
            if (axis == 0) operands[0].strides[0] = operands[1].strides[0] = 1;
            if (axis == 0) operands[0].strides[1] = operands[1].strides[1] = 4;
            /* Row 0 has a NaN, row 1 an infinity, row 2 nothing but -infinity, row 3 numbers whose exponentials do not fit. */
            for (int64_t i = 0; i < 4; i++) {
                int64_t a[2] = {2, i}, b[2] = {3, i};
                if (axis == 0) a[0] = i, a[1] = 2, b[0] = i, b[1] = 3;
                operand_set(&operands[1], a, -INFINITY);
                operand_set(&operands[1], b, i == 0 ? -60000 : 60000 - 32 * (double)i);
            }
            operand_set(&operands[1], axis == 1 ? (int64_t[]){0, 2} : (int64_t[]){2, 0}, NAN);
            operand_set(&operands[1], axis == 1 ? (int64_t[]){1, 2} : (int64_t[]){2, 1}, INFINITY);
            run_softmax(operands, axis);
            for (int64_t i = 0; i < 4; i++) {
                for (int64_t j = 0; j < 3; j++) {
                    int64_t at[2] = {j, i};
                    if (axis == 0) at[0] = i, at[1] = j;
                    double value = operand_get(&operands[0], at);
                    if (j == 1 && i != 2) assert_true(value == 0 || is_nan(value));
                    else assert_true(is_nan(value));
                }
                int64_t at[2] = {3, i};
                if (axis == 0) at[0] = i, at[1] = 3;
                if (i == 0) assert_true(operand_get(&operands[0], at) == 0);
                else assert_false(is_nan(operand_get(&operands[0], at)));
            }
            operands_free();
        }
    }
}
static void softmax_takes_what_is_no_number(void **state) {
    (void)state;
    at_each_level(softmax_special);
}

static void run_norm(tarn_operand *operands, uint32_t dims, int has_weight, int has_bias, double epsilon) {
    tarn_backend_operation operation = {
        .struct_size = sizeof operation,
        .operation = TARN_OPERATION_LAYER_NORM,
        .output_count = 1,
        .input_count = 1 + (uint32_t)has_weight + (uint32_t)has_bias,
        .operands = operands,
        .attributes.layer_norm = {
            .normalized_dims = dims, .has_weight = has_weight, .has_bias = has_bias, .epsilon = epsilon}};
    assert_int_equal(cpu_layer_norm_run(&operation), TARN_OK);
}

/* `weight` and `bias` may be NULL. */
static void check_norm(const tarn_operand *operands, uint32_t dims, const tarn_operand *weight,
                       const tarn_operand *bias, double epsilon) {
    const tarn_operand *out = &operands[0], *in = &operands[1];
    uint32_t first = in->rank - dims;
    int64_t at[TARN_MAXIMUM_RANK] = {0};
    do {
        long double sum = 0, squares = 0, count = 0;
        int64_t *inner = at + first;
        do {
            sum += operand_get(in, at);
            count++;
        } while (next_index(dims, in->dims + first, inner));
        do squares += powl(operand_get(in, at) - sum / count, 2);
        while (next_index(dims, in->dims + first, inner));
        long double deviation = sqrtl(squares / count + epsilon);
        do {
            double expected = (double)((operand_get(in, at) - sum / count) / deviation), size = fabs(expected);
            if (weight != NULL) expected *= operand_get(weight, inner);
            if (bias != NULL) expected += operand_get(bias, inner);
            assert_near(operand_get(out, at), expected, fmax(size, fabs(expected)) + 1, 8, in->type);
        } while (next_index(dims, in->dims + first, inner));
    } while (next_index(first, in->dims, at));
}

static void norm(tarn_element_type type, uint32_t rank, const int64_t *dims, uint32_t normalized, int options,
                 layout form, layout of_out, double shift) {
    tarn_operand operands[4] = {operand_make(type, rank, dims, of_out), operand_make(type, rank, dims, form)};
    tarn_operand *next = operands + 2, *weight = NULL, *bias = NULL;
    int64_t at[TARN_MAXIMUM_RANK] = {0};
    do operand_set(&operands[1], at, operand_get(&operands[1], at) + shift);
    while (next_index(rank, dims, at));
    if ((options & 1) != 0) weight = next++;
    if ((options & 2) != 0) bias = next++;
    if (weight != NULL) *weight = operand_make(type, normalized, dims + rank - normalized, form);
    if (bias != NULL) *bias = operand_make(type, normalized, dims + rank - normalized, of_out);
    run_norm(operands, normalized, weight != NULL, bias != NULL, 1e-5);
    check_norm(operands, normalized, weight, bias, 1e-5);
    operands_free();
}

static void norm_all(void) {
    static const int64_t dims[] = {3, 4, 67}, long_row[] = {2, 3, 1700}, one[] = {1};
    for (int type = TARN_ELEMENT_F32; type <= (int)TARN_ELEMENT_F64; type++) {
        for (int form = 0; form < LAYOUT_COUNT; form++)
            for (uint32_t normalized = 1; normalized <= 3; normalized++)
                norm((tarn_element_type)type, 3, dims, normalized, form % 4, (layout)form,
                     (layout)((form + type) % LAYOUT_COUNT), 0);
        norm((tarn_element_type)type, 3, long_row, 2, 3, LAYOUT_ROWS, LAYOUT_ROWS, 0);
        norm((tarn_element_type)type, 1, one, 1, 3, LAYOUT_ROWS, LAYOUT_ROWS, 0);
    }
    /* Far from zero the differences are all that counts. */
    norm(TARN_ELEMENT_F32, 3, long_row, 2, 3, LAYOUT_ROWS, LAYOUT_ROWS, 1000);
}
static void layer_norm_is_right_over_every_number_of_dimensions(void **state) {
    (void)state;
    at_each_level(norm_all);
}

static void norm_special(void) {
    const int64_t dims[] = {3, 10};
    tarn_operand operands[2] = {operand_make(TARN_ELEMENT_F32, 2, dims, LAYOUT_ROWS),
                                operand_make(TARN_ELEMENT_F32, 2, dims, LAYOUT_ROWS)};
    operand_set(&operands[1], (int64_t[]){0, 3}, NAN);
    operand_set(&operands[1], (int64_t[]){1, 3}, INFINITY);
    run_norm(operands, 1, 0, 0, 1e-5);
    for (int64_t i = 0; i < 10; i++) {
        assert_true(is_nan(operand_get(&operands[0], (int64_t[]){0, i})));
        assert_true(is_nan(operand_get(&operands[0], (int64_t[]){1, i})));
        assert_false(is_nan(operand_get(&operands[0], (int64_t[]){2, i})));
    }
    operands_free();
}
static void layer_norm_of_what_is_no_number_is_none(void **state) {
    (void)state;
    at_each_level(norm_special);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(softmax_is_right_along_every_axis),
        cmocka_unit_test(softmax_takes_what_is_no_number),
        cmocka_unit_test(layer_norm_is_right_over_every_number_of_dimensions),
        cmocka_unit_test(layer_norm_of_what_is_no_number_is_none),
    };
    return cmocka_run_group_tests(tests, operands_setup, operands_teardown);
}
