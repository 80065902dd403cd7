/* Spaces of programs. */
#include "backends/cuda/operations/space.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(TARN_PROGRAM_MAXIMUM_OPERANDS == CUDA_MOST_OPERANDS, "kernels know as many operands");
_Static_assert(TARN_PROGRAM_MAXIMUM_CONSTANTS == CUDA_MOST_CONSTANTS, "kernels know as many constants");
_Static_assert(TARN_PROGRAM_MAXIMUM_STEPS == CUDA_MOST_STEPS, "kernels know as many steps");
_Static_assert(TARN_MAXIMUM_RANK == CUDA_MOST_RANK, "kernels know as many dimensions");
_Static_assert(sizeof(cuda_program) + sizeof(cuda_reduction) <= 4096, "a kernel's parameters have 4 KiB");

bool cuda_dims_add(cuda_dims *dims, long long dim) {
    if (dim == 1) return false;
    dims->dims[dims->rank++] = dim;
    return true;
}

/* Whether dimension `inner` continues the one before it, for all operands. */
static bool continues(const cuda_dims *dims, unsigned inner) {
    for (unsigned i = 0; i < dims->operand_count; i++)
        if (dims->strides[i][inner - 1] != dims->strides[i][inner] * dims->dims[inner]) return false;
    return true;
}

void cuda_dims_merge(cuda_dims *dims, unsigned first) {
    unsigned last = first; /* the dimension that the next may be merged into */
    for (unsigned d = first + 1; d < dims->rank; d++) {
        /* It lies behind `last` once it is moved there. */
        dims->dims[last + 1] = dims->dims[d];
        for (unsigned i = 0; i < dims->operand_count; i++) dims->strides[i][last + 1] = dims->strides[i][d];
        if (!continues(dims, last + 1)) {
            last++;
            continue;
        }
        dims->dims[last] *= dims->dims[last + 1];
        for (unsigned i = 0; i < dims->operand_count; i++) dims->strides[i][last] = dims->strides[i][last + 1];
    }
    if (dims->rank > first) dims->rank = last + 1;
}

unsigned cuda_values_of(tarn_operation operation) {
    if (operation < TARN_OPERATION_ADD) return 1;
    return operation < TARN_OPERATION_SELECT ? 2 : 3;
}

bool cuda_program_uses_index(const tarn_program *program) {
    for (uint32_t i = 0; i < program->step_count; i++)
        for (unsigned j = 0; j < cuda_values_of(program->steps[i].operation); j++)
            if (program->steps[i].values[j].source == TARN_SOURCE_INDEX) return true;
    return false;
}

/* What counts when dimensions are ordered: how far apart neighbours lie, in bytes: of the output, or, in a reduction, of all inputs. */
static long long distance(const tarn_backend_operation *operation, uint32_t dim) {
    bool reduces = operation->program->reduction != TARN_OPERATION_COPY;
    uint32_t first = reduces ? operation->output_count : 0;
    uint32_t last = reduces ? operation->output_count + operation->input_count : 1;
    long long sum = 0;
    for (uint32_t i = first; i < last; i++) {
        const tarn_operand *operand = &operation->operands[i];
        sum += llabs(operand->strides[dim]) * (long long)tarn_element_size(operand->type);
    }
    return sum;
}

/* Writes the numbers of those dimensions whose bits in `mask` are `wanted`, those with large strides first. */
static uint32_t order_dims(const tarn_backend_operation *operation, uint32_t mask, uint32_t wanted, uint32_t *order) {
    uint32_t count = 0;
    for (uint32_t d = 0; d < operation->operands[0].rank; d++) {
        if ((mask >> d & 1) != wanted) continue;
        uint32_t at = count++;
        for (; at > 0 && distance(operation, order[at - 1]) < distance(operation, d); at--) order[at] = order[at - 1];
        order[at] = d;
    }
    return count;
}

/* Appends the dimensions, merged. */
static void add_dims(const tarn_backend_operation *operation, const uint32_t *order, uint32_t count,
                     const long long *index_strides, cuda_dims *dims) {
    const unsigned first = dims->rank;
    for (uint32_t i = 0; i < count; i++) {
        if (!cuda_dims_add(dims, operation->operands[0].dims[order[i]])) continue;
        for (unsigned j = 0; j + 1 < dims->operand_count; j++)
            dims->strides[j][dims->rank - 1] = operation->operands[j].strides[order[i]];
        dims->strides[dims->operand_count - 1][dims->rank - 1] = index_strides[order[i]];
    }
    cuda_dims_merge(dims, first);
}

void cuda_space_make(const tarn_backend_operation *operation, cuda_space *out_space) {
    const tarn_program *program = operation->program;
    const tarn_operand *operands = operation->operands;
    const uint32_t rank = operands[0].rank;
    uint32_t order[TARN_MAXIMUM_RANK];
    long long index_strides[TARN_MAXIMUM_RANK] = {0};
    /* The index is walked like one more operand, where the program asks for it. */
    cuda_dims dims = {.operand_count = operation->output_count + operation->input_count + 1};
    uint32_t reduced = program->reduction != TARN_OPERATION_COPY ? program->reduced_dims : 0;
    long long stride = cuda_program_uses_index(program) ? 1 : 0;
    for (uint32_t d = rank; d-- > 0; stride *= operands[0].dims[d]) index_strides[d] = stride;

    cuda_space *space = out_space;
    *space = (cuda_space){.first_index = program->first_index,
                          .output_count = operation->output_count,
                          .operand_count = operation->output_count + operation->input_count,
                          .kept = 1,
                          .reduced = 1};
    add_dims(operation, order, order_dims(operation, reduced, 0, order), index_strides, &dims);
    space->kept_rank = dims.rank;
    add_dims(operation, order, order_dims(operation, reduced, 1, order), index_strides, &dims);
    space->rank = dims.rank;
    for (unsigned d = 0; d < dims.rank; d++) {
        space->dims[d] = dims.dims[d];
        if (d < space->kept_rank) space->kept *= dims.dims[d];
        else space->reduced *= dims.dims[d];
    }
    for (unsigned i = 0; i < space->operand_count; i++) {
        space->data[i] = operands[i].data;
        space->types[i] = (unsigned char)operands[i].type;
        memcpy(space->strides[i], dims.strides[i], sizeof space->strides[i]);
    }
    memcpy(space->index_strides, dims.strides[dims.operand_count - 1], sizeof space->index_strides);
}

/* Programs for the interpreter. */

static unsigned char register_of(tarn_value value) {
    switch (value.source) {
    case TARN_SOURCE_INPUT: return (unsigned char)value.number;
    case TARN_SOURCE_CONSTANT: return (unsigned char)(CUDA_FIRST_CONSTANT + value.number);
    case TARN_SOURCE_STEP: return (unsigned char)(CUDA_FIRST_STEP + value.number);
    default: return CUDA_INDEX_REGISTER;
    }
}

static tarn_element_type type_of(const tarn_backend_operation *operation, tarn_value value) {
    switch (value.source) {
    case TARN_SOURCE_INPUT: return operation->operands[operation->output_count + value.number].type;
    case TARN_SOURCE_CONSTANT: return operation->program->constants[value.number].type;
    case TARN_SOURCE_STEP: return operation->program->steps[value.number].type;
    default: return TARN_ELEMENT_I64;
    }
}

static cuda_lane lane_of(tarn_constant constant) {
    if (constant.type == TARN_ELEMENT_F64) return (cuda_lane){.real = constant.floating};
    if (constant.type < TARN_ELEMENT_F64) return (cuda_lane){.single = (float)constant.floating};
    return (cuda_lane){.integer = constant.integer};
}

void cuda_program_make(const tarn_backend_operation *operation, cuda_program *out_program) {
    const tarn_program *program = operation->program;
    /* What is not used is not left to chance: it goes to the device with the rest. */
    *out_program = (cuda_program){.step_count = 0};
    cuda_space_make(operation, &out_program->space);
    out_program->step_count = program->step_count;
    out_program->constant_count = program->constant_count;
    for (uint32_t i = 0; i < program->constant_count; i++) out_program->constants[i] = lane_of(program->constants[i]);
    for (uint32_t i = 0; i < program->step_count; i++) {
        const tarn_step *step = &program->steps[i];
        cuda_step made = {.operation = (unsigned char)step->operation, .type = (unsigned char)step->type};
        /* The last of the values has the type that they share: the first of a SELECT is a BOOL. */
        for (unsigned j = 0; j < cuda_values_of(step->operation); j++) {
            made.values[j] = register_of(step->values[j]);
            made.taken_type = (unsigned char)type_of(operation, step->values[j]);
        }
        out_program->steps[i] = made;
    }
    for (uint32_t i = 0; i < operation->output_count; i++)
        out_program->results[i] = (unsigned char)(CUDA_FIRST_STEP + program->results[i]);
}
