/* Blocks in order: by address, or by size and then by address, as PyTorch orders what is free.
 *
 * The links of a tree lie in the blocks themselves, so that adding and taking out never fail. The tree of all blocks uses
 * `neighbours`, those of a pool use `resting.children`, and a block is in at most one of the latter. The shape is that of a heap over
 * a hash of the address, which keeps paths short whatever the order of insertions. Not locked. */
#ifndef MEMORY_PYTORCH_TREE_H
#define MEMORY_PYTORCH_TREE_H

#include "memory/block.h"

typedef enum pytorch_order {
    PYTORCH_ALL_BY_ADDRESS = 0, /* through `neighbours` */
    PYTORCH_BY_ADDRESS,         /* through `resting.children`, as is the next one */
    PYTORCH_BY_SIZE
} pytorch_order;

typedef struct pytorch_tree {
    memory_block *root; /* NULL: empty */
    pytorch_order order;
} pytorch_tree;

/* A block's key does not change while it is in the tree: its address, and in PYTORCH_BY_SIZE its capacity. */
void pytorch_tree_insert(pytorch_tree *tree, memory_block *block);
void pytorch_tree_remove(pytorch_tree *tree, memory_block *block);

/* The first block at or behind that key, and the last one before it; NULL when there is none. `size` counts in PYTORCH_BY_SIZE
 * alone. */
memory_block *pytorch_tree_at_least(const pytorch_tree *tree, size_t size, uintptr_t address);
memory_block *pytorch_tree_before(const pytorch_tree *tree, size_t size, uintptr_t address);

/* The neighbours of a block in the tree's order. */
static inline memory_block *pytorch_tree_next(const pytorch_tree *tree, const memory_block *block) {
    return pytorch_tree_at_least(tree, block->capacity, (uintptr_t)block->address + 1);
}
static inline memory_block *pytorch_tree_previous(const pytorch_tree *tree, const memory_block *block) {
    return pytorch_tree_before(tree, block->capacity, (uintptr_t)block->address);
}
static inline memory_block *pytorch_tree_first(const pytorch_tree *tree) { return pytorch_tree_at_least(tree, 0, 0); }

#endif
