/* Writing sources. A kernel has a function that computes all steps for one element, and a body that finds, reads and writes elements. */
#include "backends/cuda/operations/generate.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"

static const char *const element_names[TARN_ELEMENT_TYPE_COUNT] = {
    [TARN_ELEMENT_F32] = "float",  [TARN_ELEMENT_F16] = "half16", [TARN_ELEMENT_BF16] = "bfloat16",
    [TARN_ELEMENT_F64] = "double", [TARN_ELEMENT_I8] = "int8",    [TARN_ELEMENT_U8] = "uint8",
    [TARN_ELEMENT_I16] = "short",  [TARN_ELEMENT_I32] = "int",    [TARN_ELEMENT_I64] = "int64",
    [TARN_ELEMENT_BOOL] = "truth",
};

static const char *lane_name(unsigned type) {
    switch (type) {
    case TARN_ELEMENT_F32:
    case TARN_ELEMENT_F16:
    case TARN_ELEMENT_BF16: return "float";
    case TARN_ELEMENT_F64: return "double";
    case TARN_ELEMENT_I64: return "int64";
    default: return "int";
    }
}

/* The member of a cuda_lane that holds a constant. */
static const char *member_name(unsigned type) {
    if (type == TARN_ELEMENT_F64) return "real";
    return type < TARN_ELEMENT_F64 ? "single" : "integer";
}

/* Forms. */

/* Whether packs of `lanes` elements can be read along the last dimension, for all operands whose elements lie side by side there. */
static bool suits(const cuda_space *space, const cuda_form *form, unsigned lanes) {
    bool may_end_early = space->rank == 1;
    if (!may_end_early && space->dims[space->rank - 1] % lanes != 0) return false;
    for (unsigned i = 0; i < form->operand_count; i++) {
        if (form->lies[i] != CUDA_LIES_SIDE_BY_SIDE) continue;
        size_t size = tarn_element_size((tarn_element_type)form->types[i]) * lanes;
        if ((uintptr_t)space->data[i] % (size < 16 ? size : 16) != 0) return false;
        for (unsigned d = 0; d + 1 < space->rank; d++)
            if (space->strides[i][d] % lanes != 0) return false;
    }
    return true;
}

static unsigned find_lanes(const cuda_space *space, const cuda_form *form) {
    size_t least = 16;
    bool has_any = false;
    for (unsigned i = 0; i < form->operand_count; i++) {
        if (form->lies[i] != CUDA_LIES_SIDE_BY_SIDE) continue;
        size_t size = tarn_element_size((tarn_element_type)form->types[i]);
        if (size < least) least = size;
        has_any = true;
    }
    if (!has_any) return 1;
    unsigned lanes = (unsigned)(16 / least) < CUDA_MOST_LANES ? (unsigned)(16 / least) : CUDA_MOST_LANES;
    while (lanes > 1 && !suits(space, form, lanes)) lanes /= 2;
    return lanes;
}

void cuda_form_make(const cuda_program *program, const tarn_program *original, bool runs_along_kept,
                    cuda_form *out_form) {
    const cuda_space *space = &program->space;
    cuda_form *form = out_form;
    memset(form, 0, sizeof *form);
    form->output_count = (uint8_t)space->output_count;
    form->operand_count = (uint8_t)space->operand_count;
    form->kept_rank = (uint8_t)space->kept_rank;
    form->rank = (uint8_t)space->rank;
    form->reduction = (uint8_t)original->reduction;
    form->is_wide = space->kept > INT32_MAX || space->reduced > INT32_MAX;
    form->step_count = (uint8_t)program->step_count;
    form->constant_count = (uint8_t)program->constant_count;
    for (unsigned i = 0; i < space->operand_count; i++) {
        form->types[i] = space->types[i];
        long long stride = space->rank > 0 ? space->strides[i][space->rank - 1] : 0;
        form->lies[i] = stride == 0 ? CUDA_LIES_STILL : stride == 1 ? CUDA_LIES_SIDE_BY_SIDE : CUDA_LIES_APART;
    }
    for (unsigned i = 0; i < program->constant_count; i++)
        form->constant_types[i] = (uint8_t)original->constants[i].type;
    for (unsigned i = 0; i < space->output_count; i++)
        form->results[i] = (uint8_t)(program->results[i] - CUDA_FIRST_STEP);
    memcpy(form->steps, program->steps, program->step_count * sizeof form->steps[0]);
    bool is_last_walked =
        form->reduction == TARN_OPERATION_COPY || (!runs_along_kept && space->rank > space->kept_rank);
    form->lanes = (uint8_t)(space->rank > 0 && is_last_walked ? find_lanes(space, form) : 1);
}

/* The function of the steps. */

static void write_value(base_text *text, const cuda_form *form, unsigned value) {
    if (value < CUDA_FIRST_CONSTANT) base_text_put(text, "i%u", value);
    else if (value == CUDA_INDEX_REGISTER) base_text_put(text, "index");
    else if (value >= CUDA_FIRST_STEP) base_text_put(text, "s%u", value - CUDA_FIRST_STEP);
    else {
        unsigned number = value - CUDA_FIRST_CONSTANT, type = form->constant_types[number];
        base_text_put(text, "(%s)constants.values[%u].%s", lane_name(type), number, member_name(type));
    }
}

static void write_values(base_text *text, const cuda_form *form, const cuda_step *step) {
    for (unsigned i = 0; i < cuda_values_of((tarn_operation)step->operation); i++) {
        if (i > 0) base_text_put(text, ", ");
        write_value(text, form, step->values[i]);
    }
}

/* What computes a step, a call that takes its values. */
static void write_call(base_text *text, const cuda_step *step) {
    switch (step->operation) {
    case TARN_OPERATION_COPY:
        base_text_put(text, "cast<%s, %s>", element_names[step->type], element_names[step->taken_type]);
        break;
    case TARN_OPERATION_SELECT: base_text_put(text, "choose"); break;
    case TARN_OPERATION_RANDOM:
        base_text_put(text, step->type == TARN_ELEMENT_F64 ? "random_double" : "random_float");
        break;
    default: base_text_put(text, "compute_%s", tarn_operation_name((tarn_operation)step->operation)); break;
    }
}

/* Types that are narrower than their lanes wrap after each step. */
static bool wraps(const cuda_step *step) {
    switch (step->type) {
    case TARN_ELEMENT_I8:
    case TARN_ELEMENT_U8:
    case TARN_ELEMENT_I16:
    case TARN_ELEMENT_BOOL: return step->operation != TARN_OPERATION_COPY;
    default: return false;
    }
}

static void write_steps(base_text *text, const cuda_form *form) {
    base_text_put(text, "static DEVICE void compute(");
    for (unsigned i = form->output_count; i < form->operand_count; i++)
        base_text_put(text, "%s i%u, ", lane_name(form->types[i]), i - form->output_count);
    base_text_put(text, "int64 index, const cuda_constants &constants");
    for (unsigned i = 0; i < form->output_count; i++) base_text_put(text, ", %s *r%u", lane_name(form->types[i]), i);
    base_text_put(text, ") {\n");
    for (unsigned i = 0; i < form->step_count; i++) {
        const cuda_step *step = &form->steps[i];
        base_text_put(text, "    const %s s%u = ", lane_name(step->type), i);
        if (wraps(step)) base_text_put(text, "round_trip<%s>(", element_names[step->type]);
        write_call(text, step);
        base_text_put(text, "(");
        write_values(text, form, step);
        base_text_put(text, wraps(step) ? "));\n" : ");\n");
    }
    for (unsigned i = 0; i < form->output_count; i++) base_text_put(text, "    *r%u = s%u;\n", i, form->results[i]);
    base_text_put(text, "}\n\n");
}

/* The body. */

/* Adds to the offsets of operands [first, last), and to the index, what the element of number `left` lies behind, along dimensions
 * [from, to). */
static void write_offsets(base_text *text, const cuda_form *form, unsigned first, unsigned from, unsigned to) {
    for (unsigned d = to; d-- > from;) {
        base_text_put(text, "{ const number place = ");
        if (d == from) base_text_put(text, "left; ");
        else base_text_put(text, "left %% (number)space.dims[%u]; left /= (number)space.dims[%u]; ", d, d);
        for (unsigned i = first; i < form->operand_count; i++)
            base_text_put(text, "o%u += (int64)place * space.strides[%u][%u]; ", i, i, d);
        base_text_put(text, "index += (int64)place * space.index_strides[%u]; }\n", d);
    }
}

static void declare_offsets(base_text *text, const cuda_form *form, unsigned first) {
    base_text_put(text, "int64 index = space.first_index");
    for (unsigned i = first; i < form->operand_count; i++) base_text_put(text, ", o%u = 0", i);
    base_text_put(text, ";\n");
}

/* Reads packs of all inputs, p0 …. */
static void write_reads(base_text *text, const cuda_form *form) {
    unsigned last = form->rank > 0 ? form->rank - 1u : 0;
    for (unsigned i = form->output_count; i < form->operand_count; i++) {
        base_text_put(
            text,
            "const pack<%s, %u> p%u = read_pack<%s, %u, %u>(space.data[%u], o%u, space.strides[%u][%u], lanes);\n",
            element_names[form->types[i]], form->lanes, i - form->output_count, element_names[form->types[i]],
            form->lanes, form->lies[i], i, i, i, last);
    }
}

/* Calls the function for lane k. */
static void write_lane_call(base_text *text, const cuda_form *form) {
    base_text_put(text, "compute(");
    for (unsigned i = form->output_count; i < form->operand_count; i++)
        base_text_put(text, "load(p%u.elements[k]), ", i - form->output_count);
    if (form->rank > 0) base_text_put(text, "index + k * space.index_strides[%u], constants", form->rank - 1u);
    else base_text_put(text, "index, constants");
    for (unsigned i = 0; i < form->output_count; i++) base_text_put(text, ", &r%u", i);
    base_text_put(text, ");\n");
}

static void write_lanes(base_text *text, const cuda_form *form, const char *count, const char *first) {
    if (form->rank == 1) {
        base_text_put(text, "const uint32 lanes = %s - %s < %u ? (uint32)(%s - %s) : %u;\n", count, first, form->lanes,
                      count, first, form->lanes);
    } else {
        base_text_put(text, "const uint32 lanes = %u;\n", form->lanes);
    }
}

static void write_elementwise(base_text *text, const cuda_form *form) {
    unsigned last = form->rank > 0 ? form->rank - 1u : 0;
    base_text_put(text,
                  "KERNEL(tarn_generated)(PARAMETER(cuda_space) space, PARAMETER(cuda_constants) constants) {\n"
                  "const number count = (number)space.kept, groups = (count + %u) / %u;\n"
                  "for (number group = (number)thread_number(); group < groups; group += (number)thread_count()) {\n"
                  "const number first = group * %u;\nnumber left = first;\n",
                  form->lanes - 1u, form->lanes, form->lanes);
    declare_offsets(text, form, 0);
    write_offsets(text, form, 0, 0, form->rank);
    base_text_put(text, "(void)left;\n");
    write_lanes(text, form, "count", "first");
    write_reads(text, form);
    for (unsigned i = 0; i < form->output_count; i++)
        base_text_put(text, "pack<%s, %u> q%u;\n", element_names[form->types[i]], form->lanes, i);
    base_text_put(text, "UNROLLED for (int k = 0; k < %u; k++) {\n", form->lanes);
    for (unsigned i = 0; i < form->output_count; i++) base_text_put(text, "%s r%u;\n", lane_name(form->types[i]), i);
    write_lane_call(text, form);
    for (unsigned i = 0; i < form->output_count; i++) base_text_put(text, "store(&q%u.elements[k], r%u);\n", i, i);
    base_text_put(text, "}\n");
    for (unsigned i = 0; i < form->output_count; i++) {
        base_text_put(text, "write_pack<%s, %u, %u>(space.data[%u], o%u, space.strides[%u][%u], lanes, q%u);\n",
                      element_names[form->types[i]], form->lanes, form->lies[i], i, i, i, last, i);
    }
    base_text_put(text, "}\n}\n");
}

/* Reductions compute in floats, doubles and, for all integers, the widest. */
static const char *reduced_lane(const cuda_form *form) {
    const char *lane = lane_name(form->types[0]);
    return strcmp(lane, "int") == 0 ? "int64" : lane;
}

static void write_reduction(base_text *text, const cuda_form *form) {
    const char *lane = reduced_lane(form);
    base_text_put(text,
                  "KERNEL(tarn_generated)(PARAMETER(cuda_space) space, PARAMETER(cuda_constants) constants, "
                  "PARAMETER(cuda_reduction) shape) {\n"
                  "const reduction_place place = place_of_thread(shape);\n"
                  "const uint64 output = (uint64)blockIdx.x * shape.outputs + place.output;\n"
                  "running<%s> sums[%u];\nUNROLLED for (int k = 0; k < %u; k++) sums[k] = begin_reduction<%s>(%u);\n"
                  "if (output < (uint64)space.kept) {\n",
                  lane, form->lanes, form->lanes, lane, form->reduction);
    declare_offsets(text, form, form->output_count);
    base_text_put(text, "{\nnumber left = (number)output;\n");
    write_offsets(text, form, form->output_count, 0, form->kept_rank);
    base_text_put(
        text,
        "(void)left;\n}\nconst int64 kept_index = index;\nconst number count = (number)space.reduced, groups = (count + %u) / %u;\n",
        form->lanes - 1u, form->lanes);
    for (unsigned i = form->output_count; i < form->operand_count; i++)
        base_text_put(text, "const int64 kept%u = o%u;\n", i, i);
    base_text_put(text,
                  "for (number group = (number)(blockIdx.y * shape.threads + place.thread); group < groups; "
                  "group += (number)(shape.threads * shape.slices)) {\n"
                  "const number first = group * %u;\nnumber left = first;\nindex = kept_index;\n",
                  form->lanes);
    for (unsigned i = form->output_count; i < form->operand_count; i++) base_text_put(text, "o%u = kept%u;\n", i, i);
    write_offsets(text, form, form->output_count, form->kept_rank, form->rank);
    base_text_put(text, "(void)left;\n");
    write_lanes(text, form, "count", "first");
    write_reads(text, form);
    base_text_put(text, "UNROLLED for (int k = 0; k < %u; k++) {\nif ((uint32)k >= lanes) continue;\n%s r0;\n",
                  form->lanes, lane_name(form->types[0]));
    write_lane_call(text, form);
    base_text_put(text,
                  "take_in(%u, &sums[k], (%s)r0, (%s)0);\n}\n}\n}\nUNROLLED "
                  "for (int k = 1; k < %u; k++) take_in(%u, &sums[0], sums[k].value, sums[k].error);\n"
                  "const running<%s> mine = reduce_block(%u, shape.outputs, shape.threads, place, sums[0]);\n"
                  "if (place.thread == 0 && output < (uint64)space.kept) put(space, shape, output, mine);\n}\n",
                  form->reduction, lane, lane, form->lanes, form->reduction, lane, form->reduction);
}

static void write_source(base_text *text, const cuda_form *form) {
    base_text_put(text, "#include \"generated.cuh\"\n\ntypedef %s number;\n\n", form->is_wide ? "uint64" : "uint32");
    write_steps(text, form);
    if (form->reduction == TARN_OPERATION_COPY) write_elementwise(text, form);
    else write_reduction(text, form);
}

char *cuda_form_write(const cuda_form *form) {
    base_text text;
    base_text_begin(&text, NULL, 0);
    write_source(&text, form);
    size_t capacity = text.length + 1;
    char *source = base_allocate(capacity, 1);
    if (source == NULL) return NULL;
    base_text_begin(&text, source, capacity);
    write_source(&text, form);
    return source;
}
