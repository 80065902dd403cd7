/* Streams, events and host functions of an OpenCL device. */
#include "device.h"

#include <pthread.h>
#include <string.h>

#include "gate.h"
#include "hal/memory.h"

static tarn_stream *new_stream(void) {
    tarn_stream *stream = NULL;
    assert_ok(tarn_stream_create(opencl_device, &stream));
    return stream;
}

static int is_complete(tarn_event *event) {
    int answer = -1;
    assert_ok(tarn_event_is_complete(event, &answer));
    return answer;
}

/* What host functions wrote; a stream's functions run one after the other. */
static char diary[64];

static void write_diary(void *text) { strncat(diary, text, sizeof diary - strlen(diary) - 1); }

static void functions_run_in_the_stream_s_order(void **state) {
    (void)state;
    test_gate closed = {0};
    tarn_stream *stream = new_stream();
    diary[0] = '\0';
    assert_ok(tarn_stream_enqueue(stream, gate_pass, &closed));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "a"));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "b"));
    assert_string_equal(diary, "");
    gate_open(&closed);
    assert_ok(tarn_stream_synchronize(stream));
    assert_string_equal(diary, "ab");
    assert_ok(tarn_stream_release(stream));
}

static void an_event_is_complete_when_its_work_is(void **state) {
    (void)state;
    test_gate closed = {0};
    tarn_stream *stream = new_stream();
    tarn_event *event = NULL;
    assert_ok(tarn_event_create(opencl_device, &event));
    assert_int_equal(is_complete(event), 1);
    assert_ok(tarn_stream_enqueue(stream, gate_pass, &closed));
    assert_ok(tarn_stream_record(stream, &event));
    assert_int_equal(is_complete(event), 0);
    gate_open(&closed);
    assert_ok(tarn_event_synchronize(event));
    assert_int_equal(is_complete(event), 1);
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_stream_release(stream));
}

static void a_stream_waits_for_another_s_event(void **state) {
    (void)state;
    test_gate closed = {0};
    unsigned char *memory = NULL, back[1000] = {0};
    assert_ok(hal_memory_allocate(opencl_device, TARN_MEMORY_DEVICE, sizeof back, 0, (void **)&memory));
    tarn_stream *writer = new_stream(), *reader = new_stream();
    tarn_event *written = NULL;
    assert_ok(tarn_stream_fill(reader, memory, "\1", 1, sizeof back));
    assert_ok(tarn_stream_synchronize(reader));
    assert_ok(tarn_stream_enqueue(writer, gate_pass, &closed));
    assert_ok(tarn_stream_fill(writer, memory, "\2", 1, sizeof back));
    assert_ok(tarn_stream_record(writer, &written));
    assert_ok(tarn_stream_wait(reader, written));
    assert_ok(tarn_stream_copy(reader, back, memory, sizeof back));
    assert_int_equal(back[0], 0);
    gate_open(&closed);
    assert_ok(tarn_stream_synchronize(reader));
    assert_int_equal(back[0], 2);
    assert_int_equal(back[999], 2);
    assert_ok(tarn_event_release(written));
    assert_ok(tarn_stream_release(writer));
    assert_ok(tarn_stream_release(reader));
    assert_ok(hal_memory_free(opencl_device, TARN_MEMORY_DEVICE, memory, sizeof back));
}

static void a_stream_waits_for_the_event_of_another_device(void **state) {
    (void)state;
    test_gate closed = {0};
    tarn_device *cpu = NULL;
    tarn_stream *there = NULL, *here = new_stream();
    tarn_event *event = NULL;
    assert_ok(tarn_device_open("cpu", &cpu));
    assert_ok(tarn_stream_create(cpu, &there));
    diary[0] = '\0';
    assert_ok(tarn_stream_enqueue(there, gate_pass, &closed));
    assert_ok(tarn_stream_enqueue(there, write_diary, "cpu "));
    assert_ok(tarn_stream_record(there, &event));
    assert_ok(tarn_stream_wait(here, event));
    assert_ok(tarn_stream_enqueue(here, write_diary, "opencl"));
    gate_open(&closed);
    assert_ok(tarn_stream_synchronize(here));
    assert_string_equal(diary, "cpu opencl");
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_stream_release(there));
    assert_ok(tarn_stream_release(here));
    assert_ok(tarn_device_release(cpu));
}

/* The two functions need each other, so neither device nor streams may share one thread for them. */
static void functions_of_two_streams_run_at_once(void **state) {
    (void)state;
    test_gate first = {0}, second = {0};
    tarn_stream *one = new_stream(), *two = new_stream();
    assert_ok(tarn_stream_enqueue(one, gate_pass, &first));
    assert_ok(tarn_stream_enqueue(two, gate_pass, &second));
    gate_open(&second);
    assert_ok(tarn_stream_synchronize(two));
    gate_open(&first);
    assert_ok(tarn_device_synchronize(opencl_device));
    assert_ok(tarn_stream_release(one));
    assert_ok(tarn_stream_release(two));
}

static void events_tell_how_long_work_took(void **state) {
    (void)state;
    tarn_stream *stream = new_stream();
    tarn_event *begin = NULL, *end = NULL;
    int64_t forth = -1, back = 1;
    assert_ok(tarn_stream_record(stream, &begin));
    assert_ok(tarn_stream_enqueue(stream, write_diary, ""));
    assert_ok(tarn_stream_record(stream, &end));
    assert_ok(tarn_stream_synchronize(stream));
    assert_ok(tarn_event_elapsed(begin, end, &forth));
    assert_ok(tarn_event_elapsed(end, begin, &back));
    assert_true(forth > 0);
    assert_int_equal(back, -forth);
    assert_ok(tarn_event_release(begin));
    assert_ok(tarn_event_release(end));
    assert_ok(tarn_stream_release(stream));
}

/* Enqueues on several streams from several threads, and waits for the device meanwhile. */
static void *use_streams(void *context) {
    tarn_stream *shared = context;
    for (int i = 0; i < 50; i++) {
        tarn_stream *own = NULL;
        tarn_event *event = NULL;
        if (tarn_stream_create(opencl_device, &own) != TARN_OK) return "create";
        if (tarn_stream_enqueue(shared, write_diary, "") != TARN_OK) return "enqueue";
        if (tarn_stream_record(shared, &event) != TARN_OK) return "record";
        if (tarn_stream_wait(own, event) != TARN_OK) return "wait";
        if (i % 8 == 0 && tarn_device_synchronize(opencl_device) != TARN_OK) return "synchronize";
        if (tarn_event_release(event) != TARN_OK) return "release";
        if (tarn_stream_release(own) != TARN_OK) return "release";
    }
    return NULL;
}

static void threads_share_a_stream(void **state) {
    (void)state;
    pthread_t threads[3];
    tarn_stream *shared = new_stream();
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, use_streams, shared), 0);
    for (int i = 0; i < 3; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        if (failed != NULL) fail_msg("%s failed", (const char *)failed);
    }
    assert_ok(tarn_stream_release(shared));
}

int main(void) {
    if (!has_opencl()) return EXIT_SKIPPED;
    const struct CMUnitTest tests[] = {
        TEST_BOTH(functions_run_in_the_stream_s_order),
        TEST_BOTH(an_event_is_complete_when_its_work_is),
        TEST_BOTH(a_stream_waits_for_another_s_event),
        TEST_BOTH(a_stream_waits_for_the_event_of_another_device),
        TEST_BOTH(functions_of_two_streams_run_at_once),
        TEST_BOTH(events_tell_how_long_work_took),
        TEST_BOTH(threads_share_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
