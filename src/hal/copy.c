/* Copies between devices, on the shortest way that there is: the driver's own, a host function where the host reaches both
 * memories, or by way of host memory, for which the calling thread waits. A piece of memory is a box of one row. */
#include "base/box.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/box.h"
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

/* The driver's own. */

typedef struct driver_copy {
    const tarn_backend_peer *peer;
    tarn_stream *stream;
    const copy_end *to, *from;
} driver_copy;

static tarn_status copy_row(void *context, void *destination, const void *source, size_t size) {
    const driver_copy *self = context;
    hal_listen();
    tarn_status status = self->peer->copy(self->stream->handle, self->to->stream->device->handle, destination,
                                          self->from->stream->device->handle, source, size);
    return hal_answer(self->stream->device, status, "copy");
}

/* Tables of peers had no boxes at first. */
static bool has_boxes(const tarn_backend_peer *peer) {
    return peer->struct_size >= sizeof *peer && peer->copy_box != NULL;
}

/* NOT_SUPPORTED, with nothing enqueued, where it has none between these two. */
static tarn_status copy_by_driver(tarn_stream *stream, const copy_end *to, const copy_end *from, const tarn_box *box) {
    tarn_device *destination = to->stream->device, *source = from->stream->device;
    const tarn_backend_peer *peer = hal_peer_table(destination, source);
    if (peer == NULL || peer->copy == NULL) return TARN_NOT_SUPPORTED;
    hal_stream_note_work(stream);
    if (has_boxes(peer) && !hal_box_is_one_row(box)) {
        hal_listen();
        tarn_status status =
            peer->copy_box(stream->handle, destination->handle, to->address, source->handle, from->address, box);
        status = hal_answer(stream->device, status, "copy_box");
        if (status != TARN_NOT_SUPPORTED) return status;
    }
    driver_copy rows = {.peer = peer, .stream = stream, .to = to, .from = from};
    return hal_box_each_row(to->address, from->address, box, copy_row, &rows);
}

/* By a host function. */

typedef struct host_move {
    void *destination;
    const void *source;
    tarn_box box;
} host_move;

static void run_move(void *context) {
    host_move move = *(host_move *)context;
    base_free(context);
    base_box_copy(move.destination, move.source, &move.box);
}

static tarn_status enqueue_move(tarn_stream *stream, const copy_end *to, const copy_end *from, const tarn_box *box) {
    host_move *move = base_allocate(1, sizeof *move);
    if (move == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to copy", stream->device->name);
    *move = (host_move){.destination = to->address, .source = from->address, .box = *box};
    tarn_status status = hal_stream_enqueue_work(stream, run_move, move);
    if (status != TARN_OK) base_free(move);
    return status;
}

/* By way of host memory. */

typedef struct host_passage {
    const copy_end *to, *from;
    char *memory;
} host_passage;

static tarn_status pass_part(void *context, const tarn_box *part, size_t to_offset, size_t from_offset) {
    const host_passage *self = context;
    tarn_box in = hal_box_with_packed_destination(part), out = hal_box_with_packed_source(part);
    tarn_status status = hal_host_read_box(self->from->stream, self->from->address + from_offset, self->memory, &in);
    if (status != TARN_OK) return status;
    return hal_host_write_box(self->to->stream, self->to->address + to_offset, self->memory, &out);
}

static tarn_status copy_parts(const copy_end *to, const copy_end *from, const tarn_box *box) {
    size_t size = hal_box_size(box);
    host_passage passage = {.to = to, .from = from, .memory = base_allocate(size < PART ? size : PART, 1)};
    if (passage.memory == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to copy from %s", to->stream->device->name,
                         from->stream->device->name);
    }
    tarn_status status = hal_box_each_part(box, PART, pass_part, &passage);
    base_free(passage.memory);
    return status;
}

static tarn_status copy_by_host(tarn_stream *stream, const copy_end *to, const copy_end *from, const tarn_box *box) {
    /* What comes before in the order of `stream` also comes before what the other device's stream does. */
    tarn_status status = tarn_stream_synchronize(stream);
    if (status == TARN_OK && is_reachable(from)) {
        status = tarn_stream_synchronize(from->stream);
        return status == TARN_OK ? hal_host_write_box(to->stream, to->address, from->address, box) : status;
    }
    if (status == TARN_OK && is_reachable(to)) {
        status = tarn_stream_synchronize(to->stream);
        return status == TARN_OK ? hal_host_read_box(from->stream, from->address, to->address, box) : status;
    }
    return status == TARN_OK ? copy_parts(to, from, box) : status;
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

/* That both devices can be called and store something. */
static tarn_status check_between(const copy_end *to, const copy_end *from) {
    const tarn_device *ends[] = {to->stream->device, from->stream->device};
    for (int i = 0; i < 2; i++) {
        tarn_status status = hal_device_check(i == 0 ? to->stream->device : from->stream->device);
        if (status != TARN_OK) return status;
        if (hal_device_has_feature(ends[i], TARN_FEATURE_NO_BACKING)) {
            return base_fail(TARN_NOT_SUPPORTED, "%s stores nothing that could be copied from %s to %s", ends[i]->name,
                             ends[1]->name, ends[0]->name);
        }
    }
    return TARN_OK;
}

static tarn_status copy_between(tarn_stream *stream, const copy_end *to, const copy_end *from, const tarn_box *box) {
    tarn_status status = hal_capture_check_stream(stream, "copies between devices cannot be captured");
    if (status != TARN_OK) return status;
    status = copy_by_driver(stream, to, from, box);
    if (status != TARN_NOT_SUPPORTED) return status;
    return (is_reachable(to) && is_reachable(from) ? enqueue_move : copy_by_host)(stream, to, from, box);
}

/* The stream to copy in the order of, which is `stream` or the destination's default one, and the streams of both ends. */
static tarn_stream *choose_streams(tarn_stream *stream, tarn_device *destination, tarn_device *source, copy_end *to,
                                   copy_end *from) {
    if (stream == NULL) stream = &destination->default_stream;
    to->stream = &destination->default_stream;
    from->stream = &source->default_stream;
    *(stream->device == destination ? &to->stream : &from->stream) = stream;
    return stream;
}

tarn_status tarn_copy(tarn_stream *stream, tarn_device *destination_device, void *destination,
                      tarn_device *source_device, const void *source, size_t size) {
    tarn_status status = check_devices(destination_device, source_device, stream);
    if (status != TARN_OK) return status;
    copy_end to = {.address = destination}, from = {.address = (char *)(uintptr_t)source};
    stream = choose_streams(stream, destination_device, source_device, &to, &from);
    if (destination_device == source_device) return tarn_stream_copy(stream, destination, source, size);
    const tarn_box row = hal_box_of(size);
    status = check_between(&to, &from);
    if (status == TARN_OK) status = hal_check_range(destination_device, destination, size, "a destination");
    if (status == TARN_OK) status = hal_check_range(source_device, source, size, "a source");
    return status == TARN_OK && size > 0 ? copy_between(stream, &to, &from, &row) : status;
}

tarn_status tarn_copy_box(tarn_stream *stream, tarn_device *destination_device, void *destination,
                          tarn_device *source_device, const void *source, const tarn_box *box) {
    tarn_status status = check_devices(destination_device, source_device, stream);
    if (status != TARN_OK) return status;
    copy_end to = {.address = destination}, from = {.address = (char *)(uintptr_t)source};
    stream = choose_streams(stream, destination_device, source_device, &to, &from);
    if (destination_device == source_device) return tarn_stream_copy_box(stream, destination, source, box);
    tarn_box read;
    status = check_between(&to, &from);
    if (status != TARN_OK) return status;
    status = hal_box_read("copy_box", box, &read);
    if (status != TARN_OK || hal_box_is_empty(&read)) return status;
    status = hal_box_check_destination(destination_device, destination, &read);
    if (status == TARN_OK) status = hal_box_check_source(source_device, source, &read);
    return status == TARN_OK ? copy_between(stream, &to, &from, &read) : status;
}
