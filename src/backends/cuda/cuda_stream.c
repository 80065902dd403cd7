/* Streams: the driver's, of the kind that does not wait for the legacy stream, so that what others do there holds up nobody.
 *
 * The default stream is one of them. Host functions run on a thread of the driver's, and may not call the driver. */
#include <string.h>

#include "backends/cuda/cuda_internal.h"
#include "backends/cuda/operations/operations.h"
#include "base/memory.h"

tarn_status cuda_stream_open(tarn_backend_device *device, tarn_backend_stream *stream) {
    stream->device = device;
    return CUDA_CALL(cuStreamCreate, &stream->handle, DRIVER_STREAM_NON_BLOCKING);
}

tarn_backend_stream *cuda_stream_default(tarn_backend_device *device) { return &device->default_stream; }

tarn_status cuda_stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    tarn_backend_stream *stream = base_allocate(1, sizeof *stream);
    if (stream == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for a stream");
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status == TARN_OK) {
        status = cuda_stream_open(device, stream);
        cuda_leave(scope);
    }
    if (status == TARN_OK) *out_stream = stream;
    else base_free(stream);
    return status;
}

/* Whether a stream is one of the device's. The legacy stream is that of whichever context is current. */
static tarn_status check_native(const tarn_backend_device *device, driver_stream native) {
    cuda_scope scope;
    driver_context context = NULL;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuStreamGetCtx, native, &context);
    cuda_leave(scope);
    if (status != TARN_OK || context == device->context) return status;
    return cuda_fail(TARN_INVALID_ARGUMENT, "the stream %p is not one of the primary context of device %d",
                     (void *)native, device->ordinal);
}

tarn_status cuda_stream_adopt(tarn_backend_device *device, void *native, tarn_backend_stream **out_stream) {
    tarn_status status = check_native(device, native);
    if (status != TARN_OK) return status;
    tarn_backend_stream *stream = base_allocate(1, sizeof *stream);
    if (stream == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for a stream");
    *stream = (tarn_backend_stream){.handle = native, .device = device, .is_adopted = true};
    *out_stream = stream;
    return TARN_OK;
}

tarn_status cuda_stream_native(tarn_backend_device *device, tarn_backend_stream *stream, void **out_native) {
    (void)device;
    *out_native = stream->handle;
    return TARN_OK;
}

void cuda_stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream) {
    cuda_scope scope = cuda_enter_to_end(device);
    cuda_workspace_end(device, stream);
    if (!stream->is_adopted) CUDA_DISCARD(cuStreamDestroy, stream->handle);
    cuda_leave(scope);
    base_free(stream);
}

tarn_status cuda_stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuStreamSynchronize, stream->handle);
    cuda_leave(scope);
    return status == TARN_OK ? cuda_workspace_take_failure(device, stream) : status;
}

tarn_status cuda_stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                      tarn_host_function function, void *context) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuLaunchHostFunc, stream->handle, function, context);
    cuda_leave(scope);
    return status;
}

tarn_status cuda_stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                             const void *source, size_t size) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuMemcpyAsync, (uintptr_t)destination, (uintptr_t)source, size, stream->handle);
    cuda_leave(scope);
    return status;
}

/* The driver fills words of up to four bytes. The two halves of a pattern of eight go as columns of rows of eight bytes. */
static tarn_status fill(driver_stream stream, driver_pointer destination, const void *pattern, size_t pattern_size,
                        size_t size) {
    size_t count = size / pattern_size;
    uint16_t half;
    uint32_t words[2];
    switch (pattern_size) {
    case 1: return CUDA_CALL(cuMemsetD8Async, destination, *(const unsigned char *)pattern, count, stream);
    case 2: memcpy(&half, pattern, sizeof half); return CUDA_CALL(cuMemsetD16Async, destination, half, count, stream);
    case 4:
        memcpy(words, pattern, sizeof words[0]);
        return CUDA_CALL(cuMemsetD32Async, destination, words[0], count, stream);
    default: break;
    }
    memcpy(words, pattern, sizeof words);
    if (words[0] == words[1]) return CUDA_CALL(cuMemsetD32Async, destination, words[0], 2 * count, stream);
    tarn_status status = CUDA_CALL(cuMemsetD2D32Async, destination, sizeof words, words[0], 1, count, stream);
    if (status != TARN_OK) return status;
    return CUDA_CALL(cuMemsetD2D32Async, destination + sizeof words[0], sizeof words, words[1], 1, count, stream);
}

tarn_status cuda_stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                             const void *pattern, size_t pattern_size, size_t size) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = fill(stream->handle, (uintptr_t)destination, pattern, pattern_size, size);
    cuda_leave(scope);
    return status;
}

tarn_status cuda_stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event) {
    if (!cuda_event_is_recorded(event)) return TARN_OK;
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuStreamWaitEvent, stream->handle, event->handle, 0);
    cuda_leave(scope);
    return status;
}
