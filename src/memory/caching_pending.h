/* Blocks that were freed while other streams still use them. */
#ifndef MEMORY_CACHING_PENDING_H
#define MEMORY_CACHING_PENDING_H

#include "memory/caching_types.h"

/* In memory_block.flags of a USED block. */
enum { CACHING_IS_PENDING = 2u };

/* Remembers that `stream` uses a live block. OUT_OF_MEMORY. The lock is held. */
tarn_status caching_use(caching *owner, memory_block *block, tarn_stream *stream);

/* Takes over a freed block that other streams use, `last` being one more when it is not the block's own. When there is no
 * host memory to remember `last` by, waits for it with the lock released. The lock is held. */
void caching_pending_add(caching *owner, memory_block *block, tarn_stream *last);

/* Gives blocks that the other streams are done with to their heaps, and returns whether there were any. When they are `is_wanted`, an
 * event is recorded for those that none under way answers for. What cannot be asked stays. The lock is held, and open for a moment. */
bool caching_pending_poll(caching *owner, bool is_wanted);
/* Waits for all of them, with the lock released meanwhile. Those that cannot be waited for stay; returns why. */
tarn_status caching_pending_wait(caching *owner);

/* Forgets the ones that could not be waited for; their blocks stay USED. For the allocator's end. */
void caching_pending_abandon(caching *owner);

/* Waits until all that was freed to the heap so far is idle, with the lock released meanwhile. */
tarn_status caching_heap_wait(caching_heap *heap);

#endif
