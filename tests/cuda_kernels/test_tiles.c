/* Products, convolutions and pooling by Tarn's own kernels, across the edges of tiles and packs: of all types that they have, on operands that lie along either
 * dimension, begin anywhere or have gaps, and images whose channels or columns lie innermost. All numbers are so small that each type holds every sum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <tarn/tarn.h>

#include "bench.h"
#include "fake_cuda.h"

static test_bench bench;
static bool is_there;

static int open_device(void **state) {
    (void)state;
    tarn_backend_info info = {.struct_size = sizeof info};
    EXPECT_OK(tarn_backend_find("cuda", &info));
    is_there = info.is_available != 0;
    if (is_there) bench_open(&bench, "cuda:0", "direct");
    else print_message("skipped: there is no driver\n");
    return 0;
}

static int close_device(void **state) {
    (void)state;
    if (!is_there) return 0;
    bench_close(&bench);
    const fake_cuda *fake = fake_cuda_find();
    const char *sentence;
    if (fake != NULL && fake->violations(&sentence) != 0) fail_msg("the driver was used wrongly: %s", sentence);
    return 0;
}

/* -1, 0 or 1, which the place decides. */
static float number_at(const int64_t place[4], int salt) {
    const uint64_t mixed =
        (uint64_t)(place[0] * 7919 + place[1] * 104729 + place[2] * 1299709 + place[3] * 15485863 + salt) *
        6364136223846793005u;
    return (float)((int)(mixed >> 40) % 3 - 1);
}

/* How a tensor lies: the dimensions in the order of their strides, what is there before each row's first element, and how far neighbours are apart. */
typedef struct layout {
    int order[4];
    int64_t begin, step;
} layout;

/* A view of those dimensions on memory that lies so. */
static tarn_tensor *make(const int64_t *dims, size_t rank, const layout *lies, tarn_element_type type, int salt) {
    tarn_shape whole = {.rank = rank};
    int back[4];
    int64_t count = 1;
    for (size_t d = 0; d < rank; d++) {
        const bool is_last = d + 1 == rank;
        whole.dims[d] = dims[lies->order[d]] * (is_last ? lies->step : 1) + (is_last ? lies->begin : 0);
        back[lies->order[d]] = (int)d;
        count *= whole.dims[d];
    }
    float *values = calloc((size_t)count, sizeof *values);
    assert_non_null(values);
    for (int64_t i = 0; i < count; i++) {
        int64_t place[4] = {0}, left = i;
        for (size_t d = rank; d-- > 0; left /= whole.dims[d]) {
            int64_t own = left % whole.dims[d];
            if (d + 1 == rank)
                own =
                    own < lies->begin || (own - lies->begin) % lies->step != 0 ? -1 : (own - lies->begin) / lies->step;
            place[lies->order[d]] = own;
        }
        values[i] = place[lies->order[rank - 1]] < 0 ? 99 : number_at(place, salt);
    }
    tarn_tensor *floats = NULL, *typed = NULL, *slice = NULL, *view = NULL;
    EXPECT_OK(tarn_tensor_from_data(bench.allocator, &whole, TARN_ELEMENT_F32, values, NULL, &floats));
    EXPECT_OK(tarn_tensor_cast(floats, type, NULL, &typed));
    EXPECT_OK(tarn_device_synchronize(bench.device)); /* the values are read until then */
    free(values);
    EXPECT_OK(tarn_tensor_slice(typed, (int)rank - 1, lies->begin, whole.dims[rank - 1], lies->step, &slice));
    EXPECT_OK(tarn_tensor_transpose(slice, back, &view));
    EXPECT_OK(tarn_tensor_release(floats));
    EXPECT_OK(tarn_tensor_release(typed));
    EXPECT_OK(tarn_tensor_release(slice));
    return view;
}

/* The elements as floats, in rows; releases the tensor. */
static float *take(tarn_tensor *tensor) {
    tarn_tensor *floats = NULL;
    EXPECT_OK(tarn_tensor_cast(tensor, TARN_ELEMENT_F32, NULL, &floats));
    float *values = elements_of(floats);
    EXPECT_OK(tarn_tensor_release(floats));
    EXPECT_OK(tarn_tensor_release(tensor));
    return values;
}

static const tarn_element_type types[] = {TARN_ELEMENT_F32, TARN_ELEMENT_F16, TARN_ELEMENT_BF16, TARN_ELEMENT_F64};
#define TYPES (sizeof types / sizeof types[0])

static void need_device(void) {
    if (!is_there) skip();
}

static void multiply(int64_t rows, int64_t columns, int64_t inner, const layout *a_lies, const layout *b_lies,
                     tarn_element_type type) {
    tarn_tensor *a = make((const int64_t[]){rows, inner}, 2, a_lies, type, 1);
    tarn_tensor *b = make((const int64_t[]){inner, columns}, 2, b_lies, type, 2), *result = NULL;
    EXPECT_OK(tarn_matmul(a, b, NULL, &result));
    EXPECT_OK(tarn_tensor_release(a));
    EXPECT_OK(tarn_tensor_release(b));
    float *got = take(result);
    for (int64_t i = 0; i < rows * columns; i++) {
        float sum = 0;
        for (int64_t k = 0; k < inner; k++)
            sum += number_at((const int64_t[4]){i / columns, k}, 1) * number_at((const int64_t[4]){k, i % columns}, 2);
        if (got[i] != sum)
            fail_msg("%s, %d x %d x %d: element %d: %g and not %g", tarn_element_name(type), (int)rows, (int)columns,
                     (int)inner, (int)i, (double)got[i], (double)sum);
    }
    free(got);
}

static void products_are_right_across_tiles_and_packs(void **state) {
    (void)state;
    need_device();
    static const int64_t sizes[][3] = {{128, 64, 32}, {1, 1, 1}, {130, 67, 17}, {3, 200, 48}};
    static const layout lies[] = {{{0, 1}, 0, 1}, {{1, 0}, 0, 1}, {{0, 1}, 1, 1}, {{1, 0}, 3, 2}};
    const size_t step = getenv("TARN_TEST_SLOWNESS") != NULL ? 13 : 1;
    size_t number = 0;
    for (size_t t = 0; t < TYPES; t++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
            for (size_t l = 0; l < 16; l++)
                if (number++ % step == 0)
                    multiply(sizes[s][0], sizes[s][1], sizes[s][2], &lies[l % 4], &lies[l / 4], types[t]);
}

typedef struct image {
    int64_t batch, channels, height, width, filters, kernel, stride, padding, dilation, groups;
} image;

static void convolve(const image *of, const layout *x_lies, const layout *weight_lies, tarn_element_type type) {
    const int64_t depth = of->channels / of->groups, each = of->filters / of->groups;
    const tarn_conv2d_options options = {.struct_size = sizeof options,
                                         .stride = {of->stride, of->stride},
                                         .padding = {of->padding, of->padding},
                                         .dilation = {of->dilation, of->dilation},
                                         .groups = of->groups};
    tarn_tensor *x = make((const int64_t[]){of->batch, of->channels, of->height, of->width}, 4, x_lies, type, 3);
    tarn_tensor *weight = make((const int64_t[]){of->filters, depth, of->kernel, of->kernel}, 4, weight_lies, type, 4);
    tarn_tensor *result = NULL;
    EXPECT_OK(tarn_conv2d(x, weight, NULL, &options, NULL, &result));
    const tarn_shape *shape = tarn_tensor_shape(result);
    const int64_t height = shape->dims[2], width = shape->dims[3], count = of->batch * of->filters * height * width;
    EXPECT_OK(tarn_tensor_release(x));
    EXPECT_OK(tarn_tensor_release(weight));
    float *got = take(result);
    for (int64_t i = 0; i < count; i++) {
        const int64_t column = i % width, row = i / width % height, filter = i / (width * height) % of->filters;
        const int64_t number = i / (width * height * of->filters);
        float sum = 0;
        for (int64_t k = 0; k < depth * of->kernel * of->kernel; k++) {
            const int64_t kx = k % of->kernel, ky = k / of->kernel % of->kernel,
                          channel = k / (of->kernel * of->kernel);
            const int64_t in_y = row * of->stride - of->padding + ky * of->dilation;
            const int64_t in_x = column * of->stride - of->padding + kx * of->dilation;
            if (in_y < 0 || in_y >= of->height || in_x < 0 || in_x >= of->width) continue;
            sum += number_at((const int64_t[4]){number, filter / each * depth + channel, in_y, in_x}, 3) *
                   number_at((const int64_t[4]){filter, channel, ky, kx}, 4);
        }
        if (got[i] != sum)
            fail_msg("%s, %d channels: element %d: %g and not %g", tarn_element_name(type), (int)of->channels, (int)i,
                     (double)got[i], (double)sum);
    }
    free(got);
}

static void convolutions_are_right_however_images_lie(void **state) {
    (void)state;
    need_device();
    static const image images[] = {{2, 8, 9, 16, 5, 1, 1, 0, 1, 1},
                                   {1, 8, 7, 12, 70, 3, 1, 1, 1, 1},
                                   {2, 6, 8, 11, 4, 3, 2, 1, 1, 2},
                                   {1, 16, 6, 8, 130, 2, 1, 0, 2, 1}};
    static const layout x_lies[] = {
        {{0, 1, 2, 3}, 0, 1}, {{0, 2, 3, 1}, 0, 1}, {{0, 1, 2, 3}, 1, 1}, {{3, 0, 1, 2}, 0, 2}};
    static const layout weight_lies[] = {{{0, 1, 2, 3}, 0, 1}, {{0, 2, 3, 1}, 0, 1}, {{0, 1, 2, 3}, 1, 2}};
    const size_t step = getenv("TARN_TEST_SLOWNESS") != NULL ? 11 : 1;
    size_t number = 0;
    for (size_t t = 0; t < TYPES; t++)
        for (size_t i = 0; i < sizeof images / sizeof images[0]; i++)
            for (size_t l = 0; l < 12; l++)
                if (number++ % step == 0) convolve(&images[i], &x_lies[l % 4], &weight_lies[l / 4], types[t]);
}

static void pool(int64_t channels, int64_t kernel, int64_t stride, int64_t padding, const layout *x_lies,
                 const layout *result_lies, tarn_element_type type) {
    const int64_t dims[4] = {2, channels, 9, 12};
    const tarn_max_pool2d_options options = {.struct_size = sizeof options,
                                             .kernel = {kernel, kernel},
                                             .stride = {stride, stride},
                                             .padding = {padding, padding}};
    const int64_t height = (dims[2] + 2 * padding - kernel) / stride + 1;
    const int64_t width = (dims[3] + 2 * padding - kernel) / stride + 1, count = 2 * channels * height * width;
    tarn_tensor *x = make(dims, 4, x_lies, type, 5), *result = NULL;
    if (result_lies != NULL) result = make((const int64_t[]){2, channels, height, width}, 4, result_lies, type, 6);
    EXPECT_OK(tarn_max_pool2d(x, &options, NULL, &result));
    EXPECT_OK(tarn_tensor_release(x));
    float *got = take(result);
    for (int64_t i = 0; i < count; i++) {
        const int64_t column = i % width, row = i / width % height, channel = i / (width * height) % channels;
        float most = -9;
        for (int64_t k = 0; k < kernel * kernel; k++) {
            const int64_t y = row * stride - padding + k / kernel, x_at = column * stride - padding + k % kernel;
            if (y < 0 || y >= dims[2] || x_at < 0 || x_at >= dims[3]) continue;
            const float number = number_at((const int64_t[4]){i / (width * height * channels), channel, y, x_at}, 5);
            if (number > most) most = number;
        }
        if (got[i] != most)
            fail_msg("%s, %d channels: element %d: %g and not %g", tarn_element_name(type), (int)channels, (int)i,
                     (double)got[i], (double)most);
    }
    free(got);
}

static void pooling_is_right_however_images_lie(void **state) {
    (void)state;
    need_device();
    static const layout lies[] = {{{0, 1, 2, 3}, 0, 1}, {{0, 2, 3, 1}, 0, 1}, {{0, 2, 3, 1}, 1, 1}};
    static const tarn_element_type pooled[] = {TARN_ELEMENT_F32, TARN_ELEMENT_F16, TARN_ELEMENT_BF16, TARN_ELEMENT_F64,
                                               TARN_ELEMENT_I8,  TARN_ELEMENT_I16, TARN_ELEMENT_I32,  TARN_ELEMENT_I64};
    for (size_t t = 0; t < sizeof pooled / sizeof pooled[0]; t++) {
        for (size_t l = 0; l < 3; l++) {
            pool(8, 2, 2, 0, &lies[l], NULL, pooled[t]);
            pool(16, 3, 1, 1, &lies[l], &lies[1], pooled[t]);
            pool(5, 3, 2, 1, &lies[l], &lies[l], pooled[t]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_right_across_tiles_and_packs),
        cmocka_unit_test(convolutions_are_right_however_images_lie),
        cmocka_unit_test(pooling_is_right_however_images_lie),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
