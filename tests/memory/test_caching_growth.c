/* Memory on its way from the driver: `caching` asks for it with its lock open, and these tests say what other threads do meanwhile. The
 * fake driver calls back in the middle of a call, and there another thread is started; where the test joins it there, the call ends only
 * after the other thread is served. No test depends on how fast a thread is. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "child.h"
#include "errand.h"
#include "fake.h"
#include "stand.h"

static const char *const devices[] = {"fake:1GiB", "fake:1GiB,aliasing", "fake:1GiB,flat"};
enum { DEVICES = sizeof devices / sizeof devices[0], VIRTUAL_DEVICES = 2 };

static int settle(void **state) {
    (void)state;
    fake_reset();
    return 0;
}

/* The calls that growing a heap makes on a device; 0 ends them. */
static const unsigned *growing_calls(const char *device) {
    static const unsigned flat[] = {FAKE_ALLOCATE, 0}, with_pages[] = {FAKE_RESERVE, FAKE_CREATE, FAKE_MAP, 0};
    return device == devices[2] ? flat : with_pages;
}

static void a_hit_goes_on_while_another_thread_is_in_the_driver(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        for (const unsigned *call = growing_calls(devices[d]); *call != 0; call++) {
            test_stand stand;
            stand_open(&stand, d % 2 == 0 ? "caching" : "caching:settle=0", devices[d]);
            /* The other half of its granule is no memory that a larger request can use. */
            tarn_buffer *half = take(&stand, MIB, NULL);
            test_errand task = {.allocator = stand.allocator, .size = MIB / 2, .run = errand_take_and_give};
            fake_meanwhile(*call, errand_begin_and_join, &task);
            /* More than a first segment has room for. */
            tarn_buffer *large = take(&stand, 200 * MIB, NULL);
            assert_true(task.is_begun);
            assert_int_equal(task.status, TARN_OK);
            give(&stand, half, NULL);
            give(&stand, large, NULL);
            stand_close(&stand);
        }
    }
}

static void another_streams_miss_goes_on_while_a_thread_is_in_the_driver(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        for (const unsigned *call = growing_calls(devices[d]); *call != 0; call++) {
            test_stand stand;
            stand_open(&stand, "caching", devices[d]);
            test_errand task = {
                .allocator = stand.allocator, .stream = stand_stream(&stand, 0), .size = 6 * MIB, .run = errand_take};
            fake_meanwhile(*call, errand_begin_and_join, &task);
            tarn_buffer *mine = take(&stand, 30 * MIB, NULL);
            assert_true(task.is_begun);
            assert_int_equal(task.status, TARN_OK);
            assert_false(buffers_overlap(mine, task.buffer));
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            give(&stand, mine, NULL);
            give(&stand, task.buffer, task.stream);
            stand_close(&stand);
        }
    }
}

/* The second would take another granule, or another segment, if it did not wait for the first. */
static void a_second_miss_of_a_stream_uses_what_the_first_one_gets(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        for (const unsigned *call = growing_calls(devices[d]); *call != 0; call++) {
            test_stand stand;
            stand_open(&stand, "caching", devices[d]);
            test_errand task = {.allocator = stand.allocator, .size = MIB, .run = errand_take};
            fake_meanwhile(*call, errand_begin, &task);
            tarn_buffer *mine = take(&stand, MIB, NULL);
            errand_finish(&task);
            assert_int_equal(task.status, TARN_OK);
            assert_false(buffers_overlap(mine, task.buffer));
            assert_int_equal(stats_of(stand.allocator).reserved_bytes.total, 2 * MIB);
            give(&stand, mine, NULL);
            give(&stand, task.buffer, NULL);
            stand_close(&stand);
        }
    }
}

/* The device has 8 MiB: the second thread is refused while the first holds 6 of them, which it is about to give back. */
static void a_refusal_is_not_believed_while_another_thread_may_give_back(void **state) {
    (void)state;
    for (size_t d = 0; d < VIRTUAL_DEVICES; d++) {
        test_stand stand;
        stand_open(&stand, "caching", devices[d]);
        fake_capacity(8 * MIB);
        test_errand task = {.allocator = stand.allocator,
                            .stream = stand_stream(&stand, 0),
                            .size = 6 * MIB,
                            .run = errand_take,
                            .calls = 2};
        /* Its own granules are made, then the other thread's are not, then its own are not mapped. */
        fake_fail(FAKE_CREATE | FAKE_MAP, 3, 0, TARN_INTERNAL);
        fake_meanwhile(FAKE_MAP, errand_begin, &task);
        tarn_buffer *mine = NULL;
        EXPECT(TARN_INTERNAL, tarn_allocator_allocate(stand.allocator, 6 * MIB, NULL, &mine));
        assert_null(mine);
        errand_finish(&task);
        assert_int_equal(task.status, TARN_OK);
        tarn_memory_stats stats = stats_of(stand.allocator);
        assert_int_equal(stats.failed_allocations, 1);
        assert_int_equal(stats.reserved_bytes.current, 6 * MIB);
        assert_int_equal(stats.reserved_bytes.peak, 6 * MIB);
        give(&stand, task.buffer, task.stream);
        stand_close(&stand);
    }
}

/* What is not there yet is not counted, and nothing is counted twice. */
static void figures_are_exact_while_memory_is_on_its_way(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        for (const unsigned *call = growing_calls(devices[d]); *call != 0; call++) {
            test_stand stand;
            stand_open(&stand, "caching", devices[d]);
            tarn_buffer *first = take(&stand, 12 * MIB, NULL);
            test_errand task = {.allocator = stand.allocator, .run = errand_stats};
            fake_meanwhile(*call, errand_begin_and_join, &task);
            tarn_buffer *second = take(&stand, 200 * MIB, NULL);
            assert_int_equal(task.status, TARN_OK);
            assert_int_equal(task.stats.in_use_bytes.current, 12 * MIB);
            assert_int_equal(task.stats.reserved_bytes.current, 12 * MIB);
            assert_int_equal(task.stats.blocks.current, 1);
            tarn_memory_stats stats = stats_of(stand.allocator);
            assert_int_equal(stats.in_use_bytes.current, 212 * MIB);
            assert_int_equal(stats.reserved_bytes.current, 212 * MIB);
            assert_int_equal(stats.reserved_bytes.peak, 212 * MIB);
            assert_int_equal(stats.reserved_bytes.total, 212 * MIB);
            assert_int_equal(stats.cached_bytes.current, 0);
            give(&stand, first, NULL);
            give(&stand, second, NULL);
            stand_close(&stand);
        }
    }
}

static void who_looks_at_all_memory_waits_for_what_is_on_its_way(void **state) {
    (void)state;
    static void *(*const looks[])(void *) = {errand_check, errand_empty_cache};
    for (size_t i = 0; i < DEVICES * 2; i++) {
        const char *device = devices[i / 2];
        for (const unsigned *call = growing_calls(device); *call != 0; call++) {
            test_stand stand;
            stand_open(&stand, "caching", device);
            test_errand task = {.allocator = stand.allocator, .run = looks[i % 2]};
            fake_meanwhile(*call, errand_begin, &task);
            tarn_buffer *mine = take(&stand, 20 * MIB, NULL);
            errand_finish(&task);
            assert_int_equal(task.status, TARN_OK);
            tarn_memory_stats stats = stats_of(stand.allocator);
            assert_int_equal(stats.reserved_bytes.current, 20 * MIB);
            give(&stand, mine, NULL);
            stand_close(&stand);
        }
    }
}

/* Twelve blocks of 2 MiB, of which every other one is free: a larger request is put together from them. */
enum { PIECES = 12 };

static void take_pieces(test_stand *stand, tarn_buffer **pieces) {
    for (int i = 0; i < PIECES; i++) pieces[i] = take(stand, 2 * MIB, NULL);
    for (int i = 0; i < PIECES; i += 2) give(stand, pieces[i], NULL);
}

/* Frees and takes what lies beside the memory that is on its way. */
typedef struct neighbours {
    tarn_allocator *allocator;
    tarn_buffer **pieces;
    tarn_status status;
} neighbours;

static void *run_neighbours(void *context) {
    neighbours *task = context;
    for (int i = 1; i < PIECES && task->status == TARN_OK; i += 2) {
        task->status = tarn_allocator_free(task->allocator, task->pieces[i], NULL);
        if (task->status == TARN_OK)
            task->status = tarn_allocator_allocate(task->allocator, MIB, NULL, &task->pieces[i]);
    }
    return NULL;
}

static void disturb(void *context) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_neighbours, context) == 0) pthread_join(thread, NULL);
}

/* 1 to 5: each call that growing makes fails in turn, while another thread has changed all that is around. */
static void a_refusal_takes_back_what_was_entered_whatever_others_did(void **state) {
    (void)state;
    static const unsigned calls[] = {FAKE_UNMAP, FAKE_CREATE, FAKE_MAP};
    for (size_t i = 0; i < VIRTUAL_DEVICES * 3; i++) {
        for (unsigned long at = 1, counted = 1; at <= counted; at++) {
            test_stand stand;
            tarn_buffer *pieces[PIECES], *large = NULL;
            stand_open(&stand, "caching", devices[i / 3]);
            take_pieces(&stand, pieces);
            neighbours task = {.allocator = stand.allocator, .pieces = pieces};
            fake_fail(calls[i % 3], at, 0, TARN_INTERNAL);
            fake_meanwhile(calls[i % 3], disturb, &task);
            tarn_status status = tarn_allocator_allocate(stand.allocator, 17 * MIB, NULL, &large);
            counted = fake_calls();
            assert_int_equal(task.status, TARN_OK);
            assert_int_equal(status, counted >= at ? TARN_INTERNAL : TARN_OK);
            fake_fail(0, 0, 0, TARN_OK);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            if (status != TARN_OK) large = take(&stand, 17 * MIB, NULL);
            give(&stand, large, NULL);
            for (int k = 1; k < PIECES; k += 2) give(&stand, pieces[k], NULL);
            EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
            assert_int_equal(stats_of(stand.allocator).reserved_bytes.current, 0);
            stand_close(&stand);
        }
    }
}

/* The calls that giving memory back makes on a device. */
static const unsigned *releasing_calls(const char *device) {
    static const unsigned flat[] = {FAKE_FREE, 0}, with_pages[] = {FAKE_UNMAP, FAKE_RELEASE, FAKE_UNRESERVE, 0};
    return device == devices[2] ? flat : with_pages;
}

static void a_hit_goes_on_while_another_thread_gives_memory_back(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        for (const unsigned *call = releasing_calls(devices[d]); *call != 0; call++) {
            test_stand stand;
            stand_open(&stand, "caching", devices[d]);
            tarn_buffer *half = take(&stand, MIB, NULL), *first = take(&stand, 30 * MIB, NULL);
            tarn_buffer *large = take(&stand, 100 * MIB, NULL);
            /* Granules that sleep elsewhere are given back too. */
            give(&stand, first, NULL);
            give(&stand, take(&stand, 32 * MIB, NULL), NULL);
            give(&stand, large, NULL);
            test_errand task = {.allocator = stand.allocator, .size = MIB / 2, .run = errand_take_and_give};
            fake_meanwhile(*call, errand_begin_and_join, &task);
            EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
            assert_true(task.is_begun);
            assert_int_equal(task.status, TARN_OK);
            assert_int_equal(stats_of(stand.allocator).reserved_bytes.current, 2 * MIB);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            give(&stand, half, NULL);
            stand_close(&stand);
        }
    }
}

/* What is taken out of the middle of what is being given back stays. */
static void memory_that_is_about_to_be_given_back_may_still_be_taken(void **state) {
    (void)state;
    static const unsigned calls[] = {FAKE_UNMAP, FAKE_RELEASE};
    for (size_t i = 0; i < VIRTUAL_DEVICES * 2; i++) {
        test_stand stand;
        stand_open(&stand, "caching", devices[i / 2]);
        give(&stand, take(&stand, 20 * MIB, NULL), NULL);
        test_errand task = {.allocator = stand.allocator, .size = 6 * MIB, .run = errand_take};
        fake_meanwhile(calls[i % 2], errand_begin_and_join, &task);
        EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
        assert_int_equal(task.status, TARN_OK);
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        assert_int_equal(stats_of(stand.allocator).reserved_bytes.current, 6 * MIB);
        give(&stand, task.buffer, NULL);
        stand_close(&stand);
    }
}

static void a_miss_waits_until_another_thread_has_given_back(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        for (const unsigned *call = releasing_calls(devices[d]); *call != 0; call++) {
            test_stand stand;
            stand_open(&stand, "caching", devices[d]);
            give(&stand, take(&stand, 100 * MIB, NULL), NULL);
            test_errand task = {
                .allocator = stand.allocator, .stream = stand_stream(&stand, 0), .size = 40 * MIB, .run = errand_take};
            fake_meanwhile(*call, errand_begin, &task);
            EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
            errand_finish(&task);
            assert_int_equal(task.status, TARN_OK);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            assert_int_equal(stats_of(stand.allocator).in_use_bytes.current, 40 * MIB);
            give(&stand, task.buffer, task.stream);
            stand_close(&stand);
        }
    }
}

/* 1 to 5 */
static void what_cannot_be_given_back_stays_whatever_others_did(void **state) {
    (void)state;
    static const unsigned calls[] = {FAKE_UNMAP, FAKE_RELEASE, FAKE_UNRESERVE, FAKE_FREE};
    for (size_t i = 0; i < DEVICES * 4; i++) {
        for (unsigned long at = 1, counted = 1; at <= counted; at++) {
            test_stand stand;
            tarn_buffer *pieces[PIECES];
            stand_open(&stand, "caching", devices[i / 4]);
            take_pieces(&stand, pieces);
            give(&stand, take(&stand, 9 * MIB, NULL), NULL);
            neighbours task = {.allocator = stand.allocator, .pieces = pieces};
            fake_fail(calls[i % 4], at, 0, TARN_INTERNAL);
            fake_meanwhile(calls[i % 4], disturb, &task);
            tarn_status status = tarn_allocator_empty_cache(stand.allocator);
            counted = fake_calls();
            assert_int_equal(task.status, TARN_OK);
            assert_int_equal(status, counted >= at ? TARN_INTERNAL : TARN_OK);
            fake_meanwhile(0, NULL, NULL);
            fake_fail(0, 0, 0, TARN_OK);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
            give(&stand, take(&stand, 11 * MIB, NULL), NULL);
            for (int k = 1; k < PIECES; k += 2) give(&stand, pieces[k], NULL);
            EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
            assert_int_equal(stats_of(stand.allocator).reserved_bytes.current, 0);
            stand_close(&stand);
        }
    }
}

/* 37: the child has no thread that would end the driver's call. */
static test_gate arrived, served;

static void arrive(void *context) {
    (void)context;
    gate_open(&arrived);
    sched_yield();
}

static void *run_take_alone(void *context) {
    errand_take(context);
    gate_open(&served);
    return NULL;
}

/* Nobody joins it: to the child, it would be a thread that was left behind. */
static void begin_alone(test_errand *task) {
    pthread_attr_t attributes;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED), 0);
    assert_int_equal(pthread_create(&task->thread, &attributes, run_take_alone, task), 0);
    pthread_attr_destroy(&attributes);
}

static int in_the_child(void *context) {
    const test_stand *stand = context;
    tarn_buffer *buffer = NULL;
    if (tarn_allocator_allocate(stand->allocator, 40 * MIB, NULL, &buffer) != TARN_UNAVAILABLE) return 1;
    if (tarn_allocator_check(stand->allocator) != TARN_OK) return 2;
    tarn_allocator_empty_cache(stand->allocator);
    tarn_allocator_release(stand->allocator);
    return 0;
}

static void a_fork_waits_for_what_is_on_its_way(void **state) {
    (void)state;
    for (size_t d = 0; d < DEVICES; d++) {
        for (const unsigned *call = growing_calls(devices[d]); *call != 0; call++) {
            test_stand stand;
            stand_open(&stand, "caching", devices[d]);
            test_errand task = {.allocator = stand.allocator, .size = 20 * MIB};
            arrived = served = (test_gate){.is_open = false};
            fake_meanwhile(*call, arrive, NULL);
            begin_alone(&task);
            gate_pass(&arrived);
            int answer = exit_of_child(in_the_child, &stand);
            gate_pass(&served);
            assert_int_equal(task.status, TARN_OK);
            assert_int_equal(answer, 0);
            give(&stand, task.buffer, NULL);
            stand_close(&stand);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_hit_goes_on_while_another_thread_is_in_the_driver, settle),
        cmocka_unit_test_teardown(another_streams_miss_goes_on_while_a_thread_is_in_the_driver, settle),
        cmocka_unit_test_teardown(a_second_miss_of_a_stream_uses_what_the_first_one_gets, settle),
        cmocka_unit_test_teardown(a_refusal_is_not_believed_while_another_thread_may_give_back, settle),
        cmocka_unit_test_teardown(figures_are_exact_while_memory_is_on_its_way, settle),
        cmocka_unit_test_teardown(who_looks_at_all_memory_waits_for_what_is_on_its_way, settle),
        cmocka_unit_test_teardown(a_refusal_takes_back_what_was_entered_whatever_others_did, settle),
        cmocka_unit_test_teardown(a_hit_goes_on_while_another_thread_gives_memory_back, settle),
        cmocka_unit_test_teardown(memory_that_is_about_to_be_given_back_may_still_be_taken, settle),
        cmocka_unit_test_teardown(a_miss_waits_until_another_thread_has_given_back, settle),
        cmocka_unit_test_teardown(what_cannot_be_given_back_stays_whatever_others_did, settle),
        cmocka_unit_test_teardown(a_fork_waits_for_what_is_on_its_way, settle),
    };
    return cmocka_run_group_tests_name("caching growth", tests, NULL, NULL);
}
