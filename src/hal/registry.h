/* The registry of backends, inside the hardware layer: who is there, whether it has been started, and the lock that also
 * protects the list of open devices. */
#ifndef HAL_REGISTRY_H
#define HAL_REGISTRY_H

#include "hal/types.h"

typedef enum hal_backend_state {
    HAL_BACKEND_IDLE = 0, /* not started yet: that happens when somebody first asks for it */
    HAL_BACKEND_STARTING, /* `starter` is calling its start */
    HAL_BACKEND_AVAILABLE,
    HAL_BACKEND_UNAVAILABLE
} hal_backend_state;

struct hal_backend {
    tarn_backend table; /* a copy; what a shorter table lacks is NULL */
    const char *shared_object;
    hal_backend *next; /* in the order of registration; entries are never removed */

    /* Protected by the registry's lock. */
    hal_backend_state state;
    pthread_t starter;
    const char *reason; /* why it is unavailable */
    unsigned process;   /* hal_process when it was started */
    unsigned open_devices;
};

/* The built-in backends, ended by NULL; the program that links the library says which (src/builtin_backends.c). */
extern const tarn_backend *const hal_builtin_backends[];

/* Makes the registry ready: process hooks, built-in backends, TARN_BACKEND_PATH. Every public function that uses the
 * registry begins with it; a failure is for want of host memory and may be tried again. */
tarn_status hal_registry_prepare(void);

void hal_registry_lock(void);
void hal_registry_unlock(void);
/* Waits until hal_registry_announce is called; the lock is released meanwhile. */
void hal_registry_wait(void);
void hal_registry_announce(void);

/* Adds a table of which hal_table_check approves. Takes the lock. ALREADY_EXISTS, OUT_OF_MEMORY. */
tarn_status hal_registry_add(const tarn_backend *table, const char *shared_object);
/* The first backend with that name of `length` bytes, or NULL. Must be called with the lock held. */
hal_backend *hal_registry_find(const char *name, size_t length);
hal_backend *hal_registry_first(void);
/* Starts the backend if nobody has; the lock is held at entry and return, and released in between. When this returns the
 * backend is AVAILABLE or not, or STARTING further up on this very thread. */
void hal_backend_start(hal_backend *backend);
/* OK, or UNAVAILABLE with the reason. Must be called with the lock held, after hal_backend_start. */
tarn_status hal_backend_check(const hal_backend *backend);

/* Looks a table over before anything in it is called. INVALID_ARGUMENT names what is wrong. */
tarn_status hal_table_check(const tarn_backend *table);

/* Loads a shared object and adds its table; the registry is ready and its lock is not held. */
tarn_status hal_load(const char *path);
/* Loads what TARN_BACKEND_PATH lists, with one complaint about what cannot be loaded, and what lies in the folder tarn-backends beside
 * the library. */
void hal_load_path(void);

/* Installs the handlers for fork and exit, once. UNAVAILABLE. */
tarn_status hal_process_hook(void);
bool hal_process_is_exiting(void);
/* For the handlers: the registry around a fork and at exit. */
void hal_registry_before_fork(void);
void hal_registry_after_fork_in_parent(void);
void hal_registry_after_fork_in_child(void);
void hal_registry_stop_backends(void);
/* The locks of all open devices around a fork; the registry's lock is held. */
void hal_devices_before_fork(void);
void hal_devices_after_fork(bool in_child);

#endif
