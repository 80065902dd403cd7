/* Names of operations, the types that they take, and copies of their arguments: one piece of memory, with the arrays behind the structure. */
#include "base/operation.h"

#include <string.h>

#include "base/memory.h"

static const char *const names[TARN_OPERATION_COUNT] = {
    [TARN_OPERATION_COPY] = "copy",         [TARN_OPERATION_NEG] = "neg",
    [TARN_OPERATION_EXP] = "exp",           [TARN_OPERATION_LOG] = "log",
    [TARN_OPERATION_SQRT] = "sqrt",         [TARN_OPERATION_SIN] = "sin",
    [TARN_OPERATION_COS] = "cos",           [TARN_OPERATION_RELU] = "relu",
    [TARN_OPERATION_SIGMOID] = "sigmoid",   [TARN_OPERATION_TANH] = "tanh",
    [TARN_OPERATION_ADD] = "add",           [TARN_OPERATION_SUBTRACT] = "subtract",
    [TARN_OPERATION_MULTIPLY] = "multiply", [TARN_OPERATION_DIVIDE] = "divide",
    [TARN_OPERATION_POW] = "pow",           [TARN_OPERATION_MAXIMUM] = "maximum",
    [TARN_OPERATION_MINIMUM] = "minimum",   [TARN_OPERATION_EQUAL] = "equal",
    [TARN_OPERATION_LESS] = "less",         [TARN_OPERATION_LESS_EQUAL] = "less_equal",
    [TARN_OPERATION_RANDOM] = "random",     [TARN_OPERATION_SELECT] = "select",
    [TARN_OPERATION_SUM] = "sum",           [TARN_OPERATION_MEAN] = "mean",
    [TARN_OPERATION_PROD] = "prod",         [TARN_OPERATION_MAX] = "max",
    [TARN_OPERATION_MIN] = "min",           [TARN_OPERATION_MATMUL] = "matmul",
    [TARN_OPERATION_CONV2D] = "conv2d",     [TARN_OPERATION_MAX_POOL2D] = "max_pool2d",
    [TARN_OPERATION_SOFTMAX] = "softmax",   [TARN_OPERATION_LAYER_NORM] = "layer_norm",
    [TARN_OPERATION_GATHER] = "gather",     [TARN_OPERATION_PROGRAM] = "program",
};

const char *tarn_operation_name(tarn_operation operation) {
    return (unsigned)operation < TARN_OPERATION_COUNT ? names[operation] : "unknown";
}

static int is_float(tarn_element_type type) { return type <= TARN_ELEMENT_F64; }

_Static_assert(TARN_ELEMENT_F32 == 0 && TARN_ELEMENT_F64 == 3, "floating types come first");

int base_operation_takes(tarn_operation operation, tarn_element_type type) {
    if ((unsigned)operation >= TARN_OPERATION_COUNT || (unsigned)type >= TARN_ELEMENT_TYPE_COUNT) return 0;
    switch (operation) {
    case TARN_OPERATION_EXP:
    case TARN_OPERATION_LOG:
    case TARN_OPERATION_SQRT:
    case TARN_OPERATION_SIN:
    case TARN_OPERATION_COS:
    case TARN_OPERATION_SIGMOID:
    case TARN_OPERATION_TANH:
    case TARN_OPERATION_MEAN:
    case TARN_OPERATION_MATMUL:
    case TARN_OPERATION_CONV2D:
    case TARN_OPERATION_SOFTMAX:
    case TARN_OPERATION_LAYER_NORM: return is_float(type);
    case TARN_OPERATION_NEG:
    case TARN_OPERATION_RELU:
    case TARN_OPERATION_SUBTRACT:
    case TARN_OPERATION_DIVIDE:
    case TARN_OPERATION_POW:
    case TARN_OPERATION_SUM:
    case TARN_OPERATION_PROD:
    case TARN_OPERATION_MAX_POOL2D: return type != TARN_ELEMENT_BOOL;
    case TARN_OPERATION_RANDOM: return type == TARN_ELEMENT_F32 || type == TARN_ELEMENT_F64;
    default: return 1;
    }
}

/* Everything that a copy consists of; each member's alignment divides that of the one before it. */
typedef struct operation_arrays {
    size_t operands, program, steps, constants, results; /* bytes */
} operation_arrays;

_Static_assert(_Alignof(tarn_backend_operation) >= _Alignof(tarn_operand), "operands follow the structure");
_Static_assert(_Alignof(tarn_operand) >= _Alignof(tarn_program), "the program follows the operands");
_Static_assert(_Alignof(tarn_program) >= _Alignof(tarn_constant), "constants follow the program");
_Static_assert(_Alignof(tarn_constant) >= _Alignof(tarn_step), "steps follow the constants");
_Static_assert(_Alignof(tarn_step) >= _Alignof(uint16_t), "results follow the steps");

tarn_backend_operation *base_operation_copy(const tarn_backend_operation *operation) {
    const tarn_program *program = operation->program;
    operation_arrays sizes = {.operands =
                                  ((size_t)operation->output_count + operation->input_count) * sizeof(tarn_operand)};
    if (program != NULL) {
        sizes.program = sizeof *program;
        sizes.constants = program->constant_count * sizeof(tarn_constant);
        sizes.steps = program->step_count * sizeof(tarn_step);
        sizes.results = operation->output_count * sizeof(uint16_t);
    }
    char *memory = base_allocate(1, sizeof *operation + sizes.operands + sizes.program + sizes.constants + sizes.steps +
                                        sizes.results);
    if (memory == NULL) return NULL;
    tarn_backend_operation *copy = (tarn_backend_operation *)memory;
    memory += sizeof *copy;
    *copy = *operation;
    copy->operands = memcpy(memory, operation->operands, sizes.operands);
    memory += sizes.operands;
    if (program == NULL) return copy;
    tarn_program *program_copy = (tarn_program *)memory;
    memory += sizes.program;
    *program_copy = *program;
    copy->program = program_copy;
    program_copy->constants = sizes.constants != 0 ? memcpy(memory, program->constants, sizes.constants) : NULL;
    memory += sizes.constants;
    program_copy->steps = memcpy(memory, program->steps, sizes.steps);
    memory += sizes.steps;
    program_copy->results = memcpy(memory, program->results, sizes.results);
    return copy;
}

void base_operand_range(const tarn_operand *operand, const void **out_begin, size_t *out_size) {
    int64_t lowest = 0, highest = 0;
    for (uint32_t i = 0; i < operand->rank; i++) {
        int64_t reach = (operand->dims[i] - 1) * operand->strides[i];
        if (reach < 0) lowest += reach;
        else highest += reach;
    }
    int64_t size = (int64_t)tarn_element_size(operand->type);
    *out_begin = (const char *)operand->data + lowest * size;
    *out_size = (size_t)((highest - lowest + 1) * size);
}
