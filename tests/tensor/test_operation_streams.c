/* Operations in the order of streams: operands released while the work waits, threads that share operands, and captured work. */
#include <pthread.h>

#include <tarn/operation.h>

#include "bench.h"
#include "gate.h"

static int begin(void **state) {
    static test_bench bench;
    bench_open(&bench, bench_device(), "caching");
    *state = &bench;
    return 0;
}

static int end(void **state) {
    bench_close(*state);
    return 0;
}

/* The memory of both goes to nobody else before the work is done. */
static void operands_and_results_may_be_released_while_the_work_waits(void **state) {
    test_bench *bench = *state;
    tarn_stream *worker;
    test_gate gate = {0};
    EXPECT_OK(tarn_stream_create(bench->device, &worker));
    const tarn_operation_options options = {.struct_size = sizeof options, .stream = worker};
    tarn_tensor *x = counting(bench, SHAPE(4)), *sum = NULL, *more = NULL, *other;
    EXPECT_OK(tarn_stream_enqueue(worker, gate_pass, &gate));
    EXPECT_OK(tarn_add(x, x, &options, &sum));
    EXPECT_OK(tarn_add(sum, x, &options, &more));
    EXPECT_OK(tarn_tensor_release(x));
    EXPECT_OK(tarn_tensor_release(sum));
    EXPECT_OK(tarn_tensor_full(bench->allocator, SHAPE(4), TARN_ELEMENT_F32, tarn_scalar_float(77), NULL, &other));
    gate_open(&gate);
    EXPECT_OK(tarn_stream_synchronize(worker));
    EXPECT_FLOATS(more, 0, 3, 6, 9);
    EXPECT_FLOATS(other, 77, 77, 77, 77);
    EXPECT_OK(tarn_tensor_release(other));
    EXPECT_OK(tarn_tensor_release(more));
    EXPECT_OK(tarn_stream_release(worker));
}

#define ROUNDS 50

typedef struct sharer {
    test_bench *bench;
    tarn_tensor *x, *y; /* shared */
    tarn_stream *stream;
    tarn_tensor *result;
} sharer;

static void *share(void *context) {
    sharer *own = context;
    const tarn_operation_options options = {.struct_size = sizeof options, .stream = own->stream};
    for (int i = 0; i < ROUNDS; i++) {
        tarn_tensor *sum = NULL;
        EXPECT_OK(tarn_add(own->x, own->y, &options, &sum));
        EXPECT_OK(tarn_add(own->result, sum, &options, &own->result));
        EXPECT_OK(tarn_tensor_release(sum));
    }
    if (own->stream != NULL) EXPECT_OK(tarn_stream_synchronize(own->stream));
    return NULL;
}

/* One computes on the default stream, that is on its own thread, the other on a worker's. */
static void two_threads_compute_on_shared_operands(void **state) {
    test_bench *bench = *state;
    sharer sharers[2];
    pthread_t threads[2];
    tarn_tensor *x = counting(bench, SHAPE(3)), *y = counting(bench, SHAPE(3));
    for (int i = 0; i < 2; i++) {
        sharers[i] = (sharer){.bench = bench, .x = x, .y = y, .result = counting(bench, SHAPE(3))};
        if (i == 1) EXPECT_OK(tarn_stream_create(bench->device, &sharers[i].stream));
        assert_int_equal(pthread_create(&threads[i], NULL, share, &sharers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        EXPECT_FLOATS(sharers[i].result, 0, 1 + 2 * ROUNDS, 2 + 4 * ROUNDS);
        EXPECT_OK(tarn_tensor_release(sharers[i].result));
        EXPECT_OK(tarn_stream_release(sharers[i].stream));
    }
    EXPECT_OK(tarn_tensor_release(x));
    EXPECT_OK(tarn_tensor_release(y));
}

/* Captured, they are computed at each launch and not before. */
static void captured_operations_are_computed_at_each_launch(void **state) {
    test_bench *bench = *state;
    tarn_stream *stream;
    tarn_graph *graph;
    tarn_graph_instance *instance;
    tarn_allocator *pool;
    EXPECT_OK(tarn_stream_create(bench->device, &stream));
    EXPECT_OK(tarn_allocator_create(bench->device, "graph", &pool));
    const tarn_operation_options options = {.struct_size = sizeof options, .stream = stream, .allocator = pool};
    tarn_tensor *x = counting(bench, SHAPE(3)), *sum = NULL, *total;
    EXPECT_OK(tarn_tensor_zeros(bench->allocator, SHAPE(3), TARN_ELEMENT_F32, NULL, &total));
    EXPECT_OK(tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_GLOBAL));
    EXPECT_OK(tarn_add(x, x, &options, &sum));
    EXPECT_OK(tarn_add(total, sum, &options, &total));
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    EXPECT_FLOATS(total, 0, 0, 0);
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_release(graph));
    for (int i = 0; i < 2; i++) EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    EXPECT_FLOATS(total, 0, 4, 8);
    EXPECT_OK(tarn_add(x, x, NULL, &x));
    EXPECT_OK(tarn_stream_synchronize(tarn_device_default_stream(bench->device)));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    EXPECT_FLOATS(total, 0, 8, 16);
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_tensor_release(sum));
    EXPECT_OK(tarn_tensor_release(x));
    EXPECT_OK(tarn_tensor_release(total));
    EXPECT_OK(tarn_stream_release(stream));
    EXPECT_OK(tarn_allocator_release(pool));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_and_results_may_be_released_while_the_work_waits),
        cmocka_unit_test(two_threads_compute_on_shared_operands),
        cmocka_unit_test(captured_operations_are_computed_at_each_launch),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
