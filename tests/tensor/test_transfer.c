/* Tensors on several devices: copies between them, whoever reaches whose memory. */
#include "bench.h"

#include <string.h>

#include "apart.h"
#include "base/memory.h"
#include "gate.h"

static test_bench here, apart, beside;

static int open_all(void **state) {
    (void)state;
    apart_install();
    apart_fail_at(0);
    bench_open(&here, "cpu", "caching");
    bench_open(&apart, "apart", "direct");
    bench_open(&beside, "beside", "direct");
    return 0;
}

static int close_all(void **state) {
    (void)state;
    bench_close(&apart);
    bench_close(&beside);
    bench_close(&here);
    return 0;
}

static void release(tarn_tensor *tensor) { EXPECT_OK(tarn_tensor_release(tensor)); }

/* The elements as the tensor's own device gives them. */
static void expect_read(tarn_tensor *tensor, const float *wanted, size_t count) {
    float values[16];
    assert_true(count <= 16);
    EXPECT_OK(tarn_tensor_read(tensor, NULL, values, count * sizeof *values));
    assert_memory_equal(values, wanted, count * sizeof *values);
}

static void the_same_device_gives_the_same_tensor(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&here, SHAPE(3)), *same;
    EXPECT_OK(tarn_tensor_to(tensor, here.allocator, NULL, &same));
    assert_ptr_equal(same, tensor);
    release(same);
    release(tensor);
}

static void a_tensor_goes_there_and_back(void **state) {
    (void)state;
    test_bench *const benches[] = {&apart, &beside, &here};
    const float wanted[6] = {0, 1, 2, 3, 4, 5};
    for (size_t from = 0; from < 3; from++) {
        for (size_t to = 0; to < 3; to++) {
            tarn_tensor *tensor = counting(benches[from], SHAPE(2, 3)), *there, *back;
            EXPECT_OK(tarn_tensor_to(tensor, benches[to]->allocator, NULL, &there));
            assert_ptr_equal(tarn_tensor_device(there), benches[to]->device);
            expect_read(there, wanted, 6);
            EXPECT_OK(tarn_tensor_to(there, benches[from]->allocator, NULL, &back));
            expect_read(back, wanted, 6);
            release(back);
            release(there);
            release(tensor);
        }
    }
}

static void strides_and_types_change_on_the_way(void **state) {
    (void)state;
    test_bench *const benches[] = {&apart, &beside};
    for (size_t i = 0; i < 2; i++) {
        tarn_tensor *source = counting(&here, SHAPE(3, 2)), *turned, *there, *back, *row;
        EXPECT_OK(tarn_tensor_transpose(source, NULL, &turned));
        /* From strides to a device without operations. */
        EXPECT_OK(tarn_tensor_to(turned, benches[i]->allocator, NULL, &there));
        expect_read(there, (const float[]){0, 2, 4, 1, 3, 5}, 6);
        /* Into strides, another type, and two rows from one. */
        EXPECT_OK(tarn_tensor_zeros(here.allocator, SHAPE(3, 2, 2), TARN_ELEMENT_I32, NULL, &back));
        tarn_tensor *into;
        EXPECT_OK(tarn_tensor_transpose(back, (const int[]){1, 2, 0}, &into));
        EXPECT_OK(tarn_tensor_copy(into, there, NULL));
        int32_t values[12];
        EXPECT_OK(tarn_tensor_read(into, NULL, values, sizeof values));
        assert_memory_equal(values, ((const int32_t[]){0, 2, 4, 1, 3, 5, 0, 2, 4, 1, 3, 5}), sizeof values);
        /* The cast is made where it can be. */
        EXPECT_OK(tarn_tensor_empty(benches[i]->allocator, SHAPE(3), TARN_ELEMENT_F32, NULL, &row));
        tarn_tensor *whole;
        EXPECT_OK(tarn_tensor_arange(here.allocator, tarn_scalar_integer(7), tarn_scalar_integer(10),
                                     tarn_scalar_integer(1), TARN_ELEMENT_I64, NULL, &whole));
        EXPECT_OK(tarn_tensor_copy(row, whole, NULL));
        expect_read(row, (const float[]){7, 8, 9}, 3);
        release(whole);
        release(row);
        release(into);
        release(back);
        release(there);
        release(turned);
        release(source);
    }
}

/* Rows and single elements, forwards and backwards, over all strides that a host function moves. */
static void the_host_moves_any_strides(void **state) {
    (void)state;
    tarn_tensor *source = counting(&here, SHAPE(4, 3, 2)), *there, *part, *into;
    EXPECT_OK(tarn_tensor_zeros(beside.allocator, SHAPE(2, 3, 4), TARN_ELEMENT_F32, NULL, &there));
    EXPECT_OK(tarn_tensor_transpose(there, NULL, &into));
    EXPECT_OK(tarn_tensor_slice(source, 0, 3, -5, -1, &part));
    EXPECT_OK(tarn_tensor_copy(into, part, NULL));
    EXPECT_FLOATS(there, 18, 12, 6, 0, 20, 14, 8, 2, 22, 16, 10, 4, 19, 13, 7, 1, 21, 15, 9, 3, 23, 17, 11, 5);
    release(part);
    release(into);
    release(there);
    release(source);
}

static uint64_t driver_allocs(const test_bench *bench) {
    tarn_device_counters counters = {.struct_size = sizeof counters};
    EXPECT_OK(tarn_device_counters_get(bench->device, &counters));
    return counters.driver_allocs;
}

/* A slice of a matrix goes as rows, to where another slice lies, and needs no memory on the way and no operations. */
static void rows_of_a_slice_are_moved_as_they_lie(void **state) {
    (void)state;
    test_bench *const benches[] = {&apart, &beside};
    for (size_t i = 0; i < 2; i++) {
        for (int64_t width = 8; width <= 32; width += 24) {
            tarn_tensor *source = counting(&here, SHAPE(4, 6, 40)), *there, *part, *rows, *into, *back;
            float values[3 * 2 * 32];
            EXPECT_OK(tarn_tensor_zeros(benches[i]->allocator, SHAPE(5, 6, 50), TARN_ELEMENT_F32, NULL, &there));
            EXPECT_OK(tarn_tensor_slice(source, 0, 0, 3, 1, &part));
            EXPECT_OK(tarn_tensor_slice(part, 1, 1, 3, 1, &rows));
            release(part);
            EXPECT_OK(tarn_tensor_slice(rows, 2, 3, 3 + width, 1, &part));
            release(rows);
            EXPECT_OK(tarn_tensor_slice(there, 0, 1, 4, 1, &rows));
            EXPECT_OK(tarn_tensor_slice(rows, 1, 3, 5, 1, &into));
            release(rows);
            EXPECT_OK(tarn_tensor_slice(into, 2, 10, 10 + width, 1, &rows));
            release(into);
            uint64_t allocated = driver_allocs(benches[i]);
            EXPECT_OK(tarn_tensor_copy(rows, part, NULL));
            /* At most the pinned memory that it goes through. */
            assert_true(driver_allocs(benches[i]) - allocated <= 1);
            EXPECT_OK(tarn_tensor_empty(here.allocator, SHAPE(3, 2, width), TARN_ELEMENT_F32, NULL, &back));
            EXPECT_OK(tarn_tensor_copy(back, rows, NULL));
            EXPECT_OK(tarn_tensor_read(back, NULL, values, (size_t)width * 6 * sizeof *values));
            for (int64_t at = 0; at < width * 6; at++) {
                int64_t slice = at / (2 * width), row = at / width % 2,
                        wanted = slice * 240 + (row + 1) * 40 + 3 + at % width;
                assert_true(values[at] == (float)wanted);
            }
            memset(values, 0, sizeof values);
            EXPECT_OK(tarn_tensor_read(rows, NULL, values, (size_t)width * 6 * sizeof *values));
            assert_true(values[width] == 2 * 40 + 3);
            release(back);
            release(rows);
            release(part);
            release(there);
            release(source);
        }
    }
}

static void a_device_without_operations_says_what_it_lacks(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&apart, SHAPE(2, 3)), *turned, *copy = NULL;
    EXPECT_OK(tarn_tensor_transpose(tensor, NULL, &turned));
    EXPECT(TARN_NOT_SUPPORTED, tarn_tensor_contiguous(turned, NULL, &copy));
    EXPECT_SENTENCE("apart: the device copies and fills f32 in one piece and of one type alone");
    EXPECT(TARN_NOT_SUPPORTED, tarn_tensor_cast(tensor, TARN_ELEMENT_F64, NULL, &copy));
    EXPECT(TARN_NOT_SUPPORTED,
           tarn_tensor_random_uniform(apart.allocator, SHAPE(2), TARN_ELEMENT_F32, 1, 0, 1, NULL, &copy));
    EXPECT_SENTENCE("tensor_random_uniform: the device apart does not compute random of f32");
    assert_null(copy);
    EXPECT_OK(tarn_tensor_fill(turned, tarn_scalar_float(2), NULL));
    expect_read(tensor, (const float[]){2, 2, 2, 2, 2, 2}, 6);
    release(turned);
    release(tensor);
}

static void a_device_that_stores_nothing_is_not_read(void **state) {
    (void)state;
    test_bench sim;
    float values[2] = {0};
    bench_open(&sim, "sim", "caching");
    tarn_tensor *tensor, *copy = NULL;
    EXPECT_OK(tarn_tensor_zeros(sim.allocator, SHAPE(2), TARN_ELEMENT_F32, NULL, &tensor));
    EXPECT(TARN_NOT_SUPPORTED, tarn_tensor_read(tensor, NULL, values, sizeof values));
    EXPECT_SENTENCE("stores nothing");
    EXPECT(TARN_NOT_SUPPORTED, tarn_tensor_to(tensor, here.allocator, NULL, &copy));
    assert_null(copy);
    release(tensor);
    bench_close(&sim);
}

static void streams_and_devices_have_to_fit(void **state) {
    (void)state;
    tarn_tensor *source = counting(&here, SHAPE(2)), *there, *copy = NULL;
    tarn_stream *wrong = tarn_device_default_stream(here.device);
    EXPECT_OK(tarn_tensor_to(source, beside.allocator, NULL, &there));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_copy(there, source, wrong));
    EXPECT_SENTENCE("beside: the stream belongs to cpu");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_to(source, beside.allocator, wrong, &copy));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_to(source, NULL, NULL, &copy));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_to(NULL, beside.allocator, NULL, &copy));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_to(source, beside.allocator, NULL, NULL));
    assert_null(copy);
    release(there);
    release(source);
}

/* The copy waits in its stream; the source is released meanwhile, and its memory asked for again. */
static void a_source_is_kept_until_it_has_been_copied(void **state) {
    (void)state;
    test_gate gate = {0};
    tarn_stream *stream;
    tarn_tensor *source = counting(&beside, SHAPE(4)), *there;
    EXPECT_OK(tarn_stream_create(here.device, &stream));
    EXPECT_OK(tarn_stream_enqueue(stream, gate_pass, &gate));
    EXPECT_OK(tarn_tensor_to(source, here.allocator, stream, &there));
    release(source);
    tarn_tensor *other;
    EXPECT_OK(tarn_tensor_full(beside.allocator, SHAPE(4), TARN_ELEMENT_F32, tarn_scalar_float(9), NULL, &other));
    gate_open(&gate);
    EXPECT_OK(tarn_stream_synchronize(stream));
    EXPECT_FLOATS(there, 0, 1, 2, 3);
    release(other);
    release(there);
    EXPECT_OK(tarn_stream_release(stream));
}

static void a_capture_cannot_hold_a_copy_between_devices(void **state) {
    (void)state;
    tarn_stream *stream;
    tarn_tensor *source = counting(&beside, SHAPE(4)), *into = counting(&here, SHAPE(4));
    EXPECT_OK(tarn_stream_create(here.device, &stream));
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    EXPECT(TARN_INVALID_STATE, tarn_tensor_copy(into, source, stream));
    EXPECT_SENTENCE("from beside to cpu");
    EXPECT_OK(tarn_stream_abort_capture(stream));
    EXPECT_OK(tarn_stream_release(stream));
    release(into);
    release(source);
}

/* What failed after it was enqueued. */
static tarn_status settle(tarn_device *device) {
    tarn_status status = tarn_stream_synchronize(tarn_device_default_stream(device));
    tarn_status of_device = tarn_device_synchronize(device);
    return status == TARN_OK ? of_device : status;
}

/* Moves back and forth with everything that can fail failing in turn; nothing is left behind, and it succeeds in the end. */
static void sweep(const tarn_shape *shape, test_bench *from, test_bench *to, int with_host_memory) {
    tarn_tensor *source = counting(from, shape), *turned;
    EXPECT_OK(tarn_tensor_view(source, (const int64_t[]){-1}, 1, &turned));
    tarn_status status = TARN_INTERNAL;
    unsigned long n = 0;
    while (status != TARN_OK) {
        tarn_tensor *there = NULL;
        assert_true(++n < 200);
        if (with_host_memory) base_memory_fail_at(n, 0);
        else apart_fail_at(n);
        status = tarn_tensor_to(turned, to->allocator, NULL, &there);
        base_memory_fail_at(0, 0);
        apart_fail_at(0);
        assert_true((there != NULL) == (status == TARN_OK));
        release(there);
        tarn_status later = settle(to->device);
        if (status == TARN_OK) status = later;
    }
    release(turned);
    release(source);
}

static void each_failure_leaves_nothing_behind(void **state) {
    (void)state;
    for (int with_host_memory = 0; with_host_memory < 2; with_host_memory++) {
        sweep(SHAPE(5), &here, &apart, with_host_memory);
        sweep(SHAPE(5), &apart, &here, with_host_memory);
        sweep(SHAPE(5), &apart, &beside, with_host_memory);
        sweep(SHAPE(5), &beside, &here, with_host_memory);
        sweep(SHAPE(5), &here, &beside, with_host_memory);
    }
}

/* The last thing that a copy asks for is that the source's stream comes after it. Where that cannot be had, the copy is waited for: it has been
 * enqueued, and the source may be freed as soon as it is known to be over. */
static void a_copy_that_has_been_enqueued_succeeds(void **state) {
    (void)state;
    const float wanted[5] = {0, 1, 2, 3, 4};
    tarn_tensor *source = counting(&beside, SHAPE(5)), *there;
    apart_fail_at(0);
    EXPECT_OK(tarn_tensor_to(source, apart.allocator, NULL, &there));
    unsigned long all = apart_calls();
    expect_read(there, wanted, 5);
    release(there);
    /* Creating an event, recording it, enqueueing the wait for it; the last call of all is made by the wait itself. */
    for (unsigned long n = all - 3; n < all; n++) {
        apart_fail_at(n);
        EXPECT_OK(tarn_tensor_to(source, apart.allocator, NULL, &there));
        /* One more call: the host waits. */
        assert_int_equal(apart_calls(), n + 1);
        apart_fail_at(0);
        expect_read(there, wanted, 5);
        release(there);
    }
    release(source);
}

/* Pinned memory is asked for in pieces that are smaller than the tensor. */
static void large_tensors_go_over_pinned_memory_in_parts(void **state) {
    (void)state;
    tarn_tensor *source = counting(&here, SHAPE(5, 1 << 18)), *there, *back;
    unsigned long before = apart_copies();
    EXPECT_OK(tarn_tensor_to(source, apart.allocator, NULL, &there));
    assert_int_equal(apart_copies() - before, 2);
    EXPECT_OK(tarn_tensor_to(there, here.allocator, NULL, &back));
    assert_memory_equal(tarn_tensor_data(back), tarn_tensor_data(source), tarn_tensor_bytes(source));
    release(back);
    release(there);
    release(source);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, open_all, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_same_device_gives_the_same_tensor),        TEST(a_tensor_goes_there_and_back),
        TEST(strides_and_types_change_on_the_way),          TEST(the_host_moves_any_strides),
        TEST(rows_of_a_slice_are_moved_as_they_lie),        TEST(a_device_without_operations_says_what_it_lacks),
        TEST(a_device_that_stores_nothing_is_not_read),     TEST(streams_and_devices_have_to_fit),
        TEST(a_source_is_kept_until_it_has_been_copied),    TEST(a_capture_cannot_hold_a_copy_between_devices),
        TEST(each_failure_leaves_nothing_behind),           TEST(a_copy_that_has_been_enqueued_succeeds),
        TEST(large_tensors_go_over_pinned_memory_in_parts),
    };
    return cmocka_run_group_tests_name("tensor.transfer", tests, NULL, NULL);
}
