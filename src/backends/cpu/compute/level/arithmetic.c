/* Steps that are a few instructions: arithmetic, comparisons, selections, and random numbers.
 *
 * Integers wrap around, which C allows for unsigned ones alone; they are computed as such. Extremes and RELU keep a NaN, whichever
 * operand it is in, by being written as the comparison that is false for it. */
#include "backends/cpu/compute/level/level.h"

/* Defines the kernel `name`: out[i], an `out_type`, is the expression of x and y, elements of the first and second operand. */
#define UNARY(name, type, expression)                                                        \
    static void name(void *out, const void *a, const void *b, const void *c, size_t count) { \
        (void)b;                                                                             \
        (void)c;                                                                             \
        const type *first = a;                                                               \
        INDEPENDENT for (size_t i = 0; i < count; i++) {                                     \
            type x = first[i];                                                               \
            ((type *)out)[i] = (type)(expression);                                           \
        }                                                                                    \
    }
#define BINARY(name, type, out_type, expression)                                             \
    static void name(void *out, const void *a, const void *b, const void *c, size_t count) { \
        (void)c;                                                                             \
        const type *first = a, *second = b;                                                  \
        INDEPENDENT for (size_t i = 0; i < count; i++) {                                     \
            type x = first[i], y = second[i];                                                \
            ((out_type *)out)[i] = (out_type)(expression);                                   \
        }                                                                                    \
    }
#define SELECT(name, type)                                                                   \
    static void name(void *out, const void *a, const void *b, const void *c, size_t count) { \
        const int32_t *condition = a;                                                        \
        const type *first = b, *second = c;                                                  \
        INDEPENDENT for (size_t i = 0; i < count; i++) {                                     \
            type x = first[i], y = second[i];                                                \
            ((type *)out)[i] = condition[i] != 0 ? x : y;                                    \
        }                                                                                    \
    }

/* Two steps in one pass; -ffp-contract=off keeps both roundings. */
#define MULTIPLY_ADD(name, type)                                                             \
    static void name(void *out, const void *a, const void *b, const void *c, size_t count) { \
        const type *first = a, *second = b, *third = c;                                      \
        INDEPENDENT for (size_t i = 0; i < count; i++) {                                     \
            type product = first[i] * second[i];                                             \
            ((type *)out)[i] = product + third[i];                                           \
        }                                                                                    \
    }

#define ROWS_OF_FLOATS(suffix, type, root)                        \
    UNARY(neg_##suffix, type, -x)                                 \
    UNARY(sqrt_##suffix, type, root(x))                           \
    UNARY(relu_##suffix, type, x < 0 ? 0 : x)                     \
    BINARY(add_##suffix, type, type, x + y)                       \
    BINARY(subtract_##suffix, type, type, x - y)                  \
    BINARY(multiply_##suffix, type, type, x *y)                   \
    BINARY(divide_##suffix, type, type, x / y)                    \
    BINARY(maximum_##suffix, type, type, x > y || x != x ? x : y) \
    BINARY(minimum_##suffix, type, type, x < y || x != x ? x : y) \
    BINARY(equal_##suffix, type, int32_t, x == y)                 \
    BINARY(less_##suffix, type, int32_t, x < y)                   \
    BINARY(less_equal_##suffix, type, int32_t, x <= y)            \
    SELECT(select_##suffix, type)

/* A quotient is truncated; by 0 it is 0; the least number by -1 is itself. */
#define ROWS_OF_INTEGERS(suffix, type, natural)                                                         \
    UNARY(neg_##suffix, type, (natural)0 - (natural)x)                                                  \
    UNARY(relu_##suffix, type, x < 0 ? 0 : x)                                                           \
    BINARY(add_##suffix, type, type, (natural)x + (natural)y)                                           \
    BINARY(subtract_##suffix, type, type, (natural)x - (natural)y)                                      \
    BINARY(multiply_##suffix, type, type, (natural)x *(natural)y)                                       \
    BINARY(divide_##suffix, type, type, y == 0 ? 0 : y == -1 ? (type)((natural)0 - (natural)x) : x / y) \
    BINARY(pow_##suffix, type, type, power((uint64_t)(int64_t)x, y))                                    \
    BINARY(maximum_##suffix, type, type, x > y ? x : y)                                                 \
    BINARY(minimum_##suffix, type, type, x < y ? x : y)                                                 \
    BINARY(equal_##suffix, type, int32_t, x == y)                                                       \
    BINARY(less_##suffix, type, int32_t, x < y)                                                         \
    BINARY(less_equal_##suffix, type, int32_t, x <= y)                                                  \
    SELECT(select_##suffix, type)

/* In 64 bits, to which a narrower base was extended with its sign: the lower bits are those of the narrower power. */
static uint64_t power(uint64_t base, int64_t exponent) {
    if (exponent < 0) {
        if (base == 1) return 1;
        if (base == UINT64_MAX) return exponent % 2 != 0 ? base : 1; /* -1 */
        return 0;
    }
    uint64_t result = 1;
    for (uint64_t left = (uint64_t)exponent; left != 0; left >>= 1) {
        if ((left & 1) != 0) result *= base;
        base *= base;
    }
    return result;
}

ROWS_OF_FLOATS(f32, float, __builtin_sqrtf)
ROWS_OF_FLOATS(f64, double, __builtin_sqrt)
ROWS_OF_INTEGERS(i32, int32_t, uint32_t)
ROWS_OF_INTEGERS(i64, int64_t, uint64_t)

MULTIPLY_ADD(multiply_add_f32, float)
MULTIPLY_ADD(multiply_add_f64, double)

cpu_kernel *const AT_LEVEL(cpu_multiply_adds)[CPU_LANE_COUNT] = {
    [CPU_LANE_F32] = multiply_add_f32, [CPU_LANE_F64] = multiply_add_f64};

/* Philox 4x32 with 10 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): the first two words, the first in the
 * upper half. */
static inline uint64_t philox(uint64_t seed, uint64_t number) {
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t word0 = (uint32_t)number, word1 = (uint32_t)(number >> 32), word2 = 0, word3 = 0;
    for (int round = 0; round < 10; round++) {
        uint64_t product0 = (uint64_t)0xD2511F53u * word0;
        uint64_t product1 = (uint64_t)0xCD9E8D57u * word2;
        word0 = (uint32_t)(product1 >> 32) ^ word1 ^ key0;
        word1 = (uint32_t)product1;
        word2 = (uint32_t)(product0 >> 32) ^ word3 ^ key1;
        word3 = (uint32_t)product0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return (uint64_t)word0 << 32 | word1;
}

BINARY(random_words, int64_t, uint64_t, philox((uint64_t)x, (uint64_t)y))

/* The words of a piece first, so that turning them into floats is a loop without narrow and wide lanes side by side. */
#define RANDOM(name, type, expression)                                                             \
    static void name(void *out, const void *a, const void *b, const void *c, size_t count) {       \
        enum { PIECE = 64 };                                                                       \
        uint64_t words[PIECE];                                                                     \
        for (size_t begin = 0; begin < count; begin += PIECE) {                                    \
            size_t piece = count - begin < PIECE ? count - begin : PIECE;                          \
            random_words(words, (const int64_t *)a + begin, (const int64_t *)b + begin, c, piece); \
            for (size_t i = 0; i < piece; i++) ((type *)out)[begin + i] = (expression);            \
        }                                                                                          \
    }

RANDOM(random_f32, float, (float)(int32_t)(words[i] >> 40) * 0x1p-24f)
RANDOM(random_f64, double, (double)(int64_t)(words[i] >> 11) * 0x1p-53)

#define ROW_OF_ALL(name) \
    [CPU_LANE_F32] = name##_f32, [CPU_LANE_F64] = name##_f64, [CPU_LANE_I32] = name##_i32, [CPU_LANE_I64] = name##_i64

const cpu_step_table AT_LEVEL(cpu_arithmetic) = {
    [TARN_OPERATION_NEG] = {ROW_OF_ALL(neg)},
    [TARN_OPERATION_SQRT] = {[CPU_LANE_F32] = sqrt_f32, [CPU_LANE_F64] = sqrt_f64},
    [TARN_OPERATION_RELU] = {ROW_OF_ALL(relu)},
    [TARN_OPERATION_ADD] = {ROW_OF_ALL(add)},
    [TARN_OPERATION_SUBTRACT] = {ROW_OF_ALL(subtract)},
    [TARN_OPERATION_MULTIPLY] = {ROW_OF_ALL(multiply)},
    [TARN_OPERATION_DIVIDE] = {ROW_OF_ALL(divide)},
    [TARN_OPERATION_POW] = {[CPU_LANE_I32] = pow_i32, [CPU_LANE_I64] = pow_i64},
    [TARN_OPERATION_MAXIMUM] = {ROW_OF_ALL(maximum)},
    [TARN_OPERATION_MINIMUM] = {ROW_OF_ALL(minimum)},
    [TARN_OPERATION_EQUAL] = {ROW_OF_ALL(equal)},
    [TARN_OPERATION_LESS] = {ROW_OF_ALL(less)},
    [TARN_OPERATION_LESS_EQUAL] = {ROW_OF_ALL(less_equal)},
    [TARN_OPERATION_RANDOM] = {[CPU_LANE_F32] = random_f32, [CPU_LANE_F64] = random_f64},
    [TARN_OPERATION_SELECT] = {ROW_OF_ALL(select)},
};
