// Snapshots and the history, in PyTorch's structures.
#include "torch/shim.h"

namespace tarn_shim {

namespace {

cuda_caching::SegmentInfo begin_segment(int device, const tarn_torch_block &block) {
    cuda_caching::SegmentInfo segment;
    segment.device = static_cast<c10::DeviceIndex>(device);
    segment.address = block.address;
    segment.stream = static_cast<cudaStream_t>(block.stream);
    segment.is_expandable = block.is_expandable != 0;
    segment.owner_private_pool_id = pool_name(block.pool);
    return segment;
}

// Runs of blocks without a gap, on one segment and stream.
void add_segments(std::vector<cuda_caching::SegmentInfo> &segments, int device, const MempoolId_t &wanted,
                  history &past) {
    uint64_t key = 0, end = 0;
    size_t before = segments.size();
    for (const tarn_torch_block &block : blocks_of(device)) {
        if (wanted != MempoolId_t{0, 0} && wanted != pool_name(block.pool)) continue;
        bool is_next = segments.size() > before && key == block.segment && end == block.address &&
                       segments.back().stream == block.stream;
        if (!is_next) segments.push_back(begin_segment(device, block));
        cuda_caching::BlockInfo info;
        info.size = block.size;
        info.requested_size = block.requested;
        info.allocated = block.state == TARN_BLOCK_IN_USE;
        info.active = block.state != TARN_BLOCK_CACHED;
        if (info.allocated) info.context_when_allocated = past.context_of(reinterpret_cast<void *>(block.address));
        cuda_caching::SegmentInfo &segment = segments.back();
        segment.total_size += block.size;
        segment.requested_size += block.requested;
        segment.allocated_size += info.allocated ? block.size : 0;
        segment.active_size += info.active ? block.size : 0;
        segment.is_large = segment.total_size > (size_t{2} << 20);
        segment.blocks.push_back(std::move(info));
        key = block.segment;
        end = block.address + block.size;
    }
}

} // namespace

cuda_caching::SnapshotInfo allocator::snapshot(MempoolId_t wanted, bool include_traces) {
    cuda_caching::SnapshotInfo answer{};
    int devices = device_count;
    for (int device = 0; device < devices; device++) add_segments(answer.segments, device, wanted, past);
    answer.device_traces.resize(static_cast<size_t>(devices));
    if (include_traces) {
        answer.device_traces = past.entries(devices);
        answer.external_annotations = past.annotations();
    }
    answer.config_metadata.max_split_size = std::numeric_limits<size_t>::max();
    answer.config_metadata.roundup_power2_divisions.resize(16); // no such rounding, for each power of two
    for (const cuda_caching::SegmentInfo &segment : answer.segments) {
        answer.config_metadata.expandable_segments |= segment.is_expandable;
        past.note(history::entry::SNAPSHOT, segment.device, 0, segment.active_size, nullptr, wanted);
    }
    return answer;
}

void allocator::recordHistory(bool enabled, cuda_caching::CreateContextFn recorder, size_t most,
                              cuda_caching::RecordContext when, bool clear, const std::vector<std::string> &skipped) {
    past.configure(enabled, recorder, most, when, clear, skipped);
}

bool allocator::isHistoryEnabled() { return past.is_enabled(); }

std::shared_ptr<c10::GatheredContext> allocator::getContextForPointer(const void *pointer) {
    return past.context_of(pointer);
}

void allocator::attachAllocatorTraceTracker(cuda_caching::AllocatorTraceTracker tracker) {
    past.add_tracker(std::move(tracker));
}

void allocator::recordAnnotation(const std::vector<std::pair<std::string, std::string>> &annotation) {
    past.annotate(annotation);
}

void allocator::pushCompileContext(std::string &context) { past.push_compile_context(context); }

void allocator::popCompileContext() { past.pop_compile_context(); }

void allocator::setUserMetadata(const std::string &metadata) { history::metadata() = metadata; }

std::string allocator::getUserMetadata() { return history::metadata(); }

void allocator::annotateMemory(const void *pointer, const std::string &metadata) {
    for (int device = 0; device < device_count; device++) {
        for (const tarn_torch_block &block : blocks_of(device)) {
            if (block.address != reinterpret_cast<uint64_t>(pointer) || block.state != TARN_BLOCK_IN_USE) continue;
            past.note(annotate_action, device, block.address, block.requested, block.stream, pool_name(block.pool),
                      metadata);
            return;
        }
    }
    TORCH_CHECK(false, "Tarn: ", pointer, " is not the beginning of a live allocation");
}

} // namespace tarn_shim
