// Memory: asking for it, what happens when there is none, and how much there may be.
#include "torch/shim.h"

#include <c10/cuda/CUDAFunctions.h>

#include <cstdio>

namespace tarn_shim {

namespace {

// As PyTorch writes sizes in its sentences.
std::string in_words(uint64_t size) {
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    char text[64];
    double value = static_cast<double>(size);
    int unit = -1;
    while (value > 1024 && unit < 2) {
        value /= 1024;
        unit++;
    }
    if (unit < 0) snprintf(text, sizeof text, "%llu bytes", static_cast<unsigned long long>(size));
    else snprintf(text, sizeof text, "%.2f %s", value, units[unit]);
    return text;
}

bool is_short(tarn_status status) { return status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED; }

// Whoever has told PyTorch that he can spare memory is asked for it.
bool free_by_callbacks() {
    bool has_freed = false;
    for (const std::string &key : c10::FreeCudaMemoryCallbacksRegistry()->Keys())
        has_freed |= c10::FreeCudaMemoryCallbacksRegistry()->Create(key)->Execute();
    return has_freed;
}

} // namespace

void *allocator::take(size_t size, int device, cudaStream_t stream) {
    void *pointer = nullptr;
    if (taken_already != nullptr) return std::exchange(taken_already, nullptr);
    if (size == 0) return nullptr;
    tarn_status status = tarn_torch_allocate(size, device, stream, &pointer);
    if (is_short(status) && free_by_callbacks()) status = tarn_torch_allocate(size, device, stream, &pointer);
    if (is_short(status)) give_up(size, device, stream);
    check(status);
    return pointer;
}

void allocator::give_up(size_t size, int device, cudaStream_t stream) {
    std::string reason = tarn_torch_last_error();
    tarn_device_properties properties = properties_of(device);
    tarn_torch_count_failure(device);
    tarn_torch_stats stats = {};
    (void)tarn_torch_stats_get(device, &stats);
    auto in_use = static_cast<uint64_t>(stats.figures[TARN_TORCH_ALLOCATED_BYTES][TARN_TORCH_ALL].current);
    auto reserved = static_cast<uint64_t>(stats.figures[TARN_TORCH_RESERVED_BYTES][TARN_TORCH_ALL].current);
    past.note(history::entry::OOM, device, properties.memory_free, size, stream, {0, 0});
    std::vector<cuda_caching::OutOfMemoryObserver> called;
    std::string allowed;
    {
        std::lock_guard<std::mutex> hold(lock);
        called = observers;
        auto found = fractions.find(device);
        if (found != fractions.end())
            allowed = in_words(static_cast<uint64_t>(found->second * static_cast<double>(properties.memory_total))) +
                      " allowed; ";
    }
    for (const auto &observer : called) observer(device, in_use, properties.memory_total, properties.memory_free);
    TORCH_CHECK_WITH(
        OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", in_words(size), ". GPU ", device,
        " has a total capacity of ", in_words(properties.memory_total), " of which ", in_words(properties.memory_free),
        " is free. ", allowed, "Of the allocated memory ", in_words(in_use), " is allocated by PyTorch, and ",
        in_words(reserved > in_use ? reserved - in_use : 0), " is reserved by PyTorch but unallocated. Tarn: ", reason);
}

double allocator::getMemoryFraction(c10::DeviceIndex device) {
    std::lock_guard<std::mutex> hold(lock);
    auto found = fractions.find(device);
    return found != fractions.end() ? found->second : 1.0;
}

void allocator::setMemoryFraction(double fraction, c10::DeviceIndex device) {
    TORCH_CHECK(fraction > 0 && fraction <= 1, "a memory fraction is above 0 and at most 1, and not ", fraction);
    double bytes = fraction * static_cast<double>(properties_of(device).memory_total);
    // Without a `limit` in its stack this says so.
    check_library(tarn_allocator_set_limit(stack_of(device), static_cast<size_t>(bytes)));
    std::lock_guard<std::mutex> hold(lock);
    fractions[device] = fraction;
}

std::pair<size_t, size_t> allocator::getMemoryInfo(c10::DeviceIndex device) {
    tarn_device_properties properties = properties_of(device);
    return {properties.memory_free, properties.memory_total};
}

void allocator::cacheInfo(c10::DeviceIndex device, size_t *largest) {
    tarn_memory_stats stats = {};
    stats.struct_size = sizeof stats;
    check_library(tarn_allocator_stats(stack_of(device), &stats));
    *largest = std::max<size_t>(*largest, stats.largest_free_block);
}

// As PyTorch's: of pools, those that nobody uses any more.
void allocator::emptyCache(MempoolId_t id) {
    if (id == MempoolId_t{0, 0}) tarn_torch_reset();
    else
        for (int device = 0; device < device_count; device++) tarn_torch_empty_pool(device, plain(id));
}

void allocator::attachOutOfMemoryObserver(cuda_caching::OutOfMemoryObserver observer) {
    std::lock_guard<std::mutex> hold(lock);
    observers.push_back(std::move(observer));
}

void allocator::attachOomRejectionObserver(OomRejectionObserver) {
    TORCH_CHECK(false,
                "Tarn rejects no request before it has tried: attach an out-of-memory observer instead, which is "
                "told of refusals by a limit too");
}

c10::DataPtr allocator::allocateWithAddress(size_t size, void *address) {
    c10::DeviceIndex device = c10::cuda::current_device();
    cudaStream_t stream = c10::cuda::getCurrentCUDAStream(device).stream();
    check(tarn_torch_allocate_at(size, device, stream, address));
    remember({address, size, stream}, device);
    return own(address, device);
}

} // namespace tarn_shim
