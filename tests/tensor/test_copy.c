/* Copies and fills within a device: strides, casts, overlaps, and what they need. */
#include "bench.h"

#include <string.h>

#include "base/memory.h"
#include "tensor/tensor.h"

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

static void a_copy_is_broadcast_and_cast(void **state) {
    (void)state;
    tarn_tensor *row, *into;
    const double values[3] = {1.75, -2.5, 300};
    EXPECT_OK(tarn_tensor_from_data(bench.allocator, SHAPE(3), TARN_ELEMENT_F64, values, NULL, &row));
    EXPECT_OK(tarn_tensor_empty(bench.allocator, SHAPE(2, 3), TARN_ELEMENT_F32, NULL, &into));
    EXPECT_OK(tarn_tensor_copy(into, row, NULL));
    EXPECT_FLOATS(into, 1.75F, -2.5F, 300, 1.75F, -2.5F, 300);
    tarn_tensor *whole;
    int16_t numbers[3];
    EXPECT_OK(tarn_tensor_cast(row, TARN_ELEMENT_I16, NULL, &whole));
    EXPECT_OK(tarn_tensor_read(whole, NULL, numbers, sizeof numbers));
    assert_memory_equal(numbers, ((const int16_t[]){1, -2, 300}), sizeof numbers);
    release(whole);
    release(into);
    release(row);
}

static void nothing_is_copied_where_nothing_changes(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(2, 3)), *same;
    EXPECT_OK(tarn_tensor_contiguous(tensor, NULL, &same));
    assert_ptr_equal(same, tensor);
    release(same);
    EXPECT_OK(tarn_tensor_cast(tensor, TARN_ELEMENT_F32, NULL, &same));
    assert_ptr_equal(same, tensor);
    release(same);
    EXPECT_OK(tarn_tensor_copy(tensor, tensor, NULL));
    EXPECT_FLOATS(tensor, 0, 1, 2, 3, 4, 5);
    release(tensor);
}

static void a_reshape_copies_where_strides_allow_no_view(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(2, 3)), *turned, *flat;
    EXPECT_OK(tarn_tensor_transpose(tensor, NULL, &turned));
    EXPECT_OK(tarn_tensor_reshape(turned, (const int64_t[]){-1}, 1, NULL, &flat));
    EXPECT_FLOATS(flat, 0, 3, 1, 4, 2, 5);
    assert_ptr_not_equal(tarn_tensor_buffer(flat), tarn_tensor_buffer(tensor));
    release(flat);
    EXPECT_OK(tarn_tensor_reshape(tensor, (const int64_t[]){3, 2}, 2, NULL, &flat));
    assert_ptr_equal(tarn_tensor_buffer(flat), tarn_tensor_buffer(tensor));
    release(flat);
    release(turned);
    release(tensor);
}

static void overlapping_elements_are_copied_as_they_were(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(6)), *early, *late, *back, *square, *turned;
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 0, 5, 1, &early));
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 1, 6, 1, &late));
    EXPECT_OK(tarn_tensor_copy(late, early, NULL));
    EXPECT_FLOATS(tensor, 0, 0, 1, 2, 3, 4);
    EXPECT_OK(tarn_tensor_copy(early, late, NULL));
    EXPECT_FLOATS(tensor, 0, 1, 2, 3, 4, 4);
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 5, -7, -1, &back));
    EXPECT_OK(tarn_tensor_copy(tensor, back, NULL));
    EXPECT_FLOATS(tensor, 4, 4, 3, 2, 1, 0);
    square = counting(&bench, SHAPE(3, 3));
    EXPECT_OK(tarn_tensor_transpose(square, NULL, &turned));
    EXPECT_OK(tarn_tensor_copy(square, turned, NULL));
    EXPECT_FLOATS(square, 0, 3, 6, 1, 4, 7, 2, 5, 8);
    release(turned);
    release(square);
    release(back);
    release(late);
    release(early);
    release(tensor);
}

static void interleaved_elements_do_not_disturb_each_other(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(6)), *even, *odd;
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 0, 6, 2, &even));
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 1, 6, 2, &odd));
    EXPECT_OK(tarn_tensor_copy(even, odd, NULL));
    EXPECT_FLOATS(tensor, 1, 1, 3, 3, 5, 5);
    release(odd);
    release(even);
    release(tensor);
}

static void a_fill_reaches_the_elements_of_a_view_alone(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(3, 3)), *column, *turned, *row;
    EXPECT_OK(tarn_tensor_slice(tensor, 1, 1, 2, 1, &column));
    EXPECT_OK(tarn_tensor_fill(column, tarn_scalar_float(-1), NULL));
    EXPECT_FLOATS(tensor, 0, -1, 2, 3, -1, 5, 6, -1, 8);
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 2, 0, -1, &row));
    EXPECT_OK(tarn_tensor_fill(row, tarn_scalar_integer(7), NULL));
    EXPECT_FLOATS(tensor, 0, -1, 2, 7, 7, 7, 7, 7, 7);
    /* One piece, seen in another order. */
    EXPECT_OK(tarn_tensor_transpose(tensor, NULL, &turned));
    EXPECT_OK(tarn_tensor_fill(turned, tarn_scalar_bool(1), NULL));
    EXPECT_FLOATS(tensor, 1, 1, 1, 1, 1, 1, 1, 1, 1);
    release(turned);
    release(row);
    release(column);
    release(tensor);
}

static void copies_that_do_not_fit_are_refused(void **state) {
    (void)state;
    char bytes[24];
    tarn_tensor *tensor = counting(&bench, SHAPE(2, 3)), *other = counting(&bench, SHAPE(2, 2)), *view, *none = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_copy(tensor, other, NULL));
    EXPECT_SENTENCE("[2, 2] cannot be broadcast to [2, 3]");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_copy(NULL, other, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_copy(tensor, NULL, NULL));
    EXPECT_SENTENCE("the source is NULL");
    EXPECT_OK(tarn_tensor_broadcast_to(other, SHAPE(2, 2, 2), &view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_copy(view, other, NULL));
    EXPECT_SENTENCE("is read-only");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_read(tensor, NULL, bytes, 23));
    EXPECT_SENTENCE("room for 23 bytes; the tensor has 24");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_read(tensor, NULL, NULL, 24));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_read(NULL, NULL, bytes, 24));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_contiguous(tensor, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_cast(tensor, (tarn_element_type)77, NULL, &none));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_fill(tensor, (tarn_scalar){.kind = (tarn_scalar_kind)9}, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_fill(NULL, tarn_scalar_integer(0), NULL));
    assert_null(none);
    release(view);
    release(other);
    release(tensor);
}

/* Lent memory has no allocator: what needs more takes it from the device. */
static void copies_of_lent_memory_have_memory_of_their_own(void **state) {
    (void)state;
    float values[6] = {0, 1, 2, 3, 4, 5};
    tarn_tensor *tensor, *turned, *whole;
    EXPECT_OK(tarn_tensor_wrap(bench.device, values, SHAPE(2, 3), NULL, TARN_ELEMENT_F32, 0, NULL, NULL, &tensor));
    EXPECT_OK(tarn_tensor_transpose(tensor, NULL, &turned));
    EXPECT_OK(tarn_tensor_contiguous(turned, NULL, &whole));
    EXPECT_FLOATS(whole, 0, 3, 1, 4, 2, 5);
    assert_non_null(tarn_tensor_allocator(whole));
    release(whole);
    release(turned);
    release(tensor);
}

/* Each request for host memory fails in turn. */
static void without_host_memory_nothing_is_left(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(3, 3)), *turned;
    EXPECT_OK(tarn_tensor_transpose(tensor, NULL, &turned));
    tarn_status status = TARN_OUT_OF_MEMORY;
    for (unsigned long n = 1; status == TARN_OUT_OF_MEMORY; n++) {
        tarn_tensor *flat = NULL;
        base_memory_fail_at(n, 0);
        status = tarn_tensor_reshape(turned, (const int64_t[]){9}, 1, NULL, &flat);
        base_memory_fail_at(0, 0);
        assert_true((flat != NULL) == (status == TARN_OK));
        release(flat);
    }
    EXPECT_OK(status);
    status = TARN_OUT_OF_MEMORY;
    for (unsigned long n = 1; status == TARN_OUT_OF_MEMORY; n++) {
        base_memory_fail_at(n, 0);
        status = tarn_tensor_copy(tensor, turned, NULL);
        base_memory_fail_at(0, 0);
        if (status == TARN_OUT_OF_MEMORY) EXPECT_FLOATS(tensor, 0, 1, 2, 3, 4, 5, 6, 7, 8);
    }
    EXPECT_OK(status);
    EXPECT_FLOATS(tensor, 0, 3, 6, 1, 4, 7, 2, 5, 8);
    release(turned);
    release(tensor);
}

/* Merging. */

static tarn_operand operand_of(size_t rank, const int64_t *dims, const int64_t *strides) {
    tarn_operand operand = {.type = TARN_ELEMENT_F32, .rank = (uint32_t)rank};
    memcpy(operand.dims, dims, rank * sizeof *dims);
    memcpy(operand.strides, strides, rank * sizeof *strides);
    return operand;
}
#define OPERAND(rank, dims, ...) operand_of(rank, dims, (const int64_t[]){__VA_ARGS__})

static void contiguous_operands_end_with_one_dimension(void **state) {
    (void)state;
    const int64_t dims[] = {2, 1, 3, 4};
    tarn_operand operands[2] = {OPERAND(4, dims, 12, 99, 4, 1), OPERAND(4, dims, 12, 0, 4, 1)};
    tensor_merge_operands(operands, 2, false, NULL);
    assert_int_equal(operands[0].rank, 1);
    assert_int_equal(operands[1].dims[0], 24);
    assert_int_equal(operands[1].strides[0], 1);
}

static void dimensions_that_one_operand_walks_otherwise_stay(void **state) {
    (void)state;
    const int64_t dims[] = {2, 3, 4};
    tarn_operand operands[2] = {OPERAND(3, dims, 12, 4, 1), OPERAND(3, dims, 0, 4, 1)};
    tensor_merge_operands(operands, 2, false, NULL);
    assert_int_equal(operands[0].rank, 2);
    assert_int_equal(operands[0].dims[1], 12);
    assert_int_equal(operands[1].strides[0], 0);
}

static void turned_and_reordered_operands_merge_where_they_may(void **state) {
    (void)state;
    float memory[24];
    const int64_t dims[] = {4, 3, 2};
    tarn_operand operands[2] = {OPERAND(3, dims, 1, 4, -12), OPERAND(3, dims, 1, 4, -12)};
    operands[0].data = operands[1].data = memory + 12;
    tensor_merge_operands(operands, 2, true, NULL);
    assert_int_equal(operands[0].rank, 1);
    assert_int_equal(operands[0].dims[0], 24);
    assert_ptr_equal(operands[0].data, memory);
    operands[0] = OPERAND(3, dims, 1, 4, 12);
    tensor_merge_operands(operands, 1, false, NULL);
    assert_int_equal(operands[0].rank, 3);
}

static void reduced_dimensions_merge_among_themselves(void **state) {
    (void)state;
    const int64_t dims[] = {2, 3, 1, 4, 5};
    tarn_operand operands[2] = {OPERAND(5, dims, 3, 1, 0, 0, 0), OPERAND(5, dims, 60, 20, 20, 5, 1)};
    uint32_t reduced = 1u << 2 | 1u << 3 | 1u << 4;
    tensor_merge_operands(operands, 2, false, &reduced);
    assert_int_equal(operands[0].rank, 2);
    assert_int_equal(operands[1].dims[0], 6);
    assert_int_equal(operands[1].dims[1], 20);
    assert_int_equal(reduced, 1u << 1);
}

static void a_single_element_has_no_dimension_left(void **state) {
    (void)state;
    const int64_t dims[] = {1, 1};
    tarn_operand operand = OPERAND(2, dims, 5, 7);
    uint32_t reduced = 3;
    tensor_merge_operands(&operand, 1, true, &reduced);
    assert_int_equal(operand.rank, 0);
    assert_int_equal(reduced, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_bench, close_bench)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_copy_is_broadcast_and_cast),
        TEST(nothing_is_copied_where_nothing_changes),
        TEST(a_reshape_copies_where_strides_allow_no_view),
        TEST(overlapping_elements_are_copied_as_they_were),
        TEST(interleaved_elements_do_not_disturb_each_other),
        TEST(a_fill_reaches_the_elements_of_a_view_alone),
        TEST(copies_that_do_not_fit_are_refused),
        TEST(copies_of_lent_memory_have_memory_of_their_own),
        TEST(without_host_memory_nothing_is_left),
        TEST(contiguous_operands_end_with_one_dimension),
        TEST(dimensions_that_one_operand_walks_otherwise_stay),
        TEST(turned_and_reordered_operands_merge_where_they_may),
        TEST(reduced_dimensions_merge_among_themselves),
        TEST(a_single_element_has_no_dimension_left),
    };
    return cmocka_run_group_tests_name("tensor.copy", tests, NULL, NULL);
}
