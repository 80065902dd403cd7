/* What is known of kernels: attributes, parameters, how many fit on a multiprocessor. */
#include "state.h"

#include "module.h"

static CUresult get_attribute(int *value, CUfunction_attribute attribute, void *handle) {
    const fake_kernel *kernel = handle_object(HANDLE_FUNCTION, handle);
    if (kernel == NULL) return CUDA_ERROR_INVALID_HANDLE;
    if (value == NULL) return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS: *value = 32; break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION: *value = 90; break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: *value = kernel->most_shared; break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT: *value = -1; break;
    default:
        if ((int)attribute < 0 || (int)attribute > 15) return CUDA_ERROR_INVALID_VALUE;
        *value = 0;
    }
    return CUDA_SUCCESS;
}

static CUresult set_attribute(void *handle, CUfunction_attribute attribute, int value) {
    fake_kernel *kernel = handle_object(HANDLE_FUNCTION, handle);
    if (kernel == NULL) return CUDA_ERROR_INVALID_HANDLE;
    if (attribute == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT)
        return value >= -1 && value <= 100 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 || value > MOST_DYNAMIC_SHARED)
        return CUDA_ERROR_INVALID_VALUE;
    kernel->most_shared = value;
    return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle) {
    ENTER(cuFuncGetAttribute);
    LEAVE(get_attribute(value, attribute, handle));
}

CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
    ENTER(cuFuncSetAttribute);
    LEAVE(set_attribute(handle, attribute, value));
}

CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel handle, CUdevice device) {
    ENTER(cuKernelGetAttribute);
    LEAVE(device_at(device) == NULL ? CUDA_ERROR_INVALID_DEVICE : get_attribute(value, attribute, handle));
}

CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle, CUdevice device) {
    ENTER(cuKernelSetAttribute);
    LEAVE(device_at(device) == NULL ? CUDA_ERROR_INVALID_DEVICE : set_attribute(handle, attribute, value));
}

CUresult cuFuncGetName(const char **name, CUfunction handle) {
    ENTER(cuFuncGetName);
    const fake_kernel *kernel = handle_object(HANDLE_FUNCTION, handle);
    if (kernel == NULL) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (name == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *name = kernel->name;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *size) {
    ENTER(cuFuncGetParamInfo);
    const fake_kernel *kernel = handle_object(HANDLE_FUNCTION, handle);
    if (kernel == NULL) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    if (offset == NULL || index >= kernel->count) LEAVE(CUDA_ERROR_INVALID_VALUE);
    *offset = kernel->offsets[index];
    if (size != NULL) *size = kernel->sizes[index];
    LEAVE(CUDA_SUCCESS);
}

/* By threads and shared memory alone: registers are not known. */
static CUresult occupancy(int *blocks, CUfunction handle, int threads, size_t shared) {
    const fake_kernel *kernel = handle_object(HANDLE_FUNCTION, handle);
    if (kernel == NULL) return CUDA_ERROR_INVALID_HANDLE;
    if (blocks == NULL || threads <= 0) return CUDA_ERROR_INVALID_VALUE;
    size_t by_threads = threads > 1024 ? 0 : 2048 / (((size_t)threads + 31) / 32 * 32),
           by_shared = 233472 / (shared + 1024);
    size_t fit = by_threads < by_shared ? by_threads : by_shared;
    *blocks = shared > (size_t)kernel->most_shared ? 0 : (int)(fit < 32 ? fit : 32);
    return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int threads, size_t shared) {
    ENTER(cuOccupancyMaxActiveBlocksPerMultiprocessor);
    LEAVE(occupancy(blocks, handle, threads, shared));
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle, int threads,
                                                              size_t shared, unsigned int flags) {
    ENTER(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags);
    LEAVE(flags > 1 ? CUDA_ERROR_INVALID_VALUE : occupancy(blocks, handle, threads, shared));
}

CUresult cuOccupancyMaxPotentialBlockSize(int *blocks, int *threads, CUfunction handle, CUoccupancyB2DSize shared_of,
                                          size_t shared, int limit) {
    ENTER(cuOccupancyMaxPotentialBlockSize);
    if (blocks == NULL || threads == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    int best = 0, best_threads = 0;
    for (int size = limit > 0 && limit < 1024 ? limit / 32 * 32 : 1024; size > 0; size -= 32) {
        int fit;
        CUresult result = occupancy(&fit, handle, size, shared_of != NULL ? shared_of(size) : shared);
        if (result != CUDA_SUCCESS) LEAVE(result);
        if (fit * size <= best * best_threads) continue;
        best = fit;
        best_threads = size;
    }
    *blocks = best * 132;
    *threads = best_threads;
    LEAVE(CUDA_SUCCESS);
}
