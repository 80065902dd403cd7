/* Streams are in-order command queues.
 *
 * A command that fails after it was enqueued says so in its event, so the stream keeps the events of its latest commands and looks at them when
 * somebody waits for it, and now and then in between, so that they do not pile up. The first failure is kept until it is reported. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/opencl_internal.h"

/* As many events are watched before it is looked which of them are complete. */
#define WATCHED_BEFORE_SWEEP 64

/* Must be called with the watch lock held. */
static void keep_failure_locked(tarn_backend_stream *stream, tarn_status status, const char *sentence) {
    if (stream->failure != TARN_OK) return;
    stream->failure = status;
    snprintf(stream->failure_sentence, sizeof stream->failure_sentence, "%s", sentence);
}

void opencl_stream_keep_failure(tarn_backend_stream *stream, tarn_status status, const char *sentence) {
    pthread_mutex_lock(&stream->watch_lock);
    keep_failure_locked(stream, status, sentence);
    pthread_mutex_unlock(&stream->watch_lock);
}

/* Looks at a command that may be complete: true when it is, and then a failure of it is kept. Must be called with the watch lock held. */
static bool look_at(tarn_backend_stream *stream, cl_event event) {
    cl_int state = CL_COMPLETE;
    cl_int error = opencl.clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof state, &state, NULL);
    if (error != CL_SUCCESS) state = error;
    if (state > CL_COMPLETE) return false;
    if (state < CL_COMPLETE) {
        char sentence[sizeof stream->failure_sentence];
        snprintf(sentence, sizeof sentence, "a command failed on the device, with %d (%s)", (int)state,
                 opencl_error_name(state));
        keep_failure_locked(stream, opencl_error_status(state), sentence);
    }
    return true;
}

/* Drops the events of commands that are complete. Must be called with the watch lock held. */
static void sweep(tarn_backend_stream *stream) {
    size_t kept = 0;
    for (size_t i = 0; i < stream->watched_count; i++) {
        cl_event event = stream->watched[i];
        /* The queue is in order: behind one that is not complete there is none that is. */
        if (kept > 0 || !look_at(stream, event)) stream->watched[kept++] = event;
        else opencl.clReleaseEvent(event);
    }
    stream->watched_count = kept;
}

/* False when there is no room and none can be had. Must be called with the watch lock held. */
static bool make_room(tarn_backend_stream *stream) {
    if (stream->watched_count == stream->watched_capacity) sweep(stream);
    if (stream->watched_count <= stream->watched_capacity / 2 && stream->watched_capacity > 0) return true;
    size_t capacity = stream->watched_capacity > 0 ? 2 * stream->watched_capacity : WATCHED_BEFORE_SWEEP;
    cl_event *larger = realloc(stream->watched, capacity * sizeof(cl_event));
    if (larger == NULL) return stream->watched_count < stream->watched_capacity;
    stream->watched = larger;
    stream->watched_capacity = capacity;
    return true;
}

void opencl_stream_began(tarn_backend_stream *stream, cl_event event) {
    cl_int error = opencl.clFlush(stream->queue);
    if (error != CL_SUCCESS) opencl_stream_keep_failure(stream, opencl_error_status(error), "clFlush failed");
    pthread_mutex_lock(&stream->watch_lock);
    bool has_room = stream->watched_count < stream->watched_capacity || make_room(stream);
    if (has_room) stream->watched[stream->watched_count++] = event;
    pthread_mutex_unlock(&stream->watch_lock);
    if (has_room) return;
    /* Without memory to keep it, the command is waited for. */
    (void)opencl.clWaitForEvents(1, &event);
    pthread_mutex_lock(&stream->watch_lock);
    (void)look_at(stream, event);
    pthread_mutex_unlock(&stream->watch_lock);
    opencl.clReleaseEvent(event);
}

tarn_status opencl_stream_start(tarn_backend_device *device, tarn_backend_stream *stream) {
    cl_int error;
    stream->queue = opencl.clCreateCommandQueue(device->context, device->id, CL_QUEUE_PROFILING_ENABLE, &error);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clCreateCommandQueue");
    stream->device = device;
    atomic_init(&stream->references, 1);
    pthread_mutex_init(&stream->watch_lock, NULL);
    pthread_mutex_init(&stream->scratch_lock, NULL);
    pthread_mutex_init(&stream->host_lock, NULL);
    pthread_cond_init(&stream->host_changed, NULL);
    stream->end_of_tasks = &stream->first_task;
    return TARN_OK;
}

void opencl_stream_end(tarn_backend_stream *stream) {
    opencl_host_end(stream);
    for (size_t i = 0; i < stream->watched_count; i++) opencl.clReleaseEvent(stream->watched[i]);
    free(stream->watched);
    if (stream->fault_word != NULL) opencl.clReleaseMemObject(stream->fault_word);
    if (stream->scratch != NULL) opencl.clReleaseMemObject(stream->scratch);
    opencl.clReleaseCommandQueue(stream->queue);
    pthread_cond_destroy(&stream->host_changed);
    pthread_mutex_destroy(&stream->host_lock);
    pthread_mutex_destroy(&stream->scratch_lock);
    pthread_mutex_destroy(&stream->watch_lock);
}

tarn_status opencl_stream_fault_word(tarn_backend_stream *stream, cl_mem *out_word) {
    cl_int error = CL_SUCCESS, none = 0;
    pthread_mutex_lock(&stream->watch_lock);
    if (stream->fault_word == NULL) {
        stream->fault_word = opencl.clCreateBuffer(stream->device->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                                   sizeof none, &none, &error);
    }
    stream->may_have_faults = true;
    *out_word = stream->fault_word;
    pthread_mutex_unlock(&stream->watch_lock);
    return error == CL_SUCCESS ? TARN_OK : opencl_fail_call(error, "clCreateBuffer");
}

/* A buffer that is released lives on until the commands that were enqueued with it have finished. */
tarn_status opencl_stream_scratch(tarn_backend_stream *stream, size_t size, cl_mem *out_buffer) {
    if (size > stream->scratch_size) {
        cl_int error;
        cl_mem larger = opencl.clCreateBuffer(stream->device->context, CL_MEM_READ_WRITE, size, NULL, &error);
        if (error != CL_SUCCESS) return opencl_fail_call(error, "clCreateBuffer");
        if (stream->scratch != NULL) opencl.clReleaseMemObject(stream->scratch);
        stream->scratch = larger;
        stream->scratch_size = size;
    }
    *out_buffer = stream->scratch;
    return TARN_OK;
}

/* Reads the word that kernels set, and clears it. */
static void look_for_faults(tarn_backend_stream *stream) {
    cl_int faults = 0, none = 0;
    pthread_mutex_lock(&stream->watch_lock);
    bool may_have_faults = stream->may_have_faults && stream->fault_word != NULL;
    stream->may_have_faults = false;
    pthread_mutex_unlock(&stream->watch_lock);
    if (!may_have_faults) return;
    cl_int error = opencl.clEnqueueReadBuffer(stream->queue, stream->fault_word, CL_TRUE, 0, sizeof faults, &faults, 0,
                                              NULL, NULL);
    if (error == CL_SUCCESS && faults != 0) {
        error = opencl.clEnqueueWriteBuffer(stream->queue, stream->fault_word, CL_TRUE, 0, sizeof none, &none, 0, NULL,
                                            NULL);
    }
    if (error != CL_SUCCESS) {
        opencl_stream_keep_failure(stream, opencl_error_status(error), "what kernels found wrong cannot be read");
    } else if (faults != 0) {
        opencl_stream_keep_failure(stream, TARN_INVALID_ARGUMENT,
                                   "gather: a number is out of the range of the dimension that it is taken from");
    }
}

/* Waits for what was enqueued. The failure that is kept is forgotten. */
static tarn_status wait_and_report(tarn_backend_stream *stream) {
    cl_int error = opencl.clFinish(stream->queue);
    tarn_status status = error == CL_SUCCESS ? TARN_OK : opencl_fail_call(error, "clFinish");
    char sentence[sizeof stream->failure_sentence];
    look_for_faults(stream);
    pthread_mutex_lock(&stream->watch_lock);
    sweep(stream);
    tarn_status failure = stream->failure;
    memcpy(sentence, stream->failure_sentence, sizeof sentence);
    stream->failure = TARN_OK;
    pthread_mutex_unlock(&stream->watch_lock);
    return failure == TARN_OK ? status : opencl_fail(failure, "%s", sentence);
}

tarn_backend_stream *opencl_stream_default(tarn_backend_device *device) { return &device->default_stream; }

tarn_status opencl_stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    tarn_backend_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for a stream");
    tarn_status status = opencl_stream_start(device, stream);
    if (status != TARN_OK) {
        free(stream);
        return status;
    }
    pthread_mutex_lock(&device->stream_lock);
    stream->next = device->streams;
    device->streams = stream;
    device->stream_count++;
    pthread_mutex_unlock(&device->stream_lock);
    *out_stream = stream;
    return TARN_OK;
}

/* Whoever waits for the device may hold the stream too, and then ends it. */
static void release(tarn_backend_stream *stream) {
    if (atomic_fetch_sub_explicit(&stream->references, 1, memory_order_acq_rel) > 1) return;
    opencl_stream_end(stream);
    free(stream);
}

void opencl_stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream) {
    pthread_mutex_lock(&device->stream_lock);
    tarn_backend_stream **link = &device->streams;
    while (*link != stream) link = &(*link)->next;
    *link = stream->next;
    device->stream_count--;
    pthread_mutex_unlock(&device->stream_lock);
    release(stream);
}

tarn_status opencl_stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream) {
    (void)device;
    return wait_and_report(stream);
}

/* All streams that there are now, retained, ended by NULL. */
static tarn_backend_stream **list_streams(tarn_backend_device *device) {
    pthread_mutex_lock(&device->stream_lock);
    tarn_backend_stream **list = calloc(device->stream_count + 1, sizeof *list);
    size_t count = 0;
    for (tarn_backend_stream *stream = list != NULL ? device->streams : NULL; stream != NULL; stream = stream->next) {
        atomic_fetch_add_explicit(&stream->references, 1, memory_order_relaxed);
        list[count++] = stream;
    }
    pthread_mutex_unlock(&device->stream_lock);
    return list;
}

tarn_status opencl_device_synchronize(tarn_backend_device *device) {
    tarn_backend_stream **list = list_streams(device);
    if (list == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for a list of the device's streams");
    tarn_status status = wait_and_report(&device->default_stream);
    for (size_t i = 0; list[i] != NULL; i++) {
        tarn_status one = wait_and_report(list[i]);
        if (status == TARN_OK) status = one;
        release(list[i]);
    }
    free(list);
    return status;
}

tarn_status opencl_stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event) {
    (void)device;
    cl_event marker = opencl_event_marker(event);
    if (marker == NULL) return TARN_OK;
    cl_event barrier;
    cl_int error = opencl.clEnqueueBarrierWithWaitList(stream->queue, 1, &marker, &barrier);
    opencl.clReleaseEvent(marker);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clEnqueueBarrierWithWaitList");
    opencl_stream_began(stream, barrier);
    return TARN_OK;
}
