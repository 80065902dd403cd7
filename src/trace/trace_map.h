/* A map from 64-bit numbers to 64-bit numbers, for what readers have to look up: which allocation lives at an
 * address, which number stands for a stream.
 *
 * Open addressing with linear probing and no removal; a value is changed instead. The place of a key depends on a
 * seed of the process, so that a file cannot be made to collide. */
#ifndef TRACE_MAP_H
#define TRACE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero is an empty map. */
typedef struct trace_map {
    struct trace_map_slot *slots; /* `capacity` of them, a power of two, or NULL */
    size_t capacity;
    size_t count;
} trace_map;

/* The value of `key`, to read or change until the next insertion; NULL when it has none. */
uint64_t *trace_map_find(const trace_map *map, uint64_t key);
/* The value of `key`, which is `value` when it had none; `out_added` says which, and may be NULL. NULL: no memory. */
uint64_t *trace_map_insert(trace_map *map, uint64_t key, uint64_t value, bool *out_added);
void trace_map_discard(trace_map *map);

/* Spreads the bits of `value`, with the seed of the process. */
uint64_t trace_hash(uint64_t value);

#endif
