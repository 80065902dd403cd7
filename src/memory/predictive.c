/* predictive: the table of the strategy, and its creation.
 *
 * Each buffer has a memory of its own, so that it can grow without a neighbour in its way. A free puts the memory into the cache
 * and calls no driver; a request takes what suits from there. What the buffers do when their shapes change stands in
 * predictive_resize.c. */
#include "memory/predictive.h"

#include <tarn/size.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/fork.h"
#include "memory/predictive_handles.h"
#include "memory/stats.h"

const predictive_settings predictive_default_settings = {
    .numbers = {.factor = 1.2, .growth = 1.5, .shrink = 0.5, .quantile = 0.9},
    .most = SIZE_MAX,
    .grows_in_place = true,
};

/* Allocating and freeing. */

static tarn_status explain(predictive *self, tarn_status status, const memory_request *request) {
    char asked[TARN_SIZE_TEXT], used[TARN_SIZE_TEXT], has[TARN_SIZE_TEXT], largest[TARN_SIZE_TEXT],
        most[TARN_SIZE_TEXT];
    pthread_mutex_lock(&self->lock);
    self->tally.failed++;
    uint64_t requested = self->tally.requested.current, in_use = self->tally.in_use.current,
             buffers = self->tally.blocks.current;
    size_t free_block = predictive_largest_cached(self), limit = self->most;
    pthread_mutex_unlock(&self->lock);
    const char *name = tarn_device_name(self->base.device);
    if (status == TARN_LIMIT_EXCEEDED) {
        return base_fail(status, "%s: %s asked, limit %s, %s in use in %llu buffers", name,
                         tarn_size_format(request->size, asked), tarn_size_format(limit, most),
                         tarn_size_format(in_use, has), (unsigned long long)buffers);
    }
    if (status != TARN_OUT_OF_MEMORY) return status;
    return base_fail_within(
        status, "%s: %s asked, %s in use in %llu buffers that have %s, largest free block %s, the device has %s in all",
        name, tarn_size_format(request->size, asked), tarn_size_format(requested, used), (unsigned long long)buffers,
        tarn_size_format(in_use, has), tarn_size_format(free_block, largest),
        tarn_size_format(hal_device_properties(self->base.device)->memory_total, most));
}

/* Plain bytes of one tag may be anything: those of one magnitude are learnt together, so that none is padded to more than twice
 * its size. With bounds there is something better to go by. */
static unsigned magnitude_of(const memory_request *request) {
    return request->shape == NULL ? 1 + memory_histogram_bucket(request->size) : 0;
}

static tarn_status predictive_allocate(tarn_allocator *allocator, const memory_request *request,
                                       memory_block **out_block) {
    predictive *self = predictive_of(allocator);
    predictive_handle *handle;
    predictive_memory *memory;
    tarn_status status = predictive_handle_create(self, request, &handle);
    if (status != TARN_OK) return explain(self, status, request);
    pthread_mutex_lock(&self->lock);
    handle->site = predictive_site_find(&self->sites, request->tag, magnitude_of(request));
    size_t wanted = predictive_required(self, handle, request->size);
    pthread_mutex_unlock(&self->lock);
    predictive_want want = {
        .needed = request->size,
        .wanted = wanted,
        .reach = predictive_reach(self, handle, wanted),
        .alignment = request->alignment,
        /* Bytes without bounds are seldom resized. */
        .takes_less = request->shape == NULL,
        .stream = request->stream,
        .outer = request->outer,
    };
    status = predictive_take(self, &want, false, &memory);
    if (status != TARN_OK) {
        predictive_handle_destroy(handle);
        return explain(self, status, request);
    }
    pthread_mutex_lock(&self->lock);
    predictive_attach(self, handle, memory);
    /* What is expected is only learnt once it is used; bytes are used as they are asked for. */
    predictive_note_use(self, handle, request->size, request->shape == NULL);
    memory_tally_allocate(&self->tally, request->size, 0);
    pthread_mutex_unlock(&self->lock);
    *out_block = handle->block;
    return TARN_OK;
}

static tarn_status predictive_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    predictive *self = predictive_of(allocator);
    predictive_handle *handle = block->home;
    pthread_mutex_lock(&self->lock);
    predictive_memory *memory = predictive_detach(self, handle);
    self->promised -= memory->capacity;
    memory_tally_free(&self->tally, block->live.requested, 0);
    pthread_mutex_unlock(&self->lock);
    /* With no host memory to remember the stream, the whole device is waited for before it is used again. */
    if (stream != NULL && direct_streams_use(&self->streams, stream, &memory->uses) != TARN_OK) {
        memory->has_unknown_use = true;
    }
    direct_streams_ask_anew(&self->streams, memory->uses);
    /* Marks the end of the work now, so that other streams can know early. The default stream is asked only when they need
     * to: many programs have no other. */
    if (memory->uses->stream != 0 || memory->uses->next != NULL) {
        (void)direct_streams_are_idle(&self->streams, memory->uses, DIRECT_NO_STREAM);
    }
    predictive_handle_destroy(handle);
    predictive_put(self, memory);
    return TARN_OK;
}

static tarn_memory_kind predictive_kind(const tarn_allocator *allocator) {
    return ((const predictive *)(const void *)allocator)->kind;
}

static tarn_status predictive_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    const predictive_handle *handle = block->home;
    return direct_streams_use(&predictive_of(allocator)->streams, stream, &handle->memory->uses);
}

/* Asking. */

static tarn_status predictive_empty_cache(tarn_allocator *allocator) {
    size_t bytes = 0;
    return predictive_give_back_cached(predictive_of(allocator), &bytes);
}

static tarn_status predictive_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    predictive *self = predictive_of(allocator);
    out_stats->device_waits = direct_streams_waits(&self->streams);
    pthread_mutex_lock(&self->lock);
    memory_tally_fill(&self->tally, out_stats);
    out_stats->cached_bytes = self->cached;
    out_stats->reserved_bytes = self->reserved;
    out_stats->largest_free_block = predictive_largest_cached(self);
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

static tarn_status predictive_reset_peaks(tarn_allocator *allocator) {
    predictive *self = predictive_of(allocator);
    pthread_mutex_lock(&self->lock);
    memory_tally_reset_peaks(&self->tally);
    memory_figure_reset_peak(&self->cached);
    memory_figure_reset_peak(&self->reserved);
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

static tarn_status predictive_set_limit(tarn_allocator *allocator, size_t bytes) {
    predictive *self = predictive_of(allocator);
    if (!self->has_limit) {
        return base_fail(TARN_NOT_SUPPORTED, "%s on %s was created without a limit", allocator->spec,
                         tarn_device_name(allocator->device));
    }
    pthread_mutex_lock(&self->lock);
    self->most = bytes;
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

static tarn_status predictive_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                         void *context) {
    predictive *self = predictive_of(allocator);
    bool is_stopped = false;
    pthread_mutex_lock(&self->lock);
    for (base_range *range = base_range_after(self->all, 0); range != NULL && !is_stopped;
         range = base_range_after(self->all, range->start)) {
        const predictive_memory *memory = predictive_memory_of(range);
        if (memory->capacity == 0) continue;
        const memory_block *block = memory->handle != NULL ? memory->handle->block : NULL;
        tarn_block_info info = {
            .struct_size = sizeof info,
            .address = range->start,
            .segment = range->start,
            .size = memory->capacity,
            .requested = block != NULL ? block->live.requested : 0,
            .stream = block != NULL ? block->stream : memory->stream,
            .state = block != NULL ? TARN_BLOCK_IN_USE : TARN_BLOCK_CACHED,
            .tag = block != NULL ? block->live.tag : NULL,
        };
        is_stopped = visit(context, &info) != 0;
    }
    pthread_mutex_unlock(&self->lock);
    return TARN_OK;
}

static tarn_status predictive_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    predictive *self = predictive_of(allocator);
    pthread_mutex_lock(&self->lock);
    base_range *range = base_range_find(self->all, (uintptr_t)pointer);
    const predictive_handle *handle = range != NULL ? predictive_memory_of(range)->handle : NULL;
    memory_block *block = handle != NULL ? handle->block : NULL;
    bool is_live = block != NULL && (atomic_load_explicit(&block->life, memory_order_acquire) & 1u) != 0;
    pthread_mutex_unlock(&self->lock);
    if (!is_live) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: no live buffer begins at %p", allocator->spec,
                         tarn_device_name(allocator->device), pointer);
    }
    *out_block = block;
    return TARN_OK;
}

/* What the structure adds up to. */
typedef struct predictive_sums {
    uint64_t live, live_bytes, bytes, cached;
    const char *broken; /* the first invariant that does not hold */
} predictive_sums;

/* Must be called with the lock held. */
static void add_up(predictive *self, predictive_sums *sums) {
    uintptr_t end = 0;
    for (base_range *range = base_range_after(self->all, 0); range != NULL;
         range = base_range_after(self->all, range->start)) {
        const predictive_memory *memory = predictive_memory_of(range);
        if (range->start < end) sums->broken = "memories overlap";
        if (memory->capacity > range->size) sums->broken = "a memory has more than its range";
        if (memory->mapped > memory->owned) sums->broken = "more is mapped than owned";
        if (memory->is_cached && memory->handle != NULL) sums->broken = "a buffer's memory is cached";
        end = range->start + range->size;
        sums->bytes += memory->is_virtual ? memory->owned * self->granule : memory->capacity;
        sums->cached += memory->is_cached;
        if (memory->handle == NULL) continue;
        if (memory->handle->memory != memory) sums->broken = "a buffer and its memory disagree";
        if (memory->handle->block->capacity != memory->capacity) sums->broken = "a capacity is told wrong";
        if (memory->handle->block->live.requested > memory->capacity) sums->broken = "a buffer exceeds its memory";
        sums->live++;
        sums->live_bytes += memory->capacity;
    }
    for (size_t i = 0; i < PREDICTIVE_BINS; i++) {
        for (const predictive_memory *memory = self->bins[i]; memory != NULL; memory = memory->next) sums->cached--;
    }
}

static tarn_status predictive_check(tarn_allocator *allocator) {
    predictive *self = predictive_of(allocator);
    predictive_sums sums = {0};
    pthread_mutex_lock(&self->lock);
    add_up(self, &sums);
    uint64_t blocks = self->tally.blocks.current, in_use = self->tally.in_use.current,
             reserved = self->reserved.current;
    uint64_t promised = self->promised;
    pthread_mutex_unlock(&self->lock);
    if (sums.broken != NULL) return base_fail(TARN_INTERNAL, "%s: %s", allocator->spec, sums.broken);
    if (sums.cached != 0) return base_fail(TARN_INTERNAL, "%s: the cache and the memories disagree", allocator->spec);
    if (sums.live != blocks || sums.live_bytes != in_use || promised < in_use) {
        return base_fail(TARN_INTERNAL,
                         "%s: %llu buffers of %llu bytes are there, %llu of %llu are counted, %llu promised",
                         allocator->spec, (unsigned long long)sums.live, (unsigned long long)sums.live_bytes,
                         (unsigned long long)blocks, (unsigned long long)in_use, (unsigned long long)promised);
    }
    /* What a thread is making or giving back has its bytes in neither. */
    if (sums.bytes > reserved) {
        return base_fail(TARN_INTERNAL, "%s: %llu bytes are there, %llu are counted", allocator->spec,
                         (unsigned long long)sums.bytes, (unsigned long long)reserved);
    }
    return TARN_OK;
}

/* The allocator itself. */

static void predictive_destroy(tarn_allocator *allocator) {
    predictive *self = predictive_of(allocator);
    size_t bytes = 0;
    if (predictive_give_back_cached(self, &bytes) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s: %llu bytes could not be given back: %s", tarn_device_name(allocator->device),
                 (unsigned long long)self->reserved.current, tarn_last_error());
    }
    predictive_abandon(self);
    predictive_sites_end(&self->sites);
    direct_streams_end(&self->streams);
    memory_fork_forget(&self->lock);
    pthread_mutex_destroy(&self->lock);
    memory_allocator_end(allocator);
}

tarn_status predictive_begin(tarn_device *device, const predictive_settings *settings, tarn_allocator **out_allocator) {
    const tarn_device_properties *properties = hal_device_properties(device);
    if ((properties->memory_kinds & TARN_MEMORY_KIND_BIT(settings->kind)) == 0) {
        return base_fail(TARN_NOT_SUPPORTED, "%s has no memory of the kind that \"predictive\" is asked for",
                         tarn_device_name(device));
    }
    predictive *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "predictive: no host memory for an allocator");
    self->kind = settings->kind;
    self->granule = settings->grows_in_place && settings->kind == TARN_MEMORY_DEVICE ? properties->granule : 0;
    self->numbers = settings->numbers;
    self->is_built_in = settings->strategy == NULL;
    self->strategy = self->is_built_in ? predictive_padding(settings->padding, &self->numbers) : *settings->strategy;
    self->has_limit = settings->most != SIZE_MAX;
    self->most = settings->most;
    pthread_mutex_init(&self->lock, NULL);
    tarn_status status = direct_streams_begin(&self->streams, device);
    if (status == TARN_OK && !memory_fork_watch(&self->lock, false)) {
        direct_streams_end(&self->streams);
        status = base_fail(TARN_OUT_OF_MEMORY, "predictive: no host memory for an allocator");
    }
    if (status != TARN_OK) {
        pthread_mutex_destroy(&self->lock);
        base_free(self);
        return status;
    }
    memory_allocator_begin(&self->base, &predictive_strategy, device, NULL);
    *out_allocator = &self->base;
    return TARN_OK;
}

static tarn_status predictive_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                     tarn_allocator **out_allocator) {
    (void)upstream;
    predictive_settings settings = predictive_default_settings;
    const char *strategy = NULL;
    tarn_status status = memory_argument_text(arguments, "strategy", &strategy);
    if (status == TARN_OK && strategy != NULL && !predictive_padding_find(strategy, &settings.padding)) {
        return memory_argument_refuse(arguments, "strategy", "fixed, adaptive or quantile");
    }
    if (status == TARN_OK) status = memory_argument_factor(arguments, "factor", &settings.numbers.factor);
    if (status == TARN_OK) status = memory_argument_factor(arguments, "growth", &settings.numbers.growth);
    if (status == TARN_OK) status = memory_argument_fraction(arguments, "shrink", &settings.numbers.shrink);
    if (status == TARN_OK) status = memory_argument_fraction(arguments, "quantile", &settings.numbers.quantile);
    if (status == TARN_OK) status = memory_argument_size(arguments, "max", &settings.most);
    if (status == TARN_OK) status = memory_argument_kind(arguments, "kind", &settings.kind);
    if (status == TARN_OK) status = memory_argument_switch(arguments, "in_place", &settings.grows_in_place);
    if (status == TARN_OK) status = memory_arguments_check(arguments);
    return status == TARN_OK ? predictive_begin(device, &settings, out_allocator) : status;
}

const memory_strategy predictive_strategy = {
    .name = "predictive",
    .create = predictive_create,
    .destroy = predictive_destroy,
    .allocate = predictive_allocate,
    .free = predictive_free,
    .empty_cache = predictive_empty_cache,
    .stats = predictive_stats,
    .reset_peaks = predictive_reset_peaks,
    .set_limit = predictive_set_limit,
    .each_block = predictive_each_block,
    .find = predictive_find,
    .check = predictive_check,
    .record_stream = predictive_record_stream,
    .kind = predictive_kind,
};
