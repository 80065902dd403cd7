/* Devices and streams as the rooms above see them: facts that do not change, numbers of streams, news of their end,
 * and the clock of simulated devices. */
#ifndef HAL_DEVICE_H
#define HAL_DEVICE_H

#include "hal/types.h"

/* What the device said of itself when it was opened: alignment, maximum_alignment, granule, features, memory_kinds,
 * memory_total. It never changes; `memory_free` is that of the opening. */
static inline const tarn_device_properties *hal_device_properties(const tarn_device *device) {
    return &device->properties;
}

static inline bool hal_device_has_feature(const tarn_device *device, uint32_t feature) {
    return (device->properties.features & feature) != 0;
}

/* In the child of a fork, of a device that the parent opened: whoever waited for something of it there is missing here, and is not to be
 * waited for, not even by pthread_cond_destroy. */
static inline bool hal_device_is_inherited(const tarn_device *device) { return device->is_inherited; }

/* 0 is the default stream. Other streams get numbers from 1 on that are never used again while the device is open, so that a
 * stream whose handle the driver recycles cannot be mistaken for an older one. */
static inline uint32_t hal_stream_number(const tarn_stream *stream) { return stream->number; }

/* Retains a stream whose end the caller holds up, in a stream callback that has yet to return; false when its last reference has
 * gone. */
static inline bool hal_stream_retain_unless_ending(tarn_stream *stream) {
    unsigned references = atomic_load_explicit(&stream->references, memory_order_relaxed);
    if (stream->number == 0) return true;
    while (references != 0) {
        if (atomic_compare_exchange_weak_explicit(&stream->references, &references, references + 1,
                                                  memory_order_relaxed, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* NULL, after keeping the sentence "another device's stream": the slow end of hal_stream_or_default. */
tarn_stream *hal_stream_refuse(const tarn_device *device, const tarn_stream *stream);

/* The stream itself, or the default one for NULL. NULL, with the sentence kept, for a stream of another device: the
 * caller returns TARN_INVALID_ARGUMENT. */
static inline tarn_stream *hal_stream_or_default(tarn_device *device, tarn_stream *stream) {
    if (stream == NULL) return &device->default_stream;
    if (stream->device != device) return hal_stream_refuse(device, stream);
    return stream;
}

/* Called when the last reference of a stream goes: its work has finished, its number is still its own, and events may
 * still be recorded on it. Without locks, on the releasing thread. */
typedef void (*hal_stream_callback)(void *context, tarn_stream *stream);

/* Has `callback(context, stream)` called for each stream of the device that ends. OUT_OF_MEMORY. The default stream
 * ends with the device and is not announced. */
tarn_status hal_device_on_stream_destroy(tarn_device *device, hal_stream_callback callback, void *context);
/* Ends that. When it returns, the callback is not running and will not run again, except for the call that this was
 * called from, if any. Must not be called with a lock held that the callback takes. A pair that was not added is ignored. */
void hal_device_remove_stream_callback(tarn_device *device, hal_stream_callback callback, void *context);

/* OK while the device can be called: DEVICE_LOST after the backend once said so, UNAVAILABLE in a forked child and
 * while the process exits, each with its sentence. */
tarn_status hal_device_check(tarn_device *device);

/* Whether the device's time is simulated. */
bool hal_device_has_clock(const tarn_device *device);
/* Sets the simulated clock forward. NOT_SUPPORTED without one. */
tarn_status hal_device_clock_set(tarn_device *device, uint64_t nanoseconds);
/* Tells a device with a simulated clock that the traced program has enqueued work on the stream up to now, where it wants to know. */
tarn_status hal_device_clock_enqueue(tarn_device *device, tarn_stream *stream);
/* How long the driver calls and waits so far have taken in simulated time; 0 without a clock. */
uint64_t hal_device_clock_cost(tarn_device *device);

#endif
