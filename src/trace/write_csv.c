/* Writes traces as tables: Tarn's own, with every event, and RMM's log, with what that format knows. */
#include <inttypes.h>

#include "base/memory.h"
#include "base/status.h"
#include "writers.h"

static bool has_id(const tarn_trace_event *event) { return event->action <= TARN_TRACE_FREE_COMPLETED; }

tarn_status trace_write_csv(const tarn_trace *trace, base_output *output) {
    base_output_string(output, "time_ns,action,id,size,address,device,stream,thread,alignment,tag,site\n");
    for (size_t i = 0; i < trace->event_count; i++) {
        const tarn_trace_event *event = &trace->events[i];
        const char *action = i < trace->initial_count ? "initial" : trace_action_name(event->action);
        base_output_format(output, "%" PRId64 ",%s,", event->time_ns, action);
        if (has_id(event)) base_output_format(output, "%" PRIu64, event->id);
        base_output_format(output, ",%" PRIu64 ",0x%" PRIx64 ",%u,%u,%u,%u,", event->size, event->address,
                           event->device, event->stream, event->thread, event->alignment_log2);
        base_output_cell(output, tarn_trace_string(trace, event->tag));
        base_output_string(output, ",");
        base_output_cell(output, tarn_trace_string(trace, event->site));
        base_output_string(output, "\n");
    }
    return TARN_OK;
}

/* HH:MM:SS.microseconds from midnight on; longer traces go round the clock as logs do. */
static void write_day_time(base_output *output, int64_t time_ns) {
    int64_t microseconds = time_ns / 1000, seconds = microseconds / 1000000;
    base_output_format(output, "%02d:%02d:%02d.%06d", (int)(seconds / 3600 % 24), (int)(seconds / 60 % 60),
                       (int)(seconds % 60), (int)(microseconds % 1000000));
}

tarn_status trace_write_rmm(const tarn_trace *trace, base_output *output) {
    uint64_t *addresses = trace_writer_addresses(trace);
    if (addresses == NULL)
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to write it as a log", output->path);
    base_output_string(output, "Thread,Time,Action,Pointer,Size,Stream\n");
    for (size_t i = 0; i < trace->event_count; i++) {
        const tarn_trace_event *event = &trace->events[i];
        bool failure = event->action == TARN_TRACE_OUT_OF_MEMORY;
        if (event->action > TARN_TRACE_FREE && !failure) continue;
        base_output_format(output, "%u,", event->thread);
        write_day_time(output, event->time_ns);
        base_output_format(output, ",%s,0x%" PRIx64 ",%" PRIu64 ",0x%x\n",
                           failure                            ? "allocate failure"
                           : event->action == TARN_TRACE_FREE ? "free"
                                                              : "allocate",
                           failure ? 0 : addresses[event->id], event->size, event->stream);
    }
    base_free(addresses);
    return TARN_OK;
}
