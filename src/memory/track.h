/* track[:frames=N] as its two halves know it: track.c, which counts, and track_report.c, which tells. */
#ifndef MEMORY_TRACK_H
#define MEMORY_TRACK_H

#include <pthread.h>

#include "base/range_map.h"
#include "memory/strategy.h"
#include "memory/track_sites.h"

#define TRACK_SHARDS 16u

/* A live buffer. */
typedef struct track_note {
    base_range range; /* its addresses */
    memory_block *block;
    track_site *site;
    size_t requested; /* bytes */
} track_note;

/* The buffers whose addresses hash here. */
typedef struct track_shard {
    pthread_mutex_t lock; /* protects the notes; nothing is called with it held */
    base_range *notes;
    char apart[64]; /* no cache line is shared with the next */
} track_shard;

typedef struct track {
    tarn_allocator base;
    unsigned frames; /* callers kept for each site */
    atomic_uint_fast64_t failed;
    atomic_size_t live; /* buffers; relaxed */
    track_sites sites;
    track_shard shards[TRACK_SHARDS];
} track;

static inline track *track_of(tarn_allocator *allocator) { return (track *)(void *)allocator; }

/* The site and the block of the live buffer that an address lies in; false where there is none. */
bool track_look(track *self, uintptr_t address, track_site **out_site, memory_block **out_block);
/* Tells the log what still lives. */
void track_report_leaks(track *self);

#endif
