/* Streams of the cpu device: each a queue and a worker thread, except the default one. */
#include <stdio.h>
#include <string.h>

#include "backends/cpu/cpu_internal.h"
#include "base/memory.h"
#include "base/thread.h"

static void release_stream(tarn_backend_stream *stream) {
    /* Release and acquire: what other threads did with the stream comes before its end. */
    if (atomic_fetch_sub_explicit(&stream->references, 1, memory_order_acq_rel) > 1) return;
    cpu_queue_end(stream);
    base_free(stream);
}

/* The first stream whose serial is above `serial`, retained; NULL when there is none. */
static tarn_backend_stream *next_stream(tarn_backend_device *device, uint64_t serial) {
    pthread_mutex_lock(&device->stream_lock);
    tarn_backend_stream *stream = device->streams;
    while (stream != NULL && stream->serial <= serial) stream = stream->next;
    if (stream != NULL) atomic_fetch_add_explicit(&stream->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&device->stream_lock);
    return stream;
}

tarn_status cpu_device_synchronize(tarn_backend_device *device) {
    cpu_queue_wait(&device->default_stream);
    tarn_status status = cpu_queue_take_failure(&device->default_stream);
    tarn_backend_stream *stream = next_stream(device, 0);
    while (stream != NULL) {
        uint64_t serial = stream->serial;
        cpu_queue_wait(stream);
        /* One failure can be answered; those of other streams stay with them. */
        if (status == TARN_OK) status = cpu_queue_take_failure(stream);
        release_stream(stream);
        stream = next_stream(device, serial);
    }
    return status;
}

tarn_backend_stream *cpu_stream_default(tarn_backend_device *device) { return &device->default_stream; }

tarn_status cpu_stream_create(tarn_backend_device *device, tarn_backend_stream **out_stream) {
    tarn_backend_stream *stream = base_allocate(1, sizeof *stream);
    if (stream == NULL) return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory for a stream");
    stream->device = device;
    atomic_init(&stream->references, 1);
    cpu_queue_start(stream);
    tarn_status status = base_thread_start(&stream->worker, "tarn-stream", cpu_queue_work, stream);
    if (status != TARN_OK) {
        cpu_fail(status, "a stream has no worker: %s", tarn_last_error());
        release_stream(stream);
        return status;
    }
    pthread_mutex_lock(&device->stream_lock);
    stream->serial = ++device->last_serial;
    tarn_backend_stream **end = &device->streams;
    while (*end != NULL) end = &(*end)->next;
    *end = stream;
    pthread_mutex_unlock(&device->stream_lock);
    *out_stream = stream;
    return TARN_OK;
}

void cpu_stream_destroy(tarn_backend_device *device, tarn_backend_stream *stream) {
    pthread_mutex_lock(&device->stream_lock);
    tarn_backend_stream **link = &device->streams;
    while (*link != stream) link = &(*link)->next;
    *link = stream->next;
    pthread_mutex_unlock(&device->stream_lock);

    pthread_mutex_lock(&stream->lock);
    stream->is_stopping = true;
    pthread_cond_signal(&stream->has_work);
    pthread_mutex_unlock(&stream->lock);
    pthread_join(stream->worker, NULL);
    release_stream(stream);
}

tarn_status cpu_stream_synchronize(tarn_backend_device *device, tarn_backend_stream *stream) {
    (void)device;
    cpu_queue_wait(stream);
    return cpu_queue_take_failure(stream);
}

tarn_status cpu_stream_host_function(tarn_backend_device *device, tarn_backend_stream *stream,
                                     tarn_host_function function, void *context) {
    (void)device;
    cpu_task task = {.kind = CPU_TASK_FUNCTION, .work.host = {.function = function, .context = context}};
    return cpu_queue_add(stream, &task);
}

tarn_status cpu_stream_copy(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                            const void *source, size_t size) {
    (void)device;
    cpu_task task = {.kind = CPU_TASK_COPY, .work.copy = {.destination = destination, .source = source, .size = size}};
    return cpu_queue_add(stream, &task);
}

tarn_status cpu_stream_fill(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                            const void *pattern, size_t pattern_size, size_t size) {
    (void)device;
    cpu_task task = {.kind = CPU_TASK_FILL,
                     .work.fill = {.destination = destination, .pattern_size = pattern_size, .size = size}};
    memcpy(task.work.fill.pattern, pattern, pattern_size);
    return cpu_queue_add(stream, &task);
}

tarn_status cpu_stream_copy_box(tarn_backend_device *device, tarn_backend_stream *stream, void *destination,
                                const void *source, const tarn_box *box) {
    (void)device;
    cpu_box_copy *copy = base_allocate(1, sizeof *copy);
    if (copy == NULL) return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory to enqueue a copy");
    *copy = (cpu_box_copy){.destination = destination, .source = source, .box = *box};
    cpu_task task = {.kind = CPU_TASK_COPY_BOX, .work.box = copy};
    tarn_status status = cpu_queue_add(stream, &task);
    if (status != TARN_OK) base_free(copy);
    return status;
}

tarn_status cpu_stream_wait(tarn_backend_device *device, tarn_backend_stream *stream, tarn_backend_event *event) {
    (void)device;
    cpu_point *point = cpu_event_point(event);
    if (point == NULL || cpu_point_is_done(point)) {
        cpu_point_release(point);
        return TARN_OK;
    }
    cpu_task task = {.kind = CPU_TASK_WAIT, .work.point = point};
    tarn_status status = cpu_queue_add(stream, &task);
    if (status != TARN_OK) cpu_point_release(point);
    return status;
}
