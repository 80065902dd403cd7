/* Building expressions: each function infers what the value will be like, and makes a node. */
#include <string.h>

#include "base/status.h"
#include "expr/fold.h"
#include "expr/node.h"
#include "tensor/tensor.h"
#include "tensor/view.h"

/* Leaves. */

tarn_expr *tarn_expr_of(tarn_tensor *tensor) {
    tarn_expr *expr = expr_create(EXPR_TENSOR, NULL, 0);
    if (expr->kind == EXPR_FAILURE) return expr;
    if (tensor == NULL) return expr_fail(expr, base_fail(TARN_INVALID_ARGUMENT, "the tensor of an expression is NULL"));
    expr->as.tensor = tarn_tensor_retain(tensor);
    expr->type = tarn_tensor_type(tensor);
    expr->shape = *tarn_tensor_shape(tensor);
    expr->elements = tarn_tensor_elements(tensor);
    return expr;
}

tarn_expr *tarn_expr_scalar(tarn_scalar value) {
    tarn_expr *expr = expr_create(EXPR_SCALAR, NULL, 0);
    if (expr->kind == EXPR_FAILURE) return expr;
    if ((unsigned)value.kind > TARN_SCALAR_FLOAT) {
        return expr_fail(expr, base_fail(TARN_INVALID_ARGUMENT, "%d is no kind of scalar", (int)value.kind));
    }
    expr->as.scalar = value;
    expr->type = tensor_argument_of_scalar(value.kind).type;
    expr->elements = 1;
    return expr;
}

tarn_expr *tarn_expr_float(double value) { return tarn_expr_scalar(tarn_scalar_float(value)); }
tarn_expr *tarn_expr_integer(int64_t value) { return tarn_expr_scalar(tarn_scalar_integer(value)); }

/* Operations. */

static tensor_argument argument_of(const tarn_expr *expr) {
    return (tensor_argument){.shape = &expr->shape, .type = expr->type, .is_scalar = expr->kind == EXPR_SCALAR};
}

/* Gives the node, which is new, its operation, and from it its shape and type. `status` is that of making the attributes. */
static tarn_expr *finish(tarn_expr *expr, tarn_status status, const tensor_node *node) {
    if (status != TARN_OK) return expr_fail(expr, status);
    tensor_argument arguments[EXPR_OPERANDS];
    for (uint32_t i = 0; i < expr->operand_count; i++) arguments[i] = argument_of(expr->operands[i]);
    tensor_inferred inferred;
    status = tensor_infer(node, arguments, &inferred);
    if (status != TARN_OK) return expr_fail(expr, status);
    expr->as.node = *node;
    expr->type = inferred.type;
    expr->computed = inferred.computed;
    expr->shape = inferred.shape;
    expr->elements = inferred.elements;
    return expr;
}

/* What is made of scalars alone is a scalar, with the digits of a double: 0.1 + 0.2 is not rounded to F32 before it meets an F64. A cast makes it
 * a value of its type instead. */
static tarn_expr *fold_scalars(tarn_expr *expr) {
    tarn_operation operation = expr->as.node.operation;
    if (expr->kind == EXPR_FAILURE || operation == TARN_OPERATION_COPY || !expr_is_elementwise(expr)) return expr;
    tarn_element_type computed = expr->computed == TARN_ELEMENT_F32 ? TARN_ELEMENT_F64 : expr->computed;
    tarn_constant operands[EXPR_OPERANDS], folded;
    for (uint32_t i = 0; i < expr->operand_count; i++) {
        if (expr->operands[i]->kind != EXPR_SCALAR) return expr;
        operands[i] = expr_constant_of(expr->operands[i]->as.scalar);
        bool is_condition = operation == TARN_OPERATION_SELECT && i == 0;
        if (!is_condition && !expr_fold_cast(&operands[i], computed, &operands[i])) return expr;
    }
    if (!expr_fold_step(operation, computed, operands, &folded)) return expr;
    for (uint32_t i = 0; i < expr->operand_count; i++) tarn_expr_release(expr->operands[i]);
    expr->kind = EXPR_SCALAR;
    expr->operand_count = 0;
    expr->as.scalar = expr_scalar_of(&folded);
    return expr;
}

static tarn_expr *create_operation(const tensor_node *node, tarn_expr *const *operands, size_t count) {
    tarn_expr *expr = expr_create(EXPR_OPERATION, operands, count);
    return expr->kind == EXPR_FAILURE ? expr : fold_scalars(finish(expr, TARN_OK, node));
}

/* INVALID_ARGUMENT for an operation that is not one of [first, last]. */
static tarn_status check_operation(tarn_operation operation, tarn_operation first, tarn_operation last,
                                   const char *sort) {
    if (operation >= first && operation <= last) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s (%d) is no operation of %s", tarn_operation_name(operation),
                     (int)operation, sort);
}

/* An elementwise operation, if it is one of [first, last]. */
static tarn_expr *create_elementwise(tarn_operation operation, tarn_operation first, tarn_operation last,
                                     const char *sort, tarn_expr *const *operands, size_t count) {
    tarn_expr *expr = expr_create(EXPR_OPERATION, operands, count);
    if (expr->kind == EXPR_FAILURE) return expr;
    tensor_node node = {.operation = operation};
    if (operation == TARN_OPERATION_COPY) node.attributes.cast = operands[0]->type;
    return fold_scalars(finish(expr, check_operation(operation, first, last, sort), &node));
}

tarn_expr *tarn_expr_unary(tarn_operation operation, tarn_expr *x) {
    return create_elementwise(operation, TARN_OPERATION_COPY, TARN_OPERATION_TANH, "one operand", &x, 1);
}

tarn_expr *tarn_expr_binary(tarn_operation operation, tarn_expr *a, tarn_expr *b) {
    return create_elementwise(operation, TARN_OPERATION_ADD, TARN_OPERATION_LESS_EQUAL, "two operands",
                              (tarn_expr *[]){a, b}, 2);
}

tarn_expr *tarn_expr_select(tarn_expr *condition, tarn_expr *a, tarn_expr *b) {
    return create_operation(&(tensor_node){.operation = TARN_OPERATION_SELECT}, (tarn_expr *[]){condition, a, b}, 3);
}

tarn_expr *tarn_expr_cast(tarn_expr *x, tarn_element_type type) {
    return create_operation(&(tensor_node){.operation = TARN_OPERATION_COPY, .attributes.cast = type}, &x, 1);
}

tarn_expr *tarn_expr_neg(tarn_expr *x) { return tarn_expr_unary(TARN_OPERATION_NEG, x); }
tarn_expr *tarn_expr_exp(tarn_expr *x) { return tarn_expr_unary(TARN_OPERATION_EXP, x); }
tarn_expr *tarn_expr_log(tarn_expr *x) { return tarn_expr_unary(TARN_OPERATION_LOG, x); }
tarn_expr *tarn_expr_sqrt(tarn_expr *x) { return tarn_expr_unary(TARN_OPERATION_SQRT, x); }
tarn_expr *tarn_expr_sin(tarn_expr *x) { return tarn_expr_unary(TARN_OPERATION_SIN, x); }
tarn_expr *tarn_expr_cos(tarn_expr *x) { return tarn_expr_unary(TARN_OPERATION_COS, x); }
tarn_expr *tarn_expr_relu(tarn_expr *x) { return tarn_expr_unary(TARN_OPERATION_RELU, x); }
tarn_expr *tarn_expr_sigmoid(tarn_expr *x) { return tarn_expr_unary(TARN_OPERATION_SIGMOID, x); }
tarn_expr *tarn_expr_tanh(tarn_expr *x) { return tarn_expr_unary(TARN_OPERATION_TANH, x); }
tarn_expr *tarn_expr_add(tarn_expr *a, tarn_expr *b) { return tarn_expr_binary(TARN_OPERATION_ADD, a, b); }
tarn_expr *tarn_expr_subtract(tarn_expr *a, tarn_expr *b) { return tarn_expr_binary(TARN_OPERATION_SUBTRACT, a, b); }
tarn_expr *tarn_expr_multiply(tarn_expr *a, tarn_expr *b) { return tarn_expr_binary(TARN_OPERATION_MULTIPLY, a, b); }
tarn_expr *tarn_expr_divide(tarn_expr *a, tarn_expr *b) { return tarn_expr_binary(TARN_OPERATION_DIVIDE, a, b); }
tarn_expr *tarn_expr_pow(tarn_expr *a, tarn_expr *b) { return tarn_expr_binary(TARN_OPERATION_POW, a, b); }
tarn_expr *tarn_expr_maximum(tarn_expr *a, tarn_expr *b) { return tarn_expr_binary(TARN_OPERATION_MAXIMUM, a, b); }
tarn_expr *tarn_expr_minimum(tarn_expr *a, tarn_expr *b) { return tarn_expr_binary(TARN_OPERATION_MINIMUM, a, b); }

tarn_expr *tarn_expr_reduce(tarn_operation operation, tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims) {
    tarn_expr *expr = expr_create(EXPR_OPERATION, &x, 1);
    if (expr->kind == EXPR_FAILURE) return expr;
    tensor_node node = {.operation = operation, .attributes.reduce.keeps_dims = keeps_dims != 0};
    tarn_status status = check_operation(operation, TARN_OPERATION_SUM, TARN_OPERATION_MIN, "reduction");
    if (status == TARN_OK) {
        status = tensor_infer_dims(operation, &x->shape, dims, dim_count, &node.attributes.reduce.dims);
    }
    return finish(expr, status, &node);
}

tarn_expr *tarn_expr_sum(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims) {
    return tarn_expr_reduce(TARN_OPERATION_SUM, x, dims, dim_count, keeps_dims);
}
tarn_expr *tarn_expr_mean(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims) {
    return tarn_expr_reduce(TARN_OPERATION_MEAN, x, dims, dim_count, keeps_dims);
}
tarn_expr *tarn_expr_prod(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims) {
    return tarn_expr_reduce(TARN_OPERATION_PROD, x, dims, dim_count, keeps_dims);
}
tarn_expr *tarn_expr_max(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims) {
    return tarn_expr_reduce(TARN_OPERATION_MAX, x, dims, dim_count, keeps_dims);
}
tarn_expr *tarn_expr_min(tarn_expr *x, const int *dims, size_t dim_count, int keeps_dims) {
    return tarn_expr_reduce(TARN_OPERATION_MIN, x, dims, dim_count, keeps_dims);
}

tarn_expr *tarn_expr_matmul(tarn_expr *a, tarn_expr *b) {
    return create_operation(
        &(tensor_node){.operation = TARN_OPERATION_MATMUL, .attributes.matmul.activation = TARN_OPERATION_COPY},
        (tarn_expr *[]){a, b}, 2);
}

tarn_expr *tarn_expr_conv2d(tarn_expr *x, tarn_expr *weight, tarn_expr *bias, const tarn_conv2d_options *conv2d) {
    bool has_bias = bias != NULL;
    tarn_expr *expr = expr_create(EXPR_OPERATION, (tarn_expr *[]){x, weight, bias}, has_bias ? 3 : 2);
    if (expr->kind == EXPR_FAILURE) return expr;
    tensor_node node = {.operation = TARN_OPERATION_CONV2D};
    return finish(expr, tensor_infer_conv2d_attributes(conv2d, has_bias, &node.attributes.conv2d), &node);
}

tarn_expr *tarn_expr_max_pool2d(tarn_expr *x, const tarn_max_pool2d_options *pool) {
    tarn_expr *expr = expr_create(EXPR_OPERATION, &x, 1);
    if (expr->kind == EXPR_FAILURE) return expr;
    tensor_node node = {.operation = TARN_OPERATION_MAX_POOL2D};
    return finish(expr, tensor_infer_pool2d_attributes(pool, &node.attributes.pool2d), &node);
}

tarn_expr *tarn_expr_softmax(tarn_expr *x, int dim) {
    tarn_expr *expr = expr_create(EXPR_OPERATION, &x, 1);
    if (expr->kind == EXPR_FAILURE) return expr;
    tensor_node node = {.operation = TARN_OPERATION_SOFTMAX};
    tarn_status status = tensor_infer_dim(node.operation, &x->shape, dim, &node.attributes.softmax.axis);
    return finish(expr, status, &node);
}

tarn_expr *tarn_expr_layer_norm(tarn_expr *x, size_t normalized_dims, tarn_expr *weight, tarn_expr *bias,
                                double epsilon) {
    tensor_node node = {.operation = TARN_OPERATION_LAYER_NORM,
                        .attributes.layer_norm = {.normalized_dims = (uint32_t)normalized_dims,
                                                  .has_weight = weight != NULL,
                                                  .has_bias = bias != NULL,
                                                  .epsilon = epsilon}};
    tarn_expr *operands[EXPR_OPERANDS] = {x};
    size_t count = 1;
    if (weight != NULL) operands[count++] = weight;
    if (bias != NULL) operands[count++] = bias;
    if (normalized_dims > TARN_MAXIMUM_RANK) node.attributes.layer_norm.normalized_dims = UINT32_MAX;
    return create_operation(&node, operands, count);
}

tarn_expr *tarn_expr_gather(tarn_expr *x, tarn_expr *indices, int dim) {
    tarn_expr *expr = expr_create(EXPR_OPERATION, (tarn_expr *[]){x, indices}, 2);
    if (expr->kind == EXPR_FAILURE) return expr;
    tensor_node node = {.operation = TARN_OPERATION_GATHER};
    tarn_status status = tensor_infer_dim(node.operation, &x->shape, dim, &node.attributes.gather.axis);
    return finish(expr, status, &node);
}

/* Views. */

/* A view of as many elements as its shape has. */
static tarn_expr *finish_view(tarn_expr *expr, tarn_status status) {
    if (status == TARN_OK) status = tarn_shape_elements(&expr->shape, &expr->elements);
    return status == TARN_OK ? expr : expr_fail(expr, status);
}

static tarn_expr *create_view(expr_kind kind, tarn_expr *x) {
    tarn_expr *expr = expr_create(kind, &x, 1);
    if (expr->kind == EXPR_FAILURE) return expr;
    expr->type = x->type;
    expr->shape = x->shape;
    return expr;
}

tarn_expr *tarn_expr_reshape(tarn_expr *x, const int64_t *dims, size_t rank) {
    tarn_expr *expr = create_view(EXPR_RESHAPE, x);
    if (expr->kind == EXPR_FAILURE) return expr;
    return finish_view(expr, tensor_view_shape("reshape", &x->shape, dims, rank, &expr->shape));
}

tarn_expr *tarn_expr_transpose(tarn_expr *x, const int *order) {
    tarn_expr *expr = create_view(EXPR_TRANSPOSE, x);
    if (expr->kind == EXPR_FAILURE) return expr;
    tarn_status status = tensor_view_order("transpose", &x->shape, order, expr->as.order);
    if (status == TARN_OK)
        for (size_t i = 0; i < x->shape.rank; i++) expr->shape.dims[i] = x->shape.dims[expr->as.order[i]];
    return finish_view(expr, status);
}

tarn_expr *tarn_expr_slice(tarn_expr *x, int dim, int64_t begin, int64_t end, int64_t step) {
    tarn_expr *expr = create_view(EXPR_SLICE, x);
    if (expr->kind == EXPR_FAILURE) return expr;
    tensor_slice slice;
    tarn_status status = tensor_view_slice("slice", &x->shape, dim, begin, end, step, &slice);
    if (status == TARN_OK) {
        expr->as.slice = (expr_slice){.dim = slice.dim, .begin = slice.begin, .step = slice.step};
        expr->shape.dims[slice.dim] = slice.count;
    }
    return finish_view(expr, status);
}

tarn_expr *tarn_expr_broadcast_to(tarn_expr *x, const tarn_shape *shape) {
    tarn_expr *expr = create_view(EXPR_BROADCAST, x);
    if (expr->kind == EXPR_FAILURE) return expr;
    size_t bytes;
    tarn_status status = tarn_shape_bytes(shape, x->type, &bytes);
    if (status == TARN_OK) status = tensor_check_broadcast(&x->shape, shape, "broadcast_to");
    if (status == TARN_OK) expr->shape = *shape;
    return finish_view(expr, status);
}
