/* Checked arithmetic, at its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/checked.h"

static void sums_that_fit_are_written(void **state) {
    (void)state;
    size_t sum = 0;
    assert_true(checked_add(SIZE_MAX - 1, 1, &sum));
    assert_true(sum == SIZE_MAX);
}

static void sums_that_do_not_fit_change_nothing(void **state) {
    (void)state;
    size_t sum = 42;
    assert_false(checked_add(SIZE_MAX, 1, &sum));
    assert_int_equal(sum, 42);
}

static void products_are_checked_alike(void **state) {
    (void)state;
    size_t product = 42;
    assert_false(checked_multiply(SIZE_MAX / 2 + 1, 2, &product));
    assert_int_equal(product, 42);
    assert_true(checked_multiply(SIZE_MAX / 2, 2, &product));
    assert_true(product == SIZE_MAX - 1);
    assert_true(checked_multiply(0, SIZE_MAX, &product));
    assert_int_equal(product, 0);
}

static void rounding_up_goes_to_the_next_multiple(void **state) {
    (void)state;
    size_t rounded = 42;
    assert_true(checked_round_up(0, 512, &rounded));
    assert_int_equal(rounded, 0);
    assert_true(checked_round_up(1, 512, &rounded));
    assert_int_equal(rounded, 512);
    assert_true(checked_round_up(512, 512, &rounded));
    assert_int_equal(rounded, 512);
    assert_false(checked_round_up(SIZE_MAX - 510, 512, &rounded));
    assert_int_equal(rounded, 512);
    assert_true(checked_round_up(SIZE_MAX - 511, 512, &rounded));
    assert_true(rounded == SIZE_MAX - 511);
    assert_int_equal(round_down(1023, 512), 512);
    assert_int_equal(round_up(513, 512), 1024);
}

static void powers_of_two_are_told_apart(void **state) {
    (void)state;
    assert_false(is_power_of_two(0));
    assert_true(is_power_of_two(1));
    assert_true(is_power_of_two(SIZE_MAX / 2 + 1));
    assert_false(is_power_of_two(SIZE_MAX));
    assert_false(is_power_of_two(6));
}

/* Fault 63. */
static void figures_saturate(void **state) {
    (void)state;
    assert_true(saturating_add(UINT64_MAX, 1) == UINT64_MAX);
    assert_true(saturating_add(UINT64_MAX - 1, 1) == UINT64_MAX);
    assert_int_equal(saturating_add(1, 2), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_that_fit_are_written),    cmocka_unit_test(sums_that_do_not_fit_change_nothing),
        cmocka_unit_test(products_are_checked_alike),   cmocka_unit_test(rounding_up_goes_to_the_next_multiple),
        cmocka_unit_test(powers_of_two_are_told_apart), cmocka_unit_test(figures_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
