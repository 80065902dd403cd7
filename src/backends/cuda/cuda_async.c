/* Stream-ordered memory: the driver's own pools, as cudaMallocAsync has them.
 *
 * A pool is opened to the peers of its device as a whole, when it is made and when a peer is let in later. Tarn's captures are not the
 * driver's, so that nothing here becomes a node of a graph; but a stream that another library made may be captured by that one, and
 * memory had there would belong to its graph. That is refused. */
#include "backends/cuda/cuda_internal.h"
#include "base/memory.h"

struct tarn_backend_pool {
    driver_pool handle;
    tarn_backend_pool *next; /* protected by the device's mapping lock */
};

tarn_status cuda_pools_set_access(const tarn_backend_device *device, const driver_access *access) {
    tarn_status status = TARN_OK;
    for (const tarn_backend_pool *pool = device->pools; pool != NULL && status == TARN_OK; pool = pool->next)
        status = CUDA_CALL(cuMemPoolSetAccess, pool->handle, access, 1);
    return status;
}

/* What the driver does by itself is left as it is. In the context's scope, as are all below until the functions of the table. */
static tarn_status set_options(driver_pool handle, const tarn_backend_pool_options *options) {
    static const struct {
        uint32_t policy;
        driver_pool_attribute attribute;
    } policies[] = {
        {TARN_POOL_FOLLOWS_EVENTS, DRIVER_POOL_REUSE_FOLLOW_EVENT_DEPENDENCIES},
        {TARN_POOL_OPPORTUNISTIC, DRIVER_POOL_REUSE_ALLOW_OPPORTUNISTIC},
        {TARN_POOL_ADDS_DEPENDENCIES, DRIVER_POOL_REUSE_ALLOW_INTERNAL_DEPENDENCIES},
    };
    uint64_t threshold = options->release_threshold;
    tarn_status status = CUDA_CALL(cuMemPoolSetAttribute, handle, DRIVER_POOL_RELEASE_THRESHOLD, &threshold);
    for (size_t i = 0; i < sizeof policies / sizeof policies[0] && status == TARN_OK; i++) {
        int off = 0;
        if ((options->reuse & policies[i].policy) == 0)
            status = CUDA_CALL(cuMemPoolSetAttribute, handle, policies[i].attribute, &off);
    }
    return status;
}

/* Opens the pool to the peers there are, and enters it in the list that those to come find. */
static tarn_status enter_pool(tarn_backend_device *device, tarn_backend_pool *pool) {
    driver_access list[CUDA_MAXIMUM_PEERS];
    tarn_status status = TARN_OK;
    pthread_mutex_lock(&device->mapping_lock);
    size_t count = cuda_access_list(device, list);
    if (count > 0) status = CUDA_CALL(cuMemPoolSetAccess, pool->handle, list, count);
    if (status == TARN_OK) {
        pool->next = device->pools;
        device->pools = pool;
    }
    pthread_mutex_unlock(&device->mapping_lock);
    return status;
}

static tarn_status create(tarn_backend_device *device, const tarn_backend_pool_options *options,
                          tarn_backend_pool *pool) {
    driver_pool_properties properties = {.type = DRIVER_ALLOCATION_PINNED,
                                         .location = {.type = DRIVER_LOCATION_DEVICE, .id = device->ordinal}};
    tarn_status status = CUDA_CALL(cuMemPoolCreate, &pool->handle, &properties);
    if (status != TARN_OK) return status;
    status = set_options(pool->handle, options);
    if (status == TARN_OK) status = enter_pool(device, pool);
    if (status != TARN_OK) CUDA_DISCARD(cuMemPoolDestroy, pool->handle);
    return status;
}

static tarn_status check_stream(const tarn_backend_stream *stream) {
    driver_capture_status captures = DRIVER_CAPTURE_STATUS_NONE;
    if (!stream->is_adopted) return TARN_OK;
    tarn_status status = CUDA_CALL(cuStreamIsCapturing, stream->handle, &captures);
    if (status != TARN_OK || captures == DRIVER_CAPTURE_STATUS_NONE) return status;
    return cuda_fail(TARN_INVALID_STATE, "another library captures the stream: memory of a pool is not for its graph");
}

/* The functions of the table. */

static tarn_status pool_create(tarn_backend_device *device, const tarn_backend_pool_options *options,
                               tarn_backend_pool **out_pool) {
    tarn_backend_pool *pool = base_allocate(1, sizeof *pool);
    if (pool == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for a pool");
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status == TARN_OK) {
        status = create(device, options, pool);
        cuda_leave(scope);
    }
    if (status == TARN_OK) *out_pool = pool;
    else base_free(pool);
    return status;
}

static void pool_destroy(tarn_backend_device *device, tarn_backend_pool *pool) {
    pthread_mutex_lock(&device->mapping_lock);
    tarn_backend_pool **link = &device->pools;
    while (*link != pool) link = &(*link)->next;
    *link = pool->next;
    pthread_mutex_unlock(&device->mapping_lock);
    cuda_scope scope = cuda_enter_to_end(device);
    CUDA_DISCARD(cuMemPoolDestroy, pool->handle);
    cuda_leave(scope);
    base_free(pool);
}

static tarn_status pool_allocate(tarn_backend_device *device, tarn_backend_pool *pool, tarn_backend_stream *stream,
                                 size_t size, void **out_address) {
    cuda_scope scope;
    driver_pointer address = 0;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = check_stream(stream);
    if (status == TARN_OK) status = CUDA_CALL(cuMemAllocFromPoolAsync, &address, size, pool->handle, stream->handle);
    cuda_leave(scope);
    if (status == TARN_OK) *out_address = (void *)(uintptr_t)address;
    return status;
}

static tarn_status pool_free(tarn_backend_device *device, tarn_backend_pool *pool, tarn_backend_stream *stream,
                             void *address, size_t size) {
    (void)pool, (void)size;
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = check_stream(stream);
    if (status == TARN_OK) status = CUDA_CALL(cuMemFreeAsync, (uintptr_t)address, stream->handle);
    cuda_leave(scope);
    return status;
}

static tarn_status pool_trim(tarn_backend_device *device, tarn_backend_pool *pool, uint64_t keep) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuMemPoolTrimTo, pool->handle, (size_t)keep);
    cuda_leave(scope);
    return status;
}

static tarn_status pool_figures(tarn_backend_device *device, tarn_backend_pool *pool,
                                tarn_backend_pool_figures *out_figures) {
    tarn_backend_pool_figures figures = {.struct_size = sizeof figures};
    /* A peak after its figure, so that it is not the lower one for what happened in between. */
    const struct {
        driver_pool_attribute attribute;
        uint64_t *place;
    } numbers[] = {
        {DRIVER_POOL_RESERVED_CURRENT, &figures.reserved},
        {DRIVER_POOL_RESERVED_HIGH, &figures.reserved_peak},
        {DRIVER_POOL_USED_CURRENT, &figures.used},
        {DRIVER_POOL_USED_HIGH, &figures.used_peak},
    };
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == TARN_OK; i++)
        status = CUDA_CALL(cuMemPoolGetAttribute, pool->handle, numbers[i].attribute, numbers[i].place);
    cuda_leave(scope);
    if (status == TARN_OK) *out_figures = figures;
    return status;
}

static tarn_status pool_reset_peaks(tarn_backend_device *device, tarn_backend_pool *pool) {
    uint64_t now = 0; /* what the driver takes for "as it is" */
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuMemPoolSetAttribute, pool->handle, DRIVER_POOL_RESERVED_HIGH, &now);
    if (status == TARN_OK) status = CUDA_CALL(cuMemPoolSetAttribute, pool->handle, DRIVER_POOL_USED_HIGH, &now);
    cuda_leave(scope);
    return status;
}

const tarn_backend_stream_ordered cuda_stream_ordered = {
    .struct_size = sizeof(tarn_backend_stream_ordered),
    .pool_create = pool_create,
    .pool_destroy = pool_destroy,
    .pool_allocate = pool_allocate,
    .pool_free = pool_free,
    .pool_trim = pool_trim,
    .pool_figures = pool_figures,
    .pool_reset_peaks = pool_reset_peaks,
};
