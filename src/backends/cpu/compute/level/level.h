/* What the files of a level share. They are plain C, written so that compilers turn the loops into vector instructions of whatever level
 * they compile for: no branches, no calls, selections instead. cmake/kernels.cmake compiles each file for each level, with CPU_LEVEL its
 * name, which the names of a level's tables end in. */
#ifndef CPU_COMPUTE_LEVEL_H
#define CPU_COMPUTE_LEVEL_H

#include <stdint.h>
#include <string.h>

#include "backends/cpu/compute/kernels.h"
#include "backends/cpu/compute/normalizing.h"
#include "backends/cpu/compute/pooling.h"
#include "backends/cpu/compute/product.h"
#include "backends/cpu/compute/rows.h"
#include "base/half.h"

#ifndef CPU_LEVEL
#define CPU_LEVEL portable
#endif

#define AT_LEVEL_PASTE(name, level) name##_##level
#define AT_LEVEL_EXPAND(name, level) AT_LEVEL_PASTE(name, level)
#define AT_LEVEL(name) AT_LEVEL_EXPAND(name, CPU_LEVEL)
#define LEVEL_TEXT_PASTE(level) #level
#define LEVEL_TEXT_EXPAND(level) LEVEL_TEXT_PASTE(level)
#define LEVEL_TEXT LEVEL_TEXT_EXPAND(CPU_LEVEL)

/* Before a loop whose rounds depend on nothing that others write, though they may write what they themselves have read. */
#if defined(__clang__)
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* The tables of a level, which level.c puts together. */
extern const cpu_step_table AT_LEVEL(cpu_arithmetic), AT_LEVEL(cpu_functions);
extern cpu_kernel *const AT_LEVEL(cpu_multiply_adds)[CPU_LANE_COUNT];
extern const cpu_conversions AT_LEVEL(cpu_conversions);
extern const cpu_folds AT_LEVEL(cpu_folds);
extern cpu_turn *const AT_LEVEL(cpu_turns)[4];
extern const cpu_product_kernels AT_LEVEL(cpu_product_kernels);
extern const cpu_rows AT_LEVEL(cpu_rows);
extern const cpu_normalizing AT_LEVEL(cpu_normalizing);
extern const cpu_pooling AT_LEVEL(cpu_pooling);

static inline uint64_t bits_of_double(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

#endif
