/* Bytes to and from the host. */
#include "hal/host_copy.h"

#include "base/box.h"
#include "base/status.h"
#include "hal/box.h"
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

/* One part after the other through pinned memory, where its rows lie side by side. */
typedef struct passage {
    tarn_stream *stream;
    char *device, *host, *pinned;
} passage;

static tarn_status move(tarn_stream *stream, void *destination, const void *source, const tarn_box *part) {
    tarn_status status = tarn_stream_copy_box(stream, destination, source, part);
    return status == TARN_OK ? tarn_stream_synchronize(stream) : status;
}

static tarn_status write_part(void *context, const tarn_box *part, size_t device_offset, size_t host_offset) {
    const passage *self = context;
    const tarn_box in = hal_box_with_packed_destination(part), out = hal_box_with_packed_source(part);
    base_box_copy(self->pinned, self->host + host_offset, &in);
    return move(self->stream, self->device + device_offset, self->pinned, &out);
}

static tarn_status read_part(void *context, const tarn_box *part, size_t host_offset, size_t device_offset) {
    const passage *self = context;
    const tarn_box in = hal_box_with_packed_destination(part), out = hal_box_with_packed_source(part);
    tarn_status status = move(self->stream, self->pinned, self->device + device_offset, &in);
    if (status == TARN_OK) base_box_copy(self->host + host_offset, self->pinned, &out);
    return status;
}

/* Has `move_part` called for parts of the box, with pinned memory. */
static tarn_status pass(passage *self, const tarn_box *box, hal_box_part move_part) {
    tarn_device *device = self->stream->device;
    size_t size = hal_box_size(box) < PART ? hal_box_size(box) : PART;
    void *pinned;
    tarn_status status = hal_memory_allocate(device, TARN_MEMORY_PINNED, size, 0, &pinned);
    if (status != TARN_OK) return status;
    self->pinned = pinned;
    status = hal_box_each_part(box, PART, move_part, self);
    tarn_status freed = hal_memory_free(device, TARN_MEMORY_PINNED, pinned, size);
    return status == TARN_OK ? freed : status;
}

/* Where the host reaches the device's memory, it copies by itself, when the stream is done with it. */
static bool is_reachable(const tarn_stream *stream) {
    return hal_device_has_feature(stream->device, TARN_FEATURE_HOST_ACCESS);
}

tarn_status hal_host_write_box(tarn_stream *stream, void *destination, const void *host, const tarn_box *box) {
    tarn_status status = check(stream);
    if (status != TARN_OK || hal_box_is_empty(box)) return status;
    if (!is_reachable(stream)) {
        passage through = {.stream = stream, .device = destination, .host = (char *)(uintptr_t)host};
        return pass(&through, box, write_part);
    }
    status = tarn_stream_synchronize(stream);
    if (status == TARN_OK) base_box_copy(destination, host, box);
    return status;
}

tarn_status hal_host_read_box(tarn_stream *stream, const void *source, void *out_host, const tarn_box *box) {
    tarn_status status = check(stream);
    if (status != TARN_OK || hal_box_is_empty(box)) return status;
    if (!is_reachable(stream)) {
        passage through = {.stream = stream, .device = (char *)(uintptr_t)source, .host = out_host};
        return pass(&through, box, read_part);
    }
    status = tarn_stream_synchronize(stream);
    if (status == TARN_OK) base_box_copy(out_host, source, box);
    return status;
}

tarn_status hal_host_write(tarn_stream *stream, void *destination, const void *host, size_t size) {
    const tarn_box row = hal_box_of(size);
    return hal_host_write_box(stream, destination, host, &row);
}

tarn_status hal_host_read(tarn_stream *stream, const void *source, void *out_host, size_t size) {
    const tarn_box row = hal_box_of(size);
    return hal_host_read_box(stream, source, out_host, &row);
}
