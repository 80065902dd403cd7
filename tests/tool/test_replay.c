/* tarn_replay_run on small traces made by hand, on simulated devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "base/memory.h"
#include "trace/trace_internal.h"

#define MIB ((uint64_t)1 << 20)

/* One line of a trace: allocates `size` bytes, or frees what line `frees` allocated. */
typedef struct step {
    uint64_t size;
    int frees; /* line of the allocation; used where size is 0 */
    uint32_t stream;
    bool initial, completed;
} step;

static tarn_trace *make_trace(const step *steps, size_t count) {
    trace_builder builder = {0};
    uint64_t ids[64];
    for (size_t i = 0; i < count; i++) {
        tarn_trace_event event = {.size = steps[i].size,
                                  .address = 0x1000 + i * 0x10000,
                                  .time_ns = (int64_t)i * 1000,
                                  .tag = TARN_TRACE_NO_STRING,
                                  .site = TARN_TRACE_NO_STRING};
        assert_int_equal(trace_builder_stream(&builder, steps[i].stream, &event.stream), TARN_OK);
        if (steps[i].size > 0)
            assert_int_equal(trace_builder_allocate(&builder, &event, steps[i].initial, &ids[i]), TARN_OK);
        else assert_int_equal(trace_builder_free(&builder, ids[steps[i].frees], &event, steps[i].completed), TARN_OK);
    }
    tarn_trace *trace = NULL;
    assert_int_equal(trace_builder_finish(&builder, "made.trace", TARN_TRACE_TARN, &trace), TARN_OK);
    trace_builder_discard(&builder);
    return trace;
}

static tarn_device *open_device(const char *name) {
    tarn_device *device = NULL;
    assert_int_equal(tarn_device_open(name, &device), TARN_OK);
    return device;
}

static uint64_t memory_in_use(tarn_device *device) {
    tarn_device_counters counters = {.struct_size = sizeof counters};
    assert_int_equal(tarn_device_counters_get(device, &counters), TARN_OK);
    return counters.memory_in_use;
}

static const step usual[] = {
    {.size = 4 * MIB, .initial = true},
    {.size = 6 * MIB, .initial = true},
    {.size = 10 * MIB},
    {.frees = 0},
    {.size = 8 * MIB},
    {.frees = 2},
    {.size = 1 * MIB},
};
enum { USUAL = sizeof usual / sizeof usual[0] };

static void figures_are_those_of_the_trace(void **state) {
    (void)state;
    tarn_trace *trace = make_trace(usual, USUAL);
    tarn_device *device = open_device("sim:1GiB");
    tarn_replay_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_replay_run(trace, device, "direct", NULL, &result), TARN_OK);
    assert_int_equal(result.events, 5);
    assert_int_equal(result.allocations, 3);
    assert_int_equal(result.frees, 2);
    assert_int_equal(result.peak_live_bytes, 24 * MIB);
    assert_int_equal(result.peak_reserved_bytes, 24 * MIB);
    assert_int_equal(result.final_reserved_bytes, 15 * MIB);
    assert_int_equal(result.driver_allocs, 3);
    assert_int_equal(result.driver_frees, 2);
    assert_int_equal(result.failed_allocations, 0);
    assert_true(result.utilization > 0.999 && result.utilization < 1.001);
    assert_int_equal(memory_in_use(device), 0);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

static void what_others_hold_on_the_device_does_not_count(void **state) {
    (void)state;
    tarn_trace *trace = make_trace(usual, USUAL);
    tarn_device *device = open_device("sim:1GiB");
    tarn_allocator *other = NULL;
    tarn_buffer *buffer = NULL;
    assert_int_equal(tarn_allocator_create(device, "direct", &other), TARN_OK);
    assert_int_equal(tarn_allocator_allocate(other, 100 * MIB, NULL, &buffer), TARN_OK);
    tarn_replay_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_replay_run(trace, device, "direct", NULL, &result), TARN_OK);
    assert_int_equal(result.peak_reserved_bytes, 24 * MIB);
    assert_int_equal(tarn_buffer_free(buffer, NULL), TARN_OK);
    /* The device has seen more before: now its own peak says nothing of this run. */
    assert_int_equal(tarn_replay_run(trace, device, "direct", NULL, &result), TARN_OK);
    assert_int_equal(result.peak_reserved_bytes, 24 * MIB);
    assert_int_equal(tarn_allocator_release(other), TARN_OK);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

typedef struct watcher {
    size_t samples, repeats;
    uint64_t last_event, most_live, most_reserved, addresses;
    int64_t last_time;
    bool went_back;
} watcher;

static void see(void *context, tarn_allocator *allocator, const tarn_replay_sample *sample) {
    watcher *seen = context;
    assert_non_null(allocator);
    if (seen->samples++ == 0 || sample->event < seen->last_event) seen->repeats++;
    if (sample->time_ns < seen->last_time) seen->went_back = true;
    if (sample->live_bytes > seen->most_live) seen->most_live = sample->live_bytes;
    if (sample->reserved_bytes > seen->most_reserved) seen->most_reserved = sample->reserved_bytes;
    if (sample->address != 0) seen->addresses++;
    seen->last_event = sample->event;
    seen->last_time = sample->time_ns;
}

static void every_event_is_shown_and_time_goes_on_through_repeats(void **state) {
    (void)state;
    tarn_trace *trace = make_trace(usual, USUAL);
    tarn_device *device = open_device("sim:1GiB,lag=1ms");
    watcher seen = {0};
    tarn_replay_options options = {.struct_size = sizeof options, .repeat = 3, .after_event = see, .context = &seen};
    tarn_replay_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_replay_run(trace, device, "caching", &options, &result), TARN_OK);
    assert_int_equal(seen.samples, 3 * USUAL);
    assert_int_equal(seen.addresses, 3 * USUAL);
    assert_int_equal(seen.repeats, 3);
    assert_false(seen.went_back);
    assert_int_equal(seen.most_live, result.peak_live_bytes);
    assert_true(seen.most_reserved <= result.peak_reserved_bytes);
    assert_int_equal(result.events, 15);
    assert_int_equal(result.steady_device_waits, 0);
    assert_int_equal(memory_in_use(device), 0);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

static void a_failed_allocation_is_counted_and_its_free_skipped(void **state) {
    (void)state;
    tarn_trace *trace = make_trace(usual, USUAL);
    tarn_device *device = open_device("sim:1GiB");
    tarn_replay_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_replay_run(trace, device, "limit:12MiB | direct", NULL, &result), TARN_OK);
    assert_int_equal(result.failed_allocations, 2);
    assert_int_equal(result.peak_live_bytes, 10 * MIB);
    assert_int_equal(result.frees, 2);
    assert_int_equal(result.driver_frees, 1);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

static void simulated_time_is_part_of_the_durations(void **state) {
    (void)state;
    tarn_trace *trace = make_trace(usual, USUAL);
    tarn_device *device = open_device("sim:1GiB,alloc=1ms,free=2ms");
    tarn_replay_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_replay_run(trace, device, "direct", NULL, &result), TARN_OK);
    assert_true(result.allocate_ns.p50 >= 1000000 && result.allocate_ns.max >= result.allocate_ns.p99);
    assert_true(result.free_ns.p50 >= 2000000 && result.free_ns.mean >= 2e6);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

static void streams_of_the_trace_become_streams_of_the_device(void **state) {
    (void)state;
    static const step steps[] = {
        {.size = 4 * MIB, .stream = 7},
        {.frees = 0, .stream = 7},
        {.size = 4 * MIB, .stream = 9},
        {.frees = 2, .stream = 9},
        {.size = 4 * MIB},
        {.frees = 4, .stream = 0},
        {.frees = 4, .stream = 9, .completed = true},
    };
    tarn_trace *trace = make_trace(steps, sizeof steps / sizeof steps[0]);
    static const char *const devices[] = {"sim:1GiB,lag=10ms", "cpu"};
    for (size_t i = 0; i < 2; i++) {
        tarn_device *device = open_device(devices[i]);
        tarn_replay_result result = {.struct_size = sizeof result};
        assert_int_equal(tarn_replay_run(trace, device, "caching", NULL, &result), TARN_OK);
        assert_int_equal(result.peak_live_bytes, 4 * MIB);
        assert_int_equal(result.failed_allocations, 0);
        assert_int_equal(tarn_device_release(device), TARN_OK);
    }
    tarn_trace_release(trace);
}

static void wrong_arguments_change_nothing(void **state) {
    (void)state;
    tarn_trace *trace = make_trace(usual, USUAL);
    tarn_device *device = open_device("sim:1GiB");
    tarn_replay_result result = {.struct_size = sizeof result, .events = 77};
    tarn_replay_options options = {.struct_size = sizeof options + 1};
    assert_int_equal(tarn_replay_run(NULL, device, "direct", NULL, &result), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_replay_run(trace, NULL, "direct", NULL, &result), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_replay_run(trace, device, "direct", NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_replay_run(trace, device, "direct", &options, &result), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_replay_run(trace, device, "nonsense", NULL, &result), TARN_INVALID_ARGUMENT);
    assert_int_equal(result.events, 77);
    result.struct_size = 0;
    assert_int_equal(tarn_replay_run(trace, device, "direct", NULL, &result), TARN_INVALID_ARGUMENT);
    assert_int_equal(memory_in_use(device), 0);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

static void a_smaller_result_is_filled_as_far_as_it_goes(void **state) {
    (void)state;
    tarn_trace *trace = make_trace(usual, USUAL);
    tarn_device *device = open_device("sim:1GiB");
    tarn_replay_result result = {.struct_size = offsetof(tarn_replay_result, frees), .frees = 77};
    assert_int_equal(tarn_replay_run(trace, device, "direct", NULL, &result), TARN_OK);
    assert_int_equal(result.allocations, 3);
    assert_int_equal(result.frees, 77);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

static void a_lack_of_host_memory_anywhere_leaves_nothing_behind(void **state) {
    (void)state;
    static const step steps[] = {
        {.size = 4 * MIB, .stream = 7},
        {.size = MIB, .initial = false},
        {.frees = 0, .stream = 7},
        {.frees = 0, .stream = 0, .completed = true},
    };
    tarn_trace *trace = make_trace(steps, sizeof steps / sizeof steps[0]);
    tarn_device *device = open_device("sim:1GiB");
    tarn_replay_result result = {.struct_size = sizeof result};
    unsigned long failures = 0;
    for (unsigned long n = 1;; n++) {
        result.events = 77;
        base_memory_fail_at(n, 0);
        tarn_status status = tarn_replay_run(trace, device, "caching", NULL, &result);
        bool reached = base_memory_requests() >= n;
        base_memory_fail_at(0, 0);
        assert_int_equal(memory_in_use(device), 0);
        if (!reached) {
            assert_int_equal(status, TARN_OK);
            break;
        }
        if (status != TARN_OK) {
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            assert_int_equal(result.events, 77);
            failures++;
        }
    }
    print_message("%lu requests for host memory failed in turn\n", failures);
    assert_true(failures > 5);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

/* Three steps on a foundation of 4 MiB: each has 8 MiB and 2 MiB, and the second one leaves 1 MiB to the third. */
static const step stepped[] = {
    {.size = 4 * MIB, .initial = true},
    {.size = 8 * MIB},
    {.size = 2 * MIB},
    {.frees = 1},
    {.frees = 2},
    {.size = 8 * MIB},
    {.size = 1 * MIB},
    {.size = 2 * MIB},
    {.frees = 5},
    {.frees = 7},
    {.size = 8 * MIB},
    {.size = 2 * MIB},
    {.frees = 6},
    {.frees = 10},
    {.frees = 11},
};
enum { STEPPED = sizeof stepped / sizeof stepped[0] };

static void an_arena_is_reset_at_the_end_of_each_step(void **state) {
    (void)state;
    tarn_trace *trace = make_trace(stepped, STEPPED);
    static const char *const specs[] = {"arena+reset-per-step", "pool+reset-per-step",
                                        "arena | caching+reset-per-step"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        tarn_device *device = open_device("sim:1GiB");
        tarn_replay_options options = {.struct_size = sizeof options, .repeat = 3};
        tarn_replay_result result = {.struct_size = sizeof result};
        assert_int_equal(tarn_replay_run(trace, device, specs[i], &options, &result), TARN_OK);
        assert_int_equal(result.failed_allocations, 0);
        assert_int_equal(result.allocations, 3 * 7);
        assert_int_equal(result.frees, 3 * 7);
        assert_int_equal(result.peak_live_bytes, 15 * MIB);
        /* The memory of a step serves the next: without resets it would be twice as much. */
        assert_in_range(result.peak_reserved_bytes, 15 * MIB, 24 * MIB);
        assert_int_equal(memory_in_use(device), 0);
        assert_int_equal(tarn_device_release(device), TARN_OK);
    }
    tarn_trace_release(trace);
}

static void only_an_arena_or_a_pool_is_reset_per_step(void **state) {
    (void)state;
    tarn_trace *trace = make_trace(stepped, STEPPED);
    tarn_device *device = open_device("sim:1GiB");
    tarn_replay_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_replay_run(trace, device, "caching+reset-per-step", NULL, &result), TARN_INVALID_ARGUMENT);
    assert_non_null(strstr(tarn_last_error(), "neither an arena nor a pool"));
    assert_int_equal(tarn_replay_run(trace, device, "arena+reset-per-year", NULL, &result), TARN_INVALID_ARGUMENT);
    assert_int_equal(memory_in_use(device), 0);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

/* Where the program says what a step is, its word counts: here that the whole trace is one. */
static void marks_say_where_a_step_ends(void **state) {
    (void)state;
    char path[] = "/tmp/tarn-replay-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    static const char text[] = "time_ns,action,id,size,tag\n"
                               "0,allocate,1,8388608,\n1,free,1,0,\n2,allocate,2,8388608,\n3,free,2,0,\n"
                               "4,mark,,0,end of Step 1\n5,allocate,3,8388608,\n6,free,3,0,\n";
    assert_int_equal(write(file, text, sizeof text - 1), sizeof text - 1);
    close(file);
    tarn_trace *trace = NULL;
    tarn_status status = tarn_trace_read(path, &trace);
    unlink(path);
    if (status != TARN_OK) fail_msg("%s", tarn_last_error());
    tarn_device *device = open_device("sim:1GiB");
    tarn_replay_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_replay_run(trace, device, "arena+reset-per-step", NULL, &result), TARN_OK);
    /* Nothing is taken back before the mark. */
    assert_in_range(result.peak_reserved_bytes, 16 * MIB, 20 * MIB);
    assert_int_equal(tarn_replay_run(trace, device, "arena", NULL, &result), TARN_OK);
    assert_in_range(result.peak_reserved_bytes, 8 * MIB, 10 * MIB);
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_the_trace),
        cmocka_unit_test(what_others_hold_on_the_device_does_not_count),
        cmocka_unit_test(every_event_is_shown_and_time_goes_on_through_repeats),
        cmocka_unit_test(a_failed_allocation_is_counted_and_its_free_skipped),
        cmocka_unit_test(simulated_time_is_part_of_the_durations),
        cmocka_unit_test(streams_of_the_trace_become_streams_of_the_device),
        cmocka_unit_test(wrong_arguments_change_nothing),
        cmocka_unit_test(an_arena_is_reset_at_the_end_of_each_step),
        cmocka_unit_test(only_an_arena_or_a_pool_is_reset_per_step),
        cmocka_unit_test(marks_say_where_a_step_ends),
        cmocka_unit_test(a_smaller_result_is_filled_as_far_as_it_goes),
        cmocka_unit_test(a_lack_of_host_memory_anywhere_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
