/* What a heap remembers of where requests of each size went when no FREE block would do: so that in the next round of a
 * program that repeats itself the same request goes to the same place, where everything is mapped already. Called with the
 * allocator's lock held. */
#ifndef MEMORY_CACHING_MEMORY_H
#define MEMORY_CACHING_MEMORY_H

#include "memory/caching_types.h"

/* The first remembered spot for that size that caching_back can make FREE without a driver call. */
bool caching_recall(caching_heap *heap, size_t size, caching_spot *out_spot);
/* Remembers a spot, behind those that are known for the size. Without host memory it is forgotten. */
void caching_remember(caching_heap *heap, size_t size, caching_spot spot);
/* Forgets everything: segments have ended. */
void caching_forget(caching_heap *heap);

#endif
