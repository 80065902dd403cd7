// An allocator of PyTorch's own kind on the plug-in, for the PyTorch that it was compiled with. It gives back what PyTorch denies to plug-ins:
//
//   - torch.OutOfMemoryError, after PyTorch's callbacks were asked to free memory, and out-of-memory observers;
//   - statistics under PyTorch's names, of all sizes together: Tarn knows no small and large pool;
//   - snapshots with segments, blocks and, while the history is recorded, what was allocated and freed;
//   - pools that MemPool makes and counts, and the question which of their allocations live;
//   - access between devices, by Tarn.
//
// What is not given: memory between processes by PyTorch's handles, and checkpoints of pools, which would have to allocate at given addresses.
#include <torch/csrc/cuda/CUDAPluggableAllocator.h>

#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/util/ApproximateClock.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "torch/torch.h"

extern "C" TARN_API void tarn_torch_begin_allocate_to_pool(int device,
                                                           std::pair<unsigned long long, unsigned long long> id,
                                                           std::function<bool(cudaStream_t)> filter);

namespace {

namespace caching = c10::CachingDeviceAllocator;
namespace cuda_caching = c10::cuda::CUDACachingAllocator;
using c10::CachingAllocator::Stat;
using c10::CachingAllocator::StatArray;
using c10::CachingAllocator::StatType;
using pluggable = torch::cuda::CUDAPluggableAllocator::CUDAPluggableAllocator;

tarn_torch_pool_id plain(c10::MempoolId_t id) { return {id.first, id.second}; }

tarn_allocator *allocator_of(int device) {
    tarn_allocator *allocator = tarn_torch_allocator(device);
    TORCH_CHECK(allocator != nullptr, "Tarn: device ", device, ": ", tarn_torch_last_error());
    return allocator;
}

tarn_memory_stats stats_of(int device) {
    tarn_memory_stats stats = {};
    stats.struct_size = sizeof stats;
    TORCH_CHECK(tarn_allocator_stats(allocator_of(device), &stats) == TARN_OK, "Tarn: ", tarn_last_error());
    return stats;
}

std::vector<tarn_block_info> blocks_of(tarn_allocator *allocator) {
    std::vector<tarn_block_info> blocks;
    auto add = [](void *context, const tarn_block_info *block) {
        if (block->state != TARN_BLOCK_UNMAPPED)
            static_cast<std::vector<tarn_block_info> *>(context)->push_back(*block);
        return 0;
    };
    TORCH_CHECK(tarn_allocator_each_block(allocator, add, &blocks) == TARN_OK, "Tarn: ", tarn_last_error());
    std::sort(blocks.begin(), blocks.end(),
              [](const tarn_block_info &a, const tarn_block_info &b) { return a.address < b.address; });
    return blocks;
}

// Runs of blocks without a gap, on one segment and stream, as torch.cuda.memory_snapshot shows them.
std::vector<caching::SegmentInfo> segments_of(int device, tarn_allocator *allocator, c10::MempoolId_t pool) {
    std::vector<caching::SegmentInfo> segments;
    uint64_t key = 0, end = 0;
    for (const tarn_block_info &block : blocks_of(allocator)) {
        bool is_next = !segments.empty() && key == block.segment && end == block.address &&
                       reinterpret_cast<uint64_t>(segments.back().stream) == block.stream;
        if (!is_next) {
            caching::SegmentInfo segment;
            segment.device = static_cast<c10::DeviceIndex>(device);
            segment.address = block.address;
            segment.stream = reinterpret_cast<void *>(block.stream);
            segment.is_large = true;
            segment.owner_private_pool_id = pool;
            segments.push_back(segment);
        }
        caching::BlockInfo info;
        info.size = block.size;
        info.requested_size = block.requested;
        info.allocated = block.state == TARN_BLOCK_IN_USE;
        info.active = block.state != TARN_BLOCK_CACHED;
        caching::SegmentInfo &segment = segments.back();
        segment.total_size += block.size;
        segment.requested_size += block.requested;
        segment.allocated_size += info.allocated ? block.size : 0;
        segment.active_size += info.active ? block.size : 0;
        segment.blocks.push_back(info);
        key = block.segment;
        end = block.address + block.size;
    }
    return segments;
}

// What was ever allocated counts from the last reset.
void fill(StatArray &array, const tarn_figure &figure, uint64_t base) {
    Stat &all = array[static_cast<size_t>(StatType::AGGREGATE)];
    all.current = static_cast<int64_t>(figure.current);
    all.peak = static_cast<int64_t>(figure.peak);
    all.allocated = static_cast<int64_t>(figure.total - base);
    all.freed = all.allocated - all.current;
}

class shim final : public pluggable {
public:
    shim()
        : pluggable([this](size_t size, int device, cudaStream_t stream) { return take(size, device, stream); },
                    [this](void *pointer, size_t size, int device, cudaStream_t stream) {
                        note(caching::TraceEntry::FREE_REQUESTED, device, pointer, size, stream);
                        tarn_torch_free(pointer, size, device, stream);
                        note(caching::TraceEntry::FREE_COMPLETED, device, pointer, size, stream);
                    }) {
        set_init_fn(tarn_torch_init);
        set_reset_fn(tarn_torch_reset);
        set_base_alloc_fn(tarn_torch_base_allocation);
        set_record_stream_fn([](void *pointer, cudaStream_t stream) { tarn_torch_record_stream(pointer, stream); });
        set_begin_allocate_to_pool([this](int device, c10::MempoolId_t id, std::function<bool(cudaStream_t)> filter) {
            remember_pool(device, id);
            tarn_torch_begin_allocate_to_pool(device, id, std::move(filter));
        });
        set_end_allocate_to_pool_fn(
            [](int device, c10::MempoolId_t id) { tarn_torch_end_allocate_to_pool(device, plain(id)); });
        set_release_pool([](int device, c10::MempoolId_t id) { tarn_torch_release_pool(device, plain(id)); });
    }

    std::string name() override { return "tarn"; }

    double getMemoryFraction(c10::DeviceIndex device) override {
        std::lock_guard<std::mutex> hold(lock);
        auto found = fractions.find(device);
        return found != fractions.end() ? found->second : 1.0;
    }
    void setMemoryFraction(double fraction, c10::DeviceIndex device) override {
        TORCH_CHECK(fraction > 0 && fraction <= 1, "a memory fraction is above 0 and at most 1, and not ", fraction);
        tarn_torch_memory_fraction(fraction, device);
        std::lock_guard<std::mutex> hold(lock);
        fractions[device] = fraction;
    }

    std::vector<cuda_caching::StreamSegmentSize> getExpandableSegmentSizes(c10::DeviceIndex) override { return {}; }

    void emptyCache(c10::MempoolId_t id) override {
        if (id == c10::MempoolId_t{0, 0}) {
            tarn_torch_reset();
            return;
        }
        for (int device : devices_of(id)) {
            tarn_allocator *pool = tarn_torch_pool_allocator(device, plain(id));
            if (pool != nullptr) TORCH_CHECK(tarn_allocator_empty_cache(pool) == TARN_OK, "Tarn: ", tarn_last_error());
        }
    }

    std::pair<size_t, size_t> getMemoryInfo(c10::DeviceIndex device) override {
        tarn_device_properties properties = {};
        properties.struct_size = sizeof properties;
        tarn_status status = tarn_device_properties_get(tarn_allocator_device(allocator_of(device)), &properties);
        TORCH_CHECK(status == TARN_OK, "Tarn: ", tarn_last_error());
        return {properties.memory_free, properties.memory_total};
    }

    void cacheInfo(c10::DeviceIndex device, size_t *largest) override {
        *largest = std::max<size_t>(*largest, stats_of(device).largest_free_block);
    }

    caching::DeviceStats getDeviceStats(c10::DeviceIndex device) override {
        tarn_memory_stats stats = stats_of(device);
        caching::DeviceStats answer;
        std::lock_guard<std::mutex> hold(lock);
        const tarn_memory_stats &base = bases[device];
        const size_t all = static_cast<size_t>(StatType::AGGREGATE);
        fill(answer.allocated_bytes, stats.in_use_bytes, base.in_use_bytes.total);
        fill(answer.active_bytes, stats.in_use_bytes, base.in_use_bytes.total);
        fill(answer.requested_bytes, stats.requested_bytes, base.requested_bytes.total);
        fill(answer.reserved_bytes, stats.reserved_bytes, base.reserved_bytes.total);
        tarn_figure count = stats.blocks;
        count.total = stats.allocations;
        fill(answer.allocation, count, base.allocations);
        fill(answer.active, count, base.allocations);
        for (const caching::SegmentInfo &segment : segments_of(device, allocator_of(device), {0, 0})) {
            answer.segment[all].current++;
            if (segment.active_size == 0) continue;
            for (const caching::BlockInfo &block : segment.blocks) {
                if (block.active) continue;
                answer.inactive_split[all].current++;
                answer.inactive_split_bytes[all].current += static_cast<int64_t>(block.size);
            }
        }
        tarn_device_counters counters = {};
        counters.struct_size = sizeof counters;
        if (tarn_device_counters_get(tarn_allocator_device(allocator_of(device)), &counters) == TARN_OK) {
            answer.num_device_alloc = static_cast<int64_t>(counters.driver_allocs);
            answer.num_device_free = static_cast<int64_t>(counters.driver_frees);
            answer.num_sync_all_streams = static_cast<int64_t>(counters.device_waits);
        }
        answer.num_alloc_retries = static_cast<int64_t>(stats.retries - base.retries);
        answer.num_ooms = failures[device];
        return answer;
    }
    void resetAccumulatedStats(c10::DeviceIndex device) override {
        tarn_memory_stats stats = stats_of(device);
        std::lock_guard<std::mutex> hold(lock);
        bases[device] = stats;
        failures[device] = 0;
    }
    void resetPeakStats(c10::DeviceIndex device) override {
        TORCH_CHECK(tarn_allocator_reset_peaks(allocator_of(device)) == TARN_OK, "Tarn: ", tarn_last_error());
    }

    cuda_caching::SnapshotInfo snapshot(c10::MempoolId_t wanted, bool include_traces) override {
        cuda_caching::SnapshotInfo answer;
        std::map<c10::MempoolId_t, std::vector<int>> known;
        {
            std::lock_guard<std::mutex> hold(lock);
            known = pools;
        }
        for (int device = 0; device < device_count; device++) {
            answer.device_traces.emplace_back();
            if (tarn_torch_stream(device, nullptr) == nullptr) continue; // not open: it has no memory
            if (wanted == c10::MempoolId_t{0, 0})
                append(answer.segments, segments_of(device, allocator_of(device), {0, 0}));
        }
        for (const auto &[id, devices] : known) {
            if (wanted != c10::MempoolId_t{0, 0} && wanted != id) continue;
            for (int device : devices) {
                tarn_allocator *pool = tarn_torch_pool_allocator(device, plain(id));
                if (pool != nullptr) append(answer.segments, segments_of(device, pool, id));
            }
        }
        if (include_traces) copy_traces(answer.device_traces);
        return answer;
    }

    void recordHistory(bool enabled, cuda_caching::CreateContextFn recorder, size_t most,
                       cuda_caching::RecordContext when, bool clear, const std::vector<std::string> &skipped) override {
        std::lock_guard<std::mutex> hold(lock);
        is_recording = enabled;
        make_context = when >= cuda_caching::RecordContext::ALLOC ? recorder : nullptr;
        most_entries = std::max<size_t>(most, 1);
        skipped_actions.clear();
        for (const std::string &action : skipped) skipped_actions.insert(caching::parseTraceEntryAction(action));
        if (clear) history.clear();
    }
    bool isHistoryEnabled() override {
        std::lock_guard<std::mutex> hold(lock);
        return is_recording;
    }
    void attachOutOfMemoryObserver(cuda_caching::OutOfMemoryObserver observer) override {
        std::lock_guard<std::mutex> hold(lock);
        observers.push_back(std::move(observer));
    }

    void createOrIncrefPool(c10::DeviceIndex device, c10::MempoolId_t id,
                            std::shared_ptr<cuda_caching::CUDAAllocator> other) override {
        TORCH_CHECK(other == nullptr, "Tarn: a MemPool on Tarn cannot have an allocator of another kind");
        remember_pool(device, id);
        TORCH_CHECK(tarn_torch_create_pool(device, plain(id)) == TARN_OK, "Tarn: ", tarn_torch_last_error());
    }
    int getPoolUseCount(c10::DeviceIndex device, c10::MempoolId_t id) override {
        return static_cast<int>(tarn_torch_pool_users(device, plain(id)));
    }
    bool checkPoolLiveAllocations(c10::DeviceIndex device, c10::MempoolId_t id,
                                  const std::unordered_set<void *> &expected) override {
        tarn_allocator *pool = tarn_torch_pool_allocator(device, plain(id));
        TORCH_CHECK(pool != nullptr, "Tarn: device ", int(device), " has no such pool");
        size_t live = 0;
        for (const tarn_block_info &block : blocks_of(pool)) {
            if (block.state != TARN_BLOCK_IN_USE) continue;
            if (expected.count(reinterpret_cast<void *>(block.address)) == 0) return false;
            live++;
        }
        return live == expected.size();
    }

    void enablePeerAccess(c10::DeviceIndex device, c10::DeviceIndex owner) override {
        tarn_status status = tarn_device_enable_peer(tarn_allocator_device(allocator_of(device)),
                                                     tarn_allocator_device(allocator_of(owner)));
        TORCH_CHECK(status == TARN_OK, "Tarn: ", tarn_last_error());
    }

    void init(int count) override {
        pluggable::init(count);
        device_count = count;
    }

private:
    std::mutex lock; // protects what follows, but device_count
    std::unordered_map<int, double> fractions;
    std::unordered_map<int, tarn_memory_stats> bases; // as they were at the last reset
    std::unordered_map<int, int64_t> failures;
    std::map<c10::MempoolId_t, std::vector<int>> pools; // the devices on which a pool was begun
    std::vector<cuda_caching::OutOfMemoryObserver> observers;
    std::deque<caching::TraceEntry> history;
    std::unordered_set<int> skipped_actions;
    size_t most_entries = 1;
    bool is_recording = false;
    cuda_caching::CreateContextFn make_context = nullptr;
    int device_count = 0;

    template <typename T> static void append(std::vector<T> &to, std::vector<T> from) {
        to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
    }

    void remember_pool(int device, c10::MempoolId_t id) {
        std::lock_guard<std::mutex> hold(lock);
        std::vector<int> &devices = pools[id];
        if (std::find(devices.begin(), devices.end(), device) == devices.end()) devices.push_back(device);
    }
    std::vector<int> devices_of(c10::MempoolId_t id) {
        std::lock_guard<std::mutex> hold(lock);
        auto found = pools.find(id);
        return found != pools.end() ? found->second : std::vector<int>{};
    }

    void note(caching::TraceEntry::Action action, int device, const void *pointer, size_t size, cudaStream_t stream) {
        cuda_caching::CreateContextFn recorder;
        {
            std::lock_guard<std::mutex> hold(lock);
            if (!is_recording || skipped_actions.count(action) != 0) return;
            recorder = make_context;
        }
        // The recorder may take the interpreter's lock: not under ours.
        std::shared_ptr<c10::GatheredContext> context = recorder != nullptr ? recorder() : nullptr;
        std::lock_guard<std::mutex> hold(lock);
        while (history.size() >= most_entries) history.pop_front();
        history.emplace_back(action, static_cast<c10::DeviceIndex>(device), reinterpret_cast<size_t>(pointer), size,
                             stream, c10::MempoolId_t{0, 0}, c10::getApproximateTime(), std::move(context));
    }

    // The history has the clock's ticks; a snapshot has microseconds.
    void copy_traces(std::vector<std::vector<caching::TraceEntry>> &traces) {
        auto to_time = clock.makeConverter();
        std::lock_guard<std::mutex> hold(lock);
        for (const caching::TraceEntry &entry : history) {
            if (static_cast<size_t>(entry.device_) >= traces.size()) continue;
            traces[static_cast<size_t>(entry.device_)].push_back(entry);
            caching::TraceEntry &copied = traces[static_cast<size_t>(entry.device_)].back();
            copied.time_.t_ = to_time(entry.time_.approx_t_) / 1000;
        }
    }
    c10::ApproximateClockToUnixTimeConverter clock;

    void *take(size_t size, int device, cudaStream_t stream) {
        void *pointer = nullptr;
        if (size == 0) return nullptr;
        tarn_status status = tarn_torch_allocate(size, device, stream, &pointer);
        if (status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED) {
            bool has_freed = false;
            for (const std::string &key : c10::FreeCudaMemoryCallbacksRegistry()->Keys())
                has_freed |= c10::FreeCudaMemoryCallbacksRegistry()->Create(key)->Execute();
            if (has_freed) status = tarn_torch_allocate(size, device, stream, &pointer);
        }
        if (status == TARN_OK) {
            note(caching::TraceEntry::ALLOC, device, pointer, size, stream);
            return pointer;
        }
        std::string reason = tarn_torch_last_error();
        if (status == TARN_OUT_OF_MEMORY || status == TARN_LIMIT_EXCEEDED) {
            tell_observers(device, size, stream);
            TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tarn: ", reason);
        }
        TORCH_CHECK(false, "Tarn: ", tarn_status_name(status), ": ", reason);
    }

    void tell_observers(int device, size_t size, cudaStream_t stream) {
        tarn_device_properties properties = {};
        properties.struct_size = sizeof properties;
        (void)tarn_device_properties_get(tarn_allocator_device(allocator_of(device)), &properties);
        size_t in_use = stats_of(device).in_use_bytes.current;
        note(caching::TraceEntry::OOM, device, reinterpret_cast<void *>(properties.memory_free), size, stream);
        std::vector<cuda_caching::OutOfMemoryObserver> called;
        {
            std::lock_guard<std::mutex> hold(lock);
            failures[device]++;
            called = observers;
        }
        for (const auto &observer : called) observer(device, in_use, properties.memory_total, properties.memory_free);
    }
};

std::shared_ptr<shim> installed;

} // namespace

extern "C" {

// Makes it PyTorch's allocator: 0. Not 0: PyTorch has used its own already; the reason is printed.
TARN_API int tarn_torch_shim_install(void) {
    try {
        auto made = std::make_shared<shim>();
        torch::cuda::CUDAPluggableAllocator::changeCurrentAllocator(made);
        installed = made;
        return 0;
    } catch (const std::exception &error) {
        fprintf(stderr, "tarn-torch: the shim cannot be installed: %s\n", error.what());
        return 1;
    }
}

// For tests: what PyTorch does, on a device that PyTorch need not have. 0: an address, 1: torch.OutOfMemoryError, 2: another exception.
TARN_API int tarn_torch_shim_allocate(size_t size, int device, void *stream, void **out_pointer) {
    try {
        installed->init(device + 1);
        *out_pointer =
            installed->malloc(size, static_cast<c10::DeviceIndex>(device), static_cast<cudaStream_t>(stream));
        return 0;
    } catch (const c10::OutOfMemoryError &error) {
        return 1;
    } catch (const std::exception &error) {
        return 2;
    }
}
TARN_API void tarn_torch_shim_record_history(size_t entries) {
    installed->recordHistory(entries > 0, nullptr, entries, cuda_caching::RecordContext::NEVER, true, {});
}
TARN_API void tarn_torch_shim_free(void *pointer) { installed->raw_delete(pointer); }
}
