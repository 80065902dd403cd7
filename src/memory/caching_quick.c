/* The short ways; see caching_quick.h. What they do is little, so that what they do besides shows: they are leaf functions, they
 * wait for no load but those that lead to the block, and they write what cannot be found out later. */
#include "memory/caching_quick.h"

#include "base/checked.h"
#include "memory/caching_figures.h"
#include "memory/caching_gate.h"

/* Takes the slot's first block out. Its members are set before the cache is left, so that who keeps all threads out of their
 * caches sees whole blocks; most of them were set when it came in. */
static inline tarn_buffer *pop(caching_cache *cache, caching_slot *slot, size_t size, caching_level unit) {
    tarn_buffer *handle = slot->head;
    memory_block *block = block_behind(handle);
    slot->head = block->live.cached;
    slot->taken++;
    block->live.requested = size;
    caching_level cached = cache->cached - unit;
    cache->cached = cached;
    if (!IS_LIKELY(caching_level_blocks(cached) >= cache->fewest_blocks))
        cache->fewest_blocks = caching_level_blocks(cached);
    if (!IS_LIKELY(size == block->capacity)) caching_count_rounding(cache, size, block->capacity);
    return handle;
}

/* `handle` is the one of the block's next life, `cached` the level with the block. */
static inline void push(caching_cache *cache, caching_slot *slot, memory_block *block, tarn_buffer *handle,
                        caching_level cached) {
    block->live.cached = slot->head;
    slot->head = handle;
    slot->put++;
    cache->cached = cached;
    if (!IS_LIKELY(block->live.requested == block->capacity))
        cache->rounding_put += block->capacity - block->live.requested;
}

/* Whether a peak of bytes is passed, after a block was handed out. */
static inline bool passes_peak(const caching_cache *cache) {
    return !IS_LIKELY(cache->cached >= cache->watched) && caching_is_at_peak(cache);
}

static __attribute__((noinline)) tarn_status leave_at_peak(caching_cache *cache) {
    caching_note_peak(cache);
    caching_leave(cache);
    return TARN_OK;
}

#define INLINED static inline __attribute__((always_inline))
/* From the beginning of a cache line: how quick they are is not left to where the linker happens to put them. */
#define ON_A_LINE __attribute__((aligned(64)))

/* The handle, in its next life, of the block that such a request is served with; NULL: the long way. In this and in the free,
 * each condition that fails leads out, so that what is left is one straight line. */
INLINED tarn_buffer *take(tarn_allocator *allocator, size_t size, tarn_stream *stream, caching_cache **out_cache) {
    caching *owner = caching_of(allocator);
    caching_cache *cache = *out_cache = caching_recent;
    uint32_t number = 0;
    if (!IS_LIKELY(stream == NULL)) {
        if (stream->device != allocator->device) return NULL;
        number = hal_stream_number(stream);
    }
    if (!IS_LIKELY(caching_cache_is_of(cache, owner))) return NULL;
    /* No level holds it, and it would pass for another size. */
    if (!IS_LIKELY(size >> (CACHING_LEVEL_LARGEST_SHIFT - 1) == 0)) return NULL;
    if (!IS_LIKELY(caching_enter(cache))) return NULL;
    size_t capacity = round_up(size, owner->alignment), index = caching_slot_number(capacity, number);
    caching_slot *slot = &cache->slots[index];
    caching_level unit = caching_level_of(capacity, 1);
    if (!IS_LIKELY(slot->unit == unit && slot->stream == number)) {
        slot = &cache->slots[index ^ 1];
        if (slot->unit != unit || slot->stream != number) goto leave;
    }
    if (!IS_LIKELY(slot->head != NULL)) goto leave;
    return pop(cache, slot, size, unit);
leave:
    caching_leave(cache);
    return NULL;
}

ON_A_LINE tarn_status caching_allocate_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream,
                                               tarn_buffer **out_buffer) {
    caching_cache *cache;
    tarn_buffer *buffer = take(allocator, size, stream, &cache);
    if (!IS_LIKELY(buffer != NULL)) return memory_allocate_long(allocator, size, stream, out_buffer);
    block_begin_life_of(block_behind(buffer), buffer);
    *out_buffer = buffer;
    if (passes_peak(cache)) return leave_at_peak(cache);
    caching_leave(cache);
    return TARN_OK;
}

memory_block *caching_take_quickly(tarn_allocator *allocator, size_t size, tarn_stream *stream, tarn_allocator *outer) {
    caching_cache *cache;
    tarn_buffer *buffer = take(allocator, size, stream, &cache);
    if (!IS_LIKELY(buffer != NULL)) return NULL;
    memory_block *block = block_behind(buffer);
    block->live.outer = outer;
    if (passes_peak(cache)) caching_note_peak(cache);
    caching_leave(cache);
    return block;
}

ON_A_LINE tarn_status caching_free_quickly(tarn_allocator *allocator, tarn_buffer *buffer, tarn_stream *stream) {
    caching_cache *cache = caching_recent;
    if (!IS_LIKELY(block_has_number(buffer))) goto long_way;
    memory_block *block = block_behind(buffer);
    block_fetch(block);
    if (!IS_LIKELY(block_is_named(block, buffer))) goto long_way;
    /* Whose top of the stack this allocator is, is its own. */
    if (!IS_LIKELY(block->live.outer == allocator)) goto long_way;
    if (!IS_LIKELY(block->live.is_plain)) goto long_way;
    if (!IS_LIKELY(stream == NULL)) {
        if (stream->device != allocator->device || hal_stream_number(stream) != block->stream) goto long_way;
        /* It is the block's own, which NULL says as well. */
        stream = NULL;
    }
    if (!IS_LIKELY(caching_cache_is_of(cache, caching_of(allocator)))) goto long_way;
    if (!IS_LIKELY(caching_enter(cache))) goto long_way;
    size_t index = block->live.slot;
    caching_slot *slot = &cache->slots[index];
    caching_level cached = caching_level_of(block->capacity, 1);
    if (!IS_LIKELY(slot->unit == cached)) goto leave;
    if (!IS_LIKELY(slot->stream == block->stream)) goto leave;
    if (!IS_LIKELY(caching_slot_count(slot) < slot->magazine)) goto leave;
    cached += cache->cached;
    if (!IS_LIKELY(cached <= cache->roof)) goto leave;
    /* A block that another thread freed at this moment is that thread's. */
    if (!IS_LIKELY(block_claim(block, buffer))) goto leave;
    push(cache, slot, block, block_next_handle(buffer), cached);
    caching_leave(cache);
    return TARN_OK;
leave:
    caching_leave(cache);
long_way:
    return memory_free_long(allocator, buffer, stream);
}

memory_block *caching_cache_take(caching *owner, const memory_request *request) {
    caching_cache *cache = caching_cache_own(owner);
    if (cache == NULL || !caching_enter_anyhow(cache)) return NULL;
    caching_slot *slot =
        caching_slot_find(cache, round_up(request->size, owner->alignment), hal_stream_number(request->stream));
    memory_block *block = NULL;
    if (slot != NULL && slot->head == NULL) {
        tarn_buffer **spare = &cache->spares[slot - cache->slots];
        if (*spare != NULL) caching_slot_put_magazine(slot, *spare);
        *spare = NULL;
    }
    if (slot != NULL && slot->head != NULL) {
        block = block_behind(pop(cache, slot, request->size, slot->unit));
        block->live.outer = request->outer;
        block->live.tag = request->tag;
        block->live.is_plain = request->tag == NULL;
        block->site = request->site;
        if (passes_peak(cache)) caching_note_peak(cache);
    }
    caching_leave(cache);
    return block;
}

/* Whether the slot has room for another block, if only after its chain was laid aside. */
static bool make_room(caching_cache *cache, caching_slot *slot) {
    if (caching_slot_count(slot) < slot->magazine) return true;
    tarn_buffer **spare = &cache->spares[slot - cache->slots];
    if (*spare != NULL) return false;
    *spare = caching_slot_take_chain(slot);
    return true;
}

bool caching_cache_put(caching *owner, memory_block *block) {
    caching_cache *cache = caching_cache_own(owner);
    if (cache == NULL || !atomic_load_explicit(&owner->is_settled, memory_order_relaxed)) return false;
    if (!caching_enter_anyhow(cache)) return false;
    caching_level cached = cache->cached + caching_level_of(block->capacity, 1);
    caching_slot *slot = NULL;
    if (caching_level_bytes(cached) <= cache->limit) slot = caching_slot_make(cache, block->capacity, block->stream);
    bool has_room = slot != NULL && make_room(cache, slot);
    if (has_room) {
        /* As the short ways expect them. */
        block->live.outer = &owner->base;
        block->live.tag = NULL;
        block->live.is_plain = true;
        block->live.slot = (uint16_t)(slot - cache->slots);
        uint32_t life = atomic_load_explicit(&block->life, memory_order_relaxed) | BLOCK_IS_LIVE;
        push(cache, slot, block, block_handle_of(block, life), cached);
        if (cached > cache->roof) caching_raise_roof(cache, cached);
    }
    caching_leave(cache);
    return has_room;
}
