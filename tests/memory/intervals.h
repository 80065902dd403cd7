/* A set of ranges that do not overlap, kept in order: the model's view of memory. */
#ifndef TESTS_MEMORY_INTERVALS_H
#define TESTS_MEMORY_INTERVALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct interval {
    uint64_t start, length;
} interval;

typedef struct intervals {
    interval *items;
    size_t count, capacity;
} intervals;

/* False when it overlaps one that is there. */
bool intervals_add(intervals *set, uint64_t start, uint64_t length);
/* False when exactly that range is not there. */
bool intervals_remove(intervals *set, uint64_t start, uint64_t length);
bool intervals_overlap(const intervals *set, uint64_t start, uint64_t length);
void intervals_end(intervals *set);

#endif
