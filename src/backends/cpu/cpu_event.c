/* Points, and events, which are names for points.
 *
 * Recording an event gives it a new point, so that whoever waits for the old one is not disturbed. A point that is done by a
 * worker wakes all waiters of the device; barriers are points that are done with the last of what they wait for. */
#include "backends/cpu/cpu_internal.h"
#include "base/clock.h"
#include "base/memory.h"

cpu_point *cpu_point_create(void) {
    cpu_point *point = base_allocate(1, sizeof *point);
    if (point != NULL) atomic_init(&point->references, 1);
    return point;
}

cpu_point *cpu_point_retain(cpu_point *point) {
    atomic_fetch_add_explicit(&point->references, 1, memory_order_relaxed);
    return point;
}

void cpu_point_release(cpu_point *point) {
    /* Release and acquire: what other threads did with the point comes before its end. */
    if (point != NULL && atomic_fetch_sub_explicit(&point->references, 1, memory_order_acq_rel) == 1) base_free(point);
}

bool cpu_point_is_done(const cpu_point *point) { return atomic_load_explicit(&point->is_done, memory_order_acquire); }

/* Takes the barriers that waited only for this point off its list, onto `ready`. Must be called with point_lock held. */
static cpu_point *collect_ready(cpu_point *point, cpu_point *ready) {
    while (point->dependents != NULL) {
        cpu_edge *edge = point->dependents;
        cpu_point *dependent = edge->dependent;
        point->dependents = edge->next;
        if (--dependent->missing > 0) {
            cpu_point_release(dependent);
        } else {
            dependent->next_ready = ready;
            ready = dependent;
        }
    }
    return ready;
}

/* Must be called with point_lock held. */
static void reach(cpu_point *point) {
    uint64_t now = base_clock_ns();
    cpu_point *ready = cpu_point_retain(point);
    ready->next_ready = NULL;
    while (ready != NULL) {
        cpu_point *reached = ready;
        ready = collect_ready(reached, reached->next_ready);
        reached->time_ns = now;
        atomic_store_explicit(&reached->is_done, true, memory_order_release);
        cpu_point_release(reached);
    }
}

void cpu_point_reach(tarn_backend_device *device, cpu_point *point) {
    pthread_mutex_lock(&device->point_lock);
    reach(point);
    pthread_cond_broadcast(&device->point_done);
    pthread_mutex_unlock(&device->point_lock);
}

void cpu_point_wait(tarn_backend_device *device, cpu_point *point) {
    if (cpu_point_is_done(point)) return;
    pthread_mutex_lock(&device->point_lock);
    while (!cpu_point_is_done(point)) pthread_cond_wait(&device->point_done, &device->point_lock);
    pthread_mutex_unlock(&device->point_lock);
}

/* Must be called with point_lock held. */
static void depend(cpu_point *barrier, cpu_edge *edge, cpu_point *point) {
    if (point == NULL || cpu_point_is_done(point)) return;
    edge->dependent = cpu_point_retain(barrier);
    edge->next = point->dependents;
    point->dependents = edge;
    barrier->missing++;
}

void cpu_point_join(tarn_backend_device *device, cpu_point *barrier, cpu_point *first, cpu_point *second) {
    pthread_mutex_lock(&device->point_lock);
    depend(barrier, &barrier->edges[0], first);
    depend(barrier, &barrier->edges[1], second);
    if (barrier->missing == 0) reach(barrier);
    pthread_mutex_unlock(&device->point_lock);
}

cpu_point *cpu_event_point(tarn_backend_event *event) {
    pthread_mutex_lock(&event->lock);
    cpu_point *point = event->point != NULL ? cpu_point_retain(event->point) : NULL;
    pthread_mutex_unlock(&event->lock);
    return point;
}

tarn_status cpu_event_create(tarn_backend_device *device, tarn_backend_event **out_event) {
    (void)device;
    tarn_backend_event *event = base_allocate(1, sizeof *event);
    if (event == NULL) return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory for an event");
    pthread_mutex_init(&event->lock, NULL);
    *out_event = event;
    return TARN_OK;
}

void cpu_event_destroy(tarn_backend_device *device, tarn_backend_event *event) {
    (void)device;
    cpu_point_release(event->point);
    pthread_mutex_destroy(&event->lock);
    base_free(event);
}

/* A point, retained, that is done when the stream's work so far is. */
static tarn_status mark_stream(tarn_backend_stream *stream, cpu_point **out_point) {
    if (stream->is_default) return cpu_inline_point(stream, out_point);
    cpu_point *point = cpu_point_create();
    if (point == NULL) return cpu_fail(TARN_OUT_OF_MEMORY, "no host memory to record an event");
    cpu_task task = {.kind = CPU_TASK_REACH, .work.point = cpu_point_retain(point)};
    tarn_status status = cpu_queue_add(stream, &task);
    if (status != TARN_OK) {
        cpu_point_release(point);
        cpu_point_release(point);
        return status;
    }
    *out_point = point;
    return TARN_OK;
}

tarn_status cpu_event_record(tarn_backend_device *device, tarn_backend_event *event, tarn_backend_stream *stream) {
    (void)device;
    cpu_point *point;
    tarn_status status = mark_stream(stream, &point);
    if (status != TARN_OK) return status;
    pthread_mutex_lock(&event->lock);
    cpu_point *old = event->point;
    event->point = point;
    pthread_mutex_unlock(&event->lock);
    cpu_point_release(old);
    return TARN_OK;
}

tarn_status cpu_event_query(tarn_backend_device *device, tarn_backend_event *event, int *out_complete) {
    (void)device;
    pthread_mutex_lock(&event->lock);
    bool is_complete = event->point == NULL || cpu_point_is_done(event->point);
    pthread_mutex_unlock(&event->lock);
    *out_complete = is_complete;
    return TARN_OK;
}

tarn_status cpu_event_synchronize(tarn_backend_device *device, tarn_backend_event *event) {
    cpu_point *point = cpu_event_point(event);
    if (point != NULL) cpu_point_wait(device, point);
    cpu_point_release(point);
    return TARN_OK;
}

tarn_status cpu_event_elapsed(tarn_backend_device *device, tarn_backend_event *begin, tarn_backend_event *end,
                              int64_t *out_nanoseconds) {
    (void)device;
    cpu_point *first = cpu_event_point(begin);
    cpu_point *second = cpu_event_point(end);
    tarn_status status = TARN_OK;
    if (first == NULL || second == NULL) {
        status = cpu_fail(TARN_INVALID_STATE, "the %s event was never recorded", first == NULL ? "first" : "second");
    } else {
        *out_nanoseconds = (int64_t)(second->time_ns - first->time_ns);
    }
    cpu_point_release(first);
    cpu_point_release(second);
    return status;
}
