/* track[:frames=N] remembers for each live buffer where it was asked for.
 *
 * What is dear in that is not done while memory is handed out: the caller's address comes with the request, addresses get
 * their names when somebody reads them, and each site has one entry that all its buffers count in. What is left is a note
 * for each live buffer, kept by address in one of several maps, so that threads seldom meet. */
#include "memory/track.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"
#include "memory/adaptors.h"
#include "memory/fork.h"

static track_shard *shard_of(track *self, uintptr_t address) {
    return &self->shards[(uint64_t)address * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (TRACK_SHARDS - 1)];
}

static track_note *note_of(base_range *range) { return (track_note *)(void *)range; }

static void insert(track *self, track_note *note) {
    track_shard *shard = shard_of(self, note->range.start);
    pthread_mutex_lock(&shard->lock);
    base_range_insert(&shard->notes, &note->range);
    pthread_mutex_unlock(&shard->lock);
}

/* The buffer lives no longer. */
static void strike_out(track *self, const memory_block *block) {
    track_shard *shard = shard_of(self, (uintptr_t)block->address);
    pthread_mutex_lock(&shard->lock);
    track_note *note = note_of(base_range_remove(&shard->notes, (uintptr_t)block->address));
    pthread_mutex_unlock(&shard->lock);
    track_site_subtract(note->site, note->requested);
    atomic_fetch_sub_explicit(&self->live, 1, memory_order_relaxed);
    base_free(note);
}

bool track_look(track *self, uintptr_t address, track_site **out_site, memory_block **out_block) {
    bool is_found = false;
    for (size_t i = 0; i < TRACK_SHARDS && !is_found; i++) {
        track_shard *shard = &self->shards[i];
        pthread_mutex_lock(&shard->lock);
        base_range *range = base_range_containing(shard->notes, address);
        is_found = range != NULL;
        if (is_found) {
            *out_site = note_of(range)->site;
            *out_block = note_of(range)->block;
        }
        pthread_mutex_unlock(&shard->lock);
    }
    return is_found;
}

static tarn_status track_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    track *self = track_of(allocator);
    const void *frames[BASE_CALL_FRAMES];
    unsigned count = base_call_capture(request->site, self->frames, frames);
    track_site *site = track_sites_get(&self->sites, request->tag, frames, count);
    track_note *note = site != NULL ? base_allocate(1, sizeof *note) : NULL;
    if (note == NULL) {
        atomic_fetch_add_explicit(&self->failed, 1, memory_order_relaxed);
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to remember where a buffer was asked for",
                         tarn_device_name(allocator->device));
    }
    memory_block *block;
    tarn_status status = memory_allocate(allocator->upstream, request, &block);
    if (status != TARN_OK) {
        base_free(note);
        return status;
    }
    note->range.start = (uintptr_t)block->address;
    note->range.size = block->capacity;
    note->block = block;
    note->site = site;
    note->requested = request->size;
    insert(self, note);
    track_site_add(site, request->size);
    atomic_fetch_add_explicit(&self->live, 1, memory_order_relaxed);
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
    if (track_look(track_of(allocator), (uintptr_t)pointer, &site, out_block)) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: %p lies in no live buffer", allocator->spec,
                     tarn_device_name(allocator->device), pointer);
}

static tarn_status track_conclude(tarn_allocator *allocator) {
    track_report_leaks(track_of(allocator));
    return TARN_OK;
}

/* Ends the first `count` shards; no buffer is live. */
static void end_shards(track *self, size_t count) {
    for (size_t i = 0; i < count; i++) {
        memory_fork_forget(&self->shards[i].lock);
        pthread_mutex_destroy(&self->shards[i].lock);
    }
}

static void track_destroy(tarn_allocator *allocator) {
    track *self = track_of(allocator);
    end_shards(self, TRACK_SHARDS);
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
    for (size_t i = 0; i < TRACK_SHARDS; i++) {
        pthread_mutex_init(&self->shards[i].lock, NULL);
        if (memory_fork_watch(&self->shards[i].lock, false)) continue;
        end_shards(self, i + 1);
        base_free(self);
        return base_fail(TARN_OUT_OF_MEMORY, "track: no host memory for an allocator");
    }
    memory_allocator_begin(&self->base, &track_adaptor, device, upstream);
    *out_allocator = &self->base;
    return TARN_OK;
}

const memory_strategy track_adaptor = {
    .name = "track",
    .is_adaptor = true,
    .create = track_create,
    .destroy = track_destroy,
    .allocate = track_allocate,
    .free = track_free,
    .stats = track_stats,
    .forget = track_forget,
    .conclude = track_conclude,
    .containing = track_containing,
};
