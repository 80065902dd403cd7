/* Expandable segments: addresses that are mapped page by page, as far as blocks reach. Called with the allocator's lock held. */
#ifndef MEMORY_PYTORCH_EXPANDABLE_H
#define MEMORY_PYTORCH_EXPANDABLE_H

#include "memory/pytorch_blocks.h"

/* A FREE block of at least `size` bytes, not shown: the first run of free and unmapped addresses of the pool that is long
 * enough, mapped where memory is missing. OUT_OF_MEMORY: what could be mapped stays cached. */
tarn_status pytorch_expand(pytorch_pool *pool, size_t size, memory_block **out_block);

/* Unmaps the whole pages of a shown FREE block and gives their memory back; and the addresses too when nothing else of
 * the segment is mapped. A page whose memory the driver does not take is a stray, for pytorch_release_strays; when it does
 * not unmap, nothing has changed. The block may be gone afterwards. */
tarn_status pytorch_unmap(memory_block *block);
/* Tries strays once more; the first failure. */
tarn_status pytorch_release_strays(pytorch *owner);

/* Bytes of memory that a segment holds. */
size_t pytorch_segment_memory(const pytorch_segment *segment);

#endif
