/* A program made ready for kernels: dimensions ordered and merged, so that neighbouring threads find neighbouring elements. */
#ifndef CUDA_OPERATIONS_SPACE_H
#define CUDA_OPERATIONS_SPACE_H

#include "backends/cuda/operations/operations.h"

/* Dimensions with the strides of several operands along them: what is merged. */
typedef struct cuda_dims {
    unsigned rank, operand_count;
    long long dims[CUDA_MOST_RANK];
    long long strides[CUDA_MOST_OPERANDS + 1][CUDA_MOST_RANK];
} cuda_dims;

/* Appends a dimension; those of 1 are left out. The caller then writes the strides at the rank before: true where it was appended. */
bool cuda_dims_add(cuda_dims *dims, long long dim);
/* Merges dimensions from number `first` on, where the inner one's elements lie side by side for all operands. */
void cuda_dims_merge(cuda_dims *dims, unsigned first);

/* How many values a step takes. */
unsigned cuda_values_of(tarn_operation operation);
bool cuda_program_uses_index(const tarn_program *program);

/* The space of a program. Dimensions that are kept come first; within both sorts those with large strides do. */
void cuda_space_make(const tarn_backend_operation *operation, cuda_space *out_space);
/* The same with the program's steps, for the interpreter. */
void cuda_program_make(const tarn_backend_operation *operation, cuda_program *out_program);

#endif
