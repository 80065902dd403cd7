/* Bytes between the memory of a device and host memory that the device knows nothing of. Each waits for the stream: when it
 * returns, the host memory is the caller's again. Devices whose memory the host cannot reach are served through pinned memory.
 *
 * INVALID_STATE while the stream is being captured; NOT_SUPPORTED: the device stores nothing, or has no pinned memory. */
#ifndef HAL_HOST_COPY_H
#define HAL_HOST_COPY_H

#include "hal/device.h"

/* From host memory to the device's. */
tarn_status hal_host_write(tarn_stream *stream, void *destination, const void *host, size_t size);
/* From the device's to host memory. */
tarn_status hal_host_read(tarn_stream *stream, const void *source, void *out_host, size_t size);
/* The same for boxes that hal_box_read has read. */
tarn_status hal_host_write_box(tarn_stream *stream, void *destination, const void *host, const tarn_box *box);
tarn_status hal_host_read_box(tarn_stream *stream, const void *source, void *out_host, const tarn_box *box);

#endif
