/* Addresses of the simulated device: a window of the address space where no program's own memory lies, handed out lowest
 * first, joined again when given back. Nothing is ever stored behind them. */
#include "backends/sim/sim_internal.h"
#include "base/checked.h"
#include "base/memory.h"

/* 8 TiB … 84 TiB: below where programs and their libraries are loaded on common 64-bit systems. */
#define WINDOW_START ((uintptr_t)0x080000000000u)
#define WINDOW_SIZE ((size_t)0x4c0000000000u)

static sim_block *block_of(base_range *range) { return (sim_block *)range; }

static void free_all(base_range **root) {
    while (*root != NULL) {
        sim_block *block = block_of(base_range_remove(root, (*root)->start));
        base_free(block->slots);
        base_free(block);
    }
}

tarn_status sim_addresses_start(tarn_backend_device *device) {
    sim_block *whole = base_allocate(1, sizeof *whole);
    if (whole == NULL) return sim_fail(TARN_OUT_OF_MEMORY, "no host memory for the map of addresses");
    whole->range = (base_range){.start = WINDOW_START, .size = WINDOW_SIZE};
    base_range_insert(&device->free_ranges, &whole->range);
    return TARN_OK;
}

void sim_addresses_end(tarn_backend_device *device) {
    free_all(&device->free_ranges);
    free_all(&device->blocks);
}

/* Enters [start, start + size) as free with the node of `block`, joined with its neighbours. */
static void give_back(tarn_backend_device *device, sim_block *block, uintptr_t start, size_t size) {
    base_range *before = base_range_at_or_before(device->free_ranges, start);
    if (before != NULL && before->start + before->size == start) {
        start = before->start;
        size += before->size;
        base_free(base_range_remove(&device->free_ranges, before->start));
    }
    base_range *after = base_range_find(device->free_ranges, start + size);
    if (after != NULL) {
        size += after->size;
        base_free(base_range_remove(&device->free_ranges, after->start));
    }
    block->range = (base_range){.start = start, .size = size};
    base_range_insert(&device->free_ranges, &block->range);
}

tarn_status sim_block_create(tarn_backend_device *device, int kind, size_t size, size_t alignment,
                             sim_block **out_block) {
    size_t extent, room;
    /* Free ranges begin at multiples of the device's alignment. */
    if (!checked_round_up(size, device->options.alignment, &extent) ||
        !checked_add(extent, alignment - device->options.alignment, &room)) {
        return sim_fail(TARN_OUT_OF_MEMORY, "%zu bytes do not fit into the address space", size);
    }
    base_range *found = base_range_first_fit(device->free_ranges, room);
    if (found == NULL) {
        return sim_fail(TARN_OUT_OF_MEMORY, "there is no free range of %zu bytes in the address space of %zu", room,
                        WINDOW_SIZE);
    }
    /* The found node serves what is left over, before or after the block; a second one what is left on both sides. */
    uintptr_t start = round_up(found->start, alignment);
    size_t left_before = start - found->start;
    size_t left_after = found->size - left_before - extent;
    sim_block *block = base_allocate(1, sizeof *block);
    sim_block *second = left_before > 0 && left_after > 0 ? base_allocate(1, sizeof *second) : NULL;
    if (block == NULL || (left_before > 0 && left_after > 0 && second == NULL)) {
        base_free(block);
        base_free(second);
        return sim_fail(TARN_OUT_OF_MEMORY, "no host memory to describe %zu bytes", size);
    }
    uintptr_t found_start = found->start;
    sim_block *rest = block_of(base_range_remove(&device->free_ranges, found_start));
    if (left_before > 0) {
        give_back(device, rest, found_start, left_before);
        rest = second;
    }
    if (left_after > 0) give_back(device, rest, start + extent, left_after);
    else base_free(rest);
    *block = (sim_block){
        .range = {.start = start, .size = extent}, .kind = kind, .base = start, .extent = extent, .size = size};
    base_range_insert(&device->blocks, &block->range);
    *out_block = block;
    return TARN_OK;
}

void sim_block_release(tarn_backend_device *device, sim_block *block) {
    base_range_remove(&device->blocks, block->range.start);
    base_free(block->slots);
    uintptr_t base = block->base;
    size_t extent = block->extent;
    *block = (sim_block){.kind = 0};
    give_back(device, block, base, extent);
}

tarn_status sim_block_find(tarn_backend_device *device, int kind, const void *address, size_t size,
                           sim_block **out_block) {
    base_range *range = base_range_find(device->blocks, (uintptr_t)address);
    if (range == NULL) return sim_fail(TARN_INVALID_ARGUMENT, "nothing that was handed out begins at %p", address);
    sim_block *block = block_of(range);
    if (block->kind != kind || block->size != size) {
        return sim_fail(TARN_INVALID_ARGUMENT, "what begins at %p has %zu bytes and kind %d, not %zu and %d", address,
                        block->size, block->kind, size, kind);
    }
    *out_block = block;
    return TARN_OK;
}

/* The end of the memory that is there without a gap from `address` on, at most `end`; `address` itself when none is. */
static uintptr_t memory_end(tarn_backend_device *device, uintptr_t address, uintptr_t end) {
    base_range *range = base_range_containing(device->blocks, address);
    if (range == NULL) return address;
    const sim_block *block = block_of(range);
    uintptr_t limit = range->start + range->size;
    if (limit > end) limit = end;
    if (block->kind != SIM_RESERVATION) return limit;
    size_t granule = device->options.granule;
    while (address < limit && block->slots[(address - range->start) / granule] != 0) {
        address = round_down(address, granule) + granule;
    }
    return address < limit ? address : limit;
}

tarn_status sim_check_access(tarn_backend_device *device, const void *address, size_t size) {
    uintptr_t start = (uintptr_t)address;
    uintptr_t end = start + size;
    if (end <= WINDOW_START || start >= WINDOW_START + WINDOW_SIZE) return TARN_OK; /* memory of the host */
    uintptr_t position = start;
    while (position < end) {
        uintptr_t next = memory_end(device, position, end);
        if (next == position) {
            return sim_fail(TARN_INVALID_ARGUMENT, "%zu bytes at %p reach memory that is not there, at %p", size,
                            address, (void *)position);
        }
        position = next;
    }
    return TARN_OK;
}
