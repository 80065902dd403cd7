/* A number for each slot of a section; ranges of slots rise and fall, and the highest slot of a range is found. */
#ifndef PLAN_TIDE_H
#define PLAN_TIDE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct plan_tide {
    uint32_t slot_count, leaf_count; /* the latter a power of two */
    /* Node i stands over 2i and 2i + 1: what has been added to all of its slots, and the highest of them with what was added here and
     * below. Slot s is node leaf_count + s; `added` ends before the slots. */
    uint64_t *added, *highest;
} plan_tide;

/* A tide with all slots at 0. False without host memory; there is nothing to end then. */
bool plan_tide_begin(plan_tide *tide, uint32_t slot_count);
void plan_tide_end(plan_tide *tide);

/* Sets each slot's number. */
void plan_tide_set(plan_tide *tide, const uint64_t *numbers);

/* Lowers the slots [lower, upper) by `amount`, which none of them is below. */
void plan_tide_lower(plan_tide *tide, uint32_t lower, uint32_t upper, uint64_t amount);

/* The first of the highest slots in [lower, upper), which is not empty, and its number. */
uint32_t plan_tide_highest(const plan_tide *tide, uint32_t lower, uint32_t upper, uint64_t *out_number);

#endif
