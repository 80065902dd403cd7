/* Matrix products and convolutions so deep or wide that a backend computes them in parts. */
#include "products.h"

static void products_in_several_parts(void **state) {
    test_trials *trials = *state;
    static const tarn_shape cases[][3] = {{S(4, 33000), S(33000, 5), S(5)}, {S(4, 2100), S(2100, 1100), S(1100)}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        try_product(trials, cases[i], 3, TARN_ELEMENT_F64, TARN_OPERATION_COPY);
}

static void a_convolution_in_several_parts(void **state) {
    test_trials *trials = *state;
    static const tarn_shape shapes[] = {S(1, 3, 280, 290), S(4, 3, 3, 3), S(4)};
    const tarn_conv2d_options options = {.struct_size = sizeof options, .padding = {1, 1}};
    try_convolution(trials, &options, shapes, 3, TARN_ELEMENT_F32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_in_several_parts),
        cmocka_unit_test(a_convolution_in_several_parts),
    };
    return cmocka_run_group_tests(tests, trials_begin, trials_end);
}
