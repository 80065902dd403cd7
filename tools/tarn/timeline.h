/* How memory went in one run, compact enough for a million events: where each allocation lay, and each change of what was
 * reserved. */
#ifndef TIMELINE_H
#define TIMELINE_H

#include "tool.h"

typedef struct timeline_step {
    size_t event;   /* after this event of the trace … */
    uint64_t bytes; /* … so much was reserved */
} timeline_step;

typedef struct timeline {
    uint64_t *addresses; /* by allocation id; 0: the allocation failed, or is another device's */
    timeline_step *steps;
    size_t step_count, step_room;
    bool has_reserved; /* the steps are known */
    bool is_short;     /* something was lost for want of memory */
    size_t next_event; /* an earlier one begins the next repeat, which is not shown */
    const tarn_trace_event *events;
} timeline;

/* Room for the allocations of a trace. False without memory. The caller frees it with timeline_free. */
bool timeline_create(timeline *line, const tarn_trace *trace);
void timeline_free(timeline *line);
/* Takes the sample of one event: for tarn_replay_options.after_event, through `context`. Only the first repeat is kept. */
void timeline_sample(timeline *line, const tarn_replay_sample *sample);
/* What the recorded allocator did, as far as the trace says: its addresses, and its segments where their final state is known. */
bool timeline_from_recording(timeline *line, const tarn_trace *trace, uint16_t device);

#endif
