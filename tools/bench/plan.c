/* `tarn bench plan`: how low plans are and how long they take: MiniMalloc's and other problems, recorded traces, and problems made up
 * to be like them.
 *
 * Times are those of a machine on which the reference loop takes its nominal time: the loop is timed before and after each search, and the
 * search's times are divided by how much longer it took. So a slower machine can be held against the same targets. The shortest of many
 * runs counts: what others take of the machine meanwhile makes the figures worse, and never better. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "harness.h"
#include "problems.h"

enum { THREADS = 2, REFERENCE_STEPS = 1000000, REFERENCE_RUNS = 20 };
/* Of a step of the loop, on an otherwise idle core of an AMD EPYC server. */
static const double nominal_step_ns = 1.1;
static const double first_target = 0.9, first_target_seconds = 0.010;

/* What a search is held against. */
typedef struct plan_target {
    double ratio;   /* height / lower bound; 0: none, the capacity counts */
    double seconds; /* until it is reached; 0: not judged */
} plan_target;

static const plan_target published = {0, 0.42}, large = {1.01, 1}, recorded = {1.001, 1}, million = {1.01, 15},
                         unjudged = {0};

typedef struct plan_case {
    const char *name;
    const tarn_plan_buffer *buffers;
    size_t count;
    uint64_t capacity; /* bytes; UINT64_MAX: none is known */
    plan_target target;
} plan_case;

typedef struct plan_figures {
    tarn_plan_result first, best; /* by the fast heuristics, and by all */
    double scale;                 /* how much longer the reference loop took than it should */
    double found;                 /* seconds until the best plan was there */
    double reached;               /* seconds until the target was; negative: never */
} plan_figures;

/* What is seen of a search while it goes on. */
typedef struct plan_watch {
    const plan_case *of;
    plan_figures *figures;
    uint64_t height;
} plan_watch;

static bool reaches_target(const plan_case *of, uint64_t height, uint64_t lower_bound) {
    if (of->target.ratio > 0) return (double)height <= of->target.ratio * (double)lower_bound;
    return height <= of->capacity;
}

static void note(plan_watch *watch, double seconds, uint64_t height, uint64_t lower_bound) {
    /* Before there is a plan, the height is 0. */
    if (height == 0 || height >= watch->height) return;
    watch->height = height;
    watch->figures->found = seconds;
    if (watch->figures->reached < 0 && reaches_target(watch->of, height, lower_bound))
        watch->figures->reached = seconds;
}

static int see_progress(void *context, const tarn_plan_progress *progress) {
    note(context, progress->seconds, progress->height, progress->lower_bound);
    return 0;
}

static uint64_t run_loop(uint64_t value) {
    /* Each step waits for the one before it. */
    for (int i = 0; i < REFERENCE_STEPS; i++) value = value * UINT64_C(6364136223846793005) + 1;
    return value;
}

/* How many times its nominal time the reference loop takes now. */
static double time_reference(void) {
    uint64_t least = UINT64_MAX, value = 1;
    for (int i = 0; i < REFERENCE_RUNS; i++) {
        uint64_t begin = base_clock_ns();
        value = run_loop(value);
        bench_keep(&value);
        uint64_t taken = base_clock_ns() - begin;
        if (taken < least) least = taken;
    }
    return (double)least / (REFERENCE_STEPS * nominal_step_ns);
}

static tarn_status solve_first(const plan_case *of, uint64_t *offsets, plan_figures *figures) {
    tarn_plan_options options = {.struct_size = sizeof options, .threads = THREADS, .timeout_seconds = -1};
    figures->first.struct_size = sizeof figures->first;
    return tarn_plan_solve(of->buffers, of->count, &options, offsets, &figures->first);
}

static tarn_status solve_best(const plan_case *of, double seconds, uint64_t *offsets, plan_figures *figures) {
    plan_watch watch = {.of = of, .figures = figures, .height = UINT64_MAX};
    tarn_plan_options options = {
        .struct_size = sizeof options,
        .threads = THREADS,
        .timeout_seconds = seconds,
        .progress = see_progress,
        .context = &watch,
    };
    figures->best.struct_size = sizeof figures->best;
    tarn_status status = tarn_plan_solve(of->buffers, of->count, &options, offsets, &figures->best);
    if (status == TARN_OK) note(&watch, figures->best.seconds, figures->best.height, figures->best.lower_bound);
    return status;
}

/* Plans the problem twice: with the fast heuristics, and with all there is. */
static tarn_status measure(const plan_case *of, bool quick, plan_figures *out_figures) {
    plan_figures figures = {.reached = -1};
    uint64_t *offsets = calloc(of->count + 1, sizeof *offsets);
    if (offsets == NULL) return TARN_OUT_OF_MEMORY;
    double before = time_reference(), seconds = of->target.seconds > 1 ? of->target.seconds : 1;
    tarn_status status = solve_first(of, offsets, &figures);
    if (status == TARN_OK) status = solve_best(of, quick ? 0.2 : seconds * before, offsets, &figures);
    free(offsets);
    if (status != TARN_OK) return status;
    double after = time_reference();
    figures.scale = before < after ? before : after;
    figures.first.seconds /= figures.scale;
    figures.best.seconds /= figures.scale;
    figures.found /= figures.scale;
    if (figures.reached > 0) figures.reached /= figures.scale;
    *out_figures = figures;
    return TARN_OK;
}

static double efficiency(const tarn_plan_result *result) {
    return result->height == 0 ? 1 : (double)result->lower_bound / (double)result->height;
}

static bool is_met(const plan_case *of, const plan_figures *figures) {
    return figures->reached >= 0 && figures->reached <= of->target.seconds;
}

static void add_row(tool_table *table, const plan_case *of, const plan_figures *figures) {
    char text[TOOL_TEXT];
    bool is_judged = of->target.seconds > 0;
    table_add(table, "%s", of->name);
    table_add(table, "%s", tool_count(of->count, text));
    table_add(table, "%.2f %%", 100 * efficiency(&figures->first));
    table_add(table, "%s", bench_duration(figures->first.seconds * 1e9, text));
    table_add(table, "%.5f", 1 / efficiency(&figures->best));
    table_add(table, "%s", figures->best.is_optimal ? "yes" : "no");
    table_add(table, "%s", bench_duration(figures->found * 1e9, text));
    table_add(table, "%.2f", figures->scale);
    if (!is_judged) table_add(table, "-");
    else if (of->target.ratio > 0) table_add(table, "≤ %.3f in %.2f s", of->target.ratio, of->target.seconds);
    else table_add(table, "fits in %.2f s", of->target.seconds);
    if (figures->reached < 0) table_add(table, "-");
    else table_add(table, "%s", bench_duration(figures->reached * 1e9, text));
    table_add(table, "%s", !is_judged ? "" : is_met(of, figures) ? "met" : "short");
}

static json_t *row_json(const plan_case *of, const plan_figures *figures) {
    bool is_judged = of->target.seconds > 0;
    bool is_small = of->capacity != UINT64_MAX;
    json_t *first = json_pack("{s:o,s:f,s:f,s:o}", "height", tool_json_size(figures->first.height), "efficiency",
                              efficiency(&figures->first), "seconds", figures->first.seconds, "met",
                              !is_small ? json_null()
                                        : json_boolean(efficiency(&figures->first) >= first_target &&
                                                       figures->first.seconds <= first_target_seconds));
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:f,s:b,s:f,s:f,s:o,s:o,s:o,s:o}", "problem", tool_json_text(of->name),
                     "buffers", tool_json_size(of->count), "lower_bound", tool_json_size(figures->best.lower_bound),
                     "capacity", is_small ? tool_json_size(of->capacity) : json_null(), "first", first, "height",
                     tool_json_size(figures->best.height), "ratio", 1 / efficiency(&figures->best), "optimal",
                     figures->best.is_optimal, "found_seconds", figures->found, "reference_times_nominal",
                     figures->scale, "target_ratio", of->target.ratio > 0 ? json_real(of->target.ratio) : json_null(),
                     "target_seconds", is_judged ? json_real(of->target.seconds) : json_null(), "reached_seconds",
                     figures->reached >= 0 ? json_real(figures->reached) : json_null(), "met",
                     is_judged ? json_boolean(is_met(of, figures)) : json_null());
}

/* Where the rows go. */
typedef struct plan_report {
    const bench_options *options;
    tool_table table;
    json_t *results;
} plan_report;

static int run_case(plan_report *report, const plan_case *of) {
    plan_figures figures;
    tarn_status status = measure(of, report->options->quick, &figures);
    if (status != TARN_OK) return tool_fail(BENCH_COMMAND, of->name, status);
    add_row(&report->table, of, &figures);
    json_array_append_new(report->results, row_json(of, &figures));
    return TOOL_DONE;
}

/* Files are called NAME.CAPACITY.csv where a capacity is published. */
static uint64_t capacity_of(const char *name) {
    uint64_t capacity = UINT64_MAX;
    const char *dot = strchr(name, '.'), *end = strrchr(name, '.');
    if (dot == NULL || end == dot || end - dot > 20) return UINT64_MAX;
    char digits[24] = "";
    memcpy(digits, dot + 1, (size_t)(end - dot - 1));
    return strspn(digits, "0123456789") == strlen(digits) && tarn_size_parse(digits, &capacity) == TARN_OK ? capacity
                                                                                                           : UINT64_MAX;
}

static int run_file(void *context, const char *path) {
    plan_report *report = context;
    tarn_plan_problem *problem = NULL;
    tarn_plan_problem_info info = {.struct_size = sizeof info};
    tarn_status status = tarn_plan_problem_read(path, NULL, &problem);
    if (status == TARN_OK) status = tarn_plan_problem_info_get(problem, &info);
    if (status != TARN_OK) return tool_fail(BENCH_COMMAND, path, status);
    const char *name = tool_base_name(path);
    plan_case of = {.name = name, .buffers = tarn_plan_problem_buffers(problem), .count = info.buffer_count};
    of.capacity = info.format == TARN_TRACE_UNKNOWN ? capacity_of(name) : UINT64_MAX;
    of.target = info.format != TARN_TRACE_UNKNOWN ? recorded : of.capacity != UINT64_MAX ? published : large;
    int result = run_case(report, &of);
    tarn_plan_problem_release(problem);
    return result;
}

static int run_generated(plan_report *report, bench_problem kind, size_t count, plan_target target) {
    char name[64], text[TOOL_TEXT];
    snprintf(name, sizeof name, "%s, %s", bench_problem_name(kind), tool_count(count, text));
    tarn_plan_buffer *buffers = bench_problem_make(kind, count, 1);
    if (buffers == NULL) return tool_no_memory(BENCH_COMMAND);
    plan_case of = {.name = name, .buffers = buffers, .count = count, .capacity = UINT64_MAX, .target = target};
    int result = run_case(report, &of);
    free(buffers);
    return result;
}

static int run_all_generated(plan_report *report) {
    bool quick = report->options->quick;
    int result = TOOL_DONE;
    for (int kind = 0; kind < BENCH_PROBLEM_COUNT && result == TOOL_DONE; kind++)
        result = run_generated(report, (bench_problem)kind, quick ? 10000 : 100000, quick ? unjudged : large);
    static const bench_problem tilings[] = {BENCH_PROBLEM_TILING, BENCH_PROBLEM_TORN};
    for (size_t i = 0; i < sizeof tilings / sizeof tilings[0] && result == TOOL_DONE && !quick; i++)
        result = run_generated(report, tilings[i], 3000, large);
    static const bench_problem millions[] = {BENCH_PROBLEM_TRAINING, BENCH_PROBLEM_STEADY, BENCH_PROBLEM_POWERS,
                                             BENCH_PROBLEM_MEMORYLESS};
    for (size_t i = 0; i < sizeof millions / sizeof millions[0] && result == TOOL_DONE && !quick; i++)
        result = run_generated(report, millions[i], 1000000, million);
    return result;
}

static int run_all(plan_report *report) {
    int result = bench_each_problem(report->options, "plan", run_file, report);
    return result == TOOL_DONE ? run_all_generated(report) : result;
}

int bench_plan(const bench_options *options, json_t **out_result) {
    static const char *const header[] = {"problem", "buffers", "first plan", "after",  "height / bound",
                                         "proved",  "found",   "machine",    "target", "reached",
                                         ""};
    enum { COLUMNS = sizeof header / sizeof header[0] };
    plan_report report = {
        .options = options, .table = {.columns = COLUMNS, .left = 1u << (COLUMNS - 1)}, .results = json_array()};
    for (size_t i = 0; i < COLUMNS; i++) table_add(&report.table, "%s", header[i]);
    int result = run_all(&report);
    if (result != TOOL_DONE || options->as_json) table_free(&report.table);
    if (result != TOOL_DONE) {
        json_decref(report.results);
        return result;
    }
    if (!options->as_json) {
        puts(
            "plan: lower bound / height of the first plan, height / lower bound of the best; times divided by how slow the machine is");
        table_print(&report.table);
    }
    *out_result = json_pack("{s:s,s:i,s:o}", "benchmark", "plan", "threads", THREADS, "results", report.results);
    return *out_result ? TOOL_DONE : tool_no_memory(BENCH_COMMAND);
}
