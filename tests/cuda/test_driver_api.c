/* Tarn's own declarations of the driver's interface against the vendor's header, where that is installed: sizes, places of members, values.
 * Functions are compared by vendor_prototypes.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#if __has_include(<cuda.h>)
#include <cuda.h>

#include "backends/cuda/driver_api.h"
#include "same.h"

static void handles_and_numbers_have_the_vendors_sizes(void **state) {
    (void)state;
    SAME_SIZE(driver_device, CUdevice);
    SAME_SIZE(driver_pointer, CUdeviceptr);
    SAME_SIZE(driver_granule, CUmemGenericAllocationHandle);
    SAME_SIZE(driver_context, CUcontext);
    SAME_SIZE(driver_stream, CUstream);
    SAME_SIZE(driver_event, CUevent);
    SAME_SIZE(driver_graph, CUgraph);
    SAME_SIZE(driver_graph_node, CUgraphNode);
    SAME_SIZE(driver_executable, CUgraphExec);
    SAME_SIZE(driver_module, CUmodule);
    SAME_SIZE(driver_function, CUfunction);
    SAME_SIZE(driver_pool, CUmemoryPool);
    SAME_SIZE(driver_host_function, CUhostFn);
    SAME_SIZE(driver_result, CUresult);
    SAME_SIZE(driver_attribute, CUdevice_attribute);
    SAME_SIZE(driver_handle_type, CUmemAllocationHandleType);
    SAME_SIZE(driver_granularity, CUmemAllocationGranularity_flags);
    SAME_SIZE(driver_capture_mode, CUstreamCaptureMode);
    SAME_SIZE(driver_capture_status, CUstreamCaptureStatus);
    SAME_SIZE(driver_pool_attribute, CUmemPool_attribute);
}

static void structures_have_the_vendors_layout(void **state) {
    (void)state;
    SAME_SIZE(driver_location, CUmemLocation);
    SAME_PLACE(driver_location, type, CUmemLocation, type);
    SAME_PLACE(driver_location, id, CUmemLocation, id);
    SAME_SIZE(driver_allocation, CUmemAllocationProp);
    SAME_PLACE(driver_allocation, type, CUmemAllocationProp, type);
    SAME_PLACE(driver_allocation, handle_types, CUmemAllocationProp, requestedHandleTypes);
    SAME_PLACE(driver_allocation, location, CUmemAllocationProp, location);
    SAME_PLACE(driver_allocation, windows_metadata, CUmemAllocationProp, win32HandleMetaData);
    SAME_PLACE(driver_allocation, flags, CUmemAllocationProp, allocFlags);
    SAME_PLACE(driver_allocation, flags.is_rdma_capable, CUmemAllocationProp, allocFlags.gpuDirectRDMACapable);
    SAME_PLACE(driver_allocation, flags.usage, CUmemAllocationProp, allocFlags.usage);
    SAME_SIZE(driver_access, CUmemAccessDesc);
    SAME_PLACE(driver_access, location, CUmemAccessDesc, location);
    SAME_PLACE(driver_access, flags, CUmemAccessDesc, flags);
    SAME_SIZE(driver_pool_properties, CUmemPoolProps);
    SAME_PLACE(driver_pool_properties, type, CUmemPoolProps, allocType);
    SAME_PLACE(driver_pool_properties, handle_types, CUmemPoolProps, handleTypes);
    SAME_PLACE(driver_pool_properties, location, CUmemPoolProps, location);
    SAME_PLACE(driver_pool_properties, windows_attributes, CUmemPoolProps, win32SecurityAttributes);
    SAME_PLACE(driver_pool_properties, maximum_size, CUmemPoolProps, maxSize);
    SAME_SIZE(driver_fill, CUDA_MEMSET_NODE_PARAMS);
    SAME_PLACE(driver_fill, destination, CUDA_MEMSET_NODE_PARAMS, dst);
    SAME_PLACE(driver_fill, pitch, CUDA_MEMSET_NODE_PARAMS, pitch);
    SAME_PLACE(driver_fill, value, CUDA_MEMSET_NODE_PARAMS, value);
    SAME_PLACE(driver_fill, element_size, CUDA_MEMSET_NODE_PARAMS, elementSize);
    SAME_PLACE(driver_fill, width, CUDA_MEMSET_NODE_PARAMS, width);
    SAME_PLACE(driver_fill, height, CUDA_MEMSET_NODE_PARAMS, height);
    SAME_SIZE(driver_host_node, CUDA_HOST_NODE_PARAMS);
    SAME_PLACE(driver_host_node, function, CUDA_HOST_NODE_PARAMS, fn);
    SAME_PLACE(driver_host_node, context, CUDA_HOST_NODE_PARAMS, userData);
}

static void copies_have_the_vendors_layout(void **state) {
    (void)state;
    SAME_SIZE(driver_copy, CUDA_MEMCPY3D);
    SAME_PLACE(driver_copy, source.x, CUDA_MEMCPY3D, srcXInBytes);
    SAME_PLACE(driver_copy, source.y, CUDA_MEMCPY3D, srcY);
    SAME_PLACE(driver_copy, source.z, CUDA_MEMCPY3D, srcZ);
    SAME_PLACE(driver_copy, source.level, CUDA_MEMCPY3D, srcLOD);
    SAME_PLACE(driver_copy, source.type, CUDA_MEMCPY3D, srcMemoryType);
    SAME_PLACE(driver_copy, source.host, CUDA_MEMCPY3D, srcHost);
    SAME_PLACE(driver_copy, source.device, CUDA_MEMCPY3D, srcDevice);
    SAME_PLACE(driver_copy, source.array, CUDA_MEMCPY3D, srcArray);
    SAME_PLACE(driver_copy, source.pitch, CUDA_MEMCPY3D, srcPitch);
    SAME_PLACE(driver_copy, source.height, CUDA_MEMCPY3D, srcHeight);
    SAME_PLACE(driver_copy, destination.x, CUDA_MEMCPY3D, dstXInBytes);
    SAME_PLACE(driver_copy, destination.type, CUDA_MEMCPY3D, dstMemoryType);
    SAME_PLACE(driver_copy, destination.host, CUDA_MEMCPY3D, dstHost);
    SAME_PLACE(driver_copy, destination.device, CUDA_MEMCPY3D, dstDevice);
    SAME_PLACE(driver_copy, destination.array, CUDA_MEMCPY3D, dstArray);
    SAME_PLACE(driver_copy, destination.pitch, CUDA_MEMCPY3D, dstPitch);
    SAME_PLACE(driver_copy, destination.height, CUDA_MEMCPY3D, dstHeight);
    SAME_PLACE(driver_copy, width, CUDA_MEMCPY3D, WidthInBytes);
    SAME_PLACE(driver_copy, height, CUDA_MEMCPY3D, Height);
    SAME_PLACE(driver_copy, depth, CUDA_MEMCPY3D, Depth);
    SAME_SIZE(driver_peer_copy, CUDA_MEMCPY3D_PEER);
    SAME_PLACE(driver_peer_copy, source.context, CUDA_MEMCPY3D_PEER, srcContext);
    SAME_PLACE(driver_peer_copy, source.device, CUDA_MEMCPY3D_PEER, srcDevice);
    SAME_PLACE(driver_peer_copy, source.height, CUDA_MEMCPY3D_PEER, srcHeight);
    SAME_PLACE(driver_peer_copy, destination.context, CUDA_MEMCPY3D_PEER, dstContext);
    SAME_PLACE(driver_peer_copy, destination.device, CUDA_MEMCPY3D_PEER, dstDevice);
    SAME_PLACE(driver_peer_copy, destination.height, CUDA_MEMCPY3D_PEER, dstHeight);
    SAME_PLACE(driver_peer_copy, depth, CUDA_MEMCPY3D_PEER, Depth);
}

static void errors_have_the_vendors_numbers(void **state) {
    (void)state;
#define SAME_ERROR(name) SAME_VALUE(DRIVER_ERROR_##name, CUDA_ERROR_##name)
    SAME_VALUE(DRIVER_SUCCESS, CUDA_SUCCESS);
    SAME_ERROR(INVALID_VALUE);
    SAME_ERROR(OUT_OF_MEMORY);
    SAME_ERROR(NOT_INITIALIZED);
    SAME_ERROR(DEINITIALIZED);
    SAME_ERROR(STUB_LIBRARY);
    SAME_ERROR(DEVICE_UNAVAILABLE);
    SAME_ERROR(NO_DEVICE);
    SAME_ERROR(INVALID_DEVICE);
    SAME_ERROR(INVALID_IMAGE);
    SAME_ERROR(INVALID_CONTEXT);
    SAME_ERROR(NO_BINARY_FOR_GPU);
    SAME_ERROR(ECC_UNCORRECTABLE);
    SAME_ERROR(PEER_ACCESS_UNSUPPORTED);
    SAME_ERROR(INVALID_PTX);
    SAME_ERROR(INVALID_SOURCE);
    SAME_ERROR(NVLINK_UNCORRECTABLE);
    SAME_ERROR(JIT_COMPILER_NOT_FOUND);
    SAME_ERROR(UNSUPPORTED_PTX_VERSION);
    SAME_ERROR(JIT_COMPILATION_DISABLED);
#if CUDA_VERSION >= 13000
    SAME_ERROR(CONTAINED);
    SAME_ERROR(TENSOR_MEMORY_LEAK);
#endif
    SAME_ERROR(INVALID_HANDLE);
    SAME_ERROR(ILLEGAL_STATE);
    SAME_ERROR(NOT_FOUND);
    SAME_ERROR(NOT_READY);
    SAME_ERROR(ILLEGAL_ADDRESS);
    SAME_ERROR(LAUNCH_OUT_OF_RESOURCES);
    SAME_ERROR(LAUNCH_TIMEOUT);
    SAME_ERROR(PEER_ACCESS_ALREADY_ENABLED);
    SAME_ERROR(PEER_ACCESS_NOT_ENABLED);
    SAME_ERROR(CONTEXT_IS_DESTROYED);
    SAME_ERROR(ASSERT);
    SAME_ERROR(TOO_MANY_PEERS);
    SAME_ERROR(HARDWARE_STACK_ERROR);
    SAME_ERROR(ILLEGAL_INSTRUCTION);
    SAME_ERROR(MISALIGNED_ADDRESS);
    SAME_ERROR(INVALID_ADDRESS_SPACE);
    SAME_ERROR(INVALID_PC);
    SAME_ERROR(LAUNCH_FAILED);
    SAME_ERROR(NOT_PERMITTED);
    SAME_ERROR(NOT_SUPPORTED);
    SAME_ERROR(SYSTEM_NOT_READY);
    SAME_ERROR(SYSTEM_DRIVER_MISMATCH);
    SAME_ERROR(STREAM_CAPTURE_UNSUPPORTED);
    SAME_ERROR(STREAM_CAPTURE_INVALIDATED);
    SAME_ERROR(STREAM_CAPTURE_MERGE);
    SAME_ERROR(STREAM_CAPTURE_UNMATCHED);
    SAME_ERROR(STREAM_CAPTURE_UNJOINED);
    SAME_ERROR(STREAM_CAPTURE_ISOLATION);
    SAME_ERROR(STREAM_CAPTURE_IMPLICIT);
    SAME_ERROR(CAPTURED_EVENT);
    SAME_ERROR(STREAM_CAPTURE_WRONG_THREAD);
    SAME_ERROR(GRAPH_EXEC_UPDATE_FAILURE);
    SAME_ERROR(EXTERNAL_DEVICE);
    SAME_ERROR(UNKNOWN);
#undef SAME_ERROR
}

static void flags_have_the_vendors_values(void **state) {
    (void)state;
    SAME_VALUE(DRIVER_ATTRIBUTE_MAX_PITCH, CU_DEVICE_ATTRIBUTE_MAX_PITCH);
    SAME_VALUE(DRIVER_ATTRIBUTE_MULTIPROCESSOR_COUNT, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    SAME_VALUE(DRIVER_ATTRIBUTE_UNIFIED_ADDRESSING, CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING);
    SAME_VALUE(DRIVER_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
    SAME_VALUE(DRIVER_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    SAME_VALUE(DRIVER_ATTRIBUTE_MANAGED_MEMORY, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY);
    SAME_VALUE(DRIVER_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS);
    SAME_VALUE(DRIVER_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
               CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
    SAME_VALUE(DRIVER_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
               CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED);
    SAME_VALUE(DRIVER_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED);
    SAME_VALUE(DRIVER_STREAM_NON_BLOCKING, CU_STREAM_NON_BLOCKING);
    SAME_VALUE(DRIVER_EVENT_DEFAULT, CU_EVENT_DEFAULT);
    SAME_VALUE(DRIVER_EVENT_DISABLE_TIMING, CU_EVENT_DISABLE_TIMING);
    SAME_VALUE(DRIVER_MEMORY_ATTACH_GLOBAL, CU_MEM_ATTACH_GLOBAL);
    SAME_VALUE(DRIVER_HOST_PORTABLE, CU_MEMHOSTALLOC_PORTABLE);
    SAME_VALUE(DRIVER_HOST_DEVICE_MAP, CU_MEMHOSTALLOC_DEVICEMAP);
    SAME_VALUE(DRIVER_ALLOCATION_PINNED, CU_MEM_ALLOCATION_TYPE_PINNED);
    SAME_VALUE(DRIVER_HANDLE_NONE, CU_MEM_HANDLE_TYPE_NONE);
    SAME_VALUE(DRIVER_HANDLE_FILE_DESCRIPTOR, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
    SAME_VALUE(DRIVER_LOCATION_DEVICE, CU_MEM_LOCATION_TYPE_DEVICE);
    SAME_VALUE(DRIVER_ACCESS_NONE, CU_MEM_ACCESS_FLAGS_PROT_NONE);
    SAME_VALUE(DRIVER_ACCESS_READ_WRITE, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
    SAME_VALUE(DRIVER_GRANULARITY_MINIMUM, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
    SAME_VALUE(DRIVER_MEMORY_TYPE_UNIFIED, CU_MEMORYTYPE_UNIFIED);
    SAME_VALUE(DRIVER_CAPTURE_RELAXED, CU_STREAM_CAPTURE_MODE_RELAXED);
    SAME_VALUE(DRIVER_SYMBOL_FOUND, CU_GET_PROC_ADDRESS_SUCCESS);
    SAME_VALUE(DRIVER_SYMBOL_NOT_FOUND, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
    SAME_VALUE(DRIVER_SYMBOL_VERSION_NOT_SUFFICIENT, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    SAME_VALUE(DRIVER_CAPTURE_STATUS_NONE, CU_STREAM_CAPTURE_STATUS_NONE);
    SAME_VALUE(DRIVER_POOL_REUSE_FOLLOW_EVENT_DEPENDENCIES, CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES);
    SAME_VALUE(DRIVER_POOL_REUSE_ALLOW_OPPORTUNISTIC, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC);
    SAME_VALUE(DRIVER_POOL_REUSE_ALLOW_INTERNAL_DEPENDENCIES, CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES);
    SAME_VALUE(DRIVER_POOL_RELEASE_THRESHOLD, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD);
    SAME_VALUE(DRIVER_POOL_RESERVED_CURRENT, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
    SAME_VALUE(DRIVER_POOL_RESERVED_HIGH, CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH);
    SAME_VALUE(DRIVER_POOL_USED_CURRENT, CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
    SAME_VALUE(DRIVER_POOL_USED_HIGH, CU_MEMPOOL_ATTR_USED_MEM_HIGH);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handles_and_numbers_have_the_vendors_sizes),
        cmocka_unit_test(structures_have_the_vendors_layout),
        cmocka_unit_test(copies_have_the_vendors_layout),
        cmocka_unit_test(errors_have_the_vendors_numbers),
        cmocka_unit_test(flags_have_the_vendors_values),
    };
    return cmocka_run_group_tests_name("declarations of the CUDA driver", tests, NULL, NULL);
}
#else
static void declarations_are_compared_with_the_vendors_header(void **state) {
    (void)state;
    print_message("skipped: cuda.h is not installed\n");
    skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(declarations_are_compared_with_the_vendors_header)};
    return cmocka_run_group_tests_name("declarations of the CUDA driver", tests, NULL, NULL);
}
#endif
