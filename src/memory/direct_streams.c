/* The streams of an allocator that keeps its memory in pieces.
 *
 * Waiting for a stream is recording an event and waiting for that. Where no event can be had, the stream as a whole is
 * waited for. Asking without waiting is recording an event too, and looking at it again each time. */
#include "memory/direct_streams.h"

#include "base/memory.h"
#include "base/status.h"
#include "memory/fork.h"

/* Must be called with the lock held. */
static direct_stream *find_stream(const direct_streams *streams, uint32_t number) {
    direct_stream *entry = streams->list;
    while (entry != NULL && entry->number != number) entry = entry->next;
    return entry;
}

/* Called by the hardware layer when the stream's work has finished and it is about to go. */
static void stream_ended(void *context, tarn_stream *stream) {
    direct_streams *streams = context;
    pthread_mutex_lock(&streams->lock);
    direct_stream **link = &streams->list;
    while (*link != NULL && (*link)->stream != stream) link = &(*link)->next;
    direct_stream *entry = *link;
    if (entry != NULL) {
        *link = entry->next;
        while (entry->waiting != 0 && !hal_device_is_inherited(streams->device))
            pthread_cond_wait(&streams->waited, &streams->lock);
    }
    pthread_mutex_unlock(&streams->lock);
    base_free(entry);
}

tarn_status direct_streams_begin(direct_streams *streams, tarn_device *device) {
    streams->device = device;
    pthread_mutex_init(&streams->lock, NULL);
    pthread_cond_init(&streams->waited, NULL);
    tarn_status status = hal_device_on_stream_destroy(device, stream_ended, streams);
    if (status == TARN_OK && !memory_fork_watch(&streams->lock, false)) {
        hal_device_remove_stream_callback(device, stream_ended, streams);
        status = base_fail(TARN_OUT_OF_MEMORY, "direct: no host memory for an allocator");
    }
    if (status != TARN_OK) {
        pthread_cond_destroy(&streams->waited);
        pthread_mutex_destroy(&streams->lock);
    }
    return status;
}

void direct_streams_end(direct_streams *streams) {
    hal_device_remove_stream_callback(streams->device, stream_ended, streams);
    while (streams->list != NULL) {
        direct_stream *entry = streams->list;
        streams->list = entry->next;
        base_free(entry);
    }
    for (unsigned i = 0; i < streams->event_count; i++) hal_event_destroy(streams->events[i]);
    memory_fork_forget(&streams->lock);
    if (!hal_device_is_inherited(streams->device)) pthread_cond_destroy(&streams->waited);
    pthread_mutex_destroy(&streams->lock);
}

static bool has_use(const direct_use *uses, uint32_t number) {
    while (uses != NULL && uses->stream != number) uses = uses->next;
    return uses != NULL;
}

/* Must be called with the lock held. False when there is no host memory. */
static bool know(direct_streams *streams, tarn_stream *stream) {
    uint32_t number = hal_stream_number(stream);
    if (find_stream(streams, number) != NULL) return true;
    direct_stream *entry = base_allocate(1, sizeof *entry);
    if (entry == NULL) return false;
    entry->stream = stream;
    entry->number = number;
    entry->next = streams->list;
    streams->list = entry;
    return true;
}

/* Must be called with the lock held. False when there is no host memory. */
static bool add_use(direct_streams *streams, tarn_stream *stream, direct_use **inout_uses) {
    uint32_t number = hal_stream_number(stream);
    if (has_use(*inout_uses, number)) return true;
    direct_use *use = base_allocate(1, sizeof *use);
    if (use == NULL) return false;
    if (!know(streams, stream)) {
        base_free(use);
        return false;
    }
    use->stream = number;
    use->next = *inout_uses;
    *inout_uses = use;
    return true;
}

static tarn_status refuse_stream(const direct_streams *streams) {
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to remember that a stream uses a buffer",
                     tarn_device_name(streams->device));
}

tarn_status direct_streams_know(direct_streams *streams, tarn_stream *stream) {
    pthread_mutex_lock(&streams->lock);
    bool is_known = know(streams, stream);
    pthread_mutex_unlock(&streams->lock);
    return is_known ? TARN_OK : refuse_stream(streams);
}

bool direct_streams_has(direct_streams *streams, uint32_t number) {
    pthread_mutex_lock(&streams->lock);
    bool is_there = find_stream(streams, number) != NULL;
    pthread_mutex_unlock(&streams->lock);
    return is_there;
}

tarn_status direct_streams_use(direct_streams *streams, tarn_stream *stream, direct_use **inout_uses) {
    pthread_mutex_lock(&streams->lock);
    bool is_added = add_use(streams, stream, inout_uses);
    pthread_mutex_unlock(&streams->lock);
    return is_added ? TARN_OK : refuse_stream(streams);
}

static tarn_status take_event(direct_streams *streams, hal_event **out_event) {
    pthread_mutex_lock(&streams->lock);
    hal_event *event = streams->event_count > 0 ? streams->events[--streams->event_count] : NULL;
    pthread_mutex_unlock(&streams->lock);
    if (event == NULL) return hal_event_create(streams->device, out_event);
    *out_event = event;
    return TARN_OK;
}

static void put_event(direct_streams *streams, hal_event *event) {
    pthread_mutex_lock(&streams->lock);
    bool is_kept = streams->event_count < DIRECT_EVENTS;
    if (is_kept) streams->events[streams->event_count++] = event;
    pthread_mutex_unlock(&streams->lock);
    if (!is_kept) hal_event_destroy(event);
}

static tarn_status wait_for_event(direct_streams *streams, hal_event *event, tarn_stream *stream) {
    bool is_complete = false;
    tarn_status status = hal_event_record(event, stream);
    if (status != TARN_OK) return status;
    if (hal_event_query(event, &is_complete) == TARN_OK && is_complete) return TARN_OK;
    pthread_mutex_lock(&streams->lock);
    streams->waits++;
    pthread_mutex_unlock(&streams->lock);
    return hal_event_synchronize(event);
}

/* Without locks. */
static tarn_status wait_for_stream(direct_streams *streams, tarn_stream *stream) {
    hal_event *event;
    tarn_status status = take_event(streams, &event);
    if (status == TARN_OK) {
        status = wait_for_event(streams, event, stream);
        if (status == TARN_OK) put_event(streams, event);
        else hal_event_destroy(event);
    }
    if (!direct_work_has_ended(status)) status = tarn_stream_synchronize(stream);
    return direct_work_has_ended(status) ? TARN_OK : status;
}

direct_stream *direct_streams_hold(direct_streams *streams, uint32_t number) {
    pthread_mutex_lock(&streams->lock);
    direct_stream *entry = find_stream(streams, number);
    if (entry != NULL) entry->waiting++;
    pthread_mutex_unlock(&streams->lock);
    return entry;
}

void direct_streams_hold_end(direct_streams *streams, direct_stream *entry) {
    pthread_mutex_lock(&streams->lock);
    entry->waiting--;
    pthread_cond_broadcast(&streams->waited);
    pthread_mutex_unlock(&streams->lock);
}

tarn_status direct_streams_wait(direct_streams *streams, const direct_use *uses) {
    for (const direct_use *use = uses; use != NULL; use = use->next) {
        direct_stream *entry = direct_streams_hold(streams, use->stream);
        if (entry == NULL) continue;
        tarn_status status = wait_for_stream(streams, entry->stream);
        direct_streams_hold_end(streams, entry);
        if (status != TARN_OK) return status;
    }
    return TARN_OK;
}

static tarn_status follow(direct_streams *streams, tarn_stream *leader, tarn_stream *stream) {
    hal_event *event;
    tarn_status status = take_event(streams, &event);
    if (status != TARN_OK) return status;
    status = hal_event_record(event, leader);
    if (status == TARN_OK) status = hal_event_follow(event, stream);
    if (status == TARN_OK) put_event(streams, event);
    else hal_event_destroy(event);
    return status;
}

tarn_status direct_streams_follow(direct_streams *streams, const direct_use *uses, tarn_stream *stream) {
    tarn_status status = TARN_OK;
    for (const direct_use *use = uses; use != NULL && status == TARN_OK; use = use->next) {
        direct_stream *entry = direct_streams_hold(streams, use->stream);
        if (entry == NULL) continue;
        status = follow(streams, entry->stream, stream);
        direct_streams_hold_end(streams, entry);
    }
    return status;
}

void direct_streams_note(direct_streams *streams, direct_stream *entry) {
    pthread_mutex_lock(&streams->lock);
    entry->is_noted = true;
    pthread_mutex_unlock(&streams->lock);
}

/* A stream that was noted, held, and noted no more; NULL when there is none. */
static direct_stream *hold_noted(direct_streams *streams) {
    pthread_mutex_lock(&streams->lock);
    direct_stream *entry = streams->list;
    while (entry != NULL && !entry->is_noted) entry = entry->next;
    if (entry != NULL) {
        entry->waiting++;
        entry->is_noted = false;
    }
    pthread_mutex_unlock(&streams->lock);
    return entry;
}

tarn_status direct_streams_wait_for_noted(direct_streams *streams, bool *out_any) {
    tarn_status status = TARN_OK;
    *out_any = false;
    for (direct_stream *entry; status == TARN_OK && (entry = hold_noted(streams)) != NULL;) {
        status = wait_for_stream(streams, entry->stream);
        if (status == TARN_OK) *out_any = true;
        else direct_streams_note(streams, entry);
        direct_streams_hold_end(streams, entry);
    }
    return status;
}

/* Looks at the event of a use, and records it if that has not been done. DIRECT_IS_BUSY only where the driver says so: one that does not
 * answer says nothing. */
typedef enum direct_answer { DIRECT_IS_IDLE, DIRECT_IS_BUSY, DIRECT_IS_UNKNOWN } direct_answer;

static direct_answer ask(direct_streams *streams, direct_use *use) {
    if (use->is_over) return DIRECT_IS_IDLE;
    if (use->event == NULL) {
        direct_stream *entry = direct_streams_hold(streams, use->stream);
        tarn_status status = TARN_OK;
        if (entry != NULL) {
            status = take_event(streams, &use->event);
            if (status == TARN_OK) status = hal_event_record(use->event, entry->stream);
            direct_streams_hold_end(streams, entry);
        }
        /* A stream that has ended has nothing left to do. */
        if (entry == NULL) use->is_over = true;
        if (status != TARN_OK) {
            hal_event_destroy(use->event);
            use->event = NULL;
        }
    }
    bool is_answered = use->event != NULL && hal_event_query(use->event, &use->is_over) == TARN_OK;
    if (is_answered && use->is_over) {
        put_event(streams, use->event);
        use->event = NULL;
    }
    if (use->is_over) return DIRECT_IS_IDLE;
    return is_answered ? DIRECT_IS_BUSY : DIRECT_IS_UNKNOWN;
}

bool direct_streams_are_idle(direct_streams *streams, direct_use *uses, uint32_t except) {
    bool are_idle = true;
    for (direct_use *use = uses; use != NULL; use = use->next) {
        if (use->stream != except) are_idle = ask(streams, use) == DIRECT_IS_IDLE && are_idle;
    }
    return are_idle;
}

static bool is_known(const direct_busy *busy, uint32_t number) {
    for (unsigned i = 0; i < busy->count; i++)
        if (busy->streams[i] == number) return true;
    return false;
}

bool direct_streams_are_idle_in_turn(direct_streams *streams, direct_use *uses, direct_busy *inout_busy) {
    bool are_idle = true;
    for (direct_use *use = uses; use != NULL; use = use->next) {
        /* One that has no event yet gets it, as early as can be. */
        bool is_behind = use->event != NULL && is_known(inout_busy, use->stream);
        direct_answer answer = is_behind ? DIRECT_IS_UNKNOWN : ask(streams, use);
        if (answer == DIRECT_IS_BUSY && inout_busy->count < DIRECT_BUSY && !is_known(inout_busy, use->stream))
            inout_busy->streams[inout_busy->count++] = use->stream;
        are_idle = are_idle && answer == DIRECT_IS_IDLE;
    }
    return are_idle;
}

void direct_streams_ask_anew(direct_streams *streams, direct_use *uses) {
    for (direct_use *use = uses; use != NULL; use = use->next) {
        if (use->event != NULL) put_event(streams, use->event);
        use->event = NULL;
        use->is_over = false;
    }
}

tarn_status direct_streams_share(direct_streams *streams, const direct_use *from, direct_use **inout_uses) {
    for (const direct_use *use = from; use != NULL; use = use->next) {
        if (has_use(*inout_uses, use->stream)) continue;
        direct_use *added = base_allocate(1, sizeof *added);
        if (added == NULL) return refuse_stream(streams);
        added->stream = use->stream;
        added->next = *inout_uses;
        *inout_uses = added;
    }
    return TARN_OK;
}

void direct_streams_keep_only(direct_streams *streams, uint32_t number, direct_use **inout_uses) {
    direct_use **link = inout_uses;
    while (*link != NULL) {
        direct_use *use = *link;
        if (use->stream == number) {
            link = &use->next;
            continue;
        }
        *link = use->next;
        if (use->event != NULL) put_event(streams, use->event);
        base_free(use);
    }
}

uint64_t direct_streams_waits(direct_streams *streams) {
    pthread_mutex_lock(&streams->lock);
    uint64_t waits = streams->waits;
    pthread_mutex_unlock(&streams->lock);
    return waits;
}

void direct_uses_free(direct_use *uses) {
    while (uses != NULL) {
        direct_use *next = uses->next;
        hal_event_destroy(uses->event);
        base_free(uses);
        uses = next;
    }
}
