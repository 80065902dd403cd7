/* Operations: asking whether a device has them, and enqueueing them. */
#include "hal/operation.h"

#include "base/status.h"
#include "hal/call.h"
#include "hal/graph.h"

static const tarn_backend_operations *operations_of(const tarn_device *device) { return device->table->operations; }

bool hal_operation_is_supported(tarn_device *device, tarn_operation operation, tarn_element_type type) {
    const tarn_backend_operations *operations = operations_of(device);
    return operations != NULL && operations->supports(device->handle, operation, type) != 0;
}

tarn_status hal_operation_enqueue(tarn_stream *stream, const tarn_backend_operation *operation) {
    tarn_device *device = stream->device;
    tarn_status status = hal_device_check(device);
    if (status != TARN_OK) return status;
    const tarn_backend_operations *operations = operations_of(device);
    if (operations == NULL) {
        return base_fail(TARN_NOT_SUPPORTED, "%s: its backend computes nothing, %s among it", device->name,
                         tarn_operation_name(operation->operation));
    }
    if (hal_capture_operation(stream, operation, &status)) return status;
    return hal_operation_enqueue_captured(stream, operation);
}

tarn_status hal_operation_enqueue_captured(tarn_stream *stream, const tarn_backend_operation *operation) {
    tarn_device *device = stream->device;
    hal_stream_note_work(stream);
    hal_listen();
    return hal_answer(device, operations_of(device)->enqueue(device->handle, stream->handle, operation),
                      "operations.enqueue");
}

bool hal_operation_can_run(const tarn_device *device) {
    return hal_device_has_feature(device, TARN_FEATURE_HOST_ACCESS) && operations_of(device)->run != NULL;
}

tarn_status hal_operation_run(tarn_device *device, const tarn_backend_operation *operation) {
    hal_listen();
    return hal_answer(device, operations_of(device)->run(device->handle, operation), "operations.run");
}
