/* Max pooling: a piece of a row of the result begins as the lowest value there is, and takes the greater of each place of the window, which
 * is a row of the image too. */
#include <math.h>
#include <string.h>

#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/places.h"
#include "backends/cpu/compute/pooling.h"
#include "backends/cpu/compute/threads.h"
#include "base/checked.h"
#include "base/fill.h"

/* Elements of the result that are computed at a time, and comparisons that are worth a thread of their own. */
#define PIECE 256
#define LEAST_WORK ((size_t)1 << 15)

typedef struct pool2d {
    const tarn_operand *out, *image;
    const tarn_pool2d_attributes *attributes;
    void (*take_greater)(const void *source, int64_t stride, size_t count, void *inout_greatest);
    size_t element_size;
    uint64_t lowest; /* of the type, in its first bytes */
} pool2d;

typedef union piece {
    uint64_t alignment;
    char bytes[PIECE * sizeof(uint64_t)];
} piece;

static uint64_t lowest_of(tarn_element_type type) {
    uint64_t bits = 0;
    static const float lowest_float = -INFINITY;
    static const double lowest_double = -INFINITY;
    static const uint16_t lowest_f16 = 0xfc00, lowest_bf16 = 0xff80;
    static const int16_t lowest_16 = INT16_MIN;
    static const int32_t lowest_32 = INT32_MIN;
    static const int64_t lowest_64 = INT64_MIN;
    static const int8_t lowest_8 = INT8_MIN;
    switch (type) {
    case TARN_ELEMENT_F32: memcpy(&bits, &lowest_float, sizeof lowest_float); break;
    case TARN_ELEMENT_F16: memcpy(&bits, &lowest_f16, sizeof lowest_f16); break;
    case TARN_ELEMENT_BF16: memcpy(&bits, &lowest_bf16, sizeof lowest_bf16); break;
    case TARN_ELEMENT_F64: memcpy(&bits, &lowest_double, sizeof lowest_double); break;
    case TARN_ELEMENT_I8: memcpy(&bits, &lowest_8, sizeof lowest_8); break;
    case TARN_ELEMENT_I16: memcpy(&bits, &lowest_16, sizeof lowest_16); break;
    case TARN_ELEMENT_I32: memcpy(&bits, &lowest_32, sizeof lowest_32); break;
    case TARN_ELEMENT_I64: memcpy(&bits, &lowest_64, sizeof lowest_64); break;
    default: break;
    }
    return bits;
}

/* Takes the places of the image that one place of the window meets, from column `x` of the result on. */
static void take_row(const pool2d *work, int64_t row_offset, int64_t window_x, int64_t x, size_t count,
                     char *greatest) {
    const tarn_operand *image = work->image;
    int64_t step = work->attributes->stride[1], width = image->dims[3];
    int64_t image_x = x * step - work->attributes->padding[1] + window_x * work->attributes->dilation[1];
    int64_t before = image_x < 0 ? (-image_x + step - 1) / step : 0; /* places in the left padding */
    int64_t end = image_x < width ? (width - image_x + step - 1) / step : 0;
    if (end > (int64_t)count) end = (int64_t)count;
    if (before >= end) return;
    work->take_greater(cpu_element(image, row_offset + (image_x + before * step) * image->strides[3]),
                       step * image->strides[3], (size_t)(end - before),
                       greatest + (size_t)before * work->element_size);
}

static void write_piece(const pool2d *work, int64_t offset, size_t count, const char *values) {
    const tarn_operand *out = work->out;
    size_t size = work->element_size;
    if (out->strides[3] == 1) {
        memcpy(cpu_element(out, offset), values, count * size);
        return;
    }
    for (size_t i = 0; i < count; i++)
        memcpy(cpu_element(out, offset + (int64_t)i * out->strides[3]), values + i * size, size);
}

/* The first place of a window that is not before the image, and the one behind the last that is not behind it, where the window's
 * first place is at `at`: a window may be far greater than the image. */
static int64_t first_inside(int64_t at, int64_t dilation) { return at < 0 ? (dilation - 1 - at) / dilation : 0; }
static int64_t end_inside(int64_t at, int64_t size, int64_t kernel, int64_t dilation) {
    int64_t end = at < size ? (size - at + dilation - 1) / dilation : 0;
    return end < kernel ? end : kernel;
}

static void pool_row(const pool2d *work, size_t row) {
    const tarn_operand *out = work->out, *image = work->image;
    const tarn_pool2d_attributes *attributes = work->attributes;
    size_t plane = row / (size_t)out->dims[2];
    int64_t y = (int64_t)(row % (size_t)out->dims[2]);
    int64_t out_offset = cpu_place(out, 3, plane) + y * out->strides[2];
    int64_t image_offset = cpu_place(image, 3, plane);
    int64_t at_y = y * attributes->stride[0] - attributes->padding[0];
    int64_t first_y = first_inside(at_y, attributes->dilation[0]);
    int64_t end_y = end_inside(at_y, image->dims[2], attributes->kernel[0], attributes->dilation[0]);
    for (int64_t x = 0; x < out->dims[3]; x += PIECE) {
        piece greatest;
        size_t count = (size_t)(out->dims[3] - x < PIECE ? out->dims[3] - x : PIECE);
        base_fill(greatest.bytes, &work->lowest, work->element_size, count * work->element_size);
        int64_t at_x = x * attributes->stride[1] - attributes->padding[1];
        int64_t first_x = first_inside(at_x + (int64_t)(count - 1) * attributes->stride[1], attributes->dilation[1]);
        int64_t end_x = end_inside(at_x, image->dims[3], attributes->kernel[1], attributes->dilation[1]);
        for (int64_t window_y = first_y; window_y < end_y; window_y++) {
            int64_t image_y = at_y + window_y * attributes->dilation[0];
            for (int64_t window_x = first_x; window_x < end_x; window_x++)
                take_row(work, image_offset + image_y * image->strides[2], window_x, x, count, greatest.bytes);
        }
        write_piece(work, out_offset + x * out->strides[3], count, greatest.bytes);
    }
}

static void pool_rows(void *context, size_t begin, size_t end) {
    for (size_t row = begin; row < end; row++) pool_row(context, row);
}

/* Comparisons for a row of the result, at the most: of a window only what lies in the image is looked at. */
static size_t work_of_row(const pool2d *work) {
    size_t comparisons = (size_t)work->out->dims[3];
    for (int side = 0; side < 2; side++) {
        int64_t kernel = work->attributes->kernel[side], size = work->image->dims[2 + side];
        if (!checked_multiply(comparisons, (size_t)(kernel < size ? kernel : size), &comparisons)) return SIZE_MAX;
    }
    return comparisons;
}

tarn_status cpu_max_pool2d_run(const tarn_backend_operation *operation) {
    const tarn_operand *out = &operation->operands[0];
    const tarn_pool2d_attributes *attributes = &operation->attributes.pool2d;
    pool2d work = {.out = out,
                   .image = &operation->operands[1],
                   .attributes = attributes,
                   .take_greater = cpu_kernels_get()->pooling->greater[out->type],
                   .element_size = tarn_element_size(out->type),
                   .lowest = lowest_of(out->type)};
    cpu_parallel(cpu_place_count(out, 7), LEAST_WORK / work_of_row(&work), pool_rows, &work);
    return TARN_OK;
}
