/* Device, pinned, managed and registered memory: capacity, guards, poison, frees that are wrong, attributes of pointers. */
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void bytes_come_back_as_they_were_put(void **state) {
    (void)state;
    start("");
    char out[1000], in[1000];
    for (size_t i = 0; i < sizeof out; i++) out[i] = (char)(i * 7);
    CUdeviceptr pointer = allocate(sizeof out);
    put(pointer, out, sizeof out);
    get(in, pointer, sizeof in);
    assert_memory_equal(out, in, sizeof in);
    CHECK(cuMemFree_v2(pointer));
    check_violations(0, NULL);
    const char *list;
    assert_int_equal(fakecuda_live_objects(&list), 0);
    assert_string_equal(list, "");
}

/* The signal that ends a child which does this. */
static int signal_of(void (*act)(CUdeviceptr), CUdeviceptr pointer) {
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        act(pointer);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void touch(CUdeviceptr pointer) { *(volatile char *)(uintptr_t)pointer = 1; }

static void a_program_cannot_touch_device_memory(void **state) {
    (void)state;
    start("");
    CUdeviceptr pointer = allocate(100);
    assert_int_equal(signal_of(touch, pointer), SIGSEGV);
    CHECK(cuMemFree_v2(pointer));
    assert_int_equal(signal_of(touch, pointer), SIGSEGV);
}

static void a_program_can_touch_pinned_memory_up_to_its_guard(void **state) {
    (void)state;
    start("");
    void *pinned;
    CHECK(cuMemHostAlloc(&pinned, 4096, 0));
    memset(pinned, 1, 4096);
    assert_int_equal(signal_of(touch, (CUdeviceptr)(uintptr_t)pinned + 4096), SIGSEGV);
    assert_int_equal(signal_of(touch, (CUdeviceptr)(uintptr_t)pinned - 1), SIGSEGV);
    CHECK(cuMemFreeHost(pinned));
    assert_int_equal(signal_of(touch, (CUdeviceptr)(uintptr_t)pinned), SIGSEGV);
}

static void new_memory_holds_no_zeros(void **state) {
    (void)state;
    start("");
    unsigned char seen[64] = {0};
    CUdeviceptr pointer = allocate(sizeof seen);
    get(seen, pointer, sizeof seen);
    for (size_t i = 0; i < sizeof seen; i++) assert_int_equal(seen[i], 0xff);
}

static void memory_ends_at_its_capacity(void **state) {
    (void)state;
    start("MEMORY=64MiB");
    size_t unused, total;
    CHECK(cuMemGetInfo_v2(&unused, &total));
    assert_int_equal(unused, 64 << 20);
    assert_int_equal(total, 64 << 20);
    CUdeviceptr first = allocate((40 << 20) + 1), second;
    CHECK_IS(cuMemAlloc_v2(&second, 24 << 20), CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(cuMemAlloc_v2(&second, 22 << 20));
    CHECK(cuMemGetInfo_v2(&unused, &total));
    assert_int_equal(unused, 0);
    CHECK(cuMemFree_v2(first));
    CHECK(cuMemGetInfo_v2(&unused, &total));
    assert_int_equal(unused, 42 << 20);
    assert_int_equal(fakecuda_memory_used(0), 22 << 20);
    assert_int_equal(fakecuda_memory_used(1), 0);
    check_violations(0, NULL);
}

static void small_allocations_share_a_granule(void **state) {
    (void)state;
    start("");
    for (int i = 0; i < 100; i++) assert_int_equal(allocate(1000) % 512, 0);
    assert_int_equal(fakecuda_memory_used(0), 2 << 20);
}

static void wrong_frees_are_refused_and_counted(void **state) {
    (void)state;
    start("");
    CUdeviceptr pointer = allocate(1000);
    CHECK_IS(cuMemFree_v2(pointer + 1), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "not the beginning");
    CHECK(cuMemFree_v2(0));
    CHECK(cuMemFree_v2(pointer));
    CHECK_IS(cuMemFree_v2(pointer), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "not the beginning");
    void *pinned;
    CHECK(cuMemHostAlloc(&pinned, 10, 0));
    CHECK_IS(cuMemFree_v2((CUdeviceptr)(uintptr_t)pinned), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "not memory that cuMemFree frees");
    CHECK(cuMemFreeHost(pinned));
    CHECK_IS(cuMemFreeHost(pinned), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "no pinned allocation");
}

static void copies_beyond_an_allocation_are_refused_and_counted(void **state) {
    (void)state;
    start("");
    char bytes[101] = {0};
    CUdeviceptr pointer = allocate(100);
    CHECK_IS(cuMemcpyHtoD_v2(pointer, bytes, 101), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "last of their allocation");
    CHECK_IS(cuMemsetD8_v2(pointer + 100, 1, 1), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "no memory of a device");
    CHECK_IS(cuMemcpyDtoH_v2(bytes, (CUdeviceptr)(uintptr_t)bytes, 10), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "no memory of a device");
    CHECK(cuMemFree_v2(pointer));
    CHECK_IS(cuMemcpyHtoD_v2(pointer, bytes, 100), CUDA_ERROR_INVALID_VALUE);
    check_violations(1, "no memory of a device");
}

static void registered_memory_is_known_until_it_is_unregistered(void **state) {
    (void)state;
    start("");
    static char bytes[10000];
    CUdeviceptr pointer;
    CHECK(cuMemHostRegister_v2(bytes, sizeof bytes, 0));
    CHECK_IS(cuMemHostRegister_v2(bytes + 5000, 10, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    CHECK(cuMemHostGetDevicePointer_v2(&pointer, bytes, 0));
    assert_int_equal(pointer, (uintptr_t)bytes);
    CHECK(cuMemHostUnregister(bytes));
    CHECK_IS(cuMemHostGetDevicePointer_v2(&pointer, bytes, 0), CUDA_ERROR_INVALID_VALUE);
    check_violations(0, NULL);
    CHECK_IS(cuMemHostUnregister(bytes), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    check_violations(1, "not registered");
}

static void pointers_say_what_they_are(void **state) {
    (void)state;
    start("");
    CUdeviceptr pointer = allocate(1000), managed, base;
    void *pinned;
    CHECK(cuMemHostAlloc(&pinned, 10, 0));
    CHECK(cuMemAllocManaged(&managed, 10, CU_MEM_ATTACH_GLOBAL));
    *(char *)(uintptr_t)managed = 1;
    unsigned type, is_managed;
    int ordinal = -1, here = 0;
    CHECK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, pointer + 999));
    assert_int_equal(type, CU_MEMORYTYPE_DEVICE);
    CHECK(cuPointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, pointer));
    assert_int_equal(ordinal, 0);
    CHECK(cuPointerGetAttribute(&base, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, pointer + 999));
    assert_int_equal(base, pointer);
    CHECK_IS(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, pointer + 1000), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)pinned));
    assert_int_equal(type, CU_MEMORYTYPE_HOST);
    CHECK(cuPointerGetAttribute(&is_managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, managed));
    assert_int_equal(is_managed, 1);
    CUpointer_attribute two[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
    void *into[] = {&type, &ordinal};
    CHECK(cuPointerGetAttributes(2, two, into, (CUdeviceptr)(uintptr_t)&here));
    assert_int_equal(type, 0);
    assert_int_equal(ordinal, -2);
}

static void what_a_context_still_has_at_its_end_is_a_leak(void **state) {
    (void)state;
    start("DEVICES=1");
    allocate(10);
    CHECK(cuDevicePrimaryCtxRelease_v2(0));
    check_violations(1, "a context ends with 1");
    assert_int_equal(fakecuda_memory_used(0), 0);
    CUdeviceptr pointer;
    CHECK_IS(cuMemAlloc_v2(&pointer, 10), CUDA_ERROR_INVALID_CONTEXT);
    CHECK_IS(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
    check_violations(1, "is not retained");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back_as_they_were_put),
        cmocka_unit_test(a_program_cannot_touch_device_memory),
        cmocka_unit_test(a_program_can_touch_pinned_memory_up_to_its_guard),
        cmocka_unit_test(new_memory_holds_no_zeros),
        cmocka_unit_test(memory_ends_at_its_capacity),
        cmocka_unit_test(small_allocations_share_a_granule),
        cmocka_unit_test(wrong_frees_are_refused_and_counted),
        cmocka_unit_test(copies_beyond_an_allocation_are_refused_and_counted),
        cmocka_unit_test(registered_memory_is_known_until_it_is_unregistered),
        cmocka_unit_test(pointers_say_what_they_are),
        cmocka_unit_test(what_a_context_still_has_at_its_end_is_a_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
