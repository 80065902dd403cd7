/* Which streams use the memory of a direct allocator, and waiting for them.
 *
 * A buffer remembers numbers of streams, for a stream may end before the buffer does. The streams themselves are kept in
 * one list; a stream that is not in it has ended, and its work with it. */
#ifndef MEMORY_DIRECT_STREAMS_H
#define MEMORY_DIRECT_STREAMS_H

#include <pthread.h>

#include "hal/device.h"
#include "hal/event.h"

/* A stream that a buffer is used on. */
typedef struct direct_use {
    uint32_t stream; /* its number */
    struct direct_use *next;
} direct_use;

typedef struct direct_stream {
    tarn_stream *stream; /* borrowed: it leaves the list when it ends */
    uint32_t number;
    unsigned waiting; /* threads that wait for it: its end waits for them */
    struct direct_stream *next;
} direct_stream;

#define DIRECT_EVENTS 8

typedef struct direct_streams {
    tarn_device *device;
    pthread_mutex_t lock; /* protects what follows and all lists of uses; never held while the driver is called */
    pthread_cond_t waited;
    direct_stream *list;
    hal_event *events[DIRECT_EVENTS]; /* not in use */
    unsigned event_count;
    uint64_t waits; /* times that work had not finished */
} direct_streams;

tarn_status direct_streams_begin(direct_streams *streams, tarn_device *device);
void direct_streams_end(direct_streams *streams);

/* Adds the stream to a buffer's uses. OUT_OF_MEMORY, with nothing changed. */
tarn_status direct_streams_use(direct_streams *streams, tarn_stream *stream, direct_use **inout_uses);
/* Waits for the work so far of all streams of the list. What fails to be waited for is returned; a device that is lost or out
 * of reach does nothing any more and counts as waited for. */
tarn_status direct_streams_wait(direct_streams *streams, const direct_use *uses);
uint64_t direct_streams_waits(direct_streams *streams);
void direct_uses_free(direct_use *uses);

#endif
