/* What the strategies share that ask the driver for each buffer by itself (`direct`, `cuda_async`): the pieces that the driver
 * gave, by address, the tally, and what was freed and could not be given back yet.
 *
 * A strategy's structure begins with direct_pieces and says in a direct_source how it comes by memory; its table has the
 * functions below. Nothing is kept here that could be handed out again: that is the driver's business. */
#ifndef MEMORY_DIRECT_PIECES_H
#define MEMORY_DIRECT_PIECES_H

#include <pthread.h>

#include "base/range_map.h"
#include "memory/direct_streams.h"
#include "memory/stats.h"
#include "memory/strategy.h"

/* What one driver call gave. */
typedef struct direct_piece {
    base_range range; /* of the buffer; in `live` while that is; the first member: a range is cast back to its piece */
    memory_block *block;
    void *base;           /* as the driver has it: where the buffer begins, or before that */
    size_t size;          /* bytes from base on */
    direct_use *uses;     /* the streams it is used on: the one it was allocated for, and those recorded */
    bool has_unknown_use; /* by a stream that is not among them */
    bool is_settled;      /* freed, and nothing is left to be done before the driver may have it back */
    struct direct_piece *next_kept;
} direct_piece;

typedef struct direct_pieces direct_pieces;

/* How a strategy comes by memory. All are called without locks. */
typedef struct direct_source {
    /* Asks the driver for `capacity` bytes: sets the piece's base and size, and where the buffer begins. A failure that sets them leaves memory
     * that the driver would not take back: it is kept aside. */
    tarn_status (*obtain)(direct_pieces *self, const memory_request *request, size_t capacity, direct_piece *piece,
                          void **out_address);
    /* Hands the memory of a freed piece back to the driver. On failure it is still there, to be tried again; is_settled then says that
     * it was the driver who refused it. */
    tarn_status (*give_back)(direct_pieces *self, direct_piece *piece);
    /* (optional) There is no more memory: whether it may be worth asking again after this. */
    bool (*make_room)(direct_pieces *self);
    /* `reserved` is what the driver says, as it was last asked; else it is what the pieces have. */
    bool has_driver_figures;
} direct_source;

struct direct_pieces {
    tarn_allocator base;
    const direct_source *source;
    direct_streams streams;

    pthread_mutex_t lock; /* protects what follows; never held while the driver is called */
    base_range *live;
    direct_piece *kept; /* freed, and still to be given back */
    memory_tally tally;
    tarn_figure cached, reserved;
};

static inline direct_pieces *direct_pieces_of(tarn_allocator *allocator) { return (direct_pieces *)(void *)allocator; }

/* For `create`: OUT_OF_MEMORY, with nothing to be undone. The common members of the allocator are begun by the caller, after this. */
tarn_status direct_pieces_begin(direct_pieces *self, const direct_source *source, tarn_device *device);
/* Tries to give back what was kept, logs what stays, and forgets it. No live buffers are left. */
void direct_pieces_end(direct_pieces *self);
/* Tries all pieces once more that were kept aside. Adds what went back to `inout_bytes`; the first failure. Without locks. */
tarn_status direct_pieces_retry(direct_pieces *self, size_t *inout_bytes);
/* Bytes of the pieces that are kept aside. Must be called with the lock held. */
uint64_t direct_pieces_kept(const direct_pieces *self);

/* For the strategy's table. */
tarn_status direct_pieces_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block);
tarn_status direct_pieces_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream);
tarn_status direct_pieces_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream);
tarn_status direct_pieces_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats);
tarn_status direct_pieces_reset_peaks(tarn_allocator *allocator);
tarn_status direct_pieces_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                     void *context);
tarn_status direct_pieces_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
tarn_status direct_pieces_check(tarn_allocator *allocator);

#endif
