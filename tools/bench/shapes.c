/* `tarn bench shapes`: how much memory buffers of varying shape waste, and what their moves cost, with each way of padding them.
 *
 * The lengths are those of the paragraphs of the licence texts that every Debian system has, in words. For each text a buffer is
 * made that expects the mean of all of them, then it is resized to each paragraph in turn, and freed at the end. A buffer that has
 * become too small moves, as it must where there is no virtual memory, or grows in place in the ways that say so.
 * All figures but the time are the same in every run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/predictive.h>

#include "base/clock.h"
#include "harness.h"
#include "lengths.h"

enum { MOST_LENGTH = 512, BATCH = 8, WIDTH = 4096, PAGE = 4096, WAYS = 7, FIXED = 2, MOST_ROUNDS = 3 };

typedef struct shapes_way {
    const char *name;
    tarn_padding_kind padding;
    const tarn_padding_strategy *strategy; /* used instead where not NULL */
    bool in_place;
} shapes_way;

typedef struct shapes_figures {
    tarn_predictive_stats done;
    double step_ns; /* of one resize, copies included: the median of the rounds */
} shapes_figures;

/* What the allocator's own strategies are held against is two strategies of the bench's. */

static size_t exact_size(void *context, const tarn_padding_request *request) {
    (void)context;
    return request->needed;
}

static int exact_should_resize(void *context, const tarn_padding_request *request) {
    (void)context;
    return request->needed < request->capacity;
}

static size_t power_size(void *context, const tarn_padding_request *request) {
    size_t size = 1;
    (void)context;
    while (size < request->needed && size <= SIZE_MAX / 2) size *= 2;
    return size;
}

static const tarn_padding_strategy exact = {
    .struct_size = sizeof exact, .name = "exact", .required_size = exact_size, .should_resize = exact_should_resize};
static const tarn_padding_strategy power = {
    .struct_size = sizeof power, .name = "power-of-two", .required_size = power_size};

static const shapes_way ways[WAYS] = {
    {.name = "exact", .strategy = &exact},
    {.name = "power of two", .strategy = &power},
    [FIXED] = {.name = "fixed 1.2", .padding = TARN_PADDING_FIXED},
    {.name = "adaptive", .padding = TARN_PADDING_ADAPTIVE},
    {.name = "quantile", .padding = TARN_PADDING_QUANTILE},
    {.name = "adaptive, in place", .padding = TARN_PADDING_ADAPTIVE, .in_place = true},
    {.name = "exact, in place", .strategy = &exact, .in_place = true},
};

static int64_t mean_length(void) {
    int64_t sum = 0, count = 0;
    for (size_t i = 0; i < bench_text_count; i++) {
        for (size_t k = 0; k < bench_texts[i].count; k++) sum += bench_texts[i].lengths[k];
        count += (int64_t)bench_texts[i].count;
    }
    return count > 0 ? sum / count : 1;
}

static tarn_shape shape_of(int64_t length) { return (tarn_shape){.rank = 3, .dims = {BATCH, length, WIDTH}}; }

/* Has real memory behind the contents, so that a copy is one. */
static void write_pages(tarn_buffer *buffer) {
    unsigned char *bytes = tarn_buffer_data(buffer);
    for (size_t at = 0; at < tarn_buffer_size(buffer); at += PAGE) bytes[at] = (unsigned char)(at / PAGE);
}

/* One text; adds the time that its resizes took. */
static tarn_status run_text(tarn_allocator *allocator, const bench_text *text, uint64_t *inout_ns) {
    tarn_shape_bounds bounds = {
        .minimum = shape_of(0), .maximum = shape_of(MOST_LENGTH), .expected = shape_of(mean_length())};
    tarn_allocate_options options = {.struct_size = sizeof options, .tag = "paragraphs"};
    tarn_buffer *buffer = NULL;
    tarn_status status = tarn_predictive_allocate(allocator, &bounds, TARN_ELEMENT_F32, &options, &buffer);
    for (size_t i = 0; i < text->count && status == TARN_OK; i++) {
        tarn_shape shape = shape_of(text->lengths[i]);
        uint64_t began = base_clock_ns();
        status = tarn_predictive_resize(buffer, &shape, NULL);
        *inout_ns += base_clock_ns() - began;
        if (status == TARN_OK) write_pages(buffer);
    }
    tarn_status freed = tarn_buffer_free(buffer, NULL);
    return status == TARN_OK ? freed : status;
}

static tarn_status run_once(tarn_device *device, const shapes_way *way, shapes_figures *figures, double *out_step_ns) {
    tarn_predictive_options options = {.struct_size = sizeof options,
                                       .padding = way->padding,
                                       .strategy = way->strategy,
                                       .always_moves = !way->in_place};
    tarn_allocator *allocator = NULL;
    uint64_t ns = 0;
    tarn_status status = tarn_predictive_create(device, &options, &allocator);
    for (size_t i = 0; i < bench_text_count && status == TARN_OK; i++)
        status = run_text(allocator, &bench_texts[i], &ns);
    figures->done.struct_size = sizeof figures->done;
    if (status == TARN_OK) status = tarn_predictive_stats_get(allocator, &figures->done);
    if (status == TARN_OK) *out_step_ns = (double)ns / (double)figures->done.resizes;
    tarn_allocator_release(allocator);
    return status;
}

static int run_rounds(shapes_figures *figures, size_t rounds) {
    double step_ns[WAYS][MOST_ROUNDS];
    tarn_device *device = NULL;
    tarn_status status = tarn_device_open("cpu", &device);
    if (status != TARN_OK) return tool_fail(BENCH_COMMAND, "cpu", status);
    for (size_t round = 0; round < rounds && status == TARN_OK; round++) {
        for (size_t i = 0; i < WAYS && status == TARN_OK; i++)
            status = run_once(device, &ways[i], &figures[i], &step_ns[i][round]);
    }
    tarn_device_release(device);
    if (status != TARN_OK) return tool_fail(BENCH_COMMAND, "shapes", status);
    for (size_t i = 0; i < WAYS; i++) figures[i].step_ns = bench_median(step_ns[i], rounds);
    return TOOL_DONE;
}

/* Whether a way wastes less than fixed padding, at no more moves. */
static bool is_better(const shapes_figures *figures, size_t way) {
    return figures[way].done.wasted_bytes < figures[FIXED].done.wasted_bytes &&
           figures[way].done.moves <= figures[FIXED].done.moves;
}

/* adaptive, quantile and growth in place claim that; the others are there to compare. */
static bool has_target(size_t way) { return way > FIXED; }

static double waste_of(const shapes_figures *figures) {
    return (double)figures->done.wasted_bytes / (double)figures->done.uses;
}

static void print_table(const shapes_figures *figures) {
    static const char *const header[] = {"padding",
                                         "utilization",
                                         "wasted, mean",
                                         "moves",
                                         "copied",
                                         "a resize",
                                         "waste and moves against fixed",
                                         "target",
                                         ""};
    enum { COLUMNS = sizeof header / sizeof header[0] };
    printf("shapes: buffers resized to the lengths of %llu paragraphs of %zu texts\n",
           (unsigned long long)figures[0].done.resizes, bench_text_count);
    tool_table table = {.columns = COLUMNS, .left = 1u | 1u << (COLUMNS - 2) | 1u << (COLUMNS - 1)};
    char text[TOOL_TEXT], size[TARN_SIZE_TEXT];
    for (size_t i = 0; i < COLUMNS; i++) table_add(&table, "%s", header[i]);
    for (size_t i = 0; i < WAYS; i++) {
        const tarn_predictive_stats *done = &figures[i].done;
        table_add(&table, "%s", ways[i].name);
        table_add(&table, "%.3f", done->average_utilization);
        table_add(&table, "%s", tarn_size_format((uint64_t)waste_of(&figures[i]), size));
        table_add(&table, "%s", tool_count(done->moves, text));
        table_add(&table, "%s", tarn_size_format(done->moved_bytes, size));
        table_add(&table, "%s", bench_duration(figures[i].step_ns, text));
        table_add(&table, "%.2f, %.2f", waste_of(&figures[i]) / waste_of(&figures[FIXED]),
                  (double)done->moves / (double)figures[FIXED].done.moves);
        table_add(&table, "%s", has_target(i) ? "< 1, ≤ 1" : "");
        table_add(&table, "%s", !has_target(i) ? "" : is_better(figures, i) ? "met" : "short");
    }
    table_print(&table);
}

static json_t *to_json(const shapes_figures *figures) {
    json_t *list = json_array();
    for (size_t i = 0; i < WAYS; i++) {
        const tarn_predictive_stats *done = &figures[i].done;
        json_array_append_new(list,
                              json_pack("{s:s,s:f,s:o,s:o,s:o,s:o,s:o,s:o,s:f,s:o}", "padding", ways[i].name,
                                        "utilization", done->average_utilization, "uses", tool_json_size(done->uses),
                                        "wasted_bytes", tool_json_size(done->wasted_bytes), "moves",
                                        tool_json_size(done->moves), "moved_bytes", tool_json_size(done->moved_bytes),
                                        "in_place_growths", tool_json_size(done->in_place_growths), "in_place_shrinks",
                                        tool_json_size(done->in_place_shrinks), "resize_ns", figures[i].step_ns, "met",
                                        has_target(i) ? json_boolean(is_better(figures, i)) : json_null()));
    }
    return json_pack("{s:s,s:o,s:o}", "benchmark", "shapes", "texts", tool_json_size(bench_text_count), "results",
                     list);
}

int bench_shapes(const bench_options *options, json_t **out_result) {
    shapes_figures *figures = calloc(WAYS, sizeof *figures);
    if (figures == NULL) return tool_no_memory(BENCH_COMMAND);
    int result = run_rounds(figures, options->quick ? 1 : MOST_ROUNDS);
    if (result == TOOL_DONE && !options->as_json) print_table(figures);
    if (result == TOOL_DONE) {
        *out_result = to_json(figures);
        if (*out_result == NULL) result = tool_no_memory(BENCH_COMMAND);
    }
    free(figures);
    return result;
}
