/* Thread caches; see caching_cache.h. */
#include "memory/caching_cache.h"

#include <sched.h>

#include "base/barrier.h"
#include "base/checked.h"
#include "base/memory.h"
#include "memory/caching_figures.h"
#include "memory/caching_gate.h"
#include "memory/caching_shared.h"
#include "memory/fork.h"

static caching_cache nobodys;
_Thread_local caching_cache *caching_recent __attribute__((tls_model("initial-exec"))) = &nobodys;
static _Thread_local caching_cache *thread_caches;
static _Thread_local bool thread_is_ending;

/* Which caches belong to which allocator. Taken before an allocator's lock. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static pthread_key_t ending_key;
static bool has_key;

static void thread_ends(void *unused);

static bool is_forked; /* this process is a forked child: other threads' caches have no thread */

static void after_fork_in_child(void) { is_forked = true; }

static void prepare(void) {
    has_key = pthread_key_create(&ending_key, thread_ends) == 0;
    /* Before any allocator's lock, which is taken inside it. */
    memory_fork_watch(&list_lock, false);
    pthread_atfork(NULL, NULL, after_fork_in_child);
    base_barrier_prepare();
}

/* The lock that only remote threads take keeps them out of the caller's own cache while it holds the allocator's lock. False in
 * a forked child, for a cache that its thread was using when the process was copied: it stays as it is. */
static bool remote_enter(caching_cache *cache) {
    if (cache == caching_recent) return true;
    atomic_fetch_or_explicit(&cache->gate, CACHING_GATE_REMOTE, memory_order_seq_cst);
    base_barrier();
    while (atomic_load_explicit(&cache->busy, memory_order_seq_cst) != 0) {
        if (is_forked) return false;
        sched_yield();
    }
    return true;
}

static void remote_leave(caching_cache *cache) {
    if (cache != caching_recent) atomic_fetch_and_explicit(&cache->gate, ~CACHING_GATE_REMOTE, memory_order_release);
}

void caching_caches_prepare(void) { pthread_once(&prepared, prepare); }

static caching_cache *cache_attach(caching *owner) {
    if (thread_is_ending || !has_key || owner->cache_limit == 0) return NULL;
    caching_cache *cache = base_allocate(1, sizeof *cache);
    if (cache == NULL) return NULL;
    if (pthread_setspecific(ending_key, cache) != 0) {
        base_free(cache);
        return NULL;
    }
    cache->limit = owner->cache_limit;
    pthread_mutex_lock(&list_lock);
    pthread_mutex_lock(&owner->lock);
    bool may = !owner->is_retired;
    if (may) {
        atomic_store_explicit(&cache->owner, owner, memory_order_relaxed);
        atomic_store_explicit(&cache->gate,
                              (base_has_barrier ? 0 : CACHING_GATE_FENCED) |
                                  (owner->is_settled ? 0 : CACHING_GATE_UNSETTLED),
                              memory_order_relaxed);
        cache->of_owner = owner->caches;
        owner->caches = cache;
    }
    pthread_mutex_unlock(&owner->lock);
    pthread_mutex_unlock(&list_lock);
    if (!may) {
        base_free(cache);
        return NULL;
    }
    cache->of_thread = thread_caches;
    thread_caches = cache;
    return cache;
}

caching_cache *caching_cache_find(caching *owner) {
    caching_cache **link = &thread_caches;
    while (*link != NULL) {
        caching_cache *cache = *link;
        caching *of = atomic_load_explicit(&cache->owner, memory_order_acquire);
        if (of == owner) {
            caching_recent = cache;
            return cache;
        }
        if (of == NULL) {
            /* Its allocator has ended. */
            *link = cache->of_thread;
            if (caching_recent == cache) caching_recent = &nobodys;
            base_free(cache);
        } else {
            link = &cache->of_thread;
        }
    }
    caching_cache *cache = cache_attach(owner);
    if (cache != NULL) caching_recent = cache;
    return cache;
}

caching_slot *caching_slot_find(caching_cache *cache, size_t capacity, uint32_t stream) {
    size_t number = caching_slot_number(capacity, stream);
    for (size_t i = 0; i < CACHING_SLOT_PLACES; i++) {
        if (caching_slot_is_for(&cache->slots[number ^ i], capacity, stream)) return &cache->slots[number ^ i];
    }
    return NULL;
}

caching_slot *caching_slot_make(caching_cache *cache, size_t capacity, uint32_t stream) {
    caching_slot *known = caching_slot_find(cache, capacity, stream);
    if (known != NULL) return known;
    size_t number = caching_slot_number(capacity, stream);
    for (size_t i = 0; i < CACHING_SLOT_PLACES; i++) {
        caching_slot *slot = &cache->slots[number ^ i];
        if (slot->head != NULL || cache->spares[number ^ i] != NULL) continue;
        /* What the slot has counted is the cache's from now on. */
        size_t before = caching_level_bytes(slot->unit);
        cache->handed_out += slot->taken * before;
        cache->histogram[caching_bucket_of(before)] += slot->taken;
        *slot = (caching_slot){
            .unit = caching_level_of(capacity, 1), .stream = stream, .magazine = caching_magazine_of(capacity)};
        return slot;
    }
    return NULL;
}

/* The calling thread is in the cache. */
static size_t empty(caching *owner, caching_cache *cache) {
    size_t bytes = caching_level_bytes(cache->cached), left = bytes;
    caching_level all = cache->cached;
    for (size_t i = 0; i < CACHING_SLOTS && left != 0; i++) {
        left -= caching_give_chain(owner, caching_slot_take_chain(&cache->slots[i]));
        left -= caching_give_chain(owner, cache->spares[i]);
        cache->spares[i] = NULL;
    }
    caching_count_moved(owner, cache, -all);
    return bytes;
}

size_t caching_cache_flush(caching *owner, caching_cache *cache) {
    if (!remote_enter(cache)) return 0;
    size_t bytes = empty(owner, cache);
    remote_leave(cache);
    return bytes;
}

void caching_caches_hold(caching *owner) {
    caching_shared_empty(owner);
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) {
        if (remote_enter(cache)) empty(owner, cache);
    }
}

void caching_caches_settle(caching *owner, bool is_settled) {
    atomic_store_explicit(&owner->is_settled, is_settled, memory_order_relaxed);
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) {
        if (is_settled) atomic_fetch_and_explicit(&cache->gate, ~CACHING_GATE_UNSETTLED, memory_order_relaxed);
        else atomic_fetch_or_explicit(&cache->gate, CACHING_GATE_UNSETTLED, memory_order_relaxed);
    }
}

void caching_caches_let_go(caching *owner) {
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) remote_leave(cache);
}

size_t caching_cache_flush_own(caching *owner) {
    caching_cache *cache = caching_recent;
    size_t bytes = caching_shared_empty(owner);
    return bytes + (cache->owner == owner ? caching_cache_flush(owner, cache) : 0);
}

size_t caching_caches_flush(caching *owner) {
    size_t bytes = caching_shared_empty(owner);
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) {
        bytes += caching_cache_flush(owner, cache);
    }
    return bytes;
}

/* The capacity of the largest block in a cache that the caller is in. */
static size_t largest_in(const caching_cache *cache) {
    size_t largest = 0;
    for (unsigned i = 0; i < CACHING_SLOTS; i++) {
        size_t capacity = caching_level_bytes(cache->slots[i].unit);
        bool has_any = cache->slots[i].head != NULL || cache->spares[i] != NULL;
        if (has_any && capacity > largest) largest = capacity;
    }
    return largest;
}

size_t caching_caches_publish(caching *owner) {
    size_t largest = 0;
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) {
        if (!remote_enter(cache)) continue;
        caching_cache_publish(owner, cache);
        size_t here = largest_in(cache);
        if (here > largest) largest = here;
    }
    /* All at one moment: else a block that one thread takes and another gives back would be counted once. */
    caching_caches_let_go(owner);
    return largest;
}

/* Both locks are held. The gate stays closed: the cache's thread may have found it to be the allocator's, and be about to enter. */
static void detach(caching *owner, caching_cache *cache) {
    if (remote_enter(cache)) {
        empty(owner, cache);
        caching_cache_publish(owner, cache);
    }
    atomic_fetch_or_explicit(&cache->gate, CACHING_GATE_REMOTE, memory_order_release);
    caching_cache **link = &owner->caches;
    while (*link != cache) link = &(*link)->of_owner;
    *link = cache->of_owner;
    atomic_store_explicit(&cache->owner, NULL, memory_order_release);
}

void caching_caches_detach(caching *owner) {
    pthread_mutex_lock(&list_lock);
    pthread_mutex_lock(&owner->lock);
    owner->is_retired = true;
    caching_shared_empty(owner);
    while (owner->caches != NULL) detach(owner, owner->caches);
    pthread_mutex_unlock(&owner->lock);
    pthread_mutex_unlock(&list_lock);
}

static void thread_ends(void *unused) {
    (void)unused;
    thread_is_ending = true;
    caching_recent = &nobodys;
    while (thread_caches != NULL) {
        caching_cache *cache = thread_caches;
        thread_caches = cache->of_thread;
        pthread_mutex_lock(&list_lock);
        caching *owner = cache->owner;
        if (owner != NULL) {
            pthread_mutex_lock(&owner->lock);
            detach(owner, cache);
            pthread_mutex_unlock(&owner->lock);
        }
        pthread_mutex_unlock(&list_lock);
        base_free(cache);
    }
}
