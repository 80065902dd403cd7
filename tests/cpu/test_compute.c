/* Computing beyond single elements: threads, long sums, results that go past the caches, failures. */
#include "programs.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/threads.h"
#include "base/memory.h"
#include "child.h"
#include "hal/operation.h"

#define MANY ((size_t)1 << 20)

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    assert_non_null(memory);
    return memory;
}

typedef struct tally {
    atomic_uchar *seen;
    size_t grain;
    atomic_size_t short_ranges;
} tally;

static void count_numbers(void *context, size_t begin, size_t end) {
    tally *work = context;
    if (end - begin < work->grain) atomic_fetch_add(&work->short_ranges, 1);
    for (size_t i = begin; i < end; i++) atomic_fetch_add(&work->seen[i], 1);
}

static void ranges_cover_each_number_once(void **state) {
    (void)state;
    tally work = {.seen = allocate(65537, 1)};
    const size_t counts[] = {1, 2, 3, 100, 1000, 65537};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (work.grain = 1; work.grain <= MANY; work.grain *= 37) {
            memset(work.seen, 0, 65537);
            atomic_store(&work.short_ranges, 0);
            cpu_parallel(counts[i], work.grain, count_numbers, &work);
            size_t once = 0;
            while (once < counts[i] && work.seen[once] == 1) once++;
            assert_int_equal(once, counts[i]);
            assert_true(atomic_load(&work.short_ranges) <= 1);
        }
    }
    cpu_parallel(0, 1, count_numbers, NULL);
    free(work.seen);
}

static void count_within(void *context, size_t begin, size_t end) {
    for (size_t i = begin; i < end; i++) {
        tally work = {.seen = (atomic_uchar *)context + i * 100, .grain = 1};
        cpu_parallel(100, 1, count_numbers, &work);
    }
}

static void work_within_work_runs_where_it_is(void **state) {
    (void)state;
    atomic_uchar *seen = allocate(10000, 1);
    cpu_parallel(100, 1, count_within, seen);
    for (size_t i = 0; i < 10000; i++) assert_int_equal(seen[i], 1);
    free(seen);
}

static void *count_often(void *context) {
    (void)context;
    atomic_uchar seen[512];
    for (int i = 0; i < 100; i++) {
        memset(seen, 0, sizeof seen);
        tally work = {.seen = seen, .grain = 1};
        cpu_parallel(sizeof seen, 1, count_numbers, &work);
        for (size_t k = 0; k < sizeof seen; k++) {
            if (seen[k] != 1) return "a number was not seen once";
        }
    }
    return NULL;
}

static void threads_share_the_pool(void **state) {
    (void)state;
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, count_often, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        void *complaint = NULL;
        assert_int_equal(pthread_join(threads[i], &complaint), 0);
        assert_null(complaint);
    }
}

static int count_in_child(void *context) {
    bool counted = count_often(context) == NULL;
    /* Ends the child's threads. */
    cpu_threads_retain();
    cpu_threads_release();
    return counted ? 0 : 1;
}

static void a_child_computes_with_threads_of_its_own(void **state) {
    (void)state;
#if defined(__SANITIZE_THREAD__)
    print_message("skipped: ThreadSanitizer lets no child of a program with threads start any\n");
    skip();
#endif
    assert_null(count_often(NULL));
    assert_int_equal(exit_of_child(count_in_child, NULL), 0);
    assert_null(count_often(NULL));
}

static void without_memory_for_threads_the_caller_works(void **state) {
    (void)state;
    cpu_threads_retain();
    cpu_threads_release(); /* the device keeps the pool: nothing ends */
    assert_int_equal(tarn_device_release(programs_device), TARN_OK);
    base_memory_fail_at(1, 1);
    assert_null(count_often(NULL));
    base_memory_fail_at(0, 0);
    assert_int_equal(programs_open(NULL), 0);
    assert_null(count_often(NULL));
}

static void sums_of_many_floats_err_by_few_units(void **state) {
    (void)state;
    size_t count = 10 * MANY;
    float *values = allocate(count, sizeof *values), sum = 0;
    double exact = 0;
    for (size_t i = 0; i < count; i++) {
        values[i] = 0.1f + (float)(i * 2654435761u % 1024) / 1024;
        exact += (double)values[i];
    }
    test_program program;
    program_reduce(&program, TARN_OPERATION_SUM, TARN_ELEMENT_F32, count, &sum, values);
    for (size_t level = 0; level < cpu_kernels_level_count(); level++) {
        cpu_kernels_use(cpu_kernels_level(level));
        assert_int_equal(program_run(&program), TARN_OK);
        assert_true(float_distance(sum, exact) <= 2);
    }
    cpu_kernels_use(NULL);
    free(values);
}

/* What a naive sum would lose whole: small numbers beside one that is larger by what a double has of bits. */
static void sums_of_doubles_keep_what_their_additions_lose(void **state) {
    (void)state;
    size_t count = MANY;
    double *values = allocate(count, sizeof *values), sum = 0;
    for (size_t i = 0; i < count; i++) values[i] = i % 4096 == 0 ? 0 : 0x1p-30;
    values[0] = 0x1p30;
    values[count - 4096] = -0x1p30;
    test_program program;
    program_reduce(&program, TARN_OPERATION_SUM, TARN_ELEMENT_F64, count, &sum, values);
    assert_int_equal(program_run(&program), TARN_OK);
    size_t small_count = count - count / 4096;
    double exact = 0x1p-30 * (double)small_count;
    assert_true(fabs(sum - exact) <= exact * 1e-3);
    free(values);
}

static void reductions_are_the_same_with_any_number_of_threads(void **state) {
    (void)state;
    float *values = allocate(3 * MANY, sizeof *values), sums[2] = {0, 1};
    for (size_t i = 0; i < 3 * MANY; i++) values[i] = sinf((float)i);
    for (size_t i = 0; i < 2; i++) {
        test_program program;
        assert_int_equal(tarn_device_release(programs_device), TARN_OK);
        assert_int_equal(setenv("TARN_NUM_THREADS", i == 0 ? "1" : "5", 1), 0);
        assert_int_equal(programs_open(NULL), 0);
        assert_int_equal(cpu_parallel_width(), i == 0 ? 1 : 5);
        program_reduce(&program, TARN_OPERATION_SUM, TARN_ELEMENT_F32, 3 * MANY, &sums[i], values);
        assert_int_equal(program_run(&program), TARN_OK);
    }
    assert_memory_equal(&sums[0], &sums[1], sizeof sums[0]);
    assert_int_equal(setenv("TARN_NUM_THREADS", "3", 1), 0);
    free(values);
}

/* In whichever of the rows it is, beside numbers in all others; and the sums of those columns without one are as ever. */
static void a_column_with_a_nan_has_no_extreme(void **state) {
    (void)state;
    enum { ROWS = 83, COLUMNS = 300 };
    static const tarn_operation reductions[] = {TARN_OPERATION_MAX, TARN_OPERATION_MIN, TARN_OPERATION_SUM};
    float *values = allocate((size_t)ROWS * COLUMNS, sizeof *values), results[COLUMNS];
    for (int row = 0; row < ROWS; row++)
        for (int column = 0; column < COLUMNS; column++)
            values[row * COLUMNS + column] = row == column ? NAN : (float)row;
    for (size_t level = 0; level < cpu_kernels_level_count(); level++) {
        cpu_kernels_use(cpu_kernels_level(level));
        for (size_t i = 0; i < sizeof reductions / sizeof reductions[0]; i++) {
            static const float expected[] = {82, 0, 3403};
            test_program program;
            program_reduce(&program, reductions[i], TARN_ELEMENT_F32, 1, results, values);
            for (int operand = 0; operand < 2; operand++) {
                tarn_operand *matrix = &program.operands[operand];
                matrix->rank = 2;
                matrix->dims[0] = ROWS;
                matrix->dims[1] = COLUMNS;
                matrix->strides[0] = operand == 0 ? 0 : COLUMNS;
                matrix->strides[1] = 1;
            }
            assert_int_equal(program_run(&program), TARN_OK);
            for (int column = 0; column < COLUMNS; column++) {
                if (column < ROWS) assert_true(isnan(results[column]));
                else assert_true(results[column] == expected[i]);
            }
        }
    }
    cpu_kernels_use(NULL);
    free(values);
}

static void a_reduction_in_pieces_fails_without_memory(void **state) {
    (void)state;
    float *values = allocate(MANY, sizeof *values), sum = 7;
    test_program program;
    program_reduce(&program, TARN_OPERATION_SUM, TARN_ELEMENT_F32, MANY, &sum, values);
    base_memory_fail_at(1, 1);
    assert_int_equal(program_run(&program), TARN_OUT_OF_MEMORY);
    base_memory_fail_at(0, 0);
    assert_true(sum == 7);
    assert_int_equal(program_run(&program), TARN_OK);
    assert_true(sum == 0);
    free(values);
}

/* Large results are written past the caches, from any address on. */
static void large_results_are_whole(void **state) {
    (void)state;
    size_t count = 5 * MANY + 3;
    float *values = allocate(count + 8, sizeof *values), *results = allocate(count + 8, sizeof *results);
    for (size_t i = 0; i < count; i++) values[i] = (float)(i % 1000003);
    for (size_t shift = 0; shift < 2; shift++) {
        float *out = results + 1 + shift;
        memset(results, 0, (count + 8) * sizeof *results);
        test_program program;
        program_make(&program, TARN_OPERATION_ADD, TARN_ELEMENT_F32, count, out, values, values);
        assert_int_equal(program_run(&program), TARN_OK);
        for (size_t i = 0; i < count; i++) {
            if (out[i] != 2 * values[i]) fail_msg("element %zu is %f", i, (double)out[i]);
        }
        assert_true(out[-1] == 0 && out[count] == 0);
    }
    free(results);
    free(values);
}

/* The two steps run as one kernel, which must not keep more of the product than a float. */
static void a_sum_of_a_product_is_rounded_twice(void **state) {
    (void)state;
    float factor = 1 + 0x1p-12f, product = factor * factor, sum = 7;
    float negative = -product;
    test_program program;
    tarn_step steps[2];
    for (size_t level = 0; level < cpu_kernels_level_count(); level++) {
        cpu_kernels_use(cpu_kernels_level(level));
        program_make(&program, TARN_OPERATION_MULTIPLY, TARN_ELEMENT_F32, 1, &sum, &factor, &negative);
        for (unsigned side = 0; side < 2; side++) {
            steps[0] = steps[1] = program.step;
            steps[0].values[1].number = 0;
            steps[1].operation = TARN_OPERATION_ADD;
            steps[1].values[side] = (tarn_value){TARN_SOURCE_STEP, 0};
            steps[1].values[1 - side] = (tarn_value){TARN_SOURCE_INPUT, 1};
            program.program.steps = steps;
            program.program.step_count = 2;
            program.result = 1;
            assert_int_equal(program_run(&program), TARN_OK);
            assert_true(sum == 0);
        }
        /* Twice the product: both operands are the step. */
        steps[1].values[0] = steps[1].values[1] = (tarn_value){TARN_SOURCE_STEP, 0};
        assert_int_equal(program_run(&program), TARN_OK);
        assert_true(sum == 2 * product);
    }
    cpu_kernels_use(NULL);
}

static tarn_backend_operation make_gather(tarn_operand *operands, float *out, float *values, int32_t *numbers) {
    const tarn_operand line = {.type = TARN_ELEMENT_F32, .rank = 1, .dims = {3}, .strides = {1}};
    operands[0] = operands[1] = operands[2] = line;
    operands[0].data = out;
    operands[1].data = values;
    operands[2].data = numbers;
    operands[2].type = TARN_ELEMENT_I32;
    return (tarn_backend_operation){.struct_size = sizeof(tarn_backend_operation),
                                    .operation = TARN_OPERATION_GATHER,
                                    .output_count = 1,
                                    .input_count = 2,
                                    .operands = operands};
}

/* On the default stream at once, on another when it is next waited for. */
static void a_number_out_of_range_is_reported_once(void **state) {
    (void)state;
    float values[3] = {1, 2, 3}, out[3] = {9, 9, 9};
    int32_t numbers[3] = {-1, 3, 0};
    tarn_operand operands[3];
    tarn_backend_operation gather = make_gather(operands, out, values, numbers);
    tarn_stream *stream = NULL, *default_stream = tarn_device_default_stream(programs_device);
    assert_int_equal(hal_operation_enqueue(default_stream, &gather), TARN_INVALID_ARGUMENT);
    assert_non_null(strstr(tarn_last_error(), "slice 3 of a dimension of 3"));
    assert_true(out[0] == 3 && out[1] == 0 && out[2] == 1);
    assert_int_equal(tarn_stream_synchronize(default_stream), TARN_OK);

    out[0] = 9;
    assert_int_equal(tarn_stream_create(programs_device, &stream), TARN_OK);
    assert_int_equal(hal_operation_enqueue(stream, &gather), TARN_OK);
    assert_int_equal(hal_operation_enqueue(stream, &gather), TARN_OK);
    assert_int_equal(tarn_stream_synchronize(stream), TARN_INVALID_ARGUMENT);
    assert_non_null(strstr(tarn_last_error(), "slice 3 of a dimension of 3"));
    assert_true(out[0] == 3);
    assert_int_equal(tarn_stream_synchronize(stream), TARN_OK);
    assert_int_equal(hal_operation_enqueue(stream, &gather), TARN_OK);
    assert_int_equal(tarn_device_synchronize(programs_device), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_device_synchronize(programs_device), TARN_OK);
    assert_int_equal(tarn_stream_release(stream), TARN_OK);
}

static void without_memory_nothing_is_enqueued(void **state) {
    (void)state;
    float values[3] = {1, 2, 3}, out[3] = {9, 9, 9};
    int32_t numbers[3] = {0, 1, 2};
    tarn_operand operands[3];
    tarn_backend_operation gather = make_gather(operands, out, values, numbers);
    tarn_stream *stream = NULL;
    assert_int_equal(tarn_stream_create(programs_device, &stream), TARN_OK);
    tarn_status status = TARN_OUT_OF_MEMORY;
    for (unsigned long n = 1; status != TARN_OK; n++) {
        base_memory_fail_at(n, 0);
        status = hal_operation_enqueue(stream, &gather);
        base_memory_fail_at(0, 0);
        assert_true(status == TARN_OK || status == TARN_OUT_OF_MEMORY);
        assert_int_equal(tarn_stream_synchronize(stream), TARN_OK);
        assert_true(out[2] == (status == TARN_OK ? 3 : 9));
    }
    assert_int_equal(tarn_stream_release(stream), TARN_OK);
}

int main(void) {
    /* More than this machine may have, so that there is something to share. */
    if (setenv("TARN_NUM_THREADS", "3", 1) != 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_cover_each_number_once),
        cmocka_unit_test(work_within_work_runs_where_it_is),
        cmocka_unit_test(threads_share_the_pool),
        cmocka_unit_test(a_child_computes_with_threads_of_its_own),
        cmocka_unit_test(without_memory_for_threads_the_caller_works),
        cmocka_unit_test(sums_of_many_floats_err_by_few_units),
        cmocka_unit_test(sums_of_doubles_keep_what_their_additions_lose),
        cmocka_unit_test(reductions_are_the_same_with_any_number_of_threads),
        cmocka_unit_test(a_column_with_a_nan_has_no_extreme),
        cmocka_unit_test(a_reduction_in_pieces_fails_without_memory),
        cmocka_unit_test(large_results_are_whole),
        cmocka_unit_test(a_sum_of_a_product_is_rounded_twice),
        cmocka_unit_test(a_number_out_of_range_is_reported_once),
        cmocka_unit_test(without_memory_nothing_is_enqueued),
    };
    return cmocka_run_group_tests(tests, programs_open, programs_close);
}
