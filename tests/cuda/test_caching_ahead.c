/* Memory made ahead of need on `cuda`: what the thread of `caching:ahead` asks of the driver, at a time that nobody knows, leaves a capture of
 * another library alone, even one in the mode that minds the calls of all threads. */
#include "gpu.h"

#include "backends/cuda/cuda_internal.h"

#define MIB ((size_t)1 << 20)
/* CU_STREAM_CAPTURE_MODE_GLOBAL, in which Tarn captures nothing. */
#define GLOBAL ((driver_capture_mode)0)

static void another_librarys_capture_goes_on_while_memory_is_made(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    tarn_allocator *allocator = NULL;
    tarn_stream *stream = NULL;
    tarn_buffer *buffer = NULL;
    void *native = NULL;
    driver_graph graph = NULL;
    cuda_scope scope;
    assert_ok(tarn_allocator_create(device, "caching:ahead=32MiB", &allocator));
    assert_ok(tarn_stream_create(device, &stream));
    assert_ok(tarn_stream_native(stream, &native));
    assert_ok(cuda_enter(device->handle, &scope));
    assert_int_equal(cuda_driver.cuStreamBeginCapture(native, GLOBAL), DRIVER_SUCCESS);
    assert_ok(tarn_allocator_allocate(allocator, 2 * MIB, NULL, &buffer));
    /* It waits for the thread. */
    assert_ok(tarn_allocator_check(allocator));
    assert_int_equal(tarn_allocator_allocated_size(allocator), 34 * MIB);
    assert_int_equal(cuda_driver.cuStreamEndCapture(native, &graph), DRIVER_SUCCESS);
    assert_int_equal(cuda_driver.cuGraphDestroy(graph), DRIVER_SUCCESS);
    cuda_leave(scope);
    assert_ok(tarn_allocator_free(allocator, buffer, NULL));
    assert_ok(tarn_stream_release(stream));
    assert_ok(tarn_allocator_release(allocator));
    gpu_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_librarys_capture_goes_on_while_memory_is_made),
    };
    return cmocka_run_group_tests_name("cuda caching ahead", tests, NULL, NULL);
}
