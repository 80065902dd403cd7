/* What `pytorch` has for pools of captured work beyond PyTorch's rules: addresses that are asked for, cached memory that stays, and
 * segments that are not split. */
#include "fake.h"
#include "stand.h"
#include "trials.h"

static uint64_t reserved(const test_stand *stand) { return stats_of(stand->allocator).reserved_bytes.current; }

static tarn_status take_at(const test_stand *stand, const void *address, size_t size, tarn_stream *stream,
                           tarn_buffer **out_buffer) {
    tarn_allocate_options options = {.struct_size = sizeof options, .stream = stream, .address = address};
    return tarn_allocator_allocate_with(stand->allocator, size, &options, out_buffer);
}

static void trial_of_buffers_that_come_back(const char *spec) {
    enum { COUNT = 6 };
    static const size_t sizes[COUNT] = {512, 3 * MIB + 512, 7000, 2 * MIB, 15 * MIB, MIB};
    test_stand stand;
    stand_open(&stand, spec, "fake:1GiB");
    tarn_buffer *buffers[COUNT];
    const void *addresses[COUNT];
    size_t capacities[COUNT], order[COUNT] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        buffers[i] = take(&stand, sizes[i], NULL);
        addresses[i] = tarn_buffer_data(buffers[i]);
        capacities[i] = tarn_buffer_capacity(buffers[i]);
        size_t place = i;
        for (; place > 0 && addresses[order[place - 1]] < addresses[i]; place--) order[place] = order[place - 1];
        order[place] = i;
    }
    uint64_t before = reserved(&stand);
    for (size_t i = 0; i < COUNT; i++) give(&stand, buffers[i], NULL);
    tarn_buffer *other = take(&stand, 600, NULL);
    give(&stand, other, NULL);
    for (size_t i = 0; i < COUNT; i++) {
        EXPECT_OK(take_at(&stand, addresses[order[i]], sizes[order[i]], NULL, &buffers[order[i]]));
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_ptr_equal(tarn_buffer_data(buffers[i]), addresses[i]);
        assert_int_equal(tarn_buffer_capacity(buffers[i]), capacities[i]);
        give(&stand, buffers[i], NULL);
    }
    assert_int_equal(reserved(&stand), before);
    stand_close(&stand);
}

static void buffers_come_back_where_they_were_from_the_highest_down(void **state) {
    (void)state;
    trial_of_buffers_that_come_back("pytorch");
    trial_of_buffers_that_come_back("pytorch:keep=on");
    trial_of_buffers_that_come_back("limit:1GiB | track | fail: | pytorch");
    trial_of_buffers_that_come_back("pytorch:expandable_segments=True");
}

static void an_address_that_cannot_be_had_is_refused_and_nothing_changes(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", "fake:1GiB,flat");
    tarn_buffer *first = take(&stand, 4096, NULL), *second = take(&stand, 4096, NULL), *none = NULL;
    char *address = tarn_buffer_data(first);
    EXPECT(TARN_BUSY, take_at(&stand, address, 512, NULL, &none));
    EXPECT(TARN_BUSY, take_at(&stand, address + 1024, 512, NULL, &none));
    give(&stand, first, NULL);
    EXPECT(TARN_BUSY, take_at(&stand, address, 4097, NULL, &none));
    EXPECT_SENTENCE("not all of it is free");
    EXPECT(TARN_INVALID_ARGUMENT, take_at(&stand, address + 1, 16, NULL, &none));
    EXPECT_SENTENCE("aligned");
    EXPECT(TARN_INVALID_ARGUMENT, take_at(&stand, address - 4 * MIB, 512, NULL, &none));
    EXPECT(TARN_INVALID_ARGUMENT, take_at(&stand, address + 4 * MIB, 512, NULL, &none));
    EXPECT(TARN_INVALID_ARGUMENT, take_at(&stand, &stand, 512, NULL, &none));
    EXPECT(TARN_INVALID_ARGUMENT, take_at(&stand, address, 512, stand_stream(&stand, 0), &none));
    EXPECT_SENTENCE("the stream has no memory");
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    assert_int_equal(stats_of(stand.allocator).blocks.current, 1);
    EXPECT_OK(take_at(&stand, address + 1024, 512, NULL, &first));
    assert_ptr_equal(tarn_buffer_data(first), address + 1024);
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    give(&stand, first, NULL);
    give(&stand, second, NULL);
    stand_close(&stand);
}

static void what_waits_for_a_stream_is_not_free_yet(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch", "sim:1GiB,lag=1s");
    tarn_stream *other = stand_stream(&stand, 0);
    tarn_buffer *buffer = take(&stand, 4 * MIB, NULL), *again = NULL;
    const void *address = tarn_buffer_data(buffer);
    EXPECT_OK(tarn_buffer_record_stream(buffer, other));
    give(&stand, buffer, NULL);
    EXPECT(TARN_BUSY, take_at(&stand, address, 4 * MIB, NULL, &again));
    EXPECT_OK(tarn_stream_synchronize(other));
    EXPECT_OK(take_at(&stand, address, 4 * MIB, NULL, &again));
    give(&stand, again, NULL);
    stand_close(&stand);
}

static void stacks_that_choose_addresses_themselves_say_so(void **state) {
    (void)state;
    static const char *const specs[][2] = {{"direct", "'direct'"},
                                           {"caching", "'caching'"},
                                           {"limit:1GiB | caching", "'caching'"},
                                           {"guard | pytorch", "'guard'"},
                                           {"fallback:direct | pytorch", "'fallback'"},
                                           {"pool | pytorch", "'pool'"}};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        test_stand stand;
        stand_open(&stand, specs[i][0], "fake:1GiB");
        tarn_buffer *buffer = take(&stand, 4096, NULL), *none = NULL;
        const void *address = tarn_buffer_data(buffer);
        give(&stand, buffer, NULL);
        EXPECT(TARN_NOT_SUPPORTED, take_at(&stand, address, 4096, NULL, &none));
        EXPECT_SENTENCE(specs[i][1]);
        stand_close(&stand);
    }
}

static void with_keep_nothing_cached_goes_but_by_empty_cache(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:keep=on,garbage_collection_threshold=0.1,per_process_memory_fraction=0.9",
               "fake:400MiB,flat");
    tarn_buffer *buffer = take(&stand, 200 * MIB, NULL), *none = NULL;
    const void *address = tarn_buffer_data(buffer);
    give(&stand, buffer, NULL);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 300 * MIB, NULL, &none));
    EXPECT_SENTENCE("300 MiB asked");
    assert_int_equal(reserved(&stand), 200 * MIB);
    assert_int_equal(stats_of(stand.allocator).retries, 0);
    buffer = take(&stand, 200 * MIB, NULL);
    assert_ptr_equal(tarn_buffer_data(buffer), address);
    give(&stand, buffer, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(reserved(&stand), 0);
    buffer = take(&stand, 300 * MIB, NULL);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

typedef struct spare {
    test_stand *stand;
    tarn_buffer *buffer;
} spare;

static size_t free_spare(void *context, size_t wanted_bytes) {
    spare *kept = context;
    (void)wanted_bytes;
    if (kept->buffer == NULL) return 0;
    size_t size = tarn_buffer_capacity(kept->buffer);
    give(kept->stand, kept->buffer, NULL);
    kept->buffer = NULL;
    return size;
}

static void with_keep_reclaimers_are_asked_and_what_they_free_is_used(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:keep=on", "fake:400MiB,flat");
    spare kept = {.stand = &stand, .buffer = take(&stand, 300 * MIB, NULL)};
    const void *address = tarn_buffer_data(kept.buffer);
    EXPECT_OK(tarn_allocator_add_reclaimer(stand.allocator, free_spare, &kept));
    tarn_buffer *buffer = take(&stand, 200 * MIB, NULL), *none = NULL;
    assert_ptr_equal(tarn_buffer_data(buffer), address);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 300 * MIB, NULL, &none));
    EXPECT_OK(tarn_allocator_remove_reclaimer(stand.allocator, free_spare, &kept));
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

static void without_split_each_buffer_is_a_segment(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "pytorch:split=off", "fake:400MiB,flat");
    tarn_buffer *small = take(&stand, 512, NULL), *large = take(&stand, 3 * MIB, NULL);
    assert_int_equal(tarn_buffer_capacity(small), 2 * MIB);
    assert_int_equal(tarn_buffer_capacity(large), 20 * MIB);
    const void *address = tarn_buffer_data(large);
    give(&stand, large, NULL);
    large = take(&stand, 2 * MIB, NULL);
    assert_ptr_equal(tarn_buffer_data(large), address);
    assert_int_equal(tarn_buffer_capacity(large), 20 * MIB);
    give(&stand, small, NULL);
    give(&stand, large, NULL);
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_come_back_where_they_were_from_the_highest_down),
        cmocka_unit_test(an_address_that_cannot_be_had_is_refused_and_nothing_changes),
        cmocka_unit_test(what_waits_for_a_stream_is_not_free_yet),
        cmocka_unit_test(stacks_that_choose_addresses_themselves_say_so),
        cmocka_unit_test(with_keep_nothing_cached_goes_but_by_empty_cache),
        cmocka_unit_test(with_keep_reclaimers_are_asked_and_what_they_free_is_used),
        cmocka_unit_test(without_split_each_buffer_is_a_segment),
    };
    return cmocka_run_group_tests_name("memory pytorch place", tests, NULL, NULL);
}
