/* A lock that costs its usual owner next to nothing.
 *
 * The first thread that takes the lock many times in a row without another one becomes its owner: it goes in by raising a flag
 * and looking whether it still is the owner, without an atomic read-modify-write. Another thread takes the mutex, ends the
 * ownership, makes the kernel run a barrier on every thread of the process, and waits for the flag to be down; from then on
 * everybody takes the mutex, until that same thread has again been alone for long. No other thread ever becomes the owner: the
 * first one may be about to find out that it no longer is, and would lower the flag that the other has raised. Where there is no such barrier, and under the
 * thread sanitizer, the owner's side has an exchange instead.
 *
 * Not recursive. What the lock protects is seen by whoever holds it next, as with any lock. */
#ifndef MEMORY_BIASED_LOCK_H
#define MEMORY_BIASED_LOCK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/barrier.h"

/* No thread's number, not even that of one which has none yet. */
#define BIASED_NO_OWNER UINT64_MAX

typedef struct biased_lock {
    _Atomic uint64_t owner; /* number of a thread, or BIASED_NO_OWNER. Raised and ended with the mutex held */
    _Atomic uint32_t busy;  /* the owner is inside */
    pid_t process;          /* a forked child's threads were left behind */
    pthread_mutex_t mutex;
    uint64_t
        first; /* the only thread that becomes the owner, 0: not yet known; protected by the mutex, as is what follows */
    uint64_t last; /* thread that took the mutex */
    unsigned streak;
} biased_lock;

/* False when there is no host memory. The mutex is held around forks from now on. */
bool biased_lock_begin(biased_lock *lock);
void biased_lock_end(biased_lock *lock);

/* Of the calling thread; 0 until it has taken a biased lock the long way. Eight bytes of the room that a program keeps for libraries
 * that are loaded later: reached without a call. */
extern __attribute__((visibility("hidden"), tls_model("initial-exec"))) _Thread_local uint64_t biased_lock_thread;

/* How the lock was taken, to be given to biased_lock_leave. */
typedef enum biased_way { BIASED_AS_OWNER, BIASED_BY_MUTEX } biased_way;

/* Takes the lock by its mutex, so that a fork finds what it protects whole. */
biased_way biased_lock_take(biased_lock *lock);

/* Takes the lock if the calling thread is its owner; false: it has not been taken. The way out is biased_lock_leave_as_owner.
 * A fork may copy the process while its owner is inside: what is done there leaves lists whole at each step. */
static inline bool biased_lock_enter_as_owner(biased_lock *lock) {
    uint64_t self = biased_lock_thread;
    if (__builtin_expect(atomic_load_explicit(&lock->owner, memory_order_relaxed) != self, 0)) return false;
    if (__builtin_expect(base_has_barrier, 1)) {
        /* The barrier of whoever ends the ownership stands between this store and this load whenever they matter. */
        atomic_store_explicit(&lock->busy, 1, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_exchange_explicit(&lock->busy, 1, memory_order_seq_cst);
    }
    if (__builtin_expect(atomic_load_explicit(&lock->owner, memory_order_seq_cst) == self, 1)) return true;
    atomic_store_explicit(&lock->busy, 0, memory_order_release);
    return false;
}

static inline void biased_lock_leave_as_owner(biased_lock *lock) {
    atomic_store_explicit(&lock->busy, 0, memory_order_release);
}

/* Takes the lock in whichever way is quicker. */
static inline biased_way biased_lock_enter(biased_lock *lock) {
    return biased_lock_enter_as_owner(lock) ? BIASED_AS_OWNER : biased_lock_take(lock);
}

static inline void biased_lock_leave(biased_lock *lock, biased_way way) {
    if (__builtin_expect(way == BIASED_AS_OWNER, 1)) biased_lock_leave_as_owner(lock);
    else pthread_mutex_unlock(&lock->mutex);
}

#endif
