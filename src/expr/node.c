/* Nodes: counting them, and failures that travel with the graph instead of being returned.
 *
 * A chain of a million operations is an ordinary expression, so nothing here calls itself: nodes whose last reference is gone are
 * put on a list. When there is no memory for a node there is none for its sentence either, and one node that is never freed
 * stands for all such failures. */
#include "expr/node.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"

static tarn_expr without_memory = {.references = 1, .kind = EXPR_FAILURE, .as.failure.status = TARN_OUT_OF_MEMORY};

static bool is_counted(const tarn_expr *expr) { return expr != &without_memory; }

tarn_expr *tarn_expr_retain(tarn_expr *expr) {
    if (expr != NULL && is_counted(expr)) atomic_fetch_add_explicit(&expr->references, 1, memory_order_relaxed);
    return expr;
}

/* Drops a reference; true when it was the last. */
static bool drop(tarn_expr *expr) {
    if (expr == NULL || !is_counted(expr)) return false;
    /* Release and acquire: what other threads did with the node comes before its end. */
    return atomic_fetch_sub_explicit(&expr->references, 1, memory_order_acq_rel) == 1;
}

void tarn_expr_release(tarn_expr *expr) {
    if (!drop(expr)) return;
    expr->next = NULL;
    while (expr != NULL) {
        tarn_expr *freed = expr;
        expr = expr->next;
        for (uint32_t i = 0; i < freed->operand_count; i++) {
            tarn_expr *operand = freed->operands[i];
            if (!drop(operand)) continue;
            operand->next = expr;
            expr = operand;
        }
        if (freed->kind == EXPR_TENSOR) tarn_tensor_release(freed->as.tensor);
        if (freed->kind == EXPR_FAILURE) base_free(freed->as.failure.sentence);
        base_free(freed);
    }
}

static void release_all(tarn_expr *const *operands, size_t count) {
    for (size_t i = 0; i < count; i++) tarn_expr_release(operands[i]);
}

tarn_expr *expr_fail(tarn_expr *expr, tarn_status status) {
    release_all(expr->operands, expr->operand_count);
    expr->operand_count = 0;
    expr->kind = EXPR_FAILURE;
    expr->as.failure.status = status;
    expr->as.failure.sentence = base_duplicate(tarn_last_error());
    return expr;
}

/* The operand that has failed, whose reference passes to the caller; NULL when none has. The others are released then. */
static tarn_expr *take_failure(tarn_expr *const *operands, size_t count) {
    for (size_t i = 0; i < count; i++) {
        tarn_expr *failed = operands[i];
        if (failed == NULL || failed->kind != EXPR_FAILURE) continue;
        release_all(operands, i);
        release_all(operands + i + 1, count - i - 1);
        return failed;
    }
    return NULL;
}

tarn_expr *expr_create(expr_kind kind, tarn_expr *const *operands, size_t count) {
    tarn_expr *failed = take_failure(operands, count);
    if (failed != NULL) return failed;
    tarn_expr *expr = base_allocate(1, sizeof *expr);
    if (expr == NULL) {
        release_all(operands, count);
        return &without_memory;
    }
    atomic_init(&expr->references, 1);
    expr->kind = kind;
    expr->operand_count = (uint32_t)count;
    bool is_whole = true;
    for (size_t i = 0; i < count; i++) {
        expr->operands[i] = operands[i];
        if (operands[i] == NULL) is_whole = false;
    }
    if (is_whole) return expr;
    return expr_fail(expr, base_fail(TARN_INVALID_ARGUMENT, "an operand of an expression is NULL"));
}

tarn_status expr_check(const tarn_expr *expr) {
    if (expr == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the expression is NULL");
    if (expr->kind != EXPR_FAILURE) return TARN_OK;
    const char *sentence = expr->as.failure.sentence;
    return base_fail(expr->as.failure.status, "%s", sentence != NULL ? sentence : "no host memory for an expression");
}

tarn_status tarn_expr_shape(const tarn_expr *expr, tarn_shape *out_shape) {
    if (out_shape == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for the expression's shape is NULL");
    tarn_status status = expr_check(expr);
    if (status == TARN_OK) *out_shape = expr->shape;
    return status;
}

tarn_status tarn_expr_type(const tarn_expr *expr, tarn_element_type *out_type) {
    if (out_type == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for the expression's type is NULL");
    tarn_status status = expr_check(expr);
    if (status == TARN_OK) *out_type = expr->type;
    return status;
}
