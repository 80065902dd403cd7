/* The invariants of pytorch_types.h, checked one by one. */
#include "memory/pytorch_check.h"

#include "base/status.h"
#include "memory/pytorch_blocks.h"
#include "memory/pytorch_expandable.h"

static tarn_status broken(const memory_block *block, const char *what) {
    return base_fail(TARN_INTERNAL, "pytorch: block %p of %zu bytes: %s", block->address, block->capacity, what);
}

static bool is_in(const pytorch_tree *tree, const memory_block *block) {
    return pytorch_tree_at_least(tree, block->capacity, (uintptr_t)block->address) == block;
}

/* Whether the pages behind the block are mapped, or not, as its kind says. */
static bool has_right_pages(const pytorch_segment *segment, const memory_block *block) {
    if (segment->page_size == 0) return block->kind != PYTORCH_UNMAPPED;
    size_t offset = (uintptr_t)block->address - segment->address;
    size_t last = (offset + block->capacity - 1) / segment->page_size;
    for (size_t page = offset / segment->page_size; page <= last; page++)
        if ((segment->pages[page] == PYTORCH_PAGE_MAPPED) != (block->kind != PYTORCH_UNMAPPED)) return false;
    return true;
}

static tarn_status check_block(const pytorch *owner, const memory_block *block) {
    const pytorch_segment *segment = pytorch_segment_of(block);
    const pytorch_pool *pool = segment->pool;
    bool is_resting = block->kind == PYTORCH_FREE || block->kind == PYTORCH_UNMAPPED;
    const memory_block *next = pytorch_next(block);
    uintptr_t end = (uintptr_t)block->address + block->capacity;
    if (block->capacity == 0 || block->capacity % owner->unit != 0) return broken(block, "its size is wrong");
    if (end != (next != NULL ? (uintptr_t)next->address : segment->address + segment->size))
        return broken(block, "the next one does not begin at its end");
    if (is_resting && next != NULL && next->kind == block->kind)
        return broken(block, "it should be merged with the next one");
    if (is_resting && (atomic_load(&block->life) & BLOCK_IS_LIVE) != 0)
        return broken(block, "it is live and not in use");
    if (is_resting && !is_in(block->kind == PYTORCH_FREE ? &pool->free : &pool->unmapped, block))
        return broken(block, "its pool does not know it");
    if ((block->kind == PYTORCH_PENDING) != (block->flags != 0)) return broken(block, "its count of streams is wrong");
    if (!has_right_pages(segment, block)) return broken(block, "a page is mapped, or not, against its kind");
    return TARN_OK;
}

/* The blocks of each segment begin where it does. */
static tarn_status check_segments(const pytorch *owner, uint64_t *out_reserved) {
    *out_reserved = 0;
    for (const pytorch_segment *segment = owner->segments; segment != NULL; segment = segment->next) {
        const memory_block *first = pytorch_tree_at_least(&owner->blocks, 0, segment->address);
        if (first == NULL || (uintptr_t)first->address != segment->address || first->home != segment)
            return base_fail(TARN_INTERNAL, "pytorch: the segment at %#zx has no first block",
                             (size_t)segment->address);
        *out_reserved += pytorch_segment_memory(segment);
    }
    return TARN_OK;
}

tarn_status pytorch_check_all(const pytorch *owner) {
    uint64_t reserved = 0, used = 0, pending = 0;
    tarn_status status = check_segments(owner, &reserved);
    for (const memory_block *block = pytorch_tree_first(&owner->blocks); block != NULL && status == TARN_OK;
         block = pytorch_tree_next(&owner->blocks, block)) {
        status = check_block(owner, block);
        if (block->kind == PYTORCH_USED && (atomic_load(&block->life) & BLOCK_IS_LIVE) != 0) used += block->capacity;
        pending += block->flags;
    }
    for (const pytorch_use *queue = owner->queues; queue != NULL; queue = queue->next_queue)
        for (const pytorch_use *use = queue; use != NULL; use = use->next) pending--;
    if (status != TARN_OK) return status;
    if (pending != 0) return base_fail(TARN_INTERNAL, "pytorch: queues and blocks do not agree on what is pending");
    if (reserved != owner->reserved.current) {
        return base_fail(TARN_INTERNAL, "pytorch: %llu bytes are reserved, the figure says %llu",
                         (unsigned long long)reserved, (unsigned long long)owner->reserved.current);
    }
    if (used > owner->tally.in_use.current) {
        return base_fail(TARN_INTERNAL, "pytorch: %llu bytes are in use, the figure says %llu",
                         (unsigned long long)used, (unsigned long long)owner->tally.in_use.current);
    }
    return TARN_OK;
}
