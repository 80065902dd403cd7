/* Symbolic shapes: dimensions that have a name and a range until they are bound.
 *
 * What is asked of open dimensions has three answers: yes whatever they become, no whatever they become, or it depends.
 * Products are compared by crossing out the names that both sides have; what is left over is compared by ranges. */
#include <tarn/shape.h>

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "base/text.h"
#include "shape/shape_internal.h"

/* Longer texts are cut where they stand in a sentence. */
#define SYMBOLIC_TEXT 256

tarn_dim tarn_dim_known(int64_t value) { return (tarn_dim){.value = value, .maximum = TARN_DIM_UNLIMITED}; }

tarn_dim tarn_dim_open(const char *name, int64_t minimum, int64_t maximum) {
    return (tarn_dim){.name = name, .value = TARN_DIM_UNKNOWN, .minimum = minimum, .maximum = maximum};
}

static bool is_open(const tarn_dim *dim) { return dim->value == TARN_DIM_UNKNOWN; }

static const char *name_of(const tarn_dim *dim) { return dim->name != NULL ? dim->name : "without a name"; }

static bool are_alike(const tarn_dim *a, const tarn_dim *b) {
    return a->name != NULL && b->name != NULL && strcmp(a->name, b->name) == 0;
}

static tarn_status check_dim(const tarn_dim *dim) {
    if (dim->minimum < 0 || dim->minimum > dim->maximum) {
        return base_fail(TARN_INVALID_ARGUMENT, "the dimension %.64s is between %" PRId64 " and %" PRId64, name_of(dim),
                         dim->minimum, dim->maximum);
    }
    if (is_open(dim)) {
        if (dim->name != NULL && dim->name[0] != '\0') return TARN_OK;
        return base_fail(TARN_INVALID_ARGUMENT, "an open dimension has no name");
    }
    if (dim->value >= dim->minimum && dim->value <= dim->maximum) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "the dimension %.64s is %" PRId64 ", not between %" PRId64 " and %" PRId64,
                     name_of(dim), dim->value, dim->minimum, dim->maximum);
}

static tarn_status check_symbolic(const tarn_symbolic_shape *shape) {
    if (shape == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the symbolic shape is NULL");
    tarn_status status = shape_check_rank(shape->rank);
    for (size_t i = 0; i < shape->rank && status == TARN_OK; i++) {
        const tarn_dim *dim = &shape->dims[i];
        status = check_dim(dim);
        for (size_t k = 0; k < i && status == TARN_OK; k++) {
            const tarn_dim *other = &shape->dims[k];
            if (!are_alike(dim, other)) continue;
            if (dim->value == other->value && dim->minimum == other->minimum && dim->maximum == other->maximum)
                continue;
            status = base_fail(TARN_INVALID_ARGUMENT, "the dimension %.64s has two ranges or two values", dim->name);
        }
    }
    return status;
}

tarn_status tarn_symbolic_shape_make(const tarn_dim *dims, size_t rank, tarn_symbolic_shape *out_shape) {
    if (out_shape == NULL || (dims == NULL && rank > 0)) {
        return base_fail(TARN_INVALID_ARGUMENT, "the dimensions of a symbolic shape or the place for it are NULL");
    }
    tarn_status status = shape_check_rank(rank);
    if (status != TARN_OK) return status;
    tarn_symbolic_shape shape = {.rank = rank};
    if (rank > 0) memcpy(shape.dims, dims, rank * sizeof *dims);
    status = check_symbolic(&shape);
    if (status == TARN_OK) *out_shape = shape;
    return status;
}

size_t tarn_symbolic_shape_open_dims(const tarn_symbolic_shape *shape) {
    size_t open = 0;
    for (size_t i = 0; shape != NULL && i < shape->rank && i < TARN_MAXIMUM_RANK; i++) open += is_open(&shape->dims[i]);
    return open;
}

tarn_status tarn_symbolic_shape_bind(const tarn_symbolic_shape *shape, const char *name, int64_t value,
                                     tarn_symbolic_shape *out_shape) {
    tarn_status status = check_symbolic(shape);
    if (status != TARN_OK) return status;
    if (name == NULL || out_shape == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the name to bind or the place for the shape is NULL");
    }
    tarn_symbolic_shape bound = *shape;
    bool is_there = false;
    for (size_t i = 0; i < bound.rank; i++) {
        tarn_dim *dim = &bound.dims[i];
        if (dim->name == NULL || strcmp(dim->name, name) != 0) continue;
        is_there = true;
        if (!is_open(dim) && dim->value != value) {
            return base_fail(TARN_INVALID_ARGUMENT,
                             "the dimension %.64s is %" PRId64 " already, and cannot be %" PRId64, name, dim->value,
                             value);
        }
        if (value < dim->minimum || value > dim->maximum) {
            return base_fail(TARN_INVALID_ARGUMENT,
                             "the dimension %.64s cannot be %" PRId64 ": it is between %" PRId64 " and %" PRId64, name,
                             value, dim->minimum, dim->maximum);
        }
        dim->value = value;
    }
    if (!is_there) return base_fail(TARN_NOT_FOUND, "the shape has no dimension %.64s", name);
    *out_shape = bound;
    return TARN_OK;
}

tarn_status tarn_symbolic_shape_value(const tarn_symbolic_shape *shape, tarn_shape *out_shape) {
    tarn_status status = check_symbolic(shape);
    if (status != TARN_OK) return status;
    if (out_shape == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for a shape is NULL");
    tarn_shape value = {.rank = shape->rank};
    for (size_t i = 0; i < shape->rank; i++) {
        if (is_open(&shape->dims[i])) {
            return base_fail(TARN_INVALID_STATE, "the dimension %.64s is still open", shape->dims[i].name);
        }
        value.dims[i] = shape->dims[i].value;
    }
    *out_shape = value;
    return TARN_OK;
}

/* Broadcasting. */

/* The least and the most that a dimension may become. */
static int64_t least(const tarn_dim *dim) { return is_open(dim) ? dim->minimum : dim->value; }
static int64_t most(const tarn_dim *dim) { return is_open(dim) ? dim->maximum : dim->value; }

static bool may_be(const tarn_dim *dim, int64_t value) { return value >= least(dim) && value <= most(dim); }

static tarn_status refuse_broadcast(const tarn_dim *a, const tarn_dim *b, tarn_status status) {
    char texts[2][SYMBOLIC_TEXT];
    const tarn_dim *dims[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        tarn_symbolic_shape one = {.rank = 1, .dims = {*dims[i]}};
        tarn_symbolic_shape_to_string(&one, texts[i], sizeof texts[i]);
    }
    return base_fail(status,
                     status == TARN_INVALID_STATE ? "whether %s and %s broadcast depends on what they become"
                                                  : "%s and %s do not broadcast",
                     texts[0], texts[1]);
}

static tarn_status broadcast_dims(const tarn_dim *a, const tarn_dim *b, tarn_dim *out_dim) {
    if (!is_open(a) && a->value == 1) {
        *out_dim = *b;
        return TARN_OK;
    }
    if ((!is_open(b) && b->value == 1) || are_alike(a, b)) {
        *out_dim = *a;
        return TARN_OK;
    }
    bool may_agree = least(a) <= most(b) && least(b) <= most(a);
    if (!may_agree && !may_be(a, 1) && !may_be(b, 1)) return refuse_broadcast(a, b, TARN_INVALID_ARGUMENT);
    if (is_open(a) && is_open(b)) return refuse_broadcast(a, b, TARN_INVALID_STATE);
    /* An open one can only become 1 or the known number, and so does the result. */
    const tarn_dim *known = is_open(a) ? b : a;
    *out_dim = *known;
    return TARN_OK;
}

tarn_status tarn_symbolic_shape_broadcast(const tarn_symbolic_shape *a, const tarn_symbolic_shape *b,
                                          tarn_symbolic_shape *out_shape) {
    tarn_status status = check_symbolic(a);
    if (status == TARN_OK) status = check_symbolic(b);
    if (status != TARN_OK) return status;
    if (out_shape == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for a shape is NULL");
    tarn_symbolic_shape result = {.rank = a->rank > b->rank ? a->rank : b->rank};
    const tarn_dim missing = tarn_dim_known(1);
    for (size_t i = 0; i < result.rank && status == TARN_OK; i++) {
        size_t from_end = result.rank - i;
        const tarn_dim *left = from_end <= a->rank ? &a->dims[a->rank - from_end] : &missing;
        const tarn_dim *right = from_end <= b->rank ? &b->dims[b->rank - from_end] : &missing;
        status = broadcast_dims(left, right, &result.dims[i]);
    }
    /* A name may have come in from both sides with different ranges. */
    if (status == TARN_OK) status = check_symbolic(&result);
    if (status == TARN_OK) *out_shape = result;
    return status;
}

/* Reshaping. */

/* How many elements there may be: saturated at UINT64_MAX. */
typedef struct count_range {
    uint64_t least, most;
    bool is_exact; /* nothing open was multiplied in */
} count_range;

static uint64_t multiply_saturated(uint64_t a, uint64_t b) {
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* The product of the dimensions that are not crossed out. */
static count_range count(const tarn_symbolic_shape *shape, const bool *is_crossed_out) {
    count_range range = {1, 1, true};
    for (size_t i = 0; i < shape->rank; i++) {
        if (is_crossed_out[i]) continue;
        range.least = multiply_saturated(range.least, (uint64_t)least(&shape->dims[i]));
        range.most = multiply_saturated(range.most, (uint64_t)most(&shape->dims[i]));
        range.is_exact = range.is_exact && !is_open(&shape->dims[i]);
    }
    return range;
}

/* Crosses out what stands on both sides. */
static void cross_out(const tarn_symbolic_shape *a, bool *is_out_of_a, const tarn_symbolic_shape *b,
                      bool *is_out_of_b) {
    for (size_t i = 0; i < a->rank; i++) {
        for (size_t k = 0; k < b->rank && !is_out_of_a[i]; k++) {
            if (is_out_of_b[k] || !is_open(&a->dims[i]) || !are_alike(&a->dims[i], &b->dims[k])) continue;
            is_out_of_a[i] = is_out_of_b[k] = true;
        }
    }
}

tarn_status tarn_symbolic_shape_check_reshape(const tarn_symbolic_shape *from, const tarn_symbolic_shape *to) {
    tarn_status status = check_symbolic(from);
    if (status == TARN_OK) status = check_symbolic(to);
    if (status != TARN_OK) return status;
    bool out_of_from[TARN_MAXIMUM_RANK] = {false}, out_of_to[TARN_MAXIMUM_RANK] = {false};
    count_range whole_from = count(from, out_of_from), whole_to = count(to, out_of_to);
    cross_out(from, out_of_from, to, out_of_to);
    count_range rest_from = count(from, out_of_from), rest_to = count(to, out_of_to);
    bool is_certain =
        rest_from.is_exact && rest_to.is_exact && rest_from.least == rest_to.least && rest_from.least != UINT64_MAX;
    /* Two shapes without elements are alike too, whatever else they have. */
    if (is_certain || (whole_from.most == 0 && whole_to.most == 0)) return TARN_OK;
    char texts[2][SYMBOLIC_TEXT];
    tarn_symbolic_shape_to_string(from, texts[0], sizeof texts[0]);
    tarn_symbolic_shape_to_string(to, texts[1], sizeof texts[1]);
    bool may_be_empty = whole_from.least == 0 && whole_to.least == 0;
    if (!may_be_empty && (rest_from.most < rest_to.least || rest_to.most < rest_from.least)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s cannot be reshaped to %s: the elements are never as many", texts[0],
                         texts[1]);
    }
    if (rest_from.is_exact && rest_to.is_exact && rest_from.least == UINT64_MAX && rest_to.least == UINT64_MAX) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s and %s have more elements than can be counted", texts[0], texts[1]);
    }
    return base_fail(TARN_INVALID_STATE, "whether %s can be reshaped to %s depends on what the open dimensions become",
                     texts[0], texts[1]);
}

/* Text. */

static void put_dim(base_text *text, const tarn_dim *dim) {
    if (!is_open(dim)) {
        if (dim->name != NULL) base_text_put(text, "%s=", dim->name);
        base_text_put(text, "%" PRId64, dim->value);
        return;
    }
    if (dim->minimum > 0) base_text_put(text, "%" PRId64 "<=", dim->minimum);
    base_text_put(text, "%s", dim->name != NULL ? dim->name : "?");
    if (dim->maximum != TARN_DIM_UNLIMITED) base_text_put(text, "<=%" PRId64, dim->maximum);
}

size_t tarn_symbolic_shape_to_string(const tarn_symbolic_shape *shape, char *out_text, size_t capacity) {
    base_text text;
    base_text_begin(&text, out_text, capacity);
    base_text_put(&text, "[");
    for (size_t i = 0; shape != NULL && i < shape->rank && i < TARN_MAXIMUM_RANK; i++) {
        if (i > 0) base_text_put(&text, ", ");
        put_dim(&text, &shape->dims[i]);
    }
    base_text_put(&text, "]");
    return text.length;
}
