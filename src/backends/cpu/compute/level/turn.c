/* Turning rectangles of elements, so that what lies along rows lies along columns.
 *
 * A square as wide as a vector is turned in registers: as often as its side can be halved, each vector of its upper half is interleaved with
 * the one as far down in the lower half. The last squares of a row or column overlap those before them. */
#include "backends/cpu/compute/level/level.h"

#define VECTOR_SIZE 16

typedef uint8_t bytes __attribute__((vector_size(VECTOR_SIZE)));
typedef uint16_t pairs __attribute__((vector_size(VECTOR_SIZE)));
typedef uint32_t fours __attribute__((vector_size(VECTOR_SIZE)));
typedef uint64_t eights __attribute__((vector_size(VECTOR_SIZE)));

#define LOW_1(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH_1(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW_2(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_2(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW_4(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH_4(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LOW_8(a, b) __builtin_shufflevector(a, b, 0, 2)
#define HIGH_8(a, b) __builtin_shufflevector(a, b, 1, 3)

/* Interleaves the upper half with the lower one. */
#define STAGE(size, to, from)                                                  \
    for (int64_t i = 0; i < SIDE_##size / 2; i++) {                            \
        (to)[2 * i] = LOW_##size((from)[i], (from)[i + SIDE_##size / 2]);      \
        (to)[2 * i + 1] = HIGH_##size((from)[i], (from)[i + SIDE_##size / 2]); \
    }
/* What is in `a` goes to and fro; the result is in RESULT. */
#define STAGES_1(a, b) STAGE(1, b, a) STAGE(1, a, b) STAGE(1, b, a) STAGE(1, a, b)
#define STAGES_2(a, b) STAGE(2, b, a) STAGE(2, a, b) STAGE(2, b, a)
#define STAGES_4(a, b) STAGE(4, b, a) STAGE(4, a, b)
#define STAGES_8(a, b) STAGE(8, b, a)
#define RESULT_1(a, b) a
#define RESULT_2(a, b) b
#define RESULT_4(a, b) a
#define RESULT_8(a, b) b

#define TURN(size, type, vector)                                                                                    \
    enum { SIDE_##size = VECTOR_SIZE / sizeof(type) };                                                              \
    static inline void turn_square_##size(char *to, int64_t to_stride, const char *from, int64_t stride) {          \
        vector a[SIDE_##size], b[SIDE_##size];                                                                      \
        for (int64_t i = 0; i < SIDE_##size; i++) memcpy(&a[i], from + i * stride, VECTOR_SIZE);                    \
        STAGES_##size(a, b);                                                                                        \
        for (int64_t i = 0; i < SIDE_##size; i++) memcpy(to + i * to_stride, &RESULT_##size(a, b)[i], VECTOR_SIZE); \
    }                                                                                                               \
    static void turn_##size(char *to, int64_t to_stride, const char *from, int64_t from_stride, size_t rows,        \
                            size_t columns) {                                                                       \
        if (rows < SIDE_##size || columns < SIDE_##size) {                                                          \
            turn_small(to, to_stride, from, from_stride, rows, columns, sizeof(type));                              \
            return;                                                                                                 \
        }                                                                                                           \
        for (size_t row = 0; row < rows; row += SIDE_##size) {                                                      \
            size_t r = row + SIDE_##size > rows ? rows - SIDE_##size : row;                                         \
            char *target = to + r * sizeof(type);                                                                   \
            const char *source = from + (int64_t)r * from_stride;                                                   \
            for (size_t column = 0; column < columns; column += SIDE_##size) {                                      \
                size_t c = column + SIDE_##size > columns ? columns - SIDE_##size : column;                         \
                turn_square_##size(target + (int64_t)c * to_stride, to_stride, source + c * sizeof(type),           \
                                   from_stride);                                                                    \
            }                                                                                                       \
        }                                                                                                           \
    }

/* What has no square in it. Inlined, where the size is known. */
static inline void turn_small(char *to, int64_t to_stride, const char *from, int64_t from_stride, size_t rows,
                              size_t columns, size_t size) {
    if (rows < columns) {
        for (size_t c = 0; c < columns; c++)
            for (size_t r = 0; r < rows; r++)
                memcpy(to + (int64_t)c * to_stride + r * size, from + (int64_t)r * from_stride + c * size, size);
    } else {
        for (size_t c = 0; c < columns; c++) {
            char *target = to + (int64_t)c * to_stride;
            const char *source = from + c * size;
            for (size_t r = 0; r < rows; r++) memcpy(target + r * size, source + (int64_t)r * from_stride, size);
        }
    }
}

TURN(1, uint8_t, bytes)
TURN(2, uint16_t, pairs)
TURN(4, uint32_t, fours)
TURN(8, uint64_t, eights)

cpu_turn *const AT_LEVEL(cpu_turns)[4] = {turn_1, turn_2, turn_4, turn_8};
