/* Orders in which to place buffers: sorted by the area first, then, stably, by what the order is about. */
#include "plan/order.h"

/* Areas that do not fit are all the largest. */
static uint64_t area_of(const plan_section *section, uint32_t buffer) {
    uint64_t slots = section->upper[buffer] - section->lower[buffer], area;
    return __builtin_mul_overflow(section->size[buffer], slots, &area) ? UINT64_MAX : area;
}

static uint64_t key_of(const plan_section *section, plan_order order, const uint64_t *load, uint32_t buffer) {
    uint32_t lower = section->lower[buffer], upper = section->upper[buffer];
    switch (order) {
    case PLAN_ORDER_SIZE: return UINT64_MAX - section->size[buffer];
    case PLAN_ORDER_LIFETIME: return UINT32_MAX - (upper - lower);
    case PLAN_ORDER_LOAD: return UINT64_MAX - load[buffer];
    case PLAN_ORDER_BEGIN: return lower;
    case PLAN_ORDER_END: return UINT32_MAX - upper;
    case PLAN_ORDER_AREA:
    case PLAN_ORDER_COUNT: break;
    }
    return UINT64_MAX - area_of(section, buffer);
}

void plan_order_make(const plan_section *section, plan_order order, const uint64_t *load, plan_keyed *keyed,
                     plan_keyed *scratch, uint32_t *out_order) {
    for (uint32_t i = 0; i < section->count; i++) keyed[i] = (plan_keyed){key_of(section, PLAN_ORDER_AREA, load, i), i};
    plan_sort(keyed, scratch, section->count);
    if (order != PLAN_ORDER_AREA) {
        for (uint32_t i = 0; i < section->count; i++) keyed[i].key = key_of(section, order, load, keyed[i].item);
        plan_sort(keyed, scratch, section->count);
    }
    for (uint32_t i = 0; i < section->count; i++) out_order[i] = keyed[i].item;
}
