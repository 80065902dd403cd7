/* Memory of a device: checked, counted and asked of the backend. */
#include "hal/memory.h"

#include "base/checked.h"
#include "base/status.h"
#include "hal/call.h"
#include "hal/counters.h"
#include "hal/regions.h"

const char *hal_memory_kind_name(tarn_memory_kind kind) {
    static const char *const names[TARN_MEMORY_KIND_COUNT] = {"device", "pinned", "managed", "host", "shared"};
    return (unsigned)kind < TARN_MEMORY_KIND_COUNT ? names[kind] : NULL;
}

/* Puts the device's alignment for 0 and for less than that. */
static tarn_status check_request(tarn_device *device, tarn_memory_kind kind, size_t size, size_t *inout_alignment) {
    const tarn_device_properties *properties = &device->properties;
    if ((unsigned)kind >= TARN_MEMORY_KIND_COUNT) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %d is no kind of memory", device->name, (int)kind);
    }
    if ((properties->memory_kinds & TARN_MEMORY_KIND_BIT(kind)) == 0) {
        return base_fail(TARN_NOT_SUPPORTED, "%s has no %s memory", device->name, hal_memory_kind_name(kind));
    }
    if (size == 0 || size > PTRDIFF_MAX) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %zu bytes cannot be allocated", device->name, size);
    }
    size_t alignment = *inout_alignment;
    if (alignment != 0 && (!is_power_of_two(alignment) || alignment > properties->maximum_alignment)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: an alignment of %zu bytes is not a power of two up to %zu",
                         device->name, alignment, properties->maximum_alignment);
    }
    if (alignment < properties->alignment) *inout_alignment = properties->alignment;
    return TARN_OK;
}

tarn_status hal_memory_allocate(tarn_device *device, tarn_memory_kind kind, size_t size, size_t alignment,
                                void **out_address) {
    tarn_status status = check_request(device, kind, size, &alignment);
    if (status == TARN_OK) status = hal_device_check(device);
    if (status != TARN_OK) return status;
    hal_region *region = hal_region_create();
    if (region == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe an allocation", device->name);
    void *address = NULL;
    status = HAL_CALL(device, memory_allocate, kind, size, alignment, &address);
    hal_count(&device->counters.allocs, 1);
    if (status == TARN_OK) {
        bool is_apart;
        status = hal_region_add(device, region, (int)kind, address, size, alignment, &is_apart);
        if (status != TARN_OK && is_apart) device->table->memory_free(device->handle, kind, address, size);
    }
    if (status != TARN_OK) {
        hal_region_destroy(region);
        return status;
    }
    hal_count_taken(device, size);
    *out_address = address;
    return TARN_OK;
}

tarn_status hal_memory_free(tarn_device *device, tarn_memory_kind kind, void *address, size_t size) {
    hal_region *region;
    tarn_status status = hal_device_check_bar(device);
    if (status == TARN_OK) status = hal_region_take(device, (int)kind, address, size, &region);
    if (status != TARN_OK) return status;
    if (hal_device_is_reachable(device)) {
        status = HAL_CALL(device, memory_free, kind, address, size);
        hal_count(&device->counters.frees, 1);
        if (status != TARN_OK && status != TARN_DEVICE_LOST) {
            hal_region_put_back(device, region);
            return status;
        }
    }
    hal_region_destroy(region);
    hal_count_given_back(device, size);
    return TARN_OK;
}
