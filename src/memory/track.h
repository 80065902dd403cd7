/* track[:frames=N] as its two halves know it: track.c, which counts, and track_report.c, which tells. */
#ifndef MEMORY_TRACK_H
#define MEMORY_TRACK_H

#include "memory/strategy.h"
#include "memory/track_notes.h"
#include "memory/track_sites.h"

typedef struct track {
    tarn_allocator base;
    unsigned frames; /* callers kept for each site */
    atomic_uint_fast64_t failed;
    track_sites sites;
    track_notes notes;
} track;

static inline track *track_of(tarn_allocator *allocator) { return (track *)(void *)allocator; }

/* The site and the block of the live buffer that an address lies in, at once for its beginning; false where there is none. No
 * lock of the elements below is held. */
bool track_look(track *self, const void *pointer, track_site **out_site, memory_block **out_block);
/* Tells the log what still lives. */
void track_report_leaks(track *self);

#endif
