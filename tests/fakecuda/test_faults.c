/* Faults on schedule, lost devices, functions and versions that are not there, and forks. */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void the_devices_say_that_they_are_fake(void **state) {
    (void)state;
    start("DEVICES=3 MEMORY=1GiB");
    int count;
    char name[64];
    size_t bytes;
    CUdevice device;
    CHECK(cuDeviceGetCount(&count));
    assert_int_equal(count, 3);
    CHECK(cuDeviceGet(&device, 2));
    CHECK(cuDeviceGetName(name, sizeof name, device));
    assert_string_equal(name, "Fake NVIDIA GPU (no hardware)");
    CHECK(cuDeviceTotalMem_v2(&bytes, device));
    assert_int_equal(bytes, 1 << 30);
    CHECK_IS(cuDeviceGet(&device, 3), CUDA_ERROR_INVALID_DEVICE);
    start("DEVICES=0");
    CHECK_IS(cuInit(0), CUDA_ERROR_NO_DEVICE);
    CHECK_IS(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
}

static void a_fault_happens_at_its_call_and_once(void **state) {
    (void)state;
    start("FAULT=cuMemAlloc_v2:2:CUDA_ERROR_OUT_OF_MEMORY");
    CUdeviceptr pointer;
    allocate(10);
    CHECK_IS(cuMemAlloc_v2(&pointer, 10), CUDA_ERROR_OUT_OF_MEMORY);
    assert_int_equal(fakecuda_faults_done(), 1);
    allocate(10);
    assert_int_equal(fakecuda_live_objects(NULL), 2);
    assert_int_equal(fakecuda_calls("cuMemAlloc_v2"), 3);
}

static void a_fault_for_good_stays(void **state) {
    (void)state;
    start("");
    CUevent event;
    assert_int_equal(fakecuda_fault("cuEventCreate:2:CUDA_ERROR_UNKNOWN:for-good,any:6:CUDA_ERROR_OPERATING_SYSTEM"),
                     0);
    event_new();
    for (int i = 0; i < 4; i++) CHECK_IS(cuEventCreate(&event, 0), CUDA_ERROR_UNKNOWN);
    CUstream stream;
    CHECK_IS(cuStreamCreate(&stream, 0), CUDA_ERROR_OPERATING_SYSTEM); /* the sixth of all calls */
    assert_int_equal(fakecuda_fault("cuEventCreate:0:CUDA_ERROR_UNKNOWN"), -1);
    assert_int_equal(fakecuda_fault("cuNothing:1:CUDA_ERROR_UNKNOWN"), -1);
    assert_int_equal(fakecuda_fault("cuEventCreate:1:CUDA_ERROR_NONSENSE"), -1);
    assert_int_equal(fakecuda_fault("cuEventCreate:1:CUDA_ERROR_UNKNOWN:later"), -1);
    CHECK_IS(cuEventCreate(&event, 0), CUDA_ERROR_UNKNOWN);
    assert_int_equal(fakecuda_fault(NULL), 0);
    event_new();
}

static void a_fault_comes_after_the_effect_or_with_a_later_call(void **state) {
    (void)state;
    start("");
    CUdeviceptr pointer = allocate(10);
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    fakecuda_fault("cuMemFree_v2:1:CUDA_ERROR_UNKNOWN:after,cuMemsetD8Async:1:CUDA_ERROR_INVALID_VALUE:deferred");
    CHECK_IS(cuMemFree_v2(pointer), CUDA_ERROR_UNKNOWN);
    assert_int_equal(fakecuda_memory_used(0), 0);
    pointer = allocate(10);
    CHECK(cuMemsetD8Async(pointer, 1, 1, stream));
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuStreamSynchronize(stream));
}

static void some_errors_cost_the_device(void **state) {
    (void)state;
    start("");
    CUdeviceptr pointer = allocate(10);
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    CUevent event = event_new();
    fakecuda_fault("cuMemsetD8Async:1:CUDA_ERROR_LAUNCH_FAILED:deferred");
    CHECK(cuMemsetD8Async(pointer, 1, 1, stream));
    CHECK_IS(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
    CHECK_IS(cuMemFree_v2(pointer), CUDA_ERROR_LAUNCH_FAILED);
    CHECK_IS(cuStreamQuery(stream), CUDA_ERROR_LAUNCH_FAILED);
    CHECK_IS(cuEventQuery(event), CUDA_ERROR_LAUNCH_FAILED);
    /* The other device lives, and so does what needs no context. */
    CHECK(cuCtxSetCurrent(contexts[1]));
    allocate(10);
    int count;
    CHECK(cuDeviceGetCount(&count));
    fakecuda_lose(1, CUDA_ERROR_ECC_UNCORRECTABLE);
    CHECK_IS(cuCtxSynchronize(), CUDA_ERROR_ECC_UNCORRECTABLE);
}

static void note(void *data) { *(int *)data = 1; }

static void work_behind_an_error_does_not_run(void **state) {
    (void)state;
    start("");
    static int before, behind;
    before = behind = 0;
    CUstream first = stream_new(CU_STREAM_NON_BLOCKING), stream = stream_new(CU_STREAM_NON_BLOCKING);
    CUdeviceptr pointer;
    CHECK(cuMemAllocAsync(&pointer, 10, first));
    CHECK(cuLaunchHostFunc(stream, note, &before));
    CHECK(cuMemsetD8Async(pointer, 1, 1, stream)); /* not ordered behind the allocation: an error when it runs */
    CHECK(cuLaunchHostFunc(stream, note, &behind));
    CHECK_IS(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
    assert_int_equal(before, 1);
    assert_int_equal(behind, 0);
    check_violations(1, "before its allocation has run");
}

static void functions_are_found_by_name_and_version(void **state) {
    (void)state;
    start("MISSING=cuMemCreate,cuEventQuery");
    void *function = NULL;
    CUdriverProcAddressQueryResult status;
    CHECK(cuGetProcAddress_v2("cuMemAlloc", &function, 12000, 0, &status));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SUCCESS);
    assert_ptr_equal(function, (void *)(uintptr_t)cuMemAlloc_v2);
    CHECK(cuGetProcAddress_v2("cuCtxGetDevice", &function, 12090, 0, &status));
    assert_ptr_equal(function, (void *)(uintptr_t)cuCtxGetDevice);
    CHECK(cuGetProcAddress_v2("cuCtxGetDevice", &function, 13000, 0, &status));
    assert_ptr_equal(function, (void *)(uintptr_t)cuCtxGetDevice_v2);
    CHECK(cuGetProcAddress_v2("cuMemAlloc", &function, 2000, 0, &status));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    assert_null(function);
    CHECK(cuGetProcAddress_v2("cuMemCreate", &function, 12000, 0, &status));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    CHECK_IS(cuGetProcAddress_v2("cuEventQuery", &function, 12000, 0, NULL), CUDA_ERROR_NOT_FOUND);
    CHECK(cuGetProcAddress_v2("cuEventQueryAll", &function, 12000, 0, &status));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
}

static void an_old_driver_has_fewer_functions(void **state) {
    (void)state;
    start("VERSION=11000");
    void *function;
    int version;
    CUdriverProcAddressQueryResult status;
    CHECK(cuDriverGetVersion(&version));
    assert_int_equal(version, 11000);
    CHECK(cuGetProcAddress_v2("cuMemAllocAsync", &function, 13000, 0, &status));
    assert_int_equal(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    CHECK(cuGetProcAddress_v2("cuEventElapsedTime", &function, 13000, 0, &status));
    assert_ptr_equal(function, (void *)(uintptr_t)cuEventElapsedTime);
}

static void without_a_context_nothing_that_needs_one_works(void **state) {
    (void)state;
    start("");
    CUdeviceptr pointer = allocate(4);
    CUstream stream;
    CHECK(cuCtxSetCurrent(NULL));
    CHECK_IS(cuMemAlloc_v2(&pointer, 4), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_IS(cuMemsetD8Async(pointer, 0, 1, NULL), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_IS(cuStreamCreate(&stream, 0), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_IS(cuCtxSetCurrent((CUcontext)(void *)&stream), CUDA_ERROR_INVALID_CONTEXT);
    check_violations(1, "no handle");
    CHECK_IS(cuCtxPopCurrent_v2(NULL), CUDA_ERROR_INVALID_CONTEXT);
    check_violations(1, "no context is pushed");
}

static void the_child_of_a_fork_is_not_served(void **state) {
    (void)state;
    start("");
    allocate(4);
    pid_t child = fork();
    if (child == 0) {
        CUdeviceptr pointer;
        int count;
        _exit(cuMemAlloc_v2(&pointer, 4) == CUDA_ERROR_NOT_INITIALIZED && cuInit(0) == CUDA_ERROR_NOT_INITIALIZED &&
                      cuDeviceGetCount(&count) == CUDA_ERROR_NOT_INITIALIZED
                  ? 0
                  : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    allocate(4);
}

static void errors_have_names_and_sentences(void **state) {
    (void)state;
    const char *name, *sentence;
    CHECK(cuGetErrorName(CUDA_ERROR_STREAM_CAPTURE_MERGE, &name));
    assert_string_equal(name, "CUDA_ERROR_STREAM_CAPTURE_MERGE");
    CHECK(cuGetErrorString(CUDA_ERROR_OUT_OF_MEMORY, &sentence));
    assert_string_equal(sentence, "out of memory");
    CHECK_IS(cuGetErrorName((CUresult)12345, &name), CUDA_ERROR_INVALID_VALUE);
    assert_null(name);
}

static void there_are_no_tables_of_the_vendors_own(void **state) {
    (void)state;
    const CUuuid id = {{0}};
    const void *table = &id;
    CHECK_IS(cuGetExportTable(&table, &id), CUDA_ERROR_NOT_FOUND);
    assert_null(table);
    CHECK_IS(cuGetExportTable(NULL, &id), CUDA_ERROR_INVALID_VALUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_devices_say_that_they_are_fake),
        cmocka_unit_test(a_fault_happens_at_its_call_and_once),
        cmocka_unit_test(a_fault_for_good_stays),
        cmocka_unit_test(a_fault_comes_after_the_effect_or_with_a_later_call),
        cmocka_unit_test(some_errors_cost_the_device),
        cmocka_unit_test(work_behind_an_error_does_not_run),
        cmocka_unit_test(functions_are_found_by_name_and_version),
        cmocka_unit_test(an_old_driver_has_fewer_functions),
        cmocka_unit_test(without_a_context_nothing_that_needs_one_works),
        cmocka_unit_test(the_child_of_a_fork_is_not_served),
        cmocka_unit_test(errors_have_names_and_sentences),
        cmocka_unit_test(there_are_no_tables_of_the_vendors_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
