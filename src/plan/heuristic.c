/* The fast heuristics, and the best of what comes out.
 *
 * Notches are filled with several weights, as often as can be done in a few milliseconds, and at least once; where buffers can be put
 * together into far fewer boxes, with those too. Filling notches knows neither
 * gaps nor holes below the skyline, which are what fixed buffers and alignments leave: first fit uses them, in several orders, and last in the
 * order of the best plan's offsets, where no buffer comes to lie higher than it was. First fit takes time that
 * grows with the square of the number of buffers, so that it is left out where there are many. */
#include "plan/heuristic.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "plan/boxes.h"
#include "plan/load.h"
#include "plan/notches.h"
#include "plan/order.h"
#include "plan/place.h"
#include "plan/weights.h"

/* Buffers that are placed in a few milliseconds, and how often the same ones are at the most. */
#define QUICK_PLACEMENTS 15000
#define MOST_ROUNDS 60
/* Buffers that first fit places in a few milliseconds, and in about a second. */
#define FEW_FOR_FIRST_FIT 2000
#define MANY_FOR_FIRST_FIT 30000
/* Sections that are small enough for the search to do as well need no boxes; for larger ones they would need too much memory. Boxes have so
 * many buffers at least, on average, or are not planned. */
#define FEW_FOR_BOXES 500
#define MANY_FOR_BOXES 1000000
#define LEAST_OF_BOX 2

typedef struct workplace {
    const plan_section *section;
    plan_watch *watch;
    uint64_t target;
    plan_notches notches;
    plan_placer placer;
    plan_keyed *keyed, *scratch;
    uint32_t *order;
    uint64_t *load;        /* of each slot */
    uint64_t *load_around; /* of each buffer */
    uint64_t *weights, *trial;
    uint64_t *best_offsets, best;
    bool may_fit, may_sink; /* first fit is tried, in all orders or only in that of the best plan */
} workplace;

static void leave(workplace *place) {
    plan_notches_end(&place->notches);
    plan_placer_end(&place->placer);
    base_free(place->keyed);
    base_free(place->scratch);
    base_free(place->order);
    base_free(place->load);
    base_free(place->load_around);
    base_free(place->weights);
    base_free(place->trial);
}

/* What only first fit needs. */
static tarn_status prepare_fitting(workplace *place) {
    const plan_section *section = place->section;
    place->order = base_allocate(section->count, sizeof *place->order);
    place->load_around = base_allocate(section->count, sizeof *place->load_around);
    if (place->order == NULL || place->load_around == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "planning %" PRIu32 " buffers: no host memory", section->count);
    }
    tarn_status status = plan_placer_begin(&place->placer, section);
    return status == TARN_OK ? plan_load_around(section, place->load_around) : status;
}

static tarn_status enter(workplace *place) {
    const plan_section *section = place->section;
    bool has_holes = section->has_fixed || section->has_alignment || section->first_piece != NULL;
    uint32_t count = section->count;
    place->may_fit = count <= FEW_FOR_FIRST_FIT || (has_holes && count <= MANY_FOR_FIRST_FIT / 3);
    place->may_sink = count <= FEW_FOR_FIRST_FIT || (has_holes && count <= MANY_FOR_FIRST_FIT);
    place->keyed = base_allocate(count, sizeof *place->keyed);
    place->scratch = base_allocate(count, sizeof *place->scratch);
    place->load = base_allocate(section->slot_count, sizeof *place->load);
    place->weights = base_allocate((size_t)section->slot_count + 1, sizeof *place->weights);
    place->trial = base_allocate(count, sizeof *place->trial);
    if (place->keyed == NULL || place->scratch == NULL || place->load == NULL || place->weights == NULL ||
        place->trial == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "planning %" PRIu32 " buffers: no host memory", count);
    }
    tarn_status status = plan_notches_begin(&place->notches, section, place->keyed, place->scratch);
    if (status != TARN_OK) return status;
    plan_load(section, place->load);
    if (place->may_sink) return prepare_fitting(place);
    /* Where there are many buffers, memory counts. */
    base_free(place->keyed);
    base_free(place->scratch);
    place->keyed = place->scratch = NULL;
    return TARN_OK;
}

static bool is_enough(const workplace *place) {
    return place->best <= place->target || (place->best != UINT64_MAX && plan_watch_is_cancelled(place->watch));
}

static void keep(workplace *place, uint64_t height) {
    memcpy(place->best_offsets, place->trial, place->section->count * sizeof *place->trial);
    place->best = height;
}

static void fill_notches(workplace *place) {
    uint64_t rounds = QUICK_PLACEMENTS / place->section->count + 1, random = 0, height;
    if (rounds > MOST_ROUNDS) rounds = MOST_ROUNDS;
    /* For many buffers the first round by load is the best; few have time for all of them. */
    uint64_t first = place->section->count > QUICK_PLACEMENTS ? 1 : 0;
    for (uint64_t round = first; round < first + rounds && !is_enough(place); round++) {
        /* What a life weighs is its length in round 0, and where size matters. */
        if (round != 0) plan_weights_make(place->section, place->load, round, &random, place->weights);
        bool by_size = plan_weights_by_size(round);
        const uint64_t *weights = round != 0 && !by_size ? place->weights : NULL;
        if (plan_notches_fill(&place->notches, weights, by_size, place->best - 1, NULL, place->trial, &height)) {
            keep(place, height);
        }
    }
}

static void fit_in_orders(workplace *place) {
    uint64_t height;
    for (plan_order order = 0; order < PLAN_ORDER_COUNT && !is_enough(place); order++) {
        plan_order_make(place->section, order, place->load_around, place->keyed, place->scratch, place->order);
        if (plan_place(&place->placer, place->order, place->best - 1, place->trial, &height)) keep(place, height);
    }
}

/* First fit in the order of the best plan. */
static void let_sink(workplace *place) {
    uint64_t height;
    if (is_enough(place)) return;
    for (uint32_t i = 0; i < place->section->count; i++) place->keyed[i] = (plan_keyed){place->best_offsets[i], i};
    plan_sort(place->keyed, place->scratch, place->section->count);
    for (uint32_t i = 0; i < place->section->count; i++) place->order[i] = place->keyed[i].item;
    if (plan_place(&place->placer, place->order, place->best - 1, place->trial, &height)) keep(place, height);
}

/* Plans boxes in place of buffers, where they are far fewer. */
static tarn_status plan_as_boxes(workplace *place) {
    plan_boxes boxes;
    tarn_status status = TARN_OK;
    uint64_t height;
    if (place->section->count < FEW_FOR_BOXES || place->section->count > MANY_FOR_BOXES || is_enough(place)) {
        return TARN_OK;
    }
    if (!plan_boxes_begin(&boxes, place->section)) {
        return base_fail(TARN_OUT_OF_MEMORY, "planning %" PRIu32 " buffers: no host memory for boxes of them",
                         place->section->count);
    }
    if (boxes.outer.count <= place->section->count / LEAST_OF_BOX) {
        uint64_t *offsets = base_allocate(boxes.outer.count, sizeof *offsets);
        status = offsets == NULL
                     ? base_fail(TARN_OUT_OF_MEMORY, "planning %" PRIu32 " boxes: no host memory", boxes.outer.count)
                     : plan_heuristic(&boxes.outer, place->target, place->watch, offsets, &height);
        if (status == TARN_OK && height < place->best) {
            plan_boxes_unpack(&boxes, offsets, place->best_offsets);
            place->best = height;
        }
        base_free(offsets);
    }
    plan_boxes_end(&boxes);
    return status;
}

tarn_status plan_heuristic(const plan_section *section, uint64_t target, plan_watch *watch, uint64_t *offsets,
                           uint64_t *out_height) {
    workplace place = {
        .section = section, .watch = watch, .target = target, .best_offsets = offsets, .best = UINT64_MAX};
    bool has_holes = section->has_fixed || section->has_alignment || section->first_piece != NULL;
    tarn_status status = enter(&place);
    if (status == TARN_OK) {
        fill_notches(&place);
        if (!has_holes) status = plan_as_boxes(&place);
    }
    if (status == TARN_OK) {
        if (place.may_fit) fit_in_orders(&place);
        if (place.may_sink) let_sink(&place);
        *out_height = place.best;
    }
    leave(&place);
    return status;
}
