/* Bounds of shapes: what is between them, how many elements there are at most, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <tarn/shape.h>

static tarn_shape shape(int64_t a, int64_t b) {
    tarn_shape made;
    assert_int_equal(tarn_shape_make((int64_t[]){a, b}, 2, &made), TARN_OK);
    return made;
}

static void bounds_count_what_is_possible_and_what_is_expected(void **state) {
    (void)state;
    tarn_shape minimum = shape(1, 512), maximum = shape(4096, 512), expected = shape(300, 512);
    tarn_shape_bounds bounds;
    size_t elements = 0;
    assert_int_equal(tarn_shape_bounds_make(&minimum, &maximum, &expected, &bounds), TARN_OK);
    assert_int_equal(tarn_shape_bounds_max_elements(&bounds, &elements), TARN_OK);
    assert_int_equal(elements, 4096 * 512);
    assert_int_equal(tarn_shape_bounds_expected_elements(&bounds, &elements), TARN_OK);
    assert_int_equal(elements, 300 * 512);
    assert_int_equal(tarn_shape_bounds_make(NULL, &maximum, NULL, &bounds), TARN_OK);
    assert_int_equal(tarn_shape_bounds_expected_elements(&bounds, &elements), TARN_OK);
    assert_int_equal(elements, 4096 * 512);
    assert_int_equal(bounds.minimum.rank, 2);
}

static void bounds_contain_the_shapes_between_them(void **state) {
    (void)state;
    tarn_shape minimum = shape(2, 10), maximum = shape(5, 20), inside = shape(3, 15), low = shape(1, 15),
               high = shape(3, 21), other = {.rank = 1, .dims = {3}}, forged = {.rank = SIZE_MAX};
    tarn_shape_bounds bounds;
    assert_int_equal(tarn_shape_bounds_make(&minimum, &maximum, NULL, &bounds), TARN_OK);
    assert_true(tarn_shape_bounds_contains(&bounds, &minimum));
    assert_true(tarn_shape_bounds_contains(&bounds, &maximum));
    assert_true(tarn_shape_bounds_contains(&bounds, &inside));
    assert_false(tarn_shape_bounds_contains(&bounds, &low));
    assert_false(tarn_shape_bounds_contains(&bounds, &high));
    assert_false(tarn_shape_bounds_contains(&bounds, &other));
    assert_false(tarn_shape_bounds_contains(&bounds, &forged));
    assert_false(tarn_shape_bounds_contains(&bounds, NULL));
    assert_false(tarn_shape_bounds_contains(NULL, &inside));
}

/* 4, 7, 8 of the list of faults, for bounds. */
static void bounds_that_contradict_themselves_are_refused(void **state) {
    (void)state;
    tarn_shape small = shape(2, 10), large = shape(5, 20), mixed = shape(1, 30), flat = {.rank = 1, .dims = {3}},
               negative = {.rank = 2, .dims = {3, -1}}, forged = {.rank = SIZE_MAX},
               huge = shape((int64_t)1 << 40, (int64_t)1 << 40);
    tarn_shape_bounds bounds = {.maximum = {.rank = 77}};
    size_t elements = 77;
    assert_int_equal(tarn_shape_bounds_make(&large, &small, NULL, &bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_make(&small, &large, &mixed, &bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_make(&large, &large, &small, &bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_make(&small, &small, &large, &bounds), TARN_INVALID_ARGUMENT);
    assert_non_null(strstr(tarn_last_error(), "[5, 20]"));
    assert_int_equal(tarn_shape_bounds_make(&flat, &large, NULL, &bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_make(NULL, &large, &flat, &bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_make(&negative, &large, NULL, &bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_make(NULL, &forged, NULL, &bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_make(NULL, &huge, &small, &bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_make(NULL, NULL, NULL, &bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_make(NULL, &large, NULL, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(bounds.maximum.rank, 77);
    assert_int_equal(tarn_shape_bounds_check(&bounds), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_check(NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_max_elements(&bounds, &elements), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bounds_expected_elements(&bounds, &elements), TARN_INVALID_ARGUMENT);
    assert_int_equal(elements, 77);
}

static void a_symbolic_shape_has_bounds(void **state) {
    (void)state;
    const tarn_dim dims[] = {tarn_dim_known(8), tarn_dim_open("seq", 1, 4096), tarn_dim_known(512)};
    tarn_symbolic_shape tokens;
    tarn_shape_bounds bounds;
    tarn_shape expected = {.rank = 3, .dims = {8, 300, 512}}, other = {.rank = 3, .dims = {9, 300, 512}};
    assert_int_equal(tarn_symbolic_shape_make(dims, 3, &tokens), TARN_OK);
    assert_int_equal(tarn_shape_bounds_of(&tokens, &expected, &bounds), TARN_OK);
    assert_int_equal(bounds.minimum.dims[1], 1);
    assert_int_equal(bounds.maximum.dims[1], 4096);
    assert_int_equal(bounds.maximum.dims[0], 8);
    assert_true(tarn_shape_equals(&bounds.expected, &expected));
    assert_int_equal(tarn_shape_bounds_of(&tokens, &other, &bounds), TARN_INVALID_ARGUMENT);
    tokens.dims[1].maximum = TARN_DIM_UNLIMITED;
    assert_int_equal(tarn_shape_bounds_of(&tokens, NULL, &bounds), TARN_INVALID_STATE);
    assert_int_equal(tarn_symbolic_shape_bind(&tokens, "seq", 300, &tokens), TARN_OK);
    assert_int_equal(tarn_shape_bounds_of(&tokens, NULL, &bounds), TARN_OK);
    assert_true(tarn_shape_equals(&bounds.minimum, &expected));
    assert_int_equal(tarn_shape_bounds_of(NULL, NULL, &bounds), TARN_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_count_what_is_possible_and_what_is_expected),
        cmocka_unit_test(bounds_contain_the_shapes_between_them),
        cmocka_unit_test(bounds_that_contradict_themselves_are_refused),
        cmocka_unit_test(a_symbolic_shape_has_bounds),
    };
    return cmocka_run_group_tests_name("shape bounds", tests, NULL, NULL);
}
