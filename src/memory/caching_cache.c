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

#define IS_LIKELY(condition) __builtin_expect(!!(condition), 1)

#if defined(__SANITIZE_THREAD__)
#define HAS_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER 1
#endif
#endif

/* A slot keeps at most so many blocks of up to the small size, and so many larger ones; a shared slot so many times more. */
enum { SMALL = 64 * 1024, SMALL_KEPT = 256, LARGE_KEPT = 8, SHARED_TIMES = 16 };

static inline uint16_t most_kept(size_t capacity) { return capacity <= SMALL ? SMALL_KEPT : LARGE_KEPT; }

static caching_cache nobodys;
_Thread_local caching_cache *caching_recent __attribute__((tls_model("initial-exec"))) = &nobodys;
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

/* What closes a gate. */
enum { GATE_REMOTE = 1u, GATE_FENCED = 2u, GATE_UNSETTLED = 4u };

static inline void leave(caching_cache *cache) { atomic_store_explicit(&cache->busy, 0, memory_order_release); }

/* Lets the calling thread use its own cache; when not, it must go the long way around, below. */
static inline bool enter(caching_cache *cache) {
    /* The barrier of remote_enter stands between this store and this load whenever they matter. */
    atomic_store_explicit(&cache->busy, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (IS_LIKELY(atomic_load_explicit(&cache->gate, memory_order_acquire) == 0)) return true;
    leave(cache);
    return false;
}

/* The same without the barrier's help; false while a remote thread is in it. */
static bool enter_fenced(caching_cache *cache) {
    atomic_exchange_explicit(&cache->busy, 1, memory_order_seq_cst);
    if ((atomic_load_explicit(&cache->gate, memory_order_seq_cst) & GATE_REMOTE) == 0) return true;
    leave(cache);
    return false;
}

/* The lock that only remote threads take keeps them out of the caller's own cache while it holds the allocator's lock. False in
 * a forked child, for a cache that its thread was using when the process was copied: it stays as it is. */
static bool remote_enter(caching_cache *cache) {
    if (cache == caching_recent) return true;
    atomic_fetch_or_explicit(&cache->gate, GATE_REMOTE, memory_order_seq_cst);
    if (has_barrier) syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    while (atomic_load_explicit(&cache->busy, memory_order_seq_cst) != 0) {
        if (is_forked) return false;
        sched_yield();
    }
    return true;
}

static void remote_leave(caching_cache *cache) {
    if (cache != caching_recent) atomic_fetch_and_explicit(&cache->gate, ~GATE_REMOTE, memory_order_release);
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
        atomic_store_explicit(&cache->gate, (has_barrier ? 0 : GATE_FENCED) | (owner->is_settled ? 0 : GATE_UNSETTLED),
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

static inline size_t slot_number(size_t capacity, uint32_t stream) {
    return (uint32_t)((uint32_t)(capacity + stream) * 0x9E3779B1u) >> (32 - CACHING_SLOTS_SHIFT);
}

static inline bool is_for(const caching_slot *slot, size_t capacity, uint32_t stream) {
    return slot->unit == caching_level_of(capacity, 1) && slot->stream == stream;
}

/* The lowest bit changes no other bucket than that of size 0, which is never asked for. */
static inline unsigned bucket_of(size_t size) { return 63u ^ (unsigned)__builtin_clzll(size | 1); }

/* The slot that has the blocks of that kind, or the better of the two that may. */
static caching_slot *slot_of(caching_slot *slots, size_t capacity, uint32_t stream) {
    size_t number = slot_number(capacity, stream);
    caching_slot *slot = &slots[number], *other = &slots[number ^ 1];
    if (is_for(slot, capacity, stream)) return slot;
    if (is_for(other, capacity, stream)) return other;
    return caching_slot_count(slot) <= caching_slot_count(other) ? slot : other;
}

/* The slot for blocks of that kind; an empty one is made theirs. NULL when others have it. What the slot has counted goes to
 * the cache; shared slots have none and count nothing. */
static caching_slot *slot_for(caching_cache *cache, caching_slot *slots, size_t capacity, uint32_t stream,
                              uint16_t most) {
    caching_slot *slot = slot_of(slots, capacity, stream);
    if (is_for(slot, capacity, stream)) return slot;
    if (slot->head != NULL) return NULL;
    if (slot->taken != 0) {
        cache->handed_out += slot->taken * caching_level_bytes(slot->unit);
        cache->histogram[bucket_of(caching_level_bytes(slot->unit))] += slot->taken;
    }
    *slot = (caching_slot){.unit = caching_level_of(capacity, 1), .stream = stream, .most = most};
    return slot;
}

static inline bool is_of(const caching_cache *cache, const caching *owner) {
    return atomic_load_explicit(&cache->owner, memory_order_relaxed) == owner;
}

/* The calling thread's cache, or NULL. */
static caching_cache *own_cache(caching *owner) {
    return is_of(caching_recent, owner) ? caching_recent : caching_cache_find(owner);
}

/* By how much more is requested than when the cache was last published. */
static int64_t requested_since(const caching_cache *cache) {
    return (int64_t)(caching_level_bytes(cache->published) - caching_level_bytes(cache->cached) -
                     cache->rounding_taken + cache->rounding_put);
}

/* Keeps what may be a peak, and says when the next one may come. */
static void note_peak(caching_cache *cache) {
    int64_t requested = requested_since(cache);
    size_t bytes = caching_level_bytes(cache->cached);
    if (requested > cache->most_requested) cache->most_requested = requested;
    if (bytes < cache->lowest_bytes) cache->lowest_bytes = bytes;
    uint64_t level = caching_level_bytes(cache->published) + cache->rounding;
    uint64_t known = (uint64_t)cache->most_requested;
    /* Rounded up to what a level tells apart: rather too early than too late. */
    size_t next = level > known ? round_up(level - known, (size_t)64) : 0;
    cache->watched = caching_level_of(next > cache->lowest_bytes ? next : cache->lowest_bytes, 0);
}

static inline void count_rounding(caching_cache *cache, size_t size, size_t capacity) {
    cache->rounding_taken += capacity - size;
    cache->histogram[bucket_of(size)]++;
    cache->histogram[bucket_of(capacity)]--;
}

/* Takes the slot's first block out. Its members are set before the cache is left, so that who keeps all threads out of their
 * caches sees whole blocks; most of them were set when it came in. */
static inline tarn_buffer *pop(caching_cache *cache, caching_slot *slot, size_t size, caching_level unit) {
    tarn_buffer *handle = slot->head;
    memory_block *block = block_behind(handle);
    slot->head = block->live.cached;
    slot->taken++;
    block->live.requested = size;
    caching_level cached = cache->cached - unit;
    cache->cached = cached;
    if (!IS_LIKELY(caching_level_blocks(cached) >= cache->fewest_blocks))
        cache->fewest_blocks = caching_level_blocks(cached);
    if (!IS_LIKELY(size == block->capacity)) count_rounding(cache, size, block->capacity);
    return handle;
}

/* `handle` is the one of the block's next life, `cached` the level with the block. */
static inline void push(caching_cache *cache, caching_slot *slot, memory_block *block, tarn_buffer *handle,
                        caching_level cached) {
    block->live.cached = slot->head;
    slot->head = handle;
    slot->put++;
    cache->cached = cached;
    if (!IS_LIKELY(block->live.requested == block->capacity))
        cache->rounding_put += block->capacity - block->live.requested;
}

static __attribute__((noinline)) tarn_status leave_at_peak(caching_cache *cache) {
    note_peak(cache);
    leave(cache);
    return TARN_OK;
}

/* In both, each condition that fails leads out, so that what is left is one straight line. */
tarn_status caching_allocate_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                     tarn_buffer **out_buffer) {
    caching *owner = caching_of(allocator);
    caching_cache *cache = caching_recent;
    uint32_t number = 0;
    if (!IS_LIKELY(stream == NULL)) {
        if (stream->device != allocator->device) goto long_way;
        number = hal_stream_number(stream);
    }
    if (!IS_LIKELY(is_of(cache, owner))) goto long_way;
    if (!IS_LIKELY(enter(cache))) goto long_way;
    /* Sizes that wrap when rounded become 0, which no slot has blocks of. */
    size_t capacity = round_up(size, owner->alignment);
    caching_slot *slot = &cache->slots[slot_number(capacity, number)];
    caching_level unit = caching_level_of(capacity, 1);
    if (!IS_LIKELY(slot->unit == unit)) goto leave;
    if (!IS_LIKELY(slot->stream == number)) goto leave;
    tarn_buffer *buffer = slot->head;
    if (!IS_LIKELY(buffer != NULL)) goto leave;
    pop(cache, slot, size, unit);
    block_begin_life_of(block_behind(buffer), buffer);
    *out_buffer = buffer;
    if (!IS_LIKELY(cache->cached >= cache->watched)) return leave_at_peak(cache);
    leave(cache);
    return TARN_OK;
leave:
    leave(cache);
long_way:
    return memory_allocate_long(allocator, size, stream, out_buffer);
}

tarn_status caching_free_quickly(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream) {
    caching_cache *cache = caching_recent;
    if (!IS_LIKELY(block_has_number(buffer))) goto long_way;
    memory_block *block = block_behind(buffer);
    if (!IS_LIKELY(block_is_named(block, buffer))) goto long_way;
    /* Whose top of the stack this allocator is, is its own. */
    if (!IS_LIKELY(block->live.outer == allocator)) goto long_way;
    if (!IS_LIKELY(block->live.is_plain)) goto long_way;
    if (!IS_LIKELY(stream == NULL)) {
        if (stream->device != allocator->device || hal_stream_number(stream) != block->stream) goto long_way;
        /* It is the block's own, which NULL says as well. */
        stream = NULL;
    }
    if (!IS_LIKELY(is_of(cache, caching_of(allocator)))) goto long_way;
    if (!IS_LIKELY(enter(cache))) goto long_way;
    size_t index = block->live.slot;
    caching_slot *slot = &cache->slots[index];
    caching_level cached = caching_level_of(block->capacity, 1);
    if (!IS_LIKELY(slot->unit == cached)) goto leave;
    if (!IS_LIKELY(slot->stream == block->stream)) goto leave;
    if (!IS_LIKELY(caching_slot_count(slot) < slot->most)) goto leave;
    cached += cache->cached;
    if (!IS_LIKELY(cached <= cache->highest)) goto leave;
    /* A block that another thread freed at this moment is that thread's. */
    if (!IS_LIKELY(block_claim(block, buffer))) goto leave;
    push(cache, slot, block, block_next_handle(buffer), cached);
    leave(cache);
    return TARN_OK;
leave:
    leave(cache);
long_way:
    return memory_free_long(allocator, buffer, stream);
}

memory_block *caching_cache_take(caching *owner, const memory_request *request) {
    caching_cache *cache = own_cache(owner);
    if (cache == NULL || !enter_fenced(cache)) return NULL;
    size_t capacity = round_up(request->size, owner->alignment);
    uint32_t stream = hal_stream_number(request->stream);
    caching_slot *slot = slot_of(cache->slots, capacity, stream);
    memory_block *block = NULL;
    if (is_for(slot, capacity, stream) && slot->head != NULL) {
        block = block_behind(pop(cache, slot, request->size, slot->unit));
        block->live.outer = request->outer;
        block->live.tag = request->tag;
        block->live.is_plain = request->tag == NULL;
        note_peak(cache);
    }
    leave(cache);
    return block;
}

/* The handle that the block will have, which is not live. */
static tarn_buffer *handle_to_come(memory_block *block) {
    return block_handle_of(block, atomic_load_explicit(&block->life, memory_order_relaxed) | BLOCK_IS_LIVE);
}

bool caching_cache_put(caching *owner, memory_block *block) {
    caching_cache *cache = own_cache(owner);
    if (cache == NULL || !atomic_load_explicit(&owner->is_settled, memory_order_relaxed)) return false;
    if (!enter_fenced(cache)) return false;
    caching_level cached = cache->cached + caching_level_of(block->capacity, 1);
    caching_slot *slot = slot_for(cache, cache->slots, block->capacity, block->stream, most_kept(block->capacity));
    bool has_room =
        slot != NULL && caching_slot_count(slot) < slot->most && caching_level_bytes(cached) <= cache->limit;
    if (has_room) {
        /* As the short ways expect them. */
        block->live.outer = &owner->base;
        block->live.tag = NULL;
        block->live.is_plain = true;
        block->live.slot = (uint16_t)(slot - cache->slots);
        push(cache, slot, block, handle_to_come(block), cached);
        if (cached > cache->highest) cache->highest = cached | CACHING_LEVEL_BLOCKS;
    }
    leave(cache);
    return has_room;
}

/* From here on is counted what changes. */
static void begin_counting(const caching *owner, caching_cache *cache) {
    cache->published = cache->cached;
    cache->highest = cache->cached | CACHING_LEVEL_BLOCKS;
    cache->fewest_blocks = caching_level_blocks(cache->cached);
    cache->lowest_bytes = caching_level_bytes(cache->cached);
    cache->rounding_taken = cache->rounding_put = 0;
    cache->most_requested = 0;
    cache->rounding = owner->in_use.current - owner->requested.current;
    note_peak(cache);
}

/* What was cached is in use now, or the other way round. */
static void publish_change(tarn_figure *figure, uint64_t change, uint64_t most) {
    if (figure->current + most > figure->peak) figure->peak = figure->current + most;
    figure->current += change;
}

/* A remote thread is in the cache, or it is the caller's own. */
static void publish_changes(caching *owner, caching_cache *cache) {
    size_t bytes = caching_level_bytes(cache->published), blocks = caching_level_blocks(cache->published);
    uint64_t used = owner->in_use.current - (caching_level_bytes(cache->highest) - bytes);
    uint64_t cached = owner->reserved.current > used ? owner->reserved.current - used : 0;
    if (cached > owner->cached.peak) owner->cached.peak = cached;
    publish_change(&owner->requested, (uint64_t)requested_since(cache), (uint64_t)cache->most_requested);
    publish_change(&owner->in_use, bytes - caching_level_bytes(cache->cached), bytes - cache->lowest_bytes);
    publish_change(&owner->blocks, blocks - caching_level_blocks(cache->cached), blocks - cache->fewest_blocks);
    cache->rounding_total += cache->rounding_taken;
    begin_counting(owner, cache);
}

/* Counts what the slots have handed out since they were last asked. Returns the bytes of it. */
static uint64_t drain_taken(caching *owner, caching_slot *slots) {
    uint64_t bytes = 0;
    for (caching_slot *slot = slots; slot < slots + CACHING_SLOTS; slot++) {
        if (slot->taken == 0) continue;
        size_t capacity = caching_level_bytes(slot->unit);
        bytes += slot->taken * capacity;
        owner->histogram[memory_histogram_bucket(capacity)] += slot->taken;
        slot->put = caching_slot_count(slot);
        slot->taken = 0;
    }
    return bytes;
}

static void publish(caching *owner, caching_cache *cache) {
    publish_changes(owner, cache);
    uint64_t handed_out = cache->handed_out + drain_taken(owner, cache->slots);
    owner->in_use.total = saturating_add(owner->in_use.total, handed_out);
    owner->requested.total = saturating_add(owner->requested.total, handed_out - cache->rounding_total);
    cache->handed_out = cache->rounding_total = 0;
    for (unsigned i = 0; i < sizeof cache->histogram / sizeof cache->histogram[0]; i++) {
        owner->histogram[memory_histogram_bucket((size_t)1 << i)] += cache->histogram[i];
        cache->histogram[i] = 0;
    }
}

void caching_cache_publish_own(caching *owner) {
    caching_cache *cache = caching_recent;
    if (cache->owner == owner) publish_changes(owner, cache);
}

/* Tells the calling thread's cache what the long way did. */
static void begin_own(const caching *owner) {
    caching_cache *cache = caching_recent;
    if (cache->owner == owner) begin_counting(owner, cache);
}

/* Gives the blocks of all slots back to their heaps; those of `bytes` bytes. */
static void empty_slots(caching *owner, caching_slot *slots, size_t bytes) {
    for (unsigned i = 0; i < CACHING_SLOTS && bytes != 0; i++) {
        caching_slot *slot = &slots[i];
        while (slot->head != NULL) {
            memory_block *block = block_behind(slot->head);
            slot->head = block->live.cached;
            bytes -= block->capacity;
            caching_give_home(owner, block);
        }
        slot->put = (uint16_t)slot->taken;
    }
}

/* The calling thread is in the cache. */
static size_t empty(caching *owner, caching_cache *cache) {
    publish_changes(owner, cache);
    size_t bytes = caching_level_bytes(cache->cached);
    empty_slots(owner, cache->slots, bytes);
    cache->cached = 0;
    begin_counting(owner, cache);
    return bytes;
}

static size_t empty_shared(caching *owner) {
    size_t bytes = owner->shared_bytes;
    if (bytes != 0) empty_slots(owner, owner->shared, bytes);
    owner->shared_bytes = 0;
    return bytes;
}

/* Moves up to `count` blocks to a slot for the same size and stream. Returns how many. */
static size_t move_blocks(caching_slot *from, caching_slot *to, uint16_t count) {
    uint16_t moved = 0;
    for (; moved < count && from->head != NULL; moved++) {
        tarn_buffer *handle = from->head;
        memory_block *block = block_behind(handle);
        from->head = block->live.cached;
        block->live.cached = to->head;
        to->head = handle;
    }
    from->put = (uint16_t)(from->put - moved);
    to->put = (uint16_t)(to->put + moved);
    return moved;
}

bool caching_cache_spill(caching *owner, size_t capacity, uint32_t stream) {
    caching_cache *cache = caching_recent;
    if (cache->owner != owner) return false;
    if (owner->shared == NULL) owner->shared = base_allocate(CACHING_SLOTS, sizeof *owner->shared);
    if (owner->shared == NULL) return false;
    caching_slot *own = slot_of(cache->slots, capacity, stream);
    uint16_t count = caching_slot_count(own), half = count / 2;
    if (!is_for(own, capacity, stream) || count < own->most || half == 0) return false;
    caching_slot *shared = slot_for(NULL, owner->shared, capacity, stream, (uint16_t)(SHARED_TIMES * own->most));
    if (shared == NULL || caching_slot_count(shared) + half > shared->most) return false;
    if (half * capacity > owner->cache_limit - owner->shared_bytes) return false;
    publish_changes(owner, cache);
    size_t moved = move_blocks(own, shared, half);
    cache->cached -= caching_level_of(moved * capacity, moved);
    begin_counting(owner, cache);
    owner->shared_bytes += moved * capacity;
    return true;
}

bool caching_cache_refill(caching *owner, size_t capacity, uint32_t stream) {
    caching_cache *cache = caching_recent;
    if (owner->shared_bytes == 0 || cache->owner != owner) return false;
    caching_slot *shared = slot_of(owner->shared, capacity, stream);
    if (shared->head == NULL || !is_for(shared, capacity, stream)) return false;
    caching_slot *own = slot_for(cache, cache->slots, capacity, stream, most_kept(capacity));
    if (own == NULL || own->head != NULL) return false;
    if (caching_level_bytes(cache->cached) + own->most / 2 * capacity > cache->limit) return false;
    publish_changes(owner, cache);
    size_t moved = move_blocks(shared, own, own->most / 2);
    cache->cached += caching_level_of(moved * capacity, moved);
    begin_counting(owner, cache);
    owner->shared_bytes -= moved * capacity;
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

void caching_caches_settle(caching *owner, bool is_settled) {
    atomic_store_explicit(&owner->is_settled, is_settled, memory_order_relaxed);
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) {
        if (is_settled) atomic_fetch_and_explicit(&cache->gate, ~GATE_UNSETTLED, memory_order_relaxed);
        else atomic_fetch_or_explicit(&cache->gate, GATE_UNSETTLED, memory_order_relaxed);
    }
}

void caching_caches_let_go(caching *owner) {
    for (caching_cache *cache = owner->caches; cache != NULL; cache = cache->of_owner) remote_leave(cache);
}

size_t caching_cache_flush_own(caching *owner) {
    caching_cache *cache = caching_recent;
    size_t bytes = empty_shared(owner);
    return bytes + (cache->owner == owner ? caching_cache_flush(owner, cache) : 0);
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
            size_t capacity = caching_level_bytes(cache->slots[i].unit);
            if (cache->slots[i].head != NULL && capacity > largest) largest = capacity;
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
    atomic_store_explicit(&cache->owner, NULL, memory_order_release);
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

void caching_count_allocation(caching *owner, size_t requested, size_t capacity) {
    memory_figure_add(&owner->requested, requested);
    memory_figure_add(&owner->in_use, capacity);
    memory_figure_add(&owner->blocks, 1);
    owner->histogram[memory_histogram_bucket(requested)]++;
    begin_own(owner);
}

void caching_count_free(caching *owner, size_t requested, size_t capacity) {
    memory_figure_subtract(&owner->requested, requested);
    memory_figure_subtract(&owner->in_use, capacity);
    memory_figure_subtract(&owner->blocks, 1);
    uint64_t cached =
        owner->reserved.current > owner->in_use.current ? owner->reserved.current - owner->in_use.current : 0;
    if (cached > owner->cached.peak) owner->cached.peak = cached;
    begin_own(owner);
}
