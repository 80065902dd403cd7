/* Pools: allocators of their own for what PyTorch captures.
 *
 * A pool's memory stays with it, so that a graph finds it where it was captured. It is Tarn's `pytorch`, which puts requests where PyTorch
 * would and can put buffers back where they were, and it keeps what it has (keep=on) until nobody uses it any more. Memory never passes
 * from one stream to another in it, since that would take an event, and an event that is recorded in a capture can be asked nothing.
 * For the same reason a buffer that other streams use too is not freed while any pool of the device is allocated to. */
#include "base/memory.h"
#include "torch/state.h"

#define POOL_SPEC "pytorch:keep=on"
#define WHOLE_POOL_SPEC "pytorch:keep=on,split=off"

static bool is_pool(const torch_pool *pool, tarn_torch_pool_id id) {
    return pool->id.first == id.first && pool->id.second == id.second;
}

/* The following must be called with the device's lock held, up to the next such line. */

torch_pool *torch_pool_find(const torch_device *device, tarn_torch_pool_id id) {
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

tarn_torch_pool_id torch_pool_name(const torch_device *device, const tarn_allocator *owner) {
    const torch_pool *pool = device->pools;
    while (pool != NULL && pool->allocator != owner) pool = pool->next;
    return pool != NULL ? pool->id : (tarn_torch_pool_id){0, 0};
}

static torch_late_free *take_late(torch_device *device) {
    if (atomic_load_explicit(&device->active_pools, memory_order_relaxed) > 0) return NULL;
    torch_late_free *late = device->late;
    device->late = NULL;
    return late;
}

/* The following must be called without locks. */

static void destroy_pool(torch_pool *pool) {
    if (pool == NULL) return;
    if (tarn_allocator_release(pool->allocator) != TARN_OK) torch_complain("releasing a pool: %s", tarn_last_error());
    base_free(pool);
}

static void free_late(torch_device *device, torch_late_free *late) {
    while (late != NULL) {
        torch_late_free *next = late->next;
        const tarn_allocator *owner = tarn_buffer_allocator(late->buffer);
        torch_tell(&late->event);
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

torch_pool *torch_pool_begin_for_failure(torch_device *device, size_t size) {
    if (atomic_load_explicit(&device->pool_count, memory_order_relaxed) == 0) return NULL;
    pthread_mutex_lock(&device->lock);
    torch_pool *pool = device->pools;
    for (; pool != NULL; pool = pool->next) {
        tarn_memory_stats stats = {.struct_size = sizeof stats};
        if (pool->serves_failures && !pool->is_active && tarn_allocator_stats(pool->allocator, &stats) == TARN_OK &&
            stats.largest_free_block >= size)
            break;
    }
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

bool torch_pool_put_off(torch_device *device, tarn_buffer *buffer, tarn_stream *stream, const tarn_torch_event *event) {
    if (atomic_load_explicit(&device->active_pools, memory_order_relaxed) == 0) return false;
    torch_late_free *late = base_allocate(1, sizeof *late);
    if (late == NULL) return false;
    *late = (torch_late_free){.buffer = buffer, .stream = stream, .event = *event};
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
        torch_pool *pool = torch_pool_find(device, id);
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
    torch_pool *pool = torch_pool_find(device, id);
    if (pool == NULL) status = create_pool(device, id, &pool);
    if (pool != NULL) pool->users++;
    pthread_mutex_unlock(&device->lock);
    return status;
}

unsigned tarn_torch_pool_users(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return 0;
    pthread_mutex_lock(&device->lock);
    const torch_pool *pool = torch_pool_find(device, id);
    unsigned users = pool != NULL ? pool->users : 0;
    pthread_mutex_unlock(&device->lock);
    return users;
}

void tarn_torch_end_allocate_to_pool(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return;
    pthread_mutex_lock(&device->lock);
    torch_pool *pool = torch_pool_find(device, id);
    if (pool != NULL) stop(device, pool);
    torch_late_free *late = take_late(device);
    pthread_mutex_unlock(&device->lock);
    free_late(device, late);
}

tarn_status torch_fail_no_pool(int device, tarn_torch_pool_id id) {
    return torch_fail(TARN_NOT_FOUND, "device %d has no pool (%llu, %llu)", device, (unsigned long long)id.first,
                      (unsigned long long)id.second);
}

void tarn_torch_release_pool(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return;
    pthread_mutex_lock(&device->lock);
    torch_pool *pool = torch_pool_find(device, id), *over = NULL;
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
    torch_look(device);
}

tarn_status tarn_torch_use_on_failure(int number, tarn_torch_pool_id id, int is_used) {
    torch_device *device = torch_device_known(number);
    torch_pool *pool = NULL;
    if (device != NULL) {
        pthread_mutex_lock(&device->lock);
        pool = torch_pool_find(device, id);
        if (pool != NULL) pool->serves_failures = is_used != 0;
        pthread_mutex_unlock(&device->lock);
    }
    return pool != NULL ? TARN_OK : torch_fail_no_pool(number, id);
}

/* Must be called with the device's lock held. */
static tarn_status stop_splitting(torch_device *device, torch_pool *pool, tarn_allocator **out_old) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    if (pool->is_whole) return TARN_OK;
    tarn_status status = torch_answer(tarn_allocator_stats(pool->allocator, &stats));
    if (status == TARN_OK && (pool->requests > 0 || stats.reserved_bytes.current > 0))
        status = torch_fail(TARN_INVALID_STATE, "a pool is told not to split before anything is allocated in it");
    tarn_allocator *whole;
    if (status == TARN_OK) status = torch_answer(tarn_allocator_create(device->device, WHOLE_POOL_SPEC, &whole));
    if (status != TARN_OK) return status;
    *out_old = pool->allocator;
    pool->allocator = whole;
    pool->is_whole = true;
    return TARN_OK;
}

tarn_status tarn_torch_pool_no_split(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    torch_pool *pool = NULL;
    tarn_status status = TARN_OK;
    tarn_allocator *old = NULL;
    if (device != NULL) {
        pthread_mutex_lock(&device->lock);
        pool = torch_pool_find(device, id);
        if (pool != NULL) status = stop_splitting(device, pool, &old);
        pthread_mutex_unlock(&device->lock);
    }
    (void)tarn_allocator_release(old);
    return pool != NULL ? status : torch_fail_no_pool(number, id);
}

void tarn_torch_empty_pool(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return;
    pthread_mutex_lock(&device->lock);
    const torch_pool *pool = torch_pool_find(device, id);
    tarn_allocator *unused = pool != NULL && pool->users == 0 ? tarn_allocator_retain(pool->allocator) : NULL;
    pthread_mutex_unlock(&device->lock);
    if (unused == NULL) return;
    if (tarn_allocator_empty_cache(unused) != TARN_OK) torch_complain("emptying a pool: %s", tarn_last_error());
    (void)tarn_allocator_release(unused);
    torch_look(device);
}

tarn_allocator *tarn_torch_pool_allocator(int number, tarn_torch_pool_id id) {
    torch_device *device = torch_device_known(number);
    if (device == NULL) return NULL;
    pthread_mutex_lock(&device->lock);
    const torch_pool *pool = torch_pool_find(device, id);
    tarn_allocator *allocator = pool != NULL ? pool->allocator : NULL;
    pthread_mutex_unlock(&device->lock);
    return allocator;
}
