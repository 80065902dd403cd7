/* Plain memory of the simulated device: addresses, and bytes counted against the capacity. */
#include <tarn/size.h>

#include "backends/sim/sim_internal.h"
#include "base/checked.h"

tarn_status sim_charge(tarn_backend_device *device, size_t bytes) {
    uint64_t used;
    if (!__builtin_add_overflow(device->used, (uint64_t)bytes, &used) && used <= device->capacity) {
        device->used = used;
        return TARN_OK;
    }
    char asked[TARN_SIZE_TEXT], capacity[TARN_SIZE_TEXT], in_use[TARN_SIZE_TEXT];
    return sim_fail(TARN_OUT_OF_MEMORY, "%s asked, capacity %s, %s in use", tarn_size_format(bytes, asked),
                    tarn_size_format(device->capacity, capacity), tarn_size_format(device->used, in_use));
}

/* Bytes of device memory that a block costs; pinned memory is the host's. */
static size_t charge_of(tarn_memory_kind kind, size_t size) { return kind == TARN_MEMORY_DEVICE ? size : 0; }

/* The address that a block is said to have by a driver that misbehaves. */
static void *misstated_address(tarn_backend_device *device, sim_block *block) {
    switch (device->options.misbehaviour) {
    case SIM_HONEST: break;
    case SIM_GIVES_NULL: return NULL;
    case SIM_GIVES_MISALIGNED:
        base_range_remove(&device->blocks, block->range.start);
        block->range.start = block->base + 1;
        block->range.size = block->extent - 1;
        base_range_insert(&device->blocks, &block->range);
        break;
    case SIM_GIVES_OVERLAP: {
        base_range *lowest = base_range_after(device->blocks, 0);
        if (lowest != &block->range) return (void *)lowest->start;
        break;
    }
    }
    return (void *)block->range.start;
}

tarn_status sim_memory_allocate(tarn_backend_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                void **out_address) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_MEMORY_ALLOCATE, 1);
    if (status == TARN_OK) status = sim_charge(device, charge_of(kind, size));
    if (status == TARN_OK) {
        sim_block *block;
        status = sim_block_create(device, (int)kind, size, alignment, &block);
        if (status == TARN_OK) {
            *out_address = misstated_address(device, block);
            /* What the caller never learns the address of could never be freed. */
            bool is_known = *out_address == (void *)block->range.start;
            if (!is_known) sim_block_release(device, block);
            if (!is_known) device->used -= charge_of(kind, size);
        } else {
            device->used -= charge_of(kind, size);
        }
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_memory_free(tarn_backend_device *device, tarn_memory_kind kind, void *address, size_t size) {
    pthread_mutex_lock(&device->lock);
    sim_block *block = NULL;
    tarn_status status = sim_begin_call(device, SIM_MEMORY_FREE, 1);
    if (status == TARN_OK) status = sim_block_find(device, (int)kind, address, size, &block);
    if (status == TARN_OK) {
        device->used -= charge_of(kind, size);
        sim_block_release(device, block);
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}
