/* Shapes of numbers: counting, strides, extents, and every way in which sizes can wrap. Numbers in comments are those of the
 * project's list of faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include <tarn/shape.h>

#define BIG ((int64_t)1 << 62)

static tarn_shape make(size_t rank, const int64_t *dims) {
    tarn_shape shape;
    assert_int_equal(tarn_shape_make(dims, rank, &shape), TARN_OK);
    return shape;
}
#define SHAPE(...) make(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

static void element_types_have_sizes_and_names(void **state) {
    (void)state;
    const struct {
        tarn_element_type type;
        size_t size;
        const char *name;
    } wanted[] = {{TARN_ELEMENT_F32, 4, "f32"},  {TARN_ELEMENT_F16, 2, "f16"}, {TARN_ELEMENT_BF16, 2, "bf16"},
                  {TARN_ELEMENT_F64, 8, "f64"},  {TARN_ELEMENT_I8, 1, "i8"},   {TARN_ELEMENT_U8, 1, "u8"},
                  {TARN_ELEMENT_I16, 2, "i16"},  {TARN_ELEMENT_I32, 4, "i32"}, {TARN_ELEMENT_I64, 8, "i64"},
                  {TARN_ELEMENT_BOOL, 1, "bool"}};
    assert_int_equal(sizeof wanted / sizeof wanted[0], TARN_ELEMENT_TYPE_COUNT);
    for (size_t i = 0; i < TARN_ELEMENT_TYPE_COUNT; i++) {
        assert_int_equal(tarn_element_size(wanted[i].type), wanted[i].size);
        assert_string_equal(tarn_element_name(wanted[i].type), wanted[i].name);
    }
    assert_int_equal(tarn_element_size((tarn_element_type)99), 0);
    assert_string_equal(tarn_element_name((tarn_element_type)99), "unknown");
}

static void elements_and_bytes_are_products(void **state) {
    (void)state;
    tarn_shape shape = SHAPE(2, 3, 4), single = make(0, NULL);
    size_t elements = 0, bytes = 0;
    assert_int_equal(tarn_shape_elements(&shape, &elements), TARN_OK);
    assert_int_equal(elements, 24);
    assert_int_equal(tarn_shape_bytes(&shape, TARN_ELEMENT_F64, &bytes), TARN_OK);
    assert_int_equal(bytes, 192);
    assert_int_equal(tarn_shape_elements(&single, &elements), TARN_OK);
    assert_int_equal(elements, 1);
}

/* 4 */
static void a_product_that_wraps_is_refused(void **state) {
    (void)state;
    const tarn_shape wrapping[] = {SHAPE(BIG, 8), SHAPE((int64_t)1 << 32, (int64_t)1 << 32),
                                   SHAPE(INT64_MAX, INT64_MAX), SHAPE(3, BIG, 2, 2)};
    size_t kept = 77;
    for (size_t i = 0; i < sizeof wrapping / sizeof wrapping[0]; i++) {
        assert_int_equal(tarn_shape_elements(&wrapping[i], &kept), TARN_INVALID_ARGUMENT);
        assert_int_equal(tarn_shape_bytes(&wrapping[i], TARN_ELEMENT_U8, &kept), TARN_INVALID_ARGUMENT);
        assert_int_equal(kept, 77);
    }
    assert_non_null(strstr(tarn_last_error(), "[3, 4611686018427387904, 2, 2]"));
    /* As many elements as can be counted, and too many bytes; as many bytes as memory can have, and one more. */
    tarn_shape many = SHAPE(BIG), most = SHAPE(INT64_MAX);
    assert_int_equal(tarn_shape_elements(&many, &kept), TARN_OK);
    assert_int_equal(tarn_shape_bytes(&many, TARN_ELEMENT_F64, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bytes(&many, TARN_ELEMENT_F16, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bytes(&most, TARN_ELEMENT_U8, &kept), TARN_OK);
    assert_int_equal(kept, INT64_MAX);
}

/* 5 */
static void strides_and_offsets_that_wrap_are_refused(void **state) {
    (void)state;
    int64_t strides[TARN_MAXIMUM_RANK] = {-7};
    tarn_shape wide = SHAPE(1, BIG, 4);
    assert_int_equal(tarn_shape_strides(&wide, strides), TARN_INVALID_ARGUMENT);
    assert_int_equal(strides[0], -7);
    tarn_shape shape = SHAPE(3, 4);
    size_t bytes = 77;
    const struct {
        int64_t strides[2], offset;
        tarn_element_type type;
    } wrapping[] = {{{INT64_MAX, 1}, 0, TARN_ELEMENT_U8}, {{BIG, 1}, BIG, TARN_ELEMENT_U8},
                    {{1, 1}, INT64_MAX, TARN_ELEMENT_U8}, {{1, 1}, INT64_MAX - 5, TARN_ELEMENT_U8},
                    {{BIG / 2, 1}, 0, TARN_ELEMENT_F64},  {{INT64_MIN, 1}, 0, TARN_ELEMENT_U8},
                    {{-1, 1}, 1, TARN_ELEMENT_U8},        {{1, 1}, -1, TARN_ELEMENT_U8},
                    {{1, 1}, INT64_MIN, TARN_ELEMENT_U8}, {{INT64_MIN / 2, 1}, INT64_MIN / 2, TARN_ELEMENT_U8}};
    for (size_t i = 0; i < sizeof wrapping / sizeof wrapping[0]; i++) {
        assert_int_equal(tarn_shape_extent(&shape, wrapping[i].strides, wrapping[i].offset, wrapping[i].type, &bytes),
                         TARN_INVALID_ARGUMENT);
        assert_int_equal(bytes, 77);
    }
    assert_int_equal(tarn_shape_extent(&shape, (int64_t[]){1, 1}, INT64_MAX - 6, TARN_ELEMENT_U8, &bytes), TARN_OK);
}

static void an_extent_reaches_to_the_farthest_element(void **state) {
    (void)state;
    tarn_shape shape = SHAPE(3, 4);
    size_t bytes;
    assert_int_equal(tarn_shape_extent(&shape, (int64_t[]){4, 1}, 0, TARN_ELEMENT_F32, &bytes), TARN_OK);
    assert_int_equal(bytes, 48);
    assert_int_equal(tarn_shape_extent(&shape, (int64_t[]){1, 3}, 2, TARN_ELEMENT_F32, &bytes), TARN_OK);
    assert_int_equal(bytes, 56);
    assert_int_equal(tarn_shape_extent(&shape, (int64_t[]){-4, 1}, 8, TARN_ELEMENT_U8, &bytes), TARN_OK);
    assert_int_equal(bytes, 12);
    assert_int_equal(tarn_shape_extent(&shape, (int64_t[]){0, 0}, 0, TARN_ELEMENT_I64, &bytes), TARN_OK);
    assert_int_equal(bytes, 8);
}

static void strides_are_row_major(void **state) {
    (void)state;
    int64_t strides[TARN_MAXIMUM_RANK];
    tarn_shape shape = SHAPE(2, 3, 4), empty = SHAPE(2, 0, 4), single = make(0, NULL);
    assert_int_equal(tarn_shape_strides(&shape, strides), TARN_OK);
    assert_memory_equal(strides, ((int64_t[]){12, 4, 1}), 3 * sizeof strides[0]);
    assert_int_equal(tarn_shape_strides(&empty, strides), TARN_OK);
    assert_memory_equal(strides, ((int64_t[]){4, 4, 1}), 3 * sizeof strides[0]);
    assert_int_equal(tarn_shape_strides(&single, NULL), TARN_OK);
}

/* 6 */
static void a_zero_dimension_beside_huge_ones_is_an_empty_shape(void **state) {
    (void)state;
    const tarn_shape empty[] = {SHAPE(0), SHAPE(BIG, BIG, 0), SHAPE(0, BIG, BIG), SHAPE(BIG, 0, BIG)};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        size_t elements = 77, bytes = 77, extent = 77;
        const int64_t strides[] = {BIG, BIG, BIG};
        assert_int_equal(tarn_shape_elements(&empty[i], &elements), TARN_OK);
        assert_int_equal(tarn_shape_bytes(&empty[i], TARN_ELEMENT_F64, &bytes), TARN_OK);
        assert_int_equal(tarn_shape_extent(&empty[i], strides, 0, TARN_ELEMENT_F64, &extent), TARN_OK);
        assert_int_equal(elements + bytes + extent, 0);
    }
    int64_t strides[TARN_MAXIMUM_RANK];
    assert_int_equal(tarn_shape_strides(&empty[1], strides), TARN_OK);
    assert_memory_equal(strides, ((int64_t[]){BIG, 1, 1}), 3 * sizeof strides[0]);
    assert_int_equal(tarn_shape_strides(&empty[2], strides), TARN_OK);
    assert_memory_equal(strides, ((int64_t[]){0, BIG, 1}), 3 * sizeof strides[0]);
}

/* 7 */
static void negative_dimensions_are_refused(void **state) {
    (void)state;
    const int64_t lists[][3] = {{-1, 2, 3}, {2, 3, -1}, {INT64_MIN, 1, 1}, {0, -1, 0}};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        tarn_shape shape = {.rank = 77}, forged = {.rank = 3};
        size_t kept = 77;
        int64_t strides[TARN_MAXIMUM_RANK];
        assert_int_equal(tarn_shape_make(lists[i], 3, &shape), TARN_INVALID_ARGUMENT);
        assert_int_equal(shape.rank, 77);
        memcpy(forged.dims, lists[i], sizeof lists[i]);
        assert_int_equal(tarn_shape_elements(&forged, &kept), TARN_INVALID_ARGUMENT);
        assert_int_equal(tarn_shape_bytes(&forged, TARN_ELEMENT_F32, &kept), TARN_INVALID_ARGUMENT);
        assert_int_equal(tarn_shape_strides(&forged, strides), TARN_INVALID_ARGUMENT);
        assert_int_equal(tarn_shape_extent(&forged, strides, 0, TARN_ELEMENT_F32, &kept), TARN_INVALID_ARGUMENT);
        assert_int_equal(kept, 77);
    }
    assert_non_null(strstr(tarn_last_error(), "dimension 1"));
}

/* 8 */
static void a_rank_above_the_maximum_is_refused(void **state) {
    (void)state;
    const int64_t dims[TARN_MAXIMUM_RANK + 1] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    tarn_shape shape = {.rank = 77}, forged = {.rank = SIZE_MAX};
    size_t kept = 77;
    char text[16];
    assert_int_equal(tarn_shape_make(dims, TARN_MAXIMUM_RANK + 1, &shape), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_make(dims, SIZE_MAX, &shape), TARN_INVALID_ARGUMENT);
    assert_int_equal(shape.rank, 77);
    assert_int_equal(tarn_shape_elements(&forged, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(kept, 77);
    assert_false(tarn_shape_equals(&forged, &forged));
    assert_true(tarn_shape_to_string(&forged, text, sizeof text) > 0);
    assert_int_equal(tarn_shape_make(dims, TARN_MAXIMUM_RANK, &shape), TARN_OK);
}

static void null_and_unknown_arguments_are_refused(void **state) {
    (void)state;
    tarn_shape shape = SHAPE(2, 3);
    const int64_t strides[2] = {3, 1};
    int64_t dims[1] = {1};
    size_t kept = 77;
    assert_int_equal(tarn_shape_make(NULL, 2, &shape), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_make(dims, 1, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_elements(NULL, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_elements(&shape, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bytes(NULL, TARN_ELEMENT_F32, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bytes(&shape, TARN_ELEMENT_F32, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_bytes(&shape, (tarn_element_type)99, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_strides(NULL, dims), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_strides(&shape, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_extent(NULL, strides, 0, TARN_ELEMENT_F32, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_extent(&shape, NULL, 0, TARN_ELEMENT_F32, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_extent(&shape, strides, 0, (tarn_element_type)-1, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_shape_extent(&shape, strides, 0, TARN_ELEMENT_F32, NULL), TARN_INVALID_ARGUMENT);
    assert_false(tarn_shape_equals(NULL, &shape));
    assert_false(tarn_shape_equals(&shape, NULL));
    assert_int_equal(kept, 77);
}

static void shapes_print_and_compare(void **state) {
    (void)state;
    tarn_shape shape = SHAPE(2, 3, 4), other = SHAPE(2, 3), same = SHAPE(2, 3, 4), single = make(0, NULL);
    char text[64], small[6];
    assert_int_equal(tarn_shape_to_string(&shape, text, sizeof text), 9);
    assert_string_equal(text, "[2, 3, 4]");
    assert_int_equal(tarn_shape_to_string(&shape, small, sizeof small), 9);
    assert_string_equal(small, "[2, 3");
    assert_int_equal(tarn_shape_to_string(&shape, NULL, 0), 9);
    tarn_shape_to_string(&single, text, sizeof text);
    assert_string_equal(text, "[]");
    tarn_shape_to_string(NULL, text, sizeof text);
    assert_string_equal(text, "[]");
    assert_true(tarn_shape_equals(&shape, &same));
    assert_true(tarn_shape_equals(&single, &single));
    assert_false(tarn_shape_equals(&shape, &other));
    same.dims[2] = 5;
    assert_false(tarn_shape_equals(&shape, &same));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(element_types_have_sizes_and_names),
        cmocka_unit_test(elements_and_bytes_are_products),
        cmocka_unit_test(a_product_that_wraps_is_refused),
        cmocka_unit_test(strides_and_offsets_that_wrap_are_refused),
        cmocka_unit_test(an_extent_reaches_to_the_farthest_element),
        cmocka_unit_test(strides_are_row_major),
        cmocka_unit_test(a_zero_dimension_beside_huge_ones_is_an_empty_shape),
        cmocka_unit_test(negative_dimensions_are_refused),
        cmocka_unit_test(a_rank_above_the_maximum_is_refused),
        cmocka_unit_test(null_and_unknown_arguments_are_refused),
        cmocka_unit_test(shapes_print_and_compare),
    };
    return cmocka_run_group_tests_name("shape shape", tests, NULL, NULL);
}
