/* Plans of large problems: how low they are, and that they can be ended, repeated and spread over threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/plan.h>
#include <tarn/plan_problem.h>

#include "base/memory.h"
#include "bench/problems.h"
#include "plan/heuristic.h"

/* Plans as quickly as can be, with the heuristics and little more, unless `seconds` is more than 0. */
static tarn_plan_result solve(const tarn_plan_buffer *buffers, size_t count, double seconds, uint64_t *offsets) {
    tarn_plan_result result = {.struct_size = sizeof result};
    tarn_plan_options options = {
        .struct_size = sizeof options, .timeout_seconds = seconds > 0 ? seconds : -1, .threads = 2};
    assert_int_equal(tarn_plan_solve(buffers, count, &options, offsets, &result), TARN_OK);
    assert_int_equal(tarn_plan_check(buffers, count, NULL, 0, offsets), TARN_OK);
    assert_true(result.height >= result.lower_bound);
    return result;
}

static double ratio(tarn_plan_result result) { return (double)result.height / (double)result.lower_bound; }

static void problems_like_real_ones_are_planned_low(void **state) {
    (void)state;
    for (bench_problem kind = 0; kind < BENCH_PROBLEM_COUNT; kind++) {
        enum { COUNT = 6000 };
        tarn_plan_buffer *buffers = bench_problem_make(kind, COUNT, 3);
        uint64_t *offsets = calloc(COUNT, sizeof *offsets);
        tarn_plan_result result = solve(buffers, COUNT, 0, offsets);
        print_message("%s: %.5f of the lower bound\n", bench_problem_name(kind), ratio(result));
        bool is_tiling = kind == BENCH_PROBLEM_TILING || kind == BENCH_PROBLEM_TORN;
        assert_true(ratio(result) < (is_tiling ? 1.2 : kind == BENCH_PROBLEM_MEMORYLESS ? 1.03 : 1.01));
        free(offsets);
        free(buffers);
    }
}

static void many_equal_buffers_lie_one_above_the_other(void **state) {
    (void)state;
    enum { COUNT = 100000 };
    tarn_plan_buffer *buffers = calloc(COUNT, sizeof *buffers);
    uint64_t *offsets = calloc(COUNT, sizeof *offsets);
    for (size_t i = 0; i < COUNT; i++)
        buffers[i] = (tarn_plan_buffer){.lower = 5, .upper = 9, .size = 48, .fixed_offset = TARN_PLAN_ANYWHERE};
    tarn_plan_result result = solve(buffers, COUNT, 0, offsets);
    assert_int_equal(result.height, 48 * COUNT);
    assert_true(result.is_optimal);
    /* With a larger alignment there is a hole below each of them, which is no waste that could be avoided. */
    for (size_t i = 0; i < COUNT; i++) buffers[i].alignment = 64;
    result = solve(buffers, COUNT, 0, offsets);
    assert_int_equal(result.height, 64 * COUNT - 16);
    assert_true(result.is_optimal);
    free(offsets);
    free(buffers);
}

/* A plan as a problem: everything lies where it was planned, or all but a few do. */
static void a_plan_with_most_buffers_fixed_is_kept(void **state) {
    (void)state;
    enum { COUNT = 40000 };
    tarn_plan_buffer *buffers = bench_problem_make(BENCH_PROBLEM_INTERVALS, COUNT, 3);
    uint64_t *offsets = calloc(COUNT, sizeof *offsets);
    uint64_t height = solve(buffers, COUNT, 0, offsets).height;
    for (size_t i = 0; i < COUNT; i++) buffers[i].fixed_offset = offsets[i];
    assert_int_equal(solve(buffers, COUNT, 0, offsets).height, height);
    for (size_t i = 0; i < COUNT; i += 100) buffers[i].fixed_offset = TARN_PLAN_ANYWHERE;
    assert_true(solve(buffers, COUNT, 0, offsets).height >= height);
    free(offsets);
    free(buffers);
}

static void a_section_of_many_is_improved_by_several_threads(void **state) {
    (void)state;
    enum { COUNT = 2500 };
    tarn_plan_buffer *buffers = bench_problem_make(BENCH_PROBLEM_TILING, COUNT, 3);
    uint64_t *offsets = calloc(COUNT, sizeof *offsets);
    tarn_plan_result first = solve(buffers, COUNT, 0, offsets), result = solve(buffers, COUNT, 0.5, offsets);
    print_message("%.5f of the lower bound, then %.5f\n", ratio(first), ratio(result));
    assert_true(result.height <= first.height);
    /* The same with each buffer's life moved away from the others of its kind: two regions, and many sections. */
    for (size_t i = 0; i < COUNT; i++) buffers[i].region = i % 2 == 0 ? 3 : 70;
    solve(buffers, COUNT, 0.1, offsets);
    for (size_t i = 0; i < COUNT; i++) {
        buffers[i].lower += (int64_t)(i % 7) * 1000000;
        buffers[i].upper += (int64_t)(i % 7) * 1000000;
    }
    solve(buffers, COUNT, 0.1, offsets);
    free(offsets);
    free(buffers);
}

static void plans_of_the_heuristics_are_always_the_same(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    tarn_plan_buffer *buffers = bench_problem_make(BENCH_PROBLEM_INTERVALS, COUNT, 3);
    uint64_t *offsets = calloc(COUNT, 2 * sizeof *offsets), heights[2];
    for (size_t i = 0; i < 2; i++) {
        plan_problem problem;
        plan_watch watch;
        tarn_plan_options options = {.struct_size = sizeof options};
        plan_watch_begin(&watch, &options);
        assert_int_equal(plan_problem_begin(&problem, buffers, COUNT), TARN_OK);
        assert_int_equal(plan_heuristic(&problem.sections[0], 0, &watch, offsets + i * COUNT, &heights[i]), TARN_OK);
        plan_problem_end(&problem);
        plan_watch_end(&watch);
    }
    assert_int_equal(heights[0], heights[1]);
    assert_memory_equal(offsets, offsets + COUNT, COUNT * sizeof *offsets);
    free(offsets);
    free(buffers);
}

static int end_at_once(void *context, const tarn_plan_progress *progress) {
    tarn_plan_progress *seen = context;
    *seen = *progress;
    return 1;
}

static void progress_ends_the_improvement_too(void **state) {
    (void)state;
    enum { COUNT = 4000 };
    tarn_plan_buffer *buffers = bench_problem_make(BENCH_PROBLEM_TILING, COUNT, 3);
    uint64_t *offsets = calloc(COUNT, sizeof *offsets);
    tarn_plan_progress seen = {0};
    tarn_plan_options options = {.struct_size = sizeof options,
                                 .timeout_seconds = 1e30,
                                 .threads = 1,
                                 .progress = end_at_once,
                                 .context = &seen};
    tarn_plan_result result = {.struct_size = sizeof result};
    assert_int_equal(tarn_plan_solve(buffers, COUNT, &options, offsets, &result), TARN_OK);
    assert_true(result.is_cancelled);
    assert_true(seen.lower_bound == result.lower_bound || seen.lower_bound == 0);
    assert_int_equal(tarn_plan_check(buffers, COUNT, NULL, 0, offsets), TARN_OK);
    free(offsets);
    free(buffers);
}

static void an_improvement_survives_each_failure_of_host_memory(void **state) {
    (void)state;
    enum { COUNT = 1600 };
    tarn_plan_buffer *buffers = bench_problem_make(BENCH_PROBLEM_TILING, COUNT, 3);
    uint64_t *offsets = calloc(COUNT, sizeof *offsets);
    unsigned long failed = 0;
    for (unsigned long k = 1; k < 200; k++) {
        offsets[0] = 77;
        tarn_plan_options options = {.struct_size = sizeof options, .timeout_seconds = 0.01, .threads = 2};
        base_memory_fail_at(k, 0);
        tarn_status status = tarn_plan_solve(buffers, COUNT, &options, offsets, NULL);
        unsigned long requests = base_memory_requests();
        base_memory_fail_at(0, 0);
        if (requests < k) break;
        /* A thread that cannot be started is done without. */
        if (status == TARN_OK) continue;
        assert_int_equal(status, TARN_OUT_OF_MEMORY);
        assert_int_equal(offsets[0], 77);
        failed++;
    }
    print_message("%lu requests failed, each cleanly\n", failed);
    assert_true(failed > 40);
    free(offsets);
    free(buffers);
}

/* What is asked of problems that others published; the files are input, and not part of Tarn. */
static void published_problems_are_planned_near_the_lower_bound(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double most;
    } published[] = {{"idealloc/resnet50.csv", 1.0},
                     {"idealloc/S_1.csv", 1.004},
                     {"minimalloc/D.1048576.csv", 1.11},
                     {"pytorch-snapshots/medium-128-inference.pickle", 1.001},
                     {"pytorch-snapshots/medium-256-training.pickle", 1.001},
                     {"pytorch-snapshots/medium-512-training.pickle", 1.001},
                     {"pytorch-snapshots/medium-1024-inference.pickle", 1.001},
                     {"pytorch-snapshots/xl-128-train-step.pickle", 1.001},
                     {"pytorch-snapshots/xl-512-forward-mixed.pickle", 1.001}};
    const char *folder = getenv("TARN_SHARED_DATA");
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        char path[4096];
        tarn_plan_problem *problem;
        snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : "", published[i].name);
        tarn_status status = tarn_plan_problem_read(path, NULL, &problem);
        if (folder == NULL || status == TARN_NOT_FOUND) {
            print_message("skipped: no problems in TARN_SHARED_DATA\n");
            skip();
        }
        assert_int_equal(status, TARN_OK);
        tarn_plan_problem_info info = {.struct_size = sizeof info};
        assert_int_equal(tarn_plan_problem_info_get(problem, &info), TARN_OK);
        uint64_t *offsets = calloc(info.buffer_count, sizeof *offsets);
        tarn_plan_result result = solve(tarn_plan_problem_buffers(problem), info.buffer_count, 0, offsets);
        print_message("%s: %.5f of the lower bound in %.3f s\n", published[i].name, ratio(result), result.seconds);
        assert_true(ratio(result) <= published[i].most);
        free(offsets);
        tarn_plan_problem_release(problem);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_like_real_ones_are_planned_low),
        cmocka_unit_test(many_equal_buffers_lie_one_above_the_other),
        cmocka_unit_test(a_plan_with_most_buffers_fixed_is_kept),
        cmocka_unit_test(a_section_of_many_is_improved_by_several_threads),
        cmocka_unit_test(plans_of_the_heuristics_are_always_the_same),
        cmocka_unit_test(progress_ends_the_improvement_too),
        cmocka_unit_test(an_improvement_survives_each_failure_of_host_memory),
        cmocka_unit_test(published_problems_are_planned_near_the_lower_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
