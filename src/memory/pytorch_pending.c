/* Pending blocks; see pytorch_pending.h.
 *
 * Each stream has a queue of uses in the order of the frees, and one event for each: the stream reaches them in that order, so that
 * polling asks for the first and goes on only when that is complete. A queue is its first use, so that nothing is
 * allocated while memory is freed. */
#include "memory/pytorch_pending.h"

#include "base/memory.h"
#include "base/status.h"

/* Uses, and their events, that are kept for later. */
enum { USES_KEPT = 256 };

static void destroy_use(pytorch_use *use) {
    hal_event_destroy(use->event);
    base_free(use);
}

pytorch_use *pytorch_use_take(pytorch *owner) {
    pytorch_use *use = owner->unused;
    if (use == NULL) return base_allocate(1, sizeof *use);
    owner->unused = use->next;
    owner->unused_count--;
    *use = (pytorch_use){.event = use->event};
    return use;
}

void pytorch_use_put(pytorch *owner, pytorch_use *use) {
    if (owner->unused_count == USES_KEPT) {
        destroy_use(use);
        return;
    }
    use->next = owner->unused;
    owner->unused = use;
    owner->unused_count++;
}

tarn_status pytorch_use_add(pytorch *owner, memory_block *block, tarn_stream *stream) {
    uint32_t number = hal_stream_number(stream);
    if (number == pytorch_stream_of(block)->number) return TARN_OK;
    pytorch_use *reserve = block->uses;
    for (const pytorch_use *use = reserve->next; use != NULL; use = use->next)
        if (use->stream == number) return TARN_OK;
    /* The list of streams tells at the free whether this one has ended. */
    pytorch_stream *known;
    tarn_status status = pytorch_stream_get(owner, stream, &known);
    if (status != TARN_OK) return status;
    pytorch_use *use = pytorch_use_take(owner);
    if (use == NULL) return base_fail(TARN_OUT_OF_MEMORY, "no host memory to remember a stream that uses a buffer");
    use->stream = number;
    use->next = reserve->next;
    reserve->next = use;
    return TARN_OK;
}

/* A device that is lost or out of reach runs nothing any more. */
static bool has_ended(tarn_status status) {
    return status == TARN_OK || status == TARN_DEVICE_LOST || status == TARN_UNAVAILABLE;
}

static void record(pytorch *owner, pytorch_use *use, tarn_stream *stream) {
    if (use->event == NULL && hal_event_create(owner->base.device, &use->event) != TARN_OK) return;
    use->is_recorded = hal_event_record(use->event, stream) == TARN_OK;
}

static pytorch_use **find_queue(pytorch *owner, uint32_t stream) {
    pytorch_use **link = &owner->queues;
    while (*link != NULL && (*link)->stream != stream) link = &(*link)->next_queue;
    return link;
}

static void append(pytorch *owner, pytorch_use *use) {
    pytorch_use **link = find_queue(owner, use->stream);
    use->next = NULL;
    if (*link == NULL) {
        use->last = use;
        use->next_queue = NULL;
        *link = use;
    } else {
        (*link)->last->next = use;
        (*link)->last = use;
    }
}

/* Takes the first use out of a queue, which may end with it. */
static pytorch_use *pop(pytorch_use **link) {
    pytorch_use *first = *link, *second = first->next;
    if (second != NULL) {
        second->last = first->last;
        second->next_queue = first->next_queue;
        *link = second;
    } else {
        *link = first->next_queue;
    }
    return first;
}

/* One stream is done with its block. */
static void finish(pytorch *owner, pytorch_use *use) {
    if (--use->block->flags == 0) pytorch_give(use->block);
    pytorch_use_put(owner, use);
}

void pytorch_part(pytorch *owner, memory_block *block, tarn_stream *last) {
    pytorch_use *reserve = block->uses, *uses = reserve->next;
    uint32_t own = pytorch_stream_of(block)->number, count = 0;
    uint32_t last_number = last != NULL ? hal_stream_number(last) : own;
    bool has_last = last_number == own;
    for (const pytorch_use *use = uses; use != NULL; use = use->next) has_last = has_last || use->stream == last_number;
    if (has_last) {
        pytorch_use_put(owner, reserve);
    } else {
        pytorch_stream *known;
        (void)pytorch_stream_get(owner, last, &known); /* so that an event that fails now can be recorded later */
        reserve->stream = last_number;
        uses = reserve;
    }
    for (pytorch_use *use = uses, *next; use != NULL; use = next) {
        next = use->next;
        const pytorch_stream *known = pytorch_stream_find(owner, use->stream);
        tarn_stream *stream = use->stream == last_number ? last : known != NULL ? known->stream : NULL;
        if (stream == NULL) {
            pytorch_use_put(owner, use);
            continue;
        }
        use->block = block;
        record(owner, use, stream);
        append(owner, use);
        count++;
    }
    if (count == 0) {
        pytorch_give(block);
    } else {
        block->kind = PYTORCH_PENDING;
        block->flags = count;
    }
}

static bool is_complete(pytorch *owner, pytorch_use *use) {
    if (!use->is_recorded) {
        const pytorch_stream *stream = pytorch_stream_find(owner, use->stream);
        if (stream == NULL) return false;
        if (stream->stream == NULL) return true;
        record(owner, use, stream->stream);
    }
    bool complete = false;
    return use->is_recorded && hal_event_query(use->event, &complete) == TARN_OK && complete;
}

void pytorch_poll(pytorch *owner) {
    for (pytorch_use **link = &owner->queues; *link != NULL;) {
        uint32_t stream = (*link)->stream;
        while (*link != NULL && (*link)->stream == stream && is_complete(owner, *link)) finish(owner, pop(link));
        if (*link != NULL && (*link)->stream == stream) link = &(*link)->next_queue;
    }
}

void pytorch_poll_ended(pytorch *owner, uint32_t stream) {
    pytorch_use **link = find_queue(owner, stream);
    while (*link != NULL && (*link)->stream == stream) finish(owner, pop(link));
}

/* Without the lock. */
static tarn_status wait_for(pytorch *owner, pytorch_use *use, uint64_t *inout_waits) {
    bool complete = false;
    tarn_status status = TARN_INTERNAL;
    if (use->is_recorded) {
        if (hal_event_query(use->event, &complete) != TARN_OK || !complete) ++*inout_waits;
        status = hal_event_synchronize(use->event);
    }
    if (!has_ended(status)) status = tarn_device_synchronize(owner->base.device);
    use->is_done = has_ended(status);
    return use->is_done ? TARN_OK : status;
}

tarn_status pytorch_pending_wait(pytorch *owner) {
    pytorch_use *taken = owner->queues;
    tarn_status first = TARN_OK;
    uint64_t waits = 0;
    if (taken == NULL) return TARN_OK;
    owner->queues = NULL;
    pthread_mutex_unlock(&owner->lock);
    for (pytorch_use *queue = taken; queue != NULL; queue = queue->next_queue) {
        for (pytorch_use *use = queue; use != NULL; use = use->next) {
            tarn_status status = wait_for(owner, use, &waits);
            if (first == TARN_OK) first = status;
        }
    }
    pthread_mutex_lock(&owner->lock);
    owner->waits += waits;
    /* What was freed meanwhile comes behind what is left. */
    pytorch_use *later = owner->queues;
    owner->queues = NULL;
    while (taken != NULL) {
        pytorch_use *use = pop(&taken);
        if (use->is_done) finish(owner, use);
        else append(owner, use);
    }
    while (later != NULL) append(owner, pop(&later));
    return first;
}

void pytorch_pending_abandon(pytorch *owner) {
    while (owner->queues != NULL) destroy_use(pop(&owner->queues));
}

void pytorch_uses_end(pytorch *owner) {
    while (owner->unused != NULL) {
        pytorch_use *use = owner->unused;
        owner->unused = use->next;
        destroy_use(use);
    }
}

tarn_status pytorch_stream_wait(pytorch_stream *stream) {
    pytorch *owner = stream->owner;
    if (stream->stream == NULL || stream->last_freed <= stream->settled) return TARN_OK;
    uint64_t mark = stream->sequence++;
    bool complete = false;
    tarn_status status = TARN_OK;
    pytorch_use *point = pytorch_use_take(owner);
    if (point != NULL) record(owner, point, stream->stream);
    bool is_recorded = point != NULL && point->is_recorded;
    if (!is_recorded || hal_event_query(point->event, &complete) != TARN_OK || !complete) {
        owner->waits++;
        /* The stream may be ending: it stays until nobody waits for it. */
        stream->waiters++;
        pthread_mutex_unlock(&owner->lock);
        if (is_recorded) status = hal_event_synchronize(point->event);
        if (!is_recorded || !has_ended(status)) status = tarn_stream_synchronize(stream->stream);
        pthread_mutex_lock(&owner->lock);
        if (--stream->waiters == 0) pthread_cond_broadcast(&owner->waited);
    }
    if (point != NULL) pytorch_use_put(owner, point);
    if (!has_ended(status)) return status;
    if (mark > stream->settled) stream->settled = mark;
    return TARN_OK;
}
