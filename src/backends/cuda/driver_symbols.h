/* The driver's functions that Tarn calls: the one place that knows their names. Included with CUDA_SYMBOL(name, (parameters))
 * defined; no include guard, since it is expanded more than once.
 *
 * Names are without the suffixes of versions (cuMemAlloc_v2): the driver is asked for the function of that name which belongs to
 * the interface of DRIVER_VERSION. */

CUDA_SYMBOL(cuInit, (unsigned flags))
CUDA_SYMBOL(cuGetErrorName, (driver_result result, const char **out_name))
CUDA_SYMBOL(cuGetErrorString, (driver_result result, const char **out_text))

CUDA_SYMBOL(cuDeviceGetCount, (int *out_count))
CUDA_SYMBOL(cuDeviceGet, (driver_device * out_device, int ordinal))
CUDA_SYMBOL(cuDeviceGetName, (char *out_name, int capacity, driver_device device))
CUDA_SYMBOL(cuDeviceGetAttribute, (int *out_value, driver_attribute attribute, driver_device device))
CUDA_SYMBOL(cuDevicePrimaryCtxRetain, (driver_context * out_context, driver_device device))
CUDA_SYMBOL(cuDevicePrimaryCtxRelease, (driver_device device))
CUDA_SYMBOL(cuDeviceCanAccessPeer, (int *out_can, driver_device device, driver_device peer))
CUDA_SYMBOL(cuCtxGetCurrent, (driver_context * out_context))
CUDA_SYMBOL(cuCtxPushCurrent, (driver_context context))
CUDA_SYMBOL(cuCtxPopCurrent, (driver_context * out_context))
CUDA_SYMBOL(cuCtxSynchronize, (void))
CUDA_SYMBOL(cuCtxEnablePeerAccess, (driver_context peer, unsigned flags))
CUDA_SYMBOL(cuCtxDisablePeerAccess, (driver_context peer))

CUDA_SYMBOL(cuMemGetInfo, (size_t * out_free, size_t *out_total))
CUDA_SYMBOL(cuMemAlloc, (driver_pointer * out_address, size_t size))
CUDA_SYMBOL(cuMemFree, (driver_pointer address))
CUDA_SYMBOL(cuMemHostAlloc, (void **out_address, size_t size, unsigned flags))
CUDA_SYMBOL(cuMemFreeHost, (void *address))
CUDA_SYMBOL(cuMemAllocManaged, (driver_pointer * out_address, size_t size, unsigned flags))

CUDA_SYMBOL(cuMemGetAllocationGranularity,
            (size_t * out_size, const driver_allocation *properties, driver_granularity option))
CUDA_SYMBOL(cuMemAddressReserve, (driver_pointer * out_address, size_t size, size_t alignment, driver_pointer wish,
                                  unsigned long long flags))
CUDA_SYMBOL(cuMemAddressFree, (driver_pointer address, size_t size))
CUDA_SYMBOL(cuMemCreate,
            (driver_granule * out_granule, size_t size, const driver_allocation *properties, unsigned long long flags))
CUDA_SYMBOL(cuMemRelease, (driver_granule granule))
CUDA_SYMBOL(cuMemMap,
            (driver_pointer address, size_t size, size_t offset, driver_granule granule, unsigned long long flags))
CUDA_SYMBOL(cuMemUnmap, (driver_pointer address, size_t size))
CUDA_SYMBOL(cuMemSetAccess, (driver_pointer address, size_t size, const driver_access *access, size_t count))
CUDA_SYMBOL(cuMemExportToShareableHandle,
            (void *out_handle, driver_granule granule, driver_handle_type type, unsigned long long flags))
CUDA_SYMBOL(cuMemImportFromShareableHandle, (driver_granule * out_granule, void *handle, driver_handle_type type))

CUDA_SYMBOL(cuMemPoolCreate, (driver_pool * out_pool, const driver_pool_properties *properties))
CUDA_SYMBOL(cuMemPoolDestroy, (driver_pool pool))
CUDA_SYMBOL(cuMemPoolSetAttribute, (driver_pool pool, driver_pool_attribute attribute, void *value))
CUDA_SYMBOL(cuMemPoolGetAttribute, (driver_pool pool, driver_pool_attribute attribute, void *out_value))
CUDA_SYMBOL(cuMemPoolSetAccess, (driver_pool pool, const driver_access *access, size_t count))
CUDA_SYMBOL(cuMemPoolTrimTo, (driver_pool pool, size_t bytes_to_keep))
CUDA_SYMBOL(cuMemAllocFromPoolAsync,
            (driver_pointer * out_address, size_t size, driver_pool pool, driver_stream stream))
CUDA_SYMBOL(cuMemFreeAsync, (driver_pointer address, driver_stream stream))

CUDA_SYMBOL(cuStreamCreate, (driver_stream * out_stream, unsigned flags))
CUDA_SYMBOL(cuStreamDestroy, (driver_stream stream))
CUDA_SYMBOL(cuStreamGetCtx, (driver_stream stream, driver_context *out_context))
CUDA_SYMBOL(cuStreamSynchronize, (driver_stream stream))
CUDA_SYMBOL(cuStreamWaitEvent, (driver_stream stream, driver_event event, unsigned flags))
CUDA_SYMBOL(cuStreamIsCapturing, (driver_stream stream, driver_capture_status *out_status))
CUDA_SYMBOL(cuStreamBeginCapture, (driver_stream stream, driver_capture_mode mode))
CUDA_SYMBOL(cuStreamEndCapture, (driver_stream stream, driver_graph *out_graph))
CUDA_SYMBOL(cuLaunchHostFunc, (driver_stream stream, driver_host_function function, void *context))
CUDA_SYMBOL(cuMemcpyAsync, (driver_pointer destination, driver_pointer source, size_t size, driver_stream stream))
CUDA_SYMBOL(cuMemcpyPeerAsync, (driver_pointer destination, driver_context destination_context, driver_pointer source,
                                driver_context source_context, size_t size, driver_stream stream))
CUDA_SYMBOL(cuMemcpy3DAsync, (const driver_copy *copy, driver_stream stream))
CUDA_SYMBOL(cuMemcpy3DPeerAsync, (const driver_peer_copy *copy, driver_stream stream))
CUDA_SYMBOL(cuMemsetD8Async, (driver_pointer destination, unsigned char value, size_t count, driver_stream stream))
CUDA_SYMBOL(cuMemsetD16Async, (driver_pointer destination, unsigned short value, size_t count, driver_stream stream))
CUDA_SYMBOL(cuMemsetD32Async, (driver_pointer destination, unsigned value, size_t count, driver_stream stream))
CUDA_SYMBOL(cuMemsetD2D32Async, (driver_pointer destination, size_t pitch, unsigned value, size_t width, size_t height,
                                 driver_stream stream))

CUDA_SYMBOL(cuEventCreate, (driver_event * out_event, unsigned flags))
CUDA_SYMBOL(cuEventDestroy, (driver_event event))
CUDA_SYMBOL(cuEventRecord, (driver_event event, driver_stream stream))
CUDA_SYMBOL(cuEventQuery, (driver_event event))
CUDA_SYMBOL(cuEventSynchronize, (driver_event event))
CUDA_SYMBOL(cuEventElapsedTime, (float *out_milliseconds, driver_event begin, driver_event end))

CUDA_SYMBOL(cuGraphCreate, (driver_graph * out_graph, unsigned flags))
CUDA_SYMBOL(cuGraphDestroy, (driver_graph graph))
CUDA_SYMBOL(cuGraphAddMemcpyNode, (driver_graph_node * out_node, driver_graph graph, const driver_graph_node *after,
                                   size_t after_count, const driver_copy *copy, driver_context context))
CUDA_SYMBOL(cuGraphAddMemsetNode, (driver_graph_node * out_node, driver_graph graph, const driver_graph_node *after,
                                   size_t after_count, const driver_fill *fill, driver_context context))
CUDA_SYMBOL(cuGraphAddHostNode, (driver_graph_node * out_node, driver_graph graph, const driver_graph_node *after,
                                 size_t after_count, const driver_host_node *host))
CUDA_SYMBOL(cuGraphAddEmptyNode,
            (driver_graph_node * out_node, driver_graph graph, const driver_graph_node *after, size_t after_count))
CUDA_SYMBOL(cuGraphAddChildGraphNode, (driver_graph_node * out_node, driver_graph graph, const driver_graph_node *after,
                                       size_t after_count, driver_graph child))
CUDA_SYMBOL(cuGraphInstantiateWithFlags,
            (driver_executable * out_executable, driver_graph graph, unsigned long long flags))
CUDA_SYMBOL(cuGraphExecDestroy, (driver_executable executable))
CUDA_SYMBOL(cuGraphLaunch, (driver_executable executable, driver_stream stream))
CUDA_SYMBOL(cuGraphExecMemcpyNodeSetParams,
            (driver_executable executable, driver_graph_node node, const driver_copy *copy, driver_context context))
CUDA_SYMBOL(cuGraphExecMemsetNodeSetParams,
            (driver_executable executable, driver_graph_node node, const driver_fill *fill, driver_context context))
CUDA_SYMBOL(cuGraphExecHostNodeSetParams,
            (driver_executable executable, driver_graph_node node, const driver_host_node *host))

CUDA_SYMBOL(cuModuleLoadData, (driver_module * out_module, const void *image))
CUDA_SYMBOL(cuModuleUnload, (driver_module module))
CUDA_SYMBOL(cuModuleGetFunction, (driver_function * out_function, driver_module module, const char *name))
CUDA_SYMBOL(cuLaunchKernel, (driver_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                             unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                             driver_stream stream, void **parameters, void **extra))
