/* Writes a snapshot as PyTorch's memory viewer opens it: a pickle with segments, blocks, the history and the settings.
 *
 * Allocations from before the recording are not in the history: there, as in a real snapshot whose ring has lost
 * its beginning, they are told by their frees and by the final blocks. A trace without recorded segments gets one
 * segment for each allocation that lives at the end.
 *
 * PyTorch has no tags on blocks. A tag is written as user_metadata, which its history entries have, and where no call site
 * is known also as the one frame, since frames are what the viewer shows. What the layout lacks besides is the peak of reserved
 * bytes, which stands beside its four parts. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "pickle_output.h"
#include "pytorch_text.h"
#include "writers.h"

#include <tarn/allocator.h>

typedef struct writer {
    const tarn_trace *trace;
    base_output *output;
    uint64_t *addresses;            /* by id */
    const tarn_trace_event **final; /* by id: the allocate of what lives at the end, else NULL */
    size_t *first;                  /* by device: its first event that is not initial, counted from 1; 0: none */
    size_t *next;                   /* by event: the next one of its device, likewise */
} writer;

static void put_frame(base_output *output, const char *name, size_t name_length, const char *file, size_t file_length,
                      uint64_t line) {
    pickle_put_dict(output);
    pickle_put_name(output, "name");
    pickle_put_text(output, name, name_length);
    pickle_put_name(output, "filename");
    pickle_put_text(output, file, file_length);
    pickle_put_number_field(output, "line", line);
    pickle_end_dict(output);
}

/* One frame's text, "name (file:line)", "name (file)" or anything else, as PyTorch's dict. */
static void put_frame_text(base_output *output, const char *text, size_t length) {
    const char *open = length > 0 && text[length - 1] == ')' ? memrchr(text, '(', length) : NULL;
    if (open == NULL || open == text || open[-1] != ' ') {
        put_frame(output, text, length, "??", 2, 0);
        return;
    }
    const char *file = open + 1, *end = text + length - 1;
    const char *colon = memrchr(file, ':', (size_t)(end - file));
    bool has_line = colon != NULL && strspn(colon + 1, "0123456789") == (size_t)(end - colon - 1);
    put_frame(output, text, (size_t)(open - 1 - text), file, (size_t)((has_line ? colon : end) - file),
              has_line ? strtoul(colon + 1, NULL, 10) & 0x7fffffff : 0);
}

/* What an event or a block was for and where it came from. */
static void put_origin(writer *w, uint32_t tag, uint32_t site) {
    const char *text = tarn_trace_string(w->trace, site), *what_for = tarn_trace_string(w->trace, tag);
    pickle_list frames;
    pickle_put_text_field(w->output, "user_metadata", what_for);
    pickle_put_name(w->output, "frames");
    pickle_put_list(w->output, &frames);
    if (*text == '\0' && *what_for != '\0') {
        pickle_put_next(w->output, &frames);
        put_frame(w->output, what_for, strlen(what_for), PYTORCH_TAG_FILE, strlen(PYTORCH_TAG_FILE), 0);
    }
    while (*text != '\0') {
        const char *end = strstr(text, " < ");
        size_t length = end == NULL ? strlen(text) : (size_t)(end - text);
        pickle_put_next(w->output, &frames);
        put_frame_text(w->output, text, length);
        text += end == NULL ? length : length + 3;
    }
    pickle_end_list(w->output, &frames);
}

static void put_block(writer *w, const tarn_trace_block *block) {
    static const char *const states[] = {[TARN_BLOCK_IN_USE] = "active_allocated",
                                         [TARN_BLOCK_CACHED] = "inactive",
                                         [TARN_BLOCK_PENDING] = "active_pending_free"};
    base_output *output = w->output;
    pickle_put_dict(output);
    pickle_put_number_field(output, "address", block->address);
    pickle_put_number_field(output, "size", block->size);
    pickle_put_number_field(output, "requested_size", block->requested);
    pickle_put_text_field(output, "state",
                          states[block->state <= TARN_BLOCK_PENDING ? block->state : TARN_BLOCK_PENDING]);
    put_origin(w, block->tag, block->site);
    pickle_end_dict(output);
}

/* The number that the trace's stream had where it was recorded. */
static uint64_t stream_of(const writer *w, uint32_t stream) {
    return stream == 0 ? 0 : w->trace->stream_numbers[stream - 1];
}

/* A segment of the `count` blocks, which lie one after the other. */
static void put_segment(writer *w, const tarn_trace_block *blocks, size_t count) {
    uint64_t total = 0, allocated = 0, active = 0, requested = 0;
    for (size_t i = 0; i < count; i++) {
        total += blocks[i].size;
        if (blocks[i].state == TARN_BLOCK_IN_USE) allocated += blocks[i].size;
        if (blocks[i].state != TARN_BLOCK_CACHED) {
            active += blocks[i].size;
            requested += blocks[i].requested;
        }
    }
    base_output *output = w->output;
    pickle_list list;
    pickle_put_dict(output);
    pickle_put_number_field(output, "device", blocks[0].device);
    pickle_put_number_field(output, "address", blocks[0].segment);
    pickle_put_number_field(output, "total_size", total);
    pickle_put_number_field(output, "allocated_size", allocated);
    pickle_put_number_field(output, "active_size", active);
    pickle_put_number_field(output, "requested_size", requested);
    pickle_put_number_field(output, "stream", stream_of(w, blocks[0].stream));
    pickle_put_text_field(output, "segment_type", total > 2 * 1024 * 1024 ? "large" : "small");
    pickle_put_name(output, "segment_pool_id");
    pickle_put_number(output, 0);
    pickle_put_number(output, 0);
    pickle_put_pair(output);
    pickle_put_name(output, "is_expandable");
    pickle_put_boolean(output, false);
    pickle_put_name(output, "frames");
    pickle_put_list(output, &list);
    pickle_end_list(output, &list);
    pickle_put_name(output, "blocks");
    pickle_put_list(output, &list);
    for (size_t i = 0; i < count; i++) {
        pickle_put_next(output, &list);
        put_block(w, &blocks[i]);
    }
    pickle_end_list(output, &list);
    pickle_end_dict(output);
}

static void put_recorded_segments(writer *w, pickle_list *list) {
    const tarn_trace *trace = w->trace;
    for (size_t first = 0, end; first < trace->block_count; first = end) {
        const tarn_trace_block *block = &trace->blocks[first];
        for (end = first + 1; end < trace->block_count; end++)
            if (trace->blocks[end].segment != block->segment || trace->blocks[end].device != block->device) break;
        pickle_put_next(w->output, list);
        put_segment(w, block, end - first);
    }
}

static void put_made_up_segments(writer *w, pickle_list *list) {
    for (uint64_t id = 0; id < w->trace->allocation_count; id++) {
        const tarn_trace_event *event = w->final[id];
        if (event == NULL) continue;
        tarn_trace_block block = {.segment = w->addresses[id],
                                  .address = w->addresses[id],
                                  .size = event->size,
                                  .requested = event->size,
                                  .stream = event->stream,
                                  .site = event->site,
                                  .tag = event->tag,
                                  .device = event->device,
                                  .state = TARN_BLOCK_IN_USE};
        pickle_put_next(w->output, list);
        put_segment(w, &block, 1);
    }
}

static const char *action_of(const tarn_trace_event *event) {
    switch ((tarn_trace_action)event->action) {
    case TARN_TRACE_ALLOCATE: return "alloc";
    case TARN_TRACE_FREE: return "free_requested";
    case TARN_TRACE_FREE_COMPLETED: return "free_completed";
    case TARN_TRACE_SEGMENT_ALLOCATE: return "segment_alloc";
    case TARN_TRACE_SEGMENT_FREE: return "segment_free";
    case TARN_TRACE_OUT_OF_MEMORY: return "oom";
    case TARN_TRACE_MARK: break;
    }
    return "snapshot";
}

static void put_entry(writer *w, const tarn_trace_event *event, const char *action) {
    bool has_id = event->action <= TARN_TRACE_FREE_COMPLETED;
    base_output *output = w->output;
    pickle_put_dict(output);
    pickle_put_text_field(output, "action", action);
    pickle_put_number_field(output, event->action == TARN_TRACE_OUT_OF_MEMORY ? "device_free" : "addr",
                            has_id ? w->addresses[event->id] : event->address);
    pickle_put_number_field(output, "size", event->size);
    pickle_put_number_field(output, "stream", stream_of(w, event->stream));
    pickle_put_number_field(output, "time_us", (uint64_t)event->time_ns / 1000);
    put_origin(w, event->tag, event->site);
    pickle_end_dict(output);
}

/* Marks what was freed and waits for streams at the end: the last allocation at the address of a block in that state. */
static bool find_waiting(const writer *w, bool *later) {
    const tarn_trace *trace = w->trace;
    trace_map last = {0};
    bool has_memory = true;
    for (size_t i = 0; i < trace->block_count && has_memory; i++)
        if (trace->blocks[i].state == TARN_BLOCK_PENDING)
            has_memory = trace_map_insert(&last, trace->blocks[i].address, UINT64_MAX, NULL) != NULL;
    for (uint64_t id = 0; id < trace->allocation_count && last.count > 0; id++) {
        uint64_t *found = trace_map_find(&last, w->addresses[id]);
        if (found == NULL) continue;
        if (*found != UINT64_MAX) later[*found] = false;
        later[id] = true;
        *found = id;
    }
    trace_map_discard(&last);
    return has_memory;
}

/* By id: whether a completion comes later than the free, or after the end; where not, it follows it at once, as PyTorch
 * has it. NULL: no memory. */
static bool *find_completions(const writer *w) {
    const tarn_trace *trace = w->trace;
    bool *later = base_allocate(trace->allocation_count, sizeof *later);
    if (later == NULL || w->addresses == NULL || !find_waiting(w, later)) {
        base_free(later);
        return NULL;
    }
    for (size_t i = 0; i < trace->event_count; i++)
        if (trace->events[i].action == TARN_TRACE_FREE_COMPLETED) later[trace->events[i].id] = true;
    return later;
}

/* So that many devices cost no walk over all events each. */
static void list_by_device(writer *w) {
    const tarn_trace *trace = w->trace;
    for (size_t i = trace->event_count; i-- > trace->initial_count;) {
        size_t *first = &w->first[trace->events[i].device];
        w->next[i] = *first;
        *first = i + 1;
    }
}

static void put_traces(writer *w, const bool *later) {
    const tarn_trace *trace = w->trace;
    pickle_list devices, entries;
    pickle_put_list(w->output, &devices);
    for (uint16_t device = 0; device < trace->device_count; device++) {
        pickle_put_next(w->output, &devices);
        pickle_put_list(w->output, &entries);
        for (size_t i = w->first[device]; i != 0; i = w->next[i - 1]) {
            const tarn_trace_event *event = &trace->events[i - 1];
            pickle_put_next(w->output, &entries);
            put_entry(w, event, action_of(event));
            if (event->action != TARN_TRACE_FREE || later[event->id]) continue;
            pickle_put_next(w->output, &entries);
            put_entry(w, event, "free_completed");
        }
        pickle_end_list(w->output, &entries);
    }
    pickle_end_list(w->output, &devices);
}

/* The settings' text, "name=value, name=value", as the dict that it is read from. */
static void put_settings(writer *w) {
    const char *at = w->trace->settings != NULL ? w->trace->settings : "";
    base_output *output = w->output;
    pickle_put_dict(output);
    while (*at != '\0') {
        size_t name = strcspn(at, "="), value = 0;
        const char *from = at + name + (at[name] == '=');
        /* A value goes on to where another name begins. */
        for (;;) {
            const char *end = strstr(from + value, ", ");
            if (end == NULL || end[2 + strcspn(end + 2, "=, ")] == '=') {
                value = end == NULL ? strlen(from) : (size_t)(end - from);
                break;
            }
            value = (size_t)(end - from) + 2;
        }
        pickle_put_text(output, at, name);
        if (value == 2 && memcmp(from, "on", 2) == 0) pickle_put_boolean(output, true);
        else if (value == 3 && memcmp(from, "off", 3) == 0) pickle_put_boolean(output, false);
        else pickle_put_text(output, from, value);
        at = from + value;
        if (*at != '\0') at += 2;
    }
    pickle_end_dict(output);
}

static void put_snapshot(writer *w, const bool *later) {
    base_output *output = w->output;
    pickle_list list;
    pickle_put_begin(output);
    pickle_put_dict(output);
    pickle_put_name(output, "segments");
    pickle_put_list(output, &list);
    if (w->trace->block_count > 0) put_recorded_segments(w, &list);
    else put_made_up_segments(w, &list);
    pickle_end_list(output, &list);
    pickle_put_name(output, "device_traces");
    put_traces(w, later);
    pickle_put_name(output, "allocator_settings");
    put_settings(w);
    pickle_put_name(output, "external_annotations");
    pickle_put_list(output, &list);
    pickle_end_list(output, &list);
    if (w->trace->has_recorded_peak)
        pickle_put_number_field(output, PYTORCH_PEAK_FIELD, w->trace->recorded_peak_reserved);
    pickle_end_dict(output);
    pickle_put_end(output);
}

tarn_status trace_write_pytorch(const tarn_trace *trace, base_output *output) {
    writer w = {.trace = trace, .output = output, .addresses = trace_writer_addresses(trace)};
    bool *later = find_completions(&w);
    w.final = base_allocate(trace->allocation_count, sizeof(const tarn_trace_event *));
    w.first = base_allocate(trace->device_count, sizeof *w.first);
    w.next = base_allocate(trace->event_count, sizeof *w.next);
    tarn_status status = TARN_OK;
    if (w.addresses == NULL || later == NULL || w.final == NULL || w.first == NULL || w.next == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to write it as a snapshot", output->path);
    } else {
        list_by_device(&w);
        for (size_t i = 0; i < trace->event_count; i++) {
            const tarn_trace_event *event = &trace->events[i];
            if (event->action == TARN_TRACE_ALLOCATE) w.final[event->id] = event;
            else if (event->action == TARN_TRACE_FREE) w.final[event->id] = NULL;
        }
        put_snapshot(&w, later);
    }
    base_free(w.addresses);
    base_free(w.final);
    base_free(w.first);
    base_free(w.next);
    base_free(later);
    return status;
}
