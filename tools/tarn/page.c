/* The HTML page: one file that shows, without a network, how memory went.
 *
 * The page's own text comes from tools/tarn/page. The data goes beside it as script elements that no browser runs: a JSON
 * object for each file, and long lists of numbers packed as variable-length bytes in base64, so that a million events stay
 * below a few tens of megabytes. Text from files reaches the page only inside that JSON, with every '<' escaped. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comparison.h"
#include "page_sources.h"
#include "trace/trace_output.h"

/* Numbers packed into base64: each takes seven bits a byte, the lowest first. */
typedef struct page_numbers {
    trace_output *output;
    unsigned char group[3];
    unsigned count;
} page_numbers;

static void put_group(page_numbers *numbers) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *group = numbers->group;
    unsigned bits = (unsigned)group[0] << 16 | (unsigned)group[1] << 8 | group[2];
    char text[4] = {digits[bits >> 18], digits[bits >> 12 & 63], digits[bits >> 6 & 63], digits[bits & 63]};
    for (unsigned i = numbers->count + 1; i < 4; i++) text[i] = '=';
    trace_output_bytes(numbers->output, text, sizeof text);
    numbers->count = 0;
    memset(numbers->group, 0, sizeof numbers->group);
}

static void put_number(page_numbers *numbers, uint64_t value) {
    do {
        numbers->group[numbers->count++] = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        if (numbers->count == 3) put_group(numbers);
        value >>= 7;
    } while (value > 0);
}

/* 0, -1, 1, -2 … become 0, 1, 2, 3 … */
static uint64_t folded(int64_t value) { return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0); }

static page_numbers numbers_begin(trace_output *output, size_t file, const char *name, size_t index) {
    trace_output_format(output, "<script type=\"text/plain\" id=\"data-%zu-%s-%zu\">", file, name, index);
    return (page_numbers){.output = output};
}

static void numbers_end(page_numbers *numbers) {
    if (numbers->count > 0) put_group(numbers);
    trace_output_string(numbers->output, "</script>\n");
}

/* Times are mostly whole microseconds: the unit is then left out. */
static int64_t time_unit(const tool_comparison *comparison) {
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    for (size_t i = 0; i < comparison->info.event_count; i++)
        if (events[i].time_ns % 1000 != 0) return 1;
    return 1000;
}

static void put_times(trace_output *output, size_t file, const tool_comparison *comparison) {
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    int64_t unit = time_unit(comparison), last = 0;
    page_numbers numbers = numbers_begin(output, file, "times", 0);
    for (size_t i = 0; i < comparison->info.event_count; i++) {
        put_number(&numbers, (uint64_t)((events[i].time_ns - last) / unit));
        last = events[i].time_ns;
    }
    numbers_end(&numbers);
}

static bool is_allocation(const tool_comparison *comparison, const tarn_trace_event *event) {
    return event->action == TARN_TRACE_ALLOCATE && event->device == comparison->trace_device;
}

/* Six numbers for each allocation, in order of its event: events since the last one, events until the free (0: never),
 * size, tag, site (0: none, else the string's number plus one), stream. */
static bool put_allocations(trace_output *output, size_t file, const tool_comparison *comparison) {
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    size_t *freed_by = calloc(comparison->info.allocation_count + 1, sizeof *freed_by);
    if (freed_by == NULL) return false;
    for (size_t i = 0; i < comparison->info.event_count; i++)
        if (events[i].action == TARN_TRACE_FREE) freed_by[events[i].id] = i;
    page_numbers numbers = numbers_begin(output, file, "allocations", 0);
    size_t last = 0;
    for (size_t i = 0; i < comparison->info.event_count; i++) {
        const tarn_trace_event *event = &events[i];
        if (!is_allocation(comparison, event)) continue;
        put_number(&numbers, i - last);
        put_number(&numbers, freed_by[event->id] > i ? freed_by[event->id] - i : 0);
        put_number(&numbers, event->size);
        put_number(&numbers, event->tag == TARN_TRACE_NO_STRING ? 0 : (uint64_t)event->tag + 1);
        put_number(&numbers, event->site == TARN_TRACE_NO_STRING ? 0 : (uint64_t)event->site + 1);
        put_number(&numbers, event->stream);
        last = i;
    }
    numbers_end(&numbers);
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
static void put_addresses(trace_output *output, size_t file, size_t index, const tool_comparison *comparison,
                          const timeline *line) {
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    uint64_t last = 0;
    bool has_map = address_base(comparison, line, &last);
    page_numbers numbers = numbers_begin(output, file, "addresses", index);
    for (size_t i = 0; i < comparison->info.event_count && has_map; i++) {
        if (!is_allocation(comparison, &events[i])) continue;
        uint64_t address = line->addresses[events[i].id];
        put_number(&numbers, address == 0 ? 0 : folded((int64_t)(address - last)) + 1);
        if (address != 0) last = address;
    }
    numbers_end(&numbers);
}

/* Two numbers for each change of what was reserved: events since the last one, and the difference. */
static void put_steps(trace_output *output, size_t file, size_t index, const timeline *line) {
    page_numbers numbers = numbers_begin(output, file, "reserved", index);
    timeline_step last = {0};
    for (size_t i = 0; i < line->step_count && line->has_reserved; i++) {
        put_number(&numbers, line->steps[i].event - last.event);
        put_number(&numbers, folded((int64_t)(line->steps[i].bytes - last.bytes)));
        last = line->steps[i];
    }
    numbers_end(&numbers);
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
    bool is_known = comparison->info.has_recorded_peak && comparison->info.recorded_peak_reserved > 0;
    return json_pack("{s:o,s:o,s:s,s:I,s:I,s:I,s:o,s:o,s:o,s:o}", "name",
                     tool_json_text(tool_base_name(comparison->path)), "path", tool_json_text(comparison->path),
                     "format", tarn_trace_format_name(comparison->info.format), "events",
                     (json_int_t)comparison->info.event_count, "initial", (json_int_t)comparison->info.initial_count,
                     "timeUnit", (json_int_t)time_unit(comparison), "peakLive", tool_json_size(comparison->peak_live),
                     "recordedPeak", is_known ? tool_json_size(comparison->info.recorded_peak_reserved) : json_null(),
                     "lines", lines, "strings", strings);
}

/* Writes JSON so that no text in it can end the script element. */
static int put_escaped(const char *buffer, size_t size, void *context) {
    trace_output *output = context;
    size_t from = 0;
    for (size_t i = 0; i < size; i++) {
        if (buffer[i] != '<') continue;
        trace_output_bytes(output, buffer + from, i - from);
        trace_output_string(output, "\\u003c");
        from = i + 1;
    }
    trace_output_bytes(output, buffer + from, size - from);
    return 0;
}

static bool put_file(trace_output *output, size_t index, const tool_comparison *comparison) {
    json_t *object = file_json(comparison);
    if (object == NULL) return false;
    trace_output_format(output, "<script type=\"application/json\" class=\"file\" id=\"file-%zu\">", index);
    int failed = json_dump_callback(object, put_escaped, output, JSON_COMPACT);
    trace_output_string(output, "</script>\n");
    json_decref(object);
    if (failed != 0 || !put_allocations(output, index, comparison)) return false;
    put_times(output, index, comparison);
    put_addresses(output, index, 0, comparison, &comparison->recording);
    put_steps(output, index, 0, &comparison->recording);
    for (size_t i = 0; i < comparison->run_count; i++) {
        put_addresses(output, index, i + 1, comparison, &comparison->runs[i].timeline);
        put_steps(output, index, i + 1, &comparison->runs[i].timeline);
    }
    return true;
}

/* Copies the page up to a marker and returns what follows it. */
static const char *put_until(trace_output *output, const char *text, const char *marker) {
    const char *end = strstr(text, marker);
    if (end == NULL) end = text + strlen(text);
    trace_output_bytes(output, text, (size_t)(end - text));
    return *end != '\0' ? end + strlen(marker) : end;
}

int page_write(const tool_comparison *comparisons, size_t count, const char *command, const char *path) {
    trace_output output;
    tarn_status status = trace_output_open(&output, path);
    if (status != TARN_OK) return tool_fail(command, path, status);
    bool is_whole = true;
    const char *rest = put_until(&output, page_html, "/* style */");
    trace_output_string(&output, page_style);
    rest = put_until(&output, rest, "<!-- data -->");
    for (size_t i = 0; i < count && is_whole; i++) is_whole = put_file(&output, i, &comparisons[i]);
    if (!is_whole) {
        trace_output_discard(&output);
        return tool_no_memory(command);
    }
    rest = put_until(&output, rest, "/* script */");
    trace_output_string(&output, page_script);
    trace_output_string(&output, rest);
    status = trace_output_close(&output);
    return status == TARN_OK ? TOOL_DONE : tool_fail(command, path, status);
}
