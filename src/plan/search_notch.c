/* The skyline's questions: which runs are notches, and what may lie in them. What is found out about a run is kept until a slot of it, or
 * a wall beside it, changes: a move changes a few slots, and there may be hundreds. */
#include "plan/search_skyline.h"

plan_skyline_span plan_skyline_with_walls(const plan_skyline *skyline, plan_skyline_span whole) {
    if (whole.lower > 0) whole.lower--;
    if (whole.upper < skyline->section->slot_count) whole.upper++;
    return whole;
}

void plan_skyline_forget(plan_skyline *skyline, plan_skyline_span changed) {
    changed = plan_skyline_with_walls(skyline, changed);
    for (uint32_t slot = changed.lower; slot < changed.upper; slot++) {
        skyline->runs[slot].is_known = false;
        skyline->runs[skyline->run_of[slot]].is_known = false;
    }
}

/* Whether a buffer may lie on the floor below it, all of which is open. Of plans that differ only in the order of equal
 * buffers, or in that of buffers of the same span right on top of each other, one is enough: the one in which the preferred is
 * placed first, or lies below. And where all of the floor is the end of waste, the buffer could slide down. */
static bool may_lie(const plan_skyline *skyline, uint32_t buffer) {
    const plan_section *section = skyline->section;
    if (skyline->is_placed[buffer]) return false;
    uint32_t twin = skyline->twin[buffer];
    if (twin != PLAN_SKYLINE_NONE && !skyline->is_placed[twin]) return false;
    uint32_t lower = section->lower[buffer], upper = section->upper[buffer];
    uint32_t below = skyline->slots[lower].top;
    if (below != PLAN_SKYLINE_NONE && section->upper[below] == upper && skyline->rank[below] > skyline->rank[buffer]) {
        return false;
    }
    for (uint32_t slot = lower; slot < upper; slot++) {
        if (skyline->slots[slot].is_solid) return true;
    }
    return false;
}

/* Writes the answers where there is room for them. */
static uint32_t list_answers(const plan_skyline *skyline, plan_skyline_span open, bool at_right,
                             uint32_t *out_buffers) {
    const plan_section *section = skyline->section;
    uint32_t slot = at_right ? open.upper - 1 : open.lower, count = 0;
    const uint32_t *first = at_right ? skyline->end_first : skyline->begin_first;
    const uint32_t *list = at_right ? skyline->ends : skyline->begins;
    for (uint32_t i = first[slot]; i < first[slot + 1]; i++) {
        uint32_t buffer = list[i];
        bool fits = at_right ? section->lower[buffer] >= open.lower : section->upper[buffer] <= open.upper;
        if (!fits || !may_lie(skyline, buffer)) continue;
        if (out_buffers != NULL) out_buffers[count] = buffer;
        count++;
    }
    return count;
}

uint32_t plan_skyline_count_answers(const plan_skyline *skyline, plan_skyline_span open, bool at_right) {
    return list_answers(skyline, open, at_right, NULL);
}

uint32_t plan_skyline_answers(const plan_skyline *skyline, const plan_skyline_run *notch, uint32_t *out_buffers) {
    return list_answers(skyline, notch->open, notch->asks_right, out_buffers);
}

/* The lower of the walls beside a run, UINT64_MAX where it has none. */
static uint64_t lower_wall(const plan_skyline *skyline, plan_skyline_span whole) {
    uint64_t wall = UINT64_MAX;
    if (whole.lower > 0) wall = skyline->slots[whole.lower - 1].floor;
    if (whole.upper < skyline->section->slot_count && skyline->slots[whole.upper].floor < wall) {
        wall = skyline->slots[whole.upper].floor;
    }
    return wall;
}

/* Looks at everything that may lie in a notch. False when more is wasted below the lower wall than may be: in a slot that what
 * fits in the notch cannot fill, or in a blocked one below the lowest top that there can be, `out_rise` above the floor. */
static bool can_be_filled(const plan_skyline *skyline, const plan_skyline_run *run, uint64_t wall, uint64_t *out_rise) {
    const plan_section *section = skyline->section;
    uint64_t rise = wall - skyline->slots[run->open.lower].floor, least = rise, fitting = 0;
    for (uint32_t slot = run->open.lower; slot < run->open.upper; slot++) {
        for (uint32_t i = skyline->begin_first[slot]; i < skyline->begin_first[slot + 1]; i++) {
            uint32_t buffer = skyline->begins[i];
            if (skyline->is_placed[buffer] || section->upper[buffer] > run->open.upper) continue;
            if (section->size[buffer] < least) least = section->size[buffer];
            fitting += section->size[buffer];
        }
        if (wall != UINT64_MAX && fitting < rise && skyline->slots[slot].slack < rise - fitting) return false;
        for (uint32_t i = skyline->end_first[slot]; i < skyline->end_first[slot + 1]; i++) {
            uint32_t buffer = skyline->ends[i];
            if (!skyline->is_placed[buffer] && section->lower[buffer] >= run->open.lower) {
                fitting -= section->size[buffer];
            }
        }
    }
    for (uint32_t slot = run->whole.lower; slot < run->whole.upper; slot++) {
        if (skyline->slots[slot].is_blocked && skyline->slots[slot].slack < least) return false;
    }
    *out_rise = least;
    return true;
}

/* Whether something is still to be placed in a slot. */
static bool is_wanted(const plan_skyline *skyline, uint32_t slot) {
    return skyline->slots[slot].floor + skyline->slots[slot].slack < skyline->target;
}

/* Counts the answers to a notch's questions, and chooses the question with fewer. */
static void ask(plan_skyline *skyline, plan_skyline_run *run) {
    uint64_t wall = lower_wall(skyline, run->whole), rise;
    if (wall == UINT64_MAX) {
        /* All slots are at one height. Where nothing is left to be placed, the section is full. */
        bool is_full = true;
        for (uint32_t slot = run->open.lower; slot < run->open.upper && is_full; slot++)
            is_full = !is_wanted(skyline, slot);
        run->answers = is_full ? UINT32_MAX : 0;
        if (is_full) return;
    }
    run->answers = 0;
    if (!can_be_filled(skyline, run, wall, &rise)) return;
    bool may_block[2];
    uint32_t answers[2];
    for (int right = 0; right < 2; right++) {
        uint32_t slot = right ? run->open.upper - 1 : run->open.lower;
        may_block[right] = skyline->slots[slot].slack >= rise;
        answers[right] = plan_skyline_count_answers(skyline, run->open, right) + may_block[right];
    }
    run->asks_right = answers[1] < answers[0];
    run->answers = answers[run->asks_right];
    run->may_block = may_block[run->asks_right];
}

/* Finds out about the run whose first open slot is `first`. */
static void look_at(plan_skyline *skyline, uint32_t first) {
    const plan_skyline_slot *slots = skyline->slots;
    uint32_t slot_count = skyline->section->slot_count, lower = first, upper = first + 1;
    uint64_t floor = slots[first].floor;
    plan_skyline_run run = {.answers = UINT32_MAX, .is_known = true};
    while (upper < slot_count && slots[upper].floor == floor && !slots[upper].is_blocked) upper++;
    run.open = (plan_skyline_span){first, upper};
    while (lower > 0 && slots[lower - 1].is_blocked && slots[lower - 1].floor == floor) lower--;
    while (upper < slot_count && slots[upper].is_blocked && slots[upper].floor == floor) upper++;
    run.whole = (plan_skyline_span){lower, upper};
    bool is_notch =
        (lower == 0 || slots[lower - 1].floor > floor) && (upper == slot_count || slots[upper].floor > floor);
    if (is_notch) ask(skyline, &run);
    for (uint32_t slot = lower; slot < upper; slot++) {
        skyline->runs[skyline->run_of[slot]].is_known = false;
        skyline->run_of[slot] = first;
    }
    skyline->runs[first] = run;
}

const plan_skyline_run *plan_skyline_notch(plan_skyline *skyline) {
    const plan_skyline_run *best = NULL;
    uint32_t slot = 0;
    while (slot < skyline->section->slot_count) {
        if (skyline->slots[slot].is_blocked) {
            slot++;
            continue;
        }
        plan_skyline_run *run = &skyline->runs[slot];
        if (!run->is_known) look_at(skyline, slot);
        slot = run->open.upper;
        if (run->answers == UINT32_MAX) continue;
        if (run->answers == 0) return run;
        bool is_better = best == NULL || (run->answers == 1 && best->answers > 1);
        if (!is_better && (run->answers == 1 || best->answers > 1)) {
            is_better = skyline->slots[run->open.lower].floor < skyline->slots[best->open.lower].floor;
        }
        if (is_better) best = run;
    }
    return best;
}
