/* The fake driver's ledger of memory, apart from its streams. Called with the driver's lock held. */
#ifndef TESTS_SUPPORT_FAKE_MEMORY_H
#define TESTS_SUPPORT_FAKE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake.h"

#define FAKE_GRANULE ((size_t)2 << 20)
#define FAKE_ALIGNMENT ((size_t)256)
#define FAKE_MAXIMUM_ALIGNMENT ((size_t)64 << 20)

/* A range of addresses: memory of its own (granules NULL), or a reservation with the granule behind each page, 0 for none. */
typedef struct fake_range {
    uintptr_t address;
    size_t size;
    tarn_memory_kind kind;
    uint32_t *pages;
} fake_range;

typedef struct fake_memory {
    fake_range *ranges;
    size_t range_count, range_capacity;
    uint32_t *granules; /* by number, from 1: 0 absent, 1 created, 1 + n mapped at n places */
    size_t granule_count, granule_capacity;
    uintptr_t next_address;
    fake_range last_freed; /* its address is handed out again, as drivers do */
    uint64_t in_use, total;
    bool has_aliasing;
} fake_memory;

void fake_memory_end(fake_memory *memory);
/* Where the next allocation of `size` bytes lies, of whatever device; size 0: none is chosen. */
typedef struct fake_chosen {
    uintptr_t address;
    size_t size;
} fake_chosen;
extern fake_chosen fake_memory_chosen;

tarn_status fake_memory_allocate(fake_memory *memory, tarn_memory_kind kind, size_t size, size_t alignment,
                                 fake_lie lie, uint64_t capacity, void **out_address);
tarn_status fake_memory_free(fake_memory *memory, tarn_memory_kind kind, uintptr_t address, size_t size);
tarn_status fake_memory_reserve(fake_memory *memory, size_t size, fake_lie lie, void **out_address);
tarn_status fake_memory_unreserve(fake_memory *memory, uintptr_t address, size_t size);
tarn_status fake_memory_create(fake_memory *memory, size_t count, uint64_t capacity,
                               tarn_backend_granule *out_granules);
tarn_status fake_memory_release(fake_memory *memory, size_t count, const tarn_backend_granule *granules);
tarn_status fake_memory_map(fake_memory *memory, uintptr_t address, size_t count, const tarn_backend_granule *granules);
tarn_status fake_memory_unmap(fake_memory *memory, uintptr_t address, size_t count);

/* The granule behind an address, and the offset in it, as one number; memory of its own answers its address. False where
 * nothing is mapped. */
bool fake_memory_physical(const fake_memory *memory, uintptr_t address, uint64_t *out_physical);

/* Notes a broken rule, and answers INTERNAL; in fake.c. */
tarn_status fake_violation(const char *format, ...) TARN_PRINTF(1, 2);

#endif
