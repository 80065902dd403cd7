/* A model of PyTorch's allocator for devices: the same rounding, pools, best fit, splits, merges and retries under the same
 * settings, so that a replay tells what PyTorch would have reserved. With the addresses that a driver gave to PyTorch it
 * places each request where PyTorch placed it.
 *
 * It is an allocator like any other here: what PyTorch leaves to the driver, waiting for a stream before its memory goes, is done by
 * hand, and before a request fails the reclaimers are asked, which PyTorch does not have. Captures are not modelled: a stream
 * that is captured is a stream like any other to it.
 *
 * The rules were read from c10/cuda/CUDACachingAllocator.cpp, version 2.9. */
#include "memory/pytorch.h"

#include <stdio.h>

#include <tarn/size.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/fork.h"
#include "memory/pytorch_check.h"
#include "memory/pytorch_expandable.h"
#include "memory/pytorch_place.h"
#include "memory/pytorch_release.h"

/* Allocating. */

/* What one request looks for. */
typedef struct search {
    pytorch_pool *pool;
    size_t size;    /* of the block, with room to move its beginning up to the alignment */
    size_t segment; /* what is asked of the driver when there is none */
} search;

/* How large an expandable segment's block can become. */
static size_t size_when_expanded(const memory_block *block) {
    const memory_block *next = pytorch_next(block);
    return block->capacity + (next != NULL && next->kind == PYTORCH_UNMAPPED ? next->capacity : 0);
}

/* The best fit among what is cached, no longer shown; NULL when there is none that the settings allow. */
static memory_block *find_cached(pytorch *owner, const search *wanted) {
    const pytorch_settings *settings = &owner->settings;
    const pytorch_tree *tree = &wanted->pool->free;
    if (!wanted->pool->is_small) owner->searches++;
    memory_block *block = pytorch_tree_at_least(tree, wanted->size, 0);
    if (block == NULL) return NULL;
    if (pytorch_is_expandable(block)) {
        memory_block *next = pytorch_tree_next(tree, block);
        while (next != NULL && size_when_expanded(next) < size_when_expanded(block)) {
            block = next;
            next = pytorch_tree_next(tree, block);
        }
    }
    bool is_oversize = wanted->size >= settings->max_split_size;
    if (!is_oversize && block->capacity >= settings->max_split_size) return NULL;
    if (is_oversize && block->capacity - wanted->size >= settings->max_non_split_rounding) return NULL;
    pytorch_hide(block);
    return block;
}

/* New memory from the driver. */
static tarn_status take_memory(pytorch *owner, const search *wanted, memory_block **out_block) {
    const tarn_device_properties *properties = hal_device_properties(owner->base.device);
    char limit[TARN_SIZE_TEXT];
    if (wanted->segment > owner->limit || owner->reserved.current > owner->limit - wanted->segment) {
        return base_fail(TARN_OUT_OF_MEMORY, "per_process_memory_fraction allows %s",
                         tarn_size_format(owner->limit, limit));
    }
    if (wanted->segment > properties->memory_total)
        return base_fail(TARN_OUT_OF_MEMORY, "more is needed than the device has");
    if (owner->settings.is_expandable) return pytorch_expand(wanted->pool, wanted->size, out_block);
    return pytorch_segment_allocate(wanted->pool, wanted->segment, out_block);
}

static tarn_status take_cached_or_new(pytorch *owner, const search *wanted, memory_block **out_block) {
    pytorch_poll(owner);
    memory_block *block = find_cached(owner, wanted);
    if (block == NULL) return take_memory(owner, wanted, out_block);
    *out_block = block;
    return TARN_OK;
}

/* A FREE block that is large enough and not shown, by PyTorch's ladder; then by the reclaimers. */
static tarn_status find_block(pytorch *owner, const memory_request *request, const search *wanted,
                              memory_block **out_block) {
    pytorch_poll(owner);
    *out_block = find_cached(owner, wanted);
    if (*out_block != NULL) return TARN_OK;
    bool gives_back = !owner->settings.keeps;
    if (gives_back && owner->settings.collection_threshold > 0 && owner->limit != SIZE_MAX) pytorch_collect(owner);
    tarn_status status = take_memory(owner, wanted, out_block);
    if (status == TARN_OUT_OF_MEMORY && gives_back && pytorch_release_oversize(wanted->pool, wanted->size))
        status = take_memory(owner, wanted, out_block);
    if (status != TARN_OUT_OF_MEMORY) return status;
    if (gives_back) {
        owner->tally.retries++;
        (void)pytorch_release_all(owner);
        status = take_memory(owner, wanted, out_block);
    }
    while (status == TARN_OUT_OF_MEMORY) {
        char sentence[256];
        snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
        pthread_mutex_unlock(&owner->lock);
        size_t reclaimed = memory_reclaim(request->outer, wanted->size);
        pthread_mutex_lock(&owner->lock);
        /* What reclaimers tried may have failed too; the sentence that counts is the one from before. */
        if (reclaimed == 0) return base_fail(status, "%s", sentence);
        status = take_cached_or_new(owner, wanted, out_block);
        if (status != TARN_OUT_OF_MEMORY || !gives_back) continue;
        (void)pytorch_release_all(owner);
        status = take_cached_or_new(owner, wanted, out_block);
    }
    return status;
}

/* Whether what a block has beyond `size` becomes a block of its own. */
static bool is_split(const pytorch *owner, const memory_block *block, size_t size) {
    size_t rest = block->capacity - size;
    if (owner->settings.is_whole) return false;
    if (pytorch_segment_of(block)->pool->is_small || owner->settings.is_expandable) return rest >= owner->unit;
    return size < owner->settings.max_split_size && rest > PYTORCH_SMALL;
}

/* Cuts a found block to what was asked for. On failure all of it is cached again. */
static tarn_status cut_block(pytorch *owner, const memory_request *request, size_t size, memory_block **inout_block) {
    memory_block *block = *inout_block, *rest = NULL;
    uintptr_t address = (uintptr_t)block->address, aligned = round_up(address, request->alignment);
    if (aligned != address) {
        rest = pytorch_cut(block, aligned - address);
        pytorch_show(block);
        if (rest == NULL) goto fail;
        block = rest;
    }
    if (is_split(owner, block, size)) {
        rest = pytorch_cut(block, size);
        if (rest == NULL) {
            pytorch_show(pytorch_join(block));
            goto fail;
        }
        pytorch_show(rest);
    }
    *inout_block = block;
    return TARN_OK;
fail:
    return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a block's descriptor");
}

static uint64_t largest_free(const pytorch *owner) {
    uint64_t largest = 0;
    for (const pytorch_stream *stream = owner->streams; stream != NULL; stream = stream->next) {
        const pytorch_pool *pools[] = {&stream->large, &stream->small};
        for (size_t i = 0; i < 2; i++) {
            const memory_block *last = pytorch_tree_before(&pools[i]->free, SIZE_MAX, 0);
            if (last != NULL && last->capacity > largest) largest = last->capacity;
        }
    }
    return largest;
}

static tarn_status explain(const pytorch *owner, tarn_status status, size_t size) {
    char asked[TARN_SIZE_TEXT], used[TARN_SIZE_TEXT], cached[TARN_SIZE_TEXT], largest[TARN_SIZE_TEXT];
    char total[TARN_SIZE_TEXT];
    return base_fail_within(
        status, "%s: %s: %s asked, the device has %s, %s in use, %s cached, largest free block %s",
        tarn_device_name(owner->base.device), owner->base.spec != NULL ? owner->base.spec : "pytorch",
        tarn_size_format(size, asked), tarn_size_format(hal_device_properties(owner->base.device)->memory_total, total),
        tarn_size_format(owner->tally.in_use.current, used), tarn_size_format(owner->cached.current, cached),
        tarn_size_format(largest_free(owner), largest));
}

static void count_allocation(pytorch *owner, size_t size, size_t capacity) {
    memory_tally_allocate(&owner->tally, size, capacity);
    memory_figure_set(&owner->cached, owner->reserved.current - owner->tally.in_use.current);
}

/* Must be called with the lock held. */
static tarn_status allocate(pytorch *owner, const memory_request *request, memory_block **out_block) {
    size_t size;
    search wanted;
    if (!pytorch_round(&owner->settings, request->size, owner->unit, &size) ||
        !checked_add(size, request->alignment > owner->unit ? request->alignment - owner->unit : 0, &wanted.size) ||
        !pytorch_segment_size(&owner->settings, wanted.size, &wanted.segment))
        return base_fail(TARN_OUT_OF_MEMORY, "%zu bytes do not fit the address space", request->size);
    pytorch_stream *stream;
    tarn_status status = pytorch_stream_get(owner, request->stream, &stream);
    if (status != TARN_OK) return status;
    wanted.pool = wanted.size <= PYTORCH_SMALL ? &stream->small : &stream->large;
    pytorch_use *reserve = pytorch_use_take(owner);
    if (reserve == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory to describe a buffer");
    memory_block *block;
    if (request->address != 0) status = pytorch_find_place(stream, request, size, &block);
    else status = find_block(owner, request, &wanted, &block);
    if (status == TARN_OK) status = cut_block(owner, request, size, &block);
    if (status != TARN_OK) {
        pytorch_use_put(owner, reserve);
        return status;
    }
    block->kind = PYTORCH_USED;
    block->stream = stream->number;
    memory_block_fill(block, request, &owner->base);
    reserve->next = NULL;
    block->uses = reserve;
    *out_block = block;
    return TARN_OK;
}

static tarn_status pytorch_allocate(tarn_allocator *allocator, const memory_request *request,
                                    memory_block **out_block) {
    pytorch *owner = pytorch_of(allocator);
    pthread_mutex_lock(&owner->lock);
    memory_block *block = NULL;
    tarn_status status = allocate(owner, request, &block);
    if (status == TARN_OK) {
        count_allocation(owner, request->size, block->capacity);
        *out_block = block;
    } else {
        owner->tally.failed++;
        status = explain(owner, status, request->size);
    }
    pthread_mutex_unlock(&owner->lock);
    return status;
}

static tarn_status pytorch_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    pytorch *owner = pytorch_of(allocator);
    pthread_mutex_lock(&owner->lock);
    memory_tally_free(&owner->tally, block->live.requested, block->capacity);
    memory_figure_set(&owner->cached, owner->reserved.current - owner->tally.in_use.current);
    pytorch_part(owner, block, stream);
    pthread_mutex_unlock(&owner->lock);
    return TARN_OK;
}

static tarn_status pytorch_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    pytorch *owner = pytorch_of(allocator);
    pthread_mutex_lock(&owner->lock);
    tarn_status status = pytorch_use_add(owner, block, stream);
    pthread_mutex_unlock(&owner->lock);
    return status;
}

/* Asking. */

static tarn_status pytorch_empty_cache(tarn_allocator *allocator) {
    pytorch *owner = pytorch_of(allocator);
    pthread_mutex_lock(&owner->lock);
    tarn_status status = pytorch_release_all(owner);
    pthread_mutex_unlock(&owner->lock);
    return status;
}

static tarn_status pytorch_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    pytorch *owner = pytorch_of(allocator);
    pthread_mutex_lock(&owner->lock);
    memory_tally_fill(&owner->tally, out_stats);
    out_stats->cached_bytes = owner->cached;
    out_stats->reserved_bytes = owner->reserved;
    out_stats->device_waits = owner->waits;
    out_stats->largest_free_block = largest_free(owner);
    pthread_mutex_unlock(&owner->lock);
    return TARN_OK;
}

static tarn_status pytorch_reset_peaks(tarn_allocator *allocator) {
    pytorch *owner = pytorch_of(allocator);
    pthread_mutex_lock(&owner->lock);
    tarn_figure *figures[] = {&owner->tally.requested, &owner->tally.in_use, &owner->cached, &owner->reserved,
                              &owner->tally.blocks};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) memory_figure_reset_peak(figures[i]);
    pthread_mutex_unlock(&owner->lock);
    return TARN_OK;
}

static tarn_block_state state_of(const memory_block *block) {
    switch (block->kind) {
    case PYTORCH_FREE: return TARN_BLOCK_CACHED;
    case PYTORCH_UNMAPPED: return TARN_BLOCK_UNMAPPED;
    case PYTORCH_PENDING: return TARN_BLOCK_PENDING;
    default: return TARN_BLOCK_IN_USE;
    }
}

static tarn_status pytorch_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                      void *context) {
    pytorch *owner = pytorch_of(allocator);
    bool is_stopped = false;
    pthread_mutex_lock(&owner->lock);
    for (const memory_block *block = pytorch_tree_first(&owner->blocks); block != NULL && !is_stopped;
         block = pytorch_tree_next(&owner->blocks, block)) {
        tarn_block_state state = state_of(block);
        bool is_live = state == TARN_BLOCK_IN_USE;
        tarn_block_info info = {
            .struct_size = sizeof info,
            .address = (uintptr_t)block->address,
            .segment = pytorch_segment_of(block)->address,
            .size = block->capacity,
            .requested = is_live ? block->live.requested : 0,
            .stream = is_live ? block->stream : pytorch_stream_of(block)->number,
            .state = state,
            .tag = is_live ? block->live.tag : NULL,
        };
        is_stopped = visit(context, &info) != 0;
    }
    pthread_mutex_unlock(&owner->lock);
    return TARN_OK;
}

static tarn_status pytorch_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    pytorch *owner = pytorch_of(allocator);
    pthread_mutex_lock(&owner->lock);
    memory_block *block = pytorch_tree_at_least(&owner->blocks, 0, (uintptr_t)pointer);
    bool is_live = block != NULL && block->address == pointer && block->kind == PYTORCH_USED &&
                   (atomic_load_explicit(&block->life, memory_order_acquire) & BLOCK_IS_LIVE) != 0;
    pthread_mutex_unlock(&owner->lock);
    if (!is_live) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: no live buffer begins at %p", allocator->spec,
                         tarn_device_name(allocator->device), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

static tarn_status pytorch_check(tarn_allocator *allocator) {
    pytorch *owner = pytorch_of(allocator);
    pthread_mutex_lock(&owner->lock);
    tarn_status status = pytorch_check_all(owner);
    pthread_mutex_unlock(&owner->lock);
    return status;
}

/* The allocator itself. */

/* The stream's work has finished: what was freed on it is idle, and nothing will be recorded on it again. */
static void stream_ended(void *context, tarn_stream *stream) {
    pytorch *owner = context;
    pthread_mutex_lock(&owner->lock);
    pytorch_poll_ended(owner, hal_stream_number(stream));
    pytorch_stream *known = pytorch_stream_find(owner, hal_stream_number(stream));
    if (known != NULL) {
        while (known->waiters != 0 && !hal_device_is_inherited(owner->base.device))
            pthread_cond_wait(&owner->waited, &owner->lock);
        known->stream = NULL;
        pytorch_streams_sweep(owner);
    }
    pthread_mutex_unlock(&owner->lock);
}

/* Frees the host's side of what the driver did not take back. */
static void abandon(pytorch *owner) {
    pytorch_pending_abandon(owner);
    while (owner->blocks.root != NULL) {
        memory_block *block = owner->blocks.root;
        pytorch_tree_remove(&owner->blocks, block);
        block_destroy(block);
    }
    while (owner->segments != NULL) {
        pytorch_segment *segment = owner->segments;
        owner->segments = segment->next;
        base_free(segment->pages);
        base_free(segment->granules);
        base_free(segment);
    }
    while (owner->streams != NULL) {
        pytorch_stream *stream = owner->streams;
        owner->streams = stream->next;
        base_free(stream);
    }
    pytorch_uses_end(owner);
}

static void pytorch_destroy(tarn_allocator *allocator) {
    pytorch *owner = pytorch_of(allocator);
    hal_device_remove_stream_callback(allocator->device, stream_ended, owner);
    pthread_mutex_lock(&owner->lock);
    tarn_status status = pytorch_release_all(owner);
    uint64_t left = owner->reserved.current;
    abandon(owner);
    pthread_mutex_unlock(&owner->lock);
    if (status != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s: %llu bytes could not be given back: %s", tarn_device_name(allocator->device),
                 (unsigned long long)left, tarn_last_error());
    }
    memory_fork_forget(&owner->lock);
    if (!hal_device_is_inherited(allocator->device)) pthread_cond_destroy(&owner->waited);
    pthread_mutex_destroy(&owner->lock);
    memory_allocator_end(allocator);
}

static void begin(pytorch *owner, tarn_device *device, const pytorch_settings *settings) {
    const tarn_device_properties *properties = hal_device_properties(device);
    owner->settings = *settings;
    owner->unit = properties->alignment > PYTORCH_SMALLEST ? properties->alignment : PYTORCH_SMALLEST;
    owner->granule = properties->granule;
    owner->limit = SIZE_MAX;
    if (settings->memory_fraction < 1)
        owner->limit = (size_t)(settings->memory_fraction * (double)properties->memory_total);
    if (settings->is_expandable && !hal_device_has_feature(device, TARN_FEATURE_VIRTUAL_MEMORY)) {
        static atomic_flag is_said = ATOMIC_FLAG_INIT;
        owner->settings.is_expandable = false;
        if (!atomic_flag_test_and_set(&is_said)) {
            base_log(TARN_LOG_WARNING, "%s has no virtual memory: pytorch goes without expandable segments there",
                     tarn_device_name(device));
        }
    }
    pthread_mutex_init(&owner->lock, NULL);
    pthread_cond_init(&owner->waited, NULL);
}

static tarn_status pytorch_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                  tarn_allocator **out_allocator) {
    pytorch_settings settings;
    tarn_status status = pytorch_settings_read(arguments, &settings);
    if (status != TARN_OK) return status;
    pytorch *owner = base_allocate(1, sizeof *owner);
    if (owner == NULL) return base_fail(TARN_OUT_OF_MEMORY, "pytorch: no host memory for an allocator");
    begin(owner, device, &settings);
    status = hal_device_on_stream_destroy(device, stream_ended, owner);
    if (status == TARN_OK && !memory_fork_watch(&owner->lock, false)) {
        hal_device_remove_stream_callback(device, stream_ended, owner);
        status = base_fail(TARN_OUT_OF_MEMORY, "pytorch: no host memory for an allocator");
    }
    if (status != TARN_OK) {
        pthread_cond_destroy(&owner->waited);
        pthread_mutex_destroy(&owner->lock);
        base_free(owner);
        return status;
    }
    memory_allocator_begin(&owner->base, &pytorch_strategy, device, upstream);
    *out_allocator = &owner->base;
    return TARN_OK;
}

const memory_strategy pytorch_strategy = {
    .name = "pytorch",
    .has_places = true,
    .create = pytorch_create,
    .destroy = pytorch_destroy,
    .allocate = pytorch_allocate,
    .free = pytorch_free,
    .empty_cache = pytorch_empty_cache,
    .stats = pytorch_stats,
    .reset_peaks = pytorch_reset_peaks,
    .each_block = pytorch_each_block,
    .find = pytorch_find,
    .check = pytorch_check,
    .record_stream = pytorch_record_stream,
};
