/* `pytorch` checked against recordings of PyTorch itself: from the state in which a recording begins, with the settings that it
 * carries and the addresses that the driver gave, each allocation goes where PyTorch put it, and the driver is asked for the
 * same segments.
 *
 * The state at the beginning is worked out backwards: the segments from those at the end, the blocks from what the history frees or the
 * end still holds. The size of such a block is known when it is there at the end, when no free block fits behind it, or when the history
 * puts something behind it; else it is the size that PyTorch rounds the request to, which is not always what the block had: a block is larger than
 * that when its segment's rest was too small to be split off. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "recorded.h"
#include "stand.h"

#define SMALL_SEGMENT (2 * MIB)
#define LARGE_SEGMENT (20 * MIB)

typedef struct segment {
    uint64_t address, size;
} segment;

/* A block that is alive when the history begins. */
typedef struct initial_block {
    uint64_t address, size;
    uint64_t id; /* of its allocation in the trace */
    bool is_sure;
} initial_block;

typedef struct recording {
    tarn_trace *trace;
    tarn_trace_info info;
    const tarn_trace_event *events;
    segment *segments; /* at the beginning, in address order */
    size_t segment_count;
    initial_block *blocks; /* likewise */
    size_t block_count;
    tarn_buffer **buffers; /* by id */
} recording;

typedef struct outcome {
    size_t allocations, placed, segments, segments_placed, unsure_sizes;
    size_t first_wrong; /* index of the event */
} outcome;

static int compare_addresses(const void *left, const void *right) {
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void *array(size_t count, size_t size) {
    void *memory = calloc(count > 0 ? count : 1, size);
    assert_non_null(memory);
    return memory;
}

static segment *find_segment(segment *segments, size_t count, uint64_t address) {
    size_t i = 0;
    while (i < count && segments[i].address != address) i++;
    return i < count ? &segments[i] : NULL;
}

/* From the final segments back to the first event. */
static void find_segments(recording *self) {
    const tarn_trace_block *blocks = tarn_trace_blocks(self->trace);
    self->segments = array(self->info.block_count + self->info.event_count, sizeof *self->segments);
    for (size_t i = 0; i < self->info.block_count; i++) {
        segment *known = find_segment(self->segments, self->segment_count, blocks[i].segment);
        if (known == NULL) {
            known = &self->segments[self->segment_count++];
            known->address = blocks[i].segment;
        }
        known->size += blocks[i].size;
    }
    for (size_t i = self->info.event_count; i-- > self->info.initial_count;) {
        const tarn_trace_event *event = &self->events[i];
        if (event->action == TARN_TRACE_SEGMENT_ALLOCATE) {
            segment *taken = find_segment(self->segments, self->segment_count, event->address);
            assert_non_null(taken);
            *taken = self->segments[--self->segment_count];
        } else if (event->action == TARN_TRACE_SEGMENT_FREE) {
            self->segments[self->segment_count++] = (segment){event->address, event->size};
        }
    }
    qsort(self->segments, self->segment_count, sizeof *self->segments, compare_addresses);
}

static uint64_t size_at_the_end(const recording *self, uint64_t address) {
    const tarn_trace_block *blocks = tarn_trace_blocks(self->trace);
    for (size_t i = 0; i < self->info.block_count; i++)
        if (blocks[i].address == address) return blocks[i].size;
    fail_msg("nothing lies at %#llx at the end", (unsigned long long)address);
    return 0;
}

/* Sizes as far as they are known from the block alone. */
static void find_blocks(recording *self) {
    bool *is_freed = array(self->info.allocation_count, sizeof *is_freed);
    for (size_t i = 0; i < self->info.event_count; i++)
        if (self->events[i].action == TARN_TRACE_FREE) is_freed[self->events[i].id] = true;
    self->block_count = self->info.initial_count;
    self->blocks = array(self->block_count, sizeof *self->blocks);
    for (size_t i = 0; i < self->block_count; i++) {
        const tarn_trace_event *event = &self->events[i];
        initial_block *block = &self->blocks[i];
        *block = (initial_block){event->address, (event->size + 511) / 512 * 512, event->id, !is_freed[event->id]};
        if (block->is_sure) block->size = size_at_the_end(self, event->address);
    }
    free(is_freed);
}

/* The first allocation behind a block, while that is alive, begins where the block ends: free memory is used from its low end. Where
 * `end` is the next block's address or the segment's end, says whether there is one. */
static bool size_told_by_history(const recording *self, const initial_block *block, uint64_t end, uint64_t *out_size) {
    for (size_t i = self->info.initial_count; i < self->info.event_count; i++) {
        const tarn_trace_event *event = &self->events[i];
        if (event->action == TARN_TRACE_FREE && event->id == block->id) return false;
        if (event->action != TARN_TRACE_ALLOCATE || event->address <= block->address || event->address >= end) continue;
        *out_size = event->address - block->address;
        return true;
    }
    return false;
}

/* A request that takes `size` bytes from the one free block there is, or begins a segment of that size. */
static tarn_buffer *request(test_stand *stand, uint64_t size) {
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate(stand->allocator, (size_t)size, NULL, &buffer));
    return buffer;
}

/* Takes what no block is in: from a small segment in requests that count as small. */
static void fill_gap(test_stand *stand, bool is_small, uint64_t size, tarn_buffer **gaps, size_t *inout_gap_count) {
    while (size > 0) {
        uint64_t part = is_small && size > MIB ? MIB : size;
        gaps[(*inout_gap_count)++] = request(stand, part);
        size -= part;
    }
}

/* Lays out one segment, all of it in use: the blocks that are alive and something in the gaps between, which the caller frees. */
static void fill_segment(recording *self, test_stand *stand, const segment *place, size_t *inout_block,
                         tarn_buffer **gaps, size_t *inout_gap_count, outcome *result) {
    uint64_t end = place->address + place->size, at = place->address;
    bool is_small = place->size == SMALL_SEGMENT;
    uint64_t least_gap = is_small ? 512 : MIB + 512;
    fake_place(place->address, place->size);
    uint64_t first = is_small ? 512 : place->size == LARGE_SEGMENT ? 2 * MIB : place->size;
    EXPECT_OK(tarn_allocator_free(stand->allocator, request(stand, first), NULL));
    assert_false(fake_place_is_left());
    while (at < end) {
        initial_block *block = *inout_block < self->block_count ? &self->blocks[*inout_block] : NULL;
        if (block == NULL || block->address >= end) {
            fill_gap(stand, is_small, end - at, gaps, inout_gap_count);
            return;
        }
        fill_gap(stand, is_small, block->address - at, gaps, inout_gap_count);
        at = block->address;
        uint64_t next = *inout_block + 1 < self->block_count && block[1].address < end ? block[1].address : end;
        bool fills = next - at < block->size + least_gap;
        if (!block->is_sure && fills) block->size = next - at;
        if (!block->is_sure && !fills && !is_small)
            result->unsure_sizes += !size_told_by_history(self, block, next, &block->size);
        tarn_buffer *buffer = request(stand, block->size);
        assert_int_equal((uintptr_t)tarn_buffer_data(buffer), block->address);
        assert_int_equal(tarn_buffer_capacity(buffer), block->size);
        self->buffers[block->id] = buffer;
        at += block->size;
        ++*inout_block;
    }
}

static void begin_as_recorded(recording *self, test_stand *stand, outcome *result) {
    tarn_buffer **gaps = array(2 * (self->block_count + self->segment_count), sizeof *gaps);
    size_t block = 0, gap_count = 0;
    for (size_t i = 0; i < self->segment_count; i++)
        fill_segment(self, stand, &self->segments[i], &block, gaps, &gap_count, result);
    assert_int_equal(block, self->block_count);
    for (size_t i = 0; i < gap_count; i++) EXPECT_OK(tarn_allocator_free(stand->allocator, gaps[i], NULL));
    free(gaps);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    EXPECT_OK(tarn_allocator_reset_peaks(stand->allocator));
}

/* The segments of a run of frees are those that emptying the cache gives back. Returns the last event of the run. */
static size_t empty_as_recorded(const recording *self, test_stand *stand, size_t index) {
    size_t first = index;
    while (index + 1 < self->info.event_count && self->events[index + 1].action == TARN_TRACE_SEGMENT_FREE) index++;
    uint64_t before = counters_of(stand->device).driver_frees;
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(counters_of(stand->device).driver_frees - before, index - first + 1);
    return index;
}

static void allocate_as_recorded(const recording *self, test_stand *stand, size_t index, outcome *result) {
    const tarn_trace_event *event = &self->events[index];
    bool has_segment = fake_place_is_left();
    uint64_t before = counters_of(stand->device).driver_allocs;
    self->buffers[event->id] = request(stand, event->size);
    result->allocations++;
    bool is_placed = (uintptr_t)tarn_buffer_data(self->buffers[event->id]) == event->address;
    if (!is_placed && result->placed + 1 == result->allocations) result->first_wrong = index;
    result->placed += is_placed;
    uint64_t asked = counters_of(stand->device).driver_allocs - before;
    result->segments += has_segment;
    result->segments_placed += has_segment && !fake_place_is_left() && asked == 1;
    if (asked != has_segment) fake_place(0, 0);
}

static outcome run_recording(recording *self, test_stand *stand) {
    outcome result = {0};
    begin_as_recorded(self, stand, &result);
    for (size_t i = self->info.initial_count; i < self->info.event_count; i++) {
        const tarn_trace_event *event = &self->events[i];
        if (event->action == TARN_TRACE_ALLOCATE) {
            allocate_as_recorded(self, stand, i, &result);
        } else if (event->action == TARN_TRACE_FREE) {
            EXPECT_OK(tarn_allocator_free(stand->allocator, self->buffers[event->id], NULL));
            self->buffers[event->id] = NULL;
        } else if (event->action == TARN_TRACE_SEGMENT_ALLOCATE) {
            fake_place(event->address, event->size);
        } else if (event->action == TARN_TRACE_SEGMENT_FREE) {
            i = empty_as_recorded(self, stand, i);
        }
    }
    return result;
}

static void the_model_places_every_allocation_where_pytorch_did(void **state) {
    recording self = {.trace = recorded_open(*state), .info.struct_size = sizeof self.info};
    EXPECT_OK(tarn_trace_info_get(self.trace, &self.info));
    self.events = tarn_trace_events(self.trace);
    self.buffers = array(self.info.allocation_count, sizeof *self.buffers);
    find_segments(&self);
    find_blocks(&self);
    test_stand stand;
    stand_open(&stand, "pytorch", "fake:128GiB,flat");
    outcome result = run_recording(&self, &stand);
    uint64_t peak = stats_of(stand.allocator).reserved_bytes.peak;
    print_message(
        "%s: %zu of %zu allocations at the recorded address, %zu of %zu segments asked for, %llu of %llu bytes "
        "reserved at the peak; %zu sizes at the beginning were not sure\n",
        (const char *)*state, result.placed, result.allocations, result.segments_placed, result.segments,
        (unsigned long long)peak, (unsigned long long)self.info.recorded_peak_reserved, result.unsure_sizes);
    if (result.placed != result.allocations) print_message("the first one elsewhere: event %zu\n", result.first_wrong);
    for (size_t i = 0; i < self.info.allocation_count; i++)
        if (self.buffers[i] != NULL) give(&stand, self.buffers[i], NULL);
    stand_close(&stand);
    assert_int_equal(result.segments_placed, result.segments);
    assert_int_equal(result.placed, result.allocations);
    assert_int_equal(peak, self.info.recorded_peak_reserved);
    free(self.buffers);
    free(self.blocks);
    free(self.segments);
    tarn_trace_release(self.trace);
}

/* A replay begins with what was alive, allocated in address order, and without what the job had cached. Where the history takes all
 * its segments itself, that makes no difference; elsewhere the peak differs by what lay unused then. */
static void a_replay_reserves_about_what_was_recorded(void **state) {
    tarn_trace *trace = recorded_open(*state);
    tarn_trace_info info = {.struct_size = sizeof info};
    tarn_replay_result result = {.struct_size = sizeof result};
    tarn_device *device = NULL;
    EXPECT_OK(tarn_trace_info_get(trace, &info));
    EXPECT_OK(tarn_device_open("sim:128GiB", &device));
    EXPECT_OK(tarn_replay_run(trace, device, "pytorch:as-recorded", NULL, &result));
    double ratio = (double)result.peak_reserved_bytes / (double)info.recorded_peak_reserved;
    print_message("%s: a replay reserves %llu bytes at the peak, recorded were %llu: %+.2f %%\n", (const char *)*state,
                  (unsigned long long)result.peak_reserved_bytes, (unsigned long long)info.recorded_peak_reserved,
                  (ratio - 1) * 100);
    assert_true(ratio > 0.99 && ratio < 1.01);
    assert_int_equal(result.failed_allocations, 0);
    EXPECT_OK(tarn_device_release(device));
    tarn_trace_release(trace);
}

int main(void) {
    struct CMUnitTest tests[2 * RECORDED_SNAPSHOTS];
    for (size_t i = 0; i < RECORDED_SNAPSHOTS; i++) {
        void *snapshot = (void *)(uintptr_t)recorded_snapshots[i];
        tests[2 * i] = (struct CMUnitTest){"the_model_places_every_allocation_where_pytorch_did",
                                           the_model_places_every_allocation_where_pytorch_did, NULL, NULL, snapshot};
        tests[2 * i + 1] = (struct CMUnitTest){"a_replay_reserves_about_what_was_recorded",
                                               a_replay_reserves_about_what_was_recorded, NULL, NULL, snapshot};
    }
    return _cmocka_run_group_tests("recorded PyTorch", tests, 2 * RECORDED_SNAPSHOTS, NULL, NULL);
}
