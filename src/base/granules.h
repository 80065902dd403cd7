/* Granules of physical memory by their numbers, and the slots of address ranges into which they are mapped: what backends with
 * virtual memory have to remember, and what they have to refuse. Each call checks everything before it changes anything. Not
 * locked. */
#ifndef BASE_GRANULES_H
#define BASE_GRANULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/status.h>

typedef struct base_granule {
    uint32_t maps; /* slots in which it is mapped */
    bool is_live;
    void *place; /* for the owner; NULL at first */
} base_granule;

/* All zero but for `fail` is an empty set. */
typedef struct base_granules {
    /* How the owner fails: keeps the sentence, and returns the status. */
    tarn_status (*fail)(tarn_status status, const char *format, ...) TARN_PRINTF(2, 3);
    bool may_alias; /* one granule may be mapped in several slots */
    base_granule *table;
    uint32_t *free_numbers; /* a stack, as large as the table */
    size_t count;           /* numbers in use or on the stack */
    size_t room, free_count;
} base_granules;

/* Writes the numbers of new granules, from 1 on. OUT_OF_MEMORY. */
tarn_status base_granules_create(base_granules *granules, size_t count, uint64_t *out_numbers);
/* INVALID_ARGUMENT: one of them does not live, is mapped, or is named twice. */
tarn_status base_granules_release(base_granules *granules, size_t count, const uint64_t *numbers);
/* Writes the numbers into slots, which must be empty (0). INVALID_ARGUMENT: a slot is not; a granule does not live, or is mapped
 * elsewhere where that may not be. */
tarn_status base_granules_map(base_granules *granules, uint32_t *slots, size_t count, const uint64_t *numbers);
/* INVALID_ARGUMENT: a slot is empty. */
tarn_status base_granules_check_mapped(const base_granules *granules, const uint32_t *slots, size_t count);
/* The same, and empties them. */
tarn_status base_granules_unmap(base_granules *granules, uint32_t *slots, size_t count);
/* INVALID_ARGUMENT unless all slots are empty. */
tarn_status base_granules_check_empty(const base_granules *granules, const uint32_t *slots, size_t count);
/* Frees the memory of the set. */
void base_granules_end(base_granules *granules);

/* A living granule's entry. */
static inline base_granule *base_granule_of(const base_granules *granules, uint64_t number) {
    return &granules->table[number - 1];
}

#endif
