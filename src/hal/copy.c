/* Copies between devices, on the shortest way that there is: the driver's own, a host function where the host reaches both
 * memories, or by way of host memory, for which the calling thread waits. */
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "hal/call.h"
#include "hal/graph.h"
#include "hal/host_copy.h"
#include "hal/peer.h"

/* Of host memory, between two devices neither of which the host reaches. */
#define PART ((size_t)4 << 20)

typedef struct copy_end {
    tarn_stream *stream; /* of its device: where it is read or written */
    char *address;
} copy_end;

static bool is_reachable(const copy_end *end) {
    return hal_device_has_feature(end->stream->device, TARN_FEATURE_HOST_ACCESS);
}

/* The driver's own. NOT_SUPPORTED, with nothing enqueued, where it has none between these two. */
static tarn_status copy_by_driver(tarn_stream *stream, const copy_end *to, const copy_end *from, size_t size) {
    tarn_device *destination = to->stream->device, *source = from->stream->device;
    const tarn_backend_peer *peer = hal_peer_table(destination, source);
    if (peer == NULL || peer->copy == NULL) return TARN_NOT_SUPPORTED;
    hal_stream_note_work(stream);
    hal_listen();
    tarn_status status =
        peer->copy(stream->handle, destination->handle, to->address, source->handle, from->address, size);
    return hal_answer(stream->device, status, "copy");
}

/* By a host function. */

typedef struct host_move {
    void *destination;
    const void *source;
    size_t size;
} host_move;

static void run_move(void *context) {
    host_move move = *(host_move *)context;
    base_free(context);
    memcpy(move.destination, move.source, move.size);
}

static tarn_status enqueue_move(tarn_stream *stream, const copy_end *to, const copy_end *from, size_t size) {
    host_move *move = base_allocate(1, sizeof *move);
    if (move == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to copy", stream->device->name);
    *move = (host_move){.destination = to->address, .source = from->address, .size = size};
    tarn_status status = hal_stream_enqueue_work(stream, run_move, move);
    if (status != TARN_OK) base_free(move);
    return status;
}

/* By way of host memory. */

static tarn_status copy_parts(const copy_end *to, const copy_end *from, size_t size) {
    char *part = base_allocate(size < PART ? size : PART, 1);
    if (part == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to copy from %s", to->stream->device->name,
                         from->stream->device->name);
    }
    tarn_status status = TARN_OK;
    for (size_t done = 0, count; done < size && status == TARN_OK; done += count) {
        count = size - done < PART ? size - done : PART;
        status = hal_host_read(from->stream, from->address + done, part, count);
        if (status == TARN_OK) status = hal_host_write(to->stream, to->address + done, part, count);
    }
    base_free(part);
    return status;
}

static tarn_status copy_by_host(tarn_stream *stream, const copy_end *to, const copy_end *from, size_t size) {
    /* What comes before in the order of `stream` also comes before what the other device's stream does. */
    tarn_status status = tarn_stream_synchronize(stream);
    if (status == TARN_OK && is_reachable(from)) {
        status = tarn_stream_synchronize(from->stream);
        return status == TARN_OK ? hal_host_write(to->stream, to->address, from->address, size) : status;
    }
    if (status == TARN_OK && is_reachable(to)) {
        status = tarn_stream_synchronize(to->stream);
        return status == TARN_OK ? hal_host_read(from->stream, from->address, to->address, size) : status;
    }
    return status == TARN_OK ? copy_parts(to, from, size) : status;
}

/* Choosing. */

static tarn_status check_devices(const tarn_device *destination, const tarn_device *source, const tarn_stream *stream) {
    if (destination == NULL || source == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device to copy to, or to copy from, is NULL");
    }
    if (stream == NULL || stream->device == destination || stream->device == source) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "a copy from %s to %s cannot be in the order of a stream of %s",
                     source->name, destination->name, stream->device->name);
}

/* That both devices can be called and store something, and the ranges are such. */
static tarn_status check_between(const copy_end *to, const copy_end *from, size_t size) {
    tarn_device *ends[] = {to->stream->device, from->stream->device};
    for (int i = 0; i < 2; i++) {
        tarn_status status = hal_device_check(ends[i]);
        if (status != TARN_OK) return status;
        if (hal_device_has_feature(ends[i], TARN_FEATURE_NO_BACKING)) {
            return base_fail(TARN_NOT_SUPPORTED, "%s stores nothing that could be copied from %s to %s", ends[i]->name,
                             ends[1]->name, ends[0]->name);
        }
    }
    tarn_status status = hal_check_range(ends[0], to->address, size, "a destination");
    return status == TARN_OK ? hal_check_range(ends[1], from->address, size, "a source") : status;
}

static tarn_status copy_between(tarn_stream *stream, const copy_end *to, const copy_end *from, size_t size) {
    tarn_status status = check_between(to, from, size);
    if (status != TARN_OK || size == 0) return status;
    status = hal_capture_check_stream(stream, "copies between devices cannot be captured");
    if (status != TARN_OK) return status;
    status = copy_by_driver(stream, to, from, size);
    if (status != TARN_NOT_SUPPORTED) return status;
    return (is_reachable(to) && is_reachable(from) ? enqueue_move : copy_by_host)(stream, to, from, size);
}

tarn_status tarn_copy(tarn_stream *stream, tarn_device *destination_device, void *destination,
                      tarn_device *source_device, const void *source, size_t size) {
    tarn_status status = check_devices(destination_device, source_device, stream);
    if (status != TARN_OK) return status;
    if (stream == NULL) stream = &destination_device->default_stream;
    if (destination_device == source_device) return tarn_stream_copy(stream, destination, source, size);
    copy_end to = {.stream = &destination_device->default_stream, .address = destination};
    copy_end from = {.stream = &source_device->default_stream, .address = (char *)(uintptr_t)source};
    *(stream->device == destination_device ? &to.stream : &from.stream) = stream;
    return copy_between(stream, &to, &from, size);
}
