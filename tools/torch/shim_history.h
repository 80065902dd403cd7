// What happened, as PyTorch records it: the plug-in's events with the callers, contexts and texts that PyTorch adds.
#ifndef TORCH_SHIM_HISTORY_H
#define TORCH_SHIM_HISTORY_H

#include <c10/util/ApproximateClock.h>

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "torch/native.h"
#include "torch/shim_versions.h"

namespace tarn_shim {

class history {
public:
    using entry = cuda_caching::TraceEntry;
    using annotation = annotation_entry;
    using context = std::shared_ptr<c10::GatheredContext>;
    using record_context = cuda_caching::RecordContext;

    void configure(bool is_enabled, cuda_caching::CreateContextFn recorder, size_t most, record_context when,
                   bool clear, const std::vector<std::string> &skipped);
    bool is_enabled();
    void add_tracker(cuda_caching::AllocatorTraceTracker tracker);

    void note(const tarn_torch_event &event);
    // Of what does not come from the plug-in. `text` stands in the place of the thread's metadata, unless it is empty.
    void note(entry::Action action, int device, uint64_t address, size_t size, void *stream, MempoolId_t pool,
              const std::string &text = "");
    void annotate(const std::vector<std::pair<std::string, std::string>> &texts);

    // Who allocated what is alive; NULL: not known.
    context context_of(const void *pointer);
    // Entries of each device up to that number, with times in microseconds.
    std::vector<std::vector<entry>> entries(int devices);
    std::vector<annotation> annotations();

    void push_compile_context(const std::string &text);
    void pop_compile_context();
    // The thread's own.
    static std::string &metadata();

private:
    std::mutex lock;                    // protects what follows, but the flag
    std::atomic<bool> is_needed{false}; // relaxed: an event beside a change is before it or after it
    bool is_recording = false;
    cuda_caching::CreateContextFn gather = nullptr;
    record_context depth = record_context::NEVER;
    size_t most_entries = 1;
    std::unordered_set<int> skipped_actions;
    std::map<int, std::deque<entry>> past;
    std::deque<annotation> notes;
    std::unordered_map<uint64_t, context> alive;
    std::vector<std::string> compile_contexts;
    std::vector<cuda_caching::AllocatorTraceTracker> trackers;
    c10::ApproximateClockToUnixTimeConverter clock;

    context gather_for(entry::Action action);
};

} // namespace tarn_shim

#endif
