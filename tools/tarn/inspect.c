/* Facts of a trace: see inspect.h. */
#include "inspect.h"

#include <stdlib.h>

static unsigned size_class(uint64_t size) { return size < 2 ? 0 : 63u - (unsigned)__builtin_clzll(size); }

static int compare_times(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static bool count_lifetimes(inspect_facts *facts, const tarn_trace_event *events) {
    const tarn_trace_info *info = &facts->info;
    inspect_lifetimes *lifetimes = &facts->lifetimes;
    int64_t *born = malloc((info->allocation_count + 1) * sizeof *born); /* -1: before the recording */
    int64_t *durations = malloc((info->allocation_count + 1) * sizeof *durations);
    bool has_memory = born != NULL && durations != NULL;
    size_t alive = 0;
    for (size_t i = 0; has_memory && i < info->event_count; i++) {
        const tarn_trace_event *event = &events[i];
        if (event->device != facts->device) continue;
        if (event->action == TARN_TRACE_ALLOCATE) {
            born[event->id] = i < info->initial_count ? -1 : event->time_ns;
            alive++;
        } else if (event->action == TARN_TRACE_FREE) {
            if (born[event->id] >= 0) durations[lifetimes->count++] = event->time_ns - born[event->id];
            alive--;
        }
    }
    lifetimes->still_alive = alive;
    if (has_memory && lifetimes->count > 0) {
        size_t last = lifetimes->count - 1;
        qsort(durations, lifetimes->count, sizeof *durations, compare_times);
        lifetimes->p50_ns = durations[last / 2];
        lifetimes->p90_ns = durations[last - last / 10];
        lifetimes->p99_ns = durations[last - last / 100];
        lifetimes->max_ns = durations[last];
    }
    free(durations);
    free(born);
    return has_memory;
}

static void count_state(inspect_facts *facts, const tarn_trace_block *blocks) {
    inspect_state *state = &facts->state;
    uint64_t segment = 0;
    for (size_t i = 0; i < facts->info.block_count; i++) {
        const tarn_trace_block *block = &blocks[i];
        if (block->device != facts->device) continue;
        if (state->blocks++ == 0 || block->segment != segment) state->segments++;
        segment = block->segment;
        state->reserved += block->size;
        switch ((tarn_block_state)block->state) {
        case TARN_BLOCK_IN_USE:
            state->active += block->size;
            if (block->size > block->requested) state->rounding += block->size - block->requested;
            break;
        case TARN_BLOCK_PENDING: state->pending += block->size; break;
        case TARN_BLOCK_CACHED:
        case TARN_BLOCK_UNMAPPED:
            state->inactive += block->size;
            if (block->size > state->largest_free) state->largest_free = block->size;
            break;
        }
    }
    if (state->inactive > 0) state->fragmentation = 1 - (double)state->largest_free / (double)state->inactive;
}

static void count_events(inspect_facts *facts, const tarn_trace_event *events) {
    for (size_t i = 0; i < facts->info.event_count; i++) {
        const tarn_trace_event *event = &events[i];
        if (event->device != facts->device) continue;
        facts->span_ns = event->time_ns;
        if (i < facts->info.initial_count) {
            facts->initial++;
        } else {
            facts->events++;
            if (event->action <= TARN_TRACE_MARK) facts->actions[event->action]++;
        }
        if (event->action != TARN_TRACE_ALLOCATE) continue;
        unsigned class = size_class(event->size);
        facts->sizes.count[class]++;
        facts->sizes.bytes[class] += event->size;
    }
}

tarn_status inspect_facts_get(const tarn_trace *trace, int device, inspect_facts *out_facts) {
    *out_facts = (inspect_facts){.info.struct_size = sizeof out_facts->info};
    tarn_status status = tarn_trace_info_get(trace, &out_facts->info);
    if (status != TARN_OK) return status;
    const tarn_trace_event *events = tarn_trace_events(trace);
    if (!analysis_find_device(trace, &out_facts->device, &out_facts->device_count)) return TARN_OUT_OF_MEMORY;
    if (device >= 0) out_facts->device = (uint16_t)device;
    count_events(out_facts, events);
    if (device >= 0 && out_facts->events + out_facts->initial == 0) return TARN_NOT_FOUND;

    out_facts->peak = analysis_find_peak(trace, out_facts->device);
    for (size_t i = out_facts->info.initial_count; i < out_facts->info.event_count && i <= out_facts->peak.event; i++)
        if (events[i].device == out_facts->device) out_facts->peak_number++;
    out_facts->recorded_peak = analysis_find_recorded_peak(trace, out_facts->device, out_facts->peak.bytes);
    count_state(out_facts, tarn_trace_blocks(trace));
    bool has_memory = count_lifetimes(out_facts, events);
    if (has_memory && analysis_has_tags(trace))
        has_memory = analysis_find_holders(trace, out_facts->device, out_facts->peak.event, true, &out_facts->by_tag);
    if (has_memory)
        has_memory = analysis_find_holders(trace, out_facts->device, out_facts->peak.event, false, &out_facts->by_site);
    return has_memory ? TARN_OK : TARN_OUT_OF_MEMORY;
}

void inspect_facts_free(inspect_facts *facts) {
    free(facts->by_tag.holders);
    free(facts->by_site.holders);
}
