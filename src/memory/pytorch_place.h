/* A request that names its address. Called with the allocator's lock held. */
#ifndef MEMORY_PYTORCH_PLACE_H
#define MEMORY_PYTORCH_PLACE_H

#include "memory/pytorch_blocks.h"

/* A FREE block that begins at the request's address and has at least `size` bytes, no longer shown. INVALID_ARGUMENT: the address is not
 * aligned, or the stream has no memory there; BUSY: not all of it is free; OUT_OF_MEMORY, of the host. Nothing has changed then. */
tarn_status pytorch_find_place(pytorch_stream *stream, const memory_request *request, size_t size,
                               memory_block **out_block);

#endif
