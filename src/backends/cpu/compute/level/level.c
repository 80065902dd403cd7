/* A level: its tables under one name. */
#include "backends/cpu/compute/level/level.h"

const cpu_kernels AT_LEVEL(cpu_kernels) = {
    .name = LEVEL_TEXT,
    .multiply_adds = AT_LEVEL(cpu_multiply_adds),
    .arithmetic = &AT_LEVEL(cpu_arithmetic),
    .functions = &AT_LEVEL(cpu_functions),
    .conversions = &AT_LEVEL(cpu_conversions),
    .folds = &AT_LEVEL(cpu_folds),
    .turns = AT_LEVEL(cpu_turns),
    .product = &AT_LEVEL(cpu_product_kernels),
    .rows = &AT_LEVEL(cpu_rows),
    .normalizing = &AT_LEVEL(cpu_normalizing),
    .pooling = &AT_LEVEL(cpu_pooling),
};
