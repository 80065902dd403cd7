/* Memory made ahead of need; see caching_ahead.h. */
#include "memory/caching_ahead.h"

#include <tarn/device.h>

#include "base/checked.h"
#include "base/status.h"
#include "base/thread.h"
#include "memory/caching_back.h"
#include "memory/caching_find.h"
#include "memory/caching_growth.h"

/* The lowest granule behind all USED blocks of a segment where nothing is mapped. */
static bool find_place(const caching_segment *segment, size_t *out_index) {
    const caching *owner = segment->heap->owner;
    const memory_block *block = segment->last_block;
    while (block != NULL && block->kind != CACHING_USED) block = block->neighbours.previous;
    block = block == NULL ? segment->first_block : block->neighbours.next;
    for (; block != NULL; block = block->neighbours.next) {
        if (block->kind != CACHING_HOLLOW) continue;
        size_t first = caching_granule_floor(owner, caching_offset(segment, block));
        size_t count = caching_granule_floor(owner, block->capacity);
        for (size_t i = first; i < first + count; i++) {
            if (segment->places[i].physical != NULL) continue;
            *out_index = i;
            return true;
        }
    }
    return false;
}

/* Whether the device keeps enough for others. The lock is open meanwhile. */
static bool device_has_enough(caching *owner) {
    tarn_device_properties properties = {.struct_size = sizeof properties};
    caching_growth_open(owner);
    tarn_status status = tarn_device_properties_get(owner->base.device, &properties);
    caching_growth_close(owner);
    return status == TARN_OK && properties.memory_free >> owner->granule_shift > owner->ahead;
}

/* One granule more. The thread grows the heap. */
static bool make_granule(caching_heap *heap) {
    if (!device_has_enough(heap->owner)) return false;
    for (caching_segment *segment = heap->segments; segment != NULL; segment = segment->next) {
        size_t index;
        if (find_place(segment, &index)) return caching_back_new(segment, index) == TARN_OK;
    }
    return false;
}

/* Called by the thread, which may grow the heap at once. */
static void advance(caching_heap *heap) {
    (void)caching_growth_begin(heap);
    if (!make_granule(heap)) heap->goes_ahead = false;
    if (!heap->goes_ahead || heap->free_granules >= heap->owner->ahead) heap->is_behind = false;
    caching_growth_end(heap);
}

/* A heap for which the thread may make memory now. */
static caching_heap *find_heap(const caching *owner) {
    if (owner->stops != 0) return NULL;
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) {
        if (heap->is_behind && !heap->is_growing && heap->in_line == 0) return heap;
    }
    return NULL;
}

static void *work(void *context) {
    caching *owner = context;
    pthread_mutex_lock(&owner->lock);
    owner->has_ahead_thread = true;
    pthread_cond_broadcast(&owner->growth_changed);
    while (!owner->ahead_ends) {
        caching_heap *heap = find_heap(owner);
        if (heap != NULL) {
            advance(heap);
        } else {
            pthread_cond_wait(&owner->growth_changed, &owner->lock);
        }
    }
    pthread_mutex_unlock(&owner->lock);
    return NULL;
}

tarn_status caching_ahead_start(caching *owner, size_t bytes) {
    if (!checked_round_up(bytes, owner->granule, &bytes)) return base_fail(TARN_INVALID_ARGUMENT, "ahead is too large");
    owner->ahead = caching_granule_floor(owner, bytes);
    tarn_status status = base_thread_start(&owner->ahead_thread, "tarn-ahead", work, owner);
    if (status != TARN_OK) return status;
    /* A fork finds a thread that is at work, and none on its way. */
    pthread_mutex_lock(&owner->lock);
    while (!owner->has_ahead_thread) pthread_cond_wait(&owner->growth_changed, &owner->lock);
    pthread_mutex_unlock(&owner->lock);
    return TARN_OK;
}

void caching_ahead_end(caching *owner) {
    if (!owner->has_ahead_thread) return;
    pthread_mutex_lock(&owner->lock);
    owner->ahead_ends = true;
    pthread_cond_broadcast(&owner->growth_changed);
    pthread_mutex_unlock(&owner->lock);
    pthread_join(owner->ahead_thread, NULL);
    owner->has_ahead_thread = false;
}

void caching_ahead_renew(caching *owner) {
    owner->has_ahead_thread = false;
    caching_ahead_rest(owner);
}

void caching_ahead_follow(caching_heap *heap) {
    const caching *owner = heap->owner;
    /* Who has stopped growth does so since memory is short. */
    if (owner->has_ahead_thread && !owner->is_stopped) heap->goes_ahead = true;
}

void caching_ahead_rest(caching *owner) {
    for (caching_heap *heap = owner->heaps; heap != NULL; heap = heap->next) heap->goes_ahead = heap->is_behind = false;
    pthread_cond_broadcast(&owner->growth_changed);
}

void caching_ahead_wait(caching *owner) {
    for (caching_heap *heap = owner->heaps; heap != NULL;) {
        if (!heap->is_behind) {
            heap = heap->next;
            continue;
        }
        pthread_cond_wait(&owner->growth_changed, &owner->lock);
        /* Heaps may have come and gone. */
        heap = owner->heaps;
    }
}

void caching_ahead_begin(caching_heap *heap) {
    caching *owner = heap->owner;
    caching_note_driver(owner);
    heap->is_behind = true;
    pthread_cond_broadcast(&owner->growth_changed);
}
