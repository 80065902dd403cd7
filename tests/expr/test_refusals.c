/* Expressions that cannot be, and evaluations that cannot run: one sentence each, and nothing left behind. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static test_bench bench;
static tarn_tensor *x, *row;

static int open_bench(void **state) {
    (void)state;
    bench_open(&bench, "cpu", "caching");
    x = counting(&bench, SHAPE(3, 4));
    row = counting(&bench, SHAPE(4));
    return 0;
}

static int close_bench(void **state) {
    (void)state;
    tarn_tensor_release(x);
    tarn_tensor_release(row);
    bench_close(&bench);
    return 0;
}

/* The expression is evaluated, refused with that status and released. */
static void expect_refused(tarn_expr *expr, tarn_status wanted, const char *sentence) {
    tarn_tensor *result = NULL;
    tarn_shape shape;
    EXPECT(wanted, tarn_expr_eval(expr, bench.allocator, &result));
    EXPECT_SENTENCE(sentence);
    EXPECT(wanted, tarn_expr_shape(expr, &shape));
    EXPECT_SENTENCE(sentence);
    assert_null(result);
    tarn_expr_release(expr);
}

static void an_expression_remembers_why_it_cannot_be(void **state) {
    (void)state;
    tarn_expr *sum = tarn_expr_add(tarn_expr_of(x), tarn_expr_reshape(tarn_expr_of(x), (int64_t[]){4, 3}, 2));
    expect_refused(tarn_expr_relu(tarn_expr_exp(sum)), TARN_INVALID_ARGUMENT, "[3, 4]");
    expect_refused(tarn_expr_of(NULL), TARN_INVALID_ARGUMENT, "the tensor of an expression is NULL");
    expect_refused(tarn_expr_neg(NULL), TARN_INVALID_ARGUMENT, "an operand of an expression is NULL");
    expect_refused(tarn_expr_add(tarn_expr_of(x), NULL), TARN_INVALID_ARGUMENT, "an operand of an expression is NULL");
    expect_refused(tarn_expr_add(NULL, tarn_expr_neg(NULL)), TARN_INVALID_ARGUMENT, "an operand");
    expect_refused(tarn_expr_scalar((tarn_scalar){.kind = 7}), TARN_INVALID_ARGUMENT, "7 is no kind of scalar");
    expect_refused(tarn_expr_unary(TARN_OPERATION_ADD, tarn_expr_of(x)), TARN_INVALID_ARGUMENT, "add");
    expect_refused(tarn_expr_binary(TARN_OPERATION_EXP, tarn_expr_of(x), tarn_expr_of(x)), TARN_INVALID_ARGUMENT,
                   "exp");
    expect_refused(tarn_expr_reduce(TARN_OPERATION_ADD, tarn_expr_of(x), NULL, 0, 0), TARN_INVALID_ARGUMENT, "add");
    expect_refused(tarn_expr_sum(tarn_expr_of(x), (int[]){2}, 1, 0), TARN_INVALID_ARGUMENT, "sum");
    expect_refused(tarn_expr_matmul(tarn_expr_of(x), tarn_expr_of(x)), TARN_INVALID_ARGUMENT, "matmul");
    expect_refused(tarn_expr_softmax(tarn_expr_of(x), 2), TARN_INVALID_ARGUMENT, "softmax");
    expect_refused(tarn_expr_layer_norm(tarn_expr_of(x), 9, NULL, NULL, 0), TARN_INVALID_ARGUMENT, "layer_norm");
    expect_refused(tarn_expr_gather(tarn_expr_of(x), tarn_expr_of(row), 0), TARN_INVALID_ARGUMENT, "gather");
    expect_refused(tarn_expr_max_pool2d(tarn_expr_of(x), NULL), TARN_INVALID_ARGUMENT, "max_pool2d");
    expect_refused(tarn_expr_conv2d(tarn_expr_of(x), tarn_expr_of(x), NULL, NULL), TARN_INVALID_ARGUMENT, "conv2d");
    expect_refused(tarn_expr_reshape(tarn_expr_of(x), (int64_t[]){5}, 1), TARN_INVALID_ARGUMENT, "reshape");
    expect_refused(tarn_expr_transpose(tarn_expr_of(x), (int[]){0, 0}), TARN_INVALID_ARGUMENT, "transpose");
    expect_refused(tarn_expr_slice(tarn_expr_of(x), 0, 0, 1, 0), TARN_INVALID_ARGUMENT, "slice");
    expect_refused(tarn_expr_broadcast_to(tarn_expr_of(x), SHAPE(3, 5)), TARN_INVALID_ARGUMENT, "broadcast_to");
    expect_refused(tarn_expr_broadcast_to(tarn_expr_of(x), NULL), TARN_INVALID_ARGUMENT, "NULL");
    expect_refused(tarn_expr_broadcast_to(tarn_expr_of(x), SHAPE((int64_t)1 << 40, (int64_t)1 << 40, 3, 4)),
                   TARN_INVALID_ARGUMENT, "[");
}

static void what_is_asked_of_nothing_is_refused(void **state) {
    (void)state;
    tarn_tensor *result = NULL;
    tarn_evaluation *evaluation = NULL;
    tarn_evaluation_info info = {.struct_size = sizeof info};
    tarn_element_type type;
    tarn_expr *expr = tarn_expr_of(x);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_expr_eval(NULL, bench.allocator, &result));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_expr_eval(expr, NULL, &result));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_expr_eval(expr, bench.allocator, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_expr_shape(expr, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_expr_type(expr, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_expr_type(NULL, &type));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_create(NULL, 1, &evaluation));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_create(&expr, 0, &evaluation));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_create(&expr, 1, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_info_get(NULL, &info));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_run(NULL, bench.allocator, NULL, &result));
    EXPECT_OK(tarn_evaluation_create(&expr, 1, &evaluation));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_run(evaluation, bench.allocator, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_info_get(evaluation, NULL));
    tarn_evaluation_release(evaluation);
    tarn_evaluation_release(NULL);
    assert_null(tarn_evaluation_retain(NULL));
    assert_null(tarn_expr_retain(NULL));
    tarn_expr_release(expr);
    tarn_expr_release(NULL);
}

static void given_results_have_to_fit(void **state) {
    (void)state;
    tarn_expr *exprs[] = {tarn_expr_neg(tarn_expr_of(x)), tarn_expr_exp(tarn_expr_of(x))};
    tarn_evaluation *evaluation = NULL;
    EXPECT_OK(tarn_evaluation_create(exprs, 2, &evaluation));
    tarn_tensor *turned = NULL, *spread = NULL, *whole = NULL, *integers = NULL, *other = NULL;
    EXPECT_OK(tarn_tensor_transpose(x, NULL, &turned));
    EXPECT_OK(tarn_tensor_broadcast_to(row, SHAPE(3, 4), &spread));
    EXPECT_OK(tarn_tensor_empty(bench.allocator, SHAPE(3, 4), TARN_ELEMENT_I32, NULL, &integers));
    EXPECT_OK(tarn_tensor_empty(bench.allocator, SHAPE(3, 4), TARN_ELEMENT_F32, NULL, &other));
    tarn_tensor *results[] = {turned, NULL};
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_run(evaluation, bench.allocator, NULL, results));
    EXPECT_SENTENCE("result 0 has shape [3, 4], and its tensor [4, 3]");
    results[0] = spread;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_run(evaluation, bench.allocator, NULL, results));
    EXPECT_SENTENCE("result 0 is read-only");
    results[0] = integers;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_run(evaluation, bench.allocator, NULL, results));
    EXPECT_SENTENCE("result 0 of type f32 cannot be written to i32");
    results[0] = x;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_run(evaluation, bench.allocator, NULL, results));
    EXPECT_SENTENCE("result 0 shares memory with a tensor that is read");
    results[0] = results[1] = other;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_evaluation_run(evaluation, bench.allocator, NULL, results));
    EXPECT_SENTENCE("result 1 shares memory with another one");
    assert_ptr_equal(results[0], other);
    tarn_tensor_release(turned);
    tarn_tensor_release(spread);
    tarn_tensor_release(whole);
    tarn_tensor_release(integers);
    tarn_tensor_release(other);
    tarn_evaluation_release(evaluation);
    tarn_expr_release(exprs[0]);
    tarn_expr_release(exprs[1]);
}

static void tensors_of_two_devices_are_refused(void **state) {
    (void)state;
    tarn_device *sim = NULL;
    tarn_allocator *there = NULL;
    tarn_tensor *far = NULL, *result = NULL;
    EXPECT_OK(tarn_device_open("sim:1GiB", &sim));
    EXPECT_OK(tarn_allocator_create(sim, "caching", &there));
    EXPECT_OK(tarn_tensor_empty(there, SHAPE(3, 4), TARN_ELEMENT_F32, NULL, &far));
    tarn_expr *both = tarn_expr_add(tarn_expr_of(x), tarn_expr_of(far));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_expr_eval(both, bench.allocator, &result));
    EXPECT_SENTENCE("on cpu and on sim:1GiB");
    tarn_expr_release(both);
    tarn_expr *here = tarn_expr_neg(tarn_expr_of(x));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_expr_eval(here, there, &result));
    EXPECT_SENTENCE("the tensors are on cpu, and the allocator on sim:1GiB");
    tarn_expr_release(here);
    tarn_expr *apart = tarn_expr_neg(tarn_expr_of(far));
    EXPECT(TARN_NOT_SUPPORTED, tarn_expr_eval(apart, there, &result));
    EXPECT_SENTENCE("sim:1GiB");
    tarn_expr_release(apart);
    tarn_tensor_release(far);
    EXPECT_OK(tarn_allocator_release(there));
    EXPECT_OK(tarn_device_release(sim));
}

/* Two passes, a planned intermediate, a folded number, a copied view, a constant that an operation takes, and two results. */
static tarn_status build_and_run(tarn_tensor **results) {
    tarn_expr *scaled = tarn_expr_multiply(tarn_expr_of(x), tarn_expr_divide(tarn_expr_float(1), tarn_expr_float(4)));
    tarn_expr *soft = tarn_expr_softmax(tarn_expr_add(scaled, tarn_expr_of(row)), -1);
    tarn_expr *flat = tarn_expr_reshape(tarn_expr_transpose(tarn_expr_retain(soft), NULL), (int64_t[]){12}, 1);
    tarn_expr *exprs[] = {tarn_expr_exp(flat), tarn_expr_gather(soft, tarn_expr_integer(1), 0)};
    tarn_evaluation *evaluation = NULL;
    tarn_status status = tarn_evaluation_create(exprs, 2, &evaluation);
    if (status == TARN_OK) status = tarn_evaluation_run(evaluation, bench.allocator, NULL, results);
    tarn_evaluation_release(evaluation);
    tarn_expr_release(exprs[0]);
    tarn_expr_release(exprs[1]);
    return status;
}

static void every_request_for_host_memory_may_fail(void **state) {
    (void)state;
    tarn_tensor *results[2] = {NULL};
    EXPECT_OK(build_and_run(results));
    for (int k = 0; k < 2; k++) {
        tarn_tensor_release(results[k]);
        results[k] = NULL;
    }
    unsigned long at = 0;
    tarn_status status;
    do {
        base_memory_fail_at(++at, 0);
        status = build_and_run(results);
        base_memory_fail_at(0, 0);
        if (status != TARN_OK) {
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            assert_null(results[0]);
            assert_null(results[1]);
        }
    } while (status != TARN_OK && at < 10000);
    assert_in_range(at, 30, 9999);
    for (int k = 0; k < 2; k++) tarn_tensor_release(results[k]);
}

static void a_device_without_memory_leaves_nothing_behind(void **state) {
    (void)state;
    tarn_allocator *little = NULL;
    tarn_tensor *result = NULL;
    EXPECT_OK(tarn_allocator_create(bench.device, "limit:64 | caching", &little));
    tarn_expr *expr = tarn_expr_softmax(tarn_expr_softmax(tarn_expr_of(x), 0), 1);
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_expr_eval(expr, little, &result));
    assert_null(result);
    tarn_expr_release(expr);
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_allocator_stats(little, &stats));
    assert_int_equal(stats.blocks.current, 0);
    EXPECT_OK(tarn_allocator_release(little));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_expression_remembers_why_it_cannot_be),
        cmocka_unit_test(what_is_asked_of_nothing_is_refused),
        cmocka_unit_test(given_results_have_to_fit),
        cmocka_unit_test(tensors_of_two_devices_are_refused),
        cmocka_unit_test(every_request_for_host_memory_may_fail),
        cmocka_unit_test(a_device_without_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, open_bench, close_bench);
}
