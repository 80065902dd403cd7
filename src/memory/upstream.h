/* The element from which a pool, an arena or a planned allocator takes its memory in pieces: the one that stands after it in the text, or,
 * when it stands alone, one of its own. */
#ifndef MEMORY_UPSTREAM_H
#define MEMORY_UPSTREAM_H

#include "memory/direct_streams.h"
#include "memory/strategy.h"

/* `given`, or a new allocator of the kind `own` when that is NULL, which reads the arguments that are left. All other arguments have
 * been read; one that is left over is refused. */
tarn_status upstream_prepare(tarn_device *device, memory_arguments *arguments, tarn_allocator *given,
                             const memory_strategy *own, tarn_allocator **out_upstream);
/* Undoes that, for a creation that failed later. */
void upstream_undo(tarn_allocator *given, tarn_allocator *upstream);

/* Takes a piece for use on `stream`. No reclaimers are called. Without locks. */
tarn_status upstream_take(tarn_allocator *self, size_t size, size_t alignment, tarn_stream *stream,
                          memory_block **out_piece);
/* Whether it failed for want of memory, so that giving back what is cached may help. */
static inline bool upstream_is_short(tarn_status status) {
    return status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED;
}
/* Tells the element below that the streams of the list still use the piece, which it will wait for; waits here where it cannot be
 * told. The failure of such a wait. Without locks. */
tarn_status upstream_share(direct_streams *streams, memory_block *piece, const direct_use *uses);
/* The same for the stream that a strategy uses the piece for, where that is another than the one it was taken for. */
tarn_status upstream_share_stream(direct_streams *streams, memory_block *piece, uint32_t stream);
/* Gives a piece back. Without locks. */
tarn_status upstream_give(tarn_allocator *self, memory_block *piece);

/* What a strategy does for a request, step by step. */
typedef struct upstream_steps {
    /* A block from what it has; NULL, and OK, when it has no room. */
    tarn_status (*find)(tarn_allocator *self, const memory_request *request, size_t capacity, memory_block **out_block);
    /* Takes a piece with room for the request from the element below. */
    tarn_status (*grow)(tarn_allocator *self, const memory_request *request, size_t capacity);
    /* There is no more below: what is not used goes back, and reclaimers are asked; false when neither gives anything. */
    bool (*make_room)(tarn_allocator *self, const memory_request *request, size_t capacity);
} upstream_steps;
/* Takes these steps until one gives a block or none helps any more, which fails with the sentence of the element below. */
tarn_status upstream_serve(tarn_allocator *self, const upstream_steps *steps, const memory_request *request,
                           size_t capacity, memory_block **out_block);

/* Puts the strategy's figures before the sentence of a failure. `reserved` is what the element below holds. */
tarn_status upstream_explain(const tarn_allocator *self, tarn_status status, size_t asked, uint64_t in_use,
                             uint64_t held, uint64_t largest_free);

#endif
