/* Reductions: how threads and blocks share them, which depends on the shape and the device alone, so that a result is the same every time. */
#include "backends/cuda/operations/reduce.h"

#include <stdlib.h>

#include "backends/cuda/operations/space.h"

/* Elements that a thread adds up before others help it, threads of a block, and blocks for one group of outputs at most. */
#define EACH 4
#define THREADS 256
#define MOST_SLICES 1024
/* Blocks for each multiprocessor from which on there are enough. */
#define BLOCKS_PER_UNIT 4

/* Whether elements lie nearer to each other along the kept dimensions than along the reduced ones, in the input that is the largest. */
static bool runs_along_kept(const cuda_space *space) {
    if (space->kept_rank == 0 || space->kept_rank == space->rank) return space->kept_rank != 0;
    for (unsigned i = space->output_count; i < space->operand_count; i++) {
        long long along_kept = llabs(space->strides[i][space->kept_rank - 1]);
        long long along_reduced = llabs(space->strides[i][space->rank - 1]);
        if (along_kept != 0 && along_reduced != 0) return along_kept < along_reduced;
    }
    return false;
}

/* The kernel for the steps of this program, or the interpreter's. */
static tarn_status launch(const cuda_task *task, cuda_program *program, cuda_reduction *shape, cuda_grid grid) {
    driver_function compiled;
    if (!cuda_compiled_find(task, program, shape->runs_along_kept != 0, &compiled)) {
        return cuda_launch(task, tarn_reduce_kernel, grid, (void *[]){program, shape});
    }
    return cuda_launch_function(task, compiled, grid, (void *[]){&program->space, program->constants, shape});
}

long long cuda_reduction_slices(const tarn_backend_device *device, long long blocks, int per_unit) {
    const long long wanted = (long long)device->compute_units * per_unit / blocks;
    return wanted < MOST_SLICES ? wanted : MOST_SLICES;
}

tarn_status cuda_reduction_begin(const cuda_task *task, long long kept, long long blocks, unsigned slices,
                                 void **out_partial) {
    if (blocks > INT32_MAX) return cuda_fail(TARN_NOT_SUPPORTED, "a reduction to %lld elements", kept);
    if (slices == 1) return TARN_OK;
    return cuda_workspace_scratch(task->workspace, (size_t)kept * slices * sizeof(cuda_partial), out_partial);
}

tarn_status cuda_reduction_finish(const cuda_task *task, const cuda_space *space, tarn_operation operation,
                                  unsigned slices, void *partial) {
    cuda_reduction shape = {.operation = (unsigned)operation, .slices = slices, .partial = partial};
    shape.threads = cuda_power_above(slices, THREADS);
    shape.outputs = cuda_power_above(space->kept, THREADS / shape.threads);
    const cuda_grid grid = {(unsigned)((space->kept + shape.outputs - 1) / shape.outputs), 1, 1,
                            shape.outputs * shape.threads};
    cuda_space kept = *space;
    return cuda_launch(task, tarn_reduce_finish_kernel, grid, (void *[]){&kept, &shape});
}

static cuda_reduction find_shape(const tarn_backend_device *device, const cuda_space *space, tarn_operation operation,
                                 bool is_along_kept) {
    cuda_reduction shape = {.operation = (unsigned)operation, .slices = 1, .runs_along_kept = is_along_kept};
    if (is_along_kept) {
        shape.outputs = cuda_power_above(space->kept, 32);
        shape.threads = cuda_power_above(space->reduced / EACH, THREADS / shape.outputs);
    } else {
        shape.threads = cuda_power_above(space->reduced / EACH, THREADS);
        shape.outputs = cuda_power_above(space->kept, THREADS / shape.threads);
    }
    long long wanted =
        cuda_reduction_slices(device, (space->kept + shape.outputs - 1) / shape.outputs, BLOCKS_PER_UNIT);
    long long worth = space->reduced / ((long long)shape.threads * EACH * 4);
    if (wanted > worth) wanted = worth;
    if (wanted > 1) shape.slices = (unsigned)wanted;
    return shape;
}

tarn_status cuda_reduce_enqueue(const cuda_task *task, cuda_program *program) {
    const cuda_space *space = &program->space;
    const tarn_operation operation = task->operation->program->reduction;
    const bool is_along_kept = runs_along_kept(space);
    tarn_status status;
    if (cuda_fold_enqueue(task, program, is_along_kept, &status)) return status;
    cuda_reduction shape = find_shape(task->device, space, operation, is_along_kept);
    const long long blocks = (space->kept + shape.outputs - 1) / shape.outputs;
    const cuda_grid grid = {(unsigned)blocks, shape.slices, 1, shape.outputs * shape.threads};
    status = cuda_reduction_begin(task, space->kept, blocks, shape.slices, &shape.partial);
    if (status == TARN_OK) status = launch(task, program, &shape, grid);
    if (status == TARN_OK && shape.slices > 1)
        status = cuda_reduction_finish(task, space, operation, shape.slices, shape.partial);
    return status;
}
