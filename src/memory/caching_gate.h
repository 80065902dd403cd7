/* The gate of a thread's cache: who may be in it; caching_cache.h tells how. */
#ifndef MEMORY_CACHING_GATE_H
#define MEMORY_CACHING_GATE_H

#include "memory/caching_cache.h"

#define IS_LIKELY(condition) __builtin_expect(!!(condition), 1)

/* What closes a gate. */
enum { CACHING_GATE_REMOTE = 1u, CACHING_GATE_FENCED = 2u, CACHING_GATE_UNSETTLED = 4u };

static inline void caching_leave(caching_cache *cache) { atomic_store_explicit(&cache->busy, 0, memory_order_release); }

/* Lets the calling thread use its own cache; when not, it must go the long way around, below. */
static inline bool caching_enter(caching_cache *cache) {
    /* The barrier of a remote thread stands between this store and this load whenever they matter. */
    atomic_store_explicit(&cache->busy, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (IS_LIKELY(atomic_load_explicit(&cache->gate, memory_order_acquire) == 0)) return true;
    caching_leave(cache);
    return false;
}

/* The same without the barrier's help; false while a remote thread is in it. */
static inline bool caching_enter_fenced(caching_cache *cache) {
    atomic_exchange_explicit(&cache->busy, 1, memory_order_seq_cst);
    if ((atomic_load_explicit(&cache->gate, memory_order_seq_cst) & CACHING_GATE_REMOTE) == 0) return true;
    caching_leave(cache);
    return false;
}

/* Whichever of the two lets it in: the first spares the caller the wait for all that it has written before. */
static inline bool caching_enter_anyhow(caching_cache *cache) {
    return IS_LIKELY(caching_enter(cache)) || caching_enter_fenced(cache);
}

static inline bool caching_cache_is_of(const caching_cache *cache, const caching *owner) {
    return atomic_load_explicit(&cache->owner, memory_order_relaxed) == owner;
}

#endif
