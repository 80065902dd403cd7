/* Reductions: how threads and blocks share them, which depends on the shape and the device alone, so that a result is the same every time. */
#include "backends/cuda/operations/space.h"

#include <stdlib.h>

#include "base/checked.h"

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

static cuda_reduction find_shape(const tarn_backend_device *device, const cuda_space *space, tarn_operation operation) {
    cuda_reduction shape = {.operation = (unsigned)operation, .slices = 1};
    shape.runs_along_kept = runs_along_kept(space);
    if (shape.runs_along_kept) {
        shape.outputs = cuda_power_above(space->kept, 32);
        shape.threads = cuda_power_above(space->reduced / EACH, THREADS / shape.outputs);
    } else {
        shape.threads = cuda_power_above(space->reduced / EACH, THREADS);
        shape.outputs = cuda_power_above(space->kept, THREADS / shape.threads);
    }
    long long blocks = (space->kept + shape.outputs - 1) / shape.outputs;
    long long wanted = (long long)device->compute_units * BLOCKS_PER_UNIT / blocks;
    long long worth = space->reduced / ((long long)shape.threads * EACH * 4);
    if (wanted > worth) wanted = worth;
    if (wanted > MOST_SLICES) wanted = MOST_SLICES;
    if (wanted > 1) shape.slices = (unsigned)wanted;
    return shape;
}

tarn_status cuda_reduce_enqueue(const cuda_task *task, cuda_program *program) {
    cuda_space *space = &program->space;
    cuda_reduction shape = find_shape(task->device, space, task->operation->program->reduction);
    long long blocks = (space->kept + shape.outputs - 1) / shape.outputs;
    if (blocks > INT32_MAX) return cuda_fail(TARN_NOT_SUPPORTED, "a reduction to %lld elements", space->kept);
    tarn_status status = TARN_OK;
    if (shape.slices > 1) {
        size_t size = (size_t)space->kept * shape.slices * sizeof(cuda_partial);
        status = cuda_workspace_scratch(task->workspace, size, &shape.partial);
    }
    cuda_grid grid = {(unsigned)blocks, shape.slices, 1, shape.outputs * shape.threads};
    if (status == TARN_OK) status = launch(task, program, &shape, grid);
    if (status != TARN_OK || shape.slices == 1) return status;
    cuda_grid finish = {(unsigned)space->kept, 1, 1, cuda_power_above(shape.slices, THREADS)};
    return cuda_launch(task, tarn_reduce_finish_kernel, finish, (void *[]){space, &shape});
}
