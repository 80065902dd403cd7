/* The allocator that a trace was recorded from, as a spec of the model of it. */
#ifndef TRACE_RECORDED_SPEC_H
#define TRACE_RECORDED_SPEC_H

#include <stdbool.h>

#include <tarn/trace.h>

/* What stands in a spec for `pytorch` with the settings that the replayed snapshot carries. */
#define TRACE_AS_RECORDED "pytorch:as-recorded"

/* Whether the trace carries settings of PyTorch's allocator. */
bool trace_has_recorded_spec(const tarn_trace *trace);

/* A copy of `spec` with the recorded settings in the place of TRACE_AS_RECORDED; the caller frees it with base_free. INVALID_ARGUMENT:
 * the trace carries none; CORRUPT_DATA: one has a value that PyTorch does not write; OUT_OF_MEMORY. */
tarn_status trace_resolve_spec(const tarn_trace *trace, const char *spec, char **out_spec);

#endif
