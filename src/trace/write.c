/* Writes a trace: picks the writer, and makes the file appear whole or not at all. */
#include "base/memory.h"
#include "base/status.h"
#include "writers.h"

/* Where made-up addresses begin: above those that a device hands out. */
static const uint64_t made_up_address = UINT64_C(1) << 56;

typedef tarn_status (*trace_writer)(const tarn_trace *trace, base_output *output);

static trace_writer writer_of(tarn_trace_format format) {
    switch (format) {
    case TARN_TRACE_TARN: return trace_write_tarn;
    case TARN_TRACE_PYTORCH_SNAPSHOT: return trace_write_pytorch;
    case TARN_TRACE_RMM_CSV: return trace_write_rmm;
    case TARN_TRACE_PERFETTO: return trace_write_perfetto;
    case TARN_TRACE_CSV: return trace_write_csv;
    case TARN_TRACE_UNKNOWN: break;
    }
    return NULL;
}

tarn_status tarn_trace_write(const tarn_trace *trace, const char *path, tarn_trace_format format) {
    if (trace == NULL) return base_fail(TARN_INVALID_ARGUMENT, "no trace to write (NULL)");
    if (path == NULL || path[0] == '\0')
        return base_fail(TARN_INVALID_ARGUMENT, "%s cannot be written to an empty path", trace->path);
    trace_writer writer = writer_of(format);
    if (writer == NULL)
        return base_fail(TARN_NOT_SUPPORTED, "%s: traces are not written in format %d", path, (int)format);

    base_output output;
    tarn_status status = base_output_open(&output, path);
    if (status != TARN_OK) return status;
    status = writer(trace, &output);
    if (status == TARN_OK) return base_output_close(&output);
    base_output_discard(&output);
    return status;
}

uint64_t *trace_writer_addresses(const tarn_trace *trace) {
    uint64_t *addresses = base_allocate(trace->allocation_count, sizeof *addresses);
    if (addresses == NULL) return NULL;
    uint64_t next = made_up_address;
    for (size_t i = 0; i < trace->event_count; i++) {
        const tarn_trace_event *event = &trace->events[i];
        if (event->action != TARN_TRACE_ALLOCATE) continue;
        addresses[event->id] = event->address != 0 ? event->address : next;
        if (event->address == 0 && __builtin_add_overflow(next, (event->size | 255) + 1, &next)) next = made_up_address;
    }
    return addresses;
}
