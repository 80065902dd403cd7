/* Pools: allocators that keep what is freed, by size, and can take everything back between two batches.
 *
 * A pool is a stack of allocators whose strategy is `pool`, adaptors before it included: tarn_allocator_create(device,
 * "pool | caching", &allocator). Its memory comes in pieces from the element after it, or from the device where it stands last, and stays
 * with the pool until tarn_allocator_empty_cache, until an allocation would fail otherwise, or until the end.
 *
 * Sizes are rounded up to one of eight steps between two powers of two; from 256 KiB on, memory is taken as it is asked for, and serves
 * later requests of the same step that it is large enough for. Any thread; the one that uses a pool alone pays for no lock. */
#ifndef TARN_POOL_H
#define TARN_POOL_H

#include <tarn/allocator.h>

TARN_BEGIN_DECLARATIONS

/* Takes all buffers of the pool back that are live at this moment, and keeps their memory for later ones. Their handles become
 * stale and are refused from then on, whatever serves their memory later. Adaptors of the stack hear of each buffer as if it
 * had been freed on its own stream.
 *
 * Stream order holds as for a free: the memory may serve the buffer's own stream again at once; where other streams were
 * recorded, only after their work up to the call is known to be complete. The call waits for nobody. A buffer that another thread
 * frees or allocates at the same moment is either taken back here or not, and lost in neither case.
 *
 * INVALID_ARGUMENT: NULL; NOT_SUPPORTED: no pool; INVALID_STATE: inside a visit of its blocks. Any thread. */
TARN_API tarn_status tarn_pool_clear(tarn_allocator *allocator);

TARN_END_DECLARATIONS

#endif
