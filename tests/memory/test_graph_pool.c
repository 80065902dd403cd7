/* Graph pools under captures: where captured memory is, how much of it there may be, and what is refused. Each test runs on
 * `cpu`, and most on `sim` too. Numbers in comments are those of the project's list of faults. */
#include <string.h>

#include "capture.h"
#include "hal/graph.h"

/* A step of training: temporaries that are freed in the capture, and a result that is not. */
static void captured_memory_keeps_its_address_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0];
    tarn_buffer *input = take(stand, 4096, NULL);
    capture_begin(stand);
    tarn_buffer *temporary = take(stand, 8192, stream), *result = take(stand, 4096, stream);
    void *first = tarn_buffer_data(temporary), *kept = tarn_buffer_data(result);
    capture_fill(stream, temporary, 1);
    EXPECT_OK(tarn_stream_copy(stream, kept, tarn_buffer_data(input), 4096));
    give(stand, temporary, stream);
    /* Inside the capture its memory serves what comes after it. */
    tarn_buffer *second = take(stand, 8192, stream);
    assert_ptr_equal(tarn_buffer_data(second), first);
    give(stand, second, NULL);
    tarn_graph_instance *instance = capture_end(stand);
    tarn_memory_stats before = stats_of(stand->allocator);
    /* What the graph uses is given to nobody, although it is free. */
    tarn_buffer *others[64];
    for (int i = 0; i < 64; i++) {
        others[i] = take(stand, 8192, i % 2 == 0 ? stream : NULL);
        assert_true(tarn_buffer_data(others[i]) != first);
    }
    for (int i = 0; i < 64; i++) give(stand, others[i], NULL);
    for (int i = 0; i < 3; i++) EXPECT_OK(tarn_graph_instance_launch(instance, i == 1 ? stand->streams[1] : stream));
    assert_ptr_equal(tarn_buffer_data(result), kept);
    /* Bytes are counted once, not again at reuse. */
    assert_int_equal(stats_of(stand->allocator).reserved_bytes.current, before.reserved_bytes.current);
    assert_int_equal(stats_of(stand->allocator).reserved_bytes.total, before.reserved_bytes.total);
    /* Freeing what a live graph uses is refused, whoever asks. */
    EXPECT(TARN_INVALID_STATE, tarn_allocator_free(stand->allocator, result, stream));
    EXPECT_SENTENCE("used by captured work");
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(input, NULL));
    assert_true(tarn_buffer_is_valid(result) && tarn_buffer_is_valid(input));
    capture_finish(stand, instance);
    assert_int_equal(graph_info_of(stand->allocator).graphs, 0);
    give(stand, result, stream);
    give(stand, input, NULL);
}

static void captured_memory_keeps_its_address(void **state) {
    (void)state;
    on_each_device("graph", captured_memory_keeps_its_address_body);
}

static void the_result_of_a_launch_is_there(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_buffer *input = take(&stand, 64, NULL);
    capture_begin(&stand);
    tarn_buffer *temporary = take(&stand, 64, stream), *result = take(&stand, 64, stream);
    EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(temporary), tarn_buffer_data(input), 64));
    EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(result), tarn_buffer_data(temporary), 64));
    give(&stand, temporary, stream);
    tarn_buffer *later = take(&stand, 64, stream);
    capture_fill(stream, later, 99);
    give(&stand, later, stream);
    tarn_graph_instance *instance = capture_end(&stand);
    for (unsigned char round = 1; round < 5; round++) {
        memset(tarn_buffer_data(input), round, 64);
        EXPECT_OK(tarn_graph_instance_launch(instance, stream));
        EXPECT_OK(tarn_stream_synchronize(stream));
        const unsigned char *bytes = tarn_buffer_data(result);
        assert_int_equal(bytes[0] + bytes[63], 2 * round);
    }
    capture_finish(&stand, instance);
    give(&stand, result, NULL);
    give(&stand, input, NULL);
    stand_close(&stand);
}

/* 43, and a failed capture that leaks its pool, which another library had. */
static void an_aborted_capture_leaves_the_pool_as_before_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0];
    tarn_buffer *input = take(stand, 4096, NULL);
    for (int round = 0; round < 3; round++) {
        EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
        tarn_memory_stats before = stats_of(stand->allocator);
        capture_begin(stand);
        assert_true(graph_info_of(stand->allocator).is_capturing);
        tarn_buffer *one = take(stand, MIB, stream), *two = take(stand, MIB, stream);
        capture_fill(stream, input, 1);
        give(stand, one, stream);
        EXPECT_OK(tarn_stream_abort_capture(stream));
        assert_int_equal(graph_info_of(stand->allocator).graphs, 0);
        assert_false(graph_info_of(stand->allocator).is_capturing);
        give(stand, two, round == 0 ? NULL : stream);
        assert_true(tarn_buffer_is_valid(input));
        EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
        tarn_memory_stats after = stats_of(stand->allocator);
        assert_int_equal(after.in_use_bytes.current, before.in_use_bytes.current);
        assert_int_equal(after.blocks.current, before.blocks.current);
        assert_int_equal(after.reserved_bytes.current, before.reserved_bytes.current);
        EXPECT_OK(tarn_allocator_check(stand->allocator));
    }
    give(stand, input, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

static void an_aborted_capture_leaves_the_pool_as_before(void **state) {
    (void)state;
    on_each_device("graph", an_aborted_capture_leaves_the_pool_as_before_body);
    on_each_device("graph:sequential=on", an_aborted_capture_leaves_the_pool_as_before_body);
}

/* 43: the aborted capture's buffer lies where a graph that lives has its temporary. */
static void memory_that_an_aborted_capture_shared_stays_the_graphs(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:sequential=on", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    capture_begin(&stand);
    tarn_buffer *temporary = take(&stand, MIB, stream);
    void *shared = tarn_buffer_data(temporary);
    capture_fill(stream, temporary, 5);
    give(&stand, temporary, stream);
    tarn_graph_instance *instance = capture_end(&stand);
    capture_begin(&stand);
    tarn_buffer *aborted = take(&stand, MIB, stream);
    assert_ptr_equal(tarn_buffer_data(aborted), shared);
    EXPECT_OK(tarn_stream_abort_capture(stream));
    give(&stand, aborted, NULL);
    /* What the segment has besides, and more. */
    tarn_buffer *ordinary[3];
    for (int i = 0; i < 3; i++) {
        ordinary[i] = take(&stand, MIB, stream);
        memset(tarn_buffer_data(ordinary[i]), 7, MIB);
    }
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    for (int i = 0; i < 3; i++) {
        assert_ptr_not_equal(tarn_buffer_data(ordinary[i]), shared);
        assert_int_equal(*(unsigned char *)tarn_buffer_data(ordinary[i]), 7);
        give(&stand, ordinary[i], NULL);
    }
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    capture_finish(&stand, instance);
    stand_close(&stand);
}

/* 43, beside a graph that lives. */
static void an_aborted_capture_leaves_other_graphs_alone(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:sequential=on", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    capture_begin(&stand);
    tarn_buffer *first = take(&stand, 4096, stream);
    capture_fill(stream, first, 5);
    tarn_graph_instance *instance = capture_end(&stand);
    capture_begin(&stand);
    tarn_buffer *second = take(&stand, 4096, stream);
    EXPECT_OK(tarn_stream_abort_capture(stream));
    give(&stand, second, stream);
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(first, NULL));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    assert_int_equal(*(unsigned char *)tarn_buffer_data(first), 5);
    capture_finish(&stand, instance);
    give(&stand, first, NULL);
    stand_close(&stand);
}

/* 44 */
static void no_more_memory_in_a_capture_is_an_answer_and_not_the_end_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0];
    capture_begin(stand);
    tarn_buffer *one = take(stand, 20 * MIB, stream), *none = (tarn_buffer *)stand;
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 20 * MIB, stream, &none));
    assert_ptr_equal(none, stand);
    EXPECT_SENTENCE("maximum capacity 32 MiB");
    give(stand, one, stream);
    one = take(stand, 20 * MIB, stream);
    capture_fill(stream, one, 1);
    tarn_graph_instance *instance = capture_end(stand);
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    capture_finish(stand, instance);
    give(stand, one, NULL);
    give(stand, take(stand, 32 * MIB, NULL), NULL);
}

static void no_more_memory_in_a_capture_is_an_answer_and_not_the_end(void **state) {
    (void)state;
    on_each_device("graph:maximum=32MiB", no_more_memory_in_a_capture_is_an_answer_and_not_the_end_body);
}

static void the_initial_capacity_is_there_and_the_maximum_is_kept_body(test_stand *stand) {
    assert_int_equal(graph_info_of(stand->allocator).capacity, 3 * MIB);
    assert_int_equal(graph_info_of(stand->allocator).initial_capacity, 3 * MIB);
    assert_int_equal(graph_info_of(stand->allocator).maximum_capacity, 4 * MIB);
    tarn_device_counters before = counters_of(stand->device);
    tarn_buffer *parts[4], *none = NULL;
    for (int k = 0; k < 3; k++) parts[k] = take(stand, MIB, NULL);
    assert_int_equal(counters_of(stand->device).driver_allocs, before.driver_allocs);
    parts[3] = take(stand, MIB, NULL);
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 1, NULL, &none));
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 5 * MIB, NULL, &none));
    assert_int_equal(graph_info_of(stand->allocator).capacity, 4 * MIB);
    for (int k = 0; k < 4; k++) give(stand, parts[k], NULL);
    give(stand, take(stand, 4 * MIB, NULL), NULL);
}

static void the_initial_capacity_is_there_and_the_maximum_is_kept(void **state) {
    (void)state;
    on_each_device("graph:initial=3MiB,maximum=4MiB", the_initial_capacity_is_there_and_the_maximum_is_kept_body);
}

static void blocks_have_numbers(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "limit:1GiB | graph", "cpu");
    tarn_buffer *first = take(&stand, 100, NULL), *second = take(&stand, 100, NULL), *found = NULL;
    uint64_t one = 0, two = 0, again = 0;
    EXPECT_OK(tarn_graph_pool_block_id(stand.allocator, first, &one));
    EXPECT_OK(tarn_graph_pool_block_id(stand.allocator, second, &two));
    assert_true(one > 0 && two > one);
    EXPECT_OK(tarn_graph_pool_block(stand.allocator, two, &found));
    assert_ptr_equal(found, second);
    EXPECT_OK(tarn_graph_pool_return_block(stand.allocator, two, NULL));
    assert_false(tarn_buffer_is_valid(second));
    EXPECT(TARN_NOT_FOUND, tarn_graph_pool_return_block(stand.allocator, two, NULL));
    EXPECT(TARN_NOT_FOUND, tarn_graph_pool_block(stand.allocator, two, &found));
    EXPECT(TARN_NOT_FOUND, tarn_graph_pool_block(stand.allocator, 0, &found));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_block_id(stand.allocator, second, &again));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_block_id(stand.allocator, NULL, &again));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_block_id(NULL, first, &again));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_block_id(stand.allocator, first, NULL));
    second = take(&stand, 100, NULL);
    EXPECT_OK(tarn_graph_pool_block_id(stand.allocator, second, &again));
    assert_true(again > two);
    give(&stand, first, NULL);
    give(&stand, second, NULL);

    tarn_allocator *other = NULL;
    EXPECT_OK(tarn_allocator_create(stand.device, "direct", &other));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_reset(other));
    EXPECT_SENTENCE("no graph pool");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_begin_capture(other, NULL, TARN_CAPTURE_GLOBAL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_begin_capture(stand.allocator, NULL, TARN_CAPTURE_GLOBAL));
    EXPECT_OK(tarn_allocator_release(other));
    stand_close(&stand);
}

static void a_pool_is_made_of_options_as_of_text(void **state) {
    (void)state;
    tarn_device *device = NULL;
    tarn_allocator *pool = NULL;
    EXPECT_OK(tarn_device_open("cpu", &device));
    tarn_graph_pool_options options = {
        .struct_size = sizeof options, .initial_capacity = MIB, .maximum_capacity = 4 * MIB, .is_sequential = 1};
    EXPECT_OK(tarn_graph_pool_create(device, &options, &pool));
    assert_string_equal(tarn_allocator_spec(pool), "graph:initial=1048576,maximum=4194304,kind=device,sequential=on");
    assert_true(graph_info_of(pool).is_sequential);
    EXPECT_OK(tarn_allocator_release(pool));
    EXPECT_OK(tarn_graph_pool_create(device, NULL, &pool));
    assert_int_equal(graph_info_of(pool).maximum_capacity, 0);
    EXPECT_OK(tarn_allocator_release(pool));
    pool = NULL;
    options.initial_capacity = 8 * MIB;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_create(device, &options, &pool));
    options.struct_size = 3; /* 11 */
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_create(device, &options, &pool));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "graph:initial=2MiB,maximum=1MiB", &pool));
    EXPECT_SENTENCE("initial");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "graph:size=2MiB", &pool));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "graph:sequential=maybe", &pool));
    assert_null(pool);
    EXPECT_OK(tarn_device_release(device));
}

/* A driver free inside a capture broke one of another library. */
static void nothing_goes_back_to_the_driver_during_a_capture_body(test_stand *stand) {
    give(stand, take(stand, 30 * MIB, NULL), NULL);
    EXPECT_OK(tarn_device_synchronize(stand->device));
    capture_begin(stand);
    tarn_device_counters before = counters_of(stand->device);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    tarn_device_counters after = counters_of(stand->device);
    assert_int_equal(after.driver_frees, before.driver_frees);
    assert_int_equal(after.device_waits, before.device_waits);
    capture_finish(stand, capture_end(stand));
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

static void nothing_goes_back_to_the_driver_during_a_capture(void **state) {
    (void)state;
    on_each_device("graph", nothing_goes_back_to_the_driver_during_a_capture_body);
}

/* What cannot be made leaves nothing behind. */
static void a_pool_that_cannot_be_made_takes_nothing(void **state) {
    (void)state;
    tarn_device *device = NULL, *other = NULL;
    tarn_stream *foreign = NULL;
    tarn_allocator *pool = NULL;
    EXPECT_OK(tarn_device_open("sim:1GiB", &device));
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_create(device, "graph:initial=2GiB,sequential=on", &pool));
    EXPECT(TARN_NOT_SUPPORTED, tarn_allocator_create(device, "graph:kind=managed", &pool));
    tarn_graph_pool_options options = {.struct_size = sizeof options, .kind = (tarn_memory_kind)9};
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_create(device, &options, &pool));
    assert_null(pool);
    assert_int_equal(counters_of(device).memory_in_use, 0);
    /* 12 */
    EXPECT_OK(tarn_allocator_create(device, "graph", &pool));
    EXPECT_OK(tarn_device_open("cpu", &other));
    EXPECT_OK(tarn_stream_create(other, &foreign));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_graph_pool_begin_capture(pool, foreign, TARN_CAPTURE_GLOBAL));
    assert_false(tarn_stream_is_capturing(foreign));
    EXPECT_OK(tarn_stream_release(foreign));
    EXPECT_OK(tarn_device_release(other));
    EXPECT_OK(tarn_allocator_release(pool));
    EXPECT_OK(tarn_device_release(device));
}

/* More pools than a capture has places for: what was begun with the others goes on. */
static void a_capture_has_room_for_so_many_pools(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "direct", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_allocator *pools[HAL_GRAPH_CLIENTS + 1];
    tarn_buffer *buffers[HAL_GRAPH_CLIENTS + 1] = {NULL};
    tarn_graph *graph = NULL;
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    for (int i = 0; i <= HAL_GRAPH_CLIENTS; i++) {
        EXPECT_OK(tarn_allocator_create(stand.device, i % 2 == 0 ? "graph" : "graph:sequential=on", &pools[i]));
        tarn_status status = tarn_allocator_allocate(pools[i], 64, stream, &buffers[i]);
        assert_int_equal(status, i < HAL_GRAPH_CLIENTS ? TARN_OK : TARN_LIMIT_EXCEEDED);
    }
    assert_int_equal(graph_info_of(pools[HAL_GRAPH_CLIENTS]).graphs, 0);
    tarn_graph_instance *instance = NULL;
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    EXPECT_OK(tarn_graph_instantiate(graph, &instance));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_graph_release(graph));
    EXPECT_OK(tarn_device_synchronize(stand.device));
    for (int i = 0; i <= HAL_GRAPH_CLIENTS; i++) {
        EXPECT_OK(tarn_buffer_free(buffers[i], NULL));
        EXPECT_OK(tarn_allocator_release(pools[i]));
    }
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_memory_keeps_its_address),
        cmocka_unit_test(the_result_of_a_launch_is_there),
        cmocka_unit_test(an_aborted_capture_leaves_the_pool_as_before),
        cmocka_unit_test(memory_that_an_aborted_capture_shared_stays_the_graphs),
        cmocka_unit_test(an_aborted_capture_leaves_other_graphs_alone),
        cmocka_unit_test(no_more_memory_in_a_capture_is_an_answer_and_not_the_end),
        cmocka_unit_test(the_initial_capacity_is_there_and_the_maximum_is_kept),
        cmocka_unit_test(blocks_have_numbers),
        cmocka_unit_test(a_pool_is_made_of_options_as_of_text),
        cmocka_unit_test(nothing_goes_back_to_the_driver_during_a_capture),
        cmocka_unit_test(a_pool_that_cannot_be_made_takes_nothing),
        cmocka_unit_test(a_capture_has_room_for_so_many_pools),
    };
    return cmocka_run_group_tests_name("memory graph pool", tests, NULL, NULL);
}
