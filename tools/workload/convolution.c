/* A small convolutional net that looks at the digits: two convolutions with pooling, then one layer of classes. Parameters are random; the
 * same seed gives the same checksums. */
#include <math.h>

#include "workload/digits.h"
#include "workload/measure.h"

#define BATCH 256
#define SIDE 8
#define FIRST_FILTERS 16
#define SECOND_FILTERS 32
#define FEATURES (SECOND_FILTERS * (SIDE / 4) * (SIDE / 4))
#define STEPS 50

typedef struct convolution {
    const workload_options *options;
    work_step kept;
    tarn_tensor *images; /* [1797, 1, 8, 8] */
    tarn_tensor *weights[3], *biases[3];
} convolution;

static void make_layer(convolution *net, int place, const tarn_shape *weight, uint64_t *numbers) {
    const tarn_shape bias = {.rank = 1, .dims = {place < 2 ? weight->dims[0] : weight->dims[1]}};
    int64_t inputs = place < 2 ? weight->dims[1] * 9 : weight->dims[0];
    net->weights[place] = step_random(&net->kept, weight, net->options->seed, numbers, sqrt(2.0 / (double)inputs));
    net->biases[place] = step_zeros(&net->kept, &bias);
}

static void prepare(convolution *net) {
    uint64_t numbers = 0;
    tarn_tensor *rows = digits_images(&net->kept);
    net->images = step_reshape(&net->kept, rows, (int64_t[]){DIGITS_COUNT, 1, SIDE, SIDE}, 4);
    make_layer(net, 0, &(tarn_shape){.rank = 4, .dims = {FIRST_FILTERS, 1, 3, 3}}, &numbers);
    make_layer(net, 1, &(tarn_shape){.rank = 4, .dims = {SECOND_FILTERS, FIRST_FILTERS, 3, 3}}, &numbers);
    make_layer(net, 2, &(tarn_shape){.rank = 2, .dims = {FEATURES, DIGITS_CLASSES}}, &numbers);
}

static tarn_status take_step(void *context, size_t number, double *out_checksum, double *inout_items) {
    convolution *net = context;
    work_step step;
    step_begin(&step, net->options->allocator, net->options->stream);
    int64_t begin = (int64_t)(number * BATCH % (DIGITS_COUNT - BATCH));
    tarn_tensor *x = NULL;
    tarn_status status = tarn_tensor_slice(net->images, 0, begin, begin + BATCH, 1, &x);
    x = step_hold(&step, status, x);
    for (int i = 0; i < 2; i++) x = step_max_pool2d(&step, step_conv2d(&step, x, net->weights[i], net->biases[i]));
    x = step_reshape(&step, x, (int64_t[]){BATCH, FEATURES}, 2);
    x = step_linear(&step, x, net->weights[2], net->biases[2], TARN_OPERATION_COPY);
    *out_checksum = step_checksum(&step, step_softmax(&step, x, -1));
    *inout_items += BATCH;
    return step_end(&step);
}

tarn_status convolution_run(const workload_options *options, workload_result *out_result) {
    convolution net = {.options = options};
    workload_result result;
    step_begin(&net.kept, options->allocator, options->stream);
    prepare(&net);
    if (net.kept.status == TARN_OK) step_note(&net.kept, measure_steps(options, STEPS, take_step, &net, &result));
    tarn_status status = step_end(&net.kept);
    if (status != TARN_OK) return status;
    result.item = "images";
    *out_result = result;
    return TARN_OK;
}
