/* Programs without a reduction: as many threads as there are elements, or fewer that take several each. */
#include "backends/cuda/operations/space.h"

tarn_status cuda_program_enqueue(const cuda_task *task) {
    cuda_program program;
    driver_function compiled;
    cuda_program_make(task->operation, &program);
    if (task->operation->program->reduction != TARN_OPERATION_COPY) return cuda_reduce_enqueue(task, &program);
    cuda_kernel kernel;
    if (cuda_single_find(task, &program, &kernel)) return cuda_single_enqueue(task, &program, kernel);
    cuda_grid grid = cuda_grid_for(task->device, program.space.kept);
    if (!cuda_compiled_find(task, &program, false, &compiled)) {
        return cuda_launch(task, tarn_program_kernel, grid, (void *[]){&program});
    }
    return cuda_launch_function(task, compiled, grid, (void *[]){&program.space, program.constants});
}
