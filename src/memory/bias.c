/* Numbers of threads, and the end of an ownership; see bias.h. */
#include "memory/bias.h"

#include <sched.h>
#include <unistd.h>

_Thread_local uint64_t bias_thread;

void bias_begin(bias *self) {
    base_barrier_prepare();
    atomic_init(&self->owner, BIAS_NO_OWNER);
    atomic_init(&self->busy, 0);
    self->process = getpid();
}

uint64_t bias_name_thread(void) {
    static atomic_uint_fast64_t last;
    if (bias_thread == 0) bias_thread = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
    return bias_thread;
}

void bias_take_away(bias *self, uint64_t next) {
    uint64_t owner = atomic_exchange_explicit(&self->owner, next, memory_order_seq_cst);
    if (owner == BIAS_NO_OWNER || owner == bias_thread) return;
    base_barrier();
    while (atomic_load_explicit(&self->busy, memory_order_seq_cst) != 0) {
        /* An owner that a fork left behind never comes out. */
        if (getpid() != self->process) break;
        sched_yield();
    }
}
