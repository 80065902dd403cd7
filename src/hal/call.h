/* Calling a backend and judging what it answers: the one way in which the hardware layer reaches a driver. */
#ifndef HAL_CALL_H
#define HAL_CALL_H

#include "hal/event.h"

/* What backends are given at their start. */
extern const tarn_backend_host hal_host;

/* Whether the backend explained its failure since hal_listen, on this thread. */
void hal_listen(void);
/* Turns a backend's failure into Tarn's: an unknown status becomes INTERNAL, DEVICE_LOST is latched and logged once,
 * and the sentence begins with the device's name. */
tarn_status hal_answer_failure(tarn_device *device, tarn_status status, const char *call);

static inline tarn_status hal_answer(tarn_device *device, tarn_status status, const char *call) {
    return status == TARN_OK ? TARN_OK : hal_answer_failure(device, status, call);
}

/* HAL_CALL(device, stream_wait, stream, event) calls that function of the device's table. */
#define HAL_CALL(device, function, ...) \
    hal_answer(device, (hal_listen(), (device)->table->function((device)->handle, __VA_ARGS__)), #function)
/* The same for functions that take the device alone. */
#define HAL_CALL_ALONE(device, function) \
    hal_answer(device, (hal_listen(), (device)->table->function((device)->handle)), #function)

/* As hal_device_check, but only says whether the driver may be called; keeps no sentence. */
static inline bool hal_device_is_reachable(const tarn_device *device) {
    return device->process == atomic_load_explicit(&hal_process, memory_order_relaxed) &&
           !atomic_load_explicit(&device->is_lost, memory_order_relaxed);
}

/* Whether this process may touch the backend's objects at all: not in a forked child, not while exiting. A lost device's
 * host-side objects are still destroyed. */
static inline bool hal_device_is_ours(const tarn_device *device) {
    return device->process == atomic_load_explicit(&hal_process, memory_order_relaxed);
}

/* Reports, once, that work failed after it was enqueued: takes the status out of `failure`. */
tarn_status hal_report_failure(const tarn_device *device, atomic_int *failure);

/* The stream whose host function the calling thread is running, or NULL. */
tarn_stream *hal_running_stream(void);

/* Whether the calling thread runs a host function of the backend, whose driver must not be called from one. */
bool hal_is_barred(const hal_backend *backend);
/* Whether there is such a backend. */
bool hal_is_any_barred(void);
/* INVALID_STATE where the device's backend is barred. */
tarn_status hal_device_check_bar(const tarn_device *device);

/* Runs `function(context)` in the stream's order, with the stream noted as the running one. */
tarn_status hal_stream_enqueue_work(tarn_stream *stream, tarn_host_function function, void *context);
/* Keeps the first failure of work that runs later, for the next wait for the stream and the next for its device, and logs the
 * thread's last sentence. */
void hal_stream_keep_failure(tarn_stream *stream, tarn_status status);
/* Calls the function on this thread with the stream noted as the running one. */
void hal_stream_run(tarn_stream *stream, tarn_host_function function, void *context);
/* Notes that a later wait for the stream or its device is a real one. */
void hal_stream_note_work(tarn_stream *stream);
/* INVALID_ARGUMENT for NULL, else whether its device can be called. */
tarn_status hal_stream_check(const tarn_stream *stream);
/* INVALID_ARGUMENT unless these are `size` bytes that do not wrap and do not begin at NULL; `what` begins their name. */
tarn_status hal_check_range(const tarn_device *device, const void *address, size_t size, const char *what);
/* What can be wrong with the arguments of a copy and a fill; a size of 0 is right. */
tarn_status hal_check_copy(const tarn_device *device, const void *destination, const void *source, size_t size);
tarn_status hal_check_fill(const tarn_device *device, const void *destination, const void *pattern, size_t pattern_size,
                           size_t size);

/* BUSY when the device's last reference would be dropped by a host function that runs on the device itself, which
 * would have to wait for its own end. */
tarn_status hal_device_check_release(const tarn_device *device);

/* Creates and frees the parts of a device that belong to the layer, for device.c. */
void hal_watchers_start(tarn_device *device);
void hal_watchers_end(tarn_device *device);
/* In the child of a fork no callback runs any more. */
void hal_watchers_after_fork(tarn_device *device);
/* Tells the watchers that a stream ends. */
void hal_watchers_notify(tarn_device *device, tarn_stream *stream);

/* Frees what the layer remembers about memory that was never given back. */
void hal_regions_free(tarn_device *device);

#endif
