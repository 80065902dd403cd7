#include "torch/shim_history.h"

#include <c10/cuda/CUDAFunctions.h>

#include <algorithm>
#include <iterator>

namespace tarn_shim {

namespace {

// In the order of PyTorch's numbers. Older versions have no function for it.
const char *const action_names[] = {"alloc",       "free_requested", "free_completed", "segment_alloc", "segment_free",
                                    "segment_map", "segment_unmap",  "snapshot",       "oom",           "annotate"};

int action_of(const std::string &name) {
    const auto *found = std::find(std::begin(action_names), std::end(action_names), name);
    TORCH_CHECK(found != std::end(action_names), "Unknown TraceEntry action: ", name);
    return static_cast<int>(found - std::begin(action_names));
}

} // namespace

void history::configure(bool is_enabled, cuda_caching::CreateContextFn recorder, size_t most, record_context when,
                        bool clear, const std::vector<std::string> &skipped) {
    std::unordered_set<int> actions;
    for (const std::string &action : skipped) actions.insert(action_of(action));
    std::lock_guard<std::mutex> hold(lock);
    is_recording = is_enabled;
    gather = recorder;
    depth = is_enabled ? when : record_context::NEVER;
    most_entries = std::max<size_t>(most, 1);
    skipped_actions = std::move(actions);
    if (clear || !is_enabled) {
        past.clear();
        notes.clear();
    }
    if (!is_enabled) alive.clear();
    is_needed.store(is_recording || !trackers.empty(), std::memory_order_relaxed);
}

bool history::is_enabled() {
    std::lock_guard<std::mutex> hold(lock);
    return is_recording;
}

void history::add_tracker(cuda_caching::AllocatorTraceTracker tracker) {
    std::lock_guard<std::mutex> hold(lock);
    trackers.push_back(std::move(tracker));
    is_needed.store(true, std::memory_order_relaxed);
}

// The recorder may take the interpreter's lock: not under ours.
history::context history::gather_for(entry::Action action) {
    bool is_free = action == entry::FREE_REQUESTED || action == entry::FREE_COMPLETED;
    cuda_caching::CreateContextFn recorder;
    {
        std::lock_guard<std::mutex> hold(lock);
        record_context least = is_free                  ? record_context::ALL
                               : action == entry::ALLOC ? record_context::STATE
                                                        : record_context::ALLOC;
        recorder = is_recording && depth >= least ? gather : nullptr;
    }
    return recorder != nullptr ? recorder() : nullptr;
}

void history::note(const tarn_torch_event &event) {
    note(static_cast<entry::Action>(event.action), event.device, event.address, event.size, event.stream,
         {event.pool.first, event.pool.second});
}

void history::note(entry::Action action, int device, uint64_t address, size_t size, void *stream, MempoolId_t pool,
                   const std::string &text) {
    if (!is_needed.load(std::memory_order_relaxed)) return;
    context callers = gather_for(action);
    std::vector<cuda_caching::AllocatorTraceTracker> told;
    std::unique_lock<std::mutex> hold(lock);
    if (action == entry::ALLOC && callers != nullptr) alive[address] = callers;
    if (action == entry::FREE_COMPLETED) alive.erase(address);
    if (depth < record_context::ALLOC) callers = nullptr; // it is for what is alive alone
    entry made =
        make_entry(action, device, address, size, stream, pool, c10::getApproximateTime(), std::move(callers),
                   compile_contexts.empty() ? "N/A" : compile_contexts.back(), text.empty() ? metadata() : text);
    told = trackers;
    if (is_recording && skipped_actions.count(action) == 0) {
        std::deque<entry> &entries = past[device];
        while (entries.size() >= most_entries) entries.pop_front();
        entries.push_back(made);
    }
    hold.unlock();
    for (const auto &tracker : told) tracker(made);
}

void history::annotate(const std::vector<std::pair<std::string, std::string>> &texts) {
    c10::DeviceIndex device = 0;
    if (c10::cuda::GetDevice(&device) != cudaSuccess) device = 0;
    std::lock_guard<std::mutex> hold(lock);
    if (!is_recording) return;
    while (notes.size() >= most_entries) notes.pop_front();
    notes.emplace_back(device, c10::getApproximateTime());
    for (const auto &[name, value] : texts) notes.back().recordUserMetadata(name, value);
}

history::context history::context_of(const void *pointer) {
    std::lock_guard<std::mutex> hold(lock);
    auto found = alive.find(reinterpret_cast<uint64_t>(pointer));
    return found != alive.end() ? found->second : nullptr;
}

std::vector<std::vector<history::entry>> history::entries(int devices) {
    auto to_time = clock.makeConverter();
    std::vector<std::vector<entry>> all(static_cast<size_t>(devices));
    std::lock_guard<std::mutex> hold(lock);
    for (const auto &[device, entries] : past) {
        if (device >= devices) continue;
        std::vector<entry> &copies = all[static_cast<size_t>(device)];
        copies.assign(entries.begin(), entries.end());
        for (entry &copy : copies) copy.time_.t_ = to_time(copy.time_.approx_t_) / 1000;
    }
    return all;
}

std::vector<history::annotation> history::annotations() {
    auto to_time = clock.makeConverter();
    std::lock_guard<std::mutex> hold(lock);
    std::vector<annotation> copies(notes.begin(), notes.end());
    for (annotation &copy : copies) copy.time_.t_ = to_time(copy.time_.approx_t_) / 1000;
    return copies;
}

void history::push_compile_context(const std::string &text) {
    std::lock_guard<std::mutex> hold(lock);
    compile_contexts.push_back(text);
}

void history::pop_compile_context() {
    std::lock_guard<std::mutex> hold(lock);
    if (!compile_contexts.empty()) compile_contexts.pop_back();
}

std::string &history::metadata() {
    static thread_local std::string text;
    return text;
}

} // namespace tarn_shim
