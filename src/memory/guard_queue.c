/* Where freed blocks of a guard wait: first for the streams that use them, then in quarantine.
 *
 * Freeing never blocks: what streams still use is looked after by later calls. An entry is taken out of its queue and marked as
 * held before it is worked on, so that memory is read and drivers are called without the lock. */
#include "memory/guard.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "hal/device.h"

/* Entries that wait for streams, and likewise those that were overtaken, that are looked at in one call; the next call goes on with
 * the others. */
#define MOST_POLLED 16u

static tarn_status first_of(tarn_status a, tarn_status b) { return a != TARN_OK ? a : b; }

/* All of these must be called with the lock held. */

static void push(guard_queue *queue, guard_entry *entry) {
    entry->next = NULL;
    entry->previous = queue->last;
    if (queue->last == NULL) queue->first = entry;
    else queue->last->next = entry;
    queue->last = entry;
    queue->bytes += entry->range.size;
    queue->count++;
}

static void take_out(guard_queue *queue, guard_entry *entry) {
    if (entry->previous != NULL) entry->previous->next = entry->next;
    else queue->first = entry->next;
    if (entry->next != NULL) entry->next->previous = entry->previous;
    else queue->last = entry->previous;
    queue->bytes -= entry->range.size;
    queue->count--;
}

/* In the child of a fork, whoever held an entry may be missing. */
static bool is_held_by_somebody(guard *self, const guard_entry *entry) {
    return entry->is_held && hal_device_check(self->base.device) != TARN_UNAVAILABLE;
}

void guard_hold(guard *self, guard_entry *entry) {
    while (is_held_by_somebody(self, entry)) pthread_cond_wait(&self->let_go, &self->lock);
    entry->is_held = true;
}

static void let_go(guard *self, guard_entry *entry) {
    entry->is_held = false;
    pthread_cond_broadcast(&self->let_go);
}

/* And from here on without. */

void guard_let_go(guard *self, guard_entry *entry) {
    pthread_mutex_lock(&self->lock);
    let_go(self, entry);
    pthread_mutex_unlock(&self->lock);
}

void guard_entry_destroy(guard_entry *entry) {
    direct_uses_free(entry->uses);
    block_destroy(entry->block);
    base_free(entry);
}

/* Takes the first entry that nobody holds out of the queue, as long as that has more than `most` bytes; NULL otherwise. */
static guard_entry *pop(guard *self, guard_queue *queue, size_t most) {
    pthread_mutex_lock(&self->lock);
    guard_entry *entry = queue->bytes > most ? queue->first : NULL;
    while (entry != NULL && is_held_by_somebody(self, entry)) entry = entry->next;
    if (entry != NULL) {
        take_out(queue, entry);
        entry->is_held = true;
    }
    pthread_mutex_unlock(&self->lock);
    return entry;
}

/* Hands an entry that is held and in no queue to the element below. */
static tarn_status give_back(guard *self, guard_entry *entry) {
    guard_damage damage;
    tarn_status status = TARN_OK;
    if (guard_memory_is_written(self, entry, &damage)) status = guard_report_written(self, entry, &damage);
    guard_memory_release(self, entry);
    pthread_mutex_lock(&self->lock);
    base_range_remove(&self->known, entry->range.start);
    pthread_cond_broadcast(&self->let_go);
    pthread_mutex_unlock(&self->lock);
    memory_block *inner = entry->inner;
    /* Unless the strategy has taken it back by itself meanwhile. */
    if (block_claim(inner, entry->inner_handle)) {
        guard_memory_leave(self, inner);
        inner->is_inner = false;
        inner->site = entry->record.freed.count > 0 ? entry->record.freed.frames[0] : NULL;
        status = first_of(status, memory_free(self->base.upstream, inner, NULL));
    }
    guard_entry_destroy(entry);
    return status;
}

/* The streams have passed an entry, which is held and in no queue: looks at its canaries and sends it on. */
static tarn_status judge(guard *self, guard_entry *entry) {
    guard_damage damage;
    tarn_status status = TARN_OK;
    if (guard_memory_is_overrun(self, entry, &damage)) status = guard_report_overrun(self, entry, &damage);
    if (entry->range.size > self->quarantine) return first_of(status, give_back(self, entry));
    guard_memory_poison(self, entry);
    pthread_mutex_lock(&self->lock);
    entry->state = GUARD_QUARANTINED;
    push(&self->quarantined, entry);
    let_go(self, entry);
    pthread_mutex_unlock(&self->lock);
    return status;
}

static tarn_status trim(guard *self, size_t most, size_t *inout_bytes) {
    tarn_status status = TARN_OK;
    guard_entry *entry;
    while ((entry = pop(self, &self->quarantined, most)) != NULL) {
        *inout_bytes += entry->range.size;
        status = first_of(status, give_back(self, entry));
    }
    return status;
}

static void put_back(guard *self, guard_entry *entry) {
    pthread_mutex_lock(&self->lock);
    push(&self->waiting, entry);
    let_go(self, entry);
    pthread_mutex_unlock(&self->lock);
}

bool guard_has_passed(guard *self, guard_entry *entry) {
    return !entry->has_unknown_use && direct_streams_are_idle(&self->streams, entry->uses, DIRECT_NO_STREAM);
}

tarn_status guard_wait_for(guard *self, const guard_entry *entry) {
    if (!entry->has_unknown_use) return direct_streams_wait(&self->streams, entry->uses);
    tarn_status status = tarn_device_synchronize(self->base.device);
    return status == TARN_DEVICE_LOST || status == TARN_UNAVAILABLE ? TARN_OK : status;
}

static size_t count_waiting(guard *self) {
    pthread_mutex_lock(&self->lock);
    size_t count = self->waiting.count;
    pthread_mutex_unlock(&self->lock);
    return count;
}

static void destroy_all(guard_entry *list) {
    for (guard_entry *next; list != NULL; list = next) {
        next = list->next;
        guard_entry_destroy(list);
    }
}

/* Takes an overtaken entry into a list of what is forgotten. Must be called with the lock held. */
static void take_overtaken(guard *self, guard_entry *entry, guard_entry **inout_list) {
    base_range_remove(&self->overtaken, entry->range.start);
    entry->next = *inout_list;
    *inout_list = entry;
}

/* Forgets memory that was taken back in use and is so no more. Entries stay in the map while they are looked at, so that whoever gets
 * the memory meanwhile finds that it is in use. */
static void poll_overtaken(guard *self) {
    guard_entry *over = NULL;
    pthread_mutex_lock(&self->lock);
    for (unsigned left = MOST_POLLED; left > 0; left--) {
        base_range *range = base_range_after(self->overtaken, self->polled);
        self->polled = range != NULL ? range->start : 0;
        if (range == NULL) break;
        guard_entry *entry = guard_entry_of(range);
        if (is_held_by_somebody(self, entry)) continue;
        entry->is_held = true;
        pthread_mutex_unlock(&self->lock);
        bool has_passed = guard_has_passed(self, entry);
        pthread_mutex_lock(&self->lock);
        let_go(self, entry);
        if (has_passed) take_overtaken(self, entry, &over);
    }
    pthread_mutex_unlock(&self->lock);
    destroy_all(over);
}

tarn_status guard_queue_poll(guard *self) {
    tarn_status status = TARN_OK;
    poll_overtaken(self);
    size_t waiting = count_waiting(self);
    for (size_t left = waiting < MOST_POLLED ? waiting : MOST_POLLED; left > 0; left--) {
        guard_entry *entry = pop(self, &self->waiting, 0);
        if (entry == NULL) break;
        if (guard_has_passed(self, entry)) status = first_of(status, judge(self, entry));
        else put_back(self, entry);
    }
    size_t bytes = 0;
    return first_of(status, trim(self, self->quarantine, &bytes));
}

tarn_status guard_queue_take(guard *self, guard_entry *entry) {
    tarn_status status = TARN_OK;
    if (guard_has_passed(self, entry)) status = judge(self, entry);
    else put_back(self, entry);
    return first_of(status, guard_queue_poll(self));
}

tarn_status guard_queue_flush(guard *self, size_t *out_bytes) {
    tarn_status status = TARN_OK;
    size_t bytes = 0;
    for (size_t left = count_waiting(self); left > 0; left--) {
        guard_entry *entry = pop(self, &self->waiting, 0);
        if (entry == NULL) break;
        tarn_status waited = guard_wait_for(self, entry);
        if (waited != TARN_OK) {
            put_back(self, entry);
            status = first_of(status, waited);
            continue;
        }
        if (entry->range.size > self->quarantine) bytes += entry->range.size;
        status = first_of(status, judge(self, entry));
    }
    status = first_of(status, trim(self, 0, &bytes));
    *out_bytes = bytes;
    return status;
}

/* The next entry from `address` on that somebody can look at, held; NULL at the end. */
static guard_entry *next_to_check(guard *self, uintptr_t address) {
    pthread_mutex_lock(&self->lock);
    base_range *range = base_range_after(self->known, address);
    while (range != NULL && (guard_entry_of(range)->is_held || guard_entry_of(range)->state == GUARD_WAITING)) {
        range = base_range_after(self->known, range->start);
    }
    guard_entry *entry = range != NULL ? guard_entry_of(range) : NULL;
    if (entry != NULL) entry->is_held = true;
    pthread_mutex_unlock(&self->lock);
    return entry;
}

tarn_status guard_queue_check(guard *self) {
    tarn_status status = TARN_OK;
    uintptr_t address = 0;
    guard_entry *entry;
    while ((entry = next_to_check(self, address)) != NULL) {
        guard_damage damage;
        address = entry->range.start;
        /* Whoever holds it may read its state. */
        if (entry->state == GUARD_LIVE) {
            if (guard_memory_is_overrun(self, entry, &damage))
                status = first_of(status, guard_report_overrun(self, entry, &damage));
        } else if (guard_memory_is_written(self, entry, &damage)) {
            status = first_of(status, guard_report_written(self, entry, &damage));
        }
        guard_let_go(self, entry);
    }
    return status;
}

/* One that has memory in the range; NULL when there is none. Must be called with the lock held. */
static guard_entry *find_overtaken(const guard *self, uintptr_t begin, uintptr_t end) {
    base_range *range = base_range_containing(self->overtaken, begin);
    if (range == NULL) range = base_range_after(self->overtaken, begin);
    return range != NULL && range->start < end ? guard_entry_of(range) : NULL;
}

void guard_queue_wait_for_overtaken(guard *self, const memory_block *inner) {
    guard_entry *list = NULL;
    uintptr_t begin = (uintptr_t)inner->address, end = begin + inner->capacity;
    pthread_mutex_lock(&self->lock);
    for (guard_entry *entry; (entry = find_overtaken(self, begin, end)) != NULL;) {
        if (is_held_by_somebody(self, entry)) {
            pthread_cond_wait(&self->let_go, &self->lock);
            continue;
        }
        take_overtaken(self, entry, &list);
    }
    pthread_mutex_unlock(&self->lock);
    for (guard_entry *entry = list; entry != NULL; entry = entry->next) {
        if (guard_wait_for(self, entry) == TARN_OK) continue;
        base_log(TARN_LOG_WARNING, "%s: memory is handed out again whose streams could not be waited for: %s",
                 self->base.spec, tarn_last_error());
    }
    destroy_all(list);
}

bool guard_queue_withdraw(guard *self, const memory_block *inner, guard_entry **out_entry) {
    pthread_mutex_lock(&self->lock);
    base_range *range;
    /* The entry may be given back while it is waited for. */
    while ((range = base_range_find(self->known, (uintptr_t)inner->address)) != NULL &&
           guard_entry_of(range)->inner == inner && is_held_by_somebody(self, guard_entry_of(range))) {
        pthread_cond_wait(&self->let_go, &self->lock);
    }
    guard_entry *entry = range != NULL && guard_entry_of(range)->inner == inner ? guard_entry_of(range) : NULL;
    if (entry != NULL) {
        if (entry->state == GUARD_WAITING) take_out(&self->waiting, entry);
        if (entry->state == GUARD_QUARANTINED) take_out(&self->quarantined, entry);
        base_range_remove(&self->known, entry->range.start);
        entry->is_held = true;
        *out_entry = entry;
    }
    pthread_mutex_unlock(&self->lock);
    return entry != NULL;
}

void guard_queue_overtake(guard *self, guard_entry *entry) {
    pthread_mutex_lock(&self->lock);
    base_range_insert(&self->overtaken, &entry->range);
    let_go(self, entry);
    pthread_mutex_unlock(&self->lock);
}

void guard_queue_abandon(guard *self) {
    guard_entry *entry;
    while ((entry = pop(self, &self->waiting, 0)) != NULL) (void)give_back(self, entry);
    for (base_range *range; (range = base_range_after(self->overtaken, 0)) != NULL;) {
        base_range_remove(&self->overtaken, range->start);
        guard_entry_destroy(guard_entry_of(range));
    }
}
