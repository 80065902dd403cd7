/* Signals that interrupt reading and writing. The program is linked so that read and write of the library come here first
 * (interrupts.cmake): every call is interrupted before it does anything, and every second attempt does a part of the work
 * only. Fault 38. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include <tarn/tarn.h>

#include "stand.h"

/* The names that the linker gives. */
// NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
ssize_t __real_read(int file, void *bytes, size_t size);
ssize_t __real_write(int file, const void *bytes, size_t size);
ssize_t __wrap_read(int file, void *bytes, size_t size);
ssize_t __wrap_write(int file, const void *bytes, size_t size);

static unsigned long calls, interrupted;

/* Whether the next call is interrupted. */
static int is_interrupted(void) {
    if (calls++ % 2 != 0) return 0;
    interrupted++;
    errno = EINTR;
    return 1;
}

/* Part of what is asked for, as after a signal in the middle. */
static size_t part_of(size_t size) { return calls % 4 == 0 && size > 1 ? size / 2 : size; }

ssize_t __wrap_read(int file, void *bytes, size_t size) {
    return is_interrupted() ? -1 : __real_read(file, bytes, part_of(size));
}

ssize_t __wrap_write(int file, const void *bytes, size_t size) {
    return is_interrupted() ? -1 : __real_write(file, bytes, part_of(size));
}
// NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

enum { PAIRS = 40000 };

static void record_pairs(const char *path) {
    char spec[400];
    tarn_device *device;
    tarn_allocator *allocator;
    snprintf(spec, sizeof spec, "record:%s | direct", path);
    assert_int_equal(tarn_device_open("sim:1GiB", &device), TARN_OK);
    assert_int_equal(tarn_allocator_create(device, spec, &allocator), TARN_OK);
    for (int i = 0; i < PAIRS; i++) {
        tarn_buffer *buffer;
        assert_int_equal(tarn_allocator_allocate(allocator, 1000 + (size_t)i, NULL, &buffer), TARN_OK);
        assert_int_equal(tarn_allocator_free(allocator, buffer, NULL), TARN_OK);
    }
    assert_int_equal(tarn_allocator_release(allocator), TARN_OK);
    assert_int_equal(tarn_device_release(device), TARN_OK);
}

static tarn_trace *read_whole(const char *path) {
    tarn_trace *trace = NULL;
    tarn_status status = tarn_trace_read(path, &trace);
    if (status != TARN_OK) print_error("%s\n", tarn_last_error());
    assert_int_equal(status, TARN_OK);
    assert_int_equal(info_of(trace).event_count, 2 * PAIRS);
    return trace;
}

static void traces_are_whole_though_every_read_and_write_is_interrupted(void **state) {
    (void)state;
    static const tarn_trace_format formats[] = {TARN_TRACE_TARN, TARN_TRACE_CSV};
    char recorded[256], written[256];
    path_in_folder("recorded.tarn", recorded);
    path_in_folder("written", written);
    interrupted = 0;
    record_pairs(recorded);
    assert_true(interrupted >= 2);
    interrupted = 0;
    tarn_trace *trace = read_whole(recorded);
    assert_true(interrupted >= 2);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        interrupted = 0;
        assert_int_equal(tarn_trace_write(trace, written, formats[i]), TARN_OK);
        assert_true(interrupted >= 2);
        tarn_trace_release(read_whole(written));
    }
    tarn_trace_release(trace);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(traces_are_whole_though_every_read_and_write_is_interrupted)};
    return cmocka_run_group_tests(tests, NULL, remove_folder);
}
