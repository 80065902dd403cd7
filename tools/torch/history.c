/* Who is told of what happens: one watcher, whom the shim sets before anything is allocated. */
#include <stdatomic.h>

#include "torch/state.h"

typedef void (*watcher_function)(void *context, const tarn_torch_event *event);

/* The function is released after its context. */
static _Atomic(watcher_function) watching;
static void *watcher_context;

void tarn_torch_watch(watcher_function watcher, void *context) {
    watcher_context = context;
    atomic_store_explicit(&watching, watcher, memory_order_release);
}

bool torch_is_watched(void) { return atomic_load_explicit(&watching, memory_order_relaxed) != NULL; }

void torch_tell(const tarn_torch_event *event) {
    watcher_function watcher = atomic_load_explicit(&watching, memory_order_acquire);
    if (watcher != NULL) watcher(watcher_context, event);
}
