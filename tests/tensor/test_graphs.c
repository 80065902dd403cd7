/* Tensors and graphs: memory whose addresses stay, and what becomes of it when tensors go before the graphs that use them. */
#include "bench.h"

#include <string.h>

static tarn_device *device;
static tarn_allocator *pool, *caching;
static tarn_stream *stream;
static test_bench bench;

static int open_all(void **state) {
    (void)state;
    bench_open(&bench, "cpu", "caching");
    device = bench.device;
    caching = bench.allocator;
    EXPECT_OK(tarn_allocator_create(device, "graph", &pool));
    EXPECT_OK(tarn_stream_create(device, &stream));
    return 0;
}

static uint64_t buffers_of(tarn_allocator *allocator) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_allocator_stats(allocator, &stats));
    return stats.blocks.current;
}

static int close_all(void **state) {
    (void)state;
    EXPECT_OK(tarn_allocator_check(pool));
    assert_int_equal(buffers_of(pool), 0);
    EXPECT_OK(tarn_stream_release(stream));
    EXPECT_OK(tarn_allocator_release(pool));
    bench_close(&bench);
    return 0;
}

/* A graph that copies `from` to `to`. */
static tarn_graph_instance *capture_copy(tarn_tensor *to, tarn_tensor *from) {
    tarn_graph *graph;
    tarn_graph_instance *instance;
    EXPECT_OK(tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_RELAXED));
    EXPECT_OK(tarn_tensor_copy(to, from, stream));
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_release(graph));
    return instance;
}

static void graph_memory_holds_a_copy(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(2, 3)), *copy, *same;
    EXPECT_OK(tarn_tensor_with_graph_memory(tensor, pool, NULL, &copy));
    EXPECT_FLOATS(copy, 0, 1, 2, 3, 4, 5);
    assert_ptr_equal(tarn_tensor_allocator(copy), pool);
    EXPECT_OK(tarn_tensor_ensure_graph_compatible(copy, pool, NULL, &same));
    assert_ptr_equal(same, copy);
    EXPECT_OK(tarn_tensor_release(same));
    EXPECT_OK(tarn_tensor_ensure_graph_compatible(tensor, pool, NULL, &same));
    assert_ptr_not_equal(same, tensor);
    EXPECT_FLOATS(same, 0, 1, 2, 3, 4, 5);
    EXPECT_OK(tarn_tensor_release(same));
    EXPECT_OK(tarn_tensor_release(copy));
    EXPECT_OK(tarn_tensor_release(tensor));
}

static void a_switch_gives_the_memory_of_its_pool(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(3)), *copy = NULL, *same;
    tarn_allocator *graph_switch;
    EXPECT_OK(tarn_graph_switch_create(device, "direct", &graph_switch));
    EXPECT(TARN_INVALID_STATE, tarn_tensor_with_graph_memory(tensor, graph_switch, NULL, &copy));
    EXPECT_SENTENCE("has no graph pool yet");
    EXPECT_OK(tarn_graph_switch_set_pool(graph_switch, pool));
    EXPECT_OK(tarn_tensor_with_graph_memory(tensor, graph_switch, NULL, &copy));
    assert_ptr_equal(tarn_tensor_allocator(copy), pool);
    EXPECT_OK(tarn_tensor_ensure_graph_compatible(copy, graph_switch, NULL, &same));
    assert_ptr_equal(same, copy);
    EXPECT_OK(tarn_tensor_release(same));
    EXPECT_OK(tarn_tensor_release(copy));
    EXPECT_OK(tarn_tensor_release(tensor));
    EXPECT_OK(tarn_allocator_release(graph_switch));
}

static void other_allocators_have_no_graph_memory(void **state) {
    (void)state;
    tarn_tensor *tensor = counting(&bench, SHAPE(3)), *copy = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_with_graph_memory(tensor, caching, NULL, &copy));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_ensure_graph_compatible(tensor, caching, NULL, &copy));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_with_graph_memory(tensor, NULL, NULL, &copy));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_with_graph_memory(NULL, pool, NULL, &copy));
    assert_null(copy);
    EXPECT_OK(tarn_tensor_release(tensor));
}

static void tensors_released_before_their_graph_end_with_it(void **state) {
    (void)state;
    tarn_tensor *host = counting(&bench, SHAPE(4)), *from, *to;
    EXPECT_OK(tarn_tensor_with_graph_memory(host, pool, NULL, &from));
    EXPECT_OK(tarn_tensor_empty(pool, SHAPE(4), TARN_ELEMENT_F32, NULL, &to));
    tarn_graph_instance *instance = capture_copy(to, from);
    EXPECT_OK(tarn_tensor_release(from));
    /* Nobody else gets the memory, from which each launch copies. */
    tarn_tensor *other;
    EXPECT_OK(tarn_tensor_full(pool, SHAPE(4), TARN_ELEMENT_F32, tarn_scalar_float(9), NULL, &other));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    EXPECT_FLOATS(to, 0, 1, 2, 3);
    EXPECT_OK(tarn_tensor_release(to));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    EXPECT_OK(tarn_tensor_release(other));
    assert_int_equal(buffers_of(pool), 2);
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_stream_synchronize(stream));
    assert_int_equal(buffers_of(pool), 0);
    EXPECT_OK(tarn_tensor_release(host));
}

static void tensors_made_in_a_capture_are_freed_in_it(void **state) {
    (void)state;
    tarn_graph *graph;
    tarn_tensor *first, *second;
    EXPECT_OK(tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_RELAXED));
    EXPECT_OK(tarn_tensor_zeros(pool, SHAPE(64), TARN_ELEMENT_F32, stream, &first));
    void *address = tarn_tensor_data(first);
    EXPECT_OK(tarn_tensor_release(first));
    EXPECT_OK(tarn_tensor_zeros(pool, SHAPE(64), TARN_ELEMENT_F32, stream, &second));
    assert_ptr_equal(tarn_tensor_data(second), address);
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    assert_int_equal(tarn_graph_node_count(graph), 2);
    EXPECT_OK(tarn_tensor_release(second));
    EXPECT_OK(tarn_graph_release(graph));
}

static void the_host_cannot_look_at_captured_work(void **state) {
    (void)state;
    float values[4] = {0};
    tarn_tensor *tensor = counting(&bench, SHAPE(4)), *copy = NULL;
    EXPECT_OK(tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_RELAXED));
    EXPECT(TARN_INVALID_STATE, tarn_tensor_read(tensor, stream, values, sizeof values));
    EXPECT_SENTENCE("is being captured");
    EXPECT(TARN_INVALID_STATE, tarn_tensor_from_data(pool, SHAPE(4), TARN_ELEMENT_F32, values, stream, &copy));
    assert_null(copy);
    EXPECT_OK(tarn_stream_abort_capture(stream));
    EXPECT_OK(tarn_tensor_release(tensor));
}

/* The copy needs memory in between, of which each launch of the graph has its own use. */
static void overlapping_copies_are_captured_with_graph_memory(void **state) {
    (void)state;
    tarn_graph *graph;
    tarn_graph_instance *instance;
    tarn_tensor *host = counting(&bench, SHAPE(4)), *tensor, *early, *late;
    EXPECT_OK(tarn_tensor_slice(host, 0, 0, 3, 1, &early));
    EXPECT_OK(tarn_tensor_slice(host, 0, 1, 4, 1, &late));
    EXPECT_OK(tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_RELAXED));
    EXPECT(TARN_INVALID_STATE, tarn_tensor_copy(late, early, stream));
    EXPECT_SENTENCE("has no graph pool");
    EXPECT_OK(tarn_stream_abort_capture(stream));
    EXPECT_OK(tarn_tensor_release(late));
    EXPECT_OK(tarn_tensor_release(early));
    EXPECT_OK(tarn_tensor_with_graph_memory(host, pool, NULL, &tensor));
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 0, 3, 1, &early));
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 1, 4, 1, &late));
    EXPECT_OK(tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_RELAXED));
    EXPECT_OK(tarn_tensor_copy(late, early, stream));
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_release(graph));
    for (int i = 0; i < 2; i++) EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    EXPECT_FLOATS(tensor, 0, 0, 0, 1);
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_stream_synchronize(stream));
    EXPECT_OK(tarn_tensor_release(late));
    EXPECT_OK(tarn_tensor_release(early));
    EXPECT_OK(tarn_tensor_release(tensor));
    EXPECT_OK(tarn_tensor_release(host));
}

static void an_aborted_capture_leaves_tensors_as_they_were(void **state) {
    (void)state;
    tarn_tensor *host = counting(&bench, SHAPE(4)), *from, *to;
    EXPECT_OK(tarn_tensor_with_graph_memory(host, pool, NULL, &from));
    EXPECT_OK(tarn_tensor_zeros(pool, SHAPE(4), TARN_ELEMENT_F32, NULL, &to));
    EXPECT_OK(tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_RELAXED));
    EXPECT_OK(tarn_tensor_copy(to, from, stream));
    /* Not in the order of the captured stream: it goes when the capture has ended. */
    EXPECT_OK(tarn_tensor_release(from));
    EXPECT_OK(tarn_stream_abort_capture(stream));
    EXPECT_FLOATS(to, 0, 0, 0, 0);
    assert_int_equal(buffers_of(pool), 1);
    EXPECT_OK(tarn_tensor_release(to));
    EXPECT_OK(tarn_tensor_release(host));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(graph_memory_holds_a_copy, open_all, close_all),
        cmocka_unit_test_setup_teardown(a_switch_gives_the_memory_of_its_pool, open_all, close_all),
        cmocka_unit_test_setup_teardown(other_allocators_have_no_graph_memory, open_all, close_all),
        cmocka_unit_test_setup_teardown(tensors_released_before_their_graph_end_with_it, open_all, close_all),
        cmocka_unit_test_setup_teardown(tensors_made_in_a_capture_are_freed_in_it, open_all, close_all),
        cmocka_unit_test_setup_teardown(the_host_cannot_look_at_captured_work, open_all, close_all),
        cmocka_unit_test_setup_teardown(overlapping_copies_are_captured_with_graph_memory, open_all, close_all),
        cmocka_unit_test_setup_teardown(an_aborted_capture_leaves_tensors_as_they_were, open_all, close_all),
    };
    return cmocka_run_group_tests_name("tensor.graphs", tests, NULL, NULL);
}
