/* Running a suite and telling what came out: a table, a JSON object, plots. */
#include <stdio.h>
#include <string.h>

#include "computing.h"

static const char *const limit_names[LIMITS] = {"", "memory", "memory", "arithmetic"};

const suite_point *suite_find(const suite_results *results, const char *work, size_t elements) {
    for (size_t i = 0; i < results->count; i++) {
        const suite_point *point = &results->points[i];
        if (point->elements == elements && strcmp(point->work->name, work) == 0) return point;
    }
    return NULL;
}

static double least(double a, double b) { return a < 0 ? b : b < 0 ? a : a < b ? a : b; }

static double best(const suite_point *point) { return least(point->ns[TARN_ONE], point->ns[TARN_ALL]); }

double suite_limit_ns(const suite_results *results, const suite_point *point) {
    double rate = results->limits[point->work->limit];
    return point->work->limit == LIMIT_NONE || rate <= 0 ? -1 : work_amount(point->work, point->elements) / rate;
}

static size_t row_elements(const suite_results *results, const suite_row *row) {
    return row->elements > 0 ? row->elements : results->largest;
}

/* What the row is held against, in nanoseconds; below 0 where that was not measured. */
static double reference_of(const suite_results *results, const suite_row *row, const suite_point *point) {
    double torch = least(point->ns[TORCH_ONE], point->ns[TORCH_ALL]);
    switch (row->against) {
    case AGAINST_NUMPY: return point->ns[NUMPY];
    case AGAINST_TORCH: return torch;
    case AGAINST_PEERS: return least(point->ns[NUMPY], torch);
    case AGAINST_LIMIT: return suite_limit_ns(results, point);
    case AGAINST_OTHER: return best(suite_find(results, row->other, point->elements));
    default: return -1;
    }
}

/* How many times as fast as its reference a row is; below 0 where there is none. */
static double ratio_of(const suite_results *results, const suite_row *row, const suite_point *point) {
    double other_ns = reference_of(results, row, point);
    return other_ns < 0 ? -1 : other_ns / best(point);
}

static const char *reference_name(const suite_row *row, const suite_point *point) {
    static const char *const names[] = {[AGAINST_NOTHING] = "",
                                        [AGAINST_NUMPY] = "NumPy",
                                        [AGAINST_TORCH] = "PyTorch",
                                        [AGAINST_PEERS] = "NumPy, PyTorch"};
    if (row->against == AGAINST_LIMIT) return limit_names[point->work->limit];
    return row->against == AGAINST_OTHER ? row->other_label : names[row->against];
}

static void add_time(tool_table *table, double ns) {
    char text[TOOL_TEXT];
    table_add(table, "%s", ns < 0 ? "-" : bench_duration(ns, text));
}

static void add_row(tool_table *table, const suite_results *results, const suite_row *row, const suite_point *point) {
    double ratio = ratio_of(results, row, point);
    bool has_target = row->target > 0;
    table_add(table, "%s", row->label);
    for (int c = 0; c < CONTENDERS; c++) add_time(table, point->ns[c]);
    add_time(table, suite_limit_ns(results, point));
    table_add(table, "%s", reference_name(row, point));
    if (ratio < 0) table_add(table, "-");
    else table_add(table, "%.2f", ratio);
    if (has_target) table_add(table, ">= %.2f", row->target);
    else table_add(table, "%s", "");
    table_add(table, "%s", ratio < 0 || !has_target ? "" : ratio >= row->target ? "met" : "short");
}

static void print(const bench_suite *suite, const suite_results *results) {
    static const char *const header[] = {"",      "Tarn 1",  "Tarn all", "NumPy",  "PyTorch 1", "PyTorch all",
                                         "limit", "against", "times",    "target", ""};
    enum { COLUMNS = sizeof header / sizeof header[0] };
    char text[TOOL_TEXT];
    printf("%s: f32, large ones of %s elements, medians of %zu rounds; 1 thread, and all %u\n", suite->name,
           tool_count(results->largest, text), results->rounds, results->threads);
    tool_table table = {.columns = COLUMNS, .left = 1u | 1u << 7 | 1u << 10};
    for (size_t i = 0; i < COLUMNS; i++) table_add(&table, "%s", header[i]);
    for (size_t i = 0; i < suite->row_count; i++) {
        const suite_row *row = &suite->rows[i];
        const suite_point *point = suite_find(results, row->work, row_elements(results, row));
        if (point != NULL) add_row(&table, results, row, point);
    }
    table_print(&table);
}

static json_t *number_or_null(double number) { return number < 0 ? json_null() : json_real(number); }

json_t *suite_times(const suite_point *point) {
    json_t *times = json_object();
    for (int c = 0; c < CONTENDERS; c++) json_object_set_new(times, contender_names[c], number_or_null(point->ns[c]));
    return times;
}

static json_t *row_json(const suite_results *results, const suite_row *row, const suite_point *point) {
    double ratio = ratio_of(results, row, point);
    const char *against = reference_name(row, point), *limit = limit_names[point->work->limit];
    bool has_target = row->target > 0;
    return json_pack("{s:s,s:s,s:o,s:o,s:s?,s:o,s:s?,s:o,s:o,s:o}", "row", row->label + strspn(row->label, " "), "work",
                     row->work, "elements", tool_json_size(point->elements), "ns", suite_times(point), "limit",
                     *limit != '\0' ? limit : NULL, "limit_ns", number_or_null(suite_limit_ns(results, point)),
                     "against", *against != '\0' ? against : NULL, "times_as_fast", number_or_null(ratio), "target",
                     has_target ? json_real(row->target) : json_null(), "met",
                     ratio < 0 || !has_target ? json_null() : json_boolean(ratio >= row->target));
}

static json_t *to_json(const bench_suite *suite, const suite_results *results) {
    json_t *rows = json_array();
    for (size_t i = 0; i < suite->row_count; i++) {
        const suite_row *row = &suite->rows[i];
        const suite_point *point = suite_find(results, row->work, row_elements(results, row));
        if (point != NULL) json_array_append_new(rows, row_json(results, row, point));
    }
    return json_pack("{s:s,s:o,s:o,s:o,s:{s:o,s:o,s:o},s:o}", "benchmark", suite->name, "elements",
                     tool_json_size(results->largest), "rounds", tool_json_size(results->rounds), "threads",
                     tool_json_size(results->threads), "limits", "pass_gb_per_second",
                     number_or_null(results->limits[LIMIT_PASS]), "read_gb_per_second",
                     number_or_null(results->limits[LIMIT_READ]), "gflop_per_second",
                     number_or_null(results->limits[LIMIT_ARITHMETIC]), "results", rows);
}

int suite_run(const bench_suite *suite, const bench_options *options, json_t **out_result) {
    suite_results results;
    if (!suite_measure(suite, options, &results)) {
        tool_say(BENCH_COMMAND, "%s: nothing could be measured; is there memory for tensors of %zu elements?",
                 suite->name, results.largest);
        return TOOL_MEMORY;
    }
    json_t *result = to_json(suite, &results);
    if (result == NULL) return tool_no_memory(BENCH_COMMAND);
    if (!options->as_json) print(suite, &results);
    int code = suite->more != NULL ? suite->more(options, result) : TOOL_DONE;
    if (code == TOOL_DONE && options->plots != NULL) code = plots_write(suite, &results, options, result);
    if (code == TOOL_DONE) *out_result = result;
    else json_decref(result);
    return code;
}
