/* Softmax and layer norm of one row, or of some rows side by side. Compiled once for each level.
 *
 * A row is read in chunks and computed as floats, or doubles where it is of F64. Sums are of many lanes, and of blocks, so that their errors
 * hardly grow with their length. Short rows stay in the processor between the passes; long ones are read, and their exponentials computed,
 * once more, which needs no memory. */
#ifndef CPU_COMPUTE_NORMALIZING_H
#define CPU_COMPUTE_NORMALIZING_H

#include <stddef.h>

#include <tarn/backend_operations.h>

/* Rows that softmax computes side by side at most. */
#define CPU_SOFTMAX_COLUMNS 64

/* Elements at equal distances: `count` of them in each of `columns` rows. Distances are in elements. */
typedef struct cpu_softmax_rows {
    tarn_element_type type;
    size_t count, columns;
    const void *source;
    int64_t source_step, source_column; /* along a row, and from one row to the next */
    void *destination;
    int64_t destination_step, destination_column;
} cpu_softmax_rows;

/* The elements of one row in row-major order: those of the dimensions from the operand's `first_dim` on, behind `offset`. */
typedef struct cpu_norm_row {
    const tarn_operand *operand; /* NULL: there is none */
    uint32_t first_dim;
    int64_t offset;
} cpu_norm_row;

typedef struct cpu_norm_rows {
    size_t count;
    double epsilon;
    cpu_norm_row source, destination, weight, bias;
} cpu_norm_rows;

typedef struct cpu_normalizing_functions {
    void (*softmax_row)(const cpu_softmax_rows *rows);     /* one */
    void (*softmax_columns)(const cpu_softmax_rows *rows); /* up to CPU_SOFTMAX_COLUMNS */
    void (*norm_row)(const cpu_norm_rows *row);
} cpu_normalizing_functions;

typedef struct cpu_normalizing {
    cpu_normalizing_functions floats, doubles;
} cpu_normalizing;

#endif
