// Figures of a device, in PyTorch's structure.
#include "torch/shim.h"

namespace tarn_shim {

namespace {

void fill(stat_array &array, const tarn_torch_figure figures[TARN_TORCH_SIZES]) {
    for (size_t sizes = 0; sizes < TARN_TORCH_SIZES; sizes++) {
        array[sizes].current = figures[sizes].current;
        array[sizes].peak = figures[sizes].peak;
        array[sizes].allocated = figures[sizes].allocated;
        array[sizes].freed = figures[sizes].freed;
    }
}
static_assert(static_cast<int>(stat_type::SMALL_POOL) == TARN_TORCH_SMALL &&
                  static_cast<int>(stat_type::LARGE_POOL) == TARN_TORCH_LARGE,
              "the plug-in has PyTorch's order");

// What each pool has reserved now; some versions of PyTorch have no place for it.
template <typename Stats> void fill_pools(Stats &stats, int device) {
    if constexpr (requires { stats.reserved_bytes_by_private_pools; }) {
        for (const tarn_torch_block &block : blocks_of(device)) {
            if (pool_name(block.pool) == MempoolId_t{0, 0}) continue;
            stats.reserved_bytes_by_private_pools[pool_name(block.pool)][TARN_TORCH_ALL].increase(block.size);
        }
    }
}

} // namespace

cuda_caching::DeviceStats allocator::getDeviceStats(c10::DeviceIndex device) {
    tarn_torch_stats stats;
    check(tarn_torch_stats_get(device, &stats));
    cuda_caching::DeviceStats answer;
    fill(answer.allocation, stats.figures[TARN_TORCH_ALLOCATION]);
    fill(answer.segment, stats.figures[TARN_TORCH_SEGMENT]);
    fill(answer.active, stats.figures[TARN_TORCH_ACTIVE]);
    fill(answer.inactive_split, stats.figures[TARN_TORCH_INACTIVE_SPLIT]);
    fill(answer.allocated_bytes, stats.figures[TARN_TORCH_ALLOCATED_BYTES]);
    fill(answer.reserved_bytes, stats.figures[TARN_TORCH_RESERVED_BYTES]);
    fill(answer.active_bytes, stats.figures[TARN_TORCH_ACTIVE_BYTES]);
    fill(answer.inactive_split_bytes, stats.figures[TARN_TORCH_INACTIVE_SPLIT_BYTES]);
    fill(answer.requested_bytes, stats.figures[TARN_TORCH_REQUESTED_BYTES]);
    fill_pools(answer, device);
    answer.num_alloc_retries = stats.retries;
    answer.num_ooms = stats.failures;
    answer.num_sync_all_streams = stats.device_waits;
    answer.num_device_alloc = stats.driver_allocs;
    answer.num_device_free = stats.driver_frees;
    answer.max_split_size = -1; // blocks of every size are split, so that none is oversize
    return answer;
}

void allocator::resetAccumulatedStats(c10::DeviceIndex device) { tarn_torch_reset_totals(device); }

void allocator::resetPeakStats(c10::DeviceIndex device) { tarn_torch_reset_peaks(device); }

std::vector<StreamSegmentSize> allocator::getExpandableSegmentSizes(c10::DeviceIndex device) {
    std::vector<StreamSegmentSize> sizes;
    uint64_t segment = 0;
    for (const tarn_torch_block &block : blocks_of(device)) {
        if (!block.is_expandable) continue;
        if (sizes.empty() || segment != block.segment)
            sizes.emplace_back(static_cast<cudaStream_t>(block.stream), false, 0);
        sizes.back().total_size += block.size;
        segment = block.segment;
    }
    return sizes;
}

} // namespace tarn_shim
