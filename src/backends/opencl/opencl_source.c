/* The source of a program: its parameters, where each element lies, the steps, and the reduction.
 *
 * An elementwise program has a work-item for every few elements that follow each other in the last dimension, its lanes, which are computed as
 * vectors. With a reduction a group of work-items has a result: each adds up every so many of its
 * elements, and these sums are joined in a tree, so that the order depends on sizes alone. Where dimensions are few elements long one work-item does
 * it by itself. Where there are few results and many elements to each, several groups have a result and `finish` joins what they have. */
#include <stdio.h>
#include <string.h>

#include "backends/opencl/opencl_program.h"

static const struct {
    const char *name;
    size_t size;
} types[TARN_ELEMENT_TYPE_COUNT] = {
    [TARN_ELEMENT_F32] = {"f32", 4},   [TARN_ELEMENT_F16] = {"f16", 2}, [TARN_ELEMENT_BF16] = {"bf16", 2},
    [TARN_ELEMENT_F64] = {"f64", 8},   [TARN_ELEMENT_I8] = {"i8", 1},   [TARN_ELEMENT_U8] = {"u8", 1},
    [TARN_ELEMENT_I16] = {"i16", 2},   [TARN_ELEMENT_I32] = {"i32", 4}, [TARN_ELEMENT_I64] = {"i64", 8},
    [TARN_ELEMENT_BOOL] = {"bool", 1},
};

const char *opencl_type_name(tarn_element_type type) { return types[type].name; }
size_t opencl_type_size(tarn_element_type type) { return types[type].size; }

static uint32_t operand_count(const tarn_backend_operation *operation) {
    return operation->output_count + operation->input_count;
}

/* The type in which the reduction accumulates. */
static tarn_element_type reduced_type(const opencl_form *form) {
    return form->operation->program->steps[form->operation->program->results[0]].type;
}

static bool is_compensated(const opencl_form *form) {
    tarn_operation reduction = form->operation->program->reduction;
    return reduced_type(form) <= TARN_ELEMENT_F64 &&
           (reduction == TARN_OPERATION_SUM || reduction == TARN_OPERATION_MEAN);
}

static const char *floating_name(tarn_element_type type) { return type == TARN_ELEMENT_F64 ? "double" : "float"; }

size_t opencl_program_accumulator_size(const opencl_form *form) {
    tarn_element_type type = reduced_type(form);
    size_t size = type == TARN_ELEMENT_F16 || type == TARN_ELEMENT_BF16 ? 4 : types[type].size;
    return is_compensated(form) ? 2 * size : size;
}

/* Numbers of the key are bytes, or 16 bits where they may be more. */
static void add_byte(opencl_text *key, uint32_t number) {
    opencl_text_bytes(key, &(unsigned char){(unsigned char)number}, 1);
}

static void add_value(opencl_text *key, tarn_value value) {
    add_byte(key, value.source);
    add_byte(key, value.number);
}

void opencl_program_key(const opencl_form *form, opencl_text *out_key) {
    const tarn_backend_operation *operation = form->operation;
    const tarn_program *program = operation->program;
    opencl_text_bytes(out_key, "P", 1);
    uint32_t bits = form->is_linear ? 1u : 0u;
    bits |= form->is_wide ? 2u : 0u;
    bits |= form->uses_index ? 4u : 0u;
    bits |= form->has_far_space ? 8u : 0u;
    bits |= form->is_split ? 16u : 0u;
    add_byte(out_key, bits);
    opencl_text_bytes(out_key, &form->units, sizeof form->units);
    opencl_text_bytes(out_key, &form->spreads, sizeof form->spreads);
    add_byte(out_key, form->lanes);
    add_byte(out_key, form->keeps_lanes);
    add_byte(out_key, form->kept);
    add_byte(out_key, form->reduced);
    opencl_text_bytes(out_key, &form->group, sizeof form->group);
    add_byte(out_key, operation->output_count);
    add_byte(out_key, operation->input_count);
    for (uint32_t i = 0; i < operand_count(operation); i++) add_byte(out_key, operation->operands[i].type);
    add_byte(out_key, program->reduction);
    add_byte(out_key, program->constant_count);
    for (uint32_t i = 0; i < program->constant_count; i++) add_byte(out_key, program->constants[i].type);
    for (uint32_t i = 0; i < operation->output_count; i++) add_byte(out_key, program->results[i]);
    add_byte(out_key, program->step_count);
    for (uint32_t i = 0; i < program->step_count; i++) {
        const tarn_step *step = &program->steps[i];
        add_byte(out_key, step->operation);
        add_byte(out_key, step->type);
        for (int v = 0; v < 3; v++) {
            bool is_taken =
                v == 0 || (v == 1 && step->operation >= TARN_OPERATION_ADD) || step->operation == TARN_OPERATION_SELECT;
            add_value(out_key, is_taken ? step->values[v] : (tarn_value){0, 0});
        }
    }
}

/* Strides are kept for the index too, as for one more operand. */
static uint32_t place_count(const opencl_form *form) { return operand_count(form->operation) + form->uses_index; }

static void write_space(const opencl_form *form, opencl_text *out) {
    opencl_text_print(out, "#define LANES %u\n%s", form->lanes, opencl_source_lanes);
    opencl_steps_write_functions(form->operation, out);
    opencl_text_print(out, "typedef %s place;\n", form->is_wide ? "long" : "int");
    opencl_text_print(out, "typedef %s count;\n", form->is_wide ? "ulong" : "uint");
    if (form->is_linear) return;
    opencl_text_print(out, "typedef struct space { long dims[%u]; long strides[%u][%u]; } space;\n",
                      form->kept + form->reduced, place_count(form), form->kept + form->reduced);
    opencl_text_print(out, "#define S(member) space_%s member\n", form->has_far_space ? "->" : ".");
}

static void write_parameters(const opencl_form *form, opencl_text *out) {
    const tarn_backend_operation *operation = form->operation;
    for (uint32_t i = 0; i < operand_count(operation); i++)
        opencl_text_print(out, "global uchar *b%u, long o%u, ", i, i);
    for (uint32_t i = 0; i < operation->program->constant_count; i++) {
        tarn_element_type type = operation->program->constants[i].type;
        opencl_text_print(out, "const v_%s n%u, ", types[type].name, i);
    }
    if (!form->is_linear)
        opencl_text_print(out, "%s space_, ", form->has_far_space ? "global const space *" : "const space");
    opencl_text_print(out, "long first, long n, long row");
    if (form->reduced > 0) opencl_text_print(out, ", long length, long slice, global accumulator *partial");
}

static void write_pointers(const opencl_form *form, opencl_text *out) {
    for (uint32_t i = 0; i < operand_count(form->operation); i++) {
        const char *type = types[form->operation->operands[i].type].name;
        opencl_text_print(out, "global s_%s *p%u = (global s_%s *)(b%u + o%u);\n", type, i, type, i, i);
    }
}

/* Some of the operands, and the index behind them. */
typedef struct operand_range {
    uint32_t begin, end;
} operand_range;

/* The places `to` of the operands, from the places `old` (NULL: 0) on, by what the number `from` says along `rank` dimensions from `begin` on. */
static void write_places(const char *from, uint32_t begin, uint32_t rank, const char *old, const char *to,
                         operand_range range, opencl_text *out) {
    for (uint32_t i = range.begin; i < range.end; i++) {
        if (old != NULL) opencl_text_print(out, "place %s%u = %s%u;\n", to, i, old, i);
        else opencl_text_print(out, "place %s%u = 0;\n", to, i);
    }
    opencl_text_print(out, "{ count rest = (count)%s, along;\n", from);
    for (uint32_t d = begin + rank; d-- > begin;) {
        if (d > begin) {
            opencl_text_print(out, "along = rest %% (count)S(dims[%u]); rest /= (count)S(dims[%u]);\n", d, d);
        } else {
            opencl_text_print(out, "along = rest;\n");
        }
        for (uint32_t i = range.begin; i < range.end; i++)
            opencl_text_print(out, "%s%u += (place)along * (place)S(strides[%u][%u]);\n", to, i, i, d);
    }
    opencl_text_print(out, "}\n");
}

/* How an operand runs along the lanes. */
static bool is_unit(const opencl_form *form, uint32_t operand) { return (form->units >> operand & 1) != 0; }
static bool is_spread(const opencl_form *form, uint32_t operand) { return (form->spreads >> operand & 1) != 0; }

/* Loads the inputs at the places xN and computes the steps. Along the lanes the dimension `along` runs. */
static void write_values(const opencl_form *form, uint32_t along, opencl_text *out) {
    const tarn_backend_operation *operation = form->operation;
    for (uint32_t i = 0; i < operation->input_count; i++) {
        uint32_t operand = operation->output_count + i;
        const char *type = types[operation->operands[operand].type].name;
        opencl_text_print(out, "const w_%s in%u = ", type, i);
        if (form->lanes == 1 || is_spread(form, operand))
            opencl_text_print(out, "(w_%s)(load_%s(p%u + x%u));\n", type, type, operand, operand);
        else if (is_unit(form, operand)) opencl_text_print(out, "LOAD_UNIT(%s, p%u + x%u);\n", type, operand, operand);
        else
            opencl_text_print(out, "load_some_%s(p%u + x%u, S(strides[%u][%u]), left);\n", type, operand, operand,
                              operand, along);
    }
    opencl_steps_write(operation, out);
}

static void write_store(const opencl_form *form, uint32_t output, opencl_text *out) {
    const char *type = types[form->operation->operands[output].type].name;
    unsigned value = form->operation->program->results[output];
    if (form->lanes == 1) opencl_text_print(out, "store_%s(t%u, p%u + x%u);\n", type, value, output, output);
    else if (is_unit(form, output))
        opencl_text_print(out, "STORE_UNIT(%s, t%u, p%u + x%u);\n", type, value, output, output);
    else
        opencl_text_print(out, "store_some_%s(t%u, p%u + x%u, S(strides[%u][%u]), left);\n", type, value, output,
                          output, output, form->kept - 1);
}

/* The constants, as wide as all values. */
static void write_constants(const opencl_form *form, opencl_text *out) {
    for (uint32_t i = 0; i < form->operation->program->constant_count; i++) {
        const char *type = types[form->operation->program->constants[i].type].name;
        opencl_text_print(out, "const w_%s c%u = (w_%s)(n%u);\n", type, i, type, i);
    }
}

/* The places `to` of the operands, of the first lane: the dimensions before the last that is kept by the number of the row, and then on along it. */
static void write_row_places(const opencl_form *form, const char *from, const char *to, operand_range range,
                             opencl_text *out) {
    char rows[32];
    snprintf(rows, sizeof rows, "((count)%s / across)", from);
    opencl_text_print(out,
                      "const count across = (count)((row + LANES - 1) / LANES);\n"
                      "const place along_row = (place)((count)%s %% across) * LANES;\n"
                      "const int left = (int)min((place)LANES, (place)row - along_row);\n",
                      from);
    write_places(rows, 0, form->kept - 1, NULL, to, range, out);
    for (uint32_t i = range.begin; i < range.end; i++)
        opencl_text_print(out, "%s%u += along_row * (place)S(strides[%u][%u]);\n", to, i, i, form->kept - 1);
}

static void write_elementwise(const opencl_form *form, opencl_text *out) {
    const tarn_backend_operation *operation = form->operation;
    opencl_text_print(out, "kernel void run(");
    write_parameters(form, out);
    opencl_text_print(out, ") {\nconst place i = (place)get_global_id(0);\nif (i >= (place)n) return;\n");
    write_pointers(form, out);
    if (form->is_linear) {
        opencl_text_print(out, "const int left = (int)min((place)LANES, (place)row - i * LANES);\n");
        for (uint32_t k = 0; k < operand_count(operation); k++)
            opencl_text_print(out, "const place x%u = %s;\n", k, is_unit(form, k) ? "i * LANES" : "0");
        if (form->uses_index) opencl_text_print(out, "const w_i64 index = (w_i64)(first + i * LANES) + OFFSETS;\n");
    } else {
        write_row_places(form, "i", "x", (operand_range){0, place_count(form)}, out);
        if (form->uses_index)
            opencl_text_print(out, "const w_i64 index = (w_i64)(first + x%u) + OFFSETS;\n", place_count(form) - 1);
    }
    write_constants(form, out);
    write_values(form, form->kept - 1, out);
    for (uint32_t k = 0; k < operation->output_count; k++) write_store(form, k, out);
    opencl_text_print(out, "}\n");
}

/* What a reduction begins with. */
static const char *identity_of(tarn_operation reduction, tarn_element_type type) {
    static const char *const least[TARN_ELEMENT_TYPE_COUNT] = {
        "-INFINITY", "-INFINITY", "-INFINITY", "-INFINITY", "CHAR_MIN", "0", "SHRT_MIN", "INT_MIN", "LONG_MIN", "0"};
    static const char *const greatest[TARN_ELEMENT_TYPE_COUNT] = {"INFINITY", "INFINITY",  "INFINITY", "INFINITY",
                                                                  "CHAR_MAX", "UCHAR_MAX", "SHRT_MAX", "INT_MAX",
                                                                  "LONG_MAX", "1"};
    if (reduction == TARN_OPERATION_MAX) return least[type];
    if (reduction == TARN_OPERATION_MIN) return greatest[type];
    return reduction == TARN_OPERATION_PROD ? "1" : "0";
}

/* The accumulator's type, and `add`, `join` and `value` on it. */
static void write_accumulator(const opencl_form *form, opencl_text *out) {
    tarn_operation reduction = form->operation->program->reduction;
    tarn_element_type type = reduced_type(form);
    const char *name = types[type].name, *floating = floating_name(type);
    bool is_mean = reduction == TARN_OPERATION_MEAN;
    if (is_compensated(form)) {
        opencl_text_print(out,
                          "typedef sum_%s accumulator;\n#define IDENTITY {0, 0}\n#define LEAST 0\n"
                          "#define add(a, x) sum_add_%s(a, x)\n#define join(a, b) sum_join_%s(a, b)\n",
                          floating, floating, floating);
        opencl_text_print(out, "#define value(a) (sum_of_%s(a)%s%s%s)\n", floating, is_mean ? " / (" : "",
                          is_mean ? floating : "", is_mean ? ")length" : "");
        return;
    }
    opencl_text_print(out,
                      "typedef v_%s accumulator;\n#define LEAST %s\n#define IDENTITY LEAST\n#define value(a) (a)\n",
                      name, identity_of(reduction, type));
    bool is_floating = type <= TARN_ELEMENT_F64;
    if (reduction == TARN_OPERATION_MAX) opencl_text_print(out, "#define add(a, x) greater_of(a, x)\n");
    else if (reduction == TARN_OPERATION_MIN) opencl_text_print(out, "#define add(a, x) less_of(a, x)\n");
    else if (is_floating) opencl_text_print(out, "#define add(a, x) ((a) * (x))\n");
    else
        opencl_text_print(out, "#define add(a, x) (v_%s)((ulong)(a) %c (ulong)(x))\n", name,
                          reduction == TARN_OPERATION_PROD ? '*' : '+');
    opencl_text_print(out, "#define join(a, b) add(a, b)\n");
}

/* The same for lanes side by side, and `fold`, which joins them. */
static void write_wide_accumulator(const opencl_form *form, opencl_text *out) {
    tarn_operation reduction = form->operation->program->reduction;
    tarn_element_type type = reduced_type(form);
    const char *name = types[type].name, *floating = floating_name(type);
    bool is_mean = reduction == TARN_OPERATION_MEAN;
    if (is_compensated(form)) {
        opencl_text_print(out,
                          "typedef struct wide_accumulator { w_%s sum, rest; } wide_accumulator;\n"
                          "#define WIDE_IDENTITY {0, 0}\nDEFINE_WIDE_SUM(w_%s, %s)\n",
                          name, name, floating);
        opencl_text_print(out, "#define wide_value(a) (wide_sum_of(a)%s%s%s%s%s)\n", is_mean ? " / (w_" : "",
                          is_mean ? name : "", is_mean ? ")((" : "", is_mean ? floating : "",
                          is_mean ? ")length)" : "");
        return;
    }
    opencl_text_print(out,
                      "typedef w_%s wide_accumulator;\n#define WIDE_IDENTITY (w_%s)(LEAST)\n#define wide_value(a) (a)\n"
                      "DEFINE_FOLD(v_%s)\n",
                      name, name, name);
    bool is_floating = type <= TARN_ELEMENT_F64;
    if (is_floating || reduction == TARN_OPERATION_MAX || reduction == TARN_OPERATION_MIN)
        opencl_text_print(out, "#define wide_add(a, x) add(a, x)\n");
    else
        opencl_text_print(out, "#define wide_add(a, x) to_%s(work_%s(a) %c work_%s(x))\n", name, name,
                          reduction == TARN_OPERATION_PROD ? '*' : '+', name);
    opencl_text_print(out, "#define wide_join(a, b) wide_add(a, b)\n");
}

/* Takes the lanes of a step into the sums. Where they run along what is reduced, those that are not there are what a reduction begins with. */
static void write_taking(const opencl_form *form, opencl_text *out) {
    unsigned value = form->operation->program->results[0];
    const char *name = types[reduced_type(form)].name;
    if (form->lanes == 1) opencl_text_print(out, "all = add(all, t%u);\n", value);
    else if (form->keeps_lanes) opencl_text_print(out, "wide = wide_add(wide, t%u);\n", value);
    else
        opencl_text_print(
            out,
            "const w_%s taken = left == LANES ? t%u : choose_%s(truth(to_i32(OFFSETS) < (w_i32)left), t%u, "
            "(w_%s)(LEAST));\nwide = wide_add(wide, taken);\n",
            name, value, name, value, name);
}

static void write_result(const opencl_form *form, opencl_text *out) {
    const char *name = types[form->operation->operands[0].type].name;
    if (!form->keeps_lanes) opencl_text_print(out, "store_%s(value(all), p0 + k0);\n", name);
    else if (is_unit(form, 0)) opencl_text_print(out, "STORE_UNIT(%s, wide_value(wide), p0 + k0);\n", name);
    else
        opencl_text_print(out, "store_some_%s(wide_value(wide), p0 + k0, S(strides[0][%u]), left);\n", name,
                          form->kept - 1);
}

/* Which result, or results side by side, the work-item reduces: m; and the places in the operands where it begins, kN. */
static void write_reduced_places(const opencl_form *form, opencl_text *out) {
    const operand_range range = {form->is_split, place_count(form)};
    if (!form->keeps_lanes) {
        write_places("m", 0, form->kept, NULL, "k", range, out);
        return;
    }
    write_row_places(form, "m", "k", range, out);
}

/* Elements that the work-items of the group have reduced each, joined in a tree; the first goes on with the whole. */
static void write_tree(const opencl_form *form, opencl_text *out) {
    const char *sums = form->keeps_lanes ? "wide" : "all", *join = form->keeps_lanes ? "wide_join" : "join";
    opencl_text_print(out,
                      "parts[item] = %s;\nfor (uint half_ = %u; half_ > 0; half_ /= 2) {\n"
                      "barrier(CLK_LOCAL_MEM_FENCE);\n"
                      "if (item < half_) parts[item] = %s(parts[item], parts[item + half_]);\n}\n"
                      "if (item > 0) return;\n%s = parts[0];\n",
                      sums, form->group / 2, join, sums);
}

static void write_reduction(const opencl_form *form, opencl_text *out) {
    if (form->group > 1)
        opencl_text_print(out, "kernel __attribute__((reqd_work_group_size(%u, 1, 1))) void run(", form->group);
    else opencl_text_print(out, "kernel void run(");
    write_parameters(form, out);
    opencl_text_print(out, ") {\n");
    if (form->group == 1) {
        opencl_text_print(out, "const long m = get_global_id(0);\nif (m >= n) return;\nconst uint item = 0;\n");
    } else {
        opencl_text_print(out,
                          "const long m = get_group_id(0);\nconst uint item = get_local_id(0);\n"
                          "local %s parts[%u];\n",
                          form->keeps_lanes ? "wide_accumulator" : "accumulator", form->group);
    }
    write_pointers(form, out);
    write_reduced_places(form, out);
    write_constants(form, out);
    bool is_along = form->lanes > 1 && !form->keeps_lanes;
    opencl_text_print(out,
                      "const long part = get_global_id(1), end = min(length, (part + 1) * slice);\n"
                      "%s;\nfor (long r = part * slice + item%s; r < end; r += %u%s) {\n",
                      form->lanes > 1 ? "wide_accumulator wide = WIDE_IDENTITY" : "accumulator all = IDENTITY",
                      is_along ? " * LANES" : "", form->group, is_along ? " * LANES" : "");
    if (is_along) opencl_text_print(out, "const int left = (int)min((long)LANES, end - r);\n");
    write_places("r", form->kept, form->reduced, "k", "x", (operand_range){1, place_count(form)}, out);
    if (form->uses_index)
        opencl_text_print(out, "const w_i64 index = (w_i64)(first + x%u) + OFFSETS;\n", place_count(form) - 1);
    write_values(form, form->keeps_lanes ? form->kept - 1 : form->kept + form->reduced - 1, out);
    write_taking(form, out);
    opencl_text_print(out, "}\n");
    if (is_along) opencl_text_print(out, "accumulator all = fold(wide);\n");
    if (form->group > 1) write_tree(form, out);
    if (form->is_split) opencl_text_print(out, "partial[m * get_global_size(1) + part] = all;\n");
    else write_result(form, out);
    opencl_text_print(out, "}\n");
}

static void write_finish(const opencl_form *form, opencl_text *out) {
    opencl_text_print(out, "kernel void finish(");
    write_parameters(form, out);
    opencl_text_print(out, ") {\nconst long m = get_global_id(0);\nif (m >= n) return;\n");
    write_pointers(form, out);
    write_places("m", 0, form->kept, NULL, "k", (operand_range){0, 1}, out);
    opencl_text_print(out, "const long parts = (length + slice - 1) / slice;\n"
                           "accumulator all = partial[m * parts];\n"
                           "for (long i = 1; i < parts; i++) all = join(all, partial[m * parts + i]);\n");
    write_result(form, out);
    opencl_text_print(out, "}\n");
}

void opencl_program_write(const void *form, opencl_text *out_source) {
    const opencl_form *self = form;
    write_space(self, out_source);
    if (self->reduced == 0) {
        write_elementwise(self, out_source);
        return;
    }
    write_accumulator(self, out_source);
    if (self->lanes > 1) write_wide_accumulator(self, out_source);
    write_reduction(self, out_source);
    if (self->is_split) write_finish(self, out_source);
}
