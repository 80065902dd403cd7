/* Bytes to and from the host. */
#include "hal/host_copy.h"

#include <string.h>

#include "base/status.h"
#include "hal/graph.h"
#include "hal/memory.h"

/* Of pinned memory, through which larger pieces go one part after the other. */
#define PART ((size_t)4 << 20)

static tarn_status check(const tarn_stream *stream) {
    const tarn_device *device = stream->device;
    if (hal_stream_is_capturing(stream)) {
        return base_fail(TARN_INVALID_STATE, "%s: stream %u is being captured, and the host would have to wait for it",
                         tarn_device_name(device), hal_stream_number(stream));
    }
    if (!hal_device_has_feature(device, TARN_FEATURE_NO_BACKING)) return TARN_OK;
    return base_fail(TARN_NOT_SUPPORTED, "%s stores nothing: elements cannot be written or read",
                     tarn_device_name(device));
}

static tarn_status move(tarn_stream *stream, void *destination, const void *source, size_t size) {
    tarn_status status = tarn_stream_copy(stream, destination, source, size);
    return status == TARN_OK ? tarn_stream_synchronize(stream) : status;
}

static tarn_status write_parts(tarn_stream *stream, char *destination, const char *host, size_t size, void *pinned) {
    tarn_status status = TARN_OK;
    for (size_t done = 0, part; done < size && status == TARN_OK; done += part) {
        part = size - done < PART ? size - done : PART;
        memcpy(pinned, host + done, part);
        status = move(stream, destination + done, pinned, part);
    }
    return status;
}

static tarn_status read_parts(tarn_stream *stream, const char *source, char *host, size_t size, void *pinned) {
    tarn_status status = TARN_OK;
    for (size_t done = 0, part; done < size && status == TARN_OK; done += part) {
        part = size - done < PART ? size - done : PART;
        status = move(stream, pinned, source + done, part);
        if (status == TARN_OK) memcpy(host + done, pinned, part);
    }
    return status;
}

/* Pinned memory for a piece of `size` bytes, or for parts of it. */
static tarn_status begin_parts(tarn_device *device, size_t size, void **out_pinned) {
    return hal_memory_allocate(device, TARN_MEMORY_PINNED, size < PART ? size : PART, 0, out_pinned);
}

static tarn_status end_parts(tarn_device *device, size_t size, void *pinned, tarn_status status) {
    tarn_status freed = hal_memory_free(device, TARN_MEMORY_PINNED, pinned, size < PART ? size : PART);
    return status == TARN_OK ? freed : status;
}

/* Where the host reaches the device's memory, it copies by itself, when the stream is done with it. */
static bool is_reachable(const tarn_stream *stream) {
    return hal_device_has_feature(stream->device, TARN_FEATURE_HOST_ACCESS);
}

tarn_status hal_host_write(tarn_stream *stream, void *destination, const void *host, size_t size) {
    tarn_status status = check(stream);
    if (status != TARN_OK || size == 0) return status;
    if (!is_reachable(stream)) {
        void *pinned;
        status = begin_parts(stream->device, size, &pinned);
        if (status != TARN_OK) return status;
        status = write_parts(stream, destination, host, size, pinned);
        return end_parts(stream->device, size, pinned, status);
    }
    status = tarn_stream_synchronize(stream);
    if (status == TARN_OK) memcpy(destination, host, size);
    return status;
}

tarn_status hal_host_read(tarn_stream *stream, const void *source, void *out_host, size_t size) {
    tarn_status status = check(stream);
    if (status != TARN_OK || size == 0) return status;
    if (!is_reachable(stream)) {
        void *pinned;
        status = begin_parts(stream->device, size, &pinned);
        if (status != TARN_OK) return status;
        status = read_parts(stream, source, out_host, size, pinned);
        return end_parts(stream->device, size, pinned, status);
    }
    status = tarn_stream_synchronize(stream);
    if (status == TARN_OK) memcpy(out_host, source, size);
    return status;
}
