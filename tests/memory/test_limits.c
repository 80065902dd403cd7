/* Running out: limits, the device's end, reclaimers, scheduled failures, and the sentence that explains. Numbers in comments are
 * those of the project's list of faults. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "memory/stats.h"
#include "stand.h"

static void a_limit_refuses_what_would_pass_it(test_stand *stand) {
    tarn_buffer *most = take(stand, GIB - 4 * MIB, NULL), *buffer = NULL;
    tarn_device_counters before = counters_of(stand->device);
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 5 * MIB, NULL, &buffer));
    EXPECT_SENTENCE("5 MiB");
    assert_null(buffer);
    assert_int_equal(counters_of(stand->device).driver_allocs, before.driver_allocs);
    buffer = take(stand, MIB, NULL);
    give(stand, buffer, NULL);
    give(stand, most, NULL);
    give(stand, take(stand, GIB - 4 * MIB, NULL), NULL);
}

/* 62 */
static void a_limit_lowered_below_use_keeps_live_buffers_and_refuses_new_ones(test_stand *stand) {
    tarn_buffer *first = take(stand, 10 * MIB, NULL), *second = take(stand, 10 * MIB, NULL), *buffer = NULL;
    EXPECT_OK(tarn_allocator_set_limit(stand->allocator, 5 * MIB));
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 1, NULL, &buffer));
    assert_true(tarn_buffer_is_valid(first));
    give(stand, first, NULL);
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 1, NULL, &buffer));
    give(stand, second, NULL);
    buffer = take(stand, 3 * MIB, NULL);
    EXPECT_OK(tarn_allocator_set_limit(stand->allocator, 100 * MIB));
    second = take(stand, 50 * MIB, NULL);
    give(stand, second, NULL);
    give(stand, buffer, NULL);
}

static void without_a_limit_there_is_none_to_set(test_stand *stand) {
    EXPECT(TARN_NOT_SUPPORTED, tarn_allocator_set_limit(stand->allocator, MIB));
}

/* 63: what is counted for the life of an allocator stays at the most that there is, and does not begin anew. */
static void totals_saturate(void **state) {
    (void)state;
    const size_t half = SIZE_MAX / 2 + 1;
    memory_tally tally = {.retries = UINT64_MAX};
    tarn_memory_stats stats = {.struct_size = sizeof stats, .retries = 1};
    for (int i = 0; i < 3; i++) {
        memory_tally_allocate(&tally, half - 1, half);
        memory_tally_free(&tally, half - 1, half);
    }
    memory_tally_fill(&tally, &stats);
    assert_true(stats.requested_bytes.total == UINT64_MAX);
    assert_true(stats.in_use_bytes.total == UINT64_MAX);
    assert_true(stats.in_use_bytes.peak == half);
    assert_int_equal(stats.in_use_bytes.current, 0);
    assert_true(stats.retries == UINT64_MAX);
    assert_int_equal(stats.frees, 3);
    for (int i = 0; i < 3; i++) {
        memory_figure_add(&stats.reserved_bytes, half);
        memory_figure_subtract(&stats.reserved_bytes, half);
    }
    assert_true(stats.reserved_bytes.total == UINT64_MAX);
    assert_int_equal(stats.reserved_bytes.current, 0);
    /* Two that live at once, and more is given back than there was. */
    memory_figure_add(&stats.reserved_bytes, half);
    memory_figure_add(&stats.reserved_bytes, half);
    assert_true(stats.reserved_bytes.current == UINT64_MAX);
    memory_figure_subtract(&stats.reserved_bytes, UINT64_MAX);
    memory_figure_subtract(&stats.reserved_bytes, 1);
    assert_int_equal(stats.reserved_bytes.current, 0);
}

/* 61 */
#define RACE_LIMIT (64 * MIB)
static atomic_bool race_ends;
static atomic_ulong race_wrong, race_served;

static void *race_for_the_limit(void *context) {
    tarn_allocator *allocator = context;
    unsigned seed = (unsigned)(uintptr_t)&seed;
    const int rounds = test_slowness() >= 20 ? 60 : 300;
    for (int i = 0; i < rounds; i++) {
        seed = seed * 1664525u + 1013904223u;
        tarn_buffer *buffer = NULL;
        tarn_status status = tarn_allocator_allocate(allocator, (1 + (seed >> 8) % 24) * MIB, NULL, &buffer);
        if (status == TARN_OK) {
            atomic_fetch_add(&race_served, 1);
            if (tarn_allocator_free(allocator, buffer, NULL) != TARN_OK) atomic_fetch_add(&race_wrong, 1);
        } else if (status != TARN_LIMIT_EXCEEDED) {
            atomic_fetch_add(&race_wrong, 1);
        }
    }
    return NULL;
}

static void *watch_the_limit(void *context) {
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    while (!atomic_load(&race_ends)) {
        if (tarn_allocator_stats(context, &stats) != TARN_OK || stats.requested_bytes.current > RACE_LIMIT)
            atomic_fetch_add(&race_wrong, 1);
    }
    return NULL;
}

static void threads_that_race_for_a_limit_never_pass_it(test_stand *stand) {
    enum { THREADS = 8 };
    pthread_t threads[THREADS], watcher;
    atomic_store(&race_ends, false);
    atomic_store(&race_wrong, 0);
    atomic_store(&race_served, 0);
    EXPECT_OK(tarn_allocator_set_limit(stand->allocator, RACE_LIMIT));
    assert_int_equal(pthread_create(&watcher, NULL, watch_the_limit, stand->allocator), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race_for_the_limit, stand->allocator), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    atomic_store(&race_ends, true);
    pthread_join(watcher, NULL);
    assert_int_equal(atomic_load(&race_wrong), 0);
    assert_true(atomic_load(&race_served) > 0);
    /* Nothing of the quota is lost. */
    give(stand, take(stand, RACE_LIMIT - 2 * MIB, NULL), NULL);
}

/* 29 */
static void the_devices_end_is_out_of_memory_with_the_numbers(test_stand *stand) {
    tarn_buffer *most = take(stand, 6 * GIB, NULL), *buffer = (tarn_buffer *)stand;
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand->allocator, 3 * GIB, NULL, &buffer));
    assert_ptr_equal(buffer, stand);
    EXPECT_SENTENCE("3 GiB");
    EXPECT_SENTENCE("8 GiB");
    EXPECT_SENTENCE("6 GiB");
    EXPECT_SENTENCE(stand->device_name);
    if ((stand->abilities & SPEC_CACHES) != 0) EXPECT_SENTENCE("largest free block");
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    give(stand, most, NULL);
    buffer = take(stand, 7 * GIB, NULL);
    give(stand, buffer, NULL);
}

/* 29 */
static void cached_memory_is_given_back_rather_than_failing(test_stand *stand) {
    tarn_stream *streams[3] = {stand_stream(stand, 0), stand_stream(stand, 1), NULL};
    for (int i = 0; i < 3; i++) {
        tarn_buffer *first = take(stand, 3 * GIB, streams[i]), *second = take(stand, 3 * GIB, streams[i]);
        give(stand, first, streams[i]);
        give(stand, second, streams[i]);
    }
    for (int i = 0; i < 3; i++) give(stand, take(stand, 7 * GIB + 512 * MIB, streams[i]), streams[i]);
}

/* Reclaimers. */
typedef struct keeper {
    tarn_allocator *allocator;
    tarn_buffer *kept[8];
    unsigned count, calls;
    size_t wanted;
    tarn_status allocate_status, release_status, free_status;
    uint64_t blocks_seen;
} keeper;

static size_t spare(void *context, size_t wanted) {
    keeper *self = context;
    self->calls++;
    self->wanted = wanted;
    if (self->count == 0) return 0;
    tarn_buffer *buffer = self->kept[--self->count];
    size_t bytes = tarn_buffer_capacity(buffer);
    self->free_status = tarn_allocator_free(self->allocator, buffer, NULL);
    return bytes;
}

static size_t misbehave(void *context, size_t wanted) {
    keeper *self = context;
    (void)wanted;
    tarn_buffer *buffer = NULL;
    self->calls++;
    self->allocate_status = tarn_allocator_allocate(self->allocator, 64, NULL, &buffer);
    self->release_status = tarn_allocator_release(self->allocator);
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    if (tarn_allocator_stats(self->allocator, &stats) == TARN_OK) self->blocks_seen = stats.blocks.current;
    tarn_allocator_empty_cache(self->allocator);
    return 0;
}

static void a_reclaimer_is_asked_before_an_allocation_fails(test_stand *stand) {
    keeper self = {.allocator = stand->allocator};
    for (; self.count < 3; self.count++) self.kept[self.count] = take(stand, 2 * GIB, NULL);
    EXPECT_OK(tarn_allocator_add_reclaimer(stand->allocator, spare, &self));
    tarn_buffer *buffer = take(stand, 5 * GIB, NULL);
    assert_true(self.calls >= 2);
    assert_int_equal(self.free_status, TARN_OK);
    assert_true(self.wanted > 0);
    give(stand, buffer, NULL);
    while (self.count > 0) give(stand, self.kept[--self.count], NULL);
    /* With nothing left to spare the failure is the usual one. */
    buffer = NULL;
    unsigned calls = self.calls;
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand->allocator, 9 * GIB, NULL, &buffer));
    assert_true(self.calls >= calls);
    EXPECT_OK(tarn_allocator_remove_reclaimer(stand->allocator, spare, &self));
    EXPECT(TARN_NOT_FOUND, tarn_allocator_remove_reclaimer(stand->allocator, spare, &self));
    calls = self.calls;
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand->allocator, 9 * GIB, NULL, &buffer));
    assert_int_equal(self.calls, calls);
}

/* 41, 42 */
static void a_reclaimer_that_allocates_or_releases_is_told_so(test_stand *stand) {
    keeper self = {.allocator = stand->allocator};
    tarn_buffer *most = take(stand, 7 * GIB, NULL), *buffer = NULL;
    EXPECT_OK(tarn_allocator_add_reclaimer(stand->allocator, misbehave, &self));
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand->allocator, 5 * GIB, NULL, &buffer));
    assert_true(self.calls >= 1);
    assert_int_equal(self.allocate_status, TARN_INVALID_STATE);
    assert_int_equal(self.release_status, TARN_BUSY);
    assert_int_equal(self.blocks_seen, 1);
    EXPECT_OK(tarn_allocator_remove_reclaimer(stand->allocator, misbehave, &self));
    give(stand, most, NULL);
}

static void a_reclaimer_left_behind_goes_with_the_allocator(test_stand *stand) {
    keeper self = {.allocator = stand->allocator};
    EXPECT_OK(tarn_allocator_add_reclaimer(stand->allocator, spare, &self));
    EXPECT(TARN_NOT_FOUND, tarn_allocator_remove_reclaimer(stand->allocator, spare, NULL));
}

/* An allocator whose reclaimer asks another one for memory, and that one's, which removes the first. */
typedef struct nested {
    tarn_allocator *outer, *inner;
    tarn_status status;
} nested;

static size_t ask_the_inner(void *context, size_t wanted) {
    nested *self = context;
    tarn_buffer *buffer = NULL;
    (void)wanted;
    (void)tarn_allocator_allocate(self->inner, 600 * KIB, NULL, &buffer);
    return 0;
}

static size_t remove_the_outer(void *context, size_t wanted) {
    nested *self = context;
    (void)wanted;
    self->status = tarn_allocator_remove_reclaimer(self->outer, ask_the_inner, self);
    return 0;
}

/* 41 */
static void a_reclaimer_may_be_removed_from_within_another_that_it_runs(void **state) {
    (void)state;
    test_stand stand;
    nested self = {.status = TARN_INTERNAL};
    tarn_buffer *most = NULL, *buffer = NULL;
    stand_open(&stand, "limit:1MiB | direct", "cpu");
    self.outer = stand.allocator;
    EXPECT_OK(tarn_allocator_create(stand.device, "limit:1MiB | direct", &self.inner));
    EXPECT_OK(tarn_allocator_add_reclaimer(self.outer, ask_the_inner, &self));
    EXPECT_OK(tarn_allocator_add_reclaimer(self.inner, remove_the_outer, &self));
    EXPECT_OK(tarn_allocator_allocate(self.inner, 600 * KIB, NULL, &most));
    tarn_buffer *taken = take(&stand, 600 * KIB, NULL);
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(self.outer, 600 * KIB, NULL, &buffer));
    EXPECT_OK(self.status);
    EXPECT(TARN_NOT_FOUND, tarn_allocator_remove_reclaimer(self.outer, ask_the_inner, &self));
    EXPECT_OK(tarn_allocator_free(self.inner, most, NULL));
    EXPECT_OK(tarn_allocator_release(self.inner));
    give(&stand, taken, NULL);
    stand_close(&stand);
}

typedef struct stay {
    test_gate gate;
    atomic_bool has_begun;
} stay;

static size_t stay_at_the_gate(void *context, size_t wanted) {
    stay *self = context;
    (void)wanted;
    atomic_store(&self->has_begun, true);
    gate_pass(&self->gate);
    return 0;
}

static void *ask_for_too_much(void *context) {
    tarn_buffer *buffer = NULL;
    (void)tarn_allocator_allocate(context, 600 * KIB, NULL, &buffer);
    return NULL;
}

/* 37: a thread runs a reclaimer when the process is forked; in the child it is missing. */
static void a_reclaimer_that_ran_at_a_fork_is_removed_in_the_child(void **state) {
    (void)state;
    test_stand stand;
    stay self = {.gate = {.is_open = false}};
    pthread_t thread;
    int status = 0;
    stand_open(&stand, "limit:1MiB | direct", "cpu");
    EXPECT_OK(tarn_allocator_add_reclaimer(stand.allocator, stay_at_the_gate, &self));
    tarn_buffer *most = take(&stand, 600 * KIB, NULL);
    assert_int_equal(pthread_create(&thread, NULL, ask_for_too_much, stand.allocator), 0);
    while (!atomic_load(&self.has_begun)) usleep(100);
    pid_t child = fork();
    if (child == 0) {
        child_begin();
        _exit(tarn_allocator_remove_reclaimer(stand.allocator, stay_at_the_gate, &self) == TARN_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    gate_open(&self.gate);
    pthread_join(thread, NULL);
    assert_int_equal(status, 0);
    EXPECT_OK(tarn_allocator_remove_reclaimer(stand.allocator, stay_at_the_gate, &self));
    give(&stand, most, NULL);
    stand_close(&stand);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(a_limit_refuses_what_would_pass_it, SPEC_LIMITS | DEVICE_COUNTS),
        CONFORMANCE_TEST(a_limit_lowered_below_use_keeps_live_buffers_and_refuses_new_ones, SPEC_LIMITS),
        CONFORMANCE_TEST(without_a_limit_there_is_none_to_set, SPEC_UNLIMITED),
        CONFORMANCE_TEST(threads_that_race_for_a_limit_never_pass_it, SPEC_LIMITS | SPEC_THREADS),
        CONFORMANCE_TEST(the_devices_end_is_out_of_memory_with_the_numbers, SPEC_UNLIMITED | DEVICE_COUNTS),
        CONFORMANCE_TEST(cached_memory_is_given_back_rather_than_failing, SPEC_UNLIMITED | DEVICE_COUNTS),
        CONFORMANCE_TEST(a_reclaimer_is_asked_before_an_allocation_fails, SPEC_UNLIMITED | DEVICE_COUNTS),
        CONFORMANCE_TEST(a_reclaimer_that_allocates_or_releases_is_told_so, SPEC_UNLIMITED | DEVICE_COUNTS),
        CONFORMANCE_TEST(a_reclaimer_left_behind_goes_with_the_allocator, 0),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(totals_saturate),
        cmocka_unit_test(a_reclaimer_may_be_removed_from_within_another_that_it_runs),
        cmocka_unit_test(a_reclaimer_that_ran_at_a_fork_is_removed_in_the_child),
    };
    int failed = conformance_run("memory limits", tests, sizeof tests / sizeof tests[0]);
    return failed + cmocka_run_group_tests_name("memory reclaimers", alone, NULL, NULL);
}
