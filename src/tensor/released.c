/* Host memory of tensors that were released: it is kept for a while, so that a handle that is used after its release is seen for
 * what it is, and refused.
 *
 * Each thread puts what it releases into the next of a few places and frees what lay there. Threads that share their places exchange
 * them one by one. */
#include <stdint.h>

#include "base/memory.h"
#include "tensor/create.h"

#define GROUPS 16u
#define PLACES 16u /* in a group */

static _Atomic(void *) kept[GROUPS * PLACES];
static _Thread_local unsigned turn;

void tensor_keep_released(void *memory) {
    /* Where a thread's own variables lie tells threads apart well enough. */
    unsigned group = (unsigned)((uintptr_t)&turn >> 12) % GROUPS;
    /* Release and acquire: what its releaser did with the memory comes before the end of it. */
    base_free(atomic_exchange_explicit(&kept[group * PLACES + turn++ % PLACES], memory, memory_order_acq_rel));
}

/* The process ends, or the library is unloaded. */
__attribute__((destructor)) static void free_all(void) {
    for (unsigned i = 0; i < GROUPS * PLACES; i++) {
        base_free(atomic_exchange_explicit(&kept[i], NULL, memory_order_acq_rel));
    }
}
