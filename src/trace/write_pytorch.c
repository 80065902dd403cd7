/* Writes a snapshot as PyTorch's memory viewer opens it: a pickle of protocol 2 with segments, blocks and the
 * history.
 *
 * Allocations from before the recording are not in the history: there, as in a real snapshot whose ring has lost
 * its beginning, they are told by their frees and by the final blocks. A trace without recorded segments gets one
 * segment for each allocation that lives at the end. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "pickle_opcodes.h"
#include "writers.h"

#include <tarn/allocator.h>

typedef struct writer {
    const tarn_trace *trace;
    trace_output *output;
    uint64_t *addresses;            /* by id */
    const tarn_trace_event **final; /* by id: the allocate of what lives at the end, else NULL */
} writer;

static void put_byte(writer *w, int byte) {
    uint8_t one = (uint8_t)byte;
    trace_output_bytes(w->output, &one, 1);
}

static void put_little_endian(writer *w, uint64_t value, unsigned width) {
    uint8_t bytes[8];
    for (unsigned i = 0; i < width; i++) bytes[i] = (uint8_t)(value >> (8 * i));
    trace_output_bytes(w->output, bytes, width);
}

static void put_number(writer *w, uint64_t value) {
    if (value < 0x100) {
        put_byte(w, OP_BININT1);
        put_little_endian(w, value, 1);
    } else if (value < 0x80000000) {
        put_byte(w, OP_BININT);
        put_little_endian(w, value, 4);
    } else {
        /* Nine bytes, so that the sign is clear. */
        put_byte(w, OP_LONG1);
        put_byte(w, 9);
        put_little_endian(w, value, 8);
        put_byte(w, 0);
    }
}

static void put_text(writer *w, const char *text, size_t length) {
    put_byte(w, OP_BINUNICODE);
    put_little_endian(w, length, 4);
    trace_output_bytes(w->output, text, length);
}

static void put_name(writer *w, const char *name) { put_text(w, name, strlen(name)); }

static void put_field(writer *w, const char *name, uint64_t value) {
    put_name(w, name);
    put_number(w, value);
}

static void put_text_field(writer *w, const char *name, const char *value) {
    put_name(w, name);
    put_name(w, value);
}

static void begin(writer *w, int container) {
    put_byte(w, container);
    put_byte(w, OP_MARK);
}

/* One frame's text, "name (file:line)" or anything else, as PyTorch's dict. */
static void put_frame(writer *w, const char *text, size_t length) {
    const char *open = memrchr(text, '(', length), *colon = memrchr(text, ':', length);
    bool whole = length > 0 && open != NULL && open > text && open[-1] == ' ' && colon != NULL && colon > open &&
                 text[length - 1] == ')';
    begin(w, OP_EMPTY_DICT);
    put_name(w, "name");
    put_text(w, text, whole ? (size_t)(open - 1 - text) : length);
    put_name(w, "filename");
    if (whole) put_text(w, open + 1, (size_t)(colon - open - 1));
    else put_name(w, "??");
    put_field(w, "line", whole ? strtoul(colon + 1, NULL, 10) & 0x7fffffff : 0);
    put_byte(w, OP_SETITEMS);
}

static void put_frames(writer *w, uint32_t site) {
    const char *text = tarn_trace_string(w->trace, site);
    put_name(w, "frames");
    begin(w, OP_EMPTY_LIST);
    while (*text != '\0') {
        const char *end = strstr(text, " < ");
        size_t length = end == NULL ? strlen(text) : (size_t)(end - text);
        put_frame(w, text, length);
        text += end == NULL ? length : length + 3;
    }
    put_byte(w, OP_APPENDS);
}

static void put_block(writer *w, const tarn_trace_block *block) {
    static const char *const states[] = {[TARN_BLOCK_IN_USE] = "active_allocated",
                                         [TARN_BLOCK_CACHED] = "inactive",
                                         [TARN_BLOCK_PENDING] = "active_pending_free"};
    begin(w, OP_EMPTY_DICT);
    put_field(w, "address", block->address);
    put_field(w, "size", block->size);
    put_field(w, "requested_size", block->requested);
    put_text_field(w, "state", states[block->state <= TARN_BLOCK_PENDING ? block->state : TARN_BLOCK_PENDING]);
    put_frames(w, block->site);
    put_byte(w, OP_SETITEMS);
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
    begin(w, OP_EMPTY_DICT);
    put_field(w, "device", blocks[0].device);
    put_field(w, "address", blocks[0].segment);
    put_field(w, "total_size", total);
    put_field(w, "allocated_size", allocated);
    put_field(w, "active_size", active);
    put_field(w, "requested_size", requested);
    put_field(w, "stream", blocks[0].stream);
    put_text_field(w, "segment_type", total > 2 * 1024 * 1024 ? "large" : "small");
    put_name(w, "segment_pool_id");
    put_number(w, 0);
    put_number(w, 0);
    put_byte(w, OP_TUPLE2);
    put_name(w, "is_expandable");
    put_byte(w, OP_NEWFALSE);
    put_frames(w, TARN_TRACE_NO_STRING);
    put_name(w, "blocks");
    begin(w, OP_EMPTY_LIST);
    for (size_t i = 0; i < count; i++) put_block(w, &blocks[i]);
    put_byte(w, OP_APPENDS);
    put_byte(w, OP_SETITEMS);
}

static void put_recorded_segments(writer *w) {
    const tarn_trace *trace = w->trace;
    for (size_t first = 0, end; first < trace->block_count; first = end) {
        const tarn_trace_block *block = &trace->blocks[first];
        for (end = first + 1; end < trace->block_count; end++)
            if (trace->blocks[end].segment != block->segment || trace->blocks[end].device != block->device) break;
        put_segment(w, block, end - first);
    }
}

static void put_made_up_segments(writer *w) {
    for (uint64_t id = 0; id < w->trace->allocation_count; id++) {
        const tarn_trace_event *event = w->final[id];
        if (event == NULL) continue;
        tarn_trace_block block = {.segment = w->addresses[id],
                                  .address = w->addresses[id],
                                  .size = event->size,
                                  .requested = event->size,
                                  .stream = event->stream,
                                  .site = event->site,
                                  .device = event->device,
                                  .state = TARN_BLOCK_IN_USE};
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
    begin(w, OP_EMPTY_DICT);
    put_text_field(w, "action", action);
    put_field(w, event->action == TARN_TRACE_OUT_OF_MEMORY ? "device_free" : "addr",
              has_id ? w->addresses[event->id] : event->address);
    put_field(w, "size", event->size);
    put_field(w, "stream", event->stream);
    put_field(w, "time_us", (uint64_t)event->time_ns / 1000);
    put_text_field(w, "user_metadata", tarn_trace_string(w->trace, event->tag));
    put_frames(w, event->site);
    put_byte(w, OP_SETITEMS);
}

/* By id: whether a completion comes later than the free; where not, it follows it at once, as PyTorch has it. */
static bool *find_completions(const tarn_trace *trace) {
    bool *later = base_allocate(trace->allocation_count, sizeof *later);
    for (size_t i = 0; i < trace->event_count && later != NULL; i++)
        if (trace->events[i].action == TARN_TRACE_FREE_COMPLETED) later[trace->events[i].id] = true;
    return later;
}

static void put_traces(writer *w, const bool *later) {
    const tarn_trace *trace = w->trace;
    begin(w, OP_EMPTY_LIST);
    for (uint16_t device = 0; device < trace->device_count; device++) {
        begin(w, OP_EMPTY_LIST);
        for (size_t i = trace->initial_count; i < trace->event_count; i++) {
            const tarn_trace_event *event = &trace->events[i];
            if (event->device != device) continue;
            put_entry(w, event, action_of(event));
            if (event->action == TARN_TRACE_FREE && !later[event->id]) put_entry(w, event, "free_completed");
        }
        put_byte(w, OP_APPENDS);
    }
    put_byte(w, OP_APPENDS);
}

static void put_snapshot(writer *w, const bool *later) {
    put_byte(w, OP_PROTO);
    put_byte(w, 2);
    begin(w, OP_EMPTY_DICT);
    put_name(w, "segments");
    begin(w, OP_EMPTY_LIST);
    if (w->trace->block_count > 0) put_recorded_segments(w);
    else put_made_up_segments(w);
    put_byte(w, OP_APPENDS);
    put_name(w, "device_traces");
    put_traces(w, later);
    put_name(w, "allocator_settings");
    put_byte(w, OP_EMPTY_DICT);
    put_name(w, "external_annotations");
    put_byte(w, OP_EMPTY_LIST);
    put_byte(w, OP_SETITEMS);
    put_byte(w, OP_STOP);
}

tarn_status trace_write_pytorch(const tarn_trace *trace, trace_output *output) {
    writer w = {.trace = trace, .output = output, .addresses = trace_writer_addresses(trace)};
    bool *later = find_completions(trace);
    w.final = base_allocate(trace->allocation_count, sizeof(const tarn_trace_event *));
    tarn_status status = TARN_OK;
    if (w.addresses == NULL || later == NULL || w.final == NULL) {
        status = base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to write it as a snapshot", output->path);
    } else {
        for (size_t i = 0; i < trace->event_count; i++) {
            const tarn_trace_event *event = &trace->events[i];
            if (event->action == TARN_TRACE_ALLOCATE) w.final[event->id] = event;
            else if (event->action == TARN_TRACE_FREE) w.final[event->id] = NULL;
        }
        put_snapshot(&w, later);
    }
    base_free(w.addresses);
    base_free(w.final);
    base_free(later);
    return status;
}
