/* `tarn bench ops`: operations on tensors beside NumPy, PyTorch and what the machine can do, in one run. */
#include "base/memory.h"
#include "base/status.h"
#include "computing.h"
#include "device.h"

static tarn_status add(const work_place *place, tarn_tensor **out) { return tarn_add(place->x, place->w, NULL, out); }

static tarn_status add_row(const work_place *place, tarn_tensor **out) {
    return tarn_add(place->x, place->row, NULL, out);
}

static tarn_status exponential(const work_place *place, tarn_tensor **out) { return tarn_exp(place->x, NULL, out); }

static tarn_status tangent(const work_place *place, tarn_tensor **out) { return tarn_tanh(place->x, NULL, out); }

static tarn_status sine(const work_place *place, tarn_tensor **out) { return tarn_sin(place->x, NULL, out); }

static tarn_status cosine(const work_place *place, tarn_tensor **out) { return tarn_cos(place->x, NULL, out); }

static tarn_status sum(const work_place *place, tarn_tensor **out) { return tarn_sum(place->x, NULL, 0, 0, NULL, out); }

static tarn_status sum_rows(const work_place *place, tarn_tensor **out) {
    return tarn_sum(place->x, (const int[]){1}, 1, 0, NULL, out);
}

static tarn_status sum_columns(const work_place *place, tarn_tensor **out) {
    return tarn_sum(place->x, (const int[]){0}, 1, 0, NULL, out);
}

static tarn_status transpose(const work_place *place, tarn_tensor **out) {
    tarn_tensor *turned;
    tarn_status status = tarn_tensor_transpose(place->x, NULL, &turned);
    if (status != TARN_OK) return status;
    status = tarn_tensor_contiguous(turned, NULL, out);
    tarn_tensor_release(turned);
    return status;
}

/* Of positive numbers: others have no power that is one. */
static tarn_status prepare_power(work_place *place) { return tarn_exp(place->x, NULL, &place->captured); }

static tarn_status power(const work_place *place, tarn_tensor **out) {
    return tarn_pow(place->captured, place->w, NULL, out);
}

static tarn_status softmax(const work_place *place, tarn_tensor **out) { return tarn_softmax(place->x, -1, NULL, out); }

static tarn_status layer_norm(const work_place *place, tarn_tensor **out) {
    return tarn_layer_norm(place->x, 1, place->row, place->row, 1e-5, NULL, out);
}

/* As many rows as there are, in an order that no prefetcher knows. */
static tarn_status prepare_gather(work_place *place) {
    const int64_t count = tarn_tensor_shape(place->x)->dims[0];
    const tarn_shape shape = {.rank = 1, .dims = {count}};
    int64_t *numbers = base_allocate((size_t)count, sizeof *numbers);
    if (numbers == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for %lld numbers", (long long)count);
    for (int64_t i = 0; i < count; i++) numbers[i] = i * 7919 % count;
    tarn_status status =
        tarn_tensor_from_data(place->allocator, &shape, TARN_ELEMENT_I64, numbers, NULL, &place->captured);
    base_free(numbers);
    return status;
}

static tarn_status gather(const work_place *place, tarn_tensor **out) {
    return tarn_gather(place->x, place->captured, 0, NULL, out);
}

/* All of x is one image of one channel. */
static tarn_status prepare_image(work_place *place) {
    const int64_t side = tarn_tensor_shape(place->x)->dims[0];
    return tarn_tensor_view(place->x, (const int64_t[]){1, 1, side, side}, 4, &place->captured);
}

static tarn_status max_pool2d(const work_place *place, tarn_tensor **out) {
    const tarn_max_pool2d_options halves = {.struct_size = sizeof halves, .kernel = {2, 2}};
    return tarn_max_pool2d(place->captured, &halves, NULL, out);
}

static tarn_status matmul(const work_place *place, tarn_tensor **out) {
    return tarn_matmul(place->x, place->w, NULL, out);
}

static tarn_status conv2d(const work_place *place, tarn_tensor **out) {
    int64_t padding = tarn_tensor_shape(place->w)->dims[3] / 2;
    const tarn_conv2d_options same = {.struct_size = sizeof same, .padding = {padding, padding}};
    return tarn_conv2d(place->x, place->w, NULL, &same, NULL, out);
}

const bench_work operations_work[] = {
    {"add", WORK_VECTORS, LIMIT_PASS, .bytes = 12, .compute = add},
    {"add_row", WORK_ROWS, LIMIT_PASS, .bytes = 8, .compute = add_row},
    {"exp", WORK_VECTORS, LIMIT_PASS, .bytes = 8, .compute = exponential},
    {"tanh", WORK_VECTORS, LIMIT_PASS, .bytes = 8, .compute = tangent},
    {"sin", WORK_VECTORS, LIMIT_PASS, .bytes = 8, .compute = sine},
    {"cos", WORK_VECTORS, LIMIT_PASS, .bytes = 8, .compute = cosine},
    {"pow", WORK_VECTORS, LIMIT_PASS, .bytes = 12, .prepare = prepare_power, .compute = power},
    {"transpose", WORK_SQUARES, LIMIT_PASS, .bytes = 8, .compute = transpose},
    {"sum", WORK_VECTORS, LIMIT_READ, .bytes = 4, .compute = sum},
    {"sum_rows", WORK_ROWS, LIMIT_READ, .bytes = 4, .compute = sum_rows},
    {"sum_columns", WORK_ROWS, LIMIT_READ, .bytes = 4, .compute = sum_columns},
    {"softmax", WORK_ROWS, LIMIT_PASS, .bytes = 8, .compute = softmax},
    {"layer_norm", WORK_ROWS, LIMIT_PASS, .bytes = 8, .compute = layer_norm},
    {"gather", WORK_ROWS, LIMIT_PASS, .bytes = 8, .prepare = prepare_gather, .compute = gather},
    {"max_pool2d", WORK_SQUARES, LIMIT_PASS, .bytes = 5, .prepare = prepare_image, .compute = max_pool2d},
    {"matmul", WORK_SQUARES, LIMIT_ARITHMETIC, .flops = 2, .compute = matmul},
    {"matmul_batch", WORK_BATCH, LIMIT_ARITHMETIC, .flops = 2 * 64, .compute = matmul},
    {"conv2d_3", WORK_IMAGES_3, LIMIT_ARITHMETIC, .flops = 2 * 64 * 9, .compute = conv2d},
    {"conv2d_1", WORK_IMAGES_1, LIMIT_ARITHMETIC, .flops = 2 * 64, .compute = conv2d},
    {.name = NULL},
};

/* The targets are the project's own. */
static const suite_row rows[] = {
    {"add, 1,000", "add", 1000, .against = AGAINST_NUMPY, .target = 1},
    {"add, large", "add", 0, .against = AGAINST_LIMIT, .target = 0.9},
    {"relu(x*w + x), large", "expr_relu", 0, .against = AGAINST_LIMIT, .target = 0.85},
    {"tanh, 1,000,000", "tanh", 1000000, .against = AGAINST_PEERS, .target = 1},
    {"exp, 1,000,000", "exp", 1000000, .against = AGAINST_PEERS, .target = 1},
    {"pow, 1,000,000", "pow", 1000000, .against = AGAINST_PEERS, .target = 1},
    {"transpose, 3,000", "transpose", 3000 * 3000, .against = AGAINST_PEERS, .target = 1},
    {"sum, large", "sum", 0, .against = AGAINST_TORCH, .target = 1},
    {"sum of 10,000 rows of 1,000", "sum_columns", 10000000, .against = AGAINST_PEERS, .target = 1},
    {"matmul, 1024", "matmul", 1024 * 1024, .against = AGAINST_TORCH, .target = 0.95},
    {"conv2d, 8x64x56x56, 64 3x3", "conv2d_3", 8 * 64 * 56 * 56, .against = AGAINST_TORCH, .target = 0.95},
};

enum { LARGE = 100000000, PRODUCT = 1024 * 1024, IMAGE = 8 * 64 * 112 * 112 };
static const suite_panel panels[] = {
    {"elementwise", "x + w", "add", LARGE},
    {"elementwise", "x + a row of 1,000", "add_row", LARGE},
    {"elementwise", "exp(x)", "exp", LARGE},
    {"elementwise", "tanh(x)", "tanh", LARGE},
    {"reductions", "sum", "sum", LARGE},
    {"reductions", "sums of rows of 1,000", "sum_rows", LARGE},
    {"reductions", "sums of 1,000 columns", "sum_columns", LARGE},
    {"reductions", "softmax of rows of 1,000", "softmax", LARGE},
    {"products", "square matrices", "matmul", PRODUCT},
    {"products", "batches of 64 × 64", "matmul_batch", PRODUCT},
    {"convolution", "8 × 64 images, 64 filters of 3 × 3", "conv2d_3", IMAGE},
    {"convolution", "8 × 64 images, 64 filters of 1 × 1", "conv2d_1", IMAGE},
};

int bench_operations(const bench_options *options, json_t **out_result) {
    if (options->device != NULL) return device_operations(options, out_result);
    static const bench_suite suite = {.name = "ops",
                                      .rows = rows,
                                      .row_count = sizeof rows / sizeof rows[0],
                                      .panels = panels,
                                      .panel_count = sizeof panels / sizeof panels[0]};
    return suite_run(&suite, options, out_result);
}
