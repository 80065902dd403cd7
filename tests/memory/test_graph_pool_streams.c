/* Graph pools and streams: whose memory may serve whom, in captures and outside. Numbers in comments are those of the project's
 * list of faults. */
#include "capture.h"

/* Freed on one captured stream, memory serves another only behind a join. */
static void captured_streams_share_memory_in_order_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0], *forked = stand->streams[1];
    tarn_event *fork = NULL, *join = NULL;
    capture_begin(stand);
    EXPECT_OK(tarn_stream_record(stream, &fork));
    EXPECT_OK(tarn_stream_wait(forked, fork));
    tarn_buffer *buffer = take(stand, 3 * MIB, forked);
    void *data = tarn_buffer_data(buffer);
    capture_fill(forked, buffer, 1);
    give(stand, buffer, forked);
    tarn_buffer *early = take(stand, 3 * MIB, stream);
    assert_ptr_not_equal(tarn_buffer_data(early), data);
    tarn_buffer *same = take(stand, 3 * MIB, forked);
    assert_ptr_equal(tarn_buffer_data(same), data);
    give(stand, same, forked);
    EXPECT_OK(tarn_stream_record(forked, &join));
    EXPECT_OK(tarn_stream_wait(stream, join));
    tarn_buffer *late = take(stand, 3 * MIB, stream);
    assert_ptr_equal(tarn_buffer_data(late), data);
    tarn_graph_instance *instance = capture_end(stand);
    EXPECT_OK(tarn_graph_instance_launch(instance, NULL));
    capture_finish(stand, instance);
    give(stand, early, NULL);
    give(stand, late, NULL);
    EXPECT_OK(tarn_event_release(fork));
    EXPECT_OK(tarn_event_release(join));
}

static void captured_streams_share_memory_in_order(void **state) {
    (void)state;
    on_each_device("graph", captured_streams_share_memory_in_order_body);
}

/* Memory that an ordinary stream may still use is not given to a capture, which must not ask for it either (45). */
static void a_capture_takes_only_memory_that_is_known_to_be_free(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0), *other = stand_stream(&stand, 1);
    stand_hold(&stand, 1);
    tarn_buffer *used = take(&stand, 3 * MIB, other), *captured = NULL;
    void *data = tarn_buffer_data(used);
    give(&stand, used, other);
    tarn_device_counters before = counters_of(stand.device);
    capture_begin(&stand);
    captured = take(&stand, 3 * MIB, stream);
    assert_ptr_not_equal(tarn_buffer_data(captured), data);
    /* A buffer that ordinary work of this stream used before is not given out again in the capture either. */
    assert_int_equal(counters_of(stand.device).device_waits, before.device_waits);
    tarn_graph_instance *instance = capture_end(&stand);
    stand_let_go(&stand, 1);
    capture_finish(&stand, instance);
    give(&stand, captured, NULL);
    stand_close(&stand);
}

static void a_stream_is_told_by_record_stream_that_captured_work_uses_a_buffer(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    tarn_buffer *buffer = take(&stand, 64, NULL), *changed = take(&stand, 64, NULL), *plain = take(&stand, 64, NULL);
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    EXPECT_OK(tarn_buffer_record_stream(buffer, stream));
    capture_fill(stream, buffer, 1);
    tarn_graph_instance *instance = capture_end(&stand);
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(buffer, NULL));
    /* What a changed graph uses it uses too. */
    EXPECT_OK(tarn_graph_instance_set_fill(instance, 0, tarn_buffer_data(changed), "x", 1, 64));
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(changed, NULL));
    give(&stand, plain, NULL);
    capture_finish(&stand, instance);
    give(&stand, buffer, NULL);
    give(&stand, changed, NULL);
    stand_close(&stand);
}

/* Another library merged free memory without recording the event anew: the later free counts for both parts. */
static void merged_memory_waits_for_the_later_of_two_frees(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:maximum=3MiB", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0), *other = stand_stream(&stand, 1);
    tarn_buffer *low = take(&stand, MIB, stream), *high = take(&stand, MIB, stream);
    uintptr_t start = (uintptr_t)tarn_buffer_data(low);
    assert_ptr_equal(tarn_buffer_data(high), (void *)(start + MIB)); // NOLINT(performance-no-int-to-ptr)
    stand_hold(&stand, 0);
    give(&stand, low, stream);
    /* The other stream's wish has the first free marked, and its next one finds it complete. */
    tarn_buffer *wish = take(&stand, MIB, other);
    stand_let_go(&stand, 0);
    low = take(&stand, MIB, other);
    assert_ptr_equal(tarn_buffer_data(low), (void *)start); // NOLINT(performance-no-int-to-ptr)
    stand_hold(&stand, 0);
    EXPECT_OK(tarn_buffer_record_stream(low, stream));
    give(&stand, low, stream);
    give(&stand, high, stream);
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    /* Of all memory, only the third part is for the other stream. */
    uintptr_t third = (uintptr_t)tarn_buffer_data(wish);
    give(&stand, wish, other);
    for (int i = 0; i < 8; i++) {
        tarn_buffer *buffer = take(&stand, MIB, other);
        assert_int_equal((uintptr_t)tarn_buffer_data(buffer), third);
        give(&stand, buffer, other);
    }
    stand_let_go(&stand, 0);
    stand_close(&stand);
}

/* In another library a new stream with the handle of an old one was taken for that. */
static void a_new_stream_is_not_taken_for_an_old_one(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    for (int round = 0; round < 100; round++) {
        tarn_stream *fresh = NULL;
        EXPECT_OK(tarn_stream_create(stand.device, &fresh));
        tarn_buffer *buffer = take(&stand, MIB, fresh), *kept = take(&stand, 64, fresh);
        EXPECT_OK(tarn_buffer_record_stream(kept, fresh));
        give(&stand, buffer, fresh);
        EXPECT_OK(tarn_stream_release(fresh));
        /* What the ended stream used is everybody's, without asking the device. */
        tarn_device_counters before = counters_of(stand.device);
        give(&stand, take(&stand, MIB, NULL), NULL);
        assert_int_equal(counters_of(stand.device).driver_allocs, before.driver_allocs);
        give(&stand, kept, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
    }
    assert_int_equal(graph_info_of(stand.allocator).capacity, 2 * MIB);
    stand_close(&stand);
}

/* More streams than a set of them has places for. */
static void any_number_of_streams_can_use_a_pool(void **state) {
    (void)state;
    enum { STREAMS = 80 };
    test_stand stand;
    stand_open(&stand, "graph", "sim:1GiB");
    tarn_stream *streams[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        EXPECT_OK(tarn_stream_create(stand.device, &streams[i]));
        tarn_buffer *buffer = take(&stand, 100000, streams[i]);
        EXPECT_OK(tarn_buffer_record_stream(buffer, streams[i / 2]));
        give(&stand, buffer, streams[i]);
    }
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    for (int i = 0; i < STREAMS; i++) EXPECT_OK(tarn_stream_release(streams[i]));
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_streams_share_memory_in_order),
        cmocka_unit_test(a_capture_takes_only_memory_that_is_known_to_be_free),
        cmocka_unit_test(a_stream_is_told_by_record_stream_that_captured_work_uses_a_buffer),
        cmocka_unit_test(merged_memory_waits_for_the_later_of_two_frees),
        cmocka_unit_test(a_new_stream_is_not_taken_for_an_old_one),
        cmocka_unit_test(any_number_of_streams_can_use_a_pool),
    };
    return cmocka_run_group_tests_name("memory graph pool streams", tests, NULL, NULL);
}
