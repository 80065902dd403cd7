/* limit:SIZE lets at most SIZE bytes be in use.
 *
 * Bytes are counted before they are asked for, by one atomic addition that fails beyond the limit, so that no number of
 * threads exceeds it. How large the block becomes is known only afterwards: what it has beyond the guess is counted
 * then, and the block goes back if that is too much. */
#include <tarn/size.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"
#include "memory/adaptors.h"

typedef struct limit {
    tarn_allocator base;
    atomic_size_t most;   /* bytes */
    atomic_size_t in_use; /* bytes: capacities of live buffers, and what is being asked for */
    atomic_uint_fast64_t refused;
} limit;

static limit *limit_of(tarn_allocator *allocator) { return (limit *)(void *)allocator; }

/* Counts `bytes` unless that exceeds the limit. Relaxed: the figures order nothing else. */
static bool reserve(limit *self, size_t bytes) {
    size_t used = atomic_load_explicit(&self->in_use, memory_order_relaxed);
    do {
        size_t most = atomic_load_explicit(&self->most, memory_order_relaxed);
        if (used > most || bytes > most - used) return false;
    } while (!atomic_compare_exchange_weak_explicit(&self->in_use, &used, used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

static void give_back(limit *self, size_t bytes) {
    atomic_fetch_sub_explicit(&self->in_use, bytes, memory_order_relaxed);
}

/* Counts `bytes`, after what reclaimers can spare if need be. A request beyond the whole limit does not trouble them. */
static tarn_status reserve_or_reclaim(limit *self, const memory_request *request, size_t bytes) {
    bool is_possible = bytes <= atomic_load_explicit(&self->most, memory_order_relaxed);
    while (!reserve(self, bytes)) {
        if (is_possible && memory_reclaim(request->outer, bytes) > 0) continue;
        char asked[TARN_SIZE_TEXT], most[TARN_SIZE_TEXT], used[TARN_SIZE_TEXT];
        atomic_fetch_add_explicit(&self->refused, 1, memory_order_relaxed);
        return base_fail(TARN_LIMIT_EXCEEDED, "%s: %s asked, limit %s, %s in use", tarn_device_name(self->base.device),
                         tarn_size_format(request->size, asked),
                         tarn_size_format(atomic_load_explicit(&self->most, memory_order_relaxed), most),
                         tarn_size_format(atomic_load_explicit(&self->in_use, memory_order_relaxed), used));
    }
    return TARN_OK;
}

static tarn_status limit_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    limit *self = limit_of(allocator);
    size_t guess = request->size;
    size_t rounded;
    if (checked_round_up(guess, hal_device_properties(allocator->device)->alignment, &rounded)) guess = rounded;
    tarn_status status = reserve_or_reclaim(self, request, guess);
    if (status != TARN_OK) return status;
    memory_block *block;
    status = memory_allocate(allocator->upstream, request, &block);
    if (status != TARN_OK) {
        give_back(self, guess);
        return status;
    }
    if (block->capacity < guess) give_back(self, guess - block->capacity);
    if (block->capacity > guess) {
        status = reserve_or_reclaim(self, request, block->capacity - guess);
        if (status != TARN_OK) {
            memory_free(allocator->upstream, block, request->stream);
            give_back(self, guess);
            return status;
        }
    }
    *out_block = block;
    return TARN_OK;
}

static tarn_status limit_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    size_t capacity = block->capacity;
    tarn_status status = memory_free(allocator->upstream, block, stream);
    give_back(limit_of(allocator), capacity);
    return status;
}

static void limit_forget(tarn_allocator *allocator, memory_block *block) {
    give_back(limit_of(allocator), block->capacity);
}

static tarn_status limit_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    tarn_status status = memory_stats_below(allocator, out_stats);
    uint64_t refused = atomic_load_explicit(&limit_of(allocator)->refused, memory_order_relaxed);
    out_stats->failed_allocations = saturating_add(out_stats->failed_allocations, refused);
    return status;
}

static tarn_status limit_set_limit(tarn_allocator *allocator, size_t bytes) {
    atomic_store_explicit(&limit_of(allocator)->most, bytes, memory_order_relaxed);
    return TARN_OK;
}

static tarn_status limit_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                tarn_allocator **out_allocator) {
    const char *text = NULL;
    size_t most = 0;
    tarn_status status = memory_argument_text(arguments, "", &text);
    if (status == TARN_OK) status = memory_argument_size(arguments, "", &most);
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    if (text == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "column %zu: limit needs a size, as in limit:8GiB", arguments->column);
    }
    limit *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "limit: no host memory for an allocator");
    memory_allocator_begin(&self->base, &limit_adaptor, device, upstream);
    atomic_init(&self->most, most);
    *out_allocator = &self->base;
    return TARN_OK;
}

const memory_strategy limit_adaptor = {
    .name = "limit",
    .is_adaptor = true,
    .has_places = true,
    .create = limit_create,
    .destroy = memory_allocator_end,
    .allocate = limit_allocate,
    .free = limit_free,
    .stats = limit_stats,
    .set_limit = limit_set_limit,
    .forget = limit_forget,
};
