/* imported: the owner of one buffer that lies in memory of another process.
 *
 * There is one for each import, shut down from the beginning, so that it hands out nothing else. Its reference is the buffer's: the
 * free waits for the streams that use the memory, unmaps it and lets the allocator go. Where waiting or unmapping fails, that is
 * tried once more at the end. */
#include "memory/imported.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/memory.h"
#include "memory/direct_streams.h"
#include "memory/stats.h"

typedef struct imported {
    tarn_allocator base;
    direct_streams streams;
    /* Fixed: the segment, and the buffer in it. */
    void *segment;
    size_t segment_size;
    memory_block *block;
    char *address;
    size_t size;
    uint32_t stream;
    direct_use *uses; /* protected by the lock of `streams` */
    atomic_bool is_live;
    bool is_mapped; /* touched by the free, and after it */
} imported;

static imported *imported_of(tarn_allocator *allocator) { return (imported *)(void *)allocator; }

static bool is_live(imported *self) { return atomic_load_explicit(&self->is_live, memory_order_acquire); }

/* Gives the memory back once nothing uses it. On failure it is as it was. */
static tarn_status unmap(imported *self) {
    tarn_status status = direct_streams_wait(&self->streams, self->uses);
    if (status == TARN_OK) status = hal_memory_close(self->base.device, self->segment, self->segment_size);
    if (status == TARN_OK) self->is_mapped = false;
    return status;
}

static tarn_status imported_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    imported *self = imported_of(allocator);
    (void)block;
    tarn_status status = TARN_OK;
    /* Release: who finds it over sees what came before. */
    atomic_store_explicit(&self->is_live, false, memory_order_release);
    if (stream != NULL) status = direct_streams_use(&self->streams, stream, &self->uses);
    /* With no host memory to remember the stream, the whole device is waited for. */
    if (status != TARN_OK) status = tarn_device_synchronize(allocator->device);
    if (direct_work_has_ended(status)) status = unmap(self);
    tarn_status released = tarn_allocator_release(allocator);
    return status == TARN_OK ? released : status;
}

static void imported_destroy(tarn_allocator *allocator) {
    imported *self = imported_of(allocator);
    if (self->is_mapped && unmap(self) != TARN_OK) {
        base_log(TARN_LOG_WARNING, "%s: %zu bytes of another process stay mapped: %s",
                 tarn_device_name(allocator->device), self->segment_size, tarn_last_error());
    }
    direct_uses_free(self->uses);
    direct_streams_end(&self->streams);
    block_destroy(self->block);
    memory_allocator_end(allocator);
}

static tarn_status imported_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    imported *self = imported_of(allocator);
    (void)block;
    return direct_streams_use(&self->streams, stream, &self->uses);
}

static tarn_status imported_stats(tarn_allocator *allocator, tarn_memory_stats *out_stats) {
    imported *self = imported_of(allocator);
    memory_tally tally = {.failed = 0};
    memory_tally_allocate(&tally, self->size, self->size);
    if (!is_live(self)) memory_tally_free(&tally, self->size, self->size);
    memory_tally_fill(&tally, out_stats);
    out_stats->device_waits = direct_streams_waits(&self->streams);
    memory_figure_add(&out_stats->reserved_bytes, self->segment_size);
    if (!is_live(self)) memory_figure_subtract(&out_stats->reserved_bytes, self->segment_size);
    return TARN_OK;
}

static tarn_status imported_each_block(tarn_allocator *allocator, int (*visit)(void *, const tarn_block_info *),
                                       void *context) {
    imported *self = imported_of(allocator);
    tarn_block_info info = {
        .struct_size = sizeof info,
        .address = (uintptr_t)self->address,
        .segment = (uintptr_t)self->segment,
        .size = self->size,
        .requested = self->size,
        .stream = self->stream,
        .state = TARN_BLOCK_IN_USE,
    };
    if (is_live(self)) (void)visit(context, &info);
    return TARN_OK;
}

static tarn_status imported_find(tarn_allocator *allocator, const void *pointer, memory_block **out_block) {
    imported *self = imported_of(allocator);
    if (!is_live(self) || pointer != self->address) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s on %s: no live buffer begins at %p", allocator->spec,
                         tarn_device_name(allocator->device), pointer);
    }
    *out_block = self->block;
    return TARN_OK;
}

static tarn_memory_kind imported_kind(const tarn_allocator *allocator) {
    (void)allocator;
    return TARN_MEMORY_SHARED;
}

static const memory_strategy imported_strategy = {
    .name = "imported",
    .destroy = imported_destroy,
    .free = imported_free,
    .stats = imported_stats,
    .each_block = imported_each_block,
    .find = imported_find,
    .record_stream = imported_record_stream,
    .kind = imported_kind,
};

/* An owner with everything but the memory. */
static tarn_status create_owner(tarn_device *device, tarn_stream *stream, imported **out_owner) {
    imported *self = base_allocate(1, sizeof *self);
    memory_block *block = self != NULL ? block_create() : NULL;
    char *name = block != NULL ? base_duplicate(imported_strategy.name) : NULL;
    tarn_status status = name != NULL ? direct_streams_begin(&self->streams, device) : TARN_OUT_OF_MEMORY;
    if (status == TARN_OK) {
        status = direct_streams_use(&self->streams, stream, &self->uses);
        if (status != TARN_OK) direct_streams_end(&self->streams);
    }
    if (status != TARN_OK) {
        base_free(name);
        if (block != NULL) block_destroy(block);
        base_free(self);
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to describe memory of another process",
                         tarn_device_name(device));
    }
    memory_allocator_begin(&self->base, &imported_strategy, device, NULL);
    self->base.spec = name;
    self->block = block;
    *out_owner = self;
    return tarn_allocator_shut_down(&self->base);
}

tarn_status imported_create(tarn_device *device, int descriptor, size_t segment_size, size_t offset, size_t size,
                            tarn_stream *stream, tarn_buffer **out_buffer) {
    imported *self;
    tarn_status status = create_owner(device, stream, &self);
    if (status != TARN_OK) return status;
    status = hal_memory_import(device, descriptor, segment_size, &self->segment);
    if (status != TARN_OK) {
        (void)tarn_allocator_release(&self->base);
        return status;
    }
    self->is_mapped = true;
    self->segment_size = segment_size;
    self->address = (char *)self->segment + offset;
    self->size = size;
    self->stream = hal_stream_number(stream);
    memory_block *block = self->block;
    memory_request request = {.size = size, .stream = stream, .outer = &self->base};
    memory_block_fill(block, &request, &self->base);
    block->address = self->address;
    block->capacity = size;
    block->stream = self->stream;
    memory_keep(&self->base);
    atomic_store_explicit(&self->is_live, true, memory_order_release);
    *out_buffer = block_begin_life(block);
    return TARN_OK;
}
