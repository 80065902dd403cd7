/* The treap of range_map.h. Insertion splits the tree at the new start below the first node of less weight; removal
 * joins the two halves. Both go down one path and repair `largest` on the way back. */
#include "base/range_map.h"

/* Mixes all bits of the start, so that regular addresses give irregular weights. */
static uint64_t weight_of(const base_range *range) {
    uint64_t x = (uint64_t)range->start + 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void update_largest(base_range *range) {
    size_t largest = range->size;
    if (range->left != NULL && range->left->largest > largest) largest = range->left->largest;
    if (range->right != NULL && range->right->largest > largest) largest = range->right->largest;
    range->largest = largest;
}

/* Parts the tree into what starts below `start` and the rest. */
static void split(base_range *root, uintptr_t start, base_range **out_below, base_range **out_rest) {
    if (root == NULL) {
        *out_below = NULL;
        *out_rest = NULL;
        return;
    }
    if (root->start < start) {
        split(root->right, start, &root->right, out_rest);
        *out_below = root;
    } else {
        split(root->left, start, out_below, &root->left);
        *out_rest = root;
    }
    update_largest(root);
}

/* Every range of `below` starts before every range of `above`. */
static base_range *join(base_range *below, base_range *above) {
    if (below == NULL) return above;
    if (above == NULL) return below;
    if (weight_of(below) > weight_of(above)) {
        below->right = join(below->right, above);
        update_largest(below);
        return below;
    }
    above->left = join(below, above->left);
    update_largest(above);
    return above;
}

void base_range_insert(base_range **root, base_range *range) {
    base_range *here = *root;
    if (here == NULL || weight_of(here) < weight_of(range)) {
        split(here, range->start, &range->left, &range->right);
        update_largest(range);
        *root = range;
        return;
    }
    base_range_insert(range->start < here->start ? &here->left : &here->right, range);
    update_largest(here);
}

base_range *base_range_remove(base_range **root, uintptr_t start) {
    base_range *here = *root;
    if (here == NULL) return NULL;
    if (here->start == start) {
        *root = join(here->left, here->right);
        here->left = NULL;
        here->right = NULL;
        return here;
    }
    base_range *removed = base_range_remove(start < here->start ? &here->left : &here->right, start);
    if (removed != NULL) update_largest(here);
    return removed;
}

base_range *base_range_at_or_before(base_range *root, uintptr_t address) {
    base_range *best = NULL;
    while (root != NULL) {
        if (root->start <= address) {
            best = root;
            root = root->right;
        } else {
            root = root->left;
        }
    }
    return best;
}

base_range *base_range_after(base_range *root, uintptr_t address) {
    base_range *best = NULL;
    while (root != NULL) {
        if (root->start > address) {
            best = root;
            root = root->left;
        } else {
            root = root->right;
        }
    }
    return best;
}

base_range *base_range_find(base_range *root, uintptr_t start) {
    while (root != NULL && root->start != start) root = start < root->start ? root->left : root->right;
    return root;
}

base_range *base_range_containing(base_range *root, uintptr_t address) {
    base_range *range = base_range_at_or_before(root, address);
    return range != NULL && address - range->start < range->size ? range : NULL;
}

bool base_range_overlaps(base_range *root, uintptr_t start, size_t size) {
    if (size == 0) return false;
    const base_range *range = base_range_at_or_before(root, start + (size - 1));
    return range != NULL && range->start + (range->size - 1) >= start;
}

base_range *base_range_first_fit(base_range *root, size_t size) {
    if (root == NULL || root->largest < size) return NULL;
    for (;;) {
        if (root->left != NULL && root->left->largest >= size) {
            root = root->left;
        } else if (root->size >= size) {
            return root;
        } else {
            root = root->right;
        }
    }
}
