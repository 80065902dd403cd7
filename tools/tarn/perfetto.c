/* Counter tracks in trace-event JSON, which the Perfetto UI opens: for each allocator what was live and what was reserved. */
#include <stdio.h>
#include <stdlib.h>

#include "base/output.h"
#include "comparison.h"

/* Writes `text` as a JSON string. */
static bool put_text(base_output *output, const char *text) {
    json_t *string = tool_json_text(text);
    char *quoted = string != NULL ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    json_decref(string);
    if (quoted != NULL) base_output_string(output, quoted);
    free(quoted);
    return quoted != NULL;
}

static bool put_process(base_output *output, unsigned process, const char *file, const char *allocator) {
    char *name = NULL;
    if (asprintf(&name, "%s: %s", tool_base_name(file), allocator) < 0) return false;
    base_output_format(output, ",\n{\"ph\":\"M\",\"pid\":%u,\"name\":\"process_name\",\"args\":{\"name\":", process);
    bool is_put = put_text(output, name);
    base_output_string(output, "}}");
    free(name);
    return is_put;
}

/* Perfetto's times are microseconds; three decimals keep the nanoseconds. */
static void put_counter(base_output *output, unsigned process, const char *name, int64_t time_ns, uint64_t bytes) {
    base_output_format(output,
                       ",\n{\"ph\":\"C\",\"pid\":%u,\"name\":\"%s\",\"ts\":%lld.%03d,\"args\":{\"bytes\":%llu}}",
                       process, name, (long long)(time_ns / 1000), (int)(time_ns % 1000), (unsigned long long)bytes);
}

/* One track for what was alive in this run, one for what was reserved. */
static bool put_run(base_output *output, unsigned process, const tool_comparison *comparison, const char *name,
                    const timeline *line) {
    const tarn_trace_event *events = tarn_trace_events(comparison->trace);
    if (!put_process(output, process, comparison->path, name)) return false;
    uint64_t live = 0;
    size_t step = 0;
    for (size_t i = 0; i < comparison->info.event_count; i++) {
        const tarn_trace_event *event = &events[i];
        bool is_call = event->action == TARN_TRACE_ALLOCATE || event->action == TARN_TRACE_FREE;
        bool is_here = is_call && event->device == comparison->trace_device && line->addresses[event->id] != 0;
        if (is_here) live = event->action == TARN_TRACE_ALLOCATE ? live + event->size : live - event->size;
        if (is_here && i + 1 >= comparison->info.initial_count)
            put_counter(output, process, "live", event->time_ns, live);
        for (; line->has_reserved && step < line->step_count && line->steps[step].event == i; step++)
            put_counter(output, process, "reserved", event->time_ns, line->steps[step].bytes);
    }
    return true;
}

int perfetto_write(const tool_comparison *comparisons, size_t count, const char *command, const char *path) {
    base_output output;
    tarn_status status = base_output_open(&output, path);
    if (status != TARN_OK) return tool_fail(command, path, status);
    unsigned process = 1;
    bool is_whole = true;
    base_output_format(&output,
                       "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"version\":\"tarn %s\"},\"traceEvents\":[\n",
                       tarn_version());
    base_output_string(&output,
                       "{\"ph\":\"M\",\"pid\":0,\"name\":\"process_name\",\"args\":{\"name\":\"tarn replay\"}}");
    for (size_t i = 0; i < count && is_whole; i++) {
        const tool_comparison *comparison = &comparisons[i];
        if (comparison->recording.has_reserved)
            is_whole = put_run(&output, process++, comparison, "as recorded", &comparison->recording);
        for (size_t k = 0; k < comparison->run_count && is_whole; k++)
            is_whole =
                put_run(&output, process++, comparison, comparison->runs[k].allocator, &comparison->runs[k].timeline);
    }
    if (!is_whole) {
        base_output_discard(&output);
        return tool_no_memory(command);
    }
    base_output_string(&output, "\n]}\n");
    status = base_output_close(&output);
    return status == TARN_OK ? TOOL_DONE : tool_fail(command, path, status);
}
