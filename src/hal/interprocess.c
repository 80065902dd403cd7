/* Memory between processes, as the hardware layer sees it: what may be exported is looked up among the device's regions, and what
 * is imported becomes a region of a kind of its own, which nothing but hal_memory_close gives back. */
#include "base/status.h"
#include "hal/call.h"
#include "hal/memory.h"
#include "hal/regions.h"

static tarn_status check_support(tarn_device *device) {
    if (device->table->interprocess != NULL) return hal_device_check(device);
    return base_fail(TARN_NOT_SUPPORTED, "%s has no memory that processes can share", device->name);
}

#define INTERPROCESS_CALL(device, call, ...) \
    hal_answer(device, (hal_listen(), (device)->table->interprocess->call((device)->handle, __VA_ARGS__)), #call)

tarn_status hal_memory_export(tarn_device *device, const void *address, size_t size, void **out_segment,
                              size_t *out_segment_size, int *out_descriptor) {
    hal_region region;
    tarn_status status = check_support(device);
    if (status != TARN_OK) return status;
    if (!hal_region_containing(device, address, size, &region) || region.kind != (int)TARN_MEMORY_SHARED) {
        return base_fail(
            TARN_NOT_SUPPORTED,
            "%s: %zu bytes at %p are not in memory that this process can share: the allocator must be told kind=shared, as in "
            "direct:kind=shared or caching:kind=shared",
            device->name, size, address);
    }
    void *segment = (void *)region.range.start; /* NOLINT(performance-no-int-to-ptr) */
    int descriptor = -1;
    status = INTERPROCESS_CALL(device, memory_export, segment, region.range.size, &descriptor);
    if (status == TARN_OK && descriptor < 0) {
        status = base_fail(TARN_INTERNAL, "%s: the driver exported memory and gave no descriptor", device->name);
    }
    if (status != TARN_OK) return status;
    *out_segment = segment;
    *out_segment_size = region.range.size;
    *out_descriptor = descriptor;
    return TARN_OK;
}

tarn_status hal_memory_import(tarn_device *device, int descriptor, size_t size, void **out_address) {
    tarn_status status = check_support(device);
    if (status != TARN_OK) return status;
    hal_region *region = hal_region_create();
    if (region == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe memory of another process", device->name);
    }
    size_t alignment = device->properties.alignment;
    void *address = NULL;
    status = INTERPROCESS_CALL(device, memory_import, descriptor, size, alignment, &address);
    if (status == TARN_OK) {
        bool is_apart;
        status = hal_region_add(device, region, HAL_REGION_IMPORTED, address, size, alignment, &is_apart);
        if (status != TARN_OK && is_apart) device->table->interprocess->memory_close(device->handle, address, size);
    }
    if (status != TARN_OK) {
        hal_region_destroy(region);
        return status;
    }
    *out_address = address;
    return TARN_OK;
}

tarn_status hal_memory_close(tarn_device *device, void *address, size_t size) {
    hal_region *region;
    tarn_status status = hal_device_check_bar(device);
    if (status == TARN_OK) status = hal_region_take(device, HAL_REGION_IMPORTED, address, size, &region);
    if (status != TARN_OK) return status;
    if (hal_device_is_reachable(device)) {
        status = INTERPROCESS_CALL(device, memory_close, address, size);
        if (status != TARN_OK && status != TARN_DEVICE_LOST) {
            hal_region_put_back(device, region);
            return status;
        }
    }
    hal_region_destroy(region);
    return TARN_OK;
}
