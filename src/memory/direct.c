/* direct: each request is one driver call, and so is each free.
 *
 * Nothing is kept, so nothing can be handed out too early, except to the driver: before memory goes back, the work of the
 * streams that use it must have finished. Such a free waits, with no lock held. Where even waiting fails, or the driver does
 * not take the memory back, it is kept aside and tried again later; the free itself has succeeded. */
#include "memory/direct.h"

#include <stdio.h>

#include <tarn/size.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/range_map.h"
#include "base/status.h"
#include "hal/memory.h"
#include "memory/direct_streams.h"
#include "memory/fork.h"
#include "memory/stats.h"

/* What one driver call gave. */
typedef struct direct_piece {
    base_range range; /* in `live` while the buffer is */
    memory_block *block;
    direct_use *uses;     /* the streams to wait for: the one it was allocated for, and those recorded */
    bool has_unknown_use; /* by a stream that is not among them */
    bool is_idle;         /* they have been waited for */
    struct direct_piece *next_kept;
} direct_piece;

typedef struct direct {
    tarn_allocator base;
    tarn_memory_kind kind;
    direct_streams streams;

    pthread_mutex_t lock; /* protects what follows; never held while the driver is called */
    base_range *live;
    direct_piece *kept; /* freed, and still to be given back */
    memory_tally tally;
    tarn_figure cached, reserved;
} direct;

static direct *direct_of(tarn_allocator *allocator) { return (direct *)(void *)allocator; }
static direct_piece *piece_of(base_range *range) { return (direct_piece *)(void *)range; }

static void destroy_piece(direct_piece *piece) {
    direct_uses_free(piece->uses);
    block_destroy(piece->block);
    base_free(piece);
}

/* Giving back. */

static tarn_status wait_for_uses(direct *self, const direct_piece *piece) {
    if (!piece->has_unknown_use) return direct_streams_wait(&self->streams, piece->uses);
    tarn_status status = tarn_device_synchronize(self->base.device);
    return status == TARN_DEVICE_LOST || status == TARN_UNAVAILABLE ? TARN_OK : status;
}

/* Waits for the piece's streams and hands the memory to the driver. On failure the piece is as it was. Without locks. */
static tarn_status give_back(direct *self, direct_piece *piece) {
    if (!piece->is_idle) {
        tarn_status status = wait_for_uses(self, piece);
        if (status != TARN_OK) return status;
        piece->is_idle = true;
    }
    tarn_status status = hal_memory_free(self->base.device, self->kind, piece->block->address, piece->block->capacity);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&self->lock);
    memory_figure_subtract(&self->reserved, piece->block->capacity);
    memory_figure_set(&self->cached, self->reserved.current - self->tally.in_use.current);
    pthread_mutex_unlock(&self->lock);
    destroy_piece(piece);
    return TARN_OK;
}

static void keep(direct *self, direct_piece *piece) {
    pthread_mutex_lock(&self->lock);
    piece->next_kept = self->kept;
    self->kept = piece;
    pthread_mutex_unlock(&self->lock);
}

/* Tries all pieces once more that were kept aside. Sets `out_bytes` to what went back; the first failure. */
static tarn_status give_back_kept(direct *self, size_t *out_bytes) {
    tarn_status first = TARN_OK;
    pthread_mutex_lock(&self->lock);
    direct_piece *piece = self->kept;
    self->kept = NULL;
    pthread_mutex_unlock(&self->lock);
    while (piece != NULL) {
        direct_piece *next = piece->next_kept;
        size_t capacity = piece->block->capacity;
        tarn_status status = give_back(self, piece);
        if (status == TARN_OK) *out_bytes += capacity;
        else keep(self, piece);
        if (first == TARN_OK) first = status;
        piece = next;
    }
    return first;
}

/* Allocating. */

static tarn_status create_piece(direct *self, const memory_request *request, direct_piece **out_piece) {
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
static tarn_status take_memory(direct *self, const memory_request *request, size_t capacity, void **out_address) {
    for (;;) {
        tarn_status status =
            hal_memory_allocate(self->base.device, self->kind, capacity, request->alignment, out_address);
        if (status != TARN_OUT_OF_MEMORY) return status;
        size_t given = 0;
        char sentence[256];
        snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
        (void)give_back_kept(self, &given);
        if (given == 0) given = memory_reclaim(request->outer, capacity);
        /* What was tried meanwhile may have failed too; the driver's sentence is the one that counts. */
        if (given == 0) return base_fail(status, "%s", sentence);
        pthread_mutex_lock(&self->lock);
        self->tally.retries++;
        pthread_mutex_unlock(&self->lock);
    }
}

static tarn_status explain(direct *self, tarn_status status, const memory_request *request) {
    char asked[TARN_SIZE_TEXT], used[TARN_SIZE_TEXT], total[TARN_SIZE_TEXT];
    pthread_mutex_lock(&self->lock);
    self->tally.failed++;
    uint64_t in_use = self->tally.in_use.current, buffers = self->tally.blocks.current;
    pthread_mutex_unlock(&self->lock);
    if (status != TARN_OUT_OF_MEMORY) return status;
    return base_fail_within(status, "%s: %s asked, %s in use in %llu buffers of %s, the device has %s in all",
                            tarn_device_name(self->base.device), tarn_size_format(request->size, asked),
                            tarn_size_format(in_use, used), (unsigned long long)buffers,
                            self->base.spec != NULL ? self->base.spec : "direct",
                            tarn_size_format(hal_device_properties(self->base.device)->memory_total, total));
}

/* Must be called with the lock held. */
static void count_allocation(direct *self, size_t size, size_t capacity) {
    memory_tally_allocate(&self->tally, size, capacity);
    memory_figure_add(&self->reserved, capacity);
}

static tarn_status direct_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    direct *self = direct_of(allocator);
    size_t capacity;
    if (!checked_round_up(request->size, hal_device_properties(allocator->device)->alignment, &capacity)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu bytes cannot be rounded up to the alignment", request->size);
    }
    direct_piece *piece;
    void *address;
    tarn_status status = create_piece(self, request, &piece);
    if (status == TARN_OK) {
        status = take_memory(self, request, capacity, &address);
        if (status != TARN_OK) destroy_piece(piece);
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

static tarn_status direct_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    direct *self = direct_of(allocator);
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
    bool is_refused = piece->is_idle;
    keep(self, piece);
    return is_refused ? status : TARN_OK;
}

static tarn_memory_kind direct_kind(const tarn_allocator *allocator) {
    return ((const direct *)(const void *)allocator)->kind;
}

static tarn_status direct_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    direct_piece *piece = block->home;
    return direct_streams_use(&direct_of(allocator)->streams, stream, &piece->uses);
}

/* Asking. */

static tarn_status direct_empty_cache(tarn_allocator *allocator) {
    size_t bytes = 0;
    return give_back_kept(direct_of(allocator), &bytes);
}

static tarn_status direct_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    direct *self = direct_of(allocator);
    out_stats->device_waits = direct_streams_waits(&self->streams);
    pthread_mutex_lock(&self->lock);
    memory_tally_fill(&self->tally, out_stats);
    out_stats->cached_bytes = self->cached;
    out_stats->reserved_bytes = self->reserved;
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

static tarn_status direct_reset_peaks(tarn_allocator *allocator) {
    direct *self = direct_of(allocator);
    pthread_mutex_lock(&self->lock);
    memory_tally_reset_peaks(&self->tally);
    memory_figure_reset_peak(&self->cached);
    memory_figure_reset_peak(&self->reserved);
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

static tarn_status direct_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                     void *context) {
    direct *self = direct_of(allocator);
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

static tarn_status direct_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    direct *self = direct_of(allocator);
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

static tarn_status direct_check(tarn_allocator *allocator) {
    direct *self = direct_of(allocator);
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
    for (const direct_piece *piece = self->kept; piece != NULL; piece = piece->next_kept) kept += piece->range.size;
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

/* The allocator itself. */

static void direct_destroy(tarn_allocator *allocator) {
    direct *self = direct_of(allocator);
    size_t bytes = 0;
    tarn_status status = give_back_kept(self, &bytes);
    if (status != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s: %llu bytes could not be given back: %s", tarn_device_name(allocator->device),
                 (unsigned long long)self->reserved.current, tarn_last_error());
    }
    while (self->kept != NULL) {
        direct_piece *piece = self->kept;
        self->kept = piece->next_kept;
        destroy_piece(piece);
    }
    direct_streams_end(&self->streams);
    memory_fork_forget(&self->lock);
    pthread_mutex_destroy(&self->lock);
    memory_allocator_end(allocator);
}

static tarn_status direct_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                 tarn_allocator **out_allocator) {
    tarn_memory_kind kind = TARN_MEMORY_DEVICE;
    tarn_status status = memory_argument_kind(arguments, "kind", &kind);
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    if ((hal_device_properties(device)->memory_kinds & TARN_MEMORY_KIND_BIT(kind)) == 0) {
        return base_fail(TARN_NOT_SUPPORTED, "%s has no memory of the kind that \"direct\" is asked for",
                         tarn_device_name(device));
    }
    direct *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "direct: no host memory for an allocator");
    self->kind = kind;
    pthread_mutex_init(&self->lock, NULL);
    status = direct_streams_begin(&self->streams, device);
    if (status == TARN_OK && !memory_fork_watch(&self->lock, false)) {
        direct_streams_end(&self->streams);
        status = base_fail(TARN_OUT_OF_MEMORY, "direct: no host memory for an allocator");
    }
    if (status != TARN_OK) {
        pthread_mutex_destroy(&self->lock);
        base_free(self);
        return status;
    }
    memory_allocator_begin(&self->base, &direct_strategy, device, upstream);
    *out_allocator = &self->base;
    return TARN_OK;
}

const memory_strategy direct_strategy = {
    .name = "direct",
    .create = direct_create,
    .destroy = direct_destroy,
    .allocate = direct_allocate,
    .free = direct_free,
    .empty_cache = direct_empty_cache,
    .stats = direct_stats,
    .reset_peaks = direct_reset_peaks,
    .each_block = direct_each_block,
    .find = direct_find,
    .check = direct_check,
    .record_stream = direct_record_stream,
    .kind = direct_kind,
};
