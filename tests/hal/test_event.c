/* Events: what they stand for, waits within and between devices, and waits that fail. */
#include "check.h"

#include "diary.h"
#include "gate.h"
#include "hal/device.h"
#include "on_cpu.h"

static void an_event_is_complete_when_its_work_is(void **state) {
    (void)state;
    test_gate closed = {0};
    tarn_stream *stream = new_stream(cpu);
    tarn_event *begin = NULL, *end = NULL;
    assert_ok(tarn_event_create(cpu, &begin));
    assert_true(is_complete(begin));
    assert_ok(tarn_stream_record(stream, &begin));
    assert_ok(tarn_stream_enqueue(stream, gate_pass, &closed));
    assert_ok(tarn_stream_record(stream, &end));
    assert_false(is_complete(end));
    int64_t elapsed = -1;
    assert_fails(tarn_event_elapsed(begin, end, &elapsed), TARN_INVALID_STATE);
    assert_int_equal(elapsed, -1);
    gate_open(&closed);
    assert_ok(tarn_event_synchronize(end));
    assert_true(is_complete(end));
    assert_ok(tarn_event_elapsed(begin, end, &elapsed));
    assert_true(elapsed >= 0); /* fault 64 */
    assert_ok(tarn_event_release(begin));
    assert_ok(tarn_event_release(end));
    assert_ok(tarn_stream_release(stream));
}

static void an_untimed_event_orders_work_and_tells_no_time(void **state) {
    static const char *const names[] = {"cpu", "sim:1GiB"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        tarn_device *device = NULL;
        assert_ok(tarn_device_open(names[i], &device));
        tarn_stream *stream = new_stream(device);
        const tarn_event_options untimed = {.struct_size = sizeof untimed, .is_untimed = 1};
        const tarn_event_options timed = {.struct_size = sizeof timed};
        struct {
            tarn_event_options known;
            int later;
        } newer = {.known = {.struct_size = sizeof newer}, .later = 1};
        tarn_event *event = NULL, *plain = NULL;
        int64_t elapsed = -1;
        assert_fails(tarn_event_create_with(device, &newer.known, &event), TARN_INVALID_ARGUMENT); /* fault 11 */
        assert_fails(tarn_event_create_with(NULL, &untimed, &event), TARN_INVALID_ARGUMENT);
        assert_fails(tarn_event_create_with(device, &untimed, NULL), TARN_INVALID_ARGUMENT);
        assert_null(event);
        assert_ok(tarn_event_create_with(device, &untimed, &event));
        assert_ok(tarn_event_create_with(device, &timed, &plain));
        assert_true(is_complete(event));
        /* Recorded anew while somebody waits for it, it has another mark, untimed too. */
        for (int again = 0; again < 2; again++) {
            assert_ok(tarn_stream_record(stream, &event));
            assert_ok(tarn_stream_wait(tarn_device_default_stream(device), event));
            assert_ok(tarn_event_synchronize(event));
            assert_true(is_complete(event));
        }
        assert_ok(tarn_stream_record(stream, &plain));
        assert_ok(tarn_event_synchronize(plain));
        assert_fails(tarn_event_elapsed(event, plain, &elapsed), TARN_INVALID_STATE);
        assert_sentence("the first event was created untimed");
        assert_fails(tarn_event_elapsed(plain, event, &elapsed), TARN_INVALID_STATE);
        assert_sentence("the second event was created untimed");
        assert_int_equal(elapsed, -1);
        assert_ok(tarn_event_elapsed(plain, plain, &elapsed));
        assert_int_equal(elapsed, 0);
        assert_ok(tarn_event_release(event));
        assert_ok(tarn_event_release(plain));
        assert_ok(tarn_stream_release(stream));
        assert_ok(tarn_device_release(device));
    }
}

static void another_stream_waits_for_the_event(void **state) {
    (void)state;
    test_gate closed = {0};
    tarn_stream *first = new_stream(cpu), *second = new_stream(cpu);
    tarn_event *event = NULL;
    diary[0] = '\0';
    assert_ok(tarn_stream_enqueue(first, gate_pass, &closed));
    assert_ok(tarn_stream_enqueue(first, write_diary, "a"));
    assert_ok(tarn_stream_record(first, &event));
    assert_ok(tarn_stream_wait(second, event));
    assert_ok(tarn_stream_enqueue(second, write_diary, "b"));
    /* Recorded anew, the event does not disturb who waits for what it was. */
    assert_ok(tarn_stream_record(tarn_device_default_stream(cpu), &event));
    assert_true(is_complete(event));
    assert_string_equal(diary, "");
    gate_open(&closed);
    assert_ok(tarn_stream_synchronize(second));
    assert_string_equal(diary, "ab");
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_stream_release(first));
    assert_ok(tarn_stream_release(second));
}

static void waits_reach_across_devices(void **state) {
    (void)state;
    test_gate closed = {0};
    tarn_device *sim = NULL;
    tarn_event *event = NULL, *simulated = NULL;
    assert_ok(tarn_device_open("sim:1MiB,lag=10ms", &sim));
    tarn_stream *stream = new_stream(cpu), *other = new_stream(cpu);
    diary[0] = '\0';

    /* cpu waits for sim: the wait takes simulated time. */
    assert_ok(tarn_stream_record(tarn_device_default_stream(sim), &simulated));
    assert_false(is_complete(simulated));
    assert_ok(tarn_stream_wait(stream, simulated));
    assert_ok(tarn_stream_enqueue(stream, gate_pass, &closed));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "a"));
    assert_ok(tarn_stream_record(stream, &event));
    gate_open(&closed);
    /* sim waits for cpu, inline. */
    assert_ok(tarn_stream_wait(tarn_device_default_stream(sim), event));
    assert_string_equal(diary, "a");
    assert_true(is_complete(simulated));

    int64_t elapsed;
    assert_fails(tarn_event_elapsed(event, simulated, &elapsed), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_record(other, &simulated), TARN_INVALID_ARGUMENT); /* fault 12 */
    assert_sentence("sim:1MiB");
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_event_release(simulated));
    assert_ok(tarn_stream_release(stream));
    assert_ok(tarn_stream_release(other));
    assert_ok(tarn_device_release(sim));
}

static void a_wait_keeps_to_what_the_event_was(void **state) {
    (void)state;
    test_gate closed = {0};
    tarn_device *sim = NULL;
    tarn_event *event = NULL;
    tarn_stream *stream = new_stream(cpu);
    assert_ok(tarn_device_open("sim:1MiB,lag=10ms", &sim));
    assert_ok(tarn_stream_enqueue(stream, gate_pass, &closed));
    assert_ok(tarn_stream_record(tarn_device_default_stream(sim), &event));
    assert_ok(tarn_stream_wait(stream, event));
    assert_ok(hal_device_clock_set(sim, 5000000));
    assert_ok(tarn_stream_record(tarn_device_default_stream(sim), &event));
    tarn_event *again = tarn_event_retain(event);
    assert_ok(tarn_event_release(event));
    gate_open(&closed);
    assert_ok(tarn_stream_synchronize(stream));
    /* The wait was for what the event was, which ended 5 ms before what it is now. */
    assert_int_equal(hal_device_clock_cost(sim), 5000000);
    assert_false(is_complete(again));
    assert_ok(tarn_event_release(again));
    assert_ok(tarn_device_release(sim));
    assert_ok(tarn_stream_release(stream));
}

static void a_wait_that_fails_is_reported_by_the_next_synchronisation(void **state) { /* fault 25 */
    (void)state;
    tarn_device *sim = NULL;
    tarn_event *event = NULL;
    tarn_stream *stream = new_stream(cpu);
    assert_ok(tarn_device_open("sim:1MiB,fail_at=1,fail_for=event_synchronize,fail_status=INTERNAL", &sim));
    assert_ok(tarn_stream_record(tarn_device_default_stream(sim), &event));
    assert_ok(tarn_stream_wait(stream, event));
    assert_fails(tarn_stream_synchronize(stream), TARN_INTERNAL);
    assert_ok(tarn_stream_synchronize(stream));
    assert_fails(tarn_device_synchronize(cpu), TARN_INTERNAL);
    assert_ok(tarn_device_synchronize(cpu));
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_stream_release(stream));
    assert_ok(tarn_device_release(sim));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_event_is_complete_when_its_work_is, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(an_untimed_event_orders_work_and_tells_no_time, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(another_stream_waits_for_the_event, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(waits_reach_across_devices, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(a_wait_keeps_to_what_the_event_was, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(a_wait_that_fails_is_reported_by_the_next_synchronisation, open_cpu, close_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
