/* Matrix products whose operands cuBLASLt does not take as they lie: copied for it where that pays, else computed by Tarn's own kernel. It is the
 * tests' own (emulation/cublaslt.c) here. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

#include "bench.h"
#include "fake_cuda.h"

static int (*products)(void);

static int open_library(void **state) {
    (void)state;
    const char *file = getenv("TARN_CUBLASLT");
    tarn_backend_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_backend_find("cuda", &info));
    void *library = file != NULL && info.is_available ? dlopen(file, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = library != NULL ? dlsym(library, "fakecublaslt_products") : NULL;
    memcpy(&products, &symbol, sizeof symbol);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_with_gaps_are_copied_where_they_are_used_often),
        cmocka_unit_test(small_products_of_such_operands_are_computed_by_the_own_kernel),
        cmocka_unit_test(a_copy_that_cannot_be_made_is_told_and_may_be_tried_again),
    };
    return cmocka_run_group_tests(tests, open_library, NULL);
}
