/* Taking back from a number on: reset, mark and rewind of an arena.
 *
 * What a reset or a rewind takes back are live buffers that nobody freed, so each of them ends as a free would end it: its
 * handle becomes stale, the adaptors above hear of it, and its memory waits for other streams that use it. */
#include <tarn/arena.h>

#include "base/status.h"
#include "memory/arena.h"
#include "memory/arena_chunks.h"
#include "memory/stack.h"

typedef struct taken_blocks {
    memory_block *live; /* by arena_next */
    memory_block *kept; /* freed before: an adaptor above keeps them */
} taken_blocks;

static void collect(const arena_chunk *chunk, uint64_t sequence, taken_blocks *taken) {
    for (memory_block *block = chunk->last; block != NULL; block = block->neighbours.previous) {
        if (arena_is_waiting(block)) continue;
        if (arena_sequence(block) < sequence) break;
        bool is_live = (atomic_load_explicit(&block->life, memory_order_relaxed) & BLOCK_IS_LIVE) != 0;
        memory_block **list = is_live ? &taken->live : &taken->kept;
        if (is_live) block_end_life(block);
        arena_set_next(block, *list);
        *list = block;
    }
}

/* `site` is where it happens. */
static void tell_adaptors(const taken_blocks *taken, const void *site) {
    memory_block *next;
    for (memory_block *block = taken->live; block != NULL; block = next) {
        next = arena_next(block);
        block->site = site;
        memory_take_back(block, true);
    }
    for (memory_block *block = taken->kept; block != NULL; block = next) {
        next = arena_next(block);
        memory_take_back(block, false);
    }
}

static void take_list(arena *self, memory_block *list) {
    for (memory_block *next; list != NULL; list = next) {
        next = arena_next(list);
        arena_take(self, list);
    }
}

/* Remembers the rewind. Those to higher positions say nothing more. Where there are too many, the oldest two become one
 * that is stricter than either. */
static void note_rewind(arena *self, uint64_t sequence) {
    arena_rewind *rewound = self->rewound;
    while (self->rewound_count > 0 && rewound[self->rewound_count - 1].sequence >= sequence) self->rewound_count--;
    if (self->rewound_count == ARENA_REWINDS) {
        rewound[0].number = rewound[1].number;
        for (unsigned i = 1; i + 1 < ARENA_REWINDS; i++) rewound[i] = rewound[i + 1];
        self->rewound_count--;
    }
    rewound[self->rewound_count++] = (arena_rewind){.number = ++self->rewinds, .sequence = sequence};
}

/* Inside. */
static void rewind_to(arena *self, uint64_t sequence, const void *site) {
    taken_blocks taken = {NULL, NULL};
    arena_tidy(self);
    for (const arena_lane *lane = &self->default_lane; lane != NULL; lane = lane->next)
        for (const arena_chunk *chunk = lane->chunks; chunk != NULL; chunk = chunk->next)
            collect(chunk, sequence, &taken);
    arena_leave(self);
    tell_adaptors(&taken, site);
    arena_go_back_in(self);
    take_list(self, taken.kept);
    take_list(self, taken.live);
    for (arena_lane *lane = &self->default_lane; lane != NULL; lane = lane->next) lane->current = lane->chunks;
    if (sequence < self->sequence) self->sequence = sequence;
    note_rewind(self, sequence);
}

/* Whether a rewind has passed the position since it was taken. */
static bool is_passed(const arena *self, const tarn_arena_position *position) {
    for (unsigned i = 0; i < self->rewound_count; i++) {
        if (self->rewound[i].number > position->rewinds) return self->rewound[i].sequence < position->sequence;
    }
    return false;
}

/* Goes into the arena below the adaptors of a stack. */
static tarn_status enter_stack(tarn_allocator *allocator, const char *what, arena **out_arena) {
    tarn_allocator *element;
    tarn_status status = memory_strategy_of(allocator, &arena_strategy, what, &element);
    if (status != TARN_OK) return status;
    if (!arena_enter(arena_of(element))) return arena_refuse_second_thread(element);
    *out_arena = arena_of(element);
    return TARN_OK;
}

tarn_status tarn_arena_reset(tarn_allocator *allocator) {
    arena *self;
    tarn_status status = enter_stack(allocator, "reset", &self);
    if (status != TARN_OK) return status;
    rewind_to(self, 0, MEMORY_CALL_SITE());
    self->is_short = false;
    arena_leave(self);
    return TARN_OK;
}

tarn_status tarn_arena_mark(tarn_allocator *allocator, tarn_arena_position *out_position) {
    arena *self;
    if (out_position == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the place for an arena's position is NULL");
    tarn_status status = enter_stack(allocator, "mark", &self);
    if (status != TARN_OK) return status;
    *out_position = (tarn_arena_position){.arena = self->serial, .sequence = self->sequence, .rewinds = self->rewinds};
    arena_leave(self);
    return TARN_OK;
}

tarn_status tarn_arena_rewind(tarn_allocator *allocator, const tarn_arena_position *position) {
    arena *self;
    if (position == NULL) return base_fail(TARN_INVALID_ARGUMENT, "an arena's position to rewind to is NULL");
    tarn_status status = enter_stack(allocator, "rewind", &self);
    if (status != TARN_OK) return status;
    const char *name = memory_device_name(allocator);
    if (position->arena != self->serial) {
        status =
            base_fail(TARN_INVALID_ARGUMENT, "%s on %s: the position is one of another arena", allocator->spec, name);
    } else if (position->sequence > self->sequence || is_passed(self, position)) {
        status = base_fail(TARN_INVALID_ARGUMENT,
                           "%s on %s: the arena was reset or rewound past that position since it was marked",
                           allocator->spec, name);
    } else {
        rewind_to(self, position->sequence, MEMORY_CALL_SITE());
    }
    arena_leave(self);
    return status;
}
