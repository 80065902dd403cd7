/* Programs of one step by kernels that are there before: no compiler is needed for them, and none is asked. */
#include "backends/cuda/operations/space.h"

#include <string.h>

#define THREADS 256
/* Elements along both sides from which on tiles pay. */
#define LEAST_TURNED 8

/* The first of the kernels for a step, of which there is one for each type; CUDA_KERNEL_COUNT: there are none. */
static cuda_kernel kernels_for(tarn_operation operation) {
    switch (operation) {
    case TARN_OPERATION_NEG:
    case TARN_OPERATION_RELU:
    case TARN_OPERATION_ADD:
    case TARN_OPERATION_SUBTRACT:
    case TARN_OPERATION_MULTIPLY:
    case TARN_OPERATION_DIVIDE:
    case TARN_OPERATION_MAXIMUM:
    case TARN_OPERATION_MINIMUM: return tarn_arithmetic_f32_kernel;
    case TARN_OPERATION_EXP:
    case TARN_OPERATION_LOG:
    case TARN_OPERATION_SQRT:
    case TARN_OPERATION_SIGMOID:
    case TARN_OPERATION_TANH: return tarn_exponential_f32_kernel;
    case TARN_OPERATION_SIN:
    case TARN_OPERATION_COS: return tarn_wave_f32_kernel;
    case TARN_OPERATION_POW: return tarn_pow_f32_kernel;
    case TARN_OPERATION_EQUAL:
    case TARN_OPERATION_LESS:
    case TARN_OPERATION_LESS_EQUAL: return tarn_compare_f32_kernel;
    case TARN_OPERATION_SELECT: return tarn_select_f32_kernel;
    case TARN_OPERATION_COPY: return tarn_cast_f32_kernel;
    default: return CUDA_KERNEL_COUNT;
    }
}

/* Whether the step's input is moved as it is. */
static bool is_copy(const cuda_program *program) {
    const cuda_step *step = &program->steps[0];
    return step->operation == TARN_OPERATION_COPY && step->type == step->taken_type &&
           step->values[0] < CUDA_FIRST_CONSTANT;
}

static unsigned place_of_size(size_t size) { return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3; }

bool cuda_single_find(const cuda_task *task, const cuda_program *program, cuda_kernel *out_kernel) {
    const cuda_step *step = &program->steps[0];
    if (program->step_count != 1 || program->space.output_count != 1) return false;
    if (task->operation->program->reduction != TARN_OPERATION_COPY) return false;
    for (unsigned i = 0; i < cuda_values_of((tarn_operation)step->operation); i++)
        if (step->values[i] == CUDA_INDEX_REGISTER) return false;
    cuda_kernel first = kernels_for((tarn_operation)step->operation);
    if (first == CUDA_KERNEL_COUNT) return false;
    if (is_copy(program))
        *out_kernel =
            (cuda_kernel)(tarn_copy_1_kernel + place_of_size(tarn_element_size((tarn_element_type)step->type)));
    else *out_kernel = cuda_kernel_of(first, (tarn_element_type)step->taken_type);
    return true;
}

static bool is_cast(const cuda_program *program) { return program->steps[0].operation == TARN_OPERATION_COPY; }

/* Packs of a row: they begin where the output is aligned, which may not be where a row does. */
static long long packs_of(const cuda_single *single, unsigned lanes) {
    if (single->steps[0] != 1) return (single->length + lanes - 1) / lanes;
    unsigned before = (unsigned)((uintptr_t)single->data[0] / single->out_size % lanes);
    for (unsigned d = 0; d < single->rank; d++)
        if (single->strides[0][d] % lanes != 0) before = lanes - 1;
    return (single->length + before + lanes - 1) / lanes;
}

static cuda_single make_single(const cuda_program *program) {
    const cuda_space *space = &program->space;
    const cuda_step *step = &program->steps[0];
    cuda_single single = {.rows = 1, .length = 1, .operation = step->operation, .to = step->type};
    const unsigned last = space->rank > 0 ? space->rank - 1 : 0;
    single.rank = last;
    if (space->rank > 0) single.length = space->dims[last];
    for (unsigned d = 0; d < last; d++) single.rows *= single.dims[d] = space->dims[d];
    single.out_size = (unsigned)tarn_element_size((tarn_element_type)space->types[0]);
    for (unsigned i = 0; i <= cuda_values_of((tarn_operation)step->operation); i++) {
        unsigned value = i > 0 ? step->values[i - 1] : 0;
        if (i > 0 && value >= CUDA_FIRST_CONSTANT) {
            single.constants[i - 1] = program->constants[value - CUDA_FIRST_CONSTANT];
            continue;
        }
        unsigned operand = i > 0 ? space->output_count + value : 0;
        single.data[i] = space->data[operand];
        memcpy(single.strides[i], space->strides[operand], last * sizeof single.strides[i][0]);
        single.steps[i] = space->rank > 0 ? space->strides[operand][last] : 0;
    }
    return single;
}

/* The dimension along which the input's elements lie side by side, where it is not that along which the output's do, and both are worth turning; the
 * last one: there is none. */
static unsigned find_turned(const cuda_single *single) {
    if (single->steps[0] != 1 || single->steps[1] == 1 || single->length < LEAST_TURNED) return single->rank;
    for (unsigned d = 0; d < single->rank; d++)
        if (single->strides[1][d] == 1 && single->dims[d] >= LEAST_TURNED) return d;
    return single->rank;
}

static tarn_status enqueue_turn(const cuda_task *task, const cuda_single *single, unsigned turned) {
    cuda_turn turn = {.rows = single->dims[turned],
                      .columns = single->length,
                      .in_column_stride = single->steps[1],
                      .out_row_stride = single->strides[0][turned],
                      .out = single->data[0],
                      .in = single->data[1]};
    long long side = single->out_size < sizeof(unsigned)
                         ? CUDA_TURN_SIDE * (int)sizeof(unsigned) / (int)single->out_size
                         : CUDA_TURN_SIDE;
    long long blocks = (turn.rows + side - 1) / side * ((turn.columns + side - 1) / side);
    for (unsigned d = 0; d < single->rank; d++) {
        if (d == turned) continue;
        blocks *= turn.dims[turn.rank] = single->dims[d];
        turn.out_strides[turn.rank] = single->strides[0][d];
        turn.in_strides[turn.rank++] = single->strides[1][d];
    }
    if (blocks > INT32_MAX) return cuda_fail(TARN_NOT_SUPPORTED, "a copy in %lld tiles", blocks);
    cuda_grid grid = {(unsigned)blocks, 1, 1, CUDA_TURN_SIDE * CUDA_TURN_LINES};
    cuda_kernel kernel = (cuda_kernel)(tarn_turn_1_kernel + place_of_size(single->out_size));
    return cuda_launch(task, kernel, grid, (void *[]){&turn});
}

tarn_status cuda_single_enqueue(const cuda_task *task, const cuda_program *program, cuda_kernel kernel) {
    cuda_single single = make_single(program);
    unsigned turned = is_copy(program) ? find_turned(&single) : single.rank;
    if (turned < single.rank) return enqueue_turn(task, &single, turned);
    unsigned taken = (unsigned)tarn_element_size((tarn_element_type)program->steps[0].taken_type);
    unsigned lanes = CUDA_LANES(taken), packs = CUDA_PACKS;
    if (program->steps[0].operation == TARN_OPERATION_SELECT) lanes = CUDA_LANES(single.out_size);
    if (is_copy(program)) packs = CUDA_COPY_PACKS;
    else if (is_cast(program)) lanes = CUDA_CAST_LANES;
    single.packs = packs_of(&single, lanes);
    /* Few packs: a block of fewer threads, so that each has some. */
    long long all = single.packs * single.rows, threads = cuda_power_above((all + packs - 1) / packs, THREADS);
    if (threads < 32) threads = 32;
    long long blocks = (all + threads * packs - 1) / (threads * packs);
    if (blocks > INT32_MAX) return cuda_fail(TARN_NOT_SUPPORTED, "%lld elements", program->space.kept);
    cuda_grid grid = {(unsigned)blocks, 1, 1, (unsigned)threads};
    return cuda_launch(task, kernel, grid, (void *[]){&single});
}
