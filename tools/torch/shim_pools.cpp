// Pools that MemPool makes, and checkpoints of those that trees of CUDA graphs use.
#include "torch/shim.h"

#include <unordered_set>

namespace tarn_shim {

namespace {

struct checkpoint_deleter {
    void operator()(tarn_torch_checkpoint *checkpoint) const { tarn_torch_checkpoint_destroy(checkpoint); }
};

struct checkpoint_state final : cuda_caching::AllocatorState {
    std::unique_ptr<tarn_torch_checkpoint, checkpoint_deleter> checkpoint;
};

// Ends the lists, however the restoring ends.
struct restored_lists : tarn_torch_restored {
    ~restored_lists() { tarn_torch_restored_end(this); }
};

} // namespace

void allocator::createOrIncrefPool(c10::DeviceIndex device, MempoolId_t id,
                                   std::shared_ptr<cuda_caching::CUDAAllocator> other) {
    TORCH_CHECK(other == nullptr || other.get() == this,
                "Tarn: a MemPool on Tarn has Tarn's memory; one with an allocator of its own needs PyTorch's caching "
                "allocator, in a process where Tarn is not installed");
    check(tarn_torch_create_pool(device, plain(id)));
}

int allocator::getPoolUseCount(c10::DeviceIndex device, MempoolId_t id) {
    return static_cast<int>(tarn_torch_pool_users(device, plain(id)));
}

void allocator::setUseOnOOM(c10::DeviceIndex device, MempoolId_t id, bool is_used) {
    check(tarn_torch_use_on_failure(device, plain(id), is_used ? 1 : 0));
}

void allocator::setNoSplit(c10::DeviceIndex device, MempoolId_t id) {
    check(tarn_torch_pool_no_split(device, plain(id)));
}

bool allocator::checkPoolLiveAllocations(c10::DeviceIndex device, MempoolId_t id,
                                         const std::unordered_set<void *> &expected) {
    TORCH_CHECK(tarn_torch_pool_allocator(device, plain(id)) != nullptr, "Tarn: device ", int(device),
                " has no such pool");
    size_t live = 0;
    for (const tarn_torch_block &block : blocks_of(device)) {
        if (pool_name(block.pool) != id || block.state != TARN_BLOCK_IN_USE) continue;
        if (expected.count(reinterpret_cast<void *>(block.address)) == 0) return false;
        live++;
    }
    return live == expected.size();
}

std::shared_ptr<cuda_caching::AllocatorState> allocator::getCheckpointState(c10::DeviceIndex device, MempoolId_t id) {
    auto state = std::make_shared<checkpoint_state>();
    tarn_torch_checkpoint *taken = nullptr;
    check(tarn_torch_checkpoint_take(device, plain(id), &taken));
    state->checkpoint.reset(taken);
    return state;
}

// What was freed and made until a failure stands in PyTorch's books all the same, so that the same call can be made again.
cuda_caching::CheckpointDelta allocator::setCheckpointPoolState(c10::DeviceIndex device,
                                                                std::shared_ptr<cuda_caching::AllocatorState> state) {
    auto *own_state = dynamic_cast<checkpoint_state *>(state.get());
    TORCH_CHECK(own_state != nullptr, "Tarn: the checkpoint is not one of Tarn's");
    restored_lists lists{};
    tarn_status status = tarn_torch_checkpoint_restore(own_state->checkpoint.get(), &lists);
    cuda_caching::CheckpointDelta delta;
    for (size_t i = 0; i < lists.freed_count; i++) {
        forget(lists.freed[i].pointer);
        delta.ptrs_freed.push_back(lists.freed[i].pointer);
    }
    for (size_t i = 0; i < lists.created_count; i++) remember(lists.created[i], device);
    check(status);
    for (size_t i = 0; i < lists.created_count; i++)
        delta.dataptrs_allocd.push_back(own(lists.created[i].pointer, device));
    return delta;
}

} // namespace tarn_shim
