/* Matrix products, convolutions, pooling, softmax, normalization and gathering, against loops over their definitions. */
#include "products.h"
#include "tensor/infer.h"

static const tarn_element_type floating[] = {TARN_ELEMENT_F32, TARN_ELEMENT_F64, TARN_ELEMENT_F16, TARN_ELEMENT_BF16};
#define FLOATING_COUNT (sizeof floating / sizeof floating[0])

static void matrix_products_match_the_reference(void **state) {
    test_trials *trials = *state;
    static const tarn_shape cases[][3] = {{S(2, 3), S(3, 4), S(4)},
                                          {S(5), S(5, 4), S(1)},
                                          {S(3, 7), S(7), S(3)},
                                          {S(6), S(6), {.rank = 0}},
                                          {S(2, 3, 4), S(4, 5), S(3, 1)},
                                          {S(2, 1, 3, 4), S(5, 4, 2), S(2, 1, 1, 2)},
                                          {S(3), S(2, 3, 4), S(2, 1)},
                                          {S(2, 4, 3), S(3), S(2, 4)},
                                          {S(17, 33), S(33, 9), S(17, 9)},
                                          {S(2, 0), S(0, 3), S(3)},
                                          {S(0, 2), S(2, 3), S(3)},
                                          {S(1, 64), S(64, 1), S(1, 1)},
                                          {S(1, 1, 1, 1, 1, 2, 3), S(3, 2), S(2)}};
    static const tarn_operation activations[] = {TARN_OPERATION_COPY, TARN_OPERATION_RELU, TARN_OPERATION_SIGMOID,
                                                 TARN_OPERATION_TANH};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t j = 0; j < FLOATING_COUNT; j++) {
            for (size_t k = 0; k < 4; k++) {
                try_product(trials, cases[i], 2, floating[j], activations[k]);
                try_product(trials, cases[i], 3, floating[j], activations[k]);
            }
        }
    }
}

static void convolutions_match_the_reference(void **state) {
    test_trials *trials = *state;
    static const struct {
        tarn_shape shapes[3];
        tarn_conv2d_options options;
    } cases[] = {
        {{S(2, 3, 7, 6), S(4, 3, 3, 3), S(4)}, {.stride = {0}}},
        {{S(1, 4, 8, 8), S(6, 2, 3, 2), S(6)}, {.stride = {2, 1}, .padding = {1, 0}, .groups = 2}},
        {{S(2, 3, 9, 9), S(3, 1, 3, 3), S(3)}, {.padding = {2, 2}, .dilation = {2, 2}, .groups = 3}},
        {{S(1, 2, 1, 5), S(2, 2, 1, 1), S(2)}, {.stride = {1, 2}, .activation = TARN_OPERATION_SIGMOID}},
        {{S(3, 8, 5, 5), S(16, 8, 3, 3), S(16)}, {.padding = {1, 1}, .activation = TARN_OPERATION_RELU}},
        {{S(1, 1, 4, 4), S(1, 1, 4, 4), S(1)}, {.activation = TARN_OPERATION_TANH}},
        {{S(0, 1, 4, 4), S(1, 1, 4, 4), S(1)}, {.stride = {0}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_conv2d_options options = cases[i].options;
        options.struct_size = sizeof options;
        for (size_t j = 0; j < FLOATING_COUNT; j++) {
            try_convolution(trials, &options, cases[i].shapes, 2, floating[j]);
            try_convolution(trials, &options, cases[i].shapes, 3, floating[j]);
        }
    }
    try_convolution(trials, NULL, cases[0].shapes, 3, TARN_ELEMENT_F32);
}

static void pooling_matches_the_reference(void **state) {
    test_trials *trials = *state;
    static const struct {
        tarn_shape shape;
        tarn_max_pool2d_options options;
    } cases[] = {
        {S(2, 3, 6, 8), {.kernel = {2, 2}}},
        {S(1, 2, 7, 7), {.kernel = {3, 3}, .stride = {2, 2}, .padding = {1, 1}}},
        {S(1, 1, 9, 5), {.kernel = {3, 2}, .stride = {1, 1}, .dilation = {2, 3}}},
        {S(2, 1, 3, 3), {.kernel = {3, 3}, .padding = {1, 0}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_max_pool2d_options options = cases[i].options;
        options.struct_size = sizeof options;
        for (int type = 0; type < TARN_ELEMENT_BOOL; type++) {
            if (trials_leaves_out(trials)) continue;
            tarn_tensor *x =
                trials_tensor(trials, &cases[i].shape, (tarn_element_type)type, trials_layout(trials), true);
            reference_tensor read = reference_read(x);
            const tensor_argument argument = trials_argument(x);
            tarn_pool2d_attributes attributes;
            tensor_inferred inferred;
            EXPECT_OK(tensor_infer_pool2d_attributes(&options, &attributes));
            EXPECT_OK(tensor_infer_max_pool2d(&argument, &attributes, &inferred));
            reference_tensor wanted = reference_max_pool2d(&read, &attributes, &inferred.shape);
            tarn_tensor *result = trials_choose_result(trials, &inferred);
            const tarn_operation_options call = trials_options(trials);
            tarn_status status = tarn_max_pool2d(x, &options, &call, &result);
            JUDGE(trials, status, TARN_OPERATION_MAX_POOL2D, (tarn_element_type)type, result, &wanted);
            reference_free(&read);
            EXPECT_OK(tarn_tensor_release(x));
        }
    }
}

static void softmax_matches_the_reference(void **state) {
    test_trials *trials = *state;
    for (size_t i = 0; i < FLOATING_COUNT; i++) {
        for (int layout = 0; layout < LAYOUT_COUNT; layout++) {
            for (int dim = -3; dim < 3; dim++) {
                if (trials_leaves_out(trials)) continue;
                const tarn_shape shape = trials_shape(trials, 3, 7);
                tarn_tensor *x = trials_tensor(trials, &shape, floating[i], (trial_layout)layout, false);
                reference_tensor read = reference_read(x);
                reference_tensor wanted = reference_softmax(&read, (uint32_t)(dim < 0 ? dim + 3 : dim));
                const tensor_inferred inferred = {.shape = shape, .type = floating[i]};
                tarn_tensor *result = trials_choose_result(trials, &inferred);
                const tarn_operation_options options = trials_options(trials);
                tarn_status status = tarn_softmax(x, dim, &options, &result);
                JUDGE(trials, status, TARN_OPERATION_SOFTMAX, floating[i], result, &wanted);
                reference_free(&read);
                EXPECT_OK(tarn_tensor_release(x));
            }
        }
    }
}

static void try_layer_norm(test_trials *trials, size_t dims, bool has_weight, bool has_bias, tarn_element_type type) {
    if (trials_leaves_out(trials)) return;
    const tarn_shape shape = trials_shape(trials, 3, 6);
    tarn_shape parameter = {.rank = dims};
    for (size_t i = 0; i < dims; i++) parameter.dims[i] = shape.dims[3 - dims + i];
    tarn_tensor *x = trials_tensor(trials, &shape, type, trials_layout(trials), false);
    tarn_tensor *weight = has_weight ? trials_tensor(trials, &parameter, type, trials_layout(trials), false) : NULL;
    tarn_tensor *bias = has_bias ? trials_tensor(trials, &parameter, type, trials_layout(trials), false) : NULL;
    reference_tensor read = reference_read(x), read_weight = {0}, read_bias = {0};
    if (has_weight) read_weight = reference_read(weight);
    if (has_bias) read_bias = reference_read(bias);
    reference_tensor wanted = reference_layer_norm(&read, (uint32_t)dims, has_weight ? &read_weight : NULL,
                                                   has_bias ? &read_bias : NULL, 0.5);
    const tensor_inferred inferred = {.shape = shape, .type = type};
    tarn_tensor *result = trials_choose_result(trials, &inferred);
    const tarn_operation_options options = trials_options(trials);
    tarn_status status = tarn_layer_norm(x, dims, weight, bias, 0.5, &options, &result);
    JUDGE(trials, status, TARN_OPERATION_LAYER_NORM, type, result, &wanted);
    reference_free(&read);
    reference_free(&read_weight);
    reference_free(&read_bias);
    EXPECT_OK(tarn_tensor_release(bias));
    EXPECT_OK(tarn_tensor_release(weight));
    EXPECT_OK(tarn_tensor_release(x));
}

static void layer_norm_matches_the_reference(void **state) {
    for (size_t i = 0; i < FLOATING_COUNT; i++)
        for (size_t dims = 1; dims <= 3; dims++)
            for (int parameters = 0; parameters < 4; parameters++)
                for (int repeat = 0; repeat < 4; repeat++)
                    try_layer_norm(*state, dims, (parameters & 1) != 0, (parameters & 2) != 0, floating[i]);
}

/* Indices from -count to count - 1, in memory that is walked somehow. */
static tarn_tensor *random_indices(test_trials *trials, const tarn_shape *shape, tarn_element_type type,
                                   int64_t count) {
    size_t elements;
    EXPECT_OK(tarn_shape_elements(shape, &elements));
    int64_t wide[64] = {0};
    int32_t narrow[64] = {0};
    assert_true(elements <= 64);
    for (size_t i = 0; i < elements; i++) {
        wide[i] = (int64_t)trials_random(trials, 2 * (size_t)count) - count;
        narrow[i] = (int32_t)wide[i];
    }
    tarn_tensor *indices;
    EXPECT_OK(tarn_tensor_from_data(trials->bench.allocator, shape, type,
                                    type == TARN_ELEMENT_I64 ? (const void *)wide : (const void *)narrow, NULL,
                                    &indices));
    return indices;
}

static void gathering_matches_the_reference(void **state) {
    test_trials *trials = *state;
    for (int type = 0; type < TARN_ELEMENT_TYPE_COUNT; type++) {
        for (int dim = -3; dim < 3; dim++) {
            for (size_t rank = 0; rank < 3; rank++) {
                if (trials_leaves_out(trials)) continue;
                const tarn_shape shape = trials_shape(trials, 3, 5), places = trials_shape(trials, rank, 4);
                uint32_t axis = (uint32_t)(dim < 0 ? dim + 3 : dim);
                tarn_tensor *x = trials_tensor(trials, &shape, (tarn_element_type)type, trials_layout(trials), false);
                tarn_tensor *indices = random_indices(
                    trials, &places, dim % 2 == 0 ? TARN_ELEMENT_I64 : TARN_ELEMENT_I32, shape.dims[axis]);
                reference_tensor read = reference_read(x), read_indices = reference_read(indices);
                const tensor_argument arguments[2] = {trials_argument(x), trials_argument(indices)};
                tensor_inferred inferred;
                EXPECT_OK(tensor_infer_gather(&arguments[0], &arguments[1], &(tarn_gather_attributes){.axis = axis},
                                              &inferred));
                reference_tensor wanted = reference_gather(&read, &read_indices, axis, &inferred.shape);
                tarn_tensor *result = trials_choose_result(trials, &inferred);
                const tarn_operation_options options = trials_options(trials);
                tarn_status status = tarn_gather(x, indices, dim, &options, &result);
                JUDGE(trials, status, TARN_OPERATION_GATHER, (tarn_element_type)type, result, &wanted);
                reference_free(&read);
                reference_free(&read_indices);
                EXPECT_OK(tarn_tensor_release(indices));
                EXPECT_OK(tarn_tensor_release(x));
            }
        }
    }
}

/* A tensor as long as vectors and groups are several times over, with an end that is none of theirs, in the memory of its transposed form or its own. */
static tarn_tensor *long_rows(test_trials *trials, const tarn_shape *shape, int layout) {
    return trials_tensor(trials, shape, TARN_ELEMENT_F32, layout == 0 ? LAYOUT_CONTIGUOUS : LAYOUT_TRANSPOSED, false);
}

static void softmax_of_long_rows_matches_the_reference(void **state) {
    test_trials *trials = *state;
    for (int layout = 0; layout < 2; layout++) {
        for (uint32_t dim = 0; dim < 2; dim++) {
            tarn_tensor *x = long_rows(trials, SHAPE(37, 150), layout), *result = NULL;
            reference_tensor read = reference_read(x), wanted = reference_softmax(&read, dim);
            tarn_status status = tarn_softmax(x, (int)dim, NULL, &result);
            JUDGE(trials, status, TARN_OPERATION_SOFTMAX, TARN_ELEMENT_F32, result, &wanted);
            reference_free(&read);
            EXPECT_OK(tarn_tensor_release(x));
        }
    }
}

static void layer_norm_of_long_rows_matches_the_reference(void **state) {
    test_trials *trials = *state;
    for (int layout = 0; layout < 2; layout++) {
        tarn_tensor *x = long_rows(trials, SHAPE(5, 7, 50), layout), *result = NULL;
        tarn_tensor *weight = long_rows(trials, SHAPE(7, 50), 0), *bias = long_rows(trials, SHAPE(7, 50), layout);
        reference_tensor read = reference_read(x), weights = reference_read(weight), biases = reference_read(bias);
        reference_tensor wanted = reference_layer_norm(&read, 2, &weights, &biases, 0.5);
        tarn_status status = tarn_layer_norm(x, 2, weight, bias, 0.5, NULL, &result);
        JUDGE(trials, status, TARN_OPERATION_LAYER_NORM, TARN_ELEMENT_F32, result, &wanted);
        reference_free(&read);
        reference_free(&weights);
        reference_free(&biases);
        EXPECT_OK(tarn_tensor_release(bias));
        EXPECT_OK(tarn_tensor_release(weight));
        EXPECT_OK(tarn_tensor_release(x));
    }
}

static void gathering_long_slices_matches_the_reference(void **state) {
    test_trials *trials = *state;
    const int32_t numbers[] = {4, 0, -1, 2, 2, 1, -5, 3};
    tarn_tensor *indices;
    EXPECT_OK(tarn_tensor_from_data(trials->bench.allocator, SHAPE(8), TARN_ELEMENT_I32, numbers, NULL, &indices));
    for (uint32_t axis = 0; axis < 2; axis++) {
        tarn_tensor *x = long_rows(trials, axis == 0 ? SHAPE(5, 1100) : SHAPE(1100, 5), 0), *result = NULL;
        reference_tensor read = reference_read(x), read_indices = reference_read(indices);
        reference_tensor wanted =
            reference_gather(&read, &read_indices, axis, axis == 0 ? SHAPE(8, 1100) : SHAPE(1100, 8));
        tarn_status status = tarn_gather(x, indices, (int)axis, NULL, &result);
        JUDGE(trials, status, TARN_OPERATION_GATHER, TARN_ELEMENT_F32, result, &wanted);
        reference_free(&read);
        reference_free(&read_indices);
        EXPECT_OK(tarn_tensor_release(x));
    }
    EXPECT_OK(tarn_tensor_release(indices));
}

static void pooling_of_wide_images_matches_the_reference(void **state) {
    test_trials *trials = *state;
    for (int64_t step = 1; step <= 3; step++) {
        const tarn_pool2d_attributes attributes = {
            .kernel = {2, 3}, .stride = {1, step}, .padding = {0, 1}, .dilation = {1, 1}};
        const tarn_max_pool2d_options options = {
            .struct_size = sizeof options, .kernel = {2, 3}, .stride = {1, step}, .padding = {0, 1}};
        tarn_tensor *x = long_rows(trials, SHAPE(1, 2, 3, 101), 0), *result = NULL;
        reference_tensor read = reference_read(x);
        reference_tensor wanted = reference_max_pool2d(&read, &attributes, SHAPE(1, 2, 2, 100 / step + 1));
        tarn_status status = tarn_max_pool2d(x, &options, NULL, &result);
        JUDGE(trials, status, TARN_OPERATION_MAX_POOL2D, TARN_ELEMENT_F32, result, &wanted);
        reference_free(&read);
        EXPECT_OK(tarn_tensor_release(x));
    }
}

/* On the default stream at once, on a worker's at its next synchronisation; the slice is 0. */
static void an_index_out_of_range_is_told_and_gives_zeros(void **state) {
    test_trials *trials = *state;
    test_bench *bench = &trials->bench;
    tarn_tensor *x = counting(bench, SHAPE(3)), *indices, *result = NULL;
    EXPECT_OK(tarn_tensor_from_data(bench->allocator, SHAPE(3), TARN_ELEMENT_I64, (const int64_t[]){2, 3, -1}, NULL,
                                    &indices));
    /* The cpu's default stream has done its work when the call returns. */
    if (tarn_device_type_of(bench->device) == TARN_DEVICE_CPU) {
        EXPECT(TARN_INVALID_ARGUMENT, tarn_gather(x, indices, 0, NULL, &result));
        assert_null(result);
    }
    tarn_operation_options options = {.struct_size = sizeof options, .stream = trials->worker};
    EXPECT_OK(tarn_gather(x, indices, 0, &options, &result));
    EXPECT(TARN_INVALID_ARGUMENT, tarn_stream_synchronize(trials->worker));
    EXPECT_OK(tarn_stream_synchronize(trials->worker));
    EXPECT_FLOATS(result, 2, 0, 2);
    (void)tarn_device_synchronize(bench->device);
    EXPECT_OK(tarn_tensor_release(result));
    EXPECT_OK(tarn_tensor_release(indices));
    EXPECT_OK(tarn_tensor_release(x));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matrix_products_match_the_reference),
        cmocka_unit_test(convolutions_match_the_reference),
        cmocka_unit_test(pooling_matches_the_reference),
        cmocka_unit_test(softmax_matches_the_reference),
        cmocka_unit_test(layer_norm_matches_the_reference),
        cmocka_unit_test(gathering_matches_the_reference),
        cmocka_unit_test(softmax_of_long_rows_matches_the_reference),
        cmocka_unit_test(layer_norm_of_long_rows_matches_the_reference),
        cmocka_unit_test(gathering_long_slices_matches_the_reference),
        cmocka_unit_test(pooling_of_wide_images_matches_the_reference),
        cmocka_unit_test(an_index_out_of_range_is_told_and_gives_zeros),
    };
    return cmocka_run_group_tests(tests, trials_begin, trials_end);
}
