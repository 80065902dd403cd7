/* Virtual memory: granules are the driver's own handles of physical memory, of the least size that it maps by itself.
 *
 * Granules are mapped one by one, since each is to be unmapped and moved by itself, and made accessible by one call for the whole range.
 * What fails half-way is taken back, so that a call does everything or nothing. The driver does not order mapping with the work of
 * streams: whoever unmaps knows that the work has finished. */
#include "backends/cuda/cuda_internal.h"
#include "base/memory.h"

driver_allocation cuda_granule_properties(const tarn_backend_device *device) {
    return (driver_allocation){
        .type = DRIVER_ALLOCATION_PINNED,
        .handle_types = device->has_file_descriptors ? DRIVER_HANDLE_FILE_DESCRIPTOR : DRIVER_HANDLE_NONE,
        .location = {.type = DRIVER_LOCATION_DEVICE, .id = device->ordinal},
    };
}

tarn_status cuda_virtual_begin(tarn_backend_device *device) {
    if (!device->has_virtual_memory) return TARN_OK;
    driver_allocation properties = cuda_granule_properties(device);
    size_t granule = 0;
    tarn_status status = CUDA_CALL(cuMemGetAllocationGranularity, &granule, &properties, DRIVER_GRANULARITY_MINIMUM);
    if (status == TARN_OK) device->granule = granule;
    return status;
}

tarn_status cuda_virtual_reserve(tarn_backend_device *device, size_t size, void **out_address) {
    cuda_reservation *reservation = cuda_reservation_create(size / device->granule);
    if (reservation == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory to describe a range of addresses");
    cuda_scope scope;
    driver_pointer address = 0;
    tarn_status status = cuda_enter(device, &scope);
    if (status == TARN_OK) {
        status = CUDA_CALL(cuMemAddressReserve, &address, size, device->granule, 0, 0);
        cuda_leave(scope);
    }
    if (status != TARN_OK) {
        cuda_reservation_destroy(reservation);
        return status;
    }
    reservation->range.start = address;
    reservation->range.size = size;
    pthread_mutex_lock(&device->mapping_lock);
    base_range_insert(&device->reservations, &reservation->range);
    pthread_mutex_unlock(&device->mapping_lock);
    *out_address = (void *)(uintptr_t)address;
    return TARN_OK;
}

tarn_status cuda_virtual_release(tarn_backend_device *device, void *address, size_t size) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    /* With the lock held, since the driver may hand out the addresses again at once. */
    pthread_mutex_lock(&device->mapping_lock);
    status = CUDA_CALL(cuMemAddressFree, (uintptr_t)address, size);
    if (status == TARN_OK)
        cuda_reservation_destroy((cuda_reservation *)base_range_remove(&device->reservations, (uintptr_t)address));
    pthread_mutex_unlock(&device->mapping_lock);
    cuda_leave(scope);
    return status;
}

/* Takes the granules that the driver would not take back; the caller frees the array. */
static driver_granule *take_leftovers(tarn_backend_device *device, size_t *out_count) {
    pthread_mutex_lock(&device->lock);
    driver_granule *leftovers = device->leftovers;
    *out_count = device->leftover_count;
    device->leftovers = NULL;
    device->leftover_count = 0;
    pthread_mutex_unlock(&device->lock);
    return leftovers;
}

/* Keeps a granule that the driver did not take back, for a later try. Without host memory for that it is lost, and said so. */
static void keep_leftover(tarn_backend_device *device, driver_granule granule, driver_result result) {
    pthread_mutex_lock(&device->lock);
    driver_granule *more = base_reallocate(device->leftovers, device->leftover_count + 1, sizeof *more);
    if (more != NULL) {
        more[device->leftover_count++] = granule;
        device->leftovers = more;
    }
    pthread_mutex_unlock(&device->lock);
    if (more == NULL) cuda_report_leak(result, "cuMemRelease");
}

static void release_or_keep(tarn_backend_device *device, size_t count, const driver_granule *granules) {
    for (size_t i = 0; i < count; i++) {
        driver_result result = cuda_driver.cuMemRelease(granules[i]);
        if (result != DRIVER_SUCCESS) keep_leftover(device, granules[i], result);
    }
}

static void try_leftovers(tarn_backend_device *device) {
    size_t count;
    driver_granule *leftovers = take_leftovers(device, &count);
    if (leftovers == NULL) return;
    release_or_keep(device, count, leftovers);
    base_free(leftovers);
}

void cuda_virtual_end(tarn_backend_device *device) {
    while (device->reservations != NULL) {
        base_range *range = base_range_remove(&device->reservations, device->reservations->start);
        cuda_reservation_destroy((cuda_reservation *)range);
    }
    size_t count;
    driver_granule *leftovers = take_leftovers(device, &count);
    for (size_t i = 0; i < count; i++) CUDA_DISCARD(cuMemRelease, leftovers[i]);
    base_free(leftovers);
}

/* Must be called in the context's scope. */
static tarn_status create_granules(tarn_backend_device *device, size_t count, driver_granule *granules) {
    driver_allocation properties = cuda_granule_properties(device);
    tarn_status status = TARN_OK;
    size_t done = 0;
    for (; done < count; done++) {
        status = CUDA_CALL(cuMemCreate, &granules[done], device->granule, &properties, 0);
        if (status != TARN_OK) break;
    }
    if (status != TARN_OK) release_or_keep(device, done, granules);
    return status;
}

/* Outputs stay untouched on failure, so the granules are collected apart. */
static tarn_status create_and_write(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules) {
    driver_granule few[16];
    driver_granule *granules = few;
    if (count > sizeof few / sizeof few[0]) granules = base_allocate(count, sizeof *granules);
    if (granules == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for %zu granules", count);
    tarn_status status = create_granules(device, count, granules);
    for (size_t i = 0; i < count && status == TARN_OK; i++) out_granules[i] = granules[i];
    if (granules != few) base_free(granules);
    return status;
}

tarn_status cuda_granules_create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    try_leftovers(device);
    status = create_and_write(device, count, out_granules);
    cuda_leave(scope);
    return status;
}

tarn_status cuda_granules_release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    /* Where the first fails, nothing has changed. From then on the call has succeeded, and what fails is tried again later. */
    status = CUDA_CALL(cuMemRelease, granules[0]);
    if (status == TARN_OK) {
        for (size_t i = 1; i < count; i++) {
            driver_granule granule = granules[i];
            release_or_keep(device, 1, &granule);
        }
        try_leftovers(device);
    }
    cuda_leave(scope);
    return status;
}

/* Must be called in the context's scope, with the mapping lock held. */
static tarn_status map(tarn_backend_device *device, driver_pointer address, size_t count,
                       const tarn_backend_granule *granules) {
    tarn_status status = cuda_reservation_check(device, address, count, false);
    if (status != TARN_OK) return status;
    size_t done = 0;
    for (; done < count; done++) {
        status = CUDA_CALL(cuMemMap, address + done * device->granule, device->granule, 0, granules[done], 0);
        if (status != TARN_OK) break;
    }
    if (status == TARN_OK) status = cuda_access_open(device, address, count * device->granule);
    if (status == TARN_OK) cuda_reservation_mark(device, address, count, true);
    else if (done > 0) CUDA_DISCARD(cuMemUnmap, address, done * device->granule);
    return status;
}

tarn_status cuda_virtual_map(tarn_backend_device *device, void *address, size_t count,
                             const tarn_backend_granule *granules) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&device->mapping_lock);
    status = map(device, (uintptr_t)address, count, granules);
    pthread_mutex_unlock(&device->mapping_lock);
    cuda_leave(scope);
    return status;
}

tarn_status cuda_virtual_unmap(tarn_backend_device *device, void *address, size_t count) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    /* A range of whole mappings goes in one call. */
    pthread_mutex_lock(&device->mapping_lock);
    status = cuda_reservation_check(device, (uintptr_t)address, count, true);
    if (status == TARN_OK) status = CUDA_CALL(cuMemUnmap, (uintptr_t)address, count * device->granule);
    if (status == TARN_OK) cuda_reservation_mark(device, (uintptr_t)address, count, false);
    pthread_mutex_unlock(&device->mapping_lock);
    cuda_leave(scope);
    return status;
}
