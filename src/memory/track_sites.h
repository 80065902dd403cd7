/* The sites that track knows: a tag together with callers, one entry for all buffers that were asked for there.
 *
 * Entries are found by hash, added with one compare-and-swap, and stay as long as the table: no lock. */
#ifndef MEMORY_TRACK_SITES_H
#define MEMORY_TRACK_SITES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/call_site.h"

#define TRACK_BUCKETS 1024u /* a power of two */
/* What would be one more is counted under one site without tag and callers, so that tags made up at run time cannot fill the
 * host's memory. */
#define TRACK_MOST_SITES 65536u

typedef struct track_site {
    struct track_site *next; /* in its bucket */
    uint64_t hash;
    const char *tag; /* a copy, behind the frames; NULL: none */
    unsigned frame_count;
    /* Relaxed: they order nothing. */
    atomic_uint_fast64_t buffers, bytes, total_buffers, total_bytes;
    const void *frames[];
} track_site;

typedef struct track_sites {
    _Atomic(track_site *) buckets[TRACK_BUCKETS];
    atomic_uint count;
} track_sites;

/* The entry, made when it is not there; NULL when there is no host memory. Any thread. */
track_site *track_sites_get(track_sites *sites, const char *tag, const void *const *frames, unsigned frame_count);
/* Counts a buffer in or out. */
void track_site_add(track_site *site, size_t bytes);
void track_site_subtract(track_site *site, size_t bytes);
/* Frees all entries. Nobody uses the table any more. */
void track_sites_end(track_sites *sites);

#endif
