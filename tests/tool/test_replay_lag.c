/* Replays on a device whose streams run behind the host: memory freed on a stream is idle just so much later on the trace's own clock, so that
 * taking it elsewhere before then means waiting for the rest of that time, and afterwards for nothing. All times are simulated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#define HEADER "time_ns,action,id,size,stream\n"

/* Reads a trace from the text of a table. */
static tarn_trace *trace_of(const char *lines) {
    char path[] = "/tmp/tarn-lag-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "w");
    assert_non_null(file);
    assert_true(fprintf(file, HEADER "%s", lines) > 0);
    assert_int_equal(fclose(file), 0);
    tarn_trace *trace = NULL;
    tarn_status status = tarn_trace_read(path, &trace);
    unlink(path);
    if (status != TARN_OK) fail_msg("%s", tarn_last_error());
    return trace;
}

static tarn_replay_result replay(const char *lines, const char *device_name, const char *spec) {
    tarn_trace *trace = trace_of(lines);
    tarn_device *device = NULL;
    tarn_replay_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_device_open(device_name, &device), TARN_OK);
    if (tarn_replay_run(trace, device, spec, NULL, &result) != TARN_OK) fail_msg("%s", tarn_last_error());
    assert_int_equal(tarn_device_release(device), TARN_OK);
    tarn_trace_release(trace);
    return result;
}

static const char *const devices[] = {"sim:100MiB,lag=10ms", "sim:100MiB,granule=0,lag=10ms",
                                      "sim:100MiB,aliasing=off,lag=10ms"};
static const char *const specs[] = {"caching", "caching:expandable=off", "caching:settle=0", "pytorch", "pool"};
enum { DEVICES = sizeof devices / sizeof devices[0], SPECS = sizeof specs / sizeof specs[0] };

static void expect_waits(const char *lines, uint64_t waits, uint64_t nanoseconds) {
    for (size_t d = 0; d < DEVICES; d++) {
        for (size_t s = 0; s < SPECS; s++) {
            tarn_replay_result result = replay(lines, devices[d], specs[s]);
            print_message("%s on %s: %llu waits, %llu ns\n", specs[s], devices[d],
                          (unsigned long long)result.device_waits, (unsigned long long)result.device_wait_ns);
            assert_int_equal(result.failed_allocations, 0);
            assert_int_equal(result.device_waits, waits);
            assert_int_equal(result.device_wait_ns, nanoseconds);
        }
    }
}

/* 64 MiB of 100, two seconds later, on another stream. */
static void what_was_freed_longer_ago_than_the_lag_is_taken_without_a_wait(void **state) {
    (void)state;
    expect_waits("0,allocate,0,67108864,1\n1000000000,free,0,0,1\n3000000000,allocate,1,67108864,3\n", 0, 0);
    expect_waits("0,allocate,0,67108864,1\n1000000000,free,0,0,1\n1010000000,allocate,1,67108864,3\n", 0, 0);
    /* Freed on another stream than it was allocated on, one of them the default stream. */
    expect_waits("0,allocate,0,67108864,1\n1000000000,free,0,0,0\n1010000000,allocate,1,67108864,1\n", 0, 0);
}

static void what_was_freed_just_now_is_waited_for_until_it_is_idle(void **state) {
    (void)state;
    expect_waits("0,allocate,0,67108864,1\n1000000000,free,0,0,1\n1000000000,allocate,1,67108864,3\n", 1, 10000000);
    expect_waits("0,allocate,0,67108864,1\n1000000000,free,0,0,1\n1004000000,allocate,1,67108864,3\n", 1, 6000000);
    expect_waits("0,allocate,0,67108864,1\n1000000000,free,0,0,1\n1009999999,allocate,1,67108864,3\n", 1, 1);
}

static void an_allocation_does_not_put_off_when_older_memory_is_idle(void **state) {
    (void)state;
    static const char lines[] = "0,allocate,0,67108864,1\n1000000000,free,0,0,1\n1002000000,allocate,1,1048576,1\n"
                                "1004000000,allocate,2,67108864,3\n";
    tarn_replay_result result = replay(lines, devices[0], "caching");
    assert_int_equal(result.failed_allocations, 0);
    assert_int_equal(result.device_waits, 1);
    assert_int_equal(result.device_wait_ns, 6000000);
}

/* 30 MiB on each of three streams, of which the one freed last is idle last. */
static void several_streams_are_waited_for_at_once(void **state) {
    (void)state;
    static const char *const orders[] = {"1000000000,free,0,0,1\n1002000000,free,1,0,2\n1003000000,free,2,0,3\n",
                                         "1000000000,free,2,0,3\n1002000000,free,1,0,2\n1003000000,free,0,0,1\n"};
    for (size_t d = 0; d < DEVICES; d++) {
        for (size_t i = 0; i < 2; i++) {
            char lines[512];
            (void)snprintf(lines, sizeof lines,
                           "0,allocate,0,31457280,1\n0,allocate,1,31457280,2\n0,allocate,2,31457280,3\n%s"
                           "1004000000,allocate,3,94371840,4\n",
                           orders[i]);
            tarn_replay_result result = replay(lines, devices[d], "caching");
            assert_int_equal(result.failed_allocations, 0);
            assert_int_equal(result.device_waits, 1);
            assert_int_equal(result.device_wait_ns, 9000000);
        }
    }
}

/* Its own memory serves a stream at once, where granules may be at two places; else all of it has to be idle. */
static void a_stream_does_not_wait_for_what_it_freed_itself(void **state) {
    (void)state;
    static const char lines[] = "0,allocate,0,62914560,1\n0,allocate,1,20971520,3\n1000000000,free,0,0,1\n"
                                "1004000000,free,1,0,3\n1004000000,allocate,2,94371840,3\n";
    for (size_t d = 0; d < DEVICES; d++) {
        tarn_replay_result result = replay(lines, devices[d], "caching");
        assert_int_equal(result.failed_allocations, 0);
        assert_int_equal(result.device_waits, 1);
        assert_int_equal(result.device_wait_ns, d == 0 ? 6000000 : 10000000);
    }
}

static void memory_that_is_in_use_again_is_not_waited_for(void **state) {
    (void)state;
    static const char lines[] = "0,allocate,0,67108864,1\n1000000000,free,0,0,1\n1001000000,allocate,1,67108864,1\n"
                                "1004000000,allocate,2,67108864,3\n";
    for (size_t d = 0; d < DEVICES; d++) {
        tarn_replay_result result = replay(lines, devices[d], "caching");
        assert_int_equal(result.failed_allocations, 1);
        assert_int_equal(result.device_waits, 0);
    }
}

/* A free on the default stream is one, for a block of another stream too. */
static void a_free_on_the_default_stream_is_a_use_by_it(void **state) {
    (void)state;
    static const char lines[] = "0,allocate,0,67108864,1\n1000000000,free,0,0,0\n1004000000,allocate,1,67108864,1\n";
    for (size_t d = 0; d < DEVICES; d++) {
        tarn_replay_result result = replay(lines, devices[d], "caching");
        assert_int_equal(result.failed_allocations, 0);
        assert_int_equal(result.device_waits, 1);
        assert_int_equal(result.device_wait_ns, 6000000);
    }
}

/* `direct` gives memory back at each free, which that is the last use of. */
static void giving_memory_back_at_once_waits_for_the_lag(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        tarn_replay_result result = replay("0,allocate,0,67108864,1\n1000000000,free,0,0,1\n", devices[d], "direct");
        assert_int_equal(result.device_waits, 1);
        assert_int_equal(result.device_wait_ns, 10000000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_freed_longer_ago_than_the_lag_is_taken_without_a_wait),
        cmocka_unit_test(what_was_freed_just_now_is_waited_for_until_it_is_idle),
        cmocka_unit_test(an_allocation_does_not_put_off_when_older_memory_is_idle),
        cmocka_unit_test(several_streams_are_waited_for_at_once),
        cmocka_unit_test(a_stream_does_not_wait_for_what_it_freed_itself),
        cmocka_unit_test(memory_that_is_in_use_again_is_not_waited_for),
        cmocka_unit_test(a_free_on_the_default_stream_is_a_use_by_it),
        cmocka_unit_test(giving_memory_back_at_once_waits_for_the_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
