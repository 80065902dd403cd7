/* One file and what each allocator made of it: what `tarn replay` gathers, and its writers print. */
#ifndef COMPARISON_H
#define COMPARISON_H

#include "timeline.h"

typedef struct comparison_run {
    char *device; /* as opened */
    char *allocator;
    tarn_replay_result result;
    timeline timeline; /* empty unless a picture was asked for */
} comparison_run;

typedef struct tool_comparison {
    const char *path;
    tarn_trace *trace;
    tarn_trace_info info;
    uint16_t trace_device;
    uint64_t peak_live;     /* bytes, of that device */
    size_t initial_count;   /* allocations alive there before the recording */
    uint64_t recorded_peak; /* bytes reserved on that device at most, as recorded; 0 where the trace does not know it */
    comparison_run *runs;
    size_t run_count;
    timeline recording; /* as the trace has it; empty unless a picture was asked for */
} tool_comparison;

void comparison_free(tool_comparison *comparison);
/* The object that cli.md describes. NULL without memory. */
json_t *comparison_run_json(const tool_comparison *comparison, const comparison_run *run);
/* A table for people. */
void comparison_print(const tool_comparison *comparison);

/* Each writes one file whole or not at all, says on stderr what failed, as `command`, and returns an exit code. */
int page_write(const tool_comparison *comparisons, size_t count, const char *command, const char *path);
int perfetto_write(const tool_comparison *comparisons, size_t count, const char *command, const char *path);

#endif
