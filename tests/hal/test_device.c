/* Devices: one for each name, from any thread, and closed with the last reference. */
#include "check.h"

#include <pthread.h>
#include <string.h>

#include "base/memory.h"
#include "scripted.h"

static tarn_backend table;

static int register_fake(void **state) {
    (void)state;
    scripted_reset();
    table = scripted_table("fake");
    return tarn_backend_register(&table) == TARN_OK ? 0 : -1;
}

static int reset(void **state) {
    (void)state;
    scripted_reset();
    return 0;
}

static void the_same_name_gives_the_same_device(void **state) {
    (void)state;
    tarn_device *first = NULL, *second = NULL, *other = NULL;
    assert_ok(tarn_device_open("fake:0", &first));
    assert_ok(tarn_device_open("fake:0", &second));
    assert_ptr_equal(first, second);
    assert_ok(tarn_device_open("fake:1", &other));
    assert_ptr_not_equal(first, other);
    assert_int_equal(scripted_calls.opens, 2);
    assert_ok(tarn_device_release(first));
    assert_int_equal(scripted_calls.closes, 0);
    assert_ok(tarn_device_release(second));
    assert_int_equal(scripted_calls.closes, 1);
    assert_ok(tarn_device_release(other));
    assert_ok(tarn_device_open("fake:0", &first));
    assert_int_equal(scripted_calls.opens, 3);
    assert_ok(tarn_device_release(first));
    assert_ok(tarn_device_release(NULL));
}

static void *open_race(void *context) {
    tarn_device *device = NULL;
    (void)context;
    return tarn_device_open("fake:race", &device) == TARN_OK ? device : NULL;
}

static void eight_threads_get_one_device(void **state) {
    (void)state;
    pthread_t threads[8];
    tarn_device *devices[8];
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, open_race, NULL), 0);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], (void **)&devices[i]);
    assert_non_null(devices[0]);
    for (int i = 1; i < 8; i++) assert_ptr_equal(devices[i], devices[0]);
    assert_int_equal(scripted_calls.opens, 1);
    for (int i = 0; i < 8; i++) assert_ok(tarn_device_release(devices[i]));
    assert_int_equal(scripted_calls.closes, 1);
}

static void *open_and_release(void *context) {
    (void)context;
    for (int i = 0; i < 2000; i++) {
        tarn_device *device = NULL;
        if (tarn_device_open("fake:churn", &device) != TARN_OK || tarn_device_release(device) != TARN_OK)
            return "failed";
    }
    return NULL;
}

static void opening_and_closing_race_without_harm(void **state) {
    (void)state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, open_and_release, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    assert_int_equal(scripted_calls.opens, scripted_calls.closes);
}

static void malformed_and_unknown_names_are_told_apart(void **state) {
    (void)state;
    tarn_device *device = (tarn_device *)&table;
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *const malformed[] = {NULL, "", ":", ":0", "cpu:", longest};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        assert_fails(tarn_device_open(malformed[i], &device), TARN_INVALID_ARGUMENT);
    }
    assert_fails(tarn_device_open("cpu", NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_open("cuba:0", &device), TARN_NOT_FOUND);
    assert_sentence("\"cuba\"");
    assert_fails(tarn_device_open("cpu:0", &device), TARN_INVALID_ARGUMENT);
    assert_sentence("\"0\"");
    assert_ptr_equal(device, &table);
}

static void a_device_that_fails_to_open_can_be_tried_again(void **state) {
    (void)state;
    tarn_device *device = NULL;
    scripted.open = TARN_NOT_FOUND;
    scripted.explains = 1;
    assert_fails(tarn_device_open("fake:7", &device), TARN_NOT_FOUND);
    assert_sentence("fake:7: the fake was told to fail");
    assert_null(device);
    scripted.explains = 0;
    assert_fails(tarn_device_open("fake:7", &device), TARN_NOT_FOUND);
    assert_sentence("device_open answered NOT_FOUND");
    scripted.open = (tarn_status)4711;
    assert_fails(tarn_device_open("fake:7", &device), TARN_INTERNAL);
    assert_sentence("4711");
    scripted.open = TARN_OK;
    assert_ok(tarn_device_open("fake:7", &device));
    assert_ok(tarn_device_release(device));
}

static void nonsense_from_a_backend_is_caught(void **state) { /* fault 35 */
    (void)state;
    tarn_device *device = NULL;
    scripted.opens_nothing = 1;
    assert_fails(tarn_device_open("fake:0", &device), TARN_INTERNAL);
    scripted.opens_nothing = 0;
    scripted.alignment = 48;
    assert_fails(tarn_device_open("fake:0", &device), TARN_INTERNAL);
    assert_sentence("48");
    scripted.alignment = 8192;
    assert_fails(tarn_device_open("fake:0", &device), TARN_INTERNAL);
    scripted.alignment = 64;
    scripted.features = TARN_FEATURE_VIRTUAL_MEMORY;
    scripted.granule = 4096;
    assert_fails(tarn_device_open("fake:0", &device), TARN_INTERNAL);
    assert_sentence("virtual memory");
    assert_null(device);
    assert_int_equal(scripted_calls.closes, 3);
}

static tarn_status status_of_nested_open;

static void open_the_same(void) {
    tarn_device *device = NULL;
    scripted.during_open = NULL;
    status_of_nested_open = tarn_device_open("fake:self", &device);
}

static void a_backend_that_opens_itself_does_not_hang(void **state) { /* fault 41 */
    (void)state;
    tarn_device *device = NULL;
    scripted.during_open = open_the_same;
    assert_ok(tarn_device_open("fake:self", &device));
    assert_int_equal(status_of_nested_open, TARN_BUSY);
    assert_ok(tarn_device_release(device));
}

static void properties_are_filled_as_far_as_they_go(void **state) { /* fault 11 */
    (void)state;
    tarn_device *device = NULL;
    assert_ok(tarn_device_open("cpu", &device));
    tarn_device_properties properties = properties_of(device);
    assert_true(properties.memory_total > 0);
    assert_true(properties.memory_free > 0 && properties.memory_free <= properties.memory_total);
    assert_int_equal(properties.alignment, 64);
    assert_int_equal(properties.granule, 2 << 20);
    assert_true(properties.compute_units > 0);
    assert_true(properties.name[0] != '\0');
    properties.struct_size = offsetof(tarn_device_properties, granule);
    properties.granule = 1;
    assert_ok(tarn_device_properties_get(device, &properties));
    assert_int_equal(properties.granule, 1);
    properties.struct_size = 0;
    assert_fails(tarn_device_properties_get(device, &properties), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_properties_get(NULL, &properties), TARN_INVALID_ARGUMENT);
    tarn_device_counters counters = {.struct_size = 1};
    assert_fails(tarn_device_counters_get(device, &counters), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_counters_get(NULL, &counters), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_synchronize(NULL), TARN_INVALID_ARGUMENT);
    assert_null(tarn_device_default_stream(NULL));
    assert_int_equal(tarn_device_type_of(device), TARN_DEVICE_CPU);
    assert_ok(tarn_device_release(device));
}

/* Every request for host memory fails once, in every public call that makes some. */
static void opening_and_working_survive_every_failed_request_for_memory(void **state) {
    (void)state;
    const char *const names[] = {"cpu", "sim:1GiB"};
    for (size_t i = 0; i < 2; i++) {
        unsigned long failures = 0;
        for (unsigned long k = 1;; k++) {
            tarn_device *device = NULL;
            tarn_stream *stream = NULL;
            tarn_event *event = NULL;
            unsigned char bytes[64] = {0};
            uint32_t pattern = 7;
            base_memory_fail_at(k, 0);
            tarn_status status = tarn_device_open(names[i], &device);
            if (status == TARN_OK) status = tarn_stream_create(device, &stream);
            if (status == TARN_OK) status = tarn_stream_fill(stream, bytes, &pattern, 1, sizeof bytes);
            if (status == TARN_OK) status = tarn_stream_record(stream, &event);
            if (status == TARN_OK) status = tarn_stream_wait(tarn_device_default_stream(device), event);
            if (status == TARN_OK) status = tarn_stream_copy(tarn_device_default_stream(device), bytes, bytes + 32, 32);
            if (status == TARN_OK) status = tarn_stream_record(stream, &event);
            unsigned long requests = base_memory_requests();
            base_memory_fail_at(0, 0);
            if (status == TARN_OK) status = tarn_event_synchronize(event);
            assert_ok(tarn_event_release(event));
            assert_ok(tarn_stream_release(stream));
            assert_ok(tarn_device_release(device));
            if (requests < k) {
                assert_ok(status);
                break;
            }
            /* A worker that cannot be started is UNAVAILABLE. */
            if (status != TARN_UNAVAILABLE) assert_fails(status, TARN_OUT_OF_MEMORY);
            failures++;
        }
        print_message("%s: %lu of %lu failures of host memory survived\n", names[i], failures, failures);
        assert_true(failures >= 8);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_same_name_gives_the_same_device, reset),
        cmocka_unit_test_setup(eight_threads_get_one_device, reset),
        cmocka_unit_test_setup(opening_and_closing_race_without_harm, reset),
        cmocka_unit_test_setup(malformed_and_unknown_names_are_told_apart, reset),
        cmocka_unit_test_setup(a_device_that_fails_to_open_can_be_tried_again, reset),
        cmocka_unit_test_setup(nonsense_from_a_backend_is_caught, reset),
        cmocka_unit_test_setup(a_backend_that_opens_itself_does_not_hang, reset),
        cmocka_unit_test(properties_are_filled_as_far_as_they_go),
        cmocka_unit_test(opening_and_working_survive_every_failed_request_for_memory),
    };
    return cmocka_run_group_tests(tests, register_fake, NULL);
}
