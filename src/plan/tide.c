/* A number for each slot, in a tree: a range is a few nodes of it. What is added to a node counts for all slots below, and is never
 * carried down; `added` wraps around below 0, and the sums wrap back. */
#include "plan/tide.h"

#include "base/memory.h"

bool plan_tide_begin(plan_tide *tide, uint32_t slot_count) {
    tide->slot_count = slot_count;
    tide->leaf_count = 1;
    while (tide->leaf_count < slot_count) tide->leaf_count *= 2;
    tide->added = base_allocate(tide->leaf_count, sizeof *tide->added);
    tide->highest = base_allocate(tide->leaf_count, 2 * sizeof *tide->highest);
    if (tide->added != NULL && tide->highest != NULL) return true;
    plan_tide_end(tide);
    return false;
}

void plan_tide_end(plan_tide *tide) {
    base_free(tide->added);
    base_free(tide->highest);
    *tide = (plan_tide){0};
}

static void sum_up(plan_tide *tide, uint32_t node) {
    uint64_t left = tide->highest[2 * (size_t)node], right = tide->highest[2 * (size_t)node + 1];
    tide->highest[node] = (left > right ? left : right) + tide->added[node];
}

void plan_tide_set(plan_tide *tide, const uint64_t *numbers) {
    for (uint32_t i = 0; i < tide->leaf_count; i++) {
        tide->added[i] = 0;
        tide->highest[tide->leaf_count + i] = i < tide->slot_count ? numbers[i] : 0;
    }
    for (uint32_t node = tide->leaf_count - 1; node > 0; node--) sum_up(tide, node);
}

void plan_tide_lower(plan_tide *tide, uint32_t lower, uint32_t upper, uint64_t amount) {
    uint32_t low = tide->leaf_count + lower, high = tide->leaf_count + upper;
    uint32_t first = low, last = high - 1;
    for (; low < high; low /= 2, high /= 2) {
        if (low % 2 == 1) {
            tide->highest[low] -= amount;
            if (low < tide->leaf_count) tide->added[low] -= amount;
            low++;
        }
        if (high % 2 == 1) {
            high--;
            tide->highest[high] -= amount;
            if (high < tide->leaf_count) tide->added[high] -= amount;
        }
    }
    /* Above the ends of the range, a node may stand over what is inside and what is outside. */
    for (first /= 2, last /= 2; first != last; first /= 2, last /= 2) {
        sum_up(tide, first);
        sum_up(tide, last);
    }
    for (; first > 0; first /= 2) sum_up(tide, first);
}

/* The highest slot of a range below a node, with what was added at the node and below. */
typedef struct peak {
    uint64_t number;
    uint32_t slot;
} peak;

static peak descend(const plan_tide *tide, uint32_t node) {
    peak found = {.number = tide->highest[node]};
    while (node < tide->leaf_count) {
        node *= 2;
        if (tide->highest[node] < tide->highest[node + 1]) node++;
    }
    found.slot = node - tide->leaf_count;
    return found;
}

/* The range meets the node's slots, [node_lower, node_upper). */
static peak seek(const plan_tide *tide, uint32_t node, uint32_t node_lower, uint32_t node_upper, uint32_t lower,
                 uint32_t upper) {
    if (lower <= node_lower && node_upper <= upper) return descend(tide, node);
    uint32_t middle = node_lower + (node_upper - node_lower) / 2;
    peak higher;
    if (upper <= middle) {
        higher = seek(tide, 2 * node, node_lower, middle, lower, upper);
    } else if (middle <= lower) {
        higher = seek(tide, 2 * node + 1, middle, node_upper, lower, upper);
    } else {
        peak right = seek(tide, 2 * node + 1, middle, node_upper, lower, upper);
        higher = seek(tide, 2 * node, node_lower, middle, lower, upper);
        if (right.number > higher.number) higher = right;
    }
    higher.number += tide->added[node];
    return higher;
}

uint32_t plan_tide_highest(const plan_tide *tide, uint32_t lower, uint32_t upper, uint64_t *out_number) {
    peak found = seek(tide, 1, 0, tide->leaf_count, lower, upper);
    *out_number = found.number;
    return found.slot;
}
