/* Bytes between the memory of a device and host memory that the device knows nothing of. Each waits for the stream: when it
 * returns, the host memory is the caller's again. Devices whose memory the host cannot reach are served through pinned memory.
 *
 * INVALID_STATE while the stream is being captured; NOT_SUPPORTED: the device stores nothing, or has no pinned memory. */
#ifndef TENSOR_HOST_H
#define TENSOR_HOST_H

#include "tensor/tensor.h"

tarn_status tensor_host_write(tarn_stream *stream, void *destination, const void *host, size_t size);
tarn_status tensor_host_read(tarn_stream *stream, const void *source, void *out_host, size_t size);

#endif
