/* Helpers for the tests of the fake driver. */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

CUcontext contexts[2];

static const char *const names[] = {"VERSION", "DEVICES", "MEMORY", "PEERS",   "SEED",
                                    "THREADS", "DELAY",   "FAULT",  "MISSING", "KERNELS"};

static void set(const char *name, const char *value) {
    char whole[64];
    snprintf(whole, sizeof whole, "FAKECUDA_%s", name);
    if (value != NULL) setenv(whole, value, 1);
    else unsetenv(whole);
}

void start(const char *settings) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) set(names[i], NULL);
    /* Nothing runs by itself, so that no test depends on time; a test that wants it says so. */
    set("IDLE", "0");
    char text[512];
    snprintf(text, sizeof text, "%s", settings);
    char *rest = text;
    for (char *value = strsep(&rest, " "); value != NULL; value = strsep(&rest, " ")) {
        const char *name = strsep(&value, "=");
        if (value != NULL) set(name, value);
    }
    fakecuda_reset();
    contexts[0] = contexts[1] = NULL;
    int count;
    if (cuInit(0) != CUDA_SUCCESS) return;
    CHECK(cuDeviceGetCount(&count));
    for (int i = 0; i < count && i < 2; i++) CHECK(cuDevicePrimaryCtxRetain(&contexts[i], i));
    CHECK(cuCtxSetCurrent(contexts[0]));
}

void check_result(CUresult result, CUresult expected, const char *call, const char *file, int line) {
    if (result == expected) return;
    const char *name = "?", *expected_name = "?";
    cuGetErrorName(result, &name);
    cuGetErrorName(expected, &expected_name);
    const char *first = NULL;
    fakecuda_violations(&first);
    print_error("%s is %s, not %s%s%s\n", call, name, expected_name, first != NULL ? "; first violation: " : "",
                first != NULL ? first : "");
    _fail(file, line);
}

void check_violations(unsigned long long expected, const char *words) {
    const char *first = NULL;
    unsigned long long count = fakecuda_violations(&first);
    if (count != expected)
        print_error("%llu violations, not %llu; the first: %s\n", count, expected, first != NULL ? first : "");
    assert_true(count == expected);
    if (words != NULL && (first == NULL || strstr(first, words) == NULL)) {
        print_error("\"%s\" is not in \"%s\"\n", words, first != NULL ? first : "");
        fail();
    }
    fakecuda_forget_violations();
}

CUdeviceptr allocate(size_t size) {
    CUdeviceptr pointer;
    CHECK(cuMemAlloc_v2(&pointer, size));
    return pointer;
}

CUstream stream_new(unsigned flags) {
    CUstream stream;
    CHECK(cuStreamCreate(&stream, flags));
    return stream;
}

CUevent event_new(void) {
    CUevent event;
    CHECK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    return event;
}

void put(CUdeviceptr to, const void *from, size_t size) { CHECK(cuMemcpyHtoD_v2(to, from, size)); }
void get(void *to, CUdeviceptr from, size_t size) { CHECK(cuMemcpyDtoH_v2(to, from, size)); }
