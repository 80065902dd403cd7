/* Operations: what passes over memory as a part of the speed with which memory is copied, and products beside cuBLASLt's own. */
#include <stdio.h>

#include "measure.h"

/* Of the copy's speed; and of cuBLASLt's own time. */
#define PASS_SHARE 0.93
#define PRODUCT_TIMES 1.02

typedef struct operation {
    tarn_tensor *a, *b, *result;
    tarn_status (*run)(struct operation *self);
} operation;

static void run_operation(void *context) {
    operation *self = context;
    EXPECT(self->run(self));
}

static tarn_status run_add(operation *self) { return tarn_add(self->a, self->b, NULL, &self->result); }
static tarn_status run_tanh(operation *self) { return tarn_tanh(self->a, NULL, &self->result); }
static tarn_status run_softmax(operation *self) { return tarn_softmax(self->a, 1, NULL, &self->result); }
static tarn_status run_sum(operation *self) {
    const int dim = 1;
    return tarn_sum(self->a, &dim, 1, 0, NULL, &self->result);
}
static tarn_status run_matmul(operation *self) { return tarn_matmul(self->a, self->b, NULL, &self->result); }

static tarn_tensor *make(tarn_allocator *allocator, size_t rows, size_t columns, tarn_element_type type) {
    tarn_shape shape = {.rank = 2, .dims = {(int64_t)rows, (int64_t)columns}};
    tarn_tensor *tensor = NULL;
    EXPECT(tarn_tensor_empty(allocator, &shape, type, NULL, &tensor));
    /* Zeros: what a kernel takes does not depend on them, and the driver writes them itself. */
    EXPECT(tarn_stream_fill(tarn_device_default_stream(tarn_tensor_device(tensor)), tarn_tensor_data(tensor), "", 1,
                            rows * columns * tarn_element_size(type)));
    return tensor;
}

/* Runs an operation once; false, with a line that says why, where the device does not do it. */
static bool is_done(operation *self, const char *name) {
    tarn_status status = self->run(self);
    if (status == TARN_OK) status = tarn_device_synchronize(tarn_tensor_device(self->a));
    if (status != TARN_OK) measure_skip(name, tarn_last_error());
    return status == TARN_OK;
}

/* As a part of the speed with which memory is copied; `passes`: of the whole memory of an operand. */
static void measure_pass(tarn_device *device, operation self, const char *what, size_t bytes, double passes) {
    char name[64];
    snprintf(name, sizeof name, "%s, %.4g MiB", what, (double)bytes / (1 << 20));
    if (is_done(&self, name)) {
        double speed = passes * (double)bytes / measure_device(device, run_operation, &self);
        measure_judge(name, speed / measure_ceiling, "of the copy's speed", MEASURE_AT_LEAST, PASS_SHARE);
    }
    EXPECT(tarn_tensor_release(self.result));
}

/* Random numbers: a GPU is faster with zeros, which take less power. */
static tarn_tensor *make_matrix(tarn_allocator *allocator, tarn_element_type type, size_t size, uint64_t seed) {
    tarn_shape shape = {.rank = 2, .dims = {(int64_t)size, (int64_t)size}};
    tarn_tensor *tensor = NULL;
    EXPECT(tarn_tensor_random_normal(allocator, &shape, type, seed, 0, 1, NULL, &tensor));
    return tensor;
}

/* Both on the same matrices, one after the other. */
static void measure_product(tarn_device *device, tarn_allocator *allocator, tarn_element_type type, size_t size) {
    char name[64];
    const double work = 2.0 * (double)size * (double)size * (double)size;
    operation self = {
        .a = make_matrix(allocator, type, size, 1), .b = make_matrix(allocator, type, size, 2), .run = run_matmul};
    snprintf(name, sizeof name, "matmul, %zu, %s", size, tarn_element_name(type));
    if (is_done(&self, name)) {
        double own = measure_device(device, run_operation, &self);
        measure_say(name, work / own / 1e3, "TFLOP/s");
        const char *why = NULL;
        double theirs = measure_cublas(device, type, size, tarn_tensor_data(self.a), tarn_tensor_data(self.b),
                                       tarn_tensor_data(self.result), &why);
        snprintf(name, sizeof name, "  cuBLASLt itself, %zu, %s", size, tarn_element_name(type));
        if (theirs > 0) measure_say(name, work / theirs / 1e3, "TFLOP/s");
        else measure_skip(name, why);
        snprintf(name, sizeof name, "  Tarn's time to cuBLASLt's, %zu, %s", size, tarn_element_name(type));
        if (theirs > 0) measure_judge(name, own / theirs, "times", MEASURE_AT_MOST, PRODUCT_TIMES);
        else measure_skip(name, why);
    }
    EXPECT(tarn_tensor_release(self.a));
    EXPECT(tarn_tensor_release(self.b));
    EXPECT(tarn_tensor_release(self.result));
}

static tarn_tensor *make_image(tarn_allocator *allocator, tarn_element_type type, const int64_t *dims) {
    tarn_shape shape = {.rank = 4, .dims = {dims[0], dims[1], dims[2], dims[3]}};
    tarn_tensor *tensor = NULL;
    EXPECT(tarn_tensor_random_normal(allocator, &shape, type, 3, 0, 1, NULL, &tensor));
    return tensor;
}

static tarn_status run_convolution(operation *self) {
    const tarn_conv2d_options options = {.struct_size = sizeof options, .padding = {1, 1}};
    return tarn_conv2d(self->a, self->b, NULL, &options, NULL, &self->result);
}

/* 3 × 3 filters as in the middle of a residual network, as many as channels. */
static void measure_convolution(tarn_device *device, tarn_allocator *allocator, tarn_element_type type, int64_t scale) {
    const int64_t images[4] = {scale, 4 * scale, 56, 56}, filters[4] = {4 * scale, 4 * scale, 3, 3};
    char name[64];
    operation self = {
        .a = make_image(allocator, type, images), .b = make_image(allocator, type, filters), .run = run_convolution};
    snprintf(name, sizeof name, "conv2d, %dx%dx56x56, 3x3, %s", (int)scale, (int)(4 * scale), tarn_element_name(type));
    if (is_done(&self, name)) {
        double work = 2.0 * 9 * 56 * 56 * (double)images[0] * (double)images[1] * (double)filters[0];
        measure_say(name, work / measure_device(device, run_operation, &self) / 1e3, "TFLOP/s");
    }
    EXPECT(tarn_tensor_release(self.a));
    EXPECT(tarn_tensor_release(self.b));
    EXPECT(tarn_tensor_release(self.result));
}

void measure_passes(tarn_device *device, size_t size) {
    tarn_allocator *allocator = NULL;
    EXPECT(tarn_allocator_create(device, "caching", &allocator));
    const size_t columns = 1024, rows = size / columns / sizeof(float);
    tarn_tensor *a = make(allocator, rows, columns, TARN_ELEMENT_F32),
                *b = make(allocator, rows, columns, TARN_ELEMENT_F32);
    measure_pass(device, (operation){.a = a, .b = b, .run = run_add}, "add, F32", size, 3);
    measure_pass(device, (operation){.a = a, .run = run_tanh}, "tanh, F32", size, 2);
    measure_pass(device, (operation){.a = a, .run = run_sum}, "sum of rows, F32", size, 1);
    measure_pass(device, (operation){.a = a, .run = run_softmax}, "softmax of rows, F32", size, 2);
    EXPECT(tarn_tensor_release(a));
    EXPECT(tarn_tensor_release(b));
    EXPECT(tarn_allocator_release(allocator));
}

void measure_operations(tarn_device *device, size_t size, size_t edge) {
    tarn_allocator *allocator = NULL;
    measure_passes(device, size);
    EXPECT(tarn_allocator_create(device, "caching", &allocator));
    measure_product(device, allocator, TARN_ELEMENT_F32, edge);
    measure_product(device, allocator, TARN_ELEMENT_BF16, edge);
    measure_convolution(device, allocator, TARN_ELEMENT_F32, edge >= 128 ? (int64_t)edge / 128 : 1);
    measure_convolution(device, allocator, TARN_ELEMENT_BF16, edge >= 128 ? (int64_t)edge / 128 : 1);
    EXPECT(tarn_allocator_release(allocator));
}
