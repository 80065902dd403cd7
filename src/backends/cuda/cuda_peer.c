/* Peers: GPUs that reach each other's memory, by NVLink or over PCI Express.
 *
 * Access to what cuMemAlloc hands out is enabled for a whole context; access to what is mapped is granted range by range (cuda_access.c). Copies
 * go between any two devices: where one cannot reach the other, the driver goes by way of the host itself. */
#include "backends/cuda/cuda_internal.h"

static tarn_status can_access(tarn_backend_device *device, tarn_backend_device *owner, int *out_can) {
    int can = 0;
    tarn_status status = CUDA_CALL(cuDeviceCanAccessPeer, &can, device->handle, owner->handle);
    if (status == TARN_OK) *out_can = can != 0;
    return status;
}

static tarn_status enable(tarn_backend_device *device, tarn_backend_device *owner) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    driver_result result = cuda_driver.cuCtxEnablePeerAccess(owner->context, 0);
    /* Another library of the process may have done it already; then it is that library's to undo. */
    cuda_accessor accessor = {.ordinal = device->ordinal, .was_let_in_here = result == DRIVER_SUCCESS};
    if (result != DRIVER_ERROR_PEER_ACCESS_ALREADY_ENABLED) status = cuda_answer(result, "cuCtxEnablePeerAccess");
    if (status == TARN_OK) {
        status = cuda_access_grant(owner, accessor);
        if (status != TARN_OK && accessor.was_let_in_here) CUDA_DISCARD(cuCtxDisablePeerAccess, owner->context);
    }
    cuda_leave(scope);
    return status;
}

static tarn_status disable(tarn_backend_device *device, tarn_backend_device *owner) {
    cuda_accessor accessor;
    cuda_scope scope = cuda_enter_to_end(device);
    tarn_status withdrawn = cuda_access_withdraw(owner, device->ordinal, &accessor);
    tarn_status status = TARN_OK;
    if (accessor.was_let_in_here) {
        driver_result result = cuda_driver.cuCtxDisablePeerAccess(owner->context);
        if (result != DRIVER_ERROR_PEER_ACCESS_NOT_ENABLED) status = cuda_answer(result, "cuCtxDisablePeerAccess");
    }
    cuda_leave(scope);
    return withdrawn != TARN_OK ? withdrawn : status;
}

static tarn_status copy(tarn_backend_stream *stream, tarn_backend_device *destination_device, void *destination,
                        tarn_backend_device *source_device, const void *source, size_t size) {
    cuda_scope scope;
    tarn_status status = cuda_enter(stream->device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuMemcpyPeerAsync, (uintptr_t)destination, destination_device->context, (uintptr_t)source,
                       source_device->context, size, stream->handle);
    cuda_leave(scope);
    return status;
}

typedef struct peer_copy {
    driver_stream stream;
    driver_context destination, source;
} peer_copy;

static driver_result enqueue_copy(void *context, const driver_copy *copy) {
    const peer_copy *self = context;
    driver_copy between = *copy;
    between.destination.context = self->destination;
    between.source.context = self->source;
    return cuda_driver.cuMemcpy3DPeerAsync(&between, self->stream);
}

static tarn_status copy_box(tarn_backend_stream *stream, tarn_backend_device *destination_device, void *destination,
                            tarn_backend_device *source_device, const void *source, const tarn_box *box) {
    peer_copy between = {stream->handle, destination_device->context, source_device->context};
    cuda_scope scope;
    tarn_status status = cuda_enter(stream->device, &scope);
    if (status != TARN_OK) return status;
    status = cuda_box_copy(stream->device, destination, source, box, enqueue_copy, &between, "cuMemcpy3DPeerAsync");
    cuda_leave(scope);
    return status;
}

static tarn_status wait(tarn_backend_stream *stream, tarn_backend_device *owner, tarn_backend_event *event) {
    (void)owner;
    return cuda_stream_wait(stream->device, stream, event);
}

const tarn_backend_peer cuda_peer = {
    .struct_size = sizeof(tarn_backend_peer),
    .can_access = can_access,
    .enable = enable,
    .disable = disable,
    .copy = copy,
    .wait = wait,
    .copy_box = copy_box,
};
