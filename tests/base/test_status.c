/* Status names and the thread's last sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

static void every_status_has_its_own_name(void **state) {
    (void)state;
    for (int i = TARN_OK; i <= TARN_INTERNAL; i++) {
        const char *name = tarn_status_name((tarn_status)i);
        assert_string_not_equal(name, "UNKNOWN");
        for (int j = TARN_OK; j < i; j++) assert_string_not_equal(name, tarn_status_name((tarn_status)j));
    }
    assert_string_equal(tarn_status_name(TARN_OK), "OK");
    assert_string_equal(tarn_status_name(TARN_OUT_OF_MEMORY), "OUT_OF_MEMORY");
}

static void an_unknown_status_is_called_so(void **state) {
    (void)state;
    assert_string_equal(tarn_status_name((tarn_status)(TARN_INTERNAL + 1)), "UNKNOWN");
    assert_string_equal(tarn_status_name((tarn_status)1000), "UNKNOWN");
}

static void failing_returns_the_status_and_keeps_the_sentence(void **state) {
    (void)state;
    assert_int_equal(base_fail(TARN_NOT_FOUND, "device %s: number %d", "sim", 7), TARN_NOT_FOUND);
    assert_string_equal(tarn_last_error(), "device sim: number 7");
}

static void a_long_sentence_is_cut(void **state) {
    (void)state;
    base_fail(TARN_INTERNAL, "%2000d", 1);
    assert_int_equal(strlen(tarn_last_error()), 1023);
}

static void a_sentence_may_contain_the_last_one(void **state) {
    (void)state;
    base_fail(TARN_IO_ERROR, "inner");
    base_fail(TARN_IO_ERROR, "outer, because of %s", tarn_last_error());
    assert_string_equal(tarn_last_error(), "outer, because of inner");
}

static void within_puts_the_prefix_before_the_sentence(void **state) {
    (void)state;
    base_fail(TARN_IO_ERROR, "it is a directory");
    assert_int_equal(base_fail_within(TARN_CORRUPT_DATA, "file %s", "a.tarn"), TARN_CORRUPT_DATA);
    assert_string_equal(tarn_last_error(), "file a.tarn: it is a directory");
}

static void within_may_quote_the_sentence_in_its_prefix(void **state) {
    (void)state;
    base_fail(TARN_IO_ERROR, "x");
    base_fail_within(TARN_IO_ERROR, "<%s>", tarn_last_error());
    assert_string_equal(tarn_last_error(), "<x>: x");
}

static void within_cuts_a_long_prefix(void **state) {
    (void)state;
    base_fail(TARN_IO_ERROR, "lost");
    base_fail_within(TARN_IO_ERROR, "%3000d", 1);
    assert_int_equal(strlen(tarn_last_error()), 1023);
    base_fail(TARN_IO_ERROR, "%1020d", 1);
    base_fail_within(TARN_IO_ERROR, "prefix");
    assert_int_equal(strlen(tarn_last_error()), 1023);
}

static void *fail_elsewhere(void *context) {
    char *seen = context;
    snprintf(seen, 16, "%s", tarn_last_error());
    base_fail(TARN_BUSY, "of another thread");
    return NULL;
}

static void each_thread_has_its_own_sentence_which_starts_empty(void **state) {
    (void)state;
    char seen[16] = "unset";
    pthread_t thread;
    base_fail(TARN_BUSY, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, seen), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_string_equal(seen, "");
    assert_string_equal(tarn_last_error(), "mine");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_own_name),
        cmocka_unit_test(an_unknown_status_is_called_so),
        cmocka_unit_test(failing_returns_the_status_and_keeps_the_sentence),
        cmocka_unit_test(a_long_sentence_is_cut),
        cmocka_unit_test(a_sentence_may_contain_the_last_one),
        cmocka_unit_test(within_puts_the_prefix_before_the_sentence),
        cmocka_unit_test(within_may_quote_the_sentence_in_its_prefix),
        cmocka_unit_test(within_cuts_a_long_prefix),
        cmocka_unit_test(each_thread_has_its_own_sentence_which_starts_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
