/* Giving cached memory back, in PyTorch's three ways. Called with the allocator's lock held, which is released while streams are
 * waited for; only idle memory goes. */
#ifndef MEMORY_PYTORCH_RELEASE_H
#define MEMORY_PYTORCH_RELEASE_H

#include "memory/pytorch_pending.h"

/* Garbage collection: when more is reserved than the threshold's part of the limit, large segments that were not used for the
 * longest are given back. */
void pytorch_collect(pytorch *owner);

/* Gives back as many cached blocks that are too large to be split as a request of `size` bytes needs; false when that is not
 * enough, or no size is too large. */
bool pytorch_release_oversize(pytorch_pool *pool, size_t size);

/* Everything: waits for all pending blocks, then gives back whole segments and the whole pages of expandable ones. The
 * first failure; what it did not concern has gone. */
tarn_status pytorch_release_all(pytorch *owner);

#endif
