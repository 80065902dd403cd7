/* Starting threads.
 *
 * A thread names itself, since its creator may no longer hold a valid handle by then. What it needs for that comes from
 * base_allocate, which is also how a test makes the start fail. Signals are for the program's own threads: they are blocked
 * around the creation, because a new thread inherits the mask. */
#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/status.h"

/* What the kernel keeps of a name, with its end. */
#define NAME_CAPACITY 16

typedef struct start {
    void *(*run)(void *);
    void *context;
    char name[NAME_CAPACITY];
} start;

static void *begin(void *argument) {
    start mine = *(start *)argument;
    base_free(argument);
    pthread_setname_np(pthread_self(), mine.name);
    return mine.run(mine.context);
}

tarn_status base_thread_start(pthread_t *out_thread, const char *name, void *(*run)(void *), void *context) {
    start *argument = base_allocate(1, sizeof *argument);
    if (argument == NULL) return base_fail(TARN_UNAVAILABLE, "thread %s: no host memory to start it", name);
    argument->run = run;
    argument->context = context;
    strncpy(argument->name, name, NAME_CAPACITY - 1);

    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    int error = pthread_create(&thread, NULL, begin, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        base_free(argument);
        return base_fail(TARN_UNAVAILABLE, "thread %s: it cannot be started: %s", name, strerror(error));
    }
    *out_thread = thread;
    return TARN_OK;
}

unsigned base_processor_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return (unsigned)CPU_COUNT(&set);
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}
