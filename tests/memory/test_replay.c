/* Real PyTorch jobs replayed: `caching` holds little more memory than the job has live, fails nothing, does not wait for the
 * device, and in the steady state does not even call it. */
#include <stdio.h>
#include <string.h>

#include "recorded.h"
#include "stand.h"

static tarn_replay_result replay(const tarn_trace *trace, const char *device_name, const char *spec, unsigned repeat) {
    tarn_device *device = NULL;
    tarn_replay_options options = {.struct_size = sizeof options, .repeat = repeat};
    tarn_replay_result result = {.struct_size = sizeof result};
    EXPECT_OK(tarn_device_open(device_name, &device));
    EXPECT_OK(tarn_replay_run(trace, device, spec, &options, &result));
    assert_int_equal(counters_of(device).memory_in_use, 0);
    EXPECT_OK(tarn_device_release(device));
    print_message("%s on %s, %u times: utilization %.5f, %llu driver calls and %llu waits in the steady state\n", spec,
                  device_name, repeat, result.utilization, (unsigned long long)result.steady_driver_calls,
                  (unsigned long long)result.steady_device_waits);
    return result;
}

static void caching_needs_little_more_than_what_is_live(void **state) {
    tarn_trace *trace = recorded_open(*state);
    tarn_trace_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_trace_info_get(trace, &info));
    tarn_replay_result result = replay(trace, "sim:80GiB", "caching", 1);
    assert_int_equal(result.failed_allocations, 0);
    assert_int_equal(result.peak_live_bytes, info.peak_live);
    assert_true(result.peak_reserved_bytes >= result.peak_live_bytes);
    assert_true(result.utilization >= 0.995);
    tarn_trace_release(trace);
}

static void a_lagging_device_costs_little_memory_and_no_wait(void **state) {
    tarn_trace *trace = recorded_open(*state);
    tarn_replay_result result = replay(trace, "sim:80GiB,lag=10ms", "caching", 4);
    assert_int_equal(result.failed_allocations, 0);
    assert_true(result.utilization >= 0.995);
    assert_int_equal(result.steady_device_waits, 0);
    tarn_trace_release(trace);
}

/* The round that must not call the driver: the first creates the memory, the second finds out where free granules are needed when
 * the heap begins with all of it, and the third repeats the second. */
enum { STEADY_ROUND = 3 };

static void the_steady_state_calls_no_driver(void **state) {
    tarn_trace *trace = recorded_open(*state);
    for (unsigned round = test_slowness() > 1 ? 4 : STEADY_ROUND; round <= 4; round++) {
        tarn_replay_result result = replay(trace, "sim:80GiB", "caching", round);
        assert_int_equal(result.failed_allocations, 0);
        assert_int_equal(result.steady_driver_calls, 0);
        assert_int_equal(result.steady_device_waits, 0);
        assert_true(result.utilization >= 0.995);
    }
    tarn_trace_release(trace);
}

/* From the second round on, the plan of the first one. */
static void a_plan_needs_no_driver_and_hardly_more_than_what_is_live(void **state) {
    tarn_trace *trace = recorded_open(*state);
    static const char *const devices[] = {"sim:80GiB", "sim:80GiB,granule=0", "sim:80GiB,lag=10ms"};
    for (unsigned round = 2; round <= 3; round++) {
        for (size_t i = 0; i < (round == 2 ? sizeof devices / sizeof devices[0] : 1); i++) {
            tarn_replay_result result = replay(trace, devices[i], "planned", round);
            assert_int_equal(result.failed_allocations, 0);
            assert_int_equal(result.steady_driver_calls, 0);
            assert_int_equal(result.steady_device_waits, 0);
            double steady = (double)result.peak_live_bytes / (double)result.steady_peak_reserved_bytes;
            print_message("in the last round: utilization %.5f\n", steady);
            assert_true(steady >= 0.999);
        }
    }
    tarn_trace_release(trace);
}

static void every_allocator_serves_the_whole_trace(void **state) {
    tarn_trace *trace = recorded_open(*state);
    tarn_trace_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_trace_info_get(trace, &info));
    static const char *const specs[] = {"direct", "caching:expandable=off", "caching:settle=0",
                                        "limit:79GiB | caching"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        tarn_replay_result result = replay(trace, "sim:80GiB", specs[i], 1);
        assert_int_equal(result.failed_allocations, 0);
        assert_int_equal(result.peak_live_bytes, info.peak_live);
    }
    tarn_trace_release(trace);
}

int main(void) {
    static const struct {
        const char *name;
        void (*run)(void **state);
    } kinds[] = {
        {"caching_needs_little_more_than_what_is_live", caching_needs_little_more_than_what_is_live},
        {"a_lagging_device_costs_little_memory_and_no_wait", a_lagging_device_costs_little_memory_and_no_wait},
        {"the_steady_state_calls_no_driver", the_steady_state_calls_no_driver},
        {"a_plan_needs_no_driver_and_hardly_more_than_what_is_live",
         a_plan_needs_no_driver_and_hardly_more_than_what_is_live},
        {"every_allocator_serves_the_whole_trace", every_allocator_serves_the_whole_trace},
    };
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    static struct CMUnitTest tests[KINDS * RECORDED_SNAPSHOTS];
    static char names[KINDS * RECORDED_SNAPSHOTS][128];
    size_t count = 0;
    for (size_t i = 0; i < KINDS * RECORDED_SNAPSHOTS; i++) {
        const char *snapshot = recorded_snapshots[i % RECORDED_SNAPSHOTS];
        /* Where everything takes long, each kind of test has a snapshot of its own. */
        if (test_slowness() >= 10 && i % RECORDED_SNAPSHOTS != i / RECORDED_SNAPSHOTS) continue;
        snprintf(names[i], sizeof names[i], "%s [%s]", kinds[i / RECORDED_SNAPSHOTS].name, snapshot);
        tests[count++] =
            (struct CMUnitTest){names[i], kinds[i / RECORDED_SNAPSHOTS].run, NULL, NULL, (void *)(uintptr_t)snapshot};
    }
    return _cmocka_run_group_tests("memory replay", tests, count, NULL, NULL);
}
