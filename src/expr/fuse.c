/* Making passes, from the last value to the first: a value whose users are all in one pass joins it, as long as that goes over the same
 * shape and its program stays within the limits.
 *
 * A value that is a result is stored by the pass that it joins. Since whoever else takes a member is in the same pass, passes have no
 * circles, and running them in the order of their last values has operands come first. */
#include "expr/fuse.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "expr/emit.h"

typedef struct pass_finder {
    const expr_values *values;
    const bool *is_result;
    expr_passes *passes;
    uint32_t capacity;
    expr_program program; /* for trying */
} pass_finder;

static tarn_status fail_memory(void) {
    return base_fail(TARN_OUT_OF_MEMORY, "no host memory to evaluate an expression");
}

/* The pass of all users of the value; EXPR_NONE when they are in several, or in none. */
static uint32_t pass_of_users(const pass_finder *finder, uint32_t number) {
    const expr_value *value = &finder->values->items[number];
    uint32_t pass = EXPR_NONE;
    for (uint32_t u = value->user_begin; u < value->user_end; u++) {
        uint32_t user_pass = finder->passes->pass_of[finder->values->users[u]];
        if (user_pass == EXPR_NONE || (pass != EXPR_NONE && pass != user_pass)) return EXPR_NONE;
        pass = user_pass;
    }
    return pass;
}

static uint32_t add_pass(pass_finder *finder, const expr_pass *pass) {
    expr_passes *passes = finder->passes;
    if (passes->count == finder->capacity) {
        uint32_t capacity = finder->capacity == 0 ? 16 : finder->capacity * 2;
        expr_pass *items = base_reallocate(passes->items, capacity, sizeof *items);
        if (items == NULL) return EXPR_NONE;
        passes->items = items;
        finder->capacity = capacity;
    }
    passes->items[passes->count] = *pass;
    return passes->count++;
}

static bool join(pass_finder *finder, uint32_t number) {
    expr_passes *passes = finder->passes;
    const expr_value *value = &finder->values->items[number];
    uint32_t place = pass_of_users(finder, number);
    if (place == EXPR_NONE || value->is_copy) return false;
    expr_pass *pass = &passes->items[place];
    if (!pass->is_program || (finder->is_result[number] && pass->reduction != EXPR_NONE)) return false;
    if (!tarn_shape_equals(expr_pass_space(finder->values, pass), &value->expr->shape)) return false;
    passes->next_member[number] = pass->first_member;
    passes->pass_of[number] = place;
    passes->is_stored[number] = finder->is_result[number];
    pass->first_member = number;
    if (expr_emit(finder->values, passes, place, &finder->program)) return true;
    pass->first_member = passes->next_member[number];
    passes->next_member[number] = EXPR_NONE;
    passes->pass_of[number] = EXPR_NONE;
    passes->is_stored[number] = false;
    return false;
}

/* The one value that takes this one, when this one is needed for nothing else and no pass has that value yet; EXPR_NONE otherwise. A sum
 * of two products is in the pass of the first, which takes the second one as its bias. */
static uint32_t only_user(const pass_finder *finder, uint32_t number) {
    const expr_value *value = &finder->values->items[number];
    if (value->user_end != value->user_begin + 1 || finder->is_result[number]) return EXPR_NONE;
    uint32_t user = finder->values->users[value->user_begin];
    return finder->passes->pass_of[user] == EXPR_NONE ? user : EXPR_NONE;
}

/* Whether the value is a step that keeps shape and type of the one that it follows. */
static bool follows(const expr_values *values, uint32_t number, uint32_t followed) {
    const expr_value *value = &values->items[number];
    const tarn_expr *before = values->items[followed].expr;
    return expr_value_is_elementwise(value) && !value->is_copy && value->expr->type == before->type &&
           value->expr->computed == before->type && tarn_shape_equals(&value->expr->shape, &before->shape) != 0;
}

/* What a matrix product is added to, if `number` does that. */
static uint32_t bias_of(const expr_values *values, uint32_t number, uint32_t product) {
    const expr_value *value = &values->items[number];
    if (!follows(values, number, product) || value->expr->as.node.operation != TARN_OPERATION_ADD) return EXPR_NONE;
    uint32_t other = value->operands[value->operands[0] == product ? 1 : 0];
    const expr_value *bias = &values->items[other];
    bool fits = other != product && !bias->is_constant && bias->expr->type == value->expr->type;
    return fits ? other : EXPR_NONE;
}

static bool is_activation(tarn_operation operation) {
    return operation == TARN_OPERATION_RELU || operation == TARN_OPERATION_SIGMOID || operation == TARN_OPERATION_TANH;
}

/* A pass of a matrix product or convolution takes in what follows it, which it computes on the way. */
static void take_followers(const pass_finder *finder, uint32_t number, expr_pass *pass) {
    const expr_values *values = finder->values;
    const tarn_expr *expr = values->items[number].expr;
    tarn_operation operation = expr->as.node.operation;
    if (operation != TARN_OPERATION_MATMUL && operation != TARN_OPERATION_CONV2D) return;
    if (operation == TARN_OPERATION_CONV2D && expr->as.node.attributes.conv2d.activation != TARN_OPERATION_COPY) return;
    uint32_t user = only_user(finder, pass->last);
    if (operation == TARN_OPERATION_MATMUL && user != EXPR_NONE) {
        pass->bias = bias_of(values, user, pass->last);
        if (pass->bias != EXPR_NONE) {
            pass->last = user;
            user = only_user(finder, user);
        }
    }
    if (user == EXPR_NONE || !follows(values, user, pass->last)) return;
    tarn_operation follower = values->items[user].expr->as.node.operation;
    if (!is_activation(follower)) return;
    pass->activation = follower;
    pass->last = user;
}

/* Passes of operations come first: what they take in joins no program. */
static bool find_operations(pass_finder *finder) {
    const expr_values *values = finder->values;
    for (uint32_t v = 0; v < values->count; v++) {
        const expr_value *value = &values->items[v];
        const tarn_expr *expr = value->expr;
        if (value->is_copy || expr->kind != EXPR_OPERATION || expr_is_elementwise(expr)) continue;
        /* A reduction of nothing has no program, but a value. */
        if (expr_is_reduction(expr) && values->items[value->operands[0]].expr->elements > 0) continue;
        expr_pass pass = {.last = v,
                          .operation = v,
                          .first_member = EXPR_NONE,
                          .reduction = EXPR_NONE,
                          .bias = EXPR_NONE,
                          .activation = TARN_OPERATION_COPY};
        take_followers(finder, v, &pass);
        uint32_t place = add_pass(finder, &pass);
        if (place == EXPR_NONE) return false;
        finder->passes->pass_of[v] = finder->passes->pass_of[pass.last] = place;
        if (pass.bias != EXPR_NONE) {
            for (uint32_t u = value->user_begin; u < value->user_end; u++)
                finder->passes->pass_of[values->users[u]] = place;
        }
        finder->passes->is_stored[pass.last] = true;
    }
    return true;
}

static bool find_programs(pass_finder *finder) {
    expr_passes *passes = finder->passes;
    for (uint32_t v = finder->values->count; v-- > 0;) {
        const expr_value *value = &finder->values->items[v];
        if (passes->pass_of[v] != EXPR_NONE || value->is_constant) continue;
        bool is_reduction = !value->is_copy && expr_is_reduction(value->expr);
        if (!is_reduction && !expr_value_is_elementwise(value)) continue;
        if (!is_reduction && join(finder, v)) continue;
        expr_pass pass = {.is_program = true,
                          .last = v,
                          .first_member = is_reduction ? EXPR_NONE : v,
                          .reduction = is_reduction ? v : EXPR_NONE,
                          .operation = EXPR_NONE,
                          .bias = EXPR_NONE};
        passes->pass_of[v] = add_pass(finder, &pass);
        if (passes->pass_of[v] == EXPR_NONE) return false;
        passes->is_stored[v] = true;
    }
    return true;
}

/* Sorts by the last value; passes become known by their new numbers. */
static bool sort_passes(const expr_values *values, expr_passes *passes) {
    expr_pass *sorted = base_allocate((size_t)passes->count + 1, sizeof *sorted);
    uint32_t *new_number = base_allocate((size_t)passes->count + 1, sizeof *new_number);
    bool is_done = sorted != NULL && new_number != NULL;
    if (is_done) {
        uint32_t count = 0;
        for (uint32_t v = 0; v < values->count; v++) {
            uint32_t pass = passes->pass_of[v];
            if (pass == EXPR_NONE || passes->items[pass].last != v) continue;
            new_number[pass] = count;
            sorted[count++] = passes->items[pass];
        }
        for (uint32_t v = 0; v < values->count; v++)
            if (passes->pass_of[v] != EXPR_NONE) passes->pass_of[v] = new_number[passes->pass_of[v]];
        if (count > 0) memcpy(passes->items, sorted, count * sizeof *sorted);
    }
    base_free(sorted);
    base_free(new_number);
    return is_done;
}

tarn_status expr_passes_find(const expr_values *values, const bool *is_result, expr_passes *out_passes) {
    size_t count = (size_t)values->count + 1;
    *out_passes = (expr_passes){.pass_of = base_allocate(count, sizeof(uint32_t)),
                                .next_member = base_allocate(count, sizeof(uint32_t)),
                                .is_stored = base_allocate(count, sizeof(bool))};
    pass_finder *finder = base_allocate(1, sizeof *finder);
    bool is_done = finder != NULL && out_passes->pass_of != NULL && out_passes->next_member != NULL &&
                   out_passes->is_stored != NULL;
    if (is_done) {
        *finder = (pass_finder){.values = values, .is_result = is_result, .passes = out_passes};
        for (uint32_t v = 0; v < values->count; v++) out_passes->pass_of[v] = out_passes->next_member[v] = EXPR_NONE;
        is_done = find_operations(finder) && find_programs(finder) && sort_passes(values, out_passes);
    }
    base_free(finder);
    return is_done ? TARN_OK : fail_memory();
}

void expr_passes_free(expr_passes *passes) {
    base_free(passes->items);
    base_free(passes->pass_of);
    base_free(passes->next_member);
    base_free(passes->is_stored);
}
