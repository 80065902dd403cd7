/* Expressions as a graph of nodes, inside the room.
 *
 * A node never changes, and holds a reference of each operand; so graphs have no circles, and are shared as they are. A node that
 * failed has no operands: it only remembers why. */
#ifndef EXPR_NODE_H
#define EXPR_NODE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <tarn/expr.h>

#include "tensor/infer.h"

/* A matrix product or convolution has three at most, with its bias. */
#define EXPR_OPERANDS 3

typedef enum expr_kind {
    EXPR_FAILURE = 0,
    EXPR_TENSOR,
    EXPR_SCALAR,
    EXPR_OPERATION,
    /* Views: the elements of the only operand under another shape. */
    EXPR_RESHAPE,
    EXPR_TRANSPOSE,
    EXPR_SLICE,
    EXPR_BROADCAST
} expr_kind;

typedef struct expr_slice {
    uint32_t dim;
    int64_t begin, step;
} expr_slice;

struct tarn_expr {
    atomic_uint references;
    expr_kind kind;
    uint32_t operand_count;
    tarn_element_type type;     /* of the value */
    tarn_element_type computed; /* of an operation: what the values that it takes are cast to */
    tarn_shape shape;
    size_t elements;
    tarn_expr *operands[EXPR_OPERANDS];
    union {
        tarn_tensor *tensor; /* a reference */
        tarn_scalar scalar;
        tensor_node node;
        uint32_t order[TARN_MAXIMUM_RANK]; /* dimension i is the operand's order[i] */
        expr_slice slice;
        struct {
            tarn_status status;
            char *sentence; /* NULL: there was no memory for it */
        } failure;
    } as;
    tarn_expr *next; /* while nodes are being freed */
};

/* An elementwise operation: a step of a program. */
static inline bool expr_is_elementwise(const tarn_expr *expr) {
    return expr->kind == EXPR_OPERATION && expr->as.node.operation <= TARN_OPERATION_SELECT;
}
static inline bool expr_is_reduction(const tarn_expr *expr) {
    return expr->kind == EXPR_OPERATION && expr->as.node.operation >= TARN_OPERATION_SUM &&
           expr->as.node.operation <= TARN_OPERATION_MIN;
}
static inline bool expr_is_view(const tarn_expr *expr) { return expr->kind >= EXPR_RESHAPE; }

/* A node with one reference, without shape, type and attributes, which takes over the operands' references. When an operand is NULL or has
 * failed, or when there is no host memory, a failure comes back instead, with the operands released. */
tarn_expr *expr_create(expr_kind kind, tarn_expr *const *operands, size_t count);
/* Has the node, which is the caller's alone, become a failure with the thread's last sentence. Returns it. */
tarn_expr *expr_fail(tarn_expr *expr, tarn_status status);
/* The status of a failure, whose sentence becomes the thread's last one; TARN_OK for any other node. */
tarn_status expr_check(const tarn_expr *expr);

#endif
