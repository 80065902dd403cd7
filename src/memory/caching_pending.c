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

/* Streams that are waited for at once. */
enum { WAITED_AT_ONCE = 128 };

/* The wait for one heap's stream. */
typedef struct settling {
    caching_heap *heap;
    uint32_t stream;   /* its number then */
    caching_mark mark; /* without an event the whole stream is waited for */
} settling;

/* The sequence at which memory was freed last that is of use to others once it is idle. */
static uint64_t useful_freed_at(const caching_heap *heap) {
    uint64_t latest = 0;
    for (const caching_segment *segment = heap->segments; segment != NULL; segment = segment->next) {
        if (segment->is_plain && segment->used_blocks != 0) continue;
        for (const memory_block *block = segment->first_block; block != NULL; block = block->neighbours.next) {
            if (block->kind != CACHING_FREE) continue;
            uint64_t freed_at =
                segment->is_plain ? caching_segment_freed_at(segment) : caching_whole_freed_at(heap->owner, block);
            if (freed_at > latest) latest = freed_at;
        }
    }
    return latest;
}

/* Takes down which heaps from that one on have to be waited for, as many as fit, and holds on to them. All events are recorded before the first
 * one is waited for. */
static size_t gather(caching_heap *heap, bool is_all, const caching_heap *except, settling *out_settlings) {
    size_t count = 0;
    for (; heap != NULL && count < WAITED_AT_ONCE; heap = heap->next) {
        if (heap == except || heap->stream == NULL) continue;
        uint64_t freed_at = is_all ? heap->freed_at : useful_freed_at(heap);
        if (heap->pending_points != 0 && heap->pending_at > freed_at) freed_at = heap->pending_at;
        if (caching_heap_is_idle(heap, freed_at)) continue;
        settling *one = &out_settlings[count++];
        *one = (settling){.heap = heap, .stream = heap->stream_number};
        if (!caching_heap_take_mark(heap, freed_at, &one->mark)) one->mark.sequence = heap->sequence++;
        heap->holds++;
    }
    return count;
}

/* Waits for one of them, with the lock open; for its event within a wait that is counted elsewhere. Streams may end meanwhile, but for the one that
 * is being waited for: another one's end may be what that needs. */
static tarn_status settle_one(caching *owner, settling *one, bool *inout_had_work) {
    caching_heap *heap = one->heap;
    tarn_status status = TARN_OK;
    tarn_stream *stream = heap->stream;
    if (stream != NULL && heap->stream_number == one->stream) {
        heap->waiters++;
        pthread_mutex_unlock(&owner->lock);
        status = one->mark.event != NULL ? hal_event_synchronize_within(one->mark.event, inout_had_work)
                                         : tarn_stream_synchronize(stream);
        pthread_mutex_lock(&owner->lock);
        heap->waiters--;
        if (has_ended(status)) caching_heap_settle(heap, one->mark.sequence);
    }
    if (one->mark.event != NULL) caching_event_put(owner, one->mark.event);
    return has_ended(status) ? TARN_OK : status;
}

/* Waits for all of them: for those that have an event in one wait. */
static tarn_status settle_all(caching *owner, settling *settlings, size_t count) {
    tarn_status status = TARN_OK;
    bool had_work = false;
    owner->waits++;
    hal_wait wait = hal_wait_begin(owner->base.device);
    for (size_t i = 0; i < count; i++) {
        if (settlings[i].mark.event == NULL) continue;
        tarn_status result = settle_one(owner, &settlings[i], &had_work);
        if (result != TARN_OK) status = result;
    }
    if (had_work) hal_wait_end(owner->base.device, wait, true);
    for (size_t i = 0; i < count; i++) {
        if (settlings[i].mark.event != NULL) continue;
        tarn_status result = settle_one(owner, &settlings[i], &had_work);
        if (result != TARN_OK) status = result;
    }
    return status;
}

/* Waits until what was freed to the heaps, but for `except`, is idle: all of it, or what is of use to others then. */
static tarn_status settle(caching *owner, bool is_all, const caching_heap *except) {
    settling settlings[WAITED_AT_ONCE];
    tarn_status status = TARN_OK;
    size_t count = WAITED_AT_ONCE;
    for (caching_heap *heap = owner->heaps; heap != NULL && count == WAITED_AT_ONCE;) {
        count = gather(heap, is_all, except, settlings);
        if (count == 0) return status;
        tarn_status result = settle_all(owner, settlings, count);
        if (result != TARN_OK) status = result;
        for (size_t i = 0; i < count; i++) settlings[i].heap->holds--;
        heap = settlings[count - 1].heap->next;
    }
    return status;
}

static tarn_status settle_with_pending(caching *owner, bool is_all, const caching_heap *except) {
    tarn_status status = settle(owner, is_all, except);
    if (!finish_complete(owner)) return status;
    /* What came home may still be used by the streams that it was allocated for. */
    tarn_status result = settle(owner, is_all, except);
    return result != TARN_OK ? result : status;
}

tarn_status caching_settle_everything(caching *owner) { return settle_with_pending(owner, true, NULL); }

tarn_status caching_settle_useful(caching *owner, const caching_heap *except) {
    return settle_with_pending(owner, false, except);
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
