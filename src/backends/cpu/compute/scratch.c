/* Scratch memory: a few blocks are kept from operation to operation, since fresh pages cost more than many an operation. */
#include "backends/cpu/compute/scratch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "backends/cpu/compute/threads.h"
#include "backends/cpu/cpu_internal.h"
#include "base/checked.h"
#include "base/memory.h"

#define MOST_KEPT 8
#define MOST_KEPT_SIZE ((size_t)32 << 20) /* of one block */

struct cpu_scratch_block {
    size_t size;           /* bytes, this structure included */
    char *parts;           /* aligned */
    atomic_bool *is_taken; /* for each part. Acquired when it is taken, released when it is given back */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static cpu_scratch_block *kept[MOST_KEPT]; /* protected by lock */
static size_t kept_count;                  /* likewise */

/* The smallest block kept that is large enough; NULL. */
static cpu_scratch_block *take_kept(size_t size) {
    pthread_mutex_lock(&lock);
    size_t best = kept_count;
    for (size_t i = 0; i < kept_count; i++)
        if (kept[i]->size >= size && (best == kept_count || kept[i]->size < kept[best]->size)) best = i;
    cpu_scratch_block *block = NULL;
    if (best < kept_count) {
        block = kept[best];
        kept[best] = kept[--kept_count];
    }
    pthread_mutex_unlock(&lock);
    return block;
}

/* Keeps the block, in the place of the smallest where there are too many, or frees it. */
static void keep(cpu_scratch_block *block) {
    pthread_mutex_lock(&lock);
    if (block->size <= MOST_KEPT_SIZE) {
        size_t place = kept_count;
        if (kept_count == MOST_KEPT) {
            place = 0;
            for (size_t i = 1; i < kept_count; i++)
                if (kept[i]->size < kept[place]->size) place = i;
        } else {
            kept[kept_count++] = NULL;
        }
        cpu_scratch_block *rest = kept[place];
        kept[place] = block;
        block = rest;
    }
    pthread_mutex_unlock(&lock);
    base_free(block);
}

tarn_status cpu_scratch_begin(cpu_scratch *scratch, size_t size, size_t tasks) {
    unsigned width = cpu_parallel_width();
    unsigned parts = tasks < width ? (unsigned)tasks : width;
    size_t flags = round_up(parts * sizeof(atomic_bool), CPU_SCRATCH_ALIGNMENT);
    size_t total;
    if (!checked_round_up(size != 0 ? size : 1, CPU_SCRATCH_ALIGNMENT, &size) ||
        !checked_multiply(size, parts, &total) ||
        !checked_add(total, sizeof(cpu_scratch_block) + flags + CPU_SCRATCH_ALIGNMENT, &total))
        return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory has %u times %zu bytes", parts, size);
    cpu_scratch_block *block = take_kept(total);
    if (block == NULL) {
        block = base_allocate(1, total);
        if (block == NULL)
            return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory for %u threads to work in %zu bytes each", parts, size);
        block->size = total;
    }
    block->is_taken = (atomic_bool *)(block + 1);
    for (unsigned i = 0; i < parts; i++) atomic_init(&block->is_taken[i], false);
    block->parts = (char *)round_up((uintptr_t)(block->is_taken + parts), CPU_SCRATCH_ALIGNMENT);
    *scratch = (cpu_scratch){.block = block, .part_size = size, .parts = parts};
    return TARN_OK;
}

void cpu_scratch_end(cpu_scratch *scratch) { keep(scratch->block); }

/* There is always a free part: no more threads work on one operation than there are parts. */
void *cpu_scratch_take(cpu_scratch *scratch) {
    for (unsigned i = 0;; i = (i + 1) % scratch->parts)
        if (!atomic_exchange_explicit(&scratch->block->is_taken[i], true, memory_order_acquire))
            return scratch->block->parts + i * scratch->part_size;
}

void cpu_scratch_give(cpu_scratch *scratch, void *part) {
    size_t number = (size_t)((char *)part - scratch->block->parts) / scratch->part_size;
    atomic_store_explicit(&scratch->block->is_taken[number], false, memory_order_release);
}

void cpu_scratch_trim(void) {
    pthread_mutex_lock(&lock);
    cpu_scratch_block *blocks[MOST_KEPT];
    size_t count = kept_count;
    for (size_t i = 0; i < count; i++) blocks[i] = kept[i];
    kept_count = 0;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < count; i++) base_free(blocks[i]);
}
