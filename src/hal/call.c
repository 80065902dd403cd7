/* Calling backends: what they may say while they are called, and what becomes of their answers. */
#include "hal/call.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "hal/registry.h"

/* Whether the backend that this thread calls has explained itself since hal_listen. */
static _Thread_local bool has_spoken;

void hal_listen(void) { has_spoken = false; }

static TARN_PRINTF(2, 3) tarn_status host_fail(tarn_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    base_fail_arguments(status, format, arguments);
    va_end(arguments);
    has_spoken = true;
    return status;
}

const tarn_backend_host hal_host = {.struct_size = sizeof(tarn_backend_host), .fail = host_fail, .log = base_log};

tarn_status hal_answer_failure(tarn_device *device, tarn_status status, const char *call) {
    if (status < TARN_OK || status > TARN_INTERNAL) {
        base_fail(TARN_INTERNAL, "%s answered %d, which is no status", call, (int)status);
        status = TARN_INTERNAL;
    } else if (!has_spoken) {
        base_fail(status, "%s answered %s without a reason", call, tarn_status_name(status));
    }
    if (device == NULL) return status;
    base_fail_within(status, "%s", device->name);
    if (status == TARN_DEVICE_LOST && !atomic_exchange_explicit(&device->is_lost, true, memory_order_relaxed)) {
        base_log(TARN_LOG_ERROR, "%s: the device is lost; every later call on it fails", device->name);
    }
    return status;
}

tarn_status hal_device_check(tarn_device *device) {
    if (hal_device_is_reachable(device)) return hal_device_check_bar(device);
    if (hal_device_is_ours(device)) return base_fail(TARN_DEVICE_LOST, "%s: the device was lost earlier", device->name);
    if (hal_process_is_exiting()) return base_fail(TARN_UNAVAILABLE, "%s: the process is exiting", device->name);
    return base_fail(TARN_UNAVAILABLE, "%s: the device was opened before this process was forked", device->name);
}

hal_wait hal_wait_begin(tarn_device *device) {
    if (hal_device_has_clock(device)) return (hal_wait){.cost = hal_device_clock_cost(device)};
    return (hal_wait){.began = base_clock_ns()};
}

void hal_wait_end(tarn_device *device, hal_wait wait, bool had_work) {
    uint64_t nanoseconds;
    if (hal_device_has_clock(device)) {
        nanoseconds = hal_device_clock_cost(device) - wait.cost;
        had_work = nanoseconds > 0;
    } else {
        nanoseconds = base_clock_ns() - wait.began;
    }
    if (!had_work) return;
    atomic_fetch_add_explicit(&device->counters.waits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&device->counters.wait_ns, nanoseconds, memory_order_relaxed);
}

bool hal_device_has_clock(const tarn_device *device) {
    return device->table->clock_set != NULL && device->table->clock_cost != NULL;
}

tarn_status hal_device_clock_set(tarn_device *device, uint64_t nanoseconds) {
    if (!hal_device_has_clock(device)) return base_fail(TARN_NOT_SUPPORTED, "%s has no simulated clock", device->name);
    tarn_status status = hal_device_check(device);
    return status == TARN_OK ? HAL_CALL(device, clock_set, nanoseconds) : status;
}

tarn_status hal_device_clock_enqueue(tarn_device *device, tarn_stream *stream) {
    if (device->table->clock_enqueue == NULL) return TARN_OK;
    tarn_status status = hal_device_check(device);
    return status == TARN_OK ? HAL_CALL(device, clock_enqueue, stream->handle) : status;
}

uint64_t hal_device_clock_cost(tarn_device *device) {
    uint64_t cost = 0;
    if (!hal_device_has_clock(device) || !hal_device_is_reachable(device)) return 0;
    return device->table->clock_cost(device->handle, &cost) == TARN_OK ? cost : 0;
}
