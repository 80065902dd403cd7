/* Views as numbers: what a slice, an order, a new shape mean for dimensions and strides. Nothing here knows memory, so that expressions, which
 * have none yet, ask the same functions. `operation` is what sentences begin with. INVALID_ARGUMENT; outputs are untouched then. */
#ifndef TENSOR_VIEW_H
#define TENSOR_VIEW_H

#include <stdbool.h>

#include <tarn/shape.h>

/* One dimension of a slice: elements `begin`, `begin + step`, …, `count` of them. With none, `begin` is 0. */
typedef struct tensor_slice {
    uint32_t dim;
    int64_t begin, step, count;
} tensor_slice;

tarn_status tensor_view_slice(const char *operation, const tarn_shape *shape, int dim, int64_t begin, int64_t end,
                              int64_t step, tensor_slice *out_slice);
/* Dimension i of the view is dimension out_order[i]. `order` NULL: all reversed. */
tarn_status tensor_view_order(const char *operation, const tarn_shape *shape, const int *order, uint32_t *out_order);
/* The shape of as many elements that `dims` stand for, with the dimension worked out that is -1. */
tarn_status tensor_view_shape(const char *operation, const tarn_shape *shape, const int64_t *dims, size_t rank,
                              tarn_shape *out_shape);
/* Strides under which `to`, a shape of as many elements, walks the same elements in row-major order; false when there are none. */
bool tensor_view_strides(const tarn_shape *from, const int64_t *strides, const tarn_shape *to, int64_t *out_strides);

#endif
