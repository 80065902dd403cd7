/* How long the memory of a graph pool stays whose it is: beyond resets and releases, in pools of several graphs, and while a
 * graph still runs. Numbers in comments are those of the project's list of faults. */
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "capture.h"

/* 16: handles from before the reset are stale, whatever their blocks serve now. */
static void reset_takes_every_buffer_back_body(test_stand *stand) {
    tarn_buffer *buffers[20];
    for (int i = 0; i < 20; i++) buffers[i] = take(stand, (size_t)1 << i, i % 2 == 0 ? NULL : stand->streams[0]);
    uint64_t reserved = stats_of(stand->allocator).reserved_bytes.current;
    EXPECT_OK(tarn_graph_pool_reset(stand->allocator));
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.blocks.current, 0);
    assert_int_equal(stats.in_use_bytes.current, 0);
    assert_int_equal(stats.frees, 20);
    assert_int_equal(stats.reserved_bytes.current, reserved);
    for (int i = 0; i < 20; i++) {
        assert_false(tarn_buffer_is_valid(buffers[i]));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, buffers[i], NULL));
    }
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    tarn_buffer *again = take(stand, 1000, NULL);
    assert_int_equal(stats_of(stand->allocator).reserved_bytes.current, reserved);
    give(stand, again, NULL);
    EXPECT_OK(tarn_graph_pool_reset(stand->allocator));
    capture_begin(stand);
    EXPECT(TARN_INVALID_STATE, tarn_graph_pool_reset(stand->allocator));
    EXPECT_OK(tarn_stream_abort_capture(stand->streams[0]));
}

static void reset_takes_every_buffer_back(void **state) {
    (void)state;
    on_each_device("graph", reset_takes_every_buffer_back_body);
    on_each_device("limit:1GiB | graph", reset_takes_every_buffer_back_body);
}

/* 47: what a graph uses stays its own, though its buffers are gone. */
static void a_graph_can_be_launched_after_its_pool_was_reset(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    capture_begin(&stand);
    tarn_buffer *buffer = take(&stand, 5 * MIB, stream);
    unsigned char *bytes = tarn_buffer_data(buffer);
    capture_fill(stream, buffer, 7);
    tarn_graph_instance *instance = capture_end(&stand);
    EXPECT_OK(tarn_graph_pool_reset(stand.allocator));
    assert_false(tarn_buffer_is_valid(buffer));
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    tarn_buffer *others[8];
    for (int i = 0; i < 8; i++) {
        others[i] = take(&stand, 5 * MIB, NULL);
        memset(tarn_buffer_data(others[i]), 1, 5 * MIB);
    }
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_stream_synchronize(stream));
    assert_int_equal(bytes[0] + bytes[5 * MIB - 1], 14);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(*(unsigned char *)tarn_buffer_data(others[i]), 1);
        give(&stand, others[i], NULL);
    }
    capture_finish(&stand, instance);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    stand_close(&stand);
}

/* 46 */
static void two_graphs_at_once_need_a_sequential_pool_body(test_stand *stand) {
    tarn_buffer *none = (tarn_buffer *)stand;
    capture_begin(stand);
    EXPECT(TARN_BUSY, tarn_graph_pool_begin_capture(stand->allocator, stand->streams[1], TARN_CAPTURE_GLOBAL));
    EXPECT_SENTENCE("another capture");
    assert_false(tarn_stream_is_capturing(stand->streams[1]));
    tarn_graph_instance *instance = capture_end(stand);
    EXPECT(TARN_BUSY, tarn_graph_pool_begin_capture(stand->allocator, stand->streams[1], TARN_CAPTURE_GLOBAL));
    EXPECT_SENTENCE("sequential");
    /* Nor by way of an allocation. */
    EXPECT_OK(tarn_stream_begin_capture(stand->streams[1], TARN_CAPTURE_GLOBAL));
    EXPECT(TARN_BUSY, tarn_allocator_allocate(stand->allocator, 64, stand->streams[1], &none));
    assert_ptr_equal(none, stand);
    EXPECT_OK(tarn_stream_abort_capture(stand->streams[1]));
    capture_finish(stand, instance);
    capture_begin(stand);
    capture_finish(stand, capture_end(stand));
}

static void two_graphs_at_once_need_a_sequential_pool(void **state) {
    (void)state;
    on_each_device("graph", two_graphs_at_once_need_a_sequential_pool_body);
}

static atomic_bool noted;
static void note(void *context) { atomic_store((atomic_bool *)context, true); }

/* 46: declared sequential, graphs share memory and their launches wait for each other. */
static void graphs_of_a_sequential_pool_share_memory(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:sequential=on", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0), *other = stand_stream(&stand, 1);
    tarn_graph_instance *instances[2];
    tarn_buffer *results[2];
    void *shared = NULL;
    for (unsigned char g = 0; g < 2; g++) {
        capture_begin(&stand);
        tarn_buffer *temporary = take(&stand, 4 * MIB, stream);
        if (g == 0) shared = tarn_buffer_data(temporary);
        assert_ptr_equal(tarn_buffer_data(temporary), shared);
        results[g] = take(&stand, 4 * MIB, stream);
        capture_fill(stream, temporary, (unsigned char)(g + 1));
        EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(results[g]), tarn_buffer_data(temporary), 4 * MIB));
        give(&stand, temporary, stream);
        instances[g] = capture_end(&stand);
    }
    assert_int_equal(graph_info_of(stand.allocator).graphs, 2);
    for (int round = 0; round < 20; round++) {
        EXPECT_OK(tarn_graph_instance_launch(instances[round % 2], round % 3 == 0 ? stream : other));
    }
    EXPECT_OK(tarn_device_synchronize(stand.device));
    for (int g = 0; g < 2; g++) {
        unsigned char *bytes = tarn_buffer_data(results[g]);
        assert_int_equal(bytes[0] + bytes[4 * MIB - 1], 2 * (g + 1));
        bytes[0] = 0;
    }
    /* While the one stands still, the other does not begin, however long one looks. */
    stand_hold(&stand, 0);
    EXPECT_OK(tarn_graph_instance_launch(instances[0], stream));
    EXPECT_OK(tarn_graph_instance_launch(instances[1], other));
    EXPECT_OK(tarn_stream_enqueue(other, note, &noted));
    for (int look = 0; look < 50; look++) {
        assert_false(atomic_load(&noted));
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    stand_let_go(&stand, 0);
    EXPECT_OK(tarn_stream_synchronize(other));
    assert_true(atomic_load(&noted));
    capture_finish(&stand, instances[0]);
    /* The other one still keeps the memory of both. */
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(results[1], NULL));
    capture_finish(&stand, instances[1]);
    give(&stand, results[0], NULL);
    give(&stand, results[1], NULL);
    stand_close(&stand);
}

/* 48, and the pool with it: released while a graph lives, its memory stays. */
static void a_pool_released_while_a_graph_lives_stays_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0];
    uint64_t before = counters_of(stand->device).memory_in_use;
    capture_begin(stand);
    tarn_buffer *buffer = take(stand, 3 * MIB, stream);
    capture_fill(stream, buffer, 9);
    give(stand, buffer, stream);
    tarn_graph_instance *instance = capture_end(stand);
    EXPECT_OK(tarn_allocator_release(stand->allocator));
    stand->allocator = NULL;
    assert_true(counters_of(stand->device).memory_in_use >= before + 3 * MIB);
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_graph_instance_launch(instance, NULL));
    EXPECT_OK(tarn_stream_synchronize(stream));
    capture_finish(stand, instance);
    assert_int_equal(counters_of(stand->device).memory_in_use, before);
}

static void a_pool_released_while_a_graph_lives_stays(void **state) {
    (void)state;
    on_each_device("graph", a_pool_released_while_a_graph_lives_stays_body);
    on_each_device("graph:sequential=on", a_pool_released_while_a_graph_lives_stays_body);
}

/* 48 */
static void memory_of_a_graph_that_still_runs_is_nobody_elses(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    capture_begin(&stand);
    tarn_buffer *temporary = take(&stand, 4096, stream), *result = take(&stand, 4096, stream);
    void *data[2] = {tarn_buffer_data(temporary), tarn_buffer_data(result)};
    capture_fill(stream, temporary, 3);
    capture_fill(stream, result, 3);
    give(&stand, temporary, stream);
    tarn_graph_instance *instance = capture_end(&stand);
    stand_hold(&stand, 0);
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    EXPECT_OK(tarn_graph_instance_release(instance));
    /* Nobody can launch it any more, so freeing is fine; the memory waits for the end of the run. */
    give(&stand, result, NULL);
    tarn_buffer *others[32];
    for (int i = 0; i < 32; i++) {
        others[i] = take(&stand, 4096, NULL);
        assert_true(tarn_buffer_data(others[i]) != data[0] && tarn_buffer_data(others[i]) != data[1]);
    }
    EXPECT(TARN_BUSY, tarn_graph_pool_begin_capture(stand.allocator, stand_stream(&stand, 1), TARN_CAPTURE_GLOBAL));
    stand_let_go(&stand, 0);
    assert_int_equal(graph_info_of(stand.allocator).graphs, 0);
    for (int i = 0; i < 32; i++) give(&stand, others[i], NULL);
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_takes_every_buffer_back),
        cmocka_unit_test(a_graph_can_be_launched_after_its_pool_was_reset),
        cmocka_unit_test(two_graphs_at_once_need_a_sequential_pool),
        cmocka_unit_test(graphs_of_a_sequential_pool_share_memory),
        cmocka_unit_test(a_pool_released_while_a_graph_lives_stays),
        cmocka_unit_test(memory_of_a_graph_that_still_runs_is_nobody_elses),
    };
    return cmocka_run_group_tests_name("memory graph pool life", tests, NULL, NULL);
}
