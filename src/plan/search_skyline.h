/* The skyline: how high each slot of a section is filled from below while a plan is sought, and what can be done next.
 *
 * A run is a longest row of neighbouring slots of the same height; where both of its neighbours are higher it is a notch. What is put
 * on the floor of a notch lies between its walls, and what covers its first slot begins there. So a notch asks a
 * question with few answers: which of the buffers that begin at its first slot and end before its right wall lies there, or does
 * nothing lie there? Its last slot asks the same of the buffers that end there. Each notch may be asked, in any order, for every plan
 * whose buffers cannot slide down answers each question in one way.
 *
 * A slot where nothing is to lie on the floor is blocked. When the blocked slots are hemmed in by higher ones, what is between them and
 * the lower wall is waste: buffers that would fit there could slide down. What may be wasted in a slot is known: the
 * target height less the bytes that live in it. In the fullest slots that is nothing, or little. */
#ifndef PLAN_SEARCH_PLAN_SKYLINE_H
#define PLAN_SEARCH_PLAN_SKYLINE_H

#include "plan/problem.h"

#define PLAN_SKYLINE_NONE UINT32_MAX

typedef struct plan_skyline_slot {
    uint64_t floor; /* everything below is decided */
    uint64_t slack; /* bytes that may still be wasted: target less floor less what is still to be placed here */
    uint32_t top;   /* the buffer that begins at this slot and is its topmost; PLAN_SKYLINE_NONE: another one or none */
    bool is_blocked; /* nothing is to lie on this floor */
    bool is_solid;   /* the floor is a buffer, or the ground; not the end of waste */
} plan_skyline_slot;

/* A slot as it was before a change. */
typedef struct plan_skyline_change {
    uint32_t slot;
    plan_skyline_slot was;
} plan_skyline_change;

/* Slots [lower, upper). */
typedef struct plan_skyline_span {
    uint32_t lower, upper;
} plan_skyline_span;

/* What is known about a run, by its first slot that is not blocked. A notch that can be no part of any plan has no answers; a run that is
 * no notch has UINT32_MAX of them. */
typedef struct plan_skyline_run {
    plan_skyline_span open;  /* its slots that are not blocked */
    plan_skyline_span whole; /* with those that are blocked beside them */
    uint32_t answers;
    bool asks_right; /* the last slot's question has fewer answers than the first's */
    bool may_block;  /* that nothing lies there is one of the answers */
    bool is_known;
} plan_skyline_run;

typedef struct plan_skyline {
    const plan_section *section;
    uint64_t target;
    uint32_t placed_count;
    uint32_t *rank; /* of each buffer in the order of preference */
    uint32_t *twin; /* the buffer of the same span and size that comes before it in rank; PLAN_SKYLINE_NONE */
    bool *is_placed;
    uint64_t *offset;               /* of those that are placed */
    uint32_t *begin_first, *begins; /* the buffers that begin at slot i, by rank: begins[begin_first[i]] … */
    uint32_t *end_first, *ends;     /* those whose last slot is i */
    uint64_t *load;                 /* bytes that live in each slot */
    plan_skyline_slot *slots;
    plan_skyline_run *runs;       /* by first open slot */
    uint32_t *run_of;             /* the run that a slot was last seen in */
    plan_skyline_change *changes; /* to be undone, the last first */
    size_t change_count, change_capacity;
} plan_skyline;

/* OUT_OF_MEMORY; there is nothing to end then. Only for sections without gaps, fixed offsets and alignments of their own. */
tarn_status plan_skyline_begin(plan_skyline *skyline, const plan_section *section);
void plan_skyline_end(plan_skyline *skyline);

/* Empties it; `order` lists all buffers, the preferred first. False when more bytes live in some slot than the target has. */
bool plan_skyline_reset(plan_skyline *skyline, const uint32_t *order, uint64_t target);

typedef enum plan_skyline_move {
    PLAN_SKYLINE_MOVED = 0,
    PLAN_SKYLINE_DEAD, /* more would be wasted than may be: no plan; the move has to be undone all the same */
    PLAN_SKYLINE_NO_MEMORY
} plan_skyline_move;

/* Puts a buffer on the floor of the notch that it is an answer of, and turns into waste what it hems in. `out_changed` is the span of
 * all slots that are another than before; where the skyline is dead, `out_reason` is the span of those that show it. */
plan_skyline_move plan_skyline_place(plan_skyline *skyline, uint32_t buffer, plan_skyline_span *out_changed,
                                     plan_skyline_span *out_reason);

/* Blocks the open slot of a notch at which it asks, and those after it where nothing can lie. */
plan_skyline_move plan_skyline_block(plan_skyline *skyline, const plan_skyline_run *notch,
                                     plan_skyline_span *out_changed, plan_skyline_span *out_reason);

/* Takes back all changes but the first `change_count`, in slots of the span `changed`, and the buffer unless PLAN_SKYLINE_NONE. */
void plan_skyline_undo(plan_skyline *skyline, size_t change_count, plan_skyline_span changed, uint32_t buffer);

/* In search_notch.c. */

/* The notch whose question has the fewest answers, the lowest of those; NULL: the section is full. */
const plan_skyline_run *plan_skyline_notch(plan_skyline *skyline);

/* Writes the buffers that may lie at the slot where the notch asks, by rank; returns their number. There is room for as many as begin or
 * end there. */
uint32_t plan_skyline_answers(const plan_skyline *skyline, const plan_skyline_run *notch, uint32_t *out_buffers);

/* How many buffers may lie on the floor of the first (or the last) of the open slots `open`. */
uint32_t plan_skyline_count_answers(const plan_skyline *skyline, plan_skyline_span open, bool at_right);

/* The run's slots and the walls beside it: what an answer depends on. */
plan_skyline_span plan_skyline_with_walls(const plan_skyline *skyline, plan_skyline_span whole);

/* Forgets what is known about the runs that a change of these slots may have changed. */
void plan_skyline_forget(plan_skyline *skyline, plan_skyline_span changed);

#endif
