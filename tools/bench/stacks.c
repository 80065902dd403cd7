/* `tarn bench stacks`: what each of Tarn's own stacks of allocators costs the host, side by side.
 *
 * Which strategy to take is a question of time among others, and what an adaptor adds is one of ratios: so all stacks are measured
 * in this process, taking turns round after round. Each figure is the least of its rounds: what else the machine does only
 * ever adds, and here no contender brings an allocator of its own that would have good and bad starts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "patterns.h"
#include "tarn/progress.h"

/* For one round of one pattern, beside its warm-up. All of them take less than a minute. */

/* Of the patterns, those that one thread goes through: an arena is for one. */
static const char *const measured[] = {"64 B", "64 KiB", "1 MiB", "16 MiB", "training step", "training step, written"};
enum { MEASURED = sizeof measured / sizeof measured[0] };

/* The first one is what the others are held against. */
static const char *const usual[] = {
    "caching",
    "direct",
    "pool",
    "pool | caching",
    "arena",
    "arena | caching",
    "graph",
    "predictive",
    "pytorch",
    "planned",
    "limit:64GiB | caching",
    "fail: | caching",
    "fallback:direct | caching",
    "graph_switch | caching",
    "track | caching",
    "guard | caching",
    "record:/dev/null | caching",
};

/* What an adaptor may add to a training step whose pages are written: times the first stack's time. */
static const struct adaptor_target {
    const char *spec;
    double limit;
} targets[] = {{"track | caching", 1.05}, {"record:/dev/null | caching", 1.05}};
enum { TARGETS = sizeof targets / sizeof targets[0] };

typedef struct stack_figures {
    const char *spec;
    double ns[MEASURED]; /* the least of the rounds */
    double ratio;        /* of the last pattern to the first stack's */
    double limit;        /* of the ratio; 0: none */
} stack_figures;

static const bench_pattern *pattern_named(const char *name) {
    size_t i = 0;
    while (strcmp(bench_patterns[i].name, name) != 0) i++;
    return &bench_patterns[i];
}

static tarn_status measure_stack(stack_figures *stack, double budget_ns) {
    for (size_t k = 0; k < MEASURED; k++) {
        double ns;
        tarn_status status = bench_measure(pattern_named(measured[k]), "cpu", stack->spec, budget_ns, &ns);
        if (status != TARN_OK) return status;
        if (stack->ns[k] == 0 || ns < stack->ns[k]) stack->ns[k] = ns;
    }
    return TARN_OK;
}

static int run_rounds(stack_figures *stacks, size_t count, size_t rounds, double budget_ns) {
    tool_progress progress = {.total_runs = rounds};
    for (size_t round = 0; round < rounds; round++) {
        progress_begin(&progress, "stacks", "round", count);
        for (size_t i = 0; i < count; i++) {
            progress_step(&progress);
            tarn_status status = measure_stack(&stacks[i], budget_ns);
            if (status != TARN_OK) return tool_fail(BENCH_COMMAND, stacks[i].spec, status);
        }
        progress_end(&progress);
    }
    for (size_t i = 0; i < count; i++) stacks[i].ratio = stacks[i].ns[MEASURED - 1] / stacks[0].ns[MEASURED - 1];
    return TOOL_DONE;
}

static void print_table(const stack_figures *stacks, size_t count, size_t rounds) {
    printf("stacks: time of one allocation and its free on the host, the least of %zu rounds\n", rounds);
    tool_table table = {.columns = MEASURED + 4, .left = 1u | 1u << (MEASURED + 3)};
    char text[TOOL_TEXT];
    table_add(&table, "allocator");
    for (size_t k = 0; k < MEASURED; k++) table_add(&table, "%s", measured[k]);
    table_add(&table, "that against the first");
    table_add(&table, "target");
    table_add(&table, "%s", "");
    for (size_t i = 0; i < count; i++) {
        table_add(&table, "%s", stacks[i].spec);
        for (size_t k = 0; k < MEASURED; k++) table_add(&table, "%s", bench_duration(stacks[i].ns[k], text));
        table_add(&table, "%.3f", stacks[i].ratio);
        bool is_judged = stacks[i].limit > 0;
        if (is_judged) table_add(&table, "≤ %.3g", stacks[i].limit);
        else table_add(&table, "%s", "");
        table_add(&table, "%s", !is_judged ? "" : stacks[i].ratio <= stacks[i].limit ? "met" : "short");
    }
    table_print(&table);
}

static json_t *to_json(const stack_figures *stacks, size_t count, size_t rounds) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *figures = json_object();
        for (size_t k = 0; k < MEASURED; k++) json_object_set_new(figures, measured[k], json_real(stacks[i].ns[k]));
        bool is_judged = stacks[i].limit > 0, is_met = stacks[i].ratio <= stacks[i].limit;
        json_array_append_new(list, json_pack("{s:o,s:o,s:f,s:o,s:o}", "allocator", tool_json_text(stacks[i].spec),
                                              "ns", figures, "written_step_against_first", stacks[i].ratio, "target",
                                              is_judged ? json_real(stacks[i].limit) : json_null(), "met",
                                              is_judged ? json_boolean(is_met) : json_null()));
    }
    return json_pack("{s:s,s:o,s:o}", "benchmark", "stacks", "rounds", tool_json_size(rounds), "allocators", list);
}

int bench_stacks(const bench_options *options, json_t **out_result) {
    bool is_named = options->spec_count > 0;
    const char *const *specs = is_named ? options->specs : usual;
    size_t count = is_named ? options->spec_count : sizeof usual / sizeof usual[0];
    size_t rounds = options->trial ? 1 : options->quick ? 2 : 7;
    stack_figures *stacks = calloc(count, sizeof *stacks);
    if (!stacks) return tool_no_memory(BENCH_COMMAND);
    for (size_t i = 0; i < count; i++) {
        stacks[i].spec = specs[i];
        for (size_t k = 0; k < TARGETS; k++)
            if (strcmp(specs[i], targets[k].spec) == 0) stacks[i].limit = targets[k].limit;
    }
    int code = run_rounds(stacks, count, rounds, options->trial ? 1e5 : 1e7);
    if (code == TOOL_DONE) {
        if (!options->as_json) print_table(stacks, count, rounds);
        *out_result = to_json(stacks, count, rounds);
        if (!*out_result) code = tool_no_memory(BENCH_COMMAND);
    }
    free(stacks);
    return code;
}
