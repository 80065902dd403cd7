/* The planned allocator: rounds that repeat are served from their plan, and what deviates from below, until it is planned too. */
#include <string.h>

#include "capture.h"
#include "intervals.h"
#include "stand.h"

static tarn_planned_stats planned_stats_of(tarn_allocator *allocator) {
    tarn_planned_stats stats = {.struct_size = sizeof stats};
    EXPECT_OK(tarn_planned_stats_get(allocator, &stats));
    return stats;
}

static uint64_t driver_calls_of(test_stand *stand) {
    tarn_device_counters counters = counters_of(stand->device);
    return counters.driver_allocs + counters.driver_frees + counters.driver_maps + counters.driver_unmaps;
}

static void step(test_stand *stand) { EXPECT_OK(tarn_planned_step(stand->allocator)); }

/* A layered program: what each layer makes is used by the next one. Returns where the last layer's buffer lay. */
static void *run_layers(test_stand *stand, size_t scale) {
    tarn_buffer *last = NULL;
    void *address = NULL;
    for (size_t i = 0; i < 8; i++) {
        tarn_buffer *scratch = take(stand, (i + 1) * scale, NULL), *made = take(stand, (8 - i) * scale, NULL);
        give(stand, last, NULL);
        give(stand, scratch, NULL);
        address = tarn_buffer_data(made);
        last = made;
    }
    give(stand, last, NULL);
    return address;
}

static void a_round_that_repeats_is_served_from_its_plan_without_driver_calls(void **state) {
    (void)state;
    static const char *const devices[] = {"sim:8GiB", "sim:8GiB,granule=0", "cpu", "fake:8GiB,flat"};
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        test_stand stand;
        stand_open(&stand, "planned", devices[i]);
        (void)run_layers(&stand, 1 * MIB);
        step(&stand);
        tarn_planned_stats learnt = planned_stats_of(stand.allocator);
        assert_int_equal(learnt.plans, 1);
        assert_int_equal(learnt.plan_requests, 16);
        assert_int_equal(learnt.plan_places, 16);
        assert_int_equal(learnt.is_learning, 0);
        assert_true(learnt.plan_bytes >= learnt.plan_lower_bound);
        uint64_t calls = driver_calls_of(&stand);
        void *address = run_layers(&stand, 1 * MIB);
        for (int k = 0; k < 10; k++) {
            step(&stand);
            assert_ptr_equal(run_layers(&stand, 1 * MIB), address);
        }
        assert_int_equal(driver_calls_of(&stand), calls);
        tarn_planned_stats stats = planned_stats_of(stand.allocator);
        assert_int_equal(stats.planned, 11 * 16);
        assert_int_equal(stats.deviations, 0);
        assert_int_equal(stats.missing, 0);
        assert_int_equal(stats.rounds, 11);
        stand_close(&stand);
    }
}

static void learning_leaves_no_memory_beside_the_plan(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 10 * MIB);
    step(&stand);
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_in_range(tarn_allocator_allocated_size(stand.allocator), stats.plan_bytes, stats.plan_bytes + 2 * MIB);
    stand_close(&stand);
}

static void the_period_is_found_without_marks(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    tarn_buffer *weights = take(&stand, 5 * MIB, NULL);
    for (int k = 0; k < 200; k++) (void)run_layers(&stand, 3 * MIB);
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_true(stats.plans >= 1);
    assert_true(stats.planned > 100 * 16);
    assert_true(stats.deviations < 16);
    uint64_t calls = driver_calls_of(&stand), deviations = stats.deviations;
    for (int k = 0; k < 20; k++) (void)run_layers(&stand, 3 * MIB);
    assert_int_equal(driver_calls_of(&stand), calls);
    assert_int_equal(planned_stats_of(stand.allocator).deviations, deviations);
    give(&stand, weights, NULL);
    stand_close(&stand);
}

/* A round may be as short as one request, and end with each of them. */
static void one_size_again_and_again_is_planned(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    for (int k = 0; k < 1000; k++) give(&stand, take(&stand, 3 * MIB, NULL), NULL);
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.plans, 1);
    assert_in_range(stats.planned, 700, 1000);
    assert_int_equal(stats.deviations + stats.missing, 0);
    assert_int_equal(stats.plan_bytes, 3 * MIB);
    assert_in_range(stats.rounds, stats.planned - 1, 1000);
    /* Another size in between is no harm. */
    give(&stand, take(&stand, 5 * MIB, NULL), NULL);
    give(&stand, take(&stand, 3 * MIB, NULL), NULL);
    assert_int_equal(planned_stats_of(stand.allocator).planned, stats.planned + 1);
    stand_close(&stand);
}

/* A gradient that is there when the plan is made is freed into the memory below, and is not needed there again. */
static void what_the_plan_replaces_does_not_stay_cached(void **state) {
    (void)state;
    for (int is_marked = 0; is_marked < 2; is_marked++) {
        test_stand stand;
        stand_open(&stand, "planned", "sim:8GiB");
        tarn_buffer *gradient = NULL;
        for (int k = 0; k < 300; k++) {
            tarn_buffer *early = take(&stand, 70 * MIB, NULL);
            give(&stand, gradient, NULL);
            gradient = take(&stand, 80 * MIB, NULL);
            give(&stand, early, NULL);
            if (is_marked != 0) step(&stand);
        }
        tarn_planned_stats stats = planned_stats_of(stand.allocator);
        assert_int_equal(stats.plans, 1);
        assert_int_equal(stats.deviations, 0);
        assert_int_equal(stats.plan_bytes, 150 * MIB);
        assert_in_range(tarn_allocator_allocated_size(stand.allocator), stats.plan_bytes, stats.plan_bytes + 2 * MIB);
        give(&stand, gradient, NULL);
        stand_close(&stand);
    }
}

static void what_is_freed_in_the_next_round_has_a_place_too(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    tarn_buffer *weights = take(&stand, 5 * MIB, NULL), *gradient = NULL;
    for (int k = 0; k < 6; k++) {
        tarn_buffer *early = take(&stand, 7 * MIB, NULL);
        give(&stand, gradient, NULL);
        tarn_buffer *late = take(&stand, 9 * MIB, NULL);
        gradient = take(&stand, 8 * MIB, NULL);
        give(&stand, early, NULL);
        give(&stand, late, NULL);
        step(&stand);
    }
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.plan_requests, 3);
    assert_int_equal(stats.plan_places, 3);
    /* What outlives the round lies where nothing else is then: the early one may use what the late one has. */
    assert_int_equal(stats.plan_bytes, 24 * MIB);
    assert_int_equal(stats.deviations, 0);
    assert_int_equal(stats.planned, 3 * 3);
    give(&stand, gradient, NULL);
    give(&stand, weights, NULL);
    stand_close(&stand);
}

static void what_stays_is_left_to_the_element_below(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    tarn_buffer *kept[8];
    for (int k = 0; k < 8; k++) {
        kept[k] = take(&stand, 1 * MIB, NULL);
        (void)run_layers(&stand, 1 * MIB);
        step(&stand);
    }
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.plan_requests, 17);
    assert_int_equal(stats.plan_places, 16);
    assert_int_equal(stats.deviations, 0);
    assert_true(stats.kept > 0);
    for (int k = 0; k < 8; k++) give(&stand, kept[k], NULL);
    stand_close(&stand);
}

static void what_deviates_is_served_from_below_and_counted(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    tarn_buffer *extra = take(&stand, 77 * MIB, NULL), *usual = take(&stand, 1 * MIB, NULL);
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.deviations, 1);
    assert_int_equal(stats.planned, 1);
    give(&stand, extra, NULL);
    give(&stand, usual, NULL);
    step(&stand);
    stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.missing, 15);
    assert_int_equal(stats.is_learning, 1);
    stand_close(&stand);
}

static void it_plans_again_when_the_program_has_changed(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    for (int k = 0; k < 4; k++) {
        (void)run_layers(&stand, 5 * MIB);
        step(&stand);
    }
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.plans, 2);
    assert_int_equal(stats.is_learning, 0);
    uint64_t deviations = stats.deviations;
    (void)run_layers(&stand, 5 * MIB);
    assert_int_equal(planned_stats_of(stand.allocator).deviations, deviations);
    /* The old plan's memory is gone. */
    assert_in_range(tarn_allocator_allocated_size(stand.allocator), stats.plan_bytes, stats.plan_bytes + 2 * MIB);
    stand_close(&stand);
}

static void a_place_that_is_still_in_use_is_not_handed_out(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    for (int k = 0; k < 2; k++) {
        tarn_buffer *first = take(&stand, 4 * MIB, NULL);
        give(&stand, first, NULL);
        give(&stand, take(&stand, 6 * MIB, NULL), NULL);
        step(&stand);
    }
    tarn_buffer *late = take(&stand, 4 * MIB, NULL), *next = take(&stand, 6 * MIB, NULL);
    assert_false(buffers_overlap(late, next));
    EXPECT_OK(tarn_allocator_check(stand.allocator));
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.deviations, 1);
    give(&stand, late, NULL);
    give(&stand, next, NULL);
    step(&stand);
    give(&stand, take(&stand, 4 * MIB, NULL), NULL);
    assert_int_equal(planned_stats_of(stand.allocator).deviations, 1);
    stand_close(&stand);
}

/* Fault of the list: reuse before the work of another stream is over. */
static void a_place_that_another_stream_uses_waits_for_its_work(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "fake:8GiB");
    stand_stream(&stand, 0);
    for (int k = 0; k < 3; k++) {
        tarn_buffer *shared = take(&stand, 4 * MIB, NULL);
        bool is_last = k == 2;
        if (is_last) stand_hold(&stand, 0);
        uintptr_t before = (uintptr_t)tarn_buffer_data(shared);
        EXPECT_OK(tarn_buffer_record_stream(shared, stand.streams[0]));
        give(&stand, shared, NULL);
        tarn_buffer *next = take(&stand, 4 * MIB, NULL);
        if (is_last) {
            assert_true((uintptr_t)tarn_buffer_data(next) != before);
            EXPECT_OK(tarn_allocator_check(stand.allocator));
        }
        give(&stand, next, NULL);
        if (!is_last) step(&stand);
    }
    assert_int_equal(planned_stats_of(stand.allocator).deviations, 1);
    stand_let_go(&stand, 0);
    step(&stand);
    assert_int_equal(planned_stats_of(stand.allocator).is_learning, 1);
    stand_close(&stand);
}

static void each_stream_has_places_of_its_own(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    tarn_stream *other = stand_stream(&stand, 0);
    for (int k = 0; k < 3; k++) {
        tarn_buffer *here = take(&stand, 4 * MIB, NULL);
        uintptr_t address = (uintptr_t)tarn_buffer_data(here);
        give(&stand, here, NULL);
        tarn_buffer *there = take(&stand, 4 * MIB, other);
        if (k > 0) assert_true((uintptr_t)tarn_buffer_data(there) != address);
        give(&stand, there, NULL);
        step(&stand);
    }
    assert_int_equal(planned_stats_of(stand.allocator).plan_bytes, 8 * MIB);
    assert_int_equal(planned_stats_of(stand.allocator).planned, 4);
    stand_close(&stand);
}

static void emptying_the_cache_gives_the_plan_s_memory_back_until_the_next_round(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    assert_true(tarn_allocator_allocated_size(stand.allocator) > 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    assert_int_equal(counters_of(stand.device).memory_in_use, stand.memory_before);
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    uint64_t planned = planned_stats_of(stand.allocator).planned;
    (void)run_layers(&stand, 1 * MIB);
    assert_int_equal(planned_stats_of(stand.allocator).planned, planned + 16);
    stand_close(&stand);
}

static void the_plan_s_memory_goes_before_a_request_fails(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "sim:256MiB");
    (void)run_layers(&stand, 10 * MIB);
    step(&stand);
    give(&stand, take(&stand, 250 * MIB, NULL), NULL);
    tarn_buffer *buffer;
    EXPECT(TARN_OUT_OF_MEMORY, tarn_allocator_allocate(stand.allocator, 300 * MIB, NULL, &buffer));
    assert_int_equal(stats_of(stand.allocator).failed_allocations, 1);
    stand_close(&stand);
}

static void without_memory_for_a_plan_the_step_says_so_and_requests_go_on(void **state) {
    (void)state;
    test_stand stand;
    tarn_allocator *second = NULL;
    tarn_buffer *foreign = NULL;
    stand_open(&stand, "planned", "sim:256MiB");
    (void)run_layers(&stand, 5 * MIB);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    EXPECT_OK(tarn_allocator_create(stand.device, "direct", &second));
    EXPECT_OK(tarn_allocator_allocate(second, 200 * MIB, NULL, &foreign));
    EXPECT(TARN_OUT_OF_MEMORY, tarn_planned_step(stand.allocator));
    assert_int_equal(planned_stats_of(stand.allocator).failed_plans, 1);
    give(&stand, take(&stand, 5 * MIB, NULL), NULL);
    EXPECT(TARN_OUT_OF_MEMORY, tarn_planned_step(stand.allocator));
    EXPECT_OK(tarn_allocator_free(second, foreign, NULL));
    (void)run_layers(&stand, 5 * MIB);
    step(&stand);
    uint64_t planned = planned_stats_of(stand.allocator).planned;
    (void)run_layers(&stand, 5 * MIB);
    assert_int_equal(planned_stats_of(stand.allocator).planned, planned + 16);
    EXPECT_OK(tarn_allocator_release(second));
    stand_close(&stand);
}

static void only_a_planned_allocator_has_rounds(void **state) {
    (void)state;
    test_stand stand;
    tarn_planned_stats stats = {.struct_size = sizeof stats};
    stand_open(&stand, "limit:1GiB | caching", "sim:8GiB");
    EXPECT(TARN_NOT_SUPPORTED, tarn_planned_step(stand.allocator));
    EXPECT_SENTENCE("only \"planned\" can end a round");
    EXPECT(TARN_NOT_SUPPORTED, tarn_planned_stats_get(stand.allocator, &stats));
    stand_close(&stand);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_planned_step(NULL));
    stand_open(&stand, "limit:1GiB | track | planned", "sim:8GiB");
    step(&stand);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_planned_stats_get(stand.allocator, NULL));
    stats.struct_size = 1;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_planned_stats_get(stand.allocator, &stats));
    stand_close(&stand);
}

static void buffers_of_a_plan_outlive_their_allocator(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned", "cpu");
    tarn_allocator *second = NULL;
    EXPECT_OK(tarn_allocator_create(stand.device, "planned", &second));
    for (int k = 0; k < 2; k++) {
        tarn_buffer *buffer = NULL;
        EXPECT_OK(tarn_allocator_allocate(second, 4 * MIB, NULL, &buffer));
        if (k == 1) {
            tarn_buffer *found = NULL;
            assert_int_equal(planned_stats_of(second).planned, 1);
            EXPECT_OK(tarn_allocator_find(second, tarn_buffer_data(buffer), &found));
            assert_ptr_equal(found, buffer);
            log_listen();
            EXPECT_OK(tarn_allocator_release(second));
            assert_non_null(strstr(log_heard(), "1 live buffers of 4 MiB"));
            log_silence();
            assert_true(tarn_buffer_is_valid(buffer));
            memset(tarn_buffer_data(buffer), 1, 4 * MIB);
        }
        EXPECT_OK(tarn_buffer_free(buffer, NULL));
        EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(buffer, NULL));
        if (k == 0) EXPECT_OK(tarn_planned_step(second));
    }
    stand_close(&stand);
}

/* What each_block shows: all addresses of the plan once, and none of its memory a second time. */
typedef struct shown {
    intervals seen;
    uint64_t live, cached;
} shown;

static int note_block(void *context, const tarn_block_info *block) {
    shown *all = context;
    assert_true(intervals_add(&all->seen, block->address, block->size));
    if (block->state == TARN_BLOCK_IN_USE) all->live++;
    else all->cached += block->size;
    return 0;
}

static void each_block_shows_the_plan_s_memory_once(void **state) {
    (void)state;
    test_stand stand;
    shown all = {.live = 0};
    stand_open(&stand, "planned", "sim:8GiB");
    (void)run_layers(&stand, 1 * MIB);
    step(&stand);
    tarn_buffer *first = take(&stand, 1 * MIB, NULL), *second = take(&stand, 8 * MIB, NULL),
                *other = take(&stand, 90 * MIB, NULL), *found = NULL;
    EXPECT_OK(tarn_allocator_each_block(stand.allocator, note_block, &all));
    assert_int_equal(all.live, 3);
    EXPECT_OK(tarn_allocator_find(stand.allocator, tarn_buffer_data(other), &found));
    assert_ptr_equal(found, other);
    void *place = tarn_buffer_data(first);
    give(&stand, first, NULL);
    EXPECT(TARN_INVALID_ARGUMENT, tarn_allocator_find(stand.allocator, place, &found));
    give(&stand, second, NULL);
    give(&stand, other, NULL);
    intervals_end(&all.seen);
    stand_close(&stand);
}

static void requests_of_captured_work_are_left_to_the_element_below(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "planned | graph", "cpu");
    tarn_stream *stream = stand_stream(&stand, 0);
    for (int k = 0; k < 2; k++) {
        give(&stand, take(&stand, 8192, stream), NULL);
        step(&stand);
    }
    tarn_buffer *before = take(&stand, 8192, stream);
    void *place = tarn_buffer_data(before);
    give(&stand, before, NULL);
    tarn_planned_stats stats = planned_stats_of(stand.allocator);
    assert_int_equal(stats.planned, 2);
    EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    tarn_buffer *captured = take(&stand, 8192, stream);
    assert_true(tarn_buffer_data(captured) != place);
    capture_fill(stream, captured, 1);
    tarn_graph_instance *instance = capture_end(&stand);
    assert_int_equal(planned_stats_of(stand.allocator).planned, 2);
    assert_int_equal(planned_stats_of(stand.allocator).deviations, 0);
    EXPECT(TARN_INVALID_STATE, tarn_buffer_free(captured, NULL));
    EXPECT_OK(tarn_graph_instance_launch(instance, stream));
    capture_finish(&stand, instance);
    give(&stand, captured, NULL);
    stand_close(&stand);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_that_repeats_is_served_from_its_plan_without_driver_calls),
        cmocka_unit_test(learning_leaves_no_memory_beside_the_plan),
        cmocka_unit_test(the_period_is_found_without_marks),
        cmocka_unit_test(one_size_again_and_again_is_planned),
        cmocka_unit_test(what_the_plan_replaces_does_not_stay_cached),
        cmocka_unit_test(what_is_freed_in_the_next_round_has_a_place_too),
        cmocka_unit_test(what_stays_is_left_to_the_element_below),
        cmocka_unit_test(what_deviates_is_served_from_below_and_counted),
        cmocka_unit_test(it_plans_again_when_the_program_has_changed),
        cmocka_unit_test(a_place_that_is_still_in_use_is_not_handed_out),
        cmocka_unit_test(a_place_that_another_stream_uses_waits_for_its_work),
        cmocka_unit_test(each_stream_has_places_of_its_own),
        cmocka_unit_test(emptying_the_cache_gives_the_plan_s_memory_back_until_the_next_round),
        cmocka_unit_test(the_plan_s_memory_goes_before_a_request_fails),
        cmocka_unit_test(without_memory_for_a_plan_the_step_says_so_and_requests_go_on),
        cmocka_unit_test(only_a_planned_allocator_has_rounds),
        cmocka_unit_test(buffers_of_a_plan_outlive_their_allocator),
        cmocka_unit_test(each_block_shows_the_plan_s_memory_once),
        cmocka_unit_test(requests_of_captured_work_are_left_to_the_element_below),
    };
    return cmocka_run_group_tests_name("memory planned", tests, NULL, NULL);
}
