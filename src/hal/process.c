/* What a fork and the end of the process mean for devices.
 *
 * Drivers do not survive a fork, and at exit they may be unloaded before the program's last destructor has run. Both
 * are handled by one number: hal_process. A device remembers the value it was opened under; the child of a fork and a
 * process that exits count it up, and from then on the device is out of reach: calls answer UNAVAILABLE, and what only gives back
 * succeeds without the driver. The locks of the layer are taken around a fork, so that the child finds them free. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "hal/registry.h"

/* Relaxed everywhere: a fork leaves one thread, and at exit it is enough that the exiting thread sees its own store. */
atomic_uint hal_process = 1;
static atomic_bool is_exiting;

bool hal_process_is_exiting(void) { return atomic_load_explicit(&is_exiting, memory_order_relaxed); }

static void before_fork(void) { hal_registry_before_fork(); }

static void after_fork_in_parent(void) { hal_registry_after_fork_in_parent(); }

static void after_fork_in_child(void) {
    atomic_fetch_add_explicit(&hal_process, 1, memory_order_relaxed);
    hal_registry_after_fork_in_child();
}

static void at_exit(void) {
    hal_registry_stop_backends();
    atomic_store_explicit(&is_exiting, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&hal_process, 1, memory_order_relaxed);
}

/* Must be called with the registry's lock held, which protects these. */
tarn_status hal_process_hook(void) {
    static bool has_fork_handlers, has_exit_handler;
    if (!has_fork_handlers) {
        int error = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
        if (error != 0) {
            return base_fail(TARN_UNAVAILABLE, "the handlers for fork cannot be installed: %s", strerror(error));
        }
        has_fork_handlers = true;
    }
    if (!has_exit_handler) {
        if (atexit(at_exit) != 0) return base_fail(TARN_UNAVAILABLE, "the handler for exit cannot be installed");
        has_exit_handler = true;
    }
    return TARN_OK;
}
