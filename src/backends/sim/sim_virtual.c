/* Virtual memory of the simulated device: for each granule of a reservation the number of what is mapped there. All checks come
 * before the first change, so that a call that is refused leaves nothing half done. */
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
    if (status == TARN_OK && block->mapped > 0) {
        status =
            sim_fail(TARN_INVALID_ARGUMENT, "the range at %p still has %zu granules mapped", address, block->mapped);
    }
    if (status == TARN_OK) sim_block_release(device, block);
    pthread_mutex_unlock(&device->lock);
    return status;
}

/* Makes room for `count` more numbers in the table and on the stack. */
static tarn_status grow_table(tarn_backend_device *device, size_t count) {
    size_t needed =
        device->granule_count + (count > device->free_granule_count ? count - device->free_granule_count : 0);
    if (needed <= device->granule_room) return TARN_OK;
    size_t room = needed > 2 * device->granule_room ? needed : 2 * device->granule_room;
    sim_granule *granules = needed < UINT32_MAX ? base_reallocate(device->granules, room, sizeof *granules) : NULL;
    if (granules != NULL) device->granules = granules;
    uint32_t *stack = granules != NULL ? base_reallocate(device->free_granules, room, sizeof *stack) : NULL;
    if (stack == NULL) return sim_fail(TARN_OUT_OF_MEMORY, "no host memory for %zu granules", needed);
    device->free_granules = stack;
    device->granule_room = room;
    return TARN_OK;
}

tarn_status sim_granules_create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules) {
    size_t bytes;
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_GRANULES_CREATE, count);
    if (status == TARN_OK && !checked_multiply(count, device->options.granule, &bytes)) bytes = SIZE_MAX;
    if (status == TARN_OK) status = sim_charge(device, bytes);
    if (status == TARN_OK) {
        status = grow_table(device, count);
        if (status != TARN_OK) device->used -= bytes;
    }
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        uint32_t number = device->free_granule_count > 0 ? device->free_granules[--device->free_granule_count]
                                                         : (uint32_t)++device->granule_count;
        device->granules[number - 1] = (sim_granule){.is_live = true};
        out_granules[i] = number;
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

/* The granule with that number; NULL, with the sentence kept, when none lives. */
static sim_granule *find_granule(tarn_backend_device *device, tarn_backend_granule number) {
    if (number != 0 && number <= device->granule_count && device->granules[number - 1].is_live) {
        return &device->granules[number - 1];
    }
    sim_fail(TARN_INVALID_ARGUMENT, "there is no granule %llu", (unsigned long long)number);
    return NULL;
}

/* Marks the granules as released; undone when one of them cannot be. */
static tarn_status release_granules(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    tarn_status status = TARN_OK;
    size_t done = 0;
    for (; done < count; done++) {
        sim_granule *granule = find_granule(device, granules[done]);
        if (granule == NULL) {
            status = TARN_INVALID_ARGUMENT;
        } else if (granule->maps > 0) {
            status =
                sim_fail(TARN_INVALID_ARGUMENT, "granule %llu is still mapped", (unsigned long long)granules[done]);
        }
        if (status != TARN_OK) break;
        granule->is_live = false;
    }
    for (size_t i = 0; i < done; i++) {
        if (status != TARN_OK) device->granules[granules[i] - 1].is_live = true;
        else device->free_granules[device->free_granule_count++] = (uint32_t)granules[i];
    }
    return status;
}

tarn_status sim_granules_release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_GRANULES_RELEASE, count);
    if (status == TARN_OK) status = release_granules(device, count, granules);
    if (status == TARN_OK) device->used -= count * device->options.granule;
    pthread_mutex_unlock(&device->lock);
    return status;
}

/* The slots of `count` granules from `address` on, all in one reservation. */
static tarn_status find_slots(tarn_backend_device *device, const void *address, size_t count, sim_block **out_block,
                              uint32_t **out_slots) {
    size_t granule = device->options.granule;
    base_range *range = base_range_containing(device->blocks, (uintptr_t)address);
    sim_block *block = (sim_block *)range;
    if (range == NULL || block->kind != SIM_RESERVATION) {
        return sim_fail(TARN_INVALID_ARGUMENT, "%p is in no reserved range", address);
    }
    size_t first = ((uintptr_t)address - range->start) / granule;
    if (count > range->size / granule - first) {
        return sim_fail(TARN_INVALID_ARGUMENT, "%zu granules at %p reach beyond their reserved range", count, address);
    }
    *out_block = block;
    *out_slots = block->slots + first;
    return TARN_OK;
}

/* Maps one granule after the other; undone when one of them cannot be. */
static tarn_status map_granules(tarn_backend_device *device, uint32_t *slots, size_t count,
                                const tarn_backend_granule *granules) {
    tarn_status status = TARN_OK;
    size_t done = 0;
    for (; done < count; done++) {
        sim_granule *granule = find_granule(device, granules[done]);
        if (granule == NULL) {
            status = TARN_INVALID_ARGUMENT;
        } else if (slots[done] != 0) {
            status = sim_fail(TARN_INVALID_ARGUMENT, "granule %zu of the range is mapped already", done);
        } else if (granule->maps > 0 && !device->options.aliasing) {
            status =
                sim_fail(TARN_INVALID_ARGUMENT, "granule %llu is mapped elsewhere", (unsigned long long)granules[done]);
        }
        if (status != TARN_OK) break;
        granule->maps++;
        slots[done] = (uint32_t)granules[done];
    }
    for (size_t i = 0; i < done && status != TARN_OK; i++) {
        device->granules[slots[i] - 1].maps--;
        slots[i] = 0;
    }
    return status;
}

tarn_status sim_virtual_map(tarn_backend_device *device, void *address, size_t count,
                            const tarn_backend_granule *granules) {
    pthread_mutex_lock(&device->lock);
    sim_block *block = NULL;
    uint32_t *slots = NULL;
    tarn_status status = sim_begin_call(device, SIM_VIRTUAL_MAP, count);
    if (status == TARN_OK) status = find_slots(device, address, count, &block, &slots);
    if (status == TARN_OK) status = map_granules(device, slots, count, granules);
    if (status == TARN_OK) block->mapped += count;
    pthread_mutex_unlock(&device->lock);
    return status;
}

static tarn_status check_all_mapped(const uint32_t *slots, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (slots[i] == 0) return sim_fail(TARN_INVALID_ARGUMENT, "granule %zu of the range is not mapped", i);
    }
    return TARN_OK;
}

tarn_status sim_virtual_unmap(tarn_backend_device *device, void *address, size_t count) {
    pthread_mutex_lock(&device->lock);
    sim_block *block = NULL;
    uint32_t *slots = NULL;
    tarn_status status = sim_begin_call(device, SIM_VIRTUAL_UNMAP, count);
    if (status == TARN_OK) status = find_slots(device, address, count, &block, &slots);
    if (status == TARN_OK) status = check_all_mapped(slots, count);
    if (status == TARN_OK) {
        for (size_t i = 0; i < count; i++) {
            device->granules[slots[i] - 1].maps--;
            slots[i] = 0;
        }
        block->mapped -= count;
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}
