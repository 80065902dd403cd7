/* Pools of devices and of other processes: which pool a device allocates from, and pools that come as a file descriptor. */
#include "state.h"

#include <unistd.h>

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice ordinal) {
    ENTER(cuDeviceGetDefaultMemPool);
    const fake_device *device = device_at(ordinal);
    if (pool == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *pool = device->default_pool->handle;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice ordinal) {
    ENTER(cuDeviceGetMemPool);
    const fake_device *device = device_at(ordinal);
    if (pool == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    *pool = device->current_pool->handle;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuDeviceSetMemPool(CUdevice ordinal, CUmemoryPool handle) {
    ENTER(cuDeviceSetMemPool);
    fake_device *device = device_at(ordinal);
    fake_pool *pool = handle_object(HANDLE_POOL, handle);
    if (device == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    if (pool == NULL || pool->on != device || pool->is_imported) LEAVE(CUDA_ERROR_INVALID_VALUE);
    device->current_pool = pool;
    LEAVE(CUDA_SUCCESS);
}

CUresult cuMemPoolExportToShareableHandle(void *shared, CUmemoryPool handle, CUmemAllocationHandleType type,
                                          unsigned long long flags) {
    ENTER(cuMemPoolExportToShareableHandle);
    const fake_pool *pool = handle_object(HANDLE_POOL, handle);
    if (shared == NULL || pool == NULL || flags != 0 || pool->is_imported) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || (pool->handle_types & type) == 0)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    int file = dup(pool->on->file);
    if (file < 0) LEAVE(CUDA_ERROR_OPERATING_SYSTEM);
    *(int *)shared = file;
    LEAVE(CUDA_SUCCESS);
}

/* An imported pool gives no memory; it is what pointers of the exporter's allocations are imported with. */
CUresult cuMemPoolImportFromShareableHandle(CUmemoryPool *out, void *shared, CUmemAllocationHandleType type,
                                            unsigned long long flags) {
    ENTER(cuMemPoolImportFromShareableHandle);
    if (out == NULL || type != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR || flags != 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (lseek((int)(intptr_t)shared, 0, SEEK_CUR) < 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_pool *made = pool_make(device_at(0));
    made->is_imported = true;
    *out = made->handle;
    LEAVE(CUDA_SUCCESS);
}
