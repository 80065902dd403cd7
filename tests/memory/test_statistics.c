/* Statistics say exactly what happened: each figure with its current value, peak and total, the histogram, and the blocks that
 * each_block shows. Numbers in comments are those of the project's list of faults. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stand.h"

static void expect_consistent(const tarn_memory_stats *stats, tarn_allocator *allocator) {
    assert_true(stats->requested_bytes.current <= stats->in_use_bytes.current);
    assert_int_equal(stats->in_use_bytes.current + stats->cached_bytes.current, stats->reserved_bytes.current);
    assert_int_equal(tarn_allocator_cache_size(allocator), stats->cached_bytes.current);
    assert_int_equal(tarn_allocator_allocated_size(allocator), stats->reserved_bytes.current);
    const tarn_figure *figures[] = {&stats->requested_bytes, &stats->in_use_bytes, &stats->cached_bytes,
                                    &stats->reserved_bytes, &stats->blocks};
    for (size_t i = 0; i < 5; i++) {
        assert_true(figures[i]->current <= figures[i]->peak);
        assert_true(figures[i]->peak <= figures[i]->total);
    }
    assert_int_equal(stats->allocations - stats->frees, stats->blocks.current);
    assert_int_equal(stats->blocks.total, stats->allocations);
    uint64_t counted = 0;
    for (size_t i = 0; i < TARN_HISTOGRAM_BUCKETS; i++) counted += stats->histogram[i];
    assert_int_equal(counted, stats->allocations);
}

static void a_fresh_allocator_has_used_nothing(test_stand *stand) {
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.requested_bytes.total, 0);
    assert_int_equal(stats.in_use_bytes.total, 0);
    assert_int_equal(stats.blocks.total, 0);
    assert_int_equal(stats.allocations + stats.frees + stats.failed_allocations + stats.retries, 0);
    expect_consistent(&stats, stand->allocator);
}

static void figures_follow_every_allocation_and_free(test_stand *stand) {
    const size_t sizes[] = {1, 100, 512, 5000, 70000, MIB, 3 * MIB + 1, 20 * MIB};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    tarn_buffer *buffers[COUNT];
    uint64_t requested = 0, in_use = 0, total_requested = 0, total_in_use = 0, served = 0;
    uint64_t peak_requested = 0, peak_in_use = 0;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            buffers[i] = take(stand, sizes[i], NULL);
            requested += sizes[i];
            in_use += tarn_buffer_capacity(buffers[i]);
            total_requested += sizes[i];
            total_in_use += tarn_buffer_capacity(buffers[i]);
            served++;
            if (requested > peak_requested) peak_requested = requested;
            if (in_use > peak_in_use) peak_in_use = in_use;
            tarn_memory_stats stats = stats_of(stand->allocator);
            assert_int_equal(stats.requested_bytes.current, requested);
            assert_int_equal(stats.requested_bytes.peak, peak_requested);
            assert_int_equal(stats.requested_bytes.total, total_requested);
            assert_int_equal(stats.in_use_bytes.current, in_use);
            assert_int_equal(stats.in_use_bytes.peak, peak_in_use);
            assert_int_equal(stats.in_use_bytes.total, total_in_use);
            assert_int_equal(stats.blocks.current, i + 1);
            assert_int_equal(stats.blocks.peak, round == 0 ? i + 1 : COUNT);
            assert_int_equal(stats.allocations, served);
            expect_consistent(&stats, stand->allocator);
        }
        for (size_t i = 0; i < COUNT; i++) {
            size_t place = (i * 3 + (size_t)round) % COUNT;
            requested -= sizes[place];
            in_use -= tarn_buffer_capacity(buffers[place]);
            give(stand, buffers[place], NULL);
            tarn_memory_stats stats = stats_of(stand->allocator);
            assert_int_equal(stats.requested_bytes.current, requested);
            assert_int_equal(stats.in_use_bytes.current, in_use);
            assert_int_equal(stats.requested_bytes.peak, peak_requested);
            assert_int_equal(stats.blocks.current, COUNT - i - 1);
            expect_consistent(&stats, stand->allocator);
        }
    }
}

/* Small blocks come and go, of sizes that are rounded up by little and by much, and more of them at a time; what they came to is asked now and then. */
static void peaks_between_two_questions_are_kept(test_stand *stand) {
    enum { ROUNDS = 6, STEPS = 60, MOST = 4 + ROUNDS };
    tarn_buffer *buffers[MOST] = {NULL};
    uint64_t noise = 1, sizes[MOST] = {0}, requested = 0, in_use = 0, peak_requested = 0, peak_in_use = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t step = 0; step < STEPS; step++) {
            noise = noise * 6364136223846793005u + 1442695040888963407u;
            size_t i = (size_t)(noise >> 33) % (4 + round);
            if (buffers[i] != NULL) {
                requested -= sizes[i];
                in_use -= tarn_buffer_capacity(buffers[i]);
                give(stand, buffers[i], NULL);
                buffers[i] = NULL;
                continue;
            }
            sizes[i] = 1 + (noise >> 48) % 300;
            buffers[i] = take(stand, sizes[i], NULL);
            requested += sizes[i];
            in_use += tarn_buffer_capacity(buffers[i]);
            if (requested > peak_requested) peak_requested = requested;
            if (in_use > peak_in_use) peak_in_use = in_use;
        }
        tarn_memory_stats stats = stats_of(stand->allocator);
        assert_int_equal(stats.requested_bytes.peak, peak_requested);
        assert_int_equal(stats.in_use_bytes.peak, peak_in_use);
        assert_int_equal(stats.requested_bytes.current, requested);
    }
    for (size_t i = 0; i < MOST; i++)
        if (buffers[i] != NULL) give(stand, buffers[i], NULL);
}

static void the_histogram_counts_requests_by_power_of_two(test_stand *stand) {
    const struct {
        size_t size;
        unsigned bucket;
    } cases[] = {{1, 0},     {2, 1},     {3, 1},        {4, 2},    {1023, 9},
                 {1024, 10}, {1025, 10}, {MIB - 1, 19}, {MIB, 20}, {48 * MIB, 25}};
    uint64_t wanted[TARN_HISTOGRAM_BUCKETS] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        give(stand, take(stand, cases[i].size, NULL), NULL);
        wanted[cases[i].bucket]++;
        tarn_memory_stats stats = stats_of(stand->allocator);
        assert_memory_equal(stats.histogram, wanted, sizeof wanted);
    }
}

static void reserved_bytes_are_what_the_device_counts(test_stand *stand) {
    tarn_buffer *buffers[20];
    for (size_t i = 0; i < 20; i++) {
        buffers[i] = take(stand, (i + 1) * 300 * KIB, NULL);
        tarn_memory_stats stats = stats_of(stand->allocator);
        assert_int_equal(stats.reserved_bytes.current, counters_of(stand->device).memory_in_use - stand->memory_before);
    }
    for (size_t i = 0; i < 20; i++) give(stand, buffers[i], NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(stats_of(stand->allocator).reserved_bytes.current, 0);
    assert_int_equal(counters_of(stand->device).memory_in_use, stand->memory_before);
}

static void reset_peaks_sets_them_to_the_current_figures(test_stand *stand) {
    tarn_buffer *small = take(stand, 1000, NULL), *large = take(stand, 10 * MIB, NULL);
    give(stand, large, NULL);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    EXPECT_OK(tarn_allocator_reset_peaks(stand->allocator));
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.requested_bytes.peak, 1000);
    assert_int_equal(stats.requested_bytes.current, 1000);
    assert_int_equal(stats.blocks.peak, 1);
    assert_int_equal(stats.in_use_bytes.peak, stats.in_use_bytes.current);
    assert_int_equal(stats.reserved_bytes.peak, stats.reserved_bytes.current);
    assert_int_equal(stats.requested_bytes.total, 1000 + 10 * MIB);
    give(stand, small, NULL);
}

static void failed_allocations_are_counted(test_stand *stand) {
    uint64_t before = stats_of(stand->allocator).failed_allocations;
    tarn_buffer *buffer = NULL;
    /* More than the device has, or than the limit allows. */
    assert_int_not_equal(tarn_allocator_allocate(stand->allocator, 64 * GIB, NULL, &buffer), TARN_OK);
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.failed_allocations, before + 1);
    assert_int_equal(stats.allocations, 0);
    assert_int_equal(stats.requested_bytes.total, 0);
    expect_consistent(&stats, stand->allocator);
}

static void the_largest_free_block_can_be_had_without_the_device(test_stand *stand) {
    assert_int_equal(stats_of(stand->allocator).largest_free_block, 0);
    give(stand, take(stand, 12 * MIB, NULL), NULL);
    uint64_t largest = stats_of(stand->allocator).largest_free_block;
    assert_true(largest >= 12 * MIB);
    assert_true(largest <= tarn_allocator_cache_size(stand->allocator));
    tarn_device_counters before = counters_of(stand->device);
    tarn_buffer *buffer = take(stand, largest, NULL);
    assert_int_equal(counters_of(stand->device).driver_allocs, before.driver_allocs);
    give(stand, buffer, NULL);
}

static void a_smaller_structure_is_filled_as_far_as_it_goes(test_stand *stand) {
    tarn_memory_stats stats;
    memset(&stats, 0xab, sizeof stats);
    stats.struct_size = offsetof(tarn_memory_stats, in_use_bytes);
    give(stand, take(stand, 77, NULL), NULL);
    EXPECT_OK(tarn_allocator_stats(stand->allocator, &stats));
    assert_int_equal(stats.requested_bytes.total, 77);
    const unsigned char *rest = (const unsigned char *)&stats.in_use_bytes;
    for (size_t i = 0; i < sizeof stats - offsetof(tarn_memory_stats, in_use_bytes); i++)
        assert_int_equal(rest[i], 0xab);
}

typedef struct sight {
    size_t live, live_bytes, requested, others;
    uint64_t last;
    int ordered, tagged, limit;
} sight;

static int see(void *context, const tarn_block_info *block) {
    sight *seen = context;
    if (block->address < seen->last) seen->ordered = 0;
    seen->last = block->address + block->size;
    if (block->state == TARN_BLOCK_IN_USE) {
        seen->live++;
        seen->live_bytes += block->size;
        seen->requested += block->requested;
        if (block->tag != NULL && strcmp(block->tag, "seen by the test") == 0) seen->tagged++;
    } else {
        seen->others++;
    }
    return seen->limit != 0 && --seen->limit == 0;
}

static void each_block_shows_all_live_blocks_and_stops_when_told(test_stand *stand) {
    tarn_allocate_options options = {.struct_size = sizeof options, .tag = "seen by the test"};
    tarn_buffer *tagged = NULL, *plain = take(stand, 5 * MIB, NULL), *gone = take(stand, 4 * MIB, NULL);
    EXPECT_OK(tarn_allocator_allocate_with(stand->allocator, 3000, &options, &tagged));
    give(stand, gone, NULL);
    sight seen = {.ordered = 1};
    EXPECT_OK(tarn_allocator_each_block(stand->allocator, see, &seen));
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(seen.live, 2);
    assert_int_equal(seen.tagged, 1);
    assert_int_equal(seen.requested, 5 * MIB + 3000);
    assert_int_equal(seen.live_bytes, stats.in_use_bytes.current);
    if ((stand->abilities & SPEC_CACHES) != 0) {
        assert_true(seen.ordered);
        assert_true(seen.others > 0);
    }
    sight stopped = {.limit = 1};
    EXPECT_OK(tarn_allocator_each_block(stand->allocator, see, &stopped));
    assert_int_equal(stopped.live + stopped.others, 1);
    give(stand, tagged, NULL);
    give(stand, plain, NULL);
}

/* A thread that takes buffers, gives them back, takes them again when it is told, perhaps out of a cache of its own, and then stays. */
enum { HANDED = 8 };
typedef struct taker {
    tarn_allocator *allocator;
    tarn_buffer *buffers[HANDED];
    test_gate has_given, may_take, has_taken, may_end;
} taker;

static void *take_twice(void *context) {
    taker *self = context;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < HANDED; i++)
            if (tarn_allocator_allocate(self->allocator, MIB, NULL, &self->buffers[i]) != TARN_OK) abort();
        if (round == 1) break;
        for (int i = 0; i < HANDED; i++)
            if (tarn_allocator_free(self->allocator, self->buffers[i], NULL) != TARN_OK) abort();
        gate_open(&self->has_given);
        gate_pass(&self->may_take);
    }
    gate_open(&self->has_taken);
    gate_pass(&self->may_end);
    return NULL;
}

static void *give_all(void *context) {
    taker *self = context;
    for (int i = 0; i < HANDED; i++)
        if (tarn_allocator_free(self->allocator, self->buffers[i], NULL) != TARN_OK) abort();
    return NULL;
}

static void figures_add_up_whoever_frees_and_whoever_tells_first(test_stand *stand) {
    for (int way = 0; way < 2; way++) {
        taker self = {.allocator = stand->allocator};
        pthread_t thread, other;
        assert_int_equal(pthread_create(&thread, NULL, take_twice, &self), 0);
        gate_pass(&self.has_given);
        /* All is told; what is taken now is not. */
        assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
        gate_open(&self.may_take);
        gate_pass(&self.has_taken);
        if (way == 0) {
            /* Counted at once, before what the thread took from a cache may be known. */
            for (int i = 0; i < HANDED; i++) give(stand, self.buffers[i], stand_stream(stand, 1));
        } else {
            /* Counted in a cache of a thread that ends. */
            assert_int_equal(pthread_create(&other, NULL, give_all, &self), 0);
            pthread_join(other, NULL);
        }
        tarn_buffer *one = take(stand, 3 * MIB, NULL);
        tarn_memory_stats stats = stats_of(stand->allocator);
        assert_int_equal(stats.blocks.current, 1);
        assert_int_equal(stats.requested_bytes.current, 3 * MIB);
        assert_in_range(stats.blocks.peak, HANDED, HANDED + 1);
        give(stand, one, NULL);
        stats = stats_of(stand->allocator);
        assert_int_equal(stats.blocks.current, 0);
        assert_int_equal(stats.in_use_bytes.current, 0);
        gate_open(&self.may_end);
        pthread_join(thread, NULL);
        stats = stats_of(stand->allocator);
        expect_consistent(&stats, stand->allocator);
        assert_int_equal(stats.blocks.current, 0);
    }
}

static void statistics_print_as_text_and_as_json(test_stand *stand) {
    tarn_buffer *buffer = take(stand, MIB, NULL);
    tarn_memory_stats stats = stats_of(stand->allocator);
    char text[8192], small[8], wanted[128];
    /* What is taken from the device, in use or cached, as the specification's form has it. */
    snprintf(wanted, sizeof wanted, "Memory: %.2f MB, Blocks: 1, GraphMode: False",
             (double)stats.reserved_bytes.current / (double)MIB);
    size_t length = tarn_memory_stats_to_string(&stats, text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_int_equal(strncmp(text, wanted, strlen(wanted)), 0);
    assert_null(strchr(text, '\n'));
    assert_int_equal(tarn_memory_stats_to_string(&stats, small, sizeof small), length);
    assert_int_equal(strlen(small), sizeof small - 1);
    assert_int_equal(tarn_memory_stats_to_string(&stats, NULL, 0), length);
    length = tarn_memory_stats_to_json(&stats, text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_int_equal(text[0], '{');
    assert_int_equal(text[length - 1], '}');
    assert_non_null(strstr(text, "requested"));
    give(stand, buffer, NULL);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(a_fresh_allocator_has_used_nothing, 0),
        CONFORMANCE_TEST(figures_follow_every_allocation_and_free, 0),
        CONFORMANCE_TEST(peaks_between_two_questions_are_kept, 0),
        CONFORMANCE_TEST(the_histogram_counts_requests_by_power_of_two, 0),
        CONFORMANCE_TEST(reserved_bytes_are_what_the_device_counts, DEVICE_COUNTS),
        CONFORMANCE_TEST(reset_peaks_sets_them_to_the_current_figures, 0),
        CONFORMANCE_TEST(failed_allocations_are_counted, DEVICE_COUNTS),
        CONFORMANCE_TEST(the_largest_free_block_can_be_had_without_the_device, SPEC_CACHES),
        CONFORMANCE_TEST(a_smaller_structure_is_filled_as_far_as_it_goes, 0),
        CONFORMANCE_TEST(each_block_shows_all_live_blocks_and_stops_when_told, 0),
        CONFORMANCE_TEST(figures_add_up_whoever_frees_and_whoever_tells_first, SPEC_THREADS),
        CONFORMANCE_TEST(statistics_print_as_text_and_as_json, 0),
    };
    return conformance_run("memory statistics", tests, sizeof tests / sizeof tests[0]);
}
