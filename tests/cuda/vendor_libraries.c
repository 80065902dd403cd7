/* Whether the functions of NVIDIA's libraries have the parameters that the vendor's headers give them: an error of the compiler where one has
 * not, on machines that have the header. Parameters that are const by themselves are the same to a caller. */
#define SAME(name, result, parameters) \
    _Static_assert(__builtin_types_compatible_p(__typeof__(name), result parameters), #name);

#if __has_include(<cublasLt.h>)
#include <cublasLt.h>

typedef cublasComputeType_t blas_compute;
typedef cudaDataType_t blas_type;
typedef cublasLtMatmulDescAttributes_t blas_product_attribute;
typedef cublasLtMatrixLayoutAttribute_t blas_layout_attribute;
typedef cublasLtMatmulPreferenceAttributes_t blas_preference_attribute;
typedef cublasLtHandle_t blas_handle;
typedef cublasLtMatmulDesc_t blas_product;
typedef cublasLtMatrixLayout_t blas_layout;
typedef cublasLtMatmulPreference_t blas_preference;
typedef cublasLtMatmulAlgo_t blas_algorithm;
typedef cublasLtMatmulHeuristicResult_t blas_choice;
#define driver_stream cudaStream_t

#define BLAS_SYMBOL(name, parameters) SAME(name, cublasStatus_t, parameters)
#include "backends/cuda/operations/blas_symbols.h"
#undef BLAS_SYMBOL
#undef driver_stream
#endif

#if __has_include(<cudnn.h>)
/* Its functions for convolutions are to be replaced some day, which its header warns of. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <cudnn.h>

typedef cudnnDataType_t dnn_type;
typedef cudnnTensorFormat_t dnn_format;
typedef cudnnConvolutionMode_t dnn_mode;
typedef cudnnMathType_t dnn_mathematics;
typedef cudnnConvolutionFwdAlgo_t dnn_algorithm;
typedef cudnnActivationMode_t dnn_activation_mode;
typedef cudnnNanPropagation_t dnn_nans;
typedef cudnnHandle_t dnn_handle;
typedef cudnnTensorDescriptor_t dnn_tensor;
typedef cudnnFilterDescriptor_t dnn_filter;
typedef cudnnConvolutionDescriptor_t dnn_convolution;
typedef cudnnActivationDescriptor_t dnn_activation;
typedef cudnnConvolutionFwdAlgoPerf_t dnn_proposal;
#define driver_stream cudaStream_t

#define DNN_SYMBOL(name, parameters) SAME(name, cudnnStatus_t, parameters)
#include "backends/cuda/operations/dnn_symbols.h"
#undef DNN_SYMBOL
SAME(cudnnGetErrorString, const char *, (cudnnStatus_t status))
#undef driver_stream
#endif

#if __has_include(<nvrtc.h>)
#include <nvrtc.h>

typedef nvrtcProgram compiler_program;

#define COMPILER_SYMBOL(name, parameters) SAME(name, nvrtcResult, parameters)
#include "backends/cuda/operations/compiler_symbols.h"
#undef COMPILER_SYMBOL
#endif

/* A file without one of the headers has a declaration too. */
typedef int vendor_libraries_are_compared;
