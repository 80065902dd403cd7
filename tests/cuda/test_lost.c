/* Devices that are lost, children of forks, and streams of other libraries: on the fake driver, which can do the first at any moment. */
#include "gpu.h"

#include <stdbool.h>
#include <string.h>

#define SIZE 65536

static unsigned complaints;

static void count_complaints(void *context, tarn_log_level level, const char *sentence) {
    (void)context;
    (void)level;
    if (strstr(sentence, "the device is lost") != NULL) complaints++;
}

/* 30 */
static void a_device_lost_in_the_middle_of_a_copy_is_told_once_and_everything_ends(void **state) {
    (void)state;
    const fake_cuda *fake = gpu_fake();
    tarn_device *device = gpu_open();
    tarn_allocator *allocator = NULL;
    tarn_stream *stream = NULL;
    tarn_buffer *buffer = NULL, *other = NULL;
    tarn_event *event = NULL;
    enum { ILLEGAL_ADDRESS = 700 };
    assert_ok(tarn_allocator_create(device, "caching", &allocator));
    assert_ok(tarn_stream_create(device, &stream));
    assert_ok(tarn_allocator_allocate(allocator, SIZE, stream, &buffer));
    assert_ok(tarn_allocator_allocate(allocator, SIZE, stream, &other));
    tarn_log_set(count_complaints, NULL, TARN_LOG_WARNING);
    complaints = 0;
    fake->hold(1);
    assert_ok(tarn_stream_copy(stream, tarn_buffer_data(other), tarn_buffer_data(buffer), SIZE));
    assert_ok(tarn_stream_record(stream, &event));
    fake->lose(0, ILLEGAL_ADDRESS);
    fake->hold(0);
    assert_fails(tarn_stream_synchronize(stream), TARN_DEVICE_LOST);
    assert_sentence("CUDA_ERROR_ILLEGAL_ADDRESS (700)");
    /* From here on the driver is not asked. */
    unsigned long long calls = fake->calls(NULL);
    tarn_buffer *more = NULL;
    assert_fails(tarn_stream_copy(stream, tarn_buffer_data(other), tarn_buffer_data(buffer), SIZE), TARN_DEVICE_LOST);
    assert_sentence("lost earlier");
    assert_fails(tarn_allocator_allocate(allocator, 100 * MIB, stream, &more), TARN_DEVICE_LOST);
    assert_fails(tarn_event_synchronize(event), TARN_DEVICE_LOST);
    assert_int_equal(fake->calls(NULL), calls);
    assert_int_equal(complaints, 1);
    assert_ok(tarn_allocator_free(allocator, buffer, stream));
    assert_ok(tarn_allocator_free(allocator, other, stream));
    assert_ok(tarn_allocator_release(allocator));
    assert_int_equal(counters_of(device).memory_in_use, 0);
    assert_ok(tarn_event_release(event));
    tarn_stream_release(stream);
    tarn_device_release(device);
    assert_int_equal(complaints, 1);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    /* With its last user the context ends, and what comes next is a new one. */
    fake->forget_violations();
    device = gpu_open();
    void *memory = gpu_allocate(device, TARN_MEMORY_DEVICE, SIZE);
    assert_ok(tarn_stream_fill(tarn_device_default_stream(device), memory, "", 1, SIZE));
    assert_ok(tarn_device_synchronize(device));
    gpu_free(device, TARN_MEMORY_DEVICE, memory, SIZE);
    assert_ok(tarn_device_release(device));
}

typedef struct family {
    tarn_device *device;
    tarn_allocator *allocator;
    tarn_stream *stream;
    tarn_buffer *buffer;
} family;

static int be_a_child(void *context) {
    const family *it = context;
    const fake_cuda *fake = fake_cuda_find();
    unsigned long long calls = fake != NULL ? fake->calls(NULL) : 0;
    tarn_buffer *buffer = NULL;
    tarn_device *again = NULL;
    if (tarn_stream_synchronize(it->stream) != TARN_UNAVAILABLE) return 1;
    if (tarn_allocator_allocate(it->allocator, 90 * MIB, it->stream, &buffer) != TARN_UNAVAILABLE) return 2;
    if (tarn_device_open("cuda:0", &again) != TARN_UNAVAILABLE) return 3;
    if (strstr(tarn_last_error(), "forked") == NULL) return 4;
    if (tarn_allocator_free(it->allocator, it->buffer, it->stream) != TARN_OK) return 5;
    if (tarn_allocator_release(it->allocator) != TARN_OK) return 6;
    tarn_stream_release(it->stream);
    tarn_device_release(it->device);
    return fake != NULL && fake->calls(NULL) != calls ? 7 : 0;
}

/* 36 */
static void a_child_of_a_fork_never_calls_the_driver_and_the_parent_goes_on(void **state) {
    (void)state;
    family it = {.device = gpu_open()};
    assert_ok(tarn_allocator_create(it.device, "caching", &it.allocator));
    assert_ok(tarn_stream_create(it.device, &it.stream));
    assert_ok(tarn_allocator_allocate(it.allocator, SIZE, it.stream, &it.buffer));
    assert_ok(tarn_stream_fill(it.stream, tarn_buffer_data(it.buffer), "", 1, SIZE));
    assert_int_equal(exit_of_child(be_a_child, &it), 0);
    assert_ok(tarn_stream_fill(it.stream, tarn_buffer_data(it.buffer), "", 1, SIZE));
    assert_ok(tarn_stream_synchronize(it.stream));
    assert_ok(tarn_allocator_free(it.allocator, it.buffer, it.stream));
    assert_ok(tarn_allocator_release(it.allocator));
    assert_ok(tarn_stream_release(it.stream));
    gpu_close(it.device);
}

static void a_stream_of_another_library_is_used_and_left_alone(void **state) {
    (void)state;
    tarn_device *device = gpu_open(), *other = NULL;
    tarn_stream *made = NULL, *adopted = NULL, *legacy = NULL;
    void *native = NULL, *context = NULL, *same = NULL;
    assert_ok(tarn_device_native(device, &context));
    assert_non_null(context);
    assert_ok(tarn_stream_create(device, &made));
    assert_ok(tarn_stream_native(made, &native));
    assert_non_null(native);
    assert_ok(tarn_stream_adopt(device, native, &adopted));
    assert_ok(tarn_stream_native(adopted, &same));
    assert_ptr_equal(same, native);
    assert_ok(tarn_stream_adopt(device, NULL, &legacy));
    unsigned char *memory = gpu_allocate(device, TARN_MEMORY_DEVICE, SIZE), bytes[8];
    assert_ok(tarn_stream_fill(adopted, memory, "q", 1, SIZE));
    assert_ok(tarn_stream_synchronize(made)); /* one and the same */
    assert_ok(tarn_stream_fill(legacy, memory, "r", 1, SIZE / 2));
    assert_ok(tarn_stream_synchronize(legacy));
    gpu_read(device, bytes, memory + SIZE / 2 - 4, 8);
    assert_memory_equal(bytes, "rrrrqqqq", 8);
    if (tarn_device_open("cuda:1", &other) == TARN_OK) {
        tarn_stream *refused = NULL;
        assert_fails(tarn_stream_adopt(other, native, &refused), TARN_INVALID_ARGUMENT);
        assert_null(refused);
        assert_ok(tarn_device_release(other));
    }
    assert_ok(tarn_stream_release(adopted));
    assert_ok(tarn_stream_release(legacy));
    assert_ok(tarn_stream_fill(made, memory, "s", 1, SIZE));
    assert_ok(tarn_stream_release(made));
    gpu_free(device, TARN_MEMORY_DEVICE, memory, SIZE);
    gpu_close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_of_a_fork_never_calls_the_driver_and_the_parent_goes_on),
        cmocka_unit_test(a_stream_of_another_library_is_used_and_left_alone),
        cmocka_unit_test(a_device_lost_in_the_middle_of_a_copy_is_told_once_and_everything_ends),
    };
    return cmocka_run_group_tests_name("CUDA devices that are lost or shared", tests, NULL, NULL);
}
