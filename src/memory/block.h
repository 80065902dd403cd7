/* Blocks: the descriptors behind buffers.
 *
 * Every piece of device memory that an allocator knows of, in use or not, has one descriptor on the host, and that descriptor
 * is the buffer's handle. Descriptors live in one table for the whole process that only grows, so that a handle of any age,
 * even a made-up one, is judged by reading the table and nothing else. A handle is the descriptor's number and its
 * generation, which changes whenever the block stops being a live buffer:
 *
 *     63        40 39                0
 *     | generation |  number + 1     |
 */
#ifndef MEMORY_BLOCK_H
#define MEMORY_BLOCK_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/buffer.h>

typedef struct memory_block memory_block;

/* Two links of a list that holds blocks. */
typedef struct memory_link {
    memory_block *next, *previous;
} memory_link;

/* Two cache lines. What only a live buffer has and what only a free block has share their place. */
struct memory_block {
    /* generation << 1 | is live. Written by the owner of the block; read by anybody, hence atomic. */
    alignas(64) _Atomic uint32_t life;
    uint32_t stream; /* number of the stream it was allocated for, or of the heap that holds it */
    void *address;
    size_t capacity; /* bytes */

    tarn_allocator *owner;  /* the strategy that made it, the lowest of its stack */
    void *home;             /* the strategy's own: what the block is a part of */
    memory_link neighbours; /* the strategy's own: in address order inside that part */
    uint32_t kind;          /* the strategy's own: what is known of the memory */
    uint32_t flags;         /* the strategy's own */

    union {
        struct {
            size_t requested;      /* bytes asked for */
            tarn_allocator *outer; /* the top of the stack that it was allocated through */
            const char *tag;
            memory_block *cached; /* next in a cache of blocks that wait to be used again */
            void *uses;           /* other streams that use it */
        } live;
        struct {
            memory_link lists[2];
        } idle;
    };
};

/* A descriptor that is not live, zeroed but for its generation; NULL when there is no host memory. Any thread. */
memory_block *block_create(void);
/* Gives a descriptor back. It is not live. Any thread. */
void block_destroy(memory_block *block);

/* Of this library's own: reached without a detour. */
#define BLOCK_INTERNAL __attribute__((visibility("hidden")))

/* The table's first descriptor; fixed once the first block exists. */
extern BLOCK_INTERNAL memory_block *block_table;
/* Descriptors that may be read. Released after they may; acquired before they are. */
extern BLOCK_INTERNAL atomic_size_t block_readable_count;

#define BLOCK_NUMBER_MASK ((UINT64_C(1) << 40) - 1)
#define BLOCK_GENERATION_MASK 0xFFFFFFu

static inline tarn_buffer *block_handle(const memory_block *block) {
    uint64_t number = (uint64_t)(block - block_table) + 1;
    uint64_t life = atomic_load_explicit(&block->life, memory_order_relaxed);
    return (tarn_buffer *)(uintptr_t)((life >> 1 & BLOCK_GENERATION_MASK) << 40 |
                                      number); /* NOLINT(performance-no-int-to-ptr) */
}

/* Makes the block live, or ends its life; ending it raises the generation, so that older handles no longer match.
 * Release pairs with the acquire of block_of: who sees the life sees the members. */
static inline void block_begin_life(memory_block *block) {
    uint32_t life = atomic_load_explicit(&block->life, memory_order_relaxed);
    atomic_store_explicit(&block->life, life | 1u, memory_order_release);
}
static inline void block_end_life(memory_block *block) {
    uint32_t life = atomic_load_explicit(&block->life, memory_order_relaxed);
    atomic_store_explicit(&block->life, (life & ~1u) + 2u, memory_order_release);
}
/* Whether `life` is the one that the handle was made in, and lasts. */
static inline bool block_is_named(uint32_t life, const tarn_buffer *handle) {
    return (life & 1u) != 0 && (life >> 1 & BLOCK_GENERATION_MASK) == (uint64_t)(uintptr_t)handle >> 40;
}

/* Ends the life that `handle` names, unless another thread did so first: of several frees of one handle one wins. */
static inline bool block_claim(memory_block *block, const tarn_buffer *handle) {
    uint32_t life = atomic_load_explicit(&block->life, memory_order_relaxed);
    /* Acquire, for the members; release, so that who finds the life ended sees what came before. */
    while (block_is_named(life, handle)) {
        if (atomic_compare_exchange_weak_explicit(&block->life, &life, (life & ~1u) + 2u, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* The live block that a handle names; NULL for NULL, stale and made-up handles. Never faults. */
static inline memory_block *block_of(const tarn_buffer *handle) {
    /* Wraps for NULL, which no count reaches. */
    uint64_t number = ((uint64_t)(uintptr_t)handle & BLOCK_NUMBER_MASK) - 1;
    if (number >= atomic_load_explicit(&block_readable_count, memory_order_acquire)) return NULL;
    memory_block *block = &block_table[number];
    return block_is_named(atomic_load_explicit(&block->life, memory_order_acquire), handle) ? block : NULL;
}

#endif
