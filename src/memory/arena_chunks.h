/* What an arena is made of, and what always holds of it.
 *
 * Each stream has a lane, a list of chunks that were taken for it. A chunk is filled from its beginning:
 *
 *     | block | block | (freed) | block | waiting |              |
 *     0                                           used         size
 *
 * The blocks of a chunk are linked in address order. `used` is where the last of them ends, so that whatever was freed behind
 * the last one is free again. A block that other streams still use when it is freed stays in its place as a waiting one.
 *
 * Blocks are numbered as they are handed out. In a chunk the numbers of those that are handed out rise; a rewind takes
 * back those from a number on, and the numbers from there on are used again.
 *
 * Nothing is locked: the arena is for one thread at a time. */
#ifndef MEMORY_ARENA_CHUNKS_H
#define MEMORY_ARENA_CHUNKS_H

#include "base/range_map.h"
#include "base/status.h"
#include "memory/direct_streams.h"
#include "memory/figures.h"
#include "memory/stack.h"

typedef struct arena_lane arena_lane;

typedef struct arena_chunk {
    base_range range; /* of its addresses; the first member: a range is cast back to its chunk */
    size_t used;      /* bytes from the beginning */
    memory_block *first, *last;
    memory_block *piece; /* of the element below */
    arena_lane *lane;
    struct arena_chunk *next; /* of the lane */
} arena_chunk;

struct arena_lane {
    uint32_t stream;      /* its number */
    arena_chunk *chunks;  /* oldest first */
    arena_chunk *current; /* where the next block is looked for first */
    size_t held;          /* bytes of its chunks */
    bool has_ended;       /* the stream: its work is done, and other lanes may take its chunks */
    arena_lane *next;
};

/* Positions that were rewound to, older ones first: each is lower than the one behind it. */
#define ARENA_REWINDS 64
typedef struct arena_rewind {
    uint64_t number; /* of the rewind */
    uint64_t sequence;
} arena_rewind;

typedef struct arena {
    tarn_allocator base;
    /* Fixed. */
    uint64_t serial;
    size_t alignment;   /* bytes: blocks are multiples of it */
    size_t least_chunk; /* bytes */

    atomic_uint busy; /* a thread is inside; relaxed: it orders nothing, and only tells of a misuse */
    bool is_retired;
    /* The element below has refused more than a request needs, for which it goes to great lengths: it is asked for no more than
     * that until the arena is reset or emptied. */
    bool is_short;
    size_t inner;      /* live buffers of stacks whose top another element is */
    uint64_t sequence; /* of the next block */
    uint64_t rewinds;  /* so far */
    arena_rewind rewound[ARENA_REWINDS];
    unsigned rewound_count;

    arena_lane default_lane; /* the head of the list of lanes */
    arena_lane *recent;
    base_range *ranges;    /* all chunks */
    memory_block *spares;  /* descriptors, by neighbours.previous */
    memory_block *waiting; /* by arena_next */
    direct_streams streams;
    memory_figures figures;
    /* Blocks that another thread freed while one was inside: they come back at the next call. By arena_next; release and acquire. */
    _Atomic(memory_block *) strays;
} arena;

static inline arena *arena_of(tarn_allocator *allocator) { return (arena *)(void *)allocator; }
static inline arena_chunk *arena_chunk_of(const memory_block *block) { return block->home; }
static inline arena_chunk *arena_chunk_at(base_range *range) { return (arena_chunk *)(void *)range; }

/* A block's number shares `kind` and `flags` with what else is known of it: that it waits, and that a stream uses it that could
 * neither be waited for nor remembered, so that it waits until the whole device has been waited for. */
#define ARENA_IS_WAITING 0x80000000u
#define ARENA_IS_LOST 0x40000000u
static inline uint64_t arena_sequence(const memory_block *block) {
    return (uint64_t)(block->flags & ~(ARENA_IS_WAITING | ARENA_IS_LOST)) << 32 | block->kind;
}
static inline bool arena_is_waiting(const memory_block *block) { return (block->flags & ARENA_IS_WAITING) != 0; }

/* The next in a list of blocks that are still linked in their chunks. */
static inline memory_block *arena_next(const memory_block *block) {
    return block->live.cached != NULL ? block_behind(block->live.cached) : NULL;
}
static inline void arena_set_next(memory_block *block, const memory_block *next) {
    block->live.cached = next != NULL ? block_handle(next) : NULL;
}

/* Lays a descriptor aside. What most blocks have alike is there already, so that handing one out need not write it: it has no next
 * neighbour, no uses and no tag, and the arena is the top of its stack. */
static inline void arena_put_spare(arena *self, memory_block *block) {
    block->neighbours.previous = self->spares;
    self->spares = block;
}

/* A block from the lane's current chunk; NULL when it has no room, or no descriptor is spare. Members that every live block has
 * are the caller's to set. */
static inline memory_block *arena_bump(arena *self, arena_lane *lane, size_t capacity, size_t alignment) {
    arena_chunk *chunk = lane->current;
    memory_block *block = self->spares;
    if (__builtin_expect(chunk == NULL || block == NULL, 0)) return NULL;
    size_t offset = chunk->used;
    if (alignment > self->alignment) {
        offset = ((chunk->range.start + offset + alignment - 1) & ~(alignment - 1)) - chunk->range.start;
        if (offset > chunk->range.size) return NULL;
    }
    if (__builtin_expect(capacity > chunk->range.size - offset, 0)) return NULL;
    self->spares = block->neighbours.previous;
    block->address = (void *)(chunk->range.start + offset); /* NOLINT(performance-no-int-to-ptr) */
    block->capacity = capacity;
    block->stream = lane->stream;
    block->home = chunk;
    block->kind = (uint32_t)self->sequence;
    block->flags = (uint32_t)(self->sequence >> 32);
    self->sequence++;
    block->neighbours.previous = chunk->last;
    if (chunk->last != NULL) chunk->last->neighbours.next = block;
    else chunk->first = block;
    chunk->last = block;
    chunk->used = offset + capacity;
    return block;
}

/* Takes a block out of its chunk, which shrinks when it was the last. Its descriptor becomes a spare. */
static inline void arena_unlink(arena *self, memory_block *block) {
    arena_chunk *chunk = block->home;
    memory_block *next = block->neighbours.next, *previous = block->neighbours.previous;
    if (previous != NULL) previous->neighbours.next = next;
    else chunk->first = next;
    if (next != NULL) {
        next->neighbours.previous = previous;
        block->neighbours.next = NULL;
    } else {
        chunk->last = previous;
        chunk->used = previous != NULL ? (uintptr_t)previous->address + previous->capacity - chunk->range.start : 0;
    }
    arena_put_spare(self, block);
}

/* What a second thread is told that comes in beside the first. */
static inline tarn_status arena_refuse_second_thread(const tarn_allocator *allocator) {
    return base_fail(TARN_INVALID_STATE, "%s on %s: another thread is in the arena; it is for one at a time",
                     allocator->spec != NULL ? allocator->spec : "arena", memory_device_name(allocator));
}

/* The lane of a stream, made when there is none. OUT_OF_MEMORY. */
tarn_status arena_lane_get(arena *self, tarn_stream *stream, arena_lane **out_lane);
/* Makes a chunk with room for the request the lane's current one; false when there is none. */
bool arena_find_room(arena *self, arena_lane *lane, size_t capacity, size_t alignment);
/* Sees to it that there are spare descriptors. OUT_OF_MEMORY. */
tarn_status arena_spares_refill(arena *self);
/* Takes a chunk with room for the request from the element below. Inside; another thread's turn may come meanwhile. */
tarn_status arena_grow(tarn_allocator *allocator, const memory_request *request, size_t capacity);

/* The slow end of arena_take: marks where the uses of the block end, and lets it wait. */
void arena_wait(arena *self, memory_block *block);
/* Takes back a block whose life has ended: at once, or when the streams that use it are done. */
static inline void arena_take(arena *self, memory_block *block) {
    memory_figures_free(&self->figures, block->live.requested, block->capacity);
    if (block->live.outer != &self->base) self->inner--;
    block->live.outer = &self->base;
    block->live.tag = NULL;
    if (block->uses != NULL || (block->flags & ARENA_IS_LOST) != 0) arena_wait(self, block);
    else arena_unlink(self, block);
}
/* What can be done at leisure: strays, waiting blocks whose streams are done, streams that have ended. */
void arena_tidy(arena *self);
/* Gives chunks without handed-out blocks back to the element below, with spare descriptors. Adds the bytes given to `*inout_bytes`; the first
 * failure. Inside; another thread's turn may come meanwhile. */
tarn_status arena_give_back(arena *self, size_t *inout_bytes);
/* What is broken of what always holds; NULL when nothing is. */
const char *arena_chunks_check(const arena *self);
/* The end of everything that is left. */
void arena_chunks_end(arena *self);

/* Goes in, unless another thread is seen inside. */
static inline bool arena_enter(arena *self) {
    if (__builtin_expect(atomic_load_explicit(&self->busy, memory_order_relaxed) != 0, 0)) return false;
    atomic_store_explicit(&self->busy, 1, memory_order_relaxed);
    return true;
}
/* Goes in again after a call of another element, or at the end. */
static inline void arena_go_back_in(arena *self) { atomic_store_explicit(&self->busy, 1, memory_order_relaxed); }
static inline void arena_leave(arena *self) { atomic_store_explicit(&self->busy, 0, memory_order_relaxed); }

#endif
