/* The buffers that have no place yet, as points: when they begin, and when they end.
 *
 * The points are sorted along a curve that keeps neighbours together (the bits of both coordinates in turn), eight make a leaf, and a tree over
 * the leaves knows the box around what is left below each node. The heaviest in a rectangle of the plane is near the corner of longest
 * lifetimes; the box of a node says how heavy its heaviest can be, and most of the tree is never looked at. */
#include "plan/candidates.h"

#include <string.h>

#include "base/memory.h"

#define CANDIDATES_OF_LEAF 8

static const plan_candidate_box empty_box = {UINT32_MAX, 0, UINT32_MAX, 0};

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
}

static plan_candidate_box box_of_leaf(const plan_candidates *candidates, uint32_t leaf) {
    plan_candidate_box box = empty_box;
    for (uint32_t i = leaf * CANDIDATES_OF_LEAF; i < (leaf + 1) * CANDIDATES_OF_LEAF; i++) {
        uint32_t buffer = candidates->members[i];
        if (buffer == PLAN_NOBODY || candidates->is_taken[buffer]) continue;
        uint32_t lower = candidates->section->lower[buffer], upper = candidates->section->upper[buffer];
        include(&box, &(plan_candidate_box){lower, lower, upper, upper});
    }
    return box;
}

static plan_candidate_box box_of_children(const plan_candidate_box *boxes, uint32_t node) {
    plan_candidate_box box = boxes[2 * (size_t)node];
    include(&box, &boxes[2 * (size_t)node + 1]);
    return box;
}

bool plan_candidates_begin(plan_candidates *candidates, const plan_section *section, plan_keyed *keyed,
                           plan_keyed *scratch) {
    *candidates = (plan_candidates){.section = section, .leaf_count = 1};
    while ((uint64_t)candidates->leaf_count * CANDIDATES_OF_LEAF < section->count) candidates->leaf_count *= 2;
    size_t room = (size_t)candidates->leaf_count * CANDIDATES_OF_LEAF, nodes = 2 * (size_t)candidates->leaf_count;
    candidates->members = base_allocate(room, sizeof *candidates->members);
    candidates->leaf_of = base_allocate(section->count, sizeof *candidates->leaf_of);
    candidates->is_taken = base_allocate(section->count, sizeof *candidates->is_taken);
    candidates->all = base_allocate(nodes, sizeof *candidates->all);
    candidates->current = base_allocate(nodes, sizeof *candidates->current);
    if (candidates->members == NULL || candidates->leaf_of == NULL || candidates->is_taken == NULL ||
        candidates->all == NULL || candidates->current == NULL) {
        plan_candidates_end(candidates);
        return false;
    }
    uint32_t count = 0;
    /* Of those that live at the same time, the largest comes first. */
    for (uint32_t i = 0; i < section->count; i++)
        if (section->fixed[i] == TARN_PLAN_ANYWHERE) keyed[count++] = (plan_keyed){UINT64_MAX - section->size[i], i};
    plan_sort(keyed, scratch, count);
    for (uint32_t i = 0; i < count; i++)
        keyed[i].key = spread(section->lower[keyed[i].item]) << 1 | spread(section->upper[keyed[i].item]);
    plan_sort(keyed, scratch, count);
    for (size_t i = 0; i < room; i++) {
        candidates->members[i] = i < count ? keyed[i].item : PLAN_NOBODY;
        if (i < count) candidates->leaf_of[keyed[i].item] = (uint32_t)(i / CANDIDATES_OF_LEAF);
    }
    for (uint32_t leaf = 0; leaf < candidates->leaf_count; leaf++)
        candidates->all[candidates->leaf_count + leaf] = box_of_leaf(candidates, leaf);
    for (uint32_t node = candidates->leaf_count - 1; node > 0; node--)
        candidates->all[node] = box_of_children(candidates->all, node);
    return true;
}

void plan_candidates_end(plan_candidates *candidates) {
    base_free(candidates->members);
    base_free(candidates->leaf_of);
    base_free(candidates->is_taken);
    base_free(candidates->all);
    base_free(candidates->current);
    *candidates = (plan_candidates){0};
}

void plan_candidates_reset(plan_candidates *candidates) {
    memcpy(candidates->current, candidates->all, 2 * (size_t)candidates->leaf_count * sizeof *candidates->all);
    memset(candidates->is_taken, 0, candidates->section->count * sizeof *candidates->is_taken);
}

/* What is looked for, and the best so far. */
typedef struct quest {
    const plan_candidates *candidates;
    const uint64_t *weights;
    uint32_t lower, upper, slot, found;
    uint64_t weight;
} quest;

/* How heavy a candidate below a node can be; 0: none is wanted. */
static uint64_t bound(const quest *wanted, uint32_t node) {
    const plan_candidate_box *box = &wanted->candidates->current[node];
    if (box->lower_minimum > wanted->slot || box->lower_maximum < wanted->lower || box->upper_minimum > wanted->upper ||
        box->upper_maximum <= wanted->slot) {
        return 0;
    }
    uint32_t lower = box->lower_minimum > wanted->lower ? box->lower_minimum : wanted->lower;
    uint32_t upper = box->upper_maximum < wanted->upper ? box->upper_maximum : wanted->upper;
    return wanted->weights[upper] - wanted->weights[lower];
}

static void search_leaf(quest *wanted, uint32_t leaf) {
    const plan_candidates *candidates = wanted->candidates;
    const plan_section *section = candidates->section;
    for (uint32_t i = leaf * CANDIDATES_OF_LEAF; i < (leaf + 1) * CANDIDATES_OF_LEAF; i++) {
        uint32_t buffer = candidates->members[i];
        if (buffer == PLAN_NOBODY || candidates->is_taken[buffer]) continue;
        uint32_t lower = section->lower[buffer], upper = section->upper[buffer];
        if (lower < wanted->lower || lower > wanted->slot || upper <= wanted->slot || upper > wanted->upper) continue;
        uint64_t weight = wanted->weights[upper] - wanted->weights[lower];
        if (weight <= wanted->weight) continue;
        wanted->weight = weight;
        wanted->found = buffer;
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
                              const uint64_t *weights) {
    quest wanted = {.candidates = candidates,
                    .weights = weights,
                    .lower = lower,
                    .upper = upper,
                    .slot = slot,
                    .found = PLAN_NOBODY};
    search(&wanted, 1);
    return wanted.found;
}

void plan_candidates_take(plan_candidates *candidates, uint32_t buffer) {
    uint32_t leaf = candidates->leaf_of[buffer], node = candidates->leaf_count + leaf;
    candidates->is_taken[buffer] = true;
    plan_candidate_box box = box_of_leaf(candidates, leaf);
    while (memcmp(&box, &candidates->current[node], sizeof box) != 0) {
        candidates->current[node] = box;
        node /= 2;
        if (node == 0) return;
        box = box_of_children(candidates->current, node);
    }
}
