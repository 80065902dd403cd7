/* The buffers that have no place yet, as points: when they begin, and when they end.
 *
 * The points are sorted along a curve that keeps neighbours together (the bits of both coordinates in turn), eight make a leaf, and a tree over
 * the leaves knows the box around what is left below each node. The heaviest in a rectangle of the plane is near the corner of longest
 * lifetimes; the box of a node says how heavy its heaviest can be, and most of the tree is never looked at. */
#include "plan/candidates.h"

#include <string.h>

#include "base/memory.h"

#define CANDIDATES_OF_LEAF 8

static const plan_candidate_box empty_box = {UINT32_MAX, 0, UINT32_MAX, 0, 0};

/* Puts a 0 between each two bits. */
static uint64_t spread(uint32_t bits) {
    uint64_t x = bits;
    x = (x | x << 16) & 0x0000ffff0000ffff;
    x = (x | x << 8) & 0x00ff00ff00ff00ff;
    x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
    x = (x | x << 2) & 0x3333333333333333;
    return (x | x << 1) & 0x5555555555555555;
}

static void include(plan_candidate_box *box, const plan_candidate_box *other) {
    if (other->lower_minimum < box->lower_minimum) box->lower_minimum = other->lower_minimum;
    if (other->lower_maximum > box->lower_maximum) box->lower_maximum = other->lower_maximum;
    if (other->upper_minimum < box->upper_minimum) box->upper_minimum = other->upper_minimum;
    if (other->upper_maximum > box->upper_maximum) box->upper_maximum = other->upper_maximum;
    if (other->largest > box->largest) box->largest = other->largest;
}

static plan_candidate_box box_of_leaf(const plan_candidate *candidates, uint32_t leaf) {
    plan_candidate_box box = empty_box;
    for (uint32_t i = leaf * CANDIDATES_OF_LEAF; i < (leaf + 1) * CANDIDATES_OF_LEAF; i++) {
        uint32_t lower = candidates[i].lower, upper = candidates[i].upper;
        if (lower < upper) include(&box, &(plan_candidate_box){lower, lower, upper, upper, candidates[i].largeness});
    }
    return box;
}

static plan_candidate_box box_of_children(const plan_candidate_box *boxes, uint32_t node) {
    plan_candidate_box box = boxes[2 * (size_t)node];
    include(&box, &boxes[2 * (size_t)node + 1]);
    return box;
}

/* Puts the buffers that are not fixed in their order, and says how many there are. */
static uint32_t order_buffers(const plan_section *section, plan_keyed *keyed, plan_keyed *scratch) {
    uint32_t count = 0;
    /* Of those that live at the same time, the largest comes first. */
    for (uint32_t i = 0; i < section->count; i++)
        if (section->fixed[i] == TARN_PLAN_ANYWHERE) keyed[count++] = (plan_keyed){UINT64_MAX - section->size[i], i};
    plan_sort(keyed, scratch, count);
    for (uint32_t i = 0; i < count; i++)
        keyed[i].key = spread(section->lower[keyed[i].item]) << 1 | spread(section->upper[keyed[i].item]);
    plan_sort(keyed, scratch, count);
    return count;
}

/* The root of a size on a scale whose end is the root of the greatest. */
static uint8_t largeness_of(uint64_t size, uint64_t greatest) {
    const double square = (double)size / (double)greatest * PLAN_LARGEST * PLAN_LARGEST;
    uint8_t low = 1, high = PLAN_LARGEST;
    while (low < high) {
        uint8_t middle = (uint8_t)((low + high) / 2);
        if ((double)middle * middle < square) low = (uint8_t)(middle + 1);
        else high = middle;
    }
    return low;
}

bool plan_candidates_begin(plan_candidates *candidates, const plan_section *section, plan_keyed *keyed,
                           plan_keyed *scratch) {
    *candidates = (plan_candidates){.section = section, .leaf_count = 1};
    while ((uint64_t)candidates->leaf_count * CANDIDATES_OF_LEAF < section->count) candidates->leaf_count *= 2;
    candidates->place_count = candidates->leaf_count * CANDIDATES_OF_LEAF;
    candidates->buffers = base_allocate(candidates->place_count, sizeof *candidates->buffers);
    candidates->place_of = base_allocate(section->count, sizeof *candidates->place_of);
    candidates->largeness = base_allocate(candidates->place_count, sizeof *candidates->largeness);
    candidates->current = base_allocate(candidates->place_count, sizeof *candidates->current);
    candidates->boxes = base_allocate(candidates->leaf_count, 2 * sizeof *candidates->boxes);
    if (candidates->buffers == NULL || candidates->place_of == NULL || candidates->largeness == NULL ||
        candidates->current == NULL || candidates->boxes == NULL) {
        plan_candidates_end(candidates);
        return false;
    }
    candidates->count = order_buffers(section, keyed, scratch);
    uint64_t greatest = 1;
    for (uint32_t i = 0; i < candidates->count; i++)
        if (section->size[keyed[i].item] > greatest) greatest = section->size[keyed[i].item];
    for (uint32_t i = 0; i < candidates->count; i++) {
        uint32_t buffer = keyed[i].item;
        candidates->buffers[i] = buffer;
        candidates->place_of[buffer] = i;
        candidates->largeness[i] = largeness_of(section->size[buffer], greatest);
    }
    return true;
}

void plan_candidates_end(plan_candidates *candidates) {
    base_free(candidates->buffers);
    base_free(candidates->place_of);
    base_free(candidates->largeness);
    base_free(candidates->current);
    base_free(candidates->boxes);
    *candidates = (plan_candidates){0};
}

void plan_candidates_reset(plan_candidates *candidates) {
    const plan_section *section = candidates->section;
    for (uint32_t i = 0; i < candidates->count; i++) {
        uint32_t buffer = candidates->buffers[i];
        candidates->current[i] =
            (plan_candidate){section->lower[buffer], section->upper[buffer], candidates->largeness[i]};
    }
    for (uint32_t leaf = 0; leaf < candidates->leaf_count; leaf++)
        candidates->boxes[candidates->leaf_count + leaf] = box_of_leaf(candidates->current, leaf);
    for (uint32_t node = candidates->leaf_count - 1; node > 0; node--)
        candidates->boxes[node] = box_of_children(candidates->boxes, node);
}

/* What is looked for, and the place of the best so far. */
typedef struct quest {
    const plan_candidates *candidates;
    const uint64_t *weights;
    uint32_t lower, upper, slot, found;
    bool by_size;
    uint64_t weight;
} quest;

static inline uint64_t weight_of(const quest *wanted, uint32_t lower, uint32_t upper) {
    return wanted->weights == NULL ? upper - lower : wanted->weights[upper] - wanted->weights[lower];
}

/* How heavy a candidate below a node can be; 0: none is wanted. */
static inline uint64_t bound(const quest *wanted, uint32_t node) {
    const plan_candidate_box *box = &wanted->candidates->boxes[node];
    if (box->lower_minimum > wanted->slot || box->lower_maximum < wanted->lower || box->upper_minimum > wanted->upper ||
        box->upper_maximum <= wanted->slot) {
        return 0;
    }
    uint64_t weight = weight_of(wanted, box->lower_minimum > wanted->lower ? box->lower_minimum : wanted->lower,
                                box->upper_maximum < wanted->upper ? box->upper_maximum : wanted->upper);
    return wanted->by_size ? weight * box->largest : weight;
}

static void search_leaf(quest *wanted, uint32_t leaf) {
    for (uint32_t i = leaf * CANDIDATES_OF_LEAF; i < (leaf + 1) * CANDIDATES_OF_LEAF; i++) {
        plan_candidate one = wanted->candidates->current[i];
        if (one.lower < wanted->lower || one.lower > wanted->slot || one.upper <= wanted->slot ||
            one.upper > wanted->upper) {
            continue;
        }
        uint64_t weight = weight_of(wanted, one.lower, one.upper);
        if (wanted->by_size) weight *= one.largeness;
        if (weight <= wanted->weight) continue;
        wanted->weight = weight;
        wanted->found = i;
    }
}

static void search(quest *wanted, uint32_t node) {
    if (node >= wanted->candidates->leaf_count) {
        search_leaf(wanted, node - wanted->candidates->leaf_count);
        return;
    }
    uint64_t left = bound(wanted, 2 * node), right = bound(wanted, 2 * node + 1);
    uint32_t first = left >= right ? 2 * node : 2 * node + 1;
    uint64_t more = left >= right ? left : right, less = left >= right ? right : left;
    if (more > wanted->weight) search(wanted, first);
    if (less > wanted->weight) search(wanted, first ^ 1);
}

uint32_t plan_candidates_find(const plan_candidates *candidates, uint32_t lower, uint32_t upper, uint32_t slot,
                              const uint64_t *weights, bool by_size) {
    quest wanted = {.candidates = candidates,
                    .weights = weights,
                    .lower = lower,
                    .upper = upper,
                    .slot = slot,
                    .by_size = by_size,
                    .found = PLAN_NOBODY};
    search(&wanted, 1);
    return wanted.found == PLAN_NOBODY ? PLAN_NOBODY : candidates->buffers[wanted.found];
}

void plan_candidates_take(plan_candidates *candidates, uint32_t buffer) {
    uint32_t place = candidates->place_of[buffer], leaf = place / CANDIDATES_OF_LEAF;
    uint32_t node = candidates->leaf_count + leaf;
    candidates->current[place] = (plan_candidate){0, 0, 0};
    plan_candidate_box box = box_of_leaf(candidates->current, leaf);
    while (memcmp(&box, &candidates->boxes[node], sizeof box) != 0) {
        candidates->boxes[node] = box;
        node /= 2;
        if (node == 0) return;
        box = box_of_children(candidates->boxes, node);
    }
}
