/* Memory made ahead of need: `caching:ahead=SIZE` has a thread that asks the driver, so that requests need not. The fake driver counts its
 * calls and stops the thread in the middle of one; tarn_allocator_check waits until the thread has nothing to do, so that all figures
 * are known. No test depends on how fast a thread is. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "child.h"
#include "errand.h"
#include "fake.h"
#include "stand.h"

static const char *const devices[] = {"fake:1GiB", "fake:1GiB,aliasing"};
enum { DEVICES = sizeof devices / sizeof devices[0] };

#define GRANULE (2 * MIB)
/* What every call that gives memory to the device or takes it from there is. */
enum { MEMORY_CALLS = FAKE_GIVING_MEMORY | FAKE_TAKING_MEMORY };

static int settle(void **state) {
    (void)state;
    base_memory_fail_at(0, 0);
    fake_reset();
    return 0;
}

/* From now on the driver's calls are counted. */
static void count_calls(unsigned calls) { fake_fail(calls, 0, 0, TARN_OK); }

static size_t reserved(const test_stand *stand) { return (size_t)stats_of(stand->allocator).reserved_bytes.current; }

static void the_next_requests_make_no_driver_call(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        test_stand stand;
        tarn_buffer *buffers[9];
        stand_open(&stand, "caching:ahead=32MiB", devices[d]);
        buffers[0] = take(&stand, GRANULE, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), 34 * MIB);
        count_calls(MEMORY_CALLS);
        /* Half of it stays, and nothing more is made. */
        for (int i = 1; i < 9; i++) buffers[i] = take(&stand, GRANULE, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(fake_calls(), 0);
        for (int i = 0; i < 9; i++) give(&stand, buffers[i], NULL);
        stand_close(&stand);
    }
}

static void what_is_ready_serves_a_request_of_all_of_it(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        test_stand stand;
        stand_open(&stand, "caching:ahead=31MiB", devices[d]);
        tarn_buffer *first = take(&stand, GRANULE / 2, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        /* It lies behind the first, whose granule has room too. */
        fake_fail(FAKE_CREATE, 1, 1, TARN_OUT_OF_MEMORY);
        tarn_buffer *second = take(&stand, 33 * MIB, NULL);
        assert_int_equal(reserved(&stand), 34 * MIB);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        fake_fail(0, 0, 0, TARN_OK);
        give(&stand, first, NULL);
        give(&stand, second, NULL);
        stand_close(&stand);
    }
}

static void more_is_made_when_less_than_half_is_left(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        test_stand stand;
        tarn_buffer *buffers[10];
        stand_open(&stand, "caching:ahead=32MiB", devices[d]);
        for (int i = 0; i < 9; i++) {
            buffers[i] = take(&stand, GRANULE, NULL);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
        }
        assert_int_equal(reserved(&stand), 34 * MIB);
        buffers[9] = take(&stand, GRANULE, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), (10 + 16) * GRANULE);
        for (int i = 0; i < 10; i++) give(&stand, buffers[i], NULL);
        stand_close(&stand);
    }
}

/* A heap has no more than that free because of the thread: what was freed counts. */
static void nothing_is_made_while_enough_is_free(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        test_stand stand;
        stand_open(&stand, "caching:ahead=16MiB", devices[d]);
        tarn_buffer *large = take(&stand, 40 * MIB, NULL), *small = take(&stand, GRANULE, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        size_t before = reserved(&stand);
        give(&stand, large, NULL);
        for (int i = 0; i < 20; i++) give(&stand, take(&stand, (size_t)(i + 1) * MIB, NULL), NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), before);
        give(&stand, small, NULL);
        stand_close(&stand);
    }
}

static void each_stream_has_memory_ready(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        test_stand stand;
        stand_open(&stand, "caching:ahead=16MiB", devices[d]);
        tarn_stream *stream = stand_stream(&stand, 0);
        tarn_buffer *one = take(&stand, 30 * MIB, NULL), *two = take(&stand, GRANULE, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        /* What the first stream has ready goes to the second before anything is made, and is made anew. */
        tarn_buffer *three = take(&stand, 20 * MIB, stream);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        tarn_buffer *four = take(&stand, GRANULE, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        tarn_memory_stats stats = stats_of(stand.allocator);
        assert_in_range(stats.cached_bytes.current, 16 * MIB, 32 * MIB);
        assert_int_equal(stats.failed_allocations + stats.retries, 0);
        give(&stand, one, NULL);
        give(&stand, two, NULL);
        give(&stand, three, stream);
        give(&stand, four, NULL);
        stand_close(&stand);
    }
}

/* Where there is nothing to map, and without being asked to, nothing is made. */
static void without_granules_or_the_option_nothing_is_made(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"caching:ahead=32MiB", "fake:1GiB,flat"},
                                           {"caching:ahead=32MiB,expandable=off", "fake:1GiB"},
                                           {"caching:ahead=0", "fake:1GiB"},
                                           {"caching", "fake:1GiB"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_stand stand;
        stand_open(&stand, cases[i][0], cases[i][1]);
        tarn_buffer *buffer = take(&stand, GRANULE, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        /* A plain segment for a request of a middle size is larger. */
        assert_in_range(reserved(&stand), GRANULE, 20 * MIB);
        give(&stand, buffer, NULL);
        stand_close(&stand);
    }
}

static void a_plan_passes_the_option_on(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned:ahead=32MiB", "fake:1GiB");
    tarn_buffer *buffer = take(&stand, GRANULE, NULL);
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    assert_int_equal(reserved(&stand), 34 * MIB);
    give(&stand, buffer, NULL);
    stand_close(&stand);
}

/* Stops the thread in its first call of a kind: that of the request, which grows the heap first, lets the next one be stopped. */
typedef struct stop {
    unsigned call;
    test_gate arrived, leaves;
} stop;

static void stand_still(void *context) {
    stop *at = context;
    gate_open(&at->arrived);
    gate_pass(&at->leaves);
}

static void let_the_next_stand_still(void *context) {
    stop *at = context;
    fake_meanwhile(at->call, stand_still, at);
}

/* A first request, after which the thread stands in the driver. */
static tarn_buffer *take_and_stop(test_stand *stand, unsigned call, stop *at) {
    *at = (stop){.call = call};
    fake_meanwhile(call, let_the_next_stand_still, at);
    tarn_buffer *buffer = take(stand, GRANULE + GRANULE / 2, NULL);
    gate_pass(&at->arrived);
    return buffer;
}

static const unsigned calls_of_the_thread[] = {FAKE_CREATE, FAKE_MAP};
enum { CALLS = sizeof calls_of_the_thread / sizeof calls_of_the_thread[0], STOPS = DEVICES * CALLS };

static void hits_and_figures_go_on_while_the_thread_is_in_the_driver(void **state) {
    (void)state;
    for (size_t i = 0; i < STOPS; i++) {
        test_stand stand;
        stop at;
        stand_open(&stand, i % 2 == 0 ? "caching:ahead=32MiB" : "caching:ahead=32MiB,settle=0", devices[i / CALLS]);
        tarn_buffer *first = take_and_stop(&stand, calls_of_the_thread[i % CALLS], &at);
        give(&stand, take(&stand, GRANULE / 2, NULL), NULL);
        tarn_memory_stats stats = stats_of(stand.allocator);
        assert_int_equal(stats.reserved_bytes.current, 2 * GRANULE);
        assert_int_equal(stats.in_use_bytes.current, 3 * MIB);
        gate_open(&at.leaves);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        stats = stats_of(stand.allocator);
        assert_int_equal(stats.reserved_bytes.current, 18 * GRANULE);
        assert_int_equal(stats.reserved_bytes.total, 18 * GRANULE);
        assert_int_equal(stats.cached_bytes.current, 18 * GRANULE - 3 * MIB);
        give(&stand, first, NULL);
        stand_close(&stand);
    }
}

/* It waits for the granule that the thread is getting, and finds it. */
static void a_miss_uses_what_the_thread_gets(void **state) {
    (void)state;
    static const size_t sizes[] = {GRANULE, 13 * MIB, 100 * MIB};
    for (size_t i = 0; i < STOPS * 3; i++) {
        test_stand stand;
        stop at;
        stand_open(&stand, "caching:ahead=32MiB", devices[i / 3 / CALLS]);
        tarn_buffer *first = take_and_stop(&stand, calls_of_the_thread[i / 3 % CALLS], &at);
        test_errand task = {.run = errand_take, .allocator = stand.allocator, .size = sizes[i % 3]};
        errand_begin(&task);
        sched_yield();
        gate_open(&at.leaves);
        errand_finish(&task);
        assert_int_equal(task.status, TARN_OK);
        assert_false(buffers_overlap(first, task.buffer));
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_in_range(stats_of(stand.allocator).cached_bytes.current, 16 * MIB, 34 * MIB);
        give(&stand, first, NULL);
        give(&stand, task.buffer, NULL);
        stand_close(&stand);
    }
}

static void another_streams_miss_does_not_wait_for_the_thread(void **state) {
    (void)state;
    for (size_t i = 0; i < STOPS; i++) {
        test_stand stand;
        stop at;
        stand_open(&stand, "caching:ahead=32MiB", devices[i / CALLS]);
        tarn_buffer *first = take_and_stop(&stand, calls_of_the_thread[i % CALLS], &at);
        tarn_stream *stream = stand_stream(&stand, 0);
        tarn_buffer *second = take(&stand, 60 * MIB, stream);
        gate_open(&at.leaves);
        give(&stand, first, NULL);
        give(&stand, second, stream);
        stand_close(&stand);
    }
}

static void giving_back_waits_for_the_thread_and_stops_it(void **state) {
    (void)state;
    for (size_t i = 0; i < STOPS; i++) {
        test_stand stand;
        stop at;
        stand_open(&stand, "caching:ahead=32MiB", devices[i / CALLS]);
        tarn_buffer *first = take_and_stop(&stand, calls_of_the_thread[i % CALLS], &at);
        test_errand task = {.run = errand_empty_cache, .allocator = stand.allocator};
        errand_begin(&task);
        sched_yield();
        gate_open(&at.leaves);
        errand_finish(&task);
        assert_int_equal(task.status, TARN_OK);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), 2 * GRANULE);
        /* Until the heap grows again. */
        give(&stand, take(&stand, GRANULE / 2, NULL), NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), 2 * GRANULE);
        tarn_buffer *second = take(&stand, GRANULE, NULL);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), 19 * GRANULE);
        give(&stand, first, NULL);
        give(&stand, second, NULL);
        stand_close(&stand);
    }
}

static void an_allocator_ends_while_the_thread_is_in_the_driver(void **state) {
    (void)state;
    for (size_t i = 0; i < STOPS; i++) {
        test_stand stand;
        stop at;
        stand_open(&stand, "caching:ahead=32MiB", devices[i / CALLS]);
        tarn_buffer *first = take_and_stop(&stand, calls_of_the_thread[i % CALLS], &at);
        give(&stand, first, NULL);
        test_errand task = {.run = errand_release, .allocator = stand.allocator};
        errand_begin(&task);
        sched_yield();
        gate_open(&at.leaves);
        errand_finish(&task);
        assert_int_equal(task.status, TARN_OK);
        stand.allocator = NULL;
        stand_close(&stand);
    }
}

/* Its memory goes back when the last buffer does. */
static void a_live_buffer_outlives_the_allocator_and_its_thread(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        test_stand stand;
        stand_open(&stand, "caching:ahead=32MiB", devices[d]);
        tarn_buffer *buffer = take(&stand, GRANULE, NULL);
        log_listen();
        EXPECT_OK(tarn_allocator_release(stand.allocator));
        log_silence();
        stand.allocator = NULL;
        EXPECT_OK(tarn_buffer_free(buffer, NULL));
        stand_close(&stand);
    }
}

/* The device has 64 MiB, and all of it can be had. No stream has used what is ready, so that no stream has to be waited for. */
static void what_is_ready_is_the_first_to_go_when_memory_is_short(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES * 2; d++) {
        test_stand stand;
        stand_open(&stand, "caching:ahead=16MiB", d % 2 == 0 ? "fake:64MiB" : "fake:64MiB,aliasing");
        tarn_stream *stream = stand_stream(&stand, 0), *other = d < 2 ? stream : stand_stream(&stand, 1);
        tarn_buffer *small = take(&stand, GRANULE, stream);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), 9 * GRANULE);
        stand_hold(&stand, 0);
        tarn_buffer *large = take(&stand, 62 * MIB, other);
        assert_int_equal(fake_forced_waits(), 0);
        assert_int_equal(stats_of(stand.allocator).failed_allocations, 0);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), 64 * MIB);
        stand_let_go(&stand, 0);
        give(&stand, small, stream);
        give(&stand, large, other);
        stand_close(&stand);
    }
}

/* As much as it makes ready is left for others. */
static void the_last_memory_of_the_device_is_left_to_others(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        test_stand stand;
        stand_open(&stand, "caching:ahead=16MiB", d == 0 ? "fake:20MiB" : "fake:20MiB,aliasing");
        tarn_buffer *small = take(&stand, GRANULE, NULL), *large = NULL;
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), 2 * GRANULE);
        tarn_allocator *direct;
        EXPECT_OK(tarn_allocator_create(stand.device, "direct", &direct));
        EXPECT_OK(tarn_allocator_allocate(direct, 16 * MIB, NULL, &large));
        /* What is ready is there, and then nothing more. */
        tarn_buffer *second = take(&stand, GRANULE, NULL), *none = NULL;
        EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, GRANULE, NULL, &none));
        assert_int_equal(stats_of(stand.allocator).failed_allocations, 1);
        EXPECT_OK(tarn_allocator_free(direct, large, NULL));
        EXPECT_OK(tarn_allocator_release(direct));
        give(&stand, second, NULL);
        give(&stand, small, NULL);
        stand_close(&stand);
    }
}

/* 1 to 5: each call of the thread fails in turn, also with what it needs to take it back. Nobody hears of it, and the next growth has it
 * begin again. */
static void a_refusal_is_silent_and_ends_with_the_next_growth(void **state) {
    (void)state;
    static const unsigned faults[] = {FAKE_CREATE, FAKE_MAP, FAKE_MAP | FAKE_RELEASE};
    static const tarn_status answers[] = {TARN_OUT_OF_MEMORY, TARN_INTERNAL};
    for (size_t i = 0; i < DEVICES * 3 * 2; i++) {
        for (unsigned long at = 2; at <= 9; at++) {
            test_stand stand;
            stand_open(&stand, "caching:ahead=16MiB", devices[i / 6]);
            log_listen();
            /* The first such call is the request's own. */
            fake_fail(faults[i % 3], at, 1, answers[i / 3 % 2]);
            tarn_buffer *first = take(&stand, GRANULE, NULL);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            fake_fail(0, 0, 0, TARN_OK);
            tarn_memory_stats stats = stats_of(stand.allocator);
            /* What could not be given back either is kept. */
            assert_int_equal(stats.reserved_bytes.current, (at - (i % 3 != 2)) * GRANULE);
            assert_int_equal(stats.failed_allocations + stats.retries, 0);
            assert_string_equal(log_heard(), "");
            log_silence();
            tarn_buffer *second = take(&stand, 40 * MIB, NULL);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            assert_int_equal(reserved(&stand), 29 * GRANULE);
            give(&stand, first, NULL);
            give(&stand, second, NULL);
            EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
            assert_int_equal(reserved(&stand), 0);
            stand_close(&stand);
        }
    }
}

/* From the request's own last call on, host memory is short. */
static void make_host_memory_fail(void *context) { base_memory_fail_at(*(unsigned long *)context, 1); }

static void a_shortage_of_host_memory_is_silent_too(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        unsigned long reached = 1;
        for (unsigned long at = 1; at <= reached; at++) {
            test_stand stand;
            stand_open(&stand, "caching:ahead=16MiB", devices[d]);
            fake_meanwhile(FAKE_MAP, make_host_memory_fail, &at);
            tarn_buffer *first = take(&stand, GRANULE, NULL);
            tarn_status status = tarn_allocator_check(stand.allocator);
            assert_true(status == TARN_OK || status == TARN_OUT_OF_MEMORY);
            reached = base_memory_requests();
            base_memory_fail_at(0, 0);
            assert_int_equal(stats_of(stand.allocator).failed_allocations, 0);
            tarn_buffer *second = take(&stand, 40 * MIB, NULL);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            assert_int_equal(reserved(&stand), 29 * GRANULE);
            give(&stand, first, NULL);
            give(&stand, second, NULL);
            stand_close(&stand);
        }
        assert_true(reached > 1);
    }
}

static void an_allocator_that_gets_no_thread_is_not_made(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "direct", devices[0]);
    unsigned refused = 0;
    for (unsigned long at = 1;; at++) {
        tarn_allocator *allocator = NULL;
        base_memory_fail_at(at, 1);
        tarn_status status = tarn_allocator_create(stand.device, "caching:ahead=16MiB", &allocator);
        base_memory_fail_at(0, 0);
        if (status == TARN_OK) {
            EXPECT_OK(tarn_allocator_release(allocator));
            break;
        }
        assert_null(allocator);
        assert_true(status == TARN_OUT_OF_MEMORY || status == TARN_UNAVAILABLE);
        refused += status == TARN_UNAVAILABLE;
    }
    assert_int_equal(refused, 1);
    stand_close(&stand);
}

/* A segment ends where its addresses do. The next one begins with a request. */
static void the_end_of_a_segment_is_the_end_of_what_is_ready(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        test_stand stand;
        tarn_buffer *buffers[40];
        stand_open(&stand, "caching:ahead=16MiB", devices[d]);
        /* A first segment has room for 32 granules. */
        for (int i = 0; i < 40; i++) {
            buffers[i] = take(&stand, GRANULE, NULL);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            assert_in_range(reserved(&stand), (size_t)(i + 1) * GRANULE, (size_t)(i + 9) * GRANULE);
        }
        assert_in_range(stats_of(stand.allocator).cached_bytes.current, 8 * MIB, 16 * MIB);
        for (int i = 0; i < 40; i++) give(&stand, buffers[i], NULL);
        stand_close(&stand);
    }
}

static void arrive(void *context) {
    gate_open(&((stop *)context)->arrived);
    sched_yield();
}

static void let_the_next_arrive(void *context) {
    stop *at = context;
    fake_meanwhile(at->call, arrive, at);
}

static int in_the_child(void *context) {
    const test_stand *stand = context;
    tarn_buffer *buffer = NULL;
    if (tarn_allocator_allocate(stand->allocator, 80 * MIB, NULL, &buffer) != TARN_UNAVAILABLE) return 1;
    if (tarn_allocator_check(stand->allocator) != TARN_OK) return 2;
    tarn_allocator_empty_cache(stand->allocator);
    tarn_allocator_release(stand->allocator);
    return 0;
}

/* 37: the child has no such thread, and nobody waits for it there. */
static void a_fork_waits_for_the_thread_and_leaves_it_behind(void **state) {
    (void)state;
    for (size_t i = 0; i < STOPS; i++) {
        test_stand stand;
        stop at = {.call = calls_of_the_thread[i % CALLS]};
        stand_open(&stand, "caching:ahead=32MiB", devices[i / CALLS]);
        fake_meanwhile(at.call, let_the_next_arrive, &at);
        tarn_buffer *buffer = take(&stand, GRANULE, NULL);
        gate_pass(&at.arrived);
        assert_int_equal(exit_of_child(in_the_child, &stand), 0);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(reserved(&stand), 17 * GRANULE);
        give(&stand, buffer, NULL);
        stand_close(&stand);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_next_requests_make_no_driver_call, settle),
        cmocka_unit_test_teardown(what_is_ready_serves_a_request_of_all_of_it, settle),
        cmocka_unit_test_teardown(more_is_made_when_less_than_half_is_left, settle),
        cmocka_unit_test_teardown(nothing_is_made_while_enough_is_free, settle),
        cmocka_unit_test_teardown(each_stream_has_memory_ready, settle),
        cmocka_unit_test_teardown(without_granules_or_the_option_nothing_is_made, settle),
        cmocka_unit_test_teardown(a_plan_passes_the_option_on, settle),
        cmocka_unit_test_teardown(hits_and_figures_go_on_while_the_thread_is_in_the_driver, settle),
        cmocka_unit_test_teardown(a_miss_uses_what_the_thread_gets, settle),
        cmocka_unit_test_teardown(another_streams_miss_does_not_wait_for_the_thread, settle),
        cmocka_unit_test_teardown(giving_back_waits_for_the_thread_and_stops_it, settle),
        cmocka_unit_test_teardown(an_allocator_ends_while_the_thread_is_in_the_driver, settle),
        cmocka_unit_test_teardown(a_live_buffer_outlives_the_allocator_and_its_thread, settle),
        cmocka_unit_test_teardown(what_is_ready_is_the_first_to_go_when_memory_is_short, settle),
        cmocka_unit_test_teardown(the_last_memory_of_the_device_is_left_to_others, settle),
        cmocka_unit_test_teardown(a_refusal_is_silent_and_ends_with_the_next_growth, settle),
        cmocka_unit_test_teardown(a_shortage_of_host_memory_is_silent_too, settle),
        cmocka_unit_test_teardown(an_allocator_that_gets_no_thread_is_not_made, settle),
        cmocka_unit_test_teardown(the_end_of_a_segment_is_the_end_of_what_is_ready, settle),
        cmocka_unit_test_teardown(a_fork_waits_for_the_thread_and_leaves_it_behind, settle),
    };
    return cmocka_run_group_tests_name("caching ahead", tests, NULL, NULL);
}
