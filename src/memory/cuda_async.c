/* cuda_async: each request is one allocation from a pool that the driver keeps, in the order of the buffer's stream, and each free goes
 * into that order too. What is reused, and what the pool keeps, is the driver's business: this is what `caching` is compared with.
 *
 * A free never waits. A buffer that one stream alone has used is freed on that stream. For all others there is a stream of the
 * allocator's own, made when it is first needed: it waits for the streams that used the buffer, and the buffer is freed there. So no
 * stream of the program is held up by another, as the stream of the allocation would be if it had to wait for the rest.
 *
 * Memory can be used only by what comes after the allocation in the order of streams. An element above that touches it on a stream of its own,
 * or hands out parts of it, asks for memory that is for all: that is allocated on another stream of the allocator's own, which the
 * host waits for. There is nothing on it to wait for, unless the driver makes it wait for a free when it has no other memory.
 *
 * Frees that lie ahead hold memory, so streams are noted on which something was freed: when memory is short or the cache is emptied,
 * they are waited for, and the pool gives back what is then unused. */
#include "memory/cuda_async.h"

#include <stdio.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/pool.h"
#include "memory/direct_pieces.h"

typedef struct cuda_async {
    direct_pieces pieces; /* the first member: an allocator is cast back to its cuda_async */
    hal_pool *pool;
    /* Streams of its own; NULL: none was needed yet. Protected by the pieces' lock. */
    tarn_stream *gathering; /* for frees that wait for several streams */
    tarn_stream *fresh;     /* for memory that all streams may use at once: it never waits for anything */
} cuda_async;

static cuda_async *cuda_async_of(direct_pieces *pieces) { return (cuda_async *)(void *)pieces; }

/* Makes a stream for `*place`, unless another thread does so meanwhile. */
static tarn_status make_stream(cuda_async *self, tarn_stream **place) {
    tarn_stream *stream;
    tarn_status status = tarn_stream_create(self->pieces.base.device, &stream);
    if (status != TARN_OK) return status;
    status = direct_streams_know(&self->pieces.streams, stream);
    if (status == TARN_OK) {
        pthread_mutex_lock(&self->pieces.lock);
        if (*place == NULL) {
            *place = stream;
            stream = NULL;
        }
        pthread_mutex_unlock(&self->pieces.lock);
    }
    (void)tarn_stream_release(stream);
    return status;
}

static tarn_status own_stream(cuda_async *self, tarn_stream **place, tarn_stream **out_stream) {
    for (;;) {
        pthread_mutex_lock(&self->pieces.lock);
        *out_stream = *place;
        pthread_mutex_unlock(&self->pieces.lock);
        if (*out_stream != NULL) return TARN_OK;
        tarn_status status = make_stream(self, place);
        if (status != TARN_OK) return status;
    }
}

/* Memory that every stream may use when this returns. */
static tarn_status allocate_for_all(cuda_async *self, direct_piece *piece, size_t size) {
    tarn_stream *stream;
    void *base;
    tarn_status status = own_stream(self, &self->fresh, &stream);
    if (status == TARN_OK) status = hal_pool_allocate(self->pool, stream, size, &base);
    if (status != TARN_OK) return status;
    status = tarn_stream_synchronize(stream);
    if (!direct_work_has_ended(status)) {
        char sentence[256];
        snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
        bool is_freed = hal_pool_free(self->pool, stream, base, size) == TARN_OK;
        base_fail(status, "%s", sentence);
        if (is_freed) return status;
        /* It will be freed where it was allocated. */
        piece->uses->stream = hal_stream_number(stream);
    } else {
        status = TARN_OK;
    }
    piece->base = base;
    piece->size = size;
    return status;
}

static tarn_status allocate_on(cuda_async *self, tarn_stream *stream, direct_piece *piece, size_t size) {
    tarn_status status = hal_pool_allocate(self->pool, stream, size, &piece->base);
    if (status == TARN_OK) piece->size = size;
    return status;
}

static tarn_status obtain(direct_pieces *pieces, const memory_request *request, size_t capacity, direct_piece *piece,
                          void **out_address) {
    const tarn_device_properties *properties = hal_device_properties(pieces->base.device);
    size_t slack = request->alignment > properties->alignment ? request->alignment - properties->alignment : 0;
    size_t size;
    if (!checked_add(capacity, slack, &size)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu bytes aligned to %zu are more than there are addresses", capacity,
                         request->alignment);
    }
    cuda_async *self = cuda_async_of(pieces);
    tarn_status status =
        request->is_for_all ? allocate_for_all(self, piece, size) : allocate_on(self, request->stream, piece, size);
    if (status != TARN_OK) return status;
    uintptr_t base = (uintptr_t)piece->base;
    *out_address = (char *)piece->base + (round_up(base, request->alignment) - base);
    return TARN_OK;
}

/* Freeing. */

/* Has the gathering stream wait for all that used the piece, and holds it. */
static tarn_status gather(cuda_async *self, direct_piece *piece, direct_stream **out_entry) {
    direct_streams *streams = &self->pieces.streams;
    tarn_stream *stream;
    tarn_status status = own_stream(self, &self->gathering, &stream);
    if (status != TARN_OK) return status;
    if (piece->has_unknown_use) status = tarn_device_synchronize(self->pieces.base.device);
    else status = direct_streams_follow(streams, piece->uses, stream);
    if (status == TARN_OK) *out_entry = direct_streams_hold(streams, hal_stream_number(stream));
    return status;
}

static bool is_used_on_one(const direct_piece *piece) { return !piece->has_unknown_use && piece->uses->next == NULL; }

static tarn_status give_back(direct_pieces *pieces, direct_piece *piece) {
    cuda_async *self = cuda_async_of(pieces);
    direct_stream *entry = NULL;
    if (is_used_on_one(piece)) entry = direct_streams_hold(&pieces->streams, piece->uses->stream);
    if (entry == NULL) {
        tarn_status status = gather(self, piece, &entry);
        if (!direct_work_has_ended(status)) return status;
    }
    /* Without one, the device is out of reach, and nothing but the host's part is done. */
    tarn_stream *stream = entry != NULL ? entry->stream : tarn_device_default_stream(pieces->base.device);
    tarn_status status = hal_pool_free(self->pool, stream, piece->base, piece->size);
    /* On a stream that is being captured it cannot be freed yet, which is no refusal. */
    piece->is_settled = status != TARN_INVALID_STATE;
    if (entry == NULL) return status;
    if (status == TARN_OK) direct_streams_note(&pieces->streams, entry);
    direct_streams_hold_end(&pieces->streams, entry);
    return status;
}

/* The driver's pool. */

/* Reads how much the pool has. Where the driver does not say, the figure stays as it was last heard; where it is out of reach, what is
 * live is all that is left. */
static void hear_figures(cuda_async *self) {
    direct_pieces *pieces = &self->pieces;
    tarn_backend_pool_figures figures = {.struct_size = sizeof figures};
    tarn_status status = hal_pool_figures(self->pool, &figures);
    pthread_mutex_lock(&pieces->lock);
    uint64_t reserved =
        status == TARN_OK || direct_work_has_ended(status) ? figures.reserved : pieces->reserved.current;
    /* It was read a moment ago, and others go on. */
    uint64_t least = pieces->tally.in_use.current + direct_pieces_kept(pieces);
    memory_figure_set(&pieces->reserved, reserved > least ? reserved : least);
    if (figures.reserved_peak > pieces->reserved.peak) pieces->reserved.peak = figures.reserved_peak;
    if (pieces->reserved.peak > pieces->reserved.total) pieces->reserved.total = pieces->reserved.peak;
    memory_figure_set(&pieces->cached, pieces->reserved.current - pieces->tally.in_use.current);
    pthread_mutex_unlock(&pieces->lock);
}

static bool make_room(direct_pieces *pieces) {
    cuda_async *self = cuda_async_of(pieces);
    tarn_backend_pool_figures before = {.struct_size = sizeof before}, after = before;
    bool has_waited = false;
    (void)direct_streams_wait_for_noted(&pieces->streams, &has_waited);
    (void)hal_pool_figures(self->pool, &before);
    (void)hal_pool_trim(self->pool, 0);
    (void)hal_pool_figures(self->pool, &after);
    return has_waited || after.reserved < before.reserved;
}

static const direct_source source = {
    .obtain = obtain, .give_back = give_back, .make_room = make_room, .has_driver_figures = true};

static tarn_status cuda_async_empty_cache(tarn_allocator *allocator) {
    direct_pieces *pieces = direct_pieces_of(allocator);
    size_t bytes = 0;
    bool has_waited;
    tarn_status kept = direct_pieces_retry(pieces, &bytes);
    tarn_status status = direct_streams_wait_for_noted(&pieces->streams, &has_waited);
    if (status == TARN_OK) status = hal_pool_trim(cuda_async_of(pieces)->pool, 0);
    if (direct_work_has_ended(status)) status = TARN_OK;
    return kept != TARN_OK ? kept : status;
}

static tarn_status cuda_async_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    hear_figures(cuda_async_of(direct_pieces_of(allocator)));
    return direct_pieces_stats(allocator, out_stats);
}

static tarn_status cuda_async_reset_peaks(tarn_allocator *allocator) {
    cuda_async *self = cuda_async_of(direct_pieces_of(allocator));
    tarn_status status = hal_pool_reset_peaks(self->pool);
    if (!direct_work_has_ended(status)) return status;
    hear_figures(self);
    return direct_pieces_reset_peaks(allocator);
}

static tarn_status cuda_async_check(tarn_allocator *allocator) {
    hear_figures(cuda_async_of(direct_pieces_of(allocator)));
    return direct_pieces_check(allocator);
}

/* The allocator itself. */

static void cuda_async_destroy(tarn_allocator *allocator) {
    cuda_async *self = cuda_async_of(direct_pieces_of(allocator));
    direct_pieces_end(&self->pieces);
    (void)tarn_stream_release(self->gathering);
    (void)tarn_stream_release(self->fresh);
    hal_pool_destroy(self->pool);
    memory_allocator_end(allocator);
}

static tarn_status read_reuse(memory_arguments *arguments, const char *key, uint32_t policy, uint32_t *inout_reuse) {
    bool is_on = (*inout_reuse & policy) != 0;
    tarn_status status = memory_argument_switch(arguments, key, &is_on);
    *inout_reuse = is_on ? *inout_reuse | policy : *inout_reuse & ~policy;
    return status;
}

static tarn_status read_options(memory_arguments *arguments, tarn_backend_pool_options *inout_options) {
    size_t threshold = SIZE_MAX;
    tarn_status status = memory_argument_size(arguments, "threshold", &threshold);
    inout_options->release_threshold = threshold;
    if (status == TARN_OK)
        status = read_reuse(arguments, "follow_events", TARN_POOL_FOLLOWS_EVENTS, &inout_options->reuse);
    if (status == TARN_OK)
        status = read_reuse(arguments, "opportunistic", TARN_POOL_OPPORTUNISTIC, &inout_options->reuse);
    if (status == TARN_OK)
        status = read_reuse(arguments, "add_dependencies", TARN_POOL_ADDS_DEPENDENCIES, &inout_options->reuse);
    return status == TARN_OK ? memory_arguments_check(arguments) : status;
}

static tarn_status cuda_async_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                     tarn_allocator **out_allocator) {
    tarn_backend_pool_options options = {
        .struct_size = sizeof options,
        .reuse = TARN_POOL_FOLLOWS_EVENTS | TARN_POOL_OPPORTUNISTIC | TARN_POOL_ADDS_DEPENDENCIES,
    };
    tarn_status status = read_options(arguments, &options);
    if (status != TARN_OK) return status;
    if (!hal_device_has_feature(device, TARN_FEATURE_STREAM_ORDERED)) {
        return base_fail(TARN_NOT_SUPPORTED, "%s has no stream-ordered memory, which \"cuda_async\" hands out",
                         tarn_device_name(device));
    }
    cuda_async *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "cuda_async: no host memory for an allocator");
    status = hal_pool_create(device, &options, &self->pool);
    if (status == TARN_OK) status = direct_pieces_begin(&self->pieces, &source, device);
    if (status != TARN_OK) {
        hal_pool_destroy(self->pool);
        base_free(self);
        return status;
    }
    memory_allocator_begin(&self->pieces.base, &cuda_async_strategy, device, upstream);
    *out_allocator = &self->pieces.base;
    return TARN_OK;
}

const memory_strategy cuda_async_strategy = {
    .name = "cuda_async",
    .create = cuda_async_create,
    .destroy = cuda_async_destroy,
    .allocate = direct_pieces_allocate,
    .free = direct_pieces_free,
    .empty_cache = cuda_async_empty_cache,
    .stats = cuda_async_stats,
    .reset_peaks = cuda_async_reset_peaks,
    .each_block = direct_pieces_each_block,
    .find = direct_pieces_find,
    .check = cuda_async_check,
    .record_stream = direct_pieces_record_stream,
};
