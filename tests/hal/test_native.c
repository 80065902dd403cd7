/* Streams and contexts of other libraries. */
#include "check.h"

#include "base/memory.h"
#include "fake.h"
#include "scripted.h"

static struct {
    tarn_status adopt, stream_native, device_native;
    int gives_null;
    void *adopted; /* what was adopted last */
    int adoptions;
} native;

static tarn_status stream_adopt(tarn_backend_device *device, void *given, tarn_backend_stream **out_stream) {
    if (native.adopt != TARN_OK) return native.adopt;
    native.adopted = given;
    native.adoptions++;
    return native.gives_null ? TARN_OK : fake_driver.stream_create(device, out_stream);
}

static tarn_status stream_native(tarn_backend_device *device, tarn_backend_stream *stream, void **out_native) {
    (void)device;
    if (native.stream_native == TARN_OK) *out_native = stream;
    return native.stream_native;
}

static tarn_status device_native(tarn_backend_device *device, void **out_native) {
    if (native.device_native == TARN_OK) *out_native = device;
    return native.device_native;
}

static int open_device(void **state) {
    static tarn_backend table;
    static int is_registered;
    scripted_reset();
    native.adopt = native.stream_native = native.device_native = TARN_OK;
    native.gives_null = native.adoptions = 0;
    if (!is_registered) {
        table = scripted_table("lent");
        table.stream_adopt = stream_adopt;
        table.stream_native = stream_native;
        table.device_native = device_native;
        if (tarn_backend_register(&table) != TARN_OK) return -1;
    }
    is_registered = 1;
    tarn_device *device;
    if (tarn_device_open("lent:0", &device) != TARN_OK) return -1;
    *state = device;
    return 0;
}

static int close_device(void **state) { return (int)tarn_device_release(*state); }

static void an_adopted_stream_is_one_like_the_others(void **state) {
    int theirs;
    tarn_stream *stream, *null_stream;
    tarn_event *event = NULL;
    assert_ok(tarn_stream_adopt(*state, &theirs, &stream));
    assert_ptr_equal(native.adopted, &theirs);
    assert_ptr_equal(tarn_stream_device(stream), *state);
    assert_ok(tarn_stream_record(stream, &event));
    assert_ok(tarn_stream_synchronize(stream));
    assert_ok(tarn_event_release(event));
    /* CUDA's default stream. */
    assert_ok(tarn_stream_adopt(*state, NULL, &null_stream));
    assert_null(native.adopted);
    int before = scripted_calls.stream_destroys;
    assert_ok(tarn_stream_release(stream));
    assert_ok(tarn_stream_release(null_stream));
    assert_int_equal(scripted_calls.stream_destroys - before, 2);
}

static void a_driver_that_does_not_know_the_stream_is_told_of(void **state) {
    int theirs;
    tarn_stream *stream = NULL;
    native.adopt = TARN_INVALID_ARGUMENT;
    assert_fails(tarn_stream_adopt(*state, &theirs, &stream), TARN_INVALID_ARGUMENT);
    assert_sentence("lent:0");
    native.adopt = TARN_OK;
    native.gives_null = 1;
    assert_fails(tarn_stream_adopt(*state, &theirs, &stream), TARN_INTERNAL);
    native.gives_null = 0;
    base_memory_fail_at(1, 0);
    assert_fails(tarn_stream_adopt(*state, &theirs, &stream), TARN_OUT_OF_MEMORY);
    base_memory_fail_at(0, 0);
    assert_null(stream);
    assert_int_equal(native.adoptions, 1);
    assert_ok(tarn_stream_adopt(*state, &theirs, &stream));
    assert_ok(tarn_stream_release(stream));
}

static void what_the_driver_has_behind_streams_and_devices_is_told(void **state) {
    void *found = NULL;
    tarn_stream *stream = tarn_device_default_stream(*state);
    assert_ok(tarn_stream_native(stream, &found));
    assert_non_null(found);
    assert_ok(tarn_device_native(*state, &found));
    assert_non_null(found);
    found = NULL;
    native.stream_native = native.device_native = TARN_INTERNAL;
    assert_fails(tarn_stream_native(stream, &found), TARN_INTERNAL);
    assert_fails(tarn_device_native(*state, &found), TARN_INTERNAL);
    assert_null(found);
}

static void the_cpu_has_no_such_things(void **state) {
    (void)state;
    tarn_device *device;
    tarn_stream *stream = NULL;
    void *found = NULL;
    assert_ok(tarn_device_open("cpu", &device));
    assert_fails(tarn_stream_adopt(device, &found, &stream), TARN_NOT_SUPPORTED);
    assert_sentence("cpu");
    assert_fails(tarn_stream_native(tarn_device_default_stream(device), &found), TARN_NOT_SUPPORTED);
    assert_fails(tarn_device_native(device, &found), TARN_NOT_SUPPORTED);
    assert_null(found);
    assert_null(stream);
    assert_ok(tarn_device_release(device));
}

static void what_is_null_is_refused(void **state) {
    void *found;
    tarn_stream *stream;
    assert_fails(tarn_stream_adopt(NULL, NULL, &stream), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_adopt(*state, NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_native(NULL, &found), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_stream_native(tarn_device_default_stream(*state), NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_native(NULL, &found), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_native(*state, NULL), TARN_INVALID_ARGUMENT);
}

#define NATIVE_TEST(name) cmocka_unit_test_setup_teardown(name, open_device, close_device)

int main(void) {
    const struct CMUnitTest tests[] = {
        NATIVE_TEST(an_adopted_stream_is_one_like_the_others),
        NATIVE_TEST(a_driver_that_does_not_know_the_stream_is_told_of),
        NATIVE_TEST(what_the_driver_has_behind_streams_and_devices_is_told),
        NATIVE_TEST(the_cpu_has_no_such_things),
        NATIVE_TEST(what_is_null_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
