/* Values: what has to be computed for some expressions, each once, in an order in which operands come first.
 *
 * Collecting them walks the graph of nodes, numbers each value that is new, folds what is constant, and leaves away what changes
 * nothing (a cast to the same type, a product with 1). What comes after (fuse.h) works on numbers alone. */
#ifndef EXPR_VALUES_H
#define EXPR_VALUES_H

#include "expr/node.h"

typedef struct expr_value {
    const tarn_expr *expr; /* what it is; lives as long as the expressions */
    uint32_t operands[EXPR_OPERANDS];
    uint32_t user_begin, user_end; /* in `users`: the values that take this one, each once, in ascending order */
    bool is_constant;              /* then it takes no operands */
    bool is_copy;                  /* of the elements of its first operand, in row-major order, to memory of its own */
    tarn_constant constant;
} expr_value;

typedef struct expr_values {
    expr_value *items;
    uint32_t count, capacity;
    uint32_t *users;
    uint32_t *results; /* the value of each expression */
    uint32_t result_count;
    /* Of operations, not views. */
    size_t operations, shared, folded;
} expr_values;

/* Collects the values of `count` expressions, which have not failed. OUT_OF_MEMORY; LIMIT_EXCEEDED: 2^31 values and more. The structure
 * is to be freed in any case. */
tarn_status expr_values_collect(tarn_expr *const *exprs, size_t count, expr_values *out_values);
void expr_values_free(expr_values *values);

/* Adds a value by itself, before users are counted. */
tarn_status expr_values_add(expr_values *values, const expr_value *value, uint32_t *out_number);
/* Finds out who takes which value. */
tarn_status expr_values_count_users(expr_values *values);

static inline uint32_t expr_value_operand_count(const expr_value *value) {
    return value->is_constant ? 0 : value->is_copy ? 1 : value->expr->operand_count;
}
/* Whether it is a step of a program. */
static inline bool expr_value_is_elementwise(const expr_value *value) {
    return !value->is_constant && (value->is_copy || expr_is_elementwise(value->expr));
}

#endif
