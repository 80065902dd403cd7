/* Views: slices, transpositions, other shapes and broadcasts of the same elements. */
#include "bench.h"

static int open_bench(void **state) {
    static test_bench bench;
    bench_open(&bench, "cpu", "caching");
    *state = &bench;
    return 0;
}

static int close_bench(void **state) {
    bench_close(*state);
    return 0;
}

static void release(tarn_tensor *tensor) { EXPECT_OK(tarn_tensor_release(tensor)); }

static void a_slice_takes_every_step_th_of_a_range(void **state) {
    tarn_tensor *tensor = counting(*state, SHAPE(3, 4)), *view;
    EXPECT_OK(tarn_tensor_slice(tensor, 1, 1, 4, 2, &view));
    EXPECT_SHAPE(view, "[3, 2]");
    EXPECT_FLOATS(view, 1, 3, 5, 7, 9, 11);
    assert_false(tarn_tensor_is_contiguous(view));
    release(view);
    EXPECT_OK(tarn_tensor_slice(tensor, 0, 1, 3, 1, &view));
    EXPECT_FLOATS(view, 4, 5, 6, 7, 8, 9, 10, 11);
    assert_true(tarn_tensor_is_contiguous(view));
    release(view);
    release(tensor);
}

/* All that Python gives for range(5)[begin:end:step] with these numbers. */
static void slices_bring_places_back_as_python_does(void **state) {
    static const struct {
        int64_t begin, end, step;
        float values[5];
        size_t count;
    } cases[] = {
        {0, 5, 1, {0, 1, 2, 3, 4}, 5},
        {-2, 5, 1, {3, 4}, 2},
        {-100, 100, 2, {0, 2, 4}, 3},
        {3, 1, 1, {0}, 0},
        {4, 0, -1, {4, 3, 2, 1}, 4},
        {4, -6, -1, {4, 3, 2, 1, 0}, 5},
        {100, -100, -2, {4, 2, 0}, 3},
        {-1, -4, -1, {4, 3, 2}, 3},
        {5, 6, 1, {0}, 0},
        {-6, -5, -1, {0}, 0},
        {0, 5, INT64_MAX, {0}, 1},
        {4, INT64_MIN, INT64_MIN, {4}, 1},
        {INT64_MIN, INT64_MAX, 3, {0, 3}, 2},
        {1, 4, 5, {1}, 1},
    };
    tarn_tensor *tensor = counting(*state, SHAPE(5)), *view;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT_OK(tarn_tensor_slice(tensor, -1, cases[i].begin, cases[i].end, cases[i].step, &view));
        expect_floats(view, cases[i].values, cases[i].count, __FILE__, __LINE__);
        release(view);
    }
    release(tensor);
}

static void views_of_views_begin_where_their_elements_do(void **state) {
    tarn_tensor *tensor = counting(*state, SHAPE(4, 5)), *back, *part, *turned;
    EXPECT_OK(tarn_tensor_slice(tensor, 1, 4, -6, -1, &back));
    EXPECT_OK(tarn_tensor_slice(back, 0, 3, 0, -2, &part));
    EXPECT_OK(tarn_tensor_transpose(part, NULL, &turned));
    release(tensor);
    release(back);
    EXPECT_SHAPE(turned, "[5, 2]");
    EXPECT_FLOATS(turned, 19, 9, 18, 8, 17, 7, 16, 6, 15, 5);
    release(part);
    release(turned);
}

static void a_transposition_names_each_dimension_once(void **state) {
    tarn_tensor *tensor = counting(*state, SHAPE(2, 3, 4)), *view = NULL;
    EXPECT_OK(tarn_tensor_transpose(tensor, (const int[]){-1, 0, 1}, &view));
    EXPECT_SHAPE(view, "[4, 2, 3]");
    assert_int_equal(tarn_tensor_strides(view)[0], 1);
    release(view);
    view = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_transpose(tensor, (const int[]){0, 1, 1}, &view));
    EXPECT_SENTENCE("dimension 1 stands in the order twice");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_transpose(tensor, (const int[]){0, 1, 3}, &view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_transpose(tensor, (const int[]){0, 1, -4}, &view));
    EXPECT_SENTENCE("dimension -4 of a tensor that has 3");
    assert_null(view);
    release(tensor);
}

static void a_view_of_another_shape_shares_the_elements(void **state) {
    tarn_tensor *tensor = counting(*state, SHAPE(2, 3, 4)), *view, *part;
    EXPECT_OK(tarn_tensor_view(tensor, (const int64_t[]){6, -1}, 2, &view));
    EXPECT_SHAPE(view, "[6, 4]");
    assert_ptr_equal(tarn_tensor_data(view), tarn_tensor_data(tensor));
    release(view);
    /* The last two dimensions of this slice are one walk, the first is apart. */
    EXPECT_OK(tarn_tensor_slice(tensor, 1, 1, 3, 1, &part));
    EXPECT_OK(tarn_tensor_view(part, (const int64_t[]){2, 1, 4, 2, 1}, 5, &view));
    EXPECT_FLOATS(view, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23);
    release(view);
    view = NULL;
    EXPECT(TARN_NOT_SUPPORTED, tarn_tensor_view(part, (const int64_t[]){-1}, 1, &view));
    EXPECT_SENTENCE("[2, 2, 4] allow no view of shape [16]");
    assert_null(view);
    release(part);
    release(tensor);
}

static void shapes_that_do_not_fit_are_refused(void **state) {
    tarn_tensor *tensor = counting(*state, SHAPE(2, 3)), *view = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_view(tensor, (const int64_t[]){4, -1}, 2, &view));
    EXPECT_SENTENCE("shape [2, 3] cannot become [4, -1]");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_view(tensor, (const int64_t[]){7}, 1, &view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_view(tensor, (const int64_t[]){-1, -1}, 2, &view));
    EXPECT_SENTENCE("both -1");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_view(tensor, (const int64_t[]){-2, 3}, 2, &view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_view(tensor, (const int64_t[]){0, -1}, 2, &view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_view(tensor, (const int64_t[]){INT64_MAX, 4}, 2, &view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_view(tensor, (const int64_t[9]){6, 1, 1, 1, 1, 1, 1, 1, 1}, 9, &view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_slice(tensor, 2, 0, 1, 1, &view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_slice(tensor, 0, 0, 1, 0, &view));
    EXPECT_SENTENCE("a step of 0");
    assert_null(view);
    release(tensor);
}

static void a_broadcast_view_is_read_only_where_elements_coincide(void **state) {
    tarn_tensor *tensor = counting(*state, SHAPE(3, 1)), *view, *one;
    EXPECT_OK(tarn_tensor_broadcast_to(tensor, SHAPE(2, 3, 2), &view));
    EXPECT_FLOATS(view, 0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2);
    assert_true(tarn_tensor_is_read_only(view));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_fill(view, tarn_scalar_float(1), NULL));
    EXPECT_SENTENCE("[2, 3, 2] on cpu is read-only");
    release(view);
    EXPECT_OK(tarn_tensor_broadcast_to(tensor, SHAPE(1, 3, 1), &one));
    assert_false(tarn_tensor_is_read_only(one));
    release(one);
    one = NULL;
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_broadcast_to(tensor, SHAPE(2, 2), &one));
    EXPECT_SENTENCE("[3, 1] cannot be broadcast to [2, 2]");
    EXPECT(TARN_INVALID_ARGUMENT, tarn_tensor_broadcast_to(tensor, SHAPE(3), &one));
    assert_null(one);
    release(tensor);
}

static void empty_tensors_and_single_elements_have_views(void **state) {
    tarn_tensor *empty = counting(*state, SHAPE(0, 3)), *single = counting(*state, NO_DIMENSIONS), *view;
    EXPECT_OK(tarn_tensor_view(empty, (const int64_t[]){3, 0, 2}, 3, &view));
    assert_null(tarn_tensor_data(view));
    release(view);
    EXPECT_OK(tarn_tensor_slice(empty, 0, -1, 4, 1, &view));
    EXPECT_SHAPE(view, "[0, 3]");
    release(view);
    EXPECT_OK(tarn_tensor_transpose(single, NULL, &view));
    EXPECT_FLOATS(view, 0);
    release(view);
    EXPECT_OK(tarn_tensor_view(single, (const int64_t[]){1, -1}, 2, &view));
    EXPECT_SHAPE(view, "[1, 1]");
    release(view);
    release(empty);
    release(single);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_slice_takes_every_step_th_of_a_range, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(slices_bring_places_back_as_python_does, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(views_of_views_begin_where_their_elements_do, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(a_transposition_names_each_dimension_once, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(a_view_of_another_shape_shares_the_elements, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(shapes_that_do_not_fit_are_refused, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(a_broadcast_view_is_read_only_where_elements_coincide, open_bench, close_bench),
        cmocka_unit_test_setup_teardown(empty_tensors_and_single_elements_have_views, open_bench, close_bench),
    };
    return cmocka_run_group_tests_name("tensor.views", tests, NULL, NULL);
}
