/* Pools: clear, and the classes of sizes, on every spec whose strategy is one. Numbers in comments are those of the project's
 * list of faults. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "fake.h"
#include "stand.h"
#include "trials.h"

#define COUNT 40

static size_t size_of(int i) { return (size_t)1 << (6 + i % 17); }

static void take_many(test_stand *stand, tarn_buffer **buffers) {
    for (int i = 0; i < COUNT; i++) buffers[i] = take(stand, size_of(i), NULL);
}

/* 15, 16 */
static void expect_stale(test_stand *stand, tarn_buffer *buffer) {
    assert_false(tarn_buffer_is_valid(buffer));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_free(stand->allocator, buffer, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(buffer, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_record_stream(buffer, NULL));
}

/* 15, 16: the specification's batches. Memory is used again from the second one on, and no handle is. */
static void clear_takes_every_buffer_back_and_keeps_the_memory(test_stand *stand) {
    tarn_buffer *old[COUNT], *buffers[COUNT];
    take_many(stand, old);
    give(stand, old[3], NULL);
    EXPECT_OK(tarn_pool_clear(stand->allocator));
    size_t held = tarn_allocator_allocated_size(stand->allocator);
    tarn_device_counters before = counters_of(stand->device);
    for (int round = 0; round < 20; round++) {
        assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
        assert_int_equal(stats_of(stand->allocator).in_use_bytes.current, 0);
        take_many(stand, buffers);
        for (int i = 0; i < COUNT; i++) {
            expect_stale(stand, old[i]);
            assert_true(tarn_buffer_is_valid(buffers[i]));
        }
        EXPECT_OK(tarn_pool_clear(stand->allocator));
        memcpy(old, buffers, sizeof old);
    }
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), held);
    assert_int_equal(counters_of(stand->device).driver_allocs, before.driver_allocs);
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.allocations, 21 * COUNT);
    assert_int_equal(stats.frees, 21 * COUNT);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

static void sizes_are_rounded_up_by_an_eighth_at_most(test_stand *stand) {
    for (size_t size = 1; size < 70 * MIB; size += size / 7 + 1) {
        tarn_buffer *buffer = take(stand, size, NULL);
        size_t rounded = (size + stand->properties.alignment - 1) / stand->properties.alignment;
        rounded *= stand->properties.alignment;
        assert_true(tarn_buffer_capacity(buffer) <= rounded + rounded / 4);
        if (rounded < 256 * KIB) assert_true(tarn_buffer_capacity(buffer) <= rounded + rounded / 8);
        give(stand, buffer, NULL);
    }
}

/* 23 */
static void a_clear_with_work_pending_keeps_what_other_streams_use(test_stand *stand) {
    tarn_stream *own = stand_stream(stand, 1);
    stand_hold(stand, 0);
    tarn_buffer *plain = take(stand, 10000, own), *shared = take(stand, 10000, own), *next[30];
    uintptr_t start = (uintptr_t)tarn_buffer_data(shared);
    void *free_at_once = tarn_buffer_data(plain);
    EXPECT_OK(tarn_buffer_record_stream(shared, stand_stream(stand, 0)));
    tarn_device_counters before = counters_of(stand->device);
    EXPECT_OK(tarn_pool_clear(stand->allocator));
    for (int round = 0; round < 3; round++) {
        int seen = 0, seen_plain = 0;
        for (int i = 0; i < 30; i++) {
            next[i] = take(stand, 10000, own);
            seen += (uintptr_t)tarn_buffer_data(next[i]) == start;
            seen_plain += tarn_buffer_data(next[i]) == free_at_once;
        }
        assert_int_equal(seen_plain, 1);
        assert_int_equal(seen, 0);
        assert_int_equal(counters_of(stand->device).device_waits, before.device_waits);
        EXPECT_OK(tarn_pool_clear(stand->allocator));
    }
    stand_let_go(stand, 0);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    int seen = 0;
    for (int i = 0; i < 31; i++) seen += (uintptr_t)tarn_buffer_data(take(stand, 10000, own)) == start;
    assert_int_equal(seen, 1);
    EXPECT_OK(tarn_pool_clear(stand->allocator));
}

static void a_limit_hears_of_a_clear(test_stand *stand) {
    EXPECT_OK(tarn_allocator_set_limit(stand->allocator, 40 * MIB));
    for (int round = 0; round < 4; round++) {
        tarn_buffer *buffer = NULL;
        (void)take(stand, 20 * MIB, NULL);
        (void)take(stand, 18 * MIB, NULL);
        EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 20 * MIB, NULL, &buffer));
        EXPECT_OK(tarn_pool_clear(stand->allocator));
    }
}

static void a_recording_has_the_frees_of_a_clear(test_stand *stand) {
    tarn_buffer *buffers[COUNT];
    take_many(stand, buffers);
    give(stand, buffers[7], NULL);
    EXPECT_OK(tarn_pool_clear(stand->allocator));
    EXPECT_OK(tarn_allocator_shut_down(stand->allocator));
    trial_of_a_recording(stand, COUNT);
}

/* 20 */
static void a_release_after_a_clear_counts_only_what_still_lives(test_stand *stand) {
    tarn_buffer *buffers[COUNT];
    take_many(stand, buffers);
    EXPECT_OK(tarn_pool_clear(stand->allocator));
    trial_of_a_release_before_the_last_free(stand);
}

/* 18: buffers end by a free or by a clear, each exactly once, whoever is first. */
typedef struct clearing {
    tarn_allocator *allocator;
    unsigned long steps;
    atomic_ulong served, freed, wrong;
    atomic_bool ends;
} clearing;

static void *use(void *context) {
    clearing *shared = context;
    tarn_buffer *held[16] = {NULL};
    for (unsigned long i = 0; i < shared->steps; i++) {
        tarn_buffer **place = &held[i * 7 % 16];
        if (*place != NULL) {
            tarn_status status = tarn_allocator_free(shared->allocator, *place, NULL);
            if (status == TARN_OK) atomic_fetch_add(&shared->freed, 1);
            else if (status != TARN_INVALID_ARGUMENT) atomic_fetch_add(&shared->wrong, 1);
        }
        if (tarn_allocator_allocate(shared->allocator, size_of((int)(i % 12)), NULL, place) == TARN_OK)
            atomic_fetch_add(&shared->served, 1);
        else atomic_fetch_add(&shared->wrong, 1);
    }
    return NULL;
}

static void *clear_again_and_again(void *context) {
    clearing *shared = context;
    while (!atomic_load(&shared->ends)) {
        if (tarn_pool_clear(shared->allocator) != TARN_OK) atomic_fetch_add(&shared->wrong, 1);
        /* The others have their turn. */
        struct timespec pause = {.tv_nsec = 100000};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void threads_that_free_while_another_clears_lose_nothing(test_stand *stand) {
    enum { THREADS = 3 };
    static clearing shared;
    pthread_t threads[THREADS], clearer;
    memset(&shared, 0, sizeof shared);
    shared.allocator = stand->allocator;
    shared.steps = 3000 / test_slowness();
    assert_int_equal(pthread_create(&clearer, NULL, clear_again_and_again, &shared), 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, use, &shared), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    atomic_store(&shared.ends, true);
    pthread_join(clearer, NULL);
    assert_int_equal(atomic_load(&shared.wrong), 0);
    EXPECT_OK(tarn_pool_clear(stand->allocator));
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    tarn_memory_stats stats = stats_of(stand->allocator);
    assert_int_equal(stats.allocations, atomic_load(&shared.served));
    assert_int_equal(stats.frees, stats.allocations);
    assert_int_equal(stats.blocks.current, 0);
    assert_true(atomic_load(&shared.freed) <= stats.frees);
}

/* 41 */
static int clear_inside(void *context, const tarn_block_info *block) {
    test_stand *stand = context;
    (void)block;
    assert_int_equal(tarn_pool_clear(stand->allocator), TARN_INVALID_STATE);
    return 1;
}

/* 10, 17 */
static void only_a_pool_is_cleared(test_stand *stand) {
    tarn_allocator *other = NULL;
    EXPECT_OK(tarn_allocator_create(stand->device, "limit:1GiB | caching", &other));
    EXPECT(TARN_NOT_SUPPORTED, tarn_pool_clear(other));
    EXPECT_SENTENCE("caching");
    EXPECT(TARN_NOT_SUPPORTED, tarn_arena_reset(stand->allocator));
    EXPECT_OK(tarn_allocator_release(other));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_pool_clear(NULL));
    (void)take(stand, 100, NULL);
    EXPECT_OK(tarn_allocator_each_block(stand->allocator, clear_inside, stand));
    EXPECT_OK(tarn_pool_clear(stand->allocator));
}

/* Blocks that wait for a stream were freed one after the other: while the first one waits, so do the others, and nothing needs to be asked. */
static void a_busy_stream_is_asked_once_whatever_waits_for_it(void **state) {
    (void)state;
    enum { blocks = 60 };
    test_stand stand;
    tarn_buffer *all[blocks];
    fake_reset();
    stand_open(&stand, "pool", "fake:1GiB");
    test_gate gates[2] = {{.is_open = false}, {.is_open = false}};
    for (int i = 0; i < 2; i++) EXPECT_OK(tarn_stream_enqueue(stand_stream(&stand, i), fake_hold, &gates[i]));
    for (int i = 0; i < blocks; i++) all[i] = take(&stand, 4096, NULL);
    size_t held = tarn_allocator_allocated_size(stand.allocator);
    for (int i = 0; i < blocks; i++) EXPECT_OK(tarn_allocator_free(stand.allocator, all[i], stand.streams[i % 2]));
    fake_fail(FAKE_EVENT_QUERY, 0, 0, TARN_OK);
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    assert_in_range(fake_calls(), 1, 4);
    /* What waited for the other stream is there as soon as that is done. */
    gate_open(&gates[1]);
    fake_proceed();
    for (int i = 0; i < blocks / 2; i++) all[i] = take(&stand, 4096, NULL);
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), held);
    assert_int_equal(fake_forced_waits(), 0);
    gate_open(&gates[0]);
    fake_proceed();
    for (int i = blocks / 2; i < blocks; i++) all[i] = take(&stand, 4096, NULL);
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), held);
    for (int i = 0; i < blocks; i++) give(&stand, all[i], NULL);
    stand_close(&stand);
}

/* 25: an event that cannot be asked says nothing about those behind it. */
static void a_block_whose_event_cannot_be_asked_holds_up_no_other(void **state) {
    (void)state;
    test_stand stand;
    fake_reset();
    stand_open(&stand, "pool", "fake:1GiB");
    test_gate gate = {.is_open = false};
    EXPECT_OK(tarn_stream_enqueue(stand_stream(&stand, 0), fake_hold, &gate));
    tarn_buffer *first = take(&stand, 4096, NULL), *second = take(&stand, MIB, NULL);
    EXPECT_OK(tarn_allocator_free(stand.allocator, first, stand.streams[0]));
    EXPECT_OK(tarn_allocator_free(stand.allocator, second, stand.streams[0]));
    gate_open(&gate);
    fake_proceed();
    size_t held = tarn_allocator_allocated_size(stand.allocator);
    fake_fail(FAKE_EVENT_QUERY, 1, 0, TARN_INTERNAL);
    second = take(&stand, MIB, NULL);
    fake_fail(0, 0, 0, TARN_OK);
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), held);
    first = take(&stand, 4096, NULL);
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), held);
    give(&stand, first, NULL);
    give(&stand, second, NULL);
    stand_close(&stand);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(clear_takes_every_buffer_back_and_keeps_the_memory, SPEC_CLEARS),
        CONFORMANCE_TEST(sizes_are_rounded_up_by_an_eighth_at_most, SPEC_CLEARS),
        CONFORMANCE_TEST(a_clear_with_work_pending_keeps_what_other_streams_use, SPEC_CLEARS | DEVICE_GATES),
        CONFORMANCE_TEST(a_limit_hears_of_a_clear, SPEC_CLEARS | SPEC_LIMITS),
        CONFORMANCE_TEST(a_recording_has_the_frees_of_a_clear, SPEC_CLEARS | SPEC_NEEDS_FILE),
        CONFORMANCE_TEST(a_release_after_a_clear_counts_only_what_still_lives, SPEC_CLEARS | DEVICE_COUNTS),
        CONFORMANCE_TEST(threads_that_free_while_another_clears_lose_nothing, SPEC_CLEARS),
        CONFORMANCE_TEST(only_a_pool_is_cleared, SPEC_CLEARS),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(a_busy_stream_is_asked_once_whatever_waits_for_it),
        cmocka_unit_test(a_block_whose_event_cannot_be_asked_holds_up_no_other),
    };
    int failed = conformance_run("memory pool", tests, sizeof tests / sizeof tests[0]);
    return failed + cmocka_run_group_tests_name("memory pool on a fake driver", alone, NULL, NULL);
}
