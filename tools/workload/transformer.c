/* A transformer block (Vaswani et al., Attention Is All You Need, 2017) with normalization before each part, over sequences of varying
 * length: what an allocator for dynamic shapes is for. Parameters are random; the same seed gives the same checksums. */
#include <math.h>

#include "workload/measure.h"

#define WIDTH 128
#define HEADS 4
#define HEAD_WIDTH 32
#define SHORTEST 16
#define LONGEST 256
#define STEPS 100

_Static_assert(HEADS *HEAD_WIDTH == WIDTH, "heads share the width");

typedef struct layer {
    tarn_tensor *weight, *bias;
} layer;

typedef struct transformer {
    const workload_options *options;
    work_step kept;
    layer first_norm, projection, output, second_norm, widening, narrowing;
    uint64_t numbers;
} transformer;

static layer make_layer(transformer *block, int64_t inputs, int64_t outputs) {
    const tarn_shape weight = {.rank = 2, .dims = {inputs, outputs}}, bias = {.rank = 1, .dims = {outputs}};
    double deviation = 1 / sqrt((double)inputs);
    return (layer){step_random(&block->kept, &weight, block->options->seed, &block->numbers, deviation),
                   step_zeros(&block->kept, &bias)};
}

static layer make_norm(transformer *block) {
    const tarn_shape shape = {.rank = 1, .dims = {WIDTH}};
    tarn_tensor *weight = step_scalar(&block->kept, TARN_OPERATION_ADD, step_zeros(&block->kept, &shape), 1);
    return (layer){weight, step_zeros(&block->kept, &shape)};
}

static tarn_tensor *apply(work_step *step, const layer *applied, tarn_tensor *x, tarn_operation activation) {
    return step_linear(step, x, applied->weight, applied->bias, activation);
}

/* [length, WIDTH] -> the same. */
static tarn_tensor *attend(work_step *step, const transformer *block, tarn_tensor *x, int64_t length) {
    tarn_tensor *projected = apply(step, &block->projection, x, TARN_OPERATION_COPY);
    tarn_tensor *parted = step_reshape(step, projected, (int64_t[]){length, 3, HEADS, HEAD_WIDTH}, 4);
    tarn_tensor *by_head = step_transpose(step, parted, (int[]){1, 2, 0, 3});
    tarn_tensor *queries = step_part(step, by_head, 0), *keys = step_part(step, by_head, 1);
    tarn_tensor *values = step_part(step, by_head, 2);
    tarn_tensor *turned = step_transpose(step, keys, (int[]){0, 2, 1});
    tarn_tensor *scores = step_linear(step, queries, turned, NULL, TARN_OPERATION_COPY);
    tarn_tensor *scaled = step_scalar(step, TARN_OPERATION_MULTIPLY, scores, 1 / sqrt((double)HEAD_WIDTH));
    tarn_tensor *mixed = step_linear(step, step_softmax(step, scaled, -1), values, NULL, TARN_OPERATION_COPY);
    tarn_tensor *by_token = step_transpose(step, mixed, (int[]){1, 0, 2});
    tarn_tensor *joined = step_reshape(step, by_token, (int64_t[]){length, WIDTH}, 2);
    return apply(step, &block->output, joined, TARN_OPERATION_COPY);
}

static tarn_tensor *run_block(work_step *step, const transformer *block, tarn_tensor *x, int64_t length) {
    tarn_tensor *normal = step_layer_norm(step, x, block->first_norm.weight, block->first_norm.bias);
    tarn_tensor *attended = step_binary(step, TARN_OPERATION_ADD, x, attend(step, block, normal, length));
    normal = step_layer_norm(step, attended, block->second_norm.weight, block->second_norm.bias);
    tarn_tensor *wide = apply(step, &block->widening, normal, TARN_OPERATION_RELU);
    return step_binary(step, TARN_OPERATION_ADD, attended, apply(step, &block->narrowing, wide, TARN_OPERATION_COPY));
}

/* The length of sequence `number`: all over the range, with no pattern. */
static int64_t length_of(uint64_t seed, size_t number) {
    uint64_t mixed = (seed + number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return SHORTEST + (int64_t)((mixed >> 32) % (LONGEST - SHORTEST + 1));
}

static tarn_status take_step(void *context, size_t number, double *out_checksum, double *inout_items) {
    transformer *block = context;
    int64_t length = length_of(block->options->seed, number);
    const tarn_shape shape = {.rank = 2, .dims = {length, WIDTH}};
    work_step step;
    step_begin(&step, block->options->allocator, block->options->stream);
    tarn_tensor *tokens = step_random(&step, &shape, block->options->seed, &block->numbers, 1);
    *out_checksum = step_checksum(&step, run_block(&step, block, tokens, length));
    *inout_items += (double)length;
    return step_end(&step);
}

tarn_status transformer_run(const workload_options *options, workload_result *out_result) {
    transformer block = {.options = options};
    workload_result result;
    step_begin(&block.kept, options->allocator, options->stream);
    block.first_norm = make_norm(&block);
    block.projection = make_layer(&block, WIDTH, 3 * WIDTH);
    block.output = make_layer(&block, WIDTH, WIDTH);
    block.second_norm = make_norm(&block);
    block.widening = make_layer(&block, WIDTH, 4 * WIDTH);
    block.narrowing = make_layer(&block, 4 * WIDTH, WIDTH);
    if (block.kept.status == TARN_OK) {
        step_note(&block.kept, measure_steps(options, STEPS, take_step, &block, &result));
    }
    tarn_status status = step_end(&block.kept);
    if (status != TARN_OK) return status;
    result.item = "tokens";
    *out_result = result;
    return TARN_OK;
}
