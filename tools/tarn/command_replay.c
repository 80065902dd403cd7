/* `tarn replay`: drives each named allocator through each trace and compares what they needed.
 *
 * Every run gets a freshly opened device, so that its counters begin at zero; everything else is the library's
 * tarn_replay_run and the writers of comparison.h. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis.h"
#include "comparison.h"
#include "progress.h"
#include "trace/recorded_spec.h"

static const char *const command = "tarn replay";
static const char *const default_allocators[] = {"direct", "caching", "pytorch"};
enum { DEFAULT_ALLOCATORS = sizeof default_allocators / sizeof default_allocators[0] };

typedef struct replay_options {
    const char **files, **allocators; /* as many as there are arguments at most */
    size_t file_count, allocator_count;
    const char *device, *html, *perfetto;
    unsigned repeat;
    int trace_device; /* -1: the one with the largest peak */
    bool as_json;
    bool has_defaults; /* no allocator was named */
} replay_options;

/* What the callback after an event needs. */
typedef struct replay_watch {
    timeline *timeline; /* NULL when no picture was asked for */
    tool_progress *progress;
} replay_watch;

static void watch_event(void *context, tarn_allocator *allocator, const tarn_replay_sample *sample) {
    (void)allocator;
    replay_watch *watch = context;
    if (watch->timeline != NULL) timeline_sample(watch->timeline, sample);
    progress_step(watch->progress);
}

/* Twice the peak and at least a gibibyte more: ample for whatever an allocator adds to it. Whole gibibytes. */
static uint64_t ample_size(const tool_comparison *comparison) {
    const uint64_t gibibyte = (uint64_t)1 << 30;
    uint64_t peak = comparison->recorded_peak > 0 ? comparison->recorded_peak : comparison->peak_live;
    /* Past this the peak is a corrupt trace's, and no device is large enough. */
    if (peak > UINT64_MAX / 4) peak = UINT64_MAX / 4;
    uint64_t size = peak > gibibyte ? 2 * peak : peak + gibibyte;
    return (size + gibibyte - 1) / gibibyte;
}

/* The name of the device to open: `sim` without a size gets the one that the trace needs. The caller frees it. */
static char *device_name(const replay_options *options, const tool_comparison *comparison) {
    const char *name = options->device != NULL ? options->device : "sim";
    bool is_sim = strcmp(name, "sim") == 0 || strncmp(name, "sim:", 4) == 0;
    const char *arguments = is_sim && name[3] == ':' ? name + 4 : "";
    size_t first = strcspn(arguments, ",");
    bool has_size = first > 0 && memchr(arguments, '=', first) == NULL;
    char *full = NULL;
    if (!is_sim || has_size) return strdup(name);
    int length = asprintf(&full, "sim:%lluGiB%s%s", (unsigned long long)ample_size(comparison),
                          arguments[0] != '\0' ? "," : "", arguments);
    return length < 0 ? NULL : full;
}

static tarn_status run_on_device(const replay_options *options, const tool_comparison *comparison, comparison_run *run,
                                 tarn_device *device, tool_progress *progress) {
    bool has_picture = run->timeline.addresses != NULL;
    replay_watch watch = {.timeline = has_picture ? &run->timeline : NULL, .progress = progress};
    tarn_replay_options replay = {
        .struct_size = sizeof replay,
        .repeat = options->repeat,
        .trace_device = comparison->trace_device,
        .after_event = watch_event,
        .context = &watch,
    };
    run->result.struct_size = sizeof run->result;
    progress_begin(progress, comparison->path, run->allocator, comparison->info.event_count * (size_t)options->repeat);
    tarn_status status = tarn_replay_run(comparison->trace, device, run->allocator, &replay, &run->result);
    progress_end(progress);
    return status;
}

/* What a failed replay is about: a spec that cannot be had is no fault of the file. */
static const char *failed_object(const tool_comparison *comparison, tarn_status status) {
    bool is_spec = status == TARN_INVALID_ARGUMENT || status == TARN_NOT_SUPPORTED || status == TARN_IO_ERROR;
    return is_spec ? NULL : comparison->path;
}

static int run_allocator(const replay_options *options, tool_comparison *comparison, const char *allocator,
                         tool_progress *progress) {
    comparison_run *run = &comparison->runs[comparison->run_count];
    bool has_picture = options->html != NULL || options->perfetto != NULL;
    run->device = device_name(options, comparison);
    run->allocator = strdup(allocator);
    comparison->run_count++;
    if (run->device == NULL || run->allocator == NULL) return tool_no_memory(command);
    if (has_picture && !timeline_create(&run->timeline, comparison->trace)) return tool_no_memory(command);

    tarn_device *device = NULL;
    tarn_status status = tarn_device_open(run->device, &device);
    if (status != TARN_OK) return tool_fail(command, run->device, status);
    status = run_on_device(options, comparison, run, device, progress);
    int result = status == TARN_OK ? TOOL_DONE : tool_fail(command, failed_object(comparison, status), status);
    status = tarn_device_release(device);
    if (result == TOOL_DONE && status != TARN_OK) result = tool_fail(command, run->device, status);
    return result == TOOL_DONE && run->timeline.is_short ? tool_no_memory(command) : result;
}

/* Finds the device of the trace to replay. */
static int choose_device(const replay_options *options, tool_comparison *comparison) {
    size_t count = 0;
    if (!analysis_find_device(comparison->trace, &comparison->trace_device, &count)) return tool_no_memory(command);
    if (options->trace_device >= 0) {
        comparison->trace_device = (uint16_t)options->trace_device;
    } else if (count > 1) {
        tool_say(command, "%s: %zu devices; replaying device %u, --trace-device chooses", comparison->path, count,
                 comparison->trace_device);
    }
    comparison->peak_live = analysis_find_peak(comparison->trace, comparison->trace_device).bytes;
    comparison->recorded_peak =
        analysis_find_recorded_peak(comparison->trace, comparison->trace_device, comparison->peak_live);
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    for (size_t i = 0; i < comparison->info.initial_count; i++)
        comparison->initial_count += events[i].device == comparison->trace_device;
    bool has_events = options->trace_device < 0;
    for (size_t i = 0; i < comparison->info.event_count && !has_events; i++)
        has_events = events[i].device == comparison->trace_device;
    if (has_events) return TOOL_DONE;
    tool_say(command, "%s: device %u has no events", comparison->path, comparison->trace_device);
    return TOOL_INPUT;
}

/* By default the model of PyTorch has the settings that the snapshot carries, where it does. */
static const char *allocator_for(const replay_options *options, const tool_comparison *comparison, size_t index) {
    const char *allocator = options->allocators[index];
    bool is_model = options->has_defaults && strcmp(allocator, "pytorch") == 0;
    return is_model && trace_has_recorded_spec(comparison->trace) ? TRACE_AS_RECORDED : allocator;
}

static int replay_file(const replay_options *options, tool_comparison *comparison, tool_progress *progress) {
    tarn_status status = tarn_trace_read(comparison->path, &comparison->trace);
    comparison->info.struct_size = sizeof comparison->info;
    if (status == TARN_OK) status = tarn_trace_info_get(comparison->trace, &comparison->info);
    if (status != TARN_OK) return tool_fail(command, comparison->path, status);
    int result = choose_device(options, comparison);
    if (result != TOOL_DONE) return result;
    comparison->runs = calloc(options->allocator_count, sizeof *comparison->runs);
    if (comparison->runs == NULL) return tool_no_memory(command);
    bool has_picture = options->html != NULL || options->perfetto != NULL;
    if (has_picture && !timeline_from_recording(&comparison->recording, comparison->trace, comparison->trace_device))
        return tool_no_memory(command);
    for (size_t i = 0; i < options->allocator_count && result == TOOL_DONE; i++)
        result = run_allocator(options, comparison, allocator_for(options, comparison, i), progress);
    return result;
}

static json_t *results_json(const tool_comparison *comparisons, size_t count) {
    json_t *results = json_array();
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < comparisons[i].run_count; k++)
            if (json_array_append_new(results, comparison_run_json(&comparisons[i], &comparisons[i].runs[k])) != 0) {
                json_decref(results);
                return NULL;
            }
    return json_pack("{s:o}", "results", results);
}

/* Writes what was asked for; then says, by the exit code, whether memory sufficed everywhere. */
static int report(const replay_options *options, const tool_comparison *comparisons) {
    int result = TOOL_DONE;
    if (options->html != NULL) result = page_write(comparisons, options->file_count, command, options->html);
    if (result == TOOL_DONE && options->perfetto != NULL)
        result = perfetto_write(comparisons, options->file_count, command, options->perfetto);
    if (result != TOOL_DONE) return result;
    if (options->as_json) result = tool_print_json(command, results_json(comparisons, options->file_count));
    for (size_t i = 0; i < options->file_count; i++) {
        if (!options->as_json && i > 0) putchar('\n');
        if (!options->as_json) comparison_print(&comparisons[i]);
        for (size_t k = 0; k < comparisons[i].run_count; k++)
            if (comparisons[i].runs[k].result.failed_allocations > 0 && result == TOOL_DONE) result = TOOL_MEMORY;
    }
    return result;
}

static int run_all(const replay_options *options) {
    tool_comparison *comparisons = calloc(options->file_count, sizeof *comparisons);
    if (comparisons == NULL) return tool_no_memory(command);
    tool_progress progress = {.total_runs = options->file_count * options->allocator_count};
    int result = TOOL_DONE;
    for (size_t i = 0; i < options->file_count && result == TOOL_DONE; i++) {
        comparisons[i].path = options->files[i];
        result = replay_file(options, &comparisons[i], &progress);
    }
    if (result == TOOL_DONE) result = report(options, comparisons);
    for (size_t i = 0; i < options->file_count; i++) comparison_free(&comparisons[i]);
    free(comparisons);
    return result;
}

enum {
    OPTION_DEVICE = 'd',
    OPTION_ALLOCATOR = 'a',
    OPTION_REPEAT = 'r',
    OPTION_JSON = 'j',
    OPTION_HTML = 0x100,
    OPTION_PERFETTO,
    OPTION_TRACE_DEVICE
};

static error_t parse_option(int key, char *argument, struct argp_state *state) {
    replay_options *options = state->input;
    switch (key) {
    case OPTION_DEVICE: options->device = argument; return 0;
    case OPTION_ALLOCATOR: options->allocators[options->allocator_count++] = argument; return 0;
    case OPTION_REPEAT: options->repeat = (unsigned)tool_number(state, "repeat", argument, 1, 1000000); return 0;
    case OPTION_JSON: options->as_json = true; return 0;
    case OPTION_HTML: options->html = argument; return 0;
    case OPTION_PERFETTO: options->perfetto = argument; return 0;
    case OPTION_TRACE_DEVICE:
        options->trace_device = (int)tool_number(state, "trace-device", argument, 0, UINT16_MAX);
        return 0;
    case ARGP_KEY_ARG: options->files[options->file_count++] = argument; return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "no file given"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

int replay_command(int argc, char **argv) {
    static const struct argp_option option_list[] = {
        {"device", OPTION_DEVICE, "D", 0, "Replay on device D (default: sim, as large as the trace needs)", 0},
        {"allocator", OPTION_ALLOCATOR, "SPEC", 0,
         "Replay through this stack; may be given again (default: direct, caching, pytorch)", 0},
        {"repeat", OPTION_REPEAT, "N", 0, "Run each trace N times, one after the other", 0},
        {"html", OPTION_HTML, "FILE", 0, "Write a page that shows memory over time and the block map", 0},
        {"perfetto", OPTION_PERFETTO, "FILE", 0, "Write counter tracks for the Perfetto UI", 0},
        {"trace-device", OPTION_TRACE_DEVICE, "N", 0,
         "Replay device N of the trace (default: the one with the largest peak)", 0},
        {"json", OPTION_JSON, NULL, 0, "Print one JSON document", 0},
        {0}};
    static const struct argp argp = {
        .options = option_list,
        .parser = parse_option,
        .args_doc = "FILE…",
        .doc =
            "Drives each allocator through each trace and compares what they needed: memory, driver calls, waits, time. The exit "
            "status is 3 when an allocation failed for want of memory."
            "\vExamples:\n\n  tarn replay snapshot.pickle --html report.html\n"
            "  tarn replay snapshot.pickle --device sim:lag=10ms --allocator caching --allocator 'limit:8GiB|caching' --json",
    };
    replay_options options = {.repeat = 1, .trace_device = -1};
    options.files = calloc((size_t)argc, sizeof *options.files);
    options.allocators = calloc((size_t)argc + DEFAULT_ALLOCATORS, sizeof *options.allocators);
    int result = TOOL_MEMORY;
    if (options.files == NULL || options.allocators == NULL) {
        tool_no_memory(command);
    } else if (argp_parse(&argp, argc, argv, 0, NULL, &options) != 0) {
        result = TOOL_USAGE;
    } else {
        options.has_defaults = options.allocator_count == 0;
        for (size_t i = 0; options.has_defaults && i < DEFAULT_ALLOCATORS; i++)
            options.allocators[options.allocator_count++] = default_allocators[i];
        result = run_all(&options);
    }
    free(options.files);
    free(options.allocators);
    return result;
}
