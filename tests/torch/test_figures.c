/* Figures under PyTorch's names, the blocks behind them, and the history of what came and went. */
#include "torch_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "torch/native.h"

static char other; /* a stream */
static const tarn_torch_pool_id captures = {0, 9};

static tarn_torch_stats figures_of(int device) {
    tarn_torch_stats stats;
    assert_int_equal(tarn_torch_stats_get(device, &stats), TARN_OK);
    return stats;
}

static void expect_figure(int device, tarn_torch_figure_name name, tarn_torch_sizes sizes, int64_t current,
                          int64_t peak, int64_t allocated, int64_t freed) {
    tarn_torch_stats stats = figures_of(device);
    const tarn_torch_figure *figure = &stats.figures[name][sizes];
    assert_int_equal(figure->current, current);
    assert_int_equal(figure->peak, peak);
    assert_int_equal(figure->allocated, allocated);
    assert_int_equal(figure->freed, freed);
}

static void small_and_large_requests_are_counted_apart(void **state) {
    (void)state;
    const int64_t small = 1000, large = 5 << 20;
    void *first = tarn_torch_malloc((size_t)small, 1, NULL), *second = tarn_torch_malloc((size_t)large, 1, NULL);
    tarn_torch_free(second, (size_t)large, 1, NULL);
    expect_figure(1, TARN_TORCH_ALLOCATION, TARN_TORCH_SMALL, 1, 1, 1, 0);
    expect_figure(1, TARN_TORCH_ALLOCATION, TARN_TORCH_LARGE, 0, 1, 1, 1);
    expect_figure(1, TARN_TORCH_ALLOCATION, TARN_TORCH_ALL, 1, 2, 2, 1);
    expect_figure(1, TARN_TORCH_REQUESTED_BYTES, TARN_TORCH_SMALL, small, small, small, 0);
    expect_figure(1, TARN_TORCH_REQUESTED_BYTES, TARN_TORCH_LARGE, 0, large, large, large);
    expect_figure(1, TARN_TORCH_REQUESTED_BYTES, TARN_TORCH_ALL, small, small + large, small + large, large);
    expect_figure(1, TARN_TORCH_ACTIVE, TARN_TORCH_ALL, 1, 2, 2, 1);
    tarn_torch_stats stats = figures_of(1);
    assert_int_equal(stats.figures[TARN_TORCH_RESERVED_BYTES][TARN_TORCH_ALL].current,
                     stats_of(1).reserved_bytes.current);
    assert_int_equal(stats.figures[TARN_TORCH_ALLOCATED_BYTES][TARN_TORCH_ALL].current,
                     stats_of(1).in_use_bytes.current);
    assert_true(stats.driver_allocs > 0);
    tarn_torch_free(first, (size_t)small, 1, NULL);
    tarn_torch_reset();
    expect_figure(1, TARN_TORCH_RESERVED_BYTES, TARN_TORCH_ALL, 0,
                  stats.figures[TARN_TORCH_RESERVED_BYTES][TARN_TORCH_ALL].peak,
                  stats.figures[TARN_TORCH_RESERVED_BYTES][TARN_TORCH_ALL].allocated,
                  stats.figures[TARN_TORCH_RESERVED_BYTES][TARN_TORCH_ALL].allocated);
    assert_int_equal(figures_of(1).figures[TARN_TORCH_SEGMENT][TARN_TORCH_ALL].current, 0);
}

static void peaks_and_totals_are_reset_apart(void **state) {
    (void)state;
    void *kept = tarn_torch_malloc(MIB, 2, NULL);
    tarn_torch_free(tarn_torch_malloc(MIB, 2, NULL), MIB, 2, NULL);
    assert_null(tarn_torch_malloc(64 * GIB, 2, NULL));
    assert_int_equal(figures_of(2).failures, 1);
    tarn_torch_reset_peaks(2);
    expect_figure(2, TARN_TORCH_ALLOCATION, TARN_TORCH_ALL, 1, 1, 2, 1);
    tarn_torch_reset_totals(2);
    expect_figure(2, TARN_TORCH_ALLOCATION, TARN_TORCH_ALL, 1, 1, 0, 0);
    assert_int_equal(figures_of(2).failures, 0);
    tarn_torch_free(kept, MIB, 2, NULL);
    expect_figure(2, TARN_TORCH_ALLOCATION, TARN_TORCH_ALL, 0, 1, 0, 1);
}

static void a_device_that_is_not_open_has_zeros(void **state) {
    (void)state;
    expect_figure(60, TARN_TORCH_ALLOCATION, TARN_TORCH_ALL, 0, 0, 0, 0);
    tarn_torch_reset_peaks(60);
    tarn_torch_reset_totals(60);
    tarn_torch_count_failure(60);
    tarn_torch_block *blocks = NULL;
    size_t count = 1;
    assert_int_equal(tarn_torch_blocks_get(60, &blocks, &count), TARN_OK);
    assert_int_equal(count, 0);
}

static const tarn_torch_block *block_at(const tarn_torch_block *blocks, size_t count, const void *pointer) {
    for (size_t i = 0; i < count; i++) {
        if (blocks[i].address == (uintptr_t)pointer) return &blocks[i];
    }
    fail_msg("no block at %p", pointer);
    return NULL;
}

static void blocks_show_streams_pools_and_frees_that_wait(void **state) {
    (void)state;
    void *plain = tarn_torch_malloc(1000, 3, &other), *shared = tarn_torch_malloc(5000, 3, NULL);
    tarn_torch_record_stream(shared, &other);
    tarn_torch_begin_allocate_to_pool_with(3, captures, NULL, NULL, NULL);
    void *inside = tarn_torch_malloc(3000, 3, &other);
    tarn_torch_free(shared, 5000, 3, NULL); /* waits for the end of the pool */
    tarn_torch_block *blocks = NULL;
    size_t count = 0;
    assert_int_equal(tarn_torch_blocks_get(3, &blocks, &count), TARN_OK);
    const tarn_torch_block *found = block_at(blocks, count, plain);
    assert_true(found->state == TARN_BLOCK_IN_USE && found->requested == 1000 && found->stream == &other);
    assert_int_equal(found->pool.second, 0);
    found = block_at(blocks, count, inside);
    assert_true(found->state == TARN_BLOCK_IN_USE && found->requested == 3000 && found->stream == &other);
    assert_int_equal(found->pool.second, captures.second);
    found = block_at(blocks, count, shared);
    assert_true(found->state == TARN_BLOCK_PENDING && found->requested == 0 && found->stream == NULL);
    for (size_t i = 1; i < count; i++) assert_true(blocks[i - 1].address + blocks[i - 1].size <= blocks[i].address);
    tarn_torch_blocks_free(blocks);
    expect_figure(3, TARN_TORCH_ALLOCATION, TARN_TORCH_ALL, 2, 3, 3, 1);
    expect_figure(3, TARN_TORCH_ACTIVE, TARN_TORCH_ALL, 3, 3, 3, 0);
    tarn_torch_free(inside, 3000, 3, &other);
    tarn_torch_end_allocate_to_pool(3, captures);
    tarn_torch_release_pool(3, captures);
    tarn_torch_free(plain, 1000, 3, &other);
    tarn_torch_reset();
    expect_figure(3, TARN_TORCH_ACTIVE, TARN_TORCH_ALL, 0, 3, 3, 3);
    assert_int_equal(figures_of(3).figures[TARN_TORCH_RESERVED_BYTES][TARN_TORCH_ALL].current, 0);
}

static void what_is_split_off_and_idle_is_inactive_split(void **state) {
    (void)state;
    setenv("TARN_TORCH_ALLOCATOR", "pytorch", 1);
    void *small = tarn_torch_malloc(512, 4, NULL), *large = tarn_torch_malloc(3 * MIB, 4, NULL);
    unsetenv("TARN_TORCH_ALLOCATOR");
    tarn_torch_stats stats = figures_of(4);
    assert_int_equal(stats.figures[TARN_TORCH_SEGMENT][TARN_TORCH_SMALL].current, 1);
    assert_int_equal(stats.figures[TARN_TORCH_SEGMENT][TARN_TORCH_LARGE].current, 1);
    assert_int_equal(stats.figures[TARN_TORCH_RESERVED_BYTES][TARN_TORCH_SMALL].current, 2 << 20);
    assert_int_equal(stats.figures[TARN_TORCH_INACTIVE_SPLIT][TARN_TORCH_ALL].current, 2);
    assert_int_equal(stats.figures[TARN_TORCH_INACTIVE_SPLIT_BYTES][TARN_TORCH_LARGE].current, 17 << 20);
    tarn_torch_free(small, 512, 4, NULL);
    tarn_torch_free(large, 3 * MIB, 4, NULL);
    assert_int_equal(figures_of(4).figures[TARN_TORCH_INACTIVE_SPLIT][TARN_TORCH_ALL].current, 0);
    tarn_torch_reset();
}

/* History. */

#define MOST_EVENTS 64
static tarn_torch_event history[MOST_EVENTS];
static size_t event_count;

static void note(void *context, const tarn_torch_event *event) {
    assert_ptr_equal(context, history);
    if (event_count < MOST_EVENTS) history[event_count++] = *event;
    tarn_torch_stats stats; /* a watcher may ask */
    if (tarn_torch_stats_get(event->device, &stats) != TARN_OK) abort();
}

static void expect_event(size_t place, tarn_torch_action action, const void *pointer, size_t size) {
    assert_true(place < event_count);
    assert_int_equal(history[place].action, action);
    assert_int_equal(history[place].size, size);
    if (pointer != NULL) assert_int_equal(history[place].address, (uintptr_t)pointer);
}

static void each_change_is_told_once_and_in_order(void **state) {
    (void)state;
    setenv("TARN_TORCH_ALLOCATOR", "pytorch", 1);
    event_count = 0;
    void *first = tarn_torch_malloc(1000, 5, &other), *second = tarn_torch_malloc(2000, 5, &other);
    unsetenv("TARN_TORCH_ALLOCATOR");
    expect_event(0, TARN_TORCH_SEGMENT_ALLOC, first, 2 * MIB);
    expect_event(1, TARN_TORCH_ALLOC, first, 1000);
    expect_event(2, TARN_TORCH_ALLOC, second, 2000);
    assert_true(history[0].stream == &other && history[1].stream == &other && history[1].device == 5);
    tarn_torch_free(first, 1000, 5, &other);
    expect_event(3, TARN_TORCH_FREE_REQUESTED, first, 1000);
    expect_event(4, TARN_TORCH_FREE_COMPLETED, first, 1000);
    tarn_torch_free(second, 2000, 5, &other);
    tarn_torch_reset();
    expect_event(7, TARN_TORCH_SEGMENT_FREE, first, 2 * MIB);
    assert_int_equal(event_count, 8);
}

static void a_free_that_waits_is_completed_when_it_takes_place(void **state) {
    (void)state;
    void *shared = tarn_torch_malloc(1000, 5, NULL);
    tarn_torch_record_stream(shared, &other);
    tarn_torch_begin_allocate_to_pool_with(5, captures, NULL, NULL, NULL);
    void *inside = tarn_torch_malloc(1000, 5, NULL);
    event_count = 0;
    tarn_torch_free(shared, 1000, 5, NULL);
    expect_event(0, TARN_TORCH_FREE_REQUESTED, shared, 1000);
    assert_int_equal(event_count, 1);
    tarn_torch_free(inside, 1000, 5, NULL);
    assert_int_equal(history[1].pool.second, captures.second);
    tarn_torch_end_allocate_to_pool(5, captures);
    expect_event(3, TARN_TORCH_FREE_COMPLETED, shared, 1000);
    event_count = 0;
    tarn_torch_release_pool(5, captures);
    expect_event(0, TARN_TORCH_SEGMENT_FREE, NULL, 2 * MIB);
    assert_int_equal(history[0].pool.second, captures.second);
    tarn_torch_reset();
}

static void pages_of_expandable_segments_are_mapped_and_unmapped(void **state) {
    (void)state;
    setenv("TARN_TORCH_ALLOCATOR", "pytorch:expandable_segments=True", 1);
    event_count = 0;
    char *first = tarn_torch_malloc(MIB, 6, NULL), *second = tarn_torch_malloc(MIB, 6, NULL);
    char *third = tarn_torch_malloc(MIB, 6, NULL);
    unsetenv("TARN_TORCH_ALLOCATOR");
    expect_event(0, TARN_TORCH_SEGMENT_MAP, first, 2 * MIB);
    expect_event(3, TARN_TORCH_SEGMENT_MAP, third, 2 * MIB);
    tarn_torch_free(first, MIB, 6, NULL);
    tarn_torch_free(second, MIB, 6, NULL);
    event_count = 0;
    tarn_torch_reset();
    expect_event(0, TARN_TORCH_SEGMENT_UNMAP, first, 2 * MIB);
    assert_int_equal(event_count, 1);
    tarn_torch_free(third, MIB, 6, NULL);
    tarn_torch_reset();
}

/* A look that lacks host memory is made again by the next one. */
static void without_host_memory_segments_are_counted_later(void **state) {
    (void)state;
    void *pointer = tarn_torch_malloc(1000, 7, NULL);
    tarn_torch_stats stats, before = figures_of(7);
    unsigned long failures = 0;
    for (unsigned long n = 1;; n++) {
        base_memory_fail_at(n, 0);
        tarn_status status = tarn_torch_stats_get(7, &stats);
        base_memory_fail_at(0, 0);
        if (status == TARN_OK) break;
        assert_int_equal(status, TARN_OUT_OF_MEMORY);
        failures++;
    }
    assert_true(failures > 0);
    assert_memory_equal(&stats.figures, &before.figures, sizeof stats.figures);
    tarn_torch_free(pointer, 1000, 7, NULL);
    event_count = 0;
    base_memory_fail_at(1, 1);
    tarn_torch_reset();
    base_memory_fail_at(0, 0);
    assert_int_equal(event_count, 0);
    assert_int_equal(figures_of(7).figures[TARN_TORCH_RESERVED_BYTES][TARN_TORCH_ALL].current, 0);
    assert_true(event_count > 0);
}

static int begin_to_watch(void **state) {
    (void)state;
    tarn_torch_watch(note, history);
    return 0;
}

int main(void) {
    setenv("TARN_TORCH_DEVICE", "sim:{}GiB", 1);
    unsetenv("TARN_TORCH_ALLOCATOR");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_and_large_requests_are_counted_apart),
        cmocka_unit_test(peaks_and_totals_are_reset_apart),
        cmocka_unit_test(a_device_that_is_not_open_has_zeros),
        cmocka_unit_test(blocks_show_streams_pools_and_frees_that_wait),
        cmocka_unit_test(what_is_split_off_and_idle_is_inactive_split),
        cmocka_unit_test_setup(each_change_is_told_once_and_in_order, begin_to_watch),
        cmocka_unit_test(a_free_that_waits_is_completed_when_it_takes_place),
        cmocka_unit_test(pages_of_expandable_segments_are_mapped_and_unmapped),
        cmocka_unit_test(without_host_memory_segments_are_counted_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
