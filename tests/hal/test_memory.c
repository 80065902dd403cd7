/* The door to a device's memory: what is refused before the driver, and what the driver's answers are checked for. */
#include "check.h"

#include "gate.h"
#include "hal/memory.h"
#include "scripted.h"

static tarn_backend table;
static tarn_device *device;

static int register_fake(void **state) {
    (void)state;
    scripted_reset();
    table = scripted_table("fake");
    return tarn_backend_register(&table) == TARN_OK ? 0 : -1;
}

static int open_fake(void **state) {
    (void)state;
    scripted_reset();
    return tarn_device_open("fake:0", &device) == TARN_OK ? 0 : -1;
}

static int close_fake(void **state) {
    (void)state;
    return tarn_device_release(device) == TARN_OK ? 0 : -1;
}

static void what_cannot_be_is_refused_before_the_driver(void **state) { /* faults 1, 2, 9 */
    (void)state;
    void *address = &table;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 0, 0, &address), TARN_INVALID_ARGUMENT);
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, SIZE_MAX, 0, &address), TARN_INVALID_ARGUMENT);
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 3, &address), TARN_INVALID_ARGUMENT);
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 8192, &address), TARN_INVALID_ARGUMENT);
    assert_sentence("fake:0");
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_PINNED, 64, 0, &address), TARN_NOT_SUPPORTED);
    assert_fails(hal_memory_allocate(device, (tarn_memory_kind)9, 64, 0, &address), TARN_INVALID_ARGUMENT);
    assert_fails(hal_virtual_reserve(device, 4096, &address), TARN_NOT_SUPPORTED);
    tarn_backend_granule granule = 1;
    assert_fails(hal_granules_create(device, 1, &granule), TARN_NOT_SUPPORTED);
    assert_fails(hal_virtual_map(device, &table, 1, &granule), TARN_NOT_SUPPORTED);
    assert_fails(hal_virtual_unmap(device, &table, 1), TARN_NOT_SUPPORTED);
    assert_ptr_equal(address, &table);
    assert_int_equal(scripted_calls.allocates, 0);
}

static void memory_is_counted_as_it_comes_and_goes(void **state) {
    (void)state;
    void *first, *second;
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 1000, 0, &first));
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 500, 256, &second));
    assert_int_equal((uintptr_t)second & 255, 0);
    assert_int_equal(counters_of(device).memory_in_use, 1500);
    assert_fails(hal_memory_free(device, TARN_MEMORY_DEVICE, first, 999), TARN_INVALID_ARGUMENT);
    assert_fails(hal_memory_free(device, TARN_MEMORY_HOST, first, 1000), TARN_INVALID_ARGUMENT);
    assert_fails(hal_memory_free(device, TARN_MEMORY_DEVICE, (char *)first + 64, 936), TARN_INVALID_ARGUMENT);
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, first, 1000));
    assert_fails(hal_memory_free(device, TARN_MEMORY_DEVICE, first, 1000), TARN_INVALID_ARGUMENT);
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, second, 500));
    tarn_device_counters counters = counters_of(device);
    assert_int_equal(counters.memory_in_use, 0);
    assert_int_equal(counters.memory_peak, 1500);
    assert_int_equal(counters.driver_allocs, 2);
    assert_int_equal(counters.driver_frees, 2);
}

static void success_without_memory_is_caught(void **state) { /* fault 35 */
    (void)state;
    void *address = NULL;
    scripted.gives_null = 1;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &address), TARN_INTERNAL);
    assert_null(address);
    assert_int_equal(scripted_calls.frees, 0);
    assert_int_equal(counters_of(device).memory_in_use, 0);
    scripted.gives_null = 0;
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &address));
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, address, 64));
}

static void misaligned_memory_is_handed_back(void **state) { /* fault 35 */
    (void)state;
    void *address = NULL;
    scripted.address = (void *)(uintptr_t)0x10020;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &address), TARN_INTERNAL);
    assert_sentence("aligned");
    assert_null(address);
    assert_int_equal(scripted_calls.frees, 1);
}

static void overlapping_memory_is_caught_and_not_handed_back(void **state) { /* fault 35 */
    (void)state;
    void *first = NULL, *second = NULL;
    scripted.address = (void *)(uintptr_t)0x10000;
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 4096, 0, &first));
    scripted.address = (void *)(uintptr_t)0x10fc0;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &second), TARN_INTERNAL);
    assert_sentence("overlap");
    scripted.address = (void *)(uintptr_t)0xffc0;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 8192, 0, &second), TARN_INTERNAL);
    assert_null(second);
    assert_int_equal(scripted_calls.frees, 0);
    scripted.address = (void *)(uintptr_t)(UINTPTR_MAX - 63);
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 4096, 0, &second), TARN_INTERNAL);
    assert_sentence("address space");
    scripted.address = (void *)(uintptr_t)0x11000;
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &second));
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, first, 4096));
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, second, 64));
}

static void a_free_that_fails_keeps_the_block(void **state) {
    (void)state;
    void *address = NULL;
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &address));
    scripted.free = TARN_INTERNAL;
    assert_fails(hal_memory_free(device, TARN_MEMORY_DEVICE, address, 64), TARN_INTERNAL);
    assert_int_equal(counters_of(device).memory_in_use, 64);
    scripted.free = TARN_OK;
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, address, 64));
    assert_int_equal(counters_of(device).memory_in_use, 0);
}

static void out_of_memory_is_passed_on_and_a_retry_works(void **state) { /* fault 29 */
    (void)state;
    void *address = NULL;
    scripted.allocate = TARN_OUT_OF_MEMORY;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &address), TARN_OUT_OF_MEMORY);
    assert_null(address);
    scripted.allocate = TARN_OK;
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &address));
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, address, 64));
}

static int losses;

static void count_loss(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)sentence;
    losses += level == TARN_LOG_ERROR;
}

static void a_lost_device_is_latched_and_can_be_destroyed(void **state) { /* fault 30 */
    (void)state;
    void *address = NULL, *other = NULL;
    tarn_stream *stream = NULL;
    tarn_event *event = NULL;
    assert_ok(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &address));
    assert_ok(tarn_stream_create(device, &stream));
    assert_ok(tarn_stream_record(stream, &event));
    tarn_log_set(count_loss, NULL, TARN_LOG_ERROR);
    scripted.allocate = TARN_DEVICE_LOST;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &other), TARN_DEVICE_LOST);
    scripted.allocate = TARN_OK;
    int allocates = scripted_calls.allocates;
    assert_fails(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &other), TARN_DEVICE_LOST);
    assert_fails(tarn_device_synchronize(device), TARN_DEVICE_LOST);
    assert_fails(tarn_stream_synchronize(stream), TARN_DEVICE_LOST);
    assert_fails(tarn_stream_enqueue(stream, gate_pass, NULL), TARN_DEVICE_LOST);
    int is_complete = 42;
    assert_fails(tarn_event_is_complete(event, &is_complete), TARN_DEVICE_LOST);
    assert_int_equal(is_complete, 42);
    assert_int_equal(scripted_calls.allocates, allocates);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    assert_int_equal(losses, 1);

    scripted.address = address; /* the driver's memory is out of reach: the test frees it itself */
    assert_ok(hal_memory_free(device, TARN_MEMORY_DEVICE, address, 64));
    assert_int_equal(scripted_calls.frees, 0);
    assert_int_equal(counters_of(device).memory_in_use, 0);
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_stream_release(stream));
    assert_int_equal(scripted_calls.stream_destroys, 1);
    assert_int_equal(scripted_calls.event_destroys, 1);
    scripted.address = NULL;
    table.memory_free(NULL, TARN_MEMORY_DEVICE, address, 64);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused_before_the_driver, open_fake, close_fake),
        cmocka_unit_test_setup_teardown(memory_is_counted_as_it_comes_and_goes, open_fake, close_fake),
        cmocka_unit_test_setup_teardown(success_without_memory_is_caught, open_fake, close_fake),
        cmocka_unit_test_setup_teardown(misaligned_memory_is_handed_back, open_fake, close_fake),
        cmocka_unit_test_setup_teardown(overlapping_memory_is_caught_and_not_handed_back, open_fake, close_fake),
        cmocka_unit_test_setup_teardown(a_free_that_fails_keeps_the_block, open_fake, close_fake),
        cmocka_unit_test_setup_teardown(out_of_memory_is_passed_on_and_a_retry_works, open_fake, close_fake),
        cmocka_unit_test_setup_teardown(a_lost_device_is_latched_and_can_be_destroyed, open_fake, close_fake),
    };
    return cmocka_run_group_tests(tests, register_fake, NULL);
}
