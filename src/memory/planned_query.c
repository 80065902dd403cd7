/* Showing, finding and checking the blocks of a planned allocator: those of its plans, in the memory that they have, and those of the
 * element below, among which that memory is not to be seen. */
#include "memory/planned_query.h"

#include "base/status.h"
#include "hal/device.h"
#include "memory/planned.h"
#include "memory/planned_types.h"

/* Plans in any order: the one served from and the older ones. */
static const planned_plan *first_plan(const planned *self) { return self->plan != NULL ? self->plan : self->older; }
static const planned_plan *plan_after(const planned *self, const planned_plan *plan) {
    return plan == self->plan ? self->older : plan->older;
}

/* Whether the memory at that address is a piece of a plan. */
static bool is_piece(const planned *self, uintptr_t address) {
    for (const planned_plan *plan = first_plan(self); plan != NULL; plan = plan_after(self, plan))
        for (uint32_t i = 0; i < plan->region_count; i++) {
            const memory_block *piece = plan->regions[i].piece;
            if (piece != NULL && (uintptr_t)piece->address == address) return true;
        }
    return false;
}

/* Puts the blocks of a region in order of their addresses; NULL for none. Those that overlap another are left out, and counted. */
static base_range *order_blocks(const planned_plan *plan, uint32_t region, uint64_t *inout_overlaps) {
    base_range *ordered = NULL;
    for (uint32_t i = 0; i < plan->count; i++) {
        planned_entry *entry = &plan->entries[i];
        if (entry->block == NULL || entry->region != region || entry->state == PLANNED_IDLE) continue;
        entry->shown.start = (uintptr_t)entry->block->address;
        entry->shown.size = entry->size;
        if (base_range_overlaps(ordered, entry->shown.start, entry->shown.size)) ++*inout_overlaps;
        else base_range_insert(&ordered, &entry->shown);
    }
    return ordered;
}

static const planned_entry *entry_of(const base_range *range) {
    return (const planned_entry *)(const void *)((const char *)range - offsetof(planned_entry, shown));
}

static tarn_block_info describe(const planned_entry *entry, uintptr_t segment) {
    bool is_live = entry->state == PLANNED_LIVE;
    return (tarn_block_info){
        .struct_size = sizeof(tarn_block_info),
        .address = entry->shown.start,
        .segment = segment,
        .size = entry->size,
        .requested = is_live ? entry->block->live.requested : 0,
        .stream = entry->stream,
        .state = is_live ? TARN_BLOCK_IN_USE : TARN_BLOCK_PENDING,
        .tag = is_live ? entry->block->live.tag : NULL,
    };
}

/* Shows the blocks of a region and what is free between them; true when the visit was stopped. */
static bool show_region(const planned_plan *plan, uint32_t index, int (*visit)(void *, const tarn_block_info *),
                        void *context) {
    const memory_block *piece = plan->regions[index].piece;
    uint64_t overlaps = 0;
    base_range *ordered = order_blocks(plan, index, &overlaps);
    uintptr_t segment = (uintptr_t)piece->address, shown = segment, end = segment + piece->capacity;
    while (shown < end) {
        const base_range *range = base_range_find(ordered, shown);
        tarn_block_info info;
        if (range != NULL) {
            info = describe(entry_of(range), segment);
        } else {
            range = base_range_after(ordered, shown);
            info = (tarn_block_info){
                .struct_size = sizeof info,
                .address = shown,
                .segment = segment,
                .size = (range != NULL ? range->start : end) - shown,
                .stream = plan->regions[index].stream,
                .state = TARN_BLOCK_CACHED,
            };
        }
        shown = info.address + info.size;
        if (visit(context, &info) != 0) return true;
    }
    return false;
}

/* Leaves out the blocks below that are memory of plans: those have the strategy's own name for a tag. */
typedef struct planned_visit {
    int (*visit)(void *context, const tarn_block_info *block);
    void *context;
} planned_visit;

static int pass_on(void *context, const tarn_block_info *block) {
    const planned_visit *visit = context;
    return block->tag == planned_strategy.name ? 0 : visit->visit(visit->context, block);
}

tarn_status planned_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                               void *context) {
    planned *self = planned_of(allocator);
    planned_visit below = {.visit = visit, .context = context};
    bool is_stopped = false;
    biased_way way = biased_lock_take(&self->lock);
    for (const planned_plan *plan = first_plan(self); plan != NULL; plan = plan_after(self, plan))
        for (uint32_t i = 0; i < plan->region_count && plan->has_memory && !is_stopped; i++)
            if (plan->regions[i].piece != NULL) is_stopped = show_region(plan, i, visit, context);
    biased_lock_leave(&self->lock, way);
    return is_stopped ? TARN_OK : memory_each_block_from(allocator->upstream, pass_on, &below);
}

static memory_block *live_at(const planned_plan *plan, uintptr_t address) {
    for (uint32_t i = 0; i < plan->count; i++) {
        memory_block *block = plan->entries[i].block;
        if (plan->entries[i].state == PLANNED_LIVE && (uintptr_t)block->address == address) return block;
    }
    return NULL;
}

tarn_status planned_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    planned *self = planned_of(allocator);
    memory_block *block = NULL;
    biased_way way = biased_lock_take(&self->lock);
    for (const planned_plan *plan = first_plan(self); plan != NULL && block == NULL; plan = plan_after(self, plan))
        block = live_at(plan, (uintptr_t)pointer);
    bool is_live = block != NULL && (atomic_load_explicit(&block->life, memory_order_acquire) & BLOCK_IS_LIVE) != 0;
    bool is_below = block == NULL && !is_piece(self, (uintptr_t)pointer);
    biased_lock_leave(&self->lock, way);
    if (is_below) return memory_find_from(allocator->upstream, pointer, out_block);
    if (!is_live) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: no live buffer begins at %p", allocator->spec,
                         tarn_device_name(allocator->device), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

/* What is wrong with a plan, or NULL; adds its live bytes. */
static const char *check_plan(const planned_plan *plan, uint64_t *inout_bytes, uint64_t *inout_blocks) {
    uint64_t live = 0, overlaps = 0, waiting = 0, listed = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        const planned_entry *entry = &plan->entries[i];
        bool is_used = entry->state != PLANNED_IDLE;
        if (is_used && (!plan->has_memory || plan->regions[entry->region].piece == NULL))
            return "a block lies in memory that is not there";
        if (entry->is_busy && !is_used) return "a place that nobody has is taken for busy";
        if (entry->offset + entry->size > plan->regions[entry->region].size && entry->block != NULL)
            return "a place lies outside its region";
        if (entry->state == PLANNED_LIVE) {
            live++;
            *inout_bytes += entry->size;
        } else if (is_used) {
            waiting++;
        }
    }
    for (const planned_entry *entry = plan->waiting; entry != NULL; entry = entry->next_waiting) listed++;
    for (uint32_t i = 0; i < plan->region_count; i++) (void)order_blocks(plan, i, &overlaps);
    *inout_blocks += live;
    if (overlaps != 0) return "blocks overlap";
    if (live != plan->live) return "live blocks are miscounted";
    return waiting == listed ? NULL : "a block that waits is in no list";
}

tarn_status planned_check(tarn_allocator *allocator) {
    planned *self = planned_of(allocator);
    const char *broken = NULL;
    uint64_t bytes = 0, blocks = 0;
    biased_way way = biased_lock_take(&self->lock);
    for (const planned_plan *plan = first_plan(self); plan != NULL && broken == NULL; plan = plan_after(self, plan))
        broken = check_plan(plan, &bytes, &blocks);
    const memory_tally *tally = &self->figures.tally;
    if (broken == NULL && (bytes > tally->in_use.current || blocks > tally->blocks.current))
        broken = "the blocks are miscounted";
    if (broken == NULL && tally->in_use.current > self->figures.held) broken = "the bytes held are miscounted";
    biased_lock_leave(&self->lock, way);
    return broken == NULL ? TARN_OK : base_fail(TARN_INTERNAL, "%s: %s", allocator->spec, broken);
}
