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
    base_range range; /* the first member: a range is cast back to its reservation */
    uint32_t slots[]; /* for each, the number of the granule whose pages are there, mapped or resting; 0: none */
} reservation;

tarn_status cpu_virtual_reserve(tarn_backend_device *device, size_t size, void **out_address) {
    size_t bytes = sizeof(reservation) + size / CPU_GRANULE * sizeof(uint32_t);
    reservation *reserved = base_allocate(1, bytes);
    if (reserved == NULL) {
        return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory for the %zu granules of a range", size / CPU_GRANULE);
    }
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

static cpu_granule *granule_of(tarn_backend_device *device, tarn_backend_granule number) {
    return &device->granules[number - 1];
}

/* The slot where a granule's pages are. Must be called with the lock held. */
static uint32_t *slot_of(tarn_backend_device *device, const void *address) {
    base_range *range = base_range_containing(device->reservations, (uintptr_t)address);
    return &((reservation *)range)->slots[((uintptr_t)address - range->start) / CPU_GRANULE];
}

/* INVALID_ARGUMENT when a slot is still mapped. Must be called with the lock held. */
static tarn_status check_unmapped(tarn_backend_device *device, const reservation *reserved) {
    for (size_t i = 0; i < reserved->range.size / CPU_GRANULE; i++) {
        if (reserved->slots[i] != 0 && granule_of(device, reserved->slots[i])->is_mapped) {
            return cpu_fail(TARN_INVALID_ARGUMENT, "granule %zu of the range is still mapped", i);
        }
    }
    return TARN_OK;
}

tarn_status cpu_virtual_release(tarn_backend_device *device, void *address, size_t size) {
    pthread_mutex_lock(&device->virtual_lock);
    reservation *reserved = (reservation *)base_range_find(device->reservations, (uintptr_t)address);
    tarn_status status;
    if (reserved == NULL || reserved->range.size != size) {
        status = cpu_fail(TARN_INVALID_ARGUMENT, "no range of %zu bytes is reserved at %p", size, address);
    } else {
        status = check_unmapped(device, reserved);
    }
    if (status == TARN_OK && munmap(address, size) != 0) status = cpu_fail_memory("munmap", size, errno);
    if (status == TARN_OK) {
        /* Pages that rested here are gone; their granules get new ones. */
        for (size_t i = 0; i < size / CPU_GRANULE; i++) {
            if (reserved->slots[i] != 0) granule_of(device, reserved->slots[i])->address = NULL;
        }
        base_range_remove(&device->reservations, (uintptr_t)address);
    }
    pthread_mutex_unlock(&device->virtual_lock);
    if (status == TARN_OK) base_free(reserved);
    return status;
}

/* Makes room for `count` more numbers in the table and on the stack. Must be called with the lock held. */
static tarn_status grow_table(tarn_backend_device *device, size_t count) {
    size_t needed =
        device->granule_count + (count > device->free_granule_count ? count - device->free_granule_count : 0);
    if (needed <= device->granule_room) return TARN_OK;
    size_t room = needed > 2 * device->granule_room ? needed : 2 * device->granule_room;
    cpu_granule *granules = needed < UINT32_MAX ? base_reallocate(device->granules, room, sizeof *granules) : NULL;
    if (granules != NULL) device->granules = granules;
    uint32_t *stack = granules != NULL ? base_reallocate(device->free_granules, room, sizeof *stack) : NULL;
    if (stack == NULL) return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory for %zu granules", needed);
    device->free_granules = stack;
    device->granule_room = room;
    return TARN_OK;
}

tarn_status cpu_granules_create(tarn_backend_device *device, size_t count, tarn_backend_granule *out_granules) {
    size_t bytes;
    if (!checked_multiply(count, CPU_GRANULE, &bytes)) bytes = SIZE_MAX;
    tarn_status status = cpu_charge(device, bytes);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&device->virtual_lock);
    status = grow_table(device, count);
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        uint32_t number = device->free_granule_count > 0 ? device->free_granules[--device->free_granule_count]
                                                         : (uint32_t)++device->granule_count;
        *granule_of(device, number) = (cpu_granule){.is_live = true};
        out_granules[i] = number;
    }
    pthread_mutex_unlock(&device->virtual_lock);
    if (status != TARN_OK) cpu_discharge(device, bytes);
    return status;
}

/* INVALID_ARGUMENT unless the granule lives and is not mapped. Must be called with the lock held. */
static tarn_status check_idle_granule(tarn_backend_device *device, tarn_backend_granule number) {
    if (number == 0 || number > device->granule_count || !granule_of(device, number)->is_live) {
        return cpu_fail(TARN_INVALID_ARGUMENT, "there is no granule %llu", (unsigned long long)number);
    }
    if (granule_of(device, number)->is_mapped) {
        return cpu_fail(TARN_INVALID_ARGUMENT, "granule %llu is mapped", (unsigned long long)number);
    }
    return TARN_OK;
}

/* Gives resting pages back, adjacent ones in one call. Must be called with the lock held. */
static void drop_pages(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    char *start = NULL;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        cpu_granule *granule = granule_of(device, granules[i]);
        if (granule->address == NULL) continue;
        *slot_of(device, granule->address) = 0;
        if (size > 0 && start + size == (char *)granule->address) {
            size += CPU_GRANULE;
        } else {
            if (size > 0) madvise(start, size, MADV_DONTNEED);
            start = granule->address;
            size = CPU_GRANULE;
        }
        granule->address = NULL;
    }
    if (size > 0) madvise(start, size, MADV_DONTNEED);
}

tarn_status cpu_granules_release(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules) {
    pthread_mutex_lock(&device->virtual_lock);
    tarn_status status = TARN_OK;
    size_t done = 0;
    /* Each is marked at once, so that one that is named twice is found. */
    for (; done < count && status == TARN_OK; done++) {
        status = check_idle_granule(device, granules[done]);
        if (status != TARN_OK) break;
        granule_of(device, granules[done])->is_live = false;
    }
    if (status == TARN_OK) drop_pages(device, count, granules);
    for (size_t i = 0; i < done; i++) {
        if (status != TARN_OK) granule_of(device, granules[i])->is_live = true;
        else device->free_granules[device->free_granule_count++] = (uint32_t)granules[i];
    }
    pthread_mutex_unlock(&device->virtual_lock);
    if (status == TARN_OK) cpu_discharge(device, count * CPU_GRANULE);
    return status;
}

/* The slots of `count` granules from `address` on, all in one reservation. Must be called with the lock held. */
static tarn_status find_slots(tarn_backend_device *device, void *address, size_t count, uint32_t **out_slots) {
    base_range *range = base_range_containing(device->reservations, (uintptr_t)address);
    if (range == NULL) return cpu_fail(TARN_INVALID_ARGUMENT, "%p is in no reserved range", address);
    size_t first = ((uintptr_t)address - range->start) / CPU_GRANULE;
    if (count > range->size / CPU_GRANULE - first) {
        return cpu_fail(TARN_INVALID_ARGUMENT, "%zu granules at %p reach beyond their reserved range", count, address);
    }
    *out_slots = ((reservation *)range)->slots + first;
    return TARN_OK;
}

/* Brings the granule's pages, or none, to the slot. Access is as it was: none. Must be called with the lock held. */
static void settle(tarn_backend_device *device, uint32_t *slot, void *address, uint32_t number) {
    cpu_granule *granule = granule_of(device, number);
    if (*slot == number) return;
    void *old_address = granule->address;
    uint32_t *old_slot = old_address != NULL ? slot_of(device, old_address) : NULL;
    if (*slot != 0) {
        /* Pages of another granule rest here: the two exchange. */
        granule_of(device, *slot)->address = old_address;
        if (old_slot != NULL) *old_slot = *slot;
    } else if (old_slot != NULL) {
        void *moved =
            mremap(old_address, CPU_GRANULE, CPU_GRANULE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, address);
        /* An old kernel, or too many mappings: the pages are given up, and new ones come when they are touched. */
        if (moved == MAP_FAILED) madvise(old_address, CPU_GRANULE, MADV_DONTNEED);
        *old_slot = 0;
    }
    *slot = number;
    granule->address = address;
}

/* Must be called with the lock held. */
static tarn_status check_mapping(tarn_backend_device *device, const uint32_t *slots, size_t count,
                                 const tarn_backend_granule *granules) {
    for (size_t i = 0; i < count; i++) {
        tarn_status status = check_idle_granule(device, granules[i]);
        if (status != TARN_OK) return status;
        if (slots[i] != 0 && granule_of(device, slots[i])->is_mapped) {
            return cpu_fail(TARN_INVALID_ARGUMENT, "granule %zu of the range is mapped already", i);
        }
    }
    return TARN_OK;
}

/* Marks the granules as mapped or not. Returns how many were marked before one that already was. */
static size_t mark_mapped(tarn_backend_device *device, size_t count, const tarn_backend_granule *granules,
                          bool is_mapped) {
    for (size_t i = 0; i < count; i++) {
        cpu_granule *granule = granule_of(device, granules[i]);
        if (granule->is_mapped == is_mapped) return i;
        granule->is_mapped = is_mapped;
    }
    return count;
}

tarn_status cpu_virtual_map(tarn_backend_device *device, void *address, size_t count,
                            const tarn_backend_granule *granules) {
    uint32_t *slots = NULL;
    pthread_mutex_lock(&device->virtual_lock);
    tarn_status status = find_slots(device, address, count, &slots);
    if (status == TARN_OK) status = check_mapping(device, slots, count, granules);
    if (status == TARN_OK) {
        size_t marked = mark_mapped(device, count, granules, true);
        if (marked < count) {
            status =
                cpu_fail(TARN_INVALID_ARGUMENT, "granule %llu is named twice", (unsigned long long)granules[marked]);
            mark_mapped(device, marked, granules, false);
        }
    }
    if (status == TARN_OK) {
        for (size_t i = 0; i < count; i++)
            settle(device, &slots[i], (char *)address + i * CPU_GRANULE, (uint32_t)granules[i]);
        if (mprotect(address, count * CPU_GRANULE, PROT_READ | PROT_WRITE) != 0) {
            status = cpu_fail_memory("mprotect", count * CPU_GRANULE, errno);
            /* Some may have been made accessible; the granules only rest elsewhere than before. */
            mprotect(address, count * CPU_GRANULE, PROT_NONE);
            mark_mapped(device, count, granules, false);
        }
    }
    pthread_mutex_unlock(&device->virtual_lock);
    return status;
}

tarn_status cpu_virtual_unmap(tarn_backend_device *device, void *address, size_t count) {
    uint32_t *slots = NULL;
    pthread_mutex_lock(&device->virtual_lock);
    tarn_status status = find_slots(device, address, count, &slots);
    for (size_t i = 0; i < count && status == TARN_OK; i++) {
        if (slots[i] == 0 || !granule_of(device, slots[i])->is_mapped) {
            status = cpu_fail(TARN_INVALID_ARGUMENT, "granule %zu of the range is not mapped", i);
        }
    }
    if (status == TARN_OK && mprotect(address, count * CPU_GRANULE, PROT_NONE) != 0) {
        status = cpu_fail_memory("mprotect", count * CPU_GRANULE, errno);
        mprotect(address, count * CPU_GRANULE, PROT_READ | PROT_WRITE);
    }
    for (size_t i = 0; i < count && status == TARN_OK; i++) granule_of(device, slots[i])->is_mapped = false;
    pthread_mutex_unlock(&device->virtual_lock);
    return status;
}

void cpu_virtual_end(tarn_backend_device *device) {
    while (device->reservations != NULL) {
        base_range *range = base_range_remove(&device->reservations, device->reservations->start);
        munmap((void *)range->start, range->size);
        base_free(range);
    }
    base_free(device->granules);
    base_free(device->free_granules);
}
