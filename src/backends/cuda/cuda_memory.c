/* Allocations: one call of the driver each, of the kind that was asked for.
 *
 * The driver aligns to 256 bytes at least and to no more on request. Where more is asked, the allocation is made larger and the
 * address handed out is shifted to the next multiple; where it really begins is remembered until it is freed. */
#include "backends/cuda/cuda_internal.h"
#include "base/checked.h"
#include "base/memory.h"

/* An allocation that was shifted. */
typedef struct shifted_allocation {
    base_range range; /* as handed out; the first member: a range is cast back to its allocation */
    void *base;       /* as the driver has it */
} shifted_allocation;

static tarn_status allocate(tarn_memory_kind kind, size_t size, void **out_base) {
    driver_pointer address = 0;
    void *base = NULL;
    tarn_status status;
    switch (kind) {
    case TARN_MEMORY_PINNED:
        status = CUDA_CALL(cuMemHostAlloc, &base, size, DRIVER_HOST_PORTABLE | DRIVER_HOST_DEVICE_MAP);
        break;
    case TARN_MEMORY_MANAGED:
        status = CUDA_CALL(cuMemAllocManaged, &address, size, DRIVER_MEMORY_ATTACH_GLOBAL);
        base = (void *)(uintptr_t)address;
        break;
    default:
        status = CUDA_CALL(cuMemAlloc, &address, size);
        base = (void *)(uintptr_t)address;
        break;
    }
    if (status == TARN_OK) *out_base = base;
    return status;
}

static tarn_status give_back(tarn_memory_kind kind, void *base) {
    if (kind == TARN_MEMORY_PINNED) return CUDA_CALL(cuMemFreeHost, base);
    return CUDA_CALL(cuMemFree, (uintptr_t)base);
}

/* Must be called in the context's scope. */
static tarn_status allocate_aligned(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                    void **out_address) {
    size_t whole;
    if (!checked_add(size, alignment, &whole)) {
        return cuda_fail(TARN_OUT_OF_MEMORY, "%zu bytes aligned to %zu are more than there are addresses", size,
                         alignment);
    }
    shifted_allocation *shifted = base_allocate(1, sizeof *shifted);
    if (shifted == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory to describe an allocation");
    tarn_status status = allocate(kind, whole, &shifted->base);
    if (status != TARN_OK) {
        base_free(shifted);
        return status;
    }
    shifted->range.start = round_up((uintptr_t)shifted->base, alignment);
    shifted->range.size = size;
    *out_address = (void *)shifted->range.start;
    pthread_mutex_lock(&device->lock);
    base_range_insert(&device->shifted, &shifted->range);
    pthread_mutex_unlock(&device->lock);
    return TARN_OK;
}

tarn_status cuda_memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                 void **out_address) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    if (kind == TARN_MEMORY_SHARED) status = cuda_shared_allocate(device, size, alignment, out_address);
    else if (alignment > CUDA_ALIGNMENT) status = allocate_aligned(device, kind, size, alignment, out_address);
    else status = allocate(kind, size, out_address);
    cuda_leave(scope);
    return status;
}

tarn_status cuda_memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    (void)size;
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    if (kind == TARN_MEMORY_SHARED) {
        status = cuda_shared_free(device, address);
        cuda_leave(scope);
        return status;
    }
    pthread_mutex_lock(&device->lock);
    shifted_allocation *shifted = (shifted_allocation *)base_range_remove(&device->shifted, (uintptr_t)address);
    pthread_mutex_unlock(&device->lock);
    status = give_back(kind, shifted != NULL ? shifted->base : address);
    cuda_leave(scope);
    if (shifted == NULL) return status;
    if (status != TARN_OK && status != TARN_DEVICE_LOST) {
        pthread_mutex_lock(&device->lock);
        base_range_insert(&device->shifted, &shifted->range);
        pthread_mutex_unlock(&device->lock);
    } else {
        base_free(shifted);
    }
    return status;
}

void cuda_memory_end(tarn_backend_device *device) {
    while (device->shifted != NULL) base_free(base_range_remove(&device->shifted, device->shifted->start));
}
