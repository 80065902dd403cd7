/* What expressions come to: the same values as operations one by one, in fewer passes. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static test_bench bench;
static tarn_tensor *x, *w, *row;

static int open_bench(void **state) {
    (void)state;
    bench_open(&bench, bench_device(), "caching");
    x = counting(&bench, SHAPE(3, 4));
    row = counting(&bench, SHAPE(4));
    tarn_tensor *made;
    EXPECT_OK(tarn_tensor_full(bench.allocator, SHAPE(3, 4), TARN_ELEMENT_F32, tarn_scalar_float(-0.5), NULL, &made));
    w = made;
    return 0;
}

static int close_bench(void **state) {
    (void)state;
    tarn_tensor_release(x);
    tarn_tensor_release(w);
    tarn_tensor_release(row);
    bench_close(&bench);
    return 0;
}

/* Evaluates the expression, releases it, and tells how it was done. */
static tarn_tensor *evaluate(tarn_expr *expr, tarn_evaluation_info *out_info) {
    tarn_evaluation *evaluation = NULL;
    tarn_tensor *result = NULL;
    EXPECT_OK(tarn_evaluation_create(&expr, 1, &evaluation));
    tarn_expr_release(expr);
    tarn_evaluation_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_evaluation_info_get(evaluation, &info));
    EXPECT_OK(tarn_evaluation_run(evaluation, bench.allocator, NULL, &result));
    tarn_evaluation_release(evaluation);
    if (out_info != NULL) *out_info = info;
    return result;
}

static void a_chain_is_one_pass_without_intermediates(void **state) {
    (void)state;
    tarn_expr *y = tarn_expr_relu(tarn_expr_add(tarn_expr_multiply(tarn_expr_of(x), tarn_expr_of(w)), tarn_expr_of(x)));
    tarn_evaluation_info info;
    tarn_tensor *result = evaluate(y, &info);
    EXPECT_FLOATS(result, 0, 0.5f, 1, 1.5f, 2, 2.5f, 3, 3.5f, 4, 4.5f, 5, 5.5f);
    assert_int_equal(info.operations, 3);
    assert_int_equal(info.passes, 1);
    assert_int_equal(info.intermediates, 0);
    assert_int_equal(info.intermediate_bytes, 0);
    assert_int_equal(info.unfused_bytes, 2 * 48);
    assert_int_equal(info.result_bytes, 48);
    tarn_tensor_release(result);
}

static void the_example_of_the_header_evaluates(void **state) {
    (void)state;
    tarn_expr *y = tarn_expr_neg(tarn_expr_of(row));
    tarn_tensor *result = NULL;
    EXPECT_OK(tarn_expr_eval(y, bench.allocator, &result));
    tarn_expr_release(y);
    EXPECT_FLOATS(result, 0, -1, -2, -3);
    tarn_tensor_release(result);
}

static void what_occurs_twice_is_computed_once(void **state) {
    (void)state;
    tarn_expr *first = tarn_expr_exp(tarn_expr_add(tarn_expr_of(x), tarn_expr_of(w)));
    tarn_expr *second = tarn_expr_exp(tarn_expr_add(tarn_expr_of(w), tarn_expr_of(x)));
    tarn_evaluation_info info;
    tarn_tensor *result = evaluate(tarn_expr_subtract(first, second), &info);
    EXPECT_FLOATS(result, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    assert_int_equal(info.operations, 5);
    assert_int_equal(info.shared, 2);
    assert_int_equal(info.passes, 1);
    tarn_tensor_release(result);
}

static void numbers_are_computed_beforehand(void **state) {
    (void)state;
    tarn_expr *two = tarn_expr_divide(tarn_expr_float(6), tarn_expr_integer(3));
    tarn_expr *half = tarn_expr_cast(tarn_expr_pow(two, tarn_expr_integer(-1)), TARN_ELEMENT_F32);
    tarn_expr *kept = tarn_expr_multiply(tarn_expr_of(row), tarn_expr_float(1));
    tarn_evaluation_info info;
    tarn_tensor *result = evaluate(tarn_expr_multiply(kept, half), &info);
    EXPECT_FLOATS(result, 0, 0.5f, 1, 1.5f);
    assert_int_equal(info.passes, 1);
    assert_true(info.folded >= 2);
    tarn_tensor_release(result);
}

static void a_number_keeps_the_digits_that_a_wide_type_has_room_for(void **state) {
    (void)state;
    tarn_tensor *wide = NULL;
    EXPECT_OK(tarn_tensor_cast(row, TARN_ELEMENT_F64, NULL, &wide));
    tarn_expr *sum = tarn_expr_add(tarn_expr_float(0.1), tarn_expr_float(0.2));
    tarn_tensor *result = evaluate(tarn_expr_add(tarn_expr_of(wide), sum), NULL);
    assert_int_equal(tarn_tensor_type(result), TARN_ELEMENT_F64);
    double first;
    double *elements = elements_of(result);
    first = elements[0];
    free(elements);
    assert_true(first == 0.1 + 0.2);
    tarn_tensor_release(result);
    tarn_tensor_release(wide);
}

static void operands_are_broadcast_and_promoted(void **state) {
    (void)state;
    tarn_tensor *column = NULL;
    EXPECT_OK(
        tarn_tensor_from_data(bench.allocator, SHAPE(3, 1), TARN_ELEMENT_I32, (int32_t[]){0, 1, 2}, NULL, &column));
    tarn_expr *table =
        tarn_expr_add(tarn_expr_multiply(tarn_expr_of(column), tarn_expr_integer(10)), tarn_expr_of(row));
    tarn_evaluation_info info;
    tarn_tensor *result = evaluate(table, &info);
    EXPECT_FLOATS(result, 0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23);
    tarn_tensor_release(result);
    tarn_tensor_release(column);
}

static void a_reduction_ends_the_pass_of_what_it_reduces(void **state) {
    (void)state;
    tarn_evaluation_info info;
    tarn_expr *squares = tarn_expr_multiply(tarn_expr_of(x), tarn_expr_of(x));
    tarn_tensor *result = evaluate(tarn_expr_sum(squares, (int[]){1}, 1, 0), &info);
    EXPECT_SHAPE(result, "[3]");
    EXPECT_FLOATS(result, 14, 126, 366);
    assert_int_equal(info.passes, 1);
    assert_int_equal(info.intermediates, 0);
    tarn_tensor_release(result);
    result = evaluate(tarn_expr_max(tarn_expr_neg(tarn_expr_of(x)), (int[]){0}, 1, 1), &info);
    EXPECT_SHAPE(result, "[1, 4]");
    EXPECT_FLOATS(result, 0, -1, -2, -3);
    tarn_tensor_release(result);
}

static void a_softmax_by_hand_shares_its_exponentials(void **state) {
    (void)state;
    int last = -1;
    tarn_expr *greatest = tarn_expr_max(tarn_expr_of(x), &last, 1, 1);
    tarn_expr *powers = tarn_expr_exp(tarn_expr_subtract(tarn_expr_of(x), greatest));
    tarn_expr *sum = tarn_expr_sum(tarn_expr_retain(powers), &last, 1, 1);
    tarn_evaluation_info info;
    tarn_tensor *result = evaluate(tarn_expr_divide(powers, sum), &info);
    tarn_tensor *wanted = NULL, *difference = NULL, *most = NULL;
    EXPECT_OK(tarn_softmax(x, -1, NULL, &wanted));
    EXPECT_OK(tarn_subtract(result, wanted, NULL, &difference));
    EXPECT_OK(tarn_max(difference, NULL, 0, 0, NULL, &most));
    tarn_scalar distance;
    EXPECT_OK(tarn_tensor_item(most, NULL, &distance));
    assert_true(fabs(distance.floating) < 1e-6);
    assert_int_equal(info.passes, 4);
    tarn_tensor_release(most);
    tarn_tensor_release(difference);
    tarn_tensor_release(wanted);
    tarn_tensor_release(result);
}

static void a_product_takes_its_bias_and_activation_along(void **state) {
    (void)state;
    tarn_tensor *square = counting(&bench, SHAPE(4, 4));
    tarn_expr *product = tarn_expr_matmul(tarn_expr_of(w), tarn_expr_of(square));
    tarn_evaluation_info info;
    tarn_tensor *result = evaluate(tarn_expr_relu(tarn_expr_add(tarn_expr_neg(product), tarn_expr_of(row))), &info);
    tarn_tensor *plain = NULL;
    EXPECT_FLOATS(result, 12, 15, 18, 21, 12, 15, 18, 21, 12, 15, 18, 21);
    assert_int_equal(info.passes, 2);
    tarn_tensor_release(result);
    product = tarn_expr_matmul(tarn_expr_of(w), tarn_expr_of(square));
    result = evaluate(tarn_expr_relu(tarn_expr_add(product, tarn_expr_of(row))), &info);
    assert_int_equal(info.passes, 1);
    assert_int_equal(info.intermediates, 0);
    EXPECT_OK(tarn_linear(w, square, row, TARN_OPERATION_RELU, NULL, &plain));
    EXPECT_FLOATS(result, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    EXPECT_FLOATS(plain, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    tarn_tensor_release(plain);
    tarn_tensor_release(result);
    tarn_tensor_release(square);
}

/* Each could take the sum along, with the other one as its bias: both did, and neither was computed. */
static void sums_of_products_have_each_product_once(void **state) {
    (void)state;
    tarn_tensor *square = counting(&bench, SHAPE(4, 4));
    tarn_expr *first = tarn_expr_matmul(tarn_expr_of(x), tarn_expr_of(square));
    tarn_expr *second = tarn_expr_matmul(tarn_expr_of(w), tarn_expr_of(square));
    tarn_expr *third = tarn_expr_matmul(tarn_expr_neg(tarn_expr_of(x)), tarn_expr_of(square));
    tarn_evaluation_info info;
    tarn_tensor *result = evaluate(tarn_expr_add(tarn_expr_retain(first), tarn_expr_retain(second)), &info);
    EXPECT_FLOATS(result, 44, 48, 52, 56, 140, 160, 180, 200, 236, 272, 308, 344);
    assert_int_equal(info.passes, 2);
    assert_int_equal(info.intermediates, 1);
    tarn_tensor_release(result);
    result = evaluate(tarn_expr_add(third, tarn_expr_add(second, first)), &info);
    EXPECT_FLOATS(result, -12, -14, -16, -18, -12, -14, -16, -18, -12, -14, -16, -18);
    assert_int_equal(info.passes, 4);
    tarn_tensor_release(result);
    tarn_tensor_release(square);
}

static void views_move_nothing(void **state) {
    (void)state;
    tarn_evaluation_info info;
    tarn_expr *turned = tarn_expr_transpose(tarn_expr_of(x), NULL);
    tarn_expr *sliced = tarn_expr_slice(turned, 0, 3, -5, -2);
    tarn_tensor *result = evaluate(tarn_expr_neg(sliced), &info);
    EXPECT_SHAPE(result, "[2, 3]");
    EXPECT_FLOATS(result, -3, -7, -11, -1, -5, -9);
    assert_int_equal(info.passes, 1);
    tarn_tensor_release(result);
    tarn_expr *sums = tarn_expr_sum(tarn_expr_of(x), (int[]){1}, 1, 0);
    tarn_expr *column = tarn_expr_reshape(sums, (int64_t[]){-1, 1}, 2);
    result = evaluate(tarn_expr_subtract(tarn_expr_broadcast_to(column, SHAPE(3, 4)), tarn_expr_of(x)), &info);
    EXPECT_FLOATS(result, 6, 5, 4, 3, 18, 17, 16, 15, 30, 29, 28, 27);
    assert_int_equal(info.passes, 2);
    assert_int_equal(info.intermediates, 1);
    tarn_tensor_release(result);
}

static void a_reshape_that_strides_do_not_allow_is_a_copy(void **state) {
    (void)state;
    tarn_evaluation_info info;
    tarn_expr *turned = tarn_expr_transpose(tarn_expr_of(x), NULL);
    tarn_tensor *result = evaluate(tarn_expr_neg(tarn_expr_reshape(turned, (int64_t[]){12}, 1)), &info);
    EXPECT_FLOATS(result, 0, -4, -8, -1, -5, -9, -2, -6, -10, -3, -7, -11);
    assert_int_equal(info.passes, 2);
    tarn_tensor_release(result);
}

static void results_that_are_no_operations_are_copies(void **state) {
    (void)state;
    tarn_expr *exprs[] = {tarn_expr_of(x), tarn_expr_transpose(tarn_expr_of(x), NULL), tarn_expr_float(2.5),
                          tarn_expr_neg(tarn_expr_of(row)), tarn_expr_neg(tarn_expr_of(row))};
    tarn_tensor *results[5] = {NULL};
    tarn_evaluation *evaluation = NULL;
    EXPECT_OK(tarn_evaluation_create(exprs, 5, &evaluation));
    EXPECT_OK(tarn_evaluation_run(evaluation, bench.allocator, NULL, results));
    EXPECT_FLOATS(results[0], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    EXPECT_FLOATS(results[1], 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
    EXPECT_FLOATS(results[2], 2.5f);
    EXPECT_FLOATS(results[3], 0, -1, -2, -3);
    EXPECT_FLOATS(results[4], 0, -1, -2, -3);
    assert_ptr_not_equal(tarn_tensor_data(results[0]), tarn_tensor_data(x));
    assert_ptr_not_equal(tarn_tensor_data(results[3]), tarn_tensor_data(results[4]));
    for (int i = 0; i < 5; i++) {
        tarn_tensor_release(results[i]);
        tarn_expr_release(exprs[i]);
    }
    tarn_evaluation_release(evaluation);
}

static void a_value_may_be_a_result_and_go_on(void **state) {
    (void)state;
    tarn_expr *sum = tarn_expr_add(tarn_expr_of(row), tarn_expr_float(1));
    tarn_expr *exprs[] = {tarn_expr_multiply(tarn_expr_retain(sum), tarn_expr_retain(sum)), sum};
    tarn_tensor *results[2] = {NULL};
    tarn_evaluation *evaluation = NULL;
    tarn_evaluation_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_evaluation_create(exprs, 2, &evaluation));
    EXPECT_OK(tarn_evaluation_info_get(evaluation, &info));
    assert_int_equal(info.passes, 1);
    EXPECT_OK(tarn_evaluation_run(evaluation, bench.allocator, NULL, results));
    EXPECT_FLOATS(results[0], 1, 4, 9, 16);
    EXPECT_FLOATS(results[1], 1, 2, 3, 4);
    for (int i = 0; i < 2; i++) {
        tarn_tensor_release(results[i]);
        tarn_expr_release(exprs[i]);
    }
    tarn_evaluation_release(evaluation);
}

static void an_evaluation_reads_what_its_tensors_hold_now(void **state) {
    (void)state;
    tarn_tensor *input = NULL, *result = NULL;
    EXPECT_OK(tarn_tensor_zeros(bench.allocator, SHAPE(2), TARN_ELEMENT_F32, NULL, &input));
    tarn_expr *expr = tarn_expr_exp(tarn_expr_of(input));
    tarn_evaluation *evaluation = NULL;
    EXPECT_OK(tarn_evaluation_create(&expr, 1, &evaluation));
    tarn_expr_release(expr);
    EXPECT_OK(tarn_evaluation_run(evaluation, bench.allocator, NULL, &result));
    EXPECT_FLOATS(result, 1, 1);
    EXPECT_OK(tarn_tensor_fill(input, tarn_scalar_float(-INFINITY), NULL));
    EXPECT_OK(tarn_evaluation_run(evaluation, bench.allocator, NULL, &result));
    EXPECT_FLOATS(result, 0, 0);
    tarn_evaluation_release(evaluation);
    tarn_tensor_release(input);
    tarn_tensor_release(result);
}

static void results_are_written_into_given_tensors_of_other_types_and_strides(void **state) {
    (void)state;
    tarn_tensor *wide = NULL, *turned = NULL;
    EXPECT_OK(tarn_tensor_zeros(bench.allocator, SHAPE(4, 3), TARN_ELEMENT_F64, NULL, &wide));
    EXPECT_OK(tarn_tensor_transpose(wide, NULL, &turned));
    tarn_expr *expr = tarn_expr_neg(tarn_expr_of(x));
    tarn_evaluation *evaluation = NULL;
    EXPECT_OK(tarn_evaluation_create(&expr, 1, &evaluation));
    tarn_expr_release(expr);
    EXPECT_OK(tarn_evaluation_run(evaluation, bench.allocator, NULL, &turned));
    double values[12];
    EXPECT_OK(tarn_tensor_read(wide, NULL, values, sizeof values));
    for (int i = 0; i < 12; i++) assert_int_equal((int)values[i], -(i % 3 * 4 + i / 3));
    tarn_evaluation_release(evaluation);
    tarn_tensor_release(turned);
    tarn_tensor_release(wide);
}

static void nothing_gives_nothing(void **state) {
    (void)state;
    tarn_tensor *empty = NULL;
    EXPECT_OK(tarn_tensor_zeros(bench.allocator, SHAPE(0, 3), TARN_ELEMENT_F32, NULL, &empty));
    tarn_tensor *result = evaluate(tarn_expr_exp(tarn_expr_neg(tarn_expr_of(empty))), NULL);
    EXPECT_SHAPE(result, "[0, 3]");
    tarn_tensor_release(result);
    result = evaluate(tarn_expr_sum(tarn_expr_exp(tarn_expr_of(empty)), (int[]){0}, 1, 0), NULL);
    EXPECT_FLOATS(result, 0, 0, 0);
    tarn_tensor_release(result);
    tarn_tensor_release(empty);
}

/* More steps than a program has, values that several of them take, and a depth beyond any stack. */
static void a_long_chain_is_cut_into_passes(void **state) {
    (void)state;
    const int length = getenv("TARN_TEST_SLOWNESS") != NULL ? 10000 : 100000;
    tarn_expr *expr = tarn_expr_of(row);
    for (int i = 0; i < length; i++) expr = tarn_expr_add(expr, tarn_expr_of(row));
    tarn_evaluation_info info;
    tarn_tensor *result = evaluate(expr, &info);
    EXPECT_FLOATS(result, 0, (float)length + 1, 2 * ((float)length + 1), 3 * ((float)length + 1));
    assert_int_equal(info.operations, length);
    assert_in_range(info.passes, length / 64, length / 64 + 2);
    /* Each pass writes over what the one before it wrote. */
    assert_int_equal(info.intermediates, 1);
    assert_int_equal(info.intermediate_bytes, 16);
    tarn_tensor_release(result);
}

static void intermediates_share_one_block(void **state) {
    (void)state;
    tarn_tensor *square = counting(&bench, SHAPE(64, 64));
    tarn_expr *expr = tarn_expr_of(square);
    for (int i = 0; i < 9; i++) expr = tarn_expr_softmax(tarn_expr_matmul(expr, tarn_expr_of(square)), -1);
    tarn_evaluation_info info;
    tarn_tensor *result = evaluate(expr, &info);
    assert_int_equal(info.passes, 18);
    assert_int_equal(info.intermediates, 17);
    assert_int_equal(info.separate_bytes, 17 * 64 * 64 * 4);
    assert_int_equal(info.intermediate_bytes, 2 * 64 * 64 * 4);
    assert_int_equal(info.intermediate_bytes, info.lower_bound);
    tarn_tensor_release(result);
    tarn_tensor_release(square);
}

static void an_evaluation_can_be_read(void **state) {
    (void)state;
    tarn_expr *exprs[] = {tarn_expr_softmax(tarn_expr_relu(tarn_expr_add(tarn_expr_of(x), tarn_expr_of(row))), 1)};
    tarn_evaluation *evaluation = NULL;
    char text[512];
    EXPECT_OK(tarn_evaluation_create(exprs, 1, &evaluation));
    tarn_expr_release(exprs[0]);
    size_t length = tarn_evaluation_to_string(evaluation, text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_string_equal(text, "3 operations (0 shared, 0 beforehand) in 2 passes\n"
                              "  add relu: tensor 0 f32[3, 4], tensor 1 f32[4] -> value 3 f32[3, 4] at 0\n"
                              "  softmax: value 3 f32[3, 4] -> result 0 f32[3, 4]\n"
                              "peak of intermediates 48 B (48 B if apart, 96 B unfused), results 48 B\n");
    assert_int_equal(tarn_evaluation_to_string(evaluation, NULL, 0), length);
    assert_int_equal(tarn_evaluation_to_string(NULL, text, sizeof text), 0);
    tarn_evaluation_release(evaluation);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_one_pass_without_intermediates),
        cmocka_unit_test(the_example_of_the_header_evaluates),
        cmocka_unit_test(what_occurs_twice_is_computed_once),
        cmocka_unit_test(numbers_are_computed_beforehand),
        cmocka_unit_test(a_number_keeps_the_digits_that_a_wide_type_has_room_for),
        cmocka_unit_test(operands_are_broadcast_and_promoted),
        cmocka_unit_test(a_reduction_ends_the_pass_of_what_it_reduces),
        cmocka_unit_test(a_softmax_by_hand_shares_its_exponentials),
        cmocka_unit_test(a_product_takes_its_bias_and_activation_along),
        cmocka_unit_test(sums_of_products_have_each_product_once),
        cmocka_unit_test(views_move_nothing),
        cmocka_unit_test(a_reshape_that_strides_do_not_allow_is_a_copy),
        cmocka_unit_test(results_that_are_no_operations_are_copies),
        cmocka_unit_test(a_value_may_be_a_result_and_go_on),
        cmocka_unit_test(an_evaluation_reads_what_its_tensors_hold_now),
        cmocka_unit_test(results_are_written_into_given_tensors_of_other_types_and_strides),
        cmocka_unit_test(nothing_gives_nothing),
        cmocka_unit_test(a_long_chain_is_cut_into_passes),
        cmocka_unit_test(intermediates_share_one_block),
        cmocka_unit_test(an_evaluation_can_be_read),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
