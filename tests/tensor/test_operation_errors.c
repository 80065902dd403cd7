/* What operations refuse, with which sentence, and that nothing is changed then; and what happens when host memory ends. Numbers in comments
 * are those of the project's list of faults. */
#include <string.h>

#include <tarn/operation.h>

#include "base/memory.h"
#include "bench.h"
#include "tensor/infer.h"

#define REFUSED(wanted, words, call)                              \
    do {                                                          \
        tarn_tensor *result = NULL;                               \
        expect_status((call), wanted, #call, __FILE__, __LINE__); \
        EXPECT_SENTENCE(words);                                   \
        assert_null(result);                                      \
    } while (0)

typedef struct test_stand {
    test_bench cpu, sim;
    tarn_tensor *x;       /* [2, 3] */
    tarn_tensor *foreign; /* [2, 3] on the other device */
} test_stand;

static int begin(void **state) {
    static test_stand stand;
    bench_open(&stand.cpu, "cpu", "caching");
    bench_open(&stand.sim, "sim:1GiB", "caching");
    stand.x = counting(&stand.cpu, SHAPE(2, 3));
    EXPECT_OK(tarn_tensor_empty(stand.sim.allocator, SHAPE(2, 3), TARN_ELEMENT_F32, NULL, &stand.foreign));
    *state = &stand;
    return 0;
}

static int end(void **state) {
    test_stand *stand = *state;
    EXPECT_OK(tarn_tensor_release(stand->x));
    EXPECT_OK(tarn_tensor_release(stand->foreign));
    bench_close(&stand->sim);
    bench_close(&stand->cpu);
    return 0;
}

static void shapes_that_do_not_fit_are_named(void **state) {
    test_stand *stand = *state;
    tarn_tensor *four = counting(&stand->cpu, SHAPE(4)), *x = stand->x;
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: add: the shapes [2, 3] and [4] do not broadcast",
            tarn_add(x, four, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: matmul: the inner dimensions differ, [2, 3] and [4]",
            tarn_matmul(x, four, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: sum: the shape [2, 3] has no dimension 2",
            tarn_sum(x, (const int[]){2}, 1, 0, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: softmax: the shape [2, 3] has no dimension -3",
            tarn_softmax(x, -3, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: layer_norm: over the last 9 dimensions of [2, 3]",
            tarn_layer_norm(x, SIZE_MAX, NULL, NULL, 0, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: layer_norm: the bias has the normalized dimensions, [4] and [3]",
            tarn_layer_norm(x, 1, NULL, four, 0, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: gather: the shape [2, 3] has no dimension 2",
            tarn_gather(x, four, 2, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: conv2d: the input has [batch, channels, height, width]",
            tarn_conv2d(x, x, NULL, NULL, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: max_pool2d: the options are NULL", tarn_max_pool2d(x, NULL, NULL, &result));
    EXPECT_OK(tarn_tensor_release(four));
}

/* 4, 7 */
static void negative_and_huge_dimensions_are_refused(void **state) {
    test_stand *stand = *state;
    const tarn_shape negative = {.rank = 2, .dims = {-1, 3}};
    const tarn_shape huge = {.rank = 2, .dims = {(int64_t)1 << 31, (int64_t)1 << 31}};
    REFUSED(TARN_INVALID_ARGUMENT, "below 0",
            tarn_tensor_empty(stand->cpu.allocator, &negative, TARN_ELEMENT_F32, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "[2147483648, 2147483648]",
            tarn_tensor_empty(stand->cpu.allocator, &huge, TARN_ELEMENT_F32, NULL, &result));
    /* Broadcast to as many, it is the result that cannot be. */
    tarn_tensor *single = counting(&stand->cpu, SHAPE(1, 1)), *tall, *wide;
    EXPECT_OK(tarn_tensor_broadcast_to(single, SHAPE((int64_t)1 << 31, 1), &tall));
    EXPECT_OK(tarn_tensor_broadcast_to(single, SHAPE(1, (int64_t)1 << 31), &wide));
    REFUSED(TARN_INVALID_ARGUMENT, "add: the result of shape [2147483648, 2147483648] has more bytes",
            tarn_add(tall, wide, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "matmul: the result of shape [2147483648, 2147483648] has more bytes",
            tarn_matmul(tall, wide, NULL, &result));
    /* 6 */
    tarn_tensor *none = counting(&stand->cpu, SHAPE(1, 0)), *empty = NULL;
    EXPECT_OK(tarn_add(tall, none, NULL, &empty));
    EXPECT_SHAPE(empty, "[2147483648, 0]");
    EXPECT_OK(tarn_tensor_release(empty));
    EXPECT_OK(tarn_tensor_release(none));
    EXPECT_OK(tarn_tensor_release(tall));
    EXPECT_OK(tarn_tensor_release(wide));
    EXPECT_OK(tarn_tensor_release(single));
}

static void types_without_a_meaning_are_refused(void **state) {
    test_stand *stand = *state;
    tarn_tensor *truth, *whole;
    EXPECT_OK(tarn_tensor_from_data(stand->cpu.allocator, SHAPE(1, 2), TARN_ELEMENT_BOOL, "\0\1", NULL, &truth));
    EXPECT_OK(
        tarn_tensor_from_data(stand->cpu.allocator, SHAPE(2), TARN_ELEMENT_I16, (const int16_t[]){1, 2}, NULL, &whole));
    REFUSED(TARN_NOT_SUPPORTED, "cpu: neg of bool: it takes numbers alone", tarn_neg(truth, NULL, &result));
    REFUSED(TARN_NOT_SUPPORTED, "cpu: relu of bool", tarn_relu(truth, NULL, &result));
    REFUSED(TARN_NOT_SUPPORTED, "cpu: subtract of bool", tarn_subtract(truth, truth, NULL, &result));
    REFUSED(TARN_NOT_SUPPORTED, "cpu: mean of i16: it takes floating types alone",
            tarn_mean(whole, NULL, 0, 0, NULL, &result));
    REFUSED(TARN_NOT_SUPPORTED, "cpu: softmax of i16", tarn_softmax(whole, 0, NULL, &result));
    REFUSED(TARN_NOT_SUPPORTED, "cpu: matmul of bool", tarn_matmul(truth, whole, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "types f32 and i16", tarn_matmul(stand->x, whole, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: select: the condition is of type i16",
            tarn_select(whole, whole, whole, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "cpu: gather: indices of type i16", tarn_gather(stand->x, whole, 0, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "exp (2) cannot be its activation",
            tarn_linear(stand->x, stand->x, NULL, TARN_OPERATION_EXP, NULL, &result));
    EXPECT_OK(tarn_tensor_release(whole));
    EXPECT_OK(tarn_tensor_release(truth));
}

static void operations_of_another_sort_are_refused(void **state) {
    test_stand *stand = *state;
    tarn_tensor *x = stand->x;
    REFUSED(TARN_INVALID_ARGUMENT, "add (10) is no operation of one operand",
            tarn_unary(TARN_OPERATION_ADD, x, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "exp (2) is no operation of two operands",
            tarn_binary(TARN_OPERATION_EXP, x, x, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "random (20) is no operation of two operands",
            tarn_binary_scalar(TARN_OPERATION_RANDOM, x, tarn_scalar_integer(1), NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "add (10) is no reduction",
            tarn_reduce(TARN_OPERATION_ADD, x, NULL, 0, 0, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "unknown (99) is no operation", tarn_unary((tarn_operation)99, x, NULL, &result));
    assert_int_equal(tarn_device_supports(stand->cpu.device, (tarn_operation)99, TARN_ELEMENT_F32), 0);
    assert_int_equal(tarn_device_supports(stand->cpu.device, TARN_OPERATION_ADD, (tarn_element_type)99), 0);
    assert_int_equal(tarn_device_supports(stand->cpu.device, TARN_OPERATION_NEG, TARN_ELEMENT_BOOL), 0);
    assert_int_equal(tarn_device_supports(NULL, TARN_OPERATION_ADD, TARN_ELEMENT_F32), 0);
}

/* Where the type has one: other devices may lack some. */
static void the_cpu_device_computes_whatever_has_a_meaning(void **state) {
    test_stand *stand = *state;
    for (int operation = 0; operation < TARN_OPERATION_PROGRAM; operation++) {
        for (int type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
            tarn_element_type computed;
            int wanted = tensor_computed_type((tarn_operation)operation, (tarn_element_type)type, &computed);
            if (operation == TARN_OPERATION_RANDOM) continue; /* of programs alone, and of two types */
            assert_int_equal(
                tarn_device_supports(stand->cpu.device, (tarn_operation)operation, (tarn_element_type)type), wanted);
        }
    }
}

/* 12 */
static void another_device_is_named(void **state) {
    test_stand *stand = *state;
    tarn_tensor *x = stand->x, *foreign = stand->foreign;
    tarn_operation_options options = {.struct_size = sizeof options, .allocator = stand->sim.allocator};
    tarn_stream *stream;
    REFUSED(TARN_INVALID_ARGUMENT, "add: the first operand is on cpu, and the second operand on sim:1GiB",
            tarn_add(x, foreign, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "the allocator of the result on sim:1GiB", tarn_exp(x, &options, &result));
    EXPECT_OK(tarn_stream_create(stand->sim.device, &stream));
    options = (tarn_operation_options){.struct_size = sizeof options, .stream = stream};
    REFUSED(TARN_INVALID_ARGUMENT, "stream", tarn_exp(x, &options, &result));
    EXPECT_OK(tarn_stream_release(stream));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(x, x, NULL, &foreign));
    EXPECT_SENTENCE("the result on sim:1GiB");
}

/* What a device does not compute is named with it, and moving elements is not computing. */
static void a_device_without_operations_copies(void **state) {
    test_stand *stand = *state;
    assert_int_equal(tarn_device_supports(stand->sim.device, TARN_OPERATION_ADD, TARN_ELEMENT_F32), 0);
    REFUSED(TARN_NOT_SUPPORTED, "sim:1GiB: the device does not compute add of f32",
            tarn_add(stand->foreign, stand->foreign, NULL, &result));
    REFUSED(TARN_NOT_SUPPORTED, "sim:1GiB: the device does not compute softmax of f32",
            tarn_softmax(stand->foreign, 0, NULL, &result));
    tarn_tensor *copy = NULL;
    EXPECT_OK(tarn_unary(TARN_OPERATION_COPY, stand->foreign, NULL, &copy));
    EXPECT_SHAPE(copy, "[2, 3]");
    EXPECT_OK(tarn_tensor_release(copy));
}

/* 10, 11 */
static void missing_arguments_are_named(void **state) {
    test_stand *stand = *state;
    tarn_tensor *x = stand->x;
    tarn_operation_options options = {.struct_size = 1};
    REFUSED(TARN_INVALID_ARGUMENT, "add: the second operand is NULL", tarn_add(x, NULL, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "select: the first operand is NULL", tarn_select(NULL, x, x, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "conv2d: the second operand is NULL",
            tarn_conv2d(x, NULL, NULL, NULL, NULL, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "layer_norm: the first operand is NULL",
            tarn_layer_norm(NULL, 1, NULL, NULL, 0, NULL, &result));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_exp(x, NULL, NULL));
    EXPECT_SENTENCE("exp: the place for the result is NULL");
    REFUSED(TARN_INVALID_ARGUMENT, "struct_size", tarn_exp(x, &options, &result));
    REFUSED(TARN_INVALID_ARGUMENT, "the list of 2 dimensions is NULL", tarn_sum(x, NULL, 2, 0, NULL, &result));
}

/* It is seen as long as views of it live, and for some time after. */
static void a_released_tensor_is_refused_where_it_can_be_seen(void **state) {
    test_stand *stand = *state;
    tarn_tensor *x = counting(&stand->cpu, SHAPE(3)), *view;
    EXPECT_OK(tarn_tensor_slice(x, 0, 0, 2, 1, &view));
    EXPECT_OK(tarn_tensor_release(x));
    REFUSED(TARN_INVALID_ARGUMENT, "add: the second operand was released before", tarn_add(view, x, NULL, &result));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(view, view, NULL, &x));
    EXPECT_SENTENCE("the result was released before");
    EXPECT_OK(tarn_tensor_release(view));
}

static void results_that_do_not_fit_are_refused(void **state) {
    test_stand *stand = *state;
    tarn_tensor *x = stand->x, *small = counting(&stand->cpu, SHAPE(2, 1)), *whole, *truth, *spread, *locked;
    static float lent[6];
    EXPECT_OK(tarn_tensor_empty(stand->cpu.allocator, SHAPE(2, 3), TARN_ELEMENT_I64, NULL, &whole));
    EXPECT_OK(tarn_tensor_empty(stand->cpu.allocator, SHAPE(2, 3), TARN_ELEMENT_BOOL, NULL, &truth));
    EXPECT_OK(tarn_tensor_broadcast_to(small, SHAPE(2, 3), &spread));
    EXPECT_OK(tarn_tensor_wrap(stand->cpu.device, lent, SHAPE(2, 3), NULL, TARN_ELEMENT_F32, 1, NULL, NULL, &locked));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(x, x, NULL, &small));
    EXPECT_SENTENCE("cpu: add: the result has the shape [2, 3], and not [2, 1]");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(x, x, NULL, &whole));
    EXPECT_SENTENCE("the result is of type f32, which cannot be cast to i64");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(whole, whole, NULL, &truth));
    EXPECT_SENTENCE("i64, which cannot be cast to bool");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(x, x, NULL, &spread));
    EXPECT_SENTENCE("the result has one element at two places");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(x, x, NULL, &locked));
    EXPECT_SENTENCE("the result is read-only");
    /* Nobody knows where a new result would come from; named, it does. */
    tarn_tensor *result = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(locked, locked, NULL, &result));
    EXPECT_SENTENCE("no allocator is named");
    const tarn_operation_options options = {.struct_size = sizeof options, .allocator = stand->cpu.allocator};
    EXPECT_OK(tarn_add(locked, locked, &options, &result));
    EXPECT_FLOATS(result, 0, 0, 0, 0, 0, 0);
    tarn_tensor *const all[] = {result, small, whole, truth, spread, locked};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) EXPECT_OK(tarn_tensor_release(all[i]));
    EXPECT_FLOATS(x, 0, 1, 2, 3, 4, 5);
}

static void results_may_have_an_operands_elements_or_none_of_them(void **state) {
    test_stand *stand = *state;
    tarn_tensor *x = counting(&stand->cpu, SHAPE(4, 4)), *left, *right, *middle, *turned, *row;
    EXPECT_OK(tarn_tensor_slice(x, 1, 0, 2, 1, &left));
    EXPECT_OK(tarn_tensor_slice(x, 1, 2, 4, 1, &right));
    EXPECT_OK(tarn_tensor_slice(x, 1, 1, 3, 1, &middle));
    EXPECT_OK(tarn_tensor_transpose(x, NULL, &turned));
    EXPECT_OK(tarn_tensor_slice(x, 0, 1, 2, 1, &row));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(left, right, NULL, &middle));
    EXPECT_SENTENCE("cpu: add: the result overlaps the first operand without having the same elements");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(right, middle, NULL, &right));
    EXPECT_SENTENCE("overlaps the second operand");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_exp(turned, NULL, &x));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_add(x, row, NULL, &x));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_unary(TARN_OPERATION_COPY, turned, NULL, &x));
    EXPECT_OK(tarn_add(left, right, NULL, &left));
    EXPECT_FLOATS(x, 2, 4, 2, 3, 10, 12, 6, 7, 18, 20, 10, 11, 26, 28, 14, 15);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_softmax(x, 0, NULL, &x));
    EXPECT_SENTENCE("cpu: softmax: the result overlaps the first operand");
    tarn_tensor *const all[] = {x, left, right, middle, turned, row};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) EXPECT_OK(tarn_tensor_release(all[i]));
}

/* Every request for host memory fails in turn: the call says so, the result stays as it was, and a retry works. */
static void running_out_of_host_memory_changes_nothing(void **state) {
    test_stand *stand = *state;
    tarn_stream *worker;
    EXPECT_OK(tarn_stream_create(stand->cpu.device, &worker));
    for (int on_worker = 0; on_worker < 2; on_worker++) {
        tarn_operation_options options = {.struct_size = sizeof options, .stream = on_worker ? worker : NULL};
        tarn_tensor *result = NULL;
        unsigned long n = 1;
        for (;; n++) {
            base_memory_fail_at(n, 0);
            tarn_status status = tarn_add(stand->x, stand->x, &options, &result);
            bool has_failed = base_memory_requests() >= n;
            base_memory_fail_at(0, 0);
            EXPECT_OK(tarn_device_synchronize(stand->cpu.device));
            if (!has_failed) break;
            if (status == TARN_OK) { /* what failed was not needed */
                EXPECT_OK(tarn_tensor_release(result));
                result = NULL;
                continue;
            }
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            assert_null(result);
        }
        assert_true(n > 1);
        EXPECT_FLOATS(result, 0, 2, 4, 6, 8, 10);
        EXPECT_OK(tarn_tensor_release(result));
    }
    EXPECT_OK(tarn_stream_release(worker));
}

/* What the allocator of the result answers is the answer; memory that is there again is used. */
static void running_out_of_memory_for_the_result_changes_nothing(void **state) {
    test_stand *stand = *state;
    tarn_operation_options options = {.struct_size = sizeof options};
    tarn_tensor *first = NULL;
    EXPECT_OK(tarn_allocator_create(stand->cpu.device, "limit:100 | direct", &options.allocator));
    EXPECT_OK(tarn_add(stand->x, stand->x, &options, &first));
    REFUSED(TARN_LIMIT_EXCEEDED, "limit", tarn_add(stand->x, stand->x, &options, &result));
    EXPECT_OK(tarn_add(stand->x, stand->x, &options, &first));
    EXPECT_OK(tarn_tensor_release(first));
    first = NULL;
    EXPECT_OK(tarn_add(stand->x, stand->x, &options, &first));
    EXPECT_FLOATS(first, 0, 2, 4, 6, 8, 10);
    EXPECT_OK(tarn_tensor_release(first));
    EXPECT_OK(tarn_allocator_release(options.allocator));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_that_do_not_fit_are_named),
        cmocka_unit_test(negative_and_huge_dimensions_are_refused),
        cmocka_unit_test(types_without_a_meaning_are_refused),
        cmocka_unit_test(operations_of_another_sort_are_refused),
        cmocka_unit_test(the_cpu_device_computes_whatever_has_a_meaning),
        cmocka_unit_test(another_device_is_named),
        cmocka_unit_test(a_device_without_operations_copies),
        cmocka_unit_test(missing_arguments_are_named),
        cmocka_unit_test(a_released_tensor_is_refused_where_it_can_be_seen),
        cmocka_unit_test(results_that_do_not_fit_are_refused),
        cmocka_unit_test(results_may_have_an_operands_elements_or_none_of_them),
        cmocka_unit_test(running_out_of_host_memory_changes_nothing),
        cmocka_unit_test(running_out_of_memory_for_the_result_changes_nothing),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
