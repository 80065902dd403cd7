/* Events: an event is the piece of work that it was last recorded behind. Whoever waits for it waits for that piece, whatever the
 * event is recorded behind later. */
#include "state.h"

#include <stdlib.h>

#include "capture.h"
#include "share.h"

void event_drop(fake_event *event) {
    if (--event->references > 0) return;
    task_drop(event->recorded);
    shared_event_drop(event->shared);
    free(event->joints);
    free(event);
}

static void drop(void *event) { event_drop(event); }

void events_reset(void) { handles_each(HANDLE_EVENT, drop); }

CUresult cuEventCreate(CUevent *out, unsigned int flags) {
    ENTER(cuEventCreate);
    if (out == NULL || flags > 7 ||
        (flags & (CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING)) == CU_EVENT_INTERPROCESS)
        LEAVE(CUDA_ERROR_INVALID_VALUE);
    fake_event *made = obtain(sizeof *made);
    made->in = context_current();
    made->flags = flags;
    made->references = 1;
    if ((flags & CU_EVENT_INTERPROCESS) != 0 && (made->shared = shared_event_make()) == NULL) {
        free(made);
        LEAVE(CUDA_ERROR_OPERATING_SYSTEM);
    }
    made->handle = handle_make(HANDLE_EVENT, made);
    *out = made->handle;
    LEAVE(CUDA_SUCCESS);
}

static unsigned counted_flags;
static unsigned long long counted;
static void count_event(void *event) { counted += ((const fake_event *)event)->flags == counted_flags; }

unsigned long long fakecuda_events(unsigned flags) {
    pthread_mutex_lock(&the_driver.lock);
    counted_flags = flags;
    counted = 0;
    handles_each(HANDLE_EVENT, count_event);
    unsigned long long found = counted;
    pthread_mutex_unlock(&the_driver.lock);
    return found;
}

static fake_event *event_of(CUevent handle, CUresult *error) {
    fake_event *found = handle_object(HANDLE_EVENT, handle);
    if (found == NULL && handle == NULL) violation("no event is given");
    *error = found == NULL ? CUDA_ERROR_INVALID_HANDLE : found->in->lost;
    return *error == CUDA_SUCCESS ? found : NULL;
}

CUresult cuEventDestroy_v2(CUevent handle) {
    ENTER(cuEventDestroy_v2);
    fake_event *event = handle_object(HANDLE_EVENT, handle);
    if (event == NULL) LEAVE(CUDA_ERROR_INVALID_HANDLE);
    CUresult lost = event->in->lost;
    handle_end(handle);
    event_drop(event);
    LEAVE(lost);
}

static CUresult record(CUevent handle, CUstream stream_handle, unsigned flags) {
    CUresult error;
    fake_event *event = event_of(handle, &error);
    if (event == NULL) return error;
    fake_stream *stream = stream_of(stream_handle, &error);
    if (stream == NULL) return error;
    if (flags > CU_EVENT_RECORD_EXTERNAL) return CUDA_ERROR_INVALID_VALUE;
    if (event->in != stream->in)
        return VIOLATION(CUDA_ERROR_INVALID_HANDLE, "an event of device %d is recorded on a stream of device %d",
                         event->in->on->ordinal, stream->in->on->ordinal);
    if ((error = capture_check_stream(stream)) != CUDA_SUCCESS) return error;
    if (stream->capture != NULL) return capture_record(stream, event, flags);
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    fake_operation mark = {.kind = OPERATION_MARK};
    if (event->shared != NULL) {
        event->number = shared_event_next(event->shared);
        mark.kind = OPERATION_SIGNAL;
        mark.shared.event = shared_event_hold(event->shared);
        mark.shared.number = event->number;
    }
    fake_task *recorded;
    if ((error = stream_submit(stream, &mark, &recorded)) != CUDA_SUCCESS) return error;
    task_drop(event->recorded);
    event->recorded = recorded;
    event->is_recorded = true;
    event->capture_id = 0;
    return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    ENTER(cuEventRecord);
    LEAVE(record(event, stream, 0));
}

CUresult cuEventRecordWithFlags(CUevent event, CUstream stream, unsigned int flags) {
    ENTER(cuEventRecordWithFlags);
    LEAVE(record(event, stream, flags));
}

/* Of this process by its work, of another by the page that both have. */
static bool is_done(const fake_event *event) {
    if (event->recorded != NULL) return task_is_done(event->recorded);
    return event->shared == NULL || shared_event_is_done(event->shared, shared_event_last(event->shared));
}

CUresult cuEventQuery(CUevent handle) {
    ENTER(cuEventQuery);
    CUresult error;
    fake_event *event = event_of(handle, &error);
    if (event == NULL) LEAVE(error);
    if ((error = capture_check_event(event)) != CUDA_SUCCESS) LEAVE(error);
    event->references++;
    if (!is_done(event)) task_poke(event->recorded);
    error = is_done(event) ? context_result(event->in) : CUDA_ERROR_NOT_READY;
    event_drop(event);
    LEAVE(error);
}

CUresult cuEventSynchronize(CUevent handle) {
    ENTER(cuEventSynchronize);
    CUresult error;
    fake_event *event = event_of(handle, &error);
    if (event == NULL) LEAVE(error);
    if ((error = capture_check_event(event)) != CUDA_SUCCESS) LEAVE(error);
    fake_context *in = event->in;
    event->references++;
    if (event->recorded != NULL) task_wait(event->recorded);
    else if (event->shared != NULL) shared_event_await(event->shared, shared_event_last(event->shared));
    event_drop(event);
    pools_trim(in);
    LEAVE(context_result(in));
}

static CUresult elapsed(float *milliseconds, CUevent start_handle, CUevent end_handle) {
    CUresult error;
    if (milliseconds == NULL) return CUDA_ERROR_INVALID_VALUE;
    const fake_event *start = event_of(start_handle, &error);
    const fake_event *end = start != NULL ? event_of(end_handle, &error) : NULL;
    if (end == NULL) return error;
    if ((start->flags & CU_EVENT_DISABLE_TIMING) != 0 || (end->flags & CU_EVENT_DISABLE_TIMING) != 0 ||
        start->recorded == NULL || end->recorded == NULL)
        return VIOLATION(CUDA_ERROR_INVALID_HANDLE, "an event is without time or was not recorded");
    if (!task_is_done(start->recorded) || !task_is_done(end->recorded)) return CUDA_ERROR_NOT_READY;
    *milliseconds = (float)((double)(long long)(end->recorded->finished - start->recorded->finished) / 1e6);
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) {
    ENTER(cuEventElapsedTime_v2);
    LEAVE(elapsed(milliseconds, start, end));
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
    ENTER(cuEventElapsedTime);
    LEAVE(elapsed(milliseconds, start, end));
}

static CUresult wait(CUstream stream_handle, CUevent handle, unsigned flags) {
    CUresult error;
    fake_event *event = event_of(handle, &error);
    if (event == NULL) return error;
    fake_stream *stream = stream_of(stream_handle, &error);
    if (stream == NULL) return error;
    if (flags > CU_EVENT_WAIT_EXTERNAL) return CUDA_ERROR_INVALID_VALUE;
    if ((error = capture_check_stream(stream)) != CUDA_SUCCESS) return error;
    if (stream->capture != NULL || event->capture_id != 0) return capture_wait(stream, event, flags);
    if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
    fake_operation mark = {.kind = OPERATION_MARK};
    if (event->recorded == NULL && event->shared == NULL) return CUDA_SUCCESS; /* never recorded: nothing to wait for */
    if (event->recorded == NULL) {
        mark.kind = OPERATION_AWAIT;
        mark.shared.event = shared_event_hold(event->shared);
        mark.shared.number = shared_event_last(event->shared);
        return stream_submit(stream, &mark, NULL);
    }
    if (task_is_done(event->recorded)) return CUDA_SUCCESS;
    return stream_submit_after(stream, &mark, event->recorded);
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags) {
    ENTER(cuStreamWaitEvent);
    LEAVE(wait(stream, event, flags));
}
