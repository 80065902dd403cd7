/* Events of all threads in one order.
 *
 * A ring of events. A thread takes a ticket from one atomic counter, fills the place that the ticket names and marks it complete;
 * the ticket is the event's place in the trace, so nothing needs sorting. Every so many events, or after a tenth of a second, the
 * thread that notices writes all complete events in order, up to the first one that another thread is still filling. While
 * it writes, others go on. */
#include "record.h"

#include <errno.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <sys/syscall.h>

/* A thread that died in the middle of an event would stop the ring: after so long, the recording ends instead. */
#define PATIENCE_NS INT64_C(2000000000)
/* The same at exit, when events of threads that still run may be left out. */
#define PATIENCE_AT_EXIT_NS INT64_C(200000000)

static __thread uint32_t own_thread __attribute__((tls_model("initial-exec")));

int64_t record_clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint32_t thread_number(void) {
    if (own_thread == 0) own_thread = (uint32_t)syscall(SYS_gettid);
    return own_thread;
}

/* Writes the complete events before `end`. Must be called with `writing` held. */
static void write_until(record_recorder *recorder, uint64_t end) {
    uint64_t ticket = atomic_load_explicit(&recorder->written, memory_order_relaxed);
    bool goes_on = true;
    while (goes_on && ticket != end) {
        record_event *event = &recorder->events[ticket % RECORD_QUEUE];
        if (atomic_load_explicit(&event->ready, memory_order_acquire) != ticket + 1) break;
        goes_on = record_output_event(event);
        /* Release: the place may be filled again from now on. */
        atomic_store_explicit(&recorder->written, ++ticket, memory_order_release);
    }
    if (goes_on) record_output_flush();
    atomic_store_explicit(&recorder->written_ns, record_clock_ns(), memory_order_relaxed);
}

bool record_drain(void) {
    record_recorder *recorder = record_state;
    if (atomic_exchange_explicit(&recorder->writing, 1, memory_order_acquire) != 0) return false;
    write_until(recorder, atomic_load_explicit(&recorder->next, memory_order_relaxed));
    atomic_store_explicit(&recorder->writing, 0, memory_order_release);
    return true;
}

void record_drain_all(void) {
    record_recorder *recorder = record_state;
    uint64_t end = atomic_load_explicit(&recorder->next, memory_order_relaxed);
    int64_t begin = record_clock_ns();
    for (;;) {
        record_drain();
        if (atomic_load_explicit(&recorder->written, memory_order_acquire) >= end) return;
        if (record_clock_ns() - begin > PATIENCE_AT_EXIT_NS) return;
        sched_yield();
    }
}

/* The ring is full: waits until the place of `ticket` has been written out. False: the recording has ended. */
static bool wait_for_room(record_recorder *recorder, uint64_t ticket) {
    int64_t begin = record_clock_ns();
    for (;;) {
        record_drain();
        if (atomic_load_explicit(&recorder->phase, memory_order_relaxed) != RECORD_RUNNING) return false;
        if (ticket - atomic_load_explicit(&recorder->written, memory_order_acquire) < RECORD_QUEUE) return true;
        if (record_clock_ns() - begin > PATIENCE_NS) {
            record_give_up("a thread ended in the middle of an event", 0);
            return false;
        }
        sched_yield();
    }
}

void record_emit(uintptr_t address, size_t size, unsigned alignment_log2, uintptr_t site) {
    record_recorder *recorder = record_state;
    int64_t now = record_clock_ns();
    /* Acquire-release: a thread that sees another's block or its end also sees the earlier ticket. */
    uint64_t ticket = atomic_fetch_add_explicit(&recorder->next, 1, memory_order_acq_rel);
    if (ticket - atomic_load_explicit(&recorder->written, memory_order_acquire) >= RECORD_QUEUE) {
        int saved = errno;
        bool has_room = wait_for_room(recorder, ticket);
        errno = saved;
        if (!has_room) return;
    }
    record_event *event = &recorder->events[ticket % RECORD_QUEUE];
    event->address = address;
    event->size = size;
    event->time_ns = now;
    event->site = site;
    event->thread = thread_number();
    event->alignment_log2 = (uint8_t)alignment_log2;
    atomic_store_explicit(&event->ready, ticket + 1, memory_order_release);

    if (ticket % RECORD_BATCH == RECORD_BATCH - 1 ||
        now - atomic_load_explicit(&recorder->written_ns, memory_order_relaxed) > RECORD_INTERVAL_NS) {
        int saved = errno;
        record_drain();
        errno = saved;
    }
}
