/* libtarn-torch.so: Tarn as PyTorch's allocator of CUDA memory, for torch.cuda.memory.CUDAPluggableAllocator.
 *
 * tarn_torch_malloc and tarn_torch_free are named when the allocator is made; the rest are hooks that are set by address.
 * `tarn.torch.install()` of the Python package does all of that. PyTorch's device number N is Tarn's device "cuda:N", opened when it is first
 * asked for. Its streams are adopted when they first come along, and remembered. All functions may be called from any
 * thread. Read once, from the environment:
 *
 *   TARN_TORCH_ALLOCATOR   the stack of allocators on each device (tarn/allocator.h); else a `caching` behind a `limit` of all the
 *                          memory that the device has, which a memory fraction lowers
 *   TARN_TORCH_DEVICE      the device's name, where {} stands for the number; "cuda:{}". A name without {} is number 0's alone. On cpu and sim,
 *                          for tests, a stream of the device stands for each stream that PyTorch could name
 *   TARN_TORCH_ON_FAILURE  what becomes of an allocation that fails: "null" (the default) or "abort". PyTorch does not look at the address
 *                          that a plug-in answers, so that NULL is found by whatever kernel touches it first; but a MemPool for which
 *                          the plug-in serves segments does, and tries again. Either way the reason is printed to stderr
 *                          first. The shim (tools/torch/shim.cpp) raises torch.OutOfMemoryError instead
 *
 * Pools. While allocations go to a pool, as in a capture of PyTorch's, what the pool's filter lets in comes from an allocator of the
 * pool's own, whose memory nobody else gets and which keeps it until the pool is released as often as it was begun. Tarn asks and tells the
 * driver nothing there that would end a capture: a buffer that other streams use too is freed when no pool is being allocated to any more. */
#ifndef TORCH_TORCH_H
#define TORCH_TORCH_H

#include <tarn/tarn.h>

TARN_BEGIN_DECLARATIONS

/* PyTorch's MempoolId_t, a pair of numbers. */
typedef struct tarn_torch_pool_id {
    uint64_t first, second;
} tarn_torch_pool_id;

/* Memory of that device for use on `stream`, a cudaStream_t; NULL for 0 bytes, and when it fails. */
TARN_API void *tarn_torch_malloc(size_t size, int device, void *stream);
/* Gives it back; `stream` is where it was used last. NULL is allowed; an address that is not its own is told of on stderr. */
TARN_API void tarn_torch_free(void *pointer, size_t size, int device, void *stream);

/* Hooks. */

TARN_API void tarn_torch_init(int device_count);
/* Gives cached memory of all devices back (torch.cuda.empty_cache). */
TARN_API void tarn_torch_reset(void);
/* At most this part of the device's memory in use from now on; above 0, at most 1. A stack from TARN_TORCH_ALLOCATOR needs a `limit` in it
 * for that. */
TARN_API void tarn_torch_memory_fraction(double fraction, int device);
/* The address where the segment begins that holds the pointer, and its size; NULL for a pointer that is not its own. */
TARN_API void *tarn_torch_base_allocation(void *pointer, size_t *out_size);
/* The memory is used on that stream too. */
TARN_API void tarn_torch_record_stream(void *pointer, void *stream);
/* From now on allocations on the streams that `filter` accepts come from the pool, until the end. Called under a lock of the device's:
 * it must not call the plug-in. `drop(context)` is called when the filter is needed no more; it may be NULL. */
TARN_API void tarn_torch_begin_allocate_to_pool_with(int device, tarn_torch_pool_id id,
                                                     int (*filter)(void *context, void *stream),
                                                     void (*drop)(void *context), void *context);
TARN_API void tarn_torch_end_allocate_to_pool(int device, tarn_torch_pool_id id);
TARN_API void tarn_torch_release_pool(int device, tarn_torch_pool_id id);

/* Makes a pool, or counts one user more, without anything being allocated to it: undone by a release. */
TARN_API tarn_status tarn_torch_create_pool(int device, tarn_torch_pool_id id);
/* Times a pool was begun or made and not released. */
TARN_API unsigned tarn_torch_pool_users(int device, tarn_torch_pool_id id);

/* For those who ask beside PyTorch. */

/* Why the last of these that failed did so, on this thread. */
TARN_API const char *tarn_torch_last_error(void);
/* The stack of a device, opened if need be; borrowed, for as long as the process lives. NULL when that fails. */
TARN_API tarn_allocator *tarn_torch_allocator(int device);
/* The allocator of a pool, or NULL; borrowed: until the pool is released. */
TARN_API tarn_allocator *tarn_torch_pool_allocator(int device, tarn_torch_pool_id id);
/* Tarn's stream for a stream of PyTorch's on a device that is open; borrowed. NULL when that fails. */
TARN_API tarn_stream *tarn_torch_stream(int device, void *stream);
/* As tarn_torch_malloc, with a status for an answer, and nothing printed. */
TARN_API tarn_status tarn_torch_allocate(size_t size, int device, void *stream, void **out_pointer);

TARN_END_DECLARATIONS

#endif
