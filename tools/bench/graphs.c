/* `tarn bench graphs`: how much memory a captured graph keeps when each request lies where it first found room, and when the graph pool lays
 * out what it saw in a first capture.
 *
 * A trace is captured as one piece of work on one stream: its allocations and frees, in their order, without those buffers that were
 * there before. Nothing runs, so that the device can be a simulated one, and all figures are the same on every machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "problems.h"

typedef struct graph_event {
    int64_t time;
    bool is_free;
    size_t buffer;
} graph_event;

typedef struct graph_case {
    const char *name;
    const tarn_plan_buffer *buffers;
    size_t count;
    bool is_recorded; /* what lives from 0 on was there before */
} graph_case;

typedef struct graph_figures {
    tarn_graph_pool_info first, planned; /* after each capture */
} graph_figures;

/* What lives in the same moment is freed before anything is asked for. */
static int compare_events(const void *a, const void *b) {
    const graph_event *one = a, *other = b;
    if (one->time != other->time) return one->time < other->time ? -1 : 1;
    if (one->is_free != other->is_free) return one->is_free ? -1 : 1;
    return (one->buffer > other->buffer) - (one->buffer < other->buffer);
}

static size_t make_events(const graph_case *of, graph_event *events) {
    size_t count = 0;
    for (size_t i = 0; i < of->count; i++) {
        const tarn_plan_buffer *buffer = &of->buffers[i];
        if (buffer->size == 0 || buffer->region != 0 || (of->is_recorded && buffer->lower == 0)) continue;
        events[count++] = (graph_event){.time = buffer->lower, .buffer = i};
        events[count++] = (graph_event){.time = buffer->upper, .is_free = true, .buffer = i};
    }
    qsort(events, count, sizeof *events, compare_events);
    return count;
}

/* Captures the events, and frees what is left when the graph has gone. */
static tarn_status capture(tarn_allocator *pool, tarn_stream *stream, const graph_case *of, const graph_event *events,
                           size_t count, tarn_buffer **buffers) {
    tarn_status status = tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_GLOBAL);
    if (status != TARN_OK) return status;
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        size_t number = events[i].buffer;
        if (events[i].is_free) {
            status = tarn_buffer_free(buffers[number], stream);
            buffers[number] = NULL;
        } else {
            status = tarn_allocator_allocate(pool, of->buffers[number].size, stream, &buffers[number]);
        }
    }
    tarn_graph *graph = NULL;
    tarn_status ended = status == TARN_OK ? tarn_stream_end_capture(stream, &graph) : tarn_stream_abort_capture(stream);
    tarn_status released = tarn_graph_release(graph);
    return status != TARN_OK ? status : ended != TARN_OK ? ended : released;
}

/* The members of `figures` have their sizes. */
static tarn_status capture_twice(tarn_allocator *pool, tarn_stream *stream, const graph_case *of,
                                 graph_figures *figures) {
    graph_event *events = calloc(2 * of->count + 1, sizeof *events);
    tarn_buffer **buffers = calloc(of->count + 1, sizeof *buffers);
    tarn_status status = TARN_OUT_OF_MEMORY;
    if (events != NULL && buffers != NULL) {
        size_t count = make_events(of, events);
        status = capture(pool, stream, of, events, count, buffers);
        if (status == TARN_OK) status = tarn_graph_pool_info_get(pool, &figures->first);
        if (status == TARN_OK) status = capture(pool, stream, of, events, count, buffers);
        if (status == TARN_OK) status = tarn_graph_pool_info_get(pool, &figures->planned);
        for (size_t i = 0; i < of->count; i++) (void)tarn_buffer_free(buffers[i], NULL);
    }
    free(events);
    free(buffers);
    return status;
}

static tarn_status measure(const graph_case *of, graph_figures *figures) {
    tarn_device *device = NULL;
    tarn_stream *stream = NULL;
    tarn_allocator *pool = NULL;
    tarn_status status = tarn_device_open("sim:16TiB", &device);
    if (status == TARN_OK) status = tarn_stream_create(device, &stream);
    if (status == TARN_OK) status = tarn_graph_pool_create(device, NULL, &pool);
    if (status == TARN_OK) status = capture_twice(pool, stream, of, figures);
    (void)tarn_allocator_release(pool);
    (void)tarn_stream_release(stream);
    (void)tarn_device_release(device);
    return status;
}

static double ratio_of(const tarn_graph_pool_info *info) {
    return info->capture_lower_bound == 0 ? 1 : (double)info->capture_bytes / (double)info->capture_lower_bound;
}

static void add_row(tool_table *table, const char *name, const graph_figures *figures) {
    char text[TARN_SIZE_TEXT], count[TOOL_TEXT];
    const tarn_graph_pool_info *first = &figures->first, *planned = &figures->planned;
    table_add(table, "%s", name);
    table_add(table, "%s", tool_count(planned->planned_requests, count));
    table_add(table, "%s", tarn_size_format(first->capture_lower_bound, text));
    table_add(table, "%s", tarn_size_format(first->capture_bytes, text));
    table_add(table, "%.4f", ratio_of(first));
    table_add(table, "%s", tarn_size_format(planned->capture_bytes, text));
    table_add(table, "%.4f", ratio_of(planned));
    table_add(table, "%.1f %%", 100 * (1 - ratio_of(planned) / ratio_of(first)));
    table_add(table, "%s", tool_count(planned->deviations, count));
}

static json_t *row_json(const char *name, const graph_figures *figures) {
    const tarn_graph_pool_info *first = &figures->first, *planned = &figures->planned;
    return json_pack("{s:o,s:o,s:o,s:o,s:f,s:o,s:f,s:o,s:b}", "work", tool_json_text(name), "requests",
                     tool_json_size(planned->planned_requests), "lower_bound",
                     tool_json_size(first->capture_lower_bound), "first_bytes", tool_json_size(first->capture_bytes),
                     "first_ratio", ratio_of(first), "planned_bytes", tool_json_size(planned->capture_bytes),
                     "planned_ratio", ratio_of(planned), "deviations", tool_json_size(planned->deviations), "met",
                     planned->capture_bytes <= first->capture_bytes && planned->deviations == 0);
}

/* Where the rows go. */
typedef struct graph_report {
    tool_table table;
    json_t *results;
} graph_report;

static int run_case(graph_report *report, const graph_case *of) {
    graph_figures figures = {.first = {.struct_size = sizeof figures.first},
                             .planned = {.struct_size = sizeof figures.planned}};
    tarn_status status = measure(of, &figures);
    if (status != TARN_OK) return tool_fail(BENCH_COMMAND, of->name, status);
    add_row(&report->table, of->name, &figures);
    json_array_append_new(report->results, row_json(of->name, &figures));
    return TOOL_DONE;
}

static int run_file(void *context, const char *path) {
    tarn_plan_problem *problem = NULL;
    tarn_plan_problem_info info = {.struct_size = sizeof info};
    tarn_status status = tarn_plan_problem_read(path, NULL, &problem);
    if (status == TARN_OK) status = tarn_plan_problem_info_get(problem, &info);
    if (status != TARN_OK) return tool_fail(BENCH_COMMAND, path, status);
    graph_case of = {.name = tool_base_name(path),
                     .buffers = tarn_plan_problem_buffers(problem),
                     .count = info.buffer_count,
                     .is_recorded = info.format != TARN_TRACE_UNKNOWN};
    int result = run_case(context, &of);
    tarn_plan_problem_release(problem);
    return result;
}

static int run_generated(graph_report *report, bench_problem kind, size_t count) {
    char name[64], text[TOOL_TEXT];
    snprintf(name, sizeof name, "%s, %s", bench_problem_name(kind), tool_count(count, text));
    tarn_plan_buffer *buffers = bench_problem_make(kind, count, 1);
    if (buffers == NULL) return tool_no_memory(BENCH_COMMAND);
    graph_case of = {.name = name, .buffers = buffers, .count = count};
    int result = run_case(report, &of);
    free(buffers);
    return result;
}

static int run_all(graph_report *report, const bench_options *options) {
    int result = bench_each_problem(options, "graphs", run_file, report);
    if (result == TOOL_DONE) result = run_generated(report, BENCH_PROBLEM_TRAINING, 200);
    if (result == TOOL_DONE) result = run_generated(report, BENCH_PROBLEM_TRAINING, options->quick ? 2000 : 10000);
    if (result == TOOL_DONE) result = run_generated(report, BENCH_PROBLEM_POWERS, options->quick ? 2000 : 10000);
    return result;
}

int bench_graphs(const bench_options *options, json_t **out_result) {
    static const char *const header[] = {"captured", "requests", "at one time", "first layout", "times",
                                         "planned",  "times",    "less",        "deviations"};
    enum { COLUMNS = sizeof header / sizeof header[0] };
    graph_report report = {.table = {.columns = COLUMNS, .left = 1u}, .results = json_array()};
    for (size_t i = 0; i < COLUMNS; i++) table_add(&report.table, "%s", header[i]);
    int result = run_all(&report, options);
    if (result != TOOL_DONE || options->as_json) table_free(&report.table);
    if (result != TOOL_DONE) {
        json_decref(report.results);
        return result;
    }
    if (!options->as_json) {
        puts(
            "graphs: memory that a graph keeps after its first capture and after a planned one; times: the most that was in use at one time");
        table_print(&report.table);
    }
    *out_result = json_pack("{s:s,s:o}", "benchmark", "graphs", "results", report.results);
    return *out_result ? TOOL_DONE : tool_no_memory(BENCH_COMMAND);
}
