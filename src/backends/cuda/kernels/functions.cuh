/* The functions that steps of programs compute, on lanes.
 *
 * EXP, LOG, SQRT, SIN, COS, TANH and POW are CUDA's, whose errors its manual gives: up to 2 units in the last place, but 4 for powf, which
 * is not used. SIGMOID is Tarn's own, within 2 units whatever CUDA's exponential does. Nothing here may be compiled with fast mathematics. */
#ifndef CUDA_KERNELS_FUNCTIONS_CUH
#define CUDA_KERNELS_FUNCTIONS_CUH

#include "elements.cuh"

/* As in tarn_operation. */
enum {
    DO_COPY,
    DO_NEG,
    DO_EXP,
    DO_LOG,
    DO_SQRT,
    DO_SIN,
    DO_COS,
    DO_RELU,
    DO_SIGMOID,
    DO_TANH,
    DO_ADD,
    DO_SUBTRACT,
    DO_MULTIPLY,
    DO_DIVIDE,
    DO_POW,
    DO_MAXIMUM,
    DO_MINIMUM,
    DO_EQUAL,
    DO_LESS,
    DO_LESS_EQUAL,
    DO_RANDOM,
    DO_SELECT,
    DO_SUM,
    DO_MEAN,
    DO_PROD,
    DO_MAX,
    DO_MIN
};

/* 1 / (1 + e), or e / (1 + e) for a negative x, with e = exp(-|x|) = scale * (1 + p), where p is a polynomial's and no function of CUDA's, so that
 * what it errs by follows from rounding alone. Where e is a little above a power of two and the quotient a little below it, an error of e would
 * count twice: so 1 + p is divided, the scale comes last, and what the sum loses is kept. From the limit on the answer is 1 or 0. */
template <class Lane> struct sigmoid_of;
template <> struct sigmoid_of<float> {
    static DEVICE float limit() { return 104.0f; }
    static DEVICE float log2e() { return 0x1.715476p+0f; }
    static DEVICE float ln2() { return 0x1.62e43p-1f; }
    static DEVICE float ln2_rest() { return -0x1.05c61p-29f; }
    static DEVICE float fused(float x, float y, float z) { return fmaf(x, y, z); }
    static DEVICE float nearest(float x) { return rintf(x); }
    static DEVICE float magnitude(float x) { return fabsf(x); }
    static const int least = -126;
    static DEVICE float two_to(int power) { return __uint_as_float((uint32)(power + 127) << 23); }
    static DEVICE float tail(float r) { /* (exp(r) - 1 - r) / r^2 */
        float p = fmaf(1.0f / 5040, r, 1.0f / 720);
        p = fmaf(p, r, 1.0f / 120);
        p = fmaf(p, r, 1.0f / 24);
        p = fmaf(p, r, 1.0f / 6);
        return fmaf(p, r, 0.5f);
    }
};
template <> struct sigmoid_of<double> {
    static DEVICE double limit() { return 746.0; }
    static DEVICE double log2e() { return 0x1.71547652b82fep+0; }
    static DEVICE double ln2() { return 0x1.62e42fefa39efp-1; }
    static DEVICE double ln2_rest() { return 0x1.abc9e3b39803fp-56; }
    static DEVICE double fused(double x, double y, double z) { return fma(x, y, z); }
    static DEVICE double nearest(double x) { return rint(x); }
    static DEVICE double magnitude(double x) { return fabs(x); }
    static const int least = -1022;
    static DEVICE double two_to(int power) { return __longlong_as_double((int64)(power + 1023) << 52); }
    static DEVICE double tail(double r) {
        double p = fma(1.0 / 6227020800, r, 1.0 / 479001600);
        p = fma(p, r, 1.0 / 39916800);
        p = fma(p, r, 1.0 / 3628800);
        p = fma(p, r, 1.0 / 362880);
        p = fma(p, r, 1.0 / 40320);
        p = fma(p, r, 1.0 / 5040);
        p = fma(p, r, 1.0 / 720);
        p = fma(p, r, 1.0 / 120);
        p = fma(p, r, 1.0 / 24);
        p = fma(p, r, 1.0 / 6);
        return fma(p, r, 0.5);
    }
};
template <class Lane> DEVICE Lane compute_sigmoid(Lane x) {
    typedef sigmoid_of<Lane> of;
    const Lane one = 1, size = of::magnitude(x), z = size < of::limit() ? size : of::limit();
    const Lane n = of::nearest(z * -of::log2e());
    const Lane r = of::fused(n, -of::ln2_rest(), of::fused(n, -of::ln2(), -z));
    const Lane p = of::fused(of::tail(r) * r, r, r);
    const int power = (int)n;
    const Lane scale = of::two_to(power > of::least ? power : of::least);
    const Lane whole = one + scale, part = scale * p, below = whole + part;
    const Lane lost = (part - (below - whole)) + (scale - (whole - one));
    const Lane above = x > 0 ? one : one + p;
    Lane quotient = above / below;
    quotient += of::fused(-quotient, lost, of::fused(-quotient, below, above)) / below;
    /* In two steps, since the power itself may be below the least that a float has. */
    const int left = x > 0 ? 0 : power, half = left / 2;
    quotient = quotient * of::two_to(half) * of::two_to(left - half);
    return x != x ? x : quotient;
}

DEVICE float compute_exp(float x) { return expf(x); }
DEVICE double compute_exp(double x) { return exp(x); }
DEVICE float compute_log(float x) { return logf(x); }
DEVICE double compute_log(double x) { return log(x); }
DEVICE float compute_sqrt(float x) { return sqrtf(x); }
DEVICE double compute_sqrt(double x) { return sqrt(x); }
DEVICE float compute_sin(float x) { return sinf(x); }
DEVICE double compute_sin(double x) { return sin(x); }
DEVICE float compute_cos(float x) { return cosf(x); }
DEVICE double compute_cos(double x) { return cos(x); }
DEVICE float compute_tanh(float x) { return tanhf(x); }
DEVICE double compute_tanh(double x) { return tanh(x); }

DEVICE float compute_neg(float x) { return -x; }
DEVICE double compute_neg(double x) { return -x; }
DEVICE float compute_add(float x, float y) { return x + y; }
DEVICE double compute_add(double x, double y) { return x + y; }
DEVICE float compute_subtract(float x, float y) { return x - y; }
DEVICE double compute_subtract(double x, double y) { return x - y; }
DEVICE float compute_multiply(float x, float y) { return x * y; }
DEVICE double compute_multiply(double x, double y) { return x * y; }
DEVICE float compute_divide(float x, float y) { return x / y; }
DEVICE double compute_divide(double x, double y) { return x / y; }
/* powf may be 4 units off. */
DEVICE float compute_pow(float x, float y) { return (float)pow((double)x, (double)y); }
DEVICE double compute_pow(double x, double y) { return pow(x, y); }

/* Integers wrap around, as unsigned ones do. */
#define WRAPPING(lane, unsigned_lane)                                                                                     \
    DEVICE lane compute_neg(lane x) { return (lane)(0 - (unsigned_lane)x); }                                              \
    DEVICE lane compute_add(lane x, lane y) { return (lane)((unsigned_lane)x + (unsigned_lane)y); }                       \
    DEVICE lane compute_subtract(lane x, lane y) { return (lane)((unsigned_lane)x - (unsigned_lane)y); }                  \
    DEVICE lane compute_multiply(lane x, lane y) { return (lane)((unsigned_lane)x * (unsigned_lane)y); }                  \
    DEVICE lane compute_divide(lane x, lane y) { return y == 0 ? 0 : y == -1 ? compute_neg(x) : x / y; }                  \
    DEVICE lane compute_pow(lane x, lane y) {                                                                             \
        if (y < 0) return x == 1 ? 1 : x == -1 ? ((y & 1) != 0 ? -1 : 1) : 0;                                             \
        unsigned_lane power = 1, base = (unsigned_lane)x;                                                                 \
        for (unsigned_lane left = (unsigned_lane)y; left != 0; left >>= 1) {                                              \
            if ((left & 1) != 0) power *= base;                                                                           \
            base *= base;                                                                                                 \
        }                                                                                                                 \
        return (lane)power;                                                                                               \
    }
WRAPPING(int, uint32)
WRAPPING(int64, uint64)
#undef WRAPPING

/* NaN where one of them is. */
template <class Lane> DEVICE Lane compute_maximum(Lane x, Lane y) { return x != x || x > y ? x : y; }
template <class Lane> DEVICE Lane compute_minimum(Lane x, Lane y) { return x != x || x < y ? x : y; }
template <class Lane> DEVICE Lane compute_relu(Lane x) { return x > 0 || x != x ? x : 0; }
template <class Lane> DEVICE int compute_equal(Lane x, Lane y) { return x == y; }
template <class Lane> DEVICE int compute_less(Lane x, Lane y) { return x < y; }
template <class Lane> DEVICE int compute_less_equal(Lane x, Lane y) { return x <= y; }

template <class Lane> DEVICE Lane choose(int is_first, Lane first, Lane second) { return is_first != 0 ? first : second; }

/* The first two words of Philox 4x32-10, the first in the upper half (Salmon and others, "Parallel random numbers: as easy as 1, 2, 3", 2011). */
DEVICE uint64 philox(uint64 seed, uint64 number) {
    uint32 counter[4] = {(uint32)number, (uint32)(number >> 32), 0, 0};
    uint32 key[2] = {(uint32)seed, (uint32)(seed >> 32)};
    for (int round = 0; round < 10; round++) {
        uint64 first = (uint64)0xd2511f53u * counter[0], second = (uint64)0xcd9e8d57u * counter[2];
        uint32 next[4] = {(uint32)(second >> 32) ^ counter[1] ^ key[0], (uint32)second,
                          (uint32)(first >> 32) ^ counter[3] ^ key[1], (uint32)first};
        for (int i = 0; i < 4; i++) counter[i] = next[i];
        key[0] += 0x9e3779b9u;
        key[1] += 0xbb67ae85u;
    }
    return (uint64)counter[0] << 32 | counter[1];
}
DEVICE float random_float(int64 seed, int64 number) {
    return (float)(philox((uint64)seed, (uint64)number) >> 40) * 0x1p-24f;
}
DEVICE double random_double(int64 seed, int64 number) {
    return (double)(philox((uint64)seed, (uint64)number) >> 11) * 0x1p-53;
}

/* The activations of products and convolutions. */
template <class Lane> DEVICE_CALLED Lane activate(Lane x, uint32 activation) {
    switch (activation) {
    case DO_RELU: return compute_relu(x);
    case DO_SIGMOID: return compute_sigmoid(x);
    case DO_TANH: return compute_tanh(x);
    default: return x;
    }
}

#endif
