/* Stream-ordered memory. A pool counts bytes: what it has taken from its device and what of it is in use; bytes are alike. Bytes of
 * an allocation whose free is on its way may be used again at once on the stream of that free, and elsewhere when the free has
 * run. Addresses are always new, so that a use outside the order of streams finds no memory. */
#include "state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture.h"

enum { UNIT = 512 };

static fake_pool **pools;
static size_t pool_count;

fake_pool *pool_make(fake_device *on) {
    fake_pool *made = obtain(sizeof *made);
    made->on = on;
    made->reuse[0] = made->reuse[1] = made->reuse[2] = 1;
    made->readers = made->writers = 1u << on->ordinal;
    made->handle = handle_make(HANDLE_POOL, made);
    pools = grow(pools, pool_count, sizeof made);
    pools[pool_count++] = made;
    return made;
}

void pools_reset(void) {
    for (size_t i = 0; i < pool_count; i++) free(pools[i]);
    free(pools);
    pools = NULL;
    pool_count = 0;
}

static void trim(fake_pool *pool, unsigned long long keep) {
    size_t wanted = (pool->used + GRANULE - 1) / GRANULE * GRANULE;
    if (keep > wanted)
        wanted = keep > pool->reserved ? pool->reserved : (size_t)(keep + GRANULE - 1) / GRANULE * GRANULE;
    if (wanted >= pool->reserved) return;
    device_give(pool->on, pool->reserved - wanted);
    pool->reserved = wanted;
}

void pool_drop_if_ended(fake_pool *ended) {
    if (!ended->is_ended || ended->live > 0) return;
    trim(ended, 0);
    size_t at = 0;
    while (pools[at] != ended) at++;
    pools[at] = pools[--pool_count];
    free(ended);
}

void pools_trim(fake_context *context) {
    for (size_t i = 0; i < pool_count; i++)
        if (pools[i]->on == context->on) trim(pools[i], pools[i]->threshold);
}

bool pool_take(fake_pool *pool, size_t bytes) {
    if (pool->most > 0 && bytes > pool->most - pool->used) return false;
    size_t unused = pool->reserved - pool->used;
    if (bytes > unused) {
        size_t more = (bytes - unused + GRANULE - 1) / GRANULE * GRANULE;
        if (!device_take(pool->on, more)) return false;
        pool->reserved += more;
        if (pool->reserved > pool->reserved_high) pool->reserved_high = pool->reserved;
    }
    pool->used += bytes;
    if (pool->used > pool->used_high) pool->used_high = pool->used;
    return true;
}

void pool_give(fake_pool *pool, size_t bytes) { pool->used -= bytes; }

/* Takes bytes over from allocations of the pool whose free on that stream is on its way; how many it got. */
static size_t take_over(const fake_pool *pool, unsigned long long stream, size_t wanted) {
    size_t count, taken = 0;
    fake_range **all = range_list(&count);
    for (size_t i = 0; i < count && taken < wanted; i++) {
        if (all[i]->pool != pool || all[i]->freed_on != stream) continue;
        size_t bytes = all[i]->counted < wanted - taken ? all[i]->counted : wanted - taken;
        all[i]->counted -= bytes;
        taken += bytes;
    }
    return taken;
}

/* As a driver does when there is too little: gives back what pools keep unused, then waits for frees that are on their way. */
static bool take_hard(fake_pool *pool, size_t bytes) {
    if (pool_take(pool, bytes)) return true;
    for (size_t i = 0; i < pool_count; i++) trim(pools[i], 0);
    if (pool_take(pool, bytes)) return true;
    tasks_wait_all(&pool->on->primary);
    for (size_t i = 0; i < pool_count; i++) trim(pools[i], 0);
    return pool_take(pool, bytes);
}

CUresult pooled_allocate(CUdeviceptr *pointer, size_t size, fake_pool *pool, fake_stream *stream) {
    CUresult result = capture_check_stream(stream);
    if (result != CUDA_SUCCESS) return result;
    if (stream->capture != NULL) return capture_allocate(stream, pointer, size, pool);
    if (size > the_driver.settings.memory) return CUDA_ERROR_OUT_OF_MEMORY;
    size_t bytes = (size + UNIT - 1) / UNIT * UNIT;
    size_t taken = take_over(pool, stream->id, bytes);
    if (!take_hard(pool, bytes - taken)) {
        pool_give(pool, taken); /* nobody holds what was taken over */
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    size_t pages = (size + UNIT + PAGE - 1) / PAGE * PAGE;
    char *base;
    size_t base_size;
    char *start = addresses_take(pages, PAGE, &base, &base_size);
    if (start == NULL) {
        pool_give(pool, bytes);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    fake_range *made = range_make(RANGE_POOLED, pool->on, (CUdeviceptr)(uintptr_t)start + UNIT, size);
    made->memory = physical_make(pool->on, pages, 0, false);
    made->memory->properties.requestedHandleTypes = pool->handle_types;
    made->memory_offset = UNIT;
    made->owner = stream->in;
    made->readers = pool->readers;
    made->writers = pool->writers;
    made->pool = pool;
    made->counted = bytes;
    made->base = base;
    made->base_size = base_size;
    made->is_ready = false;
    pool->live++;
    if (!range_map(made)) {
        CUdeviceptr address = made->start;
        pooled_end(address);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    fake_operation allocate = {.kind = OPERATION_ALLOCATE, .memory = {made->start, size}};
    *pointer = made->start;
    return stream_submit(stream, &allocate, NULL);
}

void pooled_ready(CUdeviceptr address) {
    fake_range *range = range_find(address);
    if (range != NULL) range->is_ready = true;
}

void pooled_end(CUdeviceptr address) {
    fake_range *range = range_find(address);
    if (range == NULL) return; /* freed at once meanwhile */
    if (range->kind == RANGE_GRAPH) {
        graph_memory_end(range);
        return;
    }
    fake_pool *pool = range->pool;
    pool_give(pool, range->counted);
    pool->live--;
    range_end(range);
    pool_drop_if_ended(pool);
}

CUresult pooled_free_at_once(fake_range *range) {
    if (tasks_use(range->start, range->size)) violation("0x%llx is freed while work uses it", range->start);
    pooled_end(range->start);
    return CUDA_SUCCESS;
}

CUresult pooled_free(fake_range *range, fake_stream *stream) {
    CUresult result = capture_check_stream(stream);
    if (result != CUDA_SUCCESS) return result;
    if (stream->capture != NULL) return capture_free(stream, range);
    if (range->kind == RANGE_GRAPH && !range->is_outstanding)
        return VIOLATION(CUDA_ERROR_INVALID_VALUE, "no launch has allocated 0x%llx", range->start);
    range->is_outstanding = false;
    range->is_freed = true;
    range->freed_on = stream->id;
    fake_operation end = {.kind = OPERATION_FREE, .memory = {range->start, range->size}};
    return stream_submit(stream, &end, NULL);
}

static CUresult allocate_from(CUdeviceptr *pointer, size_t size, fake_pool *pool, CUstream handle) {
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) return error;
    if (pointer == NULL || size == 0) return CUDA_ERROR_INVALID_VALUE;
    if (!the_driver.settings.pools) return CUDA_ERROR_NOT_SUPPORTED;
    return pooled_allocate(pointer, size, pool != NULL ? pool : stream->in->on->current_pool, stream);
}

CUresult cuMemAllocAsync(CUdeviceptr *pointer, size_t size, CUstream stream) {
    ENTER(cuMemAllocAsync);
    LEAVE(allocate_from(pointer, size, NULL, stream));
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *pointer, size_t size, CUmemoryPool handle, CUstream stream) {
    ENTER(cuMemAllocFromPoolAsync);
    fake_pool *pool = handle_object(HANDLE_POOL, handle);
    LEAVE(pool != NULL ? allocate_from(pointer, size, pool, stream) : CUDA_ERROR_INVALID_VALUE);
}

CUresult cuMemFreeAsync(CUdeviceptr pointer, CUstream handle) {
    ENTER(cuMemFreeAsync);
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) LEAVE(error);
    if (pointer == 0) LEAVE(CUDA_SUCCESS);
    fake_range *range = range_find(pointer);
    if (range == NULL || range->start != pointer || range->is_freed ||
        (range->kind != RANGE_POOLED && range->kind != RANGE_GRAPH))
        LEAVE(VIOLATION(CUDA_ERROR_INVALID_VALUE, "0x%llx is not the beginning of an allocation of a pool", pointer));
    LEAVE(pooled_free(range, stream));
}

CUresult cuMemPoolCreate(CUmemoryPool *out, const CUmemPoolProps *properties) {
    ENTER(cuMemPoolCreate);
    if (!the_driver.settings.pools) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    if (out == NULL || properties == NULL || properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE) LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    if (((unsigned)properties->handleTypes & ~(unsigned)CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) != 0)
        LEAVE(CUDA_ERROR_NOT_SUPPORTED);
    fake_device *on = device_at(properties->location.id);
    if (on == NULL) LEAVE(CUDA_ERROR_INVALID_DEVICE);
    fake_pool *made = pool_make(on);
    made->most = properties->maxSize;
    made->handle_types = properties->handleTypes;
    *out = made->handle;
    LEAVE(CUDA_SUCCESS);
}

static void end_pool(fake_pool *pool) {
    if (pool->on->current_pool == pool) pool->on->current_pool = pool->on->default_pool;
    handle_end(pool->handle);
    pool->is_ended = true;
    pool_drop_if_ended(pool);
}

CUresult cuMemPoolDestroy(CUmemoryPool handle) {
    ENTER(cuMemPoolDestroy);
    fake_pool *pool = handle_object(HANDLE_POOL, handle);
    if (pool == NULL || pool->is_default) LEAVE(CUDA_ERROR_INVALID_VALUE);
    end_pool(pool);
    LEAVE(CUDA_SUCCESS);
}

static CUresult pool_attribute(fake_pool *pool, CUmemPool_attribute attribute, void *value, bool is_set) {
    size_t *figure;
    switch (attribute) {
    case CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC:
    case CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES:
        if (is_set) pool->reuse[attribute - 1] = *(int *)value != 0;
        else *(int *)value = pool->reuse[attribute - 1];
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RELEASE_THRESHOLD:
        if (is_set) pool->threshold = *(cuuint64_t *)value;
        else *(cuuint64_t *)value = pool->threshold;
        return CUDA_SUCCESS;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT: figure = &pool->reserved; break;
    case CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH: figure = &pool->reserved_high; break;
    case CU_MEMPOOL_ATTR_USED_MEM_CURRENT: figure = &pool->used; break;
    case CU_MEMPOOL_ATTR_USED_MEM_HIGH: figure = &pool->used_high; break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
    if (!is_set) {
        *(cuuint64_t *)value = *figure;
        return CUDA_SUCCESS;
    }
    /* The high-water marks can be set back to what is now, and nothing else. */
    if (*(cuuint64_t *)value != 0) return CUDA_ERROR_INVALID_VALUE;
    if (figure == &pool->reserved_high) *figure = pool->reserved;
    else if (figure == &pool->used_high) *figure = pool->used;
    else return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value) {
    ENTER(cuMemPoolSetAttribute);
    fake_pool *pool = handle_object(HANDLE_POOL, handle);
    LEAVE(pool == NULL || value == NULL ? CUDA_ERROR_INVALID_VALUE : pool_attribute(pool, attribute, value, true));
}

CUresult cuMemPoolGetAttribute(CUmemoryPool handle, CUmemPool_attribute attribute, void *value) {
    ENTER(cuMemPoolGetAttribute);
    fake_pool *pool = handle_object(HANDLE_POOL, handle);
    LEAVE(pool == NULL || value == NULL ? CUDA_ERROR_INVALID_VALUE : pool_attribute(pool, attribute, value, false));
}

CUresult cuMemPoolTrimTo(CUmemoryPool handle, size_t keep) {
    ENTER(cuMemPoolTrimTo);
    fake_pool *pool = handle_object(HANDLE_POOL, handle);
    if (pool == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    trim(pool, keep);
    LEAVE(CUDA_SUCCESS);
}

static CUresult grant(fake_pool *pool, const CUmemAccessDesc *description) {
    if (description->location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_NOT_SUPPORTED;
    int id = description->location.id;
    if (device_at(id) == NULL) return CUDA_ERROR_INVALID_DEVICE;
    bool reads = (description->flags & CU_MEM_ACCESS_FLAGS_PROT_READ) != 0;
    bool writes = description->flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    if (id == pool->on->ordinal) return writes ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    if (reads && !the_driver.settings.peers) return CUDA_ERROR_INVALID_DEVICE;
    unsigned bit = 1u << id;
    pool->readers = (pool->readers & ~bit) | (reads ? bit : 0);
    pool->writers = (pool->writers & ~bit) | (writes ? bit : 0);
    size_t count;
    fake_range **all = range_list(&count);
    for (size_t i = 0; i < count; i++) {
        if (all[i]->pool != pool) continue;
        all[i]->readers = pool->readers;
        all[i]->writers = pool->writers;
    }
    return CUDA_SUCCESS;
}

CUresult cuMemPoolSetAccess(CUmemoryPool handle, const CUmemAccessDesc *descriptions, size_t count) {
    ENTER(cuMemPoolSetAccess);
    fake_pool *pool = handle_object(HANDLE_POOL, handle);
    if (pool == NULL || (descriptions == NULL && count > 0)) LEAVE(CUDA_ERROR_INVALID_VALUE);
    CUresult result = CUDA_SUCCESS;
    for (size_t i = 0; i < count && result == CUDA_SUCCESS; i++) result = grant(pool, &descriptions[i]);
    LEAVE(result);
}

CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool handle, CUmemLocation *location) {
    ENTER(cuMemPoolGetAccess);
    const fake_pool *pool = handle_object(HANDLE_POOL, handle);
    if (flags == NULL || pool == NULL || location == NULL || device_at(location->id) == NULL)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    bool writes = (pool->writers >> location->id & 1) != 0, reads = (pool->readers >> location->id & 1) != 0;
    *flags = writes  ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE
             : reads ? CU_MEM_ACCESS_FLAGS_PROT_READ
                     : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    LEAVE(CUDA_SUCCESS);
}
