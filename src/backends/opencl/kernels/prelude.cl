/* What every kernel begins with: for each element type x, s_x as it is stored, v_x as it is computed, load_x and store_x; arithmetic of
 * integers as C leaves it undefined; random numbers; sums that carry their rounding errors along. */
#pragma OPENCL FP_CONTRACT OFF
#ifdef HAS_F64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif

typedef float v_f32, s_f32, v_f16, v_bf16;
typedef ushort s_f16, s_bf16;
typedef char v_i8, s_i8;
typedef uchar v_u8, s_u8, v_bool, s_bool;
typedef short v_i16, s_i16;
typedef int v_i32, s_i32;
typedef long v_i64, s_i64;
#ifdef HAS_F64
typedef double v_f64, s_f64;
#define load_f64(place) (*(place))
#define store_f64(value, place) (*(place) = (value))
#endif

#define load_f32(place) (*(place))
#define load_i8(place) (*(place))
#define load_u8(place) (*(place))
#define load_i16(place) (*(place))
#define load_i32(place) (*(place))
#define load_i64(place) (*(place))
#define load_bool(place) (*(place))
#define store_f32(value, place) (*(place) = (value))
#define store_i8(value, place) (*(place) = (value))
#define store_u8(value, place) (*(place) = (value))
#define store_i16(value, place) (*(place) = (value))
#define store_i32(value, place) (*(place) = (value))
#define store_i64(value, place) (*(place) = (value))
#define store_bool(value, place) (*(place) = (value))

static float load_f16(global const ushort *place) { return vload_half(0, (global const half *)place); }
static void store_f16(float value, global ushort *place) { vstore_half_rte(value, 0, (global half *)place); }
static float round_f16(float value) {
    ushort bits;
    vstore_half_rte(value, 0, (half *)&bits);
    return vload_half(0, (const half *)&bits);
}

/* The upper half of an F32, rounded to the nearest, of two to the even one. */
static ushort bits_bf16(float value) {
    uint bits = as_uint(value);
    uint rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (ushort)(value != value ? (bits >> 16) | 0x40u : rounded);
}
static float load_bf16(global const ushort *place) { return as_float((uint)*place << 16); }
static void store_bf16(float value, global ushort *place) { *place = bits_bf16(value); }
static float round_bf16(float value) { return as_float((uint)bits_bf16(value) << 16); }

static long divide_integers(long a, long b) { return b == 0 ? 0 : b == -1 ? (long)(0 - (ulong)a) : a / b; }

static long power_of_integers(long base, long exponent) {
    if (exponent < 0) return base == 1 ? 1 : base == -1 ? ((exponent & 1) != 0 ? -1 : 1) : 0;
    ulong power = 1, factor = (ulong)base;
    for (; exponent > 0; exponent >>= 1) {
        if ((exponent & 1) != 0) power *= factor;
        factor *= factor;
    }
    return (long)power;
}

#define relu_of(x) ((x) > 0 || (x) != (x) ? (x) : 0)

/* 1 / (1 + e), or e / (1 + e) for a negative x, with e = exp(-|x|) = scale * (1 + p). Where e is a little above a power of two and the quotient a
 * little below it, an error of e would count twice: so 1 + p is divided, the scale comes last, and what the sum loses is kept. Of type T, one or
 * several of the floats F, with integers I as long; from the limit on the answer is 1 or 0. */
#define float_limit 104.0f
#define float_bias 127
#define float_digits 23
#define float_log2e 0x1.715476p+0f
#define float_ln2 0x1.62e43p-1f
#define float_ln2_rest -0x1.05c61p-29f
#define float_terms(t) t(1.0f / 5040) t(1.0f / 720) t(1.0f / 120) t(1.0f / 24) t(1.0f / 6) t(1.0f / 2)
#define double_limit 746.0
#define double_bias 1023L
#define double_digits 52L
#define double_log2e 0x1.71547652b82fep+0
#define double_ln2 0x1.62e42fefa39efp-1
#define double_ln2_rest 0x1.abc9e3b39803fp-56
#define double_terms(t) \
    t(1.0 / 6227020800) t(1.0 / 479001600) t(1.0 / 39916800) t(1.0 / 3628800) t(1.0 / 362880) \
    t(1.0 / 40320) t(1.0 / 5040) t(1.0 / 720) t(1.0 / 120) t(1.0 / 24) t(1.0 / 6) t(1.0 / 2)
#define horner(c) p = fma(p, r, (type_)(c));
#define two_to(n, T, F) as_##T(((n) + F##_bias) << F##_digits)
#define DEFINE_SIGMOID(NAME, T, F, I)                                          \
    static T NAME(T x) {                                                              \
        typedef T type_;                                                       \
        const T one = 1, z = fmin(fabs(x), (T)F##_limit);                      \
        const T n = rint(z * -F##_log2e);                                      \
        const T r = fma(n, (T)-F##_ln2_rest, fma(n, (T)-F##_ln2, -z));         \
        const I power = convert_##I(n);                                        \
        T p = 0;                                                               \
        F##_terms(horner) p = fma(p * r, r, r);                                \
        const T scale = two_to(max(power, (I)(1 - F##_bias)), T, F);           \
        const T whole = one + scale, part = scale * p, below = whole + part;   \
        const T lost = (part - (below - whole)) + (scale - (whole - one));     \
        const T above = x > 0 ? one : one + p;                                 \
        T quotient = above / below;                                            \
        quotient += fma(-quotient, lost, fma(-quotient, below, above)) / below; \
        const I left = x > 0 ? (I)0 : power, half_ = left >> 1;                \
        quotient = quotient * two_to(half_, T, F) * two_to(left - half_, T, F); \
        return x != x ? x : quotient;                                          \
    }
DEFINE_SIGMOID(sigmoid_float, float, float, int)
#ifdef HAS_F64
DEFINE_SIGMOID(sigmoid_double, double, double, long)
#endif
#define sigmoid_named(F) sigmoid_##F
#define sigmoid_of(F, x) sigmoid_named(F)(x)

/* Philox 4x32-10: the first two words. */
static uint2 philox(ulong seed, ulong number) {
    uint4 c = (uint4)((uint)number, (uint)(number >> 32), 0, 0);
    uint2 k = (uint2)((uint)seed, (uint)(seed >> 32));
    for (int i = 0; i < 10; i++) {
        uint high0 = mul_hi(0xD2511F53u, c.x), low0 = 0xD2511F53u * c.x;
        uint high1 = mul_hi(0xCD9E8D57u, c.z), low1 = 0xCD9E8D57u * c.z;
        c = (uint4)(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
        k += (uint2)(0x9E3779B9u, 0xBB67AE85u);
    }
    return c.xy;
}
static float random_f32(long seed, long number) { return (float)(philox((ulong)seed, (ulong)number).x >> 8) * 0x1p-24f; }
#ifdef HAS_F64
static double random_f64(long seed, long number) {
    uint2 words = philox((ulong)seed, (ulong)number);
    return (double)(((ulong)words.x << 32 | words.y) >> 11) * 0x1p-53;
}
#endif

/* A sum and what was lost in it by rounding: sum + rest is nearly exact. An infinite sum has no rest worth adding. */
#define DEFINE_SUM(T)                                                                              \
    typedef struct sum_##T {                                                                       \
        T sum, rest;                                                                               \
    } sum_##T;                                                                                     \
    static sum_##T sum_add_##T(sum_##T a, T x) {                                                          \
        T sum = a.sum + x, back = sum - a.sum;                                                     \
        a.rest += (a.sum - (sum - back)) + (x - back);                                             \
        a.sum = sum;                                                                               \
        return a;                                                                                  \
    }                                                                                              \
    static sum_##T sum_join_##T(sum_##T a, sum_##T b) {                                                   \
        a = sum_add_##T(a, b.sum);                                                                 \
        a.rest += b.rest;                                                                          \
        return a;                                                                                  \
    }                                                                                              \
    static T sum_of_##T(sum_##T a) { return isfinite(a.sum) && isfinite(a.rest) ? a.sum + a.rest : a.sum; }
DEFINE_SUM(float)
#ifdef HAS_F64
DEFINE_SUM(double)
#endif

/* NaN wins. */
#define greater_of(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))
#define less_of(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))
