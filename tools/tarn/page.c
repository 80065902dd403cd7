/* The HTML page: one file that shows, without a network, how memory went.
 *
 * The page's own text comes from tools/tarn/page. The data goes beside it as page_output.h packs it: a JSON object for each
 * file, and long lists of numbers, so that a million events stay below a few tens of megabytes. Text from files reaches the page
 * only inside that JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comparison.h"
#include "page_output.h"
#include "page_sources.h"

/* Times are mostly whole microseconds: the unit is then left out. */
static int64_t time_unit(const tool_comparison *comparison) {
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    for (size_t i = 0; i < comparison->info.event_count; i++)
        if (events[i].time_ns % 1000 != 0) return 1;
    return 1000;
}

static void put_times(base_output *output, size_t file, const tool_comparison *comparison) {
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    int64_t unit = time_unit(comparison), last = 0;
    page_numbers numbers = page_numbers_begin(output, file, "times", 0);
    for (size_t i = 0; i < comparison->info.event_count; i++) {
        page_numbers_put(&numbers, (uint64_t)((events[i].time_ns - last) / unit));
        last = events[i].time_ns;
    }
    page_numbers_end(&numbers);
}

static bool is_allocation(const tool_comparison *comparison, const tarn_trace_event *event) {
    return event->action == TARN_TRACE_ALLOCATE && event->device == comparison->trace_device;
}

/* Six numbers for each allocation, in order of its event: events since the last one, events until the free (0: never),
 * size, tag, site (0: none, else the string's number plus one), stream. */
static bool put_allocations(base_output *output, size_t file, const tool_comparison *comparison) {
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    size_t *freed_by = calloc(comparison->info.allocation_count + 1, sizeof *freed_by);
    if (freed_by == NULL) return false;
    for (size_t i = 0; i < comparison->info.event_count; i++)
        if (events[i].action == TARN_TRACE_FREE) freed_by[events[i].id] = i;
    page_numbers numbers = page_numbers_begin(output, file, "allocations", 0);
    size_t last = 0;
    for (size_t i = 0; i < comparison->info.event_count; i++) {
        const tarn_trace_event *event = &events[i];
        if (!is_allocation(comparison, event)) continue;
        page_numbers_put(&numbers, i - last);
        page_numbers_put(&numbers, freed_by[event->id] > i ? freed_by[event->id] - i : 0);
        page_numbers_put(&numbers, event->size);
        page_numbers_put(&numbers, event->tag == TARN_TRACE_NO_STRING ? 0 : (uint64_t)event->tag + 1);
        page_numbers_put(&numbers, event->site == TARN_TRACE_NO_STRING ? 0 : (uint64_t)event->site + 1);
        page_numbers_put(&numbers, event->stream);
        last = i;
    }
    page_numbers_end(&numbers);
    free(freed_by);
    return true;
}

/* The lowest address of a timeline. A browser's numbers hold 53 bits: without room for all addresses in them, or without any
 * address, there is no block map. */
static bool address_base(const tool_comparison *comparison, const timeline *line, uint64_t *out_base) {
    uint64_t least = UINT64_MAX, most = 0;
    for (size_t id = 0; id < comparison->info.allocation_count; id++) {
        uint64_t address = line->addresses[id];
        if (address == 0) continue;
        if (address < least) least = address;
        if (address > most) most = address;
    }
    *out_base = least;
    return most >= least && most - least < (uint64_t)1 << 52;
}

/* One number for each allocation: 0 where it failed, else one more than the difference to the last address. */
static void put_addresses(base_output *output, size_t file, size_t index, const tool_comparison *comparison,
                          const timeline *line) {
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    uint64_t last = 0;
    bool has_map = address_base(comparison, line, &last);
    page_numbers numbers = page_numbers_begin(output, file, "addresses", index);
    for (size_t i = 0; i < comparison->info.event_count && has_map; i++) {
        if (!is_allocation(comparison, &events[i])) continue;
        uint64_t address = line->addresses[events[i].id];
        page_numbers_put(&numbers, address == 0 ? 0 : page_folded((int64_t)(address - last)) + 1);
        if (address != 0) last = address;
    }
    page_numbers_end(&numbers);
}

/* Two numbers for each change of what was reserved: events since the last one, and the difference. */
static void put_steps(base_output *output, size_t file, size_t index, const timeline *line) {
    page_numbers numbers = page_numbers_begin(output, file, "reserved", index);
    timeline_step last = {0};
    for (size_t i = 0; i < line->step_count && line->has_reserved; i++) {
        page_numbers_put(&numbers, line->steps[i].event - last.event);
        page_numbers_put(&numbers, page_folded((int64_t)(line->steps[i].bytes - last.bytes)));
        last = line->steps[i];
    }
    page_numbers_end(&numbers);
}

/* Takes over `result`: the run's, or null for the recorded allocator. */
static json_t *line_json(const tool_comparison *comparison, const timeline *line, const char *name, json_t *result) {
    uint64_t base = 0;
    char address[24];
    bool has_map = address_base(comparison, line, &base);
    snprintf(address, sizeof address, "0x%" PRIx64, base);
    return json_pack("{s:o,s:b,s:b,s:s,s:o}", "name", tool_json_text(name), "hasReserved", line->has_reserved, "hasMap",
                     has_map, "base", has_map ? address : "", "result", result);
}

static json_t *file_json(const tool_comparison *comparison) {
    json_t *lines = json_array(), *strings = json_array();
    json_array_append_new(lines, line_json(comparison, &comparison->recording, "as recorded", json_null()));
    for (size_t i = 0; i < comparison->run_count; i++) {
        const comparison_run *run = &comparison->runs[i];
        json_t *result = comparison_run_json(comparison, run);
        json_array_append_new(lines, line_json(comparison, &run->timeline, run->allocator, result));
    }
    for (uint32_t i = 0; i < comparison->info.string_count; i++)
        json_array_append_new(strings, tool_json_text(tarn_trace_string(comparison->trace, i)));
    bool is_known = comparison->recorded_peak > 0;
    return json_pack(
        "{s:o,s:o,s:s,s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "name", tool_json_text(tool_base_name(comparison->path)), "path",
        tool_json_text(comparison->path), "format", tarn_trace_format_name(comparison->info.format), "events",
        (json_int_t)comparison->info.event_count, "initial", (json_int_t)comparison->info.initial_count, "timeUnit",
        (json_int_t)time_unit(comparison), "peakLive", tool_json_size(comparison->peak_live), "recordedPeak",
        is_known ? tool_json_size(comparison->recorded_peak) : json_null(), "lines", lines, "strings", strings);
}

static bool put_file(base_output *output, size_t index, const tool_comparison *comparison) {
    if (page_json(output, "file", index, file_json(comparison)) != 0) return false;
    if (!put_allocations(output, index, comparison)) return false;
    put_times(output, index, comparison);
    put_addresses(output, index, 0, comparison, &comparison->recording);
    put_steps(output, index, 0, &comparison->recording);
    for (size_t i = 0; i < comparison->run_count; i++) {
        put_addresses(output, index, i + 1, comparison, &comparison->runs[i].timeline);
        put_steps(output, index, i + 1, &comparison->runs[i].timeline);
    }
    return true;
}

int page_write(const tool_comparison *comparisons, size_t count, const char *command, const char *path) {
    base_output output;
    tarn_status status = base_output_open(&output, path);
    if (status != TARN_OK) return tool_fail(command, path, status);
    bool is_whole = true;
    const char *rest = page_put_until(&output, page_html, "/* style */");
    base_output_string(&output, page_style);
    rest = page_put_until(&output, rest, "<!-- data -->");
    for (size_t i = 0; i < count && is_whole; i++) is_whole = put_file(&output, i, &comparisons[i]);
    if (!is_whole) {
        base_output_discard(&output);
        return tool_no_memory(command);
    }
    rest = page_put_until(&output, rest, "/* script */");
    base_output_string(&output, page_script);
    base_output_string(&output, rest);
    status = base_output_close(&output);
    return status == TARN_OK ? TOOL_DONE : tool_fail(command, path, status);
}
