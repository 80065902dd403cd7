/* Reclaimers, and callbacks in general: who is running one, and what it may do meanwhile.
 *
 * Reclaimers are called without locks. An entry that is running is not freed: its removal waits until it has returned
 * in all threads but the one that removes it, and those that a fork left behind. */
#include <tarn/allocator.h>

#include <pthread.h>

#include "base/memory.h"
#include "base/status.h"
#include "memory/fork.h"
#include "memory/stack.h"

typedef struct memory_reclaimer {
    tarn_reclaimer function;
    void *context;
    unsigned running; /* calls */
    bool is_removed;  /* out of use; it leaves the list when it runs no more */
    struct memory_reclaimer *next;
} memory_reclaimer;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* protects the lists of all allocators */
static pthread_cond_t returned = PTHREAD_COND_INITIALIZER;

static _Thread_local memory_callback *innermost;

/* A reclaimer that the thread is running; they nest, for one may ask another allocator for memory. */
typedef struct running_call {
    const memory_reclaimer *entry;
    const struct running_call *outside;
} running_call;

static _Thread_local const running_call *running_here;

/* How often the thread is in it. */
static unsigned count_own(const memory_reclaimer *entry) {
    unsigned count = 0;
    for (const running_call *running = running_here; running != NULL; running = running->outside)
        count += running->entry == entry;
    return count;
}

static void change_detours(tarn_allocator *allocator, unsigned difference) {
    for (; allocator != NULL; allocator = allocator->upstream) {
        atomic_fetch_add_explicit(&allocator->detours, difference, memory_order_relaxed);
        atomic_fetch_add_explicit(&allocator->callbacks, difference, memory_order_relaxed);
    }
}

void memory_callback_begin(memory_callback *callback, tarn_allocator *allocator, bool holds_lock) {
    *callback = (memory_callback){.allocator = allocator, .holds_lock = holds_lock, .outside = innermost};
    innermost = callback;
    change_detours(allocator, 1);
}

void memory_callback_end(memory_callback *callback) {
    change_detours(callback->allocator, UINT32_MAX);
    innermost = callback->outside;
}

const memory_callback *memory_callback_running(const tarn_allocator *allocator) {
    if (innermost == NULL) return NULL;
    const tarn_allocator *bottom = memory_bottom(allocator);
    const memory_callback *callback = innermost;
    while (callback != NULL && memory_bottom(callback->allocator) != bottom) callback = callback->outside;
    return callback;
}

tarn_status memory_check_callback(const tarn_allocator *allocator, const char *what) {
    const memory_callback *callback = memory_callback_running(allocator);
    if (callback == NULL || !callback->holds_lock) return TARN_OK;
    return base_fail(TARN_INVALID_STATE, "%s on %s: a visit of its blocks cannot %s", allocator->spec,
                     memory_device_name(allocator), what);
}

/* Takes a removed entry that runs no more out of the list. Must be called with the lock held. */
static void sweep(tarn_allocator *allocator) {
    memory_reclaimer **link = &allocator->reclaimers;
    while (*link != NULL) {
        memory_reclaimer *entry = *link;
        if (entry->is_removed && entry->running == 0) {
            *link = entry->next;
            base_free(entry);
        } else {
            link = &entry->next;
        }
    }
}

static size_t call(tarn_allocator *outer, memory_reclaimer *entry, size_t wanted_bytes) {
    memory_callback callback;
    const running_call running = {.entry = entry, .outside = running_here};
    running_here = &running;
    memory_callback_begin(&callback, outer, false);
    size_t given = entry->function(entry->context, wanted_bytes);
    memory_callback_end(&callback);
    running_here = running.outside;
    return given;
}

/* The reclaimers of one element. */
static size_t reclaim_from(tarn_allocator *outer, tarn_allocator *element, size_t wanted_bytes) {
    size_t given = 0;
    pthread_mutex_lock(&lock);
    memory_reclaimer *entry = element->reclaimers;
    while (entry != NULL && given == 0) {
        if (!entry->is_removed) {
            entry->running++;
            pthread_mutex_unlock(&lock);
            given = call(outer, entry, wanted_bytes);
            pthread_mutex_lock(&lock);
            entry->running--;
            if (entry->is_removed) pthread_cond_broadcast(&returned);
        }
        entry = entry->next;
    }
    sweep(element);
    pthread_mutex_unlock(&lock);
    return given;
}

size_t memory_reclaim(tarn_allocator *outer, size_t wanted_bytes) {
    size_t given = 0;
    for (tarn_allocator *element = outer; element != NULL && given == 0; element = element->upstream) {
        given = reclaim_from(outer, element, wanted_bytes);
    }
    return given;
}

void memory_reclaimers_end(tarn_allocator *allocator) {
    while (allocator->reclaimers != NULL) {
        memory_reclaimer *entry = allocator->reclaimers;
        allocator->reclaimers = entry->next;
        base_free(entry);
    }
}

static void watch_lock(void) { (void)memory_fork_watch(&lock, false); }

tarn_status tarn_allocator_add_reclaimer(tarn_allocator *allocator, tarn_reclaimer reclaimer, void *context) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (allocator == NULL || reclaimer == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the allocator or the reclaimer is NULL");
    }
    memory_reclaimer *entry = base_allocate(1, sizeof *entry);
    if (entry == NULL) {
        return base_fail(TARN_OUT_OF_MEMORY, "%s on %s: no host memory for a reclaimer", allocator->spec,
                         memory_device_name(allocator));
    }
    pthread_once(&once, watch_lock);
    entry->function = reclaimer;
    entry->context = context;
    pthread_mutex_lock(&lock);
    memory_reclaimer **link = &allocator->reclaimers;
    while (*link != NULL) link = &(*link)->next;
    *link = entry;
    pthread_mutex_unlock(&lock);
    return TARN_OK;
}

tarn_status tarn_allocator_remove_reclaimer(tarn_allocator *allocator, tarn_reclaimer reclaimer, void *context) {
    if (allocator == NULL || reclaimer == NULL) {
        return base_fail(TARN_INVALID_ARGUMENT, "the allocator or the reclaimer is NULL");
    }
    pthread_mutex_lock(&lock);
    memory_reclaimer *entry = allocator->reclaimers;
    while (entry != NULL && (entry->is_removed || entry->function != reclaimer || entry->context != context)) {
        entry = entry->next;
    }
    if (entry == NULL) {
        pthread_mutex_unlock(&lock);
        return base_fail(TARN_NOT_FOUND, "%s on %s: that reclaimer was not added", allocator->spec,
                         memory_device_name(allocator));
    }
    entry->is_removed = true;
    /* One that this thread runs leaves the list when it has returned. */
    unsigned own = count_own(entry);
    entry->running++; /* so that it stays until it is seen to have returned elsewhere */
    while (entry->running > own + 1 && !hal_device_is_inherited(allocator->device)) pthread_cond_wait(&returned, &lock);
    entry->running--;
    sweep(allocator);
    pthread_mutex_unlock(&lock);
    return TARN_OK;
}
