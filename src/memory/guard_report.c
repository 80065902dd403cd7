/* The words of guard: what was found, and who asked for the buffer and who freed it.
 *
 * Who freed a buffer before is asked for when its handle is freed again, maybe long after, and maybe through no allocator at
 * all. So what all guards know of the latest frees is kept in one table of the process, by handle: of the frees of one
 * descriptor the last four, of all about four thousand. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/status.h"
#include "memory/adaptors.h"
#include "memory/fork.h"
#include "memory/guard.h"
#include "memory/stack.h"

#define PAST_FREES 4096u
#define PAST_WAYS 4u
#define CALL_TEXT 320

static pthread_mutex_t past_lock = PTHREAD_MUTEX_INITIALIZER;
static guard_record past[PAST_FREES]; /* protected by past_lock */
static unsigned guards;               /* likewise */

bool guard_report_begin(void) {
    /* Watched from the first guard on, for good. */
    static bool is_watched;
    pthread_mutex_lock(&past_lock);
    bool was_watched = is_watched;
    is_watched = true;
    pthread_mutex_unlock(&past_lock);
    if (!was_watched && !memory_fork_watch(&past_lock, false)) {
        pthread_mutex_lock(&past_lock);
        is_watched = false;
        pthread_mutex_unlock(&past_lock);
        return false;
    }
    pthread_mutex_lock(&past_lock);
    guards++;
    pthread_mutex_unlock(&past_lock);
    atomic_store_explicit(&memory_explain_refusal, guard_explain_refusal, memory_order_relaxed);
    return true;
}

void guard_report_end(void) {
    pthread_mutex_lock(&past_lock);
    guards--;
    pthread_mutex_unlock(&past_lock);
}

void guard_call_capture(const guard *self, const void *site, guard_call *out_call) {
    out_call->count = base_call_capture(site, self->frames, out_call->frames);
}

/* Lives of one descriptor that follow each other have places of their own. */
static guard_record *place_of(const tarn_buffer *handle) {
    uint64_t number = (uint32_t)(uintptr_t)handle, life = (uint64_t)(uintptr_t)handle >> 33;
    return &past[(number * PAST_WAYS + life % PAST_WAYS) % PAST_FREES];
}

void guard_remember(const guard_record *record) {
    pthread_mutex_lock(&past_lock);
    *place_of(record->handle) = *record;
    pthread_mutex_unlock(&past_lock);
}

static bool recall(const tarn_buffer *handle, guard_record *out_record) {
    pthread_mutex_lock(&past_lock);
    *out_record = *place_of(handle);
    pthread_mutex_unlock(&past_lock);
    return out_record->handle == handle && handle != NULL;
}

/* Writing. */

static const char *describe_call(const guard_call *call, char out_text[CALL_TEXT]) {
    return base_call_describe(call->frames, call->count, out_text, CALL_TEXT);
}

/* "the buffer of 100 bytes at 0x7f0000001000, tag "weights"" */
static const char *describe_buffer(const guard_record *record, char out_text[CALL_TEXT]) {
    bool has_tag = record->tag[0] != '\0';
    snprintf(out_text, CALL_TEXT, "the buffer of %zu byte%s at %p%s%s%s", record->size, record->size == 1 ? "" : "s",
             record->address, has_tag ? ", tag \"" : "", record->tag, has_tag ? "\"" : "");
    return out_text;
}

static tarn_status report(guard *self, const char *sentence) {
    pthread_mutex_lock(&self->lock);
    if (self->finding[0] == '\0') snprintf(self->finding, sizeof self->finding, "%s", sentence);
    pthread_mutex_unlock(&self->lock);
    base_log(TARN_LOG_ERROR, "%s", sentence);
    return base_fail(TARN_CORRUPT_DATA, "%s", sentence);
}

tarn_status guard_report_overrun(guard *self, const guard_entry *entry, const guard_damage *damage) {
    const guard_record *record = &entry->record;
    char sentence[GUARD_SENTENCE], buffer[CALL_TEXT], allocated[CALL_TEXT], freed[CALL_TEXT];
    bool is_freed = entry->state != GUARD_LIVE;
    snprintf(sentence, sizeof sentence,
             "%s on %s: %s: %zu byte%s %s %s overwritten: byte %td holds 0x%02x; asked for at %s%s%s", self->base.spec,
             memory_device_name(&self->base), damage->offset < 0 ? "underflow" : "overflow", damage->count,
             damage->count == 1 ? "" : "s", damage->offset < 0 ? "before" : "after", describe_buffer(record, buffer),
             damage->offset, damage->found, describe_call(&record->allocated, allocated),
             is_freed ? "; freed at " : "; not freed yet", is_freed ? describe_call(&record->freed, freed) : "");
    return report(self, sentence);
}

tarn_status guard_report_written(guard *self, const guard_entry *entry, const guard_damage *damage) {
    const guard_record *record = &entry->record;
    char sentence[GUARD_SENTENCE], buffer[CALL_TEXT], allocated[CALL_TEXT], freed[CALL_TEXT];
    snprintf(
        sentence, sizeof sentence,
        "%s on %s: use after free: %zu byte%s of %s %s written after its free: byte %td holds 0x%02x; asked for at "
        "%s; freed at %s",
        self->base.spec, memory_device_name(&self->base), damage->count, damage->count == 1 ? "" : "s",
        describe_buffer(record, buffer), damage->count == 1 ? "was" : "were", damage->offset, damage->found,
        describe_call(&record->allocated, allocated), describe_call(&record->freed, freed));
    return report(self, sentence);
}

/* Refused frees. */

/* The highest guard of a stack, then of those that its elements own; NULL where there is none. */
static guard *guard_in(tarn_allocator *allocator) {
    for (tarn_allocator *element = allocator; element != NULL; element = element->upstream) {
        if (element->strategy == &guard_adaptor) return guard_of(element);
    }
    guard *found = NULL;
    for (tarn_allocator *element = allocator; element != NULL && found == NULL; element = element->upstream) {
        if (element->strategy->second != NULL) found = guard_in(element->strategy->second(element));
    }
    return found;
}

/* The guard that handed a live block out; NULL for one of another's. */
static guard *guard_behind(const memory_block *block) {
    tarn_allocator *owner = block->owner;
    return owner != NULL && owner->strategy == &guard_adaptor ? guard_of(owner) : NULL;
}

/* What is known of the live buffer whose block holds an address. */
static bool look_up(guard *self, const void *pointer, guard_record *out_record) {
    pthread_mutex_lock(&self->lock);
    base_range *range = base_range_containing(self->known, (uintptr_t)pointer);
    bool is_live = range != NULL && guard_entry_of(range)->state == GUARD_LIVE;
    if (is_live) *out_record = guard_entry_of(range)->record;
    pthread_mutex_unlock(&self->lock);
    return is_live;
}

static tarn_status tell_refusal(tarn_status status, const char *sentence) {
    base_log(TARN_LOG_ERROR, "%s", sentence);
    return base_fail(status, "%s", sentence);
}

static tarn_status explain_second_free(tarn_status status, const guard_record *record, const char *again) {
    char sentence[GUARD_SENTENCE], buffer[CALL_TEXT], allocated[CALL_TEXT], freed[CALL_TEXT];
    snprintf(sentence, sizeof sentence, "double free of %s: asked for at %s; freed at %s, and again at %s",
             describe_buffer(record, buffer), describe_call(&record->allocated, allocated),
             describe_call(&record->freed, freed), again);
    return tell_refusal(status, sentence);
}

/* Neither live nor remembered: a pointer that is no handle, which may be the buffer's data. */
static tarn_status explain_foreign(tarn_status status, guard *self, const void *pointer, const char *here) {
    guard_record record;
    char sentence[GUARD_SENTENCE], buffer[CALL_TEXT], allocated[CALL_TEXT];
    if (self != NULL && look_up(self, pointer, &record)) {
        snprintf(sentence, sizeof sentence,
                 "free of a foreign pointer at %s: %p is no buffer but byte %td of %s, asked for at %s", here, pointer,
                 (const char *)pointer - (const char *)record.address, describe_buffer(&record, buffer),
                 describe_call(&record.allocated, allocated));
    } else {
        snprintf(sentence, sizeof sentence,
                 "free of a foreign pointer at %s: %p was not asked for here, or freed long ago", here, pointer);
    }
    return tell_refusal(status, sentence);
}

/* The guards of the two stacks, for a live buffer that another allocator than its own was told to free. */
static tarn_status explain_wrong_allocator(tarn_status status, const memory_block *block, const char *here) {
    guard_record record;
    char sentence[GUARD_SENTENCE], buffer[CALL_TEXT], allocated[CALL_TEXT], said[GUARD_SENTENCE / 2];
    guard *owner = guard_behind(block);
    bool is_known = owner != NULL && look_up(owner, block->address, &record);
    snprintf(said, sizeof said, "%s", tarn_last_error());
    if (is_known) {
        snprintf(sentence, sizeof sentence, "free through the wrong allocator at %s: %s: %s, asked for at %s", here,
                 said, describe_buffer(&record, buffer), describe_call(&record.allocated, allocated));
    } else {
        snprintf(sentence, sizeof sentence, "free through the wrong allocator at %s: %s", here, said);
    }
    return tell_refusal(status, sentence);
}

tarn_status guard_explain_refusal(tarn_status status, tarn_allocator *allocator, const tarn_buffer *buffer,
                                  const memory_block *block, const void *site) {
    char here[CALL_TEXT];
    guard *self = guard_in(allocator);
    guard_record record;
    if (block == NULL && recall(buffer, &record)) {
        base_call_describe(&site, site != NULL, here, sizeof here);
        return explain_second_free(status, &record, here);
    }
    if (block != NULL && (allocator == NULL || block->live.outer == allocator)) return status;
    pthread_mutex_lock(&past_lock);
    bool is_any = guards > 0 && allocator == NULL;
    pthread_mutex_unlock(&past_lock);
    if (self == NULL && !is_any && (block == NULL || guard_behind(block) == NULL)) return status;
    base_call_describe(&site, site != NULL, here, sizeof here);
    if (block == NULL) return explain_foreign(status, self, buffer, here);
    return explain_wrong_allocator(status, block, here);
}
