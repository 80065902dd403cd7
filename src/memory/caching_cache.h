/* Thread caches: freed blocks that wait, unmerged, for the same thread to ask for the same size again.
 *
 * Each thread has one cache for each allocator. Its owner uses it without a lock and without an atomic instruction: it
 * raises `busy`, looks whether the gate is open, and lowers it again. A remote thread, with the allocator's lock held, closes the
 * gate, makes the kernel run a barrier on every thread of the process, and waits for `busy` to be down. Where there is no such
 * barrier, and under the thread sanitizer, the gate is never open, and the owner goes around it with a fence.
 *
 * Figures are counted here and added to the allocator's when the cache publishes. A call writes as few of them as it can:
 * what is in use follows from what is cached, what was requested from what rounding cost, and totals and the
 * histogram from the blocks that each slot handed out. The highest and lowest since the
 * last publishing are kept, so that peaks are exact while one thread allocates, and at most the sum of the threads' peaks
 * otherwise. */
#ifndef MEMORY_CACHING_CACHE_H
#define MEMORY_CACHING_CACHE_H

#include "memory/caching_types.h"

struct caching_cache {
    /* What every call touches. */
    _Atomic(caching *) owner; /* NULL when it has ended; written with the list's lock held */
    _Atomic uint32_t busy;
    _Atomic uint32_t gate; /* 0 while its thread may use it without more ado */
    caching_level cached;
    caching_level watched; /* while so much is cached or more, no peak of bytes is passed */
    caching_level highest; /* the most bytes that were cached since the last publishing, with all bits of blocks set */
    size_t fewest_blocks;  /* that were cached since then */
    /* What rounding sizes up cost, in bytes, since the last publishing: of blocks handed out, and of those that came back. */
    uint64_t rounding_taken, rounding_put;

    caching_level published; /* what was cached at the last publishing */
    size_t lowest_bytes;     /* cached since then, at a peak that was watched for */
    /* What `watched` follows from. In use can have risen by no more than the level fell; requested, by no more than that and what
     * rounding had cost before, which blocks that came back may have paid back. */
    int64_t most_requested; /* since the last publishing */
    uint64_t rounding;      /* at the last publishing */
    size_t limit;           /* of bytes */
    /* Since the last publishing of totals: bytes handed out from slots that have become another's since, and rounding of all. */
    uint64_t handed_out, rounding_total;

    caching_cache *of_owner;  /* next of the same allocator; protected by its lock */
    caching_cache *of_thread; /* next of the same thread */
    caching_slot slots[CACHING_SLOTS];
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

/* The short ways of the strategy. */
tarn_status caching_allocate_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                     tarn_buffer **out_buffer);
tarn_status caching_free_quickly(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream);

/* The same for callers that come the long way: a block that is not live yet, its members set; and one whose life has ended. NULL and false send them to the heap. Without the allocator's lock. */
memory_block *caching_cache_take(caching *owner, const memory_request *request);
bool caching_cache_put(caching *owner, memory_block *block);

/* What one thread frees and another asks for goes through slots that the allocator's threads share, half a slot at a time. Spill
 * makes room in the calling thread's full slot; refill fills its empty one. Each says whether it has. The allocator's
 * lock is held. */
bool caching_cache_spill(caching *owner, size_t capacity, uint32_t stream);
bool caching_cache_refill(caching *owner, size_t capacity, uint32_t stream);

/* Gives the blocks of one cache, the calling thread's and the shared slots, or all, back to their heaps. The allocator's lock is held. Returns the
 * bytes given back. */
size_t caching_cache_flush(caching *owner, caching_cache *cache);
size_t caching_cache_flush_own(caching *owner);
size_t caching_caches_flush(caching *owner);
/* Empties all caches and keeps their threads out of them, until let go: what USED blocks say of themselves does not change
 * meanwhile. The allocator's lock is held from the one to the other. */
void caching_caches_hold(caching *owner);
void caching_caches_let_go(caching *owner);
/* Says whether threads cache what they free. The allocator's lock is held. */
void caching_caches_settle(caching *owner, bool is_settled);
/* Publishes what the calling thread's cache has in use, so that peaks of the long way are right; or all figures of all caches.
 * The allocator's lock is held. The latter returns the capacity of the largest block in any cache. */
void caching_cache_publish_own(caching *owner);
size_t caching_caches_publish(caching *owner);
/* Takes all caches away from the allocator, emptied. Without its lock. */
void caching_caches_detach(caching *owner);

/* Counts what the long way did, with the allocator's lock held. */
void caching_count_allocation(caching *owner, size_t requested, size_t capacity);
void caching_count_free(caching *owner, size_t requested, size_t capacity);

#endif
