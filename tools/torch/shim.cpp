// Putting the allocator in PyTorch's place, and what its files share.
#include "torch/shim.h"

#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/profiler/combined_traceback.h>

#include <cstdio>
#include <cstring>

extern "C" TARN_API void tarn_torch_begin_allocate_to_pool(int device,
                                                           std::pair<unsigned long long, unsigned long long> id,
                                                           std::function<bool(cudaStream_t)> filter);

namespace {

// Never destroyed: static destructors free tensors after this file's own would have run.
std::shared_ptr<tarn_shim::allocator> *installed;

void delete_raw(void *pointer) { (*installed)->raw_delete(pointer); }

} // namespace

namespace tarn_shim {

thread_local void *allocator::taken_already;

tarn_allocator *stack_of(int device) {
    tarn_allocator *stack = tarn_torch_allocator(device);
    TORCH_CHECK(stack != nullptr, "Tarn: device ", device, ": ", tarn_torch_last_error());
    return stack;
}

tarn_device_properties properties_of(int device) {
    tarn_device_properties properties = {};
    properties.struct_size = sizeof properties;
    check_library(tarn_device_properties_get(tarn_allocator_device(stack_of(device)), &properties));
    return properties;
}

std::vector<tarn_torch_block> blocks_of(int device) {
    tarn_torch_block *blocks = nullptr;
    size_t count = 0;
    check(tarn_torch_blocks_get(device, &blocks, &count));
    std::vector<tarn_torch_block> copies(blocks, blocks + count);
    tarn_torch_blocks_free(blocks);
    return copies;
}

allocator::allocator()
    : versioned([this](size_t size, int device, cudaStream_t stream) { return take(size, device, stream); },
                [](void *pointer, size_t size, int device, cudaStream_t stream) {
                    tarn_torch_free(pointer, size, device, stream);
                }) {
    set_init_fn(tarn_torch_init);
    set_reset_fn(tarn_torch_reset);
    set_base_alloc_fn(tarn_torch_base_allocation);
    set_record_stream_fn([](void *pointer, cudaStream_t stream) { tarn_torch_record_stream(pointer, stream); });
    set_begin_allocate_to_pool(tarn_torch_begin_allocate_to_pool);
    set_end_allocate_to_pool_fn([](int device, MempoolId_t id) { tarn_torch_end_allocate_to_pool(device, plain(id)); });
    set_release_pool([](int device, MempoolId_t id) { tarn_torch_release_pool(device, plain(id)); });
    tarn_torch_watch([](void *past, const tarn_torch_event *event) { static_cast<history *>(past)->note(*event); },
                     &past);
}

void allocator::init(int count) {
    pluggable::init(count);
    device_count = count;
}

void allocator::enable(bool value) {
    TORCH_CHECK(value, "Tarn is not switched off while it runs: tarn.torch.install(\"direct\") caches nothing");
}

// PyTorch's own, in versions that free a tensor past these books, would leave its entry in them.
c10::DataPtr allocator::allocate(size_t size) {
    c10::DeviceIndex device = c10::cuda::current_device();
    return own(malloc(size, device, c10::cuda::getCurrentCUDAStream(device).stream()), device);
}

c10::DeleterFnPtr allocator::raw_deleter() const { return delete_raw; }

// PyTorch exports no other way into its books than to allocate.
void allocator::remember(const tarn_torch_live &live, int device) {
    taken_already = live.pointer;
    malloc(live.size, static_cast<c10::DeviceIndex>(device), static_cast<cudaStream_t>(live.stream));
}

void allocator::forget(void *pointer) {
    const std::lock_guard<std::mutex> hold(allocator_mutex_);
    allocation_metadata_.erase(pointer);
}

c10::DataPtr allocator::own(void *pointer, int device) const {
    return {pointer, pointer, raw_deleter(), c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device))};
}

} // namespace tarn_shim

namespace {

// 0: fine, 1: torch.OutOfMemoryError, 2: another exception.
template <typename Function> int outcome(Function function) {
    try {
        function();
        return 0;
    } catch (const c10::OutOfMemoryError &error) {
        fprintf(stderr, "tarn-torch: %s\n", error.what_without_backtrace());
        return 1;
    } catch (const std::exception &error) {
        fprintf(stderr, "tarn-torch: %s\n", error.what());
        return 2;
    }
}

} // namespace

extern "C" {

// Makes it PyTorch's allocator: 0. Not 0: PyTorch has used its own already; the reason is printed.
TARN_API int tarn_torch_shim_install(void) {
    return outcome([] {
        auto made = std::make_shared<tarn_shim::allocator>();
        torch::cuda::CUDAPluggableAllocator::changeCurrentAllocator(made);
        installed = new std::shared_ptr<tarn_shim::allocator>(made);
    });
}

// For tests, on devices that PyTorch need not have; each as `outcome` says, with the sentence on stderr.

TARN_API int tarn_torch_shim_allocate(size_t size, int device, void *stream, void **out_pointer) {
    return outcome([=] {
        (*installed)->init(device + 1);
        *out_pointer =
            (*installed)->malloc(size, static_cast<c10::DeviceIndex>(device), static_cast<cudaStream_t>(stream));
    });
}
TARN_API int tarn_torch_shim_free(void *pointer) {
    return outcome([=] { (*installed)->raw_delete(pointer); });
}
TARN_API int tarn_torch_shim_begin_pool(int device, unsigned long long number) {
    return outcome([=] {
        (*installed)->beginAllocateToPool(static_cast<c10::DeviceIndex>(device), {0, number}, [](cudaStream_t) {
            return true;
        });
    });
}
TARN_API int tarn_torch_shim_tell_pool(int device, unsigned long long number, int use_on_oom, int no_split) {
    return outcome([=] {
        auto index = static_cast<c10::DeviceIndex>(device);
        (*installed)->createOrIncrefPool(index, {0, number}, nullptr);
        (*installed)->setUseOnOOM(index, {0, number}, use_on_oom != 0);
        if (no_split != 0) (*installed)->setNoSplit(index, {0, number});
    });
}
TARN_API int tarn_torch_shim_share(void *pointer, char *out_handle, size_t *out_size, ptrdiff_t *out_offset) {
    return outcome([=] {
        auto shared = (*installed)->shareIpcHandle(pointer);
        memcpy(out_handle, shared.handle.data(), shared.handle.size());
        *out_size = shared.handle.size();
        *out_offset = shared.offset;
    });
}
// Opened for good.
TARN_API int tarn_torch_shim_open(int device, const char *handle, size_t size, void **out_pointer) {
    return outcome([=] {
        auto *opened = new std::shared_ptr<void>((*installed)->open_shared(device, std::string(handle, size)));
        *out_pointer = opened->get();
    });
}
// As torch.cuda.memory._record_memory_history does, with Python's callers.
TARN_API int tarn_torch_shim_record(size_t most) {
    return outcome([=] {
        (*installed)
            ->recordHistory(most > 0,
                            []() -> std::shared_ptr<c10::GatheredContext> {
                                return torch::CapturedTraceback::gather(true, false, false);
                            },
                            most, tarn_shim::cuda_caching::RecordContext::ALL, true, {});
    });
}
TARN_API int tarn_torch_shim_observe(void (*observer)(long long device, long long used, long long total,
                                                      long long free)) {
    return outcome([=] {
        (*installed)->attachOutOfMemoryObserver([observer](int64_t device, size_t used, size_t total, size_t free) {
            observer(device, static_cast<long long>(used), static_cast<long long>(total), static_cast<long long>(free));
        });
    });
}
TARN_API int tarn_torch_shim_track(void (*tracker)(int action, unsigned long long address)) {
    return outcome([=] {
        (*installed)->attachAllocatorTraceTracker([tracker](const auto &entry) {
            tracker(static_cast<int>(entry.action_), entry.addr_);
        });
    });
}
}
