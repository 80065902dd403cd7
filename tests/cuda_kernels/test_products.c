/* Matrix products whose operands cuBLASLt does not take as they lie: copied for it where that pays, else computed by Tarn's own kernel. It is the
 * tests' own (emulation/cublaslt.c) here. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

#include "backends/cuda/cuda_internal.h"
#include "bench.h"
#include "fake_cuda.h"

static int (*products)(void), (*proposals)(void); /* that were enqueued; algorithms that were asked for */
static int (*alignment)(void);                    /* bytes, as the last one that was asked for was told */
static int (*handles)(void);                      /* that live */
static void (*refuse)(int refuses);               /* whether the library starts */

static int open_library(void **state) {
    (void)state;
    const char *file = getenv("TARN_CUBLASLT");
    tarn_backend_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_backend_find("cuda", &info));
    void *library = file != NULL && info.is_available ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = library != NULL ? dlsym(library, "fakecublaslt_products") : NULL;
    memcpy(&products, &symbol, sizeof symbol);
    symbol = library != NULL ? dlsym(library, "fakecublaslt_proposals") : NULL;
    memcpy(&proposals, &symbol, sizeof symbol);
    symbol = library != NULL ? dlsym(library, "fakecublaslt_alignment") : NULL;
    memcpy(&alignment, &symbol, sizeof symbol);
    symbol = library != NULL ? dlsym(library, "fakecublaslt_handles") : NULL;
    memcpy(&handles, &symbol, sizeof symbol);
    symbol = library != NULL ? dlsym(library, "fakecublaslt_refuse") : NULL;
    memcpy(&refuse, &symbol, sizeof symbol);
    if (products == NULL) print_message("skipped: the fake driver or TARN_CUBLASLT is not there\n");
    return 0;
}

/* Small whole numbers, in two matrices of `rows` × `columns`; every second row and column of a larger one where `is_sparse`. */
static tarn_tensor *make(test_bench *bench, int64_t batches, int64_t rows, int64_t columns, bool is_sparse) {
    int64_t step = is_sparse ? 2 : 1;
    size_t count = (size_t)(batches * rows * step * columns * step);
    float *values = malloc(count * sizeof *values);
    tarn_tensor *whole = NULL, *half = NULL, *view = NULL;
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) values[i] = (float)((int)(i * 7 % 11) - 5);
    EXPECT_OK(tarn_tensor_from_data(bench->allocator, SHAPE(batches, rows * step, columns * step), TARN_ELEMENT_F32,
                                    values, NULL, &whole));
    EXPECT_OK(tarn_device_synchronize(bench->device));
    free(values);
    if (!is_sparse) return whole;
    EXPECT_OK(tarn_tensor_slice(whole, 1, 0, rows * step, step, &half));
    EXPECT_OK(tarn_tensor_slice(half, 2, 0, columns * step, step, &view));
    EXPECT_OK(tarn_tensor_release(whole));
    EXPECT_OK(tarn_tensor_release(half));
    return view;
}

static void expect_product(tarn_tensor *a, tarn_tensor *b, tarn_tensor *result, int64_t batches, int64_t size) {
    float *first = elements_of(a), *second = elements_of(b), *got = elements_of(result);
    for (int64_t i = 0; i < batches * size * size; i++) {
        int64_t batch = i / (size * size), row = i / size % size, column = i % size;
        float sum = 0;
        for (int64_t k = 0; k < size; k++)
            sum += first[(batch * size + row) * size + k] * second[(batch * size + k) * size + column];
        if (got[i] != sum) fail_msg("element %d: %g and not %g", (int)i, (double)got[i], (double)sum);
    }
    free(first);
    free(second);
    free(got);
}

/* How many products the library was given. */
static int multiply(int64_t batches, int64_t size, bool a_is_sparse, bool b_is_sparse, const char *fault) {
    const fake_cuda *fake = fake_cuda_find();
    test_bench bench;
    tarn_tensor *result = NULL;
    bench_open(&bench, "cuda:0", "direct");
    tarn_tensor *a = make(&bench, batches, size, size, a_is_sparse),
                *b = make(&bench, batches, size, size, b_is_sparse);
    const int before = products();
    if (fault != NULL) {
        assert_int_equal(fake->fault(fault), 0);
        EXPECT(TARN_OUT_OF_MEMORY, tarn_matmul(a, b, NULL, &result));
        assert_int_equal(fake->fault(NULL), 0);
        assert_null(result);
    }
    EXPECT_OK(tarn_matmul(a, b, NULL, &result));
    const int made = products() - before;
    expect_product(a, b, result, batches, size);
    EXPECT_OK(tarn_tensor_release(a));
    EXPECT_OK(tarn_tensor_release(b));
    EXPECT_OK(tarn_tensor_release(result));
    bench_close(&bench);
    return made;
}

static void operands_with_gaps_are_copied_where_they_are_used_often(void **state) {
    (void)state;
    if (products == NULL) skip();
    assert_int_equal(multiply(1, 64, false, false, NULL), 1);
    assert_int_equal(multiply(1, 64, true, false, NULL), 1);
    assert_int_equal(multiply(1, 64, false, true, NULL), 1);
    assert_int_equal(multiply(2, 64, true, true, NULL), 1);
}

static void small_products_of_such_operands_are_computed_by_the_own_kernel(void **state) {
    (void)state;
    if (products == NULL) skip();
    assert_int_equal(multiply(2, 16, true, true, NULL), 0);
}

static void a_copy_that_cannot_be_made_is_told_and_may_be_tried_again(void **state) {
    (void)state;
    if (products == NULL) skip();
    /* The result's memory is the first; the scratch memory is the second. */
    assert_int_equal(multiply(1, 64, true, true, "cuMemAlloc_v2:2:CUDA_ERROR_OUT_OF_MEMORY"), 1);
    assert_int_equal(multiply(1, 64, true, true, "cuLaunchKernel:2:CUDA_ERROR_OUT_OF_MEMORY"), 1);
}

/* As much as there is of it, so that every algorithm is proposed that could be; and no more, of a row of biases too. */
static void the_library_is_told_how_operands_are_aligned(void **state) {
    (void)state;
    if (products == NULL) skip();
    enum { SIZE = 8 };
    const struct {
        int64_t begin; /* of the biases: elements into their tensor */
        int bytes;
    } cases[] = {{0, 256}, {64, 256}, {4, 16}, {1, 4}};
    test_bench bench;
    bench_open(&bench, "cuda:0", "direct");
    tarn_tensor *a = make(&bench, 1, SIZE, SIZE, false), *b = make(&bench, 1, SIZE, SIZE, false);
    tarn_tensor *biases = make(&bench, 1, 1, 80, false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int before = products();
        tarn_tensor *row = NULL, *result = NULL;
        EXPECT_OK(tarn_tensor_slice(biases, 2, cases[i].begin, cases[i].begin + SIZE, 1, &row));
        EXPECT_OK(tarn_linear(a, b, row, TARN_OPERATION_RELU, NULL, &result));
        EXPECT_OK(tarn_device_synchronize(bench.device));
        assert_int_equal(products() - before, 1);
        assert_int_equal(alignment(), cases[i].bytes);
        EXPECT_OK(tarn_tensor_release(row));
        EXPECT_OK(tarn_tensor_release(result));
    }
    EXPECT_OK(tarn_tensor_release(a));
    EXPECT_OK(tarn_tensor_release(b));
    EXPECT_OK(tarn_tensor_release(biases));
    bench_close(&bench);
}

static int warnings;
static char last_warning[256];

static void note_warning(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)level;
    warnings++;
    snprintf(last_warning, sizeof last_warning, "%s", sentence);
}

static void a_device_where_it_does_not_start_says_so_once(void **state) {
    (void)state;
    if (products == NULL) skip();
    warnings = 0;
    tarn_log_set(note_warning, NULL, TARN_LOG_WARNING);
    refuse(1);
    test_bench bench;
    bench_open(&bench, "cuda:0", "direct");
    tarn_tensor *a = make(&bench, 1, 16, 16, false), *result = NULL;
    const int before = products();
    for (int i = 0; i < 3; i++) EXPECT_OK(tarn_matmul(a, a, NULL, &result));
    refuse(0);
    EXPECT_OK(tarn_matmul(a, a, NULL, &result));
    expect_product(a, a, result, 1, 16);
    EXPECT_OK(tarn_tensor_release(a));
    EXPECT_OK(tarn_tensor_release(result));
    bench_close(&bench);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    assert_int_equal(products(), before);
    assert_int_equal(warnings, 1);
    assert_string_equal(last_warning,
                        "cuda: cuBLASLt is not used: cublasLtCreate answers 1; matrix products are computed by "
                        "Tarn's own kernels");
    /* A device that is opened anew tries again. */
    assert_int_equal(multiply(1, 16, false, false, NULL), 1);
}

static driver_result (*begin_capture)(driver_stream stream, driver_capture_mode mode);
static int handles_at_capture;

static driver_result note_capture(driver_stream stream, driver_capture_mode mode) {
    handles_at_capture = handles();
    return begin_capture(stream, mode);
}

static void it_starts_before_the_driver_captures_anything(void **state) {
    (void)state;
    if (products == NULL) skip();
    test_bench bench;
    tarn_stream *stream = NULL;
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    bench_open(&bench, "cuda:0", "direct");
    tarn_tensor *a = make(&bench, 1, 16, 16, false), *result = make(&bench, 1, 16, 16, false);
    EXPECT_OK(tarn_stream_create(bench.device, &stream));
    const tarn_operation_options options = {.struct_size = sizeof options, .stream = stream};
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    EXPECT_OK(tarn_matmul(a, a, &options, &result));
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    assert_int_equal(handles(), 0);
    begin_capture = cuda_driver.cuStreamBeginCapture;
    cuda_driver.cuStreamBeginCapture = note_capture;
    handles_at_capture = -1;
    tarn_status status = tarn_graph_instantiate(graph, &instance);
    cuda_driver.cuStreamBeginCapture = begin_capture;
    EXPECT_OK(status);
    assert_int_equal(handles_at_capture, 1);
    EXPECT_OK(tarn_graph_release(graph));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    expect_product(a, a, result, 1, 16);
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_stream_release(stream));
    EXPECT_OK(tarn_tensor_release(a));
    EXPECT_OK(tarn_tensor_release(result));
    bench_close(&bench);
}

/* A product of two rows whose form is that of its number; what was computed is right. */
static bool multiply_form(tarn_allocator *allocator, tarn_stream *stream, int64_t number) {
    const int64_t inner = number + 1;
    const tarn_operation_options options = {.struct_size = sizeof options, .stream = stream};
    float *values = malloc((size_t)inner * sizeof *values);
    float sum = 0, got = -1;
    tarn_tensor *a = NULL, *b = NULL, *result = NULL;
    for (int64_t i = 0; i < inner; i++) values[i] = (float)(i % 7);
    for (int64_t i = 0; i < inner; i++) sum += values[i] * values[i];
    bool is_right =
        tarn_tensor_from_data(allocator, SHAPE(1, inner), TARN_ELEMENT_F32, values, stream, &a) == TARN_OK &&
        tarn_tensor_from_data(allocator, SHAPE(inner, 1), TARN_ELEMENT_F32, values, stream, &b) == TARN_OK &&
        tarn_matmul(a, b, &options, &result) == TARN_OK &&
        tarn_stream_copy(stream, &got, tarn_tensor_data(result), sizeof got) == TARN_OK &&
        tarn_stream_synchronize(stream) == TARN_OK && got == sum;
    tarn_tensor *const all[] = {a, b, result};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i] != NULL && tarn_tensor_release(all[i]) != TARN_OK) is_right = false;
    free(values);
    return is_right;
}

enum { REMEMBERED = 256 };

static void many_forms_are_forgotten_again(void **state) {
    (void)state;
    if (products == NULL) skip();
    test_bench bench;
    bench_open(&bench, "cuda:0", "direct");
    tarn_stream *stream = tarn_device_default_stream(bench.device);
    const int before = proposals();
    for (int i = 0; i <= REMEMBERED; i++) assert_true(multiply_form(bench.allocator, stream, i));
    assert_int_equal(proposals() - before, REMEMBERED + 1);
    /* All but the first are known still, and are again the last ones that were used. */
    for (int i = REMEMBERED; i > 0; i--) assert_true(multiply_form(bench.allocator, stream, i));
    assert_int_equal(proposals() - before, REMEMBERED + 1);
    assert_true(multiply_form(bench.allocator, stream, 0));
    assert_int_equal(proposals() - before, REMEMBERED + 2);
    /* In its place went the one whose turn was longest ago. */
    assert_true(multiply_form(bench.allocator, stream, REMEMBERED - 1));
    assert_int_equal(proposals() - before, REMEMBERED + 2);
    assert_true(multiply_form(bench.allocator, stream, REMEMBERED));
    assert_int_equal(proposals() - before, REMEMBERED + 3);
    bench_close(&bench);
}

typedef struct multiplier {
    tarn_allocator *allocator;
    tarn_stream *stream;
    int64_t first;
    bool is_right;
} multiplier;

static void *multiply_forms(void *context) {
    multiplier *self = context;
    self->is_right = true;
    /* One form that all have in common, among others that push each other out. */
    for (int64_t i = 0; i < REMEMBERED / 2 && self->is_right; i++)
        self->is_right = multiply_form(self->allocator, self->stream, self->first + i) &&
                         multiply_form(self->allocator, self->stream, 0);
    return NULL;
}

static void a_form_may_be_forgotten_while_another_thread_uses_it(void **state) {
    (void)state;
    if (products == NULL) skip();
    enum { THREADS = 4 };
    test_bench bench;
    pthread_t threads[THREADS];
    multiplier all[THREADS];
    bench_open(&bench, "cuda:0", "direct");
    for (int i = 0; i < THREADS; i++) {
        all[i] = (multiplier){.allocator = bench.allocator, .first = 1 + i * REMEMBERED / 2};
        EXPECT_OK(tarn_stream_create(bench.device, &all[i].stream));
    }
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, multiply_forms, &all[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) {
        assert_true(all[i].is_right);
        EXPECT_OK(tarn_stream_release(all[i].stream));
    }
    bench_close(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_with_gaps_are_copied_where_they_are_used_often),
        cmocka_unit_test(small_products_of_such_operands_are_computed_by_the_own_kernel),
        cmocka_unit_test(a_copy_that_cannot_be_made_is_told_and_may_be_tried_again),
        cmocka_unit_test(the_library_is_told_how_operands_are_aligned),
        cmocka_unit_test(a_device_where_it_does_not_start_says_so_once),
        cmocka_unit_test(it_starts_before_the_driver_captures_anything),
        cmocka_unit_test(many_forms_are_forgotten_again),
        cmocka_unit_test(a_form_may_be_forgotten_while_another_thread_uses_it),
    };
    return cmocka_run_group_tests(tests, open_library, NULL);
}
