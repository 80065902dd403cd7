/* Measuring operations in this process. Each row is called once to warm up, then as often as takes a twentieth of a second, in several
 * rounds. Results are made anew each time, as a program does. */
#include "operations_rows.h"

#include "base/clock.h"
#include "harness.h"

enum { MOST_ROUNDS = 31 };
static const double round_ns = 5e7;

typedef struct row_tensors {
    tarn_allocator *allocator;
    tarn_tensor *small[2], *large[2], *million, *square[2], *images, *filters;
    tarn_evaluation *chain;
} row_tensors;

static tarn_status random_tensor(tarn_allocator *allocator, const tarn_shape *shape, uint64_t seed, tarn_tensor **out) {
    return tarn_tensor_random_normal(allocator, shape, TARN_ELEMENT_F32, seed, 0, 1, NULL, out);
}

static tarn_status make_pair(tarn_allocator *allocator, const tarn_shape *shape, tarn_tensor **out_pair) {
    tarn_status status = random_tensor(allocator, shape, 1, &out_pair[0]);
    return status == TARN_OK ? random_tensor(allocator, shape, 2, &out_pair[1]) : status;
}

static tarn_status make_chain(row_tensors *tensors) {
    tarn_tensor *x = tensors->large[0], *w = tensors->large[1];
    tarn_expr *sum = tarn_expr_add(tarn_expr_multiply(tarn_expr_of(x), tarn_expr_of(w)), tarn_expr_of(x));
    tarn_expr *relu = tarn_expr_relu(sum);
    tarn_status status = tarn_evaluation_create(&relu, 1, &tensors->chain);
    tarn_expr_release(relu);
    return status;
}

static tarn_status make_tensors(size_t elements, row_tensors *tensors) {
    const tarn_shape small = {.rank = 1, .dims = {1000}}, large = {.rank = 1, .dims = {(int64_t)elements}};
    const tarn_shape million = {.rank = 1, .dims = {1000000}}, square = {.rank = 2, .dims = {1024, 1024}};
    const tarn_shape images = {.rank = 4, .dims = {8, 64, 56, 56}}, filters = {.rank = 4, .dims = {64, 64, 3, 3}};
    tarn_status status = make_pair(tensors->allocator, &small, tensors->small);
    if (status == TARN_OK) status = make_pair(tensors->allocator, &large, tensors->large);
    if (status == TARN_OK) status = random_tensor(tensors->allocator, &million, 3, &tensors->million);
    if (status == TARN_OK) status = make_pair(tensors->allocator, &square, tensors->square);
    if (status == TARN_OK) status = random_tensor(tensors->allocator, &images, 4, &tensors->images);
    if (status == TARN_OK) status = random_tensor(tensors->allocator, &filters, 5, &tensors->filters);
    return status == TARN_OK ? make_chain(tensors) : status;
}

static void release_tensors(row_tensors *tensors) {
    tarn_evaluation_release(tensors->chain);
    for (int i = 0; i < 2; i++) {
        tarn_tensor_release(tensors->small[i]);
        tarn_tensor_release(tensors->large[i]);
        tarn_tensor_release(tensors->square[i]);
    }
    tarn_tensor_release(tensors->million);
    tarn_tensor_release(tensors->images);
    tarn_tensor_release(tensors->filters);
}

static tarn_status compute(const row_tensors *tensors, int row, tarn_tensor **out_result) {
    switch (row) {
    case ROW_ADD_SMALL: return tarn_add(tensors->small[0], tensors->small[1], NULL, out_result);
    case ROW_ADD: return tarn_add(tensors->large[0], tensors->large[1], NULL, out_result);
    case ROW_CHAIN: return tarn_evaluation_run(tensors->chain, tensors->allocator, NULL, out_result);
    case ROW_TANH: return tarn_tanh(tensors->million, NULL, out_result);
    case ROW_EXP: return tarn_exp(tensors->million, NULL, out_result);
    case ROW_SUM: return tarn_sum(tensors->large[0], NULL, 0, 0, NULL, out_result);
    case ROW_MATMUL: return tarn_matmul(tensors->square[0], tensors->square[1], NULL, out_result);
    default: {
        const tarn_conv2d_options same = {.struct_size = sizeof same, .padding = {1, 1}};
        return tarn_conv2d(tensors->images, tensors->filters, NULL, &same, NULL, out_result);
    }
    }
}

/* `calls` results, one after the other. */
static tarn_status compute_often(const row_tensors *tensors, int row, size_t calls, double *out_ns) {
    tarn_status status = TARN_OK;
    uint64_t began = base_clock_ns();
    for (size_t i = 0; i < calls && status == TARN_OK; i++) {
        tarn_tensor *result = NULL;
        status = compute(tensors, row, &result);
        if (status == TARN_OK) status = tarn_tensor_release(result);
    }
    *out_ns = (double)(base_clock_ns() - began) / (double)calls;
    return status;
}

static size_t calls_for(double ns) { return ns < round_ns ? (size_t)(round_ns / (ns < 1 ? 1 : ns)) : 1; }

static tarn_status measure_row(const row_tensors *tensors, int row, size_t rounds, double *out_ns) {
    double times[MOST_ROUNDS], once;
    tarn_status status = compute_often(tensors, row, 1, &once);
    if (status == TARN_OK) status = compute_often(tensors, row, 1, &once);
    size_t calls = calls_for(once);
    if (rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
    for (size_t i = 0; i < rounds && status == TARN_OK; i++) status = compute_often(tensors, row, calls, &times[i]);
    if (status == TARN_OK) *out_ns = bench_median(times, rounds);
    return status;
}

tarn_status rows_measure(size_t elements, size_t rounds, double *out_ns) {
    tarn_device *device = NULL;
    row_tensors tensors = {.allocator = NULL};
    tarn_status status = tarn_device_open("cpu", &device);
    if (status == TARN_OK) status = tarn_allocator_create(device, "caching", &tensors.allocator);
    if (status == TARN_OK) status = make_tensors(elements, &tensors);
    for (int row = 0; row < OPERATION_ROWS && status == TARN_OK; row++) {
        status = measure_row(&tensors, row, rounds, &out_ns[row]);
    }
    release_tensors(&tensors);
    tarn_allocator_release(tensors.allocator);
    tarn_device_release(device);
    return status;
}
