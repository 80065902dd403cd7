/* The default stream: work runs at once, on the thread that brings it, in the order in which threads bring it.
 *
 * The stream's tail is a point that is done when all its work so far is. Whoever brings work puts a point of his own
 * in the tail's place, waits for the old one, works, and reaches his point: a queue of waiting threads. A wait for an event
 * only puts a barrier of the old tail and the event's point in its place, and a recorded event is the tail
 * itself, so that neither blocks.
 *
 * Work that brings more work for the default stream cannot wait for its own end. It is noted on the thread that it runs, and
 * what it brings is kept until it has finished, and then run before its point is reached. */
#include "backends/cpu/cpu_internal.h"
#include "base/memory.h"

/* Work of a default stream that this thread is running. */
typedef struct inline_run {
    const tarn_backend_stream *stream;
    cpu_task *later, **later_end; /* brought by the work itself */
    struct inline_run *outer;     /* what the thread was running when it began this */
} inline_run;

static _Thread_local inline_run *current_run;

static inline_run *find_run(const tarn_backend_stream *stream) {
    inline_run *run = current_run;
    while (run != NULL && run->stream != stream) run = run->outer;
    return run;
}

static tarn_status fail_memory(void) { return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory to enqueue work"); }

static tarn_status add_later(inline_run *run, const cpu_task *task) {
    cpu_task *copy = base_allocate(1, sizeof *copy);
    if (copy == NULL) return fail_memory();
    *copy = *task;
    copy->next = NULL;
    *run->later_end = copy;
    run->later_end = &copy->next;
    return TARN_OK;
}

/* Puts `point`, a reference, in the tail's place and returns the old tail with its reference. */
static cpu_point *exchange_tail(tarn_backend_stream *stream, cpu_point *point) {
    pthread_mutex_lock(&stream->lock);
    cpu_point *old = stream->tail;
    stream->tail = point;
    pthread_mutex_unlock(&stream->lock);
    return old;
}

static void run_with_what_it_brings(tarn_backend_stream *stream, const cpu_task *task) {
    inline_run run = {.stream = stream, .outer = current_run};
    run.later_end = &run.later;
    current_run = &run;
    cpu_task_run(stream->device, task);
    while (run.later != NULL) {
        cpu_task *later = run.later;
        run.later = later->next;
        if (run.later == NULL) run.later_end = &run.later;
        cpu_task_run(stream->device, later);
        base_free(later);
    }
    current_run = run.outer;
}

/* Has later work wait for the task's point. Consumes the task's reference on success. */
static tarn_status add_barrier(tarn_backend_stream *stream, const cpu_task *task) {
    cpu_point *barrier = cpu_point_create();
    if (barrier == NULL) return fail_memory();
    cpu_point *old = exchange_tail(stream, cpu_point_retain(barrier));
    cpu_point_join(stream->device, barrier, task->work.point, old);
    cpu_point_release(old);
    cpu_point_release(barrier);
    cpu_point_release(task->work.point);
    return TARN_OK;
}

tarn_status cpu_inline_add(tarn_backend_stream *stream, const cpu_task *task) {
    inline_run *running = find_run(stream);
    if (running != NULL) return add_later(running, task);
    if (task->kind == CPU_TASK_WAIT) return add_barrier(stream, task);
    cpu_point *point = cpu_point_create();
    if (point == NULL) return fail_memory();
    cpu_point *old = exchange_tail(stream, cpu_point_retain(point));
    if (old != NULL) cpu_point_wait(stream->device, old);
    cpu_point_release(old);
    run_with_what_it_brings(stream, task);
    cpu_point_reach(stream->device, point);
    cpu_point_release(point);
    return TARN_OK;
}

/* From inside the stream's own work: a point that is reached after it, in the order of what it brings. */
static tarn_status add_later_point(inline_run *run, cpu_point *point) {
    cpu_task task = {.kind = CPU_TASK_REACH, .work.point = cpu_point_retain(point)};
    tarn_status status = add_later(run, &task);
    if (status != TARN_OK) cpu_point_release(point);
    return status;
}

tarn_status cpu_inline_point(tarn_backend_stream *stream, cpu_point **out_point) {
    cpu_point *point = cpu_point_create();
    if (point == NULL) return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory to record an event");
    inline_run *running = find_run(stream);
    if (running != NULL) {
        tarn_status status = add_later_point(running, point);
        if (status != TARN_OK) {
            cpu_point_release(point);
            return status;
        }
    } else {
        pthread_mutex_lock(&stream->lock);
        cpu_point *tail = stream->tail != NULL ? cpu_point_retain(stream->tail) : NULL;
        pthread_mutex_unlock(&stream->lock);
        /* Done now when the stream is idle, so that its time is that of the recording. */
        cpu_point_join(stream->device, point, tail, NULL);
        cpu_point_release(tail);
    }
    *out_point = point;
    return TARN_OK;
}

void cpu_inline_wait(tarn_backend_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    cpu_point *tail = stream->tail != NULL ? cpu_point_retain(stream->tail) : NULL;
    pthread_mutex_unlock(&stream->lock);
    if (tail != NULL) cpu_point_wait(stream->device, tail);
    cpu_point_release(tail);
}
