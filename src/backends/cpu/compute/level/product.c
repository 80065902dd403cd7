/* The innermost loop of matrix products, in which products and sums are fused.
 *
 * The sums of a tile stay in registers: `ROWS` rows of two vectors, and there is room left for two vectors of the right panel and one element of
 * the left one, which is in all lanes. */
#include "backends/cpu/compute/level/level.h"

#if defined(__AVX512F__)
#define ROWS 12
#define VECTOR_SIZE 64
#elif defined(__AVX2__)
#define ROWS 6
#define VECTOR_SIZE 32
#else
#define ROWS 4
#define VECTOR_SIZE 16
#endif

typedef float floats __attribute__((vector_size(VECTOR_SIZE), aligned(sizeof(float)), may_alias));
typedef double doubles __attribute__((vector_size(VECTOR_SIZE), aligned(sizeof(double)), may_alias));

#define FLOATS (VECTOR_SIZE / sizeof(float))
#define DOUBLES (VECTOR_SIZE / sizeof(double))

static void add_floats(size_t inners, const float *left, const float *right, float *tile, size_t stride) {
    floats sums[ROWS][2];
    for (size_t row = 0; row < ROWS; row++) {
        sums[row][0] = *(const floats *)(tile + row * stride);
        sums[row][1] = *(const floats *)(tile + row * stride + FLOATS);
    }
    for (size_t inner = 0; inner < inners; inner++) {
        floats first = *(const floats *)right, second = *(const floats *)(right + FLOATS);
        for (size_t row = 0; row < ROWS; row++) {
            sums[row][0] += left[row] * first;
            sums[row][1] += left[row] * second;
        }
        left += ROWS;
        right += 2 * FLOATS;
    }
    for (size_t row = 0; row < ROWS; row++) {
        *(floats *)(tile + row * stride) = sums[row][0];
        *(floats *)(tile + row * stride + FLOATS) = sums[row][1];
    }
}

static void add_doubles(size_t inners, const double *left, const double *right, double *tile, size_t stride) {
    doubles sums[ROWS][2];
    for (size_t row = 0; row < ROWS; row++) {
        sums[row][0] = *(const doubles *)(tile + row * stride);
        sums[row][1] = *(const doubles *)(tile + row * stride + DOUBLES);
    }
    for (size_t inner = 0; inner < inners; inner++) {
        doubles first = *(const doubles *)right, second = *(const doubles *)(right + DOUBLES);
        for (size_t row = 0; row < ROWS; row++) {
            sums[row][0] += left[row] * first;
            sums[row][1] += left[row] * second;
        }
        left += ROWS;
        right += 2 * DOUBLES;
    }
    for (size_t row = 0; row < ROWS; row++) {
        *(doubles *)(tile + row * stride) = sums[row][0];
        *(doubles *)(tile + row * stride + DOUBLES) = sums[row][1];
    }
}

const cpu_product_kernels AT_LEVEL(cpu_product_kernels) = {
    .rows = ROWS,
    .float_columns = 2 * FLOATS,
    .double_columns = 2 * DOUBLES,
    .floats = add_floats,
    .doubles = add_doubles,
};
