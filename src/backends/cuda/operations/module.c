/* Modules of kernels that are there before a program runs: embedded when Tarn was built with nvcc, else compiled from their sources, which are
 * embedded too. Each is loaded when a device first needs one of its kernels. */
#include "backends/cuda/operations/image.h"
#include "backends/cuda/operations/operations.h"

/* Blocks of 256 threads for each multiprocessor: enough to hide what each waits for. */
#define BLOCKS_PER_UNIT 16

static const char *const module_names[CUDA_MODULE_COUNT] = {
#define CUDA_MODULE(module) #module ".cu",
#include "backends/cuda/kernels/names.h"
};

static const struct {
    cuda_module module;
    const char *name;
} kernels[CUDA_KERNEL_COUNT] = {
#define CUDA_KERNEL(module, name) {module##_module, #name},
#include "backends/cuda/kernels/names.h"
};

/* The state's lock is held. */
static tarn_status load_module(tarn_backend_device *device, cuda_module wanted) {
    cuda_operations_state *state = device->operations;
    driver_module module = NULL;
    tarn_status status = cuda_image_load(device, module_names[wanted], &module);
    for (size_t i = 0; i < CUDA_KERNEL_COUNT && status == TARN_OK; i++) {
        if (kernels[i].module == wanted)
            status = CUDA_CALL(cuModuleGetFunction, &state->functions[i], module, kernels[i].name);
    }
    if (status == TARN_OK) state->modules[wanted] = module;
    else if (module != NULL) CUDA_DISCARD(cuModuleUnload, module);
    return status;
}

static tarn_status find_function(tarn_backend_device *device, cuda_kernel kernel, driver_function *out_function) {
    cuda_operations_state *state = device->operations;
    tarn_status status = TARN_OK;
    pthread_mutex_lock(&state->lock);
    if (state->modules[kernels[kernel].module] == NULL) status = load_module(device, kernels[kernel].module);
    if (status == TARN_OK) *out_function = state->functions[kernel];
    pthread_mutex_unlock(&state->lock);
    return status;
}

tarn_status cuda_launch_function(const cuda_task *task, driver_function function, cuda_grid grid, void **parameters) {
    return CUDA_CALL(cuLaunchKernel, function, grid.x, grid.y, grid.z, grid.threads, 1, 1, 0, task->stream->handle,
                     parameters, NULL);
}

tarn_status cuda_launch(const cuda_task *task, cuda_kernel kernel, cuda_grid grid, void **parameters) {
    driver_function function;
    tarn_status status = find_function(task->device, kernel, &function);
    return status == TARN_OK ? cuda_launch_function(task, function, grid, parameters) : status;
}

cuda_grid cuda_grid_for(const tarn_backend_device *device, int64_t count) {
    int64_t blocks = (count + 255) / 256, most = (int64_t)device->compute_units * BLOCKS_PER_UNIT;
    unsigned threads = count < 256 ? cuda_power_above(count, 256) : 256;
    return (cuda_grid){
        .x = (unsigned)(blocks < most ? blocks : most), .y = 1, .z = 1, .threads = threads < 32 ? 32 : threads};
}
