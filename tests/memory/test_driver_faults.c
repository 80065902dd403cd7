/* A driver that fails, lies or is lost, one fault at a time: what the caller is told, and that the allocator is whole
 * afterwards. test_fault_sweep fails every call; here each fault's own promise is tested. Numbers in comments are those of the
 * project's list of faults. */
#include "fake.h"
#include "stand.h"

static void expect_refused(test_stand *stand, size_t size, tarn_status wanted) {
    tarn_buffer *buffer = (tarn_buffer *)stand;
    EXPECT(wanted, tarn_allocator_allocate(stand->allocator, size, NULL, &buffer));
    assert_ptr_equal(buffer, stand);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
}

/* 29 */
static void a_driver_out_of_memory_for_good_is_out_of_memory_until_it_is_over(test_stand *stand) {
    fake_fail(FAKE_ALLOCATE | FAKE_CREATE, 1, 1, TARN_OUT_OF_MEMORY);
    expect_refused(stand, 5 * MIB, TARN_OUT_OF_MEMORY);
    assert_true(fake_calls() > 0);
    fake_fail(0, 0, 0, TARN_OK);
    give(stand, take(stand, 5 * MIB, NULL), NULL);
}

/* 29: the first refusal is answered by giving back what is cached. */
static void a_driver_out_of_memory_once_is_retried(test_stand *stand) {
    give(stand, take(stand, 30 * MIB, NULL), NULL);
    fake_fail(FAKE_ALLOCATE | FAKE_CREATE, 1, 0, TARN_OUT_OF_MEMORY);
    tarn_buffer *buffer = take(stand, 100 * MIB, NULL);
    fake_fail(0, 0, 0, TARN_OK);
    assert_true(stats_of(stand->allocator).retries >= 1);
    give(stand, buffer, NULL);
}

/* 26 … 28: whatever fails on the way to memory, nothing of it is left. */
static void a_failed_step_on_the_way_to_memory_is_unwound(test_stand *stand) {
    const unsigned steps[] = {FAKE_RESERVE, FAKE_CREATE, FAKE_MAP, FAKE_ALLOCATE};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
        uint64_t before = counters_of(stand->device).memory_in_use;
        fake_fail(steps[i], 1, 1, TARN_INTERNAL);
        tarn_buffer *buffer = NULL;
        tarn_status status = tarn_allocator_allocate(stand->allocator, 300 * MIB, NULL, &buffer);
        unsigned long reached = fake_calls();
        fake_fail(0, 0, 0, TARN_OK);
        EXPECT_OK(tarn_allocator_check(stand->allocator));
        if (reached > 0) {
            assert_int_equal(status, TARN_INTERNAL);
            EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
            assert_int_equal(counters_of(stand->device).memory_in_use, before);
            buffer = take(stand, 300 * MIB, NULL);
        }
        give(stand, buffer, NULL);
    }
}

/* 30 */
static void a_lost_device_is_latched_and_everything_can_still_be_destroyed(test_stand *stand) {
    tarn_buffer *small = take(stand, 1000, NULL), *large = take(stand, 50 * MIB, stand_stream(stand, 0));
    fake_fail(FAKE_ALL, 1, 0, TARN_DEVICE_LOST);
    tarn_buffer *buffer = NULL;
    log_listen();
    EXPECT(TARN_DEVICE_LOST, tarn_allocator_allocate(stand->allocator, 900 * MIB, NULL, &buffer));
    fake_fail(0, 0, 0, TARN_OK);
    EXPECT(TARN_DEVICE_LOST, tarn_allocator_allocate(stand->allocator, 901 * MIB, NULL, &buffer));
    assert_null(buffer);
    EXPECT_OK(tarn_allocator_free(stand->allocator, small, NULL));
    EXPECT_OK(tarn_allocator_free(stand->allocator, large, NULL));
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    EXPECT_OK(tarn_allocator_release(stand->allocator));
    stand->allocator = NULL;
    tarn_stream_release(stand->streams[0]);
    stand->streams[0] = NULL;
    log_silence();
}

/* 24: no event can be had inside a free; the free succeeds, and the memory waits. */
static void a_free_succeeds_although_no_event_can_be_had(test_stand *stand) {
    const unsigned faults[] = {FAKE_EVENT_CREATE, FAKE_EVENT_RECORD, FAKE_EVENT_CREATE | FAKE_EVENT_RECORD};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        tarn_buffer *buffer = take(stand, 3 * MIB, NULL);
        EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(stand, 0)));
        fake_fail(faults[i], 1, 1, TARN_INTERNAL);
        EXPECT_OK(tarn_allocator_free(stand->allocator, buffer, NULL));
        assert_false(tarn_buffer_is_valid(buffer));
        EXPECT_OK(tarn_allocator_check(stand->allocator));
        fake_fail(0, 0, 0, TARN_OK);
        give(stand, take(stand, 3 * MIB, NULL), NULL);
    }
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* 23 with 24: the memory is not used again just because the event could not be had. */
static void memory_whose_event_could_not_be_had_is_not_used_before_the_stream_is_done(test_stand *stand) {
    stand_hold(stand, 0);
    tarn_buffer *buffer = take(stand, 3 * MIB, NULL);
    EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(stand, 0)));
    uintptr_t start = (uintptr_t)tarn_buffer_data(buffer);
    fake_fail(FAKE_EVENT_CREATE | FAKE_EVENT_RECORD, 1, 1, TARN_INTERNAL);
    EXPECT_OK(tarn_allocator_free(stand->allocator, buffer, NULL));
    int was_waited_for = fake_forced_waits() > 0;
    fake_fail(0, 0, 0, TARN_OK);
    tarn_buffer *next = take(stand, 3 * MIB, NULL);
    if (!was_waited_for && fake_forced_waits() == 0) assert_int_not_equal((uintptr_t)tarn_buffer_data(next), start);
    give(stand, next, NULL);
}

/* 25 */
static void an_event_that_cannot_be_asked_keeps_its_memory_apart(test_stand *stand) {
    stand_hold(stand, 0);
    tarn_buffer *buffer = take(stand, 3 * MIB, NULL), *held[8];
    EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(stand, 0)));
    uintptr_t start = (uintptr_t)tarn_buffer_data(buffer);
    give(stand, buffer, NULL);
    fake_fail(FAKE_EVENT_QUERY, 1, 1, TARN_INTERNAL);
    for (int i = 0; i < 8; i++) {
        held[i] = take(stand, 3 * MIB, NULL);
        if (fake_forced_waits() == 0) assert_int_not_equal((uintptr_t)tarn_buffer_data(held[i]), start);
    }
    fake_fail(0, 0, 0, TARN_OK);
    for (int i = 0; i < 8; i++) give(stand, held[i], NULL);
    stand_let_go(stand, 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* 35 */
static void a_driver_that_lies_about_memory_is_caught(test_stand *stand) {
    tarn_buffer *live = take(stand, 3 * MIB, NULL);
    const fake_lie lies[] = {FAKE_NULL, FAKE_MISALIGNED, FAKE_OVERLAPPING};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        fake_lies(lies[i]);
        tarn_buffer *buffer = NULL;
        tarn_status status = tarn_allocator_allocate(stand->allocator, 700 * MIB, NULL, &buffer);
        fake_lies(FAKE_TRUTH);
        if (status == TARN_OK) {
            /* Served from a reservation made before the lie. */
            assert_false(buffers_overlap(live, buffer));
            give(stand, buffer, NULL);
        } else {
            assert_int_equal(status, TARN_INTERNAL);
            assert_null(buffer);
        }
        EXPECT_OK(tarn_allocator_check(stand->allocator));
    }
    assert_true(tarn_buffer_is_valid(live));
    give(stand, live, NULL);
    give(stand, take(stand, 700 * MIB, NULL), NULL);
    /* The driver was handed back what it had never given: that is the lie's own fault. */
    fake_reset();
}

/* A driver that does not take memory back: the caller is told, nothing is lost, and a later try works. */
static void memory_that_the_driver_refuses_to_take_back_is_kept_for_a_later_try(test_stand *stand) {
    const unsigned faults[] = {FAKE_FREE, FAKE_UNMAP, FAKE_RELEASE, FAKE_TAKING_MEMORY};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        tarn_buffer *first = take(stand, 40 * MIB, NULL), *second = take(stand, 4 * MIB, NULL);
        fake_fail(faults[i], 1, 1, TARN_INTERNAL);
        tarn_status freed = tarn_allocator_free(stand->allocator, first, NULL);
        tarn_status emptied = tarn_allocator_empty_cache(stand->allocator);
        unsigned long reached = fake_calls();
        fake_fail(0, 0, 0, TARN_OK);
        assert_false(tarn_buffer_is_valid(first));
        if (reached > 0) assert_true(freed == TARN_INTERNAL || emptied == TARN_INTERNAL);
        EXPECT_OK(tarn_allocator_check(stand->allocator));
        assert_true(tarn_buffer_is_valid(second));
        give(stand, second, NULL);
        EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
        assert_int_equal(counters_of(stand->device).memory_in_use, stand->memory_before);
    }
}

/* A wait that fails is no proof that the work is done. */
static void a_wait_that_fails_gives_no_memory_away(test_stand *stand) {
    stand_hold(stand, 0);
    tarn_buffer *buffer = take(stand, 50 * MIB, stand_stream(stand, 0));
    give(stand, buffer, stand_stream(stand, 0));
    fake_fail(FAKE_WAITS | FAKE_EVENT_QUERY, 1, 1, TARN_INTERNAL);
    assert_int_not_equal(tarn_allocator_empty_cache(stand->allocator), TARN_OK);
    fake_fail(0, 0, 0, TARN_OK);
    assert_int_equal(fake_taken_while_held(), 0);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(a_driver_out_of_memory_for_good_is_out_of_memory_until_it_is_over, DEVICE_IS_FAKE),
        CONFORMANCE_TEST(a_driver_out_of_memory_once_is_retried, SPEC_CACHES | DEVICE_IS_FAKE),
        CONFORMANCE_TEST(a_failed_step_on_the_way_to_memory_is_unwound, DEVICE_IS_FAKE),
        CONFORMANCE_TEST(a_lost_device_is_latched_and_everything_can_still_be_destroyed, DEVICE_IS_FAKE),
        CONFORMANCE_TEST(a_free_succeeds_although_no_event_can_be_had, SPEC_CACHES | DEVICE_IS_FAKE),
        CONFORMANCE_TEST(memory_whose_event_could_not_be_had_is_not_used_before_the_stream_is_done,
                         SPEC_CACHES | DEVICE_IS_FAKE),
        CONFORMANCE_TEST(an_event_that_cannot_be_asked_keeps_its_memory_apart, SPEC_CACHES | DEVICE_IS_FAKE),
        CONFORMANCE_TEST(a_driver_that_lies_about_memory_is_caught, DEVICE_IS_FAKE),
        CONFORMANCE_TEST(memory_that_the_driver_refuses_to_take_back_is_kept_for_a_later_try, DEVICE_IS_FAKE),
        CONFORMANCE_TEST(a_wait_that_fails_gives_no_memory_away, SPEC_CACHES | DEVICE_IS_FAKE),
    };
    return conformance_run("memory driver faults", tests, sizeof tests / sizeof tests[0]);
}
