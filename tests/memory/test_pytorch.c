/* The rules of `pytorch`, one by one, on a driver whose calls are counted; test_pytorch_recorded shows that together they are
 * PyTorch's. */
#include <string.h>

#include "fake.h"
#include "stand.h"
#include "trials.h"

static const char plain[] = "fake:1GiB,flat";
static const char with_pages[] = "fake:1GiB";

static size_t capacity_for(const char *spec, size_t size) {
    test_stand stand;
    stand_open(&stand, spec, "fake:8GiB,flat");
    tarn_buffer *buffer = take(&stand, size, NULL);
    size_t capacity = tarn_buffer_capacity(buffer);
    give(&stand, buffer, NULL);
    stand_close(&stand);
    return capacity;
}

static uint64_t reserved(const test_stand *stand) { return stats_of(stand->allocator).reserved_bytes.current; }
static uintptr_t address_of(const tarn_buffer *buffer) { return (uintptr_t)tarn_buffer_data(buffer); }

static void sizes_are_rounded_to_512_bytes(void **state) {
    (void)state;
    assert_int_equal(capacity_for("pytorch", 1), 512);
    assert_int_equal(capacity_for("pytorch", 512), 512);
    assert_int_equal(capacity_for("pytorch", 513), 1024);
    assert_int_equal(capacity_for("pytorch", 3 * MIB + 1), 3 * MIB + 512);
}

static void steps_between_powers_of_two_round_what_is_large_enough_for_them(void **state) {
    (void)state;
    static const char spec[] = "pytorch:roundup_power2_divisions=4";
    assert_int_equal(capacity_for(spec, 1200), 1536);
    assert_int_equal(capacity_for(spec, 2048), 2048);
    assert_int_equal(capacity_for(spec, 2049), 2560);
    assert_int_equal(capacity_for(spec, 5 * MIB + 1), 6 * MIB);
    assert_int_equal(capacity_for(spec, 8 * MIB), 8 * MIB);
    assert_int_equal(capacity_for(spec, 300 * MIB), 320 * MIB);
    /* The next step is the next power of two. */
    assert_int_equal(capacity_for(spec, 7 * MIB + 1), 8 * MIB);
    assert_int_equal(capacity_for("pytorch:roundup_power2_divisions=1", 5 * MIB + 1), 5 * MIB + 512);
}

static void a_list_of_steps_holds_from_each_size_on(void **state) {
    (void)state;
    static const char spec[] = "pytorch:roundup_power2_divisions=\"[4:2, 8:4,32:8,>:1]\"";
    assert_int_equal(capacity_for(spec, 2 * MIB + 1), 3 * MIB); /* below the first one: as there */
    assert_int_equal(capacity_for(spec, 4 * MIB + 1), 6 * MIB);
    assert_int_equal(capacity_for(spec, 8 * MIB + 1), 10 * MIB);
    assert_int_equal(capacity_for(spec, 17 * MIB + 1), 18 * MIB); /* between two: none, but for the segment's size */
    assert_int_equal(capacity_for(spec, 33 * MIB), 36 * MIB);
    assert_int_equal(capacity_for(spec, 65 * MIB), 66 * MIB);
    /* Only what is larger than the smallest power of two. */
    static const char rest[] = "pytorch:roundup_power2_divisions=\"[>:2]\"";
    assert_int_equal(capacity_for(rest, MIB + 1), MIB + 512);
    assert_int_equal(capacity_for(rest, 2 * MIB + 1), 3 * MIB);
}

static void segments_are_2_mib_20_mib_or_of_the_requests_own(void **state) {
    (void)state;
    static const struct {
        const char *spec;
        size_t size, segment;
    } cases[] = {
        {"pytorch", 1, 2 * MIB},
        {"pytorch", MIB, 2 * MIB},
        {"pytorch", MIB + 1, 20 * MIB},
        {"pytorch", 10 * MIB - 512, 20 * MIB},
        {"pytorch", 10 * MIB, 10 * MIB},
        {"pytorch", 10 * MIB + 1, 12 * MIB},
        {"pytorch:large_segment_size_mb=30", 5 * MIB, 30 * MIB},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_stand stand;
        stand_open(&stand, cases[i].spec, plain);
        tarn_buffer *buffer = take(&stand, cases[i].size, NULL);
        assert_int_equal(reserved(&stand), cases[i].segment);
        give(&stand, buffer, NULL);
        stand_close(&stand);
    }
}

static void small_and_large_requests_have_pools_of_their_own(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", plain);
    give(&stand, take(&stand, 5 * MIB, NULL), NULL);
    tarn_buffer *small = take(&stand, 1000, NULL);
    assert_int_equal(reserved(&stand), 22 * MIB);
    tarn_buffer *other = take(&stand, 1000, stand_stream(&stand, 0));
    assert_int_equal(reserved(&stand), 24 * MIB);
    give(&stand, other, NULL);
    give(&stand, small, NULL);
    stand_close(&stand);
}

/* Two free blocks of 3 and 2 MiB, in that order, then the rest of the segment. */
static void the_smallest_block_that_fits_is_taken_and_of_equals_the_lowest(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", plain);
    static const size_t sizes[] = {3 * MIB, 2 * MIB, 2 * MIB, 2 * MIB, 3 * MIB, 2 * MIB};
    tarn_buffer *buffers[6];
    for (int i = 0; i < 6; i++) buffers[i] = take(&stand, sizes[i], NULL);
    uintptr_t three = address_of(buffers[0]), two = address_of(buffers[2]);
    give(&stand, buffers[4], NULL);
    give(&stand, buffers[0], NULL);
    give(&stand, buffers[2], NULL);
    buffers[2] = take(&stand, 2 * MIB, NULL);
    assert_int_equal(address_of(buffers[2]), two);
    buffers[0] = take(&stand, 3 * MIB, NULL);
    assert_int_equal(address_of(buffers[0]), three);
    assert_int_equal(reserved(&stand), 20 * MIB);
    buffers[4] = take(&stand, 3 * MIB, NULL);
    for (int i = 0; i < 6; i++) give(&stand, buffers[i], NULL);
    stand_close(&stand);
}

static void a_rest_of_up_to_1_mib_stays_with_a_large_block(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", plain);
    tarn_buffer *whole = take(&stand, 19 * MIB, NULL);
    give(&stand, whole, NULL);
    tarn_buffer *buffer = take(&stand, 20 * MIB - MIB, NULL);
    assert_int_equal(tarn_buffer_capacity(buffer), 20 * MIB);
    give(&stand, buffer, NULL);
    buffer = take(&stand, 9 * MIB, NULL);
    tarn_buffer *next = take(&stand, 9 * MIB + 512 * KIB, NULL);
    assert_int_equal(address_of(next), address_of(buffer) + 9 * MIB);
    /* 1.5 MiB are left, and were split off. */
    assert_int_equal(tarn_buffer_capacity(next), 9 * MIB + 512 * KIB);
    assert_int_equal(stats_of(stand.allocator).largest_free_block, MIB + 512 * KIB);
    give(&stand, buffer, NULL);
    give(&stand, next, NULL);
    assert_int_equal(stats_of(stand.allocator).largest_free_block, 20 * MIB);
    stand_close(&stand);
}

static void blocks_beyond_max_split_size_are_for_requests_of_about_their_size(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:max_split_size_mb=50", plain);
    tarn_buffer *large = take(&stand, 100 * MIB, NULL);
    uintptr_t place = address_of(large);
    give(&stand, large, NULL);
    tarn_buffer *small = take(&stand, 30 * MIB, NULL);
    assert_int_equal(reserved(&stand), 130 * MIB); /* not cut from the large one */
    tarn_buffer *middle = take(&stand, 79 * MIB, NULL);
    assert_int_equal(reserved(&stand), 210 * MIB); /* 20 MiB too large, and more */
    large = take(&stand, 81 * MIB, NULL);
    assert_int_equal(address_of(large), place);
    assert_int_equal(tarn_buffer_capacity(large), 100 * MIB);
    give(&stand, large, NULL);
    give(&stand, middle, NULL);
    give(&stand, small, NULL);
    stand_close(&stand);
}

static void max_non_split_rounding_says_how_much_larger(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:max_split_size_mb=50,max_non_split_rounding_mb=40", plain);
    give(&stand, take(&stand, 100 * MIB, NULL), NULL);
    tarn_buffer *buffer = take(&stand, 61 * MIB, NULL);
    assert_int_equal(reserved(&stand), 100 * MIB);
    give(&stand, buffer, NULL);
    buffer = take(&stand, 60 * MIB, NULL);
    assert_int_equal(reserved(&stand), 160 * MIB);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* The device is full: what is cached and too large to be split makes room, the rest stays cached. */
static void oversize_blocks_go_first_when_the_device_has_no_more(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:max_split_size_mb=50", "fake:400MiB,flat");
    tarn_buffer *buffers[3] = {take(&stand, 100 * MIB, NULL), take(&stand, 150 * MIB, NULL),
                               take(&stand, 40 * MIB, NULL)};
    for (int i = 0; i < 3; i++) give(&stand, buffers[i], NULL);
    tarn_buffer *buffer = take(&stand, 200 * MIB, NULL);
    assert_int_equal(stats_of(stand.allocator).retries, 0);
    assert_int_equal(reserved(&stand), 240 * MIB); /* the one of 40 MiB was left alone */
    give(&stand, buffer, NULL);
    /* One that is large enough goes alone. */
    buffers[0] = take(&stand, 55 * MIB, NULL);
    buffers[1] = take(&stand, 80 * MIB, NULL);
    assert_int_equal(reserved(&stand), 376 * MIB);
    buffer = take(&stand, 120 * MIB, NULL);
    assert_int_equal(reserved(&stand), 296 * MIB);
    assert_int_equal(stats_of(stand.allocator).retries, 0);
    give(&stand, buffer, NULL);
    give(&stand, buffers[0], NULL);
    give(&stand, buffers[1], NULL);
    stand_close(&stand);
}

static void everything_cached_goes_before_a_request_fails_and_counts_as_a_retry(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", "fake:400MiB,flat");
    tarn_buffer *first = take(&stand, 100 * MIB, NULL), *second = take(&stand, 150 * MIB, NULL), *none = NULL;
    give(&stand, first, NULL);
    first = take(&stand, 240 * MIB, stand_stream(&stand, 0));
    assert_int_equal(stats_of(stand.allocator).retries, 1);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 100 * MIB, NULL, &none));
    EXPECT_SENTENCE("100 MiB asked");
    EXPECT_SENTENCE("390 MiB in use");
    give(&stand, first, NULL);
    give(&stand, second, NULL);
    stand_close(&stand);
}

static void a_fraction_of_the_device_is_a_limit_that_the_driver_does_not_hear_of(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:per_process_memory_fraction=0.5", plain);
    tarn_buffer *buffer = take(&stand, 500 * MIB, NULL), *none = NULL;
    uint64_t before = counters_of(stand.device).driver_allocs;
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 20 * MIB, NULL, &none));
    EXPECT_SENTENCE("per_process_memory_fraction allows 512 MiB");
    assert_int_equal(counters_of(stand.device).driver_allocs, before);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* 60 % of 1 GiB may be reserved before what is old goes. */
static void old_segments_are_collected_above_the_threshold(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:garbage_collection_threshold=0.6,per_process_memory_fraction=0.999", plain);
    tarn_buffer *old = take(&stand, 300 * MIB, NULL), *used = take(&stand, 200 * MIB, NULL);
    give(&stand, old, NULL);
    for (int i = 0; i < 20; i++) {
        give(&stand, used, NULL);
        used = take(&stand, 150 * MIB, stand_stream(&stand, 0));
        give(&stand, used, NULL);
        used = take(&stand, 200 * MIB, NULL);
    }
    assert_int_equal(reserved(&stand), 650 * MIB);
    give(&stand, used, NULL);
    used = take(&stand, 40 * MIB, stand_stream(&stand, 1));
    /* The one of 300 MiB was the oldest; the two others were used all the time. */
    assert_int_equal(reserved(&stand), 390 * MIB);
    assert_int_equal(stats_of(stand.allocator).retries, 0);
    give(&stand, used, NULL);
    stand_close(&stand);
}

static void without_a_limit_nothing_is_collected(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:garbage_collection_threshold=0.1", plain);
    give(&stand, take(&stand, 300 * MIB, NULL), NULL);
    give(&stand, take(&stand, 300 * MIB, stand_stream(&stand, 0)), NULL);
    assert_int_equal(reserved(&stand), 600 * MIB);
    stand_close(&stand);
}

static void expandable_segments_map_the_pages_that_blocks_reach(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:expandable_segments=True", with_pages);
    tarn_buffer *first = take(&stand, 30 * MIB, NULL);
    assert_int_equal(reserved(&stand), 40 * MIB); /* two pages of 20 MiB */
    tarn_buffer *second = take(&stand, 30 * MIB, NULL);
    assert_int_equal(reserved(&stand), 60 * MIB); /* only what was missing */
    assert_int_equal(address_of(second), address_of(first) + 30 * MIB);
    tarn_buffer *small = take(&stand, 1000, NULL);
    assert_int_equal(reserved(&stand), 62 * MIB);
    /* Whole pages go; the page that is half in use stays. */
    give(&stand, first, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(reserved(&stand), 42 * MIB);
    /* The hole is filled before the end. */
    first = take(&stand, 25 * MIB, NULL);
    assert_true(address_of(first) < address_of(second));
    assert_int_equal(reserved(&stand), 62 * MIB);
    give(&stand, first, NULL);
    give(&stand, second, NULL);
    give(&stand, small, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(reserved(&stand), 0);
    stand_close(&stand);
}

static void the_addresses_of_a_pool_reach_for_9_eighths_of_the_device(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:expandable_segments=True", "sim:8GiB");
    tarn_buffer *most = take(&stand, 7 * GIB, NULL), *pages = take(&stand, 600 * MIB, NULL), *none = NULL;
    give(&stand, most, NULL);
    /* What was mapped at the front is moved behind. */
    most = take(&stand, 7 * GIB + 100 * MIB, NULL);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 9 * GIB, NULL, &none));
    give(&stand, most, NULL);
    give(&stand, pages, NULL);
    stand_close(&stand);
}

static void a_block_followed_by_unmapped_addresses_is_the_last_choice(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:expandable_segments=True", with_pages);
    tarn_buffer *hole = take(&stand, 30 * MIB, NULL), *wall = take(&stand, 5 * MIB, NULL);
    uintptr_t place = address_of(hole);
    give(&stand, hole, NULL);
    /* 5 MiB are free at the end, where the segment can grow; they fit better, and the hole is taken. */
    tarn_buffer *buffer = take(&stand, 4 * MIB, NULL);
    assert_int_equal(address_of(buffer), place);
    give(&stand, buffer, NULL);
    give(&stand, wall, NULL);
    stand_close(&stand);
}

static void blocks_wait_for_each_stream_in_the_order_of_the_frees(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", "fake:1GiB,flat");
    tarn_stream *one = stand_stream(&stand, 0), *two = stand_stream(&stand, 1);
    tarn_buffer *buffer = take(&stand, 5 * MIB, NULL);
    uintptr_t place = address_of(buffer);
    EXPECT_OK(tarn_buffer_record_stream(buffer, one));
    EXPECT_OK(tarn_buffer_record_stream(buffer, two));
    stand_hold(&stand, 0);
    stand_hold(&stand, 1);
    give(&stand, buffer, NULL);
    tarn_buffer *other = take(&stand, 5 * MIB, NULL);
    assert_int_not_equal(address_of(other), place);
    stand_let_go(&stand, 1);
    tarn_buffer *third = take(&stand, 5 * MIB, NULL);
    assert_int_not_equal(address_of(third), place);
    stand_let_go(&stand, 0);
    buffer = take(&stand, 5 * MIB, NULL);
    assert_int_equal(address_of(buffer), place);
    give(&stand, buffer, NULL);
    give(&stand, other, NULL);
    give(&stand, third, NULL);
    stand_close(&stand);
}

/* Polling asks for one event of a stream whose work stands still, however many blocks wait for it. */
static void polling_does_not_grow_with_the_blocks_that_wait(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", "fake:1GiB,flat");
    tarn_stream *one = stand_stream(&stand, 0);
    stand_hold(&stand, 0);
    for (int i = 0; i < 100; i++) {
        tarn_buffer *buffer = take(&stand, 1000, NULL);
        give(&stand, buffer, one);
    }
    fake_fail(FAKE_EVENT_QUERY, 0, 0, TARN_OK);
    tarn_buffer *buffer = take(&stand, 1000, NULL);
    assert_int_equal(fake_calls(), 1);
    fake_fail(0, 0, 0, TARN_OK);
    stand_let_go(&stand, 0);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void a_stream_that_has_ended_is_not_waited_for(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", "fake:1GiB,flat");
    tarn_stream *gone = NULL;
    EXPECT_OK(tarn_stream_create(stand.device, &gone));
    tarn_buffer *buffer = take(&stand, 5 * MIB, NULL);
    uintptr_t place = address_of(buffer);
    EXPECT_OK(tarn_buffer_record_stream(buffer, gone));
    EXPECT_OK(tarn_stream_release(gone));
    fake_fail(FAKE_EVENTS, 0, 0, TARN_OK);
    give(&stand, buffer, NULL);
    buffer = take(&stand, 5 * MIB, NULL);
    assert_int_equal(address_of(buffer), place);
    assert_int_equal(fake_calls(), 0);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* A reclaimer's buffer fits as it is: the driver is not asked for it again. */
static size_t spare(void *context, size_t wanted) {
    tarn_buffer **kept = context;
    if (*kept == NULL) return 0;
    size_t bytes = tarn_buffer_capacity(*kept);
    EXPECT_OK(tarn_buffer_free(*kept, NULL));
    *kept = NULL;
    return bytes > wanted ? bytes : wanted;
}

static void what_a_reclaimer_frees_is_used_as_it_is(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", "fake:400MiB,flat");
    tarn_buffer *most = take(&stand, 290 * MIB, NULL), *kept = take(&stand, 100 * MIB, NULL);
    uintptr_t place = address_of(kept);
    EXPECT_OK(tarn_allocator_add_reclaimer(stand.allocator, spare, &kept));
    tarn_buffer *buffer = take(&stand, 100 * MIB, NULL);
    assert_int_equal(address_of(buffer), place);
    assert_int_equal(reserved(&stand), 390 * MIB);
    EXPECT_OK(tarn_allocator_remove_reclaimer(stand.allocator, spare, &kept));
    give(&stand, buffer, NULL);
    give(&stand, most, NULL);
    stand_close(&stand);
}

static void an_allocator_ends_although_the_driver_takes_nothing_back(void **state) {
    (void)state;
    trial_of_an_end_without_driver("pytorch");
    trial_of_an_end_without_driver("pytorch:expandable_segments=True");
}

/* 9 */
static void garbage_in_the_settings_is_refused_with_its_column(void **state) {
    (void)state;
    static const struct {
        const char *spec, *column;
    } cases[] = {
        {"pytorch:max_split_size_mb=19", "column 9"},
        {"pytorch:max_split_size_mb=0", "column 9"},
        {"pytorch:max_split_size_mb=-1", "column 9"},
        {"pytorch:max_split_size_mb=64MiB", "column 9"},
        {"pytorch:max_split_size_mb=99999999999999999", "column 9"},
        {"pytorch:large_segment_size_mb=10", "column 9"},
        {"pytorch:large_segment_size_mb=64,max_split_size_mb=32", "column 34"},
        {"pytorch:max_non_split_rounding_mb=1", "column 9"},
        {"pytorch:roundup_power2_divisions=3", "column 9"},
        {"pytorch:roundup_power2_divisions=0", "column 9"},
        {"pytorch:roundup_power2_divisions=4x", "column 9"},
        {"pytorch:roundup_power2_divisions=\"[]\"", "column 9"},
        {"pytorch:roundup_power2_divisions=\"[3:4]\"", "column 9"},
        {"pytorch:roundup_power2_divisions=\"[4:3]\"", "column 9"},
        {"pytorch:roundup_power2_divisions=\"[4:4\"", "column 9"},
        {"pytorch:roundup_power2_divisions=\"[4:4,]\"", "column 9"},
        {"pytorch:roundup_power2_divisions=\"[4 4]\"", "column 9"},
        {"pytorch:roundup_power2_divisions=\"[99999999999999999999:4]\"", "column 9"},
        {"pytorch:garbage_collection_threshold=0", "column 9"},
        {"pytorch:garbage_collection_threshold=1", "column 9"},
        {"pytorch:garbage_collection_threshold=x", "column 9"},
        {"pytorch:per_process_memory_fraction=1.5", "column 9"},
        {"pytorch:expandable_segments=yes", "column 9"},
        {"pytorch:release_lock_on_cudamalloc=1", "column 9"},
        {"pytorch:backend=cudaMallocAsync", "column 9"},
        {"pytorch:pinned_num_register_threads=x", "column 9"},
        {"pytorch:pinned_use_cuda_host_register=x", "column 9"},
        {"pytorch:expandable_segments=True,max_split=3", "column 34"},
        {"pytorch:native", "column 9"},
    };
    test_stand stand;
    stand_open(&stand, "pytorch", plain);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_allocator *allocator = NULL;
        tarn_status status = tarn_allocator_create(stand.device, cases[i].spec, &allocator);
        if (status != TARN_INVALID_ARGUMENT || allocator != NULL) fail_msg("%s was taken", cases[i].spec);
        EXPECT_SENTENCE(cases[i].column);
    }
    stand_close(&stand);
}

static void settings_of_other_parts_are_read_and_change_nothing(void **state) {
    (void)state;
    test_stand stand;
    stand_open(
        &stand,
        "pytorch:backend=native,pinned_use_cuda_host_register=True,pinned_num_register_threads=8,"
        "pinned_use_background_threads=False,pinned_reserve_segment_size_mb=1,graph_capture_record_stream_reuse=on",
        plain);
    tarn_buffer *buffer = take(&stand, 5 * MIB, NULL);
    assert_int_equal(reserved(&stand), 20 * MIB);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void without_virtual_memory_expandable_segments_are_plain_ones(void **state) {
    (void)state;
    test_stand stand;
    log_listen();
    stand_open(&stand, "pytorch:expandable_segments=True", plain);
    assert_non_null(strstr(log_heard(), "no virtual memory"));
    log_silence();
    tarn_buffer *buffer = take(&stand, 5 * MIB, NULL);
    assert_int_equal(reserved(&stand), 20 * MIB);
    assert_int_equal(counters_of(stand.device).driver_allocs, 1);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_rounded_to_512_bytes),
        cmocka_unit_test(steps_between_powers_of_two_round_what_is_large_enough_for_them),
        cmocka_unit_test(a_list_of_steps_holds_from_each_size_on),
        cmocka_unit_test(segments_are_2_mib_20_mib_or_of_the_requests_own),
        cmocka_unit_test(small_and_large_requests_have_pools_of_their_own),
        cmocka_unit_test(the_smallest_block_that_fits_is_taken_and_of_equals_the_lowest),
        cmocka_unit_test(a_rest_of_up_to_1_mib_stays_with_a_large_block),
        cmocka_unit_test(blocks_beyond_max_split_size_are_for_requests_of_about_their_size),
        cmocka_unit_test(max_non_split_rounding_says_how_much_larger),
        cmocka_unit_test(oversize_blocks_go_first_when_the_device_has_no_more),
        cmocka_unit_test(everything_cached_goes_before_a_request_fails_and_counts_as_a_retry),
        cmocka_unit_test(a_fraction_of_the_device_is_a_limit_that_the_driver_does_not_hear_of),
        cmocka_unit_test(old_segments_are_collected_above_the_threshold),
        cmocka_unit_test(without_a_limit_nothing_is_collected),
        cmocka_unit_test(expandable_segments_map_the_pages_that_blocks_reach),
        cmocka_unit_test(the_addresses_of_a_pool_reach_for_9_eighths_of_the_device),
        cmocka_unit_test(a_block_followed_by_unmapped_addresses_is_the_last_choice),
        cmocka_unit_test(blocks_wait_for_each_stream_in_the_order_of_the_frees),
        cmocka_unit_test(polling_does_not_grow_with_the_blocks_that_wait),
        cmocka_unit_test(a_stream_that_has_ended_is_not_waited_for),
        cmocka_unit_test(what_a_reclaimer_frees_is_used_as_it_is),
        cmocka_unit_test(an_allocator_ends_although_the_driver_takes_nothing_back),
        cmocka_unit_test(garbage_in_the_settings_is_refused_with_its_column),
        cmocka_unit_test(settings_of_other_parts_are_read_and_change_nothing),
        cmocka_unit_test(without_virtual_memory_expandable_segments_are_plain_ones),
    };
    return cmocka_run_group_tests_name("memory pytorch", tests, NULL, NULL);
}
