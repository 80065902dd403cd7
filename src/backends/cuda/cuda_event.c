/* Events: the driver's, kept for later when they are destroyed, since creating one costs more than recording it.
 *
 * One from the pool may still be recorded in work of its life before, so each remembers whether it was recorded in this one. */
#include "backends/cuda/cuda_internal.h"
#include "base/memory.h"

static tarn_backend_event *take_from_pool(tarn_backend_device *device) {
    pthread_mutex_lock(&device->lock);
    tarn_backend_event *event = device->events;
    if (event != NULL) device->events = event->next;
    pthread_mutex_unlock(&device->lock);
    return event;
}

static tarn_status create(tarn_backend_device *device, tarn_backend_event **out_event) {
    tarn_backend_event *event = base_allocate(1, sizeof *event);
    if (event == NULL) return cuda_fail(TARN_OUT_OF_MEMORY, "no host memory for an event");
    cuda_scope scope;
    tarn_status status = cuda_enter(device, &scope);
    if (status == TARN_OK) {
        status = CUDA_CALL(cuEventCreate, &event->handle, DRIVER_EVENT_DEFAULT);
        cuda_leave(scope);
    }
    if (status == TARN_OK) *out_event = event;
    else base_free(event);
    return status;
}

tarn_status cuda_event_create(tarn_backend_device *device, tarn_backend_event **out_event) {
    tarn_backend_event *event = take_from_pool(device);
    if (event == NULL) return create(device, out_event);
    atomic_store_explicit(&event->is_recorded, false, memory_order_relaxed);
    *out_event = event;
    return TARN_OK;
}

void cuda_event_destroy(tarn_backend_device *device, tarn_backend_event *event) {
    pthread_mutex_lock(&device->lock);
    event->next = device->events;
    device->events = event;
    pthread_mutex_unlock(&device->lock);
}

void cuda_events_end(tarn_backend_device *device) {
    while (device->events != NULL) {
        tarn_backend_event *event = device->events;
        device->events = event->next;
        CUDA_DISCARD(cuEventDestroy, event->handle);
        base_free(event);
    }
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
