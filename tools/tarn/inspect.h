/* The facts that `tarn inspect` prints, gathered from one device of a trace. */
#ifndef INSPECT_H
#define INSPECT_H

#include "analysis.h"

#define INSPECT_SIZE_CLASSES 64

/* Allocations of 2^i up to 2^(i+1)-1 bytes; those of 0 bytes count in the first. */
typedef struct inspect_sizes {
    uint64_t count[INSPECT_SIZE_CLASSES], bytes[INSPECT_SIZE_CLASSES];
} inspect_sizes;

/* From allocation to free, of allocations that the recording saw whole. */
typedef struct inspect_lifetimes {
    size_t count;
    size_t still_alive; /* at the end */
    int64_t p50_ns, p90_ns, p99_ns, max_ns;
} inspect_lifetimes;

/* The recorded allocator's state at the end; all zero where the trace has none. */
typedef struct inspect_state {
    size_t segments, blocks;
    uint64_t reserved, active, pending, inactive; /* bytes */
    uint64_t largest_free;                        /* bytes, the largest inactive block */
    double fragmentation;                         /* the part of the inactive bytes that lies outside that block */
    uint64_t rounding;                            /* bytes of active blocks beyond what was requested */
} inspect_state;

typedef struct inspect_facts {
    tarn_trace_info info;
    uint16_t device;
    size_t device_count;
    uint64_t actions[TARN_TRACE_MARK + 1];
    size_t events, initial; /* of this device */
    int64_t span_ns;
    analysis_peak peak;
    size_t peak_number; /* of this device's recorded events that led to the peak; 0: it was there before the first */
    uint64_t recorded_peak; /* bytes reserved on this device at most, as recorded; 0 where the trace does not know it */
    analysis_holders by_tag, by_site; /* at the peak; by_tag is empty where nothing is tagged */
    inspect_sizes sizes;
    inspect_lifetimes lifetimes;
    inspect_state state;
} inspect_facts;

/* `device` is one of the trace's, or negative for the one with the largest peak. NOT_FOUND for one without events, OUT_OF_MEMORY.
 * What it fills is given back with inspect_facts_free, also after a failure. */
tarn_status inspect_facts_get(const tarn_trace *trace, int device, inspect_facts *out_facts);
void inspect_facts_free(inspect_facts *facts);

#endif
