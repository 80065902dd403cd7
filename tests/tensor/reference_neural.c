/* Matrix products and the operations of neural networks, as loops over their definitions. Sums are doubles; the magnitude of what was added
 * stays with each number. */
#include <math.h>
#include <string.h>

#include "reference.h"

static double activate(tarn_operation activation, double x) {
    switch (activation) {
    case TARN_OPERATION_RELU: return x > 0 || isnan(x) ? x : 0;
    case TARN_OPERATION_SIGMOID: return 1 / (1 + exp(-x));
    case TARN_OPERATION_TANH: return tanh(x);
    default: return x;
    }
}

static void add_product(reference_number *sum, double a, double b) {
    sum->floating += a * b;
    sum->magnitude += fabs(a * b);
}

/* Elements of a tensor from its end on: sizes along its last dimensions, 1 where there is none. */
static size_t dim_from_end(const tarn_shape *shape, size_t place) {
    return place < shape->rank ? (size_t)shape->dims[shape->rank - 1 - place] : 1;
}

/* The number of the matrix that broadcasting gives to matrix `number` of the result. `skip` dimensions are the matrix's own. */
static size_t find_matrix(const tarn_shape *batch, size_t number, const tarn_shape *shape, size_t skip) {
    size_t found = 0, unit = 1;
    for (size_t place = 0; place < batch->rank; place++) {
        size_t dim = (size_t)batch->dims[batch->rank - 1 - place], own = dim_from_end(shape, place + skip);
        size_t at = number % dim;
        number /= dim;
        found += (own == 1 ? 0 : at) * unit;
        unit *= own;
    }
    return found;
}

static double bias_at(const reference_tensor *bias, const tarn_shape *shape, size_t number) {
    size_t place = 0, unit = 1;
    for (size_t i = 0; i < shape->rank; i++) {
        size_t dim = dim_from_end(shape, i), own = dim_from_end(&bias->shape, i);
        place += (own == 1 ? 0 : number % dim) * unit;
        number /= dim;
        unit *= own;
    }
    return bias->numbers[place].floating;
}

reference_tensor reference_matmul(const reference_tensor *a, const reference_tensor *b, const reference_tensor *bias,
                                  tarn_operation activation, const tarn_shape *shape) {
    reference_tensor result = reference_make(a->type, shape);
    bool is_row = a->shape.rank == 1, is_column = b->shape.rank == 1;
    size_t m = is_row ? 1 : dim_from_end(&a->shape, 1), k = dim_from_end(&a->shape, 0);
    size_t n = is_column ? 1 : dim_from_end(&b->shape, 0);
    tarn_shape batch = *shape;
    batch.rank -= (size_t)2 - is_row - is_column;
    for (size_t i = 0; i < result.elements; i++) {
        size_t column = i % n, row = i / n % m, matrix = i / n / m;
        size_t a_matrix = find_matrix(&batch, matrix, &a->shape, is_row ? 1 : 2);
        size_t b_matrix = find_matrix(&batch, matrix, &b->shape, is_column ? 1 : 2);
        reference_number *sum = &result.numbers[i];
        for (size_t j = 0; j < k; j++) {
            add_product(sum, a->numbers[(a_matrix * m + row) * k + j].floating,
                        b->numbers[(b_matrix * k + j) * n + column].floating);
        }
        if (bias != NULL) add_product(sum, bias_at(bias, shape, i), 1);
        sum->floating = activate(activation, sum->floating);
    }
    return result;
}

/* The element of an image at a place that may lie in the padding. */
static const reference_number *pixel(const reference_tensor *x, int64_t image, int64_t channel, int64_t y,
                                     int64_t at_x) {
    const int64_t *dims = x->shape.dims;
    if (y < 0 || y >= dims[2] || at_x < 0 || at_x >= dims[3]) return NULL;
    return &x->numbers[((image * dims[1] + channel) * dims[2] + y) * dims[3] + at_x];
}

static reference_number convolve(const reference_tensor *x, const reference_tensor *weight,
                                 const tarn_conv2d_attributes *attributes, const int64_t *place) {
    reference_number sum = {0};
    const int64_t *dims = weight->shape.dims;
    int64_t filters = dims[0] / attributes->groups, first_channel = place[1] / filters * dims[1];
    for (int64_t i = 0; i < dims[1] * dims[2] * dims[3]; i++) {
        int64_t channel = i / (dims[2] * dims[3]), ky = i / dims[3] % dims[2], kx = i % dims[3];
        const reference_number *source =
            pixel(x, place[0], first_channel + channel,
                  place[2] * attributes->stride[0] - attributes->padding[0] + ky * attributes->dilation[0],
                  place[3] * attributes->stride[1] - attributes->padding[1] + kx * attributes->dilation[1]);
        if (source == NULL) continue;
        add_product(&sum, source->floating, weight->numbers[place[1] * dims[1] * dims[2] * dims[3] + i].floating);
    }
    return sum;
}

static void find_image_place(const tarn_shape *shape, size_t number, int64_t *out_place) {
    for (size_t i = 4; i-- > 0;) {
        out_place[i] = (int64_t)(number % (size_t)shape->dims[i]);
        number /= (size_t)shape->dims[i];
    }
}

reference_tensor reference_conv2d(const reference_tensor *x, const reference_tensor *weight,
                                  const reference_tensor *bias, const tarn_conv2d_attributes *attributes,
                                  const tarn_shape *shape) {
    reference_tensor result = reference_make(x->type, shape);
    for (size_t i = 0; i < result.elements; i++) {
        int64_t place[4];
        find_image_place(shape, i, place);
        reference_number sum = convolve(x, weight, attributes, place);
        if (bias != NULL) add_product(&sum, bias->numbers[place[1]].floating, 1);
        sum.floating = activate(attributes->activation, sum.floating);
        result.numbers[i] = sum;
    }
    return result;
}

static bool is_greater(const reference_number *a, const reference_number *b, tarn_element_type type) {
    if (!reference_is_floating(type)) return a->integer > b->integer;
    return isnan(a->floating) || a->floating > b->floating;
}

reference_tensor reference_max_pool2d(const reference_tensor *x, const tarn_pool2d_attributes *attributes,
                                      const tarn_shape *shape) {
    reference_tensor result = reference_make(x->type, shape);
    for (size_t i = 0; i < result.elements; i++) {
        int64_t place[4];
        const reference_number *greatest = NULL;
        find_image_place(shape, i, place);
        for (int64_t k = 0; k < attributes->kernel[0] * attributes->kernel[1]; k++) {
            int64_t ky = k / attributes->kernel[1], kx = k % attributes->kernel[1];
            const reference_number *source =
                pixel(x, place[0], place[1],
                      place[2] * attributes->stride[0] - attributes->padding[0] + ky * attributes->dilation[0],
                      place[3] * attributes->stride[1] - attributes->padding[1] + kx * attributes->dilation[1]);
            if (source != NULL && (greatest == NULL || is_greater(source, greatest, x->type))) greatest = source;
        }
        if (greatest != NULL) result.numbers[i] = *greatest; /* the padding is at most half of the kernel */
    }
    return result;
}

reference_tensor reference_softmax(const reference_tensor *x, uint32_t axis) {
    reference_tensor result = reference_make(x->type, &x->shape);
    size_t count = (size_t)x->shape.dims[axis], inner = 1;
    for (size_t d = axis + 1; d < x->shape.rank; d++) inner *= (size_t)x->shape.dims[d];
    for (size_t i = 0; i < x->elements; i++) {
        size_t first = i / (inner * count) * inner * count + i % inner;
        double greatest = -(double)INFINITY, sum = 0;
        for (size_t j = 0; j < count; j++) greatest = fmax(greatest, x->numbers[first + j * inner].floating);
        for (size_t j = 0; j < count; j++) sum += exp(x->numbers[first + j * inner].floating - greatest);
        result.numbers[i].floating = exp(x->numbers[i].floating - greatest) / sum;
    }
    return result;
}

reference_tensor reference_layer_norm(const reference_tensor *x, uint32_t normalized_dims,
                                      const reference_tensor *weight, const reference_tensor *bias, double epsilon) {
    reference_tensor result = reference_make(x->type, &x->shape);
    size_t count = 1;
    for (uint32_t d = 0; d < normalized_dims; d++) count *= dim_from_end(&x->shape, d);
    for (size_t i = 0; i < x->elements; i++) {
        const reference_number *row = &x->numbers[i / count * count];
        double mean = 0, variance = 0, size = 0; /* of what the mean is made of, which cancels */
        for (size_t j = 0; j < count; j++) mean += row[j].floating / (double)count;
        for (size_t j = 0; j < count; j++) size += fabs(row[j].floating) / (double)count;
        for (size_t j = 0; j < count; j++)
            variance += (row[j].floating - mean) * (row[j].floating - mean) / (double)count;
        double deviation = sqrt(variance + epsilon), factor = weight != NULL ? weight->numbers[i % count].floating : 1;
        double shift = bias != NULL ? bias->numbers[i % count].floating : 0;
        result.numbers[i].floating = (x->numbers[i].floating - mean) / deviation * factor + shift;
        /* Subtracting the mean and adding the bias cancel as well. */
        result.numbers[i].magnitude = (fabs(x->numbers[i].floating) + size) / deviation * fabs(factor) + fabs(shift);
    }
    return result;
}

reference_tensor reference_gather(const reference_tensor *x, const reference_tensor *indices, uint32_t axis,
                                  const tarn_shape *shape) {
    reference_tensor result = reference_make(x->type, shape);
    size_t count = (size_t)x->shape.dims[axis], inner = 1;
    for (size_t d = axis + 1; d < x->shape.rank; d++) inner *= (size_t)x->shape.dims[d];
    for (size_t i = 0; i < result.elements; i++) {
        size_t outer = i / inner / indices->elements, which = i / inner % indices->elements;
        int64_t index = indices->numbers[which].integer;
        if (index < 0) index += (int64_t)count;
        bool is_there = index >= 0 && (size_t)index < count;
        if (is_there) result.numbers[i] = x->numbers[(outer * count + (size_t)index) * inner + i % inner];
    }
    return result;
}
