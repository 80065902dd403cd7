/* `tarn bench expr`: expressions beside the operations of NumPy and PyTorch one by one, what they cost the host, and what memory they need. */
#include "computing.h"
#include "expression_memory.h"

enum { SMALL = 16, BATCH = 64, CHAIN = 8 };

static tarn_expr *relu(const work_place *place) {
    tarn_expr *product = tarn_expr_multiply(tarn_expr_of(place->x), tarn_expr_of(place->w));
    return tarn_expr_relu(tarn_expr_add(product, tarn_expr_of(place->x)));
}

static tarn_expr *chain(const work_place *place) {
    tarn_expr *y = tarn_expr_of(place->x);
    for (int i = 0; i < CHAIN; i++)
        y = tarn_expr_add(tarn_expr_multiply(y, tarn_expr_of(place->w)), tarn_expr_of(place->x));
    return y;
}

static tarn_expr *squares(const work_place *place) {
    return tarn_expr_sum(tarn_expr_multiply(tarn_expr_of(place->x), tarn_expr_of(place->x)), NULL, 0, 0);
}

static tarn_expr *error(const work_place *place) {
    tarn_expr *difference = tarn_expr_subtract(tarn_expr_of(place->x), tarn_expr_of(place->w));
    return tarn_expr_mean(tarn_expr_multiply(tarn_expr_retain(difference), difference), NULL, 0, 0);
}

static tarn_expr *softmax(const work_place *place) {
    const int last = -1;
    tarn_expr *greatest = tarn_expr_max(tarn_expr_of(place->x), &last, 1, 1);
    tarn_expr *powers = tarn_expr_exp(tarn_expr_subtract(tarn_expr_of(place->x), greatest));
    return tarn_expr_divide(powers, tarn_expr_sum(tarn_expr_retain(powers), &last, 1, 1));
}

static tarn_expr *gate_of(tarn_expr *first, tarn_expr *second, tarn_expr *third) {
    return tarn_expr_add(tarn_expr_multiply(first, tarn_expr_subtract(tarn_expr_float(1), second)), third);
}

static tarn_expr *opening(const work_place *place) {
    return tarn_expr_sigmoid(tarn_expr_multiply(tarn_expr_of(place->x), tarn_expr_of(place->w)));
}

static tarn_expr *gate(const work_place *place) { return gate_of(opening(place), opening(place), opening(place)); }

static tarn_expr *gate_written_once(const work_place *place) {
    tarn_expr *open = opening(place);
    return gate_of(open, tarn_expr_retain(open), tarn_expr_retain(open));
}

static tarn_expr *linear(const work_place *place) {
    tarn_expr *product = tarn_expr_matmul(tarn_expr_of(place->x), tarn_expr_of(place->w));
    return tarn_expr_relu(tarn_expr_add(product, tarn_expr_of(place->row)));
}

/* The steps of relu(x*w + x) as the host takes them. */

static tarn_status build(const work_place *place, tarn_tensor **out) {
    (void)out;
    tarn_expr_release(relu(place));
    return TARN_OK;
}

static tarn_status build_beforehand(work_place *place) {
    place->expr = relu(place);
    return TARN_OK;
}

static tarn_status make_ready(const work_place *place, tarn_tensor **out) {
    (void)out;
    tarn_evaluation *evaluation = NULL;
    tarn_status status = tarn_evaluation_create(&place->expr, 1, &evaluation);
    tarn_evaluation_release(evaluation);
    return status;
}

static tarn_status evaluate(const work_place *place, tarn_tensor **out) {
    tarn_expr *expr = relu(place);
    tarn_status status = tarn_expr_eval(expr, place->allocator, out);
    tarn_expr_release(expr);
    return status;
}

static tarn_status compute_eagerly(const work_place *place, tarn_tensor **out) {
    tarn_tensor *product = NULL, *sum = NULL;
    tarn_status status = tarn_multiply(place->x, place->w, NULL, &product);
    if (status == TARN_OK) status = tarn_add(product, place->x, NULL, &sum);
    if (status == TARN_OK) status = tarn_relu(sum, NULL, out);
    tarn_tensor_release(product);
    tarn_tensor_release(sum);
    return status;
}

static tarn_status capture(work_place *place) {
    tarn_graph *graph = NULL;
    tarn_device *device = tarn_tensor_device(place->x);
    tarn_status status = tarn_graph_pool_create(device, NULL, &place->pool);
    tarn_expr *expr = relu(place);
    if (status == TARN_OK) status = tarn_evaluation_create(&expr, 1, &place->evaluation);
    tarn_expr_release(expr);
    if (status == TARN_OK) status = tarn_stream_create(device, &place->stream);
    if (status == TARN_OK) status = tarn_graph_pool_begin_capture(place->pool, place->stream, TARN_CAPTURE_GLOBAL);
    if (status != TARN_OK) return status;
    status = tarn_evaluation_run(place->evaluation, place->pool, place->stream, &place->captured);
    if (status == TARN_OK) status = tarn_stream_end_capture(place->stream, &graph);
    if (status != TARN_OK) tarn_stream_abort_capture(place->stream);
    if (status == TARN_OK) status = tarn_graph_instantiate(graph, &place->instance);
    tarn_graph_release(graph);
    return status;
}

static tarn_status launch(const work_place *place, tarn_tensor **out) {
    (void)out;
    return tarn_graph_instance_launch(place->instance, NULL);
}

static tarn_status build_batch(work_place *place) {
    tarn_expr *exprs[BATCH];
    for (int i = 0; i < BATCH; i++) {
        tarn_expr *product = tarn_expr_multiply(tarn_expr_of(place->x), tarn_expr_float(i));
        exprs[i] = tarn_expr_relu(tarn_expr_add(product, tarn_expr_of(place->w)));
    }
    tarn_status status = tarn_evaluation_create(exprs, BATCH, &place->evaluation);
    for (int i = 0; i < BATCH; i++) tarn_expr_release(exprs[i]);
    return status;
}

static tarn_status run_batch(const work_place *place, tarn_tensor **out) {
    (void)out;
    tarn_tensor *results[BATCH] = {NULL};
    tarn_status status = tarn_evaluation_run(place->evaluation, place->allocator, NULL, results);
    for (int i = 0; i < BATCH; i++) tarn_tensor_release(results[i]);
    return status;
}

const bench_work expressions_work[] = {
    {"expr_relu", WORK_VECTORS, LIMIT_PASS, .bytes = 12, .build = relu},
    {"expr_chain", WORK_VECTORS, LIMIT_PASS, .bytes = 12, .build = chain},
    {"expr_squares", WORK_VECTORS, LIMIT_READ, .bytes = 4, .build = squares},
    {"expr_error", WORK_VECTORS, LIMIT_READ, .bytes = 8, .build = error},
    {"expr_softmax", WORK_ROWS, LIMIT_PASS, .bytes = 8, .build = softmax},
    {"expr_gate", WORK_VECTORS, LIMIT_PASS, .bytes = 12, .build = gate},
    {"expr_gate_once", WORK_VECTORS, LIMIT_PASS, .bytes = 12, .build = gate_written_once},
    {"expr_linear", WORK_SQUARES, LIMIT_ARITHMETIC, .flops = 2, .build = linear},
    {"expr_build", WORK_VECTORS, .compute = build},
    {"expr_prepare", WORK_VECTORS, .prepare = build_beforehand, .compute = make_ready},
    {"expr_eval", WORK_VECTORS, .compute = evaluate},
    {"expr_eager", WORK_VECTORS, .compute = compute_eagerly},
    {"expr_run", WORK_VECTORS, .build = relu},
    {"expr_launch", WORK_VECTORS, .prepare = capture, .compute = launch},
    {"expr_batch", WORK_VECTORS, .each = BATCH, .prepare = build_batch, .compute = run_batch},
    {.name = NULL},
};

/* The targets are the project's own. */
static const suite_row rows[] = {
    {"relu(x*w + x), large", "expr_relu", 0, .against = AGAINST_LIMIT, .target = 0.85},
    {"8 times y*w + x, large", "expr_chain", 0, .against = AGAINST_LIMIT},
    {"sum(x*x), large", "expr_squares", 0, .against = AGAINST_LIMIT},
    {"mean((x - w)*(x - w)), large", "expr_error", 0, .against = AGAINST_LIMIT},
    {"exp(x - max) / sum, rows, large", "expr_softmax", 0, .against = AGAINST_PEERS, .target = 1},
    {"s*(1 - s) + s, s thrice, large", "expr_gate", 0, .against = AGAINST_OTHER, .other = "expr_gate_once",
     .other_label = "s once"},
    {"relu(x @ w + row), 1024", "expr_linear", 1024 * 1024, .against = AGAINST_TORCH, .target = 0.95},
    {"relu(x*w + x), 16: build", "expr_build", SMALL, .against = AGAINST_NOTHING},
    {"  prepare", "expr_prepare", SMALL, .against = AGAINST_NOTHING},
    {"  build and evaluate", "expr_eval", SMALL, .against = AGAINST_PEERS},
    {"  three operations", "expr_eager", SMALL, .against = AGAINST_NOTHING},
    {"  run prepared", "expr_run", SMALL, .against = AGAINST_OTHER, .other = "expr_eager", .other_label = "operations"},
    {"  launch captured", "expr_launch", SMALL, .against = AGAINST_OTHER, .other = "expr_eager",
     .other_label = "operations"},
    {"  one of 64 prepared together", "expr_batch", SMALL, .against = AGAINST_OTHER, .other = "expr_eager",
     .other_label = "operations"},
};

enum { LARGE = 100000000 };
static const suite_panel panels[] = {
    {"expressions", "relu(x*w + x)", "expr_relu", LARGE},
    {"expressions", "8 times y*w + x", "expr_chain", LARGE},
    {"expressions", "mean((x - w)*(x - w))", "expr_error", LARGE},
    {"expressions", "softmax of rows of 1,000, written out", "expr_softmax", LARGE},
};

int bench_expressions(const bench_options *options, json_t **out_result) {
    static const bench_suite suite = {.name = "expr",
                                      .rows = rows,
                                      .row_count = sizeof rows / sizeof rows[0],
                                      .panels = panels,
                                      .panel_count = sizeof panels / sizeof panels[0],
                                      .more = expression_memory};
    return suite_run(&suite, options, out_result);
}
