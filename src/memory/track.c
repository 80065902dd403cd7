/* track[:frames=N] remembers for each live buffer where it was asked for.
 *
 * What is dear in that is not done while memory is handed out: the caller's address comes with the request, addresses get
 * their names when somebody reads them, and each site has one entry that all its buffers count in. What is left is a note
 * for each live buffer, at a place of its own. Nothing here takes a lock. */
#include "memory/track.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"
#include "memory/adaptors.h"

/* The buffer lives no longer. */
static void strike_out(track *self, const memory_block *block) {
    size_t requested;
    track_site *site = track_notes_remove(&self->notes, block, &requested);
    track_site_subtract(site, requested);
}

bool track_look(track *self, const void *pointer, track_site **out_site, memory_block **out_block) {
    if (memory_find_from(self->base.upstream, pointer, out_block) == TARN_OK &&
        track_notes_at(&self->notes, *out_block, out_site)) {
        return true;
    }
    return track_notes_find(&self->notes, (uintptr_t)pointer, out_site, out_block);
}

static tarn_status refuse(track *self) {
    atomic_fetch_add_explicit(&self->failed, 1, memory_order_relaxed);
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to remember where a buffer was asked for",
                     tarn_device_name(self->base.device));
}

static tarn_status track_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    track *self = track_of(allocator);
    const void *frames[BASE_CALL_FRAMES];
    unsigned count = base_call_capture(request->site, self->frames, frames);
    track_site *site = track_sites_get(&self->sites, request->tag, frames, count);
    if (site == NULL) return refuse(self);
    memory_block *block;
    tarn_status status = memory_allocate(allocator->upstream, request, &block);
    if (status != TARN_OK) return status;
    if (!track_notes_add(&self->notes, block, site, request->size)) {
        memory_free(allocator->upstream, block, request->stream);
        return refuse(self);
    }
    track_site_add(site, request->size);
    *out_block = block;
    return TARN_OK;
}

static tarn_status track_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    strike_out(track_of(allocator), block);
    return memory_free(allocator->upstream, block, stream);
}

static void track_forget(tarn_allocator *allocator, memory_block *block) { strike_out(track_of(allocator), block); }

static tarn_status track_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    tarn_status status = memory_stats_below(allocator, out_stats);
    uint64_t failed = atomic_load_explicit(&track_of(allocator)->failed, memory_order_relaxed);
    out_stats->failed_allocations = saturating_add(out_stats->failed_allocations, failed);
    return status;
}

static tarn_status track_containing(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    track_site *site;
    if (track_look(track_of(allocator), pointer, &site, out_block)) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: %p lies in no live buffer", allocator->spec,
                     tarn_device_name(allocator->device), pointer);
}

static tarn_status track_conclude(tarn_allocator *allocator) {
    track_report_leaks(track_of(allocator));
    return TARN_OK;
}

static void track_destroy(tarn_allocator *allocator) {
    track *self = track_of(allocator);
    track_notes_end(&self->notes);
    track_sites_end(&self->sites);
    memory_allocator_end(allocator);
}

static tarn_status track_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                tarn_allocator **out_allocator) {
    uint64_t frames = 1;
    tarn_status status = memory_argument_number(arguments, "frames", &frames);
    if (status == TARN_OK && (frames == 0 || frames > BASE_CALL_FRAMES)) {
        status = memory_argument_refuse(arguments, "frames", "a number from 1 to 16");
    }
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    track *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "track: no host memory for an allocator");
    self->frames = (unsigned)frames;
    memory_allocator_begin(&self->base, &track_adaptor, device, upstream);
    *out_allocator = &self->base;
    return TARN_OK;
}

const memory_strategy track_adaptor = {
    .name = "track",
    .is_adaptor = true,
    .has_places = true,
    .create = track_create,
    .destroy = track_destroy,
    .allocate = track_allocate,
    .free = track_free,
    .stats = track_stats,
    .forget = track_forget,
    .conclude = track_conclude,
    .containing = track_containing,
};
