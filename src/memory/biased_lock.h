/* A lock that costs its usual owner next to nothing (bias.h).
 *
 * The first thread that takes the lock many times in a row without another one becomes its owner, which needs no atomic
 * read-modify-write. Another thread takes the mutex and ends the ownership; from then on everybody takes the mutex, until
 * that same thread has again been alone for long. No other thread ever becomes the owner: the first one may be about to find out that it
 * no longer is, and would lower the flag that the other has raised.
 *
 * Not recursive. What the lock protects is seen by whoever holds it next, as with any lock. */
#ifndef MEMORY_BIASED_LOCK_H
#define MEMORY_BIASED_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "memory/bias.h"

typedef struct biased_lock {
    bias bias; /* its owner is set, and ended, with the mutex held */
    pthread_mutex_t mutex;
    uint64_t
        first; /* the only thread that becomes the owner, 0: not yet known; protected by the mutex, as is what follows */
    uint64_t last; /* thread that took the mutex */
    unsigned streak;
} biased_lock;

/* False when there is no host memory. The mutex is held around forks from now on. */
bool biased_lock_begin(biased_lock *lock);
void biased_lock_end(biased_lock *lock);

/* How the lock was taken, to be given to biased_lock_leave. */
typedef enum biased_way { BIASED_AS_OWNER, BIASED_BY_MUTEX } biased_way;

/* Takes the lock by its mutex, so that a fork finds what it protects whole. */
biased_way biased_lock_take(biased_lock *lock);

/* Takes the lock if the calling thread is its owner; false: it has not been taken. The way out is biased_lock_leave_as_owner. */
static inline bool biased_lock_enter_as_owner(biased_lock *lock) { return bias_enter(&lock->bias); }
static inline void biased_lock_leave_as_owner(biased_lock *lock) { bias_leave(&lock->bias); }

/* Takes the lock in whichever way is quicker. */
static inline biased_way biased_lock_enter(biased_lock *lock) {
    return biased_lock_enter_as_owner(lock) ? BIASED_AS_OWNER : biased_lock_take(lock);
}

static inline void biased_lock_leave(biased_lock *lock, biased_way way) {
    if (__builtin_expect(way == BIASED_AS_OWNER, 1)) biased_lock_leave_as_owner(lock);
    else pthread_mutex_unlock(&lock->mutex);
}

#endif
