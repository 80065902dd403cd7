/* The fast heuristics: first fit in each of several orders, and the best of what comes out. */
#include "plan/heuristic.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "plan/load.h"
#include "plan/order.h"
#include "plan/place.h"

typedef struct workplace {
    plan_placer placer;
    plan_keyed *keyed, *scratch;
    uint32_t *order;
    uint64_t *load, *trial;
} workplace;

static void leave_workplace(workplace *place) {
    plan_placer_end(&place->placer);
    base_free(place->keyed);
    base_free(place->scratch);
    base_free(place->order);
    base_free(place->load);
    base_free(place->trial);
}

static tarn_status enter_workplace(workplace *place, const plan_section *section) {
    memset(place, 0, sizeof *place);
    tarn_status status = plan_placer_begin(&place->placer, section);
    if (status != TARN_OK) return status;
    place->keyed = base_allocate(section->count, sizeof *place->keyed);
    place->scratch = base_allocate(section->count, sizeof *place->scratch);
    place->order = base_allocate(section->count, sizeof *place->order);
    place->load = base_allocate(section->count, sizeof *place->load);
    place->trial = base_allocate(section->count, sizeof *place->trial);
    if (place->keyed != NULL && place->scratch != NULL && place->order != NULL && place->load != NULL &&
        place->trial != NULL) {
        status = plan_load_around(section, place->load);
        if (status == TARN_OK) return TARN_OK;
    }
    leave_workplace(place);
    return base_fail(TARN_OUT_OF_MEMORY, "planning %" PRIu32 " buffers: no host memory", section->count);
}

tarn_status plan_heuristic(const plan_section *section, uint64_t target, plan_watch *watch, uint64_t *offsets,
                           uint64_t *out_height) {
    workplace place;
    tarn_status status = enter_workplace(&place, section);
    if (status != TARN_OK) return status;
    uint64_t best = UINT64_MAX;
    for (plan_order order = 0; order < PLAN_ORDER_COUNT && best > target; order++) {
        if (best != UINT64_MAX && plan_watch_is_over(watch)) break;
        uint64_t height;
        plan_order_make(section, order, place.load, place.keyed, place.scratch, place.order);
        if (!plan_place(&place.placer, place.order, best - 1, place.trial, &height)) continue;
        memcpy(offsets, place.trial, section->count * sizeof *offsets);
        best = height;
    }
    leave_workplace(&place);
    *out_height = best;
    return TARN_OK;
}
