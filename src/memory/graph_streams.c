/* The streams of a graph pool; see graph_streams.h. */
#include "memory/graph_streams.h"

#include "base/status.h"

void graph_streams_begin(graph_streams *streams, tarn_device *device, pthread_mutex_t *lock) {
    streams->device = device;
    streams->lock = lock;
    pthread_cond_init(&streams->waited, NULL);
}

void graph_streams_end(graph_streams *streams) {
    for (uint32_t slot = 0; slot < GRAPH_SLOTS; slot++) hal_event_destroy(streams->slots[slot].event);
    if (!hal_device_is_inherited(streams->device)) pthread_cond_destroy(&streams->waited);
}

uint32_t graph_streams_find(const graph_streams *streams, const tarn_stream *stream) {
    for (uint32_t slot = 0; slot < GRAPH_SHARED_SLOT; slot++) {
        if (streams->slots[slot].stream == stream) return slot;
    }
    return GRAPH_NO_SLOT;
}

uint32_t graph_streams_slot(graph_streams *streams, tarn_stream *stream) {
    uint32_t slot = graph_streams_find(streams, stream);
    if (slot != GRAPH_NO_SLOT) return slot;
    slot = graph_streams_find(streams, NULL);
    if (slot == GRAPH_NO_SLOT) return GRAPH_SHARED_SLOT;
    streams->slots[slot].stream = stream;
    return slot;
}

tarn_stream *graph_streams_stream(const graph_streams *streams, uint32_t slot) {
    return slot < GRAPH_SHARED_SLOT ? streams->slots[slot].stream : NULL;
}

uint64_t graph_streams_freed(graph_streams *streams, uint64_t uses) {
    streams->clock++;
    for (; uses != 0; uses &= uses - 1) streams->slots[__builtin_ctzll(uses)].freed = streams->clock;
    return streams->clock;
}

uint64_t graph_streams_left(const graph_streams *streams, uint64_t uses, uint64_t freed_at) {
    uint64_t left = uses;
    for (; uses != 0; uses &= uses - 1) {
        if (streams->slots[__builtin_ctzll(uses)].done >= freed_at) left &= ~(uses & -uses);
    }
    return left;
}

/* Whether the slot's stream has passed its mark. */
static bool ask(graph_slot *slot) {
    bool is_complete = false;
    if (!slot->has_mark || hal_event_query(slot->event, &is_complete) != TARN_OK || !is_complete) return false;
    slot->has_mark = false;
    if (slot->marked <= slot->done) return false;
    slot->done = slot->marked;
    return true;
}

static void mark(graph_streams *streams, graph_slot *slot) {
    if (slot->event == NULL && hal_event_create(streams->device, &slot->event) != TARN_OK) return;
    if (hal_event_record(slot->event, slot->stream) != TARN_OK) return;
    slot->has_mark = true;
    slot->marked = streams->clock;
}

bool graph_streams_poll(graph_streams *streams) {
    bool is_known = false;
    for (uint32_t i = 0; i < GRAPH_SHARED_SLOT; i++) {
        graph_slot *slot = &streams->slots[i];
        if (slot->stream == NULL || slot->freed <= slot->done) continue;
        is_known = ask(slot) || is_known;
        if (slot->freed <= slot->done || slot->has_mark) continue;
        mark(streams, slot);
        is_known = ask(slot) || is_known;
    }
    return is_known;
}

/* A lost device runs nothing any more. */
static tarn_status ended(tarn_status status) {
    return status == TARN_DEVICE_LOST || status == TARN_UNAVAILABLE ? TARN_OK : status;
}

/* Waits for the stream's work so far, without the lock. Where no event can be had, for the stream as a whole. */
static tarn_status wait_for(tarn_device *device, tarn_stream *stream, bool *out_is_waited) {
    hal_event *event = NULL;
    bool is_complete = false;
    tarn_status status = hal_event_create(device, &event);
    if (status == TARN_OK) status = hal_event_record(event, stream);
    if (status == TARN_OK) (void)hal_event_query(event, &is_complete);
    if (status == TARN_OK && !is_complete) status = hal_event_synchronize(event);
    *out_is_waited = !is_complete;
    hal_event_destroy(event);
    return ended(status) == TARN_OK ? TARN_OK : ended(tarn_stream_synchronize(stream));
}

static tarn_status wait_for_slot(graph_streams *streams, graph_slot *slot, bool is_shared) {
    uint64_t clock = streams->clock;
    tarn_stream *stream = slot->stream;
    bool is_waited = true;
    slot->waiting++;
    pthread_mutex_unlock(streams->lock);
    tarn_status status =
        is_shared ? ended(tarn_device_synchronize(streams->device)) : wait_for(streams->device, stream, &is_waited);
    pthread_mutex_lock(streams->lock);
    slot->waiting--;
    if (is_waited) streams->waits++;
    pthread_cond_broadcast(&streams->waited);
    if (status == TARN_OK && clock > slot->done) slot->done = clock;
    return status;
}

tarn_status graph_streams_wait(graph_streams *streams, bool *out_is_known) {
    tarn_status first = TARN_OK;
    *out_is_known = false;
    for (uint32_t i = 0; i < GRAPH_SLOTS; i++) {
        graph_slot *slot = &streams->slots[i];
        bool is_shared = i == GRAPH_SHARED_SLOT;
        if ((slot->stream == NULL && !is_shared) || slot->freed <= slot->done) continue;
        tarn_status status = wait_for_slot(streams, slot, is_shared);
        if (status == TARN_OK) *out_is_known = true;
        else if (first == TARN_OK) first = status;
    }
    return first;
}

bool graph_streams_forget(graph_streams *streams, const tarn_stream *stream, uint32_t *out_slot) {
    uint32_t number = graph_streams_find(streams, stream);
    if (number == GRAPH_NO_SLOT) return false;
    graph_slot *slot = &streams->slots[number];
    while (slot->waiting > 0 && !hal_device_is_inherited(streams->device))
        pthread_cond_wait(&streams->waited, streams->lock);
    hal_event *event = slot->event;
    *slot = (graph_slot){.event = event};
    *out_slot = number;
    return true;
}
