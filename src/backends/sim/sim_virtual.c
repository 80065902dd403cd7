/* Virtual memory of the simulated device: granules that are numbers, and for each slot of a reservation the number of what is
 * mapped there. */
#include "backends/sim/sim_internal.h"
#include "base/checked.h"
#include "base/memory.h"

tarn_status sim_virtual_reserve(tarn_backend_device *device, size_t size, void **out_address) {
    size_t granule = device->options.granule;
    uint32_t *slots = base_allocate(size / granule, sizeof *slots);
    if (slots == NULL)
        return sim_fail(TARN_OUT_OF_MEMORY, "no host memory for the %zu granules of a range", size / granule);
    pthread_mutex_lock(&device->lock);
    sim_block *block = NULL;
    tarn_status status = sim_begin_call(device, SIM_VIRTUAL_RESERVE, 1);
    if (status == TARN_OK) status = sim_block_create(device, SIM_RESERVATION, size, granule, &block);
    if (status == TARN_OK) {
        block->slots = slots;
        *out_address = (void *)block->range.start;
    }
    pthread_mutex_unlock(&device->lock);
    if (status != TARN_OK) base_free(slots);
    return status;
}

tarn_status sim_virtual_release(tarn_backend_device *device, void *address, size_t size) {
    pthread_mutex_lock(&device->lock);
    sim_block *block = NULL;
    tarn_status status = sim_begin_call(device, SIM_VIRTUAL_RELEASE, 1);
    if (status == TARN_OK) status = sim_block_find(device, SIM_RESERVATION, address, size, &block);
    if (status == TARN_OK)
        status = base_granules_check_empty(&device->granules, block->slots, size / device->options.granule);
    if (status == TARN_OK) sim_block_release(device, block);
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_granules_create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules) {
    size_t bytes;
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_GRANULES_CREATE, count);
    if (status == TARN_OK && !checked_multiply(count, device->options.granule, &bytes)) bytes = SIZE_MAX;
    if (status == TARN_OK) status = sim_charge(device, bytes);
    if (status == TARN_OK) {
        status = base_granules_create(&device->granules, count, out_granules);
        if (status != TARN_OK) device->used -= bytes;
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_granules_release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_GRANULES_RELEASE, count);
    if (status == TARN_OK) status = base_granules_release(&device->granules, count, granules);
    if (status == TARN_OK) device->used -= count * device->options.granule;
    pthread_mutex_unlock(&device->lock);
    return status;
}

/* The slots from `address` on, which lies in a reservation. */
static uint32_t *slots_at(tarn_backend_device *device, const void *address) {
    base_range *range = base_range_containing(device->blocks, (uintptr_t)address);
    return ((sim_block *)range)->slots + ((uintptr_t)address - range->start) / device->options.granule;
}

tarn_status sim_virtual_map(tarn_backend_device *device, void *address, size_t count,
                            const tarn_backend_granule *granules) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_VIRTUAL_MAP, count);
    if (status == TARN_OK) status = base_granules_map(&device->granules, slots_at(device, address), count, granules);
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_virtual_unmap(tarn_backend_device *device, void *address, size_t count) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_VIRTUAL_UNMAP, count);
    if (status == TARN_OK) status = base_granules_unmap(&device->granules, slots_at(device, address), count);
    pthread_mutex_unlock(&device->lock);
    return status;
}
