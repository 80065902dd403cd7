/* Which blocks are recorded.
 *
 * When small blocks are skipped, most frees are of blocks that nobody recorded, and each must find that out in a few
 * nanoseconds. A table of counters by hashed address answers most of them: a counter of 0 means that no recorded block
 * hashes there. Only where it is not 0 is the block looked up, in one of several hash tables with a lock each. The thread that frees a
 * block knows of the allocation, so it sees the counter and the table as the allocation left them. */
#include "record.h"

#include <sched.h>

void record_lock_take(record_lock *lock) {
    for (unsigned tries = 0; atomic_exchange_explicit(&lock->taken, 1, memory_order_acquire) != 0; tries++) {
        if (tries > 100) sched_yield();
    }
}

void record_lock_drop(record_lock *lock) { atomic_store_explicit(&lock->taken, 0, memory_order_release); }

/* Large blocks begin at pages, so that the low bits alone tell little: every bit is mixed into every other. */
static inline uint64_t hash_of(uintptr_t address) {
    uint64_t hash = (uint64_t)address * 0x9e3779b97f4a7c15u;
    hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93u;
    return hash ^ (hash >> 32);
}
static inline size_t counter_of(uint64_t hash) { return hash >> 49; }
/* All blocks of a counter lie in one stripe, so that its lock covers the counter too. */
static inline size_t stripe_of(uint64_t hash) { return counter_of(hash) % RECORD_STRIPES; }

_Static_assert(RECORD_COUNTERS == 1u << (64 - 49), "counter_of takes the upper bits");

/* Must be called with the stripe's lock held: others only read. */
static void count(uint64_t hash, int difference) {
    _Atomic uint16_t *counter = &record_state->counters[counter_of(hash)];
    int now = atomic_load_explicit(counter, memory_order_relaxed) + difference;
    atomic_store_explicit(counter, (uint16_t)now, memory_order_relaxed);
}

static size_t place_of(const record_stripe *stripe, uintptr_t address) {
    size_t place = hash_of(address) & (stripe->room - 1);
    while (stripe->table[place] != 0 && stripe->table[place] != address) place = (place + 1) & (stripe->room - 1);
    return place;
}

/* Must be called with the stripe's lock held. */
static bool grow(record_stripe *stripe) {
    record_stripe larger = {.room = stripe->room ? stripe->room * 2 : RECORD_STRIPE_ROOM};
    larger.table = record_map(larger.room * sizeof *larger.table);
    if (!larger.table) return false;
    for (size_t i = 0; i < stripe->room; i++) {
        if (stripe->table[i] != 0) larger.table[place_of(&larger, stripe->table[i])] = stripe->table[i];
    }
    if (stripe->table) record_next.munmap(stripe->table, stripe->room * sizeof *stripe->table);
    stripe->table = larger.table;
    stripe->room = larger.room;
    return true;
}

/* Empties a place and moves up what was pushed past it. Must be called with the stripe's lock held. */
static void take_out(record_stripe *stripe, size_t hole) {
    size_t mask = stripe->room - 1;
    for (size_t place = (hole + 1) & mask; stripe->table[place] != 0; place = (place + 1) & mask) {
        size_t home = hash_of(stripe->table[place]) & mask;
        if (((place - home) & mask) < ((place - hole) & mask)) continue;
        stripe->table[hole] = stripe->table[place];
        hole = place;
    }
    stripe->table[hole] = 0;
    stripe->used--;
}

/* False when there is no memory for it, or when it is there already because its free went past the recorder. */
bool record_pointers_add(uintptr_t address) {
    uint64_t hash = hash_of(address);
    record_stripe *stripe = &record_state->stripes[stripe_of(hash)];
    bool is_new = false;
    record_lock_take(&stripe->lock);
    if (stripe->used + 1 <= stripe->room / 4 * 3 || grow(stripe)) {
        size_t place = place_of(stripe, address);
        is_new = stripe->table[place] == 0;
        stripe->used += is_new;
        stripe->table[place] = address;
        if (is_new) count(hash, 1);
    }
    record_lock_drop(&stripe->lock);
    return is_new;
}

bool record_pointers_remove(uintptr_t address) {
    uint64_t hash = hash_of(address);
    if (atomic_load_explicit(&record_state->counters[counter_of(hash)], memory_order_relaxed) == 0) return false;
    record_stripe *stripe = &record_state->stripes[stripe_of(hash)];
    bool found = false;
    record_lock_take(&stripe->lock);
    if (stripe->room != 0) {
        size_t place = place_of(stripe, address);
        found = stripe->table[place] == address;
        if (found) {
            take_out(stripe, place);
            count(hash, -1);
        }
    }
    record_lock_drop(&stripe->lock);
    return found;
}
