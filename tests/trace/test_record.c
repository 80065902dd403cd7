/* The record adaptor: what passes through a stack is what the trace says. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "stand.h"

static const size_t kib = 1024;

/* An allocator that records into the named file of the folder, in front of `below`. */
static tarn_allocator *recording(const char *name, const char *below, tarn_device **out_device, char path[256]) {
    char spec[400];
    tarn_allocator *allocator = NULL;
    path_in_folder(name, path);
    snprintf(spec, sizeof spec, "record:%s | %s", path, below);
    assert_int_equal(tarn_device_open("sim:1GiB", out_device), TARN_OK);
    tarn_status status = tarn_allocator_create(*out_device, spec, &allocator);
    if (status != TARN_OK) print_error("%s\n", tarn_last_error());
    assert_int_equal(status, TARN_OK);
    return allocator;
}

static tarn_trace *recorded(const char *path) {
    tarn_trace *trace = NULL;
    tarn_status status = tarn_trace_read(path, &trace);
    if (status != TARN_OK) print_error("%s\n", tarn_last_error());
    assert_int_equal(status, TARN_OK);
    return trace;
}

static void a_stack_is_recorded_call_by_call(void **state) {
    (void)state;
    char path[256];
    tarn_device *device;
    tarn_allocator *allocator = recording("calls.tarn", "caching", &device, path);
    tarn_stream *stream;
    assert_int_equal(tarn_stream_create(device, &stream), TARN_OK);
    tarn_buffer *first, *second;
    tarn_allocate_options options = {
        .struct_size = sizeof options, .alignment = 64 * kib, .stream = stream, .tag = "weights"};
    assert_int_equal(tarn_allocator_allocate(allocator, 1000, NULL, &first), TARN_OK);
    assert_int_equal(tarn_allocator_allocate_with(allocator, 3 * kib, &options, &second), TARN_OK);
    uint64_t address = (uint64_t)(uintptr_t)tarn_buffer_data(second);
    assert_int_equal(tarn_allocator_free(allocator, first, NULL), TARN_OK);
    assert_int_equal(tarn_buffer_free(second, stream), TARN_OK);
    tarn_stream_release(stream);
    assert_int_equal(tarn_allocator_release(allocator), TARN_OK);
    tarn_device_release(device);

    listen_to_log();
    tarn_trace *trace = recorded(path);
    assert_string_equal(last_message(), ""); /* the file has its end */
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.event_count, 4);
    assert_int_equal(info.peak_live, 1000 + 3 * kib);
    const tarn_trace_event *events = tarn_trace_events(trace);
    assert_int_equal(events[0].size, 1000);
    assert_int_equal(events[0].stream, 0);
    assert_int_equal(events[0].alignment_log2, 0);
    assert_int_equal(events[1].stream, 1);
    assert_int_equal(events[1].alignment_log2, 16);
    assert_int_equal(events[1].address, address);
    assert_string_equal(tarn_trace_string(trace, events[1].tag), "weights");
    assert_int_equal(events[2].action, TARN_TRACE_FREE);
    assert_int_equal(events[2].id, 0);
    assert_int_equal(events[3].id, 1);
    assert_int_equal(events[3].stream, 1);
    tarn_trace_release(trace);
}

static void what_failed_for_lack_of_memory_is_recorded_too(void **state) {
    (void)state;
    char path[256];
    tarn_device *device;
    tarn_allocator *allocator = recording("failed.tarn", "limit:1MiB | caching", &device, path);
    tarn_buffer *buffer = NULL;
    assert_int_equal(tarn_allocator_allocate(allocator, 2048 * kib, NULL, &buffer), TARN_LIMIT_EXCEEDED);
    assert_int_equal(tarn_allocator_allocate(allocator, 0, NULL, &buffer), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_allocator_release(allocator), TARN_OK);
    tarn_device_release(device);
    tarn_trace *trace = recorded(path);
    assert_int_equal(info_of(trace).event_count, 1);
    assert_int_equal(tarn_trace_events(trace)->action, TARN_TRACE_OUT_OF_MEMORY);
    assert_int_equal(tarn_trace_events(trace)->size, 2048 * kib);
    tarn_trace_release(trace);
}

enum { thread_count = 4, rounds = 2000 };

static void *allocate_and_free(void *context) {
    tarn_allocator *allocator = context;
    for (int i = 0; i < rounds; i++) {
        tarn_buffer *buffer;
        if (tarn_allocator_allocate(allocator, 512 + (size_t)i, NULL, &buffer) != TARN_OK) return context;
        if (tarn_allocator_free(allocator, buffer, NULL) != TARN_OK) return context;
    }
    return NULL;
}

/* The reader would refuse an address that is live twice: the order in the file is the order of the memory. */
static int allocate_meanwhile(void *context, const tarn_block_info *block) {
    (void)block;
    tarn_buffer *buffer = NULL;
    assert_int_equal(tarn_allocator_allocate(context, 5000, NULL, &buffer), TARN_INVALID_STATE);
    return 1;
}

/* From a thread's cache, blocks come the short way. */
static void what_the_short_way_serves_is_recorded_alike(void **state) {
    (void)state;
    enum { ROUNDS = 1000, HELD = 3 };
    char path[256];
    tarn_device *device;
    tarn_allocator *allocator = recording("short.tarn", "caching:settle=0", &device, path);
    tarn_stream *stream;
    assert_int_equal(tarn_stream_create(device, &stream), TARN_OK);
    uint64_t addresses[ROUNDS];
    tarn_buffer *held[HELD];
    for (size_t i = 0; i < ROUNDS; i++) {
        tarn_buffer *buffer;
        size_t size = 100 * (1 + i % 5);
        assert_int_equal(tarn_allocator_allocate(allocator, size, i < ROUNDS / 2 ? NULL : stream, &buffer), TARN_OK);
        assert_int_equal(tarn_buffer_size(buffer), size);
        assert_ptr_equal(tarn_buffer_device(buffer), device);
        addresses[i] = (uint64_t)(uintptr_t)tarn_buffer_data(buffer);
        if (i == ROUNDS / 2) {
            assert_int_equal(tarn_allocator_each_block(allocator, allocate_meanwhile, allocator), TARN_OK);
        }
        assert_int_equal(tarn_buffer_free(buffer, NULL), TARN_OK);
        assert_int_equal(tarn_allocator_free(allocator, buffer, NULL), TARN_INVALID_ARGUMENT);
    }
    for (size_t i = 0; i < HELD; i++) {
        assert_int_equal(tarn_allocator_allocate(allocator, 100, NULL, &held[i]), TARN_OK);
    }
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    assert_int_equal(tarn_allocator_stats(allocator, &stats), TARN_OK);
    assert_int_equal(stats.allocations, ROUNDS + HELD);
    assert_int_equal(stats.blocks.current, HELD);
    assert_int_equal(stats.requested_bytes.current, 100 * HELD);
    assert_int_equal(tarn_allocator_shut_down(allocator), TARN_OK);
    assert_int_equal(tarn_allocator_allocate(allocator, 100, NULL, &held[0]), TARN_SHUT_DOWN);
    tarn_stream_release(stream);
    listen_to_log();
    assert_int_equal(tarn_allocator_release(allocator), TARN_OK);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    for (size_t i = 0; i < HELD; i++) assert_int_equal(tarn_buffer_free(held[i], NULL), TARN_OK);
    tarn_device_release(device);

    tarn_trace *trace = recorded(path);
    assert_int_equal(info_of(trace).event_count, 2 * (ROUNDS + HELD));
    const tarn_trace_event *events = tarn_trace_events(trace);
    for (size_t i = 0; i < ROUNDS; i++) {
        assert_int_equal(events[2 * i].action, TARN_TRACE_ALLOCATE);
        assert_int_equal(events[2 * i].size, 100 * (1 + i % 5));
        assert_int_equal(events[2 * i].stream, i < ROUNDS / 2 ? 0 : 1);
        assert_int_equal(events[2 * i].address, addresses[i]);
        assert_int_equal(events[2 * i + 1].action, TARN_TRACE_FREE);
        assert_int_equal(events[2 * i + 1].id, i);
    }
    tarn_trace_release(trace);
}

static void threads_are_recorded_in_a_consistent_order(void **state) {
    (void)state;
    char path[256];
    tarn_device *device;
    tarn_allocator *allocator = recording("threads.tarn", "caching", &device, path);
    pthread_t threads[thread_count];
    for (int i = 0; i < thread_count; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_and_free, allocator), 0);
    for (int i = 0; i < thread_count; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(tarn_allocator_release(allocator), TARN_OK);
    tarn_device_release(device);
    tarn_trace *trace = recorded(path);
    tarn_trace_info info = info_of(trace);
    assert_int_equal(info.event_count, 2 * thread_count * rounds);
    assert_int_equal(info.thread_count, thread_count);
    assert_in_range(info.peak_live, 512 + rounds - 1, thread_count * (512 + rounds));
    tarn_trace_release(trace);
}

static void shutting_down_writes_what_there_is(void **state) {
    (void)state;
    char path[256];
    tarn_device *device;
    tarn_allocator *allocator = recording("down.tarn", "caching", &device, path);
    tarn_buffer *buffer;
    assert_int_equal(tarn_allocator_allocate(allocator, 1000, NULL, &buffer), TARN_OK);
    assert_int_equal(tarn_allocator_shut_down(allocator), TARN_OK);
    listen_to_log();
    tarn_trace *trace = recorded(path);
    assert_non_null(strstr(last_message(), "without an end record"));
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    assert_int_equal(info_of(trace).event_count, 1);
    tarn_trace_release(trace);
    assert_int_equal(tarn_allocator_free(allocator, buffer, NULL), TARN_OK);
    assert_int_equal(tarn_allocator_release(allocator), TARN_OK);
    tarn_device_release(device);
    trace = recorded(path);
    assert_int_equal(info_of(trace).event_count, 2);
    tarn_trace_release(trace);
}

static tarn_allocator *left_over;
static tarn_buffer *left_buffer;
static void free_late(void) { (void)tarn_allocator_free(left_over, left_buffer, NULL); }

/* What the process of the next test does: it records three allocations, and exits. */
static int leave_without_release(const char *spec) {
    tarn_device *device;
    if (atexit(free_late) != 0) return 1; /* before the recorder's own handler, and so it runs after it */
    if (tarn_device_open("sim:1GiB", &device) != TARN_OK) return 2;
    if (tarn_allocator_create(device, spec, &left_over) != TARN_OK) return 3;
    for (int i = 0; i < 3; i++)
        if (tarn_allocator_allocate(left_over, 1000, NULL, &left_buffer) != TARN_OK) return 4;
    /* A forked child inherits the recorder and its buffer, and must not write them a second time. */
    pid_t child = fork();
    if (child == 0) return 0;
    return waitpid(child, NULL, 0) == child ? 0 : 5;
}

static void a_program_that_exits_without_a_release_loses_nothing(void **state) {
    (void)state;
    char path[256], spec[400], program[4096];
    path_in_folder("exit.tarn", path);
    /* Read here: under valgrind the link itself leads to valgrind. */
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(length > 0);
    program[length] = '\0';
    snprintf(spec, sizeof spec, "record:%s | caching", path);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* it leaks on purpose */
        execl(program, "test_record", spec, (char *)NULL);
        _exit(126);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    listen_to_log();
    tarn_trace *trace = recorded(path);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    assert_int_equal(info_of(trace).event_count, 4);
    tarn_trace_release(trace);
}

static void a_file_that_cannot_be_created_is_told(void **state) {
    (void)state;
    tarn_device *device;
    tarn_allocator *allocator = NULL;
    assert_int_equal(tarn_device_open("sim:1GiB", &device), TARN_OK);
    assert_int_equal(tarn_allocator_create(device, "record:/nowhere/x.tarn|caching", &allocator), TARN_IO_ERROR);
    expect_last_error("/nowhere/x.tarn cannot be created: No such file");
    assert_int_equal(tarn_allocator_create(device, "record:/tmp|caching", &allocator), TARN_IO_ERROR);
    assert_int_equal(tarn_allocator_create(device, "record|caching", &allocator), TARN_INVALID_ARGUMENT);
    assert_null(allocator);
    tarn_device_release(device);
}

/* A limit on file sizes stands for a disk that fills up. */
static void a_full_disk_ends_the_recording_and_nothing_else(void **state) {
    (void)state;
    char path[256];
    tarn_device *device;
    tarn_allocator *allocator = recording("full.tarn", "caching", &device, path);
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 400000;
    signal(SIGXFSZ, SIG_IGN);
    listen_to_log();
    setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 100000; i++) {
        tarn_buffer *buffer;
        assert_int_equal(tarn_allocator_allocate(allocator, 1000, NULL, &buffer), TARN_OK);
        assert_int_equal(tarn_allocator_free(allocator, buffer, NULL), TARN_OK);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    assert_non_null(strstr(last_message(), "cannot be written: File too large; the recording ends here"));
    assert_int_equal(tarn_allocator_release(allocator), TARN_OK);
    tarn_device_release(device);
    tarn_trace *trace = recorded(path);
    assert_in_range(info_of(trace).event_count, 1000, 200000 - 1);
    tarn_trace_release(trace);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
}

int main(int argc, char **argv) {
    if (argc > 1) return leave_without_release(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_is_recorded_call_by_call),
        cmocka_unit_test(what_failed_for_lack_of_memory_is_recorded_too),
        cmocka_unit_test(what_the_short_way_serves_is_recorded_alike),
        cmocka_unit_test(threads_are_recorded_in_a_consistent_order),
        cmocka_unit_test(shutting_down_writes_what_there_is),
        cmocka_unit_test(a_program_that_exits_without_a_release_loses_nothing),
        cmocka_unit_test(a_file_that_cannot_be_created_is_told),
        cmocka_unit_test(a_full_disk_ends_the_recording_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
