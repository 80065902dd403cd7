/* `tarn bench replay`: how much of the memory that `caching` takes is in use at the peak, over real traces, and what an event
 * costs. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "harness.h"

static const double target = 0.995;

typedef struct replay_figures {
    tarn_replay_result result;
    double event_ns; /* the whole replay's time for each event, reading the file aside */
    double recorded; /* the recorded allocator's utilization; 0 where unknown */
} replay_figures;

/* A simulated device that is ample for the trace. */
static tarn_status open_device(const tarn_trace_info *info, tarn_device **out_device) {
    uint64_t peak = info->peak_live > info->recorded_peak_reserved ? info->peak_live : info->recorded_peak_reserved;
    char name[64];
    snprintf(name, sizeof name, "sim:%lluGiB", (unsigned long long)((peak >> 29) + 2));
    return tarn_device_open(name, out_device);
}

static tarn_status measure(const char *path, replay_figures *out_measured) {
    tarn_trace *trace = NULL;
    tarn_device *device = NULL;
    tarn_trace_info info = {.struct_size = sizeof info};
    replay_figures measured = {.result.struct_size = sizeof measured.result};
    tarn_status status = tarn_trace_read(path, &trace);
    if (status == TARN_OK) status = tarn_trace_info_get(trace, &info);
    if (status == TARN_OK) status = open_device(&info, &device);
    if (status == TARN_OK) {
        uint64_t begin = base_clock_ns();
        status = tarn_replay_run(trace, device, "caching", NULL, &measured.result);
        measured.event_ns =
            (double)(base_clock_ns() - begin) / (double)(measured.result.events ? measured.result.events : 1);
    }
    if (status == TARN_OK && info.has_recorded_peak && info.recorded_peak_reserved > 0) {
        measured.recorded = (double)info.peak_live / (double)info.recorded_peak_reserved;
    }
    tarn_device_release(device);
    tarn_trace_release(trace);
    if (status == TARN_OK) *out_measured = measured;
    return status;
}

static void add_row(tool_table *table, const char *path, const replay_figures *measured) {
    char text[TOOL_TEXT];
    table_add(table, "%s", tool_base_name(path));
    table_add(table, "%s", tool_count(measured->result.events, text));
    if (measured->recorded > 0) table_add(table, "%.4f", measured->recorded);
    else table_add(table, "-");
    table_add(table, "%.4f", measured->result.utilization);
    table_add(table, "%s", tool_count(measured->result.failed_allocations, text));
    table_add(table, "%s", bench_duration(measured->event_ns, text));
    table_add(table, "%s", bench_duration((double)measured->result.allocate_ns.p50, text));
    table_add(table, "%s", bench_duration((double)measured->result.free_ns.p50, text));
    table_add(table, "≥ %.3f", target);
    table_add(table, "%s", measured->result.utilization >= target ? "met" : "short");
}

static json_t *row_json(const char *path, const replay_figures *measured) {
    return json_pack("{s:o,s:o,s:o,s:f,s:o,s:f,s:o,s:o,s:f,s:b}", "file", tool_json_text(path), "events",
                     tool_json_size(measured->result.events), "recorded_utilization",
                     measured->recorded > 0 ? json_real(measured->recorded) : json_null(), "utilization",
                     measured->result.utilization, "failed_allocations",
                     tool_json_size(measured->result.failed_allocations), "event_ns", measured->event_ns,
                     "allocate_p50_ns", tool_json_size(measured->result.allocate_ns.p50), "free_p50_ns",
                     tool_json_size(measured->result.free_ns.p50), "target", target, "met",
                     measured->result.utilization >= target);
}

static int run_files(const glob_t *files, const bench_options *options, json_t *results) {
    static const char *const header[] = {"trace",    "events",       "as recorded", "caching", "failed",
                                         "an event", "allocate p50", "free p50",    "target",  ""};
    enum { COLUMNS = sizeof header / sizeof header[0] };
    tool_table table = {.columns = COLUMNS, .left = 1u << (COLUMNS - 1)};
    for (size_t i = 0; i < COLUMNS; i++) table_add(&table, "%s", header[i]);
    for (size_t i = 0; i < files->gl_pathc; i++) {
        replay_figures measured;
        tarn_status status = measure(files->gl_pathv[i], &measured);
        if (status != TARN_OK) {
            table_free(&table);
            return tool_fail(BENCH_COMMAND, files->gl_pathv[i], status);
        }
        add_row(&table, files->gl_pathv[i], &measured);
        json_array_append_new(results, row_json(files->gl_pathv[i], &measured));
    }
    if (options->as_json) {
        table_free(&table);
        return TOOL_DONE;
    }
    puts("replay: peak of requested bytes divided by peak of reserved bytes");
    table_print(&table);
    return TOOL_DONE;
}

int bench_replay(const bench_options *options, json_t **out_result) {
    const char *folder = options->data ? options->data : getenv("TARN_SHARED_DATA");
    char pattern[4096];
    glob_t files = {0};
    if (folder) {
        snprintf(pattern, sizeof pattern, "%s/*.pickle", folder);
        glob(pattern, 0, NULL, &files);
        snprintf(pattern, sizeof pattern, "%s/pytorch-snapshots/*.pickle", folder);
        glob(pattern, GLOB_APPEND, NULL, &files);
        snprintf(pattern, sizeof pattern, "%s/*.tarn", folder);
        glob(pattern, GLOB_APPEND, NULL, &files);
    }
    json_t *results = json_array();
    int result = TOOL_DONE;
    if (files.gl_pathc != 0) result = run_files(&files, options, results);
    else if (options->data) {
        tool_say(BENCH_COMMAND, "%s: no traces (*.pickle, *.tarn) in this folder", folder);
        result = TOOL_INPUT;
    } else if (!options->as_json) {
        puts("replay: skipped, --data names no folder with traces");
    }
    globfree(&files);
    if (result != TOOL_DONE) {
        json_decref(results);
        return result;
    }
    *out_result = json_pack("{s:s,s:o}", "benchmark", "replay", "results", results);
    return *out_result ? TOOL_DONE : tool_no_memory(BENCH_COMMAND);
}
