/* The barrier is membarrier's expedited one, for which a process registers once; see barrier.h. */
#include "base/barrier.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define HAS_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER 1
#endif
#endif

bool base_has_barrier;

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static void prepare(void) {
#ifndef HAS_THREAD_SANITIZER
    base_has_barrier = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

void base_barrier_prepare(void) { pthread_once(&prepared, prepare); }

void base_barrier(void) {
    if (base_has_barrier) syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}
