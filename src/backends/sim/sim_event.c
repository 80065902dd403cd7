/* Events of the simulated device: a simulated time at which the work before them has ended. */
#include "backends/sim/sim_internal.h"
#include "base/memory.h"

tarn_status sim_event_create(tarn_backend_device *device, tarn_backend_event **out_event) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_EVENT_CREATE, 1);
    pthread_mutex_unlock(&device->lock);
    if (status != TARN_OK) return status;
    tarn_backend_event *event = base_allocate(1, sizeof *event);
    if (event == NULL) return sim_fail(TARN_OUT_OF_MEMORY, "no host memory for an event");
    *out_event = event;
    return TARN_OK;
}

void sim_event_destroy(tarn_backend_device *device, tarn_backend_event *event) {
    (void)device;
    base_free(event);
}

tarn_status sim_event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_EVENT_RECORD, 1);
    if (status == TARN_OK) {
        event->is_recorded = true;
        event->complete_at = sim_end_of_work(device, stream);
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_EVENT_QUERY, 1);
    if (status == TARN_OK) *out_complete = !event->is_recorded || event->complete_at <= sim_now(device);
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_event_synchronize(tarn_backend_device *device, tarn_backend_event *event) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_EVENT_SYNCHRONIZE, 1);
    if (status == TARN_OK && event->is_recorded) {
        sim_wait_until(device, event->complete_at);
        sim_pools_synchronize(device);
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                              int64_t *out_nanoseconds) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_EVENT_ELAPSED, 1);
    if (status == TARN_OK) *out_nanoseconds = (int64_t)(end->complete_at - begin->complete_at);
    pthread_mutex_unlock(&device->lock);
    return status;
}
