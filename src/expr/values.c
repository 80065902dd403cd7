/* Collecting values. The graph is walked with a stack of its own, since expressions may be deeper than the thread's. */
#include "expr/values.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "expr/fold.h"
#include "expr/table.h"

#define MOST_VALUES ((uint32_t)1 << 31)

typedef struct visit {
    const tarn_expr *expr;
    uint32_t operand; /* which is looked at next */
} visit;

typedef struct value_collector {
    expr_values *values;
    expr_table nodes;       /* nodes that have a value, by their address */
    expr_table known;       /* values, by what they are */
    const tarn_expr **seen; /* for `nodes`: what its numbers stand for */
    uint32_t *seen_values;
    uint32_t seen_count, seen_capacity;
    visit *stack;
    size_t depth, stack_capacity;
} value_collector;

static tarn_status fail_memory(void) {
    return base_fail(TARN_OUT_OF_MEMORY, "no host memory to evaluate an expression");
}

/* Makes room for one more; false when there is none. */
static bool grow(void **items, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) return true;
    size_t grown = *capacity == 0 ? 32 : *capacity * 2;
    void *moved = base_reallocate(*items, grown, size);
    if (moved == NULL) return false;
    *items = moved;
    *capacity = grown;
    return true;
}

tarn_status expr_values_add(expr_values *values, const expr_value *value, uint32_t *out_number) {
    if (values->count == MOST_VALUES) {
        return base_fail(TARN_LIMIT_EXCEEDED, "an expression of more than %u values", MOST_VALUES);
    }
    size_t capacity = values->capacity;
    void *items = values->items;
    if (!grow(&items, values->count, &capacity, sizeof *value)) return fail_memory();
    values->items = items;
    values->capacity = (uint32_t)capacity;
    *out_number = values->count;
    values->items[values->count++] = *value;
    return TARN_OK;
}

/* What two nodes have in common. */

static bool equal_shapes(const tarn_expr *a, const tarn_expr *b) {
    return a->type == b->type && tarn_shape_equals(&a->shape, &b->shape) != 0;
}

static bool equal_scalars(tarn_scalar a, tarn_scalar b) {
    if (a.kind != b.kind) return false;
    return a.kind == TARN_SCALAR_FLOAT ? expr_same_float(a.floating, b.floating) : a.integer == b.integer;
}

static bool equal_tensors(tarn_tensor *a, tarn_tensor *b) {
    if (a == b) return true;
    return tarn_tensor_data(a) == tarn_tensor_data(b) && tarn_tensor_device(a) == tarn_tensor_device(b) &&
           memcmp(tarn_tensor_strides(a), tarn_tensor_strides(b), tarn_tensor_shape(a)->rank * sizeof(int64_t)) == 0;
}

static bool equal_pairs(const int64_t *a, const int64_t *b) { return a[0] == b[0] && a[1] == b[1]; }

static bool equal_operations(const tensor_node *a, const tensor_node *b) {
    if (a->operation != b->operation) return false;
    switch (a->operation) {
    case TARN_OPERATION_SUM:
    case TARN_OPERATION_MEAN:
    case TARN_OPERATION_PROD:
    case TARN_OPERATION_MAX:
    case TARN_OPERATION_MIN: return a->attributes.reduce.dims == b->attributes.reduce.dims;
    case TARN_OPERATION_CONV2D: {
        const tarn_conv2d_attributes *x = &a->attributes.conv2d, *y = &b->attributes.conv2d;
        return equal_pairs(x->stride, y->stride) && equal_pairs(x->padding, y->padding) &&
               equal_pairs(x->dilation, y->dilation) && x->groups == y->groups && x->activation == y->activation;
    }
    case TARN_OPERATION_MAX_POOL2D: {
        const tarn_pool2d_attributes *x = &a->attributes.pool2d, *y = &b->attributes.pool2d;
        return equal_pairs(x->kernel, y->kernel) && equal_pairs(x->stride, y->stride) &&
               equal_pairs(x->padding, y->padding) && equal_pairs(x->dilation, y->dilation);
    }
    case TARN_OPERATION_SOFTMAX: return a->attributes.softmax.axis == b->attributes.softmax.axis;
    case TARN_OPERATION_GATHER: return a->attributes.gather.axis == b->attributes.gather.axis;
    case TARN_OPERATION_LAYER_NORM: {
        const tarn_layer_norm_attributes *x = &a->attributes.layer_norm, *y = &b->attributes.layer_norm;
        return x->normalized_dims == y->normalized_dims && x->has_weight == y->has_weight &&
               x->has_bias == y->has_bias && expr_same_float(x->epsilon, y->epsilon);
    }
    default: return true; /* the type that is cast to is the value's */
    }
}

/* Whether two nodes of one shape and type, with the same operands, have the same value. */
static bool equal_nodes(const tarn_expr *a, const tarn_expr *b) {
    switch (a->kind) {
    case EXPR_TENSOR: return equal_tensors(a->as.tensor, b->as.tensor);
    case EXPR_SCALAR: return equal_scalars(a->as.scalar, b->as.scalar);
    case EXPR_OPERATION: return equal_operations(&a->as.node, &b->as.node);
    case EXPR_TRANSPOSE: return memcmp(a->as.order, b->as.order, a->shape.rank * sizeof a->as.order[0]) == 0;
    case EXPR_SLICE:
        return a->as.slice.dim == b->as.slice.dim && a->as.slice.begin == b->as.slice.begin &&
               a->as.slice.step == b->as.slice.step;
    default: return true;
    }
}

typedef struct wanted {
    const expr_values *values;
    const expr_value *value;
} wanted;

static bool is_wanted(const void *context, uint32_t number) {
    const wanted *looked_for = context;
    const expr_value *present = &looked_for->values->items[number], *value = looked_for->value;
    if (present->expr->kind != value->expr->kind || present->is_constant != value->is_constant) return false;
    if (memcmp(present->operands, value->operands, sizeof value->operands) != 0) return false;
    return equal_shapes(present->expr, value->expr) && equal_nodes(present->expr, value->expr);
}

static uint64_t hash_value(const expr_value *value) {
    const tarn_expr *expr = value->expr;
    uint64_t hash = expr_hash((uint64_t)expr->kind, (uint64_t)expr->type);
    for (uint32_t i = 0; i < expr->operand_count; i++) hash = expr_hash(hash, value->operands[i]);
    if (expr->kind == EXPR_OPERATION) hash = expr_hash(hash, (uint64_t)expr->as.node.operation);
    if (expr->kind == EXPR_TENSOR) hash = expr_hash(hash, (uintptr_t)tarn_tensor_data(expr->as.tensor));
    if (expr->kind == EXPR_SCALAR) {
        uint64_t bits = (uint64_t)expr->as.scalar.integer;
        if (expr->as.scalar.kind == TARN_SCALAR_FLOAT) memcpy(&bits, &expr->as.scalar.floating, sizeof bits);
        hash = expr_hash(hash, bits);
    }
    for (size_t i = 0; i < expr->shape.rank; i++) hash = expr_hash(hash, (uint64_t)expr->shape.dims[i]);
    return hash;
}

/* Folding, and leaving away. */

static bool fold(const expr_values *values, expr_value *value) {
    const tarn_expr *expr = value->expr;
    if (expr->kind == EXPR_SCALAR) {
        value->constant = expr_constant_of(expr->as.scalar);
        return true;
    }
    if (!expr_is_elementwise(expr)) return false;
    tarn_operation operation = expr->as.node.operation;
    tarn_constant operands[EXPR_OPERANDS] = {{.integer = 0}};
    for (uint32_t i = 0; i < expr->operand_count; i++) {
        const expr_value *operand = &values->items[value->operands[i]];
        if (!operand->is_constant || operand->expr->shape.rank > 0) return false;
        bool is_taken_as_it_is = operation == TARN_OPERATION_COPY || (operation == TARN_OPERATION_SELECT && i == 0);
        operands[i] = operand->constant;
        if (!is_taken_as_it_is && !expr_fold_cast(&operand->constant, expr->computed, &operands[i])) return false;
    }
    tarn_constant folded;
    return expr_fold_step(operation, expr->computed, operands, &folded) &&
           expr_fold_cast(&folded, expr->type, &value->constant);
}

static bool is_one(const expr_value *value) {
    if (!value->is_constant) return false;
    return value->constant.type == TARN_ELEMENT_F32 || value->constant.type == TARN_ELEMENT_F64
               ? value->constant.floating == 1
               : value->constant.integer == 1;
}

/* Whether the value is that of operand number `i`, whose number is written then. */
static bool is_operand(const expr_values *values, const expr_value *value, uint32_t *out_number) {
    const tarn_expr *expr = value->expr;
    uint32_t kept = 0;
    if (expr->kind == EXPR_OPERATION) {
        tarn_operation operation = expr->as.node.operation;
        if (operation == TARN_OPERATION_MULTIPLY && is_one(&values->items[value->operands[0]])) kept = 1;
        else if (operation == TARN_OPERATION_MULTIPLY || operation == TARN_OPERATION_DIVIDE) {
            if (!is_one(&values->items[value->operands[1]])) return false;
        } else if (operation != TARN_OPERATION_COPY) {
            return false;
        }
    } else if (expr->kind == EXPR_TRANSPOSE) {
        for (uint32_t i = 0; i < expr->shape.rank; i++)
            if (expr->as.order[i] != i) return false;
    } else if (expr->kind == EXPR_SLICE) {
        if (expr->as.slice.begin != 0 || expr->as.slice.step != 1) return false;
    } else if (!expr_is_view(expr)) {
        return false;
    }
    const expr_value *operand = &values->items[value->operands[kept]];
    /* A scalar has the digits of a double, which its own type would take from it. */
    if (operand->expr->kind == EXPR_SCALAR || !equal_shapes(operand->expr, expr)) return false;
    *out_number = value->operands[kept];
    return true;
}

static bool is_commutative(const tarn_expr *expr) {
    if (expr->kind != EXPR_OPERATION) return false;
    tarn_operation operation = expr->as.node.operation;
    return operation == TARN_OPERATION_ADD || operation == TARN_OPERATION_MULTIPLY || operation == TARN_OPERATION_EQUAL;
}

/* The number of the node's value, whose operands have theirs: a known one, or a new one. */
static tarn_status number_value(value_collector *collector, expr_value *value, uint32_t *out_number) {
    expr_values *values = collector->values;
    bool is_operation = value->expr->kind == EXPR_OPERATION;
    if (is_operation) values->operations++;
    if (is_operand(values, value, out_number)) {
        if (is_operation) values->folded++;
        return TARN_OK;
    }
    if (is_commutative(value->expr) && value->operands[0] > value->operands[1]) {
        uint32_t first = value->operands[0];
        value->operands[0] = value->operands[1];
        value->operands[1] = first;
    }
    value->is_constant = fold(values, value);
    uint64_t hash = hash_value(value);
    wanted looked_for = {.values = values, .value = value};
    if (expr_table_find(&collector->known, hash, is_wanted, &looked_for, out_number)) {
        if (is_operation) values->shared++;
        return TARN_OK;
    }
    if (is_operation && value->is_constant) values->folded++;
    tarn_status status = expr_values_add(values, value, out_number);
    if (status != TARN_OK) return status;
    return expr_table_add(&collector->known, hash, *out_number) ? TARN_OK : fail_memory();
}

/* Walking. */

typedef struct sought_node {
    const value_collector *collector;
    const tarn_expr *expr;
} sought_node;

static bool is_that_node(const void *context, uint32_t number) {
    const sought_node *sought = context;
    return sought->collector->seen[number] == sought->expr;
}

static uint64_t hash_node(const tarn_expr *expr) { return expr_hash(0, (uintptr_t)expr); }

static bool find_node(const value_collector *collector, const tarn_expr *expr, uint32_t *out_value) {
    uint32_t place;
    sought_node sought = {.collector = collector, .expr = expr};
    if (!expr_table_find(&collector->nodes, hash_node(expr), is_that_node, &sought, &place)) return false;
    *out_value = collector->seen_values[place];
    return true;
}

static tarn_status note_node(value_collector *collector, const tarn_expr *expr, uint32_t value) {
    size_t capacity = collector->seen_capacity;
    void *seen = (void *)collector->seen;
    if (!grow(&seen, collector->seen_count, &capacity, sizeof *collector->seen)) return fail_memory();
    collector->seen = seen;
    size_t value_capacity = collector->seen_capacity;
    void *seen_values = collector->seen_values;
    if (!grow(&seen_values, collector->seen_count, &value_capacity, sizeof *collector->seen_values)) {
        return fail_memory();
    }
    collector->seen_values = seen_values;
    collector->seen_capacity = (uint32_t)value_capacity;
    uint32_t place = collector->seen_count++;
    collector->seen[place] = expr;
    collector->seen_values[place] = value;
    return expr_table_add(&collector->nodes, hash_node(expr), place) ? TARN_OK : fail_memory();
}

static tarn_status push(value_collector *collector, const tarn_expr *expr) {
    void *stack = collector->stack;
    if (!grow(&stack, collector->depth, &collector->stack_capacity, sizeof *collector->stack)) return fail_memory();
    collector->stack = stack;
    collector->stack[collector->depth++] = (visit){.expr = expr};
    return TARN_OK;
}

/* All operands of the node have values. */
static tarn_status finish_node(value_collector *collector, const tarn_expr *expr) {
    expr_value value = {.expr = expr};
    for (uint32_t i = 0; i < expr->operand_count; i++) find_node(collector, expr->operands[i], &value.operands[i]);
    uint32_t number;
    tarn_status status = number_value(collector, &value, &number);
    return status == TARN_OK ? note_node(collector, expr, number) : status;
}

static tarn_status collect(value_collector *collector, const tarn_expr *root) {
    uint32_t number;
    if (find_node(collector, root, &number)) return TARN_OK;
    tarn_status status = push(collector, root);
    while (status == TARN_OK && collector->depth > 0) {
        visit *top = &collector->stack[collector->depth - 1];
        if (top->operand < top->expr->operand_count) {
            const tarn_expr *operand = top->expr->operands[top->operand++];
            if (!find_node(collector, operand, &number)) status = push(collector, operand);
        } else {
            collector->depth--;
            const tarn_expr *expr = top->expr;
            /* It may have been reached on two ways. */
            if (!find_node(collector, expr, &number)) status = finish_node(collector, expr);
        }
    }
    return status;
}

tarn_status expr_values_collect(tarn_expr *const *exprs, size_t count, expr_values *out_values) {
    *out_values = (expr_values){.result_count = (uint32_t)count};
    value_collector collector = {.values = out_values};
    out_values->results = base_allocate(count + 1, sizeof *out_values->results);
    tarn_status status = out_values->results != NULL ? TARN_OK : fail_memory();
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        status = collect(&collector, exprs[i]);
        if (status == TARN_OK) find_node(&collector, exprs[i], &out_values->results[i]);
    }
    expr_table_free(&collector.nodes);
    expr_table_free(&collector.known);
    base_free((void *)collector.seen);
    base_free(collector.seen_values);
    base_free(collector.stack);
    return status;
}

tarn_status expr_values_count_users(expr_values *values) {
    size_t total = 0;
    for (uint32_t v = 0; v < values->count; v++) total += expr_value_operand_count(&values->items[v]);
    values->users = base_allocate(total + 1, sizeof *values->users);
    uint32_t *next = base_allocate((size_t)values->count + 1, sizeof *next);
    if (values->users == NULL || next == NULL) {
        base_free(next);
        return fail_memory();
    }
    for (uint32_t v = 0; v < values->count; v++) {
        for (uint32_t i = 0; i < expr_value_operand_count(&values->items[v]); i++)
            next[values->items[v].operands[i] + 1]++;
    }
    for (uint32_t v = 0; v < values->count; v++) {
        next[v + 1] += next[v];
        values->items[v].user_begin = values->items[v].user_end = next[v];
    }
    for (uint32_t v = 0; v < values->count; v++) {
        for (uint32_t i = 0; i < expr_value_operand_count(&values->items[v]); i++) {
            expr_value *operand = &values->items[values->items[v].operands[i]];
            bool is_noted = operand->user_end > operand->user_begin && values->users[operand->user_end - 1] == v;
            if (!is_noted) values->users[operand->user_end++] = v;
        }
    }
    base_free(next);
    return TARN_OK;
}

void expr_values_free(expr_values *values) {
    base_free(values->items);
    base_free(values->users);
    base_free(values->results);
}
