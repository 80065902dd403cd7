/* The contract that every allocator keeps on every device: the five tests of the interface's specification, and what follows
 * from the public header. Numbers in comments are those of the project's list of faults. */
#include <string.h>

#include "stand.h"

/* The specification's Allocate_ReturnsValidBuffer. */
static void allocate_returns_a_valid_buffer(test_stand *stand) {
    tarn_buffer *buffer = take(stand, 1024, NULL);
    assert_int_equal(tarn_buffer_size(buffer), 1024);
    assert_true(tarn_buffer_capacity(buffer) >= 1024);
    assert_true(tarn_buffer_is_valid(buffer));
    assert_non_null(tarn_buffer_data(buffer));
    assert_ptr_equal(tarn_buffer_device(buffer), stand->device);
    assert_non_null(tarn_buffer_allocator(buffer));
    give(stand, buffer, NULL);
    assert_false(tarn_buffer_is_valid(buffer));
}

/* The specification's Allocate_ZeroSize_ThrowsException; 1. */
static void size_zero_is_refused(test_stand *stand) {
    tarn_buffer *buffer = (tarn_buffer *)stand;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_allocate(stand->allocator, 0, NULL, &buffer));
    assert_ptr_equal(buffer, stand);
    assert_true(strlen(tarn_last_error()) > 0);
}

/* The specification's Free_AllowsReuse. */
static void free_allows_reuse(test_stand *stand) {
    give(stand, take(stand, 1024, NULL), NULL);
    give(stand, take(stand, 1024, NULL), NULL);
}

static void freed_memory_is_used_again_without_the_device(test_stand *stand) {
    give(stand, take(stand, 3 * MIB, NULL), NULL);
    tarn_device_counters before = counters_of(stand->device);
    for (int i = 0; i < 100; i++) give(stand, take(stand, 3 * MIB, NULL), NULL);
    tarn_device_counters after = counters_of(stand->device);
    assert_int_equal(after.driver_allocs, before.driver_allocs);
    assert_int_equal(after.driver_maps, before.driver_maps);
    assert_int_equal(after.driver_unmaps, before.driver_unmaps);
    assert_int_equal(after.driver_frees, before.driver_frees);
}

/* The specification's EmptyCache_ReducesCacheSize. */
static void empty_cache_reduces_the_cache(test_stand *stand) {
    give(stand, take(stand, 1024, NULL), NULL);
    give(stand, take(stand, 40 * MIB, NULL), NULL);
    size_t before = tarn_allocator_cache_size(stand->allocator);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_true(tarn_allocator_cache_size(stand->allocator) <= before);
    assert_int_equal(tarn_allocator_cache_size(stand->allocator), 0);
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

static void empty_cache_keeps_live_buffers(test_stand *stand) {
    tarn_buffer *buffers[3] = {take(stand, 700, NULL), take(stand, 5 * MIB, NULL), take(stand, 700, NULL)};
    void *data = tarn_buffer_data(buffers[1]);
    give(stand, buffers[0], NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_true(tarn_buffer_is_valid(buffers[1]));
    assert_ptr_equal(tarn_buffer_data(buffers[1]), data);
    assert_true(tarn_allocator_allocated_size(stand->allocator) >= 5 * MIB + 700);
    give(stand, buffers[1], NULL);
    give(stand, buffers[2], NULL);
}

/* The specification's Dispose_CleansUpResources; shut down twice is fine. */
static void allocate_after_shut_down_is_refused(test_stand *stand) {
    tarn_buffer *live = take(stand, 4096, NULL);
    EXPECT_OK(tarn_allocator_shut_down(stand->allocator));
    EXPECT_OK(tarn_allocator_shut_down(stand->allocator));
    tarn_buffer *buffer = (tarn_buffer *)stand;
    EXPECT(TARN_SHUT_DOWN, tarn_allocator_allocate(stand->allocator, 1024, NULL, &buffer));
    assert_ptr_equal(buffer, stand);
    /* 19 */
    give(stand, live, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
}

/* 2, 3 */
static void sizes_beyond_the_address_space_are_refused_without_a_driver_call(test_stand *stand) {
    const size_t sizes[] = {SIZE_MAX,           SIZE_MAX - 1,       SIZE_MAX - 63,          SIZE_MAX - 255,
                            SIZE_MAX - 511,     SIZE_MAX - 2 * MIB, SIZE_MAX - 2 * MIB + 1, SIZE_MAX - 2 * GIB,
                            (SIZE_MAX >> 1) + 1};
    tarn_device_counters before = counters_of(stand->device);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        tarn_buffer *buffer = (tarn_buffer *)stand;
        tarn_status status = tarn_allocator_allocate(stand->allocator, sizes[i], NULL, &buffer);
        /* A stack with a limit may say that instead. */
        if (status != TARN_LIMIT_EXCEEDED) assert_int_equal(status, TARN_INVALID_ARGUMENT);
        assert_ptr_equal(buffer, stand);
    }
    tarn_device_counters after = counters_of(stand->device);
    assert_int_equal(before.driver_allocs, after.driver_allocs);
    assert_int_equal(before.driver_maps, after.driver_maps);
    give(stand, take(stand, 1, NULL), NULL);
}

static void sizes_of_all_magnitudes_are_served(test_stand *stand) {
    tarn_buffer *buffers[2 * 28];
    int count = 0;
    const size_t largest = stand_large(stand, 128 * MIB);
    for (size_t size = 1; size <= largest; size *= 2) {
        buffers[count++] = take(stand, size, NULL);
        buffers[count++] = take(stand, size + size / 2 + 1, NULL);
    }
    for (int i = 0; i < count; i++) {
        assert_true(tarn_buffer_capacity(buffers[i]) >= tarn_buffer_size(buffers[i]));
        for (int j = 0; j < i; j++) assert_false(buffers_overlap(buffers[i], buffers[j]));
    }
    for (int i = 0; i < count; i += 2) give(stand, buffers[i], NULL);
    for (int i = 1; i < count; i += 2) give(stand, buffers[i], NULL);
}

static void every_buffer_has_the_devices_alignment(test_stand *stand) {
    tarn_buffer *buffers[32];
    for (size_t i = 0; i < 32; i++) {
        buffers[i] = take(stand, 1 + i * 37, NULL);
        assert_int_equal((uintptr_t)tarn_buffer_data(buffers[i]) % stand->properties.alignment, 0);
    }
    for (size_t i = 0; i < 32; i++) give(stand, buffers[i], NULL);
}

/* 9 */
static void any_power_of_two_is_an_alignment_up_to_the_devices_maximum(test_stand *stand) {
    size_t highest = stand->properties.maximum_alignment < 8 * MIB ? stand->properties.maximum_alignment : 8 * MIB;
    for (size_t alignment = 1; alignment <= highest; alignment *= 2) {
        tarn_buffer *first = take_aligned(stand, 100, alignment), *second = take_aligned(stand, 3 * MIB + 1, alignment);
        assert_int_equal((uintptr_t)tarn_buffer_data(first) % alignment, 0);
        assert_int_equal((uintptr_t)tarn_buffer_data(second) % alignment, 0);
        assert_int_equal((uintptr_t)tarn_buffer_data(first) % stand->properties.alignment, 0);
        assert_false(buffers_overlap(first, second));
        give(stand, first, NULL);
        give(stand, second, NULL);
    }
}

/* 9 */
static void other_alignments_are_refused(test_stand *stand) {
    const size_t alignments[] = {3, 6, 100, SIZE_MAX, (SIZE_MAX >> 1) + 1, 2 * stand->properties.maximum_alignment};
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        tarn_allocate_options options = {.struct_size = sizeof options, .alignment = alignments[i]};
        tarn_buffer *buffer = (tarn_buffer *)stand;
        EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_allocate_with(stand->allocator, 64, &options, &buffer));
        assert_ptr_equal(buffer, stand);
    }
    /* A size that fits alone but not with its alignment. */
    tarn_allocate_options options = {.struct_size = sizeof options, .alignment = stand->properties.maximum_alignment};
    tarn_buffer *buffer = (tarn_buffer *)stand;
    assert_int_not_equal(tarn_allocator_allocate_with(stand->allocator, SIZE_MAX - 100, &options, &buffer), TARN_OK);
    assert_ptr_equal(buffer, stand);
}

/* 10 */
static void null_handles_are_refused(test_stand *stand) {
    tarn_buffer *buffer = NULL;
    tarn_allocator *allocator = (tarn_allocator *)stand;
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(NULL, "caching", &allocator));
    assert_ptr_equal(allocator, stand);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(stand->device, "caching", NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_allocate(NULL, 1, NULL, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_allocate(stand->allocator, 1, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_allocate_with(NULL, 1, NULL, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_allocate_with(stand->allocator, 1, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(stand->allocator, stand, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(NULL, stand, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(stand->allocator, NULL, &buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_empty_cache(NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_shut_down(NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_stats(NULL, &stats));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_stats(stand->allocator, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_reset_peaks(NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_set_limit(NULL, 1));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_add_reclaimer(NULL, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_add_reclaimer(stand->allocator, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_each_block(stand->allocator, NULL, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_check(NULL));
    assert_null(buffer);
    assert_int_equal(tarn_allocator_cache_size(NULL), 0);
    assert_int_equal(tarn_allocator_allocated_size(NULL), 0);
    assert_null(tarn_allocator_device(NULL));
    EXPECT_OK(tarn_allocator_release(NULL));
    EXPECT_OK(tarn_allocator_free(stand->allocator, NULL, NULL));
    EXPECT_OK(tarn_buffer_free(NULL, NULL));
    assert_null(tarn_buffer_data(NULL));
    assert_int_equal(tarn_buffer_size(NULL), 0);
    assert_int_equal(tarn_buffer_capacity(NULL), 0);
    assert_null(tarn_buffer_device(NULL));
    assert_null(tarn_buffer_allocator(NULL));
    assert_false(tarn_buffer_is_valid(NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_record_stream(NULL, NULL));
}

/* 11 */
static void unknown_struct_sizes_are_refused(test_stand *stand) {
    tarn_buffer *buffer = (tarn_buffer *)stand;
    tarn_allocate_options options = {.struct_size = 0};
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_allocate_with(stand->allocator, 64, &options, &buffer));
    assert_ptr_equal(buffer, stand);
    tarn_memory_stats stats = {.struct_size = 0};
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_stats(stand->allocator, &stats));
}

static void a_smaller_options_structure_has_defaults_for_its_tail(test_stand *stand) {
    tarn_allocate_options options = {.alignment = 4096, .stream = (tarn_stream *)stand, .tag = "never read"};
    options.struct_size = offsetof(tarn_allocate_options, stream);
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate_with(stand->allocator, 64, &options, &buffer));
    assert_int_equal((uintptr_t)tarn_buffer_data(buffer) % 4096, 0);
    give(stand, buffer, NULL);
    EXPECT_OK(tarn_allocator_allocate_with(stand->allocator, 64, NULL, &buffer));
    give(stand, buffer, NULL);
}

/* 12 */
static void another_devices_stream_is_refused(test_stand *stand) {
    tarn_device *other = NULL;
    tarn_stream *foreign = NULL;
    EXPECT_OK(tarn_device_open("sim:1GiB", &other));
    EXPECT_OK(tarn_stream_create(other, &foreign));
    tarn_buffer *buffer = (tarn_buffer *)stand;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_allocate(stand->allocator, 64, foreign, &buffer));
    assert_ptr_equal(buffer, stand);
    buffer = take(stand, 64, NULL);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_record_stream(buffer, foreign));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, buffer, foreign));
    assert_true(tarn_buffer_is_valid(buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(buffer, foreign));
    assert_true(tarn_buffer_is_valid(buffer));
    give(stand, buffer, NULL);
    EXPECT_OK(tarn_stream_release(foreign));
    EXPECT_OK(tarn_device_release(other));
}

static void the_whole_capacity_is_writable_and_no_buffer_sees_another(test_stand *stand) {
    const size_t sizes[] = {1, 63, 64, 65, 511, 4095, 4096, 4097, 100 * KIB, MIB - 1, 2 * MIB, 2 * MIB + 1, 5 * MIB};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    tarn_buffer *buffers[COUNT];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            buffers[i] = take(stand, sizes[i], NULL);
            memset(tarn_buffer_data(buffers[i]), (int)(i + 1), tarn_buffer_capacity(buffers[i]));
        }
        for (size_t i = 0; i < COUNT; i++) {
            const unsigned char *bytes = tarn_buffer_data(buffers[i]);
            size_t capacity = tarn_buffer_capacity(buffers[i]), k = 0;
            /* All are alike where each is like the next. */
            if (bytes[0] == i + 1 && memcmp(bytes, bytes + 1, capacity - 1) == 0) continue;
            while (bytes[k] == i + 1) k++;
            fail_msg("byte %zu of a buffer of %zu was overwritten", k, sizes[i]);
        }
        for (size_t i = 0; i < COUNT; i++) give(stand, buffers[(i + (size_t)round * 5) % COUNT], NULL);
        if (round == 1) EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    }
}

static void find_gives_the_buffer_that_starts_at_a_pointer(test_stand *stand) {
    tarn_buffer *small = take(stand, 100, NULL), *large = take(stand, 9 * MIB, NULL), *found = NULL;
    EXPECT_OK(tarn_allocator_find(stand->allocator, tarn_buffer_data(small), &found));
    assert_ptr_equal(found, small);
    EXPECT_OK(tarn_allocator_find(stand->allocator, tarn_buffer_data(large), &found));
    assert_ptr_equal(found, large);
    void *gone = tarn_buffer_data(small);
    give(stand, small, NULL);
    found = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(stand->allocator, gone, &found));
    assert_null(found);
    give(stand, large, NULL);
}

static void the_spec_is_told_and_creates_the_same_stack(test_stand *stand) {
    const char *spec = tarn_allocator_spec(stand->allocator);
    assert_non_null(spec);
    tarn_allocator *again = NULL;
    EXPECT_OK(tarn_allocator_create(stand->device, spec, &again));
    assert_string_equal(tarn_allocator_spec(again), spec);
    EXPECT_OK(tarn_allocator_release(again));
    assert_ptr_equal(tarn_allocator_device(stand->allocator), stand->device);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(allocate_returns_a_valid_buffer, 0),
        CONFORMANCE_TEST(size_zero_is_refused, 0),
        CONFORMANCE_TEST(free_allows_reuse, 0),
        CONFORMANCE_TEST(freed_memory_is_used_again_without_the_device, SPEC_CACHES),
        CONFORMANCE_TEST(empty_cache_reduces_the_cache, 0),
        CONFORMANCE_TEST(empty_cache_keeps_live_buffers, 0),
        CONFORMANCE_TEST(allocate_after_shut_down_is_refused, 0),
        CONFORMANCE_TEST(sizes_beyond_the_address_space_are_refused_without_a_driver_call, 0),
        CONFORMANCE_TEST(sizes_of_all_magnitudes_are_served, 0),
        CONFORMANCE_TEST(every_buffer_has_the_devices_alignment, 0),
        CONFORMANCE_TEST(any_power_of_two_is_an_alignment_up_to_the_devices_maximum, 0),
        CONFORMANCE_TEST(other_alignments_are_refused, 0),
        CONFORMANCE_TEST(null_handles_are_refused, 0),
        CONFORMANCE_TEST(unknown_struct_sizes_are_refused, 0),
        CONFORMANCE_TEST(a_smaller_options_structure_has_defaults_for_its_tail, 0),
        CONFORMANCE_TEST(another_devices_stream_is_refused, 0),
        CONFORMANCE_TEST(the_whole_capacity_is_writable_and_no_buffer_sees_another, DEVICE_STORES),
        CONFORMANCE_TEST(find_gives_the_buffer_that_starts_at_a_pointer, 0),
        CONFORMANCE_TEST(the_spec_is_told_and_creates_the_same_stack, 0),
    };
    return conformance_run("memory contract", tests, sizeof tests / sizeof tests[0]);
}
