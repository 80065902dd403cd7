/* The queue of a stream and the worker that empties it. */
#include <stdio.h>
#include <string.h>

#include "backends/cpu/compute/compute.h"
#include "backends/cpu/cpu_internal.h"
#include "base/box.h"
#include "base/fill.h"
#include "base/memory.h"

/* Tasks kept for use again; more are freed. */
#define MOST_SPARE 256

static void run_operation(tarn_backend_stream *stream, tarn_backend_operation *operation) {
    tarn_status status = cpu_compute_run(operation);
    if (status != TARN_OK) cpu_queue_keep_failure(stream, status);
    base_free(operation);
}

void cpu_task_run(tarn_backend_stream *stream, const cpu_task *task) {
    tarn_backend_device *device = stream->device;
    switch (task->kind) {
    case CPU_TASK_FUNCTION: task->work.host.function(task->work.host.context); break;
    case CPU_TASK_COPY: memcpy(task->work.copy.destination, task->work.copy.source, task->work.copy.size); break;
    case CPU_TASK_COPY_BOX:
        base_box_copy(task->work.box->destination, task->work.box->source, &task->work.box->box);
        base_free(task->work.box);
        break;
    case CPU_TASK_FILL:
        base_fill(task->work.fill.destination, task->work.fill.pattern, task->work.fill.pattern_size,
                  task->work.fill.size);
        break;
    case CPU_TASK_OPERATION: run_operation(stream, task->work.operation); break;
    case CPU_TASK_REACH:
        cpu_point_reach(device, task->work.point);
        cpu_point_release(task->work.point);
        break;
    case CPU_TASK_WAIT:
        cpu_point_wait(device, task->work.point);
        cpu_point_release(task->work.point);
        break;
    }
}

void cpu_queue_start(tarn_backend_stream *stream) {
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->has_work, NULL);
    pthread_cond_init(&stream->has_finished, NULL);
    stream->end = &stream->first;
}

void cpu_queue_end(tarn_backend_stream *stream) {
    while (stream->spare != NULL) {
        cpu_task *task = stream->spare;
        stream->spare = task->next;
        base_free(task);
    }
    cpu_point_release(stream->tail);
    pthread_cond_destroy(&stream->has_finished);
    pthread_cond_destroy(&stream->has_work);
    pthread_mutex_destroy(&stream->lock);
}

/* Must be called with the stream's lock held. */
static cpu_task *take_spare(tarn_backend_stream *stream) {
    cpu_task *task = stream->spare;
    if (task == NULL) return base_allocate(1, sizeof *task);
    stream->spare = task->next;
    stream->spare_count--;
    return task;
}

/* Must be called with the stream's lock held. */
static void put_spare(tarn_backend_stream *stream, cpu_task *task) {
    if (stream->spare_count == MOST_SPARE) {
        base_free(task);
        return;
    }
    task->next = stream->spare;
    stream->spare = task;
    stream->spare_count++;
}

tarn_status cpu_queue_add(tarn_backend_stream *stream, const cpu_task *task) {
    if (stream->is_default) return cpu_inline_add(stream, task);
    pthread_mutex_lock(&stream->lock);
    cpu_task *copy = take_spare(stream);
    if (copy != NULL) {
        *copy = *task;
        copy->next = NULL;
        *stream->end = copy;
        stream->end = &copy->next;
        stream->enqueued++;
        pthread_cond_signal(&stream->has_work);
    }
    pthread_mutex_unlock(&stream->lock);
    return copy != NULL ? TARN_OK : cpu_fail(TARN_OUT_OF_MEMORY, "no host memory to enqueue work");
}

void *cpu_queue_work(void *context) {
    tarn_backend_stream *stream = context;
    pthread_mutex_lock(&stream->lock);
    for (;;) {
        while (stream->first == NULL && !stream->is_stopping) pthread_cond_wait(&stream->has_work, &stream->lock);
        cpu_task *task = stream->first;
        if (task == NULL) break;
        stream->first = task->next;
        if (stream->first == NULL) stream->end = &stream->first;
        pthread_mutex_unlock(&stream->lock);
        cpu_task_run(stream, task);
        pthread_mutex_lock(&stream->lock);
        put_spare(stream, task);
        stream->finished++;
        pthread_cond_broadcast(&stream->has_finished);
    }
    pthread_mutex_unlock(&stream->lock);
    return NULL;
}

void cpu_queue_wait(tarn_backend_stream *stream) {
    if (stream->is_default) {
        cpu_inline_wait(stream);
        return;
    }
    pthread_mutex_lock(&stream->lock);
    uint64_t enqueued = stream->enqueued;
    while (stream->finished < enqueued) pthread_cond_wait(&stream->has_finished, &stream->lock);
    pthread_mutex_unlock(&stream->lock);
}

void cpu_queue_keep_failure(tarn_backend_stream *stream, tarn_status status) {
    pthread_mutex_lock(&stream->lock);
    if (stream->failure == TARN_OK) {
        stream->failure = status;
        snprintf(stream->failure_sentence, sizeof stream->failure_sentence, "%s", tarn_last_error());
    }
    pthread_mutex_unlock(&stream->lock);
}

tarn_status cpu_queue_take_failure(tarn_backend_stream *stream) {
    char sentence[sizeof stream->failure_sentence];
    pthread_mutex_lock(&stream->lock);
    tarn_status failure = stream->failure;
    if (failure != TARN_OK) memcpy(sentence, stream->failure_sentence, sizeof sentence);
    stream->failure = TARN_OK;
    pthread_mutex_unlock(&stream->lock);
    return failure == TARN_OK ? TARN_OK : cpu_fail(failure, "%s", sentence);
}
