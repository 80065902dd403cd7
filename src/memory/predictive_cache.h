/* The cache of a predictive allocator: memories that no buffer has, by their capacity. Called without the lock. */
#ifndef MEMORY_PREDICTIVE_CACHE_H
#define MEMORY_PREDICTIVE_CACHE_H

#include "memory/predictive_memory.h"

/* Takes out a memory that may be used on the stream at once: one that has what is wanted and little more, else, where less
 * will do, one that has what is needed, else a virtual one that can grow to it. NULL when there is none. Never waits. */
predictive_memory *predictive_cache_take(predictive *self, const predictive_want *want);
/* Takes everything out, and what could not be given back before: linked by `next`. */
predictive_memory *predictive_cache_take_all(predictive *self);

#endif
