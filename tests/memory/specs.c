/* The lists of allocators and devices under test, and, apart from them, the list of what cannot be asked of whom. */
#include "specs.h"

#include <stdlib.h>
#include <string.h>

const test_spec test_specs[] = {
    {"direct", SPEC_UNLIMITED},
    {"direct:kind=shared", SPEC_UNLIMITED | SPEC_SHARED},
    {"cuda_async", SPEC_POOLED | SPEC_FREES_AT_ONCE | SPEC_UNLIMITED},
    {"cuda_async:threshold=0,follow_events=off,opportunistic=off,add_dependencies=off",
     SPEC_POOLED | SPEC_FREES_AT_ONCE | SPEC_UNLIMITED},
    {"track | limit:1GiB | cuda_async", SPEC_POOLED | SPEC_FREES_AT_ONCE | SPEC_LIMITS},
    {"record:FILE | guard:quarantine=1MiB | cuda_async", SPEC_POOLED | SPEC_UNLIMITED | SPEC_NEEDS_FILE},
    {"pool | cuda_async", SPEC_POOLED | SPEC_CACHES | SPEC_UNLIMITED | SPEC_CLEARS},
    {"caching", SPEC_CACHES | SPEC_UNLIMITED},
    {"caching:expandable=off", SPEC_CACHES | SPEC_UNLIMITED},
    {"caching:settle=0", SPEC_CACHES | SPEC_UNLIMITED},
    {"caching:expandable=off,settle=0", SPEC_CACHES | SPEC_UNLIMITED},
    {"caching:ahead=32MiB", SPEC_CACHES | SPEC_UNLIMITED},
    {"pytorch", SPEC_CACHES | SPEC_UNLIMITED},
    {"pytorch:expandable_segments=True", SPEC_CACHES | SPEC_UNLIMITED},
    {"pytorch:max_split_size_mb=64,roundup_power2_divisions=64", SPEC_CACHES | SPEC_UNLIMITED},
    {"pytorch:garbage_collection_threshold=0.5,per_process_memory_fraction=0.99,release_lock_on_cudamalloc=True",
     SPEC_CACHES | SPEC_UNLIMITED},
    {"limit:1GiB | pytorch", SPEC_CACHES | SPEC_LIMITS},
    {"pytorch:keep=on", SPEC_CACHES}, /* what is cached for one size is not there for another */
    {"graph", SPEC_CACHES | SPEC_UNLIMITED},
    {"graph:maximum=4GiB,sequential=on", SPEC_CACHES},
    {"graph_switch | caching", SPEC_CACHES | SPEC_UNLIMITED},
    {"limit:1GiB | graph", SPEC_CACHES | SPEC_LIMITS},
    {"pool", SPEC_CACHES | SPEC_UNLIMITED | SPEC_CLEARS},
    {"pool | caching", SPEC_CACHES | SPEC_UNLIMITED | SPEC_CLEARS},
    {"record:FILE | limit:1GiB | pool | caching", SPEC_CACHES | SPEC_LIMITS | SPEC_NEEDS_FILE | SPEC_CLEARS},
    {"planned", SPEC_CACHES | SPEC_UNLIMITED | SPEC_MOVES},
    {"planned:timeout=0 | caching:settle=0", SPEC_CACHES | SPEC_UNLIMITED | SPEC_MOVES},
    {"planned | direct", SPEC_UNLIMITED},
    {"track | limit:1GiB | planned:expandable=off", SPEC_CACHES | SPEC_LIMITS | SPEC_MOVES},
    {"record:FILE | planned | limit:1GiB | pool", SPEC_CACHES | SPEC_LIMITS | SPEC_NEEDS_FILE | SPEC_MOVES},
    {"arena", SPEC_CACHES | SPEC_UNLIMITED | SPEC_ONE_THREAD | SPEC_RESETS},
    {"arena | caching", SPEC_CACHES | SPEC_UNLIMITED | SPEC_ONE_THREAD | SPEC_RESETS},
    {"record:FILE | limit:1GiB | arena | caching",
     SPEC_CACHES | SPEC_LIMITS | SPEC_ONE_THREAD | SPEC_NEEDS_FILE | SPEC_RESETS},
    {"limit:1GiB | caching", SPEC_CACHES | SPEC_LIMITS},
    {"limit:1GiB | direct", SPEC_LIMITS},
    {"predictive", SPEC_CACHES | SPEC_UNLIMITED},
    {"predictive:strategy=adaptive,in_place=off", SPEC_CACHES | SPEC_UNLIMITED},
    {"predictive:strategy=quantile,max=1GiB", SPEC_CACHES | SPEC_LIMITS},
    {"fail: | predictive:strategy=adaptive", SPEC_CACHES | SPEC_UNLIMITED},
    {"fail: | caching", SPEC_CACHES | SPEC_UNLIMITED},
    {"record:FILE | caching", SPEC_CACHES | SPEC_UNLIMITED | SPEC_NEEDS_FILE},
    {"record:FILE | limit:1GiB | fail: | direct", SPEC_LIMITS | SPEC_NEEDS_FILE},
    {"track | caching", SPEC_CACHES | SPEC_UNLIMITED},
    {"track:frames=4 | limit:1GiB | track | direct", SPEC_LIMITS},
    {"guard:quarantine=1MiB | caching", SPEC_UNLIMITED},
    {"track | guard:quarantine=256KiB | limit:1GiB | caching:settle=0", SPEC_LIMITS},
    {"track | guard:quarantine=64KiB | pool", SPEC_UNLIMITED | SPEC_CLEARS},
    {"track | fallback:direct | arena", SPEC_ONE_THREAD | SPEC_RESETS},
    {"fallback:direct | caching", SPEC_CACHES | SPEC_UNLIMITED},
    {"fallback:\"track | direct\" | fail:every=2 | caching", 0},
    {"track | fallback:\"fallback:direct | fail:every=2 | direct\" | fallback:direct | fail:every=3 | caching", 0},
};
const size_t test_spec_count = sizeof test_specs / sizeof test_specs[0];

const test_device test_devices[] = {
    {"cpu", DEVICE_GATES | DEVICE_STORES | DEVICE_SHARES},
    {"sim:8GiB", DEVICE_COUNTS | DEVICE_POOLS},
    {"sim:8GiB,aliasing=on", DEVICE_COUNTS | DEVICE_POOLS},
    {"sim:8GiB,granule=0", DEVICE_COUNTS | DEVICE_POOLS},
    {"sim:8GiB,lag=1ms", DEVICE_COUNTS | DEVICE_POOLS},
    {"fake:8GiB", DEVICE_GATES | DEVICE_IS_FAKE | DEVICE_COUNTS | DEVICE_POOLS},
    {"fake:8GiB,aliasing", DEVICE_GATES | DEVICE_IS_FAKE | DEVICE_COUNTS | DEVICE_POOLS},
    {"fake:8GiB,flat", DEVICE_GATES | DEVICE_IS_FAKE | DEVICE_COUNTS | DEVICE_POOLS},
    {"cuda:0", DEVICE_GATES | DEVICE_ON_REQUEST | DEVICE_POOLS | DEVICE_SHARES},
    {"cuda:1", DEVICE_GATES | DEVICE_ON_REQUEST | DEVICE_POOLS | DEVICE_SHARES},
    {"example", DEVICE_STORES | DEVICE_ON_REQUEST},
    {"opencl:0", DEVICE_GATES | DEVICE_ON_REQUEST},
    {"opencl:0,memory=buffer", DEVICE_GATES | DEVICE_ON_REQUEST},
};
const size_t test_device_count = sizeof test_devices / sizeof test_devices[0];

/* Tests that compare what the driver was asked for, or how much is cached, between one call and the next. */
static const char a_thread_asks[] = "it has a thread that takes memory at times of its own";

static const test_exception exceptions[] = {
    {"threads_that_end_leave_no_memory_behind", "guard:quarantine=1MiB | caching", "sim:8GiB,lag=1ms",
     "a guard waits for the stream, and simulated time passes only when it is waited for"},
    {"threads_that_end_leave_no_memory_behind", "track | guard:quarantine=256KiB | limit:1GiB | caching:settle=0",
     "sim:8GiB,lag=1ms", "a guard waits for the stream, and simulated time passes only when it is waited for"},
    {"threads_that_end_leave_no_memory_behind", "track | guard:quarantine=64KiB | pool", "sim:8GiB,lag=1ms",
     "a guard waits for the stream, and simulated time passes only when it is waited for"},
    {"threads_that_end_leave_no_memory_behind", "record:FILE | guard:quarantine=1MiB | cuda_async", "sim:8GiB,lag=1ms",
     "a guard waits for the stream, and simulated time passes only when it is waited for"},
    {"threads_that_end_leave_no_memory_behind", "planned | direct", NULL,
     "what the threads ask for again and again gets a plan, whose memory is kept"},
    {"a_clear_with_work_pending_keeps_what_other_streams_use", "track | guard:quarantine=64KiB | pool", NULL,
     "a guard waits for streams that use memory which was taken back, before it lays canaries into it"},
    {"cached_memory_is_given_back_rather_than_failing", "direct", NULL, "it has no cache"},
    {"cached_memory_is_given_back_rather_than_failing", "direct:kind=shared", NULL, "it has no cache"},
    {"memory_of_another_stream_is_waited_for_rather_than_refused",
     "fallback:\"track | direct\" | fail:every=2 | caching", NULL,
     "its first allocator fails on schedule, with its cache full"},
    {"memory_of_another_stream_is_waited_for_rather_than_refused", "pytorch:keep=on", NULL,
     "a captured graph may use what is cached, so that it stays where it is"},
    {"a_driver_out_of_memory_once_is_retried", "pytorch:keep=on", NULL,
     "nothing is given back for a request, so that there is no reason to ask again"},
    {"a_heap_begins_with_few_addresses", "pytorch:expandable_segments=True", NULL,
     "PyTorch reserves nine eighths of the device's memory for each pool"},
    {"one_large_request_reserves_what_it_needs", "pytorch:expandable_segments=True", NULL,
     "PyTorch reserves nine eighths of the device's memory for each pool"},
    {"streams_that_come_and_go_need_no_more_than_one", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"a_new_stream_is_given_nothing_that_another_stream_still_uses", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"a_new_stream_takes_over_what_an_ended_one_left", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"freed_memory_is_used_again_without_the_device", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"a_driver_out_of_memory_once_is_retried", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"a_wait_that_fails_gives_no_memory_away", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"what_one_thread_frees_serves_another", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"a_stream_may_be_released_with_frees_pending_on_it", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"a_second_free_is_refused", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"a_report_says_what_the_statistics_say", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"a_snapshot_reads_back_as_the_state", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"each_request_for_host_memory_may_fail", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"figures_follow_every_allocation_and_free", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"reserved_bytes_are_what_the_device_counts", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"the_largest_free_block_can_be_had_without_the_device", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"figures_add_up_whoever_frees_and_whoever_tells_first", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"a_completed_stream_gives_its_memory_to_others", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"memory_of_another_stream_is_waited_for_rather_than_refused", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"freeing_does_not_wait_for_the_device", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"memory_never_goes_back_while_a_stream_may_use_it", "caching:ahead=32MiB", NULL, a_thread_asks},
    {"threads_that_end_leave_no_memory_behind", "caching:ahead=32MiB", NULL, a_thread_asks},
};

bool test_is_requested(const test_device *device) {
    const char *names = getenv("TARN_TEST_DEVICE");
    if (names == NULL || *names == '\0') return (device->abilities & DEVICE_ON_REQUEST) == 0;
    size_t length = strlen(device->name);
    for (const char *at = names; (at = strstr(at, device->name)) != NULL; at += length) {
        bool begins = at == names || at[-1] == ',', ends = at[length] == ',' || at[length] == '\0';
        if (begins && ends) return true;
    }
    return false;
}

unsigned test_abilities(const test_spec *spec, const test_device *device) {
    unsigned abilities = spec->abilities | device->abilities;
    if ((abilities & SPEC_CACHES) != 0) abilities |= SPEC_FREES_AT_ONCE;
    return (abilities & SPEC_ONE_THREAD) != 0 ? abilities : abilities | SPEC_THREADS;
}

bool test_is_possible(const test_spec *spec, const test_device *device) {
    if ((spec->abilities & SPEC_SHARED) != 0 && (device->abilities & DEVICE_SHARES) == 0) return false;
    return (spec->abilities & SPEC_POOLED) == 0 || (device->abilities & DEVICE_POOLS) != 0;
}

static bool names(const char *pattern, const char *name) { return pattern == NULL || strcmp(pattern, name) == 0; }

const char *test_not_supported(const char *test, const char *spec, const char *device) {
    if (getenv("TARN_TEST_ON_VALGRIND") != NULL && strcmp(device, "cpu") == 0 &&
        strstr(spec, "expandable_segments=True") != NULL) {
        return "PyTorch reserves nine eighths of the device's memory for each pool, and valgrind has 128 GiB of addresses";
    }
    for (size_t i = 0; i < sizeof exceptions / sizeof exceptions[0]; i++)
        if (names(exceptions[i].test, test) && names(exceptions[i].spec, spec) && names(exceptions[i].device, device))
            return exceptions[i].reason;
    return NULL;
}
