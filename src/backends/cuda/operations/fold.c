/* Reductions of one operand as it lies, by kernels that are there before: no compiler is needed for them, and none is asked. How threads and blocks
 * share them depends on the shape and the device alone, so that a result is the same every time. */
#include "backends/cuda/operations/reduce.h"

#include <string.h>

#include "backends/cuda/operations/space.h"

#define THREADS 256
#define WARP 32
/* Packs that a thread takes before others help it, and before another block does. */
#define PACKS 2
#define PACKS_OF_SLICE 8
/* Blocks for each multiprocessor from which on a thread takes as many packs as it has in flight before others help it. */
#define MANY_BLOCKS 8
/* Blocks that a multiprocessor runs at the same time, by the registers that they take: slices are as many, so that none waits for others to end. */
#define RESIDENT_BLOCKS(size) ((size) == 1 ? 2 : 3)

/* What elements are summed up in. */
static tarn_element_type sum_of(tarn_element_type type) {
    if (type == TARN_ELEMENT_F64) return TARN_ELEMENT_F64;
    return type < TARN_ELEMENT_F64 ? TARN_ELEMENT_F32 : TARN_ELEMENT_I64;
}

/* Whether the program's step gives its input, as it is or as what it is summed up in. */
static bool is_fold(const cuda_program *program) {
    const cuda_step *step = &program->steps[0];
    if (program->step_count != 1 || program->space.output_count != 1 || step->operation != TARN_OPERATION_COPY ||
        step->values[0] >= CUDA_FIRST_CONSTANT)
        return false;
    return step->type == step->taken_type || step->type == sum_of((tarn_element_type)step->taken_type);
}

static long long ceiling(long long number, long long divisor) { return (number + divisor - 1) / divisor; }

static cuda_fold make_fold(const cuda_program *program, tarn_operation operation) {
    const cuda_space *space = &program->space;
    const cuda_step *step = &program->steps[0];
    const unsigned input = space->output_count + step->values[0];
    cuda_fold fold = {.kept = space->kept,
                      .reduced = space->reduced,
                      .out = space->data[0],
                      .in = space->data[input],
                      .kept_rank = space->kept_rank,
                      .run_rank = space->kept_rank,
                      .rank = space->rank,
                      .runs = 1,
                      .length = 1,
                      .step = 1,
                      .operation = (unsigned)operation,
                      .is_widened = step->type != step->taken_type,
                      .slices = 1,
                      .lanes = 1};
    memcpy(fold.dims, space->dims, sizeof fold.dims);
    memcpy(fold.in_strides, space->strides[input], sizeof fold.in_strides);
    memcpy(fold.out_strides, space->strides[0], sizeof fold.out_strides);
    if (fold.rank > fold.kept_rank) {
        fold.run_rank = fold.rank - 1;
        fold.length = fold.dims[fold.run_rank];
        fold.step = fold.in_strides[fold.run_rank];
        fold.runs = fold.reduced / fold.length;
    }
    return fold;
}

/* Blocks for each group of outputs, so that there are enough in all, and each has something to do. */
static unsigned slices_for(const cuda_task *task, unsigned size, long long blocks, long long worth) {
    long long wanted = cuda_reduction_slices(task->device, blocks, RESIDENT_BLOCKS(size));
    if (wanted > worth) wanted = worth;
    return wanted > 1 ? (unsigned)wanted : 1;
}

static void share_rows(const cuda_task *task, cuda_fold *fold, unsigned size) {
    const long long lanes = 16 / size, many = (long long)task->device->compute_units * MANY_BLOCKS;
    fold->threads = cuda_power_above(fold->reduced / (lanes * CUDA_FOLD_FLIGHT), THREADS);
    if (fold->kept / (THREADS / fold->threads) < many)
        fold->threads = cuda_power_above(fold->reduced / (lanes * PACKS), THREADS);
    fold->outputs = cuda_power_above(fold->kept, THREADS / fold->threads);
    /* Warps are whole. */
    if (fold->outputs * fold->threads < WARP) fold->outputs = WARP / fold->threads;
    fold->along = cuda_power_above(ceiling(fold->length, lanes), fold->threads);
    const long long teams = fold->threads / fold->along;
    const unsigned slices = slices_for(task, size, ceiling(fold->kept, fold->outputs),
                                       fold->reduced / (fold->threads * lanes * PACKS_OF_SLICE));
    /* Runs are cut where there are fewer of them than teams. */
    long long pieces = fold->runs < teams * slices ? ceiling(teams * slices, fold->runs) : 1;
    const long long most = fold->length / (fold->along * lanes * PACKS);
    if (pieces > most) pieces = most > 1 ? most : 1;
    fold->piece = ceiling(ceiling(fold->length, pieces), lanes) * lanes;
    fold->pieces = ceiling(fold->length, fold->piece);
    const long long useful = ceiling(fold->runs * fold->pieces, teams);
    fold->slices = slices < useful ? slices : (unsigned)useful;
}

/* Whether all packs of outputs are aligned and whole. */
static bool is_in_packs(const cuda_fold *fold, unsigned size, unsigned lanes) {
    const unsigned last = fold->kept_rank - 1;
    if (fold->in_strides[last] != 1 || fold->dims[last] % lanes != 0) return false;
    if ((uintptr_t)fold->in % (lanes * size) != 0) return false;
    for (unsigned d = 0; d < fold->rank; d++)
        if (d != last && fold->in_strides[d] % lanes != 0) return false;
    return true;
}

static void share_columns(const cuda_task *task, cuda_fold *fold, unsigned size) {
    const unsigned lanes = CUDA_LANES(size);
    if (is_in_packs(fold, size, lanes)) fold->lanes = lanes;
    fold->outputs = cuda_power_above(fold->kept / fold->lanes, WARP);
    fold->threads = cuda_power_above(fold->reduced / PACKS, THREADS / fold->outputs);
    /* Each output is written by a thread of its own. */
    if (fold->threads < fold->lanes) fold->threads = fold->lanes;
    fold->slices = slices_for(task, size, ceiling(fold->kept, (long long)fold->outputs * fold->lanes),
                              fold->reduced / ((long long)fold->threads * PACKS_OF_SLICE));
}

bool cuda_fold_enqueue(const cuda_task *task, const cuda_program *program, bool runs_along_kept,
                       tarn_status *out_status) {
    if (!is_fold(program)) return false;
    const tarn_operation operation = task->operation->program->reduction;
    const tarn_element_type taken = (tarn_element_type)program->steps[0].taken_type;
    const unsigned size = (unsigned)tarn_element_size(taken);
    cuda_fold fold = make_fold(program, operation);
    if (runs_along_kept) share_columns(task, &fold, size);
    else share_rows(task, &fold, size);
    const long long blocks = ceiling(fold.kept, (long long)fold.outputs * fold.lanes);
    const cuda_kernel first = runs_along_kept ? tarn_fold_columns_f32_kernel : tarn_fold_rows_f32_kernel;
    const cuda_grid grid = {(unsigned)blocks, fold.slices, 1, fold.outputs * fold.threads};
    tarn_status status = cuda_reduction_begin(task, fold.kept, blocks, fold.slices, &fold.partial);
    if (status == TARN_OK) status = cuda_launch(task, cuda_kernel_of(first, taken), grid, (void *[]){&fold});
    if (status == TARN_OK && fold.slices > 1)
        status = cuda_reduction_finish(task, &program->space, operation, fold.slices, fold.partial);
    *out_status = status;
    return true;
}
