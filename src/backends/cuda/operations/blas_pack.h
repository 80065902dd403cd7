/* Copies of a product's operands that cuBLASLt takes in the place of ones that it does not. */
#ifndef CUDA_OPERATIONS_BLAS_PACK_H
#define CUDA_OPERATIONS_BLAS_PACK_H

#include "backends/cuda/operations/operations.h"

typedef struct blas_pack {
    tarn_backend_operation operation; /* the product, on the copies */
    tarn_operand operands[4];
    bool is_copied[4];
    size_t offsets[4], size; /* bytes, of each copy in scratch memory and of all */
} blas_pack;

/* Plans row-major copies of the second operand (1), the third (2) or both (3); the copies have no memory yet. False: they would be too large. */
bool blas_pack_plan(const tarn_backend_operation *product, unsigned which, blas_pack *out_pack);
/* Enqueues the copies into scratch memory, from which on the product may be enqueued. */
tarn_status blas_pack_enqueue(const cuda_task *task, blas_pack *pack, char *scratch);

#endif
