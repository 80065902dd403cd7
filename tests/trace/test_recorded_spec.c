/* The settings that a PyTorch snapshot carries, as a spec for its replay. */
#include <string.h>

#include <tarn/replay.h>

#include "base/memory.h"
#include "stand.h"
#include "trace/recorded_spec.h"
#include "trace/trace_internal.h"

/* What PyTorch writes when nothing was set. */
#define DEFAULTS                                                                                             \
    "PYTORCH_CUDA_ALLOC_CONF=, max_split_size=-1, garbage_collection_threshold=0, expandable_segments=off, " \
    "release_lock_on_cudamalloc=off, roundup_power2_divisions=[1:0,2:0,4:0,8:0,16384:0,32768:0]"

static tarn_trace *trace_with(const char *settings) {
    trace_builder builder = {0};
    tarn_trace *trace = NULL;
    assert_int_equal(trace_builder_settings(&builder, settings, strlen(settings)), TARN_OK);
    assert_int_equal(trace_builder_finish(&builder, "snapshot", TARN_TRACE_PYTORCH_SNAPSHOT, &trace), TARN_OK);
    trace_builder_discard(&builder);
    return trace;
}

static void expect_spec(const char *settings, const char *spec, const char *wanted) {
    tarn_trace *trace = trace_with(settings);
    char *resolved = NULL;
    assert_int_equal(trace_resolve_spec(trace, spec, &resolved), TARN_OK);
    assert_string_equal(resolved, wanted);
    base_free(resolved);
    tarn_trace_release(trace);
}

static void expect_no_spec(const char *settings, tarn_status status, const char *part) {
    tarn_trace *trace = trace_with(settings);
    char *resolved = NULL;
    assert_int_equal(trace_resolve_spec(trace, "pytorch:as-recorded", &resolved), status);
    assert_null(resolved);
    expect_last_error(part);
    tarn_trace_release(trace);
}

static void nothing_set_is_nothing_said(void **state) {
    (void)state;
    expect_spec(DEFAULTS, "pytorch:as-recorded", "pytorch");
    expect_spec("PYTORCH_CUDA_ALLOC_CONF=", "pytorch:as-recorded", "pytorch");
}

static void what_was_set_is_said_in_the_units_of_the_spec(void **state) {
    (void)state;
    expect_spec(
        "PYTORCH_CUDA_ALLOC_CONF=, max_split_size=268435456, garbage_collection_threshold=0.8, expandable_segments=on, "
        "release_lock_on_cudamalloc=on, roundup_power2_divisions=[1:0,2:0]",
        "pytorch:as-recorded",
        "pytorch:max_split_size_mb=256,garbage_collection_threshold=0.8,expandable_segments=True,"
        "release_lock_on_cudamalloc=True");
    expect_spec("PYTORCH_CUDA_ALLOC_CONF=, max_split_size=18446744073709551615", "pytorch:as-recorded", "pytorch");
}

static void divisions_are_the_list_that_gives_them_again(void **state) {
    (void)state;
    expect_spec("PYTORCH_CUDA_ALLOC_CONF=, roundup_power2_divisions=[1:0,2:0,4:8,8:0,16:1,32:4]", "pytorch:as-recorded",
                "pytorch:roundup_power2_divisions=\"[1:0,4:8,32:4]\"");
    expect_spec("PYTORCH_CUDA_ALLOC_CONF=, roundup_power2_divisions=[1:4,2:4]", "pytorch:as-recorded",
                "pytorch:roundup_power2_divisions=\"[1:4,2:4]\"");
    expect_spec("PYTORCH_CUDA_ALLOC_CONF=, roundup_power2_divisions=[]", "pytorch:as-recorded", "pytorch");
}

static void the_text_of_the_start_has_what_the_snapshot_leaves_out(void **state) {
    (void)state;
    expect_spec(
        "PYTORCH_CUDA_ALLOC_CONF=max_non_split_rounding_mb:64,expandable_segments:True,large_segment_size_mb:30,"
        "per_process_memory_fraction:0.5, max_split_size=104857600, expandable_segments=on",
        "pytorch:as-recorded",
        "pytorch:large_segment_size_mb=30,max_split_size_mb=100,max_non_split_rounding_mb=64,"
        "per_process_memory_fraction=0.5,expandable_segments=True");
}

static void the_rest_of_the_spec_stays(void **state) {
    (void)state;
    expect_spec(DEFAULTS, "limit:8GiB | pytorch:as-recorded", "limit:8GiB | pytorch");
    expect_spec(DEFAULTS, "caching", "caching");
    expect_spec("", "caching", "caching");
}

static void a_trace_without_settings_is_told_so(void **state) {
    (void)state;
    expect_no_spec("", TARN_INVALID_ARGUMENT, "carries no settings");
    expect_no_spec("allocator=caching", TARN_INVALID_ARGUMENT, "carries no settings");
}

static void garbage_in_the_settings_is_refused(void **state) {
    (void)state;
    expect_no_spec("PYTORCH_CUDA_ALLOC_CONF=, max_split_size=a lot", TARN_CORRUPT_DATA, "max_split_size=a lot");
    expect_no_spec("PYTORCH_CUDA_ALLOC_CONF=, max_split_size=", TARN_CORRUPT_DATA, "max_split_size");
    expect_no_spec("PYTORCH_CUDA_ALLOC_CONF=, garbage_collection_threshold=on", TARN_CORRUPT_DATA, "threshold=on");
    expect_no_spec("PYTORCH_CUDA_ALLOC_CONF=, expandable_segments=1", TARN_CORRUPT_DATA, "expandable_segments=1");
    expect_no_spec("PYTORCH_CUDA_ALLOC_CONF=, roundup_power2_divisions=4", TARN_CORRUPT_DATA, "divisions=4");
    expect_no_spec("PYTORCH_CUDA_ALLOC_CONF=, roundup_power2_divisions=[4]", TARN_CORRUPT_DATA, "divisions=[4]");
    expect_no_spec("PYTORCH_CUDA_ALLOC_CONF=, roundup_power2_divisions=[1:a]", TARN_CORRUPT_DATA, "divisions=[1:a]");
    expect_no_spec("PYTORCH_CUDA_ALLOC_CONF=large_segment_size_mb:x", TARN_CORRUPT_DATA, "large_segment_size_mb=x");
}

/* A file that began so was searched for ever. */
static void settings_without_a_first_one_are_searched_to_their_end(void **state) {
    (void)state;
    expect_no_spec(", x=1", TARN_INVALID_ARGUMENT, "carries no settings");
    expect_no_spec(", , ", TARN_INVALID_ARGUMENT, "carries no settings");
    expect_spec(", PYTORCH_CUDA_ALLOC_CONF=, , expandable_segments=on", "pytorch:as-recorded",
                "pytorch:expandable_segments=True");
}

static void no_host_memory_is_said(void **state) {
    (void)state;
    tarn_trace *trace = trace_with(DEFAULTS);
    char *resolved = NULL;
    base_memory_fail_at(1, 0);
    assert_int_equal(trace_resolve_spec(trace, "pytorch:as-recorded", &resolved), TARN_OUT_OF_MEMORY);
    base_memory_fail_at(0, 0);
    assert_null(resolved);
    tarn_trace_release(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_set_is_nothing_said),
        cmocka_unit_test(what_was_set_is_said_in_the_units_of_the_spec),
        cmocka_unit_test(divisions_are_the_list_that_gives_them_again),
        cmocka_unit_test(the_text_of_the_start_has_what_the_snapshot_leaves_out),
        cmocka_unit_test(the_rest_of_the_spec_stays),
        cmocka_unit_test(a_trace_without_settings_is_told_so),
        cmocka_unit_test(garbage_in_the_settings_is_refused),
        cmocka_unit_test(settings_without_a_first_one_are_searched_to_their_end),
        cmocka_unit_test(no_host_memory_is_said),
    };
    return cmocka_run_group_tests_name("recorded spec", tests, NULL, NULL);
}
