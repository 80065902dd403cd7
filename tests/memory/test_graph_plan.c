/* Captures that are planned: how much less they need, that what they compute is the same, and what happens when a capture is not the one that
 * was expected. */

#include <string.h>

#include "base/memory.h"
#include "captured.h"
#include "fake.h"

/* Captures once, launches, and says how many bytes the capture kept. */
static uint64_t capture_once(test_stand *stand, const captured_program *program, uint64_t name) {
    captured_run run;
    captured_play(&run, stand, program, name, -1);
    uint64_t bytes = graph_info_of(stand->allocator).capture_bytes;
    for (int i = 0; i < 2; i++) captured_launch(&run);
    captured_finish(&run);
    return bytes;
}

/* Three buffers of which the first two leave holes that the third fits in neither of. */
static captured_program holes(size_t unit) {
    captured_program program = {.count = 0};
    captured_add(&program, CAPTURED_TAKE, 0, 2 * unit, 0);
    captured_add(&program, CAPTURED_TAKE, 1, unit, 0);
    captured_add(&program, CAPTURED_GIVE, 0, 0, 0);
    captured_add(&program, CAPTURED_TAKE, 2, 3 * unit, 0);
    captured_add(&program, CAPTURED_GIVE, 1, 0, 0);
    captured_add(&program, CAPTURED_TAKE, 3, unit, 0);
    captured_add(&program, CAPTURED_GIVE, 2, 0, 0);
    captured_add(&program, CAPTURED_GIVE, 3, 0, 0);
    return program;
}

static void the_second_capture_needs_no_more_than_the_plan_body(test_stand *stand) {
    captured_program program = holes(64 * KIB);
    assert_int_equal(capture_once(stand, &program, 0), 6 * 64 * KIB);
    tarn_graph_pool_info info = graph_info_of(stand->allocator);
    assert_int_equal(info.planned_captures, 0);
    assert_int_equal(info.capture_lower_bound, 4 * 64 * KIB);
    for (uint64_t i = 1; i < 4; i++) {
        assert_int_equal(capture_once(stand, &program, 0), 4 * 64 * KIB);
        info = graph_info_of(stand->allocator);
        assert_int_equal(info.planned_captures, i);
        assert_int_equal(info.planned_requests, 4 * i);
        assert_int_equal(info.deviations + info.failed_plans, 0);
    }
}

static void the_second_capture_needs_no_more_than_the_plan(void **state) {
    (void)state;
    on_each_device("graph", the_second_capture_needs_no_more_than_the_plan_body);
    on_each_device("graph:sequential=on", the_second_capture_needs_no_more_than_the_plan_body);
    on_each_device("limit:1GiB | graph:initial=1MiB,maximum=64MiB",
                   the_second_capture_needs_no_more_than_the_plan_body);
}

static void the_driver_is_asked_for_no_more_than_the_plan_body(test_stand *stand) {
    captured_program program = holes(8 * MIB);
    (void)capture_once(stand, &program, 0);
    uint64_t first = graph_info_of(stand->allocator).capacity;
    EXPECT_OK(tarn_allocator_reset_peaks(stand->allocator));
    (void)capture_once(stand, &program, 0);
    /* The buffer outside has a segment of its own. */
    assert_int_equal(graph_info_of(stand->allocator).capacity, 34 * MIB);
    assert_true(first > 34 * MIB);
    assert_true(stats_of(stand->allocator).reserved_bytes.peak <= first);
}

static void the_driver_is_asked_for_no_more_than_the_plan(void **state) {
    (void)state;
    on_each_device("graph", the_driver_is_asked_for_no_more_than_the_plan_body);
}

static void a_pool_can_be_told_not_to_plan(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:planned=off", "cpu");
    stand_stream(&stand, 0);
    captured_program program = holes(KIB);
    for (int i = 0; i < 3; i++) assert_int_equal(capture_once(&stand, &program, 0), 6 * KIB);
    assert_int_equal(graph_info_of(stand.allocator).planned_captures, 0);
    stand_close(&stand);
    tarn_device *device = NULL;
    tarn_allocator *pool = NULL;
    tarn_graph_pool_options options = {.struct_size = sizeof options, .is_unplanned = 1};
    EXPECT_OK(tarn_device_open("cpu", &device));
    EXPECT_OK(tarn_graph_pool_create(device, &options, &pool));
    assert_non_null(strstr(tarn_allocator_spec(pool), "planned=off"));
    EXPECT_OK(tarn_allocator_release(pool));
    EXPECT_OK(tarn_device_release(device));
}

/* Launches give what they give without plans, and no layout is worse than the first one. */
static void programs_by_chance_are_right_body(test_stand *stand) {
    captured_program program;
    uint64_t first = 0, planned = 0;
    unsigned programs = 12 / test_slowness() + 4;
    for (unsigned seed = 1; seed <= programs; seed++) {
        captured_generate(&program, seed, seed % 2 == 0, 20000);
        uint64_t before = capture_once(stand, &program, seed), after = capture_once(stand, &program, seed);
        assert_true(after <= before);
        first += before;
        planned += after;
    }
    assert_true(planned < first);
    assert_int_equal(graph_info_of(stand->allocator).deviations, 0);
}

static void programs_by_chance_are_right(void **state) {
    (void)state;
    on_each_device("graph", programs_by_chance_are_right_body);
}

static void work_that_differs_a_little_is_served_as_far_as_it_fits_body(test_stand *stand) {
    captured_program program, changed;
    unsigned programs = 12 / test_slowness() + 4;
    for (unsigned seed = 1; seed <= programs; seed++) {
        captured_generate(&program, seed, seed % 2 == 0, 20000);
        (void)capture_once(stand, &program, 0);
        changed = program;
        for (int i = (int)seed % 10; i < changed.count; i += 10 + (int)seed % 7)
            if (changed.steps[i].what == CAPTURED_TAKE) changed.steps[i].size = 16 + (size_t)i * 100;
        tarn_graph_pool_info before = graph_info_of(stand->allocator);
        (void)capture_once(stand, &changed, 0);
        tarn_graph_pool_info after = graph_info_of(stand->allocator);
        if (after.planned_captures == before.planned_captures) continue;
        assert_true(after.planned_requests > before.planned_requests);
        /* What was captured now is what is expected next. */
        (void)capture_once(stand, &changed, 0);
        assert_int_equal(graph_info_of(stand->allocator).deviations, after.deviations);
    }
    assert_true(graph_info_of(stand->allocator).deviations > 0);
}

static void work_that_differs_a_little_is_served_as_far_as_it_fits(void **state) {
    (void)state;
    on_each_device("graph", work_that_differs_a_little_is_served_as_far_as_it_fits_body);
}

static void other_work_gives_the_plan_up_body(test_stand *stand) {
    captured_program program = holes(64 * KIB), other = {.count = 0};
    captured_add(&other, CAPTURED_TAKE, 0, 2 * 64 * KIB, 0);
    for (int i = 1; i < 20; i++) captured_add(&other, CAPTURED_TAKE, i, 1000, 0);
    captured_add(&other, CAPTURED_TAKE, 20, 64 * KIB, 0);
    (void)capture_once(stand, &program, 0);
    (void)capture_once(stand, &other, 0);
    tarn_graph_pool_info info = graph_info_of(stand->allocator);
    assert_int_equal(info.planned_requests, 1);
    assert_int_equal(info.deviations, 8);
    /* Nothing of it could be any lower than it was. */
    (void)capture_once(stand, &other, 0);
    assert_int_equal(graph_info_of(stand->allocator).deviations, 8);
}

static void other_work_gives_the_plan_up(void **state) {
    (void)state;
    on_each_device("graph", other_work_gives_the_plan_up_body);
}

static void an_aborted_capture_teaches_as_well_body(test_stand *stand) {
    captured_program program = holes(64 * KIB);
    captured_run run;
    captured_play(&run, stand, &program, 0, program.count);
    captured_finish(&run);
    assert_int_equal(capture_once(stand, &program, 0), 4 * 64 * KIB);
    /* In the middle: what is known of the whole stays. */
    for (int steps = 0; steps < program.count; steps++) {
        captured_play(&run, stand, &program, 0, steps);
        captured_finish(&run);
        assert_int_equal(capture_once(stand, &program, 0), 4 * 64 * KIB);
    }
    assert_int_equal(graph_info_of(stand->allocator).deviations, 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

static void an_aborted_capture_teaches_as_well(void **state) {
    (void)state;
    on_each_device("graph", an_aborted_capture_teaches_as_well_body);
    on_each_device("graph:sequential=on", an_aborted_capture_teaches_as_well_body);
}

/* Nothing that a graph of the pool used can be freed before the last one has ended. */
static void finish_both(captured_run *one, captured_run *two) {
    capture_finish(one->stand, one->instance);
    one->instance = NULL;
    captured_finish(two);
    captured_finish(one);
}

/* Both are planned, and lie in the same memory. */
static void two_graphs_share_a_planned_pool_body(test_stand *stand) {
    captured_program large = holes(4 * MIB), small = holes(3 * MIB);
    captured_run one, two;
    captured_play(&one, stand, &large, 1, large.count);
    captured_finish(&one);
    captured_play(&two, stand, &small, 2, small.count);
    captured_finish(&two);
    captured_play(&one, stand, &large, 1, -1);
    uint64_t capacity = graph_info_of(stand->allocator).capacity;
    captured_play(&two, stand, &small, 2, -1);
    tarn_graph_pool_info info = graph_info_of(stand->allocator);
    assert_int_equal(info.planned_captures, 2);
    assert_int_equal(info.deviations + info.failed_plans, 0);
    assert_int_equal(info.capacity, capacity);
    for (int i = 0; i < 3; i++) {
        captured_launch(&one);
        captured_launch(&two);
    }
    finish_both(&one, &two);
}

static void two_graphs_share_a_planned_pool(void **state) {
    (void)state;
    on_each_device("graph:sequential=on", two_graphs_share_a_planned_pool_body);
}

/* The larger work comes second: it shares what there is, as without a plan. */
static void a_plan_takes_nothing_from_the_driver_beside_another_graph_body(test_stand *stand) {
    captured_program large = holes(4 * MIB), small = holes(MIB);
    captured_run one, two;
    captured_play(&two, stand, &large, 2, large.count);
    captured_finish(&two);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    captured_play(&one, stand, &small, 1, -1);
    captured_play(&two, stand, &large, 2, -1);
    tarn_graph_pool_info info = graph_info_of(stand->allocator);
    assert_int_equal(info.planned_captures, 0);
    assert_int_equal(info.failed_plans, 1);
    captured_launch(&one);
    captured_launch(&two);
    finish_both(&one, &two);
}

static void a_plan_takes_nothing_from_the_driver_beside_another_graph(void **state) {
    (void)state;
    on_each_device("graph:sequential=on", a_plan_takes_nothing_from_the_driver_beside_another_graph_body);
}

/* Short of memory, the block of the plan serves what the plan did not expect. */
static void the_block_serves_others_when_there_is_no_more_body(test_stand *stand) {
    captured_program program = holes(MIB);
    (void)capture_once(stand, &program, 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    tarn_stream *stream = stand->streams[0];
    tarn_buffer *outside = take(stand, 12 * MIB, NULL), *none = NULL;
    capture_begin(stand);
    tarn_buffer *first = take(stand, 2 * MIB, stream);
    assert_int_equal(graph_info_of(stand->allocator).planned_requests, 1);
    assert_int_equal(graph_info_of(stand->allocator).capacity, 16 * MIB);
    tarn_buffer *other = take(stand, 3 * MIB / 4, stream);
    assert_int_equal(graph_info_of(stand->allocator).deviations, 1);
    EXPECT(TARN_LIMIT_EXCEEDED, tarn_allocator_allocate(stand->allocator, 2 * MIB, stream, &none));
    EXPECT_OK(tarn_stream_abort_capture(stream));
    give(stand, first, NULL);
    give(stand, other, NULL);
    give(stand, outside, NULL);
}

static void the_block_serves_others_when_there_is_no_more(void **state) {
    (void)state;
    on_each_device("graph:maximum=16MiB", the_block_serves_others_when_there_is_no_more_body);
}

/* Results of the graph before are still there when the work is captured again. */
static void results_may_outlive_their_graph_body(test_stand *stand) {
    captured_program program = holes(64 * KIB);
    program.count -= 2; /* the last two stay */
    captured_run run;
    tarn_buffer *kept[8];
    for (int i = 0; i < 4; i++) {
        captured_play(&run, stand, &program, 0, -1);
        captured_launch(&run);
        capture_finish(stand, run.instance);
        run.instance = NULL;
        kept[2 * i] = run.buffers[2].buffer;
        kept[2 * i + 1] = run.buffers[3].buffer;
        run.count = 0;
        captured_finish(&run);
    }
    assert_int_equal(graph_info_of(stand->allocator).deviations, 0);
    for (int i = 0; i < 8; i++)
        for (int k = 0; k < i; k++) assert_false(buffers_overlap(kept[i], kept[k]));
    for (int i = 0; i < 8; i++) give(stand, kept[i], NULL);
}

static void results_may_outlive_their_graph(void **state) {
    (void)state;
    on_each_device("graph", results_may_outlive_their_graph_body);
}

/* A pool remembers the works that were captured last. */
static void the_names_of_a_pool_are_counted(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "cpu");
    stand_stream(&stand, 0);
    captured_program program = holes(64);
    for (uint64_t name = 0; name < 65; name++) (void)capture_once(&stand, &program, name);
    assert_int_equal(graph_info_of(stand.allocator).planned_captures, 0);
    (void)capture_once(&stand, &program, 64);
    (void)capture_once(&stand, &program, 1);
    assert_int_equal(graph_info_of(stand.allocator).planned_captures, 2);
    (void)capture_once(&stand, &program, 0);
    assert_int_equal(graph_info_of(stand.allocator).planned_captures, 2);
    stand_close(&stand);
}

/* A capture that was begun without the pool takes part in planning with its first request. */
static void a_capture_may_come_to_the_pool_later_body(test_stand *stand) {
    tarn_stream *stream = stand->streams[0];
    uint64_t bytes[3];
    for (int i = 0; i < 3; i++) {
        tarn_buffer *buffers[4];
        EXPECT_OK(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
        buffers[0] = take(stand, 2 * MIB, stream);
        buffers[1] = take(stand, MIB, stream);
        give(stand, buffers[0], stream);
        buffers[2] = take(stand, 3 * MIB, stream);
        give(stand, buffers[1], stream);
        buffers[3] = take(stand, MIB, stream);
        give(stand, buffers[2], stream);
        give(stand, buffers[3], stream);
        EXPECT_OK(tarn_stream_abort_capture(stream));
        bytes[i] = graph_info_of(stand->allocator).capture_bytes;
    }
    assert_true(bytes[0] > 4 * MIB);
    assert_int_equal(bytes[1], 4 * MIB);
    assert_int_equal(bytes[2], 4 * MIB);
}

static void a_capture_may_come_to_the_pool_later(void **state) {
    (void)state;
    on_each_device("graph", a_capture_may_come_to_the_pool_later_body);
}

/* One request of host memory fails, or all from one on: two captures of a fork in which the calls may fail. */
static tarn_status capture_with_faults(test_stand *stand) {
    tarn_stream *const *streams = stand->streams;
    tarn_event *fork = NULL, *join = NULL;
    tarn_buffer *buffers[4] = {NULL};
    tarn_status status = tarn_graph_pool_begin_capture(stand->allocator, streams[0], TARN_CAPTURE_GLOBAL);
    if (status != TARN_OK) return status;
    status = tarn_allocator_allocate(stand->allocator, 2 * KIB, streams[0], &buffers[0]);
    if (status == TARN_OK) status = tarn_stream_record(streams[0], &fork);
    if (status == TARN_OK) status = tarn_stream_wait(streams[1], fork);
    if (status == TARN_OK) status = tarn_allocator_allocate(stand->allocator, KIB, streams[1], &buffers[1]);
    if (status == TARN_OK) status = tarn_buffer_free(buffers[0], streams[0]);
    if (status == TARN_OK) buffers[0] = NULL;
    if (status == TARN_OK) status = tarn_allocator_allocate(stand->allocator, 3 * KIB, streams[0], &buffers[2]);
    if (status == TARN_OK) status = tarn_stream_record(streams[1], &join);
    if (status == TARN_OK) status = tarn_stream_wait(streams[0], join);
    if (status == TARN_OK) status = tarn_allocator_allocate(stand->allocator, KIB, streams[0], &buffers[3]);
    (void)tarn_event_release(fork);
    (void)tarn_event_release(join);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < i; k++)
            assert_true(buffers[i] == NULL || buffers[k] == NULL || !buffers_overlap(buffers[i], buffers[k]));
    EXPECT_OK(tarn_stream_abort_capture(streams[0]));
    for (int i = 0; i < 4; i++)
        if (buffers[i] != NULL) EXPECT_OK(tarn_buffer_free(buffers[i], NULL));
    return status;
}

static void want_of_host_memory_is_survived(void **state) {
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        bool is_over = false;
        for (unsigned long n = 1; !is_over; n++) {
            test_stand stand;
            stand_open(&stand, "graph", "cpu");
            stand_stream(&stand, 0);
            stand_stream(&stand, 1);
            base_memory_fail_at(n, for_good);
            tarn_status first = capture_with_faults(&stand), second = capture_with_faults(&stand);
            is_over = base_memory_requests() < n;
            base_memory_fail_at(0, 0);
            assert_true(first == TARN_OK || first == TARN_OUT_OF_MEMORY);
            assert_true(second == TARN_OK || second == TARN_OUT_OF_MEMORY);
            /* And again, with all that there is. */
            EXPECT_OK(capture_with_faults(&stand));
            EXPECT_OK(capture_with_faults(&stand));
            stand_close(&stand);
        }
    }
}

static void the_driver_may_refuse_the_block(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph", "fake:1GiB");
    stand_stream(&stand, 0);
    captured_program program = holes(4 * MIB);
    captured_run run;
    (void)capture_once(&stand, &program, 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    tarn_buffer *outside = take(&stand, 64, NULL);
    fake_fail(FAKE_ALLOCATE, 1, 0, TARN_OUT_OF_MEMORY);
    captured_play(&run, &stand, &program, 0, -1);
    fake_fail(0, 0, 0, TARN_OK);
    tarn_graph_pool_info info = graph_info_of(stand.allocator);
    assert_int_equal(info.planned_captures, 0);
    assert_int_equal(info.failed_plans, 1);
    captured_finish(&run);
    (void)capture_once(&stand, &program, 0);
    assert_int_equal(graph_info_of(stand.allocator).planned_captures, 1);
    give(&stand, outside, NULL);
    stand_close(&stand);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_capture_needs_no_more_than_the_plan),
        cmocka_unit_test(the_driver_is_asked_for_no_more_than_the_plan),
        cmocka_unit_test(a_pool_can_be_told_not_to_plan),
        cmocka_unit_test(programs_by_chance_are_right),
        cmocka_unit_test(work_that_differs_a_little_is_served_as_far_as_it_fits),
        cmocka_unit_test(other_work_gives_the_plan_up),
        cmocka_unit_test(an_aborted_capture_teaches_as_well),
        cmocka_unit_test(two_graphs_share_a_planned_pool),
        cmocka_unit_test(a_plan_takes_nothing_from_the_driver_beside_another_graph),
        cmocka_unit_test(the_block_serves_others_when_there_is_no_more),
        cmocka_unit_test(results_may_outlive_their_graph),
        cmocka_unit_test(the_names_of_a_pool_are_counted),
        cmocka_unit_test(a_capture_may_come_to_the_pool_later),
        cmocka_unit_test(want_of_host_memory_is_survived),
        cmocka_unit_test(the_driver_may_refuse_the_block),
    };
    return cmocka_run_group_tests_name("memory graph plan", tests, NULL, NULL);
}
