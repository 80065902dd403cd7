/* Memory that other processes can be given: physical memory of its own for each allocation, which the driver exports as a file
 * descriptor, mapped at addresses of its own. What is imported is kept in the same way. The physical memory lives as long as
 * anybody has a handle, a mapping or a descriptor of it. */
#include <fcntl.h>

#include "backends/cuda/cuda_internal.h"
#include "base/checked.h"
#include "base/memory.h"

/* An allocation, or what another process exported. */
typedef struct shared_memory {
    base_range range; /* of whole granules; the first member: a range is cast back to its memory */
    size_t size;      /* bytes as asked */
    driver_granule physical;
} shared_memory;

/* Maps the physical memory at addresses of its own, for this device and its peers. Must be called in the context's scope. */
static tarn_status map(tarn_backend_device *device, shared_memory *memory, size_t alignment) {
    driver_pointer address = 0;
    size_t size = memory->range.size;
    tarn_status status =
        CUDA_CALL(cuMemAddressReserve, &address, size, alignment > device->granule ? alignment : device->granule, 0, 0);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&device->mapping_lock);
    status = CUDA_CALL(cuMemMap, address, size, 0, memory->physical, 0);
    if (status == TARN_OK) {
        status = cuda_access_open(device, address, size);
        if (status != TARN_OK) CUDA_DISCARD(cuMemUnmap, address, size);
    }
    if (status == TARN_OK) {
        memory->range.start = address;
        base_range_insert(&device->shared, &memory->range);
    }
    pthread_mutex_unlock(&device->mapping_lock);
    if (status != TARN_OK) CUDA_DISCARD(cuMemAddressFree, address, size);
    return status;
}

/* A description for `size` bytes, without memory yet. */
static tarn_status describe(const tarn_backend_device *device, size_t size, shared_memory **out_memory) {
    size_t whole;
    if (!checked_round_up(size, device->granule, &whole)) {
        return cuda_fail(TARN_OUT_OF_MEMORY, "%zu bytes in whole granules are more than there are addresses", size);
    }
    shared_memory *memory = base_allocate(1, sizeof *memory);
    if (memory == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory to describe shared memory");
    memory->range.size = whole;
    memory->size = size;
    *out_memory = memory;
    return TARN_OK;
}

/* Gives the memory an address, or gives it back. Must be called in the context's scope. */
static tarn_status finish(tarn_backend_device *device, shared_memory *memory, size_t alignment, void **out_address) {
    tarn_status status = map(device, memory, alignment);
    if (status == TARN_OK) {
        *out_address = (void *)memory->range.start;
        return TARN_OK;
    }
    CUDA_DISCARD(cuMemRelease, memory->physical);
    base_free(memory);
    return status;
}

tarn_status cuda_shared_allocate(tarn_backend_device *device, size_t size, size_t alignment, void **out_address) {
    driver_allocation properties = cuda_granule_properties(device);
    shared_memory *memory = NULL;
    tarn_status status = describe(device, size, &memory);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuMemCreate, &memory->physical, memory->range.size, &properties, 0);
    if (status == TARN_OK) return finish(device, memory, alignment, out_address);
    base_free(memory);
    return status;
}

tarn_status cuda_shared_free(tarn_backend_device *device, void *address) {
    pthread_mutex_lock(&device->mapping_lock);
    shared_memory *memory = (shared_memory *)base_range_find(device->shared, (uintptr_t)address);
    tarn_status status = TARN_INVALID_ARGUMENT;
    if (memory == NULL) {
        status = cuda_fail(status, "there is no shared memory at %p", address);
    } else {
        status = CUDA_CALL(cuMemUnmap, (uintptr_t)address, memory->range.size);
        if (status == TARN_OK || status == TARN_DEVICE_LOST) base_range_remove(&device->shared, memory->range.start);
    }
    pthread_mutex_unlock(&device->mapping_lock);
    if (status != TARN_OK && status != TARN_DEVICE_LOST) return status;
    /* It is out of use: from here on nothing is for the caller to try again. */
    CUDA_DISCARD(cuMemRelease, memory->physical);
    CUDA_DISCARD(cuMemAddressFree, (uintptr_t)address, memory->range.size);
    base_free(memory);
    return status;
}

void cuda_shared_end(tarn_backend_device *device) {
    while (device->shared != NULL) base_free(base_range_remove(&device->shared, device->shared->start));
}

static tarn_status memory_export(tarn_backend_device *device, void *address, size_t size, int *out_descriptor) {
    driver_granule physical = 0;
    pthread_mutex_lock(&device->mapping_lock);
    const shared_memory *memory = (shared_memory *)base_range_find(device->shared, (uintptr_t)address);
    if (memory != NULL && memory->size == size) physical = memory->physical;
    pthread_mutex_unlock(&device->mapping_lock);
    if (physical == 0) return cuda_fail(TARN_INVALID_ARGUMENT, "%zu bytes at %p are not shared memory", size, address);
    cuda_scope scope;
    int descriptor = -1;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuMemExportToShareableHandle, &descriptor, physical, DRIVER_HANDLE_FILE_DESCRIPTOR, 0);
    cuda_leave(scope);
    if (status != TARN_OK) return status;
    (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    *out_descriptor = descriptor;
    return TARN_OK;
}

/* A descriptor may be anything; drivers have several answers to one that is not theirs. */
static tarn_status import_physical(int descriptor, driver_granule *out_physical) {
    tarn_status status = CUDA_CALL(cuMemImportFromShareableHandle, out_physical, (void *)(intptr_t)descriptor,
                                   DRIVER_HANDLE_FILE_DESCRIPTOR);
    if (status != TARN_INTERNAL && status != TARN_NOT_FOUND) return status;
    return TARN_INVALID_ARGUMENT;
}

static tarn_status memory_import(tarn_backend_device *device, int descriptor, size_t size, size_t alignment,
                                 void **out_address) {
    shared_memory *memory = NULL;
    tarn_status status = describe(device, size, &memory);
    if (status != TARN_OK) return status;
    cuda_scope scope;
    status = cuda_enter(device, &scope);
    if (status != TARN_OK) {
        base_free(memory);
        return status;
    }
    status = import_physical(descriptor, &memory->physical);
    if (status == TARN_OK) status = finish(device, memory, alignment, out_address);
    else base_free(memory);
    cuda_leave(scope);
    return status;
}

static tarn_status memory_close(tarn_backend_device *device, void *address, size_t size) {
    (void)size;
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = cuda_shared_free(device, address);
    cuda_leave(scope);
    return status;
}

const tarn_backend_interprocess cuda_interprocess = {
    .struct_size = sizeof(tarn_backend_interprocess),
    .memory_export = memory_export,
    .memory_import = memory_import,
    .memory_close = memory_close,
};
