/* A libcudnn for tests: it computes convolutions by the definition, in a kernel of the fake driver, which this object brings itself. It
 * refuses what the library's documentation does not allow, counts what was made and not ended, and fails the call that a test names. */
#include "cudnn.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "host_library.h"

/* The functions, as Tarn declares them for itself. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define DNN_SYMBOL(name, parameters) EXPORT dnn_status name parameters;
#include "backends/cuda/operations/dnn_symbols.h"
#undef DNN_SYMBOL
EXPORT const char *cudnnGetErrorString(dnn_status status);

/* As version 9 numbers them. */
enum {
    NOT_INITIALIZED = 1001,
    BAD_PARAM = 2000,
    NOT_SUPPORTED = 3000,
    ALLOCATION_FAILED = 4003,
    EXECUTION_FAILED = 5000
};
enum { DEFAULT_MATHEMATICS = 0, GEMM = 2, DIRECT = 3, FFT = 4 };

struct dnn_handle_object {
    host_kernel kernel;
    driver_stream stream;
};
struct dnn_tensor_object {
    int type, dims[4], strides[4];
};
struct dnn_filter_object {
    int type, format, dims[4];
};
struct dnn_convolution_object {
    int padding[2], step[2], dilation[2], type, groups, mathematics;
};
struct dnn_activation_object {
    int mode, nans;
    double most;
};

/* A convolution, the parameter of the kernel. */
typedef struct convolution {
    struct dnn_tensor_object out, in, added;
    struct dnn_filter_object weight;
    struct dnn_convolution_object how;
    int has_bias, has_relu;
    const char *in_data, *weight_data, *bias_data, *added_data;
    char *out_data;
    double alpha, beta;
} convolution;

/* What tests ask for. */
static const char *failing;
static dnn_status failure;
static atomic_int calls_left, has_failed, alive, launches;

void fakecudnn_fail(const char *name, int call, int status) {
    failing = name;
    failure = status;
    atomic_store(&calls_left, call);
    atomic_store(&has_failed, 0);
}

int fakecudnn_has_failed(void) { return atomic_load(&has_failed); }
int fakecudnn_alive(void) { return atomic_load(&alive); }
int fakecudnn_launches(void) { return atomic_load(&launches); }

const char *cudnnGetErrorString(dnn_status status) {
    switch (status) {
    case DNN_SUCCESS: return "CUDNN_STATUS_SUCCESS";
    case NOT_INITIALIZED: return "CUDNN_STATUS_NOT_INITIALIZED";
    case BAD_PARAM: return "CUDNN_STATUS_BAD_PARAM";
    case NOT_SUPPORTED: return "CUDNN_STATUS_NOT_SUPPORTED";
    case ALLOCATION_FAILED: return "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED";
    default: return "CUDNN_STATUS_EXECUTION_FAILED";
    }
}

/* The failure that is asked for, in the call that it is asked for. A negative number of calls: in every one. */
static dnn_status fault(const char *name) {
    if (failing == NULL || strcmp(failing, name) != 0) return DNN_SUCCESS;
    int left = atomic_load(&calls_left);
    if (left > 0) atomic_store(&calls_left, left - 1);
    if (left != 1 && left >= 0) return DNN_SUCCESS;
    atomic_store(&has_failed, 1);
    return failure;
}

#define BEGIN                                         \
    do {                                              \
        dnn_status injected = fault(__func__);        \
        if (injected != DNN_SUCCESS) return injected; \
    } while (0)

static tarn_element_type element_type(int type) {
    return type == DNN_F64   ? TARN_ELEMENT_F64
           : type == DNN_F32 ? TARN_ELEMENT_F32
           : type == DNN_F16 ? TARN_ELEMENT_F16
                             : TARN_ELEMENT_BF16;
}

static size_t place(const struct dnn_tensor_object *tensor, int batch, int channel, int row, int column) {
    const int *strides = tensor->strides;
    return (size_t)batch * (size_t)strides[0] + (size_t)channel * (size_t)strides[1] +
           (size_t)row * (size_t)strides[2] + (size_t)column * (size_t)strides[3];
}

static double weight_at(const convolution *made, int filter, int channel, int row, int column) {
    const int *dims = made->weight.dims;
    int at = made->weight.format == DNN_CHANNELS_FIRST
                 ? ((filter * dims[1] + channel) * dims[2] + row) * dims[3] + column
                 : ((filter * dims[2] + row) * dims[3] + column) * dims[1] + channel;
    tarn_element_type type = element_type(made->weight.type);
    return host_read(type, made->weight_data + (size_t)at * host_element_size(type));
}

static double convolve(const convolution *made, int batch, int filter, int row, int column) {
    const tarn_element_type type = element_type(made->in.type);
    const int *dims = made->weight.dims, first = filter / (made->out.dims[1] / made->how.groups) * dims[1];
    double sum = 0;
    for (int c = 0; c < dims[1]; c++) {
        for (int r = 0; r < dims[2]; r++) {
            for (int s = 0; s < dims[3]; s++) {
                int y = row * made->how.step[0] - made->how.padding[0] + r * made->how.dilation[0];
                int x = column * made->how.step[1] - made->how.padding[1] + s * made->how.dilation[1];
                if (y < 0 || y >= made->in.dims[2] || x < 0 || x >= made->in.dims[3]) continue;
                size_t at = place(&made->in, batch, first + c, y, x) * host_element_size(type);
                sum += host_read(type, made->in_data + at) * weight_at(made, filter, c, r, s);
            }
        }
    }
    return sum;
}

/* The kernel, as the fake driver looks for it. */
EXPORT extern const size_t dnn_convolution_parameters[];
EXPORT void dnn_convolution_on_host(const unsigned grid[3], const unsigned block[3], unsigned shared_bytes,
                                    void **parameters);

const size_t dnn_convolution_parameters[] = {sizeof(convolution), 0};

static void compute(const convolution *made, int batch, int filter, int row, int column) {
    const tarn_element_type type = element_type(made->out.type);
    const size_t size = host_element_size(type);
    size_t at = place(&made->out, batch, filter, row, column) * size;
    double value = made->alpha * convolve(made, batch, filter, row, column);
    if (made->beta != 0) {
        size_t other = place(&made->added, batch, filter, row, column) * size;
        value += made->beta * host_read(type, made->added_data + other);
    }
    if (made->has_bias) value += host_read(type, made->bias_data + (size_t)filter * size);
    if (made->has_relu && value < 0) value = 0;
    host_write(type, made->out_data + at, value);
}

void dnn_convolution_on_host(const unsigned grid[3], const unsigned block[3], unsigned shared_bytes,
                             void **parameters) {
    (void)grid;
    (void)block;
    (void)shared_bytes;
    const convolution *made = parameters[0];
    const int *dims = made->out.dims;
    for (int n = 0; n < dims[0]; n++)
        for (int f = 0; f < dims[1]; f++)
            for (int y = 0; y < dims[2]; y++)
                for (int x = 0; x < dims[3]; x++) compute(made, n, f, y, x);
}

dnn_status cudnnCreate(dnn_handle *out_handle) {
    BEGIN;
    dnn_handle handle = calloc(1, sizeof *handle);
    if (!host_kernel_open(&handle->kernel, dnn_convolution_parameters, "dnn_convolution")) {
        free(handle);
        return NOT_INITIALIZED;
    }
    atomic_fetch_add(&alive, 1);
    *out_handle = handle;
    return DNN_SUCCESS;
}

dnn_status cudnnDestroy(dnn_handle handle) {
    host_kernel_close(&handle->kernel);
    atomic_fetch_sub(&alive, 1);
    free(handle);
    return DNN_SUCCESS;
}

dnn_status cudnnSetStream(dnn_handle handle, driver_stream stream) {
    BEGIN;
    handle->stream = stream;
    return DNN_SUCCESS;
}

/* Making and ending a description of any sort. A type does not stand in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define DESCRIPTION(type, create, destroy)        \
    dnn_status create(type *out_made) {           \
        BEGIN;                                    \
        *out_made = calloc(1, sizeof **out_made); \
        atomic_fetch_add(&alive, 1);              \
        return DNN_SUCCESS;                       \
    }                                             \
    dnn_status destroy(type made) {               \
        free(made);                               \
        atomic_fetch_sub(&alive, 1);              \
        return DNN_SUCCESS;                       \
    }

/* NOLINTEND(bugprone-macro-parentheses) */
DESCRIPTION(dnn_tensor, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor)
DESCRIPTION(dnn_filter, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor)
DESCRIPTION(dnn_convolution, cudnnCreateConvolutionDescriptor, cudnnDestroyConvolutionDescriptor)
DESCRIPTION(dnn_activation, cudnnCreateActivationDescriptor, cudnnDestroyActivationDescriptor)

dnn_status cudnnSetTensor4dDescriptorEx(dnn_tensor tensor, int type, int batch, int channels, int height, int width,
                                        int batch_stride, int channel_stride, int row_stride, int column_stride) {
    BEGIN;
    *tensor = (struct dnn_tensor_object){.type = type,
                                         .dims = {batch, channels, height, width},
                                         .strides = {batch_stride, channel_stride, row_stride, column_stride}};
    for (int d = 0; d < 4; d++)
        if (tensor->dims[d] < 1 || tensor->strides[d] < 1) return BAD_PARAM;
    return DNN_SUCCESS;
}

dnn_status cudnnSetFilter4dDescriptor(dnn_filter filter, int type, int format, int filters, int channels, int height,
                                      int width) {
    BEGIN;
    *filter = (struct dnn_filter_object){.type = type, .format = format, .dims = {filters, channels, height, width}};
    return format == DNN_CHANNELS_FIRST || format == DNN_CHANNELS_LAST ? DNN_SUCCESS : BAD_PARAM;
}

dnn_status cudnnSetConvolution2dDescriptor(dnn_convolution how, int padding_height, int padding_width, int row_step,
                                           int column_step, int row_dilation, int column_dilation, int mode, int type) {
    BEGIN;
    *how = (struct dnn_convolution_object){.padding = {padding_height, padding_width},
                                           .step = {row_step, column_step},
                                           .dilation = {row_dilation, column_dilation},
                                           .type = type,
                                           .groups = 1};
    bool is_right = padding_height >= 0 && padding_width >= 0 && row_step > 0 && column_step > 0 && row_dilation > 0 &&
                    column_dilation > 0 && mode == DNN_CORRELATION;
    return is_right ? DNN_SUCCESS : BAD_PARAM;
}

dnn_status cudnnSetConvolutionGroupCount(dnn_convolution how, int groups) {
    BEGIN;
    how->groups = groups;
    return groups > 0 ? DNN_SUCCESS : BAD_PARAM;
}

dnn_status cudnnSetConvolutionMathType(dnn_convolution how, int mathematics) {
    BEGIN;
    how->mathematics = mathematics;
    return DNN_SUCCESS;
}

dnn_status cudnnSetActivationDescriptor(dnn_activation activation, int mode, int nans, double most) {
    BEGIN;
    *activation = (struct dnn_activation_object){mode, nans, most};
    return DNN_SUCCESS;
}

/* Whether everything has its shape and type. */
static bool is_right(const struct dnn_tensor_object *in, const struct dnn_filter_object *weight,
                     const struct dnn_convolution_object *how, const struct dnn_tensor_object *out) {
    bool is_half = in->type == DNN_F16 || in->type == DNN_BF16;
    if (weight->type != in->type || out->type != in->type) return false;
    if (how->type != (in->type == DNN_F64 ? DNN_F64 : DNN_F32)) return false;
    /* TF32, which Tarn does not want, is what F32 would be computed in otherwise. */
    if (!is_half && how->mathematics != DNN_WITHOUT_TENSOR_CORES) return false;
    if (out->dims[0] != in->dims[0] || out->dims[1] != weight->dims[0]) return false;
    if (in->dims[1] != weight->dims[1] * how->groups || out->dims[1] % how->groups != 0) return false;
    for (int i = 0; i < 2; i++) {
        int window = (weight->dims[2 + i] - 1) * how->dilation[i] + 1;
        if (out->dims[2 + i] != (in->dims[2 + i] + 2 * how->padding[i] - window) / how->step[i] + 1) return false;
    }
    return true;
}

static size_t workspace_of(int algorithm) {
    return algorithm == GEMM                      ? 5000
           : algorithm == FFT                     ? (size_t)1 << 40
           : algorithm == DNN_PRECOMPUTED_INDICES ? 300
                                                  : 0;
}

/* Proposes what may not be taken before what may. */
dnn_status cudnnGetConvolutionForwardAlgorithm_v7(dnn_handle handle, dnn_tensor in, dnn_filter weight,
                                                  dnn_convolution how, dnn_tensor out, int wanted, int *out_count,
                                                  dnn_proposal *out_proposals) {
    BEGIN;
    const struct {
        int algorithm;
        dnn_status status;
        bool is_deterministic;
    } known[] = {{FFT, DNN_SUCCESS, true},
                 {DIRECT, NOT_SUPPORTED, true},
                 {DIRECT, DNN_SUCCESS, false},
                 {GEMM, DNN_SUCCESS, true},
                 {DNN_PRECOMPUTED_INDICES, DNN_SUCCESS, true}};
    int count = 0;
    if (handle == NULL || wanted < 1 || !is_right(in, weight, how, out)) return BAD_PARAM;
    for (size_t i = 0; i < sizeof known / sizeof known[0] && count < wanted; i++, count++) {
        out_proposals[count] = (dnn_proposal){.algorithm = known[i].algorithm,
                                              .status = known[i].status,
                                              .workspace_size = workspace_of(known[i].algorithm),
                                              .determinism = known[i].is_deterministic,
                                              .mathematics = how->mathematics};
    }
    *out_count = count;
    return DNN_SUCCESS;
}

dnn_status cudnnGetConvolutionForwardWorkspaceSize(dnn_handle handle, dnn_tensor in, dnn_filter weight,
                                                   dnn_convolution how, dnn_tensor out, int algorithm,
                                                   size_t *out_size) {
    BEGIN;
    if (handle == NULL || !is_right(in, weight, how, out)) return BAD_PARAM;
    *out_size = workspace_of(algorithm);
    return DNN_SUCCESS;
}

/* Enqueues what was put together, if that is allowed. */
static dnn_status launch(dnn_handle handle, convolution *made, int algorithm, const void *alpha, const void *beta,
                         const void *workspace, size_t workspace_size) {
    const tarn_element_type scale = made->how.type == DNN_F64 ? TARN_ELEMENT_F64 : TARN_ELEMENT_F32;
    if (handle == NULL || !is_right(&made->in, &made->weight, &made->how, &made->out)) return BAD_PARAM;
    if (algorithm == FFT || algorithm == DIRECT || workspace_size < workspace_of(algorithm)) return BAD_PARAM;
    if ((workspace_size > 0) != (workspace != NULL) || (uintptr_t)workspace % 256 != 0) return BAD_PARAM;
    made->alpha = host_read(scale, alpha);
    made->beta = host_read(scale, beta);
    atomic_fetch_add(&launches, 1);
    return host_kernel_launch(&handle->kernel, handle->stream, made) ? DNN_SUCCESS : EXECUTION_FAILED;
}

dnn_status cudnnConvolutionForward(dnn_handle handle, const void *alpha, dnn_tensor in, const void *in_data,
                                   dnn_filter weight, const void *weight_data, dnn_convolution how, int algorithm,
                                   void *workspace, size_t workspace_size, const void *beta, dnn_tensor out,
                                   void *out_data) {
    BEGIN;
    convolution made = {.out = *out,
                        .in = *in,
                        .added = *out,
                        .weight = *weight,
                        .how = *how,
                        .in_data = in_data,
                        .weight_data = weight_data,
                        .added_data = out_data,
                        .out_data = out_data};
    return launch(handle, &made, algorithm, alpha, beta, workspace, workspace_size);
}

dnn_status cudnnConvolutionBiasActivationForward(dnn_handle handle, const void *alpha, dnn_tensor in,
                                                 const void *in_data, dnn_filter weight, const void *weight_data,
                                                 dnn_convolution how, int algorithm, void *workspace,
                                                 size_t workspace_size, const void *beta, dnn_tensor added,
                                                 const void *added_data, dnn_tensor bias, const void *bias_data,
                                                 dnn_activation activation, dnn_tensor out, void *out_data) {
    BEGIN;
    const int *dims = bias->dims;
    convolution made = {.out = *out,
                        .in = *in,
                        .added = *added,
                        .weight = *weight,
                        .how = *how,
                        .has_bias = 1,
                        .has_relu = activation->mode == DNN_RELU,
                        .in_data = in_data,
                        .weight_data = weight_data,
                        .bias_data = bias_data,
                        .added_data = added_data,
                        .out_data = out_data};
    if (dims[0] != 1 || dims[1] != out->dims[1] || dims[2] != 1 || dims[3] != 1 || bias->type != out->type)
        return BAD_PARAM;
    if (memcmp(added, out, sizeof *out) != 0 || bias_data == NULL) return BAD_PARAM;
    if (activation->mode == DNN_IDENTITY && algorithm != DNN_PRECOMPUTED_INDICES) return NOT_SUPPORTED;
    if (activation->mode == DNN_RELU ? activation->most < 1e38 : activation->mode != DNN_IDENTITY) return BAD_PARAM;
    return launch(handle, &made, algorithm, alpha, beta, workspace, workspace_size);
}
