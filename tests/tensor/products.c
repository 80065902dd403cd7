/* Trials of matrix products and convolutions. */
#include "products.h"

#include "tensor/infer.h"

trial_layout trials_layout(test_trials *trials) { return (trial_layout)trials_random(trials, LAYOUT_COUNT); }

tensor_argument trials_argument(const tarn_tensor *tensor) {
    return (tensor_argument){.shape = tarn_tensor_shape(tensor), .type = tarn_tensor_type(tensor)};
}

/* No result, or one of another type and layout. */
tarn_tensor *trials_choose_result(test_trials *trials, const tensor_inferred *inferred) {
    trials->stream = trials_random(trials, 3) == 0 ? trials->worker : NULL;
    return trials_random(trials, 3) == 0 ? trials_result(trials, &inferred->shape, inferred->type) : NULL;
}

void try_product_of(test_trials *trials, const tarn_shape *shapes, size_t count, tarn_element_type type,
                    tarn_operation activation, const trial_layout *layouts) {
    tarn_tensor *tensors[3] = {NULL};
    reference_tensor read[3];
    tensor_argument arguments[3] = {{0}};
    for (size_t i = 0; i < count && i < 3; i++) {
        tensors[i] = trials_tensor(trials, &shapes[i], type, layouts[i], false);
        read[i] = reference_read(tensors[i]);
        arguments[i] = trials_argument(tensors[i]);
    }
    const tensor_node node = {.operation = TARN_OPERATION_MATMUL,
                              .attributes.matmul = {.has_bias = count == 3, .activation = activation}};
    tensor_inferred inferred;
    EXPECT_OK(tensor_infer(&node, arguments, &inferred));
    reference_tensor wanted =
        reference_matmul(&read[0], &read[1], count == 3 ? &read[2] : NULL, activation, &inferred.shape);
    tarn_tensor *result = trials_choose_result(trials, &inferred);
    const tarn_operation_options options = trials_options(trials);
    tarn_status status = count == 2 && activation == TARN_OPERATION_COPY
                             ? tarn_matmul(tensors[0], tensors[1], &options, &result)
                             : tarn_linear(tensors[0], tensors[1], tensors[2], activation, &options, &result);
    JUDGE(trials, status, TARN_OPERATION_MATMUL, type, result, &wanted);
    for (size_t i = 0; i < count; i++) {
        reference_free(&read[i]);
        EXPECT_OK(tarn_tensor_release(tensors[i]));
    }
}

void try_product(test_trials *trials, const tarn_shape *shapes, size_t count, tarn_element_type type,
                 tarn_operation activation) {
    if (trials_leaves_out(trials)) return;
    const trial_layout layouts[] = {trials_layout(trials), trials_layout(trials), trials_layout(trials)};
    try_product_of(trials, shapes, count, type, activation, layouts);
}

void try_convolution(test_trials *trials, const tarn_conv2d_options *conv2d, const tarn_shape *shapes, size_t count,
                     tarn_element_type type) {
    if (trials_leaves_out(trials)) return;
    tarn_tensor *tensors[3] = {NULL};
    reference_tensor read[3];
    tensor_argument arguments[3] = {{0}};
    for (size_t i = 0; i < count; i++) {
        tensors[i] = trials_tensor(trials, &shapes[i], type, trials_layout(trials), false);
        read[i] = reference_read(tensors[i]);
        arguments[i] = trials_argument(tensors[i]);
    }
    tensor_node node = {.operation = TARN_OPERATION_CONV2D};
    tensor_inferred inferred;
    EXPECT_OK(tensor_infer_conv2d_attributes(conv2d, count == 3, &node.attributes.conv2d));
    EXPECT_OK(tensor_infer(&node, arguments, &inferred));
    reference_tensor wanted =
        reference_conv2d(&read[0], &read[1], count == 3 ? &read[2] : NULL, &node.attributes.conv2d, &inferred.shape);
    tarn_tensor *result = trials_choose_result(trials, &inferred);
    const tarn_operation_options options = trials_options(trials);
    tarn_status status = tarn_conv2d(tensors[0], tensors[1], tensors[2], conv2d, &options, &result);
    JUDGE(trials, status, TARN_OPERATION_CONV2D, type, result, &wanted);
    for (size_t i = 0; i < count; i++) {
        reference_free(&read[i]);
        EXPECT_OK(tarn_tensor_release(tensors[i]));
    }
}
