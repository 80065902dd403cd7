/* A guard on a device whose memory it reaches by copies of its own: memory that goes back to the element below is known to be in use by the
 * guard's stream, where waiting for that has failed. */
#include "gpu.h"

#define SIZE 4096

/* Both waits for the guard's own look at the poison fail, with the copy still to come. */
static const char waits_fail[] = "cuStreamSynchronize:1:CUDA_ERROR_UNKNOWN,cuStreamSynchronize:2:CUDA_ERROR_UNKNOWN";

static void memory_that_is_taken_back_stays_in_use_by_a_guard_that_is_behind(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    const fake_cuda *fake = gpu_fake();
    tarn_allocator *allocator = NULL;
    tarn_buffer *buffer = NULL, *next = NULL, *third = NULL;
    assert_ok(tarn_allocator_create(device, "guard:quarantine=1MiB | pool", &allocator));
    assert_ok(tarn_allocator_allocate(allocator, SIZE, NULL, &buffer));
    const char *first = tarn_buffer_data(buffer);
    assert_ok(tarn_buffer_free(buffer, NULL));
    assert_ok(tarn_device_synchronize(device));
    /* Into quarantine, where the pool's clearing finds it. */
    assert_ok(tarn_allocator_check(allocator));
    fake->hold(1);
    assert_int_equal(fake->fault(waits_fail), 0);
    assert_ok(tarn_pool_clear(allocator));
    assert_int_equal(fake->faults_done(), 2);
    assert_int_equal(fake->fault(NULL), 0);
    assert_true(fake->pending() > 0);
    assert_ok(tarn_allocator_allocate(allocator, SIZE, NULL, &next));
    assert_ptr_not_equal(tarn_buffer_data(next), first);
    fake->hold(0);
    /* Laying the canaries of the second has waited for the guard's stream: the first is free now. */
    assert_ok(tarn_device_synchronize(device));
    assert_ok(tarn_allocator_allocate(allocator, SIZE, NULL, &third));
    assert_ptr_equal(tarn_buffer_data(third), first);
    assert_ok(tarn_buffer_free(next, NULL));
    assert_ok(tarn_buffer_free(third, NULL));
    assert_ok(tarn_allocator_release(allocator));
    gpu_close(device);
}

static void a_guard_whose_staging_memory_the_driver_refuses_leaves_nothing(void **state) {
    (void)state;
    tarn_device *device = gpu_open();
    const fake_cuda *fake = gpu_fake();
    tarn_allocator *allocator = NULL;
    assert_ok(tarn_allocator_create(device, "guard | direct", &allocator));
    assert_int_equal(fake->fault("cuMemFreeHost:1:CUDA_ERROR_UNKNOWN"), 0);
    assert_ok(tarn_allocator_release(allocator));
    assert_int_equal(fake->faults_done(), 1);
    assert_int_equal(fake->fault(NULL), 0);
    gpu_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_that_is_taken_back_stays_in_use_by_a_guard_that_is_behind),
        cmocka_unit_test(a_guard_whose_staging_memory_the_driver_refuses_leaves_nothing),
    };
    return cmocka_run_group_tests_name("a guard on the CUDA backend", tests, NULL, NULL);
}
