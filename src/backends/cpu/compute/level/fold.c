/* Reductions of a block.
 *
 * A sum of floats adds in as many chains as four vectors have lanes and then adds the chains in pairs; what calls this adds the blocks in
 * double. Extremes keep a NaN: no comparison with it is true, so that it is asked for by itself. */
#include <math.h>

#include "backends/cpu/compute/level/level.h"

enum { CHAINS_F32 = 64, CHAINS_F64 = 32 };

#define SUM(name, type, chains)                                                  \
    static double name(const void *lanes, size_t count) {                        \
        const type *values = lanes;                                              \
        type sums[chains] = {0};                                                 \
        size_t whole = count / (chains) * (chains);                              \
        for (size_t i = 0; i < whole; i += (chains)) {                           \
            for (size_t k = 0; k < (chains); k++) sums[k] += values[i + k];      \
        }                                                                        \
        for (size_t k = 0; k < count - whole; k++) sums[k] += values[whole + k]; \
        for (size_t width = (chains) / 2; width > 0; width /= 2) {               \
            for (size_t k = 0; k < width; k++) sums[k] += sums[k + width];       \
        }                                                                        \
        return (double)sums[0];                                                  \
    }

/* `better` compares a value with the best so far, x with best[k]. */
#define EXTREME(name, type, result_type, worst, better)          \
    static result_type name(const void *lanes, size_t count) {   \
        enum { CHAINS = 32 };                                    \
        const type *values = lanes;                              \
        type best[CHAINS];                                       \
        for (size_t k = 0; k < CHAINS; k++) best[k] = (worst);   \
        size_t whole = count / CHAINS * CHAINS;                  \
        for (size_t i = 0; i < whole; i += CHAINS) {             \
            for (size_t k = 0; k < CHAINS; k++) {                \
                type x = values[i + k];                          \
                best[k] = (better) ? x : best[k];                \
            }                                                    \
        }                                                        \
        for (size_t k = 0; k < count - whole; k++) {             \
            type x = values[whole + k];                          \
            best[k] = (better) ? x : best[k];                    \
        }                                                        \
        for (size_t width = CHAINS / 2; width > 0; width /= 2) { \
            for (size_t k = 0; k < width; k++) {                 \
                type x = best[k + width];                        \
                best[k] = (better) ? x : best[k];                \
            }                                                    \
        }                                                        \
        return (result_type)best[0];                             \
    }

SUM(sum_f32, float, CHAINS_F32)
SUM(sum_f64, double, CHAINS_F64)
EXTREME(max_f32, float, double, -INFINITY, x > best[k] || x != x)
EXTREME(min_f32, float, double, INFINITY, x < best[k] || x != x)
EXTREME(max_f64, double, double, -(double)INFINITY, x > best[k] || x != x)
EXTREME(min_f64, double, double, (double)INFINITY, x < best[k] || x != x)
EXTREME(max_i64, int64_t, int64_t, INT64_MIN, x > best[k])
EXTREME(min_i64, int64_t, int64_t, INT64_MAX, x < best[k])

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
    .into_f64 = {sum_into_f64, sum_into_f64, product_into_f64, max_into_f64, min_into_f64},
    .into_i64 = {sum_into_i64, sum_into_i64, product_into_i64, max_into_i64, min_into_i64},
};
