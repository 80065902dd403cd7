/* Slots: freed blocks of one size for one stream, as a thread's cache keeps them.
 *
 * Blocks are chained by the handles that they will have in their next life, so that one is handed out without its descriptor
 * having been read first. A slot fills one magazine after the other; a full one changes hands as a whole, whatever
 * its length (J. Bonwick and J. Adams, Magazines and Vmem, USENIX 2001). */
#ifndef MEMORY_CACHING_SLOT_H
#define MEMORY_CACHING_SLOT_H

#include "memory/caching_types.h"

#define CACHING_SLOTS_SHIFT 10
#define CACHING_SLOTS ((size_t)1 << CACHING_SLOTS_SHIFT)

/* Blocks of a full magazine, up to the small size and beyond it. */
enum { CACHING_SMALL = 64 * 1024, CACHING_SMALL_MAGAZINE = 128, CACHING_LARGE_MAGAZINE = 4 };

/* Bytes and blocks in one word, which a call changes at once: blocks in the lowest bits, and bytes, which are multiples of 64,
 * above them. */
typedef uint64_t caching_level;
#define CACHING_LEVEL_BLOCKS ((UINT64_C(1) << 20) - 1)
#define CACHING_LEVEL_SHIFT 14
#define CACHING_LEVEL_LARGEST_SHIFT (64 - CACHING_LEVEL_SHIFT)

static inline caching_level caching_level_of(size_t bytes, size_t blocks) {
    return ((uint64_t)bytes << CACHING_LEVEL_SHIFT) + blocks;
}
static inline size_t caching_level_bytes(caching_level level) {
    return (level & ~CACHING_LEVEL_BLOCKS) >> CACHING_LEVEL_SHIFT;
}
static inline size_t caching_level_blocks(caching_level level) { return level & CACHING_LEVEL_BLOCKS; }

/* Half a cache line. */
typedef struct caching_slot {
    caching_level unit; /* one block of it; 0: the slot has never been used */
    tarn_buffer *head;  /* the first of them, as live.cached names the others; NULL for none */
    uint32_t stream;
    uint16_t magazine; /* blocks of a full one; no more are in the chain */
    uint16_t put;      /* blocks that came; the chain has the difference to the lowest bits of */
    uint64_t taken;    /* blocks that were handed out since that was last published */
} caching_slot;

static inline uint16_t caching_slot_count(const caching_slot *slot) {
    return (uint16_t)(slot->put - (uint16_t)slot->taken);
}

static inline uint16_t caching_magazine_of(size_t capacity) {
    return capacity <= CACHING_SMALL ? CACHING_SMALL_MAGAZINE : CACHING_LARGE_MAGAZINE;
}

/* Blocks of a kind may be in the slot of this number, or in one beside it, whose number differs in the lowest bits. The short ways look at the nearest
 * two alone: of many sizes, some share both with others, and those few go a little longer, but without the allocator's lock. */
enum { CACHING_SLOT_PLACES = 4 };
static inline size_t caching_slot_number(size_t capacity, uint32_t stream) {
    return (uint32_t)((uint32_t)(capacity + stream) * 0x9E3779B1u) >> (32 - CACHING_SLOTS_SHIFT);
}

static inline bool caching_slot_is_for(const caching_slot *slot, size_t capacity, uint32_t stream) {
    return slot->unit == caching_level_of(capacity, 1) && slot->stream == stream;
}

/* Takes the chain out, which the caller counts. */
static inline tarn_buffer *caching_slot_take_chain(caching_slot *slot) {
    tarn_buffer *chain = slot->head;
    slot->head = NULL;
    slot->put = (uint16_t)slot->taken;
    return chain;
}
/* Puts a full magazine into a slot that is empty. */
static inline void caching_slot_put_magazine(caching_slot *slot, tarn_buffer *magazine) {
    slot->head = magazine;
    slot->put = (uint16_t)(slot->taken + slot->magazine);
}

/* Gives the blocks of a chain back to their heaps. The allocator's lock is held. Returns their bytes. */
size_t caching_give_chain(caching *owner, tarn_buffer *chain);

#endif
