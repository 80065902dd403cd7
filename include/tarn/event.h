/* Events: points in a stream that can be asked about and waited for. Any thread. */
#ifndef TARN_EVENT_H
#define TARN_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include <tarn/device.h>

TARN_BEGIN_DECLARATIONS

typedef struct tarn_event tarn_event;

/* Caller owns one reference; an event that was never recorded is complete. tarn_stream_record marks it. */
TARN_API tarn_status tarn_event_create(tarn_device *device, tarn_event **out_event);

typedef struct tarn_event_options {
    size_t struct_size;
    int is_untimed; /* not 0: the event only orders work and is never asked for time, which costs less on some devices (cuda) */
} tarn_event_options;

/* The same, with options; NULL: tarn_event_create. INVALID_ARGUMENT for options that this version does not know. */
TARN_API tarn_status tarn_event_create_with(tarn_device *device, const tarn_event_options *options,
                                            tarn_event **out_event);
TARN_API tarn_event *tarn_event_retain(tarn_event *event);
/* NULL is allowed. */
TARN_API tarn_status tarn_event_release(tarn_event *event);
/* Writes 1 when the work before the event has finished, 0 otherwise. */
TARN_API tarn_status tarn_event_is_complete(tarn_event *event, int *out_complete);
TARN_API tarn_status tarn_event_synchronize(tarn_event *event);
/* Nanoseconds between two complete events of one device. INVALID_STATE while either is not complete, and for one that was created
 * untimed. */
TARN_API tarn_status tarn_event_elapsed(tarn_event *begin, tarn_event *end, int64_t *out_nanoseconds);

TARN_END_DECLARATIONS

#endif
