/* `tarn run`: a real workload on tensors, its speed, and the memory that its allocator needed. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "table.h"
#include "tool.h"
#include "workload/workload.h"

static const char *const command = "tarn run";

typedef struct run_options {
    const char *name, *device, *allocator, *record;
    size_t steps;
    uint64_t seed;
    bool uses_graph, as_json;
} run_options;

/* Figures of all steps, for JSON, and the bar that shows how far they are. */
typedef struct figures {
    double *values;
    size_t count, room;
    bool is_short;
    tool_progress bar;
} figures;

static void note_figure(void *context, size_t step, size_t steps, double figure) {
    figures *noted = context;
    if (step == 1) progress_begin(&noted->bar, noted->bar.file, noted->bar.what, steps);
    progress_reach(&noted->bar, step);
    if (noted->count == noted->room) {
        size_t room = noted->room == 0 ? 256 : noted->room * 2;
        double *values = realloc(noted->values, room * sizeof *values);
        if (values == NULL) {
            noted->is_short = true;
            return;
        }
        noted->values = values;
        noted->room = room;
    }
    noted->values[noted->count++] = figure;
}

static int list_workloads(bool as_json) {
    json_t *list = as_json ? json_array() : NULL;
    tool_table table = {.columns = 3, .left = 7};
    const workload *found;
    if (!as_json) {
        table_add(&table, "workload");
        table_add(&table, "default allocator");
        table_add(&table, "what it does");
    }
    for (size_t i = 0; (found = workload_at(i)) != NULL; i++) {
        if (as_json) {
            json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:b}", "name", found->name, "summary", found->summary,
                                                  "allocator", found->allocator, "graph", found->can_use_graph));
        } else {
            table_add(&table, "%s", found->name);
            table_add(&table, "%s", found->allocator);
            table_add(&table, "%s", found->summary);
        }
    }
    if (as_json) return tool_print_json(command, json_pack("{s:o}", "workloads", list));
    table_print(&table);
    return TOOL_DONE;
}

static const workload *find_workload(const char *name) {
    const workload *found = NULL;
    for (size_t i = 0; (found = workload_at(i)) != NULL && strcmp(found->name, name) != 0; i++) {}
    return found;
}

/* "record:"FILE" | SPEC", with the marks in the file's name doubled. NULL when there is no memory. */
static char *make_spec(const char *file, const char *spec) {
    char *text = malloc(2 * strlen(file) + strlen(spec) + 16);
    if (text == NULL) return NULL;
    char *end = text + sprintf(text, "record:\"");
    for (; *file != '\0'; file++) {
        if (*file == '"') *end++ = '"';
        *end++ = *file;
    }
    sprintf(end, "\" | %s", spec);
    return text;
}

static json_t *result_json(const run_options *options, const workload *work, tarn_allocator *allocator,
                           const workload_result *result, const tarn_memory_stats *memory, const figures *noted) {
    json_t *values = json_array();
    for (size_t i = 0; i < noted->count; i++) json_array_append_new(values, json_real(noted->values[i]));
    return json_pack("{s:s,s:o,s:o,s:I,s:b,s:I,s:s,s:o,s:o,s:f,s:s,s:f,s:{s:o,s:o,s:o,s:o,s:o,s:o}}", "workload",
                     work->name, "device", tool_json_text(options->device), "allocator",
                     tool_json_text(tarn_allocator_spec(allocator)), "seed", (json_int_t)options->seed, "graph",
                     options->uses_graph, "steps", (json_int_t)result->steps, "figure", result->figure_name, "figures",
                     values, "accuracy", result->accuracy < 0 ? json_null() : json_real(result->accuracy), "seconds",
                     result->seconds, "item", result->item, "items_per_second", result->items / result->seconds,
                     "memory", "peak_live_bytes", tool_json_size(memory->requested_bytes.peak), "peak_in_use_bytes",
                     tool_json_size(memory->in_use_bytes.peak), "peak_reserved_bytes",
                     tool_json_size(memory->reserved_bytes.peak), "allocations", tool_json_size(memory->allocations),
                     "failed_allocations", tool_json_size(memory->failed_allocations), "device_waits",
                     tool_json_size(memory->device_waits));
}

static void print_row(tool_table *table, const char *name, const char *value) {
    table_add(table, "%s", name);
    table_add(table, "%s", value);
}

static void print_result(const run_options *options, const workload *work, tarn_allocator *allocator,
                         const workload_result *result, const tarn_memory_stats *memory) {
    tool_table table = {.columns = 2, .left = 3};
    char text[256], duration[TOOL_TEXT], count[TOOL_TEXT], size[TARN_SIZE_TEXT];
    print_row(&table, "workload", work->name);
    print_row(&table, "device", options->device);
    print_row(&table, "allocator", tarn_allocator_spec(allocator));
    snprintf(text, sizeof text, "%s%s", tool_count(result->steps, count),
             options->uses_graph ? ", of a captured graph" : "");
    print_row(&table, "steps", text);
    snprintf(text, sizeof text, "%.9g, then %.9g", result->first, result->last);
    print_row(&table, result->figure_name, text);
    if (result->accuracy >= 0) print_row(&table, "accuracy", tool_percent(result->accuracy, text));
    print_row(&table, "time of a step", tool_duration(result->seconds * 1e9 / (double)result->steps, duration));
    snprintf(text, sizeof text, "%s %s a second", tool_count((uint64_t)(result->items / result->seconds), count),
             result->item);
    print_row(&table, "speed", text);
    print_row(&table, "allocations", tool_count(memory->allocations, count));
    print_row(&table, "peak live", tarn_size_format(memory->requested_bytes.peak, size));
    print_row(&table, "peak reserved", tarn_size_format(memory->reserved_bytes.peak, size));
    table_print(&table);
}

/* With the allocator created. */
static int run_on(const run_options *options, const workload *work, tarn_allocator *allocator) {
    figures noted = {.bar = {.total_runs = 1, .file = work->name, .what = options->device}};
    workload_options how = {.device = tarn_allocator_device(allocator),
                            .allocator = allocator,
                            .steps = options->steps,
                            .seed = options->seed,
                            .uses_graph = options->uses_graph,
                            .progress = note_figure,
                            .context = &noted};
    workload_result result;
    tarn_memory_stats memory = {.struct_size = sizeof memory};
    tarn_status status = work->run(&how, &result);
    progress_end(&noted.bar);
    if (status == TARN_OK) status = tarn_allocator_stats(allocator, &memory);
    int code = TOOL_DONE;
    if (status != TARN_OK) code = tool_fail(command, work->name, status);
    else if (noted.is_short) code = tool_no_memory(command);
    else if (options->as_json) {
        code = tool_print_json(command, result_json(options, work, allocator, &result, &memory, &noted));
    } else {
        print_result(options, work, allocator, &result, &memory);
    }
    free(noted.values);
    return code;
}

static int run(const run_options *options) {
    if (strcmp(options->name, "list") == 0) return list_workloads(options->as_json);
    const workload *work = find_workload(options->name);
    if (work == NULL) {
        tool_say(command, "no workload is called '%s'; `tarn run list` names them", options->name);
        return TOOL_INPUT;
    }
    if (options->uses_graph && !work->can_use_graph) {
        tool_say(command, "%s cannot be run as a captured graph", work->name);
        return TOOL_USAGE;
    }
    const char *spec = options->allocator != NULL ? options->allocator : work->allocator;
    char *recorded = options->record != NULL ? make_spec(options->record, spec) : NULL;
    if (options->record != NULL && recorded == NULL) return tool_no_memory(command);
    tarn_device *device = NULL;
    tarn_allocator *allocator = NULL;
    int code = TOOL_DONE;
    tarn_status status = tarn_device_open(options->device, &device);
    if (status != TARN_OK) code = tool_fail(command, options->device, status);
    if (code == TOOL_DONE) {
        status = tarn_allocator_create(device, recorded != NULL ? recorded : spec, &allocator);
        if (status != TARN_OK) code = tool_fail(command, spec, status);
    }
    if (code == TOOL_DONE) code = run_on(options, work, allocator);
    status = tarn_allocator_release(allocator);
    if (status != TARN_OK && code == TOOL_DONE) code = tool_fail(command, spec, status);
    status = tarn_device_release(device);
    if (status != TARN_OK && code == TOOL_DONE) code = tool_fail(command, options->device, status);
    free(recorded);
    return code;
}

enum {
    OPTION_DEVICE = 'd',
    OPTION_ALLOCATOR = 'a',
    OPTION_STEPS = 'n',
    OPTION_JSON = 'j',
    OPTION_RECORD = 'r',
    OPTION_SEED = 's',
    OPTION_GRAPH = 'g'
};

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    run_options *options = state->input;
    switch (key) {
    case OPTION_DEVICE: options->device = argument; return 0;
    case OPTION_ALLOCATOR: options->allocator = argument; return 0;
    case OPTION_STEPS: options->steps = (size_t)tool_number(state, "steps", argument, 1, 100000000); return 0;
    case OPTION_SEED: options->seed = (uint64_t)tool_number(state, "seed", argument, 0, INT32_MAX); return 0;
    case OPTION_RECORD: options->record = argument; return 0;
    case OPTION_GRAPH: options->uses_graph = true; return 0;
    case OPTION_JSON: options->as_json = true; return 0;
    case ARGP_KEY_ARG:
        if (options->name != NULL) argp_error(state, "one workload is taken; '%s' is too many", argument);
        options->name = argument;
        return 0;
    case ARGP_KEY_END:
        if (options->name == NULL) argp_error(state, "no workload given; `tarn run list` names them");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int run_command(int argc, char **argv) {
    static const struct argp_option option_list[] = {
        {"device", OPTION_DEVICE, "DEVICE", 0, "Run on this device (default: cpu)", 0},
        {"allocator", OPTION_ALLOCATOR, "SPEC", 0,
         "Take memory from this allocator (default: what `tarn run list` says)", 0},
        {"steps", OPTION_STEPS, "N", 0, "Take N steps (default: the workload's own number)", 0},
        {"seed", OPTION_SEED, "N", 0, "Begin random numbers here (default: 1)", 0},
        {"graph", OPTION_GRAPH, NULL, 0,
         "Capture one step into a graph, with its memory in a graph pool, and launch it for each step (training)", 0},
        {"record", OPTION_RECORD, "FILE", 0, "Record the allocations, for `tarn replay` and `tarn inspect`", 0},
        {"json", OPTION_JSON, NULL, 0, "Print one JSON document, with the figure of each step", 0},
        {0}};
    static const struct argp argp = {
        .options = option_list,
        .parser = parse_option,
        .args_doc = "WORKLOAD",
        .doc =
            "Runs a workload on tensors and prints its loss or checksum, its speed, and the memory that its allocator "
            "needed. `tarn run list` names the workloads."
            "\vExample:\n\n  tarn run training --steps 500 --graph\n"
            "  tarn run transformer --record varying.tarn && tarn replay varying.tarn",
    };
    run_options options = {.device = "cpu", .seed = 1};
    if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0) return TOOL_USAGE;
    return run(&options);
}
