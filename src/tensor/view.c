/* Views: the same elements in another order, or some of them. */
#include "tensor/tensor.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"

/* A dimension that may be counted from the end; false when there is none of that number. */
static bool find_dim(const tarn_tensor *tensor, int dim, size_t *out_dim) {
    int64_t rank = (int64_t)tensor->shape.rank, place = dim < 0 ? dim + rank : dim;
    if (place < 0 || place >= rank) return false;
    *out_dim = (size_t)place;
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

tarn_status tarn_tensor_slice(tarn_tensor *tensor, int dim, int64_t begin, int64_t end, int64_t step,
                              tarn_tensor **out_view) {
    size_t along;
    tarn_status status = check_view(tensor, "tensor_slice", out_view);
    if (status != TARN_OK) return status;
    if (!find_dim(tensor, dim, &along)) {
        return base_fail(TARN_INVALID_ARGUMENT, "tensor_slice: dimension %d of a tensor that has %zu", dim,
                         tensor->shape.rank);
    }
    if (step == 0) return base_fail(TARN_INVALID_ARGUMENT, "tensor_slice: a step of 0");
    tarn_shape shape = tensor->shape;
    int64_t strides[TARN_MAXIMUM_RANK], size = shape.dims[along];
    memcpy(strides, tensor->strides, sizeof strides);
    begin = step > 0 ? bring_in(begin, size, 0, size) : bring_in(begin, size, -1, size - 1);
    end = step > 0 ? bring_in(end, size, 0, size) : bring_in(end, size, -1, size - 1);
    /* Of at most `size`, so that nothing below overflows. */
    uint64_t way = step > 0 ? (end > begin ? (uint64_t)(end - begin) : 0) : (begin > end ? (uint64_t)(begin - end) : 0);
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    int64_t count = way == 0 ? 0 : (int64_t)((way - 1) / stride + 1);
    shape.dims[along] = count;
    /* With one element left no step is taken, and one of any length would be no stride. */
    strides[along] = count > 1 ? strides[along] * step : strides[along];
    return tensor_create_view(tensor, &shape, strides, count > 0 ? begin * tensor->strides[along] : 0, out_view);
}

tarn_status tarn_tensor_transpose(tarn_tensor *tensor, const int *order, tarn_tensor **out_view) {
    tarn_status status = check_view(tensor, "tensor_transpose", out_view);
    if (status != TARN_OK) return status;
    tarn_shape shape = {.rank = tensor->shape.rank};
    int64_t strides[TARN_MAXIMUM_RANK];
    unsigned seen = 0;
    for (size_t i = 0; i < shape.rank; i++) {
        size_t from = shape.rank - 1 - i;
        if (order != NULL && !find_dim(tensor, order[i], &from)) {
            return base_fail(TARN_INVALID_ARGUMENT, "tensor_transpose: dimension %d of a tensor that has %zu", order[i],
                             shape.rank);
        }
        if ((seen & 1u << from) != 0) {
            return base_fail(TARN_INVALID_ARGUMENT, "tensor_transpose: dimension %zu stands in the order twice", from);
        }
        seen |= 1u << from;
        shape.dims[i] = tensor->shape.dims[from];
        strides[i] = tensor->strides[from];
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
