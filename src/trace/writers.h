/* The writers: one function for each format, which writes a whole trace to an output. Errors of the file stay in
 * the output; the status is for what else can go wrong. */
#ifndef TRACE_WRITERS_H
#define TRACE_WRITERS_H

#include "base/output.h"
#include "trace_internal.h"

tarn_status trace_write_tarn(const tarn_trace *trace, base_output *output);
tarn_status trace_write_csv(const tarn_trace *trace, base_output *output);
tarn_status trace_write_rmm(const tarn_trace *trace, base_output *output);
tarn_status trace_write_perfetto(const tarn_trace *trace, base_output *output);
tarn_status trace_write_pytorch(const tarn_trace *trace, base_output *output);

/* An address for each allocation, by id, for formats that tell live ones apart by it: the recorded one, or one of
 * its own where the trace has none. NULL: no memory. Caller frees it with base_free. */
uint64_t *trace_writer_addresses(const tarn_trace *trace);

#endif
