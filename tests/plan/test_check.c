/* The verifier of plans: what it takes for a plan, and what it refuses, by the buffers' names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <tarn/plan.h>

#include "base/memory.h"
#include "buffers.h"

static void expect_refused(const tarn_plan_buffer *buffers, size_t count, const uint64_t *offsets, const char *part) {
    assert_int_equal(tarn_plan_check(buffers, count, NULL, 0, offsets), TARN_INVALID_ARGUMENT);
    if (strstr(tarn_last_error(), part) == NULL) fail_msg("\"%s\" is not in \"%s\"", part, tarn_last_error());
}

static void buffers_may_touch_in_time_and_in_space(void **state) {
    (void)state;
    tarn_plan_buffer buffers[] = {buffer(-5, 5, 10), buffer(5, 9, 10), buffer(-5, 9, 7), buffer(0, 6, 3)};
    uint64_t offsets[] = {0, 0, 10, 17};
    assert_int_equal(tarn_plan_check(buffers, 4, NULL, 0, offsets), TARN_OK);
    assert_int_equal(tarn_plan_check(NULL, 0, NULL, 0, NULL), TARN_OK);
}

/* 51 of the list of faults. */
static void an_overlap_is_refused_with_both_names(void **state) {
    (void)state;
    tarn_plan_buffer buffers[] = {buffer(0, 10, 8), buffer(2, 4, 8), buffer(9, 12, 8)};
    expect_refused(buffers, 3, (uint64_t[]){0, 8, 7}, "buffers 0 and 2 overlap at time 9");
    expect_refused(buffers, 3, (uint64_t[]){8, 1, 0}, "buffers 0 and 1 overlap at time 2");
    expect_refused(buffers, 3, (uint64_t[]){4, 4, 12}, "buffers 0 and 1 overlap");
    /* One within the other, which neither neighbour's beginning shows. */
    tarn_plan_buffer nested[] = {buffer(0, 9, 100), buffer(1, 2, 1), buffer(3, 4, 1)};
    expect_refused(nested, 3, (uint64_t[]){0, 200, 50}, "buffers 0 and 2 overlap");
    assert_int_equal(tarn_plan_check(buffers, 3, NULL, 0, (uint64_t[]){0, 8, 8}), TARN_OK);
}

static void a_place_that_was_not_asked_for_is_refused(void **state) {
    (void)state;
    tarn_plan_buffer buffers[] = {buffer(0, 10, 8), buffer(0, 4, 8), buffer(0, 12, 0)};
    buffers[0].fixed_offset = 24;
    buffers[1].alignment = 12;
    buffers[2].alignment = 3;
    expect_refused(buffers, 3, (uint64_t[]){0, 12, 0}, "buffer 0 is at 0, not at its fixed offset 24");
    expect_refused(buffers, 3, (uint64_t[]){24, 8, 0}, "buffer 1 is at 8, which is no multiple of its alignment 12");
    expect_refused(buffers, 3, (uint64_t[]){24, 12, 4}, "buffer 2 is at 4");
    expect_refused(buffers, 3, (uint64_t[]){24, (uint64_t)12 << 60, 0}, "buffer 1 of 8 bytes");
    assert_int_equal(tarn_plan_check(buffers, 3, NULL, 0, (uint64_t[]){24, 12, 24}), TARN_OK);
}

static void each_region_has_its_own_capacity(void **state) {
    (void)state;
    tarn_plan_buffer buffers[] = {buffer(0, 10, 8), buffer(0, 10, 8), buffer(0, 10, 8)};
    buffers[1].region = 1;
    buffers[2].region = 7;
    uint64_t offsets[] = {0, 0, 1000}, capacities[] = {8, 7};
    assert_int_equal(tarn_plan_check(buffers, 3, NULL, 0, offsets), TARN_OK);
    assert_int_equal(tarn_plan_check(buffers, 3, capacities, 1, offsets), TARN_OK);
    assert_int_equal(tarn_plan_check(buffers, 3, capacities, 2, offsets), TARN_INVALID_ARGUMENT);
    assert_non_null(strstr(tarn_last_error(), "buffer 1 ends at 8, beyond the 7 bytes of region 1"));
}

static void a_gap_makes_room_for_others_and_a_window_does_not(void **state) {
    (void)state;
    tarn_plan_gap gaps[] = {{.lower = 2, .upper = 4}, {.lower = 4, .upper = 6, .window_lower = 3, .window_upper = 5}};
    tarn_plan_buffer buffers[] = {buffer(0, 10, 8), buffer(2, 4, 8), buffer(4, 6, 3), buffer(5, 6, 3)};
    buffers[0].gaps = gaps;
    buffers[0].gap_count = 2;
    assert_int_equal(tarn_plan_check(buffers, 4, NULL, 0, (uint64_t[]){0, 0, 0, 5}), TARN_OK);
    expect_refused(buffers, 4, (uint64_t[]){0, 0, 1, 5}, "buffers 0 and 2 overlap at time 4");
    expect_refused(buffers, 4, (uint64_t[]){0, 0, 0, 4}, "buffers 0 and 3 overlap at time 5");
    buffers[1].upper = 5;
    expect_refused(buffers, 4, (uint64_t[]){0, 0, 20, 5}, "buffers 0 and 1 overlap at time 4");
}

static void what_is_no_problem_is_refused(void **state) {
    (void)state;
    uint64_t offsets[] = {0, 0};
    tarn_plan_buffer one = buffer(3, 3, 1);
    expect_refused(&one, 1, offsets, "buffer 0 lives in [3, 3), which is no time");
    tarn_plan_gap gaps[] = {{.lower = 1, .upper = 3}, {.lower = 2, .upper = 4}};
    one = buffer(0, 5, 8);
    one.gap_count = 2;
    expect_refused(&one, 1, offsets, "has 2 gaps, and NULL for them");
    one.gaps = gaps;
    expect_refused(&one, 1, offsets, "gap 1 in [2, 4) has to lie in [3, 5)");
    gaps[1] = (tarn_plan_gap){.lower = 3, .upper = 6};
    expect_refused(&one, 1, offsets, "gap 1 in [3, 6) has to lie in [3, 5)");
    gaps[1] = (tarn_plan_gap){.lower = 3, .upper = 5, .window_lower = 2, .window_upper = 9};
    expect_refused(&one, 1, offsets, "the window [2, 9) of its gap 1 is no part of its 8 bytes");
    one = buffer(0, 5, 8);
    one.alignment = 16;
    one.fixed_offset = 8;
    expect_refused(&one, 1, offsets, "fixed at 8, which is no multiple of its alignment 16");
    expect_refused(NULL, 1, offsets, "are NULL");
    one = buffer(0, 5, 8);
    expect_refused(&one, 1, NULL, "are NULL");
    tarn_plan_buffer fixed[] = {buffer(0, 5, 8), buffer(1, 2, 8)};
    fixed[0].fixed_offset = 0;
    fixed[1].fixed_offset = 7;
    expect_refused(fixed, 2, (uint64_t[]){0, 7}, "buffers 0 and 1 overlap");
}

static void a_check_survives_each_failure_of_host_memory(void **state) {
    (void)state;
    tarn_plan_buffer buffers[] = {buffer(0, 10, 8), buffer(2, 4, 8), buffer(9, 12, 8)};
    buffers[1].fixed_offset = 8;
    uint64_t offsets[] = {0, 8, 8};
    unsigned long k = 1;
    for (;; k++) {
        base_memory_fail_at(k, 0);
        tarn_status status = tarn_plan_check(buffers, 3, NULL, 0, offsets);
        unsigned long requests = base_memory_requests();
        base_memory_fail_at(0, 0);
        if (requests < k) {
            assert_int_equal(status, TARN_OK);
            break;
        }
        assert_int_equal(status, TARN_OUT_OF_MEMORY);
    }
    assert_in_range(k, 6, 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_may_touch_in_time_and_in_space),
        cmocka_unit_test(an_overlap_is_refused_with_both_names),
        cmocka_unit_test(a_place_that_was_not_asked_for_is_refused),
        cmocka_unit_test(each_region_has_its_own_capacity),
        cmocka_unit_test(a_gap_makes_room_for_others_and_a_window_does_not),
        cmocka_unit_test(what_is_no_problem_is_refused),
        cmocka_unit_test(a_check_survives_each_failure_of_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
