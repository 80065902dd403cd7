/* What track tells: all sites with what lives of them, as a table, as text, and to the log when the stack is released. */
#include <tarn/track.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/size.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "memory/adaptors.h"
#include "memory/stack.h"
#include "memory/track.h"

/* A site's text: its callers, a tag and some words. */
#define SITE_TEXT (BASE_CALL_FRAMES * BASE_CALL_TEXT + 512)

static tarn_track_site picture_of(const track_site *site) {
    return (tarn_track_site){
        .struct_size = sizeof(tarn_track_site),
        .tag = site->tag,
        .frames = site->frames,
        .frame_count = site->frame_count,
        .buffers = atomic_load_explicit(&site->buffers, memory_order_relaxed),
        .bytes = atomic_load_explicit(&site->bytes, memory_order_relaxed),
        .total_buffers = atomic_load_explicit(&site->total_buffers, memory_order_relaxed),
        .total_bytes = atomic_load_explicit(&site->total_bytes, memory_order_relaxed),
    };
}

/* What holds most comes first; then what has most buffers, then by tag, so that a report is the same each time. */
static int compare(const void *left, const void *right) {
    const tarn_track_site *a = left, *b = right;
    if (a->bytes != b->bytes) return a->bytes > b->bytes ? -1 : 1;
    if (a->buffers != b->buffers) return a->buffers > b->buffers ? -1 : 1;
    return strcmp(a->tag != NULL ? a->tag : "", b->tag != NULL ? b->tag : "");
}

/* The sites with live buffers, to be freed by the caller. Sites come and go meanwhile: one that is new since the count is
 * left out. */
static tarn_status collect(track *self, tarn_track_site **out_sites, size_t *out_count) {
    size_t room = atomic_load_explicit(&self->sites.count, memory_order_relaxed), count = 0;
    tarn_track_site *sites = base_allocate(room + 1, sizeof *sites);
    if (sites == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a report of %zu sites", self->base.spec, room);
    }
    for (size_t i = 0; i < TRACK_BUCKETS; i++) {
        const track_site *site = atomic_load_explicit(&self->sites.buckets[i], memory_order_acquire);
        for (; site != NULL && count < room; site = site->next) {
            sites[count] = picture_of(site);
            if (sites[count].buffers > 0) count++;
        }
    }
    qsort(sites, count, sizeof *sites, compare);
    *out_sites = sites;
    *out_count = count;
    return TARN_OK;
}

static size_t describe(const tarn_track_site *site, char *out_text, size_t capacity) {
    char size[TARN_SIZE_TEXT], callers[BASE_CALL_FRAMES * BASE_CALL_TEXT];
    unsigned frames = site->frame_count < BASE_CALL_FRAMES ? (unsigned)site->frame_count : BASE_CALL_FRAMES;
    base_call_describe(site->frames, frames, callers, sizeof callers);
    bool has_tag = site->tag != NULL && site->tag[0] != '\0';
    int length =
        snprintf(out_text, capacity, "%llu buffer%s of %s, %s%s%s, asked for at %s", (unsigned long long)site->buffers,
                 site->buffers == 1 ? "" : "s", tarn_size_format(site->bytes, size), has_tag ? "tag \"" : "no tag",
                 has_tag ? site->tag : "", has_tag ? "\"" : "", callers);
    return length > 0 ? (size_t)length : 0;
}

static bool has_live(track *self) {
    for (size_t i = 0; i < TRACK_BUCKETS; i++) {
        const track_site *site = atomic_load_explicit(&self->sites.buckets[i], memory_order_acquire);
        for (; site != NULL; site = site->next)
            if (atomic_load_explicit(&site->buffers, memory_order_relaxed) > 0) return true;
    }
    return false;
}

void track_report_leaks(track *self) {
    tarn_track_site *sites;
    size_t count;
    if (!base_log_wants(TARN_LOG_WARNING) || !has_live(self)) return;
    if (collect(self, &sites, &count) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s on %s: what was not freed cannot be told: %s", self->base.spec,
                 memory_device_name(&self->base), tarn_last_error());
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char text[SITE_TEXT];
        describe(&sites[i], text, sizeof text);
        base_log(TARN_LOG_WARNING, "%s on %s: not freed: %s", self->base.spec, memory_device_name(&self->base), text);
    }
    base_free(sites);
}

/* The highest `track` of the stack. */
static tarn_status find_track(tarn_allocator *allocator, track **out_track) {
    if (allocator == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the allocator to ask who holds memory is NULL");
    tarn_allocator *element = allocator;
    while (element != NULL && element->strategy != &track_adaptor) element = element->upstream;
    if (element == NULL) {
        return base_fail(TARN_NOT_SUPPORTED, "%s on %s has no track", allocator->spec, memory_device_name(allocator));
    }
    *out_track = track_of(element);
    return TARN_OK;
}

tarn_status tarn_track_each_site(tarn_allocator *allocator, int (*visit)(void *context, const tarn_track_site *site),
                                 void *context) {
    track *self;
    tarn_track_site *sites;
    size_t count;
    tarn_status status = find_track(allocator, &self);
    if (status != TARN_OK) return status;
    if (visit == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the function to call for each site is NULL");
    status = collect(self, &sites, &count);
    if (status != TARN_OK) return status;
    size_t i = 0;
    while (i < count && visit(context, &sites[i]) == 0) i++;
    base_free(sites);
    return TARN_OK;
}

size_t tarn_track_site_to_string(const tarn_track_site *site, char *out_text, size_t capacity) {
    if (capacity > 0) out_text[0] = '\0';
    return site != NULL ? describe(site, out_text, capacity) : 0;
}

size_t tarn_track_report(tarn_allocator *allocator, char *out_text, size_t capacity) {
    track *self;
    tarn_track_site *sites;
    size_t count, length = 0;
    if (capacity > 0) out_text[0] = '\0';
    if (find_track(allocator, &self) != TARN_OK || collect(self, &sites, &count) != TARN_OK) return 0;
    for (size_t i = 0; i < count; i++) {
        char text[SITE_TEXT];
        describe(&sites[i], text, sizeof text);
        size_t used = length < capacity ? length : capacity;
        int added = snprintf(used < capacity ? out_text + used : NULL, capacity - used, "%s\n", text);
        length += added > 0 ? (size_t)added : 0;
    }
    base_free(sites);
    return length;
}

tarn_status tarn_track_find(tarn_allocator *allocator, const void *pointer, tarn_track_place *out_place) {
    track *self;
    memory_block *block, *tracked;
    track_site *site;
    tarn_status status = find_track(allocator, &self);
    if (status == TARN_OK) status = memory_check_callback(allocator, "find a buffer");
    if (status != TARN_OK) return status;
    if (pointer == NULL || out_place == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the pointer or the place for its buffer is NULL",
                         allocator->spec, memory_device_name(allocator));
    }
    /* An adaptor above track may hand out another block than track knows: the highest that can tell has the caller's. */
    status = memory_containing_from(allocator, pointer, &block);
    if (status != TARN_OK) return status;
    if (!track_look(self, pointer, &site, &tracked)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: %p lies in no live buffer", allocator->spec,
                         memory_device_name(allocator), pointer);
    }
    tarn_track_place place = {
        .struct_size = sizeof place,
        .buffer = block_handle(block),
        .offset = (const char *)pointer - (const char *)block->address,
        .site = picture_of(site),
    };
    return base_fill_structure(out_place, &place, sizeof place, "tarn_track_place");
}
