/* Views: the same elements in another order, or some of them. */
#include "tensor/view.h"
#include "tensor/tensor.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"

/* A dimension that may be counted from the end; false when there is none of that number. */
static bool find_dim(const tarn_shape *shape, int dim, uint32_t *out_dim) {
    int64_t rank = (int64_t)shape->rank, place = dim < 0 ? dim + rank : dim;
    if (place < 0 || place >= rank) return false;
    *out_dim = (uint32_t)place;
    return true;
}

static tarn_status check_view(const tarn_tensor *tensor, const char *operation, tarn_tensor *const *out_view) {
    tarn_status status = tensor_check(tensor, operation, "the tensor");
    if (status != TARN_OK || out_view != NULL) return status;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the tensor is NULL", operation);
}

/* Slices, as Python's slice.indices works them out. */

/* Brings a place into [lowest, highest], after counting it from the end where it is negative. */
static int64_t bring_in(int64_t place, int64_t dim, int64_t lowest, int64_t highest) {
    if (place < 0) place += dim;
    return place < lowest ? lowest : place > highest ? highest : place;
}

tarn_status tensor_view_slice(const char *operation, const tarn_shape *shape, int dim, int64_t begin, int64_t end,
                              int64_t step, tensor_slice *out_slice) {
    uint32_t along;
    if (!find_dim(shape, dim, &along)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: dimension %d of a tensor that has %zu", operation, dim,
                         shape->rank);
    }
    if (step == 0) return base_fail(TARN_INVALID_ARGUMENT, "%s: a step of 0", operation);
    int64_t size = shape->dims[along];
    begin = step > 0 ? bring_in(begin, size, 0, size) : bring_in(begin, size, -1, size - 1);
    end = step > 0 ? bring_in(end, size, 0, size) : bring_in(end, size, -1, size - 1);
    /* Of at most `size`, so that nothing below overflows. */
    uint64_t way = step > 0 ? (end > begin ? (uint64_t)(end - begin) : 0) : (begin > end ? (uint64_t)(begin - end) : 0);
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    int64_t count = way == 0 ? 0 : (int64_t)((way - 1) / stride + 1);
    *out_slice = (tensor_slice){.dim = along, .begin = count > 0 ? begin : 0, .step = step, .count = count};
    return TARN_OK;
}

tarn_status tarn_tensor_slice(tarn_tensor *tensor, int dim, int64_t begin, int64_t end, int64_t step,
                              tarn_tensor **out_view) {
    tensor_slice slice;
    tarn_status status = check_view(tensor, "tensor_slice", out_view);
    if (status == TARN_OK) {
        status = tensor_view_slice("tensor_slice", &tensor->shape, dim, begin, end, step, &slice);
    }
    if (status != TARN_OK) return status;
    tarn_shape shape = tensor->shape;
    int64_t strides[TARN_MAXIMUM_RANK];
    memcpy(strides, tensor->strides, sizeof strides);
    shape.dims[slice.dim] = slice.count;
    /* Strides between no elements may be any numbers, and lead nowhere. */
    if (tensor->elements == 0) return tensor_create_view(tensor, &shape, strides, 0, out_view);
    /* With one element left no step is taken, and one of any length would be no stride. */
    if (slice.count > 1) strides[slice.dim] *= step;
    return tensor_create_view(tensor, &shape, strides, slice.begin * tensor->strides[slice.dim], out_view);
}

tarn_status tensor_view_order(const char *operation, const tarn_shape *shape, const int *order, uint32_t *out_order) {
    uint32_t found[TARN_MAXIMUM_RANK] = {0};
    unsigned seen = 0;
    for (size_t i = 0; i < shape->rank; i++) {
        found[i] = (uint32_t)(shape->rank - 1 - i);
        if (order != NULL && !find_dim(shape, order[i], &found[i])) {
            return base_fail(TARN_INVALID_ARGUMENT, "%s: dimension %d of a tensor that has %zu", operation, order[i],
                             shape->rank);
        }
        if ((seen & 1u << found[i]) != 0) {
            return base_fail(TARN_INVALID_ARGUMENT, "%s: dimension %u stands in the order twice", operation, found[i]);
        }
        seen |= 1u << found[i];
    }
    memcpy(out_order, found, shape->rank * sizeof found[0]);
    return TARN_OK;
}

tarn_status tarn_tensor_transpose(tarn_tensor *tensor, const int *order, tarn_tensor **out_view) {
    uint32_t from[TARN_MAXIMUM_RANK];
    tarn_status status = check_view(tensor, "tensor_transpose", out_view);
    if (status == TARN_OK) status = tensor_view_order("tensor_transpose", &tensor->shape, order, from);
    if (status != TARN_OK) return status;
    tarn_shape shape = {.rank = tensor->shape.rank};
    int64_t strides[TARN_MAXIMUM_RANK];
    for (size_t i = 0; i < shape.rank; i++) {
        shape.dims[i] = tensor->shape.dims[from[i]];
        strides[i] = tensor->strides[from[i]];
    }
    return tensor_create_view(tensor, &shape, strides, 0, out_view);
}

tarn_status tarn_tensor_broadcast_to(tarn_tensor *tensor, const tarn_shape *shape, tarn_tensor **out_view) {
    size_t elements;
    tarn_status status = check_view(tensor, "tensor_broadcast_to", out_view);
    if (status == TARN_OK) status = tarn_shape_bytes(shape, tensor->type, &elements);
    if (status != TARN_OK) return status;
    status = tensor_check_broadcast(&tensor->shape, shape, "tensor_broadcast_to");
    if (status != TARN_OK) return status;
    tarn_operand operand;
    tensor_operand(tensor, shape, &operand);
    return tensor_create_view(tensor, shape, operand.strides, 0, out_view);
}
