/* What the backend says where OpenCL is missing, or half there, and what becomes of calls that the driver fails: each call of the driver
 * fails once, the status and the sentence say so, nothing is left over, and the next attempt works. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hal/memory.h"

/* In a child that has not used Tarn. 0: the backend is unavailable, its reason has the text, and cpu works. */
typedef struct lack {
    const char *variable, *value, *reason;
} lack;

static int start_without(void *context) {
    const lack *what = context;
    setenv(what->variable, what->value, 1);
    tarn_backend_info info = {.struct_size = sizeof info};
    tarn_device *device = NULL;
    if (tarn_backend_find("opencl", &info) != TARN_OK) return 1;
    if (info.is_available || strstr(info.reason, what->reason) == NULL) {
        print_error("%s=%s: \"%s\"\n", what->variable, what->value, info.reason);
        return 2;
    }
    if (tarn_device_open("opencl:0", &device) != TARN_UNAVAILABLE) return 3;
    if (strstr(tarn_last_error(), what->reason) == NULL) return 4;
    if (tarn_device_open("cpu", &device) != TARN_OK) return 5;
    return tarn_device_release(device) == TARN_OK ? 0 : 6;
}

static void what_is_missing_is_told_and_cpu_works(void **state) { /* fault 32 */
    (void)state;
    char folder[] = "/tmp/tarn-no-vendors-XXXXXX";
    assert_non_null(mkdtemp(folder));
    lack lacks[] = {
        {"TARN_OPENCL", "off", "TARN_OPENCL is off"},
        {"TARN_OPENCL", "/nowhere/libOpenCL.so", "/nowhere/libOpenCL.so"},
        {"TARN_OPENCL", "libm.so.6", "clGetPlatformIDs"},
        {"OCL_ICD_VENDORS", folder, "no platform"},
        {"OCL_ICD_VENDORS", "/nowhere", "no platform"},
    };
    for (size_t i = 0; i < sizeof lacks / sizeof lacks[0]; i++)
        assert_int_equal(exit_of_child(start_without, &lacks[i]), 0);
    rmdir(folder);
}

static int find_no_device(void *context) {
    (void)context;
    if (open_faulty_driver() != 0) return 1;
    set_fault("clGetDeviceIDs:1");
    tarn_backend_info info = {.struct_size = sizeof info};
    if (tarn_backend_find("opencl", &info) != TARN_OK || info.is_available) return 2;
    return strstr(info.reason, "1 platform and no device") != NULL ? 0 : 3;
}

static void platforms_without_devices_are_told(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(find_no_device, NULL), 0);
}

static void no_work(void *context) { (void)context; }

/* Boxes to and from pinned memory, within one allocation, and from one to another. */
static tarn_status move_boxes(tarn_device *device, tarn_stream *stream, char *memory, char *pinned) {
    const tarn_box box = {.struct_size = sizeof box, .width = 5, .height = 3, .depth = 1, .destination_row_pitch = 8};
    void *other = NULL;
    tarn_status status = hal_memory_allocate(device, TARN_MEMORY_DEVICE, 1000, 0, &other);
    if (status != TARN_OK) return status;
    status = tarn_stream_copy_box(stream, memory, pinned, &box);
    if (status == TARN_OK) status = tarn_stream_copy_box(stream, memory + 100, memory, &box);
    if (status == TARN_OK) status = tarn_stream_copy_box(stream, other, memory, &box);
    if (status == TARN_OK) status = tarn_stream_copy_box(stream, pinned, memory, &box);
    tarn_status synchronized = tarn_stream_synchronize(stream);
    tarn_status freed = hal_memory_free(device, TARN_MEMORY_DEVICE, other, 1000);
    if (status == TARN_OK) status = synchronized;
    return status == TARN_OK ? freed : status;
}

static tarn_status work_on(tarn_device *device, tarn_stream *stream, char *memory, char *pinned) {
    tarn_event *event = NULL;
    tarn_status status = tarn_stream_copy(stream, memory, pinned, 100);
    if (status == TARN_OK) status = move_boxes(device, stream, memory, pinned);
    if (status == TARN_OK) status = tarn_stream_record(stream, &event);
    if (status == TARN_OK) status = tarn_stream_wait(tarn_device_default_stream(device), event);
    if (status == TARN_OK) status = tarn_event_synchronize(event);
    if (status == TARN_OK) status = tarn_stream_enqueue(stream, no_work, NULL);
    if (status == TARN_OK) status = tarn_stream_copy(stream, pinned, memory, 100);
    tarn_status synchronized = tarn_stream_synchronize(stream);
    tarn_event_release(event);
    return status == TARN_OK ? synchronized : status;
}

/* Uses a device in every way; the first failure, after everything was given back. */
static tarn_status use(const char *name) {
    tarn_device *device = NULL;
    tarn_stream *stream = NULL;
    void *memory = NULL, *pinned = NULL;
    tarn_status status = tarn_device_open(name, &device);
    if (status != TARN_OK) return status;
    status = tarn_stream_create(device, &stream);
    if (status == TARN_OK) status = hal_memory_allocate(device, TARN_MEMORY_DEVICE, 1000, 0, &memory);
    if (status == TARN_OK) status = hal_memory_allocate(device, TARN_MEMORY_PINNED, 1000, 0, &pinned);
    if (status == TARN_OK) status = work_on(device, stream, memory, pinned);
    tarn_status results[] = {
        memory != NULL ? hal_memory_free(device, TARN_MEMORY_DEVICE, memory, 1000) : TARN_OK,
        pinned != NULL ? hal_memory_free(device, TARN_MEMORY_PINNED, pinned, 1000) : TARN_OK,
        tarn_stream_release(stream),
        tarn_device_release(device),
    };
    if (pinned != NULL && results[1] != TARN_OK) status = results[1];
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        if (status == TARN_OK) status = results[i];
    return status;
}

/* The k-th call of the function fails, for every k that there is: how many. -1: a failure was not told, or stayed. */
static int sweep(const char *function, const char *device) {
    for (int k = 1; k < 200; k++) {
        char text[64];
        snprintf(text, sizeof text, "%s:%d", function, k);
        set_fault(text);
        tarn_status status = use(device);
        int was_reached = count_calls() >= (unsigned long)k;
        set_fault("");
        if (!was_reached && status == TARN_OK) return k - 1;
        if (!was_reached) return -1;
        if (status == TARN_OK || tarn_last_error()[0] == '\0') {
            print_error("%s on %s: no failure\n", text, device);
            return -1;
        }
        if (use(device) != TARN_OK) {
            print_error("%s on %s stays: %s\n", text, device, tarn_last_error());
            return -1;
        }
    }
    return -1;
}

static int sweep_all(void *context) {
    static const char *const functions[] = {
        "clCreateContext",
        "clCreateCommandQueue",
        "clCreateBuffer",
        "clSVMAlloc",
        "clEnqueueMapBuffer",
        "clEnqueueSVMMemcpy",
        "clEnqueueWriteBuffer",
        "clEnqueueReadBuffer",
        "clEnqueueWriteBufferRect",
        "clEnqueueReadBufferRect",
        "clEnqueueCopyBufferRect",
        "clEnqueueNDRangeKernel",
        "clEnqueueMarkerWithWaitList",
        "clEnqueueBarrierWithWaitList",
        "clCreateUserEvent",
        "clFlush",
        "event",
    };
    const char *device = context;
    if (open_faulty_driver() != 0) return 1;
    int reached = 0;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        int count = sweep(functions[i], device);
        if (count < 0) return 2;
        reached += count;
    }
    print_message("%d of %d failures of the driver on %s were told and left nothing behind\n", reached, reached,
                  device);
    return reached > 10 ? 0 : 3;
}

static void every_failure_of_the_driver_is_told_and_passes(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(sweep_all, "opencl:0"), 0);
    assert_int_equal(exit_of_child(sweep_all, "opencl:0,memory=buffer"), 0);
}

static int misname(void *context) {
    static const struct {
        const char *name;
        tarn_status status;
        const char *sentence;
    } names[] = {
        {"opencl:x", TARN_INVALID_ARGUMENT, "\"x\""},
        {"opencl:0x", TARN_INVALID_ARGUMENT, "\"0x\""},
        {"opencl:-1", TARN_INVALID_ARGUMENT, "\"-1\""},
        {"opencl:0,", TARN_INVALID_ARGUMENT, "memory=svm"},
        {"opencl:0,memory=", TARN_INVALID_ARGUMENT, "memory=buffer"},
        {"opencl:0,memory=buffers", TARN_INVALID_ARGUMENT, "memory=buffers"},
        {"opencl:99", TARN_NOT_FOUND, "device 99"},
    };
    (void)context;
    if (!has_opencl()) return 0;
    tarn_device *device = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (tarn_device_open(names[i].name, &device) != names[i].status) return 1;
        if (strstr(tarn_last_error(), names[i].sentence) == NULL) return 2;
    }
    if (tarn_device_open("opencl", &device) != TARN_OK) return 3;
    return tarn_device_release(device) == TARN_OK ? 0 : 4;
}

static void names_are_read_with_care(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(misname, NULL), 0);
}

int main(void) {
    if (!has_faulty_driver()) return EXIT_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_told_and_cpu_works),
        cmocka_unit_test(platforms_without_devices_are_told),
        cmocka_unit_test(every_failure_of_the_driver_is_told_and_passes),
        cmocka_unit_test(names_are_read_with_care),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
