/* The fake driver's streams: work is taken from the front of each in turn, until none can go on. */
#include "fake_stream.h"

#include <stdlib.h>

/* The stream whose work the calling thread does. */
static _Thread_local tarn_backend_stream *running;

/* Takes the next piece of work that may run now; NULL when the stream is empty, stands at a gate, or waits. Must be called with
 * the lock held. */
static work *next_work(tarn_backend_stream *stream) {
    if (stream->gate != NULL && !gate_is_open(stream->gate)) return NULL;
    work *next = stream->first;
    if (stream->gate != NULL) {
        /* The work that raised the gate is done only now. */
        stream->gate = NULL;
        stream->done = next != NULL ? next->number - 1 : stream->given;
    }
    if (next == NULL) return NULL;
    if (next->awaited != NULL && next->awaited->done < next->awaited_number) return NULL;
    stream->first = next->next;
    if (stream->first == NULL) stream->last = NULL;
    return next;
}

/* Runs what can run; true when the stream got on, if only past a gate. Called with the lock held, which is dropped around each function. */
static bool advance(tarn_backend_stream *stream) {
    bool moved = false;
    if (stream->is_running) return false;
    stream->is_running = true;
    uint64_t done = stream->done;
    for (work *next; (next = next_work(stream)) != NULL; moved = true) {
        if (next->function != NULL) {
            tarn_backend_stream *before = running;
            running = stream;
            pthread_mutex_unlock(&fake_lock);
            next->function(next->context);
            pthread_mutex_lock(&fake_lock);
            running = before;
        }
        if (stream->gate == NULL) stream->done = next->number;
        free(next);
    }
    stream->is_running = false;
    return moved || stream->done != done;
}

void fake_streams_advance(tarn_backend_stream *streams) {
    bool moved = true;
    while (moved) {
        moved = false;
        for (tarn_backend_stream *stream = streams; stream != NULL; stream = stream->next)
            moved = advance(stream) || moved;
    }
}

void fake_stream_enqueue(tarn_backend_stream *streams, tarn_backend_stream *stream, work piece) {
    work *added = malloc(sizeof *added);
    if (added == NULL) abort();
    *added = piece;
    added->next = NULL;
    added->number = ++stream->given;
    if (stream->last != NULL) stream->last->next = added;
    else stream->first = added;
    stream->last = added;
    fake_streams_advance(streams);
}

void fake_hold(void *context) {
    pthread_mutex_lock(&fake_lock);
    if (running != NULL) running->gate = context;
    pthread_mutex_unlock(&fake_lock);
}

void fake_streams_open(tarn_backend_stream *streams) {
    for (tarn_backend_stream *stream = streams; stream != NULL; stream = stream->next)
        if (stream->gate != NULL) gate_open(stream->gate);
    fake_streams_advance(streams);
}

bool fake_streams_stand(const tarn_backend_stream *streams) {
    for (const tarn_backend_stream *stream = streams; stream != NULL; stream = stream->next)
        if (stream->gate != NULL) return true;
    return false;
}

tarn_backend_stream *fake_stream_add(tarn_backend_stream **inout_streams) {
    tarn_backend_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) abort();
    stream->next = *inout_streams;
    *inout_streams = stream;
    return stream;
}

void fake_streams_end(tarn_backend_stream *streams) {
    while (streams != NULL) {
        tarn_backend_stream *next = streams->next;
        free(streams);
        streams = next;
    }
}
