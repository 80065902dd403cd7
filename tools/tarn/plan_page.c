/* The plan as an HTML page: the same picture as the SVG's, on a canvas that can be zoomed, for many buffers.
 *
 * The data goes beside the page's own text as page_output.h packs it: one JSON object with the figures and the ids, and for each region
 * the rectangles of its buffers as numbers. */
#include <stdio.h>

#include "page_output.h"
#include "page_sources.h"
#include "plan_layout.h"

/* For each buffer of the region: how far its index is from the last one's; how far it begins after the last one; how long it lives;
 * size; offset; then how many pieces it has beyond the first. A single piece is the buffer itself; else four numbers for each:
 * beginning and length in time, beginning and size in bytes, from those of the buffer. */
static void put_buffers(base_output *output, size_t number, const plan_layout *layout) {
    const plan_region *region = &layout->regions[number];
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(layout->problem);
    page_numbers numbers = page_numbers_begin(output, number, "buffers", 0);
    size_t last_index = 0;
    int64_t last_lower = region->first;
    for (size_t i = 0; i < layout->info.buffer_count; i++) {
        const tarn_plan_buffer *buffer = &buffers[i];
        if (buffer->region != region->number || buffer->size == 0) continue;
        page_numbers_put(&numbers, i - last_index);
        page_numbers_put(&numbers, page_folded((int64_t)((uint64_t)buffer->lower - (uint64_t)last_lower)));
        page_numbers_put(&numbers, (uint64_t)buffer->upper - (uint64_t)buffer->lower);
        page_numbers_put(&numbers, buffer->size);
        page_numbers_put(&numbers, layout->offsets[i]);
        page_numbers_put(&numbers, 2 * (uint64_t)buffer->gap_count);
        plan_piece piece;
        for (size_t k = 0; buffer->gap_count > 0 && plan_piece_at(buffer, k, &piece); k++) {
            page_numbers_put(&numbers, (uint64_t)piece.from - (uint64_t)buffer->lower);
            page_numbers_put(&numbers, (uint64_t)piece.to - (uint64_t)piece.from);
            page_numbers_put(&numbers, piece.begin);
            page_numbers_put(&numbers, piece.size);
        }
        last_index = i;
        last_lower = buffer->lower;
    }
    page_numbers_end(&numbers);
}

/* Times are given from the region's first one on, and `first` as text, because a browser's numbers hold 53 bits. */
static json_t *region_json(const plan_region *region) {
    char first[24];
    snprintf(first, sizeof first, "%lld", (long long)region->first);
    uint64_t length = (uint64_t)region->last - (uint64_t)region->first,
             peak = (uint64_t)region->peak - (uint64_t)region->first;
    return json_pack("{s:I,s:I,s:o,s:o,s:s,s:o,s:o}", "number", (json_int_t)region->number, "count",
                     (json_int_t)region->count, "height", tool_json_size(region->height), "lowerBound",
                     tool_json_size(region->lower_bound), "first", first, "length", tool_json_size(length), "peak",
                     tool_json_size(peak));
}

static json_t *plan_json(const plan_layout *layout) {
    const tarn_plan_result *result = &layout->result;
    json_t *regions = json_array(), *ids = json_array();
    for (size_t i = 0; i < layout->region_count; i++) json_array_append_new(regions, region_json(&layout->regions[i]));
    for (size_t i = 0; i < layout->info.buffer_count; i++)
        json_array_append_new(ids, tool_json_text(tarn_plan_problem_id(layout->problem, i)));
    return json_pack("{s:o,s:I,s:o,s:o,s:o,s:b,s:b,s:f,s:o,s:o}", "name", tool_json_text(tool_base_name(layout->path)),
                     "buffers", (json_int_t)layout->info.buffer_count, "height", tool_json_size(result->height),
                     "lowerBound", tool_json_size(result->lower_bound), "capacity",
                     layout->capacity == UINT64_MAX ? json_null() : tool_json_size(layout->capacity), "isOptimal",
                     result->is_optimal, "isFeasible", result->is_feasible, "seconds", result->seconds, "regions",
                     regions, "ids", ids);
}

int plan_page_write(const plan_layout *layout, const char *command, const char *path) {
    base_output output;
    tarn_status status = base_output_open(&output, path);
    if (status != TARN_OK) return tool_fail(command, path, status);
    const char *rest = page_put_until(&output, plan_html, "/* style */");
    base_output_string(&output, page_style);
    rest = page_put_until(&output, rest, "<!-- data -->");
    if (page_json(&output, "plan", 0, plan_json(layout)) != 0) {
        base_output_discard(&output);
        return tool_no_memory(command);
    }
    for (size_t i = 0; i < layout->region_count; i++) put_buffers(&output, i, layout);
    rest = page_put_until(&output, rest, "/* script */");
    base_output_string(&output, plan_script);
    base_output_string(&output, rest);
    status = base_output_close(&output);
    return status == TARN_OK ? TOOL_DONE : tool_fail(command, path, status);
}
