/* Stream order: memory freed on a stream is used again there at once, and on another stream never before the first one's work
 * is known to be complete. Streams are held back at gates, so that no test depends on time. Numbers in comments are those of the
 * project's list of faults. */
#include "fake.h"
#include "stand.h"

#define TRIES 64

/* Allocates on `stream` again and again, keeping all; fails when memory of the range is handed out. */
static void expect_never_handed_out(test_stand *stand, uintptr_t start, size_t length, size_t size,
                                    tarn_stream *stream) {
    tarn_buffer *held[TRIES];
    for (int i = 0; i < TRIES; i++) {
        held[i] = take(stand, size, stream);
        uintptr_t address = (uintptr_t)tarn_buffer_data(held[i]);
        if (address < start + length && start < address + tarn_buffer_capacity(held[i]))
            fail_msg("%zu bytes were handed out before the stream that used them was done", size);
    }
    for (int i = 0; i < TRIES; i++) give(stand, held[i], stream);
}

static void memory_freed_on_a_stream_is_used_again_there_at_once(test_stand *stand) {
    stand_hold(stand, 0);
    tarn_stream *stream = stand_stream(stand, 0);
    tarn_buffer *buffer = take(stand, 3 * MIB, stream);
    void *data = tarn_buffer_data(buffer);
    give(stand, buffer, stream);
    tarn_device_counters before = counters_of(stand->device);
    buffer = take(stand, 3 * MIB, stream);
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    assert_int_equal(counters_of(stand->device).device_waits, before.device_waits);
    give(stand, buffer, stream);
}

/* 23 */
static void free_on_another_stream_waits_for_the_event(test_stand *stand) {
    const size_t sizes[] = {512, 64 * KIB, 3 * MIB};
    for (size_t i = 0; i < 3; i++) {
        stand_hold(stand, 0);
        tarn_stream *held = stand_stream(stand, 0), *other = stand_stream(stand, 1);
        tarn_buffer *buffer = take(stand, sizes[i], held);
        uintptr_t start = (uintptr_t)tarn_buffer_data(buffer);
        size_t length = tarn_buffer_capacity(buffer);
        give(stand, buffer, held);
        expect_never_handed_out(stand, start, length, sizes[i], other);
        expect_never_handed_out(stand, start, length, sizes[i], NULL);
        stand_let_go(stand, 0);
    }
}

/* 23 */
static void a_buffer_freed_on_the_default_stream_after_use_on_another_waits_for_that(test_stand *stand) {
    stand_hold(stand, 0);
    tarn_buffer *buffer = take(stand, 5000, NULL);
    EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(stand, 0)));
    uintptr_t start = (uintptr_t)tarn_buffer_data(buffer);
    size_t length = tarn_buffer_capacity(buffer);
    give(stand, buffer, NULL);
    expect_never_handed_out(stand, start, length, 5000, NULL);
    expect_never_handed_out(stand, start, length, 5000, stand_stream(stand, 1));
    stand_let_go(stand, 0);
}

/* 23: several streams used it, and the last one to finish decides. */
static void the_slowest_of_the_recorded_streams_decides(test_stand *stand) {
    for (int n = 0; n < 3; n++) stand_hold(stand, n);
    tarn_buffer *buffer = take(stand, 100 * KIB, NULL);
    for (int n = 0; n < 3; n++) EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(stand, n)));
    EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(stand, 1)));
    EXPECT_OK(tarn_buffer_record_stream(buffer, NULL));
    uintptr_t start = (uintptr_t)tarn_buffer_data(buffer);
    size_t length = tarn_buffer_capacity(buffer);
    give(stand, buffer, NULL);
    for (int n = 0; n < 3; n++) {
        expect_never_handed_out(stand, start, length, 100 * KIB, NULL);
        stand_let_go(stand, n);
    }
}

/* A free names the stream of the last use, which need not be the one it was allocated for. */
static void a_buffer_freed_on_a_held_stream_is_not_used_again_on_its_own(test_stand *stand) {
    stand_hold(stand, 0);
    tarn_buffer *buffer = take(stand, 5000, NULL);
    uintptr_t start = (uintptr_t)tarn_buffer_data(buffer);
    size_t length = tarn_buffer_capacity(buffer);
    give(stand, buffer, stand_stream(stand, 0));
    expect_never_handed_out(stand, start, length, 5000, NULL);
    stand_let_go(stand, 0);
}

static void a_completed_stream_gives_its_memory_to_others(test_stand *stand) {
    const size_t size = stand_large(stand, 600 * MIB);
    tarn_stream *held = stand_stream(stand, 0);
    tarn_buffer *buffer = take(stand, size, held);
    give(stand, buffer, held);
    EXPECT_OK(tarn_stream_synchronize(held));
    size_t before = tarn_allocator_allocated_size(stand->allocator);
    buffer = take(stand, size, NULL);
    assert_true(tarn_allocator_allocated_size(stand->allocator) <= before + size + 4 * MIB);
    give(stand, buffer, NULL);
}

/* The device is as good as full: the only way to serve the second stream is to wait for the first one. */
static void memory_of_another_stream_is_waited_for_rather_than_refused(test_stand *stand) {
    fake_capacity(64 * MIB);
    stand_hold(stand, 0);
    tarn_stream *held = stand_stream(stand, 0);
    tarn_buffer *buffer = take(stand, 60 * MIB, held);
    give(stand, buffer, held);
    buffer = take(stand, 60 * MIB, NULL);
    assert_true(fake_forced_waits() > 0);
    assert_int_equal(fake_taken_while_held(), 0);
    give(stand, buffer, NULL);
}

static void freeing_does_not_wait_for_the_device(test_stand *stand) {
    stand_hold(stand, 0);
    stand_hold(stand, 1);
    tarn_buffer *buffers[8];
    for (int i = 0; i < 8; i++) {
        buffers[i] = take(stand, (size_t)1 << (10 + 2 * i), stand_stream(stand, i % 2));
        EXPECT_OK(tarn_buffer_record_stream(buffers[i], stand_stream(stand, (i + 1) % 2)));
    }
    for (int i = 0; i < 8; i++) give(stand, buffers[i], i < 4 ? NULL : stand_stream(stand, i % 2));
    assert_int_equal(fake_forced_waits(), 0);
    assert_int_equal(fake_taken_while_held(), 0);
}

static void empty_cache_waits_for_work_that_uses_the_memory(test_stand *stand) {
    stand_hold(stand, 0);
    tarn_buffer *buffer = take(stand, 30 * MIB, stand_stream(stand, 0));
    give(stand, buffer, stand_stream(stand, 0));
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(fake_taken_while_held(), 0);
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* Whatever is done with held streams, memory goes back to the driver only when they are done. */
static void memory_never_goes_back_while_a_stream_may_use_it(test_stand *stand) {
    tarn_stream *held = stand_stream(stand, 0);
    stand_hold(stand, 0);
    tarn_buffer *buffers[10];
    for (int i = 0; i < 10; i++) buffers[i] = take(stand, 7 * MIB, held);
    for (int i = 0; i < 10; i += 2) give(stand, buffers[i], held);
    /* More than any hole: granules of the holes may serve it on this stream, not on another. */
    tarn_buffer *large = take(stand, 20 * MIB, held), *other = take(stand, 20 * MIB, NULL);
    assert_false(buffers_overlap(large, other));
    for (int i = 1; i < 10; i += 2) {
        assert_false(buffers_overlap(large, buffers[i]));
        give(stand, buffers[i], held);
    }
    give(stand, large, held);
    give(stand, other, NULL);
    assert_int_equal(fake_forced_waits(), 0);
}

/* 45: a stream that is being captured cannot be asked or waited for. What is freed on it meanwhile is kept, and nobody is
 * disturbed, whether the memory can be used at once or not. */
static void a_free_on_a_captured_stream_leaves_the_capture_alone(test_stand *stand) {
    tarn_stream *stream = stand_stream(stand, 0), *other = stand_stream(stand, 1);
    tarn_buffer *own = take(stand, 3 * MIB, stream), *foreign = take(stand, 5000, other),
                *shared = take(stand, 5000, NULL);
    EXPECT_OK(tarn_buffer_record_stream(shared, stream));
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    give(stand, own, stream);
    give(stand, foreign, stream);
    give(stand, shared, NULL);
    for (int i = 0; i < 4; i++) {
        tarn_buffer *buffer = take(stand, 3 * MIB, i % 2 == 0 ? NULL : other);
        give(stand, buffer, NULL);
    }
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    assert_true(tarn_stream_is_capturing(stream));
    tarn_graph *graph = NULL;
    EXPECT_OK(tarn_stream_end_capture(stream, &graph));
    assert_int_equal(tarn_graph_node_count(graph), 0);
    EXPECT_OK(tarn_graph_release(graph));
    EXPECT_OK(tarn_stream_synchronize(stream));
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* With time simulated, a stream's work runs behind the host, and waiting is counted. */
static void a_lagging_stream_is_not_waited_for_while_there_is_memory(test_stand *stand) {
    tarn_stream *stream = stand_stream(stand, 0);
    tarn_device_counters before = counters_of(stand->device);
    for (int i = 0; i < 50; i++) {
        tarn_buffer *buffer = take(stand, 4 * MIB, stream);
        give(stand, buffer, stream);
    }
    assert_int_equal(counters_of(stand->device).device_waits, before.device_waits);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(memory_freed_on_a_stream_is_used_again_there_at_once, SPEC_CACHES | DEVICE_GATES),
        CONFORMANCE_TEST(free_on_another_stream_waits_for_the_event, SPEC_FREES_AT_ONCE | DEVICE_GATES),
        CONFORMANCE_TEST(a_buffer_freed_on_the_default_stream_after_use_on_another_waits_for_that,
                         SPEC_FREES_AT_ONCE | DEVICE_GATES),
        CONFORMANCE_TEST(the_slowest_of_the_recorded_streams_decides, SPEC_FREES_AT_ONCE | DEVICE_GATES),
        CONFORMANCE_TEST(a_buffer_freed_on_a_held_stream_is_not_used_again_on_its_own,
                         SPEC_FREES_AT_ONCE | DEVICE_GATES),
        CONFORMANCE_TEST(a_completed_stream_gives_its_memory_to_others, SPEC_FREES_AT_ONCE),
        CONFORMANCE_TEST(memory_of_another_stream_is_waited_for_rather_than_refused, DEVICE_IS_FAKE),
        CONFORMANCE_TEST(freeing_does_not_wait_for_the_device, SPEC_FREES_AT_ONCE | DEVICE_IS_FAKE),
        CONFORMANCE_TEST(empty_cache_waits_for_work_that_uses_the_memory, DEVICE_IS_FAKE),
        CONFORMANCE_TEST(memory_never_goes_back_while_a_stream_may_use_it, SPEC_FREES_AT_ONCE | DEVICE_IS_FAKE),
        CONFORMANCE_TEST(a_free_on_a_captured_stream_leaves_the_capture_alone, 0),
        CONFORMANCE_TEST(a_lagging_stream_is_not_waited_for_while_there_is_memory, SPEC_FREES_AT_ONCE),
    };
    return conformance_run("memory streams", tests, sizeof tests / sizeof tests[0]);
}
