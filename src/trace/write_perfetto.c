/* Writes trace-event JSON, which the Perfetto UI opens: counters of live and reserved bytes for each device, a
 * slice for each of the largest allocations, and the program's marks.
 *
 * The largest come first because a picture with 10^5 slices shows nothing; the counters hold all of them. Reserved
 * bytes are those of the recorded segments, from what is known to have been there at the start. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "writers.h"

enum { slice_limit = 20000 };

typedef struct writer {
    const tarn_trace *trace;
    base_output *output;
    uint64_t *live;         /* bytes, by device */
    int64_t *reserved;      /* likewise */
    uint64_t slice_minimum; /* bytes: smaller allocations have no slice */
    bool comma;
} writer;

/* Text in JSON's quotes. Bytes that are no UTF-8 become U+FFFD. */
static void write_text(base_output *output, const char *text) {
    base_output_string(output, "\"");
    while (*text != '\0') {
        size_t length = base_utf8_length(text);
        if (length == 0) base_output_string(output, "\\ufffd");
        else if (*text == '"' || *text == '\\') base_output_format(output, "\\%c", *text);
        else if (length == 1 && *text < 0x20) base_output_format(output, "\\u%04x", (unsigned)*text);
        else base_output_bytes(output, text, length);
        text += length == 0 ? 1 : length;
    }
    base_output_string(output, "\"");
}

static void begin(writer *w) {
    base_output_string(w->output, w->comma ? ",\n" : "\n");
    w->comma = true;
}

/* Microseconds with three decimals: the unit of the format. */
static void write_time(writer *w, int64_t time_ns) {
    base_output_format(w->output, "\"ts\":%" PRId64 ".%03d", time_ns / 1000, (int)(time_ns % 1000));
}

static void write_counter(writer *w, const char *name, uint16_t device, int64_t time_ns, uint64_t bytes) {
    begin(w);
    base_output_format(w->output, "{\"ph\":\"C\",\"name\":\"%s\",\"pid\":%u,", name, device);
    write_time(w, time_ns);
    base_output_format(w->output, ",\"args\":{\"bytes\":%" PRIu64 "}}", bytes);
}

/* The beginning ('b') or end ('e') of an allocation's slice. */
static void write_slice(writer *w, const tarn_trace_event *event, char phase) {
    if (event->size < w->slice_minimum) return;
    begin(w);
    base_output_format(w->output, "{\"ph\":\"%c\",\"cat\":\"allocation\",\"id\":%" PRIu64 ",\"pid\":%u,\"tid\":%u,",
                       phase, event->id, event->device, event->stream);
    write_time(w, event->time_ns);
    base_output_format(w->output, ",\"name\":\"%" PRIu64 " bytes\"", event->size);
    if (phase == 'b') {
        base_output_format(w->output,
                           ",\"args\":{\"bytes\":%" PRIu64 ",\"address\":\"0x%" PRIx64 "\",\"tag\":", event->size,
                           event->address);
        write_text(w->output, tarn_trace_string(w->trace, event->tag));
        base_output_string(w->output, ",\"site\":");
        write_text(w->output, tarn_trace_string(w->trace, event->site));
        base_output_string(w->output, "}");
    }
    base_output_string(w->output, "}");
}

static void write_mark(writer *w, const tarn_trace_event *event, const char *name) {
    begin(w);
    base_output_format(w->output, "{\"ph\":\"i\",\"s\":\"p\",\"pid\":%u,\"tid\":%u,", event->device, event->stream);
    write_time(w, event->time_ns);
    base_output_string(w->output, ",\"name\":");
    write_text(w->output, name);
    base_output_string(w->output, "}");
}

static void write_event(writer *w, const tarn_trace_event *event) {
    uint16_t device = event->device;
    switch ((tarn_trace_action)event->action) {
    case TARN_TRACE_ALLOCATE:
        w->live[device] += event->size;
        write_counter(w, "live", device, event->time_ns, w->live[device]);
        write_slice(w, event, 'b');
        break;
    case TARN_TRACE_FREE:
        w->live[device] -= event->size;
        write_counter(w, "live", device, event->time_ns, w->live[device]);
        write_slice(w, event, 'e');
        break;
    case TARN_TRACE_SEGMENT_ALLOCATE:
    case TARN_TRACE_SEGMENT_FREE: {
        bool taken = event->action == TARN_TRACE_SEGMENT_ALLOCATE;
        w->reserved[device] = (int64_t)((uint64_t)w->reserved[device] + (taken ? event->size : 0 - event->size));
        write_counter(w, "reserved", device, event->time_ns,
                      w->reserved[device] < 0 ? 0 : (uint64_t)w->reserved[device]);
        break;
    }
    case TARN_TRACE_OUT_OF_MEMORY: write_mark(w, event, "out of memory"); break;
    case TARN_TRACE_MARK: write_mark(w, event, tarn_trace_string(w->trace, event->tag)); break;
    case TARN_TRACE_FREE_COMPLETED: break;
    }
}

/* What was reserved at the start: the blocks of the end, less what the segment events add up to. */
static void start_reserved(writer *w) {
    for (size_t i = 0; i < w->trace->block_count; i++) {
        int64_t *reserved = &w->reserved[w->trace->blocks[i].device];
        *reserved = (int64_t)((uint64_t)*reserved + w->trace->blocks[i].size);
    }
    for (size_t i = 0; i < w->trace->event_count; i++) {
        const tarn_trace_event *event = &w->trace->events[i];
        int64_t *reserved = &w->reserved[event->device];
        if (event->action == TARN_TRACE_SEGMENT_ALLOCATE) *reserved = (int64_t)((uint64_t)*reserved - event->size);
        if (event->action == TARN_TRACE_SEGMENT_FREE) *reserved = (int64_t)((uint64_t)*reserved + event->size);
    }
    for (uint16_t device = 0; device < w->trace->device_count; device++)
        if (w->reserved[device] > 0) write_counter(w, "reserved", device, 0, (uint64_t)w->reserved[device]);
}

static int compare_sizes(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* The size from which on at most slice_limit allocations are. */
static tarn_status choose_minimum(writer *w) {
    const tarn_trace *trace = w->trace;
    if (trace->allocation_count <= slice_limit) return TARN_OK;
    uint64_t *sizes = base_allocate(trace->allocation_count, sizeof *sizes);
    if (sizes == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to choose the largest allocations", w->output->path);
    for (size_t i = 0; i < trace->event_count; i++)
        if (trace->events[i].action == TARN_TRACE_ALLOCATE) sizes[trace->events[i].id] = trace->events[i].size;
    qsort(sizes, trace->allocation_count, sizeof *sizes, compare_sizes);
    w->slice_minimum = sizes[slice_limit] == UINT64_MAX ? UINT64_MAX : sizes[slice_limit] + 1;
    base_free(sizes);
    return TARN_OK;
}

static void write_names(writer *w) {
    for (uint16_t device = 0; device < w->trace->device_count; device++) {
        begin(w);
        base_output_format(w->output,
                           "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%u,\"args\":{\"name\":\"device %u\"}}",
                           device, device);
    }
}

tarn_status trace_write_perfetto(const tarn_trace *trace, base_output *output) {
    writer w = {.trace = trace, .output = output};
    w.live = base_allocate(trace->device_count, sizeof *w.live);
    w.reserved = base_allocate(trace->device_count, sizeof *w.reserved);
    tarn_status status =
        w.live == NULL || w.reserved == NULL
            ? base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for %u devices", output->path, trace->device_count)
            : choose_minimum(&w);
    if (status == TARN_OK) {
        base_output_string(output, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
        write_names(&w);
        start_reserved(&w);
        for (size_t i = 0; i < trace->event_count; i++) write_event(&w, &trace->events[i]);
        base_output_string(output, "\n]}\n");
    }
    base_free(w.live);
    base_free(w.reserved);
    return status;
}
