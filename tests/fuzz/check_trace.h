/* What the fuzz targets of the trace readers share. */
#ifndef FUZZ_CHECK_TRACE_H
#define FUZZ_CHECK_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "trace/trace_internal.h"

/* Stops the process with a sentence unless the condition holds. */
void demand(int condition, const char *what);

/* Reads the bytes with `read`; what comes out has to keep every promise of tarn/trace.h, and what fails has to say
 * why. Stops the process otherwise. */
void check_reader(tarn_status (*read)(const trace_input *input, tarn_trace **out_trace), const uint8_t *data,
                  size_t size);

#endif
