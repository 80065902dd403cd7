/* `tarn bench`: the list of the benchmarks, and the command that runs them. */
#include "bench.h"

#include <argp.h>
#include <string.h>

#include "computing.h"
#include "harness.h"
#include "peers.h"

static const benchmark benchmarks[] = {{.name = "alloc", .run = bench_alloc, .has_devices = true},
                                       {.name = "stacks", .run = bench_stacks},
                                       {.name = "replay", .run = bench_replay},
                                       {.name = "record", .run = bench_record},
                                       {.name = "shapes", .run = bench_shapes},
                                       {.name = "plan", .run = bench_plan},
                                       {.name = "graphs", .run = bench_graphs},
                                       {.name = "ops", .run = bench_operations, .has_plots = true, .has_devices = true},
                                       {.name = "expr", .run = bench_expressions, .has_plots = true}};
enum { BENCHMARKS = sizeof benchmarks / sizeof benchmarks[0] };

typedef struct bench_settings {
    bench_options options;
    bool is_wanted[BENCHMARKS];
    bool any_named;
    const char *unknown; /* the first name that no benchmark has */
    const char *measure; /* this process is a contender's */
    const char *measure_work;
} bench_settings;

enum {
    OPTION_JSON = 'j',
    OPTION_QUICK = 'q',
    OPTION_DATA = 'd',
    OPTION_ALLOCATOR = 'a',
    OPTION_SVG = 's',
    OPTION_LARGEST = 'l',
    OPTION_MEASURE = 0x100,
    OPTION_WORK,
    OPTION_DEVICE
};

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    bench_settings *settings = state->input;
    switch (key) {
    case OPTION_JSON: settings->options.as_json = true; return 0;
    case OPTION_QUICK:
        settings->options.trial = settings->options.quick;
        settings->options.quick = true;
        return 0;
    case OPTION_DATA: settings->options.data = argument; return 0;
    case OPTION_ALLOCATOR:
        if (settings->options.spec_count == BENCH_MOST_SPECS)
            argp_error(state, "at most %d allocators are compared", BENCH_MOST_SPECS);
        settings->options.specs[settings->options.spec_count++] = argument;
        return 0;
    case OPTION_SVG: settings->options.plots = argument; return 0;
    case OPTION_LARGEST:
        settings->options.largest = (size_t)tool_number(state, "largest", argument, 1000, 1000000000);
        return 0;
    case OPTION_DEVICE: settings->options.device = argument; return 0;
    case OPTION_MEASURE: settings->measure = argument; return 0;
    case OPTION_WORK: settings->measure_work = argument; return 0;
    case ARGP_KEY_ARG:
        for (size_t i = 0; i < BENCHMARKS; i++) {
            if (strcmp(argument, benchmarks[i].name) != 0) continue;
            settings->is_wanted[i] = settings->any_named = true;
            return 0;
        }
        if (settings->unknown == NULL) settings->unknown = argument;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* With --device, those that measure one. */
static bool is_run(const bench_settings *settings, size_t index) {
    if (settings->any_named) return settings->is_wanted[index];
    return settings->options.device == NULL || benchmarks[index].has_devices;
}

/* What --device leaves nothing to do is wrong usage. */
static int check_device(const bench_settings *settings) {
    if (settings->options.device == NULL) return TOOL_DONE;
    for (size_t i = 0; i < BENCHMARKS; i++) {
        if (!is_run(settings, i) || benchmarks[i].has_devices) continue;
        tool_say(BENCH_COMMAND, "--device: '%s' does not measure a device; alloc and ops do", benchmarks[i].name);
        return TOOL_USAGE;
    }
    if (settings->options.plots == NULL) return TOOL_DONE;
    tool_say(BENCH_COMMAND, "--svg: there are no plots of a device");
    return TOOL_USAGE;
}

/* What the plots need is looked for before anything is measured. */
static int check_plots(const bench_settings *settings) {
    bool has_plots = false;
    for (size_t i = 0; i < BENCHMARKS; i++) has_plots = has_plots || (is_run(settings, i) && benchmarks[i].has_plots);
    if (settings->options.plots == NULL) return TOOL_DONE;
    if (has_plots) return plots_check(settings->options.plots);
    tool_say(BENCH_COMMAND, "--svg: of the benchmarks that are named none has plots; ops and expr have");
    return TOOL_USAGE;
}

static int run_all(const bench_settings *settings) {
    int checked = check_device(settings);
    if (checked == TOOL_DONE) checked = check_plots(settings);
    if (checked != TOOL_DONE) return checked;
    json_t *results = json_array();
    for (size_t i = 0; i < BENCHMARKS; i++) {
        if (!is_run(settings, i)) continue;
        json_t *result = NULL;
        int code = benchmarks[i].run(&settings->options, &result);
        if (code != TOOL_DONE) {
            json_decref(results);
            return code;
        }
        json_array_append_new(results, result);
    }
    if (settings->options.as_json) return tool_print_json(BENCH_COMMAND, json_pack("{s:o}", "benchmarks", results));
    json_decref(results);
    return TOOL_DONE;
}

int bench_command(int argc, char **argv) {
    static const struct argp_option option_list[] = {
        {"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0},
        {"quick", OPTION_QUICK, NULL, 0,
         "Measure for seconds instead of a minute; the figures are rougher. Given twice, only to see that it works", 0},
        {"data", OPTION_DATA, "FOLDER", 0,
         "Where replay finds traces, and plan and graphs their problems (default: TARN_SHARED_DATA)", 0},
        {"allocator", OPTION_ALLOCATOR, "SPEC", 0,
         "Measure this stack in `stacks`; may be given more than once, and the first is what the others are held against",
         0},
        {"svg", OPTION_SVG, "FOLDER", 0,
         "Measure `ops` and `expr` over sizes as well, and draw a plot of each family there", 0},
        {"device", OPTION_DEVICE, "DEVICE", 0,
         "Measure `ops` and `alloc` on this device: operations beside its own copy, with 64 MiB for each operand, and allocations beside the cpu's",
         0},
        {"largest", OPTION_LARGEST, "ELEMENTS", 0,
         "The largest tensors of `ops` and `expr`; what needs larger ones is left out (default: 100000000, with --quick 10000000)",
         0},
        {PEER_OPTION, OPTION_MEASURE, "SPEC:BUDGET", OPTION_HIDDEN, NULL, 0},
        {COMPUTING_OPTION, OPTION_WORK, "WORK:ELEMENTS:ROUNDS:MILLISECONDS …", OPTION_HIDDEN, NULL, 0},
        {0}};
    static const struct argp argp = {
        .options = option_list,
        .parser = parse_option,
        .args_doc = "[NAME…]",
        .doc =
            "Runs the benchmarks that are named, or all: `alloc` measures the host's cost of an allocation and its free on Tarn "
            "and, in the same run, on malloc and the allocators installed here; `stacks` compares Tarn's own stacks; `replay` measures on recorded traces how much "
            "of the memory taken is in use; `record` measures what recording a NumPy program costs; `shapes` compares ways of "
            "padding buffers whose shape varies; `plan` measures how low plans are, and how long they take; `graphs` measures what plans save in captured graphs; `ops` measures operations on tensors "
            "beside NumPy, PyTorch and the speed of memory and arithmetic; `expr` the same of expressions, and what they cost the host and need of memory."
            "\vExample:\n\n  tarn bench alloc --quick",
    };
    bench_settings settings = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &settings) != 0) return TOOL_USAGE;
    if (settings.measure) return peer_child(settings.measure);
    if (settings.measure_work) return computing_child(settings.measure_work);
    if (settings.unknown) {
        tool_say(
            BENCH_COMMAND,
            "no benchmark is called '%s'; there are alloc, stacks, replay, record, shapes, plan, graphs, ops and expr",
            settings.unknown);
        return TOOL_INPUT;
    }
    return run_all(&settings);
}
