/* Functions that a stream runs on a host thread.
 *
 * In the queue a function is a marker, which is complete when its turn has come, and a barrier that waits for a user event. The stream's
 * thread waits for the marker, runs the function, and completes the user event. Functions may wait for other streams, so each stream has a thread of
 * its own; it begins with the first function. A function also runs when the work before it failed: it may be what frees something. */
#include <stdlib.h>

#include "backends/opencl/opencl_internal.h"

static void run_task(tarn_backend_stream *stream, opencl_host_task *task) {
    /* A failure of what came before is the watched commands' to report. */
    (void)opencl.clWaitForEvents(1, &task->before);
    task->function(task->context);
    cl_int error = opencl.clSetUserEventStatus(task->after, CL_COMPLETE);
    if (error != CL_SUCCESS) {
        opencl_stream_keep_failure(stream, opencl_error_status(error),
                                   "clSetUserEventStatus failed after a host function");
    }
    opencl.clReleaseEvent(task->before);
    opencl.clReleaseEvent(task->after);
    free(task);
}

static void *work(void *context) {
    tarn_backend_stream *stream = context;
    pthread_mutex_lock(&stream->host_lock);
    for (;;) {
        while (stream->first_task == NULL && !stream->is_stopping)
            pthread_cond_wait(&stream->host_changed, &stream->host_lock);
        opencl_host_task *task = stream->first_task;
        if (task == NULL) break;
        stream->first_task = task->next;
        if (stream->first_task == NULL) stream->end_of_tasks = &stream->first_task;
        pthread_mutex_unlock(&stream->host_lock);
        run_task(stream, task);
        pthread_mutex_lock(&stream->host_lock);
    }
    pthread_mutex_unlock(&stream->host_lock);
    return NULL;
}

/* Must be called with the host lock held. */
static tarn_status start_worker(tarn_backend_stream *stream) {
    if (stream->has_worker) return TARN_OK;
    if (pthread_create(&stream->worker, NULL, work, stream) != 0)
        return opencl_fail(TARN_OUT_OF_MEMORY, "no thread for the functions of a stream");
    stream->has_worker = true;
    return TARN_OK;
}

/* Enqueues the two commands. Must be called with the host lock held. */
static tarn_status enqueue(tarn_backend_stream *stream, opencl_host_task *task) {
    cl_int error;
    cl_event barrier;
    task->after = opencl.clCreateUserEvent(stream->device->context, &error);
    if (error != CL_SUCCESS) return opencl_fail_call(error, "clCreateUserEvent");
    error = opencl.clEnqueueMarkerWithWaitList(stream->queue, 0, NULL, &task->before);
    if (error != CL_SUCCESS) {
        opencl.clReleaseEvent(task->after);
        return opencl_fail_call(error, "clEnqueueMarkerWithWaitList");
    }
    error = opencl.clEnqueueBarrierWithWaitList(stream->queue, 1, &task->after, &barrier);
    if (error != CL_SUCCESS) {
        opencl.clReleaseEvent(task->before);
        opencl.clReleaseEvent(task->after);
        return opencl_fail_call(error, "clEnqueueBarrierWithWaitList");
    }
    opencl_stream_began(stream, barrier);
    return TARN_OK;
}

tarn_status opencl_stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                        tarn_host_function function, void *context) {
    (void)device;
    opencl_host_task *task = calloc(1, sizeof *task);
    if (task == NULL) return opencl_fail(TARN_OUT_OF_MEMORY, "no host memory for a host function");
    task->function = function;
    task->context = context;
    pthread_mutex_lock(&stream->host_lock);
    tarn_status status = start_worker(stream);
    if (status == TARN_OK) status = enqueue(stream, task);
    if (status == TARN_OK) {
        *stream->end_of_tasks = task;
        stream->end_of_tasks = &task->next;
        pthread_cond_signal(&stream->host_changed);
    }
    pthread_mutex_unlock(&stream->host_lock);
    if (status != TARN_OK) free(task);
    return status;
}

void opencl_host_end(tarn_backend_stream *stream) {
    if (!stream->has_worker) return;
    pthread_mutex_lock(&stream->host_lock);
    stream->is_stopping = true;
    pthread_cond_signal(&stream->host_changed);
    pthread_mutex_unlock(&stream->host_lock);
    pthread_join(stream->worker, NULL);
}
