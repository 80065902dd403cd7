/* A batch of expressions over tensors of several sizes, made ready once and evaluated again and again: fused passes, and intermediates in
 * one planned block. */
#include "workload/measure.h"

#define ROW 1000
#define SIZES 3
#define STEPS 50

/* Rows of the tensors: 10^3, 10^5 and 10^6 elements. */
static const int64_t rows[SIZES] = {1, 100, 1000};

typedef struct expressions {
    const workload_options *options;
    work_step kept;
    tarn_evaluation *evaluations[SIZES];
} expressions;

/* A gated step and its softmax by rows: Σ softmax(relu(x·w + x)·sigmoid(x), over rows)² */
static tarn_expr *build(tarn_tensor *x, tarn_tensor *w) {
    int last = -1;
    tarn_expr *sum = tarn_expr_add(tarn_expr_multiply(tarn_expr_of(x), tarn_expr_of(w)), tarn_expr_of(x));
    tarn_expr *gated = tarn_expr_multiply(tarn_expr_relu(sum), tarn_expr_sigmoid(tarn_expr_of(x)));
    tarn_expr *greatest = tarn_expr_max(tarn_expr_retain(gated), &last, 1, 1);
    tarn_expr *powers = tarn_expr_exp(tarn_expr_subtract(gated, greatest));
    tarn_expr *totals = tarn_expr_sum(tarn_expr_retain(powers), &last, 1, 1);
    tarn_expr *shares = tarn_expr_divide(powers, totals);
    return tarn_expr_sum(tarn_expr_multiply(tarn_expr_retain(shares), shares), NULL, 0, 0);
}

static void prepare(expressions *batch) {
    uint64_t numbers = 0;
    for (int i = 0; i < SIZES && batch->kept.status == TARN_OK; i++) {
        const tarn_shape shape = {.rank = 2, .dims = {rows[i], ROW}};
        tarn_tensor *x = step_random(&batch->kept, &shape, batch->options->seed, &numbers, 1);
        tarn_tensor *w = step_random(&batch->kept, &shape, batch->options->seed, &numbers, 1);
        if (batch->kept.status != TARN_OK) return;
        tarn_expr *expr = build(x, w);
        step_note(&batch->kept, tarn_evaluation_create(&expr, 1, &batch->evaluations[i]));
        tarn_expr_release(expr);
    }
}

static tarn_status take_step(void *context, size_t number, double *out_checksum, double *inout_items) {
    (void)number;
    expressions *batch = context;
    work_step step;
    step_begin(&step, batch->options->allocator, batch->options->stream);
    *out_checksum = 0;
    for (int i = 0; i < SIZES && step.status == TARN_OK; i++) {
        tarn_tensor *result = NULL;
        tarn_scalar value = {.kind = TARN_SCALAR_FLOAT};
        tarn_status status =
            tarn_evaluation_run(batch->evaluations[i], step.options.allocator, step.options.stream, &result);
        result = step_hold(&step, status, result);
        if (result != NULL) step_note(&step, tarn_tensor_item(result, step.options.stream, &value));
        *out_checksum += value.floating;
        *inout_items += (double)(rows[i] * ROW);
    }
    return step_end(&step);
}

tarn_status expressions_run(const workload_options *options, workload_result *out_result) {
    expressions batch = {.options = options};
    workload_result result;
    step_begin(&batch.kept, options->allocator, options->stream);
    prepare(&batch);
    if (batch.kept.status == TARN_OK) {
        step_note(&batch.kept, measure_steps(options, STEPS, take_step, &batch, &result));
    }
    for (int i = 0; i < SIZES; i++) tarn_evaluation_release(batch.evaluations[i]);
    tarn_status status = step_end(&batch.kept);
    if (status != TARN_OK) return status;
    result.item = "elements";
    *out_result = result;
    return TARN_OK;
}
