/* Functions of real numbers.
 *
 * EXP, LOG, SIGMOID and TANH of floats err by less than 2 units in the last place, over all floats, denormal ones too; SIN, COS and POW
 * by less than 1, computed in double. The polynomials interpolate at Chebyshev's points, but for those of POW, which are Taylor's. All functions
 * of doubles are the C library's. */
#include <math.h>

#include "backends/cpu/compute/level/level.h"

#define UNARY(name, type, function)                                                          \
    static void name(void *out, const void *a, const void *b, const void *c, size_t count) { \
        (void)b;                                                                             \
        (void)c;                                                                             \
        const type *first = a;                                                               \
        INDEPENDENT for (size_t i = 0; i < count; i++)((type *)out)[i] = function(first[i]); \
    }

/* x * y + z, rounded once where that is one instruction. */
static inline float multiply_add(float x, float y, float z) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fmaf(x, y, z);
#else
    return x * y + z;
#endif
}

/* Adding it rounds a float to an integer, which is then in the sum's lowest bits. */
#define ROUNDER 0x1.8p23f
/* ln 2 in two parts, the upper one so short that its products with exponents are exact. */
#define LN2_UPPER 0x1.62e4p-1f
#define LN2_LOWER 0x1.7f7d1cp-20f

/* x as n ln 2 + rest; returns e^rest - 1. */
static inline float reduced_expm1(float x, int32_t *out_n) {
    float shifted = multiply_add(x, 0x1.715476p+0f, ROUNDER);
    float n = shifted - ROUNDER;
    *out_n = (int32_t)(bits_of_float(shifted) - bits_of_float(ROUNDER));
    float rest = multiply_add(n, -LN2_UPPER, x);
    rest = multiply_add(n, -LN2_LOWER, rest);
    float polynomial = 0x1.6d10fep-10f;
    polynomial = multiply_add(polynomial, rest, 0x1.120b64p-7f);
    polynomial = multiply_add(polynomial, rest, 0x1.55551ap-5f);
    polynomial = multiply_add(polynomial, rest, 0x1.5554dep-3f);
    polynomial = multiply_add(polynomial, rest, 0.5f);
    return multiply_add(polynomial, rest * rest, rest);
}

/* 2^n for -126 <= n <= 127. */
static inline float power_of_two(int32_t n) { return float_of_bits((uint32_t)(n + 127) << 23); }

static inline float exp_float(float x) {
    /* Beyond these it is infinity and 0; a NaN stays. */
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    int32_t n;
    float power = reduced_expm1(x, &n) + 1.0f;
    /* In two steps, since 2^n may be out of range where the result is not. */
    int32_t half = n >> 1;
    return power * power_of_two(half) * power_of_two(n - half);
}

/* above / (below + below_rest), rounded little more than once: the rest is what a sum has lost. */
static inline float divide_by_sum(float above, float below, float below_rest) {
#if defined(__FMA__) || defined(__aarch64__)
    float inverse = 1.0f / below;
    float quotient = above * inverse;
    float rest = multiply_add(-quotient, below_rest, multiply_add(-quotient, below, above));
    return multiply_add(rest, inverse, quotient);
#else
    return (float)((double)above / ((double)below + (double)below_rest));
#endif
}

/* With e = exp(-|x|) = scale * (1 + rest): 1 / (1 + e), or e / (1 + e) for a negative x, whose scale comes last. */
static inline float sigmoid_float(float x) {
    float magnitude = float_of_bits(bits_of_float(x) & 0x7fffffffu);
    magnitude = magnitude > 104.0f ? 104.0f : magnitude; /* 1 or 0 from there on */
    int32_t n;
    float rest = reduced_expm1(-magnitude, &n);
    float scale = power_of_two(n < -126 ? -126 : n);
    float whole = 1.0f + scale;
    float below = whole + scale * rest;
    float below_rest = (scale * rest - (below - whole)) + (scale - (whole - 1.0f));
    int is_positive = x > 0;
    float quotient = divide_by_sum(is_positive ? 1.0f : 1.0f + rest, below, below_rest);
    int32_t left = is_positive ? 0 : n, half = left >> 1;
    return quotient * power_of_two(half) * power_of_two(left - half);
}

/* e / (e + 2) with e = exp(2 |x|) - 1. */
static inline float tanh_float(float x) {
    float twice = 2.0f * float_of_bits(bits_of_float(x) & 0x7fffffffu);
    twice = twice > 20.0f ? 20.0f : twice; /* 1 from there on */
    int32_t n;
    float rest = reduced_expm1(twice, &n);
    float scale = power_of_two(n);
    float e = multiply_add(scale, rest, scale - 1.0f);
    float below = e + 2.0f;
    float quotient = divide_by_sum(e, below, e - (below - 2.0f));
    return float_of_bits(bits_of_float(quotient) | (bits_of_float(x) & 0x80000000u));
}

static inline float log_float(float x) {
    /* Denormal numbers become normal. */
    int is_small = x < 0x1p-126f;
    float normal = is_small ? x * 0x1p23f : x;
    /* normal = 2^exponent * (1 + rest), with 1 + rest from the root of 1/2 to that of 2. */
    uint32_t shifted = bits_of_float(normal) - 0x3f3504f3u;
    float exponent = (float)((int32_t)shifted >> 23) - (is_small ? 23.0f : 0.0f);
    float rest = float_of_bits((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float square = rest * rest;
    float polynomial = 0x1.1d9df2p-4f;
    polynomial = multiply_add(polynomial, rest, -0x1.d64804p-4f);
    polynomial = multiply_add(polynomial, rest, 0x1.dea5a6p-4f);
    polynomial = multiply_add(polynomial, rest, -0x1.fcf2acp-4f);
    polynomial = multiply_add(polynomial, rest, 0x1.23d1d8p-3f);
    polynomial = multiply_add(polynomial, rest, -0x1.555b52p-3f);
    polynomial = multiply_add(polynomial, rest, 0x1.999d5cp-3f);
    polynomial = multiply_add(polynomial, rest, -0x1.fffffcp-3f);
    polynomial = multiply_add(polynomial, rest, 0x1.555554p-2f);
    float small = multiply_add(exponent, LN2_LOWER, polynomial * rest * square);
    small = multiply_add(-0.5f, square, small);
    float result = multiply_add(exponent, LN2_UPPER, rest + small);
    result = x == 0 ? -INFINITY : result;
    result = x < 0 ? NAN : result;
    return x < INFINITY ? result : x; /* infinity and NaN, too */
}

/* sin(x + quarters * pi / 2), for |x| below TURNS_LIMIT; anything else for other x. */
#define TURNS_LIMIT 0x1p20f

static inline float sin_of_quarters(float x, uint64_t quarters) {
    double shifted = (double)x * 0x1.45f306dc9c883p-1 + 0x1.8p52;
    double n = shifted - 0x1.8p52;
    /* pi / 2 in two parts, the upper one of 33 bits. */
    double rest = ((double)x - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34;
    quarters += bits_of_double(shifted);
    double square = rest * rest;
    double odd = 2.7248364773036666e-06;
    odd = odd * square - 0.00019840074665737465;
    odd = odd * square + 0.0083333318523109729;
    odd = odd * square - 0.16666666663797544;
    odd = rest * (1.0 + square * odd); /* a zero keeps its sign */
    double even = -2.7299656316022867e-07;
    even = even * square + 2.4800590303711416e-05;
    even = even * square - 0.0013888887653322967;
    even = even * square + 0.04166666666427301;
    even = 1.0 + square * (square * even - 0.5);
    double value = (quarters & 1) != 0 ? even : odd;
    return (float)((quarters & 2) != 0 ? -value : value);
}

/* Large numbers, infinities and NaN one by one, by the library. */
#define TURN(name, quarters, function)                                                                 \
    static void name(void *out, const void *a, const void *b, const void *c, size_t count) {           \
        enum { PIECE = 64 };                                                                           \
        (void)b;                                                                                       \
        (void)c;                                                                                       \
        for (size_t begin = 0; begin < count; begin += PIECE) {                                        \
            size_t piece = count - begin < PIECE ? count - begin : PIECE;                              \
            float values[PIECE], *result = (float *)out + begin;                                       \
            memcpy(values, (const float *)a + begin, piece * sizeof(float));                           \
            uint32_t largest = 0;                                                                      \
            INDEPENDENT for (size_t i = 0; i < piece; i++) {                                           \
                uint32_t magnitude = bits_of_float(values[i]) & 0x7fffffffu;                           \
                largest = magnitude > largest ? magnitude : largest;                                   \
                result[i] = sin_of_quarters(values[i], quarters);                                      \
            }                                                                                          \
            for (size_t i = 0; largest >= bits_of_float(TURNS_LIMIT) && i < piece; i++) {              \
                if (!(fabsf(values[i]) < TURNS_LIMIT)) result[i] = (float)function((double)values[i]); \
            }                                                                                          \
        }                                                                                              \
    }

static inline double multiply_add_double(double x, double y, double z) {
#if defined(__FMA__) || defined(__aarch64__)
    return __builtin_fma(x, y, z);
#else
    return x * y + z;
#endif
}

/* The logarithm to the base 2 of a float that is not negative, as a double with 34 correct bits, close to 1 too. */
static inline double log2_of(float x) {
    int is_small = x < 0x1p-126f;
    float normal = is_small ? x * 0x1p23f : x;
    uint32_t shifted = bits_of_float(normal) - 0x3f3504f3u;
    double exponent = (double)(((int32_t)shifted >> 23) - (is_small ? 23 : 0));
    double rest = (double)float_of_bits((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0;
    /* ln(1 + rest) = 2 (s + s^3 / 3 + s^5 / 5 + ...) */
    double s = rest / (rest + 2.0), square = s * s;
    double polynomial = 1.0 / 11;
    polynomial = multiply_add_double(polynomial, square, 1.0 / 9);
    polynomial = multiply_add_double(polynomial, square, 1.0 / 7);
    polynomial = multiply_add_double(polynomial, square, 1.0 / 5);
    polynomial = multiply_add_double(polynomial, square, 1.0 / 3);
    polynomial = multiply_add_double(polynomial, square, 1.0);
    double result = multiply_add_double(polynomial * s, 0x1.71547652b82fep+1, exponent);
    result = x == 0 ? -(double)INFINITY : result;
    return x < INFINITY ? result : (double)x;
}

/* 2^x for -300 <= x <= 300, or NaN, with 32 correct bits. */
static inline double exp2_of(double x) {
    double shifted = x + 0x1.8p52;
    double rest = (x - (shifted - 0x1.8p52)) * 0x1.62e42fefa39efp-1;
    double polynomial = 1.0 / 40320;
    polynomial = multiply_add_double(polynomial, rest, 1.0 / 5040);
    polynomial = multiply_add_double(polynomial, rest, 1.0 / 720);
    polynomial = multiply_add_double(polynomial, rest, 1.0 / 120);
    polynomial = multiply_add_double(polynomial, rest, 1.0 / 24);
    polynomial = multiply_add_double(polynomial, rest, 1.0 / 6);
    polynomial = multiply_add_double(polynomial, rest, 0.5);
    polynomial = multiply_add_double(polynomial, rest, 1.0);
    polynomial = multiply_add_double(polynomial, rest, 1.0);
    uint64_t scale = (bits_of_double(shifted) + 1023) << 52;
    double power;
    memcpy(&power, &scale, sizeof power);
    return polynomial * power;
}

/* As C has it: 1 for x = 1 and for y = 0, whatever the other is; a negative x has a power only for a whole y, negative where that is odd. */
static inline float power_of(float x, float y) {
    float magnitude = float_of_bits(bits_of_float(x) & 0x7fffffffu);
    float exponent = float_of_bits(bits_of_float(y) & 0x7fffffffu);
    double product = (double)y * log2_of(magnitude);
    product = magnitude == 1 ? 0.0 : product;
    product = y == 0 ? 0.0 : product;
    product = product > 300 ? 300 : product;
    product = product < -300 ? -300 : product;
    float result = (float)exp2_of(product);
    /* From 2^24 on all are even. */
    float small = float_of_bits(bits_of_float(exponent) & (0u - (uint32_t)(exponent < 0x1p24f)));
    int32_t whole = (int32_t)small;
    /* A number for whole exponents only, where x is one that is below 0. */
    float otherwise = x < 0 ? NAN : result;
    otherwise = magnitude < INFINITY ? otherwise : result;
    uint32_t sign = bits_of_float(x) & (uint32_t)whole << 31;
    float signed_result = float_of_bits(bits_of_float(result) | sign);
    result = (float)whole == small ? signed_result : otherwise;
    return y == y ? result : otherwise;
}

/* What the sum and the quotient lose is kept, so that the error is that of the exponential, little more than once. */
static inline double sigmoid_double(double x) {
    double power = exp(x > 0 ? -x : x), below = 1.0 + power, lost = power - (below - 1.0);
    double above = x > 0 ? 1.0 : power, quotient = above / below;
    return quotient + fma(-quotient, lost, fma(-quotient, below, above)) / below;
}

UNARY(exp_f32, float, exp_float)
UNARY(log_f32, float, log_float)
UNARY(sigmoid_f32, float, sigmoid_float)
UNARY(tanh_f32, float, tanh_float)
TURN(sin_f32, 0, sin)
TURN(cos_f32, 1, cos)
UNARY(exp_f64, double, exp)
UNARY(log_f64, double, log)
UNARY(sin_f64, double, sin)
UNARY(cos_f64, double, cos)
UNARY(sigmoid_f64, double, sigmoid_double)
UNARY(tanh_f64, double, tanh)

static void pow_f32(void *out, const void *a, const void *b, const void *c, size_t count) {
    (void)c;
    const float *first = a, *second = b;
    INDEPENDENT for (size_t i = 0; i < count; i++)((float *)out)[i] = power_of(first[i], second[i]);
}

static void pow_f64(void *out, const void *a, const void *b, const void *c, size_t count) {
    (void)c;
    const double *first = a, *second = b;
    for (size_t i = 0; i < count; i++) ((double *)out)[i] = pow(first[i], second[i]);
}

const cpu_step_table AT_LEVEL(cpu_functions) = {
    [TARN_OPERATION_EXP] = {[CPU_LANE_F32] = exp_f32, [CPU_LANE_F64] = exp_f64},
    [TARN_OPERATION_LOG] = {[CPU_LANE_F32] = log_f32, [CPU_LANE_F64] = log_f64},
    [TARN_OPERATION_SIN] = {[CPU_LANE_F32] = sin_f32, [CPU_LANE_F64] = sin_f64},
    [TARN_OPERATION_COS] = {[CPU_LANE_F32] = cos_f32, [CPU_LANE_F64] = cos_f64},
    [TARN_OPERATION_SIGMOID] = {[CPU_LANE_F32] = sigmoid_f32, [CPU_LANE_F64] = sigmoid_f64},
    [TARN_OPERATION_TANH] = {[CPU_LANE_F32] = tanh_f32, [CPU_LANE_F64] = tanh_f64},
    [TARN_OPERATION_POW] = {[CPU_LANE_F32] = pow_f32, [CPU_LANE_F64] = pow_f64},
};
