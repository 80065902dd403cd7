/* The log: levels, callbacks that call back, and TARN_LOG. What the environment says is read once in a process, so those
 * tests look at a process of their own. */
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
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "child.h"
#include "heard.h"
#include "slowness.h"

static void messages_of_the_level_and_above_are_heard(void **state) {
    (void)state;
    heard all = {0};
    tarn_log_set(heard_callback, &all, TARN_LOG_INFO);
    base_log(TARN_LOG_DEBUG, "not this");
    assert_int_equal(all.count, 0);
    base_log(TARN_LOG_INFO, "%d bytes", 5);
    assert_int_equal(all.count, 1);
    assert_int_equal(all.level, TARN_LOG_INFO);
    assert_string_equal(all.sentence, "5 bytes");
    base_log(TARN_LOG_ERROR, "worse");
    assert_int_equal(all.count, 2);
    assert_true(base_log_wants(TARN_LOG_INFO));
    assert_false(base_log_wants(TARN_LOG_DEBUG));
}

static void off_hears_nothing(void **state) {
    (void)state;
    heard all = {0};
    tarn_log_set(heard_callback, &all, TARN_LOG_OFF);
    base_log(TARN_LOG_ERROR, "unheard");
    base_log(TARN_LOG_OFF, "no message has this level");
    assert_int_equal(all.count, 0);
    tarn_log_set(heard_callback, &all, TARN_LOG_DEBUG);
    base_log(TARN_LOG_OFF, "no message has this level");
    assert_int_equal(all.count, 0);
}

static void a_long_message_is_cut(void **state) {
    (void)state;
    heard all = {0};
    tarn_log_set(heard_callback, &all, TARN_LOG_DEBUG);
    base_log(TARN_LOG_DEBUG, "%5000d", 1);
    assert_int_equal(strlen(all.sentence), 2047);
}

static void log_again(void *context, tarn_log_level level, const char *sentence) {
    heard_callback(context, level, sentence);
    if (((heard *)context)->count < 3) base_log(TARN_LOG_WARNING, "again");
}

static void a_callback_may_log(void **state) {
    (void)state;
    heard all = {0};
    tarn_log_set(log_again, &all, TARN_LOG_WARNING);
    base_log(TARN_LOG_WARNING, "once");
    assert_int_equal(all.count, 3);
}

static void replace_itself(void *context, tarn_log_level level, const char *sentence) {
    tarn_log_set(heard_callback, context, TARN_LOG_DEBUG);
    heard_callback(context, level, sentence);
}

static void a_callback_may_replace_itself(void **state) {
    (void)state;
    heard all = {0};
    tarn_log_set(replace_itself, &all, TARN_LOG_ERROR);
    base_log(TARN_LOG_ERROR, "first");
    base_log(TARN_LOG_DEBUG, "second");
    assert_int_equal(all.count, 2);
    assert_string_equal(all.sentence, "second");
}

static void count_atomically(void *context, tarn_log_level level, const char *sentence) {
    (void)level;
    (void)sentence;
    __atomic_add_fetch((int *)context, 1, __ATOMIC_RELAXED);
}

static void *log_often(void *context) {
    (void)context;
    for (int i = 0; i < 1000; i++) base_log(TARN_LOG_INFO, "message %d", i);
    return NULL;
}

static void many_threads_log_while_the_callback_changes(void **state) {
    (void)state;
    int counts[2] = {0, 0};
    pthread_t threads[4];
    tarn_log_set(count_atomically, &counts[0], TARN_LOG_INFO);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, log_often, NULL), 0);
    for (int i = 0; i < 1000; i++) tarn_log_set(count_atomically, &counts[i % 2], TARN_LOG_INFO);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(counts[0] + counts[1], 4000);
}

static int restore_default(void **state) {
    (void)state;
    tarn_log_set(NULL, NULL, TARN_LOG_WARNING);
    return 0;
}

static const char *own_path;

/* Runs this program once more as a child with TARN_LOG set to `value`, and reads what it prints to stderr. */
static void read_child(const char *value, const char *mode, char *out_text, size_t capacity) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        if (value != NULL) {
            setenv("TARN_LOG", value, 1);
        } else {
            unsetenv("TARN_LOG");
        }
        execl(own_path, own_path, mode, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t used = 0;
    ssize_t got;
    while (used + 1 < capacity && (got = read(ends[0], out_text + used, capacity - 1 - used)) > 0) used += (size_t)got;
    out_text[used] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int run_as_child(const char *mode) {
    if (strcmp(mode, "set") == 0) tarn_log_set(NULL, NULL, TARN_LOG_INFO);
    base_log(TARN_LOG_ERROR, "an error");
    base_log(TARN_LOG_WARNING, "a warning");
    base_log(TARN_LOG_INFO, "some information");
    base_log(TARN_LOG_DEBUG, "a detail");
    return 0;
}

static atomic_bool logging_ends;

static void *log_again_and_again(void *context) {
    (void)context;
    while (!atomic_load(&logging_ends)) base_log(TARN_LOG_ERROR, "again");
    return NULL;
}

static void hear_nothing(void *context, tarn_log_level level, const char *sentence) {
    (void)context, (void)level, (void)sentence;
}

/* Fault 37: the lock may be held by another thread when the process is forked. */
static void a_child_logs_although_a_thread_did_at_the_fork(void **state) {
    (void)state;
    pthread_t threads[2];
    int worst = 0;
    tarn_log_set(hear_nothing, NULL, TARN_LOG_ERROR);
    atomic_store(&logging_ends, false);
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, log_again_and_again, NULL), 0);
    for (unsigned i = 0; i < 100 / test_slowness() && worst == 0; i++) {
        pid_t child = fork();
        if (child == 0) {
            child_begin();
            base_log(TARN_LOG_ERROR, "from the child");
            _exit(0);
        }
        assert_int_equal(waitpid(child, &worst, 0), child);
    }
    atomic_store(&logging_ends, true);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(worst, 0);
}

static void the_default_prints_warnings_and_errors(void **state) {
    (void)state;
    char text[1024];
    read_child(NULL, "log", text, sizeof text);
    assert_string_equal(text, "tarn: error: an error\ntarn: warning: a warning\n");
}

static void the_environment_changes_the_level(void **state) {
    (void)state;
    char text[1024];
    read_child("off", "log", text, sizeof text);
    assert_string_equal(text, "");
    read_child("error", "log", text, sizeof text);
    assert_string_equal(text, "tarn: error: an error\n");
    read_child("DEBUG", "log", text, sizeof text);
    assert_non_null(strstr(text, "tarn: info: some information\ntarn: debug: a detail\n"));
}

static void garbage_in_the_environment_is_reported_once_and_ignored(void **state) {
    (void)state;
    char text[1024];
    read_child("loud", "log", text, sizeof text);
    assert_string_equal(text,
                        "tarn: warning: TARN_LOG=loud is ignored: it is none of off, error, warning, info, debug\n"
                        "tarn: error: an error\ntarn: warning: a warning\n");
    /* What a message quotes stays on its line and does not steer the terminal. */
    read_child("lo\nud\x1b[2J", "log", text, sizeof text);
    assert_non_null(strstr(text, "tarn: warning: TARN_LOG=lo?ud?[2J is ignored"));
}

static void a_level_that_the_program_sets_overrules_the_environment(void **state) {
    (void)state;
    char text[1024];
    read_child("debug", "set", text, sizeof text);
    assert_string_equal(text, "tarn: error: an error\ntarn: warning: a warning\ntarn: info: some information\n");
}

int main(int argument_count, char **arguments) {
    if (argument_count > 1) return run_as_child(arguments[1]);
    own_path = arguments[0];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_the_level_and_above_are_heard),
        cmocka_unit_test(off_hears_nothing),
        cmocka_unit_test(a_long_message_is_cut),
        cmocka_unit_test(a_callback_may_log),
        cmocka_unit_test(a_callback_may_replace_itself),
        cmocka_unit_test(many_threads_log_while_the_callback_changes),
        cmocka_unit_test(a_child_logs_although_a_thread_did_at_the_fork),
        cmocka_unit_test(the_default_prints_warnings_and_errors),
        cmocka_unit_test(the_environment_changes_the_level),
        cmocka_unit_test(garbage_in_the_environment_is_reported_once_and_ignored),
        cmocka_unit_test(a_level_that_the_program_sets_overrules_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, restore_default);
}
