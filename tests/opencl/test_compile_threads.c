/* Several threads that want kernels at once: each is compiled by one of them, and only those who want that one wait for it.
 *
 * The driver (driver/faulty.c) holds a build up at a gate of the test's, so that nothing here depends on how long anything takes. */
#include "device.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "gate.h"

/* A thread that computes one operation of a shared tensor on a stream of its own. */
typedef struct caller {
    tarn_tensor *x;
    tarn_operation operation;
    test_gate *held; /* its builds wait until this is open; NULL: they do not wait */
    test_gate building;

    tarn_status status;
    char sentence[256];
    float element; /* the last of the result */
} caller;

static _Thread_local caller *current;
static atomic_int builds;

static void watch(void) {
    atomic_fetch_add(&builds, 1);
    if (current == NULL || current->held == NULL) return;
    gate_open(&current->building);
    gate_pass(current->held);
}

static void *compute(void *context) {
    caller *own = context;
    tarn_operation_options options = {.struct_size = sizeof options};
    tarn_tensor *y = NULL;
    float elements[3] = {0};
    current = own;
    own->status = tarn_stream_create(tarn_tensor_device(own->x), &options.stream);
    if (own->status == TARN_OK) own->status = tarn_unary(own->operation, own->x, &options, &y);
    snprintf(own->sentence, sizeof own->sentence, "%s", own->status == TARN_OK ? "" : tarn_last_error());
    if (own->status == TARN_OK) own->status = tarn_tensor_read(y, options.stream, elements, sizeof elements);
    own->element = elements[2];
    tarn_tensor_release(y);
    tarn_stream_release(options.stream);
    return NULL;
}

typedef struct held_device {
    tarn_device *device;
    tarn_allocator *allocator;
    tarn_tensor *x;
} held_device;

/* With the driver that holds builds up, and nothing on disk that could be used instead of one. */
static int open_held(held_device *out_opened) {
    static const float values[3] = {1, 2, 3};
    setenv("XDG_CACHE_HOME", "/dev/null", 1);
    tarn_log_set(NULL, NULL, TARN_LOG_ERROR);
    if (open_faulty_driver() != 0) return 1;
    watch_builds(watch);
    if (tarn_device_open("opencl:0", &out_opened->device) != TARN_OK ||
        tarn_allocator_create(out_opened->device, "direct", &out_opened->allocator) != TARN_OK ||
        tarn_tensor_from_data(out_opened->allocator, SHAPE(3), TARN_ELEMENT_F32, values, NULL, &out_opened->x) !=
            TARN_OK)
        return 1;
    return tarn_device_synchronize(out_opened->device) == TARN_OK ? 0 : 1;
}

static int close_held(held_device *opened, int answer) {
    tarn_tensor_release(opened->x);
    tarn_allocator_release(opened->allocator);
    return tarn_device_release(opened->device) == TARN_OK ? answer : 99;
}

static int go_on_beside_a_build(void *context) {
    (void)context;
    held_device opened = {.device = NULL};
    test_gate held = {0};
    pthread_t threads[2];
    if (open_held(&opened) != 0) return 1;
    caller slow = {.x = opened.x, .operation = TARN_OPERATION_NEG, .held = &held}, same = slow;
    caller other = {.x = opened.x, .operation = TARN_OPERATION_SQRT};
    same.held = NULL;
    if (pthread_create(&threads[0], NULL, compute, &slow) != 0) return 2;
    gate_pass(&slow.building);
    (void)compute(&other); /* another kernel, while the first is being built; and again, when it is there */
    if (other.status != TARN_OK || atomic_load(&builds) != 2) return 3;
    (void)compute(&other);
    if (other.status != TARN_OK || atomic_load(&builds) != 2) return 4;
    if (pthread_create(&threads[1], NULL, compute, &same) != 0) return 5;
    gate_open(&held);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    if (slow.status != TARN_OK || same.status != TARN_OK || slow.element != -3 || same.element != -3) return 6;
    return close_held(&opened, atomic_load(&builds) == 2 ? 0 : 7);
}

static void a_build_holds_up_only_those_who_want_the_same_kernel(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(go_on_beside_a_build, NULL), 0);
}

static int fail_beside_others(void *context) {
    (void)context;
    held_device opened = {.device = NULL};
    test_gate held = {0};
    pthread_t threads[2];
    if (open_held(&opened) != 0) return 1;
    caller failed = {.x = opened.x, .operation = TARN_OPERATION_NEG, .held = &held}, next = failed;
    next.held = NULL;
    set_fault("clBuildProgram:1");
    if (pthread_create(&threads[0], NULL, compute, &failed) != 0) return 2;
    gate_pass(&failed.building);
    if (pthread_create(&threads[1], NULL, compute, &next) != 0) return 3;
    gate_open(&held);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    if (failed.status == TARN_OK || strstr(failed.sentence, "clBuildProgram answers") == NULL) {
        print_error("%s: %s\n", tarn_status_name(failed.status), failed.sentence);
        return 4;
    }
    if (next.status != TARN_OK || next.element != -3) return 5;
    return close_held(&opened, atomic_load(&builds) == 2 ? 0 : 6);
}

static void a_build_that_fails_is_one_caller_s_failure_and_the_next_builds_again(void **state) {
    (void)state;
    assert_int_equal(exit_of_child(fail_beside_others, NULL), 0);
}

int main(void) {
    if (!has_faulty_driver()) return EXIT_SKIPPED;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_holds_up_only_those_who_want_the_same_kernel),
        cmocka_unit_test(a_build_that_fails_is_one_caller_s_failure_and_the_next_builds_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
