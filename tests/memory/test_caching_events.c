/* How many events `caching` asks the driver for when buffers are used on several streams: recording one is a call of the driver, so one
 * answers for all buffers that a stream has to finish with. That none is handed out too early is in the conformance suites. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_event_answers_for_all_buffers_that_a_stream_used, settle),
        cmocka_unit_test_teardown(a_free_asks_about_no_event, settle),
        cmocka_unit_test_teardown(a_request_records_at_most_one_event_for_each_stream, settle),
        cmocka_unit_test_teardown(an_event_that_failed_is_recorded_later, settle),
    };
    return cmocka_run_group_tests_name("caching events", tests, NULL, NULL);
}
