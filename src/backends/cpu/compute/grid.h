/* Rectangles of elements, anywhere. */
#ifndef CPU_COMPUTE_GRID_H
#define CPU_COMPUTE_GRID_H

#include "backends/cpu/compute/kernels.h"

/* How to get from one element to the next along a row, and across from one row to the next, in bytes. */
typedef struct cpu_grid {
    char *data;
    int64_t along, across;
} cpu_grid;

/* Copies `rows` rows of `columns` elements. `outside` is the one of both that is not in the first cache: where neither can be gone along
 * side by side, elements are taken in the order in which they lie in it. */
void cpu_grid_copy(const cpu_kernels *kernels, cpu_grid to, cpu_grid from, const cpu_grid *outside, size_t rows,
                   size_t columns, size_t element);

#endif
