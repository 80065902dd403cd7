/* Taking a biased lock the long way; see biased_lock.h. */
#include "memory/biased_lock.h"

#include <sched.h>
#include <unistd.h>

#include "memory/fork.h"

/* A thread becomes the owner after so many turns in a row: ending an ownership costs as much as some hundred of them. */
enum { TURNS = 256 };

_Thread_local uint64_t biased_lock_thread;

static atomic_uint_fast64_t last_thread;

bool biased_lock_begin(biased_lock *lock) {
    base_barrier_prepare();
    atomic_init(&lock->owner, BIASED_NO_OWNER);
    atomic_init(&lock->busy, 0);
    lock->process = getpid();
    lock->first = lock->last = 0;
    lock->streak = 0;
    pthread_mutex_init(&lock->mutex, NULL);
    if (memory_fork_watch(&lock->mutex, false)) return true;
    pthread_mutex_destroy(&lock->mutex);
    return false;
}

void biased_lock_end(biased_lock *lock) {
    memory_fork_forget(&lock->mutex);
    pthread_mutex_destroy(&lock->mutex);
}

/* The mutex is held. */
static void end_ownership(biased_lock *lock) {
    atomic_store_explicit(&lock->owner, BIASED_NO_OWNER, memory_order_seq_cst);
    base_barrier();
    while (atomic_load_explicit(&lock->busy, memory_order_seq_cst) != 0) {
        /* An owner that a fork left behind never comes out. */
        if (getpid() != lock->process) break;
        sched_yield();
    }
}

biased_way biased_lock_take(biased_lock *lock) {
    if (biased_lock_thread == 0) {
        biased_lock_thread = atomic_fetch_add_explicit(&last_thread, 1, memory_order_relaxed) + 1;
    }
    uint64_t self = biased_lock_thread;
    pthread_mutex_lock(&lock->mutex);
    uint64_t owner = atomic_load_explicit(&lock->owner, memory_order_relaxed);
    if (owner != BIASED_NO_OWNER && owner != self) end_ownership(lock);
    if (lock->last != self) {
        lock->last = self;
        lock->streak = 0;
    } else if (owner == BIASED_NO_OWNER && (lock->first == 0 || lock->first == self) && ++lock->streak >= TURNS) {
        lock->streak = 0;
        lock->first = self;
        atomic_store_explicit(&lock->owner, self, memory_order_relaxed);
    }
    return BIASED_BY_MUTEX;
}
