/* Memory and events of another process: this program starts itself again as that process. */
#include "check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Handles go to the other process as text. */
static void to_text(const void *bytes, size_t size, char *text) {
    for (size_t i = 0; i < size; i++) sprintf(text + 2 * i, "%02x", ((const unsigned char *)bytes)[i]);
}

static void of_text(const char *text, void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++) {
        const char digits[3] = {text[2 * i], text[2 * i + 1], 0};
        ((unsigned char *)bytes)[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
}

/* What the program says as the other process: 0, or the line at which something was wrong. */
static int exit_of(const char *task, const char *argument, const char *second) {
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    assert_true(length > 0);
    path[length] = 0;
    pid_t child = fork();
    if (child == 0) {
        execl(path, "test_processes", task, argument, second, (char *)NULL);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

#define EXPECT(condition) \
    if (!(condition)) return __LINE__ & 0xff

static int open_memory(const char *text) {
    CUipcMemHandle handle;
    CUdeviceptr pointer;
    int value;
    of_text(text, &handle, sizeof handle);
    EXPECT(cuIpcOpenMemHandle_v2(&pointer, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) == CUDA_SUCCESS);
    EXPECT(cuMemcpyDtoH_v2(&value, pointer, 4) == CUDA_SUCCESS && value == 77);
    EXPECT(cuMemsetD32_v2(pointer, 78, 1) == CUDA_SUCCESS);
    EXPECT(cuMemFree_v2(pointer) == CUDA_ERROR_INVALID_VALUE);
    EXPECT(cuIpcCloseMemHandle(pointer) == CUDA_SUCCESS);
    EXPECT(cuIpcCloseMemHandle(pointer) == CUDA_ERROR_INVALID_VALUE);
    return 0;
}

static int open_event(const char *text, const char *state) {
    CUipcEventHandle handle;
    CUevent event;
    CUstream stream;
    of_text(text, &handle, sizeof handle);
    EXPECT(cuIpcOpenEventHandle(&event, handle) == CUDA_SUCCESS);
    if (strcmp(state, "pending") == 0) {
        EXPECT(cuEventQuery(event) == CUDA_ERROR_NOT_READY);
        return 0;
    }
    EXPECT(cuEventQuery(event) == CUDA_SUCCESS);
    EXPECT(cuStreamCreate(&stream, 0) == CUDA_SUCCESS);
    EXPECT(cuStreamWaitEvent(stream, event, 0) == CUDA_SUCCESS);
    EXPECT(cuStreamSynchronize(stream) == CUDA_SUCCESS);
    EXPECT(cuEventRecord(event, stream) == CUDA_SUCCESS); /* for the exporter to wait for */
    EXPECT(cuEventSynchronize(event) == CUDA_SUCCESS);
    EXPECT(cuEventDestroy_v2(event) == CUDA_SUCCESS);
    return 0;
}

static void memory_is_opened_by_another_process(void **state) {
    (void)state;
    start("");
    CUdeviceptr pointer = allocate(1000), opened;
    CUipcMemHandle handle;
    char text[2 * sizeof handle + 1];
    CHECK(cuMemsetD32_v2(pointer, 77, 1));
    CHECK(cuIpcGetMemHandle(&handle, pointer));
    CHECK_IS(cuIpcOpenMemHandle_v2(&opened, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS), CUDA_ERROR_INVALID_CONTEXT);
    to_text(&handle, sizeof handle, text);
    assert_int_equal(exit_of("memory", text, ""), 0);
    int value;
    get(&value, pointer, 4);
    assert_int_equal(value, 78);
    handle.reserved[0]++;
    CHECK_IS(cuIpcOpenMemHandle_v2(&opened, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS), CUDA_ERROR_INVALID_HANDLE);
    check_violations(0, NULL);
}

static void events_are_seen_by_another_process(void **state) {
    (void)state;
    start("");
    CUstream stream = stream_new(CU_STREAM_NON_BLOCKING);
    CUevent event, ordinary = event_new();
    CUipcEventHandle handle;
    char text[2 * sizeof handle + 1];
    CHECK_IS(cuEventCreate(&event, CU_EVENT_INTERPROCESS), CUDA_ERROR_INVALID_VALUE);
    CHECK_IS(cuIpcGetEventHandle(&handle, ordinary), CUDA_ERROR_INVALID_VALUE);
    CHECK(cuEventCreate(&event, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
    CHECK(cuIpcGetEventHandle(&handle, event));
    to_text(&handle, sizeof handle, text);
    CHECK(cuEventRecord(event, stream));
    assert_int_equal(exit_of("event", text, "pending"), 0);
    CHECK(cuStreamSynchronize(stream));
    assert_int_equal(exit_of("event", text, "done"), 0);
    CHECK(cuEventDestroy_v2(event));
    check_violations(0, NULL);
}

int main(int count, char **arguments) {
    if (count == 4) {
        start("");
        return strcmp(arguments[1], "memory") == 0 ? open_memory(arguments[2]) : open_event(arguments[2], arguments[3]);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_opened_by_another_process),
        cmocka_unit_test(events_are_seen_by_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
