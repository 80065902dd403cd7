/* The trace as its users see it: what tarn/trace.h promises about reading its parts.
 *
 * A trace never changes once it is built, so everything here is a look at fields. */
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/status.h"
#include "trace_internal.h"

typedef struct format_name {
    tarn_trace_format format;
    const char *name;
    const char *endings[3]; /* of file names */
} format_name;

/* Longer endings stand before those that they end with. */
static const format_name format_names[] = {
    {TARN_TRACE_TARN, "tarn", {".tarn", NULL, NULL}},
    {TARN_TRACE_PYTORCH_SNAPSHOT, "pytorch", {".pickle", ".pkl", NULL}},
    {TARN_TRACE_RMM_CSV, "rmm", {".rmm.csv", ".rmm", NULL}},
    {TARN_TRACE_PERFETTO, "perfetto", {".json", ".perfetto", NULL}},
    {TARN_TRACE_CSV, "csv", {".csv", NULL, NULL}},
};
enum { format_name_count = sizeof format_names / sizeof format_names[0] };

static const char *const action_names[] = {
    [TARN_TRACE_ALLOCATE] = "allocate",
    [TARN_TRACE_FREE] = "free",
    [TARN_TRACE_FREE_COMPLETED] = "free_completed",
    [TARN_TRACE_SEGMENT_ALLOCATE] = "segment_allocate",
    [TARN_TRACE_SEGMENT_FREE] = "segment_free",
    [TARN_TRACE_OUT_OF_MEMORY] = "out_of_memory",
    [TARN_TRACE_MARK] = "mark",
};

const char *trace_action_name(unsigned action) {
    return action < sizeof action_names / sizeof action_names[0] ? action_names[action] : NULL;
}

void tarn_trace_release(tarn_trace *trace) {
    if (trace == NULL) return;
    base_free(trace->path);
    base_free(trace->settings);
    base_free(trace->events);
    base_free(trace->blocks);
    base_free(trace->text);
    base_free(trace->string_offsets);
    base_free(trace->stream_numbers);
    base_free(trace);
}

tarn_status tarn_trace_info_get(const tarn_trace *trace, tarn_trace_info *out_info) {
    if (trace == NULL) return base_fail(TARN_INVALID_ARGUMENT, "trace information asked of no trace (NULL)");
    if (out_info == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: no place for the information (NULL)", trace->path);
    size_t size = out_info->struct_size;
    if (size < sizeof size)
        return base_fail(TARN_INVALID_ARGUMENT,
                         "%s: struct_size of the trace information is %zu, at least %zu is needed", trace->path, size,
                         sizeof size);
    tarn_trace_info info = {
        .struct_size = size,
        .path = trace->path,
        .format = trace->format,
        .event_count = trace->event_count,
        .initial_count = trace->initial_count,
        .allocation_count = trace->allocation_count,
        .stream_count = trace->stream_count,
        .thread_count = trace->thread_count,
        .string_count = trace->string_count,
        .device_count = trace->device_count,
        .has_recorded_peak = trace->has_recorded_peak,
        .recorded_peak_reserved = trace->recorded_peak_reserved,
        .peak_live = trace->peak_live,
        .block_count = trace->block_count,
        .settings = trace->settings == NULL ? "" : trace->settings,
    };
    memcpy(out_info, &info, size < sizeof info ? size : sizeof info);
    return TARN_OK;
}

const tarn_trace_event *tarn_trace_events(const tarn_trace *trace) { return trace == NULL ? NULL : trace->events; }

const tarn_trace_block *tarn_trace_blocks(const tarn_trace *trace) { return trace == NULL ? NULL : trace->blocks; }

const char *tarn_trace_string(const tarn_trace *trace, uint32_t string) {
    if (trace == NULL || string >= trace->string_count) return "";
    return trace->text + trace->string_offsets[string];
}

static bool ends_with(const char *name, const char *ending) {
    size_t name_length = strlen(name), length = strlen(ending);
    return name_length > length && strcasecmp(name + name_length - length, ending) == 0;
}

tarn_trace_format tarn_trace_format_named(const char *name) {
    if (name == NULL) return TARN_TRACE_UNKNOWN;
    for (size_t i = 0; i < format_name_count; i++)
        if (strcasecmp(name, format_names[i].name) == 0) return format_names[i].format;
    for (size_t i = 0; i < format_name_count; i++)
        for (size_t k = 0; format_names[i].endings[k] != NULL; k++)
            if (ends_with(name, format_names[i].endings[k])) return format_names[i].format;
    return TARN_TRACE_UNKNOWN;
}

const char *tarn_trace_format_name(tarn_trace_format format) {
    for (size_t i = 0; i < format_name_count; i++)
        if (format_names[i].format == format) return format_names[i].name;
    return "unknown";
}
