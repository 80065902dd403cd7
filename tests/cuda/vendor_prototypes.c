/* Whether the functions in driver_symbols.h have the parameters that the vendor's header gives them: an error of the compiler where one has
 * not, on machines that have the header. */
#if __has_include(<cuda.h>)
#include <cuda.h>

typedef CUresult driver_result;
typedef CUdevice driver_device;
typedef CUdeviceptr driver_pointer;
typedef CUmemGenericAllocationHandle driver_granule;
typedef CUcontext driver_context;
typedef CUstream driver_stream;
typedef CUevent driver_event;
typedef CUgraph driver_graph;
typedef CUgraphNode driver_graph_node;
typedef CUgraphExec driver_executable;
typedef CUmodule driver_module;
typedef CUfunction driver_function;
typedef CUmemoryPool driver_pool;
typedef CUhostFn driver_host_function;
typedef CUmemAllocationHandleType driver_handle_type;
typedef CUmemAllocationGranularity_flags driver_granularity;
typedef CUstreamCaptureMode driver_capture_mode;
typedef CUstreamCaptureStatus driver_capture_status;
typedef CUmemPool_attribute driver_pool_attribute;
typedef CUdevice_attribute driver_attribute;
typedef CUmemAllocationProp driver_allocation;
typedef CUmemAccessDesc driver_access;
typedef CUmemPoolProps driver_pool_properties;
typedef CUDA_MEMCPY3D driver_copy;
typedef CUDA_MEMCPY3D_PEER driver_peer_copy;
typedef CUDA_MEMSET_NODE_PARAMS driver_fill;
typedef CUDA_HOST_NODE_PARAMS driver_host_node;

/* The name is replaced by that of its version before the type is asked for. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define CUDA_SYMBOL(name, parameters) \
    _Static_assert(__builtin_types_compatible_p(__typeof__(name), CUresult parameters), #name);
#include "backends/cuda/driver_symbols.h"
#undef CUDA_SYMBOL
#endif
