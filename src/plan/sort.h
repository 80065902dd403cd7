/* Putting numbers in order by a key. */
#ifndef PLAN_SORT_H
#define PLAN_SORT_H

#include <stddef.h>
#include <stdint.h>

/* An item of any kind, by its number, and what it is sorted by. */
typedef struct plan_keyed {
    uint64_t key;
    uint32_t item;
} plan_keyed;

/* Sorts by ascending key; equal keys keep their order. `scratch` has room for as many, and its contents mean nothing. */
void plan_sort(plan_keyed *keyed, plan_keyed *scratch, size_t count);

/* Times in an order that unsigned numbers have. */
static inline uint64_t plan_key_of_time(int64_t time) { return (uint64_t)time ^ ((uint64_t)1 << 63); }

#endif
