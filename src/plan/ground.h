/* The ground on which a plan is squeezed: which buffers lie where, and what a place for another one would cost. */
#ifndef PLAN_GROUND_H
#define PLAN_GROUND_H

#include "plan/problem.h"
#include "plan/sort.h"

#define PLAN_GROUND_NOWHERE UINT64_MAX

typedef struct plan_ground {
    const plan_section *section;
    uint64_t *offset; /* of each buffer, or PLAN_GROUND_NOWHERE */
    uint64_t *price;  /* of taking it out; the caller's */
    /* Slots in buckets, and for each its buffers: members[first[bucket]] …, those that lie somewhere before the others. */
    uint32_t bucket_count, slots_of_bucket;
    size_t *first;
    uint32_t *present; /* how many of a bucket's buffers lie somewhere */
    uint32_t *members;
    /* What is near the buffer that was asked for last: those that live when it does, by where they begin and by where they end. */
    uint32_t near_count;
    plan_keyed *begins, *ends, *scratch;
} plan_ground;

/* Nothing lies anywhere yet. False without host memory; there is nothing to end then. */
bool plan_ground_begin(plan_ground *ground, const plan_section *section);
void plan_ground_end(plan_ground *ground);

/* Takes everything out. */
void plan_ground_clear(plan_ground *ground);
void plan_ground_put(plan_ground *ground, uint32_t buffer, uint64_t offset);
void plan_ground_take(plan_ground *ground, uint32_t buffer);

/* Where to put a buffer, so that it ends at `limit`, which is no less than its size, at the most: in the narrowest gap that has room, at the
 * price of 0; otherwise where those that are in the way cost least, of nearly equal places one by chance. */
uint64_t plan_ground_seek(plan_ground *ground, uint32_t buffer, uint64_t limit, uint64_t *random, uint64_t *out_price);

#endif
