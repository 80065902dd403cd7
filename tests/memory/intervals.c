/* A sorted array, searched by halving. */
#include "intervals.h"

#include <stdlib.h>
#include <string.h>

/* The first range that begins at `start` or behind it. */
static size_t place_of(const intervals *set, uint64_t start) {
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->items[middle].start < start) low = middle + 1;
        else high = middle;
    }
    return low;
}

static bool overlaps_at(const intervals *set, size_t place, uint64_t start, uint64_t length) {
    if (place < set->count && set->items[place].start - start < length) return true;
    return place > 0 && start - set->items[place - 1].start < set->items[place - 1].length;
}

bool intervals_overlap(const intervals *set, uint64_t start, uint64_t length) {
    return overlaps_at(set, place_of(set, start), start, length);
}

bool intervals_add(intervals *set, uint64_t start, uint64_t length) {
    size_t place = place_of(set, start);
    if (overlaps_at(set, place, start, length)) return false;
    if (set->count == set->capacity) {
        set->capacity = set->capacity == 0 ? 256 : 2 * set->capacity;
        set->items = realloc(set->items, set->capacity * sizeof *set->items);
        if (set->items == NULL) abort();
    }
    memmove(set->items + place + 1, set->items + place, (set->count - place) * sizeof *set->items);
    set->items[place] = (interval){start, length};
    set->count++;
    return true;
}

bool intervals_remove(intervals *set, uint64_t start, uint64_t length) {
    size_t place = place_of(set, start);
    if (place == set->count || set->items[place].start != start || set->items[place].length != length) return false;
    set->count--;
    memmove(set->items + place, set->items + place + 1, (set->count - place) * sizeof *set->items);
    return true;
}

void intervals_end(intervals *set) {
    free(set->items);
    *set = (intervals){0};
}
