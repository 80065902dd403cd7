/* Blocks, segments and streams; see pytorch_blocks.h. */
#include "memory/pytorch_blocks.h"

#include "base/memory.h"
#include "base/status.h"
#include "hal/memory.h"

pytorch_stream *pytorch_stream_find(const pytorch *owner, uint32_t number) {
    pytorch_stream *stream = owner->streams;
    while (stream != NULL && stream->number != number) stream = stream->next;
    return stream;
}

static void begin_pool(pytorch_pool *pool, pytorch_stream *stream, bool is_small) {
    *pool = (pytorch_pool){
        .stream = stream, .is_small = is_small, .free.order = PYTORCH_BY_SIZE, .unmapped.order = PYTORCH_BY_ADDRESS};
}

/* One that has ended and still holds memory, which is all idle: the new stream goes on with it. */
static pytorch_stream *adopt(pytorch *owner) {
    pytorch_stream *stream = owner->streams;
    while (stream != NULL && stream->stream != NULL) stream = stream->next;
    if (stream != NULL) stream->settled = stream->sequence++;
    return stream;
}

static pytorch_stream *create_stream(pytorch *owner) {
    pytorch_stream *stream = base_allocate(1, sizeof *stream);
    if (stream == NULL) return NULL;
    stream->owner = owner;
    stream->sequence = 1;
    begin_pool(&stream->large, stream, false);
    begin_pool(&stream->small, stream, true);
    stream->next = owner->streams;
    owner->streams = stream;
    return stream;
}

tarn_status pytorch_stream_get(pytorch *owner, tarn_stream *stream, pytorch_stream **out_stream) {
    pytorch_stream *found = pytorch_stream_find(owner, hal_stream_number(stream));
    if (found == NULL) {
        found = adopt(owner);
        if (found == NULL) found = create_stream(owner);
        if (found == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a stream's pools");
        found->number = hal_stream_number(stream);
        found->stream = stream;
    }
    *out_stream = found;
    return TARN_OK;
}

void pytorch_streams_sweep(pytorch *owner) {
    for (pytorch_stream **link = &owner->streams; *link != NULL;) {
        pytorch_stream *stream = *link;
        if (stream->stream == NULL && stream->segments == 0) {
            *link = stream->next;
            base_free(stream);
        } else {
            link = &stream->next;
        }
    }
}

static memory_block *beside(const memory_block *block, memory_block *found) {
    return found != NULL && found->home == block->home ? found : NULL;
}

memory_block *pytorch_next(const memory_block *block) {
    return beside(block, pytorch_tree_next(&pytorch_owner_of(block)->blocks, block));
}

memory_block *pytorch_previous(const memory_block *block) {
    return beside(block, pytorch_tree_previous(&pytorch_owner_of(block)->blocks, block));
}

static pytorch_tree *tree_of(const memory_block *block) {
    pytorch_pool *pool = pytorch_segment_of(block)->pool;
    return block->kind == PYTORCH_FREE ? &pool->free : &pool->unmapped;
}

void pytorch_show(memory_block *block) {
    block->resting.shown_at = pytorch_owner_of(block)->searches;
    pytorch_tree_insert(tree_of(block), block);
}

void pytorch_hide(memory_block *block) { pytorch_tree_remove(tree_of(block), block); }

/* The members of a block that do not change while its segment lives. */
static void begin_block(memory_block *block, pytorch_segment *segment, uintptr_t address, size_t size, uint32_t kind) {
    pytorch *owner = segment->pool->stream->owner;
    block->owner = &owner->base;
    block->home = segment;
    block->stream = segment->pool->stream->number;
    block->address = (void *)address; /* NOLINT(performance-no-int-to-ptr) */
    block->capacity = size;
    block->kind = kind;
    block->flags = 0;
    pytorch_tree_insert(&owner->blocks, block);
}

memory_block *pytorch_cut(memory_block *block, size_t size) {
    memory_block *rest = block_create();
    if (rest == NULL) return NULL;
    size_t left = block->capacity - size;
    block->capacity = size;
    begin_block(rest, pytorch_segment_of(block), (uintptr_t)block->address + size, left, block->kind);
    rest->resting.freed_at = block->resting.freed_at;
    return rest;
}

/* `next` goes into `block`, which lies before it; neither is shown. */
static void absorb(memory_block *block, memory_block *next) {
    pytorch_tree_remove(&pytorch_owner_of(block)->blocks, next);
    block->capacity += next->capacity;
    if (next->resting.freed_at > block->resting.freed_at) block->resting.freed_at = next->resting.freed_at;
    block_destroy(next);
}

memory_block *pytorch_join(memory_block *block) {
    memory_block *previous = pytorch_previous(block), *next = pytorch_next(block);
    if (next != NULL && next->kind == block->kind) {
        pytorch_hide(next);
        absorb(block, next);
    }
    if (previous != NULL && previous->kind == block->kind) {
        pytorch_hide(previous);
        absorb(previous, block);
        block = previous;
    }
    return block;
}

void pytorch_give(memory_block *block) {
    pytorch_stream *stream = pytorch_stream_of(block);
    block->kind = PYTORCH_FREE;
    block->flags = 0;
    block->resting.freed_at = stream->last_freed = stream->sequence;
    pytorch_show(pytorch_join(block));
}

void pytorch_count_reserved(pytorch *owner, size_t bytes) {
    memory_figure_add(&owner->reserved, bytes);
    memory_figure_set(&owner->cached, owner->reserved.current - owner->tally.in_use.current);
}

void pytorch_count_unreserved(pytorch *owner, size_t bytes) {
    memory_figure_subtract(&owner->reserved, bytes);
    memory_figure_set(&owner->cached, owner->reserved.current - owner->tally.in_use.current);
}

tarn_status pytorch_segment_create(pytorch_pool *pool, size_t size, pytorch_segment **out_segment,
                                   memory_block **out_block) {
    pytorch_segment *segment = base_allocate(1, sizeof *segment);
    memory_block *block = segment != NULL ? block_create() : NULL;
    if (block == NULL) {
        base_free(segment);
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a segment");
    }
    segment->pool = pool;
    segment->size = size;
    *out_segment = segment;
    *out_block = block;
    return TARN_OK;
}

void pytorch_segment_begin(pytorch_segment *segment, memory_block *block, void *address, uint32_t kind) {
    pytorch *owner = segment->pool->stream->owner;
    segment->address = (uintptr_t)address;
    segment->next = owner->segments;
    if (owner->segments != NULL) owner->segments->previous = segment;
    owner->segments = segment;
    segment->pool->stream->segments++;
    begin_block(block, segment, segment->address, segment->size, kind);
}

void pytorch_segment_discard(pytorch_segment *segment, memory_block *block) {
    block_destroy(block);
    base_free(segment->pages);
    base_free(segment->granules);
    base_free(segment);
}

void pytorch_segment_end(pytorch_segment *segment, memory_block *block) {
    pytorch *owner = segment->pool->stream->owner;
    pytorch_tree_remove(&owner->blocks, block);
    if (segment->next != NULL) segment->next->previous = segment->previous;
    if (segment->previous != NULL) segment->previous->next = segment->next;
    else owner->segments = segment->next;
    segment->pool->stream->segments--;
    pytorch_segment_discard(segment, block);
}

tarn_status pytorch_segment_allocate(pytorch_pool *pool, size_t size, memory_block **out_block) {
    pytorch *owner = pool->stream->owner;
    pytorch_segment *segment;
    memory_block *block;
    void *address;
    tarn_status status = pytorch_segment_create(pool, size, &segment, &block);
    if (status != TARN_OK) return status;
    if (owner->settings.releases_lock) pthread_mutex_unlock(&owner->lock);
    status = hal_memory_allocate(owner->base.device, TARN_MEMORY_DEVICE, size, owner->unit, &address);
    if (owner->settings.releases_lock) pthread_mutex_lock(&owner->lock);
    if (status != TARN_OK) {
        pytorch_segment_discard(segment, block);
        return status;
    }
    pytorch_segment_begin(segment, block, address, PYTORCH_FREE);
    pytorch_count_reserved(owner, size);
    *out_block = block;
    return TARN_OK;
}

tarn_status pytorch_segment_free(memory_block *block) {
    pytorch_segment *segment = pytorch_segment_of(block);
    pytorch *owner = pytorch_owner_of(block);
    size_t size = segment->size;
    tarn_status status = hal_memory_free(owner->base.device, TARN_MEMORY_DEVICE, block->address, size);
    if (status != TARN_OK) return status;
    pytorch_hide(block);
    pytorch_segment_end(segment, block);
    pytorch_count_unreserved(owner, size);
    return TARN_OK;
}
