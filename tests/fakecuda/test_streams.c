/* The order of work: as late as the rules allow, and never against them. */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static CUdeviceptr memory, other_memory;
static int *pinned;

/* Two allocations of an int each, and pinned memory. */
static void stand(const char *settings) {
    start(settings);
    memory = allocate(4);
    other_memory = allocate(4);
    void *host;
    CHECK(cuMemHostAlloc(&host, 4096, 0));
    pinned = host;
    CHECK(cuMemsetD32_v2(memory, 0, 1));
    CHECK(cuMemsetD32_v2(other_memory, 0, 1));
}

static int value_of(CUdeviceptr pointer) {
    int value;
    get(&value, pointer, 4);
    return value;
}

static void work_runs_only_when_somebody_waits(void **state) {
    (void)state;
    stand("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    pinned[0] = 1;
    CHECK(cuMemcpyHtoDAsync_v2(memory, pinned, 4, stream));
    assert_int_equal(fakecuda_pending(), 1);
    /* Too early: the copy has not read it yet. */
    pinned[0] = 2;
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(fakecuda_pending(), 0);
    assert_int_equal(value_of(memory), 2);
}

static void ordinary_memory_is_read_when_the_call_is_made(void **state) {
    (void)state;
    stand("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    int value = 1;
    CHECK(cuMemcpyHtoDAsync_v2(memory, &value, 4, stream));
    value = 2;
    CHECK(cuMemcpyDtoHAsync_v2(&value, memory, 4, stream));
    assert_int_equal(value, 1);
}

static void waiting_for_one_stream_runs_no_other(void **state) {
    (void)state;
    stand("");
    CUstream first = stream_new(CU_STREAM_NON_BLOCKING), second = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuMemsetD32Async(memory, 1, 1, first));
    CHECK(cuMemsetD32Async(memory, 2, 1, second));
    CHECK(cuStreamSynchronize(second));
    assert_int_equal(fakecuda_pending(), 1);
    CHECK(cuStreamSynchronize(first));
    assert_int_equal(value_of(memory), 1);
}

static void an_event_is_what_was_recorded_when_it_was_recorded(void **state) {
    (void)state;
    stand("");
    CUstream first = stream_new(CU_STREAM_NON_BLOCKING), second = stream_new(CU_STREAM_NON_BLOCKING);
    CUevent event = event_new();
    CHECK(cuEventQuery(event)); /* never recorded */
    CHECK(cuMemsetD32Async(memory, 1, 1, first));
    CHECK(cuEventRecord(event, first));
    CHECK(cuStreamWaitEvent(second, event, 0));
    CHECK(cuMemsetD32Async(other_memory, 5, 1, first));
    CHECK(cuEventRecord(event, first));
    CHECK(cuStreamSynchronize(second));
    assert_int_equal(value_of(memory), 1);
    assert_int_equal(value_of(other_memory), 0);
    CHECK(cuEventSynchronize(event));
    assert_int_equal(value_of(other_memory), 5);
}

static void a_wait_orders_only_what_comes_behind_it(void **state) {
    (void)state;
    stand("");
    CUstream first = stream_new(CU_STREAM_NON_BLOCKING), second = stream_new(CU_STREAM_NON_BLOCKING);
    CUevent before = event_new(), event = event_new();
    CHECK(cuMemsetD32Async(memory, 1, 1, first));
    CHECK(cuEventRecord(event, first));
    CHECK(cuMemsetD32Async(other_memory, 1, 1, second));
    CHECK(cuEventRecord(before, second));
    CHECK(cuStreamWaitEvent(second, event, 0));
    CHECK(cuMemsetD32Async(memory, 2, 1, second));
    CHECK(cuEventSynchronize(before));
    assert_int_equal(value_of(memory), 0);
    CHECK(cuStreamSynchronize(second));
    assert_int_equal(value_of(memory), 2);
}

static void queries_let_work_run_at_last(void **state) {
    (void)state;
    stand("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    CUevent event = event_new();
    CHECK(cuEventRecord(event, stream));
    int asked = 0;
    fakecuda_hold(1);
    for (int i = 0; i < 100; i++) CHECK_IS(cuEventQuery(event), CUDA_ERROR_NOT_READY);
    fakecuda_hold(0);
    while (cuEventQuery(event) == CUDA_ERROR_NOT_READY) assert_true(++asked < 1000);
    CHECK(cuStreamQuery(stream));
}

static void another_seed_is_another_order(void **state) {
    (void)state;
    int asked[8];
    bool differs = false;
    for (int seed = 0; seed < 8; seed++) {
        char text[32];
        snprintf(text, sizeof text, "SEED=%d", seed + 1);
        stand(text);
        CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
        CHECK(cuMemsetD32Async(memory, 1, 1, stream));
        CHECK(cuMemsetD32Async(memory, 2, 1, stream));
        asked[seed] = 0;
        while (cuStreamQuery(stream) == CUDA_ERROR_NOT_READY) asked[seed]++;
        differs = differs || asked[seed] != asked[0];
    }
    assert_true(differs);
}

static void the_legacy_stream_and_blocking_streams_wait_for_each_other(void **state) {
    (void)state;
    stand("");
    CUstream blocking = stream_new(CU_STREAM_DEFAULT), free_one = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuMemsetD32Async(memory, 1, 1, blocking));
    CHECK(cuMemsetD32Async(other_memory, 1, 1, free_one));
    CHECK(cuMemsetD32Async(memory, 2, 1, NULL));
    CHECK(cuMemsetD32Async(memory, 3, 1, blocking));
    assert_int_equal(fakecuda_pending(), 4);
    CHECK(cuStreamSynchronize(NULL));
    assert_int_equal(fakecuda_pending(),
                     1); /* the non-blocking stream's; the last fill of the blocking one had to run as well */
    assert_int_equal(value_of(memory), 3);
    assert_int_equal(value_of(other_memory), 0);
    CHECK(cuMemsetD32Async(memory, 4, 1, CU_STREAM_LEGACY));
    CHECK(cuMemsetD32Async(memory, 5, 1, blocking));
    CHECK(cuStreamSynchronize(blocking));
    assert_int_equal(value_of(memory), 5);
}

static pthread_t host_thread;
static void note_thread(void *data) {
    host_thread = pthread_self();
    *(int *)data = 7;
}

static void call_the_driver(void *data) { *(CUresult *)data = cuCtxSynchronize(); }

static void host_functions_run_in_order_on_a_thread_of_the_driver(void **state) {
    (void)state;
    stand("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuLaunchHostFunc(stream, note_thread, pinned));
    CHECK(cuMemcpyHtoDAsync_v2(memory, pinned, 4, stream));
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(value_of(memory), 7);
    assert_false(pthread_equal(host_thread, pthread_self()));
    check_violations(0, NULL);
    CUresult result = CUDA_SUCCESS;
    CHECK(cuLaunchHostFunc(stream, call_the_driver, &result));
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(result, CUDA_ERROR_NOT_PERMITTED);
    check_violations(1, "a host function called cuCtxSynchronize");
}

static volatile int gate_open, gate_reached;
static void wait_at_gate(void *data) {
    (void)data;
    __atomic_store_n(&gate_reached, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&gate_open, __ATOMIC_SEQ_CST)) usleep(100);
}

static void a_stream_is_busy_until_its_last_task_has_ended(void **state) {
    (void)state;
    stand("IDLE=1");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    gate_open = gate_reached = 0;
    CHECK(cuLaunchHostFunc(stream, wait_at_gate, NULL));
    while (!__atomic_load_n(&gate_reached, __ATOMIC_SEQ_CST)) usleep(100); /* idleness began it */
    CHECK_IS(cuStreamQuery(stream), CUDA_ERROR_NOT_READY);
    __atomic_store_n(&gate_open, 1, __ATOMIC_SEQ_CST);
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuStreamQuery(stream));
}

static void a_destroyed_streams_work_goes_on(void **state) {
    (void)state;
    stand("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuMemsetD32Async(memory, 9, 1, stream));
    CHECK(cuStreamDestroy_v2(stream));
    assert_int_equal(fakecuda_pending(), 1);
    CHECK(cuCtxSynchronize());
    assert_int_equal(value_of(memory), 9);
    check_violations(0, NULL);
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
    check_violations(1, "is ended");
    CHECK_IS(cuStreamSynchronize((CUstream)(uintptr_t)event_new()), CUDA_ERROR_INVALID_HANDLE);
    check_violations(1, "an event, not a stream");
}

static void handles_are_used_again_at_once(void **state) {
    (void)state;
    start("");
    CUstream first = stream_new(0);
    CHECK(cuStreamDestroy_v2(first));
    assert_ptr_equal(stream_new(0), first);
}

static void events_measure_time_and_belong_to_their_device(void **state) {
    (void)state;
    stand("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING), other;
    CUevent begin, end, without = event_new();
    float milliseconds = -1;
    CHECK(cuEventCreate(&begin, 0));
    CHECK(cuEventCreate(&end, 0));
    CHECK_IS(cuEventElapsedTime_v2(&milliseconds, begin, end), CUDA_ERROR_INVALID_HANDLE);
    CHECK(cuEventRecord(begin, stream));
    CHECK(cuMemsetD32Async(memory, 9, 1, stream));
    CHECK(cuEventRecord(end, stream));
    CHECK_IS(cuEventElapsedTime_v2(&milliseconds, begin, end), CUDA_ERROR_NOT_READY);
    CHECK(cuEventSynchronize(end));
    CHECK(cuEventElapsedTime_v2(&milliseconds, begin, end));
    assert_true(milliseconds >= 0);
    CHECK(cuEventRecord(without, stream));
    CHECK_IS(cuEventElapsedTime_v2(&milliseconds, without, end), CUDA_ERROR_INVALID_HANDLE);
    CHECK(cuCtxSetCurrent(contexts[1]));
    other = stream_new(0);
    fakecuda_forget_violations();
    CHECK_IS(cuEventRecord(begin, other), CUDA_ERROR_INVALID_HANDLE);
    check_violations(1, "recorded on a stream of device 1");
    CHECK(cuStreamWaitEvent(other, end, 0));
}

static void freeing_waits_for_the_device(void **state) {
    (void)state;
    stand("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuMemsetD32Async(memory, 9, 1, stream));
    CHECK(cuMemFree_v2(memory));
    assert_int_equal(fakecuda_pending(), 0);
    check_violations(0, NULL);
}

static void too_much_pending_work_blocks_the_next_call(void **state) {
    (void)state;
    stand("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    for (int i = 0; i < 3000; i++) CHECK(cuMemsetD32Async(memory, (unsigned)i, 1, stream));
    assert_true(fakecuda_pending() <= 1024);
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(value_of(memory), 2999);
}

static void with_threads_work_ends_by_itself(void **state) {
    (void)state;
    stand("THREADS=1 DELAY=20");
    CUstream streams[4];
    CUevent last = NULL;
    for (int i = 0; i < 4; i++) streams[i] = stream_new(CU_STREAM_NON_BLOCKING);
    for (int i = 0; i < 100; i++) {
        CUevent event = event_new();
        if (last != NULL) CHECK(cuStreamWaitEvent(streams[i % 4], last, 0));
        CHECK(cuMemsetD32Async(memory, (unsigned)i, 1, streams[i % 4]));
        CHECK(cuEventRecord(event, streams[i % 4]));
        last = event;
    }
    while (fakecuda_pending() > 0) usleep(100);
    assert_int_equal(value_of(memory), 99);
    check_violations(0, NULL);
}

static void count_up(void *count) { ++*(int *)count; }

/* A host function among it, which never runs on the thread that waits. */
static void held_threads_run_only_what_somebody_waits_for(void **state) {
    (void)state;
    stand("THREADS=1 DELAY=20");
    CUstream first = stream_new(CU_STREAM_NON_BLOCKING), second = stream_new(CU_STREAM_NON_BLOCKING);
    int done = 0;
    fakecuda_hold(1);
    CHECK(cuMemsetD32Async(memory, 5, 1, first));
    CHECK(cuLaunchHostFunc(first, count_up, &done));
    CHECK(cuMemsetD32Async(other_memory, 6, 1, second));
    usleep(1000);
    assert_int_equal(fakecuda_pending(), 3);
    CHECK(cuStreamSynchronize(first));
    assert_int_equal(done, 1);
    assert_int_equal(fakecuda_pending(), 1);
    assert_int_equal(value_of(memory), 5);
    fakecuda_hold(0);
    while (fakecuda_pending() > 0) usleep(100);
    assert_int_equal(value_of(other_memory), 6);
    check_violations(0, NULL);
}

static int inside, most_inside;

static void stay_inside(void *unused) {
    (void)unused;
    int now = __atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED);
    if (now > most_inside) most_inside = now;
    usleep(200);
    __atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
}

/* The documentation allows it, so that nothing may depend on another order. */
static void host_functions_of_all_streams_run_one_after_the_other(void **state) {
    (void)state;
    stand("THREADS=1 DELAY=20");
    inside = most_inside = 0;
    CUstream streams[4];
    for (int i = 0; i < 4; i++) streams[i] = stream_new(CU_STREAM_NON_BLOCKING);
    for (int k = 0; k < 5; k++)
        for (int i = 0; i < 4; i++) CHECK(cuLaunchHostFunc(streams[i], stay_inside, NULL));
    CHECK(cuCtxSynchronize());
    assert_int_equal(most_inside, 1);
    check_violations(0, NULL);
}

static void *synchronize(void *stream) {
    if (cuCtxSetCurrent(contexts[0]) == CUDA_SUCCESS) CHECK(cuStreamSynchronize(stream));
    return NULL;
}

/* Whenever the hold comes: before somebody waits, or meanwhile. */
static void who_waits_already_when_threads_are_held_goes_on(void **state) {
    (void)state;
    stand("THREADS=1 DELAY=200");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    for (int i = 0; i < 20; i++) {
        pthread_t waiter;
        for (int k = 0; k < 8; k++) CHECK(cuMemsetD32Async(memory, (unsigned)k, 1, stream));
        assert_int_equal(pthread_create(&waiter, NULL, synchronize, stream), 0);
        usleep((useconds_t)(20 * i));
        fakecuda_hold(1);
        assert_int_equal(pthread_join(waiter, NULL), 0);
        fakecuda_hold(0);
    }
    check_violations(0, NULL);
}

/* Each thread with memory, streams and events of its own; all of them at once in the driver. */
static void *use_the_driver(void *result) {
    CUresult worst = cuCtxSetCurrent(contexts[0]);
    CUstream streams[2];
    CUevent event;
    CUdeviceptr pointer, pooled;
    int value = 0;
    bool is_right = cuStreamCreate(&streams[0], CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS &&
                    cuStreamCreate(&streams[1], CU_STREAM_NON_BLOCKING) == CUDA_SUCCESS &&
                    cuEventCreate(&event, CU_EVENT_DISABLE_TIMING) == CUDA_SUCCESS &&
                    cuMemAlloc_v2(&pointer, 4) == CUDA_SUCCESS;
    for (int i = 0; i < 30 && is_right; i++) {
        is_right = cuMemAllocAsync(&pooled, 4, streams[0]) == CUDA_SUCCESS &&
                   cuMemsetD32Async(pooled, (unsigned)i, 1, streams[0]) == CUDA_SUCCESS &&
                   cuEventRecord(event, streams[0]) == CUDA_SUCCESS &&
                   cuStreamWaitEvent(streams[1], event, 0) == CUDA_SUCCESS &&
                   cuMemcpyDtoDAsync_v2(pointer, pooled, 4, streams[1]) == CUDA_SUCCESS &&
                   cuMemFreeAsync(pooled, streams[1]) == CUDA_SUCCESS &&
                   cuMemcpyDtoHAsync_v2(&value, pointer, 4, streams[1]) == CUDA_SUCCESS && value == i;
    }
    is_right = is_right && cuMemFree_v2(pointer) == CUDA_SUCCESS && cuEventDestroy_v2(event) == CUDA_SUCCESS &&
               cuStreamDestroy_v2(streams[0]) == CUDA_SUCCESS && cuStreamDestroy_v2(streams[1]) == CUDA_SUCCESS;
    *(bool *)result = is_right && worst == CUDA_SUCCESS;
    return NULL;
}

static void many_threads_use_the_driver_at_once(void **state) {
    (void)state;
    for (int threads = 0; threads < 2; threads++) {
        start(threads == 1 ? "THREADS=1 DELAY=20" : "IDLE=1");
        pthread_t users[6];
        bool results[6] = {false};
        for (int i = 0; i < 6; i++) assert_int_equal(pthread_create(&users[i], NULL, use_the_driver, &results[i]), 0);
        for (int i = 0; i < 6; i++) pthread_join(users[i], NULL);
        for (int i = 0; i < 6; i++) assert_true(results[i]);
        CHECK(cuCtxSynchronize());
        check_violations(0, NULL);
        assert_int_equal(fakecuda_live_objects(NULL), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_only_when_somebody_waits),
        cmocka_unit_test(ordinary_memory_is_read_when_the_call_is_made),
        cmocka_unit_test(waiting_for_one_stream_runs_no_other),
        cmocka_unit_test(an_event_is_what_was_recorded_when_it_was_recorded),
        cmocka_unit_test(a_wait_orders_only_what_comes_behind_it),
        cmocka_unit_test(queries_let_work_run_at_last),
        cmocka_unit_test(another_seed_is_another_order),
        cmocka_unit_test(the_legacy_stream_and_blocking_streams_wait_for_each_other),
        cmocka_unit_test(host_functions_run_in_order_on_a_thread_of_the_driver),
        cmocka_unit_test(a_stream_is_busy_until_its_last_task_has_ended),
        cmocka_unit_test(a_destroyed_streams_work_goes_on),
        cmocka_unit_test(handles_are_used_again_at_once),
        cmocka_unit_test(events_measure_time_and_belong_to_their_device),
        cmocka_unit_test(freeing_waits_for_the_device),
        cmocka_unit_test(too_much_pending_work_blocks_the_next_call),
        cmocka_unit_test(with_threads_work_ends_by_itself),
        cmocka_unit_test(host_functions_of_all_streams_run_one_after_the_other),
        cmocka_unit_test(held_threads_run_only_what_somebody_waits_for),
        cmocka_unit_test(who_waits_already_when_threads_are_held_goes_on),
        cmocka_unit_test(many_threads_use_the_driver_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
