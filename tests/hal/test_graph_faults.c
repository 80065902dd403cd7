/* What goes wrong around captures and graphs, and what comes together: faults of the host's memory and of the driver, a forked
 * child, many threads. Numbers in comments are those of the project's list of faults. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "diary.h"
#include "graphs.h"
#include "hal/device.h"

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
            play(cpu, main_stream, side_stream, bytes, TARN_OUT_OF_MEMORY);
            unsigned long reached = base_memory_requests();
            base_memory_fail_at(0, 0);
            assert_int_equal(play(cpu, main_stream, side_stream, bytes, TARN_OK), 0);
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
    if (tarn_stream_end_capture(main_stream, &graph) != TARN_UNAVAILABLE) return 1;
    if (tarn_stream_begin_capture(side_stream, TARN_CAPTURE_GLOBAL) != TARN_UNAVAILABLE) return 2;
    if (tarn_graph_instance_launch(instance, side_stream) != TARN_UNAVAILABLE) return 3;
    if (tarn_stream_abort_capture(main_stream) != TARN_OK) return 4;
    return tarn_graph_instance_release(instance) == TARN_OK ? 0 : 5;
}

/* 36 */
static void a_forked_child_has_no_graphs(void **state) {
    (void)state;
    assert_ok(tarn_stream_begin_capture(side_stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(side_stream, write_diary, "x"));
    tarn_graph_instance *instance = end_and_instantiate(side_stream);
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_int_equal(exit_of_child(use_as_child, instance), 0);
    assert_ok(tarn_graph_release(end_of(main_stream)));
    diary[0] = '\0';
    launch_and_wait(instance, side_stream);
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
    assert_ok(tarn_stream_begin_capture(main_stream, TARN_CAPTURE_GLOBAL));
    assert_ok(tarn_stream_enqueue(main_stream, count_one, &all.counted));
    assert_ok(tarn_stream_enqueue(main_stream, write_diary, ""));
    all.shared = end_and_instantiate(main_stream);
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
        cmocka_unit_test(every_request_for_host_memory_fails_in_a_capture_and_after_it),
        cmocka_unit_test(every_driver_call_fails_in_a_capture_and_after_it),
        cmocka_unit_test(a_forked_child_has_no_graphs),
        cmocka_unit_test(threads_capture_launch_and_change_at_once),
    };
    return cmocka_run_group_tests_name("hal graph faults", tests, open_streams, close_streams);
}
