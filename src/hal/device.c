/* Devices: opened by name, one for each name, closed with the last reference.
 *
 * A backend may take long to open a device, so the registry's lock is released meanwhile and a placeholder stands in the list:
 * whoever wants the same name waits for it instead of opening a second one. */
#include "hal/device.h"

#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/structure.h"
#include "hal/call.h"
#include "hal/graph.h"
#include "hal/peer.h"
#include "hal/registry.h"

/* Longer names are refused: they would fill every sentence. */
#define LONGEST_NAME 255

/* All open devices and placeholders. Protected by the registry's lock. */
static tarn_device *devices;

/* Must be called with the registry's lock held. Devices from before a fork do not count. */
static tarn_device *find_device(const char *name) {
    tarn_device *device = devices;
    while (device != NULL && !(hal_device_is_ours(device) && strcmp(device->name, name) == 0)) device = device->next;
    return device;
}

/* Must be called with the registry's lock held. */
static void unlink_device(tarn_device *device) {
    tarn_device **link = &devices;
    while (*link != device) link = &(*link)->next;
    *link = device->next;
    device->backend->open_devices--;
}

static void free_device(tarn_device *device) {
    hal_watchers_end(device);
    hal_regions_free(device);
    pthread_mutex_destroy(&device->region_lock);
    base_free(device->name);
    base_free(device);
}

static tarn_status create_placeholder(const char *name, hal_backend *backend, tarn_device **out_device) {
    tarn_device *device = base_allocate(1, sizeof *device);
    char *copy = base_duplicate(name);
    if (device == NULL || copy == NULL) {
        base_free(device);
        base_free(copy);
        return base_fail(TARN_OUT_OF_MEMORY, "no host memory to open device \"%s\"", name);
    }
    device->name = copy;
    device->table = &backend->table;
    device->backend = backend;
    device->process = atomic_load_explicit(&hal_process, memory_order_relaxed);
    device->is_opening = true;
    device->opener = pthread_self();
    device->default_stream.device = device;
    atomic_init(&device->references, 1);
    atomic_init(&device->default_stream.references, 1);
    pthread_mutex_init(&device->region_lock, NULL);
    hal_watchers_start(device);
    *out_device = device;
    return TARN_OK;
}

/* A backend's answer is believed only when it makes sense: allocators compute with these. */
static tarn_status check_properties(tarn_device *device, const tarn_device_properties *properties) {
    const char *name = device->name;
    if (!is_power_of_two(properties->alignment) || !is_power_of_two(properties->maximum_alignment) ||
        properties->maximum_alignment < properties->alignment) {
        return base_fail(TARN_INTERNAL, "%s: the backend gives alignments from %zu to %zu", name, properties->alignment,
                         properties->maximum_alignment);
    }
    bool is_virtual = (properties->features & TARN_FEATURE_VIRTUAL_MEMORY) != 0;
    if (is_virtual && device->table->virtual_reserve == NULL) {
        return base_fail(TARN_INTERNAL, "%s: the backend claims virtual memory and has no functions for it", name);
    }
    if ((properties->features & TARN_FEATURE_STREAM_ORDERED) != 0 && device->table->stream_ordered == NULL) {
        return base_fail(TARN_INTERNAL, "%s: the backend claims stream-ordered memory and has no functions for it",
                         name);
    }
    if (is_virtual && (!is_power_of_two(properties->granule) || properties->granule < properties->alignment)) {
        return base_fail(TARN_INTERNAL, "%s: the backend gives a granule of %zu bytes", name, properties->granule);
    }
    return TARN_OK;
}

/* Asks the backend for the device's properties, as it says them. */
static tarn_status read_properties(tarn_device *device, tarn_device_properties *out_properties) {
    *out_properties = (tarn_device_properties){.struct_size = sizeof *out_properties};
    tarn_status status = HAL_CALL(device, device_properties, out_properties);
    if (status != TARN_OK) return status;
    out_properties->struct_size = sizeof *out_properties;
    out_properties->name[sizeof out_properties->name - 1] = '\0';
    if ((out_properties->features & TARN_FEATURE_VIRTUAL_MEMORY) == 0) out_properties->granule = 0;
    return check_properties(device, out_properties);
}

/* Opens the backend's device behind the placeholder. Called without locks. */
static tarn_status open_handle(tarn_device *device) {
    const char *colon = strchr(device->name, ':');
    tarn_backend_device *handle = NULL;
    hal_listen();
    tarn_status status = device->table->device_open(colon != NULL ? colon + 1 : "", &handle);
    status = hal_answer(device, status, "device_open");
    if (status != TARN_OK) return status;
    if (handle == NULL)
        return base_fail(TARN_INTERNAL, "%s: the backend opened the device and gave none", device->name);
    device->handle = handle;
    status = read_properties(device, &device->properties);
    if (status == TARN_OK) {
        device->default_stream.handle = device->table->stream_default(handle);
        if (device->default_stream.handle == NULL) {
            status = base_fail(TARN_INTERNAL, "%s: the backend has no default stream", device->name);
        }
    }
    if (status != TARN_OK) device->table->device_close(handle);
    return status;
}

/* Opens a device that is not in the list. Must be called with the registry's lock held, which is released meanwhile. */
static tarn_status open_device(const char *name, hal_backend *backend, tarn_device **out_device) {
    tarn_device *device;
    tarn_status status = create_placeholder(name, backend, &device);
    if (status != TARN_OK) return status;
    device->next = devices;
    devices = device;
    backend->open_devices++;
    hal_registry_unlock();
    status = open_handle(device);
    hal_registry_lock();
    device->is_opening = false;
    if (status != TARN_OK) unlink_device(device);
    hal_registry_announce();
    if (status != TARN_OK) free_device(device);
    else *out_device = device;
    return status;
}

/* Must be called with the registry's lock held, which may be released meanwhile. */
static tarn_status find_or_open(const char *name, size_t backend_length, tarn_device **out_device) {
    for (;;) {
        tarn_device *device = find_device(name);
        if (device != NULL && !device->is_opening) {
            *out_device = tarn_device_retain(device);
            return TARN_OK;
        }
        if (device != NULL) {
            if (pthread_equal(device->opener, pthread_self())) {
                return base_fail(TARN_BUSY, "device \"%s\" is just being opened by this thread", name);
            }
            hal_registry_wait();
            continue;
        }
        hal_backend *backend = hal_registry_find(name, backend_length);
        if (backend == NULL) {
            return base_fail(TARN_NOT_FOUND, "device \"%s\": there is no backend \"%.*s\"", name, (int)backend_length,
                             name);
        }
        bool may_have_waited = backend->state == HAL_BACKEND_IDLE || backend->state == HAL_BACKEND_STARTING;
        hal_backend_start(backend);
        tarn_status status = hal_backend_check(backend);
        if (status != TARN_OK) return status;
        if (hal_is_barred(backend)) {
            return base_fail(TARN_INVALID_STATE,
                             "device \"%s\": work that runs on a stream of its backend must not call the driver", name);
        }
        if (!may_have_waited) return open_device(name, backend, out_device);
    }
}

/* What stands before the colon; 0 for a malformed name. */
static size_t backend_length_of(const char *name) {
    size_t length = strcspn(name, ":");
    bool has_empty_arguments = name[length] == ':' && name[length + 1] == '\0';
    return has_empty_arguments || strlen(name) > LONGEST_NAME ? 0 : length;
}

tarn_status tarn_device_open(const char *name, tarn_device **out_device) {
    if (name == NULL || out_device == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device's name or the place for it is NULL");
    }
    size_t backend_length = backend_length_of(name);
    if (backend_length == 0) {
        return base_fail(TARN_INVALID_ARGUMENT,
                         "\"%.64s\" is no device's name: BACKEND or BACKEND:ARGUMENTS, at most %d bytes", name,
                         LONGEST_NAME);
    }
    tarn_status status = hal_registry_prepare();
    if (status != TARN_OK) return status;
    hal_registry_lock();
    status = find_or_open(name, backend_length, out_device);
    hal_registry_unlock();
    return status;
}

tarn_device *tarn_device_retain(tarn_device *device) {
    if (device != NULL) atomic_fetch_add_explicit(&device->references, 1, memory_order_relaxed);
    return device;
}

/* Drops one reference; true when it was the last, and the device is in the list no more. Only with the lock held does the
 * count reach 0, so that nobody finds a device that is about to close. */
static bool drop_reference(tarn_device *device) {
    unsigned count = atomic_load_explicit(&device->references, memory_order_relaxed);
    while (count > 1) {
        /* Release: what this thread did with the device comes before its closing. */
        if (atomic_compare_exchange_weak_explicit(&device->references, &count, count - 1, memory_order_release,
                                                  memory_order_relaxed)) {
            return false;
        }
    }
    hal_registry_lock();
    bool is_last = atomic_fetch_sub_explicit(&device->references, 1, memory_order_acq_rel) == 1;
    if (is_last) unlink_device(device);
    hal_registry_unlock();
    return is_last;
}

tarn_status hal_device_check_release(const tarn_device *device) {
    const tarn_stream *running = hal_running_stream();
    if (running == NULL || (running->device != device && !hal_is_barred(device->backend))) return TARN_OK;
    if (atomic_load_explicit(&device->references, memory_order_relaxed) > 1) return TARN_OK;
    return base_fail(TARN_BUSY, "%s: work that runs on the device would release its last reference", device->name);
}

tarn_status tarn_device_release(tarn_device *device) {
    if (device == NULL) return TARN_OK;
    tarn_status status = hal_device_check_release(device);
    if (status != TARN_OK) return status;
    hal_graphs_reap(device);
    if (!drop_reference(device)) return TARN_OK;
    if (hal_device_is_reachable(device)) status = HAL_CALL_ALONE(device, device_synchronize);
    hal_peers_end(device);
    if (hal_device_is_ours(device)) device->table->device_close(device->handle);
    free_device(device);
    return status;
}

const char *tarn_device_name(const tarn_device *device) { return device != NULL ? device->name : ""; }

tarn_device_type tarn_device_type_of(const tarn_device *device) {
    return device != NULL ? device->table->type : TARN_DEVICE_OTHER;
}

tarn_status tarn_device_properties_get(tarn_device *device, tarn_device_properties *out_properties) {
    if (device == NULL || out_properties == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device or the place for its properties is NULL");
    }
    tarn_status status = hal_device_check(device);
    tarn_device_properties properties;
    if (status == TARN_OK) status = read_properties(device, &properties);
    if (status != TARN_OK) return status;
    return base_fill_structure(out_properties, &properties, sizeof properties, "tarn_device_properties");
}

tarn_status tarn_device_synchronize(tarn_device *device) {
    if (device == NULL) return base_fail(TARN_INVALID_ARGUMENT, "the device to wait for is NULL");
    tarn_status status = hal_device_check(device);
    if (status != TARN_OK) return status;
    const tarn_stream *running = hal_running_stream();
    if (running != NULL && running->device == device) {
        return base_fail(TARN_INVALID_STATE, "%s: work that runs on the device cannot wait for all of it",
                         device->name);
    }
    status = hal_capture_check_device(device);
    if (status != TARN_OK) return status;
    bool had_work = atomic_exchange_explicit(&device->has_work, false, memory_order_relaxed);
    hal_wait wait = hal_wait_begin(device);
    status = HAL_CALL_ALONE(device, device_synchronize);
    hal_wait_end(device, wait, had_work);
    hal_graphs_reap(device);
    if (status != TARN_OK) return status;
    return hal_report_failure(device, &device->failure);
}

tarn_stream *tarn_device_default_stream(tarn_device *device) { return device != NULL ? &device->default_stream : NULL; }

tarn_status tarn_device_counters_get(tarn_device *device, tarn_device_counters *out_counters) {
    if (device == NULL || out_counters == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the device or the place for its counters is NULL");
    }
    hal_counters *counters = &device->counters;
    tarn_device_counters full = {
        .struct_size = sizeof full,
        .driver_allocs = atomic_load_explicit(&counters->allocs, memory_order_relaxed),
        .driver_frees = atomic_load_explicit(&counters->frees, memory_order_relaxed),
        .driver_maps = atomic_load_explicit(&counters->maps, memory_order_relaxed),
        .driver_unmaps = atomic_load_explicit(&counters->unmaps, memory_order_relaxed),
        .device_waits = atomic_load_explicit(&counters->waits, memory_order_relaxed),
        .device_wait_ns = atomic_load_explicit(&counters->wait_ns, memory_order_relaxed),
        .memory_in_use = atomic_load_explicit(&counters->in_use, memory_order_relaxed),
        .memory_peak = atomic_load_explicit(&counters->peak, memory_order_relaxed),
    };
    return base_fill_structure(out_counters, &full, sizeof full, "tarn_device_counters");
}

void hal_devices_before_fork(void) {
    for (tarn_device *device = devices; device != NULL; device = device->next) {
        pthread_mutex_lock(&device->lock);
        pthread_mutex_lock(&device->region_lock);
    }
}

void hal_devices_after_fork(bool in_child) {
    for (tarn_device *device = devices; device != NULL; device = device->next) {
        pthread_mutex_unlock(&device->region_lock);
        pthread_mutex_unlock(&device->lock);
        if (!in_child) continue;
        device->is_inherited = true;
        hal_watchers_after_fork(device);
    }
}
