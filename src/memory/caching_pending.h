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

/* Forgets the ones that could not be waited for; their blocks stay USED. For the allocator's end. */
void caching_pending_abandon(caching *owner);

/* Waits until all that was freed so far is idle, and gives blocks home that waited for other streams: for all streams at once, and for none
 * whose work is known to have ended. The lock is open meanwhile. What a wait that failed leaves in use stays so; such a failure is returned. Not
 * with growth stopped. */
tarn_status caching_settle_everything(caching *owner);
/* The same for what is free now and of use to others once it is idle, but for what is in that heap. */
tarn_status caching_settle_useful(caching *owner, const caching_heap *except);

#endif
