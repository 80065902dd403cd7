/* Thread caches: freed blocks that wait, unmerged, for the same thread to ask for the same size again.
 *
 * Each thread has one cache for each allocator. Its owner uses it without a lock and without an atomic instruction: it
 * raises `busy`, looks whether the gate is open, and lowers it again. A remote thread, with the allocator's lock held, closes the
 * gate, makes the kernel run a barrier on every thread of the process, and waits for `busy` to be down. Where there is no such
 * barrier, and under the thread sanitizer, the gate is never open, and the owner goes around it with a fence.
 *
 * Figures are counted in the cache as well and added to the allocator's when it publishes (caching_figures.h). A call writes as
 * few of them as it can: what is in use follows from what is cached, what was requested from what rounding cost, and
 * totals and the histogram from the blocks that each slot handed out. */
#ifndef MEMORY_CACHING_CACHE_H
#define MEMORY_CACHING_CACHE_H

#include "memory/caching_slot.h"

struct caching_cache {
    /* What every call touches. */
    _Atomic(caching *) owner; /* NULL when it has ended; written with the list's lock held */
    _Atomic uint32_t busy;
    _Atomic uint32_t gate; /* 0 while its thread may use it without more ado */
    caching_level cached;
    caching_level watched; /* while so much is cached or more, no peak of bytes is passed */
    caching_level
        roof; /* while no more bytes are cached, no peak of cached bytes is passed; all bits of blocks are set */
    size_t fewest_blocks; /* that were cached since then */
    /* What rounding sizes up cost, in bytes, since the last publishing: of blocks handed out, and of those that came back. */
    uint64_t rounding_taken, rounding_put;

    caching_level published; /* what was cached at the last publishing */
    size_t lowest_bytes;     /* cached since then, at a peak that was watched for */
    size_t highest_bytes;    /* cached since then, above the roof */
    /* What `watched` follows from. In use can have risen by no more than the level fell; requested, by no more than that and what
     * rounding had cost before, which blocks that came back may have paid back. */
    int64_t most_requested;  /* since the last publishing */
    int64_t requested_floor; /* bytes that are cached then, but for what rounding has cost or paid back since */
    uint64_t rounding;       /* at the last publishing */
    size_t limit;            /* of bytes */
    /* Since the last publishing of totals: bytes handed out from slots that have become another's since, and rounding of all. */
    uint64_t handed_out, rounding_total;

    caching_cache *of_owner;  /* next of the same allocator; protected by its lock */
    caching_cache *of_thread; /* next of the same thread */
    caching_slot slots[CACHING_SLOTS];
    tarn_buffer *spares[CACHING_SLOTS]; /* a full magazine beside the slot's chain; NULL for none */
    /* By the highest bit of the size; what is to be added to that of the blocks that slots handed out, which wraps. */
    uint64_t histogram[64];
};

/* Makes the room's part of caches ready; before an allocator's lock is watched for forks. Any number of times. */
void caching_caches_prepare(void);

/* The cache that the calling thread used last, or one that is of no allocator.
 * Read without a call also in the shared library, whose few bytes fit what every program lays aside for that. */
extern _Thread_local caching_cache *caching_recent __attribute__((tls_model("initial-exec")));

/* The calling thread's cache for the allocator, made when there is none. NULL when there can be none: no host memory, or the
 * thread is ending. Without the allocator's lock. */
caching_cache *caching_cache_find(caching *owner);

/* The same, the one that was used last without a search. */
static inline caching_cache *caching_cache_own(caching *owner) {
    caching_cache *cache = caching_recent;
    return atomic_load_explicit(&cache->owner, memory_order_relaxed) == owner ? cache : caching_cache_find(owner);
}

/* The slot of a cache, that the caller is in, for blocks of that kind; NULL when there is none. Making one takes an empty slot of
 * others. */
caching_slot *caching_slot_find(caching_cache *cache, size_t capacity, uint32_t stream);
caching_slot *caching_slot_make(caching_cache *cache, size_t capacity, uint32_t stream);

/* Gives the blocks of one cache, of the calling thread's and the shared magazines, or all, back to their heaps. The
 * allocator's lock is held. Returns the bytes given back. */
size_t caching_cache_flush(caching *owner, caching_cache *cache);
size_t caching_cache_flush_own(caching *owner);
size_t caching_caches_flush(caching *owner);
/* Empties all caches and keeps their threads out of them, until let go: what USED blocks say of themselves does not change
 * meanwhile. The allocator's lock is held from the one to the other. */
void caching_caches_hold(caching *owner);
void caching_caches_let_go(caching *owner);
/* Says whether threads cache what they free. The allocator's lock is held. */
void caching_caches_settle(caching *owner, bool is_settled);
/* Publishes all figures of all caches. The allocator's lock is held. Returns the capacity of the largest block in any of them. */
size_t caching_caches_publish(caching *owner);
/* Takes all caches away from the allocator, emptied. Without its lock. */
void caching_caches_detach(caching *owner);

#endif
