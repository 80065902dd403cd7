/* Inference for elementwise operations and reductions, and what all inference is made of: broadcasting, counting, dimensions. */
#include "tensor/infer.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "tensor/tensor.h"

/* What an operation makes of the types of numbers. */
typedef enum type_rule {
    ANY_TYPE = 0,
    NUMBERS, /* not BOOL */
    REALS,   /* integers become F32 */
    FLOATING,
    TOTALS /* integers become I64 */
} type_rule;

static const uint8_t rules[TARN_OPERATION_COUNT] = {
    [TARN_OPERATION_NEG] = NUMBERS,      [TARN_OPERATION_EXP] = REALS,           [TARN_OPERATION_LOG] = REALS,
    [TARN_OPERATION_SQRT] = REALS,       [TARN_OPERATION_SIN] = REALS,           [TARN_OPERATION_COS] = REALS,
    [TARN_OPERATION_RELU] = NUMBERS,     [TARN_OPERATION_SIGMOID] = REALS,       [TARN_OPERATION_TANH] = REALS,
    [TARN_OPERATION_SUBTRACT] = NUMBERS, [TARN_OPERATION_DIVIDE] = REALS,        [TARN_OPERATION_POW] = NUMBERS,
    [TARN_OPERATION_RANDOM] = FLOATING,  [TARN_OPERATION_SUM] = TOTALS,          [TARN_OPERATION_MEAN] = FLOATING,
    [TARN_OPERATION_PROD] = TOTALS,      [TARN_OPERATION_MATMUL] = FLOATING,     [TARN_OPERATION_CONV2D] = FLOATING,
    [TARN_OPERATION_SOFTMAX] = FLOATING, [TARN_OPERATION_LAYER_NORM] = FLOATING, [TARN_OPERATION_MAX_POOL2D] = NUMBERS,
};

bool tensor_computed_type(tarn_operation operation, tarn_element_type type, tarn_element_type *out_computed) {
    if ((unsigned)operation >= TARN_OPERATION_COUNT || (unsigned)type >= TARN_ELEMENT_TYPE_COUNT) return false;
    *out_computed = type;
    if (tensor_type_is_floating(type)) return true;
    switch ((type_rule)rules[operation]) {
    case ANY_TYPE: return true;
    case NUMBERS: return type != TARN_ELEMENT_BOOL;
    case REALS: *out_computed = TARN_ELEMENT_F32; return true;
    case FLOATING: return false;
    case TOTALS: *out_computed = TARN_ELEMENT_I64; return true;
    }
    return false;
}

tarn_status tensor_infer_type(tarn_operation operation, tarn_element_type type, tarn_element_type *out_computed) {
    if (tensor_computed_type(operation, type, out_computed)) return TARN_OK;
    return base_fail(TARN_NOT_SUPPORTED, "%s of %s: it takes %s alone", tarn_operation_name(operation),
                     tarn_element_name(type), rules[operation] == NUMBERS ? "numbers" : "floating types");
}

static tarn_status refuse_sort(tarn_operation operation, const char *sort) {
    return base_fail(TARN_INVALID_ARGUMENT, "%s (%d) is no %s", tarn_operation_name(operation), (int)operation, sort);
}

tarn_status tensor_infer_same_type(tarn_operation operation, const tensor_argument *a, const tensor_argument *b) {
    if (a->type == b->type) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: operands of types %s and %s, which have to be one",
                     tarn_operation_name(operation), tarn_element_name(a->type), tarn_element_name(b->type));
}

tarn_status tensor_infer_broadcast(tarn_operation operation, const tarn_shape *a, const tarn_shape *b,
                                   tarn_shape *out_shape) {
    const tarn_shape *longer = a->rank >= b->rank ? a : b;
    const tarn_shape *shorter = longer == a ? b : a;
    tarn_shape shape = *longer;
    size_t shift = longer->rank - shorter->rank;
    for (size_t i = 0; i < shorter->rank; i++) {
        int64_t dim = shorter->dims[i];
        if (shape.dims[i + shift] == dim || dim == 1) continue;
        if (shape.dims[i + shift] != 1) {
            char texts[2][TENSOR_SHAPE_TEXT];
            tarn_shape_to_string(a, texts[0], sizeof texts[0]);
            tarn_shape_to_string(b, texts[1], sizeof texts[1]);
            return base_fail(TARN_INVALID_ARGUMENT, "%s: the shapes %s and %s do not broadcast to one",
                             tarn_operation_name(operation), texts[0], texts[1]);
        }
        shape.dims[i + shift] = dim;
    }
    *out_shape = shape;
    return TARN_OK;
}

tarn_status tensor_infer_finish(tarn_operation operation, tensor_inferred *inferred) {
    size_t elements = 1, bytes;
    bool is_counted = true;
    for (size_t i = 0; i < inferred->shape.rank; i++) {
        if (inferred->shape.dims[i] == 0) {
            inferred->elements = 0;
            return TARN_OK;
        }
        is_counted &= checked_multiply(elements, (size_t)inferred->shape.dims[i], &elements);
    }
    if (!is_counted || !checked_multiply(elements, tarn_element_size(inferred->type), &bytes) || bytes > PTRDIFF_MAX) {
        char text[TENSOR_SHAPE_TEXT];
        tarn_shape_to_string(&inferred->shape, text, sizeof text);
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the result of shape %s has more bytes than can be counted",
                         tarn_operation_name(operation), text);
    }
    inferred->elements = elements;
    return TARN_OK;
}

tarn_status tensor_infer_unary(tarn_operation operation, const tensor_argument *x, tensor_inferred *out_inferred) {
    if (operation > TARN_OPERATION_TANH) return refuse_sort(operation, "operation of one operand");
    tensor_inferred inferred = {.shape = *x->shape};
    tarn_status status = tensor_infer_type(operation, x->type, &inferred.computed);
    inferred.type = inferred.computed;
    if (status == TARN_OK) status = tensor_infer_finish(operation, &inferred);
    if (status == TARN_OK) *out_inferred = inferred;
    return status;
}

tarn_status tensor_infer_cast(const tensor_argument *x, tarn_element_type type, tensor_inferred *out_inferred) {
    if (tarn_element_size(type) == 0) return base_fail(TARN_INVALID_ARGUMENT, "cast: %d is no type", (int)type);
    tensor_inferred inferred = {.type = type, .computed = x->type, .shape = *x->shape};
    tarn_status status = tensor_infer_finish(TARN_OPERATION_COPY, &inferred);
    if (status == TARN_OK) *out_inferred = inferred;
    return status;
}

tarn_status tensor_infer_binary(tarn_operation operation, const tensor_argument *a, const tensor_argument *b,
                                tensor_inferred *out_inferred) {
    if (operation < TARN_OPERATION_ADD || operation > TARN_OPERATION_LESS_EQUAL)
        return refuse_sort(operation, "operation of two operands");
    tensor_inferred inferred = {.elements = 0};
    tarn_status status = tensor_infer_type(operation, tensor_promote(a, b), &inferred.computed);
    if (status == TARN_OK) status = tensor_infer_broadcast(operation, a->shape, b->shape, &inferred.shape);
    if (status != TARN_OK) return status;
    inferred.type = operation >= TARN_OPERATION_EQUAL ? TARN_ELEMENT_BOOL : inferred.computed;
    status = tensor_infer_finish(operation, &inferred);
    if (status == TARN_OK) *out_inferred = inferred;
    return status;
}

tarn_status tensor_infer_select(const tensor_argument *condition, const tensor_argument *a, const tensor_argument *b,
                                tensor_inferred *out_inferred) {
    if (condition->type != TARN_ELEMENT_BOOL) {
        return base_fail(TARN_INVALID_ARGUMENT, "select: the condition is of type %s, and has to be of bool",
                         tarn_element_name(condition->type));
    }
    tensor_inferred inferred = {.computed = tensor_promote(a, b)};
    inferred.type = inferred.computed;
    tarn_shape both;
    tarn_status status = tensor_infer_broadcast(TARN_OPERATION_SELECT, a->shape, b->shape, &both);
    if (status == TARN_OK)
        status = tensor_infer_broadcast(TARN_OPERATION_SELECT, condition->shape, &both, &inferred.shape);
    if (status == TARN_OK) status = tensor_infer_finish(TARN_OPERATION_SELECT, &inferred);
    if (status == TARN_OK) *out_inferred = inferred;
    return status;
}

/* What remains of a shape; and whether no elements are reduced to some, which MAX and MIN have no value for. */
static tarn_shape reduce_shape(const tarn_shape *shape, const tensor_reduce_attributes *attributes,
                               bool *out_reduces_nothing) {
    tarn_shape reduced = {.rank = 0};
    bool reduces_nothing = false;
    for (size_t i = 0; i < shape->rank; i++) {
        if ((attributes->dims >> i & 1) == 0) {
            reduced.dims[reduced.rank++] = shape->dims[i];
        } else {
            reduces_nothing |= shape->dims[i] == 0;
            if (attributes->keeps_dims) reduced.dims[reduced.rank++] = 1;
        }
    }
    *out_reduces_nothing = reduces_nothing;
    return reduced;
}

tarn_status tensor_infer_reduce(tarn_operation operation, const tensor_argument *x,
                                const tensor_reduce_attributes *attributes, tensor_inferred *out_inferred) {
    if (operation < TARN_OPERATION_SUM || operation > TARN_OPERATION_MIN) return refuse_sort(operation, "reduction");
    if (attributes->dims >> x->shape->rank != 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: dimensions 0x%" PRIx32 " of %zu", tarn_operation_name(operation),
                         attributes->dims, x->shape->rank);
    }
    tarn_element_type type;
    tarn_status status = tensor_infer_type(operation, x->type, &type);
    if (status != TARN_OK) return status;
    bool reduces_nothing;
    tensor_inferred inferred = {
        .type = type, .computed = type, .shape = reduce_shape(x->shape, attributes, &reduces_nothing)};
    status = tensor_infer_finish(operation, &inferred);
    if (status != TARN_OK) return status;
    bool has_identity = operation != TARN_OPERATION_MAX && operation != TARN_OPERATION_MIN;
    if (reduces_nothing && inferred.elements != 0 && !has_identity) {
        char text[TENSOR_SHAPE_TEXT];
        tarn_shape_to_string(x->shape, text, sizeof text);
        return base_fail(TARN_INVALID_ARGUMENT, "%s: over no elements of the shape %s there is none",
                         tarn_operation_name(operation), text);
    }
    *out_inferred = inferred;
    return TARN_OK;
}

tarn_status tensor_infer_dim(tarn_operation operation, const tarn_shape *shape, int dim, uint32_t *out_dim) {
    int rank = (int)shape->rank;
    if (dim >= -rank && dim < rank) {
        *out_dim = (uint32_t)(dim < 0 ? dim + rank : dim);
        return TARN_OK;
    }
    char text[TENSOR_SHAPE_TEXT];
    tarn_shape_to_string(shape, text, sizeof text);
    return base_fail(TARN_INVALID_ARGUMENT, "%s: the shape %s has no dimension %d", tarn_operation_name(operation),
                     text, dim);
}

tarn_status tensor_infer_dims(tarn_operation operation, const tarn_shape *shape, const int *dims, size_t count,
                              uint32_t *out_dims) {
    if (count == 0) {
        *out_dims = (UINT32_C(1) << shape->rank) - 1;
        return TARN_OK;
    }
    if (dims == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the list of %zu dimensions is NULL",
                         tarn_operation_name(operation), count);
    }
    uint32_t set = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t dim;
        tarn_status status = tensor_infer_dim(operation, shape, dims[i], &dim);
        if (status != TARN_OK) return status;
        if ((set >> dim & 1) != 0) {
            return base_fail(TARN_INVALID_ARGUMENT, "%s: dimension %d is named twice", tarn_operation_name(operation),
                             dims[i]);
        }
        set |= UINT32_C(1) << dim;
    }
    *out_dims = set;
    return TARN_OK;
}

size_t tensor_infer_argument_count(const tensor_node *node) {
    tarn_operation operation = node->operation;
    if (operation <= TARN_OPERATION_TANH) return 1;
    if (operation <= TARN_OPERATION_LESS_EQUAL) return 2;
    if (operation >= TARN_OPERATION_SUM && operation <= TARN_OPERATION_MIN) return 1;
    switch (operation) {
    case TARN_OPERATION_SELECT: return 3;
    case TARN_OPERATION_MATMUL: return node->attributes.matmul.has_bias ? 3 : 2;
    case TARN_OPERATION_CONV2D: return node->attributes.conv2d.has_bias ? 3 : 2;
    case TARN_OPERATION_MAX_POOL2D:
    case TARN_OPERATION_SOFTMAX: return 1;
    case TARN_OPERATION_LAYER_NORM:
        return (size_t)1 + (node->attributes.layer_norm.has_weight != 0) + (node->attributes.layer_norm.has_bias != 0);
    case TARN_OPERATION_GATHER: return 2;
    default: return 0;
    }
}

tarn_status tensor_infer(const tensor_node *node, const tensor_argument *arguments, tensor_inferred *out_inferred) {
    tarn_operation operation = node->operation;
    if (operation == TARN_OPERATION_COPY) return tensor_infer_cast(&arguments[0], node->attributes.cast, out_inferred);
    if (operation <= TARN_OPERATION_TANH) return tensor_infer_unary(operation, &arguments[0], out_inferred);
    if (operation < TARN_OPERATION_SELECT)
        return tensor_infer_binary(operation, &arguments[0], &arguments[1], out_inferred);
    switch (operation) {
    case TARN_OPERATION_SELECT: return tensor_infer_select(&arguments[0], &arguments[1], &arguments[2], out_inferred);
    case TARN_OPERATION_MATMUL: {
        const tarn_matmul_attributes *matmul = &node->attributes.matmul;
        return tensor_infer_matmul(&arguments[0], &arguments[1], matmul->has_bias ? &arguments[2] : NULL, matmul,
                                   out_inferred);
    }
    case TARN_OPERATION_CONV2D: {
        const tarn_conv2d_attributes *conv2d = &node->attributes.conv2d;
        return tensor_infer_conv2d(&arguments[0], &arguments[1], conv2d->has_bias ? &arguments[2] : NULL, conv2d,
                                   out_inferred);
    }
    case TARN_OPERATION_MAX_POOL2D:
        return tensor_infer_max_pool2d(&arguments[0], &node->attributes.pool2d, out_inferred);
    case TARN_OPERATION_SOFTMAX: return tensor_infer_softmax(&arguments[0], &node->attributes.softmax, out_inferred);
    case TARN_OPERATION_LAYER_NORM: {
        const tarn_layer_norm_attributes *norm = &node->attributes.layer_norm;
        const tensor_argument *weight = norm->has_weight ? &arguments[1] : NULL;
        const tensor_argument *bias = norm->has_bias ? &arguments[norm->has_weight ? 2 : 1] : NULL;
        return tensor_infer_layer_norm(&arguments[0], weight, bias, norm, out_inferred);
    }
    case TARN_OPERATION_GATHER:
        return tensor_infer_gather(&arguments[0], &arguments[1], &node->attributes.gather, out_inferred);
    default: return tensor_infer_reduce(operation, &arguments[0], &node->attributes.reduce, out_inferred);
    }
}
