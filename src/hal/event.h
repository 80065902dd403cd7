/* Events for use inside Tarn: one driver object each, not counted, owned by whoever created it. They order work and tell no
 * time. The caller keeps the device alive, does not record and wait for one event in two threads at once, and pools them: creating
 * one is a driver call. */
#ifndef HAL_EVENT_H
#define HAL_EVENT_H

#include "hal/device.h"

typedef struct hal_event {
    tarn_device *device;
    tarn_backend_event *handle;
    atomic_uint stream; /* number of the stream it was last recorded on; 0 before that too. Relaxed */
} hal_event;

/* A wait of the host for the device, from its beginning to its end. */
typedef struct hal_wait {
    uint64_t cost;  /* simulated nanoseconds at the beginning */
    uint64_t began; /* host nanoseconds */
} hal_wait;

hal_wait hal_wait_begin(tarn_device *device);
/* Counts the wait: where time is simulated, if it cost any; else if `had_work`. */
void hal_wait_end(tarn_device *device, hal_wait wait, bool had_work);

tarn_status hal_event_create(tarn_device *device, hal_event **out_event);
/* NULL is allowed. */
void hal_event_destroy(hal_event *event);
/* Marks this point of `stream`, which belongs to the event's device. */
tarn_status hal_event_record(hal_event *event, tarn_stream *stream);
/* Never blocks. DEVICE_LOST and UNAVAILABLE as everywhere: nothing runs any more then. */
tarn_status hal_event_query(hal_event *event, bool *out_complete);
/* Waits for the work before the event. Counts a device wait, and its time, when the work was not complete at the call:
 * simulated nanoseconds where the device has a clock, else those of the host. INVALID_STATE inside a host function
 * of the stream that the event was recorded on, when it could never end. */
tarn_status hal_event_synchronize(hal_event *event);
/* The same without counting, for waits for several events that are one: between hal_wait_begin and hal_wait_end. Sets `*inout_had_work` where
 * the work was not complete at the call. */
tarn_status hal_event_synchronize_within(hal_event *event, bool *inout_had_work);
/* Later work of `stream`, which belongs to the event's device, waits for the event as it is recorded now; it may be recorded again
 * afterwards. INVALID_STATE while the stream is being captured. */
tarn_status hal_event_follow(hal_event *event, tarn_stream *stream);

#endif
