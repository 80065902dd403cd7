/* Blocks that wait for other streams, and waiting itself; see caching_pending.h.
 *
 * A block notes how far the heap of each of those streams has come, and is idle when that heap is: so one event answers for all blocks
 * that a stream has to finish with, and is asked once for all of them, by the requests that follow. While one is under way, what is freed
 * waits for the next, which is recorded by the request that finds the first one complete, or finds no memory: each costs a call of the
 * driver. */
#include "memory/caching_pending.h"

#include "base/memory.h"
#include "base/status.h"
#include "memory/caching_heap.h"
#include "memory/caching_physical.h"
#include "memory/caching_segment.h"

typedef struct point {
    tarn_stream *stream; /* one reference, so that the heap stays that stream's */
    caching_heap *heap;
    uint64_t freed_at; /* of the heap's sequence, once the block is freed */
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

static void add_point(caching_pending *pending, tarn_stream *stream, caching_heap *heap) {
    pending->points[pending->count++] = (point){.stream = tarn_stream_retain(stream), .heap = heap};
}

tarn_status caching_use(caching *owner, memory_block *block, tarn_stream *stream) {
    caching_heap *heap;
    if (hal_stream_number(stream) == block->stream) return TARN_OK;
    /* First, since it may open the lock. */
    tarn_status status = caching_heap_get(owner, stream, &heap);
    if (status != TARN_OK) return status;
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
    add_point(known, stream, heap);
    return TARN_OK;
}

/* A lost device runs nothing any more. */
static bool has_ended(tarn_status status) {
    return status == TARN_OK || status == TARN_DEVICE_LOST || status == TARN_UNAVAILABLE;
}

static void finish(caching *owner, caching_pending *pending) {
    for (size_t i = 0; i < pending->count; i++) pending->points[i].heap->pending_points--;
    caching_give_home(owner, pending->block);
}

/* Drops the references to the streams: without the lock, since the last one announces the stream's end. */
static void forget(caching_pending *pending) {
    for (size_t i = 0; i < pending->count; i++) tarn_stream_release(pending->points[i].stream);
    base_free(pending);
}

/* Waits for a stream that cannot be remembered, or for the whole device, with the lock released. */
static bool wait_for_last(caching *owner, tarn_stream *last) {
    pthread_mutex_unlock(&owner->lock);
    bool is_done = has_ended(tarn_stream_synchronize(last)) || has_ended(tarn_device_synchronize(owner->base.device));
    pthread_mutex_lock(&owner->lock);
    return is_done;
}

/* Remembers `last` as one more stream; false: there is no host memory for that. */
static bool add_last(caching *owner, tarn_stream *last, caching_pending **inout_pending) {
    caching_heap *heap;
    if (*inout_pending != NULL && is_known(*inout_pending, last)) return true;
    if (caching_heap_get(owner, last, &heap) != TARN_OK) return false;
    if (*inout_pending == NULL) *inout_pending = base_allocate(1, sizeof **inout_pending + sizeof(point));
    if (*inout_pending == NULL) return false;
    add_point(*inout_pending, last, heap);
    return true;
}

void caching_pending_add(caching *owner, memory_block *block, tarn_stream *last) {
    caching_pending *pending = block->uses;
    bool is_elsewhere = last != NULL && hal_stream_number(last) != block->stream;
    block->uses = NULL;
    bool is_done = !is_elsewhere || add_last(owner, last, &pending) || wait_for_last(owner, last);
    if (pending == NULL && is_done) {
        caching_give_home(owner, block);
        return;
    }
    block->flags |= CACHING_IS_PENDING;
    if (pending == NULL) return; /* what may still be used is never used again */
    pending->block = block;
    for (size_t i = 0; i < pending->count; i++) {
        point *at = &pending->points[i];
        at->freed_at = is_done ? at->heap->sequence : UINT64_MAX;
        at->heap->pending_points++;
        if (!is_done) continue;
        at->heap->pending_at = at->freed_at;
        if (at->heap->mark_count == 0) caching_heap_set_mark(at->heap);
    }
    pending->next = owner->pending;
    owner->pending = pending;
}

static bool is_complete(const caching_pending *pending) {
    for (size_t i = 0; i < pending->count; i++)
        if (pending->points[i].freed_at > pending->points[i].heap->idle) return false;
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

/* Gives blocks home whose heaps are known to be idle. */
static bool finish_complete(caching *owner) {
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
    bool has_finished = finished != NULL;
    forget_all(owner, finished);
    return has_finished;
}

bool caching_pending_poll(caching *owner, bool is_wanted) {
    if (owner->pending == NULL) return false;
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next)
        if (heap->pending_points != 0) caching_heap_ask(heap, is_wanted);
    return finish_complete(owner);
}

tarn_status caching_pending_wait(caching *owner) {
    tarn_status status = TARN_OK;
    if (owner->pending == NULL) return TARN_OK;
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        tarn_status result = heap->pending_points != 0 ? caching_heap_wait(heap) : TARN_OK;
        if (status == TARN_OK) status = result;
    }
    (void)finish_complete(owner);
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
        for (size_t i = 0; i < pending->count; i++) pending->points[i].heap->pending_points--;
        pthread_mutex_unlock(&owner->lock);
        forget(pending);
        pthread_mutex_lock(&owner->lock);
    }
}
