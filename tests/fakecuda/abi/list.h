/* What the comparison with the vendor's header goes through: constants, types, and members of structures. */
#ifndef FAKECUDA_ABI_LIST_H
#define FAKECUDA_ABI_LIST_H

#define ABI_CONSTANTS(X)                                               \
    X(CU_STREAM_DEFAULT)                                               \
    X(CU_STREAM_NON_BLOCKING)                                          \
    X(CU_EVENT_DEFAULT)                                                \
    X(CU_EVENT_BLOCKING_SYNC)                                          \
    X(CU_EVENT_DISABLE_TIMING)                                         \
    X(CU_EVENT_INTERPROCESS)                                           \
    X(CU_EVENT_RECORD_DEFAULT)                                         \
    X(CU_EVENT_RECORD_EXTERNAL)                                        \
    X(CU_EVENT_WAIT_DEFAULT)                                           \
    X(CU_EVENT_WAIT_EXTERNAL)                                          \
    X(CU_MEMHOSTALLOC_PORTABLE)                                        \
    X(CU_MEMHOSTALLOC_DEVICEMAP)                                       \
    X(CU_MEMHOSTALLOC_WRITECOMBINED)                                   \
    X(CU_MEMHOSTREGISTER_PORTABLE)                                     \
    X(CU_MEMHOSTREGISTER_DEVICEMAP)                                    \
    X(CU_MEMHOSTREGISTER_IOMEMORY)                                     \
    X(CU_MEMHOSTREGISTER_READ_ONLY)                                    \
    X(CU_MEM_ATTACH_GLOBAL)                                            \
    X(CU_MEM_ATTACH_HOST)                                              \
    X(CU_MEM_ATTACH_SINGLE)                                            \
    X(CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)                              \
    X(CU_CTX_SCHED_AUTO)                                               \
    X(CU_CTX_SCHED_BLOCKING_SYNC)                                      \
    X(CU_CTX_MAP_HOST)                                                 \
    X(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)                       \
    X(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X)                             \
    X(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y)                             \
    X(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z)                             \
    X(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X)                              \
    X(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y)                              \
    X(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z)                              \
    X(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK)                 \
    X(CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY)                       \
    X(CU_DEVICE_ATTRIBUTE_WARP_SIZE)                                   \
    X(CU_DEVICE_ATTRIBUTE_MAX_PITCH)                                   \
    X(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK)                     \
    X(CU_DEVICE_ATTRIBUTE_CLOCK_RATE)                                  \
    X(CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT)                           \
    X(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)                        \
    X(CU_DEVICE_ATTRIBUTE_KERNEL_EXEC_TIMEOUT)                         \
    X(CU_DEVICE_ATTRIBUTE_INTEGRATED)                                  \
    X(CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY)                         \
    X(CU_DEVICE_ATTRIBUTE_COMPUTE_MODE)                                \
    X(CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS)                          \
    X(CU_DEVICE_ATTRIBUTE_ECC_ENABLED)                                 \
    X(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID)                                  \
    X(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID)                               \
    X(CU_DEVICE_ATTRIBUTE_TCC_DRIVER)                                  \
    X(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)                           \
    X(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)                     \
    X(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)                               \
    X(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR)              \
    X(CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT)                          \
    X(CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING)                          \
    X(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID)                               \
    X(CU_DEVICE_ATTRIBUTE_TEXTURE_PITCH_ALIGNMENT)                     \
    X(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)                    \
    X(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)                    \
    X(CU_DEVICE_ATTRIBUTE_STREAM_PRIORITIES_SUPPORTED)                 \
    X(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)        \
    X(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR)            \
    X(CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY)                              \
    X(CU_DEVICE_ATTRIBUTE_MULTI_GPU_BOARD)                             \
    X(CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS)                      \
    X(CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS)                   \
    X(CU_DEVICE_ATTRIBUTE_COMPUTE_PREEMPTION_SUPPORTED)                \
    X(CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM)     \
    X(CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH)                          \
    X(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)           \
    X(CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED)                     \
    X(CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED)         \
    X(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED) \
    X(CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR)               \
    X(CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED)     \
    X(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK)            \
    X(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)                      \
    X(CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES)              \
    X(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH)                              \
    X(CU_DEVICE_ATTRIBUTE_IPC_EVENT_SUPPORTED)                         \
    X(CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED)                \
    X(CU_DEVICE_P2P_ATTRIBUTE_PERFORMANCE_RANK)                        \
    X(CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED)                        \
    X(CU_DEVICE_P2P_ATTRIBUTE_NATIVE_ATOMIC_SUPPORTED)                 \
    X(CU_DEVICE_P2P_ATTRIBUTE_CUDA_ARRAY_ACCESS_SUPPORTED)             \
    X(CU_MEMORYTYPE_HOST)                                              \
    X(CU_MEMORYTYPE_DEVICE)                                            \
    X(CU_MEMORYTYPE_ARRAY)                                             \
    X(CU_MEMORYTYPE_UNIFIED)                                           \
    X(CU_POINTER_ATTRIBUTE_CONTEXT)                                    \
    X(CU_POINTER_ATTRIBUTE_MEMORY_TYPE)                                \
    X(CU_POINTER_ATTRIBUTE_DEVICE_POINTER)                             \
    X(CU_POINTER_ATTRIBUTE_HOST_POINTER)                               \
    X(CU_POINTER_ATTRIBUTE_SYNC_MEMOPS)                                \
    X(CU_POINTER_ATTRIBUTE_BUFFER_ID)                                  \
    X(CU_POINTER_ATTRIBUTE_IS_MANAGED)                                 \
    X(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)                             \
    X(CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE)                 \
    X(CU_POINTER_ATTRIBUTE_RANGE_START_ADDR)                           \
    X(CU_POINTER_ATTRIBUTE_RANGE_SIZE)                                 \
    X(CU_POINTER_ATTRIBUTE_MAPPED)                                     \
    X(CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES)                       \
    X(CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE)                 \
    X(CU_POINTER_ATTRIBUTE_ACCESS_FLAGS)                               \
    X(CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE)                             \
    X(CU_POINTER_ATTRIBUTE_MAPPING_SIZE)                               \
    X(CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR)                          \
    X(CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID)                            \
    X(CU_MEM_LOCATION_TYPE_INVALID)                                    \
    X(CU_MEM_LOCATION_TYPE_DEVICE)                                     \
    X(CU_MEM_LOCATION_TYPE_HOST)                                       \
    X(CU_MEM_LOCATION_TYPE_HOST_NUMA)                                  \
    X(CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT)                          \
    X(CU_MEM_LOCATION_TYPE_MAX)                                        \
    X(CU_MEM_ALLOCATION_TYPE_INVALID)                                  \
    X(CU_MEM_ALLOCATION_TYPE_PINNED)                                   \
    X(CU_MEM_ALLOCATION_TYPE_MAX)                                      \
    X(CU_MEM_ALLOC_GRANULARITY_MINIMUM)                                \
    X(CU_MEM_ALLOC_GRANULARITY_RECOMMENDED)                            \
    X(CU_MEM_HANDLE_TYPE_NONE)                                         \
    X(CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)                        \
    X(CU_MEM_HANDLE_TYPE_WIN32)                                        \
    X(CU_MEM_HANDLE_TYPE_WIN32_KMT)                                    \
    X(CU_MEM_HANDLE_TYPE_FABRIC)                                       \
    X(CU_MEM_HANDLE_TYPE_MAX)                                          \
    X(CU_MEM_ACCESS_FLAGS_PROT_NONE)                                   \
    X(CU_MEM_ACCESS_FLAGS_PROT_READ)                                   \
    X(CU_MEM_ACCESS_FLAGS_PROT_READWRITE)                              \
    X(CU_MEM_ACCESS_FLAGS_PROT_MAX)                                    \
    X(CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES)                 \
    X(CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC)                       \
    X(CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES)               \
    X(CU_MEMPOOL_ATTR_RELEASE_THRESHOLD)                               \
    X(CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)                            \
    X(CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH)                               \
    X(CU_MEMPOOL_ATTR_USED_MEM_CURRENT)                                \
    X(CU_MEMPOOL_ATTR_USED_MEM_HIGH)                                   \
    X(CU_GET_PROC_ADDRESS_DEFAULT)                                     \
    X(CU_GET_PROC_ADDRESS_LEGACY_STREAM)                               \
    X(CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)                   \
    X(CU_GET_PROC_ADDRESS_SUCCESS)                                     \
    X(CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND)                            \
    X(CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT)                      \
    X(CU_STREAM_CAPTURE_STATUS_NONE)                                   \
    X(CU_STREAM_CAPTURE_STATUS_ACTIVE)                                 \
    X(CU_STREAM_CAPTURE_STATUS_INVALIDATED)                            \
    X(CU_STREAM_CAPTURE_MODE_GLOBAL)                                   \
    X(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)                             \
    X(CU_STREAM_CAPTURE_MODE_RELAXED)                                  \
    X(CU_STREAM_ADD_CAPTURE_DEPENDENCIES)                              \
    X(CU_STREAM_SET_CAPTURE_DEPENDENCIES)                              \
    X(CU_GRAPH_NODE_TYPE_KERNEL)                                       \
    X(CU_GRAPH_NODE_TYPE_MEMCPY)                                       \
    X(CU_GRAPH_NODE_TYPE_MEMSET)                                       \
    X(CU_GRAPH_NODE_TYPE_HOST)                                         \
    X(CU_GRAPH_NODE_TYPE_GRAPH)                                        \
    X(CU_GRAPH_NODE_TYPE_EMPTY)                                        \
    X(CU_GRAPH_NODE_TYPE_WAIT_EVENT)                                   \
    X(CU_GRAPH_NODE_TYPE_EVENT_RECORD)                                 \
    X(CU_GRAPH_NODE_TYPE_MEM_ALLOC)                                    \
    X(CU_GRAPH_NODE_TYPE_MEM_FREE)                                     \
    X(CUDA_GRAPH_INSTANTIATE_SUCCESS)                                  \
    X(CUDA_GRAPH_INSTANTIATE_ERROR)                                    \
    X(CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE)                        \
    X(CUDA_GRAPH_INSTANTIATE_NODE_OPERATION_NOT_SUPPORTED)             \
    X(CUDA_GRAPH_INSTANTIATE_MULTIPLE_CTXS_NOT_SUPPORTED)              \
    X(CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH)                 \
    X(CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD)                              \
    X(CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH)                       \
    X(CUDA_GRAPH_INSTANTIATE_FLAG_USE_NODE_PRIORITY)                   \
    X(CU_GRAPH_EXEC_UPDATE_SUCCESS)                                    \
    X(CU_GRAPH_EXEC_UPDATE_ERROR)                                      \
    X(CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED)                     \
    X(CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED)                    \
    X(CU_GRAPH_EXEC_UPDATE_ERROR_FUNCTION_CHANGED)                     \
    X(CU_GRAPH_EXEC_UPDATE_ERROR_PARAMETERS_CHANGED)                   \
    X(CU_GRAPH_EXEC_UPDATE_ERROR_NOT_SUPPORTED)                        \
    X(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT)                              \
    X(CU_GRAPH_MEM_ATTR_USED_MEM_HIGH)                                 \
    X(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT)                          \
    X(CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)                             \
    X(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK)                         \
    X(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES)                             \
    X(CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES)                              \
    X(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES)                              \
    X(CU_FUNC_ATTRIBUTE_NUM_REGS)                                      \
    X(CU_FUNC_ATTRIBUTE_PTX_VERSION)                                   \
    X(CU_FUNC_ATTRIBUTE_BINARY_VERSION)                                \
    X(CU_FUNC_ATTRIBUTE_CACHE_MODE_CA)                                 \
    X(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)                 \
    X(CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT)              \
    X(CU_JIT_MAX_REGISTERS)                                            \
    X(CU_LIBRARY_HOST_UNIVERSAL_FUNCTION_AND_DATA_TABLE)               \
    X(CU_LAUNCH_ATTRIBUTE_IGNORE)                                      \
    X(CU_LAUNCH_ATTRIBUTE_COOPERATIVE)                                 \
    X(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)                           \
    X(CU_LAUNCH_ATTRIBUTE_PRIORITY)

#define ABI_TYPES(X)                 \
    X(CUresult)                      \
    X(CUdevice)                      \
    X(CUdeviceptr)                   \
    X(CUmemGenericAllocationHandle)  \
    X(CUcontext)                     \
    X(CUstream)                      \
    X(CUevent)                       \
    X(CUhostFn)                      \
    X(CUlaunchAttributeValue)        \
    X(CUdevice_attribute)            \
    X(CUmemorytype)                  \
    X(CUuuid)                        \
    X(CUipcEventHandle)              \
    X(CUipcMemHandle)                \
    X(CUmemLocation)                 \
    X(CUmemAllocationProp)           \
    X(CUmemAccessDesc)               \
    X(CUmemPoolProps)                \
    X(CUmemPoolPtrExportData)        \
    X(CUDA_MEMCPY2D)                 \
    X(CUgraphEdgeData)               \
    X(CUDA_GRAPH_INSTANTIATE_PARAMS) \
    X(CUgraphExecUpdateResultInfo)   \
    X(CUDA_KERNEL_NODE_PARAMS)       \
    X(CUDA_MEMSET_NODE_PARAMS)       \
    X(CUDA_HOST_NODE_PARAMS)         \
    X(CUDA_MEM_ALLOC_NODE_PARAMS)    \
    X(CUDA_MEMCPY3D)                 \
    X(CUDA_MEMCPY3D_PEER)            \
    X(CUlaunchAttribute)             \
    X(CUlaunchConfig)

#define ABI_MEMBERS(X)                              \
    X(CUuuid, bytes)                                \
    X(CUipcEventHandle, reserved)                   \
    X(CUipcMemHandle, reserved)                     \
    X(CUmemLocation, type)                          \
    X(CUmemLocation, id)                            \
    X(CUmemAllocationProp, type)                    \
    X(CUmemAllocationProp, requestedHandleTypes)    \
    X(CUmemAllocationProp, location)                \
    X(CUmemAllocationProp, win32HandleMetaData)     \
    X(CUmemAllocationProp, allocFlags)              \
    X(CUmemAccessDesc, location)                    \
    X(CUmemAccessDesc, flags)                       \
    X(CUmemPoolProps, allocType)                    \
    X(CUmemPoolProps, handleTypes)                  \
    X(CUmemPoolProps, location)                     \
    X(CUmemPoolProps, win32SecurityAttributes)      \
    X(CUmemPoolProps, maxSize)                      \
    X(CUmemPoolProps, usage)                        \
    X(CUmemPoolProps, reserved)                     \
    X(CUmemPoolPtrExportData, reserved)             \
    X(CUDA_MEMCPY2D, srcXInBytes)                   \
    X(CUDA_MEMCPY2D, srcY)                          \
    X(CUDA_MEMCPY2D, srcMemoryType)                 \
    X(CUDA_MEMCPY2D, srcHost)                       \
    X(CUDA_MEMCPY2D, srcDevice)                     \
    X(CUDA_MEMCPY2D, srcArray)                      \
    X(CUDA_MEMCPY2D, srcPitch)                      \
    X(CUDA_MEMCPY2D, dstXInBytes)                   \
    X(CUDA_MEMCPY2D, dstY)                          \
    X(CUDA_MEMCPY2D, dstMemoryType)                 \
    X(CUDA_MEMCPY2D, dstHost)                       \
    X(CUDA_MEMCPY2D, dstDevice)                     \
    X(CUDA_MEMCPY2D, dstArray)                      \
    X(CUDA_MEMCPY2D, dstPitch)                      \
    X(CUDA_MEMCPY2D, WidthInBytes)                  \
    X(CUDA_MEMCPY2D, Height)                        \
    X(CUgraphEdgeData, from_port)                   \
    X(CUgraphEdgeData, to_port)                     \
    X(CUgraphEdgeData, type)                        \
    X(CUgraphEdgeData, reserved)                    \
    X(CUDA_GRAPH_INSTANTIATE_PARAMS, flags)         \
    X(CUDA_GRAPH_INSTANTIATE_PARAMS, hUploadStream) \
    X(CUDA_GRAPH_INSTANTIATE_PARAMS, hErrNode_out)  \
    X(CUDA_GRAPH_INSTANTIATE_PARAMS, result_out)    \
    X(CUgraphExecUpdateResultInfo, result)          \
    X(CUgraphExecUpdateResultInfo, errorNode)       \
    X(CUgraphExecUpdateResultInfo, errorFromNode)   \
    X(CUDA_KERNEL_NODE_PARAMS, func)                \
    X(CUDA_KERNEL_NODE_PARAMS, gridDimX)            \
    X(CUDA_KERNEL_NODE_PARAMS, gridDimY)            \
    X(CUDA_KERNEL_NODE_PARAMS, gridDimZ)            \
    X(CUDA_KERNEL_NODE_PARAMS, blockDimX)           \
    X(CUDA_KERNEL_NODE_PARAMS, blockDimY)           \
    X(CUDA_KERNEL_NODE_PARAMS, blockDimZ)           \
    X(CUDA_KERNEL_NODE_PARAMS, sharedMemBytes)      \
    X(CUDA_KERNEL_NODE_PARAMS, kernelParams)        \
    X(CUDA_KERNEL_NODE_PARAMS, extra)               \
    X(CUDA_KERNEL_NODE_PARAMS, kern)                \
    X(CUDA_KERNEL_NODE_PARAMS, ctx)                 \
    X(CUDA_MEMSET_NODE_PARAMS, dst)                 \
    X(CUDA_MEMSET_NODE_PARAMS, pitch)               \
    X(CUDA_MEMSET_NODE_PARAMS, value)               \
    X(CUDA_MEMSET_NODE_PARAMS, elementSize)         \
    X(CUDA_MEMSET_NODE_PARAMS, width)               \
    X(CUDA_MEMSET_NODE_PARAMS, height)              \
    X(CUDA_HOST_NODE_PARAMS, fn)                    \
    X(CUDA_HOST_NODE_PARAMS, userData)              \
    X(CUDA_MEM_ALLOC_NODE_PARAMS, poolProps)        \
    X(CUDA_MEM_ALLOC_NODE_PARAMS, accessDescs)      \
    X(CUDA_MEM_ALLOC_NODE_PARAMS, accessDescCount)  \
    X(CUDA_MEM_ALLOC_NODE_PARAMS, bytesize)         \
    X(CUDA_MEM_ALLOC_NODE_PARAMS, dptr)             \
    X(CUDA_MEMCPY3D, srcXInBytes)                   \
    X(CUDA_MEMCPY3D, srcY)                          \
    X(CUDA_MEMCPY3D, srcZ)                          \
    X(CUDA_MEMCPY3D, srcLOD)                        \
    X(CUDA_MEMCPY3D, srcMemoryType)                 \
    X(CUDA_MEMCPY3D, srcHost)                       \
    X(CUDA_MEMCPY3D, srcDevice)                     \
    X(CUDA_MEMCPY3D, srcArray)                      \
    X(CUDA_MEMCPY3D, reserved0)                     \
    X(CUDA_MEMCPY3D, srcPitch)                      \
    X(CUDA_MEMCPY3D, srcHeight)                     \
    X(CUDA_MEMCPY3D, dstXInBytes)                   \
    X(CUDA_MEMCPY3D, dstY)                          \
    X(CUDA_MEMCPY3D, dstZ)                          \
    X(CUDA_MEMCPY3D, dstLOD)                        \
    X(CUDA_MEMCPY3D, dstMemoryType)                 \
    X(CUDA_MEMCPY3D, dstHost)                       \
    X(CUDA_MEMCPY3D, dstDevice)                     \
    X(CUDA_MEMCPY3D, dstArray)                      \
    X(CUDA_MEMCPY3D, reserved1)                     \
    X(CUDA_MEMCPY3D, dstPitch)                      \
    X(CUDA_MEMCPY3D, dstHeight)                     \
    X(CUDA_MEMCPY3D, WidthInBytes)                  \
    X(CUDA_MEMCPY3D, Height)                        \
    X(CUDA_MEMCPY3D, Depth)                         \
    X(CUDA_MEMCPY3D_PEER, srcXInBytes)              \
    X(CUDA_MEMCPY3D_PEER, srcY)                     \
    X(CUDA_MEMCPY3D_PEER, srcZ)                     \
    X(CUDA_MEMCPY3D_PEER, srcLOD)                   \
    X(CUDA_MEMCPY3D_PEER, srcMemoryType)            \
    X(CUDA_MEMCPY3D_PEER, srcHost)                  \
    X(CUDA_MEMCPY3D_PEER, srcDevice)                \
    X(CUDA_MEMCPY3D_PEER, srcArray)                 \
    X(CUDA_MEMCPY3D_PEER, srcContext)               \
    X(CUDA_MEMCPY3D_PEER, srcPitch)                 \
    X(CUDA_MEMCPY3D_PEER, srcHeight)                \
    X(CUDA_MEMCPY3D_PEER, dstXInBytes)              \
    X(CUDA_MEMCPY3D_PEER, dstY)                     \
    X(CUDA_MEMCPY3D_PEER, dstZ)                     \
    X(CUDA_MEMCPY3D_PEER, dstLOD)                   \
    X(CUDA_MEMCPY3D_PEER, dstMemoryType)            \
    X(CUDA_MEMCPY3D_PEER, dstHost)                  \
    X(CUDA_MEMCPY3D_PEER, dstDevice)                \
    X(CUDA_MEMCPY3D_PEER, dstArray)                 \
    X(CUDA_MEMCPY3D_PEER, dstContext)               \
    X(CUDA_MEMCPY3D_PEER, dstPitch)                 \
    X(CUDA_MEMCPY3D_PEER, dstHeight)                \
    X(CUDA_MEMCPY3D_PEER, WidthInBytes)             \
    X(CUDA_MEMCPY3D_PEER, Height)                   \
    X(CUDA_MEMCPY3D_PEER, Depth)                    \
    X(CUlaunchAttribute, id)                        \
    X(CUlaunchAttribute, value)                     \
    X(CUlaunchConfig, gridDimX)                     \
    X(CUlaunchConfig, gridDimY)                     \
    X(CUlaunchConfig, gridDimZ)                     \
    X(CUlaunchConfig, blockDimX)                    \
    X(CUlaunchConfig, blockDimY)                    \
    X(CUlaunchConfig, blockDimZ)                    \
    X(CUlaunchConfig, sharedMemBytes)               \
    X(CUlaunchConfig, hStream)                      \
    X(CUlaunchConfig, attrs)                        \
    X(CUlaunchConfig, numAttrs)

#endif
