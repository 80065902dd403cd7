/* Blocks, the segments that they tile, and the streams whose pools hold them. Everything is called with the allocator's lock
 * held. */
#ifndef MEMORY_PYTORCH_BLOCKS_H
#define MEMORY_PYTORCH_BLOCKS_H

#include "memory/pytorch_types.h"

/* The stream of that number, or NULL. */
pytorch_stream *pytorch_stream_find(const pytorch *owner, uint32_t number);
/* The same; when it is not there, one that has ended is given to it, or it is made. OUT_OF_MEMORY. */
tarn_status pytorch_stream_get(pytorch *owner, tarn_stream *stream, pytorch_stream **out_stream);
/* Forgets streams that have ended and hold nothing. */
void pytorch_streams_sweep(pytorch *owner);

/* The blocks beside it in its segment, or NULL. */
memory_block *pytorch_next(const memory_block *block);
memory_block *pytorch_previous(const memory_block *block);

/* Puts a FREE or UNMAPPED block where it can be found, and takes it out. */
void pytorch_show(memory_block *block);
void pytorch_hide(memory_block *block);
/* Cuts a block that is not shown; it keeps the first `size` bytes, and the rest is returned, of the same kind and not shown.
 * NULL when there is no host memory. */
memory_block *pytorch_cut(memory_block *block, size_t size);
/* Joins a FREE or UNMAPPED block that is not shown with neighbours of its kind, and returns the result, not shown. */
memory_block *pytorch_join(memory_block *block);
/* A USED or PENDING block becomes FREE. */
void pytorch_give(memory_block *block);

/* Sums that change together. */
void pytorch_count_reserved(pytorch *owner, size_t bytes);
void pytorch_count_unreserved(pytorch *owner, size_t bytes);

/* A segment as one block of `kind`, which is not shown. Takes over `pages` and `granules`, on success. OUT_OF_MEMORY. */
tarn_status pytorch_segment_create(pytorch_pool *pool, size_t size, pytorch_segment **out_segment,
                                   memory_block **out_block);
/* Puts what was created where the driver says that it lies. */
void pytorch_segment_begin(pytorch_segment *segment, memory_block *block, void *address, uint32_t kind);
/* Undoes pytorch_segment_create before it begins. */
void pytorch_segment_discard(pytorch_segment *segment, memory_block *block);
/* Forgets a segment whose only block is not shown. */
void pytorch_segment_end(pytorch_segment *segment, memory_block *block);

/* A new plain segment as one FREE block, not shown. What the driver answers; OUT_OF_MEMORY. */
tarn_status pytorch_segment_allocate(pytorch_pool *pool, size_t size, memory_block **out_block);
/* Gives a shown block's plain segment back, which it is all of. When the driver refuses, nothing has changed. */
tarn_status pytorch_segment_free(memory_block *block);

#endif
