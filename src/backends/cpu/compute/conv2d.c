/* Convolutions by our own kernels: for each image and group the product of the filters, one a row, with a matrix that has a column for each
 * place of the result and in it the elements that the filters meet there. That matrix is nowhere: its pieces are packed from the image when
 * they are needed. */
#include <string.h>

#include "backends/cpu/compute/activate.h"
#include "backends/cpu/compute/compute.h"
#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/onednn.h"
#include "backends/cpu/compute/places.h"
#include "backends/cpu/compute/product.h"
#include "backends/cpu/compute/rows.h"

typedef struct conv2d {
    const tarn_operand *out, *image, *weight, *bias; /* the bias may be NULL */
    const tarn_conv2d_attributes *attributes;
    size_t element_size; /* of a packed element, bytes */
    const cpu_rows *rows;
} conv2d;

/* A place along the dimension that filters and patches share. */
typedef struct tap {
    int64_t channel, y, x;
} tap;

static tap tap_at(const tarn_operand *weight, size_t number) {
    int64_t width = weight->dims[3], height = weight->dims[2], place = (int64_t)number;
    return (tap){place / width / height, place / width % height, place % width};
}

static void next_tap(const tarn_operand *weight, tap *at) {
    if (++at->x < weight->dims[3]) return;
    at->x = 0;
    if (++at->y < weight->dims[2]) return;
    at->y = 0;
    at->channel++;
}

static void load(const conv2d *work, const tarn_operand *operand, int64_t offset, int64_t stride, size_t count,
                 void *out_values) {
    const void *from = cpu_element(operand, offset);
    if (operand->type == TARN_ELEMENT_F64) work->rows->load_doubles(from, stride, count, out_values);
    else work->rows->load_floats(operand->type, from, stride, count, out_values);
}

static void pack_filters(const void *context, const cpu_product_piece *piece, void *packed) {
    const conv2d *work = context;
    const tarn_operand *weight = work->weight;
    size_t group = piece->matrix % (size_t)work->attributes->groups;
    size_t first = group * (size_t)(work->out->dims[1] / work->attributes->groups) + piece->first_member;
    char *to = packed;
    for (size_t begin = 0; begin < piece->members; begin += piece->width) {
        size_t count = piece->members - begin < piece->width ? piece->members - begin : piece->width;
        tap at = tap_at(weight, piece->first_inner);
        for (size_t inner = 0; inner < piece->inners; inner++, next_tap(weight, &at)) {
            int64_t offset = (int64_t)(first + begin) * weight->strides[0] + at.channel * weight->strides[1] +
                             at.y * weight->strides[2] + at.x * weight->strides[3];
            load(work, weight, offset, weight->strides[0], count, to);
            memset(to + count * work->element_size, 0, (piece->width - count) * work->element_size);
            to += piece->width * work->element_size;
        }
    }
}

/* What a filter's tap meets at `count` places of the result that lie side by side from (y, x) on; zeros in the padding. */
static void load_places(const conv2d *work, int64_t base, const tap *at, int64_t y, int64_t x, size_t count, char *to) {
    const tarn_operand *image = work->image;
    const tarn_conv2d_attributes *attributes = work->attributes;
    int64_t step = attributes->stride[1], width = image->dims[3];
    int64_t image_y = y * attributes->stride[0] - attributes->padding[0] + at->y * attributes->dilation[0];
    int64_t image_x = x * step - attributes->padding[1] + at->x * attributes->dilation[1];
    int64_t before = image_x < 0 ? (-image_x + step - 1) / step : 0; /* places in the left padding */
    int64_t end = image_x < width ? (width - image_x + step - 1) / step : 0;
    if (end > (int64_t)count) end = (int64_t)count;
    if (image_y < 0 || image_y >= image->dims[2] || before >= end) {
        memset(to, 0, count * work->element_size);
        return;
    }
    memset(to, 0, (size_t)before * work->element_size);
    load(work, image,
         base + at->channel * image->strides[1] + image_y * image->strides[2] +
             (image_x + before * step) * image->strides[3],
         step * image->strides[3], (size_t)(end - before), to + (size_t)before * work->element_size);
    memset(to + (size_t)end * work->element_size, 0, (count - (size_t)end) * work->element_size);
}

/* One tap at `count` places from `place` on, row after row of the result. */
static void load_patches(const conv2d *work, int64_t base, const tap *at, size_t place, size_t count, char *to) {
    size_t width = (size_t)work->out->dims[3];
    while (count > 0) {
        size_t x = place % width, run = width - x < count ? width - x : count;
        load_places(work, base, at, (int64_t)(place / width), (int64_t)x, run, to);
        place += run;
        count -= run;
        to += run * work->element_size;
    }
}

static void pack_patches(const void *context, const cpu_product_piece *piece, void *packed) {
    const conv2d *work = context;
    size_t groups = (size_t)work->attributes->groups;
    int64_t base = (int64_t)(piece->matrix / groups) * work->image->strides[0] +
                   (int64_t)(piece->matrix % groups) * work->weight->dims[1] * work->image->strides[1];
    char *to = packed;
    for (size_t begin = 0; begin < piece->members; begin += piece->width) {
        size_t count = piece->members - begin < piece->width ? piece->members - begin : piece->width;
        tap at = tap_at(work->weight, piece->first_inner);
        for (size_t inner = 0; inner < piece->inners; inner++, next_tap(work->weight, &at)) {
            load_patches(work, base, &at, piece->first_member + begin, count, to);
            memset(to + count * work->element_size, 0, (piece->width - count) * work->element_size);
            to += piece->width * work->element_size;
        }
    }
}

/* Writes finished sums of one filter from a place of the result on, row after row. */
static void store_places(const conv2d *work, int64_t base, size_t place, size_t count, const char *sums) {
    const tarn_operand *out = work->out;
    size_t width = (size_t)out->dims[3];
    while (count > 0) {
        size_t x = place % width, run = width - x < count ? width - x : count;
        void *to = cpu_element(out, base + (int64_t)(place / width) * out->strides[2] + (int64_t)x * out->strides[3]);
        if (out->type == TARN_ELEMENT_F64)
            work->rows->store_doubles(to, out->strides[3], run, (const double *)(const void *)sums);
        else work->rows->store_floats(out->type, to, out->strides[3], run, (const float *)(const void *)sums);
        place += run;
        count -= run;
        sums += run * work->element_size;
    }
}

static void store(const void *context, size_t matrix, size_t row, size_t column, size_t count, void *sums) {
    const conv2d *work = context;
    const tarn_operand *out = work->out;
    size_t groups = (size_t)work->attributes->groups;
    size_t filter = matrix % groups * ((size_t)out->dims[1] / groups) + row;
    tarn_operation activation = work->attributes->activation;
    if (out->type == TARN_ELEMENT_F64) {
        double *values = sums, bias = 0;
        if (work->bias != NULL) load(work, work->bias, (int64_t)filter * work->bias->strides[0], 1, 1, &bias);
        for (size_t i = 0; i < count && work->bias != NULL; i++) values[i] += bias;
        cpu_activate(activation, CPU_LANE_F64, count, values);
    } else {
        float *values = sums, bias = 0;
        if (work->bias != NULL) load(work, work->bias, (int64_t)filter * work->bias->strides[0], 1, 1, &bias);
        for (size_t i = 0; i < count && work->bias != NULL; i++) values[i] += bias;
        cpu_activate(activation, CPU_LANE_F32, count, values);
    }
    store_places(work, (int64_t)(matrix / groups) * out->strides[0] + (int64_t)filter * out->strides[1], column, count,
                 sums);
}

static tarn_status convolve(const tarn_backend_operation *operation) {
    const tarn_operand *out = &operation->operands[0];
    const tarn_conv2d_attributes *attributes = &operation->attributes.conv2d;
    conv2d work = {.out = out,
                   .image = &operation->operands[1],
                   .weight = &operation->operands[2],
                   .bias = attributes->has_bias ? &operation->operands[3] : NULL,
                   .attributes = attributes,
                   .element_size = out->type == TARN_ELEMENT_F64 ? sizeof(double) : sizeof(float),
                   .rows = cpu_kernels_get()->rows};
    const tarn_operand *weight = work.weight;
    cpu_product product = {.matrices = (size_t)(out->dims[0] * attributes->groups),
                           .rows = (size_t)(out->dims[1] / attributes->groups),
                           .columns = (size_t)(out->dims[2] * out->dims[3]),
                           .inners = (size_t)(weight->dims[1] * weight->dims[2] * weight->dims[3]),
                           .is_double = out->type == TARN_ELEMENT_F64,
                           .context = &work,
                           .pack_left = pack_filters,
                           .pack_right = pack_patches,
                           .store = store};
    return cpu_product_run(&product);
}

tarn_status cpu_conv2d_run(const tarn_backend_operation *operation) {
    tarn_status status;
    return cpu_onednn_run(operation, &status) ? status : convolve(operation);
}
