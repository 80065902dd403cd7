/* The regions of a device. Each is one node of a range map; the node is made before the driver is called, so that an
 * answer never has to be given back for want of host memory. */
#include "hal/regions.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/call.h"

hal_region *hal_region_create(void) { return base_allocate(1, sizeof(hal_region)); }

void hal_region_destroy(hal_region *region) { base_free(region); }

tarn_status hal_region_add(tarn_device *device, hal_region *region, int kind, void *address, size_t size,
                           size_t alignment, bool *out_is_apart) {
    uintptr_t start = (uintptr_t)address;
    size_t end;
    *out_is_apart = false;
    if (address == NULL) {
        return base_fail(TARN_INTERNAL, "%s: the driver reported success and gave no memory for %zu bytes",
                         device->name, size);
    }
    if (!checked_add(start, size - 1, &end)) {
        return base_fail(TARN_INTERNAL, "%s: the driver gave %zu bytes at %p, beyond the end of the address space",
                         device->name, size, address);
    }
    pthread_mutex_lock(&device->region_lock);
    bool overlaps = base_range_overlaps(device->regions, start, size);
    bool is_aligned = (start & (alignment - 1)) == 0;
    if (!overlaps && is_aligned) {
        region->range = (base_range){.start = start, .size = size};
        region->kind = kind;
        base_range_insert(&device->regions, &region->range);
    }
    pthread_mutex_unlock(&device->region_lock);
    if (overlaps) {
        return base_fail(TARN_INTERNAL, "%s: the driver gave %zu bytes at %p, which overlap a living block",
                         device->name, size, address);
    }
    *out_is_apart = true;
    if (!is_aligned) {
        return base_fail(TARN_INTERNAL, "%s: the driver gave memory at %p, which is not aligned to %zu bytes",
                         device->name, address, alignment);
    }
    return TARN_OK;
}

bool hal_region_containing(tarn_device *device, const void *address, size_t size, hal_region *out_region) {
    uintptr_t start = (uintptr_t)address;
    pthread_mutex_lock(&device->region_lock);
    const base_range *range = base_range_containing(device->regions, start);
    bool contains = range != NULL && size <= range->size - (start - range->start);
    if (contains) *out_region = *(const hal_region *)range;
    pthread_mutex_unlock(&device->region_lock);
    return contains;
}

bool hal_region_is_left(tarn_device *device, const void *address, size_t size) {
    uintptr_t start = (uintptr_t)address;
    pthread_mutex_lock(&device->region_lock);
    const base_range *range = base_range_containing(device->regions, start);
    bool is_left = range != NULL && size > range->size - (start - range->start);
    pthread_mutex_unlock(&device->region_lock);
    return is_left;
}

bool hal_region_holds(tarn_device *device, int kind, const void *address, size_t size) {
    hal_region region;
    return hal_region_containing(device, address, size, &region) && region.kind == kind;
}

tarn_status hal_region_take(tarn_device *device, int kind, void *address, size_t size, hal_region **out_region) {
    pthread_mutex_lock(&device->region_lock);
    hal_region *region = (hal_region *)base_range_find(device->regions, (uintptr_t)address);
    bool is_known = region != NULL && region->kind == kind && region->range.size == size;
    if (is_known) base_range_remove(&device->regions, (uintptr_t)address);
    pthread_mutex_unlock(&device->region_lock);
    if (!is_known) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the driver has handed out no such block: %zu bytes at %p",
                         device->name, size, address);
    }
    *out_region = region;
    return TARN_OK;
}

void hal_region_put_back(tarn_device *device, hal_region *region) {
    pthread_mutex_lock(&device->region_lock);
    base_range_insert(&device->regions, &region->range);
    pthread_mutex_unlock(&device->region_lock);
}

void hal_regions_free(tarn_device *device) {
    while (device->regions != NULL) base_free(base_range_remove(&device->regions, device->regions->start));
}
