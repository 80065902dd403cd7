/* Graphs that are built by hand: order, updates, what may not be changed. */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static CUdeviceptr memory;
static CUstream stream;
static CUgraph graph;

static void stand(void) {
    start("");
    memory = allocate(8);
    CHECK(cuMemsetD32_v2(memory, 0, 2));
    stream = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuGraphCreate(&graph, 0));
}

static int value_of(CUdeviceptr pointer) {
    int value;
    get(&value, pointer, 4);
    return value;
}

static CUDA_MEMSET_NODE_PARAMS fill_with(unsigned value) {
    return (CUDA_MEMSET_NODE_PARAMS){.dst = memory, .value = value, .elementSize = 4, .width = 1, .height = 1};
}

static CUDA_MEMCPY3D copy_to(CUdeviceptr to, CUdeviceptr from) {
    return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                           .srcDevice = from,
                           .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                           .dstDevice = to,
                           .WidthInBytes = 4,
                           .Height = 1,
                           .Depth = 1};
}

static CUgraphNode add_fill(unsigned value, const CUgraphNode *after, size_t count) {
    CUgraphNode node;
    CUDA_MEMSET_NODE_PARAMS parameters = fill_with(value);
    CHECK(cuGraphAddMemsetNode(&node, graph, after, count, &parameters, contexts[0]));
    return node;
}

static CUgraphNode add_copy(const CUgraphNode *after, size_t count) {
    CUgraphNode node;
    CUDA_MEMCPY3D parameters = copy_to(memory + 4, memory);
    CHECK(cuGraphAddMemcpyNode(&node, graph, after, count, &parameters, contexts[0]));
    return node;
}

static CUgraphExec instantiate(void) {
    CUgraphExec executable;
    CHECK(cuGraphInstantiateWithFlags(&executable, graph, 0));
    return executable;
}

static void run(CUgraphExec executable) {
    CHECK(cuGraphLaunch(executable, stream));
    CHECK(cuStreamSynchronize(stream));
}

static void add_one(void *data) { ++*(int *)data; }

static void nodes_run_behind_what_they_come_after(void **state) {
    (void)state;
    stand();
    static int calls;
    calls = 0;
    /* The copy is added first and comes last. */
    CUgraphNode copy = add_copy(NULL, 0), fill = add_fill(5, NULL, 0), host;
    CUDA_HOST_NODE_PARAMS function = {add_one, &calls};
    CHECK(cuGraphAddHostNode(&host, graph, &fill, 1, &function));
    CHECK(cuGraphAddDependencies_v2(graph, &host, &copy, NULL, 1));
    CHECK_IS(cuGraphAddDependencies_v2(graph, &copy, &fill, NULL, 1), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "come after itself");
    CUgraphNode found[1];
    size_t count = 1;
    CHECK(cuGraphNodeGetDependencies_v2(copy, found, NULL, &count));
    assert_true(count == 1 && found[0] == host);
    CHECK(cuGraphGetRootNodes(graph, found, &count));
    assert_true(count == 1 && found[0] == fill);
    run(instantiate());
    assert_int_equal(value_of(memory + 4), 5);
    assert_int_equal(calls, 1);
    check_violations(0, NULL);
}

static void an_executable_graph_is_a_copy_that_can_be_changed(void **state) {
    (void)state;
    stand();
    CUgraphNode fill = add_fill(1, NULL, 0);
    add_copy(&fill, 1);
    CUgraphExec executable = instantiate();
    CUDA_MEMSET_NODE_PARAMS two = fill_with(2);
    CHECK(cuGraphExecMemsetNodeSetParams(executable, fill, &two, contexts[0]));
    run(executable);
    assert_int_equal(value_of(memory + 4), 2);
    run(instantiate());
    assert_int_equal(value_of(memory + 4), 1);
    CHECK(cuCtxSetCurrent(contexts[1]));
    two.dst = allocate(4);
    CHECK_IS(cuGraphExecMemsetNodeSetParams(executable, fill, &two, contexts[1]), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuGraphExecMemsetNodeSetParams(executable, NULL, &two, contexts[1]), CUDA_ERROR_INVALID_VALUE);
}

static void an_update_takes_parameters_and_refuses_another_shape(void **state) {
    (void)state;
    stand();
    CUgraphNode fill = add_fill(1, NULL, 0), copy = add_copy(&fill, 1), more;
    CUgraphExec executable = instantiate();
    CHECK(cuGraphDestroy(graph));
    CHECK(cuGraphCreate(&graph, 0));
    fill = add_fill(3, NULL, 0);
    copy = add_copy(&fill, 1);
    CUgraphExecUpdateResultInfo info;
    CHECK(cuGraphExecUpdate_v2(executable, graph, &info));
    run(executable);
    assert_int_equal(value_of(memory + 4), 3);
    CHECK(cuGraphAddEmptyNode(&more, graph, &copy, 1));
    CHECK_IS(cuGraphExecUpdate_v2(executable, graph, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    assert_int_equal(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED);
    CHECK(cuGraphDestroyNode(more));
    CHECK(cuGraphDestroyNode(copy));
    CHECK(cuGraphAddEmptyNode(&more, graph, &fill, 1));
    CHECK_IS(cuGraphExecUpdate_v2(executable, graph, &info), CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
    assert_int_equal(info.result, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED);
    assert_ptr_equal(info.errorNode, more);
    run(executable);
    assert_int_equal(value_of(memory + 4), 3);
}

static void child_graphs_and_clones_are_copies(void **state) {
    (void)state;
    stand();
    CUgraphNode fill = add_fill(1, NULL, 0), node;
    add_copy(&fill, 1);
    CUgraph outer, copied;
    CHECK(cuGraphCreate(&outer, 0));
    CHECK(cuGraphAddChildGraphNode(&node, outer, NULL, 0, graph));
    CHECK(cuGraphDestroy(graph));
    CHECK(cuGraphClone(&copied, outer));
    CHECK(cuGraphDestroy(outer));
    graph = copied;
    run(instantiate());
    assert_int_equal(value_of(memory + 4), 1);
    check_violations(0, NULL);
}

static void launches_of_one_graph_follow_each_other(void **state) {
    (void)state;
    stand();
    static int calls;
    calls = 0;
    CUgraphNode host;
    CUDA_HOST_NODE_PARAMS function = {add_one, &calls};
    CHECK(cuGraphAddHostNode(&host, graph, NULL, 0, &function));
    CUgraphExec executable = instantiate();
    CUstream second = stream_new(CU_STREAM_NON_BLOCKING);
    CHECK(cuGraphLaunch(executable, stream));
    CHECK(cuGraphLaunch(executable, second));
    CHECK(cuStreamSynchronize(second));
    assert_int_equal(calls, 2);
    assert_int_equal(fakecuda_pending(), 0);
}

static void nodes_with_memory_bind_their_graph(void **state) {
    (void)state;
    stand();
    CUDA_MEM_ALLOC_NODE_PARAMS parameters = {
        .poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
        .bytesize = 100};
    CUgraphNode node, freed, twice;
    CUgraph copied;
    CHECK(cuGraphAddMemAllocNode(&node, graph, NULL, 0, &parameters));
    CHECK(cuGraphAddMemFreeNode(&freed, graph, &node, 1, parameters.dptr));
    CHECK_IS(cuGraphAddMemFreeNode(&twice, graph, &node, 1, parameters.dptr), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "freed already");
    CHECK_IS(cuGraphClone(&copied, graph), CUDA_ERROR_NOT_SUPPORTED);
    CHECK_IS(cuGraphDestroyNode(freed), CUDA_ERROR_NOT_SUPPORTED);
    CHECK_IS(cuMemFreeAsync(parameters.dptr, stream), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "no launch has allocated");
    CHECK_IS(cuMemsetD8Async(parameters.dptr, 1, 1, stream), CUDA_SUCCESS);
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    check_violations(1, "before its allocation has run");
}

static void a_launch_on_freed_memory_is_found(void **state) {
    (void)state;
    stand();
    add_fill(1, NULL, 0);
    CUgraphExec executable = instantiate();
    CHECK(cuMemFree_v2(memory));
    CHECK(cuGraphLaunch(executable, stream));
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    check_violations(1, "no memory is (any more)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_run_behind_what_they_come_after),
        cmocka_unit_test(an_executable_graph_is_a_copy_that_can_be_changed),
        cmocka_unit_test(an_update_takes_parameters_and_refuses_another_shape),
        cmocka_unit_test(child_graphs_and_clones_are_copies),
        cmocka_unit_test(launches_of_one_graph_follow_each_other),
        cmocka_unit_test(nodes_with_memory_bind_their_graph),
        cmocka_unit_test(a_launch_on_freed_memory_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
