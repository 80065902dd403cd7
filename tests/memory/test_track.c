/* track: who holds memory, by tag and by call site, while it lives and when the allocator is released. Numbers in comments are
 * those of the project's list of faults. */
#include <string.h>

#include "base/memory.h"
#include "stand.h"

#define NOT_INLINED __attribute__((noinline, noclone))

/* Keeps a call from being the last thing its function does, so that the function stays on the stack. */
#define STAY() __asm__ volatile("")

NOT_INLINED static tarn_buffer *take_for_weights(test_stand *stand, size_t size) {
    tarn_allocate_options options = {.struct_size = sizeof options, .tag = "weights"};
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate_with(stand->allocator, size, &options, &buffer));
    STAY();
    return buffer;
}

NOT_INLINED static tarn_buffer *take_without_tag(test_stand *stand, size_t size) {
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate(stand->allocator, size, NULL, &buffer));
    STAY();
    return buffer;
}

NOT_INLINED static tarn_buffer *take_through_one_more(test_stand *stand, size_t size) {
    tarn_buffer *buffer = take_without_tag(stand, size);
    STAY();
    return buffer;
}

static void expect_text(const char *text, const char *part) {
    if (strstr(text, part) == NULL) fail_msg("\"%s\" lacks \"%s\"", text, part);
}

/* 20 */
static void a_release_with_live_buffers_names_tag_call_site_count_and_bytes(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "track | caching", "cpu");
    tarn_buffer *weights[3];
    for (size_t i = 0; i < 3; i++) weights[i] = take_for_weights(&stand, 512 * KIB);
    tarn_buffer *other = take_without_tag(&stand, 100);
    tarn_buffer_free(take_for_weights(&stand, 5000), NULL);
    log_listen();
    EXPECT_OK(tarn_allocator_release(stand.allocator));
    log_silence();
    expect_text(log_heard(), "3 buffers of 1.5 MiB, tag \"weights\", asked for at take_for_weights+0x");
    expect_text(log_heard(), "1 buffer of 100 B, no tag, asked for at take_without_tag+0x");
    /* 19 */
    for (size_t i = 0; i < 3; i++) EXPECT_OK(tarn_buffer_free(weights[i], NULL));
    EXPECT_OK(tarn_buffer_free(other, NULL));
    stand.allocator = NULL;
    stand_close(&stand);
}

static void an_inner_track_reports_at_the_release_of_the_stack_too(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "limit:1GiB | fallback:\"track | direct\" | track | caching", "cpu");
    tarn_buffer *buffer = take_without_tag(&stand, 100);
    log_listen();
    EXPECT_OK(tarn_allocator_release(stand.allocator));
    log_silence();
    expect_text(log_heard(), "1 buffer of 100 B, no tag, asked for at take_without_tag+0x");
    EXPECT_OK(tarn_buffer_free(buffer, NULL));
    stand.allocator = NULL;
    stand_close(&stand);
}

typedef struct seen_sites {
    size_t count;
    tarn_track_site first;
    char tag[32];
    bool stops;
} seen_sites;

static int see_site(void *context, const tarn_track_site *site) {
    seen_sites *seen = context;
    if (seen->count++ == 0) {
        seen->first = *site;
        if (site->tag != NULL) strcpy(seen->tag, site->tag);
    }
    return seen->stops;
}

static void the_live_report_follows_allocations_and_frees(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "track | caching", "sim:1GiB");
    seen_sites seen = {0};
    EXPECT_OK(tarn_track_each_site(stand.allocator, see_site, &seen));
    assert_int_equal(seen.count, 0);
    assert_int_equal(tarn_track_report(stand.allocator, NULL, 0), 0);
    tarn_buffer *small = take_without_tag(&stand, 10), *large[2];
    for (int i = 0; i < 2; i++) large[i] = take_for_weights(&stand, 3 * MIB);
    EXPECT_OK(tarn_track_each_site(stand.allocator, see_site, &seen));
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.tag, "weights");
    assert_int_equal(seen.first.buffers, 2);
    assert_int_equal(seen.first.bytes, 6 * MIB);
    assert_int_equal(seen.first.total_buffers, 2);
    assert_int_equal(seen.first.frame_count, 1);
    seen = (seen_sites){.stops = true};
    EXPECT_OK(tarn_track_each_site(stand.allocator, see_site, &seen));
    assert_int_equal(seen.count, 1);
    give(&stand, large[0], NULL);
    seen = (seen_sites){0};
    EXPECT_OK(tarn_track_each_site(stand.allocator, see_site, &seen));
    assert_int_equal(seen.first.bytes, 3 * MIB);
    assert_int_equal(seen.first.total_bytes, 6 * MIB);
    char text[4096], cut[24];
    size_t length = tarn_track_report(stand.allocator, text, sizeof text);
    assert_int_equal(length, strlen(text));
    expect_text(text, "1 buffer of 3 MiB, tag \"weights\", asked for at take_for_weights+0x");
    expect_text(text, "1 buffer of 10 B, no tag, asked for at take_without_tag+0x");
    assert_int_equal(tarn_track_report(stand.allocator, cut, sizeof cut), length);
    assert_int_equal(strlen(cut), sizeof cut - 1);
    assert_int_equal(tarn_track_site_to_string(&seen.first, NULL, 0) > 40, 1);
    give(&stand, large[1], NULL);
    give(&stand, small, NULL);
    assert_int_equal(tarn_track_report(stand.allocator, text, sizeof text), 0);
    stand_close(&stand);
}

static void more_frames_name_the_callers_of_the_caller(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "track:frames=3 | direct", "cpu");
    tarn_buffer *buffer = take_through_one_more(&stand, 1000);
    char text[4096];
    tarn_track_report(stand.allocator, text, sizeof text);
    const char *inner = strstr(text, "take_without_tag+0x"), *outer = strstr(text, " < take_through_one_more+0x");
    assert_non_null(inner);
    assert_non_null(outer);
    assert_true(inner < outer);
    expect_text(text, " < more_frames_name_the_callers_of_the_caller+0x");
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* 13, 14 */
static void find_names_the_buffer_that_an_address_lies_in(void **state) {
    (void)state;
    static const char *const specs[] = {"track | caching", "limit:1GiB | track | direct",
                                        "fallback:\"direct\" | track | caching"};
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        test_stand stand;
        stand_open(&stand, specs[i], "cpu");
        tarn_buffer *buffer = take_for_weights(&stand, 5000);
        char *data = tarn_buffer_data(buffer);
        for (ptrdiff_t offset = 0; offset < 5000; offset += 833) {
            tarn_track_place place = {.struct_size = sizeof place};
            EXPECT_OK(tarn_track_find(stand.allocator, data + offset, &place));
            assert_ptr_equal(place.buffer, buffer);
            assert_int_equal(place.offset, offset);
            assert_string_equal(place.site.tag, "weights");
        }
        tarn_track_place untouched = {.struct_size = sizeof untouched, .offset = 77};
        EXPECT(TARN_INVALID_ARGUMENT, tarn_track_find(stand.allocator, data - 1, &untouched));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_track_find(stand.allocator, NULL, &untouched));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_track_find(stand.allocator, &stand, &untouched));
        give(&stand, buffer, NULL);
        EXPECT(TARN_INVALID_ARGUMENT, tarn_track_find(stand.allocator, data, &untouched));
        assert_int_equal(untouched.offset, 77);
        stand_close(&stand);
    }
}

static void a_stack_without_track_says_so(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "caching", "cpu");
    tarn_track_place place = {.struct_size = sizeof place};
    char text[8];
    EXPECT(TARN_NOT_SUPPORTED, tarn_track_each_site(stand.allocator, see_site, &place));
    EXPECT(TARN_NOT_SUPPORTED, tarn_track_find(stand.allocator, &stand, &place));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_track_each_site(NULL, see_site, &place));
    assert_int_equal(tarn_track_report(stand.allocator, text, sizeof text), 0);
    stand_close(&stand);
}

/* Tags made up at run time are kept as text and do not fill the memory without end. */
static void a_tag_is_kept_as_text(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "track | caching", "sim:1GiB");
    char tag[] = "made up 1";
    tarn_allocate_options options = {.struct_size = sizeof options, .tag = tag};
    tarn_buffer *first = NULL, *second = NULL;
    EXPECT_OK(tarn_allocator_allocate_with(stand.allocator, 10, &options, &first));
    give(&stand, first, NULL);
    tag[sizeof tag - 2] = '2';
    EXPECT_OK(tarn_allocator_allocate_with(stand.allocator, 10, &options, &second));
    seen_sites seen = {0};
    EXPECT_OK(tarn_track_each_site(stand.allocator, see_site, &seen));
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.tag, "made up 2");
    assert_int_equal(seen.first.total_buffers, 1);
    give(&stand, second, NULL);
    stand_close(&stand);
}

static void a_report_without_host_memory_fails_and_works_later(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "track | caching", "sim:1GiB");
    tarn_buffer *buffer = take_without_tag(&stand, 10), *none = NULL;
    seen_sites seen = {0};
    base_memory_fail_at(1, 1);
    tarn_status report = tarn_track_each_site(stand.allocator, see_site, &seen);
    tarn_status status = tarn_allocator_allocate(stand.allocator, 10, NULL, &none);
    base_memory_fail_at(0, 0);
    assert_int_equal(report, TARN_OUT_OF_MEMORY);
    assert_int_equal(status, TARN_OUT_OF_MEMORY);
    assert_null(none);
    assert_int_equal(stats_of(stand.allocator).failed_allocations, 1);
    EXPECT_OK(tarn_track_each_site(stand.allocator, see_site, &seen));
    assert_int_equal(seen.count, 1);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_release_with_live_buffers_names_tag_call_site_count_and_bytes),
        cmocka_unit_test(an_inner_track_reports_at_the_release_of_the_stack_too),
        cmocka_unit_test(the_live_report_follows_allocations_and_frees),
        cmocka_unit_test(more_frames_name_the_callers_of_the_caller),
        cmocka_unit_test(find_names_the_buffer_that_an_address_lies_in),
        cmocka_unit_test(a_stack_without_track_says_so),
        cmocka_unit_test(a_tag_is_kept_as_text),
        cmocka_unit_test(a_report_without_host_memory_fails_and_works_later),
    };
    return cmocka_run_group_tests_name("memory track", tests, NULL, NULL);
}
