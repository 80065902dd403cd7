/* What tests of the OpenCL backend stand on: the plug-in, a device of it, and memory that is read back through copies. */
#ifndef TESTS_OPENCL_DEVICE_H
#define TESTS_OPENCL_DEVICE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "child.h"

#define assert_ok(call) check_status((call), TARN_OK, #call, __FILE__, __LINE__)
#define assert_fails(call, status) check_status((call), (status), #call, __FILE__, __LINE__)
/* The last sentence contains the text. */
#define assert_sentence(text) check_sentence((text), __FILE__, __LINE__)

void check_status(tarn_status answered, tarn_status expected, const char *call, const char *file, int line);
void check_sentence(const char *text, const char *file, int line);

/* What a program returns that finds nothing to test, having said why. */
#define EXIT_SKIPPED 77

/* The device under test, opened by the set-up functions: with shared virtual memory, and with buffers. */
extern tarn_device *opencl_device;
int open_shared(void **state);
int open_buffer(void **state);
int close_device(void **state);
/* Once with each kind of memory. */
#define TEST_SHARED(function) \
    { #function " [svm]", function, open_shared, close_device, NULL }
#define TEST_BUFFER(function) \
    { #function " [buffer]", function, open_buffer, close_device, NULL }
#define TEST_BOTH(function) TEST_SHARED(function), TEST_BUFFER(function)
/* Whether the backend can be used here; prints why not. */
int has_opencl(void);

/* Whether the plug-in is here, and the driver that fails (driver/faulty.c), which ctest alone knows; prints why not. */
int has_faulty_driver(void);
/* Has the plug-in open that driver, in a process where it has not been opened: 0, or 1 with the reason printed. */
int open_faulty_driver(void);
/* "clFinish:3": the third call from now on fails; "": none. */
extern void (*set_fault)(const char *text);
/* How often the function was called since then. */
extern unsigned long (*count_calls)(void);
/* The function is called by each clBuildProgram before it does anything, on the thread that builds. To be set before there are other threads. */
extern void (*watch_builds)(void (*function)(void));

#endif
