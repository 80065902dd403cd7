/* Trials of matrix products and convolutions, of random operands in any layout, against loops over their definitions. */
#ifndef TESTS_TENSOR_PRODUCTS_H
#define TESTS_TENSOR_PRODUCTS_H

#include "tensor/infer.h"
#include "trials.h"

/* A tarn_shape of these dimensions. */
#define S(...)                                                                              \
    {                                                                                       \
        .rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dims = { __VA_ARGS__ } \
    }

trial_layout trials_layout(test_trials *trials);
tensor_argument trials_argument(const tarn_tensor *tensor);
/* No result, or one of another type and layout; chooses the stream of the trial too. */
tarn_tensor *trials_choose_result(test_trials *trials, const tensor_inferred *inferred);
/* Of a, b and, where `count` is 3, a bias. */
void try_product(test_trials *trials, const tarn_shape *shapes, size_t count, tarn_element_type type,
                 tarn_operation activation);
/* The same of operands in these layouts, and never left out. */
void try_product_of(test_trials *trials, const tarn_shape *shapes, size_t count, tarn_element_type type,
                    tarn_operation activation, const trial_layout *layouts);
void try_convolution(test_trials *trials, const tarn_conv2d_options *conv2d, const tarn_shape *shapes, size_t count,
                     tarn_element_type type);

#endif
