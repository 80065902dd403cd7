/* Making tensors, and what is refused. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static test_bench bench;

static int open_bench(void **state) {
    *state = &bench;
    bench_open(&bench, "cpu", "caching");
    return 0;
}

static int close_bench(void **state) {
    bench_close(*state);
    return 0;
}

static void release(tarn_tensor *tensor) { EXPECT_OK(tarn_tensor_release(tensor)); }

static void a_new_tensor_is_row_major(void **state) {
    (void)state;
    tarn_tensor *tensor;
    EXPECT_OK(tarn_tensor_empty(bench.allocator, SHAPE(2, 3, 4), TARN_ELEMENT_I16, NULL, &tensor));
    EXPECT_SHAPE(tensor, "[2, 3, 4]");
    assert_int_equal(tarn_tensor_strides(tensor)[0], 12);
    assert_int_equal(tarn_tensor_strides(tensor)[1], 4);
    assert_int_equal(tarn_tensor_strides(tensor)[2], 1);
    assert_int_equal(tarn_tensor_elements(tensor), 24);
    assert_int_equal(tarn_tensor_bytes(tensor), 48);
    assert_int_equal(tarn_tensor_type(tensor), TARN_ELEMENT_I16);
    assert_true(tarn_tensor_is_contiguous(tensor));
    assert_false(tarn_tensor_is_read_only(tensor));
    assert_ptr_equal(tarn_tensor_device(tensor), bench.device);
    assert_ptr_equal(tarn_tensor_allocator(tensor), bench.allocator);
    assert_ptr_equal(tarn_tensor_data(tensor), tarn_buffer_data(tarn_tensor_buffer(tensor)));
    release(tensor);
}

static void null_has_an_answer_to_each_question(void **state) {
    (void)state;
    assert_int_equal(tarn_tensor_shape(NULL)->rank, 0);
    assert_null(tarn_tensor_strides(NULL));
    assert_int_equal(tarn_tensor_type(NULL), TARN_ELEMENT_F32);
    assert_int_equal(tarn_tensor_elements(NULL), 0);
    assert_int_equal(tarn_tensor_bytes(NULL), 0);
    assert_null(tarn_tensor_device(NULL));
    assert_null(tarn_tensor_allocator(NULL));
    assert_null(tarn_tensor_buffer(NULL));
    assert_null(tarn_tensor_data(NULL));
    assert_false(tarn_tensor_is_contiguous(NULL));
    assert_false(tarn_tensor_is_read_only(NULL));
    assert_null(tarn_tensor_retain(NULL));
    release(NULL);
}

static void a_tensor_without_elements_has_no_memory(void **state) {
    (void)state;
    tarn_tensor *tensor;
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_tensor_zeros(bench.allocator, SHAPE(3, 0, 2), TARN_ELEMENT_F64, NULL, &tensor));
    EXPECT_OK(tarn_allocator_stats(bench.allocator, &stats));
    assert_int_equal(stats.blocks.current, 0);
    assert_null(tarn_tensor_data(tensor));
    assert_null(tarn_tensor_buffer(tensor));
    assert_true(tarn_tensor_is_contiguous(tensor));
    EXPECT_OK(tarn_tensor_fill(tensor, tarn_scalar_float(1), NULL));
    EXPECT_OK(tarn_tensor_read(tensor, NULL, &stats, 0));
    release(tensor);
}

/* 6. Wrapping such memory said OK and made no tensor, and slices were counted with strides that lead nowhere. */
static void a_zero_dimension_beside_huge_ones_makes_an_empty_tensor(void **state) {
    (void)state;
    const int64_t large = INT64_C(1) << 62, lists[][3] = {{large, large, 0}, {0, large, large}, {large, 0, large}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        tarn_shape shape = {.rank = 3, .dims = {lists[i][0], lists[i][1], lists[i][2]}};
        const int64_t any[3] = {INT64_MAX, INT64_MIN, INT64_MAX};
        tarn_tensor *made[3] = {NULL}, *view = NULL, *sum = NULL;
        EXPECT_OK(tarn_tensor_empty(bench.allocator, &shape, TARN_ELEMENT_F32, NULL, &made[0]));
        EXPECT_OK(tarn_tensor_wrap(bench.device, NULL, &shape, NULL, TARN_ELEMENT_F32, 0, NULL, NULL, &made[1]));
        EXPECT_OK(tarn_tensor_wrap(bench.device, NULL, &shape, any, TARN_ELEMENT_F32, 0, NULL, NULL, &made[2]));
        for (int k = 0; k < 3; k++) {
            assert_int_equal(tarn_tensor_elements(made[k]), 0);
            for (int dim = 0; dim < 3; dim++) {
                EXPECT_OK(tarn_tensor_slice(made[k], dim, 2, 9, 3, &view));
                assert_int_equal(tarn_tensor_elements(view), 0);
                release(view);
            }
            EXPECT_OK(tarn_add(made[0], made[k], NULL, &sum));
            EXPECT_OK(tarn_tensor_reshape(sum, (const int64_t[]){0, large, large}, 3, NULL, &view));
            release(view);
            release(sum);
            sum = NULL;
        }
        for (int k = 0; k < 3; k++) release(made[k]);
    }
}

static void shapes_that_no_memory_holds_are_refused(void **state) {
    (void)state;
    tarn_tensor *tensor = NULL;
    const int64_t large = INT64_C(1) << 62;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_empty(bench.allocator, SHAPE(large, 4), TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT_SENTENCE("more elements than can be counted");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_empty(bench.allocator, SHAPE(large), TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT_SENTENCE("[4611686018427387904] has more bytes than can be counted");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_empty(bench.allocator, SHAPE(-1, 0), TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT_SENTENCE("below 0");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_empty(bench.allocator, SHAPE(2), (tarn_element_type)99, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_tensor_empty(bench.allocator, &(tarn_shape){.rank = 9}, TARN_ELEMENT_F32, NULL, &tensor));
    tarn_status status = tarn_tensor_empty(bench.allocator, SHAPE(INT64_C(1) << 60), TARN_ELEMENT_I8, NULL, &tensor);
    assert_int_equal(status, TARN_OUT_OF_MEMORY);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_empty(NULL, SHAPE(2), TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_empty(bench.allocator, NULL, TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_empty(bench.allocator, SHAPE(2), TARN_ELEMENT_F32, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_tensor_from_data(bench.allocator, SHAPE(2), TARN_ELEMENT_F32, NULL, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_full(bench.allocator, SHAPE(2), TARN_ELEMENT_F32,
                                                   (tarn_scalar){.kind = (tarn_scalar_kind)3}, NULL, &tensor));
    assert_null(tensor);
}

static void expect_item(tarn_element_type type, tarn_scalar value, tarn_scalar wanted) {
    tarn_tensor *tensor;
    tarn_scalar item;
    EXPECT_OK(tarn_tensor_full(bench.allocator, NO_DIMENSIONS, type, value, NULL, &tensor));
    EXPECT_OK(tarn_tensor_item(tensor, NULL, &item));
    assert_int_equal(item.kind, wanted.kind);
    assert_int_equal(item.integer, wanted.integer);
    assert_true(item.floating == wanted.floating);
    release(tensor);
}

static void a_number_is_cast_to_the_type(void **state) {
    (void)state;
    expect_item(TARN_ELEMENT_F32, tarn_scalar_float(0.1), tarn_scalar_float((double)0.1F));
    expect_item(TARN_ELEMENT_F64, tarn_scalar_float(0.1), tarn_scalar_float(0.1));
    expect_item(TARN_ELEMENT_F16, tarn_scalar_float(0.1), tarn_scalar_float(0x1.998p-4));
    expect_item(TARN_ELEMENT_F16, tarn_scalar_float(65519), tarn_scalar_float(65504));
    expect_item(TARN_ELEMENT_F16, tarn_scalar_float(65520), tarn_scalar_float(HUGE_VAL));
    expect_item(TARN_ELEMENT_F16, tarn_scalar_float(0x1p-24), tarn_scalar_float(0x1p-24));
    expect_item(TARN_ELEMENT_F16, tarn_scalar_float(-0x1.8p-25), tarn_scalar_float(-0x1p-24));
    expect_item(TARN_ELEMENT_F16, tarn_scalar_float(0x1p-25), tarn_scalar_float(0));
    expect_item(TARN_ELEMENT_BF16, tarn_scalar_float(0.1), tarn_scalar_float(0x1.9ap-4));
    expect_item(TARN_ELEMENT_I32, tarn_scalar_float(-2.9), tarn_scalar_integer(-2));
    expect_item(TARN_ELEMENT_I8, tarn_scalar_integer(200), tarn_scalar_integer(-56));
    expect_item(TARN_ELEMENT_U8, tarn_scalar_integer(-1), tarn_scalar_integer(255));
    expect_item(TARN_ELEMENT_I16, tarn_scalar_integer(40000), tarn_scalar_integer(-25536));
    expect_item(TARN_ELEMENT_I64, tarn_scalar_integer(INT64_MIN), tarn_scalar_integer(INT64_MIN));
    expect_item(TARN_ELEMENT_I64, tarn_scalar_float(1e30), tarn_scalar_integer(INT64_MAX));
    expect_item(TARN_ELEMENT_BOOL, tarn_scalar_float(0.5), tarn_scalar_bool(1));
    expect_item(TARN_ELEMENT_BOOL, tarn_scalar_integer(256), tarn_scalar_bool(1));
    expect_item(TARN_ELEMENT_F32, tarn_scalar_bool(5), tarn_scalar_float(1));
}

static void an_item_is_the_one_element(void **state) {
    (void)state;
    tarn_scalar item;
    tarn_tensor *tensor = counting(&bench, SHAPE(2)), *one;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_item(tensor, NULL, &item));
    EXPECT_SENTENCE("has 2 elements, not one");
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 1, 2, 1, &one));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_item(one, NULL, NULL));
    EXPECT_OK(tarn_tensor_item(one, NULL, &item));
    assert_true(item.floating == 1);
    release(one);
    release(tensor);
}

static void counting_up_ends_before_the_end(void **state) {
    (void)state;
    tarn_tensor *tensor;
    tarn_scalar zero = tarn_scalar_integer(0), item;
    EXPECT_OK(tarn_tensor_arange(bench.allocator, tarn_scalar_integer(3), tarn_scalar_integer(-4),
                                 tarn_scalar_integer(-3), TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT_FLOATS(tensor, 3, 0, -3);
    release(tensor);
    EXPECT_OK(tarn_tensor_arange(bench.allocator, tarn_scalar_float(0.5), tarn_scalar_integer(2),
                                 tarn_scalar_float(0.5), TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT_FLOATS(tensor, 0.5F, 1, 1.5F);
    release(tensor);
    EXPECT_OK(tarn_tensor_arange(bench.allocator, zero, tarn_scalar_integer(-5), tarn_scalar_integer(1),
                                 TARN_ELEMENT_I32, NULL, &tensor));
    EXPECT_SHAPE(tensor, "[0]");
    release(tensor);
    /* Integers stay exact where double precision does not hold them. */
    EXPECT_OK(tarn_tensor_arange(bench.allocator, tarn_scalar_integer(INT64_MAX - 1), tarn_scalar_integer(INT64_MAX),
                                 tarn_scalar_integer(7), TARN_ELEMENT_I64, NULL, &tensor));
    EXPECT_OK(tarn_tensor_item(tensor, NULL, &item));
    assert_true(item.integer == INT64_MAX - 1);
    release(tensor);
}

static void counts_that_do_not_end_are_refused(void **state) {
    (void)state;
    tarn_tensor *tensor = NULL;
    tarn_allocator *allocator = bench.allocator;
    tarn_scalar zero = tarn_scalar_integer(0), one = tarn_scalar_integer(1), many = tarn_scalar_float(1e30);
    tarn_scalar lowest = tarn_scalar_integer(INT64_MIN), highest = tarn_scalar_integer(INT64_MAX);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_arange(allocator, zero, one, zero, TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT_SENTENCE("in steps of 0 is no count");
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_tensor_arange(allocator, zero, tarn_scalar_float(NAN), one, TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_arange(allocator, zero, many, one, TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT_SENTENCE("more elements than can be counted");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_arange(allocator, lowest, highest, one, TARN_ELEMENT_I8, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_arange(allocator, zero, one, one, TARN_ELEMENT_F32, NULL, NULL));
    assert_null(tensor);
}

/* Lent memory. */

static int given_back;
static void give_back(void *context) { given_back += *(int *)context; }

static void lent_memory_is_given_back_once(void **state) {
    (void)state;
    static int one = 1;
    float values[6] = {0, 1, 2, 3, 4, 5};
    tarn_tensor *tensor, *view;
    given_back = 0;
    EXPECT_OK(tarn_tensor_wrap(bench.device, values, SHAPE(2, 3), NULL, TARN_ELEMENT_F32, 0, give_back, &one, &tensor));
    assert_ptr_equal(tarn_tensor_data(tensor), values);
    assert_null(tarn_tensor_allocator(tensor));
    assert_null(tarn_tensor_buffer(tensor));
    EXPECT_OK(tarn_tensor_transpose(tensor, NULL, &view));
    EXPECT_OK(tarn_tensor_fill(tensor, tarn_scalar_integer(7), NULL));
    release(tensor);
    assert_int_equal(given_back, 0);
    EXPECT_FLOATS(view, 7, 7, 7, 7, 7, 7);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_release(tensor));
    EXPECT_SENTENCE("was released before");
    release(view);
    assert_int_equal(given_back, 1);
}

static void lent_memory_is_seen_through_any_strides(void **state) {
    (void)state;
    float values[6] = {0, 1, 2, 3, 4, 5};
    tarn_tensor *tensor;
    EXPECT_OK(tarn_tensor_wrap(bench.device, values + 5, SHAPE(2, 3), (const int64_t[]){-1, -2}, TARN_ELEMENT_F32, 0,
                               NULL, NULL, &tensor));
    EXPECT_FLOATS(tensor, 5, 3, 1, 4, 2, 0);
    assert_false(tarn_tensor_is_read_only(tensor));
    release(tensor);
    /* Windows over the same elements: nobody may write there. */
    EXPECT_OK(tarn_tensor_wrap(bench.device, values, SHAPE(4, 3), (const int64_t[]){1, 1}, TARN_ELEMENT_F32, 0, NULL,
                               NULL, &tensor));
    EXPECT_FLOATS(tensor, 0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5);
    assert_true(tarn_tensor_is_read_only(tensor));
    release(tensor);
    /* No step is taken along a dimension of 1, so that others may write any stride there. */
    tarn_tensor *double_of_it = NULL;
    EXPECT_OK(tarn_tensor_wrap(bench.device, values, SHAPE(1, 3), (const int64_t[]){INT64_MIN, 2}, TARN_ELEMENT_F32, 0,
                               NULL, NULL, &tensor));
    EXPECT_OK(tarn_tensor_wrap(bench.device, values + 1, SHAPE(1, 3), (const int64_t[]){INT64_MAX, 2}, TARN_ELEMENT_F32,
                               0, NULL, NULL, &double_of_it));
    EXPECT_OK(tarn_add(tensor, tensor, NULL, &double_of_it));
    EXPECT_FLOATS(double_of_it, 0, 4, 8);
    release(double_of_it);
    release(tensor);
    EXPECT_OK(tarn_tensor_wrap(bench.device, values, SHAPE(6), NULL, TARN_ELEMENT_F32, 1, NULL, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_fill(tensor, tarn_scalar_integer(1), NULL));
    EXPECT_SENTENCE("is read-only");
    release(tensor);
}

static void memory_that_cannot_be_lent_is_refused(void **state) {
    (void)state;
    static int one = 1;
    float values[4] = {0};
    tarn_tensor *tensor = NULL;
    tarn_device *device = bench.device;
    const tarn_element_type type = TARN_ELEMENT_F32;
    given_back = 0;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_wrap(device, NULL, SHAPE(2), NULL, type, 0, give_back, &one, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_tensor_wrap(device, (char *)values + 1, SHAPE(2), NULL, type, 0, give_back, &one, &tensor));
    EXPECT_SENTENCE("not aligned to elements of type f32");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_wrap(device, values, SHAPE(3), (const int64_t[]){INT64_MAX / 2}, type, 0,
                                                   give_back, &one, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_tensor_wrap(device, values, SHAPE(3), (const int64_t[]){INT64_MIN}, type, 0, give_back, &one, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_wrap(device, values, SHAPE(3), (const int64_t[]){-(INT64_C(1) << 59)},
                                                   type, 0, give_back, &one, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_wrap(NULL, values, SHAPE(3), NULL, type, 0, give_back, &one, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_wrap(device, values, SHAPE(-3), NULL, type, 0, give_back, &one, &tensor));
    for (unsigned long n = 1; n <= 2; n++) {
        base_memory_fail_at(n, 0);
        EXPECT(TARN_OUT_OF_MEMORY, tarn_tensor_wrap(device, values, SHAPE(3), NULL, type, 0, give_back, &one, &tensor));
    }
    base_memory_fail_at(0, 0);
    assert_null(tensor);
    assert_int_equal(given_back, 0);
}

static void without_host_memory_no_tensor_is_made(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(2, 2)), *made = NULL;
    base_memory_fail_at(1, 0);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_tensor_empty(bench.allocator, SHAPE(2), TARN_ELEMENT_F32, NULL, &made));
    base_memory_fail_at(1, 0);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_tensor_transpose(tensor, NULL, &made));
    base_memory_fail_at(0, 0);
    assert_null(made);
    release(tensor);
}

/* Random numbers. */

/* Philox 4x32-10, as its authors give it. */
static void philox(uint64_t seed, uint64_t number, uint32_t out[2]) {
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t at[4] = {(uint32_t)number, (uint32_t)(number >> 32), 0, 0};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)at[0] * 0xD2511F53u, b = (uint64_t)at[2] * 0xCD9E8D57u;
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ at[1] ^ key[0], (uint32_t)b, (uint32_t)(a >> 32) ^ at[3] ^ key[1],
                            (uint32_t)a};
        memcpy(at, next, sizeof at);
        key[0] += 0x9E3779B9u;
        key[1] += 0xBB67AE85u;
    }
    memcpy(out, at, 2 * sizeof *at);
}

static void a_seed_gives_the_same_numbers_everywhere(void **state) {
    (void)state;
    const uint64_t seed = UINT64_C(0x123456789abcdef0);
    tarn_tensor *tensor;
    EXPECT_OK(tarn_tensor_random_uniform(bench.allocator, SHAPE(50, 100), TARN_ELEMENT_F32, seed, 0, 1, NULL, &tensor));
    const float *values = tarn_tensor_data(tensor);
    for (uint64_t i = 0; i < 5000; i++) {
        uint32_t words[2];
        philox(seed, i, words);
        assert_true(values[i] == (float)(words[0] >> 8) * 0x1p-24F);
    }
    release(tensor);
    EXPECT_OK(tarn_tensor_random_uniform(bench.allocator, SHAPE(100), TARN_ELEMENT_F64, seed, -1, 3, NULL, &tensor));
    const double *doubles = tarn_tensor_data(tensor);
    for (uint64_t i = 0; i < 100; i++) {
        uint32_t words[2];
        philox(seed, i, words);
        double unit = (double)(((uint64_t)words[0] << 32 | words[1]) >> 11) * 0x1p-53;
        assert_true(doubles[i] == unit * 4 - 1);
    }
    release(tensor);
}

static void expect_within(tarn_element_type type, double minimum, double maximum) {
    tarn_tensor *tensor, *wide;
    EXPECT_OK(tarn_tensor_random_uniform(bench.allocator, SHAPE(20000), type, 5, minimum, maximum, NULL, &tensor));
    EXPECT_OK(tarn_tensor_cast(tensor, TARN_ELEMENT_F64, NULL, &wide));
    const double *values = tarn_tensor_data(wide);
    for (size_t i = 0; i < 20000; i++) assert_true(values[i] >= minimum && values[i] < maximum);
    release(wide);
    release(tensor);
}

static void uniform_numbers_stay_below_the_maximum_in_every_type(void **state) {
    (void)state;
    expect_within(TARN_ELEMENT_F16, 0, 1);
    expect_within(TARN_ELEMENT_BF16, 0, 1);
    expect_within(TARN_ELEMENT_F16, 0.1, 0.3);
    expect_within(TARN_ELEMENT_BF16, -3, -2);
    expect_within(TARN_ELEMENT_F32, 1, 1.0000002);
    expect_within(TARN_ELEMENT_F32, -1e-10, 0);
    expect_within(TARN_ELEMENT_F64, 1e300, 1.5e300);
}

static void normal_numbers_have_their_moments(void **state) {
    (void)state;
    tarn_tensor *tensor;
    EXPECT_OK(tarn_tensor_random_normal(bench.allocator, SHAPE(40000), TARN_ELEMENT_F32, 11, 3, 2, NULL, &tensor));
    const float *values = tarn_tensor_data(tensor);
    double sum = 0, squares = 0, fourth = 0;
    for (size_t i = 0; i < 40000; i++) {
        double z = ((double)values[i] - 3) / 2;
        assert_true(isfinite(z));
        sum += z;
        squares += z * z;
        fourth += z * z * z * z;
    }
    /* Five deviations of each mean. */
    assert_true(fabs(sum / 40000) < 0.025);
    assert_true(fabs(squares / 40000 - 1) < 0.036);
    assert_true(fabs(fourth / 40000 - 3) < 0.25);
    release(tensor);
}

static void parameters_without_a_distribution_are_refused(void **state) {
    (void)state;
    tarn_tensor *tensor = NULL;
    tarn_allocator *allocator = bench.allocator;
    const tarn_element_type type = TARN_ELEMENT_F32;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_random_uniform(allocator, SHAPE(2), type, 0, 2, 1, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_random_uniform(allocator, SHAPE(2), type, 0, NAN, 1, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_tensor_random_uniform(allocator, SHAPE(2), TARN_ELEMENT_F16, 0, 0, 1e6, NULL, &tensor));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_random_normal(allocator, SHAPE(2), type, 0, 0, -1, NULL, &tensor));
    EXPECT_SENTENCE("0 and -1 are no parameters");
    EXPECT(TARN_INVALID_ARGUMENT,
           tarn_tensor_random_normal(allocator, SHAPE(2), TARN_ELEMENT_I32, 0, 0, 1, NULL, &tensor));
    EXPECT_SENTENCE("have a floating type, not i32");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_random_normal(allocator, SHAPE(2), type, 0, 0, 1, NULL, NULL));
    assert_null(tensor);
    EXPECT_OK(tarn_tensor_random_uniform(allocator, SHAPE(2), type, 0, 0.5, 0.5, NULL, &tensor));
    EXPECT_FLOATS(tensor, 0.5F, 0.5F);
    release(tensor);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_bench, close_bench)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_new_tensor_is_row_major),
        TEST(null_has_an_answer_to_each_question),
        TEST(a_tensor_without_elements_has_no_memory),
        TEST(a_zero_dimension_beside_huge_ones_makes_an_empty_tensor),
        TEST(shapes_that_no_memory_holds_are_refused),
        TEST(a_number_is_cast_to_the_type),
        TEST(an_item_is_the_one_element),
        TEST(counting_up_ends_before_the_end),
        TEST(counts_that_do_not_end_are_refused),
        TEST(lent_memory_is_given_back_once),
        TEST(lent_memory_is_seen_through_any_strides),
        TEST(memory_that_cannot_be_lent_is_refused),
        TEST(without_host_memory_no_tensor_is_made),
        TEST(a_seed_gives_the_same_numbers_everywhere),
        TEST(uniform_numbers_stay_below_the_maximum_in_every_type),
        TEST(normal_numbers_have_their_moments),
        TEST(parameters_without_a_distribution_are_refused),
    };
    return cmocka_run_group_tests_name("tensor.create", tests, NULL, NULL);
}
