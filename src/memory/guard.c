/* guard[:quarantine=SIZE,canary=SIZE,pages=on|off,frames=N] finds writes beside buffers and after their free, and says who
 * asked for them and who freed them.
 *
 * Each buffer has a descriptor of the guard's own and lies inside a larger block of the element below. When it is freed and
 * its streams are done, its canaries are looked at and it is filled with poison; it then stays in quarantine until so much has
 * been freed that it is its turn to go, and its poison is looked at. */
#include "memory/guard.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "memory/adaptors.h"
#include "memory/fork.h"
#include "memory/stack.h"
#include "memory/stats.h"

#define LARGEST_CANARY ((size_t)1 << 20)

/* What a check or a release has not told yet. */
static tarn_status tell_finding(guard *self, tarn_status status) {
    char finding[GUARD_SENTENCE];
    pthread_mutex_lock(&self->lock);
    memcpy(finding, self->finding, sizeof finding);
    self->finding[0] = '\0';
    pthread_mutex_unlock(&self->lock);
    if (finding[0] == '\0') return status;
    return base_fail(TARN_CORRUPT_DATA, "%s", finding);
}

/* What the caller is told now need not be told again. */
static tarn_status answer(guard *self, tarn_status status) {
    return status == TARN_CORRUPT_DATA ? tell_finding(self, status) : status;
}

/* Allocating. */

static tarn_status refuse(guard *self, tarn_status status) {
    pthread_mutex_lock(&self->lock);
    self->tally.failed++;
    pthread_mutex_unlock(&self->lock);
    return status;
}

static tarn_status create_entry(guard *self, const memory_request *request, guard_entry **out_entry) {
    guard_entry *entry = base_allocate(1, sizeof *entry);
    memory_block *block = entry != NULL ? block_create() : NULL;
    if (block != NULL) {
        entry->block = block;
        if (direct_streams_use(&self->streams, request->stream, &entry->uses) == TARN_OK) {
            *out_entry = entry;
            return TARN_OK;
        }
        block_destroy(block);
    }
    base_free(entry);
    return base_fail(TARN_OUT_OF_MEMORY, "%s: no host memory to guard a buffer", tarn_device_name(self->base.device));
}

/* Asks the element below; when that has no more, again after giving it all that is in quarantine. */
static tarn_status take_inner(guard *self, const memory_request *request, memory_block **out_inner) {
    tarn_status status = memory_allocate(self->base.upstream, request, out_inner);
    if (status != TARN_OUT_OF_MEMORY && status != TARN_LIMIT_EXCEEDED) return status;
    char sentence[GUARD_SENTENCE];
    size_t bytes = 0;
    snprintf(sentence, sizeof sentence, "%s", tarn_last_error());
    (void)guard_queue_flush(self, &bytes);
    if (bytes > 0) return memory_allocate(self->base.upstream, request, out_inner);
    return base_fail(status, "%s", sentence);
}

static void fill_block(guard *self, const memory_request *request, guard_entry *entry, memory_block *inner,
                       size_t offset) {
    memory_block *block = entry->block;
    memory_block_fill(block, request, &self->base);
    block->address = (char *)inner->address + offset;
    block->capacity = request->size;
    block->stream = inner->stream;
    block->home = entry;
    entry->inner = inner;
    entry->range.start = (uintptr_t)inner->address;
    entry->range.size = inner->capacity;
    entry->record.address = block->address;
    entry->record.size = request->size;
    if (request->tag != NULL) snprintf(entry->record.tag, sizeof entry->record.tag, "%s", request->tag);
    guard_call_capture(self, request->site, &entry->record.allocated);
    /* From now on the element below tells the guard, not those above, when it takes the block back by itself. */
    inner->live.outer = &self->base;
    inner->is_inner = true;
}

static void publish(guard *self, guard_entry *entry) {
    memory_block *inner = entry->inner;
    entry->inner_handle = block_coming_handle(inner);
    entry->record.handle = block_coming_handle(entry->block);
    pthread_mutex_lock(&self->lock);
    base_range_insert(&self->known, &entry->range);
    memory_tally_allocate(&self->tally, entry->record.size, entry->record.size);
    pthread_mutex_unlock(&self->lock);
    /* From here on it may be taken back, and is found. */
    block_begin_life(inner);
}

static tarn_status guard_allocate(tarn_allocator *allocator, const memory_request *request, memory_block **out_block) {
    guard *self = guard_of(allocator);
    memory_request larger = *request;
    larger.is_for_all = larger.is_for_all || self->access == GUARD_BY_COPIES;
    size_t offset;
    if (!guard_layout(self, request, &larger.size, &offset, &larger.alignment) ||
        larger.alignment > hal_device_properties(allocator->device)->maximum_alignment) {
        return refuse(self,
                      base_fail(TARN_INVALID_ARGUMENT, "%s: %zu bytes, aligned to %zu, leave no room for canaries",
                                allocator->spec, request->size, request->alignment));
    }
    guard_entry *entry;
    memory_block *inner;
    tarn_status status = create_entry(self, request, &entry);
    if (status != TARN_OK) return refuse(self, status);
    /* What is found wrong on the way is in the log, and with the next check: it is no fault of this request. */
    (void)guard_queue_poll(self);
    status = take_inner(self, &larger, &inner);
    if (status != TARN_OK) {
        guard_entry_destroy(entry);
        return refuse(self, status);
    }
    guard_queue_wait_for_overtaken(self, inner);
    fill_block(self, request, entry, inner, offset);
    status = guard_memory_arm(self, entry);
    if (status != TARN_OK) {
        guard_memory_leave(self, inner);
        inner->is_inner = false;
        memory_free(allocator->upstream, inner, request->stream);
        guard_entry_destroy(entry);
        return refuse(self, status);
    }
    publish(self, entry);
    *out_block = entry->block;
    return TARN_OK;
}

/* Freeing. */

/* Must be called with the lock held. */
static void count_free(guard *self, const guard_entry *entry) {
    memory_tally_free(&self->tally, entry->record.size, entry->record.size);
}

static tarn_status guard_free(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    guard *self = guard_of(allocator);
    guard_entry *entry = block->home;
    pthread_mutex_lock(&self->lock);
    entry->is_returned = true;
    guard_hold(self, entry);
    entry->state = GUARD_WAITING;
    count_free(self, entry);
    bool is_gone = entry->inner == NULL;
    pthread_mutex_unlock(&self->lock);
    guard_call_capture(self, block->site, &entry->record.freed);
    guard_remember(&entry->record);
    if (is_gone) {
        guard_entry_destroy(entry);
        return TARN_OK;
    }
    if (stream != NULL && direct_streams_use(&self->streams, stream, &entry->uses) != TARN_OK) {
        entry->has_unknown_use = true;
    }
    return answer(self, guard_queue_take(self, entry));
}

/* Ends the life of a held entry's buffer, which may only be about to begin: the inner block lives a little longer than the buffer
 * does. False when a free has come or is on its way. */
static bool claim_buffer(guard *self, guard_entry *entry) {
    const tarn_buffer *handle = entry->record.handle;
    while (!block_claim(entry->block, handle)) {
        uint32_t life = atomic_load_explicit(&entry->block->life, memory_order_acquire);
        if ((life | BLOCK_IS_LIVE) != block_life_in(handle)) return false;
        pthread_mutex_lock(&self->lock);
        bool is_returned = entry->is_returned;
        pthread_mutex_unlock(&self->lock);
        /* In the child of a fork, whoever was about to hand it out may be missing. */
        if (is_returned || hal_device_check(self->base.device) == TARN_UNAVAILABLE) return false;
        sched_yield();
    }
    return true;
}

/* The strategy below has taken an inner block back: of a live buffer, or of one that was freed and still kept here. */
static void guard_forget(tarn_allocator *allocator, memory_block *inner) {
    guard *self = guard_of(allocator);
    guard_entry *entry;
    if (!guard_queue_withdraw(self, inner, &entry)) return;
    bool was_live = entry->state == GUARD_LIVE;
    if (was_live) guard_call_capture(self, inner->site, &entry->record.freed);
    guard_damage damage;
    bool is_idle = guard_has_passed(self, entry);
    if (was_live && is_idle && guard_memory_is_overrun(self, entry, &damage)) {
        (void)guard_report_overrun(self, entry, &damage);
    }
    if (!was_live && guard_memory_is_written(self, entry, &damage)) (void)guard_report_written(self, entry, &damage);
    guard_memory_release(self, entry);
    guard_memory_leave(self, inner);
    inner->is_inner = false;
    if (was_live) {
        if (!claim_buffer(self, entry)) {
            /* A free is on its way, which finds that there is nothing left to give back; so the streams are waited for here. */
            if (!is_idle) (void)guard_wait_for(self, entry);
            pthread_mutex_lock(&self->lock);
            entry->inner = NULL;
            pthread_mutex_unlock(&self->lock);
            guard_let_go(self, entry);
            return;
        }
        pthread_mutex_lock(&self->lock);
        count_free(self, entry);
        pthread_mutex_unlock(&self->lock);
        guard_remember(&entry->record);
        entry->block->site = inner->site;
        memory_take_back(entry->block, true);
    }
    if (is_idle) guard_entry_destroy(entry);
    else guard_queue_overtake(self, entry);
}

/* The inner block of a buffer; NULL once its entry is gone. By address: the buffer may be freed by another thread meanwhile, and its
 * entry with it. Must be called with the lock held. */
static const memory_block *inner_of(const guard *self, const memory_block *block) {
    base_range *range = base_range_containing(self->known, (uintptr_t)block->address);
    return range != NULL && guard_entry_of(range)->block == block ? guard_entry_of(range)->inner : NULL;
}

/* What the element that has the memory says to a free. */
static tarn_status guard_check_free(tarn_allocator *allocator, const memory_block *block, tarn_stream *stream) {
    guard *self = guard_of(allocator);
    pthread_mutex_lock(&self->lock);
    const memory_block *inner = inner_of(self, block);
    /* Once its entry is gone, the inner block may serve another request. */
    tarn_allocator *owner = inner != NULL ? inner->owner : NULL;
    pthread_mutex_unlock(&self->lock);
    if (owner == NULL || owner->strategy->check_free == NULL) return TARN_OK;
    tarn_status status = owner->strategy->check_free(owner, inner, stream);
    if (status == TARN_OK) return TARN_OK;
    /* The element may have taken the inner block back meanwhile, and have said no for what it serves now. */
    pthread_mutex_lock(&self->lock);
    bool is_there = inner_of(self, block) == inner;
    pthread_mutex_unlock(&self->lock);
    return is_there ? status : TARN_OK;
}

static tarn_status guard_record_stream(tarn_allocator *allocator, memory_block *block, tarn_stream *stream) {
    guard_entry *entry = block->home;
    tarn_status status = direct_streams_use(&guard_of(allocator)->streams, stream, &entry->uses);
    memory_block *inner = entry->inner;
    if (status != TARN_OK || inner->owner->strategy->record_stream == NULL) return status;
    return inner->owner->strategy->record_stream(inner->owner, inner, stream);
}

/* Giving back, and what was found. */

static tarn_status guard_empty_cache(tarn_allocator *allocator) {
    guard *self = guard_of(allocator);
    size_t bytes;
    tarn_status status = answer(self, guard_queue_flush(self, &bytes));
    tarn_status below = tarn_allocator_empty_cache(allocator->upstream);
    return status != TARN_OK ? status : below;
}

static tarn_status guard_check(tarn_allocator *allocator) {
    guard *self = guard_of(allocator);
    tarn_status polled = guard_queue_poll(self), checked = guard_queue_check(self);
    tarn_status status = polled != TARN_OK ? polled : checked;
    return tell_finding(self, status == TARN_CORRUPT_DATA ? TARN_OK : status);
}

static tarn_status guard_conclude(tarn_allocator *allocator) {
    guard *self = guard_of(allocator);
    size_t bytes;
    tarn_status flushed = guard_queue_flush(self, &bytes);
    (void)guard_queue_check(self);
    return tell_finding(self, flushed == TARN_CORRUPT_DATA ? TARN_OK : flushed);
}

/* The end. */

static void guard_destroy(tarn_allocator *allocator) {
    guard *self = guard_of(allocator);
    size_t bytes;
    tarn_status status = guard_queue_flush(self, &bytes);
    if (self->known != NULL) {
        base_log(TARN_LOG_WARNING, "%s on %s: a guard ends before streams that use its memory: %s", allocator->spec,
                 memory_device_name(allocator), status != TARN_OK ? tarn_last_error() : "");
    }
    guard_queue_abandon(self);
    guard_report_end();
    guard_memory_end(self);
    direct_streams_end(&self->streams);
    memory_fork_forget(&self->lock);
    if (!hal_device_is_inherited(allocator->device)) pthread_cond_destroy(&self->let_go);
    pthread_mutex_destroy(&self->lock);
    memory_allocator_end(allocator);
}

static tarn_status read_arguments(memory_arguments *arguments, guard *out_read) {
    uint64_t frames = 1;
    *out_read = (guard){.quarantine = (size_t)64 << 20, .canary = 64};
    tarn_status status = memory_argument_size(arguments, "quarantine", &out_read->quarantine);
    if (status == TARN_OK) status = memory_argument_size(arguments, "canary", &out_read->canary);
    if (status == TARN_OK && (out_read->canary == 0 || out_read->canary > LARGEST_CANARY)) {
        status = memory_argument_refuse(arguments, "canary", "a size from 1 byte to 1 MiB");
    }
    if (status == TARN_OK) status = memory_argument_switch(arguments, "pages", &out_read->has_pages);
    if (status == TARN_OK) status = memory_argument_number(arguments, "frames", &frames);
    if (status == TARN_OK && (frames == 0 || frames > BASE_CALL_FRAMES)) {
        status = memory_argument_refuse(arguments, "frames", "a number from 1 to 16");
    }
    out_read->frames = (unsigned)frames;
    return status == TARN_OK ? memory_arguments_check(arguments) : status;
}

static tarn_status guard_create(tarn_device *device, memory_arguments *arguments, tarn_allocator *upstream,
                                tarn_allocator **out_allocator) {
    guard read;
    tarn_status status = read_arguments(arguments, &read);
    if (status != TARN_OK) return status;
    guard *self = base_allocate(1, sizeof *self);
    if (self == NULL) return base_fail(TARN_OUT_OF_MEMORY, "guard: no host memory for an allocator");
    *self = read;
    self->base.device = device;
    status = guard_memory_begin(self);
    if (status != TARN_OK) goto fail_memory;
    status = direct_streams_begin(&self->streams, device);
    if (status != TARN_OK) goto fail_streams;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->let_go, NULL);
    if (!memory_fork_watch(&self->lock, false) || !guard_report_begin()) {
        status = base_fail(TARN_OUT_OF_MEMORY, "guard: no host memory for an allocator");
        goto fail_lock;
    }
    memory_allocator_begin(&self->base, &guard_adaptor, device, upstream);
    *out_allocator = &self->base;
    return TARN_OK;

fail_lock:
    memory_fork_forget(&self->lock);
    pthread_cond_destroy(&self->let_go);
    pthread_mutex_destroy(&self->lock);
    direct_streams_end(&self->streams);
fail_streams:
    guard_memory_end(self);
fail_memory:
    base_free(self);
    return status;
}

const memory_strategy guard_adaptor = {
    .name = "guard",
    .is_adaptor = true,
    .create = guard_create,
    .destroy = guard_destroy,
    .allocate = guard_allocate,
    .free = guard_free,
    .empty_cache = guard_empty_cache,
    .stats = guard_stats,
    .reset_peaks = guard_reset_peaks,
    .each_block = guard_each_block,
    .find = guard_find,
    .check = guard_check,
    .record_stream = guard_record_stream,
    .check_free = guard_check_free,
    .forget = guard_forget,
    .conclude = guard_conclude,
    .containing = guard_containing,
};
