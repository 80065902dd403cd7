/* What a capture is, for the files that note work in it (graph_capture.c) and that lend it memory (graph_lend.c). */
#ifndef HAL_CAPTURE_H
#define HAL_CAPTURE_H

#include <pthread.h>

#include "base/status.h"
#include "hal/graph.h"

/* All protected by the device's lock. */
struct hal_capture {
    tarn_device *device;
    uint64_t number;
    tarn_capture_mode mode;
    pthread_t thread; /* that began it */
    /* The first is the one on which it began, and is not kept alive; of the others there is one reference each. */
    tarn_stream *streams[HAL_CAPTURE_STREAMS];
    hal_clock clocks[HAL_CAPTURE_STREAMS];
    unsigned stream_count;
    hal_nodes *nodes;
    hal_graph_clients *clients;
    hal_capture *next; /* of the device */
};

static inline tarn_status hal_capture_refuse(const tarn_device *device, const tarn_stream *stream,
                                             const char *sentence) {
    return base_fail(TARN_INVALID_STATE, "%s: stream %u %s", device->name, stream->number, sentence);
}

/* Both must be called with the device's lock held. */

static inline hal_clock *hal_capture_clock_of(const tarn_stream *stream) {
    return &stream->capture->clocks[stream->capture_place];
}

/* One more piece of work of the stream. */
static inline uint32_t hal_capture_advance(const tarn_stream *stream) {
    return ++hal_capture_clock_of(stream)->at[stream->capture_place];
}

#endif
