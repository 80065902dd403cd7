/* Notes of live buffers, one for each, found by the number of the block's descriptor.
 *
 * Numbers are small and used again, so the notes lie in a table of two levels whose pieces are made when they are first needed
 * and stay. A note belongs to whoever owns the block, so that writing one takes no lock and touches one cache line; looking
 * for an address goes through all of them. */
#ifndef MEMORY_TRACK_NOTES_H
#define MEMORY_TRACK_NOTES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory/block.h"
#include "memory/track_sites.h"

#define TRACK_PAGES 1024u  /* of the table */
#define TRACK_CHUNKS 1024u /* of a page */
#define TRACK_NOTES 4096u  /* of a chunk */

/* Written with release and read with acquire: who sees the address sees what belongs to it, and who sees what belongs to the
 * next buffer sees that the address has gone. */
typedef struct track_note {
    atomic_uintptr_t address; /* 0: nobody's */
    atomic_size_t capacity;
    _Atomic(track_site *) site;
    size_t requested; /* the owner's alone */
} track_note;

typedef struct track_page {
    _Atomic(track_note *) chunks[TRACK_CHUNKS];
} track_page;

typedef struct track_notes {
    _Atomic(track_page *) pages[TRACK_PAGES];
} track_notes;

/* Notes a buffer down. False when there is no host memory. */
bool track_notes_add(track_notes *notes, const memory_block *block, track_site *site, size_t requested);
/* Strikes the note of a buffer out; returns its site and what was asked for. */
track_site *track_notes_remove(track_notes *notes, const memory_block *block, size_t *out_requested);
/* The site of a buffer; false where none is noted for its block. */
bool track_notes_at(track_notes *notes, const memory_block *block, track_site **out_site);
/* The site and the block of the live buffer that an address lies in; false where there is none. */
bool track_notes_find(track_notes *notes, uintptr_t address, track_site **out_site, memory_block **out_block);
/* Frees the table. Nobody uses it any more. */
void track_notes_end(track_notes *notes);

#endif
