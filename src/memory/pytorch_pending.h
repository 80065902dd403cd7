/* Blocks that other streams use, and waiting for streams. Called with the allocator's lock held; no lock is held while the device is
 * waited for. */
#ifndef MEMORY_PYTORCH_PENDING_H
#define MEMORY_PYTORCH_PENDING_H

#include "memory/pytorch_blocks.h"

/* A use for a block that is about to become live. NULL when there is no host memory. */
pytorch_use *pytorch_use_take(pytorch *owner);
void pytorch_use_put(pytorch *owner, pytorch_use *use);

/* Remembers that `stream` uses a live block. OUT_OF_MEMORY. */
tarn_status pytorch_use_add(pytorch *owner, memory_block *block, tarn_stream *stream);

/* Takes over a block whose life has ended: it is FREE at once, or PENDING until the other streams are done with it, one of which
 * is `last`, unless NULL. */
void pytorch_part(pytorch *owner, memory_block *block, tarn_stream *last);

/* Frees the blocks whose events are complete. Of each stream only the first one that is not is asked for. */
void pytorch_poll(pytorch *owner);
/* The stream is done with everything. */
void pytorch_poll_ended(pytorch *owner, uint32_t stream);
/* Waits for all pending blocks. What cannot be waited for stays; returns why. */
tarn_status pytorch_pending_wait(pytorch *owner);
/* Forgets pending uses; their blocks stay PENDING. For the allocator's end. */
void pytorch_pending_abandon(pytorch *owner);
void pytorch_uses_end(pytorch *owner);

/* Waits until what was freed on the stream so far is idle. */
tarn_status pytorch_stream_wait(pytorch_stream *stream);

/* Whether the stream's work is known to be done with a FREE block. */
static inline bool pytorch_is_idle(const memory_block *block) {
    const pytorch_stream *stream = pytorch_stream_of(block);
    return stream->stream == NULL || block->resting.freed_at <= stream->settled;
}

#endif
