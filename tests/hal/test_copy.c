/* Copies between devices: which way is taken, that each brings the bytes, and what is refused. */
#include "check.h"

#include <string.h>

#include "base/memory.h"
#include "hal/memory.h"
#include "pair.h"
#include "scripted.h"

#define SIZE 4096

/* A piece of memory of a device. */
typedef struct piece {
    tarn_device *device;
    void *memory;
} piece;

static piece open_piece(const char *name, int byte) {
    piece opened;
    assert_ok(tarn_device_open(name, &opened.device));
    assert_ok(hal_memory_allocate(opened.device, TARN_MEMORY_DEVICE, SIZE, 0, &opened.memory));
    memset(opened.memory, byte, SIZE);
    return opened;
}

static void close_piece(piece opened) {
    assert_ok(hal_memory_free(opened.device, TARN_MEMORY_DEVICE, opened.memory, SIZE));
    assert_int_equal(counters_of(opened.device).memory_in_use, 0);
    assert_ok(tarn_device_release(opened.device));
}

static tarn_status copy(tarn_stream *stream, piece to, piece from) {
    return tarn_copy(stream, to.device, to.memory, from.device, from.memory, SIZE);
}

static void assert_is(piece where, int byte) {
    for (size_t i = 0; i < SIZE; i++) assert_int_equal(((unsigned char *)where.memory)[i], byte);
}

static int install(void **state) {
    (void)state;
    pair_install();
    pair_reset();
    return 0;
}

static int check_rules(void **state) {
    (void)state;
    return pair.violations;
}

static void the_driver_copies_between_devices_of_its_own(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2);
    assert_ok(copy(NULL, one, two));
    assert_is(one, 2);
    memset(one.memory, 3, SIZE);
    assert_ok(copy(tarn_device_default_stream(one.device), two, one));
    assert_is(two, 3);
    assert_int_equal(pair.peer_copies, 2);
    assert_int_equal(pair.copies, 0);
    assert_int_equal(counters_of(one.device).device_waits + counters_of(two.device).device_waits, 0);
    close_piece(one);
    close_piece(two);
}

static void within_one_device_it_is_an_ordinary_copy(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1);
    char *half = (char *)one.memory + SIZE / 2;
    memset(half, 2, SIZE / 2);
    assert_ok(tarn_copy(NULL, one.device, one.memory, one.device, half, SIZE / 2));
    assert_is(one, 2);
    assert_int_equal(pair.copies, 1);
    assert_fails(copy(NULL, one, one), TARN_INVALID_ARGUMENT);
    close_piece(one);
}

/* Both ends go through pinned memory. */
static void by_way_of_the_host(piece to, piece from, int copies) {
    int before = pair.copies;
    assert_ok(copy(NULL, to, from));
    assert_is(to, 2);
    assert_int_equal(pair.copies - before, copies);
}

static void what_the_driver_cannot_copy_goes_by_way_of_the_host(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2);
    pair.copy = TARN_NOT_SUPPORTED;
    by_way_of_the_host(one, two, 2);
    close_piece(one);
    close_piece(two);
    one = open_piece("plain:1", 1);
    two = open_piece("plain:2", 2);
    by_way_of_the_host(one, two, 2);
    close_piece(one);
    close_piece(two);
    one = open_piece("alone:1", 1);
    two = open_piece("pair:2", 2);
    by_way_of_the_host(one, two, 2);
    close_piece(one);
    close_piece(two);
}

static void memory_that_the_host_reaches_is_staged_on_one_side_alone(void **state) {
    (void)state;
    piece apart = open_piece("pair:1", 1), host = open_piece("cpu", 2);
    by_way_of_the_host(apart, host, 1);
    memset(host.memory, 1, SIZE);
    by_way_of_the_host(host, apart, 1);
    close_piece(apart);
    close_piece(host);
}

static void where_the_host_reaches_both_a_host_function_copies_in_order(void **state) {
    (void)state;
    scripted.features = TARN_FEATURE_HOST_ACCESS;
    piece one = open_piece("alone:1", 1), host = open_piece("cpu", 2);
    tarn_stream *stream;
    assert_ok(tarn_stream_create(host.device, &stream));
    assert_ok(copy(stream, one, host));
    assert_ok(tarn_stream_synchronize(stream));
    assert_is(one, 2);
    assert_int_equal(pair.copies, 0);
    assert_ok(tarn_stream_release(stream));
    close_piece(one);
    close_piece(host);
}

static void a_failing_driver_is_told_of_and_a_retry_works(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2);
    pair.copy = TARN_INTERNAL;
    assert_fails(copy(NULL, one, two), TARN_INTERNAL);
    assert_sentence("pair:1");
    pair.copy = TARN_NOT_SUPPORTED;
    pair.stream_copy = TARN_INTERNAL;
    assert_fails(copy(NULL, one, two), TARN_INTERNAL);
    pair.stream_copy = TARN_OK;
    scripted.allocate = TARN_OUT_OF_MEMORY;
    assert_fails(copy(NULL, one, two), TARN_OUT_OF_MEMORY);
    scripted.allocate = TARN_OK;
    assert_is(one, 1);
    assert_ok(copy(NULL, one, two));
    assert_is(one, 2);
    close_piece(one);
    close_piece(two);
}

/* Makes each request for host memory fail in turn until the copy does without. */
static void sweep(piece to, piece from) {
    for (unsigned long n = 1;; n++) {
        base_memory_fail_at(n, 0);
        tarn_status status = copy(NULL, to, from);
        unsigned long requests = base_memory_requests();
        base_memory_fail_at(0, 0);
        if (requests < n) {
            assert_ok(status);
            break;
        }
        assert_int_equal(status, TARN_OUT_OF_MEMORY);
    }
    assert_ok(tarn_device_synchronize(to.device));
    assert_is(to, 2);
}

static void each_lack_of_host_memory_is_survived(void **state) {
    (void)state;
    piece one = open_piece("plain:1", 1), two = open_piece("plain:2", 2);
    sweep(one, two);
    close_piece(one);
    close_piece(two);
    scripted.features = TARN_FEATURE_HOST_ACCESS;
    one = open_piece("alone:1", 1);
    two = open_piece("cpu", 2);
    sweep(one, two);
    close_piece(one);
    close_piece(two);
}

static void what_makes_no_sense_is_refused(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2), third = open_piece("pair:3", 3);
    tarn_stream *stream = tarn_device_default_stream(third.device);
    assert_fails(copy(stream, one, two), TARN_INVALID_ARGUMENT);
    assert_sentence("a copy from pair:2 to pair:1 cannot be in the order of a stream of pair:3");
    assert_fails(tarn_copy(NULL, NULL, one.memory, two.device, two.memory, SIZE), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_copy(NULL, one.device, NULL, two.device, two.memory, SIZE), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_copy(NULL, one.device, one.memory, two.device, two.memory, SIZE_MAX), TARN_INVALID_ARGUMENT);
    assert_ok(tarn_copy(NULL, one.device, one.memory, two.device, two.memory, 0));
    assert_int_equal(pair.peer_copies, 0);
    close_piece(one);
    close_piece(two);
    close_piece(third);
}

static void a_device_that_stores_nothing_is_named(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1);
    tarn_device *sim;
    assert_ok(tarn_device_open("sim:1GiB", &sim));
    assert_fails(tarn_copy(NULL, one.device, one.memory, sim, one.memory, SIZE), TARN_NOT_SUPPORTED);
    assert_sentence("sim:1GiB stores nothing");
    assert_ok(tarn_device_release(sim));
    close_piece(one);
}

static void a_capture_holds_no_copy_between_devices(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2);
    tarn_stream *stream;
    tarn_graph *graph;
    assert_ok(tarn_stream_create(one.device, &stream));
    assert_ok(tarn_stream_begin_capture(stream, TARN_CAPTURE_GLOBAL));
    assert_fails(copy(stream, one, two), TARN_INVALID_STATE);
    assert_ok(tarn_stream_end_capture(stream, &graph));
    assert_ok(tarn_graph_release(graph));
    assert_ok(tarn_stream_release(stream));
    close_piece(one);
    close_piece(two);
}

static void a_stream_waits_for_an_event_of_a_peer_by_the_driver(void **state) {
    (void)state;
    piece one = open_piece("pair:1", 1), two = open_piece("pair:2", 2), other = open_piece("plain:1", 3);
    tarn_event *event = NULL;
    assert_ok(tarn_stream_record(tarn_device_default_stream(two.device), &event));
    assert_ok(tarn_stream_wait(tarn_device_default_stream(one.device), event));
    assert_int_equal(pair.peer_waits, 1);
    assert_ok(tarn_stream_wait(tarn_device_default_stream(other.device), event));
    assert_int_equal(pair.peer_waits, 1);
    pair.wait = TARN_INTERNAL;
    assert_fails(tarn_stream_wait(tarn_device_default_stream(one.device), event), TARN_INTERNAL);
    assert_ok(tarn_event_release(event));
    close_piece(one);
    close_piece(two);
    close_piece(other);
}

#define COPY_TEST(name) cmocka_unit_test_setup_teardown(name, install, check_rules)

int main(void) {
    const struct CMUnitTest tests[] = {
        COPY_TEST(the_driver_copies_between_devices_of_its_own),
        COPY_TEST(within_one_device_it_is_an_ordinary_copy),
        COPY_TEST(what_the_driver_cannot_copy_goes_by_way_of_the_host),
        COPY_TEST(memory_that_the_host_reaches_is_staged_on_one_side_alone),
        COPY_TEST(where_the_host_reaches_both_a_host_function_copies_in_order),
        COPY_TEST(a_failing_driver_is_told_of_and_a_retry_works),
        COPY_TEST(each_lack_of_host_memory_is_survived),
        COPY_TEST(what_makes_no_sense_is_refused),
        COPY_TEST(a_device_that_stores_nothing_is_named),
        COPY_TEST(a_capture_holds_no_copy_between_devices),
        COPY_TEST(a_stream_waits_for_an_event_of_a_peer_by_the_driver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
