/* An index of free blocks by the size of one of their parts: constant time to add and to take out, and a search that looks at
 * one or two bins. */
#ifndef MEMORY_CACHING_INDEX_H
#define MEMORY_CACHING_INDEX_H

#include "memory/caching_types.h"

/* The bin of a value from 1 on: exact below 16, eight bins to the doubling above. */
static inline unsigned caching_index_bin(uint64_t value) {
    if (value < 8) return (unsigned)value;
    unsigned log2 = 63u - (unsigned)__builtin_clzll(value);
    return (log2 - 2) * 8 + (unsigned)(value >> (log2 - 3) & 7);
}

/* The first bin from `bin` on that has blocks; CACHING_INDEX_BINS when there is none. */
static inline unsigned caching_index_next(const caching_index *index, unsigned bin) {
    if (bin >= CACHING_INDEX_BINS) return CACHING_INDEX_BINS;
    unsigned word = bin / 64;
    uint64_t bits = index->bitmap[word] & (~UINT64_C(0) << bin % 64);
    while (bits == 0) {
        if (++word == CACHING_INDEX_BINS / 64) return CACHING_INDEX_BINS;
        bits = index->bitmap[word];
    }
    return word * 64 + (unsigned)__builtin_ctzll(bits);
}

/* The last bin that has blocks; CACHING_INDEX_BINS when all are empty. */
static inline unsigned caching_index_last(const caching_index *index) {
    for (unsigned word = CACHING_INDEX_BINS / 64; word-- > 0;) {
        if (index->bitmap[word] != 0) return word * 64 + 63u - (unsigned)__builtin_clzll(index->bitmap[word]);
    }
    return CACHING_INDEX_BINS;
}

static inline void caching_index_add(caching_index *index, memory_block *block, uint64_t value) {
    unsigned bin = caching_index_bin(value);
    memory_block *head = index->bins[bin];
    memory_link *link = &block->idle.lists[index->list];
    link->previous = NULL;
    link->next = head;
    if (head != NULL) head->idle.lists[index->list].previous = block;
    index->bins[bin] = block;
    index->bitmap[bin / 64] |= UINT64_C(1) << bin % 64;
}

static inline void caching_index_remove(caching_index *index, memory_block *block, uint64_t value) {
    unsigned bin = caching_index_bin(value);
    memory_link *link = &block->idle.lists[index->list];
    if (link->next != NULL) link->next->idle.lists[index->list].previous = link->previous;
    if (link->previous != NULL) {
        link->previous->idle.lists[index->list].next = link->next;
    } else {
        index->bins[bin] = link->next;
        if (link->next == NULL) index->bitmap[bin / 64] &= ~(UINT64_C(1) << bin % 64);
    }
}

#endif
