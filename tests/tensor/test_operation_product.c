/* Matrix products and convolutions as large as kernels' tiles, a little more and a little less. */
#include "products.h"

static const tarn_element_type floating[] = {TARN_ELEMENT_F32, TARN_ELEMENT_F64, TARN_ELEMENT_F16, TARN_ELEMENT_BF16};
#define FLOATING_COUNT (sizeof floating / sizeof floating[0])

static void products_around_the_edges_of_tiles(void **state) {
    test_trials *trials = *state;
    static const tarn_shape cases[][3] = {{S(64, 64), S(64, 64), S(64)},       {S(65, 70), S(70, 63), S(65, 63)},
                                          {S(37, 300), S(300, 33), S(1)},      {S(4, 130), S(130, 129), S(4, 1)},
                                          {S(8, 257), S(257, 32), S(32)},      {S(2, 40, 33), S(33, 47), S(47)},
                                          {S(3, 33, 40), S(3, 40, 35), S(35)}, {S(2, 3, 20, 70), S(3, 70, 30), S(30)}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t j = 0; j < FLOATING_COUNT; j++) {
            const tarn_operation activation = i % 2 == 0 ? TARN_OPERATION_RELU : TARN_OPERATION_TANH;
            if ((i + j) % 2 == 0) try_product(trials, cases[i], 2, floating[j], TARN_OPERATION_COPY);
            else try_product(trials, cases[i], 3, floating[j], activation);
        }
    }
}

/* In the layouts that libraries take. */
static void products_of_contiguous_and_transposed_operands(void **state) {
    test_trials *trials = *state;
    static const trial_layout layouts[][3] = {{LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS, LAYOUT_CONTIGUOUS},
                                              {LAYOUT_TRANSPOSED, LAYOUT_OFFSET, LAYOUT_CONTIGUOUS},
                                              {LAYOUT_OFFSET, LAYOUT_TRANSPOSED, LAYOUT_CONTIGUOUS}};
    static const tarn_shape matrices[] = {S(37, 50), S(50, 41), S(41)};
    static const tarn_shape batches[] = {S(3, 33, 40), S(3, 40, 35), S(35)};
    for (size_t i = 0; i < 3; i++)
        try_product_of(trials, matrices, 2 + i % 2, TARN_ELEMENT_F32, TARN_OPERATION_COPY, layouts[i]);
    try_product_of(trials, matrices, 3, TARN_ELEMENT_F64, TARN_OPERATION_RELU, layouts[0]);
    try_product_of(trials, batches, 3, TARN_ELEMENT_F32, TARN_OPERATION_RELU, layouts[0]);
}

static void products_with_few_rows_or_columns(void **state) {
    test_trials *trials = *state;
    static const tarn_shape cases[][3] = {{S(1, 300), S(300, 150), S(150)},
                                          {S(150, 300), S(300, 1), S(1)},
                                          {S(3, 260), S(260, 65), S(65)},
                                          {S(90, 200), S(200, 2), S(2)},
                                          {S(2000), S(2000), {.rank = 0}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t j = 0; j < FLOATING_COUNT; j++) {
            if ((i + j) % 2 == 0) try_product(trials, cases[i], 2, floating[j], TARN_OPERATION_COPY);
            else try_product(trials, cases[i], 3, floating[j], TARN_OPERATION_SIGMOID);
        }
    }
}

static void convolutions_around_the_edges_of_tiles(void **state) {
    test_trials *trials = *state;
    static const struct {
        tarn_shape shapes[3];
        tarn_conv2d_options options;
    } cases[] = {
        {{S(2, 6, 20, 40), S(9, 6, 3, 3), S(9)}, {.padding = {1, 1}}},
        {{S(3, 2, 9, 43), S(9, 2, 3, 3), S(9)}, {.stride = {0}}},
        {{S(1, 8, 17, 19), S(12, 4, 3, 2), S(12)}, {.stride = {2, 1}, .padding = {1, 0}, .groups = 2}},
        {{S(2, 5, 12, 36), S(5, 5, 3, 3), S(5)}, {.padding = {2, 2}, .dilation = {2, 2}}},
        {{S(3, 33, 9, 8), S(8, 33, 1, 1), S(8)}, {.activation = TARN_OPERATION_RELU}},
        {{S(2, 12, 11, 11), S(12, 1, 3, 3), S(12)}, {.padding = {1, 1}, .groups = 12}},
        {{S(1, 2, 6, 70), S(66, 2, 5, 1), S(66)},
         {.stride = {1, 3}, .padding = {4, 0}, .activation = TARN_OPERATION_TANH}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tarn_conv2d_options options = cases[i].options;
        options.struct_size = sizeof options;
        for (size_t j = 0; j < FLOATING_COUNT; j++) {
            try_convolution(trials, &options, cases[i].shapes, 2 + (i + j) % 2, floating[j]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_around_the_edges_of_tiles),
        cmocka_unit_test(products_of_contiguous_and_transposed_operands),
        cmocka_unit_test(products_with_few_rows_or_columns),
        cmocka_unit_test(convolutions_around_the_edges_of_tiles),
    };
    return cmocka_run_group_tests(tests, trials_begin, trials_end);
}
