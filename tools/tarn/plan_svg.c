/* The plan as an SVG picture: time from left to right, addresses from below, one rectangle for each buffer.
 *
 * What stays empty below the line of the height is waste; what lies above the lower bound is what a better plan might save. Colours
 * are sizes, in steps of equal ratio. Pointing at a rectangle shows whose it is. Regions stand below each other. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/output.h"
#include "base/text.h"
#include "plan_layout.h"

enum { WIDTH = 1200, REGION_HEIGHT = 640, LEFT = 84, RIGHT = 24, TOP = 56, BOTTOM = 44, COLOURS = 6, TICKS = 5 };

static const char style[] =
    "<style>\n"
    "svg { background: #f7f8f9; font: 13px system-ui, 'Segoe UI', 'Liberation Sans', sans-serif; }\n"
    "text { fill: #1d2733; } .soft { fill: #5b6877; font-size: 12px; } .paper { fill: #ffffff; stroke: #e1e6eb; }\n"
    ".s0 { fill: #b9dbe8; } .s1 { fill: #7fbcd3; } .s2 { fill: #4598b8; } .s3 { fill: #2f7390; } .s4 { fill: #d99a3a; }"
    " .s5 { fill: #cf5f45; }\n"
    ".plan rect:hover { stroke: #1d2733; stroke-width: 2; }\n"
    ".height { stroke: #b03a2e; } .bound { stroke: #0f6f8c; stroke-dasharray: 7 5; } .capacity { stroke: #7a5195;"
    " stroke-dasharray: 2 4; } .peak { stroke: #8b97a5; stroke-dasharray: 2 3; } line { stroke-width: 1.5; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "svg { background: #12171d; } text { fill: #e3e9ef; } .soft { fill: #a2afbc; } .paper { fill: #1a2129; stroke: #2c3641; }\n"
    ".plan rect:hover { stroke: #ffffff; } .height { stroke: #ef8a7d; }"
    " .bound { stroke: #5fc0dc; } .capacity { stroke: #b99ad6; }\n"
    "}\n</style>\n";

/* The scales of one region, and where it stands. */
typedef struct panel {
    const plan_layout *layout;
    const plan_region *region;
    double top;  /* of the plot */
    double most; /* bytes at the top */
    double width, height;
    double least_log, log_step; /* of the colours */
} panel;

static double to_x(const panel *p, int64_t time) {
    double span = (double)p->region->last - (double)p->region->first;
    return LEFT + ((double)time - (double)p->region->first) / span * p->width;
}

static double to_y(const panel *p, double bytes) { return p->top + p->height - bytes / p->most * p->height; }

static bool has_capacity_line(const panel *p) {
    return p->layout->capacity != UINT64_MAX && (double)p->layout->capacity <= 1.3 * (double)p->region->height;
}

static panel make_panel(const plan_layout *layout, size_t index) {
    const plan_region *region = &layout->regions[index];
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(layout->problem);
    panel p = {.layout = layout,
               .region = region,
               .top = (double)index * REGION_HEIGHT + TOP,
               .width = WIDTH - LEFT - RIGHT,
               .height = REGION_HEIGHT - TOP - BOTTOM,
               .most = (double)region->height};
    if (has_capacity_line(&p) && (double)layout->capacity > p.most) p.most = (double)layout->capacity;
    p.most *= 1.03;
    double least = INFINITY, most = 0;
    for (size_t i = 0; i < layout->info.buffer_count; i++) {
        if (buffers[i].region != region->number || buffers[i].size == 0) continue;
        least = fmin(least, log((double)buffers[i].size));
        most = fmax(most, log((double)buffers[i].size));
    }
    p.least_log = least;
    p.log_step = (most - least) / COLOURS;
    return p;
}

static int colour_of(const panel *p, uint64_t size) {
    if (!(p->log_step > 0)) return COLOURS / 2;
    int step = (int)((log((double)size) - p->least_log) / p->log_step);
    return step < COLOURS ? step : COLOURS - 1;
}

/* Large rectangles leave a fine line to their neighbours; small ones are drawn whole. */
static double shrunk(double length) { return length > 4 ? length - 0.75 : length; }

/* Text that XML can hold: what is no UTF-8 or no character becomes '?'. */
static void put_text(base_output *output, const char *text) {
    while (*text != '\0') {
        size_t length = base_utf8_length(text);
        bool is_control = (unsigned char)*text < 0x20 || *text == 0x7f;
        if (length == 0 || is_control) base_output_string(output, "?");
        else if (*text == '<') base_output_string(output, "&lt;");
        else if (*text == '&') base_output_string(output, "&amp;");
        else base_output_bytes(output, text, length);
        text += length > 0 ? length : 1;
    }
}

static void put_piece(base_output *output, const panel *p, size_t index, const plan_piece *piece) {
    const tarn_plan_buffer *buffer = &tarn_plan_problem_buffers(p->layout->problem)[index];
    uint64_t offset = p->layout->offsets[index];
    char size[TARN_SIZE_TEXT];
    double low = (double)(offset + piece->begin), x = to_x(p, piece->from), y = to_y(p, low + (double)piece->size);
    base_output_format(output, "<rect class=\"s%d\" x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>",
                       colour_of(p, buffer->size), x, y, shrunk(to_x(p, piece->to) - x), shrunk(to_y(p, low) - y));
    put_text(output, tarn_plan_problem_id(p->layout->problem, index));
    base_output_format(
        output, ": %s (%" PRIu64 " bytes) at %" PRIu64 ", alive from %" PRId64 " to %" PRId64 "</title></rect>\n",
        tarn_size_format(buffer->size, size), buffer->size, offset, buffer->lower, buffer->upper);
}

static void put_buffers(base_output *output, const panel *p) {
    const tarn_plan_buffer *buffers = tarn_plan_problem_buffers(p->layout->problem);
    base_output_string(output, "<g class=\"plan\">\n");
    for (size_t i = 0; i < p->layout->info.buffer_count; i++) {
        if (buffers[i].region != p->region->number || buffers[i].size == 0) continue;
        plan_piece piece;
        for (size_t k = 0; plan_piece_at(&buffers[i], k, &piece); k++)
            if (piece.from < piece.to && piece.size > 0) put_piece(output, p, i, &piece);
    }
    base_output_string(output, "</g>\n");
}

static void put_line(base_output *output, const panel *p, const char *name, double bytes) {
    base_output_format(output, "<line class=\"%s\" x1=\"%d\" x2=\"%d\" y1=\"%.2f\" y2=\"%.2f\"/>\n", name, LEFT,
                       WIDTH - RIGHT, to_y(p, bytes), to_y(p, bytes));
}

static void put_axes(base_output *output, const panel *p) {
    base_output_format(output, "<rect class=\"paper\" x=\"%d\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\"/>\n", LEFT,
                       p->top, p->width, p->height);
    for (int i = 0; i <= TICKS; i++) {
        char size[TARN_SIZE_TEXT];
        uint64_t bytes = (uint64_t)((double)p->region->height * i / TICKS);
        double span = (double)p->region->last - (double)p->region->first;
        double time = (double)p->region->first + span * i / TICKS, x = LEFT + p->width * i / TICKS;
        base_output_format(output, "<text class=\"soft\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">%s</text>\n", LEFT - 8,
                           to_y(p, (double)bytes) + 4, tarn_size_format(bytes, size));
        base_output_format(output, "<text class=\"soft\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%.0f</text>\n",
                           i == TICKS ? "end" : "middle", x, p->top + p->height + 20, time);
    }
}

static void put_title(base_output *output, const panel *p) {
    const plan_region *region = p->region;
    char height[TARN_SIZE_TEXT], bound[TARN_SIZE_TEXT], text[TOOL_TEXT];
    base_output_format(output, "<text x=\"%d\" y=\"%.0f\" font-weight=\"600\">", LEFT, p->top - 32);
    put_text(output, tool_base_name(p->layout->path));
    if (p->layout->info.region_count > 1) base_output_format(output, ", region %" PRIu32, region->number);
    base_output_format(output, "</text>\n<text class=\"soft\" x=\"%d\" y=\"%.0f\">%s buffers, ", LEFT, p->top - 12,
                       tool_count(region->count, text));
    base_output_format(output, "height %s (line), lower bound %s (dashes), efficiency %s",
                       tarn_size_format(region->height, height), tarn_size_format(region->lower_bound, bound),
                       tool_percent(plan_efficiency(region->lower_bound, region->height), text));
    if (has_capacity_line(p)) base_output_string(output, ", capacity (dots)");
    base_output_string(output, "; from pale to red: small to large</text>\n");
}

static void put_region(base_output *output, const plan_layout *layout, size_t index) {
    panel p = make_panel(layout, index);
    double x = to_x(&p, p.region->peak);
    put_title(output, &p);
    put_axes(output, &p);
    put_buffers(output, &p);
    base_output_format(output, "<line class=\"peak\" x1=\"%.2f\" x2=\"%.2f\" y1=\"%.2f\" y2=\"%.2f\"/>\n", x, x, p.top,
                       p.top + p.height);
    put_line(output, &p, "height", (double)p.region->height);
    put_line(output, &p, "bound", (double)p.region->lower_bound);
    if (has_capacity_line(&p)) put_line(output, &p, "capacity", (double)layout->capacity);
}

int plan_svg_write(const plan_layout *layout, const char *command, const char *path) {
    base_output output;
    tarn_status status = base_output_open(&output, path);
    if (status != TARN_OK) return tool_fail(command, path, status);
    size_t panels = layout->region_count > 0 ? layout->region_count : 1;
    base_output_format(
        &output, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" width=\"%d\" height=\"%zu\">\n",
        WIDTH, panels * REGION_HEIGHT, WIDTH, panels * REGION_HEIGHT);
    base_output_string(&output, style);
    if (layout->region_count == 0)
        base_output_string(&output, "<text x=\"84\" y=\"56\">no buffer needs memory</text>\n");
    for (size_t i = 0; i < layout->region_count; i++) put_region(&output, layout, i);
    base_output_string(&output, "</svg>\n");
    status = base_output_close(&output);
    return status == TARN_OK ? TOOL_DONE : tool_fail(command, path, status);
}
