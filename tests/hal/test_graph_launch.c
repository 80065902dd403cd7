/* Graphs that were captured: changed, launched by turns, released while they run and by their own work. Numbers in comments are those
 * of the project's list of faults. */

#include "diary.h"
#include "gate.h"
#include "graphs.h"
#include "hal/device.h"

static void changed_parameters_count_for_later_launches(void **state) {
    (void)state;
    test_gate closed = {0};
    _Alignas(8) char filled[8] = "";
    char source[4] = "one", second[4] = "two", target[4] = "";
    diary[0] = '\0';
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_copy(main_stream, target, source, 4));
    assert_ok(tarn_stream_fill(main_stream, filled, "a", 1, 4));
    assert_ok(tarn_stream_enqueue(main_stream, write_diary, "a"));
    tarn_graph *graph = end_of(main_stream);
    tarn_graph_instance *instance = instance_of(graph);
    assert_ok(tarn_stream_enqueue(main_stream, gate_pass, &closed));
    assert_ok(tarn_graph_instance_launch(instance, main_stream));
    assert_ok(tarn_graph_instance_set_copy(instance, 0, target, second, 4));
    assert_ok(tarn_graph_instance_set_fill(instance, 1, filled, "xy", 2, 4));
    assert_ok(tarn_graph_instance_set_host_function(instance, 2, write_diary, "b"));
    gate_open(&closed);
    assert_ok(tarn_stream_synchronize(main_stream));
    assert_string_equal(target, "one");
    assert_string_equal(filled, "aaaa");
    launch_and_wait(instance, main_stream);
    assert_string_equal(target, "two");
    assert_string_equal(filled, "xyxy");
    assert_string_equal(diary, "ab");

    assert_ok(tarn_graph_instance_set_copy(instance, 0, target, source, 0));
    launch_and_wait(instance, main_stream);
    assert_string_equal(target, "two");
    /* The graph has what was captured. */
    tarn_graph_instance *fresh = instance_of(graph);
    launch_and_wait(fresh, main_stream);
    assert_string_equal(target, "one");

    assert_fails(tarn_graph_instance_set_copy(instance, 1, target, source, 4), TARN_INVALID_ARGUMENT);
    assert_sentence("is a fill and cannot become a copy");
    assert_fails(tarn_graph_instance_set_copy(instance, 3, target, source, 4), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_copy(instance, 0, target, target + 1, 2), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_fill(instance, 1, target, "abc", 3, 3), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_host_function(instance, 2, NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_ok(tarn_graph_instance_release(fresh));
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_graph_release(graph));
}

static void launches_of_one_instance_run_one_after_the_other(void **state) {
    (void)state;
    test_gate closed = {0};
    diary[0] = '\0';
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(main_stream, write_diary, "x"));
    tarn_graph_instance *instance = end_and_instantiate(main_stream);
    assert_ok(tarn_stream_enqueue(main_stream, gate_pass, &closed));
    assert_ok(tarn_graph_instance_launch(instance, main_stream));
    assert_ok(tarn_graph_instance_launch(instance, side_stream));
    tarn_event *after = NULL;
    assert_ok(tarn_stream_record(side_stream, &after));
    int is_complete = 1;
    assert_ok(tarn_event_is_complete(after, &is_complete));
    assert_false(is_complete);
    assert_string_equal(diary, "");
    gate_open(&closed);
    assert_ok(tarn_event_synchronize(after));
    assert_string_equal(diary, "xx");
    assert_ok(tarn_stream_synchronize(main_stream));
    assert_ok(tarn_event_release(after));
    assert_ok(tarn_graph_instance_release(instance));
}

/* 48 */
static void a_graph_released_while_it_runs_is_taken_down_later(void **state) {
    (void)state;
    test_gate closed = {0};
    char bytes[4] = "abc";
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_fill(main_stream, bytes, "z", 1, 3));
    tarn_graph_instance *instance = end_and_instantiate(main_stream);
    assert_ok(tarn_stream_enqueue(main_stream, gate_pass, &closed));
    assert_ok(tarn_graph_instance_launch(instance, main_stream));
    assert_ok(tarn_graph_instance_release(instance));
    assert_string_equal(bytes, "abc");
    assert_non_null(atomic_load(&cpu->deferred));
    gate_open(&closed);
    assert_ok(tarn_stream_synchronize(main_stream));
    assert_string_equal(bytes, "zzz");
    assert_null(atomic_load(&cpu->deferred));
}

static tarn_graph_instance *let_go;
static void release_instance(void *context) {
    (void)context;
    tarn_graph_instance_release(let_go);
}

/* 42, 48 */
static void a_graph_can_be_released_by_its_own_work(void **state) {
    (void)state;
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(main_stream, release_instance, NULL));
    let_go = end_and_instantiate(main_stream);
    assert_ok(tarn_graph_instance_launch(let_go, main_stream));
    assert_ok(tarn_stream_synchronize(main_stream));
    assert_ok(tarn_device_synchronize(cpu));
    assert_null(atomic_load(&cpu->deferred));
}

static tarn_graph_instance *launched_again;
static tarn_status answer_inside;
static void launch_again(void *context) { answer_inside = tarn_graph_instance_launch(launched_again, context); }

/* 41 */
static void work_that_launches_its_own_graph_is_told_busy(void **state) {
    (void)state;
    tarn_device *sim = NULL;
    tarn_stream *simulated = NULL;
    assert_ok(tarn_device_open("sim:1GiB", &sim));
    assert_ok(tarn_stream_create(sim, &simulated));
    assert_ok(tarn_stream_begin_capture(simulated, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(simulated, launch_again, simulated));
    launched_again = end_and_instantiate(simulated);
    assert_ok(tarn_graph_instance_launch(launched_again, simulated));
    assert_int_equal(answer_inside, TARN_BUSY);
    assert_fails(tarn_graph_instance_launch(launched_again, main_stream), TARN_INVALID_ARGUMENT); /* 12 */
    assert_ok(tarn_graph_instance_release(launched_again));
    assert_ok(tarn_stream_release(simulated));
    assert_ok(tarn_device_release(sim));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed_parameters_count_for_later_launches),
        cmocka_unit_test(launches_of_one_instance_run_one_after_the_other),
        cmocka_unit_test(a_graph_released_while_it_runs_is_taken_down_later),
        cmocka_unit_test(a_graph_can_be_released_by_its_own_work),
        cmocka_unit_test(work_that_launches_its_own_graph_is_told_busy),
    };
    return cmocka_run_group_tests_name("hal graph launch", tests, open_streams, close_streams);
}
