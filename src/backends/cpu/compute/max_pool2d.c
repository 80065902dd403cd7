/* Max pooling: a piece of a row of the result begins as the lowest value there is, and takes the greater of each place of the window, which
 * is a row of the image too. */
#include <math.h>
#include <string.h>

#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/places.h"
#include "backends/cpu/compute/pooling.h"
#include "backends/cpu/compute/threads.h"
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

static void pool_row(const pool2d *work, size_t row) {
    const tarn_operand *out = work->out, *image = work->image;
    const tarn_pool2d_attributes *attributes = work->attributes;
    size_t plane = row / (size_t)out->dims[2];
    int64_t y = (int64_t)(row % (size_t)out->dims[2]);
    int64_t out_offset = cpu_place(out, 3, plane) + y * out->strides[2];
    int64_t image_offset = cpu_place(image, 3, plane);
    for (int64_t x = 0; x < out->dims[3]; x += PIECE) {
        piece greatest;
        size_t count = (size_t)(out->dims[3] - x < PIECE ? out->dims[3] - x : PIECE);
        base_fill(greatest.bytes, &work->lowest, work->element_size, count * work->element_size);
        for (int64_t window_y = 0; window_y < attributes->kernel[0]; window_y++) {
            int64_t image_y = y * attributes->stride[0] - attributes->padding[0] + window_y * attributes->dilation[0];
            if (image_y < 0 || image_y >= image->dims[2]) continue;
            for (int64_t window_x = 0; window_x < attributes->kernel[1]; window_x++)
                take_row(work, image_offset + image_y * image->strides[2], window_x, x, count, greatest.bytes);
        }
        write_piece(work, out_offset + x * out->strides[3], count, greatest.bytes);
    }
}

static void pool_rows(void *context, size_t begin, size_t end) {
    for (size_t row = begin; row < end; row++) pool_row(context, row);
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
    size_t work_of_row = (size_t)(attributes->kernel[0] * attributes->kernel[1] * out->dims[3]);
    cpu_parallel(cpu_place_count(out, 7), LEAST_WORK / work_of_row, pool_rows, &work);
    return TARN_OK;
}
