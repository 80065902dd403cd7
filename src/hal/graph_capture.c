/* Captures: what is noted instead of done, which streams take part, and what may not happen meanwhile; see graph.h.
 *
 * Whatever is forbidden in a capture is refused before anything has changed, so a capture is never left half broken: it goes on,
 * and is ended or aborted by its owner. */
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/operation.h"
#include "base/status.h"
#include "hal/box.h"
#include "hal/call.h"
#include "hal/capture.h"

/* Counted up by each capture. Relaxed: only the value matters. */
static atomic_uint_fast64_t last_number;

/* All static functions below, down to the public ones, must be called with the device's lock held. */

static void merge(hal_clock *into, const hal_clock *from) {
    for (unsigned i = 0; i < HAL_CAPTURE_STREAMS; i++) {
        if (from->at[i] > into->at[i]) into->at[i] = from->at[i];
    }
}

static void enter(hal_capture *capture, tarn_stream *stream, const hal_clock *clock) {
    unsigned place = capture->stream_count++;
    capture->streams[place] = stream;
    capture->clocks[place] = *clock;
    stream->capture = capture;
    stream->capture_place = place;
    atomic_store_explicit(&stream->is_capturing, true, memory_order_release);
}

/* Takes the streams out of the capture and the capture out of the device's list. */
static void detach(hal_capture *capture) {
    for (unsigned i = 0; i < capture->stream_count; i++) {
        capture->streams[i]->capture = NULL;
        atomic_store_explicit(&capture->streams[i]->is_capturing, false, memory_order_release);
    }
    hal_capture **link = &capture->device->captures;
    while (*link != capture) link = &(*link)->next;
    *link = capture->next;
    if (capture->mode != TARN_CAPTURE_RELAXED) {
        atomic_fetch_sub_explicit(&capture->device->strict_captures, 1, memory_order_relaxed);
    }
}

static hal_capture *find_capture(const tarn_device *device, uint64_t number) {
    hal_capture *capture = device->captures;
    while (capture != NULL && capture->number != number) capture = capture->next;
    return capture;
}

/* The first stream of which there is work that the origin does not come after; NULL when all are joined. */
static const tarn_stream *find_unjoined(const hal_capture *capture) {
    for (unsigned i = 1; i < capture->stream_count; i++) {
        if (capture->clocks[0].at[i] < capture->clocks[i].at[i]) return capture->streams[i];
    }
    return NULL;
}

static tarn_status check_end(const tarn_stream *stream) {
    const hal_capture *capture = stream->capture;
    const tarn_device *device = stream->device;
    if (capture == NULL) return hal_capture_refuse(device, stream, "is not being captured");
    if (capture->streams[0] != stream) {
        return base_fail(TARN_INVALID_STATE,
                         "%s: the capture that stream %u takes part in ends on stream %u, on which it began",
                         device->name, stream->number, capture->streams[0]->number);
    }
    if (capture->mode != TARN_CAPTURE_RELAXED && !pthread_equal(capture->thread, pthread_self())) {
        return hal_capture_refuse(device, stream,
                                  "is captured in a strict mode, and its capture ends on the thread that began it");
    }
    const tarn_stream *unjoined = find_unjoined(capture);
    if (unjoined != NULL) {
        return base_fail(TARN_INVALID_STATE,
                         "%s: the capture of stream %u forked to stream %u, whose work is not joined again",
                         device->name, stream->number, unjoined->number);
    }
    return TARN_OK;
}

static bool add_node(const tarn_stream *stream, const tarn_graph_node_info *work) {
    hal_node node = {.work = *work, .stream = stream->capture_place, .before = *hal_capture_clock_of(stream)};
    node.clock = node.before.at[node.stream] + 1;
    if (!hal_nodes_add(stream->capture->nodes, &node)) return false;
    hal_capture_advance(stream);
    return true;
}

static tarn_status add_row(void *context, void *destination, const void *source, size_t size) {
    const tarn_graph_node_info row = {
        .kind = TARN_GRAPH_NODE_COPY, .destination = destination, .source = source, .size = size};
    return add_node(context, &row) ? TARN_OK : TARN_OUT_OF_MEMORY;
}

/* A backend with graphs of its own that knows no boxes is given rows. */
static bool takes_only_rows(const tarn_device *device) {
    return hal_native_is_offered(device) && device->table->stream_copy_box == NULL;
}

/* Adds the work to the capture, whole, and retains its clients; NULL when there is no host memory. */
static hal_graph_clients *add_work(tarn_stream *stream, const tarn_graph_node_info *work) {
    hal_capture *capture = stream->capture;
    const tarn_box *box = &work->box;
    bool is_added;
    if (work->kind == TARN_GRAPH_NODE_COPY_BOX && takes_only_rows(stream->device)) {
        is_added = hal_nodes_reserve(capture->nodes, box->height * box->depth) &&
                   hal_box_each_row(work->destination, work->source, box, add_row, stream) == TARN_OK;
    } else {
        is_added = add_node(stream, work);
    }
    return is_added ? hal_graph_clients_retain(capture->clients) : NULL;
}

/* What hal_capture_wait does; true unless the wait is an ordinary one. */
static bool wait_captured(tarn_stream *stream, const hal_captured_event *event, tarn_status *out_status) {
    tarn_device *device = stream->device;
    hal_capture *capture = event != NULL ? find_capture(device, event->capture) : NULL;
    if (event == NULL) {
        if (stream->capture == NULL) return false;
        *out_status = hal_capture_refuse(device, stream,
                                         "is being captured and cannot wait for an event recorded outside the capture");
    } else if (capture == NULL) {
        *out_status = hal_capture_refuse(
            device, stream, "cannot wait for an event of a capture that has ended, or of another device's");
    } else if (stream->capture == capture) {
        merge(hal_capture_clock_of(stream), &event->clock);
        *out_status = TARN_OK;
    } else if (stream->capture != NULL) {
        *out_status =
            hal_capture_refuse(device, stream, "is being captured and cannot wait for an event of another capture");
    } else if (stream->number == 0) {
        *out_status = hal_capture_refuse(device, stream, "is the default stream, which cannot take part in a capture");
    } else if (capture->stream_count == HAL_CAPTURE_STREAMS) {
        *out_status =
            base_fail(TARN_LIMIT_EXCEEDED, "%s: a capture has %d streams at most", device->name, HAL_CAPTURE_STREAMS);
    } else {
        enter(capture, tarn_stream_retain(stream), &event->clock);
        *out_status = TARN_OK;
    }
    return true;
}

/* For functions without the lock. */

/* What is left of a capture that is in no list any more, with its nodes gone to a graph or not. */
static void destroy(hal_capture *capture, bool is_aborted) {
    hal_graph_clients_finish(capture->clients, is_aborted);
    hal_graph_clients_release(capture->clients);
    hal_nodes_release(capture->nodes);
    for (unsigned i = 1; i < capture->stream_count; i++) {
        if (tarn_stream_release(capture->streams[i]) != TARN_OK) {
            base_log(TARN_LOG_WARNING, "a capture ended, and %s", tarn_last_error());
        }
    }
    base_free(capture);
}

static tarn_status create(tarn_device *device, tarn_capture_mode mode, hal_capture **out_capture) {
    hal_capture *capture = base_allocate(1, sizeof *capture);
    if (capture != NULL) {
        capture->nodes = hal_nodes_create();
        capture->clients = hal_graph_clients_create();
    }
    if (capture == NULL || capture->nodes == NULL || capture->clients == NULL) {
        if (capture != NULL) {
            hal_nodes_release(capture->nodes);
            hal_graph_clients_release(capture->clients);
        }
        base_free(capture);
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a capture", device->name);
    }
    capture->device = device;
    capture->number = atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed) + 1;
    capture->mode = mode;
    capture->thread = pthread_self();
    *out_capture = capture;
    return TARN_OK;
}

tarn_status tarn_stream_begin_capture(tarn_stream *stream, tarn_capture_mode mode) {
    if (stream == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the stream to capture is NULL");
    tarn_device *device = stream->device;
    if (mode != TARN_CAPTURE_GLOBAL && mode != TARN_CAPTURE_THREAD_LOCAL && mode != TARN_CAPTURE_RELAXED) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %d is no mode of capture", device->name, (int)mode);
    }
    tarn_status status = hal_device_check(device);
    if (status != TARN_OK) return status;
    if (stream->number == 0)
        return hal_capture_refuse(device, stream, "is the default stream, which cannot be captured");
    hal_graphs_reap(device);
    hal_capture *capture;
    status = create(device, mode, &capture);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&device->lock);
    bool is_free = stream->capture == NULL;
    if (is_free) {
        enter(capture, stream, &(hal_clock){.at = {0}});
        capture->next = device->captures;
        device->captures = capture;
        if (mode != TARN_CAPTURE_RELAXED) {
            atomic_fetch_add_explicit(&device->strict_captures, 1, memory_order_relaxed);
        }
    }
    pthread_mutex_unlock(&device->lock);
    if (is_free) return TARN_OK;
    hal_nodes_release(capture->nodes);
    hal_graph_clients_release(capture->clients);
    base_free(capture);
    return hal_capture_refuse(device, stream, "is being captured already");
}

tarn_status tarn_stream_end_capture(tarn_stream *stream, tarn_graph **out_graph) {
    if (stream == NULL || out_graph == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the stream whose capture ends or the place for the graph is NULL");
    }
    tarn_device *device = stream->device;
    tarn_status status = hal_device_check(device);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&device->lock);
    hal_capture *capture = stream->capture;
    status = check_end(stream);
    if (status == TARN_OK) status = hal_graph_create(device, capture->nodes, capture->clients, out_graph);
    if (status == TARN_OK) detach(capture);
    pthread_mutex_unlock(&device->lock);
    if (status == TARN_OK) destroy(capture, false);
    return status;
}

/* Aborts the capture that the stream takes part in; false when there is none. */
static bool abort_capture(tarn_stream *stream) {
    tarn_device *device = stream->device;
    pthread_mutex_lock(&device->lock);
    hal_capture *capture = stream->capture;
    if (capture != NULL) detach(capture);
    pthread_mutex_unlock(&device->lock);
    if (capture != NULL) destroy(capture, true);
    return capture != NULL;
}

tarn_status tarn_stream_abort_capture(tarn_stream *stream) {
    if (stream == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the stream whose capture is aborted is NULL");
    tarn_status status = hal_device_check_bar(stream->device);
    if (status != TARN_OK) return status;
    if (abort_capture(stream)) return TARN_OK;
    return hal_capture_refuse(stream->device, stream, "is not being captured");
}

int tarn_stream_is_capturing(const tarn_stream *stream) { return stream != NULL && hal_stream_is_capturing(stream); }

void hal_capture_stream_ends(tarn_stream *stream) {
    if (!hal_stream_is_capturing(stream) || !abort_capture(stream)) return;
    base_log(TARN_LOG_WARNING, "%s: stream %u was released while it was being captured; the capture is aborted",
             stream->device->name, stream->number);
}

/* What stream functions ask. */

bool hal_capture_work(tarn_stream *stream, const tarn_graph_node_info *node, tarn_status *out_status) {
    if (!hal_stream_is_capturing(stream)) return false;
    tarn_device *device = stream->device;
    pthread_mutex_lock(&device->lock);
    hal_capture *capture = stream->capture;
    hal_graph_clients *clients = capture != NULL ? add_work(stream, node) : NULL;
    pthread_mutex_unlock(&device->lock);
    if (capture == NULL) return false;
    if (clients == NULL) {
        *out_status = base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to capture work", device->name);
        return true;
    }
    hal_graph_clients_use(clients, node, true);
    hal_graph_clients_release(clients);
    *out_status = TARN_OK;
    return true;
}

bool hal_capture_operation(tarn_stream *stream, const tarn_backend_operation *operation, tarn_status *out_status) {
    if (!hal_stream_is_capturing(stream)) return false;
    tarn_graph_node_info node = {.kind = TARN_GRAPH_NODE_OPERATION, .operation = base_operation_copy(operation)};
    if (node.operation == NULL) {
        *out_status = base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to capture an operation", stream->device->name);
        return true;
    }
    bool is_captured = hal_capture_work(stream, &node, out_status);
    if (!is_captured || *out_status != TARN_OK) base_free((void *)(uintptr_t)node.operation);
    return is_captured;
}

bool hal_capture_record(tarn_stream *stream, tarn_event *event, tarn_status *out_status) {
    if (!hal_stream_is_capturing(stream)) return false;
    tarn_device *device = stream->device;
    hal_captured_event captured = {0};
    pthread_mutex_lock(&device->lock);
    if (stream->capture != NULL) {
        captured.capture = stream->capture->number;
        captured.clock = *hal_capture_clock_of(stream);
    }
    pthread_mutex_unlock(&device->lock);
    if (captured.capture == 0) return false;
    *out_status = hal_event_set_captured(event, &captured);
    return true;
}

bool hal_capture_wait(tarn_stream *stream, tarn_event *event, tarn_status *out_status) {
    hal_captured_event captured;
    bool is_captured = hal_event_get_captured(event, &captured);
    if (!is_captured && !hal_stream_is_capturing(stream)) return false;
    pthread_mutex_lock(&stream->device->lock);
    bool is_done = wait_captured(stream, is_captured ? &captured : NULL, out_status);
    pthread_mutex_unlock(&stream->device->lock);
    return is_done;
}

tarn_status hal_capture_check_stream(const tarn_stream *stream, const char *what) {
    if (!hal_stream_is_capturing(stream)) return TARN_OK;
    return base_fail(TARN_INVALID_STATE, "%s: stream %u is being captured: %s", stream->device->name, stream->number,
                     what);
}

tarn_status hal_capture_check_device(tarn_device *device) {
    pthread_mutex_lock(&device->lock);
    const hal_capture *capture = device->captures;
    uint32_t number = capture != NULL ? capture->streams[0]->number : 0;
    pthread_mutex_unlock(&device->lock);
    if (number == 0) return TARN_OK;
    return base_fail(TARN_INVALID_STATE,
                     "%s: stream %u is being captured, so the device as a whole cannot be waited for", device->name,
                     number);
}

tarn_status hal_capture_check_host_wait(tarn_device *device) {
    if (atomic_load_explicit(&device->strict_captures, memory_order_relaxed) == 0) return TARN_OK;
    uint32_t number = 0;
    pthread_mutex_lock(&device->lock);
    for (const hal_capture *capture = device->captures; capture != NULL && number == 0; capture = capture->next) {
        bool is_own = pthread_equal(capture->thread, pthread_self());
        if (capture->mode == TARN_CAPTURE_GLOBAL || (capture->mode == TARN_CAPTURE_THREAD_LOCAL && is_own)) {
            number = capture->streams[0]->number;
        }
    }
    pthread_mutex_unlock(&device->lock);
    if (number == 0) return TARN_OK;
    return base_fail(TARN_INVALID_STATE,
                     "%s: stream %u is being captured in a strict mode, so no event can be asked for or waited for",
                     device->name, number);
}
