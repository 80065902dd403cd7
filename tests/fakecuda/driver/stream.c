/* Streams: who comes after whom. Work of a stream runs in order; the legacy stream and the blocking streams of its context wait
 * for each other; a non-blocking stream waits for nobody but the events that it is told to. */
#include "state.h"

#include <stdlib.h>

#include "capture.h"

fake_stream *stream_make(fake_context *in, unsigned flags, int priority) {
    fake_stream *made = obtain(sizeof *made);
    made->in = in;
    made->flags = flags;
    made->priority = priority;
    made->id = ++the_driver.next_id;
    made->next = in->streams;
    in->streams = made;
    return made;
}

void stream_end(fake_stream *ended) {
    fake_stream **at = &ended->in->streams;
    while (*at != ended) at = &(*at)->next;
    *at = ended->next;
    capture_leave(ended);
    task_drop(ended->last);
    if (ended->handle != NULL) handle_end(ended->handle);
    free(ended);
}

static fake_stream *per_thread_stream(fake_context *context) {
    for (fake_stream *at = context->streams; at != NULL; at = at->next)
        if (at->is_per_thread && pthread_equal(at->thread, pthread_self())) return at;
    fake_stream *made = stream_make(context, 0, 0);
    made->is_per_thread = true;
    made->thread = pthread_self();
    return made;
}

fake_stream *stream_of(CUstream handle, CUresult *error) {
    fake_stream *found;
    if (handle == NULL || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) {
        fake_context *context = context_current();
        *error = context == NULL ? CUDA_ERROR_INVALID_CONTEXT : context->lost;
        if (*error != CUDA_SUCCESS) return NULL;
        return handle == CU_STREAM_PER_THREAD ? per_thread_stream(context) : context->legacy;
    }
    found = handle_object(HANDLE_STREAM, handle);
    *error = found == NULL ? CUDA_ERROR_INVALID_HANDLE : found->in->lost;
    return *error == CUDA_SUCCESS ? found : NULL;
}

static bool is_blocking(const fake_stream *stream) { return (stream->flags & CU_STREAM_NON_BLOCKING) == 0; }

/* The order that the streams' kinds give beyond their own. */
static void order(fake_stream *stream, fake_task *task) {
    task->is_blocking = is_blocking(stream) && !stream->is_legacy;
    task->is_legacy = stream->is_legacy;
    task_after(task, stream->last);
    if (!is_blocking(stream)) return;
    if (!stream->is_legacy) {
        task_after(task, stream->in->legacy->last);
        return;
    }
    for (struct fake_task *at = tasks_first(); at != NULL; at = at->next)
        if (at->operation.in == stream->in && at->is_blocking) task_after(task, at);
}

fake_task *stream_prepare(fake_stream *stream, fake_operation *operation) {
    operation->in = stream->in;
    fake_task *made = task_make(operation);
    order(stream, made);
    task_drop(stream->last);
    stream->last = task_hold(made);
    return made;
}

static void append(fake_stream *stream, fake_operation *operation, fake_task *earlier, fake_task **out) {
    fake_task *made = stream_prepare(stream, operation);
    task_after(made, earlier);
    if (out != NULL) *out = task_hold(made);
    task_submit(made);
    task_drop(made);
}

CUresult stream_submit(fake_stream *stream, fake_operation *operation, fake_task **out) {
    operation->in = stream->in;
    if (out != NULL) *out = NULL;
    CUresult result = capture_check_stream(stream);
    if (result == CUDA_SUCCESS && stream->capture != NULL) return capture_operation(stream, operation);
    if (result == CUDA_SUCCESS) append(stream, operation, NULL, out);
    else operation_end(operation);
    return result;
}

CUresult stream_submit_after(fake_stream *stream, fake_operation *operation, fake_task *earlier) {
    append(stream, operation, earlier, NULL);
    return CUDA_SUCCESS;
}

CUresult stream_wait_done(fake_stream *stream) {
    fake_context *in = stream->in;
    if (stream->is_legacy) {
        /* The blocking streams' work comes before whatever the legacy stream does next, and so before this. */
        fake_operation mark = {.kind = OPERATION_MARK};
        CUresult result = stream_submit(stream, &mark, NULL);
        if (result != CUDA_SUCCESS) return result;
    }
    task_wait(stream->last);
    pools_trim(in);
    return context_result(in);
}

static CUresult create(CUstream *out, unsigned flags, int priority) {
    if (out == NULL || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
    /* Priorities outside the range are taken for the nearest one inside. */
    fake_stream *made = stream_make(context_current(), flags, priority > 0 ? 0 : priority < -5 ? -5 : priority);
    made->handle = handle_make(HANDLE_STREAM, made);
    *out = made->handle;
    return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags) {
    ENTER(cuStreamCreate);
    LEAVE(create(stream, flags, 0));
}

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority) {
    ENTER(cuStreamCreateWithPriority);
    LEAVE(create(stream, flags, priority));
}

/* Its work goes on; only the handle ends now. */
CUresult cuStreamDestroy_v2(CUstream handle) {
    ENTER(cuStreamDestroy_v2);
    if (handle == NULL || handle == CU_STREAM_LEGACY || handle == CU_STREAM_PER_THREAD) LEAVE(CUDA_ERROR_INVALID_VALUE);
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) LEAVE(error);
    if (stream->capture != NULL) violation("a stream is destroyed while it captures");
    stream_end(stream);
    LEAVE(CUDA_SUCCESS);
}

static CUresult query(CUstream handle) {
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) return error;
    if ((error = capture_check_wait(stream)) != CUDA_SUCCESS) return error;
    fake_task *last = task_hold(stream->last);
    task_poke(last);
    bool is_done = task_is_done(last);
    task_drop(last);
    if (is_done && stream->is_legacy)
        for (fake_task *at = tasks_first(); at != NULL && is_done; at = at->next)
            is_done = at->operation.in != stream->in || !at->is_blocking;
    return is_done ? context_result(stream->in) : CUDA_ERROR_NOT_READY;
}

CUresult cuStreamQuery(CUstream stream) {
    ENTER(cuStreamQuery);
    LEAVE(query(stream));
}

CUresult cuStreamSynchronize(CUstream handle) {
    ENTER(cuStreamSynchronize);
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    if (stream == NULL) LEAVE(error);
    if ((error = capture_check_wait(stream)) != CUDA_SUCCESS) LEAVE(error);
    LEAVE(stream_wait_done(stream));
}

static CUresult submit_to(CUstream handle, fake_operation *operation) {
    CUresult error;
    fake_stream *stream = stream_of(handle, &error);
    return stream != NULL ? stream_submit(stream, operation, NULL) : error;
}

CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data) {
    ENTER(cuLaunchHostFunc);
    if (function == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_operation operation = {.kind = OPERATION_HOST, .host = {.function = function, .data = data}};
    LEAVE(submit_to(stream, &operation));
}

CUresult cuStreamAddCallback(CUstream stream, CUstreamCallback function, void *data, unsigned int flags) {
    ENTER(cuStreamAddCallback);
    if (function == NULL || flags != 0) LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_operation operation = {.kind = OPERATION_CALLBACK,
                                .host = {.callback = function, .stream = stream, .data = data}};
    LEAVE(submit_to(stream, &operation));
}

/* NOLINTBEGIN(bugprone-macro-parentheses): `type` is one */
#define STREAM_QUESTION(name, type, answer)                    \
    CUresult name(CUstream handle, type *out) {                \
        ENTER(name);                                           \
        if (out == NULL) LEAVE(CUDA_ERROR_INVALID_VALUE);      \
        CUresult error;                                        \
        const fake_stream *stream = stream_of(handle, &error); \
        if (stream == NULL) LEAVE(error);                      \
        *out = (answer);                                       \
        LEAVE(CUDA_SUCCESS);                                   \
    }
/* NOLINTEND(bugprone-macro-parentheses) */
STREAM_QUESTION(cuStreamGetPriority, int, stream->priority)
STREAM_QUESTION(cuStreamGetFlags, unsigned int, stream->flags)
STREAM_QUESTION(cuStreamGetCtx, CUcontext, stream->in->handle)
STREAM_QUESTION(cuStreamGetId, unsigned long long, stream->id)
STREAM_QUESTION(cuStreamGetDevice, CUdevice, stream->in->on->ordinal)
