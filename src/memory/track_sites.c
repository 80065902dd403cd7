/* The table of sites. */
#include "memory/track_sites.h"

#include <string.h>

#include "base/checked.h"
#include "base/memory.h"

static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint64_t hash_of(const char *tag, const void *const *frames, unsigned frame_count) {
    uint64_t hash = frame_count;
    for (unsigned i = 0; i < frame_count; i++) hash = mix(hash, (uint64_t)(uintptr_t)frames[i]);
    for (const char *c = tag; c != NULL && *c != '\0'; c++) hash = mix(hash, (unsigned char)*c);
    return mix(hash, tag != NULL);
}

static bool is_same(const track_site *site, uint64_t hash, const char *tag, const void *const *frames,
                    unsigned frame_count) {
    if (site->hash != hash || site->frame_count != frame_count) return false;
    if (memcmp(site->frames, frames, frame_count * sizeof *frames) != 0) return false;
    if (site->tag == NULL || tag == NULL) return site->tag == tag;
    return strcmp(site->tag, tag) == 0;
}

static track_site *create(uint64_t hash, const char *tag, const void *const *frames, unsigned frame_count) {
    size_t length = tag != NULL ? strlen(tag) + 1 : 0, size;
    if (!checked_add(sizeof(track_site) + frame_count * sizeof *frames, length, &size)) return NULL;
    track_site *site = base_allocate(size, 1);
    if (site == NULL) return NULL;
    site->hash = hash;
    site->frame_count = frame_count;
    memcpy(site->frames, frames, frame_count * sizeof *frames);
    if (tag != NULL) site->tag = memcpy(&site->frames[frame_count], tag, length);
    return site;
}

/* Every buffer of a call site asks here, so the first look is the one that counts. */
track_site *track_sites_get(track_sites *sites, const char *tag, const void *const *frames, unsigned frame_count) {
    if (atomic_load_explicit(&sites->count, memory_order_relaxed) >= TRACK_MOST_SITES) {
        uint64_t known = hash_of(tag, frames, frame_count);
        track_site *site = atomic_load_explicit(&sites->buckets[known % TRACK_BUCKETS], memory_order_acquire);
        while (site != NULL && !is_same(site, known, tag, frames, frame_count)) site = site->next;
        if (site != NULL) return site;
        tag = NULL;
        frame_count = 0;
    }
    uint64_t hash = hash_of(tag, frames, frame_count);
    _Atomic(track_site *) *bucket = &sites->buckets[hash % TRACK_BUCKETS];
    /* Acquire: what the entry holds was written before it was linked in. */
    track_site *first = atomic_load_explicit(bucket, memory_order_acquire), *made = NULL;
    for (;;) {
        track_site *site = first;
        while (site != NULL && !is_same(site, hash, tag, frames, frame_count)) site = site->next;
        if (site != NULL) {
            base_free(made);
            return site;
        }
        if (made == NULL) made = create(hash, tag, frames, frame_count);
        if (made == NULL) return NULL;
        made->next = first;
        if (atomic_compare_exchange_strong_explicit(bucket, &first, made, memory_order_acq_rel, memory_order_acquire)) {
            atomic_fetch_add_explicit(&sites->count, 1, memory_order_relaxed);
            return made;
        }
    }
}

static void saturate(atomic_uint_fast64_t *figure, uint64_t amount) {
    uint_fast64_t old = atomic_load_explicit(figure, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(figure, &old, saturating_add(old, amount), memory_order_relaxed,
                                                  memory_order_relaxed)) {}
}

void track_site_add(track_site *site, size_t bytes) {
    atomic_fetch_add_explicit(&site->buffers, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&site->bytes, bytes, memory_order_relaxed);
    saturate(&site->total_buffers, 1);
    saturate(&site->total_bytes, bytes);
}

void track_site_subtract(track_site *site, size_t bytes) {
    atomic_fetch_sub_explicit(&site->buffers, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&site->bytes, bytes, memory_order_relaxed);
}

void track_sites_end(track_sites *sites) {
    for (size_t i = 0; i < TRACK_BUCKETS; i++) {
        track_site *site = atomic_load_explicit(&sites->buckets[i], memory_order_relaxed);
        while (site != NULL) {
            track_site *next = site->next;
            base_free(site);
            site = next;
        }
    }
}
