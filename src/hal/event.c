/* Events: the light ones for use inside Tarn, and the public ones, which are counted and point to a mark.
 *
 * Recording a public event whose mark somebody still waits for gives it a new mark; otherwise the same driver event is
 * recorded again. The event's lock protects only which mark it has; drivers are called outside it. */
#include "hal/event.h"

#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "hal/call.h"
#include "hal/graph.h"
#include "hal/mark.h"

struct tarn_event {
    atomic_uint references;
    pthread_mutex_t lock;
    hal_mark *mark;      /* protected by lock; never NULL */
    tarn_device *device; /* kept alive by every mark, the event's own among them */
    bool is_untimed;     /* as are its marks */
    /* Where it was recorded last, when that was in a capture; else NULL. Protected by lock. */
    hal_captured_event *captured;
};

/* A driver's event; one that is asked for no time may cost it less. */
static tarn_status create_handle(tarn_device *device, bool is_untimed, tarn_backend_event **out_handle) {
    if (!is_untimed || device->table->event_create_untimed == NULL) return HAL_CALL(device, event_create, out_handle);
    return HAL_CALL(device, event_create_untimed, out_handle);
}

static tarn_status create(tarn_device *device, bool is_untimed, hal_event **out_event) {
    tarn_status status = hal_device_check(device);
    if (status != TARN_OK) return status;
    hal_event *event = base_allocate(1, sizeof *event);
    if (event == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for an event", device->name);
    event->device = device;
    status = create_handle(device, is_untimed, &event->handle);
    if (status == TARN_OK && event->handle == NULL) {
        status = base_fail(TARN_INTERNAL, "%s: the backend created an event and gave none", device->name);
    }
    if (status != TARN_OK) {
        base_free(event);
        return status;
    }
    *out_event = event;
    return TARN_OK;
}

tarn_status hal_event_create(tarn_device *device, hal_event **out_event) { return create(device, true, out_event); }

void hal_event_destroy(hal_event *event) {
    if (event == NULL) return;
    if (hal_device_is_ours(event->device)) event->device->table->event_destroy(event->device->handle, event->handle);
    base_free(event);
}

tarn_status hal_event_record(hal_event *event, tarn_stream *stream) {
    tarn_device *device = event->device;
    if (stream->device != device) {
        hal_stream_refuse(device, stream);
        return TARN_INVALID_ARGUMENT;
    }
    tarn_status status = hal_device_check(device);
    if (status == TARN_OK) status = hal_capture_check_stream(stream, "no event of Tarn's own can be recorded on it");
    if (status == TARN_OK) status = HAL_CALL(device, event_record, event->handle, stream->handle);
    if (status == TARN_OK) atomic_store_explicit(&event->stream, stream->number, memory_order_relaxed);
    return status;
}

tarn_status hal_event_query(hal_event *event, bool *out_complete) {
    tarn_status status = hal_device_check(event->device);
    int is_complete = 0;
    if (status == TARN_OK) status = HAL_CALL(event->device, event_query, event->handle, &is_complete);
    if (status == TARN_OK) *out_complete = is_complete != 0;
    return status;
}

tarn_status hal_event_synchronize_within(hal_event *event, bool *inout_had_work) {
    tarn_device *device = event->device;
    bool is_complete = false;
    tarn_status status = hal_event_query(event, &is_complete);
    if (status == TARN_OK && is_complete) return TARN_OK;
    /* A query that failed says nothing about the work, which can still be waited for. */
    status = hal_device_check(device);
    if (status != TARN_OK) return status;
    const tarn_stream *running = hal_running_stream();
    if (running != NULL && running->device == device &&
        running->number == atomic_load_explicit(&event->stream, memory_order_relaxed)) {
        return base_fail(TARN_INVALID_STATE, "%s: work that runs on stream %u cannot wait for a later point of it",
                         device->name, running->number);
    }
    *inout_had_work = true;
    return HAL_CALL(device, event_synchronize, event->handle);
}

tarn_status hal_event_synchronize(hal_event *event) {
    bool had_work = false;
    hal_wait wait = hal_wait_begin(event->device);
    tarn_status status = hal_event_synchronize_within(event, &had_work);
    if (had_work) hal_wait_end(event->device, wait, true);
    return status;
}

tarn_status hal_event_follow(hal_event *event, tarn_stream *stream) {
    tarn_status status = hal_device_check(event->device);
    if (status == TARN_OK) status = hal_capture_check_stream(stream, "it cannot wait for an event of Tarn's own");
    if (status != TARN_OK) return status;
    return HAL_CALL(stream->device, stream_wait, stream->handle, event->handle);
}

static tarn_status create_mark(tarn_device *device, bool is_untimed, hal_mark **out_mark) {
    hal_mark *mark = base_allocate(1, sizeof *mark);
    if (mark == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for an event", device->name);
    tarn_status status = create(device, is_untimed, &mark->event);
    if (status != TARN_OK) {
        base_free(mark);
        return status;
    }
    atomic_init(&mark->references, 1);
    tarn_device_retain(device);
    *out_mark = mark;
    return TARN_OK;
}

void hal_mark_release(hal_mark *mark) {
    /* Release and acquire: what other threads did with the mark comes before its end. */
    if (atomic_fetch_sub_explicit(&mark->references, 1, memory_order_acq_rel) > 1) return;
    tarn_device *device = mark->event->device;
    hal_event_destroy(mark->event);
    base_free(mark);
    tarn_device_release(device);
}

/* The present mark, retained, whether or not the event was recorded in a capture since. */
static hal_mark *take_mark(tarn_event *event) {
    pthread_mutex_lock(&event->lock);
    hal_mark *mark = event->mark;
    atomic_fetch_add_explicit(&mark->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&event->lock);
    return mark;
}

tarn_status hal_mark_of(tarn_event *event, hal_mark **out_mark) {
    hal_captured_event captured;
    tarn_status status = hal_device_check(event->device);
    if (status != TARN_OK) return status;
    if (hal_event_get_captured(event, &captured)) {
        return base_fail(TARN_INVALID_STATE,
                         "%s: the event was last recorded in a capture, so it stands for nothing that is done",
                         event->device->name);
    }
    *out_mark = take_mark(event);
    return TARN_OK;
}

tarn_status hal_event_set_captured(tarn_event *event, const hal_captured_event *captured) {
    hal_captured_event *copy = base_allocate(1, sizeof *copy);
    if (copy == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to record an event in a capture", event->device->name);
    }
    *copy = *captured;
    pthread_mutex_lock(&event->lock);
    hal_captured_event *old = event->captured;
    event->captured = copy;
    pthread_mutex_unlock(&event->lock);
    base_free(old);
    return TARN_OK;
}

bool hal_event_get_captured(tarn_event *event, hal_captured_event *out_captured) {
    pthread_mutex_lock(&event->lock);
    bool is_captured = event->captured != NULL;
    if (is_captured) *out_captured = *event->captured;
    pthread_mutex_unlock(&event->lock);
    return is_captured;
}

tarn_status hal_mark_wait(hal_mark *mark) {
    tarn_device *device = mark->event->device;
    tarn_status status = hal_device_check(device);
    return status == TARN_OK ? HAL_CALL(device, event_synchronize, mark->event->handle) : status;
}

tarn_status hal_event_check_device(const tarn_event *event, const tarn_stream *stream) {
    if (event->device == stream->device) return TARN_OK;
    return base_fail(TARN_INVALID_ARGUMENT, "%s: the event belongs to %s", stream->device->name, event->device->name);
}

tarn_status hal_event_record_public(tarn_event *event, tarn_stream *stream) {
    tarn_status status = hal_device_check(event->device);
    if (status != TARN_OK) return status;
    hal_mark *mark = take_mark(event);
    /* The event's own reference and the one just taken: nobody else holds the mark to its present point. Acquire: whoever
     * held it has finished with it. */
    if (atomic_load_explicit(&mark->references, memory_order_acquire) > 2) {
        hal_mark_release(mark);
        status = create_mark(event->device, event->is_untimed, &mark);
        if (status != TARN_OK) return status;
    }
    status = hal_event_record(mark->event, stream);
    hal_mark *old = mark;
    hal_captured_event *captured = NULL;
    if (status == TARN_OK) {
        pthread_mutex_lock(&event->lock);
        old = event->mark;
        event->mark = mark;
        captured = event->captured;
        event->captured = NULL;
        pthread_mutex_unlock(&event->lock);
    }
    base_free(captured);
    hal_mark_release(old);
    return status;
}

tarn_status tarn_event_create_with(tarn_device *device, const tarn_event_options *options, tarn_event **out_event) {
    tarn_event_options wanted;
    if (device == NULL || out_event == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device or the place for the event is NULL");
    }
    tarn_status status = base_read_structure("event_create_with", options, &wanted, sizeof wanted);
    if (status != TARN_OK) return status;
    tarn_event *event = base_allocate(1, sizeof *event);
    if (event == NULL) return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory for an event", device->name);
    event->is_untimed = wanted.is_untimed != 0;
    status = create_mark(device, event->is_untimed, &event->mark);
    if (status != TARN_OK) {
        base_free(event);
        return status;
    }
    event->device = device;
    atomic_init(&event->references, 1);
    pthread_mutex_init(&event->lock, NULL);
    *out_event = event;
    return TARN_OK;
}

tarn_status tarn_event_create(tarn_device *device, tarn_event **out_event) {
    return tarn_event_create_with(device, NULL, out_event);
}

tarn_event *tarn_event_retain(tarn_event *event) {
    if (event != NULL) atomic_fetch_add_explicit(&event->references, 1, memory_order_relaxed);
    return event;
}

tarn_status tarn_event_release(tarn_event *event) {
    if (event == NULL) return TARN_OK;
    if (atomic_load_explicit(&event->references, memory_order_relaxed) == 1) {
        tarn_status status = hal_device_check_release(event->device);
        if (status != TARN_OK) return status;
    }
    /* Release and acquire: what other threads did with the event comes before its end. */
    if (atomic_fetch_sub_explicit(&event->references, 1, memory_order_acq_rel) > 1) return TARN_OK;
    hal_mark_release(event->mark);
    pthread_mutex_destroy(&event->lock);
    base_free(event->captured);
    base_free(event);
    return TARN_OK;
}

/* The mark of an event that the host may ask about now. */
static tarn_status take_askable_mark(tarn_event *event, hal_mark **out_mark) {
    tarn_status status = hal_mark_of(event, out_mark);
    if (status != TARN_OK) return status;
    status = hal_capture_check_host_wait(event->device);
    if (status != TARN_OK) hal_mark_release(*out_mark);
    return status;
}

tarn_status tarn_event_is_complete(tarn_event *event, int *out_complete) {
    if (event == NULL || out_complete == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the event or the place for the answer is NULL");
    }
    hal_mark *mark;
    tarn_status status = take_askable_mark(event, &mark);
    if (status != TARN_OK) return status;
    bool is_complete = false;
    status = hal_event_query(mark->event, &is_complete);
    hal_mark_release(mark);
    if (status == TARN_OK) *out_complete = is_complete;
    return status;
}

tarn_status tarn_event_synchronize(tarn_event *event) {
    if (event == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the event to wait for is NULL");
    hal_mark *mark;
    tarn_status status = take_askable_mark(event, &mark);
    if (status != TARN_OK) return status;
    status = hal_event_synchronize(mark->event);
    hal_mark_release(mark);
    return status;
}

/* Both marks are complete, else INVALID_STATE. */
static tarn_status elapsed_between(hal_mark *begin, hal_mark *end, int64_t *out_nanoseconds) {
    tarn_device *device = begin->event->device;
    bool begin_is_complete = false;
    bool end_is_complete = false;
    tarn_status status = hal_event_query(begin->event, &begin_is_complete);
    if (status == TARN_OK) status = hal_event_query(end->event, &end_is_complete);
    if (status != TARN_OK) return status;
    if (!begin_is_complete || !end_is_complete) {
        return base_fail(TARN_INVALID_STATE, "%s: the work before the %s event has not finished", device->name,
                         begin_is_complete ? "second" : "first");
    }
    return HAL_CALL(device, event_elapsed, begin->event->handle, end->event->handle, out_nanoseconds);
}

tarn_status tarn_event_elapsed(tarn_event *begin, tarn_event *end, int64_t *out_nanoseconds) {
    if (begin == NULL || end == NULL || out_nanoseconds == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "an event or the place for the answer is NULL");
    }
    if (begin->device != end->device) {
        return base_fail(TARN_INVALID_ARGUMENT, "the events belong to %s and %s", begin->device->name,
                         end->device->name);
    }
    if (begin->is_untimed || end->is_untimed) {
        return base_fail(TARN_INVALID_STATE, "%s: the %s event was created untimed", begin->device->name,
                         begin->is_untimed ? "first" : "second");
    }
    hal_mark *first, *second;
    tarn_status status = take_askable_mark(begin, &first);
    if (status != TARN_OK) return status;
    status = take_askable_mark(end, &second);
    if (status == TARN_OK) {
        status = elapsed_between(first, second, out_nanoseconds);
        hal_mark_release(second);
    }
    hal_mark_release(first);
    return status;
}
