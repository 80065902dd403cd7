/* record:FILE writes every call that passes through it to a trace (docs/trace-format.md). */
#ifndef TRACE_RECORD_ADAPTOR_H
#define TRACE_RECORD_ADAPTOR_H

#include "memory/strategy.h"

extern const memory_strategy record_adaptor;

/* The bytes of the file so far, up to a whole record; the caller frees them with base_free. NULL where the recording has ended
 * or goes to what is no regular file. `allocator` is an element of this strategy. Not to be called under its lock. IO_ERROR,
 * OUT_OF_MEMORY. */
tarn_status record_adaptor_read_back(tarn_allocator *allocator, uint8_t **out_data, size_t *out_size);

#endif
