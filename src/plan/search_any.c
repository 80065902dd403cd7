/* The search by ascending offset; see search_any.h. A node tries the buffers that are left, the lowest first and of those at the same
 * offset the preferred first, so that what was tried last says what comes next, and no list is kept. */
#include "plan/search_any.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "plan/load.h"

#define FIRST_CHANGES 1024
/* Steps between two looks at the watch. */
#define STEPS_PER_LOOK 32
#define NOBODY UINT32_MAX

static bool has_windows(const plan_section *section) {
    if (section->first_piece == NULL) return false;
    for (uint32_t i = 0; i < section->count; i++) {
        for (uint32_t j = section->first_piece[i]; j < section->first_piece[i + 1]; j++) {
            if (section->pieces[j].bottom != 0 || section->pieces[j].top != section->size[i]) return true;
        }
    }
    return false;
}

tarn_status plan_search_any_begin(plan_search_any *any, const plan_section *section) {
    uint32_t count = section->count, slots = section->slot_count;
    *any =
        (plan_search_any){.section = section, .is_complete = !has_windows(section), .change_capacity = FIRST_CHANGES};
    any->rank = base_allocate(count, sizeof *any->rank);
    any->is_placed = base_allocate(count, sizeof *any->is_placed);
    any->offset = base_allocate(count, sizeof *any->offset);
    any->least = base_allocate(count, sizeof *any->least);
    any->load = base_allocate(slots, sizeof *any->load);
    any->floor = base_allocate(slots, sizeof *any->floor);
    any->rest = base_allocate(slots, sizeof *any->rest);
    any->path = base_allocate(count, sizeof *any->path);
    any->marks = base_allocate(count, sizeof *any->marks);
    any->changes = base_allocate(FIRST_CHANGES, sizeof *any->changes);
    if (any->rank == NULL || any->is_placed == NULL || any->offset == NULL || any->least == NULL || any->load == NULL ||
        any->floor == NULL || any->rest == NULL || any->path == NULL || any->marks == NULL || any->changes == NULL) {
        plan_search_any_end(any);
        return base_fail(TARN_OUT_OF_MEMORY, "planning %u buffers: no host memory for the search", count);
    }
    plan_load(section, any->load);
    return TARN_OK;
}

void plan_search_any_end(plan_search_any *any) {
    base_free(any->rank);
    base_free(any->is_placed);
    base_free(any->offset);
    base_free(any->least);
    base_free(any->load);
    base_free(any->floor);
    base_free(any->rest);
    base_free(any->path);
    base_free(any->marks);
    base_free(any->changes);
}

/* The pieces of a buffer; the one that is the whole buffer is made for it. */
static uint32_t pieces_of(const plan_section *section, uint32_t buffer, plan_piece *whole, const plan_piece **out) {
    if (section->first_piece != NULL) {
        *out = section->pieces + section->first_piece[buffer];
        return section->first_piece[buffer + 1] - section->first_piece[buffer];
    }
    *whole = (plan_piece){section->lower[buffer], section->upper[buffer], 0, section->size[buffer]};
    *out = whole;
    return 1;
}

static bool note(plan_search_any *any, uint64_t *values, uint32_t index, bool is_slot, uint64_t value) {
    if (any->change_count == any->change_capacity) {
        plan_search_change *grown = base_reallocate(any->changes, any->change_capacity * 2, sizeof *grown);
        if (grown == NULL) return false;
        any->changes = grown;
        any->change_capacity *= 2;
    }
    any->changes[any->change_count++] = (plan_search_change){values[index], index, is_slot};
    values[index] = value;
    return true;
}

/* How far above `below` the buffer `above` has to lie: the most, in the slots where both are needed, that one ends above the other's
 * beginning. False when there are none. */
static bool distance(const plan_section *section, uint32_t below, uint32_t above, int64_t *out_distance) {
    if (section->lower[below] >= section->upper[above] || section->lower[above] >= section->upper[below]) return false;
    plan_piece wholes[2];
    const plan_piece *a, *b;
    uint32_t a_count = pieces_of(section, below, &wholes[0], &a), b_count = pieces_of(section, above, &wholes[1], &b);
    bool meet = false;
    for (uint32_t i = 0, j = 0; i < a_count && j < b_count;) {
        if (a[i].lower < b[j].upper && b[j].lower < a[i].upper) {
            int64_t gap = (int64_t)a[i].top - (int64_t)b[j].bottom;
            if (!meet || gap > *out_distance) *out_distance = gap;
            meet = true;
        }
        if (a[i].upper < b[j].upper) {
            i++;
        } else {
            j++;
        }
    }
    return meet;
}

/* Whether everything that is left could still end below the target, each slot looked at by itself. */
static bool has_room(const plan_search_any *any, uint64_t offset) {
    for (uint32_t slot = 0; slot < any->section->slot_count; slot++) {
        if (any->rest[slot] == 0) continue;
        uint64_t floor = any->floor[slot] > offset ? any->floor[slot] : offset;
        if (floor + any->rest[slot] > any->target) return false;
    }
    return true;
}

/* Raises what shares a slot with the buffer that has just been placed. */
static plan_skyline_move raise_others(plan_search_any *any, uint32_t buffer) {
    const plan_section *section = any->section;
    for (uint32_t other = 0; other < section->count; other++) {
        int64_t gap = 0;
        if (any->is_placed[other] || !distance(section, buffer, other, &gap)) continue;
        int64_t least = (int64_t)any->offset[buffer] + gap;
        if (least <= (int64_t)any->least[other]) continue;
        uint64_t unaligned = (uint64_t)least % section->alignment[other], raised = (uint64_t)least;
        if (unaligned != 0) raised += section->alignment[other] - unaligned;
        if (!note(any, any->least, other, false, raised)) return PLAN_SKYLINE_NO_MEMORY;
        if (raised + section->size[other] > any->target) return PLAN_SKYLINE_DEAD;
    }
    return PLAN_SKYLINE_MOVED;
}

static plan_skyline_move place(plan_search_any *any, uint32_t depth, uint32_t buffer) {
    const plan_section *section = any->section;
    uint64_t fixed = section->fixed[buffer], offset = fixed == TARN_PLAN_ANYWHERE ? any->least[buffer] : fixed;
    any->path[depth] = buffer;
    any->marks[depth] = any->change_count;
    any->is_placed[buffer] = true;
    any->offset[buffer] = offset;
    plan_piece whole;
    const plan_piece *pieces;
    uint32_t count = pieces_of(section, buffer, &whole, &pieces);
    /* All of `rest` first: that is what taking back undoes whatever happened after it. */
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t slot = pieces[i].lower; slot < pieces[i].upper; slot++)
            any->rest[slot] -= pieces[i].top - pieces[i].bottom;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t slot = pieces[i].lower; slot < pieces[i].upper; slot++) {
            if (!note(any, any->floor, slot, true, offset + pieces[i].top)) return PLAN_SKYLINE_NO_MEMORY;
        }
    }
    if (offset + section->size[buffer] > any->target || !has_room(any, offset)) return PLAN_SKYLINE_DEAD;
    return raise_others(any, buffer);
}

static void take_back(plan_search_any *any, uint32_t depth) {
    uint32_t buffer = any->path[depth];
    while (any->change_count > any->marks[depth]) {
        const plan_search_change *last = &any->changes[--any->change_count];
        if (last->is_slot) {
            any->floor[last->index] = last->was;
        } else {
            any->least[last->index] = last->was;
        }
    }
    plan_piece whole;
    const plan_piece *pieces;
    uint32_t count = pieces_of(any->section, buffer, &whole, &pieces);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t slot = pieces[i].lower; slot < pieces[i].upper; slot++)
            any->rest[slot] += pieces[i].top - pieces[i].bottom;
    }
    any->is_placed[buffer] = false;
}

/* Whether the buffer comes after the other, at these offsets. */
static bool is_after(const plan_search_any *any, uint32_t buffer, uint64_t offset, uint32_t other,
                     uint64_t other_offset) {
    if (offset != other_offset) return offset > other_offset;
    return any->rank[buffer] > any->rank[other];
}

/* The next buffer to be tried after the one that was tried or placed last (NOBODY: none was). None may lie above the lowest top that
 * another could have: that one could lie below it. And none above a fixed one that has not been placed. */
static uint32_t next_buffer(const plan_search_any *any, uint32_t last, uint64_t last_offset) {
    const plan_section *section = any->section;
    uint32_t next = NOBODY;
    uint64_t next_offset = 0, limit = UINT64_MAX;
    for (uint32_t i = 0; i < section->count; i++) {
        if (any->is_placed[i]) continue;
        uint64_t offset = any->least[i], fixed = section->fixed[i];
        if (fixed != TARN_PLAN_ANYWHERE) {
            if (offset > fixed) return NOBODY;
            offset = fixed;
            if (offset < limit) limit = offset;
        } else if (offset + section->size[i] - 1 < limit) {
            limit = offset + section->size[i] - 1;
        }
        if (last != NOBODY && !is_after(any, i, offset, last, last_offset)) continue;
        if (next != NOBODY && is_after(any, i, offset, next, next_offset)) continue;
        next = i;
        next_offset = offset;
    }
    return next_offset > limit ? NOBODY : next;
}

static void reset(plan_search_any *any, const uint32_t *order, uint64_t target) {
    const plan_section *section = any->section;
    for (uint32_t i = 0; i < section->count; i++) any->rank[order[i]] = i;
    memset(any->is_placed, 0, section->count * sizeof *any->is_placed);
    memset(any->least, 0, section->count * sizeof *any->least);
    memset(any->floor, 0, section->slot_count * sizeof *any->floor);
    memcpy(any->rest, any->load, section->slot_count * sizeof *any->rest);
    any->target = target;
    any->change_count = 0;
}

plan_search_end plan_search_any_run(plan_search_any *any, const uint32_t *order, uint64_t target,
                                    const plan_search_limit *limit) {
    uint32_t depth = 0, last = NOBODY;
    uint64_t last_offset = 0, dead_ends = 0;
    reset(any, order, target);
    for (uint64_t step = 1; depth < any->section->count; step++) {
        if (step % STEPS_PER_LOOK == 0 && plan_search_is_over(limit, target)) return PLAN_SEARCH_STOPPED;
        uint32_t buffer = next_buffer(any, last, last_offset);
        if (buffer == NOBODY) {
            if (++dead_ends > limit->dead_ends) return PLAN_SEARCH_TIRED;
            if (depth == 0) return any->is_complete ? PLAN_SEARCH_IMPOSSIBLE : PLAN_SEARCH_EXHAUSTED;
            last = any->path[--depth];
            last_offset = any->offset[last];
            take_back(any, depth);
            continue;
        }
        plan_skyline_move move = place(any, depth, buffer);
        if (move == PLAN_SKYLINE_NO_MEMORY) return PLAN_SEARCH_NO_MEMORY;
        last = buffer;
        last_offset = any->offset[buffer];
        if (move == PLAN_SKYLINE_MOVED) {
            depth++;
        } else {
            take_back(any, depth);
        }
    }
    return PLAN_SEARCH_FOUND;
}
