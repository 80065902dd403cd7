/* The steps of a program as OpenCL C: one variable for each. Integers are computed in 64 bits without sign, where wrapping around is defined,
 * and cut to their type. */
#include <stdio.h>

#include "backends/opencl/opencl_program.h"

static bool is_float(tarn_element_type type) { return type <= TARN_ELEMENT_F64; }

/* Computed in F32, with more digits than its type stores. */
static bool is_short_float(tarn_element_type type) { return type == TARN_ELEMENT_F16 || type == TARN_ELEMENT_BF16; }

static tarn_element_type type_of(const tarn_backend_operation *operation, tarn_value value) {
    switch (value.source) {
    case TARN_SOURCE_INPUT: return operation->operands[operation->output_count + value.number].type;
    case TARN_SOURCE_CONSTANT: return operation->program->constants[value.number].type;
    case TARN_SOURCE_STEP: return operation->program->steps[value.number].type;
    default: return TARN_ELEMENT_I64;
    }
}

/* The name of a value, in a buffer of the caller's. */
typedef struct value_name {
    char text[16];
} value_name;

static value_name name_of(tarn_value value) {
    static const char *const prefixes[] = {"in", "c", "t"};
    value_name name = {"index"};
    if (value.source != TARN_SOURCE_INDEX)
        snprintf(name.text, sizeof name.text, "%s%u", prefixes[value.source], (unsigned)value.number);
    return name;
}

static void write_cast(tarn_element_type from, tarn_element_type to, const char *value, opencl_text *out) {
    const char *name = opencl_type_name(to);
    if (from == to) opencl_text_print(out, "%s", value);
    else if (to == TARN_ELEMENT_BOOL) opencl_text_print(out, "(%s != 0)", value);
    else if (is_short_float(from)) opencl_text_print(out, "(v_%s)round_%s(%s)", name, opencl_type_name(from), value);
    else if (is_float(from) && !is_float(to)) opencl_text_print(out, "(v_%s)(long)%s", name, value);
    else opencl_text_print(out, "(v_%s)%s", name, value);
}

static void write_function(const tarn_step *step, const char *a, opencl_text *out) {
    switch (step->operation) {
    case TARN_OPERATION_NEG: opencl_text_print(out, is_float(step->type) ? "-%s" : "(0 - (ulong)%s)", a); break;
    case TARN_OPERATION_EXP: opencl_text_print(out, "exp(%s)", a); break;
    case TARN_OPERATION_LOG: opencl_text_print(out, "log(%s)", a); break;
    case TARN_OPERATION_SQRT: opencl_text_print(out, "sqrt(%s)", a); break;
    case TARN_OPERATION_SIN: opencl_text_print(out, "sin(%s)", a); break;
    case TARN_OPERATION_COS: opencl_text_print(out, "cos(%s)", a); break;
    case TARN_OPERATION_TANH: opencl_text_print(out, "tanh(%s)", a); break;
    case TARN_OPERATION_SIGMOID:
        opencl_text_print(out, "sigmoid_of(%s, %s)", step->type == TARN_ELEMENT_F64 ? "double" : "float", a);
        break;
    default: opencl_text_print(out, "relu_of(%s)", a); break; /* RELU */
    }
}

static void write_arithmetic(const tarn_step *step, const char *a, const char *b, opencl_text *out) {
    static const char signs[] = "+-*/"; /* in the order of the operations */
    char sign = signs[step->operation - TARN_OPERATION_ADD];
    if (step->type == TARN_ELEMENT_BOOL) opencl_text_print(out, "(%s %c %s)", a, sign == '+' ? '|' : '&', b);
    else if (is_float(step->type)) opencl_text_print(out, "%s %c %s", a, sign, b);
    else if (sign == '/') opencl_text_print(out, "divide_integers(%s, %s)", a, b);
    else opencl_text_print(out, "((ulong)%s %c (ulong)%s)", a, sign, b);
}

static void write_binary(const tarn_step *step, const char *a, const char *b, opencl_text *out) {
    switch (step->operation) {
    case TARN_OPERATION_POW:
        opencl_text_print(out, is_float(step->type) ? "pow(%s, %s)" : "power_of_integers(%s, %s)", a, b);
        break;
    case TARN_OPERATION_MAXIMUM: opencl_text_print(out, "greater_of(%s, %s)", a, b); break;
    case TARN_OPERATION_MINIMUM: opencl_text_print(out, "less_of(%s, %s)", a, b); break;
    case TARN_OPERATION_EQUAL: opencl_text_print(out, "(%s == %s)", a, b); break;
    case TARN_OPERATION_LESS: opencl_text_print(out, "(%s < %s)", a, b); break;
    case TARN_OPERATION_LESS_EQUAL: opencl_text_print(out, "(%s <= %s)", a, b); break;
    case TARN_OPERATION_RANDOM: opencl_text_print(out, "random_%s(%s, %s)", opencl_type_name(step->type), a, b); break;
    default: write_arithmetic(step, a, b, out); break;
    }
}

static void write_step(const tarn_backend_operation *operation, uint32_t number, opencl_text *out) {
    const tarn_step *step = &operation->program->steps[number];
    value_name a = name_of(step->values[0]), b, c;
    const char *type = opencl_type_name(step->type);
    opencl_text_print(out, "const v_%s t%u = (v_%s)(", type, number, type);
    if (step->operation == TARN_OPERATION_COPY) {
        write_cast(type_of(operation, step->values[0]), step->type, a.text, out);
    } else if (step->operation < TARN_OPERATION_ADD) {
        write_function(step, a.text, out);
    } else {
        b = name_of(step->values[1]);
        if (step->operation == TARN_OPERATION_SELECT) {
            c = name_of(step->values[2]);
            opencl_text_print(out, "%s ? %s : %s", a.text, b.text, c.text);
        } else {
            write_binary(step, a.text, b.text, out);
        }
    }
    opencl_text_print(out, ");\n");
}

void opencl_steps_write(const tarn_backend_operation *operation, opencl_text *out_source) {
    for (uint32_t i = 0; i < operation->program->step_count; i++) write_step(operation, i, out_source);
}
