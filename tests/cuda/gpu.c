/* Devices for the tests of the CUDA backend. */
#include "gpu.h"

#include <stdlib.h>
#include <string.h>

tarn_device *gpu_open(void) {
    tarn_device *device = NULL;
    tarn_status status = tarn_device_open("cuda:0", &device);
    /* Where the fake driver is meant to be there, its absence is a failure. */
    if (status == TARN_UNAVAILABLE && getenv("TARN_TEST_ON_FAKE_CUDA") == NULL) {
        print_message("skipped: %s\n", tarn_last_error());
        skip();
    }
    assert_ok(status);
    return device;
}

void gpu_close(tarn_device *device) {
    assert_int_equal(counters_of(device).memory_in_use, 0);
    assert_ok(tarn_device_release(device));
    const fake_cuda *fake = fake_cuda_find();
    if (fake == NULL) return;
    const char *sentence = NULL;
    if (fake->violations(&sentence) != 0) fail_msg("the driver was used wrongly: %s", sentence);
    if (fake->live_objects(&sentence) != 0) fail_msg("the driver still has: %s", sentence);
    assert_int_equal(fake->memory_used(0), 0);
}

const fake_cuda *gpu_fake(void) {
    tarn_backend_info info = {.struct_size = sizeof info};
    assert_ok(tarn_backend_find("cuda", &info));
    const fake_cuda *fake = fake_cuda_find();
    if (fake != NULL) return fake;
    print_message("skipped: the driver is %s\n", info.is_available ? "a real one" : "not there");
    skip();
    return NULL;
}

static int find_fake(void *context) {
    (void)context;
    tarn_backend_info info = {.struct_size = sizeof info};
    return tarn_backend_find("cuda", &info) == TARN_OK && fake_cuda_find() != NULL ? 0 : 1;
}

void gpu_need_fake(void) {
    if (exit_of_child(find_fake, NULL) == 0) return;
    print_message("skipped: the fake driver is not there\n");
    skip();
}

unsigned gpu_stride(void) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    return 5;
#else
    return 1;
#endif
}

void *gpu_allocate(tarn_device *device, tarn_memory_kind kind, size_t size) {
    void *address = NULL;
    assert_ok(hal_memory_allocate(device, kind, size, 0, &address));
    return address;
}

void gpu_free(tarn_device *device, tarn_memory_kind kind, void *address, size_t size) {
    assert_ok(hal_memory_free(device, kind, address, size));
}

void gpu_write(tarn_device *device, void *destination, const void *bytes, size_t size) {
    tarn_stream *stream = tarn_device_default_stream(device);
    void *staging = gpu_allocate(device, TARN_MEMORY_PINNED, size);
    memcpy(staging, bytes, size);
    assert_ok(tarn_stream_copy(stream, destination, staging, size));
    assert_ok(tarn_stream_synchronize(stream));
    gpu_free(device, TARN_MEMORY_PINNED, staging, size);
}

void gpu_read(tarn_device *device, void *out_bytes, const void *source, size_t size) {
    tarn_stream *stream = tarn_device_default_stream(device);
    void *staging = gpu_allocate(device, TARN_MEMORY_PINNED, size);
    assert_ok(tarn_stream_copy(stream, staging, source, size));
    assert_ok(tarn_stream_synchronize(stream));
    memcpy(out_bytes, staging, size);
    gpu_free(device, TARN_MEMORY_PINNED, staging, size);
}
