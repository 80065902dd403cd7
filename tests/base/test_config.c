/* Settings from the environment, and the complaint about those that cannot be understood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "child.h"
#include "heard.h"
#include "slowness.h"

static void a_set_variable_is_read(void **state) {
    (void)state;
    setenv("TARN_TEST_TEXT", "direct", 1);
    assert_string_equal(base_config_text("TARN_TEST_TEXT"), "direct");
}

static void an_unset_or_empty_variable_is_null(void **state) {
    (void)state;
    unsetenv("TARN_TEST_TEXT");
    assert_null(base_config_text("TARN_TEST_TEXT"));
    setenv("TARN_TEST_TEXT", "", 1);
    assert_null(base_config_text("TARN_TEST_TEXT"));
}

static void a_name_is_complained_about_once(void **state) {
    (void)state;
    heard all = {0};
    tarn_log_set(heard_callback, &all, TARN_LOG_WARNING);
    base_config_complain("TARN_TEST_ONCE", "bogus", "it is no allocator");
    base_config_complain("TARN_TEST_ONCE", "bogus again", "it is no allocator");
    assert_int_equal(all.count, 1);
    assert_int_equal(all.level, TARN_LOG_WARNING);
    assert_non_null(strstr(all.sentence, "TARN_TEST_ONCE=bogus"));
    assert_non_null(strstr(all.sentence, "it is no allocator"));
    base_config_complain("TARN_TEST_OTHER", "x", "y");
    assert_int_equal(all.count, 2);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
}

static void count_atomically(void *context, tarn_log_level level, const char *sentence) {
    (void)level;
    (void)sentence;
    __atomic_add_fetch((int *)context, 1, __ATOMIC_RELAXED);
}

static void *complain(void *context) {
    base_config_complain("TARN_TEST_THREADS", context, "it is wrong");
    return NULL;
}

static void of_many_threads_one_complains(void **state) {
    (void)state;
    int count = 0;
    tarn_log_set(count_atomically, &count, TARN_LOG_WARNING);
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, complain, "value"), 0);
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(count, 1);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
}

static atomic_bool complaining_ends;

static void *complain_again_and_again(void *context) {
    while (!atomic_load(&complaining_ends)) base_config_complain("TARN_TEST_FORK", context, "it is wrong");
    return NULL;
}

static int complain_in_child(void *context) {
    base_config_complain("TARN_TEST_FORK", context, "it is wrong");
    return 0;
}

static void hear_nothing(void *context, tarn_log_level level, const char *sentence) {
    (void)context, (void)level, (void)sentence;
}

/* Fault 37: the lock may be held by another thread when the process is forked. */
static void a_child_complains_although_a_thread_did_at_the_fork(void **state) {
    (void)state;
    pthread_t threads[2];
    int worst = 0;
    tarn_log_set(hear_nothing, NULL, TARN_LOG_WARNING);
    atomic_store(&complaining_ends, false);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, complain_again_and_again, "value"), 0);
    for (unsigned i = 0; i < 100 / test_slowness() && worst == 0; i++)
        worst = exit_of_child(complain_in_child, "value");
    atomic_store(&complaining_ends, true);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    assert_int_equal(worst, 0);
}

static void names_beyond_the_table_are_still_complained_about(void **state) {
    (void)state;
    heard all = {0};
    tarn_log_set(heard_callback, &all, TARN_LOG_WARNING);
    for (int i = 0; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof name, "TARN_TEST_MANY_%d", i);
        base_config_complain(name, "x", "y");
    }
    assert_int_equal(all.count, 40);
    char long_name[200];
    memset(long_name, 'N', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    base_config_complain(long_name, NULL, "y");
    assert_int_equal(all.count, 41);
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_variable_is_read),
        cmocka_unit_test(an_unset_or_empty_variable_is_null),
        cmocka_unit_test(a_name_is_complained_about_once),
        cmocka_unit_test(of_many_threads_one_complains),
        cmocka_unit_test(a_child_complains_although_a_thread_did_at_the_fork),
        cmocka_unit_test(names_beyond_the_table_are_still_complained_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
