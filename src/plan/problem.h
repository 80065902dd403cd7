/* A planning problem as the solvers see it: sections, each with dense arrays.
 *
 * A region is one address space; nothing in one matters to another. A section is a part of a region between two moments at which
 * nothing of it lives, so that sections too can be planned one by one, each from offset 0, and a region is as high as its highest
 * section.
 *
 * Within a section, times are slots: the moments at which a longest list of buffers lives together. Two buffers
 * live at the same time exactly where they share a slot, and there are seldom more slots than a few hundred where the caller's times go
 * into billions. Where buffers begin without one ending between, there is one slot.
 *
 * Buffers that need no place (of no size, or with a gap that is their whole life) are in no section. */
#ifndef PLAN_PROBLEM_H
#define PLAN_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/plan.h>

/* What a buffer needs for a while: its bytes [bottom, top) in the slots [lower, upper). */
typedef struct plan_piece {
    uint32_t lower, upper;
    uint64_t bottom, top;
} plan_piece;

typedef struct plan_section {
    uint32_t region; /* index of the problem's regions */
    uint32_t count, slot_count;
    /* Of each buffer, in ascending order of `lower`. */
    const uint32_t *source;        /* its index among the caller's */
    const uint32_t *lower, *upper; /* it lives in the slots [lower, upper) */
    const uint64_t *size;          /* rounded up to the region's unit, never 0 */
    const uint64_t *alignment;     /* at least 1, a multiple of the region's unit */
    const uint64_t *fixed;         /* its offset, or TARN_PLAN_ANYWHERE */
    /* Buffer i needs the pieces [first_piece[i], first_piece[i + 1]) of `pieces`, in order of time. NULL where none has gaps: then each
     * is needed whole as long as it lives. */
    const uint32_t *first_piece;
    const plan_piece *pieces;
    bool has_alignment; /* an alignment is more than the unit */
    bool has_fixed;
    uint64_t unit; /* of the region: every offset and every size is a multiple */
    uint64_t
        lower_bound; /* of the height in units' multiples: the most bytes in one slot, or more where fixed buffers need it */
} plan_section;

typedef struct plan_region {
    uint32_t number; /* the caller's */
    uint32_t first_section, section_count;
    uint64_t unit; /* divides every alignment, so every offset; sizes are rounded up to it. 1 where there are gaps */
    uint64_t section_bound; /* the greatest lower bound of its sections */
    uint64_t lower_bound;   /* of its height in bytes, sizes not rounded */
    uint64_t
        resting_height; /* of the buffers that need no place, but have a size: all are at 0 or where they are fixed */
} plan_region;

typedef struct plan_problem {
    plan_region *regions;
    plan_section *sections; /* by region */
    uint32_t region_count, section_count;
    uint32_t count; /* buffers in sections; those of section s begin at sections[s].source - source */
    uint32_t *source, *lower, *upper, *first_piece;
    uint64_t *size, *alignment, *fixed;
    plan_piece *pieces;
} plan_problem;

/* The greatest number that divides both; the other one where one is 0. */
uint64_t plan_common_divisor(uint64_t a, uint64_t b);

/* Refuses what is no problem: as tarn_plan_solve says. */
tarn_status plan_problem_validate(const tarn_plan_buffer *buffers, size_t count);

/* Makes a problem of buffers that have been validated; the caller ends it with plan_problem_end. OUT_OF_MEMORY,
 * LIMIT_EXCEEDED; the problem is empty then and need not be ended. */
tarn_status plan_problem_begin(plan_problem *problem, const tarn_plan_buffer *buffers, size_t count);
void plan_problem_end(plan_problem *problem);

/* Sets the lower bounds of sections and regions, as plan_problem_begin does; in bound.c. OUT_OF_MEMORY. */
tarn_status plan_problem_bound(plan_problem *problem, const tarn_plan_buffer *buffers);

#endif
