/* What a buffer occupies: the granules behind it where they can be seen, else its addresses. */
#ifndef TESTS_MEMORY_FOOTPRINT_H
#define TESTS_MEMORY_FOOTPRINT_H

#include "intervals.h"

#define FOOTPRINT_PIECES 64

typedef struct footprint {
    interval pieces[FOOTPRINT_PIECES];
    size_t count;
} footprint;

/* Where the memory of a range really is; `is_seen`: the device is the fake one, which tells. False when there is none behind
 * a part of it. */
bool footprint_look(footprint *out_memory, uintptr_t address, size_t capacity, bool is_seen);
bool footprint_equals(const footprint *a, const footprint *b);
bool footprint_overlaps(const footprint *a, const footprint *b);
/* Enters it into a set, or takes it out. False when some of it overlaps what is there, or is not there. */
bool footprint_add(const footprint *memory, intervals *set);
bool footprint_remove(const footprint *memory, intervals *set);

#endif
