/* Arenas: reset, mark and rewind, on every spec whose strategy is one. Numbers in comments are those of the project's list of
 * faults. */
#include <pthread.h>
#include <string.h>

#include "stand.h"
#include "trials.h"

#define COUNT 40

static size_t size_of(int i) { return (size_t)1 << (6 + i % 17); }

static void take_many(test_stand *stand, tarn_buffer **buffers, tarn_stream *stream) {
    for (int i = 0; i < COUNT; i++) buffers[i] = take(stand, size_of(i), stream);
}

/* 15, 16: the handle is known to be old, whatever became of it. */
static void expect_stale(test_stand *stand, tarn_buffer *buffer) {
    assert_false(tarn_buffer_is_valid(buffer));
    assert_null(tarn_buffer_data(buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, buffer, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(buffer, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_record_stream(buffer, NULL));
}

/* 15 */
static void reset_takes_every_buffer_back_and_keeps_the_memory(test_stand *stand) {
    tarn_buffer *buffers[COUNT];
    take_many(stand, buffers, NULL);
    give(stand, buffers[3], NULL);
    give(stand, buffers[COUNT - 1], NULL);
    size_t held = tarn_allocator_allocated_size(stand->allocator);
    EXPECT_OK(tarn_arena_reset(stand->allocator));
    for (int i = 0; i < COUNT; i++) expect_stale(stand, buffers[i]);
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.blocks.current, 0);
    assert_int_equal(stats.in_use_bytes.current, 0);
    assert_int_equal(stats.requested_bytes.current, 0);
    assert_int_equal(stats.allocations, COUNT);
    assert_int_equal(stats.frees, COUNT);
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), held);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* 16: each round has the addresses of the round before, and none of its handles. */
static void handles_from_before_a_reset_stay_stale_when_their_memory_is_used_again(test_stand *stand) {
    tarn_buffer *old[COUNT], *buffers[COUNT];
    void *data[COUNT];
    take_many(stand, old, NULL);
    for (int i = 0; i < COUNT; i++) data[i] = tarn_buffer_data(old[i]);
    EXPECT_OK(tarn_arena_reset(stand->allocator));
    tarn_device_counters before = counters_of(stand->device);
    for (int round = 0; round < 20; round++) {
        take_many(stand, buffers, NULL);
        for (int i = 0; i < COUNT; i++) {
            assert_ptr_equal(tarn_buffer_data(buffers[i]), data[i]);
            expect_stale(stand, old[i]);
            assert_true(tarn_buffer_is_valid(buffers[i]));
        }
        EXPECT_OK(tarn_arena_reset(stand->allocator));
        memcpy(old, buffers, sizeof old);
    }
    tarn_device_counters after = counters_of(stand->device);
    assert_int_equal(before.driver_allocs, after.driver_allocs);
    assert_int_equal(before.driver_maps, after.driver_maps);
}

static void rewind_takes_back_what_came_after_the_mark_and_nothing_else(test_stand *stand) {
    tarn_buffer *before[COUNT], *after[COUNT];
    tarn_arena_position position;
    take_many(stand, before, NULL);
    EXPECT_OK(tarn_arena_mark(stand->allocator, &position));
    for (int round = 0; round < 5; round++) {
        take_many(stand, after, round % 2 == 0 ? NULL : stand_stream(stand, 0));
        give(stand, after[round], NULL);
        if (round == 2) give(stand, before[5], NULL);
        EXPECT_OK(tarn_arena_rewind(stand->allocator, &position));
        for (int i = 0; i < COUNT; i++) {
            expect_stale(stand, after[i]);
            assert_int_equal(tarn_buffer_is_valid(before[i]), round < 2 || i != 5);
        }
        EXPECT_OK(tarn_allocator_check(stand->allocator));
    }
    assert_int_equal(stats_of(stand->allocator).blocks.current, COUNT - 1);
    EXPECT_OK(tarn_arena_reset(stand->allocator));
}

static void positions_nest_and_those_that_a_rewind_has_passed_are_refused(test_stand *stand) {
    tarn_arena_position first, second, third, untouched = {7, 7, 7};
    tarn_buffer *a = take(stand, 100, NULL);
    EXPECT_OK(tarn_arena_mark(stand->allocator, &first));
    tarn_buffer *b = take(stand, 100, NULL);
    EXPECT_OK(tarn_arena_mark(stand->allocator, &second));
    tarn_buffer *c = take(stand, 100, NULL);
    EXPECT_OK(tarn_arena_rewind(stand->allocator, &second));
    assert_false(tarn_buffer_is_valid(c));
    EXPECT_OK(tarn_arena_rewind(stand->allocator, &second));
    assert_true(tarn_buffer_is_valid(b));
    EXPECT_OK(tarn_arena_rewind(stand->allocator, &first));
    assert_false(tarn_buffer_is_valid(b));
    /* As many blocks again: the number alone would not tell. */
    b = take(stand, 100, NULL);
    c = take(stand, 100, NULL);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_arena_rewind(stand->allocator, &second));
    EXPECT_SENTENCE("since it was marked");
    assert_true(tarn_buffer_is_valid(b));
    assert_true(tarn_buffer_is_valid(c));
    EXPECT_OK(tarn_arena_mark(stand->allocator, &third));
    EXPECT_OK(tarn_arena_reset(stand->allocator));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_arena_rewind(stand->allocator, &first));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_arena_rewind(stand->allocator, &third));
    /* 17 */
    tarn_allocator *other = NULL;
    EXPECT_OK(tarn_allocator_create(stand->device, "arena", &other));
    EXPECT_OK(tarn_arena_mark(other, &untouched));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_arena_rewind(stand->allocator, &untouched));
    EXPECT_SENTENCE("another arena");
    EXPECT_OK(tarn_allocator_release(other));
    assert_false(tarn_buffer_is_valid(a));
}

/* Far more positions than the arena remembers: what it no longer knows it refuses, and never obeys wrongly. */
static void very_many_nested_positions_are_obeyed_or_refused(test_stand *stand) {
    enum { DEPTH = 200 };
    static tarn_arena_position positions[DEPTH];
    static tarn_buffer *buffers[DEPTH];
    for (int i = 0; i < DEPTH; i++) {
        EXPECT_OK(tarn_arena_mark(stand->allocator, &positions[i]));
        (void)take(stand, 64, NULL);
        EXPECT_OK(tarn_arena_rewind(stand->allocator, &positions[i]));
        buffers[i] = take(stand, 64, NULL);
    }
    for (int i = DEPTH; i-- > 0;) {
        tarn_status status = tarn_arena_rewind(stand->allocator, &positions[i]);
        if (i >= DEPTH - 60) assert_int_equal(status, TARN_OK);
        if (status == TARN_OK) assert_false(tarn_buffer_is_valid(buffers[i]));
        else assert_int_equal(status, TARN_INVALID_ARGUMENT);
        if (i > 0) assert_true(tarn_buffer_is_valid(buffers[i - 1]));
    }
    EXPECT_OK(tarn_arena_reset(stand->allocator));
}

static void memory_is_used_again_once_everything_behind_it_is_free(test_stand *stand) {
    tarn_buffer *first = take(stand, 1000, NULL), *second = take(stand, 2000, NULL), *third = take(stand, 3000, NULL);
    void *data = tarn_buffer_data(second);
    give(stand, second, NULL);
    tarn_buffer *behind = take(stand, 64, NULL);
    assert_ptr_not_equal(tarn_buffer_data(behind), data);
    give(stand, third, NULL);
    give(stand, behind, NULL);
    tarn_buffer *again = take(stand, 5000, NULL);
    assert_ptr_equal(tarn_buffer_data(again), data);
    give(stand, again, NULL);
    give(stand, first, NULL);
}

/* 23: a reset waits for nobody, and hands nothing out that another stream may still use. */
static void a_reset_with_work_pending_keeps_what_other_streams_use(test_stand *stand) {
    tarn_stream *own = stand_stream(stand, 1);
    stand_hold(stand, 0);
    tarn_buffer *plain = take(stand, 10000, own), *shared = take(stand, 10000, own), *next[30];
    uintptr_t plain_start = (uintptr_t)tarn_buffer_data(plain), start = (uintptr_t)tarn_buffer_data(shared);
    size_t length = tarn_buffer_capacity(shared);
    EXPECT_OK(tarn_buffer_record_stream(shared, stand_stream(stand, 0)));
    tarn_device_counters before = counters_of(stand->device);
    EXPECT_OK(tarn_arena_reset(stand->allocator));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 30; i++) {
            next[i] = take(stand, 10000, own);
            uintptr_t at = (uintptr_t)tarn_buffer_data(next[i]);
            if (round < 2) assert_true(at >= start + length || at + tarn_buffer_capacity(next[i]) <= start);
        }
        if (round < 2) assert_int_equal(counters_of(stand->device).device_waits, before.device_waits);
        if (round == 1) stand_let_go(stand, 0);
        EXPECT_OK(tarn_arena_reset(stand->allocator));
    }
    next[0] = take(stand, 10000, own);
    assert_ptr_equal(tarn_buffer_data(next[0]), plain_start);
    next[1] = take(stand, 10000, own);
    assert_ptr_equal(tarn_buffer_data(next[1]), start);
    EXPECT_OK(tarn_arena_reset(stand->allocator));
}

static void a_limit_hears_of_resets_and_rewinds(test_stand *stand) {
    tarn_arena_position position;
    EXPECT_OK(tarn_allocator_set_limit(stand->allocator, 40 * MIB));
    for (int round = 0; round < 4; round++) {
        tarn_buffer *most = take(stand, 20 * MIB, NULL), *buffer = NULL;
        EXPECT_OK(tarn_arena_mark(stand->allocator, &position));
        for (int again = 0; again < 3; again++) {
            (void)take(stand, 18 * MIB, NULL);
            EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 20 * MIB, NULL, &buffer));
            EXPECT_OK(tarn_arena_rewind(stand->allocator, &position));
        }
        assert_true(tarn_buffer_is_valid(most));
        EXPECT_OK(tarn_arena_reset(stand->allocator));
    }
}

static void a_recording_has_the_frees_of_a_reset(test_stand *stand) {
    tarn_buffer *buffers[COUNT];
    take_many(stand, buffers, NULL);
    give(stand, buffers[7], NULL);
    EXPECT_OK(tarn_arena_reset(stand->allocator));
    EXPECT_OK(tarn_allocator_shut_down(stand->allocator));
    trial_of_a_recording(stand, COUNT);
}

/* 20: what a reset took back does not keep the allocator, and what came after it does. */
static void a_release_after_a_reset_counts_only_what_still_lives(test_stand *stand) {
    tarn_buffer *buffers[COUNT];
    take_many(stand, buffers, NULL);
    EXPECT_OK(tarn_arena_reset(stand->allocator));
    trial_of_a_release_before_the_last_free(stand);
}

/* A second thread, while the first one is certainly inside: in a visit of its blocks. */
typedef struct intrusion {
    test_stand *stand;
    tarn_buffer *buffer;
    tarn_status allocate, free, record, reset, stats, inner_reset;
} intrusion;

static void *intrude(void *context) {
    intrusion *self = context;
    tarn_allocator *allocator = self->stand->allocator;
    tarn_buffer *buffer = NULL;
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    self->allocate = tarn_allocator_allocate(allocator, 64, NULL, &buffer);
    self->record = tarn_buffer_record_stream(self->buffer, NULL);
    self->free = tarn_buffer_free(self->buffer, NULL);
    self->reset = tarn_arena_reset(allocator);
    self->stats = tarn_allocator_stats(allocator, &stats);
    return NULL;
}

static int let_in(void *context, const tarn_block_info *block) {
    intrusion *self = context;
    pthread_t thread;
    (void)block;
    self->inner_reset = tarn_arena_reset(self->stand->allocator);
    if (pthread_create(&thread, NULL, intrude, self) == 0) pthread_join(thread, NULL);
    return 1;
}

static void a_second_thread_that_is_seen_inside_is_told_so(test_stand *stand) {
    intrusion self = {.stand = stand, .buffer = take(stand, 100, NULL)};
    (void)take(stand, 100, NULL);
    EXPECT_OK(tarn_allocator_each_block(stand->allocator, let_in, &self));
    assert_int_equal(self.inner_reset, TARN_INVALID_STATE); /* 41 */
    assert_int_equal(self.allocate, TARN_INVALID_STATE);
    assert_int_equal(self.record, TARN_INVALID_STATE);
    assert_int_equal(self.reset, TARN_INVALID_STATE);
    assert_int_equal(self.stats, TARN_INVALID_STATE);
    /* A free is told, and is done when the arena is next used. */
    assert_int_equal(self.free, TARN_INVALID_STATE);
    assert_false(tarn_buffer_is_valid(self.buffer));
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    assert_int_equal(stats_of(stand->allocator).blocks.current, 1);
    EXPECT_OK(tarn_arena_reset(stand->allocator));
}

/* 41: the memory of the arena is full, and its reclaimer resets it in the middle of an allocation. */
static size_t reset_when_asked(void *context, size_t wanted) {
    test_stand *stand = context;
    (void)wanted;
    size_t bytes = (size_t)stats_of(stand->allocator).in_use_bytes.current;
    return tarn_arena_reset(stand->allocator) == TARN_OK ? bytes : 0;
}

static void a_reclaimer_may_reset_the_arena(test_stand *stand) {
    tarn_buffer *first = take(stand, 5 * GIB, NULL);
    EXPECT_OK(tarn_allocator_add_reclaimer(stand->allocator, reset_when_asked, stand));
    tarn_buffer *second = take(stand, 6 * GIB, NULL);
    assert_false(tarn_buffer_is_valid(first));
    assert_true(tarn_buffer_is_valid(second));
    assert_int_equal(stats_of(stand->allocator).blocks.current, 1);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    give(stand, second, NULL);
}

/* Nearly all of the device is taken, and a chunk as large as the arena would like is more than is left: that is found out once, not
 * with every request. */
static void a_full_device_is_asked_for_no_more_than_a_request_needs(test_stand *stand) {
    const size_t size = 300 * MIB;
    tarn_buffer *buffer = NULL;
    (void)take(stand, 7 * GIB, NULL);
    (void)take(stand, 600 * MIB, NULL);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand->allocator, size, NULL, &buffer));
    uint64_t before = counters_of(stand->device).driver_allocs;
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand->allocator, size, NULL, &buffer));
    /* By granules of 2 MiB; the element below may ask several times itself. */
    assert_in_range(counters_of(stand->device).driver_allocs - before, 0, 8 * (size / (2 * MIB)));
    /* What is left serves as before. */
    (void)take(stand, 100 * MIB, NULL);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    EXPECT_OK(tarn_arena_reset(stand->allocator));
}

/* 10, 17 */
static void only_an_arena_is_reset(test_stand *stand) {
    tarn_allocator *other = NULL;
    tarn_arena_position position;
    EXPECT_OK(tarn_allocator_create(stand->device, "limit:1GiB | caching", &other));
    EXPECT(TARN_NOT_SUPPORTED, tarn_arena_reset(other));
    EXPECT_SENTENCE("caching");
    EXPECT(TARN_NOT_SUPPORTED, tarn_arena_mark(other, &position));
    EXPECT(TARN_NOT_SUPPORTED, tarn_pool_clear(stand->allocator));
    EXPECT_OK(tarn_allocator_release(other));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_arena_reset(NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_arena_mark(NULL, &position));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_arena_mark(stand->allocator, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_arena_rewind(stand->allocator, NULL));
    EXPECT_OK(tarn_arena_mark(stand->allocator, &position));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_arena_rewind(NULL, &position));
    EXPECT_OK(tarn_arena_reset(stand->allocator));
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(reset_takes_every_buffer_back_and_keeps_the_memory, SPEC_RESETS),
        CONFORMANCE_TEST(handles_from_before_a_reset_stay_stale_when_their_memory_is_used_again, SPEC_RESETS),
        CONFORMANCE_TEST(rewind_takes_back_what_came_after_the_mark_and_nothing_else, SPEC_RESETS),
        CONFORMANCE_TEST(positions_nest_and_those_that_a_rewind_has_passed_are_refused, SPEC_RESETS),
        CONFORMANCE_TEST(very_many_nested_positions_are_obeyed_or_refused, SPEC_RESETS),
        CONFORMANCE_TEST(memory_is_used_again_once_everything_behind_it_is_free, SPEC_RESETS),
        CONFORMANCE_TEST(a_reset_with_work_pending_keeps_what_other_streams_use, SPEC_RESETS | DEVICE_GATES),
        CONFORMANCE_TEST(a_limit_hears_of_resets_and_rewinds, SPEC_RESETS | SPEC_LIMITS),
        CONFORMANCE_TEST(a_recording_has_the_frees_of_a_reset, SPEC_RESETS | SPEC_NEEDS_FILE),
        CONFORMANCE_TEST(a_release_after_a_reset_counts_only_what_still_lives, SPEC_RESETS | DEVICE_COUNTS),
        CONFORMANCE_TEST(a_second_thread_that_is_seen_inside_is_told_so, SPEC_RESETS),
        CONFORMANCE_TEST(a_reclaimer_may_reset_the_arena, SPEC_RESETS | SPEC_UNLIMITED | DEVICE_COUNTS),
        CONFORMANCE_TEST(a_full_device_is_asked_for_no_more_than_a_request_needs,
                         SPEC_RESETS | SPEC_UNLIMITED | DEVICE_COUNTS),
        CONFORMANCE_TEST(only_an_arena_is_reset, SPEC_RESETS),
    };
    return conformance_run("memory arena", tests, sizeof tests / sizeof tests[0]);
}
