/* Asking a planned allocator for its blocks. */
#ifndef MEMORY_PLANNED_QUERY_H
#define MEMORY_PLANNED_QUERY_H

#include "memory/strategy.h"

tarn_status planned_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *), void *context);
/* Goes through the plan's entries: it takes time that grows with them. */
tarn_status planned_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block);
tarn_status planned_check(tarn_allocator *allocator);

#endif
