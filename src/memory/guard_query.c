/* What can be asked of a guard: figures, where an address lies, and blocks, each as its caller knows it and not as the element below
 * does. */
#include "memory/guard.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/stack.h"

tarn_status guard_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    guard *self = guard_of(allocator);
    tarn_status status = memory_stats_below(allocator, out_stats);
    if (status != TARN_OK) return status;
    size_t room = guard_overhead(self);
    out_stats->largest_free_block = out_stats->largest_free_block > room ? out_stats->largest_free_block - room : 0;
    out_stats->device_waits = saturating_add(out_stats->device_waits, direct_streams_waits(&self->streams));
    pthread_mutex_lock(&self->lock);
    uint64_t reserved = out_stats->reserved_bytes.current, in_use = self->tally.in_use.current;
    memory_figure_set(&self->cached, reserved > in_use ? reserved - in_use : 0);
    memory_tally_fill(&self->tally, out_stats);
    out_stats->cached_bytes = self->cached;
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

tarn_status guard_reset_peaks(tarn_allocator *allocator) {
    guard *self = guard_of(allocator);
    pthread_mutex_lock(&self->lock);
    memory_tally_reset_peaks(&self->tally);
    memory_figure_reset_peak(&self->cached);
    pthread_mutex_unlock(&self->lock);
    return tarn_allocator_reset_peaks(allocator->upstream);
}

/* The live buffer whose block holds the address; NULL where there is none. Must be called with the lock held. */
static guard_entry *live_at(guard *self, const void *pointer) {
    base_range *range = base_range_containing(self->known, (uintptr_t)pointer);
    if (range == NULL || guard_entry_of(range)->state != GUARD_LIVE) return NULL;
    return guard_entry_of(range);
}

tarn_status guard_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    guard *self = guard_of(allocator);
    pthread_mutex_lock(&self->lock);
    guard_entry *entry = live_at(self, pointer);
    memory_block *block = entry != NULL && entry->block->address == pointer ? entry->block : NULL;
    pthread_mutex_unlock(&self->lock);
    if (block == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: no live buffer starts at %p", allocator->spec,
                         memory_device_name(allocator), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

tarn_status guard_containing(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    guard *self = guard_of(allocator);
    pthread_mutex_lock(&self->lock);
    guard_entry *entry = live_at(self, pointer);
    memory_block *block = entry != NULL ? entry->block : NULL;
    pthread_mutex_unlock(&self->lock);
    if (block == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: %p lies in no live buffer", allocator->spec,
                         memory_device_name(allocator), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

/* The live buffers by the address of their inner blocks, as they were when a visit began. */
typedef struct guard_sight {
    uint64_t inner, address, size;
} guard_sight;

typedef struct guard_visit {
    guard_sight *sights;
    size_t count;
    int (*visit)(void *context, const tarn_block_info *block);
    void *context;
} guard_visit;

/* An inner block that is in use is shown as the buffer in it, or as pending when that has been freed. */
static int show(void *context, const tarn_block_info *block) {
    const guard_visit *visit = context;
    tarn_block_info shown = *block;
    if (block->state == TARN_BLOCK_IN_USE) {
        size_t low = 0, high = visit->count;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (visit->sights[middle].inner < block->address) low = middle + 1;
            else high = middle;
        }
        bool is_live = low < visit->count && visit->sights[low].inner == block->address;
        if (is_live) {
            shown.address = visit->sights[low].address;
            shown.size = visit->sights[low].size;
        } else {
            shown.state = TARN_BLOCK_PENDING;
        }
        shown.requested = is_live ? shown.size : 0;
    }
    return visit->visit(visit->context, &shown);
}

tarn_status guard_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *), void *context) {
    guard *self = guard_of(allocator);
    guard_visit inner = {.visit = visit, .context = context};
    pthread_mutex_lock(&self->lock);
    size_t room = (size_t)self->tally.blocks.current;
    inner.sights = base_allocate(room + 1, sizeof *inner.sights);
    base_range *range = inner.sights != NULL ? base_range_after(self->known, 0) : NULL;
    for (; range != NULL && inner.count < room; range = base_range_after(self->known, range->start)) {
        const guard_entry *entry = guard_entry_of(range);
        if (entry->state != GUARD_LIVE) continue;
        inner.sights[inner.count++] = (guard_sight){range->start, (uintptr_t)entry->record.address, entry->record.size};
    }
    pthread_mutex_unlock(&self->lock);
    if (inner.sights == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to show %zu blocks", allocator->spec, room);
    }
    tarn_status status = memory_each_block_from(allocator->upstream, show, &inner);
    base_free(inner.sights);
    return status;
}
