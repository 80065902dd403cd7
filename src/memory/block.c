/* The table of descriptors.
 *
 * One range of addresses is reserved when the first block is made, more than any program fills, and made readable and writable
 * piece by piece from its beginning. So a descriptor never moves, the table never shrinks, and a handle is checked by
 * comparing its number with the count of descriptors that are there. Descriptors that are not in use are chained through
 * `home`.
 *
 * The first life of a descriptor has its highest bit set: no address that a program can have looks like a
 * handle, unless a descriptor has served half a billion times. */
#include "memory/block.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/fork.h"

#define LARGEST_TABLE ((size_t)64 << 30)
#define SMALLEST_TABLE ((size_t)64 << 20)
#define STEP ((size_t)256 << 10) /* bytes that are made usable at once */

_Static_assert(sizeof(memory_block) == 128, "a descriptor is two cache lines");
_Static_assert(LARGEST_TABLE / sizeof(memory_block) < UINT32_MAX, "every descriptor has a number");
_Static_assert(offsetof(memory_block, owner) == 64, "the members of a live block share a line");

memory_block *block_table;
atomic_size_t block_readable_count;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All protected by lock. */
static size_t table_capacity; /* descriptors that the reservation has room for; 0 before it */
static size_t used_count;     /* descriptors that were ever handed out, and the first, which never is */
static memory_block *unused;  /* handed out once and given back */

/* Must be called with the lock held. */
static bool reserve_table(void) {
    for (size_t size = LARGEST_TABLE; size >= SMALLEST_TABLE; size /= 2) {
        void *table = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (table == MAP_FAILED) continue;
        block_table = table;
        table_capacity = size / sizeof(memory_block);
        used_count = 1;
        memory_fork_watch(&lock, true);
        return true;
    }
    return false;
}

/* Makes the next piece of the table usable. Must be called with the lock held. */
static bool extend(void) {
    if (table_capacity == 0 && !reserve_table()) return false;
    size_t count = atomic_load_explicit(&block_readable_count, memory_order_relaxed);
    if (count == table_capacity) return false;
    if (mprotect(block_table + count, STEP, PROT_READ | PROT_WRITE) != 0) return false;
    atomic_store_explicit(&block_readable_count, count + STEP / sizeof(memory_block), memory_order_release);
    return true;
}

/* Lives begin scattered, so that a handle with another number's life is not taken for a live one. */
static uint32_t first_life(size_t number) {
    return 0x80000000u | ((((uint32_t)number * 2654435761u) >> 2) & ~BLOCK_IS_LIVE);
}

/* A descriptor that was never handed out. Must be called with the lock held. */
static memory_block *take_new(void) {
    if (used_count >= atomic_load_explicit(&block_readable_count, memory_order_relaxed) && !extend()) return NULL;
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
