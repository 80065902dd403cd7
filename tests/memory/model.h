/* A model of what an allocator may do, and random operations that hold the allocator to it.
 *
 * Operation i of a run is made of numbers drawn from the seed and i alone, so that a run can be repeated with operations left
 * out. The model knows which memory is live and which is still used by a stream that stands still; on the fake driver it
 * looks through the addresses at the physical memory behind them. */
#ifndef TESTS_MEMORY_MODEL_H
#define TESTS_MEMORY_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct model_plan {
    const char *spec, *device;
    uint64_t capacity; /* bytes that may be used; 0: as good as endless */
    bool is_rigid;     /* segments are never moved: fragments may fill the device */
    uint64_t seed;
    size_t operations;
    const bool *left_out; /* operations to skip; NULL: none */
    bool is_told;         /* prints each operation */
} model_plan;

typedef struct model_verdict {
    bool is_good;
    size_t operation;   /* at which it failed */
    char sentence[512]; /* why */
    size_t allocations, refusals, faults;
} model_verdict;

void model_run(const model_plan *plan, model_verdict *out_verdict);

#endif
