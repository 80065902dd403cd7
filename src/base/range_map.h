/* Ranges of addresses, ordered by where they start: who lies here, does this overlap anything, which is the lowest that
 * is large enough. The nodes are embedded in what the caller keeps about a range, so that nothing here allocates or fails.
 *
 * A treap: a search tree by start whose shape is that of a heap over a hash of the start, which keeps the depth
 * logarithmic whatever the order of insertions. The ranges of one map never overlap. Not locked. */
#ifndef BASE_RANGE_MAP_H
#define BASE_RANGE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct base_range {
    uintptr_t start;
    size_t size;    /* bytes, above zero; start + size does not wrap */
    size_t largest; /* the largest size in this subtree; kept by the functions below */
    struct base_range *left, *right;
} base_range;

/* The map is its root; NULL is the empty map. Start and size are set by the caller and overlap no other range. */
void base_range_insert(base_range **root, base_range *range);
/* Takes the range that starts at `start` out of the map and returns it; NULL when there is none. */
base_range *base_range_remove(base_range **root, uintptr_t start);
/* The range that starts at `start`, or NULL. */
base_range *base_range_find(base_range *root, uintptr_t start);
/* The range that contains `address`, or NULL. */
base_range *base_range_containing(base_range *root, uintptr_t address);
/* The range with the greatest start at or below `address`, or NULL. */
base_range *base_range_at_or_before(base_range *root, uintptr_t address);
/* The range with the smallest start above `address`, or NULL. */
base_range *base_range_after(base_range *root, uintptr_t address);
/* Whether any range shares a byte with [start, start + size). */
bool base_range_overlaps(base_range *root, uintptr_t start, size_t size);
/* The range of at least `size` bytes with the smallest start, or NULL. */
base_range *base_range_first_fit(base_range *root, size_t size);

#endif
