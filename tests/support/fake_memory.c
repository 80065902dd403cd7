/* The fake driver's memory: a list of ranges and a table of granules, searched from end to end, so that it can be seen to be
 * right. */
#include "fake_memory.h"

#include <stdlib.h>
#include <string.h>

enum { GRANULE_ABSENT = 0, GRANULE_CREATED };

/* Reservations and allocations begin here: no real mapping lies there. */
#define FIRST_ADDRESS ((uintptr_t)1 << 48)
/* Each device has a window of addresses of its own. */
#define WINDOW ((uintptr_t)1 << 44)

fake_chosen fake_memory_chosen;

void fake_memory_end(fake_memory *memory) {
    for (size_t i = 0; i < memory->range_count; i++) free(memory->ranges[i].pages);
    free(memory->ranges);
    free(memory->granules);
    memset(memory, 0, sizeof *memory);
}

static fake_range *find(const fake_memory *memory, uintptr_t address) {
    for (size_t i = 0; i < memory->range_count; i++) {
        fake_range *range = &memory->ranges[i];
        if (address >= range->address && address - range->address < range->size) return range;
    }
    return NULL;
}

bool fake_memory_physical(const fake_memory *memory, uintptr_t address, uint64_t *out_physical) {
    const fake_range *range = find(memory, address);
    if (range == NULL) return false;
    uint64_t offset = address - range->address;
    if (range->pages == NULL) {
        *out_physical = address;
        return true;
    }
    uint64_t granule = range->pages[offset / FAKE_GRANULE];
    *out_physical = granule * FAKE_GRANULE + offset % FAKE_GRANULE;
    return granule != 0;
}

static void add(fake_memory *memory, fake_range range) {
    if (memory->range_count == memory->range_capacity) {
        memory->range_capacity = memory->range_capacity == 0 ? 64 : 2 * memory->range_capacity;
        memory->ranges = realloc(memory->ranges, memory->range_capacity * sizeof *memory->ranges);
        if (memory->ranges == NULL) abort();
    }
    memory->ranges[memory->range_count++] = range;
}

static void remove_range(fake_memory *memory, fake_range *range) {
    free(range->pages);
    *range = memory->ranges[--memory->range_count];
}

static uintptr_t next_address(fake_memory *memory, size_t size, size_t alignment) {
    static uintptr_t window;
    if (memory->next_address == 0) memory->next_address = FIRST_ADDRESS + (window++ % 512) * WINDOW;
    uintptr_t address = (memory->next_address + alignment - 1) & ~(uintptr_t)(alignment - 1);
    /* A gap behind each range, so that a step over its end is a step into nothing. */
    memory->next_address = address + size + FAKE_GRANULE;
    return address;
}

static uintptr_t lie_about(fake_memory *memory, uintptr_t address, fake_lie lie) {
    switch (lie) {
    case FAKE_NULL: return 0;
    case FAKE_MISALIGNED: return address + 8;
    case FAKE_OVERLAPPING: return memory->range_count > 0 ? memory->ranges[0].address : address;
    case FAKE_TRUTH: break;
    }
    return address;
}

tarn_status fake_memory_allocate(fake_memory *memory, tarn_memory_kind kind, size_t size, size_t alignment,
                                 fake_lie lie, uint64_t capacity, void **out_address) {
    if (size == 0 || (alignment & (alignment - 1)) != 0 || alignment < FAKE_ALIGNMENT ||
        alignment > FAKE_MAXIMUM_ALIGNMENT)
        return fake_violation("memory_allocate of %zu bytes aligned to %zu", size, alignment);
    if (size > capacity || memory->in_use > capacity - size) return TARN_OUT_OF_MEMORY;
    uintptr_t address;
    if (fake_memory_chosen.size == size && (fake_memory_chosen.address & (alignment - 1)) == 0) {
        address = fake_memory_chosen.address;
        fake_memory_chosen.size = 0;
    } else if (memory->last_freed.size == size && (memory->last_freed.address & (alignment - 1)) == 0)
        address = memory->last_freed.address;
    else address = next_address(memory, size, alignment);
    if (lie != FAKE_TRUTH) {
        *out_address = (void *)lie_about(memory, address, lie); // NOLINT(performance-no-int-to-ptr): only a number
        return TARN_OK;
    }
    memory->last_freed.size = 0;
    add(memory, (fake_range){.address = address, .size = size, .kind = kind});
    memory->in_use += size;
    *out_address = (void *)address; // NOLINT(performance-no-int-to-ptr): only a number
    return TARN_OK;
}

tarn_status fake_memory_free(fake_memory *memory, tarn_memory_kind kind, uintptr_t address, size_t size) {
    fake_range *range = find(memory, address);
    if (range == NULL || range->address != address || range->size != size || range->kind != kind ||
        range->pages != NULL)
        return fake_violation("memory_free of %#zx, %zu bytes, which was not allocated so", (size_t)address, size);
    memory->last_freed = *range;
    remove_range(memory, range);
    memory->in_use -= size;
    return TARN_OK;
}

tarn_status fake_memory_reserve(fake_memory *memory, size_t size, fake_lie lie, void **out_address) {
    if (size == 0 || size % FAKE_GRANULE != 0) return fake_violation("virtual_reserve of %zu bytes", size);
    if (size > WINDOW / 2) return TARN_OUT_OF_MEMORY;
    uintptr_t address = next_address(memory, size, FAKE_GRANULE);
    if (lie == FAKE_TRUTH) {
        uint32_t *pages = calloc(size / FAKE_GRANULE, sizeof *pages);
        if (pages == NULL) return TARN_OUT_OF_MEMORY;
        add(memory, (fake_range){.address = address, .size = size, .pages = pages});
    }
    *out_address = (void *)lie_about(memory, address, lie); // NOLINT(performance-no-int-to-ptr): only a number
    return TARN_OK;
}

tarn_status fake_memory_unreserve(fake_memory *memory, uintptr_t address, size_t size) {
    fake_range *range = find(memory, address);
    if (range == NULL || range->address != address || range->size != size || range->pages == NULL)
        return fake_violation("virtual_release of %#zx, %zu bytes, which was not reserved so", (size_t)address, size);
    for (size_t page = 0; page < size / FAKE_GRANULE; page++)
        if (range->pages[page] != 0)
            return fake_violation("virtual_release of %#zx with a granule mapped", (size_t)address);
    remove_range(memory, range);
    return TARN_OK;
}

static size_t absent_granule(fake_memory *memory, size_t from) {
    for (size_t number = from; number <= memory->granule_count; number++)
        if (memory->granules[number] == GRANULE_ABSENT) return number;
    if (memory->granule_count + 2 > memory->granule_capacity) {
        memory->granule_capacity = memory->granule_capacity == 0 ? 256 : 2 * memory->granule_capacity;
        memory->granules = realloc(memory->granules, memory->granule_capacity * sizeof *memory->granules);
        if (memory->granules == NULL) abort();
    }
    memory->granules[++memory->granule_count] = GRANULE_ABSENT;
    return memory->granule_count;
}

tarn_status fake_memory_create(fake_memory *memory, size_t count, uint64_t capacity,
                               tarn_backend_granule *out_granules) {
    if (count == 0) return fake_violation("granules_create of none");
    if (count > capacity / FAKE_GRANULE || memory->in_use > capacity - count * FAKE_GRANULE) return TARN_OUT_OF_MEMORY;
    size_t number = 1;
    for (size_t i = 0; i < count; i++) {
        number = absent_granule(memory, number);
        memory->granules[number] = GRANULE_CREATED;
        out_granules[i] = number;
    }
    memory->in_use += count * FAKE_GRANULE;
    return TARN_OK;
}

static bool is_unmapped(const fake_memory *memory, tarn_backend_granule granule) {
    return granule > 0 && granule <= memory->granule_count && memory->granules[granule] == GRANULE_CREATED;
}

static bool is_mappable(const fake_memory *memory, tarn_backend_granule granule) {
    return is_unmapped(memory, granule) || (memory->has_aliasing && granule > 0 && granule <= memory->granule_count &&
                                            memory->granules[granule] != GRANULE_ABSENT);
}

tarn_status fake_memory_release(fake_memory *memory, size_t count, const tarn_backend_granule *granules) {
    if (count == 0) return fake_violation("granules_release of none");
    for (size_t i = 0; i < count; i++)
        if (!is_unmapped(memory, granules[i]))
            return fake_violation("granules_release of granule %llu, which is mapped or absent",
                                  (unsigned long long)granules[i]);
    for (size_t i = 0; i < count; i++) memory->granules[granules[i]] = GRANULE_ABSENT;
    memory->in_use -= count * FAKE_GRANULE;
    return TARN_OK;
}

/* The pages of a range inside one reservation, or NULL. */
static uint32_t *pages_at(fake_memory *memory, uintptr_t address, size_t count) {
    fake_range *range = find(memory, address);
    if (range == NULL || range->pages == NULL || (address - range->address) % FAKE_GRANULE != 0) return NULL;
    size_t first = (address - range->address) / FAKE_GRANULE;
    if (count == 0 || count > range->size / FAKE_GRANULE - first) return NULL;
    return range->pages + first;
}

tarn_status fake_memory_map(fake_memory *memory, uintptr_t address, size_t count,
                            const tarn_backend_granule *granules) {
    uint32_t *pages = pages_at(memory, address, count);
    if (pages == NULL) return fake_violation("virtual_map of %zu granules at %#zx", count, (size_t)address);
    for (size_t i = 0; i < count; i++) {
        if (pages[i] != 0) return fake_violation("virtual_map over a mapped page at %#zx", (size_t)address);
        if (!is_mappable(memory, granules[i]))
            return fake_violation("virtual_map of granule %llu, which is mapped or absent",
                                  (unsigned long long)granules[i]);
        for (size_t j = 0; j < i && !memory->has_aliasing; j++)
            if (granules[j] == granules[i]) return fake_violation("virtual_map of one granule twice");
    }
    for (size_t i = 0; i < count; i++) {
        pages[i] = (uint32_t)granules[i];
        memory->granules[granules[i]]++;
    }
    return TARN_OK;
}

tarn_status fake_memory_unmap(fake_memory *memory, uintptr_t address, size_t count) {
    uint32_t *pages = pages_at(memory, address, count);
    if (pages == NULL) return fake_violation("virtual_unmap of %zu granules at %#zx", count, (size_t)address);
    for (size_t i = 0; i < count; i++)
        if (pages[i] == 0)
            return fake_violation("virtual_unmap of a page that is not mapped, at %#zx", (size_t)address);
    for (size_t i = 0; i < count; i++) {
        memory->granules[pages[i]]--;
        pages[i] = 0;
    }
    return TARN_OK;
}
