/* Giving memory back; see pytorch_release.h. */
#include "memory/pytorch_release.h"

#include "memory/pytorch_expandable.h"

static void keep_first(tarn_status *inout_first, tarn_status status) {
    if (*inout_first == TARN_OK) *inout_first = status;
}

static bool may_collect(const memory_block *block) { return pytorch_is_whole(block) && !pytorch_is_expandable(block); }

/* How many searches of large pools a cached block has not served. */
static uint64_t age_of(const pytorch *owner, const memory_block *block) {
    return owner->searches - block->resting.shown_at;
}

static void sum_ages(const pytorch *owner, uint64_t *out_ages, uint64_t *out_count) {
    *out_ages = *out_count = 0;
    for (const pytorch_stream *stream = owner->streams; stream != NULL; stream = stream->next) {
        const pytorch_tree *tree = &stream->large.free;
        for (const memory_block *block = pytorch_tree_first(tree); block != NULL;
             block = pytorch_tree_next(tree, block)) {
            if (!may_collect(block)) continue;
            *out_ages += age_of(owner, block);
            ++*out_count;
        }
    }
}

/* Gives back what is at least as old as `age`. Returns the bytes; `*inout_ages` and `*inout_count` lose what went. */
static size_t collect_older(pytorch *owner, double age, uint64_t *inout_ages, uint64_t *inout_count) {
    size_t bytes = 0;
    for (pytorch_stream *stream = owner->streams; stream != NULL; stream = stream->next) {
        const pytorch_tree *tree = &stream->large.free;
        for (memory_block *block = pytorch_tree_first(tree), *next; block != NULL; block = next) {
            next = pytorch_tree_next(tree, block);
            uint64_t own = age_of(owner, block);
            size_t size = block->capacity;
            if (!may_collect(block) || (double)own < age || !pytorch_is_idle(block)) continue;
            if (pytorch_segment_free(block) != TARN_OK) continue;
            bytes += size;
            *inout_ages -= own;
            --*inout_count;
        }
    }
    return bytes;
}

/* Waits for each stream; what cannot be waited for stays cached. */
static tarn_status wait_for_streams(pytorch *owner) {
    tarn_status first = TARN_OK;
    for (pytorch_stream *stream = owner->streams; stream != NULL; stream = stream->next)
        keep_first(&first, pytorch_stream_wait(stream));
    return first;
}

void pytorch_collect(pytorch *owner) {
    size_t threshold = (size_t)(owner->settings.collection_threshold * (double)owner->limit);
    if (owner->reserved.current <= threshold) return;
    (void)wait_for_streams(owner);
    size_t wanted = owner->reserved.current > threshold ? (size_t)owner->reserved.current - threshold : 0;
    uint64_t ages, count;
    sum_ages(owner, &ages, &count);
    for (size_t bytes = 0; bytes < wanted && count > 0;) {
        size_t collected = collect_older(owner, (double)ages / (double)count, &ages, &count);
        if (collected == 0) break;
        bytes += collected;
    }
    pytorch_streams_sweep(owner);
}

static bool may_release(const memory_block *block) { return may_collect(block) && pytorch_is_idle(block); }

bool pytorch_release_oversize(pytorch_pool *pool, size_t size) {
    pytorch *owner = pool->stream->owner;
    size_t least = owner->settings.max_split_size, wanted = size > least ? size : least, released = 0;
    if (least == SIZE_MAX) return false;
    (void)pytorch_stream_wait(pool->stream);
    memory_block *block = pytorch_tree_at_least(&pool->free, wanted, 0);
    if (block != NULL && may_release(block)) return pytorch_segment_free(block) == TARN_OK;
    /* None is large enough: several, the largest first. */
    block = pytorch_tree_before(&pool->free, wanted, 0);
    while (block != NULL && block->capacity >= least && released < wanted) {
        memory_block *smaller = pytorch_tree_previous(&pool->free, block);
        size_t bytes = block->capacity;
        if (may_release(block) && pytorch_segment_free(block) == TARN_OK) released += bytes;
        block = smaller;
    }
    return released >= wanted;
}

static tarn_status release_pool(pytorch_pool *pool) {
    tarn_status first = TARN_OK;
    size_t size = 0;
    uintptr_t address = 0;
    /* Unmapping leaves other free blocks behind, which hold no whole page, so that the walk ends. */
    for (memory_block *block; (block = pytorch_tree_at_least(&pool->free, size, address)) != NULL;) {
        size = block->capacity;
        address = (uintptr_t)block->address + 1;
        if (!pytorch_is_idle(block)) continue;
        if (pytorch_is_expandable(block)) keep_first(&first, pytorch_unmap(block));
        else if (pytorch_is_whole(block)) keep_first(&first, pytorch_segment_free(block));
    }
    return first;
}

tarn_status pytorch_release_all(pytorch *owner) {
    tarn_status first = pytorch_pending_wait(owner);
    keep_first(&first, wait_for_streams(owner));
    for (pytorch_stream *stream = owner->streams; stream != NULL; stream = stream->next) {
        keep_first(&first, release_pool(&stream->large));
        keep_first(&first, release_pool(&stream->small));
    }
    keep_first(&first, pytorch_release_strays(owner));
    pytorch_streams_sweep(owner);
    return first;
}
