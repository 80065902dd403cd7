/* Between elements and lanes, between lanes, and from lanes with any value to those that a narrower type has.
 *
 * A float too large for an integer becomes the least one. */
#include <math.h>

#include "backends/cpu/compute/level/level.h"

/* result[i] is the expression of x, of type `from`. */
#define CONVERT(name, from, to, expression)                                                  \
    static void name(void *out, const void *a, const void *b, const void *c, size_t count) { \
        (void)b;                                                                             \
        (void)c;                                                                             \
        const from *first = a;                                                               \
        INDEPENDENT for (size_t i = 0; i < count; i++) {                                     \
            from x = first[i];                                                               \
            ((to *)out)[i] = (to)(expression);                                               \
        }                                                                                    \
    }

static inline float double_to_odd(double value) {
    float rounded = (float)value;
    uint32_t bits = bits_of_float(rounded);
    uint32_t toward_zero = fabs((double)rounded) > fabs(value) ? bits - 1 : bits;
    return float_of_bits((double)rounded != value ? toward_zero | 1 : bits);
}

static inline int32_t float_to_i32(float x) {
    return x >= -2147483648.0f && x < 2147483648.0f ? (int32_t)x : INT32_MIN;
}
static inline int64_t float_to_i64(float x) {
    return x >= -9223372036854775808.0f && x < 9223372036854775808.0f ? (int64_t)x : INT64_MIN;
}
static inline int32_t double_to_i32(double x) { return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x : INT32_MIN; }
static inline int64_t double_to_i64(double x) {
    return x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? (int64_t)x : INT64_MIN;
}

CONVERT(load_f16, uint16_t, float, float_of_half(x))
CONVERT(load_bf16, uint16_t, float, float_of_brain(x))
CONVERT(load_i8, int8_t, int32_t, x)
CONVERT(load_u8, uint8_t, int32_t, x)
CONVERT(load_i16, int16_t, int32_t, x)
CONVERT(load_bool, uint8_t, int32_t, x != 0)

CONVERT(store_f16, float, uint16_t, half_of_float(x))
CONVERT(store_bf16, float, uint16_t, brain_of_float(x))
CONVERT(store_byte, int32_t, uint8_t, (uint32_t)x)
CONVERT(store_i16, int32_t, uint16_t, (uint32_t)x)

CONVERT(wrap_f16, float, float, float_of_half(half_of_float(x)))
CONVERT(wrap_bf16, float, float, float_of_brain(brain_of_float(x)))
CONVERT(wrap_i8, int32_t, int32_t, (int8_t)(uint8_t)(uint32_t)x)
CONVERT(wrap_u8, int32_t, int32_t, (uint8_t)(uint32_t)x)
CONVERT(wrap_i16, int32_t, int32_t, (int16_t)(uint16_t)(uint32_t)x)
CONVERT(truth_f32, float, int32_t, x != 0)
CONVERT(truth_f64, double, int32_t, x != 0)
CONVERT(truth_i32, int32_t, int32_t, x != 0)
CONVERT(truth_i64, int64_t, int32_t, x != 0)

CONVERT(f32_to_f64, float, double, x)
CONVERT(f32_to_i32, float, int32_t, float_to_i32(x))
CONVERT(f32_to_i64, float, int64_t, float_to_i64(x))
CONVERT(f64_to_f32, double, float, x)
CONVERT(f64_to_i32, double, int32_t, double_to_i32(x))
CONVERT(f64_to_i64, double, int64_t, double_to_i64(x))
CONVERT(i32_to_f32, int32_t, float, x)
CONVERT(i32_to_f64, int32_t, double, x)
CONVERT(i32_to_i64, int32_t, int64_t, x)
CONVERT(i64_to_f32, int64_t, float, x)
CONVERT(i64_to_f64, int64_t, double, x)
CONVERT(i64_to_i32, int64_t, int32_t, (uint32_t)(uint64_t)x)
CONVERT(f64_to_odd, double, float, double_to_odd(x))

static void count_from(int64_t *out, int64_t first, int64_t step, size_t count) {
    for (size_t i = 0; i < count; i++) out[i] = first + (int64_t)i * step;
}

const cpu_conversions AT_LEVEL(cpu_conversions) = {
    .lanes =
        {
            [CPU_LANE_F32] = {NULL, f32_to_f64, f32_to_i32, f32_to_i64},
            [CPU_LANE_F64] = {f64_to_f32, NULL, f64_to_i32, f64_to_i64},
            [CPU_LANE_I32] = {i32_to_f32, i32_to_f64, NULL, i32_to_i64},
            [CPU_LANE_I64] = {i64_to_f32, i64_to_f64, i64_to_i32, NULL},
        },
    .truths = {truth_f32, truth_f64, truth_i32, truth_i64},
    .odd = f64_to_odd,
    .loads =
        {
            [TARN_ELEMENT_F16] = load_f16,
            [TARN_ELEMENT_BF16] = load_bf16,
            [TARN_ELEMENT_I8] = load_i8,
            [TARN_ELEMENT_U8] = load_u8,
            [TARN_ELEMENT_I16] = load_i16,
            [TARN_ELEMENT_BOOL] = load_bool,
        },
    .stores =
        {
            [TARN_ELEMENT_F16] = store_f16,
            [TARN_ELEMENT_BF16] = store_bf16,
            [TARN_ELEMENT_I8] = store_byte,
            [TARN_ELEMENT_U8] = store_byte,
            [TARN_ELEMENT_I16] = store_i16,
            [TARN_ELEMENT_BOOL] = store_byte,
        },
    .wraps =
        {
            [TARN_ELEMENT_F16] = wrap_f16,
            [TARN_ELEMENT_BF16] = wrap_bf16,
            [TARN_ELEMENT_I8] = wrap_i8,
            [TARN_ELEMENT_U8] = wrap_u8,
            [TARN_ELEMENT_I16] = wrap_i16,
            [TARN_ELEMENT_BOOL] = truth_i32,
        },
    .count = count_from,
};
