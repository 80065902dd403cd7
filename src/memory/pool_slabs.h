/* What a pool is made of, and what always holds of it.
 *
 * Memory comes in slabs, one piece of the element below each. A slab has blocks of one capacity, side by side; from 256 KiB on it is a
 * single block. Each slab belongs to the lane of one stream, and so do its blocks: what is freed goes to the lane's list for its
 * class, and is handed out again from there. A block is
 *   IDLE     in a list of its lane; no stream uses it
 *   OUT      handed out, or on its way in or out
 *   WAITING  freed, and other streams still use it: in the pool's list of waiting blocks
 *   LOST     freed, and used by a stream that could neither be waited for nor remembered: in the pool's list of lost blocks,
 *            until the whole device has been waited for
 * A class stands for the capacities from above the one before it up to its own: multiples of the alignment, eight of them
 * between two powers of two. Blocks of small classes all have the largest of these capacities.
 *
 * Everything is protected by pool.lock. No call of the element below is made while it is held. */
#ifndef MEMORY_POOL_SLABS_H
#define MEMORY_POOL_SLABS_H

#include "base/range_map.h"
#include "memory/biased_lock.h"
#include "memory/direct_streams.h"
#include "memory/figures.h"

enum { POOL_IDLE = 0, POOL_OUT, POOL_WAITING, POOL_LOST };

#define POOL_STEPS 8                                /* classes between two powers of two */
#define POOL_CLASSES (POOL_STEPS + 60 * POOL_STEPS) /* all that a size can have */
/* Capacities from which on a slab is one block of exactly what was asked for. */
#define POOL_LARGE ((size_t)256 << 10)

typedef struct pool_lane pool_lane;

typedef struct pool_slab {
    base_range range;    /* of its addresses; the first member: a range is cast back to its slab */
    memory_block *piece; /* of the element below */
    pool_lane *lane;
    size_t stride;          /* capacity of each block */
    size_t made;            /* blocks that have been handed out at least once, from the beginning */
    size_t count;           /* blocks that there is room for */
    bool is_going;          /* it has left the pool and is being given back */
    struct pool_slab *next; /* in the lane's unfinished ones, or of those that are going */
    memory_block *blocks[]; /* `made` of them */
} pool_slab;

struct pool_lane {
    uint32_t stream;                     /* its number */
    bool has_ended;                      /* the stream: its work is done, and other lanes may take its slabs */
    memory_block *idle[POOL_CLASSES];    /* by neighbours.next */
    pool_slab *unfinished[POOL_CLASSES]; /* slabs of small classes with blocks still to be made */
    size_t slab_count;
    pool_lane *next;
};

typedef struct pool {
    tarn_allocator base;
    size_t alignment; /* bytes: capacities are multiples of it. Fixed */
    unsigned alignment_shift;

    biased_lock lock;
    bool is_retired;
    size_t inner; /* live buffers of stacks whose top another element is */
    pool_lane *lanes;
    pool_lane *recent;     /* the lane that was asked last */
    base_range *slabs;     /* by address */
    memory_block *waiting; /* by neighbours.next, the oldest first */
    memory_block *waiting_last;
    memory_block *lost;  /* likewise */
    memory_block *spare; /* a descriptor, or NULL */
    direct_streams streams;
    memory_figures figures;
} pool;

static inline pool *pool_of(tarn_allocator *allocator) { return (pool *)(void *)allocator; }
static inline pool_slab *pool_slab_of(const memory_block *block) { return block->home; }
static inline pool_slab *pool_slab_at(base_range *range) { return (pool_slab *)(void *)range; }

/* The class of a size above zero. */
static inline unsigned pool_class(const pool *self, size_t size) {
    uint64_t units = (size - 1) >> self->alignment_shift;
    if (units < POOL_STEPS) return (unsigned)units;
    unsigned log2 = 63u - (unsigned)__builtin_clzll(units);
    return POOL_STEPS + (log2 - 3) * POOL_STEPS + (unsigned)(units >> (log2 - 3) & (POOL_STEPS - 1));
}

/* The largest capacity of a class. */
static inline size_t pool_class_capacity(const pool *self, unsigned class) {
    if (class < POOL_STEPS) return (size_t)(class + 1) << self->alignment_shift;
    unsigned log2 = 3 + (class - POOL_STEPS) / POOL_STEPS, step = class % POOL_STEPS;
    return (size_t)(POOL_STEPS + step + 1) << (log2 - 3) << self->alignment_shift;
}

/* A block's class is in `kind`, its state in `flags`. */
static inline void pool_push(pool_lane *lane, memory_block *block) {
    block->flags = POOL_IDLE;
    block->neighbours.next = lane->idle[block->kind];
    lane->idle[block->kind] = block;
}

/* All with the lock held. */

/* The lane of a stream, made when there is none. OUT_OF_MEMORY. */
tarn_status pool_lane_get(pool *self, tarn_stream *stream, pool_lane **out_lane);
/* What can be done at leisure: waiting blocks whose streams are done, streams that have ended. */
void pool_tidy(pool *self);
/* Takes a block out of the lane's lists, or makes one in a slab that has room, or takes one of a lane whose stream has ended. NULL, and
 * OK: nothing fits. OUT_OF_MEMORY: no host memory. */
tarn_status pool_find(pool *self, pool_lane *lane, size_t capacity, size_t alignment, memory_block **out_block);
/* Takes back a block that was OUT and whose life has ended. */
void pool_take(pool *self, memory_block *block);
/* Bytes that one request can get without asking below. */
size_t pool_largest_idle(const pool *self);
/* What is broken of what always holds; NULL when nothing is. */
const char *pool_slabs_check(const pool *self);
/* The block that begins at the address and is OUT, or NULL. */
memory_block *pool_block_at(const pool *self, uintptr_t address);

/* Without the lock. */

/* Takes a slab for the request from below and gives it to the stream's lane. */
tarn_status pool_grow(tarn_allocator *allocator, const memory_request *request, size_t capacity);
/* Gives slabs without blocks that are OUT back. Adds their bytes to `*inout_bytes`; the first failure. */
tarn_status pool_give_back(pool *self, size_t *inout_bytes);
/* The end of everything that is left; nobody else uses the pool any more. */
void pool_slabs_end(pool *self);

#endif
