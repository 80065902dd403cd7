/* The functions of cuBLASLt that Tarn calls: BLAS_SYMBOL(name, parameters). The only place that knows their names. */
BLAS_SYMBOL(cublasLtCreate, (blas_handle * out_handle))
BLAS_SYMBOL(cublasLtDestroy, (blas_handle handle))
BLAS_SYMBOL(cublasLtMatmulDescCreate, (blas_product * out_product, blas_compute compute_type, blas_type scale_type))
BLAS_SYMBOL(cublasLtMatmulDescDestroy, (blas_product product))
BLAS_SYMBOL(cublasLtMatmulDescSetAttribute,
            (blas_product product, blas_product_attribute attribute, const void *value, size_t size))
BLAS_SYMBOL(cublasLtMatrixLayoutCreate,
            (blas_layout * out_layout, blas_type type, uint64_t rows, uint64_t columns, int64_t leading))
BLAS_SYMBOL(cublasLtMatrixLayoutDestroy, (blas_layout layout))
BLAS_SYMBOL(cublasLtMatrixLayoutSetAttribute,
            (blas_layout layout, blas_layout_attribute attribute, const void *value, size_t size))
BLAS_SYMBOL(cublasLtMatmulPreferenceCreate, (blas_preference * out_preference))
BLAS_SYMBOL(cublasLtMatmulPreferenceDestroy, (blas_preference preference))
BLAS_SYMBOL(cublasLtMatmulPreferenceSetAttribute,
            (blas_preference preference, blas_preference_attribute attribute, const void *value, size_t size))
BLAS_SYMBOL(cublasLtMatmulAlgoGetHeuristic,
            (blas_handle handle, blas_product product, blas_layout a, blas_layout b, blas_layout c, blas_layout d,
             blas_preference preference, int wanted, blas_choice *out_choices, int *out_count))
BLAS_SYMBOL(cublasLtMatmul, (blas_handle handle, blas_product product, const void *alpha, const void *a,
                             blas_layout a_layout, const void *b, blas_layout b_layout, const void *beta, const void *c,
                             blas_layout c_layout, void *d, blas_layout d_layout, const blas_algorithm *algorithm,
                             void *workspace, size_t workspace_size, driver_stream stream))
