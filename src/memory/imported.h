/* Buffers in memory of another process. */
#ifndef MEMORY_IMPORTED_H
#define MEMORY_IMPORTED_H

#include "memory/strategy.h"

/* Maps the memory of `segment_size` bytes behind the descriptor and makes a buffer of the `size` bytes from `offset` on, which lie in
 * it, for use on `stream`, one of the device. */
tarn_status imported_create(tarn_device *device, int descriptor, size_t segment_size, size_t offset, size_t size,
                            tarn_stream *stream, tarn_buffer **out_buffer);

#endif
