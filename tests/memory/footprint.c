/* Footprints: ranges of addresses, seen through the granules that the fake driver has behind them. */
#include "footprint.h"

#include <string.h>

#include "fake.h"
#include "stand.h"

#define GRANULE (2 * MIB)

bool footprint_look(footprint *out_memory, uintptr_t address, size_t capacity, bool is_seen) {
    out_memory->count = 0;
    while (capacity > 0) {
        size_t length = GRANULE - address % GRANULE;
        uint64_t start = address;
        if (length > capacity) length = capacity;
        if (!is_seen) length = capacity;
        else if (!fake_physical((const void *)address, &start)) return false; // NOLINT(performance-no-int-to-ptr)
        if (out_memory->count == FOOTPRINT_PIECES) return false;
        out_memory->pieces[out_memory->count++] = (interval){start, length};
        address += length;
        capacity -= length;
    }
    return true;
}

bool footprint_equals(const footprint *a, const footprint *b) {
    return a->count == b->count && memcmp(a->pieces, b->pieces, a->count * sizeof a->pieces[0]) == 0;
}

bool footprint_overlaps(const footprint *a, const footprint *b) {
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (a->pieces[i].start < b->pieces[j].start + b->pieces[j].length &&
                b->pieces[j].start < a->pieces[i].start + a->pieces[i].length)
                return true;
    return false;
}

bool footprint_add(const footprint *memory, intervals *set) {
    for (size_t i = 0; i < memory->count; i++)
        if (!intervals_add(set, memory->pieces[i].start, memory->pieces[i].length)) return false;
    return true;
}

bool footprint_remove(const footprint *memory, intervals *set) {
    bool is_there = true;
    for (size_t i = 0; i < memory->count; i++)
        is_there = intervals_remove(set, memory->pieces[i].start, memory->pieces[i].length) && is_there;
    return is_there;
}
