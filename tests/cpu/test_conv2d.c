/* Convolutions and max pooling against naive ones in double precision: strides, padding, dilation, groups, types, layouts. */
#include "operands.h"

#include <math.h>

#include "backends/cpu/compute/compute.h"

typedef struct shape {
    int64_t batch, channels, height, width, filters, kernel[2];
    tarn_conv2d_attributes attributes;
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, 1, {1, 1}, {{1, 1}, {0, 0}, {1, 1}, 1, 0, TARN_OPERATION_COPY}},
    {2, 3, 8, 9, 5, {3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1, 1, TARN_OPERATION_COPY}},
    {1, 4, 7, 11, 6, {3, 2}, {{2, 3}, {1, 0}, {1, 1}, 2, 1, TARN_OPERATION_RELU}},
    {1, 3, 13, 10, 3, {3, 3}, {{1, 2}, {2, 3}, {2, 3}, 3, 0, TARN_OPERATION_TANH}},
    {3, 6, 5, 5, 4, {5, 5}, {{1, 1}, {4, 4}, {1, 1}, 2, 1, TARN_OPERATION_SIGMOID}},
    {1, 17, 3, 40, 17, {1, 1}, {{1, 1}, {0, 0}, {1, 1}, 1, 1, TARN_OPERATION_COPY}},
    {1, 16, 7, 7, 16, {3, 3}, {{1, 1}, {1, 1}, {1, 1}, 1, 1, TARN_OPERATION_COPY}},
    {2, 2, 3, 70, 2, {1, 7}, {{1, 1}, {0, 3}, {1, 1}, 1, 0, TARN_OPERATION_COPY}},
};

static double activate(tarn_operation activation, double value) {
    switch (activation) {
    case TARN_OPERATION_RELU: return value < 0 ? 0 : value;
    case TARN_OPERATION_SIGMOID: return 1 / (1 + exp(-value));
    case TARN_OPERATION_TANH: return tanh(value);
    default: return value;
    }
}

static int64_t extent(int64_t size, int64_t kernel, const tarn_conv2d_attributes *attributes, int i) {
    return (size + 2 * attributes->padding[i] - attributes->dilation[i] * (kernel - 1) - 1) / attributes->stride[i] + 1;
}

static void check_conv2d(const tarn_operand *operands, const tarn_conv2d_attributes *attributes) {
    const tarn_operand *out = &operands[0], *image = &operands[1], *weight = &operands[2];
    int64_t at[4] = {0}, filters_of_group = out->dims[1] / attributes->groups;
    const int64_t *sizes = image->dims, *taps = weight->dims;
    const double *images = operand_values(image), *weights = operand_values(weight);
    do {
        double sum = attributes->has_bias ? operand_get(&operands[3], &at[1]) : 0, size = 1;
        int64_t tap[3] = {0};
        do {
            int64_t y = at[2] * attributes->stride[0] - attributes->padding[0] + tap[1] * attributes->dilation[0];
            int64_t x = at[3] * attributes->stride[1] - attributes->padding[1] + tap[2] * attributes->dilation[1];
            if (y < 0 || x < 0 || y >= sizes[2] || x >= sizes[3]) continue;
            int64_t channel = at[1] / filters_of_group * taps[1] + tap[0];
            double product = images[((at[0] * sizes[1] + channel) * sizes[2] + y) * sizes[3] + x] *
                             weights[((at[1] * taps[1] + tap[0]) * taps[2] + tap[1]) * taps[3] + tap[2]];
            sum += product;
            size += fabs(product);
        } while (next_index(3, &taps[1], tap));
        assert_near(operand_get(out, at), activate(attributes->activation, sum), size, 8, out->type);
    } while (next_index(4, out->dims, at));
}

static void convolve(const shape *of, tarn_element_type type, layout of_image, layout of_weight, layout of_out) {
    const tarn_conv2d_attributes *attributes = &of->attributes;
    const int64_t out_dims[] = {of->batch, of->filters, extent(of->height, of->kernel[0], attributes, 0),
                                extent(of->width, of->kernel[1], attributes, 1)};
    const int64_t image_dims[] = {of->batch, of->channels, of->height, of->width};
    const int64_t weight_dims[] = {of->filters, of->channels / attributes->groups, of->kernel[0], of->kernel[1]};
    tarn_operand operands[4] = {operand_make(type, 4, out_dims, of_out), operand_make(type, 4, image_dims, of_image),
                                operand_make(type, 4, weight_dims, of_weight),
                                operand_make(type, 1, &of->filters, of_weight)};
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_CONV2D,
                                        .output_count = 1,
                                        .input_count = attributes->has_bias ? 3 : 2,
                                        .operands = operands,
                                        .attributes.conv2d = *attributes};
    assert_int_equal(cpu_conv2d_run(&operation), TARN_OK);
    check_conv2d(operands, attributes);
    operands_free();
}

static void convolve_all(void) {
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int type = TARN_ELEMENT_F32; type <= (int)TARN_ELEMENT_F64; type++) {
            convolve(&shapes[i], (tarn_element_type)type, LAYOUT_ROWS, LAYOUT_ROWS, LAYOUT_ROWS);
            convolve(&shapes[i], (tarn_element_type)type, (layout)((i + 1) % LAYOUT_COUNT),
                     (layout)((i + 2) % LAYOUT_COUNT), (layout)((i + (size_t)type) % LAYOUT_COUNT));
        }
    }
}
static void convolutions_of_all_kinds_are_right(void **state) {
    (void)state;
    with_each_engine(convolve_all);
}

static void check_pool(const tarn_operand *operands, const tarn_pool2d_attributes *attributes) {
    const tarn_operand *out = &operands[0], *image = &operands[1];
    int64_t at[4] = {0};
    do {
        double greatest = -INFINITY;
        int64_t window[2] = {0};
        do {
            int64_t y = at[2] * attributes->stride[0] - attributes->padding[0] + window[0] * attributes->dilation[0];
            int64_t x = at[3] * attributes->stride[1] - attributes->padding[1] + window[1] * attributes->dilation[1];
            if (y < 0 || x < 0 || y >= image->dims[2] || x >= image->dims[3]) continue;
            double value = operand_get(image, (int64_t[]){at[0], at[1], y, x});
            if (isnan(value) || value > greatest) greatest = value;
            if (isnan(value)) break;
        } while (next_index(2, attributes->kernel, window));
        assert_near(operand_get(out, at), greatest, 1, 0, out->type);
    } while (next_index(4, out->dims, at));
}

static void pool(int64_t height, int64_t width, tarn_element_type type, const tarn_pool2d_attributes *attributes,
                 layout of_image, layout of_out) {
    const tarn_conv2d_attributes same = {.stride = {attributes->stride[0], attributes->stride[1]},
                                         .padding = {attributes->padding[0], attributes->padding[1]},
                                         .dilation = {attributes->dilation[0], attributes->dilation[1]}};
    const int64_t image_dims[] = {2, 3, height, width};
    const int64_t out_dims[] = {2, 3, extent(height, attributes->kernel[0], &same, 0),
                                extent(width, attributes->kernel[1], &same, 1)};
    tarn_operand operands[2] = {operand_make(type, 4, out_dims, of_out), operand_make(type, 4, image_dims, of_image)};
    if (type_precision(type) > 0) operand_set(&operands[1], (int64_t[]){1, 2, height / 2, width / 2}, NAN);
    if (type == TARN_ELEMENT_I8) operand_set(&operands[1], (int64_t[]){0, 0, 0, 0}, -100);
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_MAX_POOL2D,
                                        .output_count = 1,
                                        .input_count = 1,
                                        .operands = operands,
                                        .attributes.pool2d = *attributes};
    assert_int_equal(cpu_max_pool2d_run(&operation), TARN_OK);
    check_pool(operands, attributes);
    operands_free();
}

static void pool_all(void) {
    static const tarn_pool2d_attributes kinds[] = {{{1, 1}, {1, 1}, {0, 0}, {1, 1}},
                                                   {{2, 2}, {2, 2}, {0, 0}, {1, 1}},
                                                   {{3, 3}, {2, 1}, {1, 1}, {1, 1}},
                                                   {{2, 3}, {1, 2}, {1, 0}, {2, 1}},
                                                   {{5, 4}, {3, 3}, {2, 2}, {1, 2}}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int type = TARN_ELEMENT_F32; type <= (int)TARN_ELEMENT_I64; type++) {
            size_t form = (i + (size_t)type) % LAYOUT_COUNT;
            pool(9, 11, (tarn_element_type)type, &kinds[i], LAYOUT_ROWS, LAYOUT_ROWS);
            pool(9, 11, (tarn_element_type)type, &kinds[i], (layout)form, (layout)(LAYOUT_COUNT - 1 - form));
        }
    /* More than one piece of a row, and more than one row of tasks. */
    pool(4, 301, TARN_ELEMENT_F32, &kinds[2], LAYOUT_ROWS, LAYOUT_ROWS);
}
static void max_pooling_of_all_kinds_is_right(void **state) {
    (void)state;
    at_each_level(pool_all);
}

/* A window that meets nothing but padding has the lowest value there is. */
static void padding_never_wins(void **state) {
    (void)state;
    const tarn_pool2d_attributes attributes = {{2, 2}, {1, 1}, {1, 1}, {2, 2}};
    const int64_t dims[] = {1, 1, 1, 1};
    tarn_operand operands[2] = {operand_make(TARN_ELEMENT_I32, 4, dims, LAYOUT_ROWS),
                                operand_make(TARN_ELEMENT_I32, 4, dims, LAYOUT_ROWS)};
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_MAX_POOL2D,
                                        .output_count = 1,
                                        .input_count = 1,
                                        .operands = operands,
                                        .attributes.pool2d = attributes};
    assert_int_equal(cpu_max_pool2d_run(&operation), TARN_OK);
    assert_true(operand_get(&operands[0], (int64_t[]){0, 0, 0, 0}) == (double)INT32_MIN);
    operands_free();
}

/* The elements of such a window, times those of a row, are 2^64: what was divided by them was divided by 0. Nor is each of its places looked
 * at. */
static void a_window_far_greater_than_the_image_has_all_of_it(void **state) {
    (void)state;
    const int64_t kernel = (int64_t)1 << 30;
    const tarn_pool2d_attributes attributes = {{kernel, kernel}, {1, 1}, {kernel / 2, kernel / 2}, {1, 1}};
    const int64_t dims[] = {1, 1, 3, 15}, out_dims[] = {1, 1, 4, 16};
    tarn_operand operands[2] = {operand_make(TARN_ELEMENT_F32, 4, out_dims, LAYOUT_ROWS),
                                operand_make(TARN_ELEMENT_F32, 4, dims, LAYOUT_ROWS)};
    operand_set(&operands[1], (int64_t[]){0, 0, 1, 7}, 1000);
    tarn_backend_operation operation = {.struct_size = sizeof operation,
                                        .operation = TARN_OPERATION_MAX_POOL2D,
                                        .output_count = 1,
                                        .input_count = 1,
                                        .operands = operands,
                                        .attributes.pool2d = attributes};
    assert_int_equal(cpu_max_pool2d_run(&operation), TARN_OK);
    for (int64_t y = 0; y < 4; y++)
        for (int64_t x = 0; x < 16; x++) assert_true(operand_get(&operands[0], (int64_t[]){0, 0, y, x}) == 1000);
    operands_free();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_of_all_kinds_are_right),
        cmocka_unit_test(max_pooling_of_all_kinds_is_right),
        cmocka_unit_test(padding_never_wins),
        cmocka_unit_test(a_window_far_greater_than_the_image_has_all_of_it),
    };
    return cmocka_run_group_tests(tests, operands_setup, operands_teardown);
}
