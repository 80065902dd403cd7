/* planned: learns what one iteration of a program asks for, lays it out as a whole, and serves the next iterations from that plan.
 *
 * It stands before another allocator, which serves all that there is no plan for, and from which the plan's own memory comes. A request that
 * comes as the plan expects it costs a comparison with the next entry and a look at whether its place is free; there is nothing
 * to search, to split or to merge. Whether a place is free never depends on the program doing what it did: planned_types.h has the
 * rule, tarn/planned.h what it means to a caller. Buffers of the plan are this element's own; all others are blocks of
 * the element below that pass through, and are told apart by their owner. */
#include "memory/planned.h"

#include <stdio.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "hal/device.h"
#include "hal/graph.h"
#include "memory/caching.h"
#include "memory/planned_memory.h"
#include "memory/planned_query.h"
#include "memory/planned_serve.h"
#include "memory/planned_tend.h"
#include "memory/stack.h"

/* What a plan needs longer for is cut short: milliseconds. */
#define DEFAULT_TIMEOUT 100u

/* Allocating. */

static void count_planned(planned *self, size_t size, const memory_block *block, const tarn_allocator *outer) {
    memory_tally_allocate(&self->figures.tally, size, block->capacity);
    self->counts.planned++;
    if (outer == &self->base) self->own++;
}

static tarn_status planned_allocate_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                            tarn_buffer **out_buffer) {
    planned *self = planned_of(allocator);
    bool is_usual = size != 0 && size <= PTRDIFF_MAX &&
                    (stream == NULL || (stream->device == allocator->device && !hal_stream_is_capturing(stream)));
    if (__builtin_expect(is_usual, 1)) {
        uint32_t number = stream != NULL ? hal_stream_number(stream) : 0;
        biased_way way = biased_lock_enter(&self->lock);
        planned_entry *entry = NULL;
        if (self->plan != NULL && !self->is_learning && !self->is_retired) {
            size_t rounded = round_up(size, self->alignment);
            entry = planned_serve_next(self->plan, rounded, self->alignment, number);
            if (entry == NULL) entry = planned_serve_again(self, rounded, self->alignment, number);
        }
        if (__builtin_expect(entry != NULL, 1)) {
            memory_block *block = entry->block;
            block->live.requested = size;
            block->live.outer = allocator;
            block->live.tag = NULL;
            block->uses = NULL;
            count_planned(self, size, block, allocator);
            *out_buffer = block_begin_life(block);
            biased_lock_leave(&self->lock, way);
            return TARN_OK;
        }
        biased_lock_leave(&self->lock, way);
    }
    return memory_allocate_long(allocator, size, stream, out_buffer);
}

static void note(planned *self, const memory_request *request, size_t size, const memory_block *block) {
    planned_request noted = {
        .size = size, .alignment = request->alignment, .stream = hal_stream_number(request->stream)};
    planned_log_add(&self->log, block, &noted);
}

/* The block of a place of the plan; NULL where the element below is to serve the request. */
static memory_block *serve(planned *self, const memory_request *request, size_t size) {
    uint32_t stream = hal_stream_number(request->stream);
    planned_entry *entry = NULL;
    biased_way way = biased_lock_take(&self->lock);
    if (self->plan != NULL) {
        entry = planned_serve_next(self->plan, size, request->alignment, stream);
        planned_answer answer = PLANNED_SERVED;
        if (entry == NULL) answer = planned_serve(self, size, request->alignment, stream, &entry);
        if (answer != PLANNED_SERVED) entry = NULL;
        self->counts.kept += answer == PLANNED_KEPT;
        self->counts.deviations += answer == PLANNED_DEVIATION;
    }
    memory_block *block = entry != NULL ? entry->block : NULL;
    if (block != NULL) {
        memory_block_fill(block, request, &self->base);
        count_planned(self, request->size, block, request->outer);
        if (self->is_learning) note(self, request, size, block);
    }
    if (block != NULL && self->wants_empty_cache) planned_tend(self, way);
    else biased_lock_leave(&self->lock, way);
    return block;
}

/* What nothing lives in goes back to the element below; false where that is nothing. */
static bool make_room(planned *self) {
    size_t bytes = 0;
    biased_way way = biased_lock_take(&self->lock);
    self->figures.tally.retries++;
    biased_lock_leave(&self->lock, way);
    (void)planned_tend_give(self, &bytes);
    return bytes != 0;
}

static tarn_status pass_on(planned *self, const memory_request *request, memory_block **out_block) {
    for (;;) {
        tarn_status status = memory_allocate(self->base.upstream, request, out_block);
        if (!upstream_is_short(status)) return status;
        /* Giving back may fail too; the sentence that counts is the one of the element below. */
        char sentence[512];
        snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
        if (!make_room(self)) return base_fail(status, "%s", sentence);
    }
}

static tarn_status planned_allocate(tarn_allocator *allocator, const memory_request *request,
                                    memory_block **out_block) {
    planned *self = planned_of(allocator);
    size_t size;
    if (!checked_round_up(request->size, self->alignment, &size)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu bytes cannot be rounded up to the alignment", request->size);
    }
    /* What captured work uses stays where it is as long as the graph lives: that is the element below's affair, and no part of a round. */
    bool is_captured = hal_stream_is_capturing(request->stream);
    memory_block *block = is_captured ? NULL : serve(self, request, size);
    if (block != NULL) {
        *out_block = block;
        return TARN_OK;
    }
    tarn_status status = direct_streams_know(&self->streams, request->stream);
    if (status == TARN_OK) status = pass_on(self, request, &block);
    biased_way way = biased_lock_take(&self->lock);
    if (status == TARN_OK) {
        memory_figures_take(&self->figures, block->capacity);
        memory_tally_allocate(&self->figures.tally, request->size, block->capacity);
        if (request->outer == allocator) self->own++;
        if (self->is_learning && !is_captured) note(self, request, size, block);
        *out_block = block;
    } else {
        self->figures.tally.failed++;
    }
    if (status == TARN_OK && !is_captured) planned_tend(self, way);
    else biased_lock_leave(&self->lock, way);
    return status;
}

/* Freeing. */

/* The lock is held. */
static void count_free(planned *self, const memory_block *block) {
    memory_figures_free(&self->figures, block->live.requested, block->capacity);
    if (block->live.outer == &self->base) self->own--;
    if (self->is_learning) planned_log_remove(&self->log, block);
}

static tarn_status planned_free_quickly(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream) {
    planned *self = planned_of(allocator);
    memory_block *block = block_of(buffer);
    if (__builtin_expect(block != NULL, 1) && (stream == NULL || stream->device == allocator->device)) {
        biased_way way = biased_lock_enter(&self->lock);
        /* A plan's descriptors go only with the plan, for which the lock is taken. A block that another thread frees at this moment is
         * that thread's. */
        bool is_own = block_is_named(block, buffer) && block->owner == allocator && block->live.outer == allocator &&
                      block->uses == NULL && (stream == NULL || hal_stream_number(stream) == block->stream);
        bool is_taken = is_own && !self->is_retired && block_claim(block, buffer);
        if (__builtin_expect(is_taken, 1)) {
            count_free(self, block);
            planned_memory_free(self, block->home, false);
        }
        biased_lock_leave(&self->lock, way);
        if (__builtin_expect(is_taken, 1)) return TARN_OK;
    }
    return memory_free_long(allocator, buffer, stream);
}

/* Remembers that the stream uses the block, unless the order of its own stream says enough. The lock is held. */
static tarn_status add_use(planned *self, memory_block *block, tarn_stream *stream) {
    if (hal_stream_number(stream) == block->stream) return TARN_OK;
    direct_use *uses = block->uses;
    tarn_status status = direct_streams_use(&self->streams, stream, &uses);
    block->uses = uses;
    return status;
}

static tarn_status planned_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    planned *self = planned_of(allocator);
    bool is_own = block->owner == allocator, is_lost = false;
    biased_way way = biased_lock_take(&self->lock);
    if (!is_own) {
        memory_figures_give(&self->figures, block->capacity);
        count_free(self, block);
        biased_lock_leave(&self->lock, way);
        return memory_free(allocator->upstream, block, stream);
    }
    if (stream != NULL && add_use(self, block, stream) != TARN_OK) {
        /* Without host memory to remember the stream by, it is waited for. */
        biased_lock_leave(&self->lock, way);
        is_lost = !direct_work_has_ended(tarn_stream_synchronize(stream));
        way = biased_lock_take(&self->lock);
    }
    count_free(self, block);
    planned_memory_free(self, block->home, is_lost);
    biased_lock_leave(&self->lock, way);
    return TARN_OK;
}

static tarn_status planned_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    planned *self = planned_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    tarn_status status = add_use(self, block, stream);
    biased_lock_leave(&self->lock, way);
    return status;
}

/* The public functions. */

tarn_status tarn_planned_step(tarn_allocator *allocator) {
    tarn_allocator *element;
    tarn_status status = memory_strategy_of(allocator, &planned_strategy, "end a round", &element);
    if (status != TARN_OK) return status;
    planned *self = planned_of(element);
    return planned_tend_end_round(self, biased_lock_take(&self->lock));
}

tarn_status tarn_planned_stats_get(tarn_allocator *allocator, tarn_planned_stats *out_stats) {
    tarn_allocator *element;
    tarn_status status = memory_strategy_of(allocator, &planned_strategy, "tell of its plan", &element);
    if (status != TARN_OK) return status;
    if (out_stats == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for the statistics is NULL");
    planned *self = planned_of(element);
    biased_way way = biased_lock_take(&self->lock);
    tarn_planned_stats stats = self->counts;
    const planned_plan *plan = self->plan;
    stats.is_learning = self->is_learning;
    if (plan != NULL) {
        stats.plan_requests = plan->count;
        stats.plan_places = plan->places;
        stats.plan_bytes = plan->bytes;
        stats.plan_lower_bound = plan->lower_bound;
    }
    biased_lock_leave(&self->lock, way);
    return base_fill_structure(out_stats, &stats, sizeof stats, "tarn_planned_stats");
}

/* The figures. */

static tarn_status planned_empty_cache(tarn_allocator *allocator) {
    size_t bytes = 0;
    tarn_status status = planned_tend_give(planned_of(allocator), &bytes);
    tarn_status below = memory_empty_cache_below(allocator);
    return status != TARN_OK ? status : below;
}

static tarn_status planned_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    planned *self = planned_of(allocator);
    tarn_status status = memory_stats_below(allocator, out_stats);
    if (status != TARN_OK) return status;
    biased_way way = biased_lock_take(&self->lock);
    memory_figures_fill(&self->figures, out_stats);
    biased_lock_leave(&self->lock, way);
    return TARN_OK;
}

static tarn_status planned_reset_peaks(tarn_allocator *allocator) {
    planned *self = planned_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    memory_figures_reset_peaks(&self->figures);
    biased_lock_leave(&self->lock, way);
    return memory_reset_peaks_below(allocator);
}

/* The allocator itself. */

static size_t planned_retire(tarn_allocator *allocator) {
    planned *self = planned_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    self->is_retired = true;
    size_t own = self->own;
    biased_lock_leave(&self->lock, way);
    return own;
}

static void planned_destroy(tarn_allocator *allocator) {
    planned *self = planned_of(allocator);
    planned_tend_end(self);
    planned_log_end(&self->log);
    direct_streams_end(&self->streams);
    biased_lock_end(&self->lock);
    memory_allocator_end(allocator);
}

/* The lock before the streams': it is taken outside it. */
static tarn_status begin(planned *self, tarn_device *device, uint64_t timeout) {
    self->alignment = hal_device_properties(device)->alignment;
    self->timeout = timeout;
    self->patience = 1;
    self->is_learning = true;
    planned_log_clear(&self->log);
    if (!biased_lock_begin(&self->lock)) {
        return base_fail(TARN_OUT_OF_MEMORY, "planned: no host memory for an allocator");
    }
    tarn_status status = direct_streams_begin(&self->streams, device);
    if (status != TARN_OK) biased_lock_end(&self->lock);
    return status;
}

static tarn_status planned_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                  tarn_allocator **out_allocator) {
    uint64_t timeout = DEFAULT_TIMEOUT;
    tarn_allocator *below;
    tarn_status status = memory_argument_number(arguments, "timeout", &timeout);
    if (status == TARN_OK) status = upstream_prepare(device, arguments, upstream, &caching_strategy, &below);
    if (status != TARN_OK) return status;
    planned *self = base_allocate(1, sizeof *self);
    if (self == NULL) status = base_fail(TARN_OUT_OF_MEMORY, "planned: no host memory for an allocator");
    else status = begin(self, device, timeout);
    if (status != TARN_OK) {
        base_free(self);
        upstream_undo(upstream, below);
        return status;
    }
    memory_allocator_begin(&self->base, &planned_strategy, device, below);
    *out_allocator = &self->base;
    return TARN_OK;
}

/* No other string has this address: it is the tag of the plan's own memory. */
static const char planned_name[] = "planned";

const memory_strategy planned_strategy = {
    .name = planned_name,
    .takes_pieces = true,
    .create = planned_create,
    .destroy = planned_destroy,
    .allocate = planned_allocate,
    .free = planned_free,
    .allocate_quickly = planned_allocate_quickly,
    .free_quickly = planned_free_quickly,
    .retire = planned_retire,
    .empty_cache = planned_empty_cache,
    .stats = planned_stats,
    .reset_peaks = planned_reset_peaks,
    .each_block = planned_each_block,
    .find = planned_find,
    .check = planned_check,
    .record_stream = planned_record_stream,
};
