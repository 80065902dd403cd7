/* Streams of the simulated device. Work has no effect but on time: it ends `lag` after it was enqueued, or after what the
 * stream had to wait for. Host functions run at once, on the calling thread. */
#include "backends/sim/sim_internal.h"
#include "base/box.h"
#include "base/memory.h"

tarn_backend_stream *sim_stream_default(tarn_backend_device *device) { return &device->default_stream; }

uint64_t sim_enqueue(tarn_backend_device *device, tarn_backend_stream *stream) {
    uint64_t now = sim_now(device);
    uint64_t end = (now > stream->ready_at ? now : stream->ready_at) + device->options.lag;
    if (end > stream->busy_until) stream->busy_until = end;
    if (end > device->busy_until) device->busy_until = end;
    return end;
}

uint64_t sim_end_of_work(tarn_backend_device *device, tarn_backend_stream *stream) {
    if (!device->knows_work) return sim_enqueue(device, stream);
    uint64_t now = sim_now(device);
    return now > stream->busy_until ? now : stream->busy_until;
}

/* While a trace drives the clock and does not say which streams it gives work, its program is taken to give the device work all the time: that
 * of the last setting of the clock ends `lag` later. Must be called with the lock held. */
static void wait_for_work(tarn_backend_device *device, uint64_t busy_until) {
    sim_wait_until(device, busy_until);
    if (device->last_active > 0 && !device->knows_work)
        sim_wait_until(device, device->last_active + device->options.lag);
    sim_pools_synchronize(device);
}

tarn_status sim_device_synchronize(tarn_backend_device *device) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_DEVICE_SYNCHRONIZE, 1);
    if (status == TARN_OK) wait_for_work(device, device->busy_until);
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_clock_enqueue(tarn_backend_device *device, tarn_backend_stream *stream) {
    pthread_mutex_lock(&device->lock);
    device->knows_work = true;
    (void)sim_enqueue(device, stream);
    pthread_mutex_unlock(&device->lock);
    return TARN_OK;
}

tarn_status sim_stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_STREAM_CREATE, 1);
    pthread_mutex_unlock(&device->lock);
    if (status != TARN_OK) return status;
    tarn_backend_stream *stream = base_allocate(1, sizeof *stream);
    if (stream == NULL) return sim_fail(TARN_OUT_OF_MEMORY, "no host memory for a stream");
    *out_stream = stream;
    return TARN_OK;
}

void sim_stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream) {
    pthread_mutex_lock(&device->lock);
    sim_pools_forget_stream(device, stream);
    pthread_mutex_unlock(&device->lock);
    base_free(stream);
}

tarn_status sim_stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_STREAM_SYNCHRONIZE, 1);
    if (status == TARN_OK) wait_for_work(device, stream->busy_until);
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                     tarn_host_function function, void *context) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_STREAM_HOST_FUNCTION, 1);
    if (status == TARN_OK) sim_enqueue(device, stream);
    pthread_mutex_unlock(&device->lock);
    if (status == TARN_OK) function(context);
    return status;
}

tarn_status sim_stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                            const void *source, size_t size) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_STREAM_COPY, 1);
    if (status == TARN_OK) status = sim_check_access(device, destination, size);
    if (status == TARN_OK) status = sim_check_access(device, source, size);
    if (status == TARN_OK) sim_enqueue(device, stream);
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                            const void *pattern, size_t pattern_size, size_t size) {
    (void)pattern;
    (void)pattern_size;
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_STREAM_FILL, 1);
    if (status == TARN_OK) status = sim_check_access(device, destination, size);
    if (status == TARN_OK) sim_enqueue(device, stream);
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_stream_copy_box(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                const void *source, const tarn_box *box) {
    size_t to_span = base_box_span(box, box->destination_row_pitch, box->destination_slice_pitch);
    size_t from_span = base_box_span(box, box->source_row_pitch, box->source_slice_pitch);
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_STREAM_COPY_BOX, 1);
    if (status == TARN_OK) status = sim_check_access(device, destination, to_span);
    if (status == TARN_OK) status = sim_check_access(device, source, from_span);
    if (status == TARN_OK) sim_enqueue(device, stream);
    pthread_mutex_unlock(&device->lock);
    return status;
}

tarn_status sim_stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event) {
    pthread_mutex_lock(&device->lock);
    tarn_status status = sim_begin_call(device, SIM_STREAM_WAIT, 1);
    if (status == TARN_OK && event->is_recorded && event->complete_at > stream->ready_at) {
        stream->ready_at = event->complete_at;
        if (event->complete_at > stream->busy_until) stream->busy_until = event->complete_at;
    }
    pthread_mutex_unlock(&device->lock);
    return status;
}
