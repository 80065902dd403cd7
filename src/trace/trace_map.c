/* The map of trace_map.h. At most two thirds of the slots are taken, so that probes stay short. */
#include "trace_map.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/memory.h"

struct trace_map_slot {
    uint64_t key;
    uint64_t value;
    bool taken;
};

static const size_t first_capacity = 64;

/* Chosen once from the clock and from where the system has put the program; while fuzzing always the same, so that a run can be
 * repeated. */
static uint64_t seed(void) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    return 1;
#else
    static _Atomic uint64_t chosen;
    uint64_t value = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (value != 0) return value;
    uint64_t fresh = (base_clock_ns() ^ ((uint64_t)(uintptr_t)&chosen << 20)) | 1;
    if (atomic_compare_exchange_strong_explicit(&chosen, &value, fresh, memory_order_relaxed, memory_order_relaxed))
        return fresh;
    return value;
#endif
}

/* The finaliser of splitmix64: every bit of the result depends on every bit of the value. */
uint64_t trace_hash(uint64_t value) {
    value += seed();
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* The slot that holds the key or would: there is always a free one. */
static struct trace_map_slot *probe(struct trace_map_slot *slots, size_t capacity, uint64_t key) {
    size_t i = (size_t)trace_hash(key) & (capacity - 1);
    while (slots[i].taken && slots[i].key != key) i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static bool grow(trace_map *map) {
    size_t capacity = map->capacity == 0 ? first_capacity : map->capacity * 2;
    struct trace_map_slot *slots = base_allocate(capacity, sizeof *slots);
    if (slots == NULL) return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].taken) *probe(slots, capacity, map->slots[i].key) = map->slots[i];
    base_free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

uint64_t *trace_map_find(const trace_map *map, uint64_t key) {
    if (map->capacity == 0) return NULL;
    struct trace_map_slot *slot = probe(map->slots, map->capacity, key);
    return slot->taken ? &slot->value : NULL;
}

uint64_t *trace_map_insert(trace_map *map, uint64_t key, uint64_t value, bool *out_added) {
    uint64_t *found = trace_map_find(map, key);
    if (out_added != NULL) *out_added = found == NULL;
    if (found != NULL) return found;
    if (map->count >= map->capacity / 3 * 2 && !grow(map)) return NULL;
    struct trace_map_slot *slot = probe(map->slots, map->capacity, key);
    *slot = (struct trace_map_slot){.key = key, .value = value, .taken = true};
    map->count++;
    return &slot->value;
}

void trace_map_discard(trace_map *map) {
    base_free(map->slots);
    *map = (trace_map){0};
}
