/* Snapshots of an allocator: its state becomes the final blocks of a trace, what `record` wrote becomes the trace's events, and
 * the writer of PyTorch's layout does the rest.
 *
 * The state is copied first, under the allocator's lock, tags and all, since a tag lives only as long as its buffer. The
 * history is read after it: so a block of the state is never older than the history that should tell of it. */
#include <tarn/snapshot.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/track.h>

#include "base/call_site.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/adaptors.h"
#include "record_adaptor.h"
#include "trace_internal.h"

typedef struct snapshot_block {
    tarn_trace_block block; /* its tag is a string of the state's texts */
    uint64_t segment;       /* of the allocator; the block's own is the run it lies in */
    uint64_t stream;
} snapshot_block;

typedef struct snapshot_state {
    const tarn_allocator *allocator;
    snapshot_block *blocks;
    size_t count, capacity;
    trace_builder texts;
    bool is_tracked; /* the stack knows call sites */
    tarn_status status;
} snapshot_state;

static tarn_status no_memory(const snapshot_state *state) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a snapshot of %zu blocks",
                     tarn_allocator_spec(state->allocator), state->count);
}

static int add_block(void *context, const tarn_block_info *info) {
    snapshot_state *state = context;
    if (info->state == TARN_BLOCK_UNMAPPED) return 0;
    snapshot_block added = {
        .block = {.address = info->address,
                  .size = info->size,
                  .requested = info->requested,
                  .site = TARN_TRACE_NO_STRING,
                  .tag = TARN_TRACE_NO_STRING,
                  .state = (uint8_t)info->state},
        .segment = info->segment,
        .stream = info->stream,
    };
    if (info->tag != NULL && info->tag[0] != '\0')
        state->status = trace_builder_string(&state->texts, info->tag, strlen(info->tag), &added.block.tag);
    if (state->status == TARN_OK &&
        !trace_reserve((void **)&state->blocks, &state->capacity, state->count, sizeof added))
        state->status = no_memory(state);
    if (state->status != TARN_OK) return 1;
    state->blocks[state->count++] = added;
    return 0;
}

static int compare_blocks(const void *left, const void *right) {
    const snapshot_block *a = left, *b = right;
    return (a->block.address > b->block.address) - (a->block.address < b->block.address);
}

static bool continues(const snapshot_block *previous, const snapshot_block *block) {
    return block->segment == previous->segment && block->stream == previous->stream &&
           block->block.address == previous->block.address + previous->block.size;
}

static tarn_status take_state(tarn_allocator *allocator, snapshot_state *state) {
    tarn_status status = tarn_allocator_each_block(allocator, add_block, state);
    if (status == TARN_OK) status = state->status;
    if (status != TARN_OK || state->count == 0) return status;
    qsort(state->blocks, state->count, sizeof *state->blocks, compare_blocks);
    for (size_t i = 0; i < state->count; i++) {
        snapshot_block *block = &state->blocks[i], *previous = i > 0 ? block - 1 : NULL;
        bool goes_on = previous != NULL && continues(previous, block);
        block->block.segment = goes_on ? previous->block.segment : block->block.address;
    }
    return TARN_OK;
}

/* The highest element of that kind in the stack, or NULL. */
static tarn_allocator *element_of(tarn_allocator *allocator, const memory_strategy *strategy) {
    while (allocator != NULL && allocator->strategy != strategy) allocator = allocator->upstream;
    return allocator;
}

/* What the outermost recorder has written so far becomes the events. */
static tarn_status take_history(tarn_allocator *allocator, trace_builder *builder) {
    tarn_allocator *recorder = element_of(allocator, &record_adaptor);
    if (recorder == NULL) return TARN_OK;
    uint8_t *data;
    size_t size;
    tarn_status status = record_adaptor_read_back(recorder, &data, &size);
    if (status != TARN_OK || data == NULL) return status;
    trace_input input = {.path = tarn_allocator_spec(recorder), .data = data, .size = size};
    status = trace_read_recording(&input, builder);
    base_free(data);
    if (status != TARN_OK) return status;
    /* A recorder does not see segments, so their peak is told. Where the peaks were reset, it may be less than what was in use
     * before, and says nothing. */
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    status = tarn_allocator_stats(allocator, &stats);
    builder->trace.has_recorded_peak = stats.reserved_bytes.peak >= builder->trace.peak_live;
    builder->trace.recorded_peak_reserved = stats.reserved_bytes.peak;
    return status;
}

/* Where a block was asked for, when the stack has `track`: sites are few and naming one is slow, so `names` keeps the string
 * of each that was named. A block that is freed by now has none. */
static tarn_status name_site(tarn_allocator *allocator, const tarn_trace_block *block, trace_map *names,
                             trace_builder *builder, uint32_t *out_site) {
    tarn_track_place place = {.struct_size = sizeof place};
    if (block->state != TARN_BLOCK_IN_USE) return TARN_OK;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    tarn_status status = tarn_track_find(allocator, (const void *)(uintptr_t)block->address, &place);
    if (status != TARN_OK || place.site.frame_count == 0) return TARN_OK;
    uint64_t key = (uint64_t)(uintptr_t)place.site.frames;
    const uint64_t *known = trace_map_find(names, key);
    if (known != NULL) {
        *out_site = (uint32_t)*known;
        return TARN_OK;
    }
    char text[BASE_CALL_FRAMES * BASE_CALL_TEXT];
    base_call_describe(place.site.frames, (unsigned)place.site.frame_count, text, sizeof text);
    status = trace_builder_string(builder, text, strlen(text), out_site);
    if (status == TARN_OK && trace_map_insert(names, key, *out_site, NULL) == NULL)
        status = base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a snapshot", tarn_allocator_spec(allocator));
    return status;
}

static tarn_status put_blocks(tarn_allocator *allocator, const snapshot_state *state, trace_builder *builder) {
    const tarn_trace *texts = &state->texts.trace;
    trace_map names = {0};
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < state->count && status == TARN_OK; i++) {
        tarn_trace_block block = state->blocks[i].block;
        status = trace_builder_stream(builder, state->blocks[i].stream, &block.stream);
        if (status == TARN_OK && block.tag != TARN_TRACE_NO_STRING) {
            const char *tag = texts->text + texts->string_offsets[block.tag];
            status = trace_builder_string(builder, tag, strlen(tag), &block.tag);
        }
        if (status == TARN_OK && state->is_tracked) status = name_site(allocator, &block, &names, builder, &block.site);
        if (status == TARN_OK) status = trace_builder_block(builder, &block);
    }
    trace_map_discard(&names);
    return status;
}

/* Which allocator it is. */
static tarn_status put_settings(const tarn_allocator *allocator, trace_builder *builder) {
    static const char format[] = "allocator=%s, device=%s";
    const char *spec = tarn_allocator_spec(allocator), *device = tarn_device_name(tarn_allocator_device(allocator));
    size_t size = sizeof format + strlen(spec) + strlen(device);
    char *text = base_allocate(size, 1);
    if (text == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a snapshot", spec);
    snprintf(text, size, format, spec, device);
    tarn_status status = trace_builder_settings(builder, text, strlen(text));
    base_free(text);
    return status;
}

static tarn_status write_snapshot(tarn_allocator *allocator, snapshot_state *state, trace_builder *builder,
                                  const char *path) {
    tarn_trace *trace = NULL;
    tarn_status status = take_state(allocator, state);
    if (status == TARN_OK) status = take_history(allocator, builder);
    if (status == TARN_OK) status = put_blocks(allocator, state, builder);
    if (status == TARN_OK) status = put_settings(allocator, builder);
    if (status == TARN_OK) status = trace_builder_finish(builder, path, TARN_TRACE_PYTORCH_SNAPSHOT, &trace);
    if (status == TARN_OK) status = tarn_trace_write(trace, path, TARN_TRACE_PYTORCH_SNAPSHOT);
    tarn_trace_release(trace);
    return status;
}

tarn_status tarn_allocator_snapshot(tarn_allocator *allocator, const char *path) {
    if (allocator == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the allocator to take a snapshot of is NULL");
    if (path == NULL || path[0] == '\0')
        return base_fail(TARN_INVALID_ARGUMENT, "%s: a snapshot cannot be written to an empty path",
                         tarn_allocator_spec(allocator));
    snapshot_state state = {.allocator = allocator, .is_tracked = element_of(allocator, &track_adaptor) != NULL};
    trace_builder builder = {0};
    tarn_status status = write_snapshot(allocator, &state, &builder, path);
    trace_builder_discard(&builder);
    trace_builder_discard(&state.texts);
    base_free(state.blocks);
    return status;
}
