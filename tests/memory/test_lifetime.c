/* The lives of allocators and of what they depend on: shutting down, releasing with live buffers, keeping the device. Numbers
 * in comments are those of the project's list of faults. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "stand.h"

static tarn_buffer *take_tagged(tarn_allocator *allocator, size_t size, const char *tag) {
    tarn_allocate_options options = {.struct_size = sizeof options, .tag = tag};
    tarn_buffer *buffer = NULL;
    EXPECT_OK(tarn_allocator_allocate_with(allocator, size, &options, &buffer));
    return buffer;
}

/* 20 */
static void release_with_live_buffers_reports_them_and_they_stay_freeable(test_stand *stand) {
    tarn_buffer *first = take_tagged(stand->allocator, 1000, "weights of the test");
    tarn_buffer *second = take_tagged(stand->allocator, 3 * MIB, "activations of the test");
    tarn_buffer *third = take_tagged(stand->allocator, 500, NULL);
    log_listen();
    EXPECT_OK(tarn_allocator_release(stand->allocator));
    stand->allocator = NULL;
    log_silence();
    const char *heard = log_heard();
    assert_non_null(strstr(heard, "3"));
    assert_non_null(strstr(heard, "weights of the test"));
    assert_non_null(strstr(heard, "activations of the test"));
    assert_true(tarn_buffer_is_valid(first));
    assert_int_equal(tarn_buffer_size(second), 3 * MIB);
    assert_ptr_equal(tarn_buffer_device(third), stand->device);
    /* 19 */
    EXPECT_OK(tarn_buffer_free(second, NULL));
    EXPECT_OK(tarn_buffer_free(first, NULL));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_buffer_free(first, NULL));
    assert_true(tarn_buffer_is_valid(third));
    EXPECT_OK(tarn_buffer_free(third, NULL));
    assert_false(tarn_buffer_is_valid(third));
}

static void release_without_live_buffers_says_nothing(test_stand *stand) {
    give(stand, take(stand, 1000, NULL), NULL);
    log_listen();
    EXPECT_OK(tarn_allocator_release(stand->allocator));
    stand->allocator = NULL;
    log_silence();
    assert_string_equal(log_heard(), "");
}

static void a_retained_allocator_lives_until_the_last_release(test_stand *stand) {
    tarn_allocator *second = tarn_allocator_retain(stand->allocator);
    assert_ptr_equal(second, stand->allocator);
    EXPECT_OK(tarn_allocator_release(second));
    give(stand, take(stand, 100, NULL), NULL);
    assert_null(tarn_allocator_retain(NULL));
}

/* 19: the buffer keeps alive what it needs, here the device. */
static void the_last_buffer_keeps_the_device_alive(test_stand *stand) {
    tarn_buffer *buffer = take(stand, 100 * KIB, NULL);
    tarn_device *device = stand->device;
    log_listen();
    EXPECT_OK(tarn_allocator_release(stand->allocator));
    log_silence();
    EXPECT_OK(tarn_device_release(stand->device));
    assert_ptr_equal(tarn_buffer_device(buffer), device);
    assert_string_equal(tarn_device_name(tarn_buffer_device(buffer)), tarn_device_name(device));
    if ((stand->abilities & DEVICE_STORES) != 0) memset(tarn_buffer_data(buffer), 1, tarn_buffer_capacity(buffer));
    EXPECT_OK(tarn_buffer_free(buffer, NULL));
    stand->allocator = NULL;
    EXPECT_OK(tarn_device_open(stand->device_name, &stand->device));
    stand->memory_before = counters_of(stand->device).memory_in_use;
}

static void a_buffer_may_be_freed_on_a_stream_after_the_release(test_stand *stand) {
    tarn_stream *stream = stand_stream(stand, 0);
    tarn_buffer *buffer = take(stand, 3 * MIB, stream);
    EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(stand, 1)));
    log_listen();
    EXPECT_OK(tarn_allocator_release(stand->allocator));
    stand->allocator = NULL;
    log_silence();
    EXPECT_OK(tarn_buffer_record_stream(buffer, stand_stream(stand, 2)));
    EXPECT_OK(tarn_buffer_free(buffer, stream));
}

/* 22 */
static void a_stream_may_be_released_with_frees_pending_on_it(test_stand *stand) {
    tarn_stream *stream = NULL;
    for (int i = 0; i < 20; i++) {
        EXPECT_OK(tarn_stream_create(stand->device, &stream));
        tarn_buffer *own = take(stand, 3 * MIB, stream), *other = take(stand, 2000, NULL);
        EXPECT_OK(tarn_buffer_record_stream(other, stream));
        give(stand, own, stream);
        give(stand, other, NULL);
        EXPECT_OK(tarn_stream_release(stream));
        /* Simulated time passes only when it is waited for. */
        EXPECT_OK(tarn_device_synchronize(stand->device));
    }
    /* What the dead streams used is served again: memory does not grow with them. A guard looks at what it waits for when the next buffer is freed,
     * and the next stream has asked for its own by then: two segments, of 20 MiB each where there is no virtual memory. */
    bool has_segments = (stand->properties.features & TARN_FEATURE_VIRTUAL_MEMORY) == 0;
    assert_true(tarn_allocator_allocated_size(stand->allocator) <= (has_segments ? 44 : 32) * MIB);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* 22: a buffer may outlive the stream that it was allocated for. */
static void a_buffer_outlives_its_stream(test_stand *stand) {
    tarn_stream *stream = NULL;
    EXPECT_OK(tarn_stream_create(stand->device, &stream));
    tarn_buffer *small = take(stand, 1000, stream), *large = take(stand, 5 * MIB, stream);
    EXPECT_OK(tarn_stream_release(stream));
    assert_true(tarn_buffer_is_valid(small));
    give(stand, small, NULL);
    give(stand, large, stand_stream(stand, 0));
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* 21 */
typedef struct shut_down_race {
    tarn_allocator *allocator;
    unsigned long served, refused, wrong;
} shut_down_race;

static void *allocate_until_refused(void *context) {
    shut_down_race *race = context;
    for (int i = 0; i < 100000 && race->refused == 0; i++) {
        tarn_buffer *buffer = NULL;
        tarn_status status = tarn_allocator_allocate(race->allocator, 4096, NULL, &buffer);
        if (status == TARN_OK) {
            race->served++;
            if (tarn_allocator_free(race->allocator, buffer, NULL) != TARN_OK) race->wrong++;
        } else if (status == TARN_SHUT_DOWN) {
            race->refused++;
        } else {
            race->wrong++;
        }
    }
    return NULL;
}

static void shut_down_races_allocate_and_one_wins(test_stand *stand) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    shut_down_race races[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        races[i].allocator = stand->allocator;
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_until_refused, &races[i]), 0);
    }
    EXPECT_OK(tarn_allocator_shut_down(stand->allocator));
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(races[i].wrong, 0);
    }
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
}

/* 19, 21: several threads free the last buffers while another drops the last reference, and each of them may be the one that
 * ends the allocator. */
typedef struct last_free {
    tarn_allocator *allocator;
    bool by_handle; /* the buffer is freed by its handle alone */
    tarn_buffer *buffer;
    pthread_barrier_t *start;
    tarn_status status;
} last_free;

static void *free_the_buffer(void *context) {
    last_free *task = context;
    tarn_allocator *allocator = task->allocator;
    /* From now on the thread may have a cache of its own. */
    for (int i = 0; i < 3 && task->status == TARN_OK; i++) {
        tarn_buffer *buffer = NULL;
        task->status = tarn_allocator_allocate(allocator, tarn_buffer_size(task->buffer), NULL, &buffer);
        if (task->status == TARN_OK) task->status = tarn_allocator_free(allocator, buffer, NULL);
    }
    pthread_barrier_wait(task->start);
    pthread_barrier_wait(task->start);
    if (task->status != TARN_OK) return NULL;
    task->status =
        task->by_handle ? tarn_buffer_free(task->buffer, NULL) : tarn_allocator_free(allocator, task->buffer, NULL);
    return NULL;
}

static void the_last_buffers_may_be_freed_by_several_threads_while_the_allocator_is_released(test_stand *stand) {
    /* The stand's own allocator may have something: a guard, where it copies to look at memory. */
    const uint64_t in_use = counters_of(stand->device).memory_in_use;
    enum { THREADS = 3 };
    const int rounds = test_slowness() > 10 ? 4 : 10;
    log_listen();
    for (int round = 0; round < rounds; round++) {
        tarn_allocator *allocator = NULL;
        pthread_t threads[THREADS];
        last_free tasks[THREADS];
        pthread_barrier_t start;
        EXPECT_OK(tarn_allocator_create(stand->device, tarn_allocator_spec(stand->allocator), &allocator));
        assert_int_equal(pthread_barrier_init(&start, NULL, THREADS + 1), 0);
        for (int i = 0; i < THREADS; i++) {
            tasks[i] = (last_free){.allocator = allocator, .by_handle = i == 0, .start = &start};
            EXPECT_OK(tarn_allocator_allocate(allocator, (size_t)5000 << i, NULL, &tasks[i].buffer));
        }
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, free_the_buffer, &tasks[i]), 0);
        pthread_barrier_wait(&start);
        /* Every other time the release comes first. */
        if (round % 2 != 0) EXPECT_OK(tarn_allocator_release(allocator));
        pthread_barrier_wait(&start);
        if (round % 2 == 0) EXPECT_OK(tarn_allocator_release(allocator));
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(tasks[i].status, TARN_OK);
            assert_false(tarn_buffer_is_valid(tasks[i].buffer));
        }
        pthread_barrier_destroy(&start);
    }
    log_silence();
    assert_int_equal(counters_of(stand->device).memory_in_use, in_use);
}

/* 19: two threads free the same buffer, the last one of an allocator that is released before or meanwhile. Whoever comes second
 * may come when the allocator has ended. */
typedef struct second_free {
    tarn_buffer *buffer;
    pthread_barrier_t *start;
    tarn_status status;
    bool has_sentence;
} second_free;

static void *free_it_too(void *context) {
    second_free *task = context;
    pthread_barrier_wait(task->start);
    task->status = tarn_buffer_free(task->buffer, NULL);
    task->has_sentence = task->status == TARN_OK || *tarn_last_error() != '\0';
    return NULL;
}

static void of_two_frees_of_the_last_buffer_one_is_refused(test_stand *stand) {
    const uint64_t in_use = counters_of(stand->device).memory_in_use;
    enum { THREADS = 2 };
    const int rounds = test_slowness() > 10 ? 4 : 10;
    log_listen();
    for (int round = 0; round < rounds; round++) {
        tarn_allocator *allocator = NULL;
        tarn_buffer *buffer = NULL;
        pthread_t threads[THREADS];
        second_free tasks[THREADS];
        pthread_barrier_t start;
        EXPECT_OK(tarn_allocator_create(stand->device, tarn_allocator_spec(stand->allocator), &allocator));
        EXPECT_OK(tarn_allocator_allocate(allocator, 5000, NULL, &buffer));
        if (round % 2 != 0) EXPECT_OK(tarn_allocator_release(allocator));
        assert_int_equal(pthread_barrier_init(&start, NULL, THREADS + 1), 0);
        for (int i = 0; i < THREADS; i++) {
            tasks[i] = (second_free){.buffer = buffer, .start = &start};
            assert_int_equal(pthread_create(&threads[i], NULL, free_it_too, &tasks[i]), 0);
        }
        pthread_barrier_wait(&start);
        if (round % 2 == 0) EXPECT_OK(tarn_allocator_release(allocator));
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
        int winner = tasks[0].status == TARN_OK ? 0 : 1;
        assert_int_equal(tasks[winner].status, TARN_OK);
        assert_int_equal(tasks[1 - winner].status, TARN_INVALID_ARGUMENT);
        assert_true(tasks[1 - winner].has_sentence);
        assert_false(tarn_buffer_is_valid(buffer));
        pthread_barrier_destroy(&start);
    }
    log_silence();
    assert_int_equal(counters_of(stand->device).memory_in_use, in_use);
}

typedef struct early_takes {
    tarn_allocator *allocator;
    tarn_buffer *buffers[10];
} early_takes;

static void *take_some(void *context) {
    early_takes *takes = context;
    for (size_t i = 0; i < sizeof takes->buffers / sizeof takes->buffers[0]; i++) {
        EXPECT_OK(tarn_allocator_allocate(takes->allocator, 5000 + i, NULL, &takes->buffers[i]));
    }
    return NULL;
}

/* 19: what one thread allocated and another freed is counted out in the end, and nothing before it ends the allocator. */
static void buffers_may_be_freed_by_a_thread_that_allocated_none_of_them(test_stand *stand) {
    const uint64_t in_use = counters_of(stand->device).memory_in_use;
    early_takes takes = {0};
    pthread_t thread;
    EXPECT_OK(tarn_allocator_create(stand->device, tarn_allocator_spec(stand->allocator), &takes.allocator));
    assert_int_equal(pthread_create(&thread, NULL, take_some, &takes), 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < 10; i++) EXPECT_OK(tarn_buffer_free(takes.buffers[i], NULL));
    tarn_buffer *last = NULL;
    EXPECT_OK(tarn_allocator_allocate(takes.allocator, 5000, NULL, &last));
    log_listen();
    EXPECT_OK(tarn_allocator_release(takes.allocator));
    log_silence();
    assert_true(tarn_buffer_is_valid(last));
    EXPECT_OK(tarn_buffer_free(last, NULL));
    assert_int_equal(counters_of(stand->device).memory_in_use, in_use);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(release_with_live_buffers_reports_them_and_they_stay_freeable, 0),
        CONFORMANCE_TEST(release_without_live_buffers_says_nothing, 0),
        CONFORMANCE_TEST(a_retained_allocator_lives_until_the_last_release, 0),
        CONFORMANCE_TEST(the_last_buffer_keeps_the_device_alive, 0),
        CONFORMANCE_TEST(a_buffer_may_be_freed_on_a_stream_after_the_release, 0),
        CONFORMANCE_TEST(a_stream_may_be_released_with_frees_pending_on_it, 0),
        CONFORMANCE_TEST(a_buffer_outlives_its_stream, 0),
        CONFORMANCE_TEST(the_last_buffers_may_be_freed_by_several_threads_while_the_allocator_is_released,
                         SPEC_THREADS),
        CONFORMANCE_TEST(of_two_frees_of_the_last_buffer_one_is_refused, SPEC_THREADS),
        CONFORMANCE_TEST(buffers_may_be_freed_by_a_thread_that_allocated_none_of_them, SPEC_THREADS),
        CONFORMANCE_TEST(shut_down_races_allocate_and_one_wins, SPEC_THREADS),
    };
    return conformance_run("memory lifetime", tests, sizeof tests / sizeof tests[0]);
}
