/* Captures as those see them who lend memory to captured work: entering a capture, and asking what comes after what. */
#include "base/status.h"
#include "hal/call.h"
#include "hal/capture.h"

/* Enters the client, and retains the list that it is in now. Must be called with the device's lock held. */
static tarn_status attach(hal_capture *capture, const hal_graph_client *client, void *context,
                          hal_graph_clients **out_clients, hal_nodes **out_earlier) {
    const char *name = capture->device->name;
    hal_nodes *earlier = hal_nodes_copy(capture->nodes);
    if (earlier == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for the memory of a capture", name);
    }
    if (!hal_graph_clients_add(capture->clients, client, context)) {
        hal_nodes_release(earlier);
        return base_fail(TARN_LIMIT_EXCEEDED, "%s: a capture takes memory from %d pools at most", name,
                         HAL_GRAPH_CLIENTS);
    }
    *out_clients = hal_graph_clients_retain(capture->clients);
    *out_earlier = earlier;
    return TARN_OK;
}

tarn_status hal_capture_attach(tarn_stream *stream, uint64_t capture, const hal_graph_client *client, void *context) {
    tarn_device *device = stream->device;
    hal_graph_clients *clients = NULL;
    hal_nodes *earlier = NULL;
    pthread_mutex_lock(&device->lock);
    bool is_there = stream->capture != NULL && stream->capture->number == capture;
    tarn_status status = is_there ? attach(stream->capture, client, context, &clients, &earlier)
                                  : hal_capture_refuse(device, stream, "is not in that capture any more");
    pthread_mutex_unlock(&device->lock);
    if (status != TARN_OK) return status;
    for (size_t i = 0; i < earlier->count; i++) hal_graph_clients_use(clients, &earlier->items[i].work, true);
    hal_nodes_release(earlier);
    hal_graph_clients_release(clients);
    return TARN_OK;
}

uint64_t hal_capture_number(const tarn_stream *stream) {
    if (!hal_stream_is_capturing(stream)) return 0;
    pthread_mutex_lock(&stream->device->lock);
    uint64_t number = stream->capture != NULL ? stream->capture->number : 0;
    pthread_mutex_unlock(&stream->device->lock);
    return number;
}

unsigned hal_capture_clock(const tarn_stream *stream, uint64_t capture, hal_clock *out_clock, uint32_t *out_place) {
    pthread_mutex_lock(&stream->device->lock);
    bool is_in = stream->capture != NULL && stream->capture->number == capture;
    unsigned streams = is_in ? stream->capture->stream_count : 0;
    if (is_in) {
        *out_clock = *hal_capture_clock_of(stream);
        *out_place = stream->capture_place;
    }
    pthread_mutex_unlock(&stream->device->lock);
    return streams;
}

bool hal_capture_mark(tarn_stream *stream, hal_capture_point *out_point) {
    if (!hal_stream_is_capturing(stream)) return false;
    pthread_mutex_lock(&stream->device->lock);
    bool is_captured = stream->capture != NULL;
    if (is_captured) {
        *out_point = (hal_capture_point){
            .capture = stream->capture->number, .stream = stream->capture_place, .clock = hal_capture_advance(stream)};
    }
    pthread_mutex_unlock(&stream->device->lock);
    return is_captured;
}

bool hal_capture_has_passed(const tarn_stream *stream, const hal_capture_point *point) {
    pthread_mutex_lock(&stream->device->lock);
    bool has_passed = stream->capture != NULL && stream->capture->number == point->capture &&
                      hal_capture_clock_of(stream)->at[point->stream] >= point->clock;
    pthread_mutex_unlock(&stream->device->lock);
    return has_passed;
}
