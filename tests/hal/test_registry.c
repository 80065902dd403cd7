/* The registry of backends: what is refused, what is listed, and that each backend is started once. */
#include "check.h"

#include <pthread.h>
#include <string.h>

#include "scripted.h"

/* A table stands in the registry for the life of the process. */
static tarn_backend tables[16];
static size_t table_count;

static tarn_backend *new_table(const char *name) {
    tarn_backend *table = &tables[table_count++];
    *table = scripted_table(name);
    return table;
}

static tarn_backend_info info_of(const char *name) {
    tarn_backend_info info = {.struct_size = sizeof info};
    assert_ok(tarn_backend_find(name, &info));
    return info;
}

static int reset(void **state) {
    (void)state;
    scripted_reset();
    return 0;
}

static void built_in_backends_are_there(void **state) {
    (void)state;
    tarn_backend_info info = info_of("cpu");
    assert_int_equal(info.type, TARN_DEVICE_CPU);
    assert_int_equal(info.device_count, 1);
    assert_int_equal(info.is_available, 1);
    assert_string_equal(info.reason, "");
    assert_string_equal(info.shared_object, "");
    assert_int_equal(info_of("sim").type, TARN_DEVICE_SIM);
}

static void a_name_is_taken_once(void **state) {
    (void)state;
    assert_ok(tarn_backend_register(new_table("twice")));
    assert_fails(tarn_backend_register(new_table("twice")), TARN_ALREADY_EXISTS);
    assert_sentence("\"twice\"");
    assert_fails(tarn_backend_register(new_table("cpu")), TARN_ALREADY_EXISTS);
}

static void a_table_of_another_version_is_refused(void **state) { /* fault 33 */
    (void)state;
    tarn_backend table = scripted_table("version");
    table.abi_version = TARN_BACKEND_ABI_VERSION + 1;
    assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    assert_sentence("ABI version 2");
    tarn_backend_info info = {.struct_size = sizeof info};
    assert_fails(tarn_backend_find("version", &info), TARN_NOT_FOUND);
    assert_fails(tarn_backend_register(NULL), TARN_INVALID_ARGUMENT);
}

static void a_table_that_is_too_short_is_refused_and_an_older_one_is_not(void **state) { /* fault 11 */
    (void)state;
    tarn_backend table = scripted_table("short");
    table.struct_size = offsetof(tarn_backend, clock_set) - 1;
    assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    assert_sentence("bytes");
    tarn_backend *older = new_table("older");
    older->struct_size = offsetof(tarn_backend, clock_set);
    assert_ok(tarn_backend_register(older));
    tarn_backend *newer = new_table("newer");
    newer->struct_size = sizeof *newer + 64;
    assert_ok(tarn_backend_register(newer));
}

static void a_missing_function_is_named(void **state) { /* fault 34 */
    (void)state;
    tarn_backend table = scripted_table("holes");
    table.event_query = NULL;
    assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    assert_sentence("event_query");
    table = scripted_table("holes");
    table.memory_allocate = NULL;
    assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    assert_sentence("memory_allocate");
}

static tarn_status release_any(tarn_backend_device *device, void *address, size_t size) {
    (void)device;
    (void)address;
    (void)size;
    return TARN_OK;
}

static void virtual_memory_is_whole_or_absent(void **state) {
    (void)state;
    tarn_backend table = scripted_table("half");
    table.virtual_release = release_any;
    assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    assert_sentence("virtual_release");
}

static void names_have_a_syntax(void **state) {
    (void)state;
    const char *const names[] = {NULL, "", "Upper", "with space", "colon:0"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tarn_backend table = scripted_table(names[i]);
        assert_fails(tarn_backend_register(&table), TARN_INVALID_ARGUMENT);
    }
}

static void an_unavailable_backend_is_listed_with_its_reason(void **state) {
    (void)state;
    scripted.start = TARN_UNAVAILABLE;
    scripted.explains = 1;
    assert_ok(tarn_backend_register(new_table("absent")));
    tarn_backend_info info = info_of("absent");
    assert_int_equal(info.is_available, 0);
    assert_int_equal(info.device_count, 0);
    assert_string_equal(info.reason, "the fake was told to fail");
    tarn_device *device = NULL;
    assert_fails(tarn_device_open("absent:0", &device), TARN_UNAVAILABLE);
    assert_sentence("the fake was told to fail");
    assert_null(device);
    assert_int_equal(scripted_calls.starts, 1);
}

static void a_failure_without_a_sentence_gets_one(void **state) {
    (void)state;
    scripted.start = TARN_UNAVAILABLE;
    assert_ok(tarn_backend_register(new_table("silent")));
    assert_non_null(strstr(info_of("silent").reason, "start answered UNAVAILABLE"));
}

static void *find_once(void *context) {
    (void)context;
    tarn_backend_info info = {.struct_size = sizeof info};
    return tarn_backend_find("started", &info) == TARN_OK && info.is_available ? NULL : "failed";
}

static void a_backend_is_started_once_by_whoever_comes_first(void **state) {
    (void)state;
    pthread_t threads[8];
    assert_ok(tarn_backend_register(new_table("started")));
    assert_int_equal(scripted_calls.starts, 0);
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, find_once, NULL), 0);
    for (int i = 0; i < 8; i++) {
        void *failure = NULL;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    assert_int_equal(scripted_calls.starts, 1);
}

static tarn_status status_of_nested_open;

static void open_nested(void) {
    tarn_device *device = NULL;
    status_of_nested_open = tarn_device_open("nested", &device);
}

static void a_backend_that_calls_tarn_while_it_starts_does_not_hang(void **state) { /* fault 41 */
    (void)state;
    scripted.during_start = open_nested;
    assert_ok(tarn_backend_register(new_table("nested")));
    assert_int_equal(info_of("nested").is_available, 1);
    assert_int_equal(status_of_nested_open, TARN_UNAVAILABLE);
}

static int count_until(void *context, const tarn_backend_info *info) {
    int *left = context;
    /* A visitor may call Tarn. */
    tarn_backend_info again = {.struct_size = sizeof again};
    assert_ok(tarn_backend_find(info->name, &again));
    assert_string_equal(again.name, info->name);
    return --*left == 0;
}

static void each_visits_in_order_until_told_to_stop(void **state) { /* fault 41 */
    (void)state;
    int left = 2;
    assert_ok(tarn_backend_each(count_until, &left));
    assert_int_equal(left, 0);
    left = 1000;
    assert_ok(tarn_backend_each(count_until, &left));
    assert_true(left < 998);
    assert_fails(tarn_backend_each(NULL, NULL), TARN_INVALID_ARGUMENT);
}

static void structures_are_filled_as_far_as_they_go(void **state) { /* fault 11 */
    (void)state;
    tarn_backend_info info = {.struct_size = offsetof(tarn_backend_info, device_count), .device_count = 42};
    assert_ok(tarn_backend_find("cpu", &info));
    assert_string_equal(info.name, "cpu");
    assert_int_equal(info.device_count, 42);
    info.struct_size = 0;
    assert_fails(tarn_backend_find("cpu", &info), TARN_INVALID_ARGUMENT);
    info.struct_size = sizeof info + 1;
    assert_fails(tarn_backend_find("cpu", &info), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_backend_find("cpu", NULL), TARN_INVALID_ARGUMENT);
    assert_fails(tarn_backend_find(NULL, &info), TARN_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(built_in_backends_are_there, reset),
        cmocka_unit_test_setup(a_name_is_taken_once, reset),
        cmocka_unit_test_setup(a_table_of_another_version_is_refused, reset),
        cmocka_unit_test_setup(a_table_that_is_too_short_is_refused_and_an_older_one_is_not, reset),
        cmocka_unit_test_setup(a_missing_function_is_named, reset),
        cmocka_unit_test_setup(virtual_memory_is_whole_or_absent, reset),
        cmocka_unit_test_setup(names_have_a_syntax, reset),
        cmocka_unit_test_setup(an_unavailable_backend_is_listed_with_its_reason, reset),
        cmocka_unit_test_setup(a_failure_without_a_sentence_gets_one, reset),
        cmocka_unit_test_setup(a_backend_is_started_once_by_whoever_comes_first, reset),
        cmocka_unit_test_setup(a_backend_that_calls_tarn_while_it_starts_does_not_hang, reset),
        cmocka_unit_test_setup(each_visits_in_order_until_told_to_stop, reset),
        cmocka_unit_test_setup(structures_are_filled_as_far_as_they_go, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
