/* Buffer pools: host memory by plain pointers, kept by size between uses.
 *
 * A pool stands on any allocator whose memory the host can read and write. It keeps what is put into it in 21 buckets: bucket i has
 * buffers of 64 * 2^i bytes up to one byte less than twice that, the last one 64 MiB up to 128 MiB. Larger ones are not pooled.
 * A request is rounded up to a power of two, so that each buffer of its bucket is large enough.
 *
 * The pool remembers every pointer that is its own: foreign pointers, interior ones, and ones put back before are refused and never
 * followed. A pointer has no generation: one that was put back and handed out again since cannot be told from the new one.
 *
 * When the allocator runs out, the pool's buffers that nobody uses go back to it. All functions may be called from any thread; the
 * one that uses a pool alone pays for no lock. */
#ifndef TARN_BUFFER_POOL_H
#define TARN_BUFFER_POOL_H

#include <tarn/allocator.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_buffer_pool tarn_buffer_pool;

#define TARN_BUFFER_POOL_BUCKETS 21

/* Creates an empty pool. Caller owns one reference; the pool keeps the allocator alive. NOT_SUPPORTED: memory that the host cannot read;
 * OUT_OF_MEMORY. */
TARN_API tarn_status tarn_buffer_pool_create(tarn_allocator *allocator, tarn_buffer_pool **out_pool);
TARN_API tarn_buffer_pool *tarn_buffer_pool_retain(tarn_buffer_pool *pool);
/* The last reference frees what is in the pool. Buffers still out are reported to the log (count, bytes); they stay live buffers of the
 * allocator, to be found by tarn_allocator_find. NULL is allowed. */
TARN_API tarn_status tarn_buffer_pool_release(tarn_buffer_pool *pool);

/* Hands out a buffer of at least `size` bytes, which the caller puts back. NULL, which is no failure, when the pool has none; also for
 * size 0 and above 128 MiB. */
TARN_API void *tarn_buffer_pool_get(tarn_buffer_pool *pool, size_t size);
/* The same, aligned to `alignment` bytes, a power of two; NULL for any other number too. */
TARN_API void *tarn_buffer_pool_get_aligned(tarn_buffer_pool *pool, size_t size, size_t alignment);
/* The same, and where the pool has none a new one of the allocator. INVALID_ARGUMENT for size 0, and what tarn_allocator_allocate
 * answers. */
TARN_API tarn_status tarn_buffer_pool_get_or_alloc(tarn_buffer_pool *pool, size_t size, void **out_memory);

/* Gives a buffer back: one that the pool handed out, or a live buffer of its allocator, on the default stream and of at least 64 bytes,
 * which becomes the pool's and is never freed by its handle. INVALID_ARGUMENT, nothing changed: any other pointer, one that is in the
 * pool already. NULL is allowed. What is not pooled is freed. */
TARN_API tarn_status tarn_buffer_pool_put(tarn_buffer_pool *pool, void *memory);
/* The same for a buffer that is known to be aligned so: INVALID_ARGUMENT when it is not. Every buffer is found again by the alignment
 * that its address has, so that this is a check. */
TARN_API tarn_status tarn_buffer_pool_put_aligned(tarn_buffer_pool *pool, void *memory, size_t alignment);

/* Takes all buffers back that are out; what is not pooled is freed. Nobody may use them any more. INVALID_ARGUMENT for NULL. */
TARN_API tarn_status tarn_buffer_pool_clear(tarn_buffer_pool *pool);

/* Bytes that may be used of a buffer that is out; 0 for any other pointer. */
TARN_API size_t tarn_buffer_pool_capacity(tarn_buffer_pool *pool, const void *memory);

TARN_END_DECLARATIONS

#endif
