// Memory between processes, and between devices.
#include "torch/shim.h"

#include <c10/cuda/CUDAFunctions.h>

namespace tarn_shim {

cuda_caching::ShareableHandle allocator::shareIpcHandle(void *pointer) {
    char bytes[TARN_TORCH_HANDLE_SIZE];
    size_t size = 0;
    uint64_t offset = 0;
    check(tarn_torch_share(pointer, bytes, &size, &offset));
    return {static_cast<ptrdiff_t>(offset), std::string(bytes, size)};
}

std::shared_ptr<void> allocator::getIpcDevPtr(std::string handle) {
    return open_shared(c10::cuda::current_device(), handle);
}

std::shared_ptr<void> allocator::open_shared(int device, const std::string &handle) {
    void *pointer = nullptr;
    check(tarn_torch_open_shared(device, handle.data(), handle.size(), &pointer));
    return {pointer, [](void *opened) { tarn_torch_close_shared(opened); }};
}

void allocator::enablePeerAccess(c10::DeviceIndex device, c10::DeviceIndex owner) {
    check_library(
        tarn_device_enable_peer(tarn_allocator_device(stack_of(device)), tarn_allocator_device(stack_of(owner))));
}

// Virtual memory of two devices without access to each other is copied only by name of the devices.
cudaError_t allocator::memcpyAsync(void *destination, int destination_device, const void *source, int source_device,
                                   size_t count, cudaStream_t stream, bool has_peer_access) {
    if (has_peer_access || destination_device == source_device)
        return cudaMemcpyAsync(destination, source, count, cudaMemcpyDeviceToDevice, stream);
    return cudaMemcpyPeerAsync(destination, destination_device, source, source_device, count, stream);
}

} // namespace tarn_shim
