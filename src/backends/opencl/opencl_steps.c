/* The steps of a program as OpenCL C: one variable for each, of several elements side by side (kernels/lanes.cl). Integers are computed without
 * sign, where wrapping around is defined, and cut to their type. */
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
    const char *old = opencl_type_name(from);
    char rounded[48];
    snprintf(rounded, sizeof rounded, is_short_float(from) ? "wide_round_%s(%s)" : "%.0s%s", old, value);
    if (from == to) opencl_text_print(out, "%s", value);
    else if (to == TARN_ELEMENT_BOOL) opencl_text_print(out, "truth(%s != (w_%s)0)", value, old);
    else if (is_float(from) && !is_float(to)) opencl_text_print(out, "to_%s(to_i64(%s))", name, rounded);
    else opencl_text_print(out, "to_%s(%s)", name, rounded);
}

/* The type that a function of reals is computed in. */
static const char *floating_name(tarn_element_type type) { return type == TARN_ELEMENT_F64 ? "double" : "float"; }

static void write_function(const tarn_step *step, const char *a, opencl_text *out) {
    const char *type = opencl_type_name(step->type);
    switch (step->operation) {
    case TARN_OPERATION_NEG:
        if (is_float(step->type)) opencl_text_print(out, "-%s", a);
        else opencl_text_print(out, "to_%s(-work_%s(%s))", type, type, a);
        break;
    case TARN_OPERATION_EXP: opencl_text_print(out, "exp(%s)", a); break;
    case TARN_OPERATION_LOG: opencl_text_print(out, "log(%s)", a); break;
    case TARN_OPERATION_SQRT: opencl_text_print(out, "sqrt(%s)", a); break;
    case TARN_OPERATION_SIN: opencl_text_print(out, "wide_sin_%s(%s)", floating_name(step->type), a); break;
    case TARN_OPERATION_COS: opencl_text_print(out, "wide_cos_%s(%s)", floating_name(step->type), a); break;
    case TARN_OPERATION_TANH: opencl_text_print(out, "tanh(%s)", a); break;
    case TARN_OPERATION_SIGMOID: opencl_text_print(out, "wide_sigmoid_%s(%s)", floating_name(step->type), a); break;
    default: opencl_text_print(out, "relu_wide(w_%s, %s)", type, a); break; /* RELU */
    }
}

static void write_arithmetic(const tarn_step *step, const char *a, const char *b, opencl_text *out) {
    static const char signs[] = "+-*/"; /* in the order of the operations */
    char sign = signs[step->operation - TARN_OPERATION_ADD];
    const char *type = opencl_type_name(step->type);
    if (step->type == TARN_ELEMENT_BOOL) opencl_text_print(out, "(%s %c %s)", a, sign == '+' ? '|' : '&', b);
    else if (is_float(step->type)) opencl_text_print(out, "%s %c %s", a, sign, b);
    else if (sign == '/') opencl_text_print(out, "to_%s(wide_divide(to_i64(%s), to_i64(%s)))", type, a, b);
    else opencl_text_print(out, "to_%s(work_%s(%s) %c work_%s(%s))", type, type, a, sign, type, b);
}

static void write_binary(const tarn_step *step, const char *a, const char *b, opencl_text *out) {
    const char *type = opencl_type_name(step->type);
    switch (step->operation) {
    case TARN_OPERATION_POW:
        if (is_float(step->type)) opencl_text_print(out, "wide_pow_%s(%s, %s)", floating_name(step->type), a, b);
        else opencl_text_print(out, "to_%s(wide_power(to_i64(%s), to_i64(%s)))", type, a, b);
        break;
    case TARN_OPERATION_MAXIMUM: opencl_text_print(out, "greater_of(%s, %s)", a, b); break;
    case TARN_OPERATION_MINIMUM: opencl_text_print(out, "less_of(%s, %s)", a, b); break;
    case TARN_OPERATION_EQUAL: opencl_text_print(out, "truth(%s == %s)", a, b); break;
    case TARN_OPERATION_LESS: opencl_text_print(out, "truth(%s < %s)", a, b); break;
    case TARN_OPERATION_LESS_EQUAL: opencl_text_print(out, "truth(%s <= %s)", a, b); break;
    case TARN_OPERATION_RANDOM: opencl_text_print(out, "wide_random_%s(to_i64(%s), to_i64(%s))", type, a, b); break;
    default: write_arithmetic(step, a, b, out); break;
    }
}

static void write_step(const tarn_backend_operation *operation, uint32_t number, opencl_text *out) {
    const tarn_step *step = &operation->program->steps[number];
    value_name a = name_of(step->values[0]), b, c;
    const char *type = opencl_type_name(step->type);
    opencl_text_print(out, "const w_%s t%u = (", type, number);
    if (step->operation == TARN_OPERATION_COPY) {
        write_cast(type_of(operation, step->values[0]), step->type, a.text, out);
    } else if (step->operation < TARN_OPERATION_ADD) {
        write_function(step, a.text, out);
    } else {
        b = name_of(step->values[1]);
        if (step->operation == TARN_OPERATION_SELECT) {
            c = name_of(step->values[2]);
            opencl_text_print(out, "choose_%s(%s, %s, %s)", type, a.text, b.text, c.text);
        } else {
            write_binary(step, a.text, b.text, out);
        }
    }
    opencl_text_print(out, ");\n");
}

void opencl_steps_write_functions(const tarn_backend_operation *operation, opencl_text *out_source) {
    bool has_circle = false, has_power = false;
    for (uint32_t i = 0; i < operation->program->step_count; i++) {
        const tarn_step *step = &operation->program->steps[i];
        has_circle = has_circle || step->operation == TARN_OPERATION_SIN || step->operation == TARN_OPERATION_COS;
        has_power = has_power || (step->operation == TARN_OPERATION_POW && is_float(step->type));
    }
    if (has_circle) opencl_text_print(out_source, "%s", opencl_source_circle);
    if (has_power) opencl_text_print(out_source, "%s", opencl_source_power);
}

void opencl_steps_write(const tarn_backend_operation *operation, opencl_text *out_source) {
    for (uint32_t i = 0; i < operation->program->step_count; i++) write_step(operation, i, out_source);
}
