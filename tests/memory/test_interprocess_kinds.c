/* Which buffers can be given to another process: those of every strategy that was told kind=shared, wherever in a segment they lie, and no
 * others, which is said with what to do about it. Importing in the exporting process shows the same as in another one. */
#include <string.h>

#include "stand.h"

static const char *const shared_specs[] = {
    "direct:kind=shared", "caching:kind=shared",    "caching:kind=shared,settle=0",
    "graph:kind=shared",  "predictive:kind=shared", "pool:kind=shared",
    "arena:kind=shared",  "planned:kind=shared",    "track | limit:64MiB | arena | caching:kind=shared"};

static void expect_shared(tarn_device *device, const tarn_buffer *buffer, unsigned char letter) {
    tarn_exported_buffer exported = {.struct_size = sizeof exported};
    tarn_buffer *imported = NULL;
    size_t size = tarn_buffer_size(buffer);
    memset(tarn_buffer_data(buffer), letter, size);
    EXPECT_OK(tarn_buffer_export(buffer, &exported));
    EXPECT_OK(tarn_buffer_import(device, &exported, NULL, &imported));
    assert_int_equal(tarn_buffer_size(imported), size);
    unsigned char *seen = tarn_buffer_data(imported);
    assert_ptr_not_equal(seen, tarn_buffer_data(buffer));
    for (size_t i = 0; i < size; i++) assert_int_equal(seen[i], letter);
    /* And the other way. */
    seen[size - 1] = '!';
    assert_int_equal(((const unsigned char *)tarn_buffer_data(buffer))[size - 1], '!');
    EXPECT_OK(tarn_buffer_free(imported, NULL));
    tarn_exported_buffer_close(&exported);
}

static void every_strategy_that_is_told_so_has_buffers_for_other_processes(void **state) {
    (void)state;
    static const size_t sizes[] = {700, 5000, 300 * KIB, 3 * MIB};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    tarn_device *device = NULL;
    EXPECT_OK(tarn_device_open("cpu", &device));
    for (size_t s = 0; s < sizeof shared_specs / sizeof shared_specs[0]; s++) {
        tarn_allocator *allocator = NULL;
        tarn_buffer *buffers[SIZES] = {NULL};
        EXPECT_OK(tarn_allocator_create(device, shared_specs[s], &allocator));
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < SIZES; i++) EXPECT_OK(tarn_allocator_allocate(allocator, sizes[i], NULL, &buffers[i]));
            for (int i = 0; i < SIZES; i++) expect_shared(device, buffers[i], (unsigned char)('a' + i));
            for (int i = 0; i < SIZES; i++) EXPECT_OK(tarn_allocator_free(allocator, buffers[i], NULL));
        }
        EXPECT_OK(tarn_allocator_release(allocator));
    }
    EXPECT_OK(tarn_device_release(device));
}

static void other_buffers_are_refused_with_what_to_ask_for(void **state) {
    (void)state;
    static const struct {
        const char *device, *spec;
    } others[] = {{"cpu", "caching"}, {"cpu", "direct"}, {"cpu", "pool | caching"}, {"cpu", "graph"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        tarn_device *device = NULL;
        tarn_allocator *allocator = NULL;
        tarn_buffer *buffer = NULL;
        tarn_exported_buffer exported = {.struct_size = sizeof exported, .descriptor = -7};
        EXPECT_OK(tarn_device_open(others[i].device, &device));
        EXPECT_OK(tarn_allocator_create(device, others[i].spec, &allocator));
        EXPECT_OK(tarn_allocator_allocate(allocator, 5000, NULL, &buffer));
        EXPECT(TARN_NOT_SUPPORTED, tarn_buffer_export(buffer, &exported));
        EXPECT_SENTENCE("a buffer of ");
        EXPECT_SENTENCE("kind=shared");
        EXPECT_SENTENCE("caching:kind=shared");
        assert_int_equal(exported.descriptor, -7);
        EXPECT_OK(tarn_allocator_free(allocator, buffer, NULL));
        EXPECT_OK(tarn_allocator_release(allocator));
        EXPECT_OK(tarn_device_release(device));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_strategy_that_is_told_so_has_buffers_for_other_processes),
        cmocka_unit_test(other_buffers_are_refused_with_what_to_ask_for),
    };
    return cmocka_run_group_tests_name("buffers for other processes, by strategy", tests, NULL, NULL);
}
