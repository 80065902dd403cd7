/* What the recorder writes down, against programs whose calls are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "recording.h"

#define MIB ((uint64_t)1 << 20)

static void expect(const tarn_trace *trace, uint64_t size, size_t allocations, size_t frees) {
    recording_counts counts = recording_count(trace, size);
    if (counts.allocations == allocations && counts.frees == frees) return;
    fail_msg("blocks of %llu bytes: %zu allocations and %zu frees, not %zu and %zu", (unsigned long long)size,
             counts.allocations, counts.frees, allocations, frees);
}

static size_t event_count(const tarn_trace *trace) {
    tarn_trace_info info = {.struct_size = sizeof info};
    tarn_trace_info_get(trace, &info);
    return info.event_count;
}

static void each_function_is_recorded_with_its_size(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "every_function", "1000000");
    tarn_trace *trace = recording_read(recording->path);
    const uint64_t freed[] = {1000001, 1000002, 1000003, 1000004, 1000005, 1000064, 1000006, 1000008, 1000009};
    for (size_t i = 0; i < sizeof freed / sizeof freed[0]; i++) expect(trace, freed[i], 1, 1);
    expect(trace, 1000007, 1, 0);
    assert_int_equal(event_count(trace), 19);
    tarn_trace_release(trace);
}

static void alignment_is_recorded_where_it_was_asked_for(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "every_function", "1000000");
    tarn_trace *trace = recording_read(recording->path);
    const tarn_trace_event *events = tarn_trace_events(trace);
    for (size_t i = 0; i < event_count(trace); i++) {
        if (events[i].action != TARN_TRACE_ALLOCATE) continue;
        unsigned wanted = events[i].size == 1000005   ? 12
                          : events[i].size == 1000064 ? 6
                          : events[i].size == 1000006 ? 8
                                                      : 0;
        if (events[i].size == 1000008 || events[i].size == 1000009) wanted = 12;
        assert_int_equal(events[i].alignment_log2, wanted);
    }
    tarn_trace_release(trace);
}

static void small_blocks_are_recorded_unless_a_size_is_set(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "small_blocks", "");
    tarn_trace *trace = recording_read(recording->path);
    expect(trace, 12345, 777, 777);
    expect(trace, 0, 0, 0);
    tarn_trace_release(trace);
    recording_run_scenario(recording, "small_blocks", "12KiB");
    trace = recording_read(recording->path);
    expect(trace, 12345, 777, 777);
    tarn_trace_release(trace);
    recording_run_scenario(recording, "small_blocks", "12346");
    trace = recording_read(recording->path);
    assert_int_equal(event_count(trace), 0);
    tarn_trace_release(trace);
}

static void a_realloc_that_fails_leaves_the_block_alive(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "failing_realloc", "1000000");
    tarn_trace *trace = recording_read(recording->path);
    /* Once as asked for, once more as the block that the realloc left. */
    expect(trace, 1000001, 1, 1);
    expect(trace, 1000002, 1, 1);
    assert_int_equal(event_count(trace), 6);
    tarn_trace_release(trace);
}

static void frees_on_other_threads_come_after_their_allocations(void **state) {
    recorded *recording = *state;
    const char *const minima[] = {"", "50000"};
    for (size_t i = 0; i < 2; i++) {
        recording_run_scenario(recording, "threads", minima[i]);
        tarn_trace *trace = recording_read(recording->path);
        expect(trace, 54321, 40000, 40000);
        tarn_trace_info info = {.struct_size = sizeof info};
        tarn_trace_info_get(trace, &info);
        assert_true(info.thread_count >= 4);
        tarn_trace_release(trace);
    }
}

static void a_forked_child_writes_a_file_of_its_own(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "forked", "1000000");
    tarn_trace *trace = recording_read(recording->path);
    expect(trace, 1000001, 1, 1);
    assert_int_equal(event_count(trace), 2);
    tarn_trace_release(trace);
    char path[256];
    snprintf(path, sizeof path, "%s.%ld", recording->path, strtol(recording->output, NULL, 10));
    trace = recording_read(path);
    expect(trace, 1000002, 1, 1);
    expect(trace, 1000003, 1, 0);
    assert_int_equal(event_count(trace), 3);
    tarn_trace_release(trace);
}

static void the_end_of_a_vforked_child_is_not_the_parents(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "vforked", "1000000");
    tarn_trace *trace = recording_read(recording->path);
    expect(trace, 1000001, 1, 1);
    tarn_trace_release(trace);
}

static void a_program_that_becomes_another_leaves_the_others_trace(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "replaced", "10000");
    tarn_trace *trace = recording_read(recording->path);
    expect(trace, 1000001, 0, 0);
    expect(trace, 12345, 777, 777);
    tarn_trace_release(trace);
}

static void what_is_left_of_a_mapping_stays_recorded(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "mappings", "1MiB");
    tarn_trace *trace = recording_read(recording->path);
    expect(trace, 8 * MIB, 1, 1);
    expect(trace, 6 * MIB, 1, 1);
    expect(trace, 2 * MIB, 1, 1);
    expect(trace, 3 * MIB, 2, 2);
    expect(trace, 5 * MIB, 1, 1);
    expect(trace, 1 * MIB, 1, 1);
    expect(trace, 4 * MIB, 1, 1);
    expect(trace, 64 * MIB, 0, 0);
    assert_int_equal(event_count(trace), 16);
    tarn_trace_release(trace);
}

static void a_full_disk_ends_the_recording_and_not_the_program(void **state) {
    recorded *recording = *state;
    const char *command[] = {recording_subject(), "many", NULL}, *environment[] = {NULL};
    recording_run(recording, command, environment, 100000);
    assert_int_equal(recording->status, 0);
    char sentence[256];
    snprintf(
        sentence, sizeof sentence,
        "tarn record: %s: the trace cannot be written: File too large: the recording ends here, the program goes on\n",
        recording->path);
    assert_string_equal(recording->complaints, sentence);
    struct stat status;
    assert_int_equal(stat(recording->path, &status), 0);
    assert_true(status.st_size > 0 && status.st_size <= 100000);
    tarn_trace_release(recording_read(recording->path));
}

static void a_file_that_cannot_be_made_is_reported_at_once(void **state) {
    recorded *recording = *state;
    const char *command[] = {recording_subject(), "small_blocks", NULL};
    const char *environment[] = {"TARN_RECORD_FILE=/proc/none/trace", NULL};
    recording_run(recording, command, environment, RLIM_INFINITY);
    assert_int_equal(recording->status, 0);
    assert_string_equal(recording->complaints,
                        "tarn record: /proc/none/trace: the trace cannot be written: No such file or directory: the "
                        "recording ends here, the program goes on\n");
}

static void settings_that_make_no_sense_are_reported_and_ignored(void **state) {
    recorded *recording = *state;
    const char *command[] = {recording_subject(), "small_blocks", NULL};
    const char *environment[] = {"TARN_RECORD_MIN_SIZE=16 bananas", "TARN_RECORD_FRAMES=17", NULL};
    recording_run(recording, command, environment, RLIM_INFINITY);
    assert_int_equal(recording->status, 0);
    assert_string_equal(recording->complaints,
                        "tarn record: TARN_RECORD_MIN_SIZE is no size and is ignored: 16 bananas\n"
                        "tarn record: TARN_RECORD_FRAMES is no number from 1 to 16 and is ignored: 17\n");
    tarn_trace *trace = recording_read(recording->path);
    expect(trace, 12345, 777, 777);
    tarn_trace_release(trace);
}

static void a_program_may_close_all_files(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "closes_files", "10000");
    tarn_trace *trace = recording_read(recording->path);
    expect(trace, 12345, 777, 777);
    tarn_trace_release(trace);
}

static void the_exit_status_is_the_programs(void **state) {
    recorded *recording = *state;
    static const struct {
        const char *scenario;
        int status;
    } ends[] = {{"exits_at_once", 7}, {"exits_quickly", 9}};
    for (size_t i = 0; i < 2; i++) {
        const char *command[] = {recording_subject(), ends[i].scenario, NULL}, *environment[] = {NULL};
        recording_run(recording, command, environment, RLIM_INFINITY);
        assert_true(WIFEXITED(recording->status));
        assert_int_equal(WEXITSTATUS(recording->status), ends[i].status);
        assert_string_equal(recording->complaints, "");
        tarn_trace *trace = recording_read(recording->path);
        expect(trace, 12345, 777, 777);
        tarn_trace_release(trace);
    }
}

static void a_program_that_is_killed_leaves_a_readable_trace(void **state) {
    recorded *recording = *state;
    const char *command[] = {recording_subject(), "is_killed", NULL}, *environment[] = {NULL};
    recording_run(recording, command, environment, RLIM_INFINITY);
    assert_true(WIFSIGNALED(recording->status));
    assert_int_equal(WTERMSIG(recording->status), 9);
    tarn_trace *trace = recording_read(recording->path);
    expect(trace, 12345, 777, 777);
    tarn_trace_release(trace);
}

static const char *site_of(const tarn_trace *trace, uint64_t size) {
    const tarn_trace_event *events = tarn_trace_events(trace);
    for (size_t i = 0; i < event_count(trace); i++) {
        if (events[i].action == TARN_TRACE_ALLOCATE && events[i].size == size)
            return tarn_trace_string(trace, events[i].site);
    }
    return "";
}

static void a_call_site_names_function_and_file(void **state) {
    recorded *recording = *state;
    recording_run_scenario(recording, "small_blocks", "10000");
    tarn_trace *trace = recording_read(recording->path);
    const char *site = site_of(trace, 12345);
    if (strncmp(site, "small_blocks+0x", 15) != 0 || !strstr(site, " (record_subject)"))
        fail_msg("the site is %s", site);
    tarn_trace_release(trace);
}

static void a_call_site_has_as_many_frames_as_are_asked_for(void **state) {
    recorded *recording = *state;
    const char *command[] = {recording_subject(), "small_blocks", NULL};
    const char *environment[] = {"TARN_RECORD_MIN_SIZE=10000", "TARN_RECORD_FRAMES=2", NULL};
    recording_run(recording, command, environment, RLIM_INFINITY);
    assert_int_equal(recording->status, 0);
    tarn_trace *trace = recording_read(recording->path);
    const char *site = site_of(trace, 12345), *caller = strstr(site, " < ");
    bool is_right = strncmp(site, "small_blocks+0x", 15) == 0 && caller && strncmp(caller, " < main+0x", 10) == 0 &&
                    !strstr(caller + 1, " < ");
    if (!is_right) fail_msg("the site is %s", site);
    tarn_trace_release(trace);
}

static void a_numpy_program_is_recorded(void **state) {
    recorded *recording = *state;
    const char *interpreter = access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3" : "/usr/local/bin/python3";
    const char *command[] = {interpreter, "-c",
                             "try:\n import numpy\nexcept ImportError:\n raise SystemExit(77)\n"
                             "for i in range(10):\n a = numpy.empty(123457)\n",
                             NULL};
    const char *environment[] = {"TARN_RECORD_MIN_SIZE=64KiB", NULL};
    recording_run(recording, command, environment, RLIM_INFINITY);
    if (!WIFEXITED(recording->status) || WEXITSTATUS(recording->status) >= 77) {
        print_message("skipped: no Python with NumPy here\n");
        skip();
    }
    assert_int_equal(recording->status, 0);
    tarn_trace *trace = recording_read(recording->path);
    expect(trace, 123457 * 8, 10, 10);
    tarn_trace_release(trace);
}

#define RECORDING_TEST(name) cmocka_unit_test_setup_teardown(name, recording_set_up, recording_tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        RECORDING_TEST(each_function_is_recorded_with_its_size),
        RECORDING_TEST(alignment_is_recorded_where_it_was_asked_for),
        RECORDING_TEST(small_blocks_are_recorded_unless_a_size_is_set),
        RECORDING_TEST(a_realloc_that_fails_leaves_the_block_alive),
        RECORDING_TEST(frees_on_other_threads_come_after_their_allocations),
        RECORDING_TEST(a_forked_child_writes_a_file_of_its_own),
        RECORDING_TEST(the_end_of_a_vforked_child_is_not_the_parents),
        RECORDING_TEST(a_program_that_becomes_another_leaves_the_others_trace),
        RECORDING_TEST(what_is_left_of_a_mapping_stays_recorded),
        RECORDING_TEST(a_full_disk_ends_the_recording_and_not_the_program),
        RECORDING_TEST(a_file_that_cannot_be_made_is_reported_at_once),
        RECORDING_TEST(settings_that_make_no_sense_are_reported_and_ignored),
        RECORDING_TEST(a_program_may_close_all_files),
        RECORDING_TEST(the_exit_status_is_the_programs),
        RECORDING_TEST(a_program_that_is_killed_leaves_a_readable_trace),
        RECORDING_TEST(a_call_site_names_function_and_file),
        RECORDING_TEST(a_call_site_has_as_many_frames_as_are_asked_for),
        RECORDING_TEST(a_numpy_program_is_recorded),
    };
    return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
