/* The default stream: work runs at once, on the thread that brings it, in the order in which threads bring it.
 *
 * The stream's tail is a point that is done when all its work so far is. Whoever brings work puts a point of his own
 * in the tail's place, waits for the old one, works, and reaches his point: a queue of waiting threads. A wait for an event
 * only puts a barrier of the old tail and the event's point in its place, and a recorded event is the tail
 * itself, so that neither blocks.
 *
 * Mostly there is nobody to wait for: then the work has no point, only a mark that it runs. Who comes before it has finished gives
 * it one, late, and goes on as above.
 *
 * Work that brings more work for the default stream cannot wait for its own end. It is noted on the thread that it runs, and
 * what it brings is kept until it has finished, and then run before its point is reached. */
#include "backends/cpu/compute/compute.h"
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

/* Gives the task that runs without a point one, as the tail. False: no memory. Must be called with the stream's lock held. */
static bool give_late_point(tarn_backend_stream *stream) {
    if (!stream->runs_without_point || stream->tail != NULL) return true;
    cpu_point *point = cpu_point_create();
    if (point == NULL) return false;
    stream->late_point = point;
    stream->tail = cpu_point_retain(point);
    return true;
}

/* Puts `point`, a reference, in the tail's place and gives the old tail with its reference. */
static tarn_status exchange_tail(tarn_backend_stream *stream, cpu_point *point, cpu_point **out_old) {
    pthread_mutex_lock(&stream->lock);
    bool has_point = give_late_point(stream);
    if (has_point) {
        *out_old = stream->tail;
        stream->tail = point;
    }
    pthread_mutex_unlock(&stream->lock);
    return has_point ? TARN_OK : fail_memory();
}

/* A thread's turn with the stream. */
typedef struct inline_turn {
    inline_run run;
    cpu_point *point; /* to be reached at its end; NULL: it was given none when it began */
} inline_turn;

/* Marks that work runs, and returns true, when nothing stands before it. */
static bool begin_at_once(tarn_backend_stream *stream) {
    cpu_point *done = NULL;
    pthread_mutex_lock(&stream->lock);
    if (stream->tail != NULL && cpu_point_is_done(stream->tail)) {
        done = stream->tail;
        stream->tail = NULL;
    }
    bool begins = stream->tail == NULL && !stream->runs_without_point;
    if (begins) {
        stream->runs_without_point = true;
        stream->enqueued++;
    }
    pthread_mutex_unlock(&stream->lock);
    cpu_point_release(done);
    return begins;
}

static void end_at_once(tarn_backend_stream *stream) {
    pthread_mutex_lock(&stream->lock);
    stream->runs_without_point = false;
    stream->finished++;
    cpu_point *late = stream->late_point;
    stream->late_point = NULL;
    if (stream->waiting > 0) pthread_cond_broadcast(&stream->has_finished);
    pthread_mutex_unlock(&stream->lock);
    if (late == NULL) return;
    cpu_point_reach(stream->device, late);
    cpu_point_release(late);
}

/* Returns when all earlier work is done. OUT_OF_MEMORY. */
static tarn_status begin_turn(tarn_backend_stream *stream, inline_turn *turn) {
    turn->point = NULL;
    if (!begin_at_once(stream)) {
        cpu_point *point = cpu_point_create(), *old = NULL;
        if (point == NULL) return fail_memory();
        tarn_status status = exchange_tail(stream, cpu_point_retain(point), &old);
        if (status != TARN_OK) {
            cpu_point_release(point);
            cpu_point_release(point);
            return status;
        }
        if (old != NULL) cpu_point_wait(stream->device, old);
        cpu_point_release(old);
        turn->point = point;
    }
    turn->run = (inline_run){.stream = stream, .outer = current_run};
    turn->run.later_end = &turn->run.later;
    current_run = &turn->run;
    return TARN_OK;
}

/* Runs what the work has brought. */
static void end_turn(tarn_backend_stream *stream, inline_turn *turn) {
    inline_run *run = &turn->run;
    while (run->later != NULL) {
        cpu_task *later = run->later;
        run->later = later->next;
        if (run->later == NULL) run->later_end = &run->later;
        cpu_task_run(stream, later);
        base_free(later);
    }
    current_run = run->outer;
    if (turn->point == NULL) {
        end_at_once(stream);
        return;
    }
    cpu_point_reach(stream->device, turn->point);
    cpu_point_release(turn->point);
}

/* Has later work wait for the task's point. Consumes the task's reference on success. */
static tarn_status add_barrier(tarn_backend_stream *stream, const cpu_task *task) {
    cpu_point *barrier = cpu_point_create(), *old = NULL;
    if (barrier == NULL) return fail_memory();
    tarn_status status = exchange_tail(stream, cpu_point_retain(barrier), &old);
    if (status != TARN_OK) {
        cpu_point_release(barrier);
        cpu_point_release(barrier);
        return status;
    }
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
    inline_turn turn;
    tarn_status status = begin_turn(stream, &turn);
    if (status != TARN_OK) return status;
    cpu_task_run(stream, task);
    end_turn(stream, &turn);
    return TARN_OK;
}

tarn_status cpu_inline_operation(tarn_backend_stream *stream, const tarn_backend_operation *operation,
                                 bool *out_has_run) {
    *out_has_run = stream->is_default && find_run(stream) == NULL;
    if (!*out_has_run) return TARN_OK;
    inline_turn turn;
    tarn_status status = begin_turn(stream, &turn);
    if (status != TARN_OK) return status;
    status = cpu_compute_run(operation);
    end_turn(stream, &turn);
    return status;
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
        bool has_point = give_late_point(stream);
        cpu_point *tail = stream->tail != NULL ? cpu_point_retain(stream->tail) : NULL;
        pthread_mutex_unlock(&stream->lock);
        if (!has_point) {
            cpu_point_release(point);
            return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory to record an event");
        }
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
    if (tail == NULL) {
        uint64_t enqueued = stream->enqueued;
        stream->waiting++;
        while (stream->finished < enqueued) pthread_cond_wait(&stream->has_finished, &stream->lock);
        stream->waiting--;
    }
    pthread_mutex_unlock(&stream->lock);
    if (tail != NULL) cpu_point_wait(stream->device, tail);
    cpu_point_release(tail);
}
