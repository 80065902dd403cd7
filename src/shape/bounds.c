/* Bounds: between which shapes something varies. Each function checks what it is given, for the structure is the caller's and
 * may hold anything. */
#include <tarn/shape.h>

#include <stdbool.h>

#include "base/status.h"
#include "shape/shape_internal.h"

static tarn_status refuse(const char *what, const tarn_shape *a, const tarn_shape *b) {
    char texts[2][SHAPE_TEXT];
    tarn_shape_to_string(a, texts[0], sizeof texts[0]);
    tarn_shape_to_string(b, texts[1], sizeof texts[1]);
    return base_fail(TARN_INVALID_ARGUMENT, "%s, %s and %s", what, texts[0], texts[1]);
}

/* Whether no dimension of `low` is above that of `high`, which has the same rank. */
static int is_within(const tarn_shape *low, const tarn_shape *high) {
    for (size_t i = 0; i < low->rank; i++)
        if (low->dims[i] > high->dims[i]) return 0;
    return 1;
}

tarn_status tarn_shape_bounds_check(const tarn_shape_bounds *bounds) {
    if (bounds == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the bounds of a shape are NULL");
    const tarn_shape *minimum = &bounds->minimum, *maximum = &bounds->maximum, *expected = &bounds->expected;
    tarn_status status = shape_check(minimum);
    if (status == TARN_OK) status = shape_check(maximum);
    if (status == TARN_OK) status = shape_check(expected);
    if (status != TARN_OK) return status;
    if (minimum->rank != maximum->rank) return refuse("bounds have two ranks", minimum, maximum);
    if (expected->rank != maximum->rank) return refuse("bounds have two ranks", expected, maximum);
    if (!is_within(minimum, maximum)) return refuse("the minimum of bounds is above the maximum", minimum, maximum);
    if (!is_within(minimum, expected)) return refuse("less is expected than the minimum", expected, minimum);
    if (!is_within(expected, maximum)) return refuse("more is expected than the maximum", expected, maximum);
    size_t elements;
    return tarn_shape_elements(maximum, &elements);
}

tarn_status tarn_shape_bounds_make(const tarn_shape *minimum, const tarn_shape *maximum, const tarn_shape *expected,
                                   tarn_shape_bounds *out_bounds) {
    if (maximum == NULL || out_bounds == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the maximum of bounds or the place for them is NULL");
    }
    tarn_shape_bounds bounds = {.minimum = {.rank = maximum->rank}, .maximum = *maximum, .expected = *maximum};
    if (minimum != NULL) bounds.minimum = *minimum;
    if (expected != NULL) bounds.expected = *expected;
    tarn_status status = tarn_shape_bounds_check(&bounds);
    if (status == TARN_OK) *out_bounds = bounds;
    return status;
}

tarn_status tarn_shape_bounds_of(const tarn_symbolic_shape *shape, const tarn_shape *expected,
                                 tarn_shape_bounds *out_bounds) {
    tarn_symbolic_shape checked;
    if (shape == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the symbolic shape is NULL");
    tarn_status status = tarn_symbolic_shape_make(shape->dims, shape->rank, &checked);
    if (status != TARN_OK) return status;
    tarn_shape minimum = {.rank = checked.rank}, maximum = {.rank = checked.rank};
    for (size_t i = 0; i < checked.rank; i++) {
        const tarn_dim *dim = &checked.dims[i];
        bool is_open = dim->value == TARN_DIM_UNKNOWN;
        if (is_open && dim->maximum == TARN_DIM_UNLIMITED) {
            return base_fail(TARN_INVALID_STATE, "the dimension %.64s has no maximum, so the shape has no bounds",
                             dim->name);
        }
        minimum.dims[i] = is_open ? dim->minimum : dim->value;
        maximum.dims[i] = is_open ? dim->maximum : dim->value;
    }
    return tarn_shape_bounds_make(&minimum, &maximum, expected, out_bounds);
}

tarn_status tarn_shape_bounds_max_elements(const tarn_shape_bounds *bounds, size_t *out_elements) {
    tarn_status status = tarn_shape_bounds_check(bounds);
    return status == TARN_OK ? tarn_shape_elements(&bounds->maximum, out_elements) : status;
}

tarn_status tarn_shape_bounds_expected_elements(const tarn_shape_bounds *bounds, size_t *out_elements) {
    tarn_status status = tarn_shape_bounds_check(bounds);
    return status == TARN_OK ? tarn_shape_elements(&bounds->expected, out_elements) : status;
}

int tarn_shape_bounds_contains(const tarn_shape_bounds *bounds, const tarn_shape *shape) {
    if (bounds == NULL || shape == NULL || shape->rank > TARN_MAXIMUM_RANK) return 0;
    if (shape->rank != bounds->minimum.rank || shape->rank != bounds->maximum.rank) return 0;
    return is_within(&bounds->minimum, shape) && is_within(shape, &bounds->maximum);
}
