/* Orders of preference. Three take turns: buffers that live where most bytes live come first, for there is least choice; those of
 * the largest area come first; and chance. After its first turn a measure is blurred, so that each attempt looks elsewhere. Chance
 * is as good a guide as any where it may try often, and never wrong in the same way twice. */
#include "plan/search_order.h"

#include "base/memory.h"
#include "base/status.h"
#include "plan/load.h"

#define MEASURES 3
#define CHANCE 2
/* A measure is blurred by up to this part of it, up and down. */
#define BLUR 0.15
/* Keys are spread over this, which leaves room for the blur in 64 bits. */
#define KEY_RANGE 4e18

tarn_status plan_search_orders_begin(plan_search_orders *orders, const plan_section *section, uint64_t seed) {
    *orders = (plan_search_orders){.section = section, .random = seed};
    orders->load = base_allocate(section->count, sizeof *orders->load);
    orders->keyed = base_allocate(section->count, sizeof *orders->keyed);
    orders->scratch = base_allocate(section->count, sizeof *orders->scratch);
    orders->order = base_allocate(section->count, sizeof *orders->order);
    tarn_status status = TARN_OK;
    if (orders->load == NULL || orders->keyed == NULL || orders->scratch == NULL || orders->order == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "planning %u buffers: no host memory for the search", section->count);
    }
    if (status == TARN_OK) status = plan_load_around(section, orders->load);
    if (status != TARN_OK) plan_search_orders_end(orders);
    return status;
}

void plan_search_orders_end(plan_search_orders *orders) {
    base_free(orders->load);
    base_free(orders->keyed);
    base_free(orders->scratch);
    base_free(orders->order);
}

/* The next number of SplitMix64 (Steele, Lea and Flood 2014), as a fraction of 1. */
static double next_fraction(plan_search_orders *orders) {
    uint64_t z = orders->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (double)((z ^ z >> 31) >> 11) / (double)((uint64_t)1 << 53);
}

static double measure(const plan_search_orders *orders, uint64_t number, uint32_t buffer) {
    const plan_section *section = orders->section;
    double life = section->upper[buffer] - section->lower[buffer];
    if (number == 0) return (double)orders->load[buffer] * (1 + 1e-6 * life / section->slot_count);
    return life * (double)section->size[buffer];
}

void plan_search_orders_make(plan_search_orders *orders, uint64_t attempt) {
    uint32_t count = orders->section->count;
    uint64_t number = attempt % MEASURES;
    double most = 0;
    for (uint32_t i = 0; i < count && number != CHANCE; i++) {
        double value = measure(orders, number, i);
        if (value > most) most = value;
    }
    for (uint32_t i = 0; i < count; i++) {
        double value = number == CHANCE ? next_fraction(orders) : measure(orders, number, i) / most;
        if (number != CHANCE && attempt >= MEASURES) value *= 1 + BLUR * (2 * next_fraction(orders) - 1);
        orders->keyed[i] = (plan_keyed){UINT64_MAX - (uint64_t)(value * KEY_RANGE), i};
    }
    plan_sort(orders->keyed, orders->scratch, count);
    for (uint32_t i = 0; i < count; i++) orders->order[i] = orders->keyed[i].item;
}
