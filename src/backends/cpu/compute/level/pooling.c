/* The greater of two rows, element by element, for each type. */
#include "backends/cpu/compute/level/level.h"

/* NOLINTBEGIN(bugprone-macro-parentheses): `type` is one */
#define DEFINE_GREATER(name, type, wins)                                                                         \
    static void name(const void *source, int64_t stride, size_t count, void *inout_greatest) {                   \
        const type *from = source;                                                                               \
        type *greatest = inout_greatest;                                                                         \
        ptrdiff_t step = (ptrdiff_t)stride;                                                                      \
        if (step == 1) {                                                                                         \
            for (size_t i = 0; i < count; i++) greatest[i] = wins(from[i], greatest[i]) ? from[i] : greatest[i]; \
            return;                                                                                              \
        }                                                                                                        \
        for (size_t i = 0; i < count; i++) {                                                                     \
            type value = from[(ptrdiff_t)i * step];                                                              \
            greatest[i] = wins(value, greatest[i]) ? value : greatest[i];                                        \
        }                                                                                                        \
    }

/* NOLINTEND(bugprone-macro-parentheses) */

/* Floats of 16 bits have the order of their bits, as integers with a sign; NaN, whose bits are above those of infinity, is put first. */
static inline int32_t half_rank(uint16_t bits, int32_t infinity) {
    int32_t magnitude = bits & 0x7fff;
    int32_t rank = (bits & 0x8000) != 0 ? -magnitude : magnitude;
    return magnitude > infinity ? 0x8000 : rank;
}

#define INTEGER_WINS(a, b) ((a) > (b))
#define FLOAT_WINS(a, b) (((a) > (b)) | ((a) != (a)))
#define F16_WINS(a, b) (half_rank(a, 0x7c00) > half_rank(b, 0x7c00))
#define BF16_WINS(a, b) (half_rank(a, 0x7f80) > half_rank(b, 0x7f80))

DEFINE_GREATER(greater_f32, float, FLOAT_WINS)
DEFINE_GREATER(greater_f16, uint16_t, F16_WINS)
DEFINE_GREATER(greater_bf16, uint16_t, BF16_WINS)
DEFINE_GREATER(greater_f64, double, FLOAT_WINS)
DEFINE_GREATER(greater_i8, int8_t, INTEGER_WINS)
DEFINE_GREATER(greater_u8, uint8_t, INTEGER_WINS)
DEFINE_GREATER(greater_i16, int16_t, INTEGER_WINS)
DEFINE_GREATER(greater_i32, int32_t, INTEGER_WINS)
DEFINE_GREATER(greater_i64, int64_t, INTEGER_WINS)

const cpu_pooling AT_LEVEL(cpu_pooling) = {
    .greater = {[TARN_ELEMENT_F32] = greater_f32,
                [TARN_ELEMENT_F16] = greater_f16,
                [TARN_ELEMENT_BF16] = greater_bf16,
                [TARN_ELEMENT_F64] = greater_f64,
                [TARN_ELEMENT_I8] = greater_i8,
                [TARN_ELEMENT_U8] = greater_u8,
                [TARN_ELEMENT_I16] = greater_i16,
                [TARN_ELEMENT_I32] = greater_i32,
                [TARN_ELEMENT_I64] = greater_i64},
};
