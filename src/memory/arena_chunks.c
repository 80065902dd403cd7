/* The chunks of an arena, and the blocks in them; see arena_chunks.h. */
#include "memory/arena_chunks.h"

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/upstream.h"

/* Descriptors that are made at once. */
enum { SPARES = 32 };
/* A lane's next chunk is this part of what it has, so that their number stays small and what is not used of the last one
 * too. */
enum { GROWTH = 8 };

static tarn_status refuse_host_memory(const arena *self) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for an arena", tarn_device_name(self->base.device));
}

tarn_status arena_lane_get(arena *self, tarn_stream *stream, arena_lane **out_lane) {
    uint32_t number = hal_stream_number(stream);
    if (self->recent->stream != number) {
        arena_lane *lane = &self->default_lane;
        while (lane != NULL && lane->stream != number) lane = lane->next;
        if (lane == NULL) {
            tarn_status status = direct_streams_know(&self->streams, stream);
            if (status != TARN_OK) return status;
            lane = base_allocate(1, sizeof *lane);
            if (lane == NULL) return refuse_host_memory(self);
            lane->stream = number;
            lane->next = self->default_lane.next;
            self->default_lane.next = lane;
        }
        self->recent = lane;
    }
    *out_lane = self->recent;
    return TARN_OK;
}

static bool has_room(const arena_chunk *chunk, size_t capacity, size_t alignment) {
    size_t offset = round_up(chunk->range.start + chunk->used, alignment) - chunk->range.start;
    return offset <= chunk->range.size && capacity <= chunk->range.size - offset;
}

static void append_chunk(arena_lane *lane, arena_chunk *chunk) {
    arena_chunk **link = &lane->chunks;
    while (*link != NULL) link = &(*link)->next;
    *link = chunk;
    chunk->next = NULL;
    chunk->lane = lane;
    lane->held += chunk->range.size;
}

static void remove_chunk(arena_chunk *chunk) {
    arena_lane *lane = chunk->lane;
    arena_chunk **link = &lane->chunks;
    while (*link != chunk) link = &(*link)->next;
    *link = chunk->next;
    lane->held -= chunk->range.size;
    if (lane->current == chunk) lane->current = lane->chunks;
}

bool arena_find_room(arena *self, arena_lane *lane, size_t capacity, size_t alignment) {
    for (arena_chunk *chunk = lane->chunks; chunk != NULL; chunk = chunk->next) {
        if (!has_room(chunk, capacity, alignment)) continue;
        lane->current = chunk;
        return true;
    }
    for (arena_lane *other = self->default_lane.next; other != NULL; other = other->next) {
        arena_chunk *chunk = other->has_ended ? other->chunks : NULL;
        while (chunk != NULL && !has_room(chunk, capacity, alignment)) chunk = chunk->next;
        if (chunk == NULL) continue;
        remove_chunk(chunk);
        append_chunk(lane, chunk);
        lane->current = chunk;
        return true;
    }
    return false;
}

tarn_status arena_spares_refill(arena *self) {
    for (unsigned i = 0; i < SPARES && (self->spares == NULL || i > 0); i++) {
        memory_block *block = block_create();
        if (block == NULL) break;
        block->owner = block->live.outer = &self->base;
        arena_put_spare(self, block);
    }
    return self->spares != NULL ? TARN_OK : refuse_host_memory(self);
}

static void insert_chunk(arena *self, arena_lane *lane, arena_chunk *chunk) {
    chunk->range.start = (uintptr_t)chunk->piece->address;
    chunk->range.size = chunk->piece->capacity;
    base_range_insert(&self->ranges, &chunk->range);
    append_chunk(lane, chunk);
    lane->current = chunk;
    memory_figures_take(&self->figures, chunk->range.size);
}

/* What a chunk for the request should have: more than that, so that the number of chunks stays small. */
static size_t chunk_size(const arena *self, const arena_lane *lane, size_t capacity) {
    size_t wanted = self->is_short ? 0 : lane->held / GROWTH;
    if (wanted < self->least_chunk) wanted = self->least_chunk;
    if (wanted < capacity) wanted = capacity;
    return checked_round_up(wanted, self->least_chunk, &wanted) ? wanted : capacity;
}

tarn_status arena_grow(tarn_allocator *allocator, const memory_request *request, size_t capacity) {
    arena *self = arena_of(allocator);
    arena_lane *lane;
    tarn_status status = arena_lane_get(self, request->stream, &lane);
    arena_chunk *chunk = status == TARN_OK ? base_allocate(1, sizeof *chunk) : NULL;
    if (chunk == NULL) return status == TARN_OK ? refuse_host_memory(self) : status;
    size_t wanted = chunk_size(self, lane, capacity);
    arena_leave(self);
    status = upstream_take(&self->base, wanted, request->alignment, request->stream, &chunk->piece);
    bool is_too_much = upstream_is_short(status) && wanted > capacity;
    if (is_too_much) status = upstream_take(&self->base, capacity, request->alignment, request->stream, &chunk->piece);
    arena_go_back_in(self);
    if (is_too_much) self->is_short = true;
    if (status != TARN_OK) {
        base_free(chunk);
        return status;
    }
    /* The lane may have gone meanwhile. */
    status = arena_lane_get(self, request->stream, &lane);
    if (status == TARN_OK) {
        insert_chunk(self, lane, chunk);
        return TARN_OK;
    }
    (void)upstream_give(&self->base, chunk->piece);
    base_free(chunk);
    return status;
}

void arena_wait(arena *self, memory_block *block) {
    direct_streams_ask_anew(&self->streams, block->uses);
    (void)direct_streams_are_idle(&self->streams, block->uses, DIRECT_NO_STREAM);
    block->flags |= ARENA_IS_WAITING;
    arena_set_next(block, self->waiting);
    self->waiting = block;
}

static void forget_uses(memory_block *block) {
    direct_uses_free(block->uses);
    block->uses = NULL;
}

static void poll_waiting(arena *self) {
    memory_block *block = self->waiting, *next;
    self->waiting = NULL;
    for (; block != NULL; block = next) {
        next = arena_next(block);
        if ((block->flags & ARENA_IS_LOST) != 0 ||
            !direct_streams_are_idle(&self->streams, block->uses, DIRECT_NO_STREAM)) {
            arena_set_next(block, self->waiting);
            self->waiting = block;
        } else {
            forget_uses(block);
            arena_unlink(self, block);
        }
    }
}

/* What was taken for streams that have ended is idle: any lane may use it. */
static void note_ended_lanes(arena *self) {
    for (arena_lane **link = &self->default_lane.next; *link != NULL;) {
        arena_lane *lane = *link;
        lane->has_ended = lane->has_ended || !direct_streams_has(&self->streams, lane->stream);
        if (!lane->has_ended || lane->chunks != NULL) {
            link = &lane->next;
            continue;
        }
        *link = lane->next;
        if (self->recent == lane) self->recent = &self->default_lane;
        base_free(lane);
    }
}

void arena_tidy(arena *self) {
    memory_block *stray = atomic_exchange_explicit(&self->strays, NULL, memory_order_acquire);
    while (stray != NULL) {
        memory_block *next = arena_next(stray);
        arena_take(self, stray);
        stray = next;
    }
    poll_waiting(self);
    note_ended_lanes(self);
}

/* The descriptors of waiting blocks go with their chunk. */
static void drop_waiting(arena *self, const arena_chunk *chunk) {
    memory_block *block = self->waiting, *next;
    self->waiting = NULL;
    for (; block != NULL; block = next) {
        next = arena_next(block);
        if (arena_chunk_of(block) != chunk) {
            arena_set_next(block, self->waiting);
            self->waiting = block;
        } else {
            forget_uses(block);
            block->neighbours.next = NULL;
            arena_put_spare(self, block);
        }
    }
}

/* Has the element below wait for all that still use the chunk, besides the stream that it was taken for. */
static tarn_status share_uses(arena *self, const arena_chunk *chunk) {
    tarn_status status = upstream_share_stream(&self->streams, chunk->piece, chunk->lane->stream);
    for (const memory_block *block = chunk->first; block != NULL && status == TARN_OK; block = block->neighbours.next) {
        if (arena_is_waiting(block)) status = upstream_share(&self->streams, chunk->piece, block->uses);
    }
    return status;
}

/* Whether all that is left in the chunk are blocks that wait for streams that are known. */
static bool is_free(const arena_chunk *chunk) {
    const memory_block *block = chunk->first;
    while (block != NULL && arena_is_waiting(block) && (block->flags & ARENA_IS_LOST) == 0)
        block = block->neighbours.next;
    return block == NULL;
}

static tarn_status give_chunk(arena *self, arena_chunk *chunk) {
    drop_waiting(self, chunk);
    remove_chunk(chunk);
    base_range_remove(&self->ranges, chunk->range.start);
    memory_figures_give(&self->figures, chunk->range.size);
    memory_block *piece = chunk->piece;
    base_free(chunk);
    arena_leave(self);
    tarn_status status = upstream_give(&self->base, piece);
    arena_go_back_in(self);
    return status;
}

/* Waits for the whole device where that is the only way to know that lost blocks are idle. */
static void recover_lost(arena *self) {
    memory_block *block = self->waiting;
    while (block != NULL && (block->flags & ARENA_IS_LOST) == 0) block = arena_next(block);
    if (block == NULL) return;
    arena_leave(self);
    bool has_ended = direct_work_has_ended(tarn_device_synchronize(self->base.device));
    arena_go_back_in(self);
    for (block = self->waiting; block != NULL && has_ended; block = arena_next(block))
        block->flags &= ~(uint32_t)ARENA_IS_LOST;
    poll_waiting(self);
}

tarn_status arena_give_back(arena *self, size_t *inout_bytes) {
    tarn_status first = TARN_OK;
    recover_lost(self);
    for (base_range *range = base_range_after(self->ranges, 0); range != NULL;) {
        uintptr_t start = range->start;
        arena_chunk *chunk = arena_chunk_at(range);
        tarn_status status = TARN_OK;
        if (is_free(chunk)) {
            size_t bytes = chunk->range.size;
            status = share_uses(self, chunk);
            if (status == TARN_OK) {
                status = give_chunk(self, chunk);
                *inout_bytes += bytes;
            }
        }
        if (first == TARN_OK) first = status;
        range = base_range_after(self->ranges, start);
    }
    while (self->spares != NULL) {
        memory_block *block = self->spares;
        self->spares = block->neighbours.previous;
        block_destroy(block);
    }
    return first;
}

static const char *check_chunk(const arena_chunk *chunk, size_t *inout_blocks, uint64_t *inout_bytes) {
    size_t handed_out = 0;
    uintptr_t end = chunk->range.start;
    uint64_t sequence = 0;
    const memory_block *previous = NULL;
    for (const memory_block *block = chunk->first; block != NULL; block = block->neighbours.next) {
        if (block->neighbours.previous != previous || block->home != chunk)
            return "the blocks of a chunk are not linked";
        if ((uintptr_t)block->address < end) return "two blocks of a chunk overlap";
        end = (uintptr_t)block->address + block->capacity;
        previous = block;
        if (arena_is_waiting(block)) continue;
        if (handed_out != 0 && arena_sequence(block) <= sequence) return "the blocks of a chunk are out of order";
        sequence = arena_sequence(block);
        handed_out++;
        *inout_bytes += block->capacity;
    }
    if (previous != chunk->last || chunk->used != end - chunk->range.start)
        return "a chunk ends elsewhere than its blocks";
    if (chunk->used > chunk->range.size) return "a chunk is overfull";
    *inout_blocks += handed_out;
    return NULL;
}

static bool spares_are_ready(const arena *self) {
    for (const memory_block *block = self->spares; block != NULL; block = block->neighbours.previous) {
        if (block->neighbours.next != NULL || block->uses != NULL || block->live.tag != NULL) return false;
        if (block->live.outer != &self->base) return false;
    }
    return true;
}

const char *arena_chunks_check(const arena *self) {
    size_t blocks = 0, held = 0;
    uint64_t bytes = 0;
    const arena_lane *lane = &self->default_lane;
    do {
        size_t held_before = held;
        for (const arena_chunk *chunk = lane->chunks; chunk != NULL; chunk = chunk->next) {
            const char *broken = check_chunk(chunk, &blocks, &bytes);
            if (broken != NULL) return broken;
            if (chunk->lane != lane) return "a chunk is in another lane than it says";
            held += chunk->range.size;
        }
        if (held - held_before != lane->held) return "a lane has miscounted its bytes";
        lane = lane->next;
    } while (lane != NULL);
    if (!spares_are_ready(self)) return "a spare descriptor is not as it should be";
    if (held != self->figures.held) return "the bytes held are miscounted";
    if (blocks != self->figures.tally.blocks.current || bytes != self->figures.tally.in_use.current)
        return "the blocks are miscounted";
    return NULL;
}

void arena_chunks_end(arena *self) {
    size_t bytes = 0;
    arena_tidy(self);
    if (arena_give_back(self, &bytes) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s: the memory of an arena could not be given back at once: %s",
                 tarn_device_name(self->base.device), tarn_last_error());
    }
    /* What could not be waited for still goes: the element below keeps what it cannot give back either. */
    while (self->ranges != NULL) (void)give_chunk(self, arena_chunk_at(self->ranges));
    while (self->spares != NULL) {
        memory_block *block = self->spares;
        self->spares = block->neighbours.previous;
        block_destroy(block);
    }
    while (self->default_lane.next != NULL) {
        arena_lane *lane = self->default_lane.next;
        self->default_lane.next = lane->next;
        base_free(lane);
    }
}
