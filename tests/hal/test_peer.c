/* Peer access: who is enabled for whose memory, until when, and what is refused. */
#include "check.h"

#include <pthread.h>

#include "base/memory.h"
#include "pair.h"
#include "scripted.h"

typedef struct devices {
    tarn_device *one, *two;
} devices;

static int open_devices(void **state) {
    static devices opened;
    pair_install();
    pair_reset();
    if (tarn_device_open("pair:1", &opened.one) != TARN_OK || tarn_device_open("pair:2", &opened.two) != TARN_OK)
        return -1;
    *state = &opened;
    return 0;
}

static int close_devices(void **state) {
    devices *opened = *state;
    scripted.query = TARN_OK;
    int status = (int)tarn_device_release(opened->one) | (int)tarn_device_release(opened->two);
    return status != 0 || pair.violations != 0 || pair.enables != pair.disables ? -1 : 0;
}

static int can_access(tarn_device *device, tarn_device *owner) {
    int can = -1;
    assert_ok(tarn_device_can_access(device, owner, &can));
    return can;
}

static void the_driver_is_asked_whether_there_is_a_way(void **state) {
    devices *opened = *state;
    assert_int_equal(can_access(opened->one, opened->two), 1);
    pair.is_refused = true;
    assert_int_equal(can_access(opened->one, opened->two), 0);
    assert_int_equal(can_access(opened->one, opened->one), 1);
}

static void access_is_enabled_once_and_one_way(void **state) {
    devices *opened = *state;
    assert_ok(tarn_device_enable_peer(opened->one, opened->two));
    assert_ok(tarn_device_enable_peer(opened->one, opened->two));
    assert_int_equal(pair.enables, 1);
    assert_fails(tarn_device_disable_peer(opened->two, opened->one), TARN_INVALID_STATE);
    assert_sentence("pair:2 has no access to the memory of pair:1");
    assert_ok(tarn_device_enable_peer(opened->two, opened->one));
    assert_ok(tarn_device_disable_peer(opened->one, opened->two));
    assert_fails(tarn_device_disable_peer(opened->one, opened->two), TARN_INVALID_STATE);
    assert_ok(tarn_device_enable_peer(opened->one, opened->two));
    assert_int_equal(pair.enables, 3);
}

static void a_device_needs_no_access_to_itself(void **state) {
    devices *opened = *state;
    assert_ok(tarn_device_enable_peer(opened->one, opened->one));
    assert_ok(tarn_device_disable_peer(opened->one, opened->one));
    assert_int_equal(pair.enables, 0);
}

static void a_device_that_closes_ends_its_access_and_access_to_it(void **state) {
    devices *opened = *state;
    tarn_device *third;
    assert_ok(tarn_device_open("pair:3", &third));
    assert_ok(tarn_device_enable_peer(opened->one, third));
    assert_ok(tarn_device_enable_peer(third, opened->two));
    assert_ok(tarn_device_enable_peer(opened->one, opened->two));
    assert_ok(tarn_device_release(third));
    assert_int_equal(pair.disables, 2);
    assert_ok(tarn_device_disable_peer(opened->one, opened->two));
}

static void a_way_that_the_hardware_lacks_is_refused_with_both_names(void **state) {
    devices *opened = *state;
    pair.is_refused = true;
    assert_fails(tarn_device_enable_peer(opened->one, opened->two), TARN_NOT_SUPPORTED);
    assert_sentence("pair:1 cannot reach the memory of pair:2");
    assert_int_equal(pair.enables, 0);
}

static void devices_of_two_backends_and_of_one_without_peers_have_no_access(void **state) {
    devices *opened = *state;
    tarn_device *plain, *first, *second;
    assert_ok(tarn_device_open("plain:1", &plain));
    assert_ok(tarn_device_open("alone:1", &first));
    assert_ok(tarn_device_open("alone:2", &second));
    assert_int_equal(can_access(opened->one, plain), 0);
    assert_int_equal(can_access(first, second), 0);
    assert_fails(tarn_device_enable_peer(plain, opened->one), TARN_NOT_SUPPORTED);
    assert_fails(tarn_device_enable_peer(first, second), TARN_NOT_SUPPORTED);
    assert_ok(tarn_device_release(plain));
    assert_ok(tarn_device_release(first));
    assert_ok(tarn_device_release(second));
}

static void a_driver_that_fails_leaves_nothing_enabled_and_a_retry_works(void **state) {
    devices *opened = *state;
    int can = -1;
    pair.ask = TARN_INTERNAL;
    assert_fails(tarn_device_can_access(opened->one, opened->two, &can), TARN_INTERNAL);
    assert_sentence("pair:1");
    assert_int_equal(can, -1);
    assert_fails(tarn_device_enable_peer(opened->one, opened->two), TARN_INTERNAL);
    pair.ask = TARN_OK;
    pair.enable = TARN_OUT_OF_MEMORY;
    assert_fails(tarn_device_enable_peer(opened->one, opened->two), TARN_OUT_OF_MEMORY);
    assert_fails(tarn_device_disable_peer(opened->one, opened->two), TARN_INVALID_STATE);
    pair.enable = TARN_OK;
    assert_ok(tarn_device_enable_peer(opened->one, opened->two));
    pair.disable = TARN_INTERNAL;
    assert_fails(tarn_device_disable_peer(opened->one, opened->two), TARN_INTERNAL);
    pair.disable = TARN_OK;
    assert_fails(tarn_device_disable_peer(opened->one, opened->two), TARN_INVALID_STATE);
}

static void without_host_memory_nothing_is_enabled(void **state) {
    devices *opened = *state;
    base_memory_fail_at(1, 0);
    assert_fails(tarn_device_enable_peer(opened->one, opened->two), TARN_OUT_OF_MEMORY);
    base_memory_fail_at(0, 0);
    assert_int_equal(pair.enables, 0);
    assert_ok(tarn_device_enable_peer(opened->one, opened->two));
}

static void what_is_null_is_refused(void **state) {
    devices *opened = *state;
    int can;
    assert_fails(tarn_device_can_access(NULL, opened->two, &can), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_can_access(opened->one, opened->two, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_enable_peer(opened->one, NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_device_disable_peer(NULL, NULL), TARN_INVALID_ARGUMENT);
}

static void a_lost_device_gets_no_access_and_loses_what_it_had(void **state) {
    devices *opened = *state;
    tarn_device *third;
    tarn_event *event = NULL;
    int is_complete;
    assert_ok(tarn_device_open("pair:3", &third));
    assert_ok(tarn_device_enable_peer(third, opened->two));
    assert_ok(tarn_stream_record(tarn_device_default_stream(third), &event));
    scripted.query = TARN_DEVICE_LOST;
    assert_fails(tarn_event_is_complete(event, &is_complete), TARN_DEVICE_LOST);
    assert_fails(tarn_device_enable_peer(opened->one, third), TARN_DEVICE_LOST);
    assert_fails(tarn_device_disable_peer(third, opened->two), TARN_DEVICE_LOST);
    assert_ok(tarn_event_release(event));
    assert_ok(tarn_device_release(third));
    assert_int_equal(pair.disables, 1);
}

static void *enable_many_times(void *context) {
    devices *opened = context;
    for (int i = 0; i < 50; i++) {
        tarn_status status = tarn_device_enable_peer(opened->one, opened->two);
        if (status == TARN_OK) (void)tarn_device_disable_peer(opened->one, opened->two);
    }
    return NULL;
}

static void threads_that_enable_and_disable_one_pair_take_turns(void **state) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, enable_many_times, *state), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    assert_int_equal(pair.violations, 0);
}

static int use_in_child(void *context) {
    devices *opened = context;
    int can;
    if (tarn_device_can_access(opened->one, opened->two, &can) != TARN_UNAVAILABLE) return 1;
    if (tarn_device_enable_peer(opened->two, opened->one) != TARN_UNAVAILABLE) return 2;
    int before = pair.disables;
    return tarn_device_release(opened->one) == TARN_OK && pair.disables == before ? 0 : 3;
}

static void a_forked_child_calls_no_driver(void **state) {
    devices *opened = *state;
    assert_ok(tarn_device_enable_peer(opened->one, opened->two));
    assert_int_equal(exit_of_child(use_in_child, opened), 0);
}

static void tables_within_the_table_must_be_whole(void **state) {
    (void)state;
    tarn_backend_peer peer = {.struct_size = sizeof peer};
    tarn_backend_interprocess interprocess = {.struct_size = sizeof(size_t)};
    tarn_backend table = scripted_table("broken");
    table.peer = &peer;
    assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    assert_sentence("backend \"broken\" has peers but no function can_access");
    peer.struct_size = 16;
    assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    assert_sentence("its table of peers has 16 bytes");
    table.peer = NULL;
    table.interprocess = &interprocess;
    assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    assert_sentence("its table of memory between processes has 8 bytes");
    interprocess.struct_size = sizeof interprocess;
    assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    assert_sentence("no function memory_export");
}

static void an_older_table_has_none_of_it(void **state) {
    (void)state;
    static tarn_backend table;
    static const tarn_backend_peer not_read = {.struct_size = 1};
    tarn_device *first, *second;
    table = scripted_table("older");
    table.struct_size = offsetof(tarn_backend, peer);
    table.peer = &not_read;
    assert_ok(tarn_backend_register(&table));
    assert_ok(tarn_device_open("older:1", &first));
    assert_ok(tarn_device_open("older:2", &second));
    assert_int_equal(can_access(first, second), 0);
    assert_ok(tarn_device_release(first));
    assert_ok(tarn_device_release(second));
}

#define PEER_TEST(name) cmocka_unit_test_setup_teardown(name, open_devices, close_devices)

int main(void) {
    const struct CMUnitTest tests[] = {
        PEER_TEST(the_driver_is_asked_whether_there_is_a_way),
        PEER_TEST(access_is_enabled_once_and_one_way),
        PEER_TEST(a_device_needs_no_access_to_itself),
        PEER_TEST(a_device_that_closes_ends_its_access_and_access_to_it),
        PEER_TEST(a_way_that_the_hardware_lacks_is_refused_with_both_names),
        PEER_TEST(devices_of_two_backends_and_of_one_without_peers_have_no_access),
        PEER_TEST(a_driver_that_fails_leaves_nothing_enabled_and_a_retry_works),
        PEER_TEST(without_host_memory_nothing_is_enabled),
        PEER_TEST(what_is_null_is_refused),
        PEER_TEST(a_lost_device_gets_no_access_and_loses_what_it_had),
        PEER_TEST(threads_that_enable_and_disable_one_pair_take_turns),
        PEER_TEST(a_forked_child_calls_no_driver),
        cmocka_unit_test(tables_within_the_table_must_be_whole),
        cmocka_unit_test(an_older_table_has_none_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
