/* The table of notes. */
#include "memory/track_notes.h"

#include "base/memory.h"

_Static_assert((uint64_t)TRACK_PAGES *TRACK_CHUNKS *TRACK_NOTES == UINT64_C(1) << 32, "every descriptor has a place");

static uint32_t number_of(const memory_block *block) { return (uint32_t)(block - block_table); }

/* Of two threads that make the same piece, the second one takes the first one's. Acquire and release, for its contents. */
static track_page *page_of(track_notes *notes, uint32_t number) {
    _Atomic(track_page *) *place = &notes->pages[number / (TRACK_CHUNKS * TRACK_NOTES)];
    track_page *page = atomic_load_explicit(place, memory_order_acquire);
    if (page != NULL) return page;
    track_page *made = base_allocate(1, sizeof *made);
    if (made == NULL ||
        atomic_compare_exchange_strong_explicit(place, &page, made, memory_order_acq_rel, memory_order_acquire)) {
        return made;
    }
    base_free(made);
    return page;
}

static track_note *note_of(track_notes *notes, uint32_t number) {
    track_page *page = page_of(notes, number);
    if (page == NULL) return NULL;
    _Atomic(track_note *) *place = &page->chunks[number / TRACK_NOTES % TRACK_CHUNKS];
    track_note *chunk = atomic_load_explicit(place, memory_order_acquire);
    if (chunk == NULL) {
        track_note *made = base_allocate(TRACK_NOTES, sizeof *made);
        if (made == NULL) return NULL;
        if (atomic_compare_exchange_strong_explicit(place, &chunk, made, memory_order_acq_rel, memory_order_acquire)) {
            chunk = made;
        } else {
            base_free(made);
        }
    }
    return &chunk[number % TRACK_NOTES];
}

bool track_notes_add(track_notes *notes, const memory_block *block, track_site *site, size_t requested) {
    track_note *note = note_of(notes, number_of(block));
    if (note == NULL) return false;
    note->requested = requested;
    atomic_store_explicit(&note->capacity, block->capacity, memory_order_release);
    atomic_store_explicit(&note->site, site, memory_order_release);
    atomic_store_explicit(&note->address, (uintptr_t)block->address, memory_order_release);
    return true;
}

/* The note of a block that was noted before; NULL for another one. */
static track_note *known_note(track_notes *notes, uint32_t number) {
    track_page *page = atomic_load_explicit(&notes->pages[number / (TRACK_CHUNKS * TRACK_NOTES)], memory_order_acquire);
    if (page == NULL) return NULL;
    track_note *chunk = atomic_load_explicit(&page->chunks[number / TRACK_NOTES % TRACK_CHUNKS], memory_order_acquire);
    return chunk != NULL ? &chunk[number % TRACK_NOTES] : NULL;
}

track_site *track_notes_remove(track_notes *notes, const memory_block *block, size_t *out_requested) {
    track_note *note = known_note(notes, number_of(block));
    *out_requested = note->requested;
    atomic_store_explicit(&note->address, 0, memory_order_release);
    return atomic_load_explicit(&note->site, memory_order_relaxed);
}

/* Whether the address lies in the buffer of a note, which may change meanwhile: then it does not. */
static bool holds(track_note *note, uintptr_t address, track_site **out_site) {
    uintptr_t begin = atomic_load_explicit(&note->address, memory_order_acquire);
    if (begin == 0 || address < begin) return false;
    size_t capacity = atomic_load_explicit(&note->capacity, memory_order_acquire);
    track_site *site = atomic_load_explicit(&note->site, memory_order_acquire);
    if (address - begin >= capacity || atomic_load_explicit(&note->address, memory_order_relaxed) != begin)
        return false;
    *out_site = site;
    return true;
}

bool track_notes_at(track_notes *notes, const memory_block *block, track_site **out_site) {
    track_note *note = known_note(notes, number_of(block));
    return note != NULL && holds(note, (uintptr_t)block->address, out_site);
}

bool track_notes_find(track_notes *notes, uintptr_t address, track_site **out_site, memory_block **out_block) {
    for (size_t p = 0; p < TRACK_PAGES; p++) {
        track_page *page = atomic_load_explicit(&notes->pages[p], memory_order_acquire);
        for (size_t c = 0; page != NULL && c < TRACK_CHUNKS; c++) {
            track_note *chunk = atomic_load_explicit(&page->chunks[c], memory_order_acquire);
            for (size_t n = 0; chunk != NULL && n < TRACK_NOTES; n++) {
                if (!holds(&chunk[n], address, out_site)) continue;
                *out_block = &block_table[(p * TRACK_CHUNKS + c) * TRACK_NOTES + n];
                return true;
            }
        }
    }
    return false;
}

void track_notes_end(track_notes *notes) {
    for (size_t p = 0; p < TRACK_PAGES; p++) {
        track_page *page = atomic_load_explicit(&notes->pages[p], memory_order_relaxed);
        for (size_t c = 0; page != NULL && c < TRACK_CHUNKS; c++) {
            base_free(atomic_load_explicit(&page->chunks[c], memory_order_relaxed));
        }
        base_free(page);
    }
}
