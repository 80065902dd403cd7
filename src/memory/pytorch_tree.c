/* The trees of pytorch_tree.h. Both insertion and removal go down one path once, relinking as they go. */
#include "memory/pytorch_tree.h"

/* Mixes all bits of the address, so that regular addresses give irregular weights. */
static uint64_t weight_of(const memory_block *block) {
    uint64_t x = (uint64_t)(uintptr_t)block->address * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

static memory_link *children_of(const pytorch_tree *tree, memory_block *block) {
    return tree->order == PYTORCH_ALL_BY_ADDRESS ? &block->neighbours : &block->resting.children;
}
static memory_block **lower(const pytorch_tree *tree, memory_block *block) {
    return &children_of(tree, block)->previous;
}
static memory_block **higher(const pytorch_tree *tree, memory_block *block) { return &children_of(tree, block)->next; }

static bool is_before(const pytorch_tree *tree, const memory_block *block, size_t size, uintptr_t address) {
    if (tree->order == PYTORCH_BY_SIZE && block->capacity != size) return block->capacity < size;
    return (uintptr_t)block->address < address;
}

void pytorch_tree_insert(pytorch_tree *tree, memory_block *block) {
    size_t size = block->capacity;
    uintptr_t address = (uintptr_t)block->address;
    memory_block **link = &tree->root;
    while (*link != NULL && weight_of(*link) >= weight_of(block)) {
        link = is_before(tree, *link, size, address) ? higher(tree, *link) : lower(tree, *link);
    }
    /* What was below this place is parted by the new key. */
    memory_block *rest = *link;
    memory_block **below = lower(tree, block), **above = higher(tree, block);
    *link = block;
    while (rest != NULL) {
        if (is_before(tree, rest, size, address)) {
            *below = rest;
            below = higher(tree, rest);
            rest = *below;
        } else {
            *above = rest;
            above = lower(tree, rest);
            rest = *above;
        }
    }
    *below = NULL;
    *above = NULL;
}

void pytorch_tree_remove(pytorch_tree *tree, memory_block *block) {
    memory_block **link = &tree->root;
    while (*link != block) {
        bool is_higher = is_before(tree, *link, block->capacity, (uintptr_t)block->address);
        link = is_higher ? higher(tree, *link) : lower(tree, *link);
    }
    memory_block *below = *lower(tree, block), *above = *higher(tree, block);
    while (below != NULL && above != NULL) {
        if (weight_of(below) >= weight_of(above)) {
            *link = below;
            link = higher(tree, below);
            below = *link;
        } else {
            *link = above;
            link = lower(tree, above);
            above = *link;
        }
    }
    *link = below != NULL ? below : above;
}

memory_block *pytorch_tree_at_least(const pytorch_tree *tree, size_t size, uintptr_t address) {
    memory_block *best = NULL;
    for (memory_block *block = tree->root; block != NULL;) {
        if (is_before(tree, block, size, address)) {
            block = *higher(tree, block);
        } else {
            best = block;
            block = *lower(tree, block);
        }
    }
    return best;
}

memory_block *pytorch_tree_before(const pytorch_tree *tree, size_t size, uintptr_t address) {
    memory_block *best = NULL;
    for (memory_block *block = tree->root; block != NULL;) {
        if (is_before(tree, block, size, address)) {
            best = block;
            block = *higher(tree, block);
        } else {
            block = *lower(tree, block);
        }
    }
    return best;
}
