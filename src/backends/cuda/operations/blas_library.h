/* cuBLASLt, NVIDIA's library of matrix products: opened when it is first needed, called through declarations of our own. */
#ifndef CUDA_OPERATIONS_BLAS_LIBRARY_H
#define CUDA_OPERATIONS_BLAS_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#include "backends/cuda/driver_api.h"

/* Its enumerations are as wide as an int. */
typedef int blas_status;
typedef int blas_type;
typedef int blas_compute;
typedef int blas_product_attribute;
typedef int blas_layout_attribute;
typedef int blas_preference_attribute;

typedef struct blas_handle_object *blas_handle;
typedef struct blas_product_object *blas_product;
typedef struct blas_layout_object *blas_layout;
typedef struct blas_preference_object *blas_preference;

/* cublasLtMatmulAlgo_t and cublasLtMatmulHeuristicResult_t. */
typedef struct blas_algorithm {
    uint64_t data[8];
} blas_algorithm;

typedef struct blas_choice {
    blas_algorithm algorithm;
    size_t workspace_size; /* bytes */
    blas_status state;
    float waves;
    int reserved[4];
} blas_choice;

/* Values of its enumerations that are used. */
enum {
    BLAS_SUCCESS = 0,
    BLAS_F32 = 0,
    BLAS_F64 = 1,
    BLAS_F16 = 2,
    BLAS_BF16 = 14,
    BLAS_COMPUTE_F32 = 68, /* without TF32 */
    BLAS_COMPUTE_F64 = 70,
    BLAS_LAYOUT_BATCH_COUNT = 5,
    BLAS_LAYOUT_BATCH_STRIDE = 6,
    BLAS_PRODUCT_TRANSPOSE_A = 3,
    BLAS_PRODUCT_TRANSPOSE_B = 4,
    BLAS_PRODUCT_EPILOGUE = 7,
    BLAS_PRODUCT_BIAS = 8,
    BLAS_TRANSPOSE = 1,
    BLAS_EPILOGUE_RELU = 2,
    BLAS_EPILOGUE_BIAS = 4,
    BLAS_EPILOGUE_NONE = 1,
    BLAS_PREFERENCE_WORKSPACE = 1,
    BLAS_PREFERENCE_ALIGNMENT_A = 5,
    BLAS_PREFERENCE_ALIGNMENT_B = 6,
    BLAS_PREFERENCE_ALIGNMENT_C = 7,
    BLAS_PREFERENCE_ALIGNMENT_D = 8
};

typedef struct blas_library {
/* A list of parameters stands in parentheses already, and a declaration's name must not. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define BLAS_SYMBOL(name, parameters) blas_status(*name) parameters;
#include "backends/cuda/operations/blas_symbols.h"
#undef BLAS_SYMBOL
} blas_library;

/* NULL where it is not there, which is told once. */
const blas_library *blas_library_find(void);
/* Logs that it does not start, with the reason: products are computed without it then. */
void blas_library_say(const char *reason);

#endif
