/* Virtual memory of a device: ranges of addresses, and granules of physical memory that are mapped into them. */
#include "base/checked.h"
#include "base/status.h"
#include "hal/call.h"
#include "hal/counters.h"
#include "hal/memory.h"
#include "hal/regions.h"

static tarn_status check_support(tarn_device *device) {
    if (device->properties.granule != 0) return hal_device_check_bar(device);
    return base_fail(TARN_NOT_SUPPORTED, "%s has no virtual memory", device->name);
}

/* A range must lie on granules, and in what was reserved. */
static tarn_status check_range(tarn_device *device, const void *address, size_t count) {
    size_t granule = device->properties.granule;
    size_t size, end;
    tarn_status status = check_support(device);
    if (status != TARN_OK) return status;
    if (address == NULL || count == 0 || ((uintptr_t)address & (granule - 1)) != 0 ||
        !checked_multiply(count, granule, &size) || !checked_add((uintptr_t)address, size, &end)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %zu granules at %p are no range of granules of %zu bytes",
                         device->name, count, address, granule);
    }
    if (!hal_region_holds(device, HAL_REGION_RESERVATION, address, size)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %zu granules at %p are not in one reserved range", device->name,
                         count, address);
    }
    return TARN_OK;
}

/* Writes the bytes of `count` granules. */
static tarn_status check_granules(tarn_device *device, size_t count, const tarn_backend_granule *granules,
                                  size_t *out_bytes) {
    tarn_status status = check_support(device);
    if (status != TARN_OK) return status;
    if (count == 0 || granules == NULL || !checked_multiply(count, device->properties.granule, out_bytes)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %zu granules cannot be had or given back", device->name, count);
    }
    return TARN_OK;
}

tarn_status hal_virtual_reserve(tarn_device *device, size_t size, void **out_address) {
    tarn_status status = check_support(device);
    if (status != TARN_OK) return status;
    size_t granule = device->properties.granule;
    if (size == 0 || size > PTRDIFF_MAX || (size & (granule - 1)) != 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: a range of %zu bytes is not a multiple of the granule, %zu bytes",
                         device->name, size, granule);
    }
    status = hal_device_check(device);
    if (status != TARN_OK) return status;
    hal_region *region = hal_region_create();
    if (region == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe a range", device->name);
    void *address = NULL;
    status = HAL_CALL(device, virtual_reserve, size, &address);
    if (status == TARN_OK) {
        bool is_apart;
        status = hal_region_add(device, region, HAL_REGION_RESERVATION, address, size, granule, &is_apart);
        if (status != TARN_OK && is_apart) device->table->virtual_release(device->handle, address, size);
    }
    if (status != TARN_OK) {
        hal_region_destroy(region);
        return status;
    }
    *out_address = address;
    return TARN_OK;
}

tarn_status hal_virtual_release(tarn_device *device, void *address, size_t size) {
    hal_region *region;
    tarn_status status = hal_device_check_bar(device);
    if (status == TARN_OK) status = hal_region_take(device, HAL_REGION_RESERVATION, address, size, &region);
    if (status != TARN_OK) return status;
    if (hal_device_is_reachable(device)) {
        status = HAL_CALL(device, virtual_release, address, size);
        if (status != TARN_OK && status != TARN_DEVICE_LOST) {
            hal_region_put_back(device, region);
            return status;
        }
    }
    hal_region_destroy(region);
    return TARN_OK;
}

tarn_status hal_granules_create(tarn_device *device, size_t count, tarn_backend_granule *out_granules) {
    size_t bytes;
    tarn_status status = check_granules(device, count, out_granules, &bytes);
    if (status == TARN_OK) status = hal_device_check(device);
    if (status != TARN_OK) return status;
    status = HAL_CALL(device, granules_create, count, out_granules);
    hal_count(&device->counters.allocs, count);
    if (status == TARN_OK) hal_count_taken(device, bytes);
    return status;
}

tarn_status hal_granules_release(tarn_device *device, size_t count, const tarn_backend_granule *granules) {
    size_t bytes;
    tarn_status status = check_granules(device, count, granules, &bytes);
    if (status != TARN_OK) return status;
    if (hal_device_is_reachable(device)) {
        status = HAL_CALL(device, granules_release, count, granules);
        hal_count(&device->counters.frees, count);
        if (status != TARN_OK && status != TARN_DEVICE_LOST) return status;
    }
    hal_count_given_back(device, bytes);
    return TARN_OK;
}

tarn_status hal_virtual_map(tarn_device *device, void *address, size_t count, const tarn_backend_granule *granules) {
    tarn_status status = check_range(device, address, count);
    if (status == TARN_OK && granules == NULL) {
        status = base_fail(TARN_INVALID_ARGUMENT, "%s: the granules to map are NULL", device->name);
    }
    if (status == TARN_OK) status = hal_device_check(device);
    if (status != TARN_OK) return status;
    status = HAL_CALL(device, virtual_map, address, count, granules);
    hal_count(&device->counters.maps, count);
    return status;
}

tarn_status hal_virtual_unmap(tarn_device *device, void *address, size_t count) {
    tarn_status status = check_range(device, address, count);
    if (status != TARN_OK) return status;
    if (!hal_device_is_reachable(device)) return TARN_OK;
    status = HAL_CALL(device, virtual_unmap, address, count);
    hal_count(&device->counters.unmaps, count);
    return status == TARN_DEVICE_LOST ? TARN_OK : status;
}
