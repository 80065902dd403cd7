/* Blocks: the descriptors behind buffers.
 *
 * Every piece of device memory that an allocator knows of, in use or not, has one descriptor on the host, and that descriptor
 * is the buffer's handle. Descriptors live in one table for the whole process that only grows, so that a handle of any age,
 * even a made-up one, is judged by reading the table and nothing else. A handle is the descriptor's number and its
 * life, which changes whenever the block becomes or stops being a live buffer:
 *
 *     63          32 31             0
 *     |    life     |    number     |
 *
 * A handle's life is one of those that are lived, which are odd. Number 0 is nobody's. */
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

/* What a life's lowest bit says. The bits above count the lives that have ended. */
#define BLOCK_IS_LIVE 1u

/* Two cache lines. The first has all that a thread touches which allocates or frees through its cache, so that a block that
 * wanders between threads takes one line along. What only a live buffer has and what only a free block has share their
 * place. */
struct memory_block {
    /* Written by the owner of the block; read by anybody, hence atomic. */
    alignas(64) _Atomic uint32_t life;
    uint32_t stream; /* number of the stream it was allocated for, or of the heap that holds it */
    void *address;
    size_t capacity; /* bytes */
    union {
        struct {
            size_t requested;      /* bytes asked for */
            tarn_allocator *outer; /* the top of the stack that it was allocated through */
            const char *tag;
            tarn_buffer *cached; /* next in a cache of blocks that wait to be used again, by the handle it will have */
            uint16_t slot;       /* of a cache, where it was last */
            bool is_plain;       /* neither a tag nor uses by other streams */
        } live;
        struct {
            memory_link lists[2];
        } idle;
        struct {
            memory_link children; /* in a tree of blocks */
            uint64_t freed_at;    /* the strategy's own count, when the block was last in use */
            uint64_t shown_at;    /* likewise, when it was last put where it can be found */
        } resting;
    };

    tarn_allocator *owner;  /* the strategy that made it, the lowest of its stack */
    void *home;             /* the strategy's own: what the block is a part of */
    memory_link neighbours; /* the strategy's own: in address order inside that part */
    uint32_t kind;          /* the strategy's own: what is known of the memory */
    uint32_t flags;         /* the strategy's own */
    const void *site;       /* where it was asked for; while it is freed, where that happens. NULL: not known */
    uint32_t routes;        /* fallback's: bit n is set where the n-th of the stack had it from its second allocator */
    bool is_inner;          /* an adaptor's, which hands out another block in its place: its top does not count it */
    void *uses;             /* the strategy's own: other streams that use it, while it is live */
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

/* The handle of that life of the block, which is lived. */
static inline tarn_buffer *block_handle_of(const memory_block *block, uint32_t life) {
    uint64_t number = (uint64_t)(block - block_table);
    return (tarn_buffer *)(uintptr_t)((uint64_t)life << 32 | number); /* NOLINT(performance-no-int-to-ptr) */
}
static inline tarn_buffer *block_handle(const memory_block *block) {
    return block_handle_of(block, atomic_load_explicit(&block->life, memory_order_relaxed));
}
/* The handle that a block has once its next life begins. */
static inline tarn_buffer *block_coming_handle(const memory_block *block) {
    return block_handle_of(block, atomic_load_explicit(&block->life, memory_order_relaxed) | BLOCK_IS_LIVE);
}
static inline uint32_t block_life_in(const tarn_buffer *handle) {
    return (uint32_t)((uint64_t)(uintptr_t)handle >> 32);
}

/* Makes the block live, or ends its life, after which older handles no longer match. Beginning it returns the handle.
 * Release pairs with the acquire of block_of: who sees the life sees the members. */
static inline tarn_buffer *block_begin_life(memory_block *block) {
    uint32_t life = atomic_load_explicit(&block->life, memory_order_relaxed) | BLOCK_IS_LIVE;
    atomic_store_explicit(&block->life, life, memory_order_release);
    return block_handle_of(block, life);
}
static inline void block_end_life(memory_block *block) {
    uint32_t life = atomic_load_explicit(&block->life, memory_order_relaxed);
    atomic_store_explicit(&block->life, (life | BLOCK_IS_LIVE) + 1u, memory_order_release);
}

/* Ends the life that `handle` names, unless another thread did so first: of several frees of one handle one wins. */
static inline bool block_claim(memory_block *block, const tarn_buffer *handle) {
    uint32_t life = block_life_in(handle);
    /* Acquire, for the members; release, so that who finds the life ended sees what came before. */
    return atomic_compare_exchange_strong_explicit(&block->life, &life, life + 1u, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* Lives without the detour over the descriptor: what follows from a handle that is known to be right. The handle of the
 * next life of the block whose life the handle names; its descriptor; and making it live with that handle. */
static inline tarn_buffer *block_next_handle(const tarn_buffer *handle) {
    return (tarn_buffer *)((uintptr_t)handle + (UINT64_C(2) << 32)); /* NOLINT(performance-no-int-to-ptr) */
}
static inline memory_block *block_behind(const tarn_buffer *handle) {
    return &block_table[(uint32_t)(uintptr_t)handle];
}
static inline void block_begin_life_of(memory_block *block, const tarn_buffer *handle) {
    atomic_store_explicit(&block->life, block_life_in(handle), memory_order_release);
}

/* Fetches the line that a free reads and then writes, for writing at once: when another thread used it last, reading it first would
 * ask for it twice. */
static inline void block_fetch(memory_block *block) {
#if defined(__x86_64__)
    /* The compiler's own way needs leave to use this instruction, which every 64-bit processor takes. */
    __asm__ volatile("prefetchw %0" : : "m"(*block));
#else
    __builtin_prefetch(block, 1);
#endif
}

/* Whether there is a descriptor of the handle's number, whatever its life. */
static inline bool block_has_number(const tarn_buffer *handle) {
    return (uint32_t)(uintptr_t)handle < atomic_load_explicit(&block_readable_count, memory_order_acquire);
}
/* Whether the handle names the life that the block has now. */
static inline bool block_is_named(const memory_block *block, const tarn_buffer *handle) {
    uint32_t life = block_life_in(handle);
    return atomic_load_explicit(&block->life, memory_order_acquire) == life && (life & BLOCK_IS_LIVE) != 0;
}
/* The live block that a handle names; NULL for NULL, stale and made-up handles. Never faults. */
static inline memory_block *block_of(const tarn_buffer *handle) {
    if (!block_has_number(handle)) return NULL;
    memory_block *block = block_behind(handle);
    return block_is_named(block, handle) ? block : NULL;
}

#endif
