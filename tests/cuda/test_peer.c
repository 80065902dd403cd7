/* Two GPUs: access to each other's memory, copies, events across devices, and memory between processes. */
#include "gpu.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE 4096

static tarn_device *first, *second;

/* Opens both devices; skips the test on a machine with one. */
static void begin(void) {
    first = gpu_open();
    tarn_status status = tarn_device_open("cuda:1", &second);
    if (status == TARN_NOT_FOUND) {
        gpu_close(first);
        print_message("skipped: there is one device\n");
        skip();
    }
    assert_ok(status);
}

static void end(void) {
    assert_int_equal(counters_of(second).memory_in_use, 0);
    assert_ok(tarn_device_release(second));
    gpu_close(first);
}

static bool are_peers(void) {
    int can = 0;
    assert_ok(tarn_device_can_access(first, second, &can));
    return can != 0;
}

/* Fills memory of the second device, copies it on a stream of the first one, and looks at it. */
static void expect_reached(unsigned char *theirs, unsigned char *ours, char letter) {
    unsigned char bytes[SIZE];
    tarn_event *event = NULL;
    tarn_stream *far = tarn_device_default_stream(second), *near = tarn_device_default_stream(first);
    assert_ok(tarn_stream_fill(far, theirs, &letter, 1, SIZE));
    assert_ok(tarn_stream_record(far, &event));
    assert_ok(tarn_stream_wait(near, event));
    assert_ok(tarn_stream_copy(near, ours, theirs, SIZE));
    gpu_read(first, bytes, ours, SIZE);
    for (size_t i = 0; i < SIZE; i++) assert_int_equal(bytes[i], letter);
    assert_ok(tarn_event_release(event));
}

static void a_peer_reaches_what_there_is_and_what_comes(void **state) {
    (void)state;
    begin();
    if (!are_peers()) {
        end();
        skip();
    }
    size_t granule = properties_of(second).granule;
    unsigned char *ours = gpu_allocate(first, TARN_MEMORY_DEVICE, SIZE), *range;
    unsigned char *theirs = gpu_allocate(second, TARN_MEMORY_DEVICE, SIZE);
    unsigned char *shared = gpu_allocate(second, TARN_MEMORY_SHARED, SIZE);
    tarn_backend_granule granules[3];
    assert_ok(hal_virtual_reserve(second, 4 * granule, (void **)&range));
    assert_ok(hal_granules_create(second, 3, granules));
    assert_ok(hal_virtual_map(second, range, 1, &granules[0]));
    assert_ok(hal_virtual_map(second, range + 2 * granule, 1, &granules[1]));
    assert_ok(tarn_device_enable_peer(first, second));
    assert_ok(tarn_device_enable_peer(first, second)); /* changes nothing */
    expect_reached(theirs, ours, 'a');
    expect_reached(range, ours, 'b');
    expect_reached(range + 2 * granule, ours, 'c');
    expect_reached(shared, ours, 'd');
    /* What is mapped and allocated from now on. */
    assert_ok(hal_virtual_map(second, range + granule, 1, &granules[2]));
    expect_reached(range + granule, ours, 'e');
    unsigned char *later = gpu_allocate(second, TARN_MEMORY_SHARED, SIZE);
    expect_reached(later, ours, 'f');
    assert_ok(tarn_device_synchronize(second));
    assert_ok(tarn_device_disable_peer(first, second));
    assert_fails(tarn_device_disable_peer(first, second), TARN_INVALID_STATE);
    gpu_free(second, TARN_MEMORY_SHARED, later, SIZE);
    gpu_free(second, TARN_MEMORY_SHARED, shared, SIZE);
    assert_ok(hal_virtual_unmap(second, range, 3));
    assert_ok(hal_granules_release(second, 3, granules));
    assert_ok(hal_virtual_release(second, range, 4 * granule));
    gpu_free(second, TARN_MEMORY_DEVICE, theirs, SIZE);
    gpu_free(first, TARN_MEMORY_DEVICE, ours, SIZE);
    end();
}

static void memory_is_copied_between_devices_without_access(void **state) {
    (void)state;
    begin();
    unsigned char bytes[SIZE], back[SIZE];
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (unsigned char)(i * 13);
    unsigned char *ours = gpu_allocate(first, TARN_MEMORY_DEVICE, SIZE);
    unsigned char *theirs = gpu_allocate(second, TARN_MEMORY_DEVICE, SIZE);
    gpu_write(first, ours, bytes, SIZE);
    assert_ok(tarn_copy(NULL, second, theirs, first, ours, SIZE));
    gpu_read(second, back, theirs, SIZE);
    assert_memory_equal(back, bytes, SIZE);
    assert_ok(tarn_stream_fill(tarn_device_default_stream(first), ours, "", 1, SIZE));
    assert_ok(tarn_copy(tarn_device_default_stream(first), first, ours, second, theirs, SIZE));
    gpu_read(first, back, ours, SIZE);
    assert_memory_equal(back, bytes, SIZE);
    gpu_free(second, TARN_MEMORY_DEVICE, theirs, SIZE);
    gpu_free(first, TARN_MEMORY_DEVICE, ours, SIZE);
    end();
}

static void a_peer_that_the_driver_refuses_is_not_let_in(void **state) {
    (void)state;
    const fake_cuda *fake = gpu_fake();
    begin();
    const char *const faults[] = {"cuCtxEnablePeerAccess:1:CUDA_ERROR_TOO_MANY_PEERS",
                                  "cuMemSetAccess:1:CUDA_ERROR_INVALID_DEVICE"};
    const tarn_status answers[] = {TARN_LIMIT_EXCEEDED, TARN_NOT_FOUND};
    const char *const sentences[] = {"cuCtxEnablePeerAccess: CUDA_ERROR_TOO_MANY_PEERS (711)",
                                     "cuMemSetAccess: CUDA_ERROR_INVALID_DEVICE (101)"};
    unsigned char *ours = gpu_allocate(first, TARN_MEMORY_DEVICE, SIZE);
    unsigned char *shared = gpu_allocate(second, TARN_MEMORY_SHARED, SIZE);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const uint64_t near = counters_of(first).memory_in_use, far = counters_of(second).memory_in_use;
        assert_int_equal(fake->fault(faults[i]), 0);
        assert_fails(tarn_device_enable_peer(first, second), answers[i]);
        assert_sentence(sentences[i]);
        assert_int_equal(fake->fault(NULL), 0);
        assert_int_equal(counters_of(first).memory_in_use, near);
        assert_int_equal(counters_of(second).memory_in_use, far);
        assert_fails(tarn_device_disable_peer(first, second), TARN_INVALID_STATE);
        assert_ok(tarn_device_enable_peer(first, second));
        expect_reached(shared, ours, 'g');
        assert_ok(tarn_device_synchronize(second));
        assert_ok(tarn_device_disable_peer(first, second));
    }
    gpu_free(second, TARN_MEMORY_SHARED, shared, SIZE);
    gpu_free(first, TARN_MEMORY_DEVICE, ours, SIZE);
    end();
}

/* In a child, where the fake driver has devices that do not reach each other. */
static int refuse_peers(void *context) {
    (void)context;
    setenv("FAKECUDA_PEERS", "0", 1);
    tarn_device *one = NULL, *two = NULL;
    int can = 1;
    if (tarn_device_open("cuda:0", &one) != TARN_OK || tarn_device_open("cuda:1", &two) != TARN_OK) return 1;
    if ((properties_of(one).features & TARN_FEATURE_PEER_ACCESS) != 0) return 2;
    if (tarn_device_can_access(one, two, &can) != TARN_OK || can != 0) return 3;
    if (tarn_device_enable_peer(one, two) != TARN_NOT_SUPPORTED) return 4;
    if (strstr(tarn_last_error(), "cuda:0 cannot reach the memory of cuda:1") == NULL) return 5;
    if (tarn_device_release(two) != TARN_OK || tarn_device_release(one) != TARN_OK) return 6;
    return fake_cuda_find() != NULL && fake_cuda_find()->violations(NULL) != 0 ? 7 : 0;
}

static int has_fake(void *context) {
    (void)context;
    tarn_backend_info info = {.struct_size = sizeof info};
    return tarn_backend_find("cuda", &info) == TARN_OK && fake_cuda_find() != NULL ? 0 : 1;
}

static void devices_that_are_no_peers_say_so(void **state) {
    (void)state;
    if (exit_of_child(has_fake, NULL) != 0) skip();
    assert_int_equal(exit_of_child(refuse_peers, NULL), 0);
}

static void shared_memory_is_seen_through_its_descriptor(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    if ((properties_of(device).memory_kinds & TARN_MEMORY_KIND_BIT(TARN_MEMORY_SHARED)) == 0) {
        gpu_close(device);
        skip();
    }
    tarn_allocator *allocator = NULL;
    tarn_buffer *buffer = NULL, *imported = NULL;
    tarn_exported_buffer exported = {.struct_size = sizeof exported};
    unsigned char bytes[SIZE];
    assert_ok(tarn_allocator_create(device, "direct:kind=shared", &allocator));
    assert_ok(tarn_allocator_allocate(allocator, SIZE, NULL, &buffer));
    assert_ok(tarn_buffer_export(buffer, &exported));
    assert_ok(tarn_buffer_import(device, &exported, NULL, &imported));
    assert_ptr_not_equal(tarn_buffer_data(imported), tarn_buffer_data(buffer));
    assert_ok(tarn_stream_fill(tarn_device_default_stream(device), tarn_buffer_data(buffer), "s", 1, SIZE));
    gpu_read(device, bytes, tarn_buffer_data(imported), SIZE);
    for (size_t i = 0; i < SIZE; i++) assert_int_equal(bytes[i], 's');
    /* The exporter may go first. */
    assert_ok(tarn_allocator_free(allocator, buffer, NULL));
    assert_ok(tarn_allocator_release(allocator));
    gpu_read(device, bytes, tarn_buffer_data(imported), SIZE);
    assert_int_equal(bytes[SIZE - 1], 's');
    assert_ok(tarn_buffer_free(imported, NULL));
    /* A descriptor of something else. */
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    int kept = exported.descriptor;
    exported.descriptor = pipes[0];
    assert_fails(tarn_buffer_import(device, &exported, NULL, &imported), TARN_INVALID_ARGUMENT);
    exported.descriptor = kept;
    tarn_exported_buffer_close(&exported);
    close(pipes[0]);
    close(pipes[1]);
    gpu_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_that_are_no_peers_say_so),
        cmocka_unit_test(a_peer_reaches_what_there_is_and_what_comes),
        cmocka_unit_test(memory_is_copied_between_devices_without_access),
        cmocka_unit_test(a_peer_that_the_driver_refuses_is_not_let_in),
        cmocka_unit_test(shared_memory_is_seen_through_its_descriptor),
    };
    return cmocka_run_group_tests_name("CUDA peers and shared memory", tests, NULL, NULL);
}
