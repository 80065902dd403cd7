/* Pieces of memory, one for each buffer and each by a driver call of its own.
 *
 * A free cannot be refused. What the driver does not take back, or what must not go back yet because its streams can be neither waited
 * for nor asked, is kept aside and tried again: when memory is short, when the cache is emptied, at the end. */
#include "memory/direct_pieces.h"

#include <stdio.h>

#include <tarn/size.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"
#include "memory/fork.h"

static direct_piece *piece_of(base_range *range) { return (direct_piece *)(void *)range; }

static void destroy_piece(direct_piece *piece) {
    direct_uses_free(piece->uses);
    block_destroy(piece->block);
    base_free(piece);
}

/* Giving back. */

/* On failure the piece is still the caller's. */
static tarn_status give_back(direct_pieces *self, direct_piece *piece) {
    tarn_status status = self->source->give_back(self, piece);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&self->lock);
    if (!self->source->has_driver_figures) memory_figure_subtract(&self->reserved, piece->block->capacity);
    memory_figure_set(&self->cached, self->reserved.current - self->tally.in_use.current);
    pthread_mutex_unlock(&self->lock);
    destroy_piece(piece);
    return TARN_OK;
}

static void keep(direct_pieces *self, direct_piece *piece) {
    pthread_mutex_lock(&self->lock);
    piece->next_kept = self->kept;
    self->kept = piece;
    pthread_mutex_unlock(&self->lock);
}

tarn_status direct_pieces_retry(direct_pieces *self, size_t *inout_bytes) {
    tarn_status first = TARN_OK;
    pthread_mutex_lock(&self->lock);
    direct_piece *piece = self->kept;
    self->kept = NULL;
    pthread_mutex_unlock(&self->lock);
    while (piece != NULL) {
        direct_piece *next = piece->next_kept;
        size_t capacity = piece->block->capacity;
        tarn_status status = give_back(self, piece);
        if (status == TARN_OK) *inout_bytes += capacity;
        else keep(self, piece);
        if (first == TARN_OK) first = status;
        piece = next;
    }
    return first;
}

uint64_t direct_pieces_kept(const direct_pieces *self) {
    uint64_t bytes = 0;
    for (const direct_piece *piece = self->kept; piece != NULL; piece = piece->next_kept) bytes += piece->range.size;
    return bytes;
}

/* Allocating. */

static tarn_status create_piece(direct_pieces *self, const memory_request *request, direct_piece **out_piece) {
    direct_piece *piece = base_allocate(1, sizeof *piece);
    memory_block *block = piece != NULL ? block_create() : NULL;
    if (block != NULL) {
        piece->block = block;
        tarn_status status = direct_streams_use(&self->streams, request->stream, &piece->uses);
        if (status == TARN_OK) {
            *out_piece = piece;
            return TARN_OK;
        }
        block_destroy(block);
    }
    base_free(piece);
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe a buffer",
                     tarn_device_name(self->base.device));
}

/* Asks the driver; as long as it has no more, after what was kept aside and what reclaimers can spare. */
static tarn_status take_memory(direct_pieces *self, const memory_request *request, size_t capacity, direct_piece *piece,
                               void **out_address) {
    for (;;) {
        tarn_status status = self->source->obtain(self, request, capacity, piece, out_address);
        if (status != TARN_OUT_OF_MEMORY || piece->base != NULL) return status;
        size_t given = 0;
        char sentence[256];
        snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
        (void)direct_pieces_retry(self, &given);
        bool may_succeed = self->source->make_room != NULL && self->source->make_room(self);
        may_succeed = may_succeed || given > 0 || memory_reclaim(request->outer, capacity) > 0;
        /* What was tried meanwhile may have failed too; the driver's sentence is the one that counts. */
        if (!may_succeed) return base_fail(status, "%s", sentence);
        pthread_mutex_lock(&self->lock);
        self->tally.retries++;
        pthread_mutex_unlock(&self->lock);
    }
}

static tarn_status explain(direct_pieces *self, tarn_status status, const memory_request *request) {
    char asked[TARN_SIZE_TEXT], used[TARN_SIZE_TEXT], total[TARN_SIZE_TEXT];
    pthread_mutex_lock(&self->lock);
    self->tally.failed++;
    uint64_t in_use = self->tally.in_use.current, buffers = self->tally.blocks.current;
    pthread_mutex_unlock(&self->lock);
    if (status != TARN_OUT_OF_MEMORY) return status;
    return base_fail_within(status, "%s: %s asked, %s in use in %llu buffers of %s, the device has %s in all",
                            tarn_device_name(self->base.device), tarn_size_format(request->size, asked),
                            tarn_size_format(in_use, used), (unsigned long long)buffers,
                            self->base.spec != NULL ? self->base.spec : self->base.strategy->name,
                            tarn_size_format(hal_device_properties(self->base.device)->memory_total, total));
}

/* Ends a piece that was not handed out. */
static void drop(direct_pieces *self, direct_piece *piece) {
    if (piece->base == NULL) {
        destroy_piece(piece);
        return;
    }
    piece->range = (base_range){.start = (uintptr_t)piece->base, .size = piece->size};
    piece->block->address = piece->base;
    piece->block->capacity = piece->size;
    keep(self, piece);
}

/* Must be called with the lock held. */
static void count_allocation(direct_pieces *self, size_t size, size_t capacity) {
    memory_tally_allocate(&self->tally, size, capacity);
    if (!self->source->has_driver_figures) memory_figure_add(&self->reserved, capacity);
    else if (self->reserved.current < self->tally.in_use.current)
        memory_figure_set(&self->reserved, self->tally.in_use.current);
}

tarn_status direct_pieces_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    direct_pieces *self = direct_pieces_of(allocator);
    size_t capacity;
    if (!checked_round_up(request->size, hal_device_properties(allocator->device)->alignment, &capacity)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu bytes cannot be rounded up to the alignment", request->size);
    }
    direct_piece *piece;
    void *address;
    tarn_status status = create_piece(self, request, &piece);
    if (status == TARN_OK) {
        status = take_memory(self, request, capacity, piece, &address);
        if (status != TARN_OK) drop(self, piece);
    }
    if (status != TARN_OK) return explain(self, status, request);
    memory_block *block = piece->block;
    memory_block_fill(block, request, allocator);
    block->address = address;
    block->capacity = capacity;
    block->stream = hal_stream_number(request->stream);
    block->home = piece;
    piece->range.start = (uintptr_t)address;
    piece->range.size = capacity;
    pthread_mutex_lock(&self->lock);
    base_range_insert(&self->live, &piece->range);
    count_allocation(self, request->size, capacity);
    pthread_mutex_unlock(&self->lock);
    *out_block = block;
    return TARN_OK;
}

/* Freeing. */

tarn_status direct_pieces_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    direct_pieces *self = direct_pieces_of(allocator);
    direct_piece *piece = block->home;
    pthread_mutex_lock(&self->lock);
    base_range_remove(&self->live, piece->range.start);
    memory_tally_free(&self->tally, block->live.requested, block->capacity);
    memory_figure_set(&self->cached, self->reserved.current - self->tally.in_use.current);
    pthread_mutex_unlock(&self->lock);
    /* With no host memory to remember the stream, the whole device is waited for. */
    if (stream != NULL && direct_streams_use(&self->streams, stream, &piece->uses) != TARN_OK) {
        piece->has_unknown_use = true;
    }
    tarn_status status = give_back(self, piece);
    if (status == TARN_OK) return TARN_OK;
    /* Work that cannot be waited for yet is no failure of the free; a driver that refuses its memory is told of. */
    bool is_refused = piece->is_settled;
    keep(self, piece);
    return is_refused ? status : TARN_OK;
}

tarn_status direct_pieces_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    direct_piece *piece = block->home;
    return direct_streams_use(&direct_pieces_of(allocator)->streams, stream, &piece->uses);
}

/* Asking. */

tarn_status direct_pieces_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    direct_pieces *self = direct_pieces_of(allocator);
    out_stats->device_waits = direct_streams_waits(&self->streams);
    pthread_mutex_lock(&self->lock);
    memory_tally_fill(&self->tally, out_stats);
    out_stats->cached_bytes = self->cached;
    out_stats->reserved_bytes = self->reserved;
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

tarn_status direct_pieces_reset_peaks(tarn_allocator *allocator) {
    direct_pieces *self = direct_pieces_of(allocator);
    pthread_mutex_lock(&self->lock);
    memory_tally_reset_peaks(&self->tally);
    memory_figure_reset_peak(&self->cached);
    memory_figure_reset_peak(&self->reserved);
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

tarn_status direct_pieces_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                     void *context) {
    direct_pieces *self = direct_pieces_of(allocator);
    pthread_mutex_lock(&self->lock);
    bool is_stopped = false;
    /* Zero is no address of a block. */
    for (base_range *range = base_range_after(self->live, 0); range != NULL && !is_stopped;
         range = base_range_after(self->live, range->start)) {
        const memory_block *block = piece_of(range)->block;
        tarn_block_info info = {
            .struct_size = sizeof info,
            .address = range->start,
            .segment = range->start,
            .size = block->capacity,
            .requested = block->live.requested,
            .stream = block->stream,
            .state = TARN_BLOCK_IN_USE,
            .tag = block->live.tag,
        };
        is_stopped = visit(context, &info) != 0;
    }
    for (const direct_piece *piece = self->kept; piece != NULL && !is_stopped; piece = piece->next_kept) {
        tarn_block_info info = {
            .struct_size = sizeof info,
            .address = piece->range.start,
            .segment = piece->range.start,
            .size = piece->block->capacity,
            .stream = piece->block->stream,
            .state = TARN_BLOCK_PENDING,
        };
        is_stopped = visit(context, &info) != 0;
    }
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

tarn_status direct_pieces_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    direct_pieces *self = direct_pieces_of(allocator);
    pthread_mutex_lock(&self->lock);
    base_range *range = base_range_find(self->live, (uintptr_t)pointer);
    memory_block *block = range != NULL ? piece_of(range)->block : NULL;
    bool is_live = block != NULL && (atomic_load_explicit(&block->life, memory_order_acquire) & 1u) != 0;
    pthread_mutex_unlock(&self->lock);
    if (!is_live) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: no live buffer begins at %p", allocator->spec,
                         tarn_device_name(allocator->device), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

tarn_status direct_pieces_check(tarn_allocator *allocator) {
    direct_pieces *self = direct_pieces_of(allocator);
    uint64_t blocks = 0, bytes = 0, kept = 0;
    uintptr_t end = 0;
    bool is_apart = true;
    pthread_mutex_lock(&self->lock);
    for (base_range *range = base_range_after(self->live, 0); range != NULL;
         range = base_range_after(self->live, range->start)) {
        is_apart = is_apart && range->start >= end && piece_of(range)->block->home == piece_of(range);
        end = range->start + range->size;
        blocks++;
        bytes += range->size;
    }
    kept = direct_pieces_kept(self);
    tarn_figure in_use = self->tally.in_use, counted = self->tally.blocks, reserved = self->reserved;
    pthread_mutex_unlock(&self->lock);
    const char *name = allocator->spec;
    if (!is_apart) return base_fail(TARN_INTERNAL, "%s: buffers overlap", name);
    if (blocks != counted.current || bytes != in_use.current) {
        return base_fail(TARN_INTERNAL, "%s: %llu buffers of %llu bytes are there, %llu of %llu are counted", name,
                         (unsigned long long)blocks, (unsigned long long)bytes, (unsigned long long)counted.current,
                         (unsigned long long)in_use.current);
    }
    /* A free that is waiting has its bytes in neither. */
    if (bytes + kept > reserved.current) {
        return base_fail(TARN_INTERNAL, "%s: %llu bytes are there, %llu are counted", name,
                         (unsigned long long)(bytes + kept), (unsigned long long)reserved.current);
    }
    return TARN_OK;
}

/* The beginning and the end. */

tarn_status direct_pieces_begin(direct_pieces *self, const direct_source *source, tarn_device *device) {
    self->source = source;
    pthread_mutex_init(&self->lock, NULL);
    tarn_status status = direct_streams_begin(&self->streams, device);
    if (status == TARN_OK && !memory_fork_watch(&self->lock, false)) {
        direct_streams_end(&self->streams);
        status = base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for an allocator", tarn_device_name(device));
    }
    if (status != TARN_OK) pthread_mutex_destroy(&self->lock);
    return status;
}

void direct_pieces_end(direct_pieces *self) {
    size_t bytes = 0;
    tarn_status status = direct_pieces_retry(self, &bytes);
    if (status != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s: %llu bytes could not be given back: %s", tarn_device_name(self->base.device),
                 (unsigned long long)direct_pieces_kept(self), tarn_last_error());
    }
    while (self->kept != NULL) {
        direct_piece *piece = self->kept;
        self->kept = piece->next_kept;
        destroy_piece(piece);
    }
    direct_streams_end(&self->streams);
    memory_fork_forget(&self->lock);
    pthread_mutex_destroy(&self->lock);
}
