/* fallback:SPEC asks a second allocator when the one below has no more memory.
 *
 * SPEC names a whole stack of its own on the same device, which may use another kind of memory:
 *
 *     fallback:direct:kind=pinned | caching
 *
 * A free goes to whoever handed the block out, which one bit in the block's descriptor says. Each fallback of a stack has a
 * bit of its own, also where one is part of another's SPEC. The figures are those of both together. */
#include <pthread.h>
#include <stdio.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"
#include "memory/adaptors.h"
#include "memory/fork.h"
#include "memory/stack.h"
#include "memory/stats.h"
#include "memory/upstream.h"

#define MOST_LEVELS 32u

typedef struct fallback {
    tarn_allocator base;
    tarn_allocator *second; /* one reference */
    unsigned level;         /* its bit: above those of all fallbacks below and inside `second` */

    pthread_mutex_t lock; /* protects what follows; nothing is called with it held */
    memory_tally tally;
} fallback;

static fallback *fallback_of(tarn_allocator *allocator) { return (fallback *)(void *)allocator; }

static bool is_of_second(const fallback *self, const memory_block *block) {
    return (block->routes >> self->level & 1u) != 0;
}

static void set_route(const fallback *self, memory_block *block, bool is_second) {
    block->routes = (block->routes & ~(1u << self->level)) | (uint32_t)is_second << self->level;
}

static tarn_allocator *fallback_below(tarn_allocator *allocator, const memory_block *block) {
    return is_of_second(fallback_of(allocator), block) ? fallback_of(allocator)->second : allocator->upstream;
}

static tarn_allocator *fallback_second(tarn_allocator *allocator) { return fallback_of(allocator)->second; }

static void count_allocation(fallback *self, const memory_request *request, const memory_block *block) {
    pthread_mutex_lock(&self->lock);
    memory_tally_allocate(&self->tally, request->size, block->capacity);
    pthread_mutex_unlock(&self->lock);
}

static void count_free(fallback *self, const memory_block *block) {
    pthread_mutex_lock(&self->lock);
    memory_tally_free(&self->tally, block->live.requested, block->capacity);
    pthread_mutex_unlock(&self->lock);
}

static tarn_status fallback_allocate(tarn_allocator *allocator, const memory_request *request,
                                     memory_block **out_block) {
    fallback *self = fallback_of(allocator);
    memory_block *block;
    tarn_status status = memory_allocate(allocator->upstream, request, &block);
    bool is_second = status == TARN_OUT_OF_MEMORY;
    if (is_second) {
        char first[512];
        snprintf(first, sizeof first, "%s", tarn_last_error());
        status = memory_allocate(self->second, request, &block);
        /* To the stack, a second at its limit has no more memory: a fallback further up goes on with its own. */
        if (status != TARN_OK) {
            status = base_fail_within(upstream_is_short(status) ? TARN_OUT_OF_MEMORY : status, "%s; and instead of it",
                                      first);
        }
    }
    if (status != TARN_OK) {
        pthread_mutex_lock(&self->lock);
        self->tally.failed++;
        pthread_mutex_unlock(&self->lock);
        return status;
    }
    set_route(self, block, is_second);
    count_allocation(self, request, block);
    *out_block = block;
    return TARN_OK;
}

static tarn_status fallback_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    count_free(fallback_of(allocator), block);
    return memory_free(fallback_below(allocator, block), block, stream);
}

static void fallback_forget(tarn_allocator *allocator, memory_block *block) {
    count_free(fallback_of(allocator), block);
}

/* Both together. The peak of what is cached or reserved is the sum of both peaks: what they needed at most. */
static void add_figure(tarn_figure *sum, const tarn_figure *figure) {
    sum->current = saturating_add(sum->current, figure->current);
    sum->peak = saturating_add(sum->peak, figure->peak);
    sum->total = saturating_add(sum->total, figure->total);
}

static tarn_status fallback_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    fallback *self = fallback_of(allocator);
    tarn_memory_stats second = {.struct_size = sizeof second};
    tarn_status status = memory_stats_below(allocator, out_stats);
    if (status == TARN_OK) status = tarn_allocator_stats(self->second, &second);
    if (status != TARN_OK) return status;
    add_figure(&out_stats->cached_bytes, &second.cached_bytes);
    add_figure(&out_stats->reserved_bytes, &second.reserved_bytes);
    out_stats->retries = saturating_add(out_stats->retries, second.retries);
    out_stats->device_waits = saturating_add(out_stats->device_waits, second.device_waits);
    if (second.largest_free_block > out_stats->largest_free_block) {
        out_stats->largest_free_block = second.largest_free_block;
    }
    pthread_mutex_lock(&self->lock);
    memory_tally_fill(&self->tally, out_stats);
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

static tarn_status fallback_reset_peaks(tarn_allocator *allocator) {
    fallback *self = fallback_of(allocator);
    tarn_status first = tarn_allocator_reset_peaks(allocator->upstream);
    tarn_status second = tarn_allocator_reset_peaks(self->second);
    pthread_mutex_lock(&self->lock);
    memory_tally_reset_peaks(&self->tally);
    pthread_mutex_unlock(&self->lock);
    return first != TARN_OK ? first : second;
}

static tarn_status fallback_empty_cache(tarn_allocator *allocator) {
    tarn_status first = tarn_allocator_empty_cache(allocator->upstream);
    tarn_status second = tarn_allocator_empty_cache(fallback_of(allocator)->second);
    return first != TARN_OK ? first : second;
}

/* Notices that a visit was stopped, so that the second allocator's blocks are not shown. */
typedef struct fallback_visit {
    int (*visit)(void *context, const tarn_block_info *block);
    void *context;
    bool is_stopped;
} fallback_visit;

static int pass_on(void *context, const tarn_block_info *block) {
    fallback_visit *visit = context;
    int answer = visit->visit(visit->context, block);
    visit->is_stopped = answer != 0;
    return answer;
}

static tarn_status fallback_each_block(tarn_allocator *allocator,
                                       int (*visit)(void *context, const tarn_block_info *block), void *context) {
    fallback *self = fallback_of(allocator);
    fallback_visit inner = {.visit = visit, .context = context};
    tarn_status status = memory_each_block_from(allocator->upstream, pass_on, &inner);
    if (status != TARN_OK || inner.is_stopped) return status;
    /* The callback that is running is known as one of the stack; here the lock is that of the second's. */
    memory_callback callback;
    memory_callback_begin(&callback, self->second, true);
    status = memory_each_block_from(self->second, pass_on, &inner);
    memory_callback_end(&callback);
    return status;
}

static tarn_status fallback_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    if (memory_find_from(allocator->upstream, pointer, out_block) == TARN_OK) return TARN_OK;
    return memory_find_from(fallback_of(allocator)->second, pointer, out_block);
}

static tarn_status fallback_containing(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    tarn_status first = memory_containing_from(allocator->upstream, pointer, out_block);
    if (first == TARN_OK) return TARN_OK;
    tarn_status second = memory_containing_from(fallback_of(allocator)->second, pointer, out_block);
    if (second != TARN_NOT_SUPPORTED || first == TARN_NOT_SUPPORTED) return second;
    return base_fail(first, "%s on %s: %p lies in no live buffer", allocator->spec, memory_device_name(allocator),
                     pointer);
}

static tarn_status fallback_check(tarn_allocator *allocator) {
    return tarn_allocator_check(fallback_of(allocator)->second);
}

static tarn_status fallback_conclude(tarn_allocator *allocator) {
    return memory_conclude_from(fallback_of(allocator)->second);
}

static void fallback_destroy(tarn_allocator *allocator) {
    fallback *self = fallback_of(allocator);
    if (tarn_allocator_release(self->second) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "an allocator ended, and %s", tarn_last_error());
    }
    memory_fork_forget(&self->lock);
    pthread_mutex_destroy(&self->lock);
    memory_allocator_end(allocator);
}

/* The highest level in a stack, counted from 1; 0 where there is no fallback. */
static unsigned levels_of(tarn_allocator *allocator) {
    for (; allocator != NULL; allocator = allocator->upstream) {
        if (allocator->strategy == &fallback_adaptor) return fallback_of(allocator)->level + 1;
    }
    return 0;
}

static tarn_status begin(tarn_device *device, tarn_allocator *upstream, tarn_allocator *second,
                         tarn_allocator **out_allocator) {
    unsigned below = levels_of(upstream), inside = levels_of(second), level = below > inside ? below : inside;
    if (level == MOST_LEVELS) {
        return base_fail(TARN_INVALID_ARGUMENT, "more than %u fallbacks one inside the other", MOST_LEVELS);
    }
    fallback *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "fallback: no host memory for an allocator");
    self->second = second;
    self->level = level;
    pthread_mutex_init(&self->lock, NULL);
    if (!memory_fork_watch(&self->lock, false)) {
        pthread_mutex_destroy(&self->lock);
        base_free(self);
        return base_fail(TARN_OUT_OF_MEMORY, "fallback: no host memory for an allocator");
    }
    memory_allocator_begin(&self->base, &fallback_adaptor, device, upstream);
    *out_allocator = &self->base;
    return TARN_OK;
}

static tarn_status fallback_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                   tarn_allocator **out_allocator) {
    const char *spec = NULL;
    tarn_allocator *second;
    tarn_status status = memory_argument_text(arguments, "", &spec);
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    if (status != TARN_OK) return status;
    if (spec == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "column %zu: fallback needs an allocator, as in fallback:direct:kind=pinned",
                         arguments->column);
    }
    status = tarn_allocator_create(device, spec, &second);
    if (status != TARN_OK) return base_fail_within(status, "column %zu: fallback", arguments->column);
    status = begin(device, upstream, second, out_allocator);
    if (status != TARN_OK) {
        tarn_allocator_release(second);
        return status;
    }
    memory_argument_rewrite(arguments, "", tarn_allocator_spec(second));
    return TARN_OK;
}

const memory_strategy fallback_adaptor = {
    .name = "fallback",
    .is_adaptor = true,
    .create = fallback_create,
    .destroy = fallback_destroy,
    .allocate = fallback_allocate,
    .free = fallback_free,
    .empty_cache = fallback_empty_cache,
    .stats = fallback_stats,
    .reset_peaks = fallback_reset_peaks,
    .each_block = fallback_each_block,
    .find = fallback_find,
    .check = fallback_check,
    .forget = fallback_forget,
    .conclude = fallback_conclude,
    .containing = fallback_containing,
    .below = fallback_below,
    .second = fallback_second,
};
