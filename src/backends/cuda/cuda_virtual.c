/* Virtual memory: granules are the driver's own handles of physical memory, of the least size that it maps by itself.
 *
 * Granules are mapped one by one, since each is to be unmapped and moved by itself, and made accessible by one call for the whole range.
 * What fails half-way is taken back, so that a call does everything or nothing. The driver does not order mapping with the work of
 * streams: whoever unmaps knows that the work has finished. */
#include "backends/cuda/cuda_internal.h"

static driver_allocation granule_properties(const tarn_backend_device *device) {
    return (driver_allocation){
        .type = DRIVER_ALLOCATION_PINNED,
        .handle_types = device->has_file_descriptors ? DRIVER_HANDLE_FILE_DESCRIPTOR : DRIVER_HANDLE_NONE,
        .location = {.type = DRIVER_LOCATION_DEVICE, .id = device->ordinal},
    };
}

tarn_status cuda_virtual_begin(tarn_backend_device *device) {
    if (!device->has_virtual_memory) return TARN_OK;
    driver_allocation properties = granule_properties(device);
    size_t granule = 0;
    tarn_status status = CUDA_CALL(cuMemGetAllocationGranularity, &granule, &properties, DRIVER_GRANULARITY_MINIMUM);
    if (status == TARN_OK) device->granule = granule;
    return status;
}

tarn_status cuda_virtual_reserve(tarn_backend_device *device, size_t size, void **out_address) {
    cuda_scope scope;
    driver_pointer address = 0;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuMemAddressReserve, &address, size, device->granule, 0, 0);
    cuda_leave(scope);
    if (status == TARN_OK) *out_address = (void *)(uintptr_t)address;
    return status;
}

tarn_status cuda_virtual_release(tarn_backend_device *device, void *address, size_t size) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuMemAddressFree, (uintptr_t)address, size);
    cuda_leave(scope);
    return status;
}

/* Must be called in the context's scope. */
static tarn_status create_granules(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules) {
    driver_allocation properties = granule_properties(device);
    tarn_status status = TARN_OK;
    size_t done = 0;
    for (; done < count; done++) {
        driver_granule granule = 0;
        status = CUDA_CALL(cuMemCreate, &granule, device->granule, &properties, 0);
        if (status != TARN_OK) break;
        out_granules[done] = granule;
    }
    if (status == TARN_OK) return TARN_OK;
    while (done > 0) CUDA_DISCARD(cuMemRelease, out_granules[--done]);
    return status;
}

tarn_status cuda_granules_create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = create_granules(device, count, out_granules);
    cuda_leave(scope);
    return status;
}

tarn_status cuda_granules_release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    /* The first may fail, and then nothing has changed. A later one that fails is reported and lost: those before it are gone. */
    status = CUDA_CALL(cuMemRelease, granules[0]);
    for (size_t i = 1; i < count && status == TARN_OK; i++) CUDA_DISCARD(cuMemRelease, granules[i]);
    cuda_leave(scope);
    return status;
}

/* Must be called in the context's scope. */
static tarn_status map(tarn_backend_device *device, driver_pointer address, size_t count,
                       const tarn_backend_granule *granules) {
    tarn_status status = TARN_OK;
    size_t done = 0;
    for (; done < count; done++) {
        status = CUDA_CALL(cuMemMap, address + done * device->granule, device->granule, 0, granules[done], 0);
        if (status != TARN_OK) break;
    }
    if (status == TARN_OK) {
        driver_access access = {.location = {.type = DRIVER_LOCATION_DEVICE, .id = device->ordinal},
                                .flags = DRIVER_ACCESS_READ_WRITE};
        status = CUDA_CALL(cuMemSetAccess, address, count * device->granule, &access, 1);
    }
    if (status != TARN_OK && done > 0) CUDA_DISCARD(cuMemUnmap, address, done * device->granule);
    return status;
}

tarn_status cuda_virtual_map(tarn_backend_device *device, void *address, size_t count,
                             const tarn_backend_granule *granules) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = map(device, (uintptr_t)address, count, granules);
    cuda_leave(scope);
    return status;
}

tarn_status cuda_virtual_unmap(tarn_backend_device *device, void *address, size_t count) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    /* A range of whole mappings goes in one call. */
    status = CUDA_CALL(cuMemUnmap, (uintptr_t)address, count * device->granule);
    cuda_leave(scope);
    return status;
}
