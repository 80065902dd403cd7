/* Heaps: the blocks that tile a heap's segments. Splitting, merging, and moving granules of address space between FREE and
 * HOLLOW, each in constant time for each granule touched. Nothing here calls the driver. All of it is called with the
 * allocator's lock held. */
#ifndef MEMORY_CACHING_HEAP_H
#define MEMORY_CACHING_HEAP_H

#include "memory/caching_types.h"

/* The three parts of a FREE block, in bytes, bytes and granules. A block that covers no whole granule is all `left`. */
typedef struct caching_parts {
    size_t left, right, whole;
} caching_parts;
caching_parts caching_parts_of(const caching *owner, const memory_block *block);

/* Sees to it that `count` descriptors are at hand, so that what follows cannot fail half way. OUT_OF_MEMORY. */
tarn_status caching_spares_reserve(caching *owner, size_t count);
/* Gives back all but a few. */
void caching_spares_trim(caching *owner);
/* Lays `count` spares, which are at hand, aside for a thread that opens the lock; and puts what was laid aside back. */
memory_block *caching_spares_lay_aside(caching *owner, size_t count);
void caching_spares_put_back(caching *owner, memory_block *spares);

/* Makes one block of that kind over all of a segment whose size is set, a spare being at hand; or takes all blocks off it. */
void caching_tile(caching_segment *segment, void *address, uint32_t kind);
void caching_untile(caching_segment *segment);

/* The block that covers that offset. */
memory_block *caching_block_at(caching_segment *segment, size_t offset);

/* Takes [offset, offset + size) out of one FREE block and returns it as USED. Two spares are at hand. */
memory_block *caching_take(caching *owner, memory_block *block, size_t offset, size_t size);
/* Makes a USED block FREE and merges it with FREE neighbours. */
void caching_give(caching *owner, memory_block *block);

/* Makes one USED block of [begin, end), in which no block is USED, so that nobody finds it while its memory is on the way; what is
 * mapped there may change. Or makes such a block FREE again, when all of its granules are at home. Two spares are at hand. */
memory_block *caching_book(caching *owner, caching_segment *segment, size_t begin, size_t end);
void caching_unbook(caching *owner, memory_block *block);

/* Makes `count` granules from `first` on, inside one HOLLOW block, FREE; or, inside the whole part of one FREE block,
 * HOLLOW. Two spares are at hand. What is mapped there is the caller's business. */
void caching_make_free(caching *owner, caching_segment *segment, size_t first, size_t count);
void caching_make_hollow(caching *owner, caching_segment *segment, size_t first, size_t count);

/* Takes a FREE block out of the indexes, or puts it in: for as long as searches must not find it. */
void caching_hide(caching *owner, memory_block *block);
void caching_show(caching *owner, memory_block *block);

#endif
