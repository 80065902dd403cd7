/* Running an evaluation: memory for results and intermediates, then one pass after the other.
 *
 * A program's operands only need their addresses. Other operations are called as a user would call them, on tensors that are views of
 * what is there; so what they check and how they use streams stands in one place. */
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "expr/evaluation.h"
#include "expr/fold.h"
#include "hal/operation.h"
#include "tensor/overlap.h"
#include "tensor/tensor.h"

typedef struct evaluation_run {
    const tarn_evaluation *evaluation;
    tarn_allocator *allocator;
    tarn_stream *stream;
    tarn_tensor *block;    /* of all intermediates */
    tarn_tensor **results; /* that are computed into: new ones, or the caller's, retained */
} evaluation_run;

/* What the caller gave for results. */

static tarn_status refuse_result(size_t number, const char *why) {
    return base_fail(TARN_INVALID_ARGUMENT, "evaluation_run: result %zu %s", number, why);
}

static bool overlap(const tarn_tensor *a, const tarn_tensor *b) {
    tarn_operand operands[2];
    if (a->elements == 0 || b->elements == 0) return false;
    tensor_operand(a, NULL, &operands[0]);
    tensor_operand(b, NULL, &operands[1]);
    return tensor_operands_overlap(&operands[0], &operands[1]);
}

static tarn_status check_overlap(const tarn_evaluation *evaluation, tarn_tensor *const *results, size_t number) {
    for (size_t k = 0; k < number; k++) {
        if (results[k] != NULL && overlap(results[k], results[number])) {
            return refuse_result(number, "shares memory with another one");
        }
    }
    for (uint32_t v = 0; v < evaluation->values.count; v++) {
        const tarn_expr *expr = evaluation->values.items[v].expr;
        if (expr->kind == EXPR_TENSOR && overlap(expr->as.tensor, results[number])) {
            return refuse_result(number, "shares memory with a tensor that is read");
        }
    }
    return TARN_OK;
}

static tarn_status check_result(const evaluation_run *run, tarn_tensor *const *results, size_t number) {
    const tarn_tensor *result = results[number];
    const tarn_expr *expr = run->evaluation->exprs[number];
    tarn_status status = tensor_check(result, "evaluation_run", "a result");
    if (status != TARN_OK) return status;
    if (tarn_tensor_device(result) != tarn_allocator_device(run->allocator)) {
        return refuse_result(number, "is on another device than the allocator");
    }
    if (!tarn_shape_equals(&result->shape, &expr->shape)) {
        char texts[2][TENSOR_SHAPE_TEXT];
        tarn_shape_to_string(&expr->shape, texts[0], sizeof texts[0]);
        tarn_shape_to_string(&result->shape, texts[1], sizeof texts[1]);
        return base_fail(TARN_INVALID_ARGUMENT, "evaluation_run: result %zu has shape %s, and its tensor %s", number,
                         texts[0], texts[1]);
    }
    if (!tensor_type_can_cast(expr->type, result->type)) {
        return base_fail(TARN_INVALID_ARGUMENT, "evaluation_run: result %zu of type %s cannot be written to %s", number,
                         tarn_element_name(expr->type), tarn_element_name(result->type));
    }
    if (result->is_read_only) return refuse_result(number, "is read-only");
    return check_overlap(run->evaluation, results, number);
}

static tarn_status check(const tarn_evaluation *evaluation, const tarn_allocator *allocator,
                         tarn_tensor *const *results) {
    if (evaluation == NULL || allocator == NULL || results == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "evaluation_run: the %s is NULL",
                         evaluation == NULL  ? "evaluation"
                         : allocator == NULL ? "allocator"
                                             : "place for the results");
    }
    tarn_device *device = tarn_allocator_device(allocator);
    if (evaluation->device == NULL || evaluation->device == device) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "evaluation_run: the tensors are on %s, and the allocator on %s",
                     tarn_device_name(evaluation->device), tarn_device_name(device));
}

/* Memory. */

/* Programs write row-major results of their own type; anything else is copied to at the end. */
static bool is_written_directly(const tarn_tensor *result, const tarn_expr *expr) {
    return result != NULL && result->is_contiguous && result->type == expr->type;
}

static tarn_status take_memory(evaluation_run *run, tarn_tensor *const *given) {
    const tarn_evaluation *evaluation = run->evaluation;
    for (size_t k = 0; k < evaluation->count; k++) {
        const tarn_expr *expr = evaluation->exprs[k];
        tarn_status status = TARN_OK;
        if (is_written_directly(given[k], expr)) {
            run->results[k] = tarn_tensor_retain(given[k]);
            status = tensor_use(given[k], run->stream);
        } else {
            status = tensor_create(run->allocator, &expr->shape, expr->type, run->stream, &run->results[k]);
        }
        if (status != TARN_OK) return status;
    }
    tarn_buffer *buffer;
    tarn_status status = memory_layout_take(evaluation->memory, run->allocator, run->stream, "intermediates", &buffer);
    if (status != TARN_OK) return status;
    status = tensor_create_block(run->allocator, buffer, run->stream, &run->block);
    if (status != TARN_OK && buffer != NULL) (void)tarn_allocator_free(run->allocator, buffer, run->stream);
    return status;
}

static tarn_status use_tensors(const evaluation_run *run) {
    tarn_status status = TARN_OK;
    for (uint32_t v = 0; v < run->evaluation->values.count && status == TARN_OK; v++) {
        const tarn_expr *expr = run->evaluation->values.items[v].expr;
        if (expr->kind == EXPR_TENSOR) status = tensor_check(expr->as.tensor, "evaluation_run", "a tensor");
        if (expr->kind == EXPR_TENSOR && status == TARN_OK) status = tensor_use(expr->as.tensor, run->stream);
    }
    return status;
}

/* Where the memory of a base begins: that of a tensor, of a result, or a part of the block. */
static char *find_memory(const evaluation_run *run, uint32_t base) {
    const tarn_evaluation *evaluation = run->evaluation;
    if (evaluation->result_of[base] != EXPR_NONE) return run->results[evaluation->result_of[base]]->data;
    if (evaluation->place_of[base] != EXPR_NONE) {
        return run->block->data + evaluation->memory->offsets[evaluation->place_of[base]];
    }
    return evaluation->values.items[base].expr->as.tensor->data;
}

/* Programs. */

static tarn_status run_program(const evaluation_run *run, const expr_ready_pass *ready) {
    tarn_operand operands[TARN_PROGRAM_MAXIMUM_OPERANDS];
    tarn_backend_operation operation = *ready->operation;
    uint32_t count = operation.output_count + operation.input_count;
    memcpy(operands, operation.operands, count * sizeof operands[0]);
    for (uint32_t i = 0; i < count; i++) {
        operands[i].data = find_memory(run, ready->bases[i]) + ((char *)operands[i].data - EXPR_ANCHOR);
    }
    operation.operands = operands;
    return hal_operation_enqueue(run->stream, &operation);
}

/* Other operations. */

/* The tensor that owns a base, which the caller releases. */
static tarn_status make_base(const evaluation_run *run, uint32_t base, tarn_tensor **out_tensor) {
    const tarn_evaluation *evaluation = run->evaluation;
    const tarn_expr *expr = evaluation->values.items[base].expr;
    if (evaluation->result_of[base] != EXPR_NONE) {
        *out_tensor = tarn_tensor_retain(run->results[evaluation->result_of[base]]);
    } else if (expr->kind == EXPR_TENSOR && !evaluation->values.items[base].is_copy) {
        *out_tensor = tarn_tensor_retain(expr->as.tensor);
    } else {
        uint32_t place = evaluation->place_of[base];
        size_t offset = place != EXPR_NONE ? (size_t)evaluation->memory->offsets[place] : 0;
        return tensor_create_part(run->block, offset, &expr->shape, expr->type, out_tensor);
    }
    return TARN_OK;
}

static tarn_status make_tensor(const evaluation_run *run, uint32_t number, tarn_tensor **out_tensor) {
    const expr_value *value = &run->evaluation->values.items[number];
    const expr_layout *layout = &run->evaluation->layouts[number];
    if (value->is_constant) {
        tarn_tensor *made;
        tarn_status status = tarn_tensor_full(run->allocator, &value->expr->shape, value->expr->type,
                                              expr_scalar_of(&value->constant), run->stream, &made);
        if (status == TARN_OK) *out_tensor = made;
        return status;
    }
    tarn_tensor *base;
    tarn_status status = make_base(run, layout->base, &base);
    if (status != TARN_OK) return status;
    if (layout->base == number) {
        *out_tensor = base;
        return TARN_OK;
    }
    status = tensor_create_view(base, &value->expr->shape, layout->strides, layout->offset, out_tensor);
    (void)tarn_tensor_release(base);
    return status;
}

/* Calls the operation on its tensors, the bias last. */
static tarn_status call(const evaluation_run *run, const expr_pass *pass, tarn_tensor **operands, tarn_tensor *bias,
                        tarn_tensor *result) {
    const tensor_node *node = &run->evaluation->values.items[pass->operation].expr->as.node;
    const tarn_operation_options options = {
        .struct_size = sizeof options, .allocator = run->allocator, .stream = run->stream};
    switch (node->operation) {
    case TARN_OPERATION_MATMUL: return tarn_linear(operands[0], operands[1], bias, pass->activation, &options, &result);
    case TARN_OPERATION_CONV2D: {
        const tarn_conv2d_attributes *conv2d = &node->attributes.conv2d;
        tarn_conv2d_options own = {.struct_size = sizeof own,
                                   .groups = conv2d->groups,
                                   .activation =
                                       pass->activation != TARN_OPERATION_COPY ? pass->activation : conv2d->activation};
        memcpy(own.stride, conv2d->stride, sizeof own.stride);
        memcpy(own.padding, conv2d->padding, sizeof own.padding);
        memcpy(own.dilation, conv2d->dilation, sizeof own.dilation);
        return tarn_conv2d(operands[0], operands[1], operands[2], &own, &options, &result);
    }
    case TARN_OPERATION_MAX_POOL2D: {
        const tarn_pool2d_attributes *pool = &node->attributes.pool2d;
        tarn_max_pool2d_options own = {.struct_size = sizeof own};
        memcpy(own.kernel, pool->kernel, sizeof own.kernel);
        memcpy(own.stride, pool->stride, sizeof own.stride);
        memcpy(own.padding, pool->padding, sizeof own.padding);
        memcpy(own.dilation, pool->dilation, sizeof own.dilation);
        return tarn_max_pool2d(operands[0], &own, &options, &result);
    }
    case TARN_OPERATION_SOFTMAX:
        return tarn_softmax(operands[0], (int)node->attributes.softmax.axis, &options, &result);
    case TARN_OPERATION_LAYER_NORM: {
        const tarn_layer_norm_attributes *norm = &node->attributes.layer_norm;
        tarn_tensor *weight = norm->has_weight ? operands[1] : NULL;
        tarn_tensor *shift = norm->has_bias ? operands[norm->has_weight ? 2 : 1] : NULL;
        return tarn_layer_norm(operands[0], norm->normalized_dims, weight, shift, norm->epsilon, &options, &result);
    }
    case TARN_OPERATION_GATHER:
        return tarn_gather(operands[0], operands[1], (int)node->attributes.gather.axis, &options, &result);
    default: {
        int dims[TARN_MAXIMUM_RANK];
        size_t count = 0;
        for (int i = 0; i < TARN_MAXIMUM_RANK; i++)
            if ((node->attributes.reduce.dims >> i & 1u) != 0) dims[count++] = i;
        return tarn_reduce(node->operation, operands[0], dims, count, node->attributes.reduce.keeps_dims, &options,
                           &result);
    }
    }
}

static tarn_status run_operation(const evaluation_run *run, const expr_pass *pass) {
    const expr_value *value = &run->evaluation->values.items[pass->operation];
    tarn_tensor *operands[EXPR_OPERANDS] = {NULL}, *bias = NULL, *result = NULL;
    tarn_status status = TARN_OK;
    for (uint32_t i = 0; i < value->expr->operand_count && status == TARN_OK; i++)
        status = make_tensor(run, value->operands[i], &operands[i]);
    if (status == TARN_OK && pass->bias != EXPR_NONE) status = make_tensor(run, pass->bias, &bias);
    if (status == TARN_OK) status = make_tensor(run, pass->last, &result);
    if (status == TARN_OK) status = call(run, pass, operands, bias, result);
    for (int i = 0; i < EXPR_OPERANDS; i++) (void)tarn_tensor_release(operands[i]);
    (void)tarn_tensor_release(bias);
    (void)tarn_tensor_release(result);
    return status;
}

static tarn_status run_passes(const evaluation_run *run) {
    const tarn_evaluation *evaluation = run->evaluation;
    tarn_status status = TARN_OK;
    for (uint32_t p = 0; p < evaluation->passes.count && status == TARN_OK; p++) {
        const expr_pass *pass = &evaluation->passes.items[p];
        if (!pass->is_program) status = run_operation(run, pass);
        else if (evaluation->ready[p].operation != NULL) status = run_program(run, &evaluation->ready[p]);
    }
    return status;
}

/* Hands the results over; after a failure, releases them. */
static tarn_status finish(evaluation_run *run, tarn_status status, tarn_tensor **inout_results) {
    size_t count = run->evaluation->count;
    for (size_t k = 0; k < count && status == TARN_OK; k++) {
        if (inout_results[k] == NULL || inout_results[k] == run->results[k]) continue;
        status = tarn_tensor_copy(inout_results[k], run->results[k], run->stream);
    }
    for (size_t k = 0; k < count; k++) {
        if (status == TARN_OK && inout_results[k] == NULL) inout_results[k] = run->results[k];
        else (void)tarn_tensor_release(run->results[k]);
    }
    (void)tarn_tensor_release(run->block);
    base_free(run->results);
    return status;
}

tarn_status tarn_evaluation_run(tarn_evaluation *evaluation, tarn_allocator *allocator, tarn_stream *stream,
                                tarn_tensor **inout_results) {
    tarn_status status = check(evaluation, allocator, inout_results);
    if (status == TARN_OK) status = tensor_stream(tarn_allocator_device(allocator), stream, &stream);
    if (status != TARN_OK) return status;
    evaluation_run run = {.evaluation = evaluation, .allocator = allocator, .stream = stream};
    for (size_t k = 0; k < evaluation->count; k++) {
        if (inout_results[k] != NULL) status = check_result(&run, inout_results, k);
        if (status != TARN_OK) return status;
    }
    run.results = base_allocate(evaluation->count, sizeof(tarn_tensor *));
    if (run.results == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory to run an evaluation");
    status = take_memory(&run, inout_results);
    if (status == TARN_OK) status = use_tensors(&run);
    if (status == TARN_OK) status = run_passes(&run);
    return finish(&run, status, inout_results);
}

tarn_status tarn_expr_eval(tarn_expr *expr, tarn_allocator *allocator, tarn_tensor **out_tensor) {
    if (out_tensor == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for the tensor is NULL");
    tarn_evaluation *evaluation;
    tarn_status status = tarn_evaluation_create(&expr, 1, &evaluation);
    if (status != TARN_OK) return status;
    tarn_tensor *result = NULL;
    status = tarn_evaluation_run(evaluation, allocator, NULL, &result);
    tarn_evaluation_release(evaluation);
    if (status == TARN_OK) *out_tensor = result;
    return status;
}
