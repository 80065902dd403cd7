/* Captures on `cpu`, where work can be seen: what is captured and what runs, and what is refused while a capture lasts. Numbers in
 * comments are those of the project's list of faults. */
#include <pthread.h>
#include <string.h>

#include "diary.h"
#include "graphs.h"
#include "hal/event.h"
#include "hal/graph.h"

static void captured_work_runs_at_each_launch_and_not_before(void **state) {
    (void)state;
    _Alignas(8) char filled[8] = "";
    char source[8] = "spring", target[8] = "";
    diary[0] = '\0';
    assert_false(tarn_stream_is_capturing(main_stream));
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_true(tarn_stream_is_capturing(main_stream));
    assert_ok(tarn_stream_copy(main_stream, target, source, sizeof source));
    assert_ok(tarn_stream_fill(main_stream, filled, "ab", 2, 6));
    assert_ok(tarn_stream_enqueue(main_stream, write_diary, "x"));
    assert_ok(tarn_stream_copy(main_stream, target, source, 0));
    tarn_graph *graph = end_of(main_stream);
    assert_false(tarn_stream_is_capturing(main_stream));
    assert_ok(tarn_stream_synchronize(main_stream));
    assert_string_equal(target, "");
    assert_string_equal(diary, "");

    assert_ptr_equal(tarn_graph_device(graph), cpu);
    assert_int_equal(tarn_graph_node_count(graph), 3);
    tarn_graph_node_info info = {.struct_size = sizeof info};
    assert_ok(tarn_graph_node(graph, 0, &info));
    assert_int_equal(info.kind, TARN_GRAPH_NODE_COPY);
    assert_ptr_equal(info.source, source);
    assert_int_equal(info.size, sizeof source);
    assert_ok(tarn_graph_node(graph, 1, &info));
    assert_int_equal(info.kind, TARN_GRAPH_NODE_FILL);
    assert_int_equal(info.pattern_size, 2);
    assert_ok(tarn_graph_node(graph, 2, &info));
    assert_int_equal(info.kind, TARN_GRAPH_NODE_HOST_FUNCTION);
    assert_fails(tarn_graph_node(graph, 3, &info), TARN_INVALID_ARGUMENT);

    tarn_graph_instance *instance = instance_of(graph);
    assert_ok(tarn_graph_release(graph));
    tarn_stream *const streams[] = {main_stream, side_stream, NULL};
    for (int i = 0; i < 3; i++) {
        memset(target, 0, sizeof target);
        memset(filled, 0, sizeof filled);
        launch_and_wait(instance, streams[i]);
        assert_string_equal(target, "spring");
        assert_string_equal(filled, "ababab");
    }
    assert_string_equal(diary, "xxx");
    assert_ok(tarn_graph_instance_release(instance));
}

static void an_empty_graph_does_nothing(void **state) {
    (void)state;
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_RELAXED));
    tarn_graph_instance *instance = end_and_instantiate(main_stream);
    launch_and_wait(instance, main_stream);
    assert_ok(tarn_graph_instance_release(instance));
}

static void nothing_is_done_with_null(void **state) { /* 10 */
    (void)state;
    tarn_graph_node_info info = {.struct_size = sizeof info};
    tarn_graph *graph = NULL;
    assert_fails(tarn_stream_begin_capture(NULL, TARN_CAPTURE_GLOBAL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_begin_capture(main_stream, (tarn_capture_mode)7), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_end_capture(NULL, &graph), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_end_capture(main_stream, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_abort_capture(NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_stream_is_capturing(NULL), 0);
    assert_int_equal(tarn_graph_node_count(NULL), 0);
    assert_null(tarn_graph_device(NULL));
    assert_fails(tarn_graph_node(NULL, 0, &info), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instantiate(NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_launch(NULL, main_stream), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_copy(NULL, 0, &info, diary, 1), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_fill(NULL, 0, &info, "", 1, 1), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_host_function(NULL, 0, write_diary, NULL), TARN_INVALID_ARGUMENT);
    assert_null(tarn_graph_retain(NULL));
    assert_null(tarn_graph_instance_retain(NULL));
    assert_ok(tarn_graph_release(NULL));
    assert_ok(tarn_graph_instance_release(NULL));
    assert_fails(tarn_stream_end_capture(main_stream, &graph), TARN_INVALID_STATE);
    assert_fails(tarn_stream_abort_capture(main_stream), TARN_INVALID_STATE);
    assert_null(graph);
}

static void forked_streams_are_captured_until_they_are_joined(void **state) {
    (void)state;
    tarn_event *fork = NULL, *join = NULL;
    tarn_graph *graph = NULL;
    diary[0] = '\0';
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(main_stream, write_diary, "a"));
    assert_ok(tarn_stream_record(main_stream, &fork));
    assert_ok(tarn_stream_wait(side_stream, fork));
    assert_true(tarn_stream_is_capturing(side_stream));
    assert_ok(tarn_stream_enqueue(side_stream, write_diary, "b"));
    assert_fails(tarn_stream_end_capture(main_stream, &graph), TARN_INVALID_STATE);
    assert_sentence("not joined");
    assert_fails(tarn_stream_end_capture(side_stream, &graph), TARN_INVALID_STATE);
    assert_sentence("on which it began");
    assert_ok(tarn_stream_record(side_stream, &join));
    assert_ok(tarn_stream_wait(main_stream, join));
    assert_ok(tarn_stream_enqueue(main_stream, write_diary, "c"));
    tarn_graph_instance *instance = end_and_instantiate(main_stream);
    assert_false(tarn_stream_is_capturing(side_stream));
    assert_string_equal(diary, "");
    launch_and_wait(instance, side_stream);
    launch_and_wait(instance, main_stream);
    assert_string_equal(diary, "abcabc");
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_event_release(fork));
    assert_ok(tarn_event_release(join));
}

/* A fork whose stream the program has let go of is joined by its event all the same. */
static void a_forked_stream_is_kept_until_the_capture_ends(void **state) {
    (void)state;
    tarn_event *fork = NULL, *join = NULL;
    tarn_stream *third = NULL;
    assert_ok(tarn_stream_create(cpu, &third));
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_record(main_stream, &fork));
    assert_ok(tarn_stream_wait(third, fork));
    assert_ok(tarn_stream_enqueue(third, write_diary, "b"));
    assert_ok(tarn_stream_record(third, &join));
    assert_ok(tarn_stream_release(third));
    assert_ok(tarn_stream_wait(main_stream, join));
    assert_ok(tarn_graph_instance_release(end_and_instantiate(main_stream)));
    assert_ok(tarn_event_release(fork));
    assert_ok(tarn_event_release(join));
}

/* More streams than a capture has places for: the one too many is refused, and is as before. */
static void a_capture_has_room_for_so_many_streams(void **state) {
    (void)state;
    tarn_stream *streams[HAL_CAPTURE_STREAMS];
    tarn_event *fork = NULL;
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_record(main_stream, &fork));
    for (int i = 0; i < HAL_CAPTURE_STREAMS; i++) {
        assert_ok(tarn_stream_create(cpu, &streams[i]));
        if (i + 1 < HAL_CAPTURE_STREAMS) assert_ok(tarn_stream_wait(streams[i], fork));
        else assert_fails(tarn_stream_wait(streams[i], fork), TARN_LIMIT_EXCEEDED);
    }
    assert_false(tarn_stream_is_capturing(streams[HAL_CAPTURE_STREAMS - 1]));
    /* Forks without work need no join. */
    assert_ok(tarn_graph_release(end_of(main_stream)));
    for (int i = 0; i < HAL_CAPTURE_STREAMS; i++) assert_ok(tarn_stream_release(streams[i]));
    assert_ok(tarn_event_release(fork));
}

static void a_stream_released_while_it_is_captured_aborts_the_capture(void **state) {
    (void)state;
    tarn_stream *third = NULL;
    tarn_event *fork = NULL;
    assert_ok(tarn_stream_create(cpu, &third));
    assert_ok(tarn_stream_begin_capture(third, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_record(third, &fork));
    assert_ok(tarn_stream_wait(side_stream, fork));
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    assert_ok(tarn_stream_release(third));
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    assert_false(tarn_stream_is_capturing(side_stream));
    assert_ok(tarn_stream_synchronize(side_stream));
    assert_ok(tarn_event_release(fork));
}

/* Refused, and the capture goes on. */
static void what_may_not_happen_in_a_capture_is_refused(void **state) {
    (void)state;
    tarn_event *outside = NULL, *inside = NULL, *foreign = NULL;
    tarn_graph *graph = NULL;
    int64_t elapsed;
    int answer = 7;
    assert_ok(tarn_stream_record(side_stream, &outside));
    assert_fails(tarn_stream_begin_capture(tarn_device_default_stream(cpu), TARN_CAPTURE_RELAXED), TARN_INVALID_STATE);
    assert_sentence("default stream");
    assert_ok(tarn_stream_begin_capture(side_stream, TARN_CAPTURE_RELAXED));
    assert_ok(tarn_stream_record(side_stream, &foreign));
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_RELAXED));
    assert_fails(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_RELAXED), TARN_INVALID_STATE);
    assert_sentence("already");
    assert_ok(tarn_stream_enqueue(main_stream, write_diary, "a"));
    assert_fails(tarn_stream_synchronize(main_stream), TARN_INVALID_STATE);
    assert_fails(tarn_device_synchronize(cpu), TARN_INVALID_STATE);
    assert_fails(tarn_stream_wait(main_stream, outside), TARN_INVALID_STATE);
    assert_sentence("outside the capture");
    assert_fails(tarn_stream_wait(main_stream, foreign), TARN_INVALID_STATE);
    assert_sentence("another capture");
    assert_ok(tarn_stream_record(main_stream, &inside));
    assert_fails(tarn_stream_wait(tarn_device_default_stream(cpu), inside), TARN_INVALID_STATE);
    /* 45 */
    assert_fails(tarn_event_is_complete(inside, &answer), TARN_INVALID_STATE);
    assert_int_equal(answer, 7);
    assert_fails(tarn_event_synchronize(inside), TARN_INVALID_STATE);
    assert_fails(tarn_event_elapsed(inside, inside, &elapsed), TARN_INVALID_STATE);
    graph = end_of(main_stream);
    assert_int_equal(tarn_graph_node_count(graph), 1);
    assert_ok(tarn_stream_abort_capture(side_stream));

    /* 45, and what was found in another library: the event of a capture that has ended still stands for nothing. */
    assert_fails(tarn_event_is_complete(inside, &answer), TARN_INVALID_STATE);
    assert_fails(tarn_stream_wait(main_stream, inside), TARN_INVALID_STATE);
    assert_sentence("has ended");
    assert_ok(tarn_stream_record(main_stream, &inside));
    assert_ok(tarn_event_synchronize(inside));

    tarn_graph_instance *instance = instance_of(graph);
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_RELAXED));
    assert_fails(tarn_graph_instance_launch(instance, main_stream), TARN_INVALID_STATE);
    assert_ok(tarn_stream_abort_capture(main_stream));
    assert_ok(tarn_graph_instance_release(instance));
    assert_ok(tarn_graph_release(graph));
    assert_ok(tarn_event_release(outside));
    assert_ok(tarn_event_release(inside));
    assert_ok(tarn_event_release(foreign));
}

/* 45: what allocators do with events of their own leaves a captured stream alone. */
static void events_of_tarns_own_are_not_recorded_in_a_capture(void **state) {
    (void)state;
    hal_event *event = NULL;
    assert_ok(hal_event_create(cpu, &event));
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_fails(hal_event_record(event, main_stream), TARN_INVALID_STATE);
    assert_ok(hal_event_record(event, side_stream));
    assert_ok(hal_event_synchronize(event));
    tarn_graph *graph = end_of(main_stream);
    assert_int_equal(tarn_graph_node_count(graph), 0);
    assert_ok(tarn_graph_release(graph));
    hal_event_destroy(event);
}

/* 43 */
static void an_aborted_capture_leaves_everything_as_before(void **state) {
    (void)state;
    char bytes[4] = "abc";
    tarn_event *fork = NULL;
    for (int i = 0; i < 3; i++) {
        assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
        assert_ok(tarn_stream_fill(main_stream, bytes, "z", 1, 3));
        assert_ok(tarn_stream_record(main_stream, &fork));
        assert_ok(tarn_stream_wait(side_stream, fork));
        assert_ok(tarn_stream_fill(side_stream, bytes, "y", 1, 3));
        assert_ok(tarn_stream_abort_capture(i == 0 ? side_stream : main_stream));
        assert_fails(tarn_stream_abort_capture(main_stream), TARN_INVALID_STATE);
        assert_false(tarn_stream_is_capturing(main_stream) || tarn_stream_is_capturing(side_stream));
        assert_ok(tarn_device_synchronize(cpu));
        assert_string_equal(bytes, "abc");
    }
    assert_ok(tarn_stream_fill(main_stream, bytes, "q", 1, 1));
    assert_ok(tarn_stream_synchronize(main_stream));
    assert_string_equal(bytes, "qbc");
    assert_ok(tarn_event_release(fork));
}

/* What another thread may do while this one captures. */
typedef struct rival {
    tarn_capture_mode mode;
    tarn_event *event;
    tarn_status ended, asked;
} rival;

static void *act_as_rival(void *context) {
    rival *self = context;
    tarn_graph *graph = NULL;
    int answer;
    self->asked = tarn_event_is_complete(self->event, &answer);
    self->ended = tarn_stream_end_capture(main_stream, &graph);
    tarn_graph_release(graph);
    return NULL;
}

/* 49, and who may ask for events meanwhile. */
static void a_strict_capture_ends_on_the_thread_that_began_it(void **state) {
    (void)state;
    static const tarn_status own_answers[] = {TARN_INVALID_STATE, TARN_INVALID_STATE, TARN_OK};
    static const tarn_status rival_answers[] = {TARN_INVALID_STATE, TARN_OK, TARN_OK};
    static const tarn_status ends[] = {TARN_INVALID_STATE, TARN_INVALID_STATE, TARN_OK};
    rival self = {.event = NULL};
    assert_ok(tarn_stream_record(side_stream, &self.event));
    assert_ok(tarn_event_synchronize(self.event));
    for (int mode = TARN_CAPTURE_GLOBAL; mode <= TARN_CAPTURE_RELAXED; mode++) {
        int answer;
        pthread_t thread;
        assert_ok(tarn_stream_begin_capture(main_stream, (tarn_capture_mode)mode));
        assert_int_equal(tarn_event_is_complete(self.event, &answer), own_answers[mode]);
        assert_int_equal(tarn_event_synchronize(self.event), own_answers[mode]);
        assert_int_equal(pthread_create(&thread, NULL, act_as_rival, &self), 0);
        pthread_join(thread, NULL);
        assert_int_equal(self.asked, rival_answers[mode]);
        assert_int_equal(self.ended, ends[mode]);
        assert_int_equal(tarn_stream_is_capturing(main_stream), ends[mode] != TARN_OK);
        if (ends[mode] != TARN_OK) assert_ok(tarn_graph_release(end_of(main_stream)));
        assert_ok(tarn_event_synchronize(self.event));
    }
    assert_ok(tarn_event_release(self.event));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_work_runs_at_each_launch_and_not_before),
        cmocka_unit_test(an_empty_graph_does_nothing),
        cmocka_unit_test(nothing_is_done_with_null),
        cmocka_unit_test(forked_streams_are_captured_until_they_are_joined),
        cmocka_unit_test(a_forked_stream_is_kept_until_the_capture_ends),
        cmocka_unit_test(a_capture_has_room_for_so_many_streams),
        cmocka_unit_test(a_stream_released_while_it_is_captured_aborts_the_capture),
        cmocka_unit_test(what_may_not_happen_in_a_capture_is_refused),
        cmocka_unit_test(events_of_tarns_own_are_not_recorded_in_a_capture),
        cmocka_unit_test(an_aborted_capture_leaves_everything_as_before),
        cmocka_unit_test(a_strict_capture_ends_on_the_thread_that_began_it),
    };
    return cmocka_run_group_tests_name("hal graph", tests, open_streams, close_streams);
}
