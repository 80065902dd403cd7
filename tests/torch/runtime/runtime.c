/* A stand-in for the CUDA runtime, libcudart, on the fake driver of tests/fakecuda: as much of it as PyTorch needs to make tensors on "cuda", copy
 * them, use streams and capture graphs on a machine without a GPU. NVIDIA's own runtime does not start on a driver of others: it calls functions of
 * tables that are documented nowhere (cuGetExportTable). Each function here is the driver's of the same meaning. Kernels are accepted and not run, so
 * that what they would have written is undefined; everything about memory is real. What is missing ends the process when it is first called, with its
 * name, provided that PyTorch was loaded with RTLD_LAZY. */
#include <string.h>

#include "declarations.h"
#include "prototypes.h"
#include "prototypes_old.h"

#pragma GCC visibility push(default)

typedef struct dim3 {
    unsigned x, y, z;
} dim3;

typedef enum copy_kind { HOST_TO_HOST = 0, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE, BY_ADDRESS } copy_kind;

/* Status numbers are the driver's own; the runtime has had the same since CUDA 10.1. */
static _Thread_local CUresult last_error;
static _Thread_local int current;

static CUresult note(CUresult result) {
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_NOT_READY) last_error = result;
    return result;
}

/* Primary contexts are retained for good, once for each call. */
CUresult cudaSetDevice(int device) {
    CUcontext context = NULL;
    CUresult result = cuInit(0);
    if (result == CUDA_SUCCESS) result = cuDevicePrimaryCtxRetain(&context, device);
    if (result == CUDA_SUCCESS) result = cuCtxSetCurrent(context);
    if (result == CUDA_SUCCESS) current = device;
    return note(result);
}

/* A thread that has not chosen a device has the first. */
static void begin(void) {
    CUcontext context = NULL;
    if (cuInit(0) == CUDA_SUCCESS && cuCtxGetCurrent(&context) == CUDA_SUCCESS && context == NULL)
        (void)cudaSetDevice(current);
}

CUresult cudaGetDevice(int *out) {
    *out = current;
    return CUDA_SUCCESS;
}

CUresult cudaGetDeviceCount(int *out) {
    CUresult result = cuInit(0);
    return note(result == CUDA_SUCCESS ? cuDeviceGetCount(out) : result);
}

CUresult cudaDriverGetVersion(int *out) { return note(cuDriverGetVersion(out)); }
CUresult cudaRuntimeGetVersion(int *out) { return note(cuDriverGetVersion(out)); }

/* The members of cudaDeviceProp that PyTorch looks at and that lie in the same place in CUDA 12 and 13; those behind them are left alone. The number
 * of processors lies in one of two places. */
static CUresult describe_device(void *out_properties, int device) {
    struct properties {
        char name[256], identity[32];
        size_t memory_total, shared_per_block;
        int registers_per_block, warp_size;
        size_t pitch;
        int threads_per_block, block[3], grid[3], clock;
        size_t constant_memory;
        int major, minor;
        size_t alignment, pitch_alignment;
        int processors[2];
    } *properties = out_properties;
    CUresult result = cuInit(0);
    memset(properties, 0, sizeof *properties);
    if (result == CUDA_SUCCESS) result = cuDeviceTotalMem_v2(&properties->memory_total, device);
    if (result == CUDA_SUCCESS) result = cuDeviceGetName(properties->name, sizeof properties->name, device);
    properties->shared_per_block = 48U << 10;
    properties->warp_size = 32;
    properties->threads_per_block = properties->block[0] = properties->block[1] = 1024;
    properties->block[2] = 64;
    properties->grid[0] = properties->grid[1] = properties->grid[2] = 65535;
    properties->major = 9;
    properties->processors[0] = properties->processors[1] = 2;
    return note(result);
}

CUresult cudaGetDeviceProperties(void *out, int device) { return describe_device(out, device); }
CUresult cudaGetDeviceProperties_v2(void *out, int device) { return describe_device(out, device); }

CUresult cudaDeviceGetStreamPriorityRange(int *out_least, int *out_greatest) {
    begin();
    return note(cuCtxGetStreamPriorityRange(out_least, out_greatest));
}

CUresult cudaDeviceSynchronize(void) {
    begin();
    return note(cuCtxSynchronize());
}

CUresult cudaMemGetInfo(size_t *out_free, size_t *out_total) {
    begin();
    return note(cuMemGetInfo_v2(out_free, out_total));
}

/* PyTorch's own allocator asks here, Tarn does not. */
CUresult cudaMalloc(void **out, size_t size) {
    CUdeviceptr address = 0;
    begin();
    CUresult result = cuMemAlloc_v2(&address, size);
    *out = (void *)(uintptr_t)address;
    return note(result);
}

CUresult cudaFree(void *pointer) {
    begin();
    return pointer != NULL ? note(cuMemFree_v2((uintptr_t)pointer)) : CUDA_SUCCESS;
}

CUresult cudaMemsetAsync(void *pointer, int value, size_t size, CUstream stream) {
    begin();
    return note(cuMemsetD8Async((uintptr_t)pointer, (unsigned char)value, size, stream));
}

CUresult cudaMemcpyAsync(void *to, const void *from, size_t size, copy_kind kind, CUstream stream) {
    begin();
    switch (kind) {
    case HOST_TO_DEVICE: return note(cuMemcpyHtoDAsync_v2((uintptr_t)to, from, size, stream));
    case DEVICE_TO_HOST: return note(cuMemcpyDtoHAsync_v2(to, (uintptr_t)from, size, stream));
    case DEVICE_TO_DEVICE: return note(cuMemcpyDtoDAsync_v2((uintptr_t)to, (uintptr_t)from, size, stream));
    case HOST_TO_HOST:
    case BY_ADDRESS: break;
    }
    return note(CUDA_ERROR_NOT_SUPPORTED);
}

CUresult cudaMemcpyPeerAsync(void *to, int to_device, const void *from, int from_device, size_t size, CUstream stream) {
    CUcontext to_context = NULL, from_context = NULL;
    begin();
    CUresult result = cuDevicePrimaryCtxRetain(&to_context, to_device);
    if (result == CUDA_SUCCESS) result = cuDevicePrimaryCtxRetain(&from_context, from_device);
    if (result == CUDA_SUCCESS)
        result = cuMemcpyPeerAsync((uintptr_t)to, to_context, (uintptr_t)from, from_context, size, stream);
    return note(result);
}

CUresult cudaStreamSynchronize(CUstream stream) {
    begin();
    return note(cuStreamSynchronize(stream));
}

CUresult cudaMemcpy(void *to, const void *from, size_t size, copy_kind kind) {
    CUresult result = cudaMemcpyAsync(to, from, size, kind, NULL);
    return result == CUDA_SUCCESS ? cudaStreamSynchronize(NULL) : result;
}

/* No memory of the host is pinned here. */
CUresult cudaPointerGetAttributes(void *out_attributes, const void *pointer) {
    (void)pointer;
    memset(out_attributes, 0, 2 * sizeof(int) + 2 * sizeof(void *));
    return CUDA_SUCCESS;
}

CUresult cudaStreamCreateWithPriority(CUstream *out, unsigned flags, int priority) {
    begin();
    return note(cuStreamCreateWithPriority(out, flags, priority));
}
CUresult cudaStreamQuery(CUstream stream) {
    begin();
    return note(cuStreamQuery(stream));
}
CUresult cudaStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
    return note(cuStreamWaitEvent(stream, event, flags));
}

CUresult cudaEventCreateWithFlags(CUevent *out, unsigned flags) {
    begin();
    return note(cuEventCreate(out, flags));
}
CUresult cudaEventDestroy(CUevent event) { return note(cuEventDestroy_v2(event)); }
CUresult cudaEventQuery(CUevent event) { return note(cuEventQuery(event)); }
CUresult cudaEventRecord(CUevent event, CUstream stream) { return note(cuEventRecord(event, stream)); }
CUresult cudaEventSynchronize(CUevent event) { return note(cuEventSynchronize(event)); }

CUresult cudaStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *out) {
    begin();
    return note(cuStreamIsCapturing(stream, out));
}
CUresult cudaStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                  const CUgraphNode **nodes, const CUgraphEdgeData **edges, size_t *count) {
    begin();
    return note(cuStreamGetCaptureInfo_v3(stream, status, id, graph, nodes, edges, count));
}
CUresult cudaStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
                                     const CUgraphNode **nodes, size_t *count) {
    begin();
    return note(cuStreamGetCaptureInfo_v2(stream, status, id, graph, nodes, count));
}
CUresult cudaStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
    return note(cuStreamBeginCapture_v2(stream, mode));
}
CUresult cudaStreamEndCapture(CUstream stream, CUgraph *out) { return note(cuStreamEndCapture(stream, out)); }
CUresult cudaThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
    return note(cuThreadExchangeStreamCaptureMode(mode));
}
CUresult cudaGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count) {
    return note(cuGraphGetNodes(graph, nodes, count));
}
CUresult cudaGraphInstantiate(CUgraphExec *out, CUgraph graph, unsigned long long flags) {
    return note(cuGraphInstantiateWithFlags(out, graph, flags));
}
CUresult cudaGraphInstantiateWithFlags(CUgraphExec *out, CUgraph graph, unsigned long long flags) {
    return note(cuGraphInstantiateWithFlags(out, graph, flags));
}
CUresult cudaGraphLaunch(CUgraphExec graph, CUstream stream) { return note(cuGraphLaunch(graph, stream)); }
CUresult cudaGraphDestroy(CUgraph graph) { return note(cuGraphDestroy(graph)); }
CUresult cudaGraphExecDestroy(CUgraphExec graph) { return note(cuGraphExecDestroy(graph)); }

CUresult cudaGetLastError(void) {
    CUresult error = last_error;
    last_error = CUDA_SUCCESS;
    return error;
}
CUresult cudaPeekAtLastError(void) { return last_error; }

const char *cudaGetErrorString(CUresult error) {
    const char *sentence = NULL;
    return cuGetErrorString(error, &sentence) == CUDA_SUCCESS ? sentence : "no error of the driver";
}
const char *cudaGetErrorName(CUresult error) {
    const char *name = NULL;
    return cuGetErrorName(error, &name) == CUDA_SUCCESS ? name : "no error of the driver";
}

/* Without entry points PyTorch does without what it would call there: the driver's virtual memory, for its own allocator. */
CUresult cudaGetDriverEntryPoint(const char *name, void **out, unsigned long long flags, int *out_found) {
    (void)name, (void)flags;
    *out = NULL;
    if (out_found != NULL) *out_found = 1;
    return CUDA_ERROR_NOT_SUPPORTED;
}
CUresult cudaGetDriverEntryPointByVersion(const char *name, void **out, unsigned version, unsigned long long flags,
                                          int *out_found) {
    (void)version;
    return cudaGetDriverEntryPoint(name, out, flags, out_found);
}

CUresult cudaProfilerStart(void) { return CUDA_SUCCESS; }
CUresult cudaProfilerStop(void) { return CUDA_SUCCESS; }

/* What nvcc's code calls: when a library with kernels is loaded, and for each launch. */
void **__cudaRegisterFatBinary(void *binary) {
    static void *handle;
    (void)binary;
    return &handle;
}
void __cudaRegisterFatBinaryEnd(void **handle) { (void)handle; }
void __cudaUnregisterFatBinary(void **handle) { (void)handle; }
void __cudaRegisterFunction(void) {}
void __cudaRegisterVar(void) {}
char __cudaInitModule(void **handle) {
    (void)handle;
    return 0;
}
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void *stream) {
    (void)grid, (void)block, (void)shared, (void)stream;
    return 0;
}
CUresult __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
    *grid = *block = (dim3){1, 1, 1};
    *shared = 0;
    *(void **)stream = NULL;
    return CUDA_SUCCESS;
}
/* CUDA 13's code asks for a kernel first. */
CUresult __cudaGetKernel(const void **out, const void *function) {
    *out = function;
    return CUDA_SUCCESS;
}
CUresult __cudaLaunchKernel(const void *kernel, dim3 grid, dim3 block, void **arguments, size_t shared,
                            CUstream stream) {
    (void)kernel, (void)grid, (void)block, (void)arguments, (void)shared, (void)stream;
    return CUDA_SUCCESS;
}
CUresult cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **arguments, size_t shared,
                          CUstream stream) {
    (void)function, (void)grid, (void)block, (void)arguments, (void)shared, (void)stream;
    return CUDA_SUCCESS;
}

#pragma GCC visibility pop
