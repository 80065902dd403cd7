// An allocator of PyTorch's own kind on the plug-in, for the PyTorch that it was compiled with. It derives from PyTorch's class for plug-ins, and
// gives back what that denies them; docs/pytorch.md goes through the methods one by one. What Tarn knows comes from torch/native.h, and is
// tested there without PyTorch: here it is only put into PyTorch's words.
#ifndef TORCH_SHIM_H
#define TORCH_SHIM_H

#include <atomic>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "torch/native.h"
#include "torch/shim_history.h"
#include "torch/shim_versions.h"

namespace tarn_shim {

inline tarn_torch_pool_id plain(MempoolId_t id) { return {id.first, id.second}; }
inline MempoolId_t pool_name(tarn_torch_pool_id id) { return {id.first, id.second}; }

// What the plug-in says of the failure.
inline void check(tarn_status status) {
    TORCH_CHECK(status == TARN_OK, "Tarn: ", tarn_status_name(status), ": ", tarn_torch_last_error());
}
// The same for a call of libtarn itself.
inline void check_library(tarn_status status) { TORCH_CHECK(status == TARN_OK, "Tarn: ", tarn_last_error()); }

// The stack of the device, opened if need be.
tarn_allocator *stack_of(int device);
tarn_device_properties properties_of(int device);
// Blocks in order of their addresses.
std::vector<tarn_torch_block> blocks_of(int device);

class allocator final : public versioned {
public:
    allocator();

    std::string name() override { return "tarn"; }
    void init(int count) override;
    void enable(bool value) override;
    c10::DataPtr allocate(size_t size) override;
    c10::DeleterFnPtr raw_deleter() const override;

    // shim_requests.cpp
    double getMemoryFraction(c10::DeviceIndex device) override;
    void setMemoryFraction(double fraction, c10::DeviceIndex device) override;
    std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex device) override;
    void cacheInfo(c10::DeviceIndex device, size_t *largest) override;
    void emptyCache(MempoolId_t id) override;
    void attachOutOfMemoryObserver(cuda_caching::OutOfMemoryObserver observer) override;
    void attachOomRejectionObserver(OomRejectionObserver observer) override;
    c10::DataPtr allocateWithAddress(size_t size, void *address) override;

    // shim_figures.cpp
    cuda_caching::DeviceStats getDeviceStats(c10::DeviceIndex device) override;
    void resetAccumulatedStats(c10::DeviceIndex device) override;
    void resetPeakStats(c10::DeviceIndex device) override;
    std::vector<StreamSegmentSize> getExpandableSegmentSizes(c10::DeviceIndex device) override;

    // shim_snapshot.cpp
    cuda_caching::SnapshotInfo snapshot(MempoolId_t wanted, bool include_traces) override;
    void recordHistory(bool enabled, cuda_caching::CreateContextFn recorder, size_t most,
                       cuda_caching::RecordContext when, bool clear, const std::vector<std::string> &skipped) override;
    bool isHistoryEnabled() override;
    std::shared_ptr<c10::GatheredContext> getContextForPointer(const void *pointer) override;
    void attachAllocatorTraceTracker(cuda_caching::AllocatorTraceTracker tracker) override;
    void recordAnnotation(const std::vector<std::pair<std::string, std::string>> &annotation) override;
    void pushCompileContext(std::string &context) override;
    void popCompileContext() override;
    bool supportsUserMetadata() override { return true; }
    void setUserMetadata(const std::string &metadata) override;
    std::string getUserMetadata() override;
    void annotateMemory(const void *pointer, const std::string &metadata) override;

    // shim_pools.cpp
    void createOrIncrefPool(c10::DeviceIndex device, MempoolId_t id,
                            std::shared_ptr<cuda_caching::CUDAAllocator> other) override;
    int getPoolUseCount(c10::DeviceIndex device, MempoolId_t id) override;
    void setUseOnOOM(c10::DeviceIndex device, MempoolId_t id, bool is_used) override;
    void setNoSplit(c10::DeviceIndex device, MempoolId_t id) override;
    bool checkPoolLiveAllocations(c10::DeviceIndex device, MempoolId_t id,
                                  const std::unordered_set<void *> &expected) override;
    std::shared_ptr<cuda_caching::AllocatorState> getCheckpointState(c10::DeviceIndex device, MempoolId_t id) override;
    cuda_caching::CheckpointDelta setCheckpointPoolState(c10::DeviceIndex device,
                                                         std::shared_ptr<cuda_caching::AllocatorState> state) override;

    // shim_share.cpp
    cuda_caching::ShareableHandle shareIpcHandle(void *pointer) override;
    std::shared_ptr<void> getIpcDevPtr(std::string handle) override;
    // The same on a device that need not be the current one.
    std::shared_ptr<void> open_shared(int device, const std::string &handle);
    void enablePeerAccess(c10::DeviceIndex device, c10::DeviceIndex owner) override;
    cudaError_t memcpyAsync(void *destination, int destination_device, const void *source, int source_device,
                            size_t count, cudaStream_t stream, bool has_peer_access) override;

private:
    std::mutex lock; // protects what follows, but the count
    std::unordered_map<int, double> fractions;
    std::vector<cuda_caching::OutOfMemoryObserver> observers;
    std::atomic<int> device_count{0};
    history past;
    static thread_local void *taken_already; // what the thread's next request is answered with

    void *take(size_t size, int device, cudaStream_t stream);
    [[noreturn]] void give_up(size_t size, int device, cudaStream_t stream);
    // PyTorch's books of what it may free.
    void remember(const tarn_torch_live &live, int device);
    void forget(void *pointer);
    c10::DataPtr own(void *pointer, int device) const;
};

} // namespace tarn_shim

#endif
