/* Pools of the simulated device: what they hold is counted, and what was freed is there again when its stream has come to the free, which lags
 * behind as all work does. On the stream of the free a block is handed out again at once: the smallest that is large enough and
 * not twice as large, whole.
 *
 * This shows the order of streams and the lag, and not how a driver's pool fits blocks together, which is the driver's secret. */
#include "backends/sim/sim_internal.h"
#include "base/memory.h"

struct tarn_backend_pool {
    uint64_t threshold; /* bytes */
    tarn_backend_pool_figures figures;
    sim_block *freed; /* blocks whose free has not been reached, as far as anybody looked */
    tarn_backend_pool *next;
};

/* All static functions must be called with the device's lock held. */

static void raise(uint64_t *figure, uint64_t *peak, uint64_t amount) {
    *figure += amount;
    if (*figure > *peak) *peak = *figure;
}

static void trim(tarn_backend_device *device, tarn_backend_pool *pool, uint64_t keep) {
    tarn_backend_pool_figures *figures = &pool->figures;
    uint64_t left = figures->used > keep ? figures->used : keep;
    if (left >= figures->reserved) return;
    device->used -= figures->reserved - left;
    figures->reserved = left;
}

static void end_block(tarn_backend_device *device, tarn_backend_pool *pool, sim_block *block) {
    pool->figures.used -= block->extent;
    sim_block_release(device, block);
}

/* Ends the blocks whose free has been reached. */
static void reap(tarn_backend_device *device, tarn_backend_pool *pool) {
    uint64_t now = sim_now(device);
    for (sim_block **link = &pool->freed; *link != NULL;) {
        sim_block *block = *link;
        if (block->free_at > now) {
            link = &block->next_freed;
            continue;
        }
        *link = block->next_freed;
        end_block(device, pool, block);
    }
}

void sim_pools_synchronize(tarn_backend_device *device) {
    for (tarn_backend_pool *pool = device->pools; pool != NULL; pool = pool->next) {
        reap(device, pool);
        trim(device, pool, pool->threshold);
    }
}

void sim_pools_forget_stream(tarn_backend_device *device, const tarn_backend_stream *stream) {
    for (tarn_backend_pool *pool = device->pools; pool != NULL; pool = pool->next) {
        for (sim_block *block = pool->freed; block != NULL; block = block->next_freed)
            if (block->freed_on == stream) block->freed_on = NULL;
    }
}

static tarn_status pool_create(tarn_backend_device *device, const tarn_backend_pool_options *options,
                               tarn_backend_pool **out_pool) {
    tarn_backend_pool *pool = base_allocate(1, sizeof *pool);
    if (pool == NULL) return sim_fail(TARN_OUT_OF_MEMORY, "no host memory for a pool");
    pool->threshold = options->release_threshold;
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_POOL_CREATE, 1);
    if (status == TARN_OK) {
        pool->next = device->pools;
        device->pools = pool;
        *out_pool = pool;
    }
    pthread_mutex_unlock(&device->lock);
    if (status != TARN_OK) base_free(pool);
    return status;
}

static void pool_destroy(tarn_backend_device *device, tarn_backend_pool *pool) {
    pthread_mutex_lock(&device->lock);
    tarn_backend_pool **link = &device->pools;
    while (*link != pool) link = &(*link)->next;
    *link = pool->next;
    /* Nothing is stored, so nobody sees that the frees take place before their time. */
    while (pool->freed != NULL) {
        sim_block *block = pool->freed;
        pool->freed = block->next_freed;
        end_block(device, pool, block);
    }
    device->used -= pool->figures.reserved;
    pthread_mutex_unlock(&device->lock);
    base_free(pool);
}

/* Takes a block out of those freed on the stream; NULL when none fits. */
static sim_block *take_freed(tarn_backend_pool *pool, const tarn_backend_stream *stream, size_t size) {
    sim_block **best = NULL;
    for (sim_block **link = &pool->freed; *link != NULL; link = &(*link)->next_freed) {
        const sim_block *block = *link;
        bool fits = block->freed_on == stream && block->extent >= size && block->extent / 2 <= size;
        if (fits && (best == NULL || block->extent < (*best)->extent)) best = link;
    }
    if (best == NULL) return NULL;
    sim_block *block = *best;
    *best = block->next_freed;
    return block;
}

/* A new block, from what the pool has and does not use as far as that goes. */
static tarn_status make_block(tarn_backend_device *device, tarn_backend_pool *pool, size_t size,
                              sim_block **out_block) {
    tarn_backend_pool_figures *figures = &pool->figures;
    sim_block *block;
    tarn_status status = sim_block_create(device, SIM_POOLED, size, (size_t)device->options.alignment, &block);
    if (status != TARN_OK) return status;
    uint64_t unused = figures->reserved - figures->used;
    uint64_t more = block->extent > unused ? block->extent - unused : 0;
    status = sim_charge(device, (size_t)more);
    if (status != TARN_OK) {
        sim_block_release(device, block);
        return status;
    }
    raise(&figures->reserved, &figures->reserved_peak, more);
    raise(&figures->used, &figures->used_peak, block->extent);
    *out_block = block;
    return TARN_OK;
}

static tarn_status pool_allocate(tarn_backend_device *device, tarn_backend_pool *pool, tarn_backend_stream *stream,
                                 size_t size, void **out_address) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_POOL_ALLOCATE, 1);
    if (status == TARN_OK) {
        reap(device, pool);
        sim_block *block = take_freed(pool, stream, size);
        if (block != NULL) block->size = size;
        else status = make_block(device, pool, size, &block);
        if (status == TARN_OK) *out_address = (void *)block->range.start;
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

static tarn_status pool_free(tarn_backend_device *device, tarn_backend_pool *pool, tarn_backend_stream *stream,
                             void *address, size_t size) {
    pthread_mutex_lock(&device->lock);
    sim_block *block = NULL;
    tarn_status status = sim_begin_call(device, SIM_POOL_FREE, 1);
    if (status == TARN_OK) status = sim_block_find(device, SIM_POOLED, address, size, &block);
    if (status == TARN_OK) {
        block->freed_on = stream;
        block->free_at = sim_enqueue(device, stream);
        block->next_freed = pool->freed;
        pool->freed = block;
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

static tarn_status pool_trim(tarn_backend_device *device, tarn_backend_pool *pool, uint64_t keep) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_POOL_TRIM, 1);
    if (status == TARN_OK) {
        reap(device, pool);
        trim(device, pool, keep);
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

static tarn_status pool_figures(tarn_backend_device *device, tarn_backend_pool *pool,
                                tarn_backend_pool_figures *out_figures) {
    pthread_mutex_lock(&device->lock);
    reap(device, pool);
    *out_figures = pool->figures;
    pthread_mutex_unlock(&device->lock);
    out_figures->struct_size = sizeof *out_figures;
    return TARN_OK;
}

static tarn_status pool_reset_peaks(tarn_backend_device *device, tarn_backend_pool *pool) {
    pthread_mutex_lock(&device->lock);
    reap(device, pool);
    pool->figures.reserved_peak = pool->figures.reserved;
    pool->figures.used_peak = pool->figures.used;
    pthread_mutex_unlock(&device->lock);
    return TARN_OK;
}

const tarn_backend_stream_ordered sim_stream_ordered = {
    .struct_size = sizeof(tarn_backend_stream_ordered),
    .pool_create = pool_create,
    .pool_destroy = pool_destroy,
    .pool_allocate = pool_allocate,
    .pool_free = pool_free,
    .pool_trim = pool_trim,
    .pool_figures = pool_figures,
    .pool_reset_peaks = pool_reset_peaks,
};
