/* The simulated device: its arguments, its capacity, its time, its faults, and that it refuses what a driver would. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "gate.h"
#include "hal/event.h"
#include "hal/memory.h"

#define MIB ((size_t)1 << 20)
#define GRANULE (2 * MIB)

static tarn_device *open_sim(const char *name) {
    tarn_device *device = NULL;
    assert_ok(tarn_device_open(name, &device));
    return device;
}

static void the_arguments_are_what_the_device_becomes(void **state) {
    (void)state;
    tarn_device *device = open_sim("sim");
    tarn_device_properties properties = properties_of(device);
    assert_true(properties.memory_total == (uint64_t)64 << 30);
    assert_int_equal(properties.alignment, 512);
    assert_int_equal(properties.granule, GRANULE);
    assert_int_equal(properties.features, TARN_FEATURE_NO_BACKING | TARN_FEATURE_STREAM_ORDERED |
                                              TARN_FEATURE_VIRTUAL_MEMORY | TARN_FEATURE_ALIASING);
    assert_ok(tarn_device_release(device));

    device = open_sim("sim:1.5GiB,granule=64KiB,alignment=256,aliasing=off");
    properties = properties_of(device);
    assert_true(properties.memory_total == (uint64_t)1536 << 20);
    assert_int_equal(properties.alignment, 256);
    assert_int_equal(properties.granule, 65536);
    assert_int_equal(properties.features,
                     TARN_FEATURE_NO_BACKING | TARN_FEATURE_STREAM_ORDERED | TARN_FEATURE_VIRTUAL_MEMORY);
    assert_ok(tarn_device_release(device));

    device = open_sim("sim:granule=0");
    assert_int_equal(properties_of(device).features, TARN_FEATURE_NO_BACKING | TARN_FEATURE_STREAM_ORDERED);
    void *address;
    assert_fails(hal_virtual_reserve(device, GRANULE, &address), TARN_NOT_SUPPORTED);
    assert_ok(tarn_device_release(device));
}

static void garbage_is_refused_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *name, *place;
    } garbage[] = {
        {"sim:80GiX", "column 1: \"80GiX\""},
        {"sim:0", "column 1: \"0\""},
        {"sim:9999999TiB", "column 1"},
        {"sim:1GiB,", "column 6: \"\""},
        {"sim:,lag=1ms", "column 1: \"\""},
        {"sim:1GiB,lag", "column 6: \"lag\""},
        {"sim:1GiB,lag=", "column 10"},
        {"sim:1GiB,lag=10", "column 10: \"10\""},
        {"sim:1GiB,lag=10mx", "column 10: \"10mx\""},
        {"sim:1GiB,lag=-1ms", "column 10"},
        {"sim:1GiB,lag=99999999999999999999s", "column 10"},
        {"sim:1GiB,lag=1ms,lag=1ms", "column 14: \"lag\""},
        {"sim:1GiB,lug=1ms", "column 6: \"lug\""},
        {"sim:1GiB,granule=3MiB", "column 14"},
        {"sim:1GiB,granule=1KiB", "column 14"},
        {"sim:1GiB,alignment=100", "column 16"},
        {"sim:1GiB,aliasing=maybe", "column 15"},
        {"sim:1GiB,fail_at=0", "column 14"},
        {"sim:1GiB,fail_at=x", "column 14"},
        {"sim:1GiB,fail_for=nothing", "column 15"},
        {"sim:1GiB,fail_status=OK", "column 18"},
        {"sim:1GiB,shrink_at=5", "column 16"},
        {"sim:1GiB,shrink_at=5:x", "column 18"},
        {"sim:1GiB,misbehave=well", "column 16"},
        {"sim:1GiB,seed=", "column 11"},
    };
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        tarn_device *device = NULL;
        assert_fails(tarn_device_open(garbage[i].name, &device), TARN_INVALID_ARGUMENT);
        assert_sentence(garbage[i].place);
        assert_null(device);
    }
}

static void capacity_is_counted_and_comes_back(void **state) { /* fault 29 */
    (void)state;
    tarn_device *device = open_sim("sim:10MiB");
    void *block, *other = NULL, *pinned;
    tarn_backend_granule granules[4];
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 6 * MIB, 0, &block));
    assert_ok(hal_granules_create(device, 2, granules));
    assert_true(properties_of(device).memory_free == 0);
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 1, 0, &other), TARN_OUT_OF_MEMORY);
    assert_sentence("capacity 10 MiB");
    assert_fails(hal_granules_create(device, 1, &granules[2]), TARN_OUT_OF_MEMORY);
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_PINNED, 100 * MIB, 0, &pinned));
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_MANAGED, 1, 0, &other), TARN_NOT_SUPPORTED);
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, block, 6 * MIB));
    assert_ok(hal_granules_create(device, 2, &granules[2]));
    assert_ok(hal_granules_release(device, 4, granules));
    assert_ok(hal_memory_free(device, TARN_MEMORY_PINNED, pinned, 100 * MIB));
    assert_true(properties_of(device).memory_free == 10 * MIB);
    assert_null(other);
    assert_ok(tarn_device_release(device));
}

static void addresses_are_used_again_and_aligned(void **state) {
    (void)state;
    tarn_device *device = open_sim("sim:32TiB");
    void *blocks[64];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 64; i++) {
            size_t alignment = (size_t)512 << i % 20;
            assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 1000 * (i + 1), alignment, &blocks[i]));
            assert_int_equal((uintptr_t)blocks[i] & (alignment - 1), 0);
        }
        for (size_t i = 0; i < 64; i += 2)
            assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, blocks[i], 1000 * (i + 1)));
        for (size_t i = 1; i < 64; i += 2)
            assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, blocks[i], 1000 * (i + 1)));
    }
    /* Ranges may exceed the capacity, and their addresses come back too. */
    for (int round = 0; round < 3; round++) {
        void *range;
        assert_ok(hal_virtual_reserve(device, (size_t)64 << 40, &range));
        assert_ok(hal_virtual_release(device, range, (size_t)64 << 40));
    }
    void *none = NULL;
    assert_fails(hal_virtual_reserve(device, (size_t)100 << 40, &none), TARN_OUT_OF_MEMORY);
    assert_ok(tarn_device_release(device));
}

static void misuse_is_refused_as_a_driver_would(void **state) {
    (void)state;
    tarn_device *device = open_sim("sim:1GiB,aliasing=off");
    char *range;
    tarn_backend_granule granules[3];
    assert_ok(hal_virtual_reserve(device, 4 * GRANULE, (void **)&range));
    assert_ok(hal_granules_create(device, 3, granules));
    assert_ok(hal_virtual_map(device, range, 1, granules));
    assert_fails(hal_virtual_map(device, range, 1, &granules[1]), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_map(device, range + GRANULE, 1, granules), TARN_INVALID_ARGUMENT);
    assert_sentence("mapped elsewhere");
    assert_fails(hal_virtual_map(device, range + 3 * GRANULE, 2, &granules[1]), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_map(device, range + 16 * GRANULE, 1, &granules[1]), TARN_INVALID_ARGUMENT);
    tarn_backend_granule unknown = 4711;
    assert_fails(hal_virtual_map(device, range + GRANULE, 1, &unknown), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_unmap(device, range, 2), TARN_INVALID_ARGUMENT);
    assert_fails(hal_granules_release(device, 1, granules), TARN_INVALID_ARGUMENT);
    assert_fails(hal_granules_release(device, 3, granules), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_release(device, range, 4 * GRANULE), TARN_INVALID_ARGUMENT);
    /* Nothing of all that changed anything. */
    assert_ok(hal_virtual_map(device, range + GRANULE, 2, &granules[1]));
    /* Copies reach memory that is there, or the host's. */
    tarn_stream *stream = tarn_device_default_stream(device);
    char host[64] = {0};
    assert_ok(tarn_stream_copy(stream, range, host, 64));
    assert_ok(tarn_stream_copy(stream, host, range + 3 * GRANULE - 64, 64));
    assert_fails(tarn_stream_copy(stream, host, range + 3 * GRANULE - 32, 64), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_fill(stream, range + 3 * GRANULE, host, 1, 64), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_fill(stream, range + 32 * GRANULE, host, 1, 64), TARN_INVALID_ARGUMENT);
    assert_ok(tarn_stream_fill(stream, range, host, 1, 3 * GRANULE));
    assert_ok(hal_virtual_unmap(device, range, 3));
    assert_ok(hal_granules_release(device, 3, granules));
    assert_fails(hal_granules_release(device, 1, granules), TARN_INVALID_ARGUMENT);
    assert_ok(hal_virtual_release(device, range, 4 * GRANULE));
    assert_ok(tarn_device_release(device));
}

static void a_granule_may_be_mapped_twice_where_the_device_says_so(void **state) {
    (void)state;
    tarn_device *device = open_sim("sim:1GiB");
    char *range;
    tarn_backend_granule granule;
    assert_ok(hal_virtual_reserve(device, 2 * GRANULE, (void **)&range));
    assert_ok(hal_granules_create(device, 1, &granule));
    assert_ok(hal_virtual_map(device, range, 1, &granule));
    assert_ok(hal_virtual_map(device, range + GRANULE, 1, &granule));
    assert_ok(hal_virtual_unmap(device, range, 1));
    assert_fails(hal_granules_release(device, 1, &granule), TARN_INVALID_ARGUMENT);
    assert_ok(hal_virtual_unmap(device, range + GRANULE, 1));
    assert_ok(hal_granules_release(device, 1, &granule));
    assert_ok(hal_virtual_release(device, range, 2 * GRANULE));
    assert_ok(tarn_device_release(device));
}

static void work_ends_after_its_lag_in_simulated_time(void **state) {
    (void)state;
    tarn_device *device = open_sim("sim:1GiB,lag=10ms");
    tarn_stream *stream = tarn_device_default_stream(device);
    hal_event *event;
    bool is_complete = true;
    assert_true(hal_device_has_clock(device));
    assert_ok(hal_event_create(device, &event));
    assert_ok(hal_device_clock_set(device, 1000000));
    assert_ok(hal_event_record(event, stream));
    assert_ok(hal_event_query(event, &is_complete));
    assert_false(is_complete);
    assert_ok(hal_device_clock_set(device, 10999999));
    assert_ok(hal_event_query(event, &is_complete));
    assert_false(is_complete);
    assert_ok(hal_device_clock_set(device, 11000000));
    assert_ok(hal_event_query(event, &is_complete));
    assert_true(is_complete);
    assert_int_equal(counters_of(device).device_waits, 0);

    /* Waiting costs the time that is missing; the clock does not go back (fault 64). */
    assert_ok(hal_event_record(event, stream));
    assert_ok(hal_device_clock_set(device, 14000000));
    assert_ok(hal_device_clock_set(device, 5));
    assert_ok(hal_event_synchronize(event));
    assert_ok(hal_event_synchronize(event));
    assert_int_equal(hal_device_clock_cost(device), 7000000);
    tarn_device_counters counters = counters_of(device);
    assert_int_equal(counters.device_waits, 1);
    assert_int_equal(counters.device_wait_ns, 7000000);
    /* What the clock's last setting stands for ends 10 ms after it; twice waited is once waited. */
    assert_ok(tarn_device_synchronize(device));
    assert_ok(tarn_device_synchronize(device));
    assert_ok(tarn_stream_synchronize(stream));
    assert_int_equal(hal_device_clock_cost(device), 10000000);
    assert_int_equal(counters_of(device).device_waits, 2);
    hal_event_destroy(event);
    assert_ok(tarn_device_release(device));
}

static bool is_complete(hal_event *event) {
    bool answer = false;
    assert_ok(hal_event_query(event, &answer));
    return answer;
}

/* From the first word on, a stream has the work that the trace speaks of, and no other. */
static void an_event_marks_the_work_that_the_trace_speaks_of(void **state) {
    (void)state;
    tarn_device *device = open_sim("sim:1GiB,lag=10ms");
    tarn_stream *stream = tarn_device_default_stream(device), *other = NULL;
    hal_event *event;
    assert_ok(tarn_stream_create(device, &other));
    assert_ok(hal_event_create(device, &event));
    assert_ok(hal_device_clock_set(device, 1000000));
    assert_ok(hal_device_clock_enqueue(device, stream));
    assert_ok(hal_device_clock_set(device, 5000000));
    assert_ok(hal_event_record(event, other));
    assert_true(is_complete(event));
    assert_ok(hal_event_record(event, stream));
    assert_ok(hal_device_clock_set(device, 10999999));
    assert_false(is_complete(event));
    assert_ok(hal_device_clock_set(device, 11000000));
    assert_true(is_complete(event));
    assert_ok(hal_device_clock_set(device, 20000000));
    assert_ok(hal_event_record(event, stream));
    assert_true(is_complete(event));

    /* Waiting takes what is missing to the end of that work, and nothing where there is none. */
    assert_ok(hal_device_clock_enqueue(device, stream));
    assert_ok(hal_device_clock_set(device, 23000000));
    assert_ok(tarn_stream_synchronize(other));
    assert_int_equal(hal_device_clock_cost(device), 0);
    assert_ok(hal_event_record(event, stream));
    assert_ok(hal_event_synchronize(event));
    assert_ok(tarn_stream_synchronize(stream));
    assert_ok(tarn_device_synchronize(device));
    assert_int_equal(hal_device_clock_cost(device), 7000000);
    assert_int_equal(counters_of(device).device_waits, 1);

    /* What a stream waits for is before its later events. */
    assert_ok(hal_device_clock_enqueue(device, stream));
    tarn_event *leader = NULL;
    assert_ok(tarn_stream_record(stream, &leader));
    assert_ok(tarn_stream_wait(other, leader));
    assert_ok(hal_event_record(event, other));
    assert_false(is_complete(event));
    assert_ok(tarn_event_release(leader));
    hal_event_destroy(event);
    assert_ok(tarn_stream_release(other));
    assert_ok(tarn_device_release(device));
}

static void enqueued_work_is_waited_for_once(void **state) {
    (void)state;
    tarn_device *device = open_sim("sim:1GiB,lag=10ms");
    test_gate opened = {true};
    assert_ok(tarn_stream_enqueue(tarn_device_default_stream(device), gate_pass, &opened));
    assert_ok(tarn_stream_synchronize(tarn_device_default_stream(device)));
    assert_ok(tarn_stream_synchronize(tarn_device_default_stream(device)));
    assert_int_equal(hal_device_clock_cost(device), 10000000);
    assert_ok(tarn_device_release(device));
}

static void streams_wait_for_each_other_in_simulated_time(void **state) {
    (void)state;
    tarn_device *device = open_sim("sim:1GiB,lag=10ms");
    tarn_stream *other = NULL;
    tarn_event *first = NULL, *second = NULL;
    int64_t elapsed = 0;
    assert_ok(tarn_stream_create(device, &other));
    assert_ok(tarn_stream_record(tarn_device_default_stream(device), &first));
    assert_ok(tarn_stream_wait(other, first));
    assert_ok(tarn_stream_record(other, &second));
    assert_ok(tarn_event_synchronize(first));
    int is_complete = 1;
    assert_ok(tarn_event_is_complete(second, &is_complete));
    assert_false(is_complete);
    assert_ok(tarn_device_synchronize(device));
    assert_ok(tarn_event_elapsed(first, second, &elapsed));
    assert_int_equal(elapsed, 10000000);
    assert_ok(tarn_event_release(first));
    assert_ok(tarn_event_release(second));
    assert_ok(tarn_stream_release(other));
    assert_ok(tarn_device_release(device));
}

static void driver_calls_take_their_time(void **state) {
    (void)state;
    tarn_device *device = open_sim("sim:1GiB,alloc=100us,free=50us,create=7us,map=5us,unmap=3us");
    void *memory;
    char *range;
    tarn_backend_granule granules[4];
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &memory));
    assert_int_equal(hal_device_clock_cost(device), 100000);
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, memory, 64));
    assert_int_equal(hal_device_clock_cost(device), 150000);
    assert_ok(hal_virtual_reserve(device, 4 * GRANULE, (void **)&range));
    assert_ok(hal_granules_create(device, 4, granules));
    assert_ok(hal_virtual_map(device, range, 4, granules));
    assert_ok(hal_virtual_unmap(device, range, 4));
    assert_int_equal(hal_device_clock_cost(device), 150000 + 4 * (7000 + 5000 + 3000));
    assert_ok(hal_granules_release(device, 4, granules));
    assert_int_equal(hal_device_clock_cost(device), 150000 + 4 * (7000 + 5000 + 3000 + 50000));
    assert_ok(hal_virtual_release(device, range, 4 * GRANULE));
    assert_ok(tarn_device_release(device));
}

/* Which of 12 allocations fail, as a text of '.' and 'x'. */
static void allocate_twelve(const char *name, char out_pattern[13]) {
    tarn_device *device = open_sim(name);
    for (int i = 0; i < 12; i++) {
        void *memory = NULL;
        tarn_status status = hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &memory);
        out_pattern[i] = status == TARN_OK ? '.' : 'x';
        assert_int_equal(status == TARN_OK, memory != NULL);
    }
    out_pattern[12] = '\0';
    assert_ok(tarn_device_release(device));
}

static void faults_come_on_schedule(void **state) {
    (void)state;
    char pattern[13], again[13];
    allocate_twelve("sim:1GiB,fail_at=3", pattern);
    assert_string_equal(pattern, "..x.........");
    allocate_twelve("sim:1GiB,fail_at=3,fail_count=4", pattern);
    assert_string_equal(pattern, "..xxxx......");
    allocate_twelve("sim:1GiB,fail_every=4", pattern);
    assert_string_equal(pattern, "...x...x...x");
    allocate_twelve("sim:1GiB,fail_every=4,fail_count=2", pattern);
    assert_string_equal(pattern, "...x...x....");
    allocate_twelve("sim:1GiB,fail_every=2,fail_for=virtual_map", pattern);
    assert_string_equal(pattern, "............");
    allocate_twelve("sim:1GiB,fail_every=2,seed=7", pattern);
    allocate_twelve("sim:1GiB,seed=7,fail_every=2", again);
    assert_string_equal(pattern, again);
    assert_non_null(strchr(pattern, 'x'));
    assert_non_null(strchr(pattern, '.'));
    allocate_twelve("sim:1GiB,shrink_at=5:256", pattern);
    assert_string_equal(pattern, ".....xxxxxxx");
    allocate_twelve("sim:1GiB,fail_at=5,fail_status=DEVICE_LOST", pattern);
    assert_string_equal(pattern, "....xxxxxxxx");
}

static void each_driver_call_can_be_made_to_fail(void **state) { /* faults 24, 25, 26, 28 */
    (void)state;
    static const char *const calls[] = {
        "memory_allocate",  "memory_free",   "virtual_reserve",   "virtual_release",    "granules_create",
        "granules_release", "virtual_map",   "virtual_unmap",     "stream_create",      "stream_host_function",
        "stream_copy",      "stream_fill",   "stream_wait",       "event_create",       "event_record",
        "event_query",      "event_elapsed", "event_synchronize", "stream_synchronize", "device_synchronize",
        "stream_copy_box",
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        char name[128];
        snprintf(name, sizeof name, "sim:1GiB,fail_at=1,fail_status=IO_ERROR,fail_for=%s", calls[i]);
        tarn_device *device = open_sim(name);
        test_gate opened = {true};
        void *memory = NULL;
        char *range = NULL;
        char bytes[16] = {0};
        const tarn_box box = {
            .struct_size = sizeof box, .width = 2, .height = 4, .depth = 1, .destination_row_pitch = 100};
        tarn_backend_granule granule = 0;
        tarn_stream *stream = NULL;
        tarn_event *event = NULL;
        int is_complete, failures = 0;
        int64_t elapsed;
/* The call fails at most once, and works when it is repeated. */
#define TRY(call)                                    \
    do {                                             \
        tarn_status status = (call);                 \
        if (status != TARN_OK) {                     \
            assert_int_equal(status, TARN_IO_ERROR); \
            assert_sentence("fails on schedule");    \
            failures++;                              \
            assert_ok(call);                         \
        }                                            \
    } while (0)
        TRY(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &memory));
        TRY(hal_virtual_reserve(device, GRANULE, (void **)&range));
        TRY(hal_granules_create(device, 1, &granule));
        TRY(hal_virtual_map(device, range, 1, &granule));
        TRY(tarn_stream_create(device, &stream));
        TRY(tarn_stream_enqueue(stream, gate_pass, &opened));
        TRY(tarn_stream_copy(stream, range, bytes, sizeof bytes));
        TRY(tarn_stream_copy_box(stream, range, bytes, &box));
        TRY(tarn_stream_fill(stream, range, bytes, 1, 64));
        TRY(tarn_stream_record(stream, &event));
        TRY(tarn_stream_wait(tarn_device_default_stream(device), event));
        TRY(tarn_event_is_complete(event, &is_complete));
        TRY(tarn_event_elapsed(event, event, &elapsed));
        if (strcmp(calls[i], "event_synchronize") == 0) {
            /* Only an event that is not complete is waited for. */
            failures++;
        }
        TRY(tarn_stream_synchronize(stream));
        TRY(tarn_device_synchronize(device));
        TRY(hal_virtual_unmap(device, range, 1));
        TRY(hal_granules_release(device, 1, &granule));
        TRY(hal_virtual_release(device, range, GRANULE));
        TRY(hal_memory_free(device, TARN_MEMORY_DEVICE, memory, 64));
        assert_int_equal(failures, 1);
        assert_int_equal(counters_of(device).memory_in_use, 0);
        assert_true(properties_of(device).memory_free == (uint64_t)1 << 30);
        assert_ok(tarn_event_release(event));
        assert_ok(tarn_stream_release(stream));
        assert_ok(tarn_device_release(device));
    }
}

static void a_driver_that_misbehaves_is_caught(void **state) { /* fault 35 */
    (void)state;
    static const char *const names[] = {"sim:1GiB,misbehave=null", "sim:1GiB,misbehave=misaligned"};
    for (int i = 0; i < 2; i++) {
        tarn_device *device = open_sim(names[i]);
        void *memory = NULL;
        assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &memory), TARN_INTERNAL);
        assert_null(memory);
        assert_true(properties_of(device).memory_free == (uint64_t)1 << 30);
        assert_ok(tarn_device_release(device));
    }
    tarn_device *device = open_sim("sim:1GiB,misbehave=overlap");
    void *memory = NULL, *other = NULL;
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &memory));
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &other), TARN_INTERNAL);
    assert_sentence("overlap");
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, memory, 64));
    assert_ok(tarn_device_release(device));
}

/* Every request for host memory in the calls on memory fails once. */
static void memory_calls_survive_every_failed_request_for_host_memory(void **state) {
    (void)state;
    unsigned long failures = 0;
    for (unsigned long k = 1;; k++) {
        tarn_device *device = open_sim("sim:1GiB");
        void *blocks[3] = {NULL, NULL, NULL};
        void *range = NULL;
        tarn_backend_granule granule = 0;
        tarn_status status = TARN_OK;
        base_memory_fail_at(k, 0);
        for (size_t i = 0; i < 3 && status == TARN_OK; i++) {
            status = hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, (size_t)4096 << i, &blocks[i]);
        }
        if (status == TARN_OK) status = hal_virtual_reserve(device, GRANULE, &range);
        if (status == TARN_OK) status = hal_granules_create(device, 1, &granule);
        if (status == TARN_OK) status = hal_virtual_map(device, range, 1, &granule);
        unsigned long requests = base_memory_requests();
        /* Giving back needs no memory: whatever was had goes back while requests still fail. */
        base_memory_fail_at(1, 1);
        for (size_t i = 0; i < 3; i++) {
            if (blocks[i] != NULL) assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, blocks[i], 64));
        }
        if (status == TARN_OK) assert_ok(hal_virtual_unmap(device, range, 1));
        if (granule != 0) assert_ok(hal_granules_release(device, 1, &granule));
        if (range != NULL) assert_ok(hal_virtual_release(device, range, GRANULE));
        base_memory_fail_at(0, 0);
        assert_true(properties_of(device).memory_free == (uint64_t)1 << 30);
        assert_ok(tarn_device_release(device));
        if (requests < k) break;
        assert_fails(status, TARN_OUT_OF_MEMORY);
        failures++;
    }
    print_message("%lu of %lu failures of host memory survived\n", failures, failures);
    assert_true(failures >= 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_arguments_are_what_the_device_becomes),
        cmocka_unit_test(garbage_is_refused_with_its_place),
        cmocka_unit_test(capacity_is_counted_and_comes_back),
        cmocka_unit_test(addresses_are_used_again_and_aligned),
        cmocka_unit_test(misuse_is_refused_as_a_driver_would),
        cmocka_unit_test(a_granule_may_be_mapped_twice_where_the_device_says_so),
        cmocka_unit_test(work_ends_after_its_lag_in_simulated_time),
        cmocka_unit_test(an_event_marks_the_work_that_the_trace_speaks_of),
        cmocka_unit_test(enqueued_work_is_waited_for_once),
        cmocka_unit_test(streams_wait_for_each_other_in_simulated_time),
        cmocka_unit_test(driver_calls_take_their_time),
        cmocka_unit_test(faults_come_on_schedule),
        cmocka_unit_test(each_driver_call_can_be_made_to_fail),
        cmocka_unit_test(a_driver_that_misbehaves_is_caught),
        cmocka_unit_test(memory_calls_survive_every_failed_request_for_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
