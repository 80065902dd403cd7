/* What can be asked of a pool: how much of it is free at one place, which block lies at an address, and whether it is whole. See
 * pool_slabs.h. */
#include "memory/pool_slabs.h"

size_t pool_largest_idle(const pool *self) {
    size_t largest = 0;
    for (base_range *range = base_range_after(self->slabs, 0); range != NULL;
         range = base_range_after(self->slabs, range->start)) {
        const pool_slab *slab = pool_slab_at(range);
        if (slab->stride <= largest) continue;
        bool has_idle = slab->made < slab->count;
        for (size_t i = 0; i < slab->made && !has_idle; i++) has_idle = slab->blocks[i]->flags == POOL_IDLE;
        if (has_idle) largest = slab->stride;
    }
    return largest;
}

memory_block *pool_block_at(const pool *self, uintptr_t address) {
    base_range *range = base_range_containing(self->slabs, address);
    if (range == NULL) return NULL;
    const pool_slab *slab = pool_slab_at(range);
    size_t offset = address - range->start;
    if (offset % slab->stride != 0 || offset / slab->stride >= slab->made) return NULL;
    memory_block *block = slab->blocks[offset / slab->stride];
    return block->flags == POOL_OUT ? block : NULL;
}

/* Counts the blocks of a list, and says what is wrong with them. */
static const char *check_list(const memory_block *list, const pool_lane *lane, uint32_t state, size_t *inout_count) {
    for (const memory_block *block = list; block != NULL; block = block->neighbours.next) {
        if (block->flags != state) return "a block is in a list where it does not belong";
        if (state == POOL_IDLE && block->uses != NULL) return "a block in a list is still used";
        if (lane != NULL && pool_slab_of(block)->lane != lane) return "a block is in another lane's list";
        if ((atomic_load_explicit(&block->life, memory_order_relaxed) & BLOCK_IS_LIVE) != 0)
            return "a live block is in a list";
        ++*inout_count;
    }
    return NULL;
}

static const char *check_lists(const pool *self, size_t listed[3]) {
    const char *broken = check_list(self->waiting, NULL, POOL_WAITING, &listed[1]);
    const memory_block *last = self->waiting;
    while (last != NULL && last->neighbours.next != NULL) last = last->neighbours.next;
    if (last != self->waiting_last) broken = "the list of waiting blocks does not end with its last";
    if (broken == NULL) broken = check_list(self->lost, NULL, POOL_LOST, &listed[2]);
    for (const pool_lane *lane = self->lanes; lane != NULL; lane = lane->next)
        for (unsigned class = 0; class < POOL_CLASSES && broken == NULL; class ++)
            broken = check_list(lane->idle[class], lane, POOL_IDLE, &listed[0]);
    return broken;
}

const char *pool_slabs_check(const pool *self) {
    size_t listed[3] = {0, 0, 0}, counts[4] = {0, 0, 0, 0}, held = 0;
    uint64_t bytes = 0;
    const char *broken = check_lists(self, listed);
    if (broken != NULL) return broken;
    for (base_range *range = base_range_after(self->slabs, 0); range != NULL;
         range = base_range_after(self->slabs, range->start)) {
        const pool_slab *slab = pool_slab_at(range);
        held += range->size;
        if (slab->made > slab->count || slab->count * slab->stride > range->size) return "a slab is overfull";
        for (size_t i = 0; i < slab->made; i++) {
            const memory_block *block = slab->blocks[i];
            if (block->home != slab || (uintptr_t)block->address != range->start + i * slab->stride)
                return "a block is not where its slab has it";
            if (block->flags > POOL_LOST) return "a block has no state";
            counts[block->flags]++;
            if (block->flags == POOL_OUT) bytes += block->capacity;
        }
    }
    if (counts[POOL_IDLE] != listed[0] || counts[POOL_WAITING] != listed[1] || counts[POOL_LOST] != listed[2])
        return "a block is in no list";
    if (counts[POOL_OUT] != self->figures.tally.blocks.current || bytes != self->figures.tally.in_use.current)
        return "the blocks are miscounted";
    return held == self->figures.held ? NULL : "the bytes held are miscounted";
}
