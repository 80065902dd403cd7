/* Operations in the order of a stream: the one door through which tensors reach a backend's computing. */
#ifndef HAL_OPERATION_H
#define HAL_OPERATION_H

#include <stdbool.h>

#include <tarn/backend_operations.h>
#include <tarn/stream.h>

/* Whether the device executes the operation on elements of the type. */
bool hal_operation_is_supported(tarn_device *device, tarn_operation operation, tarn_element_type type);
/* Enqueues the operation, or notes it while the stream is being captured. The caller has validated it. NOT_SUPPORTED: the backend has no
 * operations, or not in this form. */
tarn_status hal_operation_enqueue(tarn_stream *stream, const tarn_backend_operation *operation);

/* For graphs, whose device has operations. */

/* Enqueues an operation that was captured. */
tarn_status hal_operation_enqueue_captured(tarn_stream *stream, const tarn_backend_operation *operation);
/* Whether the device's operations can be executed on a thread of the host. */
bool hal_operation_can_run(const tarn_device *device);
/* Executes it before it returns. */
tarn_status hal_operation_run(tarn_device *device, const tarn_backend_operation *operation);

#endif
