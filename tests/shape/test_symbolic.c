/* Symbolic shapes: making, binding, broadcasting, reshaping, printing; and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <tarn/shape.h>

static tarn_symbolic_shape make(size_t rank, const tarn_dim *dims) {
    tarn_symbolic_shape shape;
    assert_int_equal(tarn_symbolic_shape_make(dims, rank, &shape), TARN_OK);
    return shape;
}
#define SYMBOLIC(...) make(sizeof((tarn_dim[]){__VA_ARGS__}) / sizeof(tarn_dim), (const tarn_dim[]){__VA_ARGS__})
#define BATCH tarn_dim_open("batch", 0, TARN_DIM_UNLIMITED)
#define SEQ tarn_dim_open("seq", 0, 4096)
#define KNOWN(n) tarn_dim_known(n)

static void expect_text(const tarn_symbolic_shape *shape, const char *wanted) {
    char text[128];
    assert_int_equal(tarn_symbolic_shape_to_string(shape, text, sizeof text), strlen(wanted));
    assert_string_equal(text, wanted);
}

static void shapes_print_names_and_ranges(void **state) {
    (void)state;
    tarn_symbolic_shape shape = SYMBOLIC(BATCH, SEQ, KNOWN(512)), single = make(0, NULL);
    expect_text(&shape, "[batch, seq<=4096, 512]");
    expect_text(&single, "[]");
    expect_text(NULL, "[]");
    tarn_symbolic_shape ranged = SYMBOLIC(tarn_dim_open("batch", 1, 8), tarn_dim_open("seq", 16, TARN_DIM_UNLIMITED));
    expect_text(&ranged, "[1<=batch<=8, 16<=seq]");
    assert_int_equal(tarn_symbolic_shape_bind(&ranged, "batch", 4, &ranged), TARN_OK);
    expect_text(&ranged, "[batch=4, 16<=seq]");
    assert_int_equal(tarn_symbolic_shape_to_string(&shape, NULL, 0), 23);
}

static void binding_gives_every_dimension_of_the_name_its_value(void **state) {
    (void)state;
    tarn_symbolic_shape shape = SYMBOLIC(SEQ, BATCH, SEQ), bound;
    tarn_shape value = {.rank = 77};
    assert_int_equal(tarn_symbolic_shape_open_dims(&shape), 3);
    assert_int_equal(tarn_symbolic_shape_value(&shape, &value), TARN_INVALID_STATE);
    assert_non_null(strstr(tarn_last_error(), "seq"));
    assert_int_equal(value.rank, 77);
    assert_int_equal(tarn_symbolic_shape_bind(&shape, "seq", 100, &bound), TARN_OK);
    assert_int_equal(tarn_symbolic_shape_open_dims(&bound), 1);
    assert_int_equal(tarn_symbolic_shape_open_dims(&shape), 3);
    assert_int_equal(tarn_symbolic_shape_value(&bound, &value), TARN_INVALID_STATE);
    assert_int_equal(tarn_symbolic_shape_bind(&bound, "batch", 0, &bound), TARN_OK);
    assert_int_equal(tarn_symbolic_shape_value(&bound, &value), TARN_OK);
    assert_int_equal(value.rank, 3);
    assert_memory_equal(value.dims, ((int64_t[]){100, 0, 100}), 3 * sizeof value.dims[0]);
    /* Once more to the same value, and to another. */
    assert_int_equal(tarn_symbolic_shape_bind(&bound, "seq", 100, &bound), TARN_OK);
    assert_int_equal(tarn_symbolic_shape_bind(&bound, "seq", 101, &bound), TARN_INVALID_ARGUMENT);
    assert_int_equal(bound.dims[0].value, 100);
}

static void binding_refuses_what_does_not_fit(void **state) {
    (void)state;
    tarn_symbolic_shape shape = SYMBOLIC(BATCH, tarn_dim_open("seq", 16, 4096)), kept = {.rank = 77};
    assert_int_equal(tarn_symbolic_shape_bind(&shape, "seq", 4097, &kept), TARN_INVALID_ARGUMENT);
    assert_non_null(strstr(tarn_last_error(), "4097"));
    assert_int_equal(tarn_symbolic_shape_bind(&shape, "seq", 15, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_bind(&shape, "batch", -1, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_bind(&shape, "batch", INT64_MIN, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_bind(&shape, "width", 5, &kept), TARN_NOT_FOUND);
    assert_int_equal(tarn_symbolic_shape_bind(&shape, NULL, 5, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_bind(NULL, "batch", 5, &kept), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_bind(&shape, "batch", 5, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(kept.rank, 77);
}

/* 7, 8 of the list of faults, for dimensions that may be open. */
static void dimensions_that_contradict_themselves_are_refused(void **state) {
    (void)state;
    const struct {
        size_t rank;
        tarn_dim dims[3];
    } wrong[] = {{1, {{.value = -2, .maximum = 5}}},
                 {1, {{.value = TARN_DIM_UNKNOWN, .maximum = 5}}},
                 {1, {{.name = "", .value = TARN_DIM_UNKNOWN, .maximum = 5}}},
                 {1, {{.name = "a", .value = TARN_DIM_UNKNOWN, .minimum = -1, .maximum = 5}}},
                 {1, {{.name = "a", .value = TARN_DIM_UNKNOWN, .minimum = 6, .maximum = 5}}},
                 {1, {{.name = "a", .value = 7, .minimum = 1, .maximum = 5}}},
                 {1, {{.name = "a", .value = 0, .minimum = 1, .maximum = 5}}},
                 {2, {{.name = "a", .value = 4, .maximum = 5}, {.name = "a", .value = 3, .maximum = 5}}},
                 {2, {{.name = "a", .value = 4, .maximum = 5}, {.name = "a", .value = 4, .maximum = 6}}},
                 {TARN_MAXIMUM_RANK + 1, {{.value = 1}}}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        tarn_symbolic_shape shape = {.rank = 77};
        assert_int_equal(tarn_symbolic_shape_make(wrong[i].dims, wrong[i].rank, &shape), TARN_INVALID_ARGUMENT);
        assert_int_equal(shape.rank, 77);
    }
    tarn_symbolic_shape forged = {.rank = SIZE_MAX}, fine = SYMBOLIC(BATCH);
    tarn_shape value;
    assert_int_equal(tarn_symbolic_shape_value(&forged, &value), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_broadcast(&fine, &forged, &fine), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_check_reshape(&forged, &fine), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_make(NULL, 2, &fine), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_value(NULL, &value), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_value(&fine, NULL), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_broadcast(&fine, &fine, NULL), TARN_INVALID_ARGUMENT);
}

static void shapes_broadcast_by_numpys_rules(void **state) {
    (void)state;
    tarn_symbolic_shape image = SYMBOLIC(KNOWN(256), KNOWN(256), KNOWN(3)), scale = SYMBOLIC(KNOWN(3)),
                        column = SYMBOLIC(KNOWN(8), KNOWN(1), KNOWN(6), KNOWN(1)),
                        row = SYMBOLIC(KNOWN(7), KNOWN(1), KNOWN(5)), single = make(0, NULL),
                        empty = SYMBOLIC(KNOWN(0)), one = SYMBOLIC(KNOWN(1)), result;
    assert_int_equal(tarn_symbolic_shape_broadcast(&image, &scale, &result), TARN_OK);
    expect_text(&result, "[256, 256, 3]");
    assert_int_equal(tarn_symbolic_shape_broadcast(&column, &row, &result), TARN_OK);
    expect_text(&result, "[8, 7, 6, 5]");
    assert_int_equal(tarn_symbolic_shape_broadcast(&single, &row, &result), TARN_OK);
    expect_text(&result, "[7, 1, 5]");
    assert_int_equal(tarn_symbolic_shape_broadcast(&empty, &one, &result), TARN_OK);
    expect_text(&result, "[0]");
    assert_int_equal(tarn_symbolic_shape_broadcast(&empty, &scale, &result), TARN_INVALID_ARGUMENT);
    tarn_symbolic_shape other = SYMBOLIC(KNOWN(4));
    assert_int_equal(tarn_symbolic_shape_broadcast(&image, &other, &result), TARN_INVALID_ARGUMENT);
    assert_non_null(strstr(tarn_last_error(), "[3] and [4]"));
    expect_text(&result, "[0]");
}

static void open_dimensions_broadcast_where_the_answer_is_sure(void **state) {
    (void)state;
    tarn_symbolic_shape tokens = SYMBOLIC(BATCH, SEQ, KNOWN(512)), bias = SYMBOLIC(KNOWN(512)),
                        mask = SYMBOLIC(KNOWN(1), SEQ, KNOWN(1)), fixed = SYMBOLIC(KNOWN(100), KNOWN(512)),
                        long_one = SYMBOLIC(KNOWN(5000), KNOWN(512)),
                        other = SYMBOLIC(tarn_dim_open("n", 0, 9), KNOWN(1)),
                        long_range = SYMBOLIC(tarn_dim_open("m", 5000, 6000), KNOWN(1)),
                        from_two = SYMBOLIC(tarn_dim_open("seq", 2, 9), KNOWN(1)), result;
    assert_int_equal(tarn_symbolic_shape_broadcast(&tokens, &bias, &result), TARN_OK);
    expect_text(&result, "[batch, seq<=4096, 512]");
    assert_int_equal(tarn_symbolic_shape_broadcast(&mask, &tokens, &result), TARN_OK);
    expect_text(&result, "[batch, seq<=4096, 512]");
    assert_int_equal(tarn_symbolic_shape_broadcast(&tokens, &fixed, &result), TARN_OK);
    expect_text(&result, "[batch, 100, 512]");
    /* seq may be 1. */
    assert_int_equal(tarn_symbolic_shape_broadcast(&tokens, &long_one, &result), TARN_OK);
    expect_text(&result, "[batch, 5000, 512]");
    assert_int_equal(tarn_symbolic_shape_broadcast(&long_one, &from_two, &result), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_broadcast(&tokens, &other, &result), TARN_INVALID_STATE);
    assert_int_equal(tarn_symbolic_shape_broadcast(&tokens, &long_range, &result), TARN_INVALID_STATE);
    assert_int_equal(tarn_symbolic_shape_broadcast(&from_two, &long_range, &result), TARN_INVALID_ARGUMENT);
}

static void reshaping_asks_for_equally_many_elements(void **state) {
    (void)state;
    tarn_symbolic_shape known = SYMBOLIC(KNOWN(6), KNOWN(4)), flat = SYMBOLIC(KNOWN(24)), more = SYMBOLIC(KNOWN(25)),
                        tokens = SYMBOLIC(BATCH, SEQ, KNOWN(512)), heads = SYMBOLIC(BATCH, SEQ, KNOWN(8), KNOWN(64)),
                        swapped = SYMBOLIC(KNOWN(512), SEQ, BATCH), short_one = SYMBOLIC(BATCH, SEQ, KNOWN(500)),
                        less = SYMBOLIC(SEQ, KNOWN(512)), empty = SYMBOLIC(KNOWN(0), KNOWN(5)),
                        nothing = SYMBOLIC(KNOWN(0)), few = SYMBOLIC(tarn_dim_open("few", 1, 5)),
                        huge = SYMBOLIC(KNOWN(INT64_MAX), KNOWN(INT64_MAX)),
                        vast = SYMBOLIC(KNOWN(INT64_MAX), KNOWN(INT64_MAX), KNOWN(2));
    assert_int_equal(tarn_symbolic_shape_check_reshape(&known, &flat), TARN_OK);
    assert_int_equal(tarn_symbolic_shape_check_reshape(&known, &more), TARN_INVALID_ARGUMENT);
    assert_non_null(strstr(tarn_last_error(), "[6, 4]"));
    assert_int_equal(tarn_symbolic_shape_check_reshape(&tokens, &heads), TARN_OK);
    assert_int_equal(tarn_symbolic_shape_check_reshape(&tokens, &swapped), TARN_OK);
    /* Alike only where nothing is in it. */
    assert_int_equal(tarn_symbolic_shape_check_reshape(&tokens, &short_one), TARN_INVALID_STATE);
    assert_int_equal(tarn_symbolic_shape_check_reshape(&tokens, &less), TARN_INVALID_STATE);
    assert_int_equal(tarn_symbolic_shape_check_reshape(&empty, &nothing), TARN_OK);
    assert_int_equal(tarn_symbolic_shape_check_reshape(&empty, &flat), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_check_reshape(&few, &flat), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_check_reshape(&huge, &vast), TARN_INVALID_ARGUMENT);
    assert_int_equal(tarn_symbolic_shape_check_reshape(&huge, &flat), TARN_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_print_names_and_ranges),
        cmocka_unit_test(binding_gives_every_dimension_of_the_name_its_value),
        cmocka_unit_test(binding_refuses_what_does_not_fit),
        cmocka_unit_test(dimensions_that_contradict_themselves_are_refused),
        cmocka_unit_test(shapes_broadcast_by_numpys_rules),
        cmocka_unit_test(open_dimensions_broadcast_where_the_answer_is_sure),
        cmocka_unit_test(reshaping_asks_for_equally_many_elements),
    };
    return cmocka_run_group_tests_name("shape symbolic", tests, NULL, NULL);
}
