/* Workloads from end to end: the same figures however they are run, and nothing left behind. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "workload/workload.h"

#define MOST_STEPS 12

/* Where everything takes longer, little has to do. */
static bool is_slow(void) { return getenv("TARN_TEST_SLOWNESS") != NULL; }
static size_t steps(void) { return is_slow() ? 1 : MOST_STEPS; }

typedef struct noted {
    double figures[MOST_STEPS];
    size_t count;
} noted;

static void note(void *context, size_t step, size_t all_steps, double figure) {
    noted *all = context;
    assert_int_equal(step, all->count + 1);
    assert_int_equal(all_steps, steps());
    assert_true(all->count < MOST_STEPS);
    all->figures[all->count++] = figure;
}

static workload_result run(const workload *work, const char *spec, bool uses_graph, bool has_stream, noted *out_noted) {
    test_bench bench;
    tarn_stream *stream = NULL;
    workload_result result = {.steps = 0};
    memset(out_noted, 0, sizeof *out_noted);
    bench_open(&bench, "cpu", spec);
    if (has_stream) EXPECT_OK(tarn_stream_create(bench.device, &stream));
    workload_options options = {.device = bench.device,
                                .allocator = bench.allocator,
                                .stream = stream,
                                .steps = steps(),
                                .seed = 3,
                                .uses_graph = uses_graph,
                                .progress = note,
                                .context = out_noted};
    EXPECT_OK(work->run(&options, &result));
    EXPECT_OK(tarn_stream_release(stream));
    bench_close(&bench);
    assert_int_equal(out_noted->count, steps());
    assert_int_equal(result.steps, steps());
    return result;
}

static const workload *find(const char *name) {
    size_t i = 0;
    while (strcmp(workload_at(i)->name, name) != 0) i++;
    return workload_at(i);
}

static void every_workload_gives_the_same_figures_with_every_allocator(void **state) {
    (void)state;
    static const char *const specs[] = {"planned", "predictive",      "caching",
                                        "direct",  "arena | caching", "track | pool"};
    size_t spec_count = is_slow() ? 1 : sizeof specs / sizeof specs[0];
    const workload *work;
    for (size_t i = 0; (work = workload_at(i)) != NULL; i++) {
        noted wanted, got;
        run(work, work->allocator, false, false, &wanted);
        for (size_t k = 0; k < spec_count; k++) {
            run(work, specs[k], false, k % 2 == 1, &got);
            assert_memory_equal(wanted.figures, got.figures, sizeof wanted.figures);
        }
    }
}

static void training_in_a_captured_graph_has_the_same_losses_bit_by_bit(void **state) {
    (void)state;
    noted eager, captured;
    workload_result first = run(find("training"), "caching", false, false, &eager);
    workload_result second = run(find("training"), "caching", true, false, &captured);
    assert_memory_equal(eager.figures, captured.figures, sizeof eager.figures);
    assert_true(first.accuracy == second.accuracy);
    run(find("training"), "caching", true, true, &captured);
    assert_memory_equal(eager.figures, captured.figures, sizeof eager.figures);
}

static void training_learns(void **state) {
    (void)state;
    noted losses;
    if (is_slow()) {
        print_message("skipped: one step teaches little\n");
        skip();
    }
    workload_result result = run(find("training"), "caching", false, false, &losses);
    assert_true(result.last < 0.5 * result.first);
    assert_true(result.accuracy > 0.6);
}

static void a_workload_without_memory_says_so_and_leaves_nothing(void **state) {
    (void)state;
    const workload *work;
    for (size_t i = 0; (work = workload_at(i)) != NULL; i++) {
        test_bench bench;
        workload_result result = {.steps = 0};
        bench_open(&bench, "cpu", "limit:300KiB | caching");
        workload_options options = {
            .device = bench.device, .allocator = bench.allocator, .steps = 2, .seed = 1, .uses_graph = false};
        EXPECT(TARN_LIMIT_EXCEEDED, work->run(&options, &result));
        assert_int_equal(result.steps, 0);
        bench_close(&bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_workload_gives_the_same_figures_with_every_allocator),
        cmocka_unit_test(training_in_a_captured_graph_has_the_same_losses_bit_by_bit),
        cmocka_unit_test(training_learns),
        cmocka_unit_test(a_workload_without_memory_says_so_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
