/* What a conformance test stands on: one allocator on one device, made before the test and checked after it.
 *
 * A test is a function that gets a stand. The runner turns each test into one cmocka test for every spec and device that has
 * what it needs. Afterwards the stand walks the allocator's structure, releases everything, and compares the device's memory
 * with what it was before: a test that leaks fails. */
#ifndef TESTS_MEMORY_STAND_H
#define TESTS_MEMORY_STAND_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "gate.h"
#include "slowness.h"
#include "specs.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

#define STAND_STREAMS 4

typedef struct test_stand {
    const char *spec; /* as listed */
    const char *device_name;
    unsigned abilities; /* SPEC_… and DEVICE_… */
    tarn_device *device;
    tarn_allocator *allocator;
    tarn_device_properties properties;
    tarn_stream *streams[STAND_STREAMS];
    test_gate gates[STAND_STREAMS]; /* of held streams */
    bool is_held[STAND_STREAMS];
    uint64_t memory_before;
    char file[128];
} test_stand;

typedef struct conformance_test {
    const char *name;
    void (*run)(test_stand *stand);
    unsigned needs; /* SPEC_… and DEVICE_… that must be there */
} conformance_test;

#define CONFORMANCE_TEST(function, needs_) \
    { #function, function, needs_ }

/* Runs each test on each spec and device; returns the number of failures, as main does. */
int conformance_run(const char *group, const conformance_test *tests, size_t count);

/* Opens a device and creates an allocator on it outside the lists, for tests that need a certain one. */
void stand_open(test_stand *stand, const char *spec, const char *device_name);
/* Checks and releases everything, fails the test when memory is left. */
void stand_close(test_stand *stand);

/* The n-th extra stream of the stand, made when first asked for. */
tarn_stream *stand_stream(test_stand *stand, int n);
/* Holds the n-th stream back: what is enqueued from now on waits. Needs DEVICE_GATES. Several are let go in the order in which they were held. */
void stand_hold(test_stand *stand, int n);
void stand_let_go(test_stand *stand, int n);

/* A size that is large only to be large; a sixteenth of it where each byte takes time, as under valgrind, which marks every byte of real memory
 * that is mapped. */
size_t stand_large(const test_stand *stand, size_t size);
/* Allocates and must succeed; `stream` NULL: the default one. */
tarn_buffer *take(test_stand *stand, size_t size, tarn_stream *stream);
tarn_buffer *take_aligned(test_stand *stand, size_t size, size_t alignment);
/* Frees and must succeed. */
void give(test_stand *stand, tarn_buffer *buffer, tarn_stream *stream);
tarn_memory_stats stats_of(tarn_allocator *allocator);
tarn_device_counters counters_of(tarn_device *device);

/* Asks again for `size` until the answer is another buffer than `buffer`'s memory would allow. */
int buffers_overlap(const tarn_buffer *a, const tarn_buffer *b);

/* Fails the test unless the status is the wanted one; for the thread of the test only. */
void expect_status(tarn_status got, tarn_status wanted, const char *call, const char *file, int line);
#define EXPECT(wanted, call) expect_status((call), (wanted), #call, __FILE__, __LINE__)
#define EXPECT_OK(call) EXPECT(TARN_OK, call)
/* Whether the last error's sentence contains the text. */
void expect_sentence(const char *part, const char *file, int line);
#define EXPECT_SENTENCE(part) expect_sentence(part, __FILE__, __LINE__)

/* What the log said since log_listen, one sentence a line; log_silence ends it. */
void log_listen(void);
const char *log_heard(void);
void log_silence(void);

#endif
