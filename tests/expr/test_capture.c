/* Evaluations in captured graphs: launched again, they read what their tensors hold then, at addresses that stay. */
#include "bench.h"

typedef struct captured_evaluation {
    tarn_allocator *pool;
    tarn_stream *stream;
    tarn_graph_instance *instance;
    tarn_tensor *input, *result;
} captured_evaluation;

/* relu(softmax(x)·3 - 1) of a row of four: two passes and an intermediate, which comes from the pool. */
static tarn_expr *build(tarn_tensor *input) {
    tarn_expr *soft = tarn_expr_softmax(tarn_expr_neg(tarn_expr_of(input)), -1);
    return tarn_expr_relu(tarn_expr_subtract(tarn_expr_multiply(soft, tarn_expr_float(3)), tarn_expr_float(1)));
}

static void capture(test_bench *bench, captured_evaluation *captured) {
    tarn_graph *graph = NULL;
    tarn_evaluation *evaluation = NULL;
    *captured = (captured_evaluation){.pool = NULL};
    EXPECT_OK(tarn_tensor_zeros(bench->allocator, SHAPE(1, 4), TARN_ELEMENT_F32, NULL, &captured->input));
    tarn_expr *expr = build(captured->input);
    EXPECT_OK(tarn_evaluation_create(&expr, 1, &evaluation));
    tarn_expr_release(expr);
    EXPECT_OK(tarn_graph_pool_create(bench->device, NULL, &captured->pool));
    EXPECT_OK(tarn_stream_create(bench->device, &captured->stream));
    EXPECT_OK(tarn_graph_pool_begin_capture(captured->pool, captured->stream, TARN_CAPTURE_THREAD_LOCAL));
    EXPECT_OK(tarn_evaluation_run(evaluation, captured->pool, captured->stream, &captured->result));
    EXPECT_OK(tarn_stream_end_capture(captured->stream, &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &captured->instance));
    EXPECT_OK(tarn_graph_release(graph));
    tarn_evaluation_release(evaluation);
}

static void release(captured_evaluation *captured) {
    EXPECT_OK(tarn_graph_instance_release(captured->instance));
    EXPECT_OK(tarn_tensor_release(captured->result));
    EXPECT_OK(tarn_tensor_release(captured->input));
    EXPECT_OK(tarn_stream_release(captured->stream));
    EXPECT_OK(tarn_allocator_release(captured->pool));
}

static void a_captured_evaluation_computes_at_each_launch(void **state) {
    (void)state;
    static const float inputs[][4] = {{0, 0, 0, 0}, {5, 1, 2, 9}, {-3, 0.5f, 4, -2}};
    test_bench bench;
    captured_evaluation captured;
    bench_open(&bench, bench_device(), "caching");
    capture(&bench, &captured);
    void *address = tarn_tensor_data(captured.result);
    for (int i = 0; i < 3; i++) {
        tarn_tensor *fresh = NULL, *wanted = NULL;
        float got[4], plain[4];
        EXPECT_OK(
            tarn_tensor_from_data(bench.allocator, SHAPE(1, 4), TARN_ELEMENT_F32, inputs[i], captured.stream, &fresh));
        EXPECT_OK(tarn_tensor_copy(captured.input, fresh, captured.stream));
        EXPECT_OK(tarn_graph_instance_launch(captured.instance, captured.stream));
        EXPECT_OK(tarn_tensor_read(captured.result, captured.stream, got, sizeof got));
        tarn_expr *expr = build(fresh);
        EXPECT_OK(tarn_expr_eval(expr, bench.allocator, &wanted));
        tarn_expr_release(expr);
        EXPECT_OK(tarn_tensor_read(wanted, NULL, plain, sizeof plain));
        assert_memory_equal(got, plain, sizeof got);
        assert_ptr_equal(tarn_tensor_data(captured.result), address);
        tarn_tensor_release(wanted);
        tarn_tensor_release(fresh);
    }
    release(&captured);
    bench_close(&bench);
}

static void one_evaluation_runs_on_several_streams(void **state) {
    (void)state;
    test_bench bench;
    tarn_evaluation *evaluation = NULL;
    tarn_stream *streams[3] = {NULL};
    tarn_tensor *results[3] = {NULL};
    bench_open(&bench, bench_device(), "caching");
    tarn_tensor *input = counting(&bench, SHAPE(1, 4));
    tarn_expr *expr = build(input);
    EXPECT_OK(tarn_evaluation_create(&expr, 1, &evaluation));
    tarn_expr_release(expr);
    for (int i = 0; i < 3; i++) {
        EXPECT_OK(tarn_stream_create(bench.device, &streams[i]));
        EXPECT_OK(tarn_evaluation_run(evaluation, bench.allocator, streams[i], &results[i]));
    }
    tarn_evaluation_release(evaluation);
    tarn_tensor_release(input);
    for (int i = 0; i < 3; i++) {
        float values[2][4];
        EXPECT_OK(tarn_tensor_read(results[0], streams[0], values[0], sizeof values[0]));
        EXPECT_OK(tarn_tensor_read(results[i], streams[i], values[1], sizeof values[1]));
        assert_memory_equal(values[0], values[1], sizeof values[0]);
    }
    for (int i = 0; i < 3; i++) {
        tarn_tensor_release(results[i]);
        EXPECT_OK(tarn_stream_release(streams[i]));
    }
    bench_close(&bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_captured_evaluation_computes_at_each_launch),
        cmocka_unit_test(one_evaluation_runs_on_several_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
