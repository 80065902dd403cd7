/* Captures: what they record, what they forbid, and the driver's code for each wrong call. */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static CUdeviceptr memory;
static CUstream stream;

static void stand(void) {
    start("");
    memory = allocate(8);
    CHECK(cuMemsetD32_v2(memory, 0, 2));
    stream = stream_new(CU_STREAM_NON_BLOCKING);
}

static int value_of(CUdeviceptr pointer) {
    int value;
    get(&value, pointer, 4);
    return value;
}

static CUgraph end(void) {
    CUgraph graph;
    CHECK(cuStreamEndCapture(stream, &graph));
    assert_non_null(graph);
    return graph;
}

static void check_status(CUstream which, CUstreamCaptureStatus expected) {
    CUstreamCaptureStatus status;
    CHECK(cuStreamIsCapturing(which, &status));
    assert_int_equal(status, expected);
}

static void captured_work_runs_at_each_launch(void **state) {
    (void)state;
    stand();
    check_status(stream, CU_STREAM_CAPTURE_STATUS_NONE);
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    check_status(stream, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    CHECK(cuMemsetD32Async(memory, 1, 1, stream));
    CHECK(cuMemcpyDtoDAsync_v2(memory + 4, memory, 4, stream));
    CUgraph graph = end();
    CUgraphExec executable;
    size_t count = 0;
    CHECK(cuGraphGetNodes(graph, NULL, &count));
    assert_int_equal(count, 2);
    assert_int_equal(value_of(memory + 4), 0);
    CHECK(cuGraphInstantiateWithFlags(&executable, graph, 0));
    CHECK(cuGraphDestroy(graph));
    for (int i = 0; i < 3; i++) {
        CHECK(cuMemsetD32Async(memory, 0, 2, stream));
        CHECK(cuGraphLaunch(executable, stream));
        CHECK(cuStreamSynchronize(stream));
        assert_int_equal(value_of(memory + 4), 1);
    }
    CHECK(cuGraphLaunch(executable, stream));
    CHECK(cuGraphExecDestroy(executable)); /* its launch goes on */
    CHECK(cuStreamSynchronize(stream));
    check_violations(0, NULL);
}

static void events_fork_and_join_a_capture(void **state) {
    (void)state;
    stand();
    CUstream second = stream_new(CU_STREAM_NON_BLOCKING);
    CUevent fork = event_new(), joined = event_new();
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(cuMemsetD32Async(memory, 1, 1, stream));
    CHECK(cuEventRecord(fork, stream));
    CHECK(cuStreamWaitEvent(second, fork, 0));
    check_status(second, CU_STREAM_CAPTURE_STATUS_ACTIVE);
    CHECK(cuMemcpyDtoDAsync_v2(memory + 4, memory, 4, second));
    CHECK(cuEventRecord(joined, second));
    CHECK(cuStreamWaitEvent(stream, joined, 0));
    CUstreamCaptureStatus status;
    cuuint64_t id = 0;
    CUgraph captured;
    const CUgraphNode *nodes;
    size_t count;
    CHECK(cuStreamGetCaptureInfo_v3(stream, &status, &id, &captured, &nodes, NULL, &count));
    assert_true(id != 0 && count == 2);
    CUgraph graph = end();
    assert_ptr_equal(graph, captured);
    check_status(second, CU_STREAM_CAPTURE_STATUS_NONE);
    CHECK_IS(cuEventQuery(fork), CUDA_ERROR_CAPTURED_EVENT);
    CUgraphExec executable;
    CHECK(cuGraphInstantiateWithFlags(&executable, graph, 0));
    CHECK(cuGraphLaunch(executable, stream));
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(value_of(memory + 4), 1);
}

static void an_unjoined_stream_fails_the_end(void **state) {
    (void)state;
    stand();
    CUstream second = stream_new(CU_STREAM_NON_BLOCKING);
    CUevent fork = event_new();
    CUgraph graph;
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(cuEventRecord(fork, stream));
    CHECK(cuStreamWaitEvent(second, fork, 0));
    CHECK(cuMemsetD32Async(memory, 1, 1, second));
    CHECK_IS(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
    assert_null(graph);
    check_status(stream, CU_STREAM_CAPTURE_STATUS_NONE);
    check_status(second, CU_STREAM_CAPTURE_STATUS_NONE);
    CHECK(cuMemsetD32Async(memory, 1, 1, second)); /* usable again */
    CHECK(cuStreamSynchronize(second));
}

/* Begins a capture, does what is wrong, and sees that the capture is invalidated and can be ended. */
static void check_invalidated(void) {
    CUgraph graph = NULL;
    check_status(stream, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    CHECK_IS(cuMemsetD32Async(memory, 1, 1, stream), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    CHECK_IS(cuStreamEndCapture(stream, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    assert_null(graph);
    CHECK(cuMemsetD32Async(memory, 1, 1, stream));
    CHECK(cuStreamSynchronize(stream));
}

static void what_conflicts_with_a_capture_invalidates_it(void **state) {
    (void)state;
    stand();
    CUevent event = event_new(), outside = event_new(), inside = event_new();
    CUdeviceptr pointer;
    CUstream other = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuMemsetD32Async(memory, 1, 1, other));
    CHECK(cuEventRecord(outside, other));
    for (int wrong = 0; wrong < 7; wrong++) {
        CHECK(cuStreamBeginCapture_v2(stream,
                                      wrong < 5 ? CU_STREAM_CAPTURE_MODE_RELAXED : CU_STREAM_CAPTURE_MODE_GLOBAL));
        CHECK(cuMemsetD32Async(memory, 1, 1, stream));
        CHECK(cuEventRecord(inside, stream));
        switch (wrong) {
        case 0: CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED); break;
        case 1: CHECK_IS(cuStreamQuery(stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED); break;
        case 2: CHECK_IS(cuEventQuery(inside), CUDA_ERROR_CAPTURED_EVENT); break;
        case 3: CHECK_IS(cuStreamWaitEvent(stream, outside, 0), CUDA_ERROR_STREAM_CAPTURE_ISOLATION); break;
        case 4: CHECK_IS(cuCtxSynchronize(), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED); break;
        case 5: CHECK_IS(cuMemAlloc_v2(&pointer, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED); break;
        default: CHECK_IS(cuEventQuery(event), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
        }
        check_invalidated();
    }
}

static void calls_that_are_wrong_say_so(void **state) {
    (void)state;
    stand();
    CUgraph graph;
    CUstream second = stream_new(CU_STREAM_NON_BLOCKING);
    CUevent event = event_new();
    CHECK_IS(cuStreamBeginCapture_v2(NULL, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CHECK_IS(cuStreamEndCapture(stream, &graph), CUDA_ERROR_ILLEGAL_STATE);
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK_IS(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_ILLEGAL_STATE);
    CHECK(cuEventRecord(event, stream));
    CHECK(cuStreamWaitEvent(second, event, 0));
    CHECK_IS(cuStreamEndCapture(second, &graph), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    check_invalidated();
}

static void two_captures_are_not_merged(void **state) {
    (void)state;
    stand();
    CUstream second = stream_new(CU_STREAM_NON_BLOCKING);
    CUevent event = event_new();
    CUgraph graph;
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(cuStreamBeginCapture_v2(second, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(cuEventRecord(event, second));
    CHECK_IS(cuStreamWaitEvent(stream, event, 0), CUDA_ERROR_STREAM_CAPTURE_MERGE);
    CHECK_IS(cuStreamEndCapture(second, &graph), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    check_invalidated();
}

static void the_legacy_stream_may_not_wait_for_a_captured_one(void **state) {
    (void)state;
    stand();
    stream = stream_new(CU_STREAM_DEFAULT);
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED));
    CHECK_IS(cuMemsetD32Async(memory, 1, 1, NULL), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    check_invalidated();
}

typedef struct attempt {
    CUstreamCaptureMode mode;
    CUresult allocated, ended;
} attempt;

static void *try_elsewhere(void *data) {
    attempt *tried = data;
    CUdeviceptr pointer = 0;
    CUgraph graph;
    cuCtxSetCurrent(contexts[0]);
    cuThreadExchangeStreamCaptureMode(&tried->mode);
    tried->ended = cuStreamEndCapture(stream, &graph);
    tried->allocated = cuMemAlloc_v2(&pointer, 4);
    return NULL;
}

static void the_mode_says_which_threads_are_bound(void **state) {
    (void)state;
    static const struct {
        CUstreamCaptureMode of_capture, of_thread;
        CUresult allocated;
    } cases[] = {
        {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_GLOBAL, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED},
        {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CUDA_SUCCESS},
        {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_RELAXED, CUDA_SUCCESS},
        {CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_GLOBAL, CUDA_SUCCESS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stand();
        CHECK(cuStreamBeginCapture_v2(stream, cases[i].of_capture));
        attempt tried = {.mode = cases[i].of_thread};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, try_elsewhere, &tried), 0);
        pthread_join(thread, NULL);
        CHECK_IS(tried.ended, CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
        CHECK_IS(tried.allocated, cases[i].allocated);
        check_status(stream, cases[i].allocated == CUDA_SUCCESS ? CU_STREAM_CAPTURE_STATUS_ACTIVE
                                                                : CU_STREAM_CAPTURE_STATUS_INVALIDATED);
    }
    /* The capturing thread itself may allocate in relaxed mode, or while its own mode is that. */
    stand();
    CUdeviceptr pointer;
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    CHECK(cuThreadExchangeStreamCaptureMode(&mode));
    assert_int_equal(mode, CU_STREAM_CAPTURE_MODE_GLOBAL);
    CHECK(cuMemAlloc_v2(&pointer, 4));
    CHECK(cuThreadExchangeStreamCaptureMode(&mode));
    CHECK_IS(cuMemAlloc_v2(&pointer, 4), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

static void captured_allocations_have_an_address_and_launches_give_it_memory(void **state) {
    (void)state;
    stand();
    CUdeviceptr pointer, ordinary;
    CHECK(cuMemAllocAsync(&ordinary, 4, stream));
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(cuMemAllocAsync(&pointer, 4, stream));
    CHECK(cuMemsetD32Async(pointer, 6, 1, stream));
    CHECK(cuMemcpyDtoDAsync_v2(memory, pointer, 4, stream));
    CHECK(cuMemFreeAsync(pointer, stream));
    CUgraph graph = end();
    CUgraphExec executable, second;
    assert_int_equal(fakecuda_memory_used(0), 4 << 20);
    CHECK(cuGraphInstantiateWithFlags(&executable, graph, 0));
    CHECK_IS(cuGraphInstantiateWithFlags(&second, graph, 0), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "instantiated twice");
    CHECK(cuGraphLaunch(executable, stream));
    CHECK(cuGraphLaunch(executable, stream));
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(value_of(memory), 6);
    assert_int_equal(fakecuda_memory_used(0), 6 << 20);
    CHECK(cuDeviceGraphMemTrim(0));
    assert_int_equal(fakecuda_memory_used(0), 4 << 20);
    check_violations(0, NULL);
    CHECK(cuGraphExecDestroy(executable));
    CHECK(cuGraphDestroy(graph));
    CHECK_IS(cuMemFree_v2(pointer), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "not the beginning");
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK_IS(cuMemFreeAsync(ordinary, stream), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "not a graph's");
    check_invalidated();
}

static void what_a_launch_left_allocated_is_freed_before_the_next(void **state) {
    (void)state;
    stand();
    CUdeviceptr pointer;
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(cuMemAllocAsync(&pointer, 4, stream));
    CHECK(cuMemsetD32Async(pointer, 6, 1, stream));
    CUgraph graph = end();
    CUgraphExec executable;
    CHECK(cuGraphInstantiateWithFlags(&executable, graph, 0));
    CHECK(cuGraphLaunch(executable, stream));
    CHECK_IS(cuGraphLaunch(executable, stream), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "still allocated by the last launch");
    CHECK(cuMemcpyDtoDAsync_v2(memory, pointer, 4, stream));
    CHECK(cuMemFreeAsync(pointer, stream));
    CHECK(cuGraphLaunch(executable, stream));
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(value_of(memory), 6);
    CHECK(cuGraphExecDestroy(executable));
    CHECK(cuGraphDestroy(graph));
    assert_int_equal(value_of(pointer), 6); /* until it is freed */
    CHECK(cuMemFree_v2(pointer));
    check_violations(0, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captured_work_runs_at_each_launch),
        cmocka_unit_test(events_fork_and_join_a_capture),
        cmocka_unit_test(an_unjoined_stream_fails_the_end),
        cmocka_unit_test(what_conflicts_with_a_capture_invalidates_it),
        cmocka_unit_test(calls_that_are_wrong_say_so),
        cmocka_unit_test(two_captures_are_not_merged),
        cmocka_unit_test(the_legacy_stream_may_not_wait_for_a_captured_one),
        cmocka_unit_test(the_mode_says_which_threads_are_bound),
        cmocka_unit_test(captured_allocations_have_an_address_and_launches_give_it_memory),
        cmocka_unit_test(what_a_launch_left_allocated_is_freed_before_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
