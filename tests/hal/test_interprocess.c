/* Memory between processes in the hardware layer: what a driver may answer, and what becomes of it. */
#include "check.h"

#include <stdlib.h>

#include "hal/memory.h"
#include "scripted.h"

#define SIZE 4096

static struct {
    tarn_status export, import, close;
    void *address; /* what imports get; NULL: memory of malloc's */
    int gives_null, gives_no_descriptor;
    int closes;
} shared;

static tarn_status memory_export(tarn_backend_device *device, void *address, size_t size, int *out_descriptor) {
    (void)device, (void)address, (void)size;
    if (shared.export == TARN_OK && !shared.gives_no_descriptor) *out_descriptor = 77;
    return shared.export;
}

static tarn_status memory_import(tarn_backend_device *device, int descriptor, size_t size, size_t alignment,
                                 void **out_address) {
    (void)device, (void)descriptor;
    if (shared.import != TARN_OK || shared.gives_null) return shared.import;
    *out_address = shared.address != NULL ? shared.address : aligned_alloc(alignment, size);
    return TARN_OK;
}

static tarn_status memory_close(tarn_backend_device *device, void *address, size_t size) {
    (void)device, (void)size;
    shared.closes++;
    if (shared.close == TARN_OK && address != shared.address) free(address);
    return shared.close;
}

static const tarn_backend_interprocess functions = {.struct_size = sizeof functions,
                                                    .memory_export = memory_export,
                                                    .memory_import = memory_import,
                                                    .memory_close = memory_close};

static tarn_status properties(tarn_backend_device *device, tarn_device_properties *out_properties) {
    tarn_status status = scripted_table("shared").device_properties(device, out_properties);
    out_properties->memory_kinds |= TARN_MEMORY_KIND_BIT(TARN_MEMORY_SHARED);
    return status;
}

static int open_device(void **state) {
    static tarn_backend table;
    static int is_registered;
    scripted_reset();
    shared.export = shared.import = shared.close = TARN_OK;
    shared.address = NULL;
    shared.gives_null = shared.gives_no_descriptor = shared.closes = 0;
    if (!is_registered) {
        table = scripted_table("shared");
        table.interprocess = &functions;
        table.device_properties = properties;
        if (tarn_backend_register(&table) != TARN_OK) return -1;
    }
    is_registered = 1;
    return tarn_device_open("shared:0", (tarn_device **)state) == TARN_OK ? 0 : -1;
}

static int close_device(void **state) { return (int)tarn_device_release(*state); }

static void the_whole_allocation_is_exported(void **state) {
    void *address, *segment = NULL;
    size_t size = 0;
    int descriptor = 0;
    assert_ok(hal_memory_allocate(*state, TARN_MEMORY_SHARED, SIZE, 0, &address));
    assert_ok(hal_memory_export(*state, (char *)address + 100, 28, &segment, &size, &descriptor));
    assert_ptr_equal(segment, address);
    assert_int_equal(size, SIZE);
    assert_int_equal(descriptor, 77);
    assert_fails(hal_memory_export(*state, (char *)address + 100, SIZE, &segment, &size, &descriptor),
                 TARN_NOT_SUPPORTED);
    shared.gives_no_descriptor = 1;
    assert_fails(hal_memory_export(*state, address, SIZE, &segment, &size, &descriptor), TARN_INTERNAL);
    shared.export = TARN_OUT_OF_MEMORY;
    assert_fails(hal_memory_export(*state, address, SIZE, &segment, &size, &descriptor), TARN_OUT_OF_MEMORY);
    assert_ok(hal_memory_free(*state, TARN_MEMORY_SHARED, address, SIZE));
}

static void imported_memory_is_given_back_in_its_own_way_and_counts_as_nothing(void **state) {
    void *address;
    assert_ok(hal_memory_import(*state, 77, SIZE, &address));
    assert_int_equal(counters_of(*state).memory_in_use, 0);
    assert_fails(hal_memory_free(*state, TARN_MEMORY_SHARED, address, SIZE), TARN_INVALID_ARGUMENT);
    assert_fails(hal_memory_close(*state, address, SIZE / 2), TARN_INVALID_ARGUMENT);
    shared.close = TARN_INTERNAL;
    assert_fails(hal_memory_close(*state, address, SIZE), TARN_INTERNAL);
    shared.close = TARN_OK;
    assert_ok(hal_memory_close(*state, address, SIZE));
    assert_fails(hal_memory_close(*state, address, SIZE), TARN_INVALID_ARGUMENT);
}

static void a_driver_that_lies_about_an_import_is_not_believed(void **state) {
    static char somewhere[SIZE * 2];
    void *address = NULL, *first;
    shared.import = TARN_INVALID_STATE;
    assert_fails(hal_memory_import(*state, 77, SIZE, &address), TARN_INVALID_STATE);
    shared.import = TARN_OK;
    shared.gives_null = 1;
    assert_fails(hal_memory_import(*state, 77, SIZE, &address), TARN_INTERNAL);
    shared.gives_null = 0;
    shared.address = somewhere + 1;
    assert_fails(hal_memory_import(*state, 77, SIZE, &address), TARN_INTERNAL);
    assert_int_equal(shared.closes, 1);
    shared.address = NULL;
    assert_ok(hal_memory_import(*state, 77, SIZE, &first));
    shared.address = first;
    assert_fails(hal_memory_import(*state, 77, SIZE, &address), TARN_INTERNAL);
    assert_int_equal(shared.closes, 1);
    assert_null(address);
    shared.address = NULL;
    assert_ok(hal_memory_close(*state, first, SIZE));
}

static void a_close_that_fails_is_tried_again_with_the_last_reference(void **state) {
    tarn_allocator *allocator;
    tarn_buffer *buffer, *imported;
    tarn_exported_buffer exported = {.struct_size = sizeof exported};
    assert_ok(tarn_allocator_create(*state, "direct:kind=shared", &allocator));
    assert_ok(tarn_allocator_allocate(allocator, SIZE, NULL, &buffer));
    assert_ok(tarn_buffer_export(buffer, &exported));
    assert_ok(tarn_buffer_import(*state, &exported, NULL, &imported));
    tarn_allocator *owner = tarn_allocator_retain(tarn_buffer_allocator(imported));
    shared.close = TARN_INTERNAL;
    assert_fails(tarn_buffer_free(imported, NULL), TARN_INTERNAL);
    shared.close = TARN_OK;
    assert_ok(tarn_allocator_release(owner));
    assert_int_equal(shared.closes, 2);
    assert_ok(tarn_buffer_free(buffer, NULL));
    assert_ok(tarn_allocator_release(allocator));
}

#define INTERPROCESS_TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)

int main(void) {
    const struct CMUnitTest tests[] = {
        INTERPROCESS_TEST(the_whole_allocation_is_exported),
        INTERPROCESS_TEST(imported_memory_is_given_back_in_its_own_way_and_counts_as_nothing),
        INTERPROCESS_TEST(a_driver_that_lies_about_an_import_is_not_believed),
        INTERPROCESS_TEST(a_close_that_fails_is_tried_again_with_the_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
