/* The registry: which backends there are, each started when somebody first asks for it.
 *
 * Entries are only ever added, at the end of one list, so that a pointer to one stays good and a walk needs the lock
 * only for the step from one to the next. Starting a backend may take long (a driver initialises), so the lock is released
 * meanwhile: the entry is STARTING, and whoever else wants that backend waits for the announcement. */
#include "hal/registry.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "hal/call.h"

typedef enum path_state { PATH_UNREAD = 0, PATH_LOADING, PATH_LOADED } path_state;

static struct registry {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    hal_backend *first;
    size_t builtin_count; /* how many of the built-in backends have been added */
    path_state path;
    pthread_t path_loader; /* who loads TARN_BACKEND_PATH now */
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

void hal_registry_lock(void) { pthread_mutex_lock(&registry.lock); }
void hal_registry_unlock(void) { pthread_mutex_unlock(&registry.lock); }
void hal_registry_wait(void) { pthread_cond_wait(&registry.changed, &registry.lock); }
void hal_registry_announce(void) { pthread_cond_broadcast(&registry.changed); }

hal_backend *hal_registry_first(void) { return registry.first; }

hal_backend *hal_registry_find(const char *name, size_t length) {
    hal_backend *backend = registry.first;
    while (backend != NULL &&
           !(strlen(backend->table.name) == length && memcmp(backend->table.name, name, length) == 0)) {
        backend = backend->next;
    }
    return backend;
}

/* Must be called with the lock held. */
static tarn_status add_locked(const tarn_backend *table, const char *shared_object) {
    if (hal_registry_find(table->name, strlen(table->name)) != NULL) {
        return base_fail(TARN_ALREADY_EXISTS, "a backend named \"%s\" is registered already", table->name);
    }
    hal_backend *backend = base_allocate(1, sizeof *backend);
    char *path = base_duplicate(shared_object);
    if (backend == NULL || path == NULL) {
        base_free(backend);
        base_free(path);
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory to register backend \"%s\"", table->name);
    }
    size_t size = table->struct_size < sizeof *table ? table->struct_size : sizeof *table;
    memcpy(&backend->table, table, size);
    backend->shared_object = path;
    backend->reason = "";
    hal_backend **end = &registry.first;
    while (*end != NULL) end = &(*end)->next;
    *end = backend;
    return TARN_OK;
}

tarn_status hal_registry_add(const tarn_backend *table, const char *shared_object) {
    hal_registry_lock();
    tarn_status status = add_locked(table, shared_object);
    hal_registry_unlock();
    return status;
}

/* Must be called with the lock held. */
static tarn_status add_builtin_backends(void) {
    while (hal_builtin_backends[registry.builtin_count] != NULL) {
        const tarn_backend *table = hal_builtin_backends[registry.builtin_count];
        tarn_status status = hal_table_check(table);
        if (status == TARN_OK) status = add_locked(table, "");
        if (status != TARN_OK) return status;
        registry.builtin_count++;
    }
    return TARN_OK;
}

/* Must be called with the lock held, which is released while objects load: their constructors may call Tarn. */
static void load_path_once(void) {
    while (registry.path == PATH_LOADING && !pthread_equal(registry.path_loader, pthread_self())) hal_registry_wait();
    if (registry.path != PATH_UNREAD) return;
    registry.path = PATH_LOADING;
    registry.path_loader = pthread_self();
    hal_registry_unlock();
    hal_load_path();
    hal_registry_lock();
    registry.path = PATH_LOADED;
    hal_registry_announce();
}

tarn_status hal_registry_prepare(void) {
    hal_registry_lock();
    tarn_status status = hal_process_hook();
    if (status == TARN_OK) status = add_builtin_backends();
    if (status == TARN_OK) load_path_once();
    hal_registry_unlock();
    return status;
}

void hal_backend_start(hal_backend *backend) {
    while (backend->state == HAL_BACKEND_STARTING && !pthread_equal(backend->starter, pthread_self()))
        hal_registry_wait();
    if (backend->state != HAL_BACKEND_IDLE) return;
    backend->state = HAL_BACKEND_STARTING;
    backend->starter = pthread_self();
    backend->process = atomic_load_explicit(&hal_process, memory_order_relaxed);
    hal_registry_unlock();

    hal_listen();
    tarn_status status = backend->table.start != NULL ? backend->table.start(&hal_host) : TARN_OK;
    const char *reason = "";
    if (status != TARN_OK) {
        hal_answer_failure(NULL, status, "start");
        reason = base_duplicate(tarn_last_error());
        if (reason == NULL) reason = "it failed to start, and there was no memory to keep the reason";
    }

    hal_registry_lock();
    backend->reason = reason;
    backend->state = status == TARN_OK ? HAL_BACKEND_AVAILABLE : HAL_BACKEND_UNAVAILABLE;
    hal_registry_announce();
}

/* Why the backend cannot be used now, NULL when it can. Must be called with the lock held. */
static const char *reason_of(const hal_backend *backend) {
    if (backend->state == HAL_BACKEND_STARTING) return "it is just being started";
    if (backend->state == HAL_BACKEND_UNAVAILABLE) return backend->reason;
    if (hal_process_is_exiting()) return "the process is exiting";
    if (backend->process != atomic_load_explicit(&hal_process, memory_order_relaxed)) {
        return "it was started before this process was forked";
    }
    return NULL;
}

tarn_status hal_backend_check(const hal_backend *backend) {
    const char *reason = reason_of(backend);
    if (reason == NULL) return TARN_OK;
    return base_fail(TARN_UNAVAILABLE, "backend \"%s\" is unavailable: %s", backend->table.name, reason);
}

void hal_registry_before_fork(void) {
    hal_registry_lock();
    hal_devices_before_fork();
}

void hal_registry_after_fork_in_parent(void) {
    hal_devices_after_fork(false);
    hal_registry_unlock();
}

void hal_registry_after_fork_in_child(void) {
    hal_devices_after_fork(true);
    /* Nobody waits in the child, and whoever was starting or loading is not there to finish. */
    pthread_cond_init(&registry.changed, NULL);
    if (registry.path == PATH_LOADING) registry.path = PATH_LOADED;
    for (hal_backend *backend = registry.first; backend != NULL; backend = backend->next) {
        if (backend->state != HAL_BACKEND_STARTING) continue;
        backend->state = HAL_BACKEND_UNAVAILABLE;
        backend->reason = "the process was forked while it was being started";
    }
    hal_registry_unlock();
}

void hal_registry_stop_backends(void) {
    hal_registry_lock();
    for (hal_backend *backend = registry.first; backend != NULL; backend = backend->next) {
        /* A backend with open devices is left alone: the driver cleans up after the process itself. */
        if (reason_of(backend) != NULL || backend->state != HAL_BACKEND_AVAILABLE) continue;
        if (backend->open_devices > 0 || backend->table.stop == NULL) continue;
        backend->state = HAL_BACKEND_UNAVAILABLE;
        backend->reason = "the process is exiting";
        hal_registry_unlock();
        backend->table.stop();
        hal_registry_lock();
    }
    hal_registry_unlock();
}

tarn_status tarn_backend_register(const tarn_backend *table) {
    tarn_status status = hal_table_check(table);
    if (status == TARN_OK) status = hal_registry_prepare();
    if (status == TARN_OK) status = hal_registry_add(table, "");
    return status;
}

tarn_status tarn_backend_load(const char *path) {
    if (path == NULL || *path == '\0')
        return base_fail(TARN_INVALID_ARGUMENT, "the path of the backend to load is empty");
    tarn_status status = hal_registry_prepare();
    return status == TARN_OK ? hal_load(path) : status;
}

/* Counting a backend's devices is a driver call. */
static tarn_status check_bar(void) {
    if (!hal_is_any_barred()) return TARN_OK;
    return base_fail(TARN_INVALID_STATE, "work that runs on a stream of %s must not call the driver",
                     hal_running_stream()->device->name);
}

/* Must be called with the lock held, which is released while the backend starts and counts its devices. */
static void describe(hal_backend *backend, tarn_backend_info *out_info) {
    hal_backend_start(backend);
    const char *reason = reason_of(backend);
    *out_info = (tarn_backend_info){
        .struct_size = sizeof *out_info,
        .name = backend->table.name,
        .type = backend->table.type,
        .is_available = reason == NULL,
        .reason = reason != NULL ? reason : "",
        .shared_object = backend->shared_object,
    };
    if (reason != NULL) return;
    hal_registry_unlock();
    int count = 0;
    if (backend->table.device_count(&count) == TARN_OK && count > 0) out_info->device_count = count;
    hal_registry_lock();
}

tarn_status tarn_backend_find(const char *name, tarn_backend_info *out_info) {
    if (name == NULL || out_info == NULL)
        return base_fail(TARN_INVALID_ARGUMENT, "the name of the backend or the place for the answer is NULL");
    tarn_status status = check_bar();
    if (status == TARN_OK) status = hal_registry_prepare();
    if (status != TARN_OK) return status;
    hal_registry_lock();
    hal_backend *backend = hal_registry_find(name, strlen(name));
    tarn_backend_info info;
    if (backend != NULL) describe(backend, &info);
    hal_registry_unlock();
    if (backend == NULL) return base_fail(TARN_NOT_FOUND, "no backend is named \"%.64s\"", name);
    return base_fill_structure(out_info, &info, sizeof info, "tarn_backend_info");
}

tarn_status tarn_backend_each(int (*visit)(void *context, const tarn_backend_info *info), void *context) {
    if (visit == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the function to call for each backend is NULL");
    tarn_status status = check_bar();
    if (status == TARN_OK) status = hal_registry_prepare();
    if (status != TARN_OK) return status;
    hal_registry_lock();
    for (hal_backend *backend = hal_registry_first(); backend != NULL; backend = backend->next) {
        tarn_backend_info info;
        describe(backend, &info);
        hal_registry_unlock();
        int is_enough = visit(context, &info);
        hal_registry_lock();
        if (is_enough) break;
    }
    hal_registry_unlock();
    return TARN_OK;
}
