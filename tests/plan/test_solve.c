/* Plans of small problems of every kind: each is checked by the verifier, and compared with the best of all plans where all can be
 * tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/plan.h>

#include "base/memory.h"
#include "buffers.h"

static tarn_plan_result solve(const tarn_plan_buffer *buffers, size_t count, uint64_t *offsets) {
    tarn_plan_result result = {.struct_size = sizeof result};
    tarn_plan_options options = {.struct_size = sizeof options, .timeout_seconds = 0.01, .threads = 1};
    assert_int_equal(tarn_plan_solve(buffers, count, &options, offsets, &result), TARN_OK);
    assert_int_equal(tarn_plan_check(buffers, count, NULL, 0, offsets), TARN_OK);
    assert_true(result.height >= result.lower_bound);
    assert_true(result.is_feasible && !result.is_infeasible && !result.is_cancelled);
    uint64_t heights[16] = {0}, height = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t *mine = &heights[buffers[i].region % 16];
        if (buffers[i].size != 0 && offsets[i] + buffers[i].size > *mine) *mine = offsets[i] + buffers[i].size;
    }
    for (size_t i = 0; i < 16; i++) height += heights[i];
    assert_int_equal(result.height, height);
    return result;
}

/* The lowest height of all plans: in some order, each buffer of a best plan is at the lowest place that those before it leave. */
static uint64_t best_of_all(const tarn_plan_buffer *buffers, size_t count, uint64_t *offsets, unsigned placed,
                            uint64_t height) {
    if (placed == (1u << count) - 1) return height;
    uint64_t best = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        if (placed & (1u << i)) continue;
        uint64_t step = buffers[i].alignment > 1 ? buffers[i].alignment : 1, offset = 0;
        for (;; offset += step) {
            bool is_free = true;
            for (size_t j = 0; j < count && is_free; j++)
                is_free = !(placed & (1u << j)) || buffers[j].lower >= buffers[i].upper ||
                          buffers[j].upper <= buffers[i].lower || offsets[j] >= offset + buffers[i].size ||
                          offsets[j] + buffers[j].size <= offset;
            if (is_free) break;
        }
        offsets[i] = offset;
        uint64_t top = offset + buffers[i].size > height ? offset + buffers[i].size : height;
        uint64_t found = top < best ? best_of_all(buffers, count, offsets, placed | 1u << i, top) : best;
        if (found < best) best = found;
    }
    return best;
}

static void small_problems_are_as_low_as_the_best_of_all_plans_allows(void **state) {
    (void)state;
    unsigned optimal = 0, best_ones = 0;
    for (unsigned round = 0; round < 400; round++) {
        tarn_plan_buffer buffers[6];
        size_t count = 1 + random_below(6);
        uint32_t alignment = round % 2 == 0 ? 1 : 1 + random_below(4);
        for (size_t i = 0; i < count; i++) {
            int64_t lower = random_below(8);
            buffers[i] = buffer(lower, lower + 1 + random_below(6), 1 + random_below(9));
            buffers[i].alignment = round % 4 == 1 ? 1 + random_below(4) : alignment;
        }
        uint64_t offsets[6], tried[6];
        tarn_plan_result result = solve(buffers, count, offsets);
        uint64_t best = best_of_all(buffers, count, tried, 0, 0);
        assert_true(result.lower_bound <= best);
        assert_true(result.height >= best);
        if (result.is_optimal) assert_int_equal(result.height, best);
        optimal += result.is_optimal != 0;
        best_ones += result.height == best;
    }
    print_message("of 400 plans, %u are as low as can be, and %u are proved to be\n", best_ones, optimal);
    assert_true(optimal >= 200);
}

/* Fixed buffers come from a plan of the others, so that they never overlap. */
static void random_problem(tarn_plan_buffer *buffers, size_t count, tarn_plan_gap *gaps, uint32_t kinds) {
    for (size_t i = 0; i < count; i++) {
        int64_t lower = random_below(100), length = 4 + random_below(30);
        buffers[i] = buffer(lower, lower + length, random_below(50) == 0 ? 0 : 1 + random_below(200));
        if (kinds & 1) buffers[i].alignment = random_below(40);
        if (kinds & 2) buffers[i].region = random_below(3) * 5u;
        if ((kinds & 4) && random_below(2) == 0) {
            gaps[2 * i] = (tarn_plan_gap){.lower = lower + random_below(2), .upper = lower + 2};
            gaps[2 * i + 1] = (tarn_plan_gap){.lower = lower + 2, .upper = lower + length - random_below(2)};
            for (size_t j = 2 * i; j < 2 * i + 2 && buffers[i].size != 0; j++) {
                gaps[j].window_upper = random_below((uint32_t)buffers[i].size + 1);
                gaps[j].window_lower = random_below((uint32_t)gaps[j].window_upper + 1);
            }
            buffers[i].gaps = &gaps[2 * i];
            buffers[i].gap_count = 1 + random_below(2);
        }
    }
}

static void random_problems_of_every_kind_get_plans(void **state) {
    (void)state;
    for (uint32_t round = 0; round < 160; round++) {
        tarn_plan_buffer buffers[120];
        tarn_plan_gap gaps[240];
        uint64_t offsets[120];
        size_t count = 1 + random_below(120);
        random_problem(buffers, count, gaps, round % 8);
        solve(buffers, count, offsets);
        if (round % 16 < 8) continue;
        for (size_t i = 0; i < count; i++)
            if (random_below(4) == 0) buffers[i].fixed_offset = offsets[i];
        solve(buffers, count, offsets);
    }
}

static void what_is_there_is_planned_by_sections_and_regions(void **state) {
    (void)state;
    tarn_plan_buffer buffers[] = {buffer(0, 10, 8), buffer(5, 15, 8), buffer(15, 20, 30), buffer(20, 30, 1),
                                  buffer(0, 30, 5)};
    buffers[4].region = 9;
    uint64_t offsets[5];
    tarn_plan_result result = solve(buffers, 5, offsets);
    assert_int_equal(result.height, 35);
    assert_int_equal(result.lower_bound, 35);
    assert_true(result.is_optimal);
    uint64_t bound = 77;
    assert_int_equal(tarn_plan_lower_bound(buffers, 5, 0, &bound), TARN_OK);
    assert_int_equal(bound, 30);
    assert_int_equal(tarn_plan_lower_bound(buffers, 5, 9, &bound), TARN_OK);
    assert_int_equal(bound, 5);
    assert_int_equal(tarn_plan_lower_bound(buffers, 5, 3, &bound), TARN_OK);
    assert_int_equal(bound, 0);
}

static void buffers_that_need_no_place_get_one(void **state) {
    (void)state;
    tarn_plan_gap gap = {.lower = 0, .upper = 9};
    tarn_plan_buffer buffers[] = {buffer(0, 9, 0), buffer(0, 9, 0), buffer(0, 9, 40), buffer(0, 9, 7)};
    buffers[1].fixed_offset = 1000;
    buffers[2].gaps = &gap;
    buffers[2].gap_count = 1;
    uint64_t offsets[4];
    tarn_plan_result result = solve(buffers, 4, offsets);
    assert_int_equal(offsets[0], 0);
    assert_int_equal(offsets[1], 1000);
    assert_int_equal(result.height, 40);
    assert_true(result.is_optimal);
    result = solve(NULL, 0, NULL);
    assert_int_equal(result.height, 0);
}

static void a_plan_that_cannot_fit_is_returned_and_said_to_be_impossible(void **state) {
    (void)state;
    tarn_plan_buffer buffers[] = {buffer(0, 9, 5), buffer(0, 9, 6), buffer(8, 9, 4)};
    uint64_t offsets[3], capacity = 14;
    tarn_plan_options options = {.struct_size = sizeof options, .capacities = &capacity, .region_count = 1};
    tarn_plan_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_plan_solve(buffers, 3, &options, offsets, &result), TARN_OK);
    assert_int_equal(result.height, 15);
    assert_true(result.is_infeasible && !result.is_feasible && result.is_optimal);
    capacity = 15;
    assert_int_equal(tarn_plan_solve(buffers, 3, &options, offsets, &result), TARN_OK);
    assert_true(!result.is_infeasible && result.is_feasible);
}

/* At the peak all but the topmost buffer keep the rest of their last 512 bytes. */
static void an_alignment_that_all_share_raises_the_lower_bound(void **state) {
    (void)state;
    tarn_plan_buffer buffers[] = {buffer(0, 9, 500), buffer(0, 9, 100), buffer(3, 5, 511), buffer(20, 25, 40)};
    for (size_t i = 0; i < 4; i++) buffers[i].alignment = 512 * (1 + i % 2);
    uint64_t bound = 0, offsets[4];
    assert_int_equal(tarn_plan_lower_bound(buffers, 4, 0, &bound), TARN_OK);
    assert_int_equal(bound, 1024 + 100);
    assert_true(solve(buffers, 4, offsets).height <= 2048);
}

static void what_is_no_problem_is_refused_and_nothing_is_written(void **state) {
    (void)state;
    uint64_t offsets[] = {77, 77}, bound = 77;
    tarn_plan_buffer buffers[] = {buffer(0, 5, UINT64_MAX), buffer(0, 5, 8)};
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, offsets, NULL), TARN_LIMIT_EXCEEDED);
    buffers[0] = buffer(0, 5, (uint64_t)1 << 62);
    buffers[1] = buffer(0, 5, (uint64_t)1 << 62);
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, offsets, NULL), TARN_LIMIT_EXCEEDED);
    buffers[1].region = 1;
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, offsets, NULL), TARN_LIMIT_EXCEEDED);
    buffers[1] = buffer(0, 5, 1);
    buffers[1].alignment = UINT64_MAX;
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, offsets, NULL), TARN_LIMIT_EXCEEDED);
    buffers[1].alignment = 0;
    buffers[1].fixed_offset = UINT64_MAX - 1;
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, offsets, NULL), TARN_LIMIT_EXCEEDED);
    buffers[1].fixed_offset = INT64_MAX;
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, offsets, NULL), TARN_LIMIT_EXCEEDED);
    buffers[1] = buffer(5, 5, 1);
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, offsets, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_lower_bound(buffers, 2, 0, &bound), TARN_INVALID_ARGUMENT);
    buffers[1] = buffer(INT64_MIN, INT64_MAX, 1);
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_lower_bound(buffers, 2, 0, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_solve(NULL, (size_t)1 << 40, NULL, offsets, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_plan_solve(buffers, (size_t)1 << 40, NULL, offsets, NULL), TARN_LIMIT_EXCEEDED);
    tarn_plan_options options = {.struct_size = sizeof options, .region_count = 1};
    assert_int_equal(tarn_plan_solve(buffers, 2, &options, offsets, NULL), TARN_INVALID_ARGUMENT);
    options = (tarn_plan_options){.struct_size = 1};
    assert_int_equal(tarn_plan_solve(buffers, 2, &options, offsets, NULL), TARN_INVALID_ARGUMENT);
    tarn_plan_result result = {.struct_size = 1};
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, offsets, &result), TARN_INVALID_ARGUMENT);
    assert_int_equal(offsets[0], 77);
    assert_int_equal(offsets[1], 77);
    assert_int_equal(bound, 77);
    assert_int_equal(tarn_plan_solve(buffers, 2, NULL, offsets, NULL), TARN_OK);
}

static void a_plan_survives_each_failure_of_host_memory(void **state) {
    (void)state;
    tarn_plan_buffer buffers[60];
    tarn_plan_gap gaps[120];
    for (uint32_t kinds = 0; kinds < 8; kinds += 7) {
        random_problem(buffers, 60, gaps, kinds);
        unsigned long k = 1;
        for (;; k++) {
            uint64_t offsets[60] = {77};
            tarn_plan_options options = {.struct_size = sizeof options, .timeout_seconds = -1, .threads = 1};
            base_memory_fail_at(k, 0);
            tarn_status status = tarn_plan_solve(buffers, 60, &options, offsets, NULL);
            unsigned long requests = base_memory_requests();
            base_memory_fail_at(0, 0);
            if (requests < k) {
                assert_int_equal(status, TARN_OK);
                break;
            }
            assert_int_equal(status, TARN_OUT_OF_MEMORY);
            assert_int_equal(offsets[0], 77);
        }
        print_message("%lu of %lu requests failed, each cleanly\n", k - 1, k - 1);
        assert_in_range(k, 20, 10000);
        uint64_t bound;
        base_memory_fail_at(4, 0);
        assert_int_equal(tarn_plan_lower_bound(buffers, 60, 0, &bound), TARN_OUT_OF_MEMORY);
        base_memory_fail_at(0, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_problems_are_as_low_as_the_best_of_all_plans_allows),
        cmocka_unit_test(random_problems_of_every_kind_get_plans),
        cmocka_unit_test(what_is_there_is_planned_by_sections_and_regions),
        cmocka_unit_test(buffers_that_need_no_place_get_one),
        cmocka_unit_test(a_plan_that_cannot_fit_is_returned_and_said_to_be_impossible),
        cmocka_unit_test(an_alignment_that_all_share_raises_the_lower_bound),
        cmocka_unit_test(what_is_no_problem_is_refused_and_nothing_is_written),
        cmocka_unit_test(a_plan_survives_each_failure_of_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
