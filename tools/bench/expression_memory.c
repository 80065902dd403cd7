/* What memory an expression needs: a transformer block, written down once as a list of operations, evaluated as one expression and computed operation
 * by operation, where each result is released with its last use, from the same allocator. */
#include "expression_memory.h"

#include <stdio.h>

/* Rows of the input, its columns, and those between the last two products. */
enum { ROWS = 256, COLUMNS = 128, WIDE = 512 };

typedef enum step_kind { INPUT, MATMUL, TRANSPOSE, SCALE, SOFTMAX, NORM, UNARY, BINARY } step_kind;

/* One step: what is done with the values of earlier ones. Of an input `a` and `b` are its dimensions. */
typedef struct step {
    step_kind kind;
    int a, b;
    tarn_operation operation;
} step;

enum {
    X,
    WQ,
    WK,
    WV,
    W1,
    W2,
    Q,
    K,
    V,
    KT,
    SCORES,
    SCALED,
    SHARES,
    MIXED,
    SUM,
    NORMED,
    HIDDEN,
    OPEN,
    GATED,
    OUT,
    RESULT,
    STEPS
};
static const step steps[STEPS] = {
    [X] = {INPUT, .a = ROWS, .b = COLUMNS},
    [WQ] = {INPUT, .a = COLUMNS, .b = COLUMNS},
    [WK] = {INPUT, .a = COLUMNS, .b = COLUMNS},
    [WV] = {INPUT, .a = COLUMNS, .b = COLUMNS},
    [W1] = {INPUT, .a = COLUMNS, .b = WIDE},
    [W2] = {INPUT, .a = WIDE, .b = COLUMNS},
    [Q] = {MATMUL, .a = X, .b = WQ},
    [K] = {MATMUL, .a = X, .b = WK},
    [V] = {MATMUL, .a = X, .b = WV},
    [KT] = {TRANSPOSE, .a = K, .b = -1},
    [SCORES] = {MATMUL, .a = Q, .b = KT},
    [SCALED] = {SCALE, .a = SCORES, .b = -1},
    [SHARES] = {SOFTMAX, .a = SCALED, .b = -1},
    [MIXED] = {MATMUL, .a = SHARES, .b = V},
    [SUM] = {BINARY, .a = MIXED, .b = X, .operation = TARN_OPERATION_ADD},
    [NORMED] = {NORM, .a = SUM, .b = -1},
    [HIDDEN] = {MATMUL, .a = NORMED, .b = W1},
    [OPEN] = {UNARY, .a = HIDDEN, .b = -1, .operation = TARN_OPERATION_SIGMOID},
    [GATED] = {BINARY, .a = HIDDEN, .b = OPEN, .operation = TARN_OPERATION_MULTIPLY},
    [OUT] = {MATMUL, .a = GATED, .b = W2},
    [RESULT] = {BINARY, .a = OUT, .b = NORMED, .operation = TARN_OPERATION_ADD},
};
static const double scale = 1.0 / 16, epsilon = 1e-5;

typedef struct memory_row {
    const char *spec;
    uint64_t expression, eager;                   /* the most that was in use beside the inputs, bytes */
    uint64_t expression_reserved, eager_reserved; /* taken from the device */
} memory_row;

static const char *const specs[] = {"arena", "pool", "caching"};
enum { SPECS = sizeof specs / sizeof specs[0] };

typedef struct memory_bench {
    tarn_device *device;
    tarn_allocator *inputs_allocator;
    tarn_tensor *inputs[STEPS]; /* NULL but for inputs */
    tarn_evaluation *evaluation;
    tarn_evaluation_info info;
    memory_row rows[SPECS];
} memory_bench;

static tarn_expr *operand(tarn_expr *const *values, int index) { return tarn_expr_retain(values[index]); }

static tarn_expr *build_step(const memory_bench *bench, tarn_expr *const *values, int index) {
    const step *s = &steps[index];
    switch (s->kind) {
    case INPUT: return tarn_expr_of(bench->inputs[index]);
    case MATMUL: return tarn_expr_matmul(operand(values, s->a), operand(values, s->b));
    case TRANSPOSE: return tarn_expr_transpose(operand(values, s->a), NULL);
    case SCALE: return tarn_expr_multiply(operand(values, s->a), tarn_expr_float(scale));
    case SOFTMAX: return tarn_expr_softmax(operand(values, s->a), -1);
    case NORM: return tarn_expr_layer_norm(operand(values, s->a), 1, NULL, NULL, epsilon);
    case UNARY: return tarn_expr_unary(s->operation, operand(values, s->a));
    default: return tarn_expr_binary(s->operation, operand(values, s->a), operand(values, s->b));
    }
}

static tarn_status compute_step(tarn_allocator *allocator, tarn_tensor *const *values, int index, tarn_tensor **out) {
    const step *s = &steps[index];
    const tarn_operation_options options = {.struct_size = sizeof options, .allocator = allocator};
    tarn_tensor *a = values[s->a], *b = s->b >= 0 ? values[s->b] : NULL;
    switch (s->kind) {
    case MATMUL: return tarn_matmul(a, b, &options, out);
    case TRANSPOSE: return tarn_tensor_transpose(a, NULL, out);
    case SCALE: return tarn_binary_scalar(TARN_OPERATION_MULTIPLY, a, tarn_scalar_float(scale), &options, out);
    case SOFTMAX: return tarn_softmax(a, -1, &options, out);
    case NORM: return tarn_layer_norm(a, 1, NULL, NULL, epsilon, &options, out);
    case UNARY: return tarn_unary(s->operation, a, &options, out);
    default: return tarn_binary(s->operation, a, b, &options, out);
    }
}

static bool uses(const step *s, int value) { return s->kind != INPUT && (s->a == value || s->b == value); }

static int last_use(int value) {
    int last = value;
    for (int i = value + 1; i < STEPS; i++)
        if (uses(&steps[i], value)) last = i;
    return last;
}

static tarn_status compute_eagerly(const memory_bench *bench, tarn_allocator *allocator) {
    tarn_tensor *values[STEPS] = {NULL};
    tarn_status status = TARN_OK;
    for (int i = 0; i < STEPS && status == TARN_OK; i++) {
        if (steps[i].kind == INPUT) values[i] = tarn_tensor_retain(bench->inputs[i]);
        else status = compute_step(allocator, values, i, &values[i]);
        for (int k = 0; k < i; k++) {
            if (values[k] == NULL || last_use(k) != i) continue;
            tarn_tensor_release(values[k]);
            values[k] = NULL;
        }
    }
    for (int i = 0; i < STEPS; i++) tarn_tensor_release(values[i]);
    return status;
}

static tarn_status evaluate(const memory_bench *bench, tarn_allocator *allocator) {
    tarn_tensor *result = NULL;
    tarn_status status = tarn_evaluation_run(bench->evaluation, allocator, NULL, &result);
    tarn_tensor_release(result);
    return status;
}

static tarn_status measure(const memory_bench *bench, const char *spec,
                           tarn_status (*run)(const memory_bench *, tarn_allocator *), uint64_t *out_used,
                           uint64_t *out_reserved) {
    tarn_allocator *allocator = NULL;
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    tarn_status status = tarn_allocator_create(bench->device, spec, &allocator);
    if (status == TARN_OK) status = run(bench, allocator);
    if (status == TARN_OK) status = tarn_allocator_stats(allocator, &stats);
    tarn_allocator_release(allocator);
    *out_used = stats.in_use_bytes.peak;
    *out_reserved = stats.reserved_bytes.peak;
    return status;
}

static tarn_status prepare(memory_bench *bench) {
    tarn_expr *values[STEPS] = {NULL};
    tarn_status status = tarn_device_open("cpu", &bench->device);
    if (status == TARN_OK) status = tarn_allocator_create(bench->device, "caching", &bench->inputs_allocator);
    for (int i = 0; i < STEPS && status == TARN_OK; i++) {
        if (steps[i].kind != INPUT) continue;
        const tarn_shape shape = {.rank = 2, .dims = {steps[i].a, steps[i].b}};
        status = tarn_tensor_random_normal(bench->inputs_allocator, &shape, TARN_ELEMENT_F32, (uint64_t)i, 0, 0.1, NULL,
                                           &bench->inputs[i]);
    }
    if (status != TARN_OK) return status;
    for (int i = 0; i < STEPS; i++) values[i] = build_step(bench, values, i);
    status = tarn_evaluation_create(&values[RESULT], 1, &bench->evaluation);
    for (int i = 0; i < STEPS; i++) tarn_expr_release(values[i]);
    bench->info = (tarn_evaluation_info){.struct_size = sizeof bench->info};
    return status == TARN_OK ? tarn_evaluation_info_get(bench->evaluation, &bench->info) : status;
}

static void release(memory_bench *bench) {
    tarn_evaluation_release(bench->evaluation);
    for (int i = 0; i < STEPS; i++) tarn_tensor_release(bench->inputs[i]);
    tarn_allocator_release(bench->inputs_allocator);
    tarn_device_release(bench->device);
}

static tarn_status measure_all(memory_bench *bench) {
    tarn_status status = prepare(bench);
    for (int i = 0; i < SPECS && status == TARN_OK; i++) {
        memory_row *row = &bench->rows[i];
        row->spec = specs[i];
        status = measure(bench, specs[i], evaluate, &row->expression, &row->expression_reserved);
        if (status == TARN_OK) status = measure(bench, specs[i], compute_eagerly, &row->eager, &row->eager_reserved);
    }
    return status;
}

static void add_size(tool_table *table, uint64_t bytes) {
    char text[TARN_SIZE_TEXT];
    tarn_size_format(bytes, text);
    table_add(table, "%s", text);
}

static void print(const memory_bench *bench) {
    static const char *const header[] = {"allocator", "expression", "operations", "times",
                                         "target",    "",           "reserved",   "reserved by operations"};
    enum { COUNT = sizeof header / sizeof header[0] };
    const tarn_evaluation_info *info = &bench->info;
    char planned[TARN_SIZE_TEXT], separate[TARN_SIZE_TEXT], unfused[TARN_SIZE_TEXT], bound[TARN_SIZE_TEXT];
    tarn_size_format(info->intermediate_bytes, planned);
    tarn_size_format(info->lower_bound, bound);
    tarn_size_format(info->separate_bytes, separate);
    tarn_size_format(info->unfused_bytes, unfused);
    printf(
        "expr: the most memory in use for a transformer block of %zu operations in %zu passes; %zu intermediates in a block of %s\n"
        "  (lower bound %s; one by one %s; without fusing %s)\n",
        info->operations, info->passes, info->intermediates, planned, bound, separate, unfused);
    tool_table table = {.columns = COUNT, .left = 1u | 1u << 5};
    for (size_t i = 0; i < COUNT; i++) table_add(&table, "%s", header[i]);
    for (int i = 0; i < SPECS; i++) {
        const memory_row *row = &bench->rows[i];
        table_add(&table, "%s", row->spec);
        add_size(&table, row->expression);
        add_size(&table, row->eager);
        table_add(&table, "%.2f", (double)row->eager / (double)row->expression);
        table_add(&table, ">= 1.00");
        table_add(&table, "%s", row->eager >= row->expression ? "met" : "short");
        add_size(&table, row->expression_reserved);
        add_size(&table, row->eager_reserved);
    }
    table_print(&table);
}

static json_t *to_json(const memory_bench *bench) {
    const tarn_evaluation_info *info = &bench->info;
    json_t *allocators = json_array();
    for (int i = 0; i < SPECS; i++) {
        const memory_row *row = &bench->rows[i];
        json_array_append_new(allocators,
                              json_pack("{s:s,s:o,s:o,s:o,s:o,s:f,s:f,s:b}", "allocator", row->spec, "expression_bytes",
                                        tool_json_size(row->expression), "operations_bytes", tool_json_size(row->eager),
                                        "expression_reserved_bytes", tool_json_size(row->expression_reserved),
                                        "operations_reserved_bytes", tool_json_size(row->eager_reserved),
                                        "times_as_small", (double)row->eager / (double)row->expression, "target", 1.0,
                                        "met", row->eager >= row->expression));
    }
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "operations", tool_json_size(info->operations), "passes",
                     tool_json_size(info->passes), "intermediates", tool_json_size(info->intermediates),
                     "intermediate_bytes", tool_json_size(info->intermediate_bytes), "lower_bound",
                     tool_json_size(info->lower_bound), "separate_bytes", tool_json_size(info->separate_bytes),
                     "unfused_bytes", tool_json_size(info->unfused_bytes), "result_bytes",
                     tool_json_size(info->result_bytes), "allocators", allocators);
}

int expression_memory(const bench_options *options, json_t *inout_result) {
    memory_bench bench = {.device = NULL};
    tarn_status status = measure_all(&bench);
    int code = status == TARN_OK ? TOOL_DONE : tool_fail(BENCH_COMMAND, "expr", status);
    if (code == TOOL_DONE && !options->as_json) print(&bench);
    if (code == TOOL_DONE && json_object_set_new(inout_result, "memory", to_json(&bench)) != 0)
        code = tool_no_memory(BENCH_COMMAND);
    release(&bench);
    return code;
}
