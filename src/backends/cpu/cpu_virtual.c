/* Virtual memory of the cpu device.
 *
 * A reservation is a mapping without access, cut into slots of 2 MiB. Mapping a granule into a slot grants access to it; the
 * kernel brings pages when they are touched. Unmapping only takes the access away: the pages rest in the slot, still the
 * granule's. When the granule is mapped into another slot, they move there with mremap, huge page and all, so that no
 * page is zeroed and faulted in again. What a granule held before is not promised to its user, which makes one case
 * free: where pages of another granule rest in the slot, the two granules exchange their pages, and nothing moves.
 * So each granule costs the pages of one slot at most, and resting pages go when it is released.
 *
 * README.md tells what this saves. */
#include <errno.h>
#include <sys/mman.h>

#include "backends/cpu/cpu_internal.h"
#include "base/checked.h"
#include "base/memory.h"

typedef struct reservation {
    base_range range;  /* the first member: a range is cast back to its reservation */
    uint32_t *resting; /* for each slot, the number of the granule whose pages are there, mapped or not; 0: none */
    uint32_t slots[];  /* the number of the granule that is mapped there; 0: none. `resting` lies behind them */
} reservation;

tarn_status cpu_virtual_reserve(tarn_backend_device *device, size_t size, void **out_address) {
    size_t count = size / CPU_GRANULE;
    reservation *reserved = base_allocate(1, sizeof *reserved + 2 * count * sizeof reserved->slots[0]);
    if (reserved == NULL) return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory for the %zu granules of a range", count);
    reserved->resting = reserved->slots + count;
    void *address = cpu_reserve_aligned(size, CPU_GRANULE);
    if (address == NULL) {
        int error = errno;
        base_free(reserved);
        return cpu_fail_memory("mmap", size, error);
    }
    madvise(address, size, MADV_HUGEPAGE); /* a hint: without it there are small pages */
    reserved->range = (base_range){.start = (uintptr_t)address, .size = size};
    pthread_mutex_lock(&device->virtual_lock);
    base_range_insert(&device->reservations, &reserved->range);
    pthread_mutex_unlock(&device->virtual_lock);
    *out_address = address;
    return TARN_OK;
}

/* The reservation of an address, and the slot there. Must be called with the lock held. */
static reservation *reservation_of(tarn_backend_device *device, const void *address, size_t *out_slot) {
    base_range *range = base_range_containing(device->reservations, (uintptr_t)address);
    *out_slot = ((uintptr_t)address - range->start) / CPU_GRANULE;
    return (reservation *)range;
}

/* Where it is noted whose pages are in the slot there. Must be called with the lock held. */
static uint32_t *resting_at(tarn_backend_device *device, const void *address) {
    size_t slot;
    const reservation *reserved = reservation_of(device, address, &slot);
    return &reserved->resting[slot];
}

tarn_status cpu_virtual_release(tarn_backend_device *device, void *address, size_t size) {
    size_t count = size / CPU_GRANULE, slot;
    pthread_mutex_lock(&device->virtual_lock);
    reservation *reserved = reservation_of(device, address, &slot);
    tarn_status status = base_granules_check_empty(&device->granules, reserved->slots, count);
    if (status == TARN_OK && munmap(address, size) != 0) status = cpu_fail_memory("munmap", size, errno);
    if (status == TARN_OK) {
        /* Pages that rested here are gone; their granules get new ones. */
        for (size_t i = 0; i < count; i++)
            if (reserved->resting[i] != 0) base_granule_of(&device->granules, reserved->resting[i])->place = NULL;
        base_range_remove(&device->reservations, (uintptr_t)address);
    }
    pthread_mutex_unlock(&device->virtual_lock);
    if (status == TARN_OK) base_free(reserved);
    return status;
}

tarn_status cpu_granules_create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules) {
    size_t bytes;
    if (!checked_multiply(count, CPU_GRANULE, &bytes)) bytes = SIZE_MAX;
    tarn_status status = cpu_charge(device, bytes);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&device->virtual_lock);
    status = base_granules_create(&device->granules, count, out_granules);
    pthread_mutex_unlock(&device->virtual_lock);
    if (status != TARN_OK) cpu_discharge(device, bytes);
    return status;
}

/* Gives resting pages back, adjacent ones in one call. Must be called with the lock held. */
static void drop_pages(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    char *start = NULL;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        base_granule *granule = base_granule_of(&device->granules, granules[i]);
        if (granule->place == NULL) continue;
        *resting_at(device, granule->place) = 0;
        if (size > 0 && start + size == (char *)granule->place) {
            size += CPU_GRANULE;
        } else {
            if (size > 0) madvise(start, size, MADV_DONTNEED);
            start = granule->place;
            size = CPU_GRANULE;
        }
        granule->place = NULL;
    }
    if (size > 0) madvise(start, size, MADV_DONTNEED);
}

tarn_status cpu_granules_release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    pthread_mutex_lock(&device->virtual_lock);
    tarn_status status = base_granules_release(&device->granules, count, granules);
    if (status == TARN_OK) drop_pages(device, count, granules);
    pthread_mutex_unlock(&device->virtual_lock);
    if (status == TARN_OK) cpu_discharge(device, count * CPU_GRANULE);
    return status;
}

/* Brings the granule's pages, or none, to the slot. Access is as it was: none. Must be called with the lock held. */
static void settle(tarn_backend_device *device, uint32_t *resting, void *address, uint32_t number) {
    base_granule *granule = base_granule_of(&device->granules, number);
    if (*resting == number) return;
    void *old_address = granule->place;
    uint32_t *old_resting = old_address != NULL ? resting_at(device, old_address) : NULL;
    if (*resting != 0) {
        /* Pages of another granule rest here: the two exchange. */
        base_granule_of(&device->granules, *resting)->place = old_address;
        if (old_resting != NULL) *old_resting = *resting;
    } else if (old_resting != NULL) {
        void *moved =
            mremap(old_address, CPU_GRANULE, CPU_GRANULE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, address);
        /* An old kernel, or too many mappings: the pages are given up, and new ones come when they are touched. */
        if (moved == MAP_FAILED) madvise(old_address, CPU_GRANULE, MADV_DONTNEED);
        *old_resting = 0;
    }
    *resting = number;
    granule->place = address;
}

tarn_status cpu_virtual_map(tarn_backend_device *device, void *address, size_t count,
                            const tarn_backend_granule *granules) {
    size_t slot, size = count * CPU_GRANULE;
    pthread_mutex_lock(&device->virtual_lock);
    reservation *reserved = reservation_of(device, address, &slot);
    tarn_status status = base_granules_map(&device->granules, reserved->slots + slot, count, granules);
    if (status == TARN_OK) {
        for (size_t i = 0; i < count; i++)
            settle(device, &reserved->resting[slot + i], (char *)address + i * CPU_GRANULE, (uint32_t)granules[i]);
        if (mprotect(address, size, PROT_READ | PROT_WRITE) != 0) {
            status = cpu_fail_memory("mprotect", size, errno);
            /* Some may have been made accessible; the granules only rest elsewhere than before. */
            mprotect(address, size, PROT_NONE);
            base_granules_unmap(&device->granules, reserved->slots + slot, count);
        }
    }
    pthread_mutex_unlock(&device->virtual_lock);
    return status;
}

tarn_status cpu_virtual_unmap(tarn_backend_device *device, void *address, size_t count) {
    size_t slot, size = count * CPU_GRANULE;
    pthread_mutex_lock(&device->virtual_lock);
    reservation *reserved = reservation_of(device, address, &slot);
    tarn_status status = base_granules_check_mapped(&device->granules, reserved->slots + slot, count);
    if (status == TARN_OK && mprotect(address, size, PROT_NONE) != 0) {
        status = cpu_fail_memory("mprotect", size, errno);
        mprotect(address, size, PROT_READ | PROT_WRITE);
    }
    if (status == TARN_OK) status = base_granules_unmap(&device->granules, reserved->slots + slot, count);
    pthread_mutex_unlock(&device->virtual_lock);
    return status;
}

void cpu_virtual_end(tarn_backend_device *device) {
    while (device->reservations != NULL) {
        base_range *range = base_range_remove(&device->reservations, device->reservations->start);
        munmap((void *)range->start, range->size);
        base_free(range);
    }
    base_granules_end(&device->granules);
}
