/* Analysis of a trace: see analysis.h. */
#include "analysis.h"

#include <stdlib.h>

static tarn_trace_info info_of(const tarn_trace *trace) {
    tarn_trace_info info = {.struct_size = sizeof info};
    tarn_trace_info_get(trace, &info);
    return info;
}

bool analysis_find_device(const tarn_trace *trace, uint16_t *out_device, size_t *out_count) {
    tarn_trace_info info = info_of(trace);
    const tarn_trace_event *events = tarn_trace_events(trace);
    enum { DEVICES = UINT16_MAX + 1 };
    struct device_use {
        uint64_t live, peak;
        bool is_seen;
    } *uses = calloc(DEVICES, sizeof *uses);
    if (uses == NULL) return false;
    for (size_t i = 0; i < info.event_count; i++) {
        struct device_use *use = &uses[events[i].device];
        use->is_seen = true;
        if (events[i].action == TARN_TRACE_ALLOCATE) use->live += events[i].size;
        if (events[i].action == TARN_TRACE_FREE) use->live -= events[i].size;
        if (use->live > use->peak) use->peak = use->live;
    }
    size_t count = 0, best = 0;
    for (size_t i = 0; i < DEVICES; i++) {
        if (!uses[i].is_seen) continue;
        if (count++ == 0 || uses[i].peak > uses[best].peak) best = i;
    }
    free(uses);
    *out_device = (uint16_t)best;
    *out_count = count;
    return true;
}

analysis_peak analysis_find_peak(const tarn_trace *trace, uint16_t device) {
    tarn_trace_info info = info_of(trace);
    const tarn_trace_event *events = tarn_trace_events(trace);
    analysis_peak peak = {0};
    uint64_t live = 0;
    for (size_t i = 0; i < info.event_count; i++) {
        if (events[i].device != device) continue;
        if (events[i].action == TARN_TRACE_ALLOCATE) live += events[i].size;
        if (events[i].action == TARN_TRACE_FREE) live -= events[i].size;
        if (live > peak.bytes) peak = (analysis_peak){.bytes = live, .event = i, .time_ns = events[i].time_ns};
    }
    return peak;
}

enum { ALL_DEVICES = -1 };

/* Bytes by which the event changed what the recorded allocator held on `device`, modulo 2^64. */
static uint64_t reserved_change(const tarn_trace_event *event, int device) {
    if (device != ALL_DEVICES && event->device != device) return 0;
    if (event->action == TARN_TRACE_SEGMENT_ALLOCATE) return event->size;
    return event->action == TARN_TRACE_SEGMENT_FREE ? 0 - event->size : 0;
}

static bool find_reserved(const tarn_trace *trace, int device, uint64_t *out_at_start, uint64_t *out_peak) {
    tarn_trace_info info = info_of(trace);
    const tarn_trace_event *events = tarn_trace_events(trace);
    const tarn_trace_block *blocks = tarn_trace_blocks(trace);
    uint64_t bytes = 0;
    bool is_known = false;
    for (size_t i = 0; i < info.block_count; i++) {
        if (device != ALL_DEVICES && blocks[i].device != device) continue;
        bytes += blocks[i].size;
        is_known = true;
    }
    *out_peak = bytes;
    for (size_t i = info.event_count; i-- > 0;) {
        bytes -= reserved_change(&events[i], device);
        if (bytes > *out_peak) *out_peak = bytes;
    }
    *out_at_start = bytes;
    return is_known;
}

bool analysis_reserved_at_start(const tarn_trace *trace, uint16_t device, uint64_t *out_bytes) {
    uint64_t peak = 0;
    return find_reserved(trace, device, out_bytes, &peak);
}

/* The trace knows the peak of all devices together. Where another device held memory too, that of one is the walk's, if the walk over all
 * devices agrees with the trace. */
uint64_t analysis_find_recorded_peak(const tarn_trace *trace, uint16_t device, uint64_t peak_live) {
    tarn_trace_info info = info_of(trace);
    uint64_t start = 0, own = 0, all = 0;
    find_reserved(trace, device, &start, &own);
    find_reserved(trace, ALL_DEVICES, &start, &all);
    if (!info.has_recorded_peak || (own != all && all != info.recorded_peak_reserved)) return 0;
    uint64_t peak = own == all ? info.recorded_peak_reserved : own;
    return peak < peak_live ? 0 : peak;
}

static void hold(analysis_holder *by_name, const tarn_trace_event *event, uint32_t none, bool by_tag) {
    uint32_t name = by_tag ? event->tag : event->site;
    analysis_holder *holder = &by_name[name == TARN_TRACE_NO_STRING ? none : name];
    holder->name = name;
    holder->bytes += event->size;
    holder->blocks++;
}

static int compare_holders(const void *a, const void *b) {
    const analysis_holder *left = a, *right = b;
    if (left->bytes != right->bytes) return left->bytes < right->bytes ? 1 : -1;
    return (left->name > right->name) - (left->name < right->name);
}

bool analysis_find_holders(const tarn_trace *trace, uint16_t device, size_t event, bool by_tag,
                           analysis_holders *out_holders) {
    tarn_trace_info info = info_of(trace);
    const tarn_trace_event *events = tarn_trace_events(trace);
    analysis_holder *by_name = calloc((size_t)info.string_count + 1, sizeof *by_name);
    size_t *allocated_by = calloc(info.allocation_count + 1, sizeof *allocated_by); /* event + 1; 0: not alive */
    if (by_name == NULL || allocated_by == NULL) {
        free(by_name);
        free(allocated_by);
        return false;
    }
    for (size_t i = 0; i <= event && i < info.event_count; i++) {
        if (events[i].device != device) continue;
        if (events[i].action == TARN_TRACE_ALLOCATE) allocated_by[events[i].id] = i + 1;
        if (events[i].action == TARN_TRACE_FREE) allocated_by[events[i].id] = 0;
    }
    for (size_t id = 0; id < info.allocation_count; id++)
        if (allocated_by[id] != 0) hold(by_name, &events[allocated_by[id] - 1], info.string_count, by_tag);
    free(allocated_by);

    size_t count = 0;
    for (size_t i = 0; i <= info.string_count; i++)
        if (by_name[i].blocks > 0) by_name[count++] = by_name[i];
    qsort(by_name, count, sizeof *by_name, compare_holders);
    *out_holders = (analysis_holders){.holders = by_name, .count = count};
    return true;
}

bool analysis_has_tags(const tarn_trace *trace) {
    tarn_trace_info info = info_of(trace);
    const tarn_trace_event *events = tarn_trace_events(trace);
    for (size_t i = 0; i < info.event_count; i++)
        if (events[i].action == TARN_TRACE_ALLOCATE && events[i].tag != TARN_TRACE_NO_STRING) return true;
    return false;
}
