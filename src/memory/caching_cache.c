/* Thread caches; see caching_cache.h. */
#include "memory/caching_cache.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/memory.h"
#include "memory/caching_heap.h"
#include "memory/caching_physical.h"
#include "memory/fork.h"

#if defined(__SANITIZE_THREAD__)
#define HAS_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER 1
#endif
#endif

/* A slot keeps at most so many blocks of up to the small size, and so many larger ones; a shared slot so many times more. */
enum { SMALL = 64 * 1024, SMALL_KEPT = 256, LARGE_KEPT = 8, SHARED_TIMES = 16 };

static inline uint32_t kept(size_t capacity) { return capacity <= SMALL ? SMALL_KEPT : LARGE_KEPT; }

_Thread_local caching_cache *caching_recent;
static _Thread_local caching_cache *thread_caches;
static _Thread_local bool thread_is_ending;

/* Which caches belong to which allocator. Taken before an allocator's lock. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static pthread_key_t ending_key;
static bool has_key;
static bool has_barrier; /* the kernel runs a barrier on all threads when asked; fixed by prepare */

static void thread_ends(void *unused);

static bool is_forked; /* this process is a forked child: other threads' caches have no thread */

static void after_fork_in_child(void) { is_forked = true; }

static void prepare(void) {
    has_key = pthread_key_create(&ending_key, thread_ends) == 0;
    /* Before any allocator's lock, which is taken inside it. */
    memory_fork_watch(&list_lock, false);
    pthread_atfork(NULL, NULL, after_fork_in_child);
#ifndef HAS_THREAD_SANITIZER
    has_barrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

bool caching_cache_enter(caching_cache *cache) {
    if (__builtin_expect(has_barrier, 1)) {
        /* The barrier of remote_enter stands between this store and this load whenever they matter. */
        atomic_store_explicit(&cache->busy, 1, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_exchange_explicit(&cache->busy, 1, memory_order_seq_cst);
    }
    if (__builtin_expect(atomic_load_explicit(&cache->remote, memory_order_seq_cst) == 0, 1)) return true;
    caching_cache_leave(cache);
    return false;
}

void caching_cache_leave(caching_cache *cache) { atomic_store_explicit(&cache->busy, 0, memory_order_release); }

/* The lock that only remote threads take keeps them out of the caller's own cache while it holds the allocator's lock. False in
 * a forked child, for a cache that its thread was using when the process was copied: it stays as it is. */
static bool remote_enter(caching_cache *cache) {
    if (cache == caching_recent) return true;
    atomic_store_explicit(&cache->remote, 1, memory_order_seq_cst);
    if (has_barrier) syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    while (atomic_load_explicit(&cache->busy, memory_order_seq_cst) != 0) {
        if (is_forked) return false;
        sched_yield();
    }
    return true;
}

static void remote_leave(caching_cache *cache) {
    if (cache != caching_recent) atomic_store_explicit(&cache->remote, 0, memory_order_release);
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
        cache->owner = owner;
        cache->of_owner = owner->caches;
        owner->caches = cache;
        atomic_store_explicit(&cache->serial, owner->serial, memory_order_release);
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
        uint64_t serial = atomic_load_explicit(&cache->serial, memory_order_acquire);
        if (serial == owner->serial) {
            caching_recent = cache;
            return cache;
        }
        if (serial == 0) {
            /* Its allocator has ended. */
            *link = cache->of_thread;
            if (caching_recent == cache) caching_recent = NULL;
            base_free(cache);
        } else {
            link = &cache->of_thread;
        }
    }
    caching_cache *cache = cache_attach(owner);
    if (cache != NULL) caching_recent = cache;
    return cache;
}

static inline caching_slot *slot_of(caching_slot *slots, size_t capacity, uint32_t stream) {
    uint64_t hash = (capacity ^ (uint64_t)stream << 47) * UINT64_C(0x9E3779B97F4A7C15);
    caching_slot *slot = &slots[hash >> 55];
    if (__builtin_expect(slot->capacity == capacity && slot->stream == stream, 1)) return slot;
    caching_slot *other = &slots[hash >> 55 ^ 1];
    if (other->capacity == capacity && other->stream == stream) return other;
    return slot->count <= other->count ? slot : other;
}

static inline void raise(caching_change *figure, int64_t by) {
    figure->now += by;
    if (figure->now > figure->highest) figure->highest = figure->now;
}

/* The calling thread's cache, or NULL. */
static inline caching_cache *own_cache(caching *owner) {
    caching_cache *cache = caching_recent;
    if (__builtin_expect(cache != NULL && atomic_load_explicit(&cache->serial, memory_order_relaxed) == owner->serial,
                         1)) {
        return cache;
    }
    return caching_cache_find(owner);
}

/* The members are set before the cache is left, so that who keeps all threads out of their caches sees whole blocks. */
static inline memory_block *take(caching *owner, size_t size, uint32_t stream, tarn_allocator *outer, const char *tag) {
    caching_cache *cache = own_cache(owner);
    if (__builtin_expect(cache == NULL, 0)) return NULL;
    /* Sizes that wrap when rounded become 0, which no slot has blocks of. */
    size_t capacity = round_up(size, owner->alignment);
    if (!caching_cache_enter(cache)) return NULL;
    caching_slot *slot = slot_of(cache->slots, capacity, stream);
    memory_block *block = slot->head;
    if (__builtin_expect(block == NULL || slot->capacity != capacity || slot->stream != stream, 0)) {
        caching_cache_leave(cache);
        return NULL;
    }
    slot->head = block->live.cached;
    slot->count--;
    cache->bytes -= capacity;
    raise(&cache->requested, (int64_t)size);
    raise(&cache->in_use, (int64_t)capacity);
    raise(&cache->blocks, 1);
    cache->allocations++;
    cache->requested_total += size;
    cache->in_use_total += capacity;
    cache->histogram[memory_histogram_bucket(size)]++;
    block->live.requested = size;
    block->live.outer = outer;
    block->live.tag = tag;
    block->live.uses = NULL;
    caching_cache_leave(cache);
    return block;
}

memory_block *caching_cache_take(caching *owner, const memory_request *request) {
    return take(owner, request->size, hal_stream_number(request->stream), request->outer, request->tag);
}

memory_block *caching_allocate_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream) {
    uint32_t number = 0;
    if (stream != NULL) {
        if (stream->device != allocator->device) return NULL;
        number = hal_stream_number(stream);
    }
    memory_block *block = take(caching_of(allocator), size, number, allocator, NULL);
    if (__builtin_expect(block != NULL, 1)) block_begin_life(block);
    return block;
}

/* `handle` is NULL for a block whose life has ended already. */
static inline bool put(caching *owner, memory_block *block, const tarn_buffer *handle) {
    caching_cache *cache = own_cache(owner);
    if (__builtin_expect(cache == NULL, 0)) return false;
    size_t capacity = block->capacity;
    if (!atomic_load_explicit(&owner->is_settled, memory_order_relaxed)) return false;
    if (!caching_cache_enter(cache)) return false;
    caching_slot *slot = slot_of(cache->slots, capacity, block->stream);
    bool fits = slot->count == 0 ||
                (slot->capacity == capacity && slot->stream == block->stream && slot->count < kept(capacity));
    /* A block that another thread freed at this moment is that thread's. */
    if (__builtin_expect(
            !fits || cache->bytes + capacity > cache->limit || (handle != NULL && !block_claim(block, handle)), 0)) {
        caching_cache_leave(cache);
        return false;
    }
    if (slot->count == 0) {
        slot->capacity = capacity;
        slot->stream = block->stream;
        slot->head = NULL;
    }
    block->live.cached = slot->head;
    slot->head = block;
    slot->count++;
    cache->bytes += capacity;
    cache->requested.now -= (int64_t)block->live.requested;
    cache->blocks.now--;
    cache->in_use.now -= (int64_t)capacity;
    if (cache->in_use.now < cache->least_in_use) cache->least_in_use = cache->in_use.now;
    cache->frees++;
    caching_cache_leave(cache);
    return true;
}

bool caching_cache_put(caching *owner, memory_block *block) { return put(owner, block, NULL); }

bool caching_free_quickly(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream) {
    memory_block *block = block_of(buffer);
    if (block == NULL || block->owner != allocator || block->live.outer != allocator || block->live.uses != NULL)
        return false;
    if (stream != NULL && (stream->device != allocator->device || hal_stream_number(stream) != block->stream))
        return false;
    return put(caching_of(allocator), block, buffer);
}

static void publish_change(tarn_figure *figure, caching_change *published) {
    uint64_t highest = figure->current + (uint64_t)published->highest;
    if (highest > figure->peak) figure->peak = highest;
    figure->current += (uint64_t)published->now;
    *published = (caching_change){0};
}

/* A remote thread is in the cache, or it is the caller's own. */
static void publish_changes(caching *owner, caching_cache *cache) {
    uint64_t used = owner->in_use.current + (uint64_t)cache->least_in_use;
    uint64_t cached = owner->reserved.current > used ? owner->reserved.current - used : 0;
    if (cached > owner->cached.peak) owner->cached.peak = cached;
    publish_change(&owner->requested, &cache->requested);
    publish_change(&owner->in_use, &cache->in_use);
    publish_change(&owner->blocks, &cache->blocks);
    cache->least_in_use = 0;
}

static void publish(caching *owner, caching_cache *cache) {
    publish_changes(owner, cache);
    owner->requested.total = saturating_add(owner->requested.total, cache->requested_total);
    owner->in_use.total = saturating_add(owner->in_use.total, cache->in_use_total);
    owner->blocks.total = saturating_add(owner->blocks.total, cache->allocations);
    owner->allocations += cache->allocations;
    owner->frees += cache->frees;
    cache->requested_total = cache->in_use_total = cache->allocations = cache->frees = 0;
    for (unsigned i = 0; i < TARN_HISTOGRAM_BUCKETS; i++) {
        owner->histogram[i] += cache->histogram[i];
        cache->histogram[i] = 0;
    }
}

void caching_cache_publish_own(caching *owner) {
    caching_cache *cache = caching_recent;
    if (cache != NULL && cache->owner == owner) publish_changes(owner, cache);
}

/* Gives the blocks of all slots back to their heaps. `*inout_bytes` says how many bytes they are. */
static void empty_slots(caching *owner, caching_slot *slots, size_t *inout_bytes) {
    for (unsigned i = 0; i < CACHING_SLOTS && *inout_bytes != 0; i++) {
        caching_slot *slot = &slots[i];
        while (slot->head != NULL) {
            memory_block *block = slot->head;
            slot->head = block->live.cached;
            *inout_bytes -= block->capacity;
            caching_give_home(owner, block);
        }
        slot->count = 0;
    }
}

/* The calling thread is in the cache. */
static size_t empty(caching *owner, caching_cache *cache) {
    publish_changes(owner, cache);
    size_t bytes = cache->bytes;
    empty_slots(owner, cache->slots, &cache->bytes);
    return bytes;
}

static size_t empty_shared(caching *owner) {
    size_t bytes = owner->shared_bytes;
    if (bytes != 0) empty_slots(owner, owner->shared, &owner->shared_bytes);
    return bytes;
}

/* Moves up to `count` blocks to a slot that is empty or for the same size and stream. Returns how many. */
static uint32_t move_blocks(caching_slot *from, caching_slot *to, uint32_t count) {
    uint32_t moved = 0;
    if (to->count == 0) {
        *to = (caching_slot){.capacity = from->capacity, .stream = from->stream};
    } else if (to->capacity != from->capacity || to->stream != from->stream) {
        return 0;
    }
    for (; moved < count && from->head != NULL; moved++) {
        memory_block *block = from->head;
        from->head = block->live.cached;
        block->live.cached = to->head;
        to->head = block;
    }
    from->count -= moved;
    to->count += moved;
    return moved;
}

bool caching_cache_spill(caching *owner, size_t capacity, uint32_t stream) {
    caching_cache *cache = caching_recent;
    if (cache == NULL || cache->owner != owner) return false;
    if (owner->shared == NULL) owner->shared = base_allocate(CACHING_SLOTS, sizeof *owner->shared);
    if (owner->shared == NULL) return false;
    caching_slot *own = slot_of(cache->slots, capacity, stream), *shared = slot_of(owner->shared, capacity, stream);
    if (own->capacity != capacity || own->stream != stream || own->count < kept(capacity)) return false;
    size_t half = own->count / 2, bytes = half * capacity;
    if (bytes > owner->cache_limit - owner->shared_bytes || shared->count >= SHARED_TIMES * kept(capacity))
        return false;
    bytes = move_blocks(own, shared, (uint32_t)half) * capacity;
    cache->bytes -= bytes;
    owner->shared_bytes += bytes;
    return bytes != 0;
}

bool caching_cache_refill(caching *owner, size_t capacity, uint32_t stream) {
    caching_cache *cache = caching_recent;
    if (owner->shared_bytes == 0 || cache == NULL || cache->owner != owner) return false;
    caching_slot *own = slot_of(cache->slots, capacity, stream), *shared = slot_of(owner->shared, capacity, stream);
    if (shared->count == 0 || shared->capacity != capacity || shared->stream != stream || own->count != 0) return false;
    if (cache->bytes + kept(capacity) / 2 * capacity > cache->limit) return false;
    size_t bytes = move_blocks(shared, own, kept(capacity) / 2) * capacity;
    owner->shared_bytes -= bytes;
    cache->bytes += bytes;
    return true;
}

size_t caching_cache_flush(caching *owner, caching_cache *cache) {
    if (!remote_enter(cache)) return 0;
    size_t bytes = empty(owner, cache);
    remote_leave(cache);
    return bytes;
}

void caching_caches_hold(caching *owner) {
    empty_shared(owner);
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) {
        if (remote_enter(cache)) empty(owner, cache);
    }
}

void caching_caches_let_go(caching *owner) {
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) remote_leave(cache);
}

size_t caching_cache_flush_own(caching *owner) {
    caching_cache *cache = caching_recent;
    size_t bytes = empty_shared(owner);
    return bytes + (cache != NULL && cache->owner == owner ? caching_cache_flush(owner, cache) : 0);
}

size_t caching_caches_flush(caching *owner) {
    size_t bytes = empty_shared(owner);
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) {
        bytes += caching_cache_flush(owner, cache);
    }
    return bytes;
}

size_t caching_caches_publish(caching *owner) {
    size_t largest = 0;
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) {
        if (!remote_enter(cache)) continue;
        publish(owner, cache);
        for (unsigned i = 0; i < CACHING_SLOTS; i++) {
            if (cache->slots[i].count != 0 && cache->slots[i].capacity > largest) largest = cache->slots[i].capacity;
        }
        remote_leave(cache);
    }
    return largest;
}

/* Both locks are held. */
static void detach(caching *owner, caching_cache *cache) {
    caching_cache_flush(owner, cache);
    if (remote_enter(cache)) {
        publish(owner, cache);
        remote_leave(cache);
    }
    caching_cache **link = &owner->caches;
    while (*link != cache) link = &(*link)->of_owner;
    *link = cache->of_owner;
    cache->owner = NULL;
    atomic_store_explicit(&cache->serial, 0, memory_order_release);
}

void caching_caches_detach(caching *owner) {
    pthread_mutex_lock(&list_lock);
    pthread_mutex_lock(&owner->lock);
    owner->is_retired = true;
    empty_shared(owner);
    while (owner->caches != NULL) detach(owner, owner->caches);
    pthread_mutex_unlock(&owner->lock);
    pthread_mutex_unlock(&list_lock);
}

static void thread_ends(void *unused) {
    (void)unused;
    thread_is_ending = true;
    caching_recent = NULL;
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

void caching_count_allocation(caching *owner, size_t requested, size_t capacity) {
    memory_figure_add(&owner->requested, requested);
    memory_figure_add(&owner->in_use, capacity);
    memory_figure_add(&owner->blocks, 1);
    owner->allocations++;
    owner->histogram[memory_histogram_bucket(requested)]++;
}

void caching_count_free(caching *owner, size_t requested, size_t capacity) {
    memory_figure_subtract(&owner->requested, requested);
    memory_figure_subtract(&owner->in_use, capacity);
    memory_figure_subtract(&owner->blocks, 1);
    owner->frees++;
    uint64_t cached =
        owner->reserved.current > owner->in_use.current ? owner->reserved.current - owner->in_use.current : 0;
    if (cached > owner->cached.peak) owner->cached.peak = cached;
}
