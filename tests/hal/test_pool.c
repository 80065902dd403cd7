/* Pools of stream-ordered memory: what is refused before the driver, what its answers are checked for, and what is counted. */
#include "check.h"

#include <string.h>

#include "hal/pool.h"
#include "scripted.h"

/* A pool that gives the address that the test chose, and notes what it was asked. */
static struct {
    void *address;
    tarn_status allocate, free, figures;
    int pools, frees, gives_nothing;
    uint64_t kept;
} pools;

static tarn_status pool_create(tarn_backend_device *handle, const tarn_backend_pool_options *options,
                               tarn_backend_pool **out_pool) {
    (void)handle;
    assert_int_equal(options->release_threshold, 77);
    pools.pools++;
    if (!pools.gives_nothing) *out_pool = (tarn_backend_pool *)(void *)&pools;
    return TARN_OK;
}

static void pool_destroy(tarn_backend_device *handle, tarn_backend_pool *pool) {
    (void)handle, (void)pool;
    pools.pools--;
}

static tarn_status pool_allocate(tarn_backend_device *handle, tarn_backend_pool *pool, tarn_backend_stream *stream,
                                 size_t size, void **out_address) {
    (void)handle, (void)pool, (void)stream, (void)size;
    if (pools.allocate == TARN_OK) *out_address = pools.address;
    return pools.allocate;
}

static tarn_status pool_free(tarn_backend_device *handle, tarn_backend_pool *pool, tarn_backend_stream *stream,
                             void *address, size_t size) {
    (void)handle, (void)pool, (void)stream, (void)address, (void)size;
    pools.frees += pools.free == TARN_OK;
    return pools.free;
}

static tarn_status pool_trim(tarn_backend_device *handle, tarn_backend_pool *pool, uint64_t keep) {
    (void)handle, (void)pool;
    pools.kept = keep;
    return TARN_OK;
}

static tarn_status pool_figures(tarn_backend_device *handle, tarn_backend_pool *pool,
                                tarn_backend_pool_figures *out_figures) {
    (void)handle, (void)pool;
    if (pools.figures != TARN_OK) return pools.figures;
    *out_figures = (tarn_backend_pool_figures){
        .struct_size = sizeof *out_figures, .reserved = 10, .reserved_peak = 5, .used = 3, .used_peak = 4};
    return TARN_OK;
}

static tarn_status pool_reset_peaks(tarn_backend_device *handle, tarn_backend_pool *pool) {
    (void)handle, (void)pool;
    return TARN_OK;
}

static tarn_backend_stream_ordered functions = {
    .struct_size = sizeof functions,
    .pool_create = pool_create,
    .pool_destroy = pool_destroy,
    .pool_allocate = pool_allocate,
    .pool_free = pool_free,
    .pool_trim = pool_trim,
    .pool_figures = pool_figures,
    .pool_reset_peaks = pool_reset_peaks,
};

static const tarn_backend_pool_options options = {.struct_size = sizeof options, .release_threshold = 77};
static tarn_backend table, without;
static tarn_device *device;
static hal_pool *pool;
static _Alignas(4096) unsigned char memory[4096];

static int register_backends(void **state) {
    (void)state;
    scripted_reset();
    table = scripted_table("pooled");
    table.stream_ordered = &functions;
    without = scripted_table("without");
    without.stream_ordered = NULL;
    return tarn_backend_register(&table) == TARN_OK && tarn_backend_register(&without) == TARN_OK ? 0 : -1;
}

static int open_pool(void **state) {
    (void)state;
    scripted_reset();
    scripted.features = TARN_FEATURE_STREAM_ORDERED;
    memset(&pools, 0, sizeof pools);
    pools.address = memory;
    if (tarn_device_open("pooled:0", &device) != TARN_OK) return -1;
    return hal_pool_create(device, &options, &pool) == TARN_OK ? 0 : -1;
}

static int close_pool(void **state) {
    (void)state;
    hal_pool_destroy(pool);
    return tarn_device_release(device) == TARN_OK && pools.pools == 0 ? 0 : -1;
}

static void memory_is_counted_from_the_allocation_to_the_free(void **state) {
    (void)state;
    tarn_stream *stream = tarn_device_default_stream(device);
    void *address = NULL;
    assert_ok(hal_pool_allocate(pool, stream, 1000, &address));
    assert_ptr_equal(address, memory);
    assert_int_equal(counters_of(device).memory_in_use, 1000);
    assert_fails(hal_pool_free(pool, stream, address, 999), TARN_INVALID_ARGUMENT);
    assert_fails(hal_pool_free(pool, stream, memory + 64, 936), TARN_INVALID_ARGUMENT);
    assert_int_equal(pools.frees, 0);
    assert_ok(hal_pool_free(pool, stream, address, 1000));
    assert_fails(hal_pool_free(pool, stream, address, 1000), TARN_INVALID_ARGUMENT);
    assert_int_equal(pools.frees, 1);
    assert_int_equal(counters_of(device).memory_in_use, 0);
    assert_int_equal(counters_of(device).driver_allocs, 1);
    assert_int_equal(counters_of(device).driver_frees, 1);
    assert_ok(hal_pool_trim(pool, 12));
    assert_int_equal(pools.kept, 12);
}

static void a_driver_that_lies_is_caught(void **state) { /* fault 26 */
    (void)state;
    tarn_stream *stream = tarn_device_default_stream(device);
    void *address = NULL, *untouched = &table;
    pools.address = NULL;
    assert_fails(hal_pool_allocate(pool, stream, 64, &untouched), TARN_INTERNAL);
    pools.address = memory + 8;
    assert_fails(hal_pool_allocate(pool, stream, 64, &untouched), TARN_INTERNAL);
    assert_sentence("not aligned");
    assert_int_equal(pools.frees, 1); /* it can be given back */
    pools.address = memory;
    assert_ok(hal_pool_allocate(pool, stream, 256, &address));
    pools.address = memory + 128;
    assert_fails(hal_pool_allocate(pool, stream, 64, &untouched), TARN_INTERNAL);
    assert_sentence("overlap");
    assert_int_equal(pools.frees, 1); /* it might be part of the living one */
    assert_ptr_equal(untouched, &table);
    assert_ok(hal_pool_free(pool, stream, address, 256));
    assert_int_equal(counters_of(device).memory_in_use, 0);
}

static void a_failed_call_changes_nothing_and_can_be_tried_again(void **state) {
    (void)state;
    tarn_stream *stream = tarn_device_default_stream(device);
    tarn_backend_pool_figures figures = {.struct_size = sizeof figures, .reserved = 99};
    void *address = &table;
    pools.allocate = TARN_OUT_OF_MEMORY;
    assert_fails(hal_pool_allocate(pool, stream, 64, &address), TARN_OUT_OF_MEMORY);
    assert_fails(hal_pool_allocate(pool, stream, 0, &address), TARN_INVALID_ARGUMENT);
    assert_fails(hal_pool_allocate(pool, stream, SIZE_MAX, &address), TARN_INVALID_ARGUMENT);
    assert_ptr_equal(address, &table);
    pools.allocate = TARN_OK;
    assert_ok(hal_pool_allocate(pool, stream, 64, &address));
    pools.free = TARN_INTERNAL;
    assert_fails(hal_pool_free(pool, stream, address, 64), TARN_INTERNAL);
    assert_int_equal(counters_of(device).memory_in_use, 64);
    pools.free = TARN_OK;
    assert_ok(hal_pool_free(pool, stream, address, 64));
    pools.figures = TARN_INTERNAL;
    assert_fails(hal_pool_figures(pool, &figures), TARN_INTERNAL);
    assert_int_equal(figures.reserved, 99);
    pools.figures = TARN_OK;
    assert_ok(hal_pool_figures(pool, &figures));
    /* A peak that was read before the figure rose. */
    assert_int_equal(figures.reserved_peak, 10);
    assert_int_equal(figures.used_peak, 4);
}

static void a_captured_stream_is_refused(void **state) {
    (void)state;
    tarn_stream *stream = NULL;
    tarn_graph *graph = NULL;
    void *address = &table;
    assert_ok(tarn_stream_create(device, &stream));
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    assert_fails(hal_pool_allocate(pool, stream, 64, &address), TARN_INVALID_STATE);
    assert_sentence("graph pool");
    assert_ptr_equal(address, &table);
    assert_ok(hal_pool_allocate(pool, tarn_device_default_stream(device), 64, &address));
    assert_fails(hal_pool_free(pool, stream, address, 64), TARN_INVALID_STATE);
    assert_ok(tarn_stream_end_capture(stream, &graph));
    assert_ok(hal_pool_free(pool, stream, address, 64));
    assert_ok(tarn_graph_release(graph));
    assert_ok(tarn_stream_release(stream));
}

static void what_a_lost_device_had_is_freed_on_the_host(void **state) {
    (void)state;
    tarn_stream *stream = tarn_device_default_stream(device);
    void *address = NULL;
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    assert_ok(hal_pool_allocate(pool, stream, 64, &address));
    pools.allocate = TARN_DEVICE_LOST;
    pools.address = memory + 512;
    void *other = NULL;
    assert_fails(hal_pool_allocate(pool, stream, 64, &other), TARN_DEVICE_LOST);
    assert_ok(hal_pool_free(pool, stream, address, 64));
    assert_int_equal(pools.frees, 0);
    assert_fails(hal_pool_trim(pool, 0), TARN_DEVICE_LOST);
    assert_int_equal(counters_of(device).memory_in_use, 0);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
}

static void devices_and_tables_that_are_not_whole_are_refused(void **state) {
    (void)state;
    tarn_device *other = NULL;
    hal_pool *none = NULL;
    scripted_reset();
    assert_ok(tarn_device_open("without:0", &other));
    assert_fails(hal_pool_create(other, &options, &none), TARN_NOT_SUPPORTED);
    assert_sentence("without:0 has no stream-ordered memory");
    assert_ok(tarn_device_release(other));
    scripted.features = TARN_FEATURE_STREAM_ORDERED;
    assert_fails(tarn_device_open("without:1", &other), TARN_INTERNAL);
    assert_sentence("stream-ordered");
    assert_ok(tarn_device_open("pooled:1", &other));
    pools.gives_nothing = 1;
    assert_fails(hal_pool_create(other, &options, &none), TARN_INTERNAL);
    pools.gives_nothing = 0;
    assert_null(none);
    assert_ok(tarn_device_release(other));
    static tarn_backend broken;
    static tarn_backend_stream_ordered part;
    broken = table;
    broken.name = "broken";
    part = functions;
    part.pool_trim = NULL;
    broken.stream_ordered = &part;
    assert_fails(tarn_backend_register(&broken), TARN_INVALID_ARGUMENT);
    assert_sentence("stream-ordered memory but no function pool_trim");
    part = functions;
    part.struct_size--;
    assert_fails(tarn_backend_register(&broken), TARN_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_is_counted_from_the_allocation_to_the_free, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(a_driver_that_lies_is_caught, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(a_failed_call_changes_nothing_and_can_be_tried_again, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(a_captured_stream_is_refused, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(what_a_lost_device_had_is_freed_on_the_host, open_pool, close_pool),
        cmocka_unit_test(devices_and_tables_that_are_not_whole_are_refused),
    };
    return cmocka_run_group_tests_name("stream-ordered pools", tests, register_backends, NULL);
}
