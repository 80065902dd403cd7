/* Timelines: see timeline.h. */
#include "timeline.h"

#include <stdlib.h>

#include "analysis.h"

bool timeline_create(timeline *line, const tarn_trace *trace) {
    tarn_trace_info info = {.struct_size = sizeof info};
    *line = (timeline){.events = tarn_trace_events(trace)};
    if (tarn_trace_info_get(trace, &info) != TARN_OK) return false;
    line->addresses = calloc(info.allocation_count + 1, sizeof *line->addresses);
    return line->addresses != NULL;
}

void timeline_free(timeline *line) {
    free(line->addresses);
    free(line->steps);
    *line = (timeline){0};
}

static void add_step(timeline *line, size_t event, uint64_t bytes) {
    if (line->step_count > 0 && line->steps[line->step_count - 1].bytes == bytes) return;
    if (line->step_count == line->step_room) {
        size_t room = line->step_room > 0 ? 2 * line->step_room : 256;
        timeline_step *steps = realloc(line->steps, room * sizeof *steps);
        if (steps == NULL) {
            line->is_short = true;
            return;
        }
        line->steps = steps;
        line->step_room = room;
    }
    line->steps[line->step_count++] = (timeline_step){.event = event, .bytes = bytes};
}

void timeline_sample(timeline *line, const tarn_replay_sample *sample) {
    if (sample->event < line->next_event) {
        line->next_event = SIZE_MAX;
        return;
    }
    line->next_event = sample->event + 1;
    line->has_reserved = true;
    const tarn_trace_event *event = &line->events[sample->event];
    if (event->action == TARN_TRACE_ALLOCATE) line->addresses[event->id] = sample->address;
    add_step(line, sample->event, sample->reserved_bytes);
}

bool timeline_from_recording(timeline *line, const tarn_trace *trace, uint16_t device) {
    tarn_trace_info info = {.struct_size = sizeof info};
    if (!timeline_create(line, trace) || tarn_trace_info_get(trace, &info) != TARN_OK) return false;
    uint64_t bytes = 0;
    line->has_reserved = analysis_reserved_at_start(trace, device, &bytes);
    if (line->has_reserved) add_step(line, 0, bytes);
    for (size_t i = 0; i < info.event_count; i++) {
        const tarn_trace_event *event = &line->events[i];
        if (event->device != device) continue;
        if (event->action == TARN_TRACE_ALLOCATE) line->addresses[event->id] = event->address;
        if (event->action == TARN_TRACE_SEGMENT_ALLOCATE) bytes += event->size;
        if (event->action == TARN_TRACE_SEGMENT_FREE) bytes -= event->size;
        bool is_segment = event->action == TARN_TRACE_SEGMENT_ALLOCATE || event->action == TARN_TRACE_SEGMENT_FREE;
        if (is_segment && line->has_reserved) add_step(line, i, bytes);
    }
    return !line->is_short;
}
