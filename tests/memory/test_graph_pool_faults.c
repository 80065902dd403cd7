/* What goes wrong around captures with a graph pool, and what comes together: faults, a process that ends, many threads. Numbers in
 * comments are those of the project's list of faults. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "capture.h"
#include "child.h"
#include "fake.h"

/* A process that ends with a capture under way and all that belongs to it. */
static void leave_everything(void) {
    tarn_device *device = NULL;
    tarn_stream *stream = NULL;
    tarn_allocator *pool = NULL;
    tarn_buffer *buffer = NULL;
    if (tarn_device_open("cpu", &device) != TARN_OK) _exit(1);
    if (tarn_stream_create(device, &stream) != TARN_OK) _exit(2);
    if (tarn_allocator_create(device, "graph:sequential=on", &pool) != TARN_OK) _exit(3);
    if (tarn_graph_pool_begin_capture(pool, stream, TARN_CAPTURE_GLOBAL) != TARN_OK) _exit(4);
    if (tarn_allocator_allocate(pool, 64, stream, &buffer) != TARN_OK) _exit(5);
    exit(0);
}

/* 31, and the order of unloading at exit, which broke another library. Runs before this process has used Tarn. */
static void a_process_can_end_in_a_capture(void **state) {
    (void)state;
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        child_begin();
        leave_everything();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Memory that the driver does not take back serves requests when there is no other. */
static void memory_that_the_driver_refuses_is_used_again(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "graph:maximum=8MiB", "fake:1GiB");
    tarn_buffer *buffer = take(&stand, 8 * MIB, NULL);
    void *data = tarn_buffer_data(buffer);
    give(&stand, buffer, NULL);
    fake_fail(FAKE_FREE, 1, 1, TARN_INTERNAL);
    EXPECT(TARN_INTERNAL, tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(stats_of(stand.allocator).cached_bytes.current, 8 * MIB);
    buffer = take(&stand, 8 * MIB, NULL);
    assert_ptr_equal(tarn_buffer_data(buffer), data);
    give(&stand, buffer, NULL);
    EXPECT(TARN_INTERNAL, tarn_allocator_empty_cache(stand.allocator));
    fake_fail(0, 0, 0, TARN_OK);
    EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
    stand_close(&stand);
}

/* What another thread does to the capture while its request for memory is with the driver. */

static void abort_meanwhile(void *context) { EXPECT_OK(tarn_stream_abort_capture(context)); }

static void end_meanwhile(void *context) {
    tarn_graph *graph = NULL;
    EXPECT_OK(tarn_stream_end_capture(context, &graph));
    EXPECT_OK(tarn_graph_release(graph));
}

static void begin_another_meanwhile(void *context) {
    abort_meanwhile(context);
    EXPECT_OK(tarn_stream_begin_capture(context, TARN_CAPTURE_RELAXED));
}

/* 43: a request that outlives its capture is an ordinary one, or one of the capture that there is by then. */
static void a_request_that_outlives_its_capture_is_served_as_if_made_later(void **state) {
    (void)state;
    static void (*const acts[])(void *context) = {abort_meanwhile, end_meanwhile, begin_another_meanwhile};
    static const char *const specs[] = {"graph", "graph:planned=off", "graph:sequential=on"};
    for (size_t i = 0; i < 9; i++) {
        test_stand stand;
        fake_reset();
        stand_open(&stand, specs[i / 3], "fake:1GiB");
        tarn_stream *stream = stand_stream(&stand, 0);
        bool is_captured = acts[i % 3] == begin_another_meanwhile;
        /* A graph that lives, where one may beside the capture. */
        tarn_graph_instance *instance = NULL;
        if (i / 3 == 2) {
            capture_begin(&stand);
            give(&stand, take(&stand, MIB, stream), stream);
            instance = capture_end(&stand);
        }
        capture_begin(&stand);
        fake_meanwhile(FAKE_ALLOCATE, acts[i % 3], stream);
        tarn_buffer *buffer = take(&stand, 30 * MIB, stream);
        assert_int_equal(tarn_stream_is_capturing(stream), is_captured);
        assert_int_equal(graph_info_of(stand.allocator).is_capturing, is_captured);
        assert_int_equal(graph_info_of(stand.allocator).graphs, (instance != NULL) + is_captured);
        /* One that a capture uses is freed in its order; another one anywhere, whatever graphs there are. */
        give(&stand, buffer, is_captured ? stream : NULL);
        if (is_captured) EXPECT_OK(tarn_stream_abort_capture(stream));
        EXPECT_OK(tarn_allocator_check(stand.allocator));
        if (instance != NULL) capture_finish(&stand, instance);
        EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
        assert_int_equal(tarn_allocator_allocated_size(stand.allocator), 0);
        stand_close(&stand);
    }
}

/* Threads. */

typedef struct hammer {
    test_stand *stand;
    atomic_bool ends;
    atomic_uint wrong;
    atomic_ulong served;
} hammer;

static void *allocate_meanwhile(void *context) {
    hammer *self = context;
    uint64_t random = 88172645463325252u + (uintptr_t)&random;
    while (!atomic_load(&self->ends)) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        tarn_buffer *buffer = NULL;
        size_t size = 64 + random % 50000;
        tarn_stream *stream = random % 3 == 0 ? NULL : self->stand->streams[2 + random % 2];
        if (tarn_allocator_allocate(self->stand->allocator, size, stream, &buffer) != TARN_OK) {
            atomic_fetch_add(&self->wrong, 1);
            continue;
        }
        unsigned char *bytes = tarn_buffer_data(buffer), mark = (unsigned char)random;
        memset(bytes, mark, size);
        if (bytes[0] != mark || bytes[size - 1] != mark) atomic_fetch_add(&self->wrong, 1);
        if (tarn_buffer_free(buffer, NULL) != TARN_OK) atomic_fetch_add(&self->wrong, 1);
        atomic_fetch_add(&self->served, 1);
    }
    return NULL;
}

/* Other threads allocate while one captures, launches, aborts and resets nothing of theirs. */
static void threads_allocate_while_one_captures(void **state) {
    (void)state;
    enum { OTHERS = 15 };
    test_stand stand;
    stand_open(&stand, "graph:sequential=on", "cpu");
    for (int n = 0; n < 4; n++) stand_stream(&stand, n);
    hammer self = {.stand = &stand};
    pthread_t threads[OTHERS];
    for (int i = 0; i < OTHERS; i++) assert_int_equal(pthread_create(&threads[i], NULL, allocate_meanwhile, &self), 0);
    tarn_stream *stream = stand.streams[0];
    unsigned rounds = 200 / test_slowness();
    for (unsigned round = 0; round < rounds || atomic_load(&self.served) < rounds; round++) {
        unsigned char mark = (unsigned char)(round % 250 + 1);
        capture_begin(&stand);
        tarn_buffer *temporary = take(&stand, 30000, stream), *result = take(&stand, 30000, stream);
        capture_fill(stream, temporary, mark);
        EXPECT_OK(tarn_stream_copy(stream, tarn_buffer_data(result), tarn_buffer_data(temporary), 30000));
        give(&stand, temporary, stream);
        if (round % 5 == 4) {
            EXPECT_OK(tarn_stream_abort_capture(stream));
        } else {
            tarn_graph_instance *instance = capture_end(&stand);
            EXPECT_OK(tarn_graph_instance_launch(instance, stream));
            EXPECT_OK(tarn_stream_synchronize(stream));
            const unsigned char *bytes = tarn_buffer_data(result);
            assert_int_equal(bytes[0] + bytes[29999], 2 * mark);
            EXPECT_OK(tarn_graph_instance_release(instance));
        }
        give(&stand, result, stream);
        if (round % 16 == 0) EXPECT_OK(tarn_allocator_empty_cache(stand.allocator));
        EXPECT_OK(tarn_allocator_check(stand.allocator));
    }
    atomic_store(&self.ends, true);
    for (int i = 0; i < OTHERS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&self.wrong), 0);
    stand_close(&stand);
}

/* Faults in all of it. */

/* A capture with memory, its launch and its end, each step of which may fail with `allowed`; how many did. */
static unsigned play(test_stand *stand, tarn_status allowed) {
    tarn_stream *stream = stand->streams[0];
    tarn_graph *graph = NULL;
    tarn_graph_instance *instance = NULL;
    tarn_buffer *temporary = NULL, *result = NULL, *after = NULL;
    tarn_status statuses[16] = {0};
    size_t steps = 0;
    statuses[steps++] = tarn_graph_pool_begin_capture(stand->allocator, stream, TARN_CAPTURE_GLOBAL);
    if (statuses[0] == TARN_OK) {
        statuses[steps++] = tarn_allocator_allocate(stand->allocator, 3 * MIB, stream, &temporary);
        statuses[steps++] = tarn_allocator_allocate(stand->allocator, 700, stream, &result);
        if (result != NULL) statuses[steps++] = tarn_stream_fill(stream, tarn_buffer_data(result), "a", 1, 700);
        statuses[steps++] = tarn_allocator_free(stand->allocator, temporary, stream);
        statuses[steps++] = tarn_allocator_allocate(stand->allocator, 40 * MIB, stream, &after);
        statuses[steps++] = tarn_allocator_free(stand->allocator, after, stream);
        statuses[steps++] = tarn_stream_end_capture(stream, &graph);
        if (graph == NULL) EXPECT_OK(tarn_stream_abort_capture(stream));
    }
    if (graph != NULL) statuses[steps++] = tarn_graph_instantiate(graph, &instance);
    if (instance != NULL) statuses[steps++] = tarn_graph_instance_launch(instance, stream);
    if (instance != NULL) statuses[steps++] = tarn_graph_instance_launch(instance, NULL);
    EXPECT_OK(tarn_graph_instance_release(instance));
    EXPECT_OK(tarn_graph_release(graph));
    statuses[steps++] = tarn_device_synchronize(stand->device);
    unsigned failures = 0;
    for (size_t i = 0; i < steps; i++) {
        failures += statuses[i] != TARN_OK;
        if (statuses[i] != TARN_OK && statuses[i] != allowed)
            fail_msg("step %zu was answered %s: %s", i, tarn_status_name(statuses[i]), tarn_last_error());
    }
    /* Nobody can launch it any more, so the buffer is free, whether the device could be asked or not. */
    give(stand, result, NULL);
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    return failures;
}

static void expect_nothing_left(test_stand *stand) {
    EXPECT_OK(tarn_device_synchronize(stand->device));
    assert_int_equal(play(stand, TARN_OK), 0);
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
    assert_int_equal(graph_info_of(stand->allocator).graphs, 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(counters_of(stand->device).memory_in_use, stand->memory_before);
}

/* 44 */
static void every_request_for_host_memory_fails_around_a_capture(void **state) {
    (void)state;
    for (int for_good = 0; for_good < 2; for_good++) {
        unsigned long requests = 0;
        for (unsigned long k = 1;; k++) {
            test_stand stand;
            stand_open(&stand, "graph:sequential=on", "sim:1GiB");
            stand_stream(&stand, 0);
            base_memory_fail_at(k, for_good);
            play(&stand, TARN_OUT_OF_MEMORY);
            unsigned long reached = base_memory_requests();
            base_memory_fail_at(0, 0);
            expect_nothing_left(&stand);
            stand_close(&stand);
            if (reached < k) break;
            requests++;
        }
        print_message("%lu of %lu host allocations%s\n", requests, requests, for_good ? ", for good" : "");
        assert_true(requests >= 20);
    }
}

static void every_driver_call_fails_around_a_capture(void **state) {
    (void)state;
    static const tarn_status faults[] = {TARN_INTERNAL, TARN_OUT_OF_MEMORY};
    for (int way = 0; way < 4; way++) {
        unsigned long calls = 0, failed = 0;
        for (unsigned long k = 1;; k++) {
            test_stand stand;
            stand_open(&stand, "graph:sequential=on", k % 2 == 0 ? "fake:1GiB" : "fake:1GiB,flat");
            stand_stream(&stand, 0);
            fake_fail(FAKE_ALL, k, way / 2, faults[way % 2]);
            failed += play(&stand, faults[way % 2]) > 0;
            unsigned long reached = fake_calls();
            fake_fail(0, 0, 0, TARN_OK);
            expect_nothing_left(&stand);
            stand_close(&stand);
            if (reached < k) break;
            calls++;
        }
        print_message("%s at each of %lu driver calls%s: %lu times a step failed\n", tarn_status_name(faults[way % 2]),
                      calls, way / 2 != 0 ? ", for good" : "", failed);
        assert_true(calls > 5 && failed > 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_can_end_in_a_capture),
        cmocka_unit_test(memory_that_the_driver_refuses_is_used_again),
        cmocka_unit_test(a_request_that_outlives_its_capture_is_served_as_if_made_later),
        cmocka_unit_test(threads_allocate_while_one_captures),
        cmocka_unit_test(every_request_for_host_memory_fails_around_a_capture),
        cmocka_unit_test(every_driver_call_fails_around_a_capture),
    };
    return cmocka_run_group_tests_name("memory graph pool faults", tests, NULL, NULL);
}
