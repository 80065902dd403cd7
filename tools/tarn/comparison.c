/* Results of a replay as JSON and as a table: see comparison.h. */
#include "comparison.h"

#include <stdio.h>
#include <stdlib.h>

#include "table.h"

void comparison_free(tool_comparison *comparison) {
    for (size_t i = 0; i < comparison->run_count; i++) {
        free(comparison->runs[i].device);
        free(comparison->runs[i].allocator);
        timeline_free(&comparison->runs[i].timeline);
    }
    free(comparison->runs);
    timeline_free(&comparison->recording);
    tarn_trace_release(comparison->trace);
}

static json_t *latency_json(const tarn_latency *latency) {
    return json_pack("{s:f,s:o,s:o,s:o}", "mean", latency->mean, "p50", tool_json_size(latency->p50), "p99",
                     tool_json_size(latency->p99), "max", tool_json_size(latency->max));
}

static double recorded_utilization(const tool_comparison *comparison) {
    return (double)comparison->peak_live / (double)comparison->recorded_peak;
}

json_t *comparison_run_json(const tool_comparison *comparison, const comparison_run *run) {
    const tarn_replay_result *result = &run->result;
    bool is_known = comparison->recorded_peak > 0;
    json_t *object = json_object();
    const struct {
        const char *key;
        json_t *value;
    } members[] = {
        {"file", tool_json_text(comparison->path)},
        {"device", tool_json_text(run->device)},
        {"allocator", tool_json_text(run->allocator)},
        {"events", tool_json_size(result->events)},
        {"allocations", tool_json_size(result->allocations)},
        {"frees", tool_json_size(result->frees)},
        {"peak_live_bytes", tool_json_size(result->peak_live_bytes)},
        {"peak_reserved_bytes", tool_json_size(result->peak_reserved_bytes)},
        {"utilization", json_real(result->utilization)},
        {"final_reserved_bytes", tool_json_size(result->final_reserved_bytes)},
        {"recorded_peak_reserved_bytes", is_known ? tool_json_size(comparison->recorded_peak) : json_null()},
        {"driver_allocs", tool_json_size(result->driver_allocs)},
        {"driver_frees", tool_json_size(result->driver_frees)},
        {"driver_maps", tool_json_size(result->driver_maps)},
        {"driver_unmaps", tool_json_size(result->driver_unmaps)},
        {"device_waits", tool_json_size(result->device_waits)},
        {"device_wait_ns", tool_json_size(result->device_wait_ns)},
        {"failed_allocations", tool_json_size(result->failed_allocations)},
        {"allocate_ns", latency_json(&result->allocate_ns)},
        {"free_ns", latency_json(&result->free_ns)},
        {"initial_allocations", tool_json_size(comparison->initial_count)},
        {"steady_peak_reserved_bytes", tool_json_size(result->steady_peak_reserved_bytes)},
        {"steady_driver_calls", tool_json_size(result->steady_driver_calls)},
        {"steady_device_waits", tool_json_size(result->steady_device_waits)},
        {"recorded_utilization", is_known ? json_real(recorded_utilization(comparison)) : json_null()},
    };
    bool is_whole = object != NULL;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (json_object_set_new(object, members[i].key, members[i].value) != 0) is_whole = false;
    if (is_whole) return object;
    json_decref(object);
    return NULL;
}

static void add_recorded_row(tool_table *table, const tool_comparison *comparison) {
    char size[TARN_SIZE_TEXT], percent[TOOL_TEXT];
    table_add(table, "as recorded");
    table_add(table, "%s", tarn_size_format(comparison->recorded_peak, size));
    table_add(table, "%s", tool_percent(recorded_utilization(comparison), percent));
    for (int i = 0; i < 6; i++) table_add(table, "-");
}

static void add_row(tool_table *table, const comparison_run *run) {
    const tarn_replay_result *result = &run->result;
    char text[TOOL_TEXT], other[TOOL_TEXT], size[TARN_SIZE_TEXT];
    uint64_t calls = result->driver_allocs + result->driver_frees + result->driver_maps + result->driver_unmaps;
    table_add(table, "%s", run->allocator);
    table_add(table, "%s", tarn_size_format(result->peak_reserved_bytes, size));
    table_add(table, "%s", tool_percent(result->utilization, text));
    table_add(table, "%s", tarn_size_format(result->final_reserved_bytes, size));
    table_add(table, "%s", tool_count(calls, text));
    table_add(table, "%s", tool_count(result->device_waits, text));
    table_add(table, "%s", tool_count(result->failed_allocations, text));
    table_add(table, "%s / %s", tool_duration((double)result->allocate_ns.p50, text),
              tool_duration((double)result->allocate_ns.p99, other));
    table_add(table, "%s / %s", tool_duration((double)result->free_ns.p50, text),
              tool_duration((double)result->free_ns.p99, other));
}

void comparison_print(const tool_comparison *comparison) {
    static const char *const header[] = {"allocator",       "peak reserved",      "utilization",
                                         "reserved at end", "driver calls",       "device waits",
                                         "failed",          "allocate p50 / p99", "free p50 / p99"};
    enum { COLUMNS = sizeof header / sizeof header[0] };
    char count[TOOL_TEXT], other[TOOL_TEXT], live[TARN_SIZE_TEXT];
    const tarn_replay_result *first = &comparison->runs[0].result;
    tool_print_text(comparison->path);
    printf("\n  %s events, %s allocations, at most %s alive; on %s\n", tool_count(first->events, count),
           tool_count(first->allocations, other), tarn_size_format(comparison->peak_live, live),
           comparison->runs[0].device);
    tool_table table = {.columns = COLUMNS};
    for (size_t i = 0; i < COLUMNS; i++) table_add(&table, "%s", header[i]);
    if (comparison->recorded_peak > 0) add_recorded_row(&table, comparison);
    for (size_t i = 0; i < comparison->run_count; i++) add_row(&table, &comparison->runs[i]);
    table_print(&table);
}
