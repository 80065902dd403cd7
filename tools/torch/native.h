/* What an allocator of PyTorch's own kind can do and a plug-in cannot: figures under PyTorch's names, a history, checkpoints of pools, memory
 * between processes. It is for the shim, and for tests, which need no PyTorch for it. All functions may be called from any thread. */
#ifndef TORCH_NATIVE_H
#define TORCH_NATIVE_H

#include "torch/torch.h"

TARN_BEGIN_DECLARATIONS

/* Figures. */

/* In PyTorch's order. `small` are requests of up to 1 MiB and segments of up to 2 MiB, `large` the others. */
typedef enum tarn_torch_sizes {
    TARN_TORCH_ALL = 0,
    TARN_TORCH_SMALL,
    TARN_TORCH_LARGE,
    TARN_TORCH_SIZES
} tarn_torch_sizes;

typedef enum tarn_torch_figure_name {
    TARN_TORCH_ALLOCATION = 0,
    TARN_TORCH_SEGMENT,
    TARN_TORCH_ACTIVE,
    TARN_TORCH_INACTIVE_SPLIT,
    TARN_TORCH_ALLOCATED_BYTES,
    TARN_TORCH_RESERVED_BYTES,
    TARN_TORCH_ACTIVE_BYTES,
    TARN_TORCH_INACTIVE_SPLIT_BYTES,
    TARN_TORCH_REQUESTED_BYTES,
    TARN_TORCH_FIGURES
} tarn_torch_figure_name;

typedef struct tarn_torch_figure {
    int64_t current, peak, allocated, freed;
} tarn_torch_figure;

/* Of a device with its pools. Allocations are counted as they come and go; segments after each call that made the driver give or take
 * memory, by what Tarn shows of them then; active and split blocks when they are asked for. */
typedef struct tarn_torch_stats {
    tarn_torch_figure figures[TARN_TORCH_FIGURES][TARN_TORCH_SIZES];
    int64_t retries;       /* times the cache was emptied because the device had no more */
    int64_t failures;      /* requests that failed */
    int64_t device_waits;  /* times the host waited for the device */
    int64_t driver_allocs; /* these two: calls, pages of virtual memory included */
    int64_t driver_frees;
} tarn_torch_stats;

/* Fills the figures of a device that is open; zeros for another. OUT_OF_MEMORY, of the host. */
TARN_API tarn_status tarn_torch_stats_get(int device, tarn_torch_stats *out_stats);
/* Sets the peaks to what is now. */
TARN_API void tarn_torch_reset_peaks(int device);
/* Sets to 0 what was ever allocated, freed, retried or refused. */
TARN_API void tarn_torch_reset_totals(int device);
/* Counts a request that the caller gives up. */
TARN_API void tarn_torch_count_failure(int device);

/* Blocks. */

typedef struct tarn_torch_block {
    uint64_t address, size, requested; /* bytes; requested is 0 unless it is in use */
    uint64_t segment;                  /* what its segment is known by */
    void *stream;                      /* PyTorch's */
    tarn_torch_pool_id pool;           /* (0, 0): none */
    tarn_block_state state;            /* PENDING too where the free waits for the end of a capture */
    int is_expandable;                 /* its segment has addresses without memory */
} tarn_torch_block;

/* The mapped blocks of a device and its pools, by address. The caller frees the array with tarn_torch_blocks_free. What the allocators
 * answer; OUT_OF_MEMORY, of the host. */
TARN_API tarn_status tarn_torch_blocks_get(int device, tarn_torch_block **out_blocks, size_t *out_count);
TARN_API void tarn_torch_blocks_free(tarn_torch_block *blocks);

/* History. */

/* In PyTorch's order, as far as they come from here. */
typedef enum tarn_torch_action {
    TARN_TORCH_ALLOC = 0,
    TARN_TORCH_FREE_REQUESTED,
    TARN_TORCH_FREE_COMPLETED, /* it is back with Tarn, which may wait for a stream yet */
    TARN_TORCH_SEGMENT_ALLOC,
    TARN_TORCH_SEGMENT_FREE,
    TARN_TORCH_SEGMENT_MAP,
    TARN_TORCH_SEGMENT_UNMAP
} tarn_torch_action;

typedef struct tarn_torch_event {
    tarn_torch_action action;
    int device;
    uint64_t address, size; /* of alloc and free: as requested */
    void *stream;           /* PyTorch's */
    tarn_torch_pool_id pool;
} tarn_torch_event;

/* Calls the watcher for each event from now on, on the thread that caused it, without locks of the plug-in's: once for the process, before
 * anything is allocated. It may ask, and must not allocate or free. */
TARN_API void tarn_torch_watch(void (*watcher)(void *context, const tarn_torch_event *event), void *context);

/* Addresses that are asked for, and checkpoints. */

/* Memory at an address where the pool that requests on `stream` go to, or else the device's allocator, has had some before: as
 * tarn_allocate_options.address says. */
TARN_API tarn_status tarn_torch_allocate_at(size_t size, int device, void *stream, void *address);

/* What was alive in a pool. */
typedef struct tarn_torch_checkpoint tarn_torch_checkpoint;
/* NOT_FOUND: no such pool; OUT_OF_MEMORY. The caller destroys it. */
TARN_API tarn_status tarn_torch_checkpoint_take(int device, tarn_torch_pool_id id,
                                                tarn_torch_checkpoint **out_checkpoint);
TARN_API void tarn_torch_checkpoint_destroy(tarn_torch_checkpoint *checkpoint);

typedef struct tarn_torch_live {
    void *pointer;
    size_t size; /* bytes as requested */
    void *stream;
} tarn_torch_live;

/* What a restoring did. The same address may be in both. */
typedef struct tarn_torch_restored {
    tarn_torch_live *freed, *created;
    size_t freed_count, created_count;
} tarn_torch_restored;

/* Frees what is alive in the pool and brings back what was alive at the checkpoint, at the same addresses. The caller gives the lists back with
 * tarn_torch_restored_end, after a failure as well. NOT_FOUND: no such pool; INVALID_STATE: a pool of the device is being
 * allocated to; BUSY: other streams use memory of the pool; INVALID_STATE, too: the pool has given
 * back memory that was alive at the checkpoint; OUT_OF_MEMORY, of the host. The lists say what was done until then, and after each failure the
 * same call can be made again. */
TARN_API tarn_status tarn_torch_checkpoint_restore(const tarn_torch_checkpoint *checkpoint,
                                                   tarn_torch_restored *out_restored);
TARN_API void tarn_torch_restored_end(tarn_torch_restored *restored);

/* Pools. */

/* The pool's free memory serves requests of others that would fail otherwise. NOT_FOUND. */
TARN_API tarn_status tarn_torch_use_on_failure(int device, tarn_torch_pool_id id, int is_used);
/* Blocks of the pool are not split. NOT_FOUND; INVALID_STATE when something was allocated in it already. */
TARN_API tarn_status tarn_torch_pool_no_split(int device, tarn_torch_pool_id id);
/* Gives back what a pool has cached that nobody uses any more. Graphs may use that of any other: then nothing happens. */
TARN_API void tarn_torch_empty_pool(int device, tarn_torch_pool_id id);

/* Memory between processes. */

/* Bytes that a handle has at most. */
#define TARN_TORCH_HANDLE_SIZE 256

/* Writes a handle, of up to TARN_TORCH_HANDLE_SIZE bytes, by which another process of this user opens the memory at `pointer`, as long as it is
 * not freed here, and how many bytes the pointer lies behind what that opens. By Tarn's own way (tarn/interprocess.h) where the memory is of
 * the kind `shared`, else by CUDA's handles where it is of cuMemAlloc, for which the thread has a context.
 * INVALID_ARGUMENT: no live address; NOT_SUPPORTED: memory of another kind, with what to use instead. */
TARN_API tarn_status tarn_torch_share(const void *pointer, void *out_handle, size_t *out_size, uint64_t *out_offset);
/* Opens it on a device of this process. INVALID_ARGUMENT: no such handle; NOT_FOUND: the other process has gone, or may not
 * be asked; else what Tarn or the driver answers. */
TARN_API tarn_status tarn_torch_open_shared(int device, const void *handle, size_t size, void **out_pointer);
/* Closes what was opened, as often as it was. The memory stays the other process's. */
TARN_API void tarn_torch_close_shared(void *pointer);

TARN_END_DECLARATIONS

#endif
