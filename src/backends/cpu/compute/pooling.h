/* The innermost loop of max pooling. Compiled once for each level. */
#ifndef CPU_COMPUTE_POOLING_H
#define CPU_COMPUTE_POOLING_H

#include <stddef.h>

#include <tarn/backend_operations.h>

typedef struct cpu_pooling {
    /* For each type: has each element of `inout_greatest` be the greater of itself and one of the row at `source`, whose stride is in
     * elements. NaN is greater than all. NULL for BOOL. */
    void (*greater[TARN_ELEMENT_TYPE_COUNT])(const void *source, int64_t stride, size_t count, void *inout_greatest);
} cpu_pooling;

#endif
