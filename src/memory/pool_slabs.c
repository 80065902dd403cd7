/* The slabs of a pool, and the blocks in them; see pool_slabs.h. */
#include "memory/pool_slabs.h"

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/upstream.h"

/* A slab of a small class has room for so many blocks, within these bounds. */
enum { SLAB_BLOCKS = 16 };
#define LEAST_SLAB ((size_t)64 << 10)
#define MOST_SLAB ((size_t)1 << 20)
/* Blocks of a list that are looked at for one that is large enough, or aligned as asked. */
enum { LOOKED_AT = 32 };

static tarn_status refuse_host_memory(const pool *self) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a pool", tarn_device_name(self->base.device));
}

static bool is_large(size_t capacity) { return capacity >= POOL_LARGE; }

tarn_status pool_lane_get(pool *self, tarn_stream *stream, pool_lane **out_lane) {
    uint32_t number = hal_stream_number(stream);
    pool_lane *lane = self->lanes;
    while (lane != NULL && lane->stream != number) lane = lane->next;
    if (lane == NULL) {
        tarn_status status = direct_streams_know(&self->streams, stream);
        if (status != TARN_OK) return status;
        lane = base_allocate(1, sizeof *lane);
        if (lane == NULL) return refuse_host_memory(self);
        lane->stream = number;
        lane->next = self->lanes;
        self->lanes = lane;
    }
    self->recent = lane;
    *out_lane = lane;
    return TARN_OK;
}

static void forget_uses(memory_block *block) {
    direct_uses_free(block->uses);
    block->uses = NULL;
}

/* Adds a block to those that wait. */
static void put_waiting(pool *self, memory_block *block) {
    block->neighbours.next = NULL;
    if (self->waiting_last == NULL) self->waiting = block;
    else self->waiting_last->neighbours.next = block;
    self->waiting_last = block;
}

static void poll_waiting(pool *self) {
    direct_busy busy = {.count = 0};
    self->waiting_last = NULL;
    for (memory_block **link = &self->waiting; *link != NULL;) {
        memory_block *block = *link;
        if (!direct_streams_are_idle_in_turn(&self->streams, block->uses, &busy)) {
            self->waiting_last = block;
            link = &block->neighbours.next;
            continue;
        }
        *link = block->neighbours.next;
        forget_uses(block);
        pool_push(pool_slab_of(block)->lane, block);
    }
}

void pool_tidy(pool *self) {
    poll_waiting(self);
    for (pool_lane **link = &self->lanes; *link != NULL;) {
        pool_lane *lane = *link;
        lane->has_ended = lane->has_ended || !direct_streams_has(&self->streams, lane->stream);
        if (!lane->has_ended || lane->slab_count != 0) {
            link = &lane->next;
            continue;
        }
        *link = lane->next;
        if (self->recent == lane) self->recent = self->lanes;
        base_free(lane);
    }
}

/* Takes the first block out of a list that is large enough and aligned. */
static memory_block *take_from(memory_block **list, size_t capacity, size_t alignment) {
    memory_block **link = list;
    for (unsigned i = 0; i < LOOKED_AT && *link != NULL; i++) {
        memory_block *block = *link;
        if (block->capacity >= capacity && ((uintptr_t)block->address & (alignment - 1)) == 0) {
            *link = block->neighbours.next;
            return block;
        }
        link = &block->neighbours.next;
    }
    return NULL;
}

/* Sees to it that there is a descriptor for the next block that is made. */
static tarn_status prepare_spare(pool *self) {
    if (self->spare == NULL) self->spare = block_create();
    return self->spare != NULL ? TARN_OK : refuse_host_memory(self);
}

/* The next block of a slab that has room. There is a spare descriptor. */
static memory_block *make_block(pool *self, pool_slab *slab, unsigned class) {
    memory_block *block = self->spare;
    self->spare = NULL;
    block->owner = &self->base;
    block->address = (void *)(slab->range.start + slab->made * slab->stride); /* NOLINT(performance-no-int-to-ptr) */
    block->capacity = slab->stride;
    block->home = slab;
    block->kind = class;
    slab->blocks[slab->made++] = block;
    return block;
}

static memory_block *find_in_lane(pool *self, pool_lane *lane, size_t capacity, size_t alignment) {
    unsigned class = pool_class(self, capacity);
    memory_block *block = take_from(&lane->idle[class], capacity, alignment);
    if (block != NULL) return block;
    pool_slab *slab = lane->unfinished[class];
    if (slab != NULL && alignment <= self->alignment) {
        block = make_block(self, slab, class);
        if (slab->made == slab->count) lane->unfinished[class] = slab->next;
        return block;
    }
    /* All blocks of the next class are large enough. */
    return is_large(capacity) && class + 1 < POOL_CLASSES ? take_from(&lane->idle[class + 1], capacity, alignment)
                                                          : NULL;
}

/* Moves a slab of an ended lane, with its blocks that are not in use, to `lane`. The block that was taken of it is in no list. */
static void move_slab(pool_lane *lane, pool_slab *slab, unsigned class) {
    pool_lane *from = slab->lane;
    slab->lane = lane;
    from->slab_count--;
    lane->slab_count++;
    for (memory_block **link = &from->idle[class]; *link != NULL;) {
        memory_block *block = *link;
        if (pool_slab_of(block) != slab) {
            link = &block->neighbours.next;
            continue;
        }
        *link = block->neighbours.next;
        pool_push(lane, block);
    }
    for (pool_slab **link = &from->unfinished[class]; *link != NULL; link = &(*link)->next) {
        if (*link != slab) continue;
        *link = slab->next;
        slab->next = lane->unfinished[class];
        lane->unfinished[class] = slab;
        break;
    }
}

tarn_status pool_find(pool *self, pool_lane *lane, size_t capacity, size_t alignment, memory_block **out_block) {
    tarn_status status = prepare_spare(self);
    if (status != TARN_OK) return status;
    memory_block *block = find_in_lane(self, lane, capacity, alignment);
    for (pool_lane *other = self->lanes; block == NULL && other != NULL; other = other->next) {
        if (!other->has_ended) continue;
        block = find_in_lane(self, other, capacity, alignment);
        if (block != NULL) move_slab(lane, pool_slab_of(block), block->kind);
    }
    if (block != NULL) {
        block->flags = POOL_OUT;
        block->stream = lane->stream;
    }
    *out_block = block;
    return TARN_OK;
}

void pool_take(pool *self, memory_block *block) {
    memory_figures_free(&self->figures, block->live.requested, block->capacity);
    if (block->live.outer != &self->base) self->inner--;
    if (block->flags == POOL_LOST) {
        block->neighbours.next = self->lost;
        self->lost = block;
        return;
    }
    if (block->uses == NULL) {
        pool_push(pool_slab_of(block)->lane, block);
        return;
    }
    direct_streams_ask_anew(&self->streams, block->uses);
    (void)direct_streams_are_idle(&self->streams, block->uses, DIRECT_NO_STREAM);
    block->flags = POOL_WAITING;
    put_waiting(self, block);
}

/* Growing. */

static void insert_slab(pool *self, pool_lane *lane, pool_slab *slab) {
    slab->lane = lane;
    lane->slab_count++;
    base_range_insert(&self->slabs, &slab->range);
    memory_figures_take(&self->figures, slab->range.size);
}

/* The slab of that many blocks, or of one where that is too much for the element below. */
static tarn_status take_piece(pool *self, pool_slab *slab, tarn_stream *stream, size_t alignment) {
    tarn_status status = upstream_take(&self->base, slab->count * slab->stride, alignment, stream, &slab->piece);
    if (upstream_is_short(status) && slab->count > 1) {
        slab->count = 1;
        status = upstream_take(&self->base, slab->stride, alignment, stream, &slab->piece);
    }
    if (status != TARN_OK) return status;
    slab->range.start = (uintptr_t)slab->piece->address;
    slab->range.size = slab->piece->capacity;
    return TARN_OK;
}

tarn_status pool_grow(tarn_allocator *allocator, const memory_request *request, size_t capacity) {
    pool *self = pool_of(allocator);
    size_t alignment = request->alignment;
    unsigned class = pool_class(self, capacity);
    size_t stride = is_large(capacity) ? capacity : pool_class_capacity(self, class), count = 1;
    bool is_shared = !is_large(capacity) && alignment <= self->alignment;
    if (is_shared) {
        size_t bytes = stride * SLAB_BLOCKS < LEAST_SLAB ? LEAST_SLAB : stride * SLAB_BLOCKS;
        count = (bytes < MOST_SLAB ? bytes : MOST_SLAB) / stride;
    }
    pool_slab *slab = base_allocate(1, sizeof *slab + count * sizeof slab->blocks[0]);
    if (slab == NULL) return refuse_host_memory(self);
    slab->stride = stride;
    slab->count = count;
    tarn_status status = take_piece(self, slab, request->stream, alignment);
    if (status != TARN_OK) {
        base_free(slab);
        return status;
    }
    pool_lane *lane;
    biased_way way = biased_lock_take(&self->lock);
    status = pool_lane_get(self, request->stream, &lane);
    if (status == TARN_OK) status = prepare_spare(self);
    if (status == TARN_OK) {
        insert_slab(self, lane, slab);
        if (is_shared) {
            slab->next = lane->unfinished[class];
            lane->unfinished[class] = slab;
        } else {
            pool_push(lane, make_block(self, slab, class));
        }
    }
    biased_lock_leave(&self->lock, way);
    if (status == TARN_OK) return TARN_OK;
    (void)upstream_give(&self->base, slab->piece);
    base_free(slab);
    return status;
}

/* Giving back. */

static bool is_free(const pool_slab *slab) {
    for (size_t i = 0; i < slab->made; i++)
        if (slab->blocks[i]->flags == POOL_OUT || slab->blocks[i]->flags == POOL_LOST) return false;
    return true;
}

/* Drops blocks that are going. Returns the last that stays, or NULL. */
static memory_block *drop_blocks(memory_block **list) {
    memory_block *last = NULL;
    for (memory_block **link = list; *link != NULL;) {
        if (pool_slab_of(*link)->is_going) {
            *link = (*link)->neighbours.next;
        } else {
            last = *link;
            link = &last->neighbours.next;
        }
    }
    return last;
}

static void drop_slabs(pool_slab **list) {
    for (pool_slab **link = list; *link != NULL;) {
        if ((*link)->is_going) *link = (*link)->next;
        else link = &(*link)->next;
    }
}

/* Takes the free slabs out of the pool, or all. The lock is held. */
static pool_slab *take_slabs_out(pool *self, bool all) {
    pool_slab *going = NULL;
    size_t count = 0;
    for (base_range *range = base_range_after(self->slabs, 0); range != NULL;
         range = base_range_after(self->slabs, range->start)) {
        pool_slab_at(range)->is_going = all || is_free(pool_slab_at(range));
        count += pool_slab_at(range)->is_going;
    }
    if (count == 0) return NULL;
    self->waiting_last = drop_blocks(&self->waiting);
    for (pool_lane *lane = self->lanes; lane != NULL; lane = lane->next) {
        for (unsigned class = 0; class < POOL_CLASSES; class ++) {
            (void)drop_blocks(&lane->idle[class]);
            drop_slabs(&lane->unfinished[class]);
        }
    }
    for (base_range *range = base_range_after(self->slabs, 0), *next; range != NULL; range = next) {
        next = base_range_after(self->slabs, range->start);
        pool_slab *slab = pool_slab_at(range);
        if (!slab->is_going) continue;
        base_range_remove(&self->slabs, range->start);
        memory_figures_give(&self->figures, range->size);
        slab->next = going;
        going = slab;
    }
    return going;
}

/* Puts a slab that could not be given back into the pool again. The lock is held. */
static void put_slab_back(pool *self, pool_slab *slab) {
    pool_lane *lane = slab->lane;
    slab->is_going = false;
    lane->slab_count--;
    insert_slab(self, lane, slab);
    for (size_t i = 0; i < slab->made; i++) {
        memory_block *block = slab->blocks[i];
        if (block->flags == POOL_IDLE) {
            pool_push(lane, block);
        } else if (block->flags == POOL_WAITING) {
            put_waiting(self, block);
        }
    }
    if (slab->made < slab->count) {
        unsigned class = pool_class(self, slab->stride);
        slab->next = lane->unfinished[class];
        lane->unfinished[class] = slab;
    }
}

/* Has the element below wait for all that still use the slab, besides the stream that it was taken for. */
static tarn_status share_uses(pool *self, const pool_slab *slab) {
    tarn_status status = upstream_share_stream(&self->streams, slab->piece, slab->lane->stream);
    for (size_t i = 0; i < slab->made && status == TARN_OK; i++) {
        const memory_block *block = slab->blocks[i];
        if (block->flags == POOL_WAITING) status = upstream_share(&self->streams, slab->piece, block->uses);
    }
    return status;
}

/* Gives a slab back that is out of the pool, or puts it in again. */
static tarn_status give_slab(pool *self, pool_slab *slab, bool in_any_case, size_t *inout_bytes) {
    tarn_status status = share_uses(self, slab);
    bool is_kept = status != TARN_OK && !in_any_case;
    if (!is_kept) {
        for (size_t i = 0; i < slab->made; i++) {
            if (slab->blocks[i]->flags != POOL_IDLE) forget_uses(slab->blocks[i]);
            block_destroy(slab->blocks[i]);
        }
        *inout_bytes += slab->range.size;
        tarn_status given = upstream_give(&self->base, slab->piece);
        if (status == TARN_OK) status = given;
    }
    biased_way way = biased_lock_take(&self->lock);
    if (is_kept) put_slab_back(self, slab);
    else slab->lane->slab_count--;
    biased_lock_leave(&self->lock, way);
    if (!is_kept) base_free(slab);
    return status;
}

static tarn_status give_slabs(pool *self, bool all, size_t *inout_bytes) {
    tarn_status first = TARN_OK;
    biased_way way = biased_lock_take(&self->lock);
    pool_tidy(self);
    pool_slab *going = take_slabs_out(self, all);
    biased_lock_leave(&self->lock, way);
    while (going != NULL) {
        pool_slab *next = going->next;
        tarn_status status = give_slab(self, going, all, inout_bytes);
        if (first == TARN_OK) first = status;
        going = next;
    }
    return first;
}

/* Waits for the whole device where that is the only way to know that lost blocks are idle. Without the lock. */
static void recover_lost(pool *self) {
    biased_way way = biased_lock_take(&self->lock);
    memory_block *lost = self->lost, *next;
    self->lost = NULL;
    biased_lock_leave(&self->lock, way);
    if (lost == NULL) return;
    bool has_ended = direct_work_has_ended(tarn_device_synchronize(self->base.device));
    way = biased_lock_take(&self->lock);
    for (; lost != NULL; lost = next) {
        next = lost->neighbours.next;
        if (has_ended) {
            forget_uses(lost);
            pool_push(pool_slab_of(lost)->lane, lost);
        } else {
            lost->neighbours.next = self->lost;
            self->lost = lost;
        }
    }
    biased_lock_leave(&self->lock, way);
}

tarn_status pool_give_back(pool *self, size_t *inout_bytes) {
    recover_lost(self);
    return give_slabs(self, false, inout_bytes);
}

void pool_slabs_end(pool *self) {
    size_t bytes = 0;
    recover_lost(self);
    if (give_slabs(self, true, &bytes) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s: the memory of a pool could not be given back at once: %s",
                 tarn_device_name(self->base.device), tarn_last_error());
    }
    if (self->spare != NULL) block_destroy(self->spare);
    while (self->lanes != NULL) {
        pool_lane *lane = self->lanes;
        self->lanes = lane->next;
        base_free(lane);
    }
}
