/* fallback: the next allocator when the first has no more, and every free to the block's owner. */
#include <string.h>

#include "stand.h"

static size_t device_bytes(test_stand *stand) {
    return counters_of(stand->device).memory_in_use - stand->memory_before;
}

static void memory_comes_from_the_second_when_the_first_has_no_more(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "fallback:direct:kind=pinned | fail:at=2,count=2 | caching", "cpu");
    tarn_buffer *buffers[4];
    tarn_allocator *owners[4];
    for (size_t i = 0; i < 4; i++) {
        buffers[i] = take(&stand, (i + 1) * MIB, NULL);
        owners[i] = tarn_buffer_allocator(buffers[i]);
        memset(tarn_buffer_data(buffers[i]), (int)i, (i + 1) * MIB);
    }
    assert_string_equal(tarn_allocator_spec(owners[0]), "caching");
    assert_string_equal(tarn_allocator_spec(owners[1]), "direct:kind=pinned");
    assert_ptr_equal(owners[1], owners[2]);
    assert_ptr_equal(owners[0], owners[3]);
    tarn_memory_stats stats = stats_of(stand.allocator);
    assert_int_equal(stats.requested_bytes.current, 10 * MIB);
    assert_int_equal(stats.requested_bytes.peak, 10 * MIB);
    assert_int_equal(stats.blocks.current, 4);
    assert_int_equal(stats.failed_allocations, 0);
    assert_int_equal(stats.reserved_bytes.current, device_bytes(&stand));
    for (size_t i = 0; i < 4; i++) {
        tarn_buffer *found = NULL;
        EXPECT_OK(tarn_allocator_find(stand.allocator, tarn_buffer_data(buffers[i]), &found));
        assert_ptr_equal(found, buffers[i]);
    }
    /* What the second handed out goes back to it whatever the first could serve now. */
    size_t before = device_bytes(&stand);
    give(&stand, buffers[1], NULL);
    give(&stand, buffers[2], NULL);
    assert_int_equal(device_bytes(&stand), before - 5 * MIB);
    give(&stand, buffers[0], NULL);
    give(&stand, buffers[3], NULL);
    stand_close(&stand);
}

static void a_second_that_has_no_more_either_tells_of_both(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "fallback:\"limit:1MiB|direct\" | caching", "sim:64MiB");
    tarn_buffer *buffer = NULL;
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 65 * MIB, NULL, &buffer));
    EXPECT_SENTENCE("65 MiB asked, the device has 64 MiB");
    EXPECT_SENTENCE("and instead of it: sim:64MiB: 65 MiB asked, limit 1 MiB");
    assert_null(buffer);
    assert_int_equal(stats_of(stand.allocator).failed_allocations, 1);
    stand_close(&stand);
}

/* The limit of a second is no limit of the stack's. */
static void a_second_at_its_limit_leaves_the_request_to_the_next_fallback(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "fallback:direct:kind=pinned | fallback:\"limit:1MiB|direct\" | fail:every=1 | caching", "cpu");
    tarn_buffer *buffer = take(&stand, 2 * MIB, NULL);
    assert_string_equal(tarn_allocator_spec(tarn_buffer_allocator(buffer)), "direct:kind=pinned");
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* What has nothing to do with memory is the second's own answer, which says why the request cannot be served. */
static void another_refusal_of_the_second_is_passed_on(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "fallback:\"fail:at=1,status=INTERNAL|direct\" | fail:at=1 | caching", "cpu");
    tarn_buffer *buffer = NULL;
    EXPECT(TARN_INTERNAL, tarn_allocator_allocate(stand.allocator, 100, NULL, &buffer));
    EXPECT_SENTENCE("; and instead of it: ");
    assert_null(buffer);
    stand_close(&stand);
}

static void only_out_of_memory_is_passed_on(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "fallback:direct | fail:at=1,status=INTERNAL | limit:1MiB | caching", "cpu");
    tarn_buffer *buffer = NULL;
    EXPECT(TARN_INTERNAL, tarn_allocator_allocate(stand.allocator, 100, NULL, &buffer));
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand.allocator, 2 * MIB, NULL, &buffer));
    stand_close(&stand);
}

static void the_canonical_text_creates_the_same_stack(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"fallback:direct|caching", "fallback:direct | caching"},
        {"fallback: direct : kind = pinned |caching", "fallback:direct:kind=pinned | caching"},
        {"fallback:\"limit:1GiB|direct\"|caching", "fallback:\"limit:1GiB | direct\" | caching"},
        {"fallback:\"fallback:\"\"track|direct\"\"|direct\"|direct",
         "fallback:\"fallback:\"\"track | direct\"\" | direct\" | direct"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        test_stand stand;
        stand_open(&stand, texts[i][0], "cpu");
        assert_string_equal(tarn_allocator_spec(stand.allocator), texts[i][1]);
        stand_close(&stand);
        stand_open(&stand, texts[i][1], "cpu");
        assert_string_equal(tarn_allocator_spec(stand.allocator), texts[i][1]);
        stand_close(&stand);
    }
}

static void what_is_no_allocator_is_refused_with_its_column(void **state) {
    (void)state;
    tarn_device *device = NULL;
    tarn_allocator *allocator = NULL;
    EXPECT_OK(tarn_device_open("cpu", &device));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "track | fallback | caching", &allocator));
    EXPECT_SENTENCE("column 9: fallback needs an allocator");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "fallback:nothing | caching", &allocator));
    EXPECT_SENTENCE("column 1: fallback: allocator \"nothing\": column 1: there is no allocator \"nothing\"");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "fallback:track | caching", &allocator));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "fallback:direct", &allocator));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "fallback:direct,again=1 | caching", &allocator));
    assert_null(allocator);
    EXPECT_OK(tarn_device_release(device));
    EXPECT_OK(tarn_device_open("sim:1GiB", &device));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_create(device, "fallback:direct:kind=none | caching", &allocator));
    EXPECT_OK(tarn_device_release(device));
}

static int count_live(void *context, const tarn_block_info *block) {
    size_t *count = context;
    if (block->state == TARN_BLOCK_IN_USE) ++*count;
    return 0;
}

static int record_from_within(void *context, const tarn_block_info *block) {
    (void)block;
    /* The locks of the stack are held: refused, not waited for. */
    EXPECT(TARN_INVALID_STATE, tarn_buffer_record_stream(context, NULL));
    return 0;
}

static void questions_are_answered_for_both(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "fallback:caching | fail:every=2 | caching", "cpu");
    tarn_buffer *first = take(&stand, 3000, NULL), *second = take(&stand, 3000, NULL);
    assert_ptr_not_equal(tarn_buffer_allocator(first), tarn_buffer_allocator(second));
    size_t live = 0;
    EXPECT_OK(tarn_allocator_each_block(stand.allocator, count_live, &live));
    assert_int_equal(live, 2);
    EXPECT_OK(tarn_allocator_each_block(stand.allocator, record_from_within, first));
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    EXPECT_OK(tarn_allocator_reset_peaks(stand.allocator));
    EXPECT_OK(tarn_buffer_record_stream(second, stand_stream(&stand, 0)));
    give(&stand, first, NULL);
    give(&stand, second, NULL);
    assert_true(tarn_allocator_cache_size(stand.allocator) >= 4 * MIB);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    stand_close(&stand);
}

static void a_release_reports_what_lives_in_both(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "fallback:direct | fail:every=2 | caching", "cpu");
    tarn_buffer *first = take(&stand, 3000, NULL), *second = take(&stand, 3000, NULL);
    log_listen();
    EXPECT_OK(tarn_allocator_release(stand.allocator));
    log_silence();
    assert_non_null(strstr(log_heard(), "2 live buffers"));
    EXPECT_OK(tarn_buffer_free(second, NULL));
    EXPECT_OK(tarn_buffer_free(first, NULL));
    stand.allocator = NULL;
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_comes_from_the_second_when_the_first_has_no_more),
        cmocka_unit_test(a_second_that_has_no_more_either_tells_of_both),
        cmocka_unit_test(a_second_at_its_limit_leaves_the_request_to_the_next_fallback),
        cmocka_unit_test(another_refusal_of_the_second_is_passed_on),
        cmocka_unit_test(only_out_of_memory_is_passed_on),
        cmocka_unit_test(the_canonical_text_creates_the_same_stack),
        cmocka_unit_test(what_is_no_allocator_is_refused_with_its_column),
        cmocka_unit_test(questions_are_answered_for_both),
        cmocka_unit_test(a_release_reports_what_lives_in_both),
    };
    return cmocka_run_group_tests_name("memory fallback", tests, NULL, NULL);
}
