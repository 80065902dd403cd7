/* How many events `caching` asks the driver for when buffers are used on several streams: recording one is a call of the driver, so one
 * answers for all buffers that a stream has to finish with. And how often, and for which streams, it waits when it is short of memory. That
 * nothing is handed out too early is in the conformance suites. */
#include <pthread.h>
#include <sched.h>

#include "fake.h"
#include "stand.h"

#define BUFFERS 64

/* Counts the calls of that kind from now on. */
static void count(unsigned calls) { fake_fail(calls, 0, 0, TARN_OK); }

static int settle(void **state) {
    (void)state;
    fake_reset();
    return 0;
}

static void take_all(test_stand *stand, tarn_buffer **buffers) {
    for (int i = 0; i < BUFFERS; i++) buffers[i] = take(stand, 4096, NULL);
}

static void give_all(test_stand *stand, tarn_buffer **buffers) {
    for (int i = 0; i < BUFFERS; i++) give(stand, buffers[i], NULL);
}

static void one_event_answers_for_all_buffers_that_a_stream_used(void **state) {
    (void)state;
    static const char *const devices[] = {"fake:1GiB", "fake:1GiB,flat"};
    for (size_t d = 0; d < 4; d++) {
        bool is_busy = d / 2 != 0;
        test_stand stand;
        tarn_buffer *buffers[BUFFERS];
        stand_open(&stand, "caching:settle=0", devices[d % 2]);
        take_all(&stand, buffers);
        for (int i = 0; i < BUFFERS; i++) EXPECT_OK(tarn_buffer_record_stream(buffers[i], stand_stream(&stand, 0)));
        const void *first = tarn_buffer_data(buffers[0]);
        if (is_busy) stand_hold(&stand, 0);
        count(FAKE_EVENT_RECORD);
        give_all(&stand, buffers);
        assert_int_equal(fake_calls(), 1);
        if (is_busy) stand_let_go(&stand, 0);
        take_all(&stand, buffers);
        assert_true(fake_calls() <= 2);
        const void *lowest = tarn_buffer_data(buffers[0]);
        for (int i = 1; i < BUFFERS; i++)
            if (tarn_buffer_data(buffers[i]) < lowest) lowest = tarn_buffer_data(buffers[i]);
        assert_ptr_equal(lowest, first);
        give_all(&stand, buffers);
        stand_close(&stand);
    }
}

static void a_free_asks_about_no_event(void **state) {
    (void)state;
    test_stand stand;
    tarn_buffer *buffers[BUFFERS];
    stand_open(&stand, "caching:settle=0", "fake:1GiB");
    take_all(&stand, buffers);
    for (int i = 0; i < BUFFERS; i++)
        for (int s = 0; s < 2; s++) EXPECT_OK(tarn_buffer_record_stream(buffers[i], stand_stream(&stand, s)));
    count(FAKE_EVENT_QUERY);
    give_all(&stand, buffers);
    assert_int_equal(fake_calls(), 0);
    stand_close(&stand);
}

/* What the first event does not answer for: the next is recorded when somebody wants the memory. */
static void a_request_records_at_most_one_event_for_each_stream(void **state) {
    (void)state;
    test_stand stand;
    tarn_buffer *buffers[BUFFERS], *more[BUFFERS];
    stand_open(&stand, "caching:settle=0", "fake:1GiB");
    take_all(&stand, buffers);
    for (int i = 0; i < BUFFERS; i++) EXPECT_OK(tarn_buffer_record_stream(buffers[i], stand_stream(&stand, 0)));
    stand_hold(&stand, 0);
    give_all(&stand, buffers);
    count(FAKE_EVENT_RECORD);
    more[0] = take(&stand, 8 * MIB, NULL);
    assert_true(fake_calls() <= 1);
    for (int i = 1; i < BUFFERS; i++) more[i] = take(&stand, 4096, NULL);
    assert_true(fake_calls() <= 1);
    stand_let_go(&stand, 0);
    give_all(&stand, more);
    stand_close(&stand);
}

/* An event that cannot be recorded is tried again, so the memory is not lost until somebody waits. */
static void an_event_that_failed_is_recorded_later(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "caching:settle=0", "fake:1GiB");
    tarn_buffer *buffer = take(&stand, 4096, NULL);
    const void *data = tarn_buffer_data(buffer);
    EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(&stand, 0)));
    fake_fail(FAKE_EVENT_RECORD, 1, 1, TARN_INTERNAL);
    give(&stand, buffer, NULL);
    count(0);
    buffer = take(&stand, 4096, NULL);
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    assert_int_equal(fake_forced_waits(), 0);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* Each stream has a piece of memory that it may still use, and a request wants them all. */
static void being_short_of_memory_is_one_wait_for_all_streams(void **state) {
    (void)state;
    static const char *const devices[] = {"fake:1GiB", "fake:1GiB,flat", "fake:1GiB,aliasing"};
    for (size_t d = 0; d < 3; d++) {
        test_stand stand;
        tarn_buffer *buffers[STAND_STREAMS];
        stand_open(&stand, "caching", devices[d]);
        for (int i = 0; i < STAND_STREAMS; i++) buffers[i] = take(&stand, 200 * MIB, stand_stream(&stand, i));
        for (int i = 0; i < STAND_STREAMS; i++) {
            stand_hold(&stand, i);
            give(&stand, buffers[i], NULL);
        }
        uint64_t waits = counters_of(stand.device).device_waits;
        count(FAKE_EVENT_RECORD);
        tarn_buffer *large = take(&stand, 900 * MIB, NULL);
        assert_int_equal(fake_calls(), STAND_STREAMS);
        assert_int_equal(counters_of(stand.device).device_waits, waits + 1);
        assert_int_equal(stats_of(stand.allocator).device_waits, 1);
        for (int i = 0; i < STAND_STREAMS; i++) stand_let_go(&stand, i);
        give(&stand, large, NULL);
        stand_close(&stand);
    }
}

/* Work of a stream that has nothing free, or only what was known to be idle, is nobody's business. */
static void a_stream_with_nothing_to_give_is_not_waited_for(void **state) {
    (void)state;
    static const char *const devices[] = {"fake:1GiB", "fake:1GiB,flat", "fake:1GiB,aliasing"};
    for (size_t d = 0; d < 3; d++) {
        test_stand stand;
        tarn_buffer *buffer;
        stand_open(&stand, "caching", devices[d]);
        tarn_buffer *idle = take(&stand, 100 * MIB, stand_stream(&stand, 0));
        tarn_buffer *used = take(&stand, 200 * MIB, stand_stream(&stand, 1));
        give(&stand, idle, NULL);
        EXPECT_OK(tarn_stream_synchronize(stand_stream(&stand, 0)));
        EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 900 * MIB, NULL, &buffer));
        stand_hold(&stand, 1);
        /* Freed, and used again on the same stream: there is nothing of it left to wait for. */
        give(&stand, used, NULL);
        used = take(&stand, 200 * MIB, stand_stream(&stand, 1));
        uint64_t waits = counters_of(stand.device).device_waits;
        EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 900 * MIB, NULL, &buffer));
        assert_int_equal(fake_forced_waits(), 0);
        assert_int_equal(counters_of(stand.device).device_waits, waits);
        stand_let_go(&stand, 1);
        give(&stand, used, NULL);
        stand_close(&stand);
    }
}

/* Where granules may be at two places, what a stream has freed itself serves it while it is busy. */
static void a_request_does_not_wait_for_its_own_stream(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "caching", "fake:1GiB,aliasing");
    tarn_buffer *own = take(&stand, 300 * MIB, stand_stream(&stand, 0));
    tarn_buffer *other = take(&stand, 500 * MIB, stand_stream(&stand, 1));
    give(&stand, other, NULL);
    stand_hold(&stand, 0);
    give(&stand, own, NULL);
    tarn_buffer *large = take(&stand, 1000 * MIB, stand_stream(&stand, 0));
    assert_int_equal(fake_forced_waits(), 0);
    stand_let_go(&stand, 0);
    give(&stand, large, NULL);
    stand_close(&stand);
}

typedef struct emptying {
    tarn_allocator *allocator;
    tarn_status status;
} emptying;

static void *empty_cache(void *context) {
    emptying *task = context;
    task->status = tarn_allocator_empty_cache(task->allocator);
    return NULL;
}

/* Two streams are waited for at once. The second one's end is what the first one's work needs. */
static void a_stream_may_end_while_others_are_waited_for(void **state) {
    (void)state;
    test_stand stand;
    test_gate gates[2] = {{0}, {0}};
    tarn_stream *streams[2];
    stand_open(&stand, "caching", "cpu");
    for (int order = 0; order < 2; order++) {
        for (int i = 0; i < 2; i++) {
            gates[i] = (test_gate){0};
            EXPECT_OK(tarn_stream_create(stand.device, &streams[i]));
            tarn_buffer *buffer = take(&stand, MIB, streams[i]);
            EXPECT_OK(tarn_stream_enqueue(streams[i], gate_pass, &gates[i]));
            give(&stand, buffer, NULL);
        }
        uint64_t waits = stats_of(stand.allocator).device_waits;
        emptying task = {.allocator = stand.allocator};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, empty_cache, &task), 0);
        while (stats_of(stand.allocator).device_waits == waits) sched_yield();
        gate_open(&gates[order]);
        EXPECT_OK(tarn_stream_release(streams[order]));
        gate_open(&gates[1 - order]);
        assert_int_equal(pthread_join(thread, NULL), 0);
        EXPECT_OK(task.status);
        EXPECT_OK(tarn_stream_release(streams[1 - order]));
    }
    assert_int_equal(stats_of(stand.allocator).reserved_bytes.current, 0);
    stand_close(&stand);
}

/* A wait that fails leaves what it was for, and the next one is for the same. */
static void a_wait_that_fails_is_repeated(void **state) { /* fault 25 */
    (void)state;
    test_stand stand;
    stand_open(&stand, "caching", "fake:1GiB");
    tarn_buffer *buffer = take(&stand, 600 * MIB, stand_stream(&stand, 0)), *large = NULL;
    stand_hold(&stand, 0);
    give(&stand, buffer, NULL);
    fake_fail(FAKE_EVENT_SYNCHRONIZE, 1, 1, TARN_INTERNAL);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 900 * MIB, NULL, &large));
    EXPECT(TARN_INTERNAL, tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(stats_of(stand.allocator).reserved_bytes.current, 600 * MIB);
    count(0);
    large = take(&stand, 900 * MIB, NULL);
    assert_int_equal(fake_forced_waits(), 1);
    stand_let_go(&stand, 0);
    give(&stand, large, NULL);
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_event_answers_for_all_buffers_that_a_stream_used, settle),
        cmocka_unit_test_teardown(a_free_asks_about_no_event, settle),
        cmocka_unit_test_teardown(a_request_records_at_most_one_event_for_each_stream, settle),
        cmocka_unit_test_teardown(an_event_that_failed_is_recorded_later, settle),
        cmocka_unit_test_teardown(being_short_of_memory_is_one_wait_for_all_streams, settle),
        cmocka_unit_test_teardown(a_stream_with_nothing_to_give_is_not_waited_for, settle),
        cmocka_unit_test_teardown(a_request_does_not_wait_for_its_own_stream, settle),
        cmocka_unit_test_teardown(a_stream_may_end_while_others_are_waited_for, settle),
        cmocka_unit_test_teardown(a_wait_that_fails_is_repeated, settle),
    };
    return cmocka_run_group_tests_name("caching events", tests, NULL, NULL);
}
