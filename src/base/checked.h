/* Sums and products that say when they do not fit. Each returns true and writes the result when it fits, else false. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool checked_add(size_t a, size_t b, size_t *out_sum) {
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out_sum = sum;
    return true;
}

static inline bool checked_multiply(size_t a, size_t b, size_t *out_product) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out_product = product;
    return true;
}

static inline bool is_power_of_two(size_t value) { return value != 0 && (value & (value - 1)) == 0; }

/* Rounds up to a multiple of `unit`, a power of two. */
static inline bool checked_round_up(size_t value, size_t unit, size_t *out_rounded) {
    size_t sum;
    if (__builtin_add_overflow(value, unit - 1, &sum)) return false;
    *out_rounded = sum & ~(unit - 1);
    return true;
}

/* For values known to be far from the limit, such as addresses inside one reservation. */
static inline size_t round_down(size_t value, size_t unit) { return value & ~(unit - 1); }
static inline size_t round_up(size_t value, size_t unit) { return (value + unit - 1) & ~(unit - 1); }

static inline uint64_t saturating_add(uint64_t a, uint64_t b) {
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

#endif
