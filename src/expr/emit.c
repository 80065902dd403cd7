/* Writing programs: each member becomes a step, after casts of what it takes to the type that it computes in. */
#include "expr/emit.h"

#include <string.h>

#include "expr/fold.h"

typedef struct program_writer {
    const expr_values *values;
    const expr_passes *passes;
    uint32_t pass;
    expr_program *program;
    bool is_full;
    /* Which step computes which member; a pass has no more members than steps. */
    uint32_t members[TARN_PROGRAM_MAXIMUM_STEPS];
    uint16_t member_steps[TARN_PROGRAM_MAXIMUM_STEPS];
    uint32_t member_count;
} program_writer;

/* What a step takes, with its type. A constant is written down when it is known which type it is to have. */
typedef struct source {
    tarn_value value;
    tarn_element_type type;
    const tarn_constant *constant; /* NULL: it is none, or it has been written down */
} source;

const tarn_shape *expr_pass_space(const expr_values *values, const expr_pass *pass) {
    const expr_value *value = &values->items[pass->reduction != EXPR_NONE ? pass->reduction : pass->last];
    bool goes_over_operand = value->is_copy || pass->reduction != EXPR_NONE;
    return goes_over_operand ? &values->items[value->operands[0]].expr->shape : &value->expr->shape;
}

static source add_step(program_writer *writer, const tarn_step *step) {
    expr_program *program = writer->program;
    /* The same casts are asked for by several members. */
    for (uint32_t i = 0; i < program->step_count; i++) {
        const tarn_step *present = &program->steps[i];
        if (present->operation == step->operation && present->type == step->type &&
            memcmp(present->values, step->values, sizeof step->values) == 0) {
            return (source){.value = {TARN_SOURCE_STEP, (uint16_t)i}, .type = step->type};
        }
    }
    if (program->step_count == TARN_PROGRAM_MAXIMUM_STEPS) {
        writer->is_full = true;
        return (source){.value = {TARN_SOURCE_STEP, 0}, .type = step->type};
    }
    program->steps[program->step_count] = *step;
    return (source){.value = {TARN_SOURCE_STEP, (uint16_t)program->step_count++}, .type = step->type};
}

static bool equal_constants(const tarn_constant *a, const tarn_constant *b) {
    return a->type == b->type && a->integer == b->integer && expr_same_float(a->floating, b->floating);
}

static source add_constant(program_writer *writer, const tarn_constant *constant) {
    expr_program *program = writer->program;
    uint32_t place = 0;
    while (place < program->constant_count && !equal_constants(&program->constants[place], constant)) place++;
    if (place == TARN_PROGRAM_MAXIMUM_CONSTANTS) {
        writer->is_full = true;
        place = 0;
    } else if (place == program->constant_count) {
        program->constants[program->constant_count++] = *constant;
    }
    return (source){.value = {TARN_SOURCE_CONSTANT, (uint16_t)place}, .type = constant->type};
}

static source add_input(program_writer *writer, uint32_t number) {
    expr_program *program = writer->program;
    uint32_t place = 0;
    while (place < program->input_count && program->inputs[place] != number) place++;
    if (place == program->input_count) {
        if (place == TARN_PROGRAM_MAXIMUM_OPERANDS) {
            writer->is_full = true;
            place = 0;
        } else {
            program->inputs[program->input_count++] = number;
        }
    }
    return (source){.value = {TARN_SOURCE_INPUT, (uint16_t)place}, .type = writer->values->items[number].expr->type};
}

/* The value as a step of this program can take it. */
static source find_source(program_writer *writer, uint32_t number) {
    const expr_value *value = &writer->values->items[number];
    if (value->is_constant) return (source){.type = value->constant.type, .constant = &value->constant};
    if (writer->passes->pass_of[number] != writer->pass) return add_input(writer, number);
    uint32_t i = 0;
    while (writer->members[i] != number) i++;
    return (source){.value = {TARN_SOURCE_STEP, writer->member_steps[i]}, .type = value->expr->type};
}

static source settle(program_writer *writer, source from) {
    return from.constant != NULL ? add_constant(writer, from.constant) : from;
}

static source cast(program_writer *writer, source from, tarn_element_type type) {
    if (from.constant != NULL && from.type != type) {
        tarn_constant converted;
        bool is_half = type == TARN_ELEMENT_F16 || type == TARN_ELEMENT_BF16;
        /* Halves have the digits of the number that they are made of until the backend rounds them. */
        if (expr_fold_cast(from.constant, is_half ? TARN_ELEMENT_F32 : type, &converted)) {
            converted.type = type;
            return add_constant(writer, &converted);
        }
    }
    from = settle(writer, from);
    if (from.type == type) return from;
    return add_step(writer, &(tarn_step){.operation = TARN_OPERATION_COPY, .type = type, .values = {from.value}});
}

static source write_member(program_writer *writer, uint32_t number) {
    const expr_value *value = &writer->values->items[number];
    const tarn_expr *expr = value->expr;
    tarn_operation operation = value->is_copy ? TARN_OPERATION_COPY : expr->as.node.operation;
    if (operation == TARN_OPERATION_COPY) {
        source from = settle(writer, find_source(writer, value->operands[0]));
        return add_step(writer, &(tarn_step){.operation = operation, .type = expr->type, .values = {from.value}});
    }
    bool compares = operation >= TARN_OPERATION_EQUAL && operation <= TARN_OPERATION_LESS_EQUAL;
    tarn_step step = {.operation = operation, .type = compares ? TARN_ELEMENT_BOOL : expr->computed};
    for (uint32_t i = 0; i < expr->operand_count; i++) {
        source from = find_source(writer, value->operands[i]);
        bool is_condition = operation == TARN_OPERATION_SELECT && i == 0;
        step.values[i] = cast(writer, from, is_condition ? TARN_ELEMENT_BOOL : expr->computed).value;
    }
    return cast(writer, add_step(writer, &step), expr->type);
}

static void add_output(program_writer *writer, uint32_t number, uint16_t step) {
    expr_program *program = writer->program;
    if (program->output_count == TARN_PROGRAM_MAXIMUM_OPERANDS) {
        writer->is_full = true;
        return;
    }
    program->outputs[program->output_count] = number;
    program->results[program->output_count++] = step;
}

/* What is reduced has to be the value of a step. */
static void write_reduction(program_writer *writer, uint32_t number) {
    const expr_value *value = &writer->values->items[number];
    source from = cast(writer, find_source(writer, value->operands[0]), value->expr->computed);
    if (from.value.source != TARN_SOURCE_STEP) {
        from =
            add_step(writer, &(tarn_step){.operation = TARN_OPERATION_COPY, .type = from.type, .values = {from.value}});
    }
    add_output(writer, number, from.value.number);
}

bool expr_emit(const expr_values *values, const expr_passes *passes, uint32_t pass, expr_program *out_program) {
    const expr_pass *written = &passes->items[pass];
    program_writer writer = {.values = values, .passes = passes, .pass = pass, .program = out_program};
    out_program->step_count = out_program->constant_count = out_program->input_count = out_program->output_count = 0;
    for (uint32_t v = written->first_member; v != EXPR_NONE && !writer.is_full; v = passes->next_member[v]) {
        source result = write_member(&writer, v);
        if (writer.is_full || writer.member_count == TARN_PROGRAM_MAXIMUM_STEPS) return false;
        writer.members[writer.member_count] = v;
        writer.member_steps[writer.member_count++] = result.value.number;
        if (passes->is_stored[v]) add_output(&writer, v, result.value.number);
    }
    if (written->reduction != EXPR_NONE && !writer.is_full) write_reduction(&writer, written->reduction);
    return !writer.is_full && out_program->input_count + out_program->output_count <= TARN_PROGRAM_MAXIMUM_OPERANDS;
}
