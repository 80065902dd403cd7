/* What the slots of a section weigh, for filling notches (notches.h). */
#ifndef PLAN_WEIGHTS_H
#define PLAN_WEIGHTS_H

#include "plan/problem.h"

/* Random numbers, the same from the same seed (splitmix64). */
static inline uint64_t plan_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* Writes sums of weights, one more than the section has slots. All slots weigh the same in round 0. In the next few rounds, the more bytes
 * live in a slot, of which `load` says how many, the heavier it is, more or less sharply. In all others each slot weighs something random. */
void plan_weights_make(const plan_section *section, const uint64_t *load, uint64_t round, uint64_t *random,
                       uint64_t *out_weights);

/* Whether a round goes by the size of buffers, too; then all slots weigh the same. */
static inline bool plan_weights_by_size(uint64_t round) { return round % 4 == 2; }

#endif
