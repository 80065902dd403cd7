/* What the slots of a section weigh.
 *
 * Weights are whole numbers, so that equal problems have equal plans on every machine: the weight halves with each step by which a
 * slot's load is below the section's bound. */
#include "plan/weights.h"

/* The heaviest slot. The sum over 2^32 slots fits, and so do sixty halvings of what matters. */
#define HEAVIEST ((uint64_t)1 << 24)

/* Steps by which the weight halves, as fractions of the section's bound; those first that help most problems. */
static const uint64_t steps_of_bound[] = {24, 60, 128, 12, 400, 6, 1000, 2};
#define STEP_COUNT (sizeof steps_of_bound / sizeof steps_of_bound[0])
/* A random weight is one of so many powers of two, which finds lower plans than weights between two limits. */
#define RANDOM_MAGNITUDES 8

static uint64_t weight_by_load(uint64_t missing, uint64_t step) {
    uint64_t halvings = missing / step;
    if (halvings >= 24) return 1;
    uint64_t weight = HEAVIEST >> halvings, half = weight / 2;
    /* Between two halvings, a straight line. */
    return weight - (uint64_t)((double)half * ((double)(missing % step) / (double)step));
}

void plan_weights_make(const plan_section *section, const uint64_t *load, uint64_t round, uint64_t *random,
                       uint64_t *out_weights) {
    bool is_by_load = round >= 1 && round <= STEP_COUNT;
    uint64_t step = is_by_load ? section->lower_bound / steps_of_bound[round - 1] : 0;
    if (step == 0) step = 1;
    out_weights[0] = 0;
    for (uint32_t slot = 0; slot < section->slot_count; slot++) {
        uint64_t weight = 1;
        if (is_by_load) {
            weight = weight_by_load(section->lower_bound - load[slot], step);
        } else if (round != 0) {
            weight += (uint64_t)1 << plan_random(random) % RANDOM_MAGNITUDES;
        }
        out_weights[slot + 1] = out_weights[slot] + weight;
    }
}
