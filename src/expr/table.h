/* A table that finds numbers by the hash of what they stand for. It knows nothing of the things themselves: whoever looks compares them. */
#ifndef EXPR_TABLE_H
#define EXPR_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct expr_entry {
    uint64_t hash;
    uint32_t number; /* plus 1; 0: the entry is free */
} expr_entry;

/* All zero: an empty table. */
typedef struct expr_table {
    expr_entry *entries;
    size_t capacity, count; /* the capacity is a power of two */
} expr_table;

/* The number of an equal thing; false when there is none. `is_equal(context, number)` compares with what is looked for. */
bool expr_table_find(const expr_table *table, uint64_t hash, bool (*is_equal)(const void *context, uint32_t number),
                     const void *context, uint32_t *out_number);
/* Adds a number whose thing is not in the table. False when there is no host memory. */
bool expr_table_add(expr_table *table, uint64_t hash, uint32_t number);
void expr_table_free(expr_table *table);

/* Goes on with a hash. */
static inline uint64_t expr_hash(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

#endif
