/* arena: memory is handed out from one end of a chunk, by raising a number, and taken back all at once by lowering it.
 *
 * Handing out and taking back touch the chunk and one descriptor. There is no lock: an arena is for one thread at a time, and
 * a mark that a thread leaves while it is inside tells some of those that come in beside it. Taking back all at once is in
 * arena_rewind.c. */
#include "memory/arena.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/arena_chunks.h"
#include "memory/direct.h"
#include "memory/stack.h"
#include "memory/upstream.h"

#define LEAST_CHUNK ((size_t)1 << 20)

static atomic_uint_fast64_t last_serial;

/* Allocating. */

static tarn_status arena_allocate_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                          tarn_buffer **out_buffer) {
    arena *self = arena_of(allocator);
    bool is_usual = size != 0 && size <= PTRDIFF_MAX && (stream == NULL || stream->device == allocator->device);
    if (__builtin_expect(is_usual && arena_enter(self), 1)) {
        arena_lane *lane = self->recent;
        bool is_ready = lane->stream == (stream != NULL ? hal_stream_number(stream) : 0) && !self->is_retired;
        memory_block *block =
            is_ready ? arena_bump(self, lane, round_up(size, self->alignment), self->alignment) : NULL;
        if (__builtin_expect(block != NULL, 1)) {
            block->live.requested = size;
            memory_tally_allocate(&self->figures.tally, size, block->capacity);
            *out_buffer = block_begin_life(block);
            arena_leave(self);
            return TARN_OK;
        }
        arena_leave(self);
    }
    return memory_allocate_long(allocator, size, stream, out_buffer);
}

/* A block from what the arena has; NULL, and OK, when it has no room. Inside. */
static tarn_status find_block(tarn_allocator *allocator, const memory_request *request, size_t capacity,
                              memory_block **out_block) {
    arena *self = arena_of(allocator);
    arena_lane *lane;
    arena_tidy(self);
    tarn_status status = arena_lane_get(self, request->stream, &lane);
    if (status == TARN_OK && self->spares == NULL) status = arena_spares_refill(self);
    if (status != TARN_OK) return status;
    memory_block *block = arena_bump(self, lane, capacity, request->alignment);
    if (block == NULL && arena_find_room(self, lane, capacity, request->alignment)) {
        block = arena_bump(self, lane, capacity, request->alignment);
    }
    *out_block = block;
    return TARN_OK;
}

/* What is not used goes back, and reclaimers are asked; false when neither gives anything. Inside. */
static bool make_room(tarn_allocator *allocator, const memory_request *request, size_t capacity) {
    arena *self = arena_of(allocator);
    size_t bytes = 0;
    self->figures.tally.retries++;
    (void)arena_give_back(self, &bytes);
    if (bytes != 0) return true;
    arena_leave(self);
    bytes = memory_reclaim(request->outer, capacity);
    arena_go_back_in(self);
    return bytes != 0;
}

static const upstream_steps steps = {.find = find_block, .grow = arena_grow, .make_room = make_room};

static uint64_t largest_free(const arena *self) {
    size_t largest = 0;
    for (base_range *range = base_range_after(self->ranges, 0); range != NULL;
         range = base_range_after(self->ranges, range->start)) {
        size_t free_bytes = range->size - arena_chunk_at(range)->used;
        if (free_bytes > largest) largest = free_bytes;
    }
    return largest;
}

static tarn_status arena_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    arena *self = arena_of(allocator);
    size_t capacity;
    if (!checked_round_up(request->size, self->alignment, &capacity)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%zu bytes cannot be rounded up to the alignment", request->size);
    }
    if (!arena_enter(self)) return arena_refuse_second_thread(allocator);
    memory_block *block;
    tarn_status status = upstream_serve(allocator, &steps, request, capacity, &block);
    if (status == TARN_OK) {
        memory_block_fill(block, request, allocator);
        memory_tally_allocate(&self->figures.tally, request->size, capacity);
        if (request->outer != allocator) self->inner++;
        *out_block = block;
    } else {
        self->figures.tally.failed++;
        if (upstream_is_short(status)) {
            status = upstream_explain(allocator, status, request->size, self->figures.tally.in_use.current,
                                      self->figures.held, largest_free(self));
        }
    }
    arena_leave(self);
    return status;
}

/* Freeing. */

static tarn_status arena_free_quickly(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream) {
    arena *self = arena_of(allocator);
    if (__builtin_expect(!block_has_number(buffer), 0)) return memory_free_long(allocator, buffer, stream);
    memory_block *block = block_behind(buffer);
    /* Whose top of the stack this allocator is, is its own. */
    bool is_own =
        block_is_named(block, buffer) && block->live.outer == allocator &&
        (stream == NULL || (stream->device == allocator->device && hal_stream_number(stream) == block->stream));
    if (__builtin_expect(is_own && arena_enter(self), 1)) {
        bool is_taken = !self->is_retired && block->uses == NULL && block->live.tag == NULL;
        if (__builtin_expect(is_taken, 1)) {
            block_end_life(block);
            memory_figures_free(&self->figures, block->live.requested, block->capacity);
            arena_unlink(self, block);
        }
        arena_leave(self);
        if (__builtin_expect(is_taken, 1)) return TARN_OK;
    }
    return memory_free_long(allocator, buffer, stream);
}

/* Remembers that the stream uses the block, unless the order of the block's own lane says enough. Inside. */
static tarn_status add_use(arena *self, memory_block *block, tarn_stream *stream) {
    if (hal_stream_number(stream) == arena_chunk_of(block)->lane->stream) return TARN_OK;
    direct_use *uses = block->uses;
    tarn_status status = direct_streams_use(&self->streams, stream, &uses);
    block->uses = uses;
    return status;
}

static void push_stray(arena *self, memory_block *block) {
    memory_block *head = atomic_load_explicit(&self->strays, memory_order_relaxed);
    do {
        arena_set_next(block, head);
    } while (!atomic_compare_exchange_weak_explicit(&self->strays, &head, block, memory_order_release,
                                                    memory_order_relaxed));
}

static tarn_status arena_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    arena *self = arena_of(allocator);
    if (!arena_enter(self)) {
        push_stray(self, block);
        return arena_refuse_second_thread(allocator);
    }
    if (stream != NULL && add_use(self, block, stream) != TARN_OK) {
        /* Without host memory to remember the stream by, it is waited for. */
        arena_leave(self);
        bool has_ended = direct_work_has_ended(tarn_stream_synchronize(stream));
        arena_go_back_in(self);
        if (!has_ended) block->flags |= ARENA_IS_LOST;
    }
    arena_take(self, block);
    arena_leave(self);
    return TARN_OK;
}

static tarn_status arena_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    arena *self = arena_of(allocator);
    if (!arena_enter(self)) return arena_refuse_second_thread(allocator);
    tarn_status status = add_use(self, block, stream);
    arena_leave(self);
    return status;
}

/* Asking. */

static tarn_status arena_empty_cache(tarn_allocator *allocator) {
    arena *self = arena_of(allocator);
    size_t bytes = 0;
    if (!arena_enter(self)) return arena_refuse_second_thread(allocator);
    arena_tidy(self);
    tarn_status status = arena_give_back(self, &bytes);
    self->is_short = false;
    arena_leave(self);
    tarn_status below = memory_empty_cache_below(allocator);
    return status != TARN_OK ? status : below;
}

static tarn_status arena_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    arena *self = arena_of(allocator);
    tarn_status status = memory_stats_below(allocator, out_stats);
    if (status != TARN_OK) return status;
    if (!arena_enter(self)) return arena_refuse_second_thread(allocator);
    memory_figures_fill(&self->figures, out_stats);
    out_stats->largest_free_block = largest_free(self);
    arena_leave(self);
    return TARN_OK;
}

static tarn_status arena_reset_peaks(tarn_allocator *allocator) {
    arena *self = arena_of(allocator);
    if (!arena_enter(self)) return arena_refuse_second_thread(allocator);
    memory_figures_reset_peaks(&self->figures);
    arena_leave(self);
    return memory_reset_peaks_below(allocator);
}

/* Bytes that nobody has, from `begin` to `end` of the chunk. */
static bool show_gap(const arena_chunk *chunk, size_t begin, size_t end, int (*visit)(void *, const tarn_block_info *),
                     void *context) {
    tarn_block_info info = {
        .struct_size = sizeof info,
        .address = chunk->range.start + begin,
        .segment = chunk->range.start,
        .size = end - begin,
        .stream = chunk->lane->stream,
        .state = TARN_BLOCK_CACHED,
    };
    return begin != end && visit(context, &info) != 0;
}

static bool show_chunk(const arena_chunk *chunk, int (*visit)(void *, const tarn_block_info *), void *context) {
    size_t shown = 0;
    for (const memory_block *block = chunk->first; block != NULL; block = block->neighbours.next) {
        bool is_waiting = arena_is_waiting(block);
        size_t offset = (uintptr_t)block->address - chunk->range.start;
        tarn_block_info info = {
            .struct_size = sizeof info,
            .address = (uintptr_t)block->address,
            .segment = chunk->range.start,
            .size = block->capacity,
            .requested = is_waiting ? 0 : block->live.requested,
            .stream = block->stream,
            .state = is_waiting ? TARN_BLOCK_PENDING : TARN_BLOCK_IN_USE,
            .tag = is_waiting ? NULL : block->live.tag,
        };
        if (show_gap(chunk, shown, offset, visit, context) || visit(context, &info) != 0) return true;
        shown = offset + block->capacity;
    }
    return show_gap(chunk, shown, chunk->range.size, visit, context);
}

static tarn_status arena_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                    void *context) {
    arena *self = arena_of(allocator);
    if (!arena_enter(self)) return arena_refuse_second_thread(allocator);
    bool is_stopped = false;
    for (base_range *range = base_range_after(self->ranges, 0); range != NULL && !is_stopped;
         range = base_range_after(self->ranges, range->start)) {
        is_stopped = show_chunk(arena_chunk_at(range), visit, context);
    }
    arena_leave(self);
    return TARN_OK;
}

static memory_block *find_live(const arena *self, uintptr_t address) {
    base_range *range = base_range_containing(self->ranges, address);
    memory_block *block = range != NULL ? arena_chunk_at(range)->first : NULL;
    while (block != NULL && (uintptr_t)block->address < address) block = block->neighbours.next;
    if (block == NULL || (uintptr_t)block->address != address) return NULL;
    return (atomic_load_explicit(&block->life, memory_order_acquire) & BLOCK_IS_LIVE) != 0 ? block : NULL;
}

static tarn_status arena_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    arena *self = arena_of(allocator);
    if (!arena_enter(self)) return arena_refuse_second_thread(allocator);
    memory_block *block = find_live(self, (uintptr_t)pointer);
    arena_leave(self);
    if (block == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: no live buffer begins at %p", allocator->spec,
                         memory_device_name(allocator), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

static tarn_status arena_check(tarn_allocator *allocator) {
    arena *self = arena_of(allocator);
    if (!arena_enter(self)) return arena_refuse_second_thread(allocator);
    arena_tidy(self);
    const char *broken = arena_chunks_check(self);
    arena_leave(self);
    return broken == NULL ? TARN_OK : base_fail(TARN_INTERNAL, "%s: %s", allocator->spec, broken);
}

/* The allocator itself. */

static size_t arena_retire(tarn_allocator *allocator) {
    arena *self = arena_of(allocator);
    arena_go_back_in(self);
    arena_tidy(self);
    self->is_retired = true;
    arena_leave(self);
    return (size_t)self->figures.tally.blocks.current - self->inner;
}

static void arena_destroy(tarn_allocator *allocator) {
    arena *self = arena_of(allocator);
    arena_go_back_in(self);
    arena_chunks_end(self);
    direct_streams_end(&self->streams);
    memory_allocator_end(allocator);
}

static tarn_status arena_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                tarn_allocator **out_allocator) {
    size_t least_chunk = LEAST_CHUNK;
    tarn_allocator *below;
    tarn_status status = memory_argument_size(arguments, "chunk", &least_chunk);
    if (status == TARN_OK && (!is_power_of_two(least_chunk) || least_chunk > PTRDIFF_MAX)) {
        status = memory_argument_refuse(arguments, "chunk", "a size that is a power of two, such as 1MiB");
    }
    if (status == TARN_OK) status = upstream_prepare(device, arguments, upstream, &direct_strategy, &below);
    if (status != TARN_OK) return status;
    arena *self = base_allocate(1, sizeof *self);
    status = self != NULL ? direct_streams_begin(&self->streams, device)
                          : base_fail(TARN_OUT_OF_MEMORY, "arena: no host memory for an allocator");
    if (status == TARN_OK) {
        status = direct_streams_know(&self->streams, tarn_device_default_stream(device));
        if (status != TARN_OK) direct_streams_end(&self->streams);
    }
    if (status != TARN_OK) {
        base_free(self);
        upstream_undo(upstream, below);
        return status;
    }
    size_t alignment = hal_device_properties(device)->alignment;
    self->serial = atomic_fetch_add_explicit(&last_serial, 1, memory_order_relaxed) + 1;
    self->alignment = alignment;
    self->least_chunk = least_chunk > alignment ? least_chunk : alignment;
    self->recent = &self->default_lane;
    memory_allocator_begin(&self->base, &arena_strategy, device, below);
    *out_allocator = &self->base;
    return TARN_OK;
}

const memory_strategy arena_strategy = {
    .name = "arena",
    .takes_pieces = true,
    .create = arena_create,
    .destroy = arena_destroy,
    .allocate = arena_allocate,
    .free = arena_free,
    .allocate_quickly = arena_allocate_quickly,
    .free_quickly = arena_free_quickly,
    .retire = arena_retire,
    .empty_cache = arena_empty_cache,
    .stats = arena_stats,
    .reset_peaks = arena_reset_peaks,
    .each_block = arena_each_block,
    .find = arena_find,
    .check = arena_check,
    .record_stream = arena_record_stream,
};
