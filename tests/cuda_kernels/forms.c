/* Making programs. */
#include "forms.h"

#include <stdio.h>
#include <string.h>

/* How operands lie: in one row whose length is odd; in rows, the second input being one row for all; each second element; turned. */
typedef enum form_layout { FORM_ROW, FORM_ROWS, FORM_APART, FORM_TURNED, FORM_LAYOUT_COUNT } form_layout;

static tarn_operand lay_out(form_layout layout, uint32_t number, tarn_element_type type) {
    tarn_operand operand = {.type = type, .rank = 2, .dims = {6, 40}, .strides = {40, 1}};
    switch (layout) {
    case FORM_ROW: return (tarn_operand){.type = type, .rank = 1, .dims = {117}, .strides = {1}};
    case FORM_ROWS:
        if (number == 1) operand.strides[0] = 0;
        break;
    case FORM_APART:
        operand.strides[0] = 85;
        operand.strides[1] = 2;
        break;
    default:
        if (number == 1) {
            operand.strides[0] = 1;
            operand.strides[1] = 6;
        }
        break;
    }
    return operand;
}

static void begin(form_program *form, const char *name, tarn_element_type type) {
    memset(form, 0, sizeof *form);
    snprintf(form->name, sizeof form->name, "%s of %s", name, tarn_element_name(type));
    form->program = (tarn_program){.steps = form->steps, .constants = form->constants, .results = form->results};
    form->operation = (tarn_backend_operation){.struct_size = sizeof form->operation,
                                               .operation = TARN_OPERATION_PROGRAM,
                                               .operands = form->operands,
                                               .program = &form->program};
}

static tarn_value input(unsigned number) { return (tarn_value){TARN_SOURCE_INPUT, (uint16_t)number}; }

static tarn_value add_step(form_program *form, tarn_operation operation, tarn_element_type type, tarn_value a,
                           tarn_value b, tarn_value c) {
    form->steps[form->program.step_count] = (tarn_step){.operation = operation, .type = type, .values = {a, b, c}};
    return (tarn_value){TARN_SOURCE_STEP, (uint16_t)form->program.step_count++};
}

/* Puts outputs, for the steps that are results, before the inputs. */
static void finish(form_program *form, form_layout layout, uint32_t outputs, const tarn_element_type *inputs,
                   uint32_t count) {
    for (uint32_t i = 0; i < outputs; i++) form->operands[i] = lay_out(layout, 0, form->steps[form->results[i]].type);
    for (uint32_t i = 0; i < count; i++) form->operands[outputs + i] = lay_out(layout, i, inputs[i]);
    form->operation.output_count = outputs;
    form->operation.input_count = count;
}

/* All steps on one type that take and give it, and comparisons; `is_real`: those of floats alone. */
static void make_steps(form_program *form, tarn_element_type type, bool is_real, form_layout layout) {
    static const tarn_operation general[] = {
        TARN_OPERATION_NEG,     TARN_OPERATION_RELU,  TARN_OPERATION_SUBTRACT, TARN_OPERATION_DIVIDE,
        TARN_OPERATION_POW,     TARN_OPERATION_ADD,   TARN_OPERATION_MULTIPLY, TARN_OPERATION_MAXIMUM,
        TARN_OPERATION_MINIMUM, TARN_OPERATION_EQUAL, TARN_OPERATION_LESS,     TARN_OPERATION_LESS_EQUAL};
    static const tarn_operation real[] = {TARN_OPERATION_EXP, TARN_OPERATION_LOG, TARN_OPERATION_SQRT,
                                          TARN_OPERATION_SIN, TARN_OPERATION_COS, TARN_OPERATION_SIGMOID,
                                          TARN_OPERATION_TANH};
    const tarn_element_type types[2] = {type, type};
    uint32_t outputs = 0;
    begin(form, is_real ? "functions" : "steps", type);
    const tarn_operation *list = is_real ? real : general;
    size_t count = is_real ? sizeof real / sizeof real[0] : sizeof general / sizeof general[0];
    for (size_t i = type == TARN_ELEMENT_BOOL ? 5 : 0; i < count; i++) {
        bool compares = list[i] >= TARN_OPERATION_EQUAL && list[i] <= TARN_OPERATION_LESS_EQUAL;
        tarn_value step = add_step(form, list[i], compares ? TARN_ELEMENT_BOOL : type, input(0), input(1), input(0));
        form->results[outputs++] = step.number;
    }
    if (!is_real) {
        tarn_value less = {TARN_SOURCE_STEP, form->results[outputs - 2]};
        form->constants[0] = (tarn_constant){.type = type, .floating = 0.375, .integer = 1};
        form->program.constant_count = 1;
        form->results[outputs - 1] =
            add_step(form, TARN_OPERATION_SELECT, type, less, (tarn_value){TARN_SOURCE_CONSTANT, 0}, input(1)).number;
    }
    finish(form, layout, outputs, types, 2);
}

/* Casts from all types to some, added up. */
static void make_casts(form_program *form, int first, int last, form_layout layout) {
    tarn_element_type inputs[TARN_ELEMENT_TYPE_COUNT] = {TARN_ELEMENT_F32};
    begin(form, "casts", (tarn_element_type)first);
    uint32_t outputs = 0;
    for (int to = first; to < last; to++) {
        tarn_element_type type = (tarn_element_type)to;
        tarn_value sum = {0};
        for (unsigned from = 0; from < TARN_ELEMENT_TYPE_COUNT; from++) {
            inputs[from] = (tarn_element_type)from;
            tarn_value cast = add_step(form, TARN_OPERATION_COPY, type, input(from), input(0), input(0));
            sum = from == 0 ? cast : add_step(form, TARN_OPERATION_ADD, type, sum, cast, input(0));
        }
        form->results[outputs++] = sum.number;
    }
    finish(form, layout, outputs, inputs, TARN_ELEMENT_TYPE_COUNT);
}

/* A random number for each place, and the places. */
static void make_random(form_program *form, tarn_element_type type, form_layout layout) {
    begin(form, "random", type);
    form->constants[0] = (tarn_constant){.type = TARN_ELEMENT_I64, .integer = 20261121};
    form->program.constant_count = 1;
    form->program.first_index = 5;
    tarn_value index = {TARN_SOURCE_INDEX, 0};
    form->results[0] =
        add_step(form, TARN_OPERATION_RANDOM, type, (tarn_value){TARN_SOURCE_CONSTANT, 0}, index, index).number;
    form->results[1] = add_step(form, TARN_OPERATION_COPY, TARN_ELEMENT_I64, index, index, index).number;
    finish(form, layout, 2, NULL, 0);
}

static const struct {
    tarn_operation reduction;
    tarn_element_type type;
    uint32_t rank, dims;
    int64_t sizes[3];
    bool is_turned; /* the last dimension is the farthest */
} reductions[] = {
    {TARN_OPERATION_SUM, TARN_ELEMENT_F32, 1, 1, {20011}, false},
    {TARN_OPERATION_MEAN, TARN_ELEMENT_F16, 2, 2, {5, 4096}, false},
    {TARN_OPERATION_SUM, TARN_ELEMENT_F64, 2, 1, {300, 20}, false},
    {TARN_OPERATION_MAX, TARN_ELEMENT_BF16, 3, 5, {9, 33, 8}, false},
    {TARN_OPERATION_PROD, TARN_ELEMENT_I32, 2, 2, {7, 64}, true},
    {TARN_OPERATION_MIN, TARN_ELEMENT_I8, 2, 2, {7, 64}, false},
    {TARN_OPERATION_MAX, TARN_ELEMENT_BOOL, 2, 1, {9, 3}, false},
    {TARN_OPERATION_SUM, TARN_ELEMENT_I64, 1, 1, {3}, false},
};

/* The reduction of a difference, so that there is a step. */
static void make_reduction(form_program *form, size_t number) {
    tarn_element_type type = reductions[number].type;
    const tarn_element_type inputs[2] = {type, type};
    begin(form, tarn_operation_name(reductions[number].reduction), type);
    tarn_operation step = type == TARN_ELEMENT_BOOL ? TARN_OPERATION_MULTIPLY : TARN_OPERATION_SUBTRACT;
    form->results[0] = add_step(form, step, type, input(0), input(1), input(0)).number;
    form->program.reduction = reductions[number].reduction;
    form->program.reduced_dims = reductions[number].dims;
    finish(form, FORM_ROW, 1, inputs, 2);
    for (uint32_t i = 0; i < 3; i++) {
        tarn_operand *operand = &form->operands[i];
        int64_t stride = 1;
        operand->rank = reductions[number].rank;
        for (uint32_t k = 0; k < operand->rank; k++) {
            uint32_t d = reductions[number].is_turned ? k : operand->rank - 1 - k;
            bool is_reduced = i == 0 && (reductions[number].dims >> d & 1) != 0;
            operand->dims[d] = reductions[number].sizes[d];
            operand->strides[d] = is_reduced ? 0 : stride;
            if (!is_reduced) stride *= operand->dims[d];
        }
    }
}

#define STEPS TARN_ELEMENT_TYPE_COUNT
#define FUNCTIONS 4
#define CASTS 4
#define RANDOM 2
#define REDUCTIONS (sizeof reductions / sizeof reductions[0])

size_t form_count(void) { return STEPS + FUNCTIONS + CASTS + RANDOM + REDUCTIONS; }

void form_make(size_t number, form_program *out_program) {
    form_layout layout = (form_layout)(number % FORM_LAYOUT_COUNT);
    if (number < STEPS) {
        make_steps(out_program, (tarn_element_type)number, false, layout);
        return;
    }
    number -= STEPS;
    if (number < FUNCTIONS) {
        make_steps(out_program, (tarn_element_type)number, true, layout);
        return;
    }
    number -= FUNCTIONS;
    if (number < CASTS) {
        int first = 3 * (int)number, last = first + 3 < TARN_ELEMENT_TYPE_COUNT ? first + 3 : TARN_ELEMENT_TYPE_COUNT;
        make_casts(out_program, first, last, layout);
        return;
    }
    number -= CASTS;
    if (number < RANDOM) make_random(out_program, number == 0 ? TARN_ELEMENT_F32 : TARN_ELEMENT_F64, layout);
    else make_reduction(out_program, number - RANDOM);
}

_Static_assert(FUNCTIONS == TARN_ELEMENT_F64 + 1, "one for each floating type");
