/* The fake driver's streams, apart from its table. A stream is a list of work with ascending numbers and the number of the last
 * work done; an event is the number that was last given out when it was recorded. Work is done whenever something is enqueued
 * or a gate is opened, on the calling thread. All functions are called with fake_lock held, and drop it around each piece of
 * work. */
#ifndef TESTS_SUPPORT_FAKE_STREAM_H
#define TESTS_SUPPORT_FAKE_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "fake.h"
#include "gate.h"

typedef struct work {
    struct work *next;
    tarn_host_function function; /* NULL: a wait */
    void *context;
    tarn_backend_stream *awaited; /* until it has done `awaited_number` */
    uint64_t awaited_number;
    uint64_t number;
} work;

struct tarn_backend_stream {
    tarn_backend_stream *next; /* all of the device; kept until it closes, for events that still name it */
    work *first, *last;
    test_gate *gate; /* it stands here, or NULL */
    uint64_t given, done;
    bool is_running, is_destroyed;
};

struct tarn_backend_event {
    tarn_backend_stream *stream; /* NULL: never recorded */
    uint64_t number;
};

/* The one lock of the fake driver; in fake.c. */
extern pthread_mutex_t fake_lock;

/* Puts a new stream before the others of its device. */
tarn_backend_stream *fake_stream_add(tarn_backend_stream **inout_streams);
/* Adds a piece of work, and does what can be done on all the device's streams. */
void fake_stream_enqueue(tarn_backend_stream *streams, tarn_backend_stream *stream, work piece);
void fake_streams_advance(tarn_backend_stream *streams);
/* Time passes: every gate opens. */
void fake_streams_open(tarn_backend_stream *streams);
bool fake_streams_stand(const tarn_backend_stream *streams);
void fake_streams_end(tarn_backend_stream *streams);

/* Whether the stream has done that work; a NULL stream has. */
static inline bool fake_stream_is_done(const tarn_backend_stream *stream, uint64_t number) {
    return stream == NULL || stream->done >= number;
}

#endif
