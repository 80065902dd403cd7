/* Preparing an evaluation: values, layouts, passes, programs, memory, one after the other. */
#include "expr/evaluation.h"

#include <string.h>

#include "base/memory.h"
#include "base/operation.h"
#include "base/status.h"
#include "base/structure.h"
#include "expr/lifetimes.h"
#include "tensor/tensor.h"

static tarn_status fail_memory(void) {
    return base_fail(TARN_OUT_OF_MEMORY, "no host memory to evaluate an expression");
}

/* All tensors are on one device. */
static tarn_status find_device(tarn_evaluation *evaluation) {
    for (uint32_t v = 0; v < evaluation->values.count; v++) {
        const tarn_expr *expr = evaluation->values.items[v].expr;
        if (expr->kind != EXPR_TENSOR) continue;
        tarn_device *device = tarn_tensor_device(expr->as.tensor);
        if (evaluation->device == NULL) evaluation->device = device;
        if (device == evaluation->device) continue;
        return base_fail(TARN_INVALID_ARGUMENT, "an expression has tensors on %s and on %s",
                         tarn_device_name(evaluation->device), tarn_device_name(device));
    }
    return TARN_OK;
}

/* Each result gets a value that is computed, and for it alone: what is none, or serves already, is copied. */
static tarn_status find_results(tarn_evaluation *evaluation) {
    expr_values *values = &evaluation->values;
    size_t most = (size_t)values->count + evaluation->count;
    evaluation->result_of = base_allocate(most + 1, sizeof *evaluation->result_of);
    if (evaluation->result_of == NULL) return fail_memory();
    for (size_t v = 0; v < most; v++) evaluation->result_of[v] = EXPR_NONE;
    for (uint32_t k = 0; k < evaluation->count; k++) {
        uint32_t number = values->results[k];
        const expr_value *value = &values->items[number];
        bool is_computed = !value->is_constant && value->expr->kind == EXPR_OPERATION;
        if (!is_computed || evaluation->result_of[number] != EXPR_NONE) {
            expr_value copy = {.expr = value->expr, .is_copy = true, .operands = {number}};
            tarn_status status = expr_values_add(values, &copy, &number);
            if (status != TARN_OK) return status;
        }
        evaluation->result_of[number] = k;
        values->results[k] = number;
    }
    return TARN_OK;
}

static tarn_status find_passes(tarn_evaluation *evaluation) {
    expr_values *values = &evaluation->values;
    evaluation->layouts = base_allocate((size_t)values->count + 1, sizeof *evaluation->layouts);
    bool *is_result = base_allocate((size_t)values->count + 1, sizeof *is_result);
    tarn_status status = TARN_OK;
    if (evaluation->layouts == NULL || is_result == NULL) {
        status = fail_memory();
    } else {
        for (uint32_t v = 0; v < values->count; v++) is_result[v] = evaluation->result_of[v] != EXPR_NONE;
        expr_layouts_find(values, evaluation->layouts);
        status = expr_values_count_users(values);
        if (status == TARN_OK) status = expr_passes_find(values, is_result, &evaluation->passes);
    }
    base_free(is_result);
    return status;
}

/* Programs. */

/* The value as an operand of the program: its elements, broadcast to the program's space. */
static void write_operand(const tarn_evaluation *evaluation, uint32_t number, const tarn_shape *space,
                          tarn_operand *out_operand) {
    const expr_layout *layout = &evaluation->layouts[number];
    const tarn_expr *expr = evaluation->values.items[number].expr;
    tarn_operand operand = {.type = expr->type, .rank = (uint32_t)space->rank};
    operand.data = EXPR_ANCHOR + layout->offset * (int64_t)tarn_element_size(expr->type);
    memcpy(operand.dims, space->dims, space->rank * sizeof space->dims[0]);
    size_t shift = space->rank - expr->shape.rank;
    for (size_t i = 0; i < expr->shape.rank; i++)
        if (expr->shape.dims[i] == space->dims[i + shift]) operand.strides[i + shift] = layout->strides[i];
    *out_operand = operand;
}

/* The result of a copy has the space's dimensions, whatever its own are; that of a reduction stands still along what is reduced. */
static void write_output(const tarn_evaluation *evaluation, uint32_t number, const tarn_shape *space, uint32_t reduced,
                         tarn_operand *out_operand) {
    const expr_layout *layout = &evaluation->layouts[number];
    const tarn_expr *expr = evaluation->values.items[number].expr;
    tarn_operand operand = {.data = EXPR_ANCHOR, .type = expr->type, .rank = (uint32_t)space->rank};
    memcpy(operand.dims, space->dims, space->rank * sizeof space->dims[0]);
    if (evaluation->values.items[number].is_copy) {
        (void)tarn_shape_strides(space, operand.strides);
    } else {
        bool keeps_dims = expr->shape.rank == space->rank;
        size_t own = 0;
        for (size_t i = 0; i < space->rank; i++) {
            bool is_reduced = (reduced >> i & 1u) != 0;
            if (!is_reduced) operand.strides[i] = layout->strides[own];
            if (!is_reduced || keeps_dims) own++;
        }
    }
    *out_operand = operand;
}

static tarn_status prepare_program(tarn_evaluation *evaluation, uint32_t number, const expr_program *emitted) {
    const expr_pass *pass = &evaluation->passes.items[number];
    const tarn_shape *space = expr_pass_space(&evaluation->values, pass);
    uint32_t count = emitted->output_count + emitted->input_count, reduced = 0;
    tarn_operation reduction = TARN_OPERATION_COPY;
    if (pass->reduction != EXPR_NONE) {
        const tensor_node *node = &evaluation->values.items[pass->reduction].expr->as.node;
        reduction = node->operation;
        reduced = node->attributes.reduce.dims;
    }
    tarn_operand operands[TARN_PROGRAM_MAXIMUM_OPERANDS];
    uint32_t *bases = base_allocate(count, sizeof *bases);
    if (bases == NULL) return fail_memory();
    for (uint32_t i = 0; i < emitted->output_count; i++) {
        write_output(evaluation, emitted->outputs[i], space, reduced, &operands[i]);
        bases[i] = emitted->outputs[i];
    }
    for (uint32_t i = 0; i < emitted->input_count; i++) {
        write_operand(evaluation, emitted->inputs[i], space, &operands[emitted->output_count + i]);
        bases[emitted->output_count + i] = evaluation->layouts[emitted->inputs[i]].base;
    }
    tensor_merge_operands(operands, count, true, &reduced);
    tarn_program program = {.step_count = emitted->step_count,
                            .constant_count = emitted->constant_count,
                            .steps = emitted->steps,
                            .constants = emitted->constants,
                            .results = emitted->results,
                            .reduction = reduction,
                            .reduced_dims = reduced};
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_PROGRAM,
                                        .output_count = emitted->output_count,
                                        .input_count = emitted->input_count,
                                        .operands = operands,
                                        .program = &program};
    evaluation->ready[number] = (expr_ready_pass){.operation = base_operation_copy(&operation), .bases = bases};
    return evaluation->ready[number].operation != NULL ? TARN_OK : fail_memory();
}

static bool has_elements(const tarn_shape *shape) {
    for (size_t i = 0; i < shape->rank; i++)
        if (shape->dims[i] == 0) return false;
    return true;
}

static tarn_status prepare_programs(tarn_evaluation *evaluation) {
    const expr_passes *passes = &evaluation->passes;
    evaluation->ready = base_allocate((size_t)passes->count + 1, sizeof *evaluation->ready);
    expr_program *emitted = base_allocate(1, sizeof *emitted);
    tarn_status status = evaluation->ready != NULL && emitted != NULL ? TARN_OK : fail_memory();
    for (uint32_t p = 0; p < passes->count && status == TARN_OK; p++) {
        const expr_pass *pass = &passes->items[p];
        if (!pass->is_program || !has_elements(expr_pass_space(&evaluation->values, pass))) continue;
        if (!expr_emit(&evaluation->values, passes, p, emitted)) {
            status = base_fail(TARN_INTERNAL, "a pass of an evaluation is no program");
        } else {
            status = prepare_program(evaluation, p, emitted);
        }
    }
    base_free(emitted);
    return status;
}

/* What can be asked. */

static void count(tarn_evaluation *evaluation) {
    tarn_evaluation_info *info = &evaluation->info;
    const expr_values *values = &evaluation->values;
    info->operations = values->operations;
    info->shared = values->shared;
    info->folded = values->folded;
    info->intermediates = evaluation->memory->count;
    info->intermediate_bytes = evaluation->memory->size;
    info->separate_bytes = evaluation->memory->total;
    info->lower_bound = evaluation->memory->lower_bound;
    for (uint32_t v = 0; v < values->count; v++) {
        const expr_value *value = &values->items[v];
        uint64_t bytes = value->expr->elements * tarn_element_size(value->expr->type);
        if (evaluation->result_of[v] != EXPR_NONE) info->result_bytes += bytes;
        else if (value->expr->kind == EXPR_OPERATION && !value->is_constant) info->unfused_bytes += bytes;
    }
    for (uint32_t p = 0; p < evaluation->passes.count; p++) {
        const expr_pass *pass = &evaluation->passes.items[p];
        if (!pass->is_program || evaluation->ready[p].operation != NULL) info->passes++;
    }
}

tarn_status tarn_evaluation_info_get(const tarn_evaluation *evaluation, tarn_evaluation_info *out_info) {
    if (evaluation == NULL || out_info == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the evaluation or the place for its figures is NULL");
    }
    return base_fill_structure(out_info, &evaluation->info, sizeof *out_info, "tarn_evaluation_info");
}

/* Life. */

static void destroy(tarn_evaluation *evaluation) {
    for (uint32_t p = 0; evaluation->ready != NULL && p < evaluation->passes.count; p++) {
        base_free(evaluation->ready[p].operation);
        base_free(evaluation->ready[p].bases);
    }
    base_free(evaluation->ready);
    memory_layout_destroy(evaluation->memory);
    base_free(evaluation->place_of);
    expr_passes_free(&evaluation->passes);
    base_free(evaluation->layouts);
    base_free(evaluation->result_of);
    expr_values_free(&evaluation->values);
    for (size_t i = 0; i < evaluation->count; i++) tarn_expr_release(evaluation->exprs[i]);
    base_free(evaluation->exprs);
    base_free(evaluation);
}

static tarn_status check_exprs(tarn_expr *const *exprs, size_t count) {
    if (exprs == NULL || count == 0 || count >= EXPR_NONE) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu expressions cannot be evaluated", exprs == NULL ? 0 : count);
    }
    for (size_t i = 0; i < count; i++) {
        tarn_status status = expr_check(exprs[i]);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

tarn_status tarn_evaluation_create(tarn_expr *const *exprs, size_t expr_count, tarn_evaluation **out_evaluation) {
    if (out_evaluation == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for the evaluation is NULL");
    tarn_status status = check_exprs(exprs, expr_count);
    if (status != TARN_OK) return status;
    tarn_evaluation *evaluation = base_allocate(1, sizeof *evaluation);
    if (evaluation == NULL) return fail_memory();
    atomic_init(&evaluation->references, 1);
    evaluation->exprs = base_allocate(expr_count, sizeof(tarn_expr *));
    if (evaluation->exprs == NULL) status = fail_memory();
    else
        for (; evaluation->count < expr_count; evaluation->count++)
            evaluation->exprs[evaluation->count] = tarn_expr_retain(exprs[evaluation->count]);
    if (status == TARN_OK) status = expr_values_collect(evaluation->exprs, expr_count, &evaluation->values);
    if (status == TARN_OK) status = find_device(evaluation);
    if (status == TARN_OK) status = find_results(evaluation);
    if (status == TARN_OK) status = find_passes(evaluation);
    if (status == TARN_OK) status = prepare_programs(evaluation);
    if (status == TARN_OK) status = expr_lay_out_memory(evaluation);
    if (status != TARN_OK) {
        destroy(evaluation);
        return status;
    }
    count(evaluation);
    *out_evaluation = evaluation;
    return TARN_OK;
}

tarn_evaluation *tarn_evaluation_retain(tarn_evaluation *evaluation) {
    if (evaluation != NULL) atomic_fetch_add_explicit(&evaluation->references, 1, memory_order_relaxed);
    return evaluation;
}

void tarn_evaluation_release(tarn_evaluation *evaluation) {
    if (evaluation == NULL) return;
    /* Release and acquire: what other threads did with the evaluation comes before its end. */
    if (atomic_fetch_sub_explicit(&evaluation->references, 1, memory_order_acq_rel) > 1) return;
    destroy(evaluation);
}
