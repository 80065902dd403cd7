/* Events are markers in a queue. What a marker waits for is all that was enqueued before it; when it is complete, its time says when that
 * was. Recording again drops the old marker, which those who wait for it still hold. */
#include <stdlib.h>

#include "backends/opencl/opencl_internal.h"

tarn_status opencl_event_create(tarn_backend_device *device, tarn_backend_event **out_event) {
    (void)device;
    tarn_backend_event *event = calloc(1, sizeof *event);
    if (event == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for an event");
    pthread_mutex_init(&event->lock, NULL);
    *out_event = event;
    return TARN_OK;
}

void opencl_event_destroy(tarn_backend_device *device, tarn_backend_event *event) {
    (void)device;
    if (event->marker != NULL) opencl.clReleaseEvent(event->marker);
    pthread_mutex_destroy(&event->lock);
    free(event);
}

cl_event opencl_event_marker(tarn_backend_event *event) {
    pthread_mutex_lock(&event->lock);
    cl_event marker = event->marker;
    if (marker != NULL) opencl.clRetainEvent(marker);
    pthread_mutex_unlock(&event->lock);
    return marker;
}

tarn_status opencl_event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream) {
    (void)device;
    cl_event marker;
    cl_int error = opencl.clEnqueueMarkerWithWaitList(stream->queue, 0, NULL, &marker);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clEnqueueMarkerWithWaitList");
    opencl.clRetainEvent(marker);
    opencl_stream_began(stream, marker);
    pthread_mutex_lock(&event->lock);
    cl_event old = event->marker;
    event->marker = marker;
    pthread_mutex_unlock(&event->lock);
    if (old != NULL) opencl.clReleaseEvent(old);
    return TARN_OK;
}

/* Work that failed has come to its end too: its stream reports it. */
tarn_status opencl_event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    (void)device;
    cl_event marker = opencl_event_marker(event);
    if (marker == NULL) {
        *out_complete = 1;
        return TARN_OK;
    }
    cl_int state;
    cl_int error = opencl.clGetEventInfo(marker, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL);
    opencl.clReleaseEvent(marker);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clGetEventInfo");
    *out_complete = state <= CL_COMPLETE;
    return TARN_OK;
}

tarn_status opencl_event_synchronize(tarn_backend_device *device, tarn_backend_event *event) {
    (void)device;
    cl_event marker = opencl_event_marker(event);
    if (marker == NULL) return TARN_OK;
    cl_int error = opencl.clWaitForEvents(1, &marker);
    opencl.clReleaseEvent(marker);
    if (error != CL_SUCCESS && error != CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)
        return opencl_fail_call(error, "clWaitForEvents");
    return TARN_OK;
}

static tarn_status time_of(tarn_backend_event *event, const char *which, cl_ulong *out_nanoseconds) {
    cl_event marker = opencl_event_marker(event);
    if (marker == NULL) return opencl_fail(TARN_INVALID_STATE, "the %s event was never recorded", which);
    cl_int error = opencl.clGetEventProfilingInfo(marker, CL_PROFILING_COMMAND_END, sizeof *out_nanoseconds,
                                                  out_nanoseconds, NULL);
    opencl.clReleaseEvent(marker);
    return error == CL_SUCCESS ? TARN_OK : opencl_fail_call(error, "clGetEventProfilingInfo");
}

tarn_status opencl_event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                                 int64_t *out_nanoseconds) {
    (void)device;
    cl_ulong first, second;
    tarn_status status = time_of(begin, "first", &first);
    if (status == TARN_OK) status = time_of(end, "second", &second);
    if (status == TARN_OK) *out_nanoseconds = (int64_t)(second - first);
    return status;
}
