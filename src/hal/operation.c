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
    tarn_graph_node_info node = {.kind = TARN_GRAPH_NODE_OPERATION, .operation = operation};
    if (hal_capture_work(stream, &node, &status)) return status;
    hal_stream_note_work(stream);
    hal_listen();
    return hal_answer(device, operations->enqueue(device->handle, stream->handle, operation), "operations.enqueue");
}
