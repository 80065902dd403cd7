/* The caching allocator: what is asked for is looked for in the calling thread's cache, then in the heap of its stream, then
 * made from free granules elsewhere, then asked of the device; and only when all that fails, and waiting and
 * reclaiming have not helped, it is refused. */
#include "memory/caching.h"

#include <sched.h>
#include <string.h>

#include <tarn/size.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/caching_ahead.h"
#include "memory/caching_cache.h"
#include "memory/caching_check.h"
#include "memory/caching_figures.h"
#include "memory/caching_find.h"
#include "memory/caching_growth.h"
#include "memory/caching_heap.h"
#include "memory/caching_memory.h"
#include "memory/caching_pending.h"
#include "memory/caching_physical.h"
#include "memory/caching_quick.h"
#include "memory/caching_release.h"
#include "memory/caching_search.h"
#include "memory/caching_segment.h"
#include "memory/caching_shared.h"
#include "memory/fork.h"

#define MIB ((size_t)1 << 20)

/* What stands for a granule where there is no virtual memory. */
enum { PLAIN_GRANULE = 2 << 20 };

static tarn_status explain(caching *owner, tarn_status status, size_t size) {
    char asked[TARN_SIZE_TEXT], used[TARN_SIZE_TEXT], cached[TARN_SIZE_TEXT], largest[TARN_SIZE_TEXT];
    char total[TARN_SIZE_TEXT];
    caching_caches_publish(owner);
    uint64_t idle =
        owner->reserved.current > owner->in_use.current ? owner->reserved.current - owner->in_use.current : 0;
    return base_fail_within(status, "%s: %s: %s asked, the device has %s, %s in use, %s cached, largest free block %s",
                            tarn_device_name(owner->base.device),
                            owner->base.spec != NULL ? owner->base.spec : "caching", tarn_size_format(size, asked),
                            tarn_size_format(hal_device_properties(owner->base.device)->memory_total, total),
                            tarn_size_format(owner->in_use.current, used), tarn_size_format(idle, cached),
                            tarn_size_format(caching_largest_free(owner), largest));
}

static tarn_status allocate_from_heap(caching *owner, const memory_request *request, size_t capacity,
                                      memory_block **out_block) {
    /* Room to move the beginning up to the alignment. */
    size_t size = capacity;
    if (request->alignment > owner->alignment && !checked_add(size, request->alignment - owner->alignment, &size)) {
        return base_fail(TARN_OUT_OF_MEMORY, "%zu bytes do not fit the address space", capacity);
    }
    caching_heap *heap;
    tarn_status status = caching_heap_get(owner, request->stream, &heap);
    if (status != TARN_OK) return status;
    caching_spot spot;
    status = caching_find_spot(heap, request, size, &spot);
    if (status == TARN_OK) status = caching_spares_reserve(owner, 2);
    if (status != TARN_OK) return status;
    size_t offset = round_up(spot.segment->address + spot.offset, request->alignment) - spot.segment->address;
    memory_block *free_block = caching_block_at(spot.segment, spot.offset);
    if (request->alignment <= owner->alignment) offset = caching_search_colour(owner, free_block, offset, capacity);
    *out_block = caching_take(owner, free_block, offset, capacity);
    caching_ahead_tell(heap);
    return TARN_OK;
}

static tarn_status caching_allocate(tarn_allocator *allocator, const memory_request *request,
                                    memory_block **out_block) {
    caching *owner = caching_of(allocator);
    size_t capacity;
    if (!checked_round_up(request->size, owner->alignment, &capacity)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu bytes cannot be rounded up to the alignment", request->size);
    }
    memory_block *block = NULL;
    if (request->alignment <= owner->alignment) {
        block = caching_cache_take(owner, request);
    }
    if (block == NULL) {
        pthread_mutex_lock(&owner->lock);
        caching_cache_publish_own(owner);
        if (request->alignment <= owner->alignment &&
            caching_shared_refill(owner, capacity, hal_stream_number(request->stream))) {
            pthread_mutex_unlock(&owner->lock);
            block = caching_cache_take(owner, request);
            if (block != NULL) {
                *out_block = block;
                return TARN_OK;
            }
            pthread_mutex_lock(&owner->lock);
            caching_cache_publish_own(owner);
        }
        tarn_status status = allocate_from_heap(owner, request, capacity, &block);
        if (status == TARN_OK) {
            memory_block_fill(block, request, allocator);
            caching_count_allocation(owner, request->size, capacity);
        } else {
            owner->failed++;
            status = explain(owner, status, request->size);
        }
        pthread_mutex_unlock(&owner->lock);
        if (status != TARN_OK) return status;
    }
    *out_block = block;
    return TARN_OK;
}

static tarn_status caching_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    caching *owner = caching_of(allocator);
    bool is_elsewhere = stream != NULL && hal_stream_number(stream) != block->stream;
    bool is_used = block->uses != NULL;
    if (!is_elsewhere && !is_used && caching_cache_put(owner, block)) return TARN_OK;
    pthread_mutex_lock(&owner->lock);
    caching_cache_publish_own(owner);
    if (!is_elsewhere && !is_used && caching_shared_spill(owner, block->capacity, block->stream)) {
        pthread_mutex_unlock(&owner->lock);
        if (caching_cache_put(owner, block)) return TARN_OK;
        pthread_mutex_lock(&owner->lock);
        caching_cache_publish_own(owner);
    }
    caching_count_free(owner, block->live.requested, block->capacity);
    if (is_elsewhere || is_used) {
        caching_pending_add(owner, block, stream);
    } else {
        caching_give_home(owner, block);
    }
    caching_spares_trim(owner);
    pthread_mutex_unlock(&owner->lock);
    return TARN_OK;
}

static tarn_status caching_empty_cache(tarn_allocator *allocator) {
    caching *owner = caching_of(allocator);
    size_t released = 0;
    pthread_mutex_lock(&owner->lock);
    caching_caches_flush(owner);
    tarn_status settled = caching_settle_everything(owner);
    caching_growth_stop(owner);
    tarn_status status = caching_release_idle(owner, &released);
    caching_growth_resume(owner);
    if (status == TARN_OK) status = settled;
    pthread_mutex_unlock(&owner->lock);
    return status;
}

static tarn_status caching_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    caching *owner = caching_of(allocator);
    pthread_mutex_lock(&owner->lock);
    size_t in_caches = caching_caches_publish(owner), free_block = caching_largest_free(owner);
    out_stats->requested_bytes = owner->requested;
    out_stats->in_use_bytes = owner->in_use;
    out_stats->reserved_bytes = owner->reserved;
    memcpy(out_stats->histogram, owner->histogram, sizeof owner->histogram);
    out_stats->allocations = 0;
    for (unsigned i = 0; i < TARN_HISTOGRAM_BUCKETS; i++) out_stats->allocations += owner->histogram[i];
    out_stats->frees = out_stats->allocations - owner->blocks.current;
    out_stats->blocks = owner->blocks;
    out_stats->blocks.total = out_stats->allocations;
    owner->cached.current =
        owner->reserved.current > owner->in_use.current ? owner->reserved.current - owner->in_use.current : 0;
    if (owner->cached.current > owner->cached.peak) owner->cached.peak = owner->cached.current;
    /* Cached is what was reserved, and what was in use once. */
    owner->cached.total = saturating_add(owner->reserved.total, owner->in_use.total - owner->in_use.current);
    out_stats->cached_bytes = owner->cached;
    out_stats->failed_allocations = owner->failed;
    out_stats->retries = owner->retries;
    out_stats->device_waits = owner->waits;
    out_stats->largest_free_block = in_caches > free_block ? in_caches : free_block;
    pthread_mutex_unlock(&owner->lock);
    return TARN_OK;
}

static tarn_status caching_reset_peaks(tarn_allocator *allocator) {
    caching *owner = caching_of(allocator);
    pthread_mutex_lock(&owner->lock);
    caching_caches_publish(owner);
    tarn_figure *figures[] = {&owner->requested, &owner->in_use, &owner->reserved, &owner->blocks};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) figures[i]->peak = figures[i]->current;
    owner->cached.peak = owner->reserved.current - owner->in_use.current;
    pthread_mutex_unlock(&owner->lock);
    return TARN_OK;
}

static tarn_block_state state_of(const memory_block *block) {
    if (block->kind == CACHING_FREE) return TARN_BLOCK_CACHED;
    if (block->kind == CACHING_HOLLOW) return TARN_BLOCK_UNMAPPED;
    return (block->flags & CACHING_IS_PENDING) != 0 ? TARN_BLOCK_PENDING : TARN_BLOCK_IN_USE;
}

static tarn_status caching_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                      void *context) {
    caching *owner = caching_of(allocator);
    pthread_mutex_lock(&owner->lock);
    /* Frees do not ask whether the streams are done; whoever looks at the blocks wants to know. */
    (void)caching_pending_poll(owner, true);
    caching_growth_wait(owner);
    caching_caches_hold(owner);
    bool stop = false;
    caching_segments_begin(owner);
    for (const caching_segment *segment; !stop && (segment = caching_segments_next(owner)) != NULL;) {
        for (const memory_block *block = segment->first_block; block != NULL && !stop; block = block->neighbours.next) {
            tarn_block_state state = state_of(block);
            bool is_live = state == TARN_BLOCK_IN_USE;
            tarn_block_info info = {
                .struct_size = sizeof info,
                .address = (uintptr_t)block->address,
                .segment = segment->address,
                .size = block->capacity,
                .requested = is_live ? block->live.requested : 0,
                .stream = block->stream,
                .state = state,
                .tag = is_live ? block->live.tag : NULL,
            };
            stop = visit(context, &info) != 0;
        }
    }
    caching_caches_let_go(owner);
    pthread_mutex_unlock(&owner->lock);
    return TARN_OK;
}

static memory_block *find_block(const caching *owner, uintptr_t address) {
    for (const caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        for (caching_segment *segment = heap->segments; segment != NULL; segment = segment->next) {
            if (address < segment->address || address - segment->address >= segment->size) continue;
            memory_block *block = caching_block_at(segment, address - segment->address);
            bool is_live =
                block->kind == CACHING_USED && (atomic_load_explicit(&block->life, memory_order_acquire) & 1) != 0;
            return is_live && (uintptr_t)block->address == address ? block : NULL;
        }
    }
    return NULL;
}

static tarn_status caching_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    caching *owner = caching_of(allocator);
    pthread_mutex_lock(&owner->lock);
    memory_block *block = find_block(owner, (uintptr_t)pointer);
    pthread_mutex_unlock(&owner->lock);
    if (block == NULL) return base_fail(TARN_INVALID_ARGUMENT, "no live buffer begins at %p", pointer);
    *out_block = block;
    return TARN_OK;
}

static tarn_status caching_check(tarn_allocator *allocator) {
    caching *owner = caching_of(allocator);
    pthread_mutex_lock(&owner->lock);
    caching_ahead_wait(owner);
    caching_growth_wait(owner);
    caching_caches_flush(owner);
    tarn_status status = caching_check_all(owner);
    pthread_mutex_unlock(&owner->lock);
    return status;
}

static tarn_memory_kind caching_kind(const tarn_allocator *allocator) {
    return ((const caching *)(const void *)allocator)->kind;
}

static tarn_status caching_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    caching *owner = caching_of(allocator);
    pthread_mutex_lock(&owner->lock);
    tarn_status status = caching_use(owner, block, stream);
    pthread_mutex_unlock(&owner->lock);
    return status;
}

static size_t caching_retire(tarn_allocator *allocator) {
    caching *owner = caching_of(allocator);
    caching_caches_detach(owner);
    pthread_mutex_lock(&owner->lock);
    size_t live = (size_t)owner->blocks.current;
    pthread_mutex_unlock(&owner->lock);
    return live;
}

/* The stream's work has finished: what it freed is idle, and nothing will be recorded on it again. */
static void stream_ended(void *context, tarn_stream *stream) {
    caching *owner = context;
    pthread_mutex_lock(&owner->lock);
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        if (heap->stream != stream) continue;
        while (heap->waiters != 0 && !hal_device_is_inherited(owner->base.device)) {
            pthread_mutex_unlock(&owner->lock);
            sched_yield();
            pthread_mutex_lock(&owner->lock);
        }
        caching_heap_settle(heap, heap->sequence);
        heap->stream = NULL;
    }
    pthread_mutex_unlock(&owner->lock);
}

/* Frees the host's side of a segment whose memory could not be given back. */
static void abandon_segment(caching_heap *heap, caching_segment *segment) {
    base_log(TARN_LOG_WARNING, "%s: %zu bytes of addresses could not be given back: %s",
             tarn_device_name(heap->owner->base.device), segment->size, tarn_last_error());
    heap->segments = segment->next;
    for (memory_block *block = segment->first_block; block != NULL;) {
        memory_block *next = block->neighbours.next;
        block_destroy(block);
        block = next;
    }
    for (size_t i = 0; i < segment->place_count; i++) {
        caching_physical *physical = segment->places[i].physical;
        if (physical == NULL) continue;
        bool is_home = physical->home == &segment->places[i];
        caching_place_detach(&segment->places[i]);
        if (!is_home) continue;
        while (physical->places != NULL) caching_place_detach(physical->places);
        base_free(physical);
    }
    base_free(segment->places);
    base_free(segment);
}

static void destroy_heap(caching_heap *heap) {
    while (heap->segments != NULL) {
        caching_segment *segment = heap->segments;
        if (!caching_segment_may_end(segment) || caching_segment_end(segment) != TARN_OK)
            abandon_segment(heap, segment);
    }
    caching_forget(heap);
    base_free(heap);
}

static void caching_destroy(tarn_allocator *allocator) {
    caching *owner = caching_of(allocator);
    size_t released = 0;
    caching_ahead_end(owner);
    caching_caches_detach(owner);
    pthread_mutex_lock(&owner->lock);
    (void)caching_settle_everything(owner);
    caching_pending_abandon(owner);
    pthread_mutex_unlock(&owner->lock);
    /* Settling may have ended streams, which the callback had to hear of. */
    hal_device_remove_stream_callback(allocator->device, stream_ended, owner);
    pthread_mutex_lock(&owner->lock);
    caching_growth_stop(owner);
    if (caching_release_idle(owner, &released) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s: cached memory could not be given back: %s", tarn_device_name(allocator->device),
                 tarn_last_error());
    }
    while (owner->homeless != NULL) {
        caching_physical *physical = owner->homeless;
        owner->homeless = physical->next_unused;
        (void)hal_granules_release(allocator->device, 1, &physical->handle);
        base_free(physical);
    }
    while (owner->heaps != NULL) {
        caching_heap *heap = owner->heaps;
        owner->heaps = heap->next;
        destroy_heap(heap);
    }
    while (owner->unused_physicals != NULL) {
        caching_physical *physical = owner->unused_physicals;
        owner->unused_physicals = physical->next_unused;
        base_free(physical);
    }
    while (owner->spares != NULL) {
        memory_block *block = owner->spares;
        owner->spares = block->neighbours.next;
        block_destroy(block);
    }
    for (size_t i = 0; i < owner->event_count; i++) hal_event_destroy(owner->events[i]);
    base_free(owner->events);
    base_free(owner->shared);
    pthread_mutex_unlock(&owner->lock);
    memory_fork_forget(&owner->lock);
    caching_growth_finish(owner);
    pthread_mutex_destroy(&owner->lock);
    memory_allocator_end(allocator);
}

typedef struct options {
    bool expandable;
    double gc;
    tarn_memory_kind kind;
    size_t thread_cache, reserve;
    uint64_t settle;
    size_t ahead;
} options;

/* By default a thread keeps up to a 64th of the device's memory, and at least this much. */
#define THREAD_CACHE_LEAST (256 * MIB)

static tarn_status read_options(tarn_device *device, memory_arguments *arguments, options *out_options) {
    const tarn_device_properties *properties = hal_device_properties(device);
    options read = {.expandable = true,
                    .kind = TARN_MEMORY_DEVICE,
                    .thread_cache = properties->memory_total / 64,
                    .settle = CACHING_SETTLE_AFTER};
    if (read.thread_cache < THREAD_CACHE_LEAST) read.thread_cache = THREAD_CACHE_LEAST;
    tarn_status status = memory_argument_switch(arguments, "expandable", &read.expandable);
    if (status == TARN_OK) status = memory_argument_fraction(arguments, "gc", &read.gc);
    if (status == TARN_OK) status = memory_argument_kind(arguments, "kind", &read.kind);
    if (status == TARN_OK) status = memory_argument_size(arguments, "thread_cache", &read.thread_cache);
    if (status == TARN_OK) status = memory_argument_number(arguments, "settle", &read.settle);
    if (status == TARN_OK) status = memory_argument_size(arguments, "reserve", &read.reserve);
    if (status == TARN_OK) status = memory_argument_size(arguments, "ahead", &read.ahead);
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    if ((properties->memory_kinds & TARN_MEMORY_KIND_BIT(read.kind)) == 0) {
        return base_fail(TARN_NOT_SUPPORTED, "%s has no memory of the kind that 'caching' is asked for",
                         tarn_device_name(device));
    }
    *out_options = read;
    return TARN_OK;
}

/* Takes memory ahead of the first request. */
static tarn_status reserve_first(caching *owner, size_t bytes) {
    memory_request request = {
        .size = bytes,
        .alignment = owner->alignment,
        .stream = tarn_device_default_stream(owner->base.device),
        .outer = &owner->base,
    };
    size_t capacity;
    if (!checked_round_up(bytes, owner->granule, &capacity))
        return base_fail(TARN_INVALID_ARGUMENT, "reserve is too large");
    memory_block *block;
    pthread_mutex_lock(&owner->lock);
    tarn_status status = allocate_from_heap(owner, &request, capacity, &block);
    if (status == TARN_OK) caching_give_home(owner, block);
    pthread_mutex_unlock(&owner->lock);
    return status;
}

/* A driver call that another thread is in would never end in the child. */
static void before_fork(void *context) { caching_growth_wait(context); }
static void after_fork_in_child(void *context) {
    caching_growth_renew(context);
    caching_ahead_renew(context);
}

static tarn_status caching_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                  tarn_allocator **out_allocator) {
    (void)upstream;
    options chosen;
    tarn_status status = read_options(device, arguments, &chosen);
    if (status != TARN_OK) return status;
    caching *owner = base_allocate(1, sizeof *owner);
    if (owner == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for an allocator");
    const tarn_device_properties *properties = hal_device_properties(device);
    owner->kind = chosen.kind;
    owner->is_virtual = chosen.expandable && chosen.kind == TARN_MEMORY_DEVICE && properties->granule != 0 &&
                        hal_device_has_feature(device, TARN_FEATURE_VIRTUAL_MEMORY);
    owner->has_aliasing = hal_device_has_feature(device, TARN_FEATURE_ALIASING);
    owner->gc = chosen.gc;
    owner->cache_limit = chosen.thread_cache;
    owner->settle_after = chosen.settle;
    owner->is_settled = chosen.settle == 0;
    owner->granule = owner->is_virtual ? properties->granule : PLAIN_GRANULE;
    owner->granule_shift = (unsigned)__builtin_ctzll(owner->granule);
    owner->alignment = properties->alignment < 64 ? 64 : properties->alignment;
    caching_caches_prepare();
    pthread_mutex_init(&owner->lock, NULL);
    caching_growth_start(owner);
    memory_allocator_begin(&owner->base, &caching_strategy, device, NULL);
    status = hal_device_on_stream_destroy(device, stream_ended, owner);
    memory_fork_duty duty = {.before = before_fork, .in_child = after_fork_in_child, .context = owner};
    if (status == TARN_OK && !memory_fork_watch_with(&owner->lock, duty)) {
        hal_device_remove_stream_callback(device, stream_ended, owner);
        status = base_fail(TARN_OUT_OF_MEMORY, "no host memory for an allocator");
    }
    if (status != TARN_OK) {
        caching_growth_finish(owner);
        pthread_mutex_destroy(&owner->lock);
        memory_allocator_end(&owner->base);
        return status;
    }
    if (owner->is_virtual && chosen.ahead != 0) status = caching_ahead_start(owner, chosen.ahead);
    if (status == TARN_OK && chosen.reserve != 0) status = reserve_first(owner, chosen.reserve);
    if (status != TARN_OK) {
        caching_destroy(&owner->base);
        return status;
    }
    *out_allocator = &owner->base;
    return TARN_OK;
}

const memory_strategy caching_strategy = {
    .name = "caching",
    .create = caching_create,
    .destroy = caching_destroy,
    .allocate = caching_allocate,
    .free = caching_free,
    .allocate_quickly = caching_allocate_quickly,
    .free_quickly = caching_free_quickly,
    .take_quickly = caching_take_quickly,
    .retire = caching_retire,
    .empty_cache = caching_empty_cache,
    .stats = caching_stats,
    .reset_peaks = caching_reset_peaks,
    .each_block = caching_each_block,
    .find = caching_find,
    .check = caching_check,
    .record_stream = caching_record_stream,
    .kind = caching_kind,
};
