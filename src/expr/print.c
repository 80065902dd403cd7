/* An evaluation as a text: one pass in a line, with its steps, what it reads and what it writes. */
#include <inttypes.h>

#include <tarn/size.h>

#include "base/text.h"
#include "expr/evaluation.h"

#define SHAPE_TEXT 192

/* "x3 f32[2, 3]": the value's number, its type and its shape; results and tensors by names of their own. */
static void put_value(base_text *text, const tarn_evaluation *evaluation, uint32_t number) {
    const expr_value *value = &evaluation->values.items[number];
    char shape[SHAPE_TEXT];
    tarn_shape_to_string(&value->expr->shape, shape, sizeof shape);
    const char *sort = "value ";
    uint32_t shown = number;
    if (evaluation->result_of[number] != EXPR_NONE) {
        sort = "result ";
        shown = evaluation->result_of[number];
    } else if (value->is_constant) {
        sort = "constant ";
    } else if (value->expr->kind == EXPR_TENSOR && !value->is_copy) {
        sort = "tensor ";
    }
    base_text_put(text, "%s%" PRIu32 " %s%s", sort, shown, tarn_element_name(value->expr->type), shape);
}

/* Where a value that the pass writes lies. */
static void put_place(base_text *text, const tarn_evaluation *evaluation, uint32_t number) {
    uint32_t place = evaluation->place_of[number];
    put_value(text, evaluation, number);
    if (place != EXPR_NONE) base_text_put(text, " at %" PRIu64, evaluation->memory->offsets[place]);
}

static void put_program(base_text *text, const tarn_evaluation *evaluation, const tarn_backend_operation *operation,
                        const uint32_t *bases) {
    const tarn_program *program = operation->program;
    for (uint32_t i = 0; i < program->step_count; i++) {
        base_text_put(text, "%s%s", i == 0 ? "" : " ", tarn_operation_name(program->steps[i].operation));
    }
    if (program->reduction != TARN_OPERATION_COPY) base_text_put(text, " %s", tarn_operation_name(program->reduction));
    base_text_put(text, ":");
    for (uint32_t i = 0; i < operation->input_count; i++) {
        base_text_put(text, i == 0 ? " " : ", ");
        put_value(text, evaluation, bases[operation->output_count + i]);
    }
    base_text_put(text, " ->");
    for (uint32_t i = 0; i < operation->output_count; i++) {
        base_text_put(text, i == 0 ? " " : ", ");
        put_place(text, evaluation, bases[i]);
    }
}

static void put_operation(base_text *text, const tarn_evaluation *evaluation, const expr_pass *pass) {
    const expr_value *value = &evaluation->values.items[pass->operation];
    base_text_put(text, "%s", tarn_operation_name(value->expr->as.node.operation));
    if (pass->bias != EXPR_NONE) base_text_put(text, " add");
    if (pass->activation != TARN_OPERATION_COPY) base_text_put(text, " %s", tarn_operation_name(pass->activation));
    base_text_put(text, ":");
    for (uint32_t i = 0; i < value->expr->operand_count; i++) {
        base_text_put(text, i == 0 ? " " : ", ");
        put_value(text, evaluation, value->operands[i]);
    }
    if (pass->bias != EXPR_NONE) {
        base_text_put(text, ", ");
        put_value(text, evaluation, pass->bias);
    }
    base_text_put(text, " -> ");
    put_place(text, evaluation, pass->last);
}

static void put_size(base_text *text, const char *before, uint64_t bytes, const char *after) {
    char size[TARN_SIZE_TEXT];
    base_text_put(text, "%s%s%s", before, tarn_size_format(bytes, size), after);
}

size_t tarn_evaluation_to_string(const tarn_evaluation *evaluation, char *out_text, size_t capacity) {
    base_text text;
    base_text_begin(&text, out_text, capacity);
    if (evaluation == NULL) return text.length;
    const tarn_evaluation_info *info = &evaluation->info;
    base_text_put(&text, "%zu operations (%zu shared, %zu beforehand) in %zu passes\n", info->operations, info->shared,
                  info->folded, info->passes);
    for (uint32_t p = 0; p < evaluation->passes.count; p++) {
        const expr_pass *pass = &evaluation->passes.items[p];
        const tarn_backend_operation *operation = evaluation->ready[p].operation;
        if (pass->is_program && operation == NULL) continue;
        base_text_put(&text, "  ");
        if (pass->is_program) put_program(&text, evaluation, operation, evaluation->ready[p].bases);
        else put_operation(&text, evaluation, pass);
        base_text_put(&text, "\n");
    }
    put_size(&text, "peak of intermediates ", info->intermediate_bytes, "");
    put_size(&text, " (", info->separate_bytes, " if apart");
    put_size(&text, ", ", info->unfused_bytes, " unfused)");
    put_size(&text, ", results ", info->result_bytes, "\n");
    return text.length;
}
