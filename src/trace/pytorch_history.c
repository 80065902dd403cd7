/* From a history with a lost beginning to a whole trace, as pytorch_history.h explains.
 *
 * Each device is followed forward once, with a map from addresses to the allocation seen there last. What the map
 * does not know when it is freed was there before; so was what the final blocks hold and the map does not know.
 * Then devices are merged by time, and the bytes reserved at each moment follow from the final ones by walking the
 * segment events back. */
#include "pytorch_history.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

#include <tarn/allocator.h>

/* There are fewer entries and blocks. */
static const uint32_t no_allocation = UINT32_MAX;
/* A completion that follows its request at once belongs to the same call, though the clock may tick in between. */
static const int64_t at_once_ns = 1000000;

typedef struct history_allocation {
    uint64_t address, size, stream;
    uint64_t id; /* in the trace */
    uint32_t site, tag;
    uint16_t device;
    bool initial;
    bool still_there; /* in use in the final blocks */
    uint8_t state;    /* trace_allocation_state */
} history_allocation;

/* What the trace has to gloss over, for one warning at the end. */
typedef struct findings {
    size_t missing_frees; /* an address was handed out again without a free */
    size_t later_blocks;  /* in use at the end, though the history freed them: allocated after it ended */
    size_t later_frees;   /* in use where the history ends, and not in the end: freed after it ended */
} findings;

static tarn_status no_memory(const trace_history *history) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a history of %zu entries", history->path,
                     history->entry_count);
}

static bool add_allocation(trace_history *history, history_allocation allocation, uint32_t *out_index) {
    if (!trace_reserve((void **)&history->allocations, &history->allocation_capacity, history->allocation_count,
                       sizeof *history->allocations))
        return false;
    allocation.id = 0;
    history->allocations[history->allocation_count] = allocation;
    *out_index = (uint32_t)history->allocation_count++;
    return true;
}

static history_allocation allocation_of(const history_entry *entry) {
    return (history_allocation){.address = entry->address,
                                .size = entry->size,
                                .stream = entry->stream,
                                .site = entry->site,
                                .tag = entry->tag,
                                .device = entry->device};
}

/* Something that was there at the start and is freed by `entry`. Where it was allocated is not known: the entry's
 * place is that of the free. */
static history_allocation initial_of(const history_entry *entry) {
    history_allocation allocation = allocation_of(entry);
    allocation.site = TARN_TRACE_NO_STRING;
    allocation.tag = TARN_TRACE_NO_STRING;
    allocation.initial = true;
    return allocation;
}

static tarn_status freed_twice(const trace_history *history, const history_entry *entry) {
    return base_fail(TARN_CORRUPT_DATA,
                     "%s: entry %u of the history (device %u) frees 0x%llx, which is free since an earlier entry",
                     history->path, entry->sequence, entry->device, (unsigned long long)entry->address);
}

static tarn_status follow_alloc(trace_history *history, trace_map *map, history_entry *entry, findings *found) {
    uint32_t index;
    bool added;
    if (!add_allocation(history, allocation_of(entry), &index)) return no_memory(history);
    uint64_t *last = trace_map_insert(map, entry->address, index, &added);
    if (last == NULL) return no_memory(history);
    entry->allocation = index;
    if (!added && history->allocations[*last].state == TRACE_LIVE) {
        history->allocations[*last].state = TRACE_COMPLETED;
        entry->replaced = (uint32_t)*last;
        found->missing_frees++;
    }
    *last = index;
    return TARN_OK;
}

static tarn_status follow_free(trace_history *history, trace_map *map, history_entry *entry) {
    uint64_t *last = trace_map_find(map, entry->address);
    uint32_t index;
    if (last == NULL) {
        if (!add_allocation(history, initial_of(entry), &index)) return no_memory(history);
        if (trace_map_insert(map, entry->address, index, NULL) == NULL) return no_memory(history);
    } else {
        index = (uint32_t)*last;
        if (history->allocations[index].state != TRACE_LIVE) return freed_twice(history, entry);
    }
    history->allocations[index].state = TRACE_FREED;
    entry->allocation = index;
    return TARN_OK;
}

/* `previous` is the entry before it on the same device, or NULL; `alone`: the history has no requests at all,
 * since its recorder was told to skip them, so that the completion is the free. */
static tarn_status follow_completion(trace_history *history, trace_map *map, history_entry *entry,
                                     const history_entry *previous, bool alone) {
    uint64_t *last = trace_map_find(map, entry->address);
    bool is_live = last != NULL && history->allocations[*last].state == TRACE_LIVE;
    if (is_live || (last == NULL && alone)) {
        entry->action = HISTORY_FREE_REQUESTED;
        tarn_status status = follow_free(history, map, entry);
        if (status == TARN_OK) history->allocations[entry->allocation].state = TRACE_COMPLETED;
        return status;
    }
    if (last == NULL) {
        /* Its owner was done with it before the history begins. */
        entry->action = HISTORY_DROPPED;
        return TARN_OK;
    }
    if (history->allocations[*last].state == TRACE_COMPLETED) return freed_twice(history, entry);
    history->allocations[*last].state = TRACE_COMPLETED;
    entry->allocation = (uint32_t)*last;
    bool at_once = previous != NULL && previous->action == HISTORY_FREE_REQUESTED &&
                   previous->address == entry->address && entry->time_ns - previous->time_ns <= at_once_ns;
    if (at_once) entry->action = HISTORY_DROPPED;
    return TARN_OK;
}

/* Follows the entries from `first` on that belong to one device. */
static tarn_status follow_device(trace_history *history, trace_map *map, size_t first, size_t end, findings *found) {
    bool alone = true;
    for (size_t i = first; i < end && alone; i++) alone = history->entries[i].action != HISTORY_FREE_REQUESTED;
    for (size_t i = first; i < end; i++) {
        history_entry *entry = &history->entries[i];
        tarn_status status = TARN_OK;
        entry->allocation = entry->replaced = no_allocation;
        switch ((history_action)entry->action) {
        case HISTORY_ALLOC: status = follow_alloc(history, map, entry, found); break;
        case HISTORY_FREE_REQUESTED: status = follow_free(history, map, entry); break;
        case HISTORY_FREE_COMPLETED:
            status = follow_completion(history, map, entry, i > first ? entry - 1 : NULL, alone);
            break;
        case HISTORY_SEGMENT_ALLOC:
        case HISTORY_SEGMENT_FREE:
        case HISTORY_OUT_OF_MEMORY:
        case HISTORY_MARK:
        case HISTORY_DROPPED: break;
        }
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

static tarn_status follow_entries(trace_history *history, trace_map *maps, findings *found) {
    for (size_t first = 0, end; first < history->entry_count; first = end) {
        uint16_t device = history->entries[first].device;
        for (end = first; end < history->entry_count && history->entries[end].device == device;) end++;
        tarn_status status = follow_device(history, &maps[device], first, end, found);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

/* What is in use at the end and was never seen was there from the start. */
static tarn_status add_final_blocks(trace_history *history, trace_map *maps, findings *found) {
    for (size_t i = 0; i < history->block_count; i++) {
        const history_block *final = &history->blocks[i];
        if (final->block.state != TARN_BLOCK_IN_USE) continue;
        trace_map *map = &maps[final->block.device];
        uint64_t *last = trace_map_find(map, final->block.address);
        if (last != NULL) {
            history_allocation *allocation = &history->allocations[*last];
            allocation->still_there = true;
            if (allocation->state != TRACE_LIVE) found->later_blocks++;
            continue;
        }
        history_allocation initial = {.address = final->block.address,
                                      .size = final->block.requested,
                                      .stream = final->stream,
                                      .site = final->block.site,
                                      .tag = final->block.tag,
                                      .device = final->block.device,
                                      .initial = true,
                                      .still_there = true};
        uint32_t index;
        if (!add_allocation(history, initial, &index)) return no_memory(history);
        if (trace_map_insert(map, final->block.address, index, NULL) == NULL) return no_memory(history);
    }
    for (size_t i = 0; i < history->allocation_count && history->block_count > 0; i++)
        if (history->allocations[i].state == TRACE_LIVE && !history->allocations[i].still_there) found->later_frees++;
    return TARN_OK;
}

static tarn_status follow(trace_history *history, findings *found) {
    trace_map *maps = base_allocate(history->device_count, sizeof *maps);
    if (maps == NULL) return no_memory(history);
    tarn_status status = follow_entries(history, maps, found);
    if (status == TARN_OK) status = add_final_blocks(history, maps, found);
    for (size_t i = 0; i < history->device_count; i++) trace_map_discard(&maps[i]);
    base_free(maps);
    return status;
}

static int compare_entries(const void *left, const void *right) {
    const history_entry *a = left, *b = right;
    if (a->time_ns != b->time_ns) return a->time_ns < b->time_ns ? -1 : 1;
    return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

/* One device alone is in order already. */
static void merge_devices(trace_history *history) {
    bool in_order = true;
    for (size_t i = 1; i < history->entry_count && in_order; i++)
        in_order = compare_entries(&history->entries[i - 1], &history->entries[i]) < 0;
    if (!in_order) qsort(history->entries, history->entry_count, sizeof *history->entries, compare_entries);
}

/* An initial allocation's place in the array, with what it is sorted by. */
typedef struct initial_place {
    uint64_t address;
    uint32_t index;
} initial_place;

static int compare_places(const void *left, const void *right) {
    const initial_place *a = left, *b = right;
    if (a->address != b->address) return a->address < b->address ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

static tarn_status emit_allocation(const trace_history *history, trace_builder *builder, history_allocation *allocation,
                                   int64_t time_ns) {
    tarn_trace_event event = {.size = allocation->size,
                              .address = allocation->address,
                              .time_ns = time_ns,
                              .tag = allocation->tag,
                              .site = allocation->site,
                              .device = allocation->device};
    tarn_status status = trace_builder_stream(builder, allocation->stream, &event.stream);
    if (status != TARN_OK) return status;
    status = trace_builder_allocate(builder, &event, allocation->initial, &allocation->id);
    return status == TARN_OK ? status : base_fail_within(status, "%s", history->path);
}

static tarn_status emit_initial(trace_history *history, trace_builder *builder) {
    size_t count = 0;
    initial_place *places = base_allocate(history->allocation_count, sizeof *places);
    if (places == NULL) return no_memory(history);
    for (size_t i = 0; i < history->allocation_count; i++)
        if (history->allocations[i].initial)
            places[count++] = (initial_place){history->allocations[i].address, (uint32_t)i};
    qsort(places, count, sizeof *places, compare_places);
    tarn_status status = TARN_OK;
    for (size_t i = 0; i < count && status == TARN_OK; i++)
        status = emit_allocation(history, builder, &history->allocations[places[i].index], 0);
    base_free(places);
    return status;
}

static tarn_trace_action other_action(uint8_t action) {
    switch ((history_action)action) {
    case HISTORY_SEGMENT_ALLOC: return TARN_TRACE_SEGMENT_ALLOCATE;
    case HISTORY_SEGMENT_FREE: return TARN_TRACE_SEGMENT_FREE;
    case HISTORY_OUT_OF_MEMORY: return TARN_TRACE_OUT_OF_MEMORY;
    case HISTORY_ALLOC:
    case HISTORY_FREE_REQUESTED:
    case HISTORY_FREE_COMPLETED:
    case HISTORY_DROPPED:
    case HISTORY_MARK: break;
    }
    return TARN_TRACE_MARK;
}

static tarn_status emit_entry(trace_history *history, trace_builder *builder, const history_entry *entry) {
    tarn_trace_event event = {.size = entry->size,
                              .address = entry->address,
                              .time_ns = entry->time_ns,
                              .tag = entry->tag,
                              .site = entry->site,
                              .device = entry->device,
                              .action = (uint8_t)other_action(entry->action)};
    tarn_status status = trace_builder_stream(builder, entry->stream, &event.stream);
    if (status != TARN_OK) return status;
    switch ((history_action)entry->action) {
    case HISTORY_DROPPED: return TARN_OK;
    case HISTORY_ALLOC:
        if (entry->replaced != no_allocation)
            status = trace_builder_free(builder, history->allocations[entry->replaced].id, &event, false);
        if (status != TARN_OK) return status;
        return emit_allocation(history, builder, &history->allocations[entry->allocation], entry->time_ns);
    case HISTORY_FREE_REQUESTED:
        return trace_builder_free(builder, history->allocations[entry->allocation].id, &event, false);
    case HISTORY_FREE_COMPLETED:
        return trace_builder_free(builder, history->allocations[entry->allocation].id, &event, true);
    case HISTORY_SEGMENT_ALLOC:
    case HISTORY_SEGMENT_FREE:
    case HISTORY_OUT_OF_MEMORY:
    case HISTORY_MARK: break;
    }
    return trace_builder_other(builder, &event);
}

static tarn_status emit_blocks(const trace_history *history, trace_builder *builder) {
    for (size_t i = 0; i < history->block_count; i++) {
        tarn_trace_block block = history->blocks[i].block;
        tarn_status status = trace_builder_stream(builder, history->blocks[i].stream, &block.stream);
        if (status == TARN_OK) status = trace_builder_block(builder, &block);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

/* The most that was reserved at any time, by walking back from the end. Not known where the history says that more
 * was taken than there is at the end, because it ended before the snapshot was made. */
static bool peak_reserved(const trace_history *history, uint64_t *out_peak) {
    uint64_t reserved = history->final_reserved, peak = reserved;
    if (history->told_peak != 0) {
        *out_peak = history->told_peak;
        return true;
    }
    for (size_t i = history->entry_count; i-- > 0;) {
        const history_entry *entry = &history->entries[i];
        if (entry->action == HISTORY_SEGMENT_ALLOC) {
            if (__builtin_sub_overflow(reserved, entry->size, &reserved)) return false;
        } else if (entry->action == HISTORY_SEGMENT_FREE) {
            if (__builtin_add_overflow(reserved, entry->size, &reserved)) return false;
        }
        if (reserved > peak) peak = reserved;
    }
    *out_peak = peak;
    return true;
}

static void report(const trace_history *history, const findings *found) {
    if (found->missing_frees > 0)
        base_log(TARN_LOG_WARNING,
                 "%s: %zu addresses were handed out again without a free; the older allocations end there",
                 history->path, found->missing_frees);
    if (found->later_blocks + found->later_frees > 0)
        base_log(
            TARN_LOG_WARNING,
            "%s: the history ends before the snapshot was made: %zu blocks were freed and %zu allocated after it; they are "
            "left as the history has them",
            history->path, found->later_frees, found->later_blocks);
}

tarn_status trace_history_emit(trace_history *history, trace_builder *builder) {
    findings found = {0};
    tarn_status status = follow(history, &found);
    if (status != TARN_OK) return status;
    merge_devices(history);
    status = emit_initial(history, builder);
    for (size_t i = 0; i < history->entry_count && status == TARN_OK; i++)
        status = emit_entry(history, builder, &history->entries[i]);
    if (status == TARN_OK) status = emit_blocks(history, builder);
    if (status != TARN_OK) return status;
    builder->trace.has_recorded_peak = peak_reserved(history, &builder->trace.recorded_peak_reserved);
    report(history, &found);
    return TARN_OK;
}

void trace_history_discard(trace_history *history) {
    base_free(history->entries);
    base_free(history->blocks);
    base_free(history->allocations);
    *history = (trace_history){0};
}
