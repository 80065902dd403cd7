/* Stream-ordered pools of the CUDA driver, through `cuda_async`: options that reach the driver, peers, streams of other libraries, devices
 * that have no pools. */
#include "gpu.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/cuda_internal.h"

#define SIZE 4096

static tarn_allocator *allocator_on(tarn_device *device, const char *spec) {
    tarn_allocator *allocator = NULL;
    assert_ok(tarn_allocator_create(device, spec, &allocator));
    return allocator;
}

static tarn_buffer *take(tarn_allocator *allocator, size_t size, tarn_stream *stream) {
    tarn_buffer *buffer = NULL;
    assert_ok(tarn_allocator_allocate(allocator, size, stream, &buffer));
    return buffer;
}

static void options_reach_the_driver(void **state) {
    (void)state;
    const fake_cuda *fake = gpu_fake();
    tarn_device *device = gpu_open();
    unsigned long long before = fake->calls("cuMemPoolSetAttribute");
    tarn_allocator *allocator = allocator_on(device, "cuda_async");
    assert_int_equal(fake->calls("cuMemPoolSetAttribute") - before, 1); /* the threshold */
    assert_ok(tarn_allocator_release(allocator));
    allocator =
        allocator_on(device, "cuda_async:threshold=1MiB,follow_events=off,opportunistic=off,add_dependencies=off");
    assert_int_equal(fake->calls("cuMemPoolSetAttribute") - before, 5);
    assert_ok(tarn_allocator_release(allocator));
    gpu_close(device);
}

static void contents_go_with_the_order_of_streams(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    tarn_allocator *allocator = allocator_on(device, "cuda_async");
    tarn_stream *stream = NULL;
    tarn_event *event = NULL;
    unsigned char bytes[SIZE];
    assert_ok(tarn_stream_create(device, &stream));
    for (int round = 0; round < 4; round++) {
        unsigned char letter = (unsigned char)('a' + round);
        tarn_buffer *buffer = take(allocator, SIZE, stream);
        assert_ok(tarn_stream_fill(stream, tarn_buffer_data(buffer), &letter, 1, SIZE));
        assert_ok(tarn_stream_record(stream, &event));
        assert_ok(tarn_stream_wait(tarn_device_default_stream(device), event));
        assert_ok(tarn_buffer_record_stream(buffer, tarn_device_default_stream(device)));
        gpu_read(device, bytes, tarn_buffer_data(buffer), SIZE);
        for (size_t i = 0; i < SIZE; i++) assert_int_equal(bytes[i], letter);
        assert_ok(tarn_allocator_free(allocator, buffer, stream));
    }
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_stream_release(stream));
    assert_ok(tarn_allocator_release(allocator));
    gpu_close(device);
}

/* A peer reads what a pool hands out: one that was made before the peer was let in, and one made later. */
static void peers_reach_pools_made_before_and_after(void **state) {
    (void)state;
    tarn_device *device = gpu_open(), *owner = NULL;
    int can = 0;
    if (tarn_device_open("cuda:1", &owner) == TARN_OK) assert_ok(tarn_device_can_access(device, owner, &can));
    if (!can) {
        assert_ok(tarn_device_release(owner));
        gpu_close(device);
        skip();
    }
    tarn_allocator *allocators[2] = {allocator_on(owner, "cuda_async"), NULL};
    tarn_stream *far = tarn_device_default_stream(owner), *near = tarn_device_default_stream(device);
    void *ours = gpu_allocate(device, TARN_MEMORY_DEVICE, SIZE);
    tarn_buffer *early = take(allocators[0], SIZE, far);
    assert_ok(tarn_device_enable_peer(device, owner));
    allocators[1] = allocator_on(owner, "cuda_async:threshold=0");
    tarn_buffer *buffers[3] = {early, take(allocators[0], SIZE, far), take(allocators[1], SIZE, far)};
    for (int i = 0; i < 3; i++) {
        unsigned char bytes[SIZE], letter = (unsigned char)('p' + i);
        tarn_event *event = NULL;
        assert_ok(tarn_stream_fill(far, tarn_buffer_data(buffers[i]), &letter, 1, SIZE));
        assert_ok(tarn_stream_record(far, &event));
        assert_ok(tarn_stream_wait(near, event));
        assert_ok(tarn_stream_copy(near, ours, tarn_buffer_data(buffers[i]), SIZE));
        gpu_read(device, bytes, ours, SIZE);
        for (size_t at = 0; at < SIZE; at++) assert_int_equal(bytes[at], letter);
        assert_ok(tarn_event_release(event));
        assert_ok(tarn_buffer_free(buffers[i], far));
    }
    assert_ok(tarn_device_disable_peer(device, owner));
    for (int i = 0; i < 2; i++) assert_ok(tarn_allocator_release(allocators[i]));
    gpu_free(device, TARN_MEMORY_DEVICE, ours, SIZE);
    assert_ok(tarn_device_release(owner));
    gpu_close(device);
}

/* 45: what another library captures is not known to the hardware layer, so the backend asks. */
static void a_stream_that_another_library_captures_is_refused(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    tarn_allocator *allocator = allocator_on(device, "cuda_async");
    tarn_stream *stream = NULL, *adopted = NULL;
    tarn_buffer *buffer = NULL;
    void *native = NULL;
    driver_graph graph = NULL;
    cuda_scope scope;
    assert_ok(tarn_stream_create(device, &stream));
    assert_ok(tarn_stream_native(stream, &native));
    assert_ok(tarn_stream_adopt(device, native, &adopted));
    tarn_buffer *before = take(allocator, SIZE, adopted);
    assert_ok(cuda_enter(device->handle, &scope));
    assert_int_equal(cuda_driver.cuStreamBeginCapture(native, DRIVER_CAPTURE_RELAXED), DRIVER_SUCCESS);
    assert_fails(tarn_allocator_allocate(allocator, SIZE, adopted, &buffer), TARN_INVALID_STATE);
    assert_sentence("another library captures the stream");
    assert_null(buffer);
    /* What is freed there meanwhile is kept. */
    assert_ok(tarn_allocator_free(allocator, before, adopted));
    assert_true(tarn_allocator_allocated_size(allocator) >= SIZE);
    assert_int_equal(cuda_driver.cuStreamEndCapture(native, &graph), DRIVER_SUCCESS);
    assert_int_equal(cuda_driver.cuGraphDestroy(graph), DRIVER_SUCCESS);
    cuda_leave(scope);
    assert_ok(tarn_allocator_empty_cache(allocator));
    assert_int_equal(tarn_allocator_allocated_size(allocator), 0);
    assert_ok(tarn_stream_release(adopted));
    assert_ok(tarn_stream_release(stream));
    assert_ok(tarn_allocator_release(allocator));
    gpu_close(device);
}

/* In a child, where the fake driver's devices have no pools. */
static int refuse_pools(void *context) {
    (void)context;
    setenv("FAKECUDA_POOLS", "0", 1);
    tarn_device *device = NULL;
    tarn_allocator *allocator = NULL;
    if (tarn_device_open("cuda:0", &device) != TARN_OK) return 1;
    if ((properties_of(device).features & TARN_FEATURE_STREAM_ORDERED) != 0) return 2;
    if (tarn_allocator_create(device, "cuda_async", &allocator) != TARN_NOT_SUPPORTED) return 3;
    if (strstr(tarn_last_error(), "cuda:0 has no stream-ordered memory") == NULL) return 4;
    if (tarn_allocator_create(device, "caching", &allocator) != TARN_OK) return 5;
    if (tarn_allocator_release(allocator) != TARN_OK || tarn_device_release(device) != TARN_OK) return 6;
    return fake_cuda_find() != NULL && fake_cuda_find()->violations(NULL) != 0 ? 7 : 0;
}

static void a_device_without_pools_says_so(void **state) {
    (void)state;
    gpu_need_fake();
    assert_int_equal(exit_of_child(refuse_pools, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* First: a child of a process that has used the driver has none. */
        cmocka_unit_test(a_device_without_pools_says_so),
        cmocka_unit_test(options_reach_the_driver),
        cmocka_unit_test(contents_go_with_the_order_of_streams),
        cmocka_unit_test(peers_reach_pools_made_before_and_after),
        cmocka_unit_test(a_stream_that_another_library_captures_is_refused),
    };
    return cmocka_run_group_tests_name("stream-ordered pools of the CUDA backend", tests, NULL, NULL);
}
