/* Handles of predictive buffers: what is asked for, how much room it gets, and what is learnt and counted of its use. */
#ifndef MEMORY_PREDICTIVE_HANDLES_H
#define MEMORY_PREDICTIVE_HANDLES_H

#include "memory/predictive_memory.h"

/* Creates the handle of a request, with its block, which is not live, and without memory. */
tarn_status predictive_handle_create(predictive *self, const memory_request *request, predictive_handle **out_handle);
void predictive_handle_destroy(predictive_handle *handle);

/* What the padding strategy answers. All are called with the lock held. */

/* Bytes that the handle should have for a shape of `needed` bytes, rounded up to what the device gives. */
size_t predictive_required(predictive *self, const predictive_handle *handle, size_t needed);
/* Whether a handle that has room for `needed` bytes should have another capacity. */
bool predictive_should_resize(predictive *self, const predictive_handle *handle, size_t needed);

/* How far a memory of `wanted` bytes may be asked to grow in place. */
size_t predictive_reach(const predictive *self, const predictive_handle *handle, size_t wanted);

/* Both are called with the lock held. */

/* Gives the memory, which nobody has, to the handle. */
void predictive_attach(predictive *self, predictive_handle *handle, predictive_memory *memory);
/* Takes it away again: it is the caller's. */
predictive_memory *predictive_detach(predictive *self, predictive_handle *handle);

/* Remembers and learns that the buffer has been used with `bytes`, and adds to the sums of uses. Called with the lock held. */
void predictive_note_use(predictive *self, predictive_handle *handle, size_t bytes, bool is_learnt);

#endif
