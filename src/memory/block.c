/* The table of descriptors.
 *
 * One range of addresses is reserved when the first block is made, more than any program fills, and made readable and writable
 * piece by piece from its beginning. So a descriptor never moves, the table never shrinks, and a handle is checked by
 * comparing its number with the count of descriptors that are there. Descriptors that are not in use are chained through
 * `home`.
 *
 * The first generation of a descriptor has its highest bit set: no address that a program can have looks like a
 * handle, unless a descriptor has served eight million times. */
#include "memory/block.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/fork.h"

#define LARGEST_TABLE ((size_t)64 << 30)
#define SMALLEST_TABLE ((size_t)64 << 20)
#define STEP ((size_t)256 << 10) /* bytes that are made usable at once */

#define NUMBER_MASK ((UINT64_C(1) << 40) - 1)
#define GENERATION_MASK 0xFFFFFFu

_Static_assert(sizeof(memory_block) == 128, "a descriptor is two cache lines");
_Static_assert(LARGEST_TABLE / sizeof(memory_block) < NUMBER_MASK, "every descriptor has a number");

memory_block *block_table;

/* Descriptors that may be read. Release, after the pages are there; acquire in block_of. */
static atomic_size_t readable_count;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All protected by lock. */
static size_t table_capacity; /* descriptors that the reservation has room for; 0 before it */
static size_t used_count;     /* descriptors that were ever handed out */
static memory_block *unused;  /* handed out once and given back */

/* Must be called with the lock held. */
static bool reserve_table(void) {
    for (size_t size = LARGEST_TABLE; size >= SMALLEST_TABLE; size /= 2) {
        void *table = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (table == MAP_FAILED) continue;
        block_table = table;
        table_capacity = size / sizeof(memory_block);
        memory_fork_watch(&lock, true);
        return true;
    }
    return false;
}

/* Makes the next piece of the table usable. Must be called with the lock held. */
static bool extend(void) {
    if (table_capacity == 0 && !reserve_table()) return false;
    size_t count = atomic_load_explicit(&readable_count, memory_order_relaxed);
    if (count == table_capacity) return false;
    if (mprotect(block_table + count, STEP, PROT_READ | PROT_WRITE) != 0) return false;
    atomic_store_explicit(&readable_count, count + STEP / sizeof(memory_block), memory_order_release);
    return true;
}

/* Generations begin scattered, so that a handle with another number's generation is not taken for a live one. */
static uint32_t first_life(size_t number) {
    uint32_t generation = 0x800000u | (((uint32_t)number * 2654435761u) >> 9);
    return generation << 1;
}

/* A descriptor that was never handed out. Must be called with the lock held. */
static memory_block *take_new(void) {
    if (used_count == atomic_load_explicit(&readable_count, memory_order_relaxed) && !extend()) return NULL;
    memory_block *block = &block_table[used_count];
    atomic_store_explicit(&block->life, first_life(used_count), memory_order_relaxed);
    used_count++;
    return block;
}

memory_block *block_create(void) {
    pthread_mutex_lock(&lock);
    memory_block *block = unused;
    if (block != NULL) unused = block->home;
    else block = take_new();
    pthread_mutex_unlock(&lock);
    if (block == NULL) return NULL;
    /* All but the life, which others may be reading. */
    memset((char *)block + offsetof(memory_block, stream), 0, sizeof *block - offsetof(memory_block, stream));
    return block;
}

void block_destroy(memory_block *block) {
    pthread_mutex_lock(&lock);
    block->home = unused;
    unused = block;
    pthread_mutex_unlock(&lock);
}

/* Whether `life` is the one that the handle was made in. */
static inline bool names_life(uint64_t handle, uint32_t life) {
    return (life & 1u) != 0 && (life >> 1 & GENERATION_MASK) == handle >> 40;
}

memory_block *block_of(const tarn_buffer *handle) {
    uint64_t bits = (uint64_t)(uintptr_t)handle;
    /* Wraps for NULL, which no count reaches. */
    uint64_t number = (bits & NUMBER_MASK) - 1;
    if (number >= atomic_load_explicit(&readable_count, memory_order_acquire)) return NULL;
    memory_block *block = &block_table[number];
    return names_life(bits, atomic_load_explicit(&block->life, memory_order_acquire)) ? block : NULL;
}

bool block_claim(memory_block *block, const tarn_buffer *handle) {
    uint64_t bits = (uint64_t)(uintptr_t)handle;
    uint32_t life = atomic_load_explicit(&block->life, memory_order_acquire);
    /* Acquire, for the members; release, so that who finds the life ended sees what came before. */
    while (names_life(bits, life)) {
        if (atomic_compare_exchange_weak_explicit(&block->life, &life, (life & ~1u) + 2u, memory_order_acq_rel,
                                                  memory_order_acquire)) {
            return true;
        }
    }
    return false;
}
