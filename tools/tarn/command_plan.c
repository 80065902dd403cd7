/* `tarn plan`: an offset for each buffer of a problem whose lifetimes are known, or of a trace.
 *
 * Ctrl-C ends the search as its time does: the best plan so far is printed and written. A second one ends the program. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_layout.h"
#include "progress.h"
#include "table.h"

static const char *const command = "tarn plan";

static const double default_seconds = 1;
static const double most_seconds = 1e9;

typedef struct plan_options {
    const char *path, *output, *svg, *html;
    uint64_t capacity;  /* of each region; UINT64_MAX: none was given */
    uint64_t alignment; /* 0: none was given */
    double seconds;     /* 0: the first plan */
    unsigned threads;
    bool as_json;
} plan_options;

typedef struct plan_watch {
    tool_progress progress;
    double seconds;
} plan_watch;

/* Written by the handler of a signal, read by threads that search. */
static atomic_int is_interrupted;

static void interrupt(int signal_number) {
    (void)signal_number;
    atomic_store_explicit(&is_interrupted, 1, memory_order_relaxed);
}

static void listen_for_interrupt(void) {
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
}

static int watch(void *context, const tarn_plan_progress *progress) {
    plan_watch *watched = context;
    if (watched->seconds > 0) progress_reach(&watched->progress, (size_t)(progress->seconds / watched->seconds * 1000));
    return atomic_load_explicit(&is_interrupted, memory_order_relaxed);
}

static tarn_status solve(const plan_options *options, plan_layout *layout) {
    uint32_t region_count = layout->info.region_count;
    uint64_t *capacities = calloc((size_t)region_count + 1, sizeof *capacities);
    layout->offsets = calloc(layout->info.buffer_count + 1, sizeof *layout->offsets);
    if (capacities == NULL || layout->offsets == NULL) {
        free(capacities);
        return TARN_OUT_OF_MEMORY;
    }
    for (uint32_t i = 0; i < region_count; i++) capacities[i] = options->capacity;
    plan_watch watched = {.progress.total_runs = 1, .seconds = options->seconds};
    tarn_plan_options how = {
        .struct_size = sizeof how,
        .capacities = capacities,
        .region_count = region_count,
        .threads = options->threads,
        .timeout_seconds = options->seconds > 0 ? options->seconds : -1,
        .progress = watch,
        .context = &watched,
        .stops_at_capacity = options->capacity != UINT64_MAX,
    };
    layout->result.struct_size = sizeof layout->result;
    progress_begin(&watched.progress, options->path, "planning", 1000);
    tarn_status status = tarn_plan_solve(tarn_plan_problem_buffers(layout->problem), layout->info.buffer_count, &how,
                                         layout->offsets, &layout->result);
    progress_end(&watched.progress);
    free(capacities);
    return status;
}

static json_t *result_json(const plan_layout *layout) {
    const tarn_plan_result *result = &layout->result;
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:b,s:f,s:b}", "file", tool_json_text(layout->path), "buffers",
                     tool_json_size(layout->info.buffer_count), "lower_bound", tool_json_size(result->lower_bound),
                     "capacity", layout->capacity == UINT64_MAX ? json_null() : tool_json_size(layout->capacity),
                     "height", tool_json_size(result->height), "optimal", result->is_optimal, "seconds",
                     result->seconds, "feasible", result->is_feasible);
}

static void print_result(const plan_layout *layout) {
    static const char *const header[] = {"problem",    "buffers", "lower bound", "height",
                                         "efficiency", "optimal", "fits",        "time"};
    enum { COLUMNS = sizeof header / sizeof header[0] };
    const tarn_plan_result *result = &layout->result;
    char text[TOOL_TEXT], size[TARN_SIZE_TEXT];
    tool_table table = {.columns = COLUMNS};
    for (size_t i = 0; i < COLUMNS; i++) table_add(&table, "%s", header[i]);
    table_add(&table, "%s", tool_base_name(layout->path));
    table_add(&table, "%s", tool_count(layout->info.buffer_count, text));
    table_add(&table, "%s", tarn_size_format(result->lower_bound, size));
    table_add(&table, "%s", tarn_size_format(result->height, size));
    table_add(&table, "%s", tool_percent(plan_efficiency(result->lower_bound, result->height), text));
    table_add(&table, "%s", result->is_optimal ? "yes" : "not proved");
    if (layout->capacity == UINT64_MAX) table_add(&table, "-");
    else table_add(&table, "%s", result->is_feasible ? "yes" : result->is_infeasible ? "no, proved" : "no");
    table_add(&table, "%s", tool_duration(result->seconds * 1e9, text));
    table_print(&table);
}

/* Why the exit status is 3. */
static void say_it_does_not_fit(const plan_layout *layout) {
    char capacity[TARN_SIZE_TEXT], height[TARN_SIZE_TEXT];
    tool_say(command, "%s: no plan that fits %s (%llu bytes) was found%s; the lowest found has %s (%llu bytes)",
             layout->path, tarn_size_format(layout->capacity, capacity), (unsigned long long)layout->capacity,
             layout->result.is_infeasible ? ", and none can be" : "", tarn_size_format(layout->result.height, height),
             (unsigned long long)layout->result.height);
}

static int report(const plan_options *options, plan_layout *layout) {
    int result = TOOL_DONE;
    if (options->output != NULL) {
        tarn_status status = tarn_plan_problem_write(layout->problem, layout->offsets, options->output);
        if (status != TARN_OK) return tool_fail(command, options->output, status);
    }
    bool has_picture = options->svg != NULL || options->html != NULL;
    if (has_picture && !plan_layout_regions(layout)) return tool_no_memory(command);
    if (options->svg != NULL) result = plan_svg_write(layout, command, options->svg);
    if (options->html != NULL && result == TOOL_DONE) result = plan_page_write(layout, command, options->html);
    if (result != TOOL_DONE) return result;
    if (options->as_json) result = tool_print_json(command, result_json(layout));
    else print_result(layout);
    if (result != TOOL_DONE || layout->result.is_feasible) return result;
    say_it_does_not_fit(layout);
    return TOOL_MEMORY;
}

static int run(const plan_options *options) {
    plan_layout layout = {.path = options->path, .capacity = options->capacity};
    tarn_plan_problem_options how = {.struct_size = sizeof how, .alignment = options->alignment};
    layout.info.struct_size = sizeof layout.info;
    tarn_status status = tarn_plan_problem_read(options->path, &how, &layout.problem);
    if (status == TARN_OK) status = tarn_plan_problem_info_get(layout.problem, &layout.info);
    listen_for_interrupt();
    if (status == TARN_OK) status = solve(options, &layout);
    int result = status == TARN_OK ? report(options, &layout) : tool_fail(command, options->path, status);
    /* Not the capacity is exceeded then, but what a plan can be of. */
    if (status == TARN_LIMIT_EXCEEDED) result = TOOL_INPUT;
    plan_layout_free(&layout);
    return result;
}

enum {
    OPTION_CAPACITY = 'c',
    OPTION_TIMEOUT = 't',
    OPTION_OUTPUT = 'o',
    OPTION_JSON = 'j',
    OPTION_THREADS = 0x100,
    OPTION_ALIGNMENT,
    OPTION_SVG,
    OPTION_HTML
};

static uint64_t parse_size(struct argp_state *state, const char *option, const char *text) {
    uint64_t size = 0;
    if (tarn_size_parse(text, &size) != TARN_OK)
        argp_error(state, "--%s takes a size such as 512M, not '%s'", option, text);
    return size;
}

static double parse_seconds(struct argp_state *state, const char *text) {
    char *end = NULL;
    errno = 0;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 0 || seconds > most_seconds)
        argp_error(state, "--timeout takes seconds from 0 to %g, not '%s'", most_seconds, text);
    return seconds;
}

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    plan_options *options = state->input;
    switch (key) {
    case OPTION_CAPACITY: options->capacity = parse_size(state, "capacity", argument); return 0;
    case OPTION_TIMEOUT: options->seconds = parse_seconds(state, argument); return 0;
    case OPTION_ALIGNMENT:
        options->alignment = parse_size(state, "alignment", argument);
        if (options->alignment == 0) argp_error(state, "--alignment takes at least 1");
        return 0;
    case OPTION_THREADS: options->threads = (unsigned)tool_number(state, "threads", argument, 1, 1024); return 0;
    case OPTION_OUTPUT: options->output = argument; return 0;
    case OPTION_SVG: options->svg = argument; return 0;
    case OPTION_HTML: options->html = argument; return 0;
    case OPTION_JSON: options->as_json = true; return 0;
    case ARGP_KEY_ARG:
        if (options->path != NULL) argp_error(state, "one file is taken; '%s' is too many", argument);
        options->path = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->path == NULL) argp_error(state, "no file given");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int plan_command(int argc, char **argv) {
    static const struct argp_option option_list[] = {
        {"capacity", OPTION_CAPACITY, "N", 0, "End with the first plan that fits N bytes; exit with 3 if none is found",
         0},
        {"timeout", OPTION_TIMEOUT, "S", 0,
         "Search for S seconds at most (default: 1); 0: take the first plan that the fast heuristics find", 0},
        {"threads", OPTION_THREADS, "N", 0, "Search with N threads (default: one for each processor)", 0},
        {"alignment", OPTION_ALIGNMENT, "N", 0,
         "Align buffers for which the file asks for nothing to N bytes (default: 512 for a PyTorch snapshot, 256 for an RMM log, "
         "64 for Tarn's traces, none for a problem file)",
         0},
        {"output", OPTION_OUTPUT, "FILE", 0, "Write the problem with an offset for each buffer, as MiniMalloc does", 0},
        {"svg", OPTION_SVG, "FILE", 0, "Write the plan as a picture: time by address", 0},
        {"html", OPTION_HTML, "FILE", 0, "Write the picture as a page that can be zoomed and searched", 0},
        {"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0},
        {0}};
    static const struct argp argp = {
        .options = option_list,
        .parser = parse_option,
        .args_doc = "FILE",
        .doc =
            "Places buffers whose lifetimes are known, so that they need little memory together. FILE is a table with the columns "
            "id, lower, upper, size, and if need be alignment, gaps, offset (where a buffer has to lie) and region; or any trace that tarn "
            "reads: its allocations with their requested sizes, each alive from its event to that of its free, and each device a region of "
            "its own. Ctrl-C ends the search; the best plan so far is the result."
            "\vExample:\n\n  tarn plan problem.csv --capacity 1M -o planned.csv\n  tarn plan snapshot.pickle --html plan.html",
    };
    plan_options options = {.capacity = UINT64_MAX, .seconds = default_seconds};
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0) return TOOL_USAGE;
    return run(&options);
}
