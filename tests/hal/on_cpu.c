/* The cpu device of a test; see on_cpu.h. */
#include "on_cpu.h"

#include "check.h"

tarn_device *cpu;

int open_cpu(void **state) {
    (void)state;
    return tarn_device_open("cpu", &cpu) == TARN_OK ? 0 : -1;
}

int close_cpu(void **state) {
    (void)state;
    return tarn_device_release(cpu) == TARN_OK ? 0 : -1;
}

tarn_stream *new_stream(tarn_device *device) {
    tarn_stream *stream = NULL;
    assert_ok(tarn_stream_create(device, &stream));
    return stream;
}

int is_complete(tarn_event *event) {
    int answer = -1;
    assert_ok(tarn_event_is_complete(event, &answer));
    return answer;
}
