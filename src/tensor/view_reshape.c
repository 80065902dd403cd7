/* Other shapes of the same elements, in row-major order: as a view where the strides allow it, else as a copy.
 *
 * Both shapes are cut into the shortest runs of dimensions that have equally many elements. A run can be seen in any way whose
 * dimensions multiply to the same when its old dimensions are one walk: each stride is the next one's times its dimension. */
#include "tensor/tensor.h"
#include "tensor/view.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"

static tarn_status refuse(const tarn_shape *shape, const char *operation, const int64_t *dims, size_t rank) {
    char from[TENSOR_SHAPE_TEXT], to[TENSOR_SHAPE_TEXT];
    tarn_shape wanted = {.rank = rank};
    if (rank > 0) memcpy(wanted.dims, dims, rank * sizeof *dims);
    tarn_shape_to_string(shape, from, sizeof from);
    tarn_shape_to_string(&wanted, to, sizeof to);
    return base_fail(TARN_INVALID_ARGUMENT, "%s: a tensor of shape %s cannot become %s", operation, from, to);
}

tarn_status tensor_view_shape(const char *operation, const tarn_shape *shape, const int64_t *dims, size_t rank,
                              tarn_shape *out_shape) {
    if (dims == NULL && rank > 0) return base_fail(TARN_INVALID_ARGUMENT, "%s: the dimensions are NULL", operation);
    if (rank > TARN_MAXIMUM_RANK) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: a shape of %zu dimensions; there are at most %d", operation, rank,
                         TARN_MAXIMUM_RANK);
    }
    tarn_shape wanted = {.rank = rank};
    size_t open = rank, known, elements;
    for (size_t i = 0; i < rank; i++) {
        bool is_open = dims[i] == -1;
        if (dims[i] < -1) {
            return base_fail(TARN_INVALID_ARGUMENT, "%s: dimension %zu is %" PRId64 ", below 0", operation, i, dims[i]);
        }
        if (is_open && open < rank) {
            return base_fail(TARN_INVALID_ARGUMENT, "%s: dimensions %zu and %zu are both -1", operation, open, i);
        }
        if (is_open) open = i;
        wanted.dims[i] = is_open ? 1 : dims[i];
    }
    tarn_status status = tarn_shape_elements(&wanted, &known);
    if (status == TARN_OK) status = tarn_shape_elements(shape, &elements);
    if (status != TARN_OK) return status;
    if (open < rank) {
        if (known == 0 || elements % known != 0) return refuse(shape, operation, dims, rank);
        wanted.dims[open] = (int64_t)(elements / known);
    } else if (known != elements) {
        return refuse(shape, operation, dims, rank);
    }
    *out_shape = wanted;
    return TARN_OK;
}

bool tensor_view_strides(const tarn_shape *from, const int64_t *strides, const tarn_shape *to, int64_t *out_strides) {
    size_t elements;
    if (tarn_shape_elements(to, &elements) != TARN_OK) return false;
    if (elements == 0) return tarn_shape_strides(to, out_strides) == TARN_OK;
    tarn_operand old = {.rank = (uint32_t)from->rank};
    memcpy(old.dims, from->dims, sizeof old.dims);
    memcpy(old.strides, strides, from->rank * sizeof *strides);
    tensor_merge_operands(&old, 1, false, NULL);
    /* From the last dimensions to the first: each of the old ones, which are the longest walks there are, takes new ones until it
     * is used up. */
    size_t at = to->rank;
    for (uint32_t d = old.rank; d-- > 0;) {
        int64_t left = old.dims[d], stride = old.strides[d];
        while (left > 1 || (at > 0 && to->dims[at - 1] == 1)) {
            if (at == 0 || left % to->dims[at - 1] != 0) return false;
            at--;
            out_strides[at] = stride;
            /* What lies behind the last step may be more than can be counted. */
            stride = (int64_t)((uint64_t)stride * (uint64_t)to->dims[at]);
            left /= to->dims[at];
        }
    }
    /* What is left has one element along each. */
    for (; at > 0; at--) out_strides[at - 1] = at < to->rank ? out_strides[at] * to->dims[at] : 1;
    return true;
}

/* TARN_OK with `*out_view` NULL where a copy is needed. */
static tarn_status try_view(tarn_tensor *tensor, const tarn_shape *shape, tarn_tensor **out_view) {
    int64_t strides[TARN_MAXIMUM_RANK];
    *out_view = NULL;
    if (tensor->is_contiguous) {
        tarn_status status = tarn_shape_strides(shape, strides);
        if (status != TARN_OK) return status;
    } else if (!tensor_view_strides(&tensor->shape, tensor->strides, shape, strides)) {
        return TARN_OK;
    }
    return tensor_create_view(tensor, shape, strides, 0, out_view);
}

static tarn_status check(const tarn_tensor *tensor, const char *operation, tarn_tensor *const *out_tensor) {
    tarn_status status = tensor_check(tensor, operation, "the tensor");
    if (status != TARN_OK || out_tensor != NULL) return status;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the tensor is NULL", operation);
}

tarn_status tarn_tensor_view(tarn_tensor *tensor, const int64_t *dims, size_t rank, tarn_tensor **out_view) {
    tarn_shape shape;
    tarn_tensor *view;
    tarn_status status = check(tensor, "tensor_view", out_view);
    if (status == TARN_OK) status = tensor_view_shape("tensor_view", &tensor->shape, dims, rank, &shape);
    if (status == TARN_OK) status = try_view(tensor, &shape, &view);
    if (status != TARN_OK) return status;
    if (view == NULL) {
        char from[TENSOR_SHAPE_TEXT], to[TENSOR_SHAPE_TEXT];
        tarn_shape_to_string(&tensor->shape, from, sizeof from);
        tarn_shape_to_string(&shape, to, sizeof to);
        return base_fail(TARN_NOT_SUPPORTED,
                         "tensor_view: the strides of a tensor of shape %s allow no view of shape %s", from, to);
    }
    *out_view = view;
    return TARN_OK;
}

tarn_status tarn_tensor_reshape(tarn_tensor *tensor, const int64_t *dims, size_t rank, tarn_stream *stream,
                                tarn_tensor **out_tensor) {
    tarn_shape shape;
    tarn_tensor *view, *copy;
    tarn_status status = check(tensor, "tensor_reshape", out_tensor);
    if (status == TARN_OK) status = tensor_view_shape("tensor_reshape", &tensor->shape, dims, rank, &shape);
    if (status == TARN_OK) status = try_view(tensor, &shape, &view);
    if (status == TARN_OK && view == NULL) {
        status = tarn_tensor_contiguous(tensor, stream, &copy);
        if (status != TARN_OK) return status;
        status = try_view(copy, &shape, &view);
        tarn_tensor_release(copy);
    }
    if (status == TARN_OK) *out_tensor = view;
    return status;
}
