/* Taking and giving back the memory of plans; see planned_memory.h. */
#include "memory/planned_memory.h"

#include <stdio.h>

#include "base/status.h"
#include "hal/device.h"

/* Places. */

void planned_memory_set_busy(planned_entry *entry) {
    if (entry->is_busy) return;
    entry->is_busy = true;
    entry->range.start = (uintptr_t)entry->block->address;
    entry->range.size = entry->size;
    base_range_insert(&entry->plan->busy, &entry->range);
}

static void set_idle(planned_entry *entry) {
    planned_plan *plan = entry->plan;
    if (entry->is_busy) (void)base_range_remove(&plan->busy, entry->range.start);
    entry->is_busy = false;
    entry->state = PLANNED_IDLE;
}

void planned_memory_free(planned *self, planned_entry *entry, bool is_lost) {
    memory_block *block = entry->block;
    entry->plan->live--;
    if (block->uses == NULL && !is_lost) {
        set_idle(entry);
        return;
    }
    direct_streams_ask_anew(&self->streams, block->uses);
    (void)direct_streams_are_idle(&self->streams, block->uses, DIRECT_NO_STREAM);
    entry->state = is_lost ? PLANNED_LOST : PLANNED_WAITING;
    planned_memory_set_busy(entry);
    entry->next_waiting = entry->plan->waiting;
    entry->plan->waiting = entry;
}

static void forget_uses(memory_block *block) {
    direct_uses_free(block->uses);
    block->uses = NULL;
}

void planned_memory_poll(planned *self, planned_plan *plan) {
    for (planned_entry **link = &plan->waiting; *link != NULL;) {
        planned_entry *entry = *link;
        if (entry->state == PLANNED_LOST ||
            !direct_streams_are_idle(&self->streams, entry->block->uses, DIRECT_NO_STREAM)) {
            link = &entry->next_waiting;
            continue;
        }
        *link = entry->next_waiting;
        forget_uses(entry->block);
        set_idle(entry);
    }
}

/* The memory as a whole. */

void planned_memory_attach(planned_plan *plan) {
    plan->has_memory = true;
    for (uint32_t i = 0; i < plan->count; i++) {
        planned_entry *entry = &plan->entries[i];
        if (entry->block == NULL) continue;
        entry->block->address = (char *)plan->regions[entry->region].piece->address + entry->offset;
    }
}

/* Waits for all that still use a piece that could not be given back. */
static tarn_status wait_for_uses(planned *self, planned_region *region) {
    tarn_status status = region->is_lost ? tarn_device_synchronize(self->base.device)
                                         : direct_streams_wait(&self->streams, region->uses);
    if (!direct_work_has_ended(status)) return status;
    direct_uses_free(region->uses);
    region->uses = NULL;
    region->is_lost = false;
    return TARN_OK;
}

static tarn_status take_piece(planned *self, planned_region *region) {
    if (region->piece != NULL) return wait_for_uses(self, region);
    direct_stream *held = direct_streams_hold(&self->streams, region->stream);
    if (held == NULL) {
        return base_fail(TARN_INVALID_STATE, "%s: stream %u, which was planned for, has ended",
                         tarn_device_name(self->base.device), region->stream);
    }
    memory_block *piece;
    tarn_status status = upstream_take(&self->base, region->size, region->alignment, held->stream, &piece);
    direct_streams_hold_end(&self->streams, held);
    if (status != TARN_OK) return status;
    biased_way way = biased_lock_take(&self->lock);
    region->piece = piece;
    memory_figures_take(&self->figures, piece->capacity);
    biased_lock_leave(&self->lock, way);
    return TARN_OK;
}

tarn_status planned_memory_take(planned *self, planned_plan *plan) {
    tarn_status status = TARN_OK;
    size_t bytes = 0;
    for (uint32_t i = 0; i < plan->region_count && status == TARN_OK; i++)
        if (plan->regions[i].size != 0) status = take_piece(self, &plan->regions[i]);
    if (status == TARN_OK) return TARN_OK;
    /* Giving back may fail too; the sentence that counts is the first one. */
    char sentence[512];
    snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
    (void)planned_memory_give(self, plan, false, &bytes);
    return base_fail(status, "%s", sentence);
}

/* Hands the uses of places that wait to their regions. */
static void gather_uses(planned_plan *plan) {
    while (plan->waiting != NULL) {
        planned_entry *entry = plan->waiting;
        planned_region *region = &plan->regions[entry->region];
        plan->waiting = entry->next_waiting;
        region->is_lost = region->is_lost || entry->state == PLANNED_LOST;
        direct_use **end = &region->uses;
        while (*end != NULL) end = &(*end)->next;
        *end = entry->block->uses;
        entry->block->uses = NULL;
        set_idle(entry);
    }
}

void planned_memory_detach(planned *self, planned_plan *plan) {
    planned_memory_poll(self, plan);
    gather_uses(plan);
    plan->has_memory = false;
}

/* Sees to it that the element below waits for all that still use the piece, or waits here. */
static tarn_status share_uses(planned *self, planned_region *region) {
    if (region->is_lost) return wait_for_uses(self, region);
    return upstream_share(&self->streams, region->piece, region->uses);
}

static tarn_status give_piece(planned *self, planned_region *region, bool in_any_case, size_t *inout_bytes) {
    tarn_status status = share_uses(self, region);
    if (status != TARN_OK && !in_any_case) return status;
    memory_block *piece = region->piece;
    biased_way way = biased_lock_take(&self->lock);
    region->piece = NULL;
    memory_figures_give(&self->figures, piece->capacity);
    biased_lock_leave(&self->lock, way);
    direct_uses_free(region->uses);
    region->uses = NULL;
    region->is_lost = false;
    *inout_bytes += piece->capacity;
    tarn_status given = upstream_give(&self->base, piece);
    return status != TARN_OK ? status : given;
}

tarn_status planned_memory_give(planned *self, planned_plan *plan, bool in_any_case, size_t *inout_bytes) {
    tarn_status first = TARN_OK;
    for (uint32_t i = 0; i < plan->region_count; i++) {
        if (plan->regions[i].piece == NULL) continue;
        tarn_status status = give_piece(self, &plan->regions[i], in_any_case, inout_bytes);
        if (first == TARN_OK) first = status;
    }
    return first;
}
