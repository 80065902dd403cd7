/* Taking a biased lock the long way; see biased_lock.h. */
#include "memory/biased_lock.h"

#include "memory/fork.h"

/* A thread becomes the owner after so many turns in a row: ending an ownership costs as much as some hundred of them. */
enum { TURNS = 256 };

bool biased_lock_begin(biased_lock *lock) {
    bias_begin(&lock->bias);
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

biased_way biased_lock_take(biased_lock *lock) {
    uint64_t self = bias_name_thread();
    pthread_mutex_lock(&lock->mutex);
    uint64_t owner = atomic_load_explicit(&lock->bias.owner, memory_order_relaxed);
    if (owner != BIAS_NO_OWNER && owner != self) bias_take_away(&lock->bias, BIAS_NO_OWNER);
    if (lock->last != self) {
        lock->last = self;
        lock->streak = 0;
    } else if (owner == BIAS_NO_OWNER && (lock->first == 0 || lock->first == self) && ++lock->streak >= TURNS) {
        lock->streak = 0;
        lock->first = self;
        atomic_store_explicit(&lock->bias.owner, self, memory_order_relaxed);
    }
    return BIASED_BY_MUTEX;
}
