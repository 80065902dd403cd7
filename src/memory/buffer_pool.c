/* Buffer pools: plain pointers, kept in buckets by size and alignment.
 *
 * Each buffer has an entry on the host, which is either out, and then found by its pointer, or in the list of its bucket and
 * of the alignment that its address happens to have. A word for each bucket says which alignments have buffers, so that
 * the least aligned one that will do is found without a search. One lock, biased to the thread that uses the pool alone,
 * protects all; the allocator is called without it. */
#include <tarn/buffer_pool.h>

#include <string.h>

#include <tarn/size.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"
#include "memory/biased_lock.h"
#include "memory/pointer_table.h"
#include "memory/stack.h"

#define BUCKETS TARN_BUFFER_POOL_BUCKETS
/* Sizes of the first bucket and above the last, and the highest alignment that has a list of its own, as powers of two. */
enum { LEAST_LOG2 = 6, MOST_LOG2 = LEAST_LOG2 + BUCKETS, MOST_ALIGNMENT_LOG2 = 31, UNPOOLED = BUCKETS };

typedef struct pooled {
    void *memory;
    tarn_buffer *buffer;
    struct pooled *next; /* in its list */
    size_t capacity;     /* bytes */
    uint8_t bucket;      /* or UNPOOLED */
    uint8_t alignment;   /* of the address, as a power of two */
    bool is_out;
} pooled;

struct tarn_buffer_pool {
    tarn_allocator *allocator; /* one reference */
    atomic_uint references;
    biased_lock lock;             /* protects what follows */
    uint32_t alignments[BUCKETS]; /* bit i: the list of alignment 2^i has buffers */
    pooled *lists[BUCKETS][MOST_ALIGNMENT_LOG2 + 1];
    pointer_table table; /* all entries */
};

/* The bucket whose buffers are all large enough; UNPOOLED above the last. */
static inline unsigned bucket_for(size_t size) {
    if (size <= (size_t)1 << LEAST_LOG2) return 0;
    unsigned log2 = 64u - (unsigned)__builtin_clzll((unsigned long long)(size - 1));
    return log2 < MOST_LOG2 ? log2 - LEAST_LOG2 : UNPOOLED;
}

/* The bucket of a buffer of that capacity, at least 64 bytes. */
static unsigned bucket_of(size_t capacity) {
    unsigned log2 = 63u - (unsigned)__builtin_clzll((unsigned long long)capacity);
    return log2 < MOST_LOG2 ? log2 - LEAST_LOG2 : UNPOOLED;
}

/* The lock is held. */
static inline void push(tarn_buffer_pool *pool, pooled *entry) {
    entry->is_out = false;
    entry->next = pool->lists[entry->bucket][entry->alignment];
    pool->lists[entry->bucket][entry->alignment] = entry;
    pool->alignments[entry->bucket] |= UINT32_C(1) << entry->alignment;
}

static inline pooled *pop(tarn_buffer_pool *pool, unsigned bucket, unsigned alignment) {
    pooled **list = &pool->lists[bucket][alignment], *entry = *list;
    *list = entry->next;
    if (entry->next == NULL) pool->alignments[bucket] &= ~(UINT32_C(1) << alignment);
    entry->is_out = true;
    return entry;
}

static tarn_status refuse_null(void) {
    return base_fail(TARN_INVALID_ARGUMENT, "the buffer pool, or the place for its answer, is NULL");
}

/* Getting. */

void *tarn_buffer_pool_get_aligned(tarn_buffer_pool *pool, size_t size, size_t alignment) {
    unsigned bucket = bucket_for(size);
    if (pool == NULL || size == 0 || bucket == UNPOOLED || !is_power_of_two(alignment)) return NULL;
    unsigned log2 = (unsigned)__builtin_ctzll((unsigned long long)alignment);
    if (log2 > MOST_ALIGNMENT_LOG2) return NULL;
    void *memory = NULL;
    biased_way way = biased_lock_enter(&pool->lock);
    uint32_t fitting = pool->alignments[bucket] >> log2 << log2;
    if (__builtin_expect(fitting != 0, 1)) memory = pop(pool, bucket, (unsigned)__builtin_ctz(fitting))->memory;
    biased_lock_leave(&pool->lock, way);
    return memory;
}

void *tarn_buffer_pool_get(tarn_buffer_pool *pool, size_t size) { return tarn_buffer_pool_get_aligned(pool, size, 1); }

/* Makes a live buffer of the allocator one of the pool's, which is out, or in its list from the beginning: others, such as who clears
 * the pool, never see it in between. */
static tarn_status adopt(tarn_buffer_pool *pool, tarn_buffer *buffer, size_t capacity, unsigned bucket, bool is_out,
                         pooled **out_entry) {
    pooled *entry = base_allocate(1, sizeof *entry);
    if (entry == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory to remember a buffer of a pool");
    entry->memory = tarn_buffer_data(buffer);
    entry->buffer = buffer;
    entry->capacity = capacity;
    entry->bucket = (uint8_t)bucket;
    unsigned alignment = (unsigned)__builtin_ctzll((unsigned long long)(uintptr_t)entry->memory);
    entry->alignment = (uint8_t)(alignment < MOST_ALIGNMENT_LOG2 ? alignment : MOST_ALIGNMENT_LOG2);
    entry->is_out = true;
    biased_way way = biased_lock_take(&pool->lock);
    /* Two threads may put the same buffer. */
    bool is_there = pointer_table_find(&pool->table, entry->memory) != NULL;
    bool is_added = !is_there && pointer_table_insert(&pool->table, entry->memory, entry);
    if (is_added && !is_out) push(pool, entry);
    biased_lock_leave(&pool->lock, way);
    if (!is_added) {
        void *memory = entry->memory;
        base_free(entry);
        if (is_there) return base_fail(TARN_INVALID_ARGUMENT, "%p was put by another thread meanwhile", memory);
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory to remember a buffer of a pool");
    }
    *out_entry = entry;
    return TARN_OK;
}

static tarn_status allocate(tarn_buffer_pool *pool, size_t size, void **out_memory) {
    unsigned bucket = bucket_for(size);
    size_t capacity = bucket != UNPOOLED && size != 0 ? (size_t)1 << (bucket + LEAST_LOG2) : size;
    tarn_buffer *buffer;
    pooled *entry;
    tarn_status status = tarn_allocator_allocate(pool->allocator, capacity, NULL, &buffer);
    if (status != TARN_OK) return status;
    status = adopt(pool, buffer, tarn_buffer_capacity(buffer), bucket, true, &entry);
    if (status != TARN_OK) {
        (void)tarn_buffer_free(buffer, NULL);
        return status;
    }
    *out_memory = entry->memory;
    return TARN_OK;
}

tarn_status tarn_buffer_pool_get_or_alloc(tarn_buffer_pool *pool, size_t size, void **out_memory) {
    if (pool == NULL || out_memory == NULL) return refuse_null();
    void *memory = tarn_buffer_pool_get_aligned(pool, size, 1);
    if (memory == NULL) return allocate(pool, size, out_memory);
    *out_memory = memory;
    return TARN_OK;
}

/* Putting. */

/* Takes what is not pooled out of the table, to be freed. The lock is held. */
static void forget(tarn_buffer_pool *pool, const pooled *entry) {
    (void)pointer_table_remove(&pool->table, entry->memory);
}

/* Frees the buffers of a list of entries that the pool knows no more. Returns their bytes; the first failure. Without the lock. */
static size_t free_all(pooled *list, tarn_status *out_status) {
    size_t bytes = 0;
    *out_status = TARN_OK;
    for (pooled *next; list != NULL; list = next) {
        next = list->next;
        bytes += list->capacity;
        tarn_status status = tarn_buffer_free(list->buffer, NULL);
        if (*out_status == TARN_OK) *out_status = status;
        base_free(list);
    }
    return bytes;
}

/* A pointer that the pool does not know may be a live buffer of its allocator. */
static tarn_status put_stranger(tarn_buffer_pool *pool, void *memory) {
    tarn_buffer *buffer;
    pooled *entry;
    tarn_status status = tarn_allocator_find(pool->allocator, memory, &buffer);
    if (status != TARN_OK) {
        return base_fail(TARN_INVALID_ARGUMENT, "%p is no buffer of the pool, nor a live one of %s", memory,
                         tarn_allocator_spec(pool->allocator));
    }
    size_t capacity = tarn_buffer_capacity(buffer);
    const memory_block *block = block_of(buffer);
    if (block == NULL || block->stream != 0 || capacity < (size_t)1 << LEAST_LOG2) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "the buffer at %p has %zu bytes: a pool takes those of the default stream, from 64 bytes on",
                         memory, capacity);
    }
    if (bucket_of(capacity) == UNPOOLED) return tarn_buffer_free(buffer, NULL);
    return adopt(pool, buffer, capacity, bucket_of(capacity), false, &entry);
}

tarn_status tarn_buffer_pool_put(tarn_buffer_pool *pool, void *memory) {
    if (pool == NULL) return refuse_null();
    biased_way way = biased_lock_enter(&pool->lock);
    pooled *entry = pointer_table_find(&pool->table, memory);
    bool is_out = entry != NULL && entry->is_out;
    bool is_pooled = is_out && entry->bucket != UNPOOLED;
    if (__builtin_expect(is_pooled, 1)) push(pool, entry);
    biased_lock_leave(&pool->lock, way);
    if (__builtin_expect(is_pooled, 1) || memory == NULL) return TARN_OK;
    if (entry == NULL) return put_stranger(pool, memory);
    if (!is_out) return base_fail(TARN_INVALID_ARGUMENT, "%p is in the pool already", memory);
    tarn_status status;
    way = biased_lock_take(&pool->lock);
    /* Unless another thread was first. */
    if (pointer_table_find(&pool->table, memory) == entry) forget(pool, entry);
    else entry = NULL;
    biased_lock_leave(&pool->lock, way);
    if (entry == NULL) return base_fail(TARN_INVALID_ARGUMENT, "%p was put back by another thread meanwhile", memory);
    entry->next = NULL;
    (void)free_all(entry, &status);
    return status;
}

tarn_status tarn_buffer_pool_put_aligned(tarn_buffer_pool *pool, void *memory, size_t alignment) {
    if (!is_power_of_two(alignment) || ((uintptr_t)memory & (alignment - 1)) != 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "%p is not aligned to %zu bytes", memory, alignment);
    }
    return tarn_buffer_pool_put(pool, memory);
}

tarn_status tarn_buffer_pool_clear(tarn_buffer_pool *pool) {
    if (pool == NULL) return refuse_null();
    pooled *unpooled = NULL;
    biased_way way = biased_lock_take(&pool->lock);
    for (size_t i = 0; i < pool->table.capacity; i++) {
        pooled *entry = pool->table.entries[i].key != 0 ? pool->table.entries[i].value : NULL;
        if (entry == NULL || !entry->is_out) continue;
        if (entry->bucket != UNPOOLED) {
            push(pool, entry);
        } else {
            entry->next = unpooled;
            unpooled = entry;
        }
    }
    for (const pooled *entry = unpooled; entry != NULL; entry = entry->next) forget(pool, entry);
    biased_lock_leave(&pool->lock, way);
    tarn_status status;
    (void)free_all(unpooled, &status);
    return status;
}

size_t tarn_buffer_pool_capacity(tarn_buffer_pool *pool, const void *memory) {
    if (pool == NULL) return 0;
    biased_way way = biased_lock_take(&pool->lock);
    const pooled *entry = pointer_table_find(&pool->table, memory);
    size_t capacity = entry != NULL && entry->is_out ? entry->capacity : 0;
    biased_lock_leave(&pool->lock, way);
    return capacity;
}

/* The pool itself. */

/* Takes the buffers that nobody uses out of the pool, until there are enough. */
static pooled *take_idle(tarn_buffer_pool *pool, size_t wanted) {
    pooled *taken = NULL;
    size_t bytes = 0;
    biased_way way = biased_lock_take(&pool->lock);
    for (unsigned bucket = BUCKETS; bucket-- > 0;) {
        while (pool->alignments[bucket] != 0 && bytes < wanted) {
            pooled *entry = pop(pool, bucket, (unsigned)__builtin_ctz(pool->alignments[bucket]));
            forget(pool, entry);
            entry->next = taken;
            taken = entry;
            bytes += entry->capacity;
        }
    }
    biased_lock_leave(&pool->lock, way);
    return taken;
}

static size_t give_back(void *context, size_t wanted) {
    tarn_status status;
    return free_all(take_idle(context, wanted), &status);
}

tarn_status tarn_buffer_pool_create(tarn_allocator *allocator, tarn_buffer_pool **out_pool) {
    if (allocator == NULL || out_pool == NULL) return refuse_null();
    tarn_status status = memory_check_host_access(allocator, "a buffer pool");
    if (status != TARN_OK) return status;
    tarn_buffer_pool *pool = base_allocate(1, sizeof *pool);
    bool has_lock = pool != NULL && biased_lock_begin(&pool->lock);
    if (!has_lock) {
        base_free(pool);
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a buffer pool");
    }
    status = tarn_allocator_add_reclaimer(allocator, give_back, pool);
    if (status != TARN_OK) {
        biased_lock_end(&pool->lock);
        base_free(pool);
        return status;
    }
    pool->allocator = tarn_allocator_retain(allocator);
    atomic_init(&pool->references, 1);
    *out_pool = pool;
    return TARN_OK;
}

tarn_buffer_pool *tarn_buffer_pool_retain(tarn_buffer_pool *pool) {
    if (pool != NULL) atomic_fetch_add_explicit(&pool->references, 1, memory_order_relaxed);
    return pool;
}

/* Frees the entries of buffers that are out, and reports them. */
static void report_left(tarn_buffer_pool *pool) {
    size_t count = 0, bytes = 0;
    char size[TARN_SIZE_TEXT];
    for (size_t i = 0; i < pool->table.capacity; i++) {
        if (pool->table.entries[i].key == 0) continue;
        pooled *entry = pool->table.entries[i].value;
        count++;
        bytes += entry->capacity;
        base_free(entry);
    }
    if (count == 0) return;
    base_log(TARN_LOG_WARNING, "a buffer pool on %s is released with %zu buffers of %s out",
             tarn_allocator_spec(pool->allocator), count, tarn_size_format(bytes, size));
}

tarn_status tarn_buffer_pool_release(tarn_buffer_pool *pool) {
    /* Release and acquire: what other threads did with the pool comes before its end. */
    if (pool == NULL || atomic_fetch_sub_explicit(&pool->references, 1, memory_order_acq_rel) > 1) return TARN_OK;
    tarn_status status, released;
    (void)tarn_allocator_remove_reclaimer(pool->allocator, give_back, pool);
    (void)free_all(take_idle(pool, SIZE_MAX), &status);
    report_left(pool);
    pointer_table_end(&pool->table);
    biased_lock_end(&pool->lock);
    released = tarn_allocator_release(pool->allocator);
    base_free(pool);
    return status != TARN_OK ? status : released;
}
