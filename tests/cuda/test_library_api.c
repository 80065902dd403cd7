/* Tarn's own declarations of NVIDIA's libraries against the vendor's headers, where these are installed: sizes, places of members, values.
 * Functions are compared by vendor_libraries.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#endif
#if __has_include(<cudnn.h>)
#include <cudnn.h>
#endif

#include "backends/cuda/operations/blas_library.h"
#include "backends/cuda/operations/dnn_library.h"
#include "same.h"

static void cublaslt_is_declared_as_in_the_vendors_header(void **state) {
    (void)state;
#if __has_include(<cublasLt.h>)
    SAME_SIZE(blas_status, cublasStatus_t);
    SAME_SIZE(blas_type, cudaDataType_t);
    SAME_SIZE(blas_compute, cublasComputeType_t);
    SAME_SIZE(blas_product_attribute, cublasLtMatmulDescAttributes_t);
    SAME_SIZE(blas_layout_attribute, cublasLtMatrixLayoutAttribute_t);
    SAME_SIZE(blas_preference_attribute, cublasLtMatmulPreferenceAttributes_t);
    SAME_SIZE(blas_handle, cublasLtHandle_t);
    SAME_SIZE(blas_algorithm, cublasLtMatmulAlgo_t);
    SAME_SIZE(blas_choice, cublasLtMatmulHeuristicResult_t);
    SAME_PLACE(blas_choice, algorithm, cublasLtMatmulHeuristicResult_t, algo);
    SAME_PLACE(blas_choice, workspace_size, cublasLtMatmulHeuristicResult_t, workspaceSize);
    SAME_PLACE(blas_choice, state, cublasLtMatmulHeuristicResult_t, state);
    SAME_PLACE(blas_choice, waves, cublasLtMatmulHeuristicResult_t, wavesCount);
    SAME_PLACE(blas_choice, reserved, cublasLtMatmulHeuristicResult_t, reserved);
    SAME_VALUE(BLAS_SUCCESS, CUBLAS_STATUS_SUCCESS);
    SAME_VALUE(BLAS_F32, CUDA_R_32F);
    SAME_VALUE(BLAS_F64, CUDA_R_64F);
    SAME_VALUE(BLAS_F16, CUDA_R_16F);
    SAME_VALUE(BLAS_BF16, CUDA_R_16BF);
    SAME_VALUE(BLAS_COMPUTE_F32, CUBLAS_COMPUTE_32F);
    SAME_VALUE(BLAS_COMPUTE_F64, CUBLAS_COMPUTE_64F);
    SAME_VALUE(BLAS_LAYOUT_BATCH_COUNT, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
    SAME_VALUE(BLAS_LAYOUT_BATCH_STRIDE, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
    SAME_VALUE(BLAS_PRODUCT_TRANSPOSE_A, CUBLASLT_MATMUL_DESC_TRANSA);
    SAME_VALUE(BLAS_PRODUCT_TRANSPOSE_B, CUBLASLT_MATMUL_DESC_TRANSB);
    SAME_VALUE(BLAS_PRODUCT_EPILOGUE, CUBLASLT_MATMUL_DESC_EPILOGUE);
    SAME_VALUE(BLAS_PRODUCT_BIAS, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
    SAME_VALUE(BLAS_TRANSPOSE, CUBLAS_OP_T);
    SAME_VALUE(BLAS_EPILOGUE_NONE, CUBLASLT_EPILOGUE_DEFAULT);
    SAME_VALUE(BLAS_EPILOGUE_RELU, CUBLASLT_EPILOGUE_RELU);
    SAME_VALUE(BLAS_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_BIAS);
    SAME_VALUE(BLAS_EPILOGUE_RELU | BLAS_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU_BIAS);
    SAME_VALUE(BLAS_PREFERENCE_WORKSPACE, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
    SAME_VALUE(BLAS_PREFERENCE_ALIGNMENT_A, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
    SAME_VALUE(BLAS_PREFERENCE_ALIGNMENT_B, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
    SAME_VALUE(BLAS_PREFERENCE_ALIGNMENT_C, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
    SAME_VALUE(BLAS_PREFERENCE_ALIGNMENT_D, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
    print_message("cuBLAS %d.%d\n", CUBLAS_VER_MAJOR, CUBLAS_VER_MINOR);
#else
    print_message("skipped: cublasLt.h is not installed\n");
    skip();
#endif
}

static void cudnn_is_declared_as_in_the_vendors_header(void **state) {
    (void)state;
#if __has_include(<cudnn.h>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    SAME_SIZE(dnn_status, cudnnStatus_t);
    SAME_SIZE(dnn_type, cudnnDataType_t);
    SAME_SIZE(dnn_format, cudnnTensorFormat_t);
    SAME_SIZE(dnn_mode, cudnnConvolutionMode_t);
    SAME_SIZE(dnn_mathematics, cudnnMathType_t);
    SAME_SIZE(dnn_algorithm, cudnnConvolutionFwdAlgo_t);
    SAME_SIZE(dnn_determinism, cudnnDeterminism_t);
    SAME_SIZE(dnn_activation_mode, cudnnActivationMode_t);
    SAME_SIZE(dnn_nans, cudnnNanPropagation_t);
    SAME_SIZE(dnn_proposal, cudnnConvolutionFwdAlgoPerf_t);
    SAME_PLACE(dnn_proposal, algorithm, cudnnConvolutionFwdAlgoPerf_t, algo);
    SAME_PLACE(dnn_proposal, status, cudnnConvolutionFwdAlgoPerf_t, status);
    SAME_PLACE(dnn_proposal, time, cudnnConvolutionFwdAlgoPerf_t, time);
    SAME_PLACE(dnn_proposal, workspace_size, cudnnConvolutionFwdAlgoPerf_t, memory);
    SAME_PLACE(dnn_proposal, determinism, cudnnConvolutionFwdAlgoPerf_t, determinism);
    SAME_PLACE(dnn_proposal, mathematics, cudnnConvolutionFwdAlgoPerf_t, mathType);
    SAME_PLACE(dnn_proposal, reserved, cudnnConvolutionFwdAlgoPerf_t, reserved);
    SAME_VALUE(DNN_SUCCESS, CUDNN_STATUS_SUCCESS);
    SAME_VALUE(DNN_F32, CUDNN_DATA_FLOAT);
    SAME_VALUE(DNN_F64, CUDNN_DATA_DOUBLE);
    SAME_VALUE(DNN_F16, CUDNN_DATA_HALF);
    SAME_VALUE(DNN_BF16, CUDNN_DATA_BFLOAT16);
    SAME_VALUE(DNN_CHANNELS_FIRST, CUDNN_TENSOR_NCHW);
    SAME_VALUE(DNN_CHANNELS_LAST, CUDNN_TENSOR_NHWC);
    SAME_VALUE(DNN_CORRELATION, CUDNN_CROSS_CORRELATION);
    SAME_VALUE(DNN_TENSOR_CORES, CUDNN_TENSOR_OP_MATH);
    SAME_VALUE(DNN_WITHOUT_TENSOR_CORES, CUDNN_FMA_MATH);
    SAME_VALUE(DNN_DETERMINISTIC, CUDNN_DETERMINISTIC);
    SAME_VALUE(DNN_PRECOMPUTED_INDICES, CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM);
    SAME_VALUE(DNN_ALGORITHM_COUNT, CUDNN_CONVOLUTION_FWD_ALGO_COUNT);
    SAME_VALUE(DNN_RELU, CUDNN_ACTIVATION_RELU);
    SAME_VALUE(DNN_IDENTITY, CUDNN_ACTIVATION_IDENTITY);
    SAME_VALUE(DNN_NANS_REMAIN, CUDNN_PROPAGATE_NAN);
#pragma GCC diagnostic pop
    print_message("cuDNN %d.%d\n", CUDNN_MAJOR, CUDNN_MINOR);
#else
    print_message("skipped: cudnn.h is not installed\n");
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cublaslt_is_declared_as_in_the_vendors_header),
        cmocka_unit_test(cudnn_is_declared_as_in_the_vendors_header),
    };
    return cmocka_run_group_tests_name("declarations of NVIDIA's libraries", tests, NULL, NULL);
}
