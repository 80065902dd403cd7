/* A flag that its usual thread raises for next to nothing: what a biased lock and a biased count are made of.
 *
 * At most one thread owns a bias. It goes in by raising a flag and looking whether it still is the owner, without an
 * atomic read-modify-write; that keeps not only the instruction away but the wait for all that the thread has written before, which may be
 * hundreds of cache lines on their way to memory. Another thread ends the ownership, makes the kernel run a
 * barrier on every thread of the process, and waits for the flag to be down. Where there is no such barrier, and under the thread
 * sanitizer, the owner's side has an exchange instead.
 *
 * What the owner does inside is seen by whoever has ended the ownership. */
#ifndef MEMORY_BIAS_H
#define MEMORY_BIAS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/barrier.h"

/* No thread's number, not even that of one which has none yet. */
#define BIAS_NO_OWNER UINT64_MAX
/* The same, and nobody becomes the owner any more. */
#define BIAS_ENDED (UINT64_MAX - 1)

typedef struct bias {
    _Atomic uint64_t owner; /* number of a thread, or one of the above */
    _Atomic uint32_t busy;  /* the owner is inside */
    pid_t process;          /* a forked child's threads were left behind */
} bias;

/* Without an owner. */
void bias_begin(bias *self);

/* Of the calling thread; 0 until it has one. Eight bytes of the room that a program keeps for libraries that are loaded
 * later: reached without a call. */
extern __attribute__((visibility("hidden"), tls_model("initial-exec"))) _Thread_local uint64_t bias_thread;
/* The calling thread's number, which it has from now on. Never used again by another thread. */
uint64_t bias_name_thread(void);

/* Ends the ownership; `next` is BIAS_NO_OWNER or BIAS_ENDED. When it returns, no owner is inside, except one that a fork left
 * behind there. Callers take turns. */
void bias_take_away(bias *self, uint64_t next);

/* Lets the calling thread in if it is the owner; false: it is not inside. A fork may copy the process while its owner is
 * inside: what is done there leaves lists whole at each step. */
static inline bool bias_enter(bias *self) {
    uint64_t thread = bias_thread;
    if (__builtin_expect(atomic_load_explicit(&self->owner, memory_order_relaxed) != thread, 0)) return false;
    if (__builtin_expect(base_has_barrier, 1)) {
        /* The barrier of whoever ends the ownership stands between this store and this load whenever they matter. */
        atomic_store_explicit(&self->busy, 1, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
    } else {
        atomic_exchange_explicit(&self->busy, 1, memory_order_seq_cst);
    }
    if (__builtin_expect(atomic_load_explicit(&self->owner, memory_order_seq_cst) == thread, 1)) return true;
    atomic_store_explicit(&self->busy, 0, memory_order_release);
    return false;
}

static inline void bias_leave(bias *self) { atomic_store_explicit(&self->busy, 0, memory_order_release); }

#endif
