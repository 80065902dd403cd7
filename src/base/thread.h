/* Threads as Tarn uses them: POSIX threads whose creation can be made to fail in tests, with names that show in a debugger. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

#include <tarn/status.h>

/* Starts `run(context)` on a new thread that blocks all signals; `name` has at most 15 characters. UNAVAILABLE. */
tarn_status base_thread_start(pthread_t *out_thread, const char *name, void *(*run)(void *), void *context);

/* How many processors the process may use, at least 1. */
unsigned base_processor_count(void);

#endif
