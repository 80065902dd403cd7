/* A memory barrier on every thread of the process, which one thread asks the kernel for.
 *
 * It makes one side of an agreement between threads cheap: who comes often stores a flag, without a fence, and looks whether it
 * may go on; who comes seldom announces itself, runs the barrier, and looks at the flag. Where there is no such barrier, and
 * under the thread sanitizer, which knows nothing of it, the frequent side needs a fence of its own. */
#ifndef BASE_BARRIER_H
#define BASE_BARRIER_H

#include <stdbool.h>

/* Whether there is one; fixed by base_barrier_prepare. */
extern __attribute__((visibility("hidden"))) bool base_has_barrier;

/* From any thread, any number of times. */
void base_barrier_prepare(void);

/* Returns when every other thread has been through a full barrier. Does nothing where there is none. */
void base_barrier(void);

#endif
