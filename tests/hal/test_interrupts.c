/* Signals that arrive while the host waits for a device: the wait goes on to its end. Fault 38. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "gate.h"

enum { SIGNALS = 200 };

typedef struct held_wait {
    tarn_device *device;
    tarn_stream *stream;
    tarn_event *event;
    tarn_status (*call)(struct held_wait *);
    test_gate closed;
    atomic_bool is_open;
    tarn_status status;
    bool was_early; /* the call returned before the gate was opened */
} held_wait;

static atomic_ulong handled;

static void handle(int number) {
    (void)number;
    atomic_fetch_add(&handled, 1);
}

static tarn_status for_the_stream(held_wait *waiting) { return tarn_stream_synchronize(waiting->stream); }
static tarn_status for_the_event(held_wait *waiting) { return tarn_event_synchronize(waiting->event); }
static tarn_status for_the_device(held_wait *waiting) { return tarn_device_synchronize(waiting->device); }

static void *wait_on_a_thread(void *context) {
    held_wait *waiting = context;
    waiting->status = waiting->call(waiting);
    waiting->was_early = !atomic_load(&waiting->is_open);
    return NULL;
}

static void wait_under_fire(tarn_device *device, tarn_status (*call)(held_wait *)) {
    pthread_t thread;
    held_wait waiting = {.device = device, .call = call};
    assert_ok(tarn_stream_create(device, &waiting.stream));
    assert_ok(tarn_stream_enqueue(waiting.stream, gate_pass, &waiting.closed));
    assert_ok(tarn_stream_record(waiting.stream, &waiting.event));
    atomic_store(&handled, 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_on_a_thread, &waiting), 0);
    /* Signals that pend together are one, and a sanitizer may swallow what comes while a thread begins. */
    while (atomic_load(&handled) < SIGNALS) {
        assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
        sched_yield();
    }
    atomic_store(&waiting.is_open, true);
    gate_open(&waiting.closed);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ok(waiting.status);
    assert_false(waiting.was_early);
    assert_ok(tarn_event_release(waiting.event));
    assert_ok(tarn_stream_release(waiting.stream));
}

static void a_signal_does_not_end_a_wait(void **state) {
    (void)state;
    struct sigaction action = {.sa_handler = handle}, before; /* without SA_RESTART: calls are interrupted */
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    tarn_device *cpu;
    assert_ok(tarn_device_open("cpu", &cpu));
    wait_under_fire(cpu, for_the_stream);
    wait_under_fire(cpu, for_the_event);
    wait_under_fire(cpu, for_the_device);
    assert_ok(tarn_device_release(cpu));
    sigaction(SIGUSR1, &before, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_signal_does_not_end_a_wait)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
