/* The blocks that tile a heap's segments; see caching_heap.h. */
#include "memory/caching_heap.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/caching_index.h"

/* In memory_block.flags. */
enum { SHOWN = 1u };

/* Descriptors that are kept at hand between calls. */
enum { SPARES_KEPT = 64 };

caching_parts caching_parts_of(const caching *owner, const memory_block *block) {
    const size_t mask = owner->granule - 1;
    size_t begin = caching_offset(caching_segment_of(block), block), end = begin + block->capacity;
    size_t first = round_up(begin, owner->granule), last = round_down(end, owner->granule);
    caching_parts parts = {0};
    if (first >= last) {
        parts.left = block->capacity;
        return parts;
    }
    parts.left = first - begin;
    parts.right = end & mask;
    parts.whole = (last - first) >> owner->granule_shift;
    return parts;
}

void caching_show(caching *owner, memory_block *block) {
    caching_heap *heap = caching_segment_of(block)->heap;
    caching_parts parts = caching_parts_of(owner, block);
    if (parts.left + parts.right != 0) caching_index_add(&heap->pieces, block, block->capacity >> CACHING_PIECE_SHIFT);
    if (parts.whole != 0) caching_index_add(&heap->wholes, block, parts.whole);
    heap->free_granules += parts.whole;
    block->flags |= SHOWN;
}

void caching_hide(caching *owner, memory_block *block) {
    if ((block->flags & SHOWN) == 0) return;
    caching_heap *heap = caching_segment_of(block)->heap;
    caching_parts parts = caching_parts_of(owner, block);
    if (parts.left + parts.right != 0)
        caching_index_remove(&heap->pieces, block, block->capacity >> CACHING_PIECE_SHIFT);
    if (parts.whole != 0) caching_index_remove(&heap->wholes, block, parts.whole);
    heap->free_granules -= parts.whole;
    block->flags &= ~(uint32_t)SHOWN;
}

static void show_hollow(memory_block *block) {
    caching_heap *heap = caching_segment_of(block)->heap;
    memory_link *link = &block->idle.lists[CACHING_LINK_WHOLE];
    link->previous = NULL;
    link->next = heap->hollows;
    if (heap->hollows != NULL) heap->hollows->idle.lists[CACHING_LINK_WHOLE].previous = block;
    heap->hollows = block;
}

static void hide_hollow(memory_block *block) {
    memory_link *link = &block->idle.lists[CACHING_LINK_WHOLE];
    if (link->next != NULL) link->next->idle.lists[CACHING_LINK_WHOLE].previous = link->previous;
    if (link->previous != NULL) {
        link->previous->idle.lists[CACHING_LINK_WHOLE].next = link->next;
    } else {
        caching_segment_of(block)->heap->hollows = link->next;
    }
}

tarn_status caching_spares_reserve(caching *owner, size_t count) {
    while (owner->spare_count < count) {
        memory_block *block = block_create();
        if (block == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory for a block's descriptor");
        block->neighbours.next = owner->spares;
        owner->spares = block;
        owner->spare_count++;
    }
    return TARN_OK;
}

static void spare_put(caching *owner, memory_block *block) {
    block->neighbours.next = owner->spares;
    owner->spares = block;
    owner->spare_count++;
}

static memory_block *spare_take(caching *owner) {
    memory_block *block = owner->spares;
    owner->spares = block->neighbours.next;
    owner->spare_count--;
    return block;
}

void caching_spares_trim(caching *owner) {
    while (owner->spare_count > SPARES_KEPT) block_destroy(spare_take(owner));
}

memory_block *caching_spares_lay_aside(caching *owner, size_t count) {
    memory_block *spares = NULL;
    for (; count != 0; count--) {
        memory_block *block = spare_take(owner);
        block->neighbours.next = spares;
        spares = block;
    }
    return spares;
}

void caching_spares_put_back(caching *owner, memory_block *spares) {
    while (spares != NULL) {
        memory_block *block = spares;
        spares = block->neighbours.next;
        spare_put(owner, block);
    }
}

/* The place in which a block begins. */
static caching_place *place_of(const caching *owner, const memory_block *block) {
    caching_segment *segment = caching_segment_of(block);
    return &segment->places[caching_granule_floor(owner, caching_offset(segment, block))];
}

/* The block begins here now: the lowest of its granule is remembered. */
static void begin_note(const caching *owner, memory_block *block) {
    caching_place *place = place_of(owner, block);
    if (place->first == NULL || (uintptr_t)place->first->address > (uintptr_t)block->address) place->first = block;
}

static void begin_forget(const caching *owner, const memory_block *block) {
    caching_place *place = place_of(owner, block);
    if (place->first != block) return;
    memory_block *next = block->neighbours.next;
    place->first = next != NULL && place_of(owner, next) == place ? next : NULL;
}

/* Puts a new block behind `previous` in address order. */
static memory_block *insert_after(caching *owner, memory_block *previous, uint32_t kind, size_t offset, size_t size) {
    caching_segment *segment = caching_segment_of(previous);
    memory_block *block = spare_take(owner);
    block->home = segment;
    block->owner = &owner->base;
    block->stream = segment->heap->stream_number;
    block->address = (void *)(segment->address + offset); /* NOLINT(performance-no-int-to-ptr) */
    block->capacity = size;
    block->kind = kind;
    block->flags = 0;
    block->neighbours.previous = previous;
    block->neighbours.next = previous->neighbours.next;
    if (previous->neighbours.next != NULL) {
        previous->neighbours.next->neighbours.previous = block;
    } else {
        segment->last_block = block;
    }
    previous->neighbours.next = block;
    begin_note(owner, block);
    return block;
}

/* Cuts a block in two; both keep its kind, neither is shown. Returns the upper one. */
static memory_block *cut(caching *owner, memory_block *block, size_t offset) {
    size_t begin = caching_offset(caching_segment_of(block), block);
    size_t upper = begin + block->capacity - offset;
    block->capacity = offset - begin;
    return insert_after(owner, block, block->kind, offset, upper);
}

/* Joins a block with the one behind it. Neither is shown. */
static void join_next(caching *owner, memory_block *block) {
    memory_block *next = block->neighbours.next;
    begin_forget(owner, next);
    block->capacity += next->capacity;
    block->neighbours.next = next->neighbours.next;
    if (next->neighbours.next != NULL) {
        next->neighbours.next->neighbours.previous = block;
    } else {
        caching_segment_of(block)->last_block = block;
    }
    spare_put(owner, next);
}

static void show_any(caching *owner, memory_block *block) {
    if (block->kind == CACHING_HOLLOW) {
        show_hollow(block);
    } else {
        caching_show(owner, block);
    }
}

static void hide_any(caching *owner, memory_block *block) {
    if (block->kind == CACHING_HOLLOW) {
        hide_hollow(block);
    } else {
        caching_hide(owner, block);
    }
}

/* Joins a block that is not shown with neighbours of its own kind, and shows the result. */
static void settle(caching *owner, memory_block *block) {
    memory_block *next = block->neighbours.next, *previous = block->neighbours.previous;
    if (next != NULL && next->kind == block->kind) {
        hide_any(owner, next);
        join_next(owner, block);
    }
    if (previous != NULL && previous->kind == block->kind) {
        hide_any(owner, previous);
        join_next(owner, previous);
        block = previous;
    }
    show_any(owner, block);
}

memory_block *caching_block_at(caching_segment *segment, size_t offset) {
    const caching *owner = segment->heap->owner;
    size_t index = caching_granule_floor(owner, offset);
    /* The lowest block begins in granule 0, so the walk down ends. */
    while (segment->places[index].first == NULL || caching_offset(segment, segment->places[index].first) > offset)
        index--;
    memory_block *block = segment->places[index].first;
    while (caching_offset(segment, block) + block->capacity <= offset) block = block->neighbours.next;
    return block;
}

memory_block *caching_take(caching *owner, memory_block *block, size_t offset, size_t size) {
    caching_segment *segment = caching_segment_of(block);
    caching_hide(owner, block);
    if (offset > caching_offset(segment, block)) {
        memory_block *front = block;
        block = cut(owner, block, offset);
        caching_show(owner, front);
    }
    if (block->capacity > size) caching_show(owner, cut(owner, block, offset + size));
    block->kind = CACHING_USED;
    segment->used_blocks++;
    size_t last = caching_granule_floor(owner, offset + size - 1);
    for (size_t i = caching_granule_floor(owner, offset); i <= last; i++) segment->places[i].users++;
    return block;
}

void caching_give(caching *owner, memory_block *block) {
    caching_segment *segment = caching_segment_of(block);
    caching_heap *heap = segment->heap;
    size_t offset = caching_offset(segment, block);
    size_t last = caching_granule_floor(owner, offset + block->capacity - 1);
    for (size_t i = caching_granule_floor(owner, offset); i <= last; i++) {
        caching_place *place = &segment->places[i];
        if (--place->users == 0) place->freed_at = heap->freed_at = heap->sequence;
    }
    segment->used_blocks--;
    block->kind = CACHING_FREE;
    block->flags = 0;
    block->stream = heap->stream_number;
    settle(owner, block);
}

/* Sees to it that a block that is not USED begins at `offset`, or ends there. */
static void cut_at(caching *owner, caching_segment *segment, size_t offset) {
    memory_block *block = caching_block_at(segment, offset);
    if (caching_offset(segment, block) == offset) return;
    hide_any(owner, block);
    memory_block *upper = cut(owner, block, offset);
    show_any(owner, block);
    show_any(owner, upper);
}

memory_block *caching_book(caching *owner, caching_segment *segment, size_t begin, size_t end) {
    cut_at(owner, segment, begin);
    if (end < segment->size) cut_at(owner, segment, end);
    memory_block *block = caching_block_at(segment, begin);
    hide_any(owner, block);
    while (caching_offset(segment, block) + block->capacity < end) {
        hide_any(owner, block->neighbours.next);
        join_next(owner, block);
    }
    block->kind = CACHING_USED;
    segment->used_blocks++;
    size_t last = caching_granule_floor(owner, end - 1);
    for (size_t i = caching_granule_floor(owner, begin); i <= last; i++) segment->places[i].users++;
    return block;
}

void caching_unbook(caching *owner, memory_block *block) {
    caching_segment *segment = caching_segment_of(block);
    size_t offset = caching_offset(segment, block);
    size_t last = caching_granule_floor(owner, offset + block->capacity - 1);
    for (size_t i = caching_granule_floor(owner, offset); i <= last; i++) segment->places[i].users--;
    segment->used_blocks--;
    block->kind = CACHING_FREE;
    block->stream = segment->heap->stream_number;
    settle(owner, block);
}

/* Changes the kind of a run of granules inside one block that is not USED. */
static void change_kind(caching *owner, caching_segment *segment, size_t first, size_t count, uint32_t kind) {
    size_t begin = first << owner->granule_shift, size = count << owner->granule_shift;
    memory_block *block = caching_block_at(segment, begin);
    hide_any(owner, block);
    if (begin > caching_offset(segment, block)) {
        memory_block *front = block;
        block = cut(owner, block, begin);
        show_any(owner, front);
    }
    if (block->capacity > size) show_any(owner, cut(owner, block, begin + size));
    block->kind = kind;
    settle(owner, block);
}

void caching_make_free(caching *owner, caching_segment *segment, size_t first, size_t count) {
    change_kind(owner, segment, first, count, CACHING_FREE);
}

void caching_make_hollow(caching *owner, caching_segment *segment, size_t first, size_t count) {
    change_kind(owner, segment, first, count, CACHING_HOLLOW);
}

void caching_tile(caching_segment *segment, void *address, uint32_t kind) {
    caching *owner = segment->heap->owner;
    segment->address = (uintptr_t)address;
    memory_block *block = spare_take(owner);
    block->home = segment;
    block->owner = &owner->base;
    block->stream = segment->heap->stream_number;
    block->address = address;
    block->capacity = segment->size;
    block->kind = kind;
    block->flags = 0;
    block->neighbours.next = block->neighbours.previous = NULL;
    segment->first_block = segment->last_block = block;
    begin_note(owner, block);
    show_any(owner, block);
}

void caching_untile(caching_segment *segment) {
    caching *owner = segment->heap->owner;
    for (memory_block *block = segment->first_block; block != NULL;) {
        memory_block *next = block->neighbours.next;
        hide_any(owner, block);
        spare_put(owner, block);
        block = next;
    }
    segment->first_block = segment->last_block = NULL;
}
