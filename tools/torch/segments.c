/* Blocks and segments of a device and its pools, as PyTorch shows them, and what became of the segments since they were looked at last.
 *
 * Tarn tells nobody when it asks the driver for memory. But each such call is counted, so that whoever has allocated or freed compares two
 * numbers, and only where they differ walks over the blocks and compares their segments with those of the last time. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "torch/state.h"

/* Blocks, while they are gathered. */
typedef struct gathering {
    tarn_torch_block *blocks;
    size_t count, capacity;
    tarn_torch_pool_id pool; /* of the allocator that is visited */
    bool is_short;           /* of host memory */
} gathering;

static int gather(void *context, const tarn_block_info *block) {
    gathering *all = context;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity == 0 ? 64 : 2 * all->capacity;
        tarn_torch_block *grown = base_reallocate(all->blocks, capacity, sizeof *grown);
        all->is_short = grown == NULL;
        if (all->is_short) return 1;
        all->blocks = grown;
        all->capacity = capacity;
    }
    all->blocks[all->count++] = (tarn_torch_block){
        .address = block->address,
        .size = block->size,
        .requested = block->requested,
        .segment = block->segment,
        .stream =
            (void *)(uintptr_t)block->stream, /* its number, until `complete`. NOLINT(performance-no-int-to-ptr) */
        .pool = all->pool,
        .state = block->state,
    };
    return 0;
}

static tarn_status visit(gathering *all, tarn_allocator *allocator, tarn_torch_pool_id pool) {
    all->pool = pool;
    tarn_status status = torch_answer(tarn_allocator_each_block(allocator, gather, all));
    if (status == TARN_OK && all->is_short)
        status = torch_fail(TARN_OUT_OF_MEMORY, "no host memory for a list of blocks");
    return status;
}

/* Pools, each kept while it is visited. */
static tarn_status visit_pools(gathering *all, torch_device *device) {
    tarn_torch_pool_id *names = NULL;
    size_t count = 0;
    pthread_mutex_lock(&device->lock);
    for (const torch_pool *pool = device->pools; pool != NULL; pool = pool->next) count++;
    if (count != 0) names = base_allocate(count, sizeof *names);
    size_t known = 0;
    for (const torch_pool *pool = device->pools; pool != NULL && names != NULL; pool = pool->next)
        names[known++] = pool->id;
    pthread_mutex_unlock(&device->lock);
    tarn_status status =
        known == count ? TARN_OK : torch_fail(TARN_OUT_OF_MEMORY, "no host memory for a list of pools");
    for (size_t i = 0; i < known && status == TARN_OK; i++) {
        pthread_mutex_lock(&device->lock);
        const torch_pool *pool = torch_pool_find(device, names[i]);
        tarn_allocator *allocator = pool != NULL ? tarn_allocator_retain(pool->allocator) : NULL;
        pthread_mutex_unlock(&device->lock);
        if (allocator == NULL) continue;
        status = visit(all, allocator, names[i]);
        (void)tarn_allocator_release(allocator);
    }
    base_free(names);
    return status;
}

/* Blocks without memory go, and mark those beside them: a segment's blocks were gathered one after the other. */
static void drop_unmapped(gathering *all) {
    size_t kept = 0;
    for (size_t begin = 0, end; begin < all->count; begin = end) {
        bool is_expandable = false;
        for (end = begin; end < all->count && all->blocks[end].segment == all->blocks[begin].segment; end++)
            is_expandable |= all->blocks[end].state == TARN_BLOCK_UNMAPPED;
        for (size_t i = begin; i < end; i++) {
            if (all->blocks[i].state == TARN_BLOCK_UNMAPPED) continue;
            all->blocks[kept] = all->blocks[i];
            all->blocks[kept++].is_expandable = is_expandable;
        }
    }
    all->count = kept;
}

static int compare_addresses(const void *a, const void *b) {
    const tarn_torch_block *first = a, *second = b;
    return first->address < second->address ? -1 : first->address > second->address;
}

/* What the plug-in alone knows: PyTorch's streams, and frees that wait for the end of a capture. */
static void complete(gathering *all, torch_device *device) {
    pthread_mutex_lock(&device->lock);
    for (size_t i = 0; i < all->count; i++)
        all->blocks[i].stream = torch_native_of(device, (uintptr_t)all->blocks[i].stream);
    for (const torch_late_free *late = device->late; late != NULL && all->count != 0; late = late->next) {
        tarn_torch_block wanted = {.address = late->event.address};
        tarn_torch_block *found = bsearch(&wanted, all->blocks, all->count, sizeof wanted, compare_addresses);
        if (found != NULL && found->state == TARN_BLOCK_IN_USE) {
            found->state = TARN_BLOCK_PENDING;
            found->requested = 0;
        }
    }
    pthread_mutex_unlock(&device->lock);
}

static tarn_status gather_all(torch_device *device, gathering *all) {
    tarn_status status = visit(all, device->allocator, (tarn_torch_pool_id){0, 0});
    if (status == TARN_OK) status = visit_pools(all, device);
    if (status != TARN_OK) {
        base_free(all->blocks);
        return status;
    }
    drop_unmapped(all);
    if (all->count != 0) qsort(all->blocks, all->count, sizeof *all->blocks, compare_addresses);
    complete(all, device);
    return TARN_OK;
}

tarn_status tarn_torch_blocks_get(int number, tarn_torch_block **out_blocks, size_t *out_count) {
    torch_device *device = torch_device_known(number);
    gathering all = {.count = 0};
    tarn_status status = device != NULL ? gather_all(device, &all) : TARN_OK;
    if (status != TARN_OK) return status;
    *out_blocks = all.blocks;
    *out_count = all.count;
    return TARN_OK;
}

void tarn_torch_blocks_free(tarn_torch_block *blocks) { base_free(blocks); }

/* Segments. */

/* Joins blocks without a gap between them; returns how many segments that are. */
static size_t join(const gathering *all, torch_segment *segments) {
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        const tarn_torch_block *block = &all->blocks[i];
        torch_segment *last = count != 0 ? &segments[count - 1] : NULL;
        if (last != NULL && block[-1].segment == block->segment && last->address + last->size == block->address) {
            last->size += block->size;
            continue;
        }
        segments[count++] = (torch_segment){.address = block->address,
                                            .size = block->size,
                                            .stream = block->stream,
                                            .pool = block->pool,
                                            .is_expandable = block->is_expandable != 0};
    }
    return count;
}

static void count_segments(torch_device *device, const torch_segment *segments, size_t count) {
    int64_t counts[TARN_TORCH_SIZES] = {0}, bytes[TARN_TORCH_SIZES] = {0};
    for (size_t i = 0; i < count; i++) {
        tarn_torch_sizes sizes = torch_sizes_of_segment(segments[i].size);
        counts[TARN_TORCH_ALL]++;
        counts[sizes]++;
        bytes[TARN_TORCH_ALL] += (int64_t)segments[i].size;
        bytes[sizes] += (int64_t)segments[i].size;
    }
    torch_count_segments(device, counts, bytes);
}

/* Writes an event for each part of `segments` that none of `others` covers, and returns how many. Both are in order. */
static size_t find_changes(int device, const torch_segment *segments, size_t count, const torch_segment *others,
                           size_t other_count, tarn_torch_action plain, tarn_torch_action expandable,
                           tarn_torch_event *events) {
    size_t found = 0, other = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t at = segments[i].address, end = at + segments[i].size;
        while (at < end) {
            while (other < other_count && others[other].address + others[other].size <= at) other++;
            uint64_t covered = other < other_count ? others[other].address : UINT64_MAX;
            if (covered > at) {
                uint64_t stop = covered < end ? covered : end;
                events[found++] = (tarn_torch_event){.action = segments[i].is_expandable ? expandable : plain,
                                                     .device = device,
                                                     .address = at,
                                                     .size = stop - at,
                                                     .stream = segments[i].stream,
                                                     .pool = segments[i].pool};
                at = stop;
            } else {
                uint64_t stop = covered + others[other].size;
                at = stop < end ? stop : end;
            }
        }
    }
    return found;
}

static uint64_t count_calls(const torch_device *device) {
    tarn_device_counters counters = {.struct_size = sizeof counters};
    if (tarn_device_counters_get(device->device, &counters) != TARN_OK) return 0;
    return counters.driver_allocs + counters.driver_frees + counters.driver_maps + counters.driver_unmaps;
}

/* Without host memory nothing is noted, so that the next look finds the same changes. Must be called with `looking` held. The
 * caller frees the events. */
static size_t look(torch_device *device, uint64_t calls, tarn_torch_event **out_events) {
    torch_ledger *ledger = &device->ledger;
    gathering all = {.count = 0};
    if (gather_all(device, &all) != TARN_OK) return 0;
    torch_segment *segments = base_allocate(all.count + 1, sizeof *segments);
    size_t count = segments != NULL ? join(&all, segments) : 0;
    size_t most = 2 * (count + ledger->segment_count), found = 0;
    tarn_torch_event *events = NULL;
    base_free(all.blocks);
    if (segments != NULL && torch_is_watched()) events = base_allocate(most + 1, sizeof *events);
    if (segments == NULL || (torch_is_watched() && events == NULL)) {
        base_free(segments);
        return 0;
    }
    if (events != NULL) {
        found = find_changes(device->number, ledger->segments, ledger->segment_count, segments, count,
                             TARN_TORCH_SEGMENT_FREE, TARN_TORCH_SEGMENT_UNMAP, events);
        found += find_changes(device->number, segments, count, ledger->segments, ledger->segment_count,
                              TARN_TORCH_SEGMENT_ALLOC, TARN_TORCH_SEGMENT_MAP, events + found);
    }
    count_segments(device, segments, count);
    base_free(ledger->segments);
    ledger->segments = segments;
    ledger->segment_count = count;
    atomic_store_explicit(&ledger->seen, calls, memory_order_relaxed);
    *out_events = events;
    return found;
}

void torch_look(torch_device *device) {
    uint64_t calls = count_calls(device);
    if (calls == atomic_load_explicit(&device->ledger.seen, memory_order_relaxed)) return;
    tarn_torch_event *events = NULL;
    pthread_mutex_lock(&device->ledger.looking);
    size_t count = look(device, calls, &events);
    pthread_mutex_unlock(&device->ledger.looking);
    for (size_t i = 0; i < count; i++) torch_tell(&events[i]);
    base_free(events);
}
