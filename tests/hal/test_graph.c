/* Captures and graphs on `cpu`, where work can be seen, and on `sim`: what is captured and what runs, what is refused while a
 * capture lasts, and what is put off. Numbers in comments are those of the project's list of faults. */
#include "check.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "hal/device.h"
#include "hal/event.h"
#include "hal/graph.h"

static tarn_device *cpu;
static tarn_stream *stream, *other;

static int open_cpu(void **state) {
    (void)state;
    if (tarn_device_open("cpu", &cpu) != TARN_OK) return -1;
    return tarn_stream_create(cpu, &stream) == TARN_OK && tarn_stream_create(cpu, &other) == TARN_OK ? 0 : -1;
}

static int close_cpu(void **state) {
    (void)state;
    tarn_stream_release(stream);
    tarn_stream_release(other);
    return tarn_device_release(cpu) == TARN_OK ? 0 : -1;
}

static pthread_mutex_t diary_lock = PTHREAD_MUTEX_INITIALIZER;
static char diary[256];

static void write_diary(void *context) {
    pthread_mutex_lock(&diary_lock);
    strncat(diary, context, sizeof diary - strlen(diary) - 1);
    pthread_mutex_unlock(&diary_lock);
}

static tarn_graph *end_of(tarn_stream *captured) {
    tarn_graph *graph = NULL;
    assert_ok(tarn_stream_end_capture(captured, &graph));
    return graph;
}

static tarn_graph_instance *instance_of(tarn_graph *graph) {
    tarn_graph_instance *instance = NULL;
    assert_ok(tarn_graph_instantiate(graph, &instance));
    return instance;
}

/* An instance whose graph is released already. */
static tarn_graph_instance *end_and_instantiate(tarn_stream *captured) {
    tarn_graph *graph = end_of(captured);
    tarn_graph_instance *instance = instance_of(graph);
    assert_ok(tarn_graph_release(graph));
    return instance;
}

static void launch_and_wait(tarn_graph_instance *instance, tarn_stream *on) {
    assert_ok(tarn_graph_instance_launch(instance, on));
    if (on == NULL) on = tarn_device_default_stream(cpu);
    assert_ok(tarn_stream_synchronize(on));
}

static void captured_work_runs_at_each_launch_and_not_before(void **state) {
    (void)state;
    _Alignas(8) char filled[8] = "";
    char source[8] = "spring", target[8] = "";
    diary[0] = '\0';
    assert_false(tarn_stream_is_capturing(stream));
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_true(tarn_stream_is_capturing(stream));
    assert_ok(tarn_stream_copy(stream, target, source, sizeof source));
    assert_ok(tarn_stream_fill(stream, filled, "ab", 2, 6));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "x"));
    assert_ok(tarn_stream_copy(stream, target, source, 0));
    tarn_graph *graph = end_of(stream);
    assert_false(tarn_stream_is_capturing(stream));
    assert_ok(tarn_stream_synchronize(stream));
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
    tarn_stream *const streams[] = {stream, other, NULL};
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
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    tarn_graph_instance *instance = end_and_instantiate(stream);
    launch_and_wait(instance, stream);
    assert_ok(tarn_graph_instance_release(instance));
}

static void nothing_is_done_with_null(void **state) { /* 10 */
    (void)state;
    tarn_graph_node_info info = {.struct_size = sizeof info};
    tarn_graph *graph = NULL;
    assert_fails(tarn_stream_begin_capture(NULL, TARN_CAPTURE_GLOBAL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_begin_capture(stream, (tarn_capture_mode)7), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_end_capture(NULL, &graph), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_end_capture(stream, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_abort_capture(NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_stream_is_capturing(NULL), 0);
    assert_int_equal(tarn_graph_node_count(NULL), 0);
    assert_null(tarn_graph_device(NULL));
    assert_fails(tarn_graph_node(NULL, 0, &info), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instantiate(NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_launch(NULL, stream), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_copy(NULL, 0, &info, diary, 1), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_fill(NULL, 0, &info, "", 1, 1), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_graph_instance_set_host_function(NULL, 0, write_diary, NULL), TARN_INVALID_ARGUMENT);
    assert_null(tarn_graph_retain(NULL));
    assert_null(tarn_graph_instance_retain(NULL));
    assert_ok(tarn_graph_release(NULL));
    assert_ok(tarn_graph_instance_release(NULL));
    assert_fails(tarn_stream_end_capture(stream, &graph), TARN_INVALID_STATE);
    assert_fails(tarn_stream_abort_capture(stream), TARN_INVALID_STATE);
    assert_null(graph);
}

static void forked_streams_are_captured_until_they_are_joined(void **state) {
    (void)state;
    tarn_event *fork = NULL, *join = NULL;
    tarn_graph *graph = NULL;
    diary[0] = '\0';
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "a"));
    assert_ok(tarn_stream_record(stream, &fork));
    assert_ok(tarn_stream_wait(other, fork));
    assert_true(tarn_stream_is_capturing(other));
    assert_ok(tarn_stream_enqueue(other, write_diary, "b"));
    assert_fails(tarn_stream_end_capture(stream, &graph), TARN_INVALID_STATE);
    assert_sentence("not joined");
    assert_fails(tarn_stream_end_capture(other, &graph), TARN_INVALID_STATE);
    assert_sentence("on which it began");
    assert_ok(tarn_stream_record(other, &join));
    assert_ok(tarn_stream_wait(stream, join));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "c"));
    tarn_graph_instance *instance = end_and_instantiate(stream);
    assert_false(tarn_stream_is_capturing(other));
    assert_string_equal(diary, "");
    launch_and_wait(instance, other);
    launch_and_wait(instance, stream);
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
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_record(stream, &fork));
    assert_ok(tarn_stream_wait(third, fork));
    assert_ok(tarn_stream_enqueue(third, write_diary, "b"));
    assert_ok(tarn_stream_record(third, &join));
    assert_ok(tarn_stream_release(third));
    assert_ok(tarn_stream_wait(stream, join));
    assert_ok(tarn_graph_instance_release(end_and_instantiate(stream)));
    assert_ok(tarn_event_release(fork));
    assert_ok(tarn_event_release(join));
}

/* More streams than a capture has places for: the one too many is refused, and is as before. */
static void a_capture_has_room_for_so_many_streams(void **state) {
    (void)state;
    tarn_stream *streams[HAL_CAPTURE_STREAMS];
    tarn_event *fork = NULL;
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_record(stream, &fork));
    for (int i = 0; i < HAL_CAPTURE_STREAMS; i++) {
        assert_ok(tarn_stream_create(cpu, &streams[i]));
        if (i + 1 < HAL_CAPTURE_STREAMS) assert_ok(tarn_stream_wait(streams[i], fork));
        else assert_fails(tarn_stream_wait(streams[i], fork), TARN_LIMIT_EXCEEDED);
    }
    assert_false(tarn_stream_is_capturing(streams[HAL_CAPTURE_STREAMS - 1]));
    /* Forks without work need no join. */
    assert_ok(tarn_graph_release(end_of(stream)));
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
    assert_ok(tarn_stream_wait(other, fork));
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    assert_ok(tarn_stream_release(third));
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    assert_false(tarn_stream_is_capturing(other));
    assert_ok(tarn_stream_synchronize(other));
    assert_ok(tarn_event_release(fork));
}

/* Refused, and the capture goes on. */
static void what_may_not_happen_in_a_capture_is_refused(void **state) {
    (void)state;
    tarn_event *outside = NULL, *inside = NULL, *foreign = NULL;
    tarn_graph *graph = NULL;
    int64_t elapsed;
    int answer = 7;
    assert_ok(tarn_stream_record(other, &outside));
    assert_fails(tarn_stream_begin_capture(tarn_device_default_stream(cpu), TARN_CAPTURE_RELAXED), TARN_INVALID_STATE);
    assert_sentence("default stream");
    assert_ok(tarn_stream_begin_capture(other, TARN_CAPTURE_RELAXED));
    assert_ok(tarn_stream_record(other, &foreign));
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    assert_fails(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED), TARN_INVALID_STATE);
    assert_sentence("already");
    assert_ok(tarn_stream_enqueue(stream, write_diary, "a"));
    assert_fails(tarn_stream_synchronize(stream), TARN_INVALID_STATE);
    assert_fails(tarn_device_synchronize(cpu), TARN_INVALID_STATE);
    assert_fails(tarn_stream_wait(stream, outside), TARN_INVALID_STATE);
    assert_sentence("outside the capture");
    assert_fails(tarn_stream_wait(stream, foreign), TARN_INVALID_STATE);
    assert_sentence("another capture");
    assert_ok(tarn_stream_record(stream, &inside));
    assert_fails(tarn_stream_wait(tarn_device_default_stream(cpu), inside), TARN_INVALID_STATE);
    /* 45 */
    assert_fails(tarn_event_is_complete(inside, &answer), TARN_INVALID_STATE);
    assert_int_equal(answer, 7);
    assert_fails(tarn_event_synchronize(inside), TARN_INVALID_STATE);
    assert_fails(tarn_event_elapsed(inside, inside, &elapsed), TARN_INVALID_STATE);
    graph = end_of(stream);
    assert_int_equal(tarn_graph_node_count(graph), 1);
    assert_ok(tarn_stream_abort_capture(other));

    /* 45, and what was found in another library: the event of a capture that has ended still stands for nothing. */
    assert_fails(tarn_event_is_complete(inside, &answer), TARN_INVALID_STATE);
    assert_fails(tarn_stream_wait(stream, inside), TARN_INVALID_STATE);
    assert_sentence("has ended");
    assert_ok(tarn_stream_record(stream, &inside));
    assert_ok(tarn_event_synchronize(inside));

    tarn_graph_instance *instance = instance_of(graph);
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_RELAXED));
    assert_fails(tarn_graph_instance_launch(instance, stream), TARN_INVALID_STATE);
    assert_ok(tarn_stream_abort_capture(stream));
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
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_fails(hal_event_record(event, stream), TARN_INVALID_STATE);
    assert_ok(hal_event_record(event, other));
    assert_ok(hal_event_synchronize(event));
    tarn_graph *graph = end_of(stream);
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
        assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
        assert_ok(tarn_stream_fill(stream, bytes, "z", 1, 3));
        assert_ok(tarn_stream_record(stream, &fork));
        assert_ok(tarn_stream_wait(other, fork));
        assert_ok(tarn_stream_fill(other, bytes, "y", 1, 3));
        assert_ok(tarn_stream_abort_capture(i == 0 ? other : stream));
        assert_fails(tarn_stream_abort_capture(stream), TARN_INVALID_STATE);
        assert_false(tarn_stream_is_capturing(stream) || tarn_stream_is_capturing(other));
        assert_ok(tarn_device_synchronize(cpu));
        assert_string_equal(bytes, "abc");
    }
    assert_ok(tarn_stream_fill(stream, bytes, "q", 1, 1));
    assert_ok(tarn_stream_synchronize(stream));
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
    self->ended = tarn_stream_end_capture(stream, &graph);
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
    assert_ok(tarn_stream_record(other, &self.event));
    assert_ok(tarn_event_synchronize(self.event));
    for (int mode = TARN_CAPTURE_GLOBAL; mode <= TARN_CAPTURE_RELAXED; mode++) {
        int answer;
        pthread_t thread;
        assert_ok(tarn_stream_begin_capture(stream, (tarn_capture_mode)mode));
        assert_int_equal(tarn_event_is_complete(self.event, &answer), own_answers[mode]);
        assert_int_equal(tarn_event_synchronize(self.event), own_answers[mode]);
        assert_int_equal(pthread_create(&thread, NULL, act_as_rival, &self), 0);
        pthread_join(thread, NULL);
        assert_int_equal(self.asked, rival_answers[mode]);
        assert_int_equal(self.ended, ends[mode]);
        assert_int_equal(tarn_stream_is_capturing(stream), ends[mode] != TARN_OK);
        if (ends[mode] != TARN_OK) assert_ok(tarn_graph_release(end_of(stream)));
        assert_ok(tarn_event_synchronize(self.event));
    }
    assert_ok(tarn_event_release(self.event));
}

static void changed_parameters_count_for_later_launches(void **state) {
    (void)state;
    gate closed = {0};
    _Alignas(8) char filled[8] = "";
    char source[4] = "one", second[4] = "two", target[4] = "";
    diary[0] = '\0';
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_copy(stream, target, source, 4));
    assert_ok(tarn_stream_fill(stream, filled, "a", 1, 4));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "a"));
    tarn_graph *graph = end_of(stream);
    tarn_graph_instance *instance = instance_of(graph);
    assert_ok(tarn_stream_enqueue(stream, wait_at_gate, &closed));
    assert_ok(tarn_graph_instance_launch(instance, stream));
    assert_ok(tarn_graph_instance_set_copy(instance, 0, target, second, 4));
    assert_ok(tarn_graph_instance_set_fill(instance, 1, filled, "xy", 2, 4));
    assert_ok(tarn_graph_instance_set_host_function(instance, 2, write_diary, "b"));
    open_gate(&closed);
    assert_ok(tarn_stream_synchronize(stream));
    assert_string_equal(target, "one");
    assert_string_equal(filled, "aaaa");
    launch_and_wait(instance, stream);
    assert_string_equal(target, "two");
    assert_string_equal(filled, "xyxy");
    assert_string_equal(diary, "ab");

    assert_ok(tarn_graph_instance_set_copy(instance, 0, target, source, 0));
    launch_and_wait(instance, stream);
    assert_string_equal(target, "two");
    /* The graph has what was captured. */
    tarn_graph_instance *fresh = instance_of(graph);
    launch_and_wait(fresh, stream);
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
    gate closed = {0};
    diary[0] = '\0';
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(stream, write_diary, "x"));
    tarn_graph_instance *instance = end_and_instantiate(stream);
    assert_ok(tarn_stream_enqueue(stream, wait_at_gate, &closed));
    assert_ok(tarn_graph_instance_launch(instance, stream));
    assert_ok(tarn_graph_instance_launch(instance, other));
    tarn_event *after = NULL;
    assert_ok(tarn_stream_record(other, &after));
    int is_complete = 1;
    assert_ok(tarn_event_is_complete(after, &is_complete));
    assert_false(is_complete);
    assert_string_equal(diary, "");
    open_gate(&closed);
    assert_ok(tarn_event_synchronize(after));
    assert_string_equal(diary, "xx");
    assert_ok(tarn_stream_synchronize(stream));
    assert_ok(tarn_event_release(after));
    assert_ok(tarn_graph_instance_release(instance));
}

/* 48 */
static void a_graph_released_while_it_runs_is_taken_down_later(void **state) {
    (void)state;
    gate closed = {0};
    char bytes[4] = "abc";
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_fill(stream, bytes, "z", 1, 3));
    tarn_graph_instance *instance = end_and_instantiate(stream);
    assert_ok(tarn_stream_enqueue(stream, wait_at_gate, &closed));
    assert_ok(tarn_graph_instance_launch(instance, stream));
    assert_ok(tarn_graph_instance_release(instance));
    assert_string_equal(bytes, "abc");
    assert_non_null(atomic_load(&cpu->deferred));
    open_gate(&closed);
    assert_ok(tarn_stream_synchronize(stream));
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
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(stream, release_instance, NULL));
    let_go = end_and_instantiate(stream);
    assert_ok(tarn_graph_instance_launch(let_go, stream));
    assert_ok(tarn_stream_synchronize(stream));
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
    assert_fails(tarn_graph_instance_launch(launched_again, stream), TARN_INVALID_ARGUMENT); /* 12 */
    assert_ok(tarn_graph_instance_release(launched_again));
    assert_ok(tarn_stream_release(simulated));
    assert_ok(tarn_device_release(sim));
}

/* A life of a graph, each step of which may fail; returns how many steps did. */
static unsigned play(tarn_device *device, tarn_stream *first, tarn_stream *second, unsigned char *bytes,
                     tarn_status allowed) {
    unsigned failures = 0;
    tarn_event *fork = NULL, *join = NULL;
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    tarn_status statuses[16] = {0};
    size_t steps = 0;
    statuses[steps++] = tarn_stream_begin_capture(first, TARN_CAPTURE_GLOBAL);
    if (statuses[0] == TARN_OK) {
        statuses[steps++] = tarn_stream_fill(first, bytes, "a", 1, 16);
        statuses[steps++] = tarn_stream_enqueue(first, write_diary, "");
        statuses[steps++] = tarn_stream_record(first, &fork);
        if (fork != NULL && statuses[steps - 1] == TARN_OK) {
            statuses[steps++] = tarn_stream_wait(second, fork);
            if (statuses[steps - 1] == TARN_OK) {
                statuses[steps++] = tarn_stream_copy(second, bytes + 32, bytes, 16);
                statuses[steps++] = tarn_stream_record(second, &join);
                if (statuses[steps - 1] == TARN_OK) statuses[steps++] = tarn_stream_wait(first, join);
            }
        }
        statuses[steps] = tarn_stream_end_capture(first, &graph);
        if (statuses[steps] != TARN_OK && statuses[steps] != TARN_INVALID_STATE) steps++;
        if (graph == NULL) failures += tarn_stream_abort_capture(first) != TARN_OK;
        assert_false(tarn_stream_is_capturing(first) || tarn_stream_is_capturing(second));
    }
    if (graph != NULL) statuses[steps++] = tarn_graph_instantiate(graph, &instance);
    if (instance != NULL) {
        statuses[steps++] = tarn_graph_instance_launch(instance, first);
        if (statuses[1] == TARN_OK) statuses[steps++] = tarn_graph_instance_set_fill(instance, 0, bytes, "b", 1, 16);
        statuses[steps++] = tarn_graph_instance_launch(instance, second);
    }
    for (size_t i = 0; i < steps; i++) {
        failures += statuses[i] != TARN_OK;
        if (statuses[i] != TARN_OK && statuses[i] != allowed) {
            fail_msg("step %zu was answered %s: %s", i, tarn_status_name(statuses[i]), tarn_last_error());
        }
    }
    tarn_status ended = tarn_stream_synchronize(second);
    assert_true(ended == TARN_OK || ended == allowed);
    tarn_graph_instance_release(instance);
    tarn_graph_release(graph);
    tarn_event_release(fork);
    tarn_event_release(join);
    ended = tarn_device_synchronize(device);
    assert_true(ended == TARN_OK || ended == allowed);
    return failures;
}

/* 44 */
static void every_request_for_host_memory_fails_in_a_capture_and_after_it(void **state) {
    (void)state;
    unsigned char bytes[64];
    unsigned long requests = 0;
    for (int for_good = 0; for_good < 2; for_good++) {
        for (unsigned long k = 1;; k++) {
            base_memory_fail_at(k, for_good);
            play(cpu, stream, other, bytes, TARN_OUT_OF_MEMORY);
            unsigned long reached = base_memory_requests();
            base_memory_fail_at(0, 0);
            assert_int_equal(play(cpu, stream, other, bytes, TARN_OK), 0);
            assert_int_equal(bytes[47], 'b');
            if (reached < k) break;
            if (for_good == 0) requests++;
        }
    }
    print_message("%lu of %lu host allocations\n", requests, requests);
    assert_true(requests > 10);
}

static void every_driver_call_fails_in_a_capture_and_after_it(void **state) {
    (void)state;
    static const char *const statuses[] = {"INTERNAL", "OUT_OF_MEMORY", "DEVICE_LOST"};
    static const tarn_status answers[] = {TARN_INTERNAL, TARN_OUT_OF_MEMORY, TARN_DEVICE_LOST};
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    for (int s = 0; s < 3; s++) {
        unsigned failures = 1;
        unsigned long calls = 0;
        for (unsigned long k = 1; failures > 0; k++) {
            char name[96];
            tarn_device *sim = NULL;
            tarn_stream *first = NULL, *second = NULL;
            void *memory = NULL;
            snprintf(name, sizeof name, "sim:64MiB,fail_at=%lu,fail_status=%s", k + 4, statuses[s]);
            assert_ok(tarn_device_open(name, &sim));
            assert_ok(tarn_stream_create(sim, &first));
            assert_ok(tarn_stream_create(sim, &second));
            tarn_allocator *direct = NULL;
            tarn_buffer *buffer = NULL;
            assert_ok(tarn_allocator_create(sim, "direct", &direct));
            assert_ok(tarn_allocator_allocate(direct, 64, NULL, &buffer));
            memory = tarn_buffer_data(buffer);
            failures = play(sim, first, second, memory, answers[s]);
            calls += failures > 0;
            if (s != 2) assert_int_equal(play(sim, first, second, memory, TARN_OK), 0);
            assert_null(atomic_load(&sim->deferred));
            tarn_buffer_free(buffer, NULL);
            tarn_allocator_release(direct);
            tarn_stream_release(first);
            tarn_stream_release(second);
            tarn_device_release(sim);
        }
        print_message("%s at each of %lu driver calls\n", statuses[s], calls);
        assert_true(calls >= 2);
    }
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
}

/* What a child does with what its parent captured. */
static int use_as_child(void *context) {
    tarn_graph_instance *instance = context;
    tarn_graph *graph = NULL;
    if (tarn_stream_end_capture(stream, &graph) != TARN_UNAVAILABLE) return 1;
    if (tarn_stream_begin_capture(other, TARN_CAPTURE_GLOBAL) != TARN_UNAVAILABLE) return 2;
    if (tarn_graph_instance_launch(instance, other) != TARN_UNAVAILABLE) return 3;
    if (tarn_stream_abort_capture(stream) != TARN_OK) return 4;
    return tarn_graph_instance_release(instance) == TARN_OK ? 0 : 5;
}

/* 36 */
static void a_forked_child_has_no_graphs(void **state) {
    (void)state;
    assert_ok(tarn_stream_begin_capture(other, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(other, write_diary, "x"));
    tarn_graph_instance *instance = end_and_instantiate(other);
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_int_equal(exit_of_child(use_as_child, instance), 0);
    assert_ok(tarn_graph_release(end_of(stream)));
    diary[0] = '\0';
    launch_and_wait(instance, other);
    assert_string_equal(diary, "x");
    assert_ok(tarn_graph_instance_release(instance));
}

/* Many threads: each captures on a stream of its own, launches a graph that all share, and changes it. */
#define THREADS 16
typedef struct crowd {
    tarn_graph_instance *shared;
    unsigned long counted; /* by work of the shared graph, which never runs twice at once */
    _Atomic unsigned wrong;
    unsigned char bytes[THREADS][16];
    _Atomic unsigned next;
} crowd;

static void count_one(void *context) { ++*(unsigned long *)context; }

static void *be_one_of_many(void *context) {
    crowd *all = context;
    unsigned number = atomic_fetch_add(&all->next, 1);
    unsigned char *bytes = all->bytes[number];
    tarn_stream *own = NULL;
    tarn_status status = tarn_stream_create(cpu, &own);
    for (unsigned char round = 1; round <= 20 && status == TARN_OK; round++) {
        tarn_graph *graph = NULL;
        tarn_graph_instance *instance = NULL;
        status = tarn_stream_begin_capture(own, number % 2 == 0 ? TARN_CAPTURE_GLOBAL : TARN_CAPTURE_RELAXED);
        if (status == TARN_OK) status = tarn_stream_fill(own, bytes, &round, 1, 16);
        if (status == TARN_OK) status = tarn_stream_end_capture(own, &graph);
        if (status == TARN_OK) status = tarn_graph_instantiate(graph, &instance);
        if (status == TARN_OK) status = tarn_graph_instance_launch(instance, own);
        if (status == TARN_OK) status = tarn_graph_instance_launch(all->shared, own);
        if (status == TARN_OK) {
            status = tarn_graph_instance_set_host_function(all->shared, 1, write_diary, "");
        }
        tarn_graph_instance_release(instance);
        tarn_graph_release(graph);
        if (status == TARN_OK) status = tarn_stream_synchronize(own);
        if (bytes[15] != round) atomic_fetch_add(&all->wrong, 1);
    }
    if (status != TARN_OK) atomic_fetch_add(&all->wrong, 1);
    tarn_stream_release(own);
    return NULL;
}

static void threads_capture_launch_and_change_at_once(void **state) {
    (void)state;
    static crowd all;
    pthread_t threads[THREADS];
    memset(&all, 0, sizeof all);
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(stream, count_one, &all.counted));
    assert_ok(tarn_stream_enqueue(stream, write_diary, ""));
    all.shared = end_and_instantiate(stream);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, be_one_of_many, &all), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&all.wrong), 0);
    assert_int_equal(all.counted, THREADS * 20);
    assert_ok(tarn_graph_instance_release(all.shared));
    assert_ok(tarn_device_synchronize(cpu));
    assert_null(atomic_load(&cpu->deferred));
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
        cmocka_unit_test(changed_parameters_count_for_later_launches),
        cmocka_unit_test(launches_of_one_instance_run_one_after_the_other),
        cmocka_unit_test(a_graph_released_while_it_runs_is_taken_down_later),
        cmocka_unit_test(a_graph_can_be_released_by_its_own_work),
        cmocka_unit_test(work_that_launches_its_own_graph_is_told_busy),
        cmocka_unit_test(every_request_for_host_memory_fails_in_a_capture_and_after_it),
        cmocka_unit_test(every_driver_call_fails_in_a_capture_and_after_it),
        cmocka_unit_test(a_forked_child_has_no_graphs),
        cmocka_unit_test(threads_capture_launch_and_change_at_once),
    };
    return cmocka_run_group_tests_name("hal graph", tests, open_cpu, close_cpu);
}
