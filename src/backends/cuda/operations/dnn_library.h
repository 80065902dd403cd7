/* cuDNN, NVIDIA's library for neural networks: opened when it is first needed, called through declarations of our own. Its functions for
 * convolutions have been the same from version 8 on; the numbers of its errors have not, so that errors are known by their names. */
#ifndef CUDA_OPERATIONS_DNN_LIBRARY_H
#define CUDA_OPERATIONS_DNN_LIBRARY_H

#include <stddef.h>

#include "backends/cuda/driver_api.h"

typedef struct dnn_handle_object *dnn_handle;
typedef struct dnn_tensor_object *dnn_tensor;
typedef struct dnn_filter_object *dnn_filter;
typedef struct dnn_convolution_object *dnn_convolution;
typedef struct dnn_activation_object *dnn_activation;

/* Its enumerations are as wide as an int. */
typedef int dnn_status;
typedef int dnn_type;
typedef int dnn_format;
typedef int dnn_mode;
typedef int dnn_mathematics;
typedef int dnn_algorithm;
typedef int dnn_determinism;
typedef int dnn_activation_mode;
typedef int dnn_nans;

/* cudnnConvolutionFwdAlgoPerf_t. */
typedef struct dnn_proposal {
    dnn_algorithm algorithm;
    dnn_status status;
    float time;
    size_t workspace_size; /* bytes */
    dnn_determinism determinism;
    dnn_mathematics mathematics;
    int reserved[3];
} dnn_proposal;

/* Values of its enumerations that are used. */
enum {
    DNN_SUCCESS = 0,
    DNN_F32 = 0,
    DNN_F64 = 1,
    DNN_F16 = 2,
    DNN_BF16 = 9,
    DNN_CHANNELS_FIRST = 0,
    DNN_CHANNELS_LAST = 1,
    DNN_CORRELATION = 1,
    DNN_TENSOR_CORES = 1,
    DNN_WITHOUT_TENSOR_CORES = 3,
    DNN_DETERMINISTIC = 1,
    DNN_PRECOMPUTED_INDICES = 1, /* an algorithm, the one that takes biases without an activation */
    DNN_ALGORITHM_COUNT = 8,
    DNN_RELU = 1,
    DNN_IDENTITY = 5,
    DNN_NANS_REMAIN = 1
};

typedef struct dnn_library {
/* A list of parameters stands in parentheses already, and a declaration's name must not. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define DNN_SYMBOL(name, parameters) dnn_status(*name) parameters;
#include "backends/cuda/operations/dnn_symbols.h"
#undef DNN_SYMBOL
    const char *(*cudnnGetErrorString)(dnn_status status);
} dnn_library;

/* NULL where it is not there, which is told once. */
const dnn_library *dnn_library_find(void);
/* Logs that it does not start, with the reason: convolutions are computed without it then. */
void dnn_library_say(const char *reason);

#endif
