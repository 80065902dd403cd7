/* Streams: order, work that calls back, copies and fills, and what is counted. */
#include "check.h"

#include <pthread.h>
#include <string.h>

#include "diary.h"
#include "gate.h"
#include "hal/device.h"
#include "hal/event.h"
#include "on_cpu.h"

static void nothing_is_done_with_null(void **state) { /* fault 10 */
    (void)state;
    char byte = 0;
    tarn_event *event = NULL;
    assert_fails(tarn_stream_create(NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_create(cpu, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_enqueue(NULL, write_diary, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_enqueue(tarn_device_default_stream(cpu), NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_record(NULL, &event), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_record(tarn_device_default_stream(cpu), NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_wait(NULL, event), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_wait(tarn_device_default_stream(cpu), NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_synchronize(NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_copy(NULL, &byte, &byte, 1), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_fill(NULL, &byte, &byte, 1, 1), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_event_create(NULL, &event), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_event_create(cpu, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_event_is_complete(NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_event_synchronize(NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_event_elapsed(NULL, NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_ok(tarn_stream_release(NULL));
    assert_ok(tarn_event_release(NULL));
    assert_null(tarn_stream_device(NULL));
    assert_int_equal(tarn_stream_number(NULL), 0);
    assert_null(event);
}

static void work_runs_in_the_stream_s_order(void **state) {
    (void)state;
    test_gate closed = {0};
    tarn_stream *stream = new_stream(cpu);
    diary[0] = '\0';
    assert_ok(tarn_stream_enqueue(stream, gate_pass, &closed));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "a"));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "b"));
    assert_string_equal(diary, "");
    gate_open(&closed);
    assert_ok(tarn_stream_synchronize(stream));
    assert_string_equal(diary, "ab");
    for (int i = 0; i < 1000; i++) assert_ok(tarn_stream_enqueue(stream, gate_pass, &closed));
    assert_ok(tarn_device_synchronize(cpu));
    assert_ok(tarn_stream_release(stream));
}

static void each_stream_has_a_number_and_the_default_one_is_0(void **state) {
    (void)state;
    tarn_stream *first = new_stream(cpu), *second = new_stream(cpu);
    assert_int_equal(tarn_stream_number(tarn_device_default_stream(cpu)), 0);
    assert_int_not_equal(tarn_stream_number(first), 0);
    assert_int_not_equal(tarn_stream_number(first), tarn_stream_number(second));
    assert_ok(tarn_stream_release(first));
    assert_ok(tarn_stream_release(second));
}

static void the_default_stream_runs_at_once(void **state) {
    (void)state;
    diary[0] = '\0';
    assert_ok(tarn_stream_enqueue(tarn_device_default_stream(cpu), write_diary, "now"));
    assert_string_equal(diary, "now");
    assert_ok(tarn_stream_release(tarn_device_default_stream(cpu)));
    assert_ptr_equal(tarn_stream_device(tarn_device_default_stream(cpu)), cpu);
}

static void *enqueue_on_default(void *context) {
    return tarn_stream_enqueue(tarn_device_default_stream(cpu), write_diary, context) == TARN_OK ? NULL : "failed";
}

static void the_default_stream_waits_without_blocking_who_says_so(void **state) {
    (void)state;
    test_gate gates[2] = {{0}};
    tarn_stream *streams[2];
    tarn_event *events[2] = {NULL, NULL}, *after = NULL;
    tarn_stream *first = tarn_device_default_stream(cpu);
    diary[0] = '\0';
    for (int i = 0; i < 2; i++) {
        streams[i] = new_stream(cpu);
        assert_ok(tarn_stream_enqueue(streams[i], gate_pass, &gates[i]));
        assert_ok(tarn_stream_enqueue(streams[i], write_diary, i == 0 ? "a" : "b"));
        assert_ok(tarn_stream_record(streams[i], &events[i]));
        assert_ok(tarn_stream_wait(first, events[i]));
    }
    assert_ok(tarn_stream_record(first, &after));
    assert_false(is_complete(after));
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, enqueue_on_default, "c"), 0);
    gate_open(&gates[0]);
    assert_ok(tarn_stream_synchronize(streams[0]));
    assert_false(is_complete(after));
    gate_open(&gates[1]);
    void *failure;
    pthread_join(thread, &failure);
    assert_null(failure);
    assert_true(is_complete(after));
    assert_string_equal(diary, "abc");
    for (int i = 0; i < 2; i++) {
        assert_ok(tarn_event_release(events[i]));
        assert_ok(tarn_stream_release(streams[i]));
    }
    assert_ok(tarn_event_release(after));
}

static void call_back(void *context) {
    tarn_stream *stream = context;
    tarn_event *event = NULL;
    write_diary("(");
    assert_ok(tarn_stream_enqueue(stream, write_diary, "later"));
    assert_ok(tarn_stream_record(stream, &event));
    assert_false(is_complete(event));
    assert_fails(tarn_event_synchronize(event), TARN_INVALID_STATE);
    assert_fails(tarn_stream_synchronize(stream), TARN_INVALID_STATE);
    assert_fails(tarn_device_synchronize(cpu), TARN_INVALID_STATE);
    assert_ok(tarn_stream_wait(stream, event));
    assert_ok(tarn_event_release(event));
    write_diary(")");
}

static void work_may_enqueue_and_cannot_wait_for_itself(void **state) { /* fault 41 */
    (void)state;
    tarn_stream *streams[] = {tarn_device_default_stream(cpu), new_stream(cpu)};
    for (int i = 0; i < 2; i++) {
        diary[0] = '\0';
        assert_ok(tarn_stream_enqueue(streams[i], call_back, streams[i]));
        /* The first wait is for the work, the second for what it brought. */
        assert_ok(tarn_stream_synchronize(streams[i]));
        assert_ok(tarn_stream_synchronize(streams[i]));
        assert_string_equal(diary, "()later");
    }
    assert_ok(tarn_stream_release(streams[1]));
}

static tarn_status status_of_release;

static void release_own_stream(void *context) { status_of_release = tarn_stream_release(context); }

static void work_cannot_release_its_own_stream(void **state) { /* fault 42 */
    (void)state;
    tarn_stream *stream = new_stream(cpu);
    assert_ok(tarn_stream_enqueue(stream, release_own_stream, stream));
    assert_ok(tarn_stream_synchronize(stream));
    assert_int_equal(status_of_release, TARN_BUSY);
    assert_ok(tarn_stream_release(stream));
}

static void release_device(void *context) { status_of_release = tarn_device_release(context); }

static void work_cannot_close_its_own_device(void **state) { /* fault 42 */
    (void)state;
    tarn_device *device = NULL;
    assert_ok(tarn_device_open("sim:1MiB", &device));
    assert_ok(tarn_stream_enqueue(tarn_device_default_stream(device), release_device, device));
    assert_int_equal(status_of_release, TARN_BUSY);
    assert_ok(tarn_device_release(device));
}

static void copies_and_fills_do_what_they_say(void **state) {
    (void)state;
    tarn_stream *stream = new_stream(cpu);
    static _Alignas(8) unsigned char bytes[20000], copy[20000];
    const unsigned char pattern[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t pattern_size = 1; pattern_size <= 8; pattern_size *= 2) {
        memset(bytes, 0, sizeof bytes);
        assert_ok(tarn_stream_fill(stream, bytes, pattern, pattern_size, 19992));
        assert_ok(tarn_stream_copy(stream, copy, bytes, sizeof copy));
        assert_ok(tarn_stream_synchronize(stream));
        for (size_t i = 0; i < 19992; i++) assert_int_equal(copy[i], pattern[i % pattern_size]);
        for (size_t i = 19992; i < 20000; i++) assert_int_equal(copy[i], 0);
    }
    assert_ok(tarn_stream_copy(stream, copy, bytes, 0));
    assert_ok(tarn_stream_fill(stream, bytes, pattern, 4, 0));
    assert_fails(tarn_stream_copy(stream, bytes + 8, bytes, 16), TARN_INVALID_ARGUMENT);
    assert_sentence("overlap");
    assert_fails(tarn_stream_copy(stream, NULL, bytes, 16), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_copy(stream, copy, bytes, SIZE_MAX), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_fill(stream, bytes, pattern, 3, 9), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_fill(stream, bytes, pattern, 16, 16), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_fill(stream, bytes, pattern, 0, 16), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_fill(stream, bytes, pattern, 4, 18), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_fill(stream, bytes + 1, pattern, 4, 16), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_fill(stream, bytes, NULL, 4, 16), TARN_INVALID_ARGUMENT);
    assert_ok(tarn_stream_release(stream));
}

typedef struct seen_streams {
    uint32_t numbers[4];
    int count;
    tarn_device *remove_from;
} seen_streams;

static void see_stream(void *context, tarn_stream *stream) {
    seen_streams *seen = context;
    seen->numbers[seen->count++] = hal_stream_number(stream);
    hal_event *event;
    bool complete = false;
    assert_ok(hal_event_create(stream->device, &event));
    assert_ok(hal_event_record(event, stream));
    assert_ok(hal_event_synchronize(event));
    assert_ok(hal_event_query(event, &complete));
    assert_true(complete);
    hal_event_destroy(event);
    if (seen->remove_from != NULL) hal_device_remove_stream_callback(seen->remove_from, see_stream, seen);
}

static void watchers_learn_of_the_end_of_a_stream(void **state) { /* fault 22 */
    (void)state;
    seen_streams seen = {.count = 0}, seen_once = {.remove_from = cpu};
    assert_ok(hal_device_on_stream_destroy(cpu, see_stream, &seen));
    assert_ok(hal_device_on_stream_destroy(cpu, see_stream, &seen_once));
    tarn_stream *first = new_stream(cpu), *second = new_stream(cpu);
    uint32_t numbers[2] = {hal_stream_number(first), hal_stream_number(second)};
    assert_int_not_equal(numbers[0], numbers[1]);
    assert_int_not_equal(numbers[0], 0);
    assert_int_equal(hal_stream_number(tarn_device_default_stream(cpu)), 0);
    assert_ptr_equal(tarn_stream_retain(first), first);
    assert_ok(tarn_stream_release(first));
    assert_int_equal(seen.count, 0);
    assert_ok(tarn_stream_release(first));
    assert_ok(tarn_stream_release(second));
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.numbers[0], numbers[0]);
    assert_int_equal(seen.numbers[1], numbers[1]);
    assert_int_equal(seen_once.count, 1);
    /* A number is never used again. */
    tarn_stream *third = new_stream(cpu);
    assert_true(hal_stream_number(third) > numbers[1]);
    hal_device_remove_stream_callback(cpu, see_stream, &seen);
    hal_device_remove_stream_callback(cpu, see_stream, &seen);
    assert_ok(tarn_stream_release(third));
    assert_int_equal(seen.count, 2);
}

static void another_device_s_stream_is_refused(void **state) { /* fault 12 */
    (void)state;
    tarn_device *sim = NULL;
    assert_ok(tarn_device_open("sim:1MiB", &sim));
    assert_null(hal_stream_or_default(cpu, tarn_device_default_stream(sim)));
    assert_sentence("sim:1MiB");
    assert_ptr_equal(hal_stream_or_default(cpu, NULL), tarn_device_default_stream(cpu));
    assert_ok(tarn_device_release(sim));
}

static void waits_of_the_host_are_counted(void **state) {
    (void)state;
    test_gate opened = {true};
    tarn_stream *stream = new_stream(cpu);
    uint64_t waits = counters_of(cpu).device_waits;
    assert_ok(tarn_stream_synchronize(stream));
    assert_int_equal(counters_of(cpu).device_waits, waits);
    assert_ok(tarn_stream_enqueue(stream, gate_pass, &opened));
    assert_ok(tarn_stream_synchronize(stream));
    assert_int_equal(counters_of(cpu).device_waits, waits + 1);
    assert_ok(tarn_stream_release(stream));
}

/* Eight threads on the default stream: its work never overlaps. */
static int inside;

static void come_and_go(void *context) {
    int *failures = context;
    if (inside++ != 0) ++*failures;
    inside--;
}

static void *use_default_stream(void *context) {
    for (int i = 0; i < 500; i++) {
        if (tarn_stream_enqueue(tarn_device_default_stream(cpu), come_and_go, context) != TARN_OK) return "failed";
    }
    return NULL;
}

static void threads_take_turns_on_the_default_stream(void **state) {
    (void)state;
    pthread_t threads[8];
    int failures = 0;
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, use_default_stream, &failures), 0);
    for (int i = 0; i < 8; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    assert_int_equal(failures, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_done_with_null, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(work_runs_in_the_stream_s_order, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(each_stream_has_a_number_and_the_default_one_is_0, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(the_default_stream_runs_at_once, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(the_default_stream_waits_without_blocking_who_says_so, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(work_may_enqueue_and_cannot_wait_for_itself, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(work_cannot_release_its_own_stream, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(work_cannot_close_its_own_device, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(copies_and_fills_do_what_they_say, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(watchers_learn_of_the_end_of_a_stream, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(another_device_s_stream_is_refused, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(waits_of_the_host_are_counted, open_cpu, close_cpu),
        cmocka_unit_test_setup_teardown(threads_take_turns_on_the_default_stream, open_cpu, close_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
