/* What tests of tensors stand on: a device with an allocator, checked and released afterwards, and short ways to make tensors. */
#ifndef TESTS_SUPPORT_BENCH_H
#define TESTS_SUPPORT_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <tarn/tarn.h>

typedef struct test_bench {
    tarn_device *device;
    tarn_allocator *allocator;
    uint64_t memory_before; /* of the device */
} test_bench;

/* The device that tests run on which can run on any: TARN_TEST_DEVICE, or else the cpu. */
const char *bench_device(void);
/* Opens the device and creates the allocator on it. */
void bench_open(test_bench *bench, const char *device, const char *spec);
/* Releases them; the test fails where a buffer is left, or memory of the device. */
void bench_close(test_bench *bench);

#define SHAPE(...) \
    (&(const tarn_shape){.rank = sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dims = {__VA_ARGS__}})
#define NO_DIMENSIONS (&(const tarn_shape){.rank = 0})

/* 0, 1, 2, … in row-major order, in F32; made on the default stream. */
tarn_tensor *counting(test_bench *bench, const tarn_shape *shape);
/* The elements in row-major order, from malloc: read by the tensor's own strides where the host reaches them, else by tarn_tensor_read. Their
 * work has finished. */
void *elements_of(tarn_tensor *tensor);
/* Fails unless the elements, read as F32 tensors are, are those. */
void expect_floats(tarn_tensor *tensor, const float *wanted, size_t count, const char *file, int line);
#define EXPECT_FLOATS(tensor, ...)                                                                            \
    expect_floats(tensor, (const float[]){__VA_ARGS__}, sizeof((const float[]){__VA_ARGS__}) / sizeof(float), \
                  __FILE__, __LINE__)
void expect_shape(const tarn_tensor *tensor, const char *wanted, const char *file, int line);
#define EXPECT_SHAPE(tensor, wanted) expect_shape(tensor, wanted, __FILE__, __LINE__)

void expect_status(tarn_status got, tarn_status wanted, const char *call, const char *file, int line);
#define EXPECT(wanted, call) expect_status((call), (wanted), #call, __FILE__, __LINE__)
#define EXPECT_OK(call) EXPECT(TARN_OK, call)
/* Whether the last error's sentence contains the text. */
void expect_sentence(const char *part, const char *file, int line);
#define EXPECT_SENTENCE(part) expect_sentence(part, __FILE__, __LINE__)

#endif
