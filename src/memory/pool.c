/* pool: what is freed is kept in a list for its size, and the next request of that size takes it from there.
 *
 * A hit moves one block between a list and its user. One lock protects the pool; it is biased to the thread that uses the pool
 * alone, which then pays for no atomic instruction but the one that decides which of two racing frees wins. Memory is never
 * merged: a pool is for programs that ask for the same sizes again and again, and for those that want to take everything back
 * at once, which is what clearing does. */
#include "memory/pool.h"

#include <tarn/pool.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/direct.h"
#include "memory/pool_slabs.h"
#include "memory/stack.h"
#include "memory/upstream.h"

/* Allocating. */

#define INLINED static inline __attribute__((always_inline))

/* Hands out what lies ready for such a request; false when nothing does. The lock is held. */
INLINED bool hand_out(pool *self, size_t size, uint32_t stream, tarn_buffer **out_buffer) {
    pool_lane *lane = self->recent;
    memory_block **list = &lane->idle[pool_class(self, size)], *block = *list;
    if (__builtin_expect(lane->stream != stream || block == NULL || self->is_retired, 0)) return false;
    if (__builtin_expect(block->capacity < size, 0)) return false;
    *list = block->neighbours.next;
    block->flags = POOL_OUT;
    block->stream = stream;
    block->live.requested = size;
    block->live.outer = &self->base;
    block->live.tag = NULL;
    memory_tally_allocate(&self->figures.tally, size, block->capacity);
    *out_buffer = block_begin_life(block);
    return true;
}

/* For threads that share the pool. */
static __attribute__((noinline)) tarn_status allocate_shared(tarn_allocator *allocator, size_t size,
                                                             tarn_stream *stream, tarn_buffer **out_buffer) {
    pool *self = pool_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    bool is_done = hand_out(self, size, stream != NULL ? hal_stream_number(stream) : 0, out_buffer);
    biased_lock_leave(&self->lock, way);
    return is_done ? TARN_OK : memory_allocate_long(allocator, size, stream, out_buffer);
}

/* Calls nothing but as its end, so that the usual way needs no stack; likewise the free. */
static tarn_status pool_allocate_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                         tarn_buffer **out_buffer) {
    pool *self = pool_of(allocator);
    bool is_usual = size != 0 && size <= PTRDIFF_MAX && (stream == NULL || stream->device == allocator->device);
    if (__builtin_expect(!is_usual, 0)) return memory_allocate_long(allocator, size, stream, out_buffer);
    if (__builtin_expect(!biased_lock_enter_as_owner(&self->lock), 0))
        return allocate_shared(allocator, size, stream, out_buffer);
    bool is_done = hand_out(self, size, stream != NULL ? hal_stream_number(stream) : 0, out_buffer);
    biased_lock_leave_as_owner(&self->lock);
    return __builtin_expect(is_done, 1) ? TARN_OK : memory_allocate_long(allocator, size, stream, out_buffer);
}

/* A block from what the pool has; NULL, and OK, when nothing fits. */
static tarn_status find_block(tarn_allocator *allocator, const memory_request *request, size_t capacity,
                              memory_block **out_block) {
    pool *self = pool_of(allocator);
    pool_lane *lane;
    memory_block *block = NULL;
    biased_way way = biased_lock_take(&self->lock);
    tarn_status status = pool_lane_get(self, request->stream, &lane);
    if (status == TARN_OK && self->waiting != NULL) pool_tidy(self);
    if (status == TARN_OK) status = pool_find(self, lane, capacity, request->alignment, &block);
    if (status == TARN_OK && block == NULL) {
        /* What streams that have ended leave behind is used before new memory is. */
        pool_tidy(self);
        status = pool_find(self, lane, capacity, request->alignment, &block);
    }
    if (block != NULL) {
        memory_block_fill(block, request, &self->base);
        memory_tally_allocate(&self->figures.tally, request->size, block->capacity);
        if (request->outer != &self->base) self->inner++;
    }
    biased_lock_leave(&self->lock, way);
    *out_block = block;
    return status;
}

/* What is not used goes back, and reclaimers are asked; false when neither gives anything. */
static bool make_room(tarn_allocator *allocator, const memory_request *request, size_t capacity) {
    pool *self = pool_of(allocator);
    size_t bytes = 0;
    biased_way way = biased_lock_take(&self->lock);
    self->figures.tally.retries++;
    biased_lock_leave(&self->lock, way);
    (void)pool_give_back(self, &bytes);
    return bytes != 0 || memory_reclaim(request->outer, capacity) != 0;
}

static const upstream_steps steps = {.find = find_block, .grow = pool_grow, .make_room = make_room};

static tarn_status explain(pool *self, tarn_status status, size_t size) {
    biased_way way = biased_lock_take(&self->lock);
    self->figures.tally.failed++;
    uint64_t in_use = self->figures.tally.in_use.current, held = self->figures.held;
    size_t largest = pool_largest_idle(self);
    biased_lock_leave(&self->lock, way);
    return upstream_is_short(status) ? upstream_explain(&self->base, status, size, in_use, held, largest) : status;
}

static tarn_status pool_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    pool *self = pool_of(allocator);
    size_t capacity;
    if (!checked_round_up(request->size, self->alignment, &capacity)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu bytes cannot be rounded up to the alignment", request->size);
    }
    memory_block *block;
    tarn_status status = upstream_serve(allocator, &steps, request, capacity, &block);
    if (status != TARN_OK) return explain(self, status, request->size);
    *out_block = block;
    return TARN_OK;
}

/* Freeing. */

/* Takes a block back that goes into its list at once; false when there is more to it. The lock is held: only then, when nobody clears
 * the pool, does a block stay what it says. Whose top of the stack this allocator is, is its own. A block that another thread
 * freed at this moment is that thread's. */
INLINED bool take_in(pool *self, const tarn_buffer *buffer, const tarn_stream *stream) {
    memory_block *block = block_behind(buffer);
    bool is_own = block_is_named(block, buffer) && block->live.outer == &self->base && block->uses == NULL &&
                  (stream == NULL || hal_stream_number(stream) == block->stream);
    if (__builtin_expect(!is_own || self->is_retired || !block_claim(block, buffer), 0)) return false;
    memory_figures_free(&self->figures, block->live.requested, block->capacity);
    pool_push(pool_slab_of(block)->lane, block);
    return true;
}

static __attribute__((noinline)) tarn_status free_shared(tarn_allocator *allocator, tarn_buffer *buffer,
                                                         tarn_stream *stream) {
    pool *self = pool_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    bool is_done = take_in(self, buffer, stream);
    biased_lock_leave(&self->lock, way);
    return is_done ? TARN_OK : memory_free_long(allocator, buffer, stream);
}

static tarn_status pool_free_quickly(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream) {
    pool *self = pool_of(allocator);
    bool is_usual = block_has_number(buffer) && (stream == NULL || stream->device == allocator->device);
    if (__builtin_expect(!is_usual, 0)) return memory_free_long(allocator, buffer, stream);
    if (__builtin_expect(!biased_lock_enter_as_owner(&self->lock), 0)) return free_shared(allocator, buffer, stream);
    bool is_done = take_in(self, buffer, stream);
    biased_lock_leave_as_owner(&self->lock);
    return __builtin_expect(is_done, 1) ? TARN_OK : memory_free_long(allocator, buffer, stream);
}

/* Remembers that the stream uses the block, unless the order of the block's own lane says enough. The lock is held. */
static tarn_status add_use(pool *self, memory_block *block, tarn_stream *stream) {
    if (hal_stream_number(stream) == pool_slab_of(block)->lane->stream) return TARN_OK;
    direct_use *uses = block->uses;
    tarn_status status = direct_streams_use(&self->streams, stream, &uses);
    block->uses = uses;
    return status;
}

static tarn_status pool_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    pool *self = pool_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    if (stream != NULL && add_use(self, block, stream) != TARN_OK) {
        /* Without host memory to remember the stream by, it is waited for. */
        biased_lock_leave(&self->lock, way);
        bool has_ended = direct_work_has_ended(tarn_stream_synchronize(stream));
        way = biased_lock_take(&self->lock);
        if (!has_ended) block->flags = POOL_LOST;
    }
    pool_take(self, block);
    biased_lock_leave(&self->lock, way);
    return TARN_OK;
}

static tarn_status pool_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    pool *self = pool_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    tarn_status status = add_use(self, block, stream);
    biased_lock_leave(&self->lock, way);
    return status;
}

/* Clearing. */

/* Ends the lives of all live blocks; they are put into a list by neighbours.next and stay OUT. The lock is held. */
static memory_block *claim_all(const pool *self) {
    memory_block *claimed = NULL;
    for (base_range *range = base_range_after(self->slabs, 0); range != NULL;
         range = base_range_after(self->slabs, range->start)) {
        const pool_slab *slab = pool_slab_at(range);
        for (size_t i = 0; i < slab->made; i++) {
            memory_block *block = slab->blocks[i];
            uint32_t life = atomic_load_explicit(&block->life, memory_order_relaxed);
            bool is_live = block->flags == POOL_OUT && (life & BLOCK_IS_LIVE) != 0;
            if (!is_live || !block_claim(block, block_handle_of(block, life))) continue;
            block->neighbours.next = claimed;
            claimed = block;
        }
    }
    return claimed;
}

tarn_status tarn_pool_clear(tarn_allocator *allocator) {
    const void *site = MEMORY_CALL_SITE();
    tarn_allocator *element;
    tarn_status status = memory_strategy_of(allocator, &pool_strategy, "clear", &element);
    if (status != TARN_OK) return status;
    pool *self = pool_of(element);
    biased_way way = biased_lock_take(&self->lock);
    memory_block *claimed = claim_all(self), *next;
    biased_lock_leave(&self->lock, way);
    for (memory_block *block = claimed; block != NULL; block = next) {
        next = block->neighbours.next;
        block->site = site;
        memory_take_back(block, true);
    }
    way = biased_lock_take(&self->lock);
    for (memory_block *block = claimed; block != NULL; block = next) {
        next = block->neighbours.next;
        pool_take(self, block);
    }
    biased_lock_leave(&self->lock, way);
    return TARN_OK;
}

/* Asking. */

static tarn_status pool_empty_cache(tarn_allocator *allocator) {
    size_t bytes = 0;
    tarn_status status = pool_give_back(pool_of(allocator), &bytes);
    tarn_status below = memory_empty_cache_below(allocator);
    return status != TARN_OK ? status : below;
}

static tarn_status pool_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    pool *self = pool_of(allocator);
    tarn_status status = memory_stats_below(allocator, out_stats);
    if (status != TARN_OK) return status;
    biased_way way = biased_lock_take(&self->lock);
    memory_figures_fill(&self->figures, out_stats);
    out_stats->largest_free_block = pool_largest_idle(self);
    biased_lock_leave(&self->lock, way);
    return TARN_OK;
}

static tarn_status pool_reset_peaks(tarn_allocator *allocator) {
    pool *self = pool_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    memory_figures_reset_peaks(&self->figures);
    biased_lock_leave(&self->lock, way);
    return memory_reset_peaks_below(allocator);
}

static tarn_block_info describe(const pool_slab *slab, const memory_block *block) {
    bool is_out = block->flags == POOL_OUT, is_idle = block->flags == POOL_IDLE;
    return (tarn_block_info){
        .struct_size = sizeof(tarn_block_info),
        .address = (uintptr_t)block->address,
        .segment = slab->range.start,
        .size = block->capacity,
        .requested = is_out ? block->live.requested : 0,
        .stream = is_idle ? slab->lane->stream : block->stream,
        .state = is_out    ? TARN_BLOCK_IN_USE
                 : is_idle ? TARN_BLOCK_CACHED
                           : TARN_BLOCK_PENDING,
        .tag = is_out ? block->live.tag : NULL,
    };
}

static bool show_slab(const pool_slab *slab, int (*visit)(void *, const tarn_block_info *), void *context) {
    for (size_t i = 0; i < slab->made; i++) {
        tarn_block_info info = describe(slab, slab->blocks[i]);
        if (visit(context, &info) != 0) return true;
    }
    size_t shown = slab->made * slab->stride;
    tarn_block_info rest = {
        .struct_size = sizeof rest,
        .address = slab->range.start + shown,
        .segment = slab->range.start,
        .size = slab->range.size - shown,
        .stream = slab->lane->stream,
        .state = TARN_BLOCK_CACHED,
    };
    return rest.size != 0 && visit(context, &rest) != 0;
}

static tarn_status pool_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                   void *context) {
    pool *self = pool_of(allocator);
    bool is_stopped = false;
    biased_way way = biased_lock_take(&self->lock);
    for (base_range *range = base_range_after(self->slabs, 0); range != NULL && !is_stopped;
         range = base_range_after(self->slabs, range->start)) {
        is_stopped = show_slab(pool_slab_at(range), visit, context);
    }
    biased_lock_leave(&self->lock, way);
    return TARN_OK;
}

static tarn_status pool_find_live(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    pool *self = pool_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    memory_block *block = pool_block_at(self, (uintptr_t)pointer);
    bool is_live = block != NULL && (atomic_load_explicit(&block->life, memory_order_acquire) & BLOCK_IS_LIVE) != 0;
    biased_lock_leave(&self->lock, way);
    if (!is_live) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: no live buffer begins at %p", allocator->spec,
                         memory_device_name(allocator), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

static tarn_status pool_check(tarn_allocator *allocator) {
    pool *self = pool_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    pool_tidy(self);
    const char *broken = pool_slabs_check(self);
    biased_lock_leave(&self->lock, way);
    return broken == NULL ? TARN_OK : base_fail(TARN_INTERNAL, "%s: %s", allocator->spec, broken);
}

/* The allocator itself. */

static size_t pool_retire(tarn_allocator *allocator) {
    pool *self = pool_of(allocator);
    biased_way way = biased_lock_take(&self->lock);
    self->is_retired = true;
    size_t own = (size_t)self->figures.tally.blocks.current - self->inner;
    biased_lock_leave(&self->lock, way);
    return own;
}

static void pool_destroy(tarn_allocator *allocator) {
    pool *self = pool_of(allocator);
    pool_slabs_end(self);
    direct_streams_end(&self->streams);
    biased_lock_end(&self->lock);
    memory_allocator_end(allocator);
}

/* The lock before the streams': it is taken outside it. */
static tarn_status begin(pool *self, tarn_device *device) {
    if (!biased_lock_begin(&self->lock)) {
        return base_fail(TARN_OUT_OF_MEMORY, "pool: no host memory for an allocator");
    }
    tarn_status status = direct_streams_begin(&self->streams, device);
    if (status == TARN_OK) {
        self->base.device = device; /* for the sentence of a failure */
        status = pool_lane_get(self, tarn_device_default_stream(device), &self->recent);
        if (status != TARN_OK) direct_streams_end(&self->streams);
    }
    if (status != TARN_OK) biased_lock_end(&self->lock);
    return status;
}

static tarn_status pool_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                               tarn_allocator **out_allocator) {
    tarn_allocator *below;
    tarn_status status = upstream_prepare(device, arguments, upstream, &direct_strategy, &below);
    if (status != TARN_OK) return status;
    pool *self = base_allocate(1, sizeof *self);
    if (self == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "pool: no host memory for an allocator");
    } else {
        self->alignment = hal_device_properties(device)->alignment;
        self->alignment_shift = (unsigned)__builtin_ctzll(self->alignment);
        status = begin(self, device);
    }
    if (status != TARN_OK) {
        base_free(self);
        upstream_undo(upstream, below);
        return status;
    }
    memory_allocator_begin(&self->base, &pool_strategy, device, below);
    *out_allocator = &self->base;
    return TARN_OK;
}

const memory_strategy pool_strategy = {
    .name = "pool",
    .takes_pieces = true,
    .create = pool_create,
    .destroy = pool_destroy,
    .allocate = pool_allocate,
    .free = pool_free,
    .allocate_quickly = pool_allocate_quickly,
    .free_quickly = pool_free_quickly,
    .retire = pool_retire,
    .empty_cache = pool_empty_cache,
    .stats = pool_stats,
    .reset_peaks = pool_reset_peaks,
    .each_block = pool_each_block,
    .find = pool_find_live,
    .check = pool_check,
    .record_stream = pool_record_stream,
};
