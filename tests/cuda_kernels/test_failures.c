/* Operations on cuda:0 that cannot be enqueued: each call of the driver and each request for host memory fails in turn, the operation tells, and
 * the next try works. And what fails only when kernels run. */
#include <stdio.h>
#include <stdlib.h>

#include <tarn/tarn.h>

#include "base/memory.h"
#include "bench.h"
#include "fake_cuda.h"

#define LENGTH 20011

/* A device that has loaded nothing yet, with operands and room for results. */
typedef struct stand {
    test_bench bench;
    tarn_tensor *x, *sum, *indices, *slices;
} stand;

static bool is_there(void) {
    tarn_backend_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_backend_find("cuda", &info));
    return info.is_available != 0;
}

static const fake_cuda *need_fake(void) {
    const fake_cuda *fake = is_there() ? fake_cuda_find() : NULL;
    if (fake == NULL) {
        print_message("skipped: there is no fake driver\n");
        skip();
    }
    return fake;
}

static void open_stand(stand *opened) {
    *opened = (stand){.x = NULL};
    bench_open(&opened->bench, "cuda:0", "direct");
    tarn_allocator *allocator = opened->bench.allocator;
    EXPECT_OK(tarn_tensor_full(allocator, SHAPE(LENGTH), TARN_ELEMENT_F32, tarn_scalar_float(1), NULL, &opened->x));
    EXPECT_OK(tarn_tensor_zeros(allocator, NO_DIMENSIONS, TARN_ELEMENT_F32, NULL, &opened->sum));
    EXPECT_OK(
        tarn_tensor_from_data(allocator, SHAPE(2), TARN_ELEMENT_I64, (const int64_t[]){7, -1}, NULL, &opened->indices));
    EXPECT_OK(tarn_tensor_zeros(allocator, SHAPE(2), TARN_ELEMENT_F32, NULL, &opened->slices));
    EXPECT_OK(tarn_device_synchronize(opened->bench.device));
}

static void close_stand(stand *closed, const fake_cuda *fake) {
    const char *sentence = NULL;
    EXPECT_OK(tarn_tensor_release(closed->x));
    EXPECT_OK(tarn_tensor_release(closed->sum));
    EXPECT_OK(tarn_tensor_release(closed->indices));
    EXPECT_OK(tarn_tensor_release(closed->slices));
    bench_close(&closed->bench);
    if (fake->violations(&sentence) != 0) fail_msg("the driver was used wrongly: %s", sentence);
    if (fake->live_objects(&sentence) != 0) fail_msg("the driver still has: %s", sentence);
}

/* A sum in several slices, which takes scratch memory, and a gather, which takes a place for its failure. */
static tarn_status compute(stand *own) {
    tarn_status status = tarn_sum(own->x, NULL, 0, 0, NULL, &own->sum);
    return status == TARN_OK ? tarn_gather(own->x, own->indices, 0, NULL, &own->slices) : status;
}

static void expect_results(stand *own) {
    EXPECT_OK(compute(own));
    EXPECT_FLOATS(own->sum, LENGTH);
    EXPECT_FLOATS(own->slices, 1, 1);
}

static void each_call_of_the_driver_may_fail(void **state) {
    (void)state;
    const fake_cuda *fake = need_fake();
    static const struct {
        const char *name, *symbol; /* the driver's own name has a version */
    } calls[] = {{"cuModuleLoadData", "cuModuleLoadData"},
                 {"cuModuleGetFunction", "cuModuleGetFunction"},
                 {"cuMemAlloc", "cuMemAlloc_v2"},
                 {"cuMemHostAlloc", "cuMemHostAlloc"},
                 {"cuLaunchKernel", "cuLaunchKernel"}};
    /* Every seventh call where everything takes longer. */
    const int stride = getenv("TARN_TEST_SLOWNESS") != NULL ? 7 : 1;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        size_t failed = 0;
        for (int call = 1; call < 100; call += stride) {
            stand own;
            char schedule[64];
            open_stand(&own);
            snprintf(schedule, sizeof schedule, "%s:%d:CUDA_ERROR_OUT_OF_MEMORY", calls[i].symbol, call);
            assert_int_equal(fake->fault(schedule), 0);
            tarn_status status = compute(&own);
            bool has_failed = fake->faults_done() != 0;
            assert_int_equal(fake->fault(NULL), 0);
            failed += has_failed;
            /* What is on disk and does not load is compiled once more. */
            bool may_be_mended = i == 0 && status == TARN_OK;
            assert_int_equal(status, has_failed && !may_be_mended ? TARN_OUT_OF_MEMORY : TARN_OK);
            if (status != TARN_OK) EXPECT_SENTENCE(calls[i].name);
            expect_results(&own);
            close_stand(&own, fake);
            if (!has_failed) break;
        }
        print_message("%s: %zu calls failed\n", calls[i].name, failed);
        assert_true(failed > 0);
    }
}

static void each_request_for_host_memory_may_fail(void **state) {
    (void)state;
    const fake_cuda *fake = need_fake();
    size_t failed = 0;
    for (unsigned long n = 1; n < 200; n++) {
        stand own;
        open_stand(&own);
        base_memory_fail_at(n, 0);
        tarn_status status = compute(&own);
        bool has_failed = base_memory_requests() >= n;
        base_memory_fail_at(0, 0);
        if (status != TARN_OK) {
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            failed++;
        }
        expect_results(&own);
        close_stand(&own, fake);
        if (!has_failed) break;
    }
    print_message("%zu requests failed\n", failed);
    assert_true(failed > 0);
}

/* What is embedded may be for other devices, or compressed or written as only later drivers read it; what is on disk likewise. */
static void kernels_that_the_driver_cannot_load_are_compiled_for_it(void **state) {
    (void)state;
    const fake_cuda *fake = need_fake();
    static const char *const errors[] = {"CUDA_ERROR_INVALID_IMAGE", "CUDA_ERROR_NO_BINARY_FOR_GPU",
                                         "CUDA_ERROR_INVALID_PTX", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
                                         "CUDA_ERROR_INVALID_SOURCE"};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        stand own;
        char schedule[64];
        open_stand(&own);
        snprintf(schedule, sizeof schedule, "cuModuleLoadData:1:%s", errors[i]);
        assert_int_equal(fake->fault(schedule), 0);
        tarn_status status = compute(&own);
        assert_int_equal(fake->faults_done(), 1);
        assert_int_equal(fake->fault(NULL), 0);
        EXPECT_OK(status);
        expect_results(&own);
        close_stand(&own, fake);
    }
}

static void a_number_out_of_range_in_a_graph_is_told_by_the_stream_of_the_launch(void **state) {
    (void)state;
    const fake_cuda *fake = need_fake();
    stand own;
    tarn_stream *captured, *launched;
    tarn_graph *graph;
    tarn_graph_instance *instance;
    open_stand(&own);
    EXPECT_OK(tarn_stream_create(own.bench.device, &captured));
    EXPECT_OK(tarn_stream_create(own.bench.device, &launched));
    tarn_tensor *wrong = NULL;
    EXPECT_OK(tarn_tensor_from_data(own.bench.allocator, SHAPE(2), TARN_ELEMENT_I64, (const int64_t[]){7, LENGTH}, NULL,
                                    &wrong));
    EXPECT_OK(tarn_device_synchronize(own.bench.device));
    EXPECT_OK(tarn_stream_begin_capture(captured, TARN_CAPTURE_RELAXED));
    const tarn_operation_options options = {.struct_size = sizeof options, .stream = captured};
    EXPECT_OK(tarn_gather(own.x, wrong, 0, &options, &own.slices));
    EXPECT_OK(tarn_sum(own.x, NULL, 0, 0, &options, &own.sum));
    EXPECT_OK(tarn_stream_end_capture(captured, &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_release(graph));
    for (int i = 0; i < 2; i++) {
        EXPECT_OK(tarn_graph_instance_launch(instance, launched));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_stream_synchronize(launched));
        EXPECT_SENTENCE("gather: slice 20011 of a dimension of 20011 slices");
        EXPECT_OK(tarn_stream_synchronize(launched));
        EXPECT_OK(tarn_stream_synchronize(captured));
        EXPECT_FLOATS(own.slices, 1, 0);
        EXPECT_FLOATS(own.sum, LENGTH);
    }
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_tensor_release(wrong));
    EXPECT_OK(tarn_stream_release(captured));
    EXPECT_OK(tarn_stream_release(launched));
    close_stand(&own, fake);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_of_the_driver_may_fail),
        cmocka_unit_test(each_request_for_host_memory_may_fail),
        cmocka_unit_test(kernels_that_the_driver_cannot_load_are_compiled_for_it),
        cmocka_unit_test(a_number_out_of_range_in_a_graph_is_told_by_the_stream_of_the_launch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
