/* cuBLASLt, NVIDIA's library of matrix products: opened when it is first needed, called through declarations of our own. */
#ifndef CUDA_OPERATIONS_BLAS_LIBRARY_H
#define CUDA_OPERATIONS_BLAS_LIBRARY_H

#include <stddef.h>
#include <stdint.h>

#include "backends/cuda/driver_api.h"

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
    int state;
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

#define BLAS_SYMBOLS(SYMBOL)                                                                                      \
    SYMBOL(cublasLtCreate, (blas_handle * out_handle))                                                            \
    SYMBOL(cublasLtDestroy, (blas_handle handle))                                                                 \
    SYMBOL(cublasLtMatmulDescCreate, (blas_product * out_product, int compute_type, int scale_type))              \
    SYMBOL(cublasLtMatmulDescDestroy, (blas_product product))                                                     \
    SYMBOL(cublasLtMatmulDescSetAttribute, (blas_product product, int attribute, const void *value, size_t size)) \
    SYMBOL(cublasLtMatrixLayoutCreate,                                                                            \
           (blas_layout * out_layout, int type, uint64_t rows, uint64_t columns, int64_t leading))                \
    SYMBOL(cublasLtMatrixLayoutDestroy, (blas_layout layout))                                                     \
    SYMBOL(cublasLtMatrixLayoutSetAttribute, (blas_layout layout, int attribute, const void *value, size_t size)) \
    SYMBOL(cublasLtMatmulPreferenceCreate, (blas_preference * out_preference))                                    \
    SYMBOL(cublasLtMatmulPreferenceDestroy, (blas_preference preference))                                         \
    SYMBOL(cublasLtMatmulPreferenceSetAttribute,                                                                  \
           (blas_preference preference, int attribute, const void *value, size_t size))                           \
    SYMBOL(cublasLtMatmulAlgoGetHeuristic,                                                                        \
           (blas_handle handle, blas_product product, blas_layout a, blas_layout b, blas_layout c, blas_layout d, \
            blas_preference preference, int wanted, blas_choice *out_choices, int *out_count))                    \
    SYMBOL(cublasLtMatmul,                                                                                        \
           (blas_handle handle, blas_product product, const void *alpha, const void *a, blas_layout a_layout,     \
            const void *b, blas_layout b_layout, const void *beta, const void *c, blas_layout c_layout, void *d,  \
            blas_layout d_layout, const blas_algorithm *algorithm, void *workspace, size_t workspace_size,        \
            driver_stream stream))

typedef struct blas_library {
/* A list of parameters stands in parentheses already, and a declaration's name must not. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define SYMBOL(name, parameters) int(*name) parameters;
    BLAS_SYMBOLS(SYMBOL)
#undef SYMBOL
} blas_library;

/* NULL where it is not there, which is told once. */
const blas_library *blas_library_find(void);

#endif
