/* Threads and the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

typedef struct seen {
    char name[16];
    int usr1_is_blocked;
} seen;

static void *look_around(void *context) {
    seen *mine = context;
    sigset_t mask;
    pthread_getname_np(pthread_self(), mine->name, sizeof mine->name);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    mine->usr1_is_blocked = sigismember(&mask, SIGUSR1);
    return context;
}

static void a_thread_runs_with_its_name_and_all_signals_blocked(void **state) {
    (void)state;
    seen mine = {"", 0};
    void *result = NULL;
    pthread_t thread;
    assert_int_equal(base_thread_start(&thread, "tarn:stream", look_around, &mine), TARN_OK);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &mine);
    assert_string_equal(mine.name, "tarn:stream");
    assert_int_equal(mine.usr1_is_blocked, 1);
}

static void the_creator_keeps_its_signals(void **state) {
    (void)state;
    seen mine = {"", 0};
    pthread_t thread;
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(base_thread_start(&thread, "x", look_around, &mine), TARN_OK);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int signal_number = 1; signal_number < 32; signal_number++) {
        assert_int_equal(sigismember(&before, signal_number), sigismember(&after, signal_number));
    }
}

static void a_name_that_is_too_long_is_cut(void **state) {
    (void)state;
    seen mine = {"", 0};
    pthread_t thread;
    assert_int_equal(base_thread_start(&thread, "a name of more than fifteen", look_around, &mine), TARN_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(mine.name, "a name of more ");
}

static void without_host_memory_it_is_unavailable_and_can_be_retried(void **state) {
    (void)state;
    seen mine = {"", 0};
    pthread_t thread;
    base_memory_fail_at(1, 0);
    assert_int_equal(base_thread_start(&thread, "tarn:worker", look_around, &mine), TARN_UNAVAILABLE);
    assert_non_null(strstr(tarn_last_error(), "tarn:worker"));
    assert_int_equal(base_thread_start(&thread, "tarn:worker", look_around, &mine), TARN_OK);
    base_memory_fail_at(0, 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void time_never_goes_back(void **state) {
    (void)state;
    uint64_t last = base_clock_ns();
    assert_true(last > 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t now = base_clock_ns();
        assert_true(now >= last);
        last = now;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_runs_with_its_name_and_all_signals_blocked),
        cmocka_unit_test(the_creator_keeps_its_signals),
        cmocka_unit_test(a_name_that_is_too_long_is_cut),
        cmocka_unit_test(without_host_memory_it_is_unavailable_and_can_be_retried),
        cmocka_unit_test(time_never_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
