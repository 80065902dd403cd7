/* Forks and the end of the process: the driver is out of reach, and nothing hangs. Each case runs in a child of its own. */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate.h"
#include "hal/event.h"
#include "hal/memory.h"
#include "scripted.h"
#include "slowness.h"

#define FAIL_UNLESS(condition, code)   \
    do {                               \
        if (!(condition)) return code; \
    } while (0)

static tarn_backend table;

/* What a forked child of `use_across_a_fork` tries. */
static int use_in_child(tarn_device *device, tarn_stream *stream, tarn_event *event, hal_event *light, void *memory) {
    tarn_stream *new_stream = NULL;
    tarn_device *new_device = NULL;
    void *more = NULL;
    int is_complete;
    bool light_is_complete;
    FAIL_UNLESS(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &more) == TARN_UNAVAILABLE, 1);
    FAIL_UNLESS(tarn_stream_create(device, &new_stream) == TARN_UNAVAILABLE, 2);
    FAIL_UNLESS(tarn_stream_synchronize(stream) == TARN_UNAVAILABLE, 3);
    FAIL_UNLESS(tarn_device_synchronize(device) == TARN_UNAVAILABLE, 4);
    FAIL_UNLESS(tarn_event_is_complete(event, &is_complete) == TARN_UNAVAILABLE, 5);
    FAIL_UNLESS(tarn_stream_record(stream, &event) == TARN_UNAVAILABLE, 6);
    FAIL_UNLESS(hal_event_query(light, &light_is_complete) == TARN_UNAVAILABLE, 7);
    FAIL_UNLESS(tarn_device_open("cpu", &new_device) == TARN_UNAVAILABLE, 8);
    FAIL_UNLESS(hal_memory_free(device, TARN_MEMORY_DEVICE, memory, 64) == TARN_OK, 9);
    hal_event_destroy(light);
    FAIL_UNLESS(tarn_event_release(event) == TARN_OK, 10);
    FAIL_UNLESS(tarn_stream_release(stream) == TARN_OK, 11);
    FAIL_UNLESS(tarn_device_release(device) == TARN_OK, 12);
    tarn_backend_info info = {.struct_size = sizeof info};
    FAIL_UNLESS(tarn_backend_find("cpu", &info) == TARN_OK && !info.is_available, 13);
    /* A backend that the parent never started is as good as new. */
    FAIL_UNLESS(tarn_device_open("sim:1MiB", &new_device) == TARN_OK, 14);
    FAIL_UNLESS(tarn_device_release(new_device) == TARN_OK, 15);
    return 0;
}

static int use_across_a_fork(void *context) {
    (void)context;
    tarn_device *device = NULL;
    tarn_stream *stream = NULL;
    tarn_event *event = NULL;
    hal_event *light = NULL;
    void *memory = NULL;
    test_gate opened = {true};
    FAIL_UNLESS(tarn_device_open("cpu", &device) == TARN_OK, 100);
    FAIL_UNLESS(tarn_stream_create(device, &stream) == TARN_OK, 101);
    FAIL_UNLESS(tarn_stream_record(stream, &event) == TARN_OK, 102);
    FAIL_UNLESS(hal_event_create(device, &light) == TARN_OK, 103);
    FAIL_UNLESS(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &memory) == TARN_OK, 104);
    pid_t child = fork();
    if (child == 0) {
        child_begin();
        _exit(use_in_child(device, stream, event, light, memory));
    }
    int status = 0;
    waitpid(child, &status, 0);
    FAIL_UNLESS(WIFEXITED(status), 105);
    FAIL_UNLESS(WEXITSTATUS(status) == 0, WEXITSTATUS(status));
    /* The parent is unharmed. */
    FAIL_UNLESS(tarn_stream_enqueue(stream, gate_pass, &opened) == TARN_OK, 106);
    FAIL_UNLESS(tarn_stream_synchronize(stream) == TARN_OK, 107);
    FAIL_UNLESS(hal_memory_free(device, TARN_MEMORY_DEVICE, memory, 64) == TARN_OK, 108);
    hal_event_destroy(light);
    FAIL_UNLESS(tarn_event_release(event) == TARN_OK, 109);
    FAIL_UNLESS(tarn_stream_release(stream) == TARN_OK, 110);
    FAIL_UNLESS(tarn_device_release(device) == TARN_OK, 111);
    return 0;
}

static void a_forked_child_has_no_devices_and_the_parent_keeps_its_own(void **state) { /* fault 36 */
    (void)state;
    assert_int_equal(exit_of_child(use_across_a_fork, NULL), 0);
}

static atomic_bool is_over;

/* Keeps the locks of the layer busy. */
static void *keep_busy(void *context) {
    (void)context;
    while (!atomic_load(&is_over)) {
        tarn_device *device = NULL;
        void *memory = NULL;
        if (tarn_device_open("sim:1MiB", &device) != TARN_OK) break;
        if (hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &memory) == TARN_OK) {
            hal_memory_free(device, TARN_MEMORY_DEVICE, memory, 64);
        }
        tarn_device_release(device);
    }
    return NULL;
}

static int fork_while_busy(void *context) {
    (void)context;
    pthread_t threads[4];
    tarn_device *device = NULL;
    void *held = NULL;
    FAIL_UNLESS(tarn_device_open("sim:1MiB", &device) == TARN_OK, 1);
    FAIL_UNLESS(hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &held) == TARN_OK, 6);
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, keep_busy, NULL);
    int result = 0;
    for (unsigned i = 0; i < (test_slowness() > 1 ? 10 : 50) && result == 0; i++) {
        pid_t child = fork();
        if (child == 0) {
            tarn_device *again = NULL;
            void *memory = NULL;
            child_begin();
            if (tarn_device_open("sim:1MiB", &again) != TARN_UNAVAILABLE) _exit(2);
            if (hal_memory_allocate(device, TARN_MEMORY_DEVICE, 64, 0, &memory) != TARN_UNAVAILABLE) _exit(3);
            if (hal_memory_free(device, TARN_MEMORY_DEVICE, held, 64) != TARN_OK) _exit(7);
            _exit(tarn_device_release(device) == TARN_OK ? 0 : 4);
        }
        int status = 0;
        waitpid(child, &status, 0);
        result = WIFEXITED(status) ? WEXITSTATUS(status) : 5;
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    hal_memory_free(device, TARN_MEMORY_DEVICE, held, 64);
    tarn_device_release(device);
    return result;
}

static void a_fork_while_locks_are_held_leaves_the_child_free(void **state) { /* fault 37 */
    (void)state;
    assert_int_equal(exit_of_child(fork_while_busy, NULL), 0);
}

static tarn_device *left_open;
static void *left_memory;

/* Runs after Tarn's own handler, which was installed later. */
static void release_at_exit(void) {
    void *more = NULL;
    int allocates = scripted_calls.allocates;
    if (hal_memory_allocate(left_open, TARN_MEMORY_DEVICE, 64, 0, &more) != TARN_UNAVAILABLE) _exit(20);
    if (scripted_calls.allocates != allocates) _exit(21);
    if (hal_memory_free(left_open, TARN_MEMORY_DEVICE, left_memory, 64) != TARN_OK) _exit(22);
    if (tarn_device_release(left_open) != TARN_OK) _exit(23);
    if (scripted_calls.frees != 0 || scripted_calls.closes != 0 || scripted_calls.synchronizes != 0) _exit(24);
    if (scripted_calls.stops != 0) _exit(25);
    tarn_device *device = NULL;
    if (tarn_device_open("fake:1", &device) != TARN_UNAVAILABLE) _exit(26);
    _exit(0);
}

static int exit_with_an_open_device(void *context) {
    (void)context;
    scripted_reset();
    table = scripted_table("fake");
    FAIL_UNLESS(atexit(release_at_exit) == 0, 1);
    FAIL_UNLESS(tarn_backend_register(&table) == TARN_OK, 2);
    FAIL_UNLESS(tarn_device_open("fake:0", &left_open) == TARN_OK, 3);
    FAIL_UNLESS(hal_memory_allocate(left_open, TARN_MEMORY_DEVICE, 64, 0, &left_memory) == TARN_OK, 4);
    exit(30);
}

static void at_exit_the_driver_is_left_alone(void **state) { /* fault 31 */
    (void)state;
    assert_int_equal(exit_of_child(exit_with_an_open_device, NULL), 0);
}

static void check_stopped(void) { _exit(scripted_calls.stops == 1 ? 0 : 40); }

static int exit_with_all_closed(void *context) {
    (void)context;
    scripted_reset();
    table = scripted_table("fake");
    FAIL_UNLESS(atexit(check_stopped) == 0, 1);
    FAIL_UNLESS(tarn_backend_register(&table) == TARN_OK, 2);
    FAIL_UNLESS(tarn_device_open("fake:0", &left_open) == TARN_OK, 3);
    FAIL_UNLESS(tarn_device_release(left_open) == TARN_OK, 4);
    exit(30);
}

static void a_backend_without_open_devices_is_stopped_at_exit(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(exit_with_all_closed, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forked_child_has_no_devices_and_the_parent_keeps_its_own),
        cmocka_unit_test(a_fork_while_locks_are_held_leaves_the_child_free),
        cmocka_unit_test(at_exit_the_driver_is_left_alone),
        cmocka_unit_test(a_backend_without_open_devices_is_stopped_at_exit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
