/* Operations in the order of a stream. On the default stream they are computed from the caller's own structures before the call returns;
 * for a worker, and for work that the default stream's own work brings, they are copied. */
#include "backends/cpu/compute/compute.h"
#include "backends/cpu/cpu_internal.h"
#include "base/memory.h"
#include "base/operation.h"

static int supports(tarn_backend_device *device, tarn_operation operation, tarn_element_type type) {
    (void)device;
    return base_operation_takes(operation, type);
}

static tarn_status enqueue(tarn_backend_device *device, tarn_backend_stream *stream,
                           const tarn_backend_operation *operation) {
    (void)device;
    bool has_run;
    tarn_status status = cpu_inline_operation(stream, operation, &has_run);
    if (has_run) return status;
    tarn_backend_operation *copy = base_operation_copy(operation);
    if (copy == NULL) {
        return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory to enqueue %s", tarn_operation_name(operation->operation));
    }
    cpu_task task = {.kind = CPU_TASK_OPERATION, .work.operation = copy};
    status = cpu_queue_add(stream, &task);
    if (status != TARN_OK) base_free(copy);
    return status;
}

static tarn_status run(tarn_backend_device *device, const tarn_backend_operation *operation) {
    (void)device;
    return cpu_compute_run(operation);
}

const tarn_backend_operations cpu_operations = {
    .struct_size = sizeof(tarn_backend_operations),
    .supports = supports,
    .enqueue = enqueue,
    .run = run,
};
