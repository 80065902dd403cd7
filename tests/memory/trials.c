/* See trials.h. */
#include "trials.h"

#include <string.h>

#include "base/memory.h"
#include "fake.h"

static unsigned long reached; /* requests for host memory of this run */

void trial_shortage_ends(void) {
    reached = base_memory_requests();
    base_memory_fail_at(0, 0);
}

unsigned long trial_of_each_shortage(const char *spec, const char *device, void (*body)(test_stand *stand)) {
    unsigned long requests = 0;
    for (;;) {
        test_stand stand;
        stand_open(&stand, spec, device);
        base_memory_fail_at(requests + 1, 0);
        body(&stand);
        stand_close(&stand);
        if (reached <= requests) break;
        requests++;
    }
    print_message("%lu of %lu host allocations\n", requests, requests);
    return requests;
}

void trial_of_an_end_without_driver(const char *spec) {
    tarn_device *device = NULL;
    tarn_allocator *allocator = NULL;
    tarn_stream *stream = NULL;
    tarn_buffer *buffer = NULL;
    fake_install();
    EXPECT_OK(tarn_device_open("fake:2GiB", &device));
    EXPECT_OK(tarn_stream_create(device, &stream));
    EXPECT_OK(tarn_allocator_create(device, spec, &allocator));
    EXPECT_OK(tarn_allocator_allocate(allocator, 50 * MIB, stream, &buffer));
    EXPECT_OK(tarn_allocator_free(allocator, buffer, NULL));
    EXPECT_OK(tarn_allocator_allocate(allocator, 50 * MIB, NULL, &buffer));
    EXPECT_OK(tarn_allocator_free(allocator, buffer, stream));
    log_listen();
    fake_fail(FAKE_TAKING_MEMORY | FAKE_WAITS | FAKE_EVENTS, 1, 1, TARN_INTERNAL);
    EXPECT_OK(tarn_allocator_release(allocator));
    assert_non_null(strstr(log_heard(), "could not be given back"));
    fake_reset();
    log_silence();
    EXPECT_OK(tarn_stream_release(stream));
    tarn_device_release(device);
    /* The driver closes with memory in use, as it wanted it. */
    fake_reset();
}

void trial_of_a_recording(test_stand *stand, size_t allocations) {
    tarn_trace *trace = NULL;
    tarn_trace_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_trace_read(stand->file, &trace));
    EXPECT_OK(tarn_trace_info_get(trace, &info));
    size_t frees = 0;
    for (size_t i = 0; i < info.event_count; i++) frees += tarn_trace_events(trace)[i].action == TARN_TRACE_FREE;
    assert_int_equal(frees, allocations);
    assert_int_equal(info.allocation_count, allocations);
    tarn_trace_release(trace);
}

void trial_of_a_release_before_the_last_free(test_stand *stand) {
    tarn_buffer *left = take(stand, 100, NULL);
    log_listen();
    EXPECT_OK(tarn_allocator_release(stand->allocator));
    stand->allocator = NULL;
    log_silence();
    assert_non_null(strstr(log_heard(), "1 live buffers"));
    assert_true(tarn_buffer_is_valid(left));
    EXPECT_OK(tarn_buffer_free(left, NULL));
    assert_int_equal(counters_of(stand->device).memory_in_use, stand->memory_before);
}
