/* Blocks that wait for other streams, and waiting itself; see caching_pending.h. */
#include "memory/caching_pending.h"

#include "base/memory.h"
#include "base/status.h"
#include "memory/caching_heap.h"
#include "memory/caching_physical.h"

typedef struct point {
    tarn_stream *stream; /* one reference */
    hal_event *event;    /* NULL when none could be recorded: then only waiting for the stream will do */
} point;

/* The other streams of a block, kept from the first use by one of them on, so that the free needs no host memory. */
struct caching_pending {
    caching_pending *next;
    memory_block *block;    /* once it is freed, and waits */
    size_t count, capacity; /* while the block is live there is room for one more */
    point points[];
};

static bool is_known(const caching_pending *pending, const tarn_stream *stream) {
    for (size_t i = 0; i < pending->count; i++) {
        if (pending->points[i].stream == stream) return true;
    }
    return false;
}

static void add_point(caching_pending *pending, tarn_stream *stream) {
    pending->points[pending->count++] = (point){.stream = tarn_stream_retain(stream)};
}

tarn_status caching_use(caching *owner, memory_block *block, tarn_stream *stream) {
    (void)owner;
    if (hal_stream_number(stream) == block->stream) return TARN_OK;
    caching_pending *known = block->uses;
    if (known != NULL && is_known(known, stream)) return TARN_OK;
    size_t count = known == NULL ? 0 : known->count;
    if (known == NULL || count + 2 > known->capacity) {
        size_t capacity = 2 * count + 2;
        caching_pending *grown = base_reallocate(known, 1, sizeof *grown + capacity * sizeof(point));
        if (grown == NULL)
            return base_fail(TARN_OUT_OF_MEMORY, "no host memory to remember a stream that uses a buffer");
        grown->count = count;
        grown->capacity = capacity;
        block->uses = known = grown;
        block->live.is_plain = false;
    }
    add_point(known, stream);
    return TARN_OK;
}

/* A lost device runs nothing any more. */
static bool has_ended(tarn_status status) {
    return status == TARN_OK || status == TARN_DEVICE_LOST || status == TARN_UNAVAILABLE;
}

static void finish(caching *owner, caching_pending *pending) {
    for (size_t i = 0; i < pending->count; i++) {
        if (pending->points[i].event != NULL) caching_event_put(owner, pending->points[i].event);
    }
    caching_give_home(owner, pending->block);
}

/* Drops the references to the streams: without the lock, since the last one announces the stream's end. */
static void forget(caching_pending *pending) {
    for (size_t i = 0; i < pending->count; i++) tarn_stream_release(pending->points[i].stream);
    base_free(pending);
}

static void record(caching *owner, point *at) {
    hal_event *event;
    if (caching_event_get(owner, &event) != TARN_OK) return;
    if (hal_event_record(event, at->stream) == TARN_OK) {
        at->event = event;
    } else {
        caching_event_put(owner, event);
    }
}

/* Without host memory to remember one stream by: waits for it, or for the whole device, with the lock released. What may still be
 * used after that is never used again. */
static void wait_for_last(caching *owner, memory_block *block, tarn_stream *last) {
    pthread_mutex_unlock(&owner->lock);
    bool is_done = has_ended(tarn_stream_synchronize(last)) || has_ended(tarn_device_synchronize(owner->base.device));
    pthread_mutex_lock(&owner->lock);
    if (is_done) {
        caching_give_home(owner, block);
    } else {
        block->flags |= CACHING_IS_PENDING;
    }
}

void caching_pending_add(caching *owner, memory_block *block, tarn_stream *last) {
    caching_pending *pending = block->uses;
    bool has_last = last != NULL && hal_stream_number(last) != block->stream;
    block->uses = NULL;
    if (pending == NULL) pending = base_allocate(1, sizeof *pending + sizeof(point));
    if (pending == NULL) {
        wait_for_last(owner, block, last);
        return;
    }
    pending->block = block;
    if (has_last && !is_known(pending, last)) add_point(pending, last);
    for (size_t i = 0; i < pending->count; i++) record(owner, &pending->points[i]);
    block->flags |= CACHING_IS_PENDING;
    pending->next = owner->pending;
    owner->pending = pending;
}

static bool is_complete(const caching_pending *pending) {
    for (size_t i = 0; i < pending->count; i++) {
        bool complete = false;
        if (pending->points[i].event == NULL) return false;
        if (hal_event_query(pending->points[i].event, &complete) != TARN_OK || !complete) return false;
    }
    return true;
}

/* Releases the streams of finished entries with the lock open, if there are any. */
static void forget_all(caching *owner, caching_pending *finished) {
    if (finished == NULL) return;
    pthread_mutex_unlock(&owner->lock);
    while (finished != NULL) {
        caching_pending *next = finished->next;
        forget(finished);
        finished = next;
    }
    pthread_mutex_lock(&owner->lock);
}

void caching_pending_poll(caching *owner) {
    caching_pending *finished = NULL;
    for (caching_pending **link = &owner->pending; *link != NULL;) {
        caching_pending *pending = *link;
        if (!is_complete(pending)) {
            link = &pending->next;
            continue;
        }
        *link = pending->next;
        finish(owner, pending);
        pending->next = finished;
        finished = pending;
    }
    forget_all(owner, finished);
}

/* OK when all the streams are known to be done with the block. Without the lock. */
static tarn_status wait_for(const caching_pending *pending) {
    for (size_t i = 0; i < pending->count; i++) {
        const point *at = &pending->points[i];
        if (at->event != NULL && has_ended(hal_event_synchronize(at->event))) continue;
        tarn_status status = tarn_stream_synchronize(at->stream);
        if (!has_ended(status)) return status;
    }
    return TARN_OK;
}

tarn_status caching_pending_wait(caching *owner) {
    caching_pending *taken = owner->pending;
    tarn_status status = TARN_OK;
    if (taken == NULL) return TARN_OK;
    owner->pending = NULL;
    pthread_mutex_unlock(&owner->lock);
    caching_pending *finished = NULL, *failed = NULL;
    for (caching_pending *pending = taken, *next; pending != NULL; pending = next) {
        next = pending->next;
        tarn_status result = wait_for(pending);
        caching_pending **list = result == TARN_OK ? &finished : &failed;
        if (result != TARN_OK) status = result;
        pending->next = *list;
        *list = pending;
    }
    pthread_mutex_lock(&owner->lock);
    for (caching_pending *pending = finished; pending != NULL; pending = pending->next) finish(owner, pending);
    while (failed != NULL) {
        caching_pending *next = failed->next;
        failed->next = owner->pending;
        owner->pending = failed;
        failed = next;
    }
    forget_all(owner, finished);
    return status;
}

tarn_status caching_heap_wait(caching_heap *heap) {
    caching *owner = heap->owner;
    if (heap->stream == NULL) return TARN_OK;
    tarn_stream *stream = heap->stream;
    uint64_t sequence = heap->sequence++;
    hal_event *event = NULL;
    bool is_complete_already = false;
    if (caching_event_get(owner, &event) == TARN_OK && hal_event_record(event, stream) != TARN_OK) {
        caching_event_put(owner, event);
        event = NULL;
    }
    if (event == NULL || hal_event_query(event, &is_complete_already) != TARN_OK || !is_complete_already)
        owner->waits++;
    /* The stream may be ending: it stays until nobody waits for it. */
    heap->waiters++;
    pthread_mutex_unlock(&owner->lock);
    tarn_status status = event != NULL ? hal_event_synchronize(event) : tarn_stream_synchronize(stream);
    pthread_mutex_lock(&owner->lock);
    heap->waiters--;
    if (event != NULL) caching_event_put(owner, event);
    if (!has_ended(status)) return status;
    caching_heap_settle(heap, sequence);
    return TARN_OK;
}

void caching_pending_abandon(caching *owner) {
    while (owner->pending != NULL) {
        caching_pending *pending = owner->pending;
        owner->pending = pending->next;
        for (size_t i = 0; i < pending->count; i++) {
            if (pending->points[i].event != NULL) caching_event_put(owner, pending->points[i].event);
        }
        pthread_mutex_unlock(&owner->lock);
        forget(pending);
        pthread_mutex_lock(&owner->lock);
    }
}
