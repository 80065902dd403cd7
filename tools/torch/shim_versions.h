// What differs between the versions of PyTorch that the shim is for, and the only file that knows. The rest is written for the newest of them:
// `versioned` has its virtual functions whichever PyTorch it stands on, so that the compiler checks them all everywhere. Where an older PyTorch calls
// one in an older form, that form passes it on; what an older PyTorch has no word for, it never calls.
#ifndef TORCH_SHIM_VERSIONS_H
#define TORCH_SHIM_VERSIONS_H

#include <torch/csrc/api/include/torch/version.h>

#define TARN_PYTORCH (TORCH_VERSION_MAJOR * 100 + TORCH_VERSION_MINOR)
// tools/torch/torch.cmake has the same range.
#if TARN_PYTORCH < 205 || TARN_PYTORCH > 215
#error \
    "Tarn's shim for PyTorch takes versions 2.5 to 2.15; build without TARN_TORCH_PYTHON: the plug-in takes all from 2.0 on"
#endif

#include <torch/csrc/cuda/CUDAPluggableAllocator.h>

#include <c10/cuda/CUDACachingAllocator.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace tarn_shim {

namespace cuda_caching = c10::cuda::CUDACachingAllocator;
using c10::cuda::MempoolId_t;
using pluggable = torch::cuda::CUDAPluggableAllocator::CUDAPluggableAllocator;
using annotation_entry = decltype(cuda_caching::SnapshotInfo::external_annotations)::value_type;
using stat_array = decltype(cuda_caching::DeviceStats::allocation);
using stat_type = c10::CachingDeviceAllocator::StatType;

#if TARN_PYTORCH >= 210
using cuda_caching::StreamSegmentSize;
#else
struct StreamSegmentSize {
    StreamSegmentSize(cudaStream_t on, bool is_small, size_t size)
        : stream(on), is_small_pool(is_small), total_size(size) {}
    cudaStream_t stream;
    bool is_small_pool;
    size_t total_size;
};
#endif

#if TARN_PYTORCH >= 212
using cuda_caching::OomRejectionObserver;
#else
using OomRejectionObserver = std::function<void(int64_t device, size_t size, size_t allocated, size_t device_total)>;
#endif

// From 2.14 on it has that name.
inline constexpr auto annotate_action =
    static_cast<cuda_caching::TraceEntry::Action>(cuda_caching::TraceEntry::OOM + 1);

// An entry of the history, with as much of it as this PyTorch keeps.
template <typename Entry = cuda_caching::TraceEntry>
Entry make_entry(typename Entry::Action action, int device, uint64_t address, size_t size, void *stream,
                 MempoolId_t pool, c10::approx_time_t time, std::shared_ptr<c10::GatheredContext> callers,
                 std::string compile_context, std::string metadata) {
    auto index = static_cast<c10::DeviceIndex>(device);
    auto place = static_cast<size_t>(address);
    auto on = static_cast<cudaStream_t>(stream);
    if constexpr (std::is_constructible_v<Entry, decltype(action), decltype(index), size_t, size_t, cudaStream_t,
                                          MempoolId_t, decltype(time), decltype(callers), std::string, std::string>) {
        return {action,
                index,
                place,
                size,
                on,
                pool,
                time,
                std::move(callers),
                std::move(compile_context),
                std::move(metadata)};
    } else if constexpr (std::is_constructible_v<Entry, decltype(action), decltype(index), size_t, size_t, cudaStream_t,
                                                 MempoolId_t, decltype(time), decltype(callers), std::string>) {
        return {action, index, place, size, on, pool, time, std::move(callers), std::move(compile_context)};
    } else {
        return {action, index, place, size, on, time, std::move(callers)};
    }
}

class versioned : public pluggable {
public:
    using pluggable::pluggable;

#if TARN_PYTORCH < 206
    virtual double getMemoryFraction(c10::DeviceIndex device) = 0;
    virtual void enable(bool value) = 0;
    virtual int getPoolUseCount(c10::DeviceIndex device, MempoolId_t id) = 0;
#endif

#if TARN_PYTORCH < 208
    virtual void emptyCache(MempoolId_t id) = 0;
    void emptyCache() final { emptyCache({0, 0}); }
    virtual void pushCompileContext(std::string &context) = 0;
    virtual void popCompileContext() = 0;
#endif

#if TARN_PYTORCH < 210
    virtual std::vector<StreamSegmentSize> getExpandableSegmentSizes(c10::DeviceIndex device) = 0;
    virtual void setNoSplit(c10::DeviceIndex device, MempoolId_t id) = 0;
    virtual void setUserMetadata(const std::string &metadata) = 0;
    virtual std::string getUserMetadata() = 0;
    virtual std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex device) = 0;
#endif

#if TARN_PYTORCH < 211
    virtual cuda_caching::SnapshotInfo snapshot(MempoolId_t wanted, bool include_traces) = 0;
    virtual void recordHistory(bool enabled, cuda_caching::CreateContextFn recorder, size_t most,
                               cuda_caching::RecordContext when, bool clear,
                               const std::vector<std::string> &skipped) = 0;
    virtual void createOrIncrefPool(c10::DeviceIndex device, MempoolId_t id,
                                    std::shared_ptr<cuda_caching::CUDAAllocator> other) = 0;
    virtual void setUseOnOOM(c10::DeviceIndex device, MempoolId_t id, bool is_used) = 0;
#endif
#if TARN_PYTORCH < 208
    cuda_caching::SnapshotInfo snapshot() final { return snapshot({0, 0}, true); }
    void recordHistory(bool enabled, cuda_caching::CreateContextFn recorder, size_t most,
                       cuda_caching::RecordContext when) final {
        recordHistory(enabled, recorder, most, when, false, {});
    }
#elif TARN_PYTORCH < 211
    cuda_caching::SnapshotInfo snapshot(MempoolId_t wanted) final { return snapshot(wanted, true); }
    void recordHistory(bool enabled, cuda_caching::CreateContextFn recorder, size_t most,
                       cuda_caching::RecordContext when, bool clear) final {
        recordHistory(enabled, recorder, most, when, clear, {});
    }
    void createOrIncrefPool(c10::DeviceIndex device, MempoolId_t id, cuda_caching::CUDAAllocator *other) final {
        createOrIncrefPool(device, id, std::shared_ptr<cuda_caching::CUDAAllocator>(std::shared_ptr<void>(), other));
    }
    void setUseOnOOM(c10::DeviceIndex device, MempoolId_t id) final { setUseOnOOM(device, id, true); }
#endif
#if TARN_PYTORCH == 206 || TARN_PYTORCH == 207
    void ensureExistsAndIncrefPool(c10::DeviceIndex device, MempoolId_t id) final {
        createOrIncrefPool(device, id, nullptr);
    }
#endif

#if TARN_PYTORCH < 212
    virtual std::shared_ptr<c10::GatheredContext> getContextForPointer(const void *pointer) = 0;
    virtual void attachOomRejectionObserver(OomRejectionObserver observer) = 0;
#endif

#if TARN_PYTORCH < 213
    virtual c10::DataPtr allocateWithAddress(size_t size, void *address) = 0;
#endif

#if TARN_PYTORCH < 214
    virtual bool supportsUserMetadata() = 0;
    virtual void annotateMemory(const void *pointer, const std::string &metadata) = 0;
#endif
};

} // namespace tarn_shim

#endif
