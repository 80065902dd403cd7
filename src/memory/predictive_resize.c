/* Resizing predictive buffers.
 *
 * A new shape that fits changes nothing but the books. One that does not fit has the memory grow in place where its range has room,
 * else the buffer moves: its bytes are copied in stream order and the old memory goes into the cache, to be used again after
 * the copy. A shrink is a favour, so it never waits and never fails: what is too large is given up once no work needs it any
 * more, and where another memory would have to be fetched at a cost, the buffer stays as it is. */
#include <tarn/predictive.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/status.h"
#include "base/structure.h"
#include "memory/predictive.h"
#include "memory/predictive_handles.h"
#include "memory/stack.h"
#include "memory/stats.h"

/* A resize that is under way. */
typedef struct predictive_change {
    predictive *self;
    predictive_handle *handle;
    size_t needed; /* bytes of the new shape */
    size_t wanted;
    tarn_stream *stream;
} predictive_change;

static void count(predictive *self, uint64_t *counter, uint64_t amount) {
    pthread_mutex_lock(&self->lock);
    *counter = saturating_add(*counter, amount);
    pthread_mutex_unlock(&self->lock);
}

/* Moves the buffer to another memory, of at most `most` bytes unless that is 0. On failure nothing has changed. */
static tarn_status move(const predictive_change *change, size_t most, bool is_modest) {
    predictive *self = change->self;
    predictive_handle *handle = change->handle;
    predictive_memory *old = handle->memory, *fresh;
    predictive_want want = {
        .needed = change->needed,
        .wanted = change->wanted,
        .most = most,
        .reach = predictive_reach(self, handle, change->wanted),
        .alignment = handle->alignment,
        .credit = old->capacity,
        .stream = change->stream,
        .outer = &self->base,
    };
    tarn_status status = predictive_take(self, &want, is_modest, &fresh);
    if (status != TARN_OK) return status;
    size_t kept = handle->block->live.requested < change->needed ? handle->block->live.requested : change->needed;
    /* Streams that use the buffer go on using it. */
    status = direct_streams_share(&self->streams, old->uses, &fresh->uses);
    if (status == TARN_OK && kept > 0) {
        status = tarn_stream_copy(change->stream, (void *)fresh->range.start, /* NOLINT(performance-no-int-to-ptr) */
                                  handle->block->address, kept);
    }
    if (status != TARN_OK) {
        predictive_unpromise(self, fresh->capacity);
        predictive_put(self, fresh);
        return status;
    }
    pthread_mutex_lock(&self->lock);
    predictive_detach(self, handle);
    predictive_attach(self, handle, fresh);
    fresh->has_unknown_use = old->has_unknown_use;
    self->promised -= old->capacity;
    self->done.moves = saturating_add(self->done.moves, 1);
    self->done.moved_bytes = saturating_add(self->done.moved_bytes, kept);
    handle->moves++;
    pthread_mutex_unlock(&self->lock);
    handle->trim_to = 0;
    direct_streams_ask_anew(&self->streams, old->uses);
    predictive_put(self, old);
    base_log(TARN_LOG_DEBUG, "%s: a buffer of %zu bytes moved, %zu bytes were copied",
             tarn_device_name(self->base.device), change->needed, kept);
    return TARN_OK;
}

/* Gives up what lies behind `wanted` bytes, once the work that may use it is over. */
static void trim(const predictive_change *change) {
    predictive *self = change->self;
    predictive_handle *handle = change->handle;
    predictive_memory *memory = handle->memory;
    if (handle->trim_to == 0) {
        /* Work that is enqueued from now on has no more than this to use. */
        handle->trim_to = change->wanted;
        direct_streams_ask_anew(&self->streams, memory->uses);
    }
    if (memory->has_unknown_use || !direct_streams_are_idle(&self->streams, memory->uses, DIRECT_NO_STREAM)) return;
    size_t before = memory->capacity;
    tarn_status status = predictive_shrink(self, memory, handle->trim_to);
    handle->trim_to = 0;
    if (status != TARN_OK || memory->capacity == before) return;
    predictive_unpromise(self, before - memory->capacity);
    count(self, &self->done.in_place_shrinks, 1);
}

static void shrink(const predictive_change *change) {
    if (change->handle->memory->is_virtual) {
        trim(change);
        return;
    }
    /* As it is a favour, a failure is none. */
    (void)move(change, change->handle->memory->capacity - 1, true);
}

static tarn_status grow(const predictive_change *change) {
    predictive *self = change->self;
    predictive_memory *memory = change->handle->memory;
    if (atomic_load_explicit(&self->base.is_shut_down, memory_order_relaxed)) {
        return base_fail(TARN_SHUT_DOWN, "%s on %s is shut down, and its buffers do not grow", self->base.spec,
                         tarn_device_name(self->base.device));
    }
    if (memory_callback_running(&self->base) != NULL) {
        return base_fail(TARN_INVALID_STATE, "%s on %s: a callback of the allocator cannot have a buffer grow",
                         self->base.spec, tarn_device_name(self->base.device));
    }
    if (!memory->is_virtual || memory->range.size < change->needed) {
        return move(change, 0, false);
    }
    predictive_want want = {.needed = change->needed, .wanted = change->wanted, .outer = &self->base};
    tarn_status status = predictive_grow(self, memory, &want);
    if (status == TARN_OK) count(self, &self->done.in_place_growths, 1);
    return status;
}

/* What there is to be done for the new shape, as the strategy sees it. */
typedef enum predictive_action { ACTION_NONE, ACTION_GROW, ACTION_SHRINK } predictive_action;

static predictive_action decide(predictive_change *change) {
    predictive *self = change->self;
    predictive_action action = ACTION_NONE;
    size_t capacity = change->handle->memory->capacity;
    pthread_mutex_lock(&self->lock);
    if (change->needed > capacity) action = ACTION_GROW;
    else if (predictive_should_resize(self, change->handle, change->needed)) action = ACTION_SHRINK;
    if (action != ACTION_NONE) change->wanted = predictive_required(self, change->handle, change->needed);
    pthread_mutex_unlock(&self->lock);
    return action == ACTION_SHRINK && (change->wanted >= capacity || change->wanted == 0) ? ACTION_NONE : action;
}

static tarn_status find_handle(const tarn_buffer *buffer, const char *what, predictive_handle **out_handle) {
    const memory_block *block = block_of(buffer);
    if (block == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%p is no live buffer: it was freed before, or never was one",
                         (const void *)buffer);
    }
    tarn_allocator *owner = block->owner;
    if (owner->strategy != &predictive_strategy) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the buffer is none of a predictive allocator", owner->spec,
                         tarn_device_name(owner->device));
    }
    *out_handle = block->home;
    return memory_check_callback(owner, what);
}

/* The bytes of a shape within the bounds; one beyond them is counted. */
static tarn_status measure(predictive *self, const predictive_handle *handle, const tarn_shape *shape,
                           size_t *out_bytes) {
    if (shape == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the shape of a buffer is NULL");
    if (tarn_shape_bounds_contains(&handle->bounds, shape)) return tarn_shape_bytes(shape, handle->type, out_bytes);
    char texts[3][192];
    tarn_shape_to_string(shape, texts[0], sizeof texts[0]);
    tarn_shape_to_string(&handle->bounds.minimum, texts[1], sizeof texts[1]);
    tarn_shape_to_string(&handle->bounds.maximum, texts[2], sizeof texts[2]);
    count(self, &self->done.refused, 1);
    return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the shape %s is not between %s and %s", self->base.spec,
                     tarn_device_name(self->base.device), texts[0], texts[1], texts[2]);
}

/* Does what there is to do on a stream that lasts. */
static tarn_status act(predictive_change *change) {
    predictive_handle *handle = change->handle;
    predictive_memory *memory = handle->memory;
    if (direct_streams_use(&change->self->streams, change->stream, &memory->uses) != TARN_OK) {
        memory->has_unknown_use = true;
    }
    predictive_action action = decide(change);
    if (handle->trim_to != 0 && change->needed > handle->trim_to) handle->trim_to = 0;
    if (action == ACTION_GROW) return grow(change);
    if (action == ACTION_SHRINK) shrink(change);
    return TARN_OK;
}

static tarn_status act_on_own_stream(predictive_change *change) {
    predictive *self = change->self;
    direct_stream *entry = direct_streams_hold(&self->streams, change->handle->block->stream);
    /* What a stream that has ended did is done: any other one is behind it. */
    change->stream = entry != NULL ? entry->stream : hal_stream_or_default(self->base.device, NULL);
    tarn_status status = act(change);
    if (entry != NULL) direct_streams_hold_end(&self->streams, entry);
    return status;
}

tarn_status tarn_predictive_resize(tarn_buffer *buffer, const tarn_shape *shape, tarn_stream *stream) {
    predictive_change change = {0};
    tarn_status status = find_handle(buffer, "resize a buffer", &change.handle);
    if (status != TARN_OK) return status;
    memory_block *block = change.handle->block;
    predictive *self = change.self = predictive_of(block->owner);
    if (block->live.outer != block->owner) {
        return base_fail(TARN_NOT_SUPPORTED, "%s on %s: a buffer of \"%s\" cannot be resized", self->base.spec,
                         tarn_device_name(self->base.device), block->live.outer->spec);
    }
    if (stream != NULL && hal_stream_or_default(self->base.device, stream) == NULL) return TARN_INVALID_ARGUMENT;
    status = measure(self, change.handle, shape, &change.needed);
    if (status != TARN_OK) return status;
    change.stream = stream;
    status = stream != NULL ? act(&change) : act_on_own_stream(&change);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&self->lock);
    memory_figure_change(&self->tally.requested, block->live.requested, change.needed);
    block->live.requested = change.needed;
    change.handle->shape = *shape;
    change.handle->resizes++;
    self->done.resizes = saturating_add(self->done.resizes, 1);
    predictive_note_use(self, change.handle, change.needed, true);
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

tarn_status tarn_predictive_update_expectations(tarn_buffer *buffer, const tarn_shape *actual) {
    predictive_handle *handle;
    size_t bytes;
    tarn_status status = find_handle(buffer, "learn a shape", &handle);
    if (status != TARN_OK) return status;
    predictive *self = predictive_of(handle->block->owner);
    status = measure(self, handle, actual, &bytes);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&self->lock);
    handle->bounds.expected = *actual;
    handle->expected = bytes;
    predictive_site_record(handle->site, bytes);
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

tarn_status tarn_predictive_info_get(const tarn_buffer *buffer, tarn_predictive_info *out_info) {
    predictive_handle *handle;
    tarn_status status = find_handle(buffer, "tell of a buffer", &handle);
    if (status != TARN_OK) return status;
    if (out_info == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for what is known of a buffer is NULL");
    predictive *self = predictive_of(handle->block->owner);
    pthread_mutex_lock(&self->lock);
    const predictive_memory *memory = handle->memory;
    tarn_predictive_info info = {
        .struct_size = sizeof info,
        .pointer = handle->block->address,
        .capacity = memory->capacity,
        .reach = memory->range.size,
        .effective_size = handle->block->live.requested,
        .utilization = (double)handle->block->live.requested / (double)memory->capacity,
        .type = handle->type,
        .shape = handle->shape,
        .bounds = handle->bounds,
        .allocated_ns = handle->allocated_ns,
        .resizes = handle->resizes,
        .moves = handle->moves,
    };
    pthread_mutex_unlock(&self->lock);
    return base_fill_structure(out_info, &info, sizeof info, "tarn_predictive_info");
}
