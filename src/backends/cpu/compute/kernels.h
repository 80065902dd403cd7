/* Kernels: loops over lanes, compiled once for each level of the processor's instructions from the same files (level/).
 *
 * A lane is how a value is computed: F16 and BF16 in a float, integers up to 32 bits and bools in an int32_t. Lanes lie in blocks, side by
 * side. A kernel may write over an operand when both have lanes of one size. */
#ifndef CPU_COMPUTE_KERNELS_H
#define CPU_COMPUTE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/backend_operations.h>

typedef enum cpu_lane { CPU_LANE_F32, CPU_LANE_F64, CPU_LANE_I32, CPU_LANE_I64 } cpu_lane;

#define CPU_LANE_COUNT 4
#define CPU_STEP_COUNT (TARN_OPERATION_SELECT + 1)

/* Computes `count` lanes from those of as many operands as the operation has. */
typedef void cpu_kernel(void *out, const void *a, const void *b, const void *c, size_t count);

/* By operation and the lane that it computes in: that of the operands of comparisons, of the result otherwise. NULL: not here. */
typedef cpu_kernel *cpu_step_table[CPU_STEP_COUNT][CPU_LANE_COUNT];

typedef struct cpu_conversions {
    cpu_kernel *lanes[CPU_LANE_COUNT][CPU_LANE_COUNT]; /* from, to; NULL from a lane to itself */
    cpu_kernel *truths[CPU_LANE_COUNT];                /* an I32: 1 where the lane is not 0 */
    /* F64 to F32, rounded to odd: rounding that once more to F16 or BF16 is as if the F64 had been rounded. */
    cpu_kernel *odd;
    /* By element type; NULL where elements are lanes. */
    cpu_kernel *loads[TARN_ELEMENT_TYPE_COUNT];
    cpu_kernel *stores[TARN_ELEMENT_TYPE_COUNT];
    /* From lanes with any value to lanes with one that the element type has; NULL: all are. */
    cpu_kernel *wraps[TARN_ELEMENT_TYPE_COUNT];
    /* first, first + step, … */
    void (*count)(int64_t *out, int64_t first, int64_t step, size_t count);
} cpu_conversions;

/* By reduction, counted from SUM on. MEAN is the sum. */
#define CPU_FOLD_COUNT 5

typedef struct cpu_folds {
    /* All lanes to one. Sums of floats add in blocks. */
    double (*f32[CPU_FOLD_COUNT])(const void *lanes, size_t count); /* NULL: as F64 */
    double (*f64[CPU_FOLD_COUNT])(const void *lanes, size_t count);
    int64_t (*i64[CPU_FOLD_COUNT])(const void *lanes, size_t count);
    /* Rows of `count` lanes, `stride` bytes apart, column by column to one row, sums in pairs of pairs; NULL: not here. */
    void (*columns_f32[CPU_FOLD_COUNT])(void *out, const char *lanes, int64_t stride, size_t rows, size_t count);
    void (*columns_f64[CPU_FOLD_COUNT])(void *out, const char *lanes, int64_t stride, size_t rows, size_t count);
    /* Lane by lane into accumulators; sums of F64 keep in `errors` what they lose. */
    void (*into_f64[CPU_FOLD_COUNT])(double *values, double *errors, const double *lanes, size_t count);
    void (*into_i64[CPU_FOLD_COUNT])(int64_t *values, const int64_t *lanes, size_t count);
} cpu_folds;

/* `from` has `rows` rows of `columns` elements that lie side by side, which become the columns of `to`. Strides are bytes from row to row. */
typedef void cpu_turn(char *to, int64_t to_stride, const char *from, int64_t from_stride, size_t rows, size_t columns);

struct cpu_product_kernels; /* product.h */
struct cpu_rows;            /* rows.h */
struct cpu_normalizing;     /* normalizing.h */
struct cpu_pooling;         /* pooling.h */

typedef struct cpu_kernels {
    const char *name; /* as TARN_CPU_ISA names it */
    /* a * b + c, rounded after each, by the lane; NULL: not in one. */
    cpu_kernel *const *multiply_adds;
    const cpu_step_table *arithmetic, *functions;
    const cpu_conversions *conversions;
    const cpu_folds *folds;
    cpu_turn *const *turns; /* of elements of 1, 2, 4 and 8 bytes */
    const struct cpu_product_kernels *product;
    const struct cpu_rows *rows;
    const struct cpu_normalizing *normalizing;
    const struct cpu_pooling *pooling;
} cpu_kernels;

extern const cpu_kernels cpu_kernels_portable;
#if defined(__x86_64__)
extern const cpu_kernels cpu_kernels_sse2, cpu_kernels_avx2, cpu_kernels_avx512;
#endif

/* Those for this processor, or for less where TARN_CPU_ISA says so. */
const cpu_kernels *cpu_kernels_get(void);
/* How many levels this processor has, and level number `i`, from the lowest on. */
size_t cpu_kernels_level_count(void);
const cpu_kernels *cpu_kernels_level(size_t i);
/* For tests: has cpu_kernels_get answer `kernels` from now on; NULL: choose anew. No operation runs. */
void cpu_kernels_use(const cpu_kernels *kernels);

static inline cpu_lane cpu_lane_of(tarn_element_type type) {
    switch (type) {
    case TARN_ELEMENT_F32:
    case TARN_ELEMENT_F16:
    case TARN_ELEMENT_BF16: return CPU_LANE_F32;
    case TARN_ELEMENT_F64: return CPU_LANE_F64;
    case TARN_ELEMENT_I64: return CPU_LANE_I64;
    default: return CPU_LANE_I32;
    }
}

static inline cpu_kernel *cpu_step_kernel(const cpu_kernels *kernels, tarn_operation operation, cpu_lane lane) {
    cpu_kernel *kernel = (*kernels->arithmetic)[operation][lane];
    return kernel != NULL ? kernel : (*kernels->functions)[operation][lane];
}

static inline size_t cpu_lane_size(cpu_lane lane) { return lane == CPU_LANE_F64 || lane == CPU_LANE_I64 ? 8 : 4; }

#endif
