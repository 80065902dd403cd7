/* Matrix products and convolutions, where cuBLASLt and cuDNN do not compute them, and pooling by our own kernels. */
#include "backends/cuda/operations/blas.h"
#include "backends/cuda/operations/dnn.h"

#define THREADS (CUDA_TILE_THREADS * CUDA_TILE_THREADS)
/* Blocks along the second and third dimensions of a grid. */
#define MOST_BLOCKS 65535

/* Tiles that a product of elements of that type is computed in. */
static long long tiles(tarn_element_type type, long long rows, long long columns) {
    const long long height = CUDA_TILE_THREADS * CUDA_TILE_ROWS_EACH(tarn_element_size(type));
    const long long width = CUDA_TILE_THREADS * CUDA_TILE_COLUMNS_EACH;
    return (rows + height - 1) / height * ((columns + width - 1) / width);
}

static tarn_status fail_size(const cuda_task *task) {
    return cuda_fail(TARN_NOT_SUPPORTED, "%s of this size", tarn_operation_name(task->operation->operation));
}

/* Strides of the batch's dimensions first, then of the matrix. */
static void copy_strides(const tarn_operand *operand, long long *out_strides) {
    for (uint32_t d = 0; d + 2 < operand->rank; d++) out_strides[d] = operand->strides[d];
    out_strides[CUDA_ROW_STRIDE] = operand->strides[operand->rank - 2];
    out_strides[CUDA_COLUMN_STRIDE] = operand->strides[operand->rank - 1];
}

static tarn_status enqueue_product(const cuda_task *task) {
    const tarn_matmul_attributes *attributes = &task->operation->attributes.matmul;
    const tarn_operand *out = &task->operation->operands[0], *a = out + 1, *b = out + 2, *bias = out + 3;
    cuda_matmul product = {.rows = out->dims[out->rank - 2],
                           .columns = out->dims[out->rank - 1],
                           .inner = a->dims[a->rank - 1],
                           .batch_rank = out->rank - 2,
                           .activation = (unsigned)attributes->activation,
                           .out = out->data,
                           .a = a->data,
                           .b = b->data};
    long long batches = 1;
    for (uint32_t d = 0; d < product.batch_rank; d++) batches *= product.batch_dims[d] = out->dims[d];
    copy_strides(out, product.out_strides);
    copy_strides(a, product.a_strides);
    copy_strides(b, product.b_strides);
    if (attributes->has_bias) {
        product.bias = bias->data;
        copy_strides(bias, product.bias_strides);
    }
    long long blocks = tiles(out->type, product.rows, product.columns),
              layers = (batches + MOST_BLOCKS - 1) / MOST_BLOCKS;
    if (blocks > INT32_MAX || layers > MOST_BLOCKS) return fail_size(task);
    cuda_grid grid = {(unsigned)blocks, (unsigned)((batches + layers - 1) / layers), (unsigned)layers, THREADS};
    return cuda_launch(task, cuda_kernel_of(tarn_matmul_f32_kernel, out->type), grid, (void *[]){&product});
}

tarn_status cuda_matmul_enqueue(const cuda_task *task) {
    bool is_done;
    tarn_status status = cuda_blas_matmul(task, &is_done);
    return status == TARN_OK && !is_done ? enqueue_product(task) : status;
}

static void copy_four(const int64_t *from, long long *to) {
    for (int i = 0; i < 4; i++) to[i] = from[i];
}

static void copy_two(const int64_t *from, long long *to) {
    for (int i = 0; i < 2; i++) to[i] = from[i];
}

/* What convolutions and pooling have in common. */
static cuda_window window_of(const tarn_operand *out, const tarn_operand *in) {
    cuda_window window = {.batch = out->dims[0],
                          .channels = out->dims[1],
                          .in_height = in->dims[2],
                          .in_width = in->dims[3],
                          .out_height = out->dims[2],
                          .out_width = out->dims[3],
                          .out = out->data,
                          .in = in->data};
    copy_four(out->strides, window.out_strides);
    copy_four(in->strides, window.in_strides);
    return window;
}

static tarn_status enqueue_convolution(const cuda_task *task) {
    const tarn_conv2d_attributes *attributes = &task->operation->attributes.conv2d;
    const tarn_operand *out = &task->operation->operands[0], *in = out + 1, *weight = out + 2, *bias = out + 3;
    cuda_window window = window_of(out, in);
    window.groups = attributes->groups;
    window.in_channels = weight->dims[1];
    window.kernel_height = weight->dims[2];
    window.kernel_width = weight->dims[3];
    window.weight = weight->data;
    window.activation = (unsigned)attributes->activation;
    copy_two(attributes->stride, window.stride);
    copy_two(attributes->padding, window.padding);
    copy_two(attributes->dilation, window.dilation);
    copy_four(weight->strides, window.weight_strides);
    window.channels_last = in->strides[1] == 1 && window.in_channels > 1;
    if (attributes->has_bias) {
        window.bias = bias->data;
        window.bias_stride = bias->strides[0];
    }
    long long places = window.batch * window.out_height * window.out_width;
    long long blocks = tiles(out->type, window.channels / window.groups, places);
    if (blocks > INT32_MAX) return fail_size(task);
    long long groups = window.groups < MOST_BLOCKS ? window.groups : MOST_BLOCKS;
    cuda_grid grid = {(unsigned)blocks, (unsigned)groups, 1, THREADS};
    return cuda_launch(task, cuda_kernel_of(tarn_conv2d_f32_kernel, out->type), grid, (void *[]){&window});
}

tarn_status cuda_conv2d_enqueue(const cuda_task *task) {
    bool is_done;
    tarn_status status = cuda_dnn_conv2d(task, &is_done);
    return status == TARN_OK && !is_done ? enqueue_convolution(task) : status;
}

/* Whether the channels at each place of the image are whole packs, which begin where they may be read at once. */
static bool has_packs_of_channels(const cuda_window *window, unsigned lanes) {
    const long long *in = window->in_strides;
    if (in[1] != 1 || window->channels % lanes != 0 || (uintptr_t)window->in % 16 != 0) return false;
    return in[0] % lanes == 0 && in[2] % lanes == 0 && in[3] % lanes == 0;
}

tarn_status cuda_max_pool2d_enqueue(const cuda_task *task) {
    const tarn_pool2d_attributes *attributes = &task->operation->attributes.pool2d;
    const tarn_operand *out = &task->operation->operands[0], *in = out + 1;
    cuda_window window = window_of(out, in);
    window.kernel_height = attributes->kernel[0];
    window.kernel_width = attributes->kernel[1];
    copy_two(attributes->stride, window.stride);
    copy_two(attributes->padding, window.padding);
    copy_two(attributes->dilation, window.dilation);
    const unsigned lanes = CUDA_LANES((unsigned)tarn_element_size(out->type));
    window.channels_last = has_packs_of_channels(&window, lanes);
    long long count = window.batch * window.channels * window.out_height * window.out_width;
    if (window.channels_last) count /= lanes;
    return cuda_launch(task, cuda_kernel_of(tarn_max_pool2d_f32_kernel, out->type), cuda_grid_for(task->device, count),
                       (void *[]){&window});
}
