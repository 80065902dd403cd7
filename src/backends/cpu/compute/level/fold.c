/* Reductions of a block.
 *
 * A sum of floats adds in as many chains as four vectors have lanes and then adds the chains in pairs, block after block of 4096, and the
 * blocks in double. Extremes keep a NaN: no comparison with it is true, so that it is asked for by itself.
 *
 * Blocks are mostly read where they are in memory, one behind the other. One thread has too few lines under way then for what memory can
 * bring: these loops ask for more, across the end of the block too. To ask for what is not there does nothing. */
#include <math.h>

#include "backends/cpu/compute/level/level.h"

/* Bytes between what is read and what is asked for, and of what one request brings. */
enum { AHEAD = 4096, LINE = 64 };

static inline void fetch_ahead(const void *values, size_t size) {
    for (size_t k = 0; k < size; k += LINE) {
        __builtin_prefetch((const void *)((uintptr_t)values + AHEAD + k), 0, 0);
    }
}

/* Chain k takes chain k + WIDTH in, for all k below WIDTH, which is half of the chains, then a quarter, and so on. Each width stands by
 * itself so that compilers know it: as a loop this takes longer than all that is before it. */
#define AT_WIDTH(width, statement)           \
    {                                        \
        enum { WIDTH = (width) };            \
        for (size_t k = 0; k < WIDTH; k++) { \
            statement;                       \
        }                                    \
    }
#define IN_PAIRS_32(statement) \
    AT_WIDTH(16, statement)    \
    AT_WIDTH(8, statement)     \
    AT_WIDTH(4, statement)     \
    AT_WIDTH(2, statement)     \
    AT_WIDTH(1, statement)
#define IN_PAIRS_64(statement) \
    AT_WIDTH(32, statement)    \
    IN_PAIRS_32(statement)

#define SUM(name, type, chains)                                                  \
    static double name(const void *lanes, size_t count) {                        \
        const type *values = lanes;                                              \
        type sums[chains] = {0};                                                 \
        size_t whole = count / (chains) * (chains);                              \
        for (size_t i = 0; i < whole; i += (chains)) {                           \
            fetch_ahead(values + i, sizeof sums);                                \
            for (size_t k = 0; k < (chains); k++) sums[k] += values[i + k];      \
        }                                                                        \
        for (size_t k = 0; k < count - whole; k++) sums[k] += values[whole + k]; \
        IN_PAIRS_##chains(sums[k] += sums[k + WIDTH]);                           \
        return (double)sums[0];                                                  \
    }

/* `better` compares a value with the best so far, x with best[k]. */
#define EXTREME(name, type, result_type, worst, better)                          \
    static result_type name(const void *lanes, size_t count) {                   \
        enum { CHAINS = 32 };                                                    \
        const type *values = lanes;                                              \
        type best[CHAINS];                                                       \
        for (size_t k = 0; k < CHAINS; k++) best[k] = (worst);                   \
        size_t whole = count / CHAINS * CHAINS;                                  \
        for (size_t i = 0; i < whole; i += CHAINS) {                             \
            fetch_ahead(values + i, sizeof best);                                \
            for (size_t k = 0; k < CHAINS; k++) {                                \
                type x = values[i + k];                                          \
                best[k] = (better) ? x : best[k];                                \
            }                                                                    \
        }                                                                        \
        for (size_t k = 0; k < count - whole; k++) {                             \
            type x = values[whole + k];                                          \
            best[k] = (better) ? x : best[k];                                    \
        }                                                                        \
        IN_PAIRS_32(type x = best[k + WIDTH]; best[k] = (better) ? x : best[k]); \
        return (result_type)best[0];                                             \
    }

SUM(sum_block_f32, float, 64)

/* Blocks of floats, added in double. */
static double sum_f32(const void *lanes, size_t count) {
    enum { BLOCK = 4096 };
    const float *values = lanes;
    double sum = 0;
    for (; count > BLOCK; count -= BLOCK, values += BLOCK) sum += sum_block_f32(values, BLOCK);
    return sum + sum_block_f32(values, count);
}

SUM(sum_f64, double, 32)
EXTREME(max_f32, float, double, -INFINITY, x > best[k] || x != x)
EXTREME(min_f32, float, double, INFINITY, x < best[k] || x != x)
EXTREME(max_f64, double, double, -(double)INFINITY, x > best[k] || x != x)
EXTREME(min_f64, double, double, (double)INFINITY, x < best[k] || x != x)
EXTREME(max_i64, int64_t, int64_t, INT64_MIN, x > best[k])
EXTREME(min_i64, int64_t, int64_t, INT64_MAX, x < best[k])

/* `both` gives one of two. Rows that follow each other are taken one by one: memory is fastest in its own order. Others are taken eight at a
 * time, in pairs of pairs. */
#define ROW_OF(type, number) ((const type *)(const void *)(lanes + (int64_t)(number)*stride))
#define PAIR(both, number, i) both(eight[number][i], eight[(number) + 1][i])
#define COLUMNS(name, type, both)                                                                               \
    static void name(void *out, const char *lanes, int64_t stride, size_t rows, size_t count) {                 \
        size_t row = 1;                                                                                         \
        int is_one_piece = stride == (int64_t)(count * sizeof(type));                                           \
        memcpy(out, lanes, count * sizeof(type));                                                               \
        for (; !is_one_piece && row + 8 <= rows; row += 8) {                                                    \
            const type *eight[8];                                                                               \
            for (size_t k = 0; k < 8; k++) eight[k] = ROW_OF(type, row + k);                                    \
            INDEPENDENT for (size_t i = 0; i < count; i++)((type *)out)[i] =                                    \
                both(((type *)out)[i],                                                                          \
                     both(both(PAIR(both, 0, i), PAIR(both, 2, i)), both(PAIR(both, 4, i), PAIR(both, 6, i)))); \
        }                                                                                                       \
        for (; row < rows; row++) {                                                                             \
            const type *one = ROW_OF(type, row);                                                                \
            INDEPENDENT for (size_t i = 0; i < count; i++)((type *)out)[i] = both(((type *)out)[i], one[i]);    \
        }                                                                                                       \
    }
#define BOTH(name, type, best)                \
    static inline type name(type x, type y) { \
        type z = (best);                      \
        return y != y ? y : z;                \
    }

static inline float plus_f32(float x, float y) { return x + y; }
static inline double plus_f64(double x, double y) { return x + y; }
BOTH(larger_f32, float, y > x ? y : x)
BOTH(larger_f64, double, y > x ? y : x)
BOTH(smaller_f32, float, y < x ? y : x)
BOTH(smaller_f64, double, y < x ? y : x)
COLUMNS(sum_columns_f32, float, plus_f32)
COLUMNS(sum_columns_f64, double, plus_f64)
COLUMNS(max_columns_f32, float, larger_f32)
COLUMNS(max_columns_f64, double, larger_f64)
COLUMNS(min_columns_f32, float, smaller_f32)
COLUMNS(min_columns_f64, double, smaller_f64)

/* In order: elsewhere a product may overflow where it has not. */
static double product_f64(const void *lanes, size_t count) {
    const double *values = lanes;
    double product = 1;
    for (size_t i = 0; i < count; i++) product *= values[i];
    return product;
}

static int64_t sum_i64(const void *lanes, size_t count) {
    const uint64_t *values = lanes;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i];
    return (int64_t)sum;
}

static int64_t product_i64(const void *lanes, size_t count) {
    const uint64_t *values = lanes;
    uint64_t product = 1;
    for (size_t i = 0; i < count; i++) product *= values[i];
    return (int64_t)product;
}

/* What a sum loses is what its two operands have that it has not (Knuth). */
static void sum_into_f64(double *values, double *errors, const double *lanes, size_t count) {
    INDEPENDENT for (size_t i = 0; i < count; i++) {
        double x = lanes[i], y = values[i];
        double sum = x + y;
        double part = sum - y;
        errors[i] += (y - (sum - part)) + (x - part);
        values[i] = sum;
    }
}

#define INTO_F64(name, expression)                                                        \
    static void name(double *values, double *errors, const double *lanes, size_t count) { \
        (void)errors;                                                                     \
        INDEPENDENT for (size_t i = 0; i < count; i++) {                                  \
            double x = lanes[i], y = values[i];                                           \
            values[i] = (expression);                                                     \
        }                                                                                 \
    }
#define INTO_I64(name, expression)                                          \
    static void name(int64_t *values, const int64_t *lanes, size_t count) { \
        INDEPENDENT for (size_t i = 0; i < count; i++) {                    \
            int64_t x = lanes[i], y = values[i];                            \
            values[i] = (int64_t)(expression);                              \
        }                                                                   \
    }

INTO_F64(product_into_f64, x *y)
INTO_F64(max_into_f64, x > y || x != x ? x : y)
INTO_F64(min_into_f64, x < y || x != x ? x : y)
INTO_I64(sum_into_i64, (uint64_t)x + (uint64_t)y)
INTO_I64(product_into_i64, (uint64_t)x *(uint64_t)y)
INTO_I64(max_into_i64, x > y ? x : y)
INTO_I64(min_into_i64, x < y ? x : y)

/* SUM, MEAN, PROD, MAX, MIN */
const cpu_folds AT_LEVEL(cpu_folds) = {
    .f32 = {sum_f32, sum_f32, NULL, max_f32, min_f32},
    .f64 = {sum_f64, sum_f64, product_f64, max_f64, min_f64},
    .i64 = {sum_i64, sum_i64, product_i64, max_i64, min_i64},
    .columns_f32 = {sum_columns_f32, sum_columns_f32, NULL, max_columns_f32, min_columns_f32},
    .columns_f64 = {sum_columns_f64, sum_columns_f64, NULL, max_columns_f64, min_columns_f64},
    .into_f64 = {sum_into_f64, sum_into_f64, product_into_f64, max_into_f64, min_into_f64},
    .into_i64 = {sum_into_i64, sum_into_i64, product_into_i64, max_into_i64, min_into_i64},
};
