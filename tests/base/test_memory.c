/* The door to host memory, and the failures that tests order there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/memory.h"

static int stop_failing(void **state) {
    (void)state;
    base_memory_fail_at(0, 0);
    return 0;
}

static void memory_is_zeroed(void **state) {
    (void)state;
    unsigned char *bytes = base_allocate(1000, 3);
    assert_non_null(bytes);
    for (int i = 0; i < 3000; i++) assert_int_equal(bytes[i], 0);
    base_free(bytes);
}

static void nothing_is_something(void **state) {
    (void)state;
    void *empty = base_allocate(0, 8);
    assert_non_null(empty);
    empty = base_reallocate(empty, 0, 8);
    assert_non_null(empty);
    base_free(empty);
    base_free(NULL);
}

static void a_product_that_overflows_is_refused(void **state) {
    (void)state;
    assert_null(base_allocate(SIZE_MAX / 2, 3));
    char *kept = base_duplicate("kept");
    assert_non_null(kept);
    assert_null(base_reallocate(kept, SIZE_MAX / 2, 3));
    assert_string_equal(kept, "kept");
    base_free(kept);
}

static void growing_keeps_the_contents(void **state) {
    (void)state;
    char *text = base_duplicate("tarn");
    text = base_reallocate(text, 1000, 100);
    assert_non_null(text);
    assert_string_equal(text, "tarn");
    base_free(text);
}

static void the_ordered_request_fails_and_no_other(void **state) {
    (void)state;
    base_memory_fail_at(2, 0);
    char *first = base_duplicate("first");
    assert_non_null(first);
    assert_null(base_reallocate(first, 100, 1));
    assert_string_equal(first, "first");
    first = base_reallocate(first, 100, 1);
    assert_non_null(first);
    base_free(first);
    assert_int_equal(base_memory_requests(), 3);
}

static void for_good_fails_all_later_ones(void **state) {
    (void)state;
    base_memory_fail_at(2, 1);
    void *first = base_allocate(1, 1);
    assert_non_null(first);
    assert_null(base_allocate(1, 1));
    assert_null(base_duplicate("x"));
    base_memory_fail_at(0, 0);
    void *second = base_allocate(1, 1);
    assert_non_null(second);
    assert_int_equal(base_memory_requests(), 1);
    base_free(first);
    base_free(second);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed),
        cmocka_unit_test(nothing_is_something),
        cmocka_unit_test(a_product_that_overflows_is_refused),
        cmocka_unit_test(growing_keeps_the_contents),
        cmocka_unit_test_teardown(the_ordered_request_fails_and_no_other, stop_failing),
        cmocka_unit_test_teardown(for_good_fails_all_later_ones, stop_failing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
