/* `tarn bench ops --device D` and `tarn bench alloc --device D`: what a device does beside its own copy, and what its allocations cost beside the
 * cpu's.
 *
 * Both sides of a ratio take turns in one process, round after round, so whatever else the machine does meets both. The figure of each is the
 * median of its rounds, or for allocations, which take nanoseconds, the best: what is not the allocator only ever adds. */
#include "device.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "computing.h"
#include "patterns.h"

enum { MOST_ROUNDS = 9, MOST_PATTERNS = 32 };

/* What is promised of OpenCL's devices; other devices are measured all the same. */
static const double copy_target = 0.8, cpu_target = 1.2;

static size_t rounds_of(const bench_options *options) { return options->trial ? 1 : options->quick ? 3 : MOST_ROUNDS; }

static bool has_targets(tarn_device *device) { return tarn_device_type_of(device) == TARN_DEVICE_OPENCL; }

static void add_target(tool_table *table, const char *sign, double target, bool is_met) {
    table_add(table, target > 0 ? "%s %.3g" : "%s", sign, target);
    table_add(table, "%s", target <= 0 ? "" : is_met ? "met" : "short");
}

static json_t *target_json(double target) { return target > 0 ? json_real(target) : json_null(); }
static json_t *met_json(double target, bool is_met) { return target > 0 ? json_boolean(is_met) : json_null(); }

/* Operations. */

/* The last has no target: they read less than they would have to be held against a copy, or compute more. */
static const struct {
    const char *label, *work;
    bool is_elementwise;
} operation_rows[] = {
    {"x + w", "add", true},
    {"x + a row of 1,000", "add_row", true},
    {"relu(x*w + x)", "expr_relu", true},
    {"exp(x)", "exp", true},
    {"tanh(x)", "tanh", true},
    {"sin(x)", "sin", true},
    {"cos(x)", "cos", true},
    {"pow(e, w), e = exp(x)", "pow", false},
    {"sum", "sum", false},
    {"sums of rows of 1,000", "sum_rows", false},
    {"sums of 1,000 columns", "sum_columns", false},
    {"softmax of rows of 1,000", "softmax", false},
    {"layer norm of rows of 1,000", "layer_norm", false},
    {"rows of 1,000, gathered", "gather", false},
    {"max of 2 × 2 in an image", "max_pool2d", false},
};
enum { OPERATION_ROWS = sizeof operation_rows / sizeof operation_rows[0] };

typedef struct operation_bench {
    tarn_device *device;
    tarn_allocator *allocator;
    tarn_tensor *flats[2], *copied;
    size_t elements, rounds;
    double copy_ns[OPERATION_ROWS], ns[OPERATION_ROWS];
} operation_bench;

static tarn_status time_copy(const operation_bench *bench, double *out_ns) {
    uint64_t began = base_clock_ns();
    tarn_status status = tarn_stream_copy(tarn_device_default_stream(bench->device), tarn_tensor_data(bench->copied),
                                          tarn_tensor_data(bench->flats[0]), bench->elements * sizeof(float));
    if (status == TARN_OK) status = tarn_device_synchronize(bench->device);
    *out_ns = (double)(base_clock_ns() - began);
    return status;
}

static tarn_status time_work(const operation_bench *bench, const bench_work *work, const work_place *place,
                             double *out_ns) {
    tarn_tensor *result = NULL;
    uint64_t began = base_clock_ns();
    tarn_status status = work_compute(work, place, &result);
    if (status == TARN_OK) status = tarn_device_synchronize(bench->device);
    *out_ns = (double)(base_clock_ns() - began);
    tarn_status released = tarn_tensor_release(result);
    return status == TARN_OK ? released : status;
}

/* The first round warms up: kernels are compiled in it. */
static tarn_status measure_row(operation_bench *bench, size_t row) {
    const bench_work *work = work_find(operation_rows[row].work);
    work_place place = {.allocator = bench->allocator};
    double copies[MOST_ROUNDS + 1], times[MOST_ROUNDS + 1];
    tarn_status status = work_open(work, bench->elements, bench->flats, &place);
    for (size_t round = 0; round <= bench->rounds && status == TARN_OK; round++) {
        status = time_copy(bench, &copies[round]);
        if (status == TARN_OK) status = time_work(bench, work, &place, &times[round]);
    }
    work_close(&place);
    if (status != TARN_OK) return status;
    bench->copy_ns[row] = bench_median(copies + 1, bench->rounds);
    bench->ns[row] = bench_median(times + 1, bench->rounds);
    return TARN_OK;
}

static double operation_rate(const operation_bench *bench, size_t row) {
    return work_amount(work_find(operation_rows[row].work), bench->elements) / bench->ns[row];
}

static double copy_rate(const operation_bench *bench, size_t row) {
    return 2.0 * sizeof(float) * (double)bench->elements / bench->copy_ns[row];
}

static void print_operations(const operation_bench *bench) {
    char text[TOOL_TEXT];
    tool_table table = {.columns = 7, .left = 1u | 1u << 5 | 1u << 6};
    printf("ops on %s: %s elements of f32, medians of %zu rounds, with the device's own copy in each\n",
           tarn_device_name(bench->device), tool_count(bench->elements, text), bench->rounds);
    table_add(&table, "operation");
    table_add(&table, "time");
    table_add(&table, "GB/s");
    table_add(&table, "copy, GB/s");
    table_add(&table, "against the copy");
    table_add(&table, "target");
    table_add(&table, "%s", "");
    for (size_t i = 0; i < OPERATION_ROWS; i++) {
        double rate = operation_rate(bench, i), ratio = rate / copy_rate(bench, i);
        table_add(&table, "%s", operation_rows[i].label);
        table_add(&table, "%s", bench_duration(bench->ns[i], text));
        table_add(&table, "%.1f", rate);
        table_add(&table, "%.1f", copy_rate(bench, i));
        table_add(&table, "%.2f", ratio);
        bool is_judged = operation_rows[i].is_elementwise && has_targets(bench->device);
        add_target(&table, is_judged ? "≥" : "", is_judged ? copy_target : 0, ratio >= copy_target);
    }
    table_print(&table);
}

static json_t *operations_json(const operation_bench *bench) {
    json_t *rows = json_array();
    for (size_t i = 0; i < OPERATION_ROWS; i++) {
        double rate = operation_rate(bench, i), ratio = rate / copy_rate(bench, i);
        double target = operation_rows[i].is_elementwise && has_targets(bench->device) ? copy_target : 0;
        json_array_append_new(rows, json_pack("{s:s,s:s,s:f,s:f,s:f,s:f,s:o,s:o}", "row", operation_rows[i].label,
                                              "work", operation_rows[i].work, "ns", bench->ns[i], "copy_ns",
                                              bench->copy_ns[i], "gb_per_s", rate, "times_copy", ratio, "target",
                                              target_json(target), "met", met_json(target, ratio >= target)));
    }
    return json_pack("{s:s,s:s,s:o,s:o,s:o}", "benchmark", "ops", "device", tarn_device_name(bench->device), "elements",
                     tool_json_size(bench->elements), "rounds", tool_json_size(bench->rounds), "rows", rows);
}

static tarn_status open_operations(operation_bench *bench, const char *device) {
    const tarn_shape flat = {.rank = 1, .dims = {(int64_t)bench->elements}};
    tarn_status status = tarn_device_open(device, &bench->device);
    if (status == TARN_OK) status = tarn_allocator_create(bench->device, "caching", &bench->allocator);
    if (status == TARN_OK) status = work_make_flats(bench->allocator, bench->elements, bench->flats);
    if (status == TARN_OK) status = tarn_tensor_zeros(bench->allocator, &flat, TARN_ELEMENT_F32, NULL, &bench->copied);
    return status;
}

int device_operations(const bench_options *options, json_t **out_result) {
    /* 64 MiB each, unless it is said otherwise. */
    operation_bench bench = {.elements = options->largest > 0 ? options->largest
                                         : options->trial     ? (size_t)1 << 16
                                                              : (size_t)1 << 24,
                             .rounds = rounds_of(options)};
    tarn_status status = open_operations(&bench, options->device);
    for (size_t i = 0; i < OPERATION_ROWS && status == TARN_OK; i++) status = measure_row(&bench, i);
    int code = TOOL_DONE;
    if (status == TARN_OK) {
        if (!options->as_json) print_operations(&bench);
        *out_result = operations_json(&bench);
        if (*out_result == NULL) code = tool_no_memory(BENCH_COMMAND);
    } else {
        code = tool_fail(BENCH_COMMAND, options->device, status);
    }
    for (int i = 0; i < 2; i++) tarn_tensor_release(bench.flats[i]);
    tarn_tensor_release(bench.copied);
    tarn_allocator_release(bench.allocator);
    tarn_device_release(bench.device);
    return code;
}

/* Allocations. */

typedef struct allocation_row {
    const bench_pattern *pattern;
    double cpu_ns, ns;
} allocation_row;

/* Patterns that write to memory are the processor's. */
static size_t choose_patterns(allocation_row rows[MOST_PATTERNS]) {
    size_t count = 0;
    for (size_t i = 0; i < bench_pattern_count && count < MOST_PATTERNS; i++) {
        if (!bench_patterns[i].written) rows[count++] = (allocation_row){&bench_patterns[i], INFINITY, INFINITY};
    }
    return count;
}

/* Each round goes through all rows, so that those of one row lie far apart: a machine that is disturbed for a while spoils some of them. */
static tarn_status measure_allocations(const bench_options *options, allocation_row *rows, size_t count) {
    const char *const devices[2] = {"cpu", options->device};
    double budget_ns = options->trial ? 1e5 : options->quick ? 3e6 : 1e7;
    for (size_t round = 0; round < rounds_of(options); round++) {
        for (size_t i = 0; i < count; i++) {
            double ns[2];
            tarn_status status = bench_measure_both(rows[i].pattern, devices, "caching", budget_ns, ns);
            if (status != TARN_OK) return status;
            rows[i].cpu_ns = fmin(rows[i].cpu_ns, ns[0]);
            rows[i].ns = fmin(rows[i].ns, ns[1]);
        }
    }
    return TARN_OK;
}

static void print_allocations(const bench_options *options, const allocation_row *rows, size_t count, double target) {
    char text[TOOL_TEXT];
    tool_table table = {.columns = 6, .left = 1u | 1u << 4 | 1u << 5};
    printf("alloc on %s: time of one allocation and its free by caching, the best of %zu rounds\n", options->device,
           rounds_of(options));
    table_add(&table, "pattern");
    table_add(&table, "cpu");
    table_add(&table, "device");
    table_add(&table, "against cpu");
    table_add(&table, "target");
    table_add(&table, "%s", "");
    for (size_t i = 0; i < count; i++) {
        double ratio = rows[i].ns / rows[i].cpu_ns;
        table_add(&table, "%s", rows[i].pattern->name);
        table_add(&table, "%s", bench_duration(rows[i].cpu_ns, text));
        table_add(&table, "%s", bench_duration(rows[i].ns, text));
        table_add(&table, "%.2f", ratio);
        add_target(&table, target > 0 ? "≤" : "", target, ratio <= target);
    }
    table_print(&table);
}

static json_t *allocations_json(const bench_options *options, const allocation_row *rows, size_t count, double target) {
    json_t *patterns = json_array();
    for (size_t i = 0; i < count; i++) {
        double ratio = rows[i].ns / rows[i].cpu_ns;
        json_array_append_new(patterns,
                              json_pack("{s:s,s:f,s:f,s:f,s:o,s:o}", "pattern", rows[i].pattern->name, "cpu_ns",
                                        rows[i].cpu_ns, "ns", rows[i].ns, "times_cpu", ratio, "target",
                                        target_json(target), "met", met_json(target, ratio <= target)));
    }
    return json_pack("{s:s,s:o,s:o,s:o}", "benchmark", "alloc", "device", tool_json_text(options->device), "rounds",
                     tool_json_size(rounds_of(options)), "patterns", patterns);
}

int device_allocations(const bench_options *options, json_t **out_result) {
    allocation_row rows[MOST_PATTERNS];
    size_t count = choose_patterns(rows);
    tarn_device *device = NULL;
    tarn_status status = tarn_device_open(options->device, &device);
    double target = status == TARN_OK && has_targets(device) ? cpu_target : 0;
    if (status == TARN_OK) status = measure_allocations(options, rows, count);
    int code = status == TARN_OK ? TOOL_DONE : tool_fail(BENCH_COMMAND, options->device, status);
    tarn_device_release(device);
    if (code != TOOL_DONE) return code;
    if (!options->as_json) print_allocations(options, rows, count, target);
    *out_result = allocations_json(options, rows, count, target);
    return *out_result != NULL ? TOOL_DONE : tool_no_memory(BENCH_COMMAND);
}
