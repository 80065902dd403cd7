/* Pools: a backend's pool beside its device. Addresses are remembered as those of other memory are; one that was freed is forgotten before the
 * driver is told, since it may be handed out again at once. */
#include "hal/pool.h"

#include "base/memory.h"
#include "base/status.h"
#include "hal/call.h"
#include "hal/counters.h"
#include "hal/graph.h"
#include "hal/regions.h"

struct hal_pool {
    tarn_device *device;
    const tarn_backend_stream_ordered *table;
    tarn_backend_pool *handle;
};

/* POOL_CALL(pool, pool_trim, keep) calls that function of the pool's table. */
#define POOL_CALL(pool, call, ...) \
    hal_answer((pool)->device, (hal_listen(), (pool)->table->call((pool)->device->handle, __VA_ARGS__)), #call)

tarn_status hal_pool_create(tarn_device *device, const tarn_backend_pool_options *options, hal_pool **out_pool) {
    if (!hal_device_has_feature(device, TARN_FEATURE_STREAM_ORDERED)) {
        return base_fail(TARN_NOT_SUPPORTED, "%s has no stream-ordered memory", device->name);
    }
    tarn_status status = hal_device_check(device);
    if (status != TARN_OK) return status;
    hal_pool *pool = base_allocate(1, sizeof *pool);
    if (pool == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a pool", device->name);
    *pool = (hal_pool){.device = device, .table = device->table->stream_ordered};
    status = POOL_CALL(pool, pool_create, options, &pool->handle);
    if (status == TARN_OK && pool->handle == NULL) {
        status = base_fail(TARN_INTERNAL, "%s: the backend created a pool and gave none", device->name);
    }
    if (status != TARN_OK) {
        base_free(pool);
        return status;
    }
    *out_pool = pool;
    return TARN_OK;
}

void hal_pool_destroy(hal_pool *pool) {
    if (pool == NULL) return;
    if (hal_device_is_ours(pool->device)) pool->table->pool_destroy(pool->device->handle, pool->handle);
    base_free(pool);
}

tarn_status hal_pool_allocate(hal_pool *pool, tarn_stream *stream, size_t size, void **out_address) {
    tarn_device *device = pool->device;
    if (size == 0 || size > PTRDIFF_MAX) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %zu bytes cannot be allocated", device->name, size);
    }
    tarn_status status = hal_device_check(device);
    if (status == TARN_OK) {
        status = hal_capture_check_stream(
            stream, "stream-ordered memory cannot be had on it: a graph pool has memory for captures");
    }
    if (status != TARN_OK) return status;
    hal_region *region = hal_region_create();
    if (region == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe an allocation", device->name);
    void *address = NULL;
    status = POOL_CALL(pool, pool_allocate, pool->handle, stream->handle, size, &address);
    hal_count(&device->counters.allocs, 1);
    if (status == TARN_OK) {
        bool is_apart;
        status =
            hal_region_add(device, region, HAL_REGION_POOLED, address, size, device->properties.alignment, &is_apart);
        if (status != TARN_OK && is_apart)
            pool->table->pool_free(device->handle, pool->handle, stream->handle, address, size);
    }
    if (status != TARN_OK) {
        hal_region_destroy(region);
        return status;
    }
    hal_count_taken(device, size);
    *out_address = address;
    return TARN_OK;
}

tarn_status hal_pool_free(hal_pool *pool, tarn_stream *stream, void *address, size_t size) {
    tarn_device *device = pool->device;
    bool is_reachable = hal_device_is_reachable(device);
    tarn_status status = hal_device_check_bar(device);
    if (status == TARN_OK && is_reachable) {
        status = hal_capture_check_stream(stream, "stream-ordered memory cannot be freed on it");
    }
    hal_region *region;
    if (status == TARN_OK) status = hal_region_take(device, HAL_REGION_POOLED, address, size, &region);
    if (status != TARN_OK) return status;
    if (is_reachable) {
        status = POOL_CALL(pool, pool_free, pool->handle, stream->handle, address, size);
        hal_count(&device->counters.frees, 1);
        if (status != TARN_OK && status != TARN_DEVICE_LOST) {
            hal_region_put_back(device, region);
            return status;
        }
        hal_stream_note_work(stream);
    }
    hal_region_destroy(region);
    hal_count_given_back(device, size);
    return TARN_OK;
}

tarn_status hal_pool_trim(hal_pool *pool, uint64_t keep) {
    tarn_status status = hal_device_check(pool->device);
    return status == TARN_OK ? POOL_CALL(pool, pool_trim, pool->handle, keep) : status;
}

tarn_status hal_pool_figures(hal_pool *pool, tarn_backend_pool_figures *out_figures) {
    tarn_backend_pool_figures figures = {.struct_size = sizeof figures};
    tarn_status status = hal_device_check(pool->device);
    if (status == TARN_OK) status = POOL_CALL(pool, pool_figures, pool->handle, &figures);
    if (status != TARN_OK) return status;
    out_figures->reserved = figures.reserved;
    out_figures->reserved_peak = figures.reserved_peak > figures.reserved ? figures.reserved_peak : figures.reserved;
    out_figures->used = figures.used;
    out_figures->used_peak = figures.used_peak > figures.used ? figures.used_peak : figures.used;
    return TARN_OK;
}

tarn_status hal_pool_reset_peaks(hal_pool *pool) {
    tarn_status status = hal_device_check(pool->device);
    return status == TARN_OK ? POOL_CALL(pool, pool_reset_peaks, pool->handle) : status;
}
