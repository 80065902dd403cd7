/* The skyline's moves: put a buffer down, block slots, take back. See search_skyline.h for the idea. */
#include "plan/search_skyline.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "plan/load.h"

#define FIRST_CHANGES 1024

tarn_status plan_skyline_begin(plan_skyline *skyline, const plan_section *section) {
    uint32_t count = section->count, slots = section->slot_count;
    *skyline = (plan_skyline){.section = section, .change_capacity = FIRST_CHANGES};
    skyline->rank = base_allocate(count, sizeof *skyline->rank);
    skyline->twin = base_allocate(count, sizeof *skyline->twin);
    skyline->is_placed = base_allocate(count, sizeof *skyline->is_placed);
    skyline->offset = base_allocate(count, sizeof *skyline->offset);
    skyline->begin_first = base_allocate((size_t)slots + 1, sizeof *skyline->begin_first);
    skyline->begins = base_allocate(count, sizeof *skyline->begins);
    skyline->end_first = base_allocate((size_t)slots + 1, sizeof *skyline->end_first);
    skyline->ends = base_allocate(count, sizeof *skyline->ends);
    skyline->load = base_allocate(slots, sizeof *skyline->load);
    skyline->slots = base_allocate(slots, sizeof *skyline->slots);
    skyline->runs = base_allocate(slots, sizeof *skyline->runs);
    skyline->run_of = base_allocate(slots, sizeof *skyline->run_of);
    skyline->changes = base_allocate(FIRST_CHANGES, sizeof *skyline->changes);
    if (skyline->rank == NULL || skyline->twin == NULL || skyline->is_placed == NULL || skyline->offset == NULL ||
        skyline->begin_first == NULL || skyline->begins == NULL || skyline->end_first == NULL ||
        skyline->ends == NULL || skyline->load == NULL || skyline->slots == NULL || skyline->runs == NULL ||
        skyline->run_of == NULL || skyline->changes == NULL) {
        plan_skyline_end(skyline);
        return base_fail(TARN_OUT_OF_MEMORY, "planning %u buffers: no host memory for the search", count);
    }
    for (uint32_t i = 0; i < count; i++) {
        skyline->begin_first[section->lower[i] + 1]++;
        skyline->end_first[section->upper[i]]++;
    }
    plan_load(section, skyline->load);
    for (uint32_t slot = 0; slot < slots; slot++) {
        skyline->begin_first[slot + 1] += skyline->begin_first[slot];
        skyline->end_first[slot + 1] += skyline->end_first[slot];
    }
    return TARN_OK;
}

void plan_skyline_end(plan_skyline *skyline) {
    base_free(skyline->rank);
    base_free(skyline->twin);
    base_free(skyline->is_placed);
    base_free(skyline->offset);
    base_free(skyline->begin_first);
    base_free(skyline->begins);
    base_free(skyline->end_first);
    base_free(skyline->ends);
    base_free(skyline->load);
    base_free(skyline->slots);
    base_free(skyline->runs);
    base_free(skyline->run_of);
    base_free(skyline->changes);
}

/* Sorts buffers into the lists of their first and last slots, by rank. The number of those already in a list is kept where the list
 * ends while it grows: in `twin`, which is filled after that. */
static void list_by_slot(plan_skyline *skyline, const uint32_t *order, const uint32_t *slot_of, uint32_t back,
                         const uint32_t *first, uint32_t *list) {
    uint32_t *listed = skyline->run_of;
    memset(listed, 0, skyline->section->slot_count * sizeof *listed);
    for (uint32_t i = 0; i < skyline->section->count; i++) {
        uint32_t slot = slot_of[order[i]] - back;
        list[first[slot] + listed[slot]++] = order[i];
    }
}

static void find_twins(plan_skyline *skyline) {
    const plan_section *section = skyline->section;
    for (uint32_t slot = 0; slot < section->slot_count; slot++) {
        uint32_t first = skyline->begin_first[slot], end = skyline->begin_first[slot + 1];
        for (uint32_t i = first; i < end; i++) {
            uint32_t buffer = skyline->begins[i], twin = PLAN_SKYLINE_NONE;
            for (uint32_t j = i; j > first && twin == PLAN_SKYLINE_NONE; j--) {
                uint32_t other = skyline->begins[j - 1];
                if (section->upper[other] == section->upper[buffer] && section->size[other] == section->size[buffer]) {
                    twin = other;
                }
            }
            skyline->twin[buffer] = twin;
        }
    }
}

bool plan_skyline_reset(plan_skyline *skyline, const uint32_t *order, uint64_t target) {
    const plan_section *section = skyline->section;
    for (uint32_t i = 0; i < section->count; i++) skyline->rank[order[i]] = i;
    list_by_slot(skyline, order, section->lower, 0, skyline->begin_first, skyline->begins);
    list_by_slot(skyline, order, section->upper, 1, skyline->end_first, skyline->ends);
    find_twins(skyline);
    memset(skyline->is_placed, 0, section->count * sizeof *skyline->is_placed);
    skyline->placed_count = 0;
    skyline->change_count = 0;
    skyline->target = target;
    for (uint32_t slot = 0; slot < section->slot_count; slot++) {
        if (skyline->load[slot] > target) return false;
        skyline->slots[slot] =
            (plan_skyline_slot){.slack = target - skyline->load[slot], .top = PLAN_SKYLINE_NONE, .is_solid = true};
        skyline->runs[slot].is_known = false;
        skyline->run_of[slot] = slot;
    }
    return true;
}

/* Makes room for `count` changes more. */
static bool reserve_changes(plan_skyline *skyline, size_t count) {
    size_t needed = skyline->change_count + count;
    if (needed <= skyline->change_capacity) return true;
    size_t capacity = needed * 2;
    plan_skyline_change *grown = base_reallocate(skyline->changes, capacity, sizeof *grown);
    if (grown == NULL) return false;
    skyline->changes = grown;
    skyline->change_capacity = capacity;
    return true;
}

static plan_skyline_slot *change(plan_skyline *skyline, uint32_t slot) {
    skyline->changes[skyline->change_count++] = (plan_skyline_change){slot, skyline->slots[slot]};
    return &skyline->slots[slot];
}

static bool is_blocked_at(const plan_skyline *skyline, uint32_t slot, uint64_t floor) {
    return skyline->slots[slot].is_blocked && skyline->slots[slot].floor == floor;
}

/* Turns the blocked slots around `slot`, which are hemmed in, into waste up to the lower of their walls. */
static plan_skyline_move raise_blocked(plan_skyline *skyline, uint32_t slot, plan_skyline_span *changed,
                                       plan_skyline_span *out_reason) {
    uint32_t slot_count = skyline->section->slot_count, lower = slot, upper = slot + 1;
    uint64_t floor = skyline->slots[slot].floor, wall = UINT64_MAX;
    while (lower > 0 && is_blocked_at(skyline, lower - 1, floor)) lower--;
    while (upper < slot_count && is_blocked_at(skyline, upper, floor)) upper++;
    if (lower > 0) wall = skyline->slots[lower - 1].floor;
    if (upper < slot_count && skyline->slots[upper].floor < wall) wall = skyline->slots[upper].floor;
    *out_reason = plan_skyline_with_walls(skyline, (plan_skyline_span){lower, upper});
    if (lower < changed->lower) changed->lower = lower;
    if (upper > changed->upper) changed->upper = upper;
    for (uint32_t i = lower; i < upper; i++) {
        if (skyline->slots[i].slack < wall - floor) return PLAN_SKYLINE_DEAD;
    }
    if (!reserve_changes(skyline, upper - lower)) return PLAN_SKYLINE_NO_MEMORY;
    for (uint32_t i = lower; i < upper; i++) {
        plan_skyline_slot *raised = change(skyline, i);
        *raised = (plan_skyline_slot){.floor = wall, .slack = raised->slack - (wall - floor), .top = PLAN_SKYLINE_NONE};
    }
    return PLAN_SKYLINE_MOVED;
}

plan_skyline_move plan_skyline_place(plan_skyline *skyline, uint32_t buffer, plan_skyline_span *out_changed,
                                     plan_skyline_span *out_reason) {
    const plan_section *section = skyline->section;
    plan_skyline_span span = {section->lower[buffer], section->upper[buffer]};
    uint64_t floor = skyline->slots[span.lower].floor, top = floor + section->size[buffer];
    *out_changed = span;
    skyline->is_placed[buffer] = true;
    skyline->offset[buffer] = floor;
    skyline->placed_count++;
    if (!reserve_changes(skyline, span.upper - span.lower)) return PLAN_SKYLINE_NO_MEMORY;
    for (uint32_t slot = span.lower; slot < span.upper; slot++) {
        plan_skyline_slot *covered = change(skyline, slot);
        *covered =
            (plan_skyline_slot){.floor = top, .slack = covered->slack, .top = PLAN_SKYLINE_NONE, .is_solid = true};
    }
    skyline->slots[span.lower].top = buffer;
    plan_skyline_move move = PLAN_SKYLINE_MOVED;
    if (span.lower > 0 && is_blocked_at(skyline, span.lower - 1, floor)) {
        move = raise_blocked(skyline, span.lower - 1, out_changed, out_reason);
    }
    if (move == PLAN_SKYLINE_MOVED && span.upper < section->slot_count && is_blocked_at(skyline, span.upper, floor)) {
        move = raise_blocked(skyline, span.upper, out_changed, out_reason);
    }
    plan_skyline_forget(skyline, *out_changed);
    return move;
}

plan_skyline_move plan_skyline_block(plan_skyline *skyline, const plan_skyline_run *notch,
                                     plan_skyline_span *out_changed, plan_skyline_span *out_reason) {
    plan_skyline_span open = notch->open;
    uint32_t first = notch->asks_right ? open.upper - 1 : open.lower;
    bool at_right = notch->asks_right;
    *out_changed = (plan_skyline_span){first, first + 1};
    if (!reserve_changes(skyline, open.upper - open.lower)) return PLAN_SKYLINE_NO_MEMORY;
    do {
        uint32_t slot = at_right ? --open.upper : open.lower++;
        change(skyline, slot)->is_blocked = true;
        if (slot < out_changed->lower) out_changed->lower = slot;
        if (slot >= out_changed->upper) out_changed->upper = slot + 1;
    } while (open.lower < open.upper && plan_skyline_count_answers(skyline, open, at_right) == 0);
    plan_skyline_move move = PLAN_SKYLINE_MOVED;
    if (open.lower == open.upper) move = raise_blocked(skyline, first, out_changed, out_reason);
    plan_skyline_forget(skyline, *out_changed);
    return move;
}

void plan_skyline_undo(plan_skyline *skyline, size_t change_count, plan_skyline_span changed, uint32_t buffer) {
    plan_skyline_forget(skyline, changed);
    while (skyline->change_count > change_count) {
        const plan_skyline_change *last = &skyline->changes[--skyline->change_count];
        skyline->slots[last->slot] = last->was;
    }
    if (buffer == PLAN_SKYLINE_NONE) return;
    skyline->is_placed[buffer] = false;
    skyline->placed_count--;
}
