/* Pools: allocators of their own for what PyTorch captures.
 *
 * A pool's memory stays with it, so that a graph finds it where it was captured. It is a `caching` of plain segments, in which memory never
 * passes from one stream to another, since that would take an event, and an event that is recorded in a capture can be asked nothing.
 * For the same reason a buffer that other streams use too is not freed while any pool of the device is allocated to. */
#include "base/memory.h"
#include "torch/state.h"

#define POOL_SPEC "caching:expandable=off"

static bool is_pool(const torch_pool *pool, tarn_torch_pool_id id) {
    return pool->id.first == id.first && pool->id.second == id.second;
}

/* The following five must be called with the device's lock held. */

static torch_pool *find_pool(const torch_device *device, tarn_torch_pool_id id) {
    torch_pool *pool = device->pools;
    while (pool != NULL && !is_pool(pool, id)) pool = pool->next;
    return pool;
}

static void stop(torch_device *device, torch_pool *pool) {
    if (!pool->is_active) return;
    pool->is_active = false;
    if (pool->drop != NULL) pool->drop(pool->context);
    pool->filter = NULL;
    pool->drop = NULL;
    atomic_fetch_sub_explicit(&device->active_pools, 1, memory_order_relaxed);
}

static tarn_status create_pool(torch_device *device, tarn_torch_pool_id id, torch_pool **out_pool) {
    torch_pool *pool = base_allocate(1, sizeof *pool);
    if (pool == NULL) return torch_fail(TARN_OUT_OF_MEMORY, "no host memory for a pool");
    tarn_status status = torch_answer(tarn_allocator_create(device->device, POOL_SPEC, &pool->allocator));
    if (status != TARN_OK) {
        base_free(pool);
        return status;
    }
    pool->id = id;
    pool->next = device->pools;
    device->pools = pool;
    atomic_fetch_add_explicit(&device->pool_count, 1, memory_order_relaxed);
    *out_pool = pool;
    return TARN_OK;
}

/* Takes the pool out when nobody uses it and no buffer of it lives; the caller destroys it. */
static torch_pool *take_if_over(torch_device *device, torch_pool *pool) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    if (pool->users > 0 || pool->requests > 0 || tarn_allocator_stats(pool->allocator, &stats) != TARN_OK ||
        stats.blocks.current > 0)
        return NULL;
    torch_pool **link = &device->pools;
    while (*link != pool) link = &(*link)->next;
    *link = pool->next;
    atomic_fetch_sub_explicit(&device->pool_count, 1, memory_order_relaxed);
    return pool;
}

static torch_late_free *take_late(torch_device *device) {
    if (atomic_load_explicit(&device->active_pools, memory_order_relaxed) > 0) return NULL;
    torch_late_free *late = device->late;
    device->late = NULL;
    return late;
}

static void destroy_pool(torch_pool *pool) {
    if (pool == NULL) return;
    if (tarn_allocator_release(pool->allocator) != TARN_OK) torch_complain("releasing a pool: %s", tarn_last_error());
    base_free(pool);
}

static void free_late(torch_device *device, torch_late_free *late) {
    while (late != NULL) {
        torch_late_free *next = late->next;
        const tarn_allocator *owner = tarn_buffer_allocator(late->buffer);
        if (tarn_buffer_free(late->buffer, late->stream) != TARN_OK)
            torch_complain("freeing after a capture: %s", tarn_last_error());
        torch_pool_tend(device, owner);
        base_free(late);
        late = next;
    }
}

torch_pool *torch_pool_begin(torch_device *device, void *native) {
    if (atomic_load_explicit(&device->active_pools, memory_order_relaxed) == 0) return NULL;
    pthread_mutex_lock(&device->lock);
    torch_pool *pool = device->pools;
    while (pool != NULL && !(pool->is_active && (pool->filter == NULL || pool->filter(pool->context, native))))
        pool = pool->next;
    if (pool != NULL) pool->requests++;
    pthread_mutex_unlock(&device->lock);
    return pool;
}

void torch_pool_end(torch_device *device, torch_pool *pool) {
    if (pool == NULL) return;
    pthread_mutex_lock(&device->lock);
    pool->requests--;
    torch_pool *over = take_if_over(device, pool);
    pthread_mutex_unlock(&device->lock);
    destroy_pool(over);
}

void torch_pool_tend(torch_device *device, const tarn_allocator *owner) {
    if (atomic_load_explicit(&device->pool_count, memory_order_relaxed) == 0) return;
    torch_pool *over = NULL;
    pthread_mutex_lock(&device->lock);
    torch_pool *pool = device->pools;
    while (pool != NULL && pool->allocator != owner) pool = pool->next;
    if (pool != NULL) over = take_if_over(device, pool);
    pthread_mutex_unlock(&device->lock);
    destroy_pool(over);
}

bool torch_pool_put_off(torch_device *device, tarn_buffer *buffer, tarn_stream *stream) {
    if (atomic_load_explicit(&device->active_pools, memory_order_relaxed) == 0) return false;
    torch_late_free *late = base_allocate(1, sizeof *late);
    if (late == NULL) return false;
    *late = (torch_late_free){.buffer = buffer, .stream = stream};
    pthread_mutex_lock(&device->lock);
    bool is_needed = atomic_load_explicit(&device->active_pools, memory_order_relaxed) > 0;
    if (is_needed) {
        late->next = device->late;
        device->late = late;
    }
    pthread_mutex_unlock(&device->lock);
    if (!is_needed) base_free(late);
    return is_needed;
}

/* The hooks. */

void tarn_torch_begin_allocate_to_pool_with(int number, tarn_torch_pool_id id,
                                            int (*filter)(void *context, void *stream), void (*drop)(void *context),
                                            void *context) {
    torch_device *device;
    tarn_status status = torch_device_open(number, &device);
    if (status == TARN_OK) {
        pthread_mutex_lock(&device->lock);
        torch_pool *pool = find_pool(device, id);
        if (pool == NULL) status = create_pool(device, id, &pool);
        if (pool != NULL) {
            stop(device, pool);
            pool->filter = filter;
            pool->drop = drop;
            pool->context = context;
            pool->is_active = true;
            pool->users++;
            atomic_fetch_add_explicit(&device->active_pools, 1, memory_order_relaxed);
        }
        pthread_mutex_unlock(&device->lock);
    }
    if (status == TARN_OK) return;
    torch_complain("device %d: no pool (%llu, %llu), so that what is captured now has no memory of its own: %s", number,
                   (unsigned long long)id.first, (unsigned long long)id.second, tarn_torch_last_error());
    if (drop != NULL) drop(context);
}

tarn_status tarn_torch_create_pool(int number, tarn_torch_pool_id id) {
    torch_device *device;
    tarn_status status = torch_device_open(number, &device);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&device->lock);
    torch_pool *pool = find_pool(device, id);
    if (pool == NULL) status = create_pool(device, id, &pool);
    if (pool != NULL) pool->users++;
    pthread_mutex_unlock(&device->lock);
    return status;
}

unsigned tarn_torch_pool_users(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return 0;
    pthread_mutex_lock(&device->lock);
    const torch_pool *pool = find_pool(device, id);
    unsigned users = pool != NULL ? pool->users : 0;
    pthread_mutex_unlock(&device->lock);
    return users;
}

void tarn_torch_end_allocate_to_pool(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return;
    pthread_mutex_lock(&device->lock);
    torch_pool *pool = find_pool(device, id);
    if (pool != NULL) stop(device, pool);
    torch_late_free *late = take_late(device);
    pthread_mutex_unlock(&device->lock);
    free_late(device, late);
}

void tarn_torch_release_pool(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return;
    pthread_mutex_lock(&device->lock);
    torch_pool *pool = find_pool(device, id), *over = NULL;
    if (pool != NULL && pool->users > 0) pool->users--;
    bool is_unused = pool != NULL && pool->users == 0;
    if (is_unused) {
        stop(device, pool);
        over = take_if_over(device, pool);
    }
    torch_late_free *late = take_late(device);
    tarn_allocator *rest = is_unused && over == NULL ? tarn_allocator_retain(pool->allocator) : NULL;
    pthread_mutex_unlock(&device->lock);
    /* What is left of it gives back what it does not use. */
    if (rest != NULL) {
        (void)tarn_allocator_empty_cache(rest);
        (void)tarn_allocator_release(rest);
    }
    destroy_pool(over);
    free_late(device, late);
}

tarn_allocator *tarn_torch_pool_allocator(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return NULL;
    pthread_mutex_lock(&device->lock);
    const torch_pool *pool = find_pool(device, id);
    tarn_allocator *allocator = pool != NULL ? pool->allocator : NULL;
    pthread_mutex_unlock(&device->lock);
    return allocator;
}
