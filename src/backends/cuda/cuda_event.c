/* Events: the driver's, kept for later when they are destroyed, since creating one costs more than recording it. Those that are never
 * asked for time are made without it, which makes recording and waiting cheaper for the driver, and have a pool of their own.
 *
 * One from the pool may still be recorded in work of its life before, so each remembers whether it was recorded in this one. */
#include "backends/cuda/cuda_internal.h"
#include "base/memory.h"

/* Where events of that sort are kept. */
static tarn_backend_event **pool_of(tarn_backend_device *device, bool is_untimed) {
    return is_untimed ? &device->untimed_events : &device->events;
}

static tarn_backend_event *take_from_pool(tarn_backend_device *device, bool is_untimed) {
    pthread_mutex_lock(&device->lock);
    tarn_backend_event **pool = pool_of(device, is_untimed);
    tarn_backend_event *event = *pool;
    if (event != NULL) *pool = event->next;
    pthread_mutex_unlock(&device->lock);
    return event;
}

static tarn_status make(tarn_backend_device *device, bool is_untimed, tarn_backend_event **out_event) {
    tarn_backend_event *event = base_allocate(1, sizeof *event);
    if (event == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for an event");
    event->is_untimed = is_untimed;
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status == TARN_OK) {
        unsigned flags = is_untimed ? DRIVER_EVENT_DISABLE_TIMING : DRIVER_EVENT_DEFAULT;
        status = CUDA_CALL(cuEventCreate, &event->handle, flags);
        cuda_leave(scope);
    }
    if (status == TARN_OK) *out_event = event;
    else base_free(event);
    return status;
}

static tarn_status create(tarn_backend_device *device, bool is_untimed, tarn_backend_event **out_event) {
    tarn_backend_event *event = take_from_pool(device, is_untimed);
    if (event == NULL) return make(device, is_untimed, out_event);
    atomic_store_explicit(&event->is_recorded, false, memory_order_relaxed);
    *out_event = event;
    return TARN_OK;
}

tarn_status cuda_event_create(tarn_backend_device *device, tarn_backend_event **out_event) {
    return create(device, false, out_event);
}

tarn_status cuda_event_create_untimed(tarn_backend_device *device, tarn_backend_event **out_event) {
    return create(device, true, out_event);
}

void cuda_event_destroy(tarn_backend_device *device, tarn_backend_event *event) {
    pthread_mutex_lock(&device->lock);
    tarn_backend_event **pool = pool_of(device, event->is_untimed);
    event->next = *pool;
    *pool = event;
    pthread_mutex_unlock(&device->lock);
}

static void end_pool(tarn_backend_event **pool) {
    while (*pool != NULL) {
        tarn_backend_event *event = *pool;
        *pool = event->next;
        CUDA_DISCARD(cuEventDestroy, event->handle);
        base_free(event);
    }
}

void cuda_events_end(tarn_backend_device *device) {
    end_pool(&device->events);
    end_pool(&device->untimed_events);
}

tarn_status cuda_event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream) {
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuEventRecord, event->handle, stream->handle);
    if (status == TARN_OK) atomic_store_explicit(&event->is_recorded, true, memory_order_relaxed);
    cuda_leave(scope);
    return status;
}

tarn_status cuda_event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    if (!cuda_event_is_recorded(event)) {
        *out_complete = 1;
        return TARN_OK;
    }
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    driver_result result = cuda_driver.cuEventQuery(event->handle);
    bool is_pending = result == DRIVER_ERROR_NOT_READY;
    status = is_pending ? TARN_OK : cuda_answer(result, "cuEventQuery");
    cuda_leave(scope);
    if (status == TARN_OK) *out_complete = !is_pending;
    return status;
}

tarn_status cuda_event_synchronize(tarn_backend_device *device, tarn_backend_event *event) {
    if (!cuda_event_is_recorded(event)) return TARN_OK;
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuEventSynchronize, event->handle);
    cuda_leave(scope);
    return status;
}

tarn_status cuda_event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                               int64_t *out_nanoseconds) {
    if (!cuda_event_is_recorded(begin) || !cuda_event_is_recorded(end)) {
        *out_nanoseconds = 0;
        return TARN_OK;
    }
    cuda_scope scope;
    float milliseconds = 0;
    tarn_status status = cuda_enter(device, &scope);
    if (status != TARN_OK) return status;
    status = CUDA_CALL(cuEventElapsedTime, &milliseconds, begin->handle, end->handle);
    cuda_leave(scope);
    if (status == TARN_OK) *out_nanoseconds = (int64_t)((double)milliseconds * 1e6);
    return status;
}
