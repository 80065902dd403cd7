/* Modules and kernels that run on the host: what they reach, when, with which parameters. */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static CUmodule module;
static CUfunction add, touch;
static CUstream stream;
static CUdeviceptr memory;

static void stand(void) {
    start("KERNELS=" KERNELS);
    CHECK(cuModuleLoadData(&module, "any image"));
    CHECK(cuModuleGetFunction(&add, module, "add"));
    CHECK(cuModuleGetFunction(&touch, module, "touch"));
    stream = stream_new(CU_STREAM_NON_BLOCKING);
    memory = allocate(64);
    CHECK(cuMemsetD32_v2(memory, 5, 16));
}

static CUresult launch_add(CUdeviceptr to, CUdeviceptr from, int more, unsigned threads) {
    void *parameters[] = {&to, &from, &more};
    return cuLaunchKernel(add, 1, 1, 1, threads, 1, 1, 0, stream, parameters, NULL);
}

static int value_of(CUdeviceptr pointer) {
    int value;
    get(&value, pointer, 4);
    return value;
}

static void a_kernel_runs_with_the_parameters_of_its_launch(void **state) {
    (void)state;
    stand();
    CHECK(launch_add(memory + 32, memory, 3, 8)); /* its parameters are gone when it runs */
    assert_int_equal(fakecuda_pending(), 1);
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(value_of(memory + 60), 8);
    assert_int_equal(value_of(memory), 5);
    check_violations(0, NULL);
}

static void a_graph_keeps_parameters_and_an_executable_changes_them(void **state) {
    (void)state;
    stand();
    CUgraph graph;
    CUgraphExec executable;
    CUgraphNode node;
    size_t count = 1;
    CHECK(cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
    CHECK(launch_add(memory, memory, 1, 1));
    CHECK(cuStreamEndCapture(stream, &graph));
    CHECK(cuGraphGetNodes(graph, &node, &count));
    CHECK(cuGraphInstantiateWithFlags(&executable, graph, 0));
    CHECK(cuGraphDestroy(graph));
    for (int i = 0; i < 3; i++) CHECK(cuGraphLaunch(executable, stream));
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(value_of(memory), 8);
    int more = 100;
    void *values[] = {&memory, &memory, &more};
    CUDA_KERNEL_NODE_PARAMS parameters = {.func = add,
                                          .gridDimX = 1,
                                          .gridDimY = 1,
                                          .gridDimZ = 1,
                                          .blockDimX = 1,
                                          .blockDimY = 1,
                                          .blockDimZ = 1,
                                          .kernelParams = values};
    CHECK(cuGraphExecKernelNodeSetParams_v2(executable, node, &parameters));
    CHECK(cuGraphLaunch(executable, stream));
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(value_of(memory), 108);
    check_violations(0, NULL);
}

static CUresult launch_touch(CUdeviceptr at, size_t offset) {
    struct {
        CUdeviceptr at;
        size_t offset;
    } place = {at, offset};
    void *parameters[] = {&place};
    CUlaunchConfig config = {
        .gridDimX = 1, .gridDimY = 1, .gridDimZ = 1, .blockDimX = 1, .blockDimY = 1, .blockDimZ = 1, .hStream = stream};
    return cuLaunchKernelEx(&config, touch, parameters, NULL);
}

static void a_kernel_that_writes_beside_an_allocation_is_found(void **state) {
    (void)state;
    stand();
    CHECK(launch_touch(memory, 64));
    CHECK(cuMemFree_v2(memory));
    check_violations(1, "bytes beside the 64 bytes");
}

static void a_kernel_reaches_nothing_but_what_it_is_given(void **state) {
    (void)state;
    stand();
    CUdeviceptr other = allocate(64);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        /* In the child of a fork nobody may call the driver: what the parent would be stopped at is tried by hand. */
        *(volatile char *)(uintptr_t)other = 1;
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    CHECK(cuMemFree_v2(other));
    CHECK(launch_touch(other, 0));
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    check_violations(1, "which is freed");
}

static void a_kernel_needs_access_to_another_devices_memory(void **state) {
    (void)state;
    stand();
    CHECK(cuCtxSetCurrent(contexts[1]));
    CUdeviceptr there = allocate(4);
    CHECK(cuCtxSetCurrent(contexts[0]));
    CHECK(cuCtxEnablePeerAccess(contexts[1], 0));
    CHECK(launch_touch(there, 0));
    CHECK(cuStreamSynchronize(stream));
    CHECK(cuCtxDisablePeerAccess(contexts[1]));
    CHECK(launch_touch(there, 0));
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    check_violations(1, "no access");
}

static void launches_that_do_not_fit_are_refused(void **state) {
    (void)state;
    stand();
    CHECK_IS(launch_add(memory, memory, 1, 0), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(launch_add(memory, memory, 1, 1025), CUDA_ERROR_INVALID_VALUE);
    void *parameters[] = {&memory, &memory, &memory};
    CHECK_IS(cuLaunchKernel(add, 1, 1, 1, 64, 64, 1, 0, stream, parameters, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuLaunchKernel(add, 1, 65536, 1, 1, 1, 1, 0, stream, parameters, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 50000, stream, parameters, NULL), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuFuncSetAttribute(add, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 50000));
    CHECK(cuLaunchKernel(add, 1, 1, 1, 1, 1, 1, 50000, stream, parameters, NULL));
    CHECK_IS(cuFuncSetAttribute(add, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 250000),
             CUDA_ERROR_INVALID_VALUE);
    int blocks, threads, most;
    CHECK(cuFuncGetAttribute(&most, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, add));
    assert_int_equal(most, 50000);
    CHECK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, add, 256, 0));
    assert_int_equal(blocks, 8);
    CHECK(cuOccupancyMaxPotentialBlockSize(&blocks, &threads, add, NULL, 0, 0));
    assert_true(blocks > 0 && threads > 0);
    CHECK(cuStreamSynchronize(stream));
}

static void modules_know_their_functions_and_globals(void **state) {
    (void)state;
    stand();
    CUdeviceptr counter;
    size_t size;
    CUfunction none;
    CHECK_IS(cuModuleGetFunction(&none, module, "none"), CUDA_ERROR_NOT_FOUND);
    CHECK_IS(cuModuleGetGlobal_v2(&counter, &size, module, "none"), CUDA_ERROR_NOT_FOUND);
    CHECK(cuModuleGetGlobal_v2(&counter, &size, module, "counter"));
    assert_int_equal(size, sizeof(int));
    CHECK(cuMemsetD32_v2(counter, 41, 1));
    CHECK(launch_add(memory, memory, 1, 1));
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(value_of(counter), 42);
    CUlibrary library;
    CUkernel kernel;
    CHECK(cuLibraryLoadData(&library, "FAKECUDA-OBJECT:" KERNELS "\n", NULL, NULL, 0, NULL, NULL, 0));
    CHECK(cuLibraryGetKernel(&kernel, library, "add"));
    CHECK(cuLibraryUnload(library));
    CHECK(launch_add(memory, memory, 1, 1));
    CHECK(cuModuleUnload(module));
    check_violations(1, "unloaded while its kernels are to run");
    CHECK_IS(launch_add(memory, memory, 1, 1), CUDA_ERROR_INVALID_HANDLE);
    check_violations(1, "is ended");
}

static void without_kernels_nothing_is_loaded(void **state) {
    (void)state;
    start("");
    CHECK_IS(cuModuleLoadData(&module, "any image"), CUDA_ERROR_NO_BINARY_FOR_GPU);
    CHECK_IS(cuModuleLoadData(&module, "FAKECUDA-OBJECT:/nowhere.so"), CUDA_ERROR_INVALID_IMAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_runs_with_the_parameters_of_its_launch),
        cmocka_unit_test(a_graph_keeps_parameters_and_an_executable_changes_them),
        cmocka_unit_test(a_kernel_that_writes_beside_an_allocation_is_found),
        cmocka_unit_test(a_kernel_reaches_nothing_but_what_it_is_given),
        cmocka_unit_test(a_kernel_needs_access_to_another_devices_memory),
        cmocka_unit_test(launches_that_do_not_fit_are_refused),
        cmocka_unit_test(modules_know_their_functions_and_globals),
        cmocka_unit_test(without_kernels_nothing_is_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
