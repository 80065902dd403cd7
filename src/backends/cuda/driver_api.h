/* The part of the CUDA driver's interface that Tarn uses, declared from its documentation, so that no toolkit is needed to
 * build and nothing is linked.
 *
 * Names begin with `driver_`, so that this header and the vendor's can be compared in one test (tests/cuda/test_driver_api.c): all
 * types have the size and the layout, and all constants the values, of CUDA 12.0, which later drivers keep. Handles are pointers to
 * what only the driver knows. */
#ifndef CUDA_DRIVER_API_H
#define CUDA_DRIVER_API_H

#include <stddef.h>
#include <stdint.h>

/* The interface that all functions are asked for: CUDA 12.0. */
#define DRIVER_VERSION 12000

typedef int driver_device;
typedef unsigned long long driver_pointer; /* an address that the device knows */
typedef unsigned long long driver_granule; /* physical memory, CUmemGenericAllocationHandle */
typedef struct driver_context_object *driver_context;
typedef struct driver_stream_object *driver_stream;
typedef struct driver_event_object *driver_event;
typedef struct driver_graph_object *driver_graph;
typedef struct driver_graph_node_object *driver_graph_node;
typedef struct driver_executable_object *driver_executable; /* an instantiated graph, CUgraphExec */
typedef struct driver_module_object *driver_module;
typedef struct driver_function_object *driver_function;
typedef struct driver_pool_object *driver_pool;
typedef struct driver_array_object *driver_array;
typedef void (*driver_host_function)(void *context);
/* Enumerations of which Tarn has only some values, below. */
typedef unsigned driver_handle_type;
typedef unsigned driver_location_type;
typedef unsigned driver_allocation_type;
typedef unsigned driver_access_flags;
typedef unsigned driver_granularity;
typedef unsigned driver_memory_type;
typedef unsigned driver_capture_mode;
typedef unsigned driver_capture_status;
typedef unsigned driver_pool_attribute;

/* What every function answers. */
typedef enum driver_result {
    DRIVER_SUCCESS = 0,
    DRIVER_ERROR_INVALID_VALUE = 1,
    DRIVER_ERROR_OUT_OF_MEMORY = 2,
    DRIVER_ERROR_NOT_INITIALIZED = 3,
    DRIVER_ERROR_DEINITIALIZED = 4,
    DRIVER_ERROR_STUB_LIBRARY = 34,
    DRIVER_ERROR_DEVICE_UNAVAILABLE = 46,
    DRIVER_ERROR_NO_DEVICE = 100,
    DRIVER_ERROR_INVALID_DEVICE = 101,
    DRIVER_ERROR_INVALID_IMAGE = 200,
    DRIVER_ERROR_INVALID_CONTEXT = 201,
    DRIVER_ERROR_NO_BINARY_FOR_GPU = 209,
    DRIVER_ERROR_ECC_UNCORRECTABLE = 214,
    DRIVER_ERROR_PEER_ACCESS_UNSUPPORTED = 217,
    DRIVER_ERROR_INVALID_PTX = 218,
    DRIVER_ERROR_NVLINK_UNCORRECTABLE = 220,
    DRIVER_ERROR_JIT_COMPILER_NOT_FOUND = 221,
    DRIVER_ERROR_UNSUPPORTED_PTX_VERSION = 222,
    DRIVER_ERROR_JIT_COMPILATION_DISABLED = 223,
    DRIVER_ERROR_CONTAINED = 226,      /* by the hardware: the process has to end all the same */
    DRIVER_ERROR_INVALID_SOURCE = 300, /* of kernels: what the driver was to compile */
    DRIVER_ERROR_INVALID_HANDLE = 400,
    DRIVER_ERROR_ILLEGAL_STATE = 401,
    DRIVER_ERROR_NOT_FOUND = 500,
    DRIVER_ERROR_NOT_READY = 600,
    DRIVER_ERROR_ILLEGAL_ADDRESS = 700,
    DRIVER_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
    DRIVER_ERROR_LAUNCH_TIMEOUT = 702,
    DRIVER_ERROR_PEER_ACCESS_ALREADY_ENABLED = 704,
    DRIVER_ERROR_PEER_ACCESS_NOT_ENABLED = 705,
    DRIVER_ERROR_CONTEXT_IS_DESTROYED = 709,
    DRIVER_ERROR_ASSERT = 710,
    DRIVER_ERROR_TOO_MANY_PEERS = 711,
    DRIVER_ERROR_HARDWARE_STACK_ERROR = 714,
    DRIVER_ERROR_ILLEGAL_INSTRUCTION = 715,
    DRIVER_ERROR_MISALIGNED_ADDRESS = 716,
    DRIVER_ERROR_INVALID_ADDRESS_SPACE = 717,
    DRIVER_ERROR_INVALID_PC = 718,
    DRIVER_ERROR_LAUNCH_FAILED = 719,
    DRIVER_ERROR_TENSOR_MEMORY_LEAK = 721,
    DRIVER_ERROR_NOT_PERMITTED = 800,
    DRIVER_ERROR_NOT_SUPPORTED = 801,
    DRIVER_ERROR_SYSTEM_NOT_READY = 802,
    DRIVER_ERROR_SYSTEM_DRIVER_MISMATCH = 803,
    DRIVER_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
    DRIVER_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
    DRIVER_ERROR_STREAM_CAPTURE_MERGE = 902,
    DRIVER_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
    DRIVER_ERROR_STREAM_CAPTURE_UNJOINED = 904,
    DRIVER_ERROR_STREAM_CAPTURE_ISOLATION = 905,
    DRIVER_ERROR_STREAM_CAPTURE_IMPLICIT = 906,
    DRIVER_ERROR_CAPTURED_EVENT = 907,
    DRIVER_ERROR_STREAM_CAPTURE_WRONG_THREAD = 908,
    DRIVER_ERROR_GRAPH_EXEC_UPDATE_FAILURE = 910,
    DRIVER_ERROR_EXTERNAL_DEVICE = 911,
    DRIVER_ERROR_UNKNOWN = 999
} driver_result;

typedef enum driver_attribute {
    DRIVER_ATTRIBUTE_MAX_PITCH = 11,
    DRIVER_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
    DRIVER_ATTRIBUTE_UNIFIED_ADDRESSING = 41,
    DRIVER_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
    DRIVER_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
    DRIVER_ATTRIBUTE_MANAGED_MEMORY = 83,
    DRIVER_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS = 89,
    DRIVER_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED = 102,
    DRIVER_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED = 103,
    DRIVER_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115
} driver_attribute;

/* Flags and small enumerations. */
enum {
    DRIVER_STREAM_NON_BLOCKING = 1,
    DRIVER_EVENT_DEFAULT = 0,
    DRIVER_EVENT_DISABLE_TIMING = 2,
    DRIVER_MEMORY_ATTACH_GLOBAL = 1,
    DRIVER_HOST_PORTABLE = 1,
    DRIVER_HOST_DEVICE_MAP = 2,
    DRIVER_ALLOCATION_PINNED = 1,
    DRIVER_HANDLE_NONE = 0,
    DRIVER_HANDLE_FILE_DESCRIPTOR = 1,
    DRIVER_LOCATION_DEVICE = 1,
    DRIVER_ACCESS_NONE = 0,
    DRIVER_ACCESS_READ_WRITE = 3,
    DRIVER_GRANULARITY_MINIMUM = 0,
    DRIVER_MEMORY_TYPE_UNIFIED = 4,
    DRIVER_CAPTURE_RELAXED = 2,
    DRIVER_SYMBOL_FOUND = 0,
    DRIVER_SYMBOL_NOT_FOUND = 1,
    DRIVER_SYMBOL_VERSION_NOT_SUFFICIENT = 2,
    DRIVER_CAPTURE_STATUS_NONE = 0,
    DRIVER_POOL_REUSE_FOLLOW_EVENT_DEPENDENCIES = 1,
    DRIVER_POOL_REUSE_ALLOW_OPPORTUNISTIC = 2,
    DRIVER_POOL_REUSE_ALLOW_INTERNAL_DEPENDENCIES = 3,
    DRIVER_POOL_RELEASE_THRESHOLD = 4,
    DRIVER_POOL_RESERVED_CURRENT = 5,
    DRIVER_POOL_RESERVED_HIGH = 6,
    DRIVER_POOL_USED_CURRENT = 7,
    DRIVER_POOL_USED_HIGH = 8
};

typedef struct driver_location {
    driver_location_type type;
    int id;
} driver_location;

typedef struct driver_allocation {
    driver_allocation_type type;
    driver_handle_type handle_types;
    driver_location location;
    void *windows_metadata;
    struct {
        unsigned char compression_type;
        unsigned char is_rdma_capable;
        unsigned short usage;
        unsigned char reserved[4];
    } flags;
} driver_allocation;

typedef struct driver_access {
    driver_location location;
    driver_access_flags flags;
} driver_access;

typedef struct driver_pool_properties {
    driver_allocation_type type;
    driver_handle_type handle_types;
    driver_location location;
    void *windows_attributes;
    size_t maximum_size;
    unsigned char reserved[56];
} driver_pool_properties;

/* CUDA_MEMCPY3D and CUDA_MEMCPY3D_PEER: one side of a copy, then the other, then its extent. */
typedef struct driver_copy_side {
    size_t x, y, z, level;
    driver_memory_type type;
    const void *host;
    driver_pointer device;
    driver_array array;
    driver_context context; /* of a copy between devices; NULL in others */
    size_t pitch, height;
} driver_copy_side;

typedef struct driver_copy {
    driver_copy_side source, destination;
    size_t width, height, depth; /* bytes, rows, layers */
} driver_copy;
typedef driver_copy driver_peer_copy;

typedef struct driver_fill {
    driver_pointer destination;
    size_t pitch; /* bytes from row to row */
    unsigned value;
    unsigned element_size; /* bytes: 1, 2 or 4 */
    size_t width;          /* elements */
    size_t height;         /* rows */
} driver_fill;

typedef struct driver_host_node {
    driver_host_function function;
    void *context;
} driver_host_node;

#endif
