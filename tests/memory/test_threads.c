/* Threads and processes: frees on other threads, threads that end with memory in their caches, frees from a thread's last
 * destructor, forks. Numbers in comments are those of the project's list of faults. */
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "stand.h"

typedef struct errand {
    tarn_allocator *allocator;
    tarn_buffer *buffers[64];
    int count;
    tarn_status status; /* the first that was not OK */
} errand;

static void note(errand *task, tarn_status status) {
    if (task->status == TARN_OK) task->status = status;
}

static void *free_all(void *context) {
    errand *task = context;
    for (int i = 0; i < task->count; i++) note(task, tarn_allocator_free(task->allocator, task->buffers[i], NULL));
    return NULL;
}

static void *allocate_all(void *context) {
    errand *task = context;
    for (int i = 0; i < task->count; i++)
        note(task, tarn_allocator_allocate(task->allocator, (size_t)1 << (6 + i % 18), NULL, &task->buffers[i]));
    return NULL;
}

static void *allocate_and_free_all(void *context) {
    allocate_all(context);
    return free_all(context);
}

static void run_on_a_thread(void *(*function)(void *), errand *task) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, function, task), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(task->status, TARN_OK);
}

/* 18 */
static void a_buffer_may_be_freed_on_another_thread(test_stand *stand) {
    errand task = {.allocator = stand->allocator, .count = 64};
    for (int round = 0; round < 10; round++) {
        run_on_a_thread(allocate_all, &task);
        for (int i = 0; i < task.count; i++) {
            assert_true(tarn_buffer_is_valid(task.buffers[i]));
            for (int j = 0; j < i; j++) assert_false(buffers_overlap(task.buffers[i], task.buffers[j]));
        }
        run_on_a_thread(free_all, &task);
        for (int i = 0; i < task.count; i++) assert_false(tarn_buffer_is_valid(task.buffers[i]));
        free_all(&task);
        assert_int_equal(task.status, TARN_INVALID_ARGUMENT);
        task.status = TARN_OK;
    }
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
}

/* 39: what a thread's cache held when it ended serves others. */
static void threads_that_end_leave_no_memory_behind(test_stand *stand) {
    errand task = {.allocator = stand->allocator, .count = 16};
    run_on_a_thread(allocate_and_free_all, &task);
    size_t after_one = tarn_allocator_allocated_size(stand->allocator);
    for (int i = 0; i < 100; i++) run_on_a_thread(allocate_and_free_all, &task);
    assert_true(tarn_allocator_allocated_size(stand->allocator) <= after_one + 2 * MIB);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* Bytes that this process has from malloc; 0 where a sanitizer has replaced it. */
static size_t host_memory(void) { return mallinfo2().uordblks; }

/* 39: 10^5 threads, or TARN_TEST_THREADS of them; fewer where each one takes a sanitizer milliseconds. */
static void very_many_threads_need_no_more_memory_than_one(void **state) {
    (void)state;
    test_stand stand;
    stand_open(&stand, "caching", "sim:8GiB");
    unsigned long threads = test_number("TARN_TEST_THREADS", test_slowness() == 1 ? 100000 : 10000 / test_slowness());
    errand task = {.allocator = stand.allocator, .count = 8};
    run_on_a_thread(allocate_and_free_all, &task);
    size_t after_one = tarn_allocator_allocated_size(stand.allocator), host_after_one = host_memory();
    for (unsigned long i = 0; i < threads; i++) run_on_a_thread(allocate_and_free_all, &task);
    assert_int_equal(tarn_allocator_allocated_size(stand.allocator), after_one);
    assert_in_range(host_memory(), 0, host_after_one + 64 * KIB);
    assert_int_equal(stats_of(stand.allocator).allocations, 8 * (threads + 1));
    stand_close(&stand);
}

/* A thread may end after the allocators that it used, and the other way round. */
typedef struct outliving {
    tarn_allocator *allocator;
    pthread_barrier_t barrier;
    tarn_status status;
} outliving;

static void *use_then_outlive(void *context) {
    outliving *shared = context;
    tarn_buffer *buffer = NULL;
    shared->status = tarn_allocator_allocate(shared->allocator, 4096, NULL, &buffer);
    if (shared->status == TARN_OK) shared->status = tarn_allocator_free(shared->allocator, buffer, NULL);
    pthread_barrier_wait(&shared->barrier);
    /* The allocator is released now. */
    pthread_barrier_wait(&shared->barrier);
    return NULL;
}

static void a_thread_may_outlive_the_allocators_it_used(test_stand *stand) {
    for (int i = 0; i < 5; i++) {
        outliving shared = {0};
        pthread_t thread;
        EXPECT_OK(tarn_allocator_create(stand->device, "caching", &shared.allocator));
        pthread_barrier_init(&shared.barrier, NULL, 2);
        assert_int_equal(pthread_create(&thread, NULL, use_then_outlive, &shared), 0);
        pthread_barrier_wait(&shared.barrier);
        EXPECT_OK(tarn_allocator_release(shared.allocator));
        pthread_barrier_wait(&shared.barrier);
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&shared.barrier);
        assert_int_equal(shared.status, TARN_OK);
    }
}

/* 40 */
static pthread_key_t last_words;

static void free_in_destructor(void *value) {
    errand *task = value;
    for (int i = 0; i < 2; i++) note(task, tarn_allocator_free(task->allocator, task->buffers[i], NULL));
    tarn_buffer *late = NULL;
    note(task, tarn_allocator_allocate(task->allocator, 4096, NULL, &late));
    note(task, tarn_allocator_free(task->allocator, late, NULL));
    /* Once more in the next round of destructors, when other keys are gone already. */
    if (task->count-- > 0) {
        for (int i = 0; i < 2; i++) note(task, tarn_allocator_allocate(task->allocator, 900, NULL, &task->buffers[i]));
        pthread_setspecific(last_words, task);
    }
}

static void *allocate_and_leave_to_the_destructor(void *context) {
    errand *task = context;
    pthread_setspecific(last_words, task);
    for (int i = 0; i < 2; i++) note(task, tarn_allocator_allocate(task->allocator, 900, NULL, &task->buffers[i]));
    return NULL;
}

static void a_free_in_a_thread_local_destructor_works(test_stand *stand) {
    assert_int_equal(pthread_key_create(&last_words, free_in_destructor), 0);
    for (int i = 0; i < 20; i++) {
        errand task = {.allocator = stand->allocator, .count = 2};
        run_on_a_thread(allocate_and_leave_to_the_destructor, &task);
    }
    pthread_key_delete(last_words);
    assert_int_equal(stats_of(stand->allocator).blocks.current, 0);
    EXPECT_OK(tarn_allocator_empty_cache(stand->allocator));
    assert_int_equal(tarn_allocator_allocated_size(stand->allocator), 0);
}

/* 36, 37: run in the child; the parent judges its exit code. */
static int in_the_child(test_stand *stand, tarn_buffer *live) {
    child_begin();
    tarn_buffer *buffer = NULL;
    tarn_log_set(NULL, NULL, TARN_LOG_OFF);
    tarn_status status = tarn_allocator_allocate(stand->allocator, 700 * MIB, NULL, &buffer);
    if (status != TARN_UNAVAILABLE || buffer != NULL) return 10 + (int)status;
    if (!tarn_buffer_is_valid(live) || tarn_buffer_size(live) != 5 * MIB) return 2;
    status = tarn_allocator_free(stand->allocator, live, NULL);
    if (status != TARN_OK && status != TARN_UNAVAILABLE) return 30 + (int)status;
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    if (tarn_allocator_stats(stand->allocator, &stats) != TARN_OK) return 3;
    tarn_allocator_empty_cache(stand->allocator);
    tarn_allocator_release(stand->allocator);
    return 0;
}

static void a_forked_child_is_told_that_the_device_is_unavailable(test_stand *stand) {
    tarn_buffer *live = take(stand, 5 * MIB, NULL);
    give(stand, take(stand, 3 * MIB, NULL), NULL);
    pid_t child = fork();
    if (child == 0) _exit(in_the_child(stand, live));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    /* The parent is unharmed. */
    assert_true(tarn_buffer_is_valid(live));
    EXPECT_OK(tarn_allocator_check(stand->allocator));
    give(stand, live, NULL);
    give(stand, take(stand, stand_large(stand, 700 * MIB), NULL), NULL);
}

/* 37 */
static atomic_bool busy_ends;

static void *be_busy(void *context) {
    errand *task = context;
    while (!atomic_load(&busy_ends)) {
        allocate_and_free_all(task);
        tarn_allocator_empty_cache(task->allocator);
    }
    return NULL;
}

static void a_fork_while_locks_are_held_leaves_no_deadlock(test_stand *stand) {
    enum { THREADS = 3 };
    const int forks = test_slowness() > 1 ? 3 : 6;
    pthread_t threads[THREADS];
    errand tasks[THREADS];
    tarn_buffer *live = take(stand, 5 * MIB, NULL);
    atomic_store(&busy_ends, false);
    for (int i = 0; i < THREADS; i++) {
        tasks[i] = (errand){.allocator = stand->allocator, .count = 12};
        assert_int_equal(pthread_create(&threads[i], NULL, be_busy, &tasks[i]), 0);
    }
    int worst = 0;
    for (int i = 0; i < forks; i++) {
        pid_t child = fork();
        if (child == 0) _exit(in_the_child(stand, live));
        int status = 0;
        waitpid(child, &status, 0);
        if (status != 0) worst = status;
    }
    atomic_store(&busy_ends, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(tasks[i].status, TARN_OK);
    }
    assert_int_equal(worst, 0);
    give(stand, live, NULL);
}

typedef struct waiting_errand {
    tarn_allocator *allocator;
    tarn_buffer *buffer;
    atomic_bool is_done;
} waiting_errand;

static void *give_all_back(void *context) {
    waiting_errand *task = context;
    (void)tarn_allocator_free(task->allocator, task->buffer, NULL);
    (void)tarn_allocator_empty_cache(task->allocator);
    atomic_store(&task->is_done, true);
    return NULL;
}

/* 37: a thread waits for the stream when the process is forked; in the child it is missing. */
static void a_stream_that_a_thread_waited_for_at_a_fork_ends_in_the_child(test_stand *stand) {
    tarn_stream *stream = stand_stream(stand, 0);
    waiting_errand task = {.allocator = stand->allocator, .buffer = take(stand, 3 * MIB, stream)};
    tarn_memory_stats stats = {.struct_size = sizeof stats};
    pthread_t thread;
    stand_hold(stand, 0);
    assert_int_equal(pthread_create(&thread, NULL, give_all_back, &task), 0);
    /* Not all count a wait when it begins: those are given a while. */
    for (int i = 0; i < 50 && !atomic_load(&task.is_done) && stats.device_waits == 0; i++) {
        usleep(1000);
        EXPECT_OK(tarn_allocator_stats(stand->allocator, &stats));
    }
    pid_t child = fork();
    if (child == 0) {
        child_begin();
        (void)pthread_detach(thread);
        tarn_log_set(NULL, NULL, TARN_LOG_OFF);
        (void)tarn_stream_release(stream);
        (void)tarn_allocator_release(stand->allocator);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    stand_let_go(stand, 0);
    pthread_join(thread, NULL);
    assert_int_equal(status, 0);
}

int main(void) {
    static const conformance_test tests[] = {
        CONFORMANCE_TEST(a_buffer_may_be_freed_on_another_thread, 0),
        CONFORMANCE_TEST(threads_that_end_leave_no_memory_behind, 0),
        CONFORMANCE_TEST(a_thread_may_outlive_the_allocators_it_used, SPEC_UNLIMITED),
        CONFORMANCE_TEST(a_free_in_a_thread_local_destructor_works, 0),
        CONFORMANCE_TEST(a_forked_child_is_told_that_the_device_is_unavailable, 0),
        CONFORMANCE_TEST(a_fork_while_locks_are_held_leaves_no_deadlock, SPEC_THREADS),
        CONFORMANCE_TEST(a_stream_that_a_thread_waited_for_at_a_fork_ends_in_the_child, SPEC_THREADS | DEVICE_GATES),
    };
    int failed = conformance_run("memory threads", tests, sizeof tests / sizeof tests[0]);
    const struct CMUnitTest alone[] = {cmocka_unit_test(very_many_threads_need_no_more_memory_than_one)};
    return failed + cmocka_run_group_tests_name("memory very many threads", alone, NULL, NULL);
}
