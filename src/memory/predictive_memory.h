/* Memory for predictive buffers: taking it from the cache or the device, letting it grow and shrink in place, and giving it
 * back. Called without the lock. */
#ifndef MEMORY_PREDICTIVE_MEMORY_H
#define MEMORY_PREDICTIVE_MEMORY_H

#include "memory/predictive_types.h"

/* What is wanted of a memory. All in bytes. */
typedef struct predictive_want {
    size_t needed; /* at least */
    size_t wanted; /* better */
    size_t most;   /* no more than that */
    size_t reach;  /* that it may be asked to grow to */
    size_t alignment;
    bool takes_less; /* has what is needed from the cache rather than what is wanted from the device */
    size_t credit;   /* of the limit, which will be free again: the capacity of what it replaces */
    tarn_stream *stream;
    tarn_allocator *outer; /* whose reclaimers are asked */
} predictive_want;

/* Takes a memory, which is the caller's alone, may be used on the stream at once and has its capacity promised. Where there is no more,
 * what is cached goes back to the device and reclaimers are called, unless `is_modest`. OUT_OF_MEMORY, LIMIT_EXCEEDED. */
tarn_status predictive_take(predictive *self, const predictive_want *want, bool is_modest,
                            predictive_memory **out_memory);
/* Lets a virtual memory that the caller has grow in place, to `wanted` bytes if possible and to `needed` at least, which its range
 * has room for. What it grows by is promised. */
tarn_status predictive_grow(predictive *self, predictive_memory *memory, const predictive_want *want);
/* Unmaps what lies behind the first `bytes` of a virtual memory, where no work is left, and gives the granules back. */
tarn_status predictive_shrink(predictive *self, predictive_memory *memory, size_t bytes);
/* Puts a memory into the cache. */
void predictive_put(predictive *self, predictive_memory *memory);
/* Gives everything in the cache back to the device, waiting for work that uses it. Adds the bytes that went back; the first failure. */
tarn_status predictive_give_back_cached(predictive *self, size_t *inout_bytes);
/* Frees what is in the cache on the host's side, when the device did not take it back. */
void predictive_abandon(predictive *self);

/* Adds to the bytes that live buffers have or will have, unless that passes the limit. `credit` of them will be free again. */
bool predictive_promise(predictive *self, size_t bytes, size_t credit);
void predictive_unpromise(predictive *self, size_t bytes);

/* The largest cached capacity. Must be called with the lock held. */
size_t predictive_largest_cached(const predictive *self);

#endif
