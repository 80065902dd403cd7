/* The CUDA backend: memory of each kind, virtual memory, streams, events, contexts. Runs on the fake driver and on GPUs. */
#include "gpu.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "gate.h"

/* In a child. */
static int ask_for_managed_memory(void *context) {
    (void)context;
    setenv("FAKECUDA_CONCURRENT", "0", 1);
    tarn_device *device = NULL;
    void *memory = NULL;
    if (tarn_device_open("cuda:0", &device) != TARN_OK) return 1;
    if ((properties_of(device).features & TARN_FEATURE_UNIFIED_MEMORY) != 0) return 2;
    if (hal_memory_allocate(device, TARN_MEMORY_MANAGED, 64, 0, &memory) != TARN_NOT_SUPPORTED) return 3;
    return tarn_device_release(device) == TARN_OK ? 0 : 4;
}

/* What the host may not touch while the device works at anything is of no use to a library that does not know what others do there. */
static void memory_that_host_and_device_take_turns_with_is_not_offered(void **state) {
    (void)state;
    gpu_need_fake();
    assert_int_equal(exit_of_child(ask_for_managed_memory, NULL), 0);
}

static void a_device_tells_what_the_driver_says(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    tarn_device_properties properties = properties_of(device);
    assert_true(strlen(properties.name) > 0);
    assert_true(properties.memory_total >= properties.memory_free && properties.memory_free > 0);
    assert_int_equal(properties.alignment, 256);
    assert_true(properties.compute_units > 0);
    assert_true((properties.features & TARN_FEATURE_HOST_ACCESS) == 0);
    /* Live: what is taken is missing. */
    void *memory = gpu_allocate(device, TARN_MEMORY_DEVICE, 64 * MIB);
    assert_true(properties_of(device).memory_free < properties.memory_free);
    gpu_free(device, TARN_MEMORY_DEVICE, memory, 64 * MIB);
    gpu_close(device);
}

static void devices_are_named_by_their_number(void **state) {
    (void)state;
    tarn_device *device = gpu_open(), *other = NULL;
    const char *const malformed[] = {"cuda",     "cuda:00",          "cuda:-1",  "cuda:+0",
                                     "cuda:0x0", "cuda:0,granule=1", "cuda:zero"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++)
        assert_fails(tarn_device_open(malformed[i], &other), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_open("cuda:64", &other), TARN_NOT_FOUND);
    assert_sentence("no device 64");
    assert_fails(tarn_device_open("cuda:99999999999999999999", &other), TARN_NOT_FOUND);
    assert_null(other);
    assert_ok(tarn_device_open("cuda:0", &other));
    assert_ptr_equal(other, device);
    assert_ok(tarn_device_release(other));
    gpu_close(device);
}

static void each_kind_of_memory_is_aligned_as_asked(void **state) { /* fault 9 */
    (void)state;
    tarn_device *device = gpu_open();
    const tarn_memory_kind kinds[] = {TARN_MEMORY_DEVICE, TARN_MEMORY_PINNED, TARN_MEMORY_MANAGED};
    const size_t alignments[] = {0, 256, 512, 4096, 2 * MIB, 64 * MIB};
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        if ((properties_of(device).memory_kinds & TARN_MEMORY_KIND_BIT(kinds[k])) == 0) continue;
        for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
            void *memory = NULL;
            size_t alignment = alignments[i] != 0 ? alignments[i] : 256;
            assert_ok(hal_memory_allocate(device, kinds[k], 5000, alignments[i], &memory));
            assert_int_equal((uintptr_t)memory & (alignment - 1), 0);
            if (kinds[k] == TARN_MEMORY_PINNED) memset(memory, 0x5a, 5000);
            assert_fails(hal_memory_free(device, kinds[k], memory, 5001), TARN_INVALID_ARGUMENT);
            assert_ok(hal_memory_free(device, kinds[k], memory, 5000));
        }
    }
    void *memory = NULL;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_HOST, 64, 0, &memory), TARN_NOT_SUPPORTED);
    gpu_close(device);
}

static void more_than_the_device_has_is_out_of_memory(void **state) { /* fault 29 */
    (void)state;
    tarn_device *device = gpu_open();
    size_t total = properties_of(device).memory_total;
    void *memory = &device;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, total + MIB, 0, &memory), TARN_OUT_OF_MEMORY);
    assert_sentence("CUDA_ERROR_OUT_OF_MEMORY");
    assert_sentence("cuda:0");
    assert_ptr_equal(memory, &device);
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, PTRDIFF_MAX, 4096, &memory), TARN_OUT_OF_MEMORY);
    gpu_close(device);
}

/* Each pattern by itself, in the middle of memory that must stay as it is. */
static void fills_write_each_pattern_and_nothing_else(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    tarn_stream *stream = tarn_device_default_stream(device);
    const unsigned char pattern[8] = {1, 2, 3, 4, 5, 6, 7, 8}, twice[8] = {9, 8, 7, 6, 9, 8, 7, 6};
    unsigned char read[1024];
    unsigned char *memory = gpu_allocate(device, TARN_MEMORY_DEVICE, sizeof read);
    for (size_t size = 1; size <= 8; size *= 2) {
        for (int equal_halves = 0; equal_halves < 2; equal_halves++) {
            const unsigned char *bytes = equal_halves ? twice : pattern;
            assert_ok(tarn_stream_fill(stream, memory, "\xee", 1, sizeof read));
            assert_ok(tarn_stream_fill(stream, memory + 64, bytes, size, 512));
            gpu_read(device, read, memory, sizeof read);
            for (size_t i = 0; i < sizeof read; i++)
                assert_int_equal(read[i], i < 64 || i >= 64 + 512 ? 0xee : bytes[(i - 64) % size]);
        }
    }
    gpu_free(device, TARN_MEMORY_DEVICE, memory, sizeof read);
    gpu_close(device);
}

static void copies_reach_every_kind_of_memory_and_the_host(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    tarn_stream *stream = tarn_device_default_stream(device);
    const tarn_memory_kind kinds[] = {TARN_MEMORY_DEVICE, TARN_MEMORY_PINNED, TARN_MEMORY_MANAGED};
    enum { SIZE = 70000 };
    unsigned char *sent = malloc(SIZE), *received = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) sent[i] = (unsigned char)(i * 7 + i / 256);
    unsigned char *places[3];
    for (size_t k = 0; k < 3; k++) places[k] = gpu_allocate(device, kinds[k], SIZE);
    for (size_t from = 0; from < 3; from++) {
        for (size_t to = 0; to < 3; to++) {
            if (from == to) continue;
            assert_ok(tarn_stream_copy(stream, places[from], sent, SIZE));
            assert_ok(tarn_stream_fill(stream, places[to], "", 1, SIZE));
            assert_ok(tarn_stream_copy(stream, places[to], places[from], SIZE));
            memset(received, 0, SIZE);
            assert_ok(tarn_stream_copy(stream, received, places[to], SIZE));
            assert_ok(tarn_stream_synchronize(stream));
            assert_memory_equal(received, sent, SIZE);
        }
    }
    for (size_t k = 0; k < 3; k++) gpu_free(device, kinds[k], places[k], SIZE);
    free(sent);
    free(received);
    gpu_close(device);
}

static void granules_keep_their_contents_wherever_they_are_mapped(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    tarn_stream *stream = tarn_device_default_stream(device);
    size_t granule = properties_of(device).granule;
    if (granule == 0) {
        gpu_close(device);
        skip();
    }
    unsigned char *first, *second, bytes[2] = {0};
    tarn_backend_granule granules[4];
    assert_ok(hal_virtual_reserve(device, 8 * granule, (void **)&first));
    assert_ok(hal_virtual_reserve(device, 8 * granule, (void **)&second));
    assert_int_equal((uintptr_t)first & (granule - 1), 0);
    assert_ok(hal_granules_create(device, 4, granules));
    assert_int_equal(counters_of(device).memory_in_use, 4 * granule);
    assert_ok(hal_virtual_map(device, first, 4, granules));
    for (size_t i = 0; i < 4; i++) {
        unsigned char value = (unsigned char)(i + 1);
        assert_ok(tarn_stream_fill(stream, first + i * granule, &value, 1, granule));
    }
    assert_ok(tarn_stream_synchronize(stream));
    /* One in the middle moves, and one is seen at two places. */
    assert_ok(hal_virtual_unmap(device, first + granule, 1));
    assert_ok(hal_virtual_map(device, second + 5 * granule, 1, &granules[1]));
    assert_ok(hal_virtual_map(device, second, 1, &granules[3]));
    gpu_read(device, bytes, second + 6 * granule - 2, 2);
    assert_int_equal(bytes[1], 2);
    gpu_read(device, bytes, second, 2);
    assert_int_equal(bytes[0], 4);
    gpu_read(device, bytes, first + 3 * granule - 1, 2); /* across two granules */
    assert_int_equal(bytes[0], 3);
    assert_int_equal(bytes[1], 4);
    /* A hole cannot be mapped over, nor what is not there be unmapped: nothing changes. */
    assert_int_not_equal(hal_virtual_map(device, first + 2 * granule, 1, &granules[1]), TARN_OK);
    assert_int_not_equal(hal_virtual_map(device, first + granule, 2, &granules[1]), TARN_OK);
    assert_ok(hal_virtual_map(device, first + granule, 1, &granules[1]));
    assert_ok(hal_virtual_unmap(device, first, 4));
    assert_ok(hal_virtual_unmap(device, second, 1));
    assert_ok(hal_virtual_unmap(device, second + 5 * granule, 1));
    assert_ok(hal_granules_release(device, 4, granules));
    assert_ok(hal_virtual_release(device, first, 8 * granule));
    assert_ok(hal_virtual_release(device, second, 8 * granule));
    gpu_close(device);
}

static void granules_that_are_too_many_are_given_back_whole(void **state) { /* fault 29 */
    (void)state;
    tarn_device *device = gpu_open();
    const fake_cuda *fake = gpu_fake();
    size_t granule = properties_of(device).granule, count = properties_of(device).memory_total / granule + 1;
    tarn_backend_granule *granules = calloc(count, sizeof *granules);
    assert_fails(hal_granules_create(device, count, granules), TARN_OUT_OF_MEMORY);
    for (size_t i = 0; i < count; i++) assert_int_equal(granules[i], 0);
    assert_int_equal(fake->memory_used(0), 0);
    free(granules);
    gpu_close(device);
}

static void count_up(void *context) { ++*(int *)context; }

static void events_say_when_the_work_before_them_is_done(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    const fake_cuda *fake = gpu_fake();
    tarn_stream *first, *second;
    tarn_event *event = NULL, *later = NULL;
    int is_complete = 0, done = 0;
    assert_ok(tarn_stream_create(device, &first));
    assert_ok(tarn_stream_create(device, &second));
    fake->hold(1);
    assert_ok(tarn_stream_enqueue(first, count_up, &done));
    assert_ok(tarn_stream_record(first, &event));
    assert_ok(tarn_event_is_complete(event, &is_complete));
    assert_int_equal(is_complete, 0);
    assert_ok(tarn_stream_wait(second, event));
    assert_ok(tarn_stream_enqueue(second, count_up, &done));
    assert_ok(tarn_stream_record(second, &later));
    assert_ok(tarn_event_is_complete(later, &is_complete));
    assert_int_equal(is_complete, 0);
    fake->hold(0);
    assert_ok(tarn_event_synchronize(later));
    assert_int_equal(done, 2);
    assert_ok(tarn_event_is_complete(event, &is_complete));
    assert_int_equal(is_complete, 1);
    int64_t elapsed = -1;
    assert_ok(tarn_event_elapsed(event, later, &elapsed));
    assert_true(elapsed >= 0);
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_event_release(later));
    assert_ok(tarn_stream_release(first));
    assert_ok(tarn_stream_release(second));
    gpu_close(device);
}

/* An event that waits in the pool may still stand for work of its life before. */
static void an_event_that_is_used_again_begins_complete(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    const fake_cuda *fake = gpu_fake();
    tarn_stream *stream = tarn_device_default_stream(device);
    tarn_event *event = NULL;
    int is_complete = 0, done = 0;
    fake->hold(1);
    assert_ok(tarn_stream_enqueue(stream, count_up, &done));
    assert_ok(tarn_stream_record(stream, &event));
    assert_ok(tarn_event_release(event));
    unsigned long long made = fake->calls("cuEventCreate");
    assert_ok(tarn_event_create(device, &event));
    assert_int_equal(fake->calls("cuEventCreate"), made);
    assert_ok(tarn_event_is_complete(event, &is_complete));
    assert_int_equal(is_complete, 1);
    assert_int_equal(done, 0);
    assert_ok(tarn_stream_wait(stream, event));
    fake->hold(0);
    assert_ok(tarn_stream_synchronize(stream));
    assert_ok(tarn_event_release(event));
    gpu_close(device);
}

/* CU_EVENT_DISABLE_TIMING */
#define UNTIMED 2

/* What is asked for time and what is not are made, and kept for later, apart. */
static void untimed_events_are_the_drivers_own_without_time(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    const fake_cuda *fake = gpu_fake();
    tarn_stream *stream = tarn_device_default_stream(device);
    const tarn_event_options untimed = {.struct_size = sizeof untimed, .is_untimed = 1};
    tarn_event *timed = NULL, *event = NULL;
    int64_t elapsed = 0;
    assert_ok(tarn_event_create(device, &timed));
    assert_int_equal(fake->events(0), 1);
    assert_int_equal(fake->events(UNTIMED), 0);
    assert_ok(tarn_event_create_with(device, &untimed, &event));
    assert_int_equal(fake->events(0), 1);
    assert_int_equal(fake->events(UNTIMED), 1);
    assert_ok(tarn_stream_record(stream, &timed));
    assert_ok(tarn_stream_record(stream, &event));
    assert_ok(tarn_event_synchronize(event));
    assert_fails(tarn_event_elapsed(timed, event, &elapsed), TARN_INVALID_STATE);
    assert_ok(tarn_event_release(timed));
    assert_ok(tarn_event_release(event));
    /* From the pools, each its own. */
    assert_ok(tarn_event_create_with(device, &untimed, &event));
    assert_ok(tarn_event_create(device, &timed));
    assert_int_equal(fake->events(0), 1);
    assert_int_equal(fake->events(UNTIMED), 1);
    assert_ok(tarn_stream_record(stream, &timed));
    assert_ok(tarn_event_synchronize(timed));
    assert_ok(tarn_event_elapsed(timed, timed, &elapsed));
    assert_ok(tarn_event_release(timed));
    assert_ok(tarn_event_release(event));
    gpu_close(device);
}

/* A block that two streams used is freed behind an event, whatever the strategy. */
static void allocators_make_their_events_untimed(void **state) {
    (void)state;
    static const char *const specs[] = {"direct", "caching", "caching:settle=0", "pytorch", "graph"};
    unsigned long long made = 0;
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        tarn_device *device = gpu_open();
        const fake_cuda *fake = gpu_fake();
        tarn_stream *first, *second;
        tarn_allocator *allocator = NULL;
        tarn_buffer *buffer = NULL, *next = NULL;
        assert_ok(tarn_stream_create(device, &first));
        assert_ok(tarn_stream_create(device, &second));
        assert_ok(tarn_allocator_create(device, specs[i], &allocator));
        fake->hold(1);
        assert_ok(tarn_allocator_allocate(allocator, MIB, first, &buffer));
        assert_ok(tarn_buffer_record_stream(buffer, second));
        /* Each a half of its own: the two streams run at the same time. */
        char *data = tarn_buffer_data(buffer);
        assert_ok(tarn_stream_fill(first, data, "", 1, MIB / 2));
        assert_ok(tarn_stream_fill(second, data + MIB / 2, "", 1, MIB / 2));
        assert_ok(tarn_buffer_free(buffer, first));
        /* Who waits with the event until another stream wants memory records it now. */
        assert_ok(tarn_allocator_allocate(allocator, MIB, second, &next));
        assert_ok(tarn_buffer_free(next, second));
        fake->hold(0);
        made += fake->events(UNTIMED);
        assert_int_equal(fake->events(0), 0);
        assert_ok(tarn_device_synchronize(device));
        assert_ok(tarn_allocator_release(allocator));
        assert_ok(tarn_stream_release(first));
        assert_ok(tarn_stream_release(second));
        gpu_close(device);
    }
    assert_true(made > 0);
}

/* The driver's own view of the thread: which context is current. */
static void *current_context(void) {
    int (*read)(void **) = NULL;
    void *address = fake_cuda_symbol("cuCtxGetCurrent"), *context = NULL;
    memcpy(&read, &address, sizeof address);
    assert_non_null(address);
    assert_int_equal(read(&context), 0);
    return context;
}

static void the_callers_context_is_left_as_it_was(void **state) {
    (void)state;
    tarn_device *device = gpu_open(), *other = NULL;
    int (*push)(void *) = NULL, (*pop)(void **) = NULL, (*retain)(void **, int) = NULL, (*release)(int) = NULL;
    void *address = fake_cuda_symbol("cuCtxPushCurrent_v2");
    memcpy(&push, &address, sizeof address);
    address = fake_cuda_symbol("cuCtxPopCurrent_v2");
    memcpy(&pop, &address, sizeof address);
    address = fake_cuda_symbol("cuDevicePrimaryCtxRetain");
    memcpy(&retain, &address, sizeof address);
    address = fake_cuda_symbol("cuDevicePrimaryCtxRelease_v2");
    memcpy(&release, &address, sizeof address);
    assert_null(current_context());
    if (tarn_device_open("cuda:1", &other) != TARN_OK) other = tarn_device_retain(device);
    void *context = NULL, *popped = NULL;
    int ordinal = other == device ? 0 : 1;
    assert_int_equal(retain(&context, ordinal), 0);
    assert_int_equal(push(context), 0);
    tarn_event *event = NULL;
    void *memory = gpu_allocate(device, TARN_MEMORY_DEVICE, 1000);
    assert_ok(tarn_stream_fill(tarn_device_default_stream(device), memory, "", 1, 1000));
    assert_ok(tarn_stream_record(tarn_device_default_stream(device), &event));
    assert_ok(tarn_event_synchronize(event));
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_device_synchronize(device));
    gpu_free(device, TARN_MEMORY_DEVICE, memory, 1000);
    assert_ptr_equal(current_context(), context);
    assert_int_equal(pop(&popped), 0);
    assert_null(current_context());
    assert_int_equal(release(ordinal), 0);
    assert_ok(tarn_device_release(other));
    gpu_close(device);
    assert_null(current_context());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* First: a child of a process that has used the driver has none. */
        cmocka_unit_test(memory_that_host_and_device_take_turns_with_is_not_offered),
        cmocka_unit_test(a_device_tells_what_the_driver_says),
        cmocka_unit_test(devices_are_named_by_their_number),
        cmocka_unit_test(each_kind_of_memory_is_aligned_as_asked),
        cmocka_unit_test(more_than_the_device_has_is_out_of_memory),
        cmocka_unit_test(fills_write_each_pattern_and_nothing_else),
        cmocka_unit_test(copies_reach_every_kind_of_memory_and_the_host),
        cmocka_unit_test(granules_keep_their_contents_wherever_they_are_mapped),
        cmocka_unit_test(granules_that_are_too_many_are_given_back_whole),
        cmocka_unit_test(events_say_when_the_work_before_them_is_done),
        cmocka_unit_test(an_event_that_is_used_again_begins_complete),
        cmocka_unit_test(untimed_events_are_the_drivers_own_without_time),
        cmocka_unit_test(allocators_make_their_events_untimed),
        cmocka_unit_test(the_callers_context_is_left_as_it_was),
    };
    return cmocka_run_group_tests_name("the CUDA backend", tests, NULL, NULL);
}
