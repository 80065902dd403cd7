/* What can be said of a trace without replaying it: which device matters, when it was fullest and who held the memory then. */
#ifndef ANALYSIS_H
#define ANALYSIS_H

#include "tool.h"

typedef struct analysis_peak {
    uint64_t bytes;
    size_t event; /* the event after which it was reached; the first time */
    int64_t time_ns;
} analysis_peak;

/* One tag or call site, and what it held at the peak. */
typedef struct analysis_holder {
    uint32_t name; /* string of the trace, or TARN_TRACE_NO_STRING */
    uint64_t bytes;
    size_t blocks;
} analysis_holder;

typedef struct analysis_holders {
    analysis_holder *holders; /* by bytes, the largest first; the caller frees it */
    size_t count;
} analysis_holders;

/* The device with the largest peak; `out_count` is how many devices have events. False without host memory. */
bool analysis_find_device(const tarn_trace *trace, uint16_t *out_device, size_t *out_count);
analysis_peak analysis_find_peak(const tarn_trace *trace, uint16_t device);
/* Bytes that the recorded allocator held on the device before the first event, by walking back from the final state. False where the
 * trace has no such state. */
bool analysis_reserved_at_start(const tarn_trace *trace, uint16_t device, uint64_t *out_bytes);
/* The most that the recorded allocator held on the device, in bytes; 0 where the trace does not know it. What is less than `peak_live`,
 * the bytes that were alive there at once, is not known either. */
uint64_t analysis_find_recorded_peak(const tarn_trace *trace, uint16_t device, uint64_t peak_live);
/* Who held the memory after event `event`, by tag or else by call site. False without host memory. */
bool analysis_find_holders(const tarn_trace *trace, uint16_t device, size_t event, bool by_tag,
                           analysis_holders *out_holders);
/* Whether any allocation has a tag. */
bool analysis_has_tags(const tarn_trace *trace);

#endif
