/* Shapes whose dimensions are numbers: counting elements and bytes, strides, and how far a view reaches.
 *
 * A dimension of 0 makes everything 0, so it is looked for before anything is multiplied: [0, 2^62, 2^62] is an empty shape
 * and no overflow. */
#include <tarn/shape.h>

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "base/text.h"
#include "shape/shape_internal.h"

tarn_status shape_check_rank(size_t rank) {
    if (rank <= TARN_MAXIMUM_RANK) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "a shape of %zu dimensions; there are at most %d", rank, TARN_MAXIMUM_RANK);
}

tarn_status shape_check(const tarn_shape *shape) {
    if (shape == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the shape is NULL");
    tarn_status status = shape_check_rank(shape->rank);
    for (size_t i = 0; i < shape->rank && status == TARN_OK; i++) {
        if (shape->dims[i] >= 0) continue;
        status =
            base_fail(TARN_INVALID_ARGUMENT, "dimension %zu of a shape is %" PRId64 ", below 0", i, shape->dims[i]);
    }
    return status;
}

static tarn_status check_type(tarn_element_type type) {
    if (tarn_element_size(type) != 0) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%d is no type of elements", (int)type);
}

static tarn_status refuse_size(const tarn_shape *shape, const char *what) {
    char text[SHAPE_TEXT];
    tarn_shape_to_string(shape, text, sizeof text);
    return base_fail(TARN_INVALID_ARGUMENT, "the shape %s has more %s than can be counted", text, what);
}

tarn_status tarn_shape_make(const int64_t *dims, size_t rank, tarn_shape *out_shape) {
    if (out_shape == NULL || (dims == NULL && rank > 0)) {
        return base_fail(TARN_INVALID_ARGUMENT, "the dimensions of a shape or the place for it are NULL");
    }
    tarn_status status = shape_check_rank(rank);
    if (status != TARN_OK) return status;
    tarn_shape shape = {.rank = rank};
    if (rank > 0) memcpy(shape.dims, dims, rank * sizeof *dims);
    status = shape_check(&shape);
    if (status == TARN_OK) *out_shape = shape;
    return status;
}

static bool is_empty(const tarn_shape *shape) {
    for (size_t i = 0; i < shape->rank; i++)
        if (shape->dims[i] == 0) return true;
    return false;
}

tarn_status tarn_shape_elements(const tarn_shape *shape, size_t *out_elements) {
    tarn_status status = shape_check(shape);
    if (status != TARN_OK) return status;
    if (out_elements == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for a number of elements is NULL");
    size_t elements = is_empty(shape) ? 0 : 1;
    for (size_t i = 0; i < shape->rank && elements != 0; i++) {
        if (!checked_multiply(elements, (size_t)shape->dims[i], &elements)) return refuse_size(shape, "elements");
    }
    *out_elements = elements;
    return TARN_OK;
}

tarn_status tarn_shape_bytes(const tarn_shape *shape, tarn_element_type type, size_t *out_bytes) {
    size_t elements, bytes;
    tarn_status status = check_type(type);
    if (status == TARN_OK) status = tarn_shape_elements(shape, &elements);
    if (status != TARN_OK) return status;
    if (out_bytes == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for a number of bytes is NULL");
    if (!checked_multiply(elements, tarn_element_size(type), &bytes) || bytes > PTRDIFF_MAX) {
        return refuse_size(shape, "bytes");
    }
    *out_bytes = bytes;
    return TARN_OK;
}

tarn_status tarn_shape_strides(const tarn_shape *shape, int64_t *out_strides) {
    int64_t strides[TARN_MAXIMUM_RANK], stride = 1;
    tarn_status status = shape_check(shape);
    if (status != TARN_OK) return status;
    if (out_strides == NULL && shape->rank > 0)
        return base_fail(TARN_INVALID_ARGUMENT, "the place for strides is NULL");
    bool fits = true;
    for (size_t i = shape->rank; i-- > 0;) {
        strides[i] = fits ? stride : 0;
        /* What the first dimension would add is nobody's stride. */
        int64_t dim = i > 0 && shape->dims[i] > 0 ? shape->dims[i] : 1;
        fits = fits && !__builtin_mul_overflow(stride, dim, &stride);
        if (!fits && !is_empty(shape)) return refuse_size(shape, "elements along a stride");
    }
    if (shape->rank > 0) memcpy(out_strides, strides, shape->rank * sizeof *strides);
    return TARN_OK;
}

/* The lowest and the highest element that a view touches. False when either does not fit. */
static bool find_reach(const tarn_shape *shape, const int64_t *strides, int64_t offset, int64_t *out_lowest,
                       int64_t *out_highest) {
    *out_lowest = *out_highest = offset;
    for (size_t i = 0; i < shape->rank; i++) {
        int64_t way;
        if (__builtin_mul_overflow(shape->dims[i] - 1, strides[i], &way)) return false;
        int64_t *end = way < 0 ? out_lowest : out_highest;
        if (__builtin_add_overflow(*end, way, end)) return false;
    }
    return true;
}

tarn_status tarn_shape_extent(const tarn_shape *shape, const int64_t *strides, int64_t offset, tarn_element_type type,
                              size_t *out_bytes) {
    tarn_status status = check_type(type);
    if (status == TARN_OK) status = shape_check(shape);
    if (status != TARN_OK) return status;
    if (out_bytes == NULL || (strides == NULL && shape->rank > 0)) {
        return base_fail(TARN_INVALID_ARGUMENT, "the strides of a view or the place for its extent are NULL");
    }
    if (is_empty(shape)) {
        *out_bytes = 0;
        return TARN_OK;
    }
    int64_t lowest, highest;
    size_t bytes;
    bool is_counted = find_reach(shape, strides, offset, &lowest, &highest);
    if (is_counted && lowest < 0) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "a view reaches to element %" PRId64 ", which is before the beginning of its memory", lowest);
    }
    if (!is_counted || highest == INT64_MAX ||
        !checked_multiply((size_t)highest + 1, tarn_element_size(type), &bytes) || bytes > PTRDIFF_MAX) {
        char text[SHAPE_TEXT];
        tarn_shape_to_string(shape, text, sizeof text);
        return base_fail(TARN_INVALID_ARGUMENT,
                         "a view of the shape %s at element %" PRId64 " reaches farther than memory does", text,
                         offset);
    }
    *out_bytes = bytes;
    return TARN_OK;
}

int tarn_shape_equals(const tarn_shape *a, const tarn_shape *b) {
    if (a == NULL || b == NULL || a->rank != b->rank || a->rank > TARN_MAXIMUM_RANK) return 0;
    return a->rank == 0 || memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

size_t tarn_shape_to_string(const tarn_shape *shape, char *out_text, size_t capacity) {
    base_text text;
    base_text_begin(&text, out_text, capacity);
    size_t rank = shape == NULL ? 0 : shape->rank <= TARN_MAXIMUM_RANK ? shape->rank : TARN_MAXIMUM_RANK;
    base_text_put(&text, "[");
    for (size_t i = 0; i < rank; i++) base_text_put(&text, "%s%" PRId64, i > 0 ? ", " : "", shape->dims[i]);
    base_text_put(&text, "]");
    return text.length;
}
