/* Streams: validation, host functions that know where they run, and waits between devices.
 *
 * Every host function runs through run_work, which notes the stream on the thread: what would wait for its own end is then
 * refused instead of hanging. A wait for an event of another device is a host function that waits for it; when that fails
 * there is nobody to tell at that moment, so the stream keeps the status and the next wait for the stream reports it. */
#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/call.h"
#include "hal/graph.h"
#include "hal/mark.h"
#include "hal/peer.h"

/* Something that a stream runs on a host thread. */
typedef struct host_work {
    tarn_stream *stream;
    tarn_host_function function; /* NULL: wait for the mark */
    void *context;
    hal_mark *mark;
} host_work;

static _Thread_local tarn_stream *running_stream;

tarn_stream *hal_running_stream(void) { return running_stream; }

bool hal_is_barred(const hal_backend *backend) {
    return running_stream != NULL && running_stream->device->backend == backend &&
           hal_device_has_feature(running_stream->device, TARN_FEATURE_HOST_FUNCTIONS_APART);
}

bool hal_is_any_barred(void) { return running_stream != NULL && hal_is_barred(running_stream->device->backend); }

tarn_status hal_device_check_bar(const tarn_device *device) {
    if (!hal_device_has_feature(device, TARN_FEATURE_HOST_FUNCTIONS_APART) || !hal_is_barred(device->backend)) {
        return TARN_OK;
    }
    return base_fail(TARN_INVALID_STATE, "%s: work that runs on a stream of %s must not call the driver", device->name,
                     running_stream->device->name);
}

tarn_stream *hal_stream_refuse(const tarn_device *device, const tarn_stream *stream) {
    base_fail(TARN_INVALID_ARGUMENT, "%s: the stream belongs to %s", device->name, stream->device->name);
    return NULL;
}

tarn_status hal_report_failure(const tarn_device *device, atomic_int *failure) {
    tarn_status status = (tarn_status)atomic_exchange_explicit(failure, TARN_OK, memory_order_relaxed);
    if (status == TARN_OK) return TARN_OK;
    return base_fail(status,
                     "%s: work failed after it was enqueued, with %s: a wait for another device's event, or "
                     "an operation of a graph",
                     device->name, tarn_status_name(status));
}

/* The first failure is kept. */
static void keep_failure(atomic_int *failure, tarn_status status) {
    int none = TARN_OK;
    atomic_compare_exchange_strong_explicit(failure, &none, (int)status, memory_order_relaxed, memory_order_relaxed);
}

void hal_stream_keep_failure(tarn_stream *stream, tarn_status status) {
    base_log(TARN_LOG_WARNING, "stream %u: %s", stream->number, tarn_last_error());
    keep_failure(&stream->failure, status);
    keep_failure(&stream->device->failure, status);
}

tarn_status hal_stream_check(const tarn_stream *stream) {
    if (stream == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the stream is NULL");
    return hal_device_check(stream->device);
}

void hal_stream_note_work(tarn_stream *stream) {
    atomic_store_explicit(&stream->has_work, true, memory_order_relaxed);
    atomic_store_explicit(&stream->device->has_work, true, memory_order_relaxed);
}

/* Makes a stream of what `open` has the backend give for `native`. */
static tarn_status create_stream(tarn_device *device,
                                 tarn_status (*open)(tarn_device *, void *, tarn_backend_stream **), void *native,
                                 tarn_stream **out_stream) {
    tarn_stream *stream = base_allocate(1, sizeof *stream);
    if (stream == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for a stream", device->name);
    tarn_status status;
    uint64_t number = atomic_fetch_add_explicit(&device->last_stream_number, 1, memory_order_relaxed) + 1;
    if (number > UINT32_MAX) {
        status =
            base_fail(TARN_LIMIT_EXCEEDED, "%s: all %u numbers of streams have been used", device->name, UINT32_MAX);
        goto fail;
    }
    status = open(device, native, &stream->handle);
    if (status != TARN_OK) goto fail;
    if (stream->handle == NULL) {
        status = base_fail(TARN_INTERNAL, "%s: the backend created a stream and gave none", device->name);
        goto fail;
    }
    atomic_init(&stream->references, 1);
    stream->number = (uint32_t)number;
    stream->device = tarn_device_retain(device);
    *out_stream = stream;
    return TARN_OK;
fail:
    base_free(stream);
    return status;
}

static tarn_status open_new(tarn_device *device, void *native, tarn_backend_stream **out_handle) {
    (void)native;
    return HAL_CALL(device, stream_create, out_handle);
}

static tarn_status open_adopted(tarn_device *device, void *native, tarn_backend_stream **out_handle) {
    return HAL_CALL(device, stream_adopt, native, out_handle);
}

static tarn_status check_place(tarn_device *device, tarn_stream *const *out_stream) {
    if (device == NULL || out_stream == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device or the place for the stream is NULL");
    }
    return hal_device_check(device);
}

tarn_status tarn_stream_create(tarn_device *device, tarn_stream **out_stream) {
    tarn_status status = check_place(device, out_stream);
    return status == TARN_OK ? create_stream(device, open_new, NULL, out_stream) : status;
}

tarn_status tarn_stream_adopt(tarn_device *device, void *native, tarn_stream **out_stream) {
    tarn_status status = check_place(device, out_stream);
    if (status != TARN_OK) return status;
    if (device->table->stream_adopt == NULL) {
        return base_fail(TARN_NOT_SUPPORTED, "%s cannot adopt streams of other libraries", device->name);
    }
    status = create_stream(device, open_adopted, native, out_stream);
    /* The other library may have given it work already. */
    if (status == TARN_OK) hal_stream_note_work(*out_stream);
    return status;
}

tarn_stream *tarn_stream_retain(tarn_stream *stream) {
    if (stream != NULL) atomic_fetch_add_explicit(&stream->references, 1, memory_order_relaxed);
    return stream;
}

tarn_status tarn_stream_release(tarn_stream *stream) {
    if (stream == NULL || stream->number == 0) return TARN_OK;
    tarn_device *device = stream->device;
    if (atomic_load_explicit(&stream->references, memory_order_relaxed) == 1) {
        if (running_stream == stream || hal_is_barred(device->backend)) {
            return base_fail(TARN_BUSY,
                             "%s: stream %u would be released by work that runs on it, or must not call the driver",
                             device->name, stream->number);
        }
        tarn_status status = hal_device_check_release(device);
        if (status != TARN_OK) return status;
    }
    /* Release and acquire: what other threads did with the stream comes before its end. */
    if (atomic_fetch_sub_explicit(&stream->references, 1, memory_order_acq_rel) > 1) return TARN_OK;

    hal_capture_stream_ends(stream);
    tarn_status status = TARN_OK;
    if (hal_device_is_reachable(device)) status = HAL_CALL(device, stream_synchronize, stream->handle);
    if (status == TARN_OK) status = hal_report_failure(device, &stream->failure);
    hal_watchers_notify(device, stream);
    if (hal_device_is_ours(device)) device->table->stream_destroy(device->handle, stream->handle);
    base_free(stream);
    hal_graphs_reap(device);
    tarn_status device_status = tarn_device_release(device);
    return status != TARN_OK ? status : device_status;
}

tarn_device *tarn_stream_device(const tarn_stream *stream) { return stream != NULL ? stream->device : NULL; }

uint32_t tarn_stream_number(const tarn_stream *stream) { return stream != NULL ? stream->number : 0; }

void hal_stream_run(tarn_stream *stream, tarn_host_function function, void *context) {
    tarn_stream *outer = running_stream;
    running_stream = stream;
    function(context);
    running_stream = outer;
}

static void run_work(void *context) {
    host_work work = *(host_work *)context;
    base_free(context);
    if (work.function != NULL) {
        hal_stream_run(work.stream, work.function, work.context);
    } else {
        tarn_status status = hal_mark_wait(work.mark);
        if (status != TARN_OK) {
            hal_stream_keep_failure(work.stream, status);
        }
        hal_mark_release(work.mark);
    }
}

static tarn_status enqueue_work(const host_work *work) {
    tarn_stream *stream = work->stream;
    host_work *copy = base_allocate(1, sizeof *copy);
    if (copy == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to enqueue work", stream->device->name);
    }
    *copy = *work;
    hal_stream_note_work(stream);
    tarn_status status = HAL_CALL(stream->device, stream_host_function, stream->handle, run_work, copy);
    if (status != TARN_OK) base_free(copy);
    return status;
}

tarn_status tarn_stream_enqueue(tarn_stream *stream, tarn_host_function function, void *context) {
    tarn_status status = hal_stream_check(stream);
    if (status != TARN_OK) return status;
    if (function == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the function to run is NULL", stream->device->name);
    tarn_graph_node_info node = {.kind = TARN_GRAPH_NODE_HOST_FUNCTION, .function = function, .context = context};
    if (hal_capture_work(stream, &node, &status)) return status;
    return hal_stream_enqueue_work(stream, function, context);
}

tarn_status hal_stream_enqueue_work(tarn_stream *stream, tarn_host_function function, void *context) {
    return enqueue_work(&(host_work){.stream = stream, .function = function, .context = context});
}

/* In the stream's order or, while it is being captured, in the capture's. */
static tarn_status record(tarn_stream *stream, tarn_event *event) {
    tarn_status status = hal_event_check_device(event, stream);
    if (status != TARN_OK || hal_capture_record(stream, event, &status)) return status;
    return hal_event_record_public(event, stream);
}

tarn_status tarn_stream_record(tarn_stream *stream, tarn_event **inout_event) {
    tarn_status status = hal_stream_check(stream);
    if (status != TARN_OK) return status;
    if (inout_event == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the place for the event is NULL", stream->device->name);
    if (*inout_event != NULL) return record(stream, *inout_event);
    tarn_event *event;
    status = tarn_event_create(stream->device, &event);
    if (status != TARN_OK) return status;
    status = record(stream, event);
    if (status != TARN_OK) {
        tarn_event_release(event);
        return status;
    }
    *inout_event = event;
    return TARN_OK;
}

tarn_status tarn_stream_wait(tarn_stream *stream, tarn_event *event) {
    tarn_status status = hal_stream_check(stream);
    if (status != TARN_OK) return status;
    if (event == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "%s: the event to wait for is NULL", stream->device->name);
    if (hal_capture_wait(stream, event, &status)) return status;
    hal_mark *mark;
    status = hal_mark_of(event, &mark);
    if (status != TARN_OK) return status;
    if (mark->event->device == stream->device) {
        status = HAL_CALL(stream->device, stream_wait, stream->handle, mark->event->handle);
        hal_mark_release(mark);
        return status;
    }
    const tarn_backend_peer *peer = hal_peer_table(stream->device, mark->event->device);
    if (peer != NULL && peer->wait != NULL) {
        hal_listen();
        status = peer->wait(stream->handle, mark->event->device->handle, mark->event->handle);
        status = hal_answer(stream->device, status, "wait");
        hal_mark_release(mark);
        return status;
    }
    status = enqueue_work(&(host_work){.stream = stream, .mark = mark});
    if (status != TARN_OK) hal_mark_release(mark);
    return status;
}

tarn_status tarn_stream_synchronize(tarn_stream *stream) {
    tarn_status status = hal_stream_check(stream);
    if (status != TARN_OK) return status;
    tarn_device *device = stream->device;
    if (running_stream == stream) {
        return base_fail(TARN_INVALID_STATE, "%s: work that runs on stream %u cannot wait for all of it", device->name,
                         stream->number);
    }
    status = hal_capture_check_stream(stream, "it cannot be waited for");
    if (status != TARN_OK) return status;
    bool had_work = atomic_exchange_explicit(&stream->has_work, false, memory_order_relaxed);
    hal_wait wait = hal_wait_begin(device);
    status = HAL_CALL(device, stream_synchronize, stream->handle);
    hal_wait_end(device, wait, had_work);
    hal_graphs_reap(device);
    return status == TARN_OK ? hal_report_failure(device, &stream->failure) : status;
}

tarn_status hal_check_range(const tarn_device *device, const void *address, size_t size, const char *what) {
    size_t end;
    if (address != NULL && checked_add((uintptr_t)address, size, &end)) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: %s of %zu bytes at %p is no range of memory", device->name, what, size,
                     address);
}

tarn_status hal_check_copy(const tarn_device *device, const void *destination, const void *source, size_t size) {
    tarn_status status = hal_check_range(device, destination, size, "a destination");
    if (status == TARN_OK) status = hal_check_range(device, source, size, "a source");
    if (status != TARN_OK || size == 0) return status;
    uintptr_t to = (uintptr_t)destination;
    uintptr_t from = (uintptr_t)source;
    if (to < from + size && from < to + size) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %zu bytes at %p and at %p overlap and cannot be copied",
                         device->name, size, source, destination);
    }
    return TARN_OK;
}

tarn_status hal_check_fill(const tarn_device *device, const void *destination, const void *pattern, size_t pattern_size,
                           size_t size) {
    tarn_status status = hal_check_range(device, destination, size, "a destination");
    if (status != TARN_OK) return status;
    if (pattern == NULL || pattern_size > 8 || !is_power_of_two(pattern_size)) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: a pattern of %zu bytes cannot be filled in: 1, 2, 4 or 8",
                         device->name, pattern_size);
    }
    if ((size & (pattern_size - 1)) != 0 || ((uintptr_t)destination & (pattern_size - 1)) != 0) {
        return base_fail(TARN_INVALID_ARGUMENT, "%s: %zu bytes at %p are not made of whole patterns of %zu bytes",
                         device->name, size, destination, pattern_size);
    }
    return TARN_OK;
}

tarn_status tarn_stream_copy(tarn_stream *stream, void *destination, const void *source, size_t size) {
    tarn_status status = hal_stream_check(stream);
    if (status == TARN_OK) status = hal_check_copy(stream->device, destination, source, size);
    if (status != TARN_OK || size == 0) return status;
    tarn_graph_node_info node = {
        .kind = TARN_GRAPH_NODE_COPY, .destination = destination, .source = source, .size = size};
    if (hal_capture_work(stream, &node, &status)) return status;
    hal_stream_note_work(stream);
    return HAL_CALL(stream->device, stream_copy, stream->handle, destination, source, size);
}

tarn_status tarn_stream_fill(tarn_stream *stream, void *destination, const void *pattern, size_t pattern_size,
                             size_t size) {
    tarn_status status = hal_stream_check(stream);
    if (status == TARN_OK) status = hal_check_fill(stream->device, destination, pattern, pattern_size, size);
    if (status != TARN_OK || size == 0) return status;
    tarn_graph_node_info node = {
        .kind = TARN_GRAPH_NODE_FILL, .destination = destination, .pattern_size = pattern_size, .size = size};
    memcpy(node.pattern, pattern, pattern_size);
    if (hal_capture_work(stream, &node, &status)) return status;
    hal_stream_note_work(stream);
    return HAL_CALL(stream->device, stream_fill, stream->handle, destination, pattern, pattern_size, size);
}
